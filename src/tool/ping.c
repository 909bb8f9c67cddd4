/* SPDX-License-Identifier: MIT
 *
 * shmrpc ping: asks the built-in method that every server answers.
 */
#include "tool.h"

#include "../error.h"

#include <stdlib.h>
#include <time.h>

static const char help[] =
    "usage: shmrpc ping NAME [OPTION...]\n"
    "\n"
    "Ask the server of the channel NAME whether it answers, and print how long that took.\n"
    "\n"
    "      --timeout S           wait S seconds for the answer (default 5)\n"
    "      --wait-for-server S   wait S seconds for the channel to appear (default 0)\n"
    "      --wait-busy S         wait S seconds for another client to leave (default 0)\n"
    "      --buffer-bytes N      map N bytes of each segment (default: all of it)\n"
    "      --wait MODE           adaptive (default), spin or block\n"
    "      --json                print the outcome as JSON\n"
    "  -h, --help                this text\n"
    "      --version             the version\n"
    "\n"
    "Exit codes as those of 'shmrpc call'.\n";

static const struct option options[] = {
    TOOL_COMMON_OPTIONS,
    TOOL_CLIENT_OPTIONS,
    {NULL, 0, NULL, 0},
};

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void print_alive(const char *name, double microseconds, bool json)
{
    if (json) {
        cJSON *tree = tool_json_object();
        tool_json_add_string(tree, "status", "ok");
        tool_json_add_name(tree, name);
        tool_json_add_number(tree, "microseconds", microseconds);
        tool_print_json(tree);
    } else {
        char *printable = tool_printable(name);
        printf("%s: alive, %.0f µs\n", printable, microseconds);
        free(printable);
    }
}

static enum shmrpc_status ask(struct shmrpc_client *client, double *microseconds,
                              struct shmrpc_error *error)
{
    struct shmrpc_value result;
    bool running = false;
    double begin = now_us();
    enum shmrpc_status status = shmrpc_client_call(client, "__running__", NULL, 0, &result);
    *microseconds = now_us() - begin;
    if (status != SHMRPC_OK)
        return shmrpc_error_set(error, status, "%s", shmrpc_client_error(client));
    if (shmrpc_value_bool(&result, &running) != SHMRPC_OK || !running)
        return shmrpc_error_set(error, SHMRPC_PROTOCOL, "__running__ was not answered with true");
    return SHMRPC_OK;
}

int tool_ping(int argc, char **argv)
{
    struct tool_arguments arguments = {"ping", help, ":h", options, false};
    struct shmrpc_client_options client_options = SHMRPC_CLIENT_OPTIONS_INIT;
    int code;
    while ((code = tool_next_option(&arguments, argc, argv)) != -1)
        tool_client_option(arguments.verb, code, &client_options);
    if (argc - optind != 1)
        tool_usage_error(arguments.verb, "exactly one NAME is needed");
    const char *name = argv[optind];
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    struct shmrpc_client *client = NULL;
    double microseconds = 0;
    client_options.error = &error;
    error.status = shmrpc_client_open(name, &client_options, &client);
    if (error.status == SHMRPC_OK)
        error.status = ask(client, &microseconds, &error);
    if (error.status == SHMRPC_OK)
        print_alive(name, microseconds, arguments.json);
    else
        code = tool_report(&arguments, name, &error, client, tool_advice(error.status));
    shmrpc_client_close(&client);
    return error.status == SHMRPC_OK ? TOOL_OK : code;
}

/* SPDX-License-Identifier: MIT
 *
 * shmrpc call: one call, its result as JSON on stdout.
 */
#include "params.h"

#include "../error.h"

#include <stdlib.h>

static const char help[] =
    "usage: shmrpc call NAME METHOD [KEY=STRING...] [KEY:=JSON...] [OPTION...]\n"
    "\n"
    "Call METHOD of the server that holds the channel NAME and print the result as JSON.\n"
    "KEY=STRING passes a string, KEY:=JSON any JSON value:\n"
    "\n"
    "  shmrpc call calc add a:=5 b:=3\n"
    "\n"
    "  -d, --data JSON|@FILE|-   all parameters as one JSON object, from the argument, a file or\n"
    "                            stdin; a KEY argument replaces the member of its name\n"
    "      --timeout S           wait S seconds for the result (default 5)\n"
    "      --wait-for-server S   wait S seconds for the channel to appear (default 0)\n"
    "      --wait-busy S         wait S seconds for another client to leave (default 0)\n"
    "      --buffer-bytes N      map N bytes of each segment (default: all of it)\n"
    "      --wait MODE           adaptive (default), spin or block\n"
    "      --json                print {\"status\": ..., \"result\" or \"error\": ...}, also of a "
    "failure\n"
    "  -h, --help                this text\n"
    "      --version             the version\n"
    "\n"
    "Exit codes: 0 ok, 1 method error (its text on stderr), 2 usage, 3 time-out, 4 no such "
    "channel,\n"
    "5 serialization or too large, 6 peer gone and the call not started, 7 peer gone and the call\n"
    "may have run, 8 protocol or system error, 9 busy.\n";

static const struct option options[] = {
    TOOL_COMMON_OPTIONS,
    TOOL_CLIENT_OPTIONS,
    {"data", required_argument, NULL, TOOL_OPTION_DATA},
    {NULL, 0, NULL, 0},
};

static void print_result(const struct shmrpc_value *result, bool json)
{
    if (json)
        fputs("{\"status\":\"ok\",\"result\":", stdout);
    fwrite(result->text, 1, result->length, stdout);
    puts(json ? "}" : "");
}

static int call(const struct tool_arguments *arguments, const char *name, const char *method,
                const char *params, size_t length, struct shmrpc_client_options client_options)
{
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    struct shmrpc_client *client = NULL;
    client_options.error = &error;
    error.status = shmrpc_client_open(name, &client_options, &client);
    if (error.status != SHMRPC_OK)
        return tool_report(arguments, name, &error, NULL, tool_advice(error.status));
    struct shmrpc_value result;
    int code = TOOL_OK;
    enum shmrpc_status status = shmrpc_client_call_json(client, method, params, length, &result);
    if (status == SHMRPC_OK) {
        print_result(&result, arguments->json);
    } else {
        shmrpc_error_set(&error, status, "%s", shmrpc_client_error(client));
        code = tool_report(arguments, name, &error, client, tool_advice(error.status));
    }
    shmrpc_client_close(&client);
    return code;
}

int tool_call(int argc, char **argv)
{
    struct tool_arguments arguments = {"call", help, ":hd:", options, false};
    struct shmrpc_client_options client_options = SHMRPC_CLIENT_OPTIONS_INIT;
    const char *data = NULL;
    int code;
    while ((code = tool_next_option(&arguments, argc, argv)) != -1)
        if (code == TOOL_OPTION_DATA)
            data = optarg;
        else
            tool_client_option(arguments.verb, code, &client_options);
    if (argc - optind < 2)
        tool_usage_error(arguments.verb, "NAME and METHOD are needed");
    char **rest = argv + optind + 2;
    char *params = NULL;
    size_t length = 0;
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    enum shmrpc_status status = tool_params_build(
        arguments.verb, data, rest, (size_t)(argc - optind - 2), &params, &length, &error);
    if (status != SHMRPC_OK)
        return tool_report(&arguments, argv[optind], &error, NULL, tool_advice(error.status));
    code = call(&arguments, argv[optind], argv[optind + 1], params, length, client_options);
    free(params);
    return code;
}

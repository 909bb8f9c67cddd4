/* SPDX-License-Identifier: MIT
 *
 * shmrpc serve: publishes a channel and answers until SIGTERM or SIGINT.
 */
#include "methods.h"

#include "../error.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static const char help[] =
    "usage: shmrpc serve NAME [OPTION...]\n"
    "\n"
    "Publish the channel NAME and answer calls until SIGTERM or SIGINT. Methods:\n"
    "\n"
    "  echo(message)   add subtract multiply divide(a, b)   power(base, exponent)   sqrt(x)\n"
    "  accumulate(client_id, val)   clear(client_id)   sleep(seconds)   big(n)\n"
    "  fail(type, message)   count()\n"
    "\n"
    "      --buffer-bytes N  size of each segment, 128 to 4294967295 (default 4096)\n"
    "      --timeout S       how long a response may wait for its slot (default 5)\n"
    "      --wait MODE       adaptive (default), spin or block\n"
    "      --test-methods    also serve unserialisable() and exit(code)\n"
    "      --json            print the line that says ready as JSON\n"
    "  -h, --help            this text\n"
    "      --version         the version\n"
    "\n"
    "Exit codes: 0 stopped by a signal, 2 usage, 8 protocol or system error, 9 another server "
    "holds\n"
    "the name.\n";

static const struct option options[] = {
    TOOL_COMMON_OPTIONS,
    {"buffer-bytes", required_argument, NULL, TOOL_OPTION_BUFFER_BYTES},
    {"timeout", required_argument, NULL, TOOL_OPTION_TIMEOUT},
    {"wait", required_argument, NULL, TOOL_OPTION_WAIT},
    {"test-methods", no_argument, NULL, TOOL_OPTION_TEST_METHODS},
    {NULL, 0, NULL, 0},
};

/* ---- Signals ----------------------------------------------------------------------------------
 */

/* Written with both signals blocked, read by their handler, so the server it finds is whole. */
static struct shmrpc_server *_Atomic current;
static volatile sig_atomic_t stopping;

/* SRPC-SIGNAL-003: the server answers the call in hand, and closing it takes all six objects away.
 */
static void stop(int number)
{
    (void)number;
    stopping = 1;
    struct shmrpc_server *server = atomic_load(&current);
    if (server != NULL)
        shmrpc_server_stop(server);
}

struct signals {
    sigset_t both;
    sigset_t earlier;
    struct sigaction term;
    struct sigaction interrupt;
    struct sigaction broken_pipe;
};

static void block(const struct signals *signals, int how)
{
    sigprocmask(how, &signals->both, NULL);
}

static void install(struct signals *signals)
{
    sigemptyset(&signals->both);
    sigaddset(&signals->both, SIGTERM);
    sigaddset(&signals->both, SIGINT);
    sigprocmask(SIG_BLOCK, &signals->both, &signals->earlier);
    struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
    action.sa_mask = signals->both;
    sigaction(SIGTERM, &action, &signals->term);
    sigaction(SIGINT, &action, &signals->interrupt);
    /* A reader of our log lines that goes away must not end the server. */
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, &signals->broken_pipe);
}

/* SRPC-SIGNAL-004. A second signal that is pending by now says nothing new, so our own handler
 * still takes it. */
static void restore(const struct signals *signals)
{
    block(signals, SIG_UNBLOCK);
    sigaction(SIGTERM, &signals->term, NULL);
    sigaction(SIGINT, &signals->interrupt, NULL);
    sigaction(SIGPIPE, &signals->broken_pipe, NULL);
    sigprocmask(SIG_SETMASK, &signals->earlier, NULL);
}

/* ---- Serving ----------------------------------------------------------------------------------
 */

struct service {
    const struct tool_arguments *arguments;
    const char *name;
    bool test_methods;
    bool announced;
    struct shmrpc_server_options options;
    struct signals signals;
    struct tool_service methods;
};

static void announce(struct service *service, const struct shmrpc_server *server)
{
    if (service->announced)
        return;
    service->announced = true;
    size_t bytes = shmrpc_server_buffer_bytes(server);
    if (service->arguments->json) {
        cJSON *tree = tool_json_object();
        tool_json_add_string(tree, "status", "ready");
        tool_json_add_name(tree, service->name);
        tool_json_add_number(tree, "pid", getpid());
        tool_json_add_number(tree, "buffer_bytes", (double)bytes);
        tool_print_json(tree);
    } else {
        char *name = tool_printable(service->name);
        printf("ready: %s, pid %d, %zu bytes a segment\n", name, (int)getpid(), bytes);
        free(name);
    }
    fflush(stdout);
}

/* The library's lines name the channel. */
static void log_line(void *user, const char *line)
{
    (void)user;
    tool_complain("serve", "%s", line);
}

/* Publish, serve until the end of this channel, and take it away.
 * Both signals are blocked but while the server stands in current. */
static enum shmrpc_status serve_once(struct service *service, struct shmrpc_error *error)
{
    struct shmrpc_server *server = NULL;
    service->options.error = error;
    enum shmrpc_status status = shmrpc_server_create(service->name, &service->options, &server);
    if (status != SHMRPC_OK) {
        error->status = status;
        return status;
    }
    status = tool_methods_register(server, &service->methods, service->test_methods);
    if (status == SHMRPC_OK) {
        atomic_store(&current, server);
        block(&service->signals, SIG_UNBLOCK);
        announce(service, server);
        status = shmrpc_server_run(server);
        block(&service->signals, SIG_BLOCK);
        atomic_store(&current, NULL);
    }
    if (status != SHMRPC_OK)
        shmrpc_error_set(error, status, "%s", shmrpc_server_error(server));
    shmrpc_server_close(&server);
    return status;
}

static const char *advice(enum shmrpc_status status)
{
    if (status == SHMRPC_BUSY)
        return "; stop it, or serve under another name";
    return status == SHMRPC_SYSTEM ? tool_advice(status) : "";
}

static int serve(struct service *service)
{
    int code = TOOL_OK;
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    install(&service->signals);
    while (!stopping) {
        enum shmrpc_status status = serve_once(service, &error);
        if (status == SHMRPC_OK || stopping)
            break;
        if (!service->announced || status != SHMRPC_NOT_FOUND) {
            code = tool_report(service->arguments, service->name, &error, NULL, advice(status));
            break;
        }
        /* SRPC-LIFE-007 */
        tool_complain("serve", "%s; publishing the channel anew", error.text);
        /* A signal that came while both were blocked is delivered here. */
        block(&service->signals, SIG_UNBLOCK);
        block(&service->signals, SIG_BLOCK);
    }
    restore(&service->signals);
    return code;
}

int tool_serve(int argc, char **argv)
{
    struct tool_arguments arguments = {"serve", help, ":h", options, false};
    struct service service = {.arguments = &arguments};
    int code;
    while ((code = tool_next_option(&arguments, argc, argv)) != -1)
        if (code == TOOL_OPTION_BUFFER_BYTES)
            service.options.buffer_bytes =
                tool_parse_bytes(arguments.verb, optarg, SHMRPC_MIN_BUFFER_BYTES);
        else if (code == TOOL_OPTION_TIMEOUT)
            service.options.timeout_ms =
                tool_parse_seconds(arguments.verb, "--timeout", optarg, false);
        else if (code == TOOL_OPTION_WAIT)
            service.options.wait = tool_parse_wait(arguments.verb, optarg);
        else
            service.test_methods = true;
    if (argc - optind != 1)
        tool_usage_error(arguments.verb, "exactly one NAME is needed");
    service.name = argv[optind];
    service.options.log = log_line;
    code = serve(&service);
    tool_service_free(&service.methods);
    return code;
}

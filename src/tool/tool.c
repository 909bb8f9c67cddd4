/* SPDX-License-Identifier: MIT
 *
 * Options, complaints and the report of a failure.
 */
#include "tool.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* One event is one line, whatever a name or a remote text holds. */
static void print_line(const char *prefix, const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        tool_out_of_memory();
    for (char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    fprintf(stderr, "%s%s\n", prefix, text);
    free(text);
}

void tool_complain(const char *verb, const char *format, ...)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "shmrpc%s%s: ", verb ? " " : "", verb ? verb : "");
    va_list arguments;
    va_start(arguments, format);
    print_line(prefix, format, arguments);
    va_end(arguments);
}

void tool_usage_error(const char *verb, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        tool_out_of_memory();
    tool_complain(verb, "%s; see 'shmrpc%s%s --help'", text, verb ? " " : "", verb ? verb : "");
    free(text);
    exit(TOOL_USAGE);
}

void tool_out_of_memory(void)
{
    fputs("shmrpc: out of memory; free some and try again\n", stderr);
    exit(TOOL_SYSTEM);
}

/* ---- Options ----------------------------------------------------------------------------------
 */

static _Noreturn void bad_option(const struct tool_arguments *arguments, int code, char **argv)
{
    const char *shown = argv[optind - 1];
    char letter[3] = {'-', (char)optopt, '\0'};
    if (optopt > 0 && optopt < 256 && strncmp(shown, "--", 2) != 0)
        shown = letter;
    if (code == ':')
        tool_usage_error(arguments->verb, "option '%s' needs an argument", shown);
    tool_usage_error(arguments->verb, "option '%s' is not known, ambiguous or takes no argument",
                     shown);
}

int tool_next_option(struct tool_arguments *arguments, int argc, char **argv)
{
    for (;;) {
        int code = getopt_long(argc, argv, arguments->letters, arguments->options, NULL);
        switch (code) {
        case TOOL_OPTION_HELP:
            fputs(arguments->help, stdout);
            exit(TOOL_OK);
        case TOOL_OPTION_VERSION:
            printf("shmrpc %s\n", shmrpc_version());
            exit(TOOL_OK);
        case TOOL_OPTION_JSON:
            arguments->json = true;
            break;
        case '?':
        case ':':
            bad_option(arguments, code, argv);
        default:
            return code;
        }
    }
}

int tool_parse_seconds(const char *verb, const char *option, const char *text, bool zero_allowed)
{
    /* strtod() alone would take "inf", "nan", "0x1p3", leading space and a sign as well. */
    char *end;
    double seconds = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || strspn(text, "0123456789.eE+-") != strlen(text) ||
        *text == '+' || *text == '-')
        tool_usage_error(verb, "%s: '%s' is not a number of seconds", option, text);
    double milliseconds = ceil(seconds * 1000.0);
    if (!(milliseconds <= INT_MAX))
        tool_usage_error(verb, "%s: '%s' is more than %d milliseconds", option, text, INT_MAX);
    if (milliseconds < 1 && !zero_allowed)
        tool_usage_error(verb, "%s: the time must be greater than 0", option);
    return (int)milliseconds;
}

size_t tool_parse_bytes(const char *verb, const char *text, size_t least)
{
    char *end;
    errno = 0;
    unsigned long long bytes = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || bytes < least ||
        bytes > SHMRPC_MAX_BUFFER_BYTES)
        tool_usage_error(verb, "--buffer-bytes: '%s' is not a whole number from %zu to %u", text,
                         least, SHMRPC_MAX_BUFFER_BYTES);
    return (size_t)bytes;
}

enum shmrpc_wait tool_parse_wait(const char *verb, const char *text)
{
    if (strcmp(text, "adaptive") == 0)
        return SHMRPC_WAIT_ADAPTIVE;
    if (strcmp(text, "spin") == 0)
        return SHMRPC_WAIT_SPIN;
    if (strcmp(text, "block") == 0)
        return SHMRPC_WAIT_BLOCK;
    tool_usage_error(verb, "--wait: '%s' is none of adaptive, spin, block", text);
}

bool tool_client_option(const char *verb, int code, struct shmrpc_client_options *options)
{
    switch (code) {
    case TOOL_OPTION_TIMEOUT:
        options->timeout_ms = tool_parse_seconds(verb, "--timeout", optarg, false);
        return true;
    case TOOL_OPTION_WAIT_FOR_SERVER:
        options->wait_for_server_ms = tool_parse_seconds(verb, "--wait-for-server", optarg, true);
        return true;
    case TOOL_OPTION_WAIT_BUSY:
        options->wait_busy_ms = tool_parse_seconds(verb, "--wait-busy", optarg, true);
        return true;
    case TOOL_OPTION_BUFFER_BYTES:
        /* The original may serve less than our own minimum; the library judges what it can map. */
        options->buffer_bytes = tool_parse_bytes(verb, optarg, 1);
        return true;
    case TOOL_OPTION_WAIT:
        options->wait = tool_parse_wait(verb, optarg);
        return true;
    default:
        return false;
    }
}

/* ---- The report of a failure ------------------------------------------------------------------
 */

int tool_exit_of(enum shmrpc_status status)
{
    switch (status) {
    case SHMRPC_OK:
        return TOOL_OK;
    case SHMRPC_METHOD_ERROR:
        return TOOL_FAILED;
    case SHMRPC_INVALID:
        return TOOL_USAGE;
    case SHMRPC_TIMEOUT:
        return TOOL_TIMEOUT;
    case SHMRPC_NOT_FOUND:
        return TOOL_NOT_FOUND;
    case SHMRPC_TOO_LARGE:
    case SHMRPC_SERIALIZATION:
        return TOOL_MESSAGE;
    case SHMRPC_PEER_GONE_NOT_STARTED:
        return TOOL_NOT_STARTED;
    case SHMRPC_PEER_GONE_MAYBE_EXECUTED:
        return TOOL_MAYBE_EXECUTED;
    case SHMRPC_BUSY:
        return TOOL_BUSY;
    case SHMRPC_PROTOCOL:
    case SHMRPC_SYSTEM:
        break;
    }
    return TOOL_SYSTEM;
}

const char *tool_advice(enum shmrpc_status status)
{
    switch (status) {
    case SHMRPC_TIMEOUT:
        return "; allow more with --timeout, or look with 'shmrpc inspect'";
    case SHMRPC_NOT_FOUND:
        return "; start a server, or wait for one with --wait-for-server";
    case SHMRPC_BUSY:
        return "; wait with --wait-busy, or look with 'shmrpc list'";
    case SHMRPC_PEER_GONE_NOT_STARTED:
        return "; it may be sent again";
    case SHMRPC_PEER_GONE_MAYBE_EXECUTED:
        return "; check before sending it again";
    case SHMRPC_TOO_LARGE:
        return "; send less, or serve with a larger --buffer-bytes";
    case SHMRPC_PROTOCOL:
        return "; look with 'shmrpc inspect', then restart the server";
    case SHMRPC_SYSTEM:
        return "; 'shmrpc doctor' checks this machine";
    default:
        return "";
    }
}

/* The envelope is made without cJSON because cJSON strings end at a NUL and a remote text may hold
 * one. */
static void print_failure(const struct shmrpc_error *error, const char *text, size_t length,
                          bool maybe_executed)
{
    size_t capacity = 6 * length + 256;
    char *buffer = malloc(capacity);
    if (buffer == NULL)
        tool_out_of_memory();
    const char *status = shmrpc_status_name(error->status);
    struct shmrpc_writer writer;
    shmrpc_writer_init(&writer, buffer, capacity);
    shmrpc_write_object_begin(&writer);
    shmrpc_write_key(&writer, "status", strlen("status"));
    shmrpc_write_string(&writer, status, strlen(status));
    shmrpc_write_key(&writer, "error", strlen("error"));
    shmrpc_write_string(&writer, text, length);
    shmrpc_write_key(&writer, "maybe_executed", strlen("maybe_executed"));
    shmrpc_write_bool(&writer, maybe_executed);
    shmrpc_write_object_end(&writer);
    size_t written = 0;
    if (shmrpc_writer_finish(&writer, &written) == SHMRPC_OK) {
        fwrite(buffer, 1, written, stdout);
        putchar('\n');
    } else { /* only a text that is no UTF-8 leads here: some name typed by the user */
        printf("{\"status\":\"%s\",\"error\":\"%s\",\"maybe_executed\":%s}\n", status,
               shmrpc_status_text(error->status), maybe_executed ? "true" : "false");
    }
    free(buffer);
}

int tool_report(const struct tool_arguments *arguments, const char *name,
                const struct shmrpc_error *error, const struct shmrpc_client *client,
                const char *advice)
{
    bool maybe_executed = client != NULL && shmrpc_client_maybe_executed(client);
    const char *text = error->text;
    size_t length = strlen(text);
    if (error->status == SHMRPC_METHOD_ERROR && client != NULL)
        shmrpc_client_method_error(client, &text, &length);
    if (arguments->json)
        print_failure(error, text, length, maybe_executed);
    if (error->status == SHMRPC_METHOD_ERROR) {
        tool_print_text(stderr, text, length, false);
        fputc('\n', stderr);
    } else if (error->status == SHMRPC_INVALID) {
        tool_complain(arguments->verb, "%s; see 'shmrpc %s --help'", error->text, arguments->verb);
    } else {
        tool_complain(arguments->verb, "%s: %s%s", name, error->text, advice);
    }
    return tool_exit_of(error->status);
}

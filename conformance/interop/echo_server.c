/* SPDX-License-Identifier: MIT
 *
 * A C server for the interop tests: whatever JSON goes in comes out again, as text or taken apart
 * and rewritten, and every way for a method to fail.
 */
#include "retype.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct shmrpc_server *server;

static void stop(int number)
{
    (void)number;
    shmrpc_server_stop(server);
}

/* echo(message): the text of the value as it stands. */
static enum shmrpc_status echo(struct shmrpc_call *call, void *user)
{
    static const char *const names[] = {"message"};
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_call_expect(call, names, 1);

    (void)user;
    if (!status)
        status = shmrpc_call_param(call, "message", &value);
    return status ? status : shmrpc_call_answer_json(call, value.text, value.length);
}

/* echo_typed(message): read and written anew, piece by piece into the response slot. */
static enum shmrpc_status echo_typed(struct shmrpc_call *call, void *user)
{
    struct shmrpc_value value;
    struct shmrpc_writer *writer;
    enum shmrpc_status status = shmrpc_call_param(call, "message", &value);

    (void)user;
    if (!status)
        status = shmrpc_call_answer_begin(call, &writer);
    if (status)
        return status;
    retype(&value, writer);
    return shmrpc_call_answer_end(call);
}

/* params(...): all parameters, as they stand. */
static enum shmrpc_status params(struct shmrpc_call *call, void *user)
{
    struct shmrpc_value value;

    (void)user;
    shmrpc_call_params(call, &value);
    return shmrpc_call_answer_json(call, value.text, value.length);
}

/* fail(type, message): an error with any text, up to its first NUL. */
static enum shmrpc_status fail(struct shmrpc_call *call, void *user)
{
    const char *data[2];
    size_t length[2];
    enum shmrpc_status status = shmrpc_call_string(call, "type", &data[0], &length[0]);

    (void)user;
    if (!status)
        status = shmrpc_call_string(call, "message", &data[1], &length[1]);
    if (status)
        return status;
    char *type = strndup(data[0], length[0]);
    char *message = strndup(data[1], length[1]);

    if (!type || !message)
        abort();
    status = shmrpc_call_fail(call, type, message);
    free(type);
    free(message);
    return status;
}

/* big(n): a string of n x. */
static enum shmrpc_status big(struct shmrpc_call *call, void *user)
{
    int64_t count;
    enum shmrpc_status status = shmrpc_call_int64(call, "n", &count);

    (void)user;
    if (status)
        return status;
    if (count < 0 || count > 1 << 24)
        return shmrpc_call_fail(call, "ValueError", "n is out of range");
    char *text = malloc((size_t)count + 1);

    if (!text)
        abort();
    memset(text, 'x', (size_t)count + 1);
    status = shmrpc_call_answer_string(call, text, (size_t)count);
    free(text);
    return status;
}

static enum shmrpc_status unserialisable(struct shmrpc_call *call, void *user)
{
    (void)user;
    return shmrpc_call_answer_json(call, "<object>", 8);
}

static enum shmrpc_status silent(struct shmrpc_call *call, void *user)
{
    (void)call;
    (void)user;
    return SHMRPC_INVALID;
}

static enum shmrpc_status answer(struct shmrpc_call *call, void *user)
{
    const char *kind;
    size_t length;
    enum shmrpc_status status = shmrpc_call_string(call, "kind", &kind, &length);

    (void)user;
    if (status)
        return status;
#define IS(word) (length == sizeof(word) - 1 && memcmp(kind, word, length) == 0)
    if (IS("null"))
        return shmrpc_call_answer_null(call);
    if (IS("bool"))
        return shmrpc_call_answer_bool(call, true);
    if (IS("int64"))
        return shmrpc_call_answer_int64(call, INT64_MIN);
    if (IS("uint64"))
        return shmrpc_call_answer_uint64(call, UINT64_MAX);
    if (IS("double"))
        return shmrpc_call_answer_double(call, -0.0);
    if (IS("string"))
        return shmrpc_call_answer_string(call, "a\0b\xf0\x9f\x98\x80", 7);
#undef IS
    return shmrpc_call_fail(call, "ValueError", "kind");
}

static void log_line(void *user, const char *line)
{
    (void)user;
    fprintf(stderr, "echo_server: %s\n", line);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        shmrpc_handler *handler;
    } methods[] = {
        {"echo", echo}, {"echo_typed", echo_typed},         {"params", params}, {"fail", fail},
        {"big", big},   {"unserialisable", unserialisable}, {"silent", silent}, {"answer", answer}};
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    struct shmrpc_error error;
    struct sigaction action = {.sa_handler = stop};

    if (argc != 3) {
        fprintf(stderr, "usage: echo_server NAME BUFFER-BYTES\n");
        return 2;
    }
    options.buffer_bytes = strtoul(argv[2], NULL, 10);
    options.log = log_line;
    options.error = &error;
    if (shmrpc_server_create(argv[1], &options, &server) != SHMRPC_OK) {
        fprintf(stderr, "echo_server: %s\n", error.text);
        return 1;
    }
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (shmrpc_server_register(server, methods[i].name, methods[i].handler, NULL) != SHMRPC_OK)
            abort();
    sigaction(SIGTERM, &action, NULL);
    puts("ready");
    fflush(stdout);
    enum shmrpc_status status = shmrpc_server_run(server);
    if (status != SHMRPC_OK)
        fprintf(stderr, "echo_server: %s\n", shmrpc_server_error(server));
    shmrpc_server_close(&server);
    return status == SHMRPC_OK ? 0 : 1;
}

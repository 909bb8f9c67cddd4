/* SPDX-License-Identifier: MIT
 *
 * A server with state: a running total for each client_id. Stop it with Ctrl-C.
 */
#include <shmrpc.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct shmrpc_server *server;
static struct {
    char id[32];
    size_t length;
    double sum;
} totals[16];
static int count;

static void stop(int number)
{
    (void)number;
    shmrpc_server_stop(server);
}

static int find(const char *id, size_t length)
{
    int i = 0;
    while (i < count && (totals[i].length != length || memcmp(totals[i].id, id, length) != 0))
        i++;
    return i; /* count if there is none */
}

static enum shmrpc_status accumulate(struct shmrpc_call *call, void *user)
{
    (void)user;
    const char *id;
    size_t length;
    double val;
    enum shmrpc_status status = shmrpc_call_string(call, "client_id", &id, &length);
    if (status || (status = shmrpc_call_double(call, "val", &val)))
        return status;
    int i = find(id, length);
    if (i == 16 || length > sizeof totals[i].id)
        return shmrpc_call_fail(call, "ValueError", "too many clients, or client_id too long");
    if (i == count) {
        memcpy(totals[i].id, id, length);
        totals[i].length = length;
        totals[count++].sum = 0;
    }
    return shmrpc_call_answer_double(call, totals[i].sum += val);
}

static enum shmrpc_status clear(struct shmrpc_call *call, void *user)
{
    (void)user;
    const char *id;
    size_t length;
    enum shmrpc_status status = shmrpc_call_string(call, "client_id", &id, &length);
    if (status)
        return status;
    int i = find(id, length);
    if (i == count)
        return shmrpc_call_fail(call, "KeyError", "no total of this client_id");
    totals[i] = totals[--count];
    return shmrpc_call_answer_null(call);
}

int main(int argc, char **argv)
{
    struct shmrpc_error error;
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    options.error = &error;
    if (shmrpc_server_create(argc > 1 ? argv[1] : "acc", &options, &server)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    enum shmrpc_status status = shmrpc_server_register(server, "accumulate", accumulate, NULL);
    if (!status && !(status = shmrpc_server_register(server, "clear", clear, NULL)))
        status = shmrpc_server_run(server);
    if (status)
        fprintf(stderr, "%s\n", shmrpc_server_error(server));
    signal(SIGINT, SIG_DFL); /* the handler must not see a closed server */
    signal(SIGTERM, SIG_DFL);
    shmrpc_server_close(&server);
    return status != SHMRPC_OK;
}

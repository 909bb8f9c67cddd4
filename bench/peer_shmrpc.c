/* SPDX-License-Identifier: MIT
 *
 * SHM-RPC itself, through its public header only, as a user would write it: a handler that reads a
 * string parameter and answers with it; a client that calls by name and reads the result. The row's
 * option is the waiting policy of both sides.
 */
#include "peer.h"

#include "shmrpc.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct shmrpc_server *server;
static struct shmrpc_client *client;

static enum shmrpc_wait policy(const char *option)
{
    if (strcmp(option, "spin") == 0)
        return SHMRPC_WAIT_SPIN;
    return strcmp(option, "block") == 0 ? SHMRPC_WAIT_BLOCK : SHMRPC_WAIT_ADAPTIVE;
}

const char *peer_version(void)
{
    static char line[64];
    snprintf(line, sizeof line, "libshmrpc %s", shmrpc_version());
    return line;
}

static enum shmrpc_status echo(struct shmrpc_call *call, void *user)
{
    const char *data;
    size_t length;
    (void)user;
    enum shmrpc_status status = shmrpc_call_string(call, "message", &data, &length);
    if (status != SHMRPC_OK)
        return status;
    return shmrpc_call_answer_string(call, data, length);
}

static void on_terminate(int number)
{
    (void)number;
    shmrpc_server_stop(server);
}

int peer_serve(const struct peer_setup *setup, void (*ready)(void))
{
    struct shmrpc_error error;
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    options.buffer_bytes = setup->buffer_bytes;
    options.wait = policy(setup->option);
    options.error = &error;
    if (shmrpc_server_create(setup->endpoint, &options, &server) != SHMRPC_OK) {
        fprintf(stderr, "shmrpc_server_create: %s\n", error.text);
        return -1;
    }
    signal(SIGTERM, on_terminate);
    enum shmrpc_status status = shmrpc_server_register(server, "echo", echo, NULL);
    if (status == SHMRPC_OK) {
        ready();
        status = shmrpc_server_run(server);
    }
    if (status != SHMRPC_OK)
        fprintf(stderr, "serving: %s\n", shmrpc_server_error(server));
    signal(SIGTERM, SIG_DFL);
    shmrpc_server_close(&server);
    return status == SHMRPC_OK ? 0 : -1;
}

int peer_open(const struct peer_setup *setup)
{
    struct shmrpc_error error;
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    options.wait = policy(setup->option);
    options.error = &error;
    if (shmrpc_client_open(setup->endpoint, &options, &client) != SHMRPC_OK) {
        fprintf(stderr, "shmrpc_client_open: %s\n", error.text);
        return -1;
    }
    return 0;
}

int peer_call(const char *in, size_t length, const char **out, size_t *out_length)
{
    struct shmrpc_param message = shmrpc_param_string("message", in, length);
    enum shmrpc_status status = shmrpc_client_call(client, "echo", &message, 1, NULL);
    if (status == SHMRPC_OK)
        status = shmrpc_client_result_string(client, out, out_length);
    if (status != SHMRPC_OK) {
        fprintf(stderr, "echo: %s: %s\n", shmrpc_status_name(status), shmrpc_client_error(client));
        return -1;
    }
    return 0;
}

void peer_close(void)
{
    shmrpc_client_close(&client);
}

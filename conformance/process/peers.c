/* SPDX-License-Identifier: MIT */
#include "peers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum shmrpc_status echo(struct shmrpc_call *call, void *user)
{
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_call_param(call, "message", &value);

    (void)user;
    return status ? status : shmrpc_call_answer_json(call, value.text, value.length);
}

static enum shmrpc_status count(struct shmrpc_call *call, void *user)
{
    struct peer *peer = user;

    return shmrpc_call_answer_int64(call, ++peer->executed);
}

static enum shmrpc_status nap(struct shmrpc_call *call, void *user)
{
    struct peer *peer = user;
    int64_t milliseconds;
    enum shmrpc_status status = shmrpc_call_int64(call, "ms", &milliseconds);

    if (status)
        return status;
    peer->inside = 1;
    sleep_us((long)milliseconds * 1000);
    peer->executed++;
    return shmrpc_call_answer_null(call);
}

void peer_register(struct shmrpc_server *server, struct peer *peer)
{
    if (shmrpc_server_register(server, "echo", echo, peer) != SHMRPC_OK ||
        shmrpc_server_register(server, "count", count, peer) != SHMRPC_OK ||
        shmrpc_server_register(server, "nap", nap, peer) != SHMRPC_OK)
        abort();
}

static struct shmrpc_server *serving;

static void on_term(int number)
{
    (void)number;
    shmrpc_server_stop(serving);
}

static void report(struct peer *peer, enum shmrpc_status status, const char *text, int system_errno)
{
    peer->system_errno = system_errno;
    snprintf(peer->text, sizeof(peer->text), "%s", text);
    peer->status = (int)status;
}

int peer_serve(void *context)
{
    struct peer *peer = context;
    struct sigaction action = {.sa_handler = on_term};
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};

    if (peer->before)
        peer->before(peer);
    options.buffer_bytes = peer->buffer_bytes;
    options.timeout_ms = peer->timeout_ms;
    options.wait = peer->wait;
    options.error = &error;
    enum shmrpc_status status = shmrpc_server_create(peer->name, &options, &serving);

    if (status != SHMRPC_OK) {
        report(peer, status, error.text, error.system_errno);
        return 2;
    }
    peer_register(serving, peer);
    sigaction(SIGTERM, &action, NULL);
    peer->ready = 1;
    status = shmrpc_server_run(serving);
    report(peer, status, status == SHMRPC_OK ? "" : shmrpc_server_error(serving), 0);
    shmrpc_server_close(&serving);
    return status == SHMRPC_OK ? 0 : 3;
}

struct peer *peer_new(const char *what)
{
    struct peer *peer = shared_memory(sizeof(*peer));

    peer->name = channel_name(what);
    return peer;
}

bool peer_start(struct peer *peer)
{
    int64_t until = now_ns() + LIMIT_MS * INT64_C(1000000);

    peer->ready = 0;
    peer->status = 0;
    peer->pid = spawn_as(peer->uid ? peer->uid : geteuid(), peer_serve, peer);
    while (!peer->ready) {
        if (peer->status != 0 || now_ns() > until) {
            fprintf(stderr, "the server of %s did not start: %s\n", peer->name, peer->text);
            await_child(peer->pid, LIMIT_MS);
            return false;
        }
        sleep_us(200);
    }
    return true;
}

int peer_stop(struct peer *peer)
{
    kill(peer->pid, SIGTERM);
    return await_child(peer->pid, LIMIT_MS);
}

void peer_kill(struct peer *peer)
{
    kill_child(peer->pid);
}

enum shmrpc_status peer_open(const struct peer *peer, struct shmrpc_client **client)
{
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct shmrpc_error error;

    options.timeout_ms = LIMIT_MS;
    options.wait_for_server_ms = LIMIT_MS;
    options.wait_busy_ms = LIMIT_MS;
    options.wait = peer->wait;
    options.error = &error;
    enum shmrpc_status status = shmrpc_client_open(peer->name, &options, client);

    if (status != SHMRPC_OK)
        fprintf(stderr, "open %s: %s\n", peer->name, error.text);
    return status;
}

bool echo_works(struct shmrpc_client *client, const char *text)
{
    struct shmrpc_param message = shmrpc_param_string("message", text, strlen(text));
    const char *data;
    size_t length;
    enum shmrpc_status status = shmrpc_client_call(client, "echo", &message, 1, NULL);

    if (status != SHMRPC_OK) {
        fprintf(stderr, "echo: %s: %s\n", shmrpc_status_name(status), shmrpc_client_error(client));
        return false;
    }
    return shmrpc_client_result_string(client, &data, &length) == SHMRPC_OK &&
           length == strlen(text) && memcmp(data, text, length) == 0;
}

static int echo_once(void *context)
{
    struct peer *peer = context;
    struct shmrpc_client *client;

    if (peer_open(peer, &client) != SHMRPC_OK)
        return 1;
    bool works = echo_works(client, "one") && echo_works(client, "two");

    shmrpc_client_close(&client);
    return works ? 0 : 2;
}

bool peer_echo_works(struct peer *peer)
{
    return await_child(spawn_as(peer->uid ? peer->uid : geteuid(), echo_once, peer), LIMIT_MS) == 0;
}

enum shmrpc_status call_nap(struct shmrpc_client *client, int milliseconds)
{
    struct shmrpc_param ms = shmrpc_param_int64("ms", milliseconds);

    return shmrpc_client_call(client, "nap", &ms, 1, NULL);
}

/* SPDX-License-Identifier: MIT
 *
 * Either end of the byte pipe for the interop tests.
 *   pipe_peer serve NAME BUFFER-BYTES   sends every message back with its bytes inverted
 *   pipe_peer call NAME BUFFER-BYTES    each line of hex is sent; the answer is printed as hex;
 *                                       an empty line asks for everything printed so far
 */
#include "shmrpc.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TIMEOUT_MS = 10000
};

static volatile sig_atomic_t stopping;

static void stop(int number)
{
    (void)number;
    stopping = 1;
}

static void must(struct shmrpc_pipe *pipe, const char *what, enum shmrpc_status status)
{
    if (status == SHMRPC_OK)
        return;
    fprintf(stderr, "pipe_peer: %s: %s: %s\n", what, shmrpc_status_name(status),
            shmrpc_pipe_error(pipe));
    exit(1);
}

static void serve(struct shmrpc_pipe *pipe)
{
    unsigned char *answer = malloc(shmrpc_pipe_capacity(pipe));
    const void *data;
    size_t length;

    if (!answer)
        abort();
    puts("ready");
    fflush(stdout);
    while (!stopping) {
        enum shmrpc_status status = shmrpc_pipe_receive(pipe, &data, &length, 100);

        if (status == SHMRPC_TIMEOUT)
            continue;
        must(pipe, "receive", status);
        for (size_t i = 0; i < length; i++)
            answer[i] = (unsigned char)~((const unsigned char *)data)[i];
        must(pipe, "send", shmrpc_pipe_send(pipe, answer, length, TIMEOUT_MS));
    }
    free(answer);
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;

    if (!at)
        exit(2);
    return (int)(at - digits);
}

static void call(struct shmrpc_pipe *pipe)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t got;

    while ((got = getline(&line, &room, stdin)) > 0) {
        size_t length = (size_t)(got - 1) / 2;
        const void *data;

        if (got == 1) {
            fflush(stdout);
            continue;
        }
        /* A dot stands before the hex, so that an empty message is not an empty line. */
        for (size_t i = 0; i < length; i++)
            line[i] = (char)(digit(line[1 + 2 * i]) << 4 | digit(line[2 + 2 * i]));
        must(pipe, "send", shmrpc_pipe_send(pipe, line, length, TIMEOUT_MS));
        must(pipe, "receive", shmrpc_pipe_receive(pipe, &data, &length, TIMEOUT_MS));
        putchar('.');
        for (size_t i = 0; i < length; i++)
            printf("%02x", ((const unsigned char *)data)[i]);
        putchar('\n');
    }
    free(line);
}

int main(int argc, char **argv)
{
    struct shmrpc_server_options server_options = SHMRPC_SERVER_OPTIONS_INIT;
    struct shmrpc_client_options client_options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct sigaction action = {.sa_handler = stop};
    struct shmrpc_error error;
    struct shmrpc_pipe *pipe;

    if (argc != 4 || (strcmp(argv[1], "serve") != 0 && strcmp(argv[1], "call") != 0)) {
        fprintf(stderr, "usage: pipe_peer serve|call NAME BUFFER-BYTES\n");
        return 2;
    }
    bool server = strcmp(argv[1], "serve") == 0;

    sigaction(SIGTERM, &action, NULL);
    server_options.buffer_bytes = client_options.buffer_bytes = strtoul(argv[3], NULL, 10);
    server_options.error = client_options.error = &error;
    client_options.wait_for_server_ms = TIMEOUT_MS;
    if ((server ? shmrpc_pipe_create(argv[2], &server_options, &pipe)
                : shmrpc_pipe_open(argv[2], &client_options, &pipe)) != SHMRPC_OK) {
        fprintf(stderr, "pipe_peer: %s\n", error.text);
        return 1;
    }
    if (server)
        serve(pipe);
    else
        call(pipe);
    shmrpc_pipe_close(&pipe);
    return 0;
}

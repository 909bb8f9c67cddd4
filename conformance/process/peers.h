/* SPDX-License-Identifier: MIT
 *
 * A server in a child process for the whole-process tests, and short ways to call it.
 */
#ifndef PROCESS_PEERS_H
#define PROCESS_PEERS_H

#include "shmrpc.h"
#include "support.h"

#include <stdatomic.h>

/* In memory that the test and the child share. Zero means default. */
struct peer {
    const char *name;
    size_t buffer_bytes;
    int timeout_ms;
    enum shmrpc_wait wait;
    uid_t uid;                         /* 0: whoever we are */
    void (*before)(struct peer *peer); /* runs in the child before it creates the channel */
    pid_t pid;
    _Atomic int ready;
    _Atomic int executed; /* calls of count and of nap */
    _Atomic int inside;   /* a handler has been entered */
    _Atomic int status;   /* what create or run returned */
    int system_errno;
    char text[512];
};

/** What a server calls its methods: echo(message), count(), nap(ms): sleeps and counts. */
void peer_register(struct shmrpc_server *server, struct peer *peer);
/** Server of a child: create, register, run until SIGTERM, close. Exit status 0 after OK. */
int peer_serve(void *peer);

/** A peer with its own channel name. */
struct peer *peer_new(const char *what);
/** Start its server and wait until it serves. False if it ended instead. */
bool peer_start(struct peer *peer);
/** SIGTERM; exit status as await_child(). */
int peer_stop(struct peer *peer);
void peer_kill(struct peer *peer);

/** Attach with the time-outs of a patient test. */
enum shmrpc_status peer_open(const struct peer *peer, struct shmrpc_client **client);
/** Call echo with a string and compare. */
bool echo_works(struct shmrpc_client *client, const char *text);
/** Attach, call echo, detach: works as a whole? Run by a child of the peer's uid. */
bool peer_echo_works(struct peer *peer);
/** nap(ms). */
enum shmrpc_status call_nap(struct shmrpc_client *client, int milliseconds);

#endif

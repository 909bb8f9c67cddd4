/* SPDX-License-Identifier: MIT
 *
 * What a side looks after while it waits: a server its names and the slots that a dead client may
 * have left; a client the life of its server. And attaching, which waits for both.
 */
#ifndef SHMRPC_WATCH_H
#define SHMRPC_WATCH_H

#include "channel.h"

/** A server's view of its own channel between two looks. */
struct shmrpc_keeper {
    struct shmrpc_channel *channel;
    shmrpc_log *log; /* may be null */
    void *log_user;
    struct shmrpc_error *error; /* where failures are explained */
    int64_t looked_ns;
    struct shmrpc_channel_values values; /* that have not moved since since_ns */
    int64_t since_ns;                    /* 0: nothing is suspected */
};

/** shmrpc_watch for a server that is outside both slots; context is a shmrpc_keeper. Looks at most
 *  once every SHMRPC_RETRY_MS, however many signals come.
 *  @return OK, NOT_FOUND (a name is lost: SRPC-LIFE-006), PROTOCOL (truncated; broken is set). */
enum shmrpc_status shmrpc_watch_channel(void *keeper);
/** One log line. */
void shmrpc_watch_log(const struct shmrpc_keeper *keeper, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** shmrpc_watch for a client; context is its channel.
 *  @return OK, PEER_GONE_MAYBE_EXECUTED (the server is dead), PROTOCOL (truncated). */
enum shmrpc_status shmrpc_watch_server(void *channel);

/** Attach, waiting as long as the options say for a server, and for another client to leave.
 *  @param options not null. @return as shmrpc_client_open(). */
enum shmrpc_status shmrpc_watch_attach(const char *name,
                                       const struct shmrpc_client_options *options,
                                       struct shmrpc_channel **channel, struct shmrpc_error *error);

/** Whether a name and a client's options are in their ranges; INVALID with a text. */
enum shmrpc_status shmrpc_watch_check_options(const char *name,
                                              const struct shmrpc_client_options *options,
                                              struct shmrpc_error *error);

#endif

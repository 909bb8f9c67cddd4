/* SPDX-License-Identifier: MIT
 *
 * What people are told of a channel. Looks only: takes no lock and changes nothing (SRPC-OWN-007).
 */
#ifndef SHMRPC_TOOL_REPORT_H
#define SHMRPC_TOOL_REPORT_H

#include "name.h"

#include <sys/types.h>

enum shmrpc_owner_state {
    SHMRPC_OWNER_ALIVE,     /* a living server, or for an unmarked channel any living process */
    SHMRPC_OWNER_STALE,     /* proven dead: can be reclaimed */
    SHMRPC_OWNER_HALF_MADE, /* a living server is creating or closing it, or only pieces are left */
    SHMRPC_OWNER_UNDECIDED, /* no proof either way */
    SHMRPC_OWNER_FOREIGN    /* not a channel of our uid */
};

/** What can be seen of a channel from outside, without touching it. */
struct shmrpc_owner_report {
    enum shmrpc_owner_state state;
    bool marked;
    bool present[SHMRPC_OBJECT_COUNT];
    pid_t pid; /* 0: unknown */
    char program[256];
    size_t buffer_bytes; /* 0: unknown */
    int values[4];       /* req_empty, req_full, resp_empty, resp_full; -1: unknown */
    bool client;         /* a client holds the client lock */
    pid_t client_pid;    /* 0: unknown */
    char text[512];      /* why it is in this state */
};
void shmrpc_owner_inspect(const char *name, struct shmrpc_owner_report *report);

#endif

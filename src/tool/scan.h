/* SPDX-License-Identifier: MIT
 *
 * Which process holds a file, as /proc tells it. Best effort: for people, never for decisions.
 */
#ifndef SHMRPC_TOOL_SCAN_H
#define SHMRPC_TOOL_SCAN_H

#include "../limit.h"

#include <sys/types.h>

struct shmrpc_inode {
    dev_t device;
    ino_t inode;
};

/** The process that was found. */
struct shmrpc_holder {
    pid_t pid;         /* 0: none was found */
    char program[256]; /* path of its executable, or its name */
};

/** Look for a process, other than this one, that maps one of the inodes or has a descriptor of it.
 *  Processes that cannot be read are passed over. @return whether one was found. */
bool shmrpc_scan_holder(const struct shmrpc_inode *inodes, size_t count,
                        struct shmrpc_holder *holder);
/** Fill in a holder for a process that is known by its number, as it stands in /proc. */
void shmrpc_scan_describe(const char *pid, struct shmrpc_holder *holder);

#endif

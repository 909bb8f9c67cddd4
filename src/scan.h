/* SPDX-License-Identifier: MIT
 *
 * Which processes hold a file, as /proc tells it: the evidence where no lock speaks (SRPC-RECLAIM-005,
 * SRPC-RECLAIM-006). Slow; made on suspicion only.
 */
#ifndef SHMRPC_SCAN_H
#define SHMRPC_SCAN_H

#include "limit.h"

#include <sys/types.h>

struct shmrpc_inode {
    dev_t device;
    ino_t inode;
};

/** The process that was found, or that could not be looked into. */
struct shmrpc_holder {
    pid_t pid; /* 0: none was found */
    bool unreadable;
    char program[256]; /* path of its executable, or its name */
};

/** Look for a process of our uid, other than this one, that maps one of the inodes or has a
 *  descriptor of it.
 *  @return OK (there is none), BUSY (there is one, or one that could not be read: *holder), or
 *  SYSTEM (/proc cannot be read). */
enum shmrpc_status shmrpc_scan_holder(const struct shmrpc_inode *inodes, size_t count,
                                      struct shmrpc_holder *holder, struct shmrpc_error *error);
/** Fill in a holder for a process that is known by its number, as it stands in /proc. */
void shmrpc_scan_describe(const char *pid, struct shmrpc_holder *holder);
/** Whether the scan can see every process that shares our /dev/shm (SRPC-RECLAIM-012). */
bool shmrpc_scan_sees_all(void);

#endif

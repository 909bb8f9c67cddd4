/* SPDX-License-Identifier: MIT
 *
 * Who lives, as the kernel knows it: open-file-description (OFD) locks, which belong to an open
 * file and are dropped by the kernel when its last descriptor goes, however the process ends
 * (SRPC-OWN-001); leases, which prove that nobody else holds a file, also of those who take no
 * lock; and the one fork handler, without which a child would keep both alive.
 */
#ifndef SHMRPC_LOCK_H
#define SHMRPC_LOCK_H

#include "shmrpc.h"

/** Take the write lock on the whole file, without waiting. OK, BUSY (another open file has it) or
 *  SYSTEM (errno is set). */
enum shmrpc_status shmrpc_lock_take(int fd);
/** Give it back without closing the file. */
void shmrpc_lock_drop(int fd);
/** Whether another open file holds it, or the kernel does not say. Asks only; takes nothing. */
bool shmrpc_lock_held(int fd);

/** Take a lease: granted while no other open file of the inode exists anywhere, be it a descriptor
 *  or only a map, in whatever process or PID namespace; and until it is given back nobody can open
 *  the file (openers wait, or get EWOULDBLOCK if they asked for O_NONBLOCK). The kernel may tell
 *  this process of an opener by SIGURG, which is ignored by default.
 *  @return OK, BUSY (somebody has it open) or SYSTEM (no leases here; errno is set). */
enum shmrpc_status shmrpc_lease_take(int fd);
/** Give it back without closing the file. */
void shmrpc_lease_drop(int fd);

/** Something that must not survive into a forked child. Embedded in the object it is about. */
struct shmrpc_fork_node {
    struct shmrpc_fork_node *next;
    struct shmrpc_fork_node *previous;
    void (*in_child)(struct shmrpc_fork_node *node); /* closes and unmaps; async-signal-safe */
};

/** Keep other threads from forking while this one holds descriptors that no node knows of yet. A
 *  fork waits; so this is held over a few system calls only. Not recursive. */
void shmrpc_fork_block(void);
void shmrpc_fork_unblock(void);
/** Call in_child in every child forked from now on. Call while forks are blocked. */
void shmrpc_fork_add(struct shmrpc_fork_node *node, void (*in_child)(struct shmrpc_fork_node *));
/** No longer. Call while forks are blocked. */
void shmrpc_fork_remove(struct shmrpc_fork_node *node);

#endif

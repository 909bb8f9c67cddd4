/* SPDX-License-Identifier: MIT
 *
 * The registry of mapped ranges that the opt-in SIGBUS handler consults (SRPC-SIGBUS-001..). The
 * public half is shmrpc_sigbus_install() and shmrpc_sigbus_uninstall().
 *
 * Lock-free: a signal handler may run between any two instructions of any thread. Slots are
 * reused but never freed, so the handler can walk the list at any time.
 */
#ifndef SHMRPC_SIGBUS_H
#define SHMRPC_SIGBUS_H

#include "shmrpc.h"

struct shmrpc_sigbus_range;

/** Put a mapping under the handler's care. Null when memory is out. Thread safe. */
struct shmrpc_sigbus_range *shmrpc_sigbus_add(void *map, size_t bytes);
/** Take it out again, before it is unmapped. Thread safe. */
void shmrpc_sigbus_remove(struct shmrpc_sigbus_range *range);
/** Whether the handler had to replace a page of it. Thread safe. */
bool shmrpc_sigbus_hit(const struct shmrpc_sigbus_range *range);

#endif

/* SPDX-License-Identifier: MIT
 *
 * Who owns a name: publishing a channel where a dead server may have left one, and removing what is
 * proven dead. The living are never robbed: where there is no proof, the answer is BUSY.
 */
#ifndef SHMRPC_OWNER_H
#define SHMRPC_OWNER_H

#include "channel.h"

/** Publish a channel, reclaiming the name first if its owner is dead (SRPC-RECLAIM-001..).
 *  @return OK, BUSY (living, or not provably dead), SYSTEM (EPERM: an object that is not ours). */
enum shmrpc_status shmrpc_owner_publish(const char *name, size_t buffer_bytes,
                                        enum shmrpc_wait wait, struct shmrpc_channel **channel,
                                        struct shmrpc_error *error);
/** The same with a server's options. They and the name are checked first: INVALID with a text. */
enum shmrpc_status shmrpc_owner_create(const char *name,
                                       const struct shmrpc_server_options *options,
                                       struct shmrpc_channel **channel);
/** Remove everything under the name if it is proven dead.
 *  @return OK (nothing is left), BUSY, SYSTEM; on failure nothing was removed. */
enum shmrpc_status shmrpc_owner_reclaim(const char *name, struct shmrpc_error *error);

#endif

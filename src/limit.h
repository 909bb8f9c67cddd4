/* SPDX-License-Identifier: MIT
 *
 * Every constant of the protocol and of this implementation, with the spec id beside it.
 */
#ifndef SHMRPC_LIMIT_H
#define SHMRPC_LIMIT_H

#include "shmrpc.h"

#include <limits.h>
#include <semaphore.h>
#include <stdint.h>

enum {
    SHMRPC_LENGTH_WORD_BYTES = 4,    /* SRPC-FRAME-001 */
    SHMRPC_SEMAPHORE_BYTES = 32,     /* SRPC-SEM-001 */
    SHMRPC_OBJECT_MODE = 0600,       /* SRPC-OBJ-004 */
    SHMRPC_MARK = 01000,             /* SRPC-OWN-002: the sticky bit */
    SHMRPC_JSON_DEPTH = 1024,        /* SRPC-JSON-007 */
    SHMRPC_FILE_NAME_BYTES = 256,    /* NAME_MAX and a NUL */

    SHMRPC_SLICE_MS = 100,           /* SRPC-WAIT-004: how long one blocking wait lasts at most */
    SHMRPC_RETRY_MS = 5,             /* pause between two looks at a half-made channel */
    SHMRPC_CLOSING_GRACE_MS = 200,   /* SRPC-RECLAIM-007: for somebody who is closing or removing */
    SHMRPC_ATTACH_PATIENCE_MS = 1500, /* SRPC-ATTACH-013: for a repair by the server */
    SHMRPC_SPIN_MAX_NS = 50000,      /* longest spin of the adaptive policy */

    SHMRPC_ID_BYTES = 32             /* hex digits of a request id that we make */
};

_Static_assert(sizeof(sem_t) == SHMRPC_SEMAPHORE_BYTES, "glibc's 64-bit sem_t is the wire's");
_Static_assert(sizeof(uint32_t) == SHMRPC_LENGTH_WORD_BYTES, "the length word has 32 bits");
_Static_assert(SHMRPC_MAX_NAME_BYTES + sizeof("sem.srb_") - 1 + sizeof("_resp_empty") - 1 ==
                   NAME_MAX,
               "the longest derived file name is exactly NAME_MAX");
_Static_assert(SHMRPC_MIN_BUFFER_BYTES > SHMRPC_LENGTH_WORD_BYTES, "room for a message");
_Static_assert(SHMRPC_JSON_DEPTH <= 8 * sizeof(((struct shmrpc_writer *)0)->objects),
               "one bit a level");
_Static_assert(sizeof(size_t) == 8, "32-bit processes cannot share a channel (SRPC-SEM-003)");

#endif

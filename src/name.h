/* SPDX-License-Identifier: MIT
 *
 * Channel name -> the six object names, and back (SRPC-NAME-001..).
 */
#ifndef SHMRPC_NAME_H
#define SHMRPC_NAME_H

#include "limit.h"

/** The six kernel objects of a channel in the order of their creation (SRPC-OBJ-003). */
enum shmrpc_object {
    SHMRPC_OBJECT_REQ,
    SHMRPC_OBJECT_RESP,
    SHMRPC_OBJECT_REQ_EMPTY,
    SHMRPC_OBJECT_REQ_FULL,
    SHMRPC_OBJECT_RESP_EMPTY,
    SHMRPC_OBJECT_RESP_FULL,
    SHMRPC_OBJECT_COUNT
};

/** Whether name can name a channel: 1 .. 236 bytes, no '/'. Returns OK or INVALID with a text. */
enum shmrpc_status shmrpc_name_check(const char *name, struct shmrpc_error *error);

/** File name of an object below /dev/shm, for a name that passed the check. */
void shmrpc_name_object(const char *name, enum shmrpc_object object,
                        char file[SHMRPC_FILE_NAME_BYTES]);

/** The inverse: which object of which channel a file below /dev/shm is.
 *  @param name room for SHMRPC_MAX_NAME_BYTES + 1. @return false if it is none. */
bool shmrpc_name_parse(const char *file, char name[SHMRPC_MAX_NAME_BYTES + 1],
                       enum shmrpc_object *object);

#endif

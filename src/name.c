/* SPDX-License-Identifier: MIT */
#include "name.h"
#include "check.h"
#include "error.h"

#include <stdio.h>
#include <string.h>

/* glibc puts "sem." before the file name of a POSIX semaphore. No suffix is a suffix of another
 * with the same prefix, so the derivation is injective (SRPC-NAME-004). */
static const struct {
    const char *prefix;
    const char *suffix;
} parts[SHMRPC_OBJECT_COUNT] = {
    [SHMRPC_OBJECT_REQ] = {"srb_", "_req"},
    [SHMRPC_OBJECT_RESP] = {"srb_", "_resp"},
    [SHMRPC_OBJECT_REQ_EMPTY] = {"sem.srb_", "_req_empty"},
    [SHMRPC_OBJECT_REQ_FULL] = {"sem.srb_", "_req_full"},
    [SHMRPC_OBJECT_RESP_EMPTY] = {"sem.srb_", "_resp_empty"},
    [SHMRPC_OBJECT_RESP_FULL] = {"sem.srb_", "_resp_full"},
};

enum shmrpc_status shmrpc_name_check(const char *name, struct shmrpc_error *error)
{
    REQUIRE(name != NULL);
    _Static_assert(SHMRPC_MAX_NAME_BYTES < SHMRPC_FILE_NAME_BYTES, "a text shows the whole name");
    size_t length = strnlen(name, SHMRPC_MAX_NAME_BYTES + 1);
    /* SRPC-NAME-002 */
    if (length == 0)
        return shmrpc_error_set(error, SHMRPC_INVALID, "the channel name is empty");
    if (length > SHMRPC_MAX_NAME_BYTES)
        return shmrpc_error_set(error, SHMRPC_INVALID, "the channel name is longer than %d bytes",
                                SHMRPC_MAX_NAME_BYTES);
    /* SRPC-NAME-003 */
    if (memchr(name, '/', length) != NULL)
        return shmrpc_error_set(error, SHMRPC_INVALID, "the channel name \"%s\" contains '/'",
                                name);
    return SHMRPC_OK;
}

void shmrpc_name_object(const char *name, enum shmrpc_object object,
                        char file[SHMRPC_FILE_NAME_BYTES])
{
    REQUIRE(shmrpc_name_check(name, NULL) == SHMRPC_OK);
    REQUIRE((unsigned)object < SHMRPC_OBJECT_COUNT);
    /* SRPC-NAME-001, SRPC-NAME-005: the name's bytes as they are. */
    int length = snprintf(file, SHMRPC_FILE_NAME_BYTES, "%s%s%s", parts[object].prefix, name,
                          parts[object].suffix);
    ENSURE(length > 0);
    ENSURE(length < SHMRPC_FILE_NAME_BYTES);
}

bool shmrpc_name_parse(const char *file, char name[SHMRPC_MAX_NAME_BYTES + 1],
                       enum shmrpc_object *object)
{
    REQUIRE(file != NULL);
    REQUIRE(name != NULL);
    REQUIRE(object != NULL);
    size_t length = strlen(file);
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        size_t prefix = strlen(parts[i].prefix);
        size_t suffix = strlen(parts[i].suffix);
        if (length <= prefix + suffix || length - prefix - suffix > SHMRPC_MAX_NAME_BYTES)
            continue;
        if (memcmp(file, parts[i].prefix, prefix) != 0 ||
            memcmp(file + length - suffix, parts[i].suffix, suffix) != 0)
            continue;
        memcpy(name, file + prefix, length - prefix - suffix);
        name[length - prefix - suffix] = '\0';
        *object = (enum shmrpc_object)i;
        return true;
    }
    return false;
}

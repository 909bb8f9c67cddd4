/* SPDX-License-Identifier: MIT */
#include "owner.h"
#include "check.h"
#include "crash.h"
#include "error.h"
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The objects that stand under a channel's names now. */
struct remains {
    struct shmrpc_inode inodes[SHMRPC_OBJECT_COUNT];
    char files[SHMRPC_OBJECT_COUNT][SHMRPC_FILE_NAME_BYTES];
    bool marked[SHMRPC_OBJECT_COUNT];
    size_t count;
};

/* Collect them, except those that belong to own (may be null). What is no regular file of our uid
 * is nobody's channel: refused, and nothing is touched. */
static enum shmrpc_status collect(const char *name, struct shmrpc_channel *own,
                                  struct remains *remains, struct shmrpc_error *error)
{
    remains->count = 0;
    /* req is collected last, so that it is removed last (SRPC-RECLAIM-009). */
    for (unsigned i = SHMRPC_OBJECT_RESP; i <= SHMRPC_OBJECT_COUNT; i++) {
        enum shmrpc_object object = (enum shmrpc_object)(i % SHMRPC_OBJECT_COUNT);
        char *file = remains->files[remains->count];
        char path[SHMRPC_FILE_NAME_BYTES + 16];
        shmrpc_name_object(name, object, file);
        shmrpc_segment_path(file, path);
        struct stat status;
        if (lstat(path, &status) != 0 ||
            (own != NULL && shmrpc_segment_is(shmrpc_channel_object(own, object), file)))
            continue;
        errno = EPERM;
        /* SRPC-RECLAIM-001 */
        if (!S_ISREG(status.st_mode))
            return shmrpc_error_system(error, "%s is in the way and is not a regular file", path);
        if (status.st_uid != geteuid())
            return shmrpc_error_system(error, "%s is in the way and belongs to user %u", path,
                                       (unsigned)status.st_uid);
        remains->inodes[remains->count].device = status.st_dev;
        remains->inodes[remains->count].inode = status.st_ino;
        remains->marked[remains->count] = (status.st_mode & SHMRPC_MARK) != 0;
        remains->count++;
    }
    return SHMRPC_OK;
}

/* The proof for objects that no lock speaks for: nobody holds them.
 * @param dead_owner the lock on a marked req was got, which speaks for the marked ones. */
static enum shmrpc_status prove_abandoned(const char *name, const struct remains *remains,
                                          bool dead_owner, struct shmrpc_error *error)
{
    struct shmrpc_inode doubtful[SHMRPC_OBJECT_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < remains->count; i++)
        if (!(dead_owner && remains->marked[i]))
            doubtful[count++] = remains->inodes[i];
    /* SRPC-RECLAIM-004 */
    if (count == 0)
        return SHMRPC_OK;
    /* SRPC-RECLAIM-012 */
    if (!shmrpc_scan_sees_all())
        return shmrpc_error_set(error, SHMRPC_BUSY,
                                "the unmarked channel \"%s\" may be held outside this PID namespace",
                                name);
    struct shmrpc_holder holder;
    struct shmrpc_error scan;
    /* SRPC-RECLAIM-005, SRPC-RECLAIM-006 */
    enum shmrpc_status status = shmrpc_scan_holder(doubtful, count, &holder, &scan);
    if (status == SHMRPC_OK)
        return SHMRPC_OK;
    if (status == SHMRPC_SYSTEM) {
        errno = scan.system_errno;
        return shmrpc_error_system(error, "cannot look for holders of the channel \"%s\"", name);
    }
    return shmrpc_error_set(error, status, "the channel \"%s\" is %s", name, scan.text);
}

static enum shmrpc_status unlink_remains(const struct remains *remains, struct shmrpc_error *error)
{
    for (size_t i = 0; i < remains->count; i++) {
        char path[SHMRPC_FILE_NAME_BYTES + 16];
        struct stat status;
        shmrpc_segment_path(remains->files[i], path);
        CRASH_POINT("reclaim.unlink", remains->files[i]);
        /* A look before each: what was proven dead is this inode, not whatever has its name now. */
        if (lstat(path, &status) != 0 || status.st_dev != remains->inodes[i].device ||
            status.st_ino != remains->inodes[i].inode)
            continue;
        if (unlink(path) != 0 && errno != ENOENT)
            return shmrpc_error_system(error, "cannot remove %s", path);
        CRASH_POINT("reclaim.unlinked", remains->files[i]);
    }
    return SHMRPC_OK;
}

/* With the lock on req in our hand: a marked req's owner is dead, and so is whatever nobody holds.
 * SRPC-RECLAIM-010: req goes last, so a crash in here leaves the same case. */
static enum shmrpc_status remove_dead(const char *name, const struct shmrpc_segment *request,
                                      struct shmrpc_error *error)
{
    struct remains remains;
    enum shmrpc_status status = collect(name, NULL, &remains, error);
    if (status == SHMRPC_OK)
        status = prove_abandoned(name, &remains, request->marked, error);
    if (status == SHMRPC_OK)
        status = unlink_remains(&remains, error);
    return status;
}

/* One try at req. *again: it was replaced while we looked. */
static enum shmrpc_status reclaim_once(const char *name, bool *again, struct shmrpc_error *error)
{
    char file[SHMRPC_FILE_NAME_BYTES];
    struct shmrpc_segment request = SHMRPC_SEGMENT_INIT;
    *again = false;
    shmrpc_name_object(name, SHMRPC_OBJECT_REQ, file);
    enum shmrpc_status status = shmrpc_segment_open(file, 0, &request, error);
    if (status != SHMRPC_OK)
        return status;
    /* SRPC-RECLAIM-002, SRPC-OWN-008 */
    status = shmrpc_lock_take(request.fd);
    if (status == SHMRPC_BUSY)
        shmrpc_error_set(error, SHMRPC_BUSY, "a living server holds the channel \"%s\"", name);
    else if (status != SHMRPC_OK)
        shmrpc_error_system(error, "cannot lock the channel \"%s\"", name);
    /* SRPC-RECLAIM-003 */
    else if (!shmrpc_segment_is(&request, file))
        *again = true;
    else
        status = remove_dead(name, &request, error);
    shmrpc_segment_drop(&request);
    return status;
}

/* Have the name req free: not there, or removed with all that its dead owner left. */
static enum shmrpc_status free_name(const char *name, struct shmrpc_error *error)
{
    enum { TRIES = 100 };
    /* The descriptor that carries the lock must not slip into a child. */
    shmrpc_fork_block();
    enum shmrpc_status status = SHMRPC_OK;
    bool again = true;
    for (int i = 0; again && i < TRIES; i++)
        status = reclaim_once(name, &again, error);
    shmrpc_fork_unblock();
    if (again)
        return shmrpc_error_set(error, SHMRPC_BUSY, "the channel \"%s\" keeps changing", name);
    return status == SHMRPC_NOT_FOUND ? SHMRPC_OK : status;
}

/* SRPC-RECLAIM-007, SRPC-RECLAIM-008, SRPC-RECLAIM-013: req is ours, and pieces under the other names
 * are not. They belong to an original that is closing, so they may go by themselves; or to one that
 * died meanwhile. */
static enum shmrpc_status clear_pieces(struct shmrpc_channel *channel, struct shmrpc_error *error)
{
    int64_t until = shmrpc_now_ns() + SHMRPC_CLOSING_GRACE_MS * INT64_C(1000000);
    for (;;) {
        struct remains remains;
        enum shmrpc_status status = collect(channel->name, channel, &remains, error);
        if (status != SHMRPC_OK || remains.count == 0)
            return status;
        if (shmrpc_now_ns() < until) {
            shmrpc_sleep_ms(SHMRPC_RETRY_MS);
            continue;
        }
        status = prove_abandoned(channel->name, &remains, false, error);
        return status == SHMRPC_OK ? unlink_remains(&remains, error) : status;
    }
}

static enum shmrpc_status complete(struct shmrpc_channel *channel, struct shmrpc_error *error)
{
    enum shmrpc_status status = shmrpc_channel_complete(channel, error);
    if (status != SHMRPC_BUSY)
        return status;
    status = clear_pieces(channel, error);
    return status == SHMRPC_OK ? shmrpc_channel_complete(channel, error) : status;
}

/* SRPC-OBJ-002, SRPC-RECLAIM-011: linking req decides who is the owner. The lock may be held for a
 * moment by somebody who only removes what is dead; a living server holds it for longer. */
static enum shmrpc_status claim(const char *name, size_t buffer_bytes, enum shmrpc_wait wait,
                                struct shmrpc_channel **channel, struct shmrpc_error *error)
{
    int64_t until = shmrpc_now_ns() + SHMRPC_CLOSING_GRACE_MS * INT64_C(1000000);
    for (;;) {
        enum shmrpc_status status =
            shmrpc_channel_claim(name, buffer_bytes, wait, channel, error);
        if (status != SHMRPC_BUSY)
            return status;
        status = free_name(name, error);
        if (status != SHMRPC_OK && status != SHMRPC_BUSY)
            return status;
        if (shmrpc_now_ns() >= until)
            return status == SHMRPC_OK ? shmrpc_error_set(error, SHMRPC_BUSY,
                                                          "the channel \"%s\" keeps changing", name)
                                       : status;
        if (status == SHMRPC_BUSY)
            shmrpc_sleep_ms(SHMRPC_RETRY_MS);
    }
}

enum shmrpc_status shmrpc_owner_publish(const char *name, size_t buffer_bytes, enum shmrpc_wait wait,
                                        struct shmrpc_channel **channel,
                                        struct shmrpc_error *error)
{
    REQUIRE(shmrpc_name_check(name, NULL) == SHMRPC_OK);
    REQUIRE(channel != NULL);
    struct shmrpc_channel *made = NULL;
    enum shmrpc_status status = claim(name, buffer_bytes, wait, &made, error);
    if (status != SHMRPC_OK)
        return status;
    status = complete(made, error);
    if (status != SHMRPC_OK) {
        /* SRPC-LIFE-004: takes away what this creation linked, and nothing else. */
        shmrpc_channel_close(&made);
        return status;
    }
    ENSURE(made->complete);
    *channel = made;
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_owner_reclaim(const char *name, struct shmrpc_error *error)
{
    REQUIRE(shmrpc_name_check(name, NULL) == SHMRPC_OK);
    struct remains remains;
    enum shmrpc_status status = free_name(name, error);
    if (status == SHMRPC_OK)
        status = collect(name, NULL, &remains, error);
    if (status != SHMRPC_OK || remains.count == 0)
        return status;
    /* Pieces without a req: remove them under one of our own, so that no server is robbed that
     * appears meanwhile. */
    struct shmrpc_channel *own = NULL;
    status = claim(name, SHMRPC_MIN_BUFFER_BYTES, SHMRPC_WAIT_BLOCK, &own, error);
    if (status != SHMRPC_OK)
        return status;
    status = clear_pieces(own, error);
    shmrpc_channel_close(&own);
    return status;
}

enum shmrpc_status shmrpc_owner_check_options(const struct shmrpc_server_options *options,
                                              size_t *buffer_bytes, struct shmrpc_error *error)
{
    REQUIRE(options != NULL);
    REQUIRE(buffer_bytes != NULL);
    /* SRPC-LIMIT-002, SRPC-LIMIT-003 */
    if (options->buffer_bytes != 0 && (options->buffer_bytes < SHMRPC_MIN_BUFFER_BYTES ||
                                       options->buffer_bytes > SHMRPC_MAX_BUFFER_BYTES))
        return shmrpc_error_set(error, SHMRPC_INVALID, "buffer_bytes %zu is not in %d .. %u",
                                options->buffer_bytes, SHMRPC_MIN_BUFFER_BYTES,
                                SHMRPC_MAX_BUFFER_BYTES);
    /* SRPC-TIME-005 */
    if (options->timeout_ms < 0 && options->timeout_ms != SHMRPC_FOREVER)
        return shmrpc_error_set(error, SHMRPC_INVALID, "timeout_ms is negative");
    if (options->wait != SHMRPC_WAIT_ADAPTIVE && options->wait != SHMRPC_WAIT_SPIN &&
        options->wait != SHMRPC_WAIT_BLOCK)
        return shmrpc_error_set(error, SHMRPC_INVALID, "there is no such waiting policy");
    /* SRPC-LIMIT-001 */
    *buffer_bytes =
        options->buffer_bytes != 0 ? options->buffer_bytes : SHMRPC_DEFAULT_BUFFER_BYTES;
    return SHMRPC_OK;
}

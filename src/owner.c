/* SPDX-License-Identifier: MIT */
#include "owner.h"
#include "check.h"
#include "crash.h"
#include "error.h"

#include <stddef.h>

/* What stands under a channel's names beside req: opened, so that it can be looked at and leased.
 */
struct remains {
    struct shmrpc_segment pieces[SHMRPC_OBJECT_COUNT];
    char files[SHMRPC_OBJECT_COUNT][SHMRPC_FILE_NAME_BYTES];
    size_t count;
};

static void drop(struct remains *remains)
{
    REQUIRE(remains->count < SHMRPC_OBJECT_COUNT);
    for (size_t i = 0; i < remains->count; i++)
        shmrpc_segment_drop(&remains->pieces[i]);
    remains->count = 0;
}

/* Collect the pieces that are not own's (may be null). SRPC-RECLAIM-001: what is no regular file of
 * our uid and mode is nobody's channel: refused, and nothing is touched. */
static enum shmrpc_status collect(const char *name, struct shmrpc_channel *own,
                                  struct remains *remains, struct shmrpc_error *error)
{
    REQUIRE(own == NULL || own->side == SHMRPC_SIDE_SERVER);
    remains->count = 0;
    for (enum shmrpc_object object = SHMRPC_OBJECT_RESP; object < SHMRPC_OBJECT_COUNT; object++) {
        char *file = remains->files[remains->count];
        shmrpc_name_object(name, object, file);
        if (own != NULL && shmrpc_segment_is(shmrpc_channel_object(own, object), file))
            continue;
        enum shmrpc_status status =
            shmrpc_segment_open(file, 0, &remains->pieces[remains->count], error);
        if (status == SHMRPC_OK) {
            remains->count++;
        } else if (status != SHMRPC_NOT_FOUND) {
            drop(remains);
            return status;
        }
    }
    ENSURE(remains->count < SHMRPC_OBJECT_COUNT);
    return SHMRPC_OK;
}

/* SRPC-RECLAIM-005: no lock speaks for it, so the proof is that nobody else has it open or mapped;
 * and nobody can get it as long as the lease is held. */
static enum shmrpc_status prove_unheld(const struct shmrpc_segment *piece, const char *name,
                                       struct shmrpc_error *error)
{
    REQUIRE(piece->fd >= 0);
    REQUIRE(piece->map == NULL);
    CRASH_POINT("server.reclaim.lease", NULL);
    enum shmrpc_status status = shmrpc_lease_take(piece->fd);
    if (status == SHMRPC_BUSY)
        return shmrpc_error_set(error, SHMRPC_BUSY, "a living process holds the channel \"%s\"",
                                name);
    /* SRPC-RECLAIM-006 */
    if (status != SHMRPC_OK)
        return shmrpc_error_set(
            error, SHMRPC_BUSY,
            "the channel \"%s\" cannot be proven dead: this system has no leases", name);
    return SHMRPC_OK;
}

/* Remove the pieces once all of them are proven to be nobody's. */
static enum shmrpc_status remove_pieces(const struct remains *remains, bool dead_owner,
                                        const char *name, struct shmrpc_error *error)
{
    REQUIRE(remains->count < SHMRPC_OBJECT_COUNT);
    REQUIRE(name != NULL);
    enum shmrpc_status status = SHMRPC_OK;
    /* SRPC-RECLAIM-004: the lock on a marked req speaks for the marked pieces. */
    for (size_t i = 0; status == SHMRPC_OK && i < remains->count; i++)
        if (!(dead_owner && remains->pieces[i].marked))
            status = prove_unheld(&remains->pieces[i], name, error);
    for (size_t i = 0; status == SHMRPC_OK && i < remains->count; i++) {
        CRASH_POINT("server.reclaim.unlink", remains->files[i]);
        shmrpc_segment_unlink(&remains->pieces[i], remains->files[i]);
    }
    return status;
}

/* With the lock on req in our hand: a marked req's owner is dead, and so is whatever nobody holds.
 * SRPC-RECLAIM-009, SRPC-RECLAIM-010: req goes last, so a crash in here leaves the same case. */
static enum shmrpc_status remove_dead(const char *name, const struct shmrpc_segment *request,
                                      struct shmrpc_error *error)
{
    REQUIRE(request->fd >= 0);
    REQUIRE(request->map == NULL);
    char file[SHMRPC_FILE_NAME_BYTES];
    struct remains remains;
    /* The lease on req comes before the look at the others: an original that is still creating or
     * already closing holds it, and would add or take away pieces behind that look. */
    enum shmrpc_status status = request->marked ? SHMRPC_OK : prove_unheld(request, name, error);
    if (status == SHMRPC_OK)
        status = collect(name, NULL, &remains, error);
    if (status != SHMRPC_OK)
        return status;
    status = remove_pieces(&remains, request->marked, name, error);
    if (status == SHMRPC_OK) {
        shmrpc_name_object(name, SHMRPC_OBJECT_REQ, file);
        CRASH_POINT("server.reclaim.unlink", file);
        shmrpc_segment_unlink(request, file);
    }
    drop(&remains);
    ENSURE(remains.count == 0);
    return status;
}

/* One try at req. *again: it was replaced while we looked. */
static enum shmrpc_status reclaim_once(const char *name, bool *again, struct shmrpc_error *error)
{
    char file[SHMRPC_FILE_NAME_BYTES];
    struct shmrpc_segment request = SHMRPC_SEGMENT_INIT;
    *again = false;
    shmrpc_name_object(name, SHMRPC_OBJECT_REQ, file);
    CRASH_POINT("server.reclaim.open_req", NULL);
    enum shmrpc_status status = shmrpc_segment_open(file, 0, &request, error);
    if (status != SHMRPC_OK)
        return status;
    CRASH_POINT("server.reclaim.lock_req", NULL);
    /* SRPC-RECLAIM-002, SRPC-OWN-008 */
    status = shmrpc_lock_take(request.fd);
    CRASH_POINT("server.reclaim.check_name", NULL);
    if (status == SHMRPC_BUSY)
        shmrpc_error_set(error, SHMRPC_BUSY, "a living server holds the channel \"%s\"", name);
    else if (status != SHMRPC_OK)
        shmrpc_error_system(error, "cannot lock the channel \"%s\"", name);
    /* SRPC-RECLAIM-003 */
    else if (!shmrpc_segment_is(&request, file))
        *again = true;
    else
        status = remove_dead(name, &request, error);
    ENSURE(!*again || status == SHMRPC_OK);
    CRASH_POINT("server.reclaim.close_req", NULL);
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
    ENSURE(!again || status == SHMRPC_OK);
    if (again)
        return shmrpc_error_set(error, SHMRPC_BUSY, "the channel \"%s\" keeps changing", name);
    return status == SHMRPC_NOT_FOUND ? SHMRPC_OK : status;
}

/* Whether anything beside own's objects (own may be null) stands under the names behind req. */
static bool any_piece(const char *name, struct shmrpc_channel *own)
{
    REQUIRE(name != NULL);
    REQUIRE(own == NULL || !own->complete);
    for (enum shmrpc_object object = SHMRPC_OBJECT_RESP; object < SHMRPC_OBJECT_COUNT; object++) {
        char file[SHMRPC_FILE_NAME_BYTES];
        shmrpc_name_object(name, object, file);
        if (shmrpc_segment_named(file) &&
            (own == NULL || !shmrpc_segment_is(shmrpc_channel_object(own, object), file)))
            return true;
    }
    return false;
}

/* SRPC-RECLAIM-007, SRPC-RECLAIM-008, SRPC-RECLAIM-013: req is ours, and pieces under the other
 * names are not. They belong to an original that is closing, so they are given time to go by
 * themselves: it unlinks by name, and must not meet ours. Or to one that died meanwhile. */
static enum shmrpc_status clear_pieces(struct shmrpc_channel *channel, struct shmrpc_error *error)
{
    REQUIRE(channel->side == SHMRPC_SIDE_SERVER);
    REQUIRE(!channel->complete);
    const int64_t grace = SHMRPC_CLOSING_GRACE_MS * INT64_C(1000000);
    int64_t until = shmrpc_now_ns() + grace;
    while (any_piece(channel->name, channel)) {
        int64_t now = shmrpc_now_ns();
        if (now >= until) {
            /* Somebody who only looks, as people's tools do, holds a piece for a moment. */
            struct remains remains;
            CRASH_POINT("server.pieces.collect", NULL);
            shmrpc_fork_block();
            enum shmrpc_status status = collect(channel->name, channel, &remains, error);
            if (status == SHMRPC_OK)
                status = remove_pieces(&remains, false, channel->name, error);
            drop(&remains);
            shmrpc_fork_unblock();
            if (status != SHMRPC_BUSY || now >= until + grace)
                return status;
        }
        shmrpc_sleep_ms(SHMRPC_RETRY_MS);
    }
    return SHMRPC_OK;
}

/* SRPC-OBJ-002, SRPC-RECLAIM-011: linking req decides who is the owner. The lock may be held for a
 * moment by somebody who only removes what is dead; a living server holds it for longer. */
static enum shmrpc_status claim(const char *name, size_t buffer_bytes, enum shmrpc_wait wait,
                                struct shmrpc_channel **channel, struct shmrpc_error *error)
{
    enum { REMOVALS = 100 };
    int64_t until = shmrpc_now_ns() + SHMRPC_CLOSING_GRACE_MS * INT64_C(1000000);
    for (int removals = 0; removals < REMOVALS;) {
        enum shmrpc_status status = shmrpc_channel_claim(name, buffer_bytes, wait, channel, error);
        ENSURE((status == SHMRPC_OK) == (*channel != NULL));
        if (status != SHMRPC_BUSY)
            return status;
        status = free_name(name, error);
        /* However long that took, the name was free: only a try can tell whether it still is. */
        if (status == SHMRPC_OK) {
            removals++;
            continue;
        }
        if (status != SHMRPC_BUSY || shmrpc_now_ns() >= until)
            return status;
        shmrpc_sleep_ms(SHMRPC_RETRY_MS);
    }
    return shmrpc_error_set(error, SHMRPC_BUSY, "the channel \"%s\" keeps changing", name);
}

enum shmrpc_status shmrpc_owner_publish(const char *name, size_t buffer_bytes,
                                        enum shmrpc_wait wait, struct shmrpc_channel **channel,
                                        struct shmrpc_error *error)
{
    REQUIRE(shmrpc_name_check(name, NULL) == SHMRPC_OK);
    REQUIRE(channel != NULL);
    struct shmrpc_channel *made = NULL;
    enum shmrpc_status status = claim(name, buffer_bytes, wait, &made, error);
    if (status != SHMRPC_OK)
        return status;
    status = shmrpc_channel_complete(made, error);
    if (status == SHMRPC_BUSY) {
        status = clear_pieces(made, error);
        if (status == SHMRPC_OK)
            status = shmrpc_channel_complete(made, error);
    }
    if (status != SHMRPC_OK) {
        /* SRPC-LIFE-004: takes away what this creation linked, and nothing else. */
        shmrpc_channel_close(&made);
        return status;
    }
    ENSURE(made->complete);
    ENSURE(made->capacity == buffer_bytes - SHMRPC_LENGTH_WORD_BYTES);
    *channel = made;
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_owner_reclaim(const char *name, struct shmrpc_error *error)
{
    REQUIRE(shmrpc_name_check(name, NULL) == SHMRPC_OK);
    enum shmrpc_status status = free_name(name, error);
    ENSURE(status != SHMRPC_NOT_FOUND);
    if (status != SHMRPC_OK || !any_piece(name, NULL))
        return status;
    /* Pieces without a req: remove them under one of our own, so that no server is robbed that
     * appears meanwhile. */
    struct shmrpc_channel *own = NULL;
    status = claim(name, SHMRPC_MIN_BUFFER_BYTES, SHMRPC_WAIT_BLOCK, &own, error);
    if (status != SHMRPC_OK)
        return status;
    ENSURE(own != NULL);
    status = clear_pieces(own, error);
    shmrpc_channel_close(&own);
    ENSURE(own == NULL);
    return status;
}

enum shmrpc_status shmrpc_owner_create(const char *name,
                                       const struct shmrpc_server_options *options,
                                       struct shmrpc_channel **channel)
{
    REQUIRE(options != NULL);
    REQUIRE(channel != NULL);
    /* SRPC-LIMIT-001 */
    size_t bytes = options->buffer_bytes != 0 ? options->buffer_bytes : SHMRPC_DEFAULT_BUFFER_BYTES;
    enum shmrpc_status status = shmrpc_channel_check_options(name, bytes, SHMRPC_MIN_BUFFER_BYTES,
                                                             options->wait, options->error);
    if (status != SHMRPC_OK)
        return status;
    /* SRPC-TIME-005 */
    if (!shmrpc_time_valid(options->timeout_ms))
        return shmrpc_error_set(options->error, SHMRPC_INVALID, "timeout_ms is negative");
    return shmrpc_owner_publish(name, bytes, options->wait, channel, options->error);
}

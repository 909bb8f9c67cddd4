/* SPDX-License-Identifier: MIT */
#include "channel.h"
#include "check.h"
#include "crash.h"
#include "error.h"
#include "frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0x53524348 /* "SRCH" */ };

/* Crash points whose names tell the side, the slot, the semaphore. */
#define SIDE_POINT(channel, step, detail)                                                          \
    CRASH_POINT((channel)->side == SHMRPC_SIDE_CLIENT ? "client." step : "server." step, detail)
#define SLOT_POINT(channel, slot, step)                                                            \
    CRASH_POINT((channel)->side == SHMRPC_SIDE_CLIENT                                              \
                    ? (slot) == &(channel)->request ? "client.request." step                       \
                                                    : "client.response." step                      \
                : (slot) == &(channel)->request ? "server.request." step                           \
                                                : "server.response." step,                         \
                NULL)
#define SEMAPHORE_NAME(channel, semaphore)                                                         \
    ((semaphore) == &(channel)->request.empty    ? "req_empty"                                     \
     : (semaphore) == &(channel)->request.full   ? "req_full"                                      \
     : (semaphore) == &(channel)->response.empty ? "resp_empty"                                    \
                                                 : "resp_full")

static sem_t *semaphore(const struct shmrpc_segment *segment)
{
    REQUIRE(segment->map != NULL);
    return segment->map;
}

struct shmrpc_segment *shmrpc_channel_object(struct shmrpc_channel *channel,
                                             enum shmrpc_object object)
{
    REQUIRE(channel != NULL);
    REQUIRE((unsigned)object < SHMRPC_OBJECT_COUNT);
    struct shmrpc_segment *const objects[SHMRPC_OBJECT_COUNT] = {
        &channel->request.segment, &channel->response.segment, &channel->request.empty,
        &channel->request.full,    &channel->response.empty,   &channel->response.full,
    };
    return objects[object];
}

bool shmrpc_channel_check(const struct shmrpc_channel *channel)
{
    return channel != NULL && channel->magic == MAGIC &&
           (channel->side == SHMRPC_SIDE_SERVER || channel->side == SHMRPC_SIDE_CLIENT) &&
           (!channel->complete || atomic_load(&channel->orphaned) ||
            (channel->request.segment.map != NULL && channel->response.full.map != NULL));
}

enum shmrpc_status shmrpc_channel_check_options(const char *name, size_t buffer_bytes,
                                                size_t least_bytes, enum shmrpc_wait wait,
                                                struct shmrpc_error *error)
{
    REQUIRE(name != NULL);
    REQUIRE(least_bytes > SHMRPC_LENGTH_WORD_BYTES);
    /* SRPC-LIMIT-002, SRPC-LIMIT-003 */
    if (buffer_bytes != 0 && (buffer_bytes < least_bytes || buffer_bytes > SHMRPC_MAX_BUFFER_BYTES))
        return shmrpc_error_set(error, SHMRPC_INVALID, "buffer_bytes %zu is not in %zu .. %u",
                                buffer_bytes, least_bytes, SHMRPC_MAX_BUFFER_BYTES);
    if ((unsigned)wait > SHMRPC_WAIT_BLOCK)
        return shmrpc_error_set(error, SHMRPC_INVALID, "there is no such waiting policy");
    return shmrpc_name_check(name, error);
}

static struct shmrpc_channel *new_channel(const char *name, enum shmrpc_side side,
                                          enum shmrpc_wait wait)
{
    REQUIRE(shmrpc_name_check(name, NULL) == SHMRPC_OK);
    struct shmrpc_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL)
        return NULL;
    channel->magic = MAGIC;
    channel->side = side;
    memcpy(channel->name, name, strlen(name) + 1);
    for (enum shmrpc_object i = 0; i < SHMRPC_OBJECT_COUNT; i++)
        shmrpc_channel_object(channel, i)->fd = -1;
    shmrpc_spin_init(&channel->request.empty_spin, wait);
    channel->request.full_spin = channel->request.empty_spin;
    channel->response.empty_spin = channel->request.empty_spin;
    channel->response.full_spin = channel->request.empty_spin;
    ENSURE(shmrpc_channel_check(channel));
    return channel;
}

static void drop_all(struct shmrpc_channel *channel)
{
    INVARIANT(shmrpc_channel_check(channel));
    for (enum shmrpc_object i = 0; i < SHMRPC_OBJECT_COUNT; i++)
        shmrpc_segment_drop(shmrpc_channel_object(channel, i));
    ENSURE(channel->request.segment.map == NULL);
}

/* SRPC-FORK-002, SRPC-FORK-003: runs in the child, between fork and its return. */
static void in_child(struct shmrpc_fork_node *node)
{
    struct shmrpc_channel *channel =
        (struct shmrpc_channel *)(void *)((char *)node - offsetof(struct shmrpc_channel, fork));
    INVARIANT(shmrpc_channel_check(channel));
    atomic_store(&channel->orphaned, true);
    drop_all(channel);
}

static enum shmrpc_status make_all(struct shmrpc_channel *channel, size_t buffer_bytes,
                                   struct shmrpc_error *error)
{
    REQUIRE(channel->side == SHMRPC_SIDE_SERVER);
    REQUIRE(!channel->complete);
    channel->capacity = buffer_bytes - SHMRPC_LENGTH_WORD_BYTES;
    /* SRPC-OWN-003: all of it before any name. */
    for (enum shmrpc_object i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        CRASH_POINT("server.create.make", NULL);
        bool slot = i <= SHMRPC_OBJECT_RESP;
        struct shmrpc_segment *segment = shmrpc_channel_object(channel, i);
        /* SRPC-SEG-001, SRPC-SEM-001. SRPC-OWN-002: the mark says that the lock on req alone tells
         * whether the owner lives; all six carry it, so that pieces of different makers are told
         * apart. */
        enum shmrpc_status status =
            shmrpc_segment_make(slot ? buffer_bytes : SHMRPC_SEMAPHORE_BYTES,
                                SHMRPC_OBJECT_MODE | SHMRPC_MARK, segment, error);
        if (status != SHMRPC_OK)
            return status;
        /* SRPC-SEM-005: initialised before it has a name; SRPC-SEM-002: both slots are free. */
        if (!slot)
            shmrpc_wait_make(semaphore(segment),
                             i == SHMRPC_OBJECT_REQ_EMPTY || i == SHMRPC_OBJECT_RESP_EMPTY);
    }
    CRASH_POINT("server.create.lock", NULL);
    /* SRPC-OWN-001: the lock comes before the name, so no moment exists at which the name stands
     * and the owner cannot be told from a dead one. Nobody else can hold it yet. */
    if (shmrpc_lock_take(channel->request.segment.fd) != SHMRPC_OK)
        return shmrpc_error_system(error, "cannot lock the new request segment");
    char file[SHMRPC_FILE_NAME_BYTES];
    shmrpc_name_object(channel->name, SHMRPC_OBJECT_REQ, file);
    CRASH_POINT("server.create.link", file);
    return shmrpc_segment_link(&channel->request.segment, file, error);
}

enum shmrpc_status shmrpc_channel_claim(const char *name, size_t buffer_bytes,
                                        enum shmrpc_wait wait, struct shmrpc_channel **channel,
                                        struct shmrpc_error *error)
{
    REQUIRE(name != NULL);
    REQUIRE(channel != NULL);
    REQUIRE(buffer_bytes >= SHMRPC_MIN_BUFFER_BYTES);
    REQUIRE(buffer_bytes <= SHMRPC_MAX_BUFFER_BYTES);
    struct shmrpc_channel *made = new_channel(name, SHMRPC_SIDE_SERVER, wait);
    if (made == NULL)
        return shmrpc_error_system(error, "cannot allocate a channel");
    shmrpc_fork_block();
    enum shmrpc_status status = make_all(made, buffer_bytes, error);
    shmrpc_fork_add(&made->fork, in_child);
    shmrpc_fork_unblock();
    if (status != SHMRPC_OK) {
        shmrpc_channel_close(&made);
        return status;
    }
    ENSURE(shmrpc_channel_check(made));
    *channel = made;
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_channel_complete(struct shmrpc_channel *channel,
                                           struct shmrpc_error *error)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->side == SHMRPC_SIDE_SERVER);
    REQUIRE(!channel->complete);
    /* SRPC-OBJ-001, SRPC-OBJ-003, SRPC-OWN-005 */
    for (enum shmrpc_object i = SHMRPC_OBJECT_RESP; i < SHMRPC_OBJECT_COUNT; i++) {
        char file[SHMRPC_FILE_NAME_BYTES];
        shmrpc_name_object(channel->name, i, file);
        struct shmrpc_segment *segment = shmrpc_channel_object(channel, i);
        if (shmrpc_segment_is(segment, file))
            continue; /* linked by an earlier try */
        CRASH_POINT("server.create.link", file);
        enum shmrpc_status status = shmrpc_segment_link(segment, file, error);
        if (status != SHMRPC_OK)
            return status;
    }
    /* The two segments' descriptors carry the locks; the semaphores need none. A fork in between
     * would have its child close a number that is somebody else's by then. */
    shmrpc_fork_block();
    for (enum shmrpc_object i = SHMRPC_OBJECT_REQ_EMPTY; i < SHMRPC_OBJECT_COUNT; i++)
        shmrpc_segment_close_fd(shmrpc_channel_object(channel, i));
    shmrpc_fork_unblock();
    channel->complete = true;
    ENSURE(shmrpc_channel_check(channel));
    CRASH_POINT("server.serve", NULL);
    return SHMRPC_OK;
}

static enum shmrpc_status open_all(struct shmrpc_channel *channel, struct shmrpc_error *error)
{
    REQUIRE(channel->side == SHMRPC_SIDE_CLIENT);
    REQUIRE(!channel->complete);
    char file[SHMRPC_FILE_NAME_BYTES];
    /* SRPC-OBJ-005 */
    for (enum shmrpc_object i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        struct shmrpc_segment *object = shmrpc_channel_object(channel, i);
        shmrpc_name_object(channel->name, i, file);
        CRASH_POINT("client.attach.open", file);
        /* SRPC-ATTACH-006 */
        size_t least =
            i <= SHMRPC_OBJECT_RESP ? SHMRPC_LENGTH_WORD_BYTES + 1 : SHMRPC_SEMAPHORE_BYTES;
        enum shmrpc_status status = shmrpc_segment_open(file, least, object, error);
        if (i == SHMRPC_OBJECT_REQ && status == SHMRPC_NOT_FOUND)
            return shmrpc_error_set(error, SHMRPC_NOT_FOUND, "there is no channel \"%s\"",
                                    channel->name);
        /* SRPC-ATTACH-008: missing or still too small, it may be on its way. SRPC-ATTACH-014:
         * beside a marked req, an unmarked piece is somebody else's leftover. */
        if (status == SHMRPC_NOT_FOUND || status == SHMRPC_PROTOCOL ||
            (status == SHMRPC_OK && channel->request.segment.marked && !object->marked))
            return shmrpc_error_set(error, SHMRPC_NOT_FOUND, "the channel \"%s\" is only half made",
                                    channel->name);
        if (status != SHMRPC_OK)
            return status;
    }
    /* SRPC-ATTACH-007: all six of one generation. */
    shmrpc_name_object(channel->name, SHMRPC_OBJECT_REQ, file);
    CRASH_POINT("client.attach.check_name", NULL);
    if (!shmrpc_segment_is(&channel->request.segment, file))
        return shmrpc_error_set(error, SHMRPC_NOT_FOUND, "the channel \"%s\" is being replaced",
                                channel->name);
    CRASH_POINT("client.attach.check_lock", NULL);
    /* SRPC-ATTACH-009 */
    if (shmrpc_channel_server_dead(channel))
        return shmrpc_error_set(error, SHMRPC_NOT_FOUND, "the server of the channel \"%s\" is dead",
                                channel->name);
    return SHMRPC_OK;
}

static enum shmrpc_status map_slot(struct shmrpc_channel_slot *slot, size_t bytes,
                                   struct shmrpc_error *error)
{
    REQUIRE(bytes > SHMRPC_LENGTH_WORD_BYTES);
    /* SRPC-SEG-002, SRPC-SEG-003 */
    if (slot->segment.bytes < bytes)
        return shmrpc_error_set(error, SHMRPC_TOO_LARGE,
                                "the segment has %zu bytes, fewer than the %zu asked for",
                                slot->segment.bytes, bytes);
    enum shmrpc_status status = shmrpc_segment_map(&slot->segment, bytes, error);
    if (status == SHMRPC_OK)
        status = shmrpc_segment_map(&slot->empty, SHMRPC_SEMAPHORE_BYTES, error);
    if (status == SHMRPC_OK)
        status = shmrpc_segment_map(&slot->full, SHMRPC_SEMAPHORE_BYTES, error);
    shmrpc_segment_close_fd(&slot->empty);
    shmrpc_segment_close_fd(&slot->full);
    ENSURE(status != SHMRPC_OK || slot->full.map != NULL);
    return status;
}

static enum shmrpc_status open_and_lock(struct shmrpc_channel *channel, size_t buffer_bytes,
                                        struct shmrpc_error *error)
{
    enum shmrpc_status status = open_all(channel, error);
    if (status != SHMRPC_OK)
        return status;
    CRASH_POINT("client.attach.lock_resp", NULL);
    /* SRPC-ATTACH-010, SRPC-ATTACH-011. Before anything is mapped, so that a client that is turned
     * away was hardly there. */
    status = shmrpc_lock_take(channel->response.segment.fd);
    if (status == SHMRPC_BUSY)
        return shmrpc_error_set(error, SHMRPC_BUSY, "another client uses the channel \"%s\"",
                                channel->name);
    if (status != SHMRPC_OK)
        return shmrpc_error_system(error, "cannot take the client lock");
    CRASH_POINT("client.attach.map", NULL);
    if (buffer_bytes == 0) {
        /* SRPC-LIMIT-004 */
        size_t request = channel->request.segment.bytes;
        size_t response = channel->response.segment.bytes;
        size_t smaller = request < response ? request : response;
        buffer_bytes = smaller < SHMRPC_MAX_BUFFER_BYTES ? smaller : SHMRPC_MAX_BUFFER_BYTES;
    }
    channel->capacity = buffer_bytes - SHMRPC_LENGTH_WORD_BYTES;
    status = map_slot(&channel->request, buffer_bytes, error);
    if (status == SHMRPC_OK)
        status = map_slot(&channel->response, buffer_bytes, error);
    channel->complete = status == SHMRPC_OK;
    ENSURE(shmrpc_channel_check(channel));
    return status;
}

/* What the last client left behind, seen under the client lock. Nobody but the server can be inside
 * a slot legitimately then, and it never stays: what remains at 0/0 was left by a dead client, and
 * the server repairs it only when no client is there. */
static enum shmrpc_status settle(struct shmrpc_channel *channel, struct shmrpc_error *error)
{
    enum { LOOKS = 20 };
    REQUIRE(channel->side == SHMRPC_SIDE_CLIENT);
    /* SRPC-ATTACH-012 */
    shmrpc_channel_discard_response(channel);
    /* SRPC-SEM-007 */
    if (channel->broken)
        return shmrpc_error_set(error, SHMRPC_PROTOCOL,
                                "a semaphore of the channel \"%s\" is none", channel->name);
    CRASH_POINT("client.attach.check_slots", NULL);
    /* SRPC-ATTACH-013: of an original nobody repairs; there the calls' deadlines speak. */
    bool request = !channel->request.segment.marked;
    bool response = request;
    for (int looks = 0; !request || !response; looks++) {
        if (looks == LOOKS)
            return shmrpc_error_set(
                error, SHMRPC_TIMEOUT,
                "the server of \"%s\" has yet to repair what a dead client left", channel->name);
        if (looks > 0)
            shmrpc_sleep_ms(1);
        struct shmrpc_channel_values now = shmrpc_channel_values(channel);
        request = request || now.value[0] + now.value[1] != 0;
        response = response || now.value[2] + now.value[3] != 0;
    }
    ENSURE(!channel->inside);
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_channel_attach(const char *name, size_t buffer_bytes,
                                         enum shmrpc_wait wait, struct shmrpc_channel **channel,
                                         struct shmrpc_error *error)
{
    REQUIRE(name != NULL);
    REQUIRE(channel != NULL);
    REQUIRE(buffer_bytes == 0 || buffer_bytes > SHMRPC_LENGTH_WORD_BYTES);
    struct shmrpc_channel *made = new_channel(name, SHMRPC_SIDE_CLIENT, wait);
    if (made == NULL)
        return shmrpc_error_system(error, "cannot allocate a channel");
    shmrpc_fork_block();
    enum shmrpc_status status = open_and_lock(made, buffer_bytes, error);
    shmrpc_fork_add(&made->fork, in_child);
    shmrpc_fork_unblock();
    if (status == SHMRPC_OK)
        status = settle(made, error);
    if (status != SHMRPC_OK) {
        shmrpc_channel_close(&made);
        return status;
    }
    ENSURE(made->complete);
    ENSURE(shmrpc_channel_check(made));
    *channel = made;
    return SHMRPC_OK;
}

/* SRPC-LIFE-002, SRPC-LIFE-005, SRPC-OWN-005: req goes last, so that whoever finds it gone finds
 * nothing else of this generation in the way. */
static void unlink_all(struct shmrpc_channel *channel)
{
    REQUIRE(channel->side == SHMRPC_SIDE_SERVER);
    REQUIRE(!atomic_load(&channel->orphaned));
    for (unsigned i = SHMRPC_OBJECT_RESP; i <= SHMRPC_OBJECT_COUNT; i++) {
        enum shmrpc_object object = (enum shmrpc_object)(i % SHMRPC_OBJECT_COUNT);
        char file[SHMRPC_FILE_NAME_BYTES];
        shmrpc_name_object(channel->name, object, file);
        CRASH_POINT("server.close.unlink", file);
        shmrpc_segment_unlink(shmrpc_channel_object(channel, object), file);
    }
}

void shmrpc_channel_retire(struct shmrpc_channel *channel)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->side == SHMRPC_SIDE_SERVER);
    unlink_all(channel);
    shmrpc_lock_drop(channel->request.segment.fd);
}

void shmrpc_channel_close(struct shmrpc_channel **channel)
{
    REQUIRE(channel != NULL);
    if (*channel == NULL)
        return;
    INVARIANT(shmrpc_channel_check(*channel));
    /* SRPC-FORK-004, SRPC-LIFE-003 */
    if ((*channel)->side == SHMRPC_SIDE_SERVER && !atomic_load(&(*channel)->orphaned))
        unlink_all(*channel);
    SIDE_POINT(*channel, "detach", NULL);
    shmrpc_fork_block();
    shmrpc_fork_remove(&(*channel)->fork);
    drop_all(*channel);
    shmrpc_fork_unblock();
    (*channel)->magic = 0;
    free(*channel);
    *channel = NULL;
}

/* SRPC-HAND-003 */
static struct shmrpc_channel_slot *outgoing(struct shmrpc_channel *channel)
{
    return channel->side == SHMRPC_SIDE_CLIENT ? &channel->request : &channel->response;
}

static struct shmrpc_channel_slot *incoming(struct shmrpc_channel *channel)
{
    return channel->side == SHMRPC_SIDE_CLIENT ? &channel->response : &channel->request;
}

static enum shmrpc_status take(struct shmrpc_channel *channel, struct shmrpc_segment *segment,
                               struct shmrpc_spin *spin, struct shmrpc_deadline *deadline)
{
    enum shmrpc_status status = shmrpc_wait_take(semaphore(segment), spin, deadline);
    /* SRPC-SEM-007 */
    if (status == SHMRPC_PROTOCOL)
        channel->broken = true;
    return status;
}

static enum shmrpc_status post(struct shmrpc_channel *channel, struct shmrpc_segment *segment)
{
    enum shmrpc_status status = shmrpc_wait_post(semaphore(segment));
    if (status == SHMRPC_PROTOCOL)
        channel->broken = true;
    SIDE_POINT(channel, "posted", SEMAPHORE_NAME(channel, segment));
    return status;
}

/* SRPC-HAND-001: take(empty), write, post(full). The take is an acquire that orders our writes
 * behind the reader's reads; the post a release that orders them before the reader's take
 * (SRPC-MEM-001). */
enum shmrpc_status shmrpc_channel_begin(struct shmrpc_channel *channel,
                                        struct shmrpc_deadline *deadline, char **body,
                                        size_t *capacity)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->complete);
    REQUIRE(!channel->inside);
    REQUIRE(body != NULL);
    struct shmrpc_channel_slot *slot = outgoing(channel);
    SLOT_POINT(channel, slot, "wait_empty");
    enum shmrpc_status status = take(channel, &slot->empty, &slot->empty_spin, deadline);
    if (status != SHMRPC_OK)
        return status;
    SLOT_POINT(channel, slot, "copy_begin");
    channel->inside = true;
    *body = shmrpc_channel_body(channel, capacity);
    ENSURE(*body != NULL);
    return SHMRPC_OK;
}

char *shmrpc_channel_body(struct shmrpc_channel *channel, size_t *capacity)
{
    REQUIRE(channel->inside);
    REQUIRE(capacity != NULL);
    *capacity = channel->capacity;
    return shmrpc_frame_body(outgoing(channel)->segment.map);
}

enum shmrpc_status shmrpc_channel_commit(struct shmrpc_channel *channel, size_t length)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->inside);
    REQUIRE(length <= channel->capacity);
    struct shmrpc_channel_slot *slot = outgoing(channel);
    SLOT_POINT(channel, slot, "copy_end");
    shmrpc_frame_seal(slot->segment.map, channel->capacity, length);
    channel->inside = false;
    SLOT_POINT(channel, slot, "post_full");
    return post(channel, &slot->full);
}

enum shmrpc_status shmrpc_channel_abandon(struct shmrpc_channel *channel)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->inside);
    struct shmrpc_channel_slot *slot = outgoing(channel);
    shmrpc_frame_clear(slot->segment.map);
    channel->inside = false;
    SLOT_POINT(channel, slot, "abandon");
    return post(channel, &slot->empty);
}

/* Whoever receives is going to send. The lines that this begins with come from the peer's cache
 * while the message is read. */
static void fetch_outgoing(struct shmrpc_channel *channel)
{
    const struct shmrpc_channel_slot *slot = outgoing(channel);
    REQUIRE(slot->empty.map != NULL);
    REQUIRE(slot->segment.map != NULL);
    const char *const begin = slot->segment.map;
    const char *const lines[] = {slot->empty.map, begin, begin + 64};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
#if defined(__x86_64__)
        __asm__ volatile("prefetchw %0" : : "m"(*lines[i]));
#else
        __builtin_prefetch(lines[i], 1);
#endif
}

/* SRPC-HAND-005: every take is followed by the post of the other semaphore of its pair.
 * SRPC-HAND-002: take(full), read, post(empty). The take is an acquire that orders our reads behind
 * the writer's writes; the post a release that orders them before its next ones (SRPC-MEM-002). */
enum shmrpc_status shmrpc_channel_receive(struct shmrpc_channel *channel,
                                          struct shmrpc_deadline *deadline, void *out,
                                          size_t *length)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->complete);
    REQUIRE(out != NULL);
    REQUIRE(length != NULL);
    struct shmrpc_channel_slot *slot = incoming(channel);
    SLOT_POINT(channel, slot, "wait_full");
    enum shmrpc_status status = take(channel, &slot->full, &slot->full_spin, deadline);
    if (status != SHMRPC_OK)
        return status;
    fetch_outgoing(channel);
    SLOT_POINT(channel, slot, "copy_begin");
    enum shmrpc_status read = shmrpc_frame_read(slot->segment.map, channel->capacity, out, length);
    SLOT_POINT(channel, slot, "post_empty");
    /* SRPC-RECOVER-001: whatever stood there, the slot is free again. */
    status = post(channel, &slot->empty);
    ENSURE(read != SHMRPC_OK || *length <= channel->capacity);
    return status != SHMRPC_OK ? status : read;
}

bool shmrpc_channel_withdraw(struct shmrpc_channel *channel, const void *prefix, size_t length)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->side == SHMRPC_SIDE_CLIENT);
    REQUIRE(channel->complete);
    REQUIRE(!channel->inside);
    REQUIRE(length <= channel->capacity);
    struct shmrpc_channel_slot *slot = &channel->request;
    CRASH_POINT("client.withdraw.trywait_full", NULL);
    /* SRPC-CALL-007, SRPC-RECOVER-003: with the token in our hand no server can take it. */
    if (channel->broken || !shmrpc_wait_try(semaphore(&slot->full)))
        return false;
    CRASH_POINT("client.withdraw.compare", NULL);
    /* SRPC-RECOVER-004 */
    if (!shmrpc_frame_begins(slot->segment.map, channel->capacity, prefix, length)) {
        CRASH_POINT("client.withdraw.put_back", NULL);
        (void)post(channel, &slot->full);
        return false;
    }
    CRASH_POINT("client.withdraw.zero", NULL);
    shmrpc_frame_clear(slot->segment.map);
    CRASH_POINT("client.withdraw.post_empty", NULL);
    return post(channel, &slot->empty) == SHMRPC_OK;
}

void shmrpc_channel_discard_response(struct shmrpc_channel *channel)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->complete);
    struct shmrpc_channel_slot *slot = &channel->response;
    SIDE_POINT(channel, "discard.trywait_full", NULL);
    if (!shmrpc_wait_try(semaphore(&slot->full)))
        return;
    SIDE_POINT(channel, "discard.zero", NULL);
    shmrpc_frame_clear(slot->segment.map);
    /* A stray post beside a free slot announced nothing; taking its token was the whole cure. */
    SIDE_POINT(channel, "discard.post_empty", NULL);
    if (shmrpc_wait_value(semaphore(&slot->empty)) == 0)
        (void)post(channel, &slot->empty);
}

bool shmrpc_channel_server_dead(const struct shmrpc_channel *channel)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->side == SHMRPC_SIDE_CLIENT);
    /* SRPC-OWN-006, SRPC-OWN-007; SRPC-RECOVER-005: unmarked, a free lock proves nothing. */
    return channel->request.segment.marked && !shmrpc_lock_held(channel->request.segment.fd);
}

bool shmrpc_channel_lock_clients_out(struct shmrpc_channel *channel)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->side == SHMRPC_SIDE_SERVER);
    REQUIRE(channel->complete);
    CRASH_POINT("server.repair.lease_resp", NULL);
    return shmrpc_lease_take(channel->response.segment.fd) == SHMRPC_OK;
}

void shmrpc_channel_let_clients_in(struct shmrpc_channel *channel)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->side == SHMRPC_SIDE_SERVER);
    REQUIRE(channel->complete);
    CRASH_POINT("server.repair.release_resp", NULL);
    shmrpc_lease_drop(channel->response.segment.fd);
}

bool shmrpc_channel_names_held(struct shmrpc_channel *channel)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->complete);
    for (enum shmrpc_object i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        char file[SHMRPC_FILE_NAME_BYTES];
        shmrpc_name_object(channel->name, i, file);
        if (!shmrpc_segment_is(shmrpc_channel_object(channel, i), file))
            return false;
    }
    return true;
}

bool shmrpc_channel_truncated(struct shmrpc_channel *channel)
{
    INVARIANT(shmrpc_channel_check(channel));
    for (enum shmrpc_object i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        struct shmrpc_segment *segment = shmrpc_channel_object(channel, i);
        if (segment->range != NULL && shmrpc_sigbus_hit(segment->range))
            return true;
    }
    return false;
}

struct shmrpc_channel_values shmrpc_channel_values(const struct shmrpc_channel *channel)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->complete);
    return (struct shmrpc_channel_values){{
        shmrpc_wait_value(semaphore(&channel->request.empty)),
        shmrpc_wait_value(semaphore(&channel->request.full)),
        shmrpc_wait_value(semaphore(&channel->response.empty)),
        shmrpc_wait_value(semaphore(&channel->response.full)),
    }};
}

bool shmrpc_channel_suspicious(const struct shmrpc_channel_values *values)
{
    REQUIRE(values != NULL);
    bool request_stuck = values->value[0] == 0 && values->value[1] == 0;
    bool response_stuck = values->value[2] == 0;
    return request_stuck || response_stuck;
}

const char *shmrpc_channel_repair(struct shmrpc_channel *channel,
                                  const struct shmrpc_channel_values *proven)
{
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(proven != NULL);
    /* SRPC-RECOVER-006 */
    REQUIRE(channel->side == SHMRPC_SIDE_SERVER);
    REQUIRE(channel->complete);
    REQUIRE(!channel->inside);
    struct shmrpc_channel_values now = shmrpc_channel_values(channel);
    if (memcmp(&now, proven, sizeof now) != 0)
        return NULL;
    const char *done = NULL;
    /* SRPC-RECOVER-008: died between take(req_empty) and post(req_full). */
    if (proven->value[0] == 0 && proven->value[1] == 0) {
        shmrpc_frame_clear(channel->request.segment.map);
        CRASH_POINT("server.repair.post_req_empty", NULL);
        (void)post(channel, &channel->request.empty);
        done = "freed the request slot that a dead client had taken";
    }
    /* SRPC-RECOVER-010: died before it collected. */
    if (proven->value[3] == 1) {
        shmrpc_channel_discard_response(channel);
        done = "discarded the response that a dead client had not collected";
    } else if (proven->value[2] == 0 && proven->value[3] == 0) {
        /* SRPC-RECOVER-011: died between take(resp_full) and post(resp_empty). */
        shmrpc_frame_clear(channel->response.segment.map);
        CRASH_POINT("server.repair.reuse_resp", NULL);
        (void)post(channel, &channel->response.empty);
        done = "freed the response slot that a dead client was reading";
    }
    return done;
}

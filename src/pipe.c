/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "error.h"
#include "frame.h"
#include "owner.h"
#include "watch.h"

#include <stdlib.h>
#include <string.h>

enum { PIPE_MAGIC = 0x53525650 /* "SRVP" */, PREFIX_BYTES = 64 };

struct shmrpc_pipe {
    uint32_t magic;
    struct shmrpc_channel *channel;
    struct shmrpc_keeper keeper; /* server side */
    struct shmrpc_error error;
    char *buffer;
    char prefix[PREFIX_BYTES]; /* of the request sent last, to know it again in the slot */
    size_t prefix_length;
    bool sent; /* a request that may have been taken */
};

static bool pipe_ok(const struct shmrpc_pipe *pipe)
{
    return pipe != NULL && pipe->magic == PIPE_MAGIC && pipe->channel != NULL &&
           pipe->prefix_length <= PREFIX_BYTES;
}

/* Takes over the channel, also on failure. */
static enum shmrpc_status new_pipe(struct shmrpc_channel *channel, struct shmrpc_pipe **pipe,
                                   struct shmrpc_error *error)
{
    REQUIRE(channel->complete);
    REQUIRE(!channel->inside);
    struct shmrpc_pipe *made = calloc(1, sizeof *made);
    if (made != NULL)
        made->buffer = shmrpc_frame_alloc(channel->capacity);
    if (made == NULL || made->buffer == NULL) {
        free(made);
        shmrpc_channel_close(&channel);
        return shmrpc_error_system(error, "cannot allocate a pipe");
    }
    made->magic = PIPE_MAGIC;
    made->channel = channel;
    made->keeper.channel = channel;
    made->keeper.error = &made->error;
    ENSURE(pipe_ok(made));
    ENSURE(!made->sent);
    *pipe = made;
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_pipe_create(const char *name, const struct shmrpc_server_options *options,
                                      struct shmrpc_pipe **pipe)
{
    static const struct shmrpc_server_options defaults = SHMRPC_SERVER_OPTIONS_INIT;
    REQUIRE(name != NULL);
    REQUIRE(pipe != NULL);
    if (options == NULL)
        options = &defaults;
    struct shmrpc_channel *channel = NULL;
    enum shmrpc_status status = shmrpc_owner_create(name, options, &channel);
    if (status == SHMRPC_OK)
        status = new_pipe(channel, pipe, options->error);
    if (status == SHMRPC_OK) {
        (*pipe)->keeper.log = options->log;
        (*pipe)->keeper.log_user = options->log_user;
    }
    return status;
}

enum shmrpc_status shmrpc_pipe_open(const char *name, const struct shmrpc_client_options *options,
                                    struct shmrpc_pipe **pipe)
{
    static const struct shmrpc_client_options defaults = SHMRPC_CLIENT_OPTIONS_INIT;
    REQUIRE(name != NULL);
    REQUIRE(pipe != NULL);
    if (options == NULL)
        options = &defaults;
    struct shmrpc_channel *channel = NULL;
    enum shmrpc_status status = shmrpc_watch_check_options(name, options, options->error);
    if (status == SHMRPC_OK)
        status = shmrpc_watch_attach(name, options, &channel, options->error);
    return status == SHMRPC_OK ? new_pipe(channel, pipe, options->error) : status;
}

static enum shmrpc_status check_use(struct shmrpc_pipe *pipe, int timeout_ms)
{
    if (!shmrpc_time_valid(timeout_ms))
        return shmrpc_error_set(&pipe->error, SHMRPC_INVALID, "timeout_ms is negative");
    if (atomic_load(&pipe->channel->orphaned))
        return shmrpc_error_set(&pipe->error, SHMRPC_INVALID,
                                "the pipe belongs to the parent process");
    if (pipe->channel->broken)
        return shmrpc_error_set(&pipe->error, SHMRPC_PROTOCOL, "the peer broke the channel");
    return SHMRPC_OK;
}

static void start_deadline(struct shmrpc_pipe *pipe, struct shmrpc_deadline *deadline,
                           int timeout_ms)
{
    REQUIRE(pipe->channel->complete);
    REQUIRE(!pipe->channel->broken);
    if (pipe->channel->side == SHMRPC_SIDE_SERVER)
        shmrpc_deadline_start(deadline, timeout_ms, shmrpc_watch_channel, &pipe->keeper);
    else
        shmrpc_deadline_start(deadline, timeout_ms, shmrpc_watch_server, pipe->channel);
}

/* Who polls never waits for a slice, and has to look after the channel all the same. */
static enum shmrpc_status look_after(const struct shmrpc_deadline *deadline,
                                     enum shmrpc_status status)
{
    REQUIRE(deadline->watch != NULL);
    REQUIRE(deadline->context != NULL);
    enum shmrpc_status look =
        status == SHMRPC_TIMEOUT ? deadline->watch(deadline->context) : SHMRPC_OK;
    return look == SHMRPC_OK ? status : look;
}

/* What a wait of either side ended with, explained. */
static enum shmrpc_status explain(struct shmrpc_pipe *pipe, enum shmrpc_status status)
{
    REQUIRE(status != SHMRPC_OK);
    REQUIRE(!pipe->channel->inside);
    struct shmrpc_error *error = &pipe->error;
    switch (status) {
    case SHMRPC_TIMEOUT:
        return shmrpc_error_set(error, status, "the slot did not change in time");
    case SHMRPC_PROTOCOL:
        return shmrpc_error_set(error, status,
                                pipe->channel->broken ? "the peer broke the channel"
                                                      : "the message has an impossible length");
    case SHMRPC_PEER_GONE_MAYBE_EXECUTED:
        if (pipe->sent && shmrpc_channel_withdraw(pipe->channel, pipe->prefix, pipe->prefix_length))
            pipe->sent = false;
        if (!pipe->sent)
            return shmrpc_error_set(error, SHMRPC_PEER_GONE_NOT_STARTED,
                                    "the server is gone; it has not taken the message");
        return shmrpc_error_set(error, status, "the server is gone; it may have taken the message");
    default:
        return status;
    }
}

enum shmrpc_status shmrpc_pipe_send(struct shmrpc_pipe *pipe, const void *data, size_t length,
                                    int timeout_ms)
{
    REQUIRE(pipe_ok(pipe));
    REQUIRE(data != NULL || length == 0);
    enum shmrpc_status status = check_use(pipe, timeout_ms);
    if (status != SHMRPC_OK)
        return status;
    /* SRPC-FRAME-003 */
    if (length > shmrpc_pipe_capacity(pipe))
        return shmrpc_error_set(&pipe->error, SHMRPC_TOO_LARGE,
                                "%zu bytes do not fit the %zu of the buffer", length,
                                shmrpc_pipe_capacity(pipe));
    struct shmrpc_deadline deadline;
    char *body;
    size_t capacity;
    start_deadline(pipe, &deadline, timeout_ms);
    pipe->sent = false;
    status = shmrpc_channel_begin(pipe->channel, &deadline, &body, &capacity);
    if (status != SHMRPC_OK)
        return explain(pipe, look_after(&deadline, status));
    ENSURE(length <= capacity);
    if (length > 0)
        memcpy(body, data, length);
    pipe->prefix_length = length < PREFIX_BYTES ? length : PREFIX_BYTES;
    if (length > 0)
        memcpy(pipe->prefix, data, pipe->prefix_length);
    ENSURE(pipe->prefix_length <= length);
    pipe->sent = true;
    status = shmrpc_channel_commit(pipe->channel, length);
    return status == SHMRPC_OK ? SHMRPC_OK : explain(pipe, status);
}

enum shmrpc_status shmrpc_pipe_receive(struct shmrpc_pipe *pipe, const void **data, size_t *length,
                                       int timeout_ms)
{
    REQUIRE(pipe_ok(pipe));
    REQUIRE(data != NULL);
    REQUIRE(length != NULL);
    enum shmrpc_status status = check_use(pipe, timeout_ms);
    if (status != SHMRPC_OK)
        return status;
    struct shmrpc_deadline deadline;
    size_t received;
    start_deadline(pipe, &deadline, timeout_ms);
    status = look_after(&deadline,
                        shmrpc_channel_receive(pipe->channel, &deadline, pipe->buffer, &received));
    /* The dead server's last act may have been a response. */
    if (status == SHMRPC_PEER_GONE_MAYBE_EXECUTED) {
        shmrpc_deadline_start(&deadline, 0, NULL, NULL);
        if (shmrpc_channel_receive(pipe->channel, &deadline, pipe->buffer, &received) == SHMRPC_OK)
            status = SHMRPC_OK;
    }
    if (status != SHMRPC_OK)
        return explain(pipe, status);
    ENSURE(received <= pipe->channel->capacity);
    *data = pipe->buffer;
    *length = received;
    return SHMRPC_OK;
}

size_t shmrpc_pipe_capacity(const struct shmrpc_pipe *pipe)
{
    REQUIRE(pipe_ok(pipe));
    return pipe->channel->capacity;
}

const char *shmrpc_pipe_error(const struct shmrpc_pipe *pipe)
{
    REQUIRE(pipe_ok(pipe));
    return pipe->error.text;
}

void shmrpc_pipe_close(struct shmrpc_pipe **pipe)
{
    REQUIRE(pipe != NULL);
    if (*pipe == NULL)
        return;
    REQUIRE(pipe_ok(*pipe));
    shmrpc_channel_close(&(*pipe)->channel);
    shmrpc_frame_free((*pipe)->buffer);
    (*pipe)->magic = 0;
    free(*pipe);
    *pipe = NULL;
}

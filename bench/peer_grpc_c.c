/* SPDX-License-Identifier: MIT
 *
 * gRPC by the shortest road it has: the core library's own C interface and protobuf-c over a Unix
 * socket. A registered method and call, one batch a side; the client plucks its one event, the
 * server asks for the next call before it answers the one in hand. With the option "poll" both
 * sides ask their queues again and again instead of sleeping in them, as a spinning SHM-RPC does.
 */
#include "peer.h"

#include "echo.pb-c.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METHOD "/echo.Echo/Echo"

/* ---- Channel arguments: what of the stack an echo between two processes does without. ----------
 */

static grpc_arg integer(const char *key, int value)
{
    grpc_arg arg = {.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key};
    arg.value.integer = value;
    return arg;
}

static grpc_channel_args channel_args(void)
{
    static grpc_arg list[5];
    list[0] = integer(GRPC_ARG_MINIMAL_STACK, 1);
    list[1] = integer(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    list[2] = integer(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4 << 20);
    list[3] = integer(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 1 << 20);
    list[4] = integer(GRPC_ARG_ENABLE_CHANNELZ, 0);
    return (grpc_channel_args){.num_args = sizeof list / sizeof *list, .args = list};
}

/* ---- Messages -------------------------------------------------------------------------------- */

/** An arena for protobuf-c, so that a message costs no malloc: emptied before each message. */
struct arena {
    char *bytes;
    size_t used;
    size_t capacity;
};

static void *arena_alloc(void *data, size_t size)
{
    struct arena *arena = data;
    size_t need = (size + 15) / 16 * 16;
    if (need > arena->capacity - arena->used)
        return NULL;
    void *at = arena->bytes + arena->used;
    arena->used += need;
    return at;
}

static void arena_free(void *data, void *at)
{
    (void)data;
    (void)at;
}

static struct arena arena;
static ProtobufCAllocator allocator = {arena_alloc, arena_free, &arena};
static char *assembled; /* a message that came in more than one slice */
static size_t capacity;
static bool polling;

/** How long one look at a queue may last. */
static gpr_timespec patience(void)
{
    return polling ? gpr_inf_past(GPR_CLOCK_MONOTONIC) : gpr_inf_future(GPR_CLOCK_MONOTONIC);
}

/** Set up what both roles need. */
static int prepare(const struct peer_setup *setup)
{
    polling = strcmp(setup->option, "poll") == 0;
    capacity = setup->buffer_bytes;
    arena.capacity = capacity + 4096;
    arena.bytes = malloc(arena.capacity);
    assembled = malloc(capacity);
    return arena.bytes && assembled ? 0 : -1;
}

/** The one slice of a message where it is one, else its slices put together. */
static const uint8_t *contiguous(grpc_byte_buffer *buffer, size_t *length)
{
    grpc_byte_buffer_reader reader;
    grpc_slice *slice;
    size_t total = grpc_byte_buffer_length(buffer), at = 0;
    if (total > capacity || !grpc_byte_buffer_reader_init(&reader, buffer))
        return NULL;
    *length = total;
    const uint8_t *first = NULL;
    while (grpc_byte_buffer_reader_peek(&reader, &slice)) {
        if (GRPC_SLICE_LENGTH(*slice) == total) {
            first = GRPC_SLICE_START_PTR(*slice);
            break;
        }
        memcpy(assembled + at, GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
        at += GRPC_SLICE_LENGTH(*slice);
    }
    grpc_byte_buffer_reader_destroy(&reader);
    return first ? first : (const uint8_t *)assembled;
}

/* ---- Server ---------------------------------------------------------------------------------- */

/** A call that was asked for or is being answered. Two take turns. */
struct served {
    bool answering;
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *request;
    grpc_byte_buffer *response;
    int cancelled;
};

static grpc_server *server;
static grpc_completion_queue *server_queue;
static void *server_method;

static int await_call(struct served *served)
{
    served->answering = false;
    served->request = NULL;
    grpc_call_error error = grpc_server_request_registered_call(
        server, server_method, &served->call, &served->deadline, &served->metadata,
        &served->request, server_queue, server_queue, served);
    return error == GRPC_CALL_OK ? 0 : -1;
}

/** Decode the request and encode the response, straight into the slice that is sent. */
static grpc_byte_buffer *respond(grpc_byte_buffer *request)
{
    size_t length = 0;
    const uint8_t *bytes = request ? contiguous(request, &length) : NULL;
    arena.used = 0;
    Echo__EchoRequest *decoded =
        bytes ? echo__echo_request__unpack(&allocator, length, bytes) : NULL;
    if (!decoded)
        return NULL;
    Echo__EchoResponse response = ECHO__ECHO_RESPONSE__INIT;
    response.message = decoded->message;
    grpc_slice slice = grpc_slice_malloc(echo__echo_response__get_packed_size(&response));
    echo__echo_response__pack(&response, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

static int answer(struct served *served)
{
    served->answering = true;
    served->response = respond(served->request);
    if (served->request)
        grpc_byte_buffer_destroy(served->request);
    if (!served->response) {
        fprintf(stderr, "the request is not an EchoRequest\n");
        return -1;
    }
    grpc_op ops[4] = {{.op = GRPC_OP_SEND_INITIAL_METADATA},
                      {.op = GRPC_OP_SEND_MESSAGE},
                      {.op = GRPC_OP_SEND_STATUS_FROM_SERVER},
                      {.op = GRPC_OP_RECV_CLOSE_ON_SERVER}};
    ops[1].data.send_message.send_message = served->response;
    ops[2].data.send_status_from_server.status = GRPC_STATUS_OK;
    ops[3].data.recv_close_on_server.cancelled = &served->cancelled;
    return grpc_call_start_batch(served->call, ops, 4, served, NULL) == GRPC_CALL_OK ? 0 : -1;
}

static void forget(struct served *served)
{
    grpc_byte_buffer_destroy(served->response);
    grpc_call_unref(served->call);
    served->metadata.count = 0;
}

static int serve_calls(void)
{
    static struct served two[2];
    grpc_metadata_array_init(&two[0].metadata);
    grpc_metadata_array_init(&two[1].metadata);
    size_t asked = 0; /* which of the two waits for a call */
    if (await_call(&two[asked]) != 0)
        return -1;
    for (;;) {
        grpc_event event = grpc_completion_queue_next(server_queue, patience(), NULL);
        if (event.type == GRPC_QUEUE_TIMEOUT)
            continue;
        struct served *served = event.tag;
        if (event.type != GRPC_OP_COMPLETE || !event.success)
            return -1;
        if (served->answering) {
            forget(served);
            continue;
        }
        if (answer(served) != 0)
            return -1;
        asked = 1 - asked;
        /* One client has one call in flight, so the other one was answered and forgotten. */
        if (await_call(&two[asked]) != 0)
            return -1;
    }
}

const char *peer_version(void)
{
    static char line[128];
    snprintf(line, sizeof line, "gRPC %s (core %s), protobuf-c %s", BENCH_GRPC_VERSION,
             grpc_version_string(), protobuf_c_version());
    return line;
}

static void unix_target(char *target, size_t size, const char *path)
{
    snprintf(target, size, "unix:%s", path);
}

int peer_serve(const struct peer_setup *setup, void (*ready)(void))
{
    char target[256];
    unix_target(target, sizeof target, setup->endpoint);
    grpc_init();
    grpc_channel_args args = channel_args();
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
    server = grpc_server_create(&args, NULL);
    server_queue = grpc_completion_queue_create_for_next(NULL);
    server_method = grpc_server_register_method(server, METHOD, NULL,
                                                GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    grpc_server_register_completion_queue(server, server_queue, NULL);
    if (prepare(setup) != 0 || grpc_server_add_http2_port(server, target, credentials) == 0) {
        fprintf(stderr, "cannot listen on %s\n", target);
        return -1;
    }
    grpc_server_start(server);
    ready();
    return serve_calls();
}

/* ---- Client ---------------------------------------------------------------------------------- */

static grpc_channel *channel;
static grpc_completion_queue *client_queue;
static void *client_method;

int peer_open(const struct peer_setup *setup)
{
    char target[256];
    unix_target(target, sizeof target, setup->endpoint);
    grpc_init();
    grpc_channel_args args = channel_args();
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    channel = grpc_channel_create(target, credentials, &args);
    grpc_channel_credentials_release(credentials);
    client_queue = grpc_completion_queue_create_for_pluck(NULL);
    client_method = grpc_channel_register_call(channel, METHOD, NULL, NULL);
    return prepare(setup);
}

static grpc_byte_buffer *encode(const char *in)
{
    Echo__EchoRequest request = ECHO__ECHO_REQUEST__INIT;
    request.message = (char *)(uintptr_t)in;
    grpc_slice slice = grpc_slice_malloc(echo__echo_request__get_packed_size(&request));
    echo__echo_request__pack(&request, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

/** What comes back in a batch. The arrays are kept from call to call. */
struct reply {
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *message;
    grpc_status_code status;
    grpc_slice details;
};

static bool pluck(void *tag)
{
    grpc_event event;
    do
        event = grpc_completion_queue_pluck(client_queue, tag, patience(), NULL);
    while (event.type == GRPC_QUEUE_TIMEOUT);
    return event.type == GRPC_OP_COMPLETE;
}

static int exchange(grpc_byte_buffer *request, struct reply *reply)
{
    grpc_op ops[6] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},  {.op = GRPC_OP_SEND_MESSAGE},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}, {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_MESSAGE},           {.op = GRPC_OP_RECV_STATUS_ON_CLIENT}};
    ops[1].data.send_message.send_message = request;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &reply->initial;
    ops[4].data.recv_message.recv_message = &reply->message;
    ops[5].data.recv_status_on_client.trailing_metadata = &reply->trailing;
    ops[5].data.recv_status_on_client.status = &reply->status;
    ops[5].data.recv_status_on_client.status_details = &reply->details;
    grpc_call *call = grpc_channel_create_registered_call(
        channel, NULL, GRPC_PROPAGATE_DEFAULTS, client_queue, client_method,
        gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    bool done = grpc_call_start_batch(call, ops, 6, call, NULL) == GRPC_CALL_OK && pluck(call);
    grpc_call_unref(call);
    if (done && reply->status == GRPC_STATUS_OK && reply->message)
        return 0;
    fprintf(stderr, "the call failed with gRPC status %d\n", (int)reply->status);
    return -1;
}

int peer_call(const char *in, size_t length, const char **out, size_t *out_length)
{
    static struct reply reply;
    (void)length; /* protobuf-c takes strings that end with NUL, which the driver's texts do */
    grpc_byte_buffer *request = encode(in);
    reply.message = NULL;
    int failed = exchange(request, &reply);
    grpc_byte_buffer_destroy(request);
    if (failed)
        return -1;
    grpc_slice_unref(reply.details);
    reply.initial.count = reply.trailing.count = 0;
    size_t bytes_length = 0;
    const uint8_t *bytes = contiguous(reply.message, &bytes_length);
    arena.used = 0;
    Echo__EchoResponse *decoded =
        bytes ? echo__echo_response__unpack(&allocator, bytes_length, bytes) : NULL;
    grpc_byte_buffer_destroy(reply.message);
    if (!decoded) {
        fprintf(stderr, "the answer is not an EchoResponse\n");
        return -1;
    }
    *out = decoded->message;
    *out_length = strlen(decoded->message);
    return 0;
}

void peer_close(void)
{
    grpc_channel_destroy(channel);
}

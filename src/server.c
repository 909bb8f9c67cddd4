/* SPDX-License-Identifier: MIT */
#include "call.h"
#include "check.h"
#include "crash.h"
#include "error.h"
#include "frame.h"
#include "owner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0x53525356 /* "SRSV" */ };

struct shmrpc_server {
    uint32_t magic;
    struct shmrpc_channel *channel;
    struct shmrpc_call_place place;
    struct shmrpc_error error;
    enum shmrpc_wait wait;
    atomic_bool stop;
    struct shmrpc_method *methods; /* sorted by name */
    size_t method_count;
    struct shmrpc_call call;
};

/* What never changes in a server's life: shmrpc_server_stop() asks at any moment, on any thread. */
static bool server_ok(const struct shmrpc_server *server)
{
    return server != NULL && server->magic == MAGIC && server->place.buffer != NULL &&
           server->place.scratch != NULL && server->place.timeout_ms != 0;
}

/* ---- Creation ------------------------------------------------------------------------------- */

static void free_server(struct shmrpc_server *server)
{
    REQUIRE(server->magic == MAGIC);
    REQUIRE(server->methods != NULL || server->method_count == 0);
    shmrpc_channel_close(&server->channel);
    for (size_t i = 0; i < server->method_count; i++)
        free(server->methods[i].name);
    free(server->methods);
    shmrpc_frame_free(server->place.buffer);
    shmrpc_frame_free(server->place.scratch);
    server->magic = 0;
    free(server);
}

/* Takes over the channel, also on failure. */
static enum shmrpc_status new_server(struct shmrpc_channel *channel,
                                     const struct shmrpc_server_options *options,
                                     struct shmrpc_server **server)
{
    REQUIRE(channel->complete);
    REQUIRE(channel->side == SHMRPC_SIDE_SERVER);
    struct shmrpc_server *made = calloc(1, sizeof *made);
    if (made == NULL) {
        shmrpc_channel_close(&channel);
        return shmrpc_error_system(options->error, "cannot allocate a server");
    }
    made->magic = MAGIC;
    made->channel = channel;
    made->wait = options->wait;
    made->place = (struct shmrpc_call_place){
        .keeper = {.channel = channel,
                   .log = options->log,
                   .log_user = options->log_user,
                   .error = &made->error},
        .stop = &made->stop,
        /* SRPC-TIME-001 */
        .timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : SHMRPC_DEFAULT_TIMEOUT_MS,
        .buffer = shmrpc_frame_alloc(channel->capacity),
        .scratch = shmrpc_frame_alloc(channel->capacity),
    };
    if (made->place.buffer == NULL || made->place.scratch == NULL) {
        free_server(made);
        errno = ENOMEM;
        return shmrpc_error_system(options->error, "cannot allocate a server");
    }
    ENSURE(server_ok(made));
    *server = made;
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_server_create(const char *name,
                                        const struct shmrpc_server_options *options,
                                        struct shmrpc_server **server)
{
    static const struct shmrpc_server_options defaults = SHMRPC_SERVER_OPTIONS_INIT;
    REQUIRE(name != NULL);
    REQUIRE(server != NULL);
    if (options == NULL)
        options = &defaults;
    struct shmrpc_channel *channel = NULL;
    enum shmrpc_status status = shmrpc_owner_create(name, options, &channel);
    return status == SHMRPC_OK ? new_server(channel, options, server) : status;
}

void shmrpc_server_close(struct shmrpc_server **server)
{
    REQUIRE(server != NULL);
    if (*server == NULL)
        return;
    REQUIRE(server_ok(*server));
    /* SRPC-FORK-004: in a child the copy says what another thread of the parent was doing at the
     * fork. */
    if (!atomic_load(&(*server)->channel->orphaned))
        REQUIRE(!(*server)->call.running);
    /* SRPC-LIFE-009 */
    free_server(*server);
    *server = NULL;
}

void shmrpc_server_stop(struct shmrpc_server *server)
{
    _Static_assert(ATOMIC_BOOL_LOCK_FREE == 2, "a signal handler may store it");
    REQUIRE(server_ok(server));
    /* SRPC-SIGNAL-001: a lock-free store, and nothing else. */
    atomic_store(&server->stop, true);
}

const char *shmrpc_server_error(const struct shmrpc_server *server)
{
    REQUIRE(server_ok(server));
    return server->error.text;
}

size_t shmrpc_server_buffer_bytes(const struct shmrpc_server *server)
{
    REQUIRE(server_ok(server));
    return server->channel->capacity + SHMRPC_LENGTH_WORD_BYTES;
}

/* ---- Methods -------------------------------------------------------------------------------- */

static int compare_names(const char *a, size_t a_length, const char *b, size_t b_length)
{
    REQUIRE(a != NULL);
    REQUIRE(b != NULL);
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

/* Where the method stands, or would have to be put. */
static size_t find_method(const struct shmrpc_server *server, const char *name, size_t length,
                          bool *found)
{
    size_t low = 0;
    size_t high = server->method_count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct shmrpc_method *method = &server->methods[middle];
        int order = compare_names(method->name, method->length, name, length);
        if (order == 0)
            *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    ENSURE(low <= server->method_count);
    ENSURE(!*found || low < server->method_count);
    return low;
}

static enum shmrpc_status answer_running(struct shmrpc_call *call, void *user)
{
    REQUIRE(call->running);
    (void)user;
    enum shmrpc_status status = shmrpc_call_expect(call, NULL, 0);
    return status == SHMRPC_OK ? shmrpc_call_answer_bool(call, true) : status;
}

/* SRPC-ENV-010: built in, and not in the table, so that nothing replaces it. */
static const struct shmrpc_method running = {(char[]){"__running__"}, sizeof "__running__" - 1,
                                             answer_running, NULL};

enum shmrpc_status shmrpc_server_register(struct shmrpc_server *server, const char *method,
                                          shmrpc_handler *handler, void *user)
{
    REQUIRE(server_ok(server));
    REQUIRE(method != NULL);
    REQUIRE(handler != NULL);
    size_t length = strlen(method);
    if (length == 0 || shmrpc_json_utf8_prefix(method, length) != length)
        return shmrpc_error_set(&server->error, SHMRPC_INVALID,
                                "a method's name is empty or not UTF-8");
    if (compare_names(method, length, running.name, running.length) == 0)
        return shmrpc_error_set(&server->error, SHMRPC_INVALID, "%s is built in", running.name);
    bool found;
    size_t at = find_method(server, method, length, &found);
    if (found) {
        server->methods[at].handler = handler;
        server->methods[at].user = user;
        return SHMRPC_OK;
    }
    struct shmrpc_method *methods =
        realloc(server->methods, (server->method_count + 1) * sizeof *methods);
    if (methods == NULL)
        return shmrpc_error_system(&server->error, "cannot register a method");
    server->methods = methods;
    char *copy = strdup(method);
    if (copy == NULL)
        return shmrpc_error_system(&server->error, "cannot register a method");
    ENSURE(at <= server->method_count);
    memmove(&methods[at + 1], &methods[at], (server->method_count - at) * sizeof *methods);
    methods[at] = (struct shmrpc_method){copy, length, handler, user};
    server->method_count++;
    ENSURE(server->methods[at].handler == handler);
    return SHMRPC_OK;
}

/* ---- Serving -------------------------------------------------------------------------------- */

/* SRPC-ENV-011 */
static void answer_unknown(struct shmrpc_call *call, const char *name, size_t length)
{
    static const char head[] = "RPCError: Unknown method: ";
    REQUIRE(name != NULL);
    REQUIRE(!call->answered);
    char *text = malloc(sizeof head + length);
    if (text == NULL)
        return;
    memcpy(text, head, sizeof head);
    memcpy(text + sizeof head - 1, name, length);
    (void)shmrpc_call_answer_error(call, text, sizeof head - 1 + length);
    free(text);
}

static void execute(struct shmrpc_server *server, struct shmrpc_call *call)
{
    const char *name = NULL;
    size_t length = 0;
    REQUIRE(call->running);
    bool string = shmrpc_call_decode(call, &call->request.method, &name, &length);
    ENSURE(string);
    bool found = compare_names(name, length, running.name, running.length) == 0;
    const struct shmrpc_method *method = &running;
    if (!found)
        method = &server->methods[find_method(server, name, length, &found)];
    if (!found) {
        answer_unknown(call, name, length);
        return;
    }
    call->method = method->name;
    CRASH_POINT("server.handler.begin", NULL);
    enum shmrpc_status status = method->handler(call, method->user);
    if (status != SHMRPC_OK && call->failure[0] == '\0')
        shmrpc_call_set_failure(call, "RPCError: %s", shmrpc_status_text(status));
}

/* SRPC-ENV-012, SRPC-ERR-003: whatever the message and the handler do, the loop goes on. */
static void handle(struct shmrpc_server *server, size_t length)
{
    struct shmrpc_call *call = &server->call;
    REQUIRE(!call->running);
    enum shmrpc_status status = shmrpc_call_start(call, &server->place, length);
    if (status == SHMRPC_SERIALIZATION) {
        call->running = false;
        shmrpc_watch_log(&server->place.keeper, "%s: dropped a message: %s", server->channel->name,
                         call->request.problem);
        return;
    }
    if (status == SHMRPC_OK)
        execute(server, call);
    else /* SRPC-ENV-015 */
        shmrpc_call_set_failure(call, "RPCError: Invalid request: %s", call->request.problem);
    shmrpc_call_finish(call);
    ENSURE(!call->running);
}

static enum shmrpc_status watch_idle(void *context)
{
    struct shmrpc_server *server = context;
    REQUIRE(server_ok(server));
    /* Ends the wait; step tells it from a time-out by the flag. */
    if (atomic_load(&server->stop))
        return SHMRPC_TIMEOUT;
    return shmrpc_watch_channel(&server->place.keeper);
}

/* SRPC-SEM-007: what a peer broke beyond repair is cured by a new channel under the same name. */
static enum shmrpc_status make_anew(struct shmrpc_server *server)
{
    REQUIRE(server->channel->broken);
    REQUIRE(!server->call.running);
    shmrpc_watch_log(&server->place.keeper, "%s: a peer broke the channel; making it anew",
                     server->channel->name);
    shmrpc_channel_retire(server->channel);
    struct shmrpc_channel *fresh;
    enum shmrpc_status status =
        shmrpc_owner_publish(server->channel->name, shmrpc_server_buffer_bytes(server),
                             server->wait, &fresh, &server->error);
    if (status != SHMRPC_OK)
        return status;
    shmrpc_channel_close(&server->channel);
    server->channel = fresh;
    server->place.keeper.channel = fresh;
    server->place.keeper.since_ns = 0;
    ENSURE(!fresh->broken);
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_server_step(struct shmrpc_server *server, int timeout_ms)
{
    REQUIRE(server_ok(server));
    if (!shmrpc_time_valid(timeout_ms))
        return shmrpc_error_set(&server->error, SHMRPC_INVALID, "timeout_ms is negative");
    if (server->call.running)
        return shmrpc_error_set(&server->error, SHMRPC_INVALID, "a handler cannot serve");
    if (atomic_load(&server->channel->orphaned))
        return shmrpc_error_set(&server->error, SHMRPC_INVALID,
                                "the server belongs to the parent process");
    ENSURE(server->place.keeper.channel == server->channel);
    if (atomic_load(&server->stop))
        return SHMRPC_OK;
    struct shmrpc_deadline deadline;
    size_t length;
    shmrpc_deadline_start(&deadline, timeout_ms, watch_idle, server);
    enum shmrpc_status status =
        shmrpc_channel_receive(server->channel, &deadline, server->place.buffer, &length);
    if (status == SHMRPC_TIMEOUT) {
        if (atomic_load(&server->stop))
            return SHMRPC_OK;
        /* Who polls never waits for a slice, and has to look after the channel all the same. */
        enum shmrpc_status look = shmrpc_watch_channel(&server->place.keeper);
        if (look == SHMRPC_OK)
            return shmrpc_error_set(&server->error, status, "no message came in time");
        status = look;
    }
    if (status == SHMRPC_OK)
        handle(server, length);
    else if (status != SHMRPC_PROTOCOL)
        return status;
    else if (!server->channel->broken)
        shmrpc_watch_log(&server->place.keeper, "%s: dropped a frame of impossible length",
                         server->channel->name);
    /* SRPC-FORK-004: a handler may come back in a child, which makes nothing anew. */
    return server->channel->broken && !server->channel->orphaned ? make_anew(server) : SHMRPC_OK;
}

enum shmrpc_status shmrpc_server_run(struct shmrpc_server *server)
{
    REQUIRE(server_ok(server));
    enum shmrpc_status status;
    do
        status = shmrpc_server_step(server, SHMRPC_FOREVER);
    while (status == SHMRPC_OK && !atomic_load(&server->stop));
    ENSURE(status != SHMRPC_TIMEOUT);
    return status;
}

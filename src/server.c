/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "envelope.h"
#include "error.h"
#include "owner.h"
#include "watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVER_MAGIC = 0x53525653 /* "SRVS" */, CALL_MAGIC = 0x53525643 /* "SRVC" */ };

struct method {
    char *name;
    size_t length;
    shmrpc_handler *handler;
    void *user;
};

struct shmrpc_call {
    uint32_t magic;
    struct shmrpc_server *server;
    const struct method *method;
    struct shmrpc_request request;
    struct shmrpc_envelope envelope;
    bool answered; /* the response is on its way */
    bool dropped;  /* its slot could not be had */
    char failure[256];
};

struct shmrpc_server {
    uint32_t magic;
    struct shmrpc_channel *channel;
    struct shmrpc_keeper keeper;
    struct shmrpc_error error;
    size_t buffer_bytes;
    int timeout_ms;
    enum shmrpc_wait wait;
    atomic_bool stop;
    bool in_call;
    struct method *methods; /* sorted by name */
    size_t method_count;
    char *buffer;  /* the request's private copy */
    char *scratch; /* decoded strings, each at the offset of its text in buffer */
    struct shmrpc_call call;
};

static void require_server(const struct shmrpc_server *server)
{
    REQUIRE(server != NULL);
    REQUIRE(server->magic == SERVER_MAGIC);
}

static void require_call(const struct shmrpc_call *call)
{
    REQUIRE(call != NULL);
    REQUIRE(call->magic == CALL_MAGIC && call->server->in_call);
}

/* ---- Creation ------------------------------------------------------------------------------- */

static void free_server(struct shmrpc_server *server)
{
    shmrpc_channel_close(&server->channel);
    for (size_t i = 0; i < server->method_count; i++)
        free(server->methods[i].name);
    free(server->methods);
    free(server->buffer);
    free(server->scratch);
    server->magic = 0;
    free(server);
}

static struct shmrpc_server *new_server(const struct shmrpc_server_options *options,
                                        size_t buffer_bytes)
{
    struct shmrpc_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->magic = SERVER_MAGIC;
    server->buffer_bytes = buffer_bytes;
    /* SRPC-TIME-001 */
    server->timeout_ms =
        options->timeout_ms != 0 ? options->timeout_ms : SHMRPC_DEFAULT_TIMEOUT_MS;
    server->wait = options->wait;
    server->keeper.log = options->log;
    server->keeper.log_user = options->log_user;
    server->keeper.error = &server->error;
    server->buffer = malloc(server->buffer_bytes);
    server->scratch = malloc(server->buffer_bytes);
    if (server->buffer == NULL || server->scratch == NULL) {
        free_server(server);
        return NULL;
    }
    return server;
}

enum shmrpc_status shmrpc_server_create(const char *name,
                                        const struct shmrpc_server_options *options,
                                        struct shmrpc_server **server)
{
    static const struct shmrpc_server_options defaults = SHMRPC_SERVER_OPTIONS_INIT;
    REQUIRE(name != NULL && server != NULL);
    if (options == NULL)
        options = &defaults;
    struct shmrpc_error *error = options->error;
    size_t buffer_bytes;
    enum shmrpc_status status = shmrpc_name_check(name, error);
    if (status == SHMRPC_OK)
        status = shmrpc_owner_check_options(options, &buffer_bytes, error);
    if (status != SHMRPC_OK)
        return status;
    struct shmrpc_server *made = new_server(options, buffer_bytes);
    if (made == NULL)
        return shmrpc_error_system(error, "cannot allocate a server");
    status = shmrpc_owner_publish(name, made->buffer_bytes, made->wait, &made->channel, error);
    if (status != SHMRPC_OK) {
        free_server(made);
        return status;
    }
    made->keeper.channel = made->channel;
    ENSURE(made->channel->complete);
    *server = made;
    return SHMRPC_OK;
}

void shmrpc_server_close(struct shmrpc_server **server)
{
    REQUIRE(server != NULL);
    if (*server == NULL)
        return;
    require_server(*server);
    REQUIRE(!(*server)->in_call);
    /* SRPC-LIFE-009 */
    free_server(*server);
    *server = NULL;
}

void shmrpc_server_stop(struct shmrpc_server *server)
{
    require_server(server);
    /* SRPC-SIGNAL-001: a lock-free store, and nothing else. */
    atomic_store(&server->stop, true);
}

const char *shmrpc_server_error(const struct shmrpc_server *server)
{
    require_server(server);
    return server->error.text;
}

size_t shmrpc_server_buffer_bytes(const struct shmrpc_server *server)
{
    require_server(server);
    return server->buffer_bytes;
}

/* ---- Methods -------------------------------------------------------------------------------- */

static int compare_names(const char *a, size_t a_length, const char *b, size_t b_length)
{
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
        const struct method *method = &server->methods[middle];
        int order = compare_names(method->name, method->length, name, length);
        if (order == 0)
            *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum shmrpc_status answer_running(struct shmrpc_call *call, void *user)
{
    (void)user;
    enum shmrpc_status status = shmrpc_call_expect(call, NULL, 0);
    return status == SHMRPC_OK ? shmrpc_call_answer_bool(call, true) : status;
}

/* SRPC-ENV-010: built in, and not in the table, so that nothing replaces it. */
static const struct method running = {(char[]){"__running__"}, sizeof "__running__" - 1,
                                      answer_running, NULL};

enum shmrpc_status shmrpc_server_register(struct shmrpc_server *server, const char *method,
                                          shmrpc_handler *handler, void *user)
{
    require_server(server);
    REQUIRE(method != NULL && handler != NULL);
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
    struct method *methods =
        realloc(server->methods, (server->method_count + 1) * sizeof *methods);
    if (methods == NULL)
        return shmrpc_error_system(&server->error, "cannot register a method");
    server->methods = methods;
    char *copy = strdup(method);
    if (copy == NULL)
        return shmrpc_error_system(&server->error, "cannot register a method");
    memmove(&methods[at + 1], &methods[at], (server->method_count - at) * sizeof *methods);
    methods[at] = (struct method){copy, length, handler, user};
    server->method_count++;
    return SHMRPC_OK;
}

/* ---- Answers -------------------------------------------------------------------------------- */

/* While a response waits for its slot: repair it if its client is dead; a stop has to wait. */
static enum shmrpc_status watch_response(void *context)
{
    struct shmrpc_server *server = context;
    enum shmrpc_status status = shmrpc_watch_channel(&server->keeper);
    /* A lost name is told once the call is answered (SRPC-SIGNAL-002). */
    return status == SHMRPC_NOT_FOUND ? SHMRPC_OK : status;
}

/* Have the response slot, now or after some waiting. */
static enum shmrpc_status enter_slot(struct shmrpc_call *call, char **body, size_t *capacity)
{
    struct shmrpc_server *server = call->server;
    struct shmrpc_channel *channel = server->channel;
    if (channel->inside) {
        /* An earlier answer failed half-way; the slot is still ours. */
        *body = shmrpc_channel_body(channel, capacity);
        return SHMRPC_OK;
    }
    struct shmrpc_deadline deadline;
    shmrpc_deadline_start(&deadline, server->timeout_ms, watch_response, server);
    enum shmrpc_status status = shmrpc_channel_begin(channel, &deadline, body, capacity);
    if (status == SHMRPC_OK)
        return SHMRPC_OK;
    /* SRPC-RECOVER-009 */
    call->dropped = true;
    shmrpc_watch_log(&server->keeper, "%s: dropped a response: its slot stayed occupied",
                     channel->name);
    return status;
}

static enum shmrpc_status begin_answer(struct shmrpc_call *call)
{
    require_call(call);
    if (call->answered || atomic_load(&call->server->channel->orphaned))
        return SHMRPC_INVALID;
    if (call->dropped)
        return SHMRPC_TIMEOUT;
    char *body;
    size_t capacity;
    enum shmrpc_status status = enter_slot(call, &body, &capacity);
    if (status == SHMRPC_OK)
        shmrpc_envelope_begin_response(&call->envelope, body, capacity, &call->request.id);
    return status;
}

static void set_failure(struct shmrpc_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void set_failure(struct shmrpc_call *call, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(call->failure, sizeof call->failure, format, arguments);
    va_end(arguments);
    /* The text may quote a name that was cut in the middle of a character. */
    call->failure[shmrpc_json_utf8_prefix(call->failure, strlen(call->failure))] = '\0';
    ENSURE(call->failure[0] != '\0');
}

static enum shmrpc_status commit_answer(struct shmrpc_call *call, size_t length)
{
    enum shmrpc_status status = shmrpc_channel_commit(call->server->channel, length);
    call->answered = true;
    return status;
}

static enum shmrpc_status end_answer(struct shmrpc_call *call)
{
    size_t length;
    enum shmrpc_status status = shmrpc_envelope_end_response(&call->envelope, &length);
    if (status == SHMRPC_OK)
        return commit_answer(call, length);
    /* SRPC-ENV-016, SRPC-ENV-017: told by the error reply, unless the handler answers otherwise. */
    if (status == SHMRPC_TOO_LARGE)
        set_failure(call, "RPCError: Response too large: it exceeds the buffer's %zu bytes",
                    call->server->channel->response.capacity);
    else if (status == SHMRPC_SERIALIZATION)
        set_failure(call, "RPCSerializationError: the result cannot be serialised");
    else
        set_failure(call, "RPCSerializationError: the result is not one JSON value");
    return status;
}

enum shmrpc_status shmrpc_call_answer_begin(struct shmrpc_call *call, struct shmrpc_writer **writer)
{
    REQUIRE(writer != NULL);
    enum shmrpc_status status = begin_answer(call);
    if (status == SHMRPC_OK)
        *writer = &call->envelope.writer;
    return status;
}

enum shmrpc_status shmrpc_call_answer_end(struct shmrpc_call *call)
{
    require_call(call);
    if (!call->server->channel->inside)
        return SHMRPC_INVALID;
    return end_answer(call);
}

enum shmrpc_status shmrpc_call_answer_null(struct shmrpc_call *call)
{
    enum shmrpc_status status = begin_answer(call);
    if (status != SHMRPC_OK)
        return status;
    shmrpc_write_null(&call->envelope.writer);
    return end_answer(call);
}

enum shmrpc_status shmrpc_call_answer_bool(struct shmrpc_call *call, bool value)
{
    enum shmrpc_status status = begin_answer(call);
    if (status != SHMRPC_OK)
        return status;
    shmrpc_write_bool(&call->envelope.writer, value);
    return end_answer(call);
}

enum shmrpc_status shmrpc_call_answer_int64(struct shmrpc_call *call, int64_t value)
{
    enum shmrpc_status status = begin_answer(call);
    if (status != SHMRPC_OK)
        return status;
    shmrpc_write_int64(&call->envelope.writer, value);
    return end_answer(call);
}

enum shmrpc_status shmrpc_call_answer_uint64(struct shmrpc_call *call, uint64_t value)
{
    enum shmrpc_status status = begin_answer(call);
    if (status != SHMRPC_OK)
        return status;
    shmrpc_write_uint64(&call->envelope.writer, value);
    return end_answer(call);
}

enum shmrpc_status shmrpc_call_answer_double(struct shmrpc_call *call, double value)
{
    enum shmrpc_status status = begin_answer(call);
    if (status != SHMRPC_OK)
        return status;
    shmrpc_write_double(&call->envelope.writer, value);
    return end_answer(call);
}

enum shmrpc_status shmrpc_call_answer_string(struct shmrpc_call *call, const char *data,
                                             size_t length)
{
    REQUIRE(data != NULL || length == 0);
    enum shmrpc_status status = begin_answer(call);
    if (status != SHMRPC_OK)
        return status;
    shmrpc_write_string(&call->envelope.writer, data, length);
    return end_answer(call);
}

enum shmrpc_status shmrpc_call_answer_json(struct shmrpc_call *call, const char *text,
                                           size_t length)
{
    REQUIRE(text != NULL);
    enum shmrpc_status status = begin_answer(call);
    if (status != SHMRPC_OK)
        return status;
    shmrpc_write_json(&call->envelope.writer, text, length);
    return end_answer(call);
}

/* Send an error reply with a text of valid UTF-8. */
static enum shmrpc_status answer_error(struct shmrpc_call *call, const char *text, size_t length)
{
    if (call->answered || call->dropped || atomic_load(&call->server->channel->orphaned))
        return call->dropped ? SHMRPC_TIMEOUT : SHMRPC_INVALID;
    char *body;
    size_t capacity;
    enum shmrpc_status status = enter_slot(call, &body, &capacity);
    if (status != SHMRPC_OK)
        return status;
    size_t message_length;
    status = shmrpc_envelope_write_error(body, capacity, &call->request.id, text, length,
                                         &message_length);
    if (status == SHMRPC_OK)
        return commit_answer(call, message_length);
    /* SRPC-ENV-019 */
    call->dropped = true;
    shmrpc_watch_log(&call->server->keeper, "%s: dropped a request whose id leaves no room to answer",
                     call->server->channel->name);
    (void)shmrpc_channel_abandon(call->server->channel);
    return status;
}

/* Append text with each invalid byte replaced by U+FFFD. Returns the new end. */
static char *append_valid(char *to, const char *text)
{
    size_t length = strlen(text);
    while (length > 0) {
        size_t valid = shmrpc_json_utf8_prefix(text, length);
        memcpy(to, text, valid);
        to += valid;
        if (valid == length)
            break;
        memcpy(to, "\xEF\xBF\xBD", 3);
        to += 3;
        text += valid + 1;
        length -= valid + 1;
    }
    return to;
}

enum shmrpc_status shmrpc_call_fail(struct shmrpc_call *call, const char *type, const char *message)
{
    require_call(call);
    REQUIRE(type != NULL && message != NULL);
    /* SRPC-ENV-009. A byte can become three. */
    char *text = malloc(3 * (strlen(type) + strlen(message)) + sizeof ": ");
    if (text == NULL)
        return SHMRPC_SYSTEM;
    char *end = append_valid(text, type);
    end = append_valid(end, ": ");
    end = append_valid(end, message);
    enum shmrpc_status status = answer_error(call, text, (size_t)(end - text));
    free(text);
    return status;
}

size_t shmrpc_call_capacity(const struct shmrpc_call *call)
{
    require_call(call);
    return call->server->channel->response.capacity;
}

/* ---- Parameters ----------------------------------------------------------------------------- */

const char *shmrpc_call_method(const struct shmrpc_call *call)
{
    require_call(call);
    ENSURE(call->method != NULL);
    return call->method->name;
}

void shmrpc_call_params(const struct shmrpc_call *call, struct shmrpc_value *params)
{
    require_call(call);
    REQUIRE(params != NULL);
    *params = call->request.params.object;
}

enum shmrpc_status shmrpc_call_param(struct shmrpc_call *call, const char *name,
                                     struct shmrpc_value *value)
{
    require_call(call);
    REQUIRE(name != NULL && value != NULL);
    enum shmrpc_status status =
        shmrpc_members_find(&call->request.params, name, strlen(name), value);
    if (status == SHMRPC_NOT_FOUND)
        set_failure(call, "TypeError: missing a required argument: '%s'", name);
    return status;
}

static enum shmrpc_status wrong_type(struct shmrpc_call *call, const char *name,
                                     const struct shmrpc_value *value, const char *wanted)
{
    bool range = value->type == SHMRPC_NUMBER && shmrpc_value_is_integer(value);
    set_failure(call, range ? "OverflowError: argument '%s' is out of the range of %s"
                            : "TypeError: argument '%s' is not %s",
                name, wanted);
    return SHMRPC_SERIALIZATION;
}

enum shmrpc_status shmrpc_call_bool(struct shmrpc_call *call, const char *name, bool *out)
{
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_call_param(call, name, &value);
    if (status == SHMRPC_OK && shmrpc_value_bool(&value, out) != SHMRPC_OK) {
        set_failure(call, "TypeError: argument '%s' is not a boolean", name);
        status = SHMRPC_SERIALIZATION;
    }
    return status;
}

enum shmrpc_status shmrpc_call_int64(struct shmrpc_call *call, const char *name, int64_t *out)
{
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_call_param(call, name, &value);
    if (status == SHMRPC_OK && shmrpc_value_int64(&value, out) != SHMRPC_OK)
        status = wrong_type(call, name, &value, "a signed 64-bit integer");
    return status;
}

enum shmrpc_status shmrpc_call_uint64(struct shmrpc_call *call, const char *name, uint64_t *out)
{
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_call_param(call, name, &value);
    if (status == SHMRPC_OK && shmrpc_value_uint64(&value, out) != SHMRPC_OK)
        status = wrong_type(call, name, &value, "an unsigned 64-bit integer");
    return status;
}

enum shmrpc_status shmrpc_call_double(struct shmrpc_call *call, const char *name, double *out)
{
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_call_param(call, name, &value);
    if (status == SHMRPC_OK && shmrpc_value_double(&value, out) != SHMRPC_OK) {
        set_failure(call, "TypeError: argument '%s' is not a number", name);
        status = SHMRPC_SERIALIZATION;
    }
    return status;
}

enum shmrpc_status shmrpc_call_string(struct shmrpc_call *call, const char *name, const char **data,
                                      size_t *length)
{
    REQUIRE(data != NULL && length != NULL);
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_call_param(call, name, &value);
    if (status != SHMRPC_OK || shmrpc_value_string_view(&value, data, length) == SHMRPC_OK)
        return status;
    /* A decoded string is shorter than its text, so the text's own offset is room enough, and the
     * same string always lands in the same place. */
    const struct shmrpc_server *server = call->server;
    char *room = server->scratch + (value.text - server->buffer);
    size_t decoded;
    if (shmrpc_value_string(&value, room, value.length, &decoded) != SHMRPC_OK) {
        set_failure(call, "TypeError: argument '%s' is not a string", name);
        return SHMRPC_SERIALIZATION;
    }
    ENSURE(decoded < value.length);
    *data = room;
    *length = decoded;
    return SHMRPC_OK;
}

static bool is_expected(const struct shmrpc_value *key, const char *const names[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (shmrpc_json_string_equals(key, names[i], strlen(names[i])))
            return true;
    return false;
}

enum shmrpc_status shmrpc_call_expect(struct shmrpc_call *call, const char *const names[],
                                      size_t count)
{
    require_call(call);
    REQUIRE(names != NULL || count == 0);
    struct shmrpc_value value;
    for (size_t i = 0; i < count; i++)
        if (shmrpc_call_param(call, names[i], &value) != SHMRPC_OK)
            return SHMRPC_INVALID;
    /* As many as expected, and all of these are there: no other one is. */
    if (call->request.params.count == count)
        return SHMRPC_OK;
    struct shmrpc_iterator iterator;
    struct shmrpc_value key;
    enum shmrpc_status status = shmrpc_value_iterate(&call->request.params.object, &iterator);
    ENSURE(status == SHMRPC_OK);
    while (shmrpc_iterator_next(&iterator, &key, &value)) {
        if (is_expected(&key, names, count))
            continue;
        int shown = key.length < 102 ? (int)key.length - 2 : 100;
        set_failure(call, "TypeError: got an unexpected argument '%.*s'", shown, key.text + 1);
        return SHMRPC_INVALID;
    }
    return SHMRPC_OK;
}

/* ---- Serving -------------------------------------------------------------------------------- */

static const struct method *look_up(struct shmrpc_server *server, const struct shmrpc_value *name,
                                    const char **data, size_t *length)
{
    if (shmrpc_value_string_view(name, data, length) != SHMRPC_OK) {
        char *room = server->scratch + (name->text - server->buffer);
        enum shmrpc_status status = shmrpc_value_string(name, room, name->length, length);
        ENSURE(status == SHMRPC_OK);
        *data = room;
    }
    if (compare_names(*data, *length, running.name, running.length) == 0)
        return &running;
    bool found;
    size_t at = find_method(server, *data, *length, &found);
    return found ? &server->methods[at] : NULL;
}

/* SRPC-ENV-011 */
static void answer_unknown(struct shmrpc_call *call, const char *name, size_t length)
{
    static const char head[] = "RPCError: Unknown method: ";
    char *text = malloc(sizeof head + length);
    if (text == NULL) {
        set_failure(call, "RPCError: Unknown method");
        return;
    }
    memcpy(text, head, sizeof head - 1);
    memcpy(text + sizeof head - 1, name, length);
    (void)answer_error(call, text, sizeof head - 1 + length);
    free(text);
}

static void execute(struct shmrpc_call *call)
{
    const char *name;
    size_t length;
    call->method = look_up(call->server, &call->request.method, &name, &length);
    if (call->method == NULL) {
        answer_unknown(call, name, length);
        return;
    }
    enum shmrpc_status status = call->method->handler(call, call->method->user);
    if (call->answered || call->dropped || call->failure[0] != '\0')
        return;
    set_failure(call, "RPCError: %s",
                status == SHMRPC_OK ? "the method gave no answer" : shmrpc_status_text(status));
}

/* SRPC-ENV-012, SRPC-ERR-003: whatever the message and the handler do, the loop goes on. */
static void handle(struct shmrpc_server *server, size_t length)
{
    struct shmrpc_call *call = &server->call;
    call->magic = CALL_MAGIC;
    call->server = server;
    call->answered = false;
    call->dropped = false;
    call->failure[0] = '\0';
    enum shmrpc_status status =
        shmrpc_envelope_read_request(server->buffer, length, &call->request);
    if (status == SHMRPC_SERIALIZATION) {
        shmrpc_watch_log(&server->keeper, "%s: dropped a message: %s", server->channel->name,
                         call->request.problem);
        return;
    }
    server->in_call = true;
    if (status == SHMRPC_OK)
        execute(call);
    else /* SRPC-ENV-015 */
        set_failure(call, "RPCError: Invalid request: %s", call->request.problem);
    if (!call->answered && !call->dropped && !atomic_load(&server->channel->orphaned)) {
        if (call->failure[0] == '\0')
            set_failure(call, "RPCError: the method gave no answer");
        (void)answer_error(call, call->failure, strlen(call->failure));
    }
    server->in_call = false;
    ENSURE(!server->channel->inside || atomic_load(&server->channel->orphaned));
}

static enum shmrpc_status watch_idle(void *context)
{
    struct shmrpc_server *server = context;
    /* Ends the wait; step tells it from a time-out by the flag. */
    if (atomic_load(&server->stop))
        return SHMRPC_TIMEOUT;
    return shmrpc_watch_channel(&server->keeper);
}

/* SRPC-SEM-007: what a peer broke beyond repair is cured by a new channel under the same name. */
static enum shmrpc_status make_anew(struct shmrpc_server *server)
{
    shmrpc_watch_log(&server->keeper, "%s: a peer broke the channel; making it anew",
                     server->channel->name);
    shmrpc_channel_retire(server->channel);
    struct shmrpc_channel *fresh;
    enum shmrpc_status status = shmrpc_owner_publish(server->channel->name, server->buffer_bytes,
                                                     server->wait, &fresh, &server->error);
    if (status != SHMRPC_OK)
        return status;
    shmrpc_channel_close(&server->channel);
    server->channel = fresh;
    server->keeper.channel = fresh;
    server->keeper.since_ns = 0;
    return SHMRPC_OK;
}

static enum shmrpc_status after_receive(struct shmrpc_server *server, enum shmrpc_status status,
                                        size_t length)
{
    switch (status) {
    case SHMRPC_OK:
        handle(server, length);
        break;
    case SHMRPC_PROTOCOL:
        if (!server->channel->broken)
            shmrpc_watch_log(&server->keeper, "%s: dropped a frame of impossible length",
                             server->channel->name);
        break;
    default:
        return status;
    }
    return server->channel->broken ? make_anew(server) : SHMRPC_OK;
}

enum shmrpc_status shmrpc_server_step(struct shmrpc_server *server, int timeout_ms)
{
    require_server(server);
    if (timeout_ms < 0 && timeout_ms != SHMRPC_FOREVER)
        return shmrpc_error_set(&server->error, SHMRPC_INVALID, "timeout_ms is negative");
    if (server->in_call)
        return shmrpc_error_set(&server->error, SHMRPC_INVALID, "a handler cannot serve");
    if (atomic_load(&server->channel->orphaned))
        return shmrpc_error_set(&server->error, SHMRPC_INVALID,
                                "the server belongs to the parent process");
    if (atomic_load(&server->stop))
        return SHMRPC_OK;
    struct shmrpc_deadline deadline;
    size_t length;
    shmrpc_deadline_start(&deadline, timeout_ms, watch_idle, server);
    enum shmrpc_status status =
        shmrpc_channel_receive(server->channel, &deadline, server->buffer, &length);
    if (status == SHMRPC_TIMEOUT) {
        if (atomic_load(&server->stop))
            return SHMRPC_OK;
        /* Who polls never waits for a slice, and has to look after the channel all the same. */
        enum shmrpc_status look = shmrpc_watch_channel(&server->keeper);
        if (look != SHMRPC_OK)
            status = look;
    }
    return after_receive(server, status, length);
}

enum shmrpc_status shmrpc_server_run(struct shmrpc_server *server)
{
    require_server(server);
    enum shmrpc_status status;
    do
        status = shmrpc_server_step(server, SHMRPC_FOREVER);
    while (status == SHMRPC_OK && !atomic_load(&server->stop));
    return status;
}

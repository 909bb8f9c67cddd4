/* SPDX-License-Identifier: MIT */
#include "call.h"
#include "check.h"
#include "crash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0x53524341 /* "SRCA" */ };

static struct shmrpc_channel *channel_of(const struct shmrpc_call *call)
{
    return call->place->keeper.channel;
}

/* What holds of a call as long as a handler has it. */
static bool call_ok(const struct shmrpc_call *call)
{
    return call != NULL && call->magic == MAGIC && call->running && call->place != NULL;
}

enum shmrpc_status shmrpc_call_start(struct shmrpc_call *call, struct shmrpc_call_place *place,
                                     size_t length)
{
    REQUIRE(call != NULL);
    REQUIRE(place != NULL);
    REQUIRE(place->keeper.channel != NULL);
    REQUIRE(place->stop != NULL);
    REQUIRE(!place->keeper.channel->inside);
    REQUIRE(length <= place->keeper.channel->capacity);
    call->magic = MAGIC;
    call->place = place;
    call->method = NULL;
    call->running = true;
    call->answered = call->dropped = false;
    call->failure[0] = '\0';
    ENSURE(call_ok(call));
    return shmrpc_envelope_read_request(place->buffer, length, &call->request);
}

/* ---- Answers -------------------------------------------------------------------------------- */

/* While a response waits for its slot: repair it if its client is dead. */
static enum shmrpc_status watch_response(void *context)
{
    struct shmrpc_call_place *place = context;
    enum shmrpc_status status = shmrpc_watch_channel(&place->keeper);
    /* SRPC-SIGNAL-001: a stop is put off for the rest of this slice, and not for a client that does
     * not collect. */
    if (atomic_load(place->stop))
        return SHMRPC_TIMEOUT;
    /* A lost name is told once the call is answered (SRPC-SIGNAL-002). */
    return status == SHMRPC_NOT_FOUND ? SHMRPC_OK : status;
}

/* Have the response slot, now or after some waiting. */
static enum shmrpc_status enter_slot(struct shmrpc_call *call, char **body, size_t *capacity)
{
    REQUIRE(!call->answered);
    REQUIRE(!call->dropped);
    struct shmrpc_channel *channel = channel_of(call);
    struct shmrpc_keeper *keeper = &call->place->keeper;
    if (channel->inside) {
        /* An earlier answer failed half-way; the slot is still ours. */
        *body = shmrpc_channel_body(channel, capacity);
        return SHMRPC_OK;
    }
    struct shmrpc_deadline deadline;
    shmrpc_deadline_start(&deadline, call->place->timeout_ms, watch_response, call->place);
    enum shmrpc_status status = shmrpc_channel_begin(channel, &deadline, body, capacity);
    if (status == SHMRPC_OK)
        return SHMRPC_OK;
    /* SRPC-RECOVER-009 */
    call->dropped = true;
    shmrpc_watch_log(keeper, "%s: dropped a response: its slot stayed occupied", channel->name);
    return status;
}

enum shmrpc_status shmrpc_call_answer_begin(struct shmrpc_call *call, struct shmrpc_writer **writer)
{
    REQUIRE(call_ok(call));
    REQUIRE(writer != NULL);
    if (call->answered || atomic_load(&channel_of(call)->orphaned))
        return SHMRPC_INVALID;
    if (call->dropped)
        return SHMRPC_TIMEOUT;
    char *body;
    size_t capacity;
    enum shmrpc_status status = enter_slot(call, &body, &capacity);
    if (status != SHMRPC_OK)
        return status;
    shmrpc_envelope_begin_response(&call->envelope, body, capacity, &call->request.id);
    CRASH_POINT("server.response.copy_middle", NULL);
    ENSURE(channel_of(call)->inside);
    *writer = &call->envelope.writer;
    return SHMRPC_OK;
}

void shmrpc_call_set_failure(struct shmrpc_call *call, const char *format, ...)
{
    REQUIRE(call_ok(call));
    REQUIRE(format != NULL);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(call->failure, sizeof call->failure, format, arguments);
    va_end(arguments);
    /* The text may quote a name that was cut in the middle of a character. */
    call->failure[shmrpc_json_utf8_prefix(call->failure, strlen(call->failure))] = '\0';
    ENSURE(call->failure[0] != '\0');
}

enum shmrpc_status shmrpc_call_answer_end(struct shmrpc_call *call)
{
    REQUIRE(call_ok(call));
    /* SRPC-FORK-003: in a forked child the slot is no longer there. */
    if (!channel_of(call)->inside || atomic_load(&channel_of(call)->orphaned))
        return SHMRPC_INVALID;
    ENSURE(!call->answered);
    size_t length;
    enum shmrpc_status status = shmrpc_envelope_end_response(&call->envelope, &length);
    if (status == SHMRPC_OK) {
        call->answered = true;
        return shmrpc_channel_commit(channel_of(call), length);
    }
    /* SRPC-ENV-016, SRPC-ENV-017: told by the error reply, unless the handler answers otherwise. */
    if (status == SHMRPC_TOO_LARGE)
        shmrpc_call_set_failure(call,
                                "RPCError: Response too large: it exceeds the buffer's %zu bytes",
                                channel_of(call)->capacity);
    else if (status == SHMRPC_SERIALIZATION)
        shmrpc_call_set_failure(call, "RPCSerializationError: the result cannot be serialised");
    else
        shmrpc_call_set_failure(call, "RPCSerializationError: the result is not one JSON value");
    return status;
}

static enum shmrpc_status answer(struct shmrpc_call *call, struct shmrpc_param value)
{
    struct shmrpc_writer *writer;
    enum shmrpc_status status = shmrpc_call_answer_begin(call, &writer);
    if (status != SHMRPC_OK)
        return status;
    ENSURE(writer == &call->envelope.writer);
    shmrpc_envelope_write(&call->envelope, &value);
    return shmrpc_call_answer_end(call);
}

enum shmrpc_status shmrpc_call_answer_null(struct shmrpc_call *call)
{
    REQUIRE(call_ok(call));
    return answer(call, shmrpc_param_null(""));
}

enum shmrpc_status shmrpc_call_answer_bool(struct shmrpc_call *call, bool value)
{
    REQUIRE(call_ok(call));
    return answer(call, shmrpc_param_bool("", value));
}

enum shmrpc_status shmrpc_call_answer_int64(struct shmrpc_call *call, int64_t value)
{
    REQUIRE(call_ok(call));
    return answer(call, shmrpc_param_int64("", value));
}

enum shmrpc_status shmrpc_call_answer_uint64(struct shmrpc_call *call, uint64_t value)
{
    REQUIRE(call_ok(call));
    return answer(call, shmrpc_param_uint64("", value));
}

enum shmrpc_status shmrpc_call_answer_double(struct shmrpc_call *call, double value)
{
    REQUIRE(call_ok(call));
    return answer(call, shmrpc_param_double("", value));
}

enum shmrpc_status shmrpc_call_answer_string(struct shmrpc_call *call, const char *data,
                                             size_t length)
{
    REQUIRE(call_ok(call));
    return answer(call, shmrpc_param_string("", data, length));
}

enum shmrpc_status shmrpc_call_answer_json(struct shmrpc_call *call, const char *text,
                                           size_t length)
{
    REQUIRE(call_ok(call));
    REQUIRE(text != NULL);
    return answer(call, shmrpc_param_json("", text, length));
}

enum shmrpc_status shmrpc_call_answer_error(struct shmrpc_call *call, const char *text,
                                            size_t length)
{
    REQUIRE(call_ok(call));
    REQUIRE(text != NULL);
    REQUIRE(length > 0);
    if (call->answered || call->dropped || atomic_load(&channel_of(call)->orphaned))
        return call->dropped ? SHMRPC_TIMEOUT : SHMRPC_INVALID;
    char *body;
    size_t capacity;
    enum shmrpc_status status = enter_slot(call, &body, &capacity);
    if (status != SHMRPC_OK)
        return status;
    size_t message_length;
    status = shmrpc_envelope_write_error(body, capacity, &call->request.id, text, length,
                                         &message_length);
    if (status == SHMRPC_OK) {
        call->answered = true;
        return shmrpc_channel_commit(channel_of(call), message_length);
    }
    /* SRPC-ENV-019 */
    call->dropped = true;
    shmrpc_watch_log(&call->place->keeper,
                     "%s: dropped a request whose id leaves no room to answer",
                     channel_of(call)->name);
    (void)shmrpc_channel_abandon(channel_of(call));
    return status;
}

void shmrpc_call_finish(struct shmrpc_call *call)
{
    REQUIRE(call_ok(call));
    REQUIRE(call->request.id.length > 0);
    bool orphaned = atomic_load(&channel_of(call)->orphaned);
    if (!call->answered && !call->dropped && !orphaned) {
        if (call->failure[0] == '\0')
            shmrpc_call_set_failure(call, "RPCError: the method gave no answer");
        (void)shmrpc_call_answer_error(call, call->failure, strlen(call->failure));
    }
    call->running = false;
    ENSURE(!channel_of(call)->inside || orphaned);
}

/* Append text with each invalid byte replaced by U+FFFD. Returns the new end. */
static char *append_valid(char *to, const char *text)
{
    REQUIRE(to != NULL);
    REQUIRE(text != NULL);
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
    REQUIRE(call_ok(call));
    REQUIRE(type != NULL);
    REQUIRE(message != NULL);
    /* SRPC-ENV-009. A byte can become three. */
    char *text = malloc(3 * (strlen(type) + strlen(message)) + sizeof ": ");
    if (text == NULL)
        return SHMRPC_SYSTEM;
    char *end = append_valid(append_valid(append_valid(text, type), ": "), message);
    ENSURE(end - text >= 2);
    enum shmrpc_status status = shmrpc_call_answer_error(call, text, (size_t)(end - text));
    free(text);
    return status;
}

size_t shmrpc_call_capacity(const struct shmrpc_call *call)
{
    REQUIRE(call_ok(call));
    return channel_of(call)->capacity;
}

/* ---- Parameters ----------------------------------------------------------------------------- */

const char *shmrpc_call_method(const struct shmrpc_call *call)
{
    REQUIRE(call_ok(call));
    ENSURE(call->method != NULL);
    return call->method;
}

void shmrpc_call_params(const struct shmrpc_call *call, struct shmrpc_value *params)
{
    REQUIRE(call_ok(call));
    REQUIRE(params != NULL);
    *params = call->request.params.object;
}

enum shmrpc_status shmrpc_call_param(struct shmrpc_call *call, const char *name,
                                     struct shmrpc_value *value)
{
    REQUIRE(call_ok(call));
    REQUIRE(name != NULL);
    REQUIRE(value != NULL);
    enum shmrpc_status status =
        shmrpc_members_find(&call->request.params, name, strlen(name), value);
    if (status == SHMRPC_NOT_FOUND)
        shmrpc_call_set_failure(call, "TypeError: missing a required argument: '%s'", name);
    return status;
}

/* Explain that a parameter is not what was wanted, or, of an integer that may be an argument of
 * this kind, that it is out of range. */
static enum shmrpc_status unfit(struct shmrpc_call *call, const char *name, bool out_of_range,
                                const char *wanted)
{
    REQUIRE(name != NULL);
    REQUIRE(wanted != NULL);
    shmrpc_call_set_failure(call,
                            out_of_range ? "OverflowError: argument '%s' is out of the range of %s"
                                         : "TypeError: argument '%s' is not %s",
                            name, wanted);
    return SHMRPC_SERIALIZATION;
}

enum shmrpc_status shmrpc_call_bool(struct shmrpc_call *call, const char *name, bool *out)
{
    REQUIRE(call_ok(call));
    REQUIRE(out != NULL);
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_call_param(call, name, &value);
    if (status == SHMRPC_OK && shmrpc_value_bool(&value, out) != SHMRPC_OK)
        status = unfit(call, name, false, "a boolean");
    return status;
}

enum shmrpc_status shmrpc_call_int64(struct shmrpc_call *call, const char *name, int64_t *out)
{
    REQUIRE(call_ok(call));
    REQUIRE(out != NULL);
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_call_param(call, name, &value);
    if (status == SHMRPC_OK && shmrpc_value_int64(&value, out) != SHMRPC_OK)
        status = unfit(call, name, shmrpc_value_is_integer(&value), "a signed 64-bit integer");
    return status;
}

enum shmrpc_status shmrpc_call_uint64(struct shmrpc_call *call, const char *name, uint64_t *out)
{
    REQUIRE(call_ok(call));
    REQUIRE(out != NULL);
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_call_param(call, name, &value);
    if (status == SHMRPC_OK && shmrpc_value_uint64(&value, out) != SHMRPC_OK)
        status = unfit(call, name, shmrpc_value_is_integer(&value), "an unsigned 64-bit integer");
    return status;
}

enum shmrpc_status shmrpc_call_double(struct shmrpc_call *call, const char *name, double *out)
{
    REQUIRE(call_ok(call));
    REQUIRE(out != NULL);
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_call_param(call, name, &value);
    if (status == SHMRPC_OK && shmrpc_value_double(&value, out) != SHMRPC_OK)
        status = unfit(call, name, false, "a number");
    return status;
}

bool shmrpc_call_decode(struct shmrpc_call *call, const struct shmrpc_value *value,
                        const char **data, size_t *length)
{
    REQUIRE(call_ok(call));
    REQUIRE(data != NULL);
    REQUIRE(length != NULL);
    if (shmrpc_value_string_view(value, data, length) == SHMRPC_OK)
        return true;
    /* A decoded string is shorter than its text, so the text's own offset is room enough, and the
     * same string always lands in the same place. */
    ENSURE(value->text >= call->place->buffer);
    ENSURE(value->text - call->place->buffer <= (ptrdiff_t)channel_of(call)->capacity);
    char *room = call->place->scratch + (value->text - call->place->buffer);
    size_t decoded;
    if (shmrpc_value_string(value, room, value->length, &decoded) != SHMRPC_OK)
        return false;
    ENSURE(decoded < value->length);
    *data = room;
    *length = decoded;
    return true;
}

enum shmrpc_status shmrpc_call_string(struct shmrpc_call *call, const char *name, const char **data,
                                      size_t *length)
{
    REQUIRE(data != NULL);
    REQUIRE(length != NULL);
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_call_param(call, name, &value);
    if (status == SHMRPC_OK && !shmrpc_call_decode(call, &value, data, length))
        status = unfit(call, name, false, "a string");
    return status;
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
    REQUIRE(call_ok(call));
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
        shmrpc_call_set_failure(call, "TypeError: got an unexpected argument '%.*s'", shown,
                                key.text + 1);
        return SHMRPC_INVALID;
    }
    return SHMRPC_OK;
}

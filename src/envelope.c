/* SPDX-License-Identifier: MIT */
#include "envelope.h"
#include "check.h"

#include <string.h>

#define RAW(writer, literal) shmrpc_writer_raw((writer), literal, sizeof(literal) - 1)

static const char request_head[] = "{\"request_id\":\"";

/* ---- Values -------------------------------------------------------------------------------- */

enum { KIND_NULL, KIND_BOOL, KIND_INT64, KIND_UINT64, KIND_DOUBLE, KIND_STRING, KIND_JSON };

struct shmrpc_param shmrpc_param_null(const char *name)
{
    REQUIRE(name != NULL);
    return (struct shmrpc_param){.name = name, .kind = KIND_NULL};
}

struct shmrpc_param shmrpc_param_bool(const char *name, bool value)
{
    REQUIRE(name != NULL);
    return (struct shmrpc_param){.name = name, .kind = KIND_BOOL, .as.b = value};
}

struct shmrpc_param shmrpc_param_int64(const char *name, int64_t value)
{
    REQUIRE(name != NULL);
    return (struct shmrpc_param){.name = name, .kind = KIND_INT64, .as.i = value};
}

struct shmrpc_param shmrpc_param_uint64(const char *name, uint64_t value)
{
    REQUIRE(name != NULL);
    return (struct shmrpc_param){.name = name, .kind = KIND_UINT64, .as.u = value};
}

struct shmrpc_param shmrpc_param_double(const char *name, double value)
{
    REQUIRE(name != NULL);
    return (struct shmrpc_param){.name = name, .kind = KIND_DOUBLE, .as.d = value};
}

struct shmrpc_param shmrpc_param_string(const char *name, const char *data, size_t length)
{
    REQUIRE(name != NULL);
    REQUIRE(data != NULL || length == 0);
    return (struct shmrpc_param){.name = name, .kind = KIND_STRING, .data = data, .length = length};
}

struct shmrpc_param shmrpc_param_json(const char *name, const char *text, size_t length)
{
    REQUIRE(name != NULL);
    REQUIRE(text != NULL || length == 0);
    return (struct shmrpc_param){.name = name, .kind = KIND_JSON, .data = text, .length = length};
}

void shmrpc_envelope_write(struct shmrpc_envelope *envelope, const struct shmrpc_param *value)
{
    REQUIRE(envelope != NULL);
    REQUIRE(value != NULL);
    REQUIRE(value->data != NULL || value->length == 0);
    struct shmrpc_writer *writer = &envelope->writer;
    switch (value->kind) {
    case KIND_NULL:
        shmrpc_write_null(writer);
        break;
    case KIND_BOOL:
        shmrpc_write_bool(writer, value->as.b);
        break;
    case KIND_INT64:
        shmrpc_write_int64(writer, value->as.i);
        break;
    case KIND_UINT64:
        shmrpc_write_uint64(writer, value->as.u);
        break;
    case KIND_DOUBLE:
        shmrpc_write_double(writer, value->as.d);
        break;
    case KIND_STRING:
        shmrpc_write_string(writer, value->data, value->length);
        break;
    case KIND_JSON:
        shmrpc_write_json(writer, value->data, value->length);
        break;
    default:
        UNREACHABLE("values come from shmrpc_param_*()");
    }
}

/* ---- Reading -------------------------------------------------------------------------------- */

static bool find(const struct shmrpc_members *members, const char *key, struct shmrpc_value *value)
{
    return shmrpc_members_find(members, key, strlen(key), value) == SHMRPC_OK;
}

/* SRPC-ENV-003, SRPC-ENV-004: keys are looked up, whatever their order and company. */
static const char *request_problem(const struct shmrpc_members *outer,
                                   struct shmrpc_request *request)
{
    REQUIRE(request->id.length > 0);
    /* SRPC-ENV-001 */
    if (request->id.type != SHMRPC_STRING)
        return "request_id is not a string";
    if (!find(outer, "method", &request->method))
        return "no method";
    if (request->method.type != SHMRPC_STRING)
        return "method is not a string";
    if (request->params.object.length == 0)
        return "params is missing or not an object";
    return NULL;
}

enum shmrpc_status shmrpc_envelope_read_request(const char *text, size_t length,
                                                struct shmrpc_request *request)
{
    REQUIRE(text != NULL || length == 0);
    REQUIRE(request != NULL);
    struct shmrpc_members outer;
    struct shmrpc_value root;
    request->id.length = 0;
    /* SRPC-ENV-014: from what is no JSON object with an id, no id can be read. */
    if (shmrpc_json_scan(text, length, "params", &root, &outer, &request->params, NULL) !=
        SHMRPC_OK) {
        request->problem = "not valid JSON";
        return SHMRPC_SERIALIZATION;
    }
    if (!find(&outer, "request_id", &request->id)) {
        request->problem = "no JSON object with a request_id";
        return SHMRPC_SERIALIZATION;
    }
    /* SRPC-ENV-013 */
    request->problem = request_problem(&outer, request);
    return request->problem == NULL ? SHMRPC_OK : SHMRPC_PROTOCOL;
}

enum shmrpc_status shmrpc_envelope_read_response(const char *text, size_t length,
                                                 struct shmrpc_response *response)
{
    REQUIRE(text != NULL || length == 0);
    REQUIRE(response != NULL);
    struct shmrpc_members outer;
    struct shmrpc_value root;
    struct shmrpc_value id;
    /* SRPC-CALL-004 */
    if (shmrpc_json_scan(text, length, NULL, &root, &outer, NULL, NULL) != SHMRPC_OK ||
        !find(&outer, "request_id", &id) || id.type != SHMRPC_STRING)
        return SHMRPC_PROTOCOL;
    ENSURE(id.length >= 2);
    response->id = id;
    /* SRPC-ENV-008: an absent result reads as null; so does an absent or empty error. */
    if (!find(&outer, "result", &response->result))
        response->result = (struct shmrpc_value){"null", 4, SHMRPC_NULL, false};
    if (!find(&outer, "error", &response->error) || response->error.type == SHMRPC_NULL ||
        (response->error.type == SHMRPC_STRING && response->error.length == 2))
        response->error = (struct shmrpc_value){"", 0, SHMRPC_NULL, false};
    return SHMRPC_OK;
}

/* ---- Writing -------------------------------------------------------------------------------- */

size_t shmrpc_envelope_request_prefix(const char *id, size_t id_length, char *out)
{
    REQUIRE(id != NULL);
    REQUIRE(out != NULL);
    REQUIRE(id_length > 0);
    size_t head = sizeof request_head - 1;
    memcpy(out, request_head, head);
    memcpy(out + head, id, id_length);
    out[head + id_length] = '"';
    return head + id_length + 1;
}

/* SRPC-JSON-015: the envelope is a level of its own around the value that follows. */
static void begin(struct shmrpc_envelope *envelope, char *buffer, size_t capacity)
{
    envelope->begin = buffer;
    shmrpc_writer_init(&envelope->writer, buffer, capacity);
    envelope->writer.max_depth = SHMRPC_JSON_DEPTH - 1;
    ENSURE(envelope->writer.status == SHMRPC_OK);
}

void shmrpc_envelope_begin_request(struct shmrpc_envelope *envelope, char *buffer, size_t capacity,
                                   const char *id, size_t id_length, const char *method)
{
    REQUIRE(envelope != NULL);
    REQUIRE(buffer != NULL);
    REQUIRE(id != NULL);
    REQUIRE(method != NULL);
    struct shmrpc_writer *writer = &envelope->writer;
    begin(envelope, buffer, capacity);
    shmrpc_writer_raw(writer, request_head, sizeof request_head - 1);
    shmrpc_writer_raw(writer, id, id_length);
    RAW(writer, "\",\"method\":");
    shmrpc_write_string(writer, method, strlen(method));
    RAW(writer, ",\"params\":");
}

void shmrpc_envelope_begin_response(struct shmrpc_envelope *envelope, char *buffer, size_t capacity,
                                    const struct shmrpc_value *id)
{
    REQUIRE(envelope != NULL);
    REQUIRE(buffer != NULL);
    REQUIRE(id != NULL);
    REQUIRE(id->length > 0);
    struct shmrpc_writer *writer = &envelope->writer;
    begin(envelope, buffer, capacity);
    RAW(writer, "{\"request_id\":");
    /* SRPC-ENV-005: the very bytes of the request. */
    shmrpc_writer_raw(writer, id->text, id->length);
    RAW(writer, ",\"result\":");
}

static enum shmrpc_status end(struct shmrpc_envelope *envelope, const char *tail, size_t length,
                              size_t *total)
{
    struct shmrpc_writer *writer = &envelope->writer;
    size_t value_length;
    enum shmrpc_status status = shmrpc_writer_finish(writer, &value_length);
    if (status != SHMRPC_OK)
        return status;
    /* Behind the head, which is raw, finish asks for no value; the envelope needs exactly one. */
    if (!shmrpc_writer_complete(writer))
        return SHMRPC_INVALID;
    shmrpc_writer_raw(writer, tail, length);
    if (writer->status != SHMRPC_OK)
        return writer->status;
    ENSURE(writer->at > envelope->begin);
    ENSURE(writer->at <= writer->end);
    *total = (size_t)(writer->at - envelope->begin);
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_envelope_end_request(struct shmrpc_envelope *envelope, size_t *length)
{
    REQUIRE(envelope != NULL);
    REQUIRE(length != NULL);
    return end(envelope, "}", 1, length);
}

enum shmrpc_status shmrpc_envelope_end_response(struct shmrpc_envelope *envelope, size_t *length)
{
    static const char tail[] = ",\"error\":null}";
    REQUIRE(envelope != NULL);
    REQUIRE(length != NULL);
    /* SRPC-ENV-002: all three keys, always. */
    return end(envelope, tail, sizeof tail - 1, length);
}

static enum shmrpc_status try_error(char *buffer, size_t capacity, const struct shmrpc_value *id,
                                    const char *text, size_t text_length, size_t *length)
{
    struct shmrpc_envelope envelope;
    shmrpc_envelope_begin_response(&envelope, buffer, capacity, id);
    RAW(&envelope.writer, "null,\"error\":");
    shmrpc_write_string(&envelope.writer, text, text_length);
    return end(&envelope, "}", 1, length);
}

enum shmrpc_status shmrpc_envelope_write_error(char *buffer, size_t capacity,
                                               const struct shmrpc_value *id, const char *text,
                                               size_t text_length, size_t *length)
{
    REQUIRE(buffer != NULL);
    REQUIRE(length != NULL);
    REQUIRE(text_length > 0);
    REQUIRE(shmrpc_json_utf8_prefix(text, text_length) == text_length);
    if (try_error(buffer, capacity, id, text, text_length, length) == SHMRPC_OK)
        return SHMRPC_OK;
    /* SRPC-ENV-018: halve the interval between what fits and what does not. Escapes make a text
     * longer by an amount that only writing it tells. */
    size_t fits = 0;
    for (size_t above = text_length < capacity ? text_length : capacity; fits + 1 < above;) {
        size_t middle = fits + (above - fits) / 2;
        size_t cut = shmrpc_json_utf8_prefix(text, middle);
        if (cut > fits && try_error(buffer, capacity, id, text, cut, length) == SHMRPC_OK)
            fits = cut;
        else if (cut > fits)
            above = cut;
        else
            fits = middle; /* no whole character ends in between: as good as tried */
    }
    ENSURE(fits <= text_length);
    size_t cut = shmrpc_json_utf8_prefix(text, fits);
    if (cut == 0)
        return SHMRPC_TOO_LARGE;
    /* It has fitted before. */
    enum shmrpc_status status = try_error(buffer, capacity, id, text, cut, length);
    ENSURE(status == SHMRPC_OK);
    return SHMRPC_OK;
}

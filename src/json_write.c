/* SPDX-License-Identifier: MIT
 *
 * The writer: one document, straight into a buffer of fixed capacity. need_comma is set behind a
 * whole value (or member); at depth 0 it thus says that the document is complete.
 */
#include "check.h"
#include "json.h"
#include "json_number.h"
#include "json_text.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static bool writer_ok(const struct shmrpc_writer *writer)
{
    return writer->begin <= writer->at && writer->at <= writer->end &&
           writer->depth <= writer->max_depth && (!writer->have_key || writer->depth > 0);
}

/** The first error sticks. @return false */
static bool fail(struct shmrpc_writer *writer, enum shmrpc_status status)
{
    INVARIANT(writer->status == SHMRPC_OK);
    INVARIANT(status != SHMRPC_OK);
    writer->status = status;
    return false;
}

/** Append bytes, all or none. */
static inline bool put(struct shmrpc_writer *writer, const char *bytes, size_t length)
{
    REQUIRE(bytes != NULL || length == 0);
    INVARIANT(writer->at <= writer->end);
    if (length > (size_t)(writer->end - writer->at))
        return fail(writer, SHMRPC_TOO_LARGE);
    if (length > 0)
        memcpy(writer->at, bytes, length);
    writer->at += length;
    return true;
}

/** Before a key or a value: whether it may stand here; puts the comma. */
static inline bool begins(struct shmrpc_writer *writer, bool key)
{
    REQUIRE(writer != NULL);
    INVARIANT(writer_ok(writer));
    if (writer->status != SHMRPC_OK)
        return false;
    bool object = shmrpc_json_in_object(writer->objects, writer->depth);
    bool second_document = writer->depth == 0 && writer->need_comma;
    bool due = key ? object && !writer->have_key : object == writer->have_key && !second_document;
    if (!due)
        return fail(writer, SHMRPC_INVALID);
    return !writer->need_comma || put(writer, ",", 1);
}

static inline void value_ends(struct shmrpc_writer *writer)
{
    writer->need_comma = true;
    writer->have_key = false;
    ENSURE(writer->at > writer->begin);
    ENSURE(writer->at <= writer->end);
}

void shmrpc_writer_init(struct shmrpc_writer *writer, char *buffer, size_t capacity)
{
    REQUIRE(writer != NULL);
    REQUIRE(buffer != NULL || capacity == 0);
    /* No object is larger than this, and so no pointer below leaves the address space, of whose two
     * halves the kernel has the upper one. */
    if (capacity > PTRDIFF_MAX)
        capacity = PTRDIFF_MAX;
    writer->begin = buffer;
    writer->at = buffer;
    writer->end = capacity > 0 ? buffer + capacity : buffer;
    writer->depth = 0;
    writer->max_depth = SHMRPC_JSON_DEPTH;
    writer->status = SHMRPC_OK;
    writer->need_comma = false;
    writer->have_key = false;
    ENSURE(writer_ok(writer));
}

static void container_begin(struct shmrpc_writer *writer, bool object)
{
    if (!begins(writer, false))
        return;
    /* SRPC-JSON-015 */
    if (writer->depth == writer->max_depth) {
        fail(writer, SHMRPC_INVALID);
        return;
    }
    if (!put(writer, object ? "{" : "[", 1))
        return;
    shmrpc_json_level_set(writer->objects, writer->depth++, object);
    writer->need_comma = false;
    writer->have_key = false;
    ENSURE(shmrpc_json_in_object(writer->objects, writer->depth) == object);
    ENSURE(writer->depth <= writer->max_depth);
}

static void container_end(struct shmrpc_writer *writer, bool object)
{
    REQUIRE(writer != NULL);
    INVARIANT(writer_ok(writer));
    if (writer->status != SHMRPC_OK)
        return;
    bool in_object = shmrpc_json_in_object(writer->objects, writer->depth);
    if (writer->depth == 0 || in_object != object || writer->have_key) {
        fail(writer, SHMRPC_INVALID);
    } else if (put(writer, object ? "}" : "]", 1)) {
        writer->depth--;
        value_ends(writer);
    }
}

void shmrpc_write_object_begin(struct shmrpc_writer *writer)
{
    REQUIRE(writer != NULL);
    container_begin(writer, true);
}

void shmrpc_write_object_end(struct shmrpc_writer *writer)
{
    REQUIRE(writer != NULL);
    container_end(writer, true);
}

void shmrpc_write_array_begin(struct shmrpc_writer *writer)
{
    REQUIRE(writer != NULL);
    container_begin(writer, false);
}

void shmrpc_write_array_end(struct shmrpc_writer *writer)
{
    REQUIRE(writer != NULL);
    container_end(writer, false);
}

/** Write the escape of a quote, a backslash or a control character, or nothing where less than its
 *  length is left. @return its length */
static inline size_t escape(char c, char *to, size_t left)
{
    INVARIANT(c >= 0);
    INVARIANT(!shmrpc_json_plain[(unsigned char)c]);
    static const char letters[] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n',   ['\r'] = 'r',
        ['\t'] = 't', ['"'] = '"',  ['\\'] = '\\',
    };
    static const char hex[] = "0123456789abcdef";
    char letter = letters[(size_t)c];
    size_t length = letter != 0 ? 2 : 6;
    if (length > left)
        return length;
    to[0] = '\\';
    to[1] = letter;
    if (letter == 0) {
        to[1] = 'u';
        to[2] = to[3] = '0';
        to[4] = hex[c >> 4];
        to[5] = hex[c & 0xF];
    }
    return length;
}

/** Append a string. Where that fails, what was written of it is not counted. */
static bool put_string(struct shmrpc_writer *writer, const char *data, size_t length)
{
    REQUIRE(length <= PTRDIFF_MAX);
    INVARIANT(writer->status == SHMRPC_OK);
    const char *at = data;
    const char *end = length > 0 ? data + length : data;
    char *to = writer->at;
    size_t left = (size_t)(writer->end - writer->at);
    if (left < 2)
        return fail(writer, SHMRPC_TOO_LARGE);
    /* From here on what is left is so besides the closing quote. */
    left -= 2;
    *to++ = '"';
    while (at < end) {
        size_t ahead = (size_t)(end - at);
        size_t read = 1;
        size_t written;
        if (shmrpc_json_plain[(unsigned char)*at]) {
            read = written = shmrpc_json_copy_plain(to, at, ahead < left ? ahead : left);
        } else if ((signed char)*at >= 0) {
            written = escape(*at, to, left);
        } else {
            const char *offence;
            read = written = (size_t)(shmrpc_json_wide_end(at, end, &offence) - at);
            /* SRPC-JSON-012: no output that a reader would refuse (SRPC-JSON-002). */
            if (written == 0)
                return fail(writer, SHMRPC_SERIALIZATION);
            if (written <= left)
                memcpy(to, at, written);
        }
        if (written == 0 || written > left)
            return fail(writer, SHMRPC_TOO_LARGE);
        at += read;
        to += written;
        left -= written;
    }
    *to++ = '"';
    ENSURE(to <= writer->end);
    writer->at = to;
    return true;
}

void shmrpc_write_key(struct shmrpc_writer *writer, const char *key, size_t length)
{
    REQUIRE(key != NULL || length == 0);
    if (!begins(writer, true) || !put_string(writer, key, length) || !put(writer, ":", 1))
        return;
    writer->need_comma = false;
    writer->have_key = true;
    ENSURE(writer_ok(writer));
}

void shmrpc_writer_value(struct shmrpc_writer *writer, const char *text, size_t length)
{
    REQUIRE(text != NULL);
    REQUIRE(length > 0);
    if (begins(writer, false) && put(writer, text, length))
        value_ends(writer);
}

void shmrpc_write_null(struct shmrpc_writer *writer)
{
    REQUIRE(writer != NULL);
    shmrpc_writer_value(writer, "null", 4);
}

void shmrpc_write_bool(struct shmrpc_writer *writer, bool value)
{
    REQUIRE(writer != NULL);
    shmrpc_writer_value(writer, value ? "true" : "false", value ? 4 : 5);
}

static void write_integer(struct shmrpc_writer *writer, bool negative, uint64_t magnitude)
{
    char text[24];
    char *end = text + sizeof text;
    char *at = end;
    do {
        *--at = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude > 0);
    if (negative)
        *--at = '-';
    ENSURE(at >= text);
    ENSURE(at < end);
    shmrpc_writer_value(writer, at, (size_t)(end - at));
}

void shmrpc_write_int64(struct shmrpc_writer *writer, int64_t value)
{
    REQUIRE(writer != NULL);
    write_integer(writer, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void shmrpc_write_uint64(struct shmrpc_writer *writer, uint64_t value)
{
    REQUIRE(writer != NULL);
    write_integer(writer, false, value);
}

void shmrpc_write_double(struct shmrpc_writer *writer, double value)
{
    REQUIRE(writer != NULL);
    INVARIANT(writer_ok(writer));
    /* SRPC-JSON-009 */
    if (!isfinite(value)) {
        if (writer->status == SHMRPC_OK)
            fail(writer, SHMRPC_SERIALIZATION);
        return;
    }
    /* SRPC-JSON-013 */
    char text[SHMRPC_JSON_DOUBLE_BYTES];
    shmrpc_writer_value(writer, text, shmrpc_json_number_write(value, text));
}

void shmrpc_write_string(struct shmrpc_writer *writer, const char *data, size_t length)
{
    REQUIRE(writer != NULL);
    REQUIRE(data != NULL || length == 0);
    if (begins(writer, false) && put_string(writer, data, length))
        value_ends(writer);
}

void shmrpc_write_json(struct shmrpc_writer *writer, const char *text, size_t length)
{
    REQUIRE(writer != NULL);
    REQUIRE(text != NULL || length == 0);
    INVARIANT(writer_ok(writer));
    if (writer->status != SHMRPC_OK)
        return;
    struct shmrpc_value root;
    size_t levels;
    if (shmrpc_json_levels(text, length, &root, &levels) != SHMRPC_OK) {
        fail(writer, SHMRPC_SERIALIZATION);
        return;
    }
    /* SRPC-JSON-015: its levels count from where it stands. */
    if (levels > writer->max_depth - writer->depth) {
        fail(writer, SHMRPC_INVALID);
        return;
    }
    shmrpc_writer_value(writer, root.text, root.length);
}

void shmrpc_writer_raw(struct shmrpc_writer *writer, const char *text, size_t length)
{
    REQUIRE(writer != NULL);
    INVARIANT(writer_ok(writer));
    if (writer->status != SHMRPC_OK)
        return;
    if (writer->depth > 0)
        fail(writer, SHMRPC_INVALID);
    else if (put(writer, text, length))
        writer->need_comma = false;
}

bool shmrpc_writer_complete(const struct shmrpc_writer *writer)
{
    REQUIRE(writer != NULL);
    INVARIANT(writer_ok(writer));
    return writer->status == SHMRPC_OK && writer->depth == 0 && writer->need_comma;
}

enum shmrpc_status shmrpc_writer_finish(struct shmrpc_writer *writer, size_t *length)
{
    REQUIRE(writer != NULL);
    REQUIRE(length != NULL);
    INVARIANT(writer_ok(writer));
    /* Behind raw bytes no value need follow, so what counts is that something was written. */
    if (writer->status == SHMRPC_OK && (writer->depth > 0 || writer->at == writer->begin))
        fail(writer, SHMRPC_INVALID);
    if (writer->status != SHMRPC_OK)
        return writer->status;
    *length = (size_t)(writer->at - writer->begin);
    ENSURE(*length > 0);
    return SHMRPC_OK;
}

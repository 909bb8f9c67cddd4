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

static void fail(struct shmrpc_writer *writer, enum shmrpc_status status)
{
    INVARIANT(writer->status == SHMRPC_OK);
    INVARIANT(status != SHMRPC_OK);
    writer->status = status;
}

static size_t room(const struct shmrpc_writer *writer)
{
    return (size_t)(writer->end - writer->at);
}

/** Append bytes, all or none. */
static inline bool put(struct shmrpc_writer *writer, const char *bytes, size_t length)
{
    REQUIRE(bytes != NULL || length == 0);
    if (length > room(writer)) {
        fail(writer, SHMRPC_TOO_LARGE);
        return false;
    }
    if (length > 0)
        memcpy(writer->at, bytes, length);
    writer->at += length;
    return true;
}

static inline bool put_byte(struct shmrpc_writer *writer, char byte)
{
    if (writer->at == writer->end) {
        fail(writer, SHMRPC_TOO_LARGE);
        return false;
    }
    *writer->at++ = byte;
    return true;
}

static bool in_object(const struct shmrpc_writer *writer)
{
    if (writer->depth == 0)
        return false;
    size_t level = writer->depth - 1;
    return (writer->objects[level / 8] >> level % 8 & 1) != 0;
}

/** Before a value: whether one may stand here; puts the comma. */
static bool value_begins(struct shmrpc_writer *writer)
{
    REQUIRE(writer != NULL);
    INVARIANT(writer_ok(writer));
    if (writer->status != SHMRPC_OK)
        return false;
    bool second_document = writer->depth == 0 && writer->need_comma;
    if (second_document || in_object(writer) != writer->have_key) {
        fail(writer, SHMRPC_INVALID);
        return false;
    }
    return !writer->need_comma || put_byte(writer, ',');
}

static void value_ends(struct shmrpc_writer *writer)
{
    writer->need_comma = true;
    writer->have_key = false;
    INVARIANT(writer_ok(writer));
}

void shmrpc_writer_init(struct shmrpc_writer *writer, char *buffer, size_t capacity)
{
    REQUIRE(writer != NULL);
    REQUIRE(buffer != NULL || capacity == 0);
    /* No object is larger than this, and so no pointer below leaves the address space. */
    if (capacity > UINTPTR_MAX - (uintptr_t)buffer)
        capacity = UINTPTR_MAX - (uintptr_t)buffer;
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
}

static void container_begin(struct shmrpc_writer *writer, bool object)
{
    if (!value_begins(writer))
        return;
    /* SRPC-JSON-015 */
    if (writer->depth == writer->max_depth) {
        fail(writer, SHMRPC_INVALID);
        return;
    }
    if (!put_byte(writer, object ? '{' : '['))
        return;
    unsigned char bit = (unsigned char)(1u << writer->depth % 8);
    unsigned char *byte = &writer->objects[writer->depth / 8];
    *byte = (unsigned char)(object ? *byte | bit : *byte & ~bit);
    writer->depth++;
    writer->need_comma = false;
    writer->have_key = false;
    ENSURE(in_object(writer) == object);
}

static void container_end(struct shmrpc_writer *writer, bool object)
{
    REQUIRE(writer != NULL);
    INVARIANT(writer_ok(writer));
    if (writer->status != SHMRPC_OK)
        return;
    if (writer->depth == 0 || in_object(writer) != object || writer->have_key) {
        fail(writer, SHMRPC_INVALID);
        return;
    }
    if (!put_byte(writer, object ? '}' : ']'))
        return;
    writer->depth--;
    value_ends(writer);
}

void shmrpc_write_object_begin(struct shmrpc_writer *writer)
{
    container_begin(writer, true);
}

void shmrpc_write_object_end(struct shmrpc_writer *writer)
{
    container_end(writer, true);
}

void shmrpc_write_array_begin(struct shmrpc_writer *writer)
{
    container_begin(writer, false);
}

void shmrpc_write_array_end(struct shmrpc_writer *writer)
{
    container_end(writer, false);
}

/** Append the escape of a quote, a backslash or a control character. */
static inline bool put_escape(struct shmrpc_writer *writer, unsigned char c)
{
    INVARIANT(!shmrpc_json_is_plain((char)c) && c < 0x80);
    static const char letters[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    static const char hex[] = "0123456789abcdef";
    char letter = c < 0x20 ? letters[c] : (char)c;
    if (letter != 0)
        return put(writer, (char[]){'\\', letter}, 2);
    return put(writer, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 0xF]}, 6);
}

/** Append the characters from at to wide; the text goes on to end. */
static inline bool put_wide(struct shmrpc_writer *writer, const char *at, const char *wide,
                            const char *end)
{
    size_t length = (size_t)(wide - at);
    /* Most often it is a character or two: a copy of fixed size needs no call. */
    if (length <= 16 && end - at >= 16 && room(writer) >= 16) {
        memcpy(writer->at, at, 16);
        writer->at += length;
        return true;
    }
    return put(writer, at, length);
}

static bool put_string(struct shmrpc_writer *writer, const char *data, size_t length)
{
    REQUIRE(data != NULL || length == 0);
    if (!put_byte(writer, '"'))
        return false;
    const char *at = data;
    const char *end = length > 0 ? data + length : data;
    while (at < end) {
        size_t left = (size_t)(end - at);
        if (shmrpc_json_is_plain(*at)) {
            size_t plain = shmrpc_json_copy_plain(writer->at, at,
                                                  left < room(writer) ? left : room(writer));
            writer->at += plain;
            at += plain;
            if (at == end)
                break;
        }
        unsigned char c = (unsigned char)*at;
        if (c < 0x80) {
            /* A plain byte is here only for want of room. */
            if (shmrpc_json_is_plain(*at) ? !put_byte(writer, *at) : !put_escape(writer, c))
                return false;
            at++;
            continue;
        }
        const char *wide = shmrpc_json_wide_end(at, end);
        /* SRPC-JSON-012: no output that a reader would refuse (SRPC-JSON-002). */
        if (wide == at) {
            fail(writer, SHMRPC_SERIALIZATION);
            return false;
        }
        if (!put_wide(writer, at, wide, end))
            return false;
        at = wide;
    }
    return put_byte(writer, '"');
}

void shmrpc_write_key(struct shmrpc_writer *writer, const char *key, size_t length)
{
    REQUIRE(writer != NULL);
    REQUIRE(key != NULL || length == 0);
    INVARIANT(writer_ok(writer));
    if (writer->status != SHMRPC_OK)
        return;
    if (!in_object(writer) || writer->have_key) {
        fail(writer, SHMRPC_INVALID);
        return;
    }
    if (writer->need_comma && !put_byte(writer, ','))
        return;
    if (!put_string(writer, key, length) || !put_byte(writer, ':'))
        return;
    writer->need_comma = false;
    writer->have_key = true;
}

/** Append a value that is ready. */
static void write_ready(struct shmrpc_writer *writer, const char *text, size_t length)
{
    REQUIRE(text != NULL && length > 0);
    if (value_begins(writer) && put(writer, text, length))
        value_ends(writer);
}

void shmrpc_write_null(struct shmrpc_writer *writer)
{
    write_ready(writer, "null", 4);
}

void shmrpc_write_bool(struct shmrpc_writer *writer, bool value)
{
    write_ready(writer, value ? "true" : "false", value ? 4 : 5);
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
    write_ready(writer, at, (size_t)(end - at));
}

void shmrpc_write_int64(struct shmrpc_writer *writer, int64_t value)
{
    write_integer(writer, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void shmrpc_write_uint64(struct shmrpc_writer *writer, uint64_t value)
{
    write_integer(writer, false, value);
}

void shmrpc_write_double(struct shmrpc_writer *writer, double value)
{
    REQUIRE(writer != NULL);
    /* SRPC-JSON-009 */
    if (!isfinite(value)) {
        if (writer->status == SHMRPC_OK)
            fail(writer, SHMRPC_SERIALIZATION);
        return;
    }
    /* SRPC-JSON-013 */
    char text[SHMRPC_JSON_DOUBLE_BYTES];
    write_ready(writer, text, shmrpc_json_number_write(value, text));
}

void shmrpc_write_string(struct shmrpc_writer *writer, const char *data, size_t length)
{
    if (value_begins(writer) && put_string(writer, data, length))
        value_ends(writer);
}

void shmrpc_write_json(struct shmrpc_writer *writer, const char *text, size_t length)
{
    REQUIRE(writer != NULL);
    REQUIRE(text != NULL || length == 0);
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
    write_ready(writer, root.text, root.length);
}

void shmrpc_writer_value(struct shmrpc_writer *writer, const char *text, size_t length)
{
    write_ready(writer, text, length);
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
    return SHMRPC_OK;
}

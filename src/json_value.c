/* SPDX-License-Identifier: MIT
 *
 * Values. Their text was validated, so here it is only walked; yet no access leaves it, whatever
 * it is.
 */
#include "json.h"
#include "check.h"
#include "json_number.h"
#include "json_text.h"

/** Whether the value is of that type and has at least so many bytes. */
static bool value_is(const struct shmrpc_value *value, enum shmrpc_type type, size_t at_least)
{
    REQUIRE(value != NULL);
    REQUIRE(value->text != NULL || value->length == 0);
    return value->type == type && value->length >= at_least;
}

enum shmrpc_status shmrpc_value_bool(const struct shmrpc_value *value, bool *out)
{
    REQUIRE(out != NULL);
    if (!value_is(value, SHMRPC_BOOL, 1))
        return SHMRPC_SERIALIZATION;
    *out = *value->text == 't';
    return SHMRPC_OK;
}

/** Read an integer as its sign and its magnitude (SRPC-JSON-010, SRPC-JSON-014). */
static bool integer_read(const struct shmrpc_value *value, bool *negative, uint64_t *magnitude)
{
    INVARIANT(negative != NULL);
    INVARIANT(magnitude != NULL);
    return value_is(value, SHMRPC_NUMBER, 1) &&
           shmrpc_json_number_integer(value->text, value->length, negative, magnitude);
}

enum shmrpc_status shmrpc_value_int64(const struct shmrpc_value *value, int64_t *out)
{
    REQUIRE(out != NULL);
    bool negative;
    uint64_t magnitude;
    if (!integer_read(value, &negative, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
        return SHMRPC_SERIALIZATION;
    *out = (int64_t)(negative ? 0 - magnitude : magnitude);
    ENSURE(negative ? *out <= 0 : *out >= 0);
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_value_uint64(const struct shmrpc_value *value, uint64_t *out)
{
    REQUIRE(out != NULL);
    bool negative;
    uint64_t magnitude;
    /* -0 is the integer 0, as it is for int64. */
    if (!integer_read(value, &negative, &magnitude) || (negative && magnitude > 0))
        return SHMRPC_SERIALIZATION;
    *out = magnitude;
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_value_double(const struct shmrpc_value *value, double *out)
{
    REQUIRE(out != NULL);
    if (!value_is(value, SHMRPC_NUMBER, 1))
        return SHMRPC_SERIALIZATION;
    *out = shmrpc_json_number_double(value->text, value->length);
    return SHMRPC_OK;
}

bool shmrpc_value_is_integer(const struct shmrpc_value *value)
{
    return value_is(value, SHMRPC_NUMBER, 1) &&
           shmrpc_json_number_is_integer(value->text, value->length);
}

enum shmrpc_status shmrpc_value_string(const struct shmrpc_value *value, char *buffer,
                                       size_t capacity, size_t *length)
{
    REQUIRE(buffer != NULL || capacity == 0);
    REQUIRE(length != NULL);
    if (!value_is(value, SHMRPC_STRING, 2))
        return SHMRPC_SERIALIZATION;
    const char *at = value->text + 1;
    const char *end = value->text + value->length - 1;
    size_t used = 0;
    /* SRPC-JSON-011 */
    while (at < end) {
        size_t ahead = (size_t)(end - at);
        size_t left = capacity - used;
        size_t read;
        size_t written;
        if (shmrpc_json_plain[(unsigned char)*at]) {
            read = written =
                shmrpc_json_copy_plain(buffer + used, at, ahead < left ? ahead : left);
        } else if (*at == '\\') {
            unsigned code;
            const char *offence;
            const char *behind = shmrpc_json_escape_end(at, end, &code, &offence);
            if (behind == NULL)
                return SHMRPC_SERIALIZATION;
            char utf8[4] = {0};
            char *to = left < sizeof utf8 ? utf8 : buffer + used;
            read = (size_t)(behind - at);
            written = shmrpc_json_utf8_encode(code, to);
            if (to == utf8 && written <= left)
                memcpy(buffer + used, utf8, written);
        } else {
            const char *escape = value->plain ? NULL : memchr(at, '\\', ahead);
            read = written = escape != NULL ? (size_t)(escape - at) : ahead;
            if (written <= left)
                memcpy(buffer + used, at, written);
        }
        if (written == 0 || written > left)
            return SHMRPC_TOO_LARGE;
        at += read;
        used += written;
    }
    ENSURE(used <= capacity);
    ENSURE(used <= value->length - 2);
    *length = used;
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_value_string_view(const struct shmrpc_value *value, const char **data,
                                            size_t *length)
{
    REQUIRE(data != NULL);
    REQUIRE(length != NULL);
    if (!value_is(value, SHMRPC_STRING, 2) ||
        (!value->plain && memchr(value->text + 1, '\\', value->length - 2) != NULL))
        return SHMRPC_SERIALIZATION;
    *data = value->text + 1;
    *length = value->length - 2;
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_value_iterate(const struct shmrpc_value *value,
                                        struct shmrpc_iterator *iterator)
{
    REQUIRE(iterator != NULL);
    bool object = value_is(value, SHMRPC_OBJECT, 2);
    if (!object && !value_is(value, SHMRPC_ARRAY, 2))
        return SHMRPC_SERIALIZATION;
    *iterator = (struct shmrpc_iterator){
        .at = value->text + 1, .end = value->text + value->length - 1, .object = object};
    ENSURE(iterator->at <= iterator->end);
    return SHMRPC_OK;
}

/** Over white space and at most one separator. */
static const char *skip_separator(const char *at, const char *end, char separator)
{
    INVARIANT(at <= end);
    at = shmrpc_json_skip_space(at, end);
    return at < end && *at == separator ? shmrpc_json_skip_space(at + 1, end) : at;
}

bool shmrpc_iterator_next(struct shmrpc_iterator *iterator, struct shmrpc_value *key,
                          struct shmrpc_value *value)
{
    REQUIRE(iterator != NULL);
    REQUIRE(iterator->at != NULL);
    REQUIRE(iterator->at <= iterator->end);
    REQUIRE(value != NULL);
    const char *end = iterator->end;
    const char *at = skip_separator(iterator->at, end, ',');
    struct shmrpc_value name;
    struct shmrpc_value element;
    if (iterator->object) {
        at = shmrpc_json_value_end(at, end, &name);
        if (at == NULL || name.type != SHMRPC_STRING)
            return false;
        at = skip_separator(at, end, ':');
    }
    at = shmrpc_json_value_end(at, end, &element);
    if (at == NULL)
        return false;
    *value = element;
    if (iterator->object && key != NULL)
        *key = name;
    iterator->at = at;
    ENSURE(iterator->at <= end);
    return true;
}

/** Find the last member of that key from the iterator on. */
static bool find_last(struct shmrpc_iterator *iterator, const char *name, size_t length,
                      struct shmrpc_value *found)
{
    INVARIANT(iterator->object);
    INVARIANT(name != NULL || length == 0);
    struct shmrpc_value key;
    struct shmrpc_value value;
    bool any = false;
    while (shmrpc_iterator_next(iterator, &key, &value)) {
        if (shmrpc_json_key_is(&key, name, length)) {
            *found = value;
            any = true;
        }
    }
    return any;
}

enum shmrpc_status shmrpc_value_member(const struct shmrpc_value *value, const char *key,
                                       size_t key_length, struct shmrpc_value *member)
{
    REQUIRE(key != NULL || key_length == 0);
    REQUIRE(member != NULL);
    struct shmrpc_iterator iterator;
    if (shmrpc_value_iterate(value, &iterator) != SHMRPC_OK || !iterator.object)
        return SHMRPC_SERIALIZATION;
    return find_last(&iterator, key, key_length, member) ? SHMRPC_OK : SHMRPC_NOT_FOUND;
}

enum shmrpc_status shmrpc_members_find(const struct shmrpc_members *members, const char *key,
                                       size_t key_length, struct shmrpc_value *value)
{
    REQUIRE(members != NULL);
    REQUIRE(value != NULL);
    REQUIRE(key != NULL || key_length == 0);
    if (members->count > SHMRPC_JSON_REMEMBERED)
        return shmrpc_value_member(&members->object, key, key_length, value);
    /* SRPC-JSON-006: from the last one backwards, so that the last of duplicates is found. */
    for (size_t listed = members->count; listed-- > 0;) {
        if (shmrpc_json_key_is(&members->list[listed].key, key, key_length)) {
            *value = members->list[listed].value;
            return SHMRPC_OK;
        }
    }
    return SHMRPC_NOT_FOUND;
}

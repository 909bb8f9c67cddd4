/* SPDX-License-Identifier: MIT
 *
 * Values. Their text was validated, so here it is only walked; yet no access leaves it, whatever
 * it is.
 */
#include "json.h"
#include "check.h"
#include "json_number.h"
#include "json_text.h"

#include <string.h>

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

enum shmrpc_status shmrpc_value_int64(const struct shmrpc_value *value, int64_t *out)
{
    REQUIRE(out != NULL);
    /* SRPC-JSON-010, SRPC-JSON-014 */
    if (!value_is(value, SHMRPC_NUMBER, 1) ||
        !shmrpc_json_number_int64(value->text, value->length, out))
        return SHMRPC_SERIALIZATION;
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_value_uint64(const struct shmrpc_value *value, uint64_t *out)
{
    REQUIRE(out != NULL);
    /* SRPC-JSON-010, SRPC-JSON-014 */
    if (!value_is(value, SHMRPC_NUMBER, 1) ||
        !shmrpc_json_number_uint64(value->text, value->length, out))
        return SHMRPC_SERIALIZATION;
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

/** Copy what stands for itself in a valid string, until a backslash. @return how many bytes. */
static size_t copy_unescaped(char *to, const char *from, size_t length)
{
    size_t i = 0;
    while (i < length && from[i] != '\\') {
        if (shmrpc_json_is_plain(from[i]))
            i += shmrpc_json_copy_plain(to + i, from + i, length - i);
        for (; i < length && from[i] != '\\' && !shmrpc_json_is_plain(from[i]); i++)
            to[i] = from[i];
    }
    ENSURE(i <= length);
    return i;
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
        size_t left = (size_t)(end - at);
        size_t room = capacity - used;
        size_t copied = 0;
        if (room > 0)
            copied = copy_unescaped(buffer + used, at, left < room ? left : room);
        used += copied;
        at += copied;
        if (at == end)
            break;
        if (*at != '\\')
            return SHMRPC_TOO_LARGE;
        char utf8[4];
        size_t count = shmrpc_json_escape_decode(&at, end, utf8);
        if (count == 0)
            return SHMRPC_SERIALIZATION;
        if (count > capacity - used)
            return SHMRPC_TOO_LARGE;
        memcpy(buffer + used, utf8, count);
        used += count;
    }
    ENSURE(used <= capacity);
    *length = used;
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_value_string_view(const struct shmrpc_value *value, const char **data,
                                            size_t *length)
{
    REQUIRE(data != NULL);
    REQUIRE(length != NULL);
    if (!value_is(value, SHMRPC_STRING, 2) ||
        memchr(value->text + 1, '\\', value->length - 2) != NULL)
        return SHMRPC_SERIALIZATION;
    *data = value->text + 1;
    *length = value->length - 2;
    return SHMRPC_OK;
}

/** The end of the container whose opening bracket stands at at. */
static const char *container_end(const char *at, const char *end)
{
    INVARIANT(at < end);
    size_t depth = 0;
    while (at < end) {
        char c = *at++;
        if (c == '"')
            at = shmrpc_json_string_end(at, end);
        else if (c == '[' || c == '{')
            depth++;
        else if ((c == ']' || c == '}') && --depth == 0)
            return at;
    }
    return end;
}

/** The end of the valid value at at. */
static const char *value_end(const char *at, const char *end)
{
    INVARIANT(at < end);
    switch (*at) {
    case '"':
        return shmrpc_json_string_end(at + 1, end);
    case '[':
    case '{':
        return container_end(at, end);
    default:
        while (at < end && *at != ',' && *at != ']' && *at != '}' && shmrpc_json_skip_space(at, end) == at)
            at++;
        return at;
    }
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
    at = shmrpc_json_skip_space(at, end);
    return at < end && *at == separator ? shmrpc_json_skip_space(at + 1, end) : at;
}

bool shmrpc_iterator_next(struct shmrpc_iterator *iterator, struct shmrpc_value *key,
                          struct shmrpc_value *value)
{
    REQUIRE(iterator != NULL && iterator->at <= iterator->end);
    REQUIRE(value != NULL);
    const char *end = iterator->end;
    const char *at = skip_separator(iterator->at, end, ',');
    iterator->at = at;
    struct shmrpc_value member = {at, 0, SHMRPC_STRING};
    if (iterator->object) {
        if (at == end || *at != '"')
            return false;
        at = shmrpc_json_string_end(at + 1, end);
        member.length = (size_t)(at - member.text);
        at = skip_separator(at, end, ':');
    }
    if (at == end)
        return false;
    const char *behind = value_end(at, end);
    if (behind == at)
        return false;
    *value = (struct shmrpc_value){at, (size_t)(behind - at), shmrpc_json_type_by_first(*at)};
    if (iterator->object && key != NULL)
        *key = member;
    iterator->at = behind;
    ENSURE(iterator->at <= end);
    return true;
}

/** Find the last member of that key from the iterator on. */
static bool find_last(struct shmrpc_iterator *iterator, const char *name, size_t length,
                      struct shmrpc_value *found)
{
    INVARIANT(iterator->object);
    struct shmrpc_value key;
    struct shmrpc_value value;
    bool any = false;
    while (shmrpc_iterator_next(iterator, &key, &value)) {
        if (shmrpc_json_string_equals(&key, name, length)) {
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
    REQUIRE(members != NULL && value != NULL);
    REQUIRE(key != NULL || key_length == 0);
    size_t listed = members->count;
    if (listed > SHMRPC_JSON_REMEMBERED) {
        listed = SHMRPC_JSON_REMEMBERED;
        const struct shmrpc_value *last = &members->list[listed - 1].value;
        struct shmrpc_iterator rest = {
            .at = last->text + last->length,
            .end = members->object.text + members->object.length - 1,
            .object = true};
        if (find_last(&rest, key, key_length, value))
            return SHMRPC_OK;
    }
    /* SRPC-JSON-006: from the last one backwards, so that the last of duplicates is found. */
    while (listed-- > 0) {
        if (shmrpc_json_string_equals(&members->list[listed].key, key, key_length)) {
            *value = members->list[listed].value;
            return SHMRPC_OK;
        }
    }
    return SHMRPC_NOT_FOUND;
}

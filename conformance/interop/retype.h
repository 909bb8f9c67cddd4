/* SPDX-License-Identifier: MIT
 *
 * Takes a JSON value apart with the library's readers and puts it together again with its writer,
 * so that both are on the path between two foreign ends. Shared by the interop programs.
 */
#ifndef SHMRPC_INTEROP_RETYPE_H
#define SHMRPC_INTEROP_RETYPE_H

#include "shmrpc.h"

#include <stdlib.h>

static void retype_number(const struct shmrpc_value *value, struct shmrpc_writer *writer)
{
    int64_t i;
    uint64_t u;
    double d;

    if (shmrpc_value_int64(value, &i) == SHMRPC_OK)
        shmrpc_write_int64(writer, i);
    else if (shmrpc_value_uint64(value, &u) == SHMRPC_OK)
        shmrpc_write_uint64(writer, u);
    else if (shmrpc_value_double(value, &d) == SHMRPC_OK)
        shmrpc_write_double(writer, d);
    else
        abort();
}

/* A decoded string, to be freed by the caller. */
static char *retype_decode(const struct shmrpc_value *string, size_t *length)
{
    char *text = malloc(string->length + 1);

    if (!text || shmrpc_value_string(string, text, string->length, length) != SHMRPC_OK)
        abort();
    text[*length] = '\0';
    return text;
}

static void retype(const struct shmrpc_value *value, struct shmrpc_writer *writer);

static void retype_container(const struct shmrpc_value *value, struct shmrpc_writer *writer)
{
    struct shmrpc_iterator iterator;
    struct shmrpc_value key;
    struct shmrpc_value element;
    bool object = value->type == SHMRPC_OBJECT;

    if (shmrpc_value_iterate(value, &iterator) != SHMRPC_OK)
        abort();
    if (object)
        shmrpc_write_object_begin(writer);
    else
        shmrpc_write_array_begin(writer);
    while (shmrpc_iterator_next(&iterator, &key, &element)) {
        if (object) {
            size_t length;
            char *name = retype_decode(&key, &length);

            shmrpc_write_key(writer, name, length);
            free(name);
        }
        retype(&element, writer);
    }
    if (object)
        shmrpc_write_object_end(writer);
    else
        shmrpc_write_array_end(writer);
}

static void retype(const struct shmrpc_value *value, struct shmrpc_writer *writer)
{
    bool flag;
    size_t length;
    char *text;

    switch (value->type) {
    case SHMRPC_NULL:
        shmrpc_write_null(writer);
        return;
    case SHMRPC_BOOL:
        if (shmrpc_value_bool(value, &flag) != SHMRPC_OK)
            abort();
        shmrpc_write_bool(writer, flag);
        return;
    case SHMRPC_NUMBER:
        retype_number(value, writer);
        return;
    case SHMRPC_STRING:
        text = retype_decode(value, &length);
        shmrpc_write_string(writer, text, length);
        free(text);
        return;
    case SHMRPC_ARRAY:
    case SHMRPC_OBJECT:
        retype_container(value, writer);
        return;
    }
    abort();
}

#endif

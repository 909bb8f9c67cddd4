/* SPDX-License-Identifier: MIT */
#include "params.h"

#include "../error.h"

#include <stdlib.h>
#include <string.h>

/* KEY=STRING or KEY:=JSON, as views into the argument. */
struct pair {
    const char *key;
    size_t key_length;
    const char *value;
    bool json;
};

static struct pair split(const char *verb, const char *argument)
{
    const char *equals = strchr(argument, '=');
    if (equals == NULL)
        tool_usage_error(verb, "'%s' is neither KEY=STRING nor KEY:=JSON", argument);
    bool json = equals > argument && equals[-1] == ':';
    size_t key_length = (size_t)(equals - argument) - (json ? 1 : 0);
    if (key_length == 0)
        tool_usage_error(verb, "'%s' has no KEY before the '='", argument);
    return (struct pair){argument, key_length, equals + 1, json};
}

/* ---- The argument of -d -----------------------------------------------------------------------
 */

static enum shmrpc_status read_stream(FILE *in, const char *name, char **text, size_t *length,
                                      struct shmrpc_error *error)
{
    char chunk[65536];
    FILE *out = open_memstream(text, length);
    if (out == NULL)
        tool_out_of_memory();
    size_t total = 0;
    size_t got;
    while (total <= SHMRPC_MAX_BUFFER_BYTES && (got = fread(chunk, 1, sizeof chunk, in)) > 0) {
        fwrite(chunk, 1, got, out);
        total += got;
    }
    enum shmrpc_status status = SHMRPC_OK;
    if (ferror(in))
        status = shmrpc_error_system(error, "-d: cannot read %s", name);
    else if (total > SHMRPC_MAX_BUFFER_BYTES)
        status =
            shmrpc_error_set(error, SHMRPC_TOO_LARGE, "-d: %s is larger than any buffer", name);
    if (fclose(out) != 0)
        tool_out_of_memory();
    return status;
}

/* What -d names: the JSON itself, @FILE, or - for stdin. *text is allocated in every case. */
static enum shmrpc_status read_data(const char *data, char **text, size_t *length,
                                    struct shmrpc_error *error)
{
    if (strcmp(data, "-") == 0)
        return read_stream(stdin, "stdin", text, length, error);
    if (data[0] == '@') {
        FILE *file = fopen(data + 1, "re");
        if (file == NULL)
            return shmrpc_error_system(error, "-d: cannot open %s", data + 1);
        enum shmrpc_status status = read_stream(file, data + 1, text, length, error);
        fclose(file);
        return status;
    }
    *text = strdup(data);
    if (*text == NULL)
        tool_out_of_memory();
    *length = strlen(data);
    return SHMRPC_OK;
}

/* ---- Merging ----------------------------------------------------------------------------------
 */

static bool replaced(const struct pair *pairs, size_t count, const char *key, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (pairs[i].key_length == length && memcmp(pairs[i].key, key, length) == 0)
            return true;
    return false;
}

static enum shmrpc_status write_members(struct shmrpc_writer *writer,
                                        const struct shmrpc_value *object, const struct pair *pairs,
                                        size_t count)
{
    struct shmrpc_iterator iterator;
    enum shmrpc_status status = shmrpc_value_iterate(object, &iterator);
    char *key = malloc(object->length);
    if (key == NULL)
        tool_out_of_memory();
    struct shmrpc_value name, value;
    while (status == SHMRPC_OK && shmrpc_iterator_next(&iterator, &name, &value)) {
        size_t length = 0;
        status = shmrpc_value_string(&name, key, object->length, &length);
        if (status != SHMRPC_OK || replaced(pairs, count, key, length))
            continue;
        shmrpc_write_key(writer, key, length);
        shmrpc_write_json(writer, value.text, value.length);
    }
    free(key);
    return status;
}

static enum shmrpc_status write_pairs(struct shmrpc_writer *writer, const struct pair *pairs,
                                      size_t count, struct shmrpc_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct pair *pair = &pairs[i];
        if (replaced(pair + 1, count - i - 1, pair->key, pair->key_length))
            continue;
        struct shmrpc_value value;
        size_t offset = 0;
        size_t length = strlen(pair->value);
        if (pair->json && shmrpc_json_read(pair->value, length, &value, &offset) != SHMRPC_OK)
            return shmrpc_error_set(error, SHMRPC_SERIALIZATION,
                                    "%.*s: invalid JSON at byte %zu; a string is KEY=STRING",
                                    (int)pair->key_length, pair->key, offset);
        shmrpc_write_key(writer, pair->key, pair->key_length);
        if (pair->json)
            shmrpc_write_json(writer, value.text, value.length);
        else
            shmrpc_write_string(writer, pair->value, length);
    }
    return SHMRPC_OK;
}

/* No byte of a key or string takes more than six as JSON ("\u0001"), and six hold the marks
 * between. */
static size_t capacity_for(size_t data_length, const struct pair *pairs, size_t count)
{
    size_t capacity = 6 * data_length + 16;
    for (size_t i = 0; i < count; i++)
        capacity += 6 * (pairs[i].key_length + strlen(pairs[i].value) + 1);
    return capacity;
}

static enum shmrpc_status merge(const char *data, size_t data_length, const struct pair *pairs,
                                size_t count, char *buffer, size_t capacity, size_t *length,
                                struct shmrpc_error *error)
{
    struct shmrpc_value object = {"{}", 2, SHMRPC_OBJECT, false};
    size_t offset = 0;
    if (data != NULL && shmrpc_json_read(data, data_length, &object, &offset) != SHMRPC_OK)
        return shmrpc_error_set(error, SHMRPC_SERIALIZATION, "-d: invalid JSON at byte %zu",
                                offset);
    if (object.type != SHMRPC_OBJECT)
        return shmrpc_error_set(error, SHMRPC_SERIALIZATION,
                                "-d: the parameters must be a JSON object");
    struct shmrpc_writer writer;
    shmrpc_writer_init(&writer, buffer, capacity);
    shmrpc_write_object_begin(&writer);
    enum shmrpc_status status = write_members(&writer, &object, pairs, count);
    if (status != SHMRPC_OK)
        return shmrpc_error_set(error, status, "-d: a member cannot be read");
    status = write_pairs(&writer, pairs, count, error);
    if (status != SHMRPC_OK)
        return status;
    shmrpc_write_object_end(&writer);
    status = shmrpc_writer_finish(&writer, length);
    if (status != SHMRPC_OK)
        return shmrpc_error_set(error, SHMRPC_SERIALIZATION,
                                "a parameter is not UTF-8 or nested too deeply");
    return SHMRPC_OK;
}

enum shmrpc_status tool_params_build(const char *verb, const char *data, char **arguments,
                                     size_t count, char **text, size_t *length,
                                     struct shmrpc_error *error)
{
    struct pair *pairs = calloc(count + 1, sizeof *pairs);
    if (pairs == NULL)
        tool_out_of_memory();
    for (size_t i = 0; i < count; i++)
        pairs[i] = split(verb, arguments[i]);
    char *read = NULL;
    size_t read_length = 0;
    enum shmrpc_status status = SHMRPC_OK;
    if (data != NULL)
        status = read_data(data, &read, &read_length, error);
    if (status == SHMRPC_OK) {
        size_t capacity = capacity_for(read_length, pairs, count);
        char *buffer = malloc(capacity);
        if (buffer == NULL)
            tool_out_of_memory();
        status = merge(read, read_length, pairs, count, buffer, capacity, length, error);
        if (status == SHMRPC_OK)
            *text = buffer;
        else
            free(buffer);
    }
    free(read);
    free(pairs);
    return status;
}

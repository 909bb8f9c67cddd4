/* SPDX-License-Identifier: MIT
 *
 * JSON text to and from the kit's tagged trees, with the library's reader and writer.
 */
#include "adapter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cJSON *tree_of(const struct shmrpc_value *value);

static cJSON *tagged(const char *kind)
{
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "t", kind);
    return tree;
}

static cJSON *number_tree(const struct shmrpc_value *value)
{
    char text[32];
    int64_t small;
    uint64_t large;
    double real;
    bool integer = shmrpc_value_int64(value, &small) == SHMRPC_OK;
    if (integer)
        snprintf(text, sizeof text, "%lld", (long long)small);
    else if ((integer = shmrpc_value_uint64(value, &large) == SHMRPC_OK))
        snprintf(text, sizeof text, "%llu", (unsigned long long)large);
    else if (shmrpc_value_double(value, &real) == SHMRPC_OK) {
        uint64_t bits;
        memcpy(&bits, &real, sizeof bits);
        snprintf(text, sizeof text, "%016llx", (unsigned long long)bits);
    }
    cJSON *tree = tagged(integer ? "int" : "double");
    cJSON_AddStringToObject(tree, "v", text);
    return tree;
}

static char *string_hex(const struct shmrpc_value *value)
{
    char *buffer = malloc(value->length + 1);
    size_t length = 0;
    if (buffer == NULL ||
        shmrpc_value_string(value, buffer, value->length + 1, &length) != SHMRPC_OK)
        abort();
    char *hex = hex_of(buffer, length);
    free(buffer);
    return hex;
}

static cJSON *string_tree(const struct shmrpc_value *value)
{
    cJSON *tree = tagged("string");
    char *hex = string_hex(value);
    cJSON_AddStringToObject(tree, "v", hex);
    free(hex);
    return tree;
}

static cJSON *list_tree(const struct shmrpc_value *value)
{
    bool object = value->type == SHMRPC_OBJECT;
    cJSON *tree = tagged(object ? "object" : "array");
    cJSON *items = cJSON_AddArrayToObject(tree, "v");
    struct shmrpc_iterator iterator;
    struct shmrpc_value key, item;
    if (shmrpc_value_iterate(value, &iterator) != SHMRPC_OK)
        abort();
    while (shmrpc_iterator_next(&iterator, &key, &item)) {
        cJSON *one = tree_of(&item);
        if (object) {
            cJSON *pair = cJSON_CreateArray();
            char *hex = string_hex(&key);
            cJSON_AddItemToArray(pair, cJSON_CreateString(hex));
            cJSON_AddItemToArray(pair, one);
            free(hex);
            one = pair;
        }
        cJSON_AddItemToArray(items, one);
    }
    return tree;
}

static cJSON *tree_of(const struct shmrpc_value *value)
{
    bool truth;
    cJSON *tree;
    switch (value->type) {
    case SHMRPC_NULL:
        return tagged("null");
    case SHMRPC_BOOL:
        tree = tagged("bool");
        if (shmrpc_value_bool(value, &truth) == SHMRPC_OK)
            cJSON_AddStringToObject(tree, "v", truth ? "true" : "false");
        return tree;
    case SHMRPC_NUMBER:
        return number_tree(value);
    case SHMRPC_STRING:
        return string_tree(value);
    default:
        return list_tree(value);
    }
}

cJSON *verb_codec_decode(const cJSON *verb)
{
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(verb, "kind");
    const cJSON *hex = cJSON_GetObjectItemCaseSensitive(verb, "hex");
    if (strcmp(kind->valuestring, "json") != 0)
        return reply_unsupported("codec of envelopes");
    size_t length, offset = 0;
    char *text = bytes_of(hex->valuestring, &length);
    struct shmrpc_value value;
    cJSON *reply = reply_ok();
    enum shmrpc_status status = shmrpc_json_read(text, length, &value, &offset);
    if (status == SHMRPC_OK) {
        cJSON_AddItemToObject(reply_ok_body(reply), "tree", tree_of(&value));
    } else {
        char where[64];
        cJSON *reject = cJSON_AddObjectToObject(reply_ok_body(reply), "reject");
        snprintf(where, sizeof where, "at byte %zu", offset);
        cJSON_AddStringToObject(reject, "class", shmrpc_status_name(status));
        cJSON_AddStringToObject(reject, "text", where);
    }
    free(text);
    return reply;
}

static void write_tree(struct shmrpc_writer *writer, const cJSON *tree);

static const char *tree_text(const cJSON *tree, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(tree, key);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static void write_string_hex(struct shmrpc_writer *writer, const char *hex, bool key)
{
    size_t length;
    char *bytes = bytes_of(hex, &length);
    if (key)
        shmrpc_write_key(writer, bytes, length);
    else
        shmrpc_write_string(writer, bytes, length);
    free(bytes);
}

static void write_number(struct shmrpc_writer *writer, const char *kind, const char *text)
{
    if (strcmp(kind, "double") == 0) {
        uint64_t bits = strtoull(text, NULL, 16);
        double value;
        memcpy(&value, &bits, sizeof value);
        shmrpc_write_double(writer, value);
    } else if (text[0] == '-') {
        shmrpc_write_int64(writer, strtoll(text, NULL, 10));
    } else {
        shmrpc_write_uint64(writer, strtoull(text, NULL, 10));
    }
}

static void write_list(struct shmrpc_writer *writer, const cJSON *tree, bool object)
{
    const cJSON *item;
    if (object)
        shmrpc_write_object_begin(writer);
    else
        shmrpc_write_array_begin(writer);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(tree, "v"))
    {
        if (object)
            write_string_hex(writer, cJSON_GetArrayItem(item, 0)->valuestring, true);
        write_tree(writer, object ? cJSON_GetArrayItem(item, 1) : item);
    }
    if (object)
        shmrpc_write_object_end(writer);
    else
        shmrpc_write_array_end(writer);
}

static void write_tree(struct shmrpc_writer *writer, const cJSON *tree)
{
    const char *kind = tree_text(tree, "t");
    if (strcmp(kind, "null") == 0)
        shmrpc_write_null(writer);
    else if (strcmp(kind, "bool") == 0)
        shmrpc_write_bool(writer, strcmp(tree_text(tree, "v"), "true") == 0);
    else if (strcmp(kind, "string") == 0)
        write_string_hex(writer, tree_text(tree, "v"), false);
    else if (strcmp(kind, "array") == 0 || strcmp(kind, "object") == 0)
        write_list(writer, tree, kind[0] == 'o');
    else
        write_number(writer, kind, tree_text(tree, "v"));
}

cJSON *verb_codec_encode(const cJSON *verb)
{
    static char buffer[1 << 20];
    struct shmrpc_writer writer;
    size_t length;
    if (strcmp(tree_text(verb, "kind"), "json") != 0)
        return reply_unsupported("codec of envelopes");
    shmrpc_writer_init(&writer, buffer, sizeof buffer);
    write_tree(&writer, cJSON_GetObjectItemCaseSensitive(verb, "tree"));
    enum shmrpc_status status = shmrpc_writer_finish(&writer, &length);
    if (status != SHMRPC_OK)
        return reply_error(status, shmrpc_status_text(status));
    cJSON *reply = reply_ok();
    char *hex = hex_of(buffer, length);
    cJSON_AddStringToObject(reply_ok_body(reply), "hex", hex);
    free(hex);
    return reply;
}

/* SPDX-License-Identifier: MIT */
#include "judge.h"
#include "harness.h"

#include <stdlib.h>
#include <string.h>

enum { CJSON_NUMBER_BYTES = 63, CJSON_LEVELS = 1000 };

char *judge_decode(const struct shmrpc_value *string, size_t *length)
{
    ORACLE(string->type == SHMRPC_STRING && string->length >= 2);
    /* shmrpc.h promises that this much room suffices. */
    size_t room = string->length - 2;
    char *decoded = harness_room(room);
    ORACLE(shmrpc_value_string(string, decoded, room, length) == SHMRPC_OK);
    ORACLE(*length <= room);
    /* One byte less than it takes is too little, and no byte is written behind that. */
    if (*length > 0) {
        char *small = harness_room(*length - 1);
        size_t untouched = 12345;
        ORACLE(shmrpc_value_string(string, small, *length - 1, &untouched) == SHMRPC_TOO_LARGE);
        ORACLE(untouched == 12345);
        free(small);
    }
    const char *view;
    size_t view_length;
    if (shmrpc_value_string_view(string, &view, &view_length) == SHMRPC_OK)
        ORACLE(view_length == *length && memcmp(view, decoded, *length) == 0);
    else
        ORACLE(memchr(string->text, '\\', string->length) != NULL);
    ORACLE(shmrpc_json_string_equals(string, decoded, *length));
    return decoded;
}

bool judge_can(const char *text, size_t length)
{
    struct shmrpc_value root;
    size_t levels;
    ORACLE(shmrpc_json_levels(text, length, &root, &levels) == SHMRPC_OK);
    if (levels >= CJSON_LEVELS)
        return false;
    size_t number = 0;
    for (size_t i = 0; i < length; i++) {
        if (length - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0)
            return false;
        number = strchr("0123456789+-.eE", text[i]) != NULL && text[i] != '\0' ? number + 1 : 0;
        if (number > CJSON_NUMBER_BYTES)
            return false;
    }
    return true;
}

cJSON *judge_parse(const char *text, size_t length)
{
    if (!judge_can(text, length))
        return NULL;
    cJSON *tree = cJSON_ParseWithLength(text, length);
    ORACLE(tree != NULL);
    return tree;
}

static void compare_string(const struct shmrpc_value *value, const char *other)
{
    size_t length;
    char *decoded = judge_decode(value, &length);
    ORACLE(other != NULL);
    ORACLE(strlen(other) == length && memcmp(other, decoded, length) == 0);
    free(decoded);
}

static void compare_number(const struct shmrpc_value *value, double other)
{
    double number;
    int64_t exact;
    uint64_t large;
    ORACLE(shmrpc_value_double(value, &number) == SHMRPC_OK);
    ORACLE(number == other);
    bool is_signed = shmrpc_value_int64(value, &exact) == SHMRPC_OK;
    bool is_unsigned = shmrpc_value_uint64(value, &large) == SHMRPC_OK;
    ORACLE(!is_signed || (double)exact == other);
    ORACLE(!is_unsigned || (double)large == other);
    ORACLE((!is_signed && !is_unsigned) || shmrpc_value_is_integer(value));
    if (shmrpc_value_is_integer(value) && other >= -9e18 && other <= 9e18)
        ORACLE(is_signed);
}

static void compare_members(const struct shmrpc_value *value, const cJSON *tree)
{
    struct shmrpc_iterator iterator;
    struct shmrpc_value key;
    struct shmrpc_value member;
    ORACLE(shmrpc_value_iterate(value, &iterator) == SHMRPC_OK);
    const cJSON *item = tree->child;
    for (; shmrpc_iterator_next(&iterator, &key, &member); item = item->next) {
        ORACLE(item != NULL);
        if (value->type == SHMRPC_OBJECT)
            compare_string(&key, item->string);
        judge_compare(&member, item);
    }
    ORACLE(item == NULL);
}

void judge_compare(const struct shmrpc_value *value, const cJSON *tree)
{
    bool truth;
    switch (value->type) {
    case SHMRPC_NULL:
        ORACLE(cJSON_IsNull(tree));
        break;
    case SHMRPC_BOOL:
        ORACLE(cJSON_IsBool(tree));
        ORACLE(shmrpc_value_bool(value, &truth) == SHMRPC_OK);
        ORACLE(truth == (cJSON_IsTrue(tree) != 0));
        break;
    case SHMRPC_NUMBER:
        ORACLE(cJSON_IsNumber(tree));
        compare_number(value, tree->valuedouble);
        break;
    case SHMRPC_STRING:
        ORACLE(cJSON_IsString(tree));
        compare_string(value, tree->valuestring);
        break;
    case SHMRPC_ARRAY:
    case SHMRPC_OBJECT:
        ORACLE(value->type == SHMRPC_ARRAY ? cJSON_IsArray(tree) : cJSON_IsObject(tree));
        compare_members(value, tree);
        break;
    }
}

const cJSON *judge_last(const cJSON *object, const char *name)
{
    const cJSON *last = NULL;
    for (const cJSON *item = object->child; item != NULL; item = item->next)
        if (strcmp(item->string, name) == 0)
            last = item;
    return last;
}

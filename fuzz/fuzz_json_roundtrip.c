/* SPDX-License-Identifier: MIT
 *
 * Input: a JSON text. What is read and written again is valid, has equal values, fits into exactly
 * the bytes it has and not into fewer, and written a second time is the same to the byte.
 */
#include "harness.h"
#include "judge.h"

#include <stdlib.h>
#include <string.h>

static void write_value(struct shmrpc_writer *writer, const struct shmrpc_value *value);

static void write_number(struct shmrpc_writer *writer, const struct shmrpc_value *value)
{
    int64_t exact;
    uint64_t large;
    double number;
    if (shmrpc_value_int64(value, &exact) == SHMRPC_OK) {
        shmrpc_write_int64(writer, exact);
    } else if (shmrpc_value_uint64(value, &large) == SHMRPC_OK) {
        shmrpc_write_uint64(writer, large);
    } else {
        ORACLE(shmrpc_value_double(value, &number) == SHMRPC_OK);
        shmrpc_write_double(writer, number);
    }
}

static void write_container(struct shmrpc_writer *writer, const struct shmrpc_value *value)
{
    bool object = value->type == SHMRPC_OBJECT;
    struct shmrpc_iterator iterator;
    struct shmrpc_value key, member;
    ORACLE(shmrpc_value_iterate(value, &iterator) == SHMRPC_OK);
    (object ? shmrpc_write_object_begin : shmrpc_write_array_begin)(writer);
    while (shmrpc_iterator_next(&iterator, &key, &member)) {
        if (object) {
            size_t length;
            char *name = judge_decode(&key, &length);
            shmrpc_write_key(writer, name, length);
            free(name);
        }
        write_value(writer, &member);
    }
    (object ? shmrpc_write_object_end : shmrpc_write_array_end)(writer);
}

static void write_value(struct shmrpc_writer *writer, const struct shmrpc_value *value)
{
    bool truth = false;
    size_t length;
    char *text;
    switch (value->type) {
    case SHMRPC_NULL:
        shmrpc_write_null(writer);
        break;
    case SHMRPC_BOOL:
        ORACLE(shmrpc_value_bool(value, &truth) == SHMRPC_OK);
        shmrpc_write_bool(writer, truth);
        break;
    case SHMRPC_NUMBER:
        write_number(writer, value);
        break;
    case SHMRPC_STRING:
        text = judge_decode(value, &length);
        shmrpc_write_string(writer, text, length);
        free(text);
        break;
    case SHMRPC_ARRAY:
    case SHMRPC_OBJECT:
        write_container(writer, value);
        break;
    }
}

/* Compare two texts that should mean the same, value by value. */
static void check_equal(const struct shmrpc_value *a, const struct shmrpc_value *b)
{
    ORACLE(a->type == b->type);
    if (a->type == SHMRPC_NUMBER) {
        double x, y;
        int64_t i, j;
        ORACLE(shmrpc_value_double(a, &x) == SHMRPC_OK && shmrpc_value_double(b, &y) == SHMRPC_OK);
        ORACLE(x == y);
        if (shmrpc_value_int64(a, &i) == SHMRPC_OK)
            ORACLE(shmrpc_value_int64(b, &j) == SHMRPC_OK && i == j);
    } else if (a->type == SHMRPC_STRING) {
        size_t length;
        char *text = judge_decode(a, &length);
        ORACLE(shmrpc_json_string_equals(b, text, length));
        free(text);
    } else if (a->type == SHMRPC_ARRAY || a->type == SHMRPC_OBJECT) {
        struct shmrpc_iterator s, t;
        struct shmrpc_value key, other_key, member, other;
        ORACLE(shmrpc_value_iterate(a, &s) == SHMRPC_OK);
        ORACLE(shmrpc_value_iterate(b, &t) == SHMRPC_OK);
        while (shmrpc_iterator_next(&s, &key, &member)) {
            ORACLE(shmrpc_iterator_next(&t, &other_key, &other));
            if (a->type == SHMRPC_OBJECT)
                check_equal(&key, &other_key);
            check_equal(&member, &other);
        }
        ORACLE(!shmrpc_iterator_next(&t, &other_key, &other));
    } else {
        ORACLE(a->length == b->length && memcmp(a->text, b->text, a->length) == 0);
    }
}

/* Write the value into exactly capacity bytes. */
static char *rewrite(const struct shmrpc_value *value, size_t capacity, size_t *length)
{
    struct shmrpc_writer writer;
    char *text = harness_room(capacity);
    shmrpc_writer_init(&writer, text, capacity);
    write_value(&writer, value);
    ORACLE(shmrpc_writer_complete(&writer));
    ORACLE(shmrpc_writer_finish(&writer, length) == SHMRPC_OK);
    ORACLE(*length <= capacity);
    return text;
}

/* One byte less, or half of the bytes, is too little, and says so. */
static void check_too_small(const struct shmrpc_value *value, size_t capacity)
{
    struct shmrpc_writer writer;
    size_t length = SIZE_MAX;
    char *text = harness_room(capacity);
    shmrpc_writer_init(&writer, text, capacity);
    write_value(&writer, value);
    ORACLE(!shmrpc_writer_complete(&writer));
    ORACLE(shmrpc_writer_finish(&writer, &length) == SHMRPC_TOO_LARGE && length == SIZE_MAX);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = harness_copy(data, size);
    struct shmrpc_value value, again;
    if (shmrpc_json_read(text, size, &value, NULL) != SHMRPC_OK) {
        free(text);
        return 0;
    }
    /* A double can grow from "1e9" to seven times that; nothing grows more. */
    size_t length, second;
    char *large = rewrite(&value, 8 * size + 64, &length);
    char *exact = rewrite(&value, length, &second);
    ORACLE(second == length && memcmp(large, exact, length) == 0);
    ORACLE(shmrpc_json_read(exact, length, &again, NULL) == SHMRPC_OK);
    ORACLE(again.text == exact && again.length == length);
    check_equal(&value, &again);
    cJSON *tree = judge_parse(exact, length);
    if (tree != NULL)
        judge_compare(&again, tree);
    cJSON_Delete(tree);
    char *third = rewrite(&again, length, &second);
    ORACLE(second == length && memcmp(third, exact, length) == 0);
    check_too_small(&value, length - 1);
    check_too_small(&value, length / 2);
    harness_note(exact, length);
    free(third);
    free(exact);
    free(large);
    free(text);
    return 0;
}

/* SPDX-License-Identifier: MIT
 *
 * Input: a JSON text, valid or not. Behind white space, and so in other blocks of the scanner, and
 * looked at 16 bytes at a time where the processor could at 32, it gets the same verdict, offset
 * and members; what is accepted cJSON accepts with equal values; what is refused names an offset,
 * and what stands before it was no reason to refuse.
 */
#include "harness.h"
#include "judge.h"

#include "json_text.h"

#include <stdlib.h>
#include <string.h>

struct verdict {
    enum shmrpc_status status;
    struct shmrpc_value root;
    struct shmrpc_members outer;
    struct shmrpc_members inner;
    size_t offset;
};

static struct verdict scan(const char *text, size_t length)
{
    struct verdict verdict;
    memset(&verdict, 0, sizeof verdict);
    verdict.status = shmrpc_json_scan(text, length, "params", &verdict.root, &verdict.outer,
                                      &verdict.inner, &verdict.offset);
    return verdict;
}

static void check_inside(const char *text, size_t length, const struct shmrpc_value *value)
{
    ORACLE(value->text >= text && value->length > 0);
    ORACLE((size_t)(value->text - text) <= length);
    ORACLE(value->length <= length - (size_t)(value->text - text));
}

/* Whether b is in its text what a is in another, which starts so many bytes earlier. */
static void check_same(const struct shmrpc_value *a, const struct shmrpc_value *b, ptrdiff_t moved)
{
    ORACLE(a->text + moved == b->text && a->length == b->length);
    ORACLE(a->type == b->type && a->plain == b->plain);
}

static void check_members(const char *text, size_t length, const struct shmrpc_members *a,
                          const struct shmrpc_members *b, ptrdiff_t moved)
{
    ORACLE(a->count == b->count && a->object.length == b->object.length);
    if (a->object.length == 0)
        return;
    check_same(&a->object, &b->object, moved);
    check_inside(text, length, &a->object);
    for (size_t i = 0; i < a->count && i < SHMRPC_JSON_REMEMBERED; i++) {
        check_same(&a->list[i].key, &b->list[i].key, moved);
        check_same(&a->list[i].value, &b->list[i].value, moved);
        check_inside(text, length, &a->list[i].key);
        check_inside(text, length, &a->list[i].value);
        struct shmrpc_value alone;
        ORACLE(shmrpc_json_read(a->list[i].value.text, a->list[i].value.length, &alone, NULL) ==
               SHMRPC_OK);
    }
}

/* Each key leads to its last value, by whichever way it is looked up. */
static void check_lookups(const struct shmrpc_value *object, const struct shmrpc_members *members)
{
    enum { KEYS = 40 };
    struct shmrpc_iterator iterator;
    struct shmrpc_value key, value;
    size_t count = 0;
    ORACLE(shmrpc_value_iterate(object, &iterator) == SHMRPC_OK);
    while (shmrpc_iterator_next(&iterator, &key, &value) && count++ < KEYS) {
        size_t length;
        char *name = judge_decode(&key, &length);
        struct shmrpc_iterator rest = iterator;
        struct shmrpc_value other, last = value, found;
        while (shmrpc_iterator_next(&rest, &other, &value))
            if (shmrpc_json_string_equals(&other, name, length))
                last = value;
        ORACLE(shmrpc_value_member(object, name, length, &found) == SHMRPC_OK);
        ORACLE(found.text == last.text && found.length == last.length);
        ORACLE(shmrpc_members_find(members, name, length, &found) == SHMRPC_OK);
        ORACLE(found.text == last.text && found.length == last.length);
        free(name);
    }
}

/* The reader of each type takes a value of that type and no other. */
static void check_readers(const struct shmrpc_value *value)
{
    bool truth;
    int64_t integer;
    uint64_t natural;
    double number;
    struct shmrpc_iterator iterator;
    struct shmrpc_value member;
    size_t length;
    bool is_number = value->type == SHMRPC_NUMBER;
    ORACLE((shmrpc_value_bool(value, &truth) == SHMRPC_OK) == (value->type == SHMRPC_BOOL));
    ORACLE((shmrpc_value_double(value, &number) == SHMRPC_OK) == is_number);
    bool fits = shmrpc_value_int64(value, &integer) == SHMRPC_OK;
    ORACLE(!fits || (is_number && shmrpc_value_is_integer(value)));
    if (shmrpc_value_uint64(value, &natural) == SHMRPC_OK)
        ORACLE(shmrpc_value_is_integer(value) && (!fits || (uint64_t)integer == natural));
    bool container = value->type == SHMRPC_ARRAY || value->type == SHMRPC_OBJECT;
    ORACLE((shmrpc_value_iterate(value, &iterator) == SHMRPC_OK) == container);
    enum shmrpc_status status = shmrpc_value_member(value, "no such", 7, &member);
    ORACLE((status == SHMRPC_SERIALIZATION) == (value->type != SHMRPC_OBJECT));
    if (value->type != SHMRPC_STRING) {
        ORACLE(shmrpc_value_string(value, NULL, 0, &length) == SHMRPC_SERIALIZATION);
        ORACLE(!shmrpc_json_string_equals(value, value->text, value->length));
    }
}

/* A refusal at an offset says that the bytes before it can be completed: the same text cut there
 * is refused for want of bytes, at its end, or (a number that is whole) not at all. */
static void check_refusal(const char *text, size_t length, size_t offset)
{
    ORACLE(offset <= length);
    char *cut = harness_copy(text, offset);
    struct shmrpc_value root;
    size_t again;
    if (shmrpc_json_read(cut, offset, &root, &again) != SHMRPC_OK)
        ORACLE(again == offset);
    free(cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = harness_copy(data, size);
    size_t spaces = 1 + size % 67;
    char *spaced = malloc(spaces + size);
    ORACLE(spaced != NULL);
    memset(spaced, ' ', spaces);
    memcpy(spaced + spaces, text, size);
    struct verdict verdict = scan(size > 0 ? text : NULL, size);
    struct shmrpc_value root;
    size_t levels;
    shmrpc_json_narrow = true;
    struct verdict other = scan(spaced, spaces + size);
    shmrpc_json_narrow = false;
    ORACLE(verdict.status == SHMRPC_OK || verdict.status == SHMRPC_SERIALIZATION);
    ORACLE(verdict.status == other.status);
    ORACLE(verdict.status == shmrpc_json_levels(text, size, &root, &levels));
    harness_note_number((uint64_t)verdict.status);
    harness_note_number(verdict.offset);
    ptrdiff_t moved = spaced + spaces - text;
    check_members(text, size, &verdict.outer, &other.outer, moved);
    check_members(text, size, &verdict.inner, &other.inner, moved);
    if (verdict.status == SHMRPC_OK) {
        check_inside(text, size, &verdict.root);
        check_same(&verdict.root, &other.root, moved);
        check_readers(&verdict.root);
        cJSON *tree = judge_parse(text, size);
        if (tree != NULL)
            judge_compare(&verdict.root, tree);
        if (verdict.root.type == SHMRPC_OBJECT)
            check_lookups(&verdict.root, &verdict.outer);
        if (verdict.inner.object.length > 0)
            check_lookups(&verdict.inner.object, &verdict.inner);
        cJSON_Delete(tree);
    } else {
        ORACLE(verdict.offset + spaces == other.offset);
        check_refusal(text, size, verdict.offset);
    }
    free(spaced);
    free(text);
    return 0;
}

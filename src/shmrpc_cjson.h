/* SPDX-License-Identifier: MIT
 *
 * shmrpc_cjson.h - optional: cJSON trees for handlers and clients that want them.
 *
 * The library itself builds no tree. Where one is convenient, these functions make a cJSON tree of
 * an SHM-RPC value and write one as JSON. Include it, and link with -lcjson.
 *
 * cJSON cannot represent every JSON text. Whatever it would change silently is refused here with
 * SHMRPC_SERIALIZATION instead:
 *  - U+0000 in a string or a key: cJSON's strings end at a NUL;
 *  - an integer beyond +-2^53: cJSON's numbers are doubles;
 *  - on the way back: NaN, infinities, strings that are not UTF-8, items that are no JSON.
 * What remains: of duplicate keys the tree has the last only, as everywhere in SHM-RPC; 1.0 and 1
 * are one number to cJSON and come back as 1. Read numbers from valuedouble: valueint is an int.
 * For the exact value use shmrpc_value_int64() and its relatives.
 */
#ifndef SHMRPC_CJSON_H
#define SHMRPC_CJSON_H

#include "shmrpc.h"

#include <cjson/cJSON.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Largest integer up to which all are exact as a double. */
#define SHMRPC_CJSON_EXACT 9007199254740992
/* As deep as the library reads; a tree made by hand might even be a circle. */
#define SHMRPC_CJSON_DEPTH 1024

/* ---- From a value to a tree. Private parts first; recursion is bounded by the validated depth. --
 */

static enum shmrpc_status shmrpc_cjson_make_(const struct shmrpc_value *value, cJSON **tree);

/* A NUL-terminated copy of a string, in memory of malloc(). */
static inline enum shmrpc_status shmrpc_cjson_text_(const struct shmrpc_value *value, char **text)
{
    size_t length = 0;
    char *copy = (char *)malloc(value->length);
    if (copy == NULL)
        return SHMRPC_SYSTEM;
    enum shmrpc_status status = shmrpc_value_string(value, copy, value->length - 1, &length);
    if (status == SHMRPC_OK && memchr(copy, '\0', length) != NULL)
        status = SHMRPC_SERIALIZATION;
    if (status != SHMRPC_OK) {
        free(copy);
        return status;
    }
    copy[length] = '\0';
    *text = copy;
    return SHMRPC_OK;
}

static inline enum shmrpc_status shmrpc_cjson_string_(const struct shmrpc_value *value,
                                                      cJSON **tree)
{
    char *text = NULL;
    enum shmrpc_status status = shmrpc_cjson_text_(value, &text);
    if (status != SHMRPC_OK)
        return status;
    *tree = cJSON_CreateString(text);
    free(text);
    return *tree != NULL ? SHMRPC_OK : SHMRPC_SYSTEM;
}

static inline enum shmrpc_status shmrpc_cjson_number_(const struct shmrpc_value *value,
                                                      cJSON **tree)
{
    double number = 0;
    int64_t integer = 0;
    enum shmrpc_status status;
    if (shmrpc_value_is_integer(value)) {
        status = shmrpc_value_int64(value, &integer);
        if (status == SHMRPC_OK && (integer > SHMRPC_CJSON_EXACT || integer < -SHMRPC_CJSON_EXACT))
            status = SHMRPC_SERIALIZATION;
        number = (double)integer; /* the integer -0 is 0 */
    } else {
        status = shmrpc_value_double(value, &number);
    }
    if (status != SHMRPC_OK)
        return status;
    *tree = cJSON_CreateNumber(number);
    return *tree != NULL ? SHMRPC_OK : SHMRPC_SYSTEM;
}

static inline enum shmrpc_status shmrpc_cjson_array_(const struct shmrpc_value *value, cJSON **tree)
{
    struct shmrpc_iterator iterator;
    struct shmrpc_value element;
    enum shmrpc_status status = shmrpc_value_iterate(value, &iterator);
    cJSON *array = cJSON_CreateArray();
    if (array == NULL)
        return SHMRPC_SYSTEM;
    while (status == SHMRPC_OK && shmrpc_iterator_next(&iterator, NULL, &element)) {
        cJSON *item = NULL;
        status = shmrpc_cjson_make_(&element, &item);
        if (status == SHMRPC_OK)
            cJSON_AddItemToArray(array, item);
    }
    if (status == SHMRPC_OK)
        *tree = array;
    else
        cJSON_Delete(array);
    return status;
}

/* A member and where it stood, for sorting. */
struct shmrpc_cjson_place_ {
    cJSON *item;
    size_t index;
};

static inline int shmrpc_cjson_compare_(const void *left, const void *right)
{
    const struct shmrpc_cjson_place_ *a = (const struct shmrpc_cjson_place_ *)left;
    const struct shmrpc_cjson_place_ *b = (const struct shmrpc_cjson_place_ *)right;
    int order = strcmp(a->item->string, b->item->string);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

/* cJSON_GetObjectItem() finds the first of duplicate keys, but the last counts: take the others
 * out. Sorting keeps it from being quadratic in what a peer sends. */
static inline enum shmrpc_status shmrpc_cjson_last_wins_(cJSON *object, size_t count)
{
    if (count < 2)
        return SHMRPC_OK;
    struct shmrpc_cjson_place_ *places =
        (struct shmrpc_cjson_place_ *)malloc(count * sizeof *places);
    if (places == NULL)
        return SHMRPC_SYSTEM;
    size_t used = 0;
    for (cJSON *item = object->child; item != NULL && used < count; item = item->next, used++) {
        places[used].item = item;
        places[used].index = used;
    }
    qsort(places, used, sizeof *places, shmrpc_cjson_compare_);
    for (size_t i = 0; i + 1 < used; i++)
        if (strcmp(places[i].item->string, places[i + 1].item->string) == 0)
            cJSON_Delete(cJSON_DetachItemViaPointer(object, places[i].item));
    free(places);
    return SHMRPC_OK;
}

static inline enum shmrpc_status shmrpc_cjson_member_(cJSON *object, const struct shmrpc_value *key,
                                                      const struct shmrpc_value *value)
{
    char *name = NULL;
    cJSON *item = NULL;
    enum shmrpc_status status = shmrpc_cjson_text_(key, &name);
    if (status == SHMRPC_OK)
        status = shmrpc_cjson_make_(value, &item);
    if (status == SHMRPC_OK && !cJSON_AddItemToObject(object, name, item)) {
        cJSON_Delete(item);
        status = SHMRPC_SYSTEM;
    }
    free(name);
    return status;
}

static inline enum shmrpc_status shmrpc_cjson_object_(const struct shmrpc_value *value,
                                                      cJSON **tree)
{
    struct shmrpc_iterator iterator;
    struct shmrpc_value key, member;
    size_t count = 0;
    enum shmrpc_status status = shmrpc_value_iterate(value, &iterator);
    cJSON *object = cJSON_CreateObject();
    if (object == NULL)
        return SHMRPC_SYSTEM;
    while (status == SHMRPC_OK && shmrpc_iterator_next(&iterator, &key, &member)) {
        status = shmrpc_cjson_member_(object, &key, &member);
        count++;
    }
    if (status == SHMRPC_OK)
        status = shmrpc_cjson_last_wins_(object, count);
    if (status == SHMRPC_OK)
        *tree = object;
    else
        cJSON_Delete(object);
    return status;
}

static inline enum shmrpc_status shmrpc_cjson_make_(const struct shmrpc_value *value, cJSON **tree)
{
    bool truth = false;
    switch (value->type) {
    case SHMRPC_NULL:
        *tree = cJSON_CreateNull();
        return *tree != NULL ? SHMRPC_OK : SHMRPC_SYSTEM;
    case SHMRPC_BOOL:
        if (shmrpc_value_bool(value, &truth) != SHMRPC_OK)
            return SHMRPC_SERIALIZATION;
        *tree = cJSON_CreateBool(truth);
        return *tree != NULL ? SHMRPC_OK : SHMRPC_SYSTEM;
    case SHMRPC_NUMBER:
        return shmrpc_cjson_number_(value, tree);
    case SHMRPC_STRING:
        return shmrpc_cjson_string_(value, tree);
    case SHMRPC_ARRAY:
        return shmrpc_cjson_array_(value, tree);
    case SHMRPC_OBJECT:
        return shmrpc_cjson_object_(value, tree);
    }
    return SHMRPC_SERIALIZATION;
}

/** Make a tree of a value. @param tree the caller's, ended with cJSON_Delete().
 *  @return OK, SERIALIZATION (cJSON cannot represent it, see above), SYSTEM (out of memory). */
static inline enum shmrpc_status shmrpc_cjson_from_value(const struct shmrpc_value *value,
                                                         cJSON **tree)
{
    cJSON *made = NULL;
    enum shmrpc_status status = shmrpc_cjson_make_(value, &made);
    if (status == SHMRPC_OK)
        *tree = made;
    return status;
}

/* ---- From a tree to JSON -----------------------------------------------------------------------
 */

static inline void shmrpc_cjson_write_number_(struct shmrpc_writer *writer, double number)
{
    if (number >= -SHMRPC_CJSON_EXACT && number <= SHMRPC_CJSON_EXACT &&
        number == (double)(int64_t)number && !(number == 0 && signbit(number)))
        shmrpc_write_int64(writer, (int64_t)number);
    else
        shmrpc_write_double(writer, number);
}

/* What is no JSON must make the writer fail; nothing is never a JSON value. */
static inline void shmrpc_cjson_refuse_(struct shmrpc_writer *writer)
{
    shmrpc_write_json(writer, "", 0);
}

static inline void shmrpc_cjson_write_(struct shmrpc_writer *writer, const cJSON *tree, int depth)
{
    const char *text = tree->valuestring;
    const cJSON *item;
    switch (depth > SHMRPC_CJSON_DEPTH ? cJSON_Invalid : tree->type & 0xff) {
    case cJSON_NULL:
        shmrpc_write_null(writer);
        return;
    case cJSON_False:
    case cJSON_True:
        shmrpc_write_bool(writer, cJSON_IsTrue(tree) != 0);
        return;
    case cJSON_Number:
        shmrpc_cjson_write_number_(writer, tree->valuedouble);
        return;
    case cJSON_String:
        shmrpc_write_string(writer, text ? text : "", text ? strlen(text) : 0);
        return;
    case cJSON_Raw:
        shmrpc_write_json(writer, text ? text : "", text ? strlen(text) : 0);
        return;
    case cJSON_Array:
        shmrpc_write_array_begin(writer);
        for (item = tree->child; item != NULL; item = item->next)
            shmrpc_cjson_write_(writer, item, depth + 1);
        shmrpc_write_array_end(writer);
        return;
    case cJSON_Object:
        shmrpc_write_object_begin(writer);
        for (item = tree->child; item != NULL; item = item->next) {
            if (item->string == NULL) {
                shmrpc_cjson_refuse_(writer);
                return;
            }
            shmrpc_write_key(writer, item->string, strlen(item->string));
            shmrpc_cjson_write_(writer, item, depth + 1);
        }
        shmrpc_write_object_end(writer);
        return;
    default:
        shmrpc_cjson_refuse_(writer);
    }
}

/** Write a tree as one value. Errors stick to the writer, as with all shmrpc_write_ functions:
 *  SERIALIZATION where the tree holds no JSON. Deeper than 1,024 levels is refused. */
static inline void shmrpc_write_cjson(struct shmrpc_writer *writer, const cJSON *tree)
{
    shmrpc_cjson_write_(writer, tree, 0);
}

/* ---- In a handler, and in a client --------------------------------------------------------------
 */

/** All parameters of a call as an object. @param tree the caller's, ended with cJSON_Delete().
 *  @return as shmrpc_cjson_from_value(). */
static inline enum shmrpc_status shmrpc_call_params_cjson(const struct shmrpc_call *call,
                                                          cJSON **tree)
{
    struct shmrpc_value params;
    shmrpc_call_params(call, &params);
    return shmrpc_cjson_from_value(&params, tree);
}

/** Answer with a tree, which stays the caller's. @return as shmrpc_call_answer_end(). */
static inline enum shmrpc_status shmrpc_call_answer_cjson(struct shmrpc_call *call,
                                                          const cJSON *tree)
{
    struct shmrpc_writer *writer = NULL;
    enum shmrpc_status status = shmrpc_call_answer_begin(call, &writer);
    if (status != SHMRPC_OK)
        return status;
    shmrpc_write_cjson(writer, tree);
    return shmrpc_call_answer_end(call);
}

/** Call a method with the members of an object as parameters. @param params may be null: none.
 *  @param result a new tree, the caller's, ended with cJSON_Delete(); may be null.
 *  @return as shmrpc_client_call_json(); also SERIALIZATION when the result came but cJSON cannot
 *  represent it: then the call has run, and shmrpc_client_call() would give its exact text. */
static inline enum shmrpc_status shmrpc_client_call_cjson(struct shmrpc_client *client,
                                                          const char *method, const cJSON *params,
                                                          cJSON **result)
{
    size_t capacity = shmrpc_client_buffer_bytes(client);
    size_t length = 0;
    struct shmrpc_writer writer;
    struct shmrpc_value value;
    char *text = (char *)malloc(capacity);
    if (text == NULL)
        return SHMRPC_SYSTEM;
    shmrpc_writer_init(&writer, text, capacity);
    if (params != NULL) {
        shmrpc_write_cjson(&writer, params);
    } else {
        shmrpc_write_object_begin(&writer);
        shmrpc_write_object_end(&writer);
    }
    enum shmrpc_status status = shmrpc_writer_finish(&writer, &length);
    if (status == SHMRPC_OK)
        status = shmrpc_client_call_json(client, method, text, length, &value);
    free(text);
    if (status == SHMRPC_OK && result != NULL)
        status = shmrpc_cjson_from_value(&value, result);
    return status;
}

#ifdef __cplusplus
}
#endif

#endif

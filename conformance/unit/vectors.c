/* SPDX-License-Identifier: MIT */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cJSON *vectors_read(const char *file)
{
    const char *directory = getenv("SHMRPC_VECTORS");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory != NULL ? directory : "spec/vectors", file);
    FILE *stream = fopen(path, "re");
    if (stream == NULL)
        fail_msg("cannot open %s", path);
    assert_int_equal(fseek(stream, 0, SEEK_END), 0);
    long size = ftell(stream);
    assert_true(size > 0);
    rewind(stream);
    char *text = malloc((size_t)size);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)size, stream), (size_t)size);
    fclose(stream);
    cJSON *tree = cJSON_ParseWithLength(text, (size_t)size);
    free(text);
    assert_non_null(tree);
    return tree;
}

char *vectors_decode(const char *text, bool hex, size_t *length)
{
    *length = hex ? strlen(text) / 2 : strlen(text);
    char *bytes = malloc(*length > 0 ? *length : 1);
    assert_non_null(bytes);
    if (!hex) {
        memcpy(bytes, text, *length);
        return bytes;
    }
    for (size_t i = 0; i < *length; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        bytes[i] = (char)byte;
    }
    return bytes;
}

char *vectors_bytes(const cJSON *vector, const char *key, size_t *length)
{
    char hex_key[64];
    snprintf(hex_key, sizeof hex_key, "%s_hex", key);
    const cJSON *plain = cJSON_GetObjectItemCaseSensitive(vector, key);
    const cJSON *hex = cJSON_GetObjectItemCaseSensitive(vector, hex_key);
    if (plain == NULL && hex == NULL)
        return NULL;
    return vectors_decode((plain != NULL ? plain : hex)->valuestring, plain == NULL, length);
}

const char *vectors_string(const cJSON *vector, const char *key)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(vector, key);
    if (!cJSON_IsString(member))
        fail_msg("a vector has no string %s", key);
    return member->valuestring;
}

bool vectors_verdict(const cJSON *vector, const char *verdict)
{
    return strcmp(vectors_string(vector, "verdict"), verdict) == 0;
}

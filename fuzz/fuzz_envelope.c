/* SPDX-License-Identifier: MIT
 *
 * Input: a byte that chooses request or response, two bytes of capacity for an error reply, then the
 * message. It falls into exactly one class, the one that cJSON's view of it calls for; a request that
 * can be answered always gets an error reply that fits, unless not one character would.
 */
#include "envelope.h"
#include "harness.h"
#include "judge.h"

#include <stdlib.h>
#include <string.h>

static const char error_text[] = "ValueError: \"\\\x01 caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 "
                                 "and a tail that is long enough to be cut, again and again";

static bool object_with(const cJSON *tree, const char *name, const cJSON **member)
{
    *member = cJSON_IsObject(tree) ? judge_last(tree, name) : NULL;
    return *member != NULL;
}

static enum shmrpc_status request_class(const cJSON *tree)
{
    const cJSON *id, *method, *params;
    if (!object_with(tree, "request_id", &id))
        return SHMRPC_SERIALIZATION;
    bool usable = cJSON_IsString(id) && object_with(tree, "method", &method) &&
                  cJSON_IsString(method) && object_with(tree, "params", &params) &&
                  cJSON_IsObject(params);
    return usable ? SHMRPC_OK : SHMRPC_PROTOCOL;
}

/* The error reply to this id, in capacity bytes and not one more. */
static void check_error_reply(const struct shmrpc_value *id, size_t capacity)
{
    static const char least[] = "{\"request_id\":,\"result\":null,\"error\":\"V\"}";
    char *buffer = harness_room(capacity);
    size_t length = SIZE_MAX;
    enum shmrpc_status status = shmrpc_envelope_write_error(
        buffer, capacity, id, error_text, sizeof error_text - 1, &length);
    ORACLE(status == (capacity >= sizeof least - 1 + id->length ? SHMRPC_OK : SHMRPC_TOO_LARGE));
    harness_note_number((uint64_t)status);
    if (status == SHMRPC_OK) {
        ORACLE(length <= capacity);
        struct shmrpc_value root, found, text;
        ORACLE(shmrpc_json_read(buffer, length, &root, NULL) == SHMRPC_OK);
        ORACLE(shmrpc_value_member(&root, "request_id", 10, &found) == SHMRPC_OK);
        ORACLE(found.length == id->length && memcmp(found.text, id->text, id->length) == 0);
        ORACLE(shmrpc_value_member(&root, "result", 6, &found) == SHMRPC_OK);
        ORACLE(found.type == SHMRPC_NULL);
        ORACLE(shmrpc_value_member(&root, "error", 5, &text) == SHMRPC_OK);
        size_t decoded;
        char *error = judge_decode(&text, &decoded);
        ORACLE(decoded > 0 && decoded <= sizeof error_text - 1);
        ORACLE(memcmp(error, error_text, decoded) == 0);
        /* No shorter than it has to be: the next character would not have fitted. */
        ORACLE(decoded == sizeof error_text - 1 || capacity - length < 6);
        harness_note(buffer, length);
        free(error);
    }
    free(buffer);
}

static void check_request(const char *text, size_t length, size_t capacity)
{
    struct shmrpc_request request;
    enum shmrpc_status status = shmrpc_envelope_read_request(text, length, &request);
    harness_note_number((uint64_t)status);
    ORACLE(status == SHMRPC_OK || status == SHMRPC_PROTOCOL || status == SHMRPC_SERIALIZATION);
    ORACLE((status == SHMRPC_OK) == (request.problem == NULL));
    struct shmrpc_value root;
    if (shmrpc_json_read(text, length, &root, NULL) != SHMRPC_OK) {
        ORACLE(status == SHMRPC_SERIALIZATION);
        return;
    }
    cJSON *tree = judge_parse(text, length);
    ORACLE(tree == NULL || status == request_class(tree));
    if (status != SHMRPC_SERIALIZATION) {
        ORACLE(request.id.length > 0);
        if (tree != NULL)
            judge_compare(&request.id, judge_last(tree, "request_id"));
        check_error_reply(&request.id, capacity);
    }
    if (status == SHMRPC_OK && tree != NULL) {
        judge_compare(&request.method, judge_last(tree, "method"));
        judge_compare(&request.params.object, judge_last(tree, "params"));
        ORACLE(request.params.count == (size_t)cJSON_GetArraySize(judge_last(tree, "params")));
    }
    cJSON_Delete(tree);
}

static void check_response(const char *text, size_t length)
{
    struct shmrpc_response response;
    enum shmrpc_status status = shmrpc_envelope_read_response(text, length, &response);
    harness_note_number((uint64_t)status);
    ORACLE(status == SHMRPC_OK || status == SHMRPC_PROTOCOL);
    struct shmrpc_value root;
    if (shmrpc_json_read(text, length, &root, NULL) != SHMRPC_OK) {
        ORACLE(status == SHMRPC_PROTOCOL);
        return;
    }
    cJSON *tree = judge_parse(text, length);
    if (tree == NULL)
        return;
    const cJSON *id, *result, *error;
    bool ours = object_with(tree, "request_id", &id) && cJSON_IsString(id);
    ORACLE(status == (ours ? SHMRPC_OK : SHMRPC_PROTOCOL));
    if (ours) {
        judge_compare(&response.id, id);
        if (object_with(tree, "result", &result))
            judge_compare(&response.result, result);
        else
            ORACLE(response.result.type == SHMRPC_NULL);
        bool none = !object_with(tree, "error", &error) || cJSON_IsNull(error) ||
                    (cJSON_IsString(error) && error->valuestring[0] == '\0');
        ORACLE(none == (response.error.length == 0));
        if (!none)
            judge_compare(&response.error, error);
    }
    cJSON_Delete(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harness_input input = {data, size};
    bool request = harness_byte(&input) % 2 == 0;
    size_t capacity = harness_word(&input) % 1024;
    char *text = harness_copy(input.at, input.left);
    if (request)
        check_request(text, input.left, capacity);
    else
        check_response(text, input.left);
    free(text);
    return 0;
}

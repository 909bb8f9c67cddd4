/* SPDX-License-Identifier: MIT
 *
 * Room envelope: every request and response of the vectors judged as the specification says;
 * every message written, into every capacity.
 *
 * Cannot be fired: the ENSUREs of end(), since the writer keeps within its buffer (room json).
 */
#include "envelope.h"
#include "vectors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_value(const struct shmrpc_value *value, const char *expected)
{
    assert_int_equal(value->length, strlen(expected));
    assert_memory_equal(value->text, expected, value->length);
}

static void check_string(const struct shmrpc_value *value, const cJSON *vector, const char *key)
{
    size_t length;
    char *expected = vectors_bytes(vector, key, &length);
    assert_non_null(expected);
    assert_int_equal(value->type, SHMRPC_STRING);
    assert_true(shmrpc_json_string_equals(value, expected, length));
    free(expected);
}

static void check_request(const cJSON *vector)
{
    size_t length;
    char *text = vectors_bytes(vector, "text", &length);
    struct shmrpc_request request;
    enum shmrpc_status status = shmrpc_envelope_read_request(text, length, &request);
    if (vectors_verdict(vector, "valid")) {
        assert_int_equal(status, SHMRPC_OK);
        assert_null(request.problem);
        check_value(&request.id, vectors_string(vector, "raw_id"));
        assert_int_equal(request.id.type, SHMRPC_STRING);
        check_string(&request.method, vector, "method");
        check_value(&request.params.object, vectors_string(vector, "params"));
    } else if (vectors_verdict(vector, "error_reply")) {
        assert_int_equal(status, SHMRPC_PROTOCOL);
        assert_true(strlen(request.problem) > 0);
        check_value(&request.id, vectors_string(vector, "raw_id"));
    } else {
        assert_true(vectors_verdict(vector, "drop"));
        assert_int_equal(status, SHMRPC_SERIALIZATION);
        assert_true(strlen(request.problem) > 0);
        assert_int_equal(request.id.length, 0);
    }
    free(text);
}

static void run_vectors(const char *list, size_t least, void (*check)(const cJSON *vector))
{
    cJSON *tree = vectors_read("envelopes.json");
    const cJSON *vector;
    size_t count = 0;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItemCaseSensitive(tree, list))
    {
        print_message("%s ", vectors_string(vector, "id"));
        check(vector);
        count++;
    }
    print_message("\n");
    assert_true(count >= least);
    cJSON_Delete(tree);
}

static void test_SRPC_ENV_001_SRPC_ENV_003_SRPC_ENV_004_SRPC_ENV_013_SRPC_ENV_014_requests(void **state)
{
    (void)state;
    run_vectors("requests", 60, check_request);
}

static void check_response(const cJSON *vector)
{
    size_t length;
    size_t id_length;
    char *text = vectors_bytes(vector, "text", &length);
    char *id = vectors_bytes(vector, "own_id", &id_length);
    assert_non_null(id);
    struct shmrpc_response response;
    enum shmrpc_status status = shmrpc_envelope_read_response(text, length, &response);
    bool own = status == SHMRPC_OK && shmrpc_json_string_equals(&response.id, id, id_length);
    bool failure = status == SHMRPC_OK && response.error.length > 0;
    if (vectors_verdict(vector, "result")) {
        assert_true(own && !failure);
        check_value(&response.result, vectors_string(vector, "result"));
    } else if (vectors_verdict(vector, "method_error")) {
        assert_true(own && failure);
        check_string(&response.error, vector, "error");
    } else if (vectors_verdict(vector, "foreign")) {
        assert_int_equal(status, SHMRPC_OK);
        assert_false(own);
    } else {
        /* What is no envelope at all, and what has an error that is neither string nor null. */
        assert_true(vectors_verdict(vector, "protocol"));
        if (status == SHMRPC_OK)
            assert_true(own && failure && response.error.type != SHMRPC_STRING);
        else
            assert_int_equal(status, SHMRPC_PROTOCOL);
    }
    free(id);
    free(text);
}

static void test_SRPC_CALL_004_SRPC_CALL_011_SRPC_ENV_007_SRPC_ENV_008_responses(void **state)
{
    (void)state;
    run_vectors("responses", 40, check_response);
}

static void test_a_failed_read_leaves_the_response_alone(void **state)
{
    (void)state;
    struct shmrpc_response response;
    struct shmrpc_response untouched;
    memset(&response, 0x77, sizeof response);
    untouched = response;
    static const char *const texts[] = {"", "{", "[]", "{}", "{\"request_id\":7,\"result\":1}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(shmrpc_envelope_read_response(texts[i], strlen(texts[i]), &response),
                         SHMRPC_PROTOCOL);
        assert_memory_equal(&response, &untouched, sizeof response);
    }
    assert_int_equal(shmrpc_envelope_read_response(NULL, 0, &response), SHMRPC_PROTOCOL);
    struct shmrpc_request request;
    assert_int_equal(shmrpc_envelope_read_request(NULL, 0, &request), SHMRPC_SERIALIZATION);
}

/* ---- Writing ---- */

static const struct shmrpc_value an_id = {"\"6b1e4f0a-93c7-4d25-8a1b-2f5c7d9e0a11\"", 38, SHMRPC_STRING, false};

/* The request of the specification's example: add(a = 5, b = 3). */
static enum shmrpc_status write_request(char *buffer, size_t capacity, size_t *length)
{
    struct shmrpc_envelope envelope;
    shmrpc_envelope_begin_request(&envelope, buffer, capacity, an_id.text + 1, 36, "add");
    shmrpc_write_object_begin(&envelope.writer);
    shmrpc_write_key(&envelope.writer, "a", 1);
    shmrpc_write_int64(&envelope.writer, 5);
    shmrpc_write_key(&envelope.writer, "b", 1);
    shmrpc_write_int64(&envelope.writer, 3);
    shmrpc_write_object_end(&envelope.writer);
    return shmrpc_envelope_end_request(&envelope, length);
}

static enum shmrpc_status write_response(char *buffer, size_t capacity, size_t *length)
{
    struct shmrpc_envelope envelope;
    shmrpc_envelope_begin_response(&envelope, buffer, capacity, &an_id);
    shmrpc_write_int64(&envelope.writer, 8);
    return shmrpc_envelope_end_response(&envelope, length);
}

static enum shmrpc_status write_error(char *buffer, size_t capacity, size_t *length)
{
    static const char text[] = "ValueError: Cannot divide by zero";
    return shmrpc_envelope_write_error(buffer, capacity, &an_id, text, strlen(text), length);
}

/* The text, written into a block of every capacity up to what it needs and one more. */
static void check_capacities(enum shmrpc_status (*write)(char *, size_t, size_t *),
                             const char *expected, bool cuts)
{
    size_t need = strlen(expected);
    for (size_t capacity = 1; capacity <= need + 1; capacity++) {
        char *buffer = malloc(capacity);
        assert_non_null(buffer);
        size_t length = 12345;
        enum shmrpc_status status = write(buffer, capacity, &length);
        if (capacity >= need) {
            assert_int_equal(status, SHMRPC_OK);
            assert_int_equal(length, need);
            assert_memory_equal(buffer, expected, need);
        } else if (!cuts) {
            assert_int_equal(status, SHMRPC_TOO_LARGE);
            assert_int_equal(length, 12345);
        }
        free(buffer);
    }
}

static void test_SRPC_ENV_001_SRPC_ENV_002_SRPC_CALL_003_texts_and_every_capacity(void **state)
{
    (void)state;
    check_capacities(write_request,
                     "{\"request_id\":\"6b1e4f0a-93c7-4d25-8a1b-2f5c7d9e0a11\",\"method\":\"add\","
                     "\"params\":{\"a\":5,\"b\":3}}", false);
    check_capacities(write_response,
                     "{\"request_id\":\"6b1e4f0a-93c7-4d25-8a1b-2f5c7d9e0a11\",\"result\":8,"
                     "\"error\":null}", false);
    check_capacities(write_error,
                     "{\"request_id\":\"6b1e4f0a-93c7-4d25-8a1b-2f5c7d9e0a11\",\"result\":null,"
                     "\"error\":\"ValueError: Cannot divide by zero\"}", true);
}

/* Ids of every kind come back byte by byte, those of unusable requests too. */
static void test_SRPC_ENV_005_SRPC_ENV_013_the_id_is_repeated_as_it_stood(void **state)
{
    (void)state;
    static const char *const ids[] = {"\"1\"", "\"\"", "\"\\u0061\\/\\\\\"", "7", "null", "-0.0e1",
                                      "{\"x\": [1 , 2]}", "[]", "\"\xc3\xa9\\u0000\"", "true"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        char request_text[256];
        char buffer[256];
        char expected[256];
        struct shmrpc_request request;
        struct shmrpc_envelope envelope;
        size_t length;
        snprintf(request_text, sizeof request_text, " { \"request_id\" : %s , \"method\":3}", ids[i]);
        assert_int_equal(
            shmrpc_envelope_read_request(request_text, strlen(request_text), &request),
            SHMRPC_PROTOCOL);
        assert_int_equal(shmrpc_envelope_write_error(buffer, sizeof buffer, &request.id, "E: x", 4,
                                                     &length), SHMRPC_OK);
        snprintf(expected, sizeof expected,
                 "{\"request_id\":%s,\"result\":null,\"error\":\"E: x\"}", ids[i]);
        assert_int_equal(length, strlen(expected));
        assert_memory_equal(buffer, expected, length);
        shmrpc_envelope_begin_response(&envelope, buffer, sizeof buffer, &request.id);
        shmrpc_write_null(&envelope.writer);
        assert_int_equal(shmrpc_envelope_end_response(&envelope, &length), SHMRPC_OK);
        snprintf(expected, sizeof expected, "{\"request_id\":%s,\"result\":null,\"error\":null}",
                 ids[i]);
        assert_int_equal(length, strlen(expected));
        assert_memory_equal(buffer, expected, length);
    }
}

static void test_a_method_name_is_escaped(void **state)
{
    (void)state;
    struct shmrpc_envelope envelope;
    struct shmrpc_request request;
    char buffer[256];
    size_t length;
    static const char method[] = "a\"b\\\n\x01\xc3\xa9";
    shmrpc_envelope_begin_request(&envelope, buffer, sizeof buffer, "id", 2, method);
    shmrpc_write_object_begin(&envelope.writer);
    shmrpc_write_object_end(&envelope.writer);
    assert_int_equal(shmrpc_envelope_end_request(&envelope, &length), SHMRPC_OK);
    assert_int_equal(shmrpc_envelope_read_request(buffer, length, &request), SHMRPC_OK);
    assert_true(shmrpc_json_string_equals(&request.method, method, strlen(method)));
}

static void test_SRPC_CALL_007_what_a_request_begins_with(void **state)
{
    (void)state;
    char message[256];
    char prefix[36 + 16];
    size_t length;
    assert_int_equal(write_request(message, sizeof message, &length), SHMRPC_OK);
    size_t prefix_length = shmrpc_envelope_request_prefix(an_id.text + 1, 36, prefix);
    assert_true(prefix_length <= sizeof prefix);
    assert_memory_equal(message, prefix, prefix_length);
    assert_int_equal(prefix[prefix_length - 1], '"'); /* no longer id begins with it */
}

/* What is wrong with the value in the middle is said at the end. */
static void test_SRPC_CALL_003_SRPC_JSON_009_SRPC_JSON_015_a_bad_value_is_refused(void **state)
{
    (void)state;
    static char buffer[8192];
    struct shmrpc_envelope envelope;
    size_t length = 12345;
    shmrpc_envelope_begin_response(&envelope, buffer, sizeof buffer, &an_id);
    assert_int_equal(shmrpc_envelope_end_response(&envelope, &length), SHMRPC_INVALID); /* none */
    shmrpc_envelope_begin_response(&envelope, buffer, sizeof buffer, &an_id);
    shmrpc_write_double(&envelope.writer, HUGE_VAL);
    assert_int_equal(shmrpc_envelope_end_response(&envelope, &length), SHMRPC_SERIALIZATION);
    for (int levels = SHMRPC_JSON_DEPTH - 1; levels <= SHMRPC_JSON_DEPTH; levels++) {
        shmrpc_envelope_begin_response(&envelope, buffer, sizeof buffer, &an_id);
        for (int i = 0; i < levels; i++)
            shmrpc_write_array_begin(&envelope.writer);
        for (int i = 0; i < levels; i++)
            shmrpc_write_array_end(&envelope.writer);
        enum shmrpc_status status = shmrpc_envelope_end_response(&envelope, &length);
        assert_int_equal(status, levels < SHMRPC_JSON_DEPTH ? SHMRPC_OK : SHMRPC_INVALID);
    }
}

/* The error text of a reply, cut or not, against what the capacity leaves for it. */
static void check_cut(size_t capacity, const struct shmrpc_value *id, const char *text,
                      size_t text_length)
{
    char *buffer = malloc(capacity);
    assert_non_null(buffer);
    size_t length = 12345;
    struct shmrpc_response response;
    enum shmrpc_status status =
        shmrpc_envelope_write_error(buffer, capacity, id, text, text_length, &length);
    /* The longest prefix of whole characters whose reply fits, found the slow way. */
    size_t best = 0;
    for (size_t cut = text_length; cut > 0 && best == 0; cut--) {
        char whole[512];
        struct shmrpc_writer writer;
        size_t need;
        if (shmrpc_json_utf8_prefix(text, cut) != cut)
            continue;
        shmrpc_writer_init(&writer, whole, sizeof whole);
        shmrpc_write_string(&writer, text, cut);
        assert_int_equal(shmrpc_writer_finish(&writer, &need), SHMRPC_OK);
        need += strlen("{\"request_id\":,\"result\":null,\"error\":}") + id->length;
        if (need <= capacity)
            best = cut;
    }
    if (best == 0) {
        assert_int_equal(status, SHMRPC_TOO_LARGE);
        assert_int_equal(length, 12345);
    } else {
        assert_int_equal(status, SHMRPC_OK);
        assert_int_equal(shmrpc_envelope_read_response(buffer, length, &response), SHMRPC_OK);
        assert_true(shmrpc_json_string_equals(&response.error, text, best));
        check_value(&response.id, "\"i\"");
    }
    free(buffer);
}

static void test_SRPC_ENV_018_SRPC_ENV_019_an_error_text_is_cut_at_a_character(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "x", "ValueError: plain", "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9",
        "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", "a\xf0\x9f\x98\x80\xf0\x9f\x98\x80z",
        "\x01\x02\x03\x04", "\"\"\\\\\n\n", "E: \xf0\x9f\x98\x80\x01\"\xc3\xa9x\x1f",
    };
    const struct shmrpc_value id = {"\"i\"", 3, SHMRPC_STRING, false};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (size_t capacity = 1; capacity < 90; capacity++)
            check_cut(capacity, &id, texts[i], strlen(texts[i]));
    static const char with_nul[] = "a\0b\0c";
    for (size_t capacity = 40; capacity < 80; capacity++)
        check_cut(capacity, &id, with_nul, sizeof with_nul - 1);
    char *random = malloc(60);
    assert_non_null(random);
    for (int round = 0; round < (support_under_valgrind() ? 50 : 1000); round++) {
        static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\x01", "\"",
                                                 "\xf0\x9f\x98\x80"};
        size_t length = 0;
        while (length < 50) {
            const char *character = characters[support_random_below(6)];
            memcpy(random + length, character, strlen(character));
            length += strlen(character);
        }
        check_cut(1 + support_random_below(400), &id, random, length);
    }
    free(random);
}

/* The smallest buffer of a server has room for an error reply to a UUID. */
static void test_SRPC_LIMIT_002_the_smallest_buffer_has_room_for_an_error(void **state)
{
    (void)state;
    char buffer[SHMRPC_MIN_BUFFER_BYTES - SHMRPC_LENGTH_WORD_BYTES];
    struct shmrpc_response response;
    char text[200];
    size_t length;
    memset(text, 'e', sizeof text);
    assert_int_equal(shmrpc_envelope_write_error(buffer, sizeof buffer, &an_id, text, sizeof text,
                                                 &length), SHMRPC_OK);
    assert_int_equal(length, sizeof buffer);
    assert_int_equal(shmrpc_envelope_read_response(buffer, length, &response), SHMRPC_OK);
    assert_true(response.error.length >= 2 + 46);
}

static void test_assertions(void **state)
{
    (void)state;
    struct shmrpc_request request;
    struct shmrpc_response response;
    struct shmrpc_envelope envelope;
    char buffer[256];
    size_t length;
    const struct shmrpc_value no_id = {"", 0, SHMRPC_NULL, false};
    struct shmrpc_param missing = shmrpc_param_string("", "x", 1);
    missing.data = NULL;
    expect_check_failure(shmrpc_envelope_write(&envelope, &missing));
    expect_check_failure(support_ignore(shmrpc_envelope_read_request(NULL, 1, &request)));
    expect_check_failure(support_ignore(shmrpc_envelope_read_request("{}", 2, NULL)));
    expect_check_failure(support_ignore(shmrpc_envelope_read_response(NULL, 1, &response)));
    expect_check_failure(support_ignore(shmrpc_envelope_read_response("{}", 2, NULL)));
    expect_check_failure(support_ignore(shmrpc_envelope_request_prefix(NULL, 1, buffer)));
    expect_check_failure(support_ignore(shmrpc_envelope_request_prefix("i", 1, NULL)));
    expect_check_failure(support_ignore(shmrpc_envelope_request_prefix("i", 0, buffer)));
    expect_check_failure(shmrpc_envelope_begin_request(NULL, buffer, 256, "i", 1, "m"));
    expect_check_failure(shmrpc_envelope_begin_request(&envelope, NULL, 256, "i", 1, "m"));
    expect_check_failure(shmrpc_envelope_begin_request(&envelope, buffer, 256, NULL, 1, "m"));
    expect_check_failure(shmrpc_envelope_begin_request(&envelope, buffer, 256, "i", 1, NULL));
    expect_check_failure(shmrpc_envelope_begin_response(NULL, buffer, 256, &an_id));
    expect_check_failure(shmrpc_envelope_begin_response(&envelope, NULL, 256, &an_id));
    expect_check_failure(shmrpc_envelope_begin_response(&envelope, buffer, 256, NULL));
    expect_check_failure(shmrpc_envelope_begin_response(&envelope, buffer, 256, &no_id));
    const struct shmrpc_param nothing = shmrpc_param_null("x");
    expect_check_failure(shmrpc_envelope_write(NULL, &nothing));
    expect_check_failure(shmrpc_envelope_write(&envelope, NULL));
    expect_check_failure(support_ignore(shmrpc_envelope_end_request(NULL, &length)));
    expect_check_failure(support_ignore(shmrpc_envelope_end_request(&envelope, NULL)));
    expect_check_failure(support_ignore(shmrpc_envelope_end_response(NULL, &length)));
    expect_check_failure(support_ignore(shmrpc_envelope_end_response(&envelope, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_envelope_write_error(NULL, 256, &an_id, "x", 1, &length)));
    expect_check_failure(
        support_ignore(shmrpc_envelope_write_error(buffer, 256, &an_id, "x", 1, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_envelope_write_error(buffer, 256, &an_id, "x", 0, &length)));
    expect_check_failure(
        support_ignore(shmrpc_envelope_write_error(buffer, 256, &an_id, "\xff", 1, &length)));
}

int main(void)
{
    support_limit_seconds(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_SRPC_ENV_001_SRPC_ENV_003_SRPC_ENV_004_SRPC_ENV_013_SRPC_ENV_014_requests),
        cmocka_unit_test(test_SRPC_CALL_004_SRPC_CALL_011_SRPC_ENV_007_SRPC_ENV_008_responses),
        cmocka_unit_test(test_a_failed_read_leaves_the_response_alone),
        cmocka_unit_test(test_SRPC_ENV_001_SRPC_ENV_002_SRPC_CALL_003_texts_and_every_capacity),
        cmocka_unit_test(test_SRPC_ENV_005_SRPC_ENV_013_the_id_is_repeated_as_it_stood),
        cmocka_unit_test(test_a_method_name_is_escaped),
        cmocka_unit_test(test_SRPC_CALL_007_what_a_request_begins_with),
        cmocka_unit_test(test_SRPC_CALL_003_SRPC_JSON_009_SRPC_JSON_015_a_bad_value_is_refused),
        cmocka_unit_test(test_SRPC_ENV_018_SRPC_ENV_019_an_error_text_is_cut_at_a_character),
        cmocka_unit_test(test_SRPC_LIMIT_002_the_smallest_buffer_has_room_for_an_error),
        cmocka_unit_test(test_assertions),
    };
    return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}

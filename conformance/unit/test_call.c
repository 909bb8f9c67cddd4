/* SPDX-License-Identifier: MIT
 *
 * One call inside a server: what a handler reads, what it answers, and what becomes of misuse.
 *
 * Not fired, because no caller can bring them about: the ENSUREs of shmrpc_call_finish() (every
 * path leaves the slot), shmrpc_call_method() (a handler runs only for a method),
 * shmrpc_call_decode() (a decoded string is shorter than its text) and shmrpc_call_expect()
 * (params is an object, or no handler runs).
 */
#include "world.h"

#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Register the handler, call it once with these parameters, return the response. */
static const char *call_with(struct world *world, shmrpc_handler *handler, void *user,
                             const char *params)
{
    assert_int_equal(shmrpc_server_register(world->server, "m", handler, user), SHMRPC_OK);
    return world_call(world, "m", params);
}

static void assert_result(const char *response, const char *result)
{
    static const char head[] = "{\"request_id\":\"i\",\"result\":";
    size_t length = strlen(result);
    assert_non_null(response);
    assert_memory_equal(response, head, sizeof head - 1);
    response += sizeof head - 1;
    assert_true(strlen(response) > length);
    assert_memory_equal(response, result, length);
    assert_string_equal(response + length, ",\"error\":null}");
}

/* The error text begins with text. */
static void assert_error(const char *response, const char *text)
{
    static const char head[] = "{\"request_id\":\"i\",\"result\":null,\"error\":\"";
    assert_non_null(response);
    assert_memory_equal(response, head, sizeof head - 1);
    assert_memory_equal(response + sizeof head - 1, text, strlen(text));
}

/* ---- Parameters ----------------------------------------------------------------------------- */

static enum shmrpc_status read_all(struct shmrpc_call *call, void *user)
{
    bool boolean;
    int64_t least;
    uint64_t most;
    double number;
    const char *data;
    const char *same;
    const char *other;
    size_t length;
    struct shmrpc_value value;
    (void)user;
    assert_string_equal(shmrpc_call_method(call), "m");
    assert_int_equal(shmrpc_call_bool(call, "b", &boolean), SHMRPC_OK);
    assert_true(boolean);
    assert_int_equal(shmrpc_call_int64(call, "i", &least), SHMRPC_OK);
    assert_true(least == INT64_MIN);
    assert_int_equal(shmrpc_call_uint64(call, "u", &most), SHMRPC_OK);
    assert_true(most == UINT64_MAX);
    assert_int_equal(shmrpc_call_double(call, "d", &number), SHMRPC_OK);
    assert_true(number == -2.5);
    assert_int_equal(shmrpc_call_double(call, "i", &number), SHMRPC_OK);
    assert_true(number == -9223372036854775808.0);
    assert_int_equal(shmrpc_call_string(call, "plain", &data, &length), SHMRPC_OK);
    assert_int_equal(length, 3);
    assert_memory_equal(data, "abc", 3);
    /* Decoded strings live side by side, and the same one lands in the same place. */
    assert_int_equal(shmrpc_call_string(call, "s", &data, &length), SHMRPC_OK);
    assert_int_equal(length, 4);
    assert_int_equal(shmrpc_call_string(call, "t", &other, &length), SHMRPC_OK);
    assert_int_equal(length, 1);
    assert_memory_equal(other, "\n", 1);
    assert_memory_equal(data, "a\0\xc3\xa9", 4);
    assert_int_equal(shmrpc_call_string(call, "s", &same, &length), SHMRPC_OK);
    assert_ptr_equal(same, data);
    assert_int_equal(shmrpc_call_string(call, "empty", &data, &length), SHMRPC_OK);
    assert_int_equal(length, 0);
    assert_int_equal(shmrpc_call_param(call, "n", &value), SHMRPC_OK);
    assert_int_equal(value.type, SHMRPC_NULL);
    assert_int_equal(shmrpc_call_param(call, "k\xc3\xa9y", &value), SHMRPC_OK);
    assert_int_equal(value.length, 4);
    assert_memory_equal(value.text, "[ 1]", 4);
    return shmrpc_call_answer_null(call);
}

static void test_SRPC_JSON_010_SRPC_JSON_011_parameters_are_read_exactly(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "read", 0, 0);
    assert_result(call_with(&world, read_all, NULL,
                            "{\"b\":true,\"i\":-9223372036854775808,\"u\":18446744073709551615,"
                            "\"d\":-2.5,\"plain\":\"abc\",\"s\":\"a\\u0000\\u00e9\",\"t\":\"\\n\","
                            "\"empty\":\"\",\"n\":null,\"k\\u00e9y\":[ 1]}"),
                  "null");
    world_finish(&world);
}

enum { READ_BOOL, READ_INT64, READ_UINT64, READ_DOUBLE, READ_STRING, READ_PARAM };

struct reading {
    int kind;
    enum shmrpc_status status;
};

static enum shmrpc_status read_x(struct shmrpc_call *call, void *user)
{
    struct reading *reading = user;
    bool boolean = true;
    int64_t least = 77;
    uint64_t most = 77;
    double number = 77;
    const char *data = NULL;
    size_t length = 77;
    struct shmrpc_value value = {.length = 77};
    switch (reading->kind) {
    case READ_BOOL:
        reading->status = shmrpc_call_bool(call, "x", &boolean);
        break;
    case READ_INT64:
        reading->status = shmrpc_call_int64(call, "x", &least);
        break;
    case READ_UINT64:
        reading->status = shmrpc_call_uint64(call, "x", &most);
        break;
    case READ_DOUBLE:
        reading->status = shmrpc_call_double(call, "x", &number);
        break;
    case READ_STRING:
        reading->status = shmrpc_call_string(call, "x", &data, &length);
        break;
    default:
        reading->status = shmrpc_call_param(call, "x", &value);
        break;
    }
    /* Outputs are untouched on failure. */
    assert_true(boolean && least == 77 && most == 77 && number == 77.0 && data == NULL);
    assert_true(length == 77 && value.length == 77);
    return reading->status;
}

static void test_SRPC_ENV_012_SRPC_JSON_014_unsuitable_parameters_are_type_errors(void **state)
{
    (void)state;
    static const struct {
        int kind;
        enum shmrpc_status status;
        const char *params;
        const char *text;
    } cases[] = {
        {READ_PARAM, SHMRPC_NOT_FOUND, "{}", "TypeError: missing a required argument: 'x'"},
        {READ_BOOL, SHMRPC_NOT_FOUND, "{\"X\":true}", "TypeError: missing"},
        {READ_INT64, SHMRPC_NOT_FOUND, "{\"x\\u0000\":1}", "TypeError: missing"},
        {READ_STRING, SHMRPC_NOT_FOUND, "{\"\":1}", "TypeError: missing"},
        {READ_BOOL, SHMRPC_SERIALIZATION, "{\"x\":1}", "TypeError: argument 'x' is not a boolean"},
        {READ_BOOL, SHMRPC_SERIALIZATION, "{\"x\":\"true\"}", "TypeError: "},
        {READ_INT64, SHMRPC_SERIALIZATION, "{\"x\":1.0}", "TypeError: "},
        {READ_INT64, SHMRPC_SERIALIZATION, "{\"x\":\"1\"}", "TypeError: "},
        {READ_INT64, SHMRPC_SERIALIZATION, "{\"x\":9223372036854775808}", "OverflowError: "},
        {READ_UINT64, SHMRPC_SERIALIZATION, "{\"x\":-1}", "OverflowError: "},
        {READ_UINT64, SHMRPC_SERIALIZATION, "{\"x\":18446744073709551616}", "OverflowError: "},
        {READ_UINT64, SHMRPC_SERIALIZATION, "{\"x\":null}", "TypeError: "},
        {READ_DOUBLE, SHMRPC_SERIALIZATION, "{\"x\":\"2.5\"}",
         "TypeError: argument 'x' is not a number"},
        {READ_STRING, SHMRPC_SERIALIZATION, "{\"x\":[]}", "TypeError: argument 'x' is not a string"},
    };
    struct world world;
    world_start(&world, "types", 0, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reading reading = {cases[i].kind, SHMRPC_OK};
        assert_error(call_with(&world, read_x, &reading, cases[i].params), cases[i].text);
        assert_int_equal(reading.status, cases[i].status);
    }
    world_assert_serves(&world);
    world_finish(&world);
}

static enum shmrpc_status read_many(struct shmrpc_call *call, void *user)
{
    int64_t value;
    (void)user;
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        assert_int_equal(shmrpc_call_int64(call, name, &value), SHMRPC_OK);
        /* p5 and p30 come again at the end. */
        assert_int_equal(value, i == 5 || i == 30 ? 1000 + i : i);
    }
    return shmrpc_call_answer_int64(call, 40);
}

static void test_SRPC_JSON_006_of_many_members_the_last_counts(void **state)
{
    (void)state;
    char params[1024] = "{";
    size_t length = 1;
    struct world world;
    for (int i = 0; i < 40; i++)
        length += (size_t)snprintf(params + length, sizeof params - length, "\"p%d\":%d,", i, i);
    snprintf(params + length, sizeof params - length, "\"\\u00705\":1005,\"p30\":1030}");
    world_start(&world, "many", 0, 0);
    assert_result(call_with(&world, read_many, NULL, params), "40");
    world_finish(&world);
}

struct expectation {
    const char *const *names;
    size_t count;
    enum shmrpc_status status;
};

static enum shmrpc_status expect_names(struct shmrpc_call *call, void *user)
{
    struct expectation *expectation = user;
    expectation->status = shmrpc_call_expect(call, expectation->names, expectation->count);
    if (expectation->status != SHMRPC_OK)
        return expectation->status;
    return shmrpc_call_answer_bool(call, false);
}

static void test_expect_asks_for_exactly_these(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b\xc3\xa9"};
    char many[2048] = "{\"a\":1,\"b\\u00e9\":2";
    struct world world;
    struct expectation two = {names, 2, SHMRPC_OK};
    struct expectation none = {NULL, 0, SHMRPC_OK};
    world_start(&world, "expect", 0, 0);
    assert_result(call_with(&world, expect_names, &two, "{\"b\xc3\xa9\":1,\"a\":2}"), "false");
    assert_result(call_with(&world, expect_names, &two, "{\"a\":1,\"a\":2,\"b\xc3\xa9\":2}"),
                  "false");
    assert_result(call_with(&world, expect_names, &none, "{}"), "false");
    assert_error(call_with(&world, expect_names, &two, "{\"a\":1}"), "TypeError: missing");
    assert_error(call_with(&world, expect_names, &two, "{\"a\":1,\"a\":2}"), "TypeError: missing");
    assert_int_equal(two.status, SHMRPC_INVALID);
    assert_error(call_with(&world, expect_names, &two, "{\"a\":1,\"b\xc3\xa9\":2,\"c\":3}"),
                 "TypeError: got an unexpected argument 'c'");
    assert_error(call_with(&world, expect_names, &none, "{\"c\":3}"), "TypeError: got an unexpected");
    assert_int_equal(none.status, SHMRPC_INVALID);
    /* A long unexpected name is shown in part, cut at a character. */
    size_t length = strlen(many);
    length += (size_t)snprintf(many + length, sizeof many - length, ",\"x");
    for (int i = 0; i < 200; i++, length += 2)
        memcpy(many + length, "\xc3\xa9", 2);
    memcpy(many + length, "\":3}", 5);
    const char *response = call_with(&world, expect_names, &two, many);
    assert_error(response, "TypeError: got an unexpected argument 'x\xc3\xa9");
    struct shmrpc_value value;
    assert_int_equal(shmrpc_json_read(response, strlen(response), &value, NULL), SHMRPC_OK);
    assert_true(strlen(response) < 300);
    world_finish(&world);
}

/* ---- Answers -------------------------------------------------------------------------------- */

enum {
    ANSWER_NULL,
    ANSWER_TRUE,
    ANSWER_INT64,
    ANSWER_UINT64,
    ANSWER_DOUBLE,
    ANSWER_NEGATIVE_ZERO,
    ANSWER_STRING,
    ANSWER_EMPTY,
    ANSWER_JSON,
    ANSWER_PIECES
};

static enum shmrpc_status answer_kind(struct shmrpc_call *call, void *user)
{
    struct shmrpc_writer *writer = NULL;
    switch (*(int *)user) {
    case ANSWER_NULL:
        return shmrpc_call_answer_null(call);
    case ANSWER_TRUE:
        return shmrpc_call_answer_bool(call, true);
    case ANSWER_INT64:
        return shmrpc_call_answer_int64(call, INT64_MIN);
    case ANSWER_UINT64:
        return shmrpc_call_answer_uint64(call, UINT64_MAX);
    case ANSWER_DOUBLE:
        return shmrpc_call_answer_double(call, 0.5);
    case ANSWER_NEGATIVE_ZERO:
        return shmrpc_call_answer_double(call, -0.0);
    case ANSWER_STRING:
        return shmrpc_call_answer_string(call, "\"\\\n\0\xc3\xa9", 6);
    case ANSWER_EMPTY:
        return shmrpc_call_answer_string(call, NULL, 0);
    case ANSWER_JSON:
        return shmrpc_call_answer_json(call, " [1, 2] ", 8);
    default:
        break;
    }
    assert_int_equal(shmrpc_call_answer_begin(call, &writer), SHMRPC_OK);
    shmrpc_write_object_begin(writer);
    shmrpc_write_key(writer, "k", 1);
    shmrpc_write_array_begin(writer);
    shmrpc_write_null(writer);
    shmrpc_write_array_end(writer);
    shmrpc_write_object_end(writer);
    return shmrpc_call_answer_end(call);
}

static void test_SRPC_ENV_002_SRPC_JSON_012_SRPC_JSON_013_each_kind_of_answer(void **state)
{
    (void)state;
    static const char *const results[] = {
        "null", "true", "-9223372036854775808", "18446744073709551615", "0.5", "-0.0",
        "\"\\\"\\\\\\n\\u0000\xc3\xa9\"", "\"\"", "[1, 2]", "{\"k\":[null]}",
    };
    struct world world;
    world_start(&world, "answers", 0, 0);
    for (int kind = ANSWER_NULL; kind <= ANSWER_PIECES; kind++) {
        const char *response = call_with(&world, answer_kind, &kind, "{}");
        assert_result(response, results[kind]);
        assert_raw_values(&world.raw, 1, 0, 1, 0);
    }
    world_finish(&world);
}

static enum shmrpc_status answer_twice(struct shmrpc_call *call, void *user)
{
    struct shmrpc_writer *writer = NULL;
    (void)user;
    assert_int_equal(shmrpc_call_answer_end(call), SHMRPC_INVALID);
    assert_int_equal(shmrpc_call_answer_int64(call, 1), SHMRPC_OK);
    assert_int_equal(shmrpc_call_answer_int64(call, 2), SHMRPC_INVALID);
    assert_int_equal(shmrpc_call_answer_null(call), SHMRPC_INVALID);
    assert_int_equal(shmrpc_call_answer_bool(call, true), SHMRPC_INVALID);
    assert_int_equal(shmrpc_call_answer_uint64(call, 2), SHMRPC_INVALID);
    assert_int_equal(shmrpc_call_answer_double(call, 2), SHMRPC_INVALID);
    assert_int_equal(shmrpc_call_answer_string(call, "2", 1), SHMRPC_INVALID);
    assert_int_equal(shmrpc_call_answer_json(call, "2", 1), SHMRPC_INVALID);
    assert_int_equal(shmrpc_call_answer_begin(call, &writer), SHMRPC_INVALID);
    assert_null(writer);
    assert_int_equal(shmrpc_call_answer_end(call), SHMRPC_INVALID);
    assert_int_equal(shmrpc_call_fail(call, "E", "late"), SHMRPC_INVALID);
    return SHMRPC_SYSTEM; /* comes too late as well */
}

static enum shmrpc_status fail_twice(struct shmrpc_call *call, void *user)
{
    (void)user;
    assert_int_equal(shmrpc_call_fail(call, "E", "first"), SHMRPC_OK);
    assert_int_equal(shmrpc_call_fail(call, "E", "second"), SHMRPC_INVALID);
    assert_int_equal(shmrpc_call_answer_int64(call, 1), SHMRPC_INVALID);
    return SHMRPC_OK;
}

static void test_the_first_answer_counts(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "twice", 0, 0);
    assert_result(call_with(&world, answer_twice, NULL, "{}"), "1");
    assert_raw_values(&world.raw, 1, 0, 1, 0);
    assert_error(call_with(&world, fail_twice, NULL, "{}"), "E: first\"}");
    assert_raw_values(&world.raw, 1, 0, 1, 0);
    world_assert_serves(&world);
    world_finish(&world);
}

static enum shmrpc_status begin_and_leave(struct shmrpc_call *call, void *user)
{
    struct shmrpc_writer *writer;
    (void)user;
    assert_int_equal(shmrpc_call_answer_begin(call, &writer), SHMRPC_OK);
    shmrpc_write_int64(writer, 1);
    return SHMRPC_OK;
}

static enum shmrpc_status begin_again(struct shmrpc_call *call, void *user)
{
    struct shmrpc_writer *writer;
    (void)user;
    assert_int_equal(shmrpc_call_answer_begin(call, &writer), SHMRPC_OK);
    shmrpc_write_array_begin(writer);
    /* Ends as an error, and from there every way is open. */
    assert_int_equal(shmrpc_call_answer_end(call), SHMRPC_INVALID);
    assert_int_equal(shmrpc_call_answer_end(call), SHMRPC_INVALID);
    assert_int_equal(shmrpc_call_answer_begin(call, &writer), SHMRPC_OK);
    shmrpc_write_int64(writer, 2);
    assert_int_equal(shmrpc_call_answer_begin(call, &writer), SHMRPC_OK);
    shmrpc_write_int64(writer, 3);
    return shmrpc_call_answer_end(call);
}

static enum shmrpc_status begin_and_fail(struct shmrpc_call *call, void *user)
{
    struct shmrpc_writer *writer;
    (void)user;
    assert_int_equal(shmrpc_call_answer_begin(call, &writer), SHMRPC_OK);
    shmrpc_write_int64(writer, 1);
    return shmrpc_call_fail(call, "ValueError", "no");
}

static void test_SRPC_ENV_012_begin_and_end_in_every_order(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "begin", 0, 0);
    assert_error(call_with(&world, begin_and_leave, NULL, "{}"), "RPCError: the method gave no");
    assert_raw_values(&world.raw, 1, 0, 1, 0);
    assert_result(call_with(&world, begin_again, NULL, "{}"), "3");
    assert_error(call_with(&world, begin_and_fail, NULL, "{}"), "ValueError: no\"}");
    world_assert_serves(&world);
    world_finish(&world);
}

static enum shmrpc_status fail_with(struct shmrpc_call *call, void *user)
{
    const char *const *texts = user;
    return shmrpc_call_fail(call, texts[0], texts[1]);
}

static void test_SRPC_ENV_009_SRPC_ERR_002_failing_in_any_words(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"ValueError", "Cannot divide by zero", "ValueError: Cannot divide by zero\"}"},
        {"", "", ": \"}"},
        {"E\xff", "\xc3(\xe2\x82", "E\xef\xbf\xbd: \xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\"}"},
        {"E", "line\nquote\" \x01", "E: line\\nquote\\\" \\u0001\"}"},
    };
    struct world world;
    world_start(&world, "words", 0, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *texts[2] = {cases[i][0], cases[i][1]};
        assert_error(call_with(&world, fail_with, texts, "{}"), cases[i][2]);
    }
    world_finish(&world);
}

static enum shmrpc_status tell_capacity(struct shmrpc_call *call, void *user)
{
    (void)user;
    return shmrpc_call_answer_uint64(call, shmrpc_call_capacity(call));
}

static enum shmrpc_status occupied(struct shmrpc_call *call, void *user)
{
    enum shmrpc_status *last = user;
    struct shmrpc_writer *writer;
    assert_int_equal(shmrpc_call_answer_int64(call, 1), SHMRPC_TIMEOUT);
    /* One time-out a call, not one an attempt. */
    assert_int_equal(shmrpc_call_answer_int64(call, 1), SHMRPC_TIMEOUT);
    assert_int_equal(shmrpc_call_answer_begin(call, &writer), SHMRPC_TIMEOUT);
    *last = shmrpc_call_fail(call, "E", "m");
    return *last;
}

static void test_SRPC_RECOVER_009_an_occupied_slot_is_a_time_out(void **state)
{
    (void)state;
    struct world world;
    enum shmrpc_status last = SHMRPC_OK;
    world_start(&world, "occupied", 4096, 40);
    assert_result(call_with(&world, tell_capacity, NULL, "{}"), "4092");
    raw_write(&world.raw, RAW_RESP, "other", 5);
    raw_set_values(&world.raw, 1, 0, 0, 1);
    /* What is collected is what stood there. */
    assert_string_equal(call_with(&world, occupied, &last, "{}"), "other");
    assert_int_equal(last, SHMRPC_TIMEOUT);
    assert_raw_values(&world.raw, 1, 0, 1, 0);
    world_assert_serves(&world);
    world_finish(&world);
}

static enum shmrpc_status nest(struct shmrpc_call *call, void *user)
{
    int levels = *(int *)user;
    char text[4096];
    memset(text, '[', (size_t)levels);
    memset(text + levels, ']', (size_t)levels);
    return shmrpc_call_answer_json(call, text, 2 * (size_t)levels);
}

static enum shmrpc_status pass_on(struct shmrpc_call *call, void *user)
{
    struct shmrpc_value params;
    (void)user;
    shmrpc_call_params(call, &params);
    return shmrpc_call_answer_json(call, params.text, params.length);
}

static void test_SRPC_JSON_007_SRPC_JSON_015_levels_of_results_and_parameters(void **state)
{
    (void)state;
    struct world world;
    struct shmrpc_value value;
    char params[4096] = "{\"a\":";
    int levels = 1023;
    world_start(&world, "levels", 8192, 0);
    const char *response = call_with(&world, nest, &levels, "{}");
    assert_non_null(response);
    assert_int_equal(shmrpc_json_read(response, strlen(response), &value, NULL), SHMRPC_OK);
    assert_non_null(strstr(response, "\"result\":[[["));
    levels = 1024;
    assert_error(call_with(&world, nest, &levels, "{}"), "RPCSerializationError: ");
    /* With its own and the envelope's levels the first is at the limit, the second beyond. */
    for (levels = 1022; levels <= 1023; levels++) {
        memset(params + 5, '[', (size_t)levels);
        memset(params + 5 + levels, ']', (size_t)levels);
        memcpy(params + 5 + 2 * levels, "}", 2);
        response = call_with(&world, pass_on, NULL, params);
        if (levels == 1022)
            assert_result(response, params);
        else
            assert_null(response);
    }
    assert_non_null(strstr(world.log, "not valid JSON"));
    world_assert_serves(&world);
    world_finish(&world);
}

/* ---- Contracts ------------------------------------------------------------------------------ */

static struct shmrpc_call *kept;

static enum shmrpc_status misuse(struct shmrpc_call *call, void *user)
{
    struct shmrpc_value value;
    const char *data;
    size_t length;
    struct shmrpc_call_place nowhere = {.timeout_ms = 0, .stop = call->place->stop};
    struct shmrpc_call_place unstoppable = *call->place;
    unstoppable.stop = NULL;
    (void)user;
    kept = call;
    expect_check_failure(support_ignore(shmrpc_call_answer_begin(call, NULL)));
    expect_check_failure_below(support_ignore(shmrpc_call_answer_string(call, NULL, 1)));
    expect_check_failure(support_ignore(shmrpc_call_answer_json(call, NULL, 0)));
    expect_check_failure(support_ignore(shmrpc_call_fail(call, NULL, "m")));
    expect_check_failure(support_ignore(shmrpc_call_fail(call, "E", NULL)));
    expect_check_failure(shmrpc_call_params(call, NULL));
    expect_check_failure(support_ignore(shmrpc_call_param(call, NULL, &value)));
    expect_check_failure(support_ignore(shmrpc_call_param(call, "x", NULL)));
    expect_check_failure(support_ignore(shmrpc_call_bool(call, "x", NULL)));
    expect_check_failure(support_ignore(shmrpc_call_int64(call, "x", NULL)));
    expect_check_failure(support_ignore(shmrpc_call_uint64(call, "x", NULL)));
    expect_check_failure(support_ignore(shmrpc_call_double(call, "x", NULL)));
    expect_check_failure(support_ignore(shmrpc_call_answer_error(call, NULL, 1)));
    expect_check_failure(support_ignore(shmrpc_call_answer_error(call, "E", 0)));
    expect_check_failure(support_ignore(shmrpc_call_string(call, "x", NULL, &length)));
    expect_check_failure(support_ignore(shmrpc_call_string(call, "x", &data, NULL)));
    expect_check_failure(support_ignore(shmrpc_call_expect(call, NULL, 1)));
    shmrpc_call_params(call, &value);
    expect_check_failure(support_ignore(shmrpc_call_decode(call, &value, NULL, &length)));
    expect_check_failure(support_ignore(shmrpc_call_decode(call, &value, &data, NULL)));
    expect_check_failure(support_ignore(shmrpc_call_start(NULL, call->place, 0)));
    expect_check_failure(support_ignore(shmrpc_call_start(call, NULL, 0)));
    expect_check_failure(support_ignore(shmrpc_call_start(call, &nowhere, 0)));
    expect_check_failure(support_ignore(shmrpc_call_start(call, &unstoppable, 0)));
    expect_check_failure(
        support_ignore(shmrpc_call_start(call, call->place, (size_t)SHMRPC_MAX_BUFFER_BYTES)));
    expect_check_failure(shmrpc_call_set_failure(call, "%s", ""));
    const char *volatile no_format = NULL;
    expect_check_failure(shmrpc_call_set_failure(call, no_format, 1));
    struct shmrpc_writer *writer;
    assert_int_equal(shmrpc_call_answer_begin(call, &writer), SHMRPC_OK);
    expect_check_failure(support_ignore(shmrpc_call_start(call, call->place, 0)));
    return shmrpc_call_answer_null(call);
}

static void test_broken_contracts_fire(void **state)
{
    (void)state;
    struct world world;
    struct shmrpc_value value;
    const char *data;
    size_t length;
    bool b;
    int64_t i;
    uint64_t u;
    double d;
    struct shmrpc_call *garbage = calloc(1, sizeof *garbage);
    assert_non_null(garbage);
    world_start(&world, "contract", 0, 0);
    assert_result(call_with(&world, misuse, NULL, "{}"), "null");
    /* A call ends with its handler. */
    expect_check_failure(support_ignore(shmrpc_call_answer_null(kept)));
    expect_check_failure(support_ignore(shmrpc_call_answer_end(kept)));
    expect_check_failure(support_ignore(shmrpc_call_method(kept)));
    expect_check_failure(support_ignore(shmrpc_call_capacity(kept)));
    expect_check_failure(support_ignore(shmrpc_call_expect(kept, NULL, 0)));
    expect_check_failure(shmrpc_call_params(kept, &value));
    expect_check_failure(support_ignore(shmrpc_call_param(kept, "x", &value)));
    expect_check_failure(support_ignore(shmrpc_call_fail(kept, "E", "m")));
    expect_check_failure(support_ignore(shmrpc_call_answer_begin(kept, &(struct shmrpc_writer *){NULL})));
    expect_check_failure(support_ignore(shmrpc_call_answer_bool(kept, true)));
    expect_check_failure(support_ignore(shmrpc_call_answer_int64(kept, 1)));
    expect_check_failure(support_ignore(shmrpc_call_answer_uint64(kept, 1)));
    expect_check_failure(support_ignore(shmrpc_call_answer_double(kept, 1)));
    expect_check_failure(support_ignore(shmrpc_call_answer_string(kept, "s", 1)));
    expect_check_failure(support_ignore(shmrpc_call_answer_json(kept, "1", 1)));
    expect_check_failure(support_ignore(shmrpc_call_answer_error(kept, "E", 1)));
    expect_check_failure(shmrpc_call_set_failure(kept, "E"));
    expect_check_failure(support_ignore(shmrpc_call_bool(kept, "x", &b)));
    expect_check_failure(support_ignore(shmrpc_call_int64(kept, "x", &i)));
    expect_check_failure(support_ignore(shmrpc_call_uint64(kept, "x", &u)));
    expect_check_failure(support_ignore(shmrpc_call_double(kept, "x", &d)));
    expect_check_failure_below(support_ignore(shmrpc_call_string(kept, "x", &data, &length)));
    expect_check_failure(support_ignore(shmrpc_call_decode(kept, &value, &data, &length)));
    expect_check_failure(shmrpc_call_finish(kept));
    expect_check_failure(support_ignore(shmrpc_call_answer_null(NULL)));
    expect_check_failure(support_ignore(shmrpc_call_answer_null(garbage)));
    world_assert_serves(&world);
    world_finish(&world);
    free(garbage);
}

struct commit {
    struct raw *raw;
    const char *name;
    bool error;
    enum shmrpc_status status;
};

/* While the answer is written, a client posts what only the server may post. */
static enum shmrpc_status answer_beside_a_post(struct shmrpc_call *call, void *user)
{
    struct commit *commit = user;
    struct shmrpc_writer *writer;
    assert_int_equal(shmrpc_call_answer_begin(call, &writer), SHMRPC_OK);
    raw_post(commit->raw, RAW_RESP_FULL);
    if (commit->error) {
        commit->status = shmrpc_call_answer_error(call, "E", 1);
    } else {
        shmrpc_write_null(writer);
        commit->status = shmrpc_call_answer_end(call);
    }
    return SHMRPC_OK;
}

static void test_SRPC_SEM_007_an_answer_that_cannot_be_posted_is_told(void **state)
{
    (void)state;
    for (int error = 0; error < 2; error++) {
        struct world world;
        world_start(&world, "posted", 0, 0);
        struct commit commit = {.raw = &world.raw, .error = error != 0};
        support_ignore(call_with(&world, answer_beside_a_post, &commit, "{}") != NULL);
        assert_int_equal(commit.status, SHMRPC_PROTOCOL);
        world_finish(&world);
    }
}

static enum shmrpc_status end_half_a_value(struct shmrpc_call *call, void *user)
{
    struct shmrpc_writer *writer;
    assert_int_equal(shmrpc_call_answer_begin(call, &writer), SHMRPC_OK);
    shmrpc_write_array_begin(writer);
    *(enum shmrpc_status *)user = shmrpc_call_answer_end(call);
    return SHMRPC_OK;
}

static void test_SRPC_ENV_017_half_a_value_is_said_to_be_none(void **state)
{
    (void)state;
    struct world world;
    enum shmrpc_status status = SHMRPC_OK;
    world_start(&world, "half", 0, 0);
    assert_error(call_with(&world, end_half_a_value, &status, "{}"),
                 "RPCSerializationError: the result is not one JSON value");
    assert_int_equal(status, SHMRPC_INVALID);
    world_finish(&world);
}

static enum shmrpc_status expect_nothing(struct shmrpc_call *call, void *user)
{
    (void)user;
    return shmrpc_call_expect(call, NULL, 0);
}

/* A hundred bytes of a name are shown. */
static void test_SRPC_ENV_012_a_long_name_is_shown_in_part(void **state)
{
    (void)state;
    for (size_t length = 98; length <= 103; length++) {
        struct world world;
        char params[256];
        char text[256];
        char name[128] = "";
        memset(name, 'n', length);
        snprintf(params, sizeof params, "{\"%s\":1}", name);
        snprintf(text, sizeof text, "TypeError: got an unexpected argument '%.100s'\"}", name);
        world_start(&world, "long", 0, 0);
        assert_error(call_with(&world, expect_nothing, NULL, params), text);
        world_finish(&world);
    }
}

static enum shmrpc_status expect_two(struct shmrpc_call *call, void *user)
{
    static const char *const names[] = {"a", "b"};
    (void)user;
    enum shmrpc_status status = shmrpc_call_expect(call, names, 2);
    return status == SHMRPC_OK ? shmrpc_call_answer_null(call) : status;
}

/* As many members as expected are not enough: the first name must be among them, too. */
static void test_SRPC_ENV_012_each_expected_name_must_be_there(void **state)
{
    (void)state;
    static const char *const wrong[] = {"{\"b\":1,\"c\":2}", "{\"a\":1,\"c\":2}"};
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        world_start(&world, "names", 0, 0);
        assert_error(call_with(&world, expect_two, NULL, wrong[i]), "TypeError: missing");
        world_finish(&world);
    }
}

/* The parameters outlive no handler, even where they could still be read. */
static enum shmrpc_status keep_value(struct shmrpc_call *call, void *user)
{
    kept = call;
    assert_int_equal(shmrpc_call_param(call, "x", user), SHMRPC_OK);
    return shmrpc_call_answer_null(call);
}

static void test_no_value_is_decoded_behind_its_handler(void **state)
{
    (void)state;
    struct world world;
    struct shmrpc_value value = {.length = 0};
    const char *data;
    size_t length;
    world_start(&world, "behind", 0, 0);
    assert_result(call_with(&world, keep_value, &value, "{\"x\":\"text\"}"), "null");
    expect_check_failure(support_ignore(shmrpc_call_decode(kept, &value, &data, &length)));
    world_finish(&world);
}

static enum shmrpc_status error_twice(struct shmrpc_call *call, void *user)
{
    enum shmrpc_status *status = user;
    status[0] = shmrpc_call_answer_error(call, "E", 1);
    status[1] = shmrpc_call_answer_error(call, "E", 1);
    return SHMRPC_OK;
}

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        count++;
    return count;
}

/* Told to the handler each time, waited for and logged once. */
static void test_SRPC_RECOVER_009_a_dropped_error_is_told_and_dropped_once(void **state)
{
    (void)state;
    struct world world;
    enum shmrpc_status status[2] = {SHMRPC_OK, SHMRPC_OK};
    world_start(&world, "dropped", 4096, 40);
    raw_write(&world.raw, RAW_RESP, "other", 5);
    raw_set_values(&world.raw, 1, 0, 0, 1);
    assert_string_equal(call_with(&world, error_twice, status, "{}"), "other");
    assert_int_equal(status[0], SHMRPC_TIMEOUT);
    assert_int_equal(status[1], SHMRPC_TIMEOUT);
    assert_int_equal(count_of(world.log, "dropped a response"), 1);
    world_finish(&world);
}

static enum shmrpc_status lose_a_name(struct shmrpc_call *call, void *user)
{
    struct commit *commit = user;
    raw_unlink(commit->name, RAW_REQ_FULL);
    commit->status = shmrpc_call_answer_null(call);
    return SHMRPC_OK;
}

/* A lost name ends no wait for a response slot: the call in hand is finished first. */
static void test_SRPC_SIGNAL_002_a_lost_name_does_not_end_the_call_in_hand(void **state)
{
    (void)state;
    struct world world;
    struct commit commit = {.raw = &world.raw};
    world_start(&world, "lost", 4096, 300);
    commit.name = world.name;
    raw_write(&world.raw, RAW_RESP, "other", 5);
    raw_set_values(&world.raw, 1, 0, 0, 1);
    assert_int_equal(shmrpc_server_register(world.server, "m", lose_a_name, &commit), SHMRPC_OK);
    static const char request[] = "{\"request_id\":\"i\",\"method\":\"m\",\"params\":{}}";
    assert_true(raw_send(&world.raw, RAW_REQ, request, sizeof request - 1, 0));
    assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_OK);
    assert_int_equal(commit.status, SHMRPC_TIMEOUT);
    world_finish(&world);
}

static enum shmrpc_status finish_without_id(struct shmrpc_call *call, void *user)
{
    size_t length = call->request.id.length;
    (void)user;
    call->request.id.length = 0;
    expect_check_failure(shmrpc_call_finish(call));
    call->request.id.length = length;
    return shmrpc_call_answer_null(call);
}

static void test_a_call_without_an_id_is_never_finished(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "noid", 0, 0);
    assert_result(call_with(&world, finish_without_id, NULL, "{}"), "null");
    world_finish(&world);
}

static enum shmrpc_status fail_without_room(struct shmrpc_call *call, void *user)
{
    enum shmrpc_status *status = user;
    status[0] = shmrpc_call_fail(call, "E", "m");
    status[1] = shmrpc_call_fail(call, "E", "m");
    return SHMRPC_OK;
}

/* The handler hears that not one byte of its text fits, and nobody tries again. */
static void test_SRPC_ENV_019_no_room_is_told_and_dropped_once(void **state)
{
    (void)state;
    struct world world;
    enum shmrpc_status status[2] = {SHMRPC_OK, SHMRPC_OK};
    char id[83] = "";
    char request[128];
    memset(id, 'i', sizeof id - 1);
    world_start(&world, "room", 128, 0);
    assert_int_equal(shmrpc_server_register(world.server, "m", fail_without_room, status),
                     SHMRPC_OK);
    snprintf(request, sizeof request, "{\"request_id\":\"%s\",\"method\":\"m\",\"params\":{}}", id);
    assert_int_equal(strlen(request), 124);
    assert_null(world_exchange(&world, request));
    assert_int_equal(status[0], SHMRPC_TOO_LARGE);
    assert_int_equal(status[1], SHMRPC_TIMEOUT);
    assert_int_equal(count_of(world.log, "no room"), 1);
    world_assert_serves(&world);
    world_finish(&world);
}

static enum shmrpc_status answer_truncated(struct shmrpc_call *call, void *user)
{
    const struct commit *commit = user;
    char path[300];
    raw_path(commit->name, RAW_REQ, path);
    CHILD_CHECK(truncate(path, 0) == 0);
    /* The handler of SIGBUS notes it; the response slot knows nothing of it. */
    CHILD_CHECK(*(volatile char *)call->place->keeper.channel->request.segment.map == 0);
    CHILD_CHECK(shmrpc_call_answer_null(call) == SHMRPC_PROTOCOL);
    return SHMRPC_OK;
}

static void answer_beside_a_truncated_segment(void *unused)
{
    (void)unused;
    struct world world;
    struct commit commit = {.raw = &world.raw};
    static const char request[] = "{\"request_id\":\"i\",\"method\":\"m\",\"params\":{}}";
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    world_start(&world, "truncated", 4096, SHMRPC_FOREVER);
    commit.name = world.name;
    raw_write(&world.raw, RAW_RESP, "other", 5);
    raw_set_values(&world.raw, 1, 0, 0, 1);
    CHILD_CHECK(shmrpc_server_register(world.server, "m", answer_truncated, &commit) == SHMRPC_OK);
    CHILD_CHECK(raw_send(&world.raw, RAW_REQ, request, sizeof request - 1, 0));
    CHILD_CHECK(shmrpc_server_step(world.server, 0) == SHMRPC_OK);
    CHILD_CHECK(strstr(world.log, "anew") != NULL);
    shmrpc_server_close(&world.server);
}

/* A client that does not collect is waited for, for ever if need be, but not on a channel that is of
 * no more use. */
static void test_SRPC_SIGBUS_001_a_truncated_channel_ends_the_wait_for_a_slot(void **state)
{
    (void)state;
    child_run(answer_beside_a_truncated_segment, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_SRPC_JSON_010_SRPC_JSON_011_parameters_are_read_exactly),
        cmocka_unit_test(test_SRPC_ENV_012_SRPC_JSON_014_unsuitable_parameters_are_type_errors),
        cmocka_unit_test(test_SRPC_JSON_006_of_many_members_the_last_counts),
        cmocka_unit_test(test_expect_asks_for_exactly_these),
        cmocka_unit_test(test_SRPC_ENV_002_SRPC_JSON_012_SRPC_JSON_013_each_kind_of_answer),
        cmocka_unit_test(test_the_first_answer_counts),
        cmocka_unit_test(test_SRPC_ENV_012_begin_and_end_in_every_order),
        cmocka_unit_test(test_SRPC_ENV_009_SRPC_ERR_002_failing_in_any_words),
        cmocka_unit_test(test_SRPC_RECOVER_009_an_occupied_slot_is_a_time_out),
        cmocka_unit_test(test_SRPC_JSON_007_SRPC_JSON_015_levels_of_results_and_parameters),
        cmocka_unit_test(test_broken_contracts_fire),
        cmocka_unit_test(test_SRPC_RECOVER_009_a_dropped_error_is_told_and_dropped_once),
        cmocka_unit_test(test_SRPC_SIGNAL_002_a_lost_name_does_not_end_the_call_in_hand),
        cmocka_unit_test(test_a_call_without_an_id_is_never_finished),
        cmocka_unit_test(test_SRPC_SEM_007_an_answer_that_cannot_be_posted_is_told),
        cmocka_unit_test(test_SRPC_ENV_017_half_a_value_is_said_to_be_none),
        cmocka_unit_test(test_SRPC_ENV_012_a_long_name_is_shown_in_part),
        cmocka_unit_test(test_SRPC_ENV_012_each_expected_name_must_be_there),
        cmocka_unit_test(test_no_value_is_decoded_behind_its_handler),
        cmocka_unit_test(test_SRPC_ENV_019_no_room_is_told_and_dropped_once),
        cmocka_unit_test(test_SRPC_SIGBUS_001_a_truncated_channel_ends_the_wait_for_a_slot),
    };
    support_limit_seconds(60);
    return cmocka_run_group_tests_name("call", tests, NULL, raw_sweep);
}

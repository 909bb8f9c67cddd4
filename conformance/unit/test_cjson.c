/* SPDX-License-Identifier: MIT
 *
 * The optional header shmrpc_cjson.h: a value becomes the tree that it is, or is refused; nothing
 * is changed silently; and every allocation that fails is an error.
 */
#include "../../src/shmrpc_cjson.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static enum shmrpc_status read_tree(const char *text, size_t length, cJSON **tree)
{
    struct shmrpc_value value;
    assert_int_equal(shmrpc_json_read(text, length, &value, NULL), SHMRPC_OK);
    return shmrpc_cjson_from_value(&value, tree);
}

static enum shmrpc_status write_tree(const cJSON *tree, char *buffer, size_t capacity)
{
    struct shmrpc_writer writer;
    size_t length = 0;
    shmrpc_writer_init(&writer, buffer, capacity - 1);
    shmrpc_write_cjson(&writer, tree);
    enum shmrpc_status status = shmrpc_writer_finish(&writer, &length);
    if (status == SHMRPC_OK)
        buffer[length] = '\0';
    return status;
}

/* Read, write, compare. */
static void check_round_trip(const char *text, const char *expected)
{
    char buffer[4096];
    cJSON *tree = NULL;
    assert_int_equal(read_tree(text, strlen(text), &tree), SHMRPC_OK);
    assert_int_equal(write_tree(tree, buffer, sizeof buffer), SHMRPC_OK);
    assert_string_equal(buffer, expected);
    cJSON_Delete(tree);
}

static void test_round_trips(void **state)
{
    (void)state;
    static const char *const same[] = {
        "null",
        "true",
        "false",
        "0",
        "-1",
        "9007199254740992",
        "-9007199254740992",
        "0.1",
        "-0.0",
        "5e-324",
        "1.7976931348623157e+308",
        "1e+22",
        "\"\"",
        "\"\xc3\xbc\xe2\x82\xac\"",
        "\"a\\\"b\\\\c\\n\"",
        "[]",
        "{}",
        "[1,[2,[]],{}]",
        "{\"a\":1,\"b\":{\"c\":[null]}}",
        "{\"\":\"empty key\"}",
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        check_round_trip(same[i], same[i]);
}

static void test_what_becomes_one_number_or_one_member(void **state)
{
    (void)state;
    check_round_trip("1.0", "1");
    check_round_trip("1e2", "100");
    check_round_trip("-0", "0");
    check_round_trip("{\"a\":1,\"a\":2}", "{\"a\":2}");
    check_round_trip("{\"a\":1,\"b\":3,\"\\u0061\":2,\"A\":4}", "{\"b\":3,\"a\":2,\"A\":4}");
    check_round_trip("[{\"x\":1,\"x\":{\"y\":1,\"y\":2}}]", "[{\"x\":{\"y\":2}}]");
}

static void test_the_last_of_many_duplicates_is_found(void **state)
{
    (void)state;
    enum {
        MEMBERS = 20000
    };
    char *text = malloc(MEMBERS * 16);
    assert_non_null(text);
    size_t length = 0;
    for (int i = 0; i < MEMBERS; i++)
        length += (size_t)sprintf(text + length, "%c\"k%d\":%d", i ? ',' : '{', i % 100, i);
    text[length++] = '}';
    cJSON *tree = NULL;
    assert_int_equal(read_tree(text, length, &tree), SHMRPC_OK);
    assert_int_equal(cJSON_GetArraySize(tree), 100);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        assert_true(cJSON_GetObjectItemCaseSensitive(tree, key)->valuedouble == MEMBERS - 100 + i);
    }
    cJSON_Delete(tree);
    free(text);
}

static void test_what_cjson_cannot_represent_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "\"\\u0000\"",          "\"a\\u0000b\"",        "{\"a\\u0000\":1}",
        "9007199254740993",     "-9007199254740993",    "9223372036854775807",
        "18446744073709551615", "18446744073709551616", "[1,{\"a\":[9007199254740993]}]",
        "[\"x\",\"\\u0000\"]",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        cJSON *tree = NULL;
        assert_int_equal(read_tree(refused[i], strlen(refused[i]), &tree), SHMRPC_SERIALIZATION);
        assert_null(tree);
    }
}

static void test_a_tree_that_is_no_json_is_refused(void **state)
{
    (void)state;
    char buffer[256];
    cJSON *numbers = cJSON_CreateArray();
    cJSON_AddItemToArray(numbers, cJSON_CreateNumber(NAN));
    assert_int_equal(write_tree(numbers, buffer, sizeof buffer), SHMRPC_SERIALIZATION);
    cJSON_ReplaceItemInArray(numbers, 0, cJSON_CreateNumber(-INFINITY));
    assert_int_equal(write_tree(numbers, buffer, sizeof buffer), SHMRPC_SERIALIZATION);
    cJSON_ReplaceItemInArray(numbers, 0, cJSON_CreateString("\xff"));
    assert_int_equal(write_tree(numbers, buffer, sizeof buffer), SHMRPC_SERIALIZATION);
    cJSON_ReplaceItemInArray(numbers, 0, cJSON_CreateRaw("{\"a\":[1 ,2]}"));
    assert_int_equal(write_tree(numbers, buffer, sizeof buffer), SHMRPC_OK);
    assert_non_null(strstr(buffer, "\"a\""));
    cJSON_ReplaceItemInArray(numbers, 0, cJSON_CreateRaw("nonsense"));
    assert_int_equal(write_tree(numbers, buffer, sizeof buffer), SHMRPC_SERIALIZATION);
    cJSON_Delete(numbers);
    cJSON invalid = {.type = cJSON_Invalid};
    assert_int_equal(write_tree(&invalid, buffer, sizeof buffer), SHMRPC_SERIALIZATION);
    cJSON nameless = {.type = cJSON_Number};
    cJSON object = {.type = cJSON_Object, .child = &nameless};
    assert_int_equal(write_tree(&object, buffer, sizeof buffer), SHMRPC_SERIALIZATION);
    /* A circle must end, too. */
    cJSON circle = {.type = cJSON_Array};
    circle.child = &circle;
    static char large[8192];
    assert_int_not_equal(write_tree(&circle, large, sizeof large), SHMRPC_OK);
}

static void test_what_does_not_fit_is_too_large(void **state)
{
    (void)state;
    char buffer[16];
    cJSON *text = cJSON_CreateString("fourteen bytes");
    assert_int_equal(write_tree(text, buffer, sizeof buffer), SHMRPC_TOO_LARGE);
    cJSON_Delete(text);
}

static void test_depth(void **state)
{
    (void)state;
    enum {
        DEPTH = 1024
    };
    static char text[2 * DEPTH];
    static char buffer[2 * DEPTH + 1];
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    cJSON *tree = NULL;
    assert_int_equal(read_tree(text, sizeof text, &tree), SHMRPC_OK);
    assert_int_equal(write_tree(tree, buffer, sizeof buffer), SHMRPC_OK);
    assert_memory_equal(buffer, text, sizeof text);
    cJSON *deeper = cJSON_CreateArray();
    cJSON_AddItemToArray(deeper, tree);
    assert_int_not_equal(write_tree(deeper, buffer, sizeof buffer), SHMRPC_OK);
    cJSON_Delete(deeper);
}

/* ---- Allocations ------------------------------------------------------------------------------
 */

static int allocations_left;

static void *scarce_malloc(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void test_every_allocation_that_cjson_is_refused_is_an_error(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,\"two\",null,true],\"b\":{\"c\":{}},\"a\":[]}";
    cJSON_Hooks scarce = {scarce_malloc, free};
    enum shmrpc_status status = SHMRPC_SYSTEM;
    int allowed = 0;
    cJSON_InitHooks(&scarce);
    for (; status != SHMRPC_OK && allowed < 100; allowed++) {
        cJSON *tree = NULL;
        allocations_left = allowed;
        status = read_tree(text, sizeof text - 1, &tree);
        if (status != SHMRPC_OK) {
            assert_int_equal(status, SHMRPC_SYSTEM);
            assert_null(tree);
        }
        cJSON_Delete(tree);
    }
    cJSON_InitHooks(NULL);
    assert_in_range(allowed, 10, 99);
}

static void test_a_value_that_nobody_validated_is_refused(void **state)
{
    (void)state;
    cJSON *tree = NULL;
    const struct shmrpc_value empty = {"", 0, SHMRPC_BOOL, false};
    const struct shmrpc_value none = {"null", 4, (enum shmrpc_type)(SHMRPC_OBJECT + 1), false};
    assert_int_equal(shmrpc_cjson_from_value(&empty, &tree), SHMRPC_SERIALIZATION);
    assert_int_equal(shmrpc_cjson_from_value(&none, &tree), SHMRPC_SERIALIZATION);
    assert_null(tree);
}

/* ---- With a server ----------------------------------------------------------------------------
 */

static enum shmrpc_status sum(struct shmrpc_call *call, void *user)
{
    (void)user;
    cJSON *params = NULL;
    enum shmrpc_status status = shmrpc_call_params_cjson(call, &params);
    if (status != SHMRPC_OK)
        return status;
    double total = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(params, "list")) total +=
        item->valuedouble;
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddNumberToObject(answer, "sum", total);
    status = shmrpc_call_answer_cjson(call, answer);
    /* The first answer counts. */
    if (status == SHMRPC_OK && shmrpc_call_answer_cjson(call, params) != SHMRPC_INVALID)
        status = SHMRPC_SYSTEM;
    cJSON_Delete(answer);
    cJSON_Delete(params);
    return status;
}

static enum shmrpc_status nul(struct shmrpc_call *call, void *user)
{
    (void)user;
    return shmrpc_call_answer_string(call, "", 1);
}

static void *serve(void *context)
{
    assert_int_equal(shmrpc_server_run(context), SHMRPC_OK);
    return NULL;
}

static void check_calls(struct shmrpc_client *client)
{
    cJSON *result = NULL;
    cJSON *params = cJSON_CreateObject();
    const double list[] = {1, 2.5, 3};
    cJSON_AddItemToObject(params, "list", cJSON_CreateDoubleArray(list, 3));
    assert_int_equal(shmrpc_client_call_cjson(client, "sum", params, &result), SHMRPC_OK);
    assert_true(cJSON_GetObjectItemCaseSensitive(result, "sum")->valuedouble == 6.5);
    cJSON_Delete(result);
    assert_int_equal(shmrpc_client_call_cjson(client, "sum", params, NULL), SHMRPC_OK);
    result = NULL;
    assert_int_equal(shmrpc_client_call_cjson(client, "nul", NULL, &result), SHMRPC_SERIALIZATION);
    assert_null(result);
    assert_true(shmrpc_client_maybe_executed(client));
    assert_int_equal(shmrpc_client_call_cjson(client, "nope", NULL, &result), SHMRPC_METHOD_ERROR);
    cJSON_AddItemToObject(params, "nan", cJSON_CreateNumber(NAN));
    assert_int_equal(shmrpc_client_call_cjson(client, "sum", params, &result),
                     SHMRPC_SERIALIZATION);
    cJSON_Delete(params);
}

static void test_handler_and_client(void **state)
{
    (void)state;
    char name[64];
    pthread_t thread;
    struct shmrpc_server *server = NULL;
    struct shmrpc_client *client = NULL;
    snprintf(name, sizeof name, "unit-cjson-%d", (int)getpid());
    assert_int_equal(shmrpc_server_create(name, NULL, &server), SHMRPC_OK);
    assert_int_equal(shmrpc_server_register(server, "sum", sum, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_server_register(server, "nul", nul, NULL), SHMRPC_OK);
    assert_int_equal(pthread_create(&thread, NULL, serve, server), 0);
    assert_int_equal(shmrpc_client_open(name, NULL, &client), SHMRPC_OK);
    check_calls(client);
    shmrpc_client_close(&client);
    shmrpc_server_stop(server);
    assert_int_equal(pthread_join(thread, NULL), 0);
    shmrpc_server_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_what_becomes_one_number_or_one_member),
        cmocka_unit_test(test_the_last_of_many_duplicates_is_found),
        cmocka_unit_test(test_what_cjson_cannot_represent_is_refused),
        cmocka_unit_test(test_a_tree_that_is_no_json_is_refused),
        cmocka_unit_test(test_what_does_not_fit_is_too_large),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_every_allocation_that_cjson_is_refused_is_an_error),
        cmocka_unit_test(test_a_value_that_nobody_validated_is_refused),
        cmocka_unit_test(test_handler_and_client),
    };
    alarm(60); /* no test may hang */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

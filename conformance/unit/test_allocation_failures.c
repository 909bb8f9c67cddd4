/* SPDX-License-Identifier: MIT
 *
 * Each allocation of each public operation fails in turn: the operation says so, keeps nothing,
 * and works when it is tried again. Linked with the reference adapter's fault.c, through which the
 * library's allocations pass.
 */
#include "../../src/shmrpc_cjson.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../adapters/reference/adapter.h"
#include "child.h"

enum {
    MOST = 100 /* more than any operation allocates */
};

static char name[64];

static void fail_allocation(int number)
{
    char text[64];
    snprintf(text, sizeof text, "unit:%d:once", number);
    assert_int_equal(setenv("SHMRPC_KIT_MALLOC", text, 1), 0);
    fault_begin("unit");
}

/* Try an operation with its first allocation failing, its second, ... until none is left to fail.
 * What one try has allocated for good (the places in the registry of maps) is there for the next, so
 * who wants to see the last allocations fail too does it all once more. */
static void fail_each(enum shmrpc_status (*operation)(void *), void *context, int least)
{
    for (int number = 1; number < MOST; number++) {
        size_t descriptors = count_descriptors();
        fail_allocation(number);
        enum shmrpc_status status = operation(context);
        fault_end();
        if (status == SHMRPC_OK) {
            assert_true(number > least);
            return;
        }
        assert_int_equal(status, SHMRPC_SYSTEM);
        assert_int_equal(count_descriptors(), descriptors);
    }
    fail_msg("it never succeeded");
}

/* A handler that cannot have the memory for its own error. */
static enum shmrpc_status answer_error(struct shmrpc_call *call, void *user)
{
    (void)user;
    fail_allocation(1);
    enum shmrpc_status status = shmrpc_call_fail(call, "ValueError", "of no account");
    fault_end();
    assert_int_equal(status, SHMRPC_SYSTEM);
    return status;
}

static enum shmrpc_status answer(struct shmrpc_call *call, void *user)
{
    const char *text;
    size_t length;
    enum shmrpc_status status = shmrpc_call_string(call, "text", &text, &length);
    (void)user;
    return status != SHMRPC_OK ? status : shmrpc_call_answer_string(call, text, length);
}

static enum shmrpc_status create(void *server)
{
    return shmrpc_server_create(name, NULL, server);
}

static enum shmrpc_status register_another(void *server)
{
    return shmrpc_server_register(server, "another", answer, NULL);
}

static enum shmrpc_status register_it(void *server)
{
    return shmrpc_server_register(server, "method", answer, NULL);
}

static enum shmrpc_status open_it(void *client)
{
    return shmrpc_client_open(name, NULL, client);
}

static enum shmrpc_status pipe_create(void *pipe)
{
    return shmrpc_pipe_create(name, NULL, pipe);
}

static enum shmrpc_status pipe_open(void *pipe)
{
    return shmrpc_pipe_open(name, NULL, pipe);
}

static void test_of_server_and_client(void **state)
{
    struct shmrpc_server *server = NULL;
    struct shmrpc_client *client = NULL;

    (void)state;
    fail_each(create, &server, 3);
    shmrpc_server_close(&server);
    fail_each(create, &server, 4);
    fail_each(register_it, server, 2);
    fail_each(register_another, server, 2);
    fail_each(open_it, &client, 3);
    shmrpc_client_close(&client);
    fail_each(open_it, &client, 4);
    shmrpc_client_close(&client);
    shmrpc_server_close(&server);
}

static void test_of_both_ends_of_a_pipe(void **state)
{
    struct shmrpc_pipe *server = NULL;
    struct shmrpc_pipe *client = NULL;

    (void)state;
    fail_each(pipe_create, &server, 2);
    shmrpc_pipe_close(&server);
    fail_each(pipe_create, &server, 3);
    fail_each(pipe_open, &client, 2);
    shmrpc_pipe_close(&client);
    fail_each(pipe_open, &client, 3);
    shmrpc_pipe_close(&client);
    shmrpc_pipe_close(&server);
}

static enum shmrpc_status call_it(void *client)
{
    struct shmrpc_param param = shmrpc_param_string("text", "a\n", 2);
    struct shmrpc_value value;
    const char *text;
    size_t length;
    enum shmrpc_status status = shmrpc_client_call(client, "method", &param, 1, &value);
    if (status == SHMRPC_OK)
        status = shmrpc_client_result_string(client, &text, &length);
    return status;
}

static void *serve(void *server)
{
    return (void *)(uintptr_t)shmrpc_server_run(server);
}

static void *call_error(void *client)
{
    return (void *)(uintptr_t)shmrpc_client_call(client, "error", NULL, 0, NULL);
}

static void *call_unknown(void *client)
{
    return (void *)(uintptr_t)shmrpc_client_call(client, "unknown", NULL, 0, NULL);
}

static void stop_both(pthread_t serving, struct shmrpc_server **server,
                      struct shmrpc_client **client)
{
    void *status = NULL;

    shmrpc_server_stop(*server);
    assert_int_equal(pthread_join(serving, &status), 0);
    assert_int_equal((uintptr_t)status, SHMRPC_OK);
    shmrpc_client_close(client);
    shmrpc_server_close(server);
}

/* The caller in another thread hears of a METHOD_ERROR while this one serves. */
static void check_error(struct shmrpc_server *server, struct shmrpc_client *client,
                        void *(*caller)(void *), bool armed)
{
    pthread_t thread;
    void *status = NULL;
    assert_int_equal(pthread_create(&thread, NULL, caller, client), 0);
    if (armed)
        fail_allocation(1);
    assert_int_equal(shmrpc_server_step(server, 20000), SHMRPC_OK);
    fault_end();
    assert_int_equal(pthread_join(thread, &status), 0);
    assert_int_equal((uintptr_t)status, SHMRPC_METHOD_ERROR);
}

static void test_of_a_call(void **state)
{
    struct shmrpc_server *server = NULL;
    struct shmrpc_client *client = NULL;
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    pthread_t thread;

    (void)state;
    options.timeout_ms = 20000;
    assert_int_equal(shmrpc_server_create(name, NULL, &server), SHMRPC_OK);
    assert_int_equal(register_it(server), SHMRPC_OK);
    assert_int_equal(shmrpc_server_register(server, "error", answer_error, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_client_open(name, &options, &client), SHMRPC_OK);
    check_error(server, client, call_error, false);
    check_error(server, client, call_unknown, true);
    assert_int_equal(pthread_create(&thread, NULL, serve, server), 0);
    fail_each(call_it, client, 0);
    stop_both(thread, &server, &client);
}

/* The next server's channel is larger, so the client needs new buffers for it. */
static void test_of_attaching_anew(void **state)
{
    struct shmrpc_server *server = NULL;
    struct shmrpc_client *client = NULL;
    struct shmrpc_server_options larger = SHMRPC_SERVER_OPTIONS_INIT;
    pthread_t thread;

    (void)state;
    larger.buffer_bytes = 8192;
    assert_int_equal(shmrpc_server_create(name, NULL, &server), SHMRPC_OK);
    assert_int_equal(shmrpc_client_open(name, NULL, &client), SHMRPC_OK);
    shmrpc_server_close(&server);
    assert_int_equal(shmrpc_client_call(client, "method", NULL, 0, NULL),
                     SHMRPC_PEER_GONE_NOT_STARTED);
    assert_int_equal(shmrpc_server_create(name, &larger, &server), SHMRPC_OK);
    assert_int_equal(register_it(server), SHMRPC_OK);
    assert_int_equal(pthread_create(&thread, NULL, serve, server), 0);
    fail_each(call_it, client, 2);
    assert_int_equal(shmrpc_client_buffer_bytes(client), 8192);
    stop_both(thread, &server, &client);
}

/* What shmrpc_cjson.h allocates itself; test_cjson has the allocations of cJSON. */
static enum shmrpc_status make_tree(void *tree)
{
    static const char text[] = "{\"one\":\"1\",\"two\":[\"2\",\"3\"]}";
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_json_read(text, sizeof text - 1, &value, NULL);
    return status == SHMRPC_OK ? shmrpc_cjson_from_value(&value, tree) : status;
}

static enum shmrpc_status call_with_trees(void *client)
{
    return shmrpc_client_call_cjson(client, "__running__", NULL, NULL);
}

static void test_of_trees(void **state)
{
    struct shmrpc_server *server = NULL;
    struct shmrpc_client *client = NULL;
    cJSON *tree = NULL;
    pthread_t thread;

    (void)state;
    fail_each(make_tree, &tree, 5);
    cJSON_Delete(tree);
    assert_int_equal(shmrpc_server_create(name, NULL, &server), SHMRPC_OK);
    assert_int_equal(shmrpc_client_open(name, NULL, &client), SHMRPC_OK);
    assert_int_equal(pthread_create(&thread, NULL, serve, server), 0);
    fail_each(call_with_trees, client, 1);
    stop_both(thread, &server, &client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_server_and_client),
        cmocka_unit_test(test_of_both_ends_of_a_pipe),
        cmocka_unit_test(test_of_a_call),
        cmocka_unit_test(test_of_attaching_anew),
        cmocka_unit_test(test_of_trees),
    };
    snprintf(name, sizeof name, "allocation_%d", (int)getpid());
    alarm(120);
    return cmocka_run_group_tests_name("allocation failures", tests, NULL, NULL);
}

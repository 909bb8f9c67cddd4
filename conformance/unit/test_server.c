/* SPDX-License-Identifier: MIT
 *
 * The server: what it publishes, how it answers, what it survives. Most tests hold both ends: the
 * server serves by steps, and a raw peer puts frames into the slots in between, so that every state
 * is made on purpose and nothing depends on time.
 *
 * Not fired, because no caller can bring them about: the ENSUREs of shmrpc_server_create() (a
 * published channel is complete) and of execute() (a method that was read as a string decodes).
 */
#include "world.h"

#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MARK = 01000 };

/* ---- Creation ------------------------------------------------------------------------------- */

static void test_SRPC_LIFE_001_SRPC_OBJ_001_SRPC_OBJ_004_SRPC_SEG_001_SRPC_SEM_001_SRPC_SEM_002_SRPC_LIMIT_001_publishes_six_objects(
    void **state)
{
    (void)state;
    static const char zeros[4096];
    struct world world;
    world_start(&world, "six", 0, 0);
    assert_int_equal(raw_count(world.name), RAW_OBJECTS);
    assert_raw_values(&world.raw, 1, 0, 1, 0);
    for (int i = 0; i < RAW_OBJECTS; i++) {
        char path[300];
        struct stat info;
        raw_path(world.name, (enum raw_object)i, path);
        assert_int_equal(lstat(path, &info), 0);
        assert_true(S_ISREG(info.st_mode));
        assert_int_equal(info.st_mode & 07777, MARK | 0600);
        assert_int_equal(info.st_size, i <= RAW_RESP ? 4096 : 32);
        if (i <= RAW_RESP)
            assert_memory_equal(world.raw.map[i], zeros, sizeof zeros);
    }
    assert_int_equal(shmrpc_server_buffer_bytes(world.server), 4096);
    world_finish(&world);
}

static void test_SRPC_SEM_004_semaphores_are_what_sem_init_makes(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "sem-init", 128, 0);
    for (int i = RAW_REQ_EMPTY; i < RAW_OBJECTS; i++) {
        sem_t *fresh = raw_share(4096);
        assert_int_equal(sem_init(fresh, 1, i == RAW_REQ_EMPTY || i == RAW_RESP_EMPTY), 0);
        assert_memory_equal(world.raw.map[i], fresh, 32);
        sem_destroy(fresh);
        raw_unshare(fresh, 4096);
    }
    world_finish(&world);
}

static void test_SRPC_LIMIT_002_SRPC_LIMIT_003_SRPC_TIME_005_options_out_of_range_are_invalid(
    void **state)
{
    (void)state;
    struct shmrpc_error error;
    struct shmrpc_server *server = NULL;
    const char *name = raw_name("options");
    const struct shmrpc_server_options bad[] = {
        {.buffer_bytes = 1},
        {.buffer_bytes = 127},
        {.buffer_bytes = (size_t)SHMRPC_MAX_BUFFER_BYTES + 1},
        {.buffer_bytes = SIZE_MAX},
        {.timeout_ms = -2},
        {.timeout_ms = INT_MIN},
        {.wait = (enum shmrpc_wait)3},
        {.wait = (enum shmrpc_wait)-1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct shmrpc_server_options options = bad[i];
        options.error = &error;
        memset(&error, 'x', sizeof error);
        assert_int_equal(shmrpc_server_create(name, &options, &server), SHMRPC_INVALID);
        assert_int_equal(error.status, SHMRPC_INVALID);
        assert_int_equal(error.system_errno, 0);
        assert_true(strlen(error.text) > 0);
        options.error = NULL;
        assert_int_equal(shmrpc_server_create(name, &options, &server), SHMRPC_INVALID);
        assert_null(server);
    }
    assert_int_equal(raw_count(name), 0);
}

static void test_SRPC_NAME_002_SRPC_NAME_003_bad_names_are_invalid(void **state)
{
    (void)state;
    char longest[SHMRPC_MAX_NAME_BYTES + 2];
    struct shmrpc_server *server = NULL;
    struct shmrpc_client *client = NULL;
    struct shmrpc_pipe *pipe = NULL;
    memset(longest, 'n', sizeof longest);
    longest[SHMRPC_MAX_NAME_BYTES + 1] = '\0';
    const char *bad[] = {"", "/", "a/b", "../x", longest};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(shmrpc_server_create(bad[i], NULL, &server), SHMRPC_INVALID);
        assert_int_equal(shmrpc_client_open(bad[i], NULL, &client), SHMRPC_INVALID);
        assert_int_equal(shmrpc_pipe_create(bad[i], NULL, &pipe), SHMRPC_INVALID);
        assert_int_equal(shmrpc_pipe_open(bad[i], NULL, &pipe), SHMRPC_INVALID);
    }
    assert_null(server);
    assert_null(client);
    assert_null(pipe);
    /* The longest name that is allowed serves. */
    snprintf(longest, sizeof longest, "unit-%d-", (int)getpid());
    longest[strlen(longest)] = 'n';
    longest[SHMRPC_MAX_NAME_BYTES] = '\0';
    assert_int_equal(shmrpc_server_create(longest, NULL, &server), SHMRPC_OK);
    assert_int_equal(raw_count(longest), RAW_OBJECTS);
    shmrpc_server_close(&server);
    assert_int_equal(raw_count(longest), 0);
}

static void test_SRPC_NAME_004_SRPC_NAME_005_names_share_nothing_and_may_be_any_bytes(void **state)
{
    (void)state;
    const char *base = raw_name("n");
    const char *const tails[] = {"", "_req", "_resp", "_REQ", " \x01\xff\"\\.", "..", "_req_empty"};
    enum { COUNT = sizeof tails / sizeof tails[0] };
    struct shmrpc_server *servers[COUNT];
    char names[COUNT][100];
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "%s%s", base, tails[i]);
        assert_int_equal(shmrpc_server_create(names[i], NULL, &servers[i]), SHMRPC_OK);
    }
    assert_int_equal(raw_count(base), COUNT * RAW_OBJECTS);
    for (int i = 0; i < COUNT; i++) {
        struct raw raw;
        raw_open(&raw, names[i]);
        assert_true(raw_send(&raw, RAW_REQ, "{}", 2, 0));
        for (int k = 0; k < COUNT; k++)
            assert_int_equal(shmrpc_server_step(servers[k], 0),
                             k == i ? SHMRPC_OK : SHMRPC_TIMEOUT);
        raw_close(&raw);
    }
    for (int i = 0; i < COUNT; i++)
        shmrpc_server_close(&servers[i]);
    assert_int_equal(raw_count(base), 0);
}

static void test_SRPC_OWN_008_SRPC_OBJ_002_a_second_server_is_busy_and_changes_nothing(void **state)
{
    (void)state;
    struct world world;
    struct shmrpc_error error;
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    struct shmrpc_server *second = NULL;
    ino_t before[RAW_OBJECTS];
    world_start(&world, "second", 0, 0);
    for (int i = 0; i < RAW_OBJECTS; i++)
        before[i] = raw_inode(world.name, (enum raw_object)i);
    raw_set_values(&world.raw, 0, 0, 0, 1);
    options.error = &error;
    assert_int_equal(shmrpc_server_create(world.name, &options, &second), SHMRPC_BUSY);
    assert_int_equal(error.status, SHMRPC_BUSY);
    assert_non_null(strstr(error.text, world.name));
    assert_null(second);
    assert_raw_values(&world.raw, 0, 0, 0, 1);
    for (int i = 0; i < RAW_OBJECTS; i++)
        assert_true(raw_inode(world.name, (enum raw_object)i) == before[i]);
    raw_set_values(&world.raw, 1, 0, 1, 0);
    world_assert_serves(&world);
    world_finish(&world);
}

/* ---- Answering ------------------------------------------------------------------------------ */

static enum shmrpc_status echo(struct shmrpc_call *call, void *user)
{
    struct shmrpc_value params;
    int *executed = user;
    if (executed != NULL)
        ++*executed;
    shmrpc_call_params(call, &params);
    return shmrpc_call_answer_json(call, params.text, params.length);
}

static void test_SRPC_HAND_001_SRPC_HAND_002_SRPC_HAND_003_SRPC_HAND_005_SRPC_FRAME_001_SRPC_FRAME_008_one_exchange_step_by_step(
    void **state)
{
    (void)state;
    static const char request[] = "{\"request_id\":\"i\",\"method\":\"echo\",\"params\":{\"a\":1}}";
    static const char reply[] = "{\"request_id\":\"i\",\"result\":{\"a\":1},\"error\":null}";
    struct world world;
    world_start(&world, "exchange", 256, 0);
    assert_int_equal(shmrpc_server_register(world.server, "echo", echo, &world.executed),
                     SHMRPC_OK);
    memset(raw_body(&world.raw, RAW_RESP), 'z', 252);
    assert_true(raw_take(&world.raw, RAW_REQ_EMPTY, 0));
    raw_write(&world.raw, RAW_REQ, request, sizeof request - 1);
    /* Without the post nothing is there. */
    assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_TIMEOUT);
    assert_int_equal(world.executed, 0);
    raw_post(&world.raw, RAW_REQ_FULL);
    assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_OK);
    assert_int_equal(world.executed, 1);
    assert_raw_values(&world.raw, 1, 0, 0, 1);
    assert_int_equal(raw_length(&world.raw, RAW_REQ), 0);
    assert_int_equal(raw_length(&world.raw, RAW_RESP), sizeof reply - 1);
    assert_memory_equal(raw_body(&world.raw, RAW_RESP), reply, sizeof reply - 1);
    assert_int_equal(raw_body(&world.raw, RAW_RESP)[sizeof reply - 1], 'z');
    assert_non_null(raw_receive(&world.raw, RAW_RESP, 0));
    assert_raw_values(&world.raw, 1, 0, 1, 0);
    world_finish(&world);
}

static void test_SRPC_ENV_001_SRPC_ENV_002_SRPC_ENV_003_SRPC_ENV_004_SRPC_ENV_005_requests_in_any_dress(
    void **state)
{
    (void)state;
    /* The request and the response that must come, byte for byte. */
    static const char *const pairs[][2] = {
        {"{\"params\":{},\"method\":\"echo\",\"request_id\":\"1\"}",
         "{\"request_id\":\"1\",\"result\":{},\"error\":null}"},
        {" {\r\n\t\"extra\" : [1,{\"method\":7}] , \"request_id\" : \"x y\",\"method\":\"echo\","
         "\"params\" : { \"a\" : [ 1 ] } } ",
         "{\"request_id\":\"x y\",\"result\":{ \"a\" : [ 1 ] },\"error\":null}"},
        {"{\"request\\u005fid\":\"\\u0000\\\"\xc3\xa9\",\"method\":\"\\u0065cho\",\"params\":{}}",
         "{\"request_id\":\"\\u0000\\\"\xc3\xa9\",\"result\":{},\"error\":null}"},
        {"{\"request_id\":\"\",\"method\":\"echo\",\"params\":{\"a\":1,\"a\":2}}",
         "{\"request_id\":\"\",\"result\":{\"a\":1,\"a\":2},\"error\":null}"},
        {"{\"request_id\":1,\"method\":2,\"params\":3,\"params\":{},\"method\":\"echo\","
         "\"request_id\":\"last\"}",
         "{\"request_id\":\"last\",\"result\":{},\"error\":null}"},
    };
    struct world world;
    world_start(&world, "dress", 0, 0);
    assert_int_equal(shmrpc_server_register(world.server, "echo", echo, NULL), SHMRPC_OK);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        assert_string_equal(world_exchange(&world, pairs[i][0]), pairs[i][1]);
    world_finish(&world);
}

static void test_SRPC_ENV_010_running_is_built_in(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "running", 0, 0);
    assert_int_equal(shmrpc_server_register(world.server, "__running__", echo, NULL),
                     SHMRPC_INVALID);
    assert_non_null(strstr(shmrpc_server_error(world.server), "built in"));
    world_assert_serves(&world);
    assert_non_null(strstr(
        world_exchange(&world, "{\"request_id\":\"1\",\"method\":\"__running__\",\"params\":{\"x\":1}}"),
        "\"error\":\"TypeError: "));
    world_finish(&world);
}

static enum shmrpc_status tell_user(struct shmrpc_call *call, void *user)
{
    assert_non_null(shmrpc_call_method(call));
    return shmrpc_call_answer_string(call, user, strlen(user));
}

static void test_register_replaces_sorts_and_refuses(void **state)
{
    (void)state;
    struct world world;
    char request[200];
    char method[16];
    world_start(&world, "register", 0, 0);
    assert_int_equal(shmrpc_server_register(world.server, "", echo, NULL), SHMRPC_INVALID);
    assert_int_equal(shmrpc_server_register(world.server, "a\xff", echo, NULL), SHMRPC_INVALID);
    assert_int_equal(shmrpc_server_register(world.server, "\xc3", echo, NULL), SHMRPC_INVALID);
    /* Many methods in no order, each replaced once; names that are prefixes of each other. */
    for (int i = 0; i < 64; i++) {
        snprintf(method, sizeof method, "m%d", i * 37 % 64);
        assert_int_equal(shmrpc_server_register(world.server, method, echo, NULL), SHMRPC_OK);
    }
    char low[] = "low";
    char high[] = "high";
    for (int i = 0; i < 64; i++) {
        snprintf(method, sizeof method, "m%d", i);
        assert_int_equal(
            shmrpc_server_register(world.server, method, tell_user, i < 32 ? low : high),
            SHMRPC_OK);
    }
    /* The name was copied. */
    memset(method, 'x', sizeof method - 1);
    for (int i = 0; i < 64; i++) {
        snprintf(request, sizeof request,
                 "{\"request_id\":\"r\",\"method\":\"m%d\",\"params\":{}}", i);
        assert_non_null(strstr(world_exchange(&world, request), i < 32 ? "\"low\"" : "\"high\""));
    }
    assert_non_null(
        strstr(world_exchange(&world, "{\"request_id\":\"r\",\"method\":\"m\",\"params\":{}}"),
               "Unknown method: m\""));
    world_finish(&world);
}

static enum shmrpc_status register_more(struct shmrpc_call *call, void *user)
{
    struct world *world = user;
    char method[16];
    for (int i = 0; i < 40; i++) {
        snprintf(method, sizeof method, "a%d", i);
        if (shmrpc_server_register(world->server, method, echo, NULL) != SHMRPC_OK)
            return SHMRPC_SYSTEM;
    }
    /* The table has moved; the name that the call knows must not. */
    const char *name = shmrpc_call_method(call);
    return shmrpc_call_answer_string(call, name, strlen(name));
}

static void test_a_handler_may_register(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "grow", 0, 0);
    assert_int_equal(shmrpc_server_register(world.server, "more", register_more, &world),
                     SHMRPC_OK);
    assert_string_equal(
        world_exchange(&world, "{\"request_id\":\"r\",\"method\":\"more\",\"params\":{}}"),
        "{\"request_id\":\"r\",\"result\":\"more\",\"error\":null}");
    assert_non_null(
        strstr(world_exchange(&world, "{\"request_id\":\"r\",\"method\":\"a39\",\"params\":{}}"),
               "\"result\":{}"));
    world_finish(&world);
}

static void test_SRPC_ENV_011_unknown_methods(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "unknown", 0, 0);
    assert_int_equal(shmrpc_server_register(world.server, "a", echo, NULL), SHMRPC_OK);
    assert_string_equal(
        world_exchange(&world, "{\"request_id\":\"1\",\"method\":\"nope\",\"params\":{}}"),
        "{\"request_id\":\"1\",\"result\":null,\"error\":\"RPCError: Unknown method: nope\"}");
    /* Compared to the end: a NUL inside does not make it "a". */
    assert_string_equal(
        world_exchange(&world, "{\"request_id\":\"1\",\"method\":\"a\\u0000b\",\"params\":{}}"),
        "{\"request_id\":\"1\",\"result\":null,"
        "\"error\":\"RPCError: Unknown method: a\\u0000b\"}");
    assert_string_equal(
        world_exchange(&world, "{\"request_id\":\"1\",\"method\":\"\",\"params\":{}}"),
        "{\"request_id\":\"1\",\"result\":null,\"error\":\"RPCError: Unknown method: \"}");
    world_finish(&world);
}

static void test_SRPC_ENV_013_SRPC_ENV_015_unusable_requests_are_answered_with_their_raw_id(
    void **state)
{
    (void)state;
    /* The request, the id as it must come back, and a piece of the reason. */
    static const char *const cases[][3] = {
        {"{\"request_id\":7,\"method\":\"echo\",\"params\":{}}", "7", "request_id"},
        {"{\"request_id\":null,\"method\":\"echo\",\"params\":{}}", "null", "request_id"},
        {"{\"request_id\":{\"x\": 1},\"method\":\"echo\",\"params\":{}}", "{\"x\": 1}",
         "request_id"},
        {"{\"request_id\":-1.50e+3,\"method\":\"echo\",\"params\":{}}", "-1.50e+3", "request_id"},
        {"{\"request_id\":\"a\\u0062\",\"params\":{}}", "\"a\\u0062\"", "method"},
        {"{\"request_id\":\"i\",\"method\":7,\"params\":{}}", "\"i\"", "method"},
        {"{\"request_id\":\"i\",\"method\":null,\"params\":{}}", "\"i\"", "method"},
        {"{\"request_id\":\"i\",\"method\":\"echo\"}", "\"i\"", "params"},
        {"{\"request_id\":\"i\",\"method\":\"echo\",\"params\":null}", "\"i\"", "params"},
        {"{\"request_id\":\"i\",\"method\":\"echo\",\"params\":[]}", "\"i\"", "params"},
        {"{\"request_id\":\"i\",\"method\":\"echo\",\"params\":\"{}\"}", "\"i\"", "params"},
        {"{\"request_id\":\"i\",\"method\":\"echo\",\"params\":{},\"params\":1}", "\"i\"", "params"},
    };
    struct world world;
    world_start(&world, "unusable", 0, 0);
    assert_int_equal(shmrpc_server_register(world.server, "echo", echo, &world.executed),
                     SHMRPC_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char head[200];
        const char *reply = world_exchange(&world, cases[i][0]);
        snprintf(head, sizeof head,
                 "{\"request_id\":%s,\"result\":null,\"error\":\"RPCError: Invalid request: ",
                 cases[i][1]);
        assert_non_null(reply);
        assert_memory_equal(reply, head, strlen(head));
        assert_non_null(strstr(reply + strlen(head), cases[i][2]));
    }
    assert_int_equal(world.executed, 0);
    world_assert_serves(&world);
    world_finish(&world);
}

static void test_SRPC_ENV_014_SRPC_ERR_003_SRPC_FRAME_005_messages_without_an_id_are_dropped(
    void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", " ", "x", "null", "[]", "\"request_id\"", "{}", "{\"method\":\"echo\",\"params\":{}}",
        "{\"request_id\":\"i\",\"method\":\"echo\",\"params\":{}} x",
        "{\"request_id\":\"i\",\"method\":\"echo\",\"params\":{}",
        "{\"request_id\":\"i\",\"method\":\"echo\",\"params\":{\"a\":01}}",
        "\xef\xbb\xbf{\"request_id\":\"i\",\"method\":\"echo\",\"params\":{}}",
        "{\"request_id\":\"\xff\",\"method\":\"echo\",\"params\":{}}",
        "{\"request_id\":\"i\",\"method\":\"echo\",\"params\":{\"\\ud800\":1}}",
    };
    struct world world;
    world_start(&world, "no-id", 0, 0);
    assert_int_equal(shmrpc_server_register(world.server, "echo", echo, &world.executed),
                     SHMRPC_OK);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        world.log[0] = '\0';
        assert_null(world_exchange(&world, texts[i]));
        assert_raw_values(&world.raw, 1, 0, 1, 0);
        assert_int_equal(raw_length(&world.raw, RAW_REQ), 0);
        assert_non_null(strstr(world.log, "dropped a message"));
        world_assert_serves(&world);
    }
    assert_int_equal(world.executed, 0);
    world_finish(&world);
}

static void test_SRPC_RECOVER_001_SRPC_FRAME_004_impossible_lengths_are_dropped(void **state)
{
    (void)state;
    static const uint32_t words[] = {253, 256, 0x80000000u, 0xFFFFFFFFu};
    struct world world;
    world_start(&world, "length", 256, 0);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        ino_t inode = raw_inode(world.name, RAW_REQ);
        world.log[0] = '\0';
        assert_true(raw_take(&world.raw, RAW_REQ_EMPTY, 0));
        raw_set_length(&world.raw, RAW_REQ, words[i]);
        raw_post(&world.raw, RAW_REQ_FULL);
        assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_OK);
        assert_raw_values(&world.raw, 1, 0, 1, 0);
        assert_int_equal(raw_length(&world.raw, RAW_REQ), 0);
        assert_non_null(strstr(world.log, "impossible length"));
        assert_true(raw_inode(world.name, RAW_REQ) == inode);
        world_assert_serves(&world);
    }
    world_finish(&world);
}

static void test_SRPC_FRAME_008_a_stray_post_runs_no_stale_bytes(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "stray", 0, 0);
    assert_int_equal(shmrpc_server_register(world.server, "echo", echo, &world.executed),
                     SHMRPC_OK);
    assert_non_null(world_exchange(&world, "{\"request_id\":\"i\",\"method\":\"echo\",\"params\":{}}"));
    /* With req_empty taken, so that the state stays one that one token can have. */
    assert_true(raw_take(&world.raw, RAW_REQ_EMPTY, 0));
    raw_post(&world.raw, RAW_REQ_FULL);
    assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_OK);
    assert_int_equal(world.executed, 1);
    assert_raw_values(&world.raw, 1, 0, 1, 0);
    world_finish(&world);
}

/* ---- Results that cannot be sent ------------------------------------------------------------ */

struct attempt {
    int kind;
    enum shmrpc_status status;
};

enum { NAN_RESULT, BAD_UTF8, BAD_JSON, TWO_VALUES, NO_VALUE, OPEN_ARRAY, DEEP, SILENT, FAILING };

static enum shmrpc_status unserialisable(struct shmrpc_call *call, void *user)
{
    struct attempt *attempt = user;
    struct shmrpc_writer *writer = NULL;
    switch (attempt->kind) {
    case NAN_RESULT:
        attempt->status = shmrpc_call_answer_double(call, __builtin_nan(""));
        return attempt->status;
    case BAD_UTF8:
        attempt->status = shmrpc_call_answer_string(call, "\xc3(", 2);
        return attempt->status;
    case BAD_JSON:
        attempt->status = shmrpc_call_answer_json(call, "[1,]", 4);
        return attempt->status;
    case SILENT:
        return SHMRPC_OK;
    case FAILING:
        return SHMRPC_SYSTEM;
    default:
        break;
    }
    if (shmrpc_call_answer_begin(call, &writer) != SHMRPC_OK)
        return SHMRPC_INVALID;
    if (attempt->kind == TWO_VALUES) {
        shmrpc_write_null(writer);
        shmrpc_write_null(writer);
    } else if (attempt->kind == OPEN_ARRAY) {
        shmrpc_write_array_begin(writer);
    } else if (attempt->kind == DEEP) {
        for (int i = 0; i < 1024; i++)
            shmrpc_write_array_begin(writer);
        for (int i = 0; i < 1024; i++)
            shmrpc_write_array_end(writer);
    }
    attempt->status = shmrpc_call_answer_end(call);
    return attempt->status;
}

static void test_SRPC_ENV_017_SRPC_ENV_012_SRPC_JSON_009_SRPC_JSON_015_unserialisable_results_are_told(
    void **state)
{
    (void)state;
    static const struct {
        int kind;
        enum shmrpc_status status;
        const char *text;
    } cases[] = {
        {NAN_RESULT, SHMRPC_SERIALIZATION, "RPCSerializationError: "},
        {BAD_UTF8, SHMRPC_SERIALIZATION, "RPCSerializationError: "},
        {BAD_JSON, SHMRPC_SERIALIZATION, "RPCSerializationError: "},
        {TWO_VALUES, SHMRPC_INVALID, "RPCSerializationError: "},
        {NO_VALUE, SHMRPC_INVALID, "RPCSerializationError: "},
        {OPEN_ARRAY, SHMRPC_INVALID, "RPCSerializationError: "},
        {DEEP, SHMRPC_INVALID, "RPCSerializationError: "},
        {SILENT, SHMRPC_OK, "RPCError: "},
        {FAILING, SHMRPC_OK, "RPCError: "},
    };
    struct world world;
    struct attempt attempt;
    world_start(&world, "unserialisable", 0, 0);
    assert_int_equal(shmrpc_server_register(world.server, "u", unserialisable, &attempt),
                     SHMRPC_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char head[100];
        attempt = (struct attempt){cases[i].kind, SHMRPC_OK};
        const char *reply =
            world_exchange(&world, "{\"request_id\":\"i\",\"method\":\"u\",\"params\":{}}");
        snprintf(head, sizeof head, "{\"request_id\":\"i\",\"result\":null,\"error\":\"%s",
                 cases[i].text);
        assert_non_null(reply);
        assert_memory_equal(reply, head, strlen(head));
        assert_int_equal(attempt.status, cases[i].status);
        assert_raw_values(&world.raw, 1, 0, 1, 0);
        world_assert_serves(&world);
    }
    world_finish(&world);
}

struct sized {
    size_t length;
    bool try_again;
    enum shmrpc_status status;
};

static enum shmrpc_status big(struct shmrpc_call *call, void *user)
{
    struct sized *sized = user;
    char *text = malloc(sized->length + 1);
    if (text == NULL)
        return SHMRPC_SYSTEM;
    memset(text, 'x', sized->length);
    sized->status = shmrpc_call_answer_string(call, text, sized->length);
    free(text);
    if (sized->status == SHMRPC_TOO_LARGE && sized->try_again)
        return shmrpc_call_answer_int64(call, 42);
    return sized->status;
}

static void test_SRPC_ENV_016_SRPC_FRAME_003_results_around_the_capacity(void **state)
{
    (void)state;
    struct world world;
    struct sized sized = {0};
    static const char request[] = "{\"request_id\":\"i\",\"method\":\"big\",\"params\":{}}";
    world_start(&world, "big", 256, 0);
    assert_int_equal(shmrpc_server_register(world.server, "big", big, &sized), SHMRPC_OK);
    size_t overhead = strlen("{\"request_id\":\"i\",\"result\":\"\",\"error\":null}");
    sized.length = 252 - overhead;
    assert_int_equal(strlen(world_exchange(&world, request)), 252);
    assert_int_equal(sized.status, SHMRPC_OK);
    sized.length++;
    const char *reply = world_exchange(&world, request);
    assert_int_equal(sized.status, SHMRPC_TOO_LARGE);
    assert_non_null(strstr(reply, "\"result\":null,\"error\":\"RPCError: Response too large: "));
    /* Nothing was half-written: the handler may still answer something else. */
    sized.try_again = true;
    assert_string_equal(world_exchange(&world, request),
                        "{\"request_id\":\"i\",\"result\":42,\"error\":null}");
    world_assert_serves(&world);
    world_finish(&world);
}

static enum shmrpc_status long_error(struct shmrpc_call *call, void *user)
{
    return shmrpc_call_fail(call, "ValueError", user);
}

static void test_SRPC_ENV_018_SRPC_ENV_009_error_texts_are_cut_at_a_character(void **state)
{
    (void)state;
    struct world world;
    char text[600];
    world_start(&world, "cut", 128, 0);
    assert_int_equal(shmrpc_server_register(world.server, "f", long_error, text), SHMRPC_OK);
    /* Each length of the ASCII prefix shifts the four-byte characters against the limit. */
    for (int shift = 0; shift < 5; shift++) {
        char *at = text;
        memset(at, 'a', (size_t)shift);
        at += shift;
        for (int i = 0; i < 60; i++, at += 4)
            memcpy(at, "\xf0\x9f\x98\x80", 4);
        *at = '\0';
        const char *reply =
            world_exchange(&world, "{\"request_id\":\"i\",\"method\":\"f\",\"params\":{}}");
        struct shmrpc_value value;
        assert_non_null(reply);
        assert_in_range(strlen(reply), 121, 124);
        assert_int_equal(shmrpc_json_read(reply, strlen(reply), &value, NULL), SHMRPC_OK);
        assert_non_null(strstr(reply, "\"error\":\"ValueError: "));
    }
    world_finish(&world);
}

static void test_SRPC_ENV_019_an_id_that_leaves_no_room(void **state)
{
    (void)state;
    struct world world;
    char request[200];
    char id[128];
    world_start(&world, "room", 128, 0);
    /* An id as long as a request can have leaves none for an answer to it. */
    memset(id, 'i', sizeof id);
    id[84] = '\0';
    snprintf(request, sizeof request, "{\"request_id\":\"%s\",\"method\":1}", id);
    assert_in_range(strlen(request), 100, 124);
    assert_null(world_exchange(&world, request));
    assert_raw_values(&world.raw, 1, 0, 1, 0);
    assert_non_null(strstr(world.log, "no room"));
    /* 124 bytes hold 42 of the envelope, an id of 81 and one character of text. */
    id[81] = '\0';
    snprintf(request, sizeof request, "{\"request_id\":\"%s\",\"method\":1}", id);
    const char *reply = world_exchange(&world, request);
    assert_non_null(reply);
    assert_non_null(strstr(reply, "\"result\":null,\"error\":\"R"));
    world_assert_serves(&world);
    world_finish(&world);
}

static void test_SRPC_LIMIT_002_smallest_and_a_large_buffer_serve(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "smallest", 128, 0);
    world_assert_serves(&world);
    world_finish(&world);
    world_start(&world, "mebibyte", 1 << 20, 0);
    assert_int_equal(shmrpc_server_register(world.server, "echo", echo, NULL), SHMRPC_OK);
    size_t capacity = (1 << 20) - 4;
    size_t head = strlen("{\"request_id\":\"i\",\"method\":\"echo\",\"params\":{\"a\":\"");
    char *request = malloc(capacity + 1);
    assert_non_null(request);
    memset(request, 'x', capacity);
    memcpy(request, "{\"request_id\":\"i\",\"method\":\"echo\",\"params\":{\"a\":\"", head);
    memcpy(request + capacity - 3, "\"}}", 4);
    const char *reply = world_exchange_bytes(&world, request, capacity);
    assert_non_null(reply);
    assert_memory_equal(reply, "{\"request_id\":\"i\",\"result\":{\"a\":\"xxx", 34);
    free(request);
    world_finish(&world);
}

/* ---- What peers leave and break ------------------------------------------------------------- */

static void test_SRPC_SEM_007_a_value_above_one_makes_the_channel_anew(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "above-one", 0, 0);
    for (int i = RAW_REQ_EMPTY; i < RAW_OBJECTS; i++) {
        ino_t before = raw_inode(world.name, RAW_REQ);
        world.log[0] = '\0';
        raw_set(&world.raw, (enum raw_object)i, 2);
        if (i != RAW_REQ_FULL) {
            static const char request[] =
                "{\"request_id\":\"s\",\"method\":\"__running__\",\"params\":{}}";
            raw_write(&world.raw, RAW_REQ, request, sizeof request - 1);
            raw_set(&world.raw, RAW_REQ_FULL, 1);
            if (i != RAW_REQ_EMPTY)
                raw_set(&world.raw, RAW_REQ_EMPTY, 0);
        }
        assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_OK);
        assert_non_null(strstr(world.log, "anew"));
        assert_int_equal(raw_count(world.name), RAW_OBJECTS);
        assert_true(raw_inode(world.name, RAW_REQ) != before);
        raw_close(&world.raw);
        raw_open(&world.raw, world.name);
        world_assert_serves(&world);
    }
    world_finish(&world);
}

/* Nobody need take or post the semaphore: an idle owner sees it, and so does one whose answer waits
 * for the slot that it keeps occupied. */
static void test_SRPC_SEM_007_a_value_above_one_is_seen_in_passing(void **state)
{
    (void)state;
    static const char request[] = "{\"request_id\":\"s\",\"method\":\"__running__\",\"params\":{}}";
    struct world world;
    world_start(&world, "in-passing", 0, 300);
    for (int i = RAW_REQ_EMPTY; i < RAW_OBJECTS; i++) {
        if (i == RAW_REQ_FULL)
            continue; /* that one the server takes */
        for (int busy = 0; busy <= (i == RAW_RESP_FULL); busy++) {
            world.log[0] = '\0';
            if (busy)
                raw_set_values(&world.raw, 1, 0, 0, 0);
            raw_set(&world.raw, (enum raw_object)i, 2);
            if (busy)
                assert_true(raw_send(&world.raw, RAW_REQ, request, sizeof request - 1, 0));
            raw_sleep_ms(10); /* it looks every five milliseconds */
            assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_OK);
            assert_non_null(strstr(world.log, "anew"));
            raw_close(&world.raw);
            raw_open(&world.raw, world.name);
            world_assert_serves(&world);
        }
    }
    world_finish(&world);
}

static void test_SRPC_LIFE_006_SRPC_LIFE_005_each_lost_name_is_noticed(void **state)
{
    (void)state;
    for (int i = 0; i < RAW_OBJECTS; i++) {
        struct world world;
        world_start(&world, "lost", 0, 0);
        raw_unlink(world.name, (enum raw_object)i);
        assert_int_equal(shmrpc_server_run(world.server), SHMRPC_NOT_FOUND);
        assert_non_null(strstr(shmrpc_server_error(world.server), world.name));
        /* Somebody else's file under the name is noticed too, and stays. */
        raw_make_file(world.name, (enum raw_object)i, 32, 0600);
        ino_t foreign = raw_inode(world.name, (enum raw_object)i);
        raw_sleep_ms(10);
        assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_NOT_FOUND);
        raw_close(&world.raw);
        shmrpc_server_close(&world.server);
        assert_int_equal(raw_count(world.name), 1);
        assert_true(raw_inode(world.name, (enum raw_object)i) == foreign);
        raw_unlink(world.name, (enum raw_object)i);
        assert_int_equal(count_descriptors(), world.descriptors);
    }
}

static void test_a_broken_channel_whose_name_was_taken_is_busy(void **state)
{
    (void)state;
    struct world world;
    struct shmrpc_server *other = NULL;
    world_start(&world, "taken", 0, 0);
    raw_remove(world.name);
    assert_int_equal(shmrpc_server_create(world.name, NULL, &other), SHMRPC_OK);
    /* The loser finds its semaphores broken before it finds its names gone. */
    raw_set(&world.raw, RAW_REQ_FULL, 2);
    assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_BUSY);
    assert_non_null(strstr(shmrpc_server_error(world.server), "living server"));
    assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_BUSY);
    raw_close(&world.raw);
    shmrpc_server_close(&world.server);
    assert_int_equal(raw_count(world.name), RAW_OBJECTS);
    shmrpc_server_close(&other);
    assert_int_equal(count_descriptors(), world.descriptors);
    assert_int_equal(raw_count(world.name), 0);
}

/* Serve idly until the channel is at rest. The raw peer must have let go of it: whoever holds an
 * object is a living client. */
static bool repaired(struct world *world, int step_ms)
{
    int64_t until = raw_now_ms() + RAW_PATIENCE_MS;
    do {
        if (raw_values_are(world->name, 1, 0, 1, 0))
            return true;
        assert_int_equal(shmrpc_server_step(world->server, step_ms), SHMRPC_TIMEOUT);
        raw_sleep_ms(step_ms == 0 ? 5 : 0);
    } while (raw_now_ms() < until);
    return false;
}

static void test_SRPC_RECOVER_007_SRPC_RECOVER_008_SRPC_RECOVER_010_SRPC_RECOVER_011_SRPC_RECOVER_012_what_dead_clients_leave_is_repaired(
    void **state)
{
    (void)state;
    static const unsigned left[][4] = {
        {0, 0, 1, 0}, /* died while it wrote its request */
        {1, 0, 0, 1}, /* died before it collected */
        {1, 0, 0, 0}, /* died while it read the response */
        {0, 0, 0, 1},
        {0, 0, 0, 0},
    };
    struct world world;
    world_start(&world, "repair", 0, 0);
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        /* Who polls, and who waits. */
        for (int step_ms = 0; step_ms <= 50; step_ms += 50) {
            world.log[0] = '\0';
            raw_write(&world.raw, RAW_REQ, "stale", 5);
            raw_write(&world.raw, RAW_RESP, "stale", 5);
            raw_set_values(&world.raw, left[i][0], left[i][1], left[i][2], left[i][3]);
            raw_close(&world.raw);
            assert_true(repaired(&world, step_ms));
            raw_open(&world.raw, world.name);
            assert_non_null(strstr(world.log, "dead client"));
            /* What was left cannot run or be read any more. */
            if (left[i][0] == 0)
                assert_int_equal(raw_length(&world.raw, RAW_REQ), 0);
            if (left[i][2] == 0)
                assert_int_equal(raw_length(&world.raw, RAW_RESP), 0);
            world_assert_serves(&world);
        }
    }
    world_finish(&world);
}

struct holder {
    const char *name;
    enum { HOLDS_MAP, HOLDS_DESCRIPTOR, HOLDS_LOCK } kind;
    _Atomic int ready;
};

/* Stands for a client that lives and is slow. */
static void hold(void *context)
{
    struct holder *holder = context;
    char path[300];
    raw_path(holder->name, RAW_RESP, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHILD_CHECK(fd >= 0);
    if (holder->kind == HOLDS_MAP) {
        CHILD_CHECK(mmap(NULL, 64, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
        close(fd);
    } else if (holder->kind == HOLDS_LOCK) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        CHILD_CHECK(fcntl(fd, F_OFD_SETLK, &lock) == 0);
    }
    atomic_store(&holder->ready, 1);
    for (;;)
        pause();
}

static void test_SRPC_RECOVER_006_SRPC_RECOVER_007_a_living_client_is_never_repaired_away(
    void **state)
{
    (void)state;
    for (int kind = HOLDS_MAP; kind <= HOLDS_LOCK; kind++) {
        struct world world;
        world_start(&world, "living", 0, 0);
        raw_set_values(&world.raw, 0, 0, 0, 1);
        raw_close(&world.raw);
        struct holder *holder = raw_share(sizeof *holder);
        holder->name = world.name;
        holder->kind = kind;
        pid_t pid = child_start(hold, holder);
        assert_true(raw_await(&holder->ready));
        int64_t until = raw_now_ms() + 500;
        while (raw_now_ms() < until) {
            assert_int_equal(shmrpc_server_step(world.server, 100), SHMRPC_TIMEOUT);
            assert_true(raw_values_are(world.name, 0, 0, 0, 1));
        }
        assert_int_equal(world.log[0], '\0');
        child_kill(pid);
        assert_true(repaired(&world, 50));
        raw_unshare(holder, sizeof *holder);
        world_finish(&world);
    }
}

static void test_SRPC_RECOVER_009_a_response_nobody_collects_is_dropped(void **state)
{
    (void)state;
    static const char request[] = "{\"request_id\":\"2\",\"method\":\"echo\",\"params\":{}}";
    struct world world;
    world_start(&world, "occupied", 0, 300);
    assert_int_equal(shmrpc_server_register(world.server, "echo", echo, &world.executed),
                     SHMRPC_OK);
    /* The raw peer lives and does not collect. */
    raw_write(&world.raw, RAW_RESP, "first", 5);
    raw_set_values(&world.raw, 1, 0, 0, 1);
    assert_true(raw_send(&world.raw, RAW_REQ, request, sizeof request - 1, 0));
    assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_OK);
    assert_int_equal(world.executed, 1);
    assert_non_null(strstr(world.log, "dropped a response"));
    /* The first one stands as it was, and once it is collected the server serves. */
    assert_raw_values(&world.raw, 1, 0, 0, 1);
    assert_string_equal(raw_receive(&world.raw, RAW_RESP, 0), "first");
    world_assert_serves(&world);
    world_finish(&world);
}

static enum shmrpc_status stop_and_answer(struct shmrpc_call *call, void *server)
{
    shmrpc_server_stop(server);
    return shmrpc_call_answer_null(call);
}

static void test_SRPC_SIGNAL_001_SRPC_SIGNAL_002_a_stop_outwaits_no_client(void **state)
{
    (void)state;
    static const char request[] = "{\"request_id\":\"2\",\"method\":\"stop\",\"params\":{}}";
    struct world world;
    /* The slot is occupied and its client lives; without the stop the wait would have no end. */
    world_start(&world, "stopping", 0, SHMRPC_FOREVER);
    assert_int_equal(shmrpc_server_register(world.server, "stop", stop_and_answer, world.server),
                     SHMRPC_OK);
    raw_set_values(&world.raw, 1, 0, 0, 1);
    assert_true(raw_send(&world.raw, RAW_REQ, request, sizeof request - 1, 0));
    assert_int_equal(shmrpc_server_run(world.server), SHMRPC_OK);
    assert_non_null(strstr(world.log, "dropped a response"));
    assert_raw_values(&world.raw, 1, 0, 0, 1);
    world_finish(&world);
}

static void test_SRPC_RECOVER_010_a_waiting_response_makes_its_slot_free(void **state)
{
    (void)state;
    static const char request[] = "{\"request_id\":\"2\",\"method\":\"echo\",\"params\":{}}";
    struct world world;
    /* Nobody holds the channel: while the server waits for the slot it finds the client dead. */
    world_start(&world, "waiting", 0, RAW_PATIENCE_MS);
    assert_int_equal(shmrpc_server_register(world.server, "echo", echo, NULL), SHMRPC_OK);
    raw_set_values(&world.raw, 1, 0, 0, 1);
    assert_true(raw_send(&world.raw, RAW_REQ, request, sizeof request - 1, 0));
    raw_close(&world.raw);
    assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_OK);
    raw_open(&world.raw, world.name);
    assert_string_equal(raw_receive(&world.raw, RAW_RESP, 0),
                        "{\"request_id\":\"2\",\"result\":{},\"error\":null}");
    world_finish(&world);
}

/* ---- Stopping, stepping, misuse ------------------------------------------------------------- */

static struct shmrpc_server *stopped_by_signal;

static void stop_on_alarm(int number)
{
    (void)number;
    shmrpc_server_stop(stopped_by_signal);
}

static void test_SRPC_SIGNAL_001_SRPC_SIGNAL_004_a_signal_handler_may_stop_it(void **state)
{
    (void)state;
    struct world world;
    struct sigaction action = {.sa_handler = stop_on_alarm};
    struct sigaction before[NSIG];
    for (int i = 1; i < NSIG; i++)
        sigaction(i, NULL, &before[i]);
    world_start(&world, "signal", 0, 0);
    for (int i = 1; i < NSIG; i++) {
        struct sigaction now;
        if (sigaction(i, NULL, &now) == 0)
            assert_true(now.sa_handler == before[i].sa_handler);
    }
    stopped_by_signal = world.server;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec soon = {.it_value = {.tv_nsec = 30000000}};
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
    assert_int_equal(shmrpc_server_run(world.server), SHMRPC_OK);
    /* Stopped for good. */
    assert_int_equal(shmrpc_server_run(world.server), SHMRPC_OK);
    assert_int_equal(shmrpc_server_step(world.server, SHMRPC_FOREVER), SHMRPC_OK);
    timer_delete(timer);
    assert_int_equal(sigaction(SIGUSR1, &before[SIGUSR1], NULL), 0);
    world_finish(&world);
}

static enum shmrpc_status stop_inside(struct shmrpc_call *call, void *user)
{
    struct world *world = user;
    shmrpc_server_stop(world->server);
    /* Neither may serve while it is served. */
    if (shmrpc_server_step(world->server, 0) != SHMRPC_INVALID ||
        shmrpc_server_run(world->server) != SHMRPC_INVALID)
        return SHMRPC_PROTOCOL;
    return shmrpc_call_answer_null(call);
}

static void test_SRPC_SIGNAL_002_the_call_in_hand_is_answered(void **state)
{
    (void)state;
    static const char request[] = "{\"request_id\":\"i\",\"method\":\"stop\",\"params\":{}}";
    struct world world;
    world_start(&world, "stop", 0, 0);
    assert_int_equal(shmrpc_server_register(world.server, "stop", stop_inside, &world), SHMRPC_OK);
    assert_true(raw_send(&world.raw, RAW_REQ, request, sizeof request - 1, 0));
    assert_int_equal(shmrpc_server_run(world.server), SHMRPC_OK);
    assert_string_equal(raw_receive(&world.raw, RAW_RESP, 0),
                        "{\"request_id\":\"i\",\"result\":null,\"error\":null}");
    world_finish(&world);
}

static void test_SRPC_TIME_002_SRPC_TIME_005_steps_end_at_their_time(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "step", 0, 0);
    int64_t before = raw_now_ms();
    assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_TIMEOUT);
    assert_int_equal(shmrpc_server_step(world.server, 30), SHMRPC_TIMEOUT);
    assert_true(raw_now_ms() - before >= 30);
    assert_int_equal(shmrpc_server_step(world.server, -2), SHMRPC_INVALID);
    assert_int_equal(shmrpc_server_step(world.server, INT_MIN), SHMRPC_INVALID);
    assert_string_equal(shmrpc_server_error(world.server), "timeout_ms is negative");
    /* One message a step. */
    assert_true(raw_send(&world.raw, RAW_REQ, "{}", 2, 0));
    assert_int_equal(shmrpc_server_step(world.server, INT_MAX), SHMRPC_OK);
    assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_TIMEOUT);
    /* Its text is of this failure and not of the one before. */
    assert_string_equal(shmrpc_server_error(world.server), "no message came in time");
    assert_true(raw_send(&world.raw, RAW_REQ, "{}", 2, 0));
    assert_int_equal(shmrpc_server_step(world.server, SHMRPC_FOREVER), SHMRPC_OK);
    world_finish(&world);
}

static void test_SRPC_WAIT_001_every_policy_serves(void **state)
{
    (void)state;
    for (int wait = SHMRPC_WAIT_ADAPTIVE; wait <= SHMRPC_WAIT_BLOCK; wait++) {
        struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
        struct world world = {.name = raw_name("policy"), .descriptors = count_descriptors()};
        options.wait = (enum shmrpc_wait)wait;
        assert_int_equal(shmrpc_server_create(world.name, &options, &world.server), SHMRPC_OK);
        raw_open(&world.raw, world.name);
        world_assert_serves(&world);
        assert_int_equal(shmrpc_server_step(world.server, 20), SHMRPC_TIMEOUT);
        world_finish(&world);
    }
}

static void in_forked_child(void *context)
{
    struct world *world = context;
    CHILD_CHECK(shmrpc_server_step(world->server, 0) == SHMRPC_INVALID);
    CHILD_CHECK(shmrpc_server_run(world->server) == SHMRPC_INVALID);
    CHILD_CHECK(strlen(shmrpc_server_error(world->server)) > 0);
    shmrpc_server_close(&world->server);
    CHILD_CHECK(world->server == NULL);
}

static void test_SRPC_FORK_001_SRPC_FORK_004_a_child_has_no_server(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "fork", 0, 0);
    child_run(in_forked_child, &world);
    assert_int_equal(raw_count(world.name), RAW_OBJECTS);
    world_assert_serves(&world);
    world_finish(&world);
}

static enum shmrpc_status fork_inside(struct shmrpc_call *call, void *user)
{
    struct world *world = user;
    struct shmrpc_writer *writer;
    if (shmrpc_call_answer_begin(call, &writer) != SHMRPC_OK)
        return SHMRPC_SYSTEM;
    shmrpc_write_int64(writer, 1);
    pid_t pid = fork();
    if (pid == 0) {
        /* The child's copy of the call is dead like its server. */
        bool dead = shmrpc_call_answer_end(call) == SHMRPC_INVALID &&
                    shmrpc_call_answer_null(call) == SHMRPC_INVALID &&
                    shmrpc_call_fail(call, "E", "m") == SHMRPC_INVALID &&
                    shmrpc_server_step(world->server, 0) == SHMRPC_INVALID;
        _exit(dead ? 0 : 1);
    }
    if (pid < 0 || child_wait(pid) != 0)
        return SHMRPC_SYSTEM;
    return shmrpc_call_answer_end(call);
}

static void test_SRPC_FORK_001_SRPC_FORK_003_a_handler_may_fork(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "fork-inside", 0, 0);
    assert_int_equal(shmrpc_server_register(world.server, "fork", fork_inside, &world), SHMRPC_OK);
    assert_string_equal(
        world_exchange(&world, "{\"request_id\":\"i\",\"method\":\"fork\",\"params\":{}}"),
        "{\"request_id\":\"i\",\"result\":1,\"error\":null}");
    world_assert_serves(&world);
    world_finish(&world);
}

/* The child goes on behind the handler, and the peer has broken the channel meanwhile. */
static pid_t forked;

static enum shmrpc_status fork_and_come_back(struct shmrpc_call *call, void *user)
{
    struct world *world = user;
    raw_set(&world->raw, RAW_RESP_FULL, 1);
    enum shmrpc_status status = shmrpc_call_answer_null(call);
    forked = fork();
    return status;
}

static void test_SRPC_FORK_004_SRPC_ERR_003_a_child_makes_no_channel_anew(void **state)
{
    (void)state;
    static const char request[] = "{\"request_id\":\"i\",\"method\":\"fork\",\"params\":{}}";
    struct world world;
    world_start(&world, "come-back", 0, 0);
    assert_int_equal(
        shmrpc_server_register(world.server, "fork", fork_and_come_back, &world), SHMRPC_OK);
    assert_true(raw_send(&world.raw, RAW_REQ, request, sizeof request - 1, 0));
    enum shmrpc_status status = shmrpc_server_step(world.server, 0);
    if (forked == 0)
        _exit(status == SHMRPC_OK && shmrpc_server_step(world.server, 0) == SHMRPC_INVALID ? 0 : 1);
    assert_true(forked > 0);
    assert_int_equal(child_wait(forked), 0);
    assert_int_equal(status, SHMRPC_OK);
    assert_non_null(strstr(world.log, "anew"));
    raw_close(&world.raw);
    raw_open(&world.raw, world.name);
    world_assert_serves(&world);
    world_finish(&world);
}

static struct shmrpc_server *closed_inside;

static enum shmrpc_status close_inside(struct shmrpc_call *call, void *user)
{
    (void)user;
    struct shmrpc_server *server = closed_inside;
    expect_check_failure(shmrpc_server_close(&server));
    return shmrpc_call_answer_null(call);
}

static void test_broken_contracts_fire(void **state)
{
    (void)state;
    struct world world;
    struct shmrpc_server *none = NULL;
    struct shmrpc_server *garbage = calloc(1, 8192);
    assert_non_null(garbage);
    shmrpc_server_close(&none);
    expect_check_failure(shmrpc_server_close(NULL));
    expect_check_failure(support_ignore(shmrpc_server_create(NULL, NULL, &none)));
    expect_check_failure(support_ignore(shmrpc_server_create("x", NULL, NULL)));
    expect_check_failure(support_ignore(shmrpc_server_run(NULL)));
    expect_check_failure(support_ignore(shmrpc_server_step(garbage, 0)));
    expect_check_failure(support_ignore(shmrpc_server_register(garbage, "m", echo, NULL)));
    expect_check_failure(shmrpc_server_stop(garbage));
    expect_check_failure(support_ignore(shmrpc_server_error(NULL)));
    expect_check_failure(support_ignore(shmrpc_server_buffer_bytes(garbage)));
    expect_check_failure(shmrpc_server_close(&garbage));
    world_start(&world, "contract", 0, 0);
    expect_check_failure(support_ignore(shmrpc_server_register(world.server, NULL, echo, NULL)));
    expect_check_failure(support_ignore(shmrpc_server_register(world.server, "m", NULL, NULL)));
    closed_inside = world.server;
    assert_int_equal(shmrpc_server_register(world.server, "close", close_inside, NULL), SHMRPC_OK);
    assert_non_null(world_exchange(&world, "{\"request_id\":\"i\",\"method\":\"close\",\"params\":{}}"));
    world_finish(&world);
    free(garbage);
}

static enum shmrpc_status give_up(struct shmrpc_call *call, void *user)
{
    (void)call;
    (void)user;
    return SHMRPC_SYSTEM;
}

static enum shmrpc_status give_up_with_reason(struct shmrpc_call *call, void *user)
{
    bool flag;
    (void)user;
    support_ignore(shmrpc_call_bool(call, "flag", &flag));
    return SHMRPC_SYSTEM;
}

/* A handler that only returns a status is told of by its text, unless the call knows more. */
static void test_SRPC_ENV_012_a_status_becomes_the_error_text(void **state)
{
    (void)state;
    struct world world;
    char expected[256];
    world_start(&world, "status", 0, 1);
    assert_int_equal(shmrpc_server_register(world.server, "m", give_up, NULL), SHMRPC_OK);
    snprintf(expected, sizeof expected,
             "{\"request_id\":\"i\",\"result\":null,\"error\":\"RPCError: %s\"}",
             shmrpc_status_text(SHMRPC_SYSTEM));
    assert_string_equal(world_call(&world, "m", "{}"), expected);
    assert_int_equal(shmrpc_server_register(world.server, "m", give_up_with_reason, NULL),
                     SHMRPC_OK);
    assert_non_null(strstr(world_call(&world, "m", "{}"), "\"error\":\"TypeError: "));
    world_finish(&world);
}

/* Names of which one begins another keep apart, in whatever order they came. */
static void test_SRPC_ENV_011_a_name_that_begins_another(void **state)
{
    (void)state;
    static const char *const names[] = {"abc", "a", "ab", "abcd", "b"};
    struct world world;
    world_start(&world, "begins", 0, 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(shmrpc_server_register(world.server, names[i],
                                                i % 2 == 0 ? give_up : give_up_with_reason, NULL),
                         SHMRPC_OK);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_non_null(strstr(world_call(&world, names[i], "{}"),
                               i % 2 == 0 ? "\"RPCError: A system" : "\"TypeError: "));
    assert_non_null(strstr(world_call(&world, "abcde", "{}"), "Unknown method: abcde"));
    world_finish(&world);
}

/* What was suspected of a channel is not held against the one that replaces it. */
static void test_SRPC_RECOVER_012_a_channel_made_anew_is_above_suspicion(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, "above-suspicion", 0, 0);
    raw_set_values(&world.raw, 0, 0, 1, 0);
    assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_TIMEOUT);
    raw_set(&world.raw, RAW_REQ_FULL, 2);
    assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_OK);
    assert_non_null(strstr(world.log, "anew"));
    raw_close(&world.raw);
    raw_open(&world.raw, world.name);
    raw_set_values(&world.raw, 0, 0, 1, 0);
    raw_close(&world.raw);
    /* The first look at it can only begin to suspect. */
    raw_sleep_ms(10);
    assert_int_equal(shmrpc_server_step(world.server, 0), SHMRPC_TIMEOUT);
    assert_true(raw_values_are(world.name, 0, 0, 1, 0));
    raw_open(&world.raw, world.name);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_SRPC_LIFE_001_SRPC_OBJ_001_SRPC_OBJ_004_SRPC_SEG_001_SRPC_SEM_001_SRPC_SEM_002_SRPC_LIMIT_001_publishes_six_objects),
        cmocka_unit_test(test_SRPC_SEM_004_semaphores_are_what_sem_init_makes),
        cmocka_unit_test(
            test_SRPC_LIMIT_002_SRPC_LIMIT_003_SRPC_TIME_005_options_out_of_range_are_invalid),
        cmocka_unit_test(test_SRPC_NAME_002_SRPC_NAME_003_bad_names_are_invalid),
        cmocka_unit_test(test_SRPC_NAME_004_SRPC_NAME_005_names_share_nothing_and_may_be_any_bytes),
        cmocka_unit_test(
            test_SRPC_OWN_008_SRPC_OBJ_002_a_second_server_is_busy_and_changes_nothing),
        cmocka_unit_test(
            test_SRPC_HAND_001_SRPC_HAND_002_SRPC_HAND_003_SRPC_HAND_005_SRPC_FRAME_001_SRPC_FRAME_008_one_exchange_step_by_step),
        cmocka_unit_test(
            test_SRPC_ENV_001_SRPC_ENV_002_SRPC_ENV_003_SRPC_ENV_004_SRPC_ENV_005_requests_in_any_dress),
        cmocka_unit_test(test_SRPC_ENV_010_running_is_built_in),
        cmocka_unit_test(test_register_replaces_sorts_and_refuses),
        cmocka_unit_test(test_a_handler_may_register),
        cmocka_unit_test(test_SRPC_ENV_011_unknown_methods),
        cmocka_unit_test(
            test_SRPC_ENV_013_SRPC_ENV_015_unusable_requests_are_answered_with_their_raw_id),
        cmocka_unit_test(
            test_SRPC_ENV_014_SRPC_ERR_003_SRPC_FRAME_005_messages_without_an_id_are_dropped),
        cmocka_unit_test(test_SRPC_RECOVER_001_SRPC_FRAME_004_impossible_lengths_are_dropped),
        cmocka_unit_test(test_SRPC_FRAME_008_a_stray_post_runs_no_stale_bytes),
        cmocka_unit_test(
            test_SRPC_ENV_017_SRPC_ENV_012_SRPC_JSON_009_SRPC_JSON_015_unserialisable_results_are_told),
        cmocka_unit_test(test_SRPC_ENV_016_SRPC_FRAME_003_results_around_the_capacity),
        cmocka_unit_test(test_SRPC_ENV_018_SRPC_ENV_009_error_texts_are_cut_at_a_character),
        cmocka_unit_test(test_SRPC_ENV_019_an_id_that_leaves_no_room),
        cmocka_unit_test(test_SRPC_LIMIT_002_smallest_and_a_large_buffer_serve),
        cmocka_unit_test(test_SRPC_SEM_007_a_value_above_one_makes_the_channel_anew),
        cmocka_unit_test(test_SRPC_SEM_007_a_value_above_one_is_seen_in_passing),
        cmocka_unit_test(test_SRPC_LIFE_006_SRPC_LIFE_005_each_lost_name_is_noticed),
        cmocka_unit_test(test_a_broken_channel_whose_name_was_taken_is_busy),
        cmocka_unit_test(
            test_SRPC_RECOVER_007_SRPC_RECOVER_008_SRPC_RECOVER_010_SRPC_RECOVER_011_SRPC_RECOVER_012_what_dead_clients_leave_is_repaired),
        cmocka_unit_test(
            test_SRPC_RECOVER_006_SRPC_RECOVER_007_a_living_client_is_never_repaired_away),
        cmocka_unit_test(test_SRPC_RECOVER_009_a_response_nobody_collects_is_dropped),
        cmocka_unit_test(test_SRPC_SIGNAL_001_SRPC_SIGNAL_002_a_stop_outwaits_no_client),
        cmocka_unit_test(test_SRPC_RECOVER_010_a_waiting_response_makes_its_slot_free),
        cmocka_unit_test(test_SRPC_SIGNAL_001_SRPC_SIGNAL_004_a_signal_handler_may_stop_it),
        cmocka_unit_test(test_SRPC_SIGNAL_002_the_call_in_hand_is_answered),
        cmocka_unit_test(test_SRPC_TIME_002_SRPC_TIME_005_steps_end_at_their_time),
        cmocka_unit_test(test_SRPC_WAIT_001_every_policy_serves),
        cmocka_unit_test(test_SRPC_FORK_001_SRPC_FORK_004_a_child_has_no_server),
        cmocka_unit_test(test_SRPC_FORK_001_SRPC_FORK_003_a_handler_may_fork),
        cmocka_unit_test(test_SRPC_FORK_004_SRPC_ERR_003_a_child_makes_no_channel_anew),
        cmocka_unit_test(test_broken_contracts_fire),
        cmocka_unit_test(test_SRPC_ENV_012_a_status_becomes_the_error_text),
        cmocka_unit_test(test_SRPC_ENV_011_a_name_that_begins_another),
        cmocka_unit_test(test_SRPC_RECOVER_012_a_channel_made_anew_is_above_suspicion),
    };
    support_limit_seconds(120);
    return cmocka_run_group_tests_name("server", tests, NULL, raw_sweep);
}

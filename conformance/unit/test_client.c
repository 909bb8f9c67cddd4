/* SPDX-License-Identifier: MIT
 *
 * The client: attaching, calling, and what it reports when the other side is slow, dead, foreign or
 * wrong. Its server is the library's in a thread, or a script of the raw peer in a thread, which can
 * leave a call in any state; a server that has to die is a process that is killed.
 *
 * Not fired, because no caller can bring them about: the ENSUREs, and the REQUIREs by which static
 * functions hold each other to their order (from size_buffers() to conclude() and await_response()).
 */
#include "raw.h"

#include "../../src/wait.h"
#include "shmrpc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Both kinds of server ------------------------------------------------------------------- */

struct scene {
    const char *name;
    struct shmrpc_server *server;
    struct shmrpc_client *client;
    struct raw raw;
    pthread_t thread;
    bool running;
    size_t descriptors;
    enum shmrpc_status served;
    char request[1 << 16];   /* a script's: what the client sent last */
    char id[64];             /* its id, with quotes */
    const char *const *lines; /* a script's: what to respond with, %s stands for the id */
    uint32_t length_word;    /* a script's: of its response; or what it saw */
    pid_t victim;
};

static enum shmrpc_status echo(struct shmrpc_call *call, void *user)
{
    struct shmrpc_value params;
    (void)user;
    shmrpc_call_params(call, &params);
    return shmrpc_call_answer_json(call, params.text, params.length);
}

static enum shmrpc_status echo_string(struct shmrpc_call *call, void *user)
{
    const char *data;
    size_t length;
    (void)user;
    enum shmrpc_status status = shmrpc_call_string(call, "s", &data, &length);
    return status == SHMRPC_OK ? shmrpc_call_answer_string(call, data, length) : status;
}

static enum shmrpc_status always_fail(struct shmrpc_call *call, void *user)
{
    (void)user;
    return shmrpc_call_fail(call, "ValueError", "no \xc3\xa9");
}

static enum shmrpc_status slow(struct shmrpc_call *call, void *user)
{
    (void)user;
    raw_sleep_ms(300);
    return shmrpc_call_answer_int64(call, 300);
}

static void *serve(void *context)
{
    struct scene *scene = context;
    scene->served = shmrpc_server_run(scene->server);
    return NULL;
}

static void open_client(struct scene *scene, int timeout_ms)
{
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    options.timeout_ms = timeout_ms;
    assert_int_equal(shmrpc_client_open(scene->name, &options, &scene->client), SHMRPC_OK);
}

/* A published channel that nobody serves yet, with a client and a raw peer on it. */
static struct scene *set(const char *what, size_t buffer_bytes, int timeout_ms)
{
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    options.buffer_bytes = buffer_bytes;
    scene->descriptors = count_descriptors();
    scene->name = raw_name(what);
    assert_int_equal(shmrpc_server_create(scene->name, &options, &scene->server), SHMRPC_OK);
    raw_open(&scene->raw, scene->name);
    open_client(scene, timeout_ms);
    return scene;
}

static void run(struct scene *scene, void *(*body)(void *))
{
    assert_false(scene->running);
    assert_int_equal(pthread_create(&scene->thread, NULL, body, scene), 0);
    scene->running = true;
}

static void join(struct scene *scene)
{
    if (scene->running)
        assert_int_equal(pthread_join(scene->thread, NULL), 0);
    scene->running = false;
}

static struct scene *set_and_serve(const char *what, size_t buffer_bytes)
{
    struct scene *scene = set(what, buffer_bytes, RAW_PATIENCE_MS);
    assert_int_equal(shmrpc_server_register(scene->server, "echo", echo, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_server_register(scene->server, "string", echo_string, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_server_register(scene->server, "fail", always_fail, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_server_register(scene->server, "slow", slow, NULL), SHMRPC_OK);
    run(scene, serve);
    return scene;
}

static void strike(struct scene *scene)
{
    if (scene->server != NULL)
        shmrpc_server_stop(scene->server);
    join(scene);
    assert_int_equal(scene->served, SHMRPC_OK);
    shmrpc_client_close(&scene->client);
    assert_null(scene->client);
    raw_close(&scene->raw);
    shmrpc_server_close(&scene->server);
    assert_int_equal(raw_count(scene->name), 0);
    assert_int_equal(count_descriptors(), scene->descriptors);
    free(scene);
}

/* A script takes the request and remembers its id. cmocka's assertions belong to the main thread, so
 * a script that fails just ends, and the call then has another outcome than the test expects. */
static bool take_request(struct scene *scene)
{
    const char *request = raw_receive(&scene->raw, RAW_REQ, RAW_PATIENCE_MS);
    if (request == NULL)
        return false;
    snprintf(scene->request, sizeof scene->request, "%s", request);
    return sscanf(request, "{\"request_id\":%40[\"0-9a-f]", scene->id) == 1;
}

static void respond(struct scene *scene, const char *line)
{
    char text[1 << 12];
    const char *place = strstr(line, "%s");
    if (place == NULL)
        snprintf(text, sizeof text, "%s", line);
    else
        snprintf(text, sizeof text, "%.*s%s%s", (int)(place - line), line, scene->id, place + 2);
    raw_send(&scene->raw, RAW_RESP, text, strlen(text), RAW_PATIENCE_MS);
}

static void *respond_with_lines(void *context)
{
    struct scene *scene = context;
    if (take_request(scene))
        for (const char *const *line = scene->lines; *line != NULL; line++)
            respond(scene, *line);
    return NULL;
}

static enum shmrpc_status call_scripted(struct scene *scene, const char *const *lines,
                                        struct shmrpc_value *result)
{
    scene->lines = lines;
    run(scene, respond_with_lines);
    enum shmrpc_status status = shmrpc_client_call(scene->client, "m", NULL, 0, result);
    join(scene);
    return status;
}

#define OWN_OK "{\"request_id\":%s,\"result\":\"own\",\"error\":null}"

static void assert_own(const struct shmrpc_value *value)
{
    assert_int_equal(value->length, 5);
    assert_memory_equal(value->text, "\"own\"", 5);
}

/* ---- Calls that succeed --------------------------------------------------------------------- */

static void test_SRPC_CALL_001_SRPC_JSON_010_SRPC_JSON_011_SRPC_HAND_005_every_kind_of_parameter(
    void **state)
{
    (void)state;
    static const char expected[] =
        "{\"n\":null,\"t\":true,\"f\":false,\"i\":-9223372036854775808,\"u\":18446744073709551615,"
        "\"d\":0.1,\"z\":-0.0,\"s\":\"a\\u0000\\\"\xc3\xa9\",\"e\":\"\",\"j\":[1, {}],\"k\xc3\xa9y\":1}";
    struct scene *scene = set_and_serve("kinds", 0);
    struct shmrpc_value result;
    const struct shmrpc_param params[] = {
        shmrpc_param_null("n"),
        shmrpc_param_bool("t", true),
        shmrpc_param_bool("f", false),
        shmrpc_param_int64("i", INT64_MIN),
        shmrpc_param_uint64("u", UINT64_MAX),
        shmrpc_param_double("d", 0.1),
        shmrpc_param_double("z", -0.0),
        shmrpc_param_string("s", "a\0\"\xc3\xa9", 5),
        shmrpc_param_string("e", NULL, 0),
        shmrpc_param_json("j", " [1, {}] ", 9),
        shmrpc_param_int64("k\xc3\xa9y", 1),
    };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(shmrpc_client_call(scene->client, "echo", params,
                                            sizeof params / sizeof params[0], &result),
                         SHMRPC_OK);
        assert_int_equal(result.type, SHMRPC_OBJECT);
        assert_int_equal(result.length, sizeof expected - 1);
        assert_memory_equal(result.text, expected, sizeof expected - 1);
        assert_true(shmrpc_client_maybe_executed(scene->client));
        assert_raw_values(&scene->raw, 1, 0, 1, 0);
    }
    assert_int_equal(shmrpc_client_call(scene->client, "echo", NULL, 0, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_client_call_json(scene->client, "echo", " {\"x\": [ ]}\n", 12, &result),
                     SHMRPC_OK);
    assert_memory_equal(result.text, "{\"x\": [ ]}", 10);
    strike(scene);
}

static void test_SRPC_ERR_002_result_strings_and_error_texts(void **state)
{
    (void)state;
    struct scene *scene = set_and_serve("strings", 0);
    const char *data = "before";
    size_t length = 77;
    static const char *const texts[] = {"", "plain", "esc\"aped\n", "\x01\xc3\xa9"};
    assert_int_equal(shmrpc_client_result_string(scene->client, &data, &length),
                     SHMRPC_SERIALIZATION);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct shmrpc_param s = shmrpc_param_string("s", texts[i], strlen(texts[i]) + (i == 3));
        assert_int_equal(shmrpc_client_call(scene->client, "string", &s, 1, NULL), SHMRPC_OK);
        for (int twice = 0; twice < 2; twice++) {
            assert_int_equal(shmrpc_client_result_string(scene->client, &data, &length), SHMRPC_OK);
            assert_int_equal(length, s.length);
            assert_memory_equal(data, texts[i], length);
        }
    }
    assert_int_equal(shmrpc_client_call(scene->client, "echo", NULL, 0, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_client_result_string(scene->client, &data, &length),
                     SHMRPC_SERIALIZATION);
    assert_int_equal(shmrpc_client_call(scene->client, "fail", NULL, 0, NULL), SHMRPC_METHOD_ERROR);
    assert_string_equal(shmrpc_client_error(scene->client), "ValueError: no \xc3\xa9");
    shmrpc_client_method_error(scene->client, &data, &length);
    assert_int_equal(length, strlen("ValueError: no \xc3\xa9"));
    assert_int_equal(shmrpc_client_result_string(scene->client, &data, &length),
                     SHMRPC_SERIALIZATION);
    /* The next call forgets it. */
    assert_int_equal(shmrpc_client_call(scene->client, "echo", NULL, 0, NULL), SHMRPC_OK);
    shmrpc_client_method_error(scene->client, &data, &length);
    assert_int_equal(length, 0);
    assert_string_equal(data, "");
    strike(scene);
}

static void test_SRPC_ENV_001_SRPC_ENV_006_SRPC_HAND_001_requests_and_their_ids(void **state)
{
    (void)state;
    enum { CALLS = 200 };
    static char ids[2 * CALLS][sizeof ((struct scene *)0)->id];
    static const char *const own[] = {OWN_OK, NULL};
    struct scene *scene = set("ids", 0, RAW_PATIENCE_MS);
    for (int i = 0; i < 2 * CALLS; i++) {
        char expected[200];
        if (i == CALLS) {
            shmrpc_client_close(&scene->client);
            open_client(scene, RAW_PATIENCE_MS);
        }
        assert_int_equal(call_scripted(scene, own, NULL), SHMRPC_OK);
        memcpy(ids[i], scene->id, sizeof ids[i]);
        assert_int_equal(strlen(ids[i]), 34);
        snprintf(expected, sizeof expected, "{\"request_id\":%s,\"method\":\"m\",\"params\":{}}",
                 ids[i]);
        assert_string_equal(scene->request, expected);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
    }
    strike(scene);
}

static void test_SRPC_ENV_003_SRPC_ENV_004_SRPC_ENV_007_SRPC_ENV_008_responses_in_any_dress(
    void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum shmrpc_status status;
        const char *text; /* the result's, or the error's */
    } cases[] = {
        {OWN_OK, SHMRPC_OK, "\"own\""},
        {" {\"error\":null , \"result\" :[1] ,\"request_id\":%s} ", SHMRPC_OK, "[1]"},
        {"{\"request_id\":%s}", SHMRPC_OK, "null"},
        {"{\"request_id\":%s,\"result\":1,\"error\":\"\"}", SHMRPC_OK, "1"},
        {"{\"request_id\":%s,\"result\":1,\"more\":{\"error\":\"x\"}}", SHMRPC_OK, "1"},
        {"{\"request_id\":%s,\"result\":1,\"result\":2,\"error\":\"x\",\"error\":null}", SHMRPC_OK,
         "2"},
        {"{\"request\\u005fid\":%s,\"resul\\u0074\":3}", SHMRPC_OK, "3"},
        {"{\"request_id\":%s,\"result\":1,\"error\":\"E: m\"}", SHMRPC_METHOD_ERROR, "E: m"},
        {"{\"request_id\":%s,\"error\":\"\\u0045\\n\"}", SHMRPC_METHOD_ERROR, "E\n"},
    };
    struct scene *scene = set("dress", 0, RAW_PATIENCE_MS);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *lines[] = {cases[i].line, NULL};
        struct shmrpc_value result;
        assert_int_equal(call_scripted(scene, lines, &result), cases[i].status);
        if (cases[i].status == SHMRPC_OK) {
            assert_int_equal(result.length, strlen(cases[i].text));
            assert_memory_equal(result.text, cases[i].text, result.length);
        } else {
            assert_string_equal(shmrpc_client_error(scene->client), cases[i].text);
        }
        assert_raw_values(&scene->raw, 1, 0, 1, 0);
        assert_int_equal(raw_length(&scene->raw, RAW_RESP), 0);
    }
    strike(scene);
}

static void test_SRPC_ERR_002_an_error_text_with_a_nul(void **state)
{
    (void)state;
    static const char *const lines[] = {"{\"request_id\":%s,\"error\":\"E: a\\u0000b\"}", NULL};
    struct scene *scene = set("nul", 0, RAW_PATIENCE_MS);
    const char *data;
    size_t length;
    assert_int_equal(call_scripted(scene, lines, NULL), SHMRPC_METHOD_ERROR);
    assert_string_equal(shmrpc_client_error(scene->client), "E: a");
    shmrpc_client_method_error(scene->client, &data, &length);
    assert_int_equal(length, 6);
    assert_memory_equal(data, "E: a\0b", 7);
    strike(scene);
}

static void *answer_late(void *context)
{
    struct scene *scene = context;
    if (!take_request(scene))
        return NULL;
    /* The slot is free again, and nothing more comes into it before the answer. */
    scene->length_word = raw_take(&scene->raw, RAW_REQ_FULL, 300);
    respond(scene, OWN_OK);
    return NULL;
}

static void test_SRPC_HAND_004_one_request_in_flight(void **state)
{
    (void)state;
    struct scene *scene = set("flight", 0, RAW_PATIENCE_MS);
    struct shmrpc_value result;
    run(scene, answer_late);
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, &result), SHMRPC_OK);
    join(scene);
    assert_own(&result);
    assert_int_equal(scene->length_word, 0);
    assert_raw_values(&scene->raw, 1, 0, 1, 0);
    strike(scene);
}

/* ---- Nothing is sent ------------------------------------------------------------------------ */

static void assert_refused(struct scene *scene, enum shmrpc_status status,
                           enum shmrpc_status expected)
{
    assert_int_equal(status, expected);
    assert_false(shmrpc_client_maybe_executed(scene->client));
    assert_true(strlen(shmrpc_client_error(scene->client)) > 0);
    assert_raw_values(&scene->raw, 1, 0, 1, 0);
    assert_int_equal(raw_length(&scene->raw, RAW_REQ), 0);
}

static void test_SRPC_CALL_003_SRPC_JSON_009_SRPC_JSON_012_what_cannot_be_encoded_is_not_sent(
    void **state)
{
    (void)state;
    struct scene *scene = set("encode", 0, RAW_PATIENCE_MS);
    const struct shmrpc_param bad[] = {
        shmrpc_param_double("x", __builtin_nan("")),
        shmrpc_param_double("x", -__builtin_inf()),
        shmrpc_param_string("x", "\xed\xa0\xbd", 3),
        shmrpc_param_string("\xff", "x", 1),
        shmrpc_param_json("x", "[1,]", 4),
        shmrpc_param_json("x", "1 2", 3),
        shmrpc_param_json("x", "", 0),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refused(scene, shmrpc_client_call(scene->client, "m", &bad[i], 1, NULL),
                       SHMRPC_SERIALIZATION);
    assert_refused(scene, shmrpc_client_call(scene->client, "\xc3", NULL, 0, NULL),
                   SHMRPC_SERIALIZATION);
    static const char *const texts[] = {"", "[]", "1", "{\"a\":1} x", "{\"a\":NaN}", "\"{}\""};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(scene,
                       shmrpc_client_call_json(scene->client, "m", texts[i], strlen(texts[i]), NULL),
                       SHMRPC_SERIALIZATION);
    strike(scene);
}

static void test_SRPC_FRAME_003_SRPC_CALL_003_requests_around_the_capacity(void **state)
{
    (void)state;
    struct scene *scene = set_and_serve("capacity", 512);
    size_t overhead = strlen("{\"request_id\":\"\",\"method\":\"echo\",\"params\":{\"s\":\"\"}}") + 32;
    char text[1024];
    memset(text, 'x', sizeof text);
    struct shmrpc_param fits = shmrpc_param_string("s", text, 508 - overhead);
    struct shmrpc_param more = shmrpc_param_string("s", text, 508 - overhead + 1);
    struct shmrpc_param huge = shmrpc_param_string("s", text, sizeof text);
    for (int i = 0; i < 2; i++) {
        /* The response's envelope is shorter by a byte or two, so the echo fits too. */
        struct shmrpc_value result;
        assert_int_equal(shmrpc_client_call(scene->client, "echo", &fits, 1, &result), SHMRPC_OK);
        assert_int_equal(result.length, 508 - overhead + 8);
        assert_refused(scene, shmrpc_client_call(scene->client, "echo", &more, 1, NULL),
                       SHMRPC_TOO_LARGE);
        assert_refused(scene, shmrpc_client_call(scene->client, "echo", &huge, 1, NULL),
                       SHMRPC_TOO_LARGE);
    }
    strike(scene);
}

static void test_SRPC_JSON_007_SRPC_JSON_015_levels_of_parameters(void **state)
{
    (void)state;
    struct scene *scene = set_and_serve("levels", 8192);
    char text[4096];
    struct shmrpc_value result;
    for (int levels = 1022; levels <= 1023; levels++) {
        memset(text, '[', (size_t)levels);
        memset(text + levels, ']', (size_t)levels);
        struct shmrpc_param param = shmrpc_param_json("a", text, 2 * (size_t)levels);
        enum shmrpc_status status = shmrpc_client_call(scene->client, "echo", &param, 1, &result);
        assert_int_equal(status, levels == 1022 ? SHMRPC_OK : SHMRPC_SERIALIZATION);
    }
    strike(scene);
}

/* ---- Time-outs ------------------------------------------------------------------------------ */

static void test_SRPC_CALL_007_SRPC_CALL_008_SRPC_TIME_002_an_untaken_request_is_withdrawn(
    void **state)
{
    (void)state;
    struct scene *scene = set("untaken", 0, 50);
    for (int i = 0; i < 2; i++) {
        int64_t before = raw_now_ms();
        assert_refused(scene, shmrpc_client_call(scene->client, "m", NULL, 0, NULL),
                       SHMRPC_TIMEOUT);
        assert_true(raw_now_ms() - before >= 50);
        assert_non_null(strstr(shmrpc_client_error(scene->client), "has not run"));
    }
    strike(scene);
}

static void *only_take(void *context)
{
    struct scene *scene = context;
    take_request(scene);
    return NULL;
}

static void test_SRPC_CALL_008_SRPC_CALL_002_a_taken_request_may_have_run(void **state)
{
    (void)state;
    static const char *const own[] = {OWN_OK, NULL};
    struct scene *scene = set("taken", 0, 1500);
    struct shmrpc_value result;
    run(scene, only_take);
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_TIMEOUT);
    join(scene);
    assert_true(shmrpc_client_maybe_executed(scene->client));
    assert_non_null(strstr(shmrpc_client_error(scene->client), "may have run"));
    /* The answer comes late, and is never taken for that of the next call. */
    respond(scene, "{\"request_id\":%s,\"result\":\"late\",\"error\":null}");
    assert_raw_values(&scene->raw, 1, 0, 0, 1);
    assert_int_equal(shmrpc_client_set_timeout(scene->client, RAW_PATIENCE_MS), SHMRPC_OK);
    assert_int_equal(call_scripted(scene, own, &result), SHMRPC_OK);
    assert_own(&result);
    assert_raw_values(&scene->raw, 1, 0, 1, 0);
    strike(scene);
}

static void *take_and_exchange(void *context)
{
    struct scene *scene = context;
    static const char other[] = "{\"request_id\":\"00000000000000000000000000000000\"}";
    if (take_request(scene))
        raw_send(&scene->raw, RAW_REQ, other, sizeof other - 1, RAW_PATIENCE_MS);
    return NULL;
}

static void test_SRPC_CALL_007_another_request_is_not_withdrawn(void **state)
{
    (void)state;
    struct scene *scene = set("another", 0, 1500);
    run(scene, take_and_exchange);
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_TIMEOUT);
    join(scene);
    assert_true(shmrpc_client_maybe_executed(scene->client));
    assert_raw_values(&scene->raw, 0, 1, 1, 0);
    assert_int_equal(raw_length(&scene->raw, RAW_REQ), 49);
    raw_set_values(&scene->raw, 1, 0, 1, 0);
    strike(scene);
}

static void test_SRPC_RECOVER_013_an_occupied_slot_is_told(void **state)
{
    (void)state;
    struct scene *scene = set("occupied", 0, 60);
    assert_true(raw_take(&scene->raw, RAW_REQ_EMPTY, 0));
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_TIMEOUT);
    assert_false(shmrpc_client_maybe_executed(scene->client));
    assert_non_null(strstr(shmrpc_client_error(scene->client), "slot abandoned"));
    assert_raw_values(&scene->raw, 0, 0, 1, 0);
    strike(scene);
}

static void *flood(void *context)
{
    struct scene *scene = context;
    if (!take_request(scene))
        return NULL;
    snprintf(scene->id, sizeof scene->id, "\"0\"");
    /* Until the client no longer collects. */
    static const char line[] = "{\"request_id\":\"0\",\"result\":\"foreign\",\"error\":null}";
    while (raw_send(&scene->raw, RAW_RESP, line, sizeof line - 1, 500))
        ;
    return NULL;
}

static void test_SRPC_CALL_005_SRPC_CALL_006_a_flood_of_foreign_responses_ends_at_the_deadline(
    void **state)
{
    (void)state;
    struct scene *scene = set("flood", 0, 1500);
    int64_t before = raw_now_ms();
    run(scene, flood);
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_TIMEOUT);
    assert_true(raw_now_ms() - before >= 1500);
    assert_true(shmrpc_client_maybe_executed(scene->client));
    join(scene);
    raw_set_values(&scene->raw, 1, 0, 1, 0);
    strike(scene);
}

static void test_SRPC_CALL_002_SRPC_CALL_005_foreign_responses_are_discarded(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{\"request_id\":\"\",\"result\":1}",
        "{\"request_id\":\"6b1e4f0a-93c7-4d25-8a1b-2f5c7d9e0a11\",\"error\":\"E: foreign\"}",
        "{\"request_id\":\"x\",\"error\":7}",
        OWN_OK,
        NULL,
    };
    struct scene *scene = set("foreign", 0, RAW_PATIENCE_MS);
    struct shmrpc_value result;
    assert_int_equal(call_scripted(scene, lines, &result), SHMRPC_OK);
    assert_own(&result);
    assert_raw_values(&scene->raw, 1, 0, 1, 0);
    strike(scene);
}

static void test_SRPC_TIME_001_five_seconds_by_default(void **state)
{
    (void)state;
    struct scene *scene = set("default", 0, 0);
    int64_t before = raw_now_ms();
    assert_refused(scene, shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_TIMEOUT);
    assert_true(raw_now_ms() - before >= 5000);
    assert_non_null(strstr(shmrpc_client_error(scene->client), "5000 ms"));
    strike(scene);
}

static void test_SRPC_TIME_005_time_outs_out_of_range_and_at_its_ends(void **state)
{
    (void)state;
    struct scene *scene = set_and_serve("forever", 0);
    static const int bad[] = {0, -2, INT_MIN};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(shmrpc_client_set_timeout(scene->client, bad[i]), SHMRPC_INVALID);
        assert_true(strlen(shmrpc_client_error(scene->client)) > 0);
    }
    /* An answer that takes longer than some slices. */
    static const int good[] = {SHMRPC_FOREVER, INT_MAX};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct shmrpc_value result;
        assert_int_equal(shmrpc_client_set_timeout(scene->client, good[i]), SHMRPC_OK);
        assert_int_equal(shmrpc_client_call(scene->client, "slow", NULL, 0, &result), SHMRPC_OK);
        assert_memory_equal(result.text, "300", 3);
    }
    strike(scene);
}

/* ---- Responses that are none ---------------------------------------------------------------- */

static void test_SRPC_CALL_004_SRPC_CALL_011_bad_responses_end_the_call_and_free_the_slot(
    void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "x", "null", "[]", "{}", "{\"result\":1}", "{\"request_id\":null}",
        "{\"request_id\":7}", "{\"request_id\":%s} x", "{\"request_id\":%s,\"result\":01}",
        "{\"request_id\":%s,\"result\":\"\xff\"}", "{\"request_id\":%s,\"error\":7}",
        "{\"request_id\":%s,\"error\":[]}", "{\"request_id\":%s,\"error\":false}",
    };
    static const char *const own[] = {OWN_OK, NULL};
    struct scene *scene = set("bad", 0, RAW_PATIENCE_MS);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *lines[] = {texts[i], NULL};
        struct shmrpc_value result = {.length = 77};
        assert_int_equal(call_scripted(scene, lines, &result), SHMRPC_PROTOCOL);
        assert_int_equal(result.length, 77);
        assert_true(shmrpc_client_maybe_executed(scene->client));
        assert_true(strlen(shmrpc_client_error(scene->client)) > 0);
        assert_raw_values(&scene->raw, 1, 0, 1, 0);
        assert_int_equal(call_scripted(scene, own, &result), SHMRPC_OK);
        assert_own(&result);
    }
    strike(scene);
}

static void *respond_with_a_length(void *context)
{
    struct scene *scene = context;
    if (take_request(scene) && raw_take(&scene->raw, RAW_RESP_EMPTY, RAW_PATIENCE_MS)) {
        raw_set_length(&scene->raw, RAW_RESP, scene->length_word);
        raw_post(&scene->raw, RAW_RESP_FULL);
    }
    return NULL;
}

static void test_SRPC_CALL_012_SRPC_FRAME_004_impossible_lengths_end_the_call(void **state)
{
    (void)state;
    static const uint32_t words[] = {253, 0x80000000u, 0xFFFFFFFFu};
    static const char *const own[] = {OWN_OK, NULL};
    struct scene *scene = set("length", 256, RAW_PATIENCE_MS);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct shmrpc_value result;
        scene->length_word = words[i];
        run(scene, respond_with_a_length);
        assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_PROTOCOL);
        join(scene);
        assert_non_null(strstr(shmrpc_client_error(scene->client), "length"));
        assert_raw_values(&scene->raw, 1, 0, 1, 0);
        assert_int_equal(call_scripted(scene, own, &result), SHMRPC_OK);
    }
    strike(scene);
}

static void test_SRPC_SEM_007_a_value_above_one_ends_the_call(void **state)
{
    (void)state;
    struct scene *scene = set("above-one", 0, RAW_PATIENCE_MS);
    for (int i = RAW_REQ_EMPTY; i < RAW_OBJECTS; i++) {
        raw_set(&scene->raw, (enum raw_object)i, 2);
        if (i == RAW_RESP_EMPTY) {
            /* Seen when it is posted, behind a response. */
            raw_write(&scene->raw, RAW_RESP, "{}", 2);
            raw_set(&scene->raw, RAW_RESP_FULL, 1);
        }
        assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_PROTOCOL);
        assert_int_equal(shmrpc_client_maybe_executed(scene->client), i != RAW_REQ_EMPTY);
        assert_non_null(strstr(shmrpc_client_error(scene->client), "semaphore"));
        /* The next call attaches anew, here to the same channel. */
        assert_int_equal(shmrpc_client_buffer_bytes(scene->client), 0);
        raw_set_values(&scene->raw, 1, 0, 1, 0);
        static const char *const own[] = {OWN_OK, NULL};
        assert_int_equal(call_scripted(scene, own, NULL), SHMRPC_OK);
    }
    strike(scene);
}

/* A semaphore's private word (SRPC-SEM-004) says whether processes share it. */
static void set_private_word(struct scene *scene, enum raw_object semaphore, uint32_t word)
{
    memcpy((char *)scene->raw.map[semaphore] + 8, &word, sizeof word);
}

static void test_SRPC_SEM_007_SRPC_CALL_003_a_request_slot_that_cannot_be_left(void **state)
{
    (void)state;
    static const char *const own[] = {OWN_OK, NULL};
    struct scene *scene = set("not-left", 0, RAW_PATIENCE_MS);
    struct shmrpc_param param = shmrpc_param_double("x", __builtin_nan(""));
    /* It can be taken, but not posted. */
    set_private_word(scene, RAW_REQ_EMPTY, 0);
    assert_int_equal(shmrpc_client_call(scene->client, "m", &param, 1, NULL), SHMRPC_PROTOCOL);
    assert_false(shmrpc_client_maybe_executed(scene->client));
    assert_non_null(strstr(shmrpc_client_error(scene->client), "semaphore"));
    assert_int_equal(shmrpc_client_buffer_bytes(scene->client), 0);
    set_private_word(scene, RAW_REQ_EMPTY, 128);
    raw_set_values(&scene->raw, 1, 0, 1, 0);
    assert_int_equal(call_scripted(scene, own, NULL), SHMRPC_OK);
    strike(scene);
}

/* ---- Death of the server -------------------------------------------------------------------- */

struct victim {
    const char *name;
    _Atomic int ready;
};

static void publish_and_wait(void *context)
{
    struct victim *victim = context;
    struct shmrpc_server *server;
    CHILD_CHECK(shmrpc_server_create(victim->name, NULL, &server) == SHMRPC_OK);
    atomic_store(&victim->ready, 1);
    for (;;)
        pause();
}

/* A client on the channel of a process that publishes and does nothing else. */
static struct scene *set_victim(const char *what)
{
    struct scene *scene = calloc(1, sizeof *scene);
    struct victim *victim = raw_share(sizeof *victim);
    assert_non_null(scene);
    scene->descriptors = count_descriptors();
    scene->name = victim->name = raw_name(what);
    scene->victim = child_start(publish_and_wait, victim);
    assert_true(raw_await(&victim->ready));
    raw_unshare(victim, sizeof *victim);
    raw_open(&scene->raw, scene->name);
    open_client(scene, RAW_PATIENCE_MS);
    return scene;
}

/* The dead server's objects are removed by the next one. */
static void strike_victim(struct scene *scene)
{
    struct shmrpc_server *next = NULL;
    join(scene);
    shmrpc_client_close(&scene->client);
    assert_int_equal(shmrpc_server_create(scene->name, NULL, &next), SHMRPC_OK);
    shmrpc_server_close(&next);
    strike(scene);
}

static void test_SRPC_RECOVER_002_SRPC_RECOVER_003_SRPC_CALL_010_a_call_to_a_dead_server(
    void **state)
{
    (void)state;
    struct scene *scene = set_victim("dead");
    child_kill(scene->victim);
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL),
                     SHMRPC_PEER_GONE_NOT_STARTED);
    assert_false(shmrpc_client_maybe_executed(scene->client));
    assert_raw_values(&scene->raw, 1, 0, 1, 0);
    assert_int_equal(raw_length(&scene->raw, RAW_REQ), 0);
    /* Nobody there to attach to. */
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_NOT_FOUND);
    assert_non_null(strstr(shmrpc_client_error(scene->client), "dead"));
    strike_victim(scene);
}

static void test_SRPC_RECOVER_003_a_dead_server_with_an_occupied_slot(void **state)
{
    (void)state;
    struct scene *scene = set_victim("dead-slot");
    assert_true(raw_take(&scene->raw, RAW_REQ_EMPTY, 0));
    child_kill(scene->victim);
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL),
                     SHMRPC_PEER_GONE_NOT_STARTED);
    assert_false(shmrpc_client_maybe_executed(scene->client));
    assert_raw_values(&scene->raw, 0, 0, 1, 0);
    strike_victim(scene);
}

static void *take_and_kill(void *context)
{
    struct scene *scene = context;
    if (take_request(scene))
        kill(scene->victim, SIGKILL);
    return NULL;
}

static void *exchange_and_kill(void *context)
{
    take_and_exchange(context);
    kill(((struct scene *)context)->victim, SIGKILL);
    return NULL;
}

static void *respond_and_kill(void *context)
{
    struct scene *scene = context;
    if (take_request(scene)) {
        respond(scene, OWN_OK);
        kill(scene->victim, SIGKILL);
    }
    return NULL;
}

static void *respond_foreign_and_kill(void *context)
{
    struct scene *scene = context;
    if (take_request(scene)) {
        kill(scene->victim, SIGKILL);
        respond(scene, "{\"request_id\":\"x\",\"result\":1}");
    }
    return NULL;
}

static void test_SRPC_RECOVER_004_death_behind_the_take(void **state)
{
    (void)state;
    void *(*const scripts[])(void *) = {take_and_kill, exchange_and_kill, respond_foreign_and_kill};
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        struct scene *scene = set_victim("behind");
        run(scene, scripts[i]);
        assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL),
                         SHMRPC_PEER_GONE_MAYBE_EXECUTED);
        join(scene);
        assert_int_equal(child_wait(scene->victim), SIGKILL);
        assert_true(shmrpc_client_maybe_executed(scene->client));
        /* A token that guards another's bytes was put back. */
        if (scripts[i] == exchange_and_kill)
            assert_int_equal(raw_value(&scene->raw, RAW_REQ_FULL), 1);
        strike_victim(scene);
    }
}

static void test_SRPC_RECOVER_002_the_last_act_may_be_the_response(void **state)
{
    (void)state;
    struct scene *scene = set_victim("last-act");
    struct shmrpc_value result;
    run(scene, respond_and_kill);
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, &result), SHMRPC_OK);
    join(scene);
    assert_int_equal(child_wait(scene->victim), SIGKILL);
    assert_own(&result);
    strike_victim(scene);
}

static void test_SRPC_CALL_010_SRPC_CALL_009_SRPC_RECLAIM_004_the_next_server_is_found(void **state)
{
    (void)state;
    struct scene *scene = set_victim("next");
    static const char *const own[] = {OWN_OK, NULL};
    child_kill(scene->victim);
    /* Published anew, and larger, while the client of the dead one is still attached. */
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    options.buffer_bytes = 1 << 16;
    assert_int_equal(shmrpc_server_create(scene->name, &options, &scene->server), SHMRPC_OK);
    raw_close(&scene->raw);
    raw_open(&scene->raw, scene->name);
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL),
                     SHMRPC_PEER_GONE_NOT_STARTED);
    assert_int_equal(call_scripted(scene, own, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_client_buffer_bytes(scene->client), 1 << 16);
    strike(scene);
}

static void test_SRPC_RECOVER_005_SRPC_OWN_004_SRPC_SEM_006_an_unmarked_channel(void **state)
{
    (void)state;
    static const char *const own[] = {OWN_OK, NULL};
    struct scene *scene = calloc(1, sizeof *scene);
    char path[300];
    char link_path[310];
    assert_non_null(scene);
    scene->descriptors = count_descriptors();
    scene->name = raw_name("unmarked");
    raw_make_original(scene->name, 4096);
    /* A semaphore of the original can for a moment be linked twice. */
    raw_path(scene->name, RAW_REQ_EMPTY, path);
    snprintf(link_path, sizeof link_path, "%s-twice", path);
    assert_int_equal(link(path, link_path), 0);
    raw_open(&scene->raw, scene->name);
    open_client(scene, 200);
    assert_int_equal(unlink(link_path), 0);
    /* The lock is free and proves nothing. */
    assert_refused(scene, shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_TIMEOUT);
    assert_true(raw_take(&scene->raw, RAW_REQ_EMPTY, 0));
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_TIMEOUT);
    assert_non_null(strstr(shmrpc_client_error(scene->client), "slot abandoned"));
    assert_raw_values(&scene->raw, 0, 0, 1, 0);
    raw_post(&scene->raw, RAW_REQ_EMPTY);
    assert_int_equal(shmrpc_client_set_timeout(scene->client, RAW_PATIENCE_MS), SHMRPC_OK);
    assert_int_equal(call_scripted(scene, own, NULL), SHMRPC_OK);
    shmrpc_client_close(&scene->client);
    assert_int_equal(raw_count(scene->name), RAW_OBJECTS);
    raw_remove(scene->name);
    strike(scene);
}

static void test_SRPC_CALL_010_SRPC_RECOVER_005_another_server_under_the_name(void **state)
{
    (void)state;
    static const char *const own[] = {OWN_OK, NULL};
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    scene->descriptors = count_descriptors();
    scene->name = raw_name("another");
    raw_make_original(scene->name, 4096);
    open_client(scene, 100);
    /* The first one goes, and nobody tells the client. */
    raw_remove(scene->name);
    raw_make_original(scene->name, 4096);
    raw_open(&scene->raw, scene->name);
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_TIMEOUT);
    assert_int_equal(shmrpc_client_buffer_bytes(scene->client), 0);
    assert_int_equal(shmrpc_client_set_timeout(scene->client, RAW_PATIENCE_MS), SHMRPC_OK);
    assert_int_equal(call_scripted(scene, own, NULL), SHMRPC_OK);
    shmrpc_client_close(&scene->client);
    raw_remove(scene->name);
    strike(scene);
}

/* ---- Attaching ------------------------------------------------------------------------------ */

static enum shmrpc_status try_open(const char *name, const struct shmrpc_client_options *wanted,
                                   struct shmrpc_error *error)
{
    struct shmrpc_client_options options = *wanted;
    struct shmrpc_client *client = NULL;
    size_t descriptors = count_descriptors();
    int files = raw_count(name);
    memset(error, 0, sizeof *error);
    options.error = error;
    enum shmrpc_status status = shmrpc_client_open(name, &options, &client);
    assert_true((status == SHMRPC_OK) == (client != NULL));
    if (status != SHMRPC_OK) {
        assert_int_equal(error->status, status);
        assert_true(strlen(error->text) > 0);
    }
    shmrpc_client_close(&client);
    /* SRPC-LIFE-003 */
    assert_int_equal(count_descriptors(), descriptors);
    assert_int_equal(raw_count(name), files);
    return status;
}

static const struct shmrpc_client_options defaults = SHMRPC_CLIENT_OPTIONS_INIT;

static void test_SRPC_ATTACH_001_no_such_channel(void **state)
{
    (void)state;
    const char *name = raw_name("nowhere");
    struct shmrpc_error error;
    struct shmrpc_client_options patient = {.wait_for_server_ms = 80};
    int64_t before = raw_now_ms();
    assert_int_equal(try_open(name, &defaults, &error), SHMRPC_NOT_FOUND);
    assert_non_null(strstr(error.text, name));
    assert_int_equal(try_open(name, &patient, &error), SHMRPC_NOT_FOUND);
    assert_true(raw_now_ms() - before >= 80);
    assert_int_equal(shmrpc_client_open(name, NULL, &(struct shmrpc_client *){NULL}),
                     SHMRPC_NOT_FOUND);
}

static void *publish_late(void *context)
{
    struct scene *scene = context;
    raw_sleep_ms(100);
    if (shmrpc_server_create(scene->name, NULL, &scene->server) == SHMRPC_OK)
        scene->served = shmrpc_server_run(scene->server);
    return NULL;
}

static void test_SRPC_ATTACH_001_a_server_that_comes_late(void **state)
{
    (void)state;
    struct scene *scene = calloc(1, sizeof *scene);
    struct shmrpc_client_options options = {.wait_for_server_ms = SHMRPC_FOREVER};
    assert_non_null(scene);
    scene->descriptors = count_descriptors();
    scene->name = raw_name("late");
    run(scene, publish_late);
    assert_int_equal(shmrpc_client_open(scene->name, &options, &scene->client), SHMRPC_OK);
    assert_int_equal(shmrpc_client_call(scene->client, "__running__", NULL, 0, NULL), SHMRPC_OK);
    strike(scene);
}

static void test_SRPC_TIME_005_SRPC_LIMIT_003_client_options_out_of_range(void **state)
{
    (void)state;
    struct scene *scene = set("options", 0, 0);
    struct shmrpc_error error;
    const struct shmrpc_client_options bad[] = {
        {.timeout_ms = -2},
        {.wait_for_server_ms = INT_MIN},
        {.wait_busy_ms = -2},
        {.buffer_bytes = 1},
        {.buffer_bytes = 4},
        {.buffer_bytes = (size_t)SHMRPC_MAX_BUFFER_BYTES + 1},
        {.wait = (enum shmrpc_wait)3},
    };
    shmrpc_client_close(&scene->client);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(try_open(scene->name, &bad[i], &error), SHMRPC_INVALID);
    strike(scene);
}

static void test_SRPC_SEG_002_SRPC_SEG_003_SRPC_LIMIT_004_buffer_sizes(void **state)
{
    (void)state;
    struct scene *scene = set_and_serve("sizes", 1024);
    struct shmrpc_error error;
    const struct shmrpc_client_options larger = {.buffer_bytes = 1025};
    struct shmrpc_client_options smaller = {.buffer_bytes = 200};
    struct shmrpc_param s = shmrpc_param_string("s", "0123456789", 10);
    assert_int_equal(shmrpc_client_buffer_bytes(scene->client), 1024);
    shmrpc_client_close(&scene->client);
    assert_int_equal(try_open(scene->name, &larger, &error), SHMRPC_TOO_LARGE);
    assert_non_null(strstr(error.text, "1025"));
    assert_int_equal(shmrpc_client_open(scene->name, &smaller, &scene->client), SHMRPC_OK);
    assert_int_equal(shmrpc_client_buffer_bytes(scene->client), 200);
    memset(raw_body(&scene->raw, RAW_REQ) + 196, 'u', 800);
    assert_int_equal(shmrpc_client_call(scene->client, "echo", &s, 1, NULL), SHMRPC_OK);
    /* It bounds what is sent and what is accepted. */
    char text[200];
    memset(text, 'x', sizeof text);
    s = shmrpc_param_string("s", text, 130);
    assert_int_equal(shmrpc_client_call(scene->client, "echo", &s, 1, NULL), SHMRPC_TOO_LARGE);
    for (int i = 196; i < 996; i++)
        assert_int_equal(raw_body(&scene->raw, RAW_REQ)[i], 'u');
    strike(scene);
    /* The smaller of two segments, of a channel too small for any server of ours. */
    const char *name = raw_name("uneven");
    raw_make_original(name, 64);
    raw_unlink(name, RAW_REQ);
    raw_make_file(name, RAW_REQ, 100, 0600);
    struct shmrpc_client *client = NULL;
    assert_int_equal(shmrpc_client_open(name, NULL, &client), SHMRPC_OK);
    assert_int_equal(shmrpc_client_buffer_bytes(client), 64);
    assert_int_equal(shmrpc_client_call(client, "m", NULL, 0, NULL), SHMRPC_TOO_LARGE);
    shmrpc_client_close(&client);
    raw_remove(name);
}

static void test_SRPC_ATTACH_008_SRPC_ATTACH_006_half_made_channels(void **state)
{
    (void)state;
    struct shmrpc_error error;
    const struct shmrpc_client_options patient = {.wait_for_server_ms = 60};
    for (int i = 0; i < RAW_OBJECTS; i++) {
        for (int kind = 0; kind < 3; kind++) {
            const char *name = raw_name("half");
            raw_make_original(name, 4096);
            raw_unlink(name, (enum raw_object)i);
            if (kind > 0)
                raw_make_file(name, (enum raw_object)i, kind == 1 ? 0 : i <= RAW_RESP ? 4 : 31,
                              0600);
            int64_t before = raw_now_ms();
            assert_int_equal(try_open(name, i == 0 ? &patient : &defaults, &error),
                             SHMRPC_NOT_FOUND);
            if (i == 0)
                assert_true(raw_now_ms() - before >= 60);
            if (i > 0 || kind > 0)
                assert_non_null(strstr(error.text, "half made"));
            raw_remove(name);
        }
    }
}

static void test_SRPC_ATTACH_014_a_leftover_beside_a_marked_req(void **state)
{
    (void)state;
    struct scene *scene = set("beside", 0, 0);
    struct shmrpc_error error;
    shmrpc_client_close(&scene->client);
    for (int i = RAW_RESP; i < RAW_OBJECTS; i++) {
        char path[300];
        raw_path(scene->name, (enum raw_object)i, path);
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(try_open(scene->name, &defaults, &error), SHMRPC_NOT_FOUND);
        assert_non_null(strstr(error.text, "half made"));
        assert_int_equal(chmod(path, 01600), 0);
    }
    assert_int_equal(try_open(scene->name, &defaults, &error), SHMRPC_OK);
    strike(scene);
}

static void test_SRPC_ATTACH_003_SRPC_ATTACH_004_SRPC_ATTACH_005_squatted_objects(void **state)
{
    (void)state;
    struct shmrpc_error error;
    enum { LINK, DIRECTORY, FIFO, MODE, OWNER, KINDS };
    for (int i = 0; i < RAW_OBJECTS; i++) {
        for (int kind = LINK; kind < KINDS; kind++) {
            const char *name = raw_name("squat");
            char path[300];
            char target[310];
            if (kind == OWNER && geteuid() != 0)
                continue;
            raw_make_original(name, 4096);
            raw_path(name, (enum raw_object)i, path);
            snprintf(target, sizeof target, "%s-target", path);
            if (kind <= FIFO)
                assert_int_equal(rename(path, target), 0);
            if (kind == LINK)
                assert_int_equal(symlink(target, path), 0);
            else if (kind == DIRECTORY)
                assert_int_equal(mkdir(path, 0700), 0);
            else if (kind == FIFO)
                assert_int_equal(mkfifo(path, 0600), 0);
            else if (kind == MODE)
                assert_int_equal(chmod(path, 0640), 0);
            else
                assert_int_equal(chown(path, 65534, 65534), 0);
            assert_int_equal(try_open(name, &defaults, &error), SHMRPC_SYSTEM);
            assert_true(error.system_errno == EPERM || error.system_errno == ELOOP ||
                        error.system_errno == EISDIR);
            assert_non_null(strstr(error.text, path));
            remove(path);
            remove(target);
            raw_remove(name);
        }
    }
}

static void test_SRPC_ATTACH_009_a_dead_servers_channel(void **state)
{
    (void)state;
    struct scene *scene = set_victim("attach-dead");
    struct shmrpc_error error;
    const struct shmrpc_client_options patient = {.wait_for_server_ms = 60};
    shmrpc_client_close(&scene->client);
    child_kill(scene->victim);
    assert_int_equal(try_open(scene->name, &defaults, &error), SHMRPC_NOT_FOUND);
    assert_non_null(strstr(error.text, "dead"));
    int64_t before = raw_now_ms();
    assert_int_equal(try_open(scene->name, &patient, &error), SHMRPC_NOT_FOUND);
    assert_true(raw_now_ms() - before >= 60);
    strike_victim(scene);
}

static void *leave_late(void *context)
{
    struct scene *scene = context;
    raw_sleep_ms(400);
    shmrpc_client_close(&scene->client);
    return NULL;
}

static void test_SRPC_ATTACH_010_SRPC_ATTACH_011_one_client_at_a_time(void **state)
{
    (void)state;
    struct scene *scene = set("busy", 0, 0);
    struct shmrpc_error error;
    struct shmrpc_client_options patient = {.wait_busy_ms = 300};
    int64_t before = raw_now_ms();
    assert_int_equal(try_open(scene->name, &defaults, &error), SHMRPC_BUSY);
    assert_int_equal(try_open(scene->name, &patient, &error), SHMRPC_BUSY);
    assert_true(raw_now_ms() - before >= 300);
    char path[300];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    raw_path(scene->name, RAW_RESP, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
    assert_int_equal(lock.l_type, F_WRLCK);
    assert_int_equal(lock.l_start, 0);
    assert_int_equal(lock.l_len, 0);
    close(fd);
    patient.wait_busy_ms = SHMRPC_FOREVER;
    run(scene, leave_late);
    struct shmrpc_client *second = NULL;
    assert_int_equal(shmrpc_client_open(scene->name, &patient, &second), SHMRPC_OK);
    join(scene);
    shmrpc_client_close(&second);
    strike(scene);
}

static void test_SRPC_ATTACH_012_a_response_left_by_another_is_discarded(void **state)
{
    (void)state;
    static const char *const own[] = {OWN_OK, NULL};
    /* The last one is a stray post beside a free slot. */
    for (unsigned empty = 0; empty < 2; empty++) {
        struct scene *scene = set("left", 0, RAW_PATIENCE_MS);
        struct shmrpc_value result;
        shmrpc_client_close(&scene->client);
        raw_write(&scene->raw, RAW_RESP, "{\"request_id\":\"x\",\"result\":\"left\"}", 34);
        raw_set_values(&scene->raw, 1, 0, empty, 1);
        open_client(scene, RAW_PATIENCE_MS);
        assert_raw_values(&scene->raw, 1, 0, 1, 0);
        assert_int_equal(raw_length(&scene->raw, RAW_RESP), 0);
        assert_int_equal(call_scripted(scene, own, &result), SHMRPC_OK);
        assert_own(&result);
        strike(scene);
    }
}

/* Such a response cannot be discarded, and no call is made on such a channel. */
static void test_SRPC_ATTACH_012_SRPC_SEM_007_a_response_slot_that_cannot_be_freed(void **state)
{
    (void)state;
    struct scene *scene = set("not-freed", 0, RAW_PATIENCE_MS);
    struct shmrpc_error error;
    shmrpc_client_close(&scene->client);
    raw_write(&scene->raw, RAW_RESP, "{\"request_id\":\"x\",\"result\":\"left\"}", 34);
    raw_set_values(&scene->raw, 1, 0, 0, 1);
    set_private_word(scene, RAW_RESP_EMPTY, 0);
    assert_int_equal(try_open(scene->name, &defaults, &error), SHMRPC_PROTOCOL);
    assert_non_null(strstr(error.text, "semaphore"));
    assert_int_equal(raw_length(&scene->raw, RAW_RESP), 0);
    set_private_word(scene, RAW_RESP_EMPTY, 128);
    raw_set_values(&scene->raw, 1, 0, 1, 0);
    open_client(scene, RAW_PATIENCE_MS);
    strike(scene);
}

static void test_SRPC_ATTACH_013_SRPC_RECOVER_012_a_slot_that_a_dead_client_left(void **state)
{
    (void)state;
    static const unsigned left[][4] = {{0, 0, 1, 0}, {1, 0, 0, 0}, {0, 0, 0, 0}};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        struct scene *scene = set("stuck", 0, RAW_PATIENCE_MS);
        struct shmrpc_error error;
        shmrpc_client_close(&scene->client);
        raw_set_values(&scene->raw, left[i][0], left[i][1], left[i][2], left[i][3]);
        if (i == 0) {
            /* Nobody repairs: refused after more patience than a server needs. */
            int64_t before = raw_now_ms();
            assert_int_equal(try_open(scene->name, &defaults, &error), SHMRPC_BUSY);
            assert_true(raw_now_ms() - before >= 1000);
            assert_raw_values(&scene->raw, 0, 0, 1, 0);
        }
        raw_close(&scene->raw);
        run(scene, serve);
        const struct shmrpc_client_options patient = {.wait_busy_ms = RAW_PATIENCE_MS};
        assert_int_equal(shmrpc_client_open(scene->name, &patient, &scene->client), SHMRPC_OK);
        assert_int_equal(shmrpc_client_call(scene->client, "__running__", NULL, 0, NULL),
                         SHMRPC_OK);
        strike(scene);
    }
}

/* ---- Policies, forks, contracts ------------------------------------------------------------- */

static void test_SRPC_WAIT_001_every_policy_calls(void **state)
{
    (void)state;
    struct scene *scene = set_and_serve("policy", 0);
    for (int wait = SHMRPC_WAIT_ADAPTIVE; wait <= SHMRPC_WAIT_BLOCK; wait++) {
        struct shmrpc_client_options options = {.wait = (enum shmrpc_wait)wait,
                                                .timeout_ms = RAW_PATIENCE_MS};
        shmrpc_client_close(&scene->client);
        assert_int_equal(shmrpc_client_open(scene->name, &options, &scene->client), SHMRPC_OK);
        for (int i = 0; i < 20; i++)
            assert_int_equal(shmrpc_client_call(scene->client, "echo", NULL, 0, NULL), SHMRPC_OK);
        assert_int_equal(shmrpc_client_call(scene->client, "slow", NULL, 0, NULL), SHMRPC_OK);
    }
    strike(scene);
}

static void in_forked_child(void *context)
{
    struct scene *scene = context;
    for (int i = 0; i < 2; i++) {
        CHILD_CHECK(shmrpc_client_call(scene->client, "m", NULL, 0, NULL) == SHMRPC_INVALID);
        CHILD_CHECK(shmrpc_client_call_json(scene->client, "m", "{}", 2, NULL) == SHMRPC_INVALID);
        CHILD_CHECK(!shmrpc_client_maybe_executed(scene->client));
    }
    shmrpc_client_close(&scene->client);
    CHILD_CHECK(scene->client == NULL);
}

static void test_SRPC_FORK_001_SRPC_FORK_004_a_child_has_no_client(void **state)
{
    (void)state;
    struct scene *scene = set("fork", 0, 50);
    child_run(in_forked_child, scene);
    assert_raw_values(&scene->raw, 1, 0, 1, 0);
    assert_refused(scene, shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_TIMEOUT);
    strike(scene);
}

static void test_SRPC_FORK_001_SRPC_ENV_006_nor_while_there_is_no_channel(void **state)
{
    (void)state;
    struct scene *scene = set_victim("fork-detached");
    child_kill(scene->victim);
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL),
                     SHMRPC_PEER_GONE_NOT_STARTED);
    assert_int_equal(shmrpc_server_create(scene->name, NULL, &scene->server), SHMRPC_OK);
    child_run(in_forked_child, scene);
    strike(scene);
}

static void test_broken_contracts_fire(void **state)
{
    (void)state;
    struct scene *scene = set("contract", 0, 100);
    struct shmrpc_client *none = NULL;
    struct shmrpc_client *garbage = calloc(1, 8192);
    const char *data;
    size_t length;
    assert_non_null(garbage);
    shmrpc_client_close(&none);
    expect_check_failure(shmrpc_client_close(NULL));
    expect_check_failure(shmrpc_client_close(&garbage));
    expect_check_failure(support_ignore(shmrpc_client_open(NULL, NULL, &none)));
    expect_check_failure(support_ignore(shmrpc_client_open("x", NULL, NULL)));
    expect_check_failure(support_ignore(shmrpc_client_call(NULL, "m", NULL, 0, NULL)));
    expect_check_failure(support_ignore(shmrpc_client_call(garbage, "m", NULL, 0, NULL)));
    expect_check_failure(support_ignore(shmrpc_client_call(scene->client, NULL, NULL, 0, NULL)));
    expect_check_failure(support_ignore(shmrpc_client_call(scene->client, "m", NULL, 1, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_client_call_json(scene->client, NULL, "{}", 2, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_client_call_json(scene->client, "m", NULL, 0, NULL)));
    expect_check_failure(support_ignore(shmrpc_client_result_string(scene->client, NULL, &length)));
    expect_check_failure(support_ignore(shmrpc_client_result_string(scene->client, &data, NULL)));
    expect_check_failure(shmrpc_client_method_error(scene->client, NULL, &length));
    expect_check_failure(shmrpc_client_method_error(scene->client, &data, NULL));
    expect_check_failure(support_ignore(shmrpc_client_set_timeout(NULL, 1)));
    expect_check_failure(support_ignore(shmrpc_client_maybe_executed(garbage)));
    expect_check_failure(support_ignore(shmrpc_client_error(garbage)));
    expect_check_failure(support_ignore(shmrpc_client_buffer_bytes(garbage)));
    expect_check_failure(shmrpc_param_null(NULL));
    expect_check_failure(shmrpc_param_bool(NULL, true));
    expect_check_failure(shmrpc_param_int64(NULL, 1));
    expect_check_failure(shmrpc_param_uint64(NULL, 1));
    expect_check_failure(shmrpc_param_double(NULL, 1));
    expect_check_failure(shmrpc_param_string(NULL, "x", 1));
    expect_check_failure(shmrpc_param_json(NULL, "1", 1));
    expect_check_failure(shmrpc_param_string("x", NULL, 1));
    expect_check_failure(shmrpc_param_json("x", NULL, 1));
    expect_check_failure(shmrpc_client_method_error(garbage, &data, &length));
    expect_check_failure(support_ignore(shmrpc_client_result_string(garbage, &data, &length)));
    expect_check_failure(support_ignore(shmrpc_client_call_json(garbage, "m", "{}", 2, NULL)));
    /* Parameters that no shmrpc_param_*() made. The jump out of the call leaves the client inside
     * its slot; it can still be closed. */
    struct shmrpc_param strange[] = {shmrpc_param_null("x"), shmrpc_param_null("x"),
                                     shmrpc_param_string("x", NULL, 0)};
    strange[0].kind = 99;
    strange[1].name = NULL;
    strange[2].length = 1;
    for (volatile size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        expect_check_failure_below(
            support_ignore(shmrpc_client_call(scene->client, "m", &strange[i], 1, NULL)));
        shmrpc_client_close(&scene->client);
        raw_set_values(&scene->raw, 1, 0, 1, 0);
        open_client(scene, 100);
    }
    strike(scene);
    free(garbage);
}

/* Each of the 32 digits takes part: over many clients each of its bits is seen both set and clear. */
static void test_SRPC_ENV_006_ids_use_all_their_bits(void **state)
{
    (void)state;
    enum { CLIENTS = 64, DIGITS = 32 };
    unsigned set_once[DIGITS] = {0};
    unsigned clear_once[DIGITS] = {0};
    unsigned differ = 0;
    struct scene *scene = set("bits", 0, 1);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_TIMEOUT);
        /* It was taken back, but its bytes still stand in the slot. */
        const char *id = strchr(raw_body(&scene->raw, RAW_REQ), ':') + 2;
        for (int k = 0; k < DIGITS; k++) {
            unsigned digit = (unsigned)(id[k] <= '9' ? id[k] - '0' : id[k] - 'a' + 10);
            assert_true(digit < 16);
            set_once[k] |= digit;
            clear_once[k] |= ~digit & 15;
        }
        char halves[2][DIGITS / 2 + 1] = {{0}};
        memcpy(halves[0], id, DIGITS / 2);
        memcpy(halves[1], id + DIGITS / 2, DIGITS / 2);
        differ += strtoull(halves[1], NULL, 16) - strtoull(halves[0], NULL, 16) > 1000;
        shmrpc_client_close(&scene->client);
        open_client(scene, 1);
    }
    for (int k = 0; k < DIGITS; k++) {
        assert_int_equal(set_once[k], 15);
        assert_int_equal(clear_once[k], 15);
    }
    assert_int_equal(differ, CLIENTS);
    strike(scene);
}

/* The shortest text that an error can have is a text, and it goes with its call. */
static void test_SRPC_ERR_002_an_error_text_of_one_byte(void **state)
{
    (void)state;
    static const char *const lines[] = {"{\"request_id\":%s,\"error\":\"E\"}", NULL};
    static const char *const own[] = {OWN_OK, NULL};
    struct scene *scene = set("one", 0, RAW_PATIENCE_MS);
    const char *data;
    size_t length;
    assert_int_equal(call_scripted(scene, lines, NULL), SHMRPC_METHOD_ERROR);
    assert_string_equal(shmrpc_client_error(scene->client), "E");
    shmrpc_client_method_error(scene->client, &data, &length);
    assert_int_equal(length, 1);
    assert_string_equal(data, "E");
    assert_int_equal(shmrpc_client_call_json(scene->client, "m", "[]", 2, NULL),
                     SHMRPC_SERIALIZATION);
    assert_non_null(strstr(shmrpc_client_error(scene->client), "not one valid JSON object"));
    assert_int_equal(call_scripted(scene, own, NULL), SHMRPC_OK);
    assert_string_equal(shmrpc_client_error(scene->client), "");
    strike(scene);
}

/* A call that was never sent has no result, not the last one's either. */
static void test_SRPC_CALL_003_no_result_outlives_its_call(void **state)
{
    (void)state;
    static const char *const own[] = {OWN_OK, NULL};
    struct scene *scene = set("stale", 0, RAW_PATIENCE_MS);
    const char *data;
    size_t length;
    assert_int_equal(shmrpc_client_result_string(scene->client, &data, &length),
                     SHMRPC_SERIALIZATION);
    assert_int_equal(call_scripted(scene, own, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_client_result_string(scene->client, &data, &length), SHMRPC_OK);
    assert_int_equal(shmrpc_client_call_json(scene->client, "m", "[]", 2, NULL),
                     SHMRPC_SERIALIZATION);
    assert_int_equal(shmrpc_client_result_string(scene->client, &data, &length),
                     SHMRPC_SERIALIZATION);
    strike(scene);
}

static void test_SRPC_TIME_005_the_shortest_time_out(void **state)
{
    (void)state;
    struct scene *scene = set("shortest", 0, RAW_PATIENCE_MS);
    assert_int_equal(shmrpc_client_set_timeout(scene->client, 1), SHMRPC_OK);
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_TIMEOUT);
    assert_int_equal(shmrpc_client_set_timeout(scene->client, 0), SHMRPC_INVALID);
    strike(scene);
}

/* The name is read to its end and no further, which the sanitizers see. */
static void test_SRPC_NAME_001_the_name_is_read_to_its_end(void **state)
{
    (void)state;
    struct scene *scene = set("exact", 0, 1);
    char *exact = strdup(scene->name);
    assert_non_null(exact);
    shmrpc_client_close(&scene->client);
    assert_int_equal(shmrpc_client_open(exact, NULL, &scene->client), SHMRPC_OK);
    free(exact);
    strike(scene);
}

/* A clock on which every look costs ten seconds, and beside which a peer answers at once, always in
 * another call's name. */
static struct raw *flooded;
static int foreign_responses;
static int64_t flood_clock_ns;

static int look_and_flood(clockid_t clock, struct timespec *now)
{
    static const char foreign[] = "{\"request_id\":\"other\",\"result\":1,\"error\":null}";
    (void)clock;
    flood_clock_ns += INT64_C(10000000000);
    *now = (struct timespec){.tv_sec = flood_clock_ns / 1000000000};
    if (foreign_responses < 1000 && raw_value(flooded, RAW_RESP_EMPTY) == 1 &&
        raw_send(flooded, RAW_RESP, foreign, sizeof foreign - 1, 0))
        foreign_responses++;
    return 0;
}

static void test_SRPC_CALL_005_SRPC_CALL_006_not_one_foreign_response_behind_the_deadline(
    void **state)
{
    (void)state;
    struct scene *scene = set("behind", 0, 1000);
    struct shmrpc_wait_calls real = shmrpc_wait_calls;
    flooded = &scene->raw;
    foreign_responses = 0;
    shmrpc_wait_calls.clock = look_and_flood;
    enum shmrpc_status status = shmrpc_client_call(scene->client, "m", NULL, 0, NULL);
    shmrpc_wait_calls = real;
    assert_int_equal(status, SHMRPC_TIMEOUT);
    assert_true(foreign_responses <= 3);
    strike(scene);
}

/* Where nothing is broken a client stays where it is after a time-out. */
static void test_SRPC_CALL_010_a_time_out_alone_lets_no_channel_go(void **state)
{
    (void)state;
    struct scene *scene = set("stays", 0, 1);
    size_t bytes = shmrpc_client_buffer_bytes(scene->client);
    assert_true(bytes > 0);
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_TIMEOUT);
    assert_int_equal(shmrpc_client_buffer_bytes(scene->client), bytes);
    strike(scene);
}

static const uint64_t *dice;

/* Stands in front of the C library's: throws what the test says. */
ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    if (dice == NULL)
        return syscall(SYS_getrandom, buffer, length, flags);
    memcpy(buffer, dice, length);
    return (ssize_t)length;
}

/* The first id of a client that was opened with these random numbers. */
static void id_of(struct scene *scene, const uint64_t random[2], char id[33])
{
    shmrpc_client_close(&scene->client);
    dice = random;
    open_client(scene, 1);
    dice = NULL;
    assert_int_equal(shmrpc_client_call(scene->client, "m", NULL, 0, NULL), SHMRPC_TIMEOUT);
    memcpy(id, strchr(raw_body(&scene->raw, RAW_REQ), ':') + 2, 32);
    id[32] = '\0';
}

static void test_SRPC_ENV_006_each_random_bit_makes_another_id(void **state)
{
    (void)state;
    struct scene *scene = set("each-bit", 0, 1);
    char ids[129][33];
    static const uint64_t none[2];
    id_of(scene, none, ids[128]);
    for (int bit = 0; bit < 128; bit++) {
        const uint64_t random[2] = {bit < 64 ? UINT64_C(1) << bit : 0,
                                    bit < 64 ? 0 : UINT64_C(1) << (bit - 64)};
        id_of(scene, random, ids[bit]);
        for (int earlier = 0; earlier < bit; earlier++)
            assert_string_not_equal(ids[bit], ids[earlier]);
        assert_string_not_equal(ids[bit], ids[128]);
    }
    strike(scene);
}

static void open_without_randomness(void *name)
{
    enum { TIMES = 100 };
    struct shmrpc_client *client = NULL;
    size_t before = 0;
    child_refuse(SYS_getrandom, -1, 0, ENOSYS);
    /* SRPC-LIFE-009: nothing is kept of a client that was not made, once malloc() has filled its own
     * caches. Sanitizers and valgrind, under which the figure is 0, look for that themselves. */
    for (int i = 0; i < 2 * TIMES; i++) {
        if (i == TIMES)
            before = mallinfo2().uordblks;
        CHILD_CHECK(shmrpc_client_open(name, NULL, &client) == SHMRPC_SYSTEM);
        CHILD_CHECK(client == NULL);
    }
    CHILD_CHECK(mallinfo2().uordblks == before);
}

static void test_SRPC_ENV_006_without_random_numbers_there_are_no_ids(void **state)
{
    (void)state;
    struct scene *scene = set("random", 0, 1);
    char name[300];
    snprintf(name, sizeof name, "%s", scene->name);
    shmrpc_client_close(&scene->client);
    child_run(open_without_randomness, name);
    strike(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_SRPC_CALL_001_SRPC_JSON_010_SRPC_JSON_011_SRPC_HAND_005_every_kind_of_parameter),
        cmocka_unit_test(test_SRPC_ERR_002_result_strings_and_error_texts),
        cmocka_unit_test(test_SRPC_ENV_001_SRPC_ENV_006_SRPC_HAND_001_requests_and_their_ids),
        cmocka_unit_test(
            test_SRPC_ENV_003_SRPC_ENV_004_SRPC_ENV_007_SRPC_ENV_008_responses_in_any_dress),
        cmocka_unit_test(test_SRPC_ERR_002_an_error_text_with_a_nul),
        cmocka_unit_test(test_SRPC_HAND_004_one_request_in_flight),
        cmocka_unit_test(
            test_SRPC_CALL_003_SRPC_JSON_009_SRPC_JSON_012_what_cannot_be_encoded_is_not_sent),
        cmocka_unit_test(test_SRPC_FRAME_003_SRPC_CALL_003_requests_around_the_capacity),
        cmocka_unit_test(test_SRPC_JSON_007_SRPC_JSON_015_levels_of_parameters),
        cmocka_unit_test(
            test_SRPC_CALL_007_SRPC_CALL_008_SRPC_TIME_002_an_untaken_request_is_withdrawn),
        cmocka_unit_test(test_SRPC_CALL_008_SRPC_CALL_002_a_taken_request_may_have_run),
        cmocka_unit_test(test_SRPC_CALL_007_another_request_is_not_withdrawn),
        cmocka_unit_test(test_SRPC_RECOVER_013_an_occupied_slot_is_told),
        cmocka_unit_test(
            test_SRPC_CALL_005_SRPC_CALL_006_a_flood_of_foreign_responses_ends_at_the_deadline),
        cmocka_unit_test(test_SRPC_CALL_002_SRPC_CALL_005_foreign_responses_are_discarded),
        cmocka_unit_test(test_SRPC_TIME_001_five_seconds_by_default),
        cmocka_unit_test(test_SRPC_TIME_005_time_outs_out_of_range_and_at_its_ends),
        cmocka_unit_test(
            test_SRPC_CALL_004_SRPC_CALL_011_bad_responses_end_the_call_and_free_the_slot),
        cmocka_unit_test(test_SRPC_CALL_012_SRPC_FRAME_004_impossible_lengths_end_the_call),
        cmocka_unit_test(test_SRPC_SEM_007_a_value_above_one_ends_the_call),
        cmocka_unit_test(test_SRPC_SEM_007_SRPC_CALL_003_a_request_slot_that_cannot_be_left),
        cmocka_unit_test(
            test_SRPC_RECOVER_002_SRPC_RECOVER_003_SRPC_CALL_010_a_call_to_a_dead_server),
        cmocka_unit_test(test_SRPC_RECOVER_003_a_dead_server_with_an_occupied_slot),
        cmocka_unit_test(test_SRPC_RECOVER_004_death_behind_the_take),
        cmocka_unit_test(test_SRPC_RECOVER_002_the_last_act_may_be_the_response),
        cmocka_unit_test(
            test_SRPC_CALL_010_SRPC_CALL_009_SRPC_RECLAIM_004_the_next_server_is_found),
        cmocka_unit_test(test_SRPC_RECOVER_005_SRPC_OWN_004_SRPC_SEM_006_an_unmarked_channel),
        cmocka_unit_test(test_SRPC_CALL_010_SRPC_RECOVER_005_another_server_under_the_name),
        cmocka_unit_test(test_SRPC_ATTACH_001_no_such_channel),
        cmocka_unit_test(test_SRPC_ATTACH_001_a_server_that_comes_late),
        cmocka_unit_test(test_SRPC_TIME_005_SRPC_LIMIT_003_client_options_out_of_range),
        cmocka_unit_test(test_SRPC_SEG_002_SRPC_SEG_003_SRPC_LIMIT_004_buffer_sizes),
        cmocka_unit_test(test_SRPC_ATTACH_008_SRPC_ATTACH_006_half_made_channels),
        cmocka_unit_test(test_SRPC_ATTACH_014_a_leftover_beside_a_marked_req),
        cmocka_unit_test(test_SRPC_ATTACH_003_SRPC_ATTACH_004_SRPC_ATTACH_005_squatted_objects),
        cmocka_unit_test(test_SRPC_ATTACH_009_a_dead_servers_channel),
        cmocka_unit_test(test_SRPC_ATTACH_010_SRPC_ATTACH_011_one_client_at_a_time),
        cmocka_unit_test(test_SRPC_ATTACH_012_a_response_left_by_another_is_discarded),
        cmocka_unit_test(test_SRPC_ATTACH_012_SRPC_SEM_007_a_response_slot_that_cannot_be_freed),
        cmocka_unit_test(test_SRPC_ATTACH_013_SRPC_RECOVER_012_a_slot_that_a_dead_client_left),
        cmocka_unit_test(test_SRPC_WAIT_001_every_policy_calls),
        cmocka_unit_test(test_SRPC_FORK_001_SRPC_FORK_004_a_child_has_no_client),
        cmocka_unit_test(test_SRPC_FORK_001_SRPC_ENV_006_nor_while_there_is_no_channel),
        cmocka_unit_test(test_broken_contracts_fire),
        cmocka_unit_test(test_SRPC_ENV_006_each_random_bit_makes_another_id),
        cmocka_unit_test(test_SRPC_ENV_006_without_random_numbers_there_are_no_ids),
        cmocka_unit_test(
            test_SRPC_CALL_005_SRPC_CALL_006_not_one_foreign_response_behind_the_deadline),
        cmocka_unit_test(test_SRPC_CALL_010_a_time_out_alone_lets_no_channel_go),
        cmocka_unit_test(test_SRPC_NAME_001_the_name_is_read_to_its_end),
        cmocka_unit_test(test_SRPC_ENV_006_ids_use_all_their_bits),
        cmocka_unit_test(test_SRPC_ERR_002_an_error_text_of_one_byte),
        cmocka_unit_test(test_SRPC_CALL_003_no_result_outlives_its_call),
        cmocka_unit_test(test_SRPC_TIME_005_the_shortest_time_out),
    };
    support_limit_seconds(150);
    return cmocka_run_group_tests_name("client", tests, NULL, raw_sweep);
}

/* SPDX-License-Identifier: MIT
 *
 * A peer of the same user that keeps no rule: it can cause wrong messages, and nothing worse.
 */
#include "peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ECHO(id)                                                                                   \
    "{\"request_id\":\"" id "\",\"method\":\"echo\",\"params\":{\"message\":\"" id "\"}}"
#define ECHOED(id) "{\"request_id\":\"" id "\",\"result\":\"" id "\",\"error\":null}"

/* Send a request and compare the answer, both as bytes. */
static void exchange(struct raw *raw, const char *request, const char *wanted)
{
    char response[4096];

    assert_true(raw_send(raw, request, 5000));
    assert_true(raw_receive(raw, response, sizeof(response), 5000));
    assert_string_equal(response, wanted);
}

static void post_frame(struct raw *raw, uint32_t length_word, const void *data, size_t length)
{
    for (int i = 0; i < 5000 && raw_value(raw, REQ_EMPTY) == 0; i++)
        sleep_us(1000);
    assert_int_equal(sem_trywait(raw->semaphore[REQ_EMPTY]), 0);
    raw_frame(raw, REQ, length_word, data, length);
    sem_post(raw->semaphore[REQ_FULL]);
}

static void SRPC_RECOVER_001_SRPC_FRAME_004_impossible_lengths(void **state)
{
    static const uint32_t lengths[] = {4093,       4096,       65536,     0x7fffffff,
                                       0x80000000, 0xfffffffc, 0xffffffff};
    struct peer *peer = peer_new("lengths");
    struct raw raw;

    (void)state;
    assert_true(peer_start(peer));
    assert_true(raw_open(&raw, peer->name));
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        post_frame(&raw, lengths[i], "{}", 2);
        exchange(&raw, ECHO("after"), ECHOED("after"));
    }
    raw_close(&raw);
    assert_int_equal(peer_stop(peer), 0);
}

static void SRPC_ENV_014_SRPC_ERR_003_garbage_is_dropped(void **state)
{
    static const char *const garbage[] = {
        "",
        "{",
        "}",
        "[]",
        "null",
        "42",
        "\"x\"",
        "{}",
        "nonsense",
        "\xff\xfe\xfd",
        "\xef\xbb\xbf{}",
        "{\"request_id\":\"x\"",
        "{\"method\":\"echo\",\"params\":{}}",
        "{\"request_id\":\"x\",\"method\":\"echo\",\"params\":{\"message\":01}}",
        "{\"request_id\":\"\xc0\xaf\",\"method\":\"echo\",\"params\":{}}",
        "{\"request_id\":\"\\ud800\",\"method\":\"echo\",\"params\":{}}",
        ECHO("x") "x",
        "\\u0000",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["};
    struct peer *peer = peer_new("garbage");
    struct raw raw;

    (void)state;
    assert_true(peer_start(peer));
    assert_true(raw_open(&raw, peer->name));
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        post_frame(&raw, (uint32_t)strlen(garbage[i]), garbage[i], strlen(garbage[i]));
        exchange(&raw, ECHO("after"), ECHOED("after"));
    }
    raw_close(&raw);
    assert_int_equal(peer_stop(peer), 0);
}

static void SRPC_FRAME_002_SRPC_FRAME_008_stale_bytes_do_not_run_again(void **state)
{
    struct peer *peer = peer_new("stale");
    struct raw raw;

    (void)state;
    assert_true(peer_start(peer));
    assert_true(raw_open(&raw, peer->name));
    exchange(&raw, "{\"request_id\":\"1\",\"method\":\"count\",\"params\":{}}",
             "{\"request_id\":\"1\",\"result\":1,\"error\":null}");
    assert_int_equal(
        raw.segment[REQ][0] | raw.segment[REQ][1] | raw.segment[REQ][2] | raw.segment[REQ][3], 0);
    /* A post that announces nothing: the bytes of the last call lie there still. */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sem_trywait(raw.semaphore[REQ_EMPTY]), 0);
        sem_post(raw.semaphore[REQ_FULL]);
        exchange(&raw, ECHO("after"), ECHOED("after"));
    }
    assert_int_equal(peer->executed, 1);
    raw_close(&raw);
    assert_int_equal(peer_stop(peer), 0);
}

/* Surplus posts make a semaphore's value 2 and more: the owner makes the channel anew. */
static void check_surplus_post(enum object object)
{
    struct peer *peer = peer_new("surplus");
    int64_t until = now_ns() + LIMIT_MS * INT64_C(1000000);
    struct raw raw;

    assert_true(peer_start(peer));
    ino_t before = inode_of(peer->name);

    assert_true(raw_open(&raw, peer->name));
    for (int i = 0; i < 3; i++)
        sem_post(raw.semaphore[object]);
    /* A call may be needed before the server looks; it may be answered or not. */
    raw_send(&raw, ECHO("x"), 500);
    while (inode_of(peer->name) == before) {
        assert_true(now_ns() < until);
        sleep_us(1000);
    }
    raw_close(&raw);
    assert_true(peer_echo_works(peer));
    assert_true(idle_within(peer->name, 1000));
    assert_int_equal(peer_stop(peer), 0);
    assert_int_equal(objects_of(peer->name), 0);
}

static void SRPC_SEM_007_surplus_posts_end_in_a_new_channel(void **state)
{
    (void)state;
    check_surplus_post(REQ_EMPTY);
    check_surplus_post(REQ_FULL);
    check_surplus_post(RESP_EMPTY);
    check_surplus_post(RESP_FULL);
}

/* A peer that writes at random, everywhere, all the time. */
static int scribbler(void *context)
{
    struct peer *peer = context;
    unsigned random = 12345;
    struct raw raw;

    CHILD_CHECK(raw_open(&raw, peer->name));
    int64_t until = now_ns() + INT64_C(700000000);

    while (now_ns() < until) {
        random = random * 1103515245 + 12345;
        unsigned char *segment = raw.segment[random >> 16 & 1];
        unsigned kind = random >> 20 & 7;

        if (kind == 0)
            raw_frame(&raw, REQ, (uint32_t)strlen(ECHO("x")), ECHO("x"), strlen(ECHO("x")));
        else if (kind < 4)
            segment[random >> 8 & 7] = (unsigned char)(random >> 24);
        else
            segment[(random >> 8) % raw.bytes] = (unsigned char)(random >> 24);
        /* Keep tokens moving without ever making two of them. */
        if (raw_value(&raw, REQ_FULL) == 0 && sem_trywait(raw.semaphore[REQ_EMPTY]) == 0)
            sem_post(raw.semaphore[REQ_FULL]);
        if (sem_trywait(raw.semaphore[RESP_FULL]) == 0)
            sem_post(raw.semaphore[RESP_EMPTY]);
    }
    return 0;
}

static void SRPC_SEC_001_a_scribbling_client_harms_no_server(void **state)
{
    struct peer *peer = peer_new("scribbled");
    struct raw raw;

    (void)state;
    assert_true(peer_start(peer));
    pid_t peers = spawn(scribbler, peer);

    assert_int_equal(await_child(peers, LIMIT_MS), 0);
    assert_true(idle_within(peer->name, 3000));
    assert_true(raw_open(&raw, peer->name));
    exchange(&raw, ECHO("after"), ECHOED("after"));
    raw_close(&raw);
    assert_int_equal(peer_stop(peer), 0);
}

/* A raw server for a C client: answers each request with what the test put into the plan. */
struct plan {
    struct peer *peer;
    _Atomic int step;
    _Atomic int served;
};

static const struct {
    const char *message;  /* null: echo the id in a right answer */
    uint32_t length_word; /* 0: that of the message */
    enum shmrpc_status wanted;
} answers[] = {
    {NULL, 0, SHMRPC_OK},
    {"", 0, SHMRPC_PROTOCOL},
    {"garbage", 0, SHMRPC_PROTOCOL},
    {"[]", 0, SHMRPC_PROTOCOL},
    {"{}", 0, SHMRPC_PROTOCOL},
    {"{\"request_id\":5,\"result\":1,\"error\":null}", 0, SHMRPC_PROTOCOL},
    {"x", 0xffffffff, SHMRPC_PROTOCOL},
    {"x", 4093, SHMRPC_PROTOCOL},
    {"x", 0x80000000, SHMRPC_PROTOCOL},
    {NULL, 0, SHMRPC_OK},
};
enum {
    ANSWERS = sizeof(answers) / sizeof(answers[0])
};

/* The channel belongs to a library server that never runs; we are its hands. */
static int raw_server(void *context)
{
    struct plan *plan = context;
    struct shmrpc_server *server;
    char request[4096];
    char right[256];
    uint32_t length;
    struct raw raw;

    CHILD_CHECK(shmrpc_server_create(plan->peer->name, NULL, &server) == SHMRPC_OK);
    CHILD_CHECK(raw_open(&raw, plan->peer->name));
    plan->peer->ready = 1;
    for (int i = 0; i < ANSWERS; i++) {
        int64_t until = now_ns() + LIMIT_MS * INT64_C(1000000);

        while (sem_trywait(raw.semaphore[REQ_FULL]) != 0) {
            CHILD_CHECK(now_ns() < until);
            sleep_us(100);
        }
        memcpy(&length, raw.segment[REQ], sizeof(length));
        CHILD_CHECK(length < sizeof(request));
        memcpy(request, raw.segment[REQ] + 4, length);
        request[length] = '\0';
        sem_post(raw.semaphore[REQ_EMPTY]);
        /* {"request_id":"ID","method": … */
        char *id = strstr(request, "\"request_id\":\"");

        CHILD_CHECK(id);
        id += strlen("\"request_id\":\"");
        snprintf(right, sizeof(right), "{\"request_id\":\"%.*s\",\"result\":%d,\"error\":null}",
                 (int)strcspn(id, "\""), id, i);
        const char *message = answers[i].message ? answers[i].message : right;

        CHILD_CHECK(sem_trywait(raw.semaphore[RESP_EMPTY]) == 0);
        raw_frame(&raw, RESP,
                  answers[i].length_word ? answers[i].length_word : (uint32_t)strlen(message),
                  message, strlen(message));
        sem_post(raw.semaphore[RESP_FULL]);
    }
    while (!plan->step)
        sleep_us(1000);
    raw_close(&raw);
    shmrpc_server_close(&server);
    return 0;
}

static void SRPC_CALL_004_SRPC_FRAME_004_a_hostile_server(void **state)
{
    struct plan *plan = shared_memory(sizeof(*plan));
    struct shmrpc_client *client;
    struct shmrpc_value result;
    int64_t value;

    (void)state;
    plan->peer = peer_new("hostile");
    pid_t server = spawn(raw_server, plan);

    assert_true(await_flag((volatile int *)&plan->peer->ready, LIMIT_MS));
    assert_int_equal(peer_open(plan->peer, &client), SHMRPC_OK);
    for (int i = 0; i < ANSWERS; i++) {
        assert_int_equal(shmrpc_client_call(client, "m", NULL, 0, &result), answers[i].wanted);
        if (answers[i].wanted == SHMRPC_OK) {
            assert_int_equal(shmrpc_value_int64(&result, &value), SHMRPC_OK);
            assert_int_equal(value, i);
        }
    }
    assert_true(idle_within(plan->peer->name, 1000));
    shmrpc_client_close(&client);
    plan->step = 1;
    assert_int_equal(await_child(server, LIMIT_MS), 0);
    assert_int_equal(objects_of(plan->peer->name), 0);
}

/* ---- truncation */

static void truncate_object(const char *name, enum object object)
{
    char path[300];

    object_path(name, object, path);
    assert_int_equal(truncate(path, 0), 0);
}

static void guard(struct peer *peer)
{
    (void)peer;
    if (shmrpc_sigbus_install() != SHMRPC_OK)
        _exit(9);
}

static int guarded_client(void *context)
{
    struct peer *peer = context;
    struct shmrpc_client *client;

    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    CHILD_CHECK(peer_open(peer, &client) == SHMRPC_OK);
    CHILD_CHECK(echo_works(client, "whole"));
    CHILD_CHECK(shmrpc_client_set_timeout(client, 1000) == SHMRPC_OK);
    peer->inside = 1;
    while (peer->inside == 1)
        sleep_us(500);
    enum shmrpc_status status = shmrpc_client_call(client, "count", NULL, 0, NULL);

    CHILD_CHECK(status == SHMRPC_PROTOCOL);
    shmrpc_client_close(&client);
    return 0;
}

static void check_truncated(enum object object)
{
    struct peer *peer = peer_new("truncated");

    peer->before = guard;
    assert_true(peer_start(peer));
    pid_t client = spawn(guarded_client, peer);

    assert_true(await_flag((volatile int *)&peer->inside, LIMIT_MS));
    truncate_object(peer->name, object);
    peer->inside = 2;
    assert_int_equal(await_child(client, LIMIT_MS), 0);
    /* The server notices at its next touch; nobody dies of it. */
    int status = peer_stop(peer);

    assert_true(status == 0 || (status == 3 && peer->status == SHMRPC_PROTOCOL));
    assert_int_equal(objects_of(peer->name), 0);
}

static void SRPC_SIGBUS_001_truncated_objects_end_as_protocol(void **state)
{
    (void)state;
    check_truncated(REQ);
    check_truncated(REQ_EMPTY);
    check_truncated(RESP_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(SRPC_RECOVER_001_SRPC_FRAME_004_impossible_lengths),
        cmocka_unit_test(SRPC_ENV_014_SRPC_ERR_003_garbage_is_dropped),
        cmocka_unit_test(SRPC_FRAME_002_SRPC_FRAME_008_stale_bytes_do_not_run_again),
        cmocka_unit_test(SRPC_SEM_007_surplus_posts_end_in_a_new_channel),
        cmocka_unit_test(SRPC_SEC_001_a_scribbling_client_harms_no_server),
        cmocka_unit_test(SRPC_CALL_004_SRPC_FRAME_004_a_hostile_server),
        cmocka_unit_test(SRPC_SIGBUS_001_truncated_objects_end_as_protocol),
    };

    return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}

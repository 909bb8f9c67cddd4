/* SPDX-License-Identifier: MIT
 *
 * The byte pipe: messages of any bytes, each way, under the rules of ownership, waiting and
 * recovery that server and client have.
 *
 * Not fired, because no caller can bring them about: the ENSUREs, and the REQUIREs by which static
 * functions hold each other to their order (from free_pipe() to explain()).
 */
#include "raw.h"

#include "shmrpc.h"
#include "../../src/wait.h"

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ends {
    const char *name;
    struct shmrpc_pipe *server;
    struct shmrpc_pipe *client;
    struct raw raw;
    char log[1024];
    size_t descriptors;
};

static void keep_line(void *user, const char *line)
{
    struct ends *ends = user;
    strncat(ends->log, line, sizeof ends->log - strlen(ends->log) - 1);
}

static void join_ends(struct ends *ends, const char *what, size_t buffer_bytes)
{
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    options.buffer_bytes = buffer_bytes;
    options.log = keep_line;
    options.log_user = ends;
    memset(ends, 0, sizeof *ends);
    ends->descriptors = count_descriptors();
    ends->name = raw_name(what);
    assert_int_equal(shmrpc_pipe_create(ends->name, &options, &ends->server), SHMRPC_OK);
    assert_int_equal(shmrpc_pipe_open(ends->name, NULL, &ends->client), SHMRPC_OK);
    raw_open(&ends->raw, ends->name);
}

static void part_ends(struct ends *ends)
{
    raw_close(&ends->raw);
    shmrpc_pipe_close(&ends->client);
    shmrpc_pipe_close(&ends->server);
    assert_null(ends->client);
    assert_null(ends->server);
    assert_int_equal(raw_count(ends->name), 0);
    assert_int_equal(count_descriptors(), ends->descriptors);
}

static void pass(struct shmrpc_pipe *from, struct shmrpc_pipe *to, const void *bytes, size_t length)
{
    const void *data = NULL;
    size_t received = SIZE_MAX;
    assert_int_equal(shmrpc_pipe_send(from, bytes, length, 0), SHMRPC_OK);
    assert_int_equal(shmrpc_pipe_receive(to, &data, &received, 0), SHMRPC_OK);
    assert_int_equal(received, length);
    assert_non_null(data);
    if (length > 0)
        assert_memory_equal(data, bytes, length);
}

static void test_SRPC_FRAME_005_SRPC_FRAME_003_SRPC_FRAME_002_bytes_of_every_length(void **state)
{
    (void)state;
    struct ends ends;
    unsigned char bytes[253];
    join_ends(&ends, "bytes", 256);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7);
    assert_int_equal(shmrpc_pipe_capacity(ends.server), 252);
    assert_int_equal(shmrpc_pipe_capacity(ends.client), 252);
    static const size_t lengths[] = {0, 1, 63, 64, 65, 251, 252};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        pass(ends.client, ends.server, lengths[i] == 0 ? NULL : bytes, lengths[i]);
        pass(ends.server, ends.client, lengths[i] == 0 ? NULL : bytes, lengths[i]);
        assert_raw_values(&ends.raw, 1, 0, 1, 0);
    }
    struct shmrpc_pipe *const both[] = {ends.client, ends.server};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(shmrpc_pipe_send(both[i], bytes, 253, 0), SHMRPC_TOO_LARGE);
        assert_non_null(strstr(shmrpc_pipe_error(both[i]), "253"));
        assert_int_equal(shmrpc_pipe_send(both[i], bytes, SIZE_MAX, 0), SHMRPC_TOO_LARGE);
        assert_raw_values(&ends.raw, 1, 0, 1, 0);
    }
    part_ends(&ends);
}

static void test_SRPC_HAND_003_SRPC_TIME_002_each_way_has_its_slot(void **state)
{
    (void)state;
    struct ends ends;
    const void *data = NULL;
    size_t length;
    join_ends(&ends, "slots", 0);
    assert_int_equal(shmrpc_pipe_receive(ends.server, &data, &length, 0), SHMRPC_TIMEOUT);
    assert_int_equal(shmrpc_pipe_receive(ends.client, &data, &length, 30), SHMRPC_TIMEOUT);
    assert_int_equal(shmrpc_pipe_send(ends.client, "request", 7, SHMRPC_FOREVER), SHMRPC_OK);
    assert_raw_values(&ends.raw, 0, 1, 1, 0);
    assert_int_equal(shmrpc_pipe_send(ends.server, "response", 8, INT_MAX), SHMRPC_OK);
    assert_raw_values(&ends.raw, 0, 1, 0, 1);
    assert_int_equal(shmrpc_pipe_send(ends.client, "x", 1, 0), SHMRPC_TIMEOUT);
    assert_int_equal(shmrpc_pipe_send(ends.server, "x", 1, 20), SHMRPC_TIMEOUT);
    assert_true(strlen(shmrpc_pipe_error(ends.server)) > 0);
    assert_int_equal(shmrpc_pipe_receive(ends.server, &data, &length, SHMRPC_FOREVER), SHMRPC_OK);
    assert_memory_equal(data, "request", 7);
    assert_int_equal(shmrpc_pipe_receive(ends.client, &data, &length, INT_MAX), SHMRPC_OK);
    assert_memory_equal(data, "response", 8);
    part_ends(&ends);
}

static void test_SRPC_TIME_005_times_out_of_range(void **state)
{
    (void)state;
    struct ends ends;
    const void *data;
    size_t length;
    struct shmrpc_pipe *pipe = NULL;
    struct shmrpc_error error;
    struct shmrpc_server_options server = {.timeout_ms = -7, .error = &error};
    struct shmrpc_client_options client = {.wait_busy_ms = -7, .error = &error};
    join_ends(&ends, "range", 0);
    assert_int_equal(shmrpc_pipe_send(ends.client, "x", 1, -2), SHMRPC_INVALID);
    assert_int_equal(shmrpc_pipe_receive(ends.server, &data, &length, INT_MIN), SHMRPC_INVALID);
    assert_int_equal(shmrpc_pipe_create("other", &server, &pipe), SHMRPC_INVALID);
    assert_int_equal(shmrpc_pipe_open(ends.name, &client, &pipe), SHMRPC_INVALID);
    client.wait_busy_ms = 0;
    assert_int_equal(shmrpc_pipe_open(ends.name, &client, &pipe), SHMRPC_BUSY);
    assert_int_equal(error.status, SHMRPC_BUSY);
    server.timeout_ms = 0;
    assert_int_equal(shmrpc_pipe_create(ends.name, &server, &pipe), SHMRPC_BUSY);
    assert_null(pipe);
    part_ends(&ends);
}

static void test_SRPC_RECOVER_001_SRPC_FRAME_004_impossible_lengths_are_dropped(void **state)
{
    (void)state;
    struct ends ends;
    const void *data = NULL;
    size_t length;
    join_ends(&ends, "length", 256);
    assert_true(raw_take(&ends.raw, RAW_REQ_EMPTY, 0));
    raw_set_length(&ends.raw, RAW_REQ, 253);
    raw_post(&ends.raw, RAW_REQ_FULL);
    assert_int_equal(shmrpc_pipe_receive(ends.server, &data, &length, 0), SHMRPC_PROTOCOL);
    assert_non_null(strstr(shmrpc_pipe_error(ends.server), "length"));
    assert_true(raw_take(&ends.raw, RAW_RESP_EMPTY, 0));
    raw_set_length(&ends.raw, RAW_RESP, UINT32_MAX);
    raw_post(&ends.raw, RAW_RESP_FULL);
    assert_int_equal(shmrpc_pipe_receive(ends.client, &data, &length, 0), SHMRPC_PROTOCOL);
    assert_null(data);
    assert_raw_values(&ends.raw, 1, 0, 1, 0);
    pass(ends.client, ends.server, "a", 1);
    pass(ends.server, ends.client, "b", 1);
    part_ends(&ends);
}

static void test_SRPC_SEM_007_a_broken_channel_stays_broken(void **state)
{
    (void)state;
    const void *data;
    size_t length;
    for (int i = RAW_REQ_EMPTY; i < RAW_OBJECTS; i++) {
        struct ends ends;
        join_ends(&ends, "broken", 0);
        raw_set(&ends.raw, (enum raw_object)i, 2);
        struct shmrpc_pipe *finder =
            i == RAW_REQ_EMPTY || i == RAW_RESP_FULL ? ends.client : ends.server;
        enum shmrpc_status status = i == RAW_REQ_EMPTY || i == RAW_RESP_EMPTY
                                        ? shmrpc_pipe_send(finder, "x", 1, 0)
                                        : shmrpc_pipe_receive(finder, &data, &length, 0);
        assert_int_equal(status, SHMRPC_PROTOCOL);
        assert_non_null(strstr(shmrpc_pipe_error(finder), "broke"));
        raw_set_values(&ends.raw, 1, 0, 1, 0);
        assert_int_equal(shmrpc_pipe_send(finder, "x", 1, 0), SHMRPC_PROTOCOL);
        assert_int_equal(shmrpc_pipe_receive(finder, &data, &length, 0), SHMRPC_PROTOCOL);
        part_ends(&ends);
    }
    /* Found when it is posted: the message was written, and nobody is told of it. */
    struct ends ends;
    join_ends(&ends, "broken-post", 0);
    raw_set(&ends.raw, RAW_REQ_FULL, 1);
    assert_int_equal(shmrpc_pipe_send(ends.client, "x", 1, 0), SHMRPC_PROTOCOL);
    part_ends(&ends);
}

static void test_SRPC_LIFE_006_a_polling_server_notices_lost_names(void **state)
{
    (void)state;
    const void *data;
    size_t length;
    for (int sends = 0; sends < 2; sends++) {
        struct ends ends;
        join_ends(&ends, "lost", 0);
        if (sends)
            assert_int_equal(shmrpc_pipe_send(ends.server, "x", 1, 0), SHMRPC_OK);
        raw_unlink(ends.name, RAW_REQ_FULL);
        raw_sleep_ms(20);
        assert_int_equal(sends ? shmrpc_pipe_send(ends.server, "x", 1, 0)
                               : shmrpc_pipe_receive(ends.server, &data, &length, 0),
                         SHMRPC_NOT_FOUND);
        assert_non_null(strstr(shmrpc_pipe_error(ends.server), ends.name));
        assert_int_equal(shmrpc_pipe_receive(ends.server, &data, &length, SHMRPC_FOREVER),
                         SHMRPC_NOT_FOUND);
        part_ends(&ends);
    }
}

static void test_SRPC_RECOVER_008_SRPC_RECOVER_010_SRPC_RECOVER_012_what_a_dead_client_left(
    void **state)
{
    (void)state;
    const void *data;
    size_t length;
    /* Polling, and waiting to send. */
    for (int sends = 0; sends < 2; sends++) {
        struct ends ends;
        join_ends(&ends, "dead-client", 0);
        raw_set_values(&ends.raw, 0, 0, 0, 1);
        shmrpc_pipe_close(&ends.client);
        raw_close(&ends.raw);
        int64_t until = raw_now_ms() + RAW_PATIENCE_MS;
        if (sends)
            assert_int_equal(shmrpc_pipe_send(ends.server, "x", 1, RAW_PATIENCE_MS), SHMRPC_OK);
        else
            while (!raw_values_are(ends.name, 1, 0, 1, 0) && raw_now_ms() < until) {
                assert_int_equal(shmrpc_pipe_receive(ends.server, &data, &length, 0),
                                 SHMRPC_TIMEOUT);
                raw_sleep_ms(5);
            }
        assert_true(raw_values_are(ends.name, 1, 0, !sends, sends));
        assert_non_null(strstr(ends.log, "dead client"));
        part_ends(&ends);
    }
}

/* ---- Death of the server -------------------------------------------------------------------- */

struct victim {
    const char *name;
    bool receives;
    bool responds;
    _Atomic int ready;
    _Atomic int received;
};

static void be_victim(void *context)
{
    struct victim *victim = context;
    struct shmrpc_pipe *pipe;
    const void *data;
    size_t length;
    CHILD_CHECK(shmrpc_pipe_create(victim->name, NULL, &pipe) == SHMRPC_OK);
    atomic_store(&victim->ready, 1);
    if (victim->receives)
        CHILD_CHECK(shmrpc_pipe_receive(pipe, &data, &length, RAW_PATIENCE_MS) == SHMRPC_OK);
    if (victim->responds)
        CHILD_CHECK(shmrpc_pipe_send(pipe, "last", 4, RAW_PATIENCE_MS) == SHMRPC_OK);
    atomic_store(&victim->received, 1);
    for (;;)
        pause();
}

/* Send to a server that is then killed. */
static void send_to_victim(struct ends *ends, const char *what, bool receives, bool responds,
                           size_t length)
{
    struct victim *victim = raw_share(sizeof *victim);
    memset(ends, 0, sizeof *ends);
    ends->descriptors = count_descriptors();
    ends->name = victim->name = raw_name(what);
    victim->receives = receives;
    victim->responds = responds;
    pid_t pid = child_start(be_victim, victim);
    assert_true(raw_await(&victim->ready));
    assert_int_equal(shmrpc_pipe_open(ends->name, NULL, &ends->client), SHMRPC_OK);
    assert_int_equal(shmrpc_pipe_send(ends->client, length > 0 ? "once" : NULL, length, 0),
                     SHMRPC_OK);
    assert_true(raw_await(&victim->received));
    child_kill(pid);
    raw_unshare(victim, sizeof *victim);
    raw_open(&ends->raw, ends->name);
}

static void bury(struct ends *ends)
{
    raw_close(&ends->raw);
    shmrpc_pipe_close(&ends->client);
    assert_int_equal(shmrpc_pipe_create(ends->name, NULL, &ends->server), SHMRPC_OK);
    part_ends(ends);
}

static void test_SRPC_RECOVER_003_SRPC_RECOVER_002_an_untaken_message_is_taken_back(void **state)
{
    (void)state;
    const void *data;
    size_t length;
    /* Polled and waited for; also a message of one byte, and one without bytes. */
    static const size_t lengths[] = {4, 1, 0};
    for (int i = 0; i < 6; i++) {
        struct ends ends;
        int timeout_ms = i % 2 == 0 ? 0 : RAW_PATIENCE_MS;
        send_to_victim(&ends, "untaken", false, false, lengths[i / 2]);
        for (int twice = 0; twice < 2; twice++) {
            assert_int_equal(shmrpc_pipe_receive(ends.client, &data, &length, timeout_ms),
                             SHMRPC_PEER_GONE_NOT_STARTED);
            assert_raw_values(&ends.raw, 1, 0, 1, 0);
        }
        bury(&ends);
    }
}

static void test_SRPC_RECOVER_004_a_taken_message_is_gone(void **state)
{
    (void)state;
    const void *data;
    size_t length;
    struct ends ends;
    send_to_victim(&ends, "taken", true, false, 4);
    for (int twice = 0; twice < 2; twice++)
        assert_int_equal(shmrpc_pipe_receive(ends.client, &data, &length, twice * 500),
                         SHMRPC_PEER_GONE_MAYBE_EXECUTED);
    assert_non_null(strstr(shmrpc_pipe_error(ends.client), "may have"));
    /* Another's message is put back. */
    assert_true(raw_send(&ends.raw, RAW_REQ, "onca", 4, 0));
    assert_int_equal(shmrpc_pipe_receive(ends.client, &data, &length, 0),
                     SHMRPC_PEER_GONE_MAYBE_EXECUTED);
    assert_raw_values(&ends.raw, 0, 1, 1, 0);
    /* No room to send, and nobody to make some. */
    assert_int_equal(shmrpc_pipe_send(ends.client, "more", 4, SHMRPC_FOREVER),
                     SHMRPC_PEER_GONE_NOT_STARTED);
    assert_int_equal(shmrpc_pipe_send(ends.client, "more", 4, 0), SHMRPC_PEER_GONE_NOT_STARTED);
    bury(&ends);
}

static void test_SRPC_RECOVER_002_the_last_act_may_be_the_response(void **state)
{
    (void)state;
    const void *data = NULL;
    size_t length = 0;
    struct ends ends;
    send_to_victim(&ends, "last", true, true, 4);
    assert_int_equal(shmrpc_pipe_receive(ends.client, &data, &length, RAW_PATIENCE_MS), SHMRPC_OK);
    assert_int_equal(length, 4);
    assert_memory_equal(data, "last", 4);
    bury(&ends);
}

/* The server of these ends responded after the poll had looked twice, and died before it asked. */
static struct ends *late;
static int looks;

static int look_too_early(sem_t *semaphore)
{
    if (++looks == 3) {
        raw_write(&late->raw, RAW_RESP, "late", 4);
        raw_set_values(&late->raw, 1, 0, 0, 1);
    }
    return sem_trywait(semaphore);
}

static void test_SRPC_RECOVER_002_the_last_act_may_come_between_two_looks(void **state)
{
    (void)state;
    const void *data = NULL;
    size_t length = 0;
    struct ends ends;
    send_to_victim(&ends, "late", true, false, 4);
    late = &ends;
    looks = 0;
    struct shmrpc_wait_calls calls = shmrpc_wait_calls;
    shmrpc_wait_calls.trywait = look_too_early;
    enum shmrpc_status status = shmrpc_pipe_receive(ends.client, &data, &length, 0);
    shmrpc_wait_calls = calls;
    assert_int_equal(status, SHMRPC_OK);
    assert_int_equal(length, 4);
    assert_memory_equal(data, "late", 4);
    assert_raw_values(&ends.raw, 1, 0, 1, 0);
    bury(&ends);
}

/* ---- Forks, contracts ----------------------------------------------------------------------- */

static void in_forked_child(void *context)
{
    struct ends *ends = context;
    const void *data;
    size_t length;
    CHILD_CHECK(shmrpc_pipe_send(ends->client, "x", 1, 0) == SHMRPC_INVALID);
    CHILD_CHECK(shmrpc_pipe_receive(ends->client, &data, &length, 0) == SHMRPC_INVALID);
    CHILD_CHECK(shmrpc_pipe_send(ends->server, "x", 1, 0) == SHMRPC_INVALID);
    CHILD_CHECK(shmrpc_pipe_receive(ends->server, &data, &length, 0) == SHMRPC_INVALID);
    shmrpc_pipe_close(&ends->client);
    shmrpc_pipe_close(&ends->server);
    CHILD_CHECK(ends->client == NULL && ends->server == NULL);
}

static void test_SRPC_FORK_001_SRPC_FORK_004_a_child_has_no_pipe(void **state)
{
    (void)state;
    struct ends ends;
    join_ends(&ends, "fork", 0);
    child_run(in_forked_child, &ends);
    pass(ends.client, ends.server, "still", 5);
    pass(ends.server, ends.client, "here", 4);
    part_ends(&ends);
}

static void test_broken_contracts_fire(void **state)
{
    (void)state;
    struct ends ends;
    const void *data;
    size_t length;
    struct shmrpc_pipe *none = NULL;
    struct shmrpc_pipe *garbage = calloc(1, 8192);
    assert_non_null(garbage);
    join_ends(&ends, "contract", 0);
    shmrpc_pipe_close(&none);
    expect_check_failure(shmrpc_pipe_close(NULL));
    expect_check_failure(shmrpc_pipe_close(&garbage));
    expect_check_failure(support_ignore(shmrpc_pipe_create(NULL, NULL, &none)));
    expect_check_failure(support_ignore(shmrpc_pipe_create("x", NULL, NULL)));
    expect_check_failure(support_ignore(shmrpc_pipe_open(NULL, NULL, &none)));
    expect_check_failure(support_ignore(shmrpc_pipe_open("x", NULL, NULL)));
    expect_check_failure(support_ignore(shmrpc_pipe_send(ends.client, NULL, 1, 0)));
    expect_check_failure(support_ignore(shmrpc_pipe_send(NULL, "x", 1, 0)));
    expect_check_failure(support_ignore(shmrpc_pipe_receive(ends.client, NULL, &length, 0)));
    expect_check_failure(support_ignore(shmrpc_pipe_receive(ends.client, &data, NULL, 0)));
    expect_check_failure(support_ignore(shmrpc_pipe_receive(garbage, &data, &length, 0)));
    expect_check_failure(support_ignore(shmrpc_pipe_capacity(garbage)));
    expect_check_failure(support_ignore(shmrpc_pipe_error(garbage)));
    part_ends(&ends);
    free(garbage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_SRPC_FRAME_005_SRPC_FRAME_003_SRPC_FRAME_002_bytes_of_every_length),
        cmocka_unit_test(test_SRPC_HAND_003_SRPC_TIME_002_each_way_has_its_slot),
        cmocka_unit_test(test_SRPC_TIME_005_times_out_of_range),
        cmocka_unit_test(test_SRPC_RECOVER_001_SRPC_FRAME_004_impossible_lengths_are_dropped),
        cmocka_unit_test(test_SRPC_SEM_007_a_broken_channel_stays_broken),
        cmocka_unit_test(test_SRPC_LIFE_006_a_polling_server_notices_lost_names),
        cmocka_unit_test(
            test_SRPC_RECOVER_008_SRPC_RECOVER_010_SRPC_RECOVER_012_what_a_dead_client_left),
        cmocka_unit_test(
            test_SRPC_RECOVER_003_SRPC_RECOVER_002_an_untaken_message_is_taken_back),
        cmocka_unit_test(test_SRPC_RECOVER_004_a_taken_message_is_gone),
        cmocka_unit_test(test_SRPC_RECOVER_002_the_last_act_may_be_the_response),
        cmocka_unit_test(test_SRPC_RECOVER_002_the_last_act_may_come_between_two_looks),
        cmocka_unit_test(test_SRPC_FORK_001_SRPC_FORK_004_a_child_has_no_pipe),
        cmocka_unit_test(test_broken_contracts_fire),
    };
    support_limit_seconds(60);
    return cmocka_run_group_tests_name("pipe", tests, NULL, raw_sweep);
}

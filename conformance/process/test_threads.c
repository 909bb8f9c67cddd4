/* SPDX-License-Identifier: MIT
 *
 * Many channels in one process: 64 threads, each with a channel of its own, against 64 threads of
 * another process; with forks in between.
 */
#include "peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    THREADS = 64,
    CALLS = 100
};

struct lane {
    const char *name;
    struct peer peer; /* for the counters of the methods */
    struct shmrpc_server *server;
    bool well;
};

struct many {
    _Atomic int ready;
    _Atomic int stop;
    struct lane lane[THREADS];
};

static void *serve(void *context)
{
    struct lane *lane = context;

    lane->well = shmrpc_server_run(lane->server) == SHMRPC_OK;
    return NULL;
}

static int server_process(void *context)
{
    struct many *many = context;
    pthread_t thread[THREADS];

    for (int i = 0; i < THREADS; i++) {
        struct lane *lane = &many->lane[i];

        CHILD_CHECK(shmrpc_server_create(lane->name, NULL, &lane->server) == SHMRPC_OK);
        peer_register(lane->server, &lane->peer);
    }
    for (int i = 0; i < THREADS; i++)
        CHILD_CHECK(pthread_create(&thread[i], NULL, serve, &many->lane[i]) == 0);
    many->ready = 1;
    while (!many->stop)
        sleep_us(1000);
    for (int i = 0; i < THREADS; i++)
        shmrpc_server_stop(many->lane[i].server);
    for (int i = 0; i < THREADS; i++) {
        CHILD_CHECK(pthread_join(thread[i], NULL) == 0);
        CHILD_CHECK(many->lane[i].well);
        shmrpc_server_close(&many->lane[i].server);
    }
    return 0;
}

/* Every other call goes over a channel that was opened anew. */
static void *call(void *context)
{
    struct lane *lane = context;
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct shmrpc_client *client = NULL;
    struct shmrpc_error error;
    char text[64];

    options.timeout_ms = LIMIT_MS;
    /* A child of a fork meanwhile has a copy of each lock until its fork handler has run. */
    options.wait_busy_ms = LIMIT_MS;
    options.error = &error;
    lane->well = true;
    for (int i = 0; i < CALLS && lane->well; i++) {
        if (!client && shmrpc_client_open(lane->name, &options, &client) != SHMRPC_OK) {
            fprintf(stderr, "open: %s\n", error.text);
            lane->well = false;
            break;
        }
        snprintf(text, sizeof(text), "%s call %d", lane->name, i);
        lane->well = echo_works(client, text) &&
                     shmrpc_client_call(client, "count", NULL, 0, NULL) == SHMRPC_OK;
        if (i % 10 == 0)
            shmrpc_client_close(&client);
    }
    shmrpc_client_close(&client);
    return NULL;
}

static int client_process(void *context)
{
    struct many *many = context;
    pthread_t thread[THREADS];

    for (int i = 0; i < THREADS; i++)
        CHILD_CHECK(pthread_create(&thread[i], NULL, call, &many->lane[i]) == 0);
    /* Forks meanwhile: the child's copies must go, whatever the threads are doing. */
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();

        if (child == 0)
            _exit(0);
        CHILD_CHECK(child > 0 && await_child(child, LIMIT_MS) == 0);
        sleep_us(500);
    }
    for (int i = 0; i < THREADS; i++) {
        CHILD_CHECK(pthread_join(thread[i], NULL) == 0);
        CHILD_CHECK(many->lane[i].well);
    }
    return 0;
}

static void SRPC_NAME_004_SRPC_HAND_005_64_threads_each_with_a_channel(void **state)
{
    struct many *many = shared_memory(sizeof(*many));

    (void)state;
    for (int i = 0; i < THREADS; i++)
        many->lane[i].name = channel_name("thread");
    pid_t server = spawn(server_process, many);

    assert_true(await_flag((volatile int *)&many->ready, LIMIT_MS));
    assert_int_equal(await_child(spawn(client_process, many), 3 * LIMIT_MS), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(many->lane[i].peer.executed, CALLS);
        assert_true(idle_within(many->lane[i].name, 1000));
    }
    many->stop = 1;
    assert_int_equal(await_child(server, LIMIT_MS), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(objects_of(many->lane[i].name), 0);
}

static void SRPC_NAME_004_a_channel_beside_one_with_its_suffix(void **state)
{
    static const char *const suffix[] = {"",           "_req",       "_resp",
                                         "_req_empty", "_resp_full", "_req_req"};
    struct peer *peer[6];
    char name[6][100];
    const char *base = channel_name("a");

    (void)state;
    for (int i = 0; i < 6; i++) {
        snprintf(name[i], sizeof(name[i]), "%s%s", base, suffix[i]);
        peer[i] = peer_new("unused");
        peer[i]->name = name[i];
        assert_true(peer_start(peer[i]));
    }
    for (int i = 0; i < 6; i++)
        assert_true(peer_echo_works(peer[i]));
    for (int i = 0; i < 6; i++) {
        assert_int_equal(peer_stop(peer[i]), 0);
        for (int j = i + 1; j < 6; j++)
            assert_int_equal(objects_of(peer[j]->name), OBJECTS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(SRPC_NAME_004_SRPC_HAND_005_64_threads_each_with_a_channel),
        cmocka_unit_test(SRPC_NAME_004_a_channel_beside_one_with_its_suffix),
    };

    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}

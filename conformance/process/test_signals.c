/* SPDX-License-Identifier: MIT
 *
 * Signals: storms of them on both sides, a stopped owner, and a server's end by SIGTERM.
 */
#include "peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t signals_seen;

static void on_alarm(int number)
{
    (void)number;
    signals_seen++;
}

/* An alarm every so many microseconds; no SA_RESTART, so every system call is interrupted. */
static void start_storm(long microseconds)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval interval = {{0, microseconds}, {0, microseconds}};

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &interval, NULL);
}

static void stop_storm(void)
{
    struct itimerval none = {{0, 0}, {0, 0}};

    setitimer(ITIMER_REAL, &none, NULL);
}

static void storm_in_server(struct peer *peer)
{
    (void)peer;
    start_storm(311);
}

static int client_in_storm(void *context)
{
    struct peer *peer = context;
    struct shmrpc_client *client;
    char text[] = "message 0000";

    start_storm(293);
    CHILD_CHECK(peer_open(peer, &client) == SHMRPC_OK);
    for (int i = 0; i < 500; i++) {
        text[11] = (char)('0' + i % 10);
        CHILD_CHECK(echo_works(client, text));
        /* Long enough to be interrupted on both sides. */
        if (i % 10 == 0)
            CHILD_CHECK(call_nap(client, 2) == SHMRPC_OK);
    }
    stop_storm();
    CHILD_CHECK(signals_seen > 100);
    shmrpc_client_close(&client);
    return 0;
}

static void check_storm(enum shmrpc_wait wait)
{
    struct peer *peer = peer_new("storm");

    peer->wait = wait;
    peer->before = storm_in_server;
    assert_true(peer_start(peer));
    assert_int_equal(await_child(spawn(client_in_storm, peer), LIMIT_MS), 0);
    assert_int_equal(peer->executed, 50);
    assert_true(idle_within(peer->name, 1000));
    assert_int_equal(peer_stop(peer), 0);
    assert_int_equal(objects_of(peer->name), 0);
}

static void SRPC_TIME_004_calls_in_a_storm_of_signals(void **state)
{
    (void)state;
    check_storm(SHMRPC_WAIT_BLOCK);
    check_storm(SHMRPC_WAIT_ADAPTIVE);
}

static void SRPC_TIME_004_a_storm_does_not_move_the_deadline(void **state)
{
    struct peer *peer = peer_new("deadline");
    struct shmrpc_client *client;

    (void)state;
    assert_true(peer_start(peer));
    assert_int_equal(peer_open(peer, &client), SHMRPC_OK);
    assert_int_equal(shmrpc_client_set_timeout(client, 200), SHMRPC_OK);
    start_storm(500);
    int64_t began = now_ns();
    enum shmrpc_status status = call_nap(client, 1500);
    int64_t took = (now_ns() - began) / 1000000;

    stop_storm();
    assert_int_equal(status, SHMRPC_TIMEOUT);
    assert_true(shmrpc_client_maybe_executed(client));
    /* Not before its time, and before the method ended. */
    assert_in_range(took, 200, 1400);
    shmrpc_client_close(&client);
    assert_int_equal(peer_stop(peer), 0);
}

static void SRPC_SEG_005_creation_in_a_storm_of_signals(void **state)
{
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    struct shmrpc_server *server;
    struct shmrpc_error error;
    const char *name = channel_name("reserve");

    (void)state;
    options.buffer_bytes = 8 << 20;
    options.error = &error;
    start_storm(400);
    for (int i = 0; i < 10; i++) {
        enum shmrpc_status status = shmrpc_server_create(name, &options, &server);

        if (status != SHMRPC_OK)
            stop_storm();
        assert_int_equal(status, SHMRPC_OK);
        shmrpc_server_close(&server);
    }
    stop_storm();
    assert_true(signals_seen > 0);
    assert_int_equal(objects_of(name), 0);
}

static void SRPC_OWN_008_a_stopped_owner_is_not_robbed(void **state)
{
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    struct peer *peer = peer_new("stopped");
    struct shmrpc_client *client;
    struct shmrpc_server *server;
    struct shmrpc_error error;

    (void)state;
    options.error = &error;
    assert_true(peer_start(peer));
    assert_int_equal(peer_open(peer, &client), SHMRPC_OK);
    ino_t inode = inode_of(peer->name);

    kill(peer->pid, SIGSTOP);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(shmrpc_server_create(peer->name, &options, &server), SHMRPC_BUSY);
        assert_true(error.text[0] != '\0');
    }
    /* The call is given up in time, and withdrawn: nobody had taken it. */
    assert_int_equal(shmrpc_client_set_timeout(client, 250), SHMRPC_OK);
    assert_int_equal(call_nap(client, 1), SHMRPC_TIMEOUT);
    assert_false(shmrpc_client_maybe_executed(client));
    assert_int_equal(objects_of(peer->name), OBJECTS);
    assert_int_equal(inode_of(peer->name), inode);
    kill(peer->pid, SIGCONT);
    assert_int_equal(shmrpc_client_set_timeout(client, LIMIT_MS), SHMRPC_OK);
    assert_true(echo_works(client, "awake"));
    assert_int_equal(peer->executed, 0);
    shmrpc_client_close(&client);
    assert_int_equal(peer_stop(peer), 0);
}

static void SRPC_SIGNAL_001_SRPC_SIGNAL_002_stop_answers_the_call_in_hand(void **state)
{
    struct peer *peer = peer_new("stop");
    struct shmrpc_client *client;

    (void)state;
    assert_true(peer_start(peer));
    assert_int_equal(peer_open(peer, &client), SHMRPC_OK);
    pid_t killer = fork();

    if (killer == 0) {
        while (!peer->inside)
            sleep_us(200);
        kill(peer->pid, SIGTERM);
        _exit(0);
    }
    assert_int_equal(call_nap(client, 300), SHMRPC_OK);
    assert_int_equal(await_child(killer, LIMIT_MS), 0);
    assert_int_equal(await_child(peer->pid, LIMIT_MS), 0);
    assert_int_equal(peer->executed, 1);
    assert_int_equal(objects_of(peer->name), 0);
    /* And nobody answers any more: a call fails without having run. */
    enum shmrpc_status status = call_nap(client, 1);

    assert_true(status != SHMRPC_OK);
    assert_false(shmrpc_client_maybe_executed(client));
    shmrpc_client_close(&client);
}

static void SRPC_SIGNAL_001_stop_ends_an_idle_server(void **state)
{
    struct peer *peer = peer_new("idle-stop");

    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_true(peer_start(peer));
        sleep_us(i * 3000);
        assert_int_equal(peer_stop(peer), 0);
        assert_int_equal(objects_of(peer->name), 0);
    }
}

static void SRPC_WAIT_003_idle_sides_block(void **state)
{
    struct peer *peer = peer_new("idle");
    struct rusage usage;
    int status;

    (void)state;
    assert_true(peer_start(peer));
    assert_true(peer_echo_works(peer));
    sleep_us(1000000);
    kill(peer->pid, SIGTERM);
    assert_int_equal(wait4(peer->pid, &status, 0, &usage), peer->pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    long used = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec +
                (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000;

    /* A spinning one would have used the whole second. */
    assert_in_range(used, 0, 500000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(SRPC_TIME_004_calls_in_a_storm_of_signals),
        cmocka_unit_test(SRPC_TIME_004_a_storm_does_not_move_the_deadline),
        cmocka_unit_test(SRPC_SEG_005_creation_in_a_storm_of_signals),
        cmocka_unit_test(SRPC_OWN_008_a_stopped_owner_is_not_robbed),
        cmocka_unit_test(SRPC_SIGNAL_001_SRPC_SIGNAL_002_stop_answers_the_call_in_hand),
        cmocka_unit_test(SRPC_SIGNAL_001_stop_ends_an_idle_server),
        cmocka_unit_test(SRPC_WAIT_003_idle_sides_block),
    };

    return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}

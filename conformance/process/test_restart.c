/* SPDX-License-Identifier: MIT
 *
 * Death and restart: a server killed at chosen moments, with clients attached and waiting, as root
 * and as an unprivileged user. (kill.c does the same at random moments.)
 */
#include "peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Most milliseconds between a server's death and the client's knowing: the specified second, and
 * another one for a busy machine. */
enum {
    LEARN_MS = 2000
};

/* The steps of a client and its parent, in lock-step. */
struct scene {
    struct peer *peer;
    _Atomic int step;   /* what the client has reached */
    _Atomic int go;     /* what it may go on to */
    _Atomic int status; /* of the call under test, plus 1 */
    _Atomic int maybe;
    _Atomic int64_t returned_ns;
    int naps; /* milliseconds of the call under test */
};

static void reach(struct scene *scene, int step)
{
    scene->step = step;
    while (scene->go < step)
        sleep_us(200);
}

static bool await_step(const struct scene *scene, int step)
{
    int64_t until = now_ns() + LIMIT_MS * INT64_C(1000000);

    while (scene->step < step) {
        if (now_ns() > until)
            return false;
        sleep_us(200);
    }
    return true;
}

/* Attach; call once; make the call under test; then call until a new server answers. */
static int attached_client(void *context)
{
    struct scene *scene = context;
    struct shmrpc_client *client;
    int tries = 0;

    CHILD_CHECK(peer_open(scene->peer, &client) == SHMRPC_OK);
    CHILD_CHECK(echo_works(client, "first"));
    reach(scene, 1);
    enum shmrpc_status status = call_nap(client, scene->naps);

    scene->returned_ns = now_ns();
    scene->maybe = shmrpc_client_maybe_executed(client);
    scene->status = 1 + (int)status;
    reach(scene, 2);
    /* The next call attaches anew or fails as one that has not run. */
    while ((status = shmrpc_client_call(client, "count", NULL, 0, NULL)) != SHMRPC_OK) {
        CHILD_CHECK(status == SHMRPC_NOT_FOUND || status == SHMRPC_BUSY ||
                    status == SHMRPC_PEER_GONE_NOT_STARTED);
        CHILD_CHECK(!shmrpc_client_maybe_executed(client));
        CHILD_CHECK(++tries < 100);
        sleep_us(10000);
    }
    CHILD_CHECK(echo_works(client, "second"));
    shmrpc_client_close(&client);
    return 0;
}

static struct scene *scene_new(const char *what, uid_t uid, int naps)
{
    struct scene *scene = shared_memory(sizeof(*scene));

    scene->peer = peer_new(what);
    scene->peer->uid = uid;
    scene->naps = naps;
    return scene;
}

static pid_t start_client(struct scene *scene)
{
    uid_t uid = scene->peer->uid ? scene->peer->uid : geteuid();
    pid_t client = spawn_as(uid, attached_client, scene);

    assert_true(await_step(scene, 1));
    return client;
}

static void finish(struct scene *scene, pid_t client)
{
    scene->go = 2;
    assert_int_equal(await_child(client, LIMIT_MS), 0);
    assert_true(peer_echo_works(scene->peer));
    assert_true(idle_within(scene->peer->name, 1000));
    assert_int_equal(peer_stop(scene->peer), 0);
    assert_int_equal(objects_of(scene->peer->name), 0);
}

/* The server dies in the handler: the waiting client learns soon, and the call may have run. */
static void die_in_handler(uid_t uid)
{
    struct scene *scene = scene_new("in-handler", uid, 10000);

    assert_true(peer_start(scene->peer));
    pid_t client = start_client(scene);

    scene->go = 1;
    assert_true(await_flag((volatile int *)&scene->peer->inside, LIMIT_MS));
    int64_t killed = now_ns();

    peer_kill(scene->peer);
    assert_true(await_step(scene, 2));
    assert_int_equal(scene->status, 1 + SHMRPC_PEER_GONE_MAYBE_EXECUTED);
    assert_true(scene->maybe);
    assert_in_range((scene->returned_ns - killed) / 1000000, 0, LEARN_MS);
    /* Restart with the client attached, with nothing cleaned by hand. */
    assert_int_equal(objects_of(scene->peer->name), OBJECTS);
    assert_true(peer_start(scene->peer));
    finish(scene, client);
    assert_int_equal(scene->peer->executed, 1);
}

/* It dies before it took the request: the call has certainly not run. */
static void die_before_the_take(uid_t uid)
{
    struct scene *scene = scene_new("before", uid, 1);

    assert_true(peer_start(scene->peer));
    pid_t client = start_client(scene);

    kill(scene->peer->pid, SIGSTOP);
    scene->go = 1;
    sleep_us(100000);
    int64_t killed = now_ns();

    peer_kill(scene->peer);
    assert_true(await_step(scene, 2));
    assert_int_equal(scene->status, 1 + SHMRPC_PEER_GONE_NOT_STARTED);
    assert_false(scene->maybe);
    assert_in_range((scene->returned_ns - killed) / 1000000, 0, LEARN_MS);
    assert_int_equal(scene->peer->executed, 0);
    assert_true(peer_start(scene->peer));
    finish(scene, client);
    /* The one count; the call that was given up never runs. */
    assert_int_equal(scene->peer->executed, 1);
}

/* It dies while its client is between two calls, and is back before the next one. */
static void die_idle(uid_t uid)
{
    struct scene *scene = scene_new("idle", uid, 1);

    assert_true(peer_start(scene->peer));
    pid_t client = start_client(scene);

    peer_kill(scene->peer);
    assert_true(peer_start(scene->peer));
    scene->go = 1;
    assert_true(await_step(scene, 2));
    assert_true(scene->status == 1 + SHMRPC_OK ||
                (scene->status == 1 + SHMRPC_PEER_GONE_NOT_STARTED && !scene->maybe));
    int ran = scene->status == 1 + SHMRPC_OK;

    finish(scene, client);
    assert_int_equal(scene->peer->executed, ran + 1);
}

static void as_every_user(void (*test)(uid_t uid))
{
    test(0);
    if (geteuid() == 0)
        test(NOBODY);
}

static void SRPC_RECOVER_002_SRPC_RECOVER_004_death_in_the_handler(void **state)
{
    (void)state;
    as_every_user(die_in_handler);
}

static void SRPC_RECOVER_003_SRPC_CALL_009_death_before_the_take(void **state)
{
    (void)state;
    as_every_user(die_before_the_take);
}

static void SRPC_CALL_010_SRPC_RECLAIM_004_restart_between_two_calls(void **state)
{
    (void)state;
    as_every_user(die_idle);
}

static void restart_often(uid_t uid)
{
    struct peer *peer = peer_new("often");

    peer->uid = uid;
    for (int i = 0; i < 20; i++) {
        assert_true(peer_start(peer));
        assert_true(peer_echo_works(peer));
        peer_kill(peer);
        assert_int_equal(objects_of(peer->name), OBJECTS);
    }
    assert_true(peer_start(peer));
    assert_int_equal(peer_stop(peer), 0);
    assert_int_equal(objects_of(peer->name), 0);
}

static void SRPC_RECLAIM_009_SRPC_RECLAIM_010_twenty_restarts(void **state)
{
    (void)state;
    as_every_user(restart_often);
}

/* A client that is killed at a chosen point of its calls; the server must serve the next. */
struct visit {
    struct peer *peer;
    _Atomic int attached;
};

static int client_in_long_call(void *context)
{
    struct visit *visit = context;
    struct shmrpc_client *client;

    CHILD_CHECK(peer_open(visit->peer, &client) == SHMRPC_OK);
    visit->attached = 1;
    (void)!call_nap(client, 300);
    return 0;
}

static void kill_waiting_client(uid_t uid)
{
    struct visit *visit = shared_memory(sizeof(*visit));
    struct peer *peer = peer_new("waiting");

    peer->uid = uid;
    visit->peer = peer;
    assert_true(peer_start(peer));
    pid_t client = spawn_as(uid ? uid : geteuid(), client_in_long_call, visit);

    /* Its response comes after its death, and nobody collects it. */
    assert_true(await_flag((volatile int *)&peer->inside, LIMIT_MS));
    kill_child(client);
    assert_true(peer_echo_works(peer));
    assert_int_equal(peer->executed, 1);
    assert_true(idle_within(peer->name, 2000));
    assert_int_equal(peer_stop(peer), 0);
}

static void SRPC_RECOVER_010_SRPC_RECOVER_012_client_dies_waiting(void **state)
{
    (void)state;
    as_every_user(kill_waiting_client);
}

static int second_client(void *context)
{
    struct peer *peer = context;
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct shmrpc_client *client;

    CHILD_CHECK(shmrpc_client_open(peer->name, &options, &client) == SHMRPC_BUSY);
    options.wait_busy_ms = 100;
    CHILD_CHECK(shmrpc_client_open(peer->name, &options, &client) == SHMRPC_BUSY);
    peer->inside = 1;
    options.wait_busy_ms = LIMIT_MS;
    CHILD_CHECK(shmrpc_client_open(peer->name, &options, &client) == SHMRPC_OK);
    CHILD_CHECK(echo_works(client, "at last"));
    shmrpc_client_close(&client);
    return 0;
}

static void SRPC_ATTACH_010_SRPC_ATTACH_011_one_client_at_a_time(void **state)
{
    struct peer *peer = peer_new("busy");
    struct shmrpc_client *client;

    (void)state;
    assert_true(peer_start(peer));
    assert_int_equal(peer_open(peer, &client), SHMRPC_OK);
    pid_t second = spawn(second_client, peer);

    assert_true(await_flag((volatile int *)&peer->inside, LIMIT_MS));
    assert_true(echo_works(client, "mine"));
    shmrpc_client_close(&client);
    assert_int_equal(await_child(second, LIMIT_MS), 0);
    assert_int_equal(objects_of(peer->name), OBJECTS);
    assert_int_equal(peer_stop(peer), 0);
}

static void SRPC_LIFE_002_SRPC_LIFE_003_who_ends_removes_what(void **state)
{
    struct peer *peer = peer_new("ends");
    struct shmrpc_client *client;
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;

    (void)state;
    assert_true(peer_start(peer));
    assert_int_equal(peer_open(peer, &client), SHMRPC_OK);
    shmrpc_client_close(&client);
    assert_int_equal(objects_of(peer->name), OBJECTS);
    options.buffer_bytes = 1 << 20;
    assert_int_equal(shmrpc_client_open(peer->name, &options, &client), SHMRPC_TOO_LARGE);
    assert_int_equal(objects_of(peer->name), OBJECTS);
    assert_int_equal(peer_stop(peer), 0);
    assert_int_equal(objects_of(peer->name), 0);
    options.buffer_bytes = 0;
    assert_int_equal(shmrpc_client_open(peer->name, &options, &client), SHMRPC_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(SRPC_RECOVER_002_SRPC_RECOVER_004_death_in_the_handler),
        cmocka_unit_test(SRPC_RECOVER_003_SRPC_CALL_009_death_before_the_take),
        cmocka_unit_test(SRPC_CALL_010_SRPC_RECLAIM_004_restart_between_two_calls),
        cmocka_unit_test(SRPC_RECLAIM_009_SRPC_RECLAIM_010_twenty_restarts),
        cmocka_unit_test(SRPC_RECOVER_010_SRPC_RECOVER_012_client_dies_waiting),
        cmocka_unit_test(SRPC_ATTACH_010_SRPC_ATTACH_011_one_client_at_a_time),
        cmocka_unit_test(SRPC_LIFE_002_SRPC_LIFE_003_who_ends_removes_what),
    };

    return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}

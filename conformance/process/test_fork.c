/* SPDX-License-Identifier: MIT
 *
 * Fork: a child owns nothing of its parent's channels, keeps none of them alive and removes none.
 */
#include "peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether the process has any object of the channel mapped or open. By inode: an object that was
 * made without a name shows none in /proc. */
static bool holds(pid_t pid, const char *name)
{
    char path[300];
    char line[1024];
    struct stat object[OBJECTS];
    bool found = false;

    for (int i = 0; i < OBJECTS; i++) {
        object_path(name, (enum object)i, path);
        assert_int_equal(lstat(path, &object[i]), 0);
    }
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "r");

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        unsigned long inode;

        if (strstr(line, "/dev/shm/") && sscanf(line, "%*s %*s %*s %*s %lu", &inode) == 1)
            for (int i = 0; i < OBJECTS; i++)
                found |= object[i].st_ino == inode;
    }
    fclose(maps);
    for (int fd = 3; fd < 256; fd++) {
        struct stat status;

        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
        for (int i = 0; stat(path, &status) == 0 && i < OBJECTS; i++)
            found |= object[i].st_ino == status.st_ino && object[i].st_dev == status.st_dev;
    }
    return found;
}

struct family {
    struct peer *peer;
    _Atomic int child; /* pid of the server's child */
};

static _Noreturn void sleep_for_ever(void)
{
    /* No orphan outlives a test that failed. */
    alarm(60);
    for (;;)
        pause();
}

/* A server that forks after it has published, and serves on. */
static int forking_server(void *context)
{
    struct family *family = context;
    struct shmrpc_server *server;

    CHILD_CHECK(shmrpc_server_create(family->peer->name, NULL, &server) == SHMRPC_OK);
    peer_register(server, family->peer);
    pid_t child = fork();

    if (child == 0) {
        family->child = getpid();
        sleep_for_ever();
    }
    while (family->child == 0)
        sleep_us(100);
    family->peer->ready = 1;
    (void)!shmrpc_server_run(server);
    return 1;
}

static void SRPC_FORK_002_SRPC_FORK_003_child_keeps_no_dead_server_alive(void **state)
{
    struct family *family = shared_memory(sizeof(*family));
    struct peer *peer = peer_new("forking");

    (void)state;
    family->peer = peer;
    /* So that the orphan becomes ours, and can be waited for. */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    peer->pid = spawn(forking_server, family);
    assert_true(await_flag((volatile int *)&peer->ready, LIMIT_MS));
    assert_true(peer_echo_works(peer));
    assert_true(holds(peer->pid, peer->name));
    assert_false(holds(family->child, peer->name));
    peer_kill(peer);
    assert_int_equal(kill(family->child, 0), 0);
    assert_int_equal(objects_of(peer->name), OBJECTS);
    /* The child of the dead one lives, and the name is free for the next server at once. */
    assert_true(peer_start(peer));
    assert_true(peer_echo_works(peer));
    assert_int_equal(kill(family->child, 0), 0);
    kill_child(family->child);
    assert_int_equal(peer_stop(peer), 0);
    assert_int_equal(objects_of(peer->name), 0);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

struct handles {
    struct shmrpc_server *server;
    struct shmrpc_client *client;
    struct shmrpc_pipe *out;
    struct shmrpc_pipe *in;
};

static enum shmrpc_status refuse(struct shmrpc_call *call, void *user)
{
    (void)user;
    return shmrpc_call_fail(call, "RuntimeError", "a child's method");
}

/* In a child: every handle of the parent is dead, and closing them removes nothing. */
static int child_with_dead_handles(void *context)
{
    struct handles *handles = context;
    const void *data;
    size_t length;

    CHILD_CHECK(shmrpc_server_step(handles->server, 0) == SHMRPC_INVALID);
    CHILD_CHECK(shmrpc_server_run(handles->server) == SHMRPC_INVALID);
    CHILD_CHECK(shmrpc_client_call(handles->client, "echo", NULL, 0, NULL) == SHMRPC_INVALID);
    CHILD_CHECK(!shmrpc_client_maybe_executed(handles->client));
    CHILD_CHECK(shmrpc_pipe_send(handles->out, "x", 1, 0) == SHMRPC_INVALID);
    CHILD_CHECK(shmrpc_pipe_receive(handles->in, &data, &length, 0) == SHMRPC_INVALID);
    /* What concerns the copy alone still works, and changes nothing of the parent's. */
    CHILD_CHECK(shmrpc_server_error(handles->server)[0] != '\0');
    CHILD_CHECK(shmrpc_server_register(handles->server, "echo", refuse, NULL) == SHMRPC_OK);
    CHILD_CHECK(shmrpc_client_set_timeout(handles->client, 1) == SHMRPC_OK);
    CHILD_CHECK(shmrpc_client_buffer_bytes(handles->client) > 0);
    shmrpc_server_close(&handles->server);
    shmrpc_client_close(&handles->client);
    shmrpc_pipe_close(&handles->out);
    shmrpc_pipe_close(&handles->in);
    return 0;
}

static int child_that_just_exits(void *context)
{
    (void)context;
    return 0;
}

static void SRPC_FORK_001_SRPC_FORK_004_handles_are_dead_in_a_child(void **state)
{
    struct peer *peer = peer_new("partner");
    const char *own = channel_name("own");
    const char *pipe_name = channel_name("pipe");
    struct handles handles;
    const void *data;
    size_t length;

    (void)state;
    assert_true(peer_start(peer));
    assert_int_equal(peer_open(peer, &handles.client), SHMRPC_OK);
    assert_int_equal(shmrpc_server_create(own, NULL, &handles.server), SHMRPC_OK);
    assert_int_equal(shmrpc_pipe_create(pipe_name, NULL, &handles.in), SHMRPC_OK);
    assert_int_equal(shmrpc_pipe_open(pipe_name, NULL, &handles.out), SHMRPC_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(await_child(spawn(child_with_dead_handles, &handles), LIMIT_MS), 0);
        assert_int_equal(await_child(spawn(child_that_just_exits, NULL), LIMIT_MS), 0);
        assert_int_equal(objects_of(peer->name), OBJECTS);
        assert_int_equal(objects_of(own), OBJECTS);
        assert_int_equal(objects_of(pipe_name), OBJECTS);
        /* The parent's own are as alive as before. */
        assert_true(echo_works(handles.client, "still"));
        assert_int_equal(shmrpc_server_step(handles.server, 0), SHMRPC_TIMEOUT);
        assert_int_equal(shmrpc_pipe_send(handles.out, "ping", 4, LIMIT_MS), SHMRPC_OK);
        assert_int_equal(shmrpc_pipe_receive(handles.in, &data, &length, LIMIT_MS), SHMRPC_OK);
        assert_int_equal(length, 4);
    }
    shmrpc_client_close(&handles.client);
    shmrpc_server_close(&handles.server);
    shmrpc_pipe_close(&handles.out);
    shmrpc_pipe_close(&handles.in);
    assert_int_equal(objects_of(own), 0);
    assert_int_equal(objects_of(pipe_name), 0);
    assert_int_equal(peer_stop(peer), 0);
}

/* A client that forks, leaves its child behind and dies. */
static int forking_client(void *context)
{
    struct family *family = context;
    struct shmrpc_client *client;

    CHILD_CHECK(peer_open(family->peer, &client) == SHMRPC_OK);
    CHILD_CHECK(echo_works(client, "before"));
    pid_t child = fork();

    if (child == 0) {
        family->child = getpid();
        sleep_for_ever();
    }
    CHILD_CHECK(echo_works(client, "after"));
    /* Only then has the child let go: the handlers of its fork() have run. */
    while (family->child == 0)
        sleep_us(100);
    kill(getpid(), SIGKILL);
    return 1;
}

static void SRPC_FORK_002_child_keeps_no_dead_client_attached(void **state)
{
    struct family *family = shared_memory(sizeof(*family));
    struct peer *peer = peer_new("client");

    (void)state;
    family->peer = peer;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_true(peer_start(peer));
    assert_int_equal(await_child(spawn(forking_client, family), LIMIT_MS), 1000 + SIGKILL);
    assert_false(holds(family->child, peer->name));
    assert_true(peer_echo_works(peer));
    assert_int_equal(kill(family->child, 0), 0);
    kill_child(family->child);
    assert_int_equal(peer_stop(peer), 0);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

/* A server whose handler forks, as a handler that starts a program does. */
static enum shmrpc_status start_program(struct shmrpc_call *call, void *user)
{
    (void)user;
    pid_t child = fork();

    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "ls -l /proc/self/fd | grep -c srb_; exit 0", (char *)NULL);
        _exit(127);
    }
    int status = await_child(child, LIMIT_MS);

    return shmrpc_call_answer_int64(call, status);
}

static int server_that_starts_programs(void *context)
{
    struct peer *peer = context;
    struct shmrpc_server *server;

    CHILD_CHECK(shmrpc_server_create(peer->name, NULL, &server) == SHMRPC_OK);
    CHILD_CHECK(shmrpc_server_register(server, "start", start_program, NULL) == SHMRPC_OK);
    peer->ready = 1;
    for (int i = 0; i < 5; i++)
        CHILD_CHECK(shmrpc_server_step(server, LIMIT_MS) == SHMRPC_OK);
    shmrpc_server_close(&server);
    return 0;
}

static void SRPC_FORK_004_handlers_may_start_programs(void **state)
{
    struct peer *peer = peer_new("starter");
    struct shmrpc_client *client;
    struct shmrpc_value result;
    int64_t status;

    (void)state;
    peer->pid = spawn(server_that_starts_programs, peer);
    assert_int_equal(peer_open(peer, &client), SHMRPC_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(shmrpc_client_call(client, "start", NULL, 0, &result), SHMRPC_OK);
        assert_int_equal(shmrpc_value_int64(&result, &status), SHMRPC_OK);
        assert_int_equal(status, 0);
    }
    shmrpc_client_close(&client);
    assert_int_equal(await_child(peer->pid, LIMIT_MS), 0);
    assert_int_equal(objects_of(peer->name), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(SRPC_FORK_002_SRPC_FORK_003_child_keeps_no_dead_server_alive),
        cmocka_unit_test(SRPC_FORK_001_SRPC_FORK_004_handles_are_dead_in_a_child),
        cmocka_unit_test(SRPC_FORK_002_child_keeps_no_dead_client_attached),
        cmocka_unit_test(SRPC_FORK_004_handlers_may_start_programs),
    };

    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT
 *
 * The two-slot state machine below client and server, and what its parts refuse.
 *
 * Not fired, because no caller can bring them about: UNREACHABLE and the ENSUREs of
 * message_capacity(), shmrpc_channel_complete() and shmrpc_channel_attach(); the INVARIANT of
 * in_child(), which would fire in a forked child only.
 */
#include "child.h"
#include "clock.h"
#include "raw.h"

#include "channel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct shmrpc_channel *publish(const char *name, size_t bytes)
{
    struct shmrpc_channel *channel = NULL;
    assert_int_equal(shmrpc_channel_claim(name, bytes, SHMRPC_WAIT_BLOCK, &channel, NULL),
                     SHMRPC_OK);
    assert_int_equal(shmrpc_channel_complete(channel, NULL), SHMRPC_OK);
    return channel;
}

static enum shmrpc_status attach(const char *name, struct shmrpc_channel **channel)
{
    return shmrpc_channel_attach(name, 0, SHMRPC_WAIT_BLOCK, channel, NULL);
}

struct pair {
    const char *name;
    struct shmrpc_channel *server;
    struct shmrpc_channel *client;
    struct raw raw;
};

static void make_pair(struct pair *pair, const char *what)
{
    memset(pair, 0, sizeof *pair);
    pair->name = raw_name(what);
    pair->server = publish(pair->name, 256);
    assert_int_equal(attach(pair->name, &pair->client), SHMRPC_OK);
    raw_open(&pair->raw, pair->name);
}

static void end_pair(struct pair *pair)
{
    raw_close(&pair->raw);
    shmrpc_channel_close(&pair->client);
    shmrpc_channel_close(&pair->server);
    assert_int_equal(raw_count(pair->name), 0);
}

static struct shmrpc_deadline soon(int timeout_ms)
{
    struct shmrpc_deadline deadline;
    shmrpc_deadline_start(&deadline, timeout_ms, NULL, NULL);
    return deadline;
}

static void send(struct shmrpc_channel *channel, const char *text)
{
    struct shmrpc_deadline deadline = soon(0);
    char *body;
    size_t capacity;
    assert_int_equal(shmrpc_channel_begin(channel, &deadline, &body, &capacity), SHMRPC_OK);
    assert_int_equal(capacity, 252);
    memcpy(body, text, strlen(text));
    assert_int_equal(shmrpc_channel_commit(channel, strlen(text)), SHMRPC_OK);
}

static enum shmrpc_status receive(struct shmrpc_channel *channel, char text[253])
{
    struct shmrpc_deadline deadline = soon(0);
    size_t length = 0;
    enum shmrpc_status status = shmrpc_channel_receive(channel, &deadline, text, &length);
    text[length] = '\0';
    return status;
}

static void test_SRPC_HAND_001_SRPC_HAND_002_SRPC_HAND_003_SRPC_HAND_005_the_states_of_a_call(
    void **state)
{
    (void)state;
    struct pair pair;
    char text[253];
    char *body;
    size_t capacity;
    make_pair(&pair, "states");
    struct shmrpc_deadline deadline = soon(0);
    assert_raw_values(&pair.raw, 1, 0, 1, 0);
    assert_int_equal(shmrpc_channel_begin(pair.client, &deadline, &body, &capacity), SHMRPC_OK);
    assert_raw_values(&pair.raw, 0, 0, 1, 0);
    memcpy(body, "ask", 3);
    assert_int_equal(raw_length(&pair.raw, RAW_REQ), 0);
    assert_int_equal(shmrpc_channel_commit(pair.client, 3), SHMRPC_OK);
    assert_raw_values(&pair.raw, 0, 1, 1, 0);
    assert_int_equal(raw_length(&pair.raw, RAW_REQ), 3);
    assert_int_equal(receive(pair.server, text), SHMRPC_OK);
    assert_string_equal(text, "ask");
    assert_raw_values(&pair.raw, 1, 0, 1, 0);
    assert_int_equal(shmrpc_channel_begin(pair.server, &deadline, &body, &capacity), SHMRPC_OK);
    assert_raw_values(&pair.raw, 1, 0, 0, 0);
    assert_int_equal(shmrpc_channel_commit(pair.server, 0), SHMRPC_OK);
    assert_raw_values(&pair.raw, 1, 0, 0, 1);
    assert_int_equal(receive(pair.client, text), SHMRPC_OK);
    assert_string_equal(text, "");
    assert_raw_values(&pair.raw, 1, 0, 1, 0);
    assert_int_equal(receive(pair.client, text), SHMRPC_TIMEOUT);
    end_pair(&pair);
}

static void test_SRPC_FRAME_003_an_abandoned_slot_is_as_it_was(void **state)
{
    (void)state;
    struct pair pair;
    char *body;
    size_t capacity;
    make_pair(&pair, "abandon");
    struct shmrpc_deadline deadline = soon(0);
    struct shmrpc_channel *const both[] = {pair.client, pair.server};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(shmrpc_channel_begin(both[i], &deadline, &body, &capacity), SHMRPC_OK);
        assert_ptr_equal(shmrpc_channel_body(both[i], &capacity), body);
        assert_int_equal(shmrpc_channel_abandon(both[i]), SHMRPC_OK);
        assert_raw_values(&pair.raw, 1, 0, 1, 0);
    }
    end_pair(&pair);
}

static void test_SRPC_CALL_007_SRPC_RECOVER_004_withdrawing(void **state)
{
    (void)state;
    struct pair pair;
    char text[253];
    make_pair(&pair, "withdraw");
    assert_false(shmrpc_channel_withdraw(pair.client, "ask", 3));
    send(pair.client, "ask me");
    assert_true(shmrpc_channel_withdraw(pair.client, "ask", 3));
    assert_raw_values(&pair.raw, 1, 0, 1, 0);
    assert_int_equal(raw_length(&pair.raw, RAW_REQ), 0);
    send(pair.client, "ask me");
    assert_false(shmrpc_channel_withdraw(pair.client, "asked", 5));
    assert_false(shmrpc_channel_withdraw(pair.client, "ask me more", 11));
    assert_raw_values(&pair.raw, 0, 1, 1, 0);
    /* An impossible length is another's too. */
    raw_set_length(&pair.raw, RAW_REQ, 253);
    assert_false(shmrpc_channel_withdraw(pair.client, "ask", 3));
    raw_set_length(&pair.raw, RAW_REQ, 6);
    assert_int_equal(receive(pair.server, text), SHMRPC_OK);
    assert_string_equal(text, "ask me");
    end_pair(&pair);
}

static void test_SRPC_SEM_007_broken_channels_say_so(void **state)
{
    (void)state;
    struct pair pair;
    char text[253];
    char *body;
    size_t capacity;
    struct shmrpc_deadline deadline = soon(0);
    make_pair(&pair, "broken");
    raw_set(&pair.raw, RAW_REQ_EMPTY, 2);
    assert_int_equal(shmrpc_channel_begin(pair.client, &deadline, &body, &capacity),
                     SHMRPC_PROTOCOL);
    assert_true(pair.client->broken);
    assert_false(pair.client->inside);
    /* Nothing is taken back from a broken channel. */
    raw_set_values(&pair.raw, 0, 1, 1, 0);
    assert_false(shmrpc_channel_withdraw(pair.client, "", 0));
    raw_set_values(&pair.raw, 1, 1, 1, 0);
    assert_int_equal(receive(pair.server, text), SHMRPC_PROTOCOL);
    assert_true(pair.server->broken);
    end_pair(&pair);
    make_pair(&pair, "broken-commit");
    assert_int_equal(shmrpc_channel_begin(pair.server, &deadline, &body, &capacity), SHMRPC_OK);
    raw_set(&pair.raw, RAW_RESP_FULL, 1);
    assert_int_equal(shmrpc_channel_commit(pair.server, 0), SHMRPC_PROTOCOL);
    assert_true(pair.server->broken);
    end_pair(&pair);
}

static void test_SRPC_RECOVER_008_SRPC_RECOVER_010_SRPC_RECOVER_011_suspicion_and_repair(
    void **state)
{
    (void)state;
    /* Values, whether they are suspicious, and what a repair makes of them. */
    static const int cases[][9] = {
        {1, 0, 1, 0, false, 1, 0, 1, 0}, {0, 1, 1, 0, false, 0, 1, 1, 0},
        {0, 0, 1, 0, true, 1, 0, 1, 0},  {1, 0, 0, 1, true, 1, 0, 1, 0},
        {1, 0, 0, 0, true, 1, 0, 1, 0},  {0, 1, 0, 1, true, 0, 1, 1, 0},
        {0, 1, 0, 0, true, 0, 1, 1, 0},  {0, 0, 0, 1, true, 1, 0, 1, 0},
        {0, 0, 0, 0, true, 1, 0, 1, 0},
    };
    struct pair pair;
    make_pair(&pair, "repair");
    /* What no death leaves is no case for a repair. */
    raw_set_values(&pair.raw, 1, 0, 0, 2);
    struct shmrpc_channel_values odd = shmrpc_channel_values(pair.server);
    assert_null(shmrpc_channel_repair(pair.server, &odd));
    assert_raw_values(&pair.raw, 1, 0, 0, 2);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int *c = cases[i];
        raw_set_values(&pair.raw, (unsigned)c[0], (unsigned)c[1], (unsigned)c[2], (unsigned)c[3]);
        struct shmrpc_channel_values values = shmrpc_channel_values(pair.server);
        assert_memory_equal(values.value, c, sizeof values.value);
        assert_int_equal(shmrpc_channel_suspicious(&values), c[4]);
        /* Not proven to stand still: nothing is done. */
        struct shmrpc_channel_values others = {{1, 1, 1, 1}};
        assert_null(shmrpc_channel_repair(pair.server, &others));
        assert_raw_values(&pair.raw, c[0], c[1], c[2], c[3]);
        assert_true((shmrpc_channel_repair(pair.server, &values) != NULL) == (bool)c[4]);
        assert_raw_values(&pair.raw, c[5], c[6], c[7], c[8]);
    }
    assert_false(pair.server->broken);
    raw_set_values(&pair.raw, 1, 0, 1, 0);
    end_pair(&pair);
}

static void test_SRPC_RECOVER_007_the_proof_needs_the_channel_alone(void **state)
{
    (void)state;
    struct pair pair;
    make_pair(&pair, "alone");
    assert_false(shmrpc_channel_lock_clients_out(pair.server));
    shmrpc_channel_close(&pair.client);
    assert_false(shmrpc_channel_lock_clients_out(pair.server));
    raw_close(&pair.raw);
    assert_true(shmrpc_channel_lock_clients_out(pair.server));
    /* Nobody comes in meanwhile, and it can be given back. */
    assert_int_equal(attach(pair.name, &pair.client), SHMRPC_BUSY);
    shmrpc_channel_let_clients_in(pair.server);
    assert_int_equal(attach(pair.name, &pair.client), SHMRPC_OK);
    raw_open(&pair.raw, pair.name);
    end_pair(&pair);
}

static bool can_lock(const char *name, enum raw_object object)
{
    char path[300];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    raw_path(name, object, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    bool can = fcntl(fd, F_OFD_SETLK, &lock) == 0;
    close(fd);
    return can;
}

static void test_SRPC_OWN_001_SRPC_OWN_006_SRPC_OWN_007_the_owner_lock(void **state)
{
    (void)state;
    struct pair pair;
    make_pair(&pair, "lock");
    assert_false(can_lock(pair.name, RAW_REQ));
    assert_false(can_lock(pair.name, RAW_RESP));
    assert_false(shmrpc_channel_server_dead(pair.client));
    /* Given up as at a death; the names are kept from going with it. */
    shmrpc_lock_drop(pair.server->request.segment.fd);
    for (int i = 0; i < 3; i++) {
        assert_true(shmrpc_channel_server_dead(pair.client));
        assert_true(can_lock(pair.name, RAW_REQ));
    }
    struct shmrpc_channel *second = NULL;
    shmrpc_channel_close(&pair.client);
    assert_true(can_lock(pair.name, RAW_RESP));
    assert_int_equal(attach(pair.name, &second), SHMRPC_NOT_FOUND);
    assert_true(can_lock(pair.name, RAW_REQ));
    assert_null(second);
    end_pair(&pair);
}

static void test_SRPC_LIFE_005_retiring_and_losing_names(void **state)
{
    (void)state;
    struct pair pair;
    make_pair(&pair, "retire");
    assert_true(shmrpc_channel_names_held(pair.server));
    shmrpc_channel_retire(pair.server);
    assert_false(shmrpc_channel_names_held(pair.server));
    assert_int_equal(raw_count(pair.name), 0);
    assert_true(shmrpc_channel_server_dead(pair.client));
    /* Published anew: closing the retired one takes nothing of it. */
    struct shmrpc_channel *next = publish(pair.name, 128);
    shmrpc_channel_close(&pair.server);
    assert_int_equal(raw_count(pair.name), RAW_OBJECTS);
    assert_true(shmrpc_channel_names_held(next));
    pair.server = next;
    end_pair(&pair);
}

static void test_SRPC_OBJ_002_SRPC_LIFE_004_names_that_are_taken(void **state)
{
    (void)state;
    const char *name = raw_name("name-taken");
    struct shmrpc_channel *first = NULL;
    struct shmrpc_channel *second = NULL;
    struct shmrpc_error error;
    assert_int_equal(shmrpc_channel_claim(name, 128, SHMRPC_WAIT_BLOCK, &first, NULL), SHMRPC_OK);
    assert_int_equal(raw_count(name), 1);
    assert_int_equal(shmrpc_channel_claim(name, 128, SHMRPC_WAIT_BLOCK, &second, &error),
                     SHMRPC_BUSY);
    assert_null(second);
    raw_make_file(name, RAW_REQ_FULL, 32, 0600);
    ino_t foreign = raw_inode(name, RAW_REQ_FULL);
    assert_int_equal(shmrpc_channel_complete(first, &error), SHMRPC_BUSY);
    assert_true(raw_inode(name, RAW_REQ_FULL) == foreign);
    raw_unlink(name, RAW_REQ_FULL);
    /* What was linked before stays linked. */
    assert_int_equal(shmrpc_channel_complete(first, &error), SHMRPC_OK);
    assert_true(shmrpc_channel_names_held(first));
    shmrpc_channel_close(&first);
    assert_int_equal(raw_count(name), 0);
}

static void test_SRPC_LIFE_008_SRPC_LIFE_009_descriptors_close_on_exec_and_all_of_them(void **state)
{
    (void)state;
    size_t before = count_descriptors();
    for (int i = 0; i < 20; i++) {
        struct pair pair;
        make_pair(&pair, "cloexec");
        DIR *list = opendir("/proc/self/fd");
        struct dirent *entry;
        int found = 0;
        while ((entry = readdir(list)) != NULL) {
            char target[400];
            ssize_t length =
                readlinkat(dirfd(list), entry->d_name, target, sizeof target - 1);
            target[length > 0 ? length : 0] = '\0';
            if (strstr(target, pair.name) == NULL)
                continue;
            found++;
            assert_true((fcntl(atoi(entry->d_name), F_GETFD) & FD_CLOEXEC) != 0);
        }
        closedir(list);
        /* Both segments of both sides; the server's show the names they were linked to, or not. */
        assert_true(found >= 2);
        end_pair(&pair);
        assert_int_equal(count_descriptors(), before);
    }
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        assert_null(strstr(line, "/dev/shm/"));
    fclose(maps);
}

/* ---- Two processes -------------------------------------------------------------------------- */

struct stress {
    const char *name;
    int rounds;
    _Atomic int ready;
    _Atomic int wrong;
};

static void fill(char *bytes, size_t length, int round)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(round + (int)i * 31);
}

static void mirror(void *context)
{
    struct stress *stress = context;
    struct shmrpc_channel *channel;
    static char bytes[4096];
    static char expected[4096];
    CHILD_CHECK(shmrpc_channel_claim(stress->name, 2048, SHMRPC_WAIT_ADAPTIVE, &channel, NULL) ==
                SHMRPC_OK);
    CHILD_CHECK(shmrpc_channel_complete(channel, NULL) == SHMRPC_OK);
    atomic_store(&stress->ready, 1);
    for (int round = 0; round < stress->rounds; round++) {
        struct shmrpc_deadline deadline = soon(RAW_PATIENCE_MS);
        size_t length;
        size_t capacity;
        char *body;
        CHILD_CHECK(shmrpc_channel_receive(channel, &deadline, bytes, &length) == SHMRPC_OK);
        fill(expected, length, round);
        if (length != (size_t)(round * 17 % 2045) || memcmp(bytes, expected, length) != 0)
            atomic_store(&stress->wrong, 1);
        CHILD_CHECK(shmrpc_channel_begin(channel, &deadline, &body, &capacity) == SHMRPC_OK);
        fill(body, length, ~round);
        CHILD_CHECK(shmrpc_channel_commit(channel, length) == SHMRPC_OK);
    }
    /* The last response is waited for before everything goes. */
    struct shmrpc_deadline deadline = soon(RAW_PATIENCE_MS);
    size_t capacity;
    char *body;
    CHILD_CHECK(shmrpc_channel_begin(channel, &deadline, &body, &capacity) == SHMRPC_OK);
    CHILD_CHECK(shmrpc_channel_abandon(channel) == SHMRPC_OK);
    shmrpc_channel_close(&channel);
}

static void test_SRPC_MEM_001_SRPC_MEM_002_what_is_written_before_the_post_is_read_behind_the_take(
    void **state)
{
    (void)state;
    struct stress *stress = raw_share(sizeof *stress);
    struct shmrpc_channel *channel = NULL;
    static char bytes[4096];
    static char expected[4096];
    stress->name = raw_name("stress");
    stress->rounds = support_under_valgrind() ? 300 : 20000;
    pid_t pid = child_start(mirror, stress);
    assert_true(raw_await(&stress->ready));
    assert_int_equal(
        shmrpc_channel_attach(stress->name, 0, SHMRPC_WAIT_ADAPTIVE, &channel, NULL), SHMRPC_OK);
    for (int round = 0; round < stress->rounds; round++) {
        struct shmrpc_deadline deadline = soon(RAW_PATIENCE_MS);
        size_t length = (size_t)(round * 17 % 2045);
        size_t received;
        size_t capacity;
        char *body;
        assert_int_equal(shmrpc_channel_begin(channel, &deadline, &body, &capacity), SHMRPC_OK);
        fill(body, length, round);
        assert_int_equal(shmrpc_channel_commit(channel, length), SHMRPC_OK);
        assert_int_equal(shmrpc_channel_receive(channel, &deadline, bytes, &received), SHMRPC_OK);
        assert_int_equal(received, length);
        fill(expected, length, ~round);
        assert_memory_equal(bytes, expected, length == 0 ? 1 : length);
        bytes[0] = expected[0] = 0;
    }
    assert_int_equal(child_wait(pid), 0);
    assert_int_equal(stress->wrong, 0);
    shmrpc_channel_close(&channel);
    raw_unshare(stress, sizeof *stress);
}

static void publish_and_close(void *context)
{
    struct stress *stress = context;
    for (int i = 0; i < stress->rounds; i++) {
        struct shmrpc_channel *channel;
        /* Each generation has a size of its own. */
        if (shmrpc_channel_claim(stress->name, 256 + (size_t)(i % 64), SHMRPC_WAIT_BLOCK, &channel,
                                 NULL) != SHMRPC_OK)
            continue;
        if (shmrpc_channel_complete(channel, NULL) == SHMRPC_OK)
            for (int k = 0; k < 20; k++)
                sched_yield();
        shmrpc_channel_close(&channel);
    }
    atomic_store(&stress->ready, 1);
}

static void test_SRPC_ATTACH_007_SRPC_OWN_001_SRPC_OWN_003_generations_are_never_mixed(void **state)
{
    (void)state;
    struct stress *stress = raw_share(sizeof *stress);
    int attached = 0;
    stress->name = raw_name("generations");
    stress->rounds = support_under_valgrind() ? 40 : 300;
    pid_t pid = child_start(publish_and_close, stress);
    char path[300];
    raw_path(stress->name, RAW_REQ, path);
    while (atomic_load(&stress->ready) == 0) {
        struct shmrpc_channel *channel = NULL;
        if (attach(stress->name, &channel) == SHMRPC_OK) {
            /* One size, so one generation. */
            struct stat request;
            struct stat response;
            assert_int_equal(fstat(channel->request.segment.fd, &request), 0);
            assert_int_equal(fstat(channel->response.segment.fd, &response), 0);
            assert_int_equal(request.st_size, response.st_size);
            attached++;
            shmrpc_channel_close(&channel);
        }
        /* Whatever has the name is whole and owned, or has lost the name by now. */
        struct stat open_now;
        struct stat named_now;
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
            continue;
        assert_int_equal(fstat(fd, &open_now), 0);
        assert_int_equal(open_now.st_mode & 07777, 01600);
        assert_in_range(open_now.st_size, 256, 319);
        if (!shmrpc_lock_held(fd))
            assert_true(lstat(path, &named_now) != 0 || named_now.st_ino != open_now.st_ino);
        close(fd);
    }
    assert_int_equal(child_wait(pid), 0);
    assert_true(attached > 0 || support_under_valgrind());
    raw_unshare(stress, sizeof *stress);
}

/* The name that is taken away just before somebody looks whose it is. */
static const char *vanishing;

int lstat(const char *path, struct stat *status)
{
    if (vanishing != NULL && strcmp(path, vanishing) == 0)
        assert_int_equal(unlink(path), 0);
    return fstatat(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}

static void test_SRPC_ATTACH_007_a_name_that_is_lost_on_the_way_in(void **state)
{
    (void)state;
    const char *name = raw_name("lost");
    struct shmrpc_channel *server = publish(name, 256);
    struct shmrpc_channel *client = NULL;
    struct shmrpc_error error = {0};
    char path[300];
    raw_path(name, RAW_REQ, path);
    vanishing = path;
    assert_int_equal(shmrpc_channel_attach(name, 0, SHMRPC_WAIT_BLOCK, &client, &error),
                     SHMRPC_NOT_FOUND);
    vanishing = NULL;
    assert_null(client);
    assert_non_null(strstr(error.text, "is being replaced"));
    shmrpc_channel_close(&server);
    assert_int_equal(raw_count(name), 0);
}

/* ---- Contracts ------------------------------------------------------------------------------ */

static void test_broken_contracts_fire(void **state)
{
    (void)state;
    struct pair pair;
    struct shmrpc_channel *none = NULL;
    struct shmrpc_channel *zero = calloc(1, sizeof *zero);
    struct shmrpc_deadline deadline = soon(0);
    struct shmrpc_channel_values values = {{1, 0, 1, 0}};
    char text[253];
    char *body;
    size_t n;
    assert_non_null(zero);
    shmrpc_channel_close(&none);
    expect_check_failure(shmrpc_channel_close(NULL));
    expect_check_failure(shmrpc_channel_close(&zero));
    expect_check_failure(support_ignore(shmrpc_channel_object(NULL, SHMRPC_OBJECT_REQ) != NULL));
    expect_check_failure(support_ignore(shmrpc_channel_object(zero, SHMRPC_OBJECT_COUNT) != NULL));
    expect_check_failure(support_ignore(
        shmrpc_channel_check_options(NULL, 128, 128, SHMRPC_WAIT_BLOCK, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_channel_check_options("x", 128, 4, SHMRPC_WAIT_BLOCK, NULL)));
    expect_check_failure_below(
        support_ignore(shmrpc_channel_claim("a/b", 128, SHMRPC_WAIT_BLOCK, &none, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_channel_claim(NULL, 128, SHMRPC_WAIT_BLOCK, &none, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_channel_claim("x", 128, SHMRPC_WAIT_BLOCK, NULL, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_channel_claim("x", 127, SHMRPC_WAIT_BLOCK, &none, NULL)));
    expect_check_failure(support_ignore(shmrpc_channel_claim(
        "x", (size_t)SHMRPC_MAX_BUFFER_BYTES + 1, SHMRPC_WAIT_BLOCK, &none, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_channel_attach(NULL, 0, SHMRPC_WAIT_BLOCK, &none, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_channel_attach("x", 0, SHMRPC_WAIT_BLOCK, NULL, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_channel_attach("x", 4, SHMRPC_WAIT_BLOCK, &none, NULL)));
    expect_check_failure(support_ignore(shmrpc_channel_complete(zero, NULL)));
    expect_check_failure(shmrpc_channel_retire(zero));
    expect_check_failure(support_ignore(shmrpc_channel_begin(zero, &deadline, &body, &n)));
    expect_check_failure(support_ignore(shmrpc_channel_body(zero, &n) != NULL));
    expect_check_failure(support_ignore(shmrpc_channel_commit(zero, 0)));
    expect_check_failure(support_ignore(shmrpc_channel_abandon(zero)));
    expect_check_failure(support_ignore(shmrpc_channel_receive(zero, &deadline, text, &n)));
    expect_check_failure(support_ignore(shmrpc_channel_withdraw(zero, "", 0)));
    expect_check_failure(support_ignore(shmrpc_channel_server_dead(zero)));
    expect_check_failure(support_ignore(shmrpc_channel_names_held(zero)));
    expect_check_failure(shmrpc_channel_discard_response(zero));
    expect_check_failure(support_ignore(shmrpc_channel_truncated(zero)));
    expect_check_failure(shmrpc_channel_values(zero));
    expect_check_failure(support_ignore(shmrpc_channel_repair(zero, &values) != NULL));
    expect_check_failure(support_ignore(shmrpc_channel_suspicious(NULL)));
    make_pair(&pair, "contract");
    expect_check_failure(support_ignore(shmrpc_channel_complete(pair.server, NULL)));
    expect_check_failure(support_ignore(shmrpc_channel_complete(pair.client, NULL)));
    expect_check_failure(shmrpc_channel_retire(pair.client));
    expect_check_failure(support_ignore(shmrpc_channel_receive(pair.client, &deadline, NULL, &n)));
    expect_check_failure(support_ignore(shmrpc_channel_receive(pair.client, &deadline, text, NULL)));
    expect_check_failure(support_ignore(shmrpc_channel_begin(pair.client, &deadline, NULL, &n)));
    expect_check_failure(support_ignore(shmrpc_channel_withdraw(pair.server, "", 0)));
    expect_check_failure(support_ignore(shmrpc_channel_withdraw(pair.client, text, 253)));
    expect_check_failure(support_ignore(shmrpc_channel_repair(pair.server, NULL) != NULL));
    expect_check_failure(support_ignore(shmrpc_channel_server_dead(pair.server)));
    expect_check_failure(support_ignore(shmrpc_channel_lock_clients_out(pair.client)));
    expect_check_failure(shmrpc_channel_let_clients_in(pair.client));
    expect_check_failure(support_ignore(shmrpc_channel_repair(pair.client, &values) != NULL));
    assert_int_equal(shmrpc_channel_begin(pair.client, &deadline, &body, &n), SHMRPC_OK);
    assert_int_equal(shmrpc_channel_begin(pair.server, &deadline, &body, &n), SHMRPC_OK);
    expect_check_failure(support_ignore(shmrpc_channel_begin(pair.client, &deadline, &body, &n)));
    expect_check_failure(support_ignore(shmrpc_channel_body(pair.client, NULL) != NULL));
    expect_check_failure(support_ignore(shmrpc_channel_withdraw(pair.client, "", 0)));
    expect_check_failure(support_ignore(shmrpc_channel_repair(pair.server, &values) != NULL));
    expect_check_failure(support_ignore(shmrpc_channel_commit(pair.client, 253)));
    assert_int_equal(shmrpc_channel_abandon(pair.client), SHMRPC_OK);
    assert_int_equal(shmrpc_channel_abandon(pair.server), SHMRPC_OK);
    /* A claimed channel is not complete yet. */
    const char *name = raw_name("incomplete");
    assert_int_equal(shmrpc_channel_claim(name, 128, SHMRPC_WAIT_BLOCK, &none, NULL), SHMRPC_OK);
    expect_check_failure(support_ignore(shmrpc_channel_begin(none, &deadline, &body, &n)));
    expect_check_failure(support_ignore(shmrpc_channel_receive(none, &deadline, text, &n)));
    expect_check_failure(shmrpc_channel_discard_response(none));
    expect_check_failure(support_ignore(shmrpc_channel_lock_clients_out(none)));
    expect_check_failure(shmrpc_channel_let_clients_in(none));
    expect_check_failure(support_ignore(shmrpc_channel_names_held(none)));
    expect_check_failure(support_ignore(shmrpc_channel_repair(none, &values) != NULL));
    shmrpc_channel_close(&none);
    end_pair(&pair);
    free(zero);
}

/* In a state in which each operation would go through if it did not look. */
static void test_each_operation_looks_at_its_channel(void **state)
{
    (void)state;
    struct pair pair;
    struct shmrpc_deadline deadline = soon(0);
    char text[253];
    char *body;
    size_t n;
    make_pair(&pair, "magic");
    struct shmrpc_channel_values values = shmrpc_channel_values(pair.server);
    send(pair.server, "answer");
    pair.client->magic++;
    expect_check_failure(support_ignore(shmrpc_channel_begin(pair.client, &deadline, &body, &n)));
    expect_check_failure(support_ignore(shmrpc_channel_receive(pair.client, &deadline, text, &n)));
    expect_check_failure(support_ignore(shmrpc_channel_withdraw(pair.client, "", 0)));
    expect_check_failure(shmrpc_channel_discard_response(pair.client));
    expect_check_failure(support_ignore(shmrpc_channel_server_dead(pair.client)));
    expect_check_failure(support_ignore(shmrpc_channel_names_held(pair.client)));
    expect_check_failure(support_ignore(shmrpc_channel_truncated(pair.client)));
    expect_check_failure(shmrpc_channel_values(pair.client));
    struct shmrpc_channel *client = pair.client;
    expect_check_failure(shmrpc_channel_close(&client));
    assert_ptr_equal(client, pair.client);
    pair.client->magic--;
    assert_int_equal(receive(pair.client, text), SHMRPC_OK);
    shmrpc_channel_close(&pair.client);

    pair.server->magic++;
    expect_check_failure(support_ignore(shmrpc_channel_lock_clients_out(pair.server)));
    expect_check_failure(shmrpc_channel_let_clients_in(pair.server));
    expect_check_failure(support_ignore(shmrpc_channel_repair(pair.server, &values) != NULL));
    expect_check_failure(shmrpc_channel_retire(pair.server));
    pair.server->magic--;
    assert_int_equal(shmrpc_channel_begin(pair.server, &deadline, &body, &n), SHMRPC_OK);
    pair.server->magic++;
    expect_check_failure(support_ignore(shmrpc_channel_commit(pair.server, 0)));
    expect_check_failure(support_ignore(shmrpc_channel_abandon(pair.server)));
    pair.server->magic--;
    assert_int_equal(shmrpc_channel_abandon(pair.server), SHMRPC_OK);
    end_pair(&pair);
}

/* A slot is left only by who is inside, and only a whole channel has slots. */
static void test_each_operation_looks_at_where_its_channel_stands(void **state)
{
    (void)state;
    struct pair pair;
    struct shmrpc_deadline deadline = soon(0);
    struct shmrpc_channel *half = NULL;
    struct shmrpc_channel_values values = {{1, 0, 1, 0}};
    char text[253];
    char *body;
    size_t n;
    make_pair(&pair, "outside");
    expect_check_failure(support_ignore(shmrpc_channel_commit(pair.client, 0)));
    expect_check_failure(support_ignore(shmrpc_channel_abandon(pair.client)));
    assert_raw_values(&pair.raw, 1, 0, 1, 0);
    pair.client->complete = false;
    expect_check_failure(support_ignore(shmrpc_channel_begin(pair.client, &deadline, &body, &n)));
    expect_check_failure(support_ignore(shmrpc_channel_receive(pair.client, &deadline, text, &n)));
    expect_check_failure(support_ignore(shmrpc_channel_withdraw(pair.client, "", 0)));
    expect_check_failure(shmrpc_channel_discard_response(pair.client));
    expect_check_failure(support_ignore(shmrpc_channel_names_held(pair.client)));
    expect_check_failure(shmrpc_channel_values(pair.client));
    expect_check_failure(support_ignore(shmrpc_channel_complete(pair.client, NULL)));
    pair.client->complete = true;
    expect_check_failure(shmrpc_channel_retire(pair.client));
    end_pair(&pair);

    assert_int_equal(
        shmrpc_channel_claim(raw_name("half"), 256, SHMRPC_WAIT_BLOCK, &half, NULL), SHMRPC_OK);
    expect_check_failure(support_ignore(shmrpc_channel_lock_clients_out(half)));
    expect_check_failure(shmrpc_channel_let_clients_in(half));
    expect_check_failure(support_ignore(shmrpc_channel_repair(half, &values) != NULL));
    half->magic++;
    expect_check_failure(support_ignore(shmrpc_channel_complete(half, NULL)));
    half->magic--;
    assert_int_equal(shmrpc_channel_complete(half, NULL), SHMRPC_OK);
    shmrpc_channel_close(&half);
}

/* Whoever frees a slot frees it of its last length: also of one that an original's reader left, and
 * of one that a dead writer has sealed. */
static void test_SRPC_FRAME_008_a_slot_is_freed_without_a_length(void **state)
{
    (void)state;
    struct pair pair;
    struct shmrpc_deadline deadline = soon(0);
    char *body;
    size_t n;
    make_pair(&pair, "length");
    raw_set_length(&pair.raw, RAW_REQ, 7);
    assert_int_equal(shmrpc_channel_begin(pair.client, &deadline, &body, &n), SHMRPC_OK);
    assert_int_equal(shmrpc_channel_abandon(pair.client), SHMRPC_OK);
    assert_int_equal(raw_length(&pair.raw, RAW_REQ), 0);
    shmrpc_channel_close(&pair.client);

    raw_set_values(&pair.raw, 0, 0, 0, 0);
    raw_set_length(&pair.raw, RAW_REQ, 7);
    raw_set_length(&pair.raw, RAW_RESP, 7);
    struct shmrpc_channel_values values = shmrpc_channel_values(pair.server);
    assert_non_null(shmrpc_channel_repair(pair.server, &values));
    assert_raw_values(&pair.raw, 1, 0, 1, 0);
    assert_int_equal(raw_length(&pair.raw, RAW_REQ), 0);
    assert_int_equal(raw_length(&pair.raw, RAW_RESP), 0);
    end_pair(&pair);
}

/* A post to a semaphore that holds a token already is the peer's violation: told, and remembered. */
static void test_SRPC_SEM_007_a_slot_that_was_freed_meanwhile_is_told(void **state)
{
    (void)state;
    struct pair pair;
    struct shmrpc_deadline deadline = soon(0);
    char *body;
    size_t n;
    make_pair(&pair, "freed");
    assert_int_equal(shmrpc_channel_begin(pair.client, &deadline, &body, &n), SHMRPC_OK);
    raw_post(&pair.raw, RAW_REQ_EMPTY);
    assert_false(pair.client->broken);
    assert_int_equal(shmrpc_channel_abandon(pair.client), SHMRPC_PROTOCOL);
    assert_true(pair.client->broken);
    end_pair(&pair);
}

/* What a client finds decides: a slot with somebody inside is the server's to repair, and of an
 * original nobody repairs. */
static void test_SRPC_ATTACH_012_SRPC_ATTACH_013_each_state_that_a_client_may_find(void **state)
{
    (void)state;
    static const struct {
        unsigned values[4];
        enum shmrpc_status status;
    } found[] = {
        {{0, 0, 1, 0}, SHMRPC_TIMEOUT}, {{1, 0, 0, 0}, SHMRPC_TIMEOUT},
        {{0, 0, 0, 0}, SHMRPC_TIMEOUT}, {{0, 0, 0, 1}, SHMRPC_TIMEOUT},
        {{0, 1, 1, 0}, SHMRPC_OK},      {{0, 1, 0, 1}, SHMRPC_OK},
        {{1, 1, 1, 0}, SHMRPC_OK},      {{1, 0, 1, 1}, SHMRPC_OK},
        {{0, 1, 0, 0}, SHMRPC_TIMEOUT}, {{1, 0, 1, 0}, SHMRPC_OK},
        {{1, 0, 1, 2}, SHMRPC_OK}, /* a stray post; one token of it is left */
    };
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        const unsigned *v = found[i].values;
        const char *name = raw_name("found");
        struct shmrpc_channel *server = publish(name, 256);
        struct shmrpc_channel *client = NULL;
        struct raw raw;
        raw_open(&raw, name);
        raw_set_values(&raw, v[0], v[1], v[2], v[3]);
        assert_int_equal(attach(name, &client), found[i].status);
        assert_true((client != NULL) == (found[i].status == SHMRPC_OK));
        raw_close(&raw);
        shmrpc_channel_close(&client);
        shmrpc_channel_close(&server);
    }
    const char *original = raw_name("original");
    struct shmrpc_channel *client = NULL;
    struct raw raw;
    raw_make_original(original, 256);
    raw_open(&raw, original);
    raw_set_values(&raw, 0, 0, 0, 0);
    assert_int_equal(attach(original, &client), SHMRPC_OK);
    shmrpc_channel_close(&client);
    raw_close(&raw);
    raw_remove(original);
}

/* The two segments' descriptors carry the locks; the semaphores need none. */
static void test_SRPC_LIFE_009_a_side_holds_two_descriptors(void **state)
{
    (void)state;
    size_t before = count_descriptors();
    const char *name = raw_name("two");
    struct shmrpc_channel *client = NULL;
    struct shmrpc_channel *server = publish(name, 256);
    assert_int_equal(count_descriptors(), before + 2);
    assert_int_equal(attach(name, &client), SHMRPC_OK);
    assert_int_equal(count_descriptors(), before + 4);
    shmrpc_channel_close(&client);
    assert_int_equal(count_descriptors(), before + 2);
    shmrpc_channel_close(&server);
    assert_int_equal(count_descriptors(), before);
}

static void test_SRPC_WAIT_001_all_four_semaphores_have_the_policy(void **state)
{
    (void)state;
    static const enum shmrpc_wait modes[] = {SHMRPC_WAIT_ADAPTIVE, SHMRPC_WAIT_SPIN,
                                             SHMRPC_WAIT_BLOCK};
    for (size_t i = 0; i < 3; i++) {
        struct shmrpc_channel *channel = NULL;
        assert_int_equal(
            shmrpc_channel_claim(raw_name("policy"), 256, modes[i], &channel, NULL), SHMRPC_OK);
        assert_int_equal(channel->request.empty_spin.mode, modes[i]);
        assert_int_equal(channel->request.full_spin.mode, modes[i]);
        assert_int_equal(channel->response.empty_spin.mode, modes[i]);
        assert_int_equal(channel->response.full_spin.mode, modes[i]);
        shmrpc_channel_close(&channel);
    }
}

static void look_in_child(void *argument)
{
    struct pair *pair = argument;
    struct shmrpc_channel *const both[] = {pair->server, pair->client};
    for (int i = 0; i < 2; i++) {
        CHILD_CHECK(atomic_load(&both[i]->orphaned));
        for (enum shmrpc_object k = 0; k < SHMRPC_OBJECT_COUNT; k++) {
            const struct shmrpc_segment *object = shmrpc_channel_object(both[i], k);
            CHILD_CHECK(object->map == NULL);
            CHILD_CHECK(object->fd == -1);
        }
    }
}

static void test_SRPC_FORK_002_SRPC_FORK_003_a_child_keeps_no_map_and_no_descriptor(void **state)
{
    (void)state;
    struct pair pair;
    make_pair(&pair, "child");
    child_run(look_in_child, &pair);
    send(pair.client, "the parent's is whole");
    end_pair(&pair);
}

/* A name is read to its end and no further, which the sanitizers see. */
static void test_SRPC_NAME_001_a_name_is_read_to_its_end(void **state)
{
    (void)state;
    char *exact = strdup(raw_name("exact"));
    assert_non_null(exact);
    struct shmrpc_channel *server = publish(exact, 256);
    struct shmrpc_channel *client = NULL;
    assert_int_equal(attach(exact, &client), SHMRPC_OK);
    assert_string_equal(server->name, exact);
    assert_string_equal(client->name, exact);
    shmrpc_channel_close(&client);
    shmrpc_channel_close(&server);
    free(exact);
}

static void test_what_holds_of_a_whole_channel(void **state)
{
    (void)state;
    struct pair pair;
    make_pair(&pair, "whole");
    void **const maps[] = {&pair.client->request.segment.map, &pair.client->response.full.map};
    assert_true(shmrpc_channel_check(pair.client));
    for (int i = 0; i < 2; i++) {
        void *map = *maps[i];
        *maps[i] = NULL;
        assert_false(shmrpc_channel_check(pair.client));
        *maps[i] = map;
    }
    end_pair(&pair);
}

static void test_SRPC_LIMIT_003_the_largest_buffer_is_in_range(void **state)
{
    (void)state;
    assert_int_equal(shmrpc_channel_check_options("x", SHMRPC_MAX_BUFFER_BYTES, 128,
                                                  SHMRPC_WAIT_BLOCK, NULL),
                     SHMRPC_OK);
    assert_int_equal(shmrpc_channel_check_options("x", (size_t)SHMRPC_MAX_BUFFER_BYTES + 1, 128,
                                                  SHMRPC_WAIT_BLOCK, NULL),
                     SHMRPC_INVALID);
}

/* A length word and one byte are a channel, whatever somebody wants with it. */
static void test_SRPC_ATTACH_006_SRPC_LIMIT_004_the_smallest_segments(void **state)
{
    (void)state;
    static const size_t sizes[] = {5, 31, 4};
    for (size_t i = 0; i < 3; i++) {
        struct shmrpc_channel *client = NULL;
        const char *name = raw_name("small");
        raw_make_original(name, sizes[i]);
        assert_int_equal(attach(name, &client), sizes[i] > 4 ? SHMRPC_OK : SHMRPC_NOT_FOUND);
        if (client != NULL)
            assert_int_equal(client->capacity, sizes[i] - 4);
        shmrpc_channel_close(&client);
        raw_remove(name);
    }
}

static void attach_without_locks(void *name)
{
    struct shmrpc_channel *client = NULL;
    child_refuse(SYS_fcntl, 1, F_OFD_SETLK, ENOLCK);
    CHILD_CHECK(attach(name, &client) == SHMRPC_SYSTEM);
    CHILD_CHECK(client == NULL);
}

static void test_SRPC_ATTACH_010_no_lock_no_client(void **state)
{
    (void)state;
    char name[300];
    snprintf(name, sizeof name, "%s", raw_name("nolock"));
    raw_make_original(name, 256);
    child_run(attach_without_locks, name);
    raw_remove(name);
}

/* ---- On a clock of the test's own ------------------------------------------------------------- */

struct change {
    struct raw *raw;
    unsigned resp_empty;
};

static void change_at_the_tenth(void *context)
{
    const struct change *change = context;
    if (test_clock.sleeps == 10)
        raw_set_values(change->raw, 1, 0, change->resp_empty, !change->resp_empty);
}

/* Twenty looks with a millisecond between two, as long as somebody is inside a slot. */
static void test_SRPC_ATTACH_013_slots_are_given_a_moment(void **state)
{
    (void)state;
    const char *name = raw_name("moment");
    struct shmrpc_channel *server = publish(name, 256);
    struct shmrpc_channel *client = NULL;
    struct raw raw;
    raw_open(&raw, name);
    clock_start(NULL, NULL);
    assert_int_equal(attach(name, &client), SHMRPC_OK);
    assert_int_equal(test_clock.sleeps, 0);
    shmrpc_channel_close(&client);
    raw_set_values(&raw, 1, 0, 0, 0);
    assert_int_equal(attach(name, &client), SHMRPC_TIMEOUT);
    assert_int_equal(test_clock.sleeps, 19);
    assert_int_equal(test_clock.longest_ns, MS);
    /* It is repaired meanwhile, or the server was inside and leaves a response to somebody else. */
    for (unsigned resp_empty = 0; resp_empty < 2; resp_empty++) {
        struct change change = {&raw, resp_empty};
        raw_set_values(&raw, 1, 0, 0, 0);
        clock_start(change_at_the_tenth, &change);
        assert_int_equal(attach(name, &client), SHMRPC_OK);
        assert_int_equal(test_clock.sleeps, 10);
        shmrpc_channel_close(&client);
    }
    raw_close(&raw);
    shmrpc_channel_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_SRPC_HAND_001_SRPC_HAND_002_SRPC_HAND_003_SRPC_HAND_005_the_states_of_a_call),
        cmocka_unit_test(test_SRPC_FRAME_003_an_abandoned_slot_is_as_it_was),
        cmocka_unit_test(test_SRPC_CALL_007_SRPC_RECOVER_004_withdrawing),
        cmocka_unit_test(test_SRPC_SEM_007_broken_channels_say_so),
        cmocka_unit_test(
            test_SRPC_RECOVER_008_SRPC_RECOVER_010_SRPC_RECOVER_011_suspicion_and_repair),
        cmocka_unit_test(test_SRPC_RECOVER_007_the_proof_needs_the_channel_alone),
        cmocka_unit_test(test_SRPC_OWN_001_SRPC_OWN_006_SRPC_OWN_007_the_owner_lock),
        cmocka_unit_test(test_SRPC_LIFE_005_retiring_and_losing_names),
        cmocka_unit_test(test_SRPC_OBJ_002_SRPC_LIFE_004_names_that_are_taken),
        cmocka_unit_test(
            test_SRPC_LIFE_008_SRPC_LIFE_009_descriptors_close_on_exec_and_all_of_them),
        cmocka_unit_test(
            test_SRPC_MEM_001_SRPC_MEM_002_what_is_written_before_the_post_is_read_behind_the_take),
        cmocka_unit_test(
            test_SRPC_ATTACH_007_SRPC_OWN_001_SRPC_OWN_003_generations_are_never_mixed),
        cmocka_unit_test(test_SRPC_ATTACH_007_a_name_that_is_lost_on_the_way_in),
        cmocka_unit_test(test_broken_contracts_fire),
        cmocka_unit_test(test_what_holds_of_a_whole_channel),
        cmocka_unit_test(test_SRPC_LIMIT_003_the_largest_buffer_is_in_range),
        cmocka_unit_test(test_SRPC_ATTACH_006_SRPC_LIMIT_004_the_smallest_segments),
        cmocka_unit_test(test_SRPC_ATTACH_010_no_lock_no_client),
        cmocka_unit_test(test_SRPC_NAME_001_a_name_is_read_to_its_end),
        cmocka_unit_test(test_SRPC_ATTACH_012_SRPC_ATTACH_013_each_state_that_a_client_may_find),
        cmocka_unit_test(test_SRPC_LIFE_009_a_side_holds_two_descriptors),
        cmocka_unit_test(test_SRPC_WAIT_001_all_four_semaphores_have_the_policy),
        cmocka_unit_test(test_SRPC_FORK_002_SRPC_FORK_003_a_child_keeps_no_map_and_no_descriptor),
        cmocka_unit_test(test_each_operation_looks_at_its_channel),
        cmocka_unit_test(test_each_operation_looks_at_where_its_channel_stands),
        cmocka_unit_test(test_SRPC_FRAME_008_a_slot_is_freed_without_a_length),
        cmocka_unit_test(test_SRPC_SEM_007_a_slot_that_was_freed_meanwhile_is_told),
        cmocka_unit_test_setup_teardown(
            test_SRPC_ATTACH_013_slots_are_given_a_moment, clock_setup, clock_teardown),
    };
    support_limit_seconds(90);
    return cmocka_run_group_tests_name("channel", tests, NULL, raw_sweep);
}

/* SPDX-License-Identifier: MIT
 *
 * Who owns a name: publishing over whatever stands there, and never over the living.
 *
 * Not fired, because no caller can bring it about: the ENSURE of shmrpc_owner_publish().
 */
#include "clock.h"
#include "raw.h"

#include "name.h"
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static enum shmrpc_status publish(const char *name, struct shmrpc_channel **channel,
                                  struct shmrpc_error *error)
{
    memset(error, 0, sizeof *error);
    *channel = NULL;
    enum shmrpc_status status =
        shmrpc_owner_publish(name, 512, SHMRPC_WAIT_BLOCK, channel, error);
    assert_true((status == SHMRPC_OK) == (*channel != NULL));
    if (status != SHMRPC_OK)
        assert_int_equal(error->status, status);
    return status;
}

/* It can be published, works as a fresh one, and goes again. */
static void assert_publishable(const char *name)
{
    struct shmrpc_channel *channel;
    struct shmrpc_error error;
    assert_int_equal(publish(name, &channel, &error), SHMRPC_OK);
    assert_int_equal(raw_count(name), RAW_OBJECTS);
    assert_true(raw_values_are(name, 1, 0, 1, 0));
    shmrpc_channel_close(&channel);
    assert_null(channel);
    assert_int_equal(raw_count(name), 0);
}

struct party {
    const char *name;
    enum raw_object object;
    enum { PUBLISHES, MAPS, OPENS, LOCKS } kind;
    _Atomic int ready;
};

static void take_part(void *context)
{
    struct party *party = context;
    char path[300];
    raw_path(party->name, party->object, path);
    if (party->kind == PUBLISHES) {
        struct shmrpc_channel *channel;
        CHILD_CHECK(shmrpc_owner_publish(party->name, 512, SHMRPC_WAIT_BLOCK, &channel, NULL) ==
                    SHMRPC_OK);
    } else {
        int fd = open(path, O_RDWR | O_CLOEXEC);
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        CHILD_CHECK(fd >= 0);
        if (party->kind == MAPS)
            CHILD_CHECK(mmap(NULL, 32, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED &&
                        close(fd) == 0);
        if (party->kind == LOCKS)
            CHILD_CHECK(fcntl(fd, F_OFD_SETLK, &lock) == 0);
    }
    atomic_store(&party->ready, 1);
    for (;;)
        pause();
}

static pid_t start_party(const char *name, int kind, enum raw_object object)
{
    struct party *party = raw_share(sizeof *party);
    party->name = name;
    party->kind = kind;
    party->object = object;
    pid_t pid = child_start(take_part, party);
    assert_true(raw_await(&party->ready));
    raw_unshare(party, sizeof *party);
    return pid;
}

/* What a process leaves that published and was killed. */
static void leave_dead(const char *name)
{
    child_kill(start_party(name, PUBLISHES, RAW_REQ));
    assert_int_equal(raw_count(name), RAW_OBJECTS);
}

/* ---- The dead ------------------------------------------------------------------------------- */

static void test_SRPC_RECLAIM_004_SRPC_RECLAIM_009_SRPC_RECLAIM_010_SRPC_OWN_006_whatever_the_dead_leave(
    void **state)
{
    (void)state;
    /* Every set of names that a crash of a creation, a reclaim or a close could leave, and all the
     * others too. */
    for (unsigned missing = 0; missing < 1u << RAW_OBJECTS; missing++) {
        const char *name = raw_name("dead");
        leave_dead(name);
        for (int i = 0; i < RAW_OBJECTS; i++)
            if ((missing >> i & 1) != 0)
                raw_unlink(name, (enum raw_object)i);
        assert_publishable(name);
        if (missing == 3 && support_under_valgrind())
            break;
    }
}

static void test_SRPC_RECLAIM_009_SRPC_RECLAIM_004_nothing_is_initialised_in_place(void **state)
{
    (void)state;
    const char *name = raw_name("attached");
    struct shmrpc_channel *channel;
    struct shmrpc_error error;
    struct raw old;
    ino_t before[RAW_OBJECTS];
    leave_dead(name);
    raw_open(&old, name);
    raw_write(&old, RAW_REQ, "left", 4);
    raw_set_values(&old, 0, 1, 0, 0);
    for (int i = 0; i < RAW_OBJECTS; i++)
        before[i] = raw_inode(name, (enum raw_object)i);
    /* A client of the dead one still holds all of it. */
    pid_t client = start_party(name, LOCKS, RAW_RESP);
    assert_int_equal(publish(name, &channel, &error), SHMRPC_OK);
    for (int i = 0; i < RAW_OBJECTS; i++)
        assert_true(raw_inode(name, (enum raw_object)i) != before[i]);
    assert_true(raw_values_are(name, 1, 0, 1, 0));
    assert_raw_values(&old, 0, 1, 0, 0);
    assert_memory_equal(raw_body(&old, RAW_REQ), "left", 4);
    child_kill(client);
    raw_close(&old);
    shmrpc_channel_close(&channel);
    assert_int_equal(raw_count(name), 0);
}

static void test_SRPC_RECLAIM_005_SRPC_RECLAIM_008_originals_that_nobody_holds(void **state)
{
    (void)state;
    for (unsigned missing = 0; missing < 1u << RAW_OBJECTS; missing += missing < 7 ? 1 : 9) {
        const char *name = raw_name("original");
        raw_make_original(name, 512);
        for (int i = 0; i < RAW_OBJECTS; i++)
            if ((missing >> i & 1) != 0)
                raw_unlink(name, (enum raw_object)i);
        assert_publishable(name);
    }
    /* Half-made by the original: sizes are not there yet. */
    const char *name = raw_name("zero");
    raw_make_file(name, RAW_REQ, 0, 0600);
    raw_make_file(name, RAW_RESP_FULL, 0, 0600);
    assert_publishable(name);
}

/* ---- The living ----------------------------------------------------------------------------- */

static void test_SRPC_RECLAIM_002_SRPC_OWN_008_SRPC_OWN_001_a_living_server_is_busy(void **state)
{
    (void)state;
    const char *name = raw_name("living");
    struct shmrpc_channel *channel;
    struct shmrpc_error error;
    pid_t server = start_party(name, PUBLISHES, RAW_REQ);
    ino_t before = raw_inode(name, RAW_REQ);
    assert_int_equal(publish(name, &channel, &error), SHMRPC_BUSY);
    assert_int_equal(shmrpc_owner_reclaim(name, &error), SHMRPC_BUSY);
    /* A stopped one lives too. */
    assert_int_equal(kill(server, SIGSTOP), 0);
    assert_int_equal(publish(name, &channel, &error), SHMRPC_BUSY);
    assert_int_equal(shmrpc_owner_reclaim(name, &error), SHMRPC_BUSY);
    assert_int_equal(raw_count(name), RAW_OBJECTS);
    assert_true(raw_inode(name, RAW_REQ) == before);
    child_kill(server);
    assert_publishable(name);
}

static void test_SRPC_RECLAIM_005_SRPC_RECLAIM_006_SRPC_RECLAIM_012_an_original_that_somebody_holds(
    void **state)
{
    (void)state;
    struct shmrpc_channel *channel;
    struct shmrpc_error error;
    for (int i = 0; i < RAW_OBJECTS; i++) {
        const char *name = raw_name("held");
        raw_make_original(name, 512);
        pid_t holder = start_party(name, i % 2 == 0 ? MAPS : OPENS, (enum raw_object)i);
        ino_t before[RAW_OBJECTS];
        for (int k = 0; k < RAW_OBJECTS; k++)
            before[k] = raw_inode(name, (enum raw_object)k);
        assert_int_equal(publish(name, &channel, &error), SHMRPC_BUSY);
        assert_non_null(strstr(error.text, "living"));
        assert_int_equal(shmrpc_owner_reclaim(name, &error), SHMRPC_BUSY);
        for (int k = 0; k < RAW_OBJECTS; k++)
            assert_true(raw_inode(name, (enum raw_object)k) == before[k]);
        child_kill(holder);
        assert_publishable(name);
    }
}

static void test_SRPC_RECLAIM_002_a_reclaimer_at_work_is_busy(void **state)
{
    (void)state;
    const char *name = raw_name("at-work");
    struct shmrpc_channel *channel;
    struct shmrpc_error error;
    raw_make_original(name, 512);
    pid_t reclaimer = start_party(name, LOCKS, RAW_REQ);
    assert_int_equal(publish(name, &channel, &error), SHMRPC_BUSY);
    assert_int_equal(raw_count(name), RAW_OBJECTS);
    child_kill(reclaimer);
    assert_publishable(name);
}

static void test_SRPC_RECLAIM_008_SRPC_LIFE_004_held_leftovers_refuse_the_creation(void **state)
{
    (void)state;
    struct shmrpc_channel *channel;
    struct shmrpc_error error;
    for (int i = RAW_RESP; i < RAW_OBJECTS; i++) {
        const char *name = raw_name("leftover");
        raw_make_file(name, (enum raw_object)i, 64, 0600);
        pid_t holder = start_party(name, i % 2 == 0 ? MAPS : OPENS, (enum raw_object)i);
        assert_int_equal(publish(name, &channel, &error), SHMRPC_BUSY);
        assert_int_equal(raw_count(name), 1);
        assert_int_equal(shmrpc_owner_reclaim(name, &error), SHMRPC_BUSY);
        assert_int_equal(raw_count(name), 1);
        child_kill(holder);
        assert_publishable(name);
    }
}

/* A server lives that lost the name req: its mark is no proof that it is dead. */
static void test_SRPC_RECLAIM_008_a_marked_leftover_may_be_held_as_well(void **state)
{
    (void)state;
    const char *name = raw_name("nameless");
    struct shmrpc_channel *channel;
    struct shmrpc_error error;
    pid_t server = start_party(name, PUBLISHES, RAW_REQ);
    raw_unlink(name, RAW_REQ);
    assert_int_equal(publish(name, &channel, &error), SHMRPC_BUSY);
    assert_int_equal(raw_count(name), RAW_OBJECTS - 1);
    child_kill(server);
    assert_publishable(name);
}

/* ---- On a clock of the test's own ----------------------------------------------------------- */

static int64_t let_go_ns;
static int held;

/* Whoever holds something of the channel lets go of it at a time. */
static void let_go(void *unused)
{
    (void)unused;
    if (test_clock.ns >= let_go_ns && held >= 0) {
        close(held);
        held = -1;
    }
}

/* Hold an object until so many milliseconds have gone by on the clock. */
static void hold_until(const char *name, enum raw_object object, bool locked, int milliseconds)
{
    char path[300];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    raw_path(name, object, path);
    held = open(path, O_RDWR | O_CLOEXEC);
    assert_true(held >= 0);
    if (locked)
        assert_int_equal(fcntl(held, F_OFD_SETLK, &lock), 0);
    let_go_ns = CLOCK_START + milliseconds * (int64_t)MS;
    clock_start(let_go, NULL);
}

static int hold_nothing(void **state)
{
    held = -1;
    return clock_setup(state);
}

static int release(void **state)
{
    if (held >= 0)
        close(held);
    return clock_teardown(state);
}

static void test_SRPC_RECLAIM_011_a_lock_of_a_moment_is_waited_for(void **state)
{
    (void)state;
    const char *name = raw_name("moment");
    struct shmrpc_channel *channel;
    struct shmrpc_error error;
    leave_dead(name);
    hold_until(name, RAW_REQ, true, SHMRPC_CLOSING_GRACE_MS - SHMRPC_RETRY_MS);
    assert_int_equal(publish(name, &channel, &error), SHMRPC_OK);
    assert_int_equal(held, -1);
    shmrpc_channel_close(&channel);
    leave_dead(name);
    hold_until(name, RAW_REQ, true, 2 * SHMRPC_CLOSING_GRACE_MS);
    assert_int_equal(publish(name, &channel, &error), SHMRPC_BUSY);
    assert_int_equal(test_clock.sleeps, SHMRPC_CLOSING_GRACE_MS / SHMRPC_RETRY_MS);
}

/* Who only looks has a piece open for a moment: behind the time for a closing original the proof is
 * tried for as long again. */
static void test_SRPC_RECLAIM_007_SRPC_RECLAIM_008_a_piece_held_for_a_moment_is_waited_for(
    void **state)
{
    (void)state;
    const char *name = raw_name("looked");
    struct shmrpc_channel *channel;
    struct shmrpc_error error;
    raw_make_file(name, RAW_RESP_EMPTY, 32, 0600);
    hold_until(name, RAW_RESP_EMPTY, false, 2 * SHMRPC_CLOSING_GRACE_MS - SHMRPC_RETRY_MS);
    assert_int_equal(publish(name, &channel, &error), SHMRPC_OK);
    assert_int_equal(held, -1);
    shmrpc_channel_close(&channel);
    raw_make_file(name, RAW_RESP_EMPTY, 32, 0600);
    hold_until(name, RAW_RESP_EMPTY, false, 3 * SHMRPC_CLOSING_GRACE_MS);
    assert_int_equal(publish(name, &channel, &error), SHMRPC_BUSY);
    assert_int_equal(test_clock.sleeps, 2 * SHMRPC_CLOSING_GRACE_MS / SHMRPC_RETRY_MS);
    close(held);
    /* What nobody holds goes as soon as its time is over. */
    hold_until(name, RAW_RESP_EMPTY, false, 0);
    assert_int_equal(publish(name, &channel, &error), SHMRPC_OK);
    assert_int_equal(test_clock.sleeps, SHMRPC_CLOSING_GRACE_MS / SHMRPC_RETRY_MS);
    shmrpc_channel_close(&channel);
}

static void *remove_late(void *context)
{
    raw_sleep_ms(60);
    for (int i = RAW_RESP; i < RAW_OBJECTS; i++)
        raw_unlink(context, (enum raw_object)i);
    return NULL;
}

static void test_SRPC_RECLAIM_007_a_closing_original_is_given_time(void **state)
{
    (void)state;
    union {
        const char *constant;
        void *argument;
    } name = {.constant = raw_name("closing")};
    struct shmrpc_channel *channel;
    struct shmrpc_error error;
    pthread_t thread;
    raw_make_original(name.constant, 512);
    raw_unlink(name.constant, RAW_REQ);
    /* Held, so only its own unlinking can help. */
    pid_t holder = start_party(name.constant, MAPS, RAW_RESP_EMPTY);
    assert_int_equal(pthread_create(&thread, NULL, remove_late, name.argument), 0);
    assert_int_equal(publish(name.constant, &channel, &error), SHMRPC_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(raw_count(name.constant), RAW_OBJECTS);
    child_kill(holder);
    shmrpc_channel_close(&channel);
    assert_int_equal(raw_count(name.constant), 0);
}

static void test_SRPC_RECLAIM_001_SRPC_LIFE_004_squatters_stay_untouched(void **state)
{
    (void)state;
    enum { LINK, DIRECTORY, FIFO, MODE, OWNER, KINDS };
    struct shmrpc_channel *channel;
    struct shmrpc_error error;
    for (int i = 0; i < RAW_OBJECTS; i++) {
        for (int kind = LINK; kind < KINDS; kind++) {
            const char *name = raw_name("squat");
            char path[300];
            raw_path(name, (enum raw_object)i, path);
            if (kind == OWNER && geteuid() != 0)
                continue;
            /* Behind a free req each refusal costs the grace for a closing original. */
            if (i > RAW_RESP && (i + kind) % KINDS > 1)
                continue;
            if (kind == LINK)
                assert_int_equal(symlink("/dev/null", path), 0);
            else if (kind == DIRECTORY)
                assert_int_equal(mkdir(path, 0700), 0);
            else if (kind == FIFO)
                assert_int_equal(mkfifo(path, 0600), 0);
            else
                raw_make_file(name, (enum raw_object)i, 64, kind == MODE ? 0644 : 0600);
            if (kind == OWNER)
                assert_int_equal(chown(path, 65534, 65534), 0);
            ino_t before = raw_inode(name, (enum raw_object)i);
            assert_int_equal(publish(name, &channel, &error), SHMRPC_SYSTEM);
            assert_true(error.system_errno != 0);
            assert_non_null(strstr(error.text, path));
            assert_int_equal(shmrpc_owner_reclaim(name, &error), SHMRPC_SYSTEM);
            assert_int_equal(raw_count(name), 1);
            assert_true(raw_inode(name, (enum raw_object)i) == before);
            assert_int_equal(remove(path), 0);
        }
    }
}

/* What was opened before the squatter was met is closed again. */
static void test_SRPC_LIFE_009_a_refusal_keeps_no_descriptor(void **state)
{
    (void)state;
    const char *name = raw_name("beside");
    char path[300];
    struct shmrpc_channel *channel;
    struct shmrpc_error error;
    leave_dead(name);
    raw_path(name, RAW_RESP_FULL, path);
    assert_int_equal(chmod(path, 0644), 0);
    size_t before = count_descriptors();
    assert_int_equal(publish(name, &channel, &error), SHMRPC_SYSTEM);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(raw_count(name), RAW_OBJECTS);
}

/* ---- Races ---------------------------------------------------------------------------------- */

enum { RACERS = 8 };

struct race {
    const char *name;
    _Atomic int ready[RACERS];
    _Atomic int go;
    _Atomic int next;
    _Atomic int won;
    _Atomic int busy;
    _Atomic int other;
    _Atomic int inside;
    _Atomic int twice;
    int rounds;
};

static void run_race(void *context)
{
    struct race *race = context;
    atomic_store(&race->ready[atomic_fetch_add(&race->next, 1)], 1);
    while (atomic_load(&race->go) == 0)
        sched_yield();
    struct shmrpc_channel *channel;
    enum shmrpc_status status =
        shmrpc_owner_publish(race->name, 512, SHMRPC_WAIT_BLOCK, &channel, NULL);
    if (status == SHMRPC_OK) {
        atomic_fetch_add(&race->won, 1);
        for (;;)
            pause();
    }
    atomic_fetch_add(status == SHMRPC_BUSY ? &race->busy : &race->other, 1);
}

static void test_SRPC_RECLAIM_011_SRPC_OBJ_002_of_racing_reclaimers_one_wins(void **state)
{
    (void)state;
    for (int round = 0; round < (support_under_valgrind() ? 2 : 12); round++) {
        struct race *race = raw_share(sizeof *race);
        pid_t pids[RACERS];
        race->name = raw_name("race");
        if (round % 3 == 0)
            leave_dead(race->name);
        else if (round % 3 == 1)
            raw_make_original(race->name, 512);
        for (int i = 0; i < RACERS; i++)
            pids[i] = child_start(run_race, race);
        for (int i = 0; i < RACERS; i++)
            assert_true(raw_await(&race->ready[i]));
        atomic_store(&race->go, 1);
        int64_t until = raw_now_ms() + RAW_PATIENCE_MS;
        while (atomic_load(&race->won) + atomic_load(&race->busy) + atomic_load(&race->other) <
                   RACERS &&
               raw_now_ms() < until)
            raw_sleep_ms(5);
        assert_int_equal(race->won, 1);
        assert_int_equal(race->busy, RACERS - 1);
        assert_int_equal(raw_count(race->name), RAW_OBJECTS);
        assert_true(raw_values_are(race->name, 1, 0, 1, 0));
        for (int i = 0; i < RACERS; i++) {
            kill(pids[i], SIGKILL);
            child_wait(pids[i]);
        }
        assert_publishable(race->name);
        raw_unshare(race, sizeof *race);
    }
}

/* Publish and close, or publish and have the lock go as a death would have it go. */
static void churn(void *context)
{
    struct race *race = context;
    for (int i = 0; i < race->rounds; i++) {
        struct shmrpc_channel *channel;
        enum shmrpc_status status =
            shmrpc_owner_publish(race->name, 512, SHMRPC_WAIT_BLOCK, &channel, NULL);
        if (status != SHMRPC_OK) {
            if (status != SHMRPC_BUSY)
                atomic_fetch_add(&race->other, 1);
            continue;
        }
        atomic_fetch_add(&race->won, 1);
        if (atomic_fetch_add(&race->inside, 1) != 0 || !shmrpc_channel_names_held(channel))
            atomic_fetch_add(&race->twice, 1);
        sched_yield();
        if (!shmrpc_channel_names_held(channel))
            atomic_fetch_add(&race->twice, 1);
        atomic_fetch_sub(&race->inside, 1);
        /* Every other time its objects stay and its lock goes: a death in all but name. */
        atomic_store(&channel->orphaned, i % 2 == 0);
        shmrpc_channel_close(&channel);
    }
}

static void test_SRPC_RECLAIM_003_SRPC_RECLAIM_011_SRPC_RECLAIM_010_nobody_is_robbed_in_a_crowd(
    void **state)
{
    (void)state;
    enum { CROWD = 4 };
    struct race *race = raw_share(sizeof *race);
    pid_t pids[CROWD];
    race->name = raw_name("crowd");
    race->rounds = support_under_valgrind() ? 10 : 60;
    for (int i = 0; i < CROWD; i++)
        pids[i] = child_start(churn, race);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(child_wait(pids[i]), 0);
    assert_true(race->won > 0);
    assert_int_equal(race->twice, 0);
    assert_int_equal(race->other, 0);
    assert_publishable(race->name);
    raw_unshare(race, sizeof *race);
}

/* ---- The order of names --------------------------------------------------------------------- */

struct order {
    const char *name;
    void (*act)(const struct order *order);
    char seen[1024];
};

/* A /dev/shm of its own, so that every file that appears is this process's. */
static void enter_private_shm(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, "") != 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777,size=1m") != 0)
        _exit(CHILD_SKIPS);
}

static void record(void *context)
{
    struct order *order = context;
    enter_private_shm();
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    CHILD_CHECK(fd >= 0);
    if (order->act == NULL)
        raw_make_file(order->name, RAW_RESP_EMPTY, 32, 0600);
    CHILD_CHECK(inotify_add_watch(fd, "/dev/shm", IN_CREATE | IN_DELETE | IN_MOVE) >= 0);
    if (order->act != NULL)
        order->act(order);
    else
        CHILD_CHECK(shmrpc_owner_reclaim(order->name, NULL) == SHMRPC_OK);
    _Alignas(struct inotify_event) char events[8192];
    ssize_t length = read(fd, events, sizeof events);
    size_t used = 0;
    for (ssize_t at = 0; at < length;) {
        const struct inotify_event *event = (const void *)(events + at);
        const char *last = strrchr(event->name, '-');
        used += (size_t)snprintf(order->seen + used, sizeof order->seen - used, "%c%s ",
                                 event->mask & IN_CREATE ? '+' : event->mask & IN_DELETE ? '-' : '!',
                                 last != NULL ? last + 1 : event->name);
        at += (ssize_t)(sizeof *event + event->len);
    }
    close(fd);
}

static void publish_and_close(const struct order *order)
{
    struct shmrpc_channel *channel;
    CHILD_CHECK(shmrpc_owner_publish(order->name, 512, SHMRPC_WAIT_BLOCK, &channel, NULL) ==
                SHMRPC_OK);
    shmrpc_channel_close(&channel);
}

static void publish_over_an_original(const struct order *order)
{
    raw_make_original(order->name, 512);
    publish_and_close(order);
}

static struct order *recorded(void (*act)(const struct order *))
{
    struct order *order = raw_share(sizeof *order);
    order->name = raw_name("o");
    order->act = act;
    child_run(record, order);
    return order;
}

#define MADE "+o_req +o_resp +o_req_empty +o_req_full +o_resp_empty +o_resp_full "
#define GONE "-o_resp -o_req_empty -o_req_full -o_resp_empty -o_resp_full -o_req "

static void test_SRPC_OBJ_003_SRPC_OWN_005_SRPC_SEM_005_SRPC_OBJ_001_names_come_and_go_in_order(
    void **state)
{
    (void)state;
    struct order *order = recorded(publish_and_close);
    assert_string_equal(order->seen, MADE GONE);
    raw_unshare(order, sizeof *order);
}

static void test_SRPC_RECLAIM_009_the_other_five_go_before_req(void **state)
{
    (void)state;
    struct order *order = recorded(publish_over_an_original);
    const char *gone = strstr(order->seen, GONE);
    assert_non_null(gone);
    assert_string_equal(gone + strlen(GONE), MADE GONE);
    raw_unshare(order, sizeof *order);
}

static void test_SRPC_RECLAIM_013_pieces_go_under_a_req_of_the_removers_own(void **state)
{
    (void)state;
    struct order *order = recorded(NULL);
    assert_string_equal(order->seen, "+o_req -o_resp_empty -o_req ");
    raw_unshare(order, sizeof *order);
}

/* ---- Removing without publishing ------------------------------------------------------------ */

static void test_SRPC_RECLAIM_010_reclaim_leaves_nothing_of_the_dead(void **state)
{
    (void)state;
    const char *name = raw_name("reclaim");
    assert_int_equal(shmrpc_owner_reclaim(name, NULL), SHMRPC_OK);
    leave_dead(name);
    assert_int_equal(shmrpc_owner_reclaim(name, NULL), SHMRPC_OK);
    assert_int_equal(raw_count(name), 0);
    raw_make_original(name, 512);
    assert_int_equal(shmrpc_owner_reclaim(name, NULL), SHMRPC_OK);
    assert_int_equal(raw_count(name), 0);
    leave_dead(name);
    raw_unlink(name, RAW_REQ);
    assert_int_equal(shmrpc_owner_reclaim(name, NULL), SHMRPC_OK);
    assert_int_equal(raw_count(name), 0);
}

/* ---- System calls that fail ----------------------------------------------------------------- */

static void without_leases(void *context)
{
    const char *name = context;
    struct shmrpc_channel *channel;
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    child_refuse(SYS_fcntl, 1, F_SETLEASE, EINVAL);
    CHILD_CHECK(shmrpc_owner_publish(name, 512, SHMRPC_WAIT_BLOCK, &channel, &error) ==
                SHMRPC_BUSY);
    CHILD_CHECK(strstr(error.text, "no leases") != NULL);
    CHILD_CHECK(shmrpc_owner_reclaim(name, &error) == SHMRPC_BUSY);
}

static void without_locks(void *context)
{
    const char *name = context;
    struct shmrpc_channel *channel;
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    child_refuse(SYS_fcntl, 1, F_OFD_SETLK, ENOLCK);
    CHILD_CHECK(shmrpc_owner_publish(name, 512, SHMRPC_WAIT_BLOCK, &channel, &error) ==
                SHMRPC_SYSTEM);
    CHILD_CHECK(error.system_errno == ENOLCK);
    CHILD_CHECK(shmrpc_owner_reclaim(name, &error) == SHMRPC_SYSTEM);
    CHILD_CHECK(error.system_errno == ENOLCK);
    CHILD_CHECK(strstr(error.text, "cannot lock the channel") != NULL);
}

static void without_links(void *context)
{
    const char *name = context;
    struct shmrpc_channel *channel;
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    child_refuse(SYS_linkat, -1, 0, ENOSPC);
    CHILD_CHECK(shmrpc_owner_publish(name, 512, SHMRPC_WAIT_BLOCK, &channel, &error) ==
                SHMRPC_SYSTEM);
    CHILD_CHECK(error.system_errno == ENOSPC);
}

/* To whoever cannot see what a name leads to, it leads elsewhere at each look. */
static void without_names(void *context)
{
    const char *name = context;
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    child_refuse(SYS_newfstatat, 3, AT_SYMLINK_NOFOLLOW, EIO);
    CHILD_CHECK(shmrpc_owner_reclaim(name, &error) == SHMRPC_BUSY);
    CHILD_CHECK(strstr(error.text, "keeps changing") != NULL);
}

/* Nor can a name be had that always exists when it is linked, and never when it is removed. */
static void behind_a_faster_one(void *context)
{
    const char *name = context;
    struct shmrpc_channel *channel;
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    child_refuse(SYS_linkat, -1, 0, EEXIST);
    CHILD_CHECK(shmrpc_owner_publish(name, 512, SHMRPC_WAIT_BLOCK, &channel, &error) ==
                SHMRPC_BUSY);
    CHILD_CHECK(strstr(error.text, "keeps changing") != NULL);
}

/* Pieces without a req are removed under a req of one's own, which cannot be had here. */
static void without_a_req(void *context)
{
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    child_refuse(SYS_linkat, -1, 0, ENOSPC);
    CHILD_CHECK(shmrpc_owner_reclaim(context, &error) == SHMRPC_SYSTEM);
    CHILD_CHECK(error.system_errno == ENOSPC);
}

/* Where nothing is left to remove, no req of one's own is needed. */
static void reclaim_without_links(void *context)
{
    child_forbid(SYS_linkat, -1, 0);
    CHILD_CHECK(shmrpc_owner_reclaim(context, NULL) == SHMRPC_OK);
}

static void test_SRPC_RECLAIM_013_reclaiming_claims_nothing_without_need(void **state)
{
    (void)state;
    union {
        const char *constant;
        void *argument;
    } name = {.constant = raw_name("needless")};
    child_run(reclaim_without_links, name.argument);
    leave_dead(name.constant);
    child_run(reclaim_without_links, name.argument);
    assert_int_equal(raw_count(name.constant), 0);
}

static void test_SRPC_RECLAIM_003_SRPC_RECLAIM_011_SRPC_RECLAIM_013_a_name_that_keeps_changing(
    void **state)
{
    (void)state;
    union {
        const char *constant;
        void *argument;
    } name = {.constant = raw_name("changing")};
    child_run(behind_a_faster_one, name.argument);
    assert_int_equal(raw_count(name.constant), 0);
    raw_make_original(name.constant, 512);
    child_run(without_names, name.argument);
    assert_int_equal(raw_count(name.constant), RAW_OBJECTS);
    raw_unlink(name.constant, RAW_REQ);
    child_run(without_a_req, name.argument);
    assert_int_equal(raw_count(name.constant), RAW_OBJECTS - 1);
    assert_publishable(name.constant);
}

static void test_SRPC_RECLAIM_006_SRPC_LIFE_004_no_proof_or_no_means_remove_nothing(void **state)
{
    (void)state;
    union {
        const char *constant;
        void *argument;
    } name = {.constant = raw_name("refused")};
    child_run(without_links, name.argument);
    assert_int_equal(raw_count(name.constant), 0);
    raw_make_original(name.constant, 512);
    child_run(without_leases, name.argument);
    assert_int_equal(raw_count(name.constant), RAW_OBJECTS);
    child_run(without_locks, name.argument);
    assert_int_equal(raw_count(name.constant), RAW_OBJECTS);
    assert_publishable(name.constant);
}

static void test_broken_contracts_fire(void **state)
{
    (void)state;
    struct shmrpc_channel *channel;
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    expect_check_failure(
        support_ignore(shmrpc_owner_publish("a/b", 512, SHMRPC_WAIT_BLOCK, &channel, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_owner_publish("x", 512, SHMRPC_WAIT_BLOCK, NULL, NULL)));
    expect_check_failure(support_ignore(shmrpc_owner_reclaim("", NULL)));
    expect_check_failure(support_ignore(shmrpc_owner_create("x", NULL, &channel)));
    expect_check_failure(support_ignore(shmrpc_owner_create("x", &options, NULL)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_SRPC_RECLAIM_004_SRPC_RECLAIM_009_SRPC_RECLAIM_010_SRPC_OWN_006_whatever_the_dead_leave),
        cmocka_unit_test(test_SRPC_RECLAIM_009_SRPC_RECLAIM_004_nothing_is_initialised_in_place),
        cmocka_unit_test(test_SRPC_RECLAIM_005_SRPC_RECLAIM_008_originals_that_nobody_holds),
        cmocka_unit_test(test_SRPC_RECLAIM_002_SRPC_OWN_008_SRPC_OWN_001_a_living_server_is_busy),
        cmocka_unit_test(
            test_SRPC_RECLAIM_005_SRPC_RECLAIM_006_SRPC_RECLAIM_012_an_original_that_somebody_holds),
        cmocka_unit_test(test_SRPC_RECLAIM_002_a_reclaimer_at_work_is_busy),
        cmocka_unit_test(test_SRPC_RECLAIM_008_SRPC_LIFE_004_held_leftovers_refuse_the_creation),
        cmocka_unit_test(test_SRPC_RECLAIM_008_a_marked_leftover_may_be_held_as_well),
        cmocka_unit_test_setup_teardown(
            test_SRPC_RECLAIM_011_a_lock_of_a_moment_is_waited_for, hold_nothing, release),
        cmocka_unit_test_setup_teardown(
            test_SRPC_RECLAIM_007_SRPC_RECLAIM_008_a_piece_held_for_a_moment_is_waited_for,
            hold_nothing, release),
        cmocka_unit_test(test_SRPC_RECLAIM_007_a_closing_original_is_given_time),
        cmocka_unit_test(test_SRPC_RECLAIM_001_SRPC_LIFE_004_squatters_stay_untouched),
        cmocka_unit_test(test_SRPC_LIFE_009_a_refusal_keeps_no_descriptor),
        cmocka_unit_test(test_SRPC_RECLAIM_011_SRPC_OBJ_002_of_racing_reclaimers_one_wins),
        cmocka_unit_test(
            test_SRPC_RECLAIM_003_SRPC_RECLAIM_011_SRPC_RECLAIM_010_nobody_is_robbed_in_a_crowd),
        cmocka_unit_test(
            test_SRPC_OBJ_003_SRPC_OWN_005_SRPC_SEM_005_SRPC_OBJ_001_names_come_and_go_in_order),
        cmocka_unit_test(test_SRPC_RECLAIM_009_the_other_five_go_before_req),
        cmocka_unit_test(test_SRPC_RECLAIM_013_pieces_go_under_a_req_of_the_removers_own),
        cmocka_unit_test(test_SRPC_RECLAIM_010_reclaim_leaves_nothing_of_the_dead),
        cmocka_unit_test(test_SRPC_RECLAIM_013_reclaiming_claims_nothing_without_need),
        cmocka_unit_test(
            test_SRPC_RECLAIM_006_SRPC_LIFE_004_no_proof_or_no_means_remove_nothing),
        cmocka_unit_test(
            test_SRPC_RECLAIM_003_SRPC_RECLAIM_011_SRPC_RECLAIM_013_a_name_that_keeps_changing),
        cmocka_unit_test(test_broken_contracts_fire),
    };
    support_limit_seconds(150);
    return cmocka_run_group_tests_name("owner", tests, NULL, raw_sweep);
}

/* SPDX-License-Identifier: MIT
 *
 * Room lock: the kernel's word on who lives, and what a fork must not carry over.
 *
 * Cannot be fired: ENSURE(errno != EBADF) of the lease, since SYS_OK(F_SETSIG) fires before it; the
 * SYS_OKs about the mutex, the once-control and pthread_atfork(), which fail only for lack of memory
 * or a corrupt mutex.
 */
#include "child.h"
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NO_DESCRIPTOR = 987654 };

static int new_file(void)
{
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

/* Another open file of the same inode, as another process would have it. */
static int open_again(int fd, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int other = open(path, flags | O_CLOEXEC);
    assert_true(other >= 0);
    return other;
}

static void test_SRPC_OWN_001_SRPC_RECLAIM_002_one_open_file_has_it(void **state)
{
    (void)state;
    int one = new_file();
    int two = open_again(one, O_RDWR);
    assert_int_equal(shmrpc_lock_take(one), SHMRPC_OK);
    assert_int_equal(shmrpc_lock_take(two), SHMRPC_BUSY);
    assert_int_equal(shmrpc_lock_take(one), SHMRPC_OK);
    shmrpc_lock_drop(two); /* not its own: changes nothing */
    assert_int_equal(shmrpc_lock_take(two), SHMRPC_BUSY);
    shmrpc_lock_drop(one);
    assert_int_equal(shmrpc_lock_take(two), SHMRPC_OK);
    assert_int_equal(shmrpc_lock_take(one), SHMRPC_BUSY);
    close(two);
    assert_int_equal(shmrpc_lock_take(one), SHMRPC_OK);
    close(one);
}

static void test_SRPC_OWN_007_probing_takes_nothing(void **state)
{
    (void)state;
    int one = new_file();
    int two = open_again(one, O_RDWR);
    assert_false(shmrpc_lock_held(one));
    assert_false(shmrpc_lock_held(two));
    assert_int_equal(shmrpc_lock_take(two), SHMRPC_OK);
    assert_true(shmrpc_lock_held(one));
    assert_false(shmrpc_lock_held(two)); /* by another, it says */
    int reader = open_again(one, O_RDONLY);
    assert_true(shmrpc_lock_held(reader));
    shmrpc_lock_drop(two);
    assert_false(shmrpc_lock_held(one));
    assert_false(shmrpc_lock_held(reader));
    close(reader);
    close(two);
    close(one);
}

/* The whole file: also what grows behind its present end. */
static void test_SRPC_OWN_001_the_whole_file_is_locked(void **state)
{
    (void)state;
    int one = new_file();
    int two = open_again(one, O_RDWR);
    assert_int_equal(shmrpc_lock_take(one), SHMRPC_OK);
    struct flock far = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1 << 20, .l_len = 1};
    assert_int_equal(fcntl(two, F_OFD_SETLK, &far), -1);
    assert_int_equal(errno, EAGAIN);
    struct flock shared = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    assert_int_equal(fcntl(two, F_OFD_SETLK, &shared), -1);
    close(two);
    close(one);
}

/* Unlike the older kind of lock, it outlives the closing of other descriptors of the file. */
static void test_SRPC_OWN_001_closing_another_descriptor_drops_nothing(void **state)
{
    (void)state;
    int one = new_file();
    int two = open_again(one, O_RDWR);
    int three = open_again(one, O_RDWR);
    assert_int_equal(shmrpc_lock_take(one), SHMRPC_OK);
    close(three);
    assert_true(shmrpc_lock_held(two));
    close(two);
    close(one);
}

struct holder {
    int file;  /* to be opened anew and locked */
    int ready; /* one byte says that it is */
};

static void hold_until_killed(void *argument)
{
    const struct holder *holder = argument;
    int fd = open_again(holder->file, O_RDWR);
    CHILD_CHECK(shmrpc_lock_take(fd) == SHMRPC_OK);
    CHILD_CHECK(write(holder->ready, "r", 1) == 1);
    for (;;)
        pause();
}

static void test_SRPC_OWN_006_SRPC_OWN_008_death_frees_it_and_a_stop_does_not(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct holder holder = {new_file(), ends[1]};
    pid_t pid = child_start(hold_until_killed, &holder);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_true(shmrpc_lock_held(holder.file));
    assert_int_equal(kill(pid, SIGSTOP), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    assert_true(shmrpc_lock_held(holder.file));
    assert_int_equal(shmrpc_lock_take(holder.file), SHMRPC_BUSY);
    child_kill(pid);
    assert_false(shmrpc_lock_held(holder.file));
    assert_int_equal(shmrpc_lock_take(holder.file), SHMRPC_OK);
    close(holder.file);
    close(ends[0]);
    close(ends[1]);
}

static void take_where_locks_have_run_out(void *argument)
{
    int fd = *(int *)argument;
    child_refuse(SYS_fcntl, 1, F_OFD_SETLK, ENOLCK);
    CHILD_CHECK(shmrpc_lock_take(fd) == SHMRPC_SYSTEM);
    CHILD_CHECK(errno == ENOLCK);
}

/* Nobody holds it, but who is not told so does not take anybody for dead. */
static void ask_where_memory_has_run_out(void *argument)
{
    int fd = *(int *)argument;
    CHILD_CHECK(!shmrpc_lock_held(fd));
    child_refuse(SYS_fcntl, 1, F_OFD_GETLK, ENOMEM);
    CHILD_CHECK(shmrpc_lock_held(fd));
}

static void test_SRPC_OWN_006_a_refusing_kernel_proves_nothing(void **state)
{
    (void)state;
    int fd = new_file();
    child_run(take_where_locks_have_run_out, &fd);
    child_run(ask_where_memory_has_run_out, &fd);
    close(fd);
}

/* What the library embeds into its objects: a node and the descriptor it speaks for. */
struct thing {
    struct shmrpc_fork_node node;
    int fd;
    int called;
};

static void forget_in_child(struct shmrpc_fork_node *node)
{
    struct thing *thing = (struct thing *)(void *)node;
    close(thing->fd);
    thing->fd = -1;
    thing->called++;
}

/* ---- Leases ---- */

static void test_SRPC_RECLAIM_005_a_lease_is_granted_only_to_the_one_holder(void **state)
{
    (void)state;
    int one = new_file();
    assert_int_equal(shmrpc_lease_take(one), SHMRPC_OK);
    assert_int_equal(shmrpc_lease_take(one), SHMRPC_OK); /* it has it already */
    shmrpc_lease_drop(one);
    shmrpc_lease_drop(one); /* harmless */
    int two = open_again(one, O_RDWR);
    assert_int_equal(shmrpc_lease_take(one), SHMRPC_BUSY);
    assert_int_equal(shmrpc_lease_take(two), SHMRPC_BUSY);
    /* A map alone counts as much as a descriptor: the original closes what it has mapped. */
    assert_int_equal(ftruncate(two, 4096), 0);
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, two, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    close(two);
    assert_int_equal(shmrpc_lease_take(one), SHMRPC_BUSY);
    assert_int_equal(munmap(map, 4096), 0);
    assert_int_equal(shmrpc_lease_take(one), SHMRPC_OK);
    close(one);
}

static void test_SRPC_RECLAIM_005_nobody_opens_what_is_leased(void **state)
{
    (void)state;
    char path[64];
    int one = new_file();
    snprintf(path, sizeof path, "/proc/self/fd/%d", one);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(shmrpc_lease_take(one), SHMRPC_OK);
        /* The kernel tells us of the opener by a signal; were it SIGIO, we would be dead. */
        assert_int_equal(open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC), -1);
        assert_int_equal(errno, EWOULDBLOCK);
        shmrpc_lease_drop(one);
        int two = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        assert_true(two >= 0);
        close(two);
    }
    close(one);
}

/* The lock and the lease speak of different things and do not disturb each other. */
static void test_SRPC_RECLAIM_002_a_lease_beside_a_lock(void **state)
{
    (void)state;
    int one = new_file();
    assert_int_equal(shmrpc_lock_take(one), SHMRPC_OK);
    assert_int_equal(shmrpc_lease_take(one), SHMRPC_OK);
    shmrpc_lease_drop(one);
    int two = open_again(one, O_RDWR);
    assert_true(shmrpc_lock_held(two));
    close(two);
    close(one);
}

static void test_SRPC_RECLAIM_005_a_process_counts_until_it_is_dead(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct holder holder = {new_file(), ends[1]};
    pid_t pid = child_start(hold_until_killed, &holder);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(shmrpc_lease_take(holder.file), SHMRPC_BUSY);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(shmrpc_lease_take(holder.file), SHMRPC_BUSY);
    child_kill(pid);
    assert_int_equal(shmrpc_lease_take(holder.file), SHMRPC_OK);
    close(holder.file);
    close(ends[0]);
    close(ends[1]);
}

/* A process of a PID namespace that cannot see the holder still learns that there is one. */
static void look_from_another_namespace(void *argument)
{
    const struct holder *holder = argument;
    if (unshare(CLONE_NEWPID) != 0) {
        dprintf(STDERR_FILENO, "skipped: no PID namespace can be made here (errno %d)\n", errno);
        child_leave(CHILD_SKIPS);
    }
    pid_t pid = fork();
    CHILD_CHECK(pid >= 0);
    if (pid == 0) {
        CHILD_CHECK(getpid() == 1);
        CHILD_CHECK(shmrpc_lease_take(holder->file) == (holder->ready != 0 ? SHMRPC_BUSY : SHMRPC_OK));
        shmrpc_lease_drop(holder->file); /* the open file is the parent's, too, and lives on */
        _exit(0);
    }
    int status = 0;
    CHILD_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void test_SRPC_RECLAIM_012_leases_are_evidence_across_pid_namespaces(void **state)
{
    (void)state;
    struct holder holder = {new_file(), 0};
    child_run(look_from_another_namespace, &holder);
    int other = open_again(holder.file, O_RDWR);
    holder.ready = 1;
    child_run(look_from_another_namespace, &holder);
    close(other);
    close(holder.file);
}

static void lease_where_there_are_none(void *argument)
{
    int fd = *(int *)argument;
    child_refuse(SYS_fcntl, 1, F_SETLEASE, EINVAL);
    CHILD_CHECK(shmrpc_lease_take(fd) == SHMRPC_SYSTEM);
    CHILD_CHECK(errno == EINVAL);
    shmrpc_lease_drop(fd);
}

static void test_SRPC_RECLAIM_006_without_leases_there_is_no_proof(void **state)
{
    (void)state;
    int fd = new_file();
    child_run(lease_where_there_are_none, &fd);
    assert_int_equal(shmrpc_lease_take(fd), SHMRPC_OK);
    close(fd);
}

static void test_assertions(void **state)
{
    (void)state;
    int writable = new_file();
    int reader = open_again(writable, O_RDONLY);
    struct shmrpc_fork_node node = {NULL, NULL, NULL};
    struct shmrpc_fork_node one = {NULL, NULL, NULL};
    struct shmrpc_fork_node two = {&one, &one, NULL};
    struct shmrpc_fork_node half = {NULL, &one, NULL};
    struct shmrpc_fork_node other_half = {&one, NULL, NULL};
    expect_check_failure(support_ignore(shmrpc_lock_take(-1)));
    expect_check_failure(shmrpc_lock_drop(-1));
    expect_check_failure(support_ignore(shmrpc_lock_held(-1)));
    /* Our own bugs: a descriptor that is closed, or not open for writing. */
    expect_check_failure(support_ignore(shmrpc_lock_take(NO_DESCRIPTOR)));
    expect_check_failure(support_ignore(shmrpc_lock_take(reader)));
    expect_check_failure(shmrpc_lock_drop(NO_DESCRIPTOR));
    expect_check_failure(support_ignore(shmrpc_lock_held(NO_DESCRIPTOR)));
    expect_check_failure(support_ignore(shmrpc_lease_take(-1)));
    expect_check_failure(support_ignore(shmrpc_lease_take(NO_DESCRIPTOR)));
    expect_check_failure(shmrpc_lease_drop(-1));
    shmrpc_fork_block();
    expect_check_failure(shmrpc_fork_add(NULL, forget_in_child));
    expect_check_failure(shmrpc_fork_add(&node, NULL));
    expect_check_failure(shmrpc_fork_add(&two, forget_in_child));
    expect_check_failure(shmrpc_fork_add(&half, forget_in_child));
    expect_check_failure(shmrpc_fork_add(&other_half, forget_in_child));
    expect_check_failure(shmrpc_fork_remove(NULL));
    one.next = &two;
    expect_check_failure(shmrpc_fork_remove(&two)); /* its neighbour does not know it */
    one.previous = &two;
    one.next = NULL;
    expect_check_failure(shmrpc_fork_remove(&two)); /* nor from the other side */
    /* A list that does not lead back to where it began. */
    shmrpc_fork_add(&node, forget_in_child);
    struct shmrpc_fork_node whole = node;
    node.previous = &one;
    expect_check_failure(shmrpc_fork_unblock());
    node = whole;
    node.next = &two;
    expect_check_failure(shmrpc_fork_unblock());
    node = whole;
    shmrpc_fork_remove(&node);
    shmrpc_fork_unblock();
    /* Only while forks are blocked. */
    expect_check_failure(shmrpc_fork_unblock());
    expect_check_failure(shmrpc_fork_add(&node, forget_in_child));
    expect_check_failure(shmrpc_fork_remove(&node));
    close(reader);
    close(writable);
}

static void add(struct thing *thing)
{
    shmrpc_fork_block();
    thing->fd = new_file();
    thing->called = 0;
    assert_int_equal(shmrpc_lock_take(thing->fd), SHMRPC_OK);
    shmrpc_fork_add(&thing->node, forget_in_child);
    shmrpc_fork_unblock();
}

static void take_out(struct thing *thing)
{
    shmrpc_fork_block();
    shmrpc_fork_remove(&thing->node);
    if (thing->fd >= 0)
        close(thing->fd);
    thing->fd = -1;
    shmrpc_fork_unblock();
}

static void live_until_killed(void *argument)
{
    CHILD_CHECK(write(*(int *)argument, "r", 1) == 1);
    for (;;)
        pause();
}

static void test_SRPC_FORK_002_a_living_child_keeps_no_lock(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    struct thing thing = {.fd = -1};
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    add(&thing);
    int witness = open_again(thing.fd, O_RDWR);
    pid_t pid = child_start(live_until_killed, &ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(thing.called, 0); /* the parent's copy is whole */
    assert_true(shmrpc_lock_held(witness));
    take_out(&thing);
    /* The child lives, and its copy of the descriptor is gone. */
    assert_false(shmrpc_lock_held(witness));
    child_kill(pid);
    close(witness);
    close(ends[0]);
    close(ends[1]);
}

/* The counterpart: a descriptor that no node speaks for does keep the lock in the child. */
static void test_SRPC_FORK_002_is_needed(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int fd = new_file();
    int witness = open_again(fd, O_RDWR);
    assert_int_equal(shmrpc_lock_take(fd), SHMRPC_OK);
    pid_t pid = child_start(live_until_killed, &ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(fd);
    assert_true(shmrpc_lock_held(witness));
    child_kill(pid);
    assert_false(shmrpc_lock_held(witness));
    close(witness);
    close(ends[0]);
    close(ends[1]);
}

enum { THINGS = 20 };

static void look_in_grandchild(void *argument)
{
    const struct thing *things = argument;
    for (int i = 0; i < THINGS; i++)
        CHILD_CHECK(things[i].called == (i % 3 == 0 ? 0 : 1)); /* not a second time */
}

static void look_in_child(void *argument)
{
    struct thing *things = argument;
    for (int i = 0; i < THINGS; i++) {
        CHILD_CHECK(things[i].called == (i % 3 == 0 ? 0 : 1));
        CHILD_CHECK((fcntl(things[i].fd, F_GETFD) == -1) == (things[i].fd == -1));
    }
    /* A child can use the library itself: the list is empty, the mutex free. */
    take_out(&things[1]);
    struct thing own = {.fd = -1};
    shmrpc_fork_block();
    own.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    shmrpc_fork_add(&own.node, forget_in_child);
    shmrpc_fork_unblock();
    pid_t pid = fork();
    if (pid == 0) {
        look_in_grandchild(things);
        CHILD_CHECK(own.called == 1);
        child_leave(0);
    }
    int status = 0;
    CHILD_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHILD_CHECK(own.called == 0);
    take_out(&own);
}

static void test_SRPC_FORK_001_each_listed_node_is_told_once(void **state)
{
    (void)state;
    struct thing things[THINGS];
    size_t before = count_descriptors();
    for (int i = 0; i < THINGS; i++) {
        things[i] = (struct thing){.fd = -1};
        add(&things[i]);
    }
    for (int i = 0; i < THINGS; i += 3)
        take_out(&things[i]); /* first, middle and last ones of the list */
    child_run(look_in_child, things);
    for (int i = 0; i < THINGS; i++) {
        assert_int_equal(things[i].called, 0);
        take_out(&things[i]); /* a second time for some: harmless */
    }
    assert_int_equal(count_descriptors(), before);
}

static atomic_int forked;

static void *fork_once(void *nothing)
{
    (void)nothing;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    atomic_store(&forked, pid > 0 ? 1 : -1);
    int status = 0;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? NULL : &forked;
}

static void test_SRPC_FORK_002_a_fork_waits_for_who_has_blocked_it(void **state)
{
    (void)state;
    pthread_t thread;
    void *result = NULL;
    atomic_store(&forked, 0);
    shmrpc_fork_block();
    assert_int_equal(pthread_create(&thread, NULL, fork_once, NULL), 0);
    usleep(50000); /* time enough for a fork that did not wait */
    assert_int_equal(atomic_load(&forked), 0);
    shmrpc_fork_unblock();
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_null(result);
    assert_int_equal(atomic_load(&forked), 1);
}

static void *add_and_remove(void *stop)
{
    struct thing thing = {.fd = -1};
    while (!atomic_load((atomic_bool *)stop)) {
        shmrpc_fork_block();
        thing.fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        shmrpc_fork_add(&thing.node, forget_in_child);
        shmrpc_fork_unblock();
        take_out(&thing);
    }
    return NULL;
}

/* Descriptors of files in /dev/shm, which nothing but the threads opens meanwhile. */
static size_t count_shared_files(void)
{
    struct stat shared;
    struct stat status;
    size_t count = 0;
    CHILD_CHECK(stat("/dev/shm", &shared) == 0);
    for (int fd = 0; fd < 1024; fd++)
        count += fstat(fd, &status) == 0 && status.st_dev == shared.st_dev;
    return count;
}

static void count_in_child(void *nothing)
{
    (void)nothing;
    CHILD_CHECK(count_shared_files() == 0);
}

/* However a fork falls into the work of other threads, the child has none of their descriptors. */
static void test_SRPC_FORK_002_forks_amid_threads_leave_no_descriptor(void **state)
{
    (void)state;
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    atomic_bool stop = false;
    size_t before = count_descriptors();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_and_remove, &stop), 0);
    int rounds = support_under_valgrind() ? 10 : 100;
    for (int i = 0; i < rounds; i++)
        child_run(count_in_child, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(count_descriptors(), before);
}

/* -1 is refused before the kernel is asked, whose refusal would fire as well. */
static void expect_no_descriptor(const char *line)
{
    if (strstr(line, "REQUIRE(fd >= 0)") == NULL) {
        fprintf(stderr, "another assertion: %s\n", line);
        abort();
    }
    support_check_hook(line);
}

static void test_no_descriptor_is_no_file(void **state)
{
    (void)state;
    shmrpc_check_set_hook(expect_no_descriptor);
    expect_assert_failure(support_ignore(shmrpc_lock_take(-1)));
    expect_assert_failure(shmrpc_lock_drop(-1));
    expect_assert_failure(support_ignore(shmrpc_lock_held(-1)));
    expect_assert_failure(support_ignore(shmrpc_lease_take(-1)));
    expect_assert_failure(shmrpc_lease_drop(-1));
    shmrpc_check_set_hook(NULL);
}

int main(void)
{
    support_limit_seconds(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_SRPC_OWN_001_SRPC_RECLAIM_002_one_open_file_has_it),
        cmocka_unit_test(test_SRPC_OWN_007_probing_takes_nothing),
        cmocka_unit_test(test_SRPC_OWN_001_the_whole_file_is_locked),
        cmocka_unit_test(test_SRPC_OWN_001_closing_another_descriptor_drops_nothing),
        cmocka_unit_test(test_SRPC_OWN_006_SRPC_OWN_008_death_frees_it_and_a_stop_does_not),
        cmocka_unit_test(test_SRPC_OWN_006_a_refusing_kernel_proves_nothing),
        cmocka_unit_test(test_SRPC_RECLAIM_005_a_lease_is_granted_only_to_the_one_holder),
        cmocka_unit_test(test_SRPC_RECLAIM_005_nobody_opens_what_is_leased),
        cmocka_unit_test(test_SRPC_RECLAIM_002_a_lease_beside_a_lock),
        cmocka_unit_test(test_SRPC_RECLAIM_005_a_process_counts_until_it_is_dead),
        cmocka_unit_test(test_SRPC_RECLAIM_012_leases_are_evidence_across_pid_namespaces),
        cmocka_unit_test(test_SRPC_RECLAIM_006_without_leases_there_is_no_proof),
        cmocka_unit_test(test_assertions),
        cmocka_unit_test(test_SRPC_FORK_002_a_living_child_keeps_no_lock),
        cmocka_unit_test(test_SRPC_FORK_002_is_needed),
        cmocka_unit_test(test_SRPC_FORK_001_each_listed_node_is_told_once),
        cmocka_unit_test(test_SRPC_FORK_002_a_fork_waits_for_who_has_blocked_it),
        cmocka_unit_test(test_SRPC_FORK_002_forks_amid_threads_leave_no_descriptor),
        cmocka_unit_test(test_no_descriptor_is_no_file),
    };
    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}

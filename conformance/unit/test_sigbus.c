/* SPDX-License-Identifier: MIT
 *
 * Room sigbus: real faults behind the end of real files, each in a process of its own.
 *
 * Cannot be fired: the SYS_OKs about the mutex, and about sigaction(), which accepts what it gave.
 */
#include "../../src/wait.h"
#include "child.h"
#include "segment.h"
#include "sigbus.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGES = 4 };

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* The start of every child: SIGBUS as a program has it that asked for nothing. Sanitizers and
 * cmocka handle it otherwise. */
static void start_plain(void)
{
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGBUS, SIG_DFL);
}

static struct shmrpc_segment make(size_t bytes)
{
    struct shmrpc_segment segment = SHMRPC_SEGMENT_INIT;
    CHILD_CHECK(shmrpc_segment_make(bytes, 01600, &segment, NULL) == SHMRPC_OK);
    return segment;
}

/* A mapping that nobody registered, cut to nothing. */
static volatile char *unregistered(void)
{
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    CHILD_CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHILD_CHECK(map != MAP_FAILED);
    CHILD_CHECK(ftruncate(fd, 0) == 0);
    close(fd);
    return map;
}

static int read_char(const volatile char *at)
{
    return *at;
}

static bool died_by_sigbus(void (*run)(void *), void *argument)
{
    int status = child_wait(child_start(run, argument));
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIPS)
        skip();
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;
}

static void survive_truncation(void *nothing)
{
    (void)nothing;
    start_plain();
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    struct shmrpc_segment other = make(page_bytes());
    struct shmrpc_segment segment = make(PAGES * page_bytes());
    volatile char *map = segment.map;
    map[0] = 'a';
    map[page_bytes()] = 'b';
    CHILD_CHECK(ftruncate(segment.fd, (off_t)page_bytes()) == 0);
    CHILD_CHECK(!shmrpc_sigbus_hit(segment.range));
    CHILD_CHECK(map[0] == 'a'); /* the part that is left stays shared memory */
    CHILD_CHECK(!shmrpc_sigbus_hit(segment.range));
    errno = 4711;
    CHILD_CHECK(read_char(map + page_bytes()) == 0);
    CHILD_CHECK(errno == 4711);
    CHILD_CHECK(shmrpc_sigbus_hit(segment.range));
    map[2 * page_bytes() + 17] = 'c'; /* a store as well */
    CHILD_CHECK(map[2 * page_bytes() + 17] == 'c');
    CHILD_CHECK(read_char(map + PAGES * page_bytes() - 1) == 0); /* the last byte */
    CHILD_CHECK(map[0] == 'a');
    CHILD_CHECK(!shmrpc_sigbus_hit(other.range));
    shmrpc_segment_drop(&segment); /* replaced pages go with the rest */
    shmrpc_segment_drop(&other);
    shmrpc_sigbus_uninstall();
}

static void test_SRPC_SIGBUS_001_a_truncated_segment_reads_as_zeros(void **state)
{
    (void)state;
    child_run(survive_truncation, NULL);
}

static void wait_on_nothing(void *nothing)
{
    (void)nothing;
    start_plain();
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    struct shmrpc_segment segment = make(SHMRPC_SEMAPHORE_BYTES);
    sem_t *semaphore = segment.map;
    struct shmrpc_spin spin;
    struct shmrpc_deadline deadline;
    shmrpc_spin_init(&spin, SHMRPC_WAIT_ADAPTIVE);
    shmrpc_wait_make(semaphore, 1);
    CHILD_CHECK(ftruncate(segment.fd, 0) == 0);
    CHILD_CHECK(!shmrpc_wait_try(semaphore));
    CHILD_CHECK(shmrpc_sigbus_hit(segment.range));
    shmrpc_deadline_start(&deadline, SHMRPC_FOREVER, NULL, NULL);
    CHILD_CHECK(shmrpc_wait_take(semaphore, &spin, &deadline) == SHMRPC_PROTOCOL);
    CHILD_CHECK(shmrpc_wait_post(semaphore) == SHMRPC_PROTOCOL); /* zeros are no semaphore */
    shmrpc_segment_drop(&segment);
}

static void *truncate_soon(void *fd)
{
    usleep(30000); /* about when a slice ends and the next begins */
    return ftruncate(*(int *)fd, 0) == 0 ? NULL : fd;
}

static void truncated_while_it_waits(void *nothing)
{
    (void)nothing;
    start_plain();
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    struct shmrpc_segment segment = make(SHMRPC_SEMAPHORE_BYTES);
    struct shmrpc_spin spin;
    struct shmrpc_deadline deadline;
    pthread_t thread;
    shmrpc_spin_init(&spin, SHMRPC_WAIT_BLOCK);
    shmrpc_wait_make(segment.map, 0);
    CHILD_CHECK(pthread_create(&thread, NULL, truncate_soon, &segment.fd) == 0);
    shmrpc_deadline_start(&deadline, SHMRPC_FOREVER, NULL, NULL);
    CHILD_CHECK(shmrpc_wait_take(segment.map, &spin, &deadline) == SHMRPC_PROTOCOL);
    void *failed;
    CHILD_CHECK(pthread_join(thread, &failed) == 0 && failed == NULL);
    CHILD_CHECK(shmrpc_sigbus_hit(segment.range));
    shmrpc_segment_drop(&segment);
}

static void test_SRPC_SIGBUS_001_a_wait_on_a_truncated_semaphore_ends(void **state)
{
    (void)state;
    child_run(wait_on_nothing, NULL);
    child_run(truncated_while_it_waits, NULL);
}

static void touch_without_guard(void *nothing)
{
    (void)nothing;
    start_plain();
    struct shmrpc_segment segment = make(page_bytes());
    CHILD_CHECK(ftruncate(segment.fd, 0) == 0);
    support_ignore(read_char(segment.map));
}

static void touch_after_uninstalling(void *nothing)
{
    (void)nothing;
    start_plain();
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    shmrpc_sigbus_uninstall();
    touch_without_guard(nothing);
}

static void test_SRPC_SIGBUS_003_SRPC_SIGNAL_004_nothing_is_guarded_unasked(void **state)
{
    (void)state;
    assert_true(died_by_sigbus(touch_without_guard, NULL));
    assert_true(died_by_sigbus(touch_after_uninstalling, NULL));
}

/* ---- Handlers that were there before ---- */

static volatile sig_atomic_t called;
static volatile char *volatile faulting;

static void map_a_page_there(void)
{
    called++;
    if (mmap((void *)(uintptr_t)faulting, 4096, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        _exit(9);
}

static void earlier_handler(int number)
{
    if (number != SIGBUS)
        _exit(8);
    map_a_page_there();
}

static void earlier_action(int number, siginfo_t *info, void *context)
{
    if (number != SIGBUS || info->si_addr != (void *)(uintptr_t)faulting || context == NULL)
        _exit(8);
    map_a_page_there();
}

static void chain_to(const struct sigaction *earlier)
{
    struct sigaction now;
    start_plain();
    CHILD_CHECK(sigaction(SIGBUS, earlier, NULL) == 0);
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK); /* again: must not chain to itself */
    struct shmrpc_segment segment = make(page_bytes());
    CHILD_CHECK(ftruncate(segment.fd, 0) == 0);
    faulting = unregistered();
    CHILD_CHECK(read_char(faulting) == 0);
    CHILD_CHECK(called == 1);
    CHILD_CHECK(!shmrpc_sigbus_hit(segment.range));
    CHILD_CHECK(read_char(segment.map) == 0); /* ours */
    CHILD_CHECK(called == 1);
    /* A mapping that was taken out of the guard's care is none of ours any more. */
    void *map = segment.map;
    faulting = map;
    shmrpc_sigbus_remove(segment.range);
    CHILD_CHECK(mmap(map, page_bytes(), PROT_READ, MAP_SHARED | MAP_FIXED, segment.fd, 0) == map);
    CHILD_CHECK(read_char(map) == 0);
    CHILD_CHECK(called == 2);
    shmrpc_sigbus_uninstall();
    CHILD_CHECK(sigaction(SIGBUS, NULL, &now) == 0);
    CHILD_CHECK(now.sa_handler == earlier->sa_handler);
    CHILD_CHECK((now.sa_flags & SA_SIGINFO) == (earlier->sa_flags & SA_SIGINFO));
    shmrpc_sigbus_uninstall(); /* harmless */
    CHILD_CHECK(sigaction(SIGBUS, NULL, &now) == 0);
    CHILD_CHECK(now.sa_handler == earlier->sa_handler);
    faulting = unregistered();
    CHILD_CHECK(read_char(faulting) == 0); /* and it works as before */
    CHILD_CHECK(called == 3);
    close(segment.fd);
}

static void chain_to_handler(void *nothing)
{
    (void)nothing;
    const struct sigaction earlier = {.sa_handler = earlier_handler};
    chain_to(&earlier);
}

static void chain_to_action(void *nothing)
{
    (void)nothing;
    const struct sigaction earlier = {.sa_sigaction = earlier_action, .sa_flags = SA_SIGINFO};
    chain_to(&earlier);
}

static void test_SRPC_SIGBUS_002_SRPC_SIGBUS_003_other_faults_go_to_the_earlier_handler(void **state)
{
    (void)state;
    child_run(chain_to_handler, NULL);
    child_run(chain_to_action, NULL);
}

/* A range ends where its last byte is, whatever stands behind it. */
static void fault_right_behind(void *nothing)
{
    (void)nothing;
    const struct sigaction earlier = {.sa_handler = earlier_handler};
    start_plain();
    CHILD_CHECK(sigaction(SIGBUS, &earlier, NULL) == 0);
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    struct shmrpc_segment segment = make(2 * page_bytes());
    char *map = segment.map;
    shmrpc_sigbus_remove(segment.range);
    segment.range = shmrpc_sigbus_add(map, page_bytes());
    CHILD_CHECK(ftruncate(segment.fd, 0) == 0);
    faulting = map + page_bytes();
    CHILD_CHECK(read_char(faulting) == 0);
    CHILD_CHECK(called == 1);
    CHILD_CHECK(!shmrpc_sigbus_hit(segment.range));
    CHILD_CHECK(read_char(faulting - 1) == 0);
    CHILD_CHECK(called == 1);
    CHILD_CHECK(shmrpc_sigbus_hit(segment.range));
    shmrpc_segment_drop(&segment);
}

static void test_SRPC_SIGBUS_002_a_range_ends_with_its_last_byte(void **state)
{
    (void)state;
    child_run(fault_right_behind, NULL);
}

/* What was put back is not put back twice, and what was taken out can be put in again. */
static void install_again(void *nothing)
{
    (void)nothing;
    struct sigaction now;
    start_plain();
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    shmrpc_sigbus_uninstall();
    signal(SIGBUS, earlier_handler);
    shmrpc_sigbus_uninstall();
    CHILD_CHECK(sigaction(SIGBUS, NULL, &now) == 0);
    CHILD_CHECK(now.sa_handler == earlier_handler);
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    struct shmrpc_segment segment = make(page_bytes());
    CHILD_CHECK(ftruncate(segment.fd, 0) == 0);
    CHILD_CHECK(read_char(segment.map) == 0);
    CHILD_CHECK(shmrpc_sigbus_hit(segment.range));
    CHILD_CHECK(called == 0);
    shmrpc_segment_drop(&segment);
}

static void test_SRPC_SIGBUS_003_a_guard_can_be_installed_again(void **state)
{
    (void)state;
    child_run(install_again, NULL);
}

static void fault_elsewhere(void *disposition)
{
    start_plain();
    signal(SIGBUS, disposition == NULL ? SIG_DFL : SIG_IGN);
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    support_ignore(read_char(unregistered()));
}

static void send_sigbus(void *disposition)
{
    start_plain();
    signal(SIGBUS, disposition == NULL ? SIG_DFL : SIG_IGN);
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    CHILD_CHECK(kill(getpid(), SIGBUS) == 0);
}

static void test_SRPC_SIGBUS_002_the_default_and_ignoring_keep_their_meaning(void **state)
{
    (void)state;
    int ignored;
    assert_true(died_by_sigbus(fault_elsewhere, NULL));
    assert_true(died_by_sigbus(fault_elsewhere, &ignored)); /* a fault cannot be ignored */
    assert_true(died_by_sigbus(send_sigbus, NULL));
    child_run(send_sigbus, &ignored);
}

/* A signal that somebody sent with an address of ours in it is not a fault of ours. */
static void send_sigbus_with_address(void *nothing)
{
    (void)nothing;
    const struct sigaction earlier = {.sa_handler = earlier_handler};
    start_plain();
    CHILD_CHECK(sigaction(SIGBUS, &earlier, NULL) == 0);
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    struct shmrpc_segment segment = make(page_bytes());
    ((char *)segment.map)[0] = 'x';
    faulting = unregistered();
    siginfo_t info = {.si_signo = SIGBUS, .si_code = SI_QUEUE};
    info.si_addr = segment.map;
    CHILD_CHECK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info) == 0);
    CHILD_CHECK(called == 1);
    info.si_code = SI_USER;
    CHILD_CHECK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info) == 0);
    CHILD_CHECK(called == 2);
    CHILD_CHECK(!shmrpc_sigbus_hit(segment.range));
    CHILD_CHECK(((char *)segment.map)[0] == 'x');
    shmrpc_segment_drop(&segment);
}

static void test_SRPC_SIGBUS_002_a_sent_signal_is_no_fault(void **state)
{
    (void)state;
    if (support_under_valgrind()) {
        print_message("skipped: valgrind does not deliver such a signal at once\n");
        skip();
    }
    child_run(send_sigbus_with_address, NULL);
}

/* Of the kernel's codes BUS_ADRALN is the least. The default action takes the place of ignoring, and
 * the fault would recur; this one, which was only sent, does not. */
static void send_the_least_fault(void *nothing)
{
    (void)nothing;
    struct sigaction now;
    start_plain();
    signal(SIGBUS, SIG_IGN);
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    siginfo_t info = {.si_signo = SIGBUS, .si_code = BUS_ADRALN};
    CHILD_CHECK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info) == 0);
    CHILD_CHECK(sigaction(SIGBUS, NULL, &now) == 0);
    CHILD_CHECK(now.sa_handler == SIG_DFL);
    /* In a range of ours it is one of ours. */
    shmrpc_sigbus_uninstall();
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    struct shmrpc_segment segment = make(page_bytes());
    info.si_addr = segment.map;
    CHILD_CHECK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info) == 0);
    CHILD_CHECK(shmrpc_sigbus_hit(segment.range));
    shmrpc_segment_drop(&segment);
}

static void test_SRPC_SIGBUS_002_no_fault_can_be_ignored(void **state)
{
    (void)state;
    if (support_under_valgrind()) {
        print_message("skipped: valgrind does not deliver such a signal at once\n");
        skip();
    }
    child_run(send_the_least_fault, NULL);
}

/* A place of the registry that is free guards nothing, not even where addresses begin. */
static void fault_at_a_low_address(void *nothing)
{
    (void)nothing;
    enum { LOW = 1 << 20 };
    const struct sigaction earlier = {.sa_handler = earlier_handler};
    start_plain();
    CHILD_CHECK(sigaction(SIGBUS, &earlier, NULL) == 0);
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    struct shmrpc_segment segment = make(2 * LOW);
    int fd = dup(segment.fd);
    CHILD_CHECK(fd >= 0);
    shmrpc_segment_drop(&segment);
    faulting = mmap((void *)(uintptr_t)LOW, page_bytes(), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
    if (faulting != (volatile char *)(uintptr_t)LOW)
        child_leave(CHILD_SKIPS);
    CHILD_CHECK(ftruncate(fd, 0) == 0);
    CHILD_CHECK(read_char(faulting) == 0);
    CHILD_CHECK(called == 1);
    close(fd);
}

static void test_SRPC_SIGBUS_002_a_free_place_guards_nothing(void **state)
{
    (void)state;
    child_run(fault_at_a_low_address, NULL);
}

static void no_page_to_be_had(void *nothing)
{
    (void)nothing;
    start_plain();
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    struct shmrpc_segment segment = make(page_bytes());
    CHILD_CHECK(ftruncate(segment.fd, 0) == 0);
    child_refuse(SYS_mmap, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, ENOMEM);
    support_ignore(read_char(segment.map));
}

/* Not every kernel overlooks a descriptor beside MAP_ANONYMOUS: it has to be -1. */
static void a_page_of_no_file(void *nothing)
{
    (void)nothing;
    start_plain();
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    struct shmrpc_segment segment = make(page_bytes());
    CHILD_CHECK(ftruncate(segment.fd, 0) == 0);
    child_refuse(SYS_mmap, 4, 0, EINVAL);
    child_refuse(SYS_mmap, 4, (unsigned)-2, EINVAL);
    CHILD_CHECK(read_char(segment.map) == 0);
    CHILD_CHECK(shmrpc_sigbus_hit(segment.range));
}

static void no_handler_to_be_had(void *nothing)
{
    (void)nothing;
    start_plain();
    child_refuse(SYS_rt_sigaction, 0, SIGBUS, EPERM);
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_SYSTEM);
    CHILD_CHECK(errno == EPERM);
    shmrpc_sigbus_uninstall(); /* nothing was installed, so nothing is put back */
}

static void test_failing_system_calls(void **state)
{
    (void)state;
    assert_true(died_by_sigbus(no_page_to_be_had, NULL));
    child_run(a_page_of_no_file, NULL);
    if (support_under_valgrind())
        print_message("skipped in part: valgrind answers sigaction() itself\n");
    else
        child_run(no_handler_to_be_had, NULL);
}

/* The handler must get along without what a lock or an allocation would need. */
static void fault_without_futex_and_brk(void *nothing)
{
    (void)nothing;
    start_plain();
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    struct shmrpc_segment segment = make(PAGES * page_bytes());
    CHILD_CHECK(ftruncate(segment.fd, 0) == 0);
    child_forbid(SYS_futex, -1, 0);
    child_forbid(SYS_brk, -1, 0);
    for (size_t i = 0; i < PAGES; i++)
        CHILD_CHECK(read_char((char *)segment.map + i * page_bytes()) == 0);
    CHILD_CHECK(shmrpc_sigbus_hit(segment.range));
}

struct crowd {
    atomic_bool stop;
};

static void *register_and_allocate(void *argument)
{
    struct crowd *crowd = argument;
    while (!atomic_load(&crowd->stop)) {
        struct shmrpc_segment segment = make(page_bytes());
        void *volatile block = malloc(1000);
        free(block);
        shmrpc_segment_drop(&segment);
    }
    return NULL;
}

static void *fault_often(void *argument)
{
    int rounds = *(int *)argument;
    for (int i = 0; i < rounds; i++) {
        struct shmrpc_segment segment = make(page_bytes());
        CHILD_CHECK(ftruncate(segment.fd, 0) == 0);
        CHILD_CHECK(read_char(segment.map) == 0);
        CHILD_CHECK(shmrpc_sigbus_hit(segment.range));
        shmrpc_segment_drop(&segment);
    }
    return NULL;
}

/* Faults in some threads while others hold whatever locks registering and allocating need. */
static void fault_amid_threads(void *nothing)
{
    (void)nothing;
    enum { THREADS = 2 };
    pthread_t busy[THREADS];
    pthread_t faulty[THREADS];
    struct crowd crowd = {.stop = false};
    int rounds = support_under_valgrind() ? 30 : 500;
    start_plain();
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    for (int i = 0; i < THREADS; i++) {
        CHILD_CHECK(pthread_create(&busy[i], NULL, register_and_allocate, &crowd) == 0);
        CHILD_CHECK(pthread_create(&faulty[i], NULL, fault_often, &rounds) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHILD_CHECK(pthread_join(faulty[i], NULL) == 0);
    atomic_store(&crowd.stop, true);
    for (int i = 0; i < THREADS; i++)
        CHILD_CHECK(pthread_join(busy[i], NULL) == 0);
}

static void test_SRPC_SIGBUS_004_the_handler_needs_no_lock_and_no_memory(void **state)
{
    (void)state;
    if (support_under_valgrind())
        print_message("skipped in part: valgrind itself needs the calls that are forbidden\n");
    else
        child_run(fault_without_futex_and_brk, NULL);
    child_run(fault_amid_threads, NULL);
}

static void test_places_in_the_registry_are_used_again(void **state)
{
    (void)state;
    static char memory[3][64];
    struct shmrpc_sigbus_range *one = shmrpc_sigbus_add(memory[0], 64);
    struct shmrpc_sigbus_range *two = shmrpc_sigbus_add(memory[1], 64);
    assert_non_null(one);
    assert_non_null(two);
    assert_ptr_not_equal(one, two);
    shmrpc_sigbus_remove(one);
    assert_ptr_equal(shmrpc_sigbus_add(memory[2], 64), one);
    assert_false(shmrpc_sigbus_hit(one));
    shmrpc_sigbus_remove(two);
    shmrpc_sigbus_remove(one);
}

static void hit_and_use_again(void *nothing)
{
    (void)nothing;
    start_plain();
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    struct shmrpc_segment segment = make(page_bytes());
    struct shmrpc_sigbus_range *range = segment.range;
    CHILD_CHECK(ftruncate(segment.fd, 0) == 0);
    CHILD_CHECK(read_char(segment.map) == 0);
    CHILD_CHECK(shmrpc_sigbus_hit(range));
    shmrpc_segment_drop(&segment);
    struct shmrpc_segment next = make(page_bytes());
    CHILD_CHECK(next.range == range);
    CHILD_CHECK(!shmrpc_sigbus_hit(range)); /* the next channel is not dead of the last one's fault */
    shmrpc_segment_drop(&next);
}

static void test_SRPC_SIGBUS_001_a_hit_is_forgotten_with_its_segment(void **state)
{
    (void)state;
    child_run(hit_and_use_again, NULL);
}

static void test_assertions(void **state)
{
    (void)state;
    char memory[64];
    expect_check_failure(support_ignore(shmrpc_sigbus_add(NULL, 64) != NULL));
    expect_check_failure(support_ignore(shmrpc_sigbus_add(memory, 0) != NULL));
    expect_check_failure(support_ignore(shmrpc_sigbus_add(memory, SIZE_MAX) != NULL));
    expect_check_failure(shmrpc_sigbus_remove(NULL));
    expect_check_failure(support_ignore(shmrpc_sigbus_hit(NULL)));
    struct shmrpc_sigbus_range *range = shmrpc_sigbus_add(memory, sizeof memory);
    shmrpc_sigbus_remove(range);
    expect_check_failure(shmrpc_sigbus_remove(range));
}

int main(void)
{
    support_limit_seconds(90);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_SRPC_SIGBUS_001_a_truncated_segment_reads_as_zeros),
        cmocka_unit_test(test_SRPC_SIGBUS_001_a_wait_on_a_truncated_semaphore_ends),
        cmocka_unit_test(test_SRPC_SIGBUS_003_SRPC_SIGNAL_004_nothing_is_guarded_unasked),
        cmocka_unit_test(test_SRPC_SIGBUS_002_SRPC_SIGBUS_003_other_faults_go_to_the_earlier_handler),
        cmocka_unit_test(test_SRPC_SIGBUS_002_a_range_ends_with_its_last_byte),
        cmocka_unit_test(test_SRPC_SIGBUS_003_a_guard_can_be_installed_again),
        cmocka_unit_test(test_SRPC_SIGBUS_002_the_default_and_ignoring_keep_their_meaning),
        cmocka_unit_test(test_SRPC_SIGBUS_002_a_sent_signal_is_no_fault),
        cmocka_unit_test(test_SRPC_SIGBUS_002_no_fault_can_be_ignored),
        cmocka_unit_test(test_SRPC_SIGBUS_002_a_free_place_guards_nothing),
        cmocka_unit_test(test_failing_system_calls),
        cmocka_unit_test(test_SRPC_SIGBUS_004_the_handler_needs_no_lock_and_no_memory),
        cmocka_unit_test(test_places_in_the_registry_are_used_again),
        cmocka_unit_test(test_SRPC_SIGBUS_001_a_hit_is_forgotten_with_its_segment),
        cmocka_unit_test(test_assertions),
    };
    return cmocka_run_group_tests_name("sigbus", tests, NULL, NULL);
}

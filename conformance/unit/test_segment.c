/* SPDX-License-Identifier: MIT
 *
 * Room segment: an object is made whole before it has a name; what is opened is looked at before
 * it is trusted; what is removed is one's own.
 *
 * Cannot be fired: SYS_OK(fstat) on a descriptor just opened; ENSURE(made.map) behind a map that
 * succeeded; ENSURE(length > 0) behind snprintf().
 */
#include "../../src/error.h"
#include "child.h"
#include "lock.h"
#include "segment.h"

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
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { MODE = SHMRPC_MARK | SHMRPC_OBJECT_MODE, BYTES = 5000 };

static char file_a[64];
static char file_b[64];
static char path_a[SHMRPC_FILE_NAME_BYTES + 16];
static char path_b[SHMRPC_FILE_NAME_BYTES + 16];

static int set_names(void **state)
{
    (void)state;
    snprintf(file_a, sizeof file_a, "srb_unitsegment-%d-a_req", (int)getpid());
    snprintf(file_b, sizeof file_b, "srb_unitsegment-%d-b_req", (int)getpid());
    shmrpc_segment_path(file_a, path_a);
    shmrpc_segment_path(file_b, path_b);
    return 0;
}

static int remove_names(void **state)
{
    (void)state;
    if (unlink(path_a) != 0)
        rmdir(path_a);
    unlink(path_b);
    return 0;
}

static struct shmrpc_segment make(size_t bytes, mode_t mode)
{
    struct shmrpc_segment segment = SHMRPC_SEGMENT_INIT;
    struct shmrpc_error error;
    assert_int_equal(shmrpc_segment_make(bytes, mode, &segment, &error), SHMRPC_OK);
    return segment;
}

static void make_named(const char *file, size_t bytes, mode_t mode)
{
    struct shmrpc_segment segment = make(bytes, mode);
    assert_int_equal(shmrpc_segment_link(&segment, file, NULL), SHMRPC_OK);
    shmrpc_segment_drop(&segment);
}

static void check_close_on_exec(int fd)
{
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

/* What stands under the name, to the byte. */
static void check_file(const char *path, size_t bytes, mode_t mode)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | mode);
    assert_int_equal(status.st_size, bytes);
    assert_int_equal(status.st_nlink, 1);
    assert_int_equal(status.st_uid, geteuid());
    assert_true((size_t)status.st_blocks * 512 >= bytes); /* every page is there already */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t i = 0; i < bytes; i++) {
        char byte = 1;
        assert_int_equal(pread(fd, &byte, 1, (off_t)i), 1);
        assert_int_equal(byte, 0);
    }
    close(fd);
}

static void test_SRPC_SEG_001_SRPC_SEG_004_SRPC_OWN_002_SRPC_LIFE_008_made_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, SHMRPC_SEMAPHORE_BYTES, 128, 4095, 4096, 4097, 12345};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct shmrpc_segment segment = make(sizes[i], MODE);
        struct stat status;
        check_close_on_exec(segment.fd);
        assert_int_equal(segment.bytes, sizes[i]);
        assert_true(segment.marked);
        assert_int_equal(fstat(segment.fd, &status), 0);
        assert_int_equal(status.st_nlink, 0);
        assert_int_equal(status.st_dev, segment.device);
        assert_int_equal(status.st_ino, segment.inode);
        assert_int_equal(access(path_a, F_OK), -1);
        assert_int_equal(shmrpc_segment_link(&segment, file_a, NULL), SHMRPC_OK);
        check_file(path_a, sizes[i], MODE);
        assert_true(shmrpc_segment_is(&segment, file_a));
        shmrpc_segment_unlink(&segment, file_a);
        assert_int_equal(access(path_a, F_OK), -1);
        assert_int_equal(errno, ENOENT);
        assert_false(shmrpc_segment_is(&segment, file_a));
        shmrpc_segment_drop(&segment);
    }
    struct shmrpc_segment plain = make(64, SHMRPC_OBJECT_MODE);
    assert_false(plain.marked);
    shmrpc_segment_drop(&plain);
}

static void test_SRPC_OBJ_004_SRPC_OBJ_006_the_umask_has_no_say(void **state)
{
    (void)state;
    static const mode_t masks[] = {0, 022, 077, 0177, 0777};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        mode_t before = umask(masks[i]);
        make_named(file_a, 128, MODE);
        umask(before);
        check_file(path_a, 128, MODE);
        assert_int_equal(unlink(path_a), 0);
    }
}

static void test_SRPC_OBJ_002_a_taken_name_is_never_replaced(void **state)
{
    (void)state;
    struct shmrpc_error error;
    struct shmrpc_segment one = make(BYTES, MODE);
    struct shmrpc_segment two = make(BYTES, MODE);
    assert_int_equal(shmrpc_segment_link(&one, file_a, &error), SHMRPC_OK);
    assert_int_equal(shmrpc_segment_link(&two, file_a, &error), SHMRPC_BUSY);
    assert_non_null(strstr(error.text, file_a));
    assert_true(shmrpc_segment_is(&one, file_a));
    assert_false(shmrpc_segment_is(&two, file_a));
    /* Not even where the name leads nowhere. */
    assert_int_equal(symlink("/dev/shm/srb_unitsegment-nowhere", path_b), 0);
    assert_int_equal(shmrpc_segment_link(&two, file_b, &error), SHMRPC_BUSY);
    assert_int_equal(access("/dev/shm/srb_unitsegment-nowhere", F_OK), -1);
    shmrpc_segment_drop(&one);
    shmrpc_segment_drop(&two);
}

static void test_a_name_that_cannot_be_linked_is_an_error(void **state)
{
    (void)state;
    struct shmrpc_error error;
    struct shmrpc_segment segment = make(64, MODE);
    assert_int_equal(shmrpc_segment_link(&segment, "no-such-directory/x", &error), SHMRPC_SYSTEM);
    assert_int_equal(error.system_errno, ENOENT);
    char longest[SHMRPC_FILE_NAME_BYTES + 1];
    memset(longest, 'n', SHMRPC_FILE_NAME_BYTES);
    longest[SHMRPC_FILE_NAME_BYTES] = '\0';
    assert_int_equal(shmrpc_segment_link(&segment, longest, &error), SHMRPC_SYSTEM);
    assert_int_equal(error.system_errno, ENAMETOOLONG);
    shmrpc_segment_drop(&segment);
}

/* Opening must fail so, with nothing left open and nothing written to the result. */
static void check_refused(size_t least, enum shmrpc_status expected, int expected_errno)
{
    struct shmrpc_segment segment;
    struct shmrpc_segment untouched;
    struct shmrpc_error error;
    memset(&segment, 0x77, sizeof segment);
    untouched = segment;
    size_t before = count_descriptors();
    assert_int_equal(shmrpc_segment_open(file_a, least, &segment, &error), expected);
    assert_int_equal(error.status, expected);
    assert_int_equal(error.system_errno, expected_errno);
    assert_non_null(strstr(error.text, file_a));
    assert_int_equal(shmrpc_segment_open(file_a, least, &segment, NULL), expected);
    assert_memory_equal(&segment, &untouched, sizeof segment);
    assert_int_equal(count_descriptors(), before);
}

static void test_SRPC_ATTACH_001_nothing_there_is_not_found(void **state)
{
    (void)state;
    check_refused(0, SHMRPC_NOT_FOUND, 0);
}

static void test_SRPC_ATTACH_003_links_are_not_followed(void **state)
{
    (void)state;
    make_named(file_b, BYTES, MODE);
    assert_int_equal(symlink(path_b, path_a), 0);
    check_refused(0, SHMRPC_SYSTEM, EPERM);
    assert_int_equal(unlink(path_b), 0);
    check_refused(0, SHMRPC_SYSTEM, EPERM);
}

static void test_SRPC_ATTACH_003_SRPC_RECLAIM_001_only_regular_files(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path_a, 0600), 0);
    check_refused(0, SHMRPC_SYSTEM, EPERM);
    assert_int_equal(rmdir(path_a), 0);
    assert_int_equal(mkfifo(path_a, 0600), 0); /* nobody at its other end */
    check_refused(0, SHMRPC_SYSTEM, EPERM);
    assert_int_equal(unlink(path_a), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path_a);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    check_refused(0, SHMRPC_SYSTEM, EPERM);
    close(fd);
}

static void test_SRPC_ATTACH_004_another_users_object_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root can give a file away\n");
        skip();
    }
    make_named(file_a, BYTES, MODE);
    assert_int_equal(chown(path_a, 12345, (gid_t)-1), 0);
    check_refused(0, SHMRPC_SYSTEM, EPERM);
}

static void test_SRPC_ATTACH_005_SRPC_OWN_004_permission_bits_and_no_others(void **state)
{
    (void)state;
    make_named(file_a, BYTES, MODE);
    static const mode_t wrong[] = {0644, 0660, 0700, 0666, 01640, 04601};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(chmod(path_a, wrong[i]), 0);
        check_refused(0, SHMRPC_SYSTEM, EPERM);
    }
    static const mode_t right[] = {0600, 01600, 04600, 02600};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct shmrpc_segment segment = SHMRPC_SEGMENT_INIT;
        assert_int_equal(chmod(path_a, right[i]), 0);
        assert_int_equal(shmrpc_segment_open(file_a, BYTES, &segment, NULL), SHMRPC_OK);
        assert_int_equal(segment.marked, right[i] == 01600);
        shmrpc_segment_drop(&segment);
    }
}

static void test_SRPC_ATTACH_006_SRPC_SEG_003_the_size_is_looked_at_first(void **state)
{
    (void)state;
    make_named(file_a, BYTES, MODE);
    check_refused(BYTES + 1, SHMRPC_PROTOCOL, 0);
    struct shmrpc_segment segment = SHMRPC_SEGMENT_INIT;
    assert_int_equal(shmrpc_segment_open(file_a, BYTES - 1, &segment, NULL), SHMRPC_OK);
    assert_int_equal(segment.bytes, BYTES);
    assert_null(segment.map);
    check_close_on_exec(segment.fd);
    assert_int_equal(shmrpc_segment_map(&segment, BYTES - 1, NULL), SHMRPC_OK);
    assert_int_equal(segment.bytes, BYTES - 1);
    assert_false(shmrpc_sigbus_hit(segment.range));
    shmrpc_segment_drop(&segment);
    assert_int_equal(truncate(path_a, 0), 0);
    check_refused(1, SHMRPC_PROTOCOL, 0);
    assert_int_equal(shmrpc_segment_open(file_a, 0, &segment, NULL), SHMRPC_OK);
    assert_int_equal(segment.bytes, 0);
    shmrpc_segment_drop(&segment);
}

static void test_SRPC_SEM_006_a_link_count_of_two_is_accepted(void **state)
{
    (void)state;
    struct shmrpc_segment segment = SHMRPC_SEGMENT_INIT;
    make_named(file_a, SHMRPC_SEMAPHORE_BYTES, 0600);
    assert_int_equal(link(path_a, path_b), 0);
    assert_int_equal(shmrpc_segment_open(file_a, SHMRPC_SEMAPHORE_BYTES, &segment, NULL), SHMRPC_OK);
    shmrpc_segment_drop(&segment);
}

static void test_SRPC_RECLAIM_005_what_is_leased_is_busy_for_the_moment(void **state)
{
    (void)state;
    struct shmrpc_segment segment = make(BYTES, MODE);
    assert_int_equal(shmrpc_segment_link(&segment, file_a, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_lease_take(segment.fd), SHMRPC_OK);
    check_refused(0, SHMRPC_BUSY, 0);
    shmrpc_lease_drop(segment.fd);
    struct shmrpc_segment other = SHMRPC_SEGMENT_INIT;
    assert_int_equal(shmrpc_segment_open(file_a, 0, &other, NULL), SHMRPC_OK);
    shmrpc_segment_drop(&other);
    shmrpc_segment_drop(&segment);
}

static void test_SRPC_RECLAIM_001_whatever_has_the_name_has_it(void **state)
{
    (void)state;
    assert_false(shmrpc_segment_named(file_a));
    make_named(file_a, 64, MODE);
    assert_true(shmrpc_segment_named(file_a));
    assert_int_equal(symlink("/dev/shm/srb_unitsegment-nowhere", path_b), 0);
    assert_true(shmrpc_segment_named(file_b));
}

static void test_two_maps_are_one_memory(void **state)
{
    (void)state;
    struct shmrpc_segment one = make(BYTES, MODE);
    struct shmrpc_segment two = SHMRPC_SEGMENT_INIT;
    assert_int_equal(shmrpc_segment_link(&one, file_a, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_segment_open(file_a, BYTES, &two, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_segment_map(&two, BYTES, NULL), SHMRPC_OK);
    shmrpc_segment_close_fd(&two); /* the map stays */
    shmrpc_segment_close_fd(&two);
    assert_int_equal(two.fd, -1);
    memset(one.map, 'm', BYTES);
    for (size_t i = 0; i < BYTES; i++)
        assert_int_equal(((const char *)two.map)[i], 'm');
    shmrpc_segment_drop(&one);
    shmrpc_segment_drop(&one);
    assert_int_equal(((const char *)two.map)[BYTES - 1], 'm');
    shmrpc_segment_drop(&two);
    assert_null(two.map);
    assert_int_equal(two.fd, -1);
}

static void test_SRPC_LIFE_005_only_ones_own_inode_is_removed(void **state)
{
    (void)state;
    struct shmrpc_segment one = make(64, MODE);
    struct shmrpc_segment two = make(64, MODE);
    assert_int_equal(shmrpc_segment_link(&one, file_a, NULL), SHMRPC_OK);
    shmrpc_segment_unlink(&two, file_a);
    assert_true(shmrpc_segment_is(&one, file_a));
    assert_int_equal(unlink(path_a), 0);
    assert_int_equal(shmrpc_segment_link(&two, file_a, NULL), SHMRPC_OK);
    shmrpc_segment_unlink(&one, file_a);
    assert_true(shmrpc_segment_is(&two, file_a));
    /* A link to it is not it. */
    assert_int_equal(symlink(path_a, path_b), 0);
    assert_false(shmrpc_segment_is(&two, file_b));
    shmrpc_segment_unlink(&two, file_b);
    assert_int_equal(unlink(path_b), 0);
    shmrpc_segment_unlink(&two, file_a);
    shmrpc_segment_unlink(&two, file_a);
    assert_int_equal(access(path_a, F_OK), -1);
    shmrpc_segment_drop(&one);
    shmrpc_segment_drop(&two);
}

static void test_SRPC_LIFE_009_nothing_stays_open(void **state)
{
    (void)state;
    size_t before = count_descriptors();
    for (int i = 0; i < 200; i++) {
        struct shmrpc_segment one = make(BYTES, MODE);
        struct shmrpc_segment two = SHMRPC_SEGMENT_INIT;
        assert_int_equal(shmrpc_segment_link(&one, file_a, NULL), SHMRPC_OK);
        assert_int_equal(shmrpc_segment_open(file_a, BYTES, &two, NULL), SHMRPC_OK);
        assert_int_equal(shmrpc_segment_map(&two, BYTES, NULL), SHMRPC_OK);
        shmrpc_segment_unlink(&two, file_a);
        shmrpc_segment_drop(&two);
        shmrpc_segment_drop(&one);
    }
    assert_int_equal(count_descriptors(), before);
}

/* Making one must fail so, leaving nothing. For children whose kernel refuses something. */
static void child_make_fails(size_t bytes, int expected_errno)
{
    struct shmrpc_segment segment;
    struct shmrpc_segment untouched;
    struct shmrpc_error error;
    memset(&segment, 0x77, sizeof segment);
    untouched = segment;
    CHILD_CHECK(shmrpc_segment_make(bytes, MODE, &segment, &error) == SHMRPC_SYSTEM);
    CHILD_CHECK(error.system_errno == expected_errno);
    CHILD_CHECK(memcmp(&segment, &untouched, sizeof segment) == 0);
}

static void run_out_of_descriptors(void *nothing)
{
    (void)nothing;
    struct shmrpc_segment segment;
    struct shmrpc_error error;
    struct rlimit none;
    CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &none) == 0);
    none.rlim_cur = 0; /* the hard limit stays, which valgrind keeps for itself */
    CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    child_make_fails(BYTES, EMFILE);
    CHILD_CHECK(shmrpc_segment_open(file_a, 0, &segment, &error) == SHMRPC_SYSTEM);
    CHILD_CHECK(error.system_errno == EMFILE);
}

static void exceed_the_file_size(void *nothing)
{
    (void)nothing;
    size_t before = count_descriptors();
    const struct rlimit little = {4096, 4096};
    signal(SIGXFSZ, SIG_IGN);
    CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &little) == 0);
    child_make_fails(BYTES, EFBIG);
    CHILD_CHECK(count_descriptors() == before);
}

static void be_refused_the_mode(void *nothing)
{
    (void)nothing;
    size_t before = count_descriptors();
    child_refuse(SYS_fchmod, -1, 0, EROFS);
    child_make_fails(BYTES, EROFS);
    CHILD_CHECK(count_descriptors() == before);
}

static void be_refused_the_map(void *nothing)
{
    (void)nothing;
    size_t before = count_descriptors();
    child_refuse(SYS_mmap, 1, 5 * 4096 + 1, ENOMEM);
    child_make_fails(5 * 4096 + 1, ENOMEM);
    CHILD_CHECK(count_descriptors() == before);
}

static void test_failing_system_calls_leave_nothing(void **state)
{
    (void)state;
    make_named(file_a, 64, MODE);
    child_run(run_out_of_descriptors, NULL);
    child_run(exceed_the_file_size, NULL);
    child_run(be_refused_the_mode, NULL);
    child_run(be_refused_the_map, NULL);
}

static void fill_a_small_memory(void *nothing)
{
    (void)nothing;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=256k,mode=1777") != 0) {
        dprintf(STDERR_FILENO, "skipped: mounting is not allowed here (errno %d)\n", errno);
        child_leave(CHILD_SKIPS);
    }
    size_t before = count_descriptors();
    child_make_fails(300 * 1024, ENOSPC);
    /* What the failed ones had reserved is free again. */
    struct shmrpc_segment segment = SHMRPC_SEGMENT_INIT;
    CHILD_CHECK(shmrpc_segment_make(200 * 1024, MODE, &segment, NULL) == SHMRPC_OK);
    child_make_fails(100 * 1024, ENOSPC);
    shmrpc_segment_drop(&segment);
    CHILD_CHECK(shmrpc_segment_make(250 * 1024, MODE, &segment, NULL) == SHMRPC_OK);
    shmrpc_segment_drop(&segment);
    CHILD_CHECK(count_descriptors() == before);
}

static void test_SRPC_SEG_004_lack_of_space_is_reported_at_creation(void **state)
{
    (void)state;
    child_run(fill_a_small_memory, NULL);
}

static atomic_int signals;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
}

struct storm {
    pthread_t target;
    atomic_bool stop;
};

static void *send_signals(void *argument)
{
    struct storm *storm = argument;
    const struct timespec pause = {.tv_nsec = 1000000};
    while (!atomic_load(&storm->stop)) {
        pthread_kill(storm->target, SIGUSR1);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* Big enough that no reservation of the whole gets through between two signals. */
static void test_SRPC_SEG_005_signals_do_not_stop_a_reservation(void **state)
{
    (void)state;
    enum { LARGE = 96 << 20 };
    struct storm storm = {.target = pthread_self()};
    struct sigaction action = {.sa_handler = count_signal};
    struct sigaction earlier;
    pthread_t thread;
    assert_int_equal(sigaction(SIGUSR1, &action, &earlier), 0);
    assert_int_equal(pthread_create(&thread, NULL, send_signals, &storm), 0);
    struct shmrpc_segment segment = make(LARGE, MODE);
    atomic_store(&storm.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(sigaction(SIGUSR1, &earlier, NULL), 0);
    struct stat status;
    assert_int_equal(fstat(segment.fd, &status), 0);
    assert_int_equal(status.st_size, LARGE);
    assert_int_equal(status.st_blocks, LARGE / 512);
    assert_true(atomic_load(&signals) > 0);
    shmrpc_segment_drop(&segment);
}

static void test_assertions(void **state)
{
    (void)state;
    char path[SHMRPC_FILE_NAME_BYTES + 16];
    char long_file[2 * SHMRPC_FILE_NAME_BYTES];
    struct shmrpc_segment segment = SHMRPC_SEGMENT_INIT;
    memset(long_file, 'n', sizeof long_file - 1);
    long_file[sizeof long_file - 1] = '\0';
    expect_check_failure(shmrpc_segment_path(NULL, path));
    expect_check_failure(shmrpc_segment_path("", path));
    expect_check_failure(shmrpc_segment_path(long_file, path));
    expect_check_failure(support_ignore(shmrpc_segment_make(0, MODE, &segment, NULL)));
    expect_check_failure(support_ignore(
        shmrpc_segment_make((size_t)SHMRPC_MAX_BUFFER_BYTES + 1, MODE, &segment, NULL)));
    expect_check_failure(support_ignore(shmrpc_segment_make(64, MODE, NULL, NULL)));
    expect_check_failure(support_ignore(shmrpc_segment_make(64, S_IFREG | MODE, &segment, NULL)));
    expect_check_failure(support_ignore(shmrpc_segment_link(NULL, file_a, NULL)));
    expect_check_failure(support_ignore(shmrpc_segment_link(&segment, file_a, NULL)));
    expect_check_failure(support_ignore(shmrpc_segment_is(NULL, file_a)));
    expect_check_failure(shmrpc_segment_unlink(NULL, file_a));
    expect_check_failure(shmrpc_segment_close_fd(NULL));
    expect_check_failure(support_ignore(shmrpc_segment_open(file_a, 0, NULL, NULL)));
    expect_check_failure(support_ignore(shmrpc_segment_map(&segment, 1, NULL)));
    expect_check_failure(shmrpc_segment_drop(NULL));
    make_named(file_a, 64, MODE);
    assert_int_equal(shmrpc_segment_open(file_a, 64, &segment, NULL), SHMRPC_OK);
    expect_check_failure(support_ignore(shmrpc_segment_map(&segment, 0, NULL)));
    expect_check_failure(support_ignore(shmrpc_segment_map(&segment, 65, NULL)));
    assert_int_equal(shmrpc_segment_map(&segment, 64, NULL), SHMRPC_OK);
    expect_check_failure(support_ignore(shmrpc_segment_map(&segment, 64, NULL)));
    shmrpc_segment_drop(&segment);
}

#define with_names(test) cmocka_unit_test_setup_teardown(test, set_names, remove_names)

/* More than is reserved at once, and no multiple of that. */
static void test_SRPC_SEG_004_SRPC_SEG_001_a_large_one_has_its_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {(2 << 20) - 1, 2 << 20, (2 << 20) + 1, (5 << 20) + 4097};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct shmrpc_segment segment = make(sizes[i], MODE);
        struct stat status;
        assert_int_equal(fstat(segment.fd, &status), 0);
        assert_int_equal(status.st_size, sizes[i]);
        assert_true((size_t)status.st_blocks * 512 >= sizes[i]);
        shmrpc_segment_drop(&segment);
    }
}

/* A program may have closed its standard input: 0 is a descriptor like any other. */
static void use_descriptor_0(void *nothing)
{
    (void)nothing;
    struct shmrpc_segment segment = SHMRPC_SEGMENT_INIT;
    close(STDIN_FILENO);
    CHILD_CHECK(shmrpc_segment_make(BYTES, MODE, &segment, NULL) == SHMRPC_OK);
    CHILD_CHECK(segment.fd == 0);
    CHILD_CHECK(shmrpc_segment_link(&segment, file_a, NULL) == SHMRPC_OK);
    shmrpc_segment_drop(&segment);
    CHILD_CHECK(shmrpc_segment_open(file_a, BYTES, &segment, NULL) == SHMRPC_OK);
    CHILD_CHECK(segment.fd == 0);
    shmrpc_segment_drop(&segment);
    CHILD_CHECK(fcntl(0, F_GETFD) == -1);
}

static void test_SRPC_LIFE_009_descriptor_0_is_one(void **state)
{
    (void)state;
    child_run(use_descriptor_0, NULL);
}

static void drop_again(void *nothing)
{
    (void)nothing;
    struct shmrpc_segment segment = SHMRPC_SEGMENT_INIT;
    CHILD_CHECK(shmrpc_segment_make(BYTES, MODE, &segment, NULL) == SHMRPC_OK);
    int before = segment.fd;
    shmrpc_segment_drop(&segment);
    CHILD_CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) == before);
    child_forbid(SYS_close, 0, (unsigned)-1);
    shmrpc_segment_close_fd(&segment);
    shmrpc_segment_drop(&segment);
    CHILD_CHECK(fcntl(before, F_GETFD) != -1);
}

static void test_what_is_closed_is_not_closed_again(void **state)
{
    (void)state;
    child_run(drop_again, NULL);
}

static void test_SRPC_ATTACH_005_a_refusal_names_the_mode(void **state)
{
    (void)state;
    struct shmrpc_segment segment = SHMRPC_SEGMENT_INIT;
    struct shmrpc_error error;
    make_named(file_a, BYTES, MODE);
    assert_int_equal(chmod(path_a, 06751), 0);
    assert_int_equal(shmrpc_segment_open(file_a, 0, &segment, &error), SHMRPC_SYSTEM);
    assert_non_null(strstr(error.text, "has mode 6751, not 0600"));
}

static void test_a_registered_map_that_is_none_is_noticed(void **state)
{
    (void)state;
    static char memory[64];
    struct shmrpc_segment segment = SHMRPC_SEGMENT_INIT;
    segment.range = shmrpc_sigbus_add(memory, sizeof memory);
    assert_non_null(segment.range);
    expect_check_failure(shmrpc_segment_drop(&segment));
    shmrpc_sigbus_remove(segment.range);
}

static void test_what_holds_of_a_segment(void **state)
{
    (void)state;
    struct shmrpc_segment segment = SHMRPC_SEGMENT_INIT;
    segment.bytes = 64;
    expect_check_failure(support_ignore(shmrpc_segment_map(&segment, 64, NULL)));
    segment.fd = -2;
    expect_check_failure(shmrpc_segment_drop(&segment));
    segment = make(BYTES, MODE);
    segment.bytes = 0;
    expect_check_failure(shmrpc_segment_drop(&segment));
    segment.bytes = BYTES;
    shmrpc_segment_drop(&segment);
}

/* That a segment holds together would be asked next, and does not hold of none either. */
static void expect_a_segment(const char *line)
{
    if (strstr(line, "REQUIRE(segment") == NULL) {
        fprintf(stderr, "another assertion: %s\n", line);
        abort();
    }
    support_check_hook(line);
}

static void test_a_segment_is_needed(void **state)
{
    (void)state;
    shmrpc_check_set_hook(expect_a_segment);
    expect_assert_failure(shmrpc_segment_drop(NULL));
    shmrpc_check_set_hook(NULL);
}

/* No byte behind the room that a path has is written, whatever is asked for. */
static void test_a_path_keeps_to_its_room(void **state)
{
    (void)state;
    struct {
        char path[SHMRPC_FILE_NAME_BYTES + 16];
        char behind[8];
    } room;
    char long_file[2 * SHMRPC_FILE_NAME_BYTES];
    memset(&room, 0x5A, sizeof room);
    memset(long_file, 'n', sizeof long_file - 1);
    long_file[sizeof long_file - 1] = '\0';
    expect_check_failure(shmrpc_segment_path(long_file, room.path));
    assert_int_equal(room.behind[0], 0x5A);
}

int main(void)
{
    support_limit_seconds(90);
    const struct CMUnitTest tests[] = {
        with_names(test_SRPC_SEG_001_SRPC_SEG_004_SRPC_OWN_002_SRPC_LIFE_008_made_whole),
        with_names(test_SRPC_OBJ_004_SRPC_OBJ_006_the_umask_has_no_say),
        with_names(test_SRPC_OBJ_002_a_taken_name_is_never_replaced),
        with_names(test_a_name_that_cannot_be_linked_is_an_error),
        with_names(test_SRPC_ATTACH_001_nothing_there_is_not_found),
        with_names(test_SRPC_ATTACH_003_links_are_not_followed),
        with_names(test_SRPC_ATTACH_003_SRPC_RECLAIM_001_only_regular_files),
        with_names(test_SRPC_ATTACH_004_another_users_object_is_refused),
        with_names(test_SRPC_ATTACH_005_SRPC_OWN_004_permission_bits_and_no_others),
        with_names(test_SRPC_ATTACH_006_SRPC_SEG_003_the_size_is_looked_at_first),
        with_names(test_SRPC_SEM_006_a_link_count_of_two_is_accepted),
        with_names(test_SRPC_RECLAIM_005_what_is_leased_is_busy_for_the_moment),
        with_names(test_SRPC_RECLAIM_001_whatever_has_the_name_has_it),
        with_names(test_two_maps_are_one_memory),
        with_names(test_SRPC_LIFE_005_only_ones_own_inode_is_removed),
        with_names(test_SRPC_LIFE_009_nothing_stays_open),
        with_names(test_failing_system_calls_leave_nothing),
        with_names(test_SRPC_SEG_004_lack_of_space_is_reported_at_creation),
        with_names(test_SRPC_SEG_005_signals_do_not_stop_a_reservation),
        with_names(test_assertions),
        with_names(test_SRPC_SEG_004_SRPC_SEG_001_a_large_one_has_its_size),
        with_names(test_SRPC_LIFE_009_descriptor_0_is_one),
        with_names(test_what_is_closed_is_not_closed_again),
        with_names(test_SRPC_ATTACH_005_a_refusal_names_the_mode),
        with_names(test_a_registered_map_that_is_none_is_noticed),
        with_names(test_what_holds_of_a_segment),
        with_names(test_a_segment_is_needed),
        with_names(test_a_path_keeps_to_its_room),
    };
    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}

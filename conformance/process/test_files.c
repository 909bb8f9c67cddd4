/* SPDX-License-Identifier: MIT
 *
 * The six files: their modes under any umask, names that somebody squats on, names that vanish, and
 * a /dev/shm that is full.
 */
#include "peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int files_named(const char *part)
{
    DIR *directory = opendir("/dev/shm");
    struct dirent *entry;
    int count = 0;

    assert_non_null(directory);
    while ((entry = readdir(directory)))
        count += strstr(entry->d_name, part) != NULL;
    closedir(directory);
    return count;
}

static void umask_0(struct peer *peer)
{
    (void)peer;
    umask(0);
}

static void umask_077(struct peer *peer)
{
    (void)peer;
    umask(077);
}

static void umask_0777(struct peer *peer)
{
    (void)peer;
    umask(0777);
}

static void check_modes(const char *what, void (*before)(struct peer *peer))
{
    struct peer *peer = peer_new(what);
    struct stat info;
    char path[300];

    peer->before = before;
    peer->buffer_bytes = 5000;
    assert_true(peer_start(peer));
    for (int i = 0; i < OBJECTS; i++) {
        object_path(peer->name, (enum object)i, path);
        assert_int_equal(lstat(path, &info), 0);
        assert_true(S_ISREG(info.st_mode));
        assert_int_equal(info.st_mode & 0777, 0600);
        assert_int_equal(info.st_mode & 07000, 01000);
        assert_int_equal(info.st_size, i <= RESP ? 5000 : 32);
        assert_int_equal(info.st_nlink, 1);
        assert_int_equal(info.st_uid, geteuid());
    }
    assert_int_equal(files_named(peer->name), OBJECTS);
    assert_true(peer_echo_works(peer));
    assert_int_equal(peer_stop(peer), 0);
    assert_int_equal(files_named(peer->name), 0);
}

static void SRPC_OBJ_001_SRPC_OBJ_004_SRPC_OBJ_006_modes_under_umask_0(void **state)
{
    (void)state;
    check_modes("umask0", umask_0);
}

static void SRPC_OBJ_004_SRPC_OBJ_006_SRPC_OWN_002_modes_under_umask_077(void **state)
{
    (void)state;
    check_modes("umask077", umask_077);
    check_modes("umask0777", umask_0777);
}

/* ---- squatted names */

enum squatter {
    DIRECTORY,
    SYMLINK,
    DANGLING,
    FIFO,
    FOREIGN,
    SQUATTERS
};

/* False if it cannot be made here. */
static bool squat(enum squatter squatter, const char *path, const char *target)
{
    int fd;

    switch (squatter) {
    case DIRECTORY:
        return mkdir(path, 0700) == 0;
    case SYMLINK:
        return symlink(target, path) == 0;
    case DANGLING:
        return symlink("/dev/shm/srb_there_is_no_such_file", path) == 0;
    case FIFO:
        return mkfifo(path, 0600) == 0;
    case FOREIGN:
        fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
        if (fd < 0)
            return false;
        if (ftruncate(fd, 4096) != 0 || fchown(fd, 1, 1) != 0) {
            close(fd);
            unlink(path);
            return false;
        }
        close(fd);
        return true;
    case SQUATTERS:
        break;
    }
    return false;
}

/* A regular file of 4096 bytes that a symbolic link may lead to. */
static void make_target(const char *target)
{
    int fd = open(target, O_CREAT | O_EXCL | O_RDWR, 0600);
    char bytes[4096];

    assert_true(fd >= 0);
    memset(bytes, 'T', sizeof(bytes));
    assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    close(fd);
}

static void check_target(const char *target)
{
    char bytes[4097];
    int fd = open(target, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, bytes, sizeof(bytes)), 4096);
    for (int i = 0; i < 4096; i++)
        assert_int_equal(bytes[i], 'T');
    close(fd);
}

static void check_squatted(enum squatter squatter, enum object object)
{
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    const char *name = channel_name("squatted");
    struct shmrpc_server *server;
    struct shmrpc_error error;
    struct stat before;
    struct stat after;
    char target[] = "/tmp/shmrpc-target-XXXXXX";
    char path[300];

    assert_non_null(mkdtemp(target));
    assert_int_equal(rmdir(target), 0);
    make_target(target);
    object_path(name, object, path);
    if (!squat(squatter, path, target)) {
        unlink(target);
        print_error("skipped: squatter %d cannot be made without privilege\n", squatter);
        return;
    }
    assert_int_equal(lstat(path, &before), 0);
    options.error = &error;
    enum shmrpc_status status = shmrpc_server_create(name, &options, &server);

    /* Refused, and the other names are gone again. */
    assert_true(status == SHMRPC_SYSTEM || status == SHMRPC_BUSY);
    if (object == REQ) {
        assert_int_equal(status, SHMRPC_SYSTEM);
        assert_true(error.system_errno != 0);
    }
    assert_int_equal(objects_of(name), 1);
    assert_int_equal(lstat(path, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_size, before.st_size);
    assert_int_equal(after.st_uid, before.st_uid);
    check_target(target);
    unlink(target);
    remove_objects(name);
}

static void SRPC_RECLAIM_001_squatted_req_is_refused_and_untouched(void **state)
{
    (void)state;
    for (int i = 0; i < SQUATTERS; i++)
        check_squatted((enum squatter)i, REQ);
}

static void SRPC_LIFE_004_SRPC_OBJ_002_squatted_others_are_refused_and_untouched(void **state)
{
    (void)state;
    for (int i = 0; i < SQUATTERS; i++)
        for (int j = RESP; j < OBJECTS; j++)
            check_squatted((enum squatter)i, (enum object)j);
}

/* A live channel in which one object was replaced: a client refuses, and harms nothing. */
static void check_client_refuses(enum squatter squatter, enum object object)
{
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct peer *peer = peer_new("replaced");
    struct shmrpc_client *client;
    struct shmrpc_error error;
    struct stat before;
    struct stat after;
    char target[] = "/tmp/shmrpc-target-XXXXXX";
    char path[300];

    assert_non_null(mkdtemp(target));
    assert_int_equal(rmdir(target), 0);
    make_target(target);
    assert_true(peer_start(peer));
    object_path(peer->name, object, path);
    unlink(path);
    if (squat(squatter, path, target)) {
        assert_int_equal(lstat(path, &before), 0);
        options.error = &error;
        options.timeout_ms = 300;
        enum shmrpc_status status = shmrpc_client_open(peer->name, &options, &client);

        /* A foreign or irregular object is never attached to; a name that changed under a living
         * server may also look half-made. */
        assert_true(status == SHMRPC_SYSTEM || status == SHMRPC_NOT_FOUND ||
                    status == SHMRPC_PROTOCOL);
        assert_int_equal(lstat(path, &after), 0);
        assert_int_equal(after.st_ino, before.st_ino);
        assert_int_equal(after.st_mode, before.st_mode);
        check_target(target);
    } else {
        print_error("skipped: squatter %d cannot be made without privilege\n", squatter);
    }
    peer_kill(peer);
    unlink(target);
    remove_objects(peer->name);
}

static void SRPC_ATTACH_003_SRPC_ATTACH_004_client_refuses_foreign_objects(void **state)
{
    (void)state;
    for (int i = 0; i < SQUATTERS; i++)
        for (int j = REQ; j < OBJECTS; j++)
            check_client_refuses((enum squatter)i, (enum object)j);
}

/* ---- vanished names */

static void SRPC_LIFE_006_lost_name_ends_the_server(void **state)
{
    struct peer *peer = peer_new("lost");
    char path[300];

    (void)state;
    assert_true(peer_start(peer));
    object_path(peer->name, REQ, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(await_child(peer->pid, LIMIT_MS), 3);
    assert_int_equal(peer->status, SHMRPC_NOT_FOUND);
    assert_int_equal(objects_of(peer->name), 0);
}

static void SRPC_LIFE_005_close_spares_the_successor(void **state)
{
    struct peer *peer = peer_new("succeeded");
    struct peer *heir = peer_new("heir");

    (void)state;
    heir->name = peer->name;
    assert_true(peer_start(peer));
    kill(peer->pid, SIGSTOP);
    remove_objects(peer->name);
    assert_true(peer_start(heir));
    ino_t inode = inode_of(heir->name);

    kill(peer->pid, SIGCONT);
    assert_int_equal(await_child(peer->pid, LIMIT_MS), 3);
    assert_int_equal(peer->status, SHMRPC_NOT_FOUND);
    assert_int_equal(objects_of(heir->name), OBJECTS);
    assert_int_equal(inode_of(heir->name), inode);
    assert_true(peer_echo_works(heir));
    assert_int_equal(peer_stop(heir), 0);
    assert_int_equal(objects_of(heir->name), 0);
}

/* ---- a full /dev/shm */

struct full {
    const char *options; /* of the tmpfs */
    size_t buffer_bytes;
    int permitted;
    int outcome; /* 1 + status */
    int system_errno;
    int left;
    char text[512];
};

/* In a mount namespace of its own: create a channel on a /dev/shm with so little room. */
static int create_in_small_shm(void *context)
{
    struct full *full = context;
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    const char *name = "process-full";
    struct shmrpc_server *server;
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};

    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", 0, full->options) != 0)
        return 0;
    full->permitted = 1;
    options.buffer_bytes = full->buffer_bytes;
    options.error = &error;
    enum shmrpc_status status = shmrpc_server_create(name, &options, &server);

    full->outcome = 1 + (int)status;
    full->system_errno = error.system_errno;
    snprintf(full->text, sizeof(full->text), "%s", error.text);
    if (status == SHMRPC_OK) {
        CHILD_CHECK(objects_of(name) == OBJECTS);
        shmrpc_server_close(&server);
    }
    full->left = objects_of(name);
    return 0;
}

/* False if this machine does not let us mount. */
static bool try_full(struct full *full)
{
    assert_int_equal(await_child(spawn(create_in_small_shm, full), LIMIT_MS), 0);
    return full->permitted;
}

static void skip_unless_ci(void)
{
    const char *ci = getenv("CI");

    print_error("skipped: no private mount namespace here, so /dev/shm cannot be made small\n");
    assert_true(!ci || strcmp(ci, "true") != 0);
    skip();
}

static void SRPC_SEG_004_full_shm_is_reported_at_creation(void **state)
{
    struct full *full = shared_memory(sizeof(*full));

    (void)state;
    full->options = "size=256k,mode=1777";
    full->buffer_bytes = 1 << 20;
    if (!try_full(full))
        skip_unless_ci();
    assert_int_equal(full->outcome, 1 + SHMRPC_SYSTEM);
    assert_int_equal(full->system_errno, ENOSPC);
    assert_non_null(strstr(full->text, "No space left"));
    assert_int_equal(full->left, 0);
}

static void SRPC_SEG_004_SRPC_LIFE_004_every_shortage_is_clean(void **state)
{
    struct full *full = shared_memory(sizeof(*full));
    int succeeded = 0;
    int failed = 0;
    char options[64];

    (void)state;
    full->options = options;
    full->buffer_bytes = 8192;
    /* Room for 1 .. 12 pages, where two segments of two pages and four semaphores want 8; and for
     * 1 .. 12 inodes, where the root directory and six objects want 7. */
    for (int i = 0; i < 24; i++) {
        if (i < 12)
            snprintf(options, sizeof(options), "size=%dk,mode=1777", 4 * (i + 1));
        else
            snprintf(options, sizeof(options), "nr_inodes=%d,mode=1777", i - 11);
        full->permitted = 0;
        if (!try_full(full))
            skip_unless_ci();
        assert_int_equal(full->left, 0);
        if (full->outcome == 1 + SHMRPC_OK) {
            succeeded++;
        } else {
            assert_int_equal(full->outcome, 1 + SHMRPC_SYSTEM);
            assert_int_equal(full->system_errno, ENOSPC);
            failed++;
        }
    }
    assert_true(succeeded >= 8);
    assert_true(failed >= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(SRPC_OBJ_001_SRPC_OBJ_004_SRPC_OBJ_006_modes_under_umask_0),
        cmocka_unit_test(SRPC_OBJ_004_SRPC_OBJ_006_SRPC_OWN_002_modes_under_umask_077),
        cmocka_unit_test(SRPC_RECLAIM_001_squatted_req_is_refused_and_untouched),
        cmocka_unit_test(SRPC_LIFE_004_SRPC_OBJ_002_squatted_others_are_refused_and_untouched),
        cmocka_unit_test(SRPC_ATTACH_003_SRPC_ATTACH_004_client_refuses_foreign_objects),
        cmocka_unit_test(SRPC_LIFE_006_lost_name_ends_the_server),
        cmocka_unit_test(SRPC_LIFE_005_close_spares_the_successor),
        cmocka_unit_test(SRPC_SEG_004_full_shm_is_reported_at_creation),
        cmocka_unit_test(SRPC_SEG_004_SRPC_LIFE_004_every_shortage_is_clean),
    };

    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT
 *
 * Each case gets a /dev/shm and a process-id space of its own where the kernel permits it. Then a
 * runner that is killed half-way leaves nothing: its workers get SIGKILL with it, a worker is the
 * init of its process-id space and takes every process along, and with the last process the mount
 * namespace and its /dev/shm are gone. Where it is not permitted, names carry our prefix and the
 * next run removes what a dead runner left.
 */
#include "kit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return done;
}

static bool map_user(uid_t uid, gid_t gid)
{
    char line[64];
    write_file("/proc/self/setgroups", "deny");
    snprintf(line, sizeof line, "%u %u 1", uid, uid);
    if (!write_file("/proc/self/uid_map", line))
        return false;
    snprintf(line, sizeof line, "%u %u 1", gid, gid);
    return write_file("/proc/self/gid_map", line);
}

static bool mount_private(enum sandbox_kind kind, size_t shm_bytes)
{
    char options[64];
    snprintf(options, sizeof options, "mode=1777,size=%zu",
             shm_bytes != 0 ? shm_bytes : (size_t)256 * 1024 * 1024);
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, options) != 0)
        return false;
    return kind != SANDBOX_FULL ||
           mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0;
}

static bool enter(enum sandbox_kind kind, bool user, uid_t uid, gid_t gid, size_t shm_bytes)
{
    if (user && !map_user(uid, gid))
        return false;
    return kind == SANDBOX_PREFIX || mount_private(kind, shm_bytes);
}

static pid_t clone_with(enum sandbox_kind kind, bool user)
{
    unsigned long flags = SIGCHLD;
    if (kind != SANDBOX_PREFIX)
        flags |= CLONE_NEWNS;
    if (kind == SANDBOX_FULL)
        flags |= CLONE_NEWPID;
    if (user)
        flags |= CLONE_NEWUSER;
    return (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
}

static bool need_user;

pid_t sandbox_fork(enum sandbox_kind kind, size_t shm_bytes)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    if (kind == SANDBOX_PREFIX) {
        pid_t plain = fork();
        if (plain == 0)
            prctl(PR_SET_PDEATHSIG, SIGKILL);
        return plain;
    }
    pid_t pid = clone_with(kind, need_user);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!enter(kind, need_user, uid, gid, shm_bytes))
            _exit(99);
    }
    return pid;
}

static bool possible(enum sandbox_kind kind, bool user)
{
    need_user = user;
    pid_t pid = sandbox_fork(kind, 0);
    if (pid == 0)
        _exit(0);
    int status = -1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

enum sandbox_kind sandbox_probe(void)
{
    const char *forced = getenv("SHMRPC_KIT_SANDBOX");
    if (forced != NULL && strcmp(forced, "prefix") == 0)
        return SANDBOX_PREFIX;
    if (possible(SANDBOX_FULL, false) || possible(SANDBOX_FULL, true))
        return SANDBOX_FULL;
    if (possible(SANDBOX_SHM, false) || possible(SANDBOX_SHM, true))
        return SANDBOX_SHM;
    need_user = false;
    return SANDBOX_PREFIX;
}

const char *sandbox_text(enum sandbox_kind kind)
{
    static const char *const texts[] = {
        "private /dev/shm and process ids for each case", "private /dev/shm for each case",
        "shared /dev/shm, names with a prefix (no right to mount)"};
    return texts[kind];
}

void sandbox_prefix(enum sandbox_kind kind, pid_t runner, char prefix[32])
{
    prefix[0] = '\0';
    if (kind == SANDBOX_PREFIX)
        snprintf(prefix, 32, "kit%d.%llu_", (int)runner,
                 (unsigned long long)process_start_time(runner));
}

/* Whether a file is of a runner that is dead: its name says pid and start time of the runner. */
static bool left_by_dead_runner(const char *file, pid_t self)
{
    const char *at = strncmp(file, "sem.", 4) == 0 ? file + 4 : file;
    int pid;
    unsigned long long start;
    if (sscanf(at, "srb_kit%d.%llu_", &pid, &start) != 2)
        return false;
    return pid == (int)self || process_start_time((pid_t)pid) != start;
}

static void remove_matching(bool (*matches)(const char *file, const void *user), const void *user)
{
    DIR *directory = opendir("/dev/shm");
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char path[512];
        if (!matches(entry->d_name, user))
            continue;
        snprintf(path, sizeof path, "/dev/shm/%s", entry->d_name);
        if (unlink(path) != 0)
            rmdir(path);
    }
    if (directory != NULL)
        closedir(directory);
}

static bool is_left(const char *file, const void *user)
{
    return left_by_dead_runner(file, *(const pid_t *)user);
}

void sandbox_sweep(enum sandbox_kind kind, pid_t runner)
{
    if (kind == SANDBOX_PREFIX)
        remove_matching(is_left, &runner);
}

static bool has_prefix(const char *file, const void *user)
{
    const char *at = strncmp(file, "sem.", 4) == 0 ? file + 4 : file;
    const char *prefix = user;
    return strncmp(at, "srb_", 4) == 0 && strncmp(at + 4, prefix, strlen(prefix)) == 0;
}

void sandbox_remove(const char *prefix)
{
    if (prefix[0] != '\0')
        remove_matching(has_prefix, prefix);
}

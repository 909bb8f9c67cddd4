/* SPDX-License-Identifier: MIT
 *
 * What a channel needs of /dev/shm and /proc, tried for real on a file of our own.
 */
#include "doctor.h"

#include "../name.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    /* Twice the largest message of the benchmark, with room for the semaphores' pages. */
    ENOUGH_BYTES = 1 << 20,
    PROBE_BYTES = 4096
};

static bool is_mounted(const char *path, long magic)
{
    struct statfs status;
    return statfs(path, &status) == 0 && (long)status.f_type == magic;
}

static void check_mount(struct tool_doctor *doctor)
{
    if (is_mounted("/dev/shm", TMPFS_MAGIC))
        tool_doctor_find(doctor, "shm-mount", TOOL_FINDING_OK, NULL, "/dev/shm is a tmpfs");
    else
        tool_doctor_find(doctor, "shm-mount", TOOL_FINDING_PROBLEM,
                         "mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm",
                         "/dev/shm is not a tmpfs");
}

static void check_size(struct tool_doctor *doctor)
{
    struct statvfs status;
    if (statvfs("/dev/shm", &status) != 0) {
        tool_doctor_find(doctor, "shm-size", TOOL_FINDING_PROBLEM, "mount a tmpfs on /dev/shm",
                         "cannot be asked: %s", strerror(errno));
        return;
    }
    unsigned long long free_bytes = (unsigned long long)status.f_bavail * status.f_frsize;
    unsigned long long all_bytes = (unsigned long long)status.f_blocks * status.f_frsize;
    /* A tmpfs mounted with size=0 or nr_inodes=0 has no limit and reports no blocks or inodes. */
    bool full = (status.f_blocks > 0 && free_bytes < ENOUGH_BYTES) ||
                (status.f_files > 0 && status.f_favail < SHMRPC_OBJECT_COUNT);
    tool_doctor_find(doctor, "shm-size", full ? TOOL_FINDING_PROBLEM : TOOL_FINDING_OK,
                     "remove what is not needed from /dev/shm, or mount -o remount,size=64M "
                     "/dev/shm (in a container: --shm-size)",
                     "%llu KiB free of %llu KiB, %llu files left", free_bytes / 1024,
                     all_bytes / 1024, (unsigned long long)status.f_favail);
}

static void check_rights(struct tool_doctor *doctor)
{
    struct stat status;
    const char *advice = "chmod 1777 /dev/shm";
    if (stat("/dev/shm", &status) != 0 || access("/dev/shm", R_OK | W_OK | X_OK) != 0)
        tool_doctor_find(doctor, "shm-rights", TOOL_FINDING_PROBLEM, advice,
                         "/dev/shm cannot be read and written: %s", strerror(errno));
    else if ((status.st_mode & S_IWOTH) && !(status.st_mode & S_ISVTX))
        tool_doctor_find(doctor, "shm-rights", TOOL_FINDING_PROBLEM, advice,
                         "every user may remove every channel: /dev/shm has mode %o",
                         status.st_mode & 07777);
    else
        tool_doctor_find(doctor, "shm-rights", TOOL_FINDING_OK, NULL,
                         "/dev/shm has mode %o and is writable", status.st_mode & 07777);
}

/* An unnamed file as a server makes it, or -1. */
static int check_unnamed_file(struct tool_doctor *doctor)
{
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, SHMRPC_OBJECT_MODE);
    if (fd < 0) {
        tool_doctor_find(doctor, "o-tmpfile", TOOL_FINDING_PROBLEM,
                         "use Linux 3.11 or newer and a tmpfs on /dev/shm",
                         "unnamed files cannot be made: %s", strerror(errno));
        return -1;
    }
    tool_doctor_find(doctor, "o-tmpfile", TOOL_FINDING_OK, NULL, "unnamed files can be made");
    int failure = posix_fallocate(fd, 0, PROBE_BYTES);
    tool_doctor_find(doctor, "allocate", failure ? TOOL_FINDING_PROBLEM : TOOL_FINDING_OK,
                     "free space in /dev/shm, or raise the memory limit of this session",
                     "allocating %d bytes: %s", PROBE_BYTES, failure ? strerror(failure) : "works");
    return fd;
}

static void check_mark(struct tool_doctor *doctor, int fd)
{
    struct stat status;
    bool works = fchmod(fd, SHMRPC_OBJECT_MODE | SHMRPC_MARK) == 0 && fstat(fd, &status) == 0 &&
                 (status.st_mode & 07777) == (SHMRPC_OBJECT_MODE | SHMRPC_MARK);
    tool_doctor_find(doctor, "mark", works ? TOOL_FINDING_OK : TOOL_FINDING_PROBLEM,
                     "let /dev/shm be a plain tmpfs", "the sticky bit that marks a channel %s",
                     works ? "can be set" : "cannot be set");
}

/* The way an unnamed file gets its name without special rights. */
static void check_link(struct tool_doctor *doctor, int fd)
{
    const char *advice = "mount -t proc proc /proc";
    if (!is_mounted("/proc", PROC_SUPER_MAGIC)) {
        tool_doctor_find(doctor, "proc", TOOL_FINDING_PROBLEM, advice, "/proc is not mounted");
        return;
    }
    char from[64], to[64];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    snprintf(to, sizeof to, "/dev/shm/.shmrpc-doctor.%d", (int)getpid());
    if (linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) != 0) {
        tool_doctor_find(doctor, "proc", TOOL_FINDING_PROBLEM, advice,
                         "an unnamed file cannot be given a name: %s", strerror(errno));
        return;
    }
    unlink(to);
    tool_doctor_find(doctor, "proc", TOOL_FINDING_OK, NULL,
                     "/proc is mounted, and unnamed files can be given a name");
}

void tool_doctor_check_shm(struct tool_doctor *doctor)
{
    check_mount(doctor);
    check_size(doctor);
    check_rights(doctor);
    int fd = check_unnamed_file(doctor);
    if (fd < 0)
        return;
    check_mark(doctor, fd);
    check_link(doctor, fd);
    close(fd);
}

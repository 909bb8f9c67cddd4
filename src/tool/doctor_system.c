/* SPDX-License-Identifier: MIT
 *
 * What a channel needs of the CPUs, the kernel and the C library.
 */
#include "doctor.h"

#include "../limit.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void check_cpus(struct tool_doctor *doctor)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        /* More CPUs than the set has bits: then there is no shortage. */
        tool_doctor_find(doctor, "cpus", TOOL_FINDING_OK, NULL, "more than %d CPUs allowed",
                         CPU_SETSIZE);
        return;
    }
    int count = CPU_COUNT(&allowed);
    tool_doctor_find(doctor, "cpus", count > 1 ? TOOL_FINDING_OK : TOOL_FINDING_NOTE,
                     "allow a second CPU (taskset, cpuset) if latency matters",
                     count > 1 ? "%d CPUs allowed, so waiting may spin"
                               : "%d CPU allowed, so waiting never spins and a call costs more",
                     count);
}

/* Two open files of one inode: a lock on the first must be seen from the second. */
static void check_locks(struct tool_doctor *doctor)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct flock seen = lock;
    char path[64];
    int first = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, SHMRPC_OBJECT_MODE);
    snprintf(path, sizeof path, "/proc/self/fd/%d", first);
    int second = first < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
    bool works = second >= 0 && fcntl(first, F_OFD_SETLK, &lock) == 0 &&
                 fcntl(second, F_OFD_GETLK, &seen) == 0 && seen.l_type == F_WRLCK;
    tool_doctor_find(doctor, "ofd-locks", works ? TOOL_FINDING_OK : TOOL_FINDING_PROBLEM,
                     "use Linux 3.15 or newer", "open-file-description locks %s",
                     works ? "work"
                           : "do not work: a dead server cannot be told from a living one");
    if (second >= 0)
        close(second);
    if (first >= 0)
        close(first);
}

static void check_kernel(struct tool_doctor *doctor)
{
    struct utsname name;
    if (uname(&name) == 0)
        tool_doctor_find(doctor, "kernel", TOOL_FINDING_OK, NULL, "%s %s %s", name.sysname,
                         name.release, name.machine);
    check_locks(doctor);
}

/* The bytes of sem_t are part of the wire: the value at 0, the waiters at 4, and at 8 what glibc
 * calls private, which is 128 for a semaphore shared by processes (SRPC-SEM-001). */
static bool has_wire_layout(void)
{
    sem_t semaphore;
    uint32_t words[sizeof semaphore / sizeof(uint32_t)];
    memset(&semaphore, 0, sizeof semaphore);
    if (sizeof semaphore != SHMRPC_SEMAPHORE_BYTES || sem_init(&semaphore, 1, 1) != 0)
        return false;
    memcpy(words, &semaphore, sizeof words);
    sem_destroy(&semaphore);
    return words[0] == 1 && words[1] == 0 && words[2] == 128;
}

static bool has_monotonic_wait(void)
{
    sem_t semaphore;
    struct timespec past = {0, 0};
    if (sem_init(&semaphore, 1, 0) != 0)
        return false;
    bool works = sem_clockwait(&semaphore, CLOCK_MONOTONIC, &past) != 0 && errno == ETIMEDOUT;
    sem_destroy(&semaphore);
    return works;
}

static void check_libc(struct tool_doctor *doctor)
{
    bool layout = has_wire_layout();
    tool_doctor_find(doctor, "sem-layout", layout ? TOOL_FINDING_OK : TOOL_FINDING_PROBLEM,
                     "use a 64-bit glibc on both sides", "glibc %s, semaphores of %zu bytes %s",
                     gnu_get_libc_version(), sizeof(sem_t),
                     layout ? "as on the wire" : "unlike those on the wire");
    bool wait = has_monotonic_wait();
    tool_doctor_find(doctor, "sem-clockwait", wait ? TOOL_FINDING_OK : TOOL_FINDING_PROBLEM,
                     "use glibc 2.30 or newer", "waiting by the monotonic clock %s",
                     wait ? "works" : "does not work");
}

void tool_doctor_check_system(struct tool_doctor *doctor)
{
    check_cpus(doctor);
    check_kernel(doctor);
    check_libc(doctor);
}

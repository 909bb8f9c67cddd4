/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *const format[OBJECTS] = {
    "/dev/shm/srb_%s_req",
    "/dev/shm/srb_%s_resp",
    "/dev/shm/sem.srb_%s_req_empty",
    "/dev/shm/sem.srb_%s_req_full",
    "/dev/shm/sem.srb_%s_resp_empty",
    "/dev/shm/sem.srb_%s_resp_full",
};

const char *channel_name(const char *what)
{
    /* A ring: a name is used for a round or a test, and long runs need many. */
    static char names[512][64];
    static unsigned number;
    char *name = names[number % 512];

    snprintf(name, sizeof(names[0]), "process-%d-%u-%s", (int)getpid(), number, what);
    number++;
    return name;
}

void object_path(const char *name, enum object object, char path[300])
{
    /* The formats are the six literals above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(path, 300, format[object], name);
#pragma GCC diagnostic pop
}

bool object_exists(const char *name, enum object object)
{
    char path[300];
    struct stat info;

    object_path(name, object, path);
    return lstat(path, &info) == 0;
}

int objects_of(const char *name)
{
    int count = 0;

    for (int i = 0; i < OBJECTS; i++)
        count += object_exists(name, (enum object)i);
    return count;
}

ino_t inode_of(const char *name)
{
    char path[300];
    struct stat info;

    object_path(name, REQ, path);
    return lstat(path, &info) == 0 ? info.st_ino : 0;
}

void remove_objects(const char *name)
{
    char path[300];

    for (int i = 0; i < OBJECTS; i++) {
        object_path(name, (enum object)i, path);
        if (unlink(path) != 0 && errno == EISDIR)
            rmdir(path);
    }
}

/* ---- the raw peer */

static void *map_object(const char *name, enum object object, size_t *bytes)
{
    char path[300];
    struct stat info;
    void *map = NULL;

    object_path(name, object, path);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return NULL;
    if (fstat(fd, &info) == 0 && info.st_size > 0) {
        map = mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            map = NULL;
        *bytes = (size_t)info.st_size;
    }
    close(fd);
    return map;
}

bool raw_open(struct raw *raw, const char *name)
{
    size_t bytes;
    bool whole = true;

    memset(raw, 0, sizeof(*raw));
    for (int i = REQ; i <= RESP; i++)
        whole &= (raw->segment[i] = map_object(name, (enum object)i, &raw->bytes)) != NULL;
    for (int i = REQ_EMPTY; i < OBJECTS; i++)
        whole &= (raw->semaphore[i] = map_object(name, (enum object)i, &bytes)) != NULL;
    if (!whole)
        raw_close(raw);
    return whole;
}

void raw_close(struct raw *raw)
{
    for (int i = REQ; i <= RESP; i++)
        if (raw->segment[i])
            munmap(raw->segment[i], raw->bytes);
    for (int i = REQ_EMPTY; i < OBJECTS; i++)
        if (raw->semaphore[i])
            munmap(raw->semaphore[i], sizeof(sem_t));
    memset(raw, 0, sizeof(*raw));
}

int raw_value(const struct raw *raw, enum object object)
{
    int value = -1;

    sem_getvalue(raw->semaphore[object], &value);
    return value;
}

void raw_frame(struct raw *raw, enum object segment, uint32_t length_word, const void *data,
               size_t length)
{
    memcpy(raw->segment[segment], &length_word, sizeof(length_word));
    memcpy(raw->segment[segment] + sizeof(length_word), data, length);
}

static bool take(sem_t *semaphore, int milliseconds)
{
    int64_t until = now_ns() + (int64_t)milliseconds * 1000000;
    struct timespec at = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};

    while (sem_clockwait(semaphore, CLOCK_MONOTONIC, &at) != 0)
        if (errno != EINTR)
            return false;
    return true;
}

bool raw_send(struct raw *raw, const char *request, int milliseconds)
{
    if (!take(raw->semaphore[REQ_EMPTY], milliseconds))
        return false;
    raw_frame(raw, REQ, (uint32_t)strlen(request), request, strlen(request));
    sem_post(raw->semaphore[REQ_FULL]);
    return true;
}

bool raw_receive(struct raw *raw, char *response, size_t capacity, int milliseconds)
{
    uint32_t length;

    if (!take(raw->semaphore[RESP_FULL], milliseconds))
        return false;
    memcpy(&length, raw->segment[RESP], sizeof(length));
    if (length >= capacity || length > raw->bytes - sizeof(length))
        return false;
    memcpy(response, raw->segment[RESP] + sizeof(length), length);
    response[length] = '\0';
    sem_post(raw->semaphore[RESP_EMPTY]);
    return true;
}

bool idle_within(const char *name, int milliseconds)
{
    int64_t until = now_ns() + (int64_t)milliseconds * 1000000;
    struct raw raw;

    do {
        if (raw_open(&raw, name)) {
            bool idle = raw_value(&raw, REQ_EMPTY) == 1 && raw_value(&raw, REQ_FULL) == 0 &&
                        raw_value(&raw, RESP_EMPTY) == 1 && raw_value(&raw, RESP_FULL) == 0;

            raw_close(&raw);
            if (idle)
                return true;
        }
        sleep_us(2000);
    } while (now_ns() < until);
    return false;
}

/* ---- time, memory, children */

int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void sleep_us(long microseconds)
{
    struct timespec left = {.tv_sec = microseconds / 1000000,
                            .tv_nsec = microseconds % 1000000 * 1000};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

void *shared_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        abort();
    return memory;
}

static void become(uid_t uid)
{
    if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)
        _exit(126);
    /* A change of uid hides a process's /proc entries from its own user; exec would show them. */
    prctl(PR_SET_DUMPABLE, 1);
}

pid_t spawn_as(uid_t uid, child_body *body, void *context)
{
    fflush(NULL);
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid < 0)
        abort();
    if (pid > 0)
        return pid;
    if (uid != geteuid())
        become(uid);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(125);
    int status = body(context);

    fflush(NULL);
    _exit(status);
}

pid_t spawn(child_body *body, void *context)
{
    return spawn_as(geteuid(), body, context);
}

int await_child(pid_t pid, int milliseconds)
{
    int status;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd event = {.fd = fd, .events = POLLIN};
    int64_t until = now_ns() + (int64_t)milliseconds * 1000000;
    int ready;

    do {
        int64_t left = (until - now_ns()) / 1000000;

        ready = poll(&event, 1, left > 0 ? (int)left + 1 : 0);
    } while (ready < 0 && errno == EINTR);
    close(fd);
    if (ready <= 0) {
        kill_child(pid);
        return -1;
    }
    if (waitpid(pid, &status, 0) != pid)
        abort();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

void kill_child(pid_t pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

bool await_flag(const volatile int *flag, int milliseconds)
{
    int64_t until = now_ns() + (int64_t)milliseconds * 1000000;

    while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE)) {
        if (now_ns() > until)
            return false;
        sleep_us(200);
    }
    return true;
}

void child_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "child error: %s:%d: %s\n", file, line, what);
    fflush(NULL);
    _exit(1);
}

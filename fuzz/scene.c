/* SPDX-License-Identifier: MIT */
#include "scene.h"
#include "owner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 512 };
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

static struct shmrpc_channel *kept;
static bool active;
static int64_t now_ns;
static struct scene_hooks hooks;

const char *scene_name(void)
{
    static char name[64];
    if (name[0] == '\0') {
        /* FUZZ_RUN is how make fuzz recognises what a killed target left. */
        const char *run = getenv("FUZZ_RUN");
        snprintf(name, sizeof name, "fuzz-%.20s-%d", run != NULL ? run : "0", (int)getpid());
        harness_cleanup = scene_remove;
        atexit(scene_remove);
    }
    return name;
}

void scene_remove(void)
{
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        char file[SHMRPC_FILE_NAME_BYTES];
        char path[SHMRPC_FILE_NAME_BYTES + 16];
        shmrpc_name_object(scene_name(), (enum shmrpc_object)i, file);
        shmrpc_segment_path(file, path);
        unlink(path);
    }
}

struct shmrpc_channel *scene_server_channel(void)
{
    if (kept == NULL && shmrpc_owner_publish(scene_name(), BUFFER_BYTES, SHMRPC_WAIT_BLOCK, &kept,
                                             NULL) != SHMRPC_OK) {
        fprintf(stderr, "cannot publish a channel in /dev/shm\n");
        exit(2);
    }
    return kept;
}

void scene_close_channel(void)
{
    shmrpc_channel_close(&kept);
}

void scene_set(const struct shmrpc_segment *semaphore, unsigned value)
{
    memset(semaphore->map, 0, SHMRPC_SEMAPHORE_BYTES);
    if (sem_init(semaphore->map, 1, value) != 0)
        abort();
}

void scene_post(const struct shmrpc_segment *semaphore)
{
    const uint32_t *words = semaphore->map;
    /* A waiter that was killed leaves its count behind, and posting goes on. */
    if (words[1] == 0 || words[2] == 128)
        (void)sem_post(semaphore->map);
}

int scene_value(const struct shmrpc_segment *semaphore)
{
    int value = -1;
    sem_getvalue(semaphore->map, &value);
    return value;
}

void scene_reset_slots(struct shmrpc_channel *channel)
{
    scene_set(&channel->request.empty, 1);
    scene_set(&channel->request.full, 0);
    scene_set(&channel->response.empty, 1);
    scene_set(&channel->response.full, 0);
    memset(channel->request.segment.map, 0, SHMRPC_LENGTH_WORD_BYTES);
    memset(channel->response.segment.map, 0, SHMRPC_LENGTH_WORD_BYTES);
}

/* ---- Virtual time --------------------------------------------------------------------------- */

static int fake_clock(clockid_t clock, struct timespec *now)
{
    (void)clock;
    /* Looking takes time, so that who polls gets somewhere. */
    now_ns += 1000;
    now->tv_sec = now_ns / NS_PER_S;
    now->tv_nsec = now_ns % NS_PER_S;
    return 0;
}

static int fake_wait(sem_t *semaphore, clockid_t clock, const struct timespec *until)
{
    int64_t until_ns = until->tv_sec * NS_PER_S + until->tv_nsec;
    ORACLE(clock == CLOCK_MONOTONIC);
    int result = hooks.wait != NULL ? hooks.wait(semaphore, until_ns) : 0;
    if (result != 0) {
        errno = result;
        return -1;
    }
    if (sem_trywait(semaphore) == 0)
        return 0;
    if (now_ns < until_ns)
        now_ns = until_ns;
    errno = ETIMEDOUT;
    return -1;
}

static int fake_post(sem_t *semaphore)
{
    if (hooks.post != NULL)
        hooks.post(semaphore);
    return sem_post(semaphore);
}

/* Sleeping is waiting for the virtual clock too; the linker sends the library's calls here. */
int __real_clock_nanosleep(clockid_t clock, int flags, const struct timespec *request,
                           struct timespec *remain);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *request,
                           struct timespec *remain);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *request,
                           struct timespec *remain)
{
    if (!active)
        return __real_clock_nanosleep(clock, flags, request, remain);
    int64_t until_ns = request->tv_sec * NS_PER_S + request->tv_nsec;
    if (now_ns < until_ns)
        now_ns = until_ns + hooks.oversleep_ms * NS_PER_MS;
    return 0;
}

/* ---- Remembered names ----------------------------------------------------------------------- */

enum { LOOKS = 16 };
static struct {
    char path[SHMRPC_FILE_NAME_BYTES + 16];
    size_t length;
    int result;
    struct stat status;
} looks[LOOKS];
static unsigned look_count;

int __real_lstat(const char *path, struct stat *status);
int __wrap_lstat(const char *path, struct stat *status);
int __wrap_lstat(const char *path, struct stat *status)
{
    size_t length = strlen(path);
    unsigned at = 0;
    if (!active || !hooks.remember_names || length >= sizeof looks[0].path)
        return __real_lstat(path, status);
    while (at < look_count &&
           (looks[at].length != length || memcmp(looks[at].path, path, length) != 0))
        at++;
    if (at == look_count) {
        if (look_count == LOOKS)
            return __real_lstat(path, status);
        look_count++;
        memcpy(looks[at].path, path, length);
        looks[at].length = length;
        looks[at].result = __real_lstat(path, &looks[at].status);
    }
    *status = looks[at].status;
    errno = looks[at].result != 0 ? ENOENT : 0;
    return looks[at].result;
}

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path)
{
    look_count = 0;
    return __real_unlink(path);
}

int __real_linkat(int from, const char *path, int to, const char *new_path, int flags);
int __wrap_linkat(int from, const char *path, int to, const char *new_path, int flags);
int __wrap_linkat(int from, const char *path, int to, const char *new_path, int flags)
{
    look_count = 0;
    return __real_linkat(from, path, to, new_path, flags);
}

void scene_begin(const struct scene_hooks *wanted)
{
    hooks = *wanted;
    look_count = 0;
    active = true;
    now_ns = NS_PER_S;
    shmrpc_wait_calls = (struct shmrpc_wait_calls){sem_trywait, fake_wait, fake_post, fake_clock};
}

void scene_end(void)
{
    active = false;
    hooks = (struct scene_hooks){.wait = NULL};
    shmrpc_wait_calls =
        (struct shmrpc_wait_calls){sem_trywait, sem_clockwait, sem_post, clock_gettime};
}

int64_t scene_now_ns(void)
{
    return now_ns;
}

void scene_advance_ms(int64_t milliseconds)
{
    now_ns += milliseconds * NS_PER_MS;
}

char *scene_line(struct harness_input *trace, char line[SCENE_LINE])
{
    if (trace->left == 0)
        return NULL;
    const uint8_t *end = memchr(trace->at, '\n', trace->left);
    size_t length = end != NULL ? (size_t)(end - trace->at) : trace->left;
    size_t kept_length = length < SCENE_LINE ? length : SCENE_LINE - 1;
    memcpy(line, trace->at, kept_length);
    line[kept_length] = '\0';
    size_t step = end != NULL ? length + 1 : length;
    trace->at += step;
    trace->left -= step;
    return line;
}

/* SPDX-License-Identifier: MIT */
#include "wait.h"
#include "check.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

struct shmrpc_wait_calls shmrpc_wait_calls = {
    .trywait = sem_trywait,
    .clockwait = sem_clockwait,
    .post = sem_post,
    .clock = clock_gettime,
};

enum {
    SPINS_BEFORE_CLOCK = 48, /* about a microsecond; the common exchange ends within it */
    SPINS_BETWEEN_LOOKS = 32,
    LEAST_SPIN_NS = 1000,
    FIRST_SLICE_MS = 10,
    GLIBC_SHARED = 128 /* SRPC-SEM-004: the word at offset 8 of a process-shared semaphore */
};

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

int64_t shmrpc_now_ns(void)
{
    struct timespec now;
    SYS_OK(shmrpc_wait_calls.clock(CLOCK_MONOTONIC, &now));
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void shmrpc_sleep_ms(int milliseconds)
{
    REQUIRE(milliseconds >= 0);
    int64_t until = shmrpc_now_ns() + milliseconds * NS_PER_MS;
    struct timespec at = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        ;
}

void shmrpc_deadline_start(struct shmrpc_deadline *deadline, int timeout_ms, shmrpc_watch *watch,
                           void *context)
{
    REQUIRE(deadline != NULL);
    REQUIRE(timeout_ms >= 0 || timeout_ms == SHMRPC_FOREVER);
    *deadline = (struct shmrpc_deadline){timeout_ms, 0, watch, context};
}

void shmrpc_deadline_fix(struct shmrpc_deadline *deadline)
{
    REQUIRE(deadline != NULL);
    /* SRPC-TIME-003: absolute and monotonic. */
    if (deadline->at_ns == 0 && deadline->timeout_ms != SHMRPC_FOREVER)
        deadline->at_ns = shmrpc_now_ns() + deadline->timeout_ms * NS_PER_MS;
}

static int64_t left_at(const struct shmrpc_deadline *deadline, int64_t now)
{
    if (deadline->timeout_ms == SHMRPC_FOREVER)
        return INT64_MAX;
    return deadline->at_ns > now ? deadline->at_ns - now : 0;
}

int64_t shmrpc_deadline_left_ns(struct shmrpc_deadline *deadline)
{
    shmrpc_deadline_fix(deadline);
    return left_at(deadline, shmrpc_now_ns());
}

void shmrpc_spin_init(struct shmrpc_spin *spin, enum shmrpc_wait mode)
{
    REQUIRE(spin != NULL);
    REQUIRE(mode == SHMRPC_WAIT_ADAPTIVE || mode == SHMRPC_WAIT_SPIN || mode == SHMRPC_WAIT_BLOCK);
    cpu_set_t allowed;
    /* More CPUs than a cpu_set_t holds make the call fail; then there is more than one. */
    bool one = sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) == 1;
    /* SRPC-WAIT-002: where the peer cannot run while we spin, spinning only delays it. */
    *spin = (struct shmrpc_spin){mode, !one && mode != SHMRPC_WAIT_BLOCK, SHMRPC_SPIN_MAX_NS};
}

int shmrpc_wait_value(sem_t *semaphore)
{
    int value = 0;
    SYS_OK(sem_getvalue(semaphore, &value));
    return value;
}

void shmrpc_wait_make(sem_t *semaphore, unsigned value)
{
    REQUIRE(value <= 1);
    SYS_OK(sem_init(semaphore, 1, value));
    ENSURE(shmrpc_wait_value(semaphore) == (int)value);
}

bool shmrpc_wait_try(sem_t *semaphore)
{
    int result;
    do
        result = shmrpc_wait_calls.trywait(semaphore);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

enum shmrpc_status shmrpc_wait_post(sem_t *semaphore)
{
    /* SRPC-SEM-007: one token a pair. A second one would let a peer in while we are inside. */
    if (shmrpc_wait_value(semaphore) != 0)
        return SHMRPC_PROTOCOL;
    return shmrpc_wait_calls.post(semaphore) == 0 ? SHMRPC_OK : SHMRPC_PROTOCOL;
}

/* What is left after a take is a token too many: the only poster posts once for each take. */
static enum shmrpc_status taken(sem_t *semaphore)
{
    return shmrpc_wait_value(semaphore) == 0 ? SHMRPC_OK : SHMRPC_PROTOCOL;
}

/* glibc aborts the process when the kernel rejects its futex operation, which a garbled private
 * word brings about; so a semaphore that is none is found out before it is waited on. */
static bool is_glibc_shared(const sem_t *semaphore)
{
    uint32_t word;
    const char *at = (const char *)semaphore + 8;
    word = __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_RELAXED);
    return word == GLIBC_SHARED;
}

/* Spin up to limit_ns from now on. Returns whether the semaphore was taken. */
static bool spin_until(sem_t *semaphore, int64_t start, int64_t limit_ns, int64_t *now)
{
    while (*now - start < limit_ns) {
        for (int i = 0; i < SPINS_BETWEEN_LOOKS; i++) {
            if (shmrpc_wait_try(semaphore))
                return true;
            relax();
        }
        *now = shmrpc_now_ns();
    }
    return false;
}

/* One blocking wait of at most slice_ns. OK, TIMEOUT (slice over), or SYSTEM (interrupted). */
static enum shmrpc_status block(sem_t *semaphore, int64_t now, int64_t slice_ns)
{
    if (!is_glibc_shared(semaphore))
        return SHMRPC_PROTOCOL;
    int64_t until = now + slice_ns;
    struct timespec at = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
    /* SRPC-TIME-003: the wall clock plays no part. SRPC-TIME-004: after a signal the caller waits
     * on. */
    /* SRPC-WAIT-003 */
    if (shmrpc_wait_calls.clockwait(semaphore, CLOCK_MONOTONIC, &at) == 0)
        return SHMRPC_OK;
    if (errno == EINTR)
        return SHMRPC_SYSTEM;
    return errno == ETIMEDOUT ? SHMRPC_TIMEOUT : SHMRPC_PROTOCOL;
}

/* What the adaptive policy learns from a wait that outlasted its spin: if the token came soon all
 * the same, a longer spin would have met it; if not, spinning was waste. */
static void learn(struct shmrpc_spin *spin, int64_t waited_ns)
{
    if (spin->mode != SHMRPC_WAIT_ADAPTIVE)
        return;
    if (waited_ns < SHMRPC_SPIN_MAX_NS)
        spin->budget_ns = spin->budget_ns * 2 + SHMRPC_SPIN_MAX_NS / 8;
    else
        spin->budget_ns = spin->budget_ns > LEAST_SPIN_NS ? spin->budget_ns / 2 : 0;
    if (spin->budget_ns > SHMRPC_SPIN_MAX_NS)
        spin->budget_ns = SHMRPC_SPIN_MAX_NS;
    ENSURE(spin->budget_ns >= 0);
}

static enum shmrpc_status ask(const struct shmrpc_deadline *deadline)
{
    return deadline->watch != NULL ? deadline->watch(deadline->context) : SHMRPC_OK;
}

/* The slow part: slices of blocking, or of spinning where that is the policy (SRPC-WAIT-004). */
static enum shmrpc_status take_in_slices(sem_t *semaphore, struct shmrpc_spin *spin,
                                         struct shmrpc_deadline *deadline, int64_t start,
                                         int64_t now)
{
    bool spinning = spin->mode == SHMRPC_WAIT_SPIN && spin->may_spin;
    for (int64_t slice = FIRST_SLICE_MS * NS_PER_MS;;) {
        int64_t left = left_at(deadline, now);
        if (left == 0)
            return shmrpc_wait_try(semaphore) ? taken(semaphore) : SHMRPC_TIMEOUT;
        int64_t length = left < slice ? left : slice;
        enum shmrpc_status status;
        if (spinning)
            status = spin_until(semaphore, now, length, &now) ? SHMRPC_OK : SHMRPC_TIMEOUT;
        else
            status = block(semaphore, now, length);
        if (status == SHMRPC_OK) {
            if (!spinning)
                learn(spin, shmrpc_now_ns() - start);
            return taken(semaphore);
        }
        if (status == SHMRPC_PROTOCOL)
            return status;
        /* A slice is over or a signal came: ask whether waiting on makes sense. */
        status = ask(deadline);
        if (status != SHMRPC_OK)
            return status;
        if (slice < SHMRPC_SLICE_MS * NS_PER_MS)
            slice = slice * 2 < SHMRPC_SLICE_MS * NS_PER_MS ? slice * 2
                                                            : SHMRPC_SLICE_MS * NS_PER_MS;
        now = shmrpc_now_ns();
    }
}

enum shmrpc_status shmrpc_wait_take(sem_t *semaphore, struct shmrpc_spin *spin,
                                    struct shmrpc_deadline *deadline)
{
    REQUIRE(semaphore != NULL);
    REQUIRE(spin != NULL);
    REQUIRE(deadline != NULL);
    if (shmrpc_wait_try(semaphore))
        return taken(semaphore);
    bool spinning = spin->may_spin && spin->budget_ns > 0 && deadline->timeout_ms != 0;
    if (spinning) {
        for (int i = 0; i < SPINS_BEFORE_CLOCK; i++) {
            relax();
            if (shmrpc_wait_try(semaphore))
                return taken(semaphore);
        }
    }
    shmrpc_deadline_fix(deadline);
    int64_t start = shmrpc_now_ns();
    int64_t now = start;
    if (spinning && spin->mode == SHMRPC_WAIT_ADAPTIVE) {
        int64_t left = left_at(deadline, now);
        int64_t limit = spin->budget_ns < left ? spin->budget_ns : left;
        if (spin_until(semaphore, start, limit, &now))
            return taken(semaphore);
    }
    return take_in_slices(semaphore, spin, deadline, start, now);
}

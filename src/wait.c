/* SPDX-License-Identifier: MIT */
#include "wait.h"
#include "check.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* SRPC-MEM-003: the value is the low half of a word, how many wait for it the high one. */
#define ONE_WAITER (UINT64_C(1) << 32)
#define VALUE_OF(word) ((uint32_t *)(word) + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__))

/* As sem_post(), below sem_clockwait(), but nothing that a peer writes reaches the kernel: glibc
 * makes its operation from the private word, which can end the process, or keep it for ever. */
static int post_and_wake(sem_t *semaphore)
{
    REQUIRE(semaphore != NULL);
    uint64_t *word = (uint64_t *)(void *)semaphore;
    if (__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST) >= ONE_WAITER)
        syscall(SYS_futex, VALUE_OF(word), FUTEX_WAKE, 1);
    return 0;
}

/* Sleeps once, so that whoever is woken for nothing looks at the clock again: that is EINTR. */
static int sleep_once(sem_t *semaphore, clockid_t clock, const struct timespec *until)
{
    REQUIRE(until != NULL);
    uint64_t *word = (uint64_t *)(void *)semaphore;
    int operation = FUTEX_WAIT_BITSET | (clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0);
    __atomic_fetch_add(word, ONE_WAITER, __ATOMIC_SEQ_CST);
    long slept =
        syscall(SYS_futex, VALUE_OF(word), operation, 0, until, NULL, FUTEX_BITSET_MATCH_ANY);
    int error = slept == 0 || errno == EAGAIN ? EINTR : errno;
    __atomic_fetch_sub(word, ONE_WAITER, __ATOMIC_SEQ_CST);
    int result = sem_trywait(semaphore);
    errno = error;
    return result;
}

struct shmrpc_wait_calls shmrpc_wait_calls = {
    .trywait = sem_trywait,
    .clockwait = sleep_once,
    .post = post_and_wake,
    .clock = clock_gettime,
};

enum {
    SPINS_BEFORE_CLOCK = 48, /* about a microsecond; the common exchange ends within it */
    SPINS_BETWEEN_LOOKS = 32,
    SPIN_FAILURES = 12,
    SPIN_CROWDED = 3, /* of them, before the scheduler is made to part two sides on one CPU */
    SPIN_PAUSE_LEAST = 16,
    SPIN_PAUSE_MOST = 4096,
    PARTING_MS = 5, /* a tick of the scheduler, with room */
    SOON_NS = 20000,
    CLOSE_NS = 250000,
    FIRST_SLICE_MS = 10,
    GLIBC_SHARED = 128 /* SRPC-SEM-004: the word at offset 8 of a process-shared semaphore */
};
_Static_assert((int)FIRST_SLICE_MS <= (int)SHMRPC_SLICE_MS, "slices grow");
_Static_assert((int)PARTING_MS < (int)FIRST_SLICE_MS, "the watch is asked in time");

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

int64_t shmrpc_now_ns(void)
{
    struct timespec now;
    SYS_OK(shmrpc_wait_calls.clock(CLOCK_MONOTONIC, &now));
    ENSURE(now.tv_sec >= 0);
    ENSURE(now.tv_nsec < NS_PER_S);
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

bool shmrpc_time_valid(int timeout_ms)
{
    return timeout_ms >= 0 || timeout_ms == SHMRPC_FOREVER;
}

void shmrpc_deadline_start(struct shmrpc_deadline *deadline, int timeout_ms, shmrpc_watch *watch,
                           void *context)
{
    REQUIRE(deadline != NULL);
    REQUIRE(shmrpc_time_valid(timeout_ms));
    REQUIRE(watch != NULL || context == NULL);
    *deadline = (struct shmrpc_deadline){timeout_ms, 0, watch, context};
}

void shmrpc_deadline_fix(struct shmrpc_deadline *deadline)
{
    REQUIRE(deadline != NULL);
    /* SRPC-TIME-003: absolute and monotonic. */
    if (deadline->at_ns == 0 && deadline->timeout_ms != SHMRPC_FOREVER)
        deadline->at_ns = shmrpc_now_ns() + deadline->timeout_ms * NS_PER_MS;
    ENSURE(deadline->at_ns >= 0);
}

static int64_t left_at(const struct shmrpc_deadline *deadline, int64_t now)
{
    REQUIRE(deadline != NULL);
    REQUIRE(now >= 0);
    if (deadline->timeout_ms == SHMRPC_FOREVER)
        return INT64_MAX;
    int64_t left = deadline->at_ns - now;
    return left > 0 ? left : 0;
}

int64_t shmrpc_deadline_left_ns(struct shmrpc_deadline *deadline)
{
    shmrpc_deadline_fix(deadline);
    int64_t left = left_at(deadline, shmrpc_now_ns());
    ENSURE(left >= 0);
    return left;
}

void shmrpc_spin_init(struct shmrpc_spin *spin, enum shmrpc_wait mode)
{
    REQUIRE(spin != NULL);
    REQUIRE(mode == SHMRPC_WAIT_ADAPTIVE || mode == SHMRPC_WAIT_SPIN || mode == SHMRPC_WAIT_BLOCK);
    _Static_assert(SPIN_PAUSE_MOST % SPIN_PAUSE_LEAST == 0, "a pause that doubles ends there");
    cpu_set_t allowed;
    /* More CPUs than a cpu_set_t holds make the call fail; then there is more than one. */
    bool one = sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) == 1;
    /* SRPC-WAIT-002: where the peer cannot run while we spin, spinning only delays it. */
    *spin = (struct shmrpc_spin){.mode = mode, .may_spin = !one && mode != SHMRPC_WAIT_BLOCK};
    ENSURE(!spin->may_spin || mode != SHMRPC_WAIT_BLOCK);
}

int shmrpc_wait_value(sem_t *semaphore)
{
    REQUIRE(semaphore != NULL);
    int value;
    SYS_OK(sem_getvalue(semaphore, &value));
    return value < 0 || value > 1 ? 2 : value;
}

void shmrpc_wait_make(sem_t *semaphore, unsigned value)
{
    REQUIRE(semaphore != NULL);
    REQUIRE(value <= 1);
    SYS_OK(sem_init(semaphore, true, value));
}

bool shmrpc_wait_try(sem_t *semaphore)
{
    REQUIRE(semaphore != NULL);
    int result;
    do
        result = shmrpc_wait_calls.trywait(semaphore);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

/* A semaphore that is none is found out before it is waited on or posted: a page of zeros in place
 * of one that was truncated, or bytes that the peer's C library could not wait on. */
static bool is_shared(const sem_t *semaphore)
{
    REQUIRE(semaphore != NULL);
    return __atomic_load_n((const uint32_t *)(const void *)semaphore + 2, __ATOMIC_RELAXED) ==
           GLIBC_SHARED;
}

enum shmrpc_status shmrpc_wait_post(sem_t *semaphore)
{
    /* SRPC-SEM-007: one token a pair. A second one would let a peer in while we are inside. */
    if (!is_shared(semaphore) || shmrpc_wait_value(semaphore) != 0)
        return SHMRPC_PROTOCOL;
    return shmrpc_wait_calls.post(semaphore) == 0 ? SHMRPC_OK : SHMRPC_PROTOCOL;
}

/* What is left after a take is a token too many: the only poster posts once for each take. */
static enum shmrpc_status taken(sem_t *semaphore)
{
    return shmrpc_wait_value(semaphore) == 0 ? SHMRPC_OK : SHMRPC_PROTOCOL;
}

/* So many tries, a moment before each. Returns whether the semaphore was taken. */
static inline bool spin_for(sem_t *semaphore, int tries)
{
    REQUIRE(semaphore != NULL);
    REQUIRE(tries > 0);
    while (tries-- > 0) {
#if defined(__x86_64__)
        __asm__ volatile("pause");
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
        if (shmrpc_wait_try(semaphore))
            return true;
    }
    return false;
}

/* Spin up to limit_ns from now on. Returns whether the semaphore was taken. */
static bool spin_until(sem_t *semaphore, int64_t start, int64_t limit_ns, int64_t *now)
{
    REQUIRE(limit_ns >= 0);
    REQUIRE(*now >= start);
    while (*now - start < limit_ns) {
        if (spin_for(semaphore, SPINS_BETWEEN_LOOKS))
            return true;
        *now = shmrpc_now_ns();
    }
    return false;
}

/* One blocking wait of at most slice_ns. OK, TIMEOUT (slice over), or SYSTEM (interrupted). */
static enum shmrpc_status block(sem_t *semaphore, int64_t now, int64_t slice_ns)
{
    REQUIRE(slice_ns > 0);
    REQUIRE(slice_ns <= SHMRPC_SLICE_MS * NS_PER_MS);
    if (!is_shared(semaphore))
        return SHMRPC_PROTOCOL;
    int64_t until = now + slice_ns;
    struct timespec at = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
    /* SRPC-WAIT-003. SRPC-TIME-003: the wall clock plays no part. SRPC-TIME-004: after a signal the
     * caller waits on. */
    if (shmrpc_wait_calls.clockwait(semaphore, CLOCK_MONOTONIC, &at) == 0)
        return SHMRPC_OK;
    if (errno == EINTR)
        return SHMRPC_SYSTEM;
    return errno == ETIMEDOUT ? SHMRPC_TIMEOUT : SHMRPC_PROTOCOL;
}

/* What the adaptive policy learns. A spin that meets its token pays. A few in a row that do not end
 * the spinning for a number of waits, which doubles with every further failure; then it is tried
 * again. */
static void learn(struct shmrpc_spin *spin, bool met)
{
    REQUIRE(spin->may_spin);
    REQUIRE(spin->skip == 0);
    if (!met && ++spin->failures < SPIN_FAILURES)
        return;
    spin->failures = spin->crowded = 0;
    if (met || spin->pause < SPIN_PAUSE_MOST)
        spin->pause = met ? 0 : spin->pause == 0 ? SPIN_PAUSE_LEAST : spin->pause * 2;
    spin->skip = spin->pause;
    ENSURE(met || spin->skip > 0);
    ENSURE(spin->skip <= SPIN_PAUSE_MOST);
}

/* Where the peer needs this very CPU, its tokens come as soon as this side sleeps, one call close
 * upon the other. Sleeping in turn, the two would stay together for good; but of two that stay
 * runnable for a tick, the scheduler moves one to a free CPU. So after a few such tokens a spin is
 * that long, once before the next pause. A peer that is only slow is not waited for so. */
static void learn_sleep(struct shmrpc_spin *spin, int64_t asleep)
{
    REQUIRE(spin->mode == SHMRPC_WAIT_ADAPTIVE);
    REQUIRE(asleep >= spin->awake_ns);
    int64_t last = spin->awake_ns;
    spin->awake_ns = shmrpc_now_ns();
    bool near = spin->awake_ns - asleep < SOON_NS && asleep - last < CLOSE_NS;
    spin->crowded = near || spin->crowded > SPIN_CROWDED ? spin->crowded + 1 : 0;
    ENSURE(spin->awake_ns >= asleep);
}

/* The spin of the adaptive policy. Returns whether the semaphore was taken. */
static bool spin_adaptively(sem_t *semaphore, struct shmrpc_spin *spin,
                            const struct shmrpc_deadline *deadline, int64_t *now)
{
    REQUIRE(spin->mode == SHMRPC_WAIT_ADAPTIVE);
    bool parting = spin->crowded == SPIN_CROWDED;
    int64_t limit = parting ? PARTING_MS * NS_PER_MS : SHMRPC_SPIN_MAX_NS;
    int64_t left = left_at(deadline, *now);
    int64_t start = *now;
    bool met = spin_until(semaphore, start, left < limit ? left : limit, now);
    if (parting)
        spin->crowded++; /* past the mark: not again before the next pause */
    learn(spin, met && *now - start < SHMRPC_SPIN_MAX_NS);
    return met;
}

/* Whether to spin before this wait. */
static bool spins(struct shmrpc_spin *spin, const struct shmrpc_deadline *deadline)
{
    REQUIRE(spin->skip <= spin->pause);
    REQUIRE(spin->failures <= SPIN_FAILURES);
    if (!spin->may_spin || deadline->timeout_ms == 0)
        return false;
    if (spin->skip == 0)
        return true;
    spin->skip--;
    return false;
}

/* The slow part: slices of blocking, or of spinning where that is the policy (SRPC-WAIT-004). */
static enum shmrpc_status take_in_slices(sem_t *semaphore, struct shmrpc_spin *spin,
                                         struct shmrpc_deadline *deadline, int64_t now)
{
    REQUIRE(now >= 0);
    bool spinning = spin->mode == SHMRPC_WAIT_SPIN && spin->may_spin;
    for (int64_t slice = FIRST_SLICE_MS * NS_PER_MS;;) {
        int64_t left = left_at(deadline, now);
        if (left == 0)
            return shmrpc_wait_try(semaphore) ? taken(semaphore) : SHMRPC_TIMEOUT;
        ENSURE(left > 0);
        int64_t length = left < slice ? left : slice;
        enum shmrpc_status status = !spinning ? block(semaphore, now, length)
                                    : spin_until(semaphore, now, length, &now) ? SHMRPC_OK
                                                                               : SHMRPC_TIMEOUT;
        if (status == SHMRPC_OK) {
            if (spin->may_spin && spin->skip == 0 && !spinning)
                learn_sleep(spin, now);
            return taken(semaphore);
        }
        if (status == SHMRPC_PROTOCOL)
            return status;
        /* A slice is over or a signal came: ask whether waiting on makes sense. */
        status = deadline->watch != NULL ? deadline->watch(deadline->context) : SHMRPC_OK;
        if (status != SHMRPC_OK)
            return status;
        slice = slice * 2 < SHMRPC_SLICE_MS * NS_PER_MS ? slice * 2 : SHMRPC_SLICE_MS * NS_PER_MS;
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
    bool spinning = spins(spin, deadline);
    if (spinning && spin_for(semaphore, SPINS_BEFORE_CLOCK)) {
        learn(spin, true);
        return taken(semaphore);
    }
    shmrpc_deadline_fix(deadline);
    int64_t now = shmrpc_now_ns();
    if (spinning && spin->mode == SHMRPC_WAIT_ADAPTIVE &&
        spin_adaptively(semaphore, spin, deadline, &now))
        return taken(semaphore);
    return take_in_slices(semaphore, spin, deadline, now);
}

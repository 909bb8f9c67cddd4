/* SPDX-License-Identifier: MIT
 *
 * Room wait: slices, deadlines, signals and spinning on a virtual clock, where every wait can be
 * counted to the nanosecond; and the same on real semaphores, where nothing is asserted on speed.
 *
 * Cannot be fired: SYS_OK(sem_getvalue) and SYS_OK(sem_init), since glibc's fail for no argument
 * that passes the REQUIREs.
 */
#include "../../src/wait.h"
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define START INT64_C(1000000000000)

/* The virtual machine: a clock that moves only when somebody waits or looks at it. */
static struct {
    int64_t now;
    int64_t per_look;        /* what a look at the clock costs */
    int64_t per_try;         /* what a failing sem_trywait costs */
    int looks, tries, waits, posts, asks;
    int try_yields;          /* the how manieth try takes a token, 0: none */
    int wait_yields;         /* the same for blocking waits */
    int64_t wait_takes;      /* how long such a wait lasts */
    int64_t interrupt_after; /* each wait ends with EINTR after so long, 0: never */
    int wait_error;          /* each wait fails so, 0: it does not */
    int post_error;
    int last_asks;           /* the how manieth ask ends the wait */
    int64_t longest;         /* the longest blocking wait asked for */
    int64_t furthest;        /* the latest time asked for */
    clockid_t clocks[2];     /* seen: of looks, of waits */
    bool broken_clock;
} vm;

static sem_t token;

static int vm_trywait(sem_t *semaphore)
{
    assert_ptr_equal(semaphore, &token);
    vm.tries++;
    vm.now += vm.per_try;
    if (vm.try_yields != 0 && vm.tries >= vm.try_yields)
        return 0;
    errno = EAGAIN;
    return -1;
}

static int vm_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *until)
{
    assert_ptr_equal(semaphore, &token);
    int64_t at = until->tv_sec * INT64_C(1000000000) + until->tv_nsec;
    assert_true(until->tv_nsec >= 0 && until->tv_nsec < 1000000000);
    vm.waits++;
    vm.clocks[1] = clock;
    vm.longest = at - vm.now > vm.longest ? at - vm.now : vm.longest;
    vm.furthest = at > vm.furthest ? at : vm.furthest;
    errno = vm.wait_error;
    if (vm.wait_error != 0)
        return -1;
    if (vm.wait_yields != 0 && vm.waits >= vm.wait_yields) {
        vm.now += vm.wait_takes;
        return 0;
    }
    if (vm.interrupt_after != 0 && vm.now + vm.interrupt_after < at) {
        vm.now += vm.interrupt_after;
        errno = EINTR;
        return -1;
    }
    vm.now = at > vm.now ? at : vm.now;
    errno = ETIMEDOUT;
    return -1;
}

static int vm_post(sem_t *semaphore)
{
    assert_ptr_equal(semaphore, &token);
    vm.posts++;
    errno = vm.post_error;
    return vm.post_error != 0 ? -1 : 0;
}

static int vm_clock(clockid_t clock, struct timespec *now)
{
    if (vm.broken_clock)
        return -1;
    vm.looks++;
    vm.clocks[0] = clock;
    vm.now += vm.per_look;
    *now = (struct timespec){.tv_sec = vm.now / 1000000000, .tv_nsec = vm.now % 1000000000};
    return 0;
}

static enum shmrpc_status vm_watch(void *context)
{
    assert_ptr_equal(context, &vm);
    vm.asks++;
    return vm.last_asks != 0 && vm.asks >= vm.last_asks ? SHMRPC_PEER_GONE_MAYBE_EXECUTED : SHMRPC_OK;
}

static struct shmrpc_wait_calls real_calls;

static int start_vm(void **state)
{
    (void)state;
    real_calls = shmrpc_wait_calls;
    shmrpc_wait_calls = (struct shmrpc_wait_calls){vm_trywait, vm_clockwait, vm_post, vm_clock};
    memset(&vm, 0, sizeof vm);
    vm.now = START;
    vm.wait_takes = 1000;
    vm.clocks[0] = vm.clocks[1] = CLOCK_MONOTONIC;
    return sem_init(&token, 1, 0);
}

static int stop_vm(void **state)
{
    (void)state;
    shmrpc_wait_calls = real_calls;
    return sem_destroy(&token);
}

/* A spin as it would be on a machine with several CPUs, whatever this one has. */
static struct shmrpc_spin spin_of(enum shmrpc_wait mode)
{
    struct shmrpc_spin spin;
    shmrpc_spin_init(&spin, mode);
    spin.may_spin = mode != SHMRPC_WAIT_BLOCK;
    return spin;
}

static enum shmrpc_status take(struct shmrpc_spin *spin, int timeout_ms)
{
    struct shmrpc_deadline deadline;
    shmrpc_deadline_start(&deadline, timeout_ms, vm_watch, &vm);
    return shmrpc_wait_take(&token, spin, &deadline);
}

static const enum shmrpc_wait modes[] = {SHMRPC_WAIT_ADAPTIVE, SHMRPC_WAIT_SPIN, SHMRPC_WAIT_BLOCK};

static void test_SRPC_TIME_002_SRPC_TIME_003_a_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    static const int timeouts[] = {1, 9, 10, 11, 99, 100, 101, 250, 5000, 60000};
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_BLOCK);
        vm.now = START;
        vm.furthest = 0;
        assert_int_equal(take(&spin, timeouts[i]), SHMRPC_TIMEOUT);
        assert_int_equal(vm.now, START + timeouts[i] * MS);
        assert_int_equal(vm.furthest, START + timeouts[i] * MS);
        assert_int_equal(vm.clocks[0], CLOCK_MONOTONIC);
        assert_int_equal(vm.clocks[1], CLOCK_MONOTONIC);
    }
}

static void test_SRPC_TIME_004_signals_do_not_move_the_deadline(void **state)
{
    (void)state;
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_BLOCK);
    vm.interrupt_after = MS / 10;
    assert_int_equal(take(&spin, 250), SHMRPC_TIMEOUT);
    assert_int_equal(vm.now, START + 250 * MS);
    assert_true(vm.waits >= 2500 - 1 && vm.waits <= 2500 + 1);
    assert_int_equal(vm.asks, vm.waits);
}

static void test_SRPC_TIME_004_a_token_after_signals_is_taken(void **state)
{
    (void)state;
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_BLOCK);
    vm.interrupt_after = MS;
    vm.wait_yields = 100;
    assert_int_equal(take(&spin, SHMRPC_FOREVER), SHMRPC_OK);
    assert_int_equal(vm.waits, 100);
}

static void test_SRPC_WAIT_004_no_slice_is_longer_than_100_ms(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct shmrpc_spin spin = spin_of(modes[i]);
        vm.asks = vm.waits = 0;
        vm.per_try = vm.per_look = 100;
        vm.last_asks = 50;
        int64_t begin = vm.now;
        assert_int_equal(take(&spin, SHMRPC_FOREVER), SHMRPC_PEER_GONE_MAYBE_EXECUTED);
        assert_int_equal(vm.asks, 50);
        assert_true(vm.longest <= 100 * MS);
        /* 50 slices and a little for the looks between them. */
        assert_true(vm.now - begin <= 50 * 100 * MS + 50 * MS);
        assert_int_equal(vm.waits, modes[i] == SHMRPC_WAIT_SPIN ? 0 : 50);
    }
}

/* The first slices are short, so that a peer that died just before is noticed soon. */
static void test_SRPC_RECOVER_002_the_first_look_comes_early(void **state)
{
    (void)state;
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_BLOCK);
    vm.last_asks = 1;
    assert_int_equal(take(&spin, SHMRPC_FOREVER), SHMRPC_PEER_GONE_MAYBE_EXECUTED);
    assert_true(vm.now - START <= 10 * MS);
}

/* A peer's death is noticed soon where it comes soon, and later waits are asked about seldom. */
static void test_SRPC_WAIT_004_slices_double_up_to_100_ms(void **state)
{
    (void)state;
    static const int64_t over[] = {10, 30, 70, 150, 250, 350};
    for (int i = 0; i < 6; i++) {
        struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_BLOCK);
        vm.now = START;
        vm.asks = 0;
        vm.last_asks = i + 1;
        assert_int_equal(take(&spin, SHMRPC_FOREVER), SHMRPC_PEER_GONE_MAYBE_EXECUTED);
        assert_int_equal(vm.now - START, over[i] * MS);
    }
}

static void test_SRPC_WAIT_001_SRPC_TIME_002_all_policies_give_the_same_results(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct shmrpc_spin spin = spin_of(modes[i]);
        vm.per_try = vm.per_look = 50;
        vm.tries = vm.waits = vm.asks = vm.try_yields = vm.wait_yields = 0;
        assert_int_equal(take(&spin, 0), SHMRPC_TIMEOUT); /* at once */
        assert_int_equal(vm.waits, 0);
        assert_int_equal(vm.asks, 0);
        int64_t begin = vm.now;
        assert_int_equal(take(&spin, 300), SHMRPC_TIMEOUT);
        assert_true(vm.now - begin >= 300 * MS && vm.now - begin < 301 * MS);
        vm.tries = vm.waits = 0;
        vm.try_yields = 1;
        assert_int_equal(take(&spin, 0), SHMRPC_OK);
        assert_int_equal(take(&spin, SHMRPC_FOREVER), SHMRPC_OK);
        assert_int_equal(vm.waits, 0);
        vm.tries = vm.waits = 0;
        vm.try_yields = 5000;
        vm.wait_yields = 3;
        assert_int_equal(take(&spin, SHMRPC_FOREVER), SHMRPC_OK);
        /* A token that comes just as the time is over is taken. */
        vm.tries = vm.waits = vm.wait_yields = 0;
        vm.try_yields = 2;
        assert_int_equal(take(&spin, 0), SHMRPC_OK);
    }
}

/* An exchange between two spinning sides never looks at the clock. */
static void test_SRPC_WAIT_001_a_short_spin_reads_no_clock(void **state)
{
    (void)state;
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_ADAPTIVE);
    vm.try_yields = 20;
    assert_int_equal(take(&spin, 1000), SHMRPC_OK);
    assert_int_equal(vm.looks, 0);
    assert_int_equal(vm.tries, 20);
    assert_int_equal(vm.waits, 0);
    /* 48 tries behind the first, then 32 from one look to the next. */
    spin = spin_of(SHMRPC_WAIT_ADAPTIVE);
    vm.tries = 0;
    vm.try_yields = 49;
    assert_int_equal(take(&spin, 1000), SHMRPC_OK);
    assert_int_equal(vm.looks, 0);
    vm.tries = vm.try_yields = 0;
    vm.per_look = SHMRPC_SPIN_MAX_NS;
    vm.wait_yields = 1;
    assert_int_equal(take(&spin, 1000), SHMRPC_OK);
    assert_int_equal(vm.tries, 49 + 32);
}

static int interrupted_once(sem_t *semaphore)
{
    if (vm.tries++ > 0)
        return vm_trywait(semaphore);
    errno = EINTR;
    return -1;
}

static void test_SRPC_TIME_004_an_interrupted_try_is_made_again(void **state)
{
    (void)state;
    shmrpc_wait_calls.trywait = interrupted_once;
    vm.try_yields = 2;
    assert_true(shmrpc_wait_try(&token));
}

/* Who polls does not spin. */
static void test_SRPC_WAIT_001_a_poll_is_two_tries(void **state)
{
    (void)state;
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_ADAPTIVE);
    assert_int_equal(take(&spin, 0), SHMRPC_TIMEOUT);
    assert_int_equal(vm.tries, 2);
    vm.tries = 0;
    vm.per_look = 1000;
    assert_int_equal(take(&spin, 1), SHMRPC_TIMEOUT);
    assert_true(vm.tries > 49);
}

static void test_SRPC_WAIT_003_adaptive_spins_within_a_bound_and_then_blocks(void **state)
{
    (void)state;
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_ADAPTIVE);
    vm.per_try = 20;
    vm.per_look = 20;
    vm.wait_yields = 1;
    assert_int_equal(take(&spin, 1000), SHMRPC_OK);
    assert_int_equal(vm.waits, 1);
    assert_true(vm.now - START < 3 * SHMRPC_SPIN_MAX_NS);
    /* The spin ends with the deadline, too. */
    spin = spin_of(SHMRPC_WAIT_SPIN);
    vm.wait_yields = 0;
    vm.now = START;
    assert_int_equal(take(&spin, 1), SHMRPC_TIMEOUT);
    assert_true(vm.now - START < 2 * MS);
}

/* One wait that blocks, in the virtual machine. @return how often it tried first. */
static int tries_before_blocking(struct shmrpc_spin *spin)
{
    vm.per_try = vm.per_look = 10;
    vm.tries = vm.waits = 0;
    vm.wait_yields = 1;
    assert_int_equal(take(spin, SHMRPC_FOREVER), SHMRPC_OK);
    assert_int_equal(vm.waits, 1);
    return vm.tries;
}

static void test_SRPC_WAIT_003_spinning_stops_while_it_does_not_pay(void **state)
{
    (void)state;
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_ADAPTIVE);
    int pause = 16;
    for (int round = 0; round < 10; round++) { /* ever longer pauses, a few spins between two */
        for (int i = 0; i < 12; i++)
            assert_true(tries_before_blocking(&spin) > 1);
        for (int i = 0; i < pause; i++)
            assert_int_equal(tries_before_blocking(&spin), 1);
        pause = pause * 2 < 4096 ? pause * 2 : 4096;
    }
    for (int i = 0; i < 11; i++)
        assert_true(tries_before_blocking(&spin) > 1);
    /* One token that a spin meets makes good for all failures. */
    vm.waits = vm.tries = 0;
    vm.wait_yields = 0;
    vm.try_yields = 20;
    assert_int_equal(take(&spin, 1000), SHMRPC_OK);
    vm.try_yields = 0;
    for (int i = 0; i < 12; i++)
        assert_true(tries_before_blocking(&spin) > 1);
    for (int i = 0; i < 16; i++)
        assert_int_equal(tries_before_blocking(&spin), 1);
    assert_true(tries_before_blocking(&spin) > 1);
    for (size_t i = 1; i < 3; i++) { /* the other policies learn nothing */
        spin = spin_of(modes[i]);
        spin.may_spin = false;
        vm.waits = 0;
        vm.wait_yields = 5;
        assert_int_equal(take(&spin, SHMRPC_FOREVER), SHMRPC_OK);
        assert_int_equal(spin.failures, 0);
    }
}

/* One wait that blocks. @return how long it spun before. */
static int64_t spun_before_blocking(struct shmrpc_spin *spin)
{
    int64_t start = vm.now;
    tries_before_blocking(spin);
    return vm.now - start - vm.wait_takes;
}

/* Twelve waits that spin in vain, with apart_ns between one and the next.
 * @return how many of the spins were long; each of those lasted its 5 ms and no longer. */
static int long_spins(struct shmrpc_spin *spin, int64_t apart_ns)
{
    int count = 0;
    for (int i = 0; i < 12; i++) {
        int64_t spun = spun_before_blocking(spin);
        assert_true(spun >= SHMRPC_SPIN_MAX_NS);
        assert_true(spun < 2 * SHMRPC_SPIN_MAX_NS || (spun >= 5 * MS && spun < 6 * MS));
        count += spun >= 5 * MS;
        vm.now += apart_ns;
    }
    assert_int_equal(spin->skip, spin->pause);
    while (spin->skip > 0)
        assert_int_equal(tries_before_blocking(spin), 1);
    return count;
}

/* Tokens that come as soon as this side sleeps, call upon call: the peer needs this CPU. One spin
 * before each pause is long enough for the scheduler to move one of the two. */
static void test_SRPC_WAIT_003_two_sides_on_one_cpu_are_made_to_part(void **state)
{
    (void)state;
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_ADAPTIVE);
    assert_int_equal(long_spins(&spin, 0), 1);
    assert_int_equal(long_spins(&spin, 0), 1);
    /* Not for a peer whose calls are far apart, nor for one that is slow. */
    assert_int_equal(long_spins(&spin, 300000), 0);
    vm.wait_takes = 20000;
    assert_int_equal(long_spins(&spin, 0), 0);
    vm.wait_takes = 19000;
    assert_int_equal(long_spins(&spin, 100000), 1);
    /* What a long spin meets late is no success: the sides are not parted yet. */
    spin = spin_of(SHMRPC_WAIT_ADAPTIVE);
    for (int i = 0; i < 4; i++)
        assert_true(spun_before_blocking(&spin) < 2 * SHMRPC_SPIN_MAX_NS);
    assert_int_equal(spin.failures, 4);
    struct shmrpc_spin near = spin;
    vm.waits = vm.tries = 0;
    vm.try_yields = 100000;
    assert_int_equal(take(&spin, SHMRPC_FOREVER), SHMRPC_OK);
    assert_int_equal(vm.waits, 0);
    assert_int_equal(spin.failures, 5);
    vm.try_yields = 0;
    assert_true(spun_before_blocking(&spin) < 2 * SHMRPC_SPIN_MAX_NS); /* and it is done once */
    /* What it meets at once is one; and the deadline ends it. */
    spin = near;
    vm.waits = vm.tries = 0;
    vm.try_yields = 100;
    assert_int_equal(take(&spin, SHMRPC_FOREVER), SHMRPC_OK);
    assert_int_equal(spin.failures, 0);
    vm.try_yields = vm.wait_yields = 0;
    int64_t start = vm.now;
    assert_int_equal(take(&near, 2), SHMRPC_TIMEOUT);
    assert_true(vm.now - start < 3 * MS);
}

/* Where "as soon as" and "close upon" end, to the nanosecond; and how a count goes on. */
static void test_SRPC_WAIT_003_which_tokens_count_as_crowded(void **state)
{
    (void)state;
    static const struct {
        int64_t takes;
        int64_t apart;
        unsigned before;
        unsigned behind;
    } cases[] = {
        {19999, 249999, 0, 1}, {20000, 249999, 2, 0}, {19999, 250000, 2, 0}, {0, 0, 2, 3},
        {20000, 249999, 3, 0}, {20000, 250000, 4, 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_ADAPTIVE);
        spin.pause = spin.skip = 1; /* the last wait that does not spin */
        spin.crowded = cases[i].before;
        spin.awake_ns = vm.now - cases[i].apart;
        vm.waits = 0;
        vm.wait_yields = 1;
        vm.wait_takes = cases[i].takes;
        assert_int_equal(take(&spin, SHMRPC_FOREVER), SHMRPC_OK);
        assert_int_equal(spin.crowded, cases[i].behind);
    }
}

static void test_SRPC_WAIT_003_the_count_begins_anew(void **state)
{
    (void)state;
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_ADAPTIVE);
    spin.crowded = 2; /* with a token that a spin meets */
    vm.try_yields = 20;
    assert_int_equal(take(&spin, SHMRPC_FOREVER), SHMRPC_OK);
    assert_int_equal(spin.crowded, 0);
    spin.crowded = 2; /* and with a pause */
    spin.failures = 11;
    vm.try_yields = 0;
    assert_true(tries_before_blocking(&spin) > 1);
    assert_int_equal(spin.skip, 16);
    assert_int_equal(spin.crowded, 0);
    /* A long spin that meets its token when a short one would just be over has met nothing. */
    spin = spin_of(SHMRPC_WAIT_ADAPTIVE);
    spin.crowded = 3;
    spin.failures = 4;
    vm.tries = 0;
    vm.per_try = 0;
    vm.per_look = SHMRPC_SPIN_MAX_NS;
    vm.try_yields = 49 + 32 + 1;
    assert_int_equal(take(&spin, SHMRPC_FOREVER), SHMRPC_OK);
    assert_int_equal(spin.failures, 5);
}

static void test_SRPC_WAIT_002_without_a_second_cpu_nothing_spins(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct shmrpc_spin spin = spin_of(modes[i]);
        spin.may_spin = false;
        vm.tries = vm.waits = 0;
        vm.wait_yields = 3;
        assert_int_equal(take(&spin, SHMRPC_FOREVER), SHMRPC_OK);
        assert_int_equal(vm.tries, 1);
        assert_int_equal(vm.waits, 3);
    }
}

static void test_SRPC_SEM_007_a_token_too_many_is_a_violation(void **state)
{
    (void)state;
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_ADAPTIVE);
    assert_int_equal(sem_post(&token), 0); /* what is left beside the one taken */
    vm.try_yields = 1;
    assert_int_equal(take(&spin, 100), SHMRPC_PROTOCOL);
    vm.tries = 0;
    vm.try_yields = 10; /* met while spinning before the first look at the clock */
    assert_int_equal(take(&spin, 100), SHMRPC_PROTOCOL);
    vm.tries = 0;
    vm.try_yields = 60; /* and after it */
    assert_int_equal(take(&spin, 100), SHMRPC_PROTOCOL);
    vm.tries = 0;
    vm.try_yields = 2;
    assert_int_equal(take(&spin, 0), SHMRPC_PROTOCOL);
    spin = spin_of(SHMRPC_WAIT_BLOCK);
    vm.try_yields = 0;
    vm.wait_yields = 1;
    assert_int_equal(take(&spin, 100), SHMRPC_PROTOCOL);
    spin = spin_of(SHMRPC_WAIT_SPIN);
    vm.tries = 0;
    vm.try_yields = 500;
    assert_int_equal(take(&spin, 100), SHMRPC_PROTOCOL);
    /* Nothing is posted onto it. */
    assert_int_equal(shmrpc_wait_post(&token), SHMRPC_PROTOCOL);
    assert_int_equal(vm.posts, 0);
    assert_int_equal(sem_trywait(&token), 0);
    assert_int_equal(shmrpc_wait_post(&token), SHMRPC_OK);
    vm.post_error = EOVERFLOW;
    assert_int_equal(shmrpc_wait_post(&token), SHMRPC_PROTOCOL);
    assert_int_equal(vm.posts, 2);
}

static void test_SRPC_SEM_004_what_is_no_shared_semaphore_is_not_waited_on(void **state)
{
    (void)state;
    static const int32_t words[] = {0, 127, 129, 1 << 30, -1};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_ADAPTIVE);
        memcpy((char *)&token + 8, &words[i], sizeof words[i]);
        vm.per_look = 1000;
        assert_int_equal(take(&spin, 1000), SHMRPC_PROTOCOL);
        assert_int_equal(vm.waits, 0);
    }
}

static void test_SRPC_ERR_003_an_odd_failure_of_the_wait_is_an_error(void **state)
{
    (void)state;
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_BLOCK);
    vm.wait_error = EINVAL;
    assert_int_equal(take(&spin, 1000), SHMRPC_PROTOCOL);
    assert_int_equal(vm.waits, 1);
}

static void test_SRPC_TIME_003_SRPC_TIME_005_deadlines(void **state)
{
    (void)state;
    struct shmrpc_deadline deadline;
    shmrpc_deadline_start(&deadline, 100, NULL, NULL);
    vm.now += 50 * MS; /* not running yet */
    assert_int_equal(shmrpc_deadline_left_ns(&deadline), 100 * MS);
    vm.now += 99 * MS;
    shmrpc_deadline_fix(&deadline); /* fixed already: does not move */
    assert_int_equal(shmrpc_deadline_left_ns(&deadline), MS);
    vm.now += MS - 1;
    assert_int_equal(shmrpc_deadline_left_ns(&deadline), 1);
    vm.now++;
    assert_int_equal(shmrpc_deadline_left_ns(&deadline), 0);
    vm.now += 1000 * MS;
    assert_int_equal(shmrpc_deadline_left_ns(&deadline), 0);
    shmrpc_deadline_start(&deadline, INT_MAX, NULL, NULL);
    assert_int_equal(shmrpc_deadline_left_ns(&deadline), INT_MAX * MS);
    shmrpc_deadline_start(&deadline, SHMRPC_FOREVER, NULL, NULL);
    assert_int_equal(shmrpc_deadline_left_ns(&deadline), INT64_MAX);
    shmrpc_deadline_start(&deadline, 0, NULL, NULL);
    assert_int_equal(shmrpc_deadline_left_ns(&deadline), 0);
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_BLOCK);
    vm.last_asks = 0;
    int64_t begin = vm.now;
    assert_int_equal(take(&spin, INT_MAX), SHMRPC_TIMEOUT);
    assert_int_equal(vm.now, begin + INT_MAX * MS);
}

/* One deadline over several waits, as a call has it. */
static void test_SRPC_CALL_006_a_deadline_covers_several_waits(void **state)
{
    (void)state;
    struct shmrpc_deadline deadline;
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_BLOCK);
    shmrpc_deadline_start(&deadline, 500, NULL, NULL); /* no watch: nobody is asked */
    shmrpc_deadline_fix(&deadline);
    vm.wait_yields = 4;
    assert_int_equal(shmrpc_wait_take(&token, &spin, &deadline), SHMRPC_OK);
    int64_t left = shmrpc_deadline_left_ns(&deadline);
    assert_true(left > 0 && left < 500 * MS);
    vm.wait_yields = 0;
    assert_int_equal(shmrpc_wait_take(&token, &spin, &deadline), SHMRPC_TIMEOUT);
    assert_int_equal(vm.now, START + 500 * MS);
}

static void test_assertions(void **state)
{
    (void)state;
    struct shmrpc_deadline deadline;
    struct shmrpc_spin spin = spin_of(SHMRPC_WAIT_ADAPTIVE);
    shmrpc_deadline_start(&deadline, 10, NULL, NULL);
    expect_check_failure(shmrpc_deadline_start(NULL, 0, NULL, NULL));
    expect_check_failure(shmrpc_deadline_start(&deadline, -2, NULL, NULL));
    expect_check_failure(shmrpc_deadline_start(&deadline, 0, NULL, &deadline));
    expect_check_failure(shmrpc_deadline_fix(NULL));
    expect_check_failure_below(support_ignore(shmrpc_deadline_left_ns(NULL)));
    expect_check_failure(shmrpc_sleep_ms(-1));
    expect_check_failure(shmrpc_spin_init(NULL, SHMRPC_WAIT_SPIN));
    expect_check_failure(shmrpc_spin_init(&spin, (enum shmrpc_wait)3));
    expect_check_failure(shmrpc_wait_make(&token, 2));
    expect_check_failure(shmrpc_wait_make(NULL, 1));
    expect_check_failure(support_ignore(shmrpc_wait_value(NULL)));
    expect_check_failure(support_ignore(shmrpc_wait_try(NULL)));
    expect_check_failure(support_ignore(shmrpc_wait_take(NULL, &spin, &deadline)));
    expect_check_failure(support_ignore(shmrpc_wait_take(&token, NULL, &deadline)));
    expect_check_failure(support_ignore(shmrpc_wait_take(&token, &spin, NULL)));
    vm.broken_clock = true;
    expect_check_failure(support_ignore(shmrpc_now_ns()));
}

/* ---- On real semaphores ---------------------------------------------------------------------- */

/* Byte by byte what the C library's own named semaphores are. */
static void test_SRPC_SEM_001_SRPC_SEM_002_SRPC_SEM_004_the_bytes_are_the_c_librarys(void **state)
{
    (void)state;
    assert_int_equal(sizeof(sem_t), SHMRPC_SEMAPHORE_BYTES);
    for (unsigned value = 0; value <= 1; value++) {
        char name[64];
        char path[96];
        unsigned char theirs[64];
        sem_t ours;
        snprintf(name, sizeof name, "/unitwait-%d", (int)getpid());
        snprintf(path, sizeof path, "/dev/shm/sem.%s", name + 1);
        sem_t *named = sem_open(name, O_CREAT | O_EXCL, 0600, value);
        assert_ptr_not_equal(named, SEM_FAILED);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(sem_unlink(name), 0);
        assert_int_equal(read(fd, theirs, sizeof theirs), SHMRPC_SEMAPHORE_BYTES);
        close(fd);
        assert_int_equal(sem_close(named), 0);
        memset(&ours, 0, sizeof ours); /* as in a new segment */
        shmrpc_wait_make(&ours, value);
        assert_memory_equal(&ours, theirs, SHMRPC_SEMAPHORE_BYTES);
        const uint32_t expected[8] = {value, 0, 128, 0, 0, 0, 0, 0};
        if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
            assert_memory_equal(&ours, expected, sizeof expected);
    }
}

static void test_SRPC_SEM_007_values_as_a_hostile_peer_leaves_them(void **state)
{
    (void)state;
    static const uint32_t values[] = {2, 3, INT_MAX, UINT32_C(0x80000000), UINT32_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        sem_t semaphore;
        struct shmrpc_spin spin;
        struct shmrpc_deadline deadline;
        shmrpc_spin_init(&spin, SHMRPC_WAIT_ADAPTIVE);
        shmrpc_deadline_start(&deadline, 1000, NULL, NULL);
        shmrpc_wait_make(&semaphore, 0);
        memcpy(&semaphore, &values[i], sizeof values[i]);
        assert_int_equal(shmrpc_wait_post(&semaphore), SHMRPC_PROTOCOL);
        assert_int_equal(shmrpc_wait_value(&semaphore), 2);
        assert_int_equal(shmrpc_wait_take(&semaphore, &spin, &deadline), SHMRPC_PROTOCOL);
    }
}

static void test_SRPC_HAND_005_take_try_and_post_balance(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        sem_t semaphore;
        struct shmrpc_spin spin;
        struct shmrpc_deadline deadline;
        shmrpc_spin_init(&spin, modes[i]);
        shmrpc_wait_make(&semaphore, 1);
        assert_true(shmrpc_wait_try(&semaphore));
        assert_int_equal(shmrpc_wait_value(&semaphore), 0);
        assert_false(shmrpc_wait_try(&semaphore));
        shmrpc_deadline_start(&deadline, 1, NULL, NULL);
        assert_int_equal(shmrpc_wait_take(&semaphore, &spin, &deadline), SHMRPC_TIMEOUT);
        assert_int_equal(shmrpc_wait_post(&semaphore), SHMRPC_OK);
        assert_int_equal(shmrpc_wait_post(&semaphore), SHMRPC_PROTOCOL);
        assert_int_equal(shmrpc_wait_value(&semaphore), 1);
        shmrpc_deadline_start(&deadline, 1, NULL, NULL);
        assert_int_equal(shmrpc_wait_take(&semaphore, &spin, &deadline), SHMRPC_OK);
        assert_int_equal(shmrpc_wait_value(&semaphore), 0);
    }
}

/* The number of CPUs decides, as sched_setaffinity() left it. */
static void allow_one_cpu(void *nothing)
{
    (void)nothing;
    cpu_set_t allowed;
    struct shmrpc_spin spin;
    CHILD_CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    bool several = CPU_COUNT(&allowed) > 1;
    for (size_t i = 0; i < 3; i++) {
        shmrpc_spin_init(&spin, modes[i]);
        CHILD_CHECK(spin.may_spin == (several && modes[i] != SHMRPC_WAIT_BLOCK));
        CHILD_CHECK(spin.mode == modes[i]);
    }
    int left = CPU_COUNT(&allowed);
    for (size_t cpu = 0; left > 1; cpu++)
        if (CPU_ISSET(cpu, &allowed)) {
            CPU_CLR(cpu, &allowed);
            left--;
        }
    CHILD_CHECK(sched_setaffinity(0, sizeof allowed, &allowed) == 0);
    for (size_t i = 0; i < 3; i++) {
        shmrpc_spin_init(&spin, modes[i]);
        CHILD_CHECK(!spin.may_spin);
    }
}

static void test_SRPC_WAIT_002_one_allowed_cpu_means_no_spin(void **state)
{
    (void)state;
    child_run(allow_one_cpu, NULL);
}

struct pair {
    sem_t ping;
    sem_t pong;
    enum shmrpc_wait mode;
    int rounds;
    uint64_t payload; /* plain memory: the semaphores alone order it */
    atomic_bool stop;
    pthread_t target;
};

static bool exchange(sem_t *from, sem_t *to, struct shmrpc_spin *spin, uint64_t *seen,
                     struct pair *pair)
{
    struct shmrpc_deadline deadline;
    shmrpc_deadline_start(&deadline, 60000, NULL, NULL);
    if (shmrpc_wait_take(from, spin, &deadline) != SHMRPC_OK || pair->payload != *seen)
        return false;
    *seen = ++pair->payload + 1;
    return shmrpc_wait_post(to) == SHMRPC_OK;
}

static void *answer(void *argument)
{
    struct pair *pair = argument;
    struct shmrpc_spin spin;
    uint64_t seen = 1;
    shmrpc_spin_init(&spin, pair->mode);
    for (int i = 0; i < pair->rounds; i++)
        if (!exchange(&pair->ping, &pair->pong, &spin, &seen, pair))
            return pair;
    return NULL;
}

static void ignore_signal(int number)
{
    (void)number;
}

static void *storm(void *argument)
{
    struct pair *pair = argument;
    while (!atomic_load(&pair->stop)) {
        pthread_kill(pair->target, SIGUSR1);
        usleep(200);
    }
    return NULL;
}

/* Two sides, no lost wake-up, no token too many, no stale byte; with signals all the time. */
static void play(enum shmrpc_wait mode, int rounds)
{
    struct pair pair = {.mode = mode, .rounds = rounds};
    struct sigaction action = {.sa_handler = ignore_signal};
    struct sigaction earlier;
    struct shmrpc_spin spin;
    pthread_t player;
    pthread_t sender;
    void *result = &pair;
    uint64_t seen = 0;
    shmrpc_wait_make(&pair.ping, 0);
    shmrpc_wait_make(&pair.pong, 1);
    shmrpc_spin_init(&spin, mode);
    assert_int_equal(sigaction(SIGUSR1, &action, &earlier), 0);
    pair.target = pthread_self();
    assert_int_equal(pthread_create(&sender, NULL, storm, &pair), 0);
    assert_int_equal(pthread_create(&player, NULL, answer, &pair), 0);
    for (int i = 0; i < rounds; i++)
        assert_true(exchange(&pair.pong, &pair.ping, &spin, &seen, &pair));
    assert_int_equal(pthread_join(player, &result), 0);
    atomic_store(&pair.stop, true);
    assert_int_equal(pthread_join(sender, NULL), 0);
    assert_int_equal(sigaction(SIGUSR1, &earlier, NULL), 0);
    assert_null(result);
    assert_int_equal(pair.payload, 2 * (uint64_t)rounds);
    assert_int_equal(shmrpc_wait_value(&pair.ping), 0);
    assert_int_equal(shmrpc_wait_value(&pair.pong), 1);
}

static void test_SRPC_MEM_001_SRPC_MEM_002_SRPC_TIME_004_two_sides_amid_signals(void **state)
{
    (void)state;
    int rounds = support_under_valgrind() ? 60 : 5000;
    play(SHMRPC_WAIT_ADAPTIVE, rounds);
    play(SHMRPC_WAIT_BLOCK, rounds);
    play(SHMRPC_WAIT_SPIN, rounds / 10);
}

static void test_SRPC_TIME_004_a_sleep_is_not_cut_short(void **state)
{
    (void)state;
    struct pair pair = {.target = pthread_self()};
    struct sigaction action = {.sa_handler = ignore_signal};
    struct sigaction earlier;
    pthread_t sender;
    assert_int_equal(sigaction(SIGUSR1, &action, &earlier), 0);
    assert_int_equal(pthread_create(&sender, NULL, storm, &pair), 0);
    int64_t begin = shmrpc_now_ns();
    shmrpc_sleep_ms(30);
    int64_t slept = shmrpc_now_ns() - begin;
    shmrpc_sleep_ms(0);
    atomic_store(&pair.stop, true);
    assert_int_equal(pthread_join(sender, NULL), 0);
    assert_int_equal(sigaction(SIGUSR1, &earlier, NULL), 0);
    assert_true(slept >= 30 * MS);
}

/* ---- Below: sleeping and posting, whatever a peer writes over the semaphore ---- */

static void set_word(sem_t *semaphore, size_t at, uint32_t word)
{
    memcpy((char *)semaphore + at, &word, sizeof word);
}

/* How many wait: the high half. */
static uint32_t waiters_of(const sem_t *semaphore)
{
    uint64_t both;
    memcpy(&both, semaphore, sizeof both);
    return (uint32_t)(both >> 32);
}

static void set_waiters(sem_t *semaphore, uint32_t waiters)
{
    uint64_t both = (uint64_t)waiters << 32;
    memcpy(semaphore, &both, sizeof both);
}

static struct timespec soon(clockid_t clock, int milliseconds)
{
    struct timespec at;
    assert_int_equal(clock_gettime(clock, &at), 0);
    int64_t until = at.tv_nsec + milliseconds * MS;
    at.tv_sec += until / (1000 * MS);
    at.tv_nsec = until % (1000 * MS);
    return at;
}

static int sleep_until(sem_t *semaphore, clockid_t clock, int milliseconds)
{
    struct timespec at = soon(clock, milliseconds);
    errno = 0;
    return shmrpc_wait_calls.clockwait(semaphore, clock, &at);
}

/* With these in the private word glibc's futex operation would be none that there is, which ends the
 * process; a wake, which never ends; a wait of another kind. */
static void test_SRPC_ERR_003_SRPC_MEM_003_the_private_word_reaches_no_system_call(void **state)
{
    (void)state;
    static const uint32_t words[] = {128, 0, 0xC0, 0x83, 0x88, 0x89, 0xF6, UINT32_MAX};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        sem_t semaphore;
        shmrpc_wait_make(&semaphore, 0);
        set_word(&semaphore, 8, words[i]);
        struct timespec from = soon(CLOCK_MONOTONIC, 5);
        struct timespec now;
        assert_int_equal(sleep_until(&semaphore, CLOCK_MONOTONIC, 5), -1);
        assert_int_equal(errno, ETIMEDOUT);
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
        assert_true(now.tv_sec > from.tv_sec ||
                    (now.tv_sec == from.tv_sec && now.tv_nsec >= from.tv_nsec));
        assert_int_equal(sleep_until(&semaphore, CLOCK_REALTIME, 5), -1);
        assert_int_equal(errno, ETIMEDOUT);
        assert_int_equal(waiters_of(&semaphore), 0);
        set_waiters(&semaphore, 1);
        assert_int_equal(shmrpc_wait_calls.post(&semaphore), 0);
        assert_int_equal(waiters_of(&semaphore), 1);
        assert_int_equal(shmrpc_wait_value(&semaphore), 1);
        /* A token that is there is taken, even after the last moment. */
        assert_int_equal(sleep_until(&semaphore, CLOCK_MONOTONIC, -5), 0);
        assert_int_equal(waiters_of(&semaphore), 1);
        assert_int_equal(shmrpc_wait_value(&semaphore), 0);
    }
}

struct waker {
    sem_t semaphore;
    atomic_bool stop;
};

static void *wake_for_nothing(void *argument)
{
    struct waker *waker = argument;
    while (!atomic_load(&waker->stop)) {
        set_word(&waker->semaphore, 8, 0xC0);
        syscall(SYS_futex, &waker->semaphore, FUTEX_WAKE, 1);
        set_word(&waker->semaphore, 8, 128);
        usleep(50);
    }
    return NULL;
}

/* Who is woken for nothing, over and over, looks at the clock all the same. */
static void test_SRPC_TIME_002_SRPC_ERR_003_woken_for_nothing(void **state)
{
    (void)state;
    struct waker waker = {.stop = false};
    struct shmrpc_spin spin;
    struct shmrpc_deadline deadline;
    pthread_t thread;
    shmrpc_wait_make(&waker.semaphore, 0);
    shmrpc_spin_init(&spin, SHMRPC_WAIT_BLOCK);
    assert_int_equal(pthread_create(&thread, NULL, wake_for_nothing, &waker), 0);
    assert_int_equal(sleep_until(&waker.semaphore, CLOCK_MONOTONIC, 60000), -1);
    assert_int_equal(errno, EINTR);
    shmrpc_deadline_start(&deadline, 50, NULL, NULL);
    enum shmrpc_status status = shmrpc_wait_take(&waker.semaphore, &spin, &deadline);
    assert_true(status == SHMRPC_TIMEOUT || status == SHMRPC_PROTOCOL);
    atomic_store(&waker.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(waiters_of(&waker.semaphore), 0);
}

static void futex_fails(void *error)
{
    sem_t semaphore;
    shmrpc_wait_make(&semaphore, 0);
    child_refuse(SYS_futex, -1, 0, *(int *)error);
    CHILD_CHECK(sleep_until(&semaphore, CLOCK_MONOTONIC, 5) == -1);
    CHILD_CHECK(errno == (*(int *)error == EAGAIN ? EINTR : *(int *)error));
    CHILD_CHECK(waiters_of(&semaphore) == 0);
}

static void post_under_ban(void *waiters)
{
    sem_t semaphore;
    shmrpc_wait_make(&semaphore, 0);
    set_waiters(&semaphore, *(uint32_t *)waiters);
    child_forbid(SYS_futex, -1, 0);
    shmrpc_wait_calls.post(&semaphore);
}

/* A value that changed before the kernel looked is no failure; a page that is gone is one. */
static void test_SRPC_ERR_003_what_the_kernel_answers(void **state)
{
    (void)state;
    if (support_under_valgrind())
        skip(); /* it needs that system call for itself */
    int changed = EAGAIN;
    int gone = EFAULT;
    child_run(futex_fails, &changed);
    child_run(futex_fails, &gone);
}

static void test_SRPC_MEM_003_a_post_wakes_who_waits_and_nobody_else(void **state)
{
    (void)state;
    if (support_under_valgrind())
        skip(); /* it needs that system call for itself */
    uint32_t waiters = 0;
    child_run(post_under_ban, &waiters);
    for (waiters = 1; waiters < 4; waiters++) {
        int status = child_wait(child_start(post_under_ban, &waiters));
        if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIPS)
            skip();
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    }
}

#define on_vm(test) cmocka_unit_test_setup_teardown(test, start_vm, stop_vm)

int main(void)
{
    support_limit_seconds(90);
    const struct CMUnitTest tests[] = {
        on_vm(test_SRPC_TIME_002_SRPC_TIME_003_a_wait_ends_at_its_deadline),
        on_vm(test_SRPC_TIME_004_signals_do_not_move_the_deadline),
        on_vm(test_SRPC_TIME_004_a_token_after_signals_is_taken),
        on_vm(test_SRPC_WAIT_004_no_slice_is_longer_than_100_ms),
        on_vm(test_SRPC_RECOVER_002_the_first_look_comes_early),
        on_vm(test_SRPC_WAIT_004_slices_double_up_to_100_ms),
        on_vm(test_SRPC_WAIT_001_SRPC_TIME_002_all_policies_give_the_same_results),
        on_vm(test_SRPC_WAIT_001_a_short_spin_reads_no_clock),
        on_vm(test_SRPC_TIME_004_an_interrupted_try_is_made_again),
        on_vm(test_SRPC_WAIT_001_a_poll_is_two_tries),
        on_vm(test_SRPC_WAIT_003_adaptive_spins_within_a_bound_and_then_blocks),
        on_vm(test_SRPC_WAIT_003_spinning_stops_while_it_does_not_pay),
        on_vm(test_SRPC_WAIT_003_two_sides_on_one_cpu_are_made_to_part),
        on_vm(test_SRPC_WAIT_003_which_tokens_count_as_crowded),
        on_vm(test_SRPC_WAIT_003_the_count_begins_anew),
        on_vm(test_SRPC_WAIT_002_without_a_second_cpu_nothing_spins),
        on_vm(test_SRPC_SEM_007_a_token_too_many_is_a_violation),
        on_vm(test_SRPC_SEM_004_what_is_no_shared_semaphore_is_not_waited_on),
        on_vm(test_SRPC_ERR_003_an_odd_failure_of_the_wait_is_an_error),
        on_vm(test_SRPC_TIME_003_SRPC_TIME_005_deadlines),
        on_vm(test_SRPC_CALL_006_a_deadline_covers_several_waits),
        on_vm(test_assertions),
        cmocka_unit_test(test_SRPC_SEM_001_SRPC_SEM_002_SRPC_SEM_004_the_bytes_are_the_c_librarys),
        cmocka_unit_test(test_SRPC_SEM_007_values_as_a_hostile_peer_leaves_them),
        cmocka_unit_test(test_SRPC_HAND_005_take_try_and_post_balance),
        cmocka_unit_test(test_SRPC_WAIT_002_one_allowed_cpu_means_no_spin),
        cmocka_unit_test(test_SRPC_MEM_001_SRPC_MEM_002_SRPC_TIME_004_two_sides_amid_signals),
        cmocka_unit_test(test_SRPC_TIME_004_a_sleep_is_not_cut_short),
        cmocka_unit_test(test_SRPC_ERR_003_SRPC_MEM_003_the_private_word_reaches_no_system_call),
        cmocka_unit_test(test_SRPC_TIME_002_SRPC_ERR_003_woken_for_nothing),
        cmocka_unit_test(test_SRPC_ERR_003_what_the_kernel_answers),
        cmocka_unit_test(test_SRPC_MEM_003_a_post_wakes_who_waits_and_nobody_else),
    };
    return cmocka_run_group_tests_name("wait", tests, NULL, NULL);
}

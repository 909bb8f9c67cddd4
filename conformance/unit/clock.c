/* SPDX-License-Identifier: MIT */
#include "clock.h"
#include "../../src/wait.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

struct test_clock test_clock;
static struct shmrpc_wait_calls real_calls;

static int look(clockid_t clock, struct timespec *now)
{
    (void)clock;
    *now = (struct timespec){.tv_sec = test_clock.ns / 1000000000,
                             .tv_nsec = test_clock.ns % 1000000000};
    return 0;
}

/* Stands in front of the C library's. */
int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
    if (shmrpc_wait_calls.clock != look)
        return syscall(SYS_clock_nanosleep, clock, flags, until, left) == 0 ? 0 : errno;
    int64_t before = test_clock.ns;
    test_clock.ns = until->tv_sec * INT64_C(1000000000) + until->tv_nsec;
    test_clock.sleeps++;
    if (test_clock.ns - before > test_clock.longest_ns)
        test_clock.longest_ns = test_clock.ns - before;
    if (test_clock.while_asleep != NULL)
        test_clock.while_asleep(test_clock.context);
    return 0;
}

void clock_start(void (*while_asleep)(void *context), void *context)
{
    shmrpc_wait_calls.clock = look;
    test_clock =
        (struct test_clock){.ns = CLOCK_START, .while_asleep = while_asleep, .context = context};
}

int clock_setup(void **state)
{
    (void)state;
    real_calls = shmrpc_wait_calls;
    return 0;
}

int clock_teardown(void **state)
{
    (void)state;
    shmrpc_wait_calls = real_calls;
    return 0;
}

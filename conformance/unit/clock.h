/* SPDX-License-Identifier: MIT
 *
 * A clock of the test's own for what waits by sleeping: it stands still until somebody sleeps, or
 * until the test moves it. No real time goes by.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

enum { MS = 1000000 };
/** When it starts: long over on the real clock. */
#define CLOCK_START (1000 * (int64_t)MS)

struct test_clock {
    int64_t ns;         /* now */
    int sleeps;         /* since clock_start() */
    int64_t longest_ns; /* of these */
    void (*while_asleep)(void *context); /* called at the end of each; may be null */
    void *context;
};
extern struct test_clock test_clock;

/** In force from now on, at CLOCK_START, with nothing counted. */
void clock_start(void (*while_asleep)(void *context), void *context);
/** For tests in which it may be in force: setup and teardown. */
int clock_setup(void **state);
int clock_teardown(void **state);

#endif

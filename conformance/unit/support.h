/* SPDX-License-Identifier: MIT
 *
 * What the unit tests share: cmocka with what it wants included before it, assertions made to
 * fire, a time limit, numbers that look random and are the same in every run.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check.h"

/** Hands a failed assertion of the library to cmocka. */
void support_check_hook(const char *line);
/** From now on that must be one of a function that the text names; any, if it is null. */
void support_expect_in(const char *text);

/** The statement must fail an assertion (REQUIRE, INVARIANT, ...) of the function that it calls. */
#define expect_check_failure(statement)                                                            \
    do {                                                                                           \
        support_expect_in(#statement);                                                             \
        shmrpc_check_set_hook(support_check_hook);                                                 \
        expect_assert_failure(statement);                                                          \
        shmrpc_check_set_hook(NULL);                                                               \
        support_expect_in(NULL);                                                                   \
    } while (0)

/** The same, where a function that it calls in turn is the one to notice. */
#define expect_check_failure_below(statement)                                                      \
    do {                                                                                           \
        support_expect_in(NULL);                                                                   \
        shmrpc_check_set_hook(support_check_hook);                                                 \
        expect_assert_failure(statement);                                                          \
        shmrpc_check_set_hook(NULL);                                                               \
    } while (0)

/** Use a result that does not matter, so that the compiler does not ask for it. */
#define support_ignore(call)                                                                       \
    do {                                                                                           \
        long support_ignored_ = (long)(call);                                                      \
        (void)support_ignored_;                                                                    \
    } while (0)

/** End the program by SIGALRM if it still runs after so long; ten times that under valgrind. */
void support_limit_seconds(unsigned seconds);

/** Whether valgrind runs this program: some loops are then shortened. */
bool support_under_valgrind(void);

/** The next of a fixed sequence of numbers (xorshift64*). */
uint64_t support_random(void);
/** The same, below limit; limit must not be 0. */
size_t support_random_below(size_t limit);

#endif

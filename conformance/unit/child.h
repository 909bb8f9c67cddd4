/* SPDX-License-Identifier: MIT
 *
 * Tests that need a process of their own: it may die, change its limits, its umask or its uid, and
 * have its system calls refused by the kernel.
 */
#ifndef CHILD_H
#define CHILD_H

#include <sys/types.h>

#include "support.h"

/** In a child, where cmocka's assertions must not be used: say what failed and leave. */
#define CHILD_CHECK(x) ((x) ? (void)0 : child_failed(#x, __FILE__, __LINE__))
_Noreturn void child_failed(const char *what, const char *file, int line);

/** Leave a child early. */
_Noreturn void child_leave(int status);

/** What a child leaves with to have its test skipped. */
enum { CHILD_SKIPS = 77 };

/** Start a child that runs the function and leaves with 0; it dies with this process. */
pid_t child_start(void (*run)(void *argument), void *argument);
/** Wait for its end. @return as waitpid() says in its status. */
int child_wait(pid_t pid);
/** Kill it and wait. */
void child_kill(pid_t pid);
/** Start, wait, and assert that it left with 0. Skips the test if it asked for that. */
void child_run(void (*run)(void *argument), void *argument);

/** Make the kernel refuse a system call from now on: with error, if its argument number `which`
 *  equals value (which -1: always). For children only, as it cannot be undone. */
void child_refuse(long call, int which, unsigned value, int error);
/** The same, but the process is killed by SIGSYS. */
void child_forbid(long call, int which, unsigned value);

/** How many descriptors this process has. */
size_t count_descriptors(void);

#endif

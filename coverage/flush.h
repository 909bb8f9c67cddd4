/* SPDX-License-Identifier: MIT
 *
 * Included before every file of the coverage build. gcov writes its counters when a process ends
 * through exit(), and before fork() and exec(). Here they are also written before _exit(), before
 * abort(), and before a process sends itself a signal. A process that somebody else kills with
 * SIGKILL loses what it counted: it is not counted, and no line may be covered by such processes only.
 */
#ifndef COVERAGE_FLUSH_H
#define COVERAGE_FLUSH_H

#include <gcov.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define _exit(status) (__gcov_dump(), _exit(status))
#define abort() (__gcov_dump(), abort())
#define raise(number) (__gcov_dump(), __gcov_reset(), raise(number))

#endif

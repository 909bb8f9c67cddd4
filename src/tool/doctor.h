/* SPDX-License-Identifier: MIT
 *
 * shmrpc doctor, whose checks are in several files.
 */
#ifndef SHMRPC_TOOL_DOCTOR_H
#define SHMRPC_TOOL_DOCTOR_H

#include "tool.h"

enum tool_finding {
    TOOL_FINDING_OK,
    TOOL_FINDING_NOTE,   /* worth knowing; works */
    TOOL_FINDING_PROBLEM /* does not work, or will hurt; the exit code is 1 */
};

struct tool_doctor;

/** Report what a check found. @param advice what to do; empty or null when there is nothing to. */
void tool_doctor_find(struct tool_doctor *doctor, const char *check, enum tool_finding finding,
                      const char *advice, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/** /dev/shm: mounted, large enough, writable, unnamed files, the mark, and /proc. */
void tool_doctor_check_shm(struct tool_doctor *doctor);
/** CPUs allowed, kernel, OFD locks, the C library's semaphores. */
void tool_doctor_check_system(struct tool_doctor *doctor);
/** logind's RemoveIPC, which takes a user's objects away at the last logout. */
void tool_doctor_check_logind(struct tool_doctor *doctor);

#endif

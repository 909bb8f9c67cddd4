/* SPDX-License-Identifier: MIT
 *
 * Named crash points: one directly before and one directly after each step that changes what others
 * can see. In the test build (SHMRPC_CRASH_POINTS) each one calls a hook that may kill the process
 * there; in every other build they are nothing. conformance/cases/crash-points.txt lists them all,
 * and their names are those of the steps of the model (spec/model/).
 */
#ifndef SHMRPC_CRASH_H
#define SHMRPC_CRASH_H

#ifdef SHMRPC_CRASH_POINTS
/** @param point SIDE.ACTION.STEP, the step that comes next or that was just done; beginning with a
 *  dot, another step of the action named last. @param detail the file or semaphore, or null. */
extern void (*shmrpc_crash_hook)(const char *point, const char *detail);
#define CRASH_POINT(point, detail)                                                                 \
    (shmrpc_crash_hook != 0 ? shmrpc_crash_hook(point, detail) : (void)0)
/** A copy in two halves, and the point between them. */
#define CRASH_COPY(to, from, length, point)                                                        \
    (memcpy(to, from, (length) / 2), CRASH_POINT(point, NULL),                                     \
     memcpy((to) + (length) / 2, (from) + (length) / 2, (length) - (length) / 2))
#else
#define CRASH_COPY(to, from, length, point) memcpy(to, from, length)
#define CRASH_POINT(point, detail) ((void)0)
#endif

#endif

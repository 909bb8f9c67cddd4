/* SPDX-License-Identifier: MIT
 *
 * Named crash points. In the test build (SHMRPC_CRASH_POINTS) each one calls a hook that may kill
 * the process there; in every other build they are nothing.
 */
#ifndef SHMRPC_CRASH_H
#define SHMRPC_CRASH_H

#ifdef SHMRPC_CRASH_POINTS
/** @param point the step's name. @param detail the file or semaphore it is about, or null. */
extern void (*shmrpc_crash_hook)(const char *point, const char *detail);
#define CRASH_POINT(point, detail)                                                                 \
    (shmrpc_crash_hook != 0 ? shmrpc_crash_hook(point, detail) : (void)0)
#else
#define CRASH_POINT(point, detail) ((void)0)
#endif

#endif

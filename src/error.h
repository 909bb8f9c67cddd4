/* SPDX-License-Identifier: MIT
 *
 * Statuses, their names and texts; struct shmrpc_error filled in one place.
 */
#ifndef SHMRPC_ERROR_H
#define SHMRPC_ERROR_H

#include "shmrpc.h"

#include <stdarg.h>

/** Fill *error and return status, so that "return shmrpc_error_set(e, X, ...)" reads well. The text
 *  is made one line: control characters become spaces. error may be null. system_errno is kept
 *  only for SYSTEM. */
enum shmrpc_status shmrpc_error_set(struct shmrpc_error *error, enum shmrpc_status status,
                                    const char *format, ...) __attribute__((format(printf, 3, 4)));

/** SYSTEM, with the current errno and its text appended to the formatted one. */
enum shmrpc_status shmrpc_error_system(struct shmrpc_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** What the two have in common, for callers with a va_list. system_errno is 0 but for SYSTEM. */
void shmrpc_error_fill(struct shmrpc_error *error, enum shmrpc_status status, int system_errno,
                       const char *format, va_list arguments) __attribute__((format(printf, 4, 0)));

void shmrpc_error_clear(struct shmrpc_error *error);

#endif

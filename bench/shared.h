/* SPDX-License-Identifier: MIT
 *
 * A named piece of shared memory for the two rows that are floors and speak no protocol.
 */
#ifndef BENCH_SHARED_H
#define BENCH_SHARED_H

#include <stdbool.h>
#include <stddef.h>

/** Map bytes of the object called name; the server creates it. Null after a message on stderr. */
void *shared_map(const char *name, size_t bytes, bool create);

/** The pause instruction of a spinning wait, the same one that the library uses. */
static inline void shared_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

#endif

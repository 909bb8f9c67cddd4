/* SPDX-License-Identifier: MIT
 *
 * Allocations that fail on request: linked with --wrap for every function by which the library
 * allocates (FAULT_LDFLAGS in the Makefile), so that its allocations pass through here.
 */
#include "adapter.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);

static _Thread_local long countdown; /* 0: not armed */
static _Thread_local bool always;
static atomic_bool reached; /* a thread of a server says it, the one that reads verbs asks */

void fault_begin(const char *verb)
{
    const char *text = getenv("SHMRPC_KIT_MALLOC");
    char wanted[32], mode[16];
    long n;
    if (text == NULL || sscanf(text, "%31[^:]:%ld:%15s", wanted, &n, mode) != 3 ||
        strcmp(wanted, verb) != 0)
        return;
    always = strcmp(mode, "always") == 0;
    countdown = n;
}

void fault_end(void)
{
    countdown = 0;
}

bool fault_reached(void)
{
    return reached;
}

static bool fails(void)
{
    if (countdown == 0)
        return false;
    if (countdown > 1) {
        countdown--;
        return false;
    }
    if (!always)
        countdown = 0;
    reached = true;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

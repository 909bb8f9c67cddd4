/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* An assertion may fail in a signal handler, or in a child that was forked a moment ago. */
_Static_assert(ATOMIC_POINTER_LOCK_FREE == 2, "the hook is read without a lock");

static _Atomic(shmrpc_check_hook *) hook;

void shmrpc_check_set_hook(shmrpc_check_hook *new_hook)
{
    atomic_store(&hook, new_hook);
}

_Noreturn void shmrpc_check_failed(const char *kind, const char *what, const char *file, int line,
                                   const char *function)
{
    char text[512];
    _Static_assert(sizeof text <= BUFSIZ, "one line is written at once");
    snprintf(text, sizeof text, "shmrpc: %s:%d: %s: %s(%s) failed", file, line, function, kind,
             what);
    shmrpc_check_hook *call = atomic_load(&hook);
    if (call != NULL)
        call(text);
    fprintf(stderr, "%s\n", text);
    abort();
}

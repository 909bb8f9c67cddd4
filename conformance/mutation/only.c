/* SPDX-License-Identifier: MIT
 *
 * Linked into the unit tests of the mutation build: runs the one test that SHMRPC_MUTATION_TEST
 * names, as cmocka has no option of its own for that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void __attribute__((constructor)) choose(void)
{
    const char *name = getenv("SHMRPC_MUTATION_TEST");
    if (name != NULL)
        cmocka_set_test_filter(name);
}

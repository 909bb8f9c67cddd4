/* SPDX-License-Identifier: MIT
 *
 * Linked into the unit tests of the mutation build, between them and cmocka, which has no option for
 * either: SHMRPC_MUTATION_TEST=NAME runs that one test, SHMRPC_MUTATION_LIST prints the names of all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

int __real__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);

int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown)
{
    const char *only = getenv("SHMRPC_MUTATION_TEST");
    if (only != NULL)
        cmocka_set_test_filter(only);
    if (getenv("SHMRPC_MUTATION_LIST") == NULL)
        return __real__cmocka_run_group_tests(name, tests, count, setup, teardown);
    for (size_t i = 0; i < count; i++)
        puts(tests[i].name);
    return 0;
}

/* SPDX-License-Identifier: MIT
 *
 * Room check: an assertion that fails says so in one line, and nothing runs behind it.
 */
#include "child.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char last_line[1024];
static jmp_buf out;

static void jump_out(const char *line)
{
    snprintf(last_line, sizeof last_line, "%s", line);
    longjmp(out, 1);
}

/* Runs the statement; the line it fails with, or null. */
#define line_of(statement, line)                                                                   \
    do {                                                                                           \
        shmrpc_check_set_hook(jump_out);                                                           \
        last_line[0] = '\0';                                                                       \
        if (setjmp(out) == 0)                                                                      \
            statement;                                                                             \
        shmrpc_check_set_hook(NULL);                                                               \
        line = last_line[0] != '\0' ? last_line : NULL;                                            \
    } while (0)

static void check_line(const char *line, const char *kind, const char *what)
{
    char expected[256];
    snprintf(expected, sizeof expected, ": %s(%s) failed", kind, what);
    assert_non_null(line);
    assert_non_null(strstr(line, expected));
    assert_ptr_equal(line, strstr(line, "shmrpc: "));
    assert_non_null(strstr(line, "test_check.c:"));
    assert_null(strchr(line, '\n'));
}

static void test_each_kind_says_what_failed_and_where(void **state)
{
    (void)state;
    volatile int zero = 0;
    const char *line;
    line_of(REQUIRE(zero == 1), line);
    check_line(line, "REQUIRE", "zero == 1");
    line_of(ENSURE(zero != 0), line);
    check_line(line, "ENSURE", "zero != 0");
    line_of(INVARIANT(zero), line);
    check_line(line, "INVARIANT", "zero");
    line_of(UNREACHABLE("a reason"), line);
    check_line(line, "UNREACHABLE", "a reason");
    line_of(SYS_OK(zero - 1), line);
    check_line(line, "SYS_OK", "(zero - 1) == 0");
}

static void test_what_holds_is_evaluated_once_and_says_nothing(void **state)
{
    (void)state;
    volatile int count = 0;
    const char *line;
    line_of(REQUIRE(++count == 1), line);
    assert_null(line);
    line_of(ENSURE(++count == 2), line);
    assert_null(line);
    line_of(INVARIANT(++count == 3), line);
    assert_null(line);
    line_of(SYS_OK(++count - 4), line);
    assert_null(line);
    assert_int_equal(count, 4);
}

static void test_a_long_condition_is_cut_not_overrun(void **state)
{
    (void)state;
    char what[2000];
    memset(what, 'w', sizeof what - 1);
    what[sizeof what - 1] = '\0';
    const char *line;
    line_of(shmrpc_check_failed("REQUIRE", what, "file.c", 1, "function"), line);
    assert_non_null(line);
    assert_int_equal(strlen(line), 511);
}

static void returning_hook(const char *line)
{
    dprintf(STDERR_FILENO, "hook: %s\n", line);
}

/* How a failing assertion ends a process, and what it leaves on stderr. */
static void check_abort(shmrpc_check_hook *hook, const char *expected)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(ends[1], STDERR_FILENO);
        shmrpc_check_set_hook(hook);
        REQUIRE(pid != 0);
        _exit(3);
    }
    close(ends[1]);
    char text[1024] = "";
    size_t length = 0;
    ssize_t step;
    while ((step = read(ends[0], text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)step;
    close(ends[0]);
    int status = child_wait(pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, expected));
    assert_non_null(strstr(text, "REQUIRE(pid != 0) failed\n"));
}

static void test_without_a_hook_the_process_aborts_with_one_line(void **state)
{
    (void)state;
    check_abort(NULL, "shmrpc: ");
}

static void test_a_hook_that_returns_does_not_let_the_process_go_on(void **state)
{
    (void)state;
    check_abort(returning_hook, "hook: shmrpc: ");
}

int main(void)
{
    support_limit_seconds(30);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_says_what_failed_and_where),
        cmocka_unit_test(test_what_holds_is_evaluated_once_and_says_nothing),
        cmocka_unit_test(test_a_long_condition_is_cut_not_overrun),
        cmocka_unit_test(test_without_a_hook_the_process_aborts_with_one_line),
        cmocka_unit_test(test_a_hook_that_returns_does_not_let_the_process_go_on),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}

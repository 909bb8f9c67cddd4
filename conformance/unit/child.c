/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child left with. Valgrind replaces the exit status of a child whose copy of our blocks it
 * takes for lost (it knows no thread of ours there), so a child says it here, too. */
static int *left;

_Noreturn void child_leave(int status)
{
    if (left != NULL)
        *left = status;
    _exit(status);
}

_Noreturn void child_failed(const char *what, const char *file, int line)
{
    dprintf(STDERR_FILENO, "%s:%d: in a child: %s failed (errno %d)\n", file, line, what, errno);
    child_leave(1);
}

/* Cmocka's handlers would go on with the next test in the child. */
static void reset_signals(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        signal(signals[i], SIG_DFL);
}

pid_t child_start(void (*run)(void *argument), void *argument)
{
    if (left == NULL) {
        left = mmap(NULL, sizeof *left, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(left, MAP_FAILED);
    }
    *left = 0;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    reset_signals();
    run(argument);
    child_leave(0);
}

int child_wait(pid_t pid)
{
    int status = 0;
    pid_t ended;
    do
        ended = waitpid(pid, &status, 0);
    while (ended < 0 && errno == EINTR);
    assert_int_equal(ended, pid);
    return status;
}

void child_kill(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    support_ignore(child_wait(pid));
}

void child_run(void (*run)(void *argument), void *argument)
{
    int status = child_wait(child_start(run, argument));
    assert_true(WIFEXITED(status));
    int code = support_under_valgrind() ? *left : WEXITSTATUS(status);
    if (code == CHILD_SKIPS)
        skip();
    assert_int_equal(code, 0);
}

/* A filter that gives one system call an outcome and lets all others pass. */
static void filter(long call, int which, unsigned value, unsigned outcome)
{
    /* The low half of the argument comes first on a little-endian machine. */
    unsigned offset = (unsigned)offsetof(struct seccomp_data, args) + 8 * (which < 0 ? 0 : (unsigned)which);
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, outcome),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_filter always[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, outcome),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    if (which < 0)
        program = (struct sock_fprog){sizeof always / sizeof always[0], always};
    CHILD_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        dprintf(STDERR_FILENO, "skipped: no system call can be refused here (errno %d)\n", errno);
        child_leave(CHILD_SKIPS);
    }
}

void child_refuse(long call, int which, unsigned value, int error)
{
    filter(call, which, value, SECCOMP_RET_ERRNO | (unsigned)error);
}

void child_forbid(long call, int which, unsigned value)
{
    filter(call, which, value, SECCOMP_RET_KILL_PROCESS);
}

size_t count_descriptors(void)
{
    /* Asked one by one, since /proc/self/fd shows valgrind's own, too. */
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

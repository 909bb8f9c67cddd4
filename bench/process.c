/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    STOP_MS = 5000,
    LOAD_BYTES = 1 << 20
};

static int signal_fd = -1;
static int interrupted;

int process_begin(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    signal(SIGPIPE, SIG_IGN); /* a reader of our output that leaves ends nothing */
    return signal_fd < 0 ? -1 : 0;
}

static void pin(int cpu)
{
    cpu_set_t set;
    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        perror("sched_setaffinity");
        _exit(126);
    }
}

/** What every child does first: die with the harness, take signals again. */
static void be_child(pid_t parent, int cpu)
{
    sigset_t none;
    sigemptyset(&none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    pin(cpu);
}

static int adopt(struct process *process, pid_t pid)
{
    process->pid = pid;
    process->status = 0;
    process->fd = pidfd_open(pid, 0);
    if (process->fd >= 0)
        return 0;
    perror("pidfd_open");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    process->pid = 0;
    return -1;
}

int process_start(struct process *process, char *const argv[], int out, const char *errors, int cpu)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        return -1;
    }
    if (pid > 0)
        return adopt(process, pid);
    be_child(parent, cpu);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int err = open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (in < 0 || err < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(126);
    execv(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

/** Other work: a walk over a megabyte with some arithmetic. */
static void load_for_ever(void)
{
    volatile uint64_t *memory = calloc(1, LOAD_BYTES);
    uint64_t state = 88172645463325252u;
    if (!memory)
        _exit(126);
    for (;;) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memory[state % (LOAD_BYTES / sizeof *memory)] += state;
    }
}

int process_start_load(struct process *process, int cpu)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return -1;
    if (pid > 0)
        return adopt(process, pid);
    be_child(parent, cpu);
    load_for_ever();
    _exit(0);
}

/** @return whether it has ended; it is reaped then. */
static int reap(struct process *process)
{
    if (waitpid(process->pid, &process->status, WNOHANG) != process->pid)
        return 0;
    close(process->fd);
    process->pid = 0;
    return 1;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

enum waited process_wait(struct process *first, struct process *second, int readable,
                         int timeout_ms)
{
    int64_t until = now_ms() + timeout_ms;
    for (;;) {
        int64_t left = until - now_ms();
        struct pollfd fds[4] = {{.fd = first && first->pid ? first->fd : -1, .events = POLLIN},
                                {.fd = second && second->pid ? second->fd : -1, .events = POLLIN},
                                {.fd = readable, .events = POLLIN},
                                {.fd = signal_fd, .events = POLLIN}};
        int ready = poll(fds, 4, left > 0 ? (int)left : 0);
        if (ready < 0 && errno != EINTR)
            return WAITED_INTERRUPTED;
        if (ready > 0 && fds[3].revents) {
            interrupted = 1;
            return WAITED_INTERRUPTED;
        }
        /* What can be read comes before the end of the process that wrote it. */
        if (ready > 0 && (fds[2].revents & POLLIN))
            return WAITED_READABLE;
        if (ready > 0 && fds[0].revents && reap(first))
            return WAITED_FIRST;
        if (ready > 0 && fds[1].revents && reap(second))
            return WAITED_SECOND;
        if (ready == 0 && left <= 0)
            return WAITED_TIMEOUT;
    }
}

int process_interrupted(void)
{
    return interrupted;
}

void process_stop(struct process *process)
{
    if (!process->pid)
        return;
    kill(process->pid, SIGTERM);
    struct pollfd ended = {.fd = process->fd, .events = POLLIN};
    int64_t until = now_ms() + STOP_MS;
    while (poll(&ended, 1, (int)(until - now_ms() > 0 ? until - now_ms() : 0)) < 0 &&
           errno == EINTR)
        ;
    if (!reap(process)) {
        kill(process->pid, SIGKILL);
        waitpid(process->pid, &process->status, 0);
        close(process->fd);
        process->pid = 0;
    }
}

void process_fate(const struct process *process, char *text, size_t capacity)
{
    if (process->pid)
        snprintf(text, capacity, "is still running");
    else if (WIFSIGNALED(process->status))
        snprintf(text, capacity, "was ended by signal %d (%s)", WTERMSIG(process->status),
                 strsignal(WTERMSIG(process->status)));
    else
        snprintf(text, capacity, "ended with status %d", WEXITSTATUS(process->status));
}

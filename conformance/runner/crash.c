/* SPDX-License-Identifier: MIT
 *
 * The tracer: the parent of an adapter that must die, or see a system call fail, at one chosen system
 * call between two markers. The markers are the adapter's read of a verb and its write of the reply,
 * or the worker's own hand (armed, closed) for what a server does between two verbs. It also keeps
 * the last system calls, for the evidence, and looks at every futex wait for the wall clock.
 */
#include "kit.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 512 };

struct thread {
    pid_t id;
    bool inside;      /* between entry and exit of a system call */
    bool act_at_exit; /* the chosen one, edge 1 */
    bool fail;        /* the chosen one must fail */
    int64_t number;
    uint64_t arguments[6];
    unsigned slot;    /* of the ring */
};

static struct thread threads[THREADS];
static int threads_used;

struct tracer *tracer_new(void)
{
    void *memory = mmap(NULL, sizeof(struct tracer), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        kit_die(4, "no memory for the tracer");
    return memory;
}

bool tracer_close(struct tracer *tracer)
{
    int open = TURN_OPEN;
    tracer->closed = 1;
    return atomic_compare_exchange_strong(&tracer->turn, &open, TURN_CLOSED) ||
           tracer->action != TRACE_KILL;
}

/* The slot of a thread, a free one if it is new; null if more live at once than there are slots. */
static struct thread *thread_of(pid_t id)
{
    struct thread *vacant = NULL;
    for (int i = 0; i < threads_used; i++) {
        if (threads[i].id == id)
            return &threads[i];
        if (threads[i].id == 0 && vacant == NULL)
            vacant = &threads[i];
    }
    if (vacant == NULL && threads_used < THREADS)
        vacant = &threads[threads_used++];
    if (vacant != NULL)
        *vacant = (struct thread){.id = id};
    return vacant;
}

static void thread_gone(pid_t id)
{
    for (int i = 0; i < threads_used; i++)
        if (threads[i].id == id)
            threads[i].id = 0;
}

/* Calls that a kernel may refuse without telling a lie about the past. Giving back (close, munmap,
 * unlink of the own name) cannot be undone by a port, and waiting is not an operation that fails. */
static int failure_of(int64_t number)
{
    switch (number) {
    case SYS_openat:
    case SYS_fcntl:
    case SYS_linkat:
    case SYS_fallocate:
    case SYS_ftruncate:
    case SYS_newfstatat:
    case SYS_fchmod:
    case SYS_mmap:
    case SYS_getrandom:
    case SYS_clone3:
    case SYS_clone:
#ifdef SYS_open
    case SYS_open:
    case SYS_link:
#endif
        return number == SYS_mmap       ? ENOMEM
               : number == SYS_openat   ? EMFILE
               : number == SYS_clone3   ? EAGAIN
               : number == SYS_clone    ? EAGAIN
               : number == SYS_fcntl    ? ENOLCK
               : number == SYS_fallocate ? ENOSPC
               : number == SYS_ftruncate ? ENOSPC
               : number == SYS_linkat   ? ENOSPC
                                        : EIO;
    default:
        return 0;
    }
}

/* fstat of an open file cannot fail for a reason that a test could make up: there are none. */
static bool is_fstat(const struct thread *thread)
{
    return thread->number == SYS_fstat ||
           (thread->number == SYS_newfstatat && (thread->arguments[3] & 0x1000) != 0);
}

static void registers_set(pid_t id, bool number, int64_t value)
{
#if defined(__x86_64__)
    struct user_regs_struct registers;
    struct iovec io = {&registers, sizeof registers};
    if (ptrace(PTRACE_GETREGSET, id, (void *)1, &io) != 0)
        return;
    if (number)
        registers.orig_rax = (unsigned long long)value;
    else
        registers.rax = (unsigned long long)value;
    ptrace(PTRACE_SETREGSET, id, (void *)1, &io);
#elif defined(__aarch64__)
    struct user_regs_struct registers;
    int call = (int)value;
    struct iovec io = {&registers, sizeof registers};
    if (number) {
        struct iovec one = {&call, sizeof call};
        ptrace(PTRACE_SETREGSET, id, (void *)0x404, &one);
        return;
    }
    if (ptrace(PTRACE_GETREGSET, id, (void *)1, &io) != 0)
        return;
    registers.regs[0] = (unsigned long long)value;
    ptrace(PTRACE_SETREGSET, id, (void *)1, &io);
#else
#error "failing a system call is written for x86-64 and aarch64"
#endif
}

/* The verb in the line that the adapter just read from its standard input. */
static bool read_verb(const struct tracer *tracer, const struct thread *thread, int64_t length)
{
    char line[512] = "";
    char key[64];
    struct iovec mine = {line, sizeof line - 1};
    struct iovec theirs = {(void *)(uintptr_t)thread->arguments[1], (size_t)length};
    if (theirs.iov_len > mine.iov_len)
        theirs.iov_base = (char *)theirs.iov_base + (theirs.iov_len - mine.iov_len);
    if (theirs.iov_len > mine.iov_len)
        theirs.iov_len = mine.iov_len;
    if (process_vm_readv(thread->id, &mine, 1, &theirs, 1, 0) <= 0)
        return false;
    snprintf(key, sizeof key, "\"verb\":\"%s\"", tracer->verb);
    return strstr(line, key) != NULL;
}

static bool is_reply_write(const struct thread *thread)
{
    return (thread->number == SYS_write || thread->number == SYS_writev) &&
           thread->arguments[0] == 1;
}

static int ordinal_so_far[1024];

static void act(struct tracer *tracer, struct thread *thread)
{
    int open = TURN_OPEN;
    if (!atomic_compare_exchange_strong(&tracer->turn, &open, TURN_ACTED))
        return;
    tracer->number = thread->number;
    tracer->ordinal = ordinal_so_far[thread->number & 1023];
    if (tracer->action == TRACE_KILL) {
        tracer->reached = 1;
        kill(tracer->pid, SIGKILL);
        return;
    }
    tracer->error = is_fstat(thread) ? 0 : failure_of(thread->number);
    if (tracer->action == TRACE_FAIL && tracer->error != 0) {
        tracer->reached = 1;
        thread->fail = true;
        registers_set(thread->id, true, -1);
    }
}

static void note_realtime(struct tracer *tracer, const struct thread *thread)
{
    int operation = (int)thread->arguments[1];
    int command = operation & FUTEX_CMD_MASK;
    if (thread->number == SYS_futex && command == FUTEX_WAIT_BITSET && thread->arguments[3] != 0 &&
        (operation & FUTEX_CLOCK_REALTIME) != 0)
        tracer->realtime_waits++;
}

static void record(struct tracer *tracer, struct thread *thread)
{
    struct trace_entry *entry = &tracer->ring[tracer->at % TRACE_RING];
    entry->number = thread->number;
    memcpy(entry->arguments, thread->arguments, sizeof entry->arguments);
    entry->finished = false;
    thread->slot = tracer->at++ % TRACE_RING;
}

static void at_entry(struct tracer *tracer, struct thread *thread,
                     const struct __ptrace_syscall_info *info)
{
    thread->inside = true;
    thread->number = (int64_t)info->entry.nr;
    memcpy(thread->arguments, info->entry.args, sizeof thread->arguments);
    record(tracer, thread);
    if (tracer->in_window && tracer->verb[0] != '\0' && is_reply_write(thread)) {
        tracer->in_window = 0;
        tracer_close(tracer); /* nor at the exit of a call that another thread is in */
    }
    if (tracer->verb[0] == '\0')
        tracer->in_window = tracer->armed && !tracer->closed;
    if (!tracer->in_window)
        return;
    note_realtime(tracer, thread);
    tracer->count++;
    ordinal_so_far[thread->number & 1023]++;
    if (tracer->action == TRACE_RECORD || tracer->count != tracer->point)
        return;
    if (tracer->edge == 0)
        act(tracer, thread);
    else
        thread->act_at_exit = true;
}

static void at_exit_of_call(struct tracer *tracer, struct thread *thread,
                            const struct __ptrace_syscall_info *info)
{
    thread->inside = false;
    struct trace_entry *entry = &tracer->ring[thread->slot];
    entry->result = info->exit.rval;
    entry->finished = true;
    if (thread->fail) {
        thread->fail = false;
        registers_set(thread->id, false, -tracer->error);
        entry->result = -tracer->error;
    }
    if (thread->act_at_exit) {
        thread->act_at_exit = false;
        act(tracer, thread);
    }
    if (tracer->verb[0] != '\0' && !tracer->closed && !tracer->in_window &&
        thread->number == SYS_read && thread->arguments[0] == 0 && info->exit.rval > 0)
        tracer->in_window = read_verb(tracer, thread, info->exit.rval);
    if (tracer->in_window)
        tracer->opened = 1;
}

static void at_syscall(struct tracer *tracer, pid_t id)
{
    struct thread *thread = thread_of(id);
    struct __ptrace_syscall_info info;
    if (thread == NULL) {
        tracer->lost = 1;
        return;
    }
    if (ptrace(PTRACE_GET_SYSCALL_INFO, id, sizeof info, &info) <= 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        at_entry(tracer, thread, &info);
    else if (info.op == PTRACE_SYSCALL_INFO_EXIT && thread->inside)
        at_exit_of_call(tracer, thread, &info);
}

static bool is_stop_signal(int number)
{
    return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

static void at_stop(struct tracer *tracer, pid_t id, int status)
{
    int number = WSTOPSIG(status);
    int event = status >> 16;
    long request = PTRACE_SYSCALL;
    long deliver = 0;
    if (number == (SIGTRAP | 0x80))
        at_syscall(tracer, id);
    else if (event == PTRACE_EVENT_STOP && is_stop_signal(number))
        request = PTRACE_LISTEN;
    else if (event == 0)
        deliver = number;
    ptrace(request, id, NULL, (void *)deliver);
}

_Noreturn static void trace(struct tracer *tracer)
{
    for (;;) {
        int status;
        pid_t id = waitpid(-1, &status, __WALL);
        if (id < 0 && errno == EINTR)
            continue;
        if (id < 0)
            _exit(0);
        if (WIFSTOPPED(status)) {
            at_stop(tracer, id, status);
            continue;
        }
        thread_gone(id);
        if (id == tracer->pid) {
            tracer->status = status;
            _exit(0);
        }
    }
}

_Noreturn void tracer_main(struct tracer *tracer, void (*exec_victim)(void *), void *user)
{
    int start[2];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pipe(start) != 0)
        _exit(1);
    pid_t victim = fork();
    if (victim == 0) {
        char go;
        close(start[1]);
        if (read(start[0], &go, 1) != 1)
            _exit(1);
        close(start[0]);
        exec_victim(user);
        _exit(127);
    }
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                   PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
    if (victim < 0 || ptrace(PTRACE_SEIZE, victim, NULL, (void *)options) != 0 ||
        ptrace(PTRACE_INTERRUPT, victim, NULL, NULL) != 0) {
        tracer->lost = 1;
        _exit(1);
    }
    tracer->pid = victim;
    if (write(start[1], "g", 1) != 1)
        _exit(1);
    syscall(SYS_close_range, 3u, ~0u, 0u);
    trace(tracer);
}

void tracer_print(struct kit_text *text, const struct tracer *tracer)
{
    unsigned end = tracer->at;
    unsigned begin = end > TRACE_RING ? end - TRACE_RING : 0;
    for (unsigned i = begin; i < end; i++) {
        const struct trace_entry *entry = &tracer->ring[i % TRACE_RING];
        text_printf(text, "  %s(0x%llx, 0x%llx, 0x%llx, 0x%llx)", syscall_name(entry->number),
                    (unsigned long long)entry->arguments[0],
                    (unsigned long long)entry->arguments[1],
                    (unsigned long long)entry->arguments[2],
                    (unsigned long long)entry->arguments[3]);
        if (!entry->finished)
            text_printf(text, " unfinished\n");
        else if (entry->result < 0 && entry->result > -4096)
            text_printf(text, " = %s\n",
                        strerrorname_np((int)-entry->result) ? strerrorname_np((int)-entry->result)
                                                             : "?");
        else
            text_printf(text, " = 0x%llx\n", (unsigned long long)entry->result);
    }
}

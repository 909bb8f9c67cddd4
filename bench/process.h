/* SPDX-License-Identifier: MIT
 *
 * Processes of the benchmark: started, waited for with a deadline, ended. None outlives the
 * harness.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <sys/types.h>

struct process {
    pid_t pid; /* 0 when there is none */
    int fd;    /* pidfd: readable once it has ended */
    int status;
};

/** From now on SIGINT and SIGTERM end a wait instead of the harness. 0 or -1. */
int process_begin(void);
/** Start argv. @param cpu pins it to one CPU, -1 leaves it free. Its standard output goes to out,
 * its standard error to the file errors. 0, or -1 after a message. */
int process_start(struct process *process, char *const argv[], int out, const char *errors,
                  int cpu);
/** Fork a process that keeps one CPU busy with arithmetic and memory until it is stopped. */
int process_start_load(struct process *process, int cpu);

enum waited {
    WAITED_FIRST,
    WAITED_SECOND,
    WAITED_READABLE,
    WAITED_TIMEOUT,
    WAITED_INTERRUPTED
};
/** Wait until the first process ends, or the second, or there is something to read, whichever may
 *  be given (null, -1 for none), for timeout_ms at most. An ended process is reaped. */
enum waited process_wait(struct process *first, struct process *second, int readable,
                         int timeout_ms);
/** Whether a signal asked the harness to end. */
int process_interrupted(void);
/** SIGTERM; after five seconds SIGKILL. Harmless when it has ended. */
void process_stop(struct process *process);
/** How it ended, in words. */
void process_fate(const struct process *process, char *text, size_t capacity);

#endif

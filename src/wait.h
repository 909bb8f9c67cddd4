/* SPDX-License-Identifier: MIT
 *
 * Waiting: semaphores taken by spinning, then blocking, in slices, up to an absolute deadline on
 * the monotonic clock (SRPC-WAIT-001.., SRPC-TIME-002..).
 *
 * Memory ordering (SRPC-MEM-001): POSIX makes sem_post and a successful sem_wait or sem_trywait
 * synchronise memory. Our post and glibc's are a release and its take an acquire on the value word,
 * so what a peer wrote before its post happens before what we read after our take. Nothing else in
 * a channel orders memory, and nothing else needs to.
 */
#ifndef SHMRPC_WAIT_H
#define SHMRPC_WAIT_H

#include "limit.h"

#include <time.h>

/** What waiting rests on: calls of the C library, and for clockwait and post the same with system
 *  calls of our own. Replaced by tests and fuzzers, by nobody else. */
struct shmrpc_wait_calls {
    int (*trywait)(sem_t *semaphore);
    int (*clockwait)(sem_t *semaphore, clockid_t clock, const struct timespec *until);
    int (*post)(sem_t *semaphore);
    int (*clock)(clockid_t clock, struct timespec *now);
};
extern struct shmrpc_wait_calls shmrpc_wait_calls;

/** Asked once a slice, and after every signal, while a side waits: OK to wait on, anything else
 *  ends the wait with that status. */
typedef enum shmrpc_status shmrpc_watch(void *context);

/** How long to wait, and whom to ask meanwhile. The clock is read only once a wait gets slow, so
 *  an exchange between two spinning sides never reads it. */
struct shmrpc_deadline {
    int timeout_ms;      /* SHMRPC_FOREVER, or >= 0 */
    int64_t at_ns;       /* absolute; 0 until the first look at the clock */
    shmrpc_watch *watch; /* may be null */
    void *context;
};

/** Whether it is a time: 0 or more, or SHMRPC_FOREVER. */
bool shmrpc_time_valid(int timeout_ms);
void shmrpc_deadline_start(struct shmrpc_deadline *deadline, int timeout_ms, shmrpc_watch *watch,
                           void *context);
/** Fix the deadline now, for callers that do something slow before they wait. */
void shmrpc_deadline_fix(struct shmrpc_deadline *deadline);
/** Nanoseconds that are left, 0 when it has passed, INT64_MAX for SHMRPC_FOREVER. */
int64_t shmrpc_deadline_left_ns(struct shmrpc_deadline *deadline);
/** The monotonic clock. */
int64_t shmrpc_now_ns(void);
/** Sleep without a signal cutting it short. */
void shmrpc_sleep_ms(int milliseconds);

/** The waiting policy of one semaphore and what it has learnt. */
struct shmrpc_spin {
    enum shmrpc_wait mode;
    bool may_spin;     /* more than one CPU is allowed */
    unsigned failures; /* adaptive: spins in a row that did not meet their token */
    unsigned pause;    /* for how many waits the last failure stopped spinning */
    unsigned skip;     /* how many of them are left */
    unsigned crowded;  /* tokens in a row that came as soon as this side slept */
    int64_t awake_ns;  /* when the last token came that was slept for */
};

void shmrpc_spin_init(struct shmrpc_spin *spin, enum shmrpc_wait mode);

/** Take the semaphore.
 *  @return OK; TIMEOUT; PROTOCOL (no semaphore of this C library, or its value is above what one
 *  token allows: SRPC-SEM-007); or what the watch returned. */
enum shmrpc_status shmrpc_wait_take(sem_t *semaphore, struct shmrpc_spin *spin,
                                    struct shmrpc_deadline *deadline);
/** Take it if that needs no waiting. */
bool shmrpc_wait_try(sem_t *semaphore);
/** Post it. PROTOCOL if it holds a token already: nothing is posted then. */
enum shmrpc_status shmrpc_wait_post(sem_t *semaphore);
/** Its value now: 0, 1, or 2 for whatever is above, up to the 2^32 - 1 that a peer can store. */
int shmrpc_wait_value(sem_t *semaphore);
/** Make a semaphore in shared memory. */
void shmrpc_wait_make(sem_t *semaphore, unsigned value);

#endif

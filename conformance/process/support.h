/* SPDX-License-Identifier: MIT
 *
 * What the whole-process tests share: children with a time limit, memory that parent and children
 * see, and a raw view of a channel that owes nothing to the library.
 */
#ifndef PROCESS_SUPPORT_H
#define PROCESS_SUPPORT_H

#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The six objects, in the order of their creation. */
enum object {
    REQ,
    RESP,
    REQ_EMPTY,
    REQ_FULL,
    RESP_EMPTY,
    RESP_FULL,
    OBJECTS
};

enum {
    NOBODY = 65534,
    LIMIT_MS = 20000
};

/** A channel name that no other test and no other run uses; valid for the next 511 of them. */
const char *channel_name(const char *what);
/** Path of an object below /dev/shm. */
void object_path(const char *name, enum object object, char path[300]);
bool object_exists(const char *name, enum object object);
/** How many of the six exist. */
int objects_of(const char *name);
/** Inode of req, 0 if there is none. */
ino_t inode_of(const char *name);
/** Remove all six, whoever made them: for the end of a test that left some on purpose. */
void remove_objects(const char *name);

/** A peer with its hands on the memory: no library, no rules. */
struct raw {
    sem_t *semaphore[OBJECTS]; /* of the four semaphores */
    unsigned char *segment[2]; /* REQ and RESP */
    size_t bytes;
};
/** False if the channel is not there or is changing. */
bool raw_open(struct raw *raw, const char *name);
void raw_close(struct raw *raw);
int raw_value(const struct raw *raw, enum object object);
/** Write a frame into a segment, with any length word. */
void raw_frame(struct raw *raw, enum object segment, uint32_t length_word, const void *data,
               size_t length);
/** Wait for the slot, write, post; and the other way round. False after milliseconds. */
bool raw_send(struct raw *raw, const char *request, int milliseconds);
bool raw_receive(struct raw *raw, char *response, size_t capacity, int milliseconds);
/** Whether the four values are those of an idle channel within milliseconds. */
bool idle_within(const char *name, int milliseconds);

int64_t now_ns(void);
void sleep_us(long microseconds);

/** Zeroed memory that children share with us. Never freed. */
void *shared_memory(size_t bytes);

/** A child that runs body and exits with what it returns; it dies with us. */
typedef int child_body(void *context);
pid_t spawn(child_body *body, void *context);
/** The same as another user, readable through /proc as a started program would be. */
pid_t spawn_as(uid_t uid, child_body *body, void *context);
/** Wait for the child to end. @return its exit status, 1000 + the signal that ended it, or -1
 *  after milliseconds: then it is killed. */
int await_child(pid_t pid, int milliseconds);
/** SIGKILL, and wait until it is gone. */
void kill_child(pid_t pid);

/** Wait until *flag is not zero. */
bool await_flag(const volatile int *flag, int milliseconds);

/** In a child: say what failed and exit with status 1. cmocka's assertions would jump into the
 *  copy of the parent's test. */
void child_failed(const char *file, int line, const char *what);
#define CHILD_CHECK(condition)                                                                     \
    ((condition) ? (void)0 : child_failed(__FILE__, __LINE__, #condition))

#endif

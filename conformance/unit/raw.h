/* SPDX-License-Identifier: MIT
 *
 * A peer with its hands on a channel's objects, for the tests of the upper rooms: it knows the six
 * names and the layout from the specification and shares no code with the library, so it can leave
 * a channel in any state, allowed or not.
 */
#ifndef RAW_H
#define RAW_H

#include "child.h"

#include <sys/types.h>

/* The six objects in the order of their creation. */
enum raw_object {
    RAW_REQ,
    RAW_RESP,
    RAW_REQ_EMPTY,
    RAW_REQ_FULL,
    RAW_RESP_EMPTY,
    RAW_RESP_FULL,
    RAW_OBJECTS
};

/** How long a test waits for what must happen; generous, so that a loaded machine is no failure. */
enum { RAW_PATIENCE_MS = 20000 };

/** A channel name that no other run uses; valid until the program ends. */
const char *raw_name(const char *what);
/** Remove the objects of all these names: a group's teardown, for what failed tests leave. */
int raw_sweep(void **state);
/** Path of an object below /dev/shm. */
void raw_path(const char *name, enum raw_object object, char path[300]);
bool raw_exists(const char *name, enum raw_object object);
/** How many files below /dev/shm have the name in theirs: also those that are none of the six. */
int raw_count(const char *name);
ino_t raw_inode(const char *name, enum raw_object object);
void raw_unlink(const char *name, enum raw_object object);
/** Remove all six, whoever made them. */
void raw_remove(const char *name);
/** Make an empty file, or one of zeros, under an object's name. */
void raw_make_file(const char *name, enum raw_object object, size_t bytes, mode_t mode);
/** Make a channel as the original does: shm_open and sem_open, unmarked, without any lock. */
void raw_make_original(const char *name, size_t bytes);

struct raw {
    void *map[RAW_OBJECTS];
    size_t bytes[RAW_OBJECTS];
};

/** Map all six; the test fails if one is missing. */
void raw_open(struct raw *raw, const char *name);
void raw_close(struct raw *raw);
/** Look at the four values of a channel that is not open here. */
bool raw_values_are(const char *name, int req_empty, int req_full, int resp_empty, int resp_full);

int raw_value(const struct raw *raw, enum raw_object semaphore);
void raw_set(struct raw *raw, enum raw_object semaphore, unsigned value);
/** Set all four, or see what they are. */
void raw_set_values(struct raw *raw, unsigned req_empty, unsigned req_full, unsigned resp_empty,
                    unsigned resp_full);
#define assert_raw_values(raw, req_empty, req_full, resp_empty, resp_full)                         \
    do {                                                                                           \
        assert_int_equal(raw_value((raw), RAW_REQ_EMPTY), (req_empty));                            \
        assert_int_equal(raw_value((raw), RAW_REQ_FULL), (req_full));                              \
        assert_int_equal(raw_value((raw), RAW_RESP_EMPTY), (resp_empty));                          \
        assert_int_equal(raw_value((raw), RAW_RESP_FULL), (resp_full));                            \
    } while (0)

void raw_post(struct raw *raw, enum raw_object semaphore);
/** Take it within so long. */
bool raw_take(struct raw *raw, enum raw_object semaphore, int milliseconds);

uint32_t raw_length(const struct raw *raw, enum raw_object slot);
void raw_set_length(struct raw *raw, enum raw_object slot, uint32_t word);
/** Where the message of a slot begins. */
char *raw_body(const struct raw *raw, enum raw_object slot);
/** Write a frame; no semaphore is touched. */
void raw_write(struct raw *raw, enum raw_object slot, const void *data, size_t length);

/** Send a message into a slot by the rules: take(empty), write, post(full). False if the slot stays
 *  occupied. */
bool raw_send(struct raw *raw, enum raw_object slot, const void *data, size_t length,
              int milliseconds);
/** Receive from a slot by the rules. @return the message, NUL-terminated, valid until the next
 *  receive of any thread; null if none came. */
const char *raw_receive(struct raw *raw, enum raw_object slot, int milliseconds);

/** Zeroed memory that children share with us; give it back with raw_unshare(). */
void *raw_share(size_t bytes);
void raw_unshare(void *memory, size_t bytes);
/** Wait until the word is not 0. */
bool raw_await(const _Atomic int *word);

void raw_sleep_ms(int milliseconds);
int64_t raw_now_ms(void);

#endif

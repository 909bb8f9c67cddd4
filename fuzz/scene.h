/* SPDX-License-Identifier: MIT
 *
 * The stage of the stateful targets: a real channel under a private name, whose semaphores are real
 * but never block: time is virtual, and whoever would block lets the peer act instead.
 */
#ifndef FUZZ_SCENE_H
#define FUZZ_SCENE_H

#include "channel.h"
#include "harness.h"

/** A name that no other process uses, and that make fuzz knows how to remove. */
const char *scene_name(void);
/** Remove whatever stands under the private name; also done at exit and before dying. */
void scene_remove(void);

/** A server's channel, made at the first call and kept. For targets that bring no server along. */
struct shmrpc_channel *scene_server_channel(void);
/** Close that one; the next call makes another. */
void scene_close_channel(void);

void scene_set(const struct shmrpc_segment *semaphore, unsigned value);
/** The peer posts, unless the semaphore is so garbled that its own C library would end it. */
void scene_post(const struct shmrpc_segment *semaphore);
int scene_value(const struct shmrpc_segment *semaphore);
/** All four semaphores and both length words as in a new channel. */
void scene_reset_slots(struct shmrpc_channel *channel);

/** What the stage asks its target about. Either may be null. */
struct scene_hooks {
    /** The side under test waits on a semaphore until that moment; here the peer acts.
     *  @return 0, or EINTR for a signal. */
    int (*wait)(sem_t *semaphore, int64_t until_ns);
    /** It is about to post one. */
    void (*post)(sem_t *semaphore);
    /** How much longer than asked for a sleep lasts, so that who polls does not poll for ever. */
    int oversleep_ms;
    /** Names in /dev/shm change only through linkat() and unlink() of this process: what lstat() said
     *  of one is remembered until then. Looks at names are a third of an idle server's time. */
    bool remember_names;
};
/** Start the virtual clock at one second, and have the library wait in it. */
void scene_begin(const struct scene_hooks *hooks);
void scene_end(void);
int64_t scene_now_ns(void);
void scene_advance_ms(int64_t milliseconds);

/** The next line of a text trace, without its newline, as a NUL-terminated string in memory of the
 *  scene's own; null at the end. Longer lines are cut. */
enum { SCENE_LINE = 600 };
char *scene_line(struct harness_input *trace, char line[SCENE_LINE]);

#endif

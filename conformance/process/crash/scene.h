/* SPDX-License-Identifier: MIT
 *
 * What the two programs about the named crash points share: the names of the points as they are
 * passed, and the state that a death leaves, as every other process can see it.
 */
#ifndef SCENE_H
#define SCENE_H

#include "../support.h"

enum {
    ID_BYTES = 64,
    STATE_BYTES = 200
};

/** The point's name in the list: a step that begins with a dot belongs to the action of the point
 *  before it, a file is known by the end of its name.
 *  @param before name of the point passed before, or "". */
void point_id(const char *before, const char *point, const char *detail, const char *channel,
              char id[ID_BYTES]);

/** What is there under a channel's names: which exist and are marked, the four values, and a digest
 *  of a slot while its full is 1. */
struct state {
    ino_t inode[OBJECTS]; /* 0: no such name */
    bool marked[OBJECTS];
    int value[OBJECTS]; /* of the four semaphores; -1: no such name */
    uint32_t digest[2]; /* 0 while full is not 1 */
};
/** Looks at the files, each for a moment only: a lease may be wanted on them. */
void state_take(const char *channel, struct state *state);
/** Its two halves: the names, and what is in the files. @param but objects to leave out where this
 *  is not 0, or null. */
void state_names(const char *channel, struct state *state);
void state_files(const char *channel, struct state *state, const uint64_t *but);
/** Digest of a frame: its length and bytes, the hex digits of a request id left out. */
uint32_t state_digest(const unsigned char *slot, size_t bytes);
bool state_equal(const struct state *a, const struct state *b);
/** The same for people, and without what differs from run to run. */
void state_print(const struct state *state, char text[STATE_BYTES]);

/** Make all or the last of the six as the original leaves them: without mark, and nobody's. */
void make_original(const char *channel, enum object first);

/** Two tokens where there is one at most. */
void post_too_much(struct raw *raw);

#endif

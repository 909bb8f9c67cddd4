/* SPDX-License-Identifier: MIT
 *
 * A channel: two slots and four semaphores, and the state machine over them (SRPC-HAND-001..). The
 * only thing that the rooms above see of a transport: nothing there knows of semaphores.
 *
 * Each slot is in one of four states, told by the values of its pair (empty/full):
 *   1/0 free; 0/1 holds a message; 0/0 somebody is inside; anything else is a violation.
 * A side is inside a slot between its take and its post; a death there leaves 0/0.
 */
#ifndef SHMRPC_CHANNEL_H
#define SHMRPC_CHANNEL_H

#include "lock.h"
#include "name.h"
#include "segment.h"
#include "wait.h"

#include <stdatomic.h>

enum shmrpc_side { SHMRPC_SIDE_SERVER, SHMRPC_SIDE_CLIENT };

struct shmrpc_channel_slot {
    struct shmrpc_segment segment;
    struct shmrpc_segment empty;
    struct shmrpc_segment full;
    struct shmrpc_spin empty_spin;
    struct shmrpc_spin full_spin;
};

struct shmrpc_channel {
    uint32_t magic;
    enum shmrpc_side side;
    char name[SHMRPC_MAX_NAME_BYTES + 1];
    struct shmrpc_channel_slot request;
    struct shmrpc_channel_slot response;
    size_t capacity;       /* most bytes of a message, either way */
    bool complete;         /* all six are open and mapped */
    bool inside;           /* this side is inside its outgoing slot */
    bool broken;           /* the peer broke a rule that only a new channel cures */
    _Atomic bool orphaned; /* belongs to the parent process: everything is closed already */
    struct shmrpc_fork_node fork;
};

/** The object in the order of the names, for those who walk all six. */
struct shmrpc_segment *shmrpc_channel_object(struct shmrpc_channel *channel,
                                             enum shmrpc_object object);
/** What always holds of a channel. */
bool shmrpc_channel_check(const struct shmrpc_channel *channel);

/** Whether a name and what both sides' options have in common are in their ranges; INVALID with a
 *  text.
 *  @param buffer_bytes 0 is in its range. */
enum shmrpc_status shmrpc_channel_check_options(const char *name, size_t buffer_bytes,
                                                size_t least_bytes, enum shmrpc_wait wait,
                                                struct shmrpc_error *error);
/** Server: make all six objects without names, locked and marked, then claim the name by linking
 *  req. @return OK, BUSY (req exists), SYSTEM; on failure nothing is left. */
enum shmrpc_status shmrpc_channel_claim(const char *name, size_t buffer_bytes,
                                        enum shmrpc_wait wait, struct shmrpc_channel **channel,
                                        struct shmrpc_error *error);
/** Server: link the other five. May be called again after BUSY.
 *  @return OK, BUSY (one of the names exists), SYSTEM. */
enum shmrpc_status shmrpc_channel_complete(struct shmrpc_channel *channel,
                                           struct shmrpc_error *error);
/** Client: open what stands under the name and take the client lock, in one try.
 *  @param buffer_bytes 0: what the segments have.
 *  @return OK, NOT_FOUND (not there, half-made, dead, or changed meanwhile: try again), BUSY
 *  (another client, or the server while it repairs), TIMEOUT (a slot that a dead client left, which
 *  the server repairs once nobody is attached: stay away for a while), TOO_LARGE (segments smaller
 *  than buffer_bytes), PROTOCOL (a semaphore is none), SYSTEM. */
enum shmrpc_status shmrpc_channel_attach(const char *name, size_t buffer_bytes,
                                         enum shmrpc_wait wait, struct shmrpc_channel **channel,
                                         struct shmrpc_error *error);
/** Server: remove the names that are still its own, req last, and give up the lock, so that the
 *  name can be published anew. What is left of the channel can only be closed. */
void shmrpc_channel_retire(struct shmrpc_channel *channel);
/** Close. The server side removes the names that are still its own, req last. */
void shmrpc_channel_close(struct shmrpc_channel **channel);

/** Take the outgoing slot. @param body where to write the message, capacity bytes.
 *  @return OK, or as shmrpc_wait_take(). */
enum shmrpc_status shmrpc_channel_begin(struct shmrpc_channel *channel,
                                        struct shmrpc_deadline *deadline, char **body,
                                        size_t *capacity);
/** Where to write the message of the slot that this side is inside. */
char *shmrpc_channel_body(struct shmrpc_channel *channel, size_t *capacity);
/** Hand the message in it over. OK or PROTOCOL. */
enum shmrpc_status shmrpc_channel_commit(struct shmrpc_channel *channel, size_t length);
/** Leave it as it was found. OK or PROTOCOL. */
enum shmrpc_status shmrpc_channel_abandon(struct shmrpc_channel *channel);
/** Take the message out of the incoming slot.
 *  @param out room for as many bytes as the channel's capacity.
 *  @return OK, PROTOCOL (an impossible length: the slot is free again; or broken is set), or as
 *  shmrpc_wait_take(). */
enum shmrpc_status shmrpc_channel_receive(struct shmrpc_channel *channel,
                                          struct shmrpc_deadline *deadline, void *out,
                                          size_t *length);
/** Client: take the request back if no server has taken it and it begins with these bytes.
 *  @return true: it has certainly not run, and the slot is free. */
bool shmrpc_channel_withdraw(struct shmrpc_channel *channel, const void *prefix, size_t length);
/** Throw away what waits in the response slot, if anything does. */
void shmrpc_channel_discard_response(struct shmrpc_channel *channel);

/** Client: whether the server is known to be dead: a marked channel whose lock is free. */
bool shmrpc_channel_server_dead(const struct shmrpc_channel *channel);
/** Server: have the response segment for oneself, by a lease. False if any process holds it. */
bool shmrpc_channel_lock_clients_out(struct shmrpc_channel *channel);
void shmrpc_channel_let_clients_in(struct shmrpc_channel *channel);
/** Whether all six names still lead to our objects. */
bool shmrpc_channel_names_held(struct shmrpc_channel *channel);
/** Whether the SIGBUS handler had to replace a page of it. */
bool shmrpc_channel_truncated(struct shmrpc_channel *channel);

/** The four values, in the order of the names: to see whether anything moves. */
struct shmrpc_channel_values {
    int value[4];
};
struct shmrpc_channel_values shmrpc_channel_values(const struct shmrpc_channel *channel);
/** Whether the values could be what a dead client left: a slot with nobody entitled inside, or a
 *  response that nobody collects. Ask only while this side is outside both slots. */
bool shmrpc_channel_suspicious(const struct shmrpc_channel_values *values);
/** Server, outside both slots and with clients locked out: make both slots usable. Needs the proof
 *  that no client lives; does nothing if the values are not those that were proven to stand still.
 *  @return what was done, or null. */
const char *shmrpc_channel_repair(struct shmrpc_channel *channel,
                                  const struct shmrpc_channel_values *proven);

#endif

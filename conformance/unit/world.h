/* SPDX-License-Identifier: MIT
 *
 * Both ends of a channel in one thread: a server that serves by steps, and a raw client that puts
 * frames into its slots in between.
 */
#ifndef WORLD_H
#define WORLD_H

#include "raw.h"

#include "shmrpc.h"

struct world {
    const char *name;
    struct shmrpc_server *server;
    struct raw raw;
    char log[8192];
    size_t descriptors;
    int executed;
};

/** Publish a channel of a new name, and open it. Zero means default. */
void world_start(struct world *world, const char *what, size_t buffer_bytes, int timeout_ms);
/** Close both ends; nothing may be left of the channel, and no descriptor. */
void world_finish(struct world *world);

/** One exchange by the rules: send, have it served, collect.
 *  @return the response, NUL-terminated, valid until the next one; null if there is none. */
const char *world_exchange_bytes(struct world *world, const char *request, size_t length);
const char *world_exchange(struct world *world, const char *request);
/** The same with id "i". @param params the text of the object. */
const char *world_call(struct world *world, const char *method, const char *params);
/** It still serves, and the channel is at rest. */
void world_assert_serves(struct world *world);

#endif

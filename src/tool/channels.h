/* SPDX-License-Identifier: MIT
 *
 * The channels of this machine, as their files below /dev/shm show them.
 */
#ifndef SHMRPC_TOOL_CHANNELS_H
#define SHMRPC_TOOL_CHANNELS_H

#include "tool.h"

#include "report.h"

/** Names of channels, sorted, each once. */
struct tool_channels {
    size_t count;
    char **names;
};

/** Every channel of which any object exists and whose name begins with prefix.
 *  @return false, with a complaint on stderr, if /dev/shm cannot be read. */
bool tool_channels_find(const char *verb, const char *prefix, struct tool_channels *channels);
void tool_channels_free(struct tool_channels *channels);

/** "alive", "stale", "half-made", "undecided" or "foreign". */
const char *tool_state_name(enum shmrpc_owner_state state);
/** Colour of a state, for tool_print_coloured(). */
const char *tool_state_colour(enum shmrpc_owner_state state);
/** What the four semaphore values say about the slots, in a few words. */
const char *tool_slots_name(const struct shmrpc_owner_report *report);

/** The members that list and inspect share. */
void tool_report_to_json(cJSON *object, const char *name, const struct shmrpc_owner_report *report);

#endif

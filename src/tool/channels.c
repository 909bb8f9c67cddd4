/* SPDX-License-Identifier: MIT */
#include "channels.h"

#include "../name.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void add(struct tool_channels *channels, const char *name)
{
    /* A power of two names fits exactly; one more needs twice the room. */
    size_t count = channels->count;
    if ((count & (count - 1)) == 0) {
        char **grown = reallocarray(channels->names, count ? 2 * count : 1, sizeof *grown);
        if (grown == NULL)
            tool_out_of_memory();
        channels->names = grown;
    }
    channels->names[count] = strdup(name);
    if (channels->names[count] == NULL)
        tool_out_of_memory();
    channels->count++;
}

/* A channel has up to six files; of equal neighbours one stays. */
static void sort_and_unite(struct tool_channels *channels)
{
    size_t kept = 0;
    if (channels->count > 0)
        qsort(channels->names, channels->count, sizeof *channels->names, compare_names);
    for (size_t i = 0; i < channels->count; i++) {
        if (kept > 0 && strcmp(channels->names[i], channels->names[kept - 1]) == 0)
            free(channels->names[i]);
        else
            channels->names[kept++] = channels->names[i];
    }
    channels->count = kept;
}

bool tool_channels_find(const char *verb, const char *prefix, struct tool_channels *channels)
{
    *channels = (struct tool_channels){0, NULL};
    DIR *directory = opendir("/dev/shm");
    if (directory == NULL) {
        tool_complain(verb, "cannot read /dev/shm: %s; 'shmrpc doctor' checks this machine",
                      strerror(errno));
        return false;
    }
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        char name[SHMRPC_MAX_NAME_BYTES + 1];
        enum shmrpc_object object;
        if (shmrpc_name_parse(entry->d_name, name, &object) &&
            strncmp(name, prefix, strlen(prefix)) == 0)
            add(channels, name);
    }
    closedir(directory);
    sort_and_unite(channels);
    return true;
}

void tool_channels_free(struct tool_channels *channels)
{
    for (size_t i = 0; i < channels->count; i++)
        free(channels->names[i]);
    free(channels->names);
    *channels = (struct tool_channels){0, NULL};
}

const char *tool_state_name(enum shmrpc_owner_state state)
{
    switch (state) {
    case SHMRPC_OWNER_ALIVE:
        return "alive";
    case SHMRPC_OWNER_STALE:
        return "stale";
    case SHMRPC_OWNER_HALF_MADE:
        return "half-made";
    case SHMRPC_OWNER_UNDECIDED:
        return "undecided";
    case SHMRPC_OWNER_FOREIGN:
        return "foreign";
    }
    return "unknown";
}

const char *tool_state_colour(enum shmrpc_owner_state state)
{
    return state == SHMRPC_OWNER_ALIVE ? "32" : state == SHMRPC_OWNER_FOREIGN ? "2" : "33";
}

const char *tool_slots_name(const struct shmrpc_owner_report *report)
{
    const int *values = report->values;
    for (int i = 0; i < 4; i++)
        if (values[i] < 0)
            return "unknown";
    for (int i = 0; i < 4; i++)
        if (values[i] > 1)
            return "broken: a semaphore is above 1";
    if ((values[0] == 1 && values[1] == 1) || (values[2] == 1 && values[3] == 1))
        return "broken: a slot is both empty and full";
    if (values[3] == 1)
        return "response waiting";
    if (values[1] == 1)
        return "request waiting";
    return values[0] == 1 && values[2] == 1 ? "free" : "in transfer";
}

static void add_pid(cJSON *object, const char *key, pid_t pid)
{
    if (pid > 0)
        tool_json_add_number(object, key, pid);
    else
        tool_json_add_null(object, key);
}

void tool_report_to_json(cJSON *object, const char *name, const struct shmrpc_owner_report *report)
{
    tool_json_add_name(object, name);
    tool_json_add_string(object, "state", tool_state_name(report->state));
    add_pid(object, "pid", report->pid);
    if (report->program[0] != '\0')
        tool_json_add_string(object, "program", report->program);
    else
        tool_json_add_null(object, "program");
    tool_json_add_bool(object, "marked", report->marked);
    tool_json_add_number(object, "buffer_bytes", (double)report->buffer_bytes);
    tool_json_add_string(object, "slots", tool_slots_name(report));
    tool_json_add_bool(object, "client", report->client);
    add_pid(object, "client_pid", report->client_pid);
    tool_json_add_string(object, "why", report->text);
}

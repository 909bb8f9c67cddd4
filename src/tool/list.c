/* SPDX-License-Identifier: MIT
 *
 * shmrpc list: every channel of this machine.
 */
#include "channels.h"

#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: shmrpc list [OPTION...]\n"
    "\n"
    "List every channel of this machine: its name; the state of its owner (alive, stale, "
    "half-made,\n"
    "undecided: it cannot be proven dead, foreign: not ours to judge); the server's process and\n"
    "program; whether this library made it (marked) or the original did; the size of a segment; "
    "what\n"
    "the slots hold; and the client, if one is attached.\n"
    "\n"
    "      --json     print {\"channels\": [...]}\n"
    "  -h, --help     this text\n"
    "      --version  the version\n"
    "\n"
    "Exit codes: 0 ok, 2 usage, 8 /dev/shm cannot be read.\n";

static const struct option options[] = {TOOL_COMMON_OPTIONS, {NULL, 0, NULL, 0}};

static void print_json(const struct tool_channels *channels)
{
    cJSON *tree = tool_json_object();
    cJSON *array = tool_json_array();
    tool_json_add(tree, "channels", array);
    for (size_t i = 0; i < channels->count; i++) {
        struct shmrpc_owner_report report;
        shmrpc_owner_inspect(channels->names[i], &report);
        cJSON *item = tool_json_object();
        tool_report_to_json(item, channels->names[i], &report);
        tool_json_append(array, item);
    }
    tool_print_json(tree);
}

static void pid_text(pid_t pid, char text[16])
{
    if (pid > 0)
        snprintf(text, 16, "%d", (int)pid);
    else
        snprintf(text, 16, "-");
}

static void print_line(const char *name, int width, const struct shmrpc_owner_report *report)
{
    char state[16], pid[16], client[16];
    char *program = tool_printable(report->program[0] ? report->program : "-");
    char *printable = tool_printable(name);
    snprintf(state, sizeof state, "%-9s", tool_state_name(report->state));
    pid_text(report->pid, pid);
    pid_text(report->client_pid, client);
    printf("%-*s  ", width, printable);
    tool_print_coloured(tool_state_colour(report->state), state);
    printf("  %7s  %7s  %-8s  %10zu  %-16s  %s\n", pid,
           report->client && report->client_pid <= 0 ? "yes" : client,
           report->marked ? "marked" : "original", report->buffer_bytes, tool_slots_name(report),
           program);
    free(program);
    free(printable);
}

static void print_table(const struct tool_channels *channels)
{
    int width = (int)strlen("NAME");
    for (size_t i = 0; i < channels->count; i++) {
        char *printable = tool_printable(channels->names[i]);
        if ((int)strlen(printable) > width)
            width = (int)strlen(printable);
        free(printable);
    }
    if (channels->count > 0)
        printf("%-*s  %-9s  %7s  %7s  %-8s  %10s  %-16s  %s\n", width, "NAME", "STATE", "SERVER",
               "CLIENT", "MADE", "BYTES", "SLOTS", "PROGRAM");
    for (size_t i = 0; i < channels->count; i++) {
        struct shmrpc_owner_report report;
        shmrpc_owner_inspect(channels->names[i], &report);
        print_line(channels->names[i], width, &report);
    }
}

int tool_list(int argc, char **argv)
{
    struct tool_arguments arguments = {"list", help, ":h", options, false};
    while (tool_next_option(&arguments, argc, argv) != -1)
        continue;
    if (optind != argc)
        tool_usage_error(arguments.verb, "'%s' is one argument too many", argv[optind]);
    struct tool_channels channels;
    if (!tool_channels_find(arguments.verb, "", &channels))
        return TOOL_SYSTEM;
    if (arguments.json)
        print_json(&channels);
    else
        print_table(&channels);
    tool_channels_free(&channels);
    return TOOL_OK;
}

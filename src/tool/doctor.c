/* SPDX-License-Identifier: MIT
 *
 * shmrpc doctor: what this machine offers, and what to do about what it lacks.
 */
#include "doctor.h"

#include "channels.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: shmrpc doctor [OPTION...]\n"
    "\n"
    "Check shared memory, CPUs, kernel, C library, logind and leftovers, and say what to do.\n"
    "\n"
    "      --json     print {\"ok\": ..., \"checks\": [...]}\n"
    "  -h, --help     this text\n"
    "      --version  the version\n"
    "\n"
    "Exit codes: 0 no problem, 1 a problem, 2 usage.\n";

static const struct option options[] = {TOOL_COMMON_OPTIONS, {NULL, 0, NULL, 0}};

struct tool_doctor {
    cJSON *checks; /* only with --json */
    size_t problems;
};

static const struct {
    const char *name;
    const char *colour;
} findings[] = {
    [TOOL_FINDING_OK] = {"ok", "32"},
    [TOOL_FINDING_NOTE] = {"note", "33"},
    [TOOL_FINDING_PROBLEM] = {"problem", "31"},
};

void tool_doctor_find(struct tool_doctor *doctor, const char *check, enum tool_finding finding,
                      const char *advice, const char *format, ...)
{
    char detail[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    doctor->problems += finding == TOOL_FINDING_PROBLEM;
    bool advised = advice != NULL && *advice != '\0' && finding != TOOL_FINDING_OK;
    if (doctor->checks != NULL) {
        cJSON *item = tool_json_object();
        tool_json_add_string(item, "check", check);
        tool_json_add_string(item, "finding", findings[finding].name);
        tool_json_add_string(item, "detail", detail);
        tool_json_add_string(item, "advice", advised ? advice : "");
        tool_json_append(doctor->checks, item);
        return;
    }
    char word[16];
    snprintf(word, sizeof word, "%-7s", findings[finding].name);
    tool_print_coloured(findings[finding].colour, word);
    printf("  %-14s  ", check);
    tool_print_text(stdout, detail, strlen(detail), false);
    putchar('\n');
    if (advised)
        printf("%26s-> %s\n", "", advice);
}

static void check_leftovers(struct tool_doctor *doctor)
{
    struct tool_channels channels;
    if (!tool_channels_find("doctor", "", &channels)) {
        tool_doctor_find(doctor, "leftovers", TOOL_FINDING_PROBLEM, "mount a tmpfs on /dev/shm",
                         "/dev/shm cannot be read");
        return;
    }
    size_t counts[SHMRPC_OWNER_FOREIGN + 1] = {0};
    for (size_t i = 0; i < channels.count; i++) {
        struct shmrpc_owner_report report;
        shmrpc_owner_inspect(channels.names[i], &report);
        counts[report.state]++;
    }
    tool_channels_free(&channels);
    size_t dead = counts[SHMRPC_OWNER_STALE] + counts[SHMRPC_OWNER_HALF_MADE];
    size_t undecided = counts[SHMRPC_OWNER_UNDECIDED];
    tool_doctor_find(doctor, "leftovers",
                     dead > 0        ? TOOL_FINDING_PROBLEM
                     : undecided > 0 ? TOOL_FINDING_NOTE
                                     : TOOL_FINDING_OK,
                     dead > 0 ? "run 'shmrpc clean'" : "see 'shmrpc list'",
                     "%zu dead channels, %zu undecided, %zu alive", dead, undecided,
                     counts[SHMRPC_OWNER_ALIVE]);
}

int tool_doctor(int argc, char **argv)
{
    struct tool_arguments arguments = {"doctor", help, ":h", options, false};
    struct tool_doctor doctor = {NULL, 0};
    while (tool_next_option(&arguments, argc, argv) != -1)
        continue;
    if (optind != argc)
        tool_usage_error(arguments.verb, "'%s' is one argument too many", argv[optind]);
    cJSON *tree = NULL;
    if (arguments.json) {
        tree = tool_json_object();
        doctor.checks = tool_json_array();
    }
    tool_doctor_check_shm(&doctor);
    tool_doctor_check_system(&doctor);
    tool_doctor_check_logind(&doctor);
    check_leftovers(&doctor);
    if (tree != NULL) {
        tool_json_add_bool(tree, "ok", doctor.problems == 0);
        tool_json_add(tree, "checks", doctor.checks);
        tool_print_json(tree);
    }
    if (doctor.problems > 0)
        tool_complain("doctor", "%zu found; what to do stands beside each", doctor.problems);
    return doctor.problems > 0 ? TOOL_FAILED : TOOL_OK;
}

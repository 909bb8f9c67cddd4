/* SPDX-License-Identifier: MIT
 *
 * shmrpc-conformance: judges a port of SHM-RPC from outside.
 */
#include "kit.h"

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: shmrpc-conformance --adapter COMMAND [options]\n"
    "\n"
    "  --adapter COMMAND      the port: a program that speaks the adapter protocol\n"
    "  --reference COMMAND    the reference, for the mixed pairs; default: the one built beside\n"
    "                         this program, if it is there\n"
    "  --category NAME        wire-format, leak or crash-recovery\n"
    "  --level NAME           wire, recovery or hardened\n"
    "  --case PATTERN         cases whose id matches, such as C-FRM-00?\n"
    "  --point N --edge E     only crash point N (or image N) of the case; E is entry or exit\n"
    "  --expectations FILE    known faults; default: expectations/NAME.json, NAME from hello\n"
    "  --report LIST          of html, junit, ndjson; default ndjson\n"
    "  --output DIRECTORY     where the reports go; default build/conformance\n"
    "  --label NAME           name of the run in the reports; default: from hello\n"
    "  --repeat N             run everything N times\n"
    "  --jobs N               cases at once; default: twice the CPUs\n"
    "  --patience MS          no answer for so long is a hang; default 15000\n"
    "  --as-user UID          run the port as this user (needs root)\n"
    "  --list                 list the cases and stop\n"
    "  --gate                 check the cases against the specification and stop\n"
    "  --check-adapter        try every verb of the protocol and stop\n"
    "  --merge FILE...        build the html and junit reports from ndjson files and stop\n"
    "  --root DIRECTORY       the folder conformance/; default: found beside the program\n"
    "  --quiet                no progress, no line a case\n"
    "\n"
    "exit: 0 as expected, 1 an unexpected verdict, 2 usage, 3 adapter unusable, 4 runner error\n";

enum {
    OPTION_ADAPTER = 256, OPTION_REFERENCE, OPTION_CATEGORY, OPTION_LEVEL, OPTION_CASE, OPTION_POINT,
    OPTION_EDGE, OPTION_EXPECTATIONS, OPTION_REPORT, OPTION_OUTPUT, OPTION_LABEL, OPTION_REPEAT,
    OPTION_JOBS, OPTION_PATIENCE, OPTION_USER, OPTION_LIST, OPTION_GATE, OPTION_CHECK, OPTION_MERGE,
    OPTION_ROOT, OPTION_QUIET, OPTION_HELP
};

static const struct option long_options[] = {
    {"adapter", required_argument, NULL, OPTION_ADAPTER},
    {"reference", required_argument, NULL, OPTION_REFERENCE},
    {"category", required_argument, NULL, OPTION_CATEGORY},
    {"level", required_argument, NULL, OPTION_LEVEL},
    {"case", required_argument, NULL, OPTION_CASE},
    {"point", required_argument, NULL, OPTION_POINT},
    {"edge", required_argument, NULL, OPTION_EDGE},
    {"expectations", required_argument, NULL, OPTION_EXPECTATIONS},
    {"report", required_argument, NULL, OPTION_REPORT},
    {"output", required_argument, NULL, OPTION_OUTPUT},
    {"label", required_argument, NULL, OPTION_LABEL},
    {"repeat", required_argument, NULL, OPTION_REPEAT},
    {"jobs", required_argument, NULL, OPTION_JOBS},
    {"patience", required_argument, NULL, OPTION_PATIENCE},
    {"as-user", required_argument, NULL, OPTION_USER},
    {"list", no_argument, NULL, OPTION_LIST},
    {"gate", no_argument, NULL, OPTION_GATE},
    {"check-adapter", no_argument, NULL, OPTION_CHECK},
    {"merge", no_argument, NULL, OPTION_MERGE},
    {"root", required_argument, NULL, OPTION_ROOT},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0}};

struct arguments {
    struct kit_options options;
    bool check, merge;
};

static long number_argument(const char *text, const char *what)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 0 || value > INT_MAX)
        kit_die(2, "%s must be a number: %s", what, text);
    return value;
}

static void take_text_option(struct kit_options *options, int option)
{
    switch (option) {
    case OPTION_ADAPTER: options->adapter = optarg; break;
    case OPTION_REFERENCE: options->reference = optarg; break;
    case OPTION_CATEGORY: options->category = optarg; break;
    case OPTION_LEVEL: options->level = optarg; break;
    case OPTION_CASE: options->pattern = optarg; break;
    case OPTION_EXPECTATIONS: options->expectations = optarg; break;
    case OPTION_REPORT: options->reports = optarg; break;
    case OPTION_OUTPUT: options->output = optarg; break;
    case OPTION_LABEL: options->label = optarg; break;
    case OPTION_ROOT: options->root = optarg; break;
    default: fputs(usage, stderr); exit(2);
    }
}

static void take_option(struct arguments *arguments, int option)
{
    struct kit_options *options = &arguments->options;
    switch (option) {
    case OPTION_POINT: options->point = (int)number_argument(optarg, "--point"); break;
    case OPTION_EDGE: options->edge = strcmp(optarg, "exit") == 0; break;
    case OPTION_REPEAT: options->repeat = (int)number_argument(optarg, "--repeat"); break;
    case OPTION_JOBS: options->jobs = (int)number_argument(optarg, "--jobs"); break;
    case OPTION_PATIENCE: options->patience_ms = (int)number_argument(optarg, "--patience"); break;
    case OPTION_USER:
        options->uid = (unsigned)number_argument(optarg, "--as-user");
        options->have_uid = true;
        break;
    case OPTION_LIST: options->list = true; break;
    case OPTION_GATE: options->gate = true; break;
    case OPTION_CHECK: arguments->check = true; break;
    case OPTION_MERGE: arguments->merge = true; break;
    case OPTION_QUIET: options->quiet = true; break;
    case OPTION_HELP: fputs(usage, stdout); exit(0);
    default: take_text_option(options, option);
    }
}

static void check_names(const struct kit_options *options)
{
    bool level = options->level == NULL;
    for (int i = 0; i < LEVEL_COUNT && !level; i++)
        level = strcmp(options->level, level_names[i]) == 0;
    if (!level)
        kit_die(2, "unknown level: %s", options->level);
    if (options->category != NULL && strcmp(options->category, "wire-format") != 0 &&
        strcmp(options->category, "leak") != 0 && strcmp(options->category, "crash-recovery") != 0)
        kit_die(2, "unknown category: %s", options->category);
    if (options->jobs < 1 || options->jobs > 64 || options->repeat < 1)
        kit_die(2, "--jobs is 1 to 64, --repeat at least 1");
}

/* The program stands in build/VARIANT/, the data in conformance/ beside build/. */
static void find_places(struct kit_options *options)
{
    char path[PATH_MAX] = "";
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    char *directory = dirname(path);
    if (options->root == NULL)
        options->root = kit_format("%s/../../conformance", directory);
    if (options->reference == NULL) {
        char *beside = kit_format("%s/conformance-adapters/reference", directory);
        if (access(beside, X_OK) == 0)
            options->reference = beside;
    }
    if (options->output == NULL)
        options->output = kit_format("%s/../conformance", directory);
    char *real = realpath(options->root, NULL);
    if (real == NULL)
        kit_die(4, "no folder %s: %s", options->root, strerror(errno));
    options->root = real;
}

static int list_cases(const struct kit_options *options, const struct kit_cases *cases)
{
    for (size_t i = 0; i < cases->count; i++) {
        const struct kit_case *test = &cases->list[i];
        if (!schedule_selects(options, test))
            continue;
        printf("%-12s %-14s %-8s %-6s %s\n", test->id, test->category, level_names[test->level],
               test->strength, json_text(test->json, "title", ""));
    }
    return 0;
}

static int run(const struct kit_options *options, const struct kit_cases *cases)
{
    struct results results = {0};
    if (options->adapter == NULL)
        kit_die(2, "no --adapter; --help lists the options");
    if (!schedule_run(options, cases, &results))
        return 3;
    report_write(options, &results);
    report_headline(options->root, &results);
    return report_exit_code(&results);
}

int main(int count, char *values[])
{
    struct arguments arguments = {.options = {.self = values[0], .repeat = 1,
                                              .patience_ms = KIT_PATIENCE_MS,
                                              .reports = "ndjson"}};
    struct kit_options *options = &arguments.options;
    options->jobs = 2 * (int)sysconf(_SC_NPROCESSORS_ONLN);
    int option;
    while ((option = getopt_long(count, values, "", long_options, NULL)) != -1)
        take_option(&arguments, option);
    if (optind < count && !arguments.merge)
        kit_die(2, "what is '%s'?", values[optind]);
    if (options->jobs > 16)
        options->jobs = 16;
    check_names(options);
    find_places(options);
    signal(SIGPIPE, SIG_IGN);
    char *schema = kit_format("%s/runner/adapter-schema.json", options->root);
    if (!schema_load(schema))
        kit_die(4, "cannot load %s", schema);
    if (arguments.check)
        return check_adapter(options);
    struct kit_cases cases = {0};
    if (!cases_load(kit_format("%s/cases", options->root), &cases))
        return 4;
    if (arguments.merge)
        return report_merge(options, values + optind, count - optind);
    if (options->list)
        return list_cases(options, &cases);
    if (options->gate) {
        int faults = cases_gate(&cases, kit_format("%s/../spec/shm-rpc.md", options->root),
                                kit_format("%s/cases/exempt.json", options->root), true);
        printf("%zu cases, %d faults against the specification\n", cases.count, faults);
        printf("%d passed, %d failed\n", faults == 0, faults);
        return faults == 0 ? 0 : 1;
    }
    return run(options, &cases);
}

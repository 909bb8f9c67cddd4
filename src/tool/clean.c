/* SPDX-License-Identifier: MIT
 *
 * shmrpc clean: removes what is proven dead. The proof is the library's own, the one by which a
 * server takes over a name; this file only chooses candidates and reports.
 */
#include "channels.h"

#include "../name.h"
#include "../owner.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "usage: shmrpc clean [OPTION...]\n"
    "\n"
    "Remove every channel whose server is proven dead. A living server keeps its channel, and so "
    "does\n"
    "one that cannot be proven dead: that one is named, and the exit code is 1.\n"
    "\n"
    "      --dry-run   only say what would be done\n"
    "      --prefix P  only channels whose names begin with P\n"
    "      --json      print {\"removed\": [...], \"refused\": [...], \"kept\": [...]}\n"
    "  -h, --help      this text\n"
    "      --version   the version\n"
    "\n"
    "Exit codes: 0 ok, 1 a candidate was refused, 2 usage, 8 /dev/shm cannot be read.\n";

static const struct option options[] = {
    TOOL_COMMON_OPTIONS,
    {"dry-run", no_argument, NULL, TOOL_OPTION_DRY_RUN},
    {"prefix", required_argument, NULL, TOOL_OPTION_PREFIX},
    {NULL, 0, NULL, 0},
};

enum outcome {
    REMOVED,
    REFUSED,
    KEPT,
    OUTCOMES
};

static const struct {
    const char *key;
    const char *colour;
    const char *word;
    const char *dry_word;
} outcomes[OUTCOMES] = {
    [REMOVED] = {"removed", "32", "removed", "would remove"},
    [REFUSED] = {"refused", "31", "refused", "would refuse"},
    [KEPT] = {"kept", "0", "kept", "would keep"},
};

struct cleaning {
    const struct tool_arguments *arguments;
    bool dry_run;
    cJSON *lists[OUTCOMES]; /* only with --json */
    size_t counts[OUTCOMES];
};

/* Whether any object of the channel belongs to another user. Theirs are theirs to clean, so they
 * are no candidates; something of our own that is no channel is one, and is refused. */
static bool of_another_user(const char *name)
{
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        char file[SHMRPC_FILE_NAME_BYTES];
        char path[SHMRPC_FILE_NAME_BYTES + sizeof "/dev/shm/"];
        struct stat status;
        shmrpc_name_object(name, (enum shmrpc_object)i, file);
        snprintf(path, sizeof path, "/dev/shm/%s", file);
        if (lstat(path, &status) == 0 && status.st_uid != geteuid())
            return true;
    }
    return false;
}

static void note(struct cleaning *cleaning, enum outcome outcome, const char *name, const char *why)
{
    cleaning->counts[outcome]++;
    if (cleaning->arguments->json) {
        cJSON *item = tool_json_object();
        tool_json_add_name(item, name);
        tool_json_add_string(item, "why", why);
        tool_json_append(cleaning->lists[outcome], item);
        return;
    }
    char *printable = tool_printable(name);
    tool_print_coloured(outcomes[outcome].colour,
                        cleaning->dry_run ? outcomes[outcome].dry_word : outcomes[outcome].word);
    printf(" %s: ", printable);
    tool_print_text(stdout, why, strlen(why), false);
    putchar('\n');
    free(printable);
}

/* Half made with a living process at work: it is being created or closed just now. */
static bool is_living(const struct shmrpc_owner_report *report)
{
    return report->state == SHMRPC_OWNER_ALIVE ||
           (report->state == SHMRPC_OWNER_HALF_MADE && report->pid != 0);
}

/* A candidate may come to life between the look and the deed; then the library says so. */
static void remove_candidate(struct cleaning *cleaning, const char *name,
                             const struct shmrpc_owner_report *before)
{
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    struct shmrpc_owner_report after;
    if (shmrpc_owner_reclaim(name, &error) == SHMRPC_OK) {
        note(cleaning, REMOVED, name, before->text);
        return;
    }
    shmrpc_owner_inspect(name, &after);
    note(cleaning, is_living(&after) ? KEPT : REFUSED, name, error.text);
}

static void clean_one(struct cleaning *cleaning, const char *name)
{
    struct shmrpc_owner_report report;
    shmrpc_owner_inspect(name, &report);
    switch (report.state) {
    case SHMRPC_OWNER_ALIVE:
        note(cleaning, KEPT, name, report.text);
        break;
    case SHMRPC_OWNER_STALE:
    case SHMRPC_OWNER_HALF_MADE:
        if (is_living(&report))
            note(cleaning, KEPT, name, report.text);
        else if (cleaning->dry_run)
            note(cleaning, REMOVED, name, report.text);
        else
            remove_candidate(cleaning, name, &report);
        break;
    case SHMRPC_OWNER_UNDECIDED:
        note(cleaning, REFUSED, name, report.text);
        break;
    case SHMRPC_OWNER_FOREIGN:
        note(cleaning, of_another_user(name) ? KEPT : REFUSED, name, report.text);
        break;
    }
}

static void finish(struct cleaning *cleaning, cJSON *tree)
{
    if (tree != NULL) {
        tool_json_add_bool(tree, "dry_run", cleaning->dry_run);
        tool_print_json(tree);
    }
    if (cleaning->counts[REFUSED] > 0)
        tool_complain("clean",
                      "%zu refused; stop the processes named, then run 'shmrpc clean' again",
                      cleaning->counts[REFUSED]);
}

int tool_clean(int argc, char **argv)
{
    struct tool_arguments arguments = {"clean", help, ":h", options, false};
    struct cleaning cleaning = {.arguments = &arguments};
    const char *prefix = "";
    int code;
    while ((code = tool_next_option(&arguments, argc, argv)) != -1)
        if (code == TOOL_OPTION_DRY_RUN)
            cleaning.dry_run = true;
        else
            prefix = optarg;
    if (optind != argc)
        tool_usage_error(arguments.verb, "'%s' is one argument too many", argv[optind]);
    struct tool_channels channels;
    if (!tool_channels_find(arguments.verb, prefix, &channels))
        return TOOL_SYSTEM;
    cJSON *tree = arguments.json ? tool_json_object() : NULL;
    for (unsigned i = 0; i < OUTCOMES && tree != NULL; i++) {
        cleaning.lists[i] = tool_json_array();
        tool_json_add(tree, outcomes[i].key, cleaning.lists[i]);
    }
    for (size_t i = 0; i < channels.count; i++)
        clean_one(&cleaning, channels.names[i]);
    tool_channels_free(&channels);
    finish(&cleaning, tree);
    return cleaning.counts[REFUSED] > 0 ? TOOL_FAILED : TOOL_OK;
}

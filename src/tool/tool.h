/* SPDX-License-Identifier: MIT
 *
 * What the verbs of the command share: exit codes, options, complaints, output.
 */
#ifndef SHMRPC_TOOL_H
#define SHMRPC_TOOL_H

#include "../shmrpc.h"

#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdio.h>

/** The command's exit codes, the same for every verb; shmrpc(1) lists them. */
enum tool_exit {
    TOOL_OK = 0,
    TOOL_FAILED = 1, /* the method failed; clean refused a candidate; doctor found a problem */
    TOOL_USAGE = 2,
    TOOL_TIMEOUT = 3,
    TOOL_NOT_FOUND = 4,
    TOOL_MESSAGE = 5, /* serialization or too large */
    TOOL_NOT_STARTED = 6,
    TOOL_MAYBE_EXECUTED = 7,
    TOOL_SYSTEM = 8, /* protocol or system error */
    TOOL_BUSY = 9
};

int tool_serve(int argc, char **argv);
int tool_call(int argc, char **argv);
int tool_ping(int argc, char **argv);
int tool_list(int argc, char **argv);
int tool_inspect(int argc, char **argv);
int tool_clean(int argc, char **argv);
int tool_doctor(int argc, char **argv);

/* ---- Options ----------------------------------------------------------------------------------
 */

/** Codes of the long options. Those without a letter start above the range of char. */
enum tool_option {
    TOOL_OPTION_HELP = 'h',
    TOOL_OPTION_DATA = 'd',
    TOOL_OPTION_VERSION = 256,
    TOOL_OPTION_JSON,
    TOOL_OPTION_BUFFER_BYTES,
    TOOL_OPTION_TIMEOUT,
    TOOL_OPTION_WAIT,
    TOOL_OPTION_WAIT_FOR_SERVER,
    TOOL_OPTION_WAIT_BUSY,
    TOOL_OPTION_TEST_METHODS,
    TOOL_OPTION_DRY_RUN,
    TOOL_OPTION_PREFIX
};

/** Entries that every verb's option table begins with. */
#define TOOL_COMMON_OPTIONS                                                                        \
    {"help", no_argument, NULL, TOOL_OPTION_HELP},                                                 \
        {"version", no_argument, NULL, TOOL_OPTION_VERSION},                                       \
    {                                                                                              \
        "json", no_argument, NULL, TOOL_OPTION_JSON                                                \
    }

/** Entries of the verbs that attach as a client; tool_client_option() reads them. */
#define TOOL_CLIENT_OPTIONS                                                                        \
    {"timeout", required_argument, NULL, TOOL_OPTION_TIMEOUT},                                     \
        {"wait-for-server", required_argument, NULL, TOOL_OPTION_WAIT_FOR_SERVER},                 \
        {"wait-busy", required_argument, NULL, TOOL_OPTION_WAIT_BUSY},                             \
        {"buffer-bytes", required_argument, NULL, TOOL_OPTION_BUFFER_BYTES},                       \
    {                                                                                              \
        "wait", required_argument, NULL, TOOL_OPTION_WAIT                                          \
    }

/** How one verb's arguments are read. */
struct tool_arguments {
    const char *verb;
    const char *help;             /* the text of --help */
    const char *letters;          /* for getopt: ":h" and the verb's own */
    const struct option *options; /* ends with a zero entry */
    bool json;                    /* set by --json */
};

/** The next option's code with its argument in optarg, or -1 after the last. Answers --help and
 *  --version, notes --json, and ends the process with one line on stderr at a bad option. */
int tool_next_option(struct tool_arguments *arguments, int argc, char **argv);
/** Read one of TOOL_CLIENT_OPTIONS. @return false if code is none of them. */
bool tool_client_option(const char *verb, int code, struct shmrpc_client_options *options);

/** "1.5" -> 1500, rounded up to whole milliseconds; zero only where it is allowed. */
int tool_parse_seconds(const char *verb, const char *option, const char *text, bool zero_allowed);
size_t tool_parse_bytes(const char *verb, const char *text, size_t least);
enum shmrpc_wait tool_parse_wait(const char *verb, const char *text);

/* ---- Complaints -------------------------------------------------------------------------------
 */

/** End with TOOL_USAGE and one line on stderr that names the verb's --help. */
_Noreturn void tool_usage_error(const char *verb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** One line on stderr: "shmrpc VERB: ...". Control characters become spaces. */
void tool_complain(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void tool_out_of_memory(void);

int tool_exit_of(enum shmrpc_status status);
/** What the user can do about a status; never null, may be empty. */
const char *tool_advice(enum shmrpc_status status);

/** Say on stderr why a verb that speaks to a channel failed, and with json also print the envelope
 *  {"status": ..., "error": ..., "maybe_executed": ...} on stdout.
 *  @param client may be null. @param advice ends the line. @return the exit code. */
int tool_report(const struct tool_arguments *arguments, const char *name,
                const struct shmrpc_error *error, const struct shmrpc_client *client,
                const char *advice);

/* ---- Output -----------------------------------------------------------------------------------
 */

/** Text fit for a terminal: control characters and bytes that are not UTF-8 as \xNN, also backslash
 *  itself. The caller frees it. */
char *tool_printable(const char *text);
/** Print text with its control characters and bytes that are not UTF-8 as \xNN. Line feeds and tabs
 *  stay if lines is true; else they are escaped too, so that the text stays one line. */
void tool_print_text(FILE *out, const char *text, size_t length, bool lines);
/** colour is an SGR code such as "31"; plain text unless stdout is a terminal that wants colours.
 */
void tool_print_coloured(const char *colour, const char *text);

/** Print a tree on one line and delete it. */
void tool_print_json(cJSON *tree);
/** cJSON's constructors, ending the process when memory is out. */
cJSON *tool_json_object(void);
cJSON *tool_json_array(void);
void tool_json_add(cJSON *object, const char *key, cJSON *item);
void tool_json_append(cJSON *array, cJSON *item);
void tool_json_add_string(cJSON *object, const char *key, const char *value);
void tool_json_add_number(cJSON *object, const char *key, double value);
void tool_json_add_bool(cJSON *object, const char *key, bool value);
void tool_json_add_null(cJSON *object, const char *key);
/** A channel's name as the member "name"; bytes that are no UTF-8 become U+FFFD, and then
 * "name_hex" has the exact bytes. */
void tool_json_add_name(cJSON *object, const char *name);

#endif

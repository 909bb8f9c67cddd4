/* SPDX-License-Identifier: MIT
 *
 * The command shmrpc: finds the verb and hands it its arguments.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} verbs[] = {
    {"serve", tool_serve, "serve the calculator, the accumulator and a few more methods"},
    {"call", tool_call, "call a method and print its result"},
    {"ping", tool_ping, "ask whether a server answers"},
    {"list", tool_list, "list every channel of this machine"},
    {"inspect", tool_inspect, "show what stands in the two slots of a channel"},
    {"clean", tool_clean, "remove the channels of dead servers, never of living ones"},
    {"doctor", tool_doctor, "check what this machine offers, and say what to do"},
};

static void print_help(void)
{
    puts("usage: shmrpc VERB [ARGUMENT...]\n"
         "\n"
         "Remote procedure calls over shared memory.\n");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        printf("  %-8s %s\n", verbs[i].name, verbs[i].summary);
    puts("\n"
         "  -h, --help     this text; after a verb, the verb's own\n"
         "      --version  the version\n"
         "\n"
         "Exit codes: 0 ok, 1 method error, 2 usage, 3 time-out, 4 no such channel,\n"
         "5 serialization or too large, 6 peer gone and the call not started, 7 peer gone and the\n"
         "call may have run, 8 protocol or system error, 9 busy. The manual: shmrpc(1).");
}

/* A result that never reached its reader is a failure: "shmrpc call ... > /dev/full". */
static int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    tool_complain(NULL, "cannot write the result to stdout; is the disk full?");
    return TOOL_SYSTEM;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        tool_usage_error(NULL, "a verb is missing");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help();
        return finish(TOOL_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("shmrpc %s\n", shmrpc_version());
        return finish(TOOL_OK);
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(argv[1], verbs[i].name) != 0)
            continue;
        /* A peer that truncates a segment must cost an error, not this process. */
        if (shmrpc_sigbus_install() != SHMRPC_OK)
            tool_complain(argv[1], "cannot install the SIGBUS handler; going on without it");
        return finish(verbs[i].run(argc - 1, argv + 1));
    }
    tool_usage_error(NULL, "there is no verb '%s'", argv[1]);
}

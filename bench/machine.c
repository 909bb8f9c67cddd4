/* SPDX-License-Identifier: MIT
 *
 * What the figures were taken on. Nothing here names the machine or its user.
 */
#include "bench.h"

#include <gnu/libc-version.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/** The value of the first line "key : value" or "key=value" of a file. */
static void value_in_file(const char *path, const char *key, char separator, char *out,
                          size_t capacity)
{
    char line[512];
    FILE *file = fopen(path, "r");
    snprintf(out, capacity, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        char *at = strchr(line, separator);
        if (strncmp(line, key, strlen(key)) != 0 || !at)
            continue;
        at += 1 + strspn(at + 1, " \t\"");
        at[strcspn(at, "\"\n")] = '\0';
        snprintf(out, capacity, "%s", at);
        break;
    }
    if (file)
        fclose(file);
}

/** First line that a command prints. Its words are ours: no user input comes here. */
static void line_of_command(const char *command, char *out, size_t capacity)
{
    FILE *pipe = popen(command, "r");
    snprintf(out, capacity, "unknown");
    if (!pipe)
        return;
    if (fgets(out, (int)capacity, pipe))
        out[strcspn(out, "\n")] = '\0';
    pclose(pipe);
}

static void ask_versions(struct machine *machine, const struct settings *settings)
{
    char command[9000];
    for (int i = 0; i < ROW_COUNT; i++) {
        if (!settings->row_on[i])
            continue;
        if (rows[i].python)
            snprintf(command, sizeof command, "'%s' '%s/peer_python.py' %s version",
                     settings->python, settings->source, rows[i].program);
        else
            snprintf(command, sizeof command, "'%s/%s' version", settings->programs,
                     rows[i].program);
        line_of_command(command, machine->versions[i], sizeof machine->versions[i]);
    }
}

void machine_describe(struct machine *machine, const struct settings *settings)
{
    struct utsname kernel;
    cpu_set_t allowed;
    time_t now = time(NULL);
    memset(machine, 0, sizeof *machine);
    value_in_file("/proc/cpuinfo", "model name", ':', machine->cpu, sizeof machine->cpu);
    value_in_file("/etc/os-release", "PRETTY_NAME", '=', machine->system, sizeof machine->system);
    line_of_command("LC_ALL=C lscpu 2>/dev/null | sed -n 's/^Hypervisor vendor: *//p'",
                    machine->hypervisor, sizeof machine->hypervisor);
    if (uname(&kernel) == 0)
        snprintf(machine->kernel, sizeof machine->kernel, "%s %s %s", kernel.sysname,
                 kernel.release, kernel.machine);
    snprintf(machine->libc, sizeof machine->libc, "glibc %s", gnu_get_libc_version());
    snprintf(machine->compiler, sizeof machine->compiler, "%s",
#ifdef __clang__
             "clang " __clang_version__
#else
             "gcc " __VERSION__
#endif
    );
    strftime(machine->began, sizeof machine->began, "%Y-%m-%d %H:%M UTC", gmtime(&now));
    machine->cpus_online = (int)sysconf(_SC_NPROCESSORS_ONLN);
    machine->cpus_allowed =
        sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 0;
    machine->memory_mib =
        (unsigned long)sysconf(_SC_PHYS_PAGES) / (1048576u / (unsigned long)sysconf(_SC_PAGESIZE));
    if (getloadavg(&machine->load_before, 1) != 1)
        machine->load_before = -1;
    ask_versions(machine, settings);
}

/* SPDX-License-Identifier: MIT
 *
 * Replay inputs without a fuzzer:  replay-TARGET FILE|DIRECTORY...
 *
 * Each input runs twice and must come to the same outcome. Ends with "N passed, N failed"; status 1
 * if any failed, 2 if there was nothing to replay. A finding ends the process, as under the fuzzer;
 * the name of the input is printed first.
 */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECONDS_AN_INPUT = 20, LARGEST = 1 << 20 };

static unsigned passed;
static unsigned failed;
static const char *current = "";

/* Sanitizers end the process by abort(), which the handler below turns into totals. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "abort_on_error=1:handle_abort=0:allocator_may_return_null=1:detect_leaks=1";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
    return "abort_on_error=1:print_stacktrace=1";
}

static void died(int signal_number)
{
    char line[512];
    int length = snprintf(line, sizeof line, "FAILED: %s (%s)\n%u passed, %u failed\n", current,
                          signal_number == SIGALRM ? "hangs" : "ends the process", passed,
                          failed + 1);
    if (length > 0 && write(STDOUT_FILENO, line, strlen(line)) < 0)
        _exit(3);
    if (harness_cleanup != NULL)
        harness_cleanup();
    _exit(1);
}

static uint64_t run(const uint8_t *data, size_t size)
{
    alarm(SECONDS_AN_INPUT);
    harness_start();
    (void)LLVMFuzzerTestOneInput(data, size);
    alarm(0);
    return harness_digest();
}

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(LARGEST);
    if (file == NULL || data == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    size_t size = fread(data, 1, LARGEST, file);
    fclose(file);
    /* Exactly as large as the input, so that a target that reads behind it is caught too. */
    uint8_t *exact = (uint8_t *)harness_copy(data, size);
    free(data);
    current = path;
    uint64_t first = run(exact, size);
    uint64_t second = run(exact, size);
    if (first == second) {
        passed++;
    } else {
        failed++;
        printf("FAILED: %s (two runs differ)\n", path);
    }
    free(exact);
}

static void replay(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return;
    if (!S_ISDIR(status.st_mode)) {
        replay_file(path);
        return;
    }
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char below[4096];
        if (entries[i]->d_name[0] != '.') {
            snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name);
            replay(below);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    signal(SIGABRT, died);
    signal(SIGALRM, died);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%u passed, %u failed\n", passed, failed);
    if (passed + failed == 0)
        return 2;
    return failed > 0 ? 1 : 0;
}

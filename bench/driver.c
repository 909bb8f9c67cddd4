/* SPDX-License-Identifier: MIT
 *
 * main() of every peer program: the server role, and the client role with the loop that measures.
 *
 *   PROGRAM version
 *   PROGRAM serve ENDPOINT OPTION BUFFER_BYTES
 *   PROGRAM call ENDPOINT OPTION BUFFER_BYTES TEXTS SIZE WARMUP CALLS CALLS_PER_S LIMIT_MS PID
 *
 * TEXTS is a file with two different texts of SIZE bytes, sent in turn, so that an answer left over
 * from the call before is not taken for an echo. CALLS_PER_S 0 means back to back. LIMIT_MS ends a
 * round early, 0 means never. PID is the server's, for its CPU clock and memory.
 */
#include "peer.h"
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    TEXT_COUNT = 2,
    MIN_CALLS = 2,
    PAGE = 4096
};

struct plan {
    struct peer_setup setup;
    char *texts[TEXT_COUNT];
    size_t size;
    size_t warmup;
    size_t calls;
    uint64_t interval_ns;
    uint64_t limit_ns;
    pid_t server;
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/** User and system time of both processes so far. The scheduler's clock is exact to the nanosecond,
 *  while the times in /proc are counted in ticks of ten milliseconds. */
static uint64_t cpu_ns(pid_t server)
{
    clockid_t clock;
    uint64_t theirs = clock_getcpuclockid(server, &clock) == 0 ? clock_ns(clock) : 0;
    return theirs + clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static uint64_t peak_rss_kib(pid_t pid)
{
    char path[64], line[256];
    unsigned long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lu", &kib) == 1)
            break;
    fclose(file);
    return kib;
}

static void sleep_until(uint64_t when)
{
    struct timespec t = {.tv_sec = (time_t)(when / 1000000000u),
                         .tv_nsec = (long)(when % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
        ;
}

/** The comparison that every row must pass, byte for byte. */
static int check_echo(const struct plan *plan, size_t call, const char *out, size_t length)
{
    if (length == plan->size && memcmp(out, plan->texts[call % TEXT_COUNT], length) == 0)
        return 0;
    fprintf(stderr, "wrong echo at call %zu: %zu bytes sent, %zu came back%s\n", call, plan->size,
            length, length == plan->size ? ", with other bytes" : "");
    return -1;
}

/** The loop. Only the call stands between the two looks at the clock.
 *  @return how many calls were made, or -1. */
static ssize_t run_calls(const struct plan *plan, size_t calls, uint64_t interval_ns,
                         uint32_t *latency_ns)
{
    uint64_t begin = clock_ns(CLOCK_MONOTONIC);
    size_t i;
    for (i = 0; i < calls; i++) {
        const char *out = NULL;
        size_t length = 0;
        if (interval_ns)
            sleep_until(begin + i * interval_ns);
        uint64_t before = clock_ns(CLOCK_MONOTONIC);
        int failed = peer_call(plan->texts[i % TEXT_COUNT], plan->size, &out, &length);
        uint64_t after = clock_ns(CLOCK_MONOTONIC);
        if (failed || check_echo(plan, i, out, length))
            return -1;
        if (latency_ns)
            latency_ns[i] = after - before > UINT32_MAX ? UINT32_MAX : (uint32_t)(after - before);
        if (plan->limit_ns && after - begin > plan->limit_ns && i + 1 >= MIN_CALLS) {
            i++;
            break;
        }
    }
    return (ssize_t)i;
}

static int measure(const struct plan *plan)
{
    /* Written to, so that the timed loop does not fault the pages in. */
    uint32_t *latency_ns = malloc(plan->calls * sizeof *latency_ns);
    if (!latency_ns)
        return -1;
    memset(latency_ns, 0xff, plan->calls * sizeof *latency_ns);
    if (run_calls(plan, plan->warmup, 0, NULL) < 0)
        return -1;
    uint64_t cpu = cpu_ns(plan->server), wall = clock_ns(CLOCK_MONOTONIC);
    ssize_t calls = run_calls(plan, plan->calls, plan->interval_ns, latency_ns);
    wall = clock_ns(CLOCK_MONOTONIC) - wall;
    cpu = cpu_ns(plan->server) - cpu;
    if (calls < 0)
        return -1;
    struct sample_header header = {.magic = SAMPLE_MAGIC,
                                   .calls = (uint64_t)calls,
                                   .cpu_ns = cpu,
                                   .wall_ns = wall,
                                   .rss_kib = peak_rss_kib(getpid()) + peak_rss_kib(plan->server)};
    if (fwrite(&header, sizeof header, 1, stdout) != 1 ||
        fwrite(latency_ns, sizeof *latency_ns, (size_t)calls, stdout) != (size_t)calls ||
        fflush(stdout) != 0) {
        perror("writing the samples");
        return -1;
    }
    free(latency_ns);
    return 0;
}

/** Some processors copy many times slower between addresses whose distances from a page's begin
 *  differ by less than a cache line. Buffers that begin on a page meet that nowhere by chance. */
static char *page_aligned(size_t bytes)
{
    size_t whole = (bytes + PAGE - 1) / PAGE * PAGE;
    char *at = aligned_alloc(PAGE, whole);
    if (at)
        memset(at, 0, whole);
    return at;
}

static int read_texts(struct plan *plan, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    for (int i = 0; i < TEXT_COUNT; i++) {
        plan->texts[i] = page_aligned(plan->size + 1); /* with a NUL for C strings */
        if (!plan->texts[i] || fread(plan->texts[i], 1, plan->size, file) != plan->size) {
            fprintf(stderr, "%s: too short\n", path);
            fclose(file);
            return -1;
        }
    }
    fclose(file);
    return 0;
}

static void say_ready(void)
{
    puts("ready");
    fflush(stdout);
}

static int call(char **argument)
{
    uint64_t rate = strtoull(argument[7], NULL, 10);
    struct plan plan = {.setup = {.endpoint = argument[0],
                                  .option = argument[1],
                                  .buffer_bytes = strtoull(argument[2], NULL, 10)},
                        .size = strtoull(argument[4], NULL, 10),
                        .warmup = strtoull(argument[5], NULL, 10),
                        .calls = strtoull(argument[6], NULL, 10),
                        .interval_ns = rate ? 1000000000u / rate : 0,
                        .limit_ns = strtoull(argument[8], NULL, 10) * 1000000u,
                        .server = (pid_t)strtol(argument[9], NULL, 10)};
    if (read_texts(&plan, argument[3]) != 0 || peer_open(&plan.setup) != 0)
        return EXIT_FAILURE;
    int failed = measure(&plan);
    peer_close();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "version") == 0)
        return puts(peer_version()) < 0;
    if (argc == 5 && strcmp(argv[1], "serve") == 0) {
        struct peer_setup setup = {
            .endpoint = argv[2], .option = argv[3], .buffer_bytes = strtoull(argv[4], NULL, 10)};
        return peer_serve(&setup, say_ready) ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    if (argc == 12 && strcmp(argv[1], "call") == 0)
        return call(argv + 2);
    fprintf(stderr, "usage: see the head of bench/driver.c\n");
    return 2;
}

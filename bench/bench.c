/* SPDX-License-Identifier: MIT
 *
 * The benchmark: SHM-RPC against gRPC, against the limits of the machine, and against itself.
 *
 * `make bench` builds all, sets the Python rows up and runs it. From the environment:
 *   BENCH_ITERS     calls a row and size (100000)
 *   BENCH_ROUNDS    rounds they are split over (5)
 *   BENCH_SIZES     bytes, separated by commas or blanks (15,1000,10000,60000)
 *   BENCH_PEERS     rows, likewise (all of rows.c)
 *   BENCH_SECTIONS  sections, likewise (seed, escapes, paced, one-cpu, loaded)
 *   NO_PYTHON       leaves out the two Python rows
 * Results: build/bench/results.json and build/bench/report.html.
 *
 * How it measures. Every row is a server process and a client process, fresh each round. Within a
 * size the rows take turns, round by round (A B C A B C ...), so that a slow minute of the machine
 * hits all of them; a figure is the median of the rounds. The loop, the clock and the comparison of
 * the echo are the same code for every C and C++ row (driver.c), and the same loop in Python for
 * the Python rows; all statistics are made here, from raw latencies. The time of a call is what
 * stands between two looks at the monotonic clock around it; the comparison lies outside. "Total
 * time" is the sum of these. CPU is the scheduler's own account of both processes over the timed
 * part.
 *
 * Two texts of the same length are sent in turn. No row is pinned to a CPU unless all are. The
 * sections paced, one-cpu and loaded make fewer calls (rows.c says how many), and their rounds may
 * end early: a spinning row alone on a CPU would otherwise take for ever; the number of calls is
 * part of the result.
 *
 * Exit status: 0 when every row was measured, whoever won; 1 when an echo was wrong, a process died
 * or nothing could be written; 2 for wrong settings; 130 when interrupted.
 *
 * A note on ratios. They are computed from the medians of the mean latency and of the CPU a call.
 */
#include "bench.h"

#include "process.h"
#include "round.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- How long it will take --------------------------------------------------------------------
 */

/** What a round is expected to take, from what was measured so far or from a guess. */
static double expected_round_s(const struct bench *bench, enum section_id section, size_t size,
                               int row)
{
    const struct section *s = &sections[section];
    const struct figures *seen = figures_of(bench, SEED, size, row);
    double us = rows[row].expected_us +
                rows[row].expected_us_per_kib * (double)bench->settings.sizes[size] / 1024;
    if (seen->measured)
        us = seen->mean_us;
    if (s->calls_per_s)
        us = 1e6 / s->calls_per_s;
    double calls = (double)settings_calls_a_round(&bench->settings, s);
    double seconds = us * calls / 1e6;
    if (s->one_cpu || s->loaded)
        seconds *= 2;
    if (s->limit_ms && seconds > s->limit_ms / 1000.0)
        seconds = s->limit_ms / 1000.0;
    return seconds + (rows[row].python ? 1.0 : 0.06);
}

/** The rounds of a section and size that are still to come. */
static double expected_size_s(const struct bench *bench, enum section_id section, size_t size,
                              size_t first_round)
{
    double seconds = 0;
    for (int row = 0; row < ROW_COUNT; row++)
        if (bench->settings.row_on[row])
            seconds += expected_round_s(bench, section, size, row) *
                       (double)(bench->settings.rounds - first_round);
    return seconds;
}

static bool wanted(const struct bench *bench, int section, size_t size)
{
    return bench->settings.section_on[section] &&
           settings_size_on(&bench->settings, &sections[section], bench->settings.sizes[size]);
}

/** Everything behind this section and size. */
static double expected_rest_s(const struct bench *bench, int after_section, size_t after_size)
{
    double seconds = 0;
    for (int section = 0; section < SECTION_COUNT; section++)
        for (size_t size = 0; size < bench->settings.size_count; size++)
            if ((section > after_section || (section == after_section && size > after_size)) &&
                wanted(bench, section, size))
                seconds += expected_size_s(bench, (enum section_id)section, size, 0);
    return seconds;
}

/* ---- Progress, on a terminal only --------------------------------------------------------------
 */

static void progress(const struct bench *bench, enum section_id section, size_t size, size_t round,
                     int row)
{
    double left =
        expected_size_s(bench, section, size, round) + expected_rest_s(bench, (int)section, size);
    if (!isatty(STDOUT_FILENO))
        return;
    printf("\r\033[K%s, %zu bytes, round %zu of %zu: %s ... about %d min %02d s left",
           sections[section].name, bench->settings.sizes[size], round + 1, bench->settings.rounds,
           rows[row].name, (int)left / 60, (int)left % 60);
    fflush(stdout);
}

static void progress_clear(void)
{
    if (isatty(STDOUT_FILENO))
        printf("\r\033[K");
}

/* ---- The measuring ------------------------------------------------------------------------------
 */

/** The seed's two lines about a row, once its last round is over. */
static void say_completed(const struct bench *bench, int row, const struct series *series)
{
    char text[32];
    double seconds = 0;
    int number = 0, total = 0;
    for (int i = 0; i < ROW_COUNT; i++) {
        total += bench->settings.row_on[i];
        number += bench->settings.row_on[i] && i <= row;
    }
    for (size_t i = 0; i < series->rounds; i++)
        seconds += series->round[i].wall_s;
    format_seconds(text, sizeof text, seconds);
    progress_clear();
    printf("\n[%d/%d] Running %s benchmark...\n      Completed in %s\n", number, total,
           rows[row].name, text);
    fflush(stdout);
}

static int run_rounds(struct bench *bench, enum section_id section, size_t size,
                      struct series series[ROW_COUNT])
{
    for (size_t round = 0; round < bench->settings.rounds; round++)
        for (int row = 0; row < ROW_COUNT; row++) {
            struct samples samples;
            if (!bench->settings.row_on[row])
                continue;
            progress(bench, section, size, round, row);
            if (round_run(bench, &sections[section], &rows[row], bench->settings.sizes[size],
                          &samples) != 0)
                return -1;
            int failed = series_add(&series[row], &samples);
            free(samples.latency_ns);
            if (failed)
                return -1;
            if (round + 1 == bench->settings.rounds)
                say_completed(bench, row, &series[row]);
        }
    return 0;
}

static int run_size(struct bench *bench, enum section_id section, size_t size)
{
    static struct series series[ROW_COUNT];
    size_t bytes = bench->settings.sizes[size];
    size_t asked =
        settings_calls_a_round(&bench->settings, &sections[section]) * bench->settings.rounds;
    printf(
        "\n\n%s\nTesting %s messages (%zu bytes)\n%s\n",
        "======================================================================", size_word(bytes),
        bytes, "======================================================================");
    if (round_write_texts(bytes, sections[section].escapes) != 0 ||
        run_rounds(bench, section, size, series) != 0)
        return -1;
    for (int row = 0; row < ROW_COUNT; row++)
        if (bench->settings.row_on[row])
            series_finish(&series[row], asked, &bench->figures[section][size][row]);
    if (section == SEED)
        report_size(stdout, bench, section, size);
    return 0;
}

static int run_section(struct bench *bench, enum section_id section)
{
    int failed = 0;
    report_section_head(stdout, &sections[section]);
    if (sections[section].loaded)
        failed = round_load_begin();
    for (size_t size = 0; !failed && size < bench->settings.size_count; size++)
        if (wanted(bench, (int)section, size))
            failed = run_size(bench, section, size);
    round_load_end();
    if (!failed && section != SEED)
        report_table(stdout, bench, section);
    return failed;
}

static int run_all(struct bench *bench)
{
    double begin = now_s();
    int removed = round_clean_leftovers();
    if (removed)
        printf("Removed %d things that dead benchmarks had left behind.\n", removed);
    report_head(stdout, bench, expected_rest_s(bench, -1, 0));
    for (int section = 0; section < SECTION_COUNT; section++)
        if (bench->settings.section_on[section] &&
            run_section(bench, (enum section_id)section) != 0)
            return -1;
    bench->took_s = now_s() - begin;
    return 0;
}

static int write_reports(const struct bench *bench)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/results.json", bench->settings.results);
    if (results_write(bench, path) != 0 || html_write(bench) != 0)
        return -1;
    report_summary(stdout, bench);
    return 0;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    if (settings_read(&bench.settings, argc, argv) != 0)
        return 2;
    if (access(bench.settings.results, W_OK) != 0) {
        perror(bench.settings.results);
        return EXIT_FAILURE;
    }
    machine_describe(&bench.machine, &bench.settings);
    if (process_begin() != 0 || round_begin() != 0) {
        perror("bench");
        return EXIT_FAILURE;
    }
    int failed = run_all(&bench);
    round_load_end();
    round_end();
    if (!failed && write_reports(&bench) == 0)
        return EXIT_SUCCESS;
    if (process_interrupted()) {
        fprintf(stderr, "\nbench: interrupted\n");
        return 130;
    }
    fprintf(stderr, "\nbench: FAILED\n");
    return EXIT_FAILURE;
}

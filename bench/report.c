/* SPDX-License-Identifier: MIT
 *
 * The printed report, in the seed's shape.
 */
#include "bench.h"

#include <ctype.h>
#include <string.h>

#define RULE "======================================================================\n"

void format_seconds(char *text, size_t capacity, double seconds)
{
    if (seconds < 60)
        snprintf(text, capacity, "%.2f s", seconds);
    else
        snprintf(text, capacity, "%dm %05.2fs", (int)(seconds / 60),
                 seconds - 60 * (int)(seconds / 60));
}

void format_rate(char *text, size_t capacity, double per_second)
{
    if (per_second >= 1e6)
        snprintf(text, capacity, "%.2f M ops/s", per_second / 1e6);
    else if (per_second >= 1e3)
        snprintf(text, capacity, "%.2f K ops/s", per_second / 1e3);
    else
        snprintf(text, capacity, "%.2f ops/s", per_second);
}

/** "Small" from "SMALL". */
static void print_size(FILE *out, size_t size)
{
    const char *word = size_word(size);
    fprintf(out, "%c", word[0]);
    for (word++; *word; word++)
        fprintf(out, "%c", tolower((unsigned char)*word));
    fprintf(out, " (%zu bytes)", size);
}

/** What a row is, as the summary calls it: the policy is what the reader must know of ours. */
static const char *policy_of(const char *row)
{
    const char *dash = strncmp(row, "shmrpc-", 7) == 0 ? row + 7 : NULL;
    return dash ? dash : "the original's";
}

void report_head(FILE *out, const struct bench *bench, double expected_s)
{
    const struct machine *machine = &bench->machine;
    const struct settings *settings = &bench->settings;
    char expected[32];
    fprintf(out, RULE "SHM-RPC vs gRPC Benchmark\n" RULE);
    fprintf(out, "Iterations per test: %zu, in %zu rounds, rows taking turns\n",
            settings->iterations, settings->rounds);
    fprintf(out, "Communication: Process-to-Process\n");
    fprintf(out, "Machine: %s (%s), %d CPUs, %d allowed, %lu MiB\n", machine->cpu,
            machine->hypervisor, machine->cpus_online, machine->cpus_allowed, machine->memory_mib);
    fprintf(out, "System: %s, %s, %s, %s\n", machine->system, machine->kernel, machine->libc,
            machine->compiler);
    fprintf(out, "Started: %s, load %.2f before\n", machine->began, machine->load_before);
    fprintf(out, "Buffer: %zu bytes\n\nRows:\n", settings->buffer_bytes);
    for (int i = 0; i < ROW_COUNT; i++)
        if (settings->row_on[i])
            fprintf(out, "  %-18s %s\n  %-18s   [%s]\n", rows[i].name, rows[i].what, "",
                    machine->versions[i]);
    if (*settings->python_missing)
        fprintf(out, "\nNo Python rows: %s\n", settings->python_missing);
    format_seconds(expected, sizeof expected, expected_s);
    fprintf(out, "\nThis will take about %s.\n", expected);
    fflush(out);
}

void report_section_head(FILE *out, const struct section *section)
{
    fprintf(out, "\n\n" RULE "SECTION %s: %s\n" RULE, section->name, section->what);
}

static void report_row(FILE *out, const char *name, const struct figures *figures)
{
    char total[32], rate[32];
    format_seconds(total, sizeof total, figures->total_s);
    format_rate(rate, sizeof rate, figures->calls_per_s);
    fprintf(out,
            "\n%s:\n"
            "  Total time:    %s\n"
            "  Throughput:    %s\n"
            "  Avg latency:   %.2f \u03bcs/call (rounds from %.2f to %.2f)\n"
            "  Percentiles:   p50 %.2f, p90 %.2f, p99 %.2f, p99.9 %.2f, max %.2f \u03bcs\n"
            "  CPU:           %.2f \u03bcs/call, both processes\n"
            "  Peak memory:   %.1f MiB, both processes\n",
            name, total, rate, figures->mean_us, figures->mean_us_min, figures->mean_us_max,
            figures->p50_us, figures->p90_us, figures->p99_us, figures->p999_us, figures->max_us,
            figures->cpu_us, (double)figures->peak_rss_kib / 1024);
}

void report_comparison(FILE *out, const struct figures *shm, const struct figures *grpc)
{
    if (shm->mean_us <= grpc->mean_us)
        fprintf(out, "SHM-RPC is %.2fx faster than gRPC", grpc->mean_us / shm->mean_us);
    else
        fprintf(out, "gRPC is %.2fx faster than SHM-RPC", shm->mean_us / grpc->mean_us);
}

/** The pairs that are compared: like with like. */
static const struct pair {
    const char *shm;
    const char *grpc;
} pairs[] = {{"shmrpc-adaptive", "grpc-c-uds"},
             {"shmrpc-adaptive", "grpc-cpp-uds"},
             {"shmrpc-block", "grpc-c-uds"},
             {"shmrpc-spin", "grpc-c-uds-poll"},
             {"shm-rpc-bridge-py", "grpc-py-uds"}};
enum {
    PAIRS = sizeof pairs / sizeof *pairs
};

static bool pair_known(const struct bench *bench, enum section_id section, size_t size_index,
                       const struct pair *pair, const struct figures **shm,
                       const struct figures **grpc)
{
    *shm = figures_of(bench, section, size_index, row_find(pair->shm));
    *grpc = figures_of(bench, section, size_index, row_find(pair->grpc));
    return (*shm)->measured && (*grpc)->measured;
}

void report_size(FILE *out, const struct bench *bench, enum section_id section, size_t size_index)
{
    const struct figures *shm, *grpc;
    size_t size = bench->settings.sizes[size_index];
    fprintf(out, "\n" RULE "%s MESSAGE (%zu bytes)\n" RULE, size_word(size), size);
    for (int i = 0; i < ROW_COUNT; i++)
        if (figures_of(bench, section, size_index, i)->measured)
            report_row(out, rows[i].name, figures_of(bench, section, size_index, i));
    fprintf(out, "\nComparison:\n");
    for (int i = 0; i < PAIRS; i++) {
        if (!pair_known(bench, section, size_index, &pairs[i], &shm, &grpc))
            continue;
        fprintf(out, "  ");
        report_comparison(out, shm, grpc);
        fprintf(out, " (%s, %s)\n", pairs[i].shm, pairs[i].grpc);
    }
    fflush(out);
}

void report_table(FILE *out, const struct bench *bench, enum section_id section)
{
    fprintf(out, "\n%-18s %7s %11s %11s %11s %11s %11s %9s\n", "row", "bytes", "mean us", "p50 us",
            "p99 us", "p99.9 us", "CPU us", "calls");
    for (size_t size = 0; size < bench->settings.size_count; size++)
        for (int i = 0; i < ROW_COUNT; i++) {
            const struct figures *figures = figures_of(bench, section, size, i);
            if (figures->measured)
                fprintf(out, "%-18s %7zu %11.2f %11.2f %11.2f %11.2f %11.2f %8zu%s\n", rows[i].name,
                        bench->settings.sizes[size], figures->mean_us, figures->p50_us,
                        figures->p99_us, figures->p999_us, figures->cpu_us, figures->calls,
                        figures->cut_short ? "*" : "");
        }
    if (sections[section].limit_ms)
        fprintf(out, "* fewer calls than asked for: a round ends after %u s here\n",
                sections[section].limit_ms / 1000);
    fflush(out);
}

/** A winner line names the waiting policy and what both sides cost. */
static void report_winner(FILE *out, const struct pair *pair, const struct figures *shm,
                          const struct figures *grpc)
{
    bool ours = shm->mean_us <= grpc->mean_us;
    double factor = ours ? grpc->mean_us / shm->mean_us : shm->mean_us / grpc->mean_us;
    fprintf(out,
            "  Winner:   %s (%.2fx faster); %s against %s, waiting: %s; "
            "CPU/call: SHM-RPC %.2f \u03bcs, gRPC %.2f \u03bcs\n",
            ours ? "SHM-RPC" : "gRPC", factor, pair->shm, pair->grpc, policy_of(pair->shm),
            shm->cpu_us, grpc->cpu_us);
}

static void report_summary_size(FILE *out, const struct bench *bench, enum section_id section,
                                size_t size_index)
{
    const struct figures *shm, *grpc;
    bool first = true;
    for (int i = 0; i < PAIRS; i++) {
        if (!pair_known(bench, section, size_index, &pairs[i], &shm, &grpc))
            continue;
        if (first) {
            fprintf(out, "\n");
            print_size(out, bench->settings.sizes[size_index]);
            fprintf(out, section == SEED ? ":\n" : ", %s:\n", sections[section].title);
            fprintf(out, "  SHM-RPC:  %.2f \u03bcs/call\n  gRPC:     %.2f \u03bcs/call\n",
                    shm->mean_us, grpc->mean_us);
        }
        first = false;
        report_winner(out, &pairs[i], shm, grpc);
    }
}

static void report_ratios(FILE *out, const struct bench *bench)
{
    char note[512];
    fprintf(out, "\n" RULE "RATIOS (section seed, medians of the rounds)\n" RULE);
    for (int i = 0; i < RATIO_COUNT; i++) {
        const struct requirement *requirement = &requirements[i];
        fprintf(out, "\n%s%s / %s\n", requirement->of_cpu ? "CPU a call, " : "", requirement->above,
                requirement->below);
        for (int size = 0; size < SEED_SIZES; size++) {
            struct ratio ratio = ratio_of(bench, requirement, size);
            fprintf(out, "  %6zu bytes  ", seed_sizes[size]);
            if (!ratio.known)
                fprintf(out, "not measured\n");
            else
                fprintf(out, "%8.2f   required %s %5.2f   %s\n", ratio.value,
                        requirement->at_least ? ">=" : "<=", ratio.bound,
                        ratio.met ? "met" : "MISSED");
        }
    }
    fprintf(out, "\nNotes:\n");
    bool any = false;
    for (int i = 0; i < RATIO_COUNT; i++)
        for (int size = 0; size < SEED_SIZES; size++) {
            struct ratio ratio = ratio_of(bench, &requirements[i], size);
            if (!ratio.known || ratio.met)
                continue;
            ratio_note(&requirements[i], &ratio, size, note, sizeof note);
            fprintf(out, "  MISSED: %s\n", note);
            any = true;
        }
    if (!any)
        fprintf(out, "  No measured ratio is missed.\n");
}

void report_summary(FILE *out, const struct bench *bench)
{
    char took[32];
    fprintf(out, "\n\n" RULE "OVERALL SUMMARY\n" RULE);
    for (int section = 0; section < SECTION_COUNT; section++)
        for (size_t size = 0; size < bench->settings.size_count; size++)
            report_summary_size(out, bench, (enum section_id)section, size);
    report_ratios(out, bench);
    if (*bench->settings.python_missing)
        fprintf(out, "  No Python rows: %s\n", bench->settings.python_missing);
    format_seconds(took, sizeof took, bench->took_s);
    fprintf(out, "\n" RULE "Took %s. Every echo came back byte for byte.\n", took);
    fprintf(out, "Results: %s/results.json\nReport:  %s/report.html\n", bench->settings.results,
            bench->settings.results);
    fflush(out);
}

/* SPDX-License-Identifier: MIT
 *
 * What the parts of the harness share: rows, sections, settings and figures.
 */
#ifndef BENCH_H
#define BENCH_H

#include "sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum {
    MAX_SIZES = 8,
    MAX_ROUNDS = 99,
    ROW_COUNT = 11,
    CURVE_POINTS = 22,
    SEED_SIZES = 4
};

/* ---- What is measured (rows.c) ---- */

struct row {
    const char *name;
    const char *program; /* below the folder of programs; for Python the row of peer_python.py */
    const char *option;
    const char *what;
    bool python;
    bool socket;        /* its endpoint is a path, not a name in shared memory */
    double expected_us; /* of a small call, to foretell how long a run takes */
    double expected_us_per_kib;
};
extern const struct row rows[ROW_COUNT];
/** Index of a row by its name, or -1. */
int row_find(const char *name);

enum section_id {
    SEED,
    ESCAPES,
    PACED,
    ONE_CPU,
    LOADED,
    SECTION_COUNT
};

struct section {
    const char *name;
    const char *title;
    const char *what;
    size_t calls_divisor; /* a section whose calls are slow by design makes BENCH_ITERS / this */
    unsigned calls_per_s; /* 0: back to back */
    unsigned limit_ms;    /* a round ends after so long, whatever was done; 0: never */
    bool escapes;         /* text full of escapes and non-ASCII */
    bool every_size;      /* else 15 and 10,000 bytes only */
    bool one_cpu;
    bool loaded;
};
extern const struct section sections[SECTION_COUNT];

extern const size_t seed_sizes[SEED_SIZES];
/** "SMALL", "MEDIUM", "BIG", "LARGE", as the seed calls them. */
const char *size_word(size_t size);

/* ---- How (settings.c) ---- */

struct settings {
    size_t iterations;
    size_t rounds;
    size_t sizes[MAX_SIZES];
    size_t size_count;
    bool row_on[ROW_COUNT];
    bool section_on[SECTION_COUNT];
    size_t buffer_bytes;
    const char *programs;     /* folder of the peer programs */
    const char *results;      /* folder of what is written */
    const char *source;       /* folder of peer_python.py */
    char python[4096];        /* the interpreter with the packages */
    char python_missing[512]; /* why there are no Python rows, empty if there are */
};
/** From the environment and the command line. 0, or -1 after saying on stderr what is wrong. */
int settings_read(struct settings *settings, int argc, char **argv);
bool settings_size_on(const struct settings *settings, const struct section *section, size_t size);
size_t settings_calls_a_round(const struct settings *settings, const struct section *section);
size_t settings_warmup(const struct settings *settings, const struct section *section);

/* ---- The machine (machine.c) ---- */

struct machine {
    char cpu[128];
    char hypervisor[64];
    char system[128];
    char kernel[256];
    char libc[64];
    char compiler[64];
    char began[64]; /* UTC */
    int cpus_online;
    int cpus_allowed;
    unsigned long memory_mib;
    double load_before;
    char versions[ROW_COUNT][256];
};
void machine_describe(struct machine *machine, const struct settings *settings);

/* ---- Figures (figures.c) ---- */

/** One round of one row: what the client handed over. */
struct samples {
    struct sample_header header;
    uint32_t *latency_ns;
};

/** The rounds of one row, section and size, as they come in. */
struct series {
    size_t rounds;
    struct round_figures {
        double total_s, wall_s, mean_us, p50_us, p90_us, p99_us, p999_us, max_us, cpu_us;
        uint64_t rss_kib;
    } round[MAX_ROUNDS];
    uint32_t *pooled_ns;
    size_t calls;
    size_t capacity;
};

/** One row, section and size, when all its rounds are in. */
struct figures {
    bool measured;
    bool cut_short; /* the section's limit ended a round early */
    size_t calls;
    size_t rounds;
    double total_s; /* inside calls, all rounds */
    double wall_s;
    /* Medians of the rounds, with the least and the greatest of the means. */
    double mean_us, mean_us_min, mean_us_max;
    double p50_us, p90_us, p99_us, p999_us;
    double max_us; /* of all calls */
    double calls_per_s;
    double cpu_us; /* a call, user and system, both processes; median of the rounds */
    uint64_t peak_rss_kib;
    double curve_us[CURVE_POINTS]; /* of all calls, at curve_percentiles */
};
extern const double curve_percentiles[CURVE_POINTS];

/** Take a round in. 0, or -1 when memory ran out. */
int series_add(struct series *series, const struct samples *samples);
/** Compute, and empty the series. */
void series_finish(struct series *series, size_t calls_asked, struct figures *figures);

/* ---- The whole ---- */

struct bench {
    struct settings settings;
    struct machine machine;
    struct figures figures[SECTION_COUNT][MAX_SIZES][ROW_COUNT];
    double took_s;
};

static inline const struct figures *figures_of(const struct bench *bench, enum section_id section,
                                               size_t size_index, int row)
{
    return &bench->figures[section][size_index][row];
}

/* ---- What must hold (ratios.c) ---- */

enum {
    RATIO_COUNT = 5
};
struct requirement {
    const char *above; /* rows */
    const char *below;
    const char *floor; /* row: what the machine takes without a protocol; null for the CPU */
    bool of_cpu;       /* of the CPU a call, else of the mean latency */
    bool at_least;
    double bound[SEED_SIZES];
};
extern const struct requirement requirements[RATIO_COUNT];

struct ratio {
    bool known; /* both rows were measured at this size */
    bool met;
    double value, above, below, bound;
    double floor; /* 0: not measured */
};
struct ratio ratio_of(const struct bench *bench, const struct requirement *requirement,
                      int seed_size);
/** One line about a missed ratio: by how much, what would meet it, and the machine's share. */
void ratio_note(const struct requirement *requirement, const struct ratio *ratio, int seed_size,
                char *text, size_t capacity);
/** Index into settings.sizes of one of the seed's sizes, or -1. */
int seed_size_index(const struct settings *settings, int seed_size);

/* ---- Reports ---- */

/** How a duration, a rate and a time are written everywhere. */
void format_seconds(char *text, size_t capacity, double seconds);
void format_rate(char *text, size_t capacity, double per_second);

void report_head(FILE *out, const struct bench *bench, double expected_s);
void report_section_head(FILE *out, const struct section *section);
void report_size(FILE *out, const struct bench *bench, enum section_id section, size_t size_index);
void report_table(FILE *out, const struct bench *bench, enum section_id section);
void report_summary(FILE *out, const struct bench *bench);
/** "SHM-RPC is 5.72x faster than gRPC", for two rows. */
void report_comparison(FILE *out, const struct figures *shm, const struct figures *grpc);

/** 0, or -1 after saying on stderr what went wrong. */
int results_write(const struct bench *bench, const char *path);
int html_write(const struct bench *bench);

#endif

/* SPDX-License-Identifier: MIT
 *
 * All statistics of the benchmark, for every row alike: from latencies to percentiles, from rounds
 * to medians.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

const double curve_percentiles[CURVE_POINTS] = {0,    10,   20,   30,    40,    50,   60, 70,
                                                80,   85,   90,   92.5,  95,    97,   98, 99,
                                                99.5, 99.7, 99.9, 99.95, 99.97, 99.99};

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/** The nearest-rank percentile of sorted nanoseconds, in microseconds. */
static double percentile_us(const uint32_t *sorted, size_t count, double percentile)
{
    size_t rank = (size_t)(percentile / 100 * (double)count);
    return sorted[rank < count ? rank : count - 1] / 1000.0;
}

int series_add(struct series *series, const struct samples *samples)
{
    size_t count = samples->header.calls;
    if (series->calls + count > series->capacity) {
        size_t capacity = 2 * (series->calls + count);
        uint32_t *grown = realloc(series->pooled_ns, capacity * sizeof *grown);
        if (!grown)
            return -1;
        series->pooled_ns = grown;
        series->capacity = capacity;
    }
    uint32_t *sorted = series->pooled_ns + series->calls;
    memcpy(sorted, samples->latency_ns, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_u32);
    double total_ns = 0;
    for (size_t i = 0; i < count; i++)
        total_ns += sorted[i];
    series->round[series->rounds++] =
        (struct round_figures){.total_s = total_ns / 1e9,
                               .wall_s = (double)samples->header.wall_ns / 1e9,
                               .mean_us = total_ns / 1000 / (double)count,
                               .p50_us = percentile_us(sorted, count, 50),
                               .p90_us = percentile_us(sorted, count, 90),
                               .p99_us = percentile_us(sorted, count, 99),
                               .p999_us = percentile_us(sorted, count, 99.9),
                               .max_us = sorted[count - 1] / 1000.0,
                               .cpu_us = (double)samples->header.cpu_ns / 1000 / (double)count,
                               .rss_kib = samples->header.rss_kib};
    series->calls += count;
    return 0;
}

/** Sort one figure of all rounds; values[rounds / 2] is then its median. */
static void sort_rounds(const struct series *series, size_t offset, double values[MAX_ROUNDS])
{
    for (size_t i = 0; i < series->rounds; i++)
        memcpy(&values[i], (const char *)&series->round[i] + offset, sizeof values[i]);
    qsort(values, series->rounds, sizeof *values, compare_double);
}

static double median_of(const double *sorted, size_t count)
{
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

static double median_round(const struct series *series, size_t offset)
{
    double values[MAX_ROUNDS];
    sort_rounds(series, offset, values);
    return median_of(values, series->rounds);
}

#define MEDIAN(field) median_round(series, offsetof(struct round_figures, field))

void series_finish(struct series *series, size_t calls_asked, struct figures *figures)
{
    double means[MAX_ROUNDS];
    sort_rounds(series, offsetof(struct round_figures, mean_us), means);
    *figures = (struct figures){.measured = true,
                                .cut_short = series->calls < calls_asked,
                                .calls = series->calls,
                                .rounds = series->rounds,
                                .mean_us = median_of(means, series->rounds),
                                .mean_us_min = means[0],
                                .mean_us_max = means[series->rounds - 1],
                                .p50_us = MEDIAN(p50_us),
                                .p90_us = MEDIAN(p90_us),
                                .p99_us = MEDIAN(p99_us),
                                .p999_us = MEDIAN(p999_us),
                                .cpu_us = MEDIAN(cpu_us)};
    for (size_t i = 0; i < series->rounds; i++) {
        const struct round_figures *round = &series->round[i];
        figures->total_s += round->total_s;
        figures->wall_s += round->wall_s;
        if (round->max_us > figures->max_us)
            figures->max_us = round->max_us;
        if (round->rss_kib > figures->peak_rss_kib)
            figures->peak_rss_kib = round->rss_kib;
    }
    figures->calls_per_s = (double)figures->calls / figures->total_s;
    qsort(series->pooled_ns, series->calls, sizeof *series->pooled_ns, compare_u32);
    for (int i = 0; i < CURVE_POINTS; i++)
        figures->curve_us[i] =
            percentile_us(series->pooled_ns, series->calls, curve_percentiles[i]);
    free(series->pooled_ns);
    memset(series, 0, sizeof *series);
}

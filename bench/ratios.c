/* SPDX-License-Identifier: MIT
 *
 * Where SHM-RPC must stand, as ratios of medians of one run, and by how much it misses.
 */
#include "bench.h"

const struct requirement requirements[RATIO_COUNT] = {
    {"grpc-c-uds", "shmrpc-adaptive", "copy-limit", false, true, {40, 35, 12, 12}},
    {"shmrpc-adaptive", "copy-limit", "copy-limit", false, false, {2.3, 2.0, 1.9, 2.8}},
    {"grpc-c-uds", "shmrpc-block", "block-limit", false, true, {2.5, 2.5, 2.5, 6}},
    {"shmrpc-block", "block-limit", "block-limit", false, false, {1.25, 1.25, 1.3, 1.7}},
    {"shmrpc-block", "grpc-c-uds", NULL, true, false, {0.35, 0.35, 0.35, 0.35}},
};

int seed_size_index(const struct settings *settings, int seed_size)
{
    for (size_t i = 0; i < settings->size_count; i++)
        if (settings->sizes[i] == seed_sizes[seed_size])
            return (int)i;
    return -1;
}

struct ratio ratio_of(const struct bench *bench, const struct requirement *requirement,
                      int seed_size)
{
    struct ratio ratio = {.bound = requirement->bound[seed_size]};
    int size = seed_size_index(&bench->settings, seed_size);
    if (size < 0)
        return ratio;
    const struct figures *above =
        figures_of(bench, SEED, (size_t)size, row_find(requirement->above));
    const struct figures *below =
        figures_of(bench, SEED, (size_t)size, row_find(requirement->below));
    if (!above->measured || !below->measured)
        return ratio;
    ratio.known = true;
    if (requirement->floor != NULL) {
        const struct figures *floor =
            figures_of(bench, SEED, (size_t)size, row_find(requirement->floor));
        ratio.floor = floor->measured ? floor->mean_us : 0;
    }
    ratio.above = requirement->of_cpu ? above->cpu_us : above->mean_us;
    ratio.below = requirement->of_cpu ? below->cpu_us : below->mean_us;
    ratio.value = ratio.above / ratio.below;
    ratio.met = requirement->at_least ? ratio.value >= ratio.bound : ratio.value <= ratio.bound;
    return ratio;
}

void ratio_note(const struct requirement *requirement, const struct ratio *ratio, int seed_size,
                char *text, size_t capacity)
{
    double off =
        requirement->at_least ? 1 - ratio->value / ratio->bound : ratio->value / ratio->bound - 1;
    /* Of the two rows, the one of SHM-RPC is the one that would have to change. */
    const char *ours = requirement->at_least ? requirement->below : requirement->above;
    double now = requirement->at_least ? ratio->below : ratio->above;
    double need = requirement->at_least ? ratio->above / ratio->bound : ratio->below * ratio->bound;
    int length =
        snprintf(text, capacity,
                 "%s%s / %s at %zu bytes is %.2f, %s %.2f: missed by %.1f %%. "
                 "%s takes %.2f \u03bcs%s; %.2f \u03bcs would meet it.",
                 requirement->of_cpu ? "CPU a call, " : "", requirement->above, requirement->below,
                 seed_sizes[seed_size], ratio->value,
                 requirement->at_least ? "must be at least" : "may be at most", ratio->bound,
                 100 * off, ours, now, requirement->of_cpu ? " of CPU" : "", need);
    if (ratio->floor > 0 && length > 0 && (size_t)length < capacity)
        snprintf(text + length, capacity - (size_t)length,
                 need < ratio->floor ? " The machine alone (%s) takes more, %.2f \u03bcs: no "
                                       "protocol could meet it here."
                                     : " The machine alone (%s) takes %.2f \u03bcs; the other %.2f "
                                       "\u03bcs go into the JSON "
                                       "and the ids of both messages and into the four semaphores.",
                 requirement->floor, ratio->floor, now - ratio->floor);
}

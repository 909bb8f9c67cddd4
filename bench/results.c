/* SPDX-License-Identifier: MIT
 *
 * results.json: every figure, for other programs to read.
 */
#include "bench.h"

#include <cjson/cJSON.h>

#include <math.h>
#include <stdlib.h>

/** Nanoseconds are the last digit that means anything. */
static void add_us(cJSON *object, const char *name, double us)
{
    cJSON_AddNumberToObject(object, name, round(us * 1000) / 1000);
}

static void add_count(cJSON *object, const char *name, size_t count)
{
    cJSON_AddNumberToObject(object, name, (double)count);
}

static void add_row(cJSON *list, const struct section *section, const struct row *row, size_t size,
                    const struct figures *figures)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "section", section->name);
    cJSON_AddStringToObject(object, "peer", row->name);
    add_count(object, "size", size);
    add_count(object, "calls", figures->calls);
    add_count(object, "rounds", figures->rounds);
    cJSON_AddNumberToObject(object, "total_s", round(figures->total_s * 1e9) / 1e9);
    add_us(object, "mean_us", figures->mean_us);
    add_us(object, "mean_us_min", figures->mean_us_min);
    add_us(object, "mean_us_max", figures->mean_us_max);
    add_us(object, "p50_us", figures->p50_us);
    add_us(object, "p90_us", figures->p90_us);
    add_us(object, "p99_us", figures->p99_us);
    add_us(object, "p999_us", figures->p999_us);
    add_us(object, "max_us", figures->max_us);
    cJSON_AddNumberToObject(object, "calls_per_s", round(figures->calls_per_s * 10) / 10);
    add_us(object, "cpu_us_per_call", figures->cpu_us);
    add_count(object, "peak_rss_kib", figures->peak_rss_kib);
    cJSON_AddItemToArray(list, object);
}

static cJSON *machine_json(const struct machine *machine, const struct settings *settings)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "cpu", machine->cpu);
    cJSON_AddStringToObject(object, "hypervisor", machine->hypervisor);
    add_count(object, "cpus_online", (size_t)machine->cpus_online);
    add_count(object, "cpus_allowed", (size_t)machine->cpus_allowed);
    add_count(object, "memory_mib", machine->memory_mib);
    cJSON_AddStringToObject(object, "system", machine->system);
    cJSON_AddStringToObject(object, "kernel", machine->kernel);
    cJSON_AddStringToObject(object, "libc", machine->libc);
    cJSON_AddStringToObject(object, "compiler", machine->compiler);
    cJSON_AddStringToObject(object, "began", machine->began);
    add_us(object, "load_before", machine->load_before);
    cJSON *versions = cJSON_AddObjectToObject(object, "versions");
    for (int i = 0; i < ROW_COUNT; i++)
        if (settings->row_on[i])
            cJSON_AddStringToObject(versions, rows[i].name, machine->versions[i]);
    return object;
}

static cJSON *settings_json(const struct bench *bench)
{
    const struct settings *settings = &bench->settings;
    cJSON *object = cJSON_CreateObject();
    add_count(object, "iterations", settings->iterations);
    add_count(object, "rounds", settings->rounds);
    add_count(object, "buffer_bytes", settings->buffer_bytes);
    cJSON *sizes = cJSON_AddArrayToObject(object, "sizes");
    for (size_t i = 0; i < settings->size_count; i++)
        cJSON_AddItemToArray(sizes, cJSON_CreateNumber((double)settings->sizes[i]));
    cJSON *peers = cJSON_AddArrayToObject(object, "peers");
    for (int i = 0; i < ROW_COUNT; i++)
        if (settings->row_on[i])
            cJSON_AddItemToArray(peers, cJSON_CreateString(rows[i].name));
    cJSON *list = cJSON_AddObjectToObject(object, "sections");
    for (int i = 0; i < SECTION_COUNT; i++) {
        if (!settings->section_on[i])
            continue;
        cJSON *section = cJSON_AddObjectToObject(list, sections[i].name);
        cJSON_AddStringToObject(section, "what", sections[i].what);
        add_count(section, "calls_a_round", settings_calls_a_round(settings, &sections[i]));
        add_count(section, "warmup_calls", settings_warmup(settings, &sections[i]));
        add_count(section, "limit_ms_a_round", sections[i].limit_ms);
    }
    if (*settings->python_missing)
        cJSON_AddStringToObject(object, "no_python_rows", settings->python_missing);
    cJSON_AddNumberToObject(object, "took_s", round(bench->took_s * 10) / 10);
    return object;
}

static cJSON *ratios_json(const struct bench *bench)
{
    char name[128], note[512];
    cJSON *object = cJSON_CreateObject();
    for (int i = 0; i < RATIO_COUNT; i++) {
        const struct requirement *requirement = &requirements[i];
        snprintf(name, sizeof name, "%s%s / %s", requirement->of_cpu ? "cpu " : "",
                 requirement->above, requirement->below);
        cJSON *list = cJSON_AddObjectToObject(object, name);
        for (int size = 0; size < SEED_SIZES; size++) {
            struct ratio ratio = ratio_of(bench, requirement, size);
            if (!ratio.known)
                continue;
            snprintf(name, sizeof name, "%zu", seed_sizes[size]);
            cJSON *entry = cJSON_AddObjectToObject(list, name);
            add_us(entry, "value", ratio.value);
            cJSON_AddNumberToObject(entry, requirement->at_least ? "at_least" : "at_most",
                                    ratio.bound);
            cJSON_AddBoolToObject(entry, "met", ratio.met);
            ratio_note(requirement, &ratio, size, note, sizeof note);
            if (!ratio.met)
                cJSON_AddStringToObject(entry, "note", note);
        }
    }
    return object;
}

int results_write(const struct bench *bench, const char *path)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "schema", 1);
    cJSON_AddItemToObject(root, "machine", machine_json(&bench->machine, &bench->settings));
    cJSON_AddItemToObject(root, "settings", settings_json(bench));
    cJSON_AddItemToObject(root, "ratios", ratios_json(bench));
    cJSON *list = cJSON_AddArrayToObject(root, "rows");
    for (int section = 0; section < SECTION_COUNT; section++)
        for (size_t size = 0; size < bench->settings.size_count; size++)
            for (int row = 0; row < ROW_COUNT; row++) {
                const struct figures *figures =
                    figures_of(bench, (enum section_id)section, size, row);
                if (figures->measured)
                    add_row(list, &sections[section], &rows[row], bench->settings.sizes[size],
                            figures);
            }
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    FILE *file = text ? fopen(path, "w") : NULL;
    int failed = !file || fprintf(file, "%s\n", text) < 0;
    if (file && fclose(file) != 0)
        failed = 1;
    free(text);
    if (failed)
        perror(path);
    return failed ? -1 : 0;
}

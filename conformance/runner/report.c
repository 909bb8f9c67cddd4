/* SPDX-License-Identifier: MIT
 *
 * NDJSON is the source of every report: one line for the run, one a case, one for the sum.
 */
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- requirements ------------------------------------------------------------------------------------- */

void requirements_load(const char *root, struct requirements *requirements)
{
    char *path = kit_format("%s/../spec/shm-rpc.md", root);
    char *spec = file_read(path, NULL);
    memset(requirements, 0, sizeof *requirements);
    for (char *at = spec != NULL ? strstr(spec, "**SRPC-") : NULL; at != NULL;
         at = strstr(at + 2, "**SRPC-")) {
        struct requirement one = {0};
        char level[32];
        int end = 0;
        if (sscanf(at, "**%39[A-Z0-9-]** (%31[A-Za-z], %11[A-Z]) %n", one.id, level, one.strength,
                   &end) != 3 || end == 0)
            continue;
        if (strcmp(one.strength, "WORD") == 0) /* the line that shows how the lines look */
            continue;
        for (int i = 0; i < LEVEL_COUNT; i++)
            if (strcasecmp(level, level_names[i]) == 0)
                one.level = (enum kit_level)i;
        size_t length = strcspn(at + end, "\n");
        one.text = kit_format("%.*s", (int)length, at + end);
        struct requirement *grown =
            realloc(requirements->list, (requirements->count + 1) * sizeof *grown);
        if (grown == NULL)
            kit_die(4, "out of memory");
        requirements->list = grown;
        requirements->list[requirements->count++] = one;
    }
    free(spec);
    free(path);
}

/* ---- ndjson ------------------------------------------------------------------------------------------------ */

static cJSON *run_record(const struct results *results)
{
    cJSON *record = cJSON_CreateObject();
    cJSON_AddStringToObject(record, "type", "run");
    cJSON_AddStringToObject(record, "label", results->label);
    cJSON_AddStringToObject(record, "sandbox", sandbox_text(results->sandbox));
    cJSON_AddItemToObject(record, "hello", cJSON_Duplicate(results->hello, true));
    return record;
}

static cJSON *result_record(const struct results *results, const struct result *result)
{
    cJSON *record = cJSON_CreateObject();
    const cJSON *json = result->test->json;
    cJSON_AddStringToObject(record, "type", "result");
    cJSON_AddStringToObject(record, "label", results->label);
    cJSON_AddStringToObject(record, "case", result->test->id);
    cJSON_AddStringToObject(record, "pairing", result->pairing);
    cJSON_AddStringToObject(record, "title", json_text(json, "title", ""));
    cJSON_AddStringToObject(record, "level", level_names[result->test->level]);
    cJSON_AddStringToObject(record, "strength", result->test->strength);
    cJSON_AddStringToObject(record, "category", result->test->category);
    cJSON_AddItemToObject(record, "spec",
                          cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(json, "spec"), true));
    cJSON_AddStringToObject(record, "why", json_text(json, "why", ""));
    cJSON_AddStringToObject(record, "verdict", verdict_names[result->verdict]);
    cJSON_AddStringToObject(record, "class", result->class != NULL ? result->class : "");
    cJSON_AddStringToObject(record, "text", result->text != NULL ? result->text : "");
    if (result->reason != NULL)
        cJSON_AddStringToObject(record, "reason", result->reason);
    cJSON_AddNumberToObject(record, "points", result->points);
    cJSON_AddNumberToObject(record, "failed_points", result->failed_points);
    cJSON_AddNumberToObject(record, "ms", (double)result->ms);
    const cJSON *evidence = cJSON_GetObjectItemCaseSensitive(result->json, "evidence");
    if (evidence != NULL)
        cJSON_AddItemToObject(record, "evidence", cJSON_Duplicate(evidence, true));
    return record;
}

static void put_record(FILE *file, cJSON *record)
{
    char *line = cJSON_PrintUnformatted(record);
    text_clean(line);
    fprintf(file, "%s\n", line);
    free(line);
    cJSON_Delete(record);
}

static void make_directories(const char *path)
{
    char *copy = kit_copy(path);
    for (char *at = copy + 1; *at != '\0'; at++)
        if (*at == '/') {
            *at = '\0';
            mkdir(copy, 0755);
            *at = '/';
        }
    mkdir(copy, 0755);
    free(copy);
}

static bool unexpected(const struct result *result)
{
    return result->verdict != VERDICT_PASS && result->verdict != VERDICT_XFAIL &&
           result->verdict != VERDICT_SKIP;
}

static void print_unexpected(const struct result *result)
{
    const cJSON *evidence = cJSON_GetObjectItemCaseSensitive(result->json, "evidence");
    printf("%s %s/%s [%s] %s\n    %s\n", verdict_names[result->verdict], result->test->id,
           result->pairing, result->class != NULL ? result->class : "",
           json_text(result->test->json, "title", ""), result->text != NULL ? result->text : "");
    if (evidence != NULL)
        printf("    repeat: %s\n", json_text(evidence, "repeat", ""));
}

void report_write(const struct kit_options *options, const struct results *results)
{
    make_directories(options->output);
    char *path = kit_format("%s/%s.ndjson", options->output, results->label);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        kit_die(4, "cannot write %s: %s", path, strerror(errno));
    put_record(file, run_record(results));
    for (size_t i = 0; i < results->count; i++) {
        put_record(file, result_record(results, &results->list[i]));
        if (unexpected(&results->list[i]))
            print_unexpected(&results->list[i]);
    }
    fclose(file);
    bool other = strstr(options->reports, "html") != NULL || strstr(options->reports, "junit") != NULL;
    char *files[] = {path};
    if (other && report_merge(options, files, 1) != 0)
        kit_die(4, "the reports could not be written");
    free(path);
}

/* ---- the headline --------------------------------------------------------------------------------------------- */

static bool cites(const struct result *result, const char *id)
{
    return json_has(cJSON_GetObjectItemCaseSensitive(result->test->json, "spec"), id);
}

enum judgement { NOT_JUDGED, MET, UNMET_SKIPPED, UNMET_FAILED };

/* A requirement is met when every case that cites it was run and passed. Cases of a level above the
 * requirement's that the port does not claim ask for more than it does, and do not count. */
static enum judgement judge_requirement(const struct results *results,
                                        const struct requirement *requirement)
{
    enum judgement judgement = NOT_JUDGED;
    const cJSON *levels = cJSON_GetObjectItemCaseSensitive(results->hello, "levels");
    for (size_t i = 0; i < results->count; i++) {
        const struct result *result = &results->list[i];
        enum judgement one = result->verdict == VERDICT_PASS   ? MET
                             : result->verdict == VERDICT_SKIP ? UNMET_SKIPPED
                                                               : UNMET_FAILED;
        if (!cites(result, requirement->id))
            continue;
        if (one == UNMET_SKIPPED && result->test->level > requirement->level &&
            !json_has(levels, level_names[result->test->level]))
            continue;
        judgement = one > judgement ? one : judgement;
    }
    return judgement;
}

static void headline_of(const struct results *results, const struct requirements *requirements,
                        enum kit_level level)
{
    static const char *const strengths[] = {"MUST", "SHOULD"};
    bool claimed = json_has(cJSON_GetObjectItemCaseSensitive(results->hello, "levels"),
                            level_names[level]);
    int all[UNMET_FAILED + 1] = {0};
    int exempt = 0;
    printf("%s", level_names[level]);
    for (int s = 0; s < 2; s++) {
        int counts[UNMET_FAILED + 1] = {0};
        for (size_t i = 0; i < requirements->count; i++) {
            const struct requirement *one = &requirements->list[i];
            if (one->level == level && strcmp(one->strength, strengths[s]) == 0)
                counts[judge_requirement(results, one)]++;
        }
        for (int j = MET; j <= UNMET_FAILED; j++)
            all[j] += counts[j];
        exempt += s == 0 ? counts[NOT_JUDGED] : 0;
        printf("%s %s %d/%d", s == 0 ? "" : " ·", strengths[s], counts[MET],
               counts[MET] + counts[UNMET_SKIPPED] + counts[UNMET_FAILED]);
    }
    if (!claimed)
        printf(" (not claimed by the port)");
    else if (all[UNMET_FAILED] + all[UNMET_SKIPPED] > 0)
        printf(" (%d failed, %d with a case skipped)", all[UNMET_FAILED], all[UNMET_SKIPPED]);
    /* Of a whole run these are the ones that exempt.json gives a reason for. */
    if (exempt > 0)
        printf(" · %d MUST not judged from outside", exempt);
    printf("\n");
}

void report_headline(const char *root, const struct results *results)
{
    struct requirements requirements;
    int counts[VERDICT_COUNT] = {0};
    int points = 0, images = 0, environment = 0;
    for (size_t i = 0; i < results->count; i++) {
        const struct result *result = &results->list[i];
        counts[result->verdict]++;
        bool image = json_text(result->test->sweep, "images", NULL) != NULL;
        *(image ? &images : &points) += result->points;
        environment += result->verdict == VERDICT_SKIP && result->text != NULL &&
                       strncmp(result->text, "environment", 11) == 0;
    }
    printf("%s: %zu cases, %d crash points, %d images in %.1f s (%s)\n", results->label,
           results->count, points, images, (double)results->ms / 1000.0,
           sandbox_text(results->sandbox));
    for (int i = 0; i < VERDICT_COUNT; i++)
        if (counts[i] > 0)
            printf("%s %d  ", verdict_names[i], counts[i]);
    if (environment > 0)
        printf("(%d of the skips for want of rights here)", environment);
    /* A fault that is known is as expected as a pass. */
    int failed = counts[VERDICT_FAIL] + counts[VERDICT_CRASH] + counts[VERDICT_TIMEOUT] +
                 counts[VERDICT_XPASS] + counts[VERDICT_RUNNER_ERROR];
    printf("\n%d passed, %d failed, %d skipped\n", counts[VERDICT_PASS] + counts[VERDICT_XFAIL],
           failed, counts[VERDICT_SKIP]);
    requirements_load(root, &requirements);
    for (int level = 0; level < LEVEL_COUNT; level++)
        headline_of(results, &requirements, (enum kit_level)level);
}

int report_exit_code(const struct results *results)
{
    int code = results->unused > 0 ? 1 : 0;
    for (size_t i = 0; i < results->count; i++) {
        if (results->list[i].verdict == VERDICT_RUNNER_ERROR)
            return 4;
        if (unexpected(&results->list[i]))
            code = 1;
    }
    return code;
}

/* SPDX-License-Identifier: MIT
 *
 * Known faults of a port: a pattern of cases, the class of the failure, the reason. A known fault that
 * is gone, fails otherwise or matches nothing is as unexpected as a new one.
 */
#include "kit.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct expectations {
    cJSON *json;
    const cJSON *list;
    bool *used;
};

struct expectations *expectations_load(const char *path)
{
    struct expectations *expectations = kit_alloc(sizeof *expectations);
    if (path == NULL)
        return expectations;
    char *text = file_read(path, NULL);
    expectations->json = text != NULL ? cJSON_ParseWithOpts(text, NULL, true) : NULL;
    expectations->list = cJSON_GetObjectItemCaseSensitive(expectations->json, "expect");
    if (!cJSON_IsArray(expectations->list))
        kit_die(2, "%s: no JSON with a list 'expect'", path);
    const cJSON *one;
    cJSON_ArrayForEach(one, expectations->list)
    {
        if (json_text(one, "pattern", NULL) == NULL || json_text(one, "class", NULL) == NULL ||
            json_text(one, "reason", NULL) == NULL)
            kit_die(2, "%s: each expectation needs pattern, class and reason", path);
    }
    expectations->used = kit_alloc((size_t)cJSON_GetArraySize(expectations->list) * sizeof(bool));
    free(text);
    return expectations;
}

void expectations_free(struct expectations *expectations)
{
    cJSON_Delete(expectations->json);
    free(expectations->used);
    free(expectations);
}

bool expectations_wants(const struct expectations *expectations, const char *key)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, expectations->list)
    {
        if (json_flag(one, "beyond_level", false) &&
            fnmatch(json_text(one, "pattern", ""), key, 0) == 0)
            return true;
    }
    return false;
}

static void apply_one(struct result *result, const cJSON *one)
{
    const char *class = json_text(one, "class", "");
    if (result->verdict == VERDICT_PASS) {
        result->verdict = VERDICT_XPASS;
        result->text = kit_format("known as failing by %s: %s", class, json_text(one, "reason", ""));
    } else if (result->verdict == VERDICT_FAIL || result->verdict == VERDICT_CRASH ||
               result->verdict == VERDICT_TIMEOUT) {
        if (strcmp(class, result->class) == 0) {
            result->verdict = VERDICT_XFAIL;
            result->reason = kit_copy(json_text(one, "reason", ""));
        } else {
            char *text = kit_format("%s (known as failing by %s)", result->text, class);
            free(result->text);
            result->text = text;
        }
    }
}

void expectations_apply(struct expectations *expectations, struct results *results)
{
    for (size_t i = 0; i < results->count; i++) {
        struct result *result = &results->list[i];
        char key[256];
        const cJSON *one;
        int n = 0;
        snprintf(key, sizeof key, "%s/%s", result->test->id, result->pairing);
        cJSON_ArrayForEach(one, expectations->list)
        {
            const char *pattern = json_text(one, "pattern", "");
            int at = n++;
            if (fnmatch(pattern, key, 0) != 0 && fnmatch(pattern, result->test->id, 0) != 0)
                continue;
            /* What was not run says nothing about the fault. */
            expectations->used[at] = true;
            apply_one(result, one);
            break;
        }
    }
}

int expectations_unused(const struct expectations *expectations)
{
    const cJSON *one;
    int n = 0, unused = 0;
    cJSON_ArrayForEach(one, expectations->list)
    {
        if (!expectations->used[n++]) {
            fprintf(stderr, "expectation '%s' matches no case\n", json_text(one, "pattern", ""));
            unused++;
        }
    }
    return unused;
}

/* SPDX-License-Identifier: MIT
 *
 * Case files: loaded, checked against cases/schema.json, and held against the specification's ids.
 */
#include "kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const level_names[LEVEL_COUNT] = {"wire", "recovery", "hardened"};

static cJSON *schema;
static int faults;

static void fault(const char *file, const char *id, const char *text, const char *what)
{
    fprintf(stderr, "%s: %s: %s%s%s\n", file, id, text, what != NULL ? ": " : "",
            what != NULL ? what : "");
    faults++;
}

static bool has_type(const cJSON *item, const char *type)
{
    if (strcmp(type, "text") == 0)
        return cJSON_IsString(item);
    if (strcmp(type, "flag") == 0)
        return cJSON_IsBool(item);
    if (strcmp(type, "size") == 0)
        return cJSON_IsNumber(item) || cJSON_IsString(item);
    if (strcmp(type, "list") == 0)
        return cJSON_IsArray(item);
    if (strcmp(type, "object") == 0)
        return cJSON_IsObject(item);
    return strcmp(type, "any") == 0;
}

static void check_members(const char *file, const char *id, const cJSON *object,
                          const cJSON *allowed)
{
    const cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        const cJSON *type = cJSON_GetObjectItemCaseSensitive(allowed, member->string);
        if (type == NULL)
            fault(file, id, "unknown member", member->string);
        else if (!has_type(member, type->valuestring))
            fault(file, id, type->valuestring, member->string);
    }
}

static void check_steps(const char *file, const char *id, const cJSON *steps);

static void check_verb(const char *file, const char *id, const cJSON *verb)
{
    const cJSON *verbs = cJSON_GetObjectItemCaseSensitive(schema, "verbs");
    const cJSON *allowed = cJSON_GetObjectItemCaseSensitive(verbs, verb->string);
    if (cJSON_IsString(verb) && cJSON_GetObjectItemCaseSensitive(allowed, "") == NULL)
        fault(file, id, "needs an object", verb->string);
    if (cJSON_IsObject(verb))
        check_members(file, id, verb, allowed);
    if (strcmp(verb->string, "begin") == 0)
        check_verb(file, id, verb->child);
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(verb, "steps");
    if (inner != NULL)
        check_steps(file, id, inner);
}

static void check_step(const char *file, const char *id, const cJSON *step)
{
    const cJSON *verbs = cJSON_GetObjectItemCaseSensitive(schema, "verbs");
    const cJSON *beside = cJSON_GetObjectItemCaseSensitive(schema, "beside");
    const cJSON *member;
    int count = 0;
    cJSON_ArrayForEach(member, step)
    {
        if (cJSON_GetObjectItemCaseSensitive(verbs, member->string) != NULL) {
            count++;
            check_verb(file, id, member);
            if (!steps_known_verb(member->string))
                fault(file, id, "the schema knows a verb that the runner lacks", member->string);
        } else if (cJSON_GetObjectItemCaseSensitive(beside, member->string) == NULL) {
            fault(file, id, "unknown verb", member->string);
        }
    }
    if (count != 1)
        fault(file, id, "a step has exactly one verb", NULL);
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(step, "want");
    if (want != NULL)
        check_members(file, id, want, cJSON_GetObjectItemCaseSensitive(schema, "want"));
}

static void check_steps(const char *file, const char *id, const cJSON *steps)
{
    const cJSON *step;
    cJSON_ArrayForEach(step, steps)
    {
        check_step(file, id, step);
    }
}

static bool one_of(const char *text, const char *list)
{
    const cJSON *enums = cJSON_GetObjectItemCaseSensitive(schema, "values");
    return json_has(cJSON_GetObjectItemCaseSensitive(enums, list), text);
}

static void check_case(const char *file, const cJSON *json)
{
    const char *id = json_text(json, "id", "?");
    const cJSON *allowed = cJSON_GetObjectItemCaseSensitive(schema, "case");
    const cJSON *needed;
    check_members(file, id, json, allowed);
    cJSON_ArrayForEach(needed, cJSON_GetObjectItemCaseSensitive(schema, "needed"))
    {
        if (cJSON_GetObjectItemCaseSensitive(json, needed->valuestring) == NULL)
            fault(file, id, "lacks", needed->valuestring);
    }
    if (!one_of(json_text(json, "level", ""), "level"))
        fault(file, id, "unknown level", NULL);
    if (!one_of(json_text(json, "strength", ""), "strength"))
        fault(file, id, "unknown strength", NULL);
    if (!one_of(json_text(json, "category", ""), "category"))
        fault(file, id, "unknown category", NULL);
    const cJSON *expect = cJSON_GetObjectItemCaseSensitive(json, "expect");
    if (cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(expect, "any_of")) == 0)
        fault(file, id, "expect lacks any_of", NULL);
    check_steps(file, id, cJSON_GetObjectItemCaseSensitive(json, "steps"));
}

static enum kit_level level_of(const char *name)
{
    for (int i = 0; i < LEVEL_COUNT; i++)
        if (strcmp(level_names[i], name) == 0)
            return (enum kit_level)i;
    return LEVEL_WIRE;
}

static void add_case(struct kit_cases *cases, const char *file, const cJSON *json)
{
    check_case(file, json);
    const char *id = json_text(json, "id", "?");
    for (size_t i = 0; i < cases->count; i++)
        if (strcmp(cases->list[i].id, id) == 0)
            fault(file, id, "the id is used twice", NULL);
    struct kit_case *grown = realloc(cases->list, (cases->count + 1) * sizeof *grown);
    if (grown == NULL)
        kit_die(4, "out of memory");
    cases->list = grown;
    const cJSON *roles = cJSON_GetObjectItemCaseSensitive(json, "roles");
    struct kit_case one = {
        .id = id,
        .level = level_of(json_text(json, "level", "wire")),
        .strength = json_text(json, "strength", "MUST"),
        .category = json_text(json, "category", ""),
        .json = json,
        .sweep = cJSON_GetObjectItemCaseSensitive(json, "sweep"),
        .server_role = json_has(roles, "server"),
        .client_role = json_has(roles, "client"),
        .pair = json_flag(json, "pair", false),
    };
    cases->list[cases->count++] = one;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_case_file(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');
    return end != NULL && strcmp(end, ".json") == 0 && strcmp(entry->d_name, "schema.json") != 0 &&
           strcmp(entry->d_name, "exempt.json") != 0;
}

static void load_file(struct kit_cases *cases, const char *directory, const char *file)
{
    char *path = kit_format("%s/%s", directory, file);
    char *text = file_read(path, NULL);
    cJSON *json = text != NULL ? cJSON_ParseWithOpts(text, NULL, true) : NULL;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "cases");
    if (!cJSON_IsArray(list))
        fault(file, "?", "no JSON with a list of cases", text != NULL ? cJSON_GetErrorPtr() : NULL);
    const cJSON *one;
    cJSON_ArrayForEach(one, list)
    {
        add_case(cases, file, one);
    }
    free(text);
    free(path);
}

bool cases_load(const char *directory, struct kit_cases *cases)
{
    struct dirent **entries;
    char *path = kit_format("%s/schema.json", directory);
    char *text = file_read(path, NULL);
    schema = text != NULL ? cJSON_ParseWithOpts(text, NULL, true) : NULL;
    free(path);
    free(text);
    if (schema == NULL) {
        fprintf(stderr, "no schema.json in %s\n", directory);
        return false;
    }
    faults = 0;
    int count = scandir(directory, &entries, is_case_file, by_name);
    for (int i = 0; i < count; i++) {
        load_file(cases, directory, entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return faults == 0 && cases->count > 0;
}

/* ---- the gate -------------------------------------------------------------------------------------- */

/* The level of a requirement, or -1 if the specification does not have it. */
static int spec_level(const char *spec, const char *id)
{
    char *mark = kit_format("**%s** (", id);
    const char *at = strstr(spec, mark);
    int found = -1;
    for (int i = 0; at != NULL && i < LEVEL_COUNT; i++)
        if (strncasecmp(at + strlen(mark), level_names[i], strlen(level_names[i])) == 0)
            found = i;
    free(mark);
    return found;
}

static bool spec_has(const char *spec, const char *id)
{
    return spec_level(spec, id) >= 0;
}

/* A case whose requirements all belong to higher levels would judge ports that do not claim them. */
static int gate_levels(const struct kit_cases *cases, const char *spec, bool print)
{
    int count = 0;
    for (size_t i = 0; i < cases->count; i++) {
        const struct kit_case *one = &cases->list[i];
        int lowest = LEVEL_COUNT;
        const cJSON *id;
        cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(one->json, "spec"))
        {
            int level = spec_level(spec, id->valuestring);
            lowest = level >= 0 && level < lowest ? level : lowest;
        }
        if (lowest == LEVEL_COUNT || lowest <= (int)one->level)
            continue;
        count++;
        if (print)
            fprintf(stderr, "%s is of level %s and cites only requirements of higher levels\n",
                    one->id, level_names[one->level]);
    }
    return count;
}

static int gate_dead_ids(const struct kit_cases *cases, const char *spec, const cJSON *exempt,
                         bool print)
{
    int count = 0;
    for (size_t i = 0; i < cases->count; i++) {
        const cJSON *id;
        cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(cases->list[i].json, "spec"))
        {
            if (spec_has(spec, id->valuestring))
                continue;
            count++;
            if (print)
                fprintf(stderr, "%s cites %s, which is not in the specification\n",
                        cases->list[i].id, id->valuestring);
        }
    }
    const cJSON *one;
    cJSON_ArrayForEach(one, exempt)
    {
        if (!spec_has(spec, one->string)) {
            count++;
            if (print)
                fprintf(stderr, "exempt.json lists %s, which is not in the specification\n",
                        one->string);
        }
    }
    return count;
}

static bool cited(const struct kit_cases *cases, const char *id)
{
    for (size_t i = 0; i < cases->count; i++)
        if (json_has(cJSON_GetObjectItemCaseSensitive(cases->list[i].json, "spec"), id))
            return true;
    return false;
}

static int gate_musts(const struct kit_cases *cases, const char *spec, const cJSON *exempt,
                      bool print)
{
    int count = 0;
    for (const char *at = strstr(spec, "**SRPC-"); at != NULL; at = strstr(at + 2, "**SRPC-")) {
        char id[64], level[32], strength[32];
        if (sscanf(at, "**%63[A-Z0-9-]** (%31[A-Za-z], %31[A-Z])", id, level, strength) != 3 ||
            strcmp(strength, "MUST") != 0)
            continue;
        bool has_case = cited(cases, id);
        bool has_reason = cJSON_GetObjectItemCaseSensitive(exempt, id) != NULL;
        if (has_case != has_reason)
            continue;
        count++;
        if (print)
            fprintf(stderr, has_case ? "%s has a case and is exempt too\n"
                                     : "%s (%s MUST) has no case and no reason in exempt.json\n",
                    id, level);
    }
    return count;
}

/* One idea of the list, and the reason why it has no case, or null. */
struct idea {
    char *text;
    const char *reason;
    bool used;
};

enum { IDEAS_MAX = 512 };

static int ideas_read(char *text, struct idea *ideas)
{
    int count = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL && count < IDEAS_MAX;
         line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] == '#')
            continue;
        char *bar = strstr(line, " | ");
        if (bar != NULL)
            *bar = '\0';
        ideas[count++] = (struct idea){.text = line, .reason = bar != NULL ? bar + 3 : NULL};
    }
    return count;
}

static bool idea_use(struct idea *ideas, int count, const char *text, size_t length)
{
    for (int i = 0; i < count; i++)
        if (strlen(ideas[i].text) == length && strncmp(ideas[i].text, text, length) == 0)
            return ideas[i].used = true;
    return false;
}

/* The ideas of the cases that the list lacks. */
static int ideas_of_cases(const struct kit_cases *cases, struct idea *ideas, int count, bool print)
{
    int faulty = 0;
    for (size_t i = 0; i < cases->count; i++) {
        const char *at = json_text(cases->list[i].json, "idea", "");
        while (*at != '\0') {
            const char *end = strstr(at, "; ");
            size_t length = end != NULL ? (size_t)(end - at) : strlen(at);
            if (!idea_use(ideas, count, at, length)) {
                faulty++;
                if (print)
                    fprintf(stderr, "%s names an idea that ideas.txt lacks: %.*s\n",
                            cases->list[i].id, (int)length, at);
            }
            at += length + (end != NULL ? 2 : 0);
        }
    }
    return faulty;
}

/* Each idea has a case or a reason, not both, and no case has an idea of its own. */
static int gate_ideas(const struct kit_cases *cases, const char *exempt_path, bool print)
{
    static struct idea ideas[IDEAS_MAX];
    const char *slash = strrchr(exempt_path, '/');
    int directory = slash != NULL ? (int)(slash - exempt_path) + 1 : 0;
    char *path = kit_format("%.*sideas.txt", directory, exempt_path);
    char *text = file_read(path, NULL);
    int faulty = text == NULL;
    if (text == NULL && print)
        fprintf(stderr, "cannot read %s\n", path);
    int count = text != NULL ? ideas_read(text, ideas) : 0;
    faulty += text != NULL ? ideas_of_cases(cases, ideas, count, print) : 0;
    for (int i = 0; i < count; i++) {
        if (ideas[i].used != (ideas[i].reason != NULL))
            continue;
        faulty++;
        if (print)
            fprintf(stderr, "ideas.txt: %s: %s\n", ideas[i].text,
                    ideas[i].used ? "has a case and a reason too" : "has no case and no reason");
    }
    free(text);
    free(path);
    return faulty;
}

int cases_gate(const struct kit_cases *cases, const char *spec_path, const char *exempt_path,
               bool print)
{
    char *spec = file_read(spec_path, NULL);
    char *text = file_read(exempt_path, NULL);
    cJSON *json = text != NULL ? cJSON_ParseWithOpts(text, NULL, true) : NULL;
    const cJSON *exempt = cJSON_GetObjectItemCaseSensitive(json, "exempt");
    if (spec == NULL || exempt == NULL) {
        fprintf(stderr, "cannot read %s and %s\n", spec_path, exempt_path);
        return 1;
    }
    int count = gate_dead_ids(cases, spec, exempt, print) + gate_musts(cases, spec, exempt, print) +
                gate_levels(cases, spec, print) + gate_ideas(cases, exempt_path, print);
    free(spec);
    free(text);
    cJSON_Delete(json);
    return count;
}

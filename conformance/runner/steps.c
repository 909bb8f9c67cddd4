/* SPDX-License-Identifier: MIT
 *
 * The interpreter: finds the step's verb, runs it, and judges what it wants.
 */
#include "steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool at_outcome_step;

static const struct step_verb *find_in(const struct step_verb *verbs, const char *name)
{
    for (; verbs->name != NULL; verbs++)
        if (strcmp(verbs->name, name) == 0)
            return verbs;
    return NULL;
}

const struct step_verb *step_find(const char *name)
{
    const struct step_verb *const all[] = {adapter_verbs, raw_verbs, kernel_verbs, flow_verbs};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const struct step_verb *found = find_in(all[i], name);
        if (found != NULL)
            return found;
    }
    return NULL;
}

bool steps_known_verb(const char *verb)
{
    return step_find(verb) != NULL;
}

const cJSON *step_verb_of(const cJSON *step)
{
    const cJSON *member;
    cJSON_ArrayForEach(member, step)
    {
        if (step_find(member->string) != NULL)
            return member;
    }
    return NULL;
}

void run_outcome(struct run *run, const char *outcome)
{
    snprintf(run->outcome, sizeof run->outcome, "%s", outcome);
}

void run_detail(struct run *run, const char *format, ...)
{
    va_list arguments;
    run->detail.length = 0;
    va_start(arguments, format);
    text_vprintf(&run->detail, format, arguments);
    va_end(arguments);
}

/* "peer_gone" stands for both of its kinds, "refused" for every class that says no. */
static bool alias_covers(const char *alias, const char *outcome)
{
    if (strcmp(alias, outcome) == 0)
        return true;
    if (strcmp(alias, "peer_gone") == 0)
        return strncmp(outcome, "peer_gone_", 10) == 0;
    if (strcmp(alias, "refused") == 0)
        return strcmp(outcome, "busy") == 0 || strcmp(outcome, "system") == 0 ||
               strcmp(outcome, "protocol") == 0 || strcmp(outcome, "invalid") == 0 ||
               strcmp(outcome, "not_found") == 0 || strcmp(outcome, "too_large") == 0;
    return false;
}

bool outcome_in(const char *outcome, const cJSON *any_of)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, any_of)
    {
        if (alias_covers(one->valuestring, outcome))
            return true;
    }
    return false;
}

bool step_allows(struct run *run, const cJSON *step, const char *outcome)
{
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(step, "want");
    const char *class = json_text(want, "class", NULL);
    const cJSON *any_of = cJSON_GetObjectItemCaseSensitive(want, "any_of");
    if (class != NULL)
        return alias_covers(class, outcome);
    if (any_of != NULL)
        return outcome_in(outcome, any_of);
    if (at_outcome_step || json_flag(step, "outcome", false)) {
        const cJSON *expect = cJSON_GetObjectItemCaseSensitive(run->test->json, "expect");
        return outcome_in(outcome, cJSON_GetObjectItemCaseSensitive(expect, "any_of"));
    }
    return strcmp(outcome, "ok") == 0;
}

static void want_result(struct run *run, const cJSON *want)
{
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(want, "result");
    const char *text = json_text(want, "result_text", NULL);
    if (result != NULL) {
        cJSON *got = run->value != NULL ? cJSON_Parse(run->value) : NULL;
        if (got == NULL || !cJSON_Compare(result, got, true))
            run_fail(run, "wrong_result", "the result is %.200s", run->value ? run->value : "none");
        cJSON_Delete(got);
    }
    if (text != NULL) {
        struct kit_text expanded = {0};
        message_expand(run, text, 0, &expanded);
        if (run->value == NULL || strcmp(run->value, expanded.data) != 0)
            run_fail(run, "wrong_result", "the result is %.200s, not %.200s",
                     run->value ? run->value : "none", expanded.data);
        text_free(&expanded);
    }
}

static void want_error(struct run *run, const cJSON *want)
{
    const char *value = run->value != NULL ? run->value : "";
    const char *error = json_text(want, "error", NULL);
    const char *prefix = json_text(want, "error_prefix", NULL);
    const char *part = json_text(want, "error_part", NULL);
    if (error != NULL && strcmp(error, value) != 0)
        run_fail(run, "wrong_error", "the error is '%.200s', not '%.200s'", value, error);
    if (prefix != NULL && strncmp(prefix, value, strlen(prefix)) != 0)
        run_fail(run, "wrong_error", "the error is '%.200s', it should begin with '%.200s'", value,
                 prefix);
    const char *hex = json_text(want, "error_hex", NULL);
    if (hex != NULL && (run->error_hex == NULL || strcmp(hex, run->error_hex) != 0))
        run_fail(run, "wrong_error", "the bytes of the error are %.300s",
                 run->error_hex != NULL ? run->error_hex : "not said");
    if (part != NULL && strstr(value, part) == NULL)
        run_fail(run, "wrong_error", "the error is '%.200s', it should hold '%.200s'", value, part);
}

/* What the step may end as, for a message. */
static char *allowed_text(struct run *run, const cJSON *step, bool is_outcome)
{
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(step, "want");
    const cJSON *any_of = cJSON_GetObjectItemCaseSensitive(want, "any_of");
    const cJSON *expect = cJSON_GetObjectItemCaseSensitive(run->test->json, "expect");
    if (any_of == NULL && is_outcome)
        any_of = cJSON_GetObjectItemCaseSensitive(expect, "any_of");
    if (any_of == NULL || json_text(want, "class", NULL) != NULL)
        return kit_copy(json_text(want, "class", "ok"));
    struct kit_text text = {0};
    const cJSON *one;
    cJSON_ArrayForEach(one, any_of)
        text_printf(&text, "%s%s", text.length > 0 ? " or " : "", one->valuestring);
    return text.data;
}

static void judge(struct run *run, const cJSON *step, const cJSON *verb, bool is_outcome)
{
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(step, "want");
    if (is_outcome) {
        snprintf(run->expected_outcome, sizeof run->expected_outcome, "%s", run->outcome);
        run->have_outcome = true;
    }
    if (!step_allows(run, step, run->outcome))
        run_fail(run, run->outcome, "step %d, %s: the outcome is %s, it should be %s. %s",
                 run->step_number, verb->string, run->outcome,
                 allowed_text(run, step, is_outcome),
                 run->detail.data != NULL ? run->detail.data : "");
    want_result(run, want);
    want_error(run, want);
}

/* A sweep's last run ends without a victim; and what a failed verb left is judged only if it failed. */
static bool when_holds(struct run *run, const cJSON *step)
{
    const char *when = json_text(step, "when", NULL);
    if (when == NULL)
        return true;
    if (strcmp(when, "killed") == 0)
        return run->victim_reached;
    if (strcmp(when, "lived") == 0)
        return !run->victim_reached;
    if (strcmp(when, "refused") == 0)
        return run->refused;
    if (strcmp(when, "accepted") == 0)
        return !run->refused;
    run_error(run, "unknown condition %s", when);
}

void step_run(struct run *run, const cJSON *step)
{
    const cJSON *verb = step_verb_of(step);
    bool is_outcome = at_outcome_step || json_flag(step, "outcome", false);
    if (verb == NULL)
        run_error(run, "a step has no verb");
    if (!when_holds(run, step))
        return;
    char *shown = cJSON_PrintUnformatted(step);
    run->step_number++;
    run_log(run, "%d: %.300s", run->step_number, shown);
    free(shown);
    run_outcome(run, "ok");
    run->detail.length = 0;
    if (run->detail.data != NULL)
        run->detail.data[0] = '\0';
    step_find(verb->string)->function(run, verb, step);
    if (strcmp(run->outcome, "ok") != 0 || run->value != NULL)
        run_log(run, "   -> %s %.200s", run->outcome, run->value != NULL ? run->value : "");
    if (json_flag(step, "branch", false))
        run->refused = strcmp(run->outcome, "ok") != 0;
    judge(run, step, verb, is_outcome);
}

static bool any_marked(const cJSON *steps)
{
    const cJSON *step;
    cJSON_ArrayForEach(step, steps)
    {
        if (json_flag(step, "outcome", false))
            return true;
    }
    return false;
}

/* The case is about the step that says so, else about its last one. */
void steps_run(struct run *run, const cJSON *steps)
{
    bool marked = any_marked(steps);
    const cJSON *step;
    cJSON_ArrayForEach(step, steps)
    {
        at_outcome_step = !marked && step->next == NULL;
        step_run(run, step);
    }
    at_outcome_step = false;
}

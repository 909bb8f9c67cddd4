/* SPDX-License-Identifier: MIT
 *
 * Steps made of steps: repetition, races, state images, and what must hold when a case has ended.
 */
#include "steps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void note_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)run;
    (void)arguments;
    (void)step;
}

static void repeat_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    const cJSON *steps = cJSON_GetObjectItemCaseSensitive(arguments, "steps");
    int64_t times = step_number(run, arguments, "times", 1);
    (void)step;
    for (int64_t i = 0; i < times; i++) {
        const cJSON *inner;
        size_t log = run->log.length;
        run->round = (int)i;
        cJSON_ArrayForEach(inner, steps)
        {
            step_run(run, inner);
        }
        /* Only the last round is of interest to who reads the evidence. */
        if (i + 1 < times) {
            run->log.length = log;
            run->log.data[log] = '\0';
        }
        free(run->value);
        run->value = NULL;
    }
    run_outcome(run, "ok");
}

/* ---- calls ---------------------------------------------------------------------------------------- */

static struct adapter *live_client(struct run *run)
{
    for (int i = run->actor_count - 1; i >= 0; i--) {
        struct adapter *adapter = &run->actors[i];
        if (strncmp(adapter->actor, "client", 6) == 0 && adapter->client[0] != '\0' &&
            !adapter_dead(adapter))
            return adapter;
    }
    return NULL;
}

static struct raw *raw_server(struct run *run)
{
    for (int i = 0; i < run->raw_count; i++)
        if (run->raws[i].owner && run->raws[i].map[RAW_REQ] != NULL)
            return &run->raws[i];
    return NULL;
}

static void client_call_once(struct run *run, struct adapter *client, bool may_fail)
{
    cJSON *step = cJSON_Parse(may_fail ? "{\"client.call\":{\"method\":\"echo\"},\"want\":{\"any_of\":"
                                         "[\"ok\",\"peer_gone_not_started\",\"not_found\"]}}"
                                       : "{\"client.call\":{\"method\":\"echo\"},\"want\":{\"class\":"
                                         "\"ok\"}}");
    const cJSON *arguments = cJSON_GetObjectItemCaseSensitive(step, "client.call");
    struct raw *server = raw_server(run);
    send_call(run, client, "client.call", arguments);
    if (server != NULL) {
        raw_take_request(run, server);
        if (strcmp(run->outcome, "ok") == 0) {
            cJSON *answer = cJSON_CreateObject();
            if (raw_wait_alive(run, server, RAW_RESP_EMPTY) != NULL)
                run_fail(run, "hang", "the response slot is never free");
            raw_send_message(run, server, answer, true);
            raw_post(server, RAW_RESP_FULL);
            cJSON_Delete(answer);
        }
    }
    run_await(run, client, step);
    if (!step_allows(run, step, run->outcome))
        run_fail(run, run->outcome, "a clean call ended as %s. %s", run->outcome,
                 run->detail.data != NULL ? run->detail.data : "");
    cJSON_Delete(step);
}

static struct raw *raw_client(struct run *run)
{
    struct raw *raw = run_raw(run, "calls", true);
    char why[700];
    raw_unmap(raw);
    if (!raw_open(raw, run->channel, why, sizeof why))
        run_fail(run, "not_published", "there is no channel to call: %s", why);
    return raw;
}

void calls_run(struct run *run, int times, bool first_may_fail)
{
    struct adapter *client = live_client(run);
    struct raw *raw = client == NULL ? raw_client(run) : NULL;
    for (int i = 0; i < times; i++) {
        size_t log = run->log.length;
        if (client != NULL)
            client_call_once(run, client, first_may_fail && i == 0);
        else
            raw_call_echo(run, raw);
        run->log.length = log;
    }
    run_outcome(run, "ok");
    if (raw != NULL)
        raw_unmap(raw);
    free(run->value);
    run->value = NULL;
}

static void calls_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)step;
    calls_run(run, (int)step_number(run, arguments, "times", 100),
              json_flag(arguments, "first_may_fail", false));
}

/* ---- races ------------------------------------------------------------------------------------------ */

static void race_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    const cJSON *actors = cJSON_GetObjectItemCaseSensitive(arguments, "actors");
    const char *verb = json_text(arguments, "verb", "server.start");
    cJSON *any = cJSON_Parse("{\"want\":{\"any_of\":[\"ok\",\"busy\",\"killed\"]}}");
    const cJSON *actor;
    int winners = 0;
    (void)step;
    cJSON_ArrayForEach(actor, actors)
    {
        run_actor(run, actor->valuestring);
    }
    cJSON_ArrayForEach(actor, actors)
    {
        send_call(run, run_actor(run, actor->valuestring), verb, arguments);
    }
    cJSON_ArrayForEach(actor, actors)
    {
        run_await(run, run_actor(run, actor->valuestring), any);
        run_log(run, "   %s: %s", actor->valuestring, run->outcome);
        if (!step_allows(run, any, run->outcome))
            run_fail(run, run->outcome, "%s: %s %s", actor->valuestring, run->outcome,
                     run->detail.data != NULL ? run->detail.data : "");
        winners += strcmp(run->outcome, "ok") == 0;
    }
    cJSON_Delete(any);
    run_outcome(run, winners == 1 ? "ok" : winners == 0 ? "no_winner" : "two_winners");
}

/* ---- state images ------------------------------------------------------------------------------------- */

static cJSON *image_read(struct run *run, const char *name)
{
    char *path = kit_format("%s/cases/images/%s.json", run->options->root, name);
    char *text = file_read(path, NULL);
    cJSON *image = text != NULL ? cJSON_Parse(text) : NULL;
    if (image == NULL)
        run_error(run, "cannot read the image %s", path);
    free(path);
    free(text);
    return image;
}

static void image_message(struct run *run, struct raw *raw, const cJSON *image, bool answer)
{
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(image, answer ? "resp" : "req");
    if (message != NULL)
        raw_send_message(run, raw, message, answer);
}

/* The value is looked at once: a living server takes what is posted at once. */
static void drive_value(struct raw *raw, int semaphore, int wanted)
{
    int missing = wanted - raw_value(raw, semaphore);
    for (; missing < 0 && raw_wait(raw, semaphore, 0); missing++)
        ;
    for (; missing > 0; missing--)
        raw_post(raw, semaphore);
}

/* A dead server's objects: made by us, without lock and without any process that holds them. */
static void image_dead(struct run *run, struct raw *raw, const cJSON *image)
{
    const cJSON *absent = cJSON_GetObjectItemCaseSensitive(image, "absent");
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(image, "values");
    const cJSON *sizes = cJSON_GetObjectItemCaseSensitive(image, "sizes");
    bool marked = json_flag(image, "marked", true);
    snprintf(raw->name, sizeof raw->name, "%s", run->channel);
    for (int i = 0; i < RAW_OBJECTS; i++) {
        if (json_has(absent, raw_object_names[i]))
            continue;
        int fallback = i == RAW_REQ_EMPTY || i == RAW_RESP_EMPTY;
        int value = (int)step_number(run, values, raw_object_names[i], fallback);
        size_t bytes = (size_t)step_number(run, sizes, raw_object_names[i], run->buffer_bytes);
        unsigned mode = marked ? 01600 : 0600;
        if (!raw_make(raw, i, bytes, value, mode, false))
            run_error(run, "cannot make %s: %s", raw_object_names[i], strerror(errno));
    }
    if (raw->map[RAW_REQ] != NULL)
        image_message(run, raw, image, false);
    if (raw->map[RAW_RESP] != NULL)
        image_message(run, raw, image, true);
    raw_unmap(raw);
    raw->owner = false;
}

/* What a dead client left on a living server's channel: done with its own moves, then gone. The two
 * "full" values come last, so that the server wakes to the finished picture. */
static void image_living(struct run *run, struct raw *raw, const cJSON *image)
{
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(image, "values");
    static const int order[] = {RAW_REQ_EMPTY, RAW_RESP_EMPTY, RAW_RESP_FULL, RAW_REQ_FULL};
    char why[700];
    if (!raw_open(raw, run->channel, why, sizeof why))
        run_fail(run, "not_published", "%s", why);
    image_message(run, raw, image, false);
    image_message(run, raw, image, true);
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        const char *name = raw_object_names[order[i]];
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(values, name);
        if (value != NULL)
            drive_value(raw, order[i], (int)run_number(run, value, 0));
    }
    raw_unmap(raw);
}

void image_load(struct run *run, const char *name, const cJSON *step)
{
    cJSON *image = image_read(run, name);
    struct raw *raw = run_raw(run, "image", true);
    (void)step;
    run_log(run, "   image %s", name);
    raw_init(raw);
    if (strcmp(json_text(image, "kind", ""), "repair") == 0)
        image_living(run, raw, image);
    else
        image_dead(run, raw, image);
    cJSON_Delete(image);
}

/* The n-th image of a kind; false if there are not so many. Also used by the scheduler to count. */
static bool image_nth(const char *root, const char *kind, int n, char name[128])
{
    char *path = kit_format("%s/cases/images/index.json", root);
    char *text = file_read(path, NULL);
    cJSON *index = text != NULL ? cJSON_Parse(text) : NULL;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(index, kind);
    const cJSON *item = cJSON_GetArrayItem(list, n - 1);
    if (item != NULL)
        snprintf(name, 128, "%s", item->valuestring);
    bool found = item != NULL;
    cJSON_Delete(index);
    free(path);
    free(text);
    return found;
}

static void image_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    char name[128];
    const char *wanted = cJSON_IsString(arguments) ? arguments->valuestring
                                                   : json_text(arguments, "name", NULL);
    if (wanted == NULL) {
        const char *kind = json_text(run->test->sweep, "images", "");
        if (!image_nth(run->options->root, kind, run->point, name)) {
            run->sweep_ended = true;
            run_finish(run, VERDICT_PASS, "pass", "no further image");
        }
        wanted = name;
        run->victim_reached = true;
    }
    image_load(run, wanted, step);
}

const struct step_verb flow_verbs[] = {{"note", note_step},   {"repeat", repeat_step},
                                       {"calls", calls_step}, {"race", race_step},
                                       {"image", image_step}, {"load_image", image_step},
                                       {NULL, NULL}};

/* ---- then ------------------------------------------------------------------------------------------------ */

static void step_text(struct run *run, const char *text)
{
    cJSON *step = cJSON_Parse(text);
    if (step == NULL)
        run_error(run, "bad step %s", text);
    step_run(run, step); /* not freed: an actor may keep its arguments */
}

static struct adapter *live_server(struct run *run)
{
    for (int i = run->actor_count - 1; i >= 0; i--) {
        struct adapter *adapter = &run->actors[i];
        if (strncmp(adapter->actor, "server", 6) == 0 && !adapter_dead(adapter) &&
            adapter->server[0] != '\0')
            return adapter;
    }
    return NULL;
}

static bool restarted;

static void then_restart(struct run *run)
{
    struct adapter *server = live_server(run);
    struct raw *raw = raw_server(run);
    restarted = true;
    if (raw != NULL) {
        char name[64];
        int i = (int)(raw - run->raws);
        raw_unlink(raw);
        raw_unmap(raw);
        snprintf(name, sizeof name, "{\"raw.create\":{\"peer\":\"%s\",\"marked\":%s}}",
                 run->raw_labels[i], raw->marked ? "true" : "false");
        step_text(run, name);
        return;
    }
    if (server != NULL) {
        char text[128];
        snprintf(text, sizeof text, "{\"server.stop\":{\"actor\":\"%s\"}}", server->actor);
        step_text(run, text);
    }
    step_text(run, "{\"spawn\":{\"actor\":\"server9\"}}");
    step_text(run, "{\"server.start\":{\"actor\":\"server9\"}}");
}

static void then_ledger_zero(struct run *run)
{
    for (int i = 0; i < run->actor_count; i++) {
        struct adapter *adapter = &run->actors[i];
        char text[128];
        if (adapter_dead(adapter) || adapter->client[0] == '\0')
            continue;
        snprintf(text, sizeof text, "{\"client.close\":{\"actor\":\"%s\"}}", adapter->actor);
        step_text(run, text);
    }
    for (struct adapter *server = live_server(run); server != NULL; server = live_server(run)) {
        char text[128];
        snprintf(text, sizeof text, "{\"server.stop\":{\"actor\":\"%s\"}}", server->actor);
        step_text(run, text);
    }
    for (int i = 0; i < run->raw_count; i++) {
        if (run->raws[i].owner && run->raws[i].map[RAW_REQ] != NULL)
            raw_unlink(&run->raws[i]);
        raw_unmap(&run->raws[i]);
    }
    for (int i = 0; i < run->actor_count; i++) {
        char text[128];
        if (adapter_dead(&run->actors[i]))
            continue;
        snprintf(text, sizeof text, "{\"ledger.none\":{\"actor\":\"%s\"}}", run->actors[i].actor);
        step_text(run, text);
        snprintf(text, sizeof text, "{\"quit\":{\"actor\":\"%s\"}}", run->actors[i].actor);
        step_text(run, text);
    }
    struct kit_text left = {0};
    if (run->prefix[0] == '\0' && shm_list(&left) > 0)
        run_fail(run, "left_behind", "/dev/shm holds: %s", left.data);
    text_free(&left);
}

void then_run(struct run *run, const cJSON *then)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, then)
    {
        const char *what = item->valuestring;
        run_log(run, "then %s", what);
        if (strcmp(what, "restart") == 0)
            then_restart(run);
        else if (strncmp(what, "calls:", 6) == 0)
            calls_run(run, atoi(what + 6), restarted);
        else if (strcmp(what, "idle_state") == 0)
            step_text(run, "{\"idle\":{}}");
        else if (strcmp(what, "ledger_zero") == 0)
            then_ledger_zero(run);
        else
            run_error(run, "unknown then: %s", what);
    }
}

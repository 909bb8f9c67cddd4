/* SPDX-License-Identifier: MIT
 *
 * Steps of the raw peer, in either role.
 */
#include "steps.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct raw *run_raw(struct run *run, const char *label, bool make)
{
    for (int i = 0; i < run->raw_count; i++)
        if (strcmp(run->raw_labels[i], label) == 0)
            return &run->raws[i];
    if (!make)
        run_error(run, "the raw peer '%s' is not open", label);
    if (run->raw_count == ACTOR_MAX)
        run_error(run, "too many raw peers");
    struct raw *raw = &run->raws[run->raw_count];
    snprintf(run->raw_labels[run->raw_count++], sizeof run->raw_labels[0], "%s", label);
    raw_init(raw);
    return raw;
}

static struct raw *raw_of(struct run *run, const cJSON *arguments)
{
    return run_raw(run, json_text(arguments, "peer", "raw"), false);
}

static const char *dead_actor(struct run *run)
{
    for (int i = 0; i < run->actor_count; i++)
        if (!run->actors[i].killed_by_us && !run->actors[i].mourned && adapter_dead(&run->actors[i]))
            return run->actors[i].actor;
    return NULL;
}

const char *raw_wait_alive(struct run *run, struct raw *raw, int semaphore)
{
    struct patience patience = patience_begin(run->options->patience_ms);
    while (!raw_wait(raw, semaphore, 20)) {
        const char *dead = dead_actor(run);
        if (dead != NULL) {
            run_detail(run, "%s ended: %s", dead, adapter_death(run_find_actor(run, dead)));
            return "died";
        }
        if (!raw->owner && raw_present(raw->name) < RAW_OBJECTS) {
            run_detail(run, "the server took its channel away");
            return "server_gone";
        }
        if (patience_over(&patience)) {
            run_detail(run, "waited in vain for %s", raw_object_names[semaphore]);
            return "hang";
        }
    }
    return NULL;
}

/* What cannot be had ends the case, unless the step allows for it. */
static bool lost(struct run *run, const cJSON *step, const char *outcome)
{
    if (outcome == NULL)
        return false;
    run_outcome(run, outcome);
    for (int i = 0; i < run->actor_count; i++) {
        struct adapter *adapter = &run->actors[i];
        if (adapter->tracer == NULL || !adapter->tracer->reached ||
            adapter->tracer->action != TRACE_KILL || !adapter_dead(adapter))
            continue;
        run->victim_reached = true;
        adapter->mourned = true;
        run_outcome(run, "killed");
    }
    if (step_allows(run, step, run->outcome)) {
        for (int i = 0; i < run->actor_count; i++)
            run->actors[i].mourned = run->actors[i].mourned || adapter_dead(&run->actors[i]);
        return true;
    }
    run_fail(run, strcmp(outcome, "died") == 0 ? "crash" : outcome, "%s",
             run->detail.data != NULL ? run->detail.data : "");
}

/* ---- life --------------------------------------------------------------------------------------- */

static void open_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = run_raw(run, json_text(arguments, "peer", "raw"), true);
    char why[700] = "";
    (void)step;
    raw_unmap(raw);
    if (!raw_open(raw, run_channel(run, arguments), why, sizeof why)) {
        run_outcome(run, "not_found");
        run_detail(run, "%s", why);
    }
}

static void create_one(struct run *run, struct raw *raw, int object, const cJSON *arguments)
{
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(arguments, "values");
    const cJSON *sizes = cJSON_GetObjectItemCaseSensitive(arguments, "sizes");
    const cJSON *modes = cJSON_GetObjectItemCaseSensitive(arguments, "modes");
    const char *name = raw_object_names[object];
    bool segment = object < RAW_REQ_EMPTY;
    bool marked = json_flag(arguments, "marked", false);
    int64_t buffer = step_number(run, arguments, "buffer", run->buffer_bytes);
    int value = object == RAW_REQ_EMPTY || object == RAW_RESP_EMPTY;
    value = (int)step_number(run, values, name, value);
    unsigned mode = (unsigned)strtoul(json_text(modes, name, "600"), NULL, 8);
    if (marked)
        mode |= 01000;
    bool lock = marked && json_flag(arguments, "lock", true);
    int64_t size = segment ? step_number(run, sizes, name, buffer) : 0;
    if (!raw_make(raw, object, (size_t)size, value, mode, lock))
        run_error(run, "cannot make %s of %s: %s", name, raw->name, strerror(errno));
}

static void create_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = run_raw(run, json_text(arguments, "peer", "raw"), true);
    const cJSON *omit = cJSON_GetObjectItemCaseSensitive(arguments, "omit");
    const cJSON *only = cJSON_GetObjectItemCaseSensitive(arguments, "only");
    (void)step;
    if (only == NULL) {
        raw_unmap(raw);
        raw_init(raw);
    }
    snprintf(raw->name, sizeof raw->name, "%s", run_channel(run, arguments));
    raw->buffer_bytes = (size_t)step_number(run, arguments, "buffer", run->buffer_bytes);
    raw->marked = json_flag(arguments, "marked", false);
    for (int i = 0; i < RAW_OBJECTS; i++)
        if (!json_has(omit, raw_object_names[i]) &&
            (only == NULL || json_has(only, raw_object_names[i])))
            create_one(run, raw, i, arguments);
    raw->owner = true;
}

static void close_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)step;
    raw_unmap(raw_of(run, arguments));
}

static void destroy_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = raw_of(run, arguments);
    (void)step;
    raw_unlink(raw);
    raw_unmap(raw);
}

static void lock_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)step;
    if (!raw_lock(raw_of(run, arguments), raw_object(json_text(arguments, "object", "resp"))))
        run_outcome(run, "busy");
}

/* ---- messages ------------------------------------------------------------------------------------- */

void raw_send_message(struct run *run, struct raw *raw, const cJSON *spec, bool answer)
{
    struct kit_text bytes = {0};
    int segment = answer ? RAW_RESP : RAW_REQ;
    message_build(run, spec, answer, &bytes);
    size_t room = raw->size[segment] - 4;
    size_t put = bytes.length < room ? bytes.length : room;
    uint32_t length = (uint32_t)step_number(run, spec, "length", (int64_t)bytes.length);
    unsigned char *at = raw->map[segment];
    memcpy(at + 4, bytes.data, put);
    memcpy(at, &length, sizeof length);
    run_log(run, "   %s %u bytes: %.160s", answer ? "answer" : "request", length, bytes.data);
    text_free(&bytes);
}

static void send_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = raw_of(run, arguments);
    if (json_flag(arguments, "wait", true) &&
        lost(run, step, raw_wait_alive(run, raw, RAW_REQ_EMPTY)))
        return;
    raw_send_message(run, raw, arguments, false);
    for (int64_t i = step_number(run, arguments, "posts", 1); i > 0; i--)
        raw_post(raw, RAW_REQ_FULL);
}

bool raw_receive(struct run *run, struct raw *raw, int full, int empty)
{
    int segment = full == RAW_REQ_FULL ? RAW_REQ : RAW_RESP;
    uint32_t length;
    memcpy(&length, raw->map[segment], sizeof length);
    run->response.length = 0;
    if (length > raw->size[segment] - 4) {
        run_detail(run, "its length word is %u", length);
        return false;
    }
    text_append(&run->response, (char *)raw->map[segment] + 4, length);
    run_log(run, "   got %u bytes: %.160s", length, run->response.data);
    if (!json_strict(run->response.data, run->response.length))
        run_fail(run, "bad_json", "it wrote what is no JSON: %.300s", run->response.data);
    if (empty >= 0)
        raw_post(raw, empty);
    return true;
}

/* A response: "result", "error", or what is wrong with it; the value is the result or the error. */
static const char *response_kind(struct run *run, char id[128])
{
    cJSON *response = cJSON_ParseWithLength(run->response.data, run->response.length);
    free(run->value);
    run->value = NULL;
    id[0] = '\0';
    if (!cJSON_IsObject(response)) {
        run_detail(run, "the response is no JSON object: %.200s", run->response.data);
        return "bad_response";
    }
    char *raw_id = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(response, "request_id"));
    snprintf(id, 128, "%s", raw_id != NULL ? raw_id : "");
    free(raw_id);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(response, "error");
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(response, "result");
    const char *kind = "bad_response";
    if (error == NULL || result == NULL) {
        run_detail(run, "the response lacks result or error: %.200s", run->response.data);
    } else if (cJSON_IsString(error) && error->valuestring[0] != '\0') {
        run->value = kit_copy(error->valuestring);
        kind = "error";
    } else if (cJSON_IsNull(error)) {
        run->value = cJSON_PrintUnformatted(result);
        kind = "result";
    }
    cJSON_Delete(response);
    return kind;
}

static void quoted_id(const struct run *run, char id[140])
{
    cJSON *string = cJSON_CreateString(run->last_id);
    char *printed = cJSON_PrintUnformatted(string);
    snprintf(id, 140, "%s", printed);
    free(printed);
    cJSON_Delete(string);
}

/* The end of the value that begins here, in a squeezed and valid text: where its list closes, or the
 * next comma. */
static const char *value_end(const char *at)
{
    int depth = 0;
    bool quoted = false;
    for (; *at != '\0'; at++) {
        if (quoted && *at == '\\' && at[1] != '\0')
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (!quoted && depth == 0 && (*at == ',' || *at == ':' || *at == '}'))
            break;
        else if (!quoted && (*at == '{' || *at == '['))
            depth++;
        else if (!quoted && (*at == '}' || *at == ']'))
            depth--;
    }
    return at;
}

/* The result as it stands in the bytes: numbers must not pass through a double before they are
 * compared. Members are stepped over one by one: their order is the writer's, and a result may hold
 * keys of the same names. */
static void exact_result(struct run *run)
{
    char *squeezed = json_squeeze(run->response.data, run->response.length);
    for (const char *key = squeezed; *key == '{' || *key == ',';) {
        const char *value = value_end(++key);
        if (*value != ':')
            break;
        const char *end = value_end(++value);
        if (strncmp(key, "\"result\":", 9) == 0) {
            free(run->value);
            run->value = kit_format("%.*s", (int)(end - value), value);
        }
        key = end;
    }
    free(squeezed);
}

static void receive_response(struct run *run, struct raw *raw, const cJSON *step)
{
    char id[128], own[140];
    if (lost(run, step, raw_wait_alive(run, raw, RAW_RESP_FULL)))
        return;
    if (!raw_receive(run, raw, RAW_RESP_FULL, RAW_RESP_EMPTY)) {
        run_outcome(run, "bad_response");
        return;
    }
    const char *kind = response_kind(run, id);
    quoted_id(run, own);
    if (strcmp(kind, "bad_response") != 0 && strcmp(id, own) != 0) {
        run_detail(run, "the response has the id %s, the request had %s", id, own);
        kind = "stale_result";
    }
    if (strcmp(kind, "result") == 0)
        exact_result(run);
    run_outcome(run, kind);
}

static void recv_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    if (json_text(arguments, "id", NULL) != NULL)
        snprintf(run->last_id, sizeof run->last_id, "%s", json_text(arguments, "id", ""));
    receive_response(run, raw_of(run, arguments), step);
    if (strcmp(run->outcome, "result") == 0 && step_allows(run, step, "ok"))
        run_outcome(run, "ok");
}

static void call_on(struct run *run, struct raw *raw, const cJSON *arguments, const cJSON *step)
{
    if (lost(run, step, raw_wait_alive(run, raw, RAW_REQ_EMPTY)))
        return;
    raw_send_message(run, raw, arguments, false);
    raw_post(raw, RAW_REQ_FULL);
    receive_response(run, raw, step);
    if (strcmp(run->outcome, "result") == 0 && step_allows(run, step, "ok"))
        run_outcome(run, "ok");
}

static void call_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    call_on(run, raw_of(run, arguments), arguments, step);
}

void raw_call_echo(struct run *run, struct raw *raw)
{
    cJSON *step = cJSON_Parse("{\"raw.call\":{},\"want\":{\"class\":\"ok\"}}");
    call_on(run, raw, step->child, step);
    char *expected = kit_format("\"nonce-%u\"", run->nonce);
    if (strcmp(run->outcome, "ok") != 0)
        run_fail(run, run->outcome, "a clean call ended as %s. %s", run->outcome,
                 run->detail.data != NULL ? run->detail.data : "");
    if (run->value == NULL || strcmp(run->value, expected) != 0)
        run_fail(run, "stale_result", "a clean call returned %.100s, its own text was %s",
                 run->value != NULL ? run->value : "nothing", expected);
    free(expected);
    cJSON_Delete(step);
}

/* ---- try: a message that the server may answer or drop, and then a good one ------------------------ *
 *
 * Whether the first was dropped is seen without waiting for silence: the good message behind it is
 * answered, and nothing came before that answer. */

static void id_of_message(const struct run *run, const cJSON *arguments, char id[160])
{
    const char *expected = json_text(arguments, "expect_id", NULL);
    if (expected != NULL)
        snprintf(id, 160, "%s", expected);
    else
        quoted_id(run, id);
}

static bool try_first(struct run *run, struct raw *raw, const cJSON *arguments, const cJSON *step,
                      char first_id[160])
{
    if (lost(run, step, raw_wait_alive(run, raw, RAW_REQ_EMPTY)))
        return false;
    raw_send_message(run, raw, arguments, false);
    id_of_message(run, arguments, first_id);
    raw_post(raw, RAW_REQ_FULL);
    if (lost(run, step, raw_wait_alive(run, raw, RAW_REQ_EMPTY)))
        return false;
    cJSON *probe = cJSON_CreateObject();
    raw_send_message(run, raw, probe, false);
    cJSON_Delete(probe);
    raw_post(raw, RAW_REQ_FULL);
    return true;
}

static bool try_receive(struct run *run, struct raw *raw, const cJSON *step, char id[128],
                        const char **kind)
{
    if (lost(run, step, raw_wait_alive(run, raw, RAW_RESP_FULL)))
        return false;
    if (!raw_receive(run, raw, RAW_RESP_FULL, RAW_RESP_EMPTY))
        run_fail(run, "bad_response", "%s", run->detail.data);
    *kind = response_kind(run, id);
    return true;
}

static void try_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = raw_of(run, arguments);
    char first_id[160], id[128], probe_id[140];
    const char *kind;
    if (!try_first(run, raw, arguments, step, first_id) ||
        !try_receive(run, raw, step, id, &kind))
        return;
    quoted_id(run, probe_id);
    char *expected = kit_format("\"nonce-%u\"", run->nonce);
    if (strcmp(id, probe_id) == 0) {
        if (strcmp(kind, "result") != 0 || strcmp(run->value, expected) != 0)
            run_fail(run, "probe_lost", "the good call behind it got %s", run->response.data);
        run_outcome(run, "dropped");
        free(expected);
        return;
    }
    const char *answered = strcmp(kind, "error") == 0    ? "answered_error"
                           : strcmp(kind, "result") == 0 ? "answered_result"
                                                         : "bad_response";
    if (strcmp(id, first_id) != 0) {
        run_detail(run, "the answer has the id %s, the message %s", id, first_id);
        answered = "answered_other";
    }
    if (strcmp(kind, "result") == 0)
        exact_result(run);
    char *value = run->value;
    run->value = NULL;
    if (!try_receive(run, raw, step, id, &kind))
        return;
    if (strcmp(id, probe_id) != 0 || strcmp(kind, "result") != 0 ||
        strcmp(run->value, expected) != 0)
        run_fail(run, "probe_lost", "the good call behind it got %s", run->response.data);
    free(run->value);
    free(expected);
    run->value = value;
    run_outcome(run, answered);
}

/* ---- server side ------------------------------------------------------------------------------------- */

/* A client that gave up before it sent anything has replied already; then nothing will come. */
static bool client_replied(struct adapter *adapter)
{
    char byte;
    if (adapter->pending[0] == '\0')
        return false;
    if (adapter->input.length == 0 && read(adapter->from, &byte, 1) == 1)
        text_append(&adapter->input, &byte, 1);
    return adapter->input.length > 0;
}

static bool nothing_sent(struct run *run, struct raw *raw)
{
    struct patience patience = patience_begin(run->options->patience_ms);
    while (!raw_wait(raw, RAW_REQ_FULL, 20)) {
        for (int i = 0; i < run->actor_count; i++) {
            struct adapter *adapter = &run->actors[i];
            if (client_replied(adapter)) {
                run_outcome(run, "nothing_sent");
                run_detail(run, "%s replied, and the request slot is empty", adapter->actor);
                return true;
            }
        }
        const char *dead = dead_actor(run);
        if (dead != NULL || patience_over(&patience)) {
            run_outcome(run, dead != NULL ? "died" : "hang");
            run_detail(run, "no request came");
            return true;
        }
    }
    return false;
}

static void parse_request(struct run *run)
{
    cJSON_Delete(run->taken);
    run->taken = cJSON_ParseWithLength(run->response.data, run->response.length);
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(run->taken, "request_id");
    const cJSON *method = cJSON_GetObjectItemCaseSensitive(run->taken, "method");
    const cJSON *params = cJSON_GetObjectItemCaseSensitive(run->taken, "params");
    if (!cJSON_IsString(id) || !cJSON_IsString(method) || !cJSON_IsObject(params))
        run_fail(run, "bad_request", "the request is %.300s", run->response.data);
    if (run->seen_ids == NULL)
        run->seen_ids = cJSON_CreateArray();
    if (json_has(run->seen_ids, id->valuestring))
        run_fail(run, "id_reused", "the request id %s came before", id->valuestring);
    cJSON_AddItemToArray(run->seen_ids, cJSON_CreateString(id->valuestring));
    snprintf(run->last_id, sizeof run->last_id, "%s", id->valuestring);
    snprintf(run->taken_method, sizeof run->taken_method, "%s", method->valuestring);
}

void raw_take_request(struct run *run, struct raw *raw)
{
    if (nothing_sent(run, raw))
        return;
    if (!raw_receive(run, raw, RAW_REQ_FULL, RAW_REQ_EMPTY))
        run_fail(run, "bad_request", "%s", run->detail.data);
    parse_request(run);
}

static void take_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = raw_of(run, arguments);
    (void)step;
    if (json_flag(arguments, "free", true)) {
        raw_take_request(run, raw);
    } else if (!nothing_sent(run, raw)) {
        if (!raw_receive(run, raw, RAW_REQ_FULL, -1))
            run_fail(run, "bad_request", "%s", run->detail.data);
        parse_request(run);
    }
    const char *params = json_text(arguments, "params_text", NULL);
    if (params != NULL && strcmp(run->outcome, "ok") == 0) {
        char *squeezed = json_squeeze(run->response.data, run->response.length);
        if (strstr(squeezed, params) == NULL)
            run_fail(run, "wrong_request", "the request is %.300s, it should hold %.100s", squeezed,
                     params);
        free(squeezed);
    }
}

static void answer_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = raw_of(run, arguments);
    if (json_flag(arguments, "wait", true) &&
        lost(run, step, raw_wait_alive(run, raw, RAW_RESP_EMPTY)))
        return;
    raw_send_message(run, raw, arguments, true);
    if (json_flag(arguments, "post", true))
        raw_post(raw, RAW_RESP_FULL);
}

/* Answer with foreign ids without pause until the client has replied: its deadline must hold all the
 * same. */
static void flood_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = raw_of(run, arguments);
    struct adapter *adapter = actor_of(run, arguments, "client");
    struct patience patience = patience_begin(run->options->patience_ms);
    cJSON *foreign = cJSON_Parse("{\"id\":\"somebody-else\",\"result\":1}");
    (void)step;
    while (!client_replied(adapter)) {
        if (patience_over(&patience)) {
            run_outcome(run, "hang");
            run_detail(run, "the call goes on and on");
            break;
        }
        if (!raw_wait(raw, RAW_RESP_EMPTY, 10))
            continue;
        size_t log = run->log.length;
        raw_send_message(run, raw, foreign, true);
        run->log.length = log;
        raw_post(raw, RAW_RESP_FULL);
    }
    cJSON_Delete(foreign);
}

/* ---- single touches --------------------------------------------------------------------------------- */

static void post_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = raw_of(run, arguments);
    (void)step;
    for (int64_t i = step_number(run, arguments, "times", 1); i > 0; i--)
        raw_post(raw, raw_object(json_text(arguments, "sem", "")));
}

static void wait_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    lost(run, step,
         raw_wait_alive(run, raw_of(run, arguments), raw_object(json_text(arguments, "sem", ""))));
}

static void poke_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = raw_of(run, arguments);
    int object = raw_object(json_text(arguments, "object", "req"));
    struct kit_text bytes = {0};
    (void)step;
    message_expand(run, json_text(arguments, "text", ""), 0, &bytes);
    int64_t offset = step_number(run, arguments, "offset", 0);
    memcpy((char *)raw->map[object] + offset, bytes.data, bytes.length);
    text_free(&bytes);
}

/* Compare bytes of an object with what a case says they are: the golden images. */
static void peek_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = raw_of(run, arguments);
    int object = raw_object(json_text(arguments, "object", "req"));
    struct kit_text bytes = {0};
    (void)step;
    message_expand(run, json_text(arguments, "text", ""), 0, &bytes);
    int64_t offset = step_number(run, arguments, "offset", 0);
    const unsigned char *at = (const unsigned char *)raw->map[object] + offset;
    if (memcmp(at, bytes.data, bytes.length) != 0) {
        char *got = hex_encode(at, bytes.length);
        run_outcome(run, "differs");
        run_detail(run, "%s at %lld holds %.200s", raw_object_names[object], (long long)offset, got);
        free(got);
    }
    text_free(&bytes);
}

static void truncate_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = raw_of(run, arguments);
    int object = raw_object(json_text(arguments, "object", "req"));
    (void)step;
    if (ftruncate(raw->fd[object], (off_t)step_number(run, arguments, "bytes", 0)) != 0)
        run_error(run, "ftruncate: %s", strerror(errno));
}

/* A process that rewrites a piece of a segment without pause, until the case ends it. */
static pid_t scribbler;

static void scribble_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = raw_of(run, arguments);
    int object = raw_object(json_text(arguments, "object", "req"));
    struct kit_text one = {0}, two = {0};
    (void)step;
    message_expand(run, json_text(arguments, "one", "${hex:00000000}"), 0, &one);
    message_expand(run, json_text(arguments, "two", "${hex:ffffffff}"), 0, &two);
    int64_t offset = step_number(run, arguments, "offset", 0);
    scribbler = fork();
    if (scribbler != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    volatile unsigned char *at = (unsigned char *)raw->map[object] + offset;
    for (;;) {
        for (size_t i = 0; i < one.length; i++)
            at[i] = (unsigned char)one.data[i];
        for (size_t i = 0; i < two.length; i++)
            at[i] = (unsigned char)two.data[i];
    }
}

/* A process in another process-id space, and not to be looked into, that keeps what the peer has open and
 * mapped. */
static pid_t holder;

static void hold_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    raw_of(run, arguments);
    (void)step;
    holder = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
    if (holder < 0)
        run_skip(run, "environment: no new process-id space: %s", strerror(errno));
    if (holder == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_DUMPABLE, 0);
        for (;;)
            pause();
    }
}

static void hold_end_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)run;
    (void)arguments;
    (void)step;
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
}

static void scribble_end_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)run;
    (void)arguments;
    (void)step;
    if (scribbler > 0)
        kill(scribbler, SIGKILL);
    scribbler = 0;
}

/* Under a scribbler any message may be lost or wrong; what counts is that the server goes on. Sends
 * frames and collects whatever comes, without a look at it. */
static void storm_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = raw_of(run, arguments);
    for (int64_t i = step_number(run, arguments, "times", 100); i > 0; i--) {
        if (lost(run, step, raw_wait_alive(run, raw, RAW_REQ_EMPTY)))
            return;
        raw_send_message(run, raw, arguments, false);
        run->log.length = run->log.length > 65536 ? 65536 : run->log.length;
        raw_post(raw, RAW_REQ_FULL);
        while (raw_wait(raw, RAW_RESP_FULL, 0))
            raw_post(raw, RAW_RESP_EMPTY);
    }
    /* The server may hold one more response than the slot has room for. */
    struct patience patience = patience_begin(run->options->patience_ms);
    while (!patience_over(&patience) &&
           (raw_value(raw, RAW_REQ_FULL) != 0 || raw_value(raw, RAW_REQ_EMPTY) != 1)) {
        while (raw_wait(raw, RAW_RESP_FULL, 1))
            raw_post(raw, RAW_RESP_EMPTY);
    }
}

/* Collect responses until the one of the request sent last is there. */
static void settle_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct raw *raw = raw_of(run, arguments);
    char id[128], own[140];
    if (lost(run, step, raw_wait_alive(run, raw, RAW_REQ_EMPTY)))
        return;
    cJSON *probe = cJSON_CreateObject();
    raw_send_message(run, raw, probe, false);
    cJSON_Delete(probe);
    raw_post(raw, RAW_REQ_FULL);
    quoted_id(run, own);
    do {
        if (lost(run, step, raw_wait_alive(run, raw, RAW_RESP_FULL)))
            return;
        id[0] = '\0';
        if (raw_receive(run, raw, RAW_RESP_FULL, RAW_RESP_EMPTY))
            response_kind(run, id);
        else
            raw_post(raw, RAW_RESP_EMPTY);
    } while (strcmp(id, own) != 0);
}

const struct step_verb raw_verbs[] = {
    {"raw.open", open_step},     {"raw.create", create_step},   {"raw.close", close_step},
    {"raw.destroy", destroy_step}, {"raw.lock", lock_step},     {"raw.send", send_step},
    {"raw.recv", recv_step},     {"raw.call", call_step},       {"raw.try", try_step},
    {"raw.take", take_step},     {"raw.answer", answer_step},   {"raw.post", post_step},
    {"raw.wait", wait_step},     {"raw.poke", poke_step},       {"raw.peek", peek_step},
    {"raw.truncate", truncate_step}, {"raw.scribble", scribble_step},
    {"raw.scribble_end", scribble_end_step}, {"raw.storm", storm_step},
    {"raw.hold", hold_step},     {"raw.hold_end", hold_end_step},
    {"raw.settle", settle_step}, {"raw.flood", flood_step}, {NULL, NULL}};

/* SPDX-License-Identifier: MIT
 *
 * Steps that speak to an adapter. Whatever an adapter says is checked from outside where that can be
 * done: a server that claims to have started has six objects, a client that claims to be attached
 * maps them, an echo returns the text that nobody else has.
 */
#include "steps.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cJSON *pending_arguments[ACTOR_MAX];
static char *expected_echo[ACTOR_MAX];
static int64_t sent_at[ACTOR_MAX];

static int actor_index(const struct run *run, const struct adapter *adapter)
{
    return (int)(adapter - run->actors);
}

struct adapter *run_find_actor(struct run *run, const char *actor)
{
    for (int i = run->actor_count - 1; i >= 0; i--)
        if (strcmp(run->actors[i].actor, actor) == 0)
            return &run->actors[i];
    return NULL;
}

/* Which program plays: in a mixed pair the reference stands on one side. */
static const char *command_of(const struct run *run, const char *actor)
{
    bool server = strncmp(actor, "server", 6) == 0;
    bool reference = (server && strcmp(run->pairing, "reference-port") == 0) ||
                     (!server && strcmp(run->pairing, "port-reference") == 0);
    return reference ? run->options->reference : run->options->adapter;
}

/* SHMRPC_KIT_MALLOC of a sweep over the allocations of a verb. */
static const char *fault_environment(struct run *run, const char *actor)
{
    const cJSON *sweep = run->test->sweep;
    if (strcmp(json_text(sweep, "action", ""), "malloc") != 0 ||
        strcmp(json_text(sweep, "victim", ""), actor) != 0)
        return NULL;
    return kit_format("SHMRPC_KIT_MALLOC=%s:%d:%s", json_text(sweep, "verb", ""), run->point,
                      json_text(sweep, "mode", "once"));
}

static struct tracer *tracer_for(struct run *run, const char *actor)
{
    const cJSON *sweep = run->test->sweep;
    bool watched = json_flag(run->test->json, "watch_clock", false);
    bool victim = sweep != NULL && strcmp(json_text(sweep, "victim", ""), actor) == 0 &&
                  strcmp(json_text(sweep, "action", "kill"), "malloc") != 0;
    if (!victim && !watched && !run->options->trace)
        return NULL;
    struct tracer *tracer = tracer_new();
    tracer->action = TRACE_RECORD;
    if (victim) {
        bool fail = strcmp(json_text(sweep, "action", "kill"), "fail") == 0;
        tracer->action = fail ? TRACE_FAIL : TRACE_KILL;
        tracer->point = run->point;
        tracer->edge = run->edge;
        snprintf(tracer->verb, sizeof tracer->verb, "%s", json_text(sweep, "verb", ""));
    }
    return tracer;
}

static void spawn_actor(struct run *run, const char *actor, const cJSON *options)
{
    if (run->actor_count == ACTOR_MAX)
        run_error(run, "too many actors");
    const char *command = command_of(run, actor);
    if (command == NULL)
        run_error(run, "no reference to play %s", actor);
    struct spawn_options spawn = {
        .command = command,
        .umask = (int)step_number(run, options, "umask", -1),
        .cpus = (int)step_number(run, options, "cpus", 0),
        .fd_limit = (int)step_number(run, options, "fd_limit", 0),
        .environment = json_text(options, "environment", NULL),
        .tracer = tracer_for(run, actor),
    };
    const char *fault = fault_environment(run, actor);
    if (fault != NULL)
        spawn.environment = fault;
    int64_t uid = step_number(run, options, "uid", -1);
    spawn.have_uid = uid >= 0;
    spawn.uid = uid >= 0 ? (unsigned)uid : 0;
    adapter_spawn(&run->actors[run->actor_count++], actor, &spawn);
}

/* An actor is spawned at its first use; one that died stays dead until a case spawns it again. */
struct adapter *run_actor(struct run *run, const char *actor)
{
    struct adapter *adapter = run_find_actor(run, actor);
    if (adapter == NULL) {
        spawn_actor(run, actor, NULL);
        adapter = run_find_actor(run, actor);
    }
    return adapter;
}

struct adapter *actor_of(struct run *run, const cJSON *arguments, const char *fallback)
{
    return run_actor(run, json_text(arguments, "actor", fallback));
}

static const char *default_actor(const char *verb)
{
    return strncmp(verb, "server.", 7) == 0 ? "server" : "client";
}

const char *run_channel(struct run *run, const cJSON *arguments)
{
    static char name[512];
    const char *hex = json_text(arguments, "name_hex", NULL);
    int64_t bytes = step_number(run, arguments, "name_bytes", -1);
    if (hex != NULL) {
        size_t length;
        unsigned char *raw = hex_decode(hex, &length);
        if (raw == NULL || length > 255)
            run_error(run, "bad name_hex");
        snprintf(name, sizeof name, "%s%s", run->prefix, raw);
        free(raw);
    } else if (bytes >= 0) {
        snprintf(name, sizeof name, "%s", run->prefix);
        size_t used = strlen(name);
        for (; used < (size_t)bytes; used++)
            name[used] = 'n';
        name[bytes] = '\0';
    } else {
        struct kit_text text = {0};
        message_expand(run, json_text(arguments, "name", "ch"), 0, &text);
        snprintf(name, sizeof name, "%s%s", run->prefix, text.data);
        text_free(&text);
    }
    return name;
}

static void add_name(struct run *run, const cJSON *arguments, cJSON *verb)
{
    const char *exact = json_text(arguments, "exact_name_hex", NULL);
    const char *name = run_channel(run, arguments);
    char *hex = exact != NULL ? kit_copy(exact) : hex_encode(name, strlen(name));
    cJSON_AddStringToObject(verb, "name", hex);
    free(hex);
}

static void add_number(struct run *run, const cJSON *arguments, const char *key, cJSON *verb,
                       const char *field, int64_t fallback)
{
    char text[32];
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(arguments, key);
    if (item == NULL && fallback < 0)
        return;
    snprintf(text, sizeof text, "%lld", (long long)run_number(run, item, fallback));
    cJSON_AddStringToObject(verb, field, text);
}

static char *call_params(struct run *run, struct adapter *adapter, const cJSON *arguments)
{
    const cJSON *params = cJSON_GetObjectItemCaseSensitive(arguments, "params");
    const char *text = json_text(arguments, "params_text", NULL);
    struct kit_text out = {0};
    int i = actor_index(run, adapter);
    free(expected_echo[i]);
    expected_echo[i] = NULL;
    if (text != NULL) {
        message_expand(run, text, step_number(run, arguments, "size", 0), &out);
    } else if (params != NULL) {
        char *printed = cJSON_PrintUnformatted(params);
        message_expand(run, printed, 0, &out);
        free(printed);
    } else {
        ++run->nonce;
        text_printf(&out, "{\"message\":\"nonce-%u\"}", run->nonce);
        expected_echo[i] = kit_format("\"nonce-%u\"", run->nonce);
    }
    return out.data;
}

static const char *method_of(const cJSON *arguments)
{
    return cJSON_IsString(arguments) ? arguments->valuestring
                                     : json_text(arguments, "method", "echo");
}

/* "closed" is the handle that was closed last: what a program does that uses it all the same. */
static const char *client_handle(const struct adapter *adapter, const cJSON *arguments)
{
    if (strcmp(json_text(arguments, "handle", ""), "closed") == 0)
        return adapter->closed;
    return adapter->client[0] != '\0' ? adapter->client : "none";
}

static cJSON *call_arguments(struct run *run, struct adapter *adapter, const cJSON *arguments)
{
    cJSON *verb = cJSON_CreateObject();
    const char *method = method_of(arguments);
    struct kit_text expanded = {0};
    message_expand(run, method, 0, &expanded);
    char *hex = hex_encode(expanded.data != NULL ? expanded.data : "", expanded.length);
    cJSON_AddStringToObject(verb, "handle", client_handle(adapter, arguments));
    cJSON_AddStringToObject(verb, "method", hex);
    free(hex);
    text_free(&expanded);
    bool plain = strcmp(method, "echo") == 0 ||
                 cJSON_GetObjectItemCaseSensitive(arguments, "params") != NULL ||
                 cJSON_GetObjectItemCaseSensitive(arguments, "params_text") != NULL;
    char *params = plain ? call_params(run, adapter, arguments) : kit_copy("{}");
    if (!plain)
        expected_echo[actor_index(run, adapter)] = NULL;
    hex = hex_encode(params, strlen(params));
    cJSON_AddStringToObject(verb, "params", hex);
    free(hex);
    free(params);
    return verb;
}

static cJSON *verb_arguments(struct run *run, struct adapter *adapter, const char *name,
                             const cJSON *arguments)
{
    if (strncmp(name, "client.call", 11) == 0)
        return call_arguments(run, adapter, arguments);
    cJSON *verb = cJSON_CreateObject();
    if (strcmp(name, "server.start") == 0 || strcmp(name, "client.open") == 0) {
        bool server = name[0] == 's';
        add_name(run, arguments, verb);
        add_number(run, arguments, "buffer", verb, "buffer_bytes",
                   server && !json_flag(arguments, "default_buffer", false) ? run->buffer_bytes
                                                                           : -1);
        add_number(run, arguments, "timeout_ms", verb, "timeout_ms",
                   json_flag(arguments, "default_timeout", false) ? -1 : server ? 1000 : 8000);
        add_number(run, arguments, "wait_for_server_ms", verb, "wait_for_server_ms", -1);
        add_number(run, arguments, "wait_busy_ms", verb, "wait_busy_ms", -1);
    } else if (strcmp(name, "server.stop") == 0) {
        const char *known = adapter->server[0] != '\0' ? adapter->server : "none";
        cJSON_AddStringToObject(verb, "handle", json_text(arguments, "handle", known));
    } else if (strcmp(name, "client.close") == 0) {
        cJSON_AddStringToObject(verb, "handle", client_handle(adapter, arguments));
    } else if (strcmp(name, "client.wait") == 0) {
        cJSON_AddStringToObject(verb, "call", json_text(arguments, "call", adapter->call));
    } else if (strcmp(name, "fork") == 0) {
        cJSON_AddStringToObject(verb, "do", json_text(arguments, "do", "exit"));
        if (adapter->client[0] != '\0' || adapter->server[0] != '\0')
            cJSON_AddStringToObject(verb, "handle",
                                    adapter->client[0] != '\0' ? adapter->client : adapter->server);
    } else if (strncmp(name, "codec.", 6) == 0) {
        struct kit_text bytes = {0};
        cJSON_AddStringToObject(verb, "kind", json_text(arguments, "kind", "json"));
        if (strcmp(name, "codec.decode") == 0) {
            message_expand(run, json_text(arguments, "text", ""), 0, &bytes);
            char *hex = hex_encode(bytes.data != NULL ? bytes.data : "", bytes.length);
            cJSON_AddStringToObject(verb, "hex", hex);
            free(hex);
        } else {
            const cJSON *tree = cJSON_GetObjectItemCaseSensitive(arguments, "tree");
            cJSON_AddItemToObject(verb, "tree", cJSON_Duplicate(tree, true));
        }
        text_free(&bytes);
    }
    return verb;
}

static void verb_send(struct run *run, struct adapter *adapter, const char *name,
                      const cJSON *arguments)
{
    cJSON *verb = verb_arguments(run, adapter, name, arguments);
    const char *wrong = schema_check(name, "request", verb);
    if (wrong != NULL)
        run_error(run, "the runner's own request: %s", wrong);
    pending_arguments[actor_index(run, adapter)] = arguments;
    sent_at[actor_index(run, adapter)] = now_ms();
    /* A write that fails means that it is dead; the receive tells how. */
    if (!adapter_send(adapter, name, verb))
        run_log(run, "   (%s does not read)", adapter->actor);
    cJSON_Delete(verb);
}

void send_call(struct run *run, struct adapter *adapter, const char *verb, const cJSON *arguments)
{
    verb_send(run, adapter, verb, arguments);
}

static void keep_value(struct run *run, const cJSON *body, enum reply_kind kind)
{
    const char *hex = json_text(body, kind == REPLY_OK ? "result" : "text_hex", NULL);
    free(run->value);
    run->value = NULL;
    free(run->error_hex);
    run->error_hex = kind == REPLY_RPC_ERROR && hex != NULL ? kit_copy(hex) : NULL;
    if (hex == NULL) {
        if (kind == REPLY_RPC_ERROR)
            run->value = kit_copy(json_text(body, "text", ""));
        return;
    }
    size_t length;
    unsigned char *bytes = hex_decode(hex, &length);
    if (bytes == NULL)
        run_fail(run, "garbage", "no hex: %.100s", hex);
    run->value = kind == REPLY_OK ? json_squeeze((char *)bytes, length) : (char *)bytes;
    if (kind == REPLY_OK)
        free(bytes);
}

static void dead_or_killed(struct run *run, struct adapter *adapter, const cJSON *step)
{
    bool ours = adapter->killed_by_us || (adapter->tracer != NULL && adapter->tracer->reached &&
                                          adapter->tracer->action == TRACE_KILL);
    if (ours && adapter->tracer != NULL && adapter->tracer->reached)
        run->victim_reached = true;
    adapter->mourned = true;
    run_outcome(run, ours ? "killed" : "died");
    run_detail(run, "%s ended: %s", adapter->actor, adapter_death(adapter));
    if (ours || step_allows(run, step, "died"))
        return;
    run_fail(run, "crash", "%s ended: %s", adapter->actor, adapter_death(adapter));
}

static void await_text(struct run *run, const cJSON *reply, enum reply_kind kind)
{
    const cJSON *body = reply_body(reply, kind);
    keep_value(run, body, kind);
    if (kind == REPLY_RPC_ERROR) {
        run_outcome(run, json_text(body, "class", "?"));
        run_detail(run, "%s", json_text(body, "text", ""));
    }
}

static void check_executed(struct run *run, const cJSON *reply, const cJSON *step)
{
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(step, "want");
    const char *wanted = json_text(want, "maybe_executed", NULL);
    if (wanted == NULL || reply == NULL)
        return;
    const cJSON *body = reply_body(reply, REPLY_RPC_ERROR);
    const char *got = json_text(body, "maybe_executed", "unsaid");
    if (body != NULL && strcmp(got, wanted) != 0)
        run_fail(run, "wrong_executed", "it says that the call may have run: %s", got);
}

static void check_elapsed(struct run *run, const struct adapter *adapter, const cJSON *step)
{
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(step, "want");
    int64_t least = step_number(run, want, "min_ms", 0);
    int64_t took = now_ms() - sent_at[actor_index(run, adapter)];
    if (took + 2 < least)
        run_fail(run, "too_early", "it returned after %lld ms, %lld were due", (long long)took,
                 (long long)least);
}

static cJSON *receive_classified(struct run *run, struct adapter *adapter, const cJSON *step)
{
    cJSON *reply;
    const char *why;
    char verb[24];
    snprintf(verb, sizeof verb, "%s", adapter->pending);
    int patience = (int)step_number(run, cJSON_GetObjectItemCaseSensitive(step, "want"),
                                    "patience_ms", run->options->patience_ms);
    enum reply_kind kind = adapter_receive(adapter, patience, &reply, &why);
    run_outcome(run, "ok");
    switch (kind) {
    case REPLY_OK:
    case REPLY_RPC_ERROR:
        await_text(run, reply, kind);
        break;
    case REPLY_UNSUPPORTED:
        run_fail(run, "unsupported", "%s says that %s is not supported, and hello promised it",
                 adapter->actor, verb);
    case REPLY_INTERNAL:
        run_fail(run, "internal", "%s: %s", verb,
                 json_text(reply_body(reply, kind), "text", ""));
    case REPLY_BAD:
        run_fail(run, "garbage", "%s answered %s against the protocol: %s", adapter->actor, verb,
                 why);
    case REPLY_LATE:
        run_fail(run, "hang", "%s did not answer %s within %d ms", adapter->actor, verb, patience);
    case REPLY_DEAD:
        dead_or_killed(run, adapter, step);
    }
    return reply;
}

static void after_open(struct run *run, struct adapter *adapter, const cJSON *body,
                       const cJSON *arguments)
{
    char path[512];
    snprintf(adapter->client, sizeof adapter->client, "%s", json_text(body, "handle", ""));
    raw_path(run_channel(run, arguments), RAW_REQ, path);
    bool known = cJSON_GetObjectItemCaseSensitive(arguments, "exact_name_hex") == NULL;
    if (known && !ledger_maps_file(path, getpid()))
        run_fail(run, "not_attached", "%s says it is attached, and no process maps %s",
                 adapter->actor, path);
    int64_t wanted = step_number(run, arguments, "want_buffer", -1);
    if (wanted >= 0 && atoll(json_text(body, "buffer_bytes", "0")) != wanted)
        run_fail(run, "wrong_size", "it uses %s bytes of each segment",
                 json_text(body, "buffer_bytes", "0"));
}

static void after_start(struct run *run, struct adapter *adapter, const cJSON *body,
                        const cJSON *arguments)
{
    const char *name = run_channel(run, arguments);
    snprintf(adapter->server, sizeof adapter->server, "%s", json_text(body, "handle", ""));
    int present = raw_present(name);
    bool known = cJSON_GetObjectItemCaseSensitive(arguments, "exact_name_hex") == NULL;
    if (known && present != RAW_OBJECTS)
        run_fail(run, "not_published", "the server says it is ready, and %d of 6 objects exist",
                 present);
}

static void after_stop(struct run *run, const cJSON *body, const cJSON *arguments)
{
    /* Why it had stopped serving before it was told to, if it had. */
    run_outcome(run, json_text(body, "class", "ok"));
    int present = raw_present(run_channel(run, arguments));
    int left = (int)step_number(run, arguments, "leaves", 0);
    /* Who cannot look whether a name is still its own leaves it to the next server. */
    int most = (int)step_number(run, arguments, "leaves_at_most", left);
    if (present < left || present > most)
        run_fail(run, "left_behind", "the server has ended, and %d of 6 objects exist", present);
}

static void after_call(struct run *run, struct adapter *adapter, const cJSON *step)
{
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(step, "want");
    char *expected = expected_echo[actor_index(run, adapter)];
    /* A case that answers by hand says itself what should arrive. */
    bool by_hand = cJSON_GetObjectItemCaseSensitive(want, "result") != NULL ||
                   cJSON_GetObjectItemCaseSensitive(want, "result_text") != NULL;
    if (!by_hand && expected != NULL && (run->value == NULL || strcmp(run->value, expected) != 0))
        run_fail(run, "stale_result", "the call returned %.100s, its own text was %s",
                 run->value != NULL ? run->value : "nothing", expected);
}

static void keep_call(struct run *run, struct adapter *adapter, const char *handle)
{
    const char *expected = expected_echo[actor_index(run, adapter)];
    snprintf(adapter->call, sizeof adapter->call, "%s", handle);
    if (adapter->call_count == ACTOR_CALLS)
        run_error(run, "too many calls under way");
    snprintf(adapter->calls[adapter->call_count][0], 64, "%s", handle);
    snprintf(adapter->calls[adapter->call_count++][1], 64, "%s", expected != NULL ? expected : "");
}

static bool same_tree(const cJSON *a, const cJSON *b)
{
    return cJSON_Compare(a, b, true);
}

static void after_decode(struct run *run, const cJSON *body, const cJSON *step)
{
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(step, "want");
    const cJSON *tree = cJSON_GetObjectItemCaseSensitive(want, "tree");
    const cJSON *got = cJSON_GetObjectItemCaseSensitive(body, "tree");
    run_outcome(run, got != NULL ? "accepted" : "rejected");
    if (tree != NULL && got != NULL && !same_tree(tree, got)) {
        char *shown = cJSON_PrintUnformatted(got);
        run_fail(run, "wrong_value", "it decodes to %.300s", shown);
    }
}

static void after_encode(struct run *run, const cJSON *body)
{
    size_t length;
    unsigned char *bytes = hex_decode(json_text(body, "hex", ""), &length);
    free(run->value);
    run->value = json_squeeze((char *)bytes, length);
    free(bytes);
}

static void after_probe(struct run *run, struct adapter *adapter, const cJSON *body)
{
    struct ledger ledger;
    if (!ledger_read(adapter->pid, &ledger))
        run_error(run, "cannot read /proc of %s", adapter->actor);
    int threads = atoi(json_text(body, "threads", "0"));
    if (threads != ledger.threads)
        run_fail(run, "wrong_probe", "it says %d threads, the kernel %d", threads, ledger.threads);
}

static void after_fork(struct run *run, struct adapter *adapter, const cJSON *body)
{
    adapter->forked = (pid_t)atoi(json_text(body, "pid", "0"));
    const char *class = json_text(body, "class", NULL);
    if (class != NULL)
        run_outcome(run, class);
}

static void verb_finish(struct run *run, struct adapter *adapter, const char *name,
                        const cJSON *arguments, const cJSON *step)
{
    cJSON *reply = receive_classified(run, adapter, step);
    const cJSON *body = strcmp(run->outcome, "ok") == 0 ? reply_body(reply, REPLY_OK) : NULL;
    check_executed(run, reply, step);
    check_elapsed(run, adapter, step);
    if (body == NULL) {
        cJSON_Delete(reply);
        return;
    }
    if (strcmp(name, "client.open") == 0)
        after_open(run, adapter, body, arguments);
    else if (strcmp(name, "server.start") == 0)
        after_start(run, adapter, body, arguments);
    else if (strcmp(name, "server.stop") == 0)
        after_stop(run, body, arguments);
    else if (strcmp(name, "client.call") == 0 || strcmp(name, "client.wait") == 0)
        after_call(run, adapter, step);
    else if (strcmp(name, "client.call_async") == 0)
        keep_call(run, adapter, json_text(body, "call", ""));
    else if (strcmp(name, "codec.decode") == 0)
        after_decode(run, body, step);
    else if (strcmp(name, "codec.encode") == 0)
        after_encode(run, body);
    else if (strcmp(name, "probe") == 0)
        after_probe(run, adapter, body);
    else if (strcmp(name, "fork") == 0)
        after_fork(run, adapter, body);
    if (strcmp(name, "server.stop") == 0)
        adapter->server[0] = '\0';
    if (strcmp(name, "client.close") == 0) {
        memcpy(adapter->closed, adapter->client, sizeof adapter->closed);
        adapter->client[0] = '\0';
    }
    cJSON_Delete(reply);
}

void run_await(struct run *run, struct adapter *adapter, const cJSON *step)
{
    char verb[24];
    snprintf(verb, sizeof verb, "%s", adapter->pending);
    verb_finish(run, adapter, verb, pending_arguments[actor_index(run, adapter)], step);
}

static void adapter_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    const char *name = arguments->string;
    struct adapter *adapter = actor_of(run, arguments, default_actor(name));
    verb_send(run, adapter, name, arguments);
    verb_finish(run, adapter, name, arguments, step);
}

static void begin_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)step;
    const cJSON *inner = arguments->child;
    verb_send(run, actor_of(run, inner, default_actor(inner->string)), inner->string, inner);
}

static void end_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    const char *actor = cJSON_IsString(arguments) ? arguments->valuestring
                                                  : json_text(arguments, "actor", "client");
    run_await(run, run_actor(run, actor), step);
}

static void spawn_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)step;
    spawn_actor(run, json_text(arguments, "actor", "server"), arguments);
}

static void quit_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "server");
    verb_send(run, adapter, "quit", arguments);
    receive_classified(run, adapter, step);
    if (!adapter_reap(adapter, run->options->patience_ms))
        run_fail(run, "hang", "%s lives on after quit", adapter->actor);
    if (adapter->wait_status != 0)
        run_fail(run, "crash", "%s ended after quit: %s", adapter->actor, adapter_death(adapter));
}

/* Whether the allocation that should fail was reached; a sweep whose bound is reached has not shown that
 * there are no further ones. */
static void malloc_reached_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    const cJSON *sweep = run->test->sweep;
    struct adapter *adapter = run_actor(run, json_text(sweep, "victim", "server"));
    verb_send(run, adapter, "probe", arguments);
    cJSON *reply = receive_classified(run, adapter, step);
    const char *said = json_text(reply_body(reply, REPLY_OK), "malloc_reached", "");
    if (strcmp(said, "true") != 0 && strcmp(said, "false") != 0)
        run_fail(run, "internal", "probe does not say whether the allocation was reached");
    run->victim_reached = strcmp(said, "true") == 0;
    run->sweep_ended = !run->victim_reached;
    cJSON_Delete(reply);
    if (run->victim_reached && run->point >= (int)step_number(run, sweep, "points", 0))
        run_fail(run, "endless", "allocation %d still failed: the sweep has not ended", run->point);
}

/* Every call under way must come back with its own text. */
static void wait_all_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "client");
    for (int i = 0; i < adapter->call_count; i++) {
        cJSON *wait = cJSON_CreateObject();
        int at = actor_index(run, adapter);
        cJSON_AddStringToObject(wait, "call", adapter->calls[i][0]);
        free(expected_echo[at]);
        expected_echo[at] = adapter->calls[i][1][0] != '\0' ? kit_copy(adapter->calls[i][1]) : NULL;
        verb_send(run, adapter, "client.wait", wait);
        verb_finish(run, adapter, "client.wait", wait, step);
        cJSON_Delete(wait);
        if (!step_allows(run, step, run->outcome))
            run_fail(run, run->outcome, "call %d of %d ended as %s", i + 1, adapter->call_count,
                     run->outcome);
    }
    adapter->call_count = 0;
}

/* A call of count must find as many side effects as the case allows. */
static void count_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    static const char text[] = "{\"method\":\"count\",\"params\":{}}";
    cJSON *call = cJSON_Parse(text);
    const char *name = json_text(arguments, "actor", "client");
    struct adapter *adapter = run_actor(run, name);
    verb_send(run, adapter, "client.call", call);
    verb_finish(run, adapter, "client.call", call, step);
    int64_t got = run->value != NULL ? atoll(run->value) : -1;
    int64_t most = step_number(run, arguments, "most", 0);
    int64_t least = step_number(run, arguments, "least", 0);
    if (got < least || got > most)
        run_fail(run, got > most ? "executed_twice" : "lost", "the server counts %lld, %lld to %lld "
                 "are right", (long long)got, (long long)least, (long long)most);
    cJSON_Delete(call);
}

const struct step_verb adapter_verbs[] = {
    {"server.start", adapter_step}, {"server.stop", adapter_step},
    {"client.open", adapter_step},  {"client.call", adapter_step},
    {"client.call_async", adapter_step}, {"client.wait", adapter_step},
    {"client.close", adapter_step}, {"codec.encode", adapter_step},
    {"codec.decode", adapter_step}, {"probe", adapter_step},
    {"fork", adapter_step},         {"quit", quit_step},
    {"begin", begin_step},          {"end", end_step},
    {"spawn", spawn_step},          {"count", count_step},
    {"client.wait_all", wait_all_step}, {"malloc.reached", malloc_reached_step},
    {NULL, NULL}};

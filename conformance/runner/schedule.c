/* SPDX-License-Identifier: MIT
 *
 * Which cases run, in which pairing, at which crash points; several workers at once, each with a
 * deadline of the runner's own.
 */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS_MAX = 64, POINTS_MAX = 4000, CASE_SECONDS = 180 };

/* One case in one pairing, with all its crash points. */
struct entry {
    struct result result;
    int next;        /* next point to start, from 0 */
    int running;
    bool ended;      /* no further points */
    bool traced;     /* the repetition under the tracer was started */
    bool done;
    char *skip;
};

struct worker {
    pid_t pid;
    int fd;
    struct entry *entry;
    int point, edge;
    bool trace;
    struct patience patience;
    bool overdue; /* killed by us */
    struct kit_text output;
};

static struct worker workers[WORKERS_MAX];
static int worker_count;

/* ---- hello ------------------------------------------------------------------------------------------- */

cJSON *adapter_hello(const struct kit_options *options, const char *command)
{
    struct adapter adapter;
    struct spawn_options spawn = {.command = command, .umask = -1};
    cJSON *reply;
    const char *why = "";
    adapter_spawn(&adapter, "hello", &spawn);
    adapter_send(&adapter, "hello", NULL);
    enum reply_kind kind = adapter_receive(&adapter, 10000, &reply, &why);
    cJSON *hello = NULL;
    if (kind == REPLY_OK)
        hello = cJSON_Duplicate(reply_body(reply, kind), true);
    else if (kind == REPLY_LATE)
        fprintf(stderr, "adapter: no answer to hello within 10 seconds\n");
    else if (kind == REPLY_DEAD)
        fprintf(stderr, "adapter: it ended before it answered hello: %s\n",
                adapter_death(&adapter));
    else
        fprintf(stderr, "adapter: hello is answered against the protocol: %s\n", why);
    adapter_drain(&adapter);
    if (hello == NULL && adapter.said.length > 0)
        fprintf(stderr, "adapter's stderr:\n%s\n", adapter.said.data);
    cJSON_Delete(reply);
    if (!adapter_dead(&adapter)) {
        kill(-adapter.child, SIGKILL);
        waitpid(adapter.child, NULL, 0);
    }
    close(adapter.to);
    close(adapter.from);
    close(adapter.errors);
    (void)options;
    return hello;
}

/* ---- selection ----------------------------------------------------------------------------------------- */

static const char *skip_by_hello(const struct kit_case *test, const cJSON *hello)
{
    static char why[160];
    const cJSON *roles = cJSON_GetObjectItemCaseSensitive(hello, "roles");
    const cJSON *features = cJSON_GetObjectItemCaseSensitive(hello, "features");
    const cJSON *feature;
    if (!test->pair && ((test->server_role && !json_has(roles, "server")) ||
                        (test->client_role && !json_has(roles, "client"))))
        return "hello: the port does not play this role";
    cJSON_ArrayForEach(feature, cJSON_GetObjectItemCaseSensitive(test->json, "features"))
    {
        if (!json_has(features, feature->valuestring)) {
            snprintf(why, sizeof why, "hello: no feature %s", feature->valuestring);
            return why;
        }
    }
    return NULL;
}

static const char *skip_by_environment(const struct kit_case *test, enum sandbox_kind sandbox,
                                       const struct kit_options *options)
{
    const cJSON *need;
    cJSON_ArrayForEach(need, cJSON_GetObjectItemCaseSensitive(test->json, "needs"))
    {
        const char *what = need->valuestring;
        if (strcmp(what, "root") == 0 && (getuid() != 0 || options->have_uid))
            return "environment: needs root, to make objects of another user";
        if (strcmp(what, "private_shm") == 0 && sandbox == SANDBOX_PREFIX)
            return "environment: needs a private /dev/shm";
        if (strcmp(what, "private_pids") == 0 && sandbox != SANDBOX_FULL)
            return "environment: needs a private process space";
    }
    return NULL;
}

static bool has_level(const cJSON *hello, enum kit_level level)
{
    return json_has(cJSON_GetObjectItemCaseSensitive(hello, "levels"), level_names[level]);
}

bool schedule_selects(const struct kit_options *options, const struct kit_case *test)
{
    if (options->pattern != NULL && fnmatch(options->pattern, test->id, 0) != 0)
        return false;
    if (options->category != NULL && strcmp(options->category, test->category) != 0)
        return false;
    return options->level == NULL || strcmp(options->level, level_names[test->level]) == 0;
}

struct entries {
    struct entry *list;
    size_t count;
};

static void add_entry(struct entries *entries, const struct kit_case *test, const char *pairing,
                      const char *skip)
{
    struct entry *grown = realloc(entries->list, (entries->count + 1) * sizeof *grown);
    if (grown == NULL)
        kit_die(4, "out of memory");
    entries->list = grown;
    struct entry one = {.result = {.test = test, .pairing = pairing, .verdict = VERDICT_PASS}};
    if (skip != NULL)
        one.skip = kit_copy(skip);
    entries->list[entries->count++] = one;
}

static void add_case(struct entries *entries, const struct kit_options *options,
                     const struct kit_case *test, const struct results *results,
                     const struct expectations *expectations)
{
    const cJSON *roles = cJSON_GetObjectItemCaseSensitive(results->hello, "roles");
    const char *skip = skip_by_hello(test, results->hello);
    if (!has_level(results->hello, test->level) && !expectations_wants(expectations, test->id))
        skip = "hello: the port does not claim this level";
    if (skip == NULL)
        skip = skip_by_environment(test, results->sandbox, options);
    if (!test->pair) {
        add_entry(entries, test, "raw-port", skip);
        return;
    }
    bool server = json_has(roles, "server"), client = json_has(roles, "client");
    /* The reference against itself is no mixed pair. */
    bool other = options->reference != NULL &&
                 strcmp(json_text(results->hello, "implementation", ""), "reference") != 0;
    if (server && client)
        add_entry(entries, test, "port-port", skip);
    if (client && other)
        add_entry(entries, test, "reference-port", skip);
    if (server && other)
        add_entry(entries, test, "port-reference", skip);
    if (!(server && client) && !other)
        add_entry(entries, test, "port-port", "hello: the port plays one role only");
}

/* ---- workers ----------------------------------------------------------------------------------------------- */

static bool is_sweep(const struct entry *entry)
{
    return entry->result.test->sweep != NULL;
}

static bool two_edges(const struct entry *entry)
{
    const cJSON *sweep = entry->result.test->sweep;
    return json_text(sweep, "images", NULL) == NULL &&
           strcmp(json_text(sweep, "action", "kill"), "kill") == 0;
}

static void start_worker(const struct kit_options *options, const struct results *results,
                         struct entry *entry, int point, int edge, bool trace)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        kit_die(4, "pipe: %s", strerror(errno));
    const cJSON *shm = cJSON_GetObjectItemCaseSensitive(entry->result.test->json, "shm_bytes");
    size_t shm_bytes = cJSON_IsNumber(shm) ? (size_t)shm->valuedouble : 0;
    struct kit_options own = *options;
    own.trace = trace;
    fflush(NULL);
    pid_t runner = getpid();
    pid_t pid = sandbox_fork(results->sandbox, shm_bytes);
    if (pid < 0)
        kit_die(4, "cannot start a worker: %s", strerror(errno));
    if (pid == 0) {
        static struct run run;
        close(ends[0]);
        run.options = &own;
        run.test = entry->result.test;
        run.pairing = entry->result.pairing;
        run.point = point;
        run.edge = edge;
        run.result_fd = ends[1];
        run.port_hello = results->hello;
        sandbox_prefix(results->sandbox, runner, run.prefix);
        if (run.prefix[0] != '\0')
            snprintf(run.prefix + strlen(run.prefix), 8, "%d_", (int)(getpid() % 100000));
        worker_main(&run);
    }
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    struct worker one = {.pid = pid, .fd = ends[0], .entry = entry, .point = point, .edge = edge,
                         .trace = trace, .patience = patience_begin_tree(CASE_SECONDS * 1000, pid)};
    entry->running++;
    workers[worker_count++] = one;
}

static cJSON *worker_record(struct worker *worker, int status)
{
    cJSON *record = worker->output.data != NULL ? cJSON_Parse(worker->output.data) : NULL;
    if (record != NULL)
        return record;
    record = cJSON_CreateObject();
    bool overdue = worker->overdue;
    char *text = overdue ? kit_format("the case was not over after %d s and %lld s for want of a CPU",
                                      CASE_SECONDS, (long long)worker->patience.grace / 1000)
                         : kit_format("the worker ended without a verdict (wait status 0x%x)", status);
    cJSON_AddStringToObject(record, "verdict", overdue ? "timeout" : "runner-error");
    cJSON_AddStringToObject(record, "class", overdue ? "hang" : "runner-error");
    cJSON_AddStringToObject(record, "text", text);
    free(text);
    return record;
}

static int severity(enum kit_verdict verdict)
{
    static const int order[VERDICT_COUNT] = {[VERDICT_PASS] = 0,    [VERDICT_SKIP] = 1,
                                             [VERDICT_FAIL] = 2,    [VERDICT_TIMEOUT] = 3,
                                             [VERDICT_CRASH] = 4,   [VERDICT_RUNNER_ERROR] = 5};
    return order[verdict];
}

static void take_record(struct entry *entry, struct worker *worker, cJSON *record)
{
    struct result *result = &entry->result;
    enum kit_verdict verdict = verdict_from_name(json_text(record, "verdict", ""));
    result->ms += (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(record, "ms"));
    if (json_flag(record, "sweep_ended", false))
        entry->ended = true;
    if (json_flag(record, "reached", false))
        result->points++;
    if (verdict != VERDICT_PASS && is_sweep(entry))
        result->failed_points++;
    if (result->json != NULL && severity(verdict) <= severity(result->verdict)) {
        cJSON_Delete(record);
        return;
    }
    result->verdict = verdict;
    cJSON_Delete(result->json);
    result->json = record;
    result->class = kit_copy(json_text(record, "class", "?"));
    if (is_sweep(entry) && verdict != VERDICT_PASS)
        result->text = kit_format("at point %d %s %s: %s", worker->point,
                                  worker->edge ? "exit" : "entry", json_text(record, "at", ""),
                                  json_text(record, "text", ""));
    else
        result->text = kit_copy(json_text(record, "text", ""));
}

/* The repetition under the tracer lends its system calls to the evidence of the first run. */
static void take_trace(struct entry *entry, cJSON *record)
{
    cJSON *to = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(entry->result.json, "evidence"), "adapters");
    const cJSON *from = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(record, "evidence"), "adapters");
    cJSON *one;
    cJSON_ArrayForEach(one, to)
    {
        const cJSON *other;
        cJSON_ArrayForEach(other, from)
        {
            if (strcmp(json_text(one, "actor", ""), json_text(other, "actor", "?")) == 0)
                cJSON_ReplaceItemInObject(
                    one, "calls", cJSON_CreateString(json_text(other, "calls", "")));
        }
    }
    cJSON_Delete(record);
}

static void end_worker(struct worker *worker)
{
    int status = 0;
    waitpid(worker->pid, &status, 0);
    close(worker->fd);
    struct entry *entry = worker->entry;
    entry->running--;
    cJSON *record = worker_record(worker, status);
    if (worker->trace)
        take_trace(entry, record);
    else
        take_record(entry, worker, record);
    text_free(&worker->output);
}

static void poll_workers(void)
{
    struct pollfd fds[WORKERS_MAX];
    for (int i = 0; i < worker_count; i++)
        fds[i] = (struct pollfd){workers[i].fd, POLLIN, 0};
    poll(fds, (nfds_t)worker_count, 100);
    for (int i = worker_count - 1; i >= 0; i--) {
        struct worker *worker = &workers[i];
        char chunk[65536];
        ssize_t got;
        while ((got = read(worker->fd, chunk, sizeof chunk)) > 0)
            text_append(&worker->output, chunk, (size_t)got);
        if (got < 0 && !worker->overdue && patience_over(&worker->patience)) {
            kill(worker->pid, SIGKILL);
            worker->overdue = true;
        }
        if (got == 0) {
            end_worker(worker);
            workers[i] = workers[--worker_count];
        }
    }
}

/* ---- the run ------------------------------------------------------------------------------------------------- */

static bool wants_trace(const struct entry *entry)
{
    return !entry->traced && !is_sweep(entry) && entry->result.json != NULL &&
           severity(entry->result.verdict) >= severity(VERDICT_FAIL) &&
           !json_flag(entry->result.test->json, "watch_clock", false);
}

/* Start the next piece of work of the entry; false if there is none now. */
static bool start_next(const struct kit_options *options, const struct results *results,
                       struct entry *entry)
{
    if (entry->done || entry->skip != NULL)
        return false;
    if (wants_trace(entry) && entry->running == 0) {
        entry->traced = true;
        start_worker(options, results, entry, 0, 0, true);
        return true;
    }
    if (entry->ended || (!is_sweep(entry) && entry->next > 0) || entry->next >= POINTS_MAX)
        return false;
    int edges = two_edges(entry) ? 2 : 1;
    int n = entry->next++;
    int point = is_sweep(entry) ? n / edges + 1 : 0;
    int edge = is_sweep(entry) ? n % edges : 0;
    const cJSON *fixed = cJSON_GetObjectItemCaseSensitive(entry->result.test->sweep, "points");
    int points = cJSON_IsNumber(fixed) ? fixed->valueint : 0;
    if (is_sweep(entry) && points > 0 && point >= points)
        entry->ended = true; /* a sweep that cannot tell its own end has a fixed one */
    if (options->point > 0) {
        point = options->point;
        edge = options->edge;
        entry->ended = true;
    }
    start_worker(options, results, entry, point, edge, false);
    return true;
}

static void progress(const struct kit_options *options, const struct entries *entries)
{
    static int64_t last;
    if (options->quiet || !isatty(2) || now_ms() - last < 100)
        return;
    last = now_ms();
    size_t done = 0, points = 0;
    const char *at = "";
    for (size_t i = 0; i < entries->count; i++) {
        done += entries->list[i].done;
        points += (size_t)entries->list[i].result.points;
        if (entries->list[i].running > 0)
            at = entries->list[i].result.test->id;
    }
    fprintf(stderr, "\r%zu/%zu cases, %zu crash points and images, %-20s", done, entries->count,
            points, at);
}

static void finish_entry(struct entry *entry)
{
    if (entry->done || entry->running > 0 || wants_trace(entry))
        return;
    if (entry->skip != NULL) {
        entry->result.verdict = VERDICT_SKIP;
        entry->result.class = kit_copy("skip");
        entry->result.text = entry->skip;
        entry->done = true;
        return;
    }
    if (entry->next == 0 || (is_sweep(entry) && !entry->ended && entry->next < POINTS_MAX))
        return;
    bool passed = is_sweep(entry) && entry->result.verdict == VERDICT_PASS;
    if (passed && entry->result.points == 0) {
        entry->result.verdict = VERDICT_RUNNER_ERROR;
        entry->result.class = kit_copy("no_points");
        entry->result.text = kit_copy("the sweep reached no point at all");
    } else if (passed && !entry->ended) {
        entry->result.verdict = VERDICT_RUNNER_ERROR;
        entry->result.class = kit_copy("endless");
        entry->result.text = kit_format("the sweep had not ended after %d starts", POINTS_MAX);
    }
    entry->done = true;
}

static void run_entries(const struct kit_options *options, const struct results *results,
                        struct entries *entries)
{
    size_t open = entries->count;
    while (open > 0) {
        open = 0;
        for (size_t i = 0; i < entries->count; i++) {
            struct entry *entry = &entries->list[i];
            /* A failing sweep is not run to its end many times over: what it shows is shown. */
            if (is_sweep(entry) && entry->result.failed_points >= 8)
                entry->ended = true;
            while (worker_count < options->jobs && start_next(options, results, entry))
                ;
            finish_entry(entry);
            open += !entry->done;
            if (worker_count >= options->jobs)
                break;
        }
        open += worker_count > 0;
        progress(options, entries);
        if (worker_count > 0)
            poll_workers();
    }
    for (size_t i = 0; i < entries->count; i++)
        finish_entry(&entries->list[i]);
    if (!options->quiet && isatty(2))
        fprintf(stderr, "\r%79s\r", "");
}

/* By default those of the port's own name, if the kit has some. */
static struct expectations *load_expectations(const struct kit_options *options, const cJSON *hello)
{
    if (options->expectations != NULL)
        return expectations_load(options->expectations);
    char *path = kit_format("%s/expectations/%s.json", options->root,
                            json_text(hello, "implementation", "?"));
    struct expectations *expectations =
        expectations_load(access(path, R_OK) == 0 ? path : NULL);
    free(path);
    return expectations;
}

bool schedule_run(const struct kit_options *options, const struct kit_cases *cases,
                  struct results *results)
{
    int64_t begin = now_ms();
    struct entries entries = {0};
    results->sandbox = sandbox_probe();
    sandbox_sweep(results->sandbox, -1);
    results->hello = adapter_hello(options, options->adapter);
    if (results->hello == NULL)
        return false;
    results->label = options->label != NULL ? options->label
                                            : json_text(results->hello, "implementation", "port");
    struct expectations *expectations = load_expectations(options, results->hello);
    for (int round = 0; round < options->repeat; round++)
        for (size_t i = 0; i < cases->count; i++)
            if (schedule_selects(options, &cases->list[i]))
                add_case(&entries, options, &cases->list[i], results, expectations);
    if (entries.count == 0)
        kit_die(2, "no case is chosen by these options; --list shows them all");
    run_entries(options, results, &entries);
    sandbox_sweep(results->sandbox, getpid());
    results->list = kit_alloc(entries.count * sizeof *results->list);
    results->count = entries.count;
    for (size_t i = 0; i < entries.count; i++)
        results->list[i] = entries.list[i].result;
    free(entries.list);
    expectations_apply(expectations, results);
    /* Part of the cases says nothing about patterns of the others. */
    if (options->pattern == NULL && options->category == NULL && options->level == NULL)
        results->unused = expectations_unused(expectations);
    expectations_free(expectations);
    results->ms = now_ms() - begin;
    return true;
}

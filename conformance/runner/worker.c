/* SPDX-License-Identifier: MIT
 *
 * One case in its own process: from its first step to its verdict, with the evidence of a failure.
 */
#include "kit.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

const char *const verdict_names[VERDICT_COUNT] = {"pass",  "fail",    "xfail",       "xpass", "skip",
                                                  "crash", "timeout", "runner-error"};

enum kit_verdict verdict_from_name(const char *name)
{
    for (int i = 0; i < VERDICT_COUNT; i++)
        if (strcmp(verdict_names[i], name) == 0)
            return (enum kit_verdict)i;
    return VERDICT_RUNNER_ERROR;
}

void run_log(struct run *run, const char *format, ...)
{
    va_list arguments;
    text_printf(&run->log, "%6lld ms  ", (long long)(now_ms() - run->started_ms));
    va_start(arguments, format);
    text_vprintf(&run->log, format, arguments);
    va_end(arguments);
    text_append(&run->log, "\n", 1);
}

/* A command that repeats exactly this. */
static char *repeat_command(const struct run *run)
{
    struct kit_text text = {0};
    text_printf(&text, "%s --adapter '%s'", run->options->self, run->options->adapter);
    if (run->options->reference != NULL)
        text_printf(&text, " --reference '%s'", run->options->reference);
    if (run->options->expectations != NULL)
        text_printf(&text, " --expectations '%s'", run->options->expectations);
    if (run->options->have_uid)
        text_printf(&text, " --as-user %u", run->options->uid);
    if (run->options->patience_ms != KIT_PATIENCE_MS)
        text_printf(&text, " --patience %d", run->options->patience_ms);
    text_printf(&text, " --case %s", run->test->id);
    if (run->point > 0)
        text_printf(&text, " --point %d --edge %s", run->point, run->edge ? "exit" : "entry");
    return text.data;
}

static void evidence_channels(const struct run *run, struct kit_text *text)
{
    struct kit_text names = {0};
    shm_list(&names);
    text_printf(text, "/dev/shm:\n%s", names.data != NULL ? names.data : "(empty)\n");
    text_free(&names);
    raw_dump(text, run->channel);
    for (int i = 0; i < run->raw_count; i++)
        if (strcmp(run->raws[i].name, run->channel) != 0 && run->raws[i].name[0] != '\0')
            raw_dump(text, run->raws[i].name);
}

static void evidence_adapters(struct run *run, cJSON *evidence)
{
    cJSON *list = cJSON_AddArrayToObject(evidence, "adapters");
    for (int i = 0; i < run->actor_count; i++) {
        struct adapter *adapter = &run->actors[i];
        struct kit_text state = {0};
        struct kit_text calls = {0};
        cJSON *one = cJSON_CreateObject();
        adapter_dead(adapter);
        adapter_drain(adapter);
        text_printf(&state, "%s\n", adapter_death(adapter));
        if (adapter->alive)
            ledger_print(&state, adapter->pid);
        if (adapter->tracer != NULL)
            tracer_print(&calls, adapter->tracer);
        cJSON_AddStringToObject(one, "actor", adapter->actor);
        cJSON_AddStringToObject(one, "state", state.data);
        cJSON_AddStringToObject(one, "stderr", adapter->said.data != NULL ? adapter->said.data : "");
        cJSON_AddStringToObject(one, "calls", calls.data != NULL ? calls.data : "");
        cJSON_AddItemToArray(list, one);
        text_free(&state);
        text_free(&calls);
    }
}

static cJSON *evidence_of(struct run *run)
{
    cJSON *evidence = cJSON_CreateObject();
    struct kit_text channels = {0};
    char *repeat = repeat_command(run);
    evidence_channels(run, &channels);
    cJSON_AddStringToObject(evidence, "log", run->log.data != NULL ? run->log.data : "");
    cJSON_AddStringToObject(evidence, "shm", channels.data);
    evidence_adapters(run, evidence);
    cJSON_AddStringToObject(evidence, "repeat", repeat);
    free(repeat);
    text_free(&channels);
    return evidence;
}

/* In a shared process space nothing goes by itself: end what we started, remove what has our prefix. */
static void clean_up(struct run *run)
{
    for (int i = 0; i < run->actor_count; i++) {
        struct adapter *adapter = &run->actors[i];
        /* A child may outlive its adapter; its number may be another's by now, but not in this group. */
        if (adapter->forked > 1 && getpgid(adapter->forked) == adapter->child)
            kill(adapter->forked, SIGKILL);
        if (!adapter->alive)
            continue;
        kill(-adapter->child, SIGKILL);
        kill(adapter->pid, SIGKILL);
        waitpid(adapter->child, NULL, 0);
    }
    sandbox_remove(run->prefix);
}

static void write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, data, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            _exit(1);
        data += put;
        length -= (size_t)put;
    }
}

static const struct tracer *victim_tracer(const struct run *run)
{
    for (int i = 0; i < run->actor_count; i++) {
        const struct tracer *tracer = run->actors[i].tracer;
        if (tracer != NULL && tracer->action != TRACE_RECORD)
            return tracer;
    }
    return NULL;
}

/* Why a run that passed proves nothing about its point, or null. */
static const char *point_unseen(const struct run *run)
{
    const struct tracer *tracer = victim_tracer(run);
    if (tracer == NULL)
        return NULL;
    if (tracer->lost)
        return "the tracer lost sight of the victim";
    bool seen = tracer->verb[0] == '\0' || tracer->opened;
    return seen ? NULL : "the tracer never saw the victim read the verb of the sweep";
}

/* Where the sweep's victim ended, and whether there is a next point at all: only a run that went well
 * to its end tells that the window has no such call. */
static void record_point(struct run *run, enum kit_verdict verdict, cJSON *record)
{
    const struct tracer *tracer = victim_tracer(run);
    if (tracer == NULL)
        return;
    if (tracer->reached) {
        char *at = kit_format("%s #%d", syscall_name(tracer->number), tracer->ordinal);
        cJSON_AddStringToObject(record, "at", at);
        free(at);
        run->victim_reached = true;
    } else if (tracer->count < tracer->point && verdict == VERDICT_PASS) {
        run->sweep_ended = true;
    }
}

_Noreturn void run_finish(struct run *run, enum kit_verdict verdict, const char *class,
                          const char *text)
{
    cJSON *record = cJSON_CreateObject();
    const char *unseen = verdict == VERDICT_PASS ? point_unseen(run) : NULL;
    if (unseen != NULL) {
        verdict = VERDICT_RUNNER_ERROR;
        class = "runner-error";
        text = unseen;
    }
    cJSON_AddStringToObject(record, "verdict", verdict_names[verdict]);
    cJSON_AddStringToObject(record, "class", class);
    cJSON_AddStringToObject(record, "text", text);
    cJSON_AddNumberToObject(record, "ms", (double)(now_ms() - run->started_ms));
    record_point(run, verdict, record);
    cJSON_AddBoolToObject(record, "sweep_ended", run->sweep_ended);
    cJSON_AddBoolToObject(record, "reached", run->victim_reached);
    if (verdict != VERDICT_PASS && verdict != VERDICT_SKIP)
        cJSON_AddItemToObject(record, "evidence", evidence_of(run));
    char *line = cJSON_PrintUnformatted(record);
    clean_up(run);
    write_all(run->result_fd, line, strlen(line));
    _exit(0);
}

_Noreturn void run_fail(struct run *run, const char *class, const char *format, ...)
{
    struct kit_text text = {0};
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&text, format, arguments);
    va_end(arguments);
    enum kit_verdict verdict = VERDICT_FAIL;
    if (strcmp(class, "crash") == 0)
        verdict = VERDICT_CRASH;
    else if (strcmp(class, "hang") == 0)
        verdict = VERDICT_TIMEOUT;
    run_log(run, "FAIL %s: %s", class, text.data);
    run_finish(run, verdict, class, text.data);
}

_Noreturn void run_error(struct run *run, const char *format, ...)
{
    struct kit_text text = {0};
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&text, format, arguments);
    va_end(arguments);
    run_finish(run, VERDICT_RUNNER_ERROR, "runner-error", text.data);
}

_Noreturn void run_skip(struct run *run, const char *format, ...)
{
    struct kit_text text = {0};
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&text, format, arguments);
    va_end(arguments);
    run_finish(run, VERDICT_SKIP, "skip", text.data);
}

static void drop_user(struct run *run)
{
    if (!run->options->have_uid)
        return;
    uid_t uid = run->options->uid;
    if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)
        run_error(run, "cannot become uid %u: %s", uid, strerror(errno));
    prctl(PR_SET_DUMPABLE, 1);
}

/* Ends us if the runner died before we asked to die with it: then nobody reads our result. */
static void die_with_runner(const struct run *run)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct pollfd runner = {run->result_fd, 0, 0};
    if (poll(&runner, 1, 0) == 1 && (runner.revents & POLLERR) != 0)
        _exit(1);
}

static void judge_outcome(struct run *run)
{
    const cJSON *expect = cJSON_GetObjectItemCaseSensitive(run->test->json, "expect");
    const cJSON *any_of = cJSON_GetObjectItemCaseSensitive(expect, "any_of");
    const char *outcome = run->have_outcome ? run->expected_outcome : run->outcome;
    if (!outcome_in(outcome, any_of)) {
        char *allowed = cJSON_PrintUnformatted(any_of);
        run_fail(run, outcome, "the outcome is %s, allowed is %s. %s", outcome, allowed,
                 run->detail.data != NULL ? run->detail.data : "");
    }
}

_Noreturn void worker_main(struct run *run)
{
    run->started_ms = now_ms();
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    drop_user(run);
    die_with_runner(run);
    snprintf(run->channel, sizeof run->channel, "%sch", run->prefix);
    const cJSON *buffer = cJSON_GetObjectItemCaseSensitive(run->test->json, "buffer");
    run->buffer_bytes = 4096;
    run->buffer_bytes = run_number(run, buffer, 4096);
    steps_run(run, cJSON_GetObjectItemCaseSensitive(run->test->json, "steps"));
    judge_outcome(run);
    then_run(run, cJSON_GetObjectItemCaseSensitive(run->test->json, "then"));
    run_finish(run, VERDICT_PASS, "pass", "");
}

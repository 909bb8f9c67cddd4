/* SPDX-License-Identifier: MIT
 *
 * One adapter process: its group, its pipes, its deadlines, and what its end tells. The runner never
 * takes silence or death for an answer; both have a kind of their own.
 */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* No reply is longer: two hex digits a byte of the largest buffer that a case uses. */
enum { LONGEST_LINE = 64 * 1024 * 1024, STDERR_KEPT = 16 * 1024 };

struct launch {
    const struct spawn_options *options;
    int in, out, err;
};

/* Keep the first n of the CPUs that we may run on ourselves. */
static void limit_cpus(int n)
{
    cpu_set_t allowed, kept;
    CPU_ZERO(&kept);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        _exit(126);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&kept) < n; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            CPU_SET(cpu, &kept);
    if (sched_setaffinity(0, sizeof kept, &kept) != 0)
        _exit(126);
}

static void launch_exec(void *user)
{
    const struct launch *launch = user;
    const struct spawn_options *options = launch->options;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(launch->in, 0) < 0 || dup2(launch->out, 1) < 0 || dup2(launch->err, 2) < 0)
        _exit(126);
    signal(SIGPIPE, SIG_DFL);
    if (options->umask >= 0)
        umask((mode_t)options->umask);
    if (options->cpus > 0)
        limit_cpus(options->cpus);
    if (options->fd_limit > 0) {
        struct rlimit limit = {(rlim_t)options->fd_limit, (rlim_t)options->fd_limit};
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (options->have_uid) {
        if (setgroups(0, NULL) != 0 || setresgid(options->uid, options->uid, options->uid) != 0 ||
            setresuid(options->uid, options->uid, options->uid) != 0)
            _exit(126);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of uid clears it */
    }
    if (options->environment != NULL)
        putenv(kit_copy(options->environment));
    char *script = kit_format("exec %s", options->command);
    execl("/bin/sh", "sh", "-c", script, (char *)NULL);
    _exit(127);
}

static void pipe_make(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        kit_die(4, "pipe: %s", strerror(errno));
}

void adapter_spawn(struct adapter *adapter, const char *actor, const struct spawn_options *options)
{
    int in[2], out[2], err[2];
    memset(adapter, 0, sizeof *adapter);
    snprintf(adapter->actor, sizeof adapter->actor, "%s", actor);
    pipe_make(in);
    pipe_make(out);
    pipe_make(err);
    struct launch launch = {options, in[0], out[1], err[1]};
    pid_t child = fork();
    if (child < 0)
        kit_die(4, "fork: %s", strerror(errno));
    if (child == 0) {
        setpgid(0, 0);
        if (options->tracer != NULL)
            tracer_main(options->tracer, launch_exec, &launch);
        launch_exec(&launch);
    }
    setpgid(child, child);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    adapter->child = child;
    adapter->to = in[1];
    adapter->from = out[0];
    adapter->errors = err[0];
    adapter->alive = true;
    adapter->tracer = options->tracer;
    adapter->pid = child;
    if (options->tracer != NULL) {
        int64_t until = now_ms() + 10000;
        while (options->tracer->pid == 0 && !options->tracer->lost && now_ms() < until)
            sleep_ms(1);
        adapter->pid = options->tracer->pid;
    }
    if (adapter->pid <= 0)
        kit_die(4, "the tracer did not start the adapter");
    patience_watch(adapter->pid);
    if (adapter->child != adapter->pid)
        patience_watch(adapter->child);
    adapter->start_time = process_start_time(adapter->pid);
    fcntl(adapter->from, F_SETFL, O_NONBLOCK);
    fcntl(adapter->errors, F_SETFL, O_NONBLOCK);
}

bool adapter_send(struct adapter *adapter, const char *verb, const cJSON *arguments)
{
    cJSON *line = arguments != NULL ? cJSON_Duplicate(arguments, true) : cJSON_CreateObject();
    char id[24];
    snprintf(id, sizeof id, "%u", ++adapter->next_id);
    cJSON_AddStringToObject(line, "id", id);
    cJSON_AddStringToObject(line, "verb", verb);
    char *text = cJSON_PrintUnformatted(line);
    cJSON_Delete(line);
    struct kit_text out = {0};
    text_printf(&out, "%s\n", text);
    free(text);
    snprintf(adapter->pending, sizeof adapter->pending, "%s", verb);
    size_t done = 0;
    while (done < out.length) {
        ssize_t put = write(adapter->to, out.data + done, out.length - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            break;
        done += (size_t)put;
    }
    bool sent = done == out.length;
    text_free(&out);
    return sent;
}

void adapter_drain(struct adapter *adapter)
{
    char chunk[4096];
    ssize_t got;
    while ((got = read(adapter->errors, chunk, sizeof chunk)) > 0)
        if (adapter->said.length < STDERR_KEPT)
            text_append(&adapter->said, chunk, (size_t)got);
}

static void note_end(struct adapter *adapter, int status)
{
    adapter->alive = false;
    adapter->wait_status = adapter->tracer != NULL ? adapter->tracer->status : status;
    adapter_drain(adapter);
}

bool adapter_dead(struct adapter *adapter)
{
    int status;
    if (adapter->alive && waitpid(adapter->child, &status, WNOHANG) == adapter->child)
        note_end(adapter, status);
    return !adapter->alive;
}

bool adapter_reap(struct adapter *adapter, int timeout_ms)
{
    if (adapter_dead(adapter))
        return true;
    int fd = pidfd_open(adapter->child, 0);
    if (fd < 0)
        return adapter_dead(adapter);
    struct patience patience = patience_begin(timeout_ms);
    while (!adapter_dead(adapter) && !patience_over(&patience)) {
        /* Its stderr is read meanwhile: a full pipe must not keep it from ending. */
        struct pollfd wait[2] = {{fd, POLLIN, 0}, {adapter->errors, POLLIN, 0}};
        poll(wait, wait[1].fd >= 0 ? 2 : 1, timeout_ms < 50 ? timeout_ms : 50);
        adapter_drain(adapter);
    }
    close(fd);
    return adapter_dead(adapter);
}

void adapter_kill(struct adapter *adapter, int signal_number)
{
    if (adapter_dead(adapter))
        return;
    if (signal_number == SIGKILL)
        adapter->killed_by_us = true;
    if (process_start_time(adapter->pid) == adapter->start_time)
        kill(adapter->pid, signal_number);
}

const char *adapter_death(const struct adapter *adapter)
{
    static char text[80];
    int status = adapter->wait_status;
    if (adapter->alive)
        snprintf(text, sizeof text, "alive");
    else if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, sizeof text, "exit %d", WEXITSTATUS(status));
    return text;
}

/* Take one line out of the input, or null. */
static char *take_line(struct adapter *adapter)
{
    char *end = adapter->input.data == NULL
                    ? NULL
                    : memchr(adapter->input.data, '\n', adapter->input.length);
    if (end == NULL)
        return NULL;
    size_t length = (size_t)(end - adapter->input.data);
    char *line = kit_alloc(length + 1);
    memcpy(line, adapter->input.data, length);
    adapter->input.length -= length + 1;
    memmove(adapter->input.data, end + 1, adapter->input.length + 1);
    return line;
}

static const char *const body_names[] = {"ok", "rpc_error", "unsupported", "internal"};

const cJSON *reply_body(const cJSON *reply, enum reply_kind kind)
{
    return kind <= REPLY_INTERNAL ? cJSON_GetObjectItemCaseSensitive(reply, body_names[kind])
                                  : NULL;
}

/* The form of one line: ASCII, an object, our id, exactly one body. */
static enum reply_kind judge_line(struct adapter *adapter, const char *line, cJSON **reply,
                                  const char **why)
{
    for (const char *at = line; *at != '\0'; at++)
        if ((unsigned char)*at >= 0x7f || (unsigned char)*at < 0x20) {
            *why = "the line is not printable ASCII";
            return REPLY_BAD;
        }
    cJSON *parsed = cJSON_ParseWithOpts(line, NULL, true);
    if (!cJSON_IsObject(parsed)) {
        cJSON_Delete(parsed);
        *why = "the line is no JSON object";
        return REPLY_BAD;
    }
    *reply = parsed;
    char id[24];
    snprintf(id, sizeof id, "%u", adapter->next_id);
    if (strcmp(json_text(parsed, "id", ""), id) != 0) {
        *why = "the id is not that of the verb";
        return REPLY_BAD;
    }
    if (cJSON_GetArraySize(parsed) != 2) {
        *why = "there must be an id and one of ok, rpc_error, unsupported, internal";
        return REPLY_BAD;
    }
    for (enum reply_kind kind = REPLY_OK; kind <= REPLY_INTERNAL; kind++) {
        const cJSON *body = reply_body(parsed, kind);
        if (body == NULL)
            continue;
        const char *part = kind == REPLY_OK ? "ok" : body_names[kind];
        *why = schema_check(kind == REPLY_OK ? adapter->pending : "*", part, body);
        return *why == NULL ? kind : REPLY_BAD;
    }
    *why = "none of ok, rpc_error, unsupported, internal";
    return REPLY_BAD;
}

static enum reply_kind at_end_of_input(struct adapter *adapter, const char **why)
{
    if (adapter_reap(adapter, 2000))
        return REPLY_DEAD;
    *why = "it closed its standard output and lives on";
    return REPLY_BAD;
}

enum reply_kind adapter_receive(struct adapter *adapter, int timeout_ms, cJSON **reply,
                                const char **why)
{
    struct patience patience = patience_begin(timeout_ms);
    *reply = NULL;
    *why = "";
    for (;;) {
        char *line = take_line(adapter);
        if (line != NULL) {
            enum reply_kind kind = judge_line(adapter, line, reply, why);
            free(line);
            adapter->pending[0] = '\0';
            return kind;
        }
        if (patience_over(&patience))
            return REPLY_LATE;
        struct pollfd wait[2] = {{adapter->from, POLLIN, 0}, {adapter->errors, POLLIN, 0}};
        poll(wait, 2, timeout_ms < 100 ? timeout_ms : 100);
        adapter_drain(adapter);
        char chunk[65536];
        ssize_t got = read(adapter->from, chunk, sizeof chunk);
        if (got > 0)
            text_append(&adapter->input, chunk, (size_t)got);
        else if (got == 0)
            return at_end_of_input(adapter, why);
        if (adapter->input.length > LONGEST_LINE) {
            *why = "the line does not end";
            return REPLY_BAD;
        }
    }
}

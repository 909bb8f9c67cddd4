/* SPDX-License-Identifier: MIT
 *
 * Steps that look at or touch what the kernel holds: names, files, processes, the ledger.
 */
#include "steps.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <sys/wait.h>
#include <unistd.h>

static void object_path(struct run *run, const cJSON *arguments, char path[512])
{
    raw_path(run_channel(run, arguments), raw_object(json_text(arguments, "object", "req")), path);
}

/* ---- names and files ------------------------------------------------------------------------------ */

static void expect_values(struct run *run, const cJSON *values, const char *name)
{
    const cJSON *value;
    cJSON_ArrayForEach(value, values)
    {
        int got = raw_peek_value(name, raw_object(value->string));
        if (got != (int)run_number(run, value, 0)) {
            run_outcome(run, "wrong_value");
            run_detail(run, "%s is %d", value->string, got);
        }
    }
}

static void expect_files(struct run *run, const cJSON *arguments, const char *name)
{
    const char *mode = json_text(arguments, "mode", NULL);
    int64_t buffer = step_number(run, arguments, "bytes", -1);
    for (int i = 0; i < RAW_OBJECTS; i++) {
        char path[512];
        struct stat status;
        raw_path(name, i, path);
        if (lstat(path, &status) != 0)
            continue;
        if (mode != NULL && (status.st_mode & 0777) != strtoul(mode, NULL, 8)) {
            run_outcome(run, "wrong_mode");
            run_detail(run, "%s has mode %o", path, status.st_mode & 07777);
        }
        int64_t bytes = i < RAW_REQ_EMPTY ? buffer : 32;
        if (buffer >= 0 && status.st_size != bytes) {
            run_outcome(run, "wrong_size");
            run_detail(run, "%s has %lld bytes", path, (long long)status.st_size);
        }
        if (mode != NULL && !S_ISREG(status.st_mode)) {
            run_outcome(run, "wrong_kind");
            run_detail(run, "%s is no regular file", path);
        }
    }
}

static void expect_zeros(struct run *run, const char *name)
{
    for (int i = 0; i <= RAW_RESP; i++) {
        char path[512];
        size_t length = 0;
        raw_path(name, i, path);
        char *bytes = file_read(path, &length);
        for (size_t at = 0; bytes != NULL && at < length; at++)
            if (bytes[at] != 0) {
                run_outcome(run, "not_zero");
                run_detail(run, "%s is %d at %zu", path, bytes[at], at);
                break;
            }
        free(bytes);
    }
}

static void expect_blocks(struct run *run, const char *name)
{
    for (int i = 0; i <= RAW_RESP; i++) {
        char path[512];
        struct stat status;
        raw_path(name, i, path);
        if (stat(path, &status) == 0 && (int64_t)status.st_blocks * 512 < status.st_size) {
            run_outcome(run, "not_reserved");
            run_detail(run, "%s has %lld bytes and %lld blocks", path, (long long)status.st_size,
                       (long long)status.st_blocks);
        }
    }
}

static void shm_expect_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    const char *name = run_channel(run, arguments);
    (void)step;
    int64_t present = step_number(run, arguments, "present", 6);
    int64_t files = step_number(run, arguments, "files", -1);
    if (raw_present(name) != present) {
        run_outcome(run, "wrong_names");
        run_detail(run, "%d of the six objects exist, not %lld", raw_present(name),
                   (long long)present);
    }
    struct kit_text list = {0};
    if (files >= 0 && run->prefix[0] == '\0' && shm_list(&list) != files) {
        run_outcome(run, "wrong_names");
        run_detail(run, "/dev/shm holds: %s", list.data != NULL ? list.data : "nothing");
    }
    text_free(&list);
    expect_files(run, arguments, name);
    expect_values(run, cJSON_GetObjectItemCaseSensitive(arguments, "values"), name);
    if (json_flag(arguments, "zeros", false))
        expect_zeros(run, name);
    if (json_flag(arguments, "reserved", false))
        expect_blocks(run, name);
}

/* The sticky bit on req, and its OFD lock, asked for without taking it. */
static void shm_owner_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    char path[512];
    struct stat status;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    (void)step;
    object_path(run, arguments, path);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &status) != 0 || fcntl(fd, F_OFD_GETLK, &lock) != 0) {
        run_outcome(run, "not_found");
        return;
    }
    close(fd);
    bool want_mark = json_flag(arguments, "marked", true);
    bool want_lock = json_flag(arguments, "locked", true);
    if (strstr(path, "_req") != NULL && ((status.st_mode & S_ISVTX) != 0) != want_mark &&
        cJSON_GetObjectItemCaseSensitive(arguments, "marked") != NULL)
        run_outcome(run, "wrong_mark");
    else if ((lock.l_type == F_WRLCK) != want_lock)
        run_outcome(run, want_lock ? "not_locked" : "locked");
    else if (want_lock && (lock.l_start != 0 || lock.l_len != 0))
        run_outcome(run, "not_whole");
    run_detail(run, "mode %o, lock type %d from %lld length %lld", status.st_mode & 07777,
               lock.l_type, (long long)lock.l_start, (long long)lock.l_len);
}

static void make_file(struct run *run, const char *path, const char *kind, mode_t mode,
                      const cJSON *arguments)
{
    int fd = -1;
    if (strcmp(kind, "directory") == 0) {
        if (mkdir(path, mode) != 0)
            run_error(run, "mkdir %s: %s", path, strerror(errno));
    } else if (strcmp(kind, "symlink") == 0) {
        if (symlink(json_text(arguments, "to", "/dev/shm/elsewhere"), path) != 0)
            run_error(run, "symlink %s: %s", path, strerror(errno));
    } else if (strcmp(kind, "fifo") == 0) {
        if (mkfifo(path, mode) != 0)
            run_error(run, "mkfifo %s: %s", path, strerror(errno));
    } else {
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, (off_t)step_number(run, arguments, "bytes", 0)) != 0 ||
            fchmod(fd, mode) != 0)
            run_error(run, "make %s: %s", path, strerror(errno));
        close(fd);
    }
}

static void shm_make_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    char path[512];
    const char *file = json_text(arguments, "file", NULL);
    (void)step;
    object_path(run, arguments, path);
    if (file != NULL)
        snprintf(path, sizeof path, "/dev/shm/%s", file);
    mode_t mode = (mode_t)strtoul(json_text(arguments, "mode", "600"), NULL, 8);
    make_file(run, path, json_text(arguments, "kind", "file"), mode, arguments);
    int64_t uid = step_number(run, arguments, "uid", -1);
    if (uid >= 0 && lchown(path, (uid_t)uid, (gid_t)uid) != 0)
        run_error(run, "chown %s: %s", path, strerror(errno));
}

static void shm_change_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    char path[512];
    const char *mode = json_text(arguments, "mode", NULL);
    int64_t uid = step_number(run, arguments, "uid", -1);
    (void)step;
    object_path(run, arguments, path);
    if (mode != NULL && chmod(path, (mode_t)strtoul(mode, NULL, 8)) != 0)
        run_error(run, "chmod %s: %s", path, strerror(errno));
    if (uid >= 0 && chown(path, (uid_t)uid, (gid_t)uid) != 0)
        run_error(run, "chown %s: %s", path, strerror(errno));
}

static void shm_remove_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    const cJSON *objects = cJSON_GetObjectItemCaseSensitive(arguments, "objects");
    (void)step;
    for (int i = 0; i < RAW_OBJECTS; i++) {
        char path[512];
        raw_path(run_channel(run, arguments), i, path);
        if ((objects == NULL || json_has(objects, raw_object_names[i])) && unlink(path) != 0)
            rmdir(path);
    }
}

/* An extra hard link under a temporary name: what the original's sem_open leaves for a moment. */
static void shm_link_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)step;
    for (int i = RAW_REQ_EMPTY; i < RAW_OBJECTS; i++) {
        char path[512], other[600];
        raw_path(run_channel(run, arguments), i, path);
        snprintf(other, sizeof other, "/dev/shm/sem.srb_%slink%d", run->prefix, i);
        if (link(path, other) != 0)
            run_error(run, "link %s: %s", path, strerror(errno));
    }
}

static ino_t remembered[RAW_OBJECTS];

static ino_t inode_of(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 ? status.st_ino : 0;
}

static void shm_remember_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)step;
    for (int i = 0; i < RAW_OBJECTS; i++) {
        char path[512];
        raw_path(run_channel(run, arguments), i, path);
        remembered[i] = inode_of(path);
    }
}

/* Nobody replaced or removed any of the objects since; or, with "fresh", every one is another. */
static void shm_same_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    const cJSON *objects = cJSON_GetObjectItemCaseSensitive(arguments, "objects");
    bool fresh = json_flag(arguments, "fresh", false);
    (void)step;
    for (int i = 0; i < RAW_OBJECTS; i++) {
        char path[512];
        raw_path(run_channel(run, arguments), i, path);
        ino_t now = inode_of(path);
        if (objects != NULL && !json_has(objects, raw_object_names[i]))
            continue;
        if ((now == remembered[i]) == fresh) {
            run_outcome(run, fresh ? "reused" : "changed");
            run_detail(run, "%s was inode %llu and is %llu", path,
                       (unsigned long long)remembered[i], (unsigned long long)now);
        }
    }
}

static void check_pieces(struct run *run, const char *name);

static bool is_object_file(const char *name, const char *file)
{
    for (int i = 0; i < RAW_OBJECTS; i++) {
        char path[512];
        raw_path(name, i, path);
        if (strcmp(path + strlen("/dev/shm/"), file) == 0)
            return true;
    }
    return false;
}

/* What one may see under the names at any moment of a creation or a removal: no name but the six; req
 * there if any other is ("owned"), or the names that are there a prefix of the order ("prefix"); and
 * segments only with their final size, mark and content, semaphores only initialised ("whole"). */
static void shm_order_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    const char *name = run_channel(run, arguments);
    bool prefix = json_flag(arguments, "prefix", false);
    bool owned = json_flag(arguments, "owned", false);
    bool whole = json_flag(arguments, "whole", false);
    bool gap = false;
    struct kit_text files = {0};
    (void)step;
    if (json_flag(arguments, "pieces", false))
        check_pieces(run, name);
    shm_list(&files);
    char *file = files.data != NULL ? strtok(files.data, "\n") : NULL;
    for (; run->prefix[0] == '\0' && file != NULL; file = strtok(NULL, "\n"))
        if (json_flag(arguments, "only", false) && !is_object_file(name, file)) {
            run_outcome(run, "other_name");
            run_detail(run, "there is %s", file);
        }
    text_free(&files);
    for (int i = 0; i < RAW_OBJECTS; i++) {
        char path[512];
        struct stat status;
        raw_path(name, i, path);
        if (lstat(path, &status) != 0) {
            gap = gap || prefix || (owned && i == RAW_REQ);
            continue;
        }
        int64_t bytes = i < RAW_REQ_EMPTY ? run->buffer_bytes : 32;
        if (gap) {
            run_outcome(run, "wrong_order");
            run_detail(run, "%s is there and one before it is not", raw_object_names[i]);
        }
        if (whole && (status.st_size != bytes || (status.st_mode & 0777) != 0600 ||
                      (status.st_mode & S_ISVTX) == 0 ||
                      (i >= RAW_REQ_EMPTY && raw_peek_value(name, i) < 0))) {
            run_outcome(run, "half_made");
            run_detail(run, "%s has %lld bytes and mode %o", raw_object_names[i],
                       (long long)status.st_size, status.st_mode & 07777);
        }
    }
}

/* Of what was remembered of the other five, one is gone and another is not: then somebody must hold the
 * name req, for only its holder may remove them. */
static void check_pieces(struct run *run, const char *name)
{
    char path[512];
    struct stat status;
    int gone = 0, left = 0;
    raw_path(name, RAW_REQ, path);
    bool owned = lstat(path, &status) == 0;
    for (int i = RAW_RESP; i < RAW_OBJECTS; i++) {
        raw_path(name, i, path);
        if (remembered[i] != 0)
            ++*(inode_of(path) == remembered[i] ? &left : &gone);
    }
    if (!owned && gone > 0 && left > 0) {
        run_outcome(run, "unowned_removal");
        run_detail(run, "%d of the old objects are gone, %d are left, and there is no req", gone,
                   left);
    }
}

/* No process but this one maps what was remembered. */
static void shm_not_adopted_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    const cJSON *objects = cJSON_GetObjectItemCaseSensitive(arguments, "objects");
    (void)step;
    for (int i = 0; i < RAW_OBJECTS; i++) {
        struct stat shm;
        if (objects != NULL && !json_has(objects, raw_object_names[i]))
            continue;
        if (stat("/dev/shm", &shm) == 0 && remembered[i] != 0 &&
            ledger_maps_inode(shm.st_dev, remembered[i], getpid())) {
            run_outcome(run, "adopted");
            run_detail(run, "a process maps the old %s", raw_object_names[i]);
        }
    }
}

/* Wait until the semaphores have these values: for as long as the patience lasts. */
static void values_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct patience patience =
        patience_begin(step_number(run, arguments, "within_ms", run->options->patience_ms));
    const char *name = run_channel(run, arguments);
    (void)step;
    for (;;) {
        bool all = true;
        const cJSON *value;
        cJSON_ArrayForEach(value, arguments)
        {
            if (strcmp(value->string, "name") == 0 || strcmp(value->string, "within_ms") == 0)
                continue;
            all = all && raw_peek_value(name, raw_object(value->string)) ==
                             (int)run_number(run, value, 0);
        }
        if (all)
            return;
        if (patience_over(&patience))
            break;
        sleep_ms(2);
    }
    run_outcome(run, "not_idle");
    run_detail(run, "req_empty %d req_full %d resp_empty %d resp_full %d",
               raw_peek_value(name, RAW_REQ_EMPTY), raw_peek_value(name, RAW_REQ_FULL),
               raw_peek_value(name, RAW_RESP_EMPTY), raw_peek_value(name, RAW_RESP_FULL));
}

static void idle_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    cJSON *values = cJSON_Parse("{\"req_empty\":1,\"req_full\":0,\"resp_empty\":1,\"resp_full\":0}");
    const char *name = json_text(arguments, "name", NULL);
    if (name != NULL)
        cJSON_AddStringToObject(values, "name", name);
    values_step(run, values, step);
    cJSON_Delete(values);
}

/* ---- processes ------------------------------------------------------------------------------------------ */

static int signal_of(struct run *run, const char *name)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"SIGKILL", SIGKILL}, {"SIGTERM", SIGTERM}, {"SIGINT", SIGINT},
                   {"SIGSTOP", SIGSTOP}, {"SIGCONT", SIGCONT}, {"SIGUSR1", SIGUSR1},
                   {"SIGALRM", SIGALRM}, {"SIGWINCH", SIGWINCH}};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (strcmp(signals[i].name, name) == 0)
            return signals[i].number;
    run_error(run, "unknown signal %s", name);
}

static void kill_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "server");
    int number = signal_of(run, json_text(arguments, "signal", "SIGKILL"));
    adapter_kill(adapter, number);
    bool reap = json_flag(arguments, "reap", number == SIGKILL);
    if (reap && !adapter_reap(adapter, run->options->patience_ms))
        run_fail(run, "hang", "%s lives on after signal %d", adapter->actor, number);
    (void)step;
}

static void reap_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "server");
    (void)step;
    if (!adapter_reap(adapter, run->options->patience_ms)) {
        run_outcome(run, "lives");
        return;
    }
    run_detail(run, "%s", adapter_death(adapter));
    adapter->mourned = true;
    int status = adapter->wait_status;
    if (WIFSIGNALED(status))
        run_outcome(run, adapter->killed_by_us ? "killed" : "died");
    int64_t code = step_number(run, arguments, "code", 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) != code)
        run_outcome(run, "wrong_exit");
}

/* A stopped process is stopped when the kernel says so. */
static void wait_stopped_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "server");
    struct patience patience = patience_begin(run->options->patience_ms);
    char path[64];
    (void)step;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)adapter->pid);
    for (;;) {
        char *text = file_read(path, NULL);
        const char *state = text != NULL ? strrchr(text, ')') : NULL;
        bool stopped = state != NULL && (state[2] == 'T' || state[2] == 't');
        free(text);
        if (stopped)
            return;
        if (patience_over(&patience))
            run_error(run, "%s does not stop", adapter->actor);
        sleep_ms(1);
    }
}

static void wait_blocked_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "server");
    struct patience patience = patience_begin(run->options->patience_ms);
    (void)step;
    while (!ledger_thread_blocked(adapter->pid)) {
        if (adapter_dead(adapter)) {
            run_outcome(run, "died");
            return;
        }
        if (patience_over(&patience)) {
            run_outcome(run, "not_blocked");
            return;
        }
        sleep_ms(1);
    }
}

/* Only for cases that must see that nothing happens; no case waits so for something to happen. */
static void pause_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)step;
    sleep_ms((int)step_number(run, arguments, "ms", 100));
}

static void end_fork_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "client");
    (void)step;
    if (adapter->forked <= 1 || kill(adapter->forked, SIGKILL) != 0)
        run_outcome(run, "died");
}

/* A process that sends signals without pause while the next steps run. */
static pid_t stormer;

static void signal_storm_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "server");
    int number = signal_of(run, json_text(arguments, "signal", "SIGWINCH"));
    (void)step;
    stormer = fork();
    if (stormer != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct timespec pause_ns = {0, 200000};
    while (kill(adapter->pid, number) == 0)
        nanosleep(&pause_ns, NULL);
    _exit(0);
}

static void signal_storm_end_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)run;
    (void)arguments;
    (void)step;
    if (stormer > 0) {
        kill(stormer, SIGKILL);
        waitpid(stormer, NULL, 0);
    }
    stormer = 0;
}

/* Another process gets the dead adapter's number. Possible to order only in a private process space. */
static void reuse_pid_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "server");
    char text[32];
    (void)step;
    for (int attempt = 0; attempt < 100; attempt++) {
        int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
        int length = snprintf(text, sizeof text, "%d", (int)adapter->pid - 1);
        bool ordered = fd >= 0 && write(fd, text, (size_t)length) == length;
        if (fd >= 0)
            close(fd);
        if (!ordered)
            break;
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pause();
            _exit(0);
        }
        if (pid == adapter->pid)
            return;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    run_skip(run, "environment: a process id cannot be ordered here");
}

/* ---- the ledger -------------------------------------------------------------------------------------------- */

static void mark_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "client");
    int i = (int)(adapter - run->actors);
    (void)step;
    run->has_mark[i] = ledger_read(adapter->pid, &run->marks[i]);
}

static void same_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "client");
    int i = (int)(adapter - run->actors);
    struct ledger now;
    (void)step;
    if (!run->has_mark[i] || !ledger_read(adapter->pid, &now)) {
        run_outcome(run, "died");
        return;
    }
    const struct ledger *then = &run->marks[i];
    run_detail(run, "descriptors %d then %d, mappings below /dev/shm %d then %d, threads %d then %d, "
                    "maps %d then %d, resident %ld then %ld KiB",
               then->fds, now.fds, then->shm_maps, now.shm_maps, then->threads, now.threads,
               then->maps, now.maps, then->rss_kb, now.rss_kb);
    /* A language's own heap may breathe; what grows with the work would grow far beyond this. */
    long slack_kb = (long)step_number(run, arguments, "slack_kb", 4096);
    if (now.fds != then->fds)
        run_outcome(run, "leak_descriptors");
    else if (now.shm_maps != then->shm_maps || now.maps > then->maps + 8)
        run_outcome(run, "leak_mappings");
    else if (now.threads != then->threads)
        run_outcome(run, "leak_threads");
    else if (now.rss_kb > then->rss_kb + slack_kb)
        run_outcome(run, "leak_memory");
}

static void none_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "client");
    pid_t pid = json_flag(arguments, "forked", false) ? adapter->forked : adapter->pid;
    struct ledger now = {0};
    (void)step;
    if (!ledger_read(pid, &now))
        run_outcome(run, "died");
    else if (now.shm_fds > 0)
        run_outcome(run, "leak_descriptors");
    else if (now.shm_maps > 0)
        run_outcome(run, "leak_mappings");
    run_detail(run, "%d descriptors and %d mappings below /dev/shm", now.shm_fds, now.shm_maps);
}

static void cloexec_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "client");
    struct ledger now;
    (void)step;
    if (!ledger_read(adapter->pid, &now))
        run_outcome(run, "died");
    else if (now.no_cloexec > 0)
        run_outcome(run, "inheritable");
}

/* ---- the tracer ------------------------------------------------------------------------------------------------ */

static struct tracer *tracer_of(struct run *run, const cJSON *arguments)
{
    struct adapter *adapter = actor_of(run, arguments, "server");
    if (adapter->tracer == NULL)
        run_error(run, "%s is not traced", adapter->actor);
    return adapter->tracer;
}

static void arm_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)step;
    tracer_of(run, arguments)->armed = 1;
}

/* The tracer may be about to act at this very moment: who is first decides. */
static void disarm_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    struct adapter *adapter = actor_of(run, arguments, "server");
    (void)step;
    if (tracer_close(tracer_of(run, arguments)))
        return;
    if (!adapter_reap(adapter, run->options->patience_ms))
        run_error(run, "%s lives on after the tracer's SIGKILL", adapter->actor);
    adapter->mourned = true;
    run->victim_reached = true;
}

/* No futex wait of the window had a time-out by the wall clock. */
static void no_realtime_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    const struct tracer *tracer = tracer_of(run, arguments);
    (void)step;
    if (tracer->count == 0)
        run_outcome(run, "not_seen");
    else if (tracer->realtime_waits > 0)
        run_outcome(run, "wall_clock");
    run_detail(run, "%d system calls seen, %d waits by the wall clock", tracer->count,
               tracer->realtime_waits);
}

/* The signals that the process catches, from /proc; the mask of those that the adapter itself or its
 * language catches is no affair of ours, so only what changes is judged. */
static unsigned long long signals_caught(struct run *run, const struct adapter *adapter)
{
    char *path = kit_format("/proc/%d/status", (int)adapter->pid);
    char *text = file_read(path, NULL);
    const char *line = text != NULL ? strstr(text, "\nSigCgt:") : NULL;
    if (line == NULL)
        run_error(run, "no SigCgt in %s", path);
    unsigned long long mask = strtoull(line + strlen("\nSigCgt:"), NULL, 16);
    free(text);
    free(path);
    /* The C library of a threaded program catches its own two when the first thread is made. */
    return mask & ~(3ULL << 31);
}

static unsigned long long signals_before;

static void signals_remember_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)step;
    signals_before = signals_caught(run, actor_of(run, arguments, "server"));
}

static void signals_same_step(struct run *run, const cJSON *arguments, const cJSON *step)
{
    (void)step;
    unsigned long long now = signals_caught(run, actor_of(run, arguments, "server"));
    if (now == signals_before)
        return;
    run_outcome(run, "handlers_changed");
    run_detail(run, "it caught the signals %llx, and now %llx", signals_before, now);
}

const struct step_verb kernel_verbs[] = {
    {"shm.expect", shm_expect_step}, {"shm.owner", shm_owner_step}, {"shm.make", shm_make_step},
    {"shm.change", shm_change_step}, {"shm.remove", shm_remove_step}, {"shm.link", shm_link_step},
    {"shm.order", shm_order_step}, {"shm.not_adopted", shm_not_adopted_step},
    {"pause", pause_step}, {"proc.end_fork", end_fork_step},
    {"shm.remember", shm_remember_step}, {"shm.same", shm_same_step}, {"values", values_step},
    {"idle", idle_step}, {"proc.kill", kill_step}, {"proc.reap", reap_step},
    {"proc.wait_stopped", wait_stopped_step}, {"proc.wait_blocked", wait_blocked_step},
    {"proc.storm", signal_storm_step}, {"proc.storm_end", signal_storm_end_step},
    {"proc.reuse_pid", reuse_pid_step}, {"ledger.mark", mark_step}, {"ledger.same", same_step},
    {"ledger.none", none_step}, {"ledger.cloexec", cloexec_step}, {"trace.arm", arm_step},
    {"trace.disarm", disarm_step}, {"trace.no_realtime", no_realtime_step},
    {"signals.remember", signals_remember_step}, {"signals.same", signals_same_step}, {NULL, NULL}};

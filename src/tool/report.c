/* SPDX-License-Identifier: MIT */
#include "report.h"
#include "check.h"
#include "error.h"
#include "lock.h"
#include "scan.h"
#include "segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* What stands under the six names, as far as it is ours. */
struct finding {
    struct shmrpc_inode inodes[SHMRPC_OBJECT_COUNT];
    size_t count;
    bool foreign;
    bool unmarked; /* at least one piece carries no mark */
};

static int semaphore_value(const char *path)
{
    int32_t value = -1;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    if (pread(fd, &value, sizeof value, 0) != sizeof value)
        value = -1;
    close(fd);
    return value;
}

static void look_at_object(const char *name, enum shmrpc_object object,
                           struct shmrpc_owner_report *report, struct finding *finding)
{
    char file[SHMRPC_FILE_NAME_BYTES];
    char path[SHMRPC_FILE_NAME_BYTES + 16];
    struct stat status;
    shmrpc_name_object(name, object, file);
    shmrpc_segment_path(file, path);
    report->present[object] = lstat(path, &status) == 0;
    if (!report->present[object])
        return;
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid()) {
        finding->foreign = true;
        snprintf(report->text, sizeof report->text, "%s %s", path,
                 S_ISREG(status.st_mode) ? "belongs to another user" : "is not a regular file");
        return;
    }
    finding->inodes[finding->count++] = (struct shmrpc_inode){status.st_dev, status.st_ino};
    bool marked = (status.st_mode & SHMRPC_MARK) != 0;
    finding->unmarked = finding->unmarked || !marked;
    if (object == SHMRPC_OBJECT_REQ)
        report->marked = marked;
    if (object > SHMRPC_OBJECT_RESP)
        report->values[object - SHMRPC_OBJECT_REQ_EMPTY] = semaphore_value(path);
    else if (report->buffer_bytes == 0 || (size_t)status.st_size < report->buffer_bytes)
        report->buffer_bytes = (size_t)status.st_size;
}

static bool is_process(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

/* A line such as "lock:  1: OFDLCK  ADVISORY  WRITE -1 00:19:32 0 EOF". */
static bool is_lock_on(const char *line, const struct shmrpc_inode *inode)
{
    char kind[16];
    char access[16];
    unsigned major_number;
    unsigned minor_number;
    unsigned long number;
    return sscanf(line, "lock: %*d: %15s %*15s %15s %*d %x:%x:%lu", kind, access, &major_number,
                  &minor_number, &number) == 5 &&
           strcmp(kind, "OFDLCK") == 0 && strcmp(access, "WRITE") == 0 && number == inode->inode &&
           makedev(major_number, minor_number) == inode->device;
}

static bool locks(const char *pid, const struct shmrpc_inode *inode)
{
    char path[96];
    snprintf(path, sizeof path, "/proc/%.20s/fdinfo", pid);
    DIR *list = opendir(path);
    if (list == NULL)
        return false;
    bool found = false;
    struct dirent *entry;
    while (!found && (entry = readdir(list)) != NULL) {
        if (!is_process(entry->d_name))
            continue;
        snprintf(path, sizeof path, "/proc/%.20s/fdinfo/%.20s", pid, entry->d_name);
        FILE *file = fopen(path, "re");
        if (file == NULL)
            continue;
        char line[256];
        while (!found && fgets(line, sizeof line, file) != NULL)
            found = is_lock_on(line, inode);
        fclose(file);
    }
    closedir(list);
    return found;
}

/* Which process has the write lock on the inode. Best effort: for people, never for decisions. */
static void find_lock_owner(const struct shmrpc_inode *inode, struct shmrpc_holder *holder)
{
    *holder = (struct shmrpc_holder){.pid = 0};
    DIR *list = opendir("/proc");
    if (list == NULL)
        return;
    struct dirent *entry;
    while (holder->pid == 0 && (entry = readdir(list)) != NULL)
        if (is_process(entry->d_name) && locks(entry->d_name, inode))
            shmrpc_scan_describe(entry->d_name, holder);
    closedir(list);
}

/* Whether the object carries a lock, and whose it is. *known is false if it is there and cannot be
 * opened, which proves nothing. */
static bool look_at_lock(const char *name, enum shmrpc_object object, struct shmrpc_holder *holder,
                         bool *known)
{
    char file[SHMRPC_FILE_NAME_BYTES];
    struct shmrpc_segment segment = SHMRPC_SEGMENT_INIT;
    *holder = (struct shmrpc_holder){.pid = 0};
    shmrpc_name_object(name, object, file);
    enum shmrpc_status status = shmrpc_segment_open(file, 0, &segment, NULL);
    *known = status == SHMRPC_OK || status == SHMRPC_NOT_FOUND;
    if (status != SHMRPC_OK)
        return false;
    bool held = shmrpc_lock_held(segment.fd);
    if (held) {
        struct shmrpc_inode inode = {segment.device, segment.inode};
        find_lock_owner(&inode, holder);
    }
    shmrpc_segment_drop(&segment);
    return held;
}

static void set_state(struct shmrpc_owner_report *report, enum shmrpc_owner_state state,
                      const struct shmrpc_holder *holder, const char *text)
{
    report->state = state;
    if (holder != NULL) {
        report->pid = holder->pid;
        memcpy(report->program, holder->program, sizeof report->program);
    }
    snprintf(report->text, sizeof report->text, "%s", text);
}

/* Whether nobody has any of the pieces open or mapped, as the kernel knows it. */
static enum shmrpc_status all_unheld(const char *name)
{
    enum shmrpc_status status = SHMRPC_OK;
    for (unsigned i = 0; status == SHMRPC_OK && i < SHMRPC_OBJECT_COUNT; i++) {
        char file[SHMRPC_FILE_NAME_BYTES];
        struct shmrpc_segment piece = SHMRPC_SEGMENT_INIT;
        shmrpc_name_object(name, (enum shmrpc_object)i, file);
        status = shmrpc_segment_open(file, 0, &piece, NULL);
        if (status == SHMRPC_OK)
            status = shmrpc_lease_take(piece.fd);
        else if (status == SHMRPC_NOT_FOUND)
            status = SHMRPC_OK;
        shmrpc_segment_drop(&piece);
    }
    return status;
}

/* No lock on req: it is the mark, or else the leases, that speak. */
static void judge_unlocked(const char *name, const struct finding *finding,
                           struct shmrpc_owner_report *report)
{
    struct shmrpc_holder holder;
    bool request = report->present[SHMRPC_OBJECT_REQ];
    if (request && report->marked && !finding->unmarked) {
        set_state(report, SHMRPC_OWNER_STALE, NULL, "its server is dead: the lock is free");
        return;
    }
    switch (all_unheld(name)) {
    case SHMRPC_OK:
        set_state(report, request ? SHMRPC_OWNER_STALE : SHMRPC_OWNER_HALF_MADE, NULL,
                  request ? "no process holds it" : "pieces without req, held by no process");
        break;
    case SHMRPC_BUSY:
        (void)shmrpc_scan_holder(finding->inodes, finding->count, &holder);
        set_state(report, request ? SHMRPC_OWNER_ALIVE : SHMRPC_OWNER_HALF_MADE, &holder,
                  "a living process holds it");
        break;
    default:
        set_state(report, SHMRPC_OWNER_UNDECIDED, NULL,
                  "it cannot be proven dead: an object is none of a channel, or there are no leases");
        break;
    }
}

void shmrpc_owner_inspect(const char *name, struct shmrpc_owner_report *report)
{
    REQUIRE(shmrpc_name_check(name, NULL) == SHMRPC_OK);
    REQUIRE(report != NULL);
    memset(report, 0, sizeof *report);
    memset(report->values, -1, sizeof report->values);
    struct finding finding = {.count = 0};
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++)
        look_at_object(name, (enum shmrpc_object)i, report, &finding);
    if (finding.foreign) {
        report->state = SHMRPC_OWNER_FOREIGN;
        return;
    }
    struct shmrpc_holder holder;
    bool known;
    report->client = look_at_lock(name, SHMRPC_OBJECT_RESP, &holder, &known);
    report->client_pid = holder.pid;
    bool held = look_at_lock(name, SHMRPC_OBJECT_REQ, &holder, &known);
    if (!known)
        set_state(report, SHMRPC_OWNER_UNDECIDED, NULL, "its request segment cannot be opened");
    else if (!held)
        judge_unlocked(name, &finding, report);
    else if (finding.count == SHMRPC_OBJECT_COUNT)
        set_state(report, SHMRPC_OWNER_ALIVE, &holder, "its server holds the lock");
    else
        set_state(report, SHMRPC_OWNER_HALF_MADE, &holder,
                  "a living server holds the lock, but not all six objects are there");
}

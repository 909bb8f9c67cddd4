/* SPDX-License-Identifier: MIT
 *
 * The external ledger: what the kernel shows of a process. Leak sanitizers see no mappings, and a
 * port's own account of itself is no evidence.
 */
#include "kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t process_start_time(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    char *text = file_read(path, NULL);
    uint64_t start = 0;
    /* The name in parentheses may hold anything: count the fields behind the last one. */
    char *at = text != NULL ? strrchr(text, ')') : NULL;
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (at != NULL)
        start = strtoull(at + 1, NULL, 10);
    free(text);
    return start;
}

static int count_entries(const char *path)
{
    DIR *directory = opendir(path);
    int count = 0;
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL)
        count += entry->d_name[0] != '.';
    if (directory != NULL)
        closedir(directory);
    return count;
}

static bool lacks_cloexec(pid_t pid, const char *fd)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%s", (int)pid, fd);
    char *text = file_read(path, NULL);
    const char *flags = text != NULL ? strstr(text, "flags:") : NULL;
    bool lacks = flags != NULL && (strtoul(flags + 6, NULL, 8) & O_CLOEXEC) == 0;
    free(text);
    return lacks;
}

static void read_fds(pid_t pid, struct ledger *ledger)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        ledger->fds++;
        char target[512] = "";
        snprintf(path, sizeof path, "/proc/%d/fd/%s", (int)pid, entry->d_name);
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length > 0 && strncmp(target, "/dev/shm/", 9) == 0) {
            ledger->shm_fds++;
            ledger->no_cloexec += lacks_cloexec(pid, entry->d_name);
        }
    }
    if (directory != NULL)
        closedir(directory);
}

static char *read_maps(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    return file_read(path, NULL);
}

bool ledger_read(pid_t pid, struct ledger *ledger)
{
    char path[64];
    memset(ledger, 0, sizeof *ledger);
    char *maps = read_maps(pid);
    if (maps == NULL)
        return false;
    for (char *line = strtok(maps, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        ledger->maps++;
        ledger->shm_maps += strstr(line, " /dev/shm/") != NULL;
    }
    free(maps);
    read_fds(pid, ledger);
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    ledger->threads = count_entries(path);
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    char *statm = file_read(path, NULL);
    long pages = 0;
    if (statm != NULL)
        sscanf(statm, "%*d %ld", &pages);
    free(statm);
    ledger->rss_kb = pages * (sysconf(_SC_PAGESIZE) / 1024);
    return ledger->threads > 0;
}

static bool maps_hold(pid_t pid, dev_t device, ino_t inode)
{
    char key[64];
    char *maps = read_maps(pid);
    snprintf(key, sizeof key, " %02x:%02x %llu ", major(device), minor(device),
             (unsigned long long)inode);
    bool holds = maps != NULL && strstr(maps, key) != NULL;
    free(maps);
    return holds;
}

bool ledger_maps_file(const char *path, pid_t not_this)
{
    struct stat file;
    return stat(path, &file) == 0 && ledger_maps_inode(file.st_dev, file.st_ino, not_this);
}

bool ledger_maps_inode(dev_t device, ino_t inode, pid_t not_this)
{
    DIR *directory = opendir("/proc");
    struct dirent *entry;
    bool found = false;
    while (directory != NULL && !found && (entry = readdir(directory)) != NULL) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid > 0 && pid != not_this)
            found = maps_hold(pid, device, inode);
    }
    if (directory != NULL)
        closedir(directory);
    return found;
}

bool ledger_thread_blocked(pid_t pid)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *directory = opendir(path);
    struct dirent *entry;
    bool blocked = false;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/syscall", (int)pid, entry->d_name);
        char *text = file_read(path, NULL);
        blocked = blocked || (text != NULL && atol(text) == SYS_futex && text[0] != 'r');
        free(text);
    }
    if (directory != NULL)
        closedir(directory);
    return blocked;
}

int shm_list(struct kit_text *text)
{
    DIR *directory = opendir("/dev/shm");
    struct dirent *entry;
    int count = 0;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        count++;
        if (text != NULL)
            text_printf(text, "%s\n", entry->d_name);
    }
    if (directory != NULL)
        closedir(directory);
    return count;
}

/* Whether a thread that is late was busy, or never got a CPU. */
static void print_shares(struct kit_text *text, pid_t pid, const char *thread)
{
    char path[320];
    long long ran, waited;
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, thread);
    char *line = file_read(path, NULL);
    if (line != NULL && sscanf(line, "%lld %lld", &ran, &waited) == 2)
        text_printf(text, "  thread %s ran for %lld ms and waited %lld ms for a CPU\n", thread,
                    ran / 1000000, waited / 1000000);
    free(line);
}

void ledger_print(struct kit_text *text, pid_t pid)
{
    struct ledger ledger;
    if (!ledger_read(pid, &ledger)) {
        text_printf(text, "  no such process\n");
        return;
    }
    text_printf(text, "  descriptors %d (below /dev/shm %d), maps %d (below /dev/shm %d), "
                      "threads %d, resident %ld KiB\n",
                ledger.fds, ledger.shm_fds, ledger.maps, ledger.shm_maps, ledger.threads,
                ledger.rss_kb);
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/syscall", (int)pid, entry->d_name);
        char *line = file_read(path, NULL);
        if (line != NULL)
            text_printf(text, "  thread %s is in %s: %s", entry->d_name,
                        line[0] == 'r' ? "user code" : syscall_name(atol(line)), line);
        free(line);
        print_shares(text, pid, entry->d_name);
    }
    if (directory != NULL)
        closedir(directory);
}

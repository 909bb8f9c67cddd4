/* SPDX-License-Identifier: MIT */
#include "scan.h"
#include "../check.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* What one look at a process or thread says. */
enum look {
    LOOK_NOTHING,    /* it holds none of the inodes */
    LOOK_HOLDS,      /* it holds one */
    LOOK_UNREADABLE, /* it may */
    LOOK_GONE        /* it has ended meanwhile, or is a zombie: it holds nothing */
};

enum { PATH_BYTES = 320 };

static bool is_number(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

static enum look failed_look(void)
{
    return errno == ENOENT || errno == ESRCH ? LOOK_GONE : LOOK_UNREADABLE;
}

static bool listed(const struct shmrpc_inode *inodes, size_t count, dev_t device, ino_t inode)
{
    for (size_t i = 0; i < count; i++)
        if (inodes[i].device == device && inodes[i].inode == inode)
            return true;
    return false;
}

static enum look look_at_maps(const char *directory, const struct shmrpc_inode *inodes,
                              size_t count)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/maps", directory);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return failed_look();
    /* The maps of a thread that has exited read as empty. */
    enum look result = LOOK_GONE;
    char *line = NULL;
    size_t bytes = 0;
    errno = 0;
    while (result != LOOK_HOLDS && getline(&line, &bytes, file) >= 0) {
        unsigned major_number;
        unsigned minor_number;
        unsigned long inode;
        result = LOOK_NOTHING;
        if (sscanf(line, "%*x-%*x %*4s %*x %x:%x %lu", &major_number, &minor_number, &inode) == 3 &&
            listed(inodes, count, makedev(major_number, minor_number), inode))
            result = LOOK_HOLDS;
    }
    if (result == LOOK_GONE && ferror(file))
        result = failed_look();
    free(line);
    fclose(file);
    return result;
}

/* Between open and mmap there is only a descriptor. */
static enum look look_at_descriptors(const char *directory, const struct shmrpc_inode *inodes,
                                     size_t count)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/fd", directory);
    DIR *list = opendir(path);
    if (list == NULL)
        return failed_look();
    enum look result = LOOK_NOTHING;
    struct dirent *entry;
    while (result == LOOK_NOTHING && (entry = readdir(list)) != NULL) {
        struct stat status;
        if (is_number(entry->d_name) && fstatat(dirfd(list), entry->d_name, &status, 0) == 0 &&
            listed(inodes, count, status.st_dev, status.st_ino))
            result = LOOK_HOLDS;
    }
    closedir(list);
    return result;
}

static enum look look_at_thread(const char *directory, const struct shmrpc_inode *inodes,
                                size_t count)
{
    /* Descriptors first: a process that maps and then closes between the two looks is found among
     * its maps; the other way round it would be found in neither. */
    enum look descriptors = look_at_descriptors(directory, inodes, count);
    if (descriptors == LOOK_HOLDS || descriptors == LOOK_UNREADABLE)
        return descriptors;
    enum look maps = look_at_maps(directory, inodes, count);
    return maps == LOOK_GONE ? descriptors : maps;
}

/* Every live thread: the first one of a process may have ended and then shows nothing, and threads
 * may have unshared their descriptors. */
static enum look look_at_process(const char *pid, const struct shmrpc_inode *inodes, size_t count)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *list = opendir(path);
    if (list == NULL)
        return failed_look();
    enum look result = LOOK_NOTHING;
    struct dirent *entry;
    while (result == LOOK_NOTHING && (entry = readdir(list)) != NULL) {
        if (!is_number(entry->d_name))
            continue;
        char directory[64];
        snprintf(directory, sizeof directory, "/proc/%.20s/task/%.20s", pid, entry->d_name);
        enum look thread = look_at_thread(directory, inodes, count);
        if (thread == LOOK_HOLDS || thread == LOOK_UNREADABLE)
            result = thread;
    }
    closedir(list);
    return result;
}

void shmrpc_scan_describe(const char *pid, struct shmrpc_holder *holder)
{
    char path[PATH_BYTES];
    REQUIRE(pid != NULL);
    REQUIRE(holder != NULL);
    holder->pid = (pid_t)atol(pid);
    snprintf(path, sizeof path, "/proc/%s/exe", pid);
    ssize_t length = readlink(path, holder->program, sizeof holder->program - 1);
    if (length > 0) {
        holder->program[length] = '\0';
        return;
    }
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(holder->program, sizeof holder->program, file) == NULL)
        snprintf(holder->program, sizeof holder->program, "unknown");
    holder->program[strcspn(holder->program, "\n")] = '\0';
    if (file != NULL)
        fclose(file);
}

bool shmrpc_scan_holder(const struct shmrpc_inode *inodes, size_t count,
                        struct shmrpc_holder *holder)
{
    *holder = (struct shmrpc_holder){.pid = 0};
    DIR *list = opendir("/proc");
    if (list == NULL)
        return false;
    struct dirent *entry;
    while (holder->pid == 0 && (entry = readdir(list)) != NULL)
        if (is_number(entry->d_name) && atol(entry->d_name) != getpid() &&
            look_at_process(entry->d_name, inodes, count) == LOOK_HOLDS)
            shmrpc_scan_describe(entry->d_name, holder);
    closedir(list);
    return holder->pid != 0;
}

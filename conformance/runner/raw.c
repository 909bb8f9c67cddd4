/* SPDX-License-Identifier: MIT
 *
 * The raw peer: maps segments and posts semaphores itself, in either role, from the text of the
 * specification alone. It takes no locks unless a case asks for them, and repairs nothing.
 */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *const raw_object_names[RAW_OBJECTS] = {"req",      "resp",       "req_empty",
                                                   "req_full", "resp_empty", "resp_full"};

int raw_object(const char *text)
{
    for (int i = 0; i < RAW_OBJECTS; i++)
        if (strcmp(text, raw_object_names[i]) == 0)
            return i;
    kit_die(4, "a case names the object '%s'", text);
}

void raw_path(const char *name, int object, char path[512])
{
    /* SRPC-NAME-001: two segments, four semaphores; glibc keeps the latter in files "sem.". */
    snprintf(path, 512, "/dev/shm/%ssrb_%s_%s", object >= RAW_REQ_EMPTY ? "sem." : "", name,
             raw_object_names[object]);
}

void raw_init(struct raw *raw)
{
    memset(raw, 0, sizeof *raw);
    for (int i = 0; i < RAW_OBJECTS; i++)
        raw->fd[i] = -1;
}

static bool map_object(struct raw *raw, int object)
{
    struct stat status;
    if (fstat(raw->fd[object], &status) != 0 || status.st_size <= 0)
        return false;
    size_t size = (size_t)status.st_size;
    if (object >= RAW_REQ_EMPTY && size < sizeof(sem_t))
        return false;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, raw->fd[object], 0);
    if (map == MAP_FAILED)
        return false;
    raw->map[object] = map;
    raw->size[object] = size;
    return true;
}

bool raw_open(struct raw *raw, const char *name, char *why, size_t why_bytes)
{
    raw_init(raw);
    snprintf(raw->name, sizeof raw->name, "%s", name);
    for (int i = 0; i < RAW_OBJECTS; i++) {
        char path[512];
        raw_path(name, i, path);
        raw->fd[i] = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (raw->fd[i] < 0 || !map_object(raw, i)) {
            snprintf(why, why_bytes, "%s: %s", path,
                     raw->fd[i] < 0 ? strerror(errno) : "cannot be mapped");
            raw_unmap(raw);
            return false;
        }
    }
    raw->buffer_bytes = raw->size[RAW_REQ];
    return true;
}

/* A semaphore appears whole under its name: made unnamed, then linked. */
static bool make_semaphore(struct raw *raw, int object, const char *path, int value, unsigned mode)
{
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(sem_t)) != 0)
        return false;
    raw->fd[object] = fd;
    if (!map_object(raw, object))
        return false;
    sem_init(raw->map[object], 1, (unsigned)value);
    fchmod(fd, mode);
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}

static bool make_segment(struct raw *raw, int object, const char *path, size_t bytes,
                         unsigned mode, bool lock)
{
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0 || fchmod(fd, mode) != 0)
        return false;
    raw->fd[object] = fd;
    if (bytes > 0 && !map_object(raw, object))
        return false;
    if (lock && !raw_lock(raw, object))
        return false;
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}

bool raw_make(struct raw *raw, int object, size_t bytes, int value, unsigned mode, bool marked)
{
    char path[512];
    raw_path(raw->name, object, path);
    raw->owner = true;
    if (object >= RAW_REQ_EMPTY)
        return make_semaphore(raw, object, path, value, mode);
    return make_segment(raw, object, path, bytes, mode, marked && object == RAW_REQ);
}

bool raw_lock(struct raw *raw, int object)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(raw->fd[object], F_OFD_SETLK, &lock) == 0;
}

void raw_unmap(struct raw *raw)
{
    for (int i = 0; i < RAW_OBJECTS; i++) {
        if (raw->map[i] != NULL)
            munmap(raw->map[i], raw->size[i]);
        if (raw->fd[i] >= 0)
            close(raw->fd[i]);
        raw->map[i] = NULL;
        raw->fd[i] = -1;
    }
}

/* Only what is still ours: another server may have taken the name meanwhile. */
void raw_unlink(struct raw *raw)
{
    for (int i = RAW_OBJECTS - 1; i >= 0; i--) {
        char path[512];
        struct stat named, own;
        raw_path(raw->name, i, path);
        if (raw->fd[i] >= 0 && fstat(raw->fd[i], &own) == 0 && lstat(path, &named) == 0 &&
            named.st_ino == own.st_ino)
            unlink(path);
    }
}

int raw_value(const struct raw *raw, int semaphore)
{
    int value = -1;
    if (raw->map[semaphore] != NULL)
        sem_getvalue(raw->map[semaphore], &value);
    return value;
}

bool raw_wait(struct raw *raw, int semaphore, int timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    int status;
    while ((status = sem_clockwait(raw->map[semaphore], CLOCK_MONOTONIC, &until)) != 0 &&
           errno == EINTR)
        ;
    return status == 0;
}

void raw_post(struct raw *raw, int semaphore)
{
    sem_post(raw->map[semaphore]);
}

int raw_present(const char *name)
{
    int present = 0;
    for (int i = 0; i < RAW_OBJECTS; i++) {
        char path[512];
        struct stat status;
        raw_path(name, i, path);
        present += lstat(path, &status) == 0;
    }
    return present;
}

int raw_peek_value(const char *name, int semaphore)
{
    char path[512];
    raw_path(name, semaphore, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    uint32_t word = 0;
    bool got = fd >= 0 && pread(fd, &word, sizeof word, 0) == (ssize_t)sizeof word;
    if (fd >= 0)
        close(fd);
    return got && word < 0x7fffffff ? (int)word : -1;
}

static void dump_bytes(struct kit_text *text, const unsigned char *bytes, size_t length)
{
    for (size_t row = 0; row < length; row += 16) {
        text_printf(text, "    %04zx ", row);
        for (size_t i = row; i < row + 16; i++) {
            if (i < length)
                text_printf(text, " %02x", bytes[i]);
            else
                text_printf(text, "   ");
        }
        text_printf(text, "  ");
        for (size_t i = row; i < row + 16 && i < length; i++)
            text_printf(text, "%c", bytes[i] >= 32 && bytes[i] < 127 ? bytes[i] : '.');
        text_printf(text, "\n");
    }
}

/* The evidence of a channel: read through the names, so that it shows what a newcomer would see. */
void raw_dump(struct kit_text *text, const char *name)
{
    text_printf(text, "channel %s\n", name);
    for (int i = 0; i < RAW_OBJECTS; i++) {
        char path[512];
        struct stat status;
        raw_path(name, i, path);
        if (lstat(path, &status) != 0) {
            text_printf(text, "  %-10s absent\n", raw_object_names[i]);
            continue;
        }
        text_printf(text, "  %-10s mode %o uid %u links %u size %lld", raw_object_names[i],
                    status.st_mode, status.st_uid, (unsigned)status.st_nlink,
                    (long long)status.st_size);
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        unsigned char bytes[192];
        ssize_t got = fd >= 0 ? pread(fd, bytes, sizeof bytes, 0) : -1;
        if (fd >= 0)
            close(fd);
        if (i >= RAW_REQ_EMPTY && got >= 4)
            text_printf(text, " value %d", raw_peek_value(name, i));
        text_printf(text, "\n");
        if (got > 0)
            dump_bytes(text, bytes, i >= RAW_REQ_EMPTY && got > 32 ? 32 : (size_t)got);
    }
}

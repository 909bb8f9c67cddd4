/* SPDX-License-Identifier: MIT */
#include "segment.h"
#include "check.h"
#include "crash.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define DIRECTORY "/dev/shm"

/* What always holds of a segment: a map is registered as long as it stands. */
static bool segment_ok(const struct shmrpc_segment *segment)
{
    return segment != NULL && segment->fd >= -1 &&
           (segment->map == NULL) == (segment->range == NULL) &&
           (segment->map == NULL || segment->bytes > 0);
}

void shmrpc_segment_path(const char *file, char path[SHMRPC_FILE_NAME_BYTES + 16])
{
    REQUIRE(file != NULL);
    REQUIRE(file[0] != '\0');
    int length = snprintf(path, SHMRPC_FILE_NAME_BYTES + 16, DIRECTORY "/%s", file);
    ENSURE(length > 0);
    ENSURE(length < SHMRPC_FILE_NAME_BYTES + 16);
}

/* SRPC-SEG-005: posix_fallocate returns the error instead of setting errno. On many
 * kernels tmpfs gives up at any signal and takes back all that the call had reserved, so it is
 * called for pieces that are reserved before a timer's next signal comes; each is kept. */
static int allocate(int fd, size_t bytes)
{
    REQUIRE(fd >= 0);
    REQUIRE(bytes > 0);
    const size_t piece = (size_t)2 << 20;
    int result = 0;
    for (size_t at = 0; at < bytes && (result == 0 || result == EINTR);) {
        size_t length = bytes - at < piece ? bytes - at : piece;
        result = posix_fallocate(fd, (off_t)at, (off_t)length);
        if (result == 0)
            at += length;
        ENSURE(at <= bytes);
    }
    return result;
}

static enum shmrpc_status prepare(struct shmrpc_segment *segment, size_t bytes, mode_t mode,
                                  struct shmrpc_error *error)
{
    REQUIRE(segment->fd >= 0);
    REQUIRE(segment->map == NULL);
    /* SRPC-SEG-004: every page exists before anybody can map it. */
    int result = allocate(segment->fd, bytes);
    if (result != 0) {
        errno = result;
        return shmrpc_error_system(error, "cannot allocate %zu bytes of shared memory", bytes);
    }
    /* SRPC-OBJ-004, SRPC-OBJ-006: exact, whatever the umask. */
    if (fchmod(segment->fd, mode) != 0)
        return shmrpc_error_system(error, "cannot set the mode of an object in " DIRECTORY);
    struct stat status;
    SYS_OK(fstat(segment->fd, &status));
    segment->device = status.st_dev;
    segment->inode = status.st_ino;
    segment->marked = (status.st_mode & SHMRPC_MARK) != 0;
    segment->bytes = bytes;
    return shmrpc_segment_map(segment, bytes, error);
}

enum shmrpc_status shmrpc_segment_make(size_t bytes, mode_t mode, struct shmrpc_segment *segment,
                                       struct shmrpc_error *error)
{
    REQUIRE(bytes > 0);
    REQUIRE(bytes <= SHMRPC_MAX_BUFFER_BYTES);
    REQUIRE((mode & ~(mode_t)07777) == 0);
    REQUIRE(segment != NULL);
    struct shmrpc_segment made = SHMRPC_SEGMENT_INIT;
    /* SRPC-LIFE-008 */
    made.fd = open(DIRECTORY, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (made.fd < 0)
        return shmrpc_error_system(error, "cannot create an unnamed file in " DIRECTORY);
    enum shmrpc_status status = prepare(&made, bytes, mode, error);
    if (status != SHMRPC_OK) {
        shmrpc_segment_drop(&made);
        return status;
    }
    ENSURE(made.map != NULL);
    ENSURE(segment_ok(&made));
    *segment = made;
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_segment_link(const struct shmrpc_segment *segment, const char *file,
                                       struct shmrpc_error *error)
{
    REQUIRE(segment != NULL);
    REQUIRE(segment->fd >= 0);
    char from[64];
    char path[SHMRPC_FILE_NAME_BYTES + 16];
    snprintf(from, sizeof from, "/proc/self/fd/%d", segment->fd);
    shmrpc_segment_path(file, path);
    /* linkat never replaces: exactly one of several racing creators gets the name. */
    if (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0) {
        if (errno == EEXIST)
            return shmrpc_error_set(error, SHMRPC_BUSY, "%s exists already", path);
        return shmrpc_error_system(error, "cannot link %s", path);
    }
    CRASH_POINT("server.linked", file);
    return SHMRPC_OK;
}

/* SRPC-ATTACH-003, SRPC-ATTACH-004, SRPC-ATTACH-005: nothing of it is used before this look.
 * Its link count may be 2 (SRPC-SEM-006), its sticky bit anything (SRPC-OWN-004). */
static enum shmrpc_status look(int fd, const char *path, size_t least_bytes,
                               struct shmrpc_segment *segment, struct shmrpc_error *error)
{
    REQUIRE(fd >= 0);
    struct stat status;
    SYS_OK(fstat(fd, &status));
    errno = EPERM;
    if (!S_ISREG(status.st_mode))
        return shmrpc_error_system(error, "%s is not a regular file", path);
    if (status.st_uid != geteuid())
        return shmrpc_error_system(error, "%s belongs to user %u", path, (unsigned)status.st_uid);
    if ((status.st_mode & 0777) != SHMRPC_OBJECT_MODE)
        return shmrpc_error_system(error, "%s has mode %04o, not 0600", path,
                                   (unsigned)status.st_mode & 07777);
    if ((size_t)status.st_size < least_bytes)
        return shmrpc_error_set(error, SHMRPC_PROTOCOL, "%s has %lld bytes, fewer than %zu", path,
                                (long long)status.st_size, least_bytes);
    *segment = (struct shmrpc_segment){
        .fd = fd,
        .bytes = (size_t)status.st_size,
        .device = status.st_dev,
        .inode = status.st_ino,
        .marked = (status.st_mode & SHMRPC_MARK) != 0,
    };
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_segment_open(const char *file, size_t least_bytes,
                                       struct shmrpc_segment *segment, struct shmrpc_error *error)
{
    REQUIRE(segment != NULL);
    char path[SHMRPC_FILE_NAME_BYTES + 16];
    shmrpc_segment_path(file, path);
    /* O_NONBLOCK: a squatter's FIFO must not hang us. */
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno == ENOENT)
            return shmrpc_error_set(error, SHMRPC_NOT_FOUND, "%s does not exist", path);
        /* Somebody has a lease on it, for the length of a proof. */
        if (errno == EWOULDBLOCK)
            return shmrpc_error_set(error, SHMRPC_BUSY, "%s is being looked after", path);
        /* A directory, a link, a socket or another user's file: what stands there is no object of
         * ours. */
        if (errno == EISDIR || errno == ELOOP || errno == ENXIO || errno == EACCES)
            errno = EPERM;
        return shmrpc_error_system(error, "cannot open %s", path);
    }
    enum shmrpc_status status = look(fd, path, least_bytes, segment, error);
    if (status != SHMRPC_OK)
        close(fd);
    ENSURE(status != SHMRPC_OK || segment->fd == fd);
    ENSURE(status != SHMRPC_OK || segment_ok(segment));
    return status;
}

enum shmrpc_status shmrpc_segment_map(struct shmrpc_segment *segment, size_t bytes,
                                      struct shmrpc_error *error)
{
    REQUIRE(segment->fd >= 0);
    REQUIRE(segment->map == NULL);
    REQUIRE(bytes > 0);
    REQUIRE(bytes <= segment->bytes);
    /* Populated at once: the first call should not pay a page fault for every page. */
    void *map =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, segment->fd, 0);
    if (map == MAP_FAILED)
        return shmrpc_error_system(error, "cannot map %zu bytes", bytes);
    segment->range = shmrpc_sigbus_add(map, bytes);
    if (segment->range == NULL) {
        munmap(map, bytes);
        errno = ENOMEM;
        return shmrpc_error_system(error, "cannot register a map");
    }
    segment->map = map;
    segment->bytes = bytes;
    ENSURE(segment_ok(segment));
    return SHMRPC_OK;
}

bool shmrpc_segment_named(const char *file)
{
    char path[SHMRPC_FILE_NAME_BYTES + 16];
    struct stat status;
    shmrpc_segment_path(file, path);
    return lstat(path, &status) == 0;
}

bool shmrpc_segment_is(const struct shmrpc_segment *segment, const char *file)
{
    REQUIRE(segment != NULL);
    char path[SHMRPC_FILE_NAME_BYTES + 16];
    shmrpc_segment_path(file, path);
    struct stat status;
    return lstat(path, &status) == 0 && status.st_dev == segment->device &&
           status.st_ino == segment->inode;
}

void shmrpc_segment_unlink(const struct shmrpc_segment *segment, const char *file)
{
    REQUIRE(segment != NULL);
    char path[SHMRPC_FILE_NAME_BYTES + 16];
    shmrpc_segment_path(file, path);
    if (!shmrpc_segment_is(segment, file))
        return;
    unlink(path);
    CRASH_POINT("server.unlinked", file);
}

void shmrpc_segment_close_fd(struct shmrpc_segment *segment)
{
    REQUIRE(segment != NULL);
    if (segment->fd >= 0)
        close(segment->fd);
    segment->fd = -1;
}

void shmrpc_segment_drop(struct shmrpc_segment *segment)
{
    REQUIRE(segment != NULL);
    INVARIANT(segment_ok(segment));
    if (segment->map != NULL) {
        shmrpc_sigbus_remove(segment->range);
        munmap(segment->map, segment->bytes);
    }
    segment->map = NULL;
    segment->range = NULL;
    shmrpc_segment_close_fd(segment);
    ENSURE(segment->fd == -1);
}

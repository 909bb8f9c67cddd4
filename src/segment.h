/* SPDX-License-Identifier: MIT
 *
 * One kernel object of a channel: a file below /dev/shm, made whole before it gets its name, and
 * mapped. The two slots and the four semaphores are all such objects.
 */
#ifndef SHMRPC_SEGMENT_H
#define SHMRPC_SEGMENT_H

#include "limit.h"
#include "sigbus.h"

#include <sys/stat.h>
#include <sys/types.h>

struct shmrpc_segment {
    int fd;       /* -1 once it is not needed */
    void *map;    /* null until mapped */
    size_t bytes; /* of the file; of the map once mapped */
    dev_t device;
    ino_t inode;
    bool marked; /* carries the sticky bit */
    struct shmrpc_sigbus_range *range;
};

/** What a segment is before anything happened to it. */
#define SHMRPC_SEGMENT_INIT {.fd = -1}

/** Make a file of bytes zeros without a name, with every page allocated (SRPC-SEG-004).
 *  @param mode permission bits and mark, exact whatever the umask says.
 *  @return OK or SYSTEM; on failure nothing is left. */
enum shmrpc_status shmrpc_segment_make(size_t bytes, mode_t mode, struct shmrpc_segment *segment,
                                       struct shmrpc_error *error);
/** Give it its name. OK, BUSY (the name is taken) or SYSTEM. */
enum shmrpc_status shmrpc_segment_link(const struct shmrpc_segment *segment, const char *file,
                                       struct shmrpc_error *error);
/** Open what has the name, and look at it before it is trusted: a regular file of our uid, mode
 *  0600, at least least_bytes long. Not mapped yet.
 *  @return OK, NOT_FOUND, BUSY (leased for a moment), PROTOCOL (too small: may be a creation under
 *  way), SYSTEM (EPERM: not of our uid, not a regular file, or other permission bits). */
enum shmrpc_status shmrpc_segment_open(const char *file, size_t least_bytes,
                                       struct shmrpc_segment *segment, struct shmrpc_error *error);
/** Map its first bytes for reading and writing. OK or SYSTEM. */
enum shmrpc_status shmrpc_segment_map(struct shmrpc_segment *segment, size_t bytes,
                                      struct shmrpc_error *error);
/** Whether anything has the name. */
bool shmrpc_segment_named(const char *file);
/** Whether the name still stands for this very inode. */
bool shmrpc_segment_is(const struct shmrpc_segment *segment, const char *file);
/** Remove the name if it still stands for this inode. */
void shmrpc_segment_unlink(const struct shmrpc_segment *segment, const char *file);
/** Unmap and close. Async-signal-safe, so that a forked child can do it; idempotent. */
void shmrpc_segment_drop(struct shmrpc_segment *segment);
/** Close the descriptor, keep the map. */
void shmrpc_segment_close_fd(struct shmrpc_segment *segment);

/** Full path of a file below /dev/shm. */
void shmrpc_segment_path(const char *file, char path[SHMRPC_FILE_NAME_BYTES + 16]);

#endif

/* SPDX-License-Identifier: MIT */
#include "shared.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

void *shared_map(const char *name, size_t bytes, bool create)
{
    char path[256];
    snprintf(path, sizeof path, "/%s", name);
    int fd = shm_open(path, O_RDWR | (create ? O_CREAT | O_EXCL : 0), 0600);
    if (fd < 0) {
        perror("shm_open");
        return NULL;
    }
    void *at = MAP_FAILED;
    if (!create || ftruncate(fd, (off_t)bytes) == 0)
        at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        perror("mapping shared memory");
        at = NULL;
    }
    close(fd);
    return at;
}

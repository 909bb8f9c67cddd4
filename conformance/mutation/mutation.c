/* SPDX-License-Identifier: MIT
 *
 * Linked into every program with the mutated copy of the library. See mutation.h.
 */
#include "mutation.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

unsigned mutation_in_force;
unsigned char *mutation_hits;

/* Shared with the processes that this one makes: what they come past counts, too. */
static void __attribute__((constructor)) choose(void)
{
    const char *number = getenv("SHMRPC_MUTATION");
    if (number != NULL)
        mutation_in_force = (unsigned)strtoul(number, NULL, 10);
    const char *file = getenv("SHMRPC_MUTATION_HITS");
    if (file == NULL)
        return;
    int fd = open(file, O_RDWR | O_CLOEXEC);
    struct stat about;
    if (fd < 0 || fstat(fd, &about) != 0)
        abort();
    void *map = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        abort();
    mutation_hits = map;
}

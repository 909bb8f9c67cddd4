/* SPDX-License-Identifier: MIT
 *
 * The floor of blocking: the four semaphores of the bridge, waited for with plain sem_wait, and the
 * four copies of a round trip. No protocol, no JSON, no deadline.
 */
#include "peer.h"
#include "shared.h"

#include <errno.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE = 4096,
    CACHE_LINE = 64
};

/** One direction. Each semaphore has a page of its own, as the bridge's files give it. */
struct slot {
    _Alignas(PAGE) sem_t empty;
    _Alignas(PAGE) sem_t full;
    _Alignas(PAGE) uint32_t length;
    _Alignas(CACHE_LINE) char bytes[];
};

static struct slot *request, *response;
static char *private_copy;

static int map(const struct peer_setup *setup, bool create)
{
    size_t bytes = (setup->buffer_bytes + PAGE - 1) / PAGE * PAGE;
    size_t slot_bytes = sizeof(struct slot) + bytes + PAGE - sizeof(struct slot) % PAGE;
    char *at = shared_map(setup->endpoint, 2 * slot_bytes, create);
    if (!at)
        return -1;
    request = (struct slot *)(void *)at;
    response = (struct slot *)(void *)(at + slot_bytes);
    private_copy = aligned_alloc(PAGE, bytes);
    return private_copy ? 0 : -1;
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0 && errno == EINTR)
        ;
}

static void put(struct slot *slot, const char *data, size_t length)
{
    wait_for(&slot->empty);
    slot->length = (uint32_t)length;
    memcpy(slot->bytes, data, length);
    sem_post(&slot->full);
}

static size_t take(struct slot *slot)
{
    wait_for(&slot->full);
    size_t length = slot->length;
    memcpy(private_copy, slot->bytes, length);
    sem_post(&slot->empty);
    return length;
}

const char *peer_version(void)
{
    return "memcpy and four POSIX semaphores";
}

int peer_serve(const struct peer_setup *setup, void (*ready)(void))
{
    if (map(setup, true) != 0)
        return -1;
    if (sem_init(&request->empty, 1, 1) != 0 || sem_init(&request->full, 1, 0) != 0 ||
        sem_init(&response->empty, 1, 1) != 0 || sem_init(&response->full, 1, 0) != 0) {
        perror("sem_init");
        return -1;
    }
    ready();
    for (;;) {
        size_t length = take(request);
        put(response, private_copy, length);
    }
}

int peer_open(const struct peer_setup *setup)
{
    return map(setup, false);
}

int peer_call(const char *in, size_t length, const char **out, size_t *out_length)
{
    put(request, in, length);
    *out_length = take(response);
    *out = private_copy;
    return 0;
}

void peer_close(void)
{
    free(private_copy);
}

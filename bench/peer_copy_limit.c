/* SPDX-License-Identifier: MIT
 *
 * The floor: two processes spin on one word a direction. A round trip is four copies, one in and
 * one out each way, and nothing else: no protocol, no JSON, no check of the peer. The words are
 * spun on with the same pause instruction as shmrpc-spin.
 */
#include "peer.h"
#include "shared.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE = 4096,
    CACHE_LINE = 64,
    LENGTH_BITS = 32
};

/** One direction. The word holds the call's number above the message's length, so that one store
 *  publishes both: its release orders the copy before it, the reader's acquire the copy after it.
 */
struct lane {
    _Alignas(CACHE_LINE) _Atomic uint64_t word;
    _Alignas(CACHE_LINE) char bytes[];
};

static struct lane *request, *response;
static char *private_copy;
static uint64_t number;

static int map(const struct peer_setup *setup, bool create)
{
    size_t bytes = (setup->buffer_bytes + PAGE - 1) / PAGE * PAGE;
    size_t lane_bytes = PAGE + bytes;
    char *at = shared_map(setup->endpoint, 2 * lane_bytes, create);
    if (!at)
        return -1;
    request = (struct lane *)(void *)at;
    response = (struct lane *)(void *)(at + lane_bytes);
    private_copy = aligned_alloc(PAGE, bytes);
    return private_copy ? 0 : -1;
}

static void put(struct lane *lane, const char *data, size_t length)
{
    memcpy(lane->bytes, data, length);
    atomic_store_explicit(&lane->word, number << LENGTH_BITS | length, memory_order_release);
}

static size_t take(struct lane *lane)
{
    uint64_t word;
    while ((word = atomic_load_explicit(&lane->word, memory_order_acquire)) >> LENGTH_BITS !=
           number)
        shared_pause();
    size_t length = (size_t)(word & UINT32_MAX);
    memcpy(private_copy, lane->bytes, length);
    return length;
}

const char *peer_version(void)
{
    return "memcpy and one atomic word a direction";
}

int peer_serve(const struct peer_setup *setup, void (*ready)(void))
{
    if (map(setup, true) != 0)
        return -1;
    ready();
    for (;;) {
        number++;
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
    number++;
    put(request, in, length);
    *out_length = take(response);
    *out = private_copy;
    return 0;
}

void peer_close(void)
{
    free(private_copy);
}

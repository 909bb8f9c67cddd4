/* SPDX-License-Identifier: MIT */
#include "frame.h"
#include "check.h"
#include "crash.h"

#include <stdlib.h>
#include <string.h>

/* The length word is the one word that a hostile peer can change between two of our looks; atomic
 * access makes the compiler look exactly once. Relaxed is enough: the semaphores order it. */
static uint32_t load_length(const void *slot)
{
    REQUIRE(slot != NULL);
    REQUIRE((uintptr_t)slot % SHMRPC_LENGTH_WORD_BYTES == 0);
    return __atomic_load_n((const uint32_t *)slot, __ATOMIC_RELAXED);
}

enum { PAGE_BYTES = 4096 };
_Static_assert(PAGE_BYTES % SHMRPC_LENGTH_WORD_BYTES == 0, "a page begins with a whole word");

char *shmrpc_frame_alloc(size_t capacity)
{
    REQUIRE(capacity > 0);
    REQUIRE(capacity <= SHMRPC_MAX_BUFFER_BYTES);
    size_t bytes = (capacity + SHMRPC_LENGTH_WORD_BYTES + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    ENSURE(bytes > capacity);
    char *page = aligned_alloc(PAGE_BYTES, bytes);
    return page != NULL ? shmrpc_frame_body(page) : NULL;
}

void shmrpc_frame_free(char *copy)
{
    REQUIRE(((uintptr_t)copy - SHMRPC_LENGTH_WORD_BYTES) % PAGE_BYTES == 0 || copy == NULL);
    if (copy != NULL)
        free(copy - SHMRPC_LENGTH_WORD_BYTES);
}

void shmrpc_frame_seal(void *slot, size_t capacity, size_t length)
{
    REQUIRE(slot != NULL);
    REQUIRE((uintptr_t)slot % SHMRPC_LENGTH_WORD_BYTES == 0);
    /* SRPC-FRAME-003: senders check before they write; a longer message here is our own bug. */
    REQUIRE(length <= capacity);
    REQUIRE(capacity <= UINT32_MAX);
    /* SRPC-FRAME-001: four bytes, native byte order. */
    __atomic_store_n((uint32_t *)slot, (uint32_t)length, __ATOMIC_RELAXED);
}

void shmrpc_frame_clear(void *slot)
{
    /* SRPC-FRAME-008 */
    shmrpc_frame_seal(slot, 0, 0);
}

enum shmrpc_status shmrpc_frame_read(void *slot, size_t capacity, void *out, size_t *length)
{
    REQUIRE(out != NULL);
    REQUIRE(length != NULL);
    /* SRPC-FRAME-006: loaded once; from here on only the copy counts. */
    uint32_t claimed = load_length(slot);
    /* SRPC-FRAME-004 */
    if (claimed > capacity) {
        shmrpc_frame_clear(slot);
        return SHMRPC_PROTOCOL;
    }
    /* SRPC-SEC-001, SRPC-FRAME-007, SRPC-FRAME-002: each byte once, and none behind the message. */
    CRASH_COPY((char *)out, shmrpc_frame_body(slot), claimed, ".copy_middle");
    CRASH_POINT(".zero", NULL);
    shmrpc_frame_clear(slot);
    /* SRPC-FRAME-005: zero is a length like any other. */
    *length = claimed;
    ENSURE(*length <= capacity);
    return SHMRPC_OK;
}

bool shmrpc_frame_begins(void *slot, size_t capacity, const void *data, size_t length)
{
    REQUIRE(data != NULL);
    REQUIRE(length <= capacity);
    uint32_t claimed = load_length(slot);
    return claimed >= length && claimed <= capacity &&
           memcmp(shmrpc_frame_body(slot), data, length) == 0;
}

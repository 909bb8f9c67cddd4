/* SPDX-License-Identifier: MIT
 *
 * Input: two bytes of capacity and state, then the segment as a reader finds it. Both segment and copy
 * are exactly as large as they have to be, and the slot's semaphores come back to where they were. In
 * some states they are not as they should be: then nothing is read, or the channel is called broken.
 * The mutator repairs the length word half of the time, for else hardly a frame would be read.
 */
#include "channel.h"
#include "frame.h"
#include "harness.h"
#include "scene.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 2, WORD = SHMRPC_LENGTH_WORD_BYTES, MOST = 4092 };

/* Of the slot before it is read. */
enum state { ORDERLY, NOTHING, SURPLUS, NEVER_TAKEN, GARBLED, STATES };

#ifdef FUZZ_MUTATOR
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, max_size);
    if (seed % 2 == 0 && size >= HEAD + WORD) {
        /* Near the truth more often than on it. */
        uint32_t length = (uint32_t)(size - HEAD - WORD + seed / 2 % 3 - 1);
        memcpy(data + HEAD, &length, WORD);
    }
    return size;
}
#endif

/* Read the slot through the channel, as a server does; the judge looks at the bytes itself. */
static void check_read(struct shmrpc_channel *channel, size_t capacity, const char *before)
{
    struct shmrpc_channel_slot *slot = &channel->request;
    char *out = harness_room(capacity);
    size_t length = SIZE_MAX;
    uint32_t claimed;
    memcpy(&claimed, before, WORD);
    scene_set(&slot->empty, 0);
    scene_set(&slot->full, 1);
    struct shmrpc_deadline deadline;
    shmrpc_deadline_start(&deadline, 0, NULL, NULL);
    enum shmrpc_status status = shmrpc_channel_receive(channel, &deadline, out, &length);
    ORACLE(status == (claimed <= capacity ? SHMRPC_OK : SHMRPC_PROTOCOL));
    ORACLE(!channel->broken);
    ORACLE(scene_value(&slot->empty) == 1 && scene_value(&slot->full) == 0);
    if (status == SHMRPC_OK) {
        ORACLE(length == claimed);
        ORACLE(memcmp(out, before + WORD, length) == 0);
        for (size_t i = length; i < capacity; i++)
            ORACLE((uint8_t)out[i] == 0xA5);
    } else {
        ORACLE(length == SIZE_MAX);
    }
    /* The length word is gone, the rest of the segment was only read. */
    char *map = slot->segment.map;
    ORACLE(memcmp(map, "\0\0\0\0", WORD) == 0);
    ORACLE(memcmp(map + WORD, before + WORD, capacity) == 0);
    harness_note_number((uint64_t)status);
    harness_note(out, capacity);
    free(out);
}

/* What is no message in turn: nothing is handed out. */
static void check_refusal(struct shmrpc_channel *channel, size_t capacity, enum state state)
{
    struct shmrpc_channel_slot *slot = &channel->request;
    char *out = harness_room(capacity);
    size_t length = SIZE_MAX;
    struct shmrpc_deadline deadline;
    scene_set(&slot->empty, state == NEVER_TAKEN);
    scene_set(&slot->full, state == NOTHING ? 0 : state == SURPLUS ? 2 : 1);
    if (state == GARBLED)
        ((uint8_t *)slot->empty.map)[8] ^= 1;
    shmrpc_deadline_start(&deadline, 0, NULL, NULL);
    enum shmrpc_status status = shmrpc_channel_receive(channel, &deadline, out, &length);
    ORACLE(status == (state == NOTHING ? SHMRPC_TIMEOUT : SHMRPC_PROTOCOL));
    ORACLE(channel->broken == (state != NOTHING));
    ORACLE(scene_value(&slot->empty) == (state == NEVER_TAKEN));
    channel->broken = false;
    free(out);
}

static void check_begins(char *slot, size_t capacity, const char *before)
{
    uint32_t claimed;
    memcpy(&claimed, before, WORD);
    for (size_t length = 0; length <= capacity; length += 1 + length) {
        char *prefix = harness_copy(before + WORD, length);
        bool begins = shmrpc_frame_begins(slot, capacity, prefix, length);
        ORACLE(begins == (claimed <= capacity && length <= claimed));
        if (length > 0) {
            prefix[length - 1] ^= 1;
            ORACLE(!shmrpc_frame_begins(slot, capacity, prefix, length));
        }
        free(prefix);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harness_input input = {data, size};
    unsigned head = harness_word(&input);
    size_t capacity = 1u + head % MOST;
    enum state state = (enum state)(head / MOST % STATES);
    struct shmrpc_channel *channel = scene_server_channel();
    struct shmrpc_channel_slot *slot = &channel->request;
    void *map = slot->segment.map;
    size_t real = channel->capacity;

    char *before = harness_room(capacity + WORD);
    memset(before, 0, capacity + WORD);
    if (input.left > 0)
        memcpy(before, input.at, input.left < capacity + WORD ? input.left : capacity + WORD);
    slot->segment.map = harness_copy(before, capacity + WORD);
    channel->capacity = capacity;
    check_begins(slot->segment.map, capacity, before);
    if (state == ORDERLY)
        check_read(channel, capacity, before);
    else
        check_refusal(channel, capacity, state);

    free(slot->segment.map);
    free(before);
    slot->segment.map = map;
    channel->capacity = real;
    return 0;
}

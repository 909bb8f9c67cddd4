/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void (*harness_cleanup)(void);

static uint64_t digest;

void harness_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: the oracle says no: %s\n", file, line, what);
    if (harness_cleanup != NULL)
        harness_cleanup();
    abort();
}

void harness_start(void)
{
    digest = UINT64_C(0xcbf29ce484222325);
}

void harness_note(const void *data, size_t size)
{
    /* FNV-1a: only ever compared with another run of this program. */
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        digest = (digest ^ bytes[i]) * UINT64_C(0x100000001b3);
}

void harness_note_number(uint64_t number)
{
    harness_note(&number, sizeof number);
}

uint64_t harness_digest(void)
{
    return digest;
}

char *harness_room(size_t size)
{
    char *room = malloc(size > 0 ? size : 1);
    if (room == NULL)
        exit(2);
    memset(room, 0xA5, size);
    return room;
}

char *harness_copy(const void *data, size_t size)
{
    char *copy = harness_room(size);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

uint8_t harness_byte(struct harness_input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

uint16_t harness_word(struct harness_input *input)
{
    unsigned low = harness_byte(input);
    return (uint16_t)(low | (unsigned)harness_byte(input) << 8);
}

/* SPDX-License-Identifier: MIT
 *
 * One message in a slot: a length word and that many bytes (SRPC-FRAME-001..). A slot belongs to
 * one side at a time, as its semaphores say; a hostile peer writes to it at any time. So a reader
 * loads the length once, bounds it, and copies the bytes before anybody looks at them.
 */
#ifndef SHMRPC_FRAME_H
#define SHMRPC_FRAME_H

#include "limit.h"

/** Where the message of a slot begins. The writer builds it here, in place. */
static inline char *shmrpc_frame_body(void *slot)
{
    return (char *)slot + SHMRPC_LENGTH_WORD_BYTES;
}

/** Private memory for a copy of a message of up to capacity bytes; null when memory is out. It
 *  stands in its page where a slot's body stands: on some CPUs copying between places that are a
 *  few bytes apart modulo the page size takes seventeen times as long. */
char *shmrpc_frame_alloc(size_t capacity);
/** Give it back; null is accepted. */
void shmrpc_frame_free(char *copy);
/** Set the length of the message that stands in the slot. Last step before the post. */
void shmrpc_frame_seal(void *slot, size_t capacity, size_t length);
/** Copy the message out and zero the length word.
 *  @param out room for capacity bytes. @param length set on success.
 *  @return OK or PROTOCOL (length above capacity; the word is zeroed all the same). */
enum shmrpc_status shmrpc_frame_read(void *slot, size_t capacity, void *out, size_t *length);
/** Zero the length word, so that a stray post cannot run stale bytes again (SRPC-FRAME-008). */
void shmrpc_frame_clear(void *slot);
/** Whether the slot still holds a message that begins with these bytes. */
bool shmrpc_frame_begins(void *slot, size_t capacity, const void *data, size_t length);

#endif

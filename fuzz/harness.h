/* SPDX-License-Identifier: MIT
 *
 * What all fuzz targets share: the oracle's word, the digest of an outcome, exact-size memory.
 *
 * A target is one file fuzz_TARGET.c with LLVMFuzzerTestOneInput(). It runs under libFuzzer (clang)
 * and under replay.c (any compiler). It must not depend on anything but its input: replay runs each
 * input twice and compares the digests.
 */
#ifndef FUZZ_HARNESS_H
#define FUZZ_HARNESS_H

#include "shmrpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/** What must hold whatever the input is. Says so on stderr and aborts. */
#define ORACLE(x) ((x) ? (void)0 : harness_failed(#x, __FILE__, __LINE__))
_Noreturn void harness_failed(const char *what, const char *file, int line);

/** Called before the process dies of a finding, to take away what it left outside itself. */
extern void (*harness_cleanup)(void);

/** The digest of everything that was noted since the last start. */
void harness_start(void);
void harness_note(const void *data, size_t size);
void harness_note_number(uint64_t number);
uint64_t harness_digest(void);

/** A copy that ends where its memory ends, so that a sanitizer sees the first byte behind it. */
char *harness_copy(const void *data, size_t size);
/** size bytes of the same kind, filled with 0xA5. */
char *harness_room(size_t size);

/** Reads the head of an input: the parameters before the text. */
struct harness_input {
    const uint8_t *at;
    size_t left;
};
uint8_t harness_byte(struct harness_input *input);
/** Little-endian; what is missing reads as 0. */
uint16_t harness_word(struct harness_input *input);

#endif

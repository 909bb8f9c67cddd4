/* SPDX-License-Identifier: MIT
 *
 * What scanner, values and writer share: above all the inside of strings, that is finding where
 * plain bytes end, UTF-8, escapes. A plain byte is ASCII and stands for itself in a JSON string:
 * neither quote, backslash nor control character. The search for them comes twice, with SSE2 and
 * portably, with equal results. No function reads at or behind end, or behind length bytes.
 */
#ifndef SHMRPC_JSON_TEXT_H
#define SHMRPC_JSON_TEXT_H

#include "json.h"

#include <stdatomic.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#define SHMRPC_JSON_VECTOR 1
#else
#define SHMRPC_JSON_VECTOR 0
#endif

static inline const char *shmrpc_json_skip_space(const char *at, const char *end)
{
    /* Most often there is none, and one comparison says so. */
    while (at < end && *at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    return at;
}

/** The type of the valid value that starts with that byte. */
static inline enum shmrpc_type shmrpc_json_type_by_first(char first)
{
    switch (first) {
    case '"':
        return SHMRPC_STRING;
    case '{':
        return SHMRPC_OBJECT;
    case '[':
        return SHMRPC_ARRAY;
    case 't':
    case 'f':
        return SHMRPC_BOOL;
    case 'n':
        return SHMRPC_NULL;
    default:
        return SHMRPC_NUMBER;
    }
}

extern _Atomic bool shmrpc_json_portable;

static inline bool shmrpc_json_vector(void)
{
    return SHMRPC_JSON_VECTOR && !atomic_load_explicit(&shmrpc_json_portable, memory_order_relaxed);
}

static inline bool shmrpc_json_is_plain(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

#if SHMRPC_JSON_VECTOR
/** 0xFF for each byte that is not plain. As signed bytes, controls and non-ASCII are both below
 *  0x20; swapping 0x20 with 0x22 (and 0x21 with 0x23) brings the quote below 0x21 too. */
static inline __m128i shmrpc_json_special(__m128i bytes)
{
    __m128i swapped = _mm_xor_si128(bytes, _mm_set1_epi8(2));
    return _mm_or_si128(_mm_cmplt_epi8(swapped, _mm_set1_epi8(0x21)),
                        _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
}
#endif

/** The rest of shmrpc_json_plain_end() where its first look does not suffice. */
const char *shmrpc_json_plain_end_far(const char *at, const char *end);

/** The first byte from at on that is not plain, or end. */
static inline const char *shmrpc_json_plain_end(const char *at, const char *end)
{
#if SHMRPC_JSON_VECTOR
    /* Most strings are short: one look before anything that is called. */
    if (end - at >= 16 && shmrpc_json_vector()) {
        __m128i special = shmrpc_json_special(_mm_loadu_si128((const __m128i *)(const void *)at));
        unsigned mask = (unsigned)_mm_movemask_epi8(special);
        if (mask != 0)
            return at + __builtin_ctz(mask);
        at += 16;
    }
#endif
    return shmrpc_json_plain_end_far(at, end);
}

/** The rest of shmrpc_json_copy_plain() where its first look does not suffice. */
size_t shmrpc_json_copy_plain_far(char *to, const char *from, size_t length);

/** Copy plain bytes until one is not plain. All length bytes at to may be written.
 *  @return how many were plain. */
static inline size_t shmrpc_json_copy_plain(char *to, const char *from, size_t length)
{
#if SHMRPC_JSON_VECTOR
    if (length >= 16 && shmrpc_json_vector()) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);
        _mm_storeu_si128((__m128i *)(void *)to, bytes);
        unsigned mask = (unsigned)_mm_movemask_epi8(shmrpc_json_special(bytes));
        if (mask != 0)
            return (size_t)__builtin_ctz(mask);
        return 16 + shmrpc_json_copy_plain_far(to + 16, from + 16, length - 16);
    }
#endif
    return shmrpc_json_copy_plain_far(to, from, length);
}

/** The end of the whole, valid, non-ASCII characters that stand at at; at if there is none. */
const char *shmrpc_json_wide_end(const char *at, const char *end);

/** Of a character that is not whole and valid: the first byte that no valid one could have there,
 *  or end where bytes are missing. */
const char *shmrpc_json_utf8_offence(const char *at, const char *end);

/** The end of the escape whose backslash stands at at (both halves of a surrogate pair are one).
 *  @return null if it is not valid, and *offence is its first byte that cannot be right. */
const char *shmrpc_json_escape_end(const char *at, const char *end, const char **offence);

/** Decode the valid escape at *at into UTF-8 and step over it.
 *  @return how many bytes, 0 if the escape is not valid after all. */
size_t shmrpc_json_escape_decode(const char **at, const char *end, char utf8[4]);

/** The end of a valid string, behind its closing quote; end if there is none. at is its first byte
 *  behind the opening quote. */
const char *shmrpc_json_string_end(const char *at, const char *end);

#endif

/* SPDX-License-Identifier: MIT
 *
 * What scanner, values and writer share: above all the inside of strings, that is finding where
 * plain bytes end, UTF-8, escapes. A plain byte is ASCII and stands for itself in a JSON string:
 * neither quote, backslash nor control character. No function reads at or behind end, or behind
 * length bytes.
 */
#ifndef SHMRPC_JSON_TEXT_H
#define SHMRPC_JSON_TEXT_H

#include "check.h"
#include "json.h"

#include <string.h>

/** Of the containers that are open, one bit a level says whether it is an object. */
static inline void shmrpc_json_level_set(unsigned char *objects, size_t level, bool object)
{
    REQUIRE(level < SHMRPC_JSON_DEPTH);
    unsigned char *byte = &objects[level / 8];
    unsigned place = level % 8;
    /* The first of eight levels finds nothing that counts there: those above it are closed. */
    *byte = (unsigned char)(place == 0 ? object
                                       : (*byte & ~(1u << place)) | (unsigned)object << place);
}

/** Whether the innermost of depth open containers is an object. */
static inline bool shmrpc_json_in_object(const unsigned char *objects, size_t depth)
{
    REQUIRE(depth <= SHMRPC_JSON_DEPTH);
    return depth > 0 && (objects[(depth - 1) / 8] >> (depth - 1) % 8 & 1) != 0;
}

static inline const char *shmrpc_json_skip_space(const char *at, const char *end)
{
    /* Most often there is none, and one comparison says so. */
    while (at < end && *at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    return at;
}

/** Which bytes are plain. */
extern const bool shmrpc_json_plain[256];

/** Sixteen bytes that are looked at together: the vectors that compilers offer on any processor. */
typedef signed char shmrpc_json_lane __attribute__((vector_size(16)));
enum { SHMRPC_JSON_LANE_BYTES = 16, SHMRPC_JSON_BLOCK_BYTES = 64 };
_Static_assert(sizeof(shmrpc_json_lane) == SHMRPC_JSON_LANE_BYTES, "a lane is no more");
_Static_assert(SHMRPC_JSON_BLOCK_BYTES == 8 * sizeof(uint64_t), "one bit a byte");
_Static_assert(SHMRPC_JSON_BLOCK_BYTES == 4 * SHMRPC_JSON_LANE_BYTES, "a block is four lanes");

/** All ones for each plain byte of the 16 at at. As signed bytes, controls and non-ASCII are both
 *  below 0x20; swapping 0x20 with 0x22 (and 0x21 with 0x23) brings the quote below 0x21 too. */
static inline shmrpc_json_lane shmrpc_json_lane_plain(const char *at)
{
    shmrpc_json_lane lane;
    memcpy(&lane, at, sizeof lane);
    return ((lane ^ 2) > 0x20) & (lane != '\\');
}

/** One bit for each byte that shmrpc_json_lane_plain() did not mark, the lowest for the first. */
static inline uint64_t shmrpc_json_lane_special(shmrpc_json_lane plain)
{
#if defined(__SSE2__)
    typedef char characters __attribute__((vector_size(16)));
    return (unsigned)__builtin_ia32_pmovmskb128((characters)~plain);
#else
    uint64_t special = 0;
    for (size_t i = 0; i < SHMRPC_JSON_LANE_BYTES; i++)
        special |= (uint64_t)(plain[i] == 0) << i;
    return special;
#endif
}

/** One bit for each of the 64 bytes at at that is not plain, the lowest for the first. */
static inline uint64_t shmrpc_json_block_special(const char *at)
{
    return shmrpc_json_lane_special(shmrpc_json_lane_plain(at)) |
           shmrpc_json_lane_special(shmrpc_json_lane_plain(at + 16)) << 16 |
           shmrpc_json_lane_special(shmrpc_json_lane_plain(at + 32)) << 32 |
           shmrpc_json_lane_special(shmrpc_json_lane_plain(at + 48)) << 48;
}

/** Whether that is zero, but sooner known. */
static inline bool shmrpc_json_block_is_plain(const char *at)
{
    return shmrpc_json_lane_special(
               (shmrpc_json_lane_plain(at) & shmrpc_json_lane_plain(at + 16)) &
               (shmrpc_json_lane_plain(at + 32) & shmrpc_json_lane_plain(at + 48))) == 0;
}

/** Count plain bytes in whole blocks, up to the first block that has another byte; and copy them,
 *  unless to is null. */
size_t shmrpc_json_plain_blocks(char *to, const char *from, size_t length);

/** Tests set it: look at 16 bytes at a time even where the processor could at 32. */
extern bool shmrpc_json_narrow;

/** Copy plain bytes until one is not plain. All length bytes at to may be written.
 *  @return how many were plain. */
size_t shmrpc_json_copy_plain(char *to, const char *from, size_t length);

/** The end of the whole, valid, non-ASCII characters that stand at at; at if there is none.
 *  @param offence set to the first byte that no further character could have there, or end where
 *  bytes are missing. */
const char *shmrpc_json_wide_end(const char *at, const char *end, const char **offence);

/** Encode a code point. @return how many bytes. */
size_t shmrpc_json_utf8_encode(unsigned code, char utf8[4]);

/** What the letter of an escape stands for; 0 for what is no such letter. */
extern const char shmrpc_json_letter[256];

/** As shmrpc_json_escape_end(), for escapes that are not one letter. */
const char *shmrpc_json_unicode_escape_end(const char *at, const char *end, unsigned *code,
                                           const char **offence);

/** Read the escape whose backslash stands at at (both halves of a surrogate pair are one).
 *  @param code set to the code point that it stands for.
 *  @return its end, or null if it is not valid; then *offence is the first byte that cannot be
 *  right, or end where bytes are missing. */
static inline const char *shmrpc_json_escape_end(const char *at, const char *end, unsigned *code,
                                                 const char **offence)
{
    REQUIRE(at < end);
    REQUIRE(*at == '\\');
    REQUIRE(code != NULL);
    REQUIRE(offence != NULL);
    *code = end - at > 1 ? (unsigned char)shmrpc_json_letter[(unsigned char)at[1]] : 0;
    return *code != 0 ? at + 2 : shmrpc_json_unicode_escape_end(at, end, code, offence);
}

/** Read the value at at, which white space may not precede. @return its end, or null if none is
 *  there, and *value is then of no use. */
const char *shmrpc_json_value_end(const char *at, const char *end, struct shmrpc_value *value);

/** Whether a key decodes to exactly these bytes; that of most keys it does not, their length or
 *  their first byte tells. */
static inline bool shmrpc_json_key_is(const struct shmrpc_value *key, const char *name,
                                      size_t length)
{
    REQUIRE(key != NULL);
    if (!key->plain || length == 0)
        return shmrpc_json_string_equals(key, name, length);
    return key->length == length + 2 && key->text[1] == *name &&
           memcmp(key->text + 1, name, length) == 0;
}

#endif

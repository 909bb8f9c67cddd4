/* SPDX-License-Identifier: MIT */
#include "json_text.h"
#include "check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* ------------------------------------------------------------------------------------------------
 * Plain bytes
 */

const bool shmrpc_json_plain[256] = {
    [0x20 ... '"' - 1] = true, ['"' + 1 ... '\\' - 1] = true, ['\\' + 1 ... 0x7F] = true};

bool shmrpc_json_narrow;

static size_t narrow_blocks(char *to, const char *from, size_t length)
{
    enum { BLOCK = SHMRPC_JSON_BLOCK_BYTES };
    size_t i = 0;
    for (; length - i >= BLOCK && shmrpc_json_block_is_plain(from + i); i += BLOCK)
        if (to != NULL)
            memcpy(to + i, from + i, BLOCK);
    ENSURE(i <= length);
    ENSURE(i % BLOCK == 0);
    return i;
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))

/** As shmrpc_json_lane_plain(), for twice the bytes. */
AVX2 static inline __m256i wide_plain(__m256i lane)
{
    __m256i above = _mm256_cmpgt_epi8(_mm256_xor_si256(lane, _mm256_set1_epi8(2)),
                                      _mm256_set1_epi8(0x20));
    return _mm256_andnot_si256(_mm256_cmpeq_epi8(lane, _mm256_set1_epi8('\\')), above);
}

AVX2 static size_t wide_blocks(char *to, const char *from, size_t length)
{
    enum { BLOCK = SHMRPC_JSON_BLOCK_BYTES };
    size_t i = 0;
    for (; length - i >= BLOCK; i += BLOCK) {
        __m256i low;
        __m256i high;
        memcpy(&low, from + i, sizeof low);
        memcpy(&high, from + i + sizeof low, sizeof high);
        __m256i plain = _mm256_and_si256(wide_plain(low), wide_plain(high));
        if (_mm256_movemask_epi8(plain) != -1)
            break;
        if (to != NULL) {
            memcpy(to + i, &low, sizeof low);
            memcpy(to + i + sizeof low, &high, sizeof high);
        }
    }
    ENSURE(i <= length);
    ENSURE(i % BLOCK == 0);
    return i;
}
#endif

size_t shmrpc_json_plain_blocks(char *to, const char *from, size_t length)
{
    REQUIRE(from != NULL || length == 0);
    REQUIRE(length <= PTRDIFF_MAX);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && !shmrpc_json_narrow)
        return wide_blocks(to, from, length);
#endif
    return narrow_blocks(to, from, length);
}

size_t shmrpc_json_copy_plain(char *to, const char *from, size_t length)
{
    enum { LANE = SHMRPC_JSON_LANE_BYTES };
    REQUIRE(to != NULL || length == 0);
    REQUIRE(from != NULL || length == 0);
    size_t i = 0;
    for (; length - i >= LANE; i += LANE) {
        uint64_t special = shmrpc_json_lane_special(shmrpc_json_lane_plain(from + i));
        memcpy(to + i, from + i, LANE);
        if (special != 0)
            return i + (size_t)__builtin_ctzll(special);
        /* The first lane is enough for most strings, and for most text between two escapes. */
        if (i == 0)
            i += shmrpc_json_plain_blocks(to + LANE, from + LANE, length - LANE);
    }
    for (; i < length && shmrpc_json_plain[(unsigned char)from[i]]; i++)
        to[i] = from[i];
    ENSURE(i <= length);
    return i;
}

/* ------------------------------------------------------------------------------------------------
 * UTF-8 (SRPC-JSON-002)
 */

/** The length of the non-ASCII character at p, or 0, and then *wrong is the index of the first byte
 *  that cannot be right, or left. The first byte narrows the range of the second where a form would
 *  be overlong, a surrogate, or above U+10FFFF. */
static inline size_t utf8_character(const unsigned char *p, size_t left, size_t *wrong)
{
    size_t length = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    INVARIANT(left > 0);
    INVARIANT(p[0] >= 0x80);
    *wrong = 0;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    for (*wrong = 1; *wrong < length; ++*wrong) {
        if (*wrong == left || p[*wrong] < low || p[*wrong] > high)
            return 0;
        low = 0x80;
        high = 0xBF;
    }
    return length;
}

const char *shmrpc_json_wide_end(const char *at, const char *end, const char **offence)
{
    REQUIRE(at != NULL);
    REQUIRE(at <= end);
    REQUIRE(offence != NULL);
    size_t wrong = 0;
    while (at < end && (*at & 0x80) != 0) {
        size_t length = utf8_character((const unsigned char *)at, (size_t)(end - at), &wrong);
        if (length == 0)
            break;
        at += length;
        wrong = 0;
    }
    *offence = at + wrong;
    ENSURE(*offence >= at);
    ENSURE(*offence <= end);
    return at;
}

size_t shmrpc_json_utf8_prefix(const char *data, size_t length)
{
    REQUIRE(data != NULL || length == 0);
    REQUIRE(length <= PTRDIFF_MAX);
    const char *offence;
    size_t i = 0;
    for (size_t step = 1; i < length && step > 0; i += step)
        step = (data[i] & 0x80) == 0
                   ? 1
                   : (size_t)(shmrpc_json_wide_end(data + i, data + length, &offence) - data) - i;
    ENSURE(i <= length);
    return i;
}

size_t shmrpc_json_utf8_encode(unsigned code, char utf8[4])
{
    REQUIRE(code <= 0x10FFFF);
    REQUIRE(utf8 != NULL);
    if (code < 0x80) {
        utf8[0] = (char)code;
        return 1;
    }
    static const unsigned char first[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        utf8[i] = (char)(0x80 | (code & 0x3F));
    ENSURE(code < 0x20);
    utf8[0] = (char)(first[length] | code);
    return length;
}

/* ------------------------------------------------------------------------------------------------
 * Escapes
 */

/** Read the four digits behind \u. A low surrogate is allowed, and then required, only behind a
 *  high one (SRPC-JSON-004). @return their end, or null, and *offence is set. */
static const char *hex4_end(const char *at, const char *end, bool low_due, unsigned *code,
                            const char **offence)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    INVARIANT(at <= end);
    INVARIANT(code != NULL);
    *code = 0;
    for (int i = 0; i < 4; i++, at++) {
        *offence = at;
        const char *digit = at < end ? memchr(digits, *at, sizeof digits - 1) : NULL;
        if (digit == NULL)
            return NULL;
        size_t value = (size_t)(digit - digits);
        *code = *code * 16 + (unsigned)(value < 16 ? value : value - 6);
        bool low = *code >= 0xDC && *code <= 0xDF;
        if ((i == 0 && low_due && *code != 0xD) || (i == 1 && low != low_due))
            return NULL;
    }
    ENSURE(*code <= 0xFFFF);
    ENSURE(at <= end);
    return at;
}

const char shmrpc_json_letter[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

const char *shmrpc_json_unicode_escape_end(const char *at, const char *end, unsigned *code,
                                           const char **offence)
{
    INVARIANT(at < end);
    INVARIANT(*at == '\\');
    *offence = ++at;
    if (at == end)
        return NULL;
    if (*at != 'u')
        return NULL;
    at = hex4_end(at + 1, end, false, code, offence);
    bool high = (*code & 0xFC00) == 0xD800;
    if (at == NULL || !high)
        return at;
    for (const char *due = "\\u"; *due != '\0'; due++, at++) {
        *offence = at;
        if (at == end || *at != *due)
            return NULL;
    }
    unsigned low;
    at = hex4_end(at, end, true, &low, offence);
    *code = 0x10000u + ((*code & 0x3FFu) << 10) + (low & 0x3FFu);
    ENSURE(*code <= 0x10FFFF);
    ENSURE(*offence <= end);
    return at;
}

/* ------------------------------------------------------------------------------------------------
 * Strings that were validated
 */

bool shmrpc_json_string_equals(const struct shmrpc_value *string, const char *data, size_t length)
{
    REQUIRE(string != NULL);
    REQUIRE(string->text != NULL);
    REQUIRE(data != NULL || length == 0);
    if (string->type != SHMRPC_STRING || string->length < 2)
        return false;
    const char *at = string->text + 1;
    size_t raw = string->length - 2;
    if (raw == length)
        return length == 0 || (memcmp(at, data, length) == 0 &&
                               (string->plain || memchr(at, '\\', raw) == NULL));
    if (string->plain)
        return false;
    const char *end = at + raw;
    size_t i = 0;
    while (at < end) {
        char utf8[4] = {*at};
        size_t count = 1;
        if (*at == '\\') {
            unsigned code;
            const char *offence;
            at = shmrpc_json_escape_end(at, end, &code, &offence);
            if (at == NULL)
                return false;
            count = shmrpc_json_utf8_encode(code, utf8);
        } else {
            at++;
        }
        if (count > length - i || memcmp(data + i, utf8, count) != 0)
            return false;
        i += count;
    }
    ENSURE(i <= length);
    return i == length;
}

/* SPDX-License-Identifier: MIT */
#include "json_text.h"
#include "check.h"

#include <string.h>

_Atomic bool shmrpc_json_portable = false;

void shmrpc_json_use_portable(bool portable)
{
    atomic_store_explicit(&shmrpc_json_portable, portable, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------------------------
 * Plain bytes
 */

#define EACH_BYTE(x) (UINT64_C(0x0101010101010101) * (x))

/** Whether any of eight bytes is not plain. The tests may mark too many bytes of a word that has a
 *  marked one, but never mark one in a word that has none. */
static inline bool word_special(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE('"');
    uint64_t backslash = word ^ EACH_BYTE('\\');
    uint64_t marks = ((word - EACH_BYTE(0x20)) & ~word) | ((quote - EACH_BYTE(1)) & ~quote) |
                     ((backslash - EACH_BYTE(1)) & ~backslash) | word;
    return (marks & EACH_BYTE(0x80)) != 0;
}

static inline uint64_t word_load(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/** The same byte by byte, from i on. */
static size_t plain_length_bytes(const char *at, size_t i, size_t length)
{
    while (i < length && shmrpc_json_is_plain(at[i]))
        i++;
    return i;
}

static size_t plain_length_portable(const char *at, size_t length)
{
    size_t i = 0;
    for (; length - i >= 8; i += 8)
        if (word_special(word_load(at + i)))
            return plain_length_bytes(at, i, length);
    /* The last word overlaps what is known to be plain. */
    if (i > 0 && !word_special(word_load(at + length - 8)))
        return length;
    return plain_length_bytes(at, i, length);
}

static size_t copy_plain_bytes(char *to, const char *from, size_t i, size_t length)
{
    for (; i < length && shmrpc_json_is_plain(from[i]); i++)
        to[i] = from[i];
    return i;
}

static size_t copy_plain_portable(char *to, const char *from, size_t length)
{
    size_t i = 0;
    for (; length - i >= 8; i += 8) {
        uint64_t word = word_load(from + i);
        memcpy(to + i, &word, sizeof word);
        if (word_special(word))
            return copy_plain_bytes(to, from, i, length);
    }
    if (i > 0) {
        uint64_t word = word_load(from + length - 8);
        if (!word_special(word)) {
            memcpy(to + length - 8, &word, sizeof word);
            return length;
        }
    }
    return copy_plain_bytes(to, from, i, length);
}

#if SHMRPC_JSON_VECTOR
struct block {
    __m128i lane[4];
};

static inline __m128i lane_load(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline void lane_store(char *to, __m128i lane)
{
    _mm_storeu_si128((__m128i *)(void *)to, lane);
}

static inline struct block block_load(const char *at)
{
    return (struct block){
        {lane_load(at), lane_load(at + 16), lane_load(at + 32), lane_load(at + 48)}};
}

static inline bool block_special(struct block block)
{
    __m128i low = _mm_or_si128(shmrpc_json_special(block.lane[0]),
                               shmrpc_json_special(block.lane[1]));
    __m128i high = _mm_or_si128(shmrpc_json_special(block.lane[2]),
                                shmrpc_json_special(block.lane[3]));
    return _mm_movemask_epi8(_mm_or_si128(low, high)) != 0;
}

static size_t plain_length_vector(const char *at, size_t length)
{
    size_t i = 0;
    for (; length - i >= 64; i += 64)
        if (block_special(block_load(at + i)))
            break;
    for (; length - i >= 16; i += 16) {
        unsigned mask = (unsigned)_mm_movemask_epi8(shmrpc_json_special(lane_load(at + i)));
        if (mask != 0)
            return i + (size_t)__builtin_ctz(mask);
    }
    return i + plain_length_portable(at + i, length - i);
}

static size_t copy_plain_vector(char *to, const char *from, size_t length)
{
    size_t i = 0;
    for (; length - i >= 64; i += 64) {
        struct block block = block_load(from + i);
        if (block_special(block))
            break;
        for (size_t k = 0; k < 4; k++)
            lane_store(to + i + 16 * k, block.lane[k]);
    }
    for (; length - i >= 16; i += 16) {
        __m128i lane = lane_load(from + i);
        lane_store(to + i, lane);
        unsigned mask = (unsigned)_mm_movemask_epi8(shmrpc_json_special(lane));
        if (mask != 0)
            return i + (size_t)__builtin_ctz(mask);
    }
    return i + copy_plain_portable(to + i, from + i, length - i);
}
#endif

const char *shmrpc_json_plain_end_far(const char *at, const char *end)
{
    REQUIRE(at <= end);
#if SHMRPC_JSON_VECTOR
    if (shmrpc_json_vector())
        return at + plain_length_vector(at, (size_t)(end - at));
#endif
    return at + plain_length_portable(at, (size_t)(end - at));
}

size_t shmrpc_json_copy_plain_far(char *to, const char *from, size_t length)
{
    REQUIRE(length == 0 || (to != NULL && from != NULL));
#if SHMRPC_JSON_VECTOR
    if (shmrpc_json_vector())
        return copy_plain_vector(to, from, length);
#endif
    return copy_plain_portable(to, from, length);
}

/* ------------------------------------------------------------------------------------------------
 * UTF-8 (SRPC-JSON-002)
 */

/** How many bytes a character has by its first one; 0 if no character starts so. */
static inline unsigned utf8_length(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xC2) /* a continuation byte, or an overlong form of ASCII */
        return 0;
    if (first < 0xE0)
        return 2;
    if (first < 0xF0)
        return 3;
    return first < 0xF5 ? 4 : 0; /* F5 and above start nothing up to U+10FFFF */
}

/** Whether a byte may come second. The first byte narrows the range where a form would be overlong,
 *  a surrogate, or above U+10FFFF. */
static inline bool utf8_second(unsigned char first, unsigned char second)
{
    unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    return second >= low && second <= high;
}

static inline bool utf8_continues(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

const char *shmrpc_json_wide_end(const char *at, const char *end)
{
    REQUIRE(at <= end);
    const unsigned char *p = (const unsigned char *)at;
    size_t left = (size_t)(end - at);
    while (left >= 2 && p[0] >= 0x80) {
        unsigned length = utf8_length(p[0]);
        if (length == 0 || length > left || !utf8_second(p[0], p[1]))
            break;
        if (length > 2 && !utf8_continues(p[2]))
            break;
        if (length > 3 && !utf8_continues(p[3]))
            break;
        p += length;
        left -= length;
    }
    return (const char *)p;
}

const char *shmrpc_json_utf8_offence(const char *at, const char *end)
{
    REQUIRE(at < end);
    const unsigned char *p = (const unsigned char *)at;
    size_t left = (size_t)(end - at);
    unsigned length = utf8_length(p[0]);
    REQUIRE(length != 1);
    if (length == 0)
        return at;
    for (unsigned i = 1; i < length; i++) {
        if (i == left)
            return end;
        if (!(i == 1 ? utf8_second(p[0], p[1]) : utf8_continues(p[i])))
            return at + i;
    }
    UNREACHABLE("the character is whole and valid");
}

size_t shmrpc_json_utf8_prefix(const char *data, size_t length)
{
    REQUIRE(data != NULL || length == 0);
    size_t i = 0;
    while (i < length) {
        uint64_t word;
        if (length - i >= sizeof word) {
            memcpy(&word, data + i, sizeof word);
            if ((word & EACH_BYTE(0x80)) == 0) {
                i += sizeof word;
                continue;
            }
        }
        if ((unsigned char)data[i] < 0x80) {
            i++;
            continue;
        }
        size_t wide = (size_t)(shmrpc_json_wide_end(data + i, data + length) - (data + i));
        if (wide == 0)
            break;
        i += wide;
    }
    ENSURE(i <= length);
    return i;
}

static size_t utf8_encode(unsigned code, char utf8[4])
{
    INVARIANT(code <= 0x10FFFF);
    if (code < 0x80) {
        utf8[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        utf8[0] = (char)(0xC0 | code >> 6);
        utf8[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        utf8[0] = (char)(0xE0 | code >> 12);
        utf8[1] = (char)(0x80 | (code >> 6 & 0x3F));
        utf8[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    utf8[0] = (char)(0xF0 | code >> 18);
    utf8[1] = (char)(0x80 | (code >> 12 & 0x3F));
    utf8[2] = (char)(0x80 | (code >> 6 & 0x3F));
    utf8[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* ------------------------------------------------------------------------------------------------
 * Escapes
 */

/** The value of a hexadecimal digit, or -1. */
static inline int hex_value(char c)
{
    static const signed char value_plus_one[256] = {
        ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
        ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
        ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
        ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    };
    return value_plus_one[(unsigned char)c] - 1;
}

/** The four digits behind \u. A low surrogate is allowed, and then required, only behind a high one
 *  (SRPC-JSON-004). @return the code, or -1, and *offence is the first wrong byte, or end. */
static int hex4_read(const char *at, const char *end, bool low_due, const char **offence)
{
    INVARIANT(at <= end);
    int code = 0;
    for (int i = 0; i < 4; i++, at++) {
        int digit = at < end ? hex_value(*at) : -1;
        code = code * 16 + digit;
        bool low = code >= 0xDC && code <= 0xDF;
        if (digit < 0 || (i == 0 && low_due && code != 0xD) || (i == 1 && low != low_due)) {
            *offence = at;
            return -1;
        }
    }
    ENSURE(code >= 0 && code <= 0xFFFF);
    return code;
}

static inline bool is_high_surrogate(int code)
{
    return code >= 0xD800 && code <= 0xDBFF;
}

/** What a one-letter escape stands for, or 0. */
static inline char escape_letter(char c)
{
    static const char meaning[256] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };
    return meaning[(unsigned char)c];
}

/** Read the escape at at. @return its end, or null with *offence set; *code is what it stands for. */
static inline const char *escape_read(const char *at, const char *end, unsigned *code,
                                      const char **offence)
{
    at++;
    *offence = at;
    if (at == end)
        return NULL;
    char letter = escape_letter(*at);
    if (letter != 0) {
        *code = (unsigned char)letter;
        return at + 1;
    }
    if (*at != 'u')
        return NULL;
    int first = hex4_read(at + 1, end, false, offence);
    if (first < 0)
        return NULL;
    at += 5;
    *code = (unsigned)first;
    if (!is_high_surrogate(first))
        return at;
    for (const char *due = "\\u"; *due != '\0'; due++, at++) {
        if (at == end || *at != *due) {
            *offence = at;
            return NULL;
        }
    }
    int second = hex4_read(at, end, true, offence);
    if (second < 0)
        return NULL;
    *code = 0x10000u + (((unsigned)first & 0x3FFu) << 10) + ((unsigned)second & 0x3FFu);
    return at + 4;
}

const char *shmrpc_json_escape_end(const char *at, const char *end, const char **offence)
{
    REQUIRE(at < end && *at == '\\');
    REQUIRE(offence != NULL);
    unsigned code;
    const char *after = escape_read(at, end, &code, offence);
    ENSURE(after != NULL ? after <= end : *offence <= end);
    return after;
}

size_t shmrpc_json_escape_decode(const char **at, const char *end, char utf8[4])
{
    REQUIRE(at != NULL && *at < end && **at == '\\');
    unsigned code;
    const char *offence;
    const char *after = escape_read(*at, end, &code, &offence);
    if (after == NULL)
        return 0;
    *at = after;
    return utf8_encode(code, utf8);
}

/* ------------------------------------------------------------------------------------------------
 * Strings that were validated
 */

const char *shmrpc_json_string_end(const char *at, const char *end)
{
    REQUIRE(at <= end);
    for (;;) {
        at = shmrpc_json_plain_end(at, end);
        while (at < end && (unsigned char)*at >= 0x80)
            at++;
        if (at == end)
            return end;
        if (*at == '"')
            return at + 1;
        /* What a backslash protects is no quote; of \uXXXX the rest is plain. */
        if (*at == '\\')
            at += end - at >= 2 ? 2 : 1;
        else
            at++;
    }
}

/** Compare what a string with escapes decodes to. */
static bool decodes_to(const char *at, const char *end, const char *data, size_t length)
{
    INVARIANT(at <= end && data != NULL);
    size_t i = 0;
    while (at < end && i <= length) {
        char utf8[4] = {*at};
        size_t count = 1;
        if (*at == '\\')
            count = shmrpc_json_escape_decode(&at, end, utf8);
        else
            at++;
        if (count == 0 || count > length - i || memcmp(data + i, utf8, count) != 0)
            return false;
        i += count;
    }
    return at == end && i == length;
}

bool shmrpc_json_string_equals(const struct shmrpc_value *string, const char *data, size_t length)
{
    REQUIRE(string != NULL && string->text != NULL);
    REQUIRE(data != NULL || length == 0);
    if (string->type != SHMRPC_STRING || string->length < 2)
        return false;
    const char *inside = string->text + 1;
    size_t raw = string->length - 2;
    /* An escape is longer than what it stands for, by a factor of at most six. */
    if (raw < length || raw / 6 > length)
        return false;
    if (length == 0)
        return raw == 0;
    /* The first byte tells most other strings apart. */
    if (*inside != *data && *inside != '\\')
        return false;
    if (raw == length)
        return memcmp(inside, data, length) == 0 && memchr(inside, '\\', raw) == NULL;
    return decodes_to(inside, inside + raw, data, length);
}

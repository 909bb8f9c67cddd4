/* SPDX-License-Identifier: MIT
 *
 * Whether bytes are one JSON text by RFC 8259 in valid UTF-8. cJSON is too lenient to judge what a port
 * wrote; this is, on purpose, another scanner than the library's: one rule a function.
 */
#include "kit.h"

#include <string.h>

struct scan {
    const unsigned char *at;
    const unsigned char *end;
};

static bool value(struct scan *scan, int depth);

static void blanks(struct scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' ||
                                    *scan->at == '\r'))
        scan->at++;
}

static bool take(struct scan *scan, unsigned char c)
{
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

static bool word(struct scan *scan, const char *text)
{
    size_t length = strlen(text);
    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, text, length) != 0)
        return false;
    scan->at += length;
    return true;
}

static int digits(struct scan *scan)
{
    int count = 0;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') {
        scan->at++;
        count++;
    }
    return count;
}

static bool number(struct scan *scan)
{
    take(scan, '-');
    if (!take(scan, '0') && digits(scan) == 0)
        return false;
    if (take(scan, '.') && digits(scan) == 0)
        return false;
    if (take(scan, 'e') || take(scan, 'E')) {
        if (!take(scan, '+'))
            take(scan, '-');
        return digits(scan) > 0;
    }
    return true;
}

static bool hex4(struct scan *scan, unsigned *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = scan->at < scan->end ? *scan->at++ : 0;
        unsigned digit = c >= '0' && c <= '9'   ? c - (unsigned)'0'
                         : c >= 'a' && c <= 'f' ? c - (unsigned)'a' + 10u
                         : c >= 'A' && c <= 'F' ? c - (unsigned)'A' + 10u
                                                : 16u;
        if (digit == 16)
            return false;
        *unit = *unit * 16 + digit;
    }
    return true;
}

static bool escape(struct scan *scan)
{
    unsigned unit;
    if (scan->at == scan->end)
        return false;
    unsigned char c = *scan->at++;
    if (c != 'u')
        return c != 0 && strchr("\"\\/bfnrt", c) != NULL;
    if (!hex4(scan, &unit) || (unit >= 0xdc00 && unit <= 0xdfff))
        return false;
    if (unit < 0xd800 || unit > 0xdbff)
        return true;
    return word(scan, "\\u") && hex4(scan, &unit) && unit >= 0xdc00 && unit <= 0xdfff;
}

/* One character of UTF-8, the shortest form, no surrogate, not above U+10FFFF. */
static bool character(struct scan *scan)
{
    unsigned char c = *scan->at++;
    if (c < 0x80)
        return c >= 0x20;
    int more = c >= 0xc2 && c <= 0xdf ? 1 : c >= 0xe0 && c <= 0xef ? 2 : c >= 0xf0 && c <= 0xf4 ? 3 : 0;
    if (more == 0 || scan->end - scan->at < more)
        return false;
    unsigned char first = *scan->at;
    if ((c == 0xe0 && first < 0xa0) || (c == 0xed && first > 0x9f) || (c == 0xf0 && first < 0x90) ||
        (c == 0xf4 && first > 0x8f))
        return false;
    for (int i = 0; i < more; i++)
        if ((*scan->at++ & 0xc0) != 0x80)
            return false;
    return true;
}

static bool string(struct scan *scan)
{
    if (!take(scan, '"'))
        return false;
    while (scan->at < scan->end) {
        if (take(scan, '"'))
            return true;
        if (take(scan, '\\') ? !escape(scan) : !character(scan))
            return false;
    }
    return false;
}

static bool list(struct scan *scan, int depth, unsigned char close, bool keys)
{
    scan->at++;
    blanks(scan);
    if (take(scan, close))
        return true;
    do {
        blanks(scan);
        if (keys) {
            if (!string(scan))
                return false;
            blanks(scan);
            if (!take(scan, ':'))
                return false;
            blanks(scan);
        }
        if (!value(scan, depth + 1))
            return false;
        blanks(scan);
    } while (take(scan, ','));
    return take(scan, close);
}

static bool value(struct scan *scan, int depth)
{
    if (scan->at == scan->end || depth > 1024)
        return false;
    switch (*scan->at) {
    case '{': return list(scan, depth, '}', true);
    case '[': return list(scan, depth, ']', false);
    case '"': return string(scan);
    case 't': return word(scan, "true");
    case 'f': return word(scan, "false");
    case 'n': return word(scan, "null");
    default: return number(scan);
    }
}

bool json_strict(const char *text, size_t length)
{
    struct scan scan = {(const unsigned char *)text, (const unsigned char *)text + length};
    blanks(&scan);
    if (!value(&scan, 0))
        return false;
    blanks(&scan);
    return scan.at == scan.end;
}

/* Bytes that are no UTF-8, and the two characters that XML forbids, become question marks: what a port
 * wrote goes into reports whatever it is. */
void text_clean(char *text)
{
    struct scan scan = {(const unsigned char *)text, (const unsigned char *)text + strlen(text)};
    while (scan.at < scan.end) {
        char *here = text + ((const char *)scan.at - text);
        bool good = (unsigned char)*here < 0x80;
        if (good)
            scan.at++;
        else
            good = character(&scan) && strncmp(here, "\xef\xbf\xbe", 3) != 0 &&
                   strncmp(here, "\xef\xbf\xbf", 3) != 0;
        if (!good) {
            *here = '?';
            scan.at = (const unsigned char *)here + 1;
        }
    }
}

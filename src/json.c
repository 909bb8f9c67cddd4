/* SPDX-License-Identifier: MIT */
#include "json.h"
#include "check.h"
#include "json_number.h"
#include "json_text.h"

#include <string.h>

/* ------------------------------------------------------------------------------------------------
 * The scanner: one pass, no recursion. Its functions take the place they read at and return the
 * place behind what they read, or null once the text is refused.
 */

/** Members are remembered of the containers on the levels 1 and 2 only. */
enum { REMEMBERED_LEVELS = 2 };

struct scan {
    const char *end;
    const char *offence;
    size_t depth;
    size_t deepest;
    bool in_object;  /* the innermost open container is an object */
    bool inner_next; /* the key before the value was the inner key */
    const char *inner_key;
    size_t inner_key_length;
    struct shmrpc_members *outer;
    struct shmrpc_members *inner;
    /* The members being remembered of the innermost open container, or null; the place of the one
     * being read, or null; and for the open container on each level what now is while it is the
     * innermost. */
    struct shmrpc_members *now;
    struct shmrpc_member *slot;
    struct shmrpc_members *members[REMEMBERED_LEVELS + 1];
    unsigned char objects[SHMRPC_JSON_DEPTH / 8]; /* one bit a level: 1 object, 0 array */
};

static const char *refuse(struct scan *scan, const char *offence)
{
    INVARIANT(offence != NULL && offence <= scan->end);
    scan->offence = offence;
    return NULL;
}

/** The rest of a string from where its first plain bytes end. */
static const char *scan_string_rest(struct scan *scan, const char *at)
{
    const char *end = scan->end;
    for (;;) {
        if (at == end)
            return refuse(scan, end);
        if (*at == '"')
            return at + 1;
        if (*at == '\\') {
            const char *offence;
            at = shmrpc_json_escape_end(at, end, &offence);
            if (at == NULL)
                return refuse(scan, offence);
        } else if ((unsigned char)*at >= 0x80) {
            /* SRPC-JSON-002 */
            const char *wide = shmrpc_json_wide_end(at, end);
            if (wide == at)
                return refuse(scan, shmrpc_json_utf8_offence(at, end));
            at = wide;
        } else {
            /* SRPC-JSON-001: a control character must be escaped. */
            return refuse(scan, at);
        }
        /* Where one escape follows another there is nothing to search. */
        if (at < end && shmrpc_json_is_plain(*at))
            at = shmrpc_json_plain_end(at, end);
    }
}

static inline const char *scan_string(struct scan *scan, const char *at)
{
    const char *plain = shmrpc_json_plain_end(at + 1, scan->end);
    return plain < scan->end && *plain == '"' ? plain + 1 : scan_string_rest(scan, plain);
}

static inline const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

static const char *scan_number(struct scan *scan, const char *begin)
{
    const char *end = scan->end;
    const char *at = begin + (*begin == '-');
    const char *integer = at;
    bool exponent = false;
    /* SRPC-JSON-001: a zero stands alone. */
    at = at < end && *at == '0' ? at + 1 : skip_digits(at, end);
    if (at == integer)
        return refuse(scan, at);
    size_t digits = (size_t)(at - integer);
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        at = skip_digits(at, end);
        if (at == fraction)
            return refuse(scan, at);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        exponent = true;
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        const char *power = at;
        at = skip_digits(at, end);
        if (at == power)
            return refuse(scan, at);
    }
    /* SRPC-JSON-008: without an exponent, 308 digits before the point always fit. */
    if ((exponent || digits > 308) && !shmrpc_json_number_fits(begin, (size_t)(at - begin)))
        return refuse(scan, begin);
    return at;
}

static const char *scan_literal(struct scan *scan, const char *at, const char *literal)
{
    INVARIANT(*at == *literal);
    for (; *literal != '\0'; literal++, at++)
        if (at == scan->end || *at != *literal)
            return refuse(scan, at);
    return at;
}

static inline void remember_in(struct scan *scan, struct shmrpc_members *members)
{
    scan->now = members;
    scan->slot = members != NULL && members->count < SHMRPC_JSON_REMEMBERED
                     ? &members->list[members->count]
                     : NULL;
}

/** Whose members the container that opens at at has to be remembered as, or null. */
static inline struct shmrpc_members *members_wanted(const struct scan *scan, const char *at)
{
    if (scan->depth == 0)
        return *at == '{' ? scan->outer : NULL;
    return scan->inner_next && *at == '{' ? scan->inner : NULL;
}

static inline const char *scan_open(struct scan *scan, const char *at)
{
    /* SRPC-JSON-007 */
    if (scan->depth == SHMRPC_JSON_DEPTH)
        return refuse(scan, at);
    struct shmrpc_members *members = NULL;
    if (scan->depth < REMEMBERED_LEVELS) {
        members = members_wanted(scan, at);
        scan->members[scan->depth + 1] = members;
        scan->inner_next = false;
        if (members != NULL)
            members->object = (struct shmrpc_value){at, 0, SHMRPC_OBJECT};
    }
    remember_in(scan, members);
    scan->in_object = *at == '{';
    unsigned char bit = (unsigned char)(1u << scan->depth % 8);
    unsigned char *byte = &scan->objects[scan->depth / 8];
    *byte = (unsigned char)(scan->in_object ? *byte | bit : *byte & ~bit);
    scan->depth++;
    if (scan->deepest < scan->depth)
        scan->deepest = scan->depth;
    return shmrpc_json_skip_space(at + 1, scan->end);
}

/** Close the innermost container; at is its closing bracket. */
static inline const char *scan_close(struct scan *scan, const char *at)
{
    at++;
    if (scan->now != NULL)
        scan->now->object.length = (size_t)(at - scan->now->object.text);
    scan->depth--;
    if (scan->depth <= REMEMBERED_LEVELS)
        remember_in(scan, scan->members[scan->depth]);
    scan->in_object = false;
    if (scan->depth > 0) {
        size_t level = scan->depth - 1;
        scan->in_object = (scan->objects[level / 8] >> level % 8 & 1) != 0;
    }
    return at;
}

static inline char closing_bracket(const struct scan *scan)
{
    return scan->in_object ? '}' : ']';
}

/** Read a scalar, an empty container, or the opening bracket of one that is not empty (*opened). */
static inline const char *scan_value(struct scan *scan, const char *at, bool *opened)
{
    *opened = false;
    if (at == scan->end)
        return refuse(scan, at);
    if (scan->inner_next) {
        /* SRPC-JSON-006: this one replaces whatever an earlier duplicate was. */
        scan->inner->object = (struct shmrpc_value){NULL, 0, SHMRPC_NULL};
        scan->inner->count = 0;
    }
    if (scan->slot != NULL) {
        scan->slot->value.text = at;
        scan->slot->value.type = shmrpc_json_type_by_first(*at);
    }
    switch (*at) {
    case '"':
        at = scan_string(scan, at);
        break;
    case '{':
    case '[':
        at = scan_open(scan, at);
        if (at == NULL || at == scan->end || *at != closing_bracket(scan)) {
            *opened = true;
            return at;
        }
        return scan_close(scan, at);
    case 't':
        at = scan_literal(scan, at, "true");
        break;
    case 'f':
        at = scan_literal(scan, at, "false");
        break;
    case 'n':
        at = scan_literal(scan, at, "null");
        break;
    default:
        at = scan_number(scan, at);
        break;
    }
    scan->inner_next = false;
    return at;
}

/** Behind a whole value: close what ends here and step over the comma. Ends with depth 0 behind the
 *  document, else where the next key or value is due. */
static inline const char *scan_behind(struct scan *scan, const char *at)
{
    for (;;) {
        if (scan->now != NULL) {
            if (scan->slot != NULL)
                scan->slot->value.length = (size_t)(at - scan->slot->value.text);
            scan->now->count++;
            remember_in(scan, scan->now);
        }
        if (scan->depth == 0)
            return at;
        at = shmrpc_json_skip_space(at, scan->end);
        if (at == scan->end)
            return refuse(scan, at);
        if (*at == ',')
            return shmrpc_json_skip_space(at + 1, scan->end);
        if (*at != closing_bracket(scan))
            return refuse(scan, at);
        at = scan_close(scan, at);
    }
}

static inline bool is_inner_key(const struct scan *scan, const char *text, size_t length)
{
    /* The first byte tells most other keys apart, and no key is shorter than what it decodes to. */
    if (length < scan->inner_key_length + 2 || (text[1] != *scan->inner_key && text[1] != '\\'))
        return false;
    const struct shmrpc_value key = {text, length, SHMRPC_STRING};
    return shmrpc_json_string_equals(&key, scan->inner_key, scan->inner_key_length);
}

/** Read a key and its colon. */
static inline const char *scan_key(struct scan *scan, const char *at)
{
    if (at == scan->end || *at != '"')
        return refuse(scan, at);
    const char *begin = at;
    at = scan_string(scan, at);
    if (at == NULL)
        return NULL;
    size_t length = (size_t)(at - begin);
    if (scan->slot != NULL) {
        /* Field by field: a copied struct would be loaded before its stores can be forwarded. */
        scan->slot->key.text = begin;
        scan->slot->key.length = length;
        scan->slot->key.type = SHMRPC_STRING;
    }
    if (scan->depth == 1 && scan->inner != NULL)
        scan->inner_next = is_inner_key(scan, begin, length);
    at = shmrpc_json_skip_space(at, scan->end);
    if (at == scan->end || *at != ':')
        return refuse(scan, at);
    return shmrpc_json_skip_space(at + 1, scan->end);
}

/** Read one value with all that is in it. */
static const char *scan_tree(struct scan *scan, const char *at)
{
    INVARIANT(scan->depth == 0);
    do {
        bool opened;
        at = scan_value(scan, at, &opened);
        if (at != NULL && !opened)
            at = scan_behind(scan, at);
        if (at != NULL && scan->in_object)
            at = scan_key(scan, at);
    } while (at != NULL && scan->depth > 0);
    ENSURE(at == NULL || at <= scan->end);
    return at;
}

/** All but the bits of the levels, which scan_open() sets one by one. */
static void scan_init(struct scan *scan, struct shmrpc_members *outer, struct shmrpc_members *inner)
{
    scan->offence = NULL;
    scan->depth = 0;
    scan->deepest = 0;
    scan->in_object = false;
    scan->inner_next = false;
    scan->inner_key = NULL;
    scan->inner_key_length = 0;
    scan->outer = outer;
    scan->inner = inner;
    scan->now = NULL;
    scan->slot = NULL;
    for (size_t i = 0; i <= REMEMBERED_LEVELS; i++)
        scan->members[i] = NULL;
}

static bool scan_document(struct scan *scan, const char *text, size_t length,
                          struct shmrpc_value *root)
{
    REQUIRE(text != NULL || length == 0);
    REQUIRE(root != NULL);
    if (text == NULL)
        text = "";
    scan->end = text + length;
    /* SRPC-JSON-003: a byte order mark is neither white space nor the start of a value. */
    const char *begin = shmrpc_json_skip_space(text, scan->end);
    const char *at = scan_tree(scan, begin);
    if (at == NULL)
        return false;
    /* SRPC-JSON-003, SRPC-JSON-005 */
    const char *rest = shmrpc_json_skip_space(at, scan->end);
    if (rest != scan->end) {
        scan->offence = rest;
        return false;
    }
    *root = (struct shmrpc_value){begin, (size_t)(at - begin), shmrpc_json_type_by_first(*begin)};
    return true;
}

/** Nothing is known of an object; the list itself is left as it is. */
static void members_clear(struct shmrpc_members *members)
{
    if (members == NULL)
        return;
    members->object = (struct shmrpc_value){NULL, 0, SHMRPC_NULL};
    members->count = 0;
}

enum shmrpc_status shmrpc_json_scan(const char *text, size_t length, const char *inner_key,
                                    struct shmrpc_value *root, struct shmrpc_members *outer,
                                    struct shmrpc_members *inner, size_t *error_offset)
{
    REQUIRE(inner == NULL || inner_key != NULL);
    REQUIRE(inner == NULL || inner != outer);
    members_clear(outer);
    members_clear(inner);
    struct scan scan;
    scan_init(&scan, outer, inner);
    if (inner != NULL) {
        scan.inner_key = inner_key;
        scan.inner_key_length = strlen(inner_key);
    }
    if (scan_document(&scan, text, length, root))
        return SHMRPC_OK;
    members_clear(outer);
    members_clear(inner);
    if (error_offset != NULL)
        *error_offset = length - (size_t)(scan.end - scan.offence);
    return SHMRPC_SERIALIZATION;
}

enum shmrpc_status shmrpc_json_levels(const char *text, size_t length, struct shmrpc_value *root,
                                      size_t *levels)
{
    REQUIRE(levels != NULL);
    struct scan scan;
    scan_init(&scan, NULL, NULL);
    if (!scan_document(&scan, text, length, root))
        return SHMRPC_SERIALIZATION;
    *levels = scan.deepest;
    ENSURE(*levels <= SHMRPC_JSON_DEPTH);
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_json_read(const char *text, size_t length, struct shmrpc_value *value,
                                    size_t *error_offset)
{
    return shmrpc_json_scan(text, length, NULL, value, NULL, NULL, error_offset);
}

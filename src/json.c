/* SPDX-License-Identifier: MIT */
#include "json.h"
#include "check.h"
#include "json_number.h"
#include "json_text.h"

/* ------------------------------------------------------------------------------------------------
 * The scanner: one pass, no recursion. Its functions take the place they read at and return the
 * place behind what they read, or null once the text is refused.
 */

struct scan {
    const char *end;
    const char *offence; /* set once the text is refused */
    const char *seen;    /* the block of bytes that was looked at last */
    uint64_t special;    /* one bit for each byte of it that is not plain or not in the text */
    size_t depth;        /* how many containers are open */
    size_t deepest;
    unsigned char objects[SHMRPC_JSON_DEPTH / 8]; /* one bit a level: 1 object, 0 array */
};

/** Ready to read from begin to end. The bits of the levels are set when a container opens. */
static inline void scan_init(struct scan *scan, const char *begin, const char *end)
{
    INVARIANT(begin != NULL);
    INVARIANT(begin <= end);
    scan->end = end;
    scan->offence = NULL;
    scan->seen = begin;
    scan->special = 0;
    scan->depth = 0;
    scan->deepest = 0;
}

static const char *refuse(struct scan *scan, const char *offence)
{
    INVARIANT(scan->offence == NULL);
    INVARIANT(offence != NULL);
    INVARIANT(offence <= scan->end);
    scan->offence = offence;
    return NULL;
}

/** Look at the next block, and on while all is plain. @return as plain_end(). */
static const char *plain_end_far(struct scan *scan, const char *at)
{
    enum { BLOCK = SHMRPC_JSON_BLOCK_BYTES };
    INVARIANT(scan->seen <= at);
    const char *end = scan->end;
    while (at < end) {
        const char *block = at;
        char padded[BLOCK] = {0};
        if (end - at >= BLOCK) {
            scan->seen = at;
        } else if (end - scan->seen >= BLOCK) {
            block = scan->seen = end - BLOCK;
        } else {
            scan->seen = at;
            block = memcpy(padded, at, (size_t)(end - at));
        }
        scan->special = shmrpc_json_block_special(block);
        uint64_t special = scan->special >> (at - scan->seen);
        if (special != 0)
            return at + __builtin_ctzll(special);
        at = scan->seen + BLOCK;
        at += shmrpc_json_plain_blocks(NULL, at, (size_t)(end - at));
    }
    ENSURE(at == end);
    return at;
}

/** The first byte from at on that is not plain, or the end. */
static inline const char *plain_end(struct scan *scan, const char *at)
{
    size_t ahead = (size_t)(at - scan->seen);
    uint64_t special = ahead < SHMRPC_JSON_BLOCK_BYTES ? scan->special >> ahead : 0;
    return special != 0 ? at + __builtin_ctzll(special) : plain_end_far(scan, at);
}

/** The rest of a string from where its first plain bytes end. */
static const char *scan_string_rest(struct scan *scan, const char *at, bool *plain)
{
    INVARIANT(at <= scan->end);
    INVARIANT(plain != NULL);
    const char *end = scan->end;
    for (;;) {
        if (at == end)
            return refuse(scan, end);
        if (*at == '"')
            return at + 1;
        const char *offence = at;
        const char *behind = NULL;
        if (*at == '\\') {
            unsigned code;
            behind = shmrpc_json_escape_end(at, end, &code, &offence);
            *plain = false;
        } else if ((unsigned char)*at >= 0x80) {
            /* SRPC-JSON-002 */
            behind = shmrpc_json_wide_end(at, end, &offence);
        }
        /* SRPC-JSON-001: a control character must be escaped. */
        if (behind == NULL || behind == at)
            return refuse(scan, offence);
        at = plain_end(scan, behind);
    }
}

/** @param plain set to whether the string has no escapes. */
static inline const char *scan_string(struct scan *scan, const char *at, bool *plain)
{
    INVARIANT(at < scan->end);
    *plain = true;
    const char *behind = plain_end(scan, at + 1);
    return behind < scan->end && *behind == '"' ? behind + 1 : scan_string_rest(scan, behind, plain);
}

/** At least one digit. */
static inline const char *scan_digits(struct scan *scan, const char *begin)
{
    INVARIANT(begin <= scan->end);
    const char *at = begin;
    while (at < scan->end && *at >= '0' && *at <= '9')
        at++;
    return at > begin ? at : refuse(scan, at);
}

static const char *scan_number(struct scan *scan, const char *begin)
{
    INVARIANT(begin < scan->end);
    const char *end = scan->end;
    const char *integer = begin + (*begin == '-');
    /* SRPC-JSON-001: a zero stands alone. */
    bool zero = integer < end && *integer == '0';
    const char *at = zero ? integer + 1 : scan_digits(scan, integer);
    size_t digits = at != NULL ? (size_t)(at - integer) : 0;
    if (at != NULL && at < end && *at == '.')
        at = scan_digits(scan, at + 1);
    bool exponent = at != NULL && at < end && (*at == 'e' || *at == 'E');
    if (exponent) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = scan_digits(scan, at);
    }
    /* SRPC-JSON-008: without an exponent, 308 digits before the point always fit. */
    if (at != NULL && (exponent || digits > 308) &&
        !shmrpc_json_number_fits(begin, (size_t)(at - begin)))
        return refuse(scan, begin);
    ENSURE(at == NULL || at > begin);
    return at;
}

static const char *scan_literal(struct scan *scan, const char *at, const char *literal)
{
    INVARIANT(at < scan->end);
    INVARIANT(*at == *literal);
    for (; *literal != '\0'; literal++, at++)
        if (at == scan->end || *at != *literal)
            return refuse(scan, at);
    return at;
}

/** Read what is neither object nor array; of the value, set all but where it stands. */
static inline const char *scan_scalar(struct scan *scan, const char *at, struct shmrpc_value *value)
{
    INVARIANT(at < scan->end);
    INVARIANT(value != NULL);
    value->plain = false;
    switch (*at) {
    case '"':
        value->type = SHMRPC_STRING;
        return scan_string(scan, at, &value->plain);
    case 't':
        value->type = SHMRPC_BOOL;
        return scan_literal(scan, at, "true");
    case 'f':
        value->type = SHMRPC_BOOL;
        return scan_literal(scan, at, "false");
    case 'n':
        value->type = SHMRPC_NULL;
        return scan_literal(scan, at, "null");
    default:
        value->type = SHMRPC_NUMBER;
        return scan_number(scan, at);
    }
}

/** Say where a value stands, if it was not refused (end is null). Field by field: a struct that is
 *  copied is loaded before its stores can be forwarded. */
static inline void describe(struct shmrpc_value *value, const char *begin, const char *end,
                            enum shmrpc_type type, bool plain)
{
    INVARIANT(value != NULL);
    INVARIANT(end == NULL || begin <= end);
    value->text = begin;
    value->length = end != NULL ? (size_t)(end - begin) : 0;
    value->type = type;
    value->plain = plain;
}

/** Read a key and its colon. */
static inline const char *scan_key(struct scan *scan, const char *at, struct shmrpc_value *key)
{
    INVARIANT(at <= scan->end);
    INVARIANT(key != NULL);
    if (at == scan->end || *at != '"')
        return refuse(scan, at);
    const char *behind = scan_string(scan, at, &key->plain);
    if (behind == NULL)
        return NULL;
    describe(key, at, behind, SHMRPC_STRING, key->plain);
    at = shmrpc_json_skip_space(behind, scan->end);
    if (at == scan->end || *at != ':')
        return refuse(scan, at);
    return shmrpc_json_skip_space(at + 1, scan->end);
}

/** Behind a value: step over a comma or a closing bracket. @param more whether it was a comma. */
static inline const char *scan_comma(struct scan *scan, const char *at, char closing, bool *more)
{
    INVARIANT(at <= scan->end);
    INVARIANT(closing == '}' || closing == ']');
    at = shmrpc_json_skip_space(at, scan->end);
    if (at == scan->end || (*at != ',' && *at != closing))
        return refuse(scan, at);
    *more = *at == ',';
    return *more ? shmrpc_json_skip_space(at + 1, scan->end) : at + 1;
}

/** Step over an opening bracket, and over the closing one of an empty container (*more is false). */
static inline const char *scan_open(struct scan *scan, const char *at, bool *more)
{
    INVARIANT(at < scan->end);
    INVARIANT(*at == '{' || *at == '[');
    /* SRPC-JSON-007 */
    if (scan->depth == SHMRPC_JSON_DEPTH)
        return refuse(scan, at);
    char closing = *at == '{' ? '}' : ']';
    shmrpc_json_level_set(scan->objects, scan->depth++, *at == '{');
    if (scan->deepest < scan->depth)
        scan->deepest = scan->depth;
    at = shmrpc_json_skip_space(at + 1, scan->end);
    *more = at == scan->end || *at != closing;
    return *more ? at : at + 1;
}

/** Read one value with all that is in it. */
static const char *scan_tree(struct scan *scan, const char *at)
{
    INVARIANT(scan->depth <= SHMRPC_JSON_DEPTH);
    INVARIANT(at <= scan->end);
    size_t outside = scan->depth;
    struct shmrpc_value ignored;
    do {
        bool more = false;
        if (at == scan->end)
            return refuse(scan, at);
        if (*at == '{' || *at == '[') {
            at = scan_open(scan, at, &more);
            scan->depth -= at != NULL && !more;
        } else {
            at = scan_scalar(scan, at, &ignored);
        }
        /* Behind a whole value: close what ends here. */
        while (at != NULL && !more && scan->depth > outside) {
            bool object = shmrpc_json_in_object(scan->objects, scan->depth);
            at = scan_comma(scan, at, object ? '}' : ']', &more);
            scan->depth -= at != NULL && !more;
        }
        if (at != NULL && more && shmrpc_json_in_object(scan->objects, scan->depth))
            at = scan_key(scan, at, &ignored);
    } while (at != NULL && scan->depth > outside);
    ENSURE(at == NULL || scan->depth == outside);
    ENSURE(at == NULL || at <= scan->end);
    return at;
}

/** Read one value with all that is in it and describe it. */
static inline const char *scan_value(struct scan *scan, const char *at, struct shmrpc_value *value)
{
    INVARIANT(at <= scan->end);
    if (at == scan->end)
        return refuse(scan, at);
    const char *begin = at;
    if (*at == '{' || *at == '[') {
        at = scan_tree(scan, at);
        describe(value, begin, at, *begin == '{' ? SHMRPC_OBJECT : SHMRPC_ARRAY, false);
    } else {
        at = scan_scalar(scan, at, value);
        describe(value, begin, at, value->type, value->plain);
    }
    return at;
}

/* ------------------------------------------------------------------------------------------------
 * Documents: the members of the root object, and of one object in it, are remembered.
 */

/** Nothing is known of an object; the list itself is left as it is. */
static void members_clear(struct shmrpc_members *members)
{
    if (members == NULL)
        return;
    describe(&members->object, NULL, NULL, SHMRPC_NULL, false);
    members->count = 0;
}

/** Where the next member goes: into the list, or nowhere once that is full or where there is none. */
static inline struct shmrpc_member *members_next(struct shmrpc_members *members,
                                                 struct shmrpc_member *nowhere)
{
    INVARIANT(nowhere != NULL);
    if (members == NULL)
        return nowhere;
    size_t index = members->count++;
    return index < SHMRPC_JSON_REMEMBERED ? &members->list[index] : nowhere;
}

/** Read the root of the document and remember the members of an object; outer and inner may be
 *  null. The value of an inner key is read by the same loop, if it is an object. */
static const char *scan_root(struct scan *scan, const char *at, struct shmrpc_value *root,
                             struct shmrpc_members *outer, struct shmrpc_members *inner,
                             const char *inner_key)
{
    INVARIANT(scan->depth == 0);
    INVARIANT(at <= scan->end);
    if (at == scan->end || *at != '{')
        return scan_value(scan, at, root);
    size_t inner_length = inner != NULL ? strlen(inner_key) : 0;
    struct shmrpc_members *now = outer; /* of the object that is being read */
    struct shmrpc_member nowhere;
    struct shmrpc_value *inner_value = NULL;
    const char *inner_begin = NULL;
    const char *root_begin = at;
    bool more = false;
    at = scan_open(scan, at, &more);
    for (;;) {
        while (at != NULL && more) {
            struct shmrpc_member *member = members_next(now, &nowhere);
            at = scan_key(scan, at, &member->key);
            bool is_inner = at != NULL && inner != NULL && scan->depth == 1 &&
                            shmrpc_json_key_is(&member->key, inner_key, inner_length);
            /* SRPC-JSON-006: it replaces whatever an earlier duplicate was. */
            if (is_inner)
                members_clear(inner);
            if (is_inner && at < scan->end && *at == '{') {
                now = inner;
                inner_begin = at;
                inner_value = &member->value;
                at = scan_open(scan, at, &more);
                continue;
            }
            if (at != NULL)
                at = scan_value(scan, at, &member->value);
            if (at != NULL)
                at = scan_comma(scan, at, '}', &more);
        }
        if (at == NULL || --scan->depth == 0)
            break;
        describe(inner_value, inner_begin, at, SHMRPC_OBJECT, false);
        describe(&inner->object, inner_begin, at, SHMRPC_OBJECT, false);
        now = outer;
        at = scan_comma(scan, at, '}', &more);
    }
    describe(root, root_begin, at, SHMRPC_OBJECT, false);
    if (outer != NULL)
        describe(&outer->object, root_begin, at, SHMRPC_OBJECT, false);
    ENSURE(at == NULL || scan->depth == 0);
    return at;
}

static bool scan_document(struct scan *scan, const char *text, size_t length,
                          struct shmrpc_value *root, struct shmrpc_members *outer,
                          struct shmrpc_members *inner, const char *inner_key)
{
    REQUIRE(text != NULL || length == 0);
    REQUIRE(length <= PTRDIFF_MAX);
    REQUIRE(root != NULL);
    if (text == NULL)
        text = "";
    scan_init(scan, text, text + length);
    /* SRPC-JSON-003: a byte order mark is neither white space nor the start of a value. */
    const char *at = shmrpc_json_skip_space(text, scan->end);
    struct shmrpc_value value;
    at = scan_root(scan, at, &value, outer, inner, inner_key);
    if (at == NULL)
        return false;
    /* SRPC-JSON-003, SRPC-JSON-005 */
    at = shmrpc_json_skip_space(at, scan->end);
    if (at != scan->end) {
        refuse(scan, at);
        return false;
    }
    describe(root, value.text, value.text + value.length, value.type, value.plain);
    ENSURE(root->length > 0);
    ENSURE(root->length <= length);
    return true;
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
    if (scan_document(&scan, text, length, root, outer, inner, inner_key))
        return SHMRPC_OK;
    members_clear(outer);
    members_clear(inner);
    ENSURE(scan.offence != NULL);
    ENSURE(scan.offence <= scan.end);
    if (error_offset != NULL)
        *error_offset = length - (size_t)(scan.end - scan.offence);
    return SHMRPC_SERIALIZATION;
}

enum shmrpc_status shmrpc_json_levels(const char *text, size_t length, struct shmrpc_value *root,
                                      size_t *levels)
{
    REQUIRE(levels != NULL);
    struct scan scan;
    if (!scan_document(&scan, text, length, root, NULL, NULL, NULL))
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

const char *shmrpc_json_value_end(const char *at, const char *end, struct shmrpc_value *value)
{
    REQUIRE(at != NULL);
    REQUIRE(at <= end);
    REQUIRE(value != NULL);
    struct scan scan;
    scan_init(&scan, at, end);
    return scan_value(&scan, at, value);
}

/* SPDX-License-Identifier: MIT
 *
 * The scanner and the values. Everything runs on texts in blocks of exactly their size, so that the
 * sanitizers see any access beyond them.
 */
#include "support.h"

#include "json.h"
#include "json_number.h"
#include "json_text.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------
 * Tools
 */

struct bytes {
    char *data;
    size_t length;
};

static struct bytes bytes_copy(const char *data, size_t length)
{
    struct bytes copy = {malloc(length > 0 ? length : 1), length};
    assert_non_null(copy.data);
    if (length > 0)
        memcpy(copy.data, data, length);
    return copy;
}

static struct bytes bytes_repeat(const char *head, const char *unit, size_t count, const char *tail)
{
    size_t unit_length = strlen(unit);
    size_t length = strlen(head) + count * unit_length + strlen(tail);
    char *data = malloc(length + 1);
    assert_non_null(data);
    char *at = stpcpy(data, head);
    for (size_t i = 0; i < count; i++, at += unit_length)
        memcpy(at, unit, unit_length);
    strcpy(at, tail);
    return (struct bytes){data, length};
}

struct outcome {
    enum shmrpc_status status;
    size_t offset;
    struct shmrpc_value root;
};

static struct outcome read_once(const char *text, size_t length)
{
    struct outcome outcome = {.offset = SIZE_MAX};
    outcome.status = shmrpc_json_read(text, length, &outcome.root, &outcome.offset);
    if (outcome.status == SHMRPC_OK) {
        assert_int_equal(outcome.offset, SIZE_MAX);
        assert_true(outcome.root.text >= text);
        assert_true(outcome.root.length > 0 && outcome.root.length <= length);
    } else {
        assert_int_equal(outcome.status, SHMRPC_SERIALIZATION);
        assert_null(outcome.root.text);
        assert_true(outcome.offset <= length);
    }
    return outcome;
}

static struct outcome read_copy(const char *text, size_t length)
{
    struct bytes copy = bytes_copy(text, length);
    struct outcome outcome = read_once(copy.data, copy.length);
    free(copy.data);
    return outcome;
}

static void assert_refused_at(const char *text, size_t length, size_t offset)
{
    struct outcome outcome = read_copy(text, length);
    assert_int_equal(outcome.status, SHMRPC_SERIALIZATION);
    assert_int_equal(outcome.offset, offset);
}

/** A value of a text that stays alive, such as a literal. */
static struct shmrpc_value value_of(const char *text)
{
    struct shmrpc_value value;
    assert_int_equal(shmrpc_json_read(text, strlen(text), &value, NULL), SHMRPC_OK);
    return value;
}

static struct bytes decode(const struct shmrpc_value *value)
{
    struct bytes decoded = {malloc(value->length), 0};
    assert_non_null(decoded.data);
    assert_int_equal(
        shmrpc_value_string(value, decoded.data, value->length - 2, &decoded.length), SHMRPC_OK);
    return decoded;
}

static bool is_number_start(char c)
{
    return c == '-' || (c >= '0' && c <= '9');
}

/** The offset named is the first byte that cannot be right: what stands before it is not refused,
 *  or only for being cut off; with that byte it is refused there, whatever follows. */
static void assert_offset_is_first(const char *text, size_t length, size_t offset)
{
    struct outcome before = read_copy(text, offset);
    if (before.status != SHMRPC_OK)
        assert_int_equal(before.offset, offset);
    if (offset == length)
        return;
    struct outcome with = read_copy(text, offset + 1);
    if (is_number_start(text[offset]) && with.offset != offset) {
        /* A number out of range is named by its first byte. */
        char *copy = strndup(text + offset, length - offset);
        assert_non_null(copy);
        if (!isinf(strtod(copy, NULL)))
            fail_msg("refused at %zu: %.*s", offset, (int)length, text);
        free(copy);
        return;
    }
    assert_int_equal(with.status, SHMRPC_SERIALIZATION);
    assert_int_equal(with.offset, offset);
}

/* ------------------------------------------------------------------------------------------------
 * The vectors
 */

static cJSON *vectors;

static int vectors_load(void **state)
{
    (void)state;
    const char *folder = getenv("SHMRPC_VECTORS");
    char path[4096];
    snprintf(path, sizeof path, "%s/json.json", folder != NULL ? folder : "spec/vectors");
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "cannot open %s\n", path);
        return -1;
    }
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    char *text = malloc((size_t)length);
    if (text != NULL && fread(text, 1, (size_t)length, file) == (size_t)length)
        vectors = cJSON_ParseWithLength(text, (size_t)length);
    free(text);
    fclose(file);
    return vectors != NULL ? 0 : -1;
}

static int vectors_unload(void **state)
{
    (void)state;
    cJSON_Delete(vectors);
    return 0;
}

static struct bytes bytes_from_hex(const char *hex)
{
    size_t length = strlen(hex) / 2;
    struct bytes bytes = bytes_copy(hex, length);
    for (size_t i = 0; i < length; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        bytes.data[i] = (char)byte;
    }
    return bytes;
}

static const char *string_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static struct bytes vector_text(const cJSON *vector)
{
    const char *text = string_of(vector, "text");
    if (text != NULL)
        return bytes_copy(text, strlen(text));
    assert_non_null(string_of(vector, "text_hex"));
    return bytes_from_hex(string_of(vector, "text_hex"));
}

static bool vector_ok(const cJSON *vector)
{
    return strcmp(string_of(vector, "verdict"), "ok") == 0;
}

static void check_type(const struct shmrpc_value *value, const char *type)
{
    static const struct {
        const char *name;
        enum shmrpc_type type;
    } types[] = {{"null", SHMRPC_NULL},   {"true", SHMRPC_BOOL},     {"false", SHMRPC_BOOL},
                 {"array", SHMRPC_ARRAY}, {"object", SHMRPC_OBJECT}};
    size_t i = 0;
    while (strcmp(types[i].name, type) != 0)
        assert_true(++i < sizeof types / sizeof *types);
    assert_int_equal(value->type, types[i].type);
    bool truth;
    if (value->type == SHMRPC_BOOL) {
        assert_int_equal(shmrpc_value_bool(value, &truth), SHMRPC_OK);
        assert_int_equal(truth, strcmp(type, "true") == 0);
    }
}

static void check_integer(const struct shmrpc_value *value, const char *decimal)
{
    assert_true(shmrpc_value_is_integer(value));
    int64_t i = -7;
    uint64_t u = 7;
    char text[32];
    bool fits_signed = shmrpc_value_int64(value, &i) == SHMRPC_OK;
    bool fits_unsigned = shmrpc_value_uint64(value, &u) == SHMRPC_OK;
    assert_true(fits_signed || fits_unsigned);
    if (fits_signed) {
        snprintf(text, sizeof text, "%lld", (long long)i);
        assert_string_equal(text, decimal);
    }
    if (fits_unsigned) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)u);
        assert_string_equal(text, decimal);
    }
    assert_int_equal(fits_unsigned, *decimal != '-');
    assert_int_equal(fits_signed, strlen(decimal) < 19 || strtoll(decimal, NULL, 10) != INT64_MAX ||
                                      strcmp(decimal, "9223372036854775807") == 0);
}

static uint64_t bits_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static void check_double(const struct shmrpc_value *value, const char *bits)
{
    double number;
    assert_int_equal(shmrpc_value_double(value, &number), SHMRPC_OK);
    assert_true(bits_of(number) == strtoull(bits, NULL, 16));
    int64_t i;
    uint64_t u;
    assert_int_equal(shmrpc_value_int64(value, &i), SHMRPC_SERIALIZATION);
    assert_int_equal(shmrpc_value_uint64(value, &u), SHMRPC_SERIALIZATION);
}

static void check_string(const struct shmrpc_value *value, const char *hex)
{
    struct bytes expected = bytes_from_hex(hex);
    struct bytes decoded = decode(value);
    assert_int_equal(decoded.length, expected.length);
    assert_memory_equal(decoded.data, expected.data, expected.length);
    assert_true(shmrpc_json_string_equals(value, expected.data, expected.length));
    free(decoded.data);
    free(expected.data);
}

static void check_value(const struct shmrpc_value *value, const cJSON *expected)
{
    const cJSON *only = expected->child;
    if (strcmp(only->string, "type") == 0)
        check_type(value, only->valuestring);
    else if (strcmp(only->string, "integer") == 0)
        check_integer(value, only->valuestring);
    else if (strcmp(only->string, "double") == 0)
        check_double(value, only->valuestring);
    else if (strcmp(only->string, "string_hex") == 0)
        check_string(value, only->valuestring);
    else
        fail_msg("no such kind of value: %s", only->string);
}

static void check_member(const struct shmrpc_value *root, const cJSON *member)
{
    struct bytes key = bytes_from_hex(string_of(member, "key_hex"));
    struct shmrpc_value found;
    assert_int_equal(shmrpc_value_member(root, key.data, key.length, &found), SHMRPC_OK);
    check_value(&found, cJSON_GetObjectItemCaseSensitive(member, "value"));
    struct shmrpc_members outer;
    struct shmrpc_value again;
    assert_int_equal(shmrpc_json_scan(root->text, root->length, NULL, &again, &outer, NULL, NULL),
                     SHMRPC_OK);
    assert_int_equal(shmrpc_members_find(&outer, key.data, key.length, &again), SHMRPC_OK);
    assert_ptr_equal(again.text, found.text);
    assert_int_equal(again.length, found.length);
    assert_int_equal(again.type, found.type);
    free(key.data);
}

static void check_vector(const cJSON *vector)
{
    struct bytes text = vector_text(vector);
    struct outcome outcome = read_once(text.data, text.length);
    const cJSON *offset = cJSON_GetObjectItemCaseSensitive(vector, "error_offset");
    if (vector_ok(vector) != (outcome.status == SHMRPC_OK))
        fail_msg("vector %s: wrong verdict", string_of(vector, "id"));
    if (outcome.status != SHMRPC_OK) {
        assert_int_equal(outcome.offset, (size_t)offset->valuedouble);
        assert_offset_is_first(text.data, text.length, outcome.offset);
        free(text.data);
        return;
    }
    const cJSON *levels = cJSON_GetObjectItemCaseSensitive(vector, "levels");
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(vector, "member");
    check_value(&outcome.root, cJSON_GetObjectItemCaseSensitive(vector, "value"));
    if (member != NULL)
        check_member(&outcome.root, member);
    size_t counted;
    struct shmrpc_value root;
    assert_int_equal(shmrpc_json_levels(text.data, text.length, &root, &counted), SHMRPC_OK);
    if (levels != NULL)
        assert_int_equal(counted, (size_t)levels->valuedouble);
    free(text.data);
}

/** Check the vectors that cite a requirement. */
static void check_vectors_of(const char *id)
{
    size_t checked = 0;
    const cJSON *vector;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItemCaseSensitive(vectors, "texts")) {
        const cJSON *spec;
        bool cites = false;
        cJSON_ArrayForEach(spec, cJSON_GetObjectItemCaseSensitive(vector, "spec"))
            cites = cites || strcmp(spec->valuestring, id) == 0;
        if (!cites)
            continue;
        check_vector(vector);
        checked++;
    }
    assert_true(checked > 0);
}

static void test_SRPC_JSON_001_grammar(void **state)
{
    (void)state;
    check_vectors_of("SRPC-JSON-001");
}

static void test_SRPC_JSON_002_utf8(void **state)
{
    (void)state;
    check_vectors_of("SRPC-JSON-002");
}

static void test_SRPC_JSON_003_byte_order_marks_are_refused(void **state)
{
    (void)state;
    check_vectors_of("SRPC-JSON-003");
}

static void test_SRPC_JSON_004_lone_surrogates_are_refused(void **state)
{
    (void)state;
    check_vectors_of("SRPC-JSON-004");
}

static void test_SRPC_JSON_005_one_value_and_nothing_else(void **state)
{
    (void)state;
    check_vectors_of("SRPC-JSON-005");
}

static void test_SRPC_JSON_006_last_of_duplicates_counts(void **state)
{
    (void)state;
    check_vectors_of("SRPC-JSON-006");
}

static void test_SRPC_JSON_007_levels(void **state)
{
    (void)state;
    check_vectors_of("SRPC-JSON-007");
}

static void test_SRPC_JSON_008_range_of_doubles(void **state)
{
    (void)state;
    check_vectors_of("SRPC-JSON-008");
}

static void test_SRPC_JSON_010_integers_are_exact(void **state)
{
    (void)state;
    check_vectors_of("SRPC-JSON-010");
}

static void test_SRPC_JSON_011_strings_are_exact(void **state)
{
    (void)state;
    check_vectors_of("SRPC-JSON-011");
}

static void test_SRPC_JSON_014_integers_beyond_64_bits_are_doubles(void **state)
{
    (void)state;
    check_vectors_of("SRPC-JSON-014");
}

/* ------------------------------------------------------------------------------------------------
 * Strings, exhaustively
 */

/** How many bytes the one UTF-8 character at the start has, by its definition: gather the bits, then
 *  see whether this is how they would have been encoded. 0 if it is not valid. */
static size_t oracle_character(const unsigned char *p, size_t length)
{
    size_t ones = 0;
    while (ones < 8 && (p[0] & (0x80u >> ones)) != 0)
        ones++;
    if (ones == 0)
        return 1;
    if (ones == 1 || ones > 4 || ones > length)
        return 0;
    uint32_t code = p[0] & (0x7Fu >> ones);
    for (size_t i = 1; i < ones; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        code = code << 6 | (p[i] & 0x3F);
    }
    size_t shortest = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    bool scalar = code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
    return scalar && shortest == ones ? ones : 0;
}

static size_t oracle_prefix(const unsigned char *p, size_t length)
{
    size_t i = 0;
    while (i < length) {
        size_t character = oracle_character(p + i, length - i);
        if (character == 0)
            break;
        i += character;
    }
    return i;
}

static bool is_plain_or_wide(unsigned char byte)
{
    return byte >= 0x20 && byte != '"' && byte != '\\';
}

/** quoted: the sequence between two quotes, in a block of its size. */
static void check_sequence(const unsigned char *quoted, size_t length)
{
    size_t prefix = oracle_prefix(quoted + 1, length);
    const char *sequence = (const char *)quoted + 1;
    if (shmrpc_json_utf8_prefix(sequence, length) != prefix)
        fail_msg("wrong prefix of %02x %02x", quoted[1], quoted[2]);
    for (size_t i = 1; i <= length; i++)
        if (!is_plain_or_wide(quoted[i]))
            return;
    struct shmrpc_value root;
    bool ok = shmrpc_json_read((const char *)quoted, length + 2, &root, NULL) == SHMRPC_OK;
    if (ok != (prefix == length))
        fail_msg("wrong verdict on %02x %02x", quoted[1], quoted[2]);
}

static const unsigned char border_bytes[] = {0x00, 0x22, 0x41, 0x5C, 0x7F, 0x80, 0x8F, 0x90,
                                             0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xED, 0xF4, 0xFF};

static void check_sequences_of_three(unsigned char *quoted)
{
    size_t borders = support_under_valgrind() ? sizeof border_bytes : 0;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++)
            for (unsigned c = 0; c < (borders > 0 ? borders : 256); c++) {
                quoted[1] = (unsigned char)a;
                quoted[2] = (unsigned char)b;
                quoted[3] = borders > 0 ? border_bytes[c] : (unsigned char)c;
                check_sequence(quoted, 3);
            }
}

static void check_sequences_of_four(unsigned char *quoted)
{
    static const unsigned char leads[] = {0x41, 0x80, 0xC2, 0xE0, 0xEF, 0xF0, 0xF1,
                                          0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFF};
    for (size_t a = 0; a < sizeof leads; a++)
        for (unsigned b = 0; b < 256; b++)
            for (size_t c = 0; c < sizeof border_bytes; c++)
                for (size_t d = 0; d < sizeof border_bytes; d++) {
                    quoted[1] = leads[a];
                    quoted[2] = (unsigned char)b;
                    quoted[3] = border_bytes[c];
                    quoted[4] = border_bytes[d];
                    check_sequence(quoted, 4);
                }
}

static void test_SRPC_JSON_002_every_short_sequence(void **state)
{
    (void)state;
    struct bytes blocks[5];
    for (size_t n = 1; n <= 4; n++) {
        blocks[n] = bytes_copy("\"----\"", n + 2);
        blocks[n].data[n + 1] = '"';
    }
    for (unsigned a = 0; a < 256; a++) {
        blocks[1].data[1] = (char)a;
        check_sequence((unsigned char *)blocks[1].data, 1);
        for (unsigned b = 0; b < 256; b++) {
            blocks[2].data[1] = (char)a;
            blocks[2].data[2] = (char)b;
            check_sequence((unsigned char *)blocks[2].data, 2);
        }
    }
    check_sequences_of_three((unsigned char *)blocks[3].data);
    check_sequences_of_four((unsigned char *)blocks[4].data);
    for (size_t n = 1; n <= 4; n++)
        free(blocks[n].data);
}

/** Where a string of plain bytes with that one byte at offset at is refused. */
static size_t special_offset(unsigned char special, size_t at, size_t length)
{
    bool last = at + 1 == length;
    switch (special) {
    case '"': /* ends the string; the next byte is one too many */
        return at + 2;
    case '\\': /* escapes what follows: the closing quote, then the end is missing; or an x */
        return last ? length + 2 : at + 2;
    case 0xC3: /* a character cut off by what follows */
        return at + 2;
    default:
        return at + 1;
    }
}

static void test_SRPC_JSON_001_special_byte_at_every_offset(void **state)
{
    (void)state;
    static const unsigned char specials[] = {'"', '\\', 0x00, 0x1F, '\n', 0x80, 0xC3, 0xFF};
    char text[140];
    for (size_t length = 1; length <= 131; length++)
        for (size_t at = 0; at < length; at++)
            for (size_t s = 0; s < sizeof specials; s++) {
                memset(text, 'x', sizeof text);
                text[0] = '"';
                text[1 + at] = (char)specials[s];
                text[1 + length] = '"';
                assert_refused_at(text, length + 2, special_offset(specials[s], at, length));
            }
}

static void test_SRPC_JSON_011_two_byte_character_at_every_offset(void **state)
{
    (void)state;
    char text[140];
    for (size_t length = 2; length <= 131; length++)
        for (size_t at = 0; at + 2 <= length; at++) {
            memset(text, 'x', sizeof text);
            text[0] = '"';
            memcpy(text + 1 + at, "\xC3\xA4", 2);
            text[1 + length] = '"';
            struct bytes copy = bytes_copy(text, length + 2);
            struct outcome outcome = read_once(copy.data, copy.length);
            assert_int_equal(outcome.status, SHMRPC_OK);
            const char *view;
            size_t view_length;
            assert_int_equal(shmrpc_value_string_view(&outcome.root, &view, &view_length),
                             SHMRPC_OK);
            assert_ptr_equal(view, copy.data + 1);
            assert_int_equal(view_length, length);
            free(copy.data);
        }
}

static void test_SRPC_JSON_001_open_string_of_every_length(void **state)
{
    (void)state;
    char text[200];
    memset(text, 'x', sizeof text);
    text[0] = '"';
    for (size_t length = 1; length <= sizeof text; length++)
        assert_refused_at(text, length, length);
}

static void test_SRPC_JSON_004_every_escaped_code_unit(void **state)
{
    (void)state;
    for (unsigned code = 0; code <= 0xFFFF; code++) {
        char text[16];
        int length = snprintf(text, sizeof text, "\"\\u%04x\"", code);
        struct bytes copy = bytes_copy(text, (size_t)length);
        struct outcome outcome = read_once(copy.data, copy.length);
        bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        assert_int_equal(outcome.status, surrogate ? SHMRPC_SERIALIZATION : SHMRPC_OK);
        if (!surrogate) {
            struct bytes decoded = decode(&outcome.root);
            assert_int_equal(oracle_character((unsigned char *)decoded.data, decoded.length),
                             decoded.length);
            assert_int_equal(decoded.length, code < 0x80 ? 1 : code < 0x800 ? 2 : 3);
            free(decoded.data);
        }
        free(copy.data);
    }
}

static void test_SRPC_JSON_011_every_surrogate_pair(void **state)
{
    (void)state;
    unsigned step = support_under_valgrind() ? 97 : 1;
    for (unsigned code = 0x10000; code <= 0x10FFFF; code += step) {
        char text[20];
        unsigned high = 0xD800 + ((code - 0x10000) >> 10);
        unsigned low = 0xDC00 + (code & 0x3FF);
        snprintf(text, sizeof text, "\"\\u%04X\\u%04x\"", high, low);
        struct shmrpc_value value;
        assert_int_equal(shmrpc_json_read(text, 14, &value, NULL), SHMRPC_OK);
        unsigned char utf8[12];
        size_t length;
        assert_int_equal(shmrpc_value_string(&value, (char *)utf8, sizeof utf8, &length),
                         SHMRPC_OK);
        assert_int_equal(length, 4);
        assert_int_equal(oracle_character(utf8, 4), 4);
        unsigned back = (utf8[0] & 7u) << 18 | (utf8[1] & 0x3Fu) << 12 | (utf8[2] & 0x3Fu) << 6 |
                        (utf8[3] & 0x3Fu);
        assert_int_equal(back, code);
    }
}

/* ------------------------------------------------------------------------------------------------
 * Cut, mutated and large texts
 */

static void test_SRPC_JSON_001_every_truncation_is_refused(void **state)
{
    (void)state;
    const cJSON *vector;
    size_t cut = 0;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItemCaseSensitive(vectors, "texts")) {
        struct bytes text = vector_text(vector);
        struct outcome whole = read_once(text.data, text.length);
        bool closed = whole.status == SHMRPC_OK && whole.root.type >= SHMRPC_STRING;
        if (closed && text.length <= 3000) {
            size_t end = (size_t)(whole.root.text - text.data) + whole.root.length;
            for (size_t length = 0; length < end; length++)
                assert_refused_at(text.data, length, length);
            cut++;
        }
        free(text.data);
    }
    assert_true(cut >= 20);
}

static void check_accepted_by_cjson(const struct shmrpc_value *root)
{
    size_t levels;
    struct shmrpc_value again;
    assert_int_equal(shmrpc_json_levels(root->text, root->length, &again, &levels), SHMRPC_OK);
    if (levels >= CJSON_NESTING_LIMIT)
        return;
    const char *end;
    cJSON *tree = cJSON_ParseWithLengthOpts(root->text, root->length, &end, false);
    assert_non_null(tree);
    assert_ptr_equal(end, root->text + root->length);
    cJSON_Delete(tree);
}

static void mutate(struct bytes *text)
{
    static const char likely[] = "\"\\{}[],:0123456789.-+eEtrufalsn \t\n\x80\xC3\xA4\xF0\x9F";
    size_t changes = 1 + support_random_below(3);
    for (size_t i = 0; i < changes && text->length > 0; i++) {
        size_t at = support_random_below(text->length);
        switch (support_random_below(4)) {
        case 0:
            text->data[at] = (char)support_random();
            break;
        case 1:
            text->data[at] = likely[support_random_below(sizeof likely - 1)];
            break;
        case 2: /* drop one */
            memmove(text->data + at, text->data + at + 1, text->length - at - 1);
            text->length--;
            break;
        default: /* swap two */
            text->data[at] = text->data[support_random_below(text->length)];
            break;
        }
    }
}

static void test_SRPC_JSON_001_mutations_get_one_verdict(void **state)
{
    (void)state;
    const cJSON *vector;
    size_t accepted = 0, refused = 0;
    int rounds = support_under_valgrind() ? 5 : 200;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItemCaseSensitive(vectors, "texts")) {
        struct bytes original = vector_text(vector);
        for (int i = 0; i < rounds && original.length < 1000; i++) {
            struct bytes text = bytes_copy(original.data, original.length);
            mutate(&text);
            struct bytes exact = bytes_copy(text.data, text.length);
            struct outcome outcome = read_once(exact.data, exact.length);
            if (outcome.status == SHMRPC_OK) {
                check_accepted_by_cjson(&outcome.root);
                accepted++;
            } else {
                assert_offset_is_first(exact.data, exact.length, outcome.offset);
                refused++;
            }
            free(exact.data);
            free(text.data);
        }
        free(original.data);
    }
    assert_true(accepted > 100 && refused > 100);
}

/** Inputs that would take hours if any part of the reader were quadratic; the limit on the whole
 *  program is what fails then. */
static void test_time_is_linear_on_hostile_texts(void **state)
{
    (void)state;
    static const struct {
        const char *head, *unit, *tail;
    } hostile[] = {
        {"{\"params\":0", ",\"params\":{\"a\":1}", "}"},
        {"{\"params\":{\"a\":0", ",\"a\":1", "}}"},
        {"{\"a\":0", ",\"p\\u0061rams\":1", "}"},
        {"[", "[],", "0]"},
        {"[", "[[[[[[[[]]]]]]]],", "0]"},
        {"\"", "\\n", "\""},
        {"\"", "\\ud83d\\ude00", "\""},
        {"\"", "\xC3\xA4", "\""},
        {"\"", "a\xC3\xA4", "\""},
        {"", " ", "1"},
        {"[", "1e308,", "0]"},
        {"0.", "0", "1"},
        {"1.", "7", ""},
        {"1", "0", "e-999999"},
        {"1e-", "9", ""},
        {"{\"", "k", "\":1}"},
    };
    size_t total = support_under_valgrind() ? 100 * 1000 : 8 * 1000 * 1000;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct bytes text = bytes_repeat(hostile[i].head, hostile[i].unit,
                                         total / strlen(hostile[i].unit), hostile[i].tail);
        struct shmrpc_value root, found;
        struct shmrpc_members outer, inner;
        size_t offset = 0;
        enum shmrpc_status status = shmrpc_json_scan(text.data, text.length, "params", &root,
                                                     &outer, &inner, &offset);
        /* A one with so many zeros that e-999999 does not bring it back into range. */
        bool too_large = *hostile[i].tail == 'e' && text.length > 1001000;
        assert_int_equal(status, too_large ? SHMRPC_SERIALIZATION : SHMRPC_OK);
        if (status == SHMRPC_OK) {
            double number;
            support_ignore(shmrpc_members_find(&outer, "params", 6, &found));
            support_ignore(shmrpc_members_find(&inner, "a", 1, &found));
            support_ignore(shmrpc_value_member(&root, "none", 4, &found));
            support_ignore(shmrpc_value_double(&root, &number));
            support_ignore(shmrpc_json_string_equals(&root, "none", 4));
        }
        free(text.data);
    }
}

/* ------------------------------------------------------------------------------------------------
 * Members
 */

static struct shmrpc_members outer_members, inner_members;

static void scan_params(const char *text)
{
    struct shmrpc_value root;
    assert_int_equal(shmrpc_json_scan(text, strlen(text), "params", &root, &outer_members,
                                      &inner_members, NULL),
                     SHMRPC_OK);
    assert_int_equal(outer_members.object.length, root.type == SHMRPC_OBJECT ? root.length : 0);
}

static void assert_found(const struct shmrpc_members *members, const char *key, const char *text)
{
    struct shmrpc_value value;
    assert_int_equal(shmrpc_members_find(members, key, strlen(key), &value), SHMRPC_OK);
    assert_int_equal(value.length, strlen(text));
    assert_memory_equal(value.text, text, value.length);
    assert_int_equal(value.type, value_of(text).type);
}

static void assert_not_found(const struct shmrpc_members *members, const char *key)
{
    struct shmrpc_value value = {"untouched", 9, SHMRPC_NULL, false};
    assert_int_equal(shmrpc_members_find(members, key, strlen(key), &value), SHMRPC_NOT_FOUND);
    assert_string_equal(value.text, "untouched");
}

static void test_members_are_remembered(void **state)
{
    (void)state;
    scan_params(" { \"id\" : \"x\" , \"params\" : {\"a\":[1,{\"z\":2}],\"b\":{}, \"c\":null } } ");
    assert_int_equal(outer_members.count, 2);
    assert_found(&outer_members, "id", "\"x\"");
    assert_found(&outer_members, "params", "{\"a\":[1,{\"z\":2}],\"b\":{}, \"c\":null }");
    assert_int_equal(inner_members.count, 3);
    assert_int_equal(inner_members.object.type, SHMRPC_OBJECT);
    assert_found(&inner_members, "a", "[1,{\"z\":2}]");
    assert_found(&inner_members, "b", "{}");
    assert_found(&inner_members, "c", "null");
    assert_not_found(&inner_members, "z");
    assert_not_found(&outer_members, "a");
    assert_not_found(&outer_members, "");
}

static void test_members_of_roots_that_are_no_objects(void **state)
{
    (void)state;
    static const char *const texts[] = {"[{\"params\":{\"a\":1}}]", "1", "\"params\"", "[]", "{}",
                                        "{\"x\":{\"params\":{\"a\":1}}}", "{\"params\":[{\"a\":1}]}",
                                        "{\"param\":{\"a\":1},\"paramss\":{\"a\":1}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        scan_params(texts[i]);
        assert_int_equal(inner_members.object.length, 0);
        assert_int_equal(inner_members.count, 0);
        assert_not_found(&inner_members, "a");
    }
}

static void test_SRPC_JSON_006_last_inner_object_replaces_earlier_ones(void **state)
{
    (void)state;
    scan_params("{\"params\":{\"a\":1,\"b\":2},\"params\":{\"b\":3}}");
    assert_int_equal(inner_members.count, 1);
    assert_not_found(&inner_members, "a");
    assert_found(&inner_members, "b", "3");
    assert_found(&outer_members, "params", "{\"b\":3}");
    scan_params("{\"params\":{\"a\":1},\"p\\u0061rams\":{\"a\":2}}");
    assert_found(&inner_members, "a", "2");
    scan_params("{\"\\u0070arams\":{\"a\":1}}");
    assert_found(&inner_members, "a", "1");
    scan_params("{\"params\":{\"a\":1},\"params\":7,\"x\":{\"a\":9}}");
    assert_int_equal(inner_members.object.length, 0);
    assert_not_found(&inner_members, "a");
    scan_params("{\"params\":{\"a\":1},\"params\":[{\"a\":2}]}");
    assert_int_equal(inner_members.object.length, 0);
    scan_params("{\"params\":{\"a\":1},\"params\":{}}");
    assert_int_equal(inner_members.object.length, 2);
    assert_int_equal(inner_members.count, 0);
    scan_params("{\"params\":{\"params\":{\"a\":1}}}");
    assert_found(&inner_members, "params", "{\"a\":1}");
}

/** An object of count members k0 .. with their numbers as values, the key twice doubled. */
static void write_many(char *text, size_t count, size_t doubled)
{
    char *at = text + sprintf(text, "{\"params\":{");
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, "%s\"k%zu\": %zu", i > 0 ? " , " : "", i, i);
    sprintf(at, ",\"k%zu\":-1}}", doubled);
}

static void test_SRPC_JSON_006_more_members_than_are_remembered(void **state)
{
    (void)state;
    char text[4000];
    for (size_t count = 1; count < 40; count++)
        for (size_t doubled = 0; doubled < count; doubled++) {
            write_many(text, count, doubled);
            scan_params(text);
            assert_int_equal(inner_members.count, count + 1);
            for (size_t i = 0; i < count; i++) {
                char key[8], expected[8];
                snprintf(key, sizeof key, "k%zu", i);
                snprintf(expected, sizeof expected, "%zu", i);
                assert_found(&inner_members, key, i == doubled ? "-1" : expected);
            }
            assert_not_found(&inner_members, "k");
        }
}

static void test_scan_without_places_for_members(void **state)
{
    (void)state;
    const char *text = "{\"params\":{\"a\":1}}";
    struct shmrpc_value root;
    assert_int_equal(shmrpc_json_scan(text, strlen(text), "params", &root, NULL, &inner_members,
                                      NULL),
                     SHMRPC_OK);
    assert_found(&inner_members, "a", "1");
    assert_int_equal(shmrpc_json_scan(text, strlen(text), NULL, &root, NULL, NULL, NULL),
                     SHMRPC_OK);
    assert_int_equal(root.length, strlen(text));
    assert_int_equal(shmrpc_json_scan(text, 17, "params", &root, &outer_members, &inner_members,
                                      NULL),
                     SHMRPC_SERIALIZATION);
    assert_int_equal(outer_members.count + inner_members.count, 0);
    assert_int_equal(outer_members.object.length + inner_members.object.length, 0);
    assert_int_equal(shmrpc_json_read(NULL, 0, &root, NULL), SHMRPC_SERIALIZATION);
}

/* ------------------------------------------------------------------------------------------------
 * Values
 */

static void test_wrong_types_are_errors(void **state)
{
    (void)state;
    static const char *const texts[] = {"null", "true", "1.5", "\"s\"", "[1]", "{\"a\":1}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct shmrpc_value value = value_of(texts[i]);
        assert_int_equal(value.type, (enum shmrpc_type)i);
        enum shmrpc_type type = value.type;
        bool truth;
        int64_t i64;
        uint64_t u64;
        double number;
        char buffer[8];
        const char *view;
        size_t length;
        struct shmrpc_value member;
        struct shmrpc_iterator iterator;
#define EXPECT(call, wanted)                                                                       \
    assert_int_equal((call), type == (wanted) ? SHMRPC_OK : SHMRPC_SERIALIZATION)
        EXPECT(shmrpc_value_bool(&value, &truth), SHMRPC_BOOL);
        EXPECT(shmrpc_value_double(&value, &number), SHMRPC_NUMBER);
        EXPECT(shmrpc_value_string(&value, buffer, sizeof buffer, &length), SHMRPC_STRING);
        EXPECT(shmrpc_value_string_view(&value, &view, &length), SHMRPC_STRING);
        EXPECT(shmrpc_value_member(&value, "a", 1, &member), SHMRPC_OBJECT);
#undef EXPECT
        assert_int_equal(shmrpc_value_int64(&value, &i64), SHMRPC_SERIALIZATION);
        assert_int_equal(shmrpc_value_uint64(&value, &u64), SHMRPC_SERIALIZATION);
        assert_false(shmrpc_value_is_integer(&value));
        assert_int_equal(shmrpc_value_iterate(&value, &iterator),
                         type >= SHMRPC_ARRAY ? SHMRPC_OK : SHMRPC_SERIALIZATION);
        assert_int_equal(shmrpc_json_string_equals(&value, "s", 1), type == SHMRPC_STRING);
    }
}

static void test_strings_into_every_capacity(void **state)
{
    (void)state;
    const char *text = "\"plain \xC3\xA4\xF0\x9F\x98\x80 \\u0000\\ud83d\\ude00\\n tail tail tail!\"";
    static const char expected[] = "plain \xC3\xA4\xF0\x9F\x98\x80 \0\xF0\x9F\x98\x80\n "
                                   "tail tail tail!";
    struct shmrpc_value value = value_of(text);
    for (size_t capacity = 0; capacity <= sizeof expected + 1; capacity++) {
        char *buffer = capacity > 0 ? malloc(capacity) : NULL;
        size_t length = SIZE_MAX;
        enum shmrpc_status status = shmrpc_value_string(&value, buffer, capacity, &length);
        if (capacity < sizeof expected - 1) {
            assert_int_equal(status, SHMRPC_TOO_LARGE);
            assert_int_equal(length, SIZE_MAX);
        } else {
            assert_int_equal(status, SHMRPC_OK);
            assert_int_equal(length, sizeof expected - 1);
            assert_memory_equal(buffer, expected, length);
        }
        free(buffer);
    }
    const char *view;
    size_t length;
    assert_int_equal(shmrpc_value_string_view(&value, &view, &length), SHMRPC_SERIALIZATION);
}

static void test_string_equality_compares_what_is_meant(void **state)
{
    (void)state;
    static const struct {
        const char *text, *data;
        size_t length;
        bool equal;
    } cases[] = {
        {"\"\"", "", 0, true},         {"\"\"", NULL, 0, true},
        {"\"a\"", "", 0, false},       {"\"a\"", "a", 1, true},
        {"\"a\"", "b", 1, false},      {"\"a\"", "ab", 2, false},
        {"\"ab\"", "a", 1, false},     {"\"\\n\"", "\n", 1, true},
        {"\"\\n\"", "\\n", 2, false},  {"\"\\u0061b\"", "ab", 2, true},
        {"\"\\u0061b\"", "aB", 2, false}, {"\"\\u0061\"", "ab", 2, false},
        {"\"\\u0061bc\"", "ab", 2, false}, {"\"\\u0000\"", "\0", 1, true},
        {"\"\\u00e4\"", "\xC3\xA4", 2, true}, {"\"\\u00e4\"", "\xC3", 1, false},
        {"\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80", 4, true},
        {"\"aaaaaaaaaaaaaaaaaaaa\"", "aa", 2, false},
        {"\"\\u0061aaaaaaa\"", "aa", 2, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct shmrpc_value value = value_of(cases[i].text);
        assert_int_equal(shmrpc_json_string_equals(&value, cases[i].data, cases[i].length),
                         cases[i].equal);
    }
    /* Nobody validated this one: it equals nothing. */
    const struct shmrpc_value no_escape = {"\"\\q1\"", 5, SHMRPC_STRING, false};
    assert_false(shmrpc_json_string_equals(&no_escape, "q", 1));
}

static void test_iterators_walk_in_order(void **state)
{
    (void)state;
    struct shmrpc_value array = value_of("[ 1 ,\"],[\", {\"a\":[2]} ,[ ] , true]");
    static const char *const elements[] = {"1", "\"],[\"", "{\"a\":[2]}", "[ ]", "true"};
    struct shmrpc_iterator iterator;
    struct shmrpc_value key = {"untouched", 9, SHMRPC_NULL, false}, value;
    assert_int_equal(shmrpc_value_iterate(&array, &iterator), SHMRPC_OK);
    for (size_t i = 0; i < 5; i++) {
        assert_true(shmrpc_iterator_next(&iterator, &key, &value));
        assert_int_equal(value.length, strlen(elements[i]));
        assert_memory_equal(value.text, elements[i], value.length);
        assert_string_equal(key.text, "untouched");
    }
    struct shmrpc_value last = value;
    assert_false(shmrpc_iterator_next(&iterator, &key, &value));
    assert_false(shmrpc_iterator_next(&iterator, &key, &value));
    assert_ptr_equal(value.text, last.text);

    struct shmrpc_value object = value_of("{\"a\\\"\" : 1,\"\":{\"x\":\"}\"} }");
    assert_int_equal(shmrpc_value_iterate(&object, &iterator), SHMRPC_OK);
    assert_true(shmrpc_iterator_next(&iterator, &key, &value));
    assert_true(shmrpc_json_string_equals(&key, "a\"", 2));
    assert_int_equal(value.type, SHMRPC_NUMBER);
    assert_true(shmrpc_iterator_next(&iterator, NULL, &value));
    assert_memory_equal(value.text, "{\"x\":\"}\"}", value.length);
    assert_false(shmrpc_iterator_next(&iterator, &key, &value));
}

/** Values over bytes that nobody validated: any answer will do, but it ends and stays inside. */
static void test_values_of_unvalidated_bytes_stay_inside(void **state)
{
    (void)state;
    static const char likely[] = "\"\"\\\\{}[],:01.eu\x80\xF0";
    int rounds = support_under_valgrind() ? 2000 : 100000;
    for (int round = 0; round < rounds; round++) {
        size_t length = support_random_below(24);
        struct bytes text = bytes_copy("                        ", length);
        for (size_t i = 0; i < length; i++)
            text.data[i] = likely[support_random_below(sizeof likely - 1)];
        for (int type = SHMRPC_NULL; type <= SHMRPC_OBJECT; type++) {
            struct shmrpc_value value = {text.data, length, (enum shmrpc_type)type, false};
            struct shmrpc_value key, element;
            struct shmrpc_iterator iterator;
            bool truth;
            int64_t i64;
            uint64_t u64;
            double number;
            char *buffer = malloc(24);
            const char *view;
            size_t used;
            support_ignore(shmrpc_value_bool(&value, &truth));
            support_ignore(shmrpc_value_int64(&value, &i64));
            support_ignore(shmrpc_value_uint64(&value, &u64));
            support_ignore(shmrpc_value_double(&value, &number));
            support_ignore(shmrpc_value_is_integer(&value));
            support_ignore(shmrpc_value_string_view(&value, &view, &used));
            if (shmrpc_value_string(&value, buffer, 24, &used) == SHMRPC_OK)
                assert_true(used <= length);
            support_ignore(shmrpc_value_member(&value, "0", 1, &element));
            if (shmrpc_value_iterate(&value, &iterator) == SHMRPC_OK) {
                size_t elements = 0;
                while (shmrpc_iterator_next(&iterator, &key, &element))
                    assert_true(++elements <= length);
            }
            free(buffer);
        }
        free(text.data);
    }
}

/* ------------------------------------------------------------------------------------------------
 * Numbers against the C library
 */

static void check_number(const char *text)
{
    /* The test itself runs in the C locale, where strtod() reads JSON numbers of any length. */
    double expected = strtod(text, NULL);
    struct outcome outcome = read_copy(text, strlen(text));
    if (isinf(expected)) {
        assert_int_equal(outcome.status, SHMRPC_SERIALIZATION);
        assert_int_equal(outcome.offset, 0);
        return;
    }
    assert_int_equal(outcome.status, SHMRPC_OK);
    struct shmrpc_value value = {text, strlen(text), SHMRPC_NUMBER, false};
    double number;
    assert_int_equal(shmrpc_value_double(&value, &number), SHMRPC_OK);
    if (bits_of(number) != bits_of(expected) && !(number == 0 && expected == 0))
        fail_msg("%s reads as %a instead of %a", text, number, expected);
    assert_int_equal(signbit(number) != 0, signbit(expected) != 0);
}

static void test_SRPC_JSON_008_random_numbers_read_as_strtod_does(void **state)
{
    (void)state;
    static char text[4000];
    int rounds = support_under_valgrind() ? 300 : 20000;
    for (int round = 0; round < rounds; round++) {
        char *at = text;
        if (support_random_below(2) == 0)
            *at++ = '-';
        size_t integer = 1 + support_random_below(round % 10 == 0 ? 1200 : 20);
        for (size_t i = 0; i < integer; i++)
            *at++ = (char)('0' + support_random_below(10));
        char *first = text + (*text == '-');
        if (integer > 1 && *first == '0')
            *first = '7';
        size_t fraction = support_random_below(round % 7 == 0 ? 1500 : 20);
        if (fraction > 0)
            *at++ = '.';
        bool zeros = support_random_below(3) == 0;
        for (size_t i = 0; i < fraction; i++)
            *at++ = (char)('0' + (zeros && i + 1 < fraction ? 0 : support_random_below(10)));
        if (support_random_below(2) == 0)
            at += sprintf(at, "e%d", (int)support_random_below(1400) - 700);
        *at = '\0';
        check_number(text);
    }
}

/** Exactly between two doubles, just below and just above, written out in full. */
static void test_SRPC_JSON_008_ties_are_broken_by_the_last_digit(void **state)
{
    (void)state;
    static char text[2400];
    int rounds = support_under_valgrind() ? 100 : 3000;
    for (int round = 0; round < rounds; round++) {
        uint64_t bits = support_random() & ~(UINT64_C(1) << 63);
        if (round % 4 == 0)
            bits &= UINT64_C(0x000FFFFFFFFFFFFF); /* subnormal: the longest expansions */
        double low;
        memcpy(&low, &bits, sizeof low);
        if (!isfinite(low) || low > 1e300)
            continue;
        /* The long double has the bits to stand halfway, and printf() writes it out exactly. */
        long double half = ((long double)low + (long double)nextafter(low, INFINITY)) / 2;
        snprintf(text, 2000, "%.1100Le", half);
        check_number(text);
        char *e = strchr(text, 'e');
        assert_non_null(e);
        char exponent[16];
        snprintf(exponent, sizeof exponent, "%s", e);
        e[-1] = '1';
        check_number(text);
        snprintf(e, 400, "%0300d1%s", 0, exponent);
        check_number(text);
    }
}

static void test_SRPC_JSON_010_integers_near_the_limits(void **state)
{
    (void)state;
    static const char *const ends[] = {"9223372036854775807", "9223372036854775808",
                                       "18446744073709551615", "4294967295", "9007199254740993"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        uint64_t end = strtoull(ends[i], NULL, 10);
        for (uint64_t value = end - 20; value - (end - 20) <= 40 && value >= end - 20; value++) {
            char text[32];
            uint64_t u64 = 0;
            int64_t i64 = 0;
            snprintf(text, sizeof text, "%llu", (unsigned long long)value);
            struct shmrpc_value number = value_of(text);
            assert_int_equal(shmrpc_value_uint64(&number, &u64), SHMRPC_OK);
            assert_true(u64 == value);
            bool fits = value <= INT64_MAX;
            assert_int_equal(shmrpc_value_int64(&number, &i64),
                             fits ? SHMRPC_OK : SHMRPC_SERIALIZATION);
            assert_true(i64 == (fits ? (int64_t)value : 0));
            snprintf(text, sizeof text, "-%llu", (unsigned long long)value);
            number = value_of(text);
            fits = value <= (uint64_t)INT64_MAX + 1;
            assert_int_equal(shmrpc_value_int64(&number, &i64),
                             fits ? SHMRPC_OK : SHMRPC_SERIALIZATION);
            if (fits)
                assert_true(i64 == (int64_t)(0 - value));
            assert_int_equal(shmrpc_value_uint64(&number, &u64), SHMRPC_SERIALIZATION);
        }
    }
}

/* ------------------------------------------------------------------------------------------------
 * Random documents
 */

static cJSON *random_tree(size_t depth)
{
    static const char *const strings[] = {"", "a", "\xC3\xA4\xF0\x9F\x98\x80", "line\nquote\"\\",
                                          "a longer string that fills more than one block, by far",
                                          "\x01\x1F\x7F/"};
    size_t kind = support_random_below(depth < 6 ? 8 : 6);
    cJSON *tree;
    switch (kind) {
    case 0:
        return cJSON_CreateNull();
    case 1:
        return cJSON_CreateBool(support_random_below(2) == 0);
    case 2:
        return cJSON_CreateNumber((double)(int)support_random());
    case 3:
        return cJSON_CreateNumber(ldexp((double)support_random(), (int)support_random_below(200) - 100));
    case 4:
    case 5:
        return cJSON_CreateString(strings[support_random_below(sizeof strings / sizeof *strings)]);
    case 6:
        tree = cJSON_CreateArray();
        for (size_t i = support_random_below(6); i > 0; i--)
            cJSON_AddItemToArray(tree, random_tree(depth + 1));
        return tree;
    default:
        tree = cJSON_CreateObject();
        for (size_t i = support_random_below(24); i > 0; i--) {
            char key[64];
            snprintf(key, sizeof key, "%s%zu",
                     strings[support_random_below(sizeof strings / sizeof *strings)], i);
            cJSON_AddItemToObject(tree, key, random_tree(depth + 1));
        }
        return tree;
    }
}

static void compare_tree(const struct shmrpc_value *value, const cJSON *tree);

static void compare_children(const struct shmrpc_value *value, const cJSON *tree)
{
    struct shmrpc_iterator iterator;
    struct shmrpc_value key, element, found;
    assert_int_equal(shmrpc_value_iterate(value, &iterator), SHMRPC_OK);
    const cJSON *child;
    cJSON_ArrayForEach(child, tree) {
        assert_true(shmrpc_iterator_next(&iterator, &key, &element));
        compare_tree(&element, child);
        if (!cJSON_IsObject(tree))
            continue;
        size_t length = strlen(child->string);
        assert_true(shmrpc_json_string_equals(&key, child->string, length));
        assert_int_equal(shmrpc_value_member(value, child->string, length, &found), SHMRPC_OK);
        assert_ptr_equal(found.text, element.text);
    }
    assert_false(shmrpc_iterator_next(&iterator, &key, &element));
}

static void compare_tree(const struct shmrpc_value *value, const cJSON *tree)
{
    bool truth;
    double number;
    if (cJSON_IsNull(tree)) {
        assert_int_equal(value->type, SHMRPC_NULL);
    } else if (cJSON_IsBool(tree)) {
        assert_int_equal(shmrpc_value_bool(value, &truth), SHMRPC_OK);
        assert_int_equal(truth, cJSON_IsTrue(tree));
    } else if (cJSON_IsNumber(tree)) {
        assert_int_equal(shmrpc_value_double(value, &number), SHMRPC_OK);
        assert_true(number == tree->valuedouble);
    } else if (cJSON_IsString(tree)) {
        struct bytes decoded = decode(value);
        assert_int_equal(decoded.length, strlen(tree->valuestring));
        assert_memory_equal(decoded.data, tree->valuestring, decoded.length);
        free(decoded.data);
    } else {
        assert_int_equal(value->type, cJSON_IsObject(tree) ? SHMRPC_OBJECT : SHMRPC_ARRAY);
        compare_children(value, tree);
    }
}

static void test_SRPC_JSON_001_random_documents_read_as_written(void **state)
{
    (void)state;
    int rounds = support_under_valgrind() ? 50 : 2000;
    for (int round = 0; round < rounds; round++) {
        cJSON *tree = random_tree(0);
        char *printed = round % 2 == 0 ? cJSON_PrintUnformatted(tree) : cJSON_Print(tree);
        assert_non_null(printed);
        struct bytes text = bytes_copy(printed, strlen(printed));
        struct outcome outcome = read_once(text.data, text.length);
        assert_int_equal(outcome.status, SHMRPC_OK);
        /* Read back, as printing rounds some numbers. */
        cJSON *again = cJSON_Parse(printed);
        compare_tree(&outcome.root, again);
        cJSON_Delete(again);
        free(text.data);
        free(printed);
        cJSON_Delete(tree);
    }
}

/* ------------------------------------------------------------------------------------------------
 * Contracts
 */

static void test_contracts_of_the_scanner(void **state)
{
    (void)state;
    struct shmrpc_value root = value_of("\"s\"");
    expect_check_failure_below(support_ignore(shmrpc_json_read(NULL, 1, &root, NULL)));
    expect_check_failure_below(support_ignore(shmrpc_json_read("1", SIZE_MAX, &root, NULL)));
    expect_check_failure_below(support_ignore(shmrpc_json_read("1", 1, NULL, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_json_scan("1", 1, NULL, &root, NULL, &inner_members, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_json_scan("1", 1, "a", &root, &inner_members, &inner_members, NULL)));
    expect_check_failure(support_ignore(shmrpc_json_levels("1", 1, &root, NULL)));
    expect_check_failure(support_ignore(shmrpc_members_find(NULL, "a", 1, &root)));
    expect_check_failure(support_ignore(shmrpc_members_find(&inner_members, "a", 1, NULL)));
    expect_check_failure(support_ignore(shmrpc_members_find(&inner_members, NULL, 1, &root)));
    expect_check_failure(support_ignore(shmrpc_json_string_equals(NULL, "a", 1)));
    expect_check_failure(support_ignore(shmrpc_json_string_equals(&root, NULL, 1)));
    struct shmrpc_value nowhere = {NULL, 0, SHMRPC_STRING, false};
    expect_check_failure(support_ignore(shmrpc_json_string_equals(&nowhere, "a", 1)));
}

static void test_contracts_of_values(void **state)
{
    (void)state;
    struct shmrpc_value value = value_of("[\"s\"]");
    struct shmrpc_value broken = {NULL, 1, SHMRPC_BOOL, false};
    struct shmrpc_iterator iterator;
    char buffer[4];
    const char *view;
    size_t length;
    bool truth;
    expect_check_failure_below(support_ignore(shmrpc_value_bool(NULL, &truth)));
    expect_check_failure_below(support_ignore(shmrpc_value_bool(&broken, &truth)));
    expect_check_failure(support_ignore(shmrpc_value_bool(&value, NULL)));
    expect_check_failure(support_ignore(shmrpc_value_int64(&value, NULL)));
    expect_check_failure(support_ignore(shmrpc_value_uint64(&value, NULL)));
    expect_check_failure(support_ignore(shmrpc_value_double(&value, NULL)));
    expect_check_failure(support_ignore(shmrpc_value_is_integer(NULL)));
    expect_check_failure(support_ignore(shmrpc_value_string(&value, NULL, 1, &length)));
    expect_check_failure(support_ignore(shmrpc_value_string(&value, buffer, 4, NULL)));
    expect_check_failure(support_ignore(shmrpc_value_string_view(&value, NULL, &length)));
    expect_check_failure(support_ignore(shmrpc_value_string_view(&value, &view, NULL)));
    expect_check_failure(support_ignore(shmrpc_value_member(&value, NULL, 1, &broken)));
    expect_check_failure(support_ignore(shmrpc_value_member(&value, "a", 1, NULL)));
    expect_check_failure(support_ignore(shmrpc_value_iterate(&value, NULL)));
    expect_check_failure_below(support_ignore(shmrpc_value_iterate(NULL, &iterator)));
    assert_int_equal(shmrpc_value_iterate(&value, &iterator), SHMRPC_OK);
    expect_check_failure(support_ignore(shmrpc_iterator_next(NULL, NULL, &value)));
    expect_check_failure(support_ignore(shmrpc_iterator_next(&iterator, NULL, NULL)));
    iterator.at = NULL;
    expect_check_failure(support_ignore(shmrpc_iterator_next(&iterator, NULL, &value)));
    iterator.at = iterator.end + 1;
    expect_check_failure(support_ignore(shmrpc_iterator_next(&iterator, NULL, &value)));
}

static void test_contracts_of_numbers(void **state)
{
    (void)state;
    bool negative;
    uint64_t u64;
    char text[SHMRPC_JSON_DOUBLE_BYTES];
    expect_check_failure_below(support_ignore(shmrpc_json_number_fits(NULL, 1)));
    expect_check_failure_below(support_ignore(shmrpc_json_number_double("1", 0)));
    expect_check_failure(support_ignore(shmrpc_json_number_is_integer(NULL, 1)));
    expect_check_failure(support_ignore(shmrpc_json_number_is_integer("1", 0)));
    expect_check_failure(support_ignore(shmrpc_json_number_integer(NULL, 1, &negative, &u64)));
    expect_check_failure(support_ignore(shmrpc_json_number_integer("1", 0, &negative, &u64)));
    expect_check_failure(support_ignore(shmrpc_json_number_integer("1", 1, NULL, &u64)));
    expect_check_failure(support_ignore(shmrpc_json_number_integer("1", 1, &negative, NULL)));
    expect_check_failure(support_ignore(shmrpc_json_number_write(NAN, text)));
    expect_check_failure(support_ignore(shmrpc_json_number_write(1.0, NULL)));
}

/* However many bytes are looked at together, the same are plain, and nothing else is written. */
static void test_SRPC_JSON_001_plain_bytes_of_every_length(void **state)
{
    (void)state;
    enum { MOST = 200, GUARD = 0x55 };
    char text[MOST];
    char copies[2][MOST + 1];
    for (size_t length = 0; length <= MOST; length++) {
        for (size_t offset = 0; offset <= length; offset++) {
            memset(text, 'a', sizeof text);
            if (offset < length)
                text[offset] = "\"\\\n\x1F\x80\xFF"[(length + offset) % 6];
            memset(copies, GUARD, sizeof copies);
            for (int narrow = 0; narrow < 2; narrow++) {
                shmrpc_json_narrow = narrow != 0;
                assert_int_equal(shmrpc_json_copy_plain(copies[narrow], text, length), offset);
                assert_memory_equal(copies[narrow], text, offset);
                assert_int_equal(copies[narrow][length], GUARD);
            }
        }
    }
    memset(text, 'a', sizeof text);
    for (size_t length = 0; length <= MOST; length++) {
        for (int narrow = 0; narrow < 2; narrow++) {
            shmrpc_json_narrow = narrow != 0;
            assert_int_equal(shmrpc_json_plain_blocks(NULL, text, length), length / 64 * 64);
        }
    }
    for (int byte = 0; byte < 256; byte++) {
        memset(text, byte, sizeof text);
        for (int narrow = 0; narrow < 2; narrow++) {
            shmrpc_json_narrow = narrow != 0;
            size_t plain = shmrpc_json_plain_blocks(NULL, text, sizeof text);
            assert_int_equal(plain, shmrpc_json_plain[byte] ? MOST / 64 * 64 : 0);
        }
    }
    shmrpc_json_narrow = false;
}

/* Where what the function promises cannot hold either, but is asserted later. */
static void expect_requirement(const char *line)
{
    if (strstr(line, ": REQUIRE(") == NULL) {
        fprintf(stderr, "another assertion than a REQUIRE: %s\n", line);
        abort();
    }
    support_check_hook(line);
}

static void test_contracts_of_text(void **state)
{
    (void)state;
    const char *text = "a\\n\xC3\xA4";
    const char *offence;
    struct shmrpc_value value;
    unsigned code;
    char utf8[4];
    expect_check_failure(support_ignore(shmrpc_json_copy_plain(NULL, text, 1)));
    expect_check_failure(support_ignore(shmrpc_json_copy_plain(utf8, NULL, 1)));
    expect_check_failure(support_ignore(shmrpc_json_plain_blocks(NULL, NULL, 1)));
    expect_check_failure(support_ignore(shmrpc_json_plain_blocks(NULL, text, SIZE_MAX)));
    unsigned char objects[SHMRPC_JSON_DEPTH / 8] = {0};
    expect_check_failure(shmrpc_json_level_set(objects, SHMRPC_JSON_DEPTH, true));
    expect_check_failure(support_ignore(shmrpc_json_in_object(objects, SHMRPC_JSON_DEPTH + 1)));
    expect_check_failure(support_ignore(shmrpc_json_key_is(NULL, "a", 1)));
    expect_check_failure(support_ignore(shmrpc_json_wide_end(NULL, text, &offence)));
    shmrpc_check_set_hook(expect_requirement);
    expect_assert_failure(support_ignore(shmrpc_json_wide_end(text + 1, text, &offence)));
    shmrpc_check_set_hook(NULL);
    expect_check_failure(support_ignore(shmrpc_json_wide_end(text, text + 1, NULL)));
    expect_check_failure(support_ignore(shmrpc_json_utf8_prefix(NULL, 1)));
    expect_check_failure(support_ignore(shmrpc_json_utf8_prefix(text, SIZE_MAX)));
    expect_check_failure(support_ignore(shmrpc_json_utf8_encode(0x110000, utf8)));
    expect_check_failure(support_ignore(shmrpc_json_utf8_encode('a', NULL)));
    expect_check_failure(support_ignore(shmrpc_json_escape_end(text + 1, text + 1, &code, &offence)));
    expect_check_failure(support_ignore(shmrpc_json_escape_end(text, text + 1, &code, &offence)));
    expect_check_failure(support_ignore(shmrpc_json_escape_end(text + 1, text + 3, NULL, &offence)));
    expect_check_failure(support_ignore(shmrpc_json_escape_end(text + 1, text + 3, &code, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_json_unicode_escape_end(text + 1, text + 1, &code, &offence)));
    expect_check_failure(
        support_ignore(shmrpc_json_unicode_escape_end(text, text + 1, &code, &offence)));
    expect_check_failure(support_ignore(shmrpc_json_value_end(NULL, text, &value)));
    expect_check_failure(support_ignore(shmrpc_json_value_end(text + 1, text, &value)));
    expect_check_failure(support_ignore(shmrpc_json_value_end(text, text + 1, NULL)));
}

/* Values over bytes that nobody validated: one that is too short for its type is none, and of a string
 * or a container the first and the last byte are its ends, whatever they are. */
static void test_the_ends_of_unvalidated_values(void **state)
{
    (void)state;
    bool truth = false;
    char decoded[4];
    const char *view;
    size_t length;
    struct shmrpc_iterator iterator;
    struct shmrpc_value element;
    const struct shmrpc_value no_bool = {"t", 0, SHMRPC_BOOL, false};
    const struct shmrpc_value least_bool = {"t", 1, SHMRPC_BOOL, false};
    assert_int_equal(shmrpc_value_bool(&no_bool, &truth), SHMRPC_SERIALIZATION);
    assert_int_equal(shmrpc_value_bool(&least_bool, &truth), SHMRPC_OK);
    assert_true(truth);
    const struct shmrpc_value no_string = {"\"", 1, SHMRPC_STRING, false};
    assert_int_equal(shmrpc_value_string(&no_string, decoded, 4, &length), SHMRPC_SERIALIZATION);
    assert_int_equal(shmrpc_value_string_view(&no_string, &view, &length), SHMRPC_SERIALIZATION);
    const struct shmrpc_value escape_last = {"\"a\\\"", 4, SHMRPC_STRING, false};
    assert_int_equal(shmrpc_value_string_view(&escape_last, &view, &length), SHMRPC_SERIALIZATION);
    const struct shmrpc_value backslashes = {"\\a\\", 3, SHMRPC_STRING, false};
    assert_int_equal(shmrpc_value_string_view(&backslashes, &view, &length), SHMRPC_OK);
    assert_ptr_equal(view, backslashes.text + 1);
    assert_int_equal(length, 1);
    const struct shmrpc_value cut = {"[1,23", 5, SHMRPC_ARRAY, false};
    assert_int_equal(shmrpc_value_iterate(&cut, &iterator), SHMRPC_OK);
    assert_true(shmrpc_iterator_next(&iterator, NULL, &element));
    assert_true(shmrpc_iterator_next(&iterator, NULL, &element));
    assert_int_equal(element.length, 1);
}

static void test_SRPC_JSON_002_where_no_wide_character_stands(void **state)
{
    (void)state;
    static const char text[] = "a\0\x7F\x80";
    const char *end = text + sizeof text - 1;
    const char *offence = NULL;
    for (const char *at = text; at <= end; at++) {
        assert_ptr_equal(shmrpc_json_wide_end(at, end, &offence), at);
        assert_ptr_equal(offence, at);
    }
}

/* No digit is the NUL behind the digits either. */
static void test_SRPC_JSON_001_a_nul_is_no_digit(void **state)
{
    (void)state;
    for (size_t place = 0; place < 4; place++) {
        char text[] = "\"\\u0041\"";
        text[3 + place] = '\0';
        struct outcome outcome = read_copy(text, sizeof text - 1);
        assert_int_equal(outcome.status, SHMRPC_SERIALIZATION);
        assert_int_equal(outcome.offset, 3 + place);
    }
}

static void test_only_strings_equal_strings(void **state)
{
    (void)state;
    const struct shmrpc_value number = {"121", 3, SHMRPC_NUMBER, false};
    const struct shmrpc_value half = {"\"", 1, SHMRPC_STRING, false};
    assert_false(shmrpc_json_string_equals(&number, "2", 1));
    assert_false(shmrpc_json_string_equals(&half, "", 0));
}

/* Decoded to the last byte of a buffer of that length, and into one less not at all. */
static void test_SRPC_JSON_011_what_fits_exactly_fits(void **state)
{
    (void)state;
    static const char *const strings[][2] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"\\n\"", "\n"},
        {"\"a\\u00e4\"", "a\xC3\xA4"},
        {"\"\\u20ac\"", "\xE2\x82\xAC"},
        {"\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80"},
        {"\"\xC3\xA4\"", "\xC3\xA4"},
        {"\"\\n\xC3\xA4\"", "\n\xC3\xA4"},
    };
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        struct shmrpc_value value = value_of(strings[i][0]);
        size_t exact = strlen(strings[i][1]);
        char *bytes = malloc(exact + 1);
        size_t length = 77;
        assert_non_null(bytes);
        memset(bytes, 0x5A, exact + 1);
        assert_int_equal(shmrpc_value_string(&value, bytes, exact, &length), SHMRPC_OK);
        assert_int_equal(length, exact);
        assert_memory_equal(bytes, strings[i][1], exact);
        assert_int_equal(bytes[exact], 0x5A);
        if (exact > 0)
            assert_int_equal(shmrpc_value_string(&value, bytes, exact - 1, &length),
                             SHMRPC_TOO_LARGE);
        free(bytes);
    }
}

/* What holds no escape can be viewed where it stands, non-ASCII or empty though it be. */
static void test_SRPC_JSON_011_every_string_without_an_escape_has_a_view(void **state)
{
    (void)state;
    static const char *const texts[] = {"\"\"", "\"a\"", "\"\xC3\xA4\"", "\"a\xE2\x82\xAC\""};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct shmrpc_value value = value_of(texts[i]);
        const char *view = NULL;
        size_t length = 77;
        assert_int_equal(shmrpc_value_string_view(&value, &view, &length), SHMRPC_OK);
        assert_ptr_equal(view, texts[i] + 1);
        assert_int_equal(length, strlen(texts[i]) - 2);
    }
}

/* Whose maker has not looked whether there are escapes in it. */
static void test_SRPC_JSON_011_a_value_that_does_not_say_that_it_is_plain(void **state)
{
    (void)state;
    const struct shmrpc_value plain = {"\"ab\"", 4, SHMRPC_STRING, false};
    const struct shmrpc_value escaped = {"\"\\n\"", 4, SHMRPC_STRING, false};
    const char *view;
    size_t length;
    assert_int_equal(shmrpc_value_string_view(&plain, &view, &length), SHMRPC_OK);
    assert_ptr_equal(view, plain.text + 1);
    assert_true(shmrpc_json_string_equals(&plain, "ab", 2));
    assert_int_equal(shmrpc_value_string_view(&escaped, &view, &length), SHMRPC_SERIALIZATION);
    assert_false(shmrpc_json_string_equals(&escaped, "\\n", 2));
    assert_true(shmrpc_json_string_equals(&escaped, "\n", 1));
}

static void test_SRPC_JSON_006_a_member_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    static const char *const texts[] = {"{}", "{\"b\":1}", "{\"\":1,\"aa\":2}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct shmrpc_value value = value_of(texts[i]);
        struct shmrpc_value member = {.length = 77};
        assert_int_equal(shmrpc_value_member(&value, "a", 1, &member), SHMRPC_NOT_FOUND);
        assert_int_equal(member.length, 77);
    }
}

static void test_no_number_is_longer_than_memory(void **state)
{
    (void)state;
    expect_check_failure(support_ignore(shmrpc_json_number_fits("1", SIZE_MAX)));
}

/* Plain is said of a string without escapes, and of nothing else. */
static void test_only_strings_are_plain(void **state)
{
    (void)state;
    static const char *const others[] = {"{}", "[]", "1", "null", "true", "\"\\n\"", "[\"a\"]"};
    static const char request[] = "{\"params\":{\"a\":[]},\"id\":\"x\"}";
    struct shmrpc_value root;
    struct shmrpc_members outer;
    struct shmrpc_members inner;
    assert_true(value_of("\"a\"").plain);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(value_of(others[i]).plain);
    assert_int_equal(shmrpc_json_scan(request, sizeof request - 1, "params", &root, &outer, &inner,
                                      NULL), SHMRPC_OK);
    assert_false(root.plain || outer.object.plain || inner.object.plain);
    assert_false(outer.list[0].value.plain || inner.list[0].value.plain);
    assert_true(outer.list[0].key.plain && outer.list[1].value.plain);
    assert_int_equal(shmrpc_json_scan("1", 1, "params", &root, &outer, &inner, NULL), SHMRPC_OK);
    assert_false(root.plain || outer.object.plain || inner.object.plain);
}

/* Each beginning of a request in memory of its length: no byte behind it is looked at. */
static void test_SRPC_JSON_001_where_a_request_may_end(void **state)
{
    (void)state;
    static const char request[] = "{\"params\": {\"a\":[1.5e1,\"b\"]},\"id\":\"x\"}";
    for (size_t length = 0; length < sizeof request - 1; length++) {
        char *text = malloc(length > 0 ? length : 1);
        struct shmrpc_value root;
        struct shmrpc_members outer;
        struct shmrpc_members inner;
        size_t offset = SIZE_MAX;
        assert_non_null(text);
        memcpy(text, request, length);
        assert_int_equal(
            shmrpc_json_scan(text, length, "params", &root, &outer, &inner, &offset),
            SHMRPC_SERIALIZATION);
        assert_int_equal(offset, length);
        free(text);
    }
}

static void test_SRPC_JSON_008_both_letters_of_an_exponent(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double number;
    } cases[] = {
        {"1e2", 100}, {"1E2", 100}, {"-5E-1", -0.5}, {"1.5E+1", 15}, {"0E9", 0}, {"0e309", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct shmrpc_value value = value_of(cases[i].text);
        double number = 77;
        assert_int_equal(shmrpc_value_double(&value, &number), SHMRPC_OK);
        assert_true(number == cases[i].number);
    }
}

static void test_what_is_next_to_the_digits_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"1/", "1:", "/", ":"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct shmrpc_value value = {texts[i], strlen(texts[i]), SHMRPC_NUMBER, false};
        int64_t number;
        assert_false(shmrpc_value_is_integer(&value));
        assert_int_equal(shmrpc_value_int64(&value, &number), SHMRPC_SERIALIZATION);
    }
}

int main(void)
{
    support_limit_seconds(120);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_SRPC_JSON_001_grammar),
        cmocka_unit_test(test_SRPC_JSON_002_utf8),
        cmocka_unit_test(test_SRPC_JSON_003_byte_order_marks_are_refused),
        cmocka_unit_test(test_SRPC_JSON_004_lone_surrogates_are_refused),
        cmocka_unit_test(test_SRPC_JSON_005_one_value_and_nothing_else),
        cmocka_unit_test(test_SRPC_JSON_006_last_of_duplicates_counts),
        cmocka_unit_test(test_SRPC_JSON_007_levels),
        cmocka_unit_test(test_SRPC_JSON_008_range_of_doubles),
        cmocka_unit_test(test_SRPC_JSON_010_integers_are_exact),
        cmocka_unit_test(test_SRPC_JSON_011_strings_are_exact),
        cmocka_unit_test(test_SRPC_JSON_014_integers_beyond_64_bits_are_doubles),
        cmocka_unit_test(test_SRPC_JSON_002_every_short_sequence),
        cmocka_unit_test(test_SRPC_JSON_001_special_byte_at_every_offset),
        cmocka_unit_test(test_SRPC_JSON_001_plain_bytes_of_every_length),
        cmocka_unit_test(test_SRPC_JSON_011_two_byte_character_at_every_offset),
        cmocka_unit_test(test_SRPC_JSON_001_open_string_of_every_length),
        cmocka_unit_test(test_SRPC_JSON_004_every_escaped_code_unit),
        cmocka_unit_test(test_SRPC_JSON_011_every_surrogate_pair),
        cmocka_unit_test(test_SRPC_JSON_001_every_truncation_is_refused),
        cmocka_unit_test(test_SRPC_JSON_001_mutations_get_one_verdict),
        cmocka_unit_test(test_time_is_linear_on_hostile_texts),
        cmocka_unit_test(test_members_are_remembered),
        cmocka_unit_test(test_members_of_roots_that_are_no_objects),
        cmocka_unit_test(test_SRPC_JSON_006_last_inner_object_replaces_earlier_ones),
        cmocka_unit_test(test_SRPC_JSON_006_more_members_than_are_remembered),
        cmocka_unit_test(test_scan_without_places_for_members),
        cmocka_unit_test(test_wrong_types_are_errors),
        cmocka_unit_test(test_strings_into_every_capacity),
        cmocka_unit_test(test_string_equality_compares_what_is_meant),
        cmocka_unit_test(test_iterators_walk_in_order),
        cmocka_unit_test(test_values_of_unvalidated_bytes_stay_inside),
        cmocka_unit_test(test_SRPC_JSON_008_random_numbers_read_as_strtod_does),
        cmocka_unit_test(test_SRPC_JSON_008_ties_are_broken_by_the_last_digit),
        cmocka_unit_test(test_SRPC_JSON_010_integers_near_the_limits),
        cmocka_unit_test(test_SRPC_JSON_001_random_documents_read_as_written),
        cmocka_unit_test(test_contracts_of_the_scanner),
        cmocka_unit_test(test_contracts_of_values),
        cmocka_unit_test(test_contracts_of_numbers),
        cmocka_unit_test(test_contracts_of_text),
        cmocka_unit_test(test_the_ends_of_unvalidated_values),
        cmocka_unit_test(test_SRPC_JSON_002_where_no_wide_character_stands),
        cmocka_unit_test(test_SRPC_JSON_001_a_nul_is_no_digit),
        cmocka_unit_test(test_only_strings_equal_strings),
        cmocka_unit_test(test_SRPC_JSON_011_what_fits_exactly_fits),
        cmocka_unit_test(test_SRPC_JSON_011_every_string_without_an_escape_has_a_view),
        cmocka_unit_test(test_SRPC_JSON_011_a_value_that_does_not_say_that_it_is_plain),
        cmocka_unit_test(test_SRPC_JSON_006_a_member_that_is_not_there_is_not_found),
        cmocka_unit_test(test_no_number_is_longer_than_memory),
        cmocka_unit_test(test_only_strings_are_plain),
        cmocka_unit_test(test_SRPC_JSON_001_where_a_request_may_end),
        cmocka_unit_test(test_SRPC_JSON_008_both_letters_of_an_exponent),
        cmocka_unit_test(test_what_is_next_to_the_digits_is_none),
    };
    return cmocka_run_group_tests_name("json", tests, vectors_load, vectors_unload);
}

/* SPDX-License-Identifier: MIT
 *
 * The writer: exact texts, every capacity, misuse, and what it writes read back.
 */
#include "support.h"

#include "json.h"
#include "json_text.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------------
 * Tools
 */

static char buffer[200000];
static struct shmrpc_writer writer;

static void start(void)
{
    shmrpc_writer_init(&writer, buffer, sizeof buffer);
}

/** The document is complete, is that text, and is valid. */
static void assert_written(const char *expected, size_t length)
{
    size_t written = SIZE_MAX;
    assert_true(shmrpc_writer_complete(&writer));
    assert_int_equal(shmrpc_writer_finish(&writer, &written), SHMRPC_OK);
    assert_int_equal(written, length);
    assert_memory_equal(buffer, expected, length);
    struct shmrpc_value root;
    assert_int_equal(shmrpc_json_read(buffer, written, &root, NULL), SHMRPC_OK);
}

static void assert_text(const char *expected)
{
    assert_written(expected, strlen(expected));
}

static void assert_failed(enum shmrpc_status status)
{
    size_t length = 77;
    assert_int_equal(shmrpc_writer_finish(&writer, &length), status);
    assert_int_equal(length, 77);
    assert_false(shmrpc_writer_complete(&writer));
    /* Errors stick: the first one stays, and nothing more is written. */
    const char *at = writer.at;
    shmrpc_write_null(&writer);
    shmrpc_write_double(&writer, NAN);
    shmrpc_write_key(&writer, "k", 1);
    shmrpc_write_object_begin(&writer);
    shmrpc_write_object_end(&writer);
    shmrpc_write_array_begin(&writer);
    shmrpc_write_array_end(&writer);
    shmrpc_write_string(&writer, "s", 1);
    shmrpc_write_json(&writer, "!", 1);
    shmrpc_writer_raw(&writer, "raw", 3);
    shmrpc_writer_value(&writer, "1", 1);
    assert_ptr_equal(writer.at, at);
    assert_int_equal(shmrpc_writer_finish(&writer, &length), status);
}

static void write_text(const char *text)
{
    shmrpc_write_string(&writer, text, strlen(text));
}

static void write_key(const char *text)
{
    shmrpc_write_key(&writer, text, strlen(text));
}

/* ------------------------------------------------------------------------------------------------
 * Texts
 */

static void test_SRPC_JSON_012_documents_are_written_as_json(void **state)
{
    (void)state;
    start();
    shmrpc_write_object_begin(&writer);
    write_key("a");
    shmrpc_write_array_begin(&writer);
    shmrpc_write_int64(&writer, -1);
    shmrpc_write_bool(&writer, true);
    shmrpc_write_bool(&writer, false);
    shmrpc_write_null(&writer);
    shmrpc_write_array_begin(&writer);
    shmrpc_write_array_end(&writer);
    shmrpc_write_object_begin(&writer);
    shmrpc_write_object_end(&writer);
    shmrpc_write_array_end(&writer);
    write_key("");
    write_text("x");
    shmrpc_write_key(&writer, NULL, 0);
    shmrpc_write_string(&writer, NULL, 0);
    write_key("k\n");
    shmrpc_write_json(&writer, " [ 1,\t{} ]\n", 11);
    write_key("v");
    shmrpc_writer_value(&writer, "2", 1);
    write_key("d");
    shmrpc_write_double(&writer, 8);
    shmrpc_write_object_end(&writer);
    assert_text("{\"a\":[-1,true,false,null,[],{}],\"\":\"x\",\"\":\"\",\"k\\n\":[ 1,\t{} ],"
                "\"v\":2,\"d\":8.0}");
}

static void test_SRPC_JSON_010_integers_are_written_exactly(void **state)
{
    (void)state;
    static const int64_t integers[] = {0, 1, -1, 9, 10, -10, 99, 100, INT64_MAX, INT64_MIN,
                                       INT64_MIN + 1, INT64_C(9007199254740993)};
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        char expected[32];
        start();
        shmrpc_write_int64(&writer, integers[i]);
        snprintf(expected, sizeof expected, "%lld", (long long)integers[i]);
        assert_text(expected);
        start();
        shmrpc_write_uint64(&writer, (uint64_t)integers[i]);
        snprintf(expected, sizeof expected, "%llu", (unsigned long long)integers[i]);
        assert_text(expected);
    }
}

static void test_SRPC_JSON_011_every_ascii_character(void **state)
{
    (void)state;
    for (int c = 0; c < 0x80; c++) {
        char expected[16];
        const char *letter = c > 0 ? strchr("\bb\ff\nn\rr\tt", c) : NULL;
        if (c == '"' || c == '\\')
            snprintf(expected, sizeof expected, "\"\\%c\"", c);
        else if (c < 0x20 && letter != NULL)
            snprintf(expected, sizeof expected, "\"\\%c\"", letter[1]);
        else if (c < 0x20)
            snprintf(expected, sizeof expected, "\"\\u%04x\"", (unsigned)c);
        else
            snprintf(expected, sizeof expected, "\"%c\"", c);
        char byte = (char)c;
        start();
        shmrpc_write_string(&writer, &byte, 1);
        assert_text(expected);
    }
}

/** Write as a string, read back, compare. */
static void check_round_trip(const char *data, size_t length)
{
    struct shmrpc_value value;
    size_t written, decoded_length;
    shmrpc_writer_init(&writer, buffer + 4, sizeof buffer - 4);
    shmrpc_write_string(&writer, data, length);
    assert_int_equal(shmrpc_writer_finish(&writer, &written), SHMRPC_OK);
    assert_int_equal(shmrpc_json_read(buffer + 4, written, &value, NULL), SHMRPC_OK);
    char *decoded = malloc(value.length);
    assert_non_null(decoded);
    assert_int_equal(shmrpc_value_string(&value, decoded, value.length - 2, &decoded_length),
                     SHMRPC_OK);
    assert_int_equal(decoded_length, length);
    assert_memory_equal(decoded, data, length);
    assert_true(shmrpc_json_string_equals(&value, data, length));
    free(decoded);
}

static void test_SRPC_JSON_011_random_strings_survive(void **state)
{
    (void)state;
    static const char *const units[] = {"a", "plain text of some length, longer than a block of 64 "
                                        "bytes it is", "\"", "\\", "\n", "\x01", "\xC3\xA4",
                                        "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xEF\xBF\xBF", "\x7F"};
    size_t rounds = support_under_valgrind() ? 200 : 20000;
    for (size_t round = 0; round < rounds; round++) {
        char text[4096];
        size_t length = 0;
        for (size_t i = support_random_below(40); i > 0; i--) {
            const char *unit = units[support_random_below(sizeof units / sizeof *units)];
            memcpy(text + length, unit, strlen(unit));
            length += strlen(unit);
            if (support_random_below(8) == 0)
                text[length++] = '\0';
        }
        char *exact = malloc(length > 0 ? length : 1);
        assert_non_null(exact);
        memcpy(exact, text, length);
        check_round_trip(exact, length);
        free(exact);
    }
}

static void test_SRPC_JSON_012_invalid_utf8_is_never_written(void **state)
{
    (void)state;
    static const char *const wrong[] = {"\x80", "\xC0\x80", "\xC3", "\xED\xA0\x80", "\xE2\x82",
                                        "\xF4\x90\x80\x80", "\xF0\x9F\x98", "\xFF", "\xC3" "a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        for (size_t before = 0; before < 70; before++) {
            char text[100];
            memset(text, 'x', before);
            strcpy(text + before, wrong[i]);
            char *exact = strdup(text);
            start();
            shmrpc_write_string(&writer, exact, strlen(exact));
            assert_failed(SHMRPC_SERIALIZATION);
            start();
            shmrpc_write_object_begin(&writer);
            shmrpc_write_key(&writer, exact, strlen(exact));
            assert_failed(SHMRPC_SERIALIZATION);
            free(exact);
        }
}

/* ------------------------------------------------------------------------------------------------
 * Doubles
 */

static const char *double_text(double number)
{
    static char text[64];
    size_t length;
    start();
    shmrpc_write_double(&writer, number);
    assert_int_equal(shmrpc_writer_finish(&writer, &length), SHMRPC_OK);
    assert_true(length < sizeof text);
    memcpy(text, buffer, length);
    text[length] = '\0';
    return text;
}

static void test_SRPC_JSON_013_doubles_have_a_fraction_or_an_exponent(void **state)
{
    (void)state;
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {8, "8.0"},
        {-1, "-1.0"},
        {0.1, "0.1"},
        {100, "100.0"},
        {123456.75, "123456.75"},
        {1.0 / 3, "0.3333333333333333"},
        {0.1 + 0.2, "0.30000000000000004"},
        {0.0001, "0.0001"},
        {0.00012345, "0.00012345"},
        {0.00001, "1e-05"},
        {1.5e-7, "1.5e-07"},
        {1e15, "1000000000000000.0"},
        {9007199254740992.0, "9007199254740992.0"},
        {1e16, "1e+16"},
        {1e22, "1e+22"},
        {123456789012345680.0, "1.2345678901234568e+17"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {-DBL_MAX, "-1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {1e-323, "1e-323"},
        {0x1p-44, "5.684341886080802e-14"}, /* a power of two: the nearest 16 digits do not do */
        {0x1p-1022, "2.2250738585072014e-308"},
        {0x1p-1030, "8.691694759794e-311"}, /* and here the next one above its one digit is 10 */
        {9.5367431640625e-07, "9.5367431640625e-07"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(double_text(cases[i].number), cases[i].text);
}

/** How many significant digits any decimal that reads back as the number has at least. */
static int fewest_digits(double number)
{
    for (int digits = 1; digits < 17; digits++) {
        char text[64];
        snprintf(text, sizeof text, "%.*e", digits - 1, number);
        /* The nearest decimal and its neighbours on both sides. */
        char *last = strchr(text, 'e') - 1;
        char original = *last;
        for (int step = -1; step <= 1; step++) {
            *last = (char)(original + step);
            if (*last >= '0' && *last <= '9' && strtod(text, NULL) == number)
                return digits;
        }
    }
    return 17;
}

static int significant_digits(const char *text)
{
    int count = 0, zeros = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text < '0' || *text > '9')
            continue;
        if (*text == '0') {
            zeros += count > 0;
        } else {
            count += zeros + 1;
            zeros = 0;
        }
    }
    return count;
}

static void check_double(double number)
{
    const char *text = double_text(number);
    assert_true(strtod(text, NULL) == number);
    assert_true(strpbrk(text, ".e") != NULL);
    struct shmrpc_value value = {text, strlen(text), SHMRPC_NUMBER, false};
    assert_false(shmrpc_value_is_integer(&value));
    double back;
    assert_int_equal(shmrpc_value_double(&value, &back), SHMRPC_OK);
    assert_memory_equal(&back, &number, sizeof number);
    if (significant_digits(text) > fewest_digits(number))
        fail_msg("%s is not the shortest text of %a", text, number);
}

static void test_SRPC_JSON_013_doubles_read_back_and_are_shortest(void **state)
{
    (void)state;
    int rounds = support_under_valgrind() ? 300 : 30000;
    for (int round = 0; round < rounds; round++) {
        uint64_t bits = support_random();
        if (round % 5 == 1)
            bits &= ~UINT64_C(0x7FF0000000000000); /* subnormal */
        if (round % 5 == 2)
            bits &= ~UINT64_C(0x000FFFFFFFFFFFFF); /* a power of two */
        if (round % 5 == 3)
            bits &= UINT64_C(0xFFFFFFFF00000000); /* few digits */
        double number;
        memcpy(&number, &bits, sizeof number);
        if (isfinite(number) && number != 0)
            check_double(number);
        check_double((double)(int)support_random_below(2000000) / 100 + 0.01);
    }
}

static void test_SRPC_JSON_009_nan_and_infinities_are_errors(void **state)
{
    (void)state;
    static const double numbers[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        start();
        shmrpc_write_array_begin(&writer);
        shmrpc_write_double(&writer, numbers[i]);
        assert_failed(SHMRPC_SERIALIZATION);
    }
}

/** Make a locale with a decimal comma and switch to it. */
static bool use_decimal_comma(char folder[64])
{
    strcpy(folder, "/tmp/shmrpc-locale-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return false;
    char command[512];
    snprintf(command, sizeof command,
             "printf 'LC_NUMERIC\\ndecimal_point \"<U002C>\"\\nthousands_sep \"<U002E>\"\\n"
             "grouping 3\\nEND LC_NUMERIC\\n' > %s/source && "
             "localedef --no-archive -c -i %s/source -f ANSI_X3.4-1968 %s/comma >/dev/null 2>&1",
             folder, folder, folder);
    int made = system(command);
    setenv("LOCPATH", folder, 1);
    const char *set = setlocale(LC_NUMERIC, "comma");
    (void)made; /* localedef warns by its status; what counts is the locale */
    return set != NULL && strcmp(localeconv()->decimal_point, ",") == 0;
}

static void test_SRPC_JSON_013_numbers_do_not_follow_the_locale(void **state)
{
    (void)state;
    char folder[64], command[128];
    bool comma = use_decimal_comma(folder);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
    if (!comma) {
        print_message("no locale with a decimal comma can be made here\n");
        skip();
    }
    char text[16];
    snprintf(text, sizeof text, "%.1f", 1.5);
    assert_string_equal(text, "1,5");
    assert_string_equal(double_text(1.5), "1.5");
    assert_string_equal(double_text(1234567.25), "1234567.25");
    assert_string_equal(double_text(1.25e-9), "1.25e-09");
    struct shmrpc_value value;
    double number;
    assert_int_equal(shmrpc_json_read("1.7976931348623157e308", 22, &value, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_value_double(&value, &number), SHMRPC_OK);
    assert_true(number == DBL_MAX);
    assert_int_equal(shmrpc_json_read("1234.5", 6, &value, NULL), SHMRPC_OK);
    assert_int_equal(shmrpc_value_double(&value, &number), SHMRPC_OK);
    assert_true(number == 1234.5);
    assert_int_equal(shmrpc_json_read("1,5", 3, &value, NULL), SHMRPC_SERIALIZATION);
    assert_non_null(setlocale(LC_NUMERIC, "C"));
}

/* ------------------------------------------------------------------------------------------------
 * Levels and misuse
 */

static void test_SRPC_JSON_015_levels(void **state)
{
    (void)state;
    for (size_t levels = SHMRPC_JSON_DEPTH - 1; levels <= SHMRPC_JSON_DEPTH + 1; levels++) {
        start();
        for (size_t i = 0; i < levels; i++) {
            if (i % 3 == 0) {
                shmrpc_write_array_begin(&writer);
            } else {
                shmrpc_write_object_begin(&writer);
                if (i + 1 < levels)
                    write_key("k");
            }
        }
        if (levels > SHMRPC_JSON_DEPTH) {
            assert_failed(SHMRPC_INVALID);
            continue;
        }
        for (size_t i = levels; i-- > 0;) {
            if (i % 3 == 0)
                shmrpc_write_array_end(&writer);
            else
                shmrpc_write_object_end(&writer);
        }
        size_t length, counted;
        struct shmrpc_value root;
        assert_int_equal(shmrpc_writer_finish(&writer, &length), SHMRPC_OK);
        assert_int_equal(shmrpc_json_levels(buffer, length, &root, &counted), SHMRPC_OK);
        assert_int_equal(counted, levels);
    }
}

/* One bit a level, and what memory held before plays no part. */
static void test_SRPC_JSON_015_each_level_has_its_bit(void **state)
{
    (void)state;
    static const unsigned char before[] = {0x00, 0xFF, 0xA5};
    for (size_t i = 0; i < sizeof before; i++) {
        memset(writer.objects, before[i], sizeof writer.objects);
        start();
        for (size_t level = 0; level < SHMRPC_JSON_DEPTH; level++) {
            bool object = level * level % 7 < 3;
            unsigned below = level % 8 == 0 ? 0 : writer.objects[level / 8];
            if (level > 0 && writer.objects[(level - 1) / 8] >> (level - 1) % 8 & 1)
                shmrpc_write_key(&writer, NULL, 0);
            object ? shmrpc_write_object_begin(&writer) : shmrpc_write_array_begin(&writer);
            assert_int_equal(writer.objects[level / 8], below | (unsigned)object << level % 8);
        }
        assert_int_equal(writer.status, SHMRPC_OK);
    }
}

static void test_SRPC_JSON_015_levels_of_ready_json_count(void **state)
{
    (void)state;
    char ready[4096];
    for (size_t own = 1020; own <= 1026; own++) {
        memset(ready, '[', own);
        memset(ready + own, ']', own);
        for (size_t outer = 0; outer < 6; outer++) {
            start();
            for (size_t i = 0; i < outer; i++)
                shmrpc_write_array_begin(&writer);
            shmrpc_write_json(&writer, ready, 2 * own);
            if (own > SHMRPC_JSON_DEPTH) {
                assert_failed(SHMRPC_SERIALIZATION);
            } else if (own + outer > SHMRPC_JSON_DEPTH) {
                assert_failed(SHMRPC_INVALID);
            } else {
                for (size_t i = 0; i < outer; i++)
                    shmrpc_write_array_end(&writer);
                assert_true(shmrpc_writer_complete(&writer));
            }
        }
    }
}

/* A level too many is an error at once, and stays one when all the others are closed. */
static void test_SRPC_JSON_015_a_level_too_many_is_not_passed_over(void **state)
{
    (void)state;
    for (int ready = 0; ready < 2; ready++) {
        start();
        for (int i = 0; i < SHMRPC_JSON_DEPTH; i++)
            shmrpc_write_array_begin(&writer);
        assert_int_equal(writer.status, SHMRPC_OK);
        if (ready)
            shmrpc_write_json(&writer, "[]", 2);
        else
            shmrpc_write_object_begin(&writer);
        assert_int_equal(writer.status, SHMRPC_INVALID);
        for (int i = 0; i < SHMRPC_JSON_DEPTH; i++)
            shmrpc_write_array_end(&writer);
        assert_failed(SHMRPC_INVALID);
    }
}

static void test_SRPC_JSON_012_ready_json_is_validated(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", " ", "{", "01", "1 2", "\"\xFF\"", "nul", "[1,]",
                                        "\xEF\xBB\xBF" "1", "1e400"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        start();
        shmrpc_write_array_begin(&writer);
        shmrpc_write_json(&writer, wrong[i], strlen(wrong[i]));
        assert_failed(SHMRPC_SERIALIZATION);
    }
    start();
    shmrpc_write_json(&writer, NULL, 0);
    assert_failed(SHMRPC_SERIALIZATION);
}

/** One letter a call. */
static void run_calls(const char *calls)
{
    start();
    for (; *calls != '\0'; calls++) {
        switch (*calls) {
        case '{':
            shmrpc_write_object_begin(&writer);
            break;
        case '}':
            shmrpc_write_object_end(&writer);
            break;
        case '[':
            shmrpc_write_array_begin(&writer);
            break;
        case ']':
            shmrpc_write_array_end(&writer);
            break;
        case 'k':
            write_key("k");
            break;
        case 'n':
            shmrpc_write_null(&writer);
            break;
        case 'j':
            shmrpc_write_json(&writer, "[]", 2);
            break;
        case 'v':
            shmrpc_writer_value(&writer, "1", 1);
            break;
        case 's':
            write_text("s");
            break;
        default:
            shmrpc_writer_raw(&writer, "r", 1);
            break;
        }
    }
}

static void test_calls_out_of_order_are_invalid(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",    "{",   "[",   "}",   "]",   "k",    "{k",  "{n",
                                        "{k}", "{kk", "[k",  "[}",  "{]",  "nn",   "n{",  "[]n",
                                        "nk",  "{kn", "{s}", "{j}", "{v}", "{[",   "{{",  "[r",
                                        "{r",  "n]",  "jj",  "vv",  "ss",  "{knn", "rnn", "rk"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        run_calls(wrong[i]);
        assert_failed(SHMRPC_INVALID);
    }
    static const char *const right[] = {"n", "[]", "{}", "{kn}", "{knkj}", "[nsjv[]{}]", "v"};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        run_calls(right[i]);
        size_t length;
        struct shmrpc_value root;
        assert_true(shmrpc_writer_complete(&writer));
        assert_int_equal(shmrpc_writer_finish(&writer, &length), SHMRPC_OK);
        assert_int_equal(shmrpc_json_read(buffer, length, &root, NULL), SHMRPC_OK);
    }
}

static void test_raw_bytes_are_verbatim(void **state)
{
    (void)state;
    size_t length;
    start();
    shmrpc_writer_raw(&writer, "{\"a\":", 5);
    assert_false(shmrpc_writer_complete(&writer));
    shmrpc_write_int64(&writer, 1);
    assert_true(shmrpc_writer_complete(&writer));
    shmrpc_writer_raw(&writer, ",\"b\":", 5);
    shmrpc_write_array_begin(&writer);
    shmrpc_write_int64(&writer, 2);
    shmrpc_write_int64(&writer, 3);
    shmrpc_write_array_end(&writer);
    shmrpc_writer_raw(&writer, NULL, 0);
    shmrpc_writer_raw(&writer, "}", 1);
    assert_false(shmrpc_writer_complete(&writer));
    assert_int_equal(shmrpc_writer_finish(&writer, &length), SHMRPC_OK);
    static const char expected[] = "{\"a\":1,\"b\":[2,3]}";
    assert_int_equal(length, sizeof expected - 1);
    assert_memory_equal(buffer, expected, length);
    /* They stand around documents, not in them. */
    for (int depth = 1; depth <= 2; depth++) {
        start();
        for (int i = 0; i < depth; i++)
            shmrpc_write_array_begin(&writer);
        shmrpc_writer_raw(&writer, "1", 1);
        for (int i = 0; i < depth; i++)
            shmrpc_write_array_end(&writer);
        assert_failed(SHMRPC_INVALID);
    }
}

/* ------------------------------------------------------------------------------------------------
 * Capacity
 */

static void write_sample(struct shmrpc_writer *to)
{
    static const char text[] = "plain text that is longer than one block of sixty-four bytes, "
                               "quote \" backslash \\ \n\x01 \xC3\xA4\xF0\x9F\x98\x80 tail\0 end";
    shmrpc_write_array_begin(to);
    shmrpc_write_object_begin(to);
    shmrpc_write_key(to, "key\t", 4);
    shmrpc_write_string(to, text, sizeof text - 1);
    shmrpc_write_key(to, "n", 1);
    shmrpc_write_double(to, -12345.678);
    shmrpc_write_object_end(to);
    shmrpc_write_int64(to, INT64_MIN);
    shmrpc_write_bool(to, false);
    shmrpc_write_null(to);
    shmrpc_write_json(to, "{\"ready\": [1, 2]}", 17);
    shmrpc_write_string(to, "\x7F\x1F", 2);
    shmrpc_write_array_end(to);
}

static void test_every_capacity(void **state)
{
    (void)state;
    size_t whole;
    start();
    write_sample(&writer);
    assert_int_equal(shmrpc_writer_finish(&writer, &whole), SHMRPC_OK);
    for (size_t capacity = 0; capacity <= whole + 1; capacity++) {
        /* Bytes behind the capacity are watched by hand too: valgrind and the sanitizers are
         * not always there. */
        char *room = malloc(capacity + 64);
        assert_non_null(room);
        memset(room, 0x5A, capacity + 64);
        struct shmrpc_writer small;
        shmrpc_writer_init(&small, room, capacity);
        write_sample(&small);
        size_t length = 77;
        enum shmrpc_status status = shmrpc_writer_finish(&small, &length);
        assert_int_equal(status, capacity < whole ? SHMRPC_TOO_LARGE : SHMRPC_OK);
        assert_int_equal(length, capacity < whole ? 77 : whole);
        for (size_t i = 0; i < 64; i++)
            assert_int_equal(room[capacity + i], 0x5A);
        if (status == SHMRPC_OK)
            assert_memory_equal(room, buffer, whole);
        free(room);
        room = malloc(capacity > 0 ? capacity : 1);
        shmrpc_writer_init(&small, capacity > 0 ? room : NULL, capacity);
        write_sample(&small);
        assert_int_equal(shmrpc_writer_finish(&small, &length), status);
        free(room);
    }
}

/* Each text is written to the last byte of a buffer of its length, and of one less not at all. */
static void test_what_fits_exactly_fits(void **state)
{
    (void)state;
    static const char *const strings[][2] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"\n", "\"\\n\""},
        {"\x01", "\"\\u0001\""},
        {"a\"", "\"a\\\"\""},
        {"\xC3\xA4", "\"\xC3\xA4\""},
        {"a\xF0\x9F\x98\x80", "\"a\xF0\x9F\x98\x80\""},
    };
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        size_t length = strlen(strings[i][1]);
        memset(buffer, 0x5A, 64);
        shmrpc_writer_init(&writer, buffer, length);
        write_text(strings[i][0]);
        assert_text(strings[i][1]);
        assert_int_equal(buffer[length], 0x5A);
        shmrpc_writer_init(&writer, buffer, length - 1);
        write_text(strings[i][0]);
        assert_failed(SHMRPC_TOO_LARGE);
    }
    shmrpc_writer_init(&writer, buffer, 1);
    shmrpc_write_int64(&writer, 7);
    assert_text("7");
}

static void test_absurd_capacities_do_not_wrap(void **state)
{
    (void)state;
    static const size_t capacities[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX - 4096};
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        shmrpc_writer_init(&writer, buffer, capacities[i]);
        assert_true(writer.end > writer.begin + sizeof buffer);
        shmrpc_write_int64(&writer, 5);
        assert_text("5");
    }
}

/* ------------------------------------------------------------------------------------------------
 * Random documents
 */

static void write_random(size_t depth)
{
    char text[100];
    size_t kind = support_random_below(depth < 8 ? 10 : 7);
    size_t length = support_random_below(sizeof text);
    for (size_t i = 0; i < length; i++)
        text[i] = (char)support_random_below(0x80);
    switch (kind) {
    case 0:
        shmrpc_write_null(&writer);
        break;
    case 1:
        shmrpc_write_bool(&writer, length % 2 == 0);
        break;
    case 2:
        shmrpc_write_int64(&writer, (int64_t)support_random());
        break;
    case 3:
        shmrpc_write_uint64(&writer, support_random());
        break;
    case 4:
        shmrpc_write_double(&writer, (double)support_random() / 7);
        break;
    case 5:
        shmrpc_write_json(&writer, " {\"a\" : [ ]} ", 13);
        break;
    case 6:
        shmrpc_write_string(&writer, text, length);
        break;
    case 7:
        shmrpc_write_array_begin(&writer);
        for (size_t i = support_random_below(5); i > 0; i--)
            write_random(depth + 1);
        shmrpc_write_array_end(&writer);
        break;
    default:
        shmrpc_write_object_begin(&writer);
        for (size_t i = support_random_below(5); i > 0; i--) {
            shmrpc_write_key(&writer, text, length);
            write_random(depth + 1);
        }
        shmrpc_write_object_end(&writer);
        break;
    }
}

/** Write again what stands in the text, value by value. */
static void copy_value(struct shmrpc_writer *to, const struct shmrpc_value *value)
{
    int64_t i64;
    uint64_t u64;
    double number = 0;
    bool truth = false;
    char text[200];
    size_t length;
    struct shmrpc_iterator iterator;
    struct shmrpc_value key, element;
    switch (value->type) {
    case SHMRPC_NULL:
        shmrpc_write_null(to);
        return;
    case SHMRPC_BOOL:
        assert_int_equal(shmrpc_value_bool(value, &truth), SHMRPC_OK);
        shmrpc_write_bool(to, truth);
        return;
    case SHMRPC_NUMBER:
        assert_int_equal(shmrpc_value_double(value, &number), SHMRPC_OK);
        if (shmrpc_value_int64(value, &i64) == SHMRPC_OK)
            shmrpc_write_int64(to, i64);
        else if (shmrpc_value_uint64(value, &u64) == SHMRPC_OK)
            shmrpc_write_uint64(to, u64);
        else
            shmrpc_write_double(to, number);
        return;
    case SHMRPC_STRING:
        assert_int_equal(shmrpc_value_string(value, text, sizeof text, &length), SHMRPC_OK);
        shmrpc_write_string(to, text, length);
        return;
    default:
        break;
    }
    bool object = value->type == SHMRPC_OBJECT;
    assert_int_equal(shmrpc_value_iterate(value, &iterator), SHMRPC_OK);
    object ? shmrpc_write_object_begin(to) : shmrpc_write_array_begin(to);
    while (shmrpc_iterator_next(&iterator, &key, &element)) {
        if (object) {
            assert_int_equal(shmrpc_value_string(&key, text, sizeof text, &length), SHMRPC_OK);
            shmrpc_write_key(to, text, length);
        }
        copy_value(to, &element);
    }
    object ? shmrpc_write_object_end(to) : shmrpc_write_array_end(to);
}

static void test_SRPC_JSON_012_random_documents_survive_copies(void **state)
{
    (void)state;
    static char first[sizeof buffer], second[sizeof buffer];
    int rounds = support_under_valgrind() ? 50 : 3000;
    for (int round = 0; round < rounds; round++) {
        size_t length, first_length, second_length;
        struct shmrpc_value root;
        struct shmrpc_writer copy;
        start();
        write_random(0);
        assert_int_equal(shmrpc_writer_finish(&writer, &length), SHMRPC_OK);
        assert_int_equal(shmrpc_json_read(buffer, length, &root, NULL), SHMRPC_OK);
        shmrpc_writer_init(&copy, first, sizeof first);
        copy_value(&copy, &root);
        assert_int_equal(shmrpc_writer_finish(&copy, &first_length), SHMRPC_OK);
        assert_int_equal(shmrpc_json_read(first, first_length, &root, NULL), SHMRPC_OK);
        shmrpc_writer_init(&copy, second, sizeof second);
        copy_value(&copy, &root);
        assert_int_equal(shmrpc_writer_finish(&copy, &second_length), SHMRPC_OK);
        assert_int_equal(first_length, second_length);
        assert_memory_equal(first, second, first_length);
    }
}

/* ------------------------------------------------------------------------------------------------
 * Contracts
 */

static void test_contracts_of_the_writer(void **state)
{
    (void)state;
    size_t length;
    start();
    expect_check_failure(shmrpc_writer_init(NULL, buffer, 1));
    expect_check_failure(shmrpc_writer_init(&writer, NULL, 1));
    expect_check_failure(shmrpc_write_null(NULL));
    expect_check_failure(shmrpc_write_bool(NULL, true));
    expect_check_failure(shmrpc_write_int64(NULL, 1));
    expect_check_failure(shmrpc_write_uint64(NULL, 1));
    expect_check_failure(shmrpc_write_double(NULL, 1));
    expect_check_failure(shmrpc_write_string(NULL, "s", 1));
    expect_check_failure(shmrpc_write_object_begin(NULL));
    expect_check_failure(shmrpc_write_object_end(NULL));
    expect_check_failure(shmrpc_write_array_begin(NULL));
    expect_check_failure(shmrpc_write_array_end(NULL));
    expect_check_failure_below(shmrpc_writer_value(NULL, "1", 1));
    expect_check_failure_below(shmrpc_write_key(NULL, "k", 1));
    expect_check_failure(shmrpc_write_key(&writer, NULL, 1));
    expect_check_failure(shmrpc_write_string(&writer, NULL, 1));
    start();
    expect_check_failure_below(shmrpc_write_string(&writer, buffer, SIZE_MAX));
    expect_check_failure(shmrpc_write_json(NULL, "1", 1));
    expect_check_failure(shmrpc_write_json(&writer, NULL, 1));
    expect_check_failure(shmrpc_writer_value(&writer, NULL, 1));
    expect_check_failure(shmrpc_writer_value(&writer, "1", 0));
    expect_check_failure(shmrpc_writer_raw(NULL, "1", 1));
    expect_check_failure_below(shmrpc_writer_raw(&writer, NULL, 1));
    expect_check_failure(support_ignore(shmrpc_writer_complete(NULL)));
    expect_check_failure(support_ignore(shmrpc_writer_finish(NULL, &length)));
    expect_check_failure(support_ignore(shmrpc_writer_finish(&writer, NULL)));
}

static void test_broken_writers_are_noticed(void **state)
{
    (void)state;
    size_t length;
    start();
    writer.at = writer.end + 1;
    expect_check_failure_below(shmrpc_write_null(&writer));
    start();
    writer.depth = SHMRPC_JSON_DEPTH + 1;
    expect_check_failure_below(shmrpc_write_array_end(&writer));
    expect_check_failure(support_ignore(shmrpc_writer_finish(&writer, &length)));
    start();
    writer.have_key = true;
    expect_check_failure_below(shmrpc_write_key(&writer, "k", 1));
    start();
    writer.begin = writer.at + 1;
    expect_check_failure(shmrpc_writer_raw(&writer, "1", 1));
    expect_check_failure(support_ignore(shmrpc_writer_complete(&writer)));
    /* Also before what is refused anyway. */
    expect_check_failure(shmrpc_write_double(&writer, NAN));
    expect_check_failure(shmrpc_write_json(&writer, "!", 1));
}

int main(void)
{
    support_limit_seconds(120);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_SRPC_JSON_012_documents_are_written_as_json),
        cmocka_unit_test(test_SRPC_JSON_010_integers_are_written_exactly),
        cmocka_unit_test(test_SRPC_JSON_011_every_ascii_character),
        cmocka_unit_test(test_SRPC_JSON_011_random_strings_survive),
        cmocka_unit_test(test_SRPC_JSON_012_invalid_utf8_is_never_written),
        cmocka_unit_test(test_SRPC_JSON_013_doubles_have_a_fraction_or_an_exponent),
        cmocka_unit_test(test_SRPC_JSON_013_doubles_read_back_and_are_shortest),
        cmocka_unit_test(test_SRPC_JSON_009_nan_and_infinities_are_errors),
        cmocka_unit_test(test_SRPC_JSON_013_numbers_do_not_follow_the_locale),
        cmocka_unit_test(test_SRPC_JSON_015_levels),
        cmocka_unit_test(test_SRPC_JSON_015_each_level_has_its_bit),
        cmocka_unit_test(test_SRPC_JSON_015_levels_of_ready_json_count),
        cmocka_unit_test(test_SRPC_JSON_015_a_level_too_many_is_not_passed_over),
        cmocka_unit_test(test_SRPC_JSON_012_ready_json_is_validated),
        cmocka_unit_test(test_calls_out_of_order_are_invalid),
        cmocka_unit_test(test_raw_bytes_are_verbatim),
        cmocka_unit_test(test_every_capacity),
        cmocka_unit_test(test_what_fits_exactly_fits),
        cmocka_unit_test(test_absurd_capacities_do_not_wrap),
        cmocka_unit_test(test_SRPC_JSON_012_random_documents_survive_copies),
        cmocka_unit_test(test_contracts_of_the_writer),
        cmocka_unit_test(test_broken_writers_are_noticed),
    };
    return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}

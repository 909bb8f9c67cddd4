/* SPDX-License-Identifier: MIT
 *
 * Room error: the error classes under their names, and texts that stay one clean line.
 *
 * Cannot be fired: ENSURE(length >= 0), since vsnprintf() fails on no format that we use.
 */
#include "../../src/error.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The compiler knows a null format when it sees one. */
static const char *volatile no_format;

static void test_SRPC_ERR_001_every_class_under_its_name(void **state)
{
    (void)state;
    static const char *const names[] = {
        "ok",       "timeout",   "not_found",     "busy",         "peer_gone_not_started",
        "peer_gone_maybe_executed", "protocol",   "too_large",    "serialization",
        "method_error",             "system",     "invalid",
    };
    enum { COUNT = sizeof names / sizeof names[0] };
    assert_int_equal(SHMRPC_INVALID, COUNT - 1);
    for (int i = 0; i < COUNT; i++) {
        const char *text = shmrpc_status_text((enum shmrpc_status)i);
        assert_string_equal(shmrpc_status_name((enum shmrpc_status)i), names[i]);
        assert_true(text[0] >= 'A' && text[0] <= 'Z');
        assert_int_equal(text[strlen(text) - 1], '.');
    }
    assert_string_equal(shmrpc_status_name((enum shmrpc_status)COUNT), "unknown");
    assert_string_equal(shmrpc_status_name((enum shmrpc_status)-1), "unknown");
    assert_non_null(strstr(shmrpc_status_text((enum shmrpc_status)COUNT), "not known"));
    assert_string_equal(shmrpc_version(), SHMRPC_VERSION);
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", SHMRPC_VERSION_MAJOR, SHMRPC_VERSION_MINOR,
             SHMRPC_VERSION_PATCH);
    assert_string_equal(shmrpc_version(), version);
}

static void test_set_fills_and_returns(void **state)
{
    (void)state;
    struct shmrpc_error error;
    memset(&error, 0xee, sizeof error);
    errno = ENOENT;
    assert_int_equal(shmrpc_error_set(&error, SHMRPC_BUSY, "held by %d", 42), SHMRPC_BUSY);
    assert_int_equal(error.status, SHMRPC_BUSY);
    assert_int_equal(error.system_errno, 0);
    assert_string_equal(error.text, "held by 42");
    assert_int_equal(shmrpc_error_set(NULL, SHMRPC_TIMEOUT, "nobody reads this"), SHMRPC_TIMEOUT);
    shmrpc_error_clear(&error);
    assert_int_equal(error.status, SHMRPC_OK);
    assert_int_equal(error.system_errno, 0);
    assert_string_equal(error.text, "");
}

static void test_SRPC_ERR_001_system_says_errno_and_keeps_it(void **state)
{
    (void)state;
    struct shmrpc_error error;
    errno = ENOSPC;
    assert_int_equal(shmrpc_error_system(&error, "cannot make %s", "it"), SHMRPC_SYSTEM);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(error.status, SHMRPC_SYSTEM);
    assert_int_equal(error.system_errno, ENOSPC);
    assert_string_equal(error.text, "cannot make it: No space left on device");
    errno = EACCES;
    assert_int_equal(shmrpc_error_system(NULL, "nobody reads this"), SHMRPC_SYSTEM);
    assert_int_equal(errno, EACCES);
    errno = 99999;
    assert_int_equal(shmrpc_error_system(&error, "odd"), SHMRPC_SYSTEM);
    assert_string_equal(error.text, "odd: unknown errno");
    errno = 0;
}

static void test_SRPC_SEC_002_no_control_character_gets_through(void **state)
{
    (void)state;
    struct shmrpc_error error;
    char text[260] = "";
    size_t length = 0;
    for (int byte = 1; byte < 0x80; byte++)
        text[length++] = (char)byte;
    /* The controls U+0080 to U+009F, which some terminals obey, and their neighbour U+00A0. */
    for (int byte = 0x80; byte <= 0xa0; byte++) {
        text[length++] = '\xc2';
        text[length++] = (char)byte;
    }
    assert_int_equal(shmrpc_error_set(&error, SHMRPC_PROTOCOL, "%s", text), SHMRPC_PROTOCOL);
    assert_int_equal(strlen(error.text), length);
    for (size_t i = 0; i < 0x7f; i++)
        assert_int_equal(error.text[i], i + 1 < 0x20 || i + 1 == 0x7f ? ' ' : (char)(i + 1));
    for (size_t i = 0x7f; i < length - 2; i++)
        assert_int_equal(error.text[i], ' ');
    assert_string_equal(error.text + length - 2, "\xc2\xa0");
    /* Other characters stay, those with such bytes inside too. */
    assert_int_equal(shmrpc_error_set(&error, SHMRPC_PROTOCOL, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
                     SHMRPC_PROTOCOL);
    assert_string_equal(error.text, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void test_a_long_text_is_cut_and_terminated(void **state)
{
    (void)state;
    struct {
        struct shmrpc_error error;
        char behind[8];
    } box;
    char text[2000];
    memset(text, 't', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t length = sizeof box.error.text - 60; length < sizeof box.error.text + 2; length++) {
        memset(&box, 'b', sizeof box);
        errno = ENOENT;
        assert_int_equal(shmrpc_error_system(&box.error, "%.*s", (int)length, text), SHMRPC_SYSTEM);
        size_t whole = length + strlen(": No such file or directory");
        size_t most = sizeof box.error.text - 1;
        assert_int_equal(strlen(box.error.text), whole < most ? whole : most);
        assert_memory_equal(box.behind, "bbbbbbbb", 8);
        assert_int_equal(box.error.system_errno, ENOENT);
    }
    errno = 0;
}

static void test_a_cut_text_ends_with_a_whole_character(void **state)
{
    (void)state;
    static const char *const characters[] = {"t", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    struct shmrpc_error error;
    for (size_t width = 1; width <= 4; width++)
        for (size_t before = 0; before < width; before++) {
            char text[2 * sizeof error.text];
            memset(text, 'a', before);
            size_t length = before;
            for (; length + width < sizeof text; length += width)
                memcpy(text + length, characters[width - 1], width);
            text[length] = '\0';
            assert_int_equal(shmrpc_error_set(&error, SHMRPC_BUSY, "%s", text), SHMRPC_BUSY);
            size_t most = sizeof error.text - 1;
            assert_int_equal(strlen(error.text), most - (most - before) % width);
            assert_memory_equal(error.text, text, strlen(error.text));
        }
    /* Bytes that are no characters are left alone, however many they are. */
    char junk[2 * sizeof error.text];
    memset(junk, '\x81', sizeof junk - 1);
    junk[sizeof junk - 1] = '\0';
    assert_int_equal(shmrpc_error_set(&error, SHMRPC_BUSY, "%s", junk), SHMRPC_BUSY);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

/* Half a character is none, so what stands beside it is left alone, too. */
static void test_SRPC_SEC_002_a_lone_lead_byte_takes_nothing_with_it(void **state)
{
    (void)state;
    struct shmrpc_error error;
    support_ignore(shmrpc_error_set(&error, SHMRPC_BUSY, "%s", "\xc2Z \xc2\x7f \xc2"));
    assert_string_equal(error.text, "\xc2Z \xc2  \xc2");
}

/* The first and the last lead byte of each length, cut in each place where it can be. */
static void test_SRPC_SEC_002_every_lead_byte_counts_its_character(void **state)
{
    (void)state;
    static const struct {
        unsigned char first;
        size_t width;
    } leads[] = {{0xc2, 2}, {0xdf, 2}, {0xe0, 3}, {0xef, 3}, {0xf0, 4}, {0xf4, 4}, {0xc0, 2}};
    struct shmrpc_error error;
    enum { MOST = sizeof error.text - 1 };
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++)
        for (size_t kept = 1; kept <= leads[i].width; kept++) {
            char text[MOST + 5];
            memset(text, 'a', MOST - kept);
            text[MOST - kept] = (char)leads[i].first;
            memset(text + MOST - kept + 1, '\x90', 4);
            text[MOST + 4] = '\0';
            support_ignore(shmrpc_error_set(&error, SHMRPC_BUSY, "%s", text));
            assert_int_equal(strlen(error.text), kept == leads[i].width ? MOST : MOST - kept);
        }
    /* A byte that stands alone is no beginning: what comes before it is no character's first byte. */
    char text[MOST + 2];
    memset(text, 'a', sizeof text);
    text[MOST - 1] = '\x90';
    text[MOST + 1] = '\0';
    support_ignore(shmrpc_error_set(&error, SHMRPC_BUSY, "%s", text));
    assert_int_equal(strlen(error.text), MOST);
}

static void call_shmrpc_error_fill(struct shmrpc_error *error, enum shmrpc_status status,
                                   int number, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    shmrpc_error_fill(error, status, number, format, arguments);
    va_end(arguments);
}

static void test_assertions(void **state)
{
    (void)state;
    struct shmrpc_error error;
    expect_check_failure(support_ignore(shmrpc_error_set(&error, SHMRPC_OK, "no failure")));
    expect_check_failure(support_ignore(shmrpc_error_set(&error, SHMRPC_BUSY, no_format)));
    const enum shmrpc_status none = (enum shmrpc_status)(SHMRPC_INVALID + 1);
    expect_check_failure(support_ignore(shmrpc_error_set(&error, none, "no such status")));
    expect_check_failure(call_shmrpc_error_fill(NULL, SHMRPC_BUSY, 0, "no error"));
    expect_check_failure(call_shmrpc_error_fill(&error, SHMRPC_BUSY, 0, no_format));
    expect_check_failure(call_shmrpc_error_fill(&error, SHMRPC_OK, 0, "no failure"));
    expect_check_failure(call_shmrpc_error_fill(&error, SHMRPC_BUSY, EIO, "no system call"));
    errno = 0;
    expect_check_failure(support_ignore(shmrpc_error_system(&error, "no errno")));
    errno = EIO;
    expect_check_failure(support_ignore(shmrpc_error_system(&error, no_format)));
    errno = 0;
    expect_check_failure(shmrpc_error_clear(NULL));
}

int main(void)
{
    support_limit_seconds(30);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_SRPC_ERR_001_every_class_under_its_name),
        cmocka_unit_test(test_set_fills_and_returns),
        cmocka_unit_test(test_SRPC_ERR_001_system_says_errno_and_keeps_it),
        cmocka_unit_test(test_SRPC_SEC_002_no_control_character_gets_through),
        cmocka_unit_test(test_a_long_text_is_cut_and_terminated),
        cmocka_unit_test(test_a_cut_text_ends_with_a_whole_character),
        cmocka_unit_test(test_SRPC_SEC_002_every_lead_byte_counts_its_character),
        cmocka_unit_test(test_SRPC_SEC_002_a_lone_lead_byte_takes_nothing_with_it),
        cmocka_unit_test(test_assertions),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT
 *
 * Room frame: length word and bytes, on blocks of exactly the segment's size, so that AddressSanitizer
 * and valgrind see every access behind it.
 */
#include "frame.h"
#include "vectors.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static uint32_t length_word(const void *slot)
{
    uint32_t word;
    memcpy(&word, slot, sizeof word);
    return word;
}

static void *block(size_t bytes, int fill)
{
    void *memory = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(memory);
    memset(memory, fill, bytes);
    return memory;
}

/* A segment that begins as the vector says, zeros behind it. */
static unsigned char *vector_segment(const cJSON *vector, size_t capacity)
{
    size_t length;
    char *start = vectors_decode(vectors_string(vector, "segment_hex"), true, &length);
    unsigned char *segment = block(capacity + 4, 0);
    assert_true(length >= 4 && length <= capacity + 4);
    memcpy(segment, start, length);
    free(start);
    if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) {
        uint32_t swapped = __builtin_bswap32(length_word(segment));
        memcpy(segment, &swapped, sizeof swapped);
    }
    return segment;
}

static size_t vector_capacity(const cJSON *vector)
{
    return (size_t)cJSON_GetObjectItemCaseSensitive(vector, "capacity")->valuedouble;
}

static void check_read_vector(const cJSON *vector)
{
    size_t capacity = vector_capacity(vector);
    unsigned char *segment = vector_segment(vector, capacity);
    unsigned char *before = block(capacity + 4, 0);
    memcpy(before, segment, capacity + 4);
    unsigned char *out = block(capacity, 0xaa);
    size_t length = 12345;
    enum shmrpc_status status = shmrpc_frame_read(segment, capacity, out, &length);
    if (vectors_verdict(vector, "ok")) {
        size_t expected_length;
        char *expected = vectors_decode(vectors_string(vector, "payload_hex"), true, &expected_length);
        assert_int_equal(status, SHMRPC_OK);
        assert_int_equal(length, expected_length);
        assert_memory_equal(out, expected, expected_length);
        for (size_t i = expected_length; i < capacity; i++)
            assert_int_equal(out[i], 0xaa); /* nothing behind the message was copied */
        free(expected);
    } else {
        assert_true(vectors_verdict(vector, "protocol"));
        assert_int_equal(status, SHMRPC_PROTOCOL);
        assert_int_equal(length, 12345);
    }
    assert_int_equal(length_word(segment), 0);
    assert_memory_equal(segment + 4, before + 4, capacity);
    free(out);
    free(before);
    free(segment);
}

static void test_SRPC_FRAME_001_SRPC_FRAME_002_SRPC_FRAME_004_SRPC_FRAME_005_read(void **state)
{
    (void)state;
    cJSON *tree = vectors_read("frames.json");
    const cJSON *vector;
    size_t count = 0;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItemCaseSensitive(tree, "read"))
    {
        check_read_vector(vector);
        count++;
    }
    assert_true(count >= 20);
    cJSON_Delete(tree);
}

static void check_write_vector(const cJSON *vector)
{
    size_t capacity = vector_capacity(vector);
    size_t length;
    char *payload = vectors_decode(vectors_string(vector, "payload_hex"), true, &length);
    unsigned char *slot = block(capacity + 4, 0);
    if (vectors_verdict(vector, "ok")) {
        unsigned char *expected = vector_segment(vector, capacity);
        memcpy(shmrpc_frame_body(slot), payload, length);
        shmrpc_frame_seal(slot, capacity, length);
        assert_memory_equal(slot, expected, capacity + 4);
        free(expected);
    } else {
        /* Who sends has refused it before; here it is a bug of our own, and nothing is written. */
        assert_true(vectors_verdict(vector, "too_large"));
        assert_true(length > capacity);
        expect_check_failure(shmrpc_frame_seal(slot, capacity, length));
        assert_int_equal(length_word(slot), 0);
    }
    free(slot);
    free(payload);
}

static void test_SRPC_FRAME_001_SRPC_FRAME_003_write(void **state)
{
    (void)state;
    cJSON *tree = vectors_read("frames.json");
    const cJSON *vector;
    size_t count = 0;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItemCaseSensitive(tree, "write"))
    {
        check_write_vector(vector);
        count++;
    }
    assert_true(count >= 5);
    cJSON_Delete(tree);
}

static void test_SRPC_FRAME_004_every_length_around_every_small_capacity(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity < 70; capacity++)
        for (uint32_t claimed = 0; claimed < 80; claimed++) {
            unsigned char *slot = block(capacity + 4, 0x5a);
            unsigned char *out = block(capacity, 0);
            size_t length = 99;
            memcpy(slot, &claimed, sizeof claimed);
            enum shmrpc_status status = shmrpc_frame_read(slot, capacity, out, &length);
            assert_int_equal(status, claimed <= capacity ? SHMRPC_OK : SHMRPC_PROTOCOL);
            assert_int_equal(length, claimed <= capacity ? claimed : 99);
            assert_int_equal(length_word(slot), 0);
            free(out);
            free(slot);
        }
}

static void test_SRPC_FRAME_008_a_second_read_finds_nothing(void **state)
{
    (void)state;
    _Alignas(uint32_t) char slot[4 + 16] = {0};
    char out[16];
    size_t length;
    memcpy(shmrpc_frame_body(slot), "once", 4);
    shmrpc_frame_seal(slot, 16, 4);
    assert_int_equal(shmrpc_frame_read(slot, 16, out, &length), SHMRPC_OK);
    assert_int_equal(length, 4);
    assert_int_equal(shmrpc_frame_read(slot, 16, out, &length), SHMRPC_OK);
    assert_int_equal(length, 0);
    shmrpc_frame_seal(slot, 16, 4);
    shmrpc_frame_clear(slot);
    assert_int_equal(length_word(slot), 0);
    assert_memory_equal(slot + 4, "once", 4);
}

static void test_SRPC_FRAME_007_the_copy_is_the_readers_own(void **state)
{
    (void)state;
    _Alignas(uint32_t) char slot[4 + 16] = {0};
    char out[16];
    size_t length;
    memcpy(shmrpc_frame_body(slot), "before", 6);
    shmrpc_frame_seal(slot, 16, 6);
    assert_int_equal(shmrpc_frame_read(slot, 16, out, &length), SHMRPC_OK);
    memset(slot, 'x', sizeof slot);
    assert_int_equal(length, 6);
    assert_memory_equal(out, "before", 6);
}

enum { HOSTILE_CAPACITY = 64 };

struct hostile {
    uint32_t *slot;
    atomic_bool stop;
};

/* A peer that keeps changing the length between one that fits, one that almost does, and the
 * largest there is. */
static void *rewrite_length(void *argument)
{
    struct hostile *hostile = argument;
    static const uint32_t lengths[] = {8, HOSTILE_CAPACITY + 1, UINT32_MAX, 0, HOSTILE_CAPACITY};
    for (unsigned i = 0; !atomic_load_explicit(&hostile->stop, memory_order_relaxed); i++)
        __atomic_store_n(hostile->slot, lengths[i % 5], __ATOMIC_RELAXED);
    return NULL;
}

static void test_SRPC_FRAME_006_SRPC_SEC_001_a_length_that_changes_meanwhile(void **state)
{
    (void)state;
    struct hostile hostile = {.slot = block(4 + HOSTILE_CAPACITY, 'h')};
    unsigned char *out = block(HOSTILE_CAPACITY, 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, rewrite_length, &hostile), 0);
    int rounds = support_under_valgrind() ? 2000 : 300000;
    for (int i = 0; i < rounds; i++) {
        size_t length = 12345;
        enum shmrpc_status status =
            shmrpc_frame_read(hostile.slot, HOSTILE_CAPACITY, out, &length);
        if (status == SHMRPC_OK) {
            /* One of the lengths that were there, and never one of those that do not fit. */
            assert_true(length == 0 || length == 8 || length == HOSTILE_CAPACITY);
        } else {
            assert_int_equal(status, SHMRPC_PROTOCOL);
            assert_int_equal(length, 12345);
        }
        support_ignore(shmrpc_frame_begins(hostile.slot, HOSTILE_CAPACITY, out, HOSTILE_CAPACITY));
    }
    atomic_store(&hostile.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    free(out);
    free(hostile.slot);
}

static void test_SRPC_CALL_007_whether_a_slot_begins_with_ones_own_bytes(void **state)
{
    (void)state;
    unsigned char *slot = block(4 + 8, 0);
    memcpy(shmrpc_frame_body(slot), "abcdefgh", 8);
    shmrpc_frame_seal(slot, 8, 8);
    assert_true(shmrpc_frame_begins(slot, 8, "abcdefgh", 8));
    assert_true(shmrpc_frame_begins(slot, 8, "abc", 3));
    assert_true(shmrpc_frame_begins(slot, 8, "", 0));
    assert_false(shmrpc_frame_begins(slot, 8, "abd", 3));
    assert_false(shmrpc_frame_begins(slot, 8, "abcdefgx", 8));
    shmrpc_frame_seal(slot, 8, 2);
    assert_true(shmrpc_frame_begins(slot, 8, "ab", 2));
    assert_false(shmrpc_frame_begins(slot, 8, "abc", 3)); /* the rest is stale */
    uint32_t impossible = 9;
    memcpy(slot, &impossible, sizeof impossible);
    assert_false(shmrpc_frame_begins(slot, 8, "abc", 3));
    impossible = UINT32_MAX;
    memcpy(slot, &impossible, sizeof impossible);
    assert_false(shmrpc_frame_begins(slot, 8, "", 0));
    free(slot);
}

static void test_assertions(void **state)
{
    (void)state;
    uint32_t slot[5] = {0};
    char out[16];
    size_t length;
    expect_check_failure(shmrpc_frame_seal(NULL, 16, 1));
    expect_check_failure(shmrpc_frame_seal(slot, 16, 17));
    expect_check_failure(shmrpc_frame_seal(slot, (size_t)UINT32_MAX + 1, 1));
    expect_check_failure(shmrpc_frame_seal((char *)slot + 2, 8, 1));
    expect_check_failure_below(shmrpc_frame_clear(NULL));
    expect_check_failure(support_ignore(shmrpc_frame_alloc(0) != NULL));
    expect_check_failure(support_ignore(shmrpc_frame_alloc((size_t)UINT32_MAX + 1) != NULL));
    expect_check_failure(shmrpc_frame_free((char *)slot + 2));
    expect_check_failure_below(support_ignore(shmrpc_frame_read((char *)slot + 2, 8, out, &length)));
    expect_check_failure_below(support_ignore(shmrpc_frame_read(NULL, 16, out, &length)));
    expect_check_failure(support_ignore(shmrpc_frame_read(slot, 16, NULL, &length)));
    expect_check_failure(support_ignore(shmrpc_frame_read(slot, 16, out, NULL)));
    expect_check_failure_below(support_ignore(shmrpc_frame_begins(NULL, 16, out, 1)));
    expect_check_failure(support_ignore(shmrpc_frame_begins(slot, 16, NULL, 1)));
    expect_check_failure(support_ignore(shmrpc_frame_begins(slot, 16, out, 17)));
}

/* Around the ends of pages: all of it is there, and the sanitizers see where it ends. */
static void test_a_copy_has_its_whole_capacity(void **state)
{
    (void)state;
    for (size_t capacity = 1; capacity < 3 * 4096; capacity += capacity % 4096 < 4080 ? 255 : 1) {
        char *copy = shmrpc_frame_alloc(capacity);
        assert_non_null(copy);
        assert_int_equal((uintptr_t)copy % 4096, 4);
        memset(copy, 0x5A, capacity);
        shmrpc_frame_free(copy);
    }
    shmrpc_frame_free(NULL);
}

int main(void)
{
    support_limit_seconds(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_SRPC_FRAME_001_SRPC_FRAME_002_SRPC_FRAME_004_SRPC_FRAME_005_read),
        cmocka_unit_test(test_SRPC_FRAME_001_SRPC_FRAME_003_write),
        cmocka_unit_test(test_SRPC_FRAME_004_every_length_around_every_small_capacity),
        cmocka_unit_test(test_SRPC_FRAME_008_a_second_read_finds_nothing),
        cmocka_unit_test(test_SRPC_FRAME_007_the_copy_is_the_readers_own),
        cmocka_unit_test(test_SRPC_FRAME_006_SRPC_SEC_001_a_length_that_changes_meanwhile),
        cmocka_unit_test(test_SRPC_CALL_007_whether_a_slot_begins_with_ones_own_bytes),
        cmocka_unit_test(test_assertions),
        cmocka_unit_test(test_a_copy_has_its_whole_capacity),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}

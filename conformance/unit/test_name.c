/* SPDX-License-Identifier: MIT
 *
 * Room name: what can name a channel, which files are its objects, and the way back.
 *
 * Cannot be fired: the two ENSUREs of shmrpc_name_object(), since a checked name always fits.
 */
#include "../../src/error.h"
#include "name.h"
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

/* A vector's bytes as a C string; null if they hold a NUL, which no C name can. */
static char *as_name(const cJSON *vector, const char *key)
{
    size_t length;
    char *bytes = vectors_bytes(vector, key, &length);
    assert_non_null(bytes);
    char *name = malloc(length + 1);
    assert_non_null(name);
    memcpy(name, bytes, length);
    name[length] = '\0';
    free(bytes);
    if (strlen(name) == length)
        return name;
    free(name);
    return NULL;
}

static void check_files(const cJSON *vector, const char *name)
{
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(vector, "files");
    bool hex = files == NULL;
    if (hex)
        files = cJSON_GetObjectItemCaseSensitive(vector, "files_hex");
    assert_int_equal(cJSON_GetArraySize(files), SHMRPC_OBJECT_COUNT);
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        size_t length;
        char *expected = vectors_decode(cJSON_GetArrayItem(files, (int)i)->valuestring, hex, &length);
        char file[SHMRPC_FILE_NAME_BYTES];
        shmrpc_name_object(name, (enum shmrpc_object)i, file);
        assert_int_equal(strlen(file), length);
        assert_memory_equal(file, expected, length);
        free(expected);
    }
}

static void test_SRPC_NAME_001_SRPC_NAME_002_SRPC_NAME_003_vectors(void **state)
{
    (void)state;
    cJSON *tree = vectors_read("names.json");
    size_t accepted = 0;
    size_t refused = 0;
    const cJSON *vector;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItemCaseSensitive(tree, "names"))
    {
        char *name = as_name(vector, "name");
        if (name == NULL) {
            assert_true(vectors_verdict(vector, "invalid"));
            continue;
        }
        struct shmrpc_error error = {.status = SHMRPC_OK};
        enum shmrpc_status status = shmrpc_name_check(name, &error);
        if (vectors_verdict(vector, "ok")) {
            assert_int_equal(status, SHMRPC_OK);
            check_files(vector, name);
            accepted++;
        } else {
            assert_true(vectors_verdict(vector, "invalid"));
            assert_int_equal(status, SHMRPC_INVALID);
            assert_int_equal(error.status, SHMRPC_INVALID);
            assert_true(strlen(error.text) > 0);
            assert_int_equal(shmrpc_name_check(name, NULL), SHMRPC_INVALID);
            refused++;
        }
        free(name);
    }
    assert_true(accepted >= 20);
    assert_true(refused >= 4);
    cJSON_Delete(tree);
}

/* The way back gives name and object again, so no two pairs of them share a file. */
static void check_way_back(const char *name)
{
    assert_int_equal(shmrpc_name_check(name, NULL), SHMRPC_OK);
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        char file[SHMRPC_FILE_NAME_BYTES];
        char back[SHMRPC_MAX_NAME_BYTES + 1];
        enum shmrpc_object object = SHMRPC_OBJECT_COUNT;
        shmrpc_name_object(name, (enum shmrpc_object)i, file);
        assert_true(shmrpc_name_parse(file, back, &object));
        assert_string_equal(back, name);
        assert_int_equal(object, i);
    }
}

static void test_SRPC_NAME_004_no_two_names_share_a_file(void **state)
{
    (void)state;
    /* Names put together from pieces of prefixes and suffixes are the ones that could collide. */
    static const char *const pieces[] = {"a",     "_req",       "_resp",     "_req_empty",
                                         "srb_",  "_req_full",  "sem.srb_",  "_resp_full",
                                         "_full", "_resp_empty", "_empty",   "_"};
    enum { PIECES = sizeof pieces / sizeof pieces[0] };
    for (size_t i = 0; i < PIECES; i++)
        for (size_t j = 0; j < PIECES; j++)
            for (size_t k = 0; k < PIECES; k++) {
                char name[64] = "";
                strcat(strcat(strcat(name, pieces[i]), pieces[j]), pieces[k]);
                check_way_back(name);
            }
}

static void test_SRPC_NAME_002_SRPC_NAME_005_every_byte_and_length(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char name[2] = {(char)byte, '\0'};
        if (byte == '/')
            assert_int_equal(shmrpc_name_check(name, NULL), SHMRPC_INVALID);
        else
            check_way_back(name);
    }
    char name[SHMRPC_MAX_NAME_BYTES + 2] = "";
    for (size_t length = 1; length <= SHMRPC_MAX_NAME_BYTES; length++) {
        name[length - 1] = (char)('A' + length % 26);
        check_way_back(name);
    }
    name[SHMRPC_MAX_NAME_BYTES] = 'x';
    assert_int_equal(shmrpc_name_check(name, NULL), SHMRPC_INVALID);
    assert_int_equal(shmrpc_name_check("", NULL), SHMRPC_INVALID);
}

static void test_SRPC_NAME_003_a_slash_anywhere_is_refused(void **state)
{
    (void)state;
    char name[SHMRPC_MAX_NAME_BYTES + 1] = "";
    memset(name, 'n', SHMRPC_MAX_NAME_BYTES);
    for (size_t at = 0; at < SHMRPC_MAX_NAME_BYTES; at++) {
        name[at] = '/';
        struct shmrpc_error error;
        assert_int_equal(shmrpc_name_check(name, &error), SHMRPC_INVALID);
        assert_non_null(strstr(error.text, "'/'"));
        name[at] = 'n';
    }
}

static void test_SRPC_SEC_002_a_refusal_shows_no_control_characters(void **state)
{
    (void)state;
    struct shmrpc_error error;
    assert_int_equal(shmrpc_name_check("/\x1b[2J\n\x7f\xc2\x9b", &error), SHMRPC_INVALID);
    for (const char *at = error.text; *at != '\0'; at++)
        assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
    assert_null(strstr(error.text, "\xc2\x9b"));
}

static void test_other_files_are_no_objects(void **state)
{
    (void)state;
    static const char *const others[] = {
        "",           "srb_",      "srb__req",   "srb_a",          "srb_a_reqx",
        "xsrb_a_req", "sem.srb_a", "_req",       "srb_a_req_full", "sem.srb_a_req",
        "sem.abcdef", "srb_req",   "SRB_a_req",  "srb_a_resp_",    "sem.srb__req_empty",
        "sem.srb_req_empty",       "shm_rpc_bridge_a_req",
    };
    char name[SHMRPC_MAX_NAME_BYTES + 1] = "untouched";
    enum shmrpc_object object = SHMRPC_OBJECT_COUNT;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (shmrpc_name_parse(others[i], name, &object))
            fail_msg("\"%s\" was taken for an object", others[i]);
    char file[512] = "srb_";
    memset(file + 4, 'n', SHMRPC_MAX_NAME_BYTES + 1);
    strcpy(file + 4 + SHMRPC_MAX_NAME_BYTES + 1, "_req");
    assert_false(shmrpc_name_parse(file, name, &object));
    assert_string_equal(name, "untouched");
    assert_int_equal(object, SHMRPC_OBJECT_COUNT);
}

static void test_assertions(void **state)
{
    (void)state;
    char file[SHMRPC_FILE_NAME_BYTES];
    char name[SHMRPC_MAX_NAME_BYTES + 1];
    enum shmrpc_object object;
    expect_check_failure(support_ignore(shmrpc_name_check(NULL, NULL)));
    expect_check_failure(shmrpc_name_object("", SHMRPC_OBJECT_REQ, file));
    expect_check_failure(shmrpc_name_object("a/b", SHMRPC_OBJECT_REQ, file));
    expect_check_failure(shmrpc_name_object("a", SHMRPC_OBJECT_COUNT, file));
    expect_check_failure(support_ignore(shmrpc_name_parse(NULL, name, &object)));
    expect_check_failure(support_ignore(shmrpc_name_parse("srb_a_req", NULL, &object)));
    expect_check_failure(support_ignore(shmrpc_name_parse("srb_a_req", name, NULL)));
}

int main(void)
{
    support_limit_seconds(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_SRPC_NAME_001_SRPC_NAME_002_SRPC_NAME_003_vectors),
        cmocka_unit_test(test_SRPC_NAME_004_no_two_names_share_a_file),
        cmocka_unit_test(test_SRPC_NAME_002_SRPC_NAME_005_every_byte_and_length),
        cmocka_unit_test(test_SRPC_NAME_003_a_slash_anywhere_is_refused),
        cmocka_unit_test(test_SRPC_SEC_002_a_refusal_shows_no_control_characters),
        cmocka_unit_test(test_other_files_are_no_objects),
        cmocka_unit_test(test_assertions),
    };
    return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}

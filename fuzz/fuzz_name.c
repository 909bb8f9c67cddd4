/* SPDX-License-Identifier: MIT
 *
 * Input: two channel names with a NUL between them. Derived file names are legal, lead back to their
 * channel, and never meet those of another channel; the whole input is also a file name to parse.
 */
#include "harness.h"
#include "name.h"

#include <stdlib.h>
#include <string.h>

/* The judge: the rule of SRPC-NAME-002 and SRPC-NAME-003 in its own words. */
static bool legal(const char *name)
{
    size_t length = 0;
    for (; name[length] != '\0'; length++)
        if (name[length] == '/')
            return false;
    return length >= 1 && length <= 236;
}

static void check_file(const char *name, enum shmrpc_object object, const char *file)
{
    char back[SHMRPC_MAX_NAME_BYTES + 1];
    enum shmrpc_object which;
    size_t length = strnlen(file, SHMRPC_FILE_NAME_BYTES);
    ORACLE(length > strlen(name) && length <= 255);
    ORACLE(strchr(file, '/') == NULL);
    ORACLE(strstr(file, name) != NULL);
    ORACLE(strncmp(file, object <= SHMRPC_OBJECT_RESP ? "srb_" : "sem.srb_", 4) == 0);
    ORACLE(shmrpc_name_parse(file, back, &which));
    ORACLE(which == object && strcmp(back, name) == 0);
    harness_note(file, length);
}

/* What parses leads to the same file name again. */
static void check_parse(const char *file)
{
    char name[SHMRPC_MAX_NAME_BYTES + 1];
    char again[SHMRPC_FILE_NAME_BYTES];
    enum shmrpc_object object;
    bool parsed = shmrpc_name_parse(file, name, &object);
    harness_note_number(parsed);
    if (!parsed || strchr(file, '/') != NULL)
        return;
    ORACLE(shmrpc_name_check(name, NULL) == SHMRPC_OK);
    shmrpc_name_object(name, object, again);
    ORACLE(strcmp(again, file) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *gap = size > 0 ? memchr(data, 0, size) : NULL;
    size_t first = gap != NULL ? (size_t)(gap - data) : size;
    size_t second = gap != NULL ? strnlen((const char *)gap + 1, size - first - 1) : 0;
    char *a = harness_copy(data, first + 1 <= size ? first + 1 : first);
    a = realloc(a, first + 1);
    a[first] = '\0';
    char *b = harness_room(second + 1);
    if (second > 0)
        memcpy(b, gap + 1, second);
    b[second] = '\0';

    struct shmrpc_error error;
    bool ok_a = shmrpc_name_check(a, &error) == SHMRPC_OK;
    ORACLE(ok_a == legal(a));
    ORACLE(ok_a || (error.status == SHMRPC_INVALID && error.text[0] != '\0'));
    bool ok_b = shmrpc_name_check(b, NULL) == SHMRPC_OK;
    ORACLE(ok_b == legal(b));
    for (unsigned i = 0; ok_a && i < SHMRPC_OBJECT_COUNT; i++) {
        char file[SHMRPC_FILE_NAME_BYTES];
        shmrpc_name_object(a, (enum shmrpc_object)i, file);
        check_file(a, (enum shmrpc_object)i, file);
        for (unsigned j = 0; ok_b && j < SHMRPC_OBJECT_COUNT; j++) {
            char other[SHMRPC_FILE_NAME_BYTES];
            shmrpc_name_object(b, (enum shmrpc_object)j, other);
            ORACLE((strcmp(file, other) == 0) == (i == j && strcmp(a, b) == 0));
        }
    }
    check_parse(a);
    free(a);
    free(b);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *expected_in;

void support_expect_in(const char *text)
{
    expected_in = text;
}

/* Whether the text names the function of "shmrpc: FILE:LINE: FUNCTION: ...". */
static bool is_expected(const char *line)
{
    char function[128];
    return expected_in == NULL ||
           (sscanf(line, "shmrpc: %*[^:]:%*d: %127[^:]", function) == 1 &&
            strstr(expected_in, function) != NULL);
}

void support_check_hook(const char *line)
{
    if (!is_expected(line)) {
        fprintf(stderr, "another function's assertion than in %s: %s\n", expected_in, line);
        abort();
    }
    /* cmocka prints it only after the jump out of here, when the line itself is gone. */
    static char copy[512];
    strncpy(copy, line, sizeof copy - 1);
    mock_assert(0, copy, "", 0);
}

bool support_under_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

void support_limit_seconds(unsigned seconds)
{
    alarm(support_under_valgrind() ? 10 * seconds : seconds);
}

uint64_t support_random(void)
{
    static uint64_t state = UINT64_C(0x9E3779B97F4A7C15);
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(0x2545F4914F6CDD1D);
}

size_t support_random_below(size_t limit)
{
    return (size_t)(support_random() % limit);
}

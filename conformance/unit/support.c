/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void support_check_hook(const char *line)
{
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

/* SPDX-License-Identifier: MIT
 *
 * The vectors are read through cJSON, which is not built under MSan: what it writes would count as
 * never written. So cJSON gets memory that counts as written. Our own allocations stay as they are.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>

static void *written(size_t bytes)
{
    return calloc(1, bytes);
}

__attribute__((constructor)) static void hook(void)
{
    cJSON_Hooks hooks = {written, free};

    cJSON_InitHooks(&hooks);
}

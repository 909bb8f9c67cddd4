/* SPDX-License-Identifier: MIT
 *
 * The rows and the sections of the benchmark. The array's order is that of a round.
 */
#include "bench.h"

#include <string.h>

const struct row rows[ROW_COUNT] = {
    {"copy-limit", "peer-copy-limit", "-", "the floor: spin on one word a direction, four copies",
     false, false, 0.3, 0.15},
    {"block-limit", "peer-block-limit", "-", "the floor of blocking: four semaphores, four copies",
     false, false, 15, 0.2},
    {"shmrpc-adaptive", "peer-shmrpc", "adaptive", "SHM-RPC as it is by default: spin, then block",
     false, false, 1, 0.3},
    {"shmrpc-spin", "peer-shmrpc", "spin", "SHM-RPC, spinning only", false, false, 1, 0.3},
    {"shmrpc-block", "peer-shmrpc", "block", "SHM-RPC, blocking at once", false, false, 18, 0.4},
    {"grpc-c-uds", "peer-grpc-c", "block", "gRPC C core and protobuf-c over a Unix socket", false,
     true, 60, 2},
    {"grpc-c-uds-poll", "peer-grpc-c", "poll", "the same, both sides polling instead of sleeping",
     false, true, 36, 2},
    {"grpc-cpp-uds", "peer-grpc-cpp", "-", "gRPC C++, synchronous stub and service", false, true,
     90, 4},
    {"json-uds", "peer-json-uds", "-", "SHM-RPC's JSON and envelope over a Unix socket", false,
     true, 30, 0.7},
    {"shm-rpc-bridge-py", "shm-rpc-bridge-py", "-", "the original Python package", true, false, 50,
     4},
    {"grpc-py-uds", "grpc-py-uds", "-", "gRPC for Python over a Unix socket", true, true, 250, 3},
};

const struct section sections[SECTION_COUNT] = {
    [SEED] = {"seed", "Back to back", "one letter repeated, calls back to back", 1, 0, 0, false,
              true, false, false},
    [ESCAPES] = {"escapes", "Escapes and non-ASCII",
                 "text full of escapes and non-ASCII, calls back to back", 1, 0, 0, true, true,
                 false, false},
    [PACED] = {"paced", "1,000 calls a second", "one call every millisecond", 20, 1000, 0, false,
               false, false, false},
    [ONE_CPU] = {"one-cpu", "One CPU", "all processes pinned to one CPU, calls back to back", 10, 0,
                 2000, false, false, true, false},
    [LOADED] = {"loaded", "Loaded CPUs", "every CPU busy with other work, calls back to back", 10,
                0, 2000, false, false, false, true},
};

const size_t seed_sizes[SEED_SIZES] = {15, 1000, 10000, 60000};

int row_find(const char *name)
{
    for (int i = 0; i < ROW_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0)
            return i;
    return -1;
}

const char *size_word(size_t size)
{
    if (size < 100)
        return "SMALL";
    if (size < 5000)
        return "MEDIUM";
    return size < 30000 ? "BIG" : "LARGE";
}

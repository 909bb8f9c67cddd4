/* SPDX-License-Identifier: MIT
 *
 * What a client process hands to the harness after a round, on its standard output: this header,
 * then one u32 a call, its latency in nanoseconds. peer_python.py writes the same bytes.
 */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <stdint.h>

#define SAMPLE_MAGIC 0x3168636e65627273u /* "srbench1" */

struct sample_header {
    uint64_t magic;
    uint64_t calls;
    uint64_t cpu_ns;  /* user and system, of client and server, over the timed part */
    uint64_t wall_ns; /* of the timed part, with pauses and comparisons */
    uint64_t rss_kib; /* peak resident memory, of client and server */
};

#endif

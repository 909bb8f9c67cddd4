/* SPDX-License-Identifier: MIT
 *
 * One round of one row: a fresh server process, a fresh client process, their samples.
 */
#ifndef BENCH_ROUND_H
#define BENCH_ROUND_H

#include "bench.h"

/** The private folder of a run, for sockets and files between processes. 0 or -1. */
int round_begin(void);
/** Remove that folder and everything of ours in shared memory. */
void round_end(void);
/** Take away what earlier runs that are dead left behind. @return how many things. */
int round_clean_leftovers(void);

/** Write the two texts of a size, which the rows send in turn. 0 or -1. */
int round_write_texts(size_t size, bool escapes);

/** Keep every CPU that we may use busy, and stop it. */
int round_load_begin(void);
void round_load_end(void);

/** Run it. 0, or -1 after saying on stderr whose fault it was, with that process's stderr. */
int round_run(const struct bench *bench, const struct section *section, const struct row *row,
              size_t size, struct samples *samples);

#endif

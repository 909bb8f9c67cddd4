/* SPDX-License-Identifier: MIT
 *
 * What a row of the benchmark is made of: one file that can serve an echo and call it. Each such
 * file is linked with driver.c into a program of its own, so that no row carries another's
 * libraries, while the loop that measures and the comparison of the echo are the same machine code
 * for all of them. A process is either the server or the client of one row, hence no handles.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peer_setup {
    const char *endpoint; /* a shared memory name without slash, or the path of a socket */
    const char *option;   /* the row's own: a waiting policy; "-" for none */
    size_t buffer_bytes;  /* every message of the run fits into this much */
};

/** What is measured: the library and its version, one line. */
const char *peer_version(void);

/** Serve until SIGTERM. ready() is called once, when a client can connect.
 *  @return only on failure, after saying why on stderr, or when stopped. 0 is success. */
int peer_serve(const struct peer_setup *setup, void (*ready)(void));

/** Connect. 0, or -1 after saying why on stderr. */
int peer_open(const struct peer_setup *setup);
/** One echo of length bytes of UTF-8 at in. The answer is valid until the next call.
 *  0, or -1 after saying why on stderr. */
int peer_call(const char *in, size_t length, const char **out, size_t *out_length);
void peer_close(void);

#ifdef __cplusplus
}
#endif

#endif

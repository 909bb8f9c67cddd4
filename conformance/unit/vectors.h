/* SPDX-License-Identifier: MIT
 *
 * The data files of spec/vectors, as spec/vectors/README.md describes them.
 */
#ifndef VECTORS_H
#define VECTORS_H

#include <cjson/cJSON.h>

#include "support.h"

/** Read a file of $SHMRPC_VECTORS (default spec/vectors). Free it with cJSON_Delete(). */
cJSON *vectors_read(const char *file);
/** The bytes of field KEY or KEY_hex, in a block of exactly their length (so that whoever reads
 *  behind them is caught), null if the vector has neither. Free it with free(). */
char *vectors_bytes(const cJSON *vector, const char *key, size_t *length);
/** The same from a string that is its own value or, for hex, pairs of digits. */
char *vectors_decode(const char *text, bool hex, size_t *length);
/** A string member that must be there. */
const char *vectors_string(const cJSON *vector, const char *key);
bool vectors_verdict(const cJSON *vector, const char *verdict);

#endif

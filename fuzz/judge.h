/* SPDX-License-Identifier: MIT
 *
 * The independent judge of JSON: cJSON. It is laxer than RFC 8259, so it never judges what must be
 * refused; but whatever the library accepts, cJSON accepts too, and with equal values where cJSON can
 * represent them (no U+0000 in strings, numbers as doubles of at most 63 characters, 1,000 levels).
 */
#ifndef FUZZ_JUDGE_H
#define FUZZ_JUDGE_H

#include "json.h"

#include <cjson/cJSON.h>

/** A string's decoded bytes in memory of exactly that size, for the caller to free. */
char *judge_decode(const struct shmrpc_value *string, size_t *length);
/** Whether cJSON can represent everything in an accepted text. */
bool judge_can(const char *text, size_t length);
/** Parse an accepted text; null where cJSON cannot represent it. A refusal is a finding. */
cJSON *judge_parse(const char *text, size_t length);
/** Compare an accepted value with cJSON's view of the same text; a difference is a finding. */
void judge_compare(const struct shmrpc_value *value, const cJSON *tree);
/** The last member of that name; null if there is none. */
const cJSON *judge_last(const cJSON *object, const char *name);

#endif

/* SPDX-License-Identifier: MIT
 *
 * JSON numbers, exact and blind to the process's locale. Every text here already has the grammar
 * of a JSON number; of any other bytes nothing is promised but that no access leaves them.
 */
#ifndef SHMRPC_JSON_NUMBER_H
#define SHMRPC_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Longest text of a double: sign, 17 digits, point, up to four zeros or an exponent. */
enum { SHMRPC_JSON_DOUBLE_BYTES = 32 };

/** Whether the number rounds to a finite double. Linear in length. */
bool shmrpc_json_number_fits(const char *text, size_t length);

/** The nearest double; infinite if the number does not fit. Linear in length. */
double shmrpc_json_number_double(const char *text, size_t length);

/** Whether there is neither a fraction nor an exponent. */
bool shmrpc_json_number_is_integer(const char *text, size_t length);

/** Read an integer as sign and magnitude; false if it is none or its magnitude exceeds 64 bits. */
bool shmrpc_json_number_integer(const char *text, size_t length, bool *negative,
                                uint64_t *magnitude);

/** Write the shortest text that reads back as the same finite double; always with a fraction or an
 *  exponent. Not NUL-terminated. @return its length. */
size_t shmrpc_json_number_write(double value, char text[SHMRPC_JSON_DOUBLE_BYTES]);

#endif

/* SPDX-License-Identifier: MIT
 *
 * JSON on the data path: one strict pass that validates RFC 8259 and UTF-8 and remembers where the
 * members stand; exact numbers; strings decoded on demand; the writer. No tree, no allocation.
 * The public half of this room is in shmrpc.h (shmrpc_json_*, shmrpc_value_*, shmrpc_iterator_*,
 * shmrpc_writer_*, shmrpc_write_*).
 */
#ifndef SHMRPC_JSON_H
#define SHMRPC_JSON_H

#include "limit.h"

/** How many members of an object the scanner remembers; one that has more is walked. */
enum { SHMRPC_JSON_REMEMBERED = 16 };

struct shmrpc_member {
    struct shmrpc_value key;   /* the string as it stands, quotes included */
    struct shmrpc_value value;
};

/** The members of one object, in order, as far as they were remembered. */
struct shmrpc_members {
    struct shmrpc_value object; /* type OBJECT if there was one; else length 0 */
    size_t count;               /* how many the object has */
    struct shmrpc_member list[SHMRPC_JSON_REMEMBERED];
};

/** Validate a whole document and, in the same pass, remember the members of its root object and of
 *  the object that is the value of the root's member inner_key.
 *  @param inner_key decoded key, or null. Of duplicate keys the last counts: inner describes the
 *  last one's value (object.length 0 when that is no object, or when there is none).
 *  @param outer may be null; outer->object.length is 0 when the root is no object.
 *  @param inner may be null. On failure outer and inner have no object and no members.
 *  @param error_offset set on failure; may be null. It is the offset of the first byte that no valid
 *  document could have there, length if bytes are missing, or the first byte of a number beyond the
 *  range of a double.
 *  @return OK or SERIALIZATION. */
enum shmrpc_status shmrpc_json_scan(const char *text, size_t length, const char *inner_key,
                                    struct shmrpc_value *root, struct shmrpc_members *outer,
                                    struct shmrpc_members *inner, size_t *error_offset);

/** Validate a whole document and count its levels: 0 for a scalar, 1 for "[]". */
enum shmrpc_status shmrpc_json_levels(const char *text, size_t length, struct shmrpc_value *root,
                                      size_t *levels);

/** Find a member by its decoded key, the last of duplicates. OK or NOT_FOUND. */
enum shmrpc_status shmrpc_members_find(const struct shmrpc_members *members, const char *key,
                                       size_t key_length, struct shmrpc_value *value);

/** Whether a string value decodes to exactly these bytes. */
bool shmrpc_json_string_equals(const struct shmrpc_value *string, const char *data, size_t length);

/** Longest prefix of data that is whole, valid UTF-8 characters; length if all of it is. */
size_t shmrpc_json_utf8_prefix(const char *data, size_t length);

/** Append bytes verbatim, for text that the caller knows to complete to valid JSON: no comma, no
 *  check of anything but the capacity. INVALID within an open object or array. Afterwards one value
 *  may follow, without a comma before it, or more raw bytes, or the end. */
void shmrpc_writer_raw(struct shmrpc_writer *writer, const char *text, size_t length);

/** Append one value that is known to be valid JSON, as shmrpc_write_json() does but without
 *  validating it again. */
void shmrpc_writer_value(struct shmrpc_writer *writer, const char *text, size_t length);

/** Whether no error has occurred and exactly one whole value has been written since init or since
 *  the last raw bytes. */
bool shmrpc_writer_complete(const struct shmrpc_writer *writer);

#endif

/* SPDX-License-Identifier: MIT
 *
 * The JSON envelope around a call (SRPC-ENV-001..): request and response, both ways. Readers view
 * the private copy of a message; writers write into a slot, around a value somebody else writes.
 */
#ifndef SHMRPC_ENVELOPE_H
#define SHMRPC_ENVELOPE_H

#include "json.h"

struct shmrpc_request {
    struct shmrpc_value id;     /* as it stands in the text; length 0 if there is none */
    struct shmrpc_value method; /* a string */
    struct shmrpc_members params;
    const char *problem; /* why the request is unusable, null if it is usable */
};

/** @return OK (usable), PROTOCOL (unusable, but the id can be answered), or SERIALIZATION (there is
 *  nobody to answer). On failure id and problem are set. */
enum shmrpc_status shmrpc_envelope_read_request(const char *text, size_t length,
                                                struct shmrpc_request *request);

struct shmrpc_response {
    struct shmrpc_value id;     /* a string */
    struct shmrpc_value result; /* "null" if the message has none */
    struct shmrpc_value error;  /* length 0 for a success; a valid one is a string */
};

/** @return OK, or PROTOCOL: no response of this protocol (SRPC-CALL-004). */
enum shmrpc_status shmrpc_envelope_read_response(const char *text, size_t length,
                                                 struct shmrpc_response *response);

/** A message that is being written: the value in its middle goes through writer. */
struct shmrpc_envelope {
    char *begin;
    struct shmrpc_writer writer;
};

/** Write everything before the params object. id is plain ASCII. */
void shmrpc_envelope_begin_request(struct shmrpc_envelope *envelope, char *buffer, size_t capacity,
                                   const char *id, size_t id_length, const char *method);
/** Write everything before the result. id is raw JSON. */
void shmrpc_envelope_begin_response(struct shmrpc_envelope *envelope, char *buffer, size_t capacity,
                                    const struct shmrpc_value *id);
/** Write one value: that of a parameter, whose key goes before it, or a result. */
void shmrpc_envelope_write(struct shmrpc_envelope *envelope, const struct shmrpc_param *value);
/** Write everything behind the value. @return as shmrpc_writer_finish(). */
enum shmrpc_status shmrpc_envelope_end_request(struct shmrpc_envelope *envelope, size_t *length);
enum shmrpc_status shmrpc_envelope_end_response(struct shmrpc_envelope *envelope, size_t *length);

/** Write a whole error response, the text (valid UTF-8) cut at a character boundary so that it fits
 *  (SRPC-ENV-018). @return OK, or TOO_LARGE: not one character of it fits (SRPC-ENV-019). */
enum shmrpc_status shmrpc_envelope_write_error(char *buffer, size_t capacity,
                                               const struct shmrpc_value *id, const char *text,
                                               size_t text_length, size_t *length);

/** The bytes that every request with this id begins with.
 *  @param out room for id_length + 16. @return how many. */
size_t shmrpc_envelope_request_prefix(const char *id, size_t id_length, char *out);

#endif

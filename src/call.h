/* SPDX-License-Identifier: MIT
 *
 * One call inside a server: its parameters and its answer. The functions that handlers use are in
 * shmrpc.h (shmrpc_call_*); these are for the server's loop.
 */
#ifndef SHMRPC_CALL_H
#define SHMRPC_CALL_H

#include "channel.h"
#include "envelope.h"
#include "watch.h"

struct shmrpc_method {
    char *name;
    size_t length;
    shmrpc_handler *handler;
    void *user;
};

/** What a call needs of its server. */
struct shmrpc_call_place {
    struct shmrpc_keeper keeper;
    const atomic_bool *stop; /* the server is to end */
    int timeout_ms;
    char *buffer;  /* the request's private copy */
    char *scratch; /* decoded strings, each at the offset of its text in buffer */
};

struct shmrpc_call {
    uint32_t magic;
    struct shmrpc_call_place *place;
    const char *method; /* its name; the table of methods may move while a handler runs */
    struct shmrpc_request request;
    struct shmrpc_envelope envelope;
    bool running;  /* a handler has it */
    bool answered; /* the response is on its way */
    bool dropped;  /* its slot could not be had, or no answer fits */
    char failure[256];
};

/** Start a call on the message in place->buffer. @return as shmrpc_envelope_read_request(). */
enum shmrpc_status shmrpc_call_start(struct shmrpc_call *call, struct shmrpc_call_place *place,
                                     size_t length);
/** Set the text that answers the call if nothing else does. */
void shmrpc_call_set_failure(struct shmrpc_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Send an error reply with a text of valid UTF-8. @return the status of the answer. */
enum shmrpc_status shmrpc_call_answer_error(struct shmrpc_call *call, const char *text,
                                            size_t length);
/** Send the failure if the call is still unanswered. The response slot is left afterwards. */
void shmrpc_call_finish(struct shmrpc_call *call);
/** A string of the request, decoded; always OK for a string. @return false for other values. */
bool shmrpc_call_decode(struct shmrpc_call *call, const struct shmrpc_value *value,
                        const char **data, size_t *length);

#endif

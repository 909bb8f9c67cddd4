/* SPDX-License-Identifier: MIT
 *
 * The methods of "shmrpc serve" and what they remember.
 */
#ifndef SHMRPC_TOOL_METHODS_H
#define SHMRPC_TOOL_METHODS_H

#include "tool.h"

/** Lives as long as the command, also when the channel is published anew. Zero it to begin. */
struct tool_service {
    uint64_t completed; /* echo, add and sleep calls that did their work */
    void *totals;       /* the accumulator's: a tree of tsearch(3) */
    size_t total_count;
};

/** Register every method with the server. test_methods adds unserialisable() and exit(code). */
enum shmrpc_status tool_methods_register(struct shmrpc_server *server, struct tool_service *service,
                                         bool test_methods) SHMRPC_MUST_USE;
void tool_service_free(struct tool_service *service);

/* What the methods of both files use. */

/** Answer with an error. Never OK, so that "if (status) return status;" also ends a method whose
 *  error has been sent. */
enum shmrpc_status tool_fail(struct shmrpc_call *call, const char *type, const char *message);
/** Count the call if its answer says that it did its work. Returns status. */
enum shmrpc_status tool_completed(struct tool_service *service, enum shmrpc_status status);

/** A parameter that may be any JSON number: exact as long as it is an integer. */
struct tool_number {
    bool integer;
    __int128 exact; /* if integer: INT64_MIN .. UINT64_MAX */
    double real;    /* always set, the nearest double of an integer */
};

/** Read a number. Anything else is answered as a TypeError, an integer beyond 64 bits as an
 *  OverflowError, and the status returned is not OK: just return it. */
enum shmrpc_status tool_number_param(struct shmrpc_call *call, const char *name,
                                     struct tool_number *number) SHMRPC_MUST_USE;
/** Answer with a double, or with OverflowError where JSON has no text for it. */
enum shmrpc_status tool_answer_real(struct shmrpc_call *call, double value) SHMRPC_MUST_USE;

enum shmrpc_status tool_add(struct shmrpc_call *call, struct tool_service *service);
enum shmrpc_status tool_subtract(struct shmrpc_call *call, struct tool_service *service);
enum shmrpc_status tool_multiply(struct shmrpc_call *call, struct tool_service *service);
enum shmrpc_status tool_divide(struct shmrpc_call *call, struct tool_service *service);
enum shmrpc_status tool_power(struct shmrpc_call *call, struct tool_service *service);
enum shmrpc_status tool_sqrt(struct shmrpc_call *call, struct tool_service *service);

#endif

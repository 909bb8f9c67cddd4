/* SPDX-License-Identifier: MIT
 *
 * The parameters of "shmrpc call" as one JSON object.
 */
#ifndef SHMRPC_TOOL_PARAMS_H
#define SHMRPC_TOOL_PARAMS_H

#include "tool.h"

/** Make one JSON object of the argument of -d (null if there was none) and count arguments of the
 *  forms KEY=STRING and KEY:=JSON. Such a KEY replaces the member of that name in the object, and a
 *  later one replaces an earlier one. Ends the process at an argument of another form.
 *  @param text allocated; the caller frees it.
 *  @return OK, or SERIALIZATION, TOO_LARGE or SYSTEM with *error filled. */
enum shmrpc_status tool_params_build(const char *verb, const char *data, char **arguments,
                                     size_t count, char **text, size_t *length,
                                     struct shmrpc_error *error);

#endif

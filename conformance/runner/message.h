/* SPDX-License-Identifier: MIT */
#ifndef KIT_MESSAGE_H
#define KIT_MESSAGE_H

#include "kit.h"

/** The bytes of a request (answer false; makes a fresh id) or of an answer to the request taken last. */
void message_build(struct run *run, const cJSON *spec, bool answer, struct kit_text *out);
/** Expand ${...}; size is for ${fill}. */
void message_expand(struct run *run, const char *text, int64_t size, struct kit_text *out);
/** A number argument of a step, symbolic sizes resolved. */
int64_t step_number(struct run *run, const cJSON *arguments, const char *key, int64_t fallback);

#endif

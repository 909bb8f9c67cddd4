/* SPDX-License-Identifier: MIT
 *
 * The steps a case is made of. A step function does its work and sets the outcome (run_outcome); what
 * the step wants is judged afterwards by steps.c.
 */
#ifndef KIT_STEPS_H
#define KIT_STEPS_H

#include "kit.h"
#include "message.h"

typedef void step_function(struct run *run, const cJSON *arguments, const cJSON *step);

struct step_verb {
    const char *name;
    step_function *function;
};

extern const struct step_verb adapter_verbs[], raw_verbs[], kernel_verbs[], flow_verbs[];

const struct step_verb *step_find(const char *name);
/** One step: its verb, then what it wants. */
void step_run(struct run *run, const cJSON *step);
/** The verb member of a step. */
const cJSON *step_verb_of(const cJSON *step);
/** Whether the step (or the case, if this is its outcome) allows this outcome. */
bool step_allows(struct run *run, const cJSON *step, const char *outcome);
void run_detail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Do the work of a case's "calls:N". first_may_fail: the server is another one since. */
void calls_run(struct run *run, int times, bool first_may_fail);

/* raw steps used by others */
void raw_send_message(struct run *run, struct raw *raw, const cJSON *spec, bool answer);
/** Wait in slices, looking whether the adapter died; an outcome if it cannot be had, else null. */
const char *raw_wait_alive(struct run *run, struct raw *raw, int semaphore);
bool raw_receive(struct run *run, struct raw *raw, int full, int empty);
void raw_take_request(struct run *run, struct raw *raw);
void raw_call_echo(struct run *run, struct raw *raw);

/* adapter steps used by others */
void adapter_start_server(struct run *run, struct adapter *adapter, const cJSON *arguments,
                          const cJSON *step);
struct adapter *actor_of(struct run *run, const cJSON *arguments, const char *fallback);
void send_call(struct run *run, struct adapter *adapter, const char *verb, const cJSON *arguments);

#endif

/* SPDX-License-Identifier: MIT
 *
 * The conformance adapter of the C library. It uses the public header alone.
 */
#ifndef REFERENCE_ADAPTER_H
#define REFERENCE_ADAPTER_H

#include "shmrpc.h"

#include <cjson/cJSON.h>
#include <pthread.h>

enum { HANDLES_MAX = 1024 };

struct served {
    struct shmrpc_server *server;
    pthread_t thread;
    enum shmrpc_status ended; /* what run returned */
    long effects;             /* completed echo, add and sleep */
};

struct pending_call {
    struct shmrpc_client *client;
    char *method;
    char *params;
    size_t length;
    pthread_t thread;
    cJSON *reply;
};

extern struct served *servers[HANDLES_MAX];
extern struct shmrpc_client *clients[HANDLES_MAX];
extern struct pending_call *calls[HANDLES_MAX];

/* replies: {"ok": ...} and so on; the id is added by main.c */
cJSON *reply_ok(void);                  /* with an empty body */
cJSON *reply_ok_body(cJSON *reply);
cJSON *reply_error(enum shmrpc_status status, const char *text);
cJSON *reply_unsupported(const char *feature);

/* bytes.c */
char *hex_of(const void *data, size_t length);
char *bytes_of(const char *hex, size_t *length);
void add_printable(cJSON *object, const char *key, const char *text);

/* handlers.c */
enum shmrpc_status register_handlers(struct served *served);

/* roles.c */
cJSON *verb_server_start(const cJSON *verb);
cJSON *verb_server_stop(const cJSON *verb);
cJSON *verb_client_open(const cJSON *verb);
cJSON *verb_client_call(const cJSON *verb);
cJSON *verb_client_call_async(const cJSON *verb);
cJSON *verb_client_wait(const cJSON *verb);
cJSON *verb_client_close(const cJSON *verb);
cJSON *verb_fork(const cJSON *verb);
void stop_all_servers(void); /* async-signal-safe */
void close_all_servers(void);

/* codec.c */
cJSON *verb_codec_encode(const cJSON *verb);
cJSON *verb_codec_decode(const cJSON *verb);

/* fault.c: SHMRPC_KIT_MALLOC=VERB:N:once|always makes the N-th allocation of a verb fail */
void fault_begin(const char *verb);
void fault_end(void);
bool fault_reached(void); /* whether there was an N-th one */

#endif

/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "crash.h"
#include "envelope.h"
#include "error.h"
#include "frame.h"
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { CLIENT_MAGIC = 0x5352434C /* "SRCL" */, PREFIX_BYTES = SHMRPC_ID_BYTES + 16 };

struct shmrpc_client {
    uint32_t magic;
    struct shmrpc_channel *channel; /* null after the death of a server: the next call attaches */
    char name[SHMRPC_MAX_NAME_BYTES + 1];
    struct shmrpc_client_options options;
    struct shmrpc_error error;
    pid_t owner; /* the process that opened it */
    bool forked; /* the channel was closed because it belongs to the parent */
    bool maybe_executed;
    uint64_t id_high;          /* random */
    uint64_t id_low;           /* random start, then counted */
    char prefix[PREFIX_BYTES]; /* of the request with the current id */
    size_t capacity;           /* of both buffers */
    char *buffer;              /* the response's private copy */
    char *scratch;             /* decoded strings */
    struct shmrpc_value result;
    size_t method_error_length;
};

static bool client_ok(const struct shmrpc_client *client)
{
    return client != NULL && client->magic == CLIENT_MAGIC &&
           (client->channel == NULL || client->capacity >= client->channel->capacity) &&
           client->method_error_length <= client->capacity;
}

/* ---- Opening -------------------------------------------------------------------------------- */

/* Attach, and have buffers for the longest response that the channel can carry. */
static enum shmrpc_status attach(struct shmrpc_client *client, struct shmrpc_error *error)
{
    REQUIRE(client->channel == NULL);
    enum shmrpc_status status =
        shmrpc_watch_attach(client->name, &client->options, &client->channel, error);
    if (status != SHMRPC_OK)
        return status;
    ENSURE(client->channel != NULL);
    size_t capacity = client->channel->capacity;
    if (capacity > client->capacity) {
        shmrpc_frame_free(client->buffer);
        shmrpc_frame_free(client->scratch);
        client->buffer = shmrpc_frame_alloc(capacity);
        client->scratch = shmrpc_frame_alloc(capacity);
        client->capacity = client->buffer != NULL && client->scratch != NULL ? capacity : 0;
    }
    if (client->capacity == 0) {
        status = shmrpc_error_system(error, "cannot allocate %zu bytes for responses", capacity);
        shmrpc_channel_close(&client->channel);
        return status;
    }
    ENSURE(client->capacity >= client->channel->capacity);
    ENSURE(client_ok(client));
    return SHMRPC_OK;
}

static void free_client(struct shmrpc_client *client)
{
    REQUIRE(client->magic == CLIENT_MAGIC);
    shmrpc_channel_close(&client->channel);
    shmrpc_frame_free(client->buffer);
    shmrpc_frame_free(client->scratch);
    client->magic = 0;
    free(client);
}

static enum shmrpc_status new_client(const char *name, const struct shmrpc_client_options *options,
                                     struct shmrpc_client **client, struct shmrpc_error *error)
{
    struct shmrpc_client *made = calloc(1, sizeof *made);
    if (made == NULL)
        return shmrpc_error_system(error, "cannot allocate a client");
    made->magic = CLIENT_MAGIC;
    made->owner = getpid();
    memcpy(made->name, name, strlen(name) + 1);
    made->options = *options;
    made->options.error = NULL;
    /* SRPC-TIME-001 */
    if (made->options.timeout_ms == 0)
        made->options.timeout_ms = SHMRPC_DEFAULT_TIMEOUT_MS;
    uint64_t random[2];
    /* SRPC-ENV-006: ids of different clients never meet. */
    if (getrandom(random, sizeof random, 0) != sizeof random) {
        enum shmrpc_status status = shmrpc_error_system(error, "cannot get random numbers");
        free_client(made);
        return status;
    }
    made->id_high = random[0];
    made->id_low = random[1];
    ENSURE(made->options.timeout_ms != 0);
    *client = made;
    return SHMRPC_OK;
}

enum shmrpc_status shmrpc_client_open(const char *name, const struct shmrpc_client_options *options,
                                      struct shmrpc_client **client)
{
    static const struct shmrpc_client_options defaults = SHMRPC_CLIENT_OPTIONS_INIT;
    REQUIRE(name != NULL);
    REQUIRE(client != NULL);
    if (options == NULL)
        options = &defaults;
    struct shmrpc_error *error = options->error;
    struct shmrpc_client *made = NULL;
    enum shmrpc_status status = shmrpc_watch_check_options(name, options, error);
    if (status == SHMRPC_OK)
        status = new_client(name, options, &made, error);
    if (status != SHMRPC_OK)
        return status;
    ENSURE(made != NULL);
    status = attach(made, error);
    if (status != SHMRPC_OK) {
        free_client(made);
        return status;
    }
    ENSURE(made->channel != NULL);
    ENSURE(client_ok(made));
    *client = made;
    return SHMRPC_OK;
}

void shmrpc_client_close(struct shmrpc_client **client)
{
    REQUIRE(client != NULL);
    if (*client == NULL)
        return;
    REQUIRE(client_ok(*client));
    free_client(*client);
    *client = NULL;
}

enum shmrpc_status shmrpc_client_set_timeout(struct shmrpc_client *client, int timeout_ms)
{
    REQUIRE(client_ok(client));
    if (timeout_ms <= 0 && timeout_ms != SHMRPC_FOREVER)
        return shmrpc_error_set(&client->error, SHMRPC_INVALID, "timeout_ms %d is not positive",
                                timeout_ms);
    client->options.timeout_ms = timeout_ms;
    return SHMRPC_OK;
}

bool shmrpc_client_maybe_executed(const struct shmrpc_client *client)
{
    REQUIRE(client_ok(client));
    return client->maybe_executed;
}

const char *shmrpc_client_error(const struct shmrpc_client *client)
{
    REQUIRE(client_ok(client));
    return client->method_error_length > 0 ? client->scratch : client->error.text;
}

void shmrpc_client_method_error(const struct shmrpc_client *client, const char **data,
                                size_t *length)
{
    REQUIRE(client_ok(client));
    REQUIRE(data != NULL);
    REQUIRE(length != NULL);
    *data = client->method_error_length > 0 ? client->scratch : "";
    *length = client->method_error_length;
}

size_t shmrpc_client_buffer_bytes(const struct shmrpc_client *client)
{
    REQUIRE(client_ok(client));
    return client->channel == NULL ? 0 : client->channel->response.segment.bytes;
}

/* ---- Calling -------------------------------------------------------------------------------- */

static const char *own_id(const struct shmrpc_client *client)
{
    ENSURE(client->prefix[PREFIX_BYTES - 1] == '"');
    return client->prefix + PREFIX_BYTES - 1 - SHMRPC_ID_BYTES;
}

static void next_id(struct shmrpc_client *client)
{
    static const char digits[] = "0123456789abcdef";
    char id[SHMRPC_ID_BYTES];
    client->id_low++;
    for (unsigned i = 0; i < 16; i++) {
        id[i] = digits[client->id_high >> (60 - 4 * i) & 15];
        id[16 + i] = digits[client->id_low >> (60 - 4 * i) & 15];
    }
    size_t length = shmrpc_envelope_request_prefix(id, sizeof id, client->prefix);
    ENSURE(length == PREFIX_BYTES);
}

/* The channel is of no more use; the next call attaches anew (SRPC-CALL-010). */
static enum shmrpc_status give_up(struct shmrpc_client *client, enum shmrpc_status status,
                                  const char *text)
{
    REQUIRE(client->channel != NULL);
    REQUIRE(status != SHMRPC_OK);
    shmrpc_channel_close(&client->channel);
    return shmrpc_error_set(&client->error, status, "%s", text);
}

static enum shmrpc_status peer_gone(struct shmrpc_client *client)
{
    REQUIRE(client->channel != NULL);
    if (client->maybe_executed)
        return give_up(client, SHMRPC_PEER_GONE_MAYBE_EXECUTED,
                       "the server is gone; the call may have run");
    return give_up(client, SHMRPC_PEER_GONE_NOT_STARTED,
                   "the server is gone; the call has not run");
}

static enum shmrpc_status broken(struct shmrpc_client *client)
{
    REQUIRE(client->channel != NULL);
    REQUIRE(client->channel->broken);
    return give_up(client, SHMRPC_PROTOCOL,
                   shmrpc_channel_truncated(client->channel)
                       ? "an object of the channel was truncated"
                       : "a semaphore of the channel holds more than one token, or is none");
}

/* SRPC-CALL-007, SRPC-RECOVER-003: a request that no server took is taken back. */
static void withdraw(struct shmrpc_client *client)
{
    REQUIRE(client->channel != NULL);
    REQUIRE(!client->channel->inside);
    if (client->maybe_executed &&
        shmrpc_channel_withdraw(client->channel, client->prefix, PREFIX_BYTES))
        client->maybe_executed = false;
}

/* What a call carries: either a list of parameters or the text of the whole object. */
struct arguments {
    const struct shmrpc_param *params;
    size_t count;
    struct shmrpc_value json; /* validated; length 0 if there is none */
};

/* SRPC-CALL-003: encoded in the slot, and if that fails the slot is left as it was found. */
static enum shmrpc_status encode(struct shmrpc_client *client, char *body, size_t capacity,
                                 const char *method, const struct arguments *arguments,
                                 size_t *length)
{
    REQUIRE(client->channel->inside);
    REQUIRE(body != NULL);
    REQUIRE(arguments->json.length == 0 || arguments->count == 0);
    struct shmrpc_envelope envelope;
    shmrpc_envelope_begin_request(&envelope, body, capacity, own_id(client), SHMRPC_ID_BYTES,
                                  method);
    CRASH_POINT("client.request.copy_middle", NULL);
    if (arguments->json.length > 0)
        shmrpc_writer_value(&envelope.writer, arguments->json.text, arguments->json.length);
    else
        shmrpc_write_object_begin(&envelope.writer);
    for (size_t i = 0; i < arguments->count; i++) {
        REQUIRE(arguments->params[i].name != NULL);
        shmrpc_write_key(&envelope.writer, arguments->params[i].name,
                         strlen(arguments->params[i].name));
        shmrpc_envelope_write(&envelope, &arguments->params[i]);
    }
    if (arguments->json.length == 0)
        shmrpc_write_object_end(&envelope.writer);
    enum shmrpc_status status = shmrpc_envelope_end_request(&envelope, length);
    ENSURE(status != SHMRPC_OK || *length <= capacity);
    if (status == SHMRPC_OK)
        return SHMRPC_OK;
    if (shmrpc_channel_abandon(client->channel) != SHMRPC_OK)
        return broken(client);
    if (status == SHMRPC_TOO_LARGE)
        return shmrpc_error_set(&client->error, SHMRPC_TOO_LARGE,
                                "the request does not fit the %zu bytes of the buffer", capacity);
    return shmrpc_error_set(&client->error, SHMRPC_SERIALIZATION,
                            "the method or a parameter is not valid UTF-8 or JSON");
}

static enum shmrpc_status send_request(struct shmrpc_client *client, const char *method,
                                       const struct arguments *arguments,
                                       struct shmrpc_deadline *deadline)
{
    REQUIRE(!client->maybe_executed);
    char *body;
    size_t capacity;
    size_t length = 0;
    enum shmrpc_status status = shmrpc_channel_begin(client->channel, deadline, &body, &capacity);
    if (status == SHMRPC_PEER_GONE_MAYBE_EXECUTED)
        return peer_gone(client);
    if (status == SHMRPC_PROTOCOL)
        return broken(client);
    /* SRPC-RECOVER-013 */
    if (status == SHMRPC_TIMEOUT)
        return shmrpc_error_set(&client->error, SHMRPC_TIMEOUT,
                                "the request slot stayed occupied for %d ms (slot abandoned?); the "
                                "call has not run",
                                client->options.timeout_ms);
    ENSURE(status == SHMRPC_OK);
    status = encode(client, body, capacity, method, arguments, &length);
    if (status != SHMRPC_OK)
        return status;
    client->maybe_executed = true;
    return shmrpc_channel_commit(client->channel, length) == SHMRPC_OK ? SHMRPC_OK : broken(client);
}

/* The response is our own: what does it say? */
static enum shmrpc_status conclude(struct shmrpc_client *client,
                                   const struct shmrpc_response *response)
{
    REQUIRE(client->maybe_executed);
    REQUIRE(client->method_error_length == 0);
    /* SRPC-ENV-007, SRPC-ENV-008 */
    if (response->error.length == 0) {
        client->result = response->result;
        return SHMRPC_OK;
    }
    /* SRPC-ERR-002: the text as it was sent, U+0000 included. */
    size_t length;
    /* SRPC-CALL-011 */
    if (shmrpc_value_string(&response->error, client->scratch, client->capacity, &length) !=
        SHMRPC_OK)
        return shmrpc_error_set(&client->error, SHMRPC_PROTOCOL,
                                "the response's error is neither a string nor null");
    ENSURE(length > 0);
    /* Its quotes alone leave room for the NUL. */
    ENSURE(length < client->capacity);
    client->scratch[length] = '\0';
    client->method_error_length = length;
    return SHMRPC_METHOD_ERROR;
}

/* Receive responses until our own comes. Foreign ones are discarded within the deadline
 * (SRPC-CALL-005, SRPC-CALL-002). */
static enum shmrpc_status await_response(struct shmrpc_client *client,
                                         struct shmrpc_deadline *deadline)
{
    REQUIRE(client->channel != NULL);
    for (;;) {
        size_t length;
        struct shmrpc_response response;
        enum shmrpc_status status =
            shmrpc_channel_receive(client->channel, deadline, client->buffer, &length);
        /* SRPC-CALL-012 */
        if (status == SHMRPC_PROTOCOL && !client->channel->broken)
            return shmrpc_error_set(&client->error, SHMRPC_PROTOCOL,
                                    "the response has an impossible length");
        if (status != SHMRPC_OK)
            return status;
        /* SRPC-CALL-004 */
        if (shmrpc_envelope_read_response(client->buffer, length, &response) != SHMRPC_OK)
            return shmrpc_error_set(&client->error, SHMRPC_PROTOCOL,
                                    "the response is not of this protocol");
        if (shmrpc_json_string_equals(&response.id, own_id(client), SHMRPC_ID_BYTES))
            return conclude(client, &response);
        /* A peer that floods us with foreign responses must not hold us past the deadline. */
        if (shmrpc_deadline_left_ns(deadline) == 0)
            return SHMRPC_TIMEOUT;
    }
}

static enum shmrpc_status receive_response(struct shmrpc_client *client,
                                           struct shmrpc_deadline *deadline)
{
    REQUIRE(client->maybe_executed);
    enum shmrpc_status status = await_response(client, deadline);
    if (status == SHMRPC_PEER_GONE_MAYBE_EXECUTED) {
        /* Its last act may have been our response. */
        struct shmrpc_deadline last;
        shmrpc_deadline_start(&last, 0, NULL, NULL);
        status = await_response(client, &last);
        if (status == SHMRPC_TIMEOUT) {
            withdraw(client);
            return peer_gone(client);
        }
    }
    /* SRPC-CALL-008 */
    if (status == SHMRPC_TIMEOUT) {
        withdraw(client);
        ENSURE(client->options.timeout_ms != SHMRPC_FOREVER);
        return shmrpc_error_set(&client->error, SHMRPC_TIMEOUT,
                                "no response within %d ms; the call %s", client->options.timeout_ms,
                                client->maybe_executed ? "may have run" : "has not run");
    }
    if (status == SHMRPC_PROTOCOL && client->channel->broken)
        return broken(client);
    return status;
}

static enum shmrpc_status prepare(struct shmrpc_client *client)
{
    static const struct shmrpc_value nothing = {"null", 4, SHMRPC_NULL, false};
    client->maybe_executed = false;
    client->method_error_length = 0;
    client->result = nothing;
    client->result.length = 0;
    shmrpc_error_clear(&client->error);
    /* SRPC-FORK-001. Without a channel nothing was orphaned, and the ids of parent and child must
     * not meet; only then the process is worth a system call. */
    bool foreign = client->channel != NULL ? atomic_load(&client->channel->orphaned)
                                           : client->owner != getpid();
    if (client->forked || foreign) {
        client->forked = true;
        return shmrpc_error_set(&client->error, SHMRPC_INVALID,
                                "the client belongs to the parent process");
    }
    ENSURE(client->channel == NULL || !client->channel->inside);
    if (client->channel != NULL)
        return SHMRPC_OK;
    /* SRPC-CALL-010 */
    return attach(client, &client->error);
}

/* SRPC-HAND-004, SRPC-CALL-001, SRPC-CALL-006, SRPC-CALL-009: one request, one deadline, never sent
 * twice. */
static enum shmrpc_status call(struct shmrpc_client *client, const char *method,
                               const struct arguments *arguments, struct shmrpc_value *result)
{
    enum shmrpc_status status = prepare(client);
    if (status != SHMRPC_OK)
        return status;
    struct shmrpc_deadline deadline;
    shmrpc_deadline_start(&deadline, client->options.timeout_ms, shmrpc_watch_server,
                          client->channel);
    next_id(client);
    status = send_request(client, method, arguments, &deadline);
    if (status == SHMRPC_OK)
        status = receive_response(client, &deadline);
    /* SRPC-CALL-010: no lock speaks for an original, but its name may have gone to another server.
     */
    if (status == SHMRPC_TIMEOUT &&
        /* A peer's surplus token, met while the request was taken back, broke it. */
        (client->channel->broken || !shmrpc_channel_names_held(client->channel)))
        shmrpc_channel_close(&client->channel);
    if (status == SHMRPC_OK && result != NULL)
        *result = client->result;
    ENSURE(status != SHMRPC_OK || client->result.length > 0);
    ENSURE(client->channel == NULL || !client->channel->inside);
    return status;
}

enum shmrpc_status shmrpc_client_call(struct shmrpc_client *client, const char *method,
                                      const struct shmrpc_param *params, size_t count,
                                      struct shmrpc_value *result)
{
    REQUIRE(client_ok(client));
    REQUIRE(method != NULL);
    REQUIRE(params != NULL || count == 0);
    return call(client, method, &(struct arguments){.params = params, .count = count}, result);
}

enum shmrpc_status shmrpc_client_call_json(struct shmrpc_client *client, const char *method,
                                           const char *params, size_t length,
                                           struct shmrpc_value *result)
{
    REQUIRE(client_ok(client));
    REQUIRE(method != NULL);
    REQUIRE(params != NULL);
    struct arguments arguments = {.params = NULL};
    size_t levels;
    client->maybe_executed = false;
    client->method_error_length = 0;
    client->result.length = 0;
    /* SRPC-JSON-015: the envelope around it is one more level. */
    if (shmrpc_json_levels(params, length, &arguments.json, &levels) != SHMRPC_OK ||
        arguments.json.type != SHMRPC_OBJECT || levels >= SHMRPC_JSON_DEPTH)
        return shmrpc_error_set(&client->error, SHMRPC_SERIALIZATION,
                                "the parameters are not one valid JSON object");
    return call(client, method, &arguments, result);
}

enum shmrpc_status shmrpc_client_result_string(struct shmrpc_client *client, const char **data,
                                               size_t *length)
{
    REQUIRE(client_ok(client));
    REQUIRE(data != NULL);
    REQUIRE(length != NULL);
    if (client->result.length == 0 || client->result.type != SHMRPC_STRING)
        return SHMRPC_SERIALIZATION;
    if (shmrpc_value_string_view(&client->result, data, length) == SHMRPC_OK)
        return SHMRPC_OK;
    enum shmrpc_status status =
        shmrpc_value_string(&client->result, client->scratch, client->capacity, length);
    ENSURE(status == SHMRPC_OK);
    *data = client->scratch;
    return SHMRPC_OK;
}

/* SPDX-License-Identifier: MIT
 *
 * The same JSON code and the same envelope over a plain Unix stream socket, blocking read and
 * write: the difference to shmrpc-block is what shared memory itself buys.
 */
#include "peer.h"

#include "envelope.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One read usually brings a whole message: its length word and its text. */
static char *incoming, *outgoing, *decoded;
static size_t capacity;
static int stream = -1;

static int make_room(size_t buffer_bytes)
{
    capacity = buffer_bytes;
    incoming = malloc(capacity);
    outgoing = malloc(capacity);
    decoded = malloc(capacity);
    return incoming && outgoing && decoded ? 0 : -1;
}

static int fail(const char *what)
{
    perror(what);
    return -1;
}

/** Send what was written behind the length word in outgoing. */
static int send_message(size_t length)
{
    uint32_t word = (uint32_t)length;
    memcpy(outgoing, &word, sizeof word);
    size_t total = sizeof word + length;
    for (size_t at = 0; at < total;) {
        ssize_t n = write(stream, outgoing + at, total - at);
        if (n < 0 && errno != EINTR)
            return fail("write");
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/** Receive one message. One call is in flight at a time, so nothing follows it in the stream.
 *  @return 1 for a message, 0 at the end of the stream, -1 on failure. */
static int receive_message(const char **text, size_t *length)
{
    size_t at = 0, total = SIZE_MAX;
    while (at < total) {
        ssize_t n = read(stream, incoming + at, capacity - at);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail("read");
        at += (size_t)n;
        if (total == SIZE_MAX && at >= sizeof(uint32_t)) {
            uint32_t word;
            memcpy(&word, incoming, sizeof word);
            total = sizeof word + word;
            if (total > capacity) {
                fprintf(stderr, "a message of %u bytes is too large\n", (unsigned)word);
                return -1;
            }
        }
    }
    *text = incoming + sizeof(uint32_t);
    *length = total - sizeof(uint32_t);
    return 1;
}

/** A string value's text: where it stands if it has no escapes, else decoded. */
static enum shmrpc_status string_of(const struct shmrpc_value *value, const char **data,
                                    size_t *length)
{
    enum shmrpc_status status = shmrpc_value_string_view(value, data, length);
    if (status == SHMRPC_OK)
        return status;
    *data = decoded;
    return shmrpc_value_string(value, decoded, capacity, length);
}

const char *peer_version(void)
{
    static char line[64];
    snprintf(line, sizeof line, "JSON of libshmrpc %s over a Unix socket", shmrpc_version());
    return line;
}

static int answer(const char *text, size_t length)
{
    struct shmrpc_request request;
    struct shmrpc_envelope envelope;
    struct shmrpc_value message;
    const char *data;
    size_t data_length, written;
    if (shmrpc_envelope_read_request(text, length, &request) != SHMRPC_OK ||
        !shmrpc_json_string_equals(&request.method, "echo", 4) ||
        shmrpc_members_find(&request.params, "message", 7, &message) != SHMRPC_OK ||
        string_of(&message, &data, &data_length) != SHMRPC_OK) {
        fprintf(stderr, "not a request for an echo\n");
        return -1;
    }
    shmrpc_envelope_begin_response(&envelope, outgoing + sizeof(uint32_t),
                                   capacity - sizeof(uint32_t), &request.id);
    shmrpc_write_string(&envelope.writer, data, data_length);
    if (shmrpc_envelope_end_response(&envelope, &written) != SHMRPC_OK) {
        fprintf(stderr, "the response does not fit\n");
        return -1;
    }
    return send_message(written);
}

static int address_of(const char *path, struct sockaddr_un *address)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address->sun_path)
        return -1;
    strcpy(address->sun_path, path);
    return 0;
}

int peer_serve(const struct peer_setup *setup, void (*ready)(void))
{
    struct sockaddr_un address;
    int listening = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listening < 0 || make_room(setup->buffer_bytes) != 0 ||
        address_of(setup->endpoint, &address) != 0 ||
        bind(listening, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listening, 1) != 0)
        return fail(setup->endpoint);
    ready();
    for (;;) {
        stream = accept(listening, NULL, NULL);
        if (stream < 0)
            return fail("accept");
        const char *text;
        size_t length;
        int got;
        while ((got = receive_message(&text, &length)) == 1)
            if (answer(text, length) != 0)
                return -1;
        close(stream);
        if (got < 0)
            return -1;
    }
}

int peer_open(const struct peer_setup *setup)
{
    struct sockaddr_un address;
    stream = socket(AF_UNIX, SOCK_STREAM, 0);
    if (stream < 0 || make_room(setup->buffer_bytes) != 0 ||
        address_of(setup->endpoint, &address) != 0 ||
        connect(stream, (struct sockaddr *)&address, sizeof address) != 0)
        return fail(setup->endpoint);
    return 0;
}

/** Ids are as long as those of the library. */
static size_t next_id(char id[SHMRPC_ID_BYTES + 1])
{
    static unsigned long long number;
    return (size_t)snprintf(id, SHMRPC_ID_BYTES + 1, "%0*llx", SHMRPC_ID_BYTES, ++number);
}

int peer_call(const char *in, size_t length, const char **out, size_t *out_length)
{
    char id[SHMRPC_ID_BYTES + 1];
    size_t id_length = next_id(id), written, text_length;
    struct shmrpc_envelope envelope;
    struct shmrpc_response response;
    const char *text;
    shmrpc_envelope_begin_request(&envelope, outgoing + sizeof(uint32_t),
                                  capacity - sizeof(uint32_t), id, id_length, "echo");
    shmrpc_write_object_begin(&envelope.writer);
    shmrpc_write_key(&envelope.writer, "message", 7);
    shmrpc_write_string(&envelope.writer, in, length);
    shmrpc_write_object_end(&envelope.writer);
    if (shmrpc_envelope_end_request(&envelope, &written) != SHMRPC_OK) {
        fprintf(stderr, "the request does not fit\n");
        return -1;
    }
    if (send_message(written) != 0)
        return -1;
    if (receive_message(&text, &text_length) != 1 ||
        shmrpc_envelope_read_response(text, text_length, &response) != SHMRPC_OK ||
        !shmrpc_json_string_equals(&response.id, id, id_length) ||
        string_of(&response.result, out, out_length) != SHMRPC_OK) {
        fprintf(stderr, "no response to the request\n");
        return -1;
    }
    return 0;
}

void peer_close(void)
{
    close(stream);
}

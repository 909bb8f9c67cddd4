/* SPDX-License-Identifier: MIT
 *
 * Input: a byte of mode, a byte with the number of changes, six bytes a change (before which load of
 * the slots, at which offset, which two bytes), then a message. The library is built so that each of
 * its loads is announced first (a sanitizer's calls, caught by the linker); so bytes of the slots
 * change exactly between two loads, without a second thread. A wrong message is allowed; a wrong
 * access is not, nor any load of a byte that was read before, or of one's own outgoing slot.
 */
#include "server.c"

/* Both roles in one file: what is private to either must not meet. */
#include "client.c"

#include "harness.h"
#include "scene.h"

enum { BUFFER = 512, CHANGES = 16, MODES = 4, CALL_MS = 50 };
enum mode { FRAME, SERVE, CALL, WITHDRAW };

static struct shmrpc_server *server;
static struct shmrpc_client *caller;

/* ---- Loads ---------------------------------------------------------------------------------- */

#define UNSEEN __attribute__((no_sanitize_address))

static struct change {
    uint16_t before_load;
    uint16_t offset;
    uint16_t value;
} changes[CHANGES];
static unsigned change_count;
static unsigned loads;

/* A slot that somebody may change under us. */
static struct watched {
    uint8_t *at;
    size_t size;
    bool outgoing;
    uint8_t seen[BUFFER];
} watched[2];
static bool armed;
static bool twice;
static bool looked_back;

UNSEEN static void mark(struct watched *slot, const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (at + i < slot->at || at + i >= slot->at + slot->size)
            continue;
        size_t offset = (size_t)(at + i - slot->at);
        twice = twice || slot->seen[offset] != 0;
        slot->seen[offset] = 1;
    }
}

UNSEEN static void on_load(const void *address, size_t size)
{
    const uint8_t *at = address;
    for (unsigned w = 0; armed && w < 2; w++) {
        struct watched *slot = &watched[w];
        if (at >= slot->at + slot->size || at + size <= slot->at)
            continue;
        looked_back = looked_back || slot->outgoing;
        mark(slot, at, size);
        for (unsigned i = 0; i < change_count; i++) {
            volatile uint8_t *to = slot->at + changes[i].offset % (slot->size - 1);
            if (changes[i].before_load == loads) {
                to[0] = (uint8_t)changes[i].value;
                to[1] = (uint8_t)(changes[i].value >> 8);
            }
        }
        loads++;
    }
}

#define LOAD(suffix, bytes)                                                                        \
    void __real___asan_load##suffix(void *address);                                                \
    void __wrap___asan_load##suffix(void *address);                                                \
    UNSEEN void __wrap___asan_load##suffix(void *address)                                          \
    {                                                                                              \
        on_load(address, bytes);                                                                   \
        __real___asan_load##suffix(address);                                                       \
    }
LOAD(1, 1)
LOAD(2, 2)
LOAD(4, 4)
LOAD(8, 8)
LOAD(16, 16)

void __real___asan_loadN(void *address, size_t size);
void __wrap___asan_loadN(void *address, size_t size);
UNSEEN void __wrap___asan_loadN(void *address, size_t size)
{
    on_load(address, size);
    __real___asan_loadN(address, size);
}

#define COPY(function)                                                                             \
    void *__real_##function(void *to, const void *from, size_t size);                              \
    void *__wrap_##function(void *to, const void *from, size_t size);                              \
    UNSEEN void *__wrap_##function(void *to, const void *from, size_t size)                        \
    {                                                                                              \
        on_load(from, size);                                                                       \
        return __real_##function(to, from, size);                                                  \
    }
#if defined(__clang__)
COPY(__asan_memcpy)
COPY(__asan_memmove)
#endif
COPY(memcpy)

int __real_memcmp(const void *a, const void *b, size_t size);
int __wrap_memcmp(const void *a, const void *b, size_t size);
UNSEEN int __wrap_memcmp(const void *a, const void *b, size_t size)
{
    on_load(a, size);
    on_load(b, size);
    return __real_memcmp(a, b, size);
}

static void watch_slot(unsigned which, void *map, size_t size, bool outgoing)
{
    watched[which].at = map;
    watched[which].size = size;
    watched[which].outgoing = outgoing;
    memset(watched[which].seen, 0, sizeof watched[which].seen);
}

static void arm(void *incoming, void *outgoing, size_t size)
{
    loads = 0;
    twice = looked_back = false;
    watch_slot(0, incoming, size, false);
    watch_slot(1, outgoing, size, true);
    armed = true;
}

static void disarm(void)
{
    armed = false;
    /* SRPC-SEC-001: what was read is not read again. */
    ORACLE(!twice);
    ORACLE(!looked_back);
    harness_note_number(loads);
}

/* ---- The cases ------------------------------------------------------------------------------ */

static void put_message(void *map, const void *text, size_t size)
{
    size_t most = BUFFER - SHMRPC_LENGTH_WORD_BYTES;
    uint32_t length = (uint32_t)(size < most ? size : most);
    memset(map, 0, BUFFER);
    memcpy((char *)map + SHMRPC_LENGTH_WORD_BYTES, text, length);
    memcpy(map, &length, sizeof length);
}

/* A reader into a room that ends where the longest message does. */
static void try_frame(const struct harness_input *message)
{
    char *slot = harness_room(BUFFER);
    char *other = harness_room(BUFFER);
    size_t capacity = BUFFER - SHMRPC_LENGTH_WORD_BYTES;
    char *out = harness_room(capacity);
    size_t length = 0;
    put_message(slot, message->at, message->left);
    arm(slot, other, BUFFER);
    enum shmrpc_status status = shmrpc_frame_read(slot, capacity, out, &length);
    disarm();
    ORACLE(status == SHMRPC_PROTOCOL || (status == SHMRPC_OK && length <= capacity));
    harness_note(out, length);
    free(out);
    free(other);
    free(slot);
}

/* A method that sees its parameters stand still whatever becomes of the slot. */
static enum shmrpc_status echo(struct shmrpc_call *call, void *user)
{
    (void)user;
    struct shmrpc_value params;
    bool was = armed;
    armed = false;
    shmrpc_call_params(call, &params);
    char *before = harness_copy(params.text, params.length);
    memset(server->channel->request.segment.map, 0xFF, BUFFER);
    ORACLE(memcmp(before, params.text, params.length) == 0);
    free(before);
    armed = was;
    return shmrpc_call_answer_json(call, params.text, params.length);
}

static void check_response(const uint8_t *map)
{
    uint32_t length;
    struct shmrpc_value root;
    memcpy(&length, map, sizeof length);
    ORACLE(length <= BUFFER - SHMRPC_LENGTH_WORD_BYTES);
    ORACLE(shmrpc_json_read((const char *)map + SHMRPC_LENGTH_WORD_BYTES, length, &root, NULL) ==
           SHMRPC_OK);
    harness_note(map, SHMRPC_LENGTH_WORD_BYTES + length);
}

static void try_server(const struct harness_input *message)
{
    struct shmrpc_channel *channel = server->channel;
    put_message(channel->request.segment.map, message->at, message->left);
    scene_set(&channel->request.empty, 0);
    scene_set(&channel->request.full, 1);
    arm(channel->request.segment.map, channel->response.segment.map, BUFFER);
    enum shmrpc_status status = shmrpc_server_step(server, 0);
    disarm();
    ORACLE(status == SHMRPC_OK && server->channel == channel);
    ORACLE(scene_value(&channel->request.empty) == 1 && scene_value(&channel->request.full) == 0);
    ORACLE(scene_value(&channel->response.empty) + scene_value(&channel->response.full) == 1);
    if (scene_value(&channel->response.full) == 1)
        check_response(channel->response.segment.map);
}

static const struct harness_input *response;

/* The server of the client under test: one response, with '$' for the id, if the mode has one. */
static int respond(sem_t *semaphore, int64_t until_ns)
{
    (void)semaphore;
    (void)until_ns;
    struct shmrpc_channel *channel = server->channel;
    char text[BUFFER];
    size_t length = 0;
    bool was = armed;
    if (response == NULL || sem_trywait(channel->request.full.map) != 0)
        return 0;
    armed = false;
    for (size_t i = 0; i < response->left && length + SHMRPC_ID_BYTES < sizeof text; i++) {
        if (response->at[i] == '$') {
            memcpy(text + length, own_id(caller), SHMRPC_ID_BYTES);
            length += SHMRPC_ID_BYTES;
        } else {
            text[length++] = (char)response->at[i];
        }
    }
    sem_post(channel->request.empty.map);
    (void)!sem_trywait(channel->response.empty.map);
    put_message(channel->response.segment.map, text, length);
    sem_post(channel->response.full.map);
    armed = was;
    return 0;
}

static void try_client(const struct harness_input *message)
{
    struct shmrpc_value result = {.text = NULL, .length = 0};
    struct shmrpc_channel *channel = caller->channel;
    uint8_t *incoming = channel->response.segment.map;
    response = message;
    arm(incoming, channel->request.segment.map, BUFFER);
    enum shmrpc_status status = shmrpc_client_call_json(caller, "echo", "{\"a\":[1]}", 9, &result);
    disarm();
    response = NULL;
    ORACLE(status == SHMRPC_OK || status == SHMRPC_METHOD_ERROR || status == SHMRPC_PROTOCOL ||
           status == SHMRPC_TIMEOUT);
    ORACLE(caller->channel == channel && !channel->broken);
    ORACLE(scene_value(&channel->response.empty) == 1);
    if (status == SHMRPC_OK) {
        /* It views private memory, and stands still. */
        char *before = harness_copy(result.text, result.length);
        memset(incoming, 0xFF, BUFFER);
        ORACLE(memcmp(before, result.text, result.length) == 0);
        harness_note(before, result.length);
        free(before);
    }
    harness_note_number((uint64_t)status);
}

/* Nobody takes the request: it is looked at in the slot, and taken back if it is still ours. */
static void try_withdraw(void)
{
    struct shmrpc_channel *channel = caller->channel;
    struct shmrpc_value result;
    arm(channel->request.segment.map, channel->response.segment.map, BUFFER);
    enum shmrpc_status status = shmrpc_client_call(caller, "echo", NULL, 0, &result);
    disarm();
    ORACLE(status == SHMRPC_TIMEOUT);
    bool free_again = scene_value(&channel->request.empty) == 1;
    ORACLE(free_again == !shmrpc_client_maybe_executed(caller));
    ORACLE(scene_value(&channel->request.empty) + scene_value(&channel->request.full) == 1);
    harness_note_number(free_again);
}

static void begin(void)
{
    static const struct scene_hooks hooks = {.wait = respond, .remember_names = true};
    scene_begin(&hooks);
    if (server == NULL) {
        struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
        struct shmrpc_client_options client_options = SHMRPC_CLIENT_OPTIONS_INIT;
        options.buffer_bytes = BUFFER;
        options.wait = client_options.wait = SHMRPC_WAIT_BLOCK;
        client_options.timeout_ms = CALL_MS;
        ORACLE(shmrpc_server_create(scene_name(), &options, &server) == SHMRPC_OK);
        ORACLE(shmrpc_server_register(server, "echo", echo, NULL) == SHMRPC_OK);
        ORACLE(shmrpc_client_open(scene_name(), &client_options, &caller) == SHMRPC_OK);
    }
    scene_reset_slots(server->channel);
    caller->id_high = caller->id_low = 0;
    server->place.keeper.looked_ns = server->place.keeper.since_ns = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harness_input input = {data, size};
    enum mode mode = (enum mode)(harness_byte(&input) % MODES);
    change_count = harness_byte(&input) % CHANGES;
    for (unsigned i = 0; i < change_count; i++) {
        changes[i].before_load = harness_word(&input) % 64;
        changes[i].offset = harness_word(&input) % BUFFER;
        changes[i].value = harness_word(&input);
    }
    begin();
    if (mode == FRAME)
        try_frame(&input);
    else if (mode == SERVE)
        try_server(&input);
    else if (mode == CALL)
        try_client(&input);
    else
        try_withdraw();
    scene_end();
    return 0;
}

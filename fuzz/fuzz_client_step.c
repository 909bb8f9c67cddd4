/* SPDX-License-Identifier: MIT
 *
 * Input: a text trace, one action of the peer a line. Lines that begin with '@' wait until the client
 * waits: then the peer does the next of them. The rest happens at once. '$' in TEXT stands for the id
 * of the call under way.
 *
 * Orderly actions, as a server does them:
 *   take | grab         the whole receive of a request; only its first half
 *   result TEXT         respond to the call with a result, if the slot is free
 *   error TEXT          with an error text
 *   foreign             respond to somebody else
 *   serve               take, then result 7
 *   dead | live         the server's lock goes, comes back
 *   time N | signal     milliseconds pass; (behind '@') the wait is interrupted
 * Disorderly ones:
 *   answer TEXT         respond with any bytes
 *   length N            the response's length word
 *   post S | drain S | value S N | garble S OFFSET N       as in fuzz_server_step.c (take there)
 *   unlink N            the name of object N goes
 * And:
 *   call METHOD N       call with a time-out of N ms
 *   json N TEXT         the same with TEXT as the parameters
 *
 * After each call the model says what must hold; at the end a proper server is there, and the client
 * must be able to call it.
 */
#include "client.c"

#include "judge.h"
#include "scene.h"

#include <stdio.h>

enum { QUEUE = 24, CALLS = 16, LONGEST_CALL_MS = 1000, RESULT = 256 };
#define NS_PER_MS INT64_C(1000000)

static struct shmrpc_client *caller;
static bool name_lost;

/* What the model knows of the call under way. */
static struct {
    int timeout_ms;
    int64_t waited_ns;    /* when its first wait began; 0: none has */
    unsigned sent;        /* posts of req_full by the client */
    unsigned taken;       /* takes of req_full by the peer */
    bool orderly;         /* the peer did nothing but what servers do */
    bool was_dead;
    bool wrong;           /* an answer of unknown meaning is on its way */
    bool have_result;     /* the first answer to this call */
    bool have_error;
    char text[RESULT];    /* of either */
} now;
static bool dead;
static bool orderly_so_far;

static char queue[QUEUE][SCENE_LINE];
static unsigned queued;
static unsigned next_queued;

/* ---- The peer ------------------------------------------------------------------------------- */

static struct shmrpc_segment *sem(unsigned number)
{
    return shmrpc_channel_object(scene_server_channel(), (enum shmrpc_object)(2 + number % 4));
}

static bool peer_respond(const char *text, size_t length)
{
    struct shmrpc_channel *channel = scene_server_channel();
    if (sem_trywait(sem(2)->map) != 0)
        return false;
    uint32_t word = (uint32_t)(length < channel->capacity ? length : channel->capacity);
    char *map = channel->response.segment.map;
    memcpy(map + SHMRPC_LENGTH_WORD_BYTES, text, word);
    memcpy(map, &word, sizeof word);
    scene_post(sem(3));
    return true;
}

/* Respond to the call under way, if there is one. */
static void peer_answer(const char *text, bool error)
{
    char message[SCENE_LINE + RESULT];
    struct shmrpc_value value;
    if (strlen(text) >= RESULT ||
        shmrpc_json_read(text, strlen(text), &value, NULL) != SHMRPC_OK)
        return;
    /* An error that is no text is no response of the protocol; an empty one is none. */
    if (error && (value.type != SHMRPC_STRING || value.length == 2))
        return;
    /* Who answers what it has not taken is no server. */
    if (now.taken == 0)
        now.orderly = orderly_so_far = false;
    int length = snprintf(message, sizeof message,
                          "{\"request_id\":\"%.32s\",\"result\":%s,\"error\":%s}", own_id(caller),
                          error ? "null" : text, error ? text : "null");
    if (!peer_respond(message, (size_t)length) || now.have_result || now.have_error || now.wrong)
        return;
    now.have_result = !error;
    now.have_error = error;
    memcpy(now.text, value.text, value.length);
    now.text[value.length] = '\0';
}

static bool peer_take(bool whole)
{
    if (sem_trywait(sem(1)->map) != 0)
        return false;
    now.taken++;
    if (whole)
        scene_post(sem(0));
    return true;
}

static void peer_live(bool live)
{
    int fd = scene_server_channel()->request.segment.fd;
    if (!live)
        shmrpc_lock_drop(fd);
    else
        ORACLE(shmrpc_lock_take(fd) == SHMRPC_OK);
    dead = !live;
    now.was_dead = now.was_dead || dead;
}

static void peer_raw(const char *text)
{
    char message[2 * SCENE_LINE];
    size_t length = 0;
    for (; *text != '\0' && length < SCENE_LINE; text++) {
        if (*text == '$') {
            memcpy(message + length, own_id(caller), SHMRPC_ID_BYTES);
            length += SHMRPC_ID_BYTES;
        } else {
            message[length++] = *text;
        }
    }
    peer_respond(message, length);
    now.wrong = true;
}

/* @return whether it was one of the orderly actions. */
static bool act_orderly(const char *line, const char *word, unsigned a)
{
    if (strcmp(word, "take") == 0 || strcmp(word, "grab") == 0)
        peer_take(word[0] == 't');
    else if (strncmp(line, "result ", 7) == 0)
        peer_answer(line + 7, false);
    else if (strncmp(line, "error ", 6) == 0)
        peer_answer(line + 6, true);
    else if (strcmp(word, "foreign") == 0)
        peer_respond("{\"request_id\":\"x\",\"result\":1,\"error\":null}", 42);
    else if (strcmp(word, "serve") == 0 && peer_take(true))
        peer_answer("7", false);
    else if (strcmp(word, "dead") == 0 || strcmp(word, "live") == 0)
        peer_live(word[0] == 'l');
    else if (strcmp(word, "time") == 0)
        scene_advance_ms(a % 1000);
    else
        return strcmp(word, "serve") == 0 || strcmp(word, "signal") == 0;
    return true;
}

static void act_disorderly(const char *line, const char *word, const unsigned number[3])
{
    void *semaphore = sem(number[0])->map;
    char file[SHMRPC_FILE_NAME_BYTES];
    char path[SHMRPC_FILE_NAME_BYTES + 16];
    now.orderly = orderly_so_far = false;
    if (strncmp(line, "answer ", 7) == 0) {
        peer_raw(line + 7);
    } else if (strcmp(word, "length") == 0) {
        memcpy(scene_server_channel()->response.segment.map, &(uint32_t){number[0]}, 4);
    } else if (strcmp(word, "post") == 0) {
        scene_post(sem(number[0]));
    } else if (strcmp(word, "drain") == 0) {
        (void)!sem_trywait(semaphore);
    } else if (strcmp(word, "value") == 0) {
        memcpy(semaphore, &(uint32_t){number[1]}, 4);
    } else if (strcmp(word, "garble") == 0) {
        ((uint8_t *)semaphore)[number[1] % 12] = (uint8_t)number[2];
    } else if (strcmp(word, "unlink") == 0) {
        shmrpc_name_object(scene_name(), (enum shmrpc_object)(number[0] % 6), file);
        shmrpc_segment_path(file, path);
        name_lost = unlink(path) == 0 || name_lost;
    }
}

static int act(const char *line)
{
    char word[16] = "";
    unsigned number[3] = {0, 0, 0};
    if (sscanf(line, "%15s %u %u %u", word, &number[0], &number[1], &number[2]) < 1)
        return 0;
    if (!act_orderly(line, word, number[0]))
        act_disorderly(line, word, number);
    return strcmp(word, "signal") == 0 ? EINTR : 0;
}

/* ---- The model ------------------------------------------------------------------------------ */

/* SRPC-TIME-003: no wait ends later than agreed; a millisecond is for looks at the clock. */
static int on_wait(sem_t *semaphore, int64_t until_ns)
{
    (void)semaphore;
    if (now.waited_ns == 0)
        now.waited_ns = scene_now_ns();
    ORACLE(until_ns <= now.waited_ns + (now.timeout_ms + 1) * NS_PER_MS);
    return next_queued < queued ? act(queue[next_queued++]) : 0;
}

/* Whatever is posted as a request is one, under the id of this call. */
static void on_post(sem_t *semaphore)
{
    struct shmrpc_channel *channel = caller->channel;
    if (channel == NULL || semaphore != channel->request.full.map)
        return;
    now.sent++;
    if (!now.orderly)
        return;
    /* SRPC-CALL-009: never sent twice. */
    ORACLE(now.sent == 1);
    uint32_t length;
    const char *map = channel->request.segment.map;
    memcpy(&length, map, sizeof length);
    struct shmrpc_value root, member;
    ORACLE(length <= channel->capacity);
    ORACLE(shmrpc_json_read(map + SHMRPC_LENGTH_WORD_BYTES, length, &root, NULL) == SHMRPC_OK);
    cJSON *tree = judge_parse(map + SHMRPC_LENGTH_WORD_BYTES, length);
    if (tree != NULL) {
        const cJSON *id = judge_last(tree, "request_id");
        ORACLE(cJSON_IsString(id) && strncmp(id->valuestring, own_id(caller), 32) == 0);
        ORACLE(cJSON_IsString(judge_last(tree, "method")));
        ORACLE(cJSON_IsObject(judge_last(tree, "params")));
    }
    cJSON_Delete(tree);
    ORACLE(shmrpc_value_member(&root, "params", 6, &member) == SHMRPC_OK);
    harness_note(map, SHMRPC_LENGTH_WORD_BYTES + length);
}

static void check_success(const struct shmrpc_value *result)
{
    /* The answer to this very call, to the byte. */
    ORACLE(now.have_result && !now.have_error);
    ORACLE(result->length == strlen(now.text));
    ORACLE(memcmp(result->text, now.text, result->length) == 0);
}

static void check_method_error(void)
{
    const char *data;
    size_t length;
    struct shmrpc_value value = {
        .text = now.text, .length = strlen(now.text), .type = SHMRPC_STRING};
    ORACLE(now.have_error && !now.have_result);
    shmrpc_client_method_error(caller, &data, &length);
    ORACLE(shmrpc_json_string_equals(&value, data, length));
}

/* What must hold where the peer kept to the rules. */
static void check_orderly(enum shmrpc_status status, const struct shmrpc_value *result)
{
    bool executed = shmrpc_client_maybe_executed(caller);
    ORACLE(status != SHMRPC_PROTOCOL);
    if (status == SHMRPC_OK)
        check_success(result);
    if (status == SHMRPC_METHOD_ERROR)
        check_method_error();
    /* SRPC-CALL-008: "not executed" is certain, and so is what nobody took. */
    if (now.taken > 0 && now.sent > 0)
        ORACLE(executed);
    if (now.taken == 0 && status != SHMRPC_OK && status != SHMRPC_METHOD_ERROR)
        ORACLE(!executed);
    if (status == SHMRPC_PEER_GONE_NOT_STARTED || status == SHMRPC_PEER_GONE_MAYBE_EXECUTED) {
        ORACLE(now.was_dead && caller->channel == NULL);
        ORACLE(executed == (status == SHMRPC_PEER_GONE_MAYBE_EXECUTED));
    }
    /* A request that was taken back leaves a free slot. */
    if (now.sent == 1 && !executed)
        ORACLE(scene_value(sem(0)) == 1 && scene_value(sem(1)) == 0);
}

/* The result as a string, which it is or is not; decoded by the judge's rules. */
static void check_string(const struct shmrpc_value *result)
{
    const char *data;
    size_t length, decoded;
    enum shmrpc_status status = shmrpc_client_result_string(caller, &data, &length);
    ORACLE((status == SHMRPC_OK) == (result->type == SHMRPC_STRING));
    if (status != SHMRPC_OK)
        return;
    char *text = judge_decode(result, &decoded);
    ORACLE(decoded == length && memcmp(text, data, length) == 0);
    free(text);
}

static enum shmrpc_status check_call(const char *method, int timeout_ms, const char *params)
{
    struct shmrpc_value result = {.text = NULL, .length = 0, .type = SHMRPC_NULL};
    struct shmrpc_param list[3] = {shmrpc_param_int64("n", timeout_ms),
                                   shmrpc_param_string("s", method, strlen(method)),
                                   shmrpc_param_json("j", "[1,{}]", 6)};
    memset(&now, 0, sizeof now);
    now.timeout_ms = timeout_ms;
    now.orderly = orderly_so_far;
    now.was_dead = dead;
    ORACLE(shmrpc_client_set_timeout(caller, timeout_ms) == SHMRPC_OK);
    enum shmrpc_status status =
        params != NULL
            ? shmrpc_client_call_json(caller, method, params, strlen(params), &result)
            : shmrpc_client_call(caller, method, list, strlen(method) % 4, &result);
    ORACLE(status != SHMRPC_INVALID && status != SHMRPC_SYSTEM);
    ORACLE(client_ok(caller) && shmrpc_client_error(caller) != NULL);
    ORACLE(caller->channel == NULL || (!caller->channel->inside && !caller->channel->broken));
    ORACLE(status != SHMRPC_OK || (result.text >= caller->buffer &&
                                   result.text < caller->buffer + caller->capacity) ||
           strcmp(result.text, "null") == 0);
    ORACLE(status != SHMRPC_TOO_LARGE || now.sent == 0);
    if (status == SHMRPC_OK)
        check_string(&result);
    if (now.orderly)
        check_orderly(status, &result);
    harness_note_number((uint64_t)status << 1 | shmrpc_client_maybe_executed(caller));
    harness_note(result.text, result.length);
    return status;
}

/* ---- Begin and end of each input ------------------------------------------------------------ */

static void begin(void)
{
    static const struct scene_hooks hooks = {.wait = on_wait, .post = on_post, .remember_names = true};
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    scene_begin(&hooks);
    if (name_lost) {
        shmrpc_client_close(&caller);
        scene_close_channel();
    }
    struct shmrpc_channel *channel = scene_server_channel();
    scene_reset_slots(channel);
    memset(channel->request.segment.map, 0, channel->capacity);
    memset(channel->response.segment.map, 0, channel->capacity);
    options.wait = SHMRPC_WAIT_BLOCK;
    if (caller == NULL)
        ORACLE(shmrpc_client_open(scene_name(), &options, &caller) == SHMRPC_OK);
    caller->id_high = caller->id_low = 0;
    next_id(caller);
    memset(&now, 0, sizeof now);
    now.orderly = orderly_so_far = true;
    name_lost = false;
    queued = next_queued = 0;
}

/* Whatever happened: a client of a server that lives and serves gets its answer. */
static void check_alive(void)
{
    enum { ATTEMPTS = 2 };
    enum shmrpc_status status = SHMRPC_TIMEOUT;
    if (dead)
        peer_live(true);
    for (int i = 0; status != SHMRPC_OK && !name_lost && i < ATTEMPTS; i++) {
        scene_reset_slots(scene_server_channel());
        orderly_so_far = true;
        snprintf(queue[0], SCENE_LINE, "serve");
        queued = 1;
        next_queued = 0;
        status = check_call("echo", 100, NULL);
    }
    ORACLE(status == SHMRPC_OK || name_lost);
}

static void run_line(const char *line)
{
    char method[64];
    unsigned timeout_ms;
    int at = 0;
    if (sscanf(line, "call %63s %u", method, &timeout_ms) == 2)
        (void)check_call(method, 1 + (int)(timeout_ms % LONGEST_CALL_MS), NULL);
    else if (sscanf(line, "json %u %n", &timeout_ms, &at) == 1 && at > 0)
        (void)check_call("json", 1 + (int)(timeout_ms % LONGEST_CALL_MS), line + at);
    else
        (void)act(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harness_input trace = {data, size};
    char line[SCENE_LINE];
    unsigned calls = 0;
    begin();
    while (calls < CALLS && scene_line(&trace, line) != NULL) {
        if (line[0] == '@') {
            if (queued < QUEUE)
                memcpy(queue[queued++], line + 1, SCENE_LINE - 1);
            continue;
        }
        calls += line[0] == 'c' || line[0] == 'j';
        run_line(line);
    }
    check_alive();
    scene_end();
    return 0;
}

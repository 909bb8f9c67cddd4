/* SPDX-License-Identifier: MIT
 *
 * Input: a text trace, one action of the peer a line. Lines that begin with '@' wait until the server
 * waits: then the peer does the next of them. The rest happens at once:
 *
 *   send TEXT           a client's whole send: take req_empty, write, post req_full, if it can
 *   collect             a client's whole receive, if there is a response
 *   write TEXT          bytes into the request slot, whoever has it
 *   length N            its length word
 *   post S | take S     one semaphore (S: 0 req_empty, 1 req_full, 2 resp_empty, 3 resp_full)
 *   value S N           its value word
 *   garble S OFFSET N   any of its bytes
 *   attach | die        a client opens the response segment; dies
 *   unlink N            the name of object N goes
 *   time N              milliseconds pass
 *   signal              (behind '@') the wait is interrupted
 *   stop                shmrpc_server_stop()
 *   step N              the server serves for N ms
 *
 * After each step the model says what must hold; at the end the client is dead, and within a few
 * idle steps the server must answer an ordinary call again.
 */
#include "server.c"

#include "judge.h"
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { BUFFER = 512, ANSWER_MS = 200, QUEUE = 24, STEPS = 24, LONGEST_STEP_MS = 1000 };
#define NS_PER_MS INT64_C(1000000)

static struct shmrpc_server *server;
static int client_fd = -1;
static bool name_lost;

/* What the model knows of the step under way. */
static struct {
    int64_t until_ns;    /* of waits for a request */
    int64_t answer_ns;   /* when the server began to wait for the response slot; 0: it has not */
    unsigned executed;   /* handlers run */
    unsigned answers;    /* posts of resp_full */
    unsigned freed;      /* posts of req_empty */
    unsigned handlers;   /* how deep in handlers we are */
    cJSON *request;      /* what is about to be taken, if that is certain and cJSON can tell */
} now;

static char queue[QUEUE][SCENE_LINE];
static unsigned queued;
static unsigned next_queued;

/* ---- Methods -------------------------------------------------------------------------------- */

enum method {
    ECHO,
    ADD,
    TWICE,
    SILENT,
    FAIL,
    BIG,
    HALF,
    FLAG,
    COUNT,
    REAL,
    TEXT,
    NONE,
    SORRY,
    METHODS
};
static const char *const names[METHODS] = {"echo", "add",   "twice", "silent", "fail", "big",  "half",
                                           "flag", "count", "real",  "text",   "none", "sorry"};

/* Methods that take one parameter of a type and answer it. */
static enum shmrpc_status answer_typed(struct shmrpc_call *call, enum method method)
{
    bool flag;
    uint64_t count;
    double real;
    const char *text;
    size_t length;
    enum shmrpc_status status;
    switch (method) {
    case FLAG:
        status = shmrpc_call_bool(call, "v", &flag);
        return status == SHMRPC_OK ? shmrpc_call_answer_bool(call, flag) : status;
    case COUNT:
        status = shmrpc_call_uint64(call, "v", &count);
        return status == SHMRPC_OK ? shmrpc_call_answer_uint64(call, count) : status;
    case REAL:
        status = shmrpc_call_double(call, "v", &real);
        return status == SHMRPC_OK ? shmrpc_call_answer_double(call, real) : status;
    default:
        status = shmrpc_call_string(call, "v", &text, &length);
        return status == SHMRPC_OK ? shmrpc_call_answer_string(call, text, length) : status;
    }
}

/* An answer that fails, an error text in its place, and then it is too late for another. */
static enum shmrpc_status answer_sorry(struct shmrpc_call *call)
{
    ORACLE(shmrpc_call_answer_double(call, 0.0 / 0.0) != SHMRPC_OK);
    enum shmrpc_status status = shmrpc_call_fail(call, "Sorry", "once");
    ORACLE(shmrpc_call_fail(call, "Sorry", "twice") != SHMRPC_OK);
    return status;
}

static enum shmrpc_status answer(struct shmrpc_call *call, enum method method)
{
    static char big[BUFFER];
    struct shmrpc_value params;
    struct shmrpc_writer *writer;
    int64_t a, b;
    enum shmrpc_status status;
    switch (method) {
    case ECHO:
        shmrpc_call_params(call, &params);
        return shmrpc_call_answer_json(call, params.text, params.length);
    case ADD:
        status = shmrpc_call_expect(call, (const char *const[]){"a", "b"}, 2);
        if (status == SHMRPC_OK)
            status = shmrpc_call_int64(call, "a", &a);
        if (status == SHMRPC_OK)
            status = shmrpc_call_int64(call, "b", &b);
        return status == SHMRPC_OK ? shmrpc_call_answer_int64(call, a ^ b) : status;
    case TWICE:
        status = shmrpc_call_answer_int64(call, 1);
        ORACLE(shmrpc_call_answer_int64(call, 2) ==
               (status == SHMRPC_TIMEOUT ? SHMRPC_TIMEOUT : SHMRPC_INVALID) ||
               status == SHMRPC_PROTOCOL || status == SHMRPC_TOO_LARGE);
        return SHMRPC_OK;
    case FAIL:
        return shmrpc_call_fail(call, "ValueError", "no\xFF");
    case BIG:
        memset(big, 'b', sizeof big);
        status = shmrpc_call_answer_string(call, big, sizeof big);
        ORACLE(status != SHMRPC_OK);
        return status;
    case HALF:
        status = shmrpc_call_answer_begin(call, &writer);
        if (status != SHMRPC_OK)
            return status;
        shmrpc_write_array_begin(writer);
        status = shmrpc_call_answer_end(call);
        ORACLE(status != SHMRPC_OK);
        return status;
    case FLAG:
    case COUNT:
    case REAL:
    case TEXT:
        return answer_typed(call, method);
    case NONE:
        ORACLE(shmrpc_call_capacity(call) == BUFFER - SHMRPC_LENGTH_WORD_BYTES);
        ORACLE(shmrpc_server_step(server, 0) == SHMRPC_INVALID);
        return shmrpc_call_answer_null(call);
    case SORRY:
        return answer_sorry(call);
    default:
        return SHMRPC_OK;
    }
}

static enum shmrpc_status any_method(struct shmrpc_call *call, void *user)
{
    enum method method = (enum method)(uintptr_t)user;
    ORACLE(now.handlers == 0);
    ORACLE(strcmp(shmrpc_call_method(call), names[method]) == 0);
    now.handlers++;
    now.executed++;
    enum shmrpc_status status = answer(call, method);
    now.handlers--;
    return status;
}

/* ---- The peer ------------------------------------------------------------------------------- */

static struct shmrpc_segment *object(unsigned number)
{
    return shmrpc_channel_object(server->channel, (enum shmrpc_object)(number % 6));
}

static struct shmrpc_segment *sem(unsigned number)
{
    return object(2 + number % 4);
}

static void write_request(const char *text)
{
    size_t length = strlen(text);
    size_t most = BUFFER - SHMRPC_LENGTH_WORD_BYTES;
    uint32_t word = (uint32_t)(length < most ? length : most);
    char *map = server->channel->request.segment.map;
    memcpy(map + SHMRPC_LENGTH_WORD_BYTES, text, word);
    memcpy(map, &word, sizeof word);
}

static void peer_send(const char *text)
{
    if (sem_trywait(sem(0)->map) != 0)
        return;
    write_request(text);
    scene_post(sem(1));
}

/* @return whether there was a response. */
static bool peer_collect(char *text, size_t room)
{
    if (sem_trywait(sem(3)->map) != 0)
        return false;
    uint32_t word;
    char *map = server->channel->response.segment.map;
    memcpy(&word, map, sizeof word);
    size_t length = word < room - 1 ? word : room - 1;
    memcpy(text, map + SHMRPC_LENGTH_WORD_BYTES, length);
    text[length] = '\0';
    scene_post(sem(2));
    return true;
}

static void peer_attach(void)
{
    char file[SHMRPC_FILE_NAME_BYTES];
    char path[SHMRPC_FILE_NAME_BYTES + 16];
    shmrpc_name_object(scene_name(), SHMRPC_OBJECT_RESP, file);
    shmrpc_segment_path(file, path);
    if (client_fd < 0)
        client_fd = open(path, O_RDWR | O_CLOEXEC);
}

static void peer_die(void)
{
    if (client_fd >= 0)
        close(client_fd);
    client_fd = -1;
}

static void peer_unlink(unsigned number)
{
    char file[SHMRPC_FILE_NAME_BYTES];
    char path[SHMRPC_FILE_NAME_BYTES + 16];
    shmrpc_name_object(scene_name(), (enum shmrpc_object)(number % 6), file);
    shmrpc_segment_path(file, path);
    name_lost = unlink(path) == 0 || name_lost;
}

static void garble(unsigned which, unsigned offset, unsigned value)
{
    /* The two words that glibc uses. */
    ((uint8_t *)sem(which)->map)[offset % 12] = (uint8_t)value;
}

/* What a word and up to three numbers say. @return EINTR for a signal. */
static int act(const char *line)
{
    char word[16] = "";
    unsigned a = 0, b = 0, c = 0;
    char text[BUFFER];
    if (strncmp(line, "send ", 5) == 0)
        peer_send(line + 5);
    else if (strncmp(line, "write ", 6) == 0)
        write_request(line + 6);
    if (sscanf(line, "%15s %u %u %u", word, &a, &b, &c) < 1)
        return 0;
    if (strcmp(word, "collect") == 0)
        peer_collect(text, sizeof text);
    else if (strcmp(word, "length") == 0)
        memcpy(server->channel->request.segment.map, &(uint32_t){a}, 4);
    else if (strcmp(word, "post") == 0)
        scene_post(sem(a));
    else if (strcmp(word, "take") == 0)
        (void)!sem_trywait(sem(a)->map);
    else if (strcmp(word, "value") == 0)
        memcpy(sem(a)->map, &(uint32_t){b}, 4);
    else if (strcmp(word, "garble") == 0)
        garble(a, b, c);
    else if (strcmp(word, "attach") == 0)
        peer_attach();
    else if (strcmp(word, "die") == 0)
        peer_die();
    else if (strcmp(word, "unlink") == 0)
        peer_unlink(a);
    else if (strcmp(word, "time") == 0)
        scene_advance_ms(a % 10000);
    else if (strcmp(word, "stop") == 0)
        shmrpc_server_stop(server);
    return strcmp(word, "signal") == 0 ? EINTR : 0;
}

/* ---- The model ------------------------------------------------------------------------------ */

/* SRPC-TIME-003: no wait ends later than agreed; a millisecond is for looks at the clock. */
static int on_wait(sem_t *semaphore, int64_t until_ns)
{
    if (semaphore == sem(1)->map) {
        ORACLE(until_ns <= now.until_ns + NS_PER_MS);
    } else {
        ORACLE(semaphore == sem(2)->map);
        if (now.answer_ns == 0)
            now.answer_ns = scene_now_ns();
        ORACLE(until_ns <= now.answer_ns + (ANSWER_MS + 1) * NS_PER_MS);
    }
    return next_queued < queued ? act(queue[next_queued++]) : 0;
}

/* Whatever is posted as a response is one, to the request that was taken. */
static void check_response(void)
{
    uint32_t length;
    const char *map = server->channel->response.segment.map;
    memcpy(&length, map, sizeof length);
    ORACLE(length > 0 && length <= BUFFER - SHMRPC_LENGTH_WORD_BYTES);
    struct shmrpc_value root;
    ORACLE(shmrpc_json_read(map + SHMRPC_LENGTH_WORD_BYTES, length, &root, NULL) == SHMRPC_OK);
    cJSON *tree = judge_parse(map + SHMRPC_LENGTH_WORD_BYTES, length);
    if (tree != NULL) {
        ORACLE(cJSON_IsObject(tree) && cJSON_GetArraySize(tree) == 3);
        const cJSON *error = judge_last(tree, "error");
        ORACLE(judge_last(tree, "result") != NULL && error != NULL);
        ORACLE(cJSON_IsNull(error) || (cJSON_IsString(error) && error->valuestring[0] != '\0'));
        if (now.request != NULL)
            ORACLE(cJSON_Compare(judge_last(tree, "request_id"),
                                 judge_last(now.request, "request_id"), true));
    }
    cJSON_Delete(tree);
    harness_note(map, SHMRPC_LENGTH_WORD_BYTES + length);
}

static void on_post(sem_t *semaphore)
{
    if (semaphore == sem(0)->map) {
        now.freed++;
    } else if (semaphore == sem(3)->map) {
        now.answers++;
        /* At most one answer to a request, and none to nobody. */
        ORACLE(now.answers == 1);
        check_response();
    }
}

/* What the model expects of a step that begins with an orderly request and an unmoved peer. */
struct forecast {
    bool certain;
    bool request;  /* one is waiting */
    bool answered; /* and calls for an answer */
    bool executed; /* by a method of ours */
};

static bool is_ours(const char *method)
{
    for (unsigned i = 0; i < METHODS; i++)
        if (strcmp(method, names[i]) == 0)
            return true;
    return false;
}

/* SRPC-ENV-013, SRPC-ENV-014: which messages are answered and which are executed, told by cJSON. */
static void forecast_answer(struct forecast *forecast, const char *text, size_t length)
{
    struct shmrpc_value root;
    if (shmrpc_json_read(text, length, &root, NULL) != SHMRPC_OK)
        return;
    now.request = judge_parse(text, length);
    forecast->certain = now.request != NULL;
    if (!forecast->certain || !cJSON_IsObject(now.request))
        return;
    const cJSON *id = judge_last(now.request, "request_id");
    const cJSON *method = judge_last(now.request, "method");
    const cJSON *params = judge_last(now.request, "params");
    if (id == NULL)
        return;
    forecast->answered = true;
    forecast->executed = cJSON_IsString(id) && cJSON_IsString(method) && cJSON_IsObject(params) &&
                         is_ours(method->valuestring);
    /* SRPC-ENV-019: beside a long id there may be no room to answer. */
    forecast->certain = length < BUFFER / 2;
}

static struct forecast look_ahead(void)
{
    struct forecast forecast = {.certain = next_queued == queued && !name_lost &&
                                           !atomic_load(&server->stop)};
    static const int idle[4] = {1, 0, 1, 0};
    static const int busy[4] = {0, 1, 1, 0};
    bool is_idle = true, is_busy = true;
    for (unsigned i = 0; i < 4; i++) {
        const uint32_t *words = sem(i)->map;
        forecast.certain = forecast.certain && words[1] == 0 && words[2] == 128;
        is_idle = is_idle && scene_value(sem(i)) == idle[i];
        is_busy = is_busy && scene_value(sem(i)) == busy[i];
    }
    forecast.certain = forecast.certain && (is_idle || is_busy);
    forecast.request = is_busy;
    uint32_t length;
    const char *map = server->channel->request.segment.map;
    memcpy(&length, map, sizeof length);
    if (forecast.certain && is_busy && length <= BUFFER - SHMRPC_LENGTH_WORD_BYTES) {
        char *text = harness_copy(map + SHMRPC_LENGTH_WORD_BYTES, length);
        forecast_answer(&forecast, text, length);
        free(text);
    }
    return forecast;
}

static void check_forecast(const struct forecast *forecast, enum shmrpc_status status)
{
    if (!forecast->certain)
        return;
    ORACLE(status == (forecast->request ? SHMRPC_OK : SHMRPC_TIMEOUT));
    ORACLE(now.freed == (forecast->request ? 1 : 0));
    ORACLE(now.answers == (forecast->answered ? 1 : 0));
    ORACLE(now.executed == (forecast->executed ? 1 : 0));
    ORACLE(scene_value(sem(0)) == 1 && scene_value(sem(1)) == 0);
    ORACLE(scene_value(sem(2)) == (forecast->answered ? 0 : 1));
    ORACLE(scene_value(sem(3)) == (forecast->answered ? 1 : 0));
}

static enum shmrpc_status check_step(unsigned timeout_ms)
{
    memset(&now, 0, sizeof now);
    struct forecast forecast = look_ahead();
    int64_t start = scene_now_ns();
    bool stopped = atomic_load(&server->stop);
    now.until_ns = start + timeout_ms * NS_PER_MS;
    struct shmrpc_channel *before = server->channel;
    enum shmrpc_status status = shmrpc_server_step(server, (int)timeout_ms);
    ORACLE(status == SHMRPC_OK || status == SHMRPC_TIMEOUT ||
           (status == SHMRPC_NOT_FOUND && name_lost) || (status == SHMRPC_BUSY && name_lost));
    ORACLE(!stopped || (status == SHMRPC_OK && now.executed == 0 && now.freed == 0));
    ORACLE(now.executed <= 1 && now.handlers == 0);
    ORACLE(status != SHMRPC_TIMEOUT || (now.executed == 0 && now.answers == 0));
    ORACLE(!server->channel->inside && !server->call.running);
    ORACLE(!server->channel->broken || name_lost);
    int64_t longest = (timeout_ms + ANSWER_MS + 1000) * NS_PER_MS;
    ORACLE(scene_now_ns() - start <= longest || next_queued > 0);
    ORACLE(!forecast.certain || server->channel == before);
    check_forecast(&forecast, status);
    harness_note_number((uint64_t)status);
    harness_note_number(now.executed << 8 | now.answers << 4 | now.freed);
    cJSON_Delete(now.request);
    return status;
}

/* ---- The end of each input ------------------------------------------------------------------ */

static bool serves(unsigned number)
{
    char request[128], text[BUFFER], wanted[160];
    snprintf(request, sizeof request,
             "{\"request_id\":\"alive%u\",\"method\":\"echo\",\"params\":{\"n\":%u}}", number, number);
    snprintf(wanted, sizeof wanted,
             "{\"request_id\":\"alive%u\",\"result\":{\"n\":%u},\"error\":null}", number, number);
    peer_attach();
    peer_send(request);
    (void)check_step(0);
    bool fine = peer_collect(text, sizeof text) && strcmp(text, wanted) == 0;
    peer_die();
    return fine;
}

/* SRPC-RECOVER-012: nobody is there any more, and within a second of idling each the server gets
 * over whatever the peer left. */
static void check_alive(void)
{
    enum { ATTEMPTS = 4 };
    bool alive = false;
    peer_die();
    queued = next_queued = 0;
    atomic_store(&server->stop, false);
    for (unsigned i = 0; !alive && !name_lost && i < ATTEMPTS; i++) {
        (void)check_step(1000);
        alive = serves(i);
    }
    ORACLE(alive || name_lost);
}

/* One line of text that any terminal may show. */
static void on_log(void *user, const char *text)
{
    (void)user;
    ORACLE(text[0] != '\0');
    for (; *text != '\0'; text++)
        ORACLE((unsigned char)*text >= ' ' && *text != 0x7F);
}

static void make_server(void)
{
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    options.buffer_bytes = BUFFER;
    options.timeout_ms = ANSWER_MS;
    options.wait = SHMRPC_WAIT_BLOCK;
    options.log = on_log;
    ORACLE(shmrpc_server_create(scene_name(), &options, &server) == SHMRPC_OK);
    for (unsigned i = 0; i < METHODS; i++)
        ORACLE(shmrpc_server_register(server, names[i], any_method, (void *)(uintptr_t)i) ==
               SHMRPC_OK);
}

/* Every input finds the same server: new, or as good as new. */
static void begin(void)
{
    static const struct scene_hooks hooks = {.wait = on_wait, .post = on_post, .remember_names = true};
    scene_begin(&hooks);
    if (server != NULL && name_lost)
        shmrpc_server_close(&server);
    if (server == NULL)
        make_server();
    scene_reset_slots(server->channel);
    memset(server->channel->request.segment.map, 0, BUFFER);
    memset(server->channel->response.segment.map, 0, BUFFER);
    server->place.keeper.looked_ns = 0;
    server->place.keeper.since_ns = 0;
    queued = next_queued = 0;
    name_lost = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harness_input trace = {data, size};
    char line[SCENE_LINE];
    unsigned timeout_ms, steps = 0;
    begin();
    while (steps < STEPS && scene_line(&trace, line) != NULL) {
        if (line[0] == '@') {
            if (queued < QUEUE)
                memcpy(queue[queued++], line + 1, SCENE_LINE - 1);
        } else if (sscanf(line, "step %u", &timeout_ms) == 1) {
            (void)check_step(timeout_ms % LONGEST_STEP_MS);
            steps++;
        } else {
            (void)act(line);
        }
    }
    check_alive();
    scene_end();
    return 0;
}

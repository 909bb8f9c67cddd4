/* SPDX-License-Identifier: MIT
 *
 * Every named crash point of the library, and every pair of one with one of the recovery:
 *
 *   points LIST [SHARE]     (SHARE: of the double faults only every SHAREth; default 1)
 *   points --list           print what LIST must hold
 *
 * A scene is one thing that a server or a client does, and one of the two is its victim. It is
 * played once without a death, which tells how many points the victim passes; then once for each of
 * them, with SIGKILL there. What is left after a death, the names, marks, values and messages, is a
 * state. From each distinct one every recovery is played, again first without a death and then with
 * one at each point that it passes:
 *
 *   restart   the server died; a second one that starts dies, a third one must serve
 *   client    the server died; the client in its call, or in the next one, dies while it finds out
 *   attach    the client died; a second one that attaches dies, a third one must be served
 *   server    the client died; the server dies while it repairs, a second one must serve
 *
 * After every last death: whoever lives returns in time, in an allowed class, with nobody else's
 * answer; no call ran twice, nor one that was said not to have run; then 100 calls succeed; then
 * the semaphores are idle, and the end leaves nothing. Which deaths are died is fixed, and nothing
 * is chosen at random; only how far the other side had come at that moment is the scheduler's
 * (steps.c has both in lock-step), so the number of states may differ by a few.
 *
 * LIST names each point and the scenes that pass it: it fails here if either says what the other
 * does not.
 */
#include "crash.h"
#include "scene.h"
#include "shmrpc.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LANES = 8, /* most of the time goes into waiting */
    CLEAN_CALLS = 100,
    CALLS = 512,
    PATIENT_MS = 10000, /* time-out of a call that must not run into it */
    SHORT_MS = 40,      /* of one that must */
    READY_MS = 10000,   /* limit for whatever must happen without help */
    LEARN_MS = 2000,    /* until a client knows that its server died */
    PASSED = 160,       /* points of one window */
    BUFFER_BYTES = 256,
    MAYBE = 0x100 /* beside 1 + status */
};

enum side {
    SERVER,
    CLIENT
};
enum window { /* what the victim does */
    CREATING, /* server */
    STEPPING, /* server: one step */
    IDLING,   /* server: until the channel is idle */
    STOPPING, /* server */
    OPENING,  /* client */
    CALLING,  /* client: one call */
    CLOSING   /* client */
};
enum second {
    NONE,
    RESTART,
    BY_CLIENT,
    ATTACH,
    BY_SERVER,
    SECONDS
};
static const char *const second_name[SECONDS] = {"", "restart", "client", "attach", "server"};

struct party {
    atomic_int armed; /* points count, and the die_at-th one kills */
    atomic_int die_at;
    atomic_int count;
    char passed[PASSED][ID_BYTES];
    char last[ID_BYTES]; /* armed or not */
};

/* What all processes of a lane see. */
struct world {
    struct party party[2];
    atomic_int created, steps, attached, called, cleaned, failed;
    atomic_int serve, go_call, go_clean, go_close, stop_server; /* orders */
    atomic_uint next, succeeded;
    atomic_uint executed[CALLS];
    atomic_int outcome[CALLS]; /* 0: none; else 1 + status, and MAYBE */
    atomic_int wrong;
    _Atomic int64_t died_ns, learnt_ns;
    char text[700]; /* what failed in a child */
};

struct scene {
    const char *name;
    enum side victim;
    enum window window;
    bool client;    /* there is a client beside the server */
    bool paused;    /* the server does not serve during the window */
    int timeout_ms; /* of the client's call */
    const char *method;
    void (*before)(void);    /* before anybody starts */
    bool (*opened)(void);    /* when the server is there */
    bool (*meanwhile)(void); /* when the call is under way */
};

struct job {
    const struct scene *scene;
    int first; /* 0: nobody dies */
    enum second second;
    int again; /* at which point the second victim dies; 0: it lives */
    atomic_int done, well, passed;
    char state[STATE_BYTES];
};

enum {
    JOBS = 16384,
    IDS = 256,
    SCENES = 40
};
/* What all lanes report to the parent. */
struct tally {
    atomic_uint next;
    atomic_uint deaths, calls;
    atomic_flag busy;
    unsigned ids;
    struct {
        char id[ID_BYTES];
        bool scene[SCENES];
        bool recovery; /* passed by somebody who recovers */
        unsigned deaths;
    } point[IDS];
    unsigned jobs;
    struct job job[JOBS];
};

static struct tally *tally;
static struct world *world;
static const struct scene *scene;
static const char *name;
static enum side side; /* of this process */
static struct shmrpc_server *serving;
static pid_t server_pid, client_pid; /* 0: not there */
static const struct job *job_now;

/* ---- in the children */

void (*shmrpc_crash_hook)(const char *point, const char *detail);

static void pass(const char *point, const char *detail)
{
    static char id[ID_BYTES];
    struct party *party = &world->party[side];
    char before[ID_BYTES];

    memcpy(before, id, sizeof(before));
    point_id(before, point, detail, name, id);
    memcpy(party->last, id, sizeof(id));
    if (!party->armed)
        return;
    int count = party->count;

    if (count < PASSED)
        memcpy(party->passed[count], id, sizeof(id));
    party->count = count + 1;
    if (count + 1 != party->die_at)
        return;
    world->died_ns = now_ns();
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static int complain(int code, const char *what, enum shmrpc_status status, const char *text)
{
    snprintf(world->text, sizeof(world->text), "%s: %s: %s", what, shmrpc_status_name(status),
             text);
    world->failed = 1;
    return code;
}

static int64_t token(uint64_t number)
{
    return (int64_t)number * 7919 + 13;
}

static enum shmrpc_status count_call(struct shmrpc_call *call, uint64_t *number)
{
    enum shmrpc_status status = shmrpc_call_uint64(call, "n", number);

    if (status == SHMRPC_OK && *number < CALLS)
        world->executed[*number]++;
    return status;
}

static enum shmrpc_status answer_token(struct shmrpc_call *call, void *user)
{
    uint64_t number;
    enum shmrpc_status status = count_call(call, &number);

    (void)user;
    return status ? status : shmrpc_call_answer_int64(call, token(number));
}

static enum shmrpc_status answer_error(struct shmrpc_call *call, void *user)
{
    uint64_t number;
    enum shmrpc_status status = count_call(call, &number);

    (void)user;
    return status ? status : shmrpc_call_fail(call, "ValueError", "no");
}

/* A result that does not fit; the error that says so takes the slot it already has. */
static enum shmrpc_status answer_large(struct shmrpc_call *call, void *user)
{
    static const char text[2 * BUFFER_BYTES];
    uint64_t number;
    enum shmrpc_status status = count_call(call, &number);

    (void)user;
    return status ? status : shmrpc_call_answer_string(call, text, sizeof(text));
}

/* Still at it when its client has lost patience. */
static enum shmrpc_status answer_late(struct shmrpc_call *call, void *user)
{
    uint64_t number;
    enum shmrpc_status status = count_call(call, &number);

    (void)user;
    for (int64_t until = now_ns() + READY_MS * INT64_C(1000000);
         !world->called && world->party[CLIENT].armed && now_ns() < until;)
        sleep_us(500);
    return status ? status : shmrpc_call_answer_int64(call, token(number));
}

static void on_term(int number)
{
    (void)number;
    shmrpc_server_stop(serving);
}

static int server_body(void *context)
{
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    struct sigaction action = {.sa_handler = on_term};
    struct shmrpc_error error;
    enum shmrpc_status status;
    const bool *creating = context;

    side = SERVER;
    shmrpc_crash_hook = pass;
    options.buffer_bytes = BUFFER_BYTES;
    options.wait = SHMRPC_WAIT_BLOCK;
    options.timeout_ms = PATIENT_MS;
    options.error = &error;
    status = shmrpc_server_create(name, &options, &serving);
    if (status)
        return complain(3, "a new server", status, error.text);
    if (*creating)
        world->party[SERVER].armed = 0;
    if (shmrpc_server_register(serving, "token", answer_token, NULL) ||
        shmrpc_server_register(serving, "error", answer_error, NULL) ||
        shmrpc_server_register(serving, "large", answer_large, NULL) ||
        shmrpc_server_register(serving, "late", answer_late, NULL))
        return 4;
    sigaction(SIGTERM, &action, NULL);
    world->created++;
    while (!world->serve && !world->stop_server)
        sleep_us(100);
    while (status == SHMRPC_OK && !world->stop_server) {
        status = shmrpc_server_step(serving, SHMRPC_FOREVER);
        if (scene->window == STEPPING)
            world->party[SERVER].armed = 0;
        world->steps++;
    }
    if (status != SHMRPC_OK)
        return complain(5, "serving", status, shmrpc_server_error(serving));
    shmrpc_server_close(&serving);
    if (scene->window == STOPPING)
        world->party[SERVER].armed = 0;
    return 0;
}

static void one_call(struct shmrpc_client *client, const char *method)
{
    static const char pad[2 * BUFFER_BYTES];
    uint32_t number = world->next++;
    struct shmrpc_param params[2] = {shmrpc_param_uint64("n", number),
                                     shmrpc_param_string("pad", pad, sizeof(pad))};
    bool too_large = strcmp(method, "request") == 0;
    struct shmrpc_value result;
    int64_t value;
    enum shmrpc_status status = shmrpc_client_call(client, too_large ? "token" : method, params,
                                                   too_large ? 2 : 1, &result);

    if (number >= CALLS)
        return;
    if (status == SHMRPC_OK &&
        (shmrpc_value_int64(&result, &value) != SHMRPC_OK || value != token(number)))
        world->wrong = 1;
    if (status == SHMRPC_PEER_GONE_NOT_STARTED || status == SHMRPC_PEER_GONE_MAYBE_EXECUTED)
        world->learnt_ns = now_ns();
    world->succeeded += status == SHMRPC_OK;
    world->outcome[number] = (1 + (int)status) | (shmrpc_client_maybe_executed(client) ? MAYBE : 0);
}

/* After whatever happened: calls until one succeeds, then 100 that must. */
static int clean_calls(struct shmrpc_client *client)
{
    int64_t until = now_ns() + READY_MS * INT64_C(1000000);
    unsigned before;

    do {
        before = world->succeeded;
        one_call(client, "token");
        world->party[CLIENT].armed = 0; /* one that recovers may die in the first of them */
        if (world->succeeded == before)
            sleep_us(1000);
    } while (world->succeeded == before && now_ns() < until && world->next < CALLS / 2);
    for (int i = 0; i < CLEAN_CALLS; i++) {
        before = world->succeeded;
        one_call(client, "token");
        if (world->succeeded == before)
            return complain(6, "a clean call", SHMRPC_SYSTEM, shmrpc_client_error(client));
    }
    world->cleaned = 1;
    return 0;
}

static bool obey(const atomic_int *order)
{
    while (!*order)
        sleep_us(100);
    return true;
}

static int client_body(void *context)
{
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct shmrpc_client *client;
    struct shmrpc_error error;
    const bool *opening = context;
    const bool first = !world->go_clean;
    int status = 0;

    side = CLIENT;
    shmrpc_crash_hook = pass;
    options.timeout_ms = !first || !scene->timeout_ms ? PATIENT_MS : scene->timeout_ms;
    options.wait_for_server_ms = READY_MS;
    options.wait_busy_ms = READY_MS;
    options.wait = SHMRPC_WAIT_BLOCK;
    options.error = &error;
    enum shmrpc_status opened = shmrpc_client_open(name, &options, &client);

    if (opened)
        return complain(3, "a new client", opened, error.text);
    if (*opening)
        world->party[CLIENT].armed = 0;
    world->attached++;
    if (first && obey(&world->go_call)) {
        one_call(client, scene->method ? scene->method : "token");
        world->called = 1; /* first: one that is armed from now on is known to be late */
        if (scene->window != CLOSING)
            world->party[CLIENT].armed = 0;
    }
    if (shmrpc_client_set_timeout(client, PATIENT_MS) != SHMRPC_OK)
        return 4;
    if ((!first || scene->window != CLOSING) && obey(&world->go_clean))
        status = clean_calls(client);
    obey(&world->go_close);
    shmrpc_client_close(&client);
    world->party[CLIENT].armed = 0;
    return status;
}

/* ---- the director */

static bool fail(const char *what, ...) __attribute__((format(printf, 1, 2)));
static bool fail(const char *what, ...)
{
    va_list arguments;
    char line[600];

    va_start(arguments, what);
    vsnprintf(line, sizeof(line), what, arguments);
    va_end(arguments);
    printf("error: scene %s, death at point %d %s, %s %d %s: %s%s%s\n", job_now->scene->name,
           job_now->first,
           job_now->first ? world->party[job_now->scene->victim].passed[job_now->first - 1] : "",
           second_name[job_now->second], job_now->again, job_now->again ? "(see there)" : "", line,
           world->text[0] ? "; " : "", world->text);
    return false;
}

static bool await(const atomic_int *what, const char *text)
{
    int64_t until = now_ns() + READY_MS * INT64_C(1000000);

    while (!*what && !world->failed && now_ns() < until)
        sleep_us(50);
    return *what || fail("%s: not within %d ms", text, READY_MS);
}

/* Until the last point that one has passed is this one. */
static bool await_last(enum side whom, const char *id)
{
    const char *last = world->party[whom].last;
    int64_t until = now_ns() + READY_MS * INT64_C(1000000);

    while (strcmp(last, id) != 0 && !world->failed && now_ns() < until)
        sleep_us(50);
    return strcmp(last, id) == 0 || fail("%s: not within %d ms", id, READY_MS);
}

static void start(enum side whom, bool window)
{
    static bool yes = true;
    static bool no = false;
    pid_t *pid = whom == SERVER ? &server_pid : &client_pid;

    *pid = spawn(whom == SERVER ? server_body : client_body, window ? &yes : &no);
}

static void arm(enum side whom, int die_at)
{
    world->party[whom].count = 0;
    world->party[whom].die_at = die_at;
    world->party[whom].armed = 1;
}

static bool dead(pid_t *pid)
{
    siginfo_t info = {0};

    if (waitid(P_PID, (id_t)*pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != *pid ||
        info.si_code != CLD_KILLED)
        return false;
    waitpid(*pid, NULL, 0);
    *pid = 0;
    return true;
}

static bool channel_is_idle(void)
{
    struct state state;

    state_take(name, &state);
    return state.value[REQ_EMPTY] == 1 && state.value[REQ_FULL] == 0 &&
           state.value[RESP_EMPTY] == 1 && state.value[RESP_FULL] == 0;
}

/* Until the armed one has died or its window is over. @return false if neither comes. */
static bool await_death(enum side whom, bool until_idle, bool *died)
{
    pid_t *pid = whom == SERVER ? &server_pid : &client_pid;
    int64_t until = now_ns() + READY_MS * INT64_C(1000000);
    int idle = 0;

    *died = false;
    while (world->party[whom].armed && now_ns() < until && !world->failed) {
        if (dead(pid)) {
            *died = true;
            world->party[whom].armed = 0;
            tally->deaths++;
            return true;
        }
        /* A window that ends with an idle channel: its last points come right behind that. */
        if (until_idle && (idle += channel_is_idle()) > 20)
            world->party[whom].armed = 0;
        sleep_us(until_idle ? 500 : 50);
    }
    return world->party[whom].armed == 0 || fail("neither death nor end");
}

static void kill_server(void)
{
    kill_child(server_pid);
    world->died_ns = now_ns();
    server_pid = 0;
}

/* ---- what a scene needs beside its two */

static void leave_dead_channel(void)
{
    start(SERVER, false);
    await(&world->created, "the server that is to be dead");
    kill_server();
    world->created = 0;
}

static void leave_original(void)
{
    make_original(name, REQ);
}

static void leave_pieces(void)
{
    make_original(name, REQ_FULL);
}

static bool with_raw(void (*act)(struct raw *raw))
{
    struct raw raw;

    if (!raw_open(&raw, name))
        return fail("no channel for the raw peer");
    act(&raw);
    raw_close(&raw);
    return true;
}

static void take_request_slot(struct raw *raw)
{
    sem_trywait(raw->semaphore[REQ_EMPTY]);
}

static void take_response_slot(struct raw *raw)
{
    sem_trywait(raw->semaphore[RESP_EMPTY]);
}

static void put_stale_response(struct raw *raw)
{
    static const char text[] = "{\"request_id\":\"x\",\"result\":1,\"error\":null}";

    sem_trywait(raw->semaphore[RESP_EMPTY]);
    raw_frame(raw, RESP, sizeof(text) - 1, text, sizeof(text) - 1);
    sem_post(raw->semaphore[RESP_FULL]);
}

static bool await_request(void)
{
    int64_t until = now_ns() + READY_MS * INT64_C(1000000);
    struct state state;

    /* The client may be dead before it ever posts. */
    do
        state_take(name, &state);
    while (state.value[REQ_FULL] != 1 && world->party[CLIENT].armed && !dead(&client_pid) &&
           now_ns() < until);
    if (client_pid == 0) {
        world->party[CLIENT].armed = 0;
        tally->deaths++;
    }
    return state.value[REQ_FULL] == 1;
}

static void overwrite(struct raw *raw)
{
    static const char text[] =
        "{\"request_id\":\"another\",\"method\":\"__running__\",\"params\":{}}";

    raw_frame(raw, REQ, sizeof(text) - 1, text, sizeof(text) - 1);
}

static bool overwrite_request(void)
{
    return !await_request() || with_raw(overwrite);
}

static bool server_dies(void)
{
    await_request();
    kill_server();
    return true;
}

static bool dead_writer(void)
{
    return with_raw(take_request_slot);
}
static bool dead_reader(void)
{
    return with_raw(take_response_slot);
}
static bool uncollected(void)
{
    return with_raw(put_stale_response);
}
static bool overposted(void)
{
    return with_raw(post_too_much);
}

static const struct scene scenes[] = {
    {"start", SERVER, CREATING, .paused = true},
    {"restart", SERVER, CREATING, .paused = true, .before = leave_dead_channel},
    {"take-over", SERVER, CREATING, .paused = true, .before = leave_original},
    {"take-pieces", SERVER, CREATING, .paused = true, .before = leave_pieces},
    {"serve", SERVER, STEPPING, .client = true, .method = "token"},
    {"serve-error", SERVER, STEPPING, .client = true, .method = "error"},
    {"serve-large", SERVER, STEPPING, .client = true, .method = "large"},
    {"serve-unknown", SERVER, STEPPING, .client = true, .method = "nothing"},
    {"stop", SERVER, STOPPING, .client = true, .method = "token"},
    {"repair-writer", SERVER, IDLING, .opened = dead_writer},
    {"repair-reader", SERVER, IDLING, .opened = dead_reader},
    {"repair-uncollected", SERVER, IDLING, .opened = uncollected},
    {"renew", SERVER, STEPPING, .opened = overposted},
    {"attach", CLIENT, OPENING, .client = true, .paused = true},
    {"attach-stale", CLIENT, OPENING, .client = true, .paused = true, .opened = uncollected},
    {"call", CLIENT, CALLING, .client = true, .method = "token"},
    {"call-error", CLIENT, CALLING, .client = true, .method = "error"},
    {"call-large", CLIENT, CALLING, .client = true, .method = "request"},
    {"time-out", CLIENT, CALLING, .client = true, .paused = true, .timeout_ms = SHORT_MS},
    {"time-out-late", CLIENT, CALLING, .client = true, .timeout_ms = SHORT_MS, .method = "late"},
    {"time-out-foreign", CLIENT, CALLING, .client = true, .paused = true, .timeout_ms = SHORT_MS,
     .meanwhile = overwrite_request},
    {"server-dies", CLIENT, CALLING, .client = true, .paused = true, .meanwhile = server_dies},
    {"close", CLIENT, CLOSING, .client = true, .method = "token"},
};
enum {
    SCENE_COUNT = sizeof(scenes) / sizeof(*scenes)
};

/* ---- one scene */

static void begin(void)
{
    memset(world, 0, sizeof(*world));
    name = channel_name("point");
    server_pid = client_pid = 0;
    if (scene->before)
        scene->before();
}

/* Everybody in place, the victim armed, and then let go. */
static bool set_up(int first)
{
    bool creating = scene->window == CREATING;

    if (creating)
        arm(SERVER, first);
    start(SERVER, creating);
    if (creating)
        return true;
    if (!await(&world->created, "server") || (scene->opened && !scene->opened()))
        return false;
    if (scene->window == OPENING)
        arm(CLIENT, first);
    if (scene->client)
        start(CLIENT, scene->window == OPENING);
    if (scene->window == OPENING)
        return true;
    if (scene->client && !await(&world->attached, "client"))
        return false;
    if (scene->window == STOPPING || scene->window == CLOSING) {
        world->serve = world->go_call = 1;
        if (!await(&world->called, "call") || !await(&world->steps, "the server's step") ||
            !await_last(SERVER, "server.request.wait_full"))
            return false;
        arm(scene->victim, first);
        world->go_close = scene->window == CLOSING;
        world->stop_server = scene->window == STOPPING;
        if (scene->window == STOPPING)
            kill(server_pid, SIGTERM);
        return true;
    }
    arm(scene->victim, first);
    world->serve = !scene->paused;
    world->go_call = scene->client;
    return !scene->meanwhile || scene->meanwhile();
}

/* The second victim recovers. */
static bool play_second(enum second second, int again, bool *died)
{
    *died = false;
    switch (second) {
    case RESTART:
        arm(SERVER, again);
        start(SERVER, true);
        return await_death(SERVER, false, died) &&
               (*died || await(&world->created, "second server"));
    case BY_CLIENT:
        arm(CLIENT, again);
        world->go_call = 1;
        if (scene->window == STOPPING)
            world->go_clean = 1; /* its one call is over */
        else if (world->called)
            world->party[CLIENT].armed = 0; /* the server died with all done for this call */
        return await_death(CLIENT, false, died);
    case ATTACH:
        world->serve = 1;
        arm(CLIENT, again);
        world->go_clean = 1;
        start(CLIENT, true);
        return await_death(CLIENT, false, died);
    case BY_SERVER:
        arm(SERVER, again);
        world->serve = 1;
        return await_death(SERVER, true, died);
    default:
        return true;
    }
}

static bool ledger_is_right(void)
{
    unsigned made = world->next < CALLS ? world->next : CALLS;

    for (unsigned i = 0; i < made; i++) {
        unsigned ran = world->executed[i];
        int status = (world->outcome[i] & 0xff) - 1;
        bool maybe = world->outcome[i] & MAYBE;
        bool answered = status == SHMRPC_OK || status == SHMRPC_METHOD_ERROR;

        /* The one that asks for a method that there is not runs nothing. */
        bool nothing = i == 0 && scene->method && strcmp(scene->method, "nothing") == 0;

        if (ran > 1)
            return fail("call %u ran %u times", i, ran);
        if (answered && ran != 1 && !nothing)
            return fail("call %u was answered and has not run", i);
        if (status > 0 && !answered && !maybe && ran != 0)
            return fail("call %u ran, though it was said not to have", i);
        if (status > 0 && !answered && status != SHMRPC_TIMEOUT && status != SHMRPC_TOO_LARGE &&
            status != SHMRPC_PEER_GONE_NOT_STARTED && status != SHMRPC_PEER_GONE_MAYBE_EXECUTED &&
            status != SHMRPC_NOT_FOUND)
            return fail("call %u ended as %s", i, shmrpc_status_name((enum shmrpc_status)status));
        if ((status == SHMRPC_PEER_GONE_NOT_STARTED && maybe) ||
            (status == SHMRPC_PEER_GONE_MAYBE_EXECUTED && !maybe))
            return fail("call %u contradicts itself", i);
    }
    tally->calls += made;
    return !world->wrong || fail("a client got another call's answer");
}

/* Whoever still lives, and where nobody does somebody new: 100 calls, an idle channel, a regular
 * end. */
static bool all_is_well(void)
{
    bool well = true;
    bool first_client = client_pid && !world->go_clean;

    world->party[SERVER].armed = world->party[CLIENT].armed = 0;
    /* One that lives returns from what it is in; that a server has gone it learns without help. */
    if (first_client && (scene->window == CALLING || scene->window == STEPPING))
        well = await(&world->called, "the living client's call");
    if (well && world->learnt_ns && world->died_ns &&
        world->learnt_ns - world->died_ns > LEARN_MS * INT64_C(1000000))
        well = fail("a client learnt too late");
    if (first_client && scene->window == CLOSING) {
        well = await_child(client_pid, READY_MS) == 0 && well;
        client_pid = 0;
    }
    if (server_pid && world->stop_server) {
        well = await_child(server_pid, READY_MS) == 0 && well;
        server_pid = 0;
    }
    world->stop_server = 0;
    world->serve = world->go_clean = 1;
    world->go_close = 0;
    if (server_pid == 0) {
        world->created = 0;
        start(SERVER, false);
        well = well && await(&world->created, "a new server");
    }
    if (client_pid == 0)
        start(CLIENT, false);
    world->go_call = 1;
    well = well && await(&world->cleaned, "100 calls");
    world->go_close = 1;
    int status = await_child(client_pid, READY_MS);

    well = well && (status == 0 || fail("the client ended with %d", status));
    well = well && (idle_within(name, LEARN_MS) || fail("the semaphores are not idle"));
    world->stop_server = 1;
    kill(server_pid, SIGTERM);
    status = await_child(server_pid, READY_MS);
    well = well && (status == 0 || fail("the server ended with %d", status));
    well = well && (objects_of(name) == 0 || fail("%d objects left", objects_of(name)));
    return well && ledger_is_right();
}

/* ---- many of them */

static unsigned slot_of(const char *id)
{
    unsigned i = 0;

    while (i < tally->ids && strcmp(tally->point[i].id, id) != 0)
        i++;
    if (i == IDS)
        abort();
    if (i == tally->ids) {
        memcpy(tally->point[i].id, id, strlen(id) + 1);
        tally->ids++;
    }
    return i;
}

static void note_points(const struct party *party, bool recovery, bool died)
{
    int count = party->count < PASSED ? party->count : PASSED;

    while (atomic_flag_test_and_set(&tally->busy))
        sleep_us(10);
    for (int i = 0; i < count; i++) {
        unsigned at = slot_of(party->passed[i]);

        if (recovery)
            tally->point[at].recovery = true;
        else
            tally->point[at].scene[scene - scenes] = true;
        tally->point[at].deaths += died && i == count - 1;
    }
    atomic_flag_clear(&tally->busy);
}

static bool play(struct job *job)
{
    bool died;
    bool well = set_up(job->first);
    enum side second = job->second == RESTART || job->second == BY_SERVER ? SERVER : CLIENT;
    struct state state;

    if (well && (scene->victim == CLIENT ? client_pid : server_pid))
        well = await_death(scene->victim, scene->window == IDLING, &died);
    else
        died = true;
    if (!well)
        return false;
    state_take(name, &state);
    state_print(&state, job->state);
    note_points(&world->party[scene->victim], false, died);
    job->passed = world->party[scene->victim].count;
    if (died != (job->first != 0))
        return fail(died ? "died unasked" : "this point was not reached again");
    if (job->second != NONE) {
        world->stop_server = 0;
        well = play_second(job->second, job->again, &died);
        note_points(&world->party[second], true, died);
        job->passed = world->party[second].count;
        /* How often a point is passed may depend on how long somebody waits: then it just lives. */
    }
    return well && all_is_well();
}

static void play_job(struct job *job)
{
    job_now = job;
    scene = job->scene;
    begin();
    job->well = play(job);
    for (int i = 0; i < 2; i++) {
        pid_t pid = i ? client_pid : server_pid;

        if (pid && waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) == 0)
            kill_child(pid);
    }
    if (!job->well)
        remove_objects(name);
    job->done = 1;
}

static int lane_body(void *context)
{
    unsigned i;

    (void)context;
    world = shared_memory(sizeof(*world));
    setvbuf(stdout, NULL, _IOLBF, 0);
    while ((i = tally->next++) < tally->jobs)
        play_job(&tally->job[i]);
    return 0;
}

static struct job *add_job(const struct scene *of, int first, enum second second, int again)
{
    struct job *job = &tally->job[tally->jobs++];

    if (tally->jobs > JOBS)
        abort();
    job->scene = of;
    job->first = first;
    job->second = second;
    job->again = again;
    return job;
}

/* Play the jobs from this one on. @return how many failed. */
static unsigned play_from(unsigned first)
{
    pid_t lane[LANES];
    unsigned failures = 0;

    tally->next = first;
    for (int i = 0; i < LANES; i++)
        lane[i] = spawn(lane_body, NULL);
    for (int i = 0; i < LANES; i++)
        failures += await_child(lane[i], 900000) != 0;
    for (unsigned i = first; i < tally->jobs; i++)
        failures += !tally->job[i].well;
    return failures;
}

/* Whoever may recover after the death of this victim. */
static bool may_follow(const struct scene *of, enum second second)
{
    switch (second) {
    case RESTART:
        return of->victim == SERVER;
    case BY_CLIENT:
        return of->victim == SERVER && of->client;
    case ATTACH:
        return of->victim == CLIENT && !of->meanwhile;
    case BY_SERVER:
        return of->victim == CLIENT && of->meanwhile != server_dies;
    default:
        return false;
    }
}

static bool seen_before(unsigned from, const struct job *job)
{
    for (const struct job *other = &tally->job[from]; other < job; other++)
        if (other->scene->victim == job->scene->victim &&
            other->scene->client == job->scene->client &&
            other->scene->meanwhile == job->scene->meanwhile &&
            strcmp(other->state, job->state) == 0)
            return true;
    return false;
}

/* ---- the list */

static bool scene_is_listed(const char *scenes_text, const char *wanted)
{
    size_t length = strlen(wanted);

    for (const char *at = scenes_text; (at = strstr(at, wanted)) != NULL; at += length)
        if (at[-1] == ' ' && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static unsigned check_line(const char *id, const char *scenes_text)
{
    unsigned at = slot_of(id);
    unsigned wrong = 0;
    bool any = false;

    for (unsigned i = 0; i < SCENE_COUNT; i++) {
        bool listed = scene_is_listed(scenes_text, scenes[i].name);

        any |= listed;
        if (listed == tally->point[at].scene[i])
            continue;
        printf("error: %s is %s in scene %s, and the list says otherwise\n", id,
               listed ? "never passed" : "passed", scenes[i].name);
        wrong++;
    }
    if (!any)
        printf("error: %s is in no scene\n", id);
    return wrong + !any;
}

static unsigned check_list(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[1000];
    bool listed[IDS] = {false};
    unsigned wrong = 0;

    if (!file) {
        printf("error: cannot read %s\n", path);
        return 1;
    }
    while (fgets(line, sizeof(line), file)) {
        char id[ID_BYTES];
        char role[16];
        int end = 0;

        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0')
            continue;
        if (sscanf(line, "%63s %15s%n", id, role, &end) != 2 ||
            strncmp(id, role, strlen(role)) != 0) {
            printf("error: not a line of a list: %s\n", line);
            wrong++;
            continue;
        }
        wrong += check_line(id, line + end);
        listed[slot_of(id)] = true;
    }
    fclose(file);
    for (unsigned i = 0; i < tally->ids; i++)
        if (!listed[i]) {
            printf("error: %s is passed, and not in the list\n", tally->point[i].id);
            wrong++;
        }
    return wrong;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(tally->point[*(const unsigned *)a].id, tally->point[*(const unsigned *)b].id);
}

static void print_list(void)
{
    unsigned order[IDS];

    for (unsigned i = 0; i < tally->ids; i++)
        order[i] = i;
    qsort(order, tally->ids, sizeof(*order), by_id);
    for (unsigned i = 0; i < tally->ids; i++) {
        const char *id = tally->point[order[i]].id;

        printf("%-34s %.*s", id, (int)strcspn(id, "."), id);
        for (unsigned k = 0; k < SCENE_COUNT; k++)
            if (tally->point[order[i]].scene[k])
                printf(" %s", scenes[k].name);
        printf("\n");
    }
}

static unsigned undied(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < tally->ids; i++)
        if (tally->point[i].deaths == 0) {
            printf("error: nobody died at %s\n", tally->point[i].id);
            count++;
        }
    return count;
}

int main(int argc, char **argv)
{
    bool only_list = argc > 1 && strcmp(argv[1], "--list") == 0;
    unsigned share = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
    int64_t began = now_ns();

    if (argc < 2 || share == 0) {
        fprintf(stderr, "usage: points LIST [SHARE] | points --list\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    tally = shared_memory(sizeof(*tally));
    for (unsigned i = 0; i < SCENE_COUNT; i++)
        add_job(&scenes[i], 0, NONE, 0);
    unsigned failures = play_from(0);

    if (only_list || failures) {
        print_list();
        return failures != 0;
    }
    unsigned singles = tally->jobs;

    for (unsigned i = 0; i < SCENE_COUNT; i++)
        for (int k = 1; k <= tally->job[i].passed; k++)
            add_job(&scenes[i], k, NONE, 0);
    failures += play_from(singles);
    unsigned dry = tally->jobs;
    unsigned states = 0;

    for (unsigned i = singles; i < dry; i++) {
        const struct job *job = &tally->job[i];

        if (!job->well || seen_before(singles, job))
            continue;
        states++;
        for (enum second second = RESTART; second < SECONDS; second++)
            if (may_follow(job->scene, second))
                add_job(job->scene, job->first, second, 0);
    }
    failures += play_from(dry);
    unsigned doubles = tally->jobs;
    unsigned all = 0;

    for (unsigned i = dry; i < doubles; i++)
        for (int q = 1; q <= tally->job[i].passed; q++)
            if (all++ % share == 0)
                add_job(tally->job[i].scene, tally->job[i].first, tally->job[i].second, q);
    failures += play_from(doubles);
    failures += check_list(argv[1]) + undied();
    printf("%u crash points in %d scenes: %u deaths at them, %u states left, %u double faults",
           tally->ids, SCENE_COUNT, dry - singles, states, tally->jobs - doubles);
    if (share > 1)
        printf(" (every %uth of %u; make crash-points: all)", share, all);
    printf(", %u deaths, %u calls, %.1f s\n", tally->deaths, tally->calls,
           (double)(now_ns() - began) / 1e9);
    printf("%u passed, %u failed\n",
           tally->jobs - (failures < tally->jobs ? failures : tally->jobs), failures);
    return failures == 0 ? 0 : 1;
}

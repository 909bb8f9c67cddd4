/* SPDX-License-Identifier: MIT
 *
 * The proof that the named crash points are all there are:  steps [SCENE]
 *
 * A victim does one thing, single-stepped. Its peer is this program itself, with its hands on the
 * memory: it moves only while the victim stands before a blocking wait, so the two are in
 * lock-step. After each instruction of the victim that could have changed it the state is looked
 * at: the four values, a digest of a slot while its full is 1, which names exist and are marked.
 * The values and bytes are read after every instruction, names after every system call.
 *
 * Between two named points the victim may change the state once at most, and after its last change
 * it must pass one more: then every state that it can leave by dying is the state at a named point.
 * Where that fails, the instruction that made the change without a point is printed.
 */
#include "crash.h"
#include "scene.h"
#include "shmrpc.h"

#include <dlfcn.h>
#include <linux/futex.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 256,
    SLOT_BYTES = BUFFER_BYTES,
    SHORT_MS = 60,
    PATIENT_MS = 60000,
    STATES = 256,
    LIMIT_SECONDS = 380
};

/* What the victim tells: the point it passes, and when its one thing begins and ends. */
struct shared {
    volatile unsigned passed;
    volatile int begun, ended, failed;
    char point[ID_BYTES];
    char detail[300];
    char text[600];
};

struct scene {
    const char *name;
    void (*before)(void);           /* no victim yet */
    bool (*victim)(void);           /* runs in the victim */
    void (*ready)(struct raw *raw); /* before its one thing begins; null: there is no channel yet */
    void (*move)(struct raw *raw);  /* each time that the victim is about to block */
};

static struct shared *shared;
static const char *name;
static const struct scene *scene;
static pid_t victim;

/* ---- in the victim */

void (*shmrpc_crash_hook)(const char *point, const char *detail);

static void pass(const char *point, const char *detail)
{
    if (!shared->begun || shared->ended)
        return;
    strcpy(shared->point, point);
    strcpy(shared->detail, detail ? detail : "");
    shared->passed++;
}

static bool worked(enum shmrpc_status status, enum shmrpc_status wanted, const char *text)
{
    if (status == wanted)
        return true;
    snprintf(shared->text, sizeof(shared->text), "%s instead of %s: %.500s",
             shmrpc_status_name(status), shmrpc_status_name(wanted), text);
    return false;
}

static void begin(void)
{
    shared->begun = 1;
    raise(SIGSTOP);
}

static void end(void)
{
    shared->ended = 1;
}

static enum shmrpc_status open_server(struct shmrpc_server **server)
{
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    struct shmrpc_error error;

    options.buffer_bytes = BUFFER_BYTES;
    options.timeout_ms = PATIENT_MS;
    options.wait = SHMRPC_WAIT_BLOCK;
    options.error = &error;
    enum shmrpc_status status = shmrpc_server_create(name, &options, server);

    worked(status, SHMRPC_OK, error.text);
    return status;
}

static bool create(void)
{
    struct shmrpc_server *server;

    begin();
    enum shmrpc_status status = open_server(&server);

    end();
    return status == SHMRPC_OK;
}

static enum shmrpc_status handle_echo(struct shmrpc_call *call, void *user)
{
    (void)user;
    return shmrpc_call_answer_int64(call, 1);
}

static enum shmrpc_status handle_error(struct shmrpc_call *call, void *user)
{
    (void)user;
    return shmrpc_call_fail(call, "ValueError", "no");
}

static enum shmrpc_status handle_large(struct shmrpc_call *call, void *user)
{
    static const char text[2 * BUFFER_BYTES];

    (void)user;
    return shmrpc_call_answer_string(call, text, sizeof(text));
}

static bool step_server(int timeout_ms, enum shmrpc_status wanted)
{
    struct shmrpc_server *server;

    if (open_server(&server) != SHMRPC_OK ||
        shmrpc_server_register(server, "echo", handle_echo, NULL) != SHMRPC_OK ||
        shmrpc_server_register(server, "error", handle_error, NULL) != SHMRPC_OK ||
        shmrpc_server_register(server, "large", handle_large, NULL) != SHMRPC_OK)
        return false;
    begin();
    enum shmrpc_status status = shmrpc_server_step(server, timeout_ms);

    end();
    return worked(status, wanted, shmrpc_server_error(server));
}

static bool serve(void)
{
    return step_server(SHMRPC_FOREVER, SHMRPC_OK);
}

/* Idles for long enough that what a dead client left is repaired. */
static bool idle(void)
{
    return step_server(600, SHMRPC_TIMEOUT);
}

static bool stop(void)
{
    struct shmrpc_server *server;

    if (open_server(&server) != SHMRPC_OK)
        return false;
    begin();
    shmrpc_server_close(&server);
    end();
    return true;
}

static enum shmrpc_status open_client(struct shmrpc_client **client, int timeout_ms)
{
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct shmrpc_error error;

    options.timeout_ms = timeout_ms;
    options.wait = SHMRPC_WAIT_BLOCK;
    options.error = &error;
    enum shmrpc_status status = shmrpc_client_open(name, &options, client);

    worked(status, SHMRPC_OK, error.text);
    return status;
}

static bool attach(void)
{
    struct shmrpc_client *client;

    begin();
    enum shmrpc_status status = open_client(&client, PATIENT_MS);

    end();
    return status == SHMRPC_OK;
}

static bool call_with(const char *pad, int timeout_ms, enum shmrpc_status wanted)
{
    struct shmrpc_client *client;
    struct shmrpc_param params[1] = {shmrpc_param_string("pad", pad, strlen(pad))};

    if (open_client(&client, timeout_ms) != SHMRPC_OK)
        return false;
    begin();
    enum shmrpc_status status = shmrpc_client_call(client, "echo", params, 1, NULL);

    end();
    return worked(status, wanted, shmrpc_client_error(client));
}

static bool call(void)
{
    return call_with("x", PATIENT_MS, SHMRPC_OK);
}
static bool call_error(void)
{
    return call_with("x", PATIENT_MS, SHMRPC_METHOD_ERROR);
}
static bool call_late(void)
{
    return call_with("x", SHORT_MS, SHMRPC_TIMEOUT);
}
static bool call_orphan(void)
{
    return call_with("x", PATIENT_MS, SHMRPC_PEER_GONE_NOT_STARTED);
}

static bool call_large(void)
{
    static char pad[2 * BUFFER_BYTES];

    memset(pad, 'p', sizeof(pad) - 1);
    return call_with(pad, PATIENT_MS, SHMRPC_TOO_LARGE);
}

static bool close_client(void)
{
    struct shmrpc_client *client;

    if (open_client(&client, PATIENT_MS) != SHMRPC_OK)
        return false;
    begin();
    shmrpc_client_close(&client);
    end();
    return true;
}

static int victim_body(void *context)
{
    (void)context;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        return 2;
    shmrpc_crash_hook = pass;
    return scene->victim() ? 0 : 1;
}

/* ---- the peer */

static pid_t server_pid; /* of a client's scene: has the channel, and never touches a slot */

static int server_body(void *context)
{
    struct shmrpc_server *server;

    (void)context;
    if (open_server(&server) != SHMRPC_OK)
        return 1;
    shared->begun = 1;
    for (;;)
        pause();
}

static void have_server(void)
{
    server_pid = spawn(server_body, NULL);
    for (int i = 0; !shared->begun && i < 20000; i++)
        sleep_us(500);
    shared->begun = 0;
}

static void leave_dead_server(void)
{
    have_server();
    kill_child(server_pid);
    server_pid = 0;
}

static void leave_original(void)
{
    make_original(name, REQ);
}

static void leave_pieces(void)
{
    make_original(name, REQ_FULL);
}

static bool take(struct raw *raw, enum object object)
{
    return sem_trywait(raw->semaphore[object]) == 0;
}

static void put(struct raw *raw, enum object segment, const char *text)
{
    raw_frame(raw, segment, (uint32_t)strlen(text), text, strlen(text));
    sem_post(raw->semaphore[segment == REQ ? REQ_FULL : RESP_FULL]);
}

/* Serve the victim's request, as a server would. */
static void answer_with(struct raw *raw, const char *rest)
{
    char text[BUFFER_BYTES];
    const char *id;

    if (!take(raw, REQ_FULL))
        return;
    memcpy(text, raw->segment[REQ] + sizeof(uint32_t), sizeof(text) - sizeof(uint32_t));
    text[sizeof(text) - sizeof(uint32_t) - 1] = '\0';
    sem_post(raw->semaphore[REQ_EMPTY]);
    if ((id = strchr(text, ':')) == NULL || !take(raw, RESP_EMPTY))
        return;
    char response[BUFFER_BYTES];

    snprintf(response, sizeof(response), "{\"request_id\":%.34s,%s}", id + 1, rest);
    put(raw, RESP, response);
}

static void answer(struct raw *raw)
{
    answer_with(raw, "\"result\":1,\"error\":null");
}
static void answer_no(struct raw *raw)
{
    answer_with(raw, "\"result\":null,\"error\":\"E: no\"");
}

static void ask(struct raw *raw, const char *method)
{
    char request[BUFFER_BYTES];

    if (!take(raw, REQ_EMPTY))
        return;
    snprintf(request, sizeof(request), "{\"request_id\":\"1\",\"method\":\"%s\",\"params\":{}}",
             method);
    put(raw, REQ, request);
}

static void ask_echo(struct raw *raw)
{
    ask(raw, "echo");
}
static void ask_error(struct raw *raw)
{
    ask(raw, "error");
}
static void ask_large(struct raw *raw)
{
    ask(raw, "large");
}
static void nothing(struct raw *raw)
{
    (void)raw;
}
static void take_only(struct raw *raw)
{
    take(raw, REQ_FULL);
}
static void die_writing(struct raw *raw)
{
    take(raw, REQ_EMPTY);
}
static void die_reading(struct raw *raw)
{
    take(raw, RESP_EMPTY);
}

static void leave_response(struct raw *raw)
{
    if (take(raw, RESP_EMPTY))
        put(raw, RESP, "{\"request_id\":\"1\",\"result\":1,\"error\":null}");
}

static void overwrite(struct raw *raw)
{
    static const char text[] = "{\"request_id\":\"2\",\"method\":\"echo\",\"params\":{}}";

    raw_frame(raw, REQ, sizeof(text) - 1, text, sizeof(text) - 1);
}

static void server_dies(struct raw *raw)
{
    (void)raw;
    if (server_pid)
        kill_child(server_pid);
    server_pid = 0;
}

static const struct scene scenes[] = {
    {"start", NULL, create, NULL, NULL},
    {"restart", leave_dead_server, create, NULL, NULL},
    {"take-over", leave_original, create, NULL, NULL},
    {"take-pieces", leave_pieces, create, NULL, NULL},
    {"serve", NULL, serve, ask_echo, nothing},
    {"serve, asked late", NULL, serve, nothing, ask_echo},
    {"serve-error", NULL, serve, ask_error, nothing},
    {"serve-large", NULL, serve, ask_large, nothing},
    {"serve-unknown", NULL, serve, nothing, ask_error},
    {"repair-writer", NULL, idle, die_writing, NULL},
    {"repair-reader", NULL, idle, die_reading, NULL},
    {"repair-uncollected", NULL, idle, leave_response, NULL},
    {"renew", NULL, serve, post_too_much, NULL},
    {"stop", NULL, stop, nothing, NULL},
    {"attach", have_server, attach, NULL, NULL},
    {"attach-stale", have_server, attach, leave_response, NULL},
    {"call", have_server, call, nothing, answer},
    {"call-error", have_server, call_error, nothing, answer_no},
    {"call-large", have_server, call_large, nothing, nothing},
    {"time-out", have_server, call_late, nothing, nothing},
    {"time-out-late", have_server, call_late, nothing, take_only},
    {"time-out-foreign", have_server, call_late, nothing, overwrite},
    {"server-dies", have_server, call_orphan, nothing, server_dies},
    {"close", have_server, close_client, nothing, NULL},
};
enum {
    SCENE_COUNT = sizeof(scenes) / sizeof(*scenes)
};

/* ---- the tracer */

struct view {
    struct state state;
    uint64_t address[OBJECTS]; /* where the victim has what stands under each name; 0: nowhere */
    char point[ID_BYTES];      /* the last one passed */
    unsigned passed;
    unsigned changes;    /* by the victim, since that point */
    uint64_t changed_at; /* instruction that made the last one */
    struct raw raw;
    bool has_raw;
};

static struct {
    uint64_t instructions;
    unsigned points, changes, states, failures;
    char state[STATES][STATE_BYTES];
} total;

static void count_state(const struct state *state)
{
    char text[STATE_BYTES];
    unsigned i = 0;

    state_print(state, text);
    while (i < total.states && strcmp(total.state[i], text) != 0)
        i++;
    if (i == total.states && i < STATES)
        memcpy(total.state[total.states++], text, sizeof(text));
}

/* Where the victim maps the objects that have names now. */
static void find_maps(struct view *view, const struct state *state)
{
    char path[64];
    char line[600];

    memset(view->address, 0, sizeof(view->address));
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)victim);
    FILE *maps = fopen(path, "r");

    while (maps && fgets(line, sizeof(line), maps)) {
        unsigned long from;
        unsigned long inode;

        if (strstr(line, "/dev/shm") && sscanf(line, "%lx-%*x %*s %*s %*s %lu", &from, &inode) == 2)
            for (int i = 0; i < OBJECTS; i++)
                if (state->inode[i] == inode && inode != 0)
                    view->address[i] = from;
    }
    if (maps)
        fclose(maps);
}

/* What an instruction can change: the memory. */
static void look_at_memory(const struct view *view, struct state *state)
{
    static unsigned char slot[2][SLOT_BYTES];
    uint32_t value[OBJECTS] = {0};
    struct iovec mine[OBJECTS];
    struct iovec theirs[OBJECTS];
    unsigned count = 0;

    for (int i = 0; i < OBJECTS; i++) {
        if (view->address[i] == 0)
            continue;
        size_t bytes = i <= RESP ? SLOT_BYTES : sizeof(uint32_t);

        mine[count] = (struct iovec){i <= RESP ? (void *)slot[i] : &value[i], bytes};
        theirs[count++] = (struct iovec){(void *)(uintptr_t)view->address[i], bytes};
    }
    if (count == 0 || process_vm_readv(victim, mine, count, theirs, count, 0) <= 0)
        return;
    for (int i = REQ_EMPTY; i < OBJECTS; i++)
        if (view->address[i])
            state->value[i] = (int)value[i];
    for (int i = REQ; i <= RESP; i++) {
        int full = i == REQ ? REQ_FULL : RESP_FULL;

        if (state->value[full] != 1)
            state->digest[i] = 0;
        else if (view->address[i])
            state->digest[i] = state_digest(slot[i], SLOT_BYTES);
    }
}

static void print_address(const char *what, uint64_t address)
{
    Dl_info info;

    /* The victim is a copy of this program, at the same addresses. */
    if (dladdr((void *)(uintptr_t)address, &info) && info.dli_fname)
        printf("%s 0x%llx (%s+0x%llx, %s)", what, (unsigned long long)address, info.dli_fname,
               (unsigned long long)(address - (uint64_t)(uintptr_t)info.dli_fbase),
               info.dli_sname ? info.dli_sname : "a static function");
    else
        printf("%s 0x%llx", what, (unsigned long long)address);
}

static void fail_at(const struct view *view, const char *what, uint64_t address)
{
    char text[STATE_BYTES];

    state_print(&view->state, text);
    printf("error: %s: after the point %s: %s;", scene->name, view->point, what);
    print_address(" instruction", address);
    if (view->changes)
        print_address(", and before it", view->changed_at);
    printf("; now %s\n", text);
    total.failures++;
}

static void note_point(struct view *view)
{
    char before[ID_BYTES];

    if (view->passed == shared->passed)
        return;
    memcpy(before, view->point, sizeof(before));
    point_id(before, shared->point, shared->detail[0] ? shared->detail : NULL, name, view->point);
    if (shared->passed - view->passed != 1)
        fail_at(view, "a point was missed", 0);
    view->passed = shared->passed;
    view->changes = 0;
    total.points++;
}

static void note_state(struct view *view, const struct state *now, bool by_victim, uint64_t address)
{
    if (state_equal(now, &view->state))
        return;
    view->state = *now;
    count_state(now);
    if (!by_victim)
        return;
    total.changes++;
    if (view->changes > 0)
        fail_at(view, "a second change without a point between", address);
    view->changes++;
    view->changed_at = address;
}

static bool at_system_call(const struct user_regs_struct *registers)
{
    long word = ptrace(PTRACE_PEEKTEXT, victim, (void *)registers->rip, NULL);

    return (word & 0xffff) == 0x050f;
}

static bool about_to_block(const struct user_regs_struct *registers)
{
    int command = (int)registers->rsi & FUTEX_CMD_MASK;

    return registers->rax == SYS_futex && (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET);
}

static void let_peer_move(struct view *view)
{
    struct state now;

    if (!scene->move)
        return;
    if (!view->has_raw)
        view->has_raw = raw_open(&view->raw, name);
    if (view->has_raw)
        scene->move(&view->raw);
    now = view->state;
    look_at_memory(view, &now);
    note_state(view, &now, false, 0);
}

/* One instruction. @return false: the victim is no more. */
static bool step(struct view *view)
{
    struct user_regs_struct registers;
    struct state now;
    int status;

    if (ptrace(PTRACE_GETREGS, victim, NULL, &registers) != 0)
        return false;
    bool call_comes = at_system_call(&registers);

    if (call_comes && about_to_block(&registers))
        let_peer_move(view);
    if (ptrace(PTRACE_SINGLESTEP, victim, NULL, NULL) != 0 ||
        waitpid(victim, &status, 0) != victim || !WIFSTOPPED(status))
        return false;
    total.instructions++;
    note_point(view);
    if (call_comes) {
        /* What the victim maps is read from there: it may have a lease on the file. */
        state_names(name, &now);
        find_maps(view, &now);
        look_at_memory(view, &now);
        state_files(name, &now, view->address);
        look_at_memory(view, &now); /* now that every full is known */
        note_state(view, &now, true, registers.rip);
    } else {
        now = view->state;
        look_at_memory(view, &now);
        note_state(view, &now, true, registers.rip);
    }
    return true;
}

static void trace(struct view *view)
{
    state_take(name, &view->state);
    count_state(&view->state);
    find_maps(view, &view->state);
    snprintf(view->point, sizeof(view->point), "(none)");
    while (!shared->ended)
        if (!step(view)) {
            fail_at(view, "the victim is gone", 0);
            return;
        }
    /* What it does from here on leaves everything as it is, so this is the state of its last point.
     */
    if (view->changes > 0)
        fail_at(view, "its last change has no point behind it", view->changed_at);
}

static void play(const struct scene *of)
{
    struct view view = {0};
    uint64_t instructions = total.instructions;
    unsigned points = total.points;
    unsigned changes = total.changes;
    int status;

    scene = of;
    name = channel_name("step");
    memset(shared, 0, sizeof(*shared));
    server_pid = 0;
    if (scene->before)
        scene->before();
    if (scene->before == have_server && scene->ready && scene->victim == attach) {
        view.has_raw = raw_open(&view.raw, name);
        scene->ready(&view.raw);
    }
    victim = spawn(victim_body, NULL);
    if (waitpid(victim, &status, 0) != victim || !WIFSTOPPED(status)) {
        printf("error: %s: it did not begin: %s\n", scene->name, shared->text);
        total.failures++;
        return;
    }
    if (scene->ready && scene->victim != attach) {
        view.has_raw = raw_open(&view.raw, name);
        if (view.has_raw)
            scene->ready(&view.raw);
    }
    /* A lease on the response segment is got only where nobody else has it. */
    if (view.has_raw)
        raw_close(&view.raw);
    view.has_raw = false;
    trace(&view);
    if (view.has_raw)
        raw_close(&view.raw);
    ptrace(PTRACE_DETACH, victim, NULL, NULL);
    if ((status = await_child(victim, 10000)) != 0) {
        printf("error: %s: it ended with %d: %s\n", scene->name, status, shared->text);
        total.failures++;
    }
    if (server_pid)
        kill_child(server_pid);
    remove_objects(name);
    printf("%-20s %8llu instructions %4u points %4u changes\n", scene->name,
           (unsigned long long)(total.instructions - instructions), total.points - points,
           total.changes - changes);
}

int main(int argc, char **argv)
{
    int64_t began = now_ns();
    unsigned played = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(LIMIT_SECONDS);
    /* Only one of the two ever runs: on one CPU they hand over fastest. */
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((unsigned)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof(one), &one);
    shared = shared_memory(sizeof(*shared));
    for (unsigned i = 0; i < SCENE_COUNT; i++)
        if (argc < 2 || strcmp(argv[1], scenes[i].name) == 0) {
            play(&scenes[i]);
            played++;
        }
    printf(
        "%u kinds of call, %llu instructions, %u changes of state, %u distinct states, %u points "
        "passed, %.1f s\n",
        played, (unsigned long long)total.instructions, total.changes, total.states, total.points,
        (double)(now_ns() - began) / 1e9);
    printf("%u passed, %u failed\n", total.failures < played ? played - total.failures : 0,
           total.failures);
    return total.failures == 0 && played > 0 ? 0 : 1;
}

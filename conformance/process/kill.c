/* SPDX-License-Identifier: MIT
 *
 * Kills processes with SIGKILL and looks at the survivors:  kill [KILLS]   (default 500)
 *
 * SEED=N repeats the choices of a run (the moments are the kernel's); KIND=N makes only one kind of
 * round, by its place in the report. PYTHON=PATH is an interpreter with the existing package;
 * without one the mixed rounds are skipped aloud. As root every other round runs as an unprivileged
 * user.
 *
 * A victim dies either from outside, a random number of microseconds after something began, or from
 * inside, at the Nth of the library's named crash points (this program is linked with the build
 * that has them): so both arbitrary instructions and all the steps of the protocol are hit.
 *
 * After each kill, whatever died: a living server is never robbed; no call ran twice; a call that
 * was said not to have run has not; no client got another call's answer; a waiting client learnt
 * soon; the next server and the next client work without cleaning; the semaphores are idle; and
 * a server's regular end leaves nothing behind.
 */
#include "crash.h"
#include "shmrpc.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CALLS = 1 << 18,      /* most calls of one round */
    LANES = 3,            /* rounds that run side by side: most of the time goes into waiting */
    PATIENT_MS = 5000,    /* time-out of a call that must not run into it */
    READY_MS = 10000,     /* limit for whatever must happen without help */
    LEARN_MS = 2000,      /* within one second (SRPC-RECOVER-002), and one for a busy machine */
    OUTCOME_MAYBE = 0x100 /* beside 1 + status */
};

/* What a round kills. */
enum kind {
    KILL_SERVER,
    KILL_CLIENT,
    KILL_BOTH,
    KILL_STARTING_SERVER,
    KILL_CLOSING_SERVER,
    KILL_ATTACHING_CLIENT,
    KILL_RACING_SERVERS,
    KILL_PYTHON_SERVER,
    KILL_PYTHON_CLIENT,
    KILL_SERVER_OF_PYTHON_CLIENT,
    KINDS
};
static const char *const kind_name[KINDS] = {"server",         "client",
                                             "both ends",      "starting server",
                                             "closing server", "attaching client",
                                             "racing servers", "Python server",
                                             "Python client",  "server of a Python client"};

/* What all processes of a round see. The counts of executions come first: a Python server finds
 * them by that. */
struct world {
    _Atomic uint32_t executed[CALLS];
    _Atomic int outcome[CALLS]; /* 0: none yet; else 1 + status, and OUTCOME_MAYBE */
    _Atomic uint32_t next;      /* number of the next call */
    _Atomic uint32_t succeeded;
    _Atomic int ready;     /* how many servers came up */
    _Atomic int attached;  /* how many clients attached */
    _Atomic int stop;      /* clients end after the call in hand */
    _Atomic int owner;     /* pid of the server that serves */
    _Atomic int condemned; /* the server that is being killed */
    _Atomic int robbed;
    _Atomic int wrong;
    _Atomic int unexpected; /* a status that no kill explains: 1 + status */
    _Atomic int64_t killed_ns;
    _Atomic int64_t learnt_ns; /* when a client first heard that its server is gone */
    char text[600];            /* of the unexpected status */
    char point[48];            /* the crash point that somebody died at */
};

/* The rest is of one lane, and its children inherit it. */
static struct world *world;
static int world_fd;
static const char *name;
static uid_t uid;
static size_t buffer_bytes;
static int call_timeout_ms;
static enum shmrpc_wait wait_mode;
static uint64_t random_state;
static const char *python;
static enum kind kind_now;
static unsigned round_number;
static volatile long countdown; /* crash points until this process dies; 0: never */

enum {
    CHILDREN = 32,
    POINTS = 128
};
static pid_t children[CHILDREN]; /* of this round, dead or alive */
static unsigned child_count;

/* The library's crash points call it; each program that has them brings its own. */
void (*shmrpc_crash_hook)(const char *point, const char *detail);

/* What all lanes report to the parent. */
struct tally {
    atomic_uint kills[KINDS];
    atomic_uint rounds[KINDS];
    atomic_uint failures[KINDS];
    atomic_uint total;
    atomic_uint inside; /* kills at crash points */
    atomic_uint calls;
    atomic_flag busy; /* guards the table of crash points */
    struct {
        char name[48];
        unsigned deaths;
    } point[POINTS];
};
static struct tally *tally;

static uint64_t random_next(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static unsigned below(unsigned limit)
{
    return (unsigned)(random_next() % limit);
}

/* Small numbers as often as large ones: a kill is as likely in the first steps as later. */
static unsigned spread(unsigned limit)
{
    return below(1 + below(limit));
}

static bool fail(const char *what, ...) __attribute__((format(printf, 1, 2)));
static bool fail(const char *what, ...)
{
    va_list arguments;
    char line[600];

    va_start(arguments, what);
    vsnprintf(line, sizeof(line), what, arguments);
    va_end(arguments);
    printf("error: kill %s, round %u, channel %s, uid %d, buffer %zu: %s\n", kind_name[kind_now],
           round_number, name, (int)uid, buffer_bytes, line);
    return false;
}

/* ---- the processes of a round */

static int64_t token(uint32_t number)
{
    return (int64_t)number * 7919 + 13;
}

static void die_at_crash_point(const char *point, const char *detail)
{
    (void)detail;
    if (countdown == 0 || --countdown != 0)
        return;
    snprintf(world->point, sizeof(world->point), "%s", point);
    if (world->owner == getpid())
        world->condemned = getpid();
    world->killed_ns = now_ns();
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void unexpected(enum shmrpc_status status, const char *text)
{
    int none = 0;

    if (atomic_compare_exchange_strong(&world->unexpected, &none, 1 + (int)status))
        snprintf(world->text, sizeof(world->text), "%s: %s", shmrpc_status_name(status), text);
}

/* token(n, pad): the side effect that must happen at most once, and the answer that only this call
 * may get. */
static enum shmrpc_status answer_token(struct shmrpc_call *call, void *user)
{
    uint64_t number;
    enum shmrpc_status status = shmrpc_call_uint64(call, "n", &number);

    (void)user;
    if (status)
        return status;
    if (number < CALLS)
        atomic_fetch_add(&world->executed[number], 1);
    CRASH_POINT("server.handled", NULL);
    return shmrpc_call_answer_int64(call, token((uint32_t)number));
}

static struct shmrpc_server *serving;

static void on_term(int number)
{
    (void)number;
    shmrpc_server_stop(serving);
}

static bool process_lives(pid_t pid)
{
    char path[64];
    char line[256] = "";

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    ssize_t got = read(fd, line, sizeof(line) - 1);

    close(fd);
    const char *state = got > 0 ? strrchr(line, ')') : NULL;
    return state && state[2] != 'Z' && state[2] != 'X';
}

static enum shmrpc_status create(struct shmrpc_server **server, struct shmrpc_error *error)
{
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;

    options.buffer_bytes = buffer_bytes;
    options.wait = wait_mode;
    options.error = error;
    return shmrpc_server_create(name, &options, server);
}

/* A server: tries for the name until it has it, then serves until SIGTERM. */
static int server_body(void *context)
{
    struct sigaction action = {.sa_handler = on_term};
    struct shmrpc_error error;
    enum shmrpc_status status;
    int64_t until = now_ns() + READY_MS * INT64_C(1000000);

    countdown = *(long *)context;
    shmrpc_crash_hook = die_at_crash_point;
    while ((status = create(&serving, &error)) == SHMRPC_BUSY && now_ns() < until)
        sleep_us(200);
    if (status != SHMRPC_OK) {
        unexpected(status, error.text);
        return 3;
    }
    int before = atomic_exchange(&world->owner, getpid());

    if (before != 0 && before != world->condemned && process_lives(before))
        world->robbed = 1;
    if (shmrpc_server_register(serving, "token", answer_token, NULL) != SHMRPC_OK)
        return 4;
    sigaction(SIGTERM, &action, NULL);
    world->ready++;
    status = shmrpc_server_run(serving);
    if (status != SHMRPC_OK)
        unexpected(status, shmrpc_server_error(serving));
    world->owner = 0;
    shmrpc_server_close(&serving);
    return status == SHMRPC_OK ? 0 : 5;
}

/* Not a server: asks once whether it could be one. */
static int intruder_body(void *context)
{
    struct shmrpc_server *server;
    struct shmrpc_error error;

    (void)context;
    if (create(&server, &error) == SHMRPC_BUSY)
        return 0;
    return 1;
}

static enum shmrpc_status open_client(struct shmrpc_client **client)
{
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct shmrpc_error error;

    options.timeout_ms = call_timeout_ms;
    options.wait_for_server_ms = READY_MS;
    options.wait_busy_ms = READY_MS;
    options.wait = wait_mode;
    options.error = &error;
    enum shmrpc_status status = shmrpc_client_open(name, &options, client);

    if (status != SHMRPC_OK)
        unexpected(status, error.text);
    return status;
}

static void one_call(struct shmrpc_client *client, uint32_t number)
{
    static char pad[65536];
    size_t room = buffer_bytes - 120; /* what the envelope and the number need, and some */
    struct shmrpc_param params[2] = {shmrpc_param_uint64("n", number),
                                     shmrpc_param_string("pad", pad, spread((unsigned)room))};
    struct shmrpc_value result;
    int64_t value;

    if (!pad[0])
        memset(pad, 'p', sizeof(pad));
    enum shmrpc_status status = shmrpc_client_call(client, "token", params, 2, &result);

    world->outcome[number] =
        (1 + (int)status) | (shmrpc_client_maybe_executed(client) ? OUTCOME_MAYBE : 0);
    switch (status) {
    case SHMRPC_OK:
        if (shmrpc_value_int64(&result, &value) != SHMRPC_OK || value != token(number))
            world->wrong = 1;
        world->succeeded++;
        break;
    case SHMRPC_PEER_GONE_NOT_STARTED:
    case SHMRPC_PEER_GONE_MAYBE_EXECUTED:
        if (world->learnt_ns == 0)
            world->learnt_ns = now_ns();
        break;
    case SHMRPC_NOT_FOUND:
    case SHMRPC_BUSY:
        sleep_us(200);
        break;
    case SHMRPC_TIMEOUT:
        /* Only at an unmarked channel does the death of a server end in a time-out. */
        if (call_timeout_ms < PATIENT_MS)
            break;
        /* fall through */
    default:
        unexpected(status, shmrpc_client_error(client));
    }
}

/* A client: calls and calls until it is told to stop. */
static int client_body(void *context)
{
    struct shmrpc_client *client;
    uint32_t number;

    random_state ^= (uint64_t)getpid() << 32;
    countdown = *(long *)context;
    shmrpc_crash_hook = die_at_crash_point;
    if (open_client(&client) != SHMRPC_OK)
        return 3;
    world->attached++;
    while (!world->stop && (number = world->next++) < CALLS)
        one_call(client, number);
    shmrpc_client_close(&client);
    return 0;
}

/* The same, but attaching anew for every few calls. */
static int visitor_body(void *context)
{
    struct shmrpc_client *client;
    uint32_t number;

    random_state ^= (uint64_t)getpid() << 32;
    countdown = *(long *)context;
    shmrpc_crash_hook = die_at_crash_point;
    do {
        if (open_client(&client) != SHMRPC_OK)
            return 3;
        world->attached++;
        for (unsigned i = below(3); i > 0 && (number = world->next++) < CALLS; i--)
            one_call(client, number);
        shmrpc_client_close(&client);
    } while (!world->stop);
    return 0;
}

/* ---- Python's side: the package's own server and client */

static const char python_peer[] =
    "import os, sys, mmap, struct, logging\n"
    "logging.disable(logging.CRITICAL)\n"
    "from shm_rpc_bridge import RPCServer, RPCClient, RPCError\n"
    "role, name, size, timeout, ledger = sys.argv[1:]\n"
    "if role == 'server':\n"
    "    file = open(ledger, 'r+b')\n"
    "    memory = mmap.mmap(file.fileno(), 0)\n"
    "    def token(n, pad):\n"
    "        memory[4 * n:4 * n + 4] = struct.pack('I', struct.unpack('I', memory[4 * n:4 * n + "
    "4])[0] + 1)\n"
    "        return n * 7919 + 13\n"
    "    server = RPCServer(name, buffer_size=int(size), timeout=float(timeout))\n"
    "    server.register('token', token)\n"
    "    os.write(1, b'ready')\n"
    "    server.start()\n"
    "else:\n"
    "    client = RPCClient(name, buffer_size=int(size), timeout=float(timeout), "
    "wait_for_server=10)\n"
    "    os.write(1, b'ready')\n"
    "    n = 200000\n"
    "    try:\n"
    "        while True:\n"
    "            n += 1\n"
    "            if client.call('token', n=n, pad='p' * (n % 200)) != n * 7919 + 13:\n"
    "                sys.exit(9)\n"
    "    except RPCError:\n"
    "        sys.exit(8)\n";

/* Start it and wait for its word, or not: *ready is the end to read it from. */
static pid_t spawn_python(const char *role, const char *timeout, int *ready)
{
    int ends[2];
    char size[32];
    char ledger[64];

    if (pipe2(ends, O_CLOEXEC) != 0)
        abort();
    snprintf(size, sizeof(size), "%zu", buffer_bytes);
    snprintf(ledger, sizeof(ledger), "/proc/%d/fd/%d", (int)getpid(), world_fd);
    fflush(NULL);
    pid_t pid = fork();

    if (pid < 0)
        abort();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        execl(python, python, "-c", python_peer, role, name, size, timeout, ledger, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *ready = ends[0];
    children[child_count++] = pid;
    return pid;
}

static bool python_ready(int ready)
{
    char word[8];
    ssize_t got = read(ready, word, sizeof(word)); /* one write over there, one read here */

    close(ready);
    return got > 0 || fail("the Python peer did not start");
}

/* ---- kills */

static pid_t start(child_body *body, const long *points)
{
    pid_t pid = spawn_as(uid, body, (void *)(uintptr_t)points);

    if (child_count < CHILDREN)
        children[child_count++] = pid;
    return pid;
}

static void count_kill(void)
{
    tally->total++;
    tally->kills[kind_now]++;
}

static void count_point(void)
{
    unsigned i = 0;

    tally->inside++;
    while (atomic_flag_test_and_set(&tally->busy))
        sleep_us(10);
    while (i < POINTS - 1 && tally->point[i].deaths &&
           strcmp(tally->point[i].name, world->point) != 0)
        i++;
    memcpy(tally->point[i].name, world->point, sizeof(world->point));
    tally->point[i].deaths++;
    atomic_flag_clear(&tally->busy);
}

static void kill_now(pid_t pid)
{
    int status;

    if (world->owner == pid)
        world->condemned = pid;
    world->killed_ns = now_ns();
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(status)) /* else it had ended before */
        count_kill();
}

/* A victim that was to die by itself gets some time for it. False if it ended otherwise. */
static bool see_die(pid_t pid, bool inside)
{
    siginfo_t info = {0};
    int64_t until = now_ns() + INT64_C(150000000);

    while (inside && now_ns() < until) {
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
            break;
        sleep_us(300);
    }
    if (info.si_pid != pid) {
        kill_now(pid);
        return true;
    }
    waitpid(pid, NULL, 0);
    if (info.si_code != CLD_KILLED)
        return fail("the victim ended by itself, status %d: %s", info.si_status, world->text);
    count_kill();
    count_point();
    return true;
}

/* ---- what must hold */

static bool await_count(const _Atomic int *count, int least, const char *what)
{
    int64_t until = now_ns() + READY_MS * INT64_C(1000000);

    while (*count < least) {
        if (world->unexpected)
            return fail("%s: %s", what, world->text);
        if (now_ns() > until)
            return fail("%s: not within %d ms", what, READY_MS);
        sleep_us(100);
    }
    return true;
}

/* Clients get answers again. */
static bool await_calls(unsigned more)
{
    uint32_t from = world->succeeded;
    int64_t until = now_ns() + READY_MS * INT64_C(1000000);

    while (world->succeeded - from < more && world->next < CALLS) {
        if (world->unexpected)
            return fail("calling: %s", world->text);
        if (now_ns() > until)
            return fail("%u calls in %d ms, %u wanted", world->succeeded - from, READY_MS, more);
        sleep_us(100);
    }
    return true;
}

static bool intruder_is_refused(void)
{
    ino_t before = inode_of(name);
    int status = await_child(start(intruder_body, NULL), READY_MS);

    if (status != 0)
        return fail("a second server was not told busy: %d", status);
    return inode_of(name) == before || fail("a second server changed the name");
}

static bool ledger_is_right(void)
{
    uint32_t made = world->next < CALLS ? world->next : CALLS;

    for (uint32_t i = 0; i < CALLS; i++) {
        uint32_t ran = world->executed[i];
        int status = (world->outcome[i] & 0xff) - 1;
        bool maybe = world->outcome[i] & OUTCOME_MAYBE;

        if (i >= made && ran == 0)
            continue;
        if (ran > 1)
            return fail("call %u ran %u times", i, ran);
        if (status == SHMRPC_OK && ran != 1)
            return fail("call %u was answered and has not run", i);
        if (status > 0 && !maybe && ran != 0)
            return fail("call %u (%s) ran, though it was said not to have", i,
                        shmrpc_status_name((enum shmrpc_status)status));
        if (status == SHMRPC_PEER_GONE_NOT_STARTED && maybe)
            return fail("call %u: not started, and yet it may have run", i);
    }
    tally->calls += made;
    if (world->wrong)
        return fail("a client got another call's answer");
    if (world->robbed)
        return fail("a living server was robbed");
    return world->unexpected == 0 || fail("%s", world->text);
}

static bool learnt_soon(void)
{
    int64_t after = (world->learnt_ns - world->killed_ns) / 1000000;

    if (world->learnt_ns == 0)
        return true; /* it was between two calls */
    return after <= LEARN_MS || fail("a client learnt after %d ms", (int)after);
}

static long never = 0;

/* At the end: a server (a new one if pid is 0), a fresh client, idle semaphores, a regular end that
 * leaves nothing. */
static bool all_is_well(pid_t server, pid_t client)
{
    bool well = true;

    if (server == 0) {
        int ready = world->ready;

        server = start(server_body, &never);
        well = await_count(&world->ready, ready + 1, "a new server");
    }
    if (client == 0) {
        int attached = world->attached;

        client = start(client_body, &never);
        well = well && await_count(&world->attached, attached + 1, "a new client");
    }
    well = well && await_calls(20) && intruder_is_refused();
    world->stop = 1;
    int status = await_child(client, READY_MS);

    well = well && (status == 0 || fail("the client ended with %d", status));
    well = well && (idle_within(name, LEARN_MS) || fail("the semaphores are not idle"));
    kill(server, SIGTERM);
    status = await_child(server, READY_MS);
    well = well && (status == 0 || fail("the server ended with %d: %s", status, world->text));
    well = well && (objects_of(name) == 0 || fail("%d objects left", objects_of(name)));
    return ledger_is_right() && well;
}

/* ---- the rounds */

/* Where a victim dies: at a crash point (then *points is set), or after *microseconds. */
static bool choose_moment(long *points, long *microseconds, unsigned most_points,
                          unsigned most_microseconds)
{
    bool inside = below(2) == 0;

    *points = inside ? 1 + (long)spread(most_points) : 0;
    *microseconds = (long)spread(most_microseconds);
    return inside;
}

static bool start_pair(long server_points, long client_points, pid_t *server, pid_t *client)
{
    *server = start(server_body, &server_points);
    *client = start(client_body, &client_points);
    /* With a crash point the one or the other may be dead before it is ready. */
    return server_points || client_points ||
           (await_count(&world->ready, 1, "server") && await_count(&world->attached, 1, "client") &&
            await_calls(1));
}

static bool kill_server(void)
{
    pid_t server;
    pid_t client;
    long points;
    long microseconds;
    bool inside = choose_moment(&points, &microseconds, 400, 4000);
    bool well = start_pair(points, 0, &server, &client);

    if (!inside) {
        well = well && intruder_is_refused();
        sleep_us(microseconds);
    }
    well &= see_die(server, inside);
    well &= all_is_well(0, client);
    return well && learnt_soon();
}

static bool kill_client(void)
{
    pid_t server;
    pid_t client;
    long points;
    long microseconds;
    bool inside = choose_moment(&points, &microseconds, 400, 4000);
    bool well = start_pair(0, points, &server, &client);

    if (!inside)
        sleep_us(microseconds);
    well &= await_count(&world->ready, 1, "server");
    well &= see_die(client, inside);
    well = well && intruder_is_refused();
    return all_is_well(server, 0) && well;
}

static bool kill_both(void)
{
    pid_t server;
    pid_t client;
    bool well = start_pair(0, 0, &server, &client);
    bool server_first = below(2);

    sleep_us(spread(4000));
    kill_now(server_first ? server : client);
    sleep_us(spread(200));
    kill_now(server_first ? client : server);
    return all_is_well(0, 0) && well;
}

/* Every start is killed, and the next one starts on what it left. */
static bool kill_starting_server(void)
{
    bool well = true;

    for (unsigned i = 1 + below(4); i > 0; i--) {
        long points;
        long microseconds;
        bool inside = choose_moment(&points, &microseconds, 40, 1500);
        pid_t server = start(server_body, &points);

        if (!inside)
            sleep_us(microseconds);
        well &= see_die(server, inside);
    }
    return all_is_well(0, 0) && well;
}

static bool kill_closing_server(void)
{
    pid_t server;
    pid_t client;
    bool well = start_pair(0, 0, &server, &client);

    sleep_us(spread(1000));
    kill(server, SIGTERM);
    sleep_us(spread(600));
    kill_now(server); /* it may have ended before: then all is gone, which is as good */
    return all_is_well(0, client) && well;
}

static bool kill_attaching_client(void)
{
    bool well = true;
    pid_t server = start(server_body, &never);

    for (unsigned i = 1 + below(3); i > 0; i--) {
        long points;
        long microseconds;
        bool inside = choose_moment(&points, &microseconds, 60, 1500);
        pid_t client = start(visitor_body, &points);

        if (!inside)
            sleep_us(microseconds);
        well &= see_die(client, inside);
    }
    well &= await_count(&world->ready, 1, "server");
    return all_is_well(server, 0) && well;
}

/* Three want the name all the time; who has it is killed, again and again. */
static bool kill_racing_servers(void)
{
    pid_t rival[3];
    pid_t client;
    bool well = true;

    for (int i = 0; i < 3; i++)
        rival[i] = start(server_body, &never);
    client = start(client_body, &never);
    for (int kills = 0; kills < 2; kills++) {
        well = well && await_count(&world->ready, kills + 1, "one of the rivals");
        well = well && await_calls(1);
        sleep_us(spread(2000));
        for (int i = 0; i < 3; i++)
            if (rival[i] == world->owner) {
                kill_now(rival[i]);
                rival[i] = 0;
                break;
            }
    }
    well = well && await_count(&world->ready, 3, "the last rival");
    pid_t last = 0;

    for (int i = 0; i < 3; i++) {
        if (rival[i] != 0 && rival[i] == world->owner)
            last = rival[i];
        else if (rival[i] != 0)
            kill_child(rival[i]);
    }
    return all_is_well(last, client) && well && learnt_soon();
}

/* A C client at the package's server; then a C server takes over what the dead one left. */
static bool kill_python_server(void)
{
    int ready;
    bool early = below(4) == 0;
    bool well = true;
    pid_t server = spawn_python("server", "1", &ready);
    pid_t client = 0;

    call_timeout_ms = 400;
    if (early) {
        sleep_us(60000 + below(200000));
    } else if ((well = python_ready(ready))) {
        client = start(client_body, &never);
        well =
            await_count(&world->attached, 1, "client") && await_calls(1) && intruder_is_refused();
        sleep_us(spread(4000));
    }
    kill_now(server);
    if (early)
        close(ready);
    /* As long as somebody of our uid maps an unmarked channel, nobody may take it for dead. */
    if (client) {
        world->stop = 1;
        int status = await_child(client, READY_MS);

        well &= status == 0 || fail("the client ended with %d", status);
        world->stop = 0;
    }
    call_timeout_ms = PATIENT_MS;
    return all_is_well(0, 0) && well;
}

static bool kill_python_client(void)
{
    int ready;
    pid_t server = start(server_body, &never);
    bool well = await_count(&world->ready, 1, "server");
    pid_t client = spawn_python("client", "5", &ready);

    well &= python_ready(ready);
    sleep_us(spread(8000));
    kill_now(client);
    return all_is_well(server, 0) && well;
}

/* The package's client maps the dead channel on; a marked one is made anew all the same. */
static bool kill_server_of_python_client(void)
{
    int ready;
    pid_t server = start(server_body, &never);
    bool well = await_count(&world->ready, 1, "server");
    pid_t client = spawn_python("client", "0.3", &ready);

    well &= python_ready(ready);
    sleep_us(spread(8000));
    kill_now(server);
    well &= all_is_well(0, 0);
    int status = await_child(client, READY_MS);

    return well && (status == 8 || fail("the Python client ended with %d", status));
}

static bool (*const round_of[KINDS])(void) = {kill_server,         kill_client,
                                              kill_both,           kill_starting_server,
                                              kill_closing_server, kill_attaching_client,
                                              kill_racing_servers, kill_python_server,
                                              kill_python_client,  kill_server_of_python_client};

static void reset_world(void)
{
    uint32_t made = world->next < CALLS ? world->next : CALLS;

    for (uint32_t i = 0; i < CALLS; i++)
        if (world->executed[i])
            world->executed[i] = 0;
    for (uint32_t i = 0; i < made; i++)
        world->outcome[i] = 0;
    child_count = 0;
    memset((char *)world + offsetof(struct world, next), 0,
           sizeof(*world) - offsetof(struct world, next));
}

/* What a failed round left running. */
static bool end_children(bool well)
{
    bool none = true;

    for (unsigned i = 0; i < child_count; i++) {
        siginfo_t info;

        /* Whoever was waited for is no child of ours any more. */
        if (waitid(P_PID, (id_t)children[i], &info, WEXITED | WNOHANG | WNOWAIT) != 0)
            continue;
        kill_child(children[i]);
        none = false;
    }
    return none || !well || fail("a process was left");
}

static enum kind choose_kind(void)
{
    const char *only = getenv("KIND");

    if (only && *only)
        return (enum kind)(strtoul(only, NULL, 10) % KINDS);
    if (python && below(25) == 0)
        return (enum kind)(KILL_PYTHON_SERVER + below(3));
    return (enum kind)below(KILL_PYTHON_SERVER);
}

static void one_round(void)
{
    static const size_t sizes[] = {256, 4096, 65536};

    kind_now = choose_kind();
    /* Python peers run as whoever we are: their files may be closed to others. */
    uid = geteuid() == 0 && kind_now < KILL_PYTHON_SERVER && below(2) ? NOBODY : geteuid();
    buffer_bytes = sizes[below(3)];
    wait_mode = (enum shmrpc_wait)below(3);
    call_timeout_ms = PATIENT_MS;
    name = channel_name("kill");
    reset_world();
    tally->rounds[kind_now]++;
    bool well = round_of[kind_now]();

    if (!end_children(well) || !well) {
        tally->failures[kind_now]++;
        remove_objects(name);
    }
}

struct lane {
    uint64_t seed;
    unsigned kills;
};

static int lane_body(void *context)
{
    const struct lane *lane = context;

    random_state = lane->seed;
    world_fd = memfd_create("ledger", MFD_CLOEXEC);
    if (world_fd < 0 || ftruncate(world_fd, sizeof(*world)) != 0)
        abort();
    world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED, world_fd, 0);
    if (world == MAP_FAILED)
        abort();
    for (round_number = 0; tally->total < lane->kills; round_number++)
        one_round();
    return 0;
}

static int report(unsigned kills, int64_t began)
{
    int passed = 0;
    int failed = 0;
    int skipped = 0;

    for (int i = 0; i < KINDS; i++) {
        if (tally->rounds[i] == 0 && i >= KILL_PYTHON_SERVER && !python) {
            printf("skipped: kill %s: no Python with the package (PYTHON=PATH)\n", kind_name[i]);
            skipped++;
            continue;
        }
        printf("%-28s %6u kills in %6u rounds, %u failed\n", kind_name[i], tally->kills[i],
               tally->rounds[i], tally->failures[i]);
        if (tally->failures[i])
            failed++;
        else if (tally->rounds[i])
            passed++;
    }
    printf("deaths at crash points:");
    for (int i = 0; i < POINTS && tally->point[i].deaths; i++)
        printf(" %s %u", tally->point[i].name, tally->point[i].deaths);
    printf("\n%u kills (%u at crash points) of %u wanted, %u calls, %.1f s\n", tally->total,
           tally->inside, kills, tally->calls, (double)(now_ns() - began) / 1e9);
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed == 0 && tally->total >= kills ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *seed_text = getenv("SEED");
    unsigned kills = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 500;
    struct timespec now;
    pid_t lane[LANES];
    bool whole = true;

    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = seed_text && *seed_text ? strtoull(seed_text, NULL, 10)
                                            : (uint64_t)now.tv_sec * 1000 + (uint64_t)getpid();

    python = getenv("PYTHON");
    if (python && (*python == '\0' || access(python, X_OK) != 0))
        python = NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %llu (repeat with: make kill SEED=%llu)\n", (unsigned long long)seed,
           (unsigned long long)seed);
    tally = shared_memory(sizeof(*tally));
    int64_t began = now_ns();

    for (unsigned i = 0; i < LANES; i++) {
        struct lane *context = malloc(sizeof(*context));

        if (!context)
            abort();
        *context = (struct lane){seed * LANES + i, kills};
        lane[i] = spawn(lane_body, context);
    }
    for (unsigned i = 0; i < LANES; i++) {
        int status = await_child(lane[i], (int)(60 + kills) * 1000);

        if (status != 0) {
            printf("error: lane %u ended with %d\n", i, status);
            whole = false;
        }
    }
    int status = report(kills, began);
    return whole ? status : 1;
}

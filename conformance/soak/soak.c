/* SPDX-License-Identifier: MIT
 *
 * Many channels under kills and hostile peers for a while:  soak [MINUTES]   (default 5)
 * Or show that a fault would be reported:                   soak --self-test
 *
 * Each channel has a server and two clients that take turns, all in processes of their own. Every
 * few milliseconds something is done to a channel picked at random: its server or one of its
 * clients is killed, both are, one of them is ended in order and looked at for leaks, or a hostile
 * peer is let at the memory. Whoever ended is started again. `make kill` asks after each single
 * kill whether all is well; here much happens at once and nothing is ever reset.
 *
 * Every call carries a payload that no other call has and must get that back. What a hostile peer
 * may cause is wrong messages while it is there and until the channel has answered once after it
 * left (its epoch is then settled); a wrong answer in any other call counts, and so do a call that
 * ran twice and a status that no kill explains. A hang is a call that outlives its time-out, a
 * process that does not end, or a channel that does not answer again. A leak is a descriptor or an
 * object left after a regular end. SEED=N repeats the choices (the moments are the kernel's).
 *
 * The self-test runs short soaks: one of sound servers, which must end well, and one each of servers
 * that once give another answer, leave an object behind, and never come back from a handler; each
 * of these must end with its kind of fault counted and with status 1.
 */
#include "../process/support.h"
#include "shmrpc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CHANNELS = 12,
    CLIENTS = 2,
    TURN = 50, /* calls until a client lets another one in */
    BUFFER_BYTES = 8192,
    PAYLOAD_BYTES = 7000,
    NUMBERS = 1 << 26, /* calls of one channel that are told apart */
    SELF_TEST_LIMIT_MS = 60000
};

/* Shorter in the self-test. */
static int channel_count = CHANNELS;
static int call_ms = 5000;
static int call_grace_ms = 10000;
static int hang_ms = 30000;
static int regular_end_ms = 15000;

enum fault { SOUND, WRONG_ANSWER, LEFT_OBJECT, HANGING };
static enum fault fault;

/* What the processes of a channel share. */
struct channel {
    char name[64];
    _Atomic uint32_t next;
    _Atomic uint32_t epoch;                 /* odd while a hostile peer is there */
    _Atomic uint32_t settled;               /* the epoch in which a call succeeded last */
    _Atomic int stop;                       /* the client with this place is to end; -1: all */
    _Atomic int64_t calling_since[CLIENTS]; /* 0: not in a call */
    _Atomic int64_t answered_ns;            /* when a call succeeded last */
    _Atomic int broken;                     /* killed since the last success */
    _Atomic uint32_t calls, answers, recoveries, wrong, leaks, hostile;
    _Atomic int lied; /* the self-test's wrong answer was given */
    _Atomic uint32_t ran[NUMBERS / 32];
    char text[256]; /* of the first wrong answer or leak */
};

/* The rest is the parent's, and its children inherit it. */
static struct channel *channels[CHANNELS];
static pid_t server_pid[CHANNELS];
static pid_t client_pid[CHANNELS][CLIENTS];
static pid_t hostile_pid[CHANNELS];
static struct channel *channel; /* of this child */
static struct shmrpc_server *serving;
static uint64_t random_state;
static unsigned kills, ends, hangs;

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

static void note(_Atomic uint32_t *count, const char *what, const char *detail)
{
    if (atomic_fetch_add(count, 1) == 0)
        snprintf(channel->text, sizeof channel->text, "%s: %s", what, detail);
}

static unsigned descriptors(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

/* Without a hostile peer, now and since the last success. */
static bool quiet(uint32_t epoch)
{
    return epoch % 2 == 0 && epoch == channel->settled && epoch == channel->epoch;
}

/* The epoch in which this client's handle is known to have met sound objects: it succeeded in it, or
 * was opened when the channel had. The success of another client does not tell: a handle may still
 * stand in the objects of a server that is dead since, as a hostile peer left them. */
static uint32_t sound_epoch = UINT32_MAX;

static bool must_be_right(uint32_t epoch)
{
    return quiet(epoch) && epoch == sound_epoch;
}

/* ---- the server */

static enum shmrpc_status echo(struct shmrpc_call *call, void *user)
{
    struct shmrpc_value payload;
    uint64_t number;
    uint32_t epoch = channel->epoch;
    enum shmrpc_status status = shmrpc_call_uint64(call, "n", &number);

    (void)user;
    if (status == SHMRPC_OK)
        status = shmrpc_call_param(call, "payload", &payload);
    if (status != SHMRPC_OK)
        return status;
    uint32_t bit = 1u << number % 32;

    if (fault == WRONG_ANSWER && quiet(epoch) && number > 100 && !atomic_exchange(&channel->lied, 1))
        return shmrpc_call_answer_string(call, "something else", 14);
    while (fault == HANGING && number > 100)
        pause();
    if (number < NUMBERS && atomic_fetch_or(&channel->ran[number / 32], bit) & bit && quiet(epoch))
        note(&channel->wrong, "call", "ran twice");
    return shmrpc_call_answer_json(call, payload.text, payload.length);
}

/* A server that has no handler yet keeps a request to end until it has one. */
static void mask_terminate(int how)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(how, &signals, NULL);
}

static void on_term(int number)
{
    (void)number;
    shmrpc_server_stop(serving);
}

static int server_body(void *context)
{
    struct sigaction action = {.sa_handler = on_term};
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    unsigned before = descriptors();
    enum shmrpc_status status;

    channel = context;
    options.buffer_bytes = BUFFER_BYTES;
    options.error = &error;
    while ((status = shmrpc_server_create(channel->name, &options, &serving)) == SHMRPC_BUSY)
        sleep_us(500);
    if (status != SHMRPC_OK || shmrpc_server_register(serving, "echo", echo, NULL) != SHMRPC_OK) {
        note(&channel->wrong, "a server did not start", error.text);
        return 1;
    }
    sigaction(SIGTERM, &action, NULL);
    mask_terminate(SIG_UNBLOCK);
    status = shmrpc_server_run(serving);
    if (status != SHMRPC_OK && quiet(channel->epoch))
        note(&channel->wrong, "a server stopped", shmrpc_server_error(serving));
    shmrpc_server_close(&serving);
    if (fault == LEFT_OBJECT) {
        char path[300];
        object_path(channel->name, RESP, path);
        close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    }
    if (descriptors() != before)
        note(&channel->leaks, "server", "descriptors");
    return 0;
}

/* ---- the clients */

static void succeeded(uint32_t epoch)
{
    channel->answers++;
    channel->answered_ns = now_ns();
    if (epoch % 2 == 0 && epoch == channel->epoch)
        channel->settled = sound_epoch = epoch;
    if (atomic_exchange(&channel->broken, 0))
        channel->recoveries++;
}

/* Bytes of every kind that a string may have, and the number, so that no two are alike. */
static size_t fill(char payload[PAYLOAD_BYTES], uint32_t number)
{
    static const char kinds[] = "abcXYZ 0123\"\\/\b\n\t{}[]:,";
    size_t length = (size_t)snprintf(payload, PAYLOAD_BYTES, "%u:", number);
    size_t wanted = length + below(1 + below(PAYLOAD_BYTES / 2));

    while (length < wanted)
        payload[length++] = kinds[below(sizeof kinds - 1)];
    return length;
}

static void one_call(struct shmrpc_client *client, uint32_t number)
{
    static char payload[PAYLOAD_BYTES];
    size_t length = fill(payload, number);
    struct shmrpc_param params[2] = {shmrpc_param_uint64("n", number),
                                     shmrpc_param_string("payload", payload, length)};
    uint32_t epoch = channel->epoch;
    const char *answer;
    size_t answered;

    channel->calls++;
    enum shmrpc_status status = shmrpc_client_call(client, "echo", params, 2, NULL);

    switch (status) {
    case SHMRPC_OK:
        if (shmrpc_client_result_string(client, &answer, &answered) == SHMRPC_OK &&
            answered == length && memcmp(answer, payload, length) == 0)
            succeeded(epoch);
        else if (must_be_right(epoch))
            note(&channel->wrong, "client", "another answer than the call's");
        break;
    case SHMRPC_PEER_GONE_NOT_STARTED:
    case SHMRPC_PEER_GONE_MAYBE_EXECUTED:
    case SHMRPC_NOT_FOUND:
    case SHMRPC_BUSY:
    case SHMRPC_TIMEOUT:
        sleep_us(500);
        break;
    default:
        if (must_be_right(epoch))
            note(&channel->wrong, shmrpc_status_name(status), shmrpc_client_error(client));
    }
}

static void one_turn(unsigned place)
{
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    struct shmrpc_client *client;

    options.timeout_ms = call_ms;
    options.error = &error;
    options.wait_for_server_ms = 1000;
    options.wait_busy_ms = 1000;
    uint32_t epoch = channel->epoch;
    sound_epoch = quiet(epoch) ? epoch : UINT32_MAX;
    enum shmrpc_status status = shmrpc_client_open(channel->name, &options, &client);

    if (status != SHMRPC_OK) {
        if (status != SHMRPC_NOT_FOUND && status != SHMRPC_BUSY && status != SHMRPC_TIMEOUT &&
            must_be_right(epoch))
            note(&channel->wrong, "a client did not attach", error.text);
        sleep_us(500);
        return;
    }
    for (int i = 0; i < TURN && channel->stop != (int)place && channel->stop != -1; i++) {
        uint32_t number = channel->next++;
        channel->calling_since[place] = now_ns();
        one_call(client, number);
        channel->calling_since[place] = 0;
    }
    shmrpc_client_close(&client);
}

struct client_place {
    struct channel *channel;
    unsigned place;
};

static int client_body(void *context)
{
    struct client_place *self = context;
    unsigned before = descriptors();

    channel = self->channel;
    random_state ^= (uint64_t)getpid() << 32;
    while (channel->stop != (int)self->place && channel->stop != -1) {
        one_turn(self->place);
        sleep_us(below(2000));
    }
    if (descriptors() != before)
        note(&channel->leaks, "client", "descriptors");
    return 0;
}

/* ---- the hostile peer */

static void be_hostile(struct raw *raw)
{
    static const uint32_t lengths[] = {0, 1, 8188, 8189, 65536, 0x80000000, 0xffffffff};
    enum object segment = below(2) ? REQ : RESP;
    enum object full = segment == REQ ? REQ_FULL : RESP_FULL;
    enum object empty = segment == REQ ? REQ_EMPTY : RESP_EMPTY;

    switch (below(5)) {
    case 0: /* an impossible length, or a lie */
        raw_frame(raw, segment, lengths[below(7)], "{\"request_id\":", 14);
        break;
    case 1: /* bytes anywhere, also under the eyes of a reader */
        for (int i = 0; i < 200; i++)
            raw->segment[segment][below((unsigned)raw->bytes)] = (unsigned char)below(256);
        break;
    case 2: /* a post that nobody is owed */
        sem_post(raw->semaphore[below(2) ? full : empty]);
        break;
    case 3: /* a request in turn, of nonsense */
        if (sem_trywait(raw->semaphore[empty]) == 0) {
            raw_frame(raw, segment, lengths[below(7)], "nonsense", 8);
            sem_post(raw->semaphore[full]);
        }
        break;
    default: /* take what was meant for another */
        if (sem_trywait(raw->semaphore[full]) == 0)
            sem_post(raw->semaphore[empty]);
    }
}

static int hostile_body(void *context)
{
    struct raw raw;

    channel = context;
    random_state ^= (uint64_t)getpid() << 32;
    if (!raw_open(&raw, channel->name))
        return 0;
    for (unsigned i = 1 + below(20); i > 0; i--) {
        be_hostile(&raw);
        sleep_us(below(2000));
    }
    channel->hostile++;
    raw_close(&raw);
    return 0;
}

/* ---- the parent */

static void start_server(int i)
{
    mask_terminate(SIG_BLOCK);
    server_pid[i] = spawn(server_body, channels[i]);
    mask_terminate(SIG_UNBLOCK);
}

static void start_client(int i, unsigned place)
{
    static struct client_place self; /* the child has its own copy */

    self = (struct client_place){channels[i], place};
    channels[i]->calling_since[place] = 0;
    client_pid[i][place] = spawn(client_body, &self);
}

static bool hung(int i, const char *what)
{
    hangs++;
    printf("error: hang: channel %s: %s\n", channels[i]->name, what);
    return false;
}

static void kill_one(int i, pid_t pid)
{
    channels[i]->broken = 1;
    kill_child(pid);
    kills++;
}

static void end_in_order(int i, pid_t pid, const char *what)
{
    int status = await_child(pid, regular_end_ms);

    ends++;
    if (status < 0)
        hung(i, what);
    else if (status != 0) {
        char text[64];
        channel = channels[i];
        snprintf(text, sizeof text, "ended with status %d", status);
        note(&channels[i]->wrong, what, text);
    }
}

/* A hostile peer ends by itself; its epoch ends with it. */
static void reap_hostile(int i, bool wait)
{
    siginfo_t info = {0};

    if (hostile_pid[i] == 0)
        return;
    if (!wait && (waitid(P_PID, (id_t)hostile_pid[i], &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
                  info.si_pid == 0))
        return;
    if (await_child(hostile_pid[i], regular_end_ms) < 0)
        hung(i, "a hostile peer");
    hostile_pid[i] = 0;
    channels[i]->epoch++;
}

static void disturb(int i)
{
    unsigned place = below(CLIENTS);

    switch (below(8)) {
    case 0:
    case 1:
        kill_one(i, server_pid[i]);
        start_server(i);
        break;
    case 2:
    case 3:
        kill_one(i, client_pid[i][place]);
        start_client(i, place);
        break;
    case 4:
        kill_one(i, client_pid[i][place]);
        kill_one(i, server_pid[i]);
        start_server(i);
        start_client(i, place);
        break;
    case 5:
        kill(server_pid[i], SIGTERM);
        end_in_order(i, server_pid[i], "a server");
        start_server(i);
        break;
    case 6:
        channels[i]->stop = (int)place;
        end_in_order(i, client_pid[i][place], "a client");
        channels[i]->stop = -2;
        start_client(i, place);
        break;
    default:
        if (hostile_pid[i] == 0) {
            channels[i]->epoch++;
            hostile_pid[i] = spawn(hostile_body, channels[i]);
        }
    }
}

static void look_for_hangs(int i)
{
    int64_t now = now_ns();
    int64_t limit = hang_ms * INT64_C(1000000);

    for (unsigned place = 0; place < CLIENTS; place++) {
        int64_t since = channels[i]->calling_since[place];
        if (since == 0 || now - since < (call_ms + call_grace_ms) * INT64_C(1000000))
            continue;
        hung(i, "a call outlived its time-out");
        kill_one(i, client_pid[i][place]);
        start_client(i, place);
    }
    if (now - channels[i]->answered_ns < limit)
        return;
    hung(i, "no call has succeeded for too long");
    channels[i]->answered_ns = now;
}

/* Let every channel answer once more, end all in order, and see that nothing stays. */
static void finish(int i)
{
    uint32_t answers = channels[i]->answers;
    int64_t until = now_ns() + hang_ms * INT64_C(1000000);

    reap_hostile(i, true);
    while (channels[i]->answers - answers < 10 && now_ns() < until)
        sleep_us(1000);
    if (channels[i]->answers - answers < 10)
        hung(i, "the channel does not answer at the end");
    channels[i]->stop = -1;
    for (unsigned place = 0; place < CLIENTS; place++)
        end_in_order(i, client_pid[i][place], "a client");
    if (!idle_within(channels[i]->name, 5000)) {
        channel = channels[i];
        note(&channels[i]->leaks, "the semaphores", "are not idle at the end");
    }
    kill(server_pid[i], SIGTERM);
    end_in_order(i, server_pid[i], "a server");
    if (objects_of(channels[i]->name) != 0) {
        channel = channels[i];
        note(&channels[i]->leaks, "objects", "are left");
        remove_objects(channels[i]->name);
    }
}

static int report(uint64_t seed, int64_t began)
{
    uint64_t calls = 0, answers = 0, recoveries = 0, wrong = 0, leaks = 0, hostile = 0;

    for (int i = 0; i < channel_count; i++) {
        struct channel *one = channels[i];
        if (one->text[0])
            printf("error: channel %s: %s\n", one->name, one->text);
        calls += one->calls;
        answers += one->answers;
        recoveries += one->recoveries;
        wrong += one->wrong;
        leaks += one->leaks;
        hostile += one->hostile;
    }
    bool well =
        wrong == 0 && leaks == 0 && hangs == 0 && answers > 0 && kills > 0 && recoveries > 0;
    printf("soak: seed %llu, %.1f minutes, %d channels, %u hostile peers, %u regular ends\n",
           (unsigned long long)seed, (double)(now_ns() - began) / 6e10, channel_count, (unsigned)hostile,
           ends);
    printf("soak: calls %llu (%llu answered), kills %u, recoveries %llu, wrong answers %llu, "
           "leaks %llu, hangs %u\n",
           (unsigned long long)calls, (unsigned long long)answers, kills,
           (unsigned long long)recoveries, (unsigned long long)wrong, (unsigned long long)leaks,
           hangs);
    printf("%d passed, %d failed\n", well ? 1 : 0, well ? 0 : 1);
    return well ? 0 : 1;
}

static int soak(double minutes, uint64_t seed)
{
    int64_t began = now_ns();

    random_state = seed;
    for (int i = 0; i < channel_count; i++) {
        channels[i] = shared_memory(sizeof *channels[i]);
        snprintf(channels[i]->name, sizeof channels[i]->name, "%s", channel_name("soak"));
        channels[i]->stop = -2;
        channels[i]->answered_ns = now_ns();
        start_server(i);
        for (unsigned place = 0; place < CLIENTS; place++)
            start_client(i, place);
    }
    while ((double)(now_ns() - began) < minutes * 6e10 && hangs < 10) {
        sleep_us(1000 + below(20000));
        disturb((int)below((unsigned)channel_count));
        for (int i = 0; i < channel_count; i++) {
            reap_hostile(i, false);
            look_for_hangs(i);
        }
    }
    for (int i = 0; i < channel_count; i++)
        finish(i);
    return report(seed, began);
}

/* ---- the self-test */

static FILE *output; /* of the short soak */

static int short_soak(void *context)
{
    const double minutes = 0.03;

    fault = *(const enum fault *)context;
    channel_count = 2;
    call_ms = 1000;
    /* Time for a machine that is busy otherwise; what hangs in the self-test hangs for good. */
    hang_ms = fault == HANGING ? 2000 : 15000;
    regular_end_ms = fault == HANGING ? 2000 : 15000;
    if (dup2(fileno(output), STDOUT_FILENO) < 0)
        return 3;
    setvbuf(stdout, NULL, _IOLBF, 0);
    return soak(minutes, 1);
}

/* The counts as the report prints them; false if it did not come to that. */
static bool read_counts(unsigned counts[3])
{
    char line[512];
    bool found = false;

    rewind(output);
    while (fgets(line, sizeof line, output) != NULL) {
        const char *at = strstr(line, "wrong answers ");
        if (at != NULL && sscanf(at, "wrong answers %u, leaks %u, hangs %u", &counts[0], &counts[1],
                                 &counts[2]) == 3)
            found = true;
    }
    return found;
}

static bool reported(enum fault seeded, const char *name)
{
    unsigned counts[3] = {0, 0, 0}; /* in the order of the faults */
    enum fault *copy = &(enum fault){seeded};

    output = tmpfile();
    if (output == NULL)
        return false;
    int status = await_child(spawn(short_soak, copy), SELF_TEST_LIMIT_MS);
    bool found = read_counts(counts);
    fclose(output);
    bool well = found && (seeded == SOUND ? status == 0 : status == 1 && counts[seeded - 1] > 0);
    printf("%s: %s: status %d, wrong answers %u, leaks %u, hangs %u\n", well ? "ok" : "FAILED", name,
           status, counts[0], counts[1], counts[2]);
    return well;
}

static int self_test(void)
{
    static const char *const names[] = {"sound servers", "a wrong answer", "an object left behind",
                                        "a handler that never returns"};
    int passed = 0;

    for (int i = SOUND; i <= HANGING; i++)
        passed += reported((enum fault)i, names[i]);
    printf("%d passed, %d failed\n", passed, HANGING + 1 - passed);
    return passed == HANGING + 1 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *seed_text = getenv("SEED");

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 2 && strcmp(argv[1], "--self-test") == 0)
        return self_test();
    double minutes = argc > 1 ? strtod(argv[1], NULL) : 5;
    if (!(minutes > 0 && minutes < 100000)) {
        fprintf(stderr, "usage: soak [MINUTES | --self-test]\n");
        return 2;
    }
    uint64_t seed = seed_text && *seed_text ? strtoull(seed_text, NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu (repeat with: make soak SEED=%llu)\n", (unsigned long long)seed,
           (unsigned long long)seed);
    return soak(minutes, seed);
}

/* SPDX-License-Identifier: MIT
 *
 * The conformance runner's own vocabulary. The runner shares no code with src/: it judges wire bytes
 * and what the kernel shows, and must be able to find a fault that the library has.
 *
 * Every case runs in a worker process of its own, in a sandbox of its own (sandbox.c). So a worker
 * may end at any place with its verdict (run_finish), and whatever it left behind goes with it.
 */
#ifndef KIT_H
#define KIT_H

#include <cjson/cJSON.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- util.c: time, text, numbers ------------------------------------------------------------- */

struct kit_text {
    char *data; /* NUL-terminated once anything was appended */
    size_t length;
    size_t capacity;
};

void text_append(struct kit_text *text, const void *data, size_t length);
void text_printf(struct kit_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void text_vprintf(struct kit_text *text, const char *format, va_list arguments);
void text_free(struct kit_text *text);

int64_t now_ms(void);
void sleep_ms(int ms);
void *kit_alloc(size_t bytes);
char *kit_copy(const char *text);
char *kit_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *hex_encode(const void *data, size_t length);
/** Null if text is no hex; *length set. */
unsigned char *hex_decode(const char *text, size_t *length);
/** Whole file as NUL-terminated text, or null. */
char *file_read(const char *path, size_t *length);
/** Signed sum of names and numbers: "cap+1", "4096", "0x80000000". Dies on an unknown name. */
int64_t sum_eval(const char *expression, int64_t (*symbol)(void *user, const char *name),
                 void *user);
const char *json_text(const cJSON *object, const char *key, const char *fallback);
bool json_flag(const cJSON *object, const char *key, bool fallback);
/** Whether an array holds the string. */
bool json_has(const cJSON *array, const char *text);
/** A copy of the JSON text without the white space between tokens. */
char *json_squeeze(const char *text, size_t length);
/** Whether the bytes are JSON by RFC 8259 in valid UTF-8; strict.c. */
bool json_strict(const char *text, size_t length);
/** Replace what is no UTF-8 in a text by question marks. */
void text_clean(char *text);
_Noreturn void kit_die(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *syscall_name(int64_t number);

/* ---- case.c ----------------------------------------------------------------------------------- */

enum kit_level { LEVEL_WIRE, LEVEL_RECOVERY, LEVEL_HARDENED, LEVEL_COUNT };
extern const char *const level_names[LEVEL_COUNT];

/** A case file is checked once at load; afterwards its members may be read without checks. */
struct kit_case {
    const char *id;
    enum kit_level level;
    const char *strength;
    const char *category;
    const cJSON *json;
    const cJSON *sweep; /* null unless the case is run at every crash point */
    bool server_role, client_role, pair;
};

struct kit_cases {
    struct kit_case *list;
    size_t count;
};

/** Load every .json file of a folder; prints every fault of every file and returns false if there was one. */
bool cases_load(const char *directory, struct kit_cases *cases);
/** The gate: live ids, and a case (or a reason) for every MUST. Returns the number of faults. */
int cases_gate(const struct kit_cases *cases, const char *spec, const char *exempt, bool print);
bool steps_known_verb(const char *verb);

/* ---- options and results ---------------------------------------------------------------------- */

enum { KIT_PATIENCE_MS = 15000 };

struct kit_options {
    const char *root;          /* the folder conformance/ */
    const char *self;          /* how this program was called */
    const char *adapter;       /* command of the port */
    const char *reference;     /* command of the reference; null: pairs with it are left out */
    const char *category;
    const char *level;
    const char *pattern;       /* of case ids */
    const char *expectations;
    const char *reports;       /* comma list of ndjson, junit, html */
    const char *output;        /* folder of the reports */
    const char *label;         /* name of the run in reports; default the implementation */
    unsigned uid;              /* 0: stay */
    bool have_uid;
    int jobs;
    int repeat;
    int patience_ms;           /* after this long without an answer it is a hang */
    int point;                 /* 0, or the one crash point to run */
    int edge;
    bool list;
    bool gate;
    bool quiet;
    bool trace;                /* run adapters under the tracer, for the evidence */
    bool verbose;
};

enum kit_verdict {
    VERDICT_PASS,
    VERDICT_FAIL,
    VERDICT_XFAIL,
    VERDICT_XPASS,
    VERDICT_SKIP,
    VERDICT_CRASH,
    VERDICT_TIMEOUT,
    VERDICT_RUNNER_ERROR,
    VERDICT_COUNT
};
extern const char *const verdict_names[VERDICT_COUNT];
enum kit_verdict verdict_from_name(const char *name);

/* ---- adapter.c -------------------------------------------------------------------------------- */

enum { ACTOR_MAX = 16, ACTOR_CALLS = 128 };

enum reply_kind {
    REPLY_OK,
    REPLY_RPC_ERROR,
    REPLY_UNSUPPORTED,
    REPLY_INTERNAL,
    REPLY_BAD,  /* not the protocol */
    REPLY_LATE, /* nothing within the patience */
    REPLY_DEAD  /* the process is gone */
};

struct adapter {
    char actor[24];
    pid_t child;          /* whom we wait for: the adapter, or its tracer */
    pid_t pid;            /* the adapter itself */
    uint64_t start_time;  /* of pid, so that a reused pid is never taken for it */
    int to, from, errors;
    struct kit_text input;
    struct kit_text said; /* its stderr */
    unsigned next_id;
    char pending[24];       /* verb sent and not answered yet */
    bool alive;
    bool killed_by_us;
    bool mourned;         /* its death is known and allowed for */
    pid_t forked;         /* the child that the verb fork left, if it lives on */
    int wait_status;
    cJSON *hello;
    char server[64];      /* handle of the last server.start */
    char client[64];      /* handle of the last client.open */
    char closed[64];      /* handle of the client closed last */
    char call[64];        /* handle of the last client.call_async */
    char calls[ACTOR_CALLS][2][64]; /* calls under way: handle, expected result */
    int call_count;
    struct tracer *tracer;
};

struct spawn_options {
    const char *command;
    int umask;            /* -1: leave */
    int cpus;             /* 0: leave; how many CPUs it may run on */
    int fd_limit;         /* 0: leave */
    unsigned uid;
    bool have_uid;
    const char *environment; /* NAME=VALUE or null */
    struct tracer *tracer;
};

void adapter_spawn(struct adapter *adapter, const char *actor, const struct spawn_options *options);
/** Send a verb; arguments may be null and are not consumed. */
bool adapter_send(struct adapter *adapter, const char *verb, const cJSON *arguments);
/** Await the reply of the verb sent last. *reply is the whole line (caller's), or null. *why says
 *  what is wrong with a REPLY_BAD one. */
enum reply_kind adapter_receive(struct adapter *adapter, int timeout_ms, cJSON **reply,
                                const char **why);
/** The object below ok, rpc_error, unsupported or internal. */
const cJSON *reply_body(const cJSON *reply, enum reply_kind kind);
/** Collect what it wrote on stderr. */
void adapter_drain(struct adapter *adapter);
/** Look whether it is dead, without waiting. */
bool adapter_dead(struct adapter *adapter);
void adapter_kill(struct adapter *adapter, int signal_number);
/** Wait for its end. False: it lives on. */
bool adapter_reap(struct adapter *adapter, int timeout_ms);
/** "exit 3" or "signal 9 (Killed)". */
const char *adapter_death(const struct adapter *adapter);
/** Load the schema; false and a message if it cannot be. */
bool schema_load(const char *path);
const cJSON *schema_verb(const char *verb);
/** Null if the arguments or the reply's body fit the schema, else what is wrong. */
const char *schema_check(const char *verb, const char *part, const cJSON *body);

/* ---- raw.c: the raw peer ---------------------------------------------------------------------- */

enum { RAW_REQ, RAW_RESP, RAW_REQ_EMPTY, RAW_REQ_FULL, RAW_RESP_EMPTY, RAW_RESP_FULL, RAW_OBJECTS };
extern const char *const raw_object_names[RAW_OBJECTS];

struct raw {
    char name[256];
    size_t buffer_bytes;
    int fd[RAW_OBJECTS];      /* -1: not open */
    void *map[RAW_OBJECTS];   /* null: not mapped */
    size_t size[RAW_OBJECTS]; /* bytes mapped */
    bool owner;
    bool marked;
};

/** Path of an object below /dev/shm, from the text of the specification alone. */
void raw_path(const char *name, int object, char path[512]);
int raw_object(const char *text);
void raw_init(struct raw *raw);
/** Open and map all six as a client would. False: *why says what is missing. */
bool raw_open(struct raw *raw, const char *name, char *why, size_t why_bytes);
/** Make one object of a channel. mode is of the segment; marked takes the lock first. */
bool raw_make(struct raw *raw, int object, size_t bytes, int value, unsigned mode, bool marked);
void raw_unmap(struct raw *raw);
void raw_unlink(struct raw *raw);
int raw_value(const struct raw *raw, int semaphore);
bool raw_wait(struct raw *raw, int semaphore, int timeout_ms);
void raw_post(struct raw *raw, int semaphore);
bool raw_lock(struct raw *raw, int object);
/** How many of the six names exist. */
int raw_present(const char *name);
/** Value word of a semaphore file without mapping it; -1 if it cannot be read. */
int raw_peek_value(const char *name, int semaphore);
void raw_dump(struct kit_text *text, const char *name);

/* ---- ledger.c: what the kernel shows ----------------------------------------------------------- */

struct ledger {
    int fds;       /* open descriptors */
    int shm_fds;   /* of them, below /dev/shm */
    int shm_maps;  /* mappings of files below /dev/shm */
    int maps;
    int threads;
    long rss_kb;
    int no_cloexec; /* descriptors below /dev/shm without close-on-exec */
};

bool ledger_read(pid_t pid, struct ledger *ledger);
/** Whether any process but this one maps the file (by device and inode). */
bool ledger_maps_file(const char *path, pid_t not_this);
bool ledger_maps_inode(dev_t device, ino_t inode, pid_t not_this);
/** Whether a thread of the process sleeps in a futex wait on an address in a map of the file. */
bool ledger_thread_blocked(pid_t pid);
uint64_t process_start_time(pid_t pid);
/** Names below /dev/shm, one a line; the number of them. */
int shm_list(struct kit_text *text);
void ledger_print(struct kit_text *text, pid_t pid);

/* ---- crash.c: the tracer ------------------------------------------------------------------------ */

enum trace_action { TRACE_RECORD, TRACE_KILL, TRACE_FAIL };
enum { TRACE_RING = 64 };

struct trace_entry {
    int64_t number;
    uint64_t arguments[6];
    int64_t result;
    bool finished;
};

enum { TURN_OPEN, TURN_CLOSED, TURN_ACTED };

/** Shared between the worker and the tracer process. */
struct tracer {
    enum trace_action action;
    char verb[24];         /* the window opens when the victim reads this verb; "" : when armed */
    int point;             /* act at this system call of the window, counted from 1 */
    int edge;              /* 0 entry, 1 exit */
    int error;             /* TRACE_FAIL: the errno */
    volatile int armed;    /* the worker opens the window by hand */
    volatile int closed;   /* the worker closes it, or the write of the reply */
    _Atomic int turn;      /* TURN_OPEN until the tracer acts or the window is closed by hand */
    volatile pid_t pid;
    volatile int in_window;
    volatile int opened;   /* the verb was seen */
    volatile int count;    /* system calls seen in the window */
    volatile int reached;
    volatile int64_t number; /* the call it acted on */
    volatile int ordinal;    /* how many of that number there were in the window, this one included */
    volatile int realtime_waits; /* futex waits by the wall clock */
    volatile int status;   /* wait status of the victim */
    volatile int lost;     /* the tracer could not do its work */
    volatile unsigned at;
    struct trace_entry ring[TRACE_RING];
};

struct tracer *tracer_new(void);
/** Close the window by hand. False: the tracer acted first. */
bool tracer_close(struct tracer *tracer);
/** In the forked child: fork the victim, run exec_victim(user) in it, trace it till its end. */
_Noreturn void tracer_main(struct tracer *tracer, void (*exec_victim)(void *), void *user);
void tracer_print(struct kit_text *text, const struct tracer *tracer);

/* ---- patience.c: how long is waited ---------------------------------------------------------------- */

struct patience {
    int64_t ms, begin, until;
    int64_t starved; /* what the port's processes had waited for a CPU; -1: not looked at yet */
    int64_t grace;   /* granted so far */
    pid_t tree;      /* not 0: this process and its descendants count, not the watched ones */
    int64_t looked;  /* when, at the tree */
    int64_t seen;    /* sum over the tree at that time */
};

/** Count what this process waits for a CPU as a grace. */
void patience_watch(pid_t pid);
struct patience patience_begin(int64_t ms);
/** The same for a process and whatever it starts. */
struct patience patience_begin_tree(int64_t ms, pid_t pid);
/** Whether the time and the measured grace are over. */
bool patience_over(struct patience *patience);

/* ---- sandbox.c ---------------------------------------------------------------------------------- */

enum sandbox_kind {
    SANDBOX_FULL,   /* own /dev/shm, own process ids: all goes with the worker */
    SANDBOX_SHM,    /* own /dev/shm */
    SANDBOX_PREFIX  /* nothing private: names with our prefix, cleaned by us */
};

enum sandbox_kind sandbox_probe(void);
const char *sandbox_text(enum sandbox_kind kind);
/** Fork a worker inside a sandbox. shm_bytes 0: the default. Returns as fork does. */
pid_t sandbox_fork(enum sandbox_kind kind, size_t shm_bytes);
/** Remove what earlier runs of dead runners left under our prefix. */
void sandbox_sweep(enum sandbox_kind kind, pid_t runner);
/** Remove what one worker made under its own prefix. */
void sandbox_remove(const char *prefix);
void sandbox_prefix(enum sandbox_kind kind, pid_t runner, char prefix[32]);

/* ---- steps.c, expect.c: one case in a worker ----------------------------------------------------- */

struct run {
    const struct kit_options *options;
    const struct kit_case *test;
    const char *pairing;     /* raw-port, reference-port, port-reference, port-port */
    char prefix[32];
    int point, edge;
    int result_fd;
    int64_t started_ms;
    const cJSON *port_hello;
    struct adapter actors[ACTOR_MAX];
    int actor_count;
    struct raw raws[ACTOR_MAX];
    char raw_labels[ACTOR_MAX][24];
    int raw_count;
    int64_t buffer_bytes;
    char channel[256];
    unsigned nonce;
    char last_id[128];       /* id of the request the raw peer sent or took last */
    char taken_method[64];
    cJSON *seen_ids;         /* of all requests taken so far */
    char *error_hex;         /* exact bytes of the last remote error text */
    cJSON *taken;            /* the request a raw server took last */
    struct kit_text response; /* bytes the raw client received last */
    /* outcome of the last step */
    char outcome[64];
    char *value;             /* result as squeezed JSON text, or the error text in hex */
    struct kit_text detail;
    char expected_outcome[64]; /* outcome of the step the case is about */
    bool have_outcome;
    struct kit_text log;     /* what was done, for the evidence */
    struct ledger marks[ACTOR_MAX];
    bool has_mark[ACTOR_MAX];
    int step_number;
    bool victim_reached;
    bool refused;            /* how the step with "branch" ended */
    int round;               /* of the innermost repetition, ${i} */
    bool sweep_ended;
    bool finishing;
};

/** Run one case (at one crash point) and never return. */
_Noreturn void worker_main(struct run *run);
void run_log(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** End the case with a failure: class is a slug that expectations name. */
_Noreturn void run_fail(struct run *run, const char *class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void run_error(struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void run_skip(struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void run_finish(struct run *run, enum kit_verdict verdict, const char *class,
                          const char *text);
void run_outcome(struct run *run, const char *outcome);
void steps_run(struct run *run, const cJSON *steps);
void then_run(struct run *run, const cJSON *then);
/** Whether the outcome is in any_of (aliases resolved). */
bool outcome_in(const char *outcome, const cJSON *any_of);
int64_t run_number(struct run *run, const cJSON *item, int64_t fallback);
struct adapter *run_actor(struct run *run, const char *actor);
struct adapter *run_find_actor(struct run *run, const char *actor);
struct raw *run_raw(struct run *run, const char *label, bool make);
const char *run_channel(struct run *run, const cJSON *step);
/** Await and classify the reply of what was sent; ends the case on death and silence unless the step
 *  allows for it. */
void run_await(struct run *run, struct adapter *adapter, const cJSON *step);
void image_load(struct run *run, const char *name, const cJSON *step);

/* ---- schedule.c: all cases, several workers at once ------------------------------------------------ */

struct result {
    const struct kit_case *test;
    const char *pairing;
    enum kit_verdict verdict;
    char *class;
    char *text;
    char *reason; /* of the expectation */
    cJSON *json;  /* the worker's record */
    int points;
    int failed_points;
    int64_t ms;
};

struct results {
    struct result *list;
    size_t count;
    cJSON *hello;
    const char *label;
    enum sandbox_kind sandbox;
    int64_t ms;
    int unused; /* expectations that matched nothing */
};

/** Whether the options choose the case. */
bool schedule_selects(const struct kit_options *options, const struct kit_case *test);
bool schedule_run(const struct kit_options *options, const struct kit_cases *cases,
                  struct results *results);
/** The hello of a command, within ten seconds; null and a message if it is unusable. */
cJSON *adapter_hello(const struct kit_options *options, const char *command);
int check_adapter(const struct kit_options *options);

/* ---- expectations.c --------------------------------------------------------------------------------- */

struct expectations;
struct expectations *expectations_load(const char *path);
/** Whether a case beyond the port's levels is run all the same. */
bool expectations_wants(const struct expectations *expectations, const char *key);
void expectations_apply(struct expectations *expectations, struct results *results);
/** Patterns that matched nothing, printed. */
int expectations_unused(const struct expectations *expectations);
void expectations_free(struct expectations *expectations);

/* ---- report.c ----------------------------------------------------------------------------------------- */

void report_write(const struct kit_options *options, const struct results *results);
void report_headline(const char *root, const struct results *results);
int report_exit_code(const struct results *results);
/** Build reports from NDJSON files of several ports. */
int report_merge(const struct kit_options *options, char *const files[], int count);

#endif

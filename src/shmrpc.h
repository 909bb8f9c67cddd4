/* SPDX-License-Identifier: MIT
 *
 * shmrpc.h - remote procedure calls over shared memory: the one public header.
 *
 * A server publishes a channel under a name; one client at a time attaches to it and calls the
 * server's methods. The wire format is that of the Python package shm-rpc-bridge 0.2.4, so either
 * side may be that package. spec/shm-rpc.md is the normative text; ids such as SRPC-FRAME-004
 * point into it.
 *
 * Conventions that hold for every function:
 *  - What can fail returns enum shmrpc_status by value. Outputs are untouched on failure.
 *  - Units end a name: timeout_ms, buffer_bytes.
 *  - Handles are opaque. close(**) accepts a null handle and nulls the caller's pointer.
 *  - One object, one thread at a time, unless the caller locks. Different objects are independent.
 *    The exceptions are named: shmrpc_server_stop().
 *  - After fork(2) the child's copies of all handles are dead: what would use the channel returns
 *    SHMRPC_INVALID, and close only frees memory (SRPC-FORK-001). What only reads or sets the copy
 *    itself (an error text, a time-out, a method) still does, to no effect beyond it.
 *  - A null handle or a null output pointer is a broken contract and aborts with one line on
 *    stderr; what users type (names, JSON, sizes, times) is an error, never an abort.
 */
#ifndef SHMRPC_H
#define SHMRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SHMRPC_PUBLIC __attribute__((visibility("default")))
#define SHMRPC_MUST_USE __attribute__((warn_unused_result))
#else
#define SHMRPC_PUBLIC
#define SHMRPC_MUST_USE
#endif

#define SHMRPC_VERSION_MAJOR 1
#define SHMRPC_VERSION_MINOR 0
#define SHMRPC_VERSION_PATCH 0
#define SHMRPC_VERSION "1.0.0"

/* Defaults of the original (SRPC-LIMIT-001, SRPC-TIME-001). */
#define SHMRPC_DEFAULT_BUFFER_BYTES 4096
#define SHMRPC_DEFAULT_TIMEOUT_MS 5000
/* Smallest and largest buffer a server may ask for: an error reply to a UUID id must fit, and the
 * length word has 32 bits (SRPC-LIMIT-002, SRPC-LIMIT-003). */
#define SHMRPC_MIN_BUFFER_BYTES 128
#define SHMRPC_MAX_BUFFER_BYTES 4294967295u
/* Longest channel name in bytes, without the terminating NUL (SRPC-NAME-002). */
#define SHMRPC_MAX_NAME_BYTES 236
/* As a timeout_ms: no deadline at all. */
#define SHMRPC_FOREVER (-1)

/** Outcome of a call. The texts come from shmrpc_status_name() and shmrpc_status_text(). */
enum shmrpc_status {
    SHMRPC_OK = 0,
    /** The deadline passed. shmrpc_client_maybe_executed() says whether the call may have run. */
    SHMRPC_TIMEOUT = 1,
    /** No such channel (attach), no such parameter or member (lookup), or the name was taken away
     *  from a running server (run, step). */
    SHMRPC_NOT_FOUND = 2,
    /** A living server holds the name, or a living client holds the channel. */
    SHMRPC_BUSY = 3,
    /** The server died before it took the call: it has not run and may be sent again. */
    SHMRPC_PEER_GONE_NOT_STARTED = 4,
    /** The server died after it may have taken the call. */
    SHMRPC_PEER_GONE_MAYBE_EXECUTED = 5,
    /** The peer broke the protocol: impossible length, semaphore value or envelope. */
    SHMRPC_PROTOCOL = 6,
    /** The message does not fit the buffer. Nothing was sent. */
    SHMRPC_TOO_LARGE = 7,
    /** Text is not valid JSON or UTF-8, or a value is of another type or range than asked for. */
    SHMRPC_SERIALIZATION = 8,
    /** The remote method failed; the object's error text is the remote "TypeName: message". */
    SHMRPC_METHOD_ERROR = 9,
    /** A system call failed; the error text names it, shmrpc_error.system_errno has errno. */
    SHMRPC_SYSTEM = 10,
    /** An argument is out of its documented range, or the handle belongs to the parent process. */
    SHMRPC_INVALID = 11
};

/** Why something failed, for callers that have no object to ask yet. */
struct shmrpc_error {
    enum shmrpc_status status;
    int system_errno; /**< errno for SHMRPC_SYSTEM, else 0 */
    char text[512];   /**< one line of UTF-8, no newline, always NUL-terminated */
};

/** Lower-case name of a status ("peer_gone_not_started"), as in the specification. Thread safe. */
SHMRPC_PUBLIC const char *shmrpc_status_name(enum shmrpc_status status);
/** One English sentence for a status. Thread safe. */
SHMRPC_PUBLIC const char *shmrpc_status_text(enum shmrpc_status status);
/** Version of the linked library, as SHMRPC_VERSION. Thread safe. */
SHMRPC_PUBLIC const char *shmrpc_version(void);

/** How a waiting side spends its time (SRPC-WAIT-001). */
enum shmrpc_wait {
    /** Spin for as long as it has been paying off, then block. The default. */
    SHMRPC_WAIT_ADAPTIVE = 0,
    /** Spin until the deadline; lowest latency, one CPU a side. Blocks if only one CPU is allowed. */
    SHMRPC_WAIT_SPIN = 1,
    /** Block at once; least CPU. */
    SHMRPC_WAIT_BLOCK = 2
};

/* ------------------------------------------------------------------------------------------------
 * JSON values: views into validated text. Nothing is allocated and nothing is copied.
 */

enum shmrpc_type {
    SHMRPC_NULL,
    SHMRPC_BOOL,
    SHMRPC_NUMBER,
    SHMRPC_STRING,
    SHMRPC_ARRAY,
    SHMRPC_OBJECT
};

/** A JSON value in the text it came from: length bytes of valid RFC 8259 JSON at text, without
 *  surrounding white space. Valid as long as that text is; see where you got it. */
struct shmrpc_value {
    const char *text;
    size_t length;
    enum shmrpc_type type;
    bool plain; /* private: a string that is known to have no escapes; false is always right */
};

/** Validate length bytes at text as one JSON document (RFC 8259 strictly, UTF-8 strictly, at most
 *  1,024 levels, no number beyond the range of a double; SRPC-JSON-001..) and view its value.
 *  @param error_offset where the first offending byte stands, set on failure; may be null.
 *  @return OK or SERIALIZATION. Linear time. Thread safe. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_json_read(const char *text, size_t length,
                                                  struct shmrpc_value *value,
                                                  size_t *error_offset) SHMRPC_MUST_USE;

/** Read a value exactly. SERIALIZATION if it is of another type or does not fit: an integer must be
 *  written without fraction and exponent and lie in the range of the type; any JSON number is a
 *  double. Thread safe. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_value_bool(const struct shmrpc_value *value,
                                                   bool *out) SHMRPC_MUST_USE;
SHMRPC_PUBLIC enum shmrpc_status shmrpc_value_int64(const struct shmrpc_value *value,
                                                    int64_t *out) SHMRPC_MUST_USE;
SHMRPC_PUBLIC enum shmrpc_status shmrpc_value_uint64(const struct shmrpc_value *value,
                                                     uint64_t *out) SHMRPC_MUST_USE;
SHMRPC_PUBLIC enum shmrpc_status shmrpc_value_double(const struct shmrpc_value *value,
                                                     double *out) SHMRPC_MUST_USE;
/** Whether a number is written as an integer: no fraction, no exponent. False for other types. */
SHMRPC_PUBLIC bool shmrpc_value_is_integer(const struct shmrpc_value *value);

/** Decode a string into the caller's buffer: UTF-8, any U+0000 included, not NUL-terminated.
 *  value->length - 2 bytes always suffice.
 *  @param length set to the decoded length.
 *  @return OK, SERIALIZATION (not a string), TOO_LARGE (capacity too small). Thread safe. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_value_string(const struct shmrpc_value *value, char *buffer,
                                                     size_t capacity, size_t *length) SHMRPC_MUST_USE;
/** View a string without copying it. Only a string without escapes can be viewed.
 *  @return OK, or SERIALIZATION (not a string, or it has escapes: use shmrpc_value_string()). */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_value_string_view(const struct shmrpc_value *value,
                                                          const char **data,
                                                          size_t *length) SHMRPC_MUST_USE;
/** Find a member of an object by its decoded key; of duplicate keys the last counts (SRPC-JSON-006).
 *  @param key key_length bytes of UTF-8.
 *  @return OK, NOT_FOUND, or SERIALIZATION (not an object). Linear in the object's length. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_value_member(const struct shmrpc_value *value,
                                                     const char *key, size_t key_length,
                                                     struct shmrpc_value *member) SHMRPC_MUST_USE;

/** Walks the elements of an array or the members of an object, in order. */
struct shmrpc_iterator {
    const char *at;
    const char *end;
    bool object;
};

/** Start a walk. SERIALIZATION if the value is neither array nor object. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_value_iterate(const struct shmrpc_value *value,
                                                      struct shmrpc_iterator *iterator) SHMRPC_MUST_USE;
/** Next element. @param key of an object's member (a string value); untouched for arrays; may be
 *  null. @return false at the end, with the outputs untouched. */
SHMRPC_PUBLIC bool shmrpc_iterator_next(struct shmrpc_iterator *iterator, struct shmrpc_value *key,
                                        struct shmrpc_value *value);

/** Writes JSON into a buffer of fixed capacity. Errors stick: after the first, nothing more is
 *  written, and finish returns it. The fields are private. */
struct shmrpc_writer {
    char *begin;
    char *at;
    char *end;
    size_t depth;
    size_t max_depth;
    enum shmrpc_status status;
    bool need_comma;
    bool have_key;
    unsigned char objects[128]; /* one bit a level: 1 object, 0 array */
};

/** Start writing one JSON document into capacity bytes at buffer. Never writes past it. */
SHMRPC_PUBLIC void shmrpc_writer_init(struct shmrpc_writer *writer, char *buffer, size_t capacity);
SHMRPC_PUBLIC void shmrpc_write_object_begin(struct shmrpc_writer *writer);
SHMRPC_PUBLIC void shmrpc_write_object_end(struct shmrpc_writer *writer);
SHMRPC_PUBLIC void shmrpc_write_array_begin(struct shmrpc_writer *writer);
SHMRPC_PUBLIC void shmrpc_write_array_end(struct shmrpc_writer *writer);
/** A member's key: length bytes of UTF-8, U+0000 allowed. The member's value must follow. */
SHMRPC_PUBLIC void shmrpc_write_key(struct shmrpc_writer *writer, const char *key, size_t length);
SHMRPC_PUBLIC void shmrpc_write_null(struct shmrpc_writer *writer);
SHMRPC_PUBLIC void shmrpc_write_bool(struct shmrpc_writer *writer, bool value);
SHMRPC_PUBLIC void shmrpc_write_int64(struct shmrpc_writer *writer, int64_t value);
SHMRPC_PUBLIC void shmrpc_write_uint64(struct shmrpc_writer *writer, uint64_t value);
/** The shortest text that reads back as the same double, always with a fraction or an exponent.
 *  NaN and infinities are SERIALIZATION errors (SRPC-JSON-009). */
SHMRPC_PUBLIC void shmrpc_write_double(struct shmrpc_writer *writer, double value);
/** length bytes of UTF-8, U+0000 allowed. Invalid UTF-8 is a SERIALIZATION error. */
SHMRPC_PUBLIC void shmrpc_write_string(struct shmrpc_writer *writer, const char *data, size_t length);
/** A ready JSON value, validated before it is copied; SERIALIZATION if it is not valid. */
SHMRPC_PUBLIC void shmrpc_write_json(struct shmrpc_writer *writer, const char *text, size_t length);
/** End the document. @param length bytes written.
 *  @return OK, TOO_LARGE, SERIALIZATION, or INVALID (calls out of order: an open object or array,
 *  a key without value, two documents, more than 1,024 levels). */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_writer_finish(struct shmrpc_writer *writer,
                                                      size_t *length) SHMRPC_MUST_USE;

/* ------------------------------------------------------------------------------------------------
 * Server
 */

struct shmrpc_server;
struct shmrpc_call;

/** A method. Read the parameters, then answer once with one of the answer functions or
 *  shmrpc_call_fail(). A return other than OK without an answer is sent as an error reply made from
 *  the call's error text, so "if (st) return st;" after any accessor does the right thing.
 *  @param call valid only during the handler. */
typedef enum shmrpc_status shmrpc_handler(struct shmrpc_call *call, void *user);

/** Receives one line a noteworthy event (a dropped frame, a repaired slot, a reclaimed channel). */
typedef void shmrpc_log(void *user, const char *line);

/** Zero means default in every field. */
struct shmrpc_server_options {
    size_t buffer_bytes;        /**< 128 .. 4294967295; default 4096. Size of each segment. */
    int timeout_ms;             /**< how long a response may wait for its slot; default 5000 */
    enum shmrpc_wait wait;      /**< default adaptive */
    shmrpc_log *log;            /**< default none */
    void *log_user;
    struct shmrpc_error *error; /**< filled when create fails; may be null */
};
#define SHMRPC_SERVER_OPTIONS_INIT {0, 0, SHMRPC_WAIT_ADAPTIVE, NULL, NULL, NULL}

/** Publish a channel (SRPC-LIFE-001..). Reclaims the name from a dead server, never from a living
 *  one. @param name 1 .. 236 bytes, no '/'. @param options may be null.
 *  @return OK, BUSY (a living server, or one that cannot be proven dead: the text says which
 *  process), INVALID (name or options), SYSTEM (with errno; EPERM for a foreign or squatted
 *  object). The caller owns *server and ends it with shmrpc_server_close(). */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_server_create(const char *name,
                                                      const struct shmrpc_server_options *options,
                                                      struct shmrpc_server **server) SHMRPC_MUST_USE;
/** Register a method, replacing one of the same name. The name is copied. "__running__" is built in
 *  and cannot be replaced (SRPC-ENV-010). @return OK, INVALID (empty name, not UTF-8, or built in),
 *  SYSTEM (out of memory). */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_server_register(struct shmrpc_server *server,
                                                        const char *method, shmrpc_handler *handler,
                                                        void *user) SHMRPC_MUST_USE;
/** Serve until shmrpc_server_stop(); the call in hand is answered first.
 *  A channel that a peer broke beyond repair (a semaphore above 1, a truncated object) is made anew
 *  under the same name, and the log says so.
 *  @return OK (stopped), NOT_FOUND (a name of the channel was removed or replaced behind our back:
 *  close and create anew), BUSY or SYSTEM (a broken channel could not be made anew), INVALID (after
 *  fork, or from inside a handler). */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_server_run(struct shmrpc_server *server) SHMRPC_MUST_USE;
/** Serve at most one request, for callers with a loop of their own.
 *  @param timeout_ms 0 polls, SHMRPC_FOREVER waits. @return OK (one message was taken from the
 *  slot, or stopped), TIMEOUT (none came), else as run. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_server_step(struct shmrpc_server *server,
                                                    int timeout_ms) SHMRPC_MUST_USE;
/** Make run return soon, within one idle slice (100 ms) at the latest. Async-signal-safe and thread
 *  safe; a later run returns at once. */
SHMRPC_PUBLIC void shmrpc_server_stop(struct shmrpc_server *server);
/** Remove the channel (req last) and free the server. Accepts a null *server. Removes only objects
 *  that are still this server's. */
SHMRPC_PUBLIC void shmrpc_server_close(struct shmrpc_server **server);
/** Why the last failing call on this server failed; never null, valid until the next call on it. */
SHMRPC_PUBLIC const char *shmrpc_server_error(const struct shmrpc_server *server);
/** Size of each segment in bytes. */
SHMRPC_PUBLIC size_t shmrpc_server_buffer_bytes(const struct shmrpc_server *server);

/* Inside a handler. All views live until the handler returns. */

/** The method's name, NUL-terminated. */
SHMRPC_PUBLIC const char *shmrpc_call_method(const struct shmrpc_call *call);
/** All parameters as one object value. */
SHMRPC_PUBLIC void shmrpc_call_params(const struct shmrpc_call *call, struct shmrpc_value *params);
/** One parameter by name. @return OK or NOT_FOUND (error text "TypeError: missing ..."). */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_param(struct shmrpc_call *call, const char *name,
                                                   struct shmrpc_value *value) SHMRPC_MUST_USE;
/** One parameter, read exactly. NOT_FOUND if it is missing, SERIALIZATION if it is of another type
 *  or out of range; both leave a "TypeError: ..." or "OverflowError: ..." as the call's error text. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_bool(struct shmrpc_call *call, const char *name,
                                                  bool *out) SHMRPC_MUST_USE;
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_int64(struct shmrpc_call *call, const char *name,
                                                   int64_t *out) SHMRPC_MUST_USE;
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_uint64(struct shmrpc_call *call, const char *name,
                                                    uint64_t *out) SHMRPC_MUST_USE;
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_double(struct shmrpc_call *call, const char *name,
                                                    double *out) SHMRPC_MUST_USE;
/** A string parameter, decoded; U+0000 may be inside, no NUL is added. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_string(struct shmrpc_call *call, const char *name,
                                                    const char **data,
                                                    size_t *length) SHMRPC_MUST_USE;
/** Require exactly these parameters, as a function signature would.
 *  @return OK, or INVALID with "TypeError: missing ..." or "TypeError: got an unexpected ..." as text. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_expect(struct shmrpc_call *call,
                                                    const char *const names[],
                                                    size_t count) SHMRPC_MUST_USE;

/** Answer. The first answer counts; a second is INVALID. TOO_LARGE and SERIALIZATION leave the call
 *  unanswered: answer something else, or return the status and the caller gets it as an error.
 *  TIMEOUT: the response slot stayed occupied; the response is dropped (SRPC-RECOVER-009). */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_answer_null(struct shmrpc_call *call) SHMRPC_MUST_USE;
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_answer_bool(struct shmrpc_call *call,
                                                         bool value) SHMRPC_MUST_USE;
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_answer_int64(struct shmrpc_call *call,
                                                          int64_t value) SHMRPC_MUST_USE;
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_answer_uint64(struct shmrpc_call *call,
                                                           uint64_t value) SHMRPC_MUST_USE;
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_answer_double(struct shmrpc_call *call,
                                                           double value) SHMRPC_MUST_USE;
/** length bytes of UTF-8 at data. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_answer_string(struct shmrpc_call *call, const char *data,
                                                           size_t length) SHMRPC_MUST_USE;
/** length bytes of JSON at text, validated here. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_answer_json(struct shmrpc_call *call, const char *text,
                                                         size_t length) SHMRPC_MUST_USE;
/** Answer piece by piece, straight into the response slot: write exactly one value with *writer,
 *  then shmrpc_call_answer_end(), which reports the writer's errors as the functions above do. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_answer_begin(struct shmrpc_call *call,
                                                          struct shmrpc_writer **writer) SHMRPC_MUST_USE;
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_answer_end(struct shmrpc_call *call) SHMRPC_MUST_USE;
/** Answer with the error "type: message"; shortened at a character boundary if it does not fit.
 *  Both are NUL-terminated UTF-8; invalid bytes become U+FFFD. Returns the status of the answer. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_call_fail(struct shmrpc_call *call, const char *type,
                                                  const char *message) SHMRPC_MUST_USE;
/** Most bytes a whole response message may have: buffer_bytes - 4. */
SHMRPC_PUBLIC size_t shmrpc_call_capacity(const struct shmrpc_call *call);

/* ------------------------------------------------------------------------------------------------
 * Client
 */

struct shmrpc_client;

/** Zero means default in every field. */
struct shmrpc_client_options {
    size_t buffer_bytes;        /**< bytes to map of each segment; default what the segment has */
    int timeout_ms;             /**< of each call; default 5000; SHMRPC_FOREVER allowed */
    int wait_for_server_ms;     /**< wait so long for the channel to appear; default 0 */
    int wait_busy_ms;           /**< wait so long for another client to leave; default 0 */
    enum shmrpc_wait wait;      /**< default adaptive */
    struct shmrpc_error *error; /**< filled when open fails; may be null */
};
#define SHMRPC_CLIENT_OPTIONS_INIT {0, 0, 0, 0, SHMRPC_WAIT_ADAPTIVE, NULL}

/** Attach to a channel. @param name as for the server. @param options may be null.
 *  @return OK, NOT_FOUND (no such channel, or its server is dead), BUSY (another client), INVALID,
 *  TOO_LARGE (the segment is smaller than buffer_bytes), PROTOCOL (objects that no server of this
 *  profile makes), SYSTEM. The caller owns *client and ends it with shmrpc_client_close(). */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_client_open(const char *name,
                                                    const struct shmrpc_client_options *options,
                                                    struct shmrpc_client **client) SHMRPC_MUST_USE;

/** One named parameter of a call; make it with the functions below. The fields are private. */
struct shmrpc_param {
    const char *name;
    const char *data;
    size_t length;
    union {
        int64_t i;
        uint64_t u;
        double d;
        bool b;
    } as;
    int kind;
};

/** Parameters. name is NUL-terminated UTF-8; nothing is copied until the call. */
SHMRPC_PUBLIC struct shmrpc_param shmrpc_param_null(const char *name);
SHMRPC_PUBLIC struct shmrpc_param shmrpc_param_bool(const char *name, bool value);
SHMRPC_PUBLIC struct shmrpc_param shmrpc_param_int64(const char *name, int64_t value);
SHMRPC_PUBLIC struct shmrpc_param shmrpc_param_uint64(const char *name, uint64_t value);
SHMRPC_PUBLIC struct shmrpc_param shmrpc_param_double(const char *name, double value);
SHMRPC_PUBLIC struct shmrpc_param shmrpc_param_string(const char *name, const char *data,
                                                      size_t length);
SHMRPC_PUBLIC struct shmrpc_param shmrpc_param_json(const char *name, const char *text,
                                                    size_t length);

/** Call a method and wait for its result (SRPC-CALL-001..). No call is ever retried silently.
 *  @param params count parameters; may be null when count is 0.
 *  @param result views the client's private copy of the response until the next call on this client;
 *  may be null.
 *  @return OK, METHOD_ERROR (text: shmrpc_client_error()), TIMEOUT and PEER_GONE_* (see
 *  shmrpc_client_maybe_executed()), TOO_LARGE and SERIALIZATION (nothing was sent), PROTOCOL (the
 *  response is unusable), NOT_FOUND or BUSY (a dead channel could not be attached anew),
 *  SYSTEM, INVALID. After PEER_GONE_* the next call attaches to a new server of the name. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_client_call(struct shmrpc_client *client, const char *method,
                                                    const struct shmrpc_param *params, size_t count,
                                                    struct shmrpc_value *result) SHMRPC_MUST_USE;
/** The same with the parameters as one JSON object text, validated before anything is sent. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_client_call_json(struct shmrpc_client *client,
                                                         const char *method, const char *params,
                                                         size_t length,
                                                         struct shmrpc_value *result) SHMRPC_MUST_USE;
/** The result of the last successful call as a decoded string, in memory of the client's, valid
 *  until the next call on it. @return OK or SERIALIZATION (not a string; no call succeeded). */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_client_result_string(struct shmrpc_client *client,
                                                             const char **data,
                                                             size_t *length) SHMRPC_MUST_USE;
/** Change the time-out of later calls: 1 .. INT_MAX ms or SHMRPC_FOREVER; else INVALID. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_client_set_timeout(struct shmrpc_client *client,
                                                           int timeout_ms) SHMRPC_MUST_USE;
/** Whether the last call may have run on the server: false only if it certainly has not. */
SHMRPC_PUBLIC bool shmrpc_client_maybe_executed(const struct shmrpc_client *client);
/** Why the last failing call failed; for METHOD_ERROR the remote text. Never null, NUL-terminated (a
 *  remote text is shown up to its first U+0000; shmrpc_client_method_error() has all of it). */
SHMRPC_PUBLIC const char *shmrpc_client_error(const struct shmrpc_client *client);
/** The whole remote error text of the last METHOD_ERROR, else length 0. Valid until the next call. */
SHMRPC_PUBLIC void shmrpc_client_method_error(const struct shmrpc_client *client, const char **data,
                                              size_t *length);
/** Bytes mapped of each segment; 0 while the client has no server, after PEER_GONE_*. */
SHMRPC_PUBLIC size_t shmrpc_client_buffer_bytes(const struct shmrpc_client *client);
/** Detach. Removes nothing. Accepts a null *client. */
SHMRPC_PUBLIC void shmrpc_client_close(struct shmrpc_client **client);

/* ------------------------------------------------------------------------------------------------
 * The byte pipe below RPC: one message each way between two processes, no JSON looked at.
 * The rules of ownership, waiting and recovery are those of server and client. Messages carry no id of
 * their own: a response meant for a client that died looks like the answer to the next one's request.
 */

struct shmrpc_pipe;

/** Publish a channel as its server side, as shmrpc_server_create() does. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_pipe_create(const char *name,
                                                    const struct shmrpc_server_options *options,
                                                    struct shmrpc_pipe **pipe) SHMRPC_MUST_USE;
/** Attach as the client side, as shmrpc_client_open() does. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_pipe_open(const char *name,
                                                  const struct shmrpc_client_options *options,
                                                  struct shmrpc_pipe **pipe) SHMRPC_MUST_USE;
/** Put a message into the outgoing slot (a client's request, a server's response).
 *  @param length 0 .. capacity. @param timeout_ms 0 polls, SHMRPC_FOREVER waits.
 *  @return OK, TIMEOUT (the slot stayed occupied), TOO_LARGE, PEER_GONE_NOT_STARTED (client side),
 *  PROTOCOL, NOT_FOUND (server side: the name is lost), INVALID, SYSTEM. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_pipe_send(struct shmrpc_pipe *pipe, const void *data,
                                                  size_t length, int timeout_ms) SHMRPC_MUST_USE;
/** Take a message from the incoming slot.
 *  @param data points to the pipe's private copy, valid until the next receive.
 *  @return OK, TIMEOUT (none came), PROTOCOL (an impossible length: dropped, the slot is free
 *  again; or a semaphore with a token too many: then each further call says so at once, and the
 *  owner closes the pipe and creates it anew), PEER_GONE_* (client side; of the request sent last),
 *  NOT_FOUND, INVALID, SYSTEM. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_pipe_receive(struct shmrpc_pipe *pipe, const void **data,
                                                     size_t *length, int timeout_ms) SHMRPC_MUST_USE;
/** Most bytes a message may have: buffer_bytes - 4. */
SHMRPC_PUBLIC size_t shmrpc_pipe_capacity(const struct shmrpc_pipe *pipe);
/** Why the last failing call failed; never null. */
SHMRPC_PUBLIC const char *shmrpc_pipe_error(const struct shmrpc_pipe *pipe);
/** Close; the server side removes the channel. Accepts a null *pipe. */
SHMRPC_PUBLIC void shmrpc_pipe_close(struct shmrpc_pipe **pipe);

/* ------------------------------------------------------------------------------------------------
 * SIGBUS
 */

/** Survive a peer that truncates a segment under us (SRPC-SIGBUS-001): installs a process-wide
 *  SIGBUS handler that replaces the faulting page of a mapped channel by zeros and marks that
 *  channel dead; its calls then return PROTOCOL. Any other address goes to the handler that was
 *  there before. Opt-in: without it such a truncation ends the process. Idempotent, thread safe.
 *  @return OK or SYSTEM. */
SHMRPC_PUBLIC enum shmrpc_status shmrpc_sigbus_install(void) SHMRPC_MUST_USE;
/** Put the earlier handler back. */
SHMRPC_PUBLIC void shmrpc_sigbus_uninstall(void);

#ifdef __cplusplus
}
#endif

#endif

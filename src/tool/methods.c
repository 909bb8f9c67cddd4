/* SPDX-License-Identifier: MIT
 *
 * The methods that are not arithmetic, and the table of all of them.
 */
#include "methods.h"

#include <errno.h>
#include <math.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_TOTALS = 100000,       /* so that a client cannot fill the server's memory */
    MOST_SLEEP_SECONDS = 86400, /* a call in hand is answered before the server stops */
    MOST_PARAMETERS = 2
};

/* ---- Echo, sleep, big, count ------------------------------------------------------------------
 */

enum shmrpc_status tool_fail(struct shmrpc_call *call, const char *type, const char *message)
{
    enum shmrpc_status status = shmrpc_call_fail(call, type, message);
    return status != SHMRPC_OK ? status : SHMRPC_INVALID;
}

/* The work is done also when the answer found no taker: the time-out concerns the response slot. */
enum shmrpc_status tool_completed(struct tool_service *service, enum shmrpc_status status)
{
    if (status == SHMRPC_OK || status == SHMRPC_TIMEOUT)
        service->completed++;
    return status;
}

static enum shmrpc_status echo(struct shmrpc_call *call, struct tool_service *service)
{
    struct shmrpc_value message;
    enum shmrpc_status status = shmrpc_call_param(call, "message", &message);
    if (status != SHMRPC_OK)
        return status;
    return tool_completed(service, shmrpc_call_answer_json(call, message.text, message.length));
}

static void sleep_seconds(double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    double whole = floor(seconds);
    until.tv_sec += (time_t)whole;
    until.tv_nsec += (long)((seconds - whole) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}

static enum shmrpc_status sleep_method(struct shmrpc_call *call, struct tool_service *service)
{
    struct tool_number seconds;
    enum shmrpc_status status = tool_number_param(call, "seconds", &seconds);
    if (status != SHMRPC_OK)
        return status;
    if (seconds.real < 0)
        return tool_fail(call, "ValueError", "sleep length must be non-negative");
    if (seconds.real > MOST_SLEEP_SECONDS)
        return tool_fail(call, "ValueError", "sleep length must be at most 86400 seconds");
    sleep_seconds(seconds.real);
    return tool_completed(service, shmrpc_call_answer_null(call));
}

static enum shmrpc_status big(struct shmrpc_call *call, struct tool_service *service)
{
    (void)service;
    uint64_t wanted;
    enum shmrpc_status status = shmrpc_call_uint64(call, "n", &wanted);
    if (status != SHMRPC_OK)
        return status;
    /* What cannot fit is too large whatever its size, and needs no memory to say so. */
    size_t n = wanted > shmrpc_call_capacity(call) ? shmrpc_call_capacity(call) : (size_t)wanted;
    char *text = malloc(n + 1);
    if (text == NULL)
        return tool_fail(call, "MemoryError", "no memory for the string");
    memset(text, 'x', n);
    status = shmrpc_call_answer_string(call, text, n);
    free(text);
    return status;
}

static enum shmrpc_status count(struct shmrpc_call *call, struct tool_service *service)
{
    return shmrpc_call_answer_uint64(call, service->completed);
}

/* ---- Failures on demand -----------------------------------------------------------------------
 */

/* A string parameter as a C string, which shmrpc_call_fail() takes. The caller frees it. */
static enum shmrpc_status c_string(struct shmrpc_call *call, const char *name, char **out)
{
    const char *data;
    size_t length;
    enum shmrpc_status status = shmrpc_call_string(call, name, &data, &length);
    if (status != SHMRPC_OK)
        return status;
    if (memchr(data, '\0', length) != NULL)
        return tool_fail(call, "ValueError", "embedded null character");
    *out = strndup(data, length);
    return *out != NULL ? SHMRPC_OK : SHMRPC_SYSTEM;
}

static enum shmrpc_status fail(struct shmrpc_call *call, struct tool_service *service)
{
    (void)service;
    char *type = NULL;
    char *message = NULL;
    enum shmrpc_status status = c_string(call, "type", &type);
    if (status == SHMRPC_OK)
        status = c_string(call, "message", &message);
    if (status == SHMRPC_OK)
        status = tool_fail(call, type, message);
    free(type);
    free(message);
    return status;
}

static enum shmrpc_status unserialisable(struct shmrpc_call *call, struct tool_service *service)
{
    (void)service;
    return shmrpc_call_answer_json(call, "NaN", strlen("NaN"));
}

/* Not exit(3): the process is to vanish in the handler with everything left as it stands. */
static enum shmrpc_status exit_method(struct shmrpc_call *call, struct tool_service *service)
{
    (void)service;
    int64_t code;
    enum shmrpc_status status = shmrpc_call_int64(call, "code", &code);
    if (status != SHMRPC_OK)
        return status;
    if (code < 0 || code > 255)
        return tool_fail(call, "ValueError", "code must be in range(0, 256)");
    _exit((int)code);
}

/* ---- The accumulator --------------------------------------------------------------------------
 */

struct total {
    double sum;
    size_t length;
    char client_id[]; /* length bytes; U+0000 may be inside */
};

static int compare_totals(const void *left, const void *right)
{
    const struct total *a = left;
    const struct total *b = right;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return memcmp(a->client_id, b->client_id, a->length);
}

/* A total of the call's client_id that is in no tree yet. The caller frees it. */
static enum shmrpc_status new_total(struct shmrpc_call *call, struct total **out)
{
    const char *data;
    size_t length;
    enum shmrpc_status status = shmrpc_call_string(call, "client_id", &data, &length);
    if (status != SHMRPC_OK)
        return status;
    struct total *total = malloc(sizeof *total + length);
    if (total == NULL)
        return SHMRPC_SYSTEM;
    total->sum = 0;
    total->length = length;
    if (length > 0)
        memcpy(total->client_id, data, length);
    *out = total;
    return SHMRPC_OK;
}

static enum shmrpc_status accumulate(struct shmrpc_call *call, struct tool_service *service)
{
    struct tool_number val;
    struct total *total = NULL;
    enum shmrpc_status status = tool_number_param(call, "val", &val);
    if (status == SHMRPC_OK)
        status = new_total(call, &total);
    if (status != SHMRPC_OK)
        return status;
    struct total **found = tfind(total, &service->totals, compare_totals);
    bool is_new = found == NULL && service->total_count < MOST_TOTALS;
    if (is_new)
        found = tsearch(total, &service->totals, compare_totals);
    if (is_new && found != NULL)
        service->total_count++;
    else
        free(total);
    if (found == NULL)
        return tool_fail(call, "MemoryError", "there are too many totals; clear some");
    double sum = (*found)->sum + val.real;
    if (isfinite(sum))
        (*found)->sum = sum;
    return tool_answer_real(call, sum);
}

static enum shmrpc_status clear(struct shmrpc_call *call, struct tool_service *service)
{
    struct total *key = NULL;
    enum shmrpc_status status = new_total(call, &key);
    if (status != SHMRPC_OK)
        return status;
    struct total **found = tfind(key, &service->totals, compare_totals);
    if (found == NULL) {
        char text[128];
        snprintf(text, sizeof text, "'%.*s'", (int)(key->length < 100 ? key->length : 100),
                 key->client_id);
        status = tool_fail(call, "KeyError", text);
    } else {
        struct total *total = *found;
        tdelete(key, &service->totals, compare_totals);
        free(total);
        service->total_count--;
        status = shmrpc_call_answer_null(call);
    }
    free(key);
    return status;
}

void tool_service_free(struct tool_service *service)
{
    tdestroy(service->totals, free);
    service->totals = NULL;
    service->total_count = 0;
}

/* ---- The table --------------------------------------------------------------------------------
 */

struct method {
    const char *name;
    enum shmrpc_status (*run)(struct shmrpc_call *call, struct tool_service *service);
    const char *parameters[MOST_PARAMETERS];
    bool only_for_tests;
};

static const struct method methods[] = {
    {"echo", echo, {"message"}, false},
    {"add", tool_add, {"a", "b"}, false},
    {"subtract", tool_subtract, {"a", "b"}, false},
    {"multiply", tool_multiply, {"a", "b"}, false},
    {"divide", tool_divide, {"a", "b"}, false},
    {"power", tool_power, {"base", "exponent"}, false},
    {"sqrt", tool_sqrt, {"x"}, false},
    {"accumulate", accumulate, {"client_id", "val"}, false},
    {"clear", clear, {"client_id"}, false},
    {"sleep", sleep_method, {"seconds"}, false},
    {"big", big, {"n"}, false},
    {"fail", fail, {"type", "message"}, false},
    {"count", count, {NULL}, false},
    {"unserialisable", unserialisable, {NULL}, true},
    {"exit", exit_method, {"code"}, true},
};

static enum shmrpc_status handle(struct shmrpc_call *call, void *user)
{
    const char *name = shmrpc_call_method(call);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(methods[i].name, name) != 0)
            continue;
        size_t parameters = 0;
        while (parameters < MOST_PARAMETERS && methods[i].parameters[parameters] != NULL)
            parameters++;
        enum shmrpc_status status = shmrpc_call_expect(call, methods[i].parameters, parameters);
        return status != SHMRPC_OK ? status : methods[i].run(call, user);
    }
    return tool_fail(call, "RPCError", "the method is registered but not in the table");
}

enum shmrpc_status tool_methods_register(struct shmrpc_server *server, struct tool_service *service,
                                         bool test_methods)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (methods[i].only_for_tests && !test_methods)
            continue;
        enum shmrpc_status status =
            shmrpc_server_register(server, methods[i].name, handle, service);
        if (status != SHMRPC_OK)
            return status;
    }
    return SHMRPC_OK;
}

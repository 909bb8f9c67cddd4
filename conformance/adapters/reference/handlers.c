/* SPDX-License-Identifier: MIT
 *
 * The handlers that every port serves for the kit.
 */
#include "adapter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum shmrpc_status echo(struct shmrpc_call *call, void *user)
{
    static const char *const names[] = {"message"};
    struct served *served = user;
    struct shmrpc_value message;
    enum shmrpc_status status = shmrpc_call_expect(call, names, 1);
    if (status == SHMRPC_OK)
        status = shmrpc_call_param(call, "message", &message);
    if (status == SHMRPC_OK)
        status = shmrpc_call_answer_json(call, message.text, message.length);
    served->effects++;
    return status;
}

static enum shmrpc_status add(struct shmrpc_call *call, void *user)
{
    static const char *const names[] = {"a", "b"};
    struct served *served = user;
    int64_t a, b, sum;
    enum shmrpc_status status = shmrpc_call_expect(call, names, 2);
    if (status == SHMRPC_OK)
        status = shmrpc_call_int64(call, "a", &a);
    if (status == SHMRPC_OK)
        status = shmrpc_call_int64(call, "b", &b);
    if (status != SHMRPC_OK)
        return status;
    served->effects++;
    if (__builtin_add_overflow(a, b, &sum))
        return shmrpc_call_fail(call, "OverflowError", "the sum has no 64-bit integer");
    return shmrpc_call_answer_int64(call, sum);
}

static enum shmrpc_status sleep_for(struct shmrpc_call *call, void *user)
{
    struct served *served = user;
    double seconds;
    enum shmrpc_status status = shmrpc_call_double(call, "seconds", &seconds);
    if (status != SHMRPC_OK)
        return status;
    struct timespec rest = {(time_t)seconds, (long)(fmod(seconds, 1.0) * 1e9)};
    while (nanosleep(&rest, &rest) != 0)
        ;
    served->effects++;
    return shmrpc_call_answer_null(call);
}

static enum shmrpc_status fail(struct shmrpc_call *call, void *user)
{
    const char *type, *message;
    size_t type_length, message_length;
    char text[128];
    (void)user;
    enum shmrpc_status status = shmrpc_call_string(call, "type", &type, &type_length);
    if (status != SHMRPC_OK)
        return status;
    if (type_length >= sizeof text)
        type_length = sizeof text - 1;
    memcpy(text, type, type_length);
    text[type_length] = '\0';
    status = shmrpc_call_string(call, "message", &message, &message_length);
    if (status != SHMRPC_OK)
        return status;
    char whole[65536];
    if (message_length >= sizeof whole)
        message_length = sizeof whole - 1;
    memcpy(whole, message, message_length);
    whole[message_length] = '\0';
    return shmrpc_call_fail(call, text, whole);
}

static enum shmrpc_status big(struct shmrpc_call *call, void *user)
{
    int64_t n;
    (void)user;
    enum shmrpc_status status = shmrpc_call_int64(call, "n", &n);
    if (status != SHMRPC_OK)
        return status;
    if (n < 0 || n > 1 << 28)
        return shmrpc_call_fail(call, "ValueError", "n is out of range");
    char *text = malloc((size_t)n + 1);
    if (text == NULL)
        return shmrpc_call_fail(call, "MemoryError", "no memory for n");
    memset(text, 'x', (size_t)n);
    status = shmrpc_call_answer_string(call, text, (size_t)n);
    free(text);
    return status;
}

static enum shmrpc_status count(struct shmrpc_call *call, void *user)
{
    const struct served *served = user;
    return shmrpc_call_answer_int64(call, served->effects);
}

static enum shmrpc_status unserialisable(struct shmrpc_call *call, void *user)
{
    (void)user;
    return shmrpc_call_answer_double(call, NAN);
}

static enum shmrpc_status exit_now(struct shmrpc_call *call, void *user)
{
    int64_t code;
    (void)user;
    enum shmrpc_status status = shmrpc_call_int64(call, "code", &code);
    if (status != SHMRPC_OK)
        return status;
    _exit((int)code);
}

enum shmrpc_status register_handlers(struct served *served)
{
    static const struct {
        const char *name;
        shmrpc_handler *handler;
    } all[] = {{"echo", echo},   {"add", add},     {"sleep", sleep_for},
               {"fail", fail},   {"big", big},     {"count", count},
               {"unserialisable", unserialisable}, {"exit", exit_now}};
    enum shmrpc_status status = SHMRPC_OK;
    for (size_t i = 0; i < sizeof all / sizeof all[0] && status == SHMRPC_OK; i++)
        status = shmrpc_server_register(served->server, all[i].name, all[i].handler, served);
    return status;
}

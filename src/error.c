/* SPDX-License-Identifier: MIT */
#include "error.h"
#include "check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* SRPC-ERR-001 */
static const struct {
    const char *name;
    const char *text;
} statuses[] = {
    [SHMRPC_OK] = {"ok", "Success."},
    [SHMRPC_TIMEOUT] = {"timeout", "The deadline passed."},
    [SHMRPC_NOT_FOUND] = {"not_found", "There is no such channel, parameter or member."},
    [SHMRPC_BUSY] = {"busy", "A living process holds the channel."},
    [SHMRPC_PEER_GONE_NOT_STARTED] = {"peer_gone_not_started",
                                      "The server is gone; the call has not run."},
    [SHMRPC_PEER_GONE_MAYBE_EXECUTED] = {"peer_gone_maybe_executed",
                                         "The server is gone; the call may have run."},
    [SHMRPC_PROTOCOL] = {"protocol", "The peer broke the protocol."},
    [SHMRPC_TOO_LARGE] = {"too_large", "The message does not fit the buffer."},
    [SHMRPC_SERIALIZATION] = {"serialization",
                              "The text is not valid JSON or not the value asked for."},
    [SHMRPC_METHOD_ERROR] = {"method_error", "The remote method failed."},
    [SHMRPC_SYSTEM] = {"system", "A system call failed."},
    [SHMRPC_INVALID] = {"invalid", "An argument or handle is not valid."},
};

static bool known(enum shmrpc_status status)
{
    return (unsigned)status < sizeof statuses / sizeof statuses[0];
}

const char *shmrpc_status_name(enum shmrpc_status status)
{
    return known(status) ? statuses[status].name : "unknown";
}

const char *shmrpc_status_text(enum shmrpc_status status)
{
    return known(status) ? statuses[status].text : "This status is not known.";
}

const char *shmrpc_version(void)
{
    return SHMRPC_VERSION;
}

/* SRPC-SEC-002: texts may quote names and remote bytes; one event stays one line whatever they hold.
 * The controls U+0080 to U+009F, which some terminals obey, are two bytes in UTF-8. */
static void make_one_line(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++) {
        if (*at < 0x20 || *at == 0x7f)
            *at = ' ';
        else if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
            at[0] = at[1] = ' ';
    }
}

static void fill(struct shmrpc_error *error, enum shmrpc_status status, int system_errno,
                 const char *format, va_list arguments)
{
    error->status = status;
    error->system_errno = system_errno;
    int length = vsnprintf(error->text, sizeof error->text, format, arguments);
    ENSURE(length >= 0);
    if (system_errno != 0 && (size_t)length < sizeof error->text)
        snprintf(error->text + length, sizeof error->text - (size_t)length, ": %s",
                 strerrordesc_np(system_errno) ? strerrordesc_np(system_errno) : "unknown errno");
    make_one_line(error->text);
}

enum shmrpc_status shmrpc_error_set(struct shmrpc_error *error, enum shmrpc_status status,
                                    const char *format, ...)
{
    REQUIRE(status != SHMRPC_OK);
    REQUIRE(format != NULL);
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        fill(error, status, 0, format, arguments);
        va_end(arguments);
    }
    return status;
}

enum shmrpc_status shmrpc_error_system(struct shmrpc_error *error, const char *format, ...)
{
    int saved = errno;
    REQUIRE(format != NULL);
    REQUIRE(saved != 0);
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        fill(error, SHMRPC_SYSTEM, saved, format, arguments);
        va_end(arguments);
    }
    errno = saved;
    return SHMRPC_SYSTEM;
}

void shmrpc_error_clear(struct shmrpc_error *error)
{
    REQUIRE(error != NULL);
    error->status = SHMRPC_OK;
    error->system_errno = 0;
    error->text[0] = '\0';
}

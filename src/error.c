/* SPDX-License-Identifier: MIT */
#include "error.h"
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct words {
    const char *name;
    const char *text;
};

/* SRPC-ERR-001 */
static const struct words statuses[] = {
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
_Static_assert(sizeof statuses / sizeof statuses[0] == SHMRPC_INVALID + 1,
               "words for every status");

static const struct words *words_for(enum shmrpc_status status)
{
    static const struct words unknown = {"unknown", "This status is not known."};
    const struct words *words = (unsigned)status <= SHMRPC_INVALID ? &statuses[status] : &unknown;
    ENSURE(words->name != NULL);
    ENSURE(words->text != NULL);
    return words;
}

const char *shmrpc_status_name(enum shmrpc_status status)
{
    return words_for(status)->name;
}

const char *shmrpc_status_text(enum shmrpc_status status)
{
    return words_for(status)->text;
}

const char *shmrpc_version(void)
{
    _Static_assert(sizeof SHMRPC_VERSION >= sizeof "0.0.0", "three numbers");
    return SHMRPC_VERSION;
}

/* Where a text would have to end so as not to end inside a character of UTF-8. */
static size_t whole_characters(const char *text, size_t length)
{
    REQUIRE(text != NULL);
    REQUIRE(length > 3);
    size_t behind = 0; /* continuation bytes at the end */
    while (behind < 3 && (text[length - 1 - behind] & 0xc0) == 0x80)
        behind++;
    unsigned char first = (unsigned char)text[length - 1 - behind];
    size_t wanted = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    size_t whole = behind < wanted ? length - 1 - behind : length;
    ENSURE(whole <= length);
    ENSURE(length - whole <= 3);
    return whole;
}

/* SRPC-SEC-002: texts may quote names and remote bytes; one event stays one line whatever they
 * hold. The controls U+0080 to U+009F, which some terminals obey, are two bytes in UTF-8. */
static void make_one_line(char *text)
{
    REQUIRE(text != NULL);
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++) {
        if (*at < 0x20 || *at == 0x7f)
            *at = ' ';
        else if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
            at[0] = at[1] = ' ';
    }
}

void shmrpc_error_fill(struct shmrpc_error *error, enum shmrpc_status status, int system_errno,
                       const char *format, va_list arguments)
{
    REQUIRE(error != NULL);
    REQUIRE(format != NULL);
    REQUIRE(status != SHMRPC_OK);
    REQUIRE(system_errno == 0 || status == SHMRPC_SYSTEM);
    const size_t room = sizeof error->text;
    error->status = status;
    error->system_errno = system_errno;
    int printed = vsnprintf(error->text, room, format, arguments);
    ENSURE(printed >= 0);
    if (system_errno != 0 && (size_t)printed < room)
        snprintf(error->text + printed, room - (size_t)printed, ": %s",
                 strerrordesc_np(system_errno) ? strerrordesc_np(system_errno) : "unknown errno");
    size_t length = strlen(error->text);
    ENSURE(length < room);
    if (length == room - 1)
        error->text[whole_characters(error->text, length)] = '\0';
    make_one_line(error->text);
}

enum shmrpc_status shmrpc_error_set(struct shmrpc_error *error, enum shmrpc_status status,
                                    const char *format, ...)
{
    REQUIRE(status != SHMRPC_OK);
    REQUIRE((unsigned)status <= SHMRPC_INVALID);
    REQUIRE(format != NULL);
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        shmrpc_error_fill(error, status, 0, format, arguments);
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
        shmrpc_error_fill(error, SHMRPC_SYSTEM, saved, format, arguments);
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

/* SPDX-License-Identifier: MIT */
#include "watch.h"
#include "check.h"
#include "error.h"

#include <stdarg.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)

void shmrpc_watch_log(const struct shmrpc_keeper *keeper, const char *format, ...)
{
    REQUIRE(keeper != NULL);
    REQUIRE(format != NULL);
    if (keeper->log == NULL)
        return;
    struct shmrpc_error line;
    va_list arguments;
    va_start(arguments, format);
    /* SRPC-SEC-002: the same cleaning as for error texts. */
    shmrpc_error_fill(&line, SHMRPC_PROTOCOL, 0, format, arguments);
    va_end(arguments);
    keeper->log(keeper->log_user, line.text);
}

/* SRPC-RECOVER-007: with the lease no client holds the response segment, whether it takes the
 * client lock or, like the original's, takes none; and none can come in before the repair is done.
 */
static void repair(struct shmrpc_keeper *keeper)
{
    struct shmrpc_channel *channel = keeper->channel;
    REQUIRE(channel->side == SHMRPC_SIDE_SERVER);
    REQUIRE(!channel->inside);
    const char *done = NULL;
    /* A child forked meanwhile would hold the segment, too. */
    shmrpc_fork_block();
    if (shmrpc_channel_lock_clients_out(channel)) {
        done = shmrpc_channel_repair(channel, &keeper->values);
        shmrpc_channel_let_clients_in(channel);
    }
    shmrpc_fork_unblock();
    if (done != NULL)
        shmrpc_watch_log(keeper, "%s: %s", channel->name, done);
}

/* SRPC-RECOVER-012: suspicion, then proof, within a second of idling. */
static void look_at_slots(struct shmrpc_keeper *keeper, int64_t now)
{
    REQUIRE(now >= 0);
    REQUIRE(now >= keeper->since_ns);
    struct shmrpc_channel_values values = shmrpc_channel_values(keeper->channel);
    /* SRPC-SEM-007: also where nobody takes it, and so nobody meets it. */
    for (size_t i = 0; i < sizeof values.value / sizeof *values.value; i++)
        keeper->channel->broken = keeper->channel->broken || values.value[i] > 1;
    if (!shmrpc_channel_suspicious(&values)) {
        keeper->since_ns = 0;
    } else if (keeper->since_ns == 0 || memcmp(&values, &keeper->values, sizeof values) != 0) {
        keeper->values = values;
        keeper->since_ns = now;
    } else if (now - keeper->since_ns >= SHMRPC_SLICE_MS * NS_PER_MS) {
        keeper->since_ns = now;
        repair(keeper);
    }
}

enum shmrpc_status shmrpc_watch_channel(void *context)
{
    struct shmrpc_keeper *keeper = context;
    REQUIRE(keeper != NULL);
    REQUIRE(keeper->channel != NULL);
    INVARIANT(shmrpc_channel_check(keeper->channel));
    int64_t now = shmrpc_now_ns();
    if (now - keeper->looked_ns < SHMRPC_RETRY_MS * NS_PER_MS)
        return SHMRPC_OK;
    keeper->looked_ns = now;
    if (shmrpc_channel_truncated(keeper->channel)) {
        keeper->channel->broken = true;
        return shmrpc_error_set(keeper->error, SHMRPC_PROTOCOL,
                                "an object of the channel \"%s\" was truncated",
                                keeper->channel->name);
    }
    /* SRPC-LIFE-006 */
    if (!shmrpc_channel_names_held(keeper->channel))
        return shmrpc_error_set(keeper->error, SHMRPC_NOT_FOUND,
                                "the names of the channel \"%s\" were removed or replaced",
                                keeper->channel->name);
    look_at_slots(keeper, now);
    /* What is to be repaired may turn out to be no semaphore any more. */
    return keeper->channel->broken ? SHMRPC_PROTOCOL : SHMRPC_OK;
}

enum shmrpc_status shmrpc_watch_server(void *context)
{
    struct shmrpc_channel *channel = context;
    REQUIRE(channel != NULL);
    INVARIANT(shmrpc_channel_check(channel));
    REQUIRE(channel->side == SHMRPC_SIDE_CLIENT);
    if (shmrpc_channel_truncated(channel)) {
        channel->broken = true;
        return SHMRPC_PROTOCOL;
    }
    /* SRPC-RECOVER-002 */
    return shmrpc_channel_server_dead(channel) ? SHMRPC_PEER_GONE_MAYBE_EXECUTED : SHMRPC_OK;
}

enum shmrpc_status shmrpc_watch_check_options(const char *name,
                                              const struct shmrpc_client_options *options,
                                              struct shmrpc_error *error)
{
    REQUIRE(options != NULL);
    REQUIRE(name != NULL);
    /* SRPC-TIME-005 */
    if (!shmrpc_time_valid(options->timeout_ms) || !shmrpc_time_valid(options->wait_busy_ms) ||
        !shmrpc_time_valid(options->wait_for_server_ms))
        return shmrpc_error_set(error, SHMRPC_INVALID, "a time is negative");
    return shmrpc_channel_check_options(name, options->buffer_bytes, SHMRPC_LENGTH_WORD_BYTES + 1,
                                        options->wait, error);
}

/* How long after the start of an attach a refusal of this kind is worth another try, and after
 * which pause. TIMEOUT stands for slots that the server has yet to repair: meanwhile this client
 * must be gone for long enough that the server finds itself alone. */
static bool worth_another_try(enum shmrpc_status status,
                              const struct shmrpc_client_options *options, int64_t waited_ms,
                              int *pause_ms)
{
    REQUIRE(waited_ms >= 0);
    int patience_ms = options->wait_busy_ms;
    int least_ms;
    *pause_ms = SHMRPC_RETRY_MS;
    switch (status) {
    case SHMRPC_NOT_FOUND:
        patience_ms = least_ms = options->wait_for_server_ms;
        break;
    case SHMRPC_BUSY:
        /* A repairing server keeps clients out for a moment. */
        least_ms = SHMRPC_CLOSING_GRACE_MS;
        break;
    case SHMRPC_TIMEOUT:
        least_ms = SHMRPC_ATTACH_PATIENCE_MS;
        *pause_ms = 3 * SHMRPC_SLICE_MS;
        break;
    default:
        return false;
    }
    ENSURE(shmrpc_time_valid(patience_ms));
    return patience_ms == SHMRPC_FOREVER || waited_ms < patience_ms || waited_ms < least_ms;
}

enum shmrpc_status shmrpc_watch_attach(const char *name,
                                       const struct shmrpc_client_options *options,
                                       struct shmrpc_channel **channel, struct shmrpc_error *error)
{
    REQUIRE(options != NULL);
    REQUIRE(channel != NULL);
    int64_t start = shmrpc_now_ns();
    for (;;) {
        enum shmrpc_status status =
            shmrpc_channel_attach(name, options->buffer_bytes, options->wait, channel, error);
        int pause_ms;
        if (status == SHMRPC_OK) {
            ENSURE((*channel)->complete);
            return SHMRPC_OK;
        }
        /* SRPC-ATTACH-001, SRPC-ATTACH-008, SRPC-ATTACH-009, SRPC-ATTACH-011 */
        if (!worth_another_try(status, options, (shmrpc_now_ns() - start) / NS_PER_MS, &pause_ms)) {
            if (status == SHMRPC_TIMEOUT && error != NULL)
                error->status = SHMRPC_BUSY;
            return status == SHMRPC_TIMEOUT ? SHMRPC_BUSY : status;
        }
        shmrpc_sleep_ms(pause_ms);
    }
}

/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <stdio.h>
#include <string.h>

static void keep_line(void *user, const char *line)
{
    struct world *world = user;
    size_t length = strlen(world->log);
    snprintf(world->log + length, sizeof world->log - length, "%s\n", line);
}

void world_start(struct world *world, const char *what, size_t buffer_bytes, int timeout_ms)
{
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    options.buffer_bytes = buffer_bytes;
    options.timeout_ms = timeout_ms;
    options.log = keep_line;
    options.log_user = world;
    memset(world, 0, sizeof *world);
    world->descriptors = count_descriptors();
    world->name = raw_name(what);
    assert_int_equal(shmrpc_server_create(world->name, &options, &world->server), SHMRPC_OK);
    raw_open(&world->raw, world->name);
}

void world_finish(struct world *world)
{
    raw_close(&world->raw);
    shmrpc_server_close(&world->server);
    assert_null(world->server);
    assert_int_equal(raw_count(world->name), 0);
    assert_int_equal(count_descriptors(), world->descriptors);
}

const char *world_exchange_bytes(struct world *world, const char *request, size_t length)
{
    assert_true(raw_send(&world->raw, RAW_REQ, request, length, 0));
    assert_int_equal(shmrpc_server_step(world->server, 0), SHMRPC_OK);
    return raw_receive(&world->raw, RAW_RESP, 0);
}

const char *world_exchange(struct world *world, const char *request)
{
    return world_exchange_bytes(world, request, strlen(request));
}

void world_assert_serves(struct world *world)
{
    assert_string_equal(
        world_exchange(world, "{\"request_id\":\"s\",\"method\":\"__running__\",\"params\":{}}"),
        "{\"request_id\":\"s\",\"result\":true,\"error\":null}");
    assert_raw_values(&world->raw, 1, 0, 1, 0);
}

const char *world_call(struct world *world, const char *method, const char *params)
{
    static char request[1 << 16];
    int length = snprintf(request, sizeof request,
                          "{\"request_id\":\"i\",\"method\":\"%s\",\"params\":%s}", method, params);
    assert_true(length > 0 && (size_t)length < sizeof request);
    return world_exchange_bytes(world, request, (size_t)length);
}

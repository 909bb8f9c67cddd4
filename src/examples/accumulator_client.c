/* SPDX-License-Identifier: MIT
 *
 * Adds up numbers on an accumulator server, for two clients whose totals are separate.
 */
#include <shmrpc.h>

#include <stdio.h>
#include <string.h>

static bool accumulate(struct shmrpc_client *client, const char *id, double val)
{
    struct shmrpc_param params[] = {shmrpc_param_string("client_id", id, strlen(id)),
                                    shmrpc_param_double("val", val)};
    struct shmrpc_value result;
    double total;
    if (shmrpc_client_call(client, "accumulate", params, 2, &result) ||
        shmrpc_value_double(&result, &total)) {
        fprintf(stderr, "accumulate: %s\n", shmrpc_client_error(client));
        return false;
    }
    printf("%s + %g = %g\n", id, val, total);
    return true;
}

static bool clear(struct shmrpc_client *client, const char *id)
{
    struct shmrpc_param params[] = {shmrpc_param_string("client_id", id, strlen(id))};
    if (shmrpc_client_call(client, "clear", params, 1, NULL)) {
        fprintf(stderr, "clear: %s\n", shmrpc_client_error(client));
        return false;
    }
    printf("%s cleared\n", id);
    return true;
}

int main(int argc, char **argv)
{
    struct shmrpc_error error;
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    options.wait_for_server_ms = 2000;
    options.error = &error;
    struct shmrpc_client *client;
    if (shmrpc_client_open(argc > 1 ? argv[1] : "acc", &options, &client)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    bool fine = accumulate(client, "alice", 10) && accumulate(client, "alice", 5) &&
                accumulate(client, "bob", 7.5) && accumulate(client, "alice", 3) &&
                clear(client, "alice") && accumulate(client, "alice", 1.25) &&
                accumulate(client, "bob", 1) && clear(client, "alice") && clear(client, "bob");
    shmrpc_client_close(&client);
    return fine ? 0 : 1;
}

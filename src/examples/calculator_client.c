/* SPDX-License-Identifier: MIT
 *
 * Calls a calculator server: this example's, "shmrpc serve" or the Python package's own.
 */
#include <shmrpc.h>

#include <stdio.h>

/* @return false if the call failed for another reason than the method's own. */
static bool calculate(struct shmrpc_client *client, const char *method, double a, double b)
{
    struct shmrpc_param params[] = {shmrpc_param_double("a", a), shmrpc_param_double("b", b)};
    struct shmrpc_value result;
    double number;
    enum shmrpc_status status = shmrpc_client_call(client, method, params, 2, &result);
    if (!status && !shmrpc_value_double(&result, &number))
        printf("%s(%g, %g) = %g\n", method, a, b, number);
    else if (status == SHMRPC_METHOD_ERROR)
        printf("%s(%g, %g): %s\n", method, a, b, shmrpc_client_error(client));
    else
        fprintf(stderr, "%s: %s\n", shmrpc_status_name(status), shmrpc_client_error(client));
    return !status || status == SHMRPC_METHOD_ERROR;
}

int main(int argc, char **argv)
{
    struct shmrpc_error error;
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    options.wait_for_server_ms = 2000;
    options.error = &error;
    struct shmrpc_client *client;
    if (shmrpc_client_open(argc > 1 ? argv[1] : "calc", &options, &client)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    bool fine = calculate(client, "add", 5, 3) && calculate(client, "subtract", 20, 8) &&
                calculate(client, "multiply", 2.5, 4) && calculate(client, "divide", 22, 7) &&
                calculate(client, "divide", 1, 0);
    shmrpc_client_close(&client);
    return fine ? 0 : 1;
}

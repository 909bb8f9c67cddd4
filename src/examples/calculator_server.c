/* SPDX-License-Identifier: MIT
 *
 * A calculator that other processes call over shared memory. Stop it with Ctrl-C.
 */
#include <shmrpc.h>

#include <signal.h>
#include <stdio.h>

static struct shmrpc_server *server;

static void stop(int number)
{
    (void)number;
    shmrpc_server_stop(server);
}

/* One handler for four methods: user points to the operator. */
static enum shmrpc_status calculate(struct shmrpc_call *call, void *user)
{
    const char *const names[] = {"a", "b"};
    double a, b;
    enum shmrpc_status status = shmrpc_call_expect(call, names, 2);
    if (status || (status = shmrpc_call_double(call, "a", &a)) ||
        (status = shmrpc_call_double(call, "b", &b)))
        return status; /* the caller is told what was wrong */
    switch (*(const char *)user) {
    case '+':
        return shmrpc_call_answer_double(call, a + b);
    case '-':
        return shmrpc_call_answer_double(call, a - b);
    case '*':
        return shmrpc_call_answer_double(call, a * b);
    default:
        if (b == 0)
            return shmrpc_call_fail(call, "ValueError", "Cannot divide by zero");
        return shmrpc_call_answer_double(call, a / b);
    }
}

int main(int argc, char **argv)
{
    static char operators[] = "+-*/";
    static const char *const names[] = {"add", "subtract", "multiply", "divide"};
    struct shmrpc_error error;
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    options.error = &error;
    if (shmrpc_server_create(argc > 1 ? argv[1] : "calc", &options, &server)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    enum shmrpc_status status = SHMRPC_OK;
    for (int i = 0; i < 4 && !status; i++)
        status = shmrpc_server_register(server, names[i], calculate, &operators[i]);
    if (!status)
        status = shmrpc_server_run(server);
    if (status)
        fprintf(stderr, "%s\n", shmrpc_server_error(server));
    signal(SIGINT, SIG_DFL); /* the handler must not see a closed server */
    signal(SIGTERM, SIG_DFL);
    shmrpc_server_close(&server);
    return status != SHMRPC_OK;
}

/* SPDX-License-Identifier: MIT
 *
 * The verbs of both roles. A server is created and closed by the thread that reads the verbs and runs in
 * a thread of its own between the two.
 */
#include "adapter.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct served *servers[HANDLES_MAX];
struct shmrpc_client *clients[HANDLES_MAX];
struct pending_call *calls[HANDLES_MAX];

static enum shmrpc_wait wait_policy(void)
{
    const char *text = getenv("SHMRPC_KIT_WAIT");
    if (text != NULL && strcmp(text, "block") == 0)
        return SHMRPC_WAIT_BLOCK;
    return text != NULL && strcmp(text, "spin") == 0 ? SHMRPC_WAIT_SPIN : SHMRPC_WAIT_ADAPTIVE;
}

static const char *member(const cJSON *verb, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(verb, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static int free_handle(void *const *table)
{
    for (int i = 1; i < HANDLES_MAX; i++)
        if (table[i] == NULL)
            return i;
    fprintf(stderr, "no handle is left\n");
    exit(1);
}

/* "c12" -> 12, or 0 for what is no handle of this kind in use. */
static int handle_index(const cJSON *verb, const char *key, char kind, void *const *table)
{
    const char *text = member(verb, key);
    long index = text != NULL && text[0] == kind ? strtol(text + 1, NULL, 10) : 0;
    return index > 0 && index < HANDLES_MAX && table[index] != NULL ? (int)index : 0;
}

static cJSON *reply_handle(const char *key, char kind, int index)
{
    char text[32];
    cJSON *reply = reply_ok();
    snprintf(text, sizeof text, "%c%d", kind, index);
    cJSON_AddStringToObject(reply_ok_body(reply), key, text);
    return reply;
}

/* Numbers come as text and may lie outside of what an int holds; the library must refuse them, so what
 * does not fit becomes a value that is out of its range too. */
static int milliseconds(const cJSON *verb, const char *key)
{
    const char *text = member(verb, key);
    long long value = text != NULL ? strtoll(text, NULL, 10) : 0;
    if (value > 2147483647LL || value < -2147483647LL)
        return -2147483647;
    return (int)value;
}

static size_t bytes_wanted(const cJSON *verb)
{
    const char *text = member(verb, "buffer_bytes");
    return text != NULL ? (size_t)strtoull(text, NULL, 10) : 0;
}

/* A C string ends at its first NUL, so a name with one inside is not a name that can be asked for. */
static char *name_of(const cJSON *verb, cJSON **refusal)
{
    size_t length;
    char *name = bytes_of(member(verb, "name"), &length);
    *refusal = NULL;
    if (strlen(name) != length)
        *refusal = reply_error(SHMRPC_INVALID, "the name holds a NUL");
    return name;
}

static void *serve(void *user)
{
    struct served *served = user;
    fault_begin("serve");
    served->ended = shmrpc_server_run(served->server);
    fault_end();
    if (served->ended != SHMRPC_OK)
        fprintf(stderr, "serving ended: %s\n", shmrpc_server_error(served->server));
    return NULL;
}

static void log_line(void *user, const char *line)
{
    (void)user;
    fprintf(stderr, "server: %s\n", line);
}

cJSON *verb_server_start(const cJSON *verb)
{
    cJSON *refusal;
    char *name = name_of(verb, &refusal);
    struct shmrpc_error error = {0};
    struct shmrpc_server_options options = SHMRPC_SERVER_OPTIONS_INIT;
    struct served *served = calloc(1, sizeof *served);
    if (served == NULL)
        abort();
    options.buffer_bytes = bytes_wanted(verb);
    options.timeout_ms = milliseconds(verb, "timeout_ms");
    options.wait = wait_policy();
    options.log = log_line;
    options.error = &error;
    enum shmrpc_status status = SHMRPC_INVALID;
    if (refusal == NULL) {
        fault_begin("server.start");
        status = shmrpc_server_create(name, &options, &served->server);
        if (status == SHMRPC_OK && (status = register_handlers(served)) != SHMRPC_OK) {
            snprintf(error.text, sizeof error.text, "%s", shmrpc_server_error(served->server));
            shmrpc_server_close(&served->server);
        }
        fault_end();
    }
    free(name);
    if (status == SHMRPC_OK &&
        pthread_create(&served->thread, NULL, serve, served) != 0) {
        shmrpc_server_close(&served->server);
        snprintf(error.text, sizeof error.text, "no thread for the server");
        status = SHMRPC_SYSTEM;
    }
    if (status != SHMRPC_OK) {
        free(served);
        return refusal != NULL ? refusal : reply_error(status, error.text);
    }
    int index = free_handle((void *const *)servers);
    servers[index] = served;
    return reply_handle("handle", 's', index);
}

static enum shmrpc_status end_server(int index)
{
    struct served *served = servers[index];
    shmrpc_server_stop(served->server);
    pthread_join(served->thread, NULL);
    enum shmrpc_status ended = served->ended;
    shmrpc_server_close(&served->server);
    servers[index] = NULL;
    free(served);
    return ended;
}

cJSON *verb_server_stop(const cJSON *verb)
{
    int index = handle_index(verb, "handle", 's', (void *const *)servers);
    if (index == 0)
        return reply_error(SHMRPC_INVALID, "no such server");
    enum shmrpc_status ended = end_server(index);
    cJSON *reply = reply_ok();
    if (ended != SHMRPC_OK)
        cJSON_AddStringToObject(reply_ok_body(reply), "class", shmrpc_status_name(ended));
    return reply;
}

void stop_all_servers(void)
{
    for (int i = 1; i < HANDLES_MAX; i++)
        if (servers[i] != NULL)
            shmrpc_server_stop(servers[i]->server);
}

void close_all_servers(void)
{
    for (int i = 1; i < HANDLES_MAX; i++)
        if (servers[i] != NULL)
            end_server(i);
}

cJSON *verb_client_open(const cJSON *verb)
{
    cJSON *refusal;
    char *name = name_of(verb, &refusal);
    struct shmrpc_error error = {0};
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct shmrpc_client *client = NULL;
    options.buffer_bytes = bytes_wanted(verb);
    options.timeout_ms = milliseconds(verb, "timeout_ms");
    options.wait_for_server_ms = milliseconds(verb, "wait_for_server_ms");
    options.wait_busy_ms = milliseconds(verb, "wait_busy_ms");
    options.wait = wait_policy();
    options.error = &error;
    if (refusal != NULL) {
        free(name);
        return refusal;
    }
    fault_begin("client.open");
    enum shmrpc_status status = shmrpc_client_open(name, &options, &client);
    fault_end();
    free(name);
    if (status != SHMRPC_OK)
        return reply_error(status, error.text);
    int index = free_handle((void *const *)clients);
    clients[index] = client;
    cJSON *reply = reply_handle("handle", 'c', index);
    char text[32];
    snprintf(text, sizeof text, "%zu", shmrpc_client_buffer_bytes(client));
    cJSON_AddStringToObject(reply_ok_body(reply), "buffer_bytes", text);
    return reply;
}

static cJSON *call_failed(struct shmrpc_client *client, enum shmrpc_status status)
{
    cJSON *reply = reply_error(status, shmrpc_client_error(client));
    cJSON *body = cJSON_GetObjectItemCaseSensitive(reply, "rpc_error");
    if (status == SHMRPC_METHOD_ERROR) {
        const char *data;
        size_t length;
        shmrpc_client_method_error(client, &data, &length);
        char *hex = hex_of(data, length);
        cJSON_AddStringToObject(body, "text_hex", hex);
        free(hex);
    }
    cJSON_AddStringToObject(body, "maybe_executed",
                            shmrpc_client_maybe_executed(client) ? "true" : "false");
    return reply;
}

static cJSON *do_call(struct shmrpc_client *client, const char *method, const char *params,
                      size_t length)
{
    struct shmrpc_value result;
    fault_begin("client.call");
    enum shmrpc_status status = shmrpc_client_call_json(client, method, params, length, &result);
    fault_end();
    if (status != SHMRPC_OK)
        return call_failed(client, status);
    cJSON *reply = reply_ok();
    char *hex = hex_of(result.text, result.length);
    cJSON_AddStringToObject(reply_ok_body(reply), "result", hex);
    free(hex);
    return reply;
}

cJSON *verb_client_call(const cJSON *verb)
{
    int index = handle_index(verb, "handle", 'c', (void *const *)clients);
    if (index == 0)
        return reply_error(SHMRPC_INVALID, "no such client");
    size_t method_length, length;
    char *method = bytes_of(member(verb, "method"), &method_length);
    char *params = bytes_of(member(verb, "params"), &length);
    cJSON *reply = do_call(clients[index], method, params, length);
    free(method);
    free(params);
    return reply;
}

static void *run_call(void *user)
{
    struct pending_call *call = user;
    call->reply = do_call(call->client, call->method, call->params, call->length);
    return NULL;
}

cJSON *verb_client_call_async(const cJSON *verb)
{
    int index = handle_index(verb, "handle", 'c', (void *const *)clients);
    if (index == 0)
        return reply_error(SHMRPC_INVALID, "no such client");
    struct pending_call *call = calloc(1, sizeof *call);
    size_t method_length;
    if (call == NULL)
        abort();
    call->client = clients[index];
    call->method = bytes_of(member(verb, "method"), &method_length);
    call->params = bytes_of(member(verb, "params"), &call->length);
    if (pthread_create(&call->thread, NULL, run_call, call) != 0)
        return reply_error(SHMRPC_SYSTEM, "no thread for the call");
    int at = free_handle((void *const *)calls);
    calls[at] = call;
    return reply_handle("call", 'a', at);
}

cJSON *verb_client_wait(const cJSON *verb)
{
    int index = handle_index(verb, "call", 'a', (void *const *)calls);
    if (index == 0)
        return reply_error(SHMRPC_INVALID, "no such call");
    struct pending_call *call = calls[index];
    pthread_join(call->thread, NULL);
    cJSON *reply = call->reply;
    calls[index] = NULL;
    free(call->method);
    free(call->params);
    free(call);
    return reply;
}

cJSON *verb_client_close(const cJSON *verb)
{
    int index = handle_index(verb, "handle", 'c', (void *const *)clients);
    if (index == 0)
        return reply_error(SHMRPC_INVALID, "no such client");
    shmrpc_client_close(&clients[index]);
    return reply_ok();
}

/* ---- fork ------------------------------------------------------------------------------------------------ */

static int in_child(const cJSON *verb, const char *what)
{
    int client = handle_index(verb, "handle", 'c', (void *const *)clients);
    int server = handle_index(verb, "handle", 's', (void *const *)servers);
    if (strcmp(what, "call") == 0 && client != 0)
        return (int)shmrpc_client_call_json(clients[client], "echo", "{\"message\":1}", 13, NULL);
    if (strcmp(what, "call") == 0 && server != 0)
        return (int)shmrpc_server_step(servers[server]->server, 0);
    if (strcmp(what, "close") == 0 && client != 0)
        shmrpc_client_close(&clients[client]);
    if (strcmp(what, "close") == 0 && server != 0)
        shmrpc_server_close(&servers[server]->server);
    return 0;
}

static _Noreturn void child(const cJSON *verb, const char *what, int there)
{
    /* The runner must not take this process for the adapter. */
    close(1);
    close(there); /* fork has returned here: what it does in a child is done */
    if (strcmp(what, "hold") == 0) {
        /* Outlives the adapter, not the runner: without a writer its input hangs up. */
        struct pollfd input = {0, 0, 0};
        while (poll(&input, 1, -1) < 0)
            ;
        _exit(0);
    }
    close(0);
    int code = in_child(verb, what);
    if (strcmp(what, "exit") == 0)
        exit(0); /* with everything that runs at exit */
    _exit(code);
}

cJSON *verb_fork(const cJSON *verb)
{
    const char *what = member(verb, "do");
    char text[32];
    int there[2];
    if (pipe2(there, O_CLOEXEC) != 0)
        return reply_error(SHMRPC_SYSTEM, "no pipe for the child");
    pid_t pid = fork();
    if (pid == 0) {
        close(there[0]);
        child(verb, what, there[1]);
    }
    close(there[1]);
    ssize_t end = read(there[0], text, 1);
    close(there[0]);
    if (pid < 0 || end != 0)
        return reply_error(SHMRPC_SYSTEM, "no child");
    cJSON *reply = reply_ok();
    cJSON *body = reply_ok_body(reply);
    snprintf(text, sizeof text, "%d", (int)pid);
    cJSON_AddStringToObject(body, "pid", text);
    if (strcmp(what, "hold") == 0)
        return reply;
    int status = 0;
    waitpid(pid, &status, 0);
    snprintf(text, sizeof text, "%d", status);
    cJSON_AddStringToObject(body, "status", text);
    if (strcmp(what, "call") == 0 && WIFEXITED(status))
        cJSON_AddStringToObject(body, "class",
                                shmrpc_status_name((enum shmrpc_status)WEXITSTATUS(status)));
    else if (status != 0)
        cJSON_AddStringToObject(body, "class", "died");
    return reply;
}

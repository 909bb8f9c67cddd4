/* SPDX-License-Identifier: MIT
 *
 * --check-adapter: every verb of the protocol, once well-formed, and what must be refused; no judgement
 * of the port, only of its adapter.
 */
#include "kit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int wrong;

/* Send a verb with arguments as JSON text; print and count what is wrong; return the ok body or null. */
static cJSON *try_verb(struct adapter *adapter, const char *verb, const char *arguments, bool fails)
{
    cJSON *json = cJSON_Parse(arguments);
    cJSON *reply;
    const char *why;
    const char *request = schema_check(verb, "request", json);
    if (request != NULL)
        kit_die(4, "%s", request);
    adapter_send(adapter, verb, json);
    cJSON_Delete(json);
    enum reply_kind kind = adapter_receive(adapter, KIT_PATIENCE_MS, &reply, &why);
    static const char *const names[] = {"ok", "rpc_error", "unsupported", "internal",
                                        "against the protocol", "no answer", "ended"};
    bool good = kind == REPLY_OK || kind == REPLY_UNSUPPORTED || (fails && kind == REPLY_RPC_ERROR);
    printf("  %-18s %s%s%s\n", verb, names[kind], kind == REPLY_BAD ? ": " : "",
           kind == REPLY_BAD ? why : "");
    if (kind == REPLY_RPC_ERROR)
        printf("  %18s %s: %s\n", "", json_text(reply_body(reply, kind), "class", ""),
               json_text(reply_body(reply, kind), "text", ""));
    wrong += !good;
    if (kind == REPLY_LATE || kind == REPLY_DEAD || kind == REPLY_BAD) {
        adapter_drain(adapter);
        printf("%s\n", adapter->said.data != NULL ? adapter->said.data : "");
        if (kind != REPLY_BAD)
            exit(3);
    }
    cJSON *body = kind == REPLY_OK ? cJSON_Duplicate(reply_body(reply, kind), true) : NULL;
    cJSON_Delete(reply);
    return body;
}

static void check_calls(struct adapter *adapter, const char *client)
{
    /* echo {"message":"hi"} */
    char *call = kit_format("{\"handle\":\"%s\",\"method\":\"6563686f\","
                            "\"params\":\"7b226d657373616765223a226869227d\"}", client);
    cJSON *body = try_verb(adapter, "client.call", call, false);
    if (body != NULL && strcmp(json_text(body, "result", ""), "22686922") != 0) {
        printf("  echo of \"hi\" gave the bytes %s\n", json_text(body, "result", ""));
        wrong++;
    }
    cJSON_Delete(body);
    body = try_verb(adapter, "client.call_async", call, false);
    if (body != NULL) {
        char *wait = kit_format("{\"call\":\"%s\"}", json_text(body, "call", ""));
        cJSON_Delete(try_verb(adapter, "client.wait", wait, false));
        free(wait);
    }
    cJSON_Delete(body);
    free(call);
    /* A method that nobody has: a method_error. */
    call = kit_format("{\"handle\":\"%s\",\"method\":\"6e6f7065\",\"params\":\"7b7d\"}", client);
    cJSON_Delete(try_verb(adapter, "client.call", call, true));
    free(call);
}

/* Who has no server of its own gets one of the reference's to talk to. */
static void serve_by_reference(struct adapter *reference, const struct kit_options *options,
                               const char *start)
{
    struct spawn_options spawn = {.command = options->reference, .umask = -1};
    if (options->reference == NULL)
        kit_die(2, "a port without a server is tried on the reference's: no --reference");
    adapter_spawn(reference, "reference", &spawn);
    printf("the reference, since the port has no server:\n");
    cJSON_Delete(try_verb(reference, "hello", "{}", false));
    cJSON_Delete(try_verb(reference, "server.start", start, false));
    printf("the port again:\n");
}

static void check_roles(struct adapter *adapter, const struct kit_options *options,
                        const char *name)
{
    struct adapter reference;
    char *start = kit_format("{\"name\":\"%s\",\"buffer_bytes\":\"4096\",\"timeout_ms\":\"3000\"}",
                             name);
    char *open = kit_format("{\"name\":\"%s\",\"timeout_ms\":\"3000\"}", name);
    cJSON *server = try_verb(adapter, "server.start", start, false);
    if (server == NULL)
        serve_by_reference(&reference, options, start);
    cJSON *client = try_verb(adapter, "client.open", open, false);
    if (client != NULL) {
        char *handle = kit_format("{\"handle\":\"%s\"}", json_text(client, "handle", ""));
        check_calls(adapter, json_text(client, "handle", ""));
        cJSON_Delete(try_verb(adapter, "client.close", handle, false));
        free(handle);
    }
    if (server != NULL) {
        char *handle = kit_format("{\"handle\":\"%s\"}", json_text(server, "handle", ""));
        cJSON_Delete(try_verb(adapter, "server.stop", handle, false));
        free(handle);
    } else {
        cJSON_Delete(try_verb(&reference, "quit", "{}", false));
        adapter_reap(&reference, 5000);
    }
    cJSON_Delete(server);
    cJSON_Delete(client);
    free(start);
    free(open);
}

static _Noreturn void check_in_sandbox(const struct kit_options *options, const char *prefix)
{
    struct adapter adapter;
    struct spawn_options spawn = {.command = options->adapter, .umask = -1};
    signal(SIGPIPE, SIG_IGN);
    adapter_spawn(&adapter, "check", &spawn);
    cJSON *hello = try_verb(&adapter, "hello", "{}", false);
    char *name = kit_format("%scheck", prefix);
    char *hex = hex_encode(name, strlen(name));
    check_roles(&adapter, options, hex);
    cJSON_Delete(try_verb(&adapter, "codec.decode", "{\"kind\":\"json\",\"hex\":\"5b315d\"}", false));
    cJSON_Delete(try_verb(&adapter, "codec.encode",
                          "{\"kind\":\"json\",\"tree\":{\"t\":\"int\",\"v\":\"1\"}}", false));
    cJSON_Delete(try_verb(&adapter, "probe", "{}", false));
    cJSON_Delete(try_verb(&adapter, "fork", "{\"do\":\"exit\"}", false));
    cJSON_Delete(try_verb(&adapter, "quit", "{}", false));
    if (!adapter_reap(&adapter, 5000) || adapter.wait_status != 0) {
        printf("  after quit: %s\n", adapter_death(&adapter));
        wrong++;
    }
    cJSON_Delete(hello);
    printf(wrong == 0 ? "the adapter keeps the protocol\n" : "%d faults\n", wrong);
    fflush(NULL);
    _exit(wrong == 0 ? 0 : 3);
}

int check_adapter(const struct kit_options *options)
{
    if (options->adapter == NULL)
        kit_die(2, "no --adapter; --help lists the options");
    enum sandbox_kind kind = sandbox_probe();
    char prefix[32];
    sandbox_prefix(kind, getpid(), prefix);
    fflush(NULL);
    pid_t pid = sandbox_fork(kind, 0);
    if (pid == 0)
        check_in_sandbox(options, prefix);
    int status = -1;
    waitpid(pid, &status, 0);
    sandbox_sweep(kind, getpid());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
}

/* SPDX-License-Identifier: MIT
 *
 * Adapters that no kit may call good:  bad_adapter MODE
 *
 *   silent    answers nothing                 silent-later   answers hello, then nothing
 *   garbage   answers what is no JSON         garbage-later  answers hello, then that
 *   late      answers long after its time     dies           ends at the first verb
 *   dies-later  answers hello, ends at the next verb
 *   late-later  answers hello, then says ok to everything, each time a second late
 *   closes    closes its output and lives on
 *   yes       says ok to everything           no             refuses everything as not_found
 *   wrong-id  answers with another id         two-bodies     says ok and rpc_error at once
 */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char hello[] =
    "{\"implementation\":\"bad\",\"version\":\"1\",\"roles\":[\"server\",\"client\"],"
    "\"levels\":[\"wire\",\"recovery\",\"hardened\"],\"transports\":[\"posix\"],"
    "\"features\":[\"async\",\"probe\",\"codec\",\"fork\",\"sigbus\",\"sigterm\",\"malloc_fault\","
    "\"segment_size\",\"wait_block\"],\"limits\":{},\"libc\":\"glibc\"}";

/* The most plausible ok that can be said without doing anything. */
static const char *yes_body(const char *verb)
{
    static const struct {
        const char *verb;
        const char *body;
    } bodies[] = {{"hello", hello},
                  {"server.start", "{\"handle\":\"s1\"}"},
                  {"client.open", "{\"handle\":\"c1\",\"buffer_bytes\":\"4096\"}"},
                  {"client.call", "{\"result\":\"6e756c6c\"}"},
                  {"client.call_async", "{\"call\":\"a1\"}"},
                  {"client.wait", "{\"result\":\"6e756c6c\"}"},
                  {"codec.encode", "{\"hex\":\"6e756c6c\"}"},
                  {"codec.decode", "{\"tree\":{\"t\":\"null\"}}"},
                  {"probe", "{\"fds\":\"3\",\"maps\":\"20\",\"threads\":\"1\"}"},
                  {"fork", "{\"pid\":\"1\",\"status\":\"0\"}"}};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        if (strcmp(bodies[i].verb, verb) == 0)
            return bodies[i].body;
    return "{}";
}

static void say(const char *id, const char *kind, const char *body)
{
    printf("{\"id\":\"%s\",\"%s\":%s}\n", id, kind, body);
    fflush(stdout);
}

static void later(const char *mode, const char *id, const char *verb)
{
    static const char refusal[] = "{\"class\":\"not_found\",\"text\":\"no\"}";
    if (strcmp(mode, "late-later") == 0)
        sleep(1);
    if (strcmp(mode, "yes") == 0 || strcmp(mode, "late-later") == 0)
        say(id, "ok", yes_body(verb));
    else if (strcmp(mode, "no") == 0)
        say(id, "rpc_error", refusal);
    else if (strcmp(mode, "garbage-later") == 0)
        printf("this is not the protocol\n");
    else if (strcmp(mode, "dies-later") == 0)
        exit(7);
    else if (strcmp(mode, "wrong-id") == 0)
        say("999999", "ok", yes_body(verb));
    else if (strcmp(mode, "two-bodies") == 0)
        printf("{\"id\":\"%s\",\"ok\":%s,\"rpc_error\":%s}\n", id, yes_body(verb), refusal);
    fflush(stdout);
}

static void first(const char *mode, const char *id)
{
    if (strcmp(mode, "silent") == 0)
        return;
    if (strcmp(mode, "garbage") == 0) {
        printf("\x01\xff garbage {{{\n");
        fflush(stdout);
        return;
    }
    if (strcmp(mode, "dies") == 0)
        exit(7);
    if (strcmp(mode, "late") == 0)
        sleep(30);
    if (strcmp(mode, "closes") == 0) {
        close(1);
        return;
    }
    say(id, "ok", hello);
}

int main(int count, char *values[])
{
    static char line[1 << 22];
    const char *mode = count > 1 ? values[1] : "";
    while (fgets(line, sizeof line, stdin) != NULL) {
        cJSON *json = cJSON_Parse(line);
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(json, "id");
        const cJSON *verb = cJSON_GetObjectItemCaseSensitive(json, "verb");
        if (!cJSON_IsString(id) || !cJSON_IsString(verb))
            return 2;
        bool is_hello = strcmp(verb->valuestring, "hello") == 0;
        if (is_hello)
            first(mode, id->valuestring);
        else
            later(mode, id->valuestring, verb->valuestring);
        bool quit = strcmp(mode, "yes") == 0 && strcmp(verb->valuestring, "quit") == 0;
        cJSON_Delete(json);
        if (quit)
            return 0;
    }
    return 0;
}

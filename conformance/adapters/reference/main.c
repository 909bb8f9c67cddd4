/* SPDX-License-Identifier: MIT
 *
 * Reads verbs, one JSON object a line, and writes one reply for each. The read of a verb and the write
 * of its reply are the markers between which the kit's tracer counts system calls, so both are single
 * plain calls here, with no buffering in between.
 */
#include "adapter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t terminated;

/* A signal just before the read of the next verb interrupts nothing: that read finds the end of the
 * input. */
static void on_terminate(int number)
{
    int kept = errno;
    (void)number;
    terminated = 1;
    stop_all_servers();
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing >= 0) {
        dup2(nothing, 0);
        close(nothing);
    }
    errno = kept;
}

static void on_harmless(int number)
{
    (void)number;
}

cJSON *reply_ok(void)
{
    cJSON *reply = cJSON_CreateObject();
    cJSON_AddObjectToObject(reply, "ok");
    return reply;
}

cJSON *reply_ok_body(cJSON *reply)
{
    return cJSON_GetObjectItemCaseSensitive(reply, "ok");
}

cJSON *reply_error(enum shmrpc_status status, const char *text)
{
    cJSON *reply = cJSON_CreateObject();
    cJSON *body = cJSON_AddObjectToObject(reply, "rpc_error");
    cJSON_AddStringToObject(body, "class", shmrpc_status_name(status));
    add_printable(body, "text", text);
    return reply;
}

cJSON *reply_unsupported(const char *feature)
{
    cJSON *reply = cJSON_CreateObject();
    cJSON *body = cJSON_AddObjectToObject(reply, "unsupported");
    cJSON_AddStringToObject(body, "feature", feature);
    return reply;
}

static void add_list(cJSON *body, const char *key, const char *const *list)
{
    cJSON *array = cJSON_AddArrayToObject(body, key);
    for (; *list != NULL; list++)
        cJSON_AddItemToArray(array, cJSON_CreateString(*list));
}

static cJSON *verb_hello(const cJSON *verb)
{
    static const char *const roles[] = {"server", "client", NULL};
    static const char *const levels[] = {"wire", "recovery", "hardened", NULL};
    static const char *const transports[] = {"posix", NULL};
    static const char *const features[] = {"async",    "probe",   "codec",        "fork",
                                           "sigbus",   "sigterm", "malloc_fault", "segment_size",
                                           "wait_block", NULL};
    char libc[64];
    cJSON *reply = reply_ok();
    cJSON *body = reply_ok_body(reply);
    (void)verb;
    snprintf(libc, sizeof libc, "glibc %s", gnu_get_libc_version());
    cJSON_AddStringToObject(body, "implementation", "reference");
    cJSON_AddStringToObject(body, "version", shmrpc_version());
    add_list(body, "roles", roles);
    add_list(body, "levels", levels);
    add_list(body, "transports", transports);
    add_list(body, "features", features);
    cJSON *limits = cJSON_AddObjectToObject(body, "limits");
    cJSON_AddStringToObject(limits, "default_buffer", "4096");
    cJSON_AddStringToObject(body, "libc", libc);
    return reply;
}

static int entries(const char *path)
{
    DIR *directory = opendir(path);
    int count = 0;
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL)
        count += entry->d_name[0] != '.';
    if (directory != NULL)
        closedir(directory);
    return count;
}

static cJSON *verb_probe(const cJSON *verb)
{
    char text[32];
    int maps = 0;
    cJSON *reply = reply_ok();
    cJSON *body = reply_ok_body(reply);
    (void)verb;
    FILE *file = fopen("/proc/self/maps", "re");
    for (int c; file != NULL && (c = fgetc(file)) != EOF;)
        maps += c == '\n';
    if (file != NULL)
        fclose(file);
    snprintf(text, sizeof text, "%d", entries("/proc/self/fd") - 1);
    cJSON_AddStringToObject(body, "fds", text);
    snprintf(text, sizeof text, "%d", maps);
    cJSON_AddStringToObject(body, "maps", text);
    snprintf(text, sizeof text, "%d", entries("/proc/self/task"));
    cJSON_AddStringToObject(body, "threads", text);
    if (getenv("SHMRPC_KIT_MALLOC") != NULL)
        cJSON_AddStringToObject(body, "malloc_reached", fault_reached() ? "true" : "false");
    return reply;
}

static cJSON *verb_quit(const cJSON *verb)
{
    (void)verb;
    return reply_ok();
}

static const struct {
    const char *name;
    cJSON *(*work)(const cJSON *verb);
} verbs[] = {{"hello", verb_hello},
             {"server.start", verb_server_start},
             {"server.stop", verb_server_stop},
             {"client.open", verb_client_open},
             {"client.call", verb_client_call},
             {"client.call_async", verb_client_call_async},
             {"client.wait", verb_client_wait},
             {"client.close", verb_client_close},
             {"codec.encode", verb_codec_encode},
             {"codec.decode", verb_codec_decode},
             {"probe", verb_probe},
             {"fork", verb_fork},
             {"quit", verb_quit}};

static cJSON *dispatch(const cJSON *line, const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return verbs[i].work(line);
    return reply_unsupported(name);
}

static void write_line(const char *text)
{
    size_t length = strlen(text);
    char *line = malloc(length + 2);
    if (line == NULL)
        abort();
    memcpy(line, text, length);
    line[length] = '\n';
    for (size_t done = 0; done < length + 1;) {
        ssize_t put = write(1, line + done, length + 1 - done);
        if (put < 0 && errno != EINTR)
            exit(1);
        done += put > 0 ? (size_t)put : 0;
    }
    free(line);
}

/* False at the verb that ends the adapter. */
static bool answer(const char *text)
{
    cJSON *line = cJSON_Parse(text);
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(line, "id");
    const cJSON *verb = cJSON_GetObjectItemCaseSensitive(line, "verb");
    if (!cJSON_IsString(id) || !cJSON_IsString(verb)) {
        fprintf(stderr, "not a verb: %s\n", text);
        exit(1);
    }
    cJSON *reply = dispatch(line, verb->valuestring);
    cJSON_AddStringToObject(reply, "id", id->valuestring);
    char *out = cJSON_PrintUnformatted(reply);
    bool more = strcmp(verb->valuestring, "quit") != 0;
    write_line(out);
    free(out);
    cJSON_Delete(reply);
    cJSON_Delete(line);
    return more;
}

/* One line of standard input, or null at its end or after a signal to end. */
static char *read_line(void)
{
    static char *buffer;
    static size_t used, capacity;
    for (;;) {
        char *end = buffer != NULL ? memchr(buffer, '\n', used) : NULL;
        if (end != NULL) {
            size_t length = (size_t)(end - buffer);
            char *line = malloc(length + 1);
            if (line == NULL)
                abort();
            memcpy(line, buffer, length);
            line[length] = '\0';
            used -= length + 1;
            memmove(buffer, end + 1, used);
            return line;
        }
        if (capacity - used < 65536) {
            capacity = 2 * capacity + 131072;
            buffer = realloc(buffer, capacity);
            if (buffer == NULL)
                abort();
        }
        ssize_t got = read(0, buffer + used, capacity - used);
        if (terminated || got == 0 || (got < 0 && errno != EINTR))
            return NULL;
        used += got > 0 ? (size_t)got : 0;
    }
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_terminate};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    /* Signals that a case sends in numbers must interrupt waits, not end the adapter. */
    static const int harmless[] = {SIGUSR1, SIGALRM, SIGWINCH};
    action.sa_handler = on_harmless;
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        sigaction(harmless[i], &action, NULL);
    if (shmrpc_sigbus_install() != SHMRPC_OK)
        return 1;
    char *line;
    while ((line = read_line()) != NULL) {
        bool more = answer(line);
        free(line);
        if (!more)
            break;
    }
    close_all_servers();
    return 0;
}

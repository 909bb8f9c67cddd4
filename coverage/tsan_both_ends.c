/* SPDX-License-Identifier: MIT
 *
 * Both ends of a channel in one process, under TSan:  tsan_both_ends [CALLS]
 *
 * TSan knows addresses, not files: mapped twice, the two views of one segment would be two things
 * to it and nothing could race. So mmap() is wrapped, and the second mapping of a file gives the
 * first one again. Server and client are the public ones, each in a thread of its own.
 *
 * The library takes and posts by sem_trywait() and by an atomic of its own, both of which TSan knows;
 * it is told nothing, and no report is suppressed.
 */
#include "shmrpc.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAPS = 64,
    ROUNDS = 3
};

void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t bytes);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *address, size_t bytes);

static struct {
    dev_t device;
    ino_t inode;
    void *address;
    size_t bytes;
    unsigned uses;
} shared[MAPS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned joined; /* how often a file was mapped a second time */

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    struct stat file;
    int unused = -1;
    void *map = NULL;

    if (fd < 0 || !(flags & MAP_SHARED) || fstat(fd, &file) != 0)
        return __real_mmap(address, bytes, protection, flags, fd, offset);
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MAPS && map == NULL; i++) {
        if (shared[i].uses == 0) {
            unused = i;
        } else if (shared[i].device == file.st_dev && shared[i].inode == file.st_ino &&
                   shared[i].bytes == bytes) {
            shared[i].uses++;
            joined++;
            map = shared[i].address;
        }
    }
    if (map == NULL) {
        map = __real_mmap(address, bytes, protection, flags, fd, offset);
        if (unused < 0)
            abort();
        if (map != MAP_FAILED) {
            shared[unused].device = file.st_dev;
            shared[unused].inode = file.st_ino;
            shared[unused].address = map;
            shared[unused].bytes = bytes;
            shared[unused].uses = 1;
        }
    }
    pthread_mutex_unlock(&lock);
    return map;
}

int __wrap_munmap(void *address, size_t bytes)
{
    int result = 0;
    bool known = false;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < MAPS && !known; i++) {
        if (shared[i].uses == 0 || shared[i].address != address)
            continue;
        known = true;
        if (--shared[i].uses == 0)
            result = __real_munmap(address, bytes);
    }
    pthread_mutex_unlock(&lock);
    return known ? result : __real_munmap(address, bytes);
}

static enum shmrpc_status echo(struct shmrpc_call *call, void *user)
{
    struct shmrpc_value value;
    enum shmrpc_status status = shmrpc_call_param(call, "message", &value);

    (void)user;
    return status ? status : shmrpc_call_answer_json(call, value.text, value.length);
}

static void *serve(void *server)
{
    return (void *)(uintptr_t)(shmrpc_server_run(server) == SHMRPC_OK ? 1 : 0);
}

/* Calls with texts of all lengths; each must come back as it went. */
static bool call_often(struct shmrpc_client *client, unsigned calls)
{
    char text[3000];

    for (unsigned i = 0; i < calls; i++) {
        size_t length = (i * 97) % sizeof text;
        const char *answer;
        size_t answered;
        memset(text, 'a' + (int)(i % 26), sizeof text);
        struct shmrpc_param param = shmrpc_param_string("message", text, length);
        if (shmrpc_client_call(client, "echo", &param, 1, NULL) != SHMRPC_OK ||
            shmrpc_client_result_string(client, &answer, &answered) != SHMRPC_OK) {
            printf("error: call %u: %s\n", i, shmrpc_client_error(client));
            return false;
        }
        if (answered != length || memcmp(answer, text, length) != 0) {
            printf("error: call %u: another text came back\n", i);
            return false;
        }
    }
    return true;
}

static bool one_round(enum shmrpc_wait wait, unsigned calls)
{
    struct shmrpc_server_options server_options = SHMRPC_SERVER_OPTIONS_INIT;
    struct shmrpc_client_options client_options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    struct shmrpc_server *server;
    struct shmrpc_client *client;
    char name[64];
    pthread_t thread;
    void *served = NULL;
    bool well = false;

    snprintf(name, sizeof name, "tsan_%d_%d", (int)getpid(), (int)wait);
    server_options.wait = client_options.wait = wait;
    server_options.error = client_options.error = &error;
    client_options.timeout_ms = 20000;
    if (shmrpc_server_create(name, &server_options, &server) != SHMRPC_OK) {
        printf("error: server: %s\n", error.text);
        return false;
    }
    if (shmrpc_server_register(server, "echo", echo, NULL) != SHMRPC_OK ||
        pthread_create(&thread, NULL, serve, server) != 0)
        abort();
    if (shmrpc_client_open(name, &client_options, &client) != SHMRPC_OK) {
        printf("error: client: %s\n", error.text);
    } else {
        well = call_often(client, calls);
        shmrpc_client_close(&client);
    }
    shmrpc_server_stop(server);
    pthread_join(thread, &served);
    shmrpc_server_close(&server);
    return well && served != NULL;
}

int main(int argc, char **argv)
{
    unsigned calls = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2000;
    int passed = 0;

    for (int wait = 0; wait < ROUNDS; wait++)
        passed += one_round((enum shmrpc_wait)wait, calls);
    printf("%u calls a way of waiting, %u mappings joined\n", calls, joined);
    if (joined == 0) {
        printf("error: nothing was shared: this proves nothing\n");
        passed = 0;
    }
    printf("%d passed, %d failed\n", passed, ROUNDS - passed);
    return passed == ROUNDS ? 0 : 1;
}

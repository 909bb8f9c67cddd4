/* SPDX-License-Identifier: MIT */
#include "scene.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SLOT_BYTES = 65536
};

void point_id(const char *before, const char *point, const char *detail, const char *channel,
              char id[ID_BYTES])
{
    const char *dot = strrchr(before, '.');
    int action = point[0] == '.' && dot ? (int)(dot - before) : 0;
    const char *tail = detail ? strstr(detail, channel) : NULL;

    if (tail)
        detail = tail + strlen(channel) + 1;
    snprintf(id, ID_BYTES, "%.*s%s%s%s", action, before, point, detail ? ":" : "",
             detail ? detail : "");
}

uint32_t state_digest(const unsigned char *slot, size_t bytes)
{
    static const char key[] = "\"request_id\":\"";
    uint32_t digest = 2166136261u; /* FNV-1a */
    uint32_t length;

    memcpy(&length, slot, sizeof(length));
    size_t end = length < bytes - sizeof(length) ? length + sizeof(length) : bytes;

    for (size_t i = 0; i < end; i++) {
        digest = (digest ^ slot[i]) * 16777619u;
        if (i >= sizeof(key) - 2 && memcmp(slot + i + 2 - sizeof(key), key, sizeof(key) - 1) == 0)
            while (i + 1 < end && slot[i + 1] != '"')
                i++;
    }
    return digest | 1; /* 0 stands for none */
}

/* The first bytes of an object's file. */
static ssize_t peek(const char *channel, enum object object, void *out, size_t bytes)
{
    char path[300];

    object_path(channel, object, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0)
        return -1;
    ssize_t got = pread(fd, out, bytes, 0);

    close(fd);
    return got;
}

void state_names(const char *channel, struct state *state)
{
    memset(state, 0, sizeof(*state));
    for (int i = 0; i < OBJECTS; i++) {
        struct stat info;
        char path[300];

        object_path(channel, (enum object)i, path);
        state->value[i] = -1;
        if (lstat(path, &info) != 0)
            continue;
        state->inode[i] = info.st_ino;
        state->marked[i] = (info.st_mode & S_ISVTX) != 0;
    }
}

void state_files(const char *channel, struct state *state, const uint64_t *but)
{
    static unsigned char slot[SLOT_BYTES];
    uint32_t word;

    /* In glibc's semaphore of 64-bit systems the first word is the value. */
    for (int i = REQ_EMPTY; i < OBJECTS; i++)
        if (state->inode[i] && !(but && but[i]) &&
            peek(channel, (enum object)i, &word, sizeof(word)) == sizeof(word))
            state->value[i] = (int)word;
    for (int i = REQ; i <= RESP; i++) {
        if (state->value[i == REQ ? REQ_FULL : RESP_FULL] != 1 || (but && but[i]))
            continue;
        ssize_t got = peek(channel, (enum object)i, slot, sizeof(slot));

        if (got > (ssize_t)sizeof(word))
            state->digest[i] = state_digest(slot, (size_t)got);
    }
}

void state_take(const char *channel, struct state *state)
{
    state_names(channel, state);
    state_files(channel, state, NULL);
}

bool state_equal(const struct state *a, const struct state *b)
{
    return memcmp(a->inode, b->inode, sizeof(a->inode)) == 0 &&
           memcmp(a->marked, b->marked, sizeof(a->marked)) == 0 &&
           memcmp(a->value, b->value, sizeof(a->value)) == 0 &&
           memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

void state_print(const struct state *state, char text[STATE_BYTES])
{
    char names[OBJECTS + 1] = "";
    char values[5] = "";

    for (int i = 0; i < OBJECTS; i++)
        names[i] = state->inode[i] == 0 ? '.' : state->marked[i] ? 'm' : 'u';
    for (int i = REQ_EMPTY; i < OBJECTS; i++)
        values[i - REQ_EMPTY] =
            state->value[i] < 0 ? '.' : (char)('0' + (state->value[i] < 9 ? state->value[i] : 9));
    snprintf(text, STATE_BYTES, "names %s values %s digests %08x %08x", names, values,
             state->digest[REQ], state->digest[RESP]);
}

void make_original(const char *channel, enum object first)
{
    static const unsigned char zeros[256];

    for (int i = (int)first; i < OBJECTS; i++) {
        char path[300];
        sem_t semaphore;

        object_path(channel, (enum object)i, path);
        memset(&semaphore, 0, sizeof(semaphore));
        sem_init(&semaphore, 1, i == REQ_EMPTY || i == RESP_EMPTY);
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        bool slot = i <= RESP;
        size_t bytes = slot ? sizeof(zeros) : sizeof(semaphore);

        if (fd < 0 || write(fd, slot ? (const void *)zeros : &semaphore, bytes) != (ssize_t)bytes)
            abort();
        close(fd);
    }
}

void post_too_much(struct raw *raw)
{
    sem_post(raw->semaphore[REQ_FULL]);
    sem_post(raw->semaphore[REQ_FULL]);
}

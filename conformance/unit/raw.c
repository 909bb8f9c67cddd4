/* SPDX-License-Identifier: MIT */
#include "raw.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAMES = 256, LENGTH_WORD_BYTES = 4 };

static const char *const prefixes[RAW_OBJECTS] = {"srb_",     "srb_",     "sem.srb_",
                                                  "sem.srb_", "sem.srb_", "sem.srb_"};
static const char *const suffixes[RAW_OBJECTS] = {"_req",      "_resp",       "_req_empty",
                                                  "_req_full", "_resp_empty", "_resp_full"};

static char names[NAMES][64];
static unsigned name_count;

const char *raw_name(const char *what)
{
    assert_true(name_count < NAMES);
    snprintf(names[name_count], sizeof names[name_count], "unit-%d-%u-%s", (int)getpid(),
             name_count, what);
    return names[name_count++];
}

int raw_sweep(void **state)
{
    (void)state;
    for (unsigned i = 0; i < name_count; i++)
        raw_remove(names[i]);
    return 0;
}

void raw_path(const char *name, enum raw_object object, char path[300])
{
    snprintf(path, 300, "/dev/shm/%s%s%s", prefixes[object], name, suffixes[object]);
}

bool raw_exists(const char *name, enum raw_object object)
{
    return raw_inode(name, object) != 0;
}

int raw_count(const char *name)
{
    int count = 0;
    DIR *list = opendir("/dev/shm");
    assert_non_null(list);
    struct dirent *entry;
    while ((entry = readdir(list)) != NULL)
        count += strstr(entry->d_name, name) != NULL;
    closedir(list);
    return count;
}

ino_t raw_inode(const char *name, enum raw_object object)
{
    char path[300];
    struct stat info;
    raw_path(name, object, path);
    return lstat(path, &info) == 0 ? info.st_ino : 0;
}

void raw_unlink(const char *name, enum raw_object object)
{
    char path[300];
    raw_path(name, object, path);
    if (unlink(path) != 0)
        assert_int_equal(errno, ENOENT);
}

void raw_remove(const char *name)
{
    for (int i = 0; i < RAW_OBJECTS; i++)
        raw_unlink(name, (enum raw_object)i);
}

void raw_make_file(const char *name, enum raw_object object, size_t bytes, mode_t mode)
{
    char path[300];
    raw_path(name, object, path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

void raw_make_original(const char *name, size_t bytes)
{
    for (int i = RAW_REQ; i <= RAW_RESP; i++) {
        char file[300];
        snprintf(file, sizeof file, "/srb_%s%s", name, suffixes[i]);
        int fd = shm_open(file, O_RDWR | O_CREAT | O_EXCL, 0600);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
        close(fd);
    }
    for (int i = RAW_REQ_EMPTY; i < RAW_OBJECTS; i++) {
        char file[300];
        snprintf(file, sizeof file, "/srb_%s%s", name, suffixes[i]);
        sem_t *semaphore = sem_open(file, O_CREAT | O_EXCL, 0600,
                                    i == RAW_REQ_EMPTY || i == RAW_RESP_EMPTY ? 1 : 0);
        assert_true(semaphore != SEM_FAILED);
        sem_close(semaphore);
    }
}

void raw_open(struct raw *raw, const char *name)
{
    for (int i = 0; i < RAW_OBJECTS; i++) {
        char path[300];
        struct stat info;
        raw_path(name, (enum raw_object)i, path);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &info), 0);
        raw->bytes[i] = (size_t)info.st_size;
        raw->map[i] = mmap(NULL, raw->bytes[i], PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(raw->map[i] != MAP_FAILED);
        close(fd);
    }
}

void raw_close(struct raw *raw)
{
    for (int i = 0; i < RAW_OBJECTS; i++)
        if (raw->map[i] != NULL)
            munmap(raw->map[i], raw->bytes[i]);
    memset(raw, 0, sizeof *raw);
}

bool raw_values_are(const char *name, int req_empty, int req_full, int resp_empty, int resp_full)
{
    struct raw raw;
    raw_open(&raw, name);
    bool are = raw_value(&raw, RAW_REQ_EMPTY) == req_empty &&
               raw_value(&raw, RAW_REQ_FULL) == req_full &&
               raw_value(&raw, RAW_RESP_EMPTY) == resp_empty &&
               raw_value(&raw, RAW_RESP_FULL) == resp_full;
    raw_close(&raw);
    return are;
}

int raw_value(const struct raw *raw, enum raw_object semaphore)
{
    int value = -1;
    assert_int_equal(sem_getvalue(raw->map[semaphore], &value), 0);
    return value;
}

void raw_set(struct raw *raw, enum raw_object semaphore, unsigned value)
{
    /* The value is the first word on a little-endian machine, the second on a big-endian one. */
    uint32_t *words = raw->map[semaphore];
    __atomic_store_n(&words[__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__], value, __ATOMIC_SEQ_CST);
}

void raw_set_values(struct raw *raw, unsigned req_empty, unsigned req_full, unsigned resp_empty,
                    unsigned resp_full)
{
    raw_set(raw, RAW_REQ_EMPTY, req_empty);
    raw_set(raw, RAW_REQ_FULL, req_full);
    raw_set(raw, RAW_RESP_EMPTY, resp_empty);
    raw_set(raw, RAW_RESP_FULL, resp_full);
}

void raw_post(struct raw *raw, enum raw_object semaphore)
{
    assert_int_equal(sem_post(raw->map[semaphore]), 0);
}

bool raw_take(struct raw *raw, enum raw_object semaphore, int milliseconds)
{
    int64_t until = raw_now_ms() + milliseconds;
    struct timespec at = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
    int result;
    do
        result = sem_clockwait(raw->map[semaphore], CLOCK_MONOTONIC, &at);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

uint32_t raw_length(const struct raw *raw, enum raw_object slot)
{
    return __atomic_load_n((const uint32_t *)raw->map[slot], __ATOMIC_SEQ_CST);
}

void raw_set_length(struct raw *raw, enum raw_object slot, uint32_t word)
{
    __atomic_store_n((uint32_t *)raw->map[slot], word, __ATOMIC_SEQ_CST);
}

char *raw_body(const struct raw *raw, enum raw_object slot)
{
    return (char *)raw->map[slot] + LENGTH_WORD_BYTES;
}

void raw_write(struct raw *raw, enum raw_object slot, const void *data, size_t length)
{
    assert_true(length + LENGTH_WORD_BYTES <= raw->bytes[slot]);
    memcpy(raw_body(raw, slot), data, length);
    raw_set_length(raw, slot, (uint32_t)length);
}

static enum raw_object empty_of(enum raw_object slot)
{
    return slot == RAW_REQ ? RAW_REQ_EMPTY : RAW_RESP_EMPTY;
}

static enum raw_object full_of(enum raw_object slot)
{
    return slot == RAW_REQ ? RAW_REQ_FULL : RAW_RESP_FULL;
}

bool raw_send(struct raw *raw, enum raw_object slot, const void *data, size_t length,
              int milliseconds)
{
    if (!raw_take(raw, empty_of(slot), milliseconds))
        return false;
    raw_write(raw, slot, data, length);
    raw_post(raw, full_of(slot));
    return true;
}

const char *raw_receive(struct raw *raw, enum raw_object slot, int milliseconds)
{
    static char copy[2 << 20];
    if (!raw_take(raw, full_of(slot), milliseconds))
        return NULL;
    size_t length = raw_length(raw, slot);
    assert_true(length + LENGTH_WORD_BYTES <= raw->bytes[slot] && length < sizeof copy);
    memcpy(copy, raw_body(raw, slot), length);
    copy[length] = '\0';
    raw_set_length(raw, slot, 0);
    raw_post(raw, empty_of(slot));
    return copy;
}

void *raw_share(size_t bytes)
{
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    return memory;
}

void raw_unshare(void *memory, size_t bytes)
{
    assert_int_equal(munmap(memory, bytes), 0);
}

bool raw_await(const _Atomic int *word)
{
    int64_t until = raw_now_ms() + RAW_PATIENCE_MS;
    while (atomic_load(word) == 0) {
        if (raw_now_ms() > until)
            return false;
        raw_sleep_ms(1);
    }
    return true;
}

void raw_sleep_ms(int milliseconds)
{
    struct timespec left = {.tv_sec = milliseconds / 1000,
                            .tv_nsec = milliseconds % 1000 * 1000000L};
    while (nanosleep(&left, &left) != 0)
        ;
}

int64_t raw_now_ms(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

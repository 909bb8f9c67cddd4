/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Noreturn void kit_die(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "shmrpc-conformance: ");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(code);
}

void *kit_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes == 0 ? 1 : bytes);
    if (memory == NULL)
        kit_die(4, "out of memory");
    return memory;
}

char *kit_copy(const char *text)
{
    char *copy = kit_alloc(strlen(text) + 1);
    return strcpy(copy, text);
}

char *kit_format(const char *format, ...)
{
    struct kit_text text = {0};
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&text, format, arguments);
    va_end(arguments);
    return text.data;
}

void text_append(struct kit_text *text, const void *data, size_t length)
{
    if (text->length + length + 1 > text->capacity) {
        size_t capacity = 2 * (text->length + length) + 64;
        char *grown = realloc(text->data, capacity);
        if (grown == NULL)
            kit_die(4, "out of memory");
        text->data = grown;
        text->capacity = capacity;
    }
    if (length > 0)
        memcpy(text->data + text->length, data, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void text_vprintf(struct kit_text *text, const char *format, va_list arguments)
{
    char *line = NULL;
    int length = vasprintf(&line, format, arguments);
    if (length < 0)
        kit_die(4, "out of memory");
    text_append(text, line, (size_t)length);
    free(line);
}

void text_printf(struct kit_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(text, format, arguments);
    va_end(arguments);
}

void text_free(struct kit_text *text)
{
    free(text->data);
    memset(text, 0, sizeof *text);
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sleep_ms(int ms)
{
    struct timespec rest = {ms / 1000, (long)(ms % 1000) * 1000000L};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        ;
}

char *hex_encode(const void *data, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;
    char *text = kit_alloc(2 * length + 1);
    for (size_t i = 0; i < length; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return text;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

unsigned char *hex_decode(const char *text, size_t *length)
{
    size_t digits = strlen(text);
    if (digits % 2 != 0)
        return NULL;
    unsigned char *bytes = kit_alloc(digits / 2 + 1);
    for (size_t i = 0; i < digits / 2; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            free(bytes);
            return NULL;
        }
        bytes[i] = (unsigned char)(16 * high + low);
    }
    *length = digits / 2;
    return bytes;
}

char *file_read(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    struct kit_text text = {0};
    char chunk[65536];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        text_append(&text, chunk, got);
    fclose(file);
    text_append(&text, "", 0);
    if (length != NULL)
        *length = text.length;
    return text.data;
}

int64_t sum_eval(const char *expression, int64_t (*symbol)(void *user, const char *name),
                 void *user)
{
    int64_t sum = 0;
    int sign = 1;
    const char *at = expression;
    while (*at != '\0') {
        if (*at == '+' || *at == '-') {
            sign = *at == '-' ? -1 : 1;
            at++;
        }
        if (isdigit((unsigned char)*at)) {
            char *end;
            sum += sign * (int64_t)strtoull(at, &end, 0);
            at = end;
        } else {
            char name[64] = "";
            size_t used = 0;
            while ((isalnum((unsigned char)*at) || *at == '_') && used < sizeof name - 1)
                name[used++] = *at++;
            if (used == 0)
                kit_die(4, "cannot evaluate '%s'", expression);
            sum += sign * symbol(user, name);
        }
    }
    return sum;
}

const char *json_text(const cJSON *object, const char *key, const char *fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : fallback;
}

bool json_flag(const cJSON *object, const char *key, bool fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : fallback;
}

bool json_has(const cJSON *array, const char *text)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, text) == 0)
            return true;
    }
    return false;
}

char *json_squeeze(const char *text, size_t length)
{
    char *out = kit_alloc(length + 1);
    size_t used = 0;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (quoted && c == '\\' && i + 1 < length) {
            out[used++] = c;
            out[used++] = text[++i];
            continue;
        }
        if (c == '"')
            quoted = !quoted;
        if (quoted || (c != ' ' && c != '\t' && c != '\n' && c != '\r'))
            out[used++] = c;
    }
    out[used] = '\0';
    return out;
}

static const struct {
    long number;
    const char *name;
} syscalls[] = {
#define CALL(name) {SYS_##name, #name}
    CALL(read), CALL(write), CALL(close), CALL(fstat), CALL(mmap), CALL(mprotect), CALL(munmap),
    CALL(brk), CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(ioctl),
    CALL(pread64), CALL(pwrite64), CALL(writev), CALL(sched_yield), CALL(mremap), CALL(madvise),
    CALL(dup), CALL(nanosleep), CALL(getpid), CALL(clone), CALL(execve), CALL(exit), CALL(wait4),
    CALL(kill), CALL(fcntl), CALL(flock), CALL(fsync), CALL(ftruncate), CALL(getcwd),
    CALL(fchmod), CALL(fchown), CALL(umask), CALL(getuid), CALL(geteuid), CALL(gettid),
    CALL(getgid), CALL(getegid), CALL(getppid), CALL(sigaltstack), CALL(execveat), CALL(setpgid),
    CALL(futex), CALL(sched_getaffinity), CALL(getdents64), CALL(fadvise64), CALL(exit_group),
    CALL(openat), CALL(newfstatat), CALL(unlinkat), CALL(renameat), CALL(linkat),
    CALL(symlinkat), CALL(readlinkat), CALL(fchmodat), CALL(faccessat), CALL(ppoll),
    CALL(clock_nanosleep), CALL(clock_gettime), CALL(fallocate), CALL(dup3), CALL(pipe2),
    CALL(prlimit64), CALL(getrandom), CALL(tgkill), CALL(statx), CALL(clone3), CALL(rseq),
    CALL(membarrier), CALL(set_robust_list), CALL(lseek), CALL(statfs), CALL(fstatfs),
#ifdef SYS_open
    CALL(open), CALL(stat), CALL(lstat), CALL(poll), CALL(access), CALL(pipe), CALL(select),
    CALL(fork), CALL(unlink), CALL(link), CALL(readlink), CALL(chmod), CALL(mkdir), CALL(rename),
    CALL(arch_prctl), CALL(time),
#endif
#undef CALL
};

const char *syscall_name(int64_t number)
{
    static char other[32];
    for (size_t i = 0; i < sizeof syscalls / sizeof syscalls[0]; i++)
        if (syscalls[i].number == number)
            return syscalls[i].name;
    snprintf(other, sizeof other, "syscall_%lld", (long long)number);
    return other;
}

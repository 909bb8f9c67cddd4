/* SPDX-License-Identifier: MIT
 *
 * The settings: BENCH_* variables of the environment, folders from the command line.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_MESSAGE = 1000000,
    PAGE = 4096,
    MIN_WARMUP = 100,
    MAX_WARMUP = 2000
};

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int read_number(const char *name, const char *text, size_t least, size_t most, size_t *out)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || value < least || value > most) {
        fprintf(stderr, "bench: %s: \"%s\" is not a whole number from %zu to %zu\n", name, text,
                least, most);
        return -1;
    }
    *out = value;
    return 0;
}

static int read_setting(const char *name, size_t fallback, size_t least, size_t most, size_t *out)
{
    const char *text = environment(name);
    *out = fallback;
    return text ? read_number(name, text, least, most, out) : 0;
}

/** Call take for each of the words, which commas or blanks separate. */
static int each_word(const char *list, int (*take)(struct settings *, const char *),
                     struct settings *settings)
{
    char copy[1024], *rest = NULL;
    if (strlen(list) >= sizeof copy)
        return -1;
    strcpy(copy, list);
    for (char *word = strtok_r(copy, ", ", &rest); word; word = strtok_r(NULL, ", ", &rest))
        if (take(settings, word) != 0)
            return -1;
    return 0;
}

static int take_size(struct settings *settings, const char *word)
{
    size_t size;
    if (read_number("BENCH_SIZES", word, 1, MAX_MESSAGE, &size) != 0)
        return -1;
    if (settings->size_count == MAX_SIZES) {
        fprintf(stderr, "bench: BENCH_SIZES: more than %d sizes\n", MAX_SIZES);
        return -1;
    }
    settings->sizes[settings->size_count++] = size;
    return 0;
}

static int take_row(struct settings *settings, const char *word)
{
    int row = row_find(word);
    if (row >= 0) {
        settings->row_on[row] = true;
        return 0;
    }
    fprintf(stderr, "bench: BENCH_PEERS: no row is called \"%s\"; there are:", word);
    for (int i = 0; i < ROW_COUNT; i++)
        fprintf(stderr, " %s", rows[i].name);
    fprintf(stderr, "\n");
    return -1;
}

static int take_section(struct settings *settings, const char *word)
{
    for (int i = 0; i < SECTION_COUNT; i++)
        if (strcmp(sections[i].name, word) == 0) {
            settings->section_on[i] = true;
            return 0;
        }
    fprintf(stderr, "bench: BENCH_SECTIONS: no section is called \"%s\"\n", word);
    return -1;
}

static int read_lists(struct settings *settings)
{
    const char *sizes = environment("BENCH_SIZES"), *peers = environment("BENCH_PEERS"),
               *only = environment("BENCH_SECTIONS");
    if (each_word(sizes ? sizes : "15,1000,10000,60000", take_size, settings) != 0)
        return -1;
    if (peers && each_word(peers, take_row, settings) != 0)
        return -1;
    if (only && each_word(only, take_section, settings) != 0)
        return -1;
    for (int i = 0; !peers && i < ROW_COUNT; i++)
        settings->row_on[i] = true;
    for (int i = 0; !only && i < SECTION_COUNT; i++)
        settings->section_on[i] = true;
    return 0;
}

/** Every message of the run must fit: a byte of text becomes up to two of JSON in the texts that
 *  are sent, and the envelope around it is small. */
static size_t needed_buffer(const struct settings *settings)
{
    size_t largest = 0;
    for (size_t i = 0; i < settings->size_count; i++)
        largest = settings->sizes[i] > largest ? settings->sizes[i] : largest;
    return (3 * largest + PAGE) / PAGE * PAGE + PAGE;
}

/** The Python rows need an interpreter with the packages; the makefile sets that up, and leaves a
 *  log of it. */
static void find_python(struct settings *settings)
{
    char path[4096], line[400];
    snprintf(path, sizeof path, "%s/python", settings->results);
    setenv("PYTHONPATH", path, 1); /* the generated modules */
    snprintf(settings->python, sizeof settings->python, "%s/venv/bin/python", settings->results);
    snprintf(path, sizeof path, "%s/venv/ready", settings->results);
    if (environment("NO_PYTHON"))
        strcpy(settings->python_missing, "NO_PYTHON is set");
    else if (access(path, R_OK) != 0) {
        strcpy(settings->python_missing, "its packages could not be had");
        snprintf(path, sizeof path, "%s/venv.log", settings->results);
        FILE *log = fopen(path, "r");
        while (log && fgets(line, sizeof line, log)) {
            line[strcspn(line, "\n")] = '\0';
            if (*line)
                snprintf(settings->python_missing, sizeof settings->python_missing,
                         "its packages could not be had: %s", line);
        }
        if (log)
            fclose(log);
    }
    bool asked_for = false;
    for (int i = 0; *settings->python_missing && i < ROW_COUNT; i++) {
        asked_for = asked_for || (rows[i].python && settings->row_on[i]);
        if (rows[i].python)
            settings->row_on[i] = false;
    }
    if (!asked_for)
        *settings->python_missing = '\0';
}

int settings_read(struct settings *settings, int argc, char **argv)
{
    memset(settings, 0, sizeof *settings);
    if (argc != 4) {
        fprintf(stderr, "usage: bench PROGRAMS RESULTS SOURCE  (see the head of bench/bench.c)\n");
        return -1;
    }
    settings->programs = argv[1];
    settings->results = argv[2];
    settings->source = argv[3];
    if (read_setting("BENCH_ROUNDS", 5, 1, MAX_ROUNDS, &settings->rounds) != 0 ||
        read_setting("BENCH_ITERS", 100000, 2 * settings->rounds, 1000000000,
                     &settings->iterations) != 0 ||
        read_lists(settings) != 0)
        return -1;
    settings->buffer_bytes = needed_buffer(settings);
    find_python(settings);
    return 0;
}

bool settings_size_on(const struct settings *settings, const struct section *section, size_t size)
{
    bool any = false;
    for (size_t i = 0; i < settings->size_count; i++)
        any = any || settings->sizes[i] == 15 || settings->sizes[i] == 10000;
    if (section->every_size)
        return true;
    return any ? size == 15 || size == 10000 : size == settings->sizes[0];
}

size_t settings_calls_a_round(const struct settings *settings, const struct section *section)
{
    size_t calls = settings->iterations / settings->rounds / section->calls_divisor;
    return calls > 20 ? calls : 20;
}

size_t settings_warmup(const struct settings *settings, const struct section *section)
{
    size_t tenth = settings_calls_a_round(settings, section) / 10;
    if (tenth < MIN_WARMUP)
        return MIN_WARMUP;
    return tenth > MAX_WARMUP ? MAX_WARMUP : tenth;
}

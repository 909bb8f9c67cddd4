/* SPDX-License-Identifier: MIT */
#include "round.h"

#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READY_MS = 30000, /* a server must be ready by then */
    ROUND_MS = 60000, /* a client's round: this, and so much a call */
    ROUND_MS_PER_CALL = 10,
    ERROR_BYTES = 4000, /* how much of a failed process's stderr is shown, its end */
    MAX_LOADS = 256,
    MAX_WORDS = 16,
    WORD_BYTES = 4400
};

#define SHM_FOLDER "/dev/shm"
#define SHM_PREFIX "shmrpcbench-"
#define FOLDER_PREFIX "shmrpc-bench-"

static char folder[128];
static unsigned endpoint_number;
static struct process loads[MAX_LOADS];
static int load_count;

/* ---- Files ------------------------------------------------------------------------------------
 */

/** Where the private folder is made. A socket's path has 108 bytes at most, so a long TMPDIR is
 *  passed over. */
static const char *base_folder(void)
{
    const char *base = getenv("TMPDIR");
    return base && *base && strlen(base) < 60 ? base : "/tmp";
}

int round_begin(void)
{
    snprintf(folder, sizeof folder, "%s/" FOLDER_PREFIX "%d-XXXXXX", base_folder(), (int)getpid());
    if (mkdtemp(folder))
        return 0;
    perror(folder);
    *folder = '\0';
    return -1;
}

static void file_path(char path[256], const char *name)
{
    snprintf(path, 256, "%s/%s", folder, name);
}

/** The pid in the name of a shared-memory file of a benchmark: 0 if it is none of those. */
static pid_t owner_of(const char *file)
{
    if (strncmp(file, "sem.", 4) == 0)
        file += 4;
    if (strncmp(file, "srb_", 4) == 0)
        file += 4;
    if (strncmp(file, SHM_PREFIX, strlen(SHM_PREFIX)) != 0)
        return 0;
    return (pid_t)strtol(file + strlen(SHM_PREFIX), NULL, 10);
}

static int clean_shared_memory(bool ours)
{
    int removed = 0;
    DIR *directory = opendir(SHM_FOLDER);
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        pid_t owner = owner_of(entry->d_name);
        bool wanted = ours ? owner == getpid() : owner > 0 && kill(owner, 0) != 0 && errno == ESRCH;
        if (wanted && unlinkat(dirfd(directory), entry->d_name, 0) == 0)
            removed++;
    }
    if (directory)
        closedir(directory);
    return removed;
}

/** Remove a folder of files. 0 if it is gone. */
static int remove_folder(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory && (entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory)
        closedir(directory);
    return rmdir(path);
}

static int clean_folders(void)
{
    int removed = 0;
    char path[512];
    DIR *directory = opendir(base_folder());
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        if (strncmp(entry->d_name, FOLDER_PREFIX, strlen(FOLDER_PREFIX)) != 0)
            continue;
        pid_t owner = (pid_t)strtol(entry->d_name + strlen(FOLDER_PREFIX), NULL, 10);
        snprintf(path, sizeof path, "%s/%s", base_folder(), entry->d_name);
        if (owner > 0 && kill(owner, 0) != 0 && errno == ESRCH && remove_folder(path) == 0)
            removed++;
    }
    if (directory)
        closedir(directory);
    return removed;
}

int round_clean_leftovers(void)
{
    return clean_shared_memory(false) + clean_folders();
}

void round_end(void)
{
    clean_shared_memory(true);
    if (*folder)
        remove_folder(folder);
    *folder = '\0';
}

/* ---- Texts ------------------------------------------------------------------------------------
 */

/** Every kind of character that costs a JSON writer or reader something: what must be escaped, two,
 *  three and four bytes of UTF-8, and plain letters between them. */
static const char *const escape_pieces[] = {
    "\"",     "\\", "\n", "\t",           "/", "a",         "\u00e9", "\r", "\u03bb", "b",
    "\u20ac", "\b", "\f", "\u65e5\u672c", "z", "\U0001f600"};
enum {
    ESCAPE_PIECES = sizeof escape_pieces / sizeof *escape_pieces
};

static void fill_escapes(char *text, size_t size, size_t first)
{
    size_t at = 0;
    for (size_t i = first; at < size; i++) {
        const char *piece = escape_pieces[i % ESCAPE_PIECES];
        size_t length = strlen(piece);
        if (length > size - at) {
            text[at++] = '"';
            continue;
        }
        memcpy(text + at, piece, length);
        at += length;
    }
}

int round_write_texts(size_t size, bool escapes)
{
    char path[256];
    file_path(path, "texts");
    FILE *file = fopen(path, "wb");
    char *text = malloc(size);
    int failed = !file || !text;
    for (int i = 0; !failed && i < 2; i++) {
        memset(text, 'x' + i, size);
        if (escapes)
            fill_escapes(text, size, i ? 7 : 0);
        failed = fwrite(text, 1, size, file) != size;
    }
    free(text);
    if (file && fclose(file) != 0)
        failed = 1;
    if (failed)
        perror("writing the texts");
    return failed ? -1 : 0;
}

/* ---- Load -------------------------------------------------------------------------------------
 */

int round_load_begin(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return -1;
    for (int cpu = 0; cpu < CPU_SETSIZE && load_count < MAX_LOADS; cpu++)
        if (CPU_ISSET((size_t)cpu, &set) && process_start_load(&loads[load_count++], cpu) != 0)
            return -1;
    return 0;
}

void round_load_end(void)
{
    while (load_count > 0)
        process_stop(&loads[--load_count]);
}

/* ---- A round ----------------------------------------------------------------------------------
 */

/** The command line of either role, as driver.c and peer_python.py read it. */
struct command {
    char *argv[MAX_WORDS + 1];
    int argc;
    char text[MAX_WORDS][WORD_BYTES];
};

static void add(struct command *command, const char *word)
{
    snprintf(command->text[command->argc], sizeof *command->text, "%s", word);
    command->argv[command->argc] = command->text[command->argc];
    command->argv[++command->argc] = NULL;
}

static void add_number(struct command *command, size_t number)
{
    char word[32];
    snprintf(word, sizeof word, "%zu", number);
    add(command, word);
}

static void begin_command(struct command *command, const struct settings *settings,
                          const struct row *row, const char *role)
{
    char path[4352];
    command->argc = 0;
    if (row->python) {
        add(command, settings->python);
        snprintf(path, sizeof path, "%s/peer_python.py", settings->source);
        add(command, path);
        add(command, row->program);
    } else {
        snprintf(path, sizeof path, "%s/%s", settings->programs, row->program);
        add(command, path);
    }
    add(command, role);
}

static void show_failure(const struct row *row, const char *role, const char *errors,
                         const char *what)
{
    char text[ERROR_BYTES + 1];
    fprintf(stderr, "\nbench: %s: the %s %s\n", row->name, role, what);
    FILE *file = fopen(errors, "rb");
    if (!file)
        return;
    if (fseek(file, -ERROR_BYTES, SEEK_END) != 0)
        rewind(file);
    text[fread(text, 1, ERROR_BYTES, file)] = '\0';
    fclose(file);
    fprintf(stderr, "%s%s%s", *text ? "its stderr ends:\n" : "", text, *text ? "\n" : "");
}

/** What both roles of a round share. */
struct round {
    const struct settings *settings;
    const struct section *section;
    const struct row *row;
    size_t size;
    char endpoint[256];
    int cpu;
    struct process server, client;
    char server_errors[256], client_errors[256], samples[256];
};

static int start_server(struct round *round)
{
    struct command command;
    int out[2];
    char fate[128], word[16];
    begin_command(&command, round->settings, round->row, "serve");
    add(&command, round->endpoint);
    add(&command, round->row->option);
    add_number(&command, round->settings->buffer_bytes);
    if (pipe2(out, O_CLOEXEC) != 0)
        return -1;
    int failed =
        process_start(&round->server, command.argv, out[1], round->server_errors, round->cpu);
    close(out[1]);
    enum waited waited =
        failed ? WAITED_TIMEOUT : process_wait(&round->server, NULL, out[0], READY_MS);
    bool ready = waited == WAITED_READABLE && read(out[0], word, sizeof word) > 0 &&
                 strncmp(word, "ready", 5) == 0;
    close(out[0]);
    if (ready)
        return 0;
    if (waited == WAITED_INTERRUPTED)
        return -1;
    process_wait(&round->server, NULL, -1, 200); /* a pipe's end comes just before a process's */
    process_fate(&round->server, fate, sizeof fate);
    show_failure(round->row, "server was not ready and", round->server_errors, fate);
    return -1;
}

static int start_client(struct round *round)
{
    struct command command;
    char texts[256];
    file_path(texts, "texts");
    begin_command(&command, round->settings, round->row, "call");
    add(&command, round->endpoint);
    add(&command, round->row->option);
    add_number(&command, round->settings->buffer_bytes);
    add(&command, texts);
    add_number(&command, round->size);
    add_number(&command, settings_warmup(round->settings, round->section));
    add_number(&command, settings_calls_a_round(round->settings, round->section));
    add_number(&command, round->section->calls_per_s);
    add_number(&command, round->section->limit_ms);
    add_number(&command, (size_t)round->server.pid);
    int out = open(round->samples, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0)
        return -1;
    int failed = process_start(&round->client, command.argv, out, round->client_errors, round->cpu);
    close(out);
    return failed;
}

static int wait_for_client(struct round *round)
{
    char fate[128];
    size_t calls = settings_calls_a_round(round->settings, round->section) +
                   settings_warmup(round->settings, round->section);
    enum waited waited =
        process_wait(&round->client, &round->server, -1, ROUND_MS + (int)calls * ROUND_MS_PER_CALL);
    if (waited == WAITED_FIRST && round->client.status == 0)
        return 0;
    if (waited == WAITED_INTERRUPTED)
        return -1;
    if (waited == WAITED_TIMEOUT)
        show_failure(round->row, "client", round->client_errors, "did not finish in time");
    process_fate(&round->client, fate, sizeof fate);
    if (waited == WAITED_FIRST)
        show_failure(round->row, "client", round->client_errors, fate);
    /* One dead side makes the other fail: show the server's end too. */
    if (waited == WAITED_SECOND || process_wait(NULL, &round->server, -1, 200) == WAITED_SECOND) {
        process_fate(&round->server, fate, sizeof fate);
        show_failure(round->row, "server", round->server_errors, fate);
    }
    return -1;
}

static int read_samples(const struct round *round, struct samples *samples)
{
    FILE *file = fopen(round->samples, "rb");
    struct sample_header *header = &samples->header;
    size_t asked = settings_calls_a_round(round->settings, round->section);
    samples->latency_ns = NULL;
    bool good = file && fread(header, sizeof *header, 1, file) == 1 &&
                header->magic == SAMPLE_MAGIC && header->calls > 0 && header->calls <= asked;
    if (good)
        samples->latency_ns = malloc(header->calls * sizeof *samples->latency_ns);
    good = samples->latency_ns && fread(samples->latency_ns, sizeof *samples->latency_ns,
                                        header->calls, file) == header->calls;
    if (file)
        fclose(file);
    if (good)
        return 0;
    show_failure(round->row, "client", round->client_errors, "handed over no usable samples");
    free(samples->latency_ns);
    samples->latency_ns = NULL;
    return -1;
}

static int first_cpu(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET((size_t)cpu, &set))
                return cpu;
    return 0;
}

int round_run(const struct bench *bench, const struct section *section, const struct row *row,
              size_t size, struct samples *samples)
{
    struct round round = {.settings = &bench->settings,
                          .section = section,
                          .row = row,
                          .size = size,
                          .cpu = section->one_cpu ? first_cpu() : -1};
    endpoint_number++;
    if (row->socket)
        snprintf(round.endpoint, sizeof round.endpoint, "%s/s%u", folder, endpoint_number);
    else
        snprintf(round.endpoint, sizeof round.endpoint, SHM_PREFIX "%d-%u", (int)getpid(),
                 endpoint_number);
    file_path(round.server_errors, "server.err");
    file_path(round.client_errors, "client.err");
    file_path(round.samples, "samples");
    int failed = start_server(&round) != 0 || start_client(&round) != 0 ||
                 wait_for_client(&round) != 0 || read_samples(&round, samples) != 0;
    process_stop(&round.client);
    process_stop(&round.server);
    clean_shared_memory(true);
    return failed ? -1 : 0;
}

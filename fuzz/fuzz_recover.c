/* SPDX-License-Identifier: MIT
 *
 * Input: what stands in /dev/shm under a channel's six names, one line an object:
 *
 *   OBJECT SIZE MODE VALUE [KIND]
 *
 * OBJECT is req, resp, req_empty, ...; MODE is octal, VALUE goes into the first word; KIND is fifo,
 * dir or link, or held (another open file of it lives) or locked (and has the owner's lock). Objects
 * that no line names are not there. Publishing must end, as the model says: it serves, or it refuses
 * with a reason and has removed nothing. What is not the channel's own is never touched. Two more lines
 * are tried on the image first:
 *
 *   attach N            a client that asks for N bytes: it gets in or hears a reason, and changes no name
 *   reclaim             remove what is dead: all of it or nothing
 */
#include "harness.h"
#include "owner.h"
#include "scene.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 256, BYSTANDERS = 4, SIZES = 9000, PATH = SHMRPC_FILE_NAME_BYTES + 16 };

enum kind { ABSENT, PLAIN, FIFO, DIRECTORY_, LINK, HELD, LOCKED };
static struct {
    enum kind kind;
    unsigned mode;
    ino_t inode;
    int fd; /* of the holder; -1: none */
} image[SHMRPC_OBJECT_COUNT];

static const char *const names[SHMRPC_OBJECT_COUNT] = {"req",      "resp",       "req_empty",
                                                       "req_full", "resp_empty", "resp_full"};

/* Files whose names resemble ours. */
static const char *const patterns[BYSTANDERS] = {"srb_%s_req_req", "srb_%sx_req", "srb_%s_reqx",
                                                 "sem.srb_%s_resp_full_req_empty"};
static ino_t bystanders[BYSTANDERS];
static bool try_reclaim;
static int attach_bytes; /* -1: no client */

static void object_path(unsigned object, char path[PATH])
{
    char file[SHMRPC_FILE_NAME_BYTES];
    shmrpc_name_object(scene_name(), (enum shmrpc_object)object, file);
    shmrpc_segment_path(file, path);
}

static void bystander_path(unsigned number, char path[PATH])
{
    int at = snprintf(path, PATH, "/dev/shm/");
    /* The patterns are the four above. */
    const char *gap = strchr(patterns[number], '%');
    snprintf(path + at, (size_t)(PATH - at), "%.*s%s%s", (int)(gap - patterns[number]),
             patterns[number], scene_name(), gap + 2);
}

static ino_t inode_of(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 ? status.st_ino : 0;
}

static void remove_image(void)
{
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        char path[PATH];
        if (image[i].kind == ABSENT)
            continue;
        object_path(i, path);
        (void)!(image[i].kind == DIRECTORY_ ? rmdir(path) : unlink(path));
        image[i].kind = ABSENT;
    }
}

static void remove_all(void)
{
    remove_image();
    scene_remove();
    for (unsigned i = 0; i < BYSTANDERS; i++) {
        char path[PATH];
        bystander_path(i, path);
        unlink(path);
    }
}

static void make_bystanders(void)
{
    if (bystanders[0] != 0)
        return;
    (void)scene_name();
    harness_cleanup = remove_all;
    atexit(remove_all);
    for (unsigned i = 0; i < BYSTANDERS; i++) {
        char path[PATH];
        bystander_path(i, path);
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
        ORACLE(fd >= 0);
        close(fd);
        bystanders[i] = inode_of(path);
    }
}

static void check_bystanders(void)
{
    for (unsigned i = 0; i < BYSTANDERS; i++) {
        char path[PATH];
        bystander_path(i, path);
        ORACLE(inode_of(path) == bystanders[i]);
    }
}

/* ---- The image ------------------------------------------------------------------------------ */

static enum kind kind_of(const char *word)
{
    static const char *const words[] = {"fifo", "dir", "link", "held", "locked"};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0)
            return (enum kind)(FIFO + i);
    return PLAIN;
}

static void make_file(unsigned object, const char *path, unsigned size, unsigned value)
{
    const uint32_t words[8] = {value, 0, 128};
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ORACLE(fd >= 0);
    ORACLE(write(fd, words, sizeof words) == sizeof words);
    ORACLE(ftruncate(fd, size) == 0);
    ORACLE(fchmod(fd, image[object].mode) == 0);
    if (image[object].kind == LOCKED)
        ORACLE(shmrpc_lock_take(fd) == SHMRPC_OK);
    if (image[object].kind == HELD || image[object].kind == LOCKED)
        image[object].fd = fd;
    else
        close(fd);
}

static void make_object(unsigned object, unsigned size, unsigned value)
{
    char path[PATH];
    char target[PATH];
    object_path(object, path);
    switch (image[object].kind) {
    case FIFO:
        ORACLE(mkfifo(path, 0600) == 0);
        break;
    case DIRECTORY_:
        ORACLE(mkdir(path, 0700) == 0);
        break;
    case LINK:
        bystander_path(value % BYSTANDERS, target);
        ORACLE(symlink(target, path) == 0);
        break;
    default:
        make_file(object, path, size, value);
    }
    image[object].inode = inode_of(path);
}

static void read_line(const char *line)
{
    char name[16], word[16] = "";
    unsigned size, mode, value;
    if (sscanf(line, "attach %u", &size) == 1)
        attach_bytes = (int)(size % SIZES);
    else if (strcmp(line, "reclaim") == 0)
        try_reclaim = true;
    if (sscanf(line, "%15s %u %o %u %15s", name, &size, &mode, &value, word) < 4)
        return;
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        if (strcmp(name, names[i]) != 0 || image[i].kind != ABSENT)
            continue;
        image[i].kind = kind_of(word);
        image[i].mode = mode & 01777;
        make_object(i, size % SIZES, value);
    }
}

/* ---- The model ------------------------------------------------------------------------------ */

static bool is_foreign(unsigned object)
{
    enum kind kind = image[object].kind;
    return kind == FIFO || kind == DIRECTORY_ || kind == LINK ||
           (kind != ABSENT && (image[object].mode & 0777) != 0600);
}

static bool is_marked(unsigned object)
{
    return (image[object].mode & SHMRPC_MARK) != 0;
}

/* SRPC-RECLAIM-001 to 006, in the model's words: who may be robbed. */
static bool may_publish(void)
{
    bool dead_owner = image[0].kind != ABSENT && is_marked(0);
    if (image[0].kind == LOCKED)
        return false;
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        if (is_foreign(i))
            return false;
        /* A lock on another object than req says no more than any holder does. */
        bool held = image[i].kind == HELD || image[i].kind == LOCKED;
        if (held && !(dead_owner && is_marked(i)))
            return false;
    }
    return true;
}

static void check_untouched(void)
{
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        char path[PATH];
        object_path(i, path);
        ORACLE(inode_of(path) == image[i].inode);
    }
}

static void check_gone(void)
{
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        char path[PATH];
        object_path(i, path);
        ORACLE(inode_of(path) == 0);
        image[i].kind = ABSENT;
    }
}

static void check_attach(void)
{
    struct shmrpc_channel *client = NULL;
    struct shmrpc_error error = {.status = SHMRPC_OK};
    size_t bytes = attach_bytes > (int)SHMRPC_LENGTH_WORD_BYTES ? (size_t)attach_bytes : 0;
    enum shmrpc_status status =
        shmrpc_channel_attach(scene_name(), bytes, SHMRPC_WAIT_BLOCK, &client, &error);
    harness_note_number((uint64_t)status);
    ORACLE((status == SHMRPC_OK) == (client != NULL));
    if (status == SHMRPC_OK) {
        for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++)
            ORACLE(image[i].kind != ABSENT && !is_foreign(i));
        ORACLE(bytes == 0 || client->capacity == bytes - SHMRPC_LENGTH_WORD_BYTES);
        /* SRPC-ATTACH-009: of a marked channel only a locked one lives. */
        ORACLE(image[0].kind == LOCKED || !is_marked(0));
        shmrpc_channel_close(&client);
    } else {
        ORACLE(status == SHMRPC_NOT_FOUND || status == SHMRPC_BUSY || status == SHMRPC_TIMEOUT ||
               status == SHMRPC_TOO_LARGE || status == SHMRPC_SYSTEM);
        ORACLE(error.status == status && error.text[0] != '\0');
    }
    check_untouched();
}

/* Says as publishing would who may be robbed, and takes nobody's place. */
static void check_reclaim(void)
{
    struct shmrpc_error error = {.status = SHMRPC_OK};
    bool may = may_publish();
    enum shmrpc_status status = shmrpc_owner_reclaim(scene_name(), &error);
    harness_note_number((uint64_t)status);
    ORACLE((status == SHMRPC_OK) == may);
    if (status == SHMRPC_OK) {
        check_gone();
    } else {
        ORACLE(error.status == status && error.text[0] != '\0');
        check_untouched();
    }
}

static void exchange(struct shmrpc_channel *from, struct shmrpc_channel *to)
{
    static const char text[] = "recovered";
    struct shmrpc_deadline deadline;
    char *body;
    char out[BUFFER];
    size_t capacity, length;
    shmrpc_deadline_start(&deadline, 0, NULL, NULL);
    ORACLE(shmrpc_channel_begin(from, &deadline, &body, &capacity) == SHMRPC_OK);
    ORACLE(capacity == BUFFER - SHMRPC_LENGTH_WORD_BYTES);
    memcpy(body, text, sizeof text);
    ORACLE(shmrpc_channel_commit(from, sizeof text) == SHMRPC_OK);
    ORACLE(shmrpc_channel_receive(to, &deadline, out, &length) == SHMRPC_OK);
    ORACLE(length == sizeof text && memcmp(out, text, length) == 0);
}

/* New objects under all six names, as in SRPC-SEM-002, and they serve. */
static void check_serves(struct shmrpc_channel *channel)
{
    struct shmrpc_channel *client = NULL;
    struct shmrpc_channel_values values = shmrpc_channel_values(channel);
    ORACLE(values.value[0] == 1 && values.value[1] == 0);
    ORACLE(values.value[2] == 1 && values.value[3] == 0);
    ORACLE(shmrpc_channel_names_held(channel));
    ORACLE(shmrpc_channel_attach(scene_name(), 0, SHMRPC_WAIT_BLOCK, &client, NULL) == SHMRPC_OK);
    exchange(client, channel);
    exchange(channel, client);
    shmrpc_channel_close(&client);
    shmrpc_channel_close(&channel);
    check_gone();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Who waits for a living owner looks every few milliseconds; a few looks tell as much. */
    static const struct scene_hooks hooks = {.oversleep_ms = 60};
    struct harness_input trace = {data, size};
    struct shmrpc_channel *channel = NULL;
    struct shmrpc_error error = {.status = SHMRPC_OK};
    char line[SCENE_LINE];
    make_bystanders();
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++) {
        memset(&image[i], 0, sizeof image[i]);
        image[i].fd = -1;
    }
    try_reclaim = false;
    attach_bytes = -1;
    for (int lines = 0; lines < 12 && scene_line(&trace, line) != NULL; lines++)
        read_line(line);
    scene_begin(&hooks);
    if (attach_bytes >= 0)
        check_attach();
    if (try_reclaim)
        check_reclaim();
    enum shmrpc_status status =
        shmrpc_owner_publish(scene_name(), BUFFER, SHMRPC_WAIT_BLOCK, &channel, &error);
    harness_note_number((uint64_t)status);
    ORACLE((status == SHMRPC_OK) == may_publish());
    if (status == SHMRPC_OK) {
        check_serves(channel);
    } else {
        ORACLE(status == SHMRPC_BUSY || status == SHMRPC_SYSTEM);
        ORACLE(error.status == status && error.text[0] != '\0');
        check_untouched();
    }
    check_bystanders();
    scene_end();
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++)
        if (image[i].fd >= 0)
            close(image[i].fd);
    remove_image();
    return 0;
}

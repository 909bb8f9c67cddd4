/* SPDX-License-Identifier: MIT
 *
 * shmrpc inspect: what stands in the two slots of a channel. It reads copies with pread(2), which
 * disturbs nobody and cannot end in SIGBUS; it maps nothing and touches no semaphore.
 */
#include "channels.h"

#include "../error.h"
#include "../name.h"
#include "../shmrpc_cjson.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] = "usage: shmrpc inspect NAME [OPTION...]\n"
                           "\n"
                           "Show both slots of the channel NAME: semaphore values, length, and the "
                           "message decoded. Nothing\n"
                           "is changed, and neither side notices. A message that is being written "
                           "meanwhile may look torn.\n"
                           "\n"
                           "      --json     print one JSON object\n"
                           "  -h, --help     this text\n"
                           "      --version  the version\n"
                           "\n"
                           "Exit codes: 0 ok, 2 usage, 4 no such channel.\n";

static const struct option options[] = {TOOL_COMMON_OPTIONS, {NULL, 0, NULL, 0}};

enum {
    LONGEST_DECODED = 64 << 20, /* longer messages are shown by their head only */
    DUMP_BYTES = 256,
    DUMP_COLUMNS = 16
};

static const char *const object_names[SHMRPC_OBJECT_COUNT] = {
    "req", "resp", "req_empty", "req_full", "resp_empty", "resp_full",
};

/* A private copy of what a segment held when it was read. */
struct slot {
    char problem[128]; /* why there is nothing to show; empty if there is */
    size_t bytes;      /* of the segment */
    uint32_t length;   /* the length word */
    char *message;     /* allocated */
    size_t got;        /* bytes of it */
    bool valid;        /* the message is JSON: */
    struct shmrpc_value value;
};

/* ---- Reading ----------------------------------------------------------------------------------
 */

static void read_message(int fd, struct slot *slot)
{
    size_t most = slot->bytes - sizeof slot->length;
    size_t wanted = slot->length < most ? slot->length : most;
    if (wanted > LONGEST_DECODED)
        wanted = DUMP_BYTES;
    slot->message = malloc(wanted + 1);
    if (slot->message == NULL)
        tool_out_of_memory();
    while (slot->got < wanted) {
        ssize_t got = pread(fd, slot->message + slot->got, wanted - slot->got,
                            (off_t)(sizeof slot->length + slot->got));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        slot->got += (size_t)got;
    }
    slot->valid = slot->got == slot->length &&
                  shmrpc_json_read(slot->message, slot->got, &slot->value, NULL) == SHMRPC_OK;
}

static void read_slot(const char *name, enum shmrpc_object object, struct slot *slot)
{
    char file[SHMRPC_FILE_NAME_BYTES];
    char path[SHMRPC_FILE_NAME_BYTES + sizeof "/dev/shm/"];
    shmrpc_name_object(name, object, file);
    snprintf(path, sizeof path, "/dev/shm/%s", file);
    /* O_NONBLOCK, lest a named pipe squatting here keep us waiting. */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    if (fd < 0) {
        snprintf(slot->problem, sizeof slot->problem, "cannot be opened: %s", strerror(errno));
    } else if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        snprintf(slot->problem, sizeof slot->problem, "is not a regular file");
    } else {
        slot->bytes = (size_t)status.st_size;
        if (slot->bytes < sizeof slot->length ||
            pread(fd, &slot->length, sizeof slot->length, 0) != (ssize_t)sizeof slot->length)
            snprintf(slot->problem, sizeof slot->problem, "is too short for a length word");
        else
            read_message(fd, slot);
    }
    if (fd >= 0)
        close(fd);
}

/* What the length word and the full semaphore say together. */
static const char *meaning(const struct slot *slot, int full)
{
    if (slot->length > slot->bytes - sizeof slot->length)
        return "impossible: larger than the segment";
    if (full > 0)
        return "waiting to be taken";
    return slot->length == 0 ? "empty" : "left over, already taken or being written";
}

/* ---- Text -------------------------------------------------------------------------------------
 */

static void print_dump(const char *bytes, size_t length)
{
    size_t shown = length < DUMP_BYTES ? length : DUMP_BYTES;
    for (size_t row = 0; row < shown; row += DUMP_COLUMNS) {
        printf("    %04zx ", row);
        for (size_t i = row; i < row + DUMP_COLUMNS; i++)
            if (i < shown)
                printf(" %02x", (unsigned char)bytes[i]);
            else
                fputs("   ", stdout);
        fputs("  ", stdout);
        for (size_t i = row; i < row + DUMP_COLUMNS && i < shown; i++)
            putchar(bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.');
        putchar('\n');
    }
    if (shown < length)
        printf("    ... %zu more bytes\n", length - shown);
}

/* Pretty where cJSON can represent the value, else exactly as it stands. */
static void print_value(const struct shmrpc_value *value)
{
    cJSON *tree = NULL;
    char *pretty = NULL;
    if (shmrpc_cjson_from_value(value, &tree) == SHMRPC_OK)
        pretty = cJSON_Print(tree);
    if (pretty != NULL)
        tool_print_text(stdout, pretty, strlen(pretty), true);
    else
        tool_print_text(stdout, value->text, value->length, true);
    putchar('\n');
    cJSON_free(pretty);
    cJSON_Delete(tree);
}

static void print_slot(const char *title, const struct slot *slot, int empty, int full)
{
    printf("\n%s slot\n", title);
    printf("  semaphores  empty %d, full %d\n", empty, full);
    if (slot->problem[0] != '\0') {
        printf("  segment     %s\n", slot->problem);
        return;
    }
    printf("  segment     %zu bytes\n", slot->bytes);
    printf("  length      %u (%s)\n", slot->length, meaning(slot, full));
    if (slot->got == 0)
        return;
    if (slot->valid) {
        fputs("  message     ", stdout);
        print_value(&slot->value);
    } else {
        puts("  message     not JSON:");
    }
    print_dump(slot->message, slot->got);
}

static void print_text(const char *name, const struct shmrpc_owner_report *report,
                       const struct slot *request, const struct slot *response)
{
    char *printable = tool_printable(name);
    char *program = tool_printable(report->program);
    printf("channel       %s\n", printable);
    fputs("state         ", stdout);
    tool_print_coloured(tool_state_colour(report->state), tool_state_name(report->state));
    fputs(": ", stdout);
    tool_print_text(stdout, report->text, strlen(report->text), false);
    printf("\nmade by       %s\n", report->marked ? "this library (marked)" : "the original");
    if (report->pid > 0)
        printf("server        pid %d, %s\n", (int)report->pid, program);
    if (report->client_pid > 0)
        printf("client        pid %d\n", (int)report->client_pid);
    printf("slots         %s\n", tool_slots_name(report));
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++)
        if (!report->present[i])
            printf("missing       %s\n", object_names[i]);
    print_slot("request", request, report->values[0], report->values[1]);
    print_slot("response", response, report->values[2], report->values[3]);
    free(printable);
    free(program);
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static void add_value(cJSON *object, const char *key, int value)
{
    if (value >= 0)
        tool_json_add_number(object, key, value);
    else
        tool_json_add_null(object, key);
}

static cJSON *slot_to_json(const struct slot *slot, int empty, int full)
{
    cJSON *object = tool_json_object();
    add_value(object, "empty", empty);
    add_value(object, "full", full);
    if (slot->problem[0] != '\0') {
        tool_json_add_string(object, "problem", slot->problem);
        return object;
    }
    tool_json_add_number(object, "bytes", (double)slot->bytes);
    tool_json_add_number(object, "length", slot->length);
    tool_json_add_string(object, "meaning", meaning(slot, full));
    if (slot->valid) {
        /* Raw, so that cJSON changes no number and no string. */
        slot->message[slot->got] = '\0';
        tool_json_add(object, "message", cJSON_CreateRaw(slot->message));
    } else {
        tool_json_add_null(object, "message");
    }
    char hex[2 * DUMP_BYTES + 1] = "";
    for (size_t i = 0; i < slot->got && i < DUMP_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)slot->message[i]);
    tool_json_add_string(object, "head_hex", hex);
    return object;
}

static void print_json(const char *name, const struct shmrpc_owner_report *report,
                       const struct slot *request, const struct slot *response)
{
    cJSON *tree = tool_json_object();
    cJSON *objects = tool_json_object();
    tool_report_to_json(tree, name, report);
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++)
        tool_json_add_bool(objects, object_names[i], report->present[i]);
    tool_json_add(tree, "objects", objects);
    tool_json_add(tree, "request", slot_to_json(request, report->values[0], report->values[1]));
    tool_json_add(tree, "response", slot_to_json(response, report->values[2], report->values[3]));
    tool_print_json(tree);
}

/* ---- The verb ---------------------------------------------------------------------------------
 */

static int inspect(const struct tool_arguments *arguments, const char *name)
{
    struct shmrpc_owner_report report;
    struct slot request = {.bytes = 0};
    struct slot response = {.bytes = 0};
    shmrpc_owner_inspect(name, &report);
    bool any = false;
    for (unsigned i = 0; i < SHMRPC_OBJECT_COUNT; i++)
        any = any || report.present[i];
    if (!any) {
        struct shmrpc_error error;
        shmrpc_error_set(&error, SHMRPC_NOT_FOUND, "no object of this channel exists");
        return tool_report(arguments, name, &error, NULL, "; 'shmrpc list' shows the channels");
    }
    read_slot(name, SHMRPC_OBJECT_REQ, &request);
    read_slot(name, SHMRPC_OBJECT_RESP, &response);
    if (arguments->json)
        print_json(name, &report, &request, &response);
    else
        print_text(name, &report, &request, &response);
    free(request.message);
    free(response.message);
    return TOOL_OK;
}

int tool_inspect(int argc, char **argv)
{
    struct tool_arguments arguments = {"inspect", help, ":h", options, false};
    while (tool_next_option(&arguments, argc, argv) != -1)
        continue;
    if (argc - optind != 1)
        tool_usage_error(arguments.verb, "exactly one NAME is needed");
    struct shmrpc_error error = {SHMRPC_OK, 0, ""};
    if (shmrpc_name_check(argv[optind], &error) != SHMRPC_OK)
        return tool_report(&arguments, argv[optind], &error, NULL, "");
    return inspect(&arguments, argv[optind]);
}

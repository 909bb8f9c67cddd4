/* SPDX-License-Identifier: MIT
 *
 * systemd-logind removes the POSIX shared memory of a user whose last session ends, unless
 * RemoveIPC=no, the user is a system user, or lingers. A server then publishes its channel anew,
 * but the call under way at that moment is lost.
 */
#include "doctor.h"

#include <ctype.h>
#include <dirent.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    MOST_DROP_INS = 256,
    LAST_SYSTEM_UID = 999 /* as systemd is built by default; /etc/login.defs may say otherwise */
};

/* Where drop-ins lie, the most important place first: it masks a file of the same name elsewhere.
 */
static const char *const drop_in_places[] = {
    "/etc/systemd/logind.conf.d",
    "/run/systemd/logind.conf.d",
    "/usr/local/lib/systemd/logind.conf.d",
    "/usr/lib/systemd/logind.conf.d",
};

static const char *const main_files[] = {
    "/etc/systemd/logind.conf",
    "/run/systemd/logind.conf",
    "/usr/local/lib/systemd/logind.conf",
    "/usr/lib/systemd/logind.conf",
};

struct drop_in {
    char name[256];
    const char *place;
};

struct drop_ins {
    size_t count;
    struct drop_in list[MOST_DROP_INS];
};

/* systemd's booleans; anything else leaves the setting as it was. */
static void read_boolean(const char *text, bool *value)
{
    static const char *const yes[] = {"1", "yes", "y", "true", "t", "on"};
    static const char *const no[] = {"0", "no", "n", "false", "f", "off"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcasecmp(text, yes[i]) == 0)
            *value = true;
        if (strcasecmp(text, no[i]) == 0)
            *value = false;
    }
}

static void trim_end(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
}

/* @return false if the file cannot be read. */
static bool read_file(const char *path, bool *remove_ipc)
{
    char line[1024];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        char *at = line + strspn(line, " \t");
        if (strncmp(at, "RemoveIPC", strlen("RemoveIPC")) != 0)
            continue;
        at += strlen("RemoveIPC");
        at += strspn(at, " \t");
        if (*at != '=')
            continue;
        at += 1 + strspn(at + 1, " \t");
        trim_end(at);
        read_boolean(at, remove_ipc);
    }
    fclose(file);
    return true;
}

static void collect(const char *place, struct drop_ins *drop_ins)
{
    DIR *directory = opendir(place);
    if (directory == NULL)
        return;
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL && drop_ins->count < MOST_DROP_INS) {
        size_t length = strlen(entry->d_name);
        bool known = length < 5 || strcmp(entry->d_name + length - 5, ".conf") != 0;
        for (size_t i = 0; i < drop_ins->count; i++)
            known = known || strcmp(drop_ins->list[i].name, entry->d_name) == 0;
        if (known)
            continue;
        struct drop_in *drop_in = &drop_ins->list[drop_ins->count++];
        snprintf(drop_in->name, sizeof drop_in->name, "%s", entry->d_name);
        drop_in->place = place;
    }
    closedir(directory);
}

static int compare_drop_ins(const void *left, const void *right)
{
    return strcmp(((const struct drop_in *)left)->name, ((const struct drop_in *)right)->name);
}

/* The main file first, then the drop-ins by name wherever they lie; the last setting counts. */
static bool is_remove_ipc_set(void)
{
    bool remove_ipc = true; /* logind's own default */
    struct drop_ins *drop_ins = calloc(1, sizeof *drop_ins);
    if (drop_ins == NULL)
        tool_out_of_memory();
    for (size_t i = 0; i < sizeof main_files / sizeof main_files[0]; i++)
        if (read_file(main_files[i], &remove_ipc))
            break;
    for (size_t i = 0; i < sizeof drop_in_places / sizeof drop_in_places[0]; i++)
        collect(drop_in_places[i], drop_ins);
    qsort(drop_ins->list, drop_ins->count, sizeof drop_ins->list[0], compare_drop_ins);
    for (size_t i = 0; i < drop_ins->count; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", drop_ins->list[i].place, drop_ins->list[i].name);
        read_file(path, &remove_ipc);
    }
    free(drop_ins);
    return remove_ipc;
}

static bool lingers(void)
{
    const struct passwd *user = getpwuid(geteuid());
    char path[512];
    if (user == NULL)
        return false;
    snprintf(path, sizeof path, "/var/lib/systemd/linger/%s", user->pw_name);
    return access(path, F_OK) == 0;
}

void tool_doctor_check_logind(struct tool_doctor *doctor)
{
    /* logind makes this directory when it starts. */
    if (access("/run/systemd/users", F_OK) != 0)
        tool_doctor_find(doctor, "removeipc", TOOL_FINDING_OK, NULL, "no logind is running");
    else if (geteuid() <= LAST_SYSTEM_UID)
        tool_doctor_find(doctor, "removeipc", TOOL_FINDING_OK, NULL,
                         "uid %u is a system user, whose objects logind leaves alone",
                         (unsigned)geteuid());
    else if (!is_remove_ipc_set())
        tool_doctor_find(doctor, "removeipc", TOOL_FINDING_OK, NULL, "RemoveIPC=no");
    else if (lingers())
        tool_doctor_find(doctor, "removeipc", TOOL_FINDING_OK, NULL, "this user lingers");
    else
        tool_doctor_find(doctor, "removeipc", TOOL_FINDING_PROBLEM,
                         "loginctl enable-linger, or RemoveIPC=no in /etc/systemd/logind.conf",
                         "logind removes this user's channels when the last session ends");
}

/* SPDX-License-Identifier: MIT
 *
 * How long is waited for a port. A busy machine must not turn into a verdict, so the patience grows by
 * what the kernel says that the port's processes waited for a CPU meanwhile: a measured grace. A
 * process that hangs asleep waits for no CPU and gets none; one that spins gets no more than GRACE_MOST
 * times the patience.
 */
#include "kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { GRACE_MOST = 3, WATCHED = 64, BASE_PART = 16, TREE_DEPTH = 8, TREE_LOOK_MS = 500 };

static pid_t watched[WATCHED];
static int watched_count;

void patience_watch(pid_t pid)
{
    if (watched_count < WATCHED)
        watched[watched_count++] = pid;
}

/* What the threads of a process waited for a CPU since they began, in nanoseconds. */
static int64_t starved_ns(pid_t pid)
{
    char path[320];
    int64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *directory = opendir(path);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        long long ran, waited;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, entry->d_name);
        char *line = file_read(path, NULL);
        if (line != NULL && sscanf(line, "%lld %lld", &ran, &waited) == 2)
            sum += waited;
        free(line);
    }
    if (directory != NULL)
        closedir(directory);
    return sum;
}

static int64_t watched_starved_ms(void)
{
    int64_t sum = 0;
    for (int i = 0; i < watched_count; i++)
        sum += starved_ns(watched[i]);
    return sum / 1000000;
}

static int64_t tree_starved_ns(pid_t pid, int depth)
{
    char path[64];
    int64_t sum = starved_ns(pid);
    /* The worker has one thread, and a port's own children are few: those of first threads will do. */
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    char *children = depth < TREE_DEPTH ? file_read(path, NULL) : NULL;
    char *at = children;
    for (long child; at != NULL && (child = strtol(at, &at, 10)) > 0;)
        sum += tree_starved_ns((pid_t)child, depth + 1);
    free(children);
    return sum;
}

/* What a tree waited so far. Processes come and go, and those that went take their sum along: growth
 * between two looks is added up, so the result is rather too small than too large. */
static void look_at_tree(struct patience *patience, int64_t now)
{
    int64_t sum = tree_starved_ns(patience->tree, 0) / 1000000;
    if (sum > patience->seen)
        patience->starved += sum - patience->seen;
    patience->seen = sum;
    patience->looked = now;
}

struct patience patience_begin(int64_t ms)
{
    int64_t now = now_ms();
    return (struct patience){.ms = ms, .begin = now, .until = now + ms, .starved = -1};
}

struct patience patience_begin_tree(int64_t ms, pid_t pid)
{
    struct patience patience = patience_begin(ms);
    patience.starved = 0;
    patience.tree = pid;
    patience.looked = patience.begin;
    return patience;
}

static int64_t grace_so_far(struct patience *patience, int64_t now)
{
    if (patience->tree == 0)
        return watched_starved_ms() - patience->starved;
    look_at_tree(patience, now);
    return patience->starved;
}

/* Most waits are over at once, so the processes are looked at only when one has lasted a while; and
 * threads may have ended since then, so the sum may be the smaller one. */
bool patience_over(struct patience *patience)
{
    int64_t now = now_ms();
    if (patience->starved < 0 && now - patience->begin >= patience->ms / BASE_PART)
        patience->starved = watched_starved_ms();
    if (patience->tree != 0 && now - patience->looked >= TREE_LOOK_MS)
        look_at_tree(patience, now);
    if (now <= patience->until)
        return false;
    int64_t grace = grace_so_far(patience, now);
    int64_t most = GRACE_MOST * patience->ms;
    if (grace > patience->grace)
        patience->grace = grace < most ? grace : most;
    patience->until = patience->begin + patience->ms + patience->grace;
    return now > patience->until;
}

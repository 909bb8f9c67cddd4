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

enum { GRACE_MOST = 3, WATCHED = 64, BASE_PART = 16 };

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

static int64_t starved_ms(void)
{
    int64_t sum = 0;
    for (int i = 0; i < watched_count; i++)
        sum += starved_ns(watched[i]);
    return sum / 1000000;
}

struct patience patience_begin(int64_t ms)
{
    int64_t now = now_ms();
    return (struct patience){.ms = ms, .begin = now, .until = now + ms, .starved = -1};
}

/* Most waits are over at once, so the processes are looked at only when one has lasted a while; and
 * threads may have ended since then, so the sum may be the smaller one. */
bool patience_over(struct patience *patience)
{
    int64_t now = now_ms();
    if (patience->starved < 0 && now - patience->begin >= patience->ms / BASE_PART)
        patience->starved = starved_ms();
    if (now <= patience->until)
        return false;
    int64_t grace = starved_ms() - patience->starved;
    int64_t most = GRACE_MOST * patience->ms;
    if (grace > patience->grace)
        patience->grace = grace < most ? grace : most;
    patience->until = patience->begin + patience->ms + patience->grace;
    return now > patience->until;
}

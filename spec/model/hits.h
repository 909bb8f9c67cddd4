/* SPDX-License-Identifier: CC0-1.0
 *
 * How often the search let a process die before each step; printed when it ends. */
#ifndef HITS_H
#define HITS_H
#include <stdio.h>
#include <stdlib.h>

static unsigned long hits[256];

static void print_hits(void)
{
    for (int step = 0; step < 256; step++)
        if (hits[step] > 0)
            printf("crash %d %lu\n", step, hits[step]);
}
#endif

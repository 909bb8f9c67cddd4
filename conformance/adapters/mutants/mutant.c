/* SPDX-License-Identifier: MIT
 *
 * Which of the seeded faults this process has: none, or the one that SHMRPC_MUTANT names.
 */
#include <stdio.h>
#include <stdlib.h>

extern int shmrpc_mutant;
int shmrpc_mutant;
void shmrpc_mutant_choose(void);

static const int known[] = {
#include "mutant_numbers.h"
};

void shmrpc_mutant_choose(void)
{
    const char *text = getenv("SHMRPC_MUTANT");
    if (text == NULL)
        return;
    int number = atoi(text);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i] == number)
            shmrpc_mutant = number;
    if (shmrpc_mutant == 0) {
        fprintf(stderr, "there is no mutant %s\n", text);
        exit(2);
    }
}

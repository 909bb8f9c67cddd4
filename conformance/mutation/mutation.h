/* SPDX-License-Identifier: MIT
 *
 * Included in the mutated copy of each source file. Every mutation is compiled in; which one is in
 * force is chosen when the program starts: SHMRPC_MUTATION=NUMBER, 0 or nothing for none.
 */
#ifndef MUTATION_H
#define MUTATION_H

extern unsigned mutation_in_force;
/* One byte a mutation, or null: set where a run comes past it (SHMRPC_MUTATION_HITS=FILE). */
extern unsigned char *mutation_hits;

static inline _Bool mutation(unsigned number)
{
    if (__builtin_expect(mutation_hits != (void *)0, 0))
        mutation_hits[number] = 1;
    return __builtin_expect(mutation_in_force == number, 0);
}

#endif

/* SPDX-License-Identifier: MIT
 *
 * Included before a source file that is parsed, never compiled: with functions in place of the
 * assertions their conditions stand in the syntax tree where they stand in the source.
 */
#ifndef MUTATION_PARSE_H
#define MUTATION_PARSE_H

#include "check.h"

#undef REQUIRE
#undef ENSURE
#undef INVARIANT
#undef UNREACHABLE
#undef SYS_OK
void REQUIRE(_Bool condition);
void ENSURE(_Bool condition);
void INVARIANT(_Bool condition);
_Noreturn void UNREACHABLE(const char *why);
void SYS_OK(int result);

#endif

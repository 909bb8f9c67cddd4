/* SPDX-License-Identifier: MIT
 *
 * The assertion vocabulary. Assertions are never compiled out. They speak of our own code and of
 * the caller's contract; bytes from shared memory, JSON and users are errors, never assertions.
 */
#ifndef SHMRPC_CHECK_H
#define SHMRPC_CHECK_H

/** Called with one line when an assertion fails; must not return. Tests install one that jumps out,
 *  so that every assertion can be fired; null restores the default: the line on stderr, abort(). */
typedef void shmrpc_check_hook(const char *line);
void shmrpc_check_set_hook(shmrpc_check_hook *hook);

_Noreturn void shmrpc_check_failed(const char *kind, const char *what, const char *file, int line,
                                   const char *function);

#define SHMRPC_CHECK(kind, x)                                                                      \
    ((x) ? (void)0 : shmrpc_check_failed(kind, #x, __FILE__, __LINE__, __func__))

/** The caller's contract. */
#define REQUIRE(x) SHMRPC_CHECK("REQUIRE", x)
/** What this function promises. */
#define ENSURE(x) SHMRPC_CHECK("ENSURE", x)
/** What always holds of an object; the argument is usually a call of its shmrpc_ROOM_check(). */
#define INVARIANT(x) SHMRPC_CHECK("INVARIANT", x)
/** A place that is never reached. */
#define UNREACHABLE(why) shmrpc_check_failed("UNREACHABLE", why, __FILE__, __LINE__, __func__)
/** A system call that fails only by our own bug. */
#define SYS_OK(call) SHMRPC_CHECK("SYS_OK", (call) == 0)

#endif

/* SPDX-License-Identifier: CC0-1.0
 *
 * The handshake of one channel: a server, clients that come and go, a crash before every step of
 * either side, deadlines that fire at any wait, and the recovery rules. How names are taken and
 * given is names.pml; here opening a channel is one step.
 *
 * Two budgets bound a run: `crashes` and `deadlines`. Once they are spent, whoever still lives must
 * end without help: a process that then waits for ever is what Spin calls an invalid end state.
 * That is how "no deadlock outlives a deadline" is checked as a safety property.
 *
 * Every rule has a switch that removes it, -DNO_..., and test.txt names the configuration in which
 * the removal fails. Step names come from steps.txt (build/model/steps.h).
 */
#include "steps.h"

#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef CALLS
#define CALLS 2
#endif
#ifndef ORIGINALS
#define ORIGINALS 0 /* clients of the original: no lock, no withdrawal, no zeroing */
#endif
#ifndef GENERATIONS
#define GENERATIONS 1 /* servers that follow one another, each with new objects */
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef DEADLINES
#define DEADLINES 2
#endif
#ifndef SERVER_DEADLINES
#define SERVER_DEADLINES 1
#endif
#ifndef STRAYS
#define STRAYS 0 /* posts of req_full that nobody owes */
#endif

#define EVERYONE (CLIENTS + ORIGINALS)
#define IDS (EVERYONE * CALLS + 1)

/* The kernel objects of a generation. */
byte req_empty[GENERATIONS], req_full[GENERATIONS], resp_empty[GENERATIONS], resp_full[GENERATIONS];
/* A slot: whether the length word is not zero, and whose bytes the two halves are. */
bit req_len[GENERATIONS], resp_len[GENERATIONS];
byte req_a[GENERATIONS], req_b[GENERATIONS], resp_a[GENERATIONS], resp_b[GENERATIONS];
bit owner_lock[GENERATIONS];   /* on the request segment: the server's, for life */
byte client_lock[GENERATIONS]; /* on the response segment */
byte holders[GENERATIONS];     /* one bit a client that has the response segment open or mapped */
bit lease[GENERATIONS];        /* on the response segment: the server's, who thereby keeps all out */
byte current = 0;              /* the generation under the name */

byte crashes = CRASHES, deadlines = DEADLINES, server_deadlines = SERVER_DEADLINES;
byte ended = 0;

/* What only the checker knows. */
bit executed[IDS], taken[IDS], not_started[IDS], dropped[IDS];

#define HIT(step) c_code { hits[step]++; }
#define CRASH(step) atomic { crashes > 0 -> crashes--; HIT(step); goto dead }
/* One step: it happens, or the process dies before it. */
#define STEP(step, ...) if :: atomic { true -> __VA_ARGS__ } :: CRASH(step) fi

/* A post that nobody owes may tear a message, which is then no valid one, and may deceive a
 * withdrawal: who may post may do harm. Even so nothing must run twice. */
#if STRAYS
#define POST(semaphore) semaphore++
#define NO_MESSAGE (l == 0 || a != b)
#else
#define NO_MESSAGE (l == 0)
#define POST(semaphore) semaphore++; assert(semaphore == 1)
#endif

#define ALIVE(g) (owner_lock[g] == 1)
#define NO_SERVER (!ALIVE(current) && current == GENERATIONS - 1)
/* A lease is got where nobody has the segment, and nobody gets the segment while there is one. */
#ifdef NO_LEASE_EXCLUSION
#define MAY_OPEN(g) true
#else
#define MAY_OPEN(g) (lease[g] == 0)
#endif
#define REQ_00(g) (req_empty[g] == 0 && req_full[g] == 0)
#define RESP_00(g) (resp_empty[g] == 0 && resp_full[g] == 0)
#define SETTLED(g) (!REQ_00(g) && !RESP_00(g))
#define CLEAN(g) (req_empty[g] == 1 && req_full[g] == 0 && resp_empty[g] == 1 && \
                  resp_full[g] == 0 && client_lock[g] == 0)

c_decl {
\#include "hits.h"
}

inline detach(g, who)
{
    if :: client_lock[g] == who + 1 -> client_lock[g] = 0 :: else fi;
    holders[g] = holders[g] & ~(1 << who)
}

/* A deadline fires while a client waits for the answer to id. One that the server dropped, as it may,
 * is a reason to run out of time that costs no budget. */
#if ORIGINALS
/* Beside a client of the original, which does not keep out, a dead one's slot can be repaired only
 * when ours has gone: so its deadlines are what ends its calls, every time. */
#define DEADLINE(id) true
#define SPEND_DEADLINE(id) skip
#else
#define DEADLINE(id) (deadlines > 0 || dropped[id])
#define SPEND_DEADLINE(id) if :: dropped[id] :: else -> deadlines-- fi
#endif

#ifdef PIPE
/* The byte pipe knows no ids: what waited when the client came must not be taken for an answer. */
#define SEE_STALE stale = (resp_full[g] > 0 -> resp_a[g] : 0)
#ifdef PIPE_LIMIT
#define ANSWERS (a == id)
#else
#define ANSWERS (a != stale)
#endif
#else
#define SEE_STALE skip
#define ANSWERS (a == id)
#endif

proctype client(byte me)
{
    byte g, k, id, a, b, l, stale;
    bit early = 1, gone;

attach:
    a = 0; b = 0; l = 0; id = 0; stale = 0;
    if
    :: atomic { ALIVE(current) && MAY_OPEN(current) -> g = current; holders[g] = holders[g] | (1 << me) }
    :: atomic { NO_SERVER -> goto out }
    :: CRASH(client_attach_open_resp_full)
    fi;
#ifndef NO_CLIENT_LOCK
    if
    :: atomic { client_lock[g] == 0 -> client_lock[g] = me + 1; SEE_STALE }
    :: atomic { client_lock[g] != 0 -> detach(g, me) }
       /* The pause before the next try is long beside the try, so the server's lease is not kept off
        * by one every time. That is assumed, not shown. */
progress_busy:
       if
       :: atomic { client_lock[g] == 0 || !ALIVE(g) -> goto attach }
       fi
    :: CRASH(client_attach_lock_resp)
    fi;
#endif
#ifndef NO_ATTACH_DISCARD
    if
    :: atomic { resp_full[g] > 0 -> resp_full[g]-- }
       STEP(client_discard_zero, resp_len[g] = 0);
       STEP(client_discard_post_empty, POST(resp_empty[g]))
    :: atomic { resp_full[g] == 0 -> skip }
    :: CRASH(client_discard_trywait_full)
    fi;
#endif
#ifndef NO_STUCK_DETACH
    /* Each slot is watched until it is seen in use or free; a dead client's stays as it is. */
    if
    :: atomic { !REQ_00(g) -> skip }
    :: atomic { REQ_00(g) -> goto stuck }
    :: CRASH(client_attach_check_slots)
    fi;
    if
    :: atomic { !RESP_00(g) -> goto attached }
    :: atomic { RESP_00(g) -> goto stuck }
    fi;
stuck:
    atomic { detach(g, me) };
    /* A pause long enough for the server to repair; once, too short a one. */
    if
    :: atomic { SETTLED(g) || !ALIVE(g) -> goto attach }
    :: atomic { early -> early = 0; goto attach }
    fi;
#endif
attached:
    skip;

call:
    if
    :: atomic { k == CALLS -> detach(g, me); goto out }
    :: atomic { k < CALLS -> k++; id = me * CALLS + k; gone = 0 }
    :: CRASH(client_detach)
    fi;
    if
    :: atomic { req_empty[g] > 0 -> req_empty[g]-- }
    :: atomic { !ALIVE(g) -> not_started[id] = 1; detach(g, me); goto attach }
    :: atomic { DEADLINE(id) -> SPEND_DEADLINE(id); not_started[id] = 1; goto call }
    :: CRASH(client_request_wait_empty)
    fi;
    STEP(client_request_copy_begin, req_len[g] = 1; req_a[g] = id);
    STEP(client_request_copy_middle, req_b[g] = id);
    if :: CRASH(client_request_copy_end) :: atomic { true -> skip } fi;
    STEP(client_request_post_full, POST(req_full[g]));
receive:
    a = 0; b = 0; l = 0;
    if
    :: atomic { resp_full[g] > 0 -> resp_full[g]-- }
    :: atomic { !ALIVE(g) -> gone = 1; goto withdraw }
    :: atomic { DEADLINE(id) -> SPEND_DEADLINE(id); goto withdraw }
    :: CRASH(client_response_wait_full)
    fi;
    STEP(client_response_copy_begin, l = resp_len[g]; a = resp_a[g]);
    STEP(client_response_copy_middle, b = resp_b[g]);
    STEP(client_response_zero, resp_len[g] = 0);
    STEP(client_response_post_empty, POST(resp_empty[g]));
    if
#if !defined(NO_FOREIGN_ID) && !defined(PIPE)
    :: atomic { a != id || b != id || l == 0 -> goto receive }
    :: atomic { else -> skip }
#else
    :: atomic { true -> skip }
#endif
    fi;
    /* OK is returned: whole, not stale, ours, and run. */
    atomic { assert(l == 1 && a == b && ANSWERS && executed[a]); goto call };

withdraw:
#ifndef NO_WITHDRAW
    if
    :: atomic { req_full[g] > 0 -> req_full[g]-- }
    :: atomic { req_full[g] == 0 -> goto withdrawn }
    :: CRASH(client_withdraw_trywait_full)
    fi;
#ifndef NO_OWN_BYTES
    if
    :: atomic { req_len[g] == 1 && req_a[g] == id && req_b[g] == id -> skip }
    :: atomic { else -> skip }
       STEP(client_withdraw_put_back, POST(req_full[g]));
       goto withdrawn
    :: CRASH(client_withdraw_compare)
    fi;
#endif
    STEP(client_withdraw_zero, req_len[g] = 0);
    STEP(client_withdraw_post_empty, POST(req_empty[g]));
    atomic { not_started[id] = 1; assert(!executed[id] || STRAYS); goto next };
#endif
withdrawn:
    /* MAYBE_EXECUTED is told only when it may. */
    atomic { assert(taken[id] || STRAYS) };
next:
    if
    :: atomic { gone -> detach(g, me); goto attach }
    :: atomic { !gone -> goto call }
    fi;

dead:
    atomic { detach(g, me); goto out };
out:
    atomic { ended++; me = 0; g = 0; k = 0; id = 0; a = 0; b = 0; l = 0; stale = 0; early = 0; gone = 0 }
}

#if ORIGINALS
/* A client as the Python package has it: it may share the channel although it must not. It never
 * withdraws, never zeroes, takes no lock, and accepts no foreign id but fails on it. */
proctype original(byte me)
{
    byte g, k, id, a, b;

    if
    :: atomic { ALIVE(current) && MAY_OPEN(current) -> g = current; holders[g] = holders[g] | (1 << me) }
    :: atomic { NO_SERVER -> goto out }
    fi;
call:
    if
    :: atomic { k == CALLS -> goto dead }
    :: atomic { k < CALLS -> k++; id = me * CALLS + k }
    fi;
    if
    :: atomic { req_empty[g] > 0 -> req_empty[g]-- }
    :: atomic { true -> goto call }
    :: CRASH(client_request_wait_empty)
    fi;
    STEP(client_request_copy_begin, req_len[g] = 1; req_a[g] = id);
    STEP(client_request_copy_middle, req_b[g] = id);
    STEP(client_request_post_full, POST(req_full[g]));
    if
    :: atomic { resp_full[g] > 0 -> resp_full[g]-- }
    :: atomic { true -> goto call }
    :: CRASH(client_response_wait_full)
    fi;
    STEP(client_response_copy_begin, a = resp_a[g]);
    STEP(client_response_copy_middle, b = resp_b[g]);
    STEP(client_response_post_empty, POST(resp_empty[g]));
    atomic { assert(a == b); goto call };
dead:
    atomic { detach(g, me) };
out:
    atomic { ended++; me = 0; g = 0; k = 0; id = 0; a = 0; b = 0 }
}
#endif

/* What makes a server look: a pattern that may be an abandoned slot. One look a run may come too
 * early, while a client is there; more of them would only hide a deadlock, and so would looking
 * again after a look that had its proof and changed nothing. */
#define PATTERN(g) (REQ_00(g) || resp_empty[g] == 0)
#ifdef NO_REPAIR_LEASE
#define NOBODY(g) true
#else
#define NOBODY(g) (holders[g] == 0)
#endif
#define SUSPECT(g) ((NOBODY(g) || early) && !futile && PATTERN(g))
#define LOOK early = (NOBODY(g) -> early : 0); same = 1; e1 = req_empty[g] > 0; f1 = req_full[g] > 0; e2 = resp_empty[g] > 0; f2 = resp_full[g] > 0
#define SAME(a, b) atomic { same = same && a == (b > 0) }
#define SAME_VALUES SAME(e1, req_empty[g]); SAME(f1, req_full[g]); SAME(e2, resp_empty[g]); \
                    SAME(f2, resp_full[g])
#define FORGET_LOOK e1 = 0; f1 = 0; e2 = 0; f2 = 0; same = 0

proctype server(byte g)
{
    byte a, b, l;
    bit early = 1, answering, futile, same, e1, f1, e2, f2; /* e, f: values seen before */

    if
    :: atomic { g == 0 -> skip }
#if GENERATIONS > 1
    :: atomic { g > 0 && !ALIVE(g - 1) && current == g - 1 -> owner_lock[g] = 1; current = g;
                req_empty[g] = 1; resp_empty[g] = 1 }
    :: atomic { g > 0 && ended == EVERYONE -> goto end_stop }
#endif
    fi;

idle:
end_idle:
    if
    :: atomic { req_full[g] > 0 -> req_full[g]--; taken[req_a[g]] = 1; futile = 0 }
    :: atomic { SUSPECT(g) -> LOOK; goto repair }
    :: CRASH(server_request_wait_full)
#if STRAYS
    :: atomic { req_empty[g] > 1 || resp_empty[g] > 1 || resp_full[g] > 1 -> goto dead }
#endif
    fi;
    STEP(server_request_copy_begin, l = req_len[g]; a = req_a[g]);
    STEP(server_request_copy_middle, b = req_b[g]);
#ifndef NO_ZERO
    STEP(server_request_zero, req_len[g] = 0);
#endif
    STEP(server_request_post_empty, POST(req_empty[g]));
    if
    :: atomic { l == 0 -> a = 0; b = 0; goto idle }
    :: atomic { NO_MESSAGE -> a = 0; b = 0; l = 0; goto idle }
    :: atomic { !NO_MESSAGE -> assert(a == b && !executed[a] && (!not_started[a] || STRAYS)); executed[a] = 1; l = 0; b = 0 }
    :: CRASH(server_handler_begin)
    fi;
    answering = 1;
answer:
    if
    :: atomic { resp_empty[g] > 0 -> resp_empty[g]--; futile = 0 }
    :: atomic { SUSPECT(g) -> LOOK; goto repair }
    :: atomic { resp_empty[g] == 0 && server_deadlines > 0 -> server_deadlines--; dropped[a] = 1;
                answering = 0; a = 0; goto idle }
    :: CRASH(server_response_wait_empty)
    fi;
    STEP(server_response_copy_begin, resp_len[g] = 1; resp_a[g] = a);
    STEP(server_response_copy_middle, resp_b[g] = a);
    if :: CRASH(server_response_copy_end) :: atomic { true -> skip } fi;
    STEP(server_response_post_full, POST(resp_full[g]); answering = 0; a = 0);
    goto idle;

repair:
    /* Values stood still for a slice. Now the lease, and under it the same values again. */
#ifndef NO_REPAIR_LEASE
    if
    :: atomic { holders[g] == 0 -> lease[g] = 1 }
    :: atomic { holders[g] != 0 -> goto repaired }
    :: CRASH(server_repair_lease_resp)
    fi;
#endif
#ifndef NO_REPAIR_RECHECK
    SAME_VALUES;
#endif
    if :: atomic { same -> futile = 1 } :: atomic { !same -> goto give_back } fi;
#ifndef NO_REPAIR_REQ
    STEP(server_repair_post_req_empty, if :: !e1 && !f1 -> POST(req_empty[g]); futile = 0 :: else fi);
#endif
#ifndef NO_REPAIR_UNCOLLECTED
    if
    :: atomic { f2 && resp_full[g] > 0 -> resp_full[g]--; futile = 0 }
       STEP(server_discard_zero, resp_len[g] = 0);
       STEP(server_discard_post_empty, POST(resp_empty[g]))
    :: atomic { else -> skip }
    :: CRASH(server_discard_trywait_full)
    fi;
#endif
#ifndef NO_REPAIR_RESP
    STEP(server_repair_reuse_resp, if :: !e2 && !f2 -> POST(resp_empty[g]); futile = 0 :: else fi);
#endif
give_back:
    STEP(server_repair_release_resp, lease[g] = 0);
repaired:
    atomic { FORGET_LOOK };
    if
    :: atomic { answering -> goto answer }
    :: atomic { !answering -> goto idle }
    fi;

dead:
    atomic { owner_lock[g] = 0; lease[g] = 0 };
end_stop:
    atomic { g = 0; a = 0; b = 0; l = 0; early = 0; answering = 0; futile = 0; FORGET_LOOK }
}

#if STRAYS
proctype stray()
{
    byte n = STRAYS;
    do
    :: atomic { n > 0 -> n--; req_full[0]++ }
    :: atomic { true -> break }
    od
}
#endif

/* At any moment luck may turn: no more crashes, no more deadlines. Without this, a process that could
 * still crash would never count as stuck. When then every client has gone, a living server's channel
 * must come back to its first state. */
proctype finish()
{
    atomic { crashes = 0; deadlines = 0; server_deadlines = 0 };
    if
    :: atomic { ended == EVERYONE && !ALIVE(current) -> skip }
    :: atomic { ended == EVERYONE && ALIVE(current) && CLEAN(current) -> skip }
    fi
}

init
{
    c_code { atexit(print_hits); };
    atomic {
        byte n;
        owner_lock[0] = 1; req_empty[0] = 1; resp_empty[0] = 1;
        for (n : 0 .. GENERATIONS - 1) { run server(n) };
        for (n : 0 .. CLIENTS - 1) { run client(n) };
#if ORIGINALS
        for (n : CLIENTS .. EVERYONE - 1) { run original(n) };
#endif
#if STRAYS
        run stray();
#endif
        run finish();
        n = 0
    }
}

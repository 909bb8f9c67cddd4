/* SPDX-License-Identifier: CC0-1.0
 *
 * How a channel's names are taken and given: servers that race for them, a server and client of the
 * original, a crash before every step, and whatever a dead server may have left before. What happens
 * in the slots is channel.pml. Three names stand for six: req, resp, and one semaphore, the last.
 *
 * An object is known by its maker. Objects that lead nowhere any more are not followed further.
 * Every rule has a switch that removes it, -DNO_..., and test.txt names the configuration in which
 * the removal fails. Step names come from steps.txt (build/model/steps.h).
 */
#include "steps.h"

#ifndef OURS
#define OURS 2 /* servers with ownership that race */
#endif
#ifndef ORIGINALS
#define ORIGINALS 1 /* servers of the original that race with them */
#endif
#ifndef CLIENTS
#define CLIENTS 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#define LAST (OURS + ORIGINALS + 1) /* comes when all others have ended, and must succeed */
#define DEAD_OURS (LAST + 1)        /* ended before the run began */
#define DEAD_ORIGINAL (LAST + 2)
#define IDS (LAST + 3)
#define MARKED(id) (id <= OURS || id == LAST || id == DEAD_OURS)
#define EVERYONE (OURS + ORIGINALS + CLIENTS)

#define REQ 0
#define RESP 1
#define SEM 2

byte name[3];                /* whose object it leads to; 0: it does not exist */
byte lock[IDS];              /* who holds the lock on this maker's req */
byte looks_at[IDS];          /* the req that this reclaimer has open */
byte descriptors[IDS], maps[IDS]; /* of its own objects, one bit each */
byte opened[CLIENTS * 3 + 1];     /* what clients hold, as descriptor or map */
byte crashes = CRASHES, ended = 0;
bit crashed = 0, original_was_there = ORIGINALS > 0, published = 0;

#define HIT(step) c_code { hits[step]++; }
#define CRASH(step) atomic { crashes > 0 -> crashes--; crashed = 1; HIT(step); goto dead }
#define STEP(step, ...) if :: atomic { true -> __VA_ARGS__ } :: CRASH(step) fi

#define HOLDS(id) ((descriptors[id] | maps[id]) != 0)
/* Removing a name from under somebody who lives and holds it is what must never happen. With WINDOW
 * the original can do it, and what follows from that: there, what is checked is that it is noticed. */
#ifdef ROBBERY_NOTICED
#define UNLINK(n) name[n] = 0
#define UNLINK_BLINDLY(n) name[n] = 0
#else
#define UNLINK(n) assert(name[n] == 0 || name[n] == me || !HOLDS(name[n])); name[n] = 0
#define UNLINK_BLINDLY(n) assert(name[n] == 0 || name[n] == me); name[n] = 0
#endif
#define MINE (name[REQ] == me && name[RESP] == me && name[SEM] == me)
#ifdef NO_CHECK_ALL_NAMES
#define LOST (name[REQ] != me)
#else
#define LOST (!MINE)
#endif
#define LIVING_OWNER (name[REQ] != 0 && HOLDS(name[REQ]))

c_decl {
\#include "hits.h"
}

/* The proof is a lease: it is got where nobody else has the object open or mapped, and nobody opens it
 * while there is one. What the lock on a marked req speaks for needs none. */
byte leased[IDS * 3]; /* by whom */
#define LEASE(n, id) leased[(id) * 3 + n]
#define MAY_OPEN(n) (LEASE(n, name[n]) == 0)
#define DOUBTFUL(id) (id != 0 && !(speaks && MARKED(id)))
#if CLIENTS > 0
#define CLIENT_HAS(n, id) (opened[n] == id)
#else
#define CLIENT_HAS(n, id) false
#endif

inline take_lease(n, id)
{
    atomic {
        if
        :: !DOUBTFUL(id) -> skip
        :: DOUBTFUL(id) ->
            for (q : 1 .. LAST) { if :: n == REQ && q != me && looks_at[q] == id -> transient = 1 :: else fi };
            q = 0;
            if :: CLIENT_HAS(n, id) || LEASE(n, id) != 0 -> transient = 1 :: else fi;
            if
            :: ((descriptors[id] | maps[id]) & (1 << n)) != 0 -> held = 1
            :: else ->
                if
                :: transient -> held = 1
                :: !transient -> LEASE(n, id) = me; leases = 1
                fi
            fi
        fi
    }
}

inline give_leases_back()
{
    if
    :: leases ->
        for (q : 0 .. IDS * 3 - 1) { if :: leased[q] == me -> leased[q] = 0 :: else fi };
        q = 0; leases = 0
    :: else
    fi
}

#define FORGET c_resp = 0; c_sem = 0; held = 0; transient = 0; speaks = 0

#ifdef NO_PROOF
#define LEASE_REQ skip
#define LEASE_PIECES skip
#else
#define LEASE_REQ if :: CRASH(server_reclaim_lease) :: atomic { true -> skip } fi; take_lease(REQ, fd)
#define LEASE_PIECES if :: CRASH(server_reclaim_lease) :: atomic { true -> skip } fi; \
                     take_lease(RESP, c_resp); take_lease(SEM, c_sem)
#endif
/* Looked at directly before the name is unlinked, which is still two steps. */
#ifdef NO_SAME_INODE
#define SAME_AS(n, id) true
#else
#define SAME_AS(n, id) (name[n] == id)
#endif

proctype ours(byte me)
{
    byte fd, c_resp, c_sem, q;
    bit speaks, held, transient, completing, leases;

    if
    :: atomic { me != LAST -> skip }
    /* Racing servers cannot all lose: with no crash, no original and no client, one has served. */
    :: atomic { me == LAST && ended == EVERYONE ->
                assert(published || crashed || original_was_there || CLIENTS > 0); crashes = 0 }
    fi;
claim:
    STEP(server_create_make, skip);
    if
    :: atomic { name[REQ] == 0 -> name[REQ] = me; lock[me] = me; maps[me] = 7; goto complete }
    :: atomic { name[REQ] != 0 -> skip }
    :: CRASH(server_create_link_req)
    fi;

    /* The name is taken. */
    if
    :: atomic { name[REQ] != 0 && MAY_OPEN(REQ) -> fd = name[REQ]; looks_at[me] = fd; speaks = MARKED(fd) }
    :: atomic { name[REQ] != 0 && !MAY_OPEN(REQ) -> goto claim }
#ifdef NO_PIECES_BESIDE_OWN_REQ
    :: atomic { name[REQ] == 0 -> goto pieces }
#else
    :: atomic { name[REQ] == 0 -> goto claim }
#endif
    :: CRASH(server_reclaim_open_req)
    fi;
#ifndef NO_OWNER_LOCK
    if
    :: atomic { lock[fd] == 0 -> lock[fd] = me }
    /* A living owner keeps it; who only reclaims, lets go soon. Either is tried for a while. */
#ifdef NO_BUSY_RETRY
    :: atomic { lock[fd] != 0 -> looks_at[me] = 0; fd = 0; FORGET; goto lost }
#else
    :: atomic { lock[fd] == fd -> looks_at[me] = 0; fd = 0; FORGET; goto lost }
    :: atomic { lock[fd] != 0 -> looks_at[me] = 0; fd = 0; FORGET; goto claim }
#endif
    :: CRASH(server_reclaim_lock_req)
    fi;
#endif
#ifndef NO_LEASE_FIRST
    /* Who still makes more objects, or is about to unlink these by name, is seen by req alone, so it
     * comes before the look at the others. */
    LEASE_REQ;
#endif
#ifndef NO_NAME_RECHECK
    if
    :: atomic { name[REQ] == fd -> skip }
    :: atomic { name[REQ] != fd -> goto let_go }
    :: CRASH(server_reclaim_check_name)
    fi;
#endif
    atomic { c_resp = name[RESP] };
    atomic { c_sem = name[SEM] };
#ifdef NO_LEASE_FIRST
    LEASE_REQ;
#endif
#ifdef NO_MIXED_PROOF
    if :: atomic { speaks -> goto unlink } :: atomic { !speaks -> skip } fi;
#endif
    LEASE_PIECES;
    if :: atomic { held -> goto let_go } :: atomic { !held -> skip } fi;
unlink:
#ifdef NO_REQ_LAST
    STEP(server_reclaim_unlink_req, if :: name[REQ] == fd -> UNLINK(REQ) :: else fi);
#endif
    atomic { c_resp = (SAME_AS(RESP, c_resp) -> c_resp : 0) };
    STEP(server_reclaim_unlink_resp, if :: c_resp != 0 -> UNLINK(RESP) :: else fi);
    atomic { c_sem = (SAME_AS(SEM, c_sem) -> c_sem : 0) };
    STEP(server_reclaim_unlink_resp_full, if :: c_sem != 0 -> UNLINK(SEM) :: else fi);
#ifndef NO_REQ_LAST
    STEP(server_reclaim_unlink_req, if :: SAME_AS(REQ, fd) -> UNLINK(REQ) :: else fi);
#endif
    goto let_go_dead;

let_go:
    if
    :: atomic { held && !transient -> if :: lock[fd] == me -> lock[fd] = 0 :: else fi;
                give_leases_back(); looks_at[me] = 0; fd = 0; FORGET; goto lost }
#ifdef NO_BUSY_RETRY
    :: atomic { held && transient -> if :: lock[fd] == me -> lock[fd] = 0 :: else fi;
                give_leases_back(); looks_at[me] = 0; fd = 0; FORGET; goto lost }
    :: atomic { !held -> if :: lock[fd] == me -> lock[fd] = 0 :: else fi;
                give_leases_back(); looks_at[me] = 0; fd = 0; FORGET; goto claim }
#else
    :: atomic { true -> if :: lock[fd] == me -> lock[fd] = 0 :: else fi;
                give_leases_back(); looks_at[me] = 0; fd = 0; FORGET; goto claim }
#endif
    :: CRASH(server_reclaim_close_req)
    fi;
let_go_dead:
#ifndef NO_CLOSE_DEAD_REQ
    STEP(server_reclaim_close_req, if :: lock[fd] == me -> lock[fd] = 0 :: else fi; give_leases_back(); looks_at[me] = 0);
#else
    atomic { give_leases_back() };
#endif
    atomic { fd = 0; FORGET; goto claim };

complete:
    if
    :: atomic { name[RESP] == 0 -> name[RESP] = me }
    :: atomic { name[RESP] == me -> skip }
    /* For 200 ms a closing original is waited for; then the pieces are looked at, once. */
    :: atomic { name[RESP] != 0 && name[RESP] != me && !completing -> goto pieces }
    :: atomic { name[RESP] != 0 && name[RESP] != me && completing -> completing = 0; goto close }
    :: CRASH(server_create_link_resp)
    fi;
    if
    :: atomic { name[SEM] == 0 -> name[SEM] = me }
    :: atomic { name[SEM] != 0 && !completing -> goto pieces }
    :: atomic { name[SEM] != 0 && completing -> completing = 0; goto close }
    :: CRASH(server_create_link_resp_full)
    fi;
    atomic { assert(MINE || original_was_there); completing = 0; published = 1 };
    if
    :: atomic { true -> ended++ } /* serves for ever */
    :: atomic { me != LAST -> goto close }
    :: CRASH(server_serve)
    fi;
end_serving:
    /* An idle server looks at its names; what it then publishes anew is another run. */
    atomic { LOST -> ended--; goto close };

pieces:
    atomic { c_resp = name[RESP]; c_resp = (c_resp == me -> 0 : c_resp) };
    atomic { c_sem = name[SEM]; c_sem = (c_sem == me -> 0 : c_sem) };
#ifndef NO_PIECES_PROOF
    LEASE_PIECES;
    if
    :: atomic { held == 0 -> skip }
    :: atomic { held == 1 -> give_leases_back(); FORGET; goto refused }
    fi;
#endif
    atomic { c_resp = (SAME_AS(RESP, c_resp) -> c_resp : 0) };
    STEP(server_reclaim_unlink_resp, if :: c_resp != 0 -> UNLINK(RESP) :: else fi);
    atomic { c_sem = (SAME_AS(SEM, c_sem) -> c_sem : 0) };
    STEP(server_reclaim_unlink_resp_full, if :: c_sem != 0 -> UNLINK(SEM) :: else fi);
    atomic { give_leases_back(); FORGET };
    if
    :: atomic { maps[me] != 0 -> completing = 1; goto complete }
    :: atomic { maps[me] == 0 -> goto claim }
    fi;
refused:
    if
    :: atomic { maps[me] != 0 -> goto close }
    :: atomic { maps[me] == 0 -> goto lost }
    fi;

close:
    STEP(server_close_unlink_resp, if :: name[RESP] == me -> name[RESP] = 0 :: else fi);
    STEP(server_close_unlink_resp_full, if :: name[SEM] == me -> name[SEM] = 0 :: else fi);
    STEP(server_close_unlink_req, if :: name[REQ] == me -> name[REQ] = 0 :: else fi);
    atomic { maps[me] = 0; lock[me] = 0 };
lost:
    /* The last one has nobody to lose to but a living owner, who has all its names or notices. */
#ifndef ROBBERY_NOTICED
    atomic { assert(me != LAST || LIVING_OWNER) };
#endif
    if
    :: atomic { me != LAST -> skip }
    :: atomic { me == LAST && (name[REQ] == 0 ||
                (name[RESP] == name[REQ] && name[SEM] == name[REQ])) -> skip }
    fi;
dead:
    atomic { byte i;
             for (i : 0 .. IDS - 1) { if :: lock[i] == me -> lock[i] = 0 :: else fi };
             i = 0; give_leases_back(); maps[me] = 0; looks_at[me] = 0; fd = 0; FORGET; completing = 0; ended++; me = 0 }
}

/* A server of the original: no lock, no mark. It opens by name and closes the descriptors once both
 * segments are mapped; when it closes it lets go before it unlinks, and unlinks blindly. */
#if ORIGINALS > 0
proctype original(byte me)
{
    if
    :: atomic { name[REQ] == 0 -> name[REQ] = me; descriptors[me] = 1 }
    :: atomic { name[REQ] != 0 -> goto dead }
    :: CRASH(original_create)
    fi;
    if
    :: atomic { name[RESP] == 0 -> name[RESP] = me; descriptors[me] = 3 }
    :: atomic { name[RESP] != 0 -> goto close }
    :: CRASH(original_create)
    fi;
    atomic { maps[me] = 3 };
    STEP(original_create, descriptors[me] = 0);
    if
    :: atomic { name[SEM] == 0 -> name[SEM] = me; maps[me] = 7 }
    :: atomic { name[SEM] != 0 -> goto close }
    :: CRASH(original_create)
    fi;
    if
    :: atomic { true -> ended++; goto end_serving }
    :: atomic { true -> skip }
    :: CRASH(original_serve)
    fi;
close:
#ifdef WINDOW
    STEP(original_close, maps[me] = maps[me] & 4);
    STEP(original_close, UNLINK_BLINDLY(REQ));
    STEP(original_close, if :: descriptors[me] == 1 -> skip :: else -> UNLINK_BLINDLY(RESP) fi);
    if :: atomic { maps[me] != 0 -> maps[me] = 0 } :: atomic { maps[me] == 0 -> goto dead } fi;
    STEP(original_close, UNLINK_BLINDLY(SEM));
#else
    if
    :: atomic { maps[me] == 7 -> maps[me] = 4 }
    /* It did not come as far as the semaphores: nothing holds, so this is the window as well. */
    :: atomic { maps[me] == 3 -> maps[me] = 0; UNLINK_BLINDLY(REQ); UNLINK_BLINDLY(RESP); goto dead }
    :: atomic { maps[me] == 0 -> UNLINK_BLINDLY(REQ); goto dead }
    :: CRASH(original_close)
    fi;
    STEP(original_close, UNLINK_BLINDLY(REQ));
    STEP(original_close, UNLINK_BLINDLY(RESP));
    STEP(original_close, maps[me] = 0; UNLINK_BLINDLY(SEM));
#endif
dead:
    atomic { maps[me] = 0; descriptors[me] = 0; ended++; me = 0; goto end };
end_serving:
    false;
end:
    skip
}
#endif

#if CLIENTS > 0
#define AT(n) opened[me * 3 + n]
#define DROP AT(REQ) = 0; AT(RESP) = 0; AT(SEM) = 0
#ifdef NO_MARK_CHECK
#define HALF_MADE(n) (name[n] == 0 || !MAY_OPEN(n))
#else
#define HALF_MADE(n) (name[n] == 0 || !MAY_OPEN(n) || (MARKED(AT(REQ)) && !MARKED(name[n])))
#endif

proctype client(byte me)
{
attach:
    if
    :: atomic { name[REQ] != 0 && MAY_OPEN(REQ) -> AT(REQ) = name[REQ] }
    :: atomic { true -> goto dead } /* not there for as long as it was willing to wait */
    :: CRASH(client_attach_open_req)
    fi;
    if
    :: atomic { HALF_MADE(RESP) -> DROP; goto attach }
    :: atomic { !HALF_MADE(RESP) -> AT(RESP) = name[RESP] }
    :: CRASH(client_attach_open_resp)
    fi;
    if
    :: atomic { HALF_MADE(SEM) -> DROP; goto attach }
    :: atomic { !HALF_MADE(SEM) -> AT(SEM) = name[SEM] }
    :: CRASH(client_attach_open_resp_full)
    fi;
#ifndef NO_NAME_CHECK
    if
    :: atomic { name[REQ] != AT(REQ) -> DROP; goto attach }
    :: atomic { name[REQ] == AT(REQ) -> skip }
    :: CRASH(client_attach_check_name)
    fi;
#endif
    if
    :: atomic { MARKED(AT(REQ)) && lock[AT(REQ)] == 0 -> DROP; goto attach }
    :: atomic { !MARKED(AT(REQ)) || lock[AT(REQ)] != 0 -> skip }
    :: CRASH(client_attach_check_lock)
    fi;
    atomic { assert(!MARKED(AT(REQ)) || (AT(REQ) == AT(RESP) && AT(REQ) == AT(SEM))) };
    /* Attached. It leaves when it likes while its server lives; of the server's death it must learn. */
    if
    :: atomic { !MARKED(AT(REQ)) || HOLDS(AT(REQ)) || lock[AT(REQ)] == 0 -> skip }
    :: CRASH(client_detach)
    fi;
dead:
    atomic { DROP; ended++; me = 0 }
}
#endif

/* At any moment luck may turn. Without this, a process that could still crash would never be stuck. */
proctype finish()
{
    atomic { crashes = 0 }
}

/* What may be there before: nothing, or what a dead server of either kind left, complete or not. */
init
{
    c_code { atexit(print_hits); };
    atomic {
        byte n;
        if
        :: skip
        :: name[REQ] = DEAD_OURS; name[RESP] = DEAD_OURS; name[SEM] = DEAD_OURS
        :: name[REQ] = DEAD_OURS; name[RESP] = DEAD_OURS
        :: name[REQ] = DEAD_OURS
        :: name[REQ] = DEAD_OURS; name[RESP] = DEAD_ORIGINAL; name[SEM] = DEAD_ORIGINAL
        :: name[REQ] = DEAD_ORIGINAL; name[RESP] = DEAD_ORIGINAL; name[SEM] = DEAD_ORIGINAL
        :: name[REQ] = DEAD_ORIGINAL; name[RESP] = DEAD_ORIGINAL
        :: name[REQ] = DEAD_ORIGINAL
        :: name[RESP] = DEAD_ORIGINAL; name[SEM] = DEAD_ORIGINAL
        :: name[SEM] = DEAD_ORIGINAL
        fi;
        for (n : 1 .. OURS) { run ours(n) };
        run ours(LAST);
        run finish();
#if ORIGINALS > 0
        for (n : OURS + 1 .. OURS + ORIGINALS) { run original(n) };
#endif
#if CLIENTS > 0
        for (n : 0 .. CLIENTS - 1) { run client(n) };
#endif
        n = 0
    }
}

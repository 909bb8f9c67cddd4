/* SPDX-License-Identifier: MIT */
#include "lock.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static struct flock whole_file(short type)
{
    _Static_assert(sizeof(off_t) == 8, "no file is longer than a lock");
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
}

enum shmrpc_status shmrpc_lock_take(int fd)
{
    REQUIRE(fd >= 0);
    struct flock lock = whole_file(F_WRLCK);
    /* SRPC-OWN-001, SRPC-RECLAIM-002: never waits for the holder. */
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return SHMRPC_OK;
    if (errno == EAGAIN || errno == EACCES)
        return SHMRPC_BUSY;
    ENSURE(errno != EBADF);
    return SHMRPC_SYSTEM;
}

void shmrpc_lock_drop(int fd)
{
    REQUIRE(fd >= 0);
    struct flock lock = whole_file(F_UNLCK);
    SYS_OK(fcntl(fd, F_OFD_SETLK, &lock));
}

bool shmrpc_lock_held(int fd)
{
    REQUIRE(fd >= 0);
    struct flock lock = whole_file(F_WRLCK);
    /* Where memory is out there is no answer, and none is no proof of a death: it stays F_WRLCK. */
    ENSURE(fcntl(fd, F_OFD_GETLK, &lock) == 0 || errno != EBADF);
    return lock.l_type != F_UNLCK;
}

enum shmrpc_status shmrpc_lease_take(int fd)
{
    REQUIRE(fd >= 0);
    /* SRPC-RECLAIM-012: it is the inode that counts its holders, whoever they are. Before each
     * lease the signal: giving one back resets the signal to SIGIO, which ends a process. */
    SYS_OK(fcntl(fd, F_SETSIG, SIGURG));
    if (fcntl(fd, F_SETLEASE, F_WRLCK) == 0)
        return SHMRPC_OK;
    ENSURE(errno != EBADF);
    return errno == EAGAIN ? SHMRPC_BUSY : SHMRPC_SYSTEM;
}

void shmrpc_lease_drop(int fd)
{
    REQUIRE(fd >= 0);
    /* Fails where the kernel broke the lease because we were stopped for too long. */
    (void)fcntl(fd, F_SETLEASE, F_UNLCK);
}

static pthread_mutex_t fork_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool fork_blocked; /* who holds the mutex says so */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static struct shmrpc_fork_node fork_list = {&fork_list, &fork_list, NULL};

/* SRPC-FORK-001: the child empties the list, so that a child of the child has nothing to do. */
static void fork_child(void)
{
    while (fork_list.next != &fork_list) {
        struct shmrpc_fork_node *node = fork_list.next;
        INVARIANT(node->previous == &fork_list);
        INVARIANT(node->in_child != NULL);
        fork_list.next = node->next;
        node->next->previous = &fork_list;
        node->next = node->previous = NULL;
        node->in_child(node);
    }
    ENSURE(fork_list.previous == &fork_list);
    shmrpc_fork_unblock();
}

static void fork_lock(void)
{
    SYS_OK(pthread_mutex_lock(&fork_mutex));
    fork_blocked = true;
    INVARIANT(fork_list.next->previous == &fork_list);
    INVARIANT(fork_list.previous->next == &fork_list);
}

void shmrpc_fork_unblock(void)
{
    REQUIRE(fork_blocked);
    INVARIANT(fork_list.next->previous == &fork_list);
    INVARIANT(fork_list.previous->next == &fork_list);
    fork_blocked = false;
    SYS_OK(pthread_mutex_unlock(&fork_mutex));
}

static void fork_register(void)
{
    /* Fails only when memory is out while the program starts its first channel. */
    SYS_OK(pthread_atfork(fork_lock, shmrpc_fork_unblock, fork_child));
}

void shmrpc_fork_block(void)
{
    SYS_OK(pthread_once(&fork_once, fork_register));
    fork_lock();
}

void shmrpc_fork_add(struct shmrpc_fork_node *node, void (*in_child)(struct shmrpc_fork_node *))
{
    REQUIRE(fork_blocked);
    REQUIRE(node != NULL);
    REQUIRE(in_child != NULL);
    REQUIRE(node->next == NULL);
    REQUIRE(node->previous == NULL);
    node->in_child = in_child;
    node->next = fork_list.next;
    node->previous = &fork_list;
    fork_list.next->previous = node;
    fork_list.next = node;
}

void shmrpc_fork_remove(struct shmrpc_fork_node *node)
{
    REQUIRE(fork_blocked);
    REQUIRE(node != NULL);
    if (node->next == NULL)
        return; /* never added, or this is a forked child */
    INVARIANT(node->next->previous == node);
    INVARIANT(node->previous->next == node);
    node->next->previous = node->previous;
    node->previous->next = node->next;
    ENSURE(fork_list.next != node);
    ENSURE(fork_list.previous != node);
    node->next = node->previous = NULL;
}

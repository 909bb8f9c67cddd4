/* SPDX-License-Identifier: MIT */
#include "sigbus.h"
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct shmrpc_sigbus_range {
    struct shmrpc_sigbus_range *next; /* set before publication, constant afterwards */
    atomic_bool used;
    atomic_bool hit;
    _Atomic uintptr_t begin; /* 0 while the range is being filled or is free */
    atomic_size_t bytes;
};

static _Atomic(struct shmrpc_sigbus_range *) ranges;

static struct shmrpc_sigbus_range *reuse_range(void)
{
    for (struct shmrpc_sigbus_range *range = atomic_load(&ranges); range != NULL;
         range = range->next) {
        bool expected = false;
        if (atomic_compare_exchange_strong(&range->used, &expected, true)) {
            ENSURE(atomic_load(&range->begin) == 0);
            return range;
        }
    }
    return NULL;
}

static struct shmrpc_sigbus_range *new_range(void)
{
    struct shmrpc_sigbus_range *range = calloc(1, sizeof *range);
    if (range == NULL)
        return NULL;
    atomic_init(&range->used, true);
    ENSURE(atomic_load(&range->begin) == 0);
    range->next = atomic_load_explicit(&ranges, memory_order_relaxed); /* a guess */
    while (!atomic_compare_exchange_weak(&ranges, &range->next, range))
        ;
    return range;
}

struct shmrpc_sigbus_range *shmrpc_sigbus_add(void *map, size_t bytes)
{
    REQUIRE(map != NULL);
    REQUIRE(bytes > 0);
    REQUIRE(bytes <= UINTPTR_MAX - (uintptr_t)map);
    struct shmrpc_sigbus_range *range = reuse_range();
    if (range == NULL)
        range = new_range();
    if (range == NULL)
        return NULL;
    atomic_store_explicit(&range->hit, false, memory_order_relaxed);
    atomic_store_explicit(&range->bytes, bytes, memory_order_relaxed);
    /* Last, and a release: a handler that sees begin sees the matching size. */
    atomic_store(&range->begin, (uintptr_t)map);
    return range;
}

void shmrpc_sigbus_remove(struct shmrpc_sigbus_range *range)
{
    REQUIRE(range != NULL);
    REQUIRE(atomic_load(&range->begin) != 0);
    atomic_store(&range->begin, 0);
    atomic_store(&range->used, false);
}

bool shmrpc_sigbus_hit(const struct shmrpc_sigbus_range *range)
{
    REQUIRE(range != NULL);
    return atomic_load_explicit(&range->hit, memory_order_relaxed);
}

static pthread_mutex_t install_mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static bool installed;
static struct sigaction earlier;
_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2, "the handler takes no lock");
_Static_assert(ATOMIC_POINTER_LOCK_FREE == 2, "the handler takes no lock");
_Static_assert(ATOMIC_LONG_LOCK_FREE == 2, "the handler takes no lock");

static struct shmrpc_sigbus_range *find_range(uintptr_t address)
{
    for (struct shmrpc_sigbus_range *range = atomic_load(&ranges); range != NULL;
         range = range->next) {
        uintptr_t begin = atomic_load(&range->begin);
        size_t bytes = atomic_load_explicit(&range->bytes, memory_order_relaxed);
        if (begin != 0 && address >= begin && address - begin < bytes)
            return range;
    }
    return NULL;
}

/* Everything that is not ours goes where it went before us (SRPC-SIGBUS-002). */
static void chain(int number, siginfo_t *info, void *context)
{
    REQUIRE(number == SIGBUS);
    REQUIRE(info != NULL);
    if ((earlier.sa_flags & SA_SIGINFO) != 0) {
        earlier.sa_sigaction(number, info, context);
    } else if (earlier.sa_handler != SIG_DFL && earlier.sa_handler != SIG_IGN) {
        earlier.sa_handler(number);
    } else if (earlier.sa_handler == SIG_DFL || info->si_code > 0) {
        /* The default action, and a fault cannot be ignored: it recurs on return and then ends
         * the process with the signal that it deserves. */
        signal(SIGBUS, SIG_DFL);
        if (info->si_code <= 0)
            raise(SIGBUS);
    }
}

/* SRPC-SIGBUS-004: no lock, no allocation; atomics and one system call. */
static void handle(int number, siginfo_t *info, void *context)
{
    REQUIRE(info != NULL);
    int saved = errno;
    uintptr_t address = (uintptr_t)info->si_addr;
    /* si_code > 0: raised by the kernel for an address, not sent by kill(2). */
    struct shmrpc_sigbus_range *range = info->si_code > 0 ? find_range(address) : NULL;
    if (range != NULL) {
        uintptr_t page = address & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
        void *map = mmap((void *)page, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        /* SRPC-SIGBUS-001 */
        atomic_store_explicit(&range->hit, true, memory_order_relaxed);
        if (map != MAP_FAILED) {
            errno = saved;
            return;
        }
    }
    chain(number, info, context);
    errno = saved;
}

enum shmrpc_status shmrpc_sigbus_install(void)
{
    SYS_OK(pthread_mutex_lock(&install_mutex));
    if (!installed) {
        struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigemptyset(&action.sa_mask);
        /* Asked for first: our handler may run as soon as it is installed, and chains to it. */
        installed = sigaction(SIGBUS, NULL, &earlier) == 0 && sigaction(SIGBUS, &action, NULL) == 0;
    }
    enum shmrpc_status status = installed ? SHMRPC_OK : SHMRPC_SYSTEM;
    SYS_OK(pthread_mutex_unlock(&install_mutex));
    return status;
}

/* SRPC-SIGBUS-003 */
void shmrpc_sigbus_uninstall(void)
{
    SYS_OK(pthread_mutex_lock(&install_mutex));
    if (installed) {
        SYS_OK(sigaction(SIGBUS, &earlier, NULL));
        installed = false;
    }
    SYS_OK(pthread_mutex_unlock(&install_mutex));
}

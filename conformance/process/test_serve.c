/* SPDX-License-Identifier: MIT
 *
 * Signals around a server: the verb serve of the command, in a process that has handlers of its own
 * and looks whether they are back; and the library, which installs none unasked.
 */
#include "../../src/tool/calculator.c"
#include "../../src/tool/methods.c"
#include "../../src/tool/output.c"
#include "../../src/tool/tool.c"
#include "../../src/tool/serve.c"

#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void own_handler(int number)
{
    (void)number;
}

/* What serve changes: three actions and the mask. */
struct signal_state {
    struct sigaction actions[3];
    sigset_t mask;
};

static void look(struct signal_state *signal_state)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGPIPE};
    memset(signal_state, 0, sizeof *signal_state);
    for (int i = 0; i < 3; i++)
        sigaction(numbers[i], NULL, &signal_state->actions[i]);
    sigprocmask(SIG_SETMASK, NULL, &signal_state->mask);
}

static bool same_set(const sigset_t *a, const sigset_t *b)
{
    for (int number = 1; number < NSIG; number++)
        if (sigismember(a, number) != sigismember(b, number))
            return false;
    return true;
}

static void check_same(const struct signal_state *before, const struct signal_state *after)
{
    for (int i = 0; i < 3; i++) {
        CHILD_CHECK(after->actions[i].sa_handler == before->actions[i].sa_handler);
        CHILD_CHECK(after->actions[i].sa_flags == before->actions[i].sa_flags);
        CHILD_CHECK(same_set(&after->actions[i].sa_mask, &before->actions[i].sa_mask));
    }
    CHILD_CHECK(same_set(&after->mask, &before->mask));
}

static int run_serve(void *context)
{
    char verb[] = "serve";
    char *arguments[] = {verb, context, NULL};
    struct signal_state before, after;
    struct sigaction action = {.sa_handler = own_handler, .sa_flags = SA_NODEFER};
    sigaddset(&action.sa_mask, SIGUSR1);
    sigaction(SIGTERM, &action, NULL);
    action.sa_flags = SA_RESTART;
    sigaction(SIGPIPE, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGINT, &action, NULL);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    CHILD_CHECK(freopen("/dev/null", "w", stdout) != NULL);
    look(&before);
    optind = 0;
    CHILD_CHECK(tool_serve(2, arguments) == TOOL_OK);
    look(&after);
    check_same(&before, &after);
    return 0;
}

/* A name that a leak checker still finds at the end; a command line is not constant. */
static char *new_name(const char *what)
{
    static char names[4][SHMRPC_MAX_NAME_BYTES + 1];
    static const char *made[4];
    static unsigned count;
    made[count] = channel_name(what);
    snprintf(names[count], sizeof names[count], "%s", made[count]);
    return names[count++];
}

static void check_signal(const char *what, int number)
{
    char *name = new_name(what);
    pid_t child = spawn(run_serve, name);
    assert_true(idle_within(name, LIMIT_MS));
    assert_int_equal(objects_of(name), OBJECTS);
    assert_int_equal(kill(child, number), 0);
    assert_int_equal(await_child(child, LIMIT_MS), 0);
    assert_int_equal(objects_of(name), 0);
}

static void SRPC_SIGNAL_003_SRPC_SIGNAL_004_SIGTERM_ends_the_command_which_restores(void **state)
{
    (void)state;
    check_signal("serve-term", SIGTERM);
}

static void SRPC_SIGNAL_003_SRPC_SIGNAL_004_SIGINT_ends_the_command_which_restores(void **state)
{
    (void)state;
    check_signal("serve-int", SIGINT);
}

/* SIGTERM that came before the command was ready, and one more than is needed. */
static void SRPC_SIGNAL_003_many_signals_end_the_command_once(void **state)
{
    (void)state;
    char *name = new_name("serve-many");
    pid_t child = spawn(run_serve, name);
    assert_true(idle_within(name, LIMIT_MS));
    for (int i = 0; i < 20; i++)
        kill(child, i % 2 ? SIGTERM : SIGINT);
    /* What arrives after the handlers are back is the process's own affair: it has a handler. */
    assert_int_equal(await_child(child, LIMIT_MS), 0);
    assert_int_equal(objects_of(name), 0);
}

static void *run_server(void *server)
{
    assert_int_equal(shmrpc_server_run(server), SHMRPC_OK);
    return NULL;
}

static void SRPC_SIGNAL_004_the_library_installs_no_handler_unasked(void **state)
{
    (void)state;
    struct sigaction before[NSIG], after;
    struct shmrpc_server *server = NULL;
    struct shmrpc_client *client = NULL;
    struct tool_service methods_of = {0, NULL, 0};
    struct shmrpc_value result;
    pthread_t thread;
    const char *name = new_name("serve-none");
    memset(before, 0, sizeof before);
    for (int number = 1; number < NSIG; number++)
        sigaction(number, NULL, &before[number]);
    assert_int_equal(shmrpc_server_create(name, NULL, &server), SHMRPC_OK);
    assert_int_equal(tool_methods_register(server, &methods_of, false), SHMRPC_OK);
    assert_int_equal(pthread_create(&thread, NULL, run_server, server), 0);
    assert_int_equal(shmrpc_client_open(name, NULL, &client), SHMRPC_OK);
    assert_int_equal(shmrpc_client_call(client, "count", NULL, 0, &result), SHMRPC_OK);
    for (int number = 1; number < NSIG; number++) {
        if (sigaction(number, NULL, &after) != 0)
            continue; /* the C library keeps two for itself */
        assert_true(after.sa_handler == before[number].sa_handler);
    }
    shmrpc_client_close(&client);
    shmrpc_server_stop(server);
    assert_int_equal(pthread_join(thread, NULL), 0);
    shmrpc_server_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(SRPC_SIGNAL_003_SRPC_SIGNAL_004_SIGTERM_ends_the_command_which_restores),
        cmocka_unit_test(SRPC_SIGNAL_003_SRPC_SIGNAL_004_SIGINT_ends_the_command_which_restores),
        cmocka_unit_test(SRPC_SIGNAL_003_many_signals_end_the_command_once),
        cmocka_unit_test(SRPC_SIGNAL_004_the_library_installs_no_handler_unasked),
    };
    alarm(120); /* no test may hang */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

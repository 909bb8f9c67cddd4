/* SPDX-License-Identifier: MIT
 *
 * What a side looks after while it waits, and attaching, which waits for both.
 */
#include "clock.h"
#include "raw.h"

#include "owner.h"
#include "watch.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scene {
    const char *name;
    struct shmrpc_channel *server;
    struct shmrpc_channel *client;
    struct shmrpc_keeper keeper;
    struct shmrpc_error error;
    char log[1024];
};

static void keep_line(void *user, const char *line)
{
    struct scene *scene = user;
    strncat(scene->log, line, sizeof scene->log - strlen(scene->log) - 1);
}

static void set(struct scene *scene, const char *what)
{
    memset(scene, 0, sizeof *scene);
    scene->name = raw_name(what);
    assert_int_equal(
        shmrpc_owner_publish(scene->name, 256, SHMRPC_WAIT_BLOCK, &scene->server, NULL),
        SHMRPC_OK);
    scene->keeper.channel = scene->server;
    scene->keeper.log = keep_line;
    scene->keeper.log_user = scene;
    scene->keeper.error = &scene->error;
}

static void attach(struct scene *scene)
{
    static const struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    assert_int_equal(shmrpc_watch_attach(scene->name, &options, &scene->client, NULL), SHMRPC_OK);
}

static void strike(struct scene *scene)
{
    shmrpc_channel_close(&scene->client);
    shmrpc_channel_close(&scene->server);
    raw_remove(scene->name);
    assert_int_equal(raw_count(scene->name), 0);
}

static void test_SRPC_SEC_002_log_lines_show_no_control_characters(void **state)
{
    (void)state;
    struct scene scene;
    char longer[2000];
    set(&scene, "log");
    shmrpc_watch_log(&scene.keeper, "dropped %s", "a\n\r\x1b[31m\x7f\xc2\x9bz");
    for (const char *at = scene.log; *at != '\0'; at++)
        assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
    assert_null(strstr(scene.log, "\xc2\x9b"));
    assert_non_null(strstr(scene.log, "dropped a"));
    assert_non_null(strstr(scene.log, "z"));
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    scene.log[0] = '\0';
    shmrpc_watch_log(&scene.keeper, "%s", longer);
    assert_in_range(strlen(scene.log), 400, 511);
    scene.keeper.log = NULL;
    shmrpc_watch_log(&scene.keeper, "nobody reads this");
    strike(&scene);
}

static void test_SRPC_LIFE_006_SRPC_WAIT_004_a_server_looks_after_its_names(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, "names");
    assert_int_equal(shmrpc_watch_channel(&scene.keeper), SHMRPC_OK);
    raw_unlink(scene.name, RAW_RESP);
    /* Not at every signal, but soon. */
    int64_t until = raw_now_ms() + RAW_PATIENCE_MS;
    enum shmrpc_status status = SHMRPC_OK;
    while (status == SHMRPC_OK && raw_now_ms() < until)
        status = shmrpc_watch_channel(&scene.keeper);
    assert_int_equal(status, SHMRPC_NOT_FOUND);
    assert_int_equal(scene.error.status, SHMRPC_NOT_FOUND);
    assert_non_null(strstr(scene.error.text, scene.name));
    strike(&scene);
}

static void test_SRPC_RECOVER_007_SRPC_RECOVER_012_only_what_stands_still_is_repaired(void **state)
{
    (void)state;
    struct scene scene;
    struct raw raw;
    set(&scene, "still");
    /* Values that keep moving are a living client's, whoever holds the segment. */
    for (int i = 0; i < 8; i++) {
        raw_open(&raw, scene.name);
        if (i % 2 == 0)
            raw_set_values(&raw, 0, 0, 1, 0);
        else
            raw_set_values(&raw, 1, 0, 0, 1);
        raw_close(&raw);
        assert_int_equal(shmrpc_watch_channel(&scene.keeper), SHMRPC_OK);
        raw_sleep_ms(40);
        assert_int_equal(scene.log[0], '\0');
    }
    raw_open(&raw, scene.name);
    raw_set_values(&raw, 0, 0, 0, 0);
    raw_close(&raw);
    int64_t until = raw_now_ms() + RAW_PATIENCE_MS;
    while (scene.log[0] == '\0' && raw_now_ms() < until) {
        assert_int_equal(shmrpc_watch_channel(&scene.keeper), SHMRPC_OK);
        raw_sleep_ms(10);
    }
    assert_non_null(strstr(scene.log, "dead client"));
    assert_true(raw_values_are(scene.name, 1, 0, 1, 0));
    strike(&scene);
}

static void test_SRPC_SEM_007_a_repair_that_meets_no_semaphore_breaks_the_channel(void **state)
{
    (void)state;
    struct scene scene;
    struct raw raw;
    enum shmrpc_status status = SHMRPC_OK;
    set(&scene, "garbled");
    raw_open(&raw, scene.name);
    raw_set_values(&raw, 0, 0, 1, 0);
    ((unsigned char *)raw.map[RAW_REQ_EMPTY])[8] ^= 1;
    raw_close(&raw);
    int64_t until = raw_now_ms() + RAW_PATIENCE_MS;
    while (status == SHMRPC_OK && raw_now_ms() < until) {
        status = shmrpc_watch_channel(&scene.keeper);
        raw_sleep_ms(10);
    }
    assert_int_equal(status, SHMRPC_PROTOCOL);
    assert_true(scene.server->broken);
    strike(&scene);
}

static void test_SRPC_RECOVER_002_SRPC_RECOVER_005_a_client_looks_after_its_server(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, "server");
    attach(&scene);
    assert_int_equal(shmrpc_watch_server(scene.client), SHMRPC_OK);
    shmrpc_channel_retire(scene.server);
    assert_int_equal(shmrpc_watch_server(scene.client), SHMRPC_PEER_GONE_MAYBE_EXECUTED);
    strike(&scene);
    scene.name = raw_name("original");
    raw_make_original(scene.name, 256);
    attach(&scene);
    assert_int_equal(shmrpc_watch_server(scene.client), SHMRPC_OK);
    strike(&scene);
}

static void truncate_object(const char *name, enum raw_object object)
{
    char path[300];
    raw_path(name, object, path);
    assert_int_equal(truncate(path, 0), 0);
}

static void truncated_server(void *context)
{
    struct scene *scene = context;
    set(scene, "cut-server");
    attach(scene);
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    CHILD_CHECK(!shmrpc_channel_truncated(scene->server));
    truncate_object(scene->name, RAW_REQ_FULL);
    struct shmrpc_deadline deadline;
    char text[256];
    size_t length;
    shmrpc_deadline_start(&deadline, 100, shmrpc_watch_channel, &scene->keeper);
    enum shmrpc_status status = shmrpc_channel_receive(scene->server, &deadline, text, &length);
    CHILD_CHECK(status == SHMRPC_PROTOCOL);
    CHILD_CHECK(shmrpc_channel_truncated(scene->server));
    raw_sleep_ms(20);
    CHILD_CHECK(shmrpc_watch_channel(&scene->keeper) == SHMRPC_PROTOCOL);
    CHILD_CHECK(scene->server->broken);
    CHILD_CHECK(strstr(scene->error.text, "truncated") != NULL);
    strike(scene);
}

static void truncated_client(void *context)
{
    struct scene *scene = context;
    struct shmrpc_client *client;
    set(scene, "cut-client");
    CHILD_CHECK(shmrpc_client_open(scene->name, NULL, &client) == SHMRPC_OK);
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    truncate_object(scene->name, RAW_REQ);
    /* The request goes into a page of zeros of our own; the wait for its answer ends. */
    CHILD_CHECK(shmrpc_client_call(client, "m", NULL, 0, NULL) == SHMRPC_PROTOCOL);
    CHILD_CHECK(strstr(shmrpc_client_error(client), "truncated") != NULL);
    CHILD_CHECK(shmrpc_client_maybe_executed(client));
    shmrpc_client_close(&client);
    strike(scene);
}

/* Who polls asks by himself, and has to find it broken at the next look as well. */
static void truncated_while_polled(void *context)
{
    struct scene *scene = context;
    set(scene, "cut-polled");
    attach(scene);
    CHILD_CHECK(shmrpc_sigbus_install() == SHMRPC_OK);
    truncate_object(scene->name, RAW_REQ);
    CHILD_CHECK(*(volatile char *)scene->client->request.segment.map == 0);
    CHILD_CHECK(shmrpc_watch_server(scene->client) == SHMRPC_PROTOCOL);
    CHILD_CHECK(scene->client->broken);
    strike(scene);
}

static void test_SRPC_SIGBUS_001_truncated_channels_end_as_protocol(void **state)
{
    (void)state;
    struct scene scene;
    child_run(truncated_server, &scene);
    child_run(truncated_client, &scene);
    child_run(truncated_while_polled, &scene);
}

/* ---- Attaching ------------------------------------------------------------------------------ */

static enum shmrpc_status try(const struct scene *scene, struct shmrpc_client_options options,
                              int64_t *waited_ms, struct shmrpc_error *error)
{
    struct shmrpc_channel *channel = NULL;
    int64_t before = raw_now_ms();
    enum shmrpc_status status = shmrpc_watch_attach(scene->name, &options, &channel, error);
    *waited_ms = raw_now_ms() - before;
    assert_true((status == SHMRPC_OK) == (channel != NULL));
    shmrpc_channel_close(&channel);
    return status;
}

static void test_SRPC_ATTACH_011_SRPC_ATTACH_013_what_an_attach_waits_for(void **state)
{
    (void)state;
    struct scene scene;
    struct raw raw;
    struct shmrpc_error error;
    int64_t waited;
    set(&scene, "wait");
    attach(&scene);
    /* The other wait is no help. */
    assert_int_equal(try(&scene, (struct shmrpc_client_options){.wait_for_server_ms = 60000},
                         &waited, &error),
                     SHMRPC_BUSY);
    assert_int_equal(
        try(&scene, (struct shmrpc_client_options){.wait_busy_ms = 350}, &waited, &error),
        SHMRPC_BUSY);
    assert_true(waited >= 350);
    shmrpc_channel_close(&scene.client);
    assert_int_equal(try(&scene, (struct shmrpc_client_options){.timeout_ms = 0}, &waited, NULL),
                     SHMRPC_OK);
    raw_open(&raw, scene.name);
    raw_set_values(&raw, 1, 0, 0, 0);
    raw_close(&raw);
    assert_int_equal(try(&scene, (struct shmrpc_client_options){.timeout_ms = 0}, &waited, &error),
                     SHMRPC_BUSY);
    assert_int_equal(error.status, SHMRPC_BUSY);
    assert_non_null(strstr(error.text, "repair"));
    assert_true(waited >= SHMRPC_ATTACH_PATIENCE_MS);
    assert_int_equal(try(&scene, (struct shmrpc_client_options){.timeout_ms = 0}, &waited, NULL),
                     SHMRPC_BUSY);
    strike(&scene);
    /* What no waiting mends ends at once. */
    raw_make_original(scene.name, 256);
    struct shmrpc_client_options patient = {.wait_for_server_ms = SHMRPC_FOREVER,
                                            .wait_busy_ms = SHMRPC_FOREVER,
                                            .buffer_bytes = 257};
    assert_int_equal(try(&scene, patient, &waited, &error), SHMRPC_TOO_LARGE);
    strike(&scene);
}

static void test_broken_contracts_fire(void **state)
{
    (void)state;
    struct scene scene;
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct shmrpc_channel zero;
    struct shmrpc_keeper keeper = {.channel = NULL};
    memset(&zero, 0, sizeof zero);
    set(&scene, "contract");
    expect_check_failure(shmrpc_watch_log(NULL, "x"));
    expect_check_failure(shmrpc_watch_log(&scene.keeper, NULL));
    expect_check_failure(support_ignore(shmrpc_watch_channel(NULL)));
    expect_check_failure(support_ignore(shmrpc_watch_channel(&keeper)));
    expect_check_failure(support_ignore(shmrpc_watch_check_options(NULL, &options, NULL)));
    expect_check_failure(support_ignore(shmrpc_watch_server(NULL)));
    keeper.channel = &zero;
    expect_check_failure(support_ignore(shmrpc_watch_channel(&keeper)));
    expect_check_failure(support_ignore(shmrpc_watch_server(&zero)));
    expect_check_failure(support_ignore(shmrpc_watch_server(scene.server)));
    expect_check_failure(support_ignore(shmrpc_watch_check_options("x", NULL, NULL)));
    expect_check_failure(
        support_ignore(shmrpc_watch_attach(scene.name, NULL, &scene.client, NULL)));
    expect_check_failure(support_ignore(shmrpc_watch_attach(scene.name, &options, NULL, NULL)));
    strike(&scene);
}

/* ---- On a clock of the test's own ------------------------------------------------------------- */

static int start_clock(void **state)
{
    int failed = clock_setup(state);
    clock_start(NULL, NULL);
    return failed;
}

static enum shmrpc_status look_at(struct scene *scene, int64_t ns)
{
    test_clock.ns = CLOCK_START + ns;
    return shmrpc_watch_channel(&scene->keeper);
}

static void test_SRPC_LIFE_006_the_names_are_looked_at_every_five_ms(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, "every");
    assert_int_equal(look_at(&scene, 0), SHMRPC_OK);
    raw_unlink(scene.name, RAW_RESP);
    assert_int_equal(look_at(&scene, SHMRPC_RETRY_MS * MS - 1), SHMRPC_OK);
    assert_int_equal(look_at(&scene, SHMRPC_RETRY_MS * MS), SHMRPC_NOT_FOUND);
    strike(&scene);
}

static void set_values(const struct scene *scene, unsigned req_empty, unsigned resp_empty)
{
    struct raw raw;
    raw_open(&raw, scene->name);
    raw_set_values(&raw, req_empty, 0, resp_empty, 0);
    raw_close(&raw);
}

static void test_SRPC_RECOVER_012_what_stands_still_for_a_slice_is_repaired(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, "slice");
    set_values(&scene, 0, 1);
    assert_int_equal(look_at(&scene, 0), SHMRPC_OK);
    assert_int_equal(look_at(&scene, SHMRPC_SLICE_MS * MS - 1), SHMRPC_OK);
    assert_true(raw_values_are(scene.name, 0, 0, 1, 0));
    assert_int_equal(look_at(&scene, (SHMRPC_SLICE_MS + SHMRPC_RETRY_MS) * MS), SHMRPC_OK);
    assert_true(raw_values_are(scene.name, 1, 0, 1, 0));
    strike(&scene);
}

/* A slot that was well in between begins anew. */
static void test_SRPC_RECOVER_012_a_moment_of_rest_ends_the_suspicion(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, "rest");
    set_values(&scene, 0, 1);
    assert_int_equal(look_at(&scene, 0), SHMRPC_OK);
    set_values(&scene, 1, 1);
    assert_int_equal(look_at(&scene, 60 * MS), SHMRPC_OK);
    set_values(&scene, 0, 1);
    assert_int_equal(look_at(&scene, 120 * MS), SHMRPC_OK);
    assert_true(raw_values_are(scene.name, 0, 0, 1, 0));
    assert_int_equal(look_at(&scene, 219 * MS), SHMRPC_OK);
    assert_true(raw_values_are(scene.name, 0, 0, 1, 0));
    assert_int_equal(look_at(&scene, 225 * MS), SHMRPC_OK);
    assert_true(raw_values_are(scene.name, 1, 0, 1, 0));
    strike(&scene);
}

/* @return how many milliseconds of the clock an attach to a busy channel took. */
static int64_t busy_for(const struct scene *scene, int wait_busy_ms)
{
    struct shmrpc_client_options options = {.wait_busy_ms = wait_busy_ms};
    struct shmrpc_channel *channel = NULL;
    clock_start(NULL, NULL);
    assert_int_equal(shmrpc_watch_attach(scene->name, &options, &channel, NULL), SHMRPC_BUSY);
    return (test_clock.ns - CLOCK_START) / MS;
}

static void test_SRPC_ATTACH_011_a_busy_channel_is_tried_for_the_time_given(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, "busy");
    attach(&scene);
    static const int given[] = {0, 1, SHMRPC_CLOSING_GRACE_MS - 1, SHMRPC_CLOSING_GRACE_MS, 400};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        int64_t least = given[i] > SHMRPC_CLOSING_GRACE_MS ? given[i] : SHMRPC_CLOSING_GRACE_MS;
        int64_t took = busy_for(&scene, given[i]);
        assert_in_range(took, least, least + SHMRPC_RETRY_MS - 1);
    }
    strike(&scene);
}

static void test_SRPC_RECOVER_012_a_slice_to_the_nanosecond_is_enough(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, "exactly");
    set_values(&scene, 0, 1);
    assert_int_equal(look_at(&scene, 0), SHMRPC_OK);
    assert_int_equal(look_at(&scene, SHMRPC_SLICE_MS * MS), SHMRPC_OK);
    assert_true(raw_values_are(scene.name, 1, 0, 1, 0));
    strike(&scene);
}

/* @return how many milliseconds of the clock it took to find that the slots are not repaired. */
static int64_t unrepaired_for(const struct scene *scene, int wait_busy_ms)
{
    struct shmrpc_client_options options = {.wait_busy_ms = wait_busy_ms};
    struct shmrpc_channel *channel = NULL;
    struct shmrpc_error error;
    clock_start(NULL, NULL);
    assert_int_equal(shmrpc_watch_attach(scene->name, &options, &channel, &error), SHMRPC_BUSY);
    assert_int_equal(error.status, SHMRPC_BUSY);
    return (test_clock.ns - CLOCK_START) / MS;
}

/* Away for three slices at a time, so that the server finds itself alone for two of its looks; for as
 * long as was asked for, and never for less than the server may need. */
static void test_SRPC_ATTACH_013_a_repair_is_waited_for_from_afar(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, "afar");
    set_values(&scene, 0, 1);
    static const int given[] = {0, SHMRPC_ATTACH_PATIENCE_MS - 1, 2 * SHMRPC_ATTACH_PATIENCE_MS};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        int64_t least =
            given[i] > SHMRPC_ATTACH_PATIENCE_MS ? given[i] : SHMRPC_ATTACH_PATIENCE_MS;
        assert_in_range(unrepaired_for(&scene, given[i]), least, least + 4 * SHMRPC_SLICE_MS);
        assert_int_equal(test_clock.longest_ns, 3 * SHMRPC_SLICE_MS * MS);
    }
    strike(&scene);
}

/* After ten seconds the slots are repaired, or the other client leaves. */
static void relent(void *context)
{
    struct scene *scene = context;
    if (test_clock.ns < CLOCK_START + 10000 * (int64_t)MS)
        return;
    if (scene->client != NULL)
        shmrpc_channel_close(&scene->client);
    else
        set_values(scene, 1, 1);
}

static void test_SRPC_ATTACH_011_SRPC_ATTACH_013_for_ever_is_for_ever(void **state)
{
    (void)state;
    for (int busy = 0; busy < 2; busy++) {
        struct scene scene;
        struct shmrpc_client_options options = {.wait_busy_ms = SHMRPC_FOREVER};
        struct shmrpc_channel *channel = NULL;
        set(&scene, "ever");
        if (busy)
            attach(&scene);
        else
            set_values(&scene, 0, 1);
        clock_start(relent, &scene);
        assert_int_equal(shmrpc_watch_attach(scene.name, &options, &channel, NULL), SHMRPC_OK);
        assert_true(test_clock.ns >= CLOCK_START + 10000 * (int64_t)MS);
        shmrpc_channel_close(&channel);
        strike(&scene);
    }
}

/* Every five milliseconds, for the time given and not a moment longer; without one, once. */
static void test_SRPC_ATTACH_001_SRPC_ATTACH_011_a_try_every_five_ms(void **state)
{
    (void)state;
    struct scene scene;
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct shmrpc_channel *channel = NULL;
    static const int busy[][2] = {{0, SHMRPC_CLOSING_GRACE_MS}, {300, 300}};
    assert_int_equal(shmrpc_watch_attach(raw_name("none"), &options, &channel, NULL),
                     SHMRPC_NOT_FOUND);
    assert_int_equal(test_clock.longest_ns, 0);
    set(&scene, "five");
    attach(&scene);
    for (size_t i = 0; i < 2; i++) {
        options.wait_busy_ms = busy[i][0];
        clock_start(NULL, NULL);
        assert_int_equal(shmrpc_watch_attach(scene.name, &options, &channel, NULL), SHMRPC_BUSY);
        assert_int_equal(test_clock.ns, CLOCK_START + busy[i][1] * (int64_t)MS);
        assert_int_equal(test_clock.longest_ns, SHMRPC_RETRY_MS * MS);
    }
    strike(&scene);
}

static void test_SRPC_LIMIT_003_the_smallest_buffer_of_a_client(void **state)
{
    (void)state;
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    options.buffer_bytes = SHMRPC_LENGTH_WORD_BYTES + 1;
    assert_int_equal(shmrpc_watch_check_options("x", &options, NULL), SHMRPC_OK);
    options.buffer_bytes = SHMRPC_LENGTH_WORD_BYTES;
    assert_int_equal(shmrpc_watch_check_options("x", &options, NULL), SHMRPC_INVALID);
}

/* What holds of a channel would be asked next, and does not hold of none either. */
static void expect_requirement(const char *line)
{
    if (strstr(line, "REQUIRE(") == NULL) {
        fprintf(stderr, "another assertion: %s\n", line);
        abort();
    }
    support_check_hook(line);
}

static void test_a_watch_needs_a_channel(void **state)
{
    (void)state;
    struct shmrpc_keeper keeper = {.channel = NULL};
    shmrpc_check_set_hook(expect_requirement);
    expect_assert_failure(support_ignore(shmrpc_watch_channel(NULL)));
    expect_assert_failure(support_ignore(shmrpc_watch_channel(&keeper)));
    expect_assert_failure(support_ignore(shmrpc_watch_server(NULL)));
    shmrpc_check_set_hook(NULL);
}

/* As far as the six names and the mark go all is well; the handle is what is broken. */
static void test_a_watch_looks_at_its_channel(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, "broken");
    attach(&scene);
    scene.server->magic++;
    expect_check_failure(support_ignore(shmrpc_watch_channel(&scene.keeper)));
    scene.server->magic--;
    scene.client->magic++;
    expect_check_failure(support_ignore(shmrpc_watch_server(scene.client)));
    scene.client->magic--;
    strike(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_SRPC_SEC_002_log_lines_show_no_control_characters),
        cmocka_unit_test(test_SRPC_LIFE_006_SRPC_WAIT_004_a_server_looks_after_its_names),
        cmocka_unit_test(
            test_SRPC_RECOVER_007_SRPC_RECOVER_012_only_what_stands_still_is_repaired),
        cmocka_unit_test(test_SRPC_SEM_007_a_repair_that_meets_no_semaphore_breaks_the_channel),
        cmocka_unit_test(test_SRPC_RECOVER_002_SRPC_RECOVER_005_a_client_looks_after_its_server),
        cmocka_unit_test(test_SRPC_SIGBUS_001_truncated_channels_end_as_protocol),
        cmocka_unit_test(test_SRPC_ATTACH_011_SRPC_ATTACH_013_what_an_attach_waits_for),
        cmocka_unit_test(test_broken_contracts_fire),
        cmocka_unit_test_setup_teardown(
            test_SRPC_LIFE_006_the_names_are_looked_at_every_five_ms, start_clock, clock_teardown),
        cmocka_unit_test_setup_teardown(
            test_SRPC_RECOVER_012_what_stands_still_for_a_slice_is_repaired, start_clock, clock_teardown),
        cmocka_unit_test_setup_teardown(
            test_SRPC_RECOVER_012_a_moment_of_rest_ends_the_suspicion, start_clock, clock_teardown),
        cmocka_unit_test_setup_teardown(
            test_SRPC_ATTACH_011_a_busy_channel_is_tried_for_the_time_given, start_clock, clock_teardown),
        cmocka_unit_test_setup_teardown(
            test_SRPC_RECOVER_012_a_slice_to_the_nanosecond_is_enough, start_clock, clock_teardown),
        cmocka_unit_test_setup_teardown(
            test_SRPC_ATTACH_013_a_repair_is_waited_for_from_afar, start_clock, clock_teardown),
        cmocka_unit_test_setup_teardown(
            test_SRPC_ATTACH_011_SRPC_ATTACH_013_for_ever_is_for_ever, start_clock, clock_teardown),
        cmocka_unit_test_setup_teardown(
            test_SRPC_ATTACH_001_SRPC_ATTACH_011_a_try_every_five_ms, start_clock, clock_teardown),
        cmocka_unit_test(test_SRPC_LIMIT_003_the_smallest_buffer_of_a_client),
        cmocka_unit_test(test_a_watch_needs_a_channel),
        cmocka_unit_test(test_a_watch_looks_at_its_channel),
    };
    support_limit_seconds(60);
    return cmocka_run_group_tests_name("watch", tests, NULL, raw_sweep);
}

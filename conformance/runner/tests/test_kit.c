/* SPDX-License-Identifier: MIT
 *
 * Tests of the conformance runner itself: its small parts, and the whole program against adapters that
 * must never pass. Takes the folder of the built programs from SHMRPC_BUILD (default build/release).
 */
#include "../kit.h"

#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *build;
static char scratch[] = "/tmp/kit-test-XXXXXX";

/* ---- small parts ---------------------------------------------------------------------------------- */

static void hex_goes_both_ways(void **state)
{
    size_t length = 99;
    (void)state;
    char *text = hex_encode("\x00\x7f\xff", 3);
    assert_string_equal(text, "007fff");
    unsigned char *bytes = hex_decode("00fFfe", &length);
    assert_int_equal(length, 3);
    assert_memory_equal(bytes, "\x00\xff\xfe", 3);
    assert_null(hex_decode("0", &length));
    assert_null(hex_decode("0g", &length));
    free(text);
    free(bytes);
}

static int64_t symbol(void *user, const char *name)
{
    assert_string_equal(name, "cap");
    return *(int64_t *)user;
}

static void sums_are_symbolic(void **state)
{
    int64_t cap = 4092;
    (void)state;
    assert_int_equal(sum_eval("cap+1", symbol, &cap), 4093);
    assert_int_equal(sum_eval("-5", symbol, &cap), -5);
    assert_int_equal(sum_eval("0x80000000", symbol, &cap), 2147483648);
    assert_int_equal(sum_eval("cap-cap+7", symbol, &cap), 7);
}

static void white_space_goes_between_tokens_only(void **state)
{
    static const char text[] = "{ \"a b\" : [ 1 ,\n\"\\\" x\" ] }";
    (void)state;
    char *squeezed = json_squeeze(text, sizeof text - 1);
    assert_string_equal(squeezed, "{\"a b\":[1,\"\\\" x\"]}");
    free(squeezed);
}

static void strict_json_is_strict(void **state)
{
    static const char *const good[] = {"0", "-0", "1.5e+9", "\"\\u0000\\ud834\\udd1e\"", "[]", " {} ",
                                       "{\"a\":[1,{\"b\":null}],\"c\":true}", "\"\xc3\xa9\xf0\x9d\x84\x9e\""};
    static const char *const bad[] = {"", "01", "1.", ".5", "+1", "nul", "[1,]", "{\"a\"}", "{a:1}",
                                      "\"\x01\"", "\"\\x41\"", "\"\\ud800\"", "\"\\udc00\"", "1 2",
                                      "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"",
                                      "\"\xff\"", "\"\xe2\x82\"", "\xef\xbb\xbf""1", "[1}", "NaN"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!json_strict(good[i], strlen(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (json_strict(bad[i], strlen(bad[i])))
            fail_msg("accepted: %s", bad[i]);
    assert_false(json_strict("1\0", 2));
}

static void what_ports_write_is_cleaned_for_reports(void **state)
{
    char text[] = "a\xff\xc3\xa9\xed\xa0\x80\xef\xbf\xbe\xe2\x82";
    (void)state;
    text_clean(text);
    assert_string_equal(text, "a?\xc3\xa9????????");
}

static const char *check(const char *verb, const char *part, const char *text)
{
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    const char *why = schema_check(verb, part, json);
    cJSON_Delete(json);
    return why;
}

static void the_schema_is_enforced(void **state)
{
    (void)state;
    assert_true(schema_load("conformance/runner/adapter-schema.json"));
    assert_null(check("server.start", "ok", "{\"handle\":\"s1\"}"));
    assert_non_null(check("server.start", "ok", "{}"));
    assert_non_null(check("server.start", "ok", "{\"handle\":\"\"}"));
    assert_non_null(check("server.start", "ok", "{\"handle\":\"s1\",\"more\":\"x\"}"));
    assert_non_null(check("client.call", "ok", "{\"result\":\"abc\"}"));
    assert_non_null(check("client.call", "ok", "{\"result\":\"AB\"}"));
    assert_non_null(check("client.open", "ok", "{\"handle\":\"c\",\"buffer_bytes\":4096}"));
    assert_null(check("*", "rpc_error", "{\"class\":\"timeout\",\"text\":\"\"}"));
    assert_non_null(check("*", "rpc_error", "{\"class\":\"Timeout\",\"text\":\"\"}"));
    assert_non_null(check("*", "rpc_error", "{\"text\":\"\"}"));
}

/* Every verb of the schema of cases is known to the runner: a case file cannot promise more. */
static void the_verbs_of_cases_exist(void **state)
{
    (void)state;
    char *text = file_read("conformance/cases/schema.json", NULL);
    cJSON *json = cJSON_Parse(text);
    const cJSON *verb;
    int count = 0;
    cJSON_ArrayForEach(verb, cJSON_GetObjectItemCaseSensitive(json, "verbs"))
    {
        if (!steps_known_verb(verb->string))
            fail_msg("unknown: %s", verb->string);
        count++;
    }
    assert_true(count > 40);
    cJSON_Delete(json);
    free(text);
}

static void put_file(const char *name, const char *text)
{
    char *path = kit_format("%s/%s", scratch, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    free(path);
}

#define CASE(id, more)                                                                             \
    "{\"cases\":[{\"id\":\"" id "\",\"title\":\"t\",\"level\":\"wire\",\"strength\":\"MUST\","         \
    "\"spec\":[\"SRPC-X-001\"],\"category\":\"leak\",\"roles\":[\"server\"],"                        \
    "\"expect\":{\"any_of\":[\"ok\"]},\"why\":\"w\"," more "}]}"

static void case_files_are_validated(void **state)
{
    static const char *const bad[] = {
        CASE("C-2", "\"steps\":[{\"nonsense\":{}}]"),
        CASE("C-2", "\"steps\":[{\"idle\":{\"nonsense\":1}}]"),
        CASE("C-2", "\"steps\":[{\"idle\":{},\"quit\":{}}]"),
        CASE("C-2", "\"steps\":[{\"idle\":{},\"want\":{\"nonsense\":1}}]"),
        CASE("C-2", "\"steps\":[{\"idle\":{}}],\"nonsense\":1"),
        CASE("C-2", "\"steps\":[{\"repeat\":{\"times\":2,\"steps\":[{\"nonsense\":{}}]}}]"),
        CASE("C-2", "\"steps\":5"), "{\"cases\":[{}]}", "{\"cases\":", "[]"};
    struct kit_cases cases = {0};
    (void)state;
    char *schema = file_read("conformance/cases/schema.json", NULL);
    put_file("schema.json", schema);
    free(schema);
    put_file("one.json", CASE("C-1", "\"steps\":[{\"idle\":{}}]"));
    assert_true(cases_load(scratch, &cases));
    assert_int_equal(cases.count, 1);
    put_file("two.json", CASE("C-1", "\"steps\":[{\"idle\":{}}]"));
    cases = (struct kit_cases){0};
    assert_false(cases_load(scratch, &cases)); /* the id is used twice */
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_file("two.json", bad[i]);
        cases = (struct kit_cases){0};
        if (cases_load(scratch, &cases))
            fail_msg("accepted: %s", bad[i]);
    }
    char *two = kit_format("%s/two.json", scratch);
    unlink(two);
    free(two);
}

static int gate(const char *spec, const char *exempt)
{
    struct kit_cases cases = {0};
    put_file("spec.md", spec);
    put_file("exempt.json", exempt);
    assert_true(cases_load(scratch, &cases));
    char *spec_path = kit_format("%s/spec.md", scratch);
    char *exempt_path = kit_format("%s/exempt.json", scratch);
    int faults = cases_gate(&cases, spec_path, exempt_path, false);
    free(spec_path);
    free(exempt_path);
    return faults;
}

static void the_gate_finds_holes(void **state)
{
    static const char x1[] = "**SRPC-X-001** (Wire, MUST) a.\n";
    static const char both[] = "**SRPC-X-001** (Wire, MUST) a.\n**SRPC-X-002** (Wire, MUST) b.\n";
    static const char should[] = "**SRPC-X-001** (Wire, MUST) a.\n**SRPC-X-002** (Wire, SHOULD) b.\n";
    (void)state;
    put_file("one.json", CASE("C-1", "\"steps\":[{\"idle\":{}}]"));
    put_file("ideas.txt", "# none\n");
    assert_int_equal(gate(x1, "{\"exempt\":{}}"), 0);
    assert_int_equal(gate(should, "{\"exempt\":{}}"), 0);
    assert_int_equal(gate(both, "{\"exempt\":{}}"), 1); /* a MUST without a case */
    assert_int_equal(gate(both, "{\"exempt\":{\"SRPC-X-002\":\"why\"}}"), 0);
    assert_int_equal(gate(x1, "{\"exempt\":{\"SRPC-X-001\":\"why\"}}"), 1); /* both at once */
    assert_int_equal(gate(x1, "{\"exempt\":{\"SRPC-X-009\":\"why\"}}"), 1); /* a dead exemption */
    assert_true(gate("nothing", "{\"exempt\":{}}") > 0); /* a case cites a dead id */
    /* A wire case that asks for what only a higher level promises. */
    assert_int_equal(gate("**SRPC-X-001** (Recovery, MUST) a.\n", "{\"exempt\":{}}"), 1);
    put_file("ideas.txt", "what nobody tries\n");
    assert_int_equal(gate(x1, "{\"exempt\":{}}"), 1);
    put_file("ideas.txt", "what nobody tries | nobody can\n");
    assert_int_equal(gate(x1, "{\"exempt\":{}}"), 0);
}

/* ---- patience -------------------------------------------------------------------------------------- */

/* A child that spins or sleeps until it is killed. */
static pid_t start_child(bool spins)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0) {
        patience_watch(pid);
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        if (!spins)
            pause();
}

static void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static struct patience wait_out(int64_t ms)
{
    struct patience patience = patience_begin(ms);
    while (!patience_over(&patience))
        sleep_ms(5);
    return patience;
}

/* Eight processes on one CPU wait for it most of the time: that is given back, up to the limit. */
static void a_process_that_gets_no_cpu_is_given_the_time_back(void **state)
{
    enum { CROWD = 8, MS = 320 };
    pid_t crowd[CROWD];
    cpu_set_t before, one;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    for (int i = 0; i < CROWD; i++)
        crowd[i] = start_child(true);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    struct patience patience = wait_out(MS);
    for (int i = 0; i < CROWD; i++)
        end_child(crowd[i]);
    assert_int_equal(patience.grace, 3 * MS);
}

/* What sleeps waits for no CPU: a hang is found when the patience is over, or soon after a slow start. */
static void a_process_that_sleeps_is_given_nothing(void **state)
{
    (void)state;
    pid_t sleeper = start_child(false);
    struct patience patience = wait_out(160);
    end_child(sleeper);
    assert_true(patience.grace < 3 * 160);
}

/* The same for what a process has started: a crowd below one child. */
static void a_tree_of_processes_is_given_the_time_back(void **state)
{
    enum { CROWD = 8, MS = 1500 };
    (void)state;
    pid_t top = fork();
    assert_true(top >= 0);
    if (top == 0) {
        cpu_set_t one;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        CPU_ZERO(&one);
        CPU_SET((size_t)sched_getcpu(), &one);
        sched_setaffinity(0, sizeof one, &one);
        for (int i = 0; i < CROWD; i++)
            start_child(true);
        for (;;)
            pause();
    }
    struct patience patience = patience_begin_tree(MS, top);
    while (!patience_over(&patience))
        sleep_ms(5);
    end_child(top); /* the crowd goes with it */
    assert_int_equal(patience.grace, 3 * MS);
}

/* ---- the tracer -------------------------------------------------------------------------------------- */

enum { SHORT_LIVES = 700 }; /* more than the tracer knows at once */

static void live_and_die(void *user)
{
    (void)user;
    for (int i = 0; i < SHORT_LIVES; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        if (pid < 0 || waitpid(pid, NULL, 0) != pid)
            _exit(1);
    }
    _exit(0);
}

static void the_tracer_follows_any_number_of_short_lives(void **state)
{
    (void)state;
    struct tracer *tracer = tracer_new();
    tracer->armed = 1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        tracer_main(tracer, live_and_die, NULL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(WIFEXITED(tracer->status) && WEXITSTATUS(tracer->status) == 0);
    assert_int_equal(tracer->lost, 0);
    assert_true(tracer->count >= 3 * SHORT_LIVES); /* a fork, a wait and an exit each */
}

/* ---- the whole program -------------------------------------------------------------------------------- */

static int run(const char *arguments, char **output)
{
    char *command = kit_format("%s/shmrpc-conformance %s --output %s/out 2>&1", build, arguments,
                               scratch);
    FILE *pipe = popen(command, "r");
    struct kit_text text = {0};
    char chunk[4096];
    size_t got;
    assert_non_null(pipe);
    while ((got = fread(chunk, 1, sizeof chunk, pipe)) > 0)
        text_append(&text, chunk, got);
    int status = pclose(pipe);
    free(command);
    if (output != NULL)
        *output = text.data;
    else
        free(text.data);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int count_verdicts(const char *verdict)
{
    char *path = kit_format("%s/out/bad.ndjson", scratch);
    char *text = file_read(path, NULL);
    char *key = kit_format("\"verdict\":\"%s\"", verdict);
    int count = 0;
    for (const char *at = text != NULL ? strstr(text, key) : NULL; at != NULL;
         at = strstr(at + 1, key))
        count++;
    free(path);
    free(text);
    free(key);
    return count;
}

static void unusable_adapters_are_reported(void **state)
{
    static const char *const modes[] = {"silent", "garbage", "late", "dies", "closes"};
    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        int64_t begin = now_ms();
        char *arguments = kit_format("--adapter '%s/kit/bad_adapter %s'", build, modes[i]);
        char *output;
        assert_int_equal(run(arguments, &output), 3);
        assert_non_null(strstr(output, "adapter: "));
        assert_true(now_ms() - begin < 20000);
        free(arguments);
        free(output);
    }
}

static void nothing_passes(const char *mode, const char *verdict, const char *cases, int least)
{
    char *arguments = kit_format("--adapter '%s/kit/bad_adapter %s' --patience 200 --jobs 8 --label bad "
                                 "--case '%s'", build, mode, cases);
    char *output;
    assert_int_equal(run(arguments, &output), 1);
    if (count_verdicts("pass") != 0)
        fail_msg("%s passes: %s", mode, output);
    assert_int_equal(count_verdicts("runner-error"), 0);
    assert_true(count_verdicts(verdict) >= least);
    free(arguments);
    free(output);
}

static void an_adapter_that_says_ok_to_everything_passes_nothing(void **state)
{
    (void)state;
    nothing_passes("yes", "fail", "*", 250);
}

static void an_adapter_that_refuses_everything_passes_nothing(void **state)
{
    (void)state;
    nothing_passes("no", "fail", "*", 250);
}

static void an_adapter_that_falls_silent_is_a_timeout(void **state)
{
    (void)state;
    nothing_passes("silent-later", "timeout", "C-[EN]*", 40);
}

/* A right answer that comes too late is none: the evidence says how long was waited. */
static void an_adapter_that_answers_late_is_a_timeout(void **state)
{
    (void)state;
    nothing_passes("late-later", "timeout", "C-[EN]*", 40);
    char *path = kit_format("%s/out/bad.ndjson", scratch);
    char *text = file_read(path, NULL);
    assert_non_null(text);
    assert_non_null(strstr(text, "within 200 ms"));
    free(path);
    free(text);
}

/* Nothing is known of a crash point that was not reached: the sweep goes on, until it has failed often. */
static void a_sweep_that_hangs_is_not_at_its_end(void **state)
{
    (void)state;
    nothing_passes("silent-later", "timeout", "C-CRP-001", 1);
    char *path = kit_format("%s/out/bad.ndjson", scratch);
    char *text = file_read(path, NULL);
    const char *failed = text != NULL ? strstr(text, "\"failed_points\":") : NULL;
    assert_non_null(failed);
    assert_true(atoi(failed + strlen("\"failed_points\":")) >= 8);
    free(path);
    free(text);
}

static void an_adapter_that_dies_is_a_crash(void **state)
{
    (void)state;
    nothing_passes("dies-later", "crash", "C-[EN]*", 40);
}

static void an_adapter_that_breaks_the_protocol_fails(void **state)
{
    (void)state;
    nothing_passes("garbage-later", "fail", "C-[EN]*", 40);
    nothing_passes("wrong-id", "fail", "C-[EN]*", 40);
    nothing_passes("two-bodies", "fail", "C-[EN]*", 40);
}

static void check_adapter_judges_adapters(void **state)
{
    (void)state;
    char *good = kit_format("--check-adapter --adapter '%s/conformance-adapters/reference'", build);
    char *bad = kit_format("--check-adapter --adapter '%s/kit/bad_adapter garbage-later'", build);
    assert_int_equal(run(good, NULL), 0);
    assert_int_equal(run(bad, NULL), 3);
    free(good);
    free(bad);
}

/* A port that has no server: its client's verbs are tried nevertheless. */
static void check_adapter_tries_clients_alone(void **state)
{
    (void)state;
    char *output = NULL;
    char *arguments = kit_format("--check-adapter --adapter 'conformance/runner/tests/client_only.sh "
                                 "%s/conformance-adapters/reference'", build);
    assert_int_equal(run(arguments, &output), 0);
    assert_non_null(strstr(output, "server.start       unsupported"));
    assert_non_null(strstr(output, "client.open        ok"));
    assert_non_null(strstr(output, "client.call_async  ok"));
    assert_non_null(strstr(output, "client.close       ok"));
    free(output);
    free(arguments);
}

static void usage_is_checked(void **state)
{
    (void)state;
    assert_int_equal(run("--adapter true --level nonsense", NULL), 2);
    assert_int_equal(run("--adapter true --category nonsense", NULL), 2);
    assert_int_equal(run("--adapter true --jobs x", NULL), 2);
    assert_int_equal(run("nonsense", NULL), 2);
    assert_int_equal(run("", NULL), 2);
    /* Green because nothing was checked is not green. */
    char *none = kit_format("--adapter '%s/conformance-adapters/reference' --case C-NON-*", build);
    assert_int_equal(run(none, NULL), 2);
    free(none);
}

static void with_expectations(const char *text, int code)
{
    put_file("expect.txt", text);
    char *arguments = kit_format("--adapter '%s/conformance-adapters/reference' --case C-NAM-001 "
                                 "--expectations %s/expect.txt", build, scratch);
    assert_int_equal(run(arguments, NULL), code);
    free(arguments);
}

static void expectations_must_come_true(void **state)
{
    (void)state;
    with_expectations("{\"expect\":[]}", 0);
    with_expectations("{\"expect\":[{\"pattern\":\"C-NAM-001\",\"class\":\"x\",\"reason\":\"r\"}]}", 1);
    with_expectations("{\"expect\":[{\"pattern\":\"C-NAM-001\"}]}", 2);
    with_expectations("nonsense", 2);
    /* A port that fails by the named class is as expected, by another it is not. */
    static const char form[] = "{\"expect\":[{\"pattern\":\"C-*\",\"class\":\"%s\",\"reason\":\"r\"}]}";
    char *arguments = kit_format("--adapter '%s/kit/bad_adapter dies-later' --case C-NAM-001 "
                                 "--expectations %s/expect.txt", build, scratch);
    char *right = kit_format(form, "crash"), *wrong = kit_format(form, "hang");
    put_file("expect.txt", right);
    assert_int_equal(run(arguments, NULL), 0);
    put_file("expect.txt", wrong);
    assert_int_equal(run(arguments, NULL), 1);
    free(arguments);
    free(right);
    free(wrong);
}

/* ---- killed half-way ---------------------------------------------------------------------------------------- */

/* How many living processes have the text in their command line. */
static int processes_with(const char *text)
{
    DIR *directory = opendir("/proc");
    struct dirent *entry;
    int count = 0;
    while ((entry = readdir(directory)) != NULL) {
        char path[300];
        size_t length = 0;
        if (atoi(entry->d_name) <= 0 || atoi(entry->d_name) == getpid())
            continue;
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        char *line = file_read(path, &length);
        for (size_t i = 0; line != NULL && i < length; i++)
            if (line[i] == '\0')
                line[i] = ' ';
        count += line != NULL && strstr(line, text) != NULL;
        free(line);
    }
    closedir(directory);
    return count;
}

static int names_with(const char *text)
{
    DIR *directory = opendir("/dev/shm");
    struct dirent *entry;
    int count = 0;
    while (directory != NULL && (entry = readdir(directory)) != NULL)
        count += strstr(entry->d_name, text) != NULL;
    closedir(directory);
    return count;
}

static pid_t start_run(const char *mark, const char *cases, const char *times)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Its totals are none of ours, and whoever runs this program adds up what it prints. */
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0 || dup2(nowhere, STDERR_FILENO) < 0)
        _exit(127);
    char *program = kit_format("%s/shmrpc-conformance", build);
    char *adapter = kit_format("%s/conformance-adapters/reference %s", build, mark);
    char *output = kit_format("%s/out", scratch);
    execl(program, program, "--quiet", "--label", "bad", "--adapter", adapter, "--output", output,
          "--case", cases, "--repeat", times, (char *)NULL);
    _exit(127);
}

static void wait_for_workers(const char *mark)
{
    int64_t until = now_ms() + 60000;
    int seen = 0;
    /* Workers come and go: it is enough to have seen them once. */
    while ((seen = processes_with(mark)) < 2 && now_ms() < until)
        sleep_ms(5);
    assert_true(seen >= 2);
}

/* No process, nothing under a name of the kit, and a next run that passes. */
static void nothing_is_left(const char *mark, bool prefix)
{
    int64_t until = now_ms() + 30000;
    while (processes_with(mark) > 0 && now_ms() < until)
        sleep_ms(10);
    assert_int_equal(processes_with(mark), 0);
    if (!prefix)
        assert_int_equal(names_with("srb_ch"), 0);
    char *arguments = kit_format("--adapter '%s/conformance-adapters/reference' --case C-NAM-002", build);
    assert_int_equal(run(arguments, NULL), 0);
    assert_int_equal(names_with("srb_kit"), 0);
    free(arguments);
}

/* The crash points of a server's start, stop and service, and the leak cases, which hold much at once;
 * and children that outlive their adapter. */
static void kill_runs(bool prefix)
{
    static const struct {
        const char *cases;
        int ms;
    } moments[] = {{"C-CRP-001", 0}, {"C-CRP-00?", 100}, {"C-LEK-0*", 250}, {"C-CRP-0??", 600},
                   {"C-LEK-0*", 1200}, {"C-FRK-00[56]", 0}, {"C-FRK-00[56]", 150}};
    if (prefix)
        setenv("SHMRPC_KIT_SANDBOX", "prefix", 1);
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        char mark[64];
        snprintf(mark, sizeof mark, "--mark-%d-%d-%zu", (int)getpid(), prefix, i);
        pid_t pid = start_run(mark, moments[i].cases, "1000"); /* more than any machine gets through */
        wait_for_workers(mark);
        sleep_ms(moments[i].ms);
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it is half-way */
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        nothing_is_left(mark, prefix);
    }
    unsetenv("SHMRPC_KIT_SANDBOX");
}

/* A child of the runner that has started an adapter, or 0. */
static pid_t worker_of(pid_t runner)
{
    char *path = kit_format("/proc/%d/task/%d/children", (int)runner, (int)runner);
    char *workers = file_read(path, NULL);
    char *at = workers;
    pid_t found = 0;
    free(path);
    for (long pid; found == 0 && at != NULL && (pid = strtol(at, &at, 10)) > 0;) {
        path = kit_format("/proc/%ld/task/%ld/children", pid, pid);
        char *adapters = file_read(path, NULL);
        if (adapters != NULL && adapters[0] != '\0')
            found = (pid_t)pid;
        free(path);
        free(adapters);
    }
    free(workers);
    return found;
}

/* The run goes on without the worker, and does not call its case passed. */
static void kill_a_worker(bool prefix)
{
    char mark[64];
    int status = 0;
    snprintf(mark, sizeof mark, "--mark-%d-%d-worker", (int)getpid(), prefix);
    if (prefix)
        setenv("SHMRPC_KIT_SANDBOX", "prefix", 1);
    pid_t runner = start_run(mark, "C-CRP-001", "1");
    wait_for_workers(mark);
    pid_t worker;
    while ((worker = worker_of(runner)) == 0)
        assert_int_equal(waitpid(runner, NULL, WNOHANG), 0);
    assert_int_equal(kill(worker, SIGKILL), 0);
    assert_int_equal(waitpid(runner, &status, 0), runner);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
    assert_int_equal(count_verdicts("pass"), 0);
    assert_true(count_verdicts("runner-error") > 0);
    nothing_is_left(mark, prefix);
    unsetenv("SHMRPC_KIT_SANDBOX");
}

static void a_run_that_is_killed_leaves_nothing(void **state)
{
    (void)state;
    kill_runs(false);
}

static void a_run_that_is_killed_without_a_sandbox_is_cleaned_by_the_next(void **state)
{
    (void)state;
    kill_runs(true);
}

static void a_worker_that_is_killed_is_an_error_of_the_runner(void **state)
{
    (void)state;
    kill_a_worker(false);
}

static void a_worker_that_is_killed_without_a_sandbox_leaves_nothing(void **state)
{
    (void)state;
    kill_a_worker(true);
}

static int prepare(void **state)
{
    (void)state;
    build = getenv("SHMRPC_BUILD") != NULL ? getenv("SHMRPC_BUILD") : "build/release";
    return mkdtemp(scratch) == NULL;
}

static int clean(void **state)
{
    (void)state;
    char *command = kit_format("rm -rf '%s'", scratch);
    int status = system(command);
    free(command);
    return status;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(sums_are_symbolic),
        cmocka_unit_test(white_space_goes_between_tokens_only),
        cmocka_unit_test(strict_json_is_strict),
        cmocka_unit_test(what_ports_write_is_cleaned_for_reports),
        cmocka_unit_test(the_schema_is_enforced),
        cmocka_unit_test(the_verbs_of_cases_exist),
        cmocka_unit_test(case_files_are_validated),
        cmocka_unit_test(the_gate_finds_holes),
        cmocka_unit_test(a_process_that_gets_no_cpu_is_given_the_time_back),
        cmocka_unit_test(a_process_that_sleeps_is_given_nothing),
        cmocka_unit_test(a_tree_of_processes_is_given_the_time_back),
        cmocka_unit_test(the_tracer_follows_any_number_of_short_lives),
        cmocka_unit_test(unusable_adapters_are_reported),
        cmocka_unit_test(an_adapter_that_says_ok_to_everything_passes_nothing),
        cmocka_unit_test(an_adapter_that_refuses_everything_passes_nothing),
        cmocka_unit_test(an_adapter_that_falls_silent_is_a_timeout),
        cmocka_unit_test(an_adapter_that_answers_late_is_a_timeout),
        cmocka_unit_test(a_sweep_that_hangs_is_not_at_its_end),
        cmocka_unit_test(an_adapter_that_dies_is_a_crash),
        cmocka_unit_test(an_adapter_that_breaks_the_protocol_fails),
        cmocka_unit_test(check_adapter_judges_adapters),
        cmocka_unit_test(check_adapter_tries_clients_alone),
        cmocka_unit_test(usage_is_checked),
        cmocka_unit_test(expectations_must_come_true),
        cmocka_unit_test(a_run_that_is_killed_leaves_nothing),
        cmocka_unit_test(a_run_that_is_killed_without_a_sandbox_is_cleaned_by_the_next),
        cmocka_unit_test(a_worker_that_is_killed_is_an_error_of_the_runner),
        cmocka_unit_test(a_worker_that_is_killed_without_a_sandbox_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}

/* SPDX-License-Identifier: MIT
 *
 * A C client driven from outside: each line of standard input is one call, each line of standard
 * output its outcome. An empty line asks for everything written so far.
 *
 *   in:  {"method": STRING, "params": OBJECT, "typed": BOOL, "timeout_ms": INTEGER}
 *   out: {"status": STATUS, "maybe_executed": BOOL, "result": ANY, "error": STRING}
 *
 * "typed" calls go through shmrpc_param_*() and take the result apart with the readers; others pass
 * the text of the parameters and of the result on as it stands.
 */
#include "retype.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_PARAMS = 64
};

static void *must_allocate(size_t bytes)
{
    void *memory = malloc(bytes);

    if (!memory)
        abort();
    return memory;
}

static bool member(const struct shmrpc_value *object, const char *name, struct shmrpc_value *value)
{
    return shmrpc_value_member(object, name, strlen(name), value) == SHMRPC_OK;
}

static struct shmrpc_param number_param(const char *name, const struct shmrpc_value *value)
{
    int64_t i;
    uint64_t u;
    double d;

    if (shmrpc_value_int64(value, &i) == SHMRPC_OK)
        return shmrpc_param_int64(name, i);
    if (shmrpc_value_uint64(value, &u) == SHMRPC_OK)
        return shmrpc_param_uint64(name, u);
    if (shmrpc_value_double(value, &d) != SHMRPC_OK)
        abort();
    return shmrpc_param_double(name, d);
}

/* *data is freed by the caller; it must outlive the parameter. */
static struct shmrpc_param make_param(const char *name, const struct shmrpc_value *value,
                                      char **data)
{
    struct shmrpc_writer writer;
    size_t length;
    bool flag;

    *data = NULL;
    switch (value->type) {
    case SHMRPC_NULL:
        return shmrpc_param_null(name);
    case SHMRPC_BOOL:
        if (shmrpc_value_bool(value, &flag) != SHMRPC_OK)
            abort();
        return shmrpc_param_bool(name, flag);
    case SHMRPC_NUMBER:
        return number_param(name, value);
    case SHMRPC_STRING:
        *data = retype_decode(value, &length);
        return shmrpc_param_string(name, *data, length);
    case SHMRPC_ARRAY:
    case SHMRPC_OBJECT:
        break;
    }
    /* Rewriting can lengthen a text: a byte becomes six, a number at most 25. */
    *data = must_allocate(value->length * 25);
    shmrpc_writer_init(&writer, *data, value->length * 25);
    retype(value, &writer);
    if (shmrpc_writer_finish(&writer, &length) != SHMRPC_OK)
        abort();
    return shmrpc_param_json(name, *data, length);
}

static enum shmrpc_status call_typed(struct shmrpc_client *client, const char *method,
                                     const struct shmrpc_value *params, struct shmrpc_value *result)
{
    struct shmrpc_param list[MAX_PARAMS];
    char *names[MAX_PARAMS];
    char *data[MAX_PARAMS];
    struct shmrpc_iterator iterator;
    struct shmrpc_value key;
    struct shmrpc_value value;
    size_t count = 0;
    size_t length;

    if (shmrpc_value_iterate(params, &iterator) != SHMRPC_OK)
        abort();
    while (shmrpc_iterator_next(&iterator, &key, &value)) {
        if (count == MAX_PARAMS)
            abort();
        names[count] = retype_decode(&key, &length);
        list[count] = make_param(names[count], &value, &data[count]);
        count++;
    }
    enum shmrpc_status status = shmrpc_client_call(client, method, list, count, result);
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
        free(data[i]);
    }
    return status;
}

static void print_result(const struct shmrpc_value *result, bool typed)
{
    size_t capacity = result->length * 25 + 64;
    char *text = must_allocate(capacity);
    struct shmrpc_writer writer;
    size_t length;

    fputs(",\"result\":", stdout);
    if (typed) {
        shmrpc_writer_init(&writer, text, capacity);
        retype(result, &writer);
        if (shmrpc_writer_finish(&writer, &length) != SHMRPC_OK)
            abort();
        fwrite(text, 1, length, stdout);
    } else {
        fwrite(result->text, 1, result->length, stdout);
    }
    free(text);
}

static void print_error(const struct shmrpc_client *client, enum shmrpc_status status)
{
    const char *data = shmrpc_client_error(client);
    size_t length = strlen(data);
    struct shmrpc_writer writer;

    if (status == SHMRPC_METHOD_ERROR)
        shmrpc_client_method_error(client, &data, &length);
    size_t capacity = length * 6 + 64;
    char *text = must_allocate(capacity);

    shmrpc_writer_init(&writer, text, capacity);
    shmrpc_write_string(&writer, data, length);
    if (shmrpc_writer_finish(&writer, &length) != SHMRPC_OK)
        abort();
    fputs(",\"error\":", stdout);
    fwrite(text, 1, length, stdout);
    free(text);
}

static void serve_line(struct shmrpc_client *client, const char *line, size_t length)
{
    struct shmrpc_value root;
    struct shmrpc_value value;
    struct shmrpc_value params;
    struct shmrpc_value result;
    bool typed = false;
    int64_t timeout_ms;

    if (shmrpc_json_read(line, length, &root, NULL) != SHMRPC_OK ||
        !member(&root, "method", &value) || !member(&root, "params", &params)) {
        fprintf(stderr, "echo_driver: not a call: %.*s\n", (int)length, line);
        exit(2);
    }
    char *method = retype_decode(&value, &(size_t){0});

    if (member(&root, "typed", &value) && shmrpc_value_bool(&value, &typed) != SHMRPC_OK)
        abort();
    if (member(&root, "timeout_ms", &value) &&
        (shmrpc_value_int64(&value, &timeout_ms) != SHMRPC_OK ||
         shmrpc_client_set_timeout(client, (int)timeout_ms) != SHMRPC_OK))
        abort();
    enum shmrpc_status status =
        typed ? call_typed(client, method, &params, &result)
              : shmrpc_client_call_json(client, method, params.text, params.length, &result);
    printf("{\"status\":\"%s\",\"maybe_executed\":%s", shmrpc_status_name(status),
           shmrpc_client_maybe_executed(client) ? "true" : "false");
    if (status == SHMRPC_OK)
        print_result(&result, typed);
    else
        print_error(client, status);
    fputs("}\n", stdout);
    free(method);
}

int main(int argc, char **argv)
{
    struct shmrpc_client_options options = SHMRPC_CLIENT_OPTIONS_INIT;
    struct shmrpc_error error;
    struct shmrpc_client *client;
    char *line = NULL;
    size_t room = 0;
    ssize_t length;

    if (argc != 4) {
        fprintf(stderr, "usage: echo_driver NAME BUFFER-BYTES TIMEOUT-MS\n");
        return 2;
    }
    options.buffer_bytes = strtoul(argv[2], NULL, 10);
    options.timeout_ms = atoi(argv[3]);
    options.wait_for_server_ms = 10000;
    options.wait_busy_ms = 10000;
    options.error = &error;
    if (shmrpc_client_open(argv[1], &options, &client) != SHMRPC_OK) {
        fprintf(stderr, "echo_driver: %s\n", error.text);
        return 1;
    }
    while ((length = getline(&line, &room, stdin)) > 0) {
        if (length == 1)
            fflush(stdout);
        else
            serve_line(client, line, (size_t)length);
    }
    free(line);
    shmrpc_client_close(&client);
    return 0;
}

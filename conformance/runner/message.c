/* SPDX-License-Identifier: MIT
 *
 * Messages of the raw peer, byte by byte as a case wants them.
 *
 * A text may hold: ${id} a request id of our own, ${taken} the id of the request taken last, ${nonce}
 * a text that no other call has, ${hex:00ff} bytes, ${rep:N:TEXT} repetition, ${fill} as many x as
 * bring the message to its "size". N and sizes are sums such as cap+1.
 */
#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t symbol_value(void *user, const char *name)
{
    const struct run *run = user;
    if (strcmp(name, "buf") == 0)
        return run->buffer_bytes;
    if (strcmp(name, "cap") == 0)
        return run->buffer_bytes - 4;
    if (strcmp(name, "min_buffer") == 0)
        return 128;
    if (strcmp(name, "max_buffer") == 0)
        return 4294967295LL;
    if (strcmp(name, "name_max") == 0)
        return 236;
    if (strcmp(name, "depth") == 0)
        return 1024;
    kit_die(4, "a case uses the unknown size '%s'", name);
}

int64_t run_number(struct run *run, const cJSON *item, int64_t fallback)
{
    if (cJSON_IsNumber(item))
        return (int64_t)item->valuedouble;
    if (cJSON_IsString(item))
        return sum_eval(item->valuestring, symbol_value, run);
    return fallback;
}

int64_t step_number(struct run *run, const cJSON *arguments, const char *key, int64_t fallback)
{
    return run_number(run, cJSON_GetObjectItemCaseSensitive(arguments, key), fallback);
}

static void fresh_id(struct run *run)
{
    snprintf(run->last_id, sizeof run->last_id, "%s-%u", run->test->id, ++run->nonce);
}

static void expand_macro(struct run *run, const char *macro, struct kit_text *out)
{
    if (strcmp(macro, "id") == 0 || strcmp(macro, "taken") == 0) {
        text_printf(out, "%s", run->last_id);
    } else if (strcmp(macro, "nonce") == 0) {
        text_printf(out, "nonce-%u", run->nonce);
    } else if (strcmp(macro, "i") == 0) {
        text_printf(out, "%d", run->round);
    } else if (strncmp(macro, "hex:", 4) == 0) {
        size_t length;
        unsigned char *bytes = hex_decode(macro + 4, &length);
        if (bytes == NULL)
            run_error(run, "no hex: %s", macro);
        text_append(out, bytes, length);
        free(bytes);
    } else if (strncmp(macro, "rep:", 4) == 0) {
        const char *colon = strchr(macro + 4, ':');
        if (colon == NULL)
            run_error(run, "no repetition: %s", macro);
        char count[64];
        snprintf(count, sizeof count, "%.*s", (int)(colon - macro - 4), macro + 4);
        int64_t times = sum_eval(count, symbol_value, run);
        for (int64_t i = 0; i < times; i++)
            text_append(out, colon + 1, strlen(colon + 1));
    } else {
        run_error(run, "unknown macro ${%s}", macro);
    }
}

/* A macro's text ends at the first "}" unless it is a repetition of "}", written ${rep:N:CLOSE}. */
void message_expand(struct run *run, const char *text, int64_t size, struct kit_text *out)
{
    size_t fill_at = (size_t)-1;
    for (const char *at = text; *at != '\0';) {
        const char *end = strncmp(at, "${", 2) == 0 ? strchr(at, '}') : NULL;
        if (end == NULL) {
            text_append(out, at++, 1);
            continue;
        }
        char macro[512];
        snprintf(macro, sizeof macro, "%.*s", (int)(end - at - 2), at + 2);
        char *close = strstr(macro, "CLOSE");
        if (close != NULL)
            strcpy(close, "}");
        if (strcmp(macro, "fill") == 0)
            fill_at = out->length;
        else
            expand_macro(run, macro, out);
        at = end + 1;
    }
    if (fill_at == (size_t)-1 || size < (int64_t)out->length)
        return;
    size_t missing = (size_t)size - out->length;
    struct kit_text whole = {0};
    text_append(&whole, out->data, fill_at);
    for (size_t i = 0; i < missing; i++)
        text_append(&whole, "x", 1);
    text_append(&whole, out->data + fill_at, out->length - fill_at);
    text_free(out);
    *out = whole;
}

static void add_string(struct kit_text *out, const char *text)
{
    cJSON *string = cJSON_CreateString(text);
    char *printed = cJSON_PrintUnformatted(string);
    text_append(out, printed, strlen(printed));
    free(printed);
    cJSON_Delete(string);
}

static void request_text(struct run *run, const cJSON *spec, struct kit_text *out)
{
    text_printf(out, "{\"request_id\":");
    add_string(out, run->last_id);
    text_printf(out, ",\"method\":");
    add_string(out, json_text(spec, "method", "echo"));
    text_printf(out, ",\"params\":");
    const cJSON *params = cJSON_GetObjectItemCaseSensitive(spec, "params");
    if (params != NULL) {
        char *printed = cJSON_PrintUnformatted(params);
        message_expand(run, printed, 0, out);
        free(printed);
    } else {
        text_printf(out, "{\"message\":\"nonce-%u\"}", run->nonce);
    }
    text_printf(out, "}");
}

static void answer_text(struct run *run, const cJSON *spec, struct kit_text *out)
{
    text_printf(out, "{\"request_id\":");
    add_string(out, json_text(spec, "id", run->last_id));
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(spec, "result");
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(spec, "error");
    const cJSON *params = cJSON_GetObjectItemCaseSensitive(run->taken, "params");
    if (result == NULL)
        result = cJSON_GetObjectItemCaseSensitive(params, "message");
    char *result_text = result != NULL ? cJSON_PrintUnformatted(result) : kit_copy("null");
    char *error_text = error != NULL ? cJSON_PrintUnformatted(error) : kit_copy("null");
    text_printf(out, ",\"result\":%s,\"error\":%s}", result_text, error_text);
    free(result_text);
    free(error_text);
}

void message_build(struct run *run, const cJSON *spec, bool answer, struct kit_text *out)
{
    if (!answer)
        fresh_id(run);
    if (!answer && json_text(spec, "id", NULL) != NULL)
        snprintf(run->last_id, sizeof run->last_id, "%s", json_text(spec, "id", ""));
    int64_t size = step_number(run, spec, "size", 0);
    const char *text = json_text(spec, "text", NULL);
    const char *hex = json_text(spec, "hex", NULL);
    if (text != NULL) {
        message_expand(run, text, size, out);
    } else if (hex != NULL) {
        size_t length;
        unsigned char *bytes = hex_decode(hex, &length);
        if (bytes == NULL)
            run_error(run, "no hex: %s", hex);
        text_append(out, bytes, length);
        free(bytes);
    } else if (answer) {
        answer_text(run, spec, out);
    } else {
        request_text(run, spec, out);
    }
    if (out->data == NULL)
        text_append(out, "", 0);
}

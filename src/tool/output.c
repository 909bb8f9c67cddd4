/* SPDX-License-Identifier: MIT
 *
 * Results on stdout: text that is safe on a terminal, and JSON trees.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What was allocated, or the end. */
static void *needed(void *pointer)
{
    if (pointer == NULL)
        tool_out_of_memory();
    return pointer;
}

/* Length of the UTF-8 character at text, or 0 if there is none. mbrtowc() would judge by the
 * locale, and the C locale knows no UTF-8, so the library's strict reader judges instead. */
static size_t character_length(const char *text, size_t left)
{
    unsigned char first = (unsigned char)text[0];
    size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (length == 1)
        return 1;
    if (first < 0xc2 || length > left)
        return 0;
    char quoted[6] = {'"'};
    memcpy(quoted + 1, text, length);
    quoted[length + 1] = '"';
    struct shmrpc_value value;
    return shmrpc_json_read(quoted, length + 2, &value, NULL) == SHMRPC_OK ? length : 0;
}

/* C0, DEL and the C1 controls (U+0080 .. U+009F), which some terminals obey. */
static bool is_control(const char *text, size_t length)
{
    unsigned char first = (unsigned char)text[0];
    if (length == 1)
        return first < 0x20 || first == 0x7f;
    return length == 2 && first == 0xc2 && (unsigned char)text[1] < 0xa0;
}

static void print_escaped(FILE *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        fprintf(out, "\\x%02x", (unsigned char)text[i]);
}

static void print_text(FILE *out, const char *text, size_t length, const char *kept,
                       const char *escaped)
{
    while (length > 0) {
        size_t step = character_length(text, length);
        bool plain = step > 0 && !is_control(text, step);
        if (step == 1 && *text != '\0')
            plain = strchr(kept, *text) != NULL || (plain && strchr(escaped, *text) == NULL);
        if (step == 0)
            step = 1;
        if (plain)
            fwrite(text, 1, step, out);
        else
            print_escaped(out, text, step);
        text += step;
        length -= step;
    }
}

char *tool_printable(const char *text)
{
    char *result = NULL;
    size_t size = 0;
    FILE *out = needed(open_memstream(&result, &size));
    print_text(out, text, strlen(text), "", "\\");
    if (fclose(out) != 0)
        tool_out_of_memory();
    return result;
}

void tool_print_text(FILE *out, const char *text, size_t length, bool lines)
{
    print_text(out, text, length, lines ? "\n\t" : "", "");
}

static bool wants_colour(void)
{
    const char *terminal = getenv("TERM");
    const char *refused = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0 &&
           (refused == NULL || *refused == '\0');
}

void tool_print_coloured(const char *colour, const char *text)
{
    if (wants_colour())
        printf("\033[%sm%s\033[0m", colour, text);
    else
        fputs(text, stdout);
}

void tool_print_json(cJSON *tree)
{
    char *text = needed(cJSON_PrintUnformatted(tree));
    puts(text);
    cJSON_free(text);
    cJSON_Delete(tree);
}

cJSON *tool_json_object(void)
{
    return needed(cJSON_CreateObject());
}

cJSON *tool_json_array(void)
{
    return needed(cJSON_CreateArray());
}

void tool_json_add(cJSON *object, const char *key, cJSON *item)
{
    if (!cJSON_AddItemToObject(object, key, needed(item)))
        tool_out_of_memory();
}

void tool_json_append(cJSON *array, cJSON *item)
{
    if (!cJSON_AddItemToArray(array, needed(item)))
        tool_out_of_memory();
}

/* cJSON copies bytes above 0x7f as they are, so what is no UTF-8 must go before. */
static char *as_utf8(const char *text, bool *changed)
{
    size_t left = strlen(text);
    char *copy = needed(malloc(3 * left + 1));
    char *at = copy;
    *changed = false;
    while (left > 0) {
        size_t length = character_length(text, left);
        if (length == 0) {
            memcpy(at, "\xef\xbf\xbd", 3);
            at += 3;
            length = 1;
            *changed = true;
        } else {
            memcpy(at, text, length);
            at += length;
        }
        text += length;
        left -= length;
    }
    *at = '\0';
    return copy;
}

void tool_json_add_string(cJSON *object, const char *key, const char *value)
{
    bool changed;
    char *text = as_utf8(value, &changed);
    tool_json_add(object, key, cJSON_CreateString(text));
    free(text);
}

void tool_json_add_number(cJSON *object, const char *key, double value)
{
    tool_json_add(object, key, cJSON_CreateNumber(value));
}

void tool_json_add_bool(cJSON *object, const char *key, bool value)
{
    tool_json_add(object, key, cJSON_CreateBool(value));
}

void tool_json_add_null(cJSON *object, const char *key)
{
    tool_json_add(object, key, cJSON_CreateNull());
}

void tool_json_add_name(cJSON *object, const char *name)
{
    bool changed;
    char *text = as_utf8(name, &changed);
    tool_json_add(object, "name", cJSON_CreateString(text));
    free(text);
    if (!changed)
        return;
    char hex[2 * SHMRPC_MAX_NAME_BYTES + 1] = "";
    size_t length = strnlen(name, SHMRPC_MAX_NAME_BYTES);
    for (size_t i = 0; i < length; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)name[i]);
    tool_json_add_string(object, "name_hex", hex);
}

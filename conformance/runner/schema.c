/* SPDX-License-Identifier: MIT
 *
 * The adapter protocol as data (adapter-schema.json), so that what is documented is what is checked.
 * A part of a verb maps field names to types; a name that ends in "?" is optional.
 */
#include "kit.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cJSON *schema;

bool schema_load(const char *path)
{
    char *text = file_read(path, NULL);
    schema = text == NULL ? NULL : cJSON_ParseWithOpts(text, NULL, true);
    free(text);
    return cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(schema, "verbs"));
}

const cJSON *schema_verb(const char *verb)
{
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(schema, "verbs"), verb);
}

static bool is_decimal(const char *text)
{
    if (*text == '-')
        text++;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (!isdigit((unsigned char)*text))
            return false;
    return true;
}

static bool is_hex(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (!isdigit((unsigned char)text[i]) && !(text[i] >= 'a' && text[i] <= 'f'))
            return false;
    return length % 2 == 0;
}

static bool is_class(const char *text)
{
    return json_has(cJSON_GetObjectItemCaseSensitive(schema, "classes"), text);
}

static bool is_texts(const cJSON *item)
{
    const cJSON *part;
    cJSON_ArrayForEach(part, item)
    {
        if (!cJSON_IsString(part))
            return false;
    }
    return cJSON_IsArray(item);
}

static bool is_numbers(const cJSON *item)
{
    const cJSON *part;
    cJSON_ArrayForEach(part, item)
    {
        if (!cJSON_IsString(part) || !is_decimal(part->valuestring))
            return false;
    }
    return cJSON_IsObject(item);
}

static bool has_type(const cJSON *item, const char *type)
{
    if (strcmp(type, "tree") == 0 || strcmp(type, "object") == 0)
        return cJSON_IsObject(item);
    if (strcmp(type, "texts") == 0)
        return is_texts(item);
    if (strcmp(type, "numbers") == 0)
        return is_numbers(item);
    if (!cJSON_IsString(item))
        return false;
    if (strcmp(type, "decimal") == 0)
        return is_decimal(item->valuestring);
    if (strcmp(type, "hex") == 0)
        return is_hex(item->valuestring);
    if (strcmp(type, "class") == 0)
        return is_class(item->valuestring);
    if (strcmp(type, "token") == 0)
        return item->valuestring[0] != '\0' && strlen(item->valuestring) < 64;
    return strcmp(type, "text") == 0;
}

static const cJSON *part_of(const char *verb, const char *part)
{
    if (strcmp(verb, "*") != 0)
        return cJSON_GetObjectItemCaseSensitive(schema_verb(verb), part);
    return cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(schema, "replies"), part);
}

static bool field_known(const cJSON *fields, const char *name)
{
    char optional[64];
    snprintf(optional, sizeof optional, "%s?", name);
    return cJSON_GetObjectItemCaseSensitive(fields, name) != NULL ||
           cJSON_GetObjectItemCaseSensitive(fields, optional) != NULL;
}

const char *schema_check(const char *verb, const char *part, const cJSON *body)
{
    static char why[160];
    const cJSON *fields = part_of(verb, part);
    if (fields == NULL || !cJSON_IsObject(body)) {
        snprintf(why, sizeof why, "%s of %s must be an object", part, verb);
        return why;
    }
    const cJSON *field;
    cJSON_ArrayForEach(field, fields)
    {
        char name[64];
        snprintf(name, sizeof name, "%s", field->string);
        size_t length = strlen(name);
        bool optional = length > 0 && name[length - 1] == '?';
        if (optional)
            name[length - 1] = '\0';
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, name);
        if (item == NULL && optional)
            continue;
        if (item == NULL || !has_type(item, field->valuestring)) {
            snprintf(why, sizeof why, "%s of %s: '%s' must be %s", part, verb, name,
                     field->valuestring);
            return why;
        }
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, body)
    {
        if (!field_known(fields, item->string)) {
            snprintf(why, sizeof why, "%s of %s: '%.60s' is not in the schema", part, verb,
                     item->string);
            return why;
        }
    }
    return NULL;
}

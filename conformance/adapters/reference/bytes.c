/* SPDX-License-Identifier: MIT */
#include "adapter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *hex_of(const void *data, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;
    char *text = malloc(2 * length + 1);
    if (text == NULL)
        abort();
    for (size_t i = 0; i < length; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * length] = '\0';
    return text;
}

char *bytes_of(const char *hex, size_t *length)
{
    *length = strlen(hex) / 2;
    char *bytes = malloc(*length + 1);
    if (bytes == NULL)
        abort();
    for (size_t i = 0; i < *length; i++) {
        unsigned byte = 0;
        sscanf(hex + 2 * i, "%2x", &byte);
        bytes[i] = (char)byte;
    }
    bytes[*length] = '\0';
    return bytes;
}

void add_printable(cJSON *object, const char *key, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        abort();
    for (char *at = copy; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    cJSON_AddStringToObject(object, key, copy);
    free(copy);
}

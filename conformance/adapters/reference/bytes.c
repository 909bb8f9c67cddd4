/* SPDX-License-Identifier: MIT */
#include "adapter.h"

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

/* The kit's schema has checked that there are lower-case digits only. */
static int digit_of(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

char *bytes_of(const char *hex, size_t *length)
{
    *length = strlen(hex) / 2;
    char *bytes = malloc(*length + 1);
    if (bytes == NULL)
        abort();
    for (size_t i = 0; i < *length; i++)
        bytes[i] = (char)(16 * digit_of(hex[2 * i]) + digit_of(hex[2 * i + 1]));
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

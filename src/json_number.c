/* SPDX-License-Identifier: MIT
 *
 * The C library converts between decimal and binary; here is what makes that exact for numbers of
 * any length and independent of the locale: strtod() is given digits and an exponent but never a
 * radix character, and of printf()'s output only the digits and the exponent are used.
 */
#include "json_number.h"
#include "check.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Halfway between two neighbouring doubles lies a number of at most 767 significant digits. So of a
 * longer number only the first 768 digits matter, and whether anything but zeros follows. */
enum { DIGITS = 768 };

/* An exponent beyond this cannot be told from this one: no text is long enough to make up for it. */
#define EXPONENT_MAX INT64_C(100000000000000000)

/** The number 0.DDDD... * 10^point; count is 0 for zero. */
struct decimal {
    bool negative;
    bool more; /* something other than zeros follows behind the digits kept */
    int count;
    int64_t point;
    char digits[DIGITS];
};

/* 2^1024 - 2^970, halfway between the largest double and what would be the next one: the smallest
 * number that rounds to infinity. */
static const char overflow_digits[] =
    "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977"
    "587207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845"
    "817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711559"
    "699508093042880177904174497792";
enum { OVERFLOW_DIGITS = sizeof overflow_digits - 1 };
_Static_assert(OVERFLOW_DIGITS == DBL_MAX_10_EXP + 1, "doubles end at 2^1024");
_Static_assert((int)OVERFLOW_DIGITS <= (int)DIGITS, "the digits kept decide about the overflow");

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/** The exponent behind the letter e, at most EXPONENT_MAX either way. */
static int64_t exponent_read(const char *at, const char *end)
{
    INVARIANT(at <= end);
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    int64_t exponent = 0;
    for (; at < end && is_digit(*at); at++) {
        exponent = exponent * 10 + (*at - '0');
        if (exponent > EXPONENT_MAX)
            exponent = EXPONENT_MAX;
    }
    ENSURE(exponent >= 0);
    ENSURE(exponent <= EXPONENT_MAX);
    return negative ? -exponent : exponent;
}

/** Read a number in the grammar of JSON, but with any bytes but digits and e as its radix character. */
static void decimal_read(struct decimal *decimal, const char *text, size_t length)
{
    REQUIRE(text != NULL);
    REQUIRE(length > 0);
    const char *at = text;
    const char *end = text + length;
    decimal->negative = *at == '-';
    decimal->more = false;
    decimal->count = 0;
    decimal->point = 0;
    bool fraction = false;
    for (at += decimal->negative; at < end && *at != 'e' && *at != 'E'; at++) {
        if (!is_digit(*at)) {
            fraction = true;
            continue;
        }
        if (decimal->count == 0 && *at == '0') {
            decimal->point -= fraction;
            continue;
        }
        decimal->point += !fraction;
        if (decimal->count < DIGITS)
            decimal->digits[decimal->count++] = *at;
        else
            decimal->more |= *at != '0';
    }
    if (at < end)
        decimal->point += exponent_read(at + 1, end);
    ENSURE(decimal->count <= DIGITS);
    ENSURE(decimal->count > 0 || !decimal->more);
}

static double decimal_magnitude(const struct decimal *decimal)
{
    INVARIANT(decimal->count >= 0);
    INVARIANT(decimal->count <= DIGITS);
    if (decimal->count == 0)
        return 0.0;
    char text[DIGITS + 32];
    size_t count = (size_t)decimal->count;
    memcpy(text, decimal->digits, count);
    /* A last digit that stands for all that was dropped: it only breaks ties. */
    if (decimal->more)
        text[count++] = '1';
    int tail = snprintf(text + count, sizeof text - count, "e%lld",
                        (long long)(decimal->point - (int64_t)count));
    ENSURE(tail > 0 && (size_t)tail < sizeof text - count);
    return strtod(text, NULL);
}

bool shmrpc_json_number_fits(const char *text, size_t length)
{
    REQUIRE(length <= PTRDIFF_MAX);
    struct decimal decimal;
    decimal_read(&decimal, text, length);
    if (decimal.point != OVERFLOW_DIGITS)
        return decimal.count == 0 || decimal.point < OVERFLOW_DIGITS;
    /* Where the number has fewer digits, zeros follow, and the limit does not end with a zero. */
    int count = decimal.count < OVERFLOW_DIGITS ? decimal.count : OVERFLOW_DIGITS;
    int order = memcmp(decimal.digits, overflow_digits, (size_t)count);
    return order < 0 || (order == 0 && count < OVERFLOW_DIGITS);
}

double shmrpc_json_number_double(const char *text, size_t length)
{
    struct decimal decimal;
    decimal_read(&decimal, text, length);
    double magnitude = decimal_magnitude(&decimal);
    return decimal.negative ? -magnitude : magnitude;
}

bool shmrpc_json_number_is_integer(const char *text, size_t length)
{
    REQUIRE(text != NULL);
    REQUIRE(length > 0);
    for (size_t i = *text == '-'; i < length; i++)
        if (!is_digit(text[i]))
            return false;
    return true;
}

bool shmrpc_json_number_integer(const char *text, size_t length, bool *negative,
                                uint64_t *magnitude)
{
    REQUIRE(text != NULL);
    REQUIRE(length > 0);
    REQUIRE(negative != NULL);
    REQUIRE(magnitude != NULL);
    uint64_t value = 0;
    size_t first = *text == '-';
    for (size_t i = first; i < length; i++)
        if (!is_digit(text[i]) || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
            return false;
    *negative = first == 1;
    *magnitude = value;
    return length > first;
}

/** The nearest decimal of so many significant digits. */
static void decimal_print(struct decimal *decimal, double magnitude, int digits)
{
    INVARIANT(digits > 0);
    INVARIANT(digits <= DBL_DECIMAL_DIG);
    INVARIANT(magnitude > 0 && isfinite(magnitude));
    char text[64];
    int length = snprintf(text, sizeof text, "%.*e", digits - 1, magnitude);
    ENSURE(length > 0 && (size_t)length < sizeof text);
    decimal_read(decimal, text, (size_t)length);
    ENSURE(decimal->count == digits);
}

/** The shortest decimal that reads back as magnitude. */
static void decimal_shortest(struct decimal *decimal, double magnitude)
{
    /* Any decimal of DBL_DIG digits survives a normal double, so DBL_DIG digits less their final
     * zeros are the shortest if they read back at all. Subnormal doubles hold fewer. */
    int digits = magnitude < DBL_MIN ? 1 : DBL_DIG;
    int exponent;
    bool power_of_two = frexp(magnitude, &exponent) == 0.5;
    for (; digits < DBL_DECIMAL_DIG; digits++) {
        decimal_print(decimal, magnitude, digits);
        if (decimal_magnitude(decimal) == magnitude)
            break;
        /* The gap above a power of two is twice the gap below it: the nearest decimal, if it lies
         * below, may miss where the next one above does not. Behind a final 9 the next one has
         * fewer digits, and those were tried. */
        if (power_of_two) {
            char *last = &decimal->digits[digits - 1];
            if (*last != '9')
                ++*last;
            if (decimal_magnitude(decimal) == magnitude)
                break;
        }
    }
    if (digits == DBL_DECIMAL_DIG)
        decimal_print(decimal, magnitude, digits);
    while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0')
        decimal->count--;
    ENSURE(decimal_magnitude(decimal) == magnitude);
}

/** Append count digits from index on; zeros where the decimal has no more. @return the new end. */
static char *digits_append(char *to, const struct decimal *decimal, int index, int count)
{
    INVARIANT(index >= 0);
    INVARIANT(count >= 0);
    for (int i = index; i < index + count; i++)
        *to++ = i < decimal->count ? decimal->digits[i] : '0';
    return to;
}

size_t shmrpc_json_number_write(double value, char text[SHMRPC_JSON_DOUBLE_BYTES])
{
    REQUIRE(isfinite(value));
    REQUIRE(text != NULL);
    struct decimal decimal = {.point = 1}; /* zero, for now */
    if (value != 0)
        decimal_shortest(&decimal, fabs(value));
    char *to = text;
    if (signbit(value))
        *to++ = '-';
    int point = (int)decimal.point;
    int rest = decimal.count > point ? decimal.count - point : 1;
    if (point > DBL_DECIMAL_DIG - 1 || point < -3) {
        to = digits_append(to, &decimal, 0, 1);
        if (decimal.count > 1) {
            *to++ = '.';
            to = digits_append(to, &decimal, 1, decimal.count - 1);
        }
        to += snprintf(to, 8, "e%+03d", point - 1);
    } else if (point > 0) {
        to = digits_append(to, &decimal, 0, point);
        *to++ = '.';
        to = digits_append(to, &decimal, point, rest);
    } else {
        *to++ = '0';
        *to++ = '.';
        for (int i = point; i < 0; i++)
            *to++ = '0';
        to = digits_append(to, &decimal, 0, decimal.count);
    }
    ENSURE(to - text < SHMRPC_JSON_DOUBLE_BYTES);
    return (size_t)(to - text);
}

/* SPDX-License-Identifier: MIT
 *
 * The calculator's methods. Integers stay exact to 64 bits, signed or not, and an overflow is an
 * error; one operand with a fraction makes the result a double, as in the original's calculator.
 */
#include "methods.h"

#include <math.h>

/* Every product of two 64-bit integers fits 128 bits but for the largest unsigned ones, so the
 * builtins' verdict and this range are the whole overflow check. */
static const __int128 lowest = INT64_MIN;
static const __int128 highest = UINT64_MAX;

enum shmrpc_status tool_number_param(struct shmrpc_call *call, const char *name,
                                     struct tool_number *number)
{
    struct shmrpc_value value;
    *number = (struct tool_number){false, 0, 0};
    enum shmrpc_status status = shmrpc_call_param(call, name, &value);
    if (status != SHMRPC_OK)
        return status;
    number->integer = shmrpc_value_is_integer(&value);
    if (!number->integer)
        return shmrpc_call_double(call, name, &number->real);
    int64_t with_sign;
    uint64_t without;
    if (shmrpc_value_int64(&value, &with_sign) == SHMRPC_OK)
        number->exact = with_sign;
    else if (shmrpc_value_uint64(&value, &without) == SHMRPC_OK)
        number->exact = without;
    else /* beyond 64 bits; leaves an OverflowError as the call's text */
        return shmrpc_call_int64(call, name, &with_sign);
    number->real = (double)number->exact;
    return SHMRPC_OK;
}

static enum shmrpc_status answer_exact(struct shmrpc_call *call, bool overflow, __int128 value)
{
    if (overflow || value < lowest || value > highest)
        return tool_fail(call, "OverflowError", "the result does not fit 64 bits");
    if (value <= INT64_MAX)
        return shmrpc_call_answer_int64(call, (int64_t)value);
    return shmrpc_call_answer_uint64(call, (uint64_t)value);
}

enum shmrpc_status tool_answer_real(struct shmrpc_call *call, double value)
{
    if (!isfinite(value))
        return tool_fail(call, "OverflowError", "the result is too large for a double");
    return shmrpc_call_answer_double(call, value);
}

static enum shmrpc_status two_numbers(struct shmrpc_call *call, const char *first,
                                      const char *second, struct tool_number *a,
                                      struct tool_number *b)
{
    enum shmrpc_status status = tool_number_param(call, first, a);
    return status != SHMRPC_OK ? status : tool_number_param(call, second, b);
}

enum operation {
    ADD,
    SUBTRACT,
    MULTIPLY
};

/* The operations that stay exact between integers. Only additions count as work (see count). */
static enum shmrpc_status calculate(struct shmrpc_call *call, struct tool_service *service,
                                    enum operation operation)
{
    struct tool_number a, b;
    enum shmrpc_status status = two_numbers(call, "a", "b", &a, &b);
    if (status != SHMRPC_OK)
        return status;
    __int128 exact = 0;
    double real = 0;
    bool overflow = false;
    switch (operation) {
    case ADD:
        overflow = __builtin_add_overflow(a.exact, b.exact, &exact);
        real = a.real + b.real;
        break;
    case SUBTRACT:
        overflow = __builtin_sub_overflow(a.exact, b.exact, &exact);
        real = a.real - b.real;
        break;
    case MULTIPLY:
        overflow = __builtin_mul_overflow(a.exact, b.exact, &exact);
        real = a.real * b.real;
        break;
    }
    if (a.integer && b.integer)
        status = answer_exact(call, overflow, exact);
    else
        status = tool_answer_real(call, real);
    return operation == ADD ? tool_completed(service, status) : status;
}

enum shmrpc_status tool_add(struct shmrpc_call *call, struct tool_service *service)
{
    return calculate(call, service, ADD);
}

enum shmrpc_status tool_subtract(struct shmrpc_call *call, struct tool_service *service)
{
    return calculate(call, service, SUBTRACT);
}

enum shmrpc_status tool_multiply(struct shmrpc_call *call, struct tool_service *service)
{
    return calculate(call, service, MULTIPLY);
}

enum shmrpc_status tool_divide(struct shmrpc_call *call, struct tool_service *service)
{
    (void)service;
    struct tool_number a, b;
    enum shmrpc_status status = two_numbers(call, "a", "b", &a, &b);
    if (status != SHMRPC_OK)
        return status;
    if (b.real == 0)
        return tool_fail(call, "ValueError", "Cannot divide by zero");
    return tool_answer_real(call, a.real / b.real);
}

/* By squaring; the exponent has at most 64 bits, so has the loop. The last square is not needed and
 * must not count as an overflow. */
static enum shmrpc_status exact_power(struct shmrpc_call *call, __int128 base, __int128 exponent)
{
    __int128 result = 1;
    bool overflow = false;
    while (exponent > 0 && !overflow) {
        if (exponent & 1)
            overflow = __builtin_mul_overflow(result, base, &result);
        exponent >>= 1;
        if (exponent > 0 && !overflow)
            overflow = __builtin_mul_overflow(base, base, &base);
    }
    return answer_exact(call, overflow, result);
}

enum shmrpc_status tool_power(struct shmrpc_call *call, struct tool_service *service)
{
    (void)service;
    struct tool_number base, exponent;
    enum shmrpc_status status = two_numbers(call, "base", "exponent", &base, &exponent);
    if (status != SHMRPC_OK)
        return status;
    if (base.integer && exponent.integer && exponent.exact >= 0)
        return exact_power(call, base.exact, exponent.exact);
    if (base.real == 0 && exponent.real < 0)
        return tool_fail(call, "ZeroDivisionError", "0.0 cannot be raised to a negative power");
    if (base.real < 0 && exponent.real != floor(exponent.real))
        return tool_fail(call, "ValueError",
                         "Cannot raise a negative number to a fractional power");
    return tool_answer_real(call, pow(base.real, exponent.real));
}

enum shmrpc_status tool_sqrt(struct shmrpc_call *call, struct tool_service *service)
{
    (void)service;
    struct tool_number x;
    enum shmrpc_status status = tool_number_param(call, "x", &x);
    if (status != SHMRPC_OK)
        return status;
    if (x.real < 0)
        return tool_fail(call, "ValueError", "Cannot calculate square root of negative number");
    return tool_answer_real(call, sqrt(x.real));
}

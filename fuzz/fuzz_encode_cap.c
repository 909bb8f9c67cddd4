/* SPDX-License-Identifier: MIT
 *
 * Input: a byte of mode, two bytes of capacity, then a program for the writer: one byte an operation,
 * some with arguments. In an envelope, values are handed over as parameters are. It runs in ample room, then in the given one, which ends where its memory
 * ends: the outcome is the same, cut off where the room ends; nothing is written behind it, and
 * nothing is handed out after a failure.
 */
#include "envelope.h"
#include "harness.h"
#include "judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AMPLE = 1 << 18, MODES = 3 };
enum mode { PLAIN, REQUEST, RESPONSE };

static const char own_id[] = "0123456789abcdef";
static const struct shmrpc_value peer_id = {"\"6b1e4f0a-93c7-4d25-8a1b-2f5c7d9e0a11\"", 38,
                                            SHMRPC_STRING, false};

/* The bytes of a string argument: so many of the input as its next byte says. */
static const char *string_argument(struct harness_input *input, size_t *length)
{
    size_t wanted = harness_byte(input);
    *length = wanted < input->left ? wanted : input->left;
    const char *text = *length > 0 ? (const char *)input->at : "";
    input->at += *length;
    input->left -= *length;
    return text;
}

static uint64_t number_argument(struct harness_input *input)
{
    uint64_t number = 0;
    for (int i = 0; i < 4; i++)
        number = number << 16 | harness_word(input);
    return number;
}

static void write_text(struct shmrpc_writer *writer, unsigned op, struct harness_input *input)
{
    size_t length;
    const char *text = string_argument(input, &length);
    if (op == 8)
        shmrpc_write_key(writer, text, length);
    else if (op == 9)
        shmrpc_write_string(writer, text, length);
    else
        shmrpc_write_json(writer, text, length);
}

/* A value by the way that a client's parameters and a handler's answers take. */
static void write_param(struct shmrpc_envelope *envelope, unsigned op, struct harness_input *input)
{
    struct shmrpc_param param = shmrpc_param_null("");
    const char *text;
    size_t length;
    double number;
    uint64_t bits;
    if (op == 5) {
        param = shmrpc_param_bool("", harness_byte(input) & 1);
    } else if (op == 6) {
        param = shmrpc_param_int64("", (int64_t)number_argument(input));
    } else if (op == 7) {
        param = shmrpc_param_uint64("", number_argument(input));
    } else if (op == 9 || op == 10) {
        text = string_argument(input, &length);
        param = op == 9 ? shmrpc_param_string("", text, length) : shmrpc_param_json("", text, length);
    } else if (op == 11) {
        bits = number_argument(input);
        memcpy(&number, &bits, sizeof number);
        param = shmrpc_param_double("", number);
    }
    shmrpc_envelope_write(envelope, &param);
}

static void operate(struct shmrpc_writer *writer, unsigned op, struct harness_input *input)
{
    double number;
    uint64_t bits;
    switch (op) {
    case 0:
        shmrpc_write_object_begin(writer);
        break;
    case 1:
        shmrpc_write_object_end(writer);
        break;
    case 2:
        shmrpc_write_array_begin(writer);
        break;
    case 3:
        shmrpc_write_array_end(writer);
        break;
    case 4:
        shmrpc_write_null(writer);
        break;
    case 5:
        shmrpc_write_bool(writer, harness_byte(input) & 1);
        break;
    case 6:
        shmrpc_write_int64(writer, (int64_t)number_argument(input));
        break;
    case 7:
        shmrpc_write_uint64(writer, number_argument(input));
        break;
    case 8:
    case 9:
    case 10:
        write_text(writer, op, input);
        break;
    default:
        bits = number_argument(input);
        memcpy(&number, &bits, sizeof number);
        shmrpc_write_double(writer, number);
        break;
    }
}

/* Run the program in capacity bytes. @return as the writer or the envelope reports. */
static enum shmrpc_status run(enum mode mode, struct harness_input program, char *buffer,
                              size_t capacity, size_t *length)
{
    struct shmrpc_envelope envelope;
    struct shmrpc_writer *writer = &envelope.writer;
    if (mode == PLAIN)
        shmrpc_writer_init(writer, buffer, capacity);
    else if (mode == REQUEST)
        shmrpc_envelope_begin_request(&envelope, buffer, capacity, own_id, sizeof own_id - 1,
                                      "m\"\xC3\xA9");
    else
        shmrpc_envelope_begin_response(&envelope, buffer, capacity, &peer_id);
    while (program.left > 0) {
        char *before = writer->at;
        enum shmrpc_status status = writer->status;
        unsigned op = harness_byte(&program) % 12u;
        if (mode != PLAIN && op >= 4 && op != 8)
            write_param(&envelope, op, &program);
        else
            operate(writer, op, &program);
        ORACLE(writer->at >= before && writer->at <= buffer + capacity);
        /* Errors stick, and after one nothing more is written. */
        ORACLE(status == SHMRPC_OK || (writer->status == status && writer->at == before));
    }
    if (mode == PLAIN)
        return shmrpc_writer_finish(writer, length);
    return mode == REQUEST ? shmrpc_envelope_end_request(&envelope, length)
                           : shmrpc_envelope_end_response(&envelope, length);
}

static void check_valid(const char *text, size_t length)
{
    struct shmrpc_value root;
    ORACLE(shmrpc_json_read(text, length, &root, NULL) == SHMRPC_OK);
    ORACLE(root.text == text && root.length == length);
    cJSON *tree = judge_parse(text, length);
    if (tree != NULL)
        judge_compare(&root, tree);
    cJSON_Delete(tree);
}

/* The same program in exactly capacity bytes, whole being what it writes in ample room. */
static void check_capacity(enum mode mode, struct harness_input program, size_t capacity,
                           enum shmrpc_status expected, const char *whole, size_t whole_length)
{
    char *buffer = harness_room(capacity);
    size_t length = SIZE_MAX;
    enum shmrpc_status status = run(mode, program, buffer, capacity, &length);
    harness_note_number((uint64_t)status);
    harness_note(buffer, capacity);
    if (expected == SHMRPC_OK) {
        ORACLE(status == (whole_length <= capacity ? SHMRPC_OK : SHMRPC_TOO_LARGE));
    } else {
        ORACLE(status == expected || status == SHMRPC_TOO_LARGE);
    }
    if (status == SHMRPC_OK)
        ORACLE(length == whole_length && memcmp(buffer, whole, length) == 0);
    else
        ORACLE(length == SIZE_MAX);
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char ample[AMPLE];
    struct harness_input input = {data, size};
    enum mode mode = (enum mode)(harness_byte(&input) % MODES);
    size_t capacity = harness_word(&input) % 2048;
    size_t length = SIZE_MAX;
    if (input.left > AMPLE / 32)
        return 0; /* no operation writes more than 32 bytes for each of its own */
    enum shmrpc_status status = run(mode, input, ample, AMPLE, &length);
    ORACLE(status == SHMRPC_OK || status == SHMRPC_SERIALIZATION || status == SHMRPC_INVALID);
    if (status == SHMRPC_OK)
        check_valid(ample, length);
    check_capacity(mode, input, capacity, status, ample, length);
    if (status == SHMRPC_OK && length > 0) {
        check_capacity(mode, input, length, status, ample, length);
        check_capacity(mode, input, length - 1, status, ample, length);
    }
    return 0;
}

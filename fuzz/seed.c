/* SPDX-License-Identifier: MIT
 *
 * Make inputs for the fuzz targets out of the vectors and the conformance cases:
 *
 *   fuzz-seed spec/vectors conformance/cases OUT
 *
 * writes OUT/TARGET/NAME. Deterministic; knows the layouts that the targets describe at their heads.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *out;

static cJSON *load(const char *directory, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = calloc(1, (size_t)size + 1);
    cJSON *tree = NULL;
    if (text != NULL && fread(text, 1, (size_t)size, file) == (size_t)size)
        tree = cJSON_Parse(text);
    fclose(file);
    free(text);
    if (tree == NULL) {
        fprintf(stderr, "%s: not JSON\n", path);
        exit(1);
    }
    return tree;
}

/* One input: a head of parameters and the bytes behind it. */
static void put(const char *target, const char *name, const void *head, size_t head_size,
                const void *data, size_t size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", out, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", out, target, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(head, 1, head_size, file) != head_size ||
        fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
}

/* The bytes of KEY or KEY_hex; null if the vector has neither. For the caller to free. */
static char *bytes_of(const cJSON *vector, const char *key, size_t *size)
{
    char hex_key[64];
    snprintf(hex_key, sizeof hex_key, "%s_hex", key);
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(vector, key));
    const char *hex = cJSON_GetStringValue(cJSON_GetObjectItem(vector, hex_key));
    if (text == NULL && hex == NULL)
        return NULL;
    *size = text != NULL ? strlen(text) : strlen(hex) / 2;
    char *bytes = malloc(*size + 1);
    if (bytes == NULL)
        exit(1);
    for (size_t i = 0; i < *size; i++) {
        char pair[3] = {0};
        if (text == NULL)
            memcpy(pair, hex + 2 * i, 2);
        bytes[i] = text != NULL ? text[i] : (char)strtoul(pair, NULL, 16);
    }
    return bytes;
}

static const char *id_of(const cJSON *vector)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(vector, "id"));
}

static void seed_json(const char *vectors)
{
    cJSON *file = load(vectors, "json.json");
    const cJSON *vector;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItem(file, "texts")) {
        size_t size;
        char *text = bytes_of(vector, "text", &size);
        if (text != NULL && size <= 16384) {
            put("json", id_of(vector), "", 0, text, size);
            put("json_roundtrip", id_of(vector), "", 0, text, size);
        }
        free(text);
    }
    cJSON_Delete(file);
}

/* A program for the writer: the text as one string, and as ready JSON, in an array. */
static void seed_encode(const char *id, const char *text, size_t size)
{
    char program[600];
    size_t at = 0;
    if (size > 255)
        return;
    program[at++] = 2;
    for (char op = 9; op <= 10; op++) {
        program[at++] = op;
        program[at++] = (char)size;
        memcpy(program + at, text, size);
        at += size;
    }
    program[at++] = 3;
    uint8_t head[3] = {(uint8_t)(size % 3), 120, 0};
    put("encode_cap", id, head, sizeof head, program, at);
}

static void seed_envelopes(const char *vectors)
{
    cJSON *file = load(vectors, "envelopes.json");
    const cJSON *vector;
    for (int response = 0; response < 2; response++) {
        cJSON_ArrayForEach(vector, cJSON_GetObjectItem(file, response ? "responses" : "requests")) {
            size_t size;
            char name[256];
            char *text = bytes_of(vector, "text", &size);
            if (text == NULL)
                continue;
            uint8_t head[3] = {(uint8_t)response, 124, 0};
            snprintf(name, sizeof name, "%s-%s", response ? "response" : "request", id_of(vector));
            put("envelope", name, head, sizeof head, text, size);
            put("json", name, "", 0, text, size);
            seed_encode(name, text, size);
            /* The toctou target: server or client, no change at first, one change of the length. */
            uint8_t change[8] = {(uint8_t)(response + 1), 1, 1, 0, 0, 0, 0xFF, 0xFF};
            put("toctou", name, change, sizeof change, text, size);
            /* Texts of stateful traces end at a newline, so only those without one serve. */
            if (size < 400 && memchr(text, '\n', size) == NULL) {
                char trace[600];
                int length = snprintf(trace, sizeof trace,
                                      response ? "@take\n@answer %.*s\ncall echo 50\n"
                                               : "send %.*s\nstep 50\ncollect\n",
                                      (int)size, text);
                put(response ? "client_step" : "server_step", name, "", 0, trace, (size_t)length);
            }
            free(text);
        }
    }
    cJSON_Delete(file);
}

static void seed_frames(const char *vectors)
{
    cJSON *file = load(vectors, "frames.json");
    const cJSON *vector;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItem(file, "read")) {
        size_t size;
        char *segment = bytes_of(vector, "segment", &size);
        unsigned capacity = (unsigned)cJSON_GetObjectItem(vector, "capacity")->valueint - 1;
        uint8_t head[2] = {(uint8_t)capacity, (uint8_t)(capacity >> 8)};
        if (segment != NULL && size <= 4096)
            put("frame", id_of(vector), head, sizeof head, segment, size);
        free(segment);
    }
    cJSON_Delete(file);
}

static void seed_names(const char *vectors)
{
    cJSON *file = load(vectors, "names.json");
    const cJSON *vector;
    char before[300] = "a";
    size_t before_size = 2;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItem(file, "names")) {
        size_t size;
        char *name = bytes_of(vector, "name", &size);
        if (name == NULL)
            continue;
        put("name", id_of(vector), before, before_size, name, size);
        before_size = size < sizeof before - 1 ? size : sizeof before - 1;
        memcpy(before, name, before_size);
        before[before_size++] = '\0';
        free(name);
        const cJSON *one;
        int number = 0;
        cJSON_ArrayForEach(one, cJSON_GetObjectItem(vector, "files")) {
            char id[300];
            snprintf(id, sizeof id, "%s-file-%d", id_of(vector), number++);
            put("name", id, "", 0, one->valuestring, strlen(one->valuestring));
        }
    }
    cJSON_Delete(file);
}

static const char *const objects[6] = {"req",      "resp",       "req_empty",
                                       "req_full", "resp_empty", "resp_full"};

/* A state image as a trace of the recover target: one line an object. */
static void seed_image(const char *directory, const char *id)
{
    static const int idle[6] = {0, 0, 1, 0, 1, 0};
    char path[300];
    char trace[2000];
    size_t at = 0;
    snprintf(path, sizeof path, "images/%s.json", id);
    cJSON *image = load(directory, path);
    const cJSON *marked = cJSON_GetObjectItem(image, "marked");
    const cJSON *absent = cJSON_GetObjectItem(image, "absent");
    for (int i = 0; i < 6; i++) {
        const cJSON *one;
        int gone = 0;
        cJSON_ArrayForEach(one, absent) {
            gone = gone || (cJSON_IsString(one) && strcmp(one->valuestring, objects[i]) == 0);
        }
        if (gone)
            continue;
        const cJSON *value =
            cJSON_GetObjectItem(cJSON_GetObjectItem(image, "values"), objects[i]);
        at += (size_t)snprintf(trace + at, sizeof trace - at, "%s %d %s %d\n", objects[i],
                               i < 2 ? 512 : 32, cJSON_IsFalse(marked) ? "0600" : "1600",
                               cJSON_IsNumber(value) ? value->valueint : idle[i]);
    }
    put("recover", id, "", 0, trace, at);
    snprintf(path, sizeof path, "%s-reclaim", id);
    put("recover", path, "reclaim\n", 8, trace, at);
    snprintf(path, sizeof path, "%s-attach", id);
    put("recover", path, "attach 0\n", 9, trace, at);
    cJSON_Delete(image);
}

/* An idle channel of which one object is not as it should be. */
static void seed_oddities(void)
{
    static const char *const oddities[] = {"1600 0 held", "0600 0 held", "1600 0 locked", "0600 0",
                                           "1600 0 fifo", "1600 0 dir",  "1600 0 link",   "1644 0"};
    enum { ODDITIES = sizeof oddities / sizeof *oddities };
    for (int number = 0; number < 2 * 6 * ODDITIES; number++) {
        char trace[600];
        char name[64];
        size_t at = 0;
        int marked = number % 2;
        int odd = number / 2 % 6;
        for (int i = 0; i < 6; i++) {
            int size = i < 2 ? 512 : 32;
            if (i == odd)
                at += (size_t)snprintf(trace + at, sizeof trace - at, "%s %d %s\n", objects[i],
                                       size, oddities[number / 12]);
            else
                at += (size_t)snprintf(trace + at, sizeof trace - at, "%s %d %s %d\n", objects[i],
                                       size, marked ? "1600" : "0600", i == 2 || i == 4);
        }
        snprintf(name, sizeof name, "odd-%03d", number);
        put("recover", name, "", 0, trace, at);
        snprintf(name, sizeof name, "odd-%03d-more", number);
        put("recover", name, "attach 300\nreclaim\n", 19, trace, at);
    }
}

/* Clients at the door of a living server: by size asked for, and by what the last one left. */
static void seed_visitors(void)
{
    static const char *const doors[] = {"attach 0", "attach 500", "attach 600"};
    for (int number = 0; number < 12; number++) {
        char trace[600];
        char name[64];
        size_t at = (size_t)snprintf(trace, sizeof trace, "%s\n", doors[number % 3]);
        for (int i = 0; i < 6; i++) {
            /* The values of each pair: idle, busy, or abandoned. */
            int value = i == 2 ? number / 3 == 0 : i == 4 ? number / 3 < 2 : i == 5 && number / 3 == 3;
            at += (size_t)snprintf(trace + at, sizeof trace - at, "%s %d 1600 %d%s\n", objects[i],
                                   i < 2 ? 512 : 32, value, i == 0 ? " locked" : "");
        }
        snprintf(name, sizeof name, "visitor-%02d", number);
        put("recover", name, "", 0, trace, at);
    }
}

static void seed_images(const char *directory)
{
    cJSON *index = load(directory, "images/index.json");
    const cJSON *kind;
    cJSON_ArrayForEach(kind, index) {
        const cJSON *id;
        if (cJSON_IsArray(kind))
            cJSON_ArrayForEach(id, kind) seed_image(directory, id->valuestring);
    }
    cJSON_Delete(index);
}

/* Every text that a case puts into a segment as it is: envelopes and JSON of the kit. */
static void walk(const cJSON *item, const char *file, int *number)
{
    for (; item != NULL; item = item->next) {
        if (cJSON_IsString(item) && item->string != NULL && strcmp(item->string, "text") == 0) {
            char name[300];
            uint8_t head[3] = {(uint8_t)(*number % 2), 200, 0};
            snprintf(name, sizeof name, "case-%s-%d", file, (*number)++);
            put("json", name, "", 0, item->valuestring, strlen(item->valuestring));
            put("envelope", name, head, sizeof head, item->valuestring,
                strlen(item->valuestring));
        }
        walk(item->child, file, number);
    }
}

static void seed_cases(const char *directory)
{
    static const char *const files[] = {"json", "envelope", "framing", "hostile", "limits"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char name[64];
        int number = 0;
        snprintf(name, sizeof name, "%s.json", files[i]);
        cJSON *file = load(directory, name);
        walk(file->child, files[i], &number);
        cJSON_Delete(file);
    }
}

/* Calls of the server target's typed methods, with values at the limits of each. */
static void seed_methods(void)
{
    static const char *const methods[] = {"flag", "count", "real", "text", "none", "sorry", "add"};
    static const char *const params[] = {
        "{\"v\":true}",     "{\"v\":-1}",          "{\"v\":18446744073709551615}",
        "{\"v\":1e400}",    "{\"v\":-1.5e-7}",     "{\"v\":18446744073709551616}",
        "{\"v\":\"a\\u0000\"}", "{\"v\":null,\"w\":1}", "{}",
        "{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":\"x\"}", "{\"a\":1,\"b\":2,\"a long one\":3}"};
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        for (size_t p = 0; p < sizeof params / sizeof *params; p++) {
            char name[64], trace[300];
            snprintf(name, sizeof name, "method-%s-%zu", methods[m], p);
            int length = snprintf(trace, sizeof trace,
                                  "send {\"request_id\":\"%zu\",\"method\":\"%s\",\"params\":%s}\n"
                                  "step 50\ncollect\n",
                                  p, methods[m], params[p]);
            put("server_step", name, "", 0, trace, (size_t)length);
        }
    }
}

/* What mutation hardly finds: an id that leaves no room to answer, and a result to be decoded. */
static void seed_rarities(void)
{
    char trace[600];
    int length = snprintf(trace, sizeof trace,
                          "send {\"request_id\":\"%0450d\",\"method\":\"add\",\"params\":{}}\nstep 50\n", 7);
    put("server_step", "long-id", "", 0, trace, (size_t)length);
    length = snprintf(trace, sizeof trace,
                      "@take\n@result \"a\\n\\u0000\\uD83D\\uDE00\"\ncall echo 50\n");
    put("client_step", "escaped-result", "", 0, trace, (size_t)length);
}

/* Programs for the writer that reach the limit of nesting, by steps and by ready JSON. */
static void seed_depth(void)
{
    enum { LEVELS = 1024 };
    char program[LEVELS + 40];
    for (int over = -1; over <= 1; over++) {
        char name[64];
        uint8_t head[3] = {0, 255, 7};
        memset(program, 2, sizeof program);
        snprintf(name, sizeof name, "deep-arrays-%d", over + 1);
        put("encode_cap", name, head, sizeof head, program, (size_t)(LEVELS + over));
        size_t begun = LEVELS - 3;
        program[begun] = 10;
        program[begun + 1] = (char)(2 * (3 + over));
        memset(program + begun + 2, '[', (size_t)(3 + over));
        memset(program + begun + 5 + over, ']', (size_t)(3 + over));
        snprintf(name, sizeof name, "deep-json-%d", over + 1);
        put("encode_cap", name, head, sizeof head, program, begun + 8 + 2 * (size_t)over);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: fuzz-seed VECTORS CASES OUT\n");
        return 2;
    }
    out = argv[3];
    seed_json(argv[1]);
    seed_envelopes(argv[1]);
    seed_frames(argv[1]);
    seed_names(argv[1]);
    seed_images(argv[2]);
    seed_oddities();
    seed_visitors();
    seed_methods();
    seed_depth();
    seed_rarities();
    seed_cases(argv[2]);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#ifndef KIT_REPORT_H
#define KIT_REPORT_H

#include "kit.h"

struct requirement {
    char id[40];
    enum kit_level level;
    char strength[12];
    char *text;
};

struct requirements {
    struct requirement *list;
    size_t count;
};

/** All requirements of the specification, in its order. */
void requirements_load(const char *root, struct requirements *requirements);

/** One NDJSON file: a port's run. */
struct port_run {
    const char *label;
    cJSON *run;
    cJSON **records;
    size_t count;
};

void html_write(const char *path, const struct requirements *requirements,
                const struct port_run *ports, int count);
void junit_write(const char *path, const struct port_run *port);

#endif

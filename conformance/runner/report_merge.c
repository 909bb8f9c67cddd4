/* SPDX-License-Identifier: MIT
 *
 * JUnit XML and the HTML matrix, from NDJSON files alone.
 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- escaping ---------------------------------------------------------------------------------------- */

static void put_escaped(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '<')
            fputs("&lt;", file);
        else if (c == '>')
            fputs("&gt;", file);
        else if (c == '&')
            fputs("&amp;", file);
        else if (c == '"')
            fputs("&quot;", file);
        else if (c < 0x20 && c != '\n' && c != '\t')
            fputs("?", file);
        else
            fputc(c, file);
    }
}

/* What stands between backticks in the specification is code. */
static void put_marked(FILE *file, const char *text)
{
    bool code = false;
    for (const char *tick; (tick = strchr(text, '`')) != NULL; text = tick + 1, code = !code) {
        char *part = kit_format("%.*s", (int)(tick - text), text);
        put_escaped(file, part);
        fputs(code ? "</code>" : "<code>", file);
        free(part);
    }
    put_escaped(file, text);
    if (code)
        fputs("</code>", file);
}

/* ---- JUnit --------------------------------------------------------------------------------------------- */

static bool is_bad(const cJSON *record)
{
    const char *verdict = json_text(record, "verdict", "");
    return strcmp(verdict, "pass") != 0 && strcmp(verdict, "skip") != 0 &&
           strcmp(verdict, "xfail") != 0;
}

static bool is_skip(const cJSON *record)
{
    const char *verdict = json_text(record, "verdict", "");
    return strcmp(verdict, "skip") == 0 || strcmp(verdict, "xfail") == 0;
}

static void junit_case(FILE *file, const cJSON *record)
{
    const cJSON *ms = cJSON_GetObjectItemCaseSensitive(record, "ms");
    fprintf(file, "  <testcase classname=\"%s\" name=\"%s/%s ", json_text(record, "category", ""),
            json_text(record, "case", ""), json_text(record, "pairing", ""));
    put_escaped(file, json_text(record, "title", ""));
    fprintf(file, "\" time=\"%.3f\">", cJSON_GetNumberValue(ms) / 1000.0);
    const char *verdict = json_text(record, "verdict", "");
    const cJSON *evidence = cJSON_GetObjectItemCaseSensitive(record, "evidence");
    if (is_skip(record)) {
        fprintf(file, "<skipped message=\"%s: ", verdict);
        put_escaped(file, json_text(record, "reason", json_text(record, "text", "")));
        fprintf(file, "\"/>");
    } else if (is_bad(record)) {
        const char *kind = strcmp(verdict, "runner-error") == 0 ? "error" : "failure";
        fprintf(file, "<%s type=\"%s\" message=\"", kind, json_text(record, "class", ""));
        put_escaped(file, json_text(record, "text", ""));
        fprintf(file, "\">");
        put_escaped(file, json_text(evidence, "log", ""));
        put_escaped(file, json_text(evidence, "shm", ""));
        put_escaped(file, json_text(evidence, "repeat", ""));
        fprintf(file, "</%s>", kind);
    }
    fprintf(file, "</testcase>\n");
}

void junit_write(const char *path, const struct port_run *port)
{
    size_t bad = 0, skipped = 0;
    FILE *file = fopen(path, "w");
    if (file == NULL)
        kit_die(4, "cannot write %s", path);
    for (size_t i = 0; i < port->count; i++) {
        bad += is_bad(port->records[i]);
        skipped += is_skip(port->records[i]);
    }
    fprintf(file, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<testsuite name=\"shmrpc-conformance ");
    put_escaped(file, port->label);
    fprintf(file, "\" tests=\"%zu\" failures=\"%zu\" skipped=\"%zu\">\n", port->count, bad, skipped);
    for (size_t i = 0; i < port->count; i++)
        junit_case(file, port->records[i]);
    fprintf(file, "</testsuite>\n");
    fclose(file);
}

/* ---- HTML ------------------------------------------------------------------------------------------------- */

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>SHM-RPC conformance</title>\n<style>\n"
    ":root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--rule:#d5dae0;--soft:#f4f6f8;"
    "--good:#1a7f4b;--bad:#c02a2a;--known:#9a6700;--none:#7a828c}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e4e8ec;--paper:#14171a;--rule:#343a41;"
    "--soft:#1d2126;--good:#4cc38a;--bad:#ff7b72;--known:#e3b341;--none:#8b949e}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:80rem;padding:1.5rem 1rem;"
    "background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif;"
    "overflow-wrap:anywhere}\n"
    "h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}"
    ".wide{overflow-x:auto;max-width:100%}table{border-collapse:collapse;width:100%}"
    "th,td{border-bottom:1px solid var(--rule);padding:.35rem .6rem;text-align:left;"
    "vertical-align:top}\n"
    "th{font-weight:600;background:var(--soft)}td.v,th.v{text-align:center}td.v{white-space:nowrap}"
    "th{overflow-wrap:normal}th:first-child,td:first-child{position:sticky;left:0}"
    "td:first-child{background:var(--paper)}h2::first-letter{text-transform:uppercase}"
    "code,pre{font:12.5px/1.45 ui-monospace,monospace}"
    "pre{background:var(--soft);padding:.6rem;overflow-x:auto;max-width:100%;white-space:pre;"
    "overflow-wrap:normal;margin:.4rem 0}"
    "a{color:inherit}.pass{color:var(--good)}.fail,.crash,.timeout,.xpass,.runner-error"
    "{color:var(--bad);font-weight:600}.xfail{color:var(--known)}.skip,.none{color:var(--none)}"
    "td.fail,td.crash,td.timeout,td.xpass,td.runner-error"
    "{background:color-mix(in srgb,var(--bad) 14%,transparent)}"
    "td.v .none{font-weight:400}.port,.id span{white-space:nowrap;overflow-wrap:normal}"
    "pre.command{white-space:pre-wrap;overflow-wrap:anywhere}"
    "section.e{border-left:3px solid var(--rule);padding:.1rem 0 .1rem .9rem;margin:1rem 0}"
    "section.e:target{border-color:var(--bad)}summary{cursor:pointer}"
    ".id{min-width:22rem}.t{font-size:.9rem;color:var(--none)}\n"
    "@media(max-width:40rem){.t{display:none}.id{min-width:0}th,td{padding:.35rem .4rem}"
    "body{padding:1rem .6rem}}\n"
    "</style></head><body>\n<h1>SHM-RPC conformance</h1>\n"
    "<p>Ports against the requirements of the specification. A requirement is met when every case that "
    "cites it passed. A cell shows the worst verdict and the number of these cases; a red one leads to its "
    "evidence.</p>\n";

static const char script[] =
    "<script>\nfunction reveal(){var t=document.getElementById(location.hash.slice(1));"
    "if(t){t.querySelectorAll('details').forEach(function(d){d.open=true});t.scrollIntoView();}}\n"
    "addEventListener('hashchange',reveal);addEventListener('load',reveal);\n</script>\n";

static bool record_cites(const cJSON *record, const char *id)
{
    return json_has(cJSON_GetObjectItemCaseSensitive(record, "spec"), id);
}

static int rank(const char *verdict)
{
    static const char *const order[] = {"pass", "skip", "xfail", "fail", "timeout", "crash",
                                        "xpass", "runner-error"};
    for (int i = 0; i < 8; i++)
        if (strcmp(order[i], verdict) == 0)
            return i;
    return 8;
}

/* The worst record that cites the requirement, and how many there are. */
static const cJSON *worst_record(const struct port_run *port, const char *id, int *count)
{
    const cJSON *worst = NULL;
    *count = 0;
    for (size_t i = 0; i < port->count; i++) {
        const cJSON *record = port->records[i];
        if (!record_cites(record, id))
            continue;
        ++*count;
        if (worst == NULL || rank(json_text(record, "verdict", "")) >
                                 rank(json_text(worst, "verdict", "")))
            worst = record;
    }
    return worst;
}

static void put_anchor(FILE *file, const cJSON *record)
{
    const char *label = json_text(record, "label", "port");
    fprintf(file, "e-");
    for (; *label != '\0'; label++)
        fputc((*label >= 'a' && *label <= 'z') || (*label >= '0' && *label <= '9') ? *label : '-',
              file);
    fprintf(file, "-%s-%s", json_text(record, "case", ""), json_text(record, "pairing", ""));
}

static void html_cell(FILE *file, const struct port_run *port, const char *id)
{
    int count;
    const cJSON *record = worst_record(port, id, &count);
    if (record == NULL) {
        fprintf(file, "<td class=\"v none\">no case</td>");
        return;
    }
    const char *verdict = json_text(record, "verdict", "");
    bool link = cJSON_GetObjectItemCaseSensitive(record, "evidence") != NULL;
    fprintf(file, "<td class=\"v %s\">", verdict);
    if (link) {
        fprintf(file, "<a href=\"#");
        put_anchor(file, record);
        fprintf(file, "\">%s</a>", verdict);
    } else {
        fprintf(file, "%s", verdict);
    }
    fprintf(file, " <span class=\"none\">%d</span></td>", count);
}

static void html_matrix(FILE *file, const struct requirements *requirements,
                        const struct port_run *ports, int count)
{
    for (int level = 0; level < LEVEL_COUNT; level++) {
        fprintf(file, "<h2>%s</h2><div class=\"wide\" tabindex=\"0\"><table><tr><th>requirement</th>",
                level_names[level]);
        for (int p = 0; p < count; p++) {
            fprintf(file, "<th class=\"v\">");
            put_escaped(file, ports[p].label);
            fprintf(file, "</th>");
        }
        fprintf(file, "</tr>\n");
        for (size_t i = 0; i < requirements->count; i++) {
            const struct requirement *one = &requirements->list[i];
            if ((int)one->level != level)
                continue;
            fprintf(file, "<tr><td class=\"id\"><span><code>%s</code> %s</span><div class=\"t\">",
                    one->id, one->strength);
            put_marked(file, one->text);
            fprintf(file, "</div></td>");
            for (int p = 0; p < count; p++)
                html_cell(file, &ports[p], one->id);
            fprintf(file, "</tr>\n");
        }
        fprintf(file, "</table></div>\n");
    }
}

static void html_block(FILE *file, const char *title, const char *text)
{
    if (text[0] == '\0')
        return;
    fprintf(file, "<details><summary>%s</summary><pre tabindex=\"0\">", title);
    put_escaped(file, text);
    fprintf(file, "</pre></details>");
}

static void html_evidence(FILE *file, const cJSON *record)
{
    const cJSON *evidence = cJSON_GetObjectItemCaseSensitive(record, "evidence");
    fprintf(file, "<section class=\"e\" id=\"");
    put_anchor(file, record);
    fprintf(file, "\"><p><strong class=\"%s\">%s</strong> <code>%s</code> %s, ",
            json_text(record, "verdict", ""), json_text(record, "verdict", ""),
            json_text(record, "case", ""), json_text(record, "pairing", ""));
    put_escaped(file, json_text(record, "label", ""));
    fprintf(file, ": ");
    put_escaped(file, json_text(record, "title", ""));
    fprintf(file, "<br>[%s] ", json_text(record, "class", ""));
    put_escaped(file, json_text(record, "text", ""));
    if (json_text(record, "reason", NULL) != NULL) {
        fprintf(file, "<br>known: ");
        put_escaped(file, json_text(record, "reason", ""));
    }
    fprintf(file, "<br>why it matters: ");
    put_escaped(file, json_text(record, "why", ""));
    fprintf(file, "</p><pre class=\"command\">");
    put_escaped(file, json_text(evidence, "repeat", ""));
    fprintf(file, "</pre>");
    html_block(file, "what was done", json_text(evidence, "log", ""));
    html_block(file, "segments and semaphores", json_text(evidence, "shm", ""));
    const cJSON *adapter;
    cJSON_ArrayForEach(adapter, cJSON_GetObjectItemCaseSensitive(evidence, "adapters"))
    {
        char *state = kit_format("%s\nstderr:\n%s\nlast system calls:\n%s",
                                 json_text(adapter, "state", ""), json_text(adapter, "stderr", ""),
                                 json_text(adapter, "calls", ""));
        html_block(file, json_text(adapter, "actor", ""), state);
        free(state);
    }
    fprintf(file, "</section>\n");
}

/* How many records of the port have each verdict; returns its crash points and images. */
static double count_verdicts(const struct port_run *port, int counts[VERDICT_COUNT])
{
    double points = 0;
    memset(counts, 0, VERDICT_COUNT * sizeof counts[0]);
    for (size_t i = 0; i < port->count; i++) {
        counts[verdict_from_name(json_text(port->records[i], "verdict", ""))]++;
        points += cJSON_GetNumberValue(
            cJSON_GetObjectItemCaseSensitive(port->records[i], "points"));
    }
    return points;
}

/* Verdicts that no port has get no column. */
static void html_summary(FILE *file, const struct port_run *ports, int count)
{
    bool shown[VERDICT_COUNT] = {[VERDICT_PASS] = true, [VERDICT_FAIL] = true};
    int counts[VERDICT_COUNT];
    for (int p = 0; p < count; p++) {
        count_verdicts(&ports[p], counts);
        for (int v = 0; v < VERDICT_COUNT; v++)
            shown[v] = shown[v] || counts[v] > 0;
    }
    fprintf(file, "<div class=\"wide\" tabindex=\"0\"><table><tr><th>port</th>");
    for (int v = 0; v < VERDICT_COUNT; v++)
        if (shown[v])
            fprintf(file, "<th class=\"v\">%s</th>", verdict_names[v]);
    fprintf(file, "<th class=\"v\">points</th></tr>\n");
    for (int p = 0; p < count; p++) {
        double points = count_verdicts(&ports[p], counts);
        fprintf(file, "<tr><td class=\"port\">");
        put_escaped(file, ports[p].label);
        fprintf(file, "</td>");
        for (int v = 0; v < VERDICT_COUNT; v++)
            if (shown[v])
                fprintf(file, "<td class=\"v %s\">%d</td>",
                        counts[v] > 0 ? verdict_names[v] : "none", counts[v]);
        fprintf(file, "<td class=\"v\">%.0f</td></tr>\n", points);
    }
    fprintf(file, "</table></div>\n");
}

void html_write(const char *path, const struct requirements *requirements,
                const struct port_run *ports, int count)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        kit_die(4, "cannot write %s", path);
    fputs(head, file);
    html_summary(file, ports, count);
    html_matrix(file, requirements, ports, count);
    fprintf(file, "<h2>Evidence</h2>\n");
    for (int p = 0; p < count; p++)
        for (size_t i = 0; i < ports[p].count; i++)
            if (cJSON_GetObjectItemCaseSensitive(ports[p].records[i], "evidence") != NULL)
                html_evidence(file, ports[p].records[i]);
    fputs(script, file);
    fprintf(file, "</body></html>\n");
    fclose(file);
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

static bool read_run(const char *path, struct port_run *port)
{
    char *text = file_read(path, NULL);
    memset(port, 0, sizeof *port);
    for (char *line = text; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end = '\0';
        cJSON *record = cJSON_Parse(line);
        const char *type = json_text(record, "type", "");
        if (strcmp(type, "run") == 0) {
            port->run = record;
        } else if (strcmp(type, "result") == 0) {
            cJSON **grown = realloc(port->records, (port->count + 1) * sizeof(cJSON *));
            if (grown == NULL)
                kit_die(4, "out of memory");
            port->records = grown;
            port->records[port->count++] = record;
        }
        line = end != NULL ? end + 1 : NULL;
    }
    free(text);
    port->label = json_text(port->run, "label", path);
    return port->run != NULL;
}

int report_merge(const struct kit_options *options, char *const files[], int count)
{
    struct requirements requirements;
    struct port_run *ports = kit_alloc((size_t)count * sizeof *ports + 1);
    requirements_load(options->root, &requirements);
    for (int i = 0; i < count; i++)
        if (!read_run(files[i], &ports[i])) {
            fprintf(stderr, "%s is no report of a run\n", files[i]);
            return 2;
        }
    if (strstr(options->reports, "junit") != NULL)
        for (int i = 0; i < count; i++) {
            char *path = kit_format("%s/%s.xml", options->output, ports[i].label);
            junit_write(path, &ports[i]);
            printf("%s\n", path);
            free(path);
        }
    if (strstr(options->reports, "html") != NULL) {
        char *path = count == 1 ? kit_format("%s/%s.html", options->output, ports[0].label)
                                : kit_format("%s/index.html", options->output);
        html_write(path, &requirements, ports, count);
        printf("%s\n", path);
        free(path);
    }
    free(ports);
    return 0;
}

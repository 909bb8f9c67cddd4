/* SPDX-License-Identifier: MIT
 *
 * report.html: one file that needs nothing else. The plots are drawn by gnuplot and put into the
 * page as SVG, where the page's own style sheet colours their text for light and dark.
 */
#include "bench.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* One colour a row, readable on white and on black; ours are warm, gRPC's are cold. */
static const char *const colours[ROW_COUNT] = {"#8a8a8a", "#5f8a6a", "#e0431b", "#f08c00",
                                               "#c2255c", "#1c7ed6", "#4dabf7", "#845ef7",
                                               "#2f9e44", "#b8860b", "#0c8599"};
/* gnuplot's numbers of point shapes, so that colour alone does not tell the rows apart. */
static const int shapes[ROW_COUNT] = {1, 2, 7, 9, 11, 5, 4, 13, 8, 6, 10};
/* The same shapes for the legend. */
static const char *const marks[ROW_COUNT] = {"+",      "\u00d7", "\u25cf", "\u25b2",
                                             "\u25bc", "\u25a0", "\u25a1", "\u25c6",
                                             "\u25b3", "\u25cb", "\u25bd"};

static const char *const style =
    ":root{color-scheme:light dark;--fg:#1a1a1a;--bg:#fff;--dim:#5c5c5c;--line:#d8d8d8;"
    "--card:#f6f6f4;--good:#1b7a34;--bad:#b3261e}"
    "@media(prefers-color-scheme:dark){:root{--fg:#e8e8e6;--bg:#16181a;--dim:#a3a3a0;"
    "--line:#3a3d40;--card:#202326;--good:#6fcf85;--bad:#ff8a80}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:1200px;margin:0 auto;padding:1rem}"
    "h1{font-size:1.6rem;line-height:1.2;margin:.5rem 0}h2{font-size:1.2rem;margin:2.2rem 0 .6rem}"
    "p{margin:.4rem 0;max-width:75ch}.dim{color:var(--dim)}"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(15rem,100%),1fr));"
    "gap:.8rem}"
    ".card{background:var(--card);border-radius:8px;padding:.8rem 1rem;min-width:0}"
    ".card b{display:block;font-size:1.35rem}"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(30rem,100%),1fr));"
    "gap:1rem}"
    "figure{margin:0;min-width:0;background:var(--card);border-radius:8px;padding:.6rem}"
    "figcaption{font-weight:600;padding:0 .2rem .3rem}"
    "svg{display:block;width:100%;height:auto}svg text{fill:var(--fg)}"
    ".legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;padding:0;margin:.6rem 0}"
    ".legend li{white-space:nowrap}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "table{font-size:.9rem}th,td{padding:.2rem .5rem;text-align:right;border-bottom:1px solid var(--line);"
    "white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}thead th{color:var(--dim);font-weight:600}"
    ".group td{border-top:2px solid var(--line)}"
    ".met{color:var(--good)}.missed{color:var(--bad);font-weight:700}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:0}"
    "dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere;min-width:0}"
    "@media(max-width:40rem){dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}"
    ".ratios td:first-child,.ratios th:first-child{white-space:normal;min-width:9rem}}";

static void text(FILE *out, const char *string)
{
    for (; *string; string++)
        switch (*string) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        default:
            fputc(*string, out);
        }
}

/* ---- Plots ------------------------------------------------------------------------------------
 */

static bool any_measured(const struct bench *bench, enum section_id section, int row)
{
    for (size_t size = 0; size < bench->settings.size_count; size++)
        if (figures_of(bench, section, size, row)->measured)
            return true;
    return false;
}

static void plot_begin(FILE *gnuplot, const char *name, const char *x_label, const char *y_label)
{
    fprintf(gnuplot,
            "reset\n"
            "set term svg size 560,400 dynamic font 'system-ui,sans-serif,17' lw 1.6 name '%s'\n"
            "set output '%s.svg'\n"
            "set key off\nset border 3 lc rgb '#888888'\nset tics nomirror\n"
            "set grid lc rgb '#888888' lw 0.5\n"
            "set logscale y\nset format y '%%g'\n"
            "set xlabel '%s'\nset ylabel '%s'\n",
            name, name, x_label, y_label);
}

/** One curve a row: data blocks first, since gnuplot wants them before the plot command. */
static void plot_rows(FILE *gnuplot, const bool shown[ROW_COUNT])
{
    const char *separator = "plot ";
    for (int row = 0; row < ROW_COUNT; row++) {
        if (!shown[row])
            continue;
        fprintf(gnuplot, "%s$row%d using 1:2 with linespoints lc rgb '%s' pt %d ps 0.6 title '%s'",
                separator, row, colours[row], shapes[row], rows[row].name);
        separator = ", \\\n  ";
    }
    fprintf(gnuplot, "\n");
}

static double mean_of(const struct figures *figures)
{
    return figures->mean_us;
}

static double cpu_of(const struct figures *figures)
{
    return figures->cpu_us;
}

/** A figure by the size of the message. */
static void plot_by_size(FILE *gnuplot, const struct bench *bench, const char *name,
                         const char *y_label, double (*figure)(const struct figures *))
{
    bool shown[ROW_COUNT];
    plot_begin(gnuplot, name, "bytes a message", y_label);
    fprintf(gnuplot, "set logscale x\nset xrange [10:100000]\n"
                     "set xtics ('15' 15, '1,000' 1000, '10,000' 10000, '60,000' 60000)\n");
    for (int row = 0; row < ROW_COUNT; row++) {
        shown[row] = any_measured(bench, SEED, row);
        if (!shown[row])
            continue;
        fprintf(gnuplot, "$row%d << EOD\n", row);
        for (size_t size = 0; size < bench->settings.size_count; size++) {
            const struct figures *figures = figures_of(bench, SEED, size, row);
            if (figures->measured)
                fprintf(gnuplot, "%zu %.4f\n", bench->settings.sizes[size], figure(figures));
        }
        fprintf(gnuplot, "EOD\n");
    }
    plot_rows(gnuplot, shown);
}

/** Latency by percentile, stretched towards 100 % by the number of nines. */
static void plot_percentiles(FILE *gnuplot, const struct bench *bench, const char *name,
                             size_t size)
{
    bool shown[ROW_COUNT];
    plot_begin(gnuplot, name, "percentile", "\u03bcs");
    fprintf(gnuplot, "nines(p) = -log10(1 - p / 100.0)\nset xrange [0:4]\n"
                     "set xtics ('0' 0, '50' nines(50), '90' 1, '99' 2, '99.9' 3, '99.99' 4)\n");
    for (int row = 0; row < ROW_COUNT; row++) {
        const struct figures *figures = figures_of(bench, SEED, size, row);
        shown[row] = figures->measured;
        if (!shown[row])
            continue;
        fprintf(gnuplot, "$row%d << EOD\n", row);
        for (int i = 0; i < CURVE_POINTS; i++)
            if ((double)figures->calls * (100 - curve_percentiles[i]) >= 100)
                fprintf(gnuplot, "%.4f %.4f\n", curve_percentiles[i], figures->curve_us[i]);
        fprintf(gnuplot, "EOD\n");
    }
    const char *separator = "plot ";
    for (int row = 0; row < ROW_COUNT; row++) {
        if (!shown[row])
            continue;
        fprintf(gnuplot, "%s$row%d using (nines($1)):2 with lines lc rgb '%s' title '%s'",
                separator, row, colours[row], rows[row].name);
        separator = ", \\\n  ";
    }
    fprintf(gnuplot, "\n");
}

static bool draw_plots(const struct bench *bench)
{
    char path[4200], command[4300], name[32];
    snprintf(path, sizeof path, "%s/plots", bench->settings.results);
    if (!bench->settings.section_on[SEED])
        return false;
    mkdir(path, 0777);
    snprintf(command, sizeof command, "cd '%s' && exec gnuplot 2>gnuplot.log", path);
    FILE *gnuplot = popen(command, "w");
    if (!gnuplot)
        return false;
    plot_by_size(gnuplot, bench, "latency", "\u03bcs a call", mean_of);
    plot_by_size(gnuplot, bench, "cpu", "\u03bcs of CPU a call", cpu_of);
    for (size_t size = 0; size < bench->settings.size_count; size++) {
        snprintf(name, sizeof name, "percentiles%zu", size);
        plot_percentiles(gnuplot, bench, name, size);
    }
    return pclose(gnuplot) == 0;
}

/** Copy an SVG file into the page: without its head, and with ids of its own. */
static void put_svg(FILE *out, const struct bench *bench, const char *name, const char *caption)
{
    char path[4200], line[8192];
    snprintf(path, sizeof path, "%s/plots/%s.svg", bench->settings.results, name);
    FILE *svg = fopen(path, "r");
    if (!svg)
        return;
    fprintf(out, "<figure><figcaption>");
    text(out, caption);
    fprintf(out, "</figcaption>\n");
    while (fgets(line, sizeof line, svg)) {
        if (strncmp(line, "<?xml", 5) == 0 || strncmp(line, "<title>", 7) == 0 ||
            strncmp(line, "<desc>", 6) == 0)
            continue;
        for (const char *at = line; *at;) {
            size_t length = strncmp(at, "id='", 4) == 0 || strncmp(at, "id=\"", 4) == 0 ? 4
                            : strncmp(at, "href='#", 7) == 0                            ? 7
                                                                                        : 0;
            if (length)
                fprintf(out, "%.*s%s_", (int)length, at, name);
            else
                fputc(*at, out);
            at += length ? length : 1;
        }
        if (strncmp(line, "<svg", 4) == 0)
            fprintf(out, " role=\"img\" aria-label=\"%s\"\n", caption);
    }
    fprintf(out, "</figure>\n");
    fclose(svg);
}

static void put_plots(FILE *out, const struct bench *bench)
{
    char name[32], caption[64];
    fprintf(out, "<h2>Plots</h2>\n<ul class=\"legend\">\n");
    for (int row = 0; row < ROW_COUNT; row++)
        if (any_measured(bench, SEED, row))
            fprintf(out, "<li><span style=\"color:%s\">%s</span> %s</li>\n", colours[row],
                    marks[row], rows[row].name);
    fprintf(out, "</ul>\n");
    if (!draw_plots(bench)) {
        fprintf(stderr, "bench: gnuplot did not draw the plots; the report has none\n");
        fprintf(out, "<p class=\"missed\">There are no plots: gnuplot did not draw them.</p>\n");
        return;
    }
    fprintf(out, "<div class=\"plots\">\n");
    put_svg(out, bench, "latency", "Latency by size, mean");
    put_svg(out, bench, "cpu", "CPU a call by size, both processes");
    for (size_t size = 0; size < bench->settings.size_count; size++) {
        snprintf(name, sizeof name, "percentiles%zu", size);
        snprintf(caption, sizeof caption, "Latency by percentile, %zu bytes",
                 bench->settings.sizes[size]);
        put_svg(out, bench, name, caption);
    }
    fprintf(out, "</div>\n");
}

/* ---- The rest of the page ----------------------------------------------------------------------
 */

static void put_cards(FILE *out, const struct bench *bench)
{
    int ours = row_find("shmrpc-adaptive"), theirs = row_find("grpc-c-uds");
    size_t cards = 0;
    fprintf(out, "<div class=\"cards\">\n");
    for (size_t size = 0; size < bench->settings.size_count; size++) {
        const struct figures *shm = figures_of(bench, SEED, size, ours);
        const struct figures *grpc = figures_of(bench, SEED, size, theirs);
        if (!shm->measured || !grpc->measured)
            continue;
        cards++;
        fprintf(out, "<div class=\"card\">%zu bytes<b>", bench->settings.sizes[size]);
        report_comparison(out, shm, grpc);
        fprintf(out,
                "</b>%.2f \u03bcs against %.2f \u03bcs a call"
                "<div class=\"dim\">CPU a call: %.2f \u03bcs against %.2f \u03bcs</div></div>\n",
                shm->mean_us, grpc->mean_us, shm->cpu_us, grpc->cpu_us);
    }
    fprintf(out, "</div>\n");
    if (cards > 0)
        fprintf(out, "<p class=\"dim\">shmrpc-adaptive (spins, then blocks) against grpc-c-uds "
                     "(C core over a Unix socket), calls back to back.</p>\n");
}

static void put_ratio_notes(FILE *out, const struct bench *bench)
{
    char note[512];
    fprintf(out, "<ul>\n");
    for (int i = 0; i < RATIO_COUNT; i++)
        for (int size = 0; size < SEED_SIZES; size++) {
            struct ratio ratio = ratio_of(bench, &requirements[i], size);
            if (!ratio.known || ratio.met)
                continue;
            ratio_note(&requirements[i], &ratio, size, note, sizeof note);
            fprintf(out, "<li>");
            text(out, note);
            fprintf(out, "</li>\n");
        }
    fprintf(out, "</ul>\n");
}

static void put_ratios(FILE *out, const struct bench *bench)
{
    fprintf(out, "<h2>Where SHM-RPC must stand</h2>\n<div class=\"scroll\" tabindex=\"0\"><table "
                 "class=\"ratios\"><thead><tr><th>ratio of medians, section seed</th>");
    for (int size = 0; size < SEED_SIZES; size++)
        fprintf(out, "<th>%zu B</th>", seed_sizes[size]);
    fprintf(out, "</tr></thead><tbody>\n");
    for (int i = 0; i < RATIO_COUNT; i++) {
        const struct requirement *requirement = &requirements[i];
        fprintf(out, "<tr><td>%s%s \u00f7 %s</td>", requirement->of_cpu ? "CPU a call, " : "",
                requirement->above, requirement->below);
        for (int size = 0; size < SEED_SIZES; size++) {
            struct ratio ratio = ratio_of(bench, requirement, size);
            if (!ratio.known)
                fprintf(out, "<td class=\"dim\">not measured</td>");
            else
                fprintf(out, "<td class=\"%s\">%.2f %s<br><small>%s %.2f</small></td>",
                        ratio.met ? "met" : "missed", ratio.value, ratio.met ? "met" : "MISSED",
                        requirement->at_least ? "at least" : "at most", ratio.bound);
        }
        fprintf(out, "</tr>\n");
    }
    fprintf(out, "</tbody></table></div>\n");
    put_ratio_notes(out, bench);
}

static void put_table_row(FILE *out, const char *name, size_t size, const struct figures *figures,
                          bool first)
{
    fprintf(out,
            "<tr%s><td>%s</td><td>%zu</td><td>%.2f</td><td>%.2f \u2013 %.2f</td><td>%.2f</td>"
            "<td>%.2f</td><td>%.2f</td><td>%.2f</td><td>%.2f</td><td>%.2f</td><td>%.0f</td>"
            "<td>%zu%s</td><td>%.1f</td></tr>\n",
            first ? " class=\"group\"" : "", name, size, figures->mean_us, figures->mean_us_min,
            figures->mean_us_max, figures->p50_us, figures->p90_us, figures->p99_us,
            figures->p999_us, figures->max_us, figures->cpu_us, figures->calls_per_s,
            figures->calls, figures->cut_short ? "*" : "", (double)figures->peak_rss_kib / 1024);
}

static void put_section(FILE *out, const struct bench *bench, enum section_id id)
{
    const struct section *section = &sections[id];
    fprintf(out, "<h2>%s</h2>\n<p>", section->title);
    fprintf(out, "Section <code>%s</code>: %s.", section->name, section->what);
    if (section->limit_ms)
        fprintf(out, " A round ends after %u s; * marks rows with fewer calls than asked for.",
                section->limit_ms / 1000);
    fprintf(out, "</p>\n<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th>row</th><th>bytes</th>"
                 "<th>mean \u03bcs</th><th>rounds</th><th>p50</th><th>p90</th><th>p99</th>"
                 "<th>p99.9</th><th>max</th><th>CPU \u03bcs</th><th>calls/s</th><th>calls</th>"
                 "<th>peak MiB</th></tr></thead><tbody>\n");
    for (size_t size = 0; size < bench->settings.size_count; size++) {
        bool first = size > 0;
        for (int row = 0; row < ROW_COUNT; row++) {
            const struct figures *figures = figures_of(bench, id, size, row);
            if (!figures->measured)
                continue;
            put_table_row(out, rows[row].name, bench->settings.sizes[size], figures, first);
            first = false;
        }
    }
    fprintf(out, "</tbody></table></div>\n");
}

static void put_entry(FILE *out, const char *term, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void put_entry(FILE *out, const char *term, const char *format, ...)
{
    char value[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    fprintf(out, "<dt>%s</dt><dd>", term);
    text(out, value);
    fprintf(out, "</dd>\n");
}

static void put_conditions(FILE *out, const struct bench *bench)
{
    const struct machine *machine = &bench->machine;
    const struct settings *settings = &bench->settings;
    fprintf(out, "<h2>Machine and settings</h2>\n<dl>\n");
    put_entry(out, "CPU", "%s, hypervisor %s; %d online, %d allowed", machine->cpu,
              machine->hypervisor, machine->cpus_online, machine->cpus_allowed);
    put_entry(out, "Memory", "%lu MiB", machine->memory_mib);
    put_entry(out, "System", "%s, %s, %s", machine->system, machine->kernel, machine->libc);
    put_entry(out, "Compiler", "%s", machine->compiler);
    put_entry(out, "Began", "%s, load %.2f before; took %.0f s", machine->began,
              machine->load_before, bench->took_s);
    put_entry(out, "Calls", "%zu a row and size in %zu rounds", settings->iterations,
              settings->rounds);
    put_entry(out, "Buffer", "%zu bytes", settings->buffer_bytes);
    for (int row = 0; row < ROW_COUNT; row++)
        if (settings->row_on[row])
            put_entry(out, rows[row].name, "%s [%s]", rows[row].what, machine->versions[row]);
    if (*settings->python_missing)
        put_entry(out, "Python rows", "none: %s", settings->python_missing);
    fprintf(out, "</dl>\n<p class=\"dim\">Each row is a server process and a client process, fresh "
                 "each round; rows take turns round by round; figures are medians of the rounds. "
                 "Every echo was compared byte for byte. Peak memory and CPU are of both processes "
                 "together; memory that they share counts in both.</p>\n");
}

int html_write(const struct bench *bench)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/report.html", bench->settings.results);
    FILE *out = fopen(path, "w");
    if (!out) {
        perror(path);
        return -1;
    }
    fprintf(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
        "<title>SHM-RPC vs gRPC</title>\n<style>%s</style></head>\n<body><main>\n"
        "<h1>SHM-RPC vs gRPC</h1>\n<p>A string goes to another process and comes back. %s.</p>\n",
        style, bench->machine.began);
    if (bench->settings.section_on[SEED]) {
        put_cards(out, bench);
        put_ratios(out, bench);
        put_plots(out, bench);
    }
    for (int section = 0; section < SECTION_COUNT; section++)
        if (bench->settings.section_on[section])
            put_section(out, bench, (enum section_id)section);
    put_conditions(out, bench);
    fprintf(out, "</main></body></html>\n");
    int failed = ferror(out);
    if (fclose(out) != 0 || failed) {
        perror(path);
        return -1;
    }
    return 0;
}

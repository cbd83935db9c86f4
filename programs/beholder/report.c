/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder report: options in, a report out. */
#include "beholder.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "bh_report.h"
#include "bh_store.h"
#include "beholder_report_command.h"
#include "kobold_update.h"

static enum bh_count_unit
count_unit(const char *word)
{
    static const char *const names[] = { "accesses", "sources", "packets", "bytes" };
    for (unsigned i = 0; i < BH_COUNT(names); i++) {
        if (strcmp(word, names[i]) == 0) {
            return (enum bh_count_unit)i;
        }
    }
    return BH_COUNT_ACCESSES;
}

static int
check_bounds(const struct bh_args *a, struct bh_error *err)
{
    static const struct {
        const char *name;
        uint64_t least, most;
    } bounds[] = {
        { "top", 1, 300 }, { "ports", 1, 1000 }, { "threads", 0, 64 }, { "input-year", 0, 2261 }
    };
    for (size_t i = 0; i < BH_COUNT(bounds); i++) {
        uint64_t v = bh_arg_uint(a, bounds[i].name);
        if (v < bounds[i].least || v > bounds[i].most) {
            char where[32];
            snprintf(where, sizeof where, "--%s", bounds[i].name);
            return bh_error_set(err, BH_EUSAGE, where, "give a number from %u to %u",
                                "%u から %u までの数を指定してください", (unsigned)bounds[i].least,
                                (unsigned)bounds[i].most);
        }
    }
    return 0;
}

/* ---- terminal ------------------------------------------------------------------------------- */

static bool
use_color(const char *word)
{
    if (strcmp(word, "auto") != 0) {
        return strcmp(word, "always") == 0;
    }
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return (no == NULL || no[0] == '\0') && (term == NULL || strcmp(term, "dumb") != 0) &&
           isatty(STDOUT_FILENO) == 1;
}

static unsigned
terminal_columns(void)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    unsigned long n = columns == NULL ? 0 : strtoul(columns, NULL, 10);
    if (n == 0 && isatty(STDOUT_FILENO) == 1 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
        n = size.ws_col;
    }
    return n < 80 ? 80 : n > 400 ? 400 : (unsigned)n;
}

/* ---- the verb --------------------------------------------------------------------------------- */

/* Of the country data in use today, not of those a history has for old captures. */
static void
say_age(const struct bh_report *r, const struct bh_report_options *o, enum bh_lang lang)
{
    struct bh_error e;
    char line[1200];
    if (o->country_db_dir == NULL && !r->storage.is_log &&
        kobold_is_old(&r->country_data, o->country_db, o->now_ns / 1000000000LL, &e)) {
        fprintf(stderr, "beholder: %s\n", bh_error_line(&e, lang, line, sizeof line));
    }
}

static void
fill_options(const struct bh_args *a, const struct operands *w, struct bh_report_options *o)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *o = (struct bh_report_options){
        .files = w->files,
        .file_count = w->file_count,
        .home = bh_arg(a, "home"),
        .home_country = bh_arg(a, "home-country"),
        .served = bh_arg(a, "served"),
        .count = count_unit(bh_arg(a, "count")),
        .top = (unsigned)bh_arg_uint(a, "top"),
        .ports = (unsigned)bh_arg_uint(a, "ports"),
        .since = bh_arg(a, "since"),
        .until = bh_arg(a, "until"),
        .last = bh_arg(a, "last"),
        .tz = bh_arg(a, "tz"),
        .country = bh_arg(a, "country"),
        .port = bh_arg(a, "port"),
        .by_region = strcmp(bh_arg(a, "by"), "region") == 0,
        .by_sensor = strcmp(bh_arg(a, "by"), "sensor") == 0,
        .crosstab_all = strcmp(bh_arg(a, "crosstab"), "all") == 0,
        .outcomes = strcmp(bh_arg(a, "outcomes"), "yes") == 0,
        .all_accesses = bh_arg_given(a, "all-accesses"),
        .country_db = bh_arg(a, "country-db"),
        .country_db_dir = bh_arg(a, "country-db-dir"),
        .input_format = bh_arg(a, "input-format"),
        .input_columns = bh_arg(a, "input-columns"),
        .input_year = (unsigned)bh_arg_uint(a, "input-year"),
        .filter_words = w->words,
        .filter_count = w->word_count,
        .plan = strcmp(bh_arg(a, "plan"), "blocks") == 0    ? BH_PLAN_BLOCKS
                : strcmp(bh_arg(a, "plan"), "rollups") == 0 ? BH_PLAN_ROLLUPS
                : strcmp(bh_arg(a, "plan"), "all") == 0     ? BH_PLAN_ALL
                                                            : BH_PLAN_AUTO,
        .explain = bh_arg_given(a, "explain"),
        .threads = (unsigned)bh_arg_uint(a, "threads"),
        .now_ns = (int64_t)now.tv_sec * 1000000000LL + now.tv_nsec,
    };
    o->decap_count = bh_arg_all(a, "decap", &o->decap);
}

static int
report(const struct bh_args *a, const struct operands *w, enum bh_lang lang, bool opening_only)
{
    struct bh_error err = { 0 };
    struct bh_report_options o;
    struct bh_report *r = NULL;
    struct bar bar;
    struct bh_anonymize *anonymize = NULL;
    if (bh_arg_given(a, "anonymize") &&
        bh_anonymize_open(bh_arg(a, "anonymize"), &anonymize, &err) != 0) {
        return program_fail(&err, lang);
    }
    fill_options(a, w, &o);
    o.anonymize = anonymize;
    if (bar_begin(&bar, bh_arg_given(a, "quiet"))) {
        o.progress = bar_draw;
        o.progress_arg = &bar;
    }
    int code = bh_report_run(&o, &r, &err);
    bar_end(&bar);
    bh_anonymize_free(anonymize);
    if (code != 0) {
        return program_fail(&err, lang);
    }
    if (bh_arg_given(a, "explain") && r->storage.is_log) {
        struct bh_buf plan = { 0 };
        bh_plan_say(&r->plan, lang, &plan);
        fputs(plan.data == NULL ? "" : plan.data, stderr);
        bh_buf_done(&plan);
    }
    const struct bh_writer *writer =
        bh_writer_find(bh_arg_given(a, "json") ? "json" : bh_arg(a, "output"));
    struct bh_write_options wo = { .lang = lang,
                                   .columns = terminal_columns(),
                                   .color = use_color(bh_arg(a, "color")),
                                   .opening_only = opening_only };
    struct bh_buf out = { 0 };
    writer->write(r, &wo, &out);
    code = program_write(&out, &err);
    bh_buf_done(&out);
    if (code == -EPIPE) {
        code = 1; /* the reader had enough: nothing to say */
    } else if (code != 0) {
        code = program_fail(&err, lang);
    } else {
        code = program_notes(r->notes, r->note_count, lang, bh_arg_given(a, "quiet"));
        if (code == 0 && !bh_arg_given(a, "quiet")) {
            say_age(r, &o, lang);
        }
    }
    bh_report_free(r);
    return code;
}

bool
program_last_day(enum bh_lang lang, int *ret_code)
{
    static char verb[] = "report", quiet[] = "--quiet", last[] = "--last=24h",
                log_dir[] = "--log-dir";
    char dir[4096], *argv[] = { verb, quiet, last, log_dir, dir, NULL };
    struct bh_store_paths logs = { 0 };
    struct bh_error err = { 0 };
    struct bh_args *a = NULL;
    struct operands w = { 0 };
    bh_store_default_log(dir, sizeof dir);
    const bool found = bh_store_find_logs(dir, &logs) == 0 && logs.count > 0;
    bh_store_paths_done(&logs);
    if (!found) {
        return false;
    }
    if (bh_args_parse(&beholder_report_command, (int)BH_COUNT(argv) - 1, argv, &a, &err) != 0 ||
        program_operands_or_log(a, "beholder", &w, &err) != 0) {
        *ret_code = program_fail(&err, lang);
    } else {
        *ret_code = report(a, &w, lang, true);
    }
    free(w.files);
    bh_args_free(a);
    return true;
}

int
verb_report(int argc, char **argv)
{
    enum bh_lang lang = bh_lang_of_args(argc, argv);
    struct bh_error err = { 0 };
    struct bh_args *a = NULL;
    struct operands w = { 0 };
    if (bh_args_parse(&beholder_report_command, argc, argv, &a, &err) != 0) {
        return program_fail(&err, lang);
    }
    int code = 0;
    if (bh_arg_given(a, "help")) {
        bh_command_help(&beholder_report_command, lang, stdout);
        code = program_end_stdout(lang);
    } else if (bh_arg_given(a, "version")) {
        puts("beholder " BH_VERSION);
        code = program_end_stdout(lang);
    } else if (check_bounds(a, &err) != 0 ||
               program_operands_or_log(a, "beholder report", &w, &err) != 0) {
        code = program_fail(&err, lang);
    } else {
        code = report(a, &w, lang, false);
    }
    free(w.files);
    bh_args_free(a);
    return code;
}

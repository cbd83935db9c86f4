/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder import: files into a packet log. */
#include "beholder.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "bh_report.h"
#include "beholder_import_command.h"

static void
fill_options(const struct bh_args *a, const struct operands *w, struct bh_ingest_options *o)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *o = (struct bh_ingest_options){
        .input = {
            .files = w->files,
            .file_count = w->file_count,
            .home = bh_arg(a, "home"),
            .tz = bh_arg(a, "tz"),
            .outcomes = strcmp(bh_arg(a, "outcomes"), "yes") == 0,
            .all_accesses = bh_arg_given(a, "all-accesses"),
            .country_db = bh_arg(a, "country-db"),
            .input_format = bh_arg(a, "input-format"),
            .input_columns = bh_arg(a, "input-columns"),
            .input_year = (unsigned)bh_arg_uint(a, "input-year"),
            .threads = (unsigned)bh_arg_uint(a, "threads"),
            .now_ns = (int64_t)now.tv_sec * 1000000000LL + now.tv_nsec,
            .filter_words = w->words,
            .filter_count = w->word_count,
        },
        .log_dir = bh_arg(a, "write"),
        .sensor = bh_arg(a, "sensor"),
        .lean = strcmp(bh_arg(a, "profile"), "lean") == 0,
        .sync_ns = bh_arg_uint(a, "sync") * 1000000000ULL,
    };
    o->input.decap_count = bh_arg_all(a, "decap", &o->input.decap);
}

/* A name that the filter can say. */
static int
check_sensor(const struct bh_args *a, struct bh_error *err)
{
    const char *name = bh_arg_given(a, "sensor") ? bh_arg(a, "sensor") : "-";
    size_t n = 0;
    while (isalnum((unsigned char)name[n]) ||
           (name[n] != '\0' && strchr("-_.:@/+", name[n]) != NULL)) {
        n++;
    }
    if (n > 0 && n < 64 && name[n] == '\0') {
        return 0;
    }
    return bh_error_set(err, BH_EUSAGE, "--sensor",
                        "a name is up to 63 letters, digits and - _ . : @ / +",
                        "名前に使えるのは英数字と - _ . : @ / + で、63 文字までです");
}

static void
say_summary(const struct bh_ingest_result *r, const char *dir, enum bh_lang lang)
{
    char line[1200];
    struct bh_error text = { 0 };
    bh_error_set(&text, 0, dir, "%" PRIu64 " records, %" PRIu64 " accesses",
                 "記録 %" PRIu64 " 件、アクセス %" PRIu64 " 件", r->written, r->accesses);
    fprintf(stderr, "%s\n", bh_error_line(&text, lang, line, sizeof line));
    if (r->home.guessed && r->home.text[lang].data != NULL) {
        bh_error_set(&text, 0, "", "home is guessed: %s%.0s (--home sets it)",
                     "自分側は推定です: %.0s%s (--home で指定できます)", r->home.text[BH_EN].data,
                     r->home.text[BH_JA].data);
        fprintf(stderr, "%s\n", bh_error_line(&text, lang, line, sizeof line));
    }
}

static void
say_stopped(const struct bh_ingest_result *r, const struct bh_ingest_options *o, enum bh_lang lang)
{
    char line[1200];
    struct bh_error text = { 0 };
    bh_error_set(
        &text, 0, o->log_dir,
        "stopped; the first %" PRIu64
        " records are in the log (to import the file again would count them twice)",
        "中断しました。最初の %" PRIu64
        " 件の記録はログに入っています (同じファイルをもう一度取り込むと二重に数えられます)",
        r->written);
    fprintf(stderr, "beholder: %s\n", bh_error_line(&text, lang, line, sizeof line));
}

static int
import(const struct bh_args *a, const struct operands *w, enum bh_lang lang)
{
    struct bh_error err = { 0 };
    struct bh_ingest_options o;
    struct bh_ingest_result r;
    struct bar bar;
    const bool quiet = bh_arg_given(a, "quiet");
    fill_options(a, w, &o);
    if (program_keep(a, &o.keep_ns, &o.keep_bytes, &err) != 0) {
        return program_fail(&err, lang);
    }
    program_catch_stop();
    o.stop = &program_stopped;
    if (bar_begin(&bar, quiet)) {
        o.input.progress = bar_draw;
        o.input.progress_arg = &bar;
    }
    int code = bh_ingest_run(&o, &r, &err);
    bar_end(&bar);
    if (code != 0) {
        code = program_fail(&err, lang);
        if (r.written > 0) {
            struct bh_error text = { 0 };
            char line[1200];
            bh_error_set(&text, 0, o.log_dir, "%" PRIu64 " records are safe in the log",
                         "%" PRIu64 " 件の記録はログに入っています", r.written);
            fprintf(stderr, "beholder: %s\n", bh_error_line(&text, lang, line, sizeof line));
        }
    } else {
        code = program_notes(r.notes, r.note_count, lang, quiet);
        if (r.stopped) {
            say_stopped(&r, &o, lang);
            code = 128 + program_stopped;
        } else if (!quiet) {
            say_summary(&r, o.log_dir, lang);
        }
    }
    bh_ingest_result_done(&r);
    return code;
}

int
verb_import(int argc, char **argv)
{
    enum bh_lang lang = bh_lang_of_args(argc, argv);
    struct bh_error err = { 0 };
    struct bh_args *a = NULL;
    struct operands w = { 0 };
    if (bh_args_parse(&beholder_import_command, argc, argv, &a, &err) != 0) {
        return program_fail(&err, lang);
    }
    int code = 0;
    if (bh_arg_given(a, "help")) {
        bh_command_help(&beholder_import_command, lang, stdout);
        code = program_end_stdout(lang);
    } else if (bh_arg_given(a, "version")) {
        puts("beholder " BH_VERSION);
        code = program_end_stdout(lang);
    } else if (program_operands(a, "beholder import", &w, &err) != 0) {
        code = program_fail(&err, lang);
    } else if (!bh_arg_given(a, "write")) {
        bh_error_set(&err, BH_EUSAGE, "beholder import", "say where to: -w LOGDIR",
                     "取り込み先を -w LOGDIR で指定してください");
        code = program_fail(&err, lang);
    } else if (check_sensor(a, &err) != 0) {
        code = program_fail(&err, lang);
    } else {
        code = import(a, &w, lang);
    }
    free(w.files);
    bh_args_free(a);
    return code;
}

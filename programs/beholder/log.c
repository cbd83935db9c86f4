/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder log: looking after a packet log. */
#include "beholder.h"

#include <inttypes.h>
#include <stdlib.h>

#include "bh_push.h"
#include "bh_store.h"
#include "bh_zone.h"
#include "beholder_log_command.h"

static bool
draw_or_stop(void *arg, uint64_t done, uint64_t total)
{
    struct bar *bar = arg;
    if (bar->is_wanted) {
        bar_draw(bar, done, total);
    }
    return program_stopped == 0;
}

struct asked {
    const struct bh_args *args;
    enum bh_lang lang;
    char *const *dirs; /* behind the word */
    size_t dir_count;
};

static const char *
word(const struct asked *q, const char *en, const char *ja)
{
    return q->lang == BH_JA ? ja : en;
}

static void
put_time(struct bh_buf *out, int64_t ns)
{
    char text[40];
    bh_buf_puts(out, bh_zone_format(ns, text));
}

static int
finish(struct bh_buf *out, int code, struct bh_error *err)
{
    int r = code == 0 || code == 1 ? program_write(out, err) : 0;
    bh_buf_done(out);
    return r != 0 ? r : code;
}

/* ---- info -------------------------------------------------------------------------------------------- */

static void
put_columns(const struct bh_store *s, const struct asked *q, struct bh_buf *out, uint64_t records)
{
    struct bh_store_column_size size[BH_STORE_COLUMN_SIZES];
    const size_t n = bh_store_column_sizes(s, size, BH_COUNT(size));
    for (size_t k = 0; k < n; k++) {
        bh_buf_printf(out, "  %-18s %14" PRIu64 "  %8.4f\n", size[k].name, size[k].bytes,
                      records == 0 ? 0.0 : (double)size[k].bytes / (double)records);
    }
    (void)q;
}

static void
put_run(const struct bh_store_run *r, const struct asked *q, struct bh_buf *out)
{
    struct bh_buf line = { 0 };
    bh_buf_puts(&line, word(q, "  from ", "  元: "));
    bh_buf_put_safe(&line, r->source, strlen(r->source));
    if (r->sensor[0] != '\0') {
        bh_buf_puts(&line, word(q, ", sensor ", "、センサー "));
        bh_buf_put_safe(&line, r->sensor, strlen(r->sensor));
    }
    bh_buf_puts(&line, word(q, "; home ", "、自分側 "));
    bh_buf_put_safe(&line, r->home, strlen(r->home));
    bh_buf_puts(&line, r->home_guessed ? word(q, " (guessed)", " (推定)") : "");
    if (r->filter[0] != '\0') {
        bh_buf_puts(&line, word(q, "; only ", "、次のものだけ: "));
        bh_buf_put_safe(&line, r->filter, strlen(r->filter));
    }
    bh_buf_puts(&line, r->lean
                           ? word(q, "; lean: no IP ID, sequence numbers, windows, TCP options",
                                  "、lean (IP ID、シーケンス番号、ウィンドウ、TCP オプションなし)")
                           : "");
    bh_buf_puts(&line, word(q, "; countries of ", "、国データ "));
    bh_buf_put_safe(&line, r->country_name, strlen(r->country_name));
    bh_buf_printf(&line, " %s", r->country_date);
    bh_buf_puts(out, line.data == NULL ? "" : line.data);
    bh_buf_putc(out, '\n');
    bh_buf_done(&line);
}

static void
put_info_json(const struct bh_store *s, const struct bh_store_totals *t,
              const struct bh_store_health *h, struct bh_buf *out)
{
    struct bh_store_column_size size[BH_STORE_COLUMN_SIZES];
    const size_t n = bh_store_column_sizes(s, size, BH_COUNT(size));
    bh_buf_printf(out,
                  "{\"records\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"segments\": %" PRIu64
                  ", \"journals\": %" PRIu64 ", \"blocks\": %" PRIu64
                  ", \"journal_records\": %" PRIu64 ", ",
                  t->records, t->bytes, t->segments, t->journals, t->blocks, t->journal_records);
    bh_buf_puts(out, "\"first\": ");
    for (unsigned last = 0; last < 2; last++) {
        bh_buf_puts(out, last == 0 ? "" : ", \"last\": ");
        if (t->records == 0) {
            bh_buf_puts(out, "null");
        } else {
            bh_buf_putc(out, '"');
            put_time(out, last == 0 ? t->first_ns : t->last_ns);
            bh_buf_putc(out, '"');
        }
    }
    bh_buf_printf(out,
                  ", \"damaged_blocks\": %" PRIu64 ", \"lost_records\": %" PRIu64
                  ", \"damaged_files\": %" PRIu64 ", \"torn_bytes\": %" PRIu64,
                  h->damaged_blocks, h->lost_records, h->damaged_files, h->torn_bytes);
    bh_buf_puts(out, ", \"columns\": {");
    for (size_t k = 0; k < n; k++) {
        bh_buf_printf(out, "%s\"%s\": %" PRIu64, k == 0 ? "" : ", ", size[k].name, size[k].bytes);
    }
    bh_buf_puts(out, "}, \"runs\": [");
    for (size_t k = 0; k < bh_store_run_count(s); k++) {
        const struct bh_store_run *r = bh_store_run(s, k);
        bh_buf_puts(out, k == 0 ? "{\"source\": " : ", {\"source\": ");
        bh_buf_put_json(out, r->source, strlen(r->source));
        bh_buf_puts(out, ", \"sensor\": ");
        bh_buf_put_json(out, r->sensor, strlen(r->sensor));
        bh_buf_puts(out, ", \"home\": ");
        bh_buf_put_json(out, r->home, strlen(r->home));
        bh_buf_printf(out, ", \"home_guessed\": %s, \"profile\": \"%s\", \"filter\": ",
                      r->home_guessed ? "true" : "false", r->lean ? "lean" : "full");
        bh_buf_put_json(out, r->filter, strlen(r->filter));
        bh_buf_puts(out, ", \"country_data\": ");
        bh_buf_put_json(out, r->country_name, strlen(r->country_name));
        bh_buf_puts(out, ", \"country_date\": ");
        bh_buf_put_json(out, r->country_date, strlen(r->country_date));
        bh_buf_putc(out, '}');
    }
    bh_buf_puts(out, "]}\n");
}

static void
put_health(const struct bh_store_health *h, const struct asked *q, struct bh_buf *out)
{
    if (h->damaged_blocks + h->damaged_files > 0) {
        bh_buf_printf(out,
                      word(q,
                           "damaged: %" PRIu64 " blocks with %" PRIu64 " records; %" PRIu64
                           " files; the first at ",
                           "破損: ブロック %" PRIu64 " 個 (記録 %" PRIu64 " 件)、ファイル %" PRIu64
                           " 個。最初の場所: "),
                      h->damaged_blocks, h->lost_records, h->damaged_files);
        bh_buf_put_safe(out, h->first, strlen(h->first));
        bh_buf_putc(out, '\n');
    }
    if (h->torn_bytes > 0) {
        bh_buf_printf(
            out,
            word(q,
                 "%" PRIu64
                 " octets at the end of a journal were not finished when its writer ended\n",
                 "ジャーナル末尾の %" PRIu64 " バイトは、書き手が止まったときに書きかけでした\n"),
            h->torn_bytes);
    }
}

static int
log_info(const struct asked *q, struct bh_error *err)
{
    struct bh_store *s;
    struct bh_store_totals t;
    struct bh_store_health h;
    struct bh_buf out = { 0 };
    int r = bh_store_open((const char *const *)q->dirs, q->dir_count, &s, err);
    if (r != 0) {
        return r;
    }
    bh_store_get_totals(s, &t);
    bh_store_get_health(s, &h);
    if (bh_arg_given(q->args, "json")) {
        put_info_json(s, &t, &h, &out);
    } else {
        bh_buf_printf(&out,
                      word(q,
                           "%" PRIu64 " records in %" PRIu64 " sealed files and %" PRIu64
                           " journals, %" PRIu64 " octets",
                           "記録 %" PRIu64 " 件、確定ファイル %" PRIu64 " 個、ジャーナル %" PRIu64
                           " 個、%" PRIu64 " バイト"),
                      t.records, t.segments, t.journals, t.bytes);
        if (t.records > 0) {
            bh_buf_printf(&out, word(q, " (%.2f a record)\n", " (1 件あたり %.2f)\n"),
                          (double)t.bytes / (double)t.records);
            bh_buf_puts(&out, word(q, "from ", "期間: "));
            put_time(&out, t.first_ns);
            bh_buf_puts(&out, word(q, " to ", " から "));
            put_time(&out, t.last_ns);
        }
        bh_buf_putc(&out, '\n');
        for (size_t k = 0; k < bh_store_run_count(s); k++) {
            put_run(bh_store_run(s, k), q, &out);
        }
        put_health(&h, q, &out);
        if (bh_arg_given(q->args, "columns")) {
            put_columns(s, q, &out, t.records);
        }
    }
    bh_store_close(s);
    return finish(&out, 0, err);
}

/* ---- verify -------------------------------------------------------------------------------------------- */

static int
log_verify(const struct asked *q, struct bh_error *err)
{
    struct bh_store *s;
    struct bh_store_totals t;
    struct bh_store_health h;
    struct bh_buf out = { 0 };
    struct bar bar;
    int r = bh_store_open((const char *const *)q->dirs, q->dir_count, &s, err);
    if (r != 0) {
        return r;
    }
    bar_begin(&bar, bh_arg_given(q->args, "quiet"));
    r = bh_store_verify(s, draw_or_stop, &bar, err);
    bar_end(&bar);
    bh_store_get_totals(s, &t);
    bh_store_get_health(s, &h);
    const bool clean = h.damaged_blocks + h.damaged_files == 0;
    if (r == 0 && bh_arg_given(q->args, "json")) {
        put_info_json(s, &t, &h, &out);
    } else if (r == 0) {
        put_health(&h, q, &out);
        bh_buf_printf(&out,
                      clean ? word(q, "%" PRIu64 " records in %" PRIu64 " blocks: sound\n",
                                   "記録 %" PRIu64 " 件 (ブロック %" PRIu64 " 個): 異常なし\n")
                            : word(q, "%" PRIu64 " records in %" PRIu64 " blocks were looked at\n",
                                   "記録 %" PRIu64 " 件 (ブロック %" PRIu64 " 個) を調べました\n"),
                      t.records, t.blocks);
    }
    bh_store_close(s);
    return r != 0 ? r : finish(&out, clean ? 0 : 1, err);
}

/* ---- the others ------------------------------------------------------------------------------------------ */

static int
say_done(const struct asked *q, const struct bh_store_done *d, const char *en, const char *ja,
         struct bh_error *err)
{
    struct bh_buf out = { 0 };
    bh_buf_printf(&out,
                  word(q,
                       "%" PRIu64 " files, %" PRIu64 " octets before; %" PRIu64 " files, %" PRIu64
                       " octets now, %" PRIu64 " records\n",
                       "前: ファイル %" PRIu64 " 個、%" PRIu64 " バイト。今: ファイル %" PRIu64
                       " 個、%" PRIu64 " バイト、記録 %" PRIu64 " 件\n"),
                  d->files_before, d->bytes_before, d->files_after, d->bytes_after, d->records);
    if (d->lost_records > 0) {
        bh_buf_printf(&out, word(q, en, ja), d->lost_records);
    }
    return finish(&out, 0, err);
}

static int
only_one(const struct asked *q, struct bh_error *err)
{
    return q->dir_count == 1 ? 0
                             : bh_error_set(err, BH_EUSAGE, q->dirs[1], "one log at a time",
                                            "一度に扱えるログは 1 つです");
}

static int
log_repair(const struct asked *q, struct bh_error *err)
{
    struct bh_store_done d = { 0 };
    struct bar bar;
    bar_begin(&bar, bh_arg_given(q->args, "quiet"));
    int r = only_one(q, err);
    r = r != 0 ? r : bh_store_repair(q->dirs[0], draw_or_stop, &bar, &d, err);
    bar_end(&bar);
    return r != 0 ? r
                  : say_done(q, &d, "%" PRIu64 " records could not be saved\n",
                             "%" PRIu64 " 件の記録は救えませんでした\n", err);
}

static int
log_compact(const struct asked *q, struct bh_error *err)
{
    struct bh_store_done d = { 0 };
    struct bar bar;
    bar_begin(&bar, bh_arg_given(q->args, "quiet"));
    int r = only_one(q, err);
    r = r != 0 ? r : bh_store_compact(q->dirs[0], 0, draw_or_stop, &bar, &d, err);
    bar_end(&bar);
    if (r == 0 && d.files_left > 0) {
        d.lost_records = d.files_left;
        r = say_done(q, &d,
                     "%" PRIu64
                     " files were left as they are: something is damaged (beholder log repair)\n",
                     "壊れたところがあるため、%" PRIu64
                     " 個のファイルはそのままにしました (beholder log repair)\n",
                     err);
        return r != 0 ? r : 1;
    }
    return r != 0 ? r : say_done(q, &d, "", "", err);
}

static int
log_merge(const struct asked *q, struct bh_error *err)
{
    struct bh_store_done d = { 0 };
    struct bar bar;
    if (q->dir_count < 2) {
        return bh_error_set(err, BH_EUSAGE, "beholder log merge",
                            "name the log to append to, then the others",
                            "追加先のログと、ほかのログを指定してください");
    }
    bar_begin(&bar, bh_arg_given(q->args, "quiet"));
    int r = bh_store_merge(q->dirs[0], (const char *const *)q->dirs + 1, q->dir_count - 1,
                           draw_or_stop, &bar, &d, err);
    bar_end(&bar);
    return r != 0 ? r
                  : say_done(q, &d, "%" PRIu64 " records were damaged and left out\n",
                             "%" PRIu64 " 件の記録は壊れていたため除外しました\n", err);
}

static int
log_retain(const struct asked *q, struct bh_error *err)
{
    const bool any = bh_arg_given(q->args, "keep") || bh_arg_given(q->args, "keep-size");
    uint64_t ns = 0, bytes = 0;
    struct bh_store_done d = { 0 };
    int r = only_one(q, err);
    if (r == 0 && !any) {
        r = bh_error_set(err, BH_EUSAGE, "beholder log retain",
                         "say how much to keep: --keep 400d, --keep-size 20G",
                         "残す量を指定してください: --keep 400d、--keep-size 20G");
    }
    r = r != 0 ? r : program_keep(q->args, &ns, &bytes, err);
    r = r != 0 ? r : bh_store_retain(q->dirs[0], ns, bytes, &d, err);
    return r != 0 ? r
                  : say_done(q, &d, "%" PRIu64 " records were removed\n",
                             "%" PRIu64 " 件の記録を削除しました\n", err);
}

static int
log_push(const struct asked *q, struct bh_error *err)
{
    struct bh_push_result d;
    struct bar bar;
    if (q->dir_count != 2) {
        return bh_error_set(
            err, BH_EUSAGE, "beholder log push",
            "name the log, then the directory or HOST:DIRECTORY of its copy",
            "ログと、写しを置くディレクトリまたはホスト:ディレクトリを指定してください");
    }
    struct bh_push_options o = { .log = q->dirs[0],
                                 .target = q->dirs[1],
                                 .sftp = bh_arg(q->args, "sftp"),
                                 .again = bh_arg_given(q->args, "again"),
                                 .progress = draw_or_stop,
                                 .progress_arg = &bar };
    const bool quiet = bh_arg_given(q->args, "quiet");
    bar_begin(&bar, quiet);
    int r = bh_push_run(&o, &d, err);
    bar_end(&bar);
    if (r != 0) {
        return r;
    }
    struct bh_buf out = { 0 };
    if (!quiet) {
        bh_buf_printf(
            &out,
            word(q,
                 "%" PRIu64 " segments with %" PRIu64 " records sent (%" PRIu64 " octets, %" PRIu64
                 " of them by a push before); %" PRIu64 " had arrived already\n",
                 "セグメント %" PRIu64 " 個 (記録 %" PRIu64 " 件) を送りました (%" PRIu64
                 " バイト、うち前回までに %" PRIu64 ")。%" PRIu64 " 個は到着済みでした\n"),
            d.segments, d.records, d.bytes, d.resumed_bytes, d.there);
    }
    if (d.damaged > 0) {
        bh_buf_printf(
            &out,
            word(q, "%" PRIu64 " segments are damaged and were not sent (beholder log repair)\n",
                 "セグメント %" PRIu64
                 " 個は壊れているため送りませんでした (beholder log repair)\n"),
            d.damaged);
    }
    return finish(&out, d.damaged > 0 ? 1 : 0, err);
}

/* ---- the verb ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*run)(const struct asked *q, struct bh_error *err);
} actions[] = {
    { "info", log_info },       { "verify", log_verify }, { "repair", log_repair },
    { "compact", log_compact }, { "retain", log_retain }, { "merge", log_merge },
    { "push", log_push },
};

static int
choose(const struct asked *all, struct bh_error *err)
{
    struct asked q = *all;
    const char *names[BH_COUNT(actions)];
    for (size_t k = 0; k < BH_COUNT(actions); k++) {
        names[k] = actions[k].name;
    }
    if (q.dir_count < 2) {
        return bh_error_set(err, BH_EUSAGE, "beholder log",
                            "say what to do and with which log: beholder log info LOGDIR",
                            "何をするかとログを指定してください: beholder log info LOGDIR");
    }
    for (size_t k = 0; k < BH_COUNT(actions); k++) {
        if (strcmp(q.dirs[0], actions[k].name) == 0) {
            q.dirs++;
            q.dir_count--;
            return actions[k].run(&q, err);
        }
    }
    const char *near = bh_nearest(q.dirs[0], names, BH_COUNT(names));
    return bh_error_set(err, BH_EUSAGE, q.dirs[0],
                        near != NULL ? "no such action; did you mean %s?"
                                     : "no such action; %s is one: see beholder log --help",
                        near != NULL
                            ? "その操作はありません。%s のことですか?"
                            : "その操作はありません (例: %s)。beholder log --help をご覧ください",
                        near != NULL ? near : names[0]);
}

int
verb_log(int argc, char **argv)
{
    struct bh_error err = { 0 };
    struct bh_args *a = NULL;
    struct asked q = { .lang = bh_lang_of_args(argc, argv) };
    if (bh_args_parse(&beholder_log_command, argc, argv, &a, &err) != 0) {
        return program_fail(&err, q.lang);
    }
    int code = 0;
    if (bh_arg_given(a, "help")) {
        bh_command_help(&beholder_log_command, q.lang, stdout);
        code = program_end_stdout(q.lang);
    } else if (bh_arg_given(a, "version")) {
        puts("beholder " BH_VERSION);
        code = program_end_stdout(q.lang);
    } else {
        q.args = a;
        q.dir_count = bh_arg_operands(a, &q.dirs);
        program_catch_stop();
        code = choose(&q, &err);
        code = code < 0 ? program_fail(&err, q.lang) : code;
        code = code != 0 && program_stopped != 0 ? 128 + program_stopped : code;
    }
    bh_args_free(a);
    return code;
}

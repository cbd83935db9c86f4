/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compile.c - kobold compile: inputs to a database.
 */
#include "cc_common.h"
#include "coverage.h"
#include "input.h"
#include "kobold_compile.h"
#include "verbs.h"

#include <stdlib.h>
#include <time.h>

struct compile {
    struct cc_program *p;
    kobold_build *build;
    enum kobold_format format;
    bool is_quiet;
};

static void
say_notice(void *arg, const struct bh_error *e)
{
    const struct compile *c = arg;
    if (!c->is_quiet) {
        cc_complain(c->p, 0, e);
    }
}

/* A line of ours that holds names of files, and so anything. */
static void
say_line(struct bh_buf *line)
{
    struct bh_buf safe = { 0 };
    bh_buf_put_safe(&safe, line->data == NULL ? "" : line->data, line->len);
    fprintf(stderr, "%s\n", safe.data == NULL ? "" : safe.data);
    bh_buf_done(&safe);
    bh_buf_done(line);
}

static void
say_count(struct bh_buf *line, uint64_t n, const char *one, const char *many)
{
    if (n > 0) {
        bh_buf_printf(line, ", %llu %s", (unsigned long long)n, n == 1 ? one : many);
    }
}

static void
say_count_ja(struct bh_buf *line, uint64_t n, const char *what)
{
    if (n > 0) {
        bh_buf_printf(line, "、%s %llu", what, (unsigned long long)n);
    }
}

static void
say_input(const struct compile *c, const char *path, const struct kobold_input *in)
{
    struct bh_buf line = { 0 };
    if (c->is_quiet) {
        return;
    }
    if (c->p->lang == BH_JA) {
        bh_buf_printf(&line, "%s: 形式 %s、範囲 %llu", path, kobold_format_name(in->format),
                      (unsigned long long)in->ranges);
        bh_buf_puts(&line, in->date[0] != '\0' ? "、日付 " : "");
        bh_buf_puts(&line, in->date);
        say_count_ja(&line, in->unused, "国のない行");
        say_count_ja(&line, in->unknown_codes, "未知の国コード (不明とした)");
        say_count_ja(&line, in->broken, "読めずに飛ばした行");
    } else {
        bh_buf_printf(&line, "%s: format %s", path, kobold_format_name(in->format));
        bh_buf_printf(&line, ", %llu range%s", (unsigned long long)in->ranges,
                      in->ranges == 1 ? "" : "s");
        bh_buf_puts(&line, in->date[0] != '\0' ? ", of " : "");
        bh_buf_puts(&line, in->date);
        say_count(&line, in->unused, "line without a country", "lines without a country");
        say_count(&line, in->unknown_codes, "unknown code (now ZZ)", "unknown codes (now ZZ)");
        say_count(&line, in->broken, "broken line skipped", "broken lines skipped");
    }
    say_line(&line);
}

static void
say_as_table(const struct compile *c, const char *path, const struct kobold_input *in)
{
    struct bh_buf line = { 0 };
    if (c->is_quiet) {
        return;
    }
    if (c->p->lang == BH_JA) {
        bh_buf_printf(&line, "%s: AS の範囲 %llu", path, (unsigned long long)in->ranges);
        say_count_ja(&line, in->unused, "AS のない行");
        say_count_ja(&line, in->broken, "読めずに飛ばした行");
    } else {
        bh_buf_printf(&line, "%s: %llu range%s of autonomous systems", path,
                      (unsigned long long)in->ranges, in->ranges == 1 ? "" : "s");
        say_count(&line, in->unused, "line without one", "lines without one");
        say_count(&line, in->broken, "broken line skipped", "broken lines skipped");
    }
    say_line(&line);
}

static int
add_input(struct compile *c, const char *path, enum kobold_format format, enum kobold_layer layer)
{
    struct input text;
    struct bh_error err;
    struct kobold_input input;
    const char *name = strcmp(path, "-") == 0 ? "stdin" : path;
    int r = input_read(path, &text, &err);
    if (r == 0) {
        r = kobold_build_add(c->build, name, text.text, text.size, format, layer, &input, &err);
        input_done(&text);
    }
    if (r < 0) {
        return cc_complain(c->p, CC_FAILED, &err);
    }
    say_input(c, name, &input);
    return CC_OK;
}

static int
add_as_tables(struct compile *c)
{
    const char *const *paths;
    size_t count = bh_arg_all(c->p->args, "asn", &paths);
    for (size_t i = 0; i < count; i++) {
        struct input text;
        struct bh_error err;
        struct kobold_input input;
        int r = input_read(paths[i], &text, &err);
        if (r == 0) {
            r = kobold_build_add_as(c->build, paths[i], text.text, text.size, &input, &err);
            input_done(&text);
        }
        if (r < 0) {
            return cc_complain(c->p, CC_FAILED, &err);
        }
        say_as_table(c, paths[i], &input);
    }
    kobold_build_set_as_meta(c->build, bh_arg(c->p->args, "asn-name"),
                             bh_arg(c->p->args, "asn-date"), bh_arg(c->p->args, "asn-licence"),
                             NULL);
    return CC_OK;
}

static int
add_option_inputs(struct compile *c, const char *option, enum kobold_format format,
                  enum kobold_layer layer)
{
    const char *const *paths;
    size_t count = bh_arg_all(c->p->args, option, &paths);
    int status = CC_OK;
    for (size_t i = 0; i < count && status == CC_OK; i++) {
        status = add_input(c, paths[i], format, layer);
    }
    return status;
}

/* Of what no input dates: the day a reproducible build names, else today. */
static void
date_of_last_resort(char *buf, size_t size)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    time_t t = epoch != NULL ? (time_t)strtoll(epoch, NULL, 10) : time(NULL);
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || strftime(buf, size, "%Y-%m-%d", &tm) == 0) {
        buf[0] = '\0';
    }
}

static bool
is_date(const char *s)
{
    for (int i = 0; i < 10; i++) {
        bool is_dash = i == 4 || i == 7;
        if (is_dash ? s[i] != '-' : s[i] < '0' || s[i] > '9') {
            return false;
        }
    }
    return s[10] == '\0';
}

static void
say_conflicts(const struct compile *c)
{
    struct kobold_conflict x;
    bool is_ja = c->p->lang == BH_JA;
    for (size_t i = 0; !c->is_quiet && kobold_build_conflict(c->build, i, &x); i++) {
        struct bh_buf line = { 0 };
        bh_buf_printf(&line,
                      is_ja
                          ? "%s を %s より優先: 国の違うIPv4アドレス %llu、IPv6の/64 %llu"
                          : "%s wins over %s: they differ in %llu IPv4 addresses, %llu /64 of IPv6",
                      x.winner, x.loser, (unsigned long long)x.v4_addresses,
                      (unsigned long long)x.v6_subnets);
        say_line(&line);
    }
}

static int
put_report(struct compile *c, bool is_json)
{
    struct kobold_report *r;
    struct bh_error err;
    struct bh_buf out = { 0 };
    if (kobold_build_report(c->build, &r, &err) < 0) {
        return cc_complain(c->p, CC_FAILED, &err);
    }
    if (is_json) {
        coverage_json(c->build, r, &out);
    } else {
        coverage_text(c->p, c->build, r, &out);
    }
    kobold_report_free(r);
    int status = cc_flush(c->p, &out);
    bh_buf_done(&out);
    return status;
}

static int
write_output(struct compile *c, const char *path)
{
    uint8_t *data;
    size_t size;
    struct bh_error err;
    if (kobold_build_finish(c->build, &data, &size, &err) < 0) {
        return cc_complain(c->p, CC_FAILED, &err);
    }
    say_conflicts(c);
    bool is_json = bh_arg_given(c->p->args, "json");
    if ((is_json || bh_arg_given(c->p->args, "report")) && put_report(c, is_json) != CC_OK) {
        free(data);
        return CC_FAILED;
    }
    int status = CC_OK;
    kobold *k;
    int r = kobold_open_memory(data, size, &k);
    if (r < 0) { /* a bug of ours must not reach a disk */
        status =
            cc_complain_text(c->p, CC_FAILED, kobold_strerror(r, BH_EN), kobold_strerror(r, BH_JA));
        goto out;
    }
    struct kobold_meta meta;
    kobold_get_meta(k, &meta);
    kobold_close(k);
    if (bh_file_replace(path, data, size, &err) < 0) {
        status = cc_complain(c->p, CC_FAILED, &err);
    } else if (!c->is_quiet) {
        struct bh_buf line = { 0 };
        if (c->p->lang == BH_JA) {
            bh_buf_printf(&line, "%s: %zu バイト、IPv4の範囲 %u、IPv6の範囲 %u、データの日付 %s",
                          path, size, meta.v4_ranges, meta.v6_ranges, meta.date);
        } else {
            bh_buf_printf(&line, "%s: %zu octets, ranges: %u of IPv4, %u of IPv6, data of %s", path,
                          size, meta.v4_ranges, meta.v6_ranges, meta.date);
        }
        say_line(&line);
    }
out:
    free(data);
    return status;
}

static int
compile_inputs(struct compile *c, const char *output)
{
    const struct bh_args *args = c->p->args;
    char *const *operands;
    size_t count = bh_arg_operands(args, &operands);
    int status = CC_OK;
    for (size_t i = 0; i < count && status == CC_OK; i++) {
        status = add_input(c, operands[i], c->format, KOBOLD_LAYER_DATA);
    }
    if (status == CC_OK) {
        status = add_option_inputs(c, "geofeed", KOBOLD_FORMAT_PREFIX, KOBOLD_LAYER_GEOFEED);
    }
    if (status == CC_OK) {
        status = add_option_inputs(c, "override", KOBOLD_FORMAT_AUTO, KOBOLD_LAYER_OVERRIDE);
    }
    if (status == CC_OK) {
        status = add_option_inputs(c, "second", KOBOLD_FORMAT_AUTO, KOBOLD_LAYER_SECOND);
    }
    if (status == CC_OK) {
        status = add_as_tables(c);
    }
    if (status != CC_OK) {
        return status;
    }
    const char *date = bh_arg(args, "date");
    char today[16];
    if (date == NULL && kobold_build_date(c->build)[0] == '\0') {
        date_of_last_resort(today, sizeof today);
        date = today;
    }
    kobold_build_set_meta(c->build, bh_arg(args, "name"), date, bh_arg(args, "licence"),
                          bh_arg(args, "source"));
    return write_output(c, output);
}

static enum kobold_details
details_of(const char *word)
{
    return strcmp(word, "yes") == 0  ? KOBOLD_DETAILS_YES
           : strcmp(word, "no") == 0 ? KOBOLD_DETAILS_NO
                                     : KOBOLD_DETAILS_AUTO;
}

int
verb_compile(struct cc_program *p)
{
    char *const *operands;
    const char *output = bh_arg(p->args, "output");
    const char *date = bh_arg(p->args, "date");
    if (output == NULL) {
        return cc_complain_text(p, CC_USAGE, "name the database to write with -o FILE",
                                "書き出すデータベースを -o ファイル で指定してください");
    }
    if (bh_arg_operands(p->args, &operands) == 0) {
        return cc_complain_text(p, CC_USAGE, "name at least one input file (- for standard input)",
                                "入力ファイルを1つ以上指定してください（- は標準入力）");
    }
    if (date != NULL && !is_date(date)) {
        return cc_complain_text(p, CC_USAGE, "--date is written like 2026-06-25",
                                "--date は 2026-06-25 の形で書いてください");
    }
    date = bh_arg(p->args, "asn-date");
    if (date != NULL && !is_date(date)) {
        return cc_complain_text(p, CC_USAGE, "--asn-date is written like 2026-06-25",
                                "--asn-date は 2026-06-25 の形で書いてください");
    }
    bh_heap_in_huge_pages();
    struct compile c = { .p = p, .is_quiet = bh_arg_given(p->args, "quiet") };
    c.format = (enum kobold_format)kobold_format_of_name(bh_arg(p->args, "format"));
    c.build = kobold_build_new();
    if (c.build == NULL) {
        return cc_complain_text(p, CC_FAILED, "out of memory", "メモリーが足りません");
    }
    kobold_build_on_notice(c.build, say_notice, &c);
    kobold_build_set_details(c.build, details_of(bh_arg(p->args, "details")));
    int status = compile_inputs(&c, output);
    kobold_build_free(c.build);
    return status;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder show: records as lines. */
#include "beholder.h"

#include <errno.h>
#include <unistd.h>

#include "bh_store.h"
#include "beholder_show_command.h"

struct show {
    struct asked_records *q;
    struct bh_rows_config rows;
    struct bh_column columns[BH_COLUMNS_MAX_ROWS];
    struct bh_rows *writer;
    bool is_terminal;
    int written; /* what writing said */
};

static int
show_begin(void *arg, const struct bh_records *r)
{
    struct show *s = arg;
    struct bh_error err = { 0 };
    s->rows.countries = r->countries;
    return bh_rows_new(&s->rows, &s->writer, &err);
}

static int
show_batch(void *arg, struct bh_batch *b)
{
    struct show *s = arg;
    int r = bh_rows_put(s->writer, b);
    if (r == 0 && s->is_terminal) {
        r = bh_out_flush(s->rows.out); /* who looks on wants lines as they come */
    }
    if (r < 0) {
        s->written = r;
        return 1;
    }
    return r > 0 || program_is_interrupted() ? 1 : 0;
}

static int
show_end(void *arg, const struct bh_records *r)
{
    struct show *s = arg;
    (void)r;
    bh_rows_free(s->writer); /* it uses the country data, which go now */
    s->writer = NULL;
    return 0;
}

/* ---- options ------------------------------------------------------------------------------------------ */

static enum bh_rows_form
form_of(const char *word)
{
    return strcmp(word, "ndjson") == 0 ? BH_ROWS_NDJSON
           : strcmp(word, "csv") == 0  ? BH_ROWS_CSV
                                       : BH_ROWS_TEXT;
}

/* For programs, what most ask for; whoever wants less or more says so. */
#define USUAL                                                                                                   \
    "time,direction,src,src_port,dst,dst_port,proto,tcp_flags,icmp_type,icmp_code,ip_len,weight,class,outcome," \
    "country,country_name,fragment,truncated,reason"

static int
choose_columns(struct show *s, struct bh_error *err)
{
    const char *text = bh_arg(s->q->args, "columns");
    if (text == NULL && s->rows.form == BH_ROWS_TEXT) {
        return 0;
    }
    s->rows.columns = s->columns;
    return bh_columns_parse("--columns", text != NULL ? text : USUAL, s->columns,
                            BH_COUNT(s->columns), &s->rows.column_count, err);
}

/* ---- the verb --------------------------------------------------------------------------------------------- */

static int
show(struct asked_records *q)
{
    struct show s = { .q = q,
                      .rows = { .form = form_of(bh_arg(q->args, "format")),
                                .lang = q->lang,
                                .anonymize = q->anonymize,
                                .most = bh_arg_uint(q->args, "count") },
                      .is_terminal = isatty(STDOUT_FILENO) == 1 };
    struct bh_error err = { 0 };
    struct bh_records records = { 0 };
    struct bh_records_config cfg = {
        .begin = show_begin, .batch = show_batch, .end = show_end, .arg = &s
    };
    int code = 0;
    int r = choose_columns(&s, &err);
    r = r != 0 ? r : bh_out_open(NULL, &s.rows.out, &err);
    if (r != 0) {
        return program_fail(&err, q->lang);
    }
    const uint32_t needs = bh_rows_needs(&s.rows);
    r = program_read_records(q, &cfg, needs, &records, &code, &err);
    bh_rows_free(s.writer);
    if (r != 0) {
        code = program_fail(&err, q->lang);
    }
    r = bh_out_close(s.rows.out, s.written == 0, &err);
    r = s.written != 0 ? bh_error_errno(&err, -s.written, "stdout", "cannot write", "書けません")
                       : r;
    if (r == -EPIPE) {
        code = 0; /* the reader had enough (head): nothing to say */
    } else if (r != 0) {
        code = program_fail(&err, q->lang);
    }
    bh_records_done(&records);
    return code;
}

int
verb_show(int argc, char **argv)
{
    return program_records(argc, argv, &beholder_show_command, show);
}

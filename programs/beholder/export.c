/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder export: records for other programs. */
#include "beholder.h"

#include <errno.h>
#include <unistd.h>

#include "bh_export.h"
#include "beholder_export_command.h"

enum form { FORM_PCAP, FORM_PARQUET, FORM_CSV, FORM_NDJSON, FORM_NONE };
static const char *const forms[] = { "pcap", "parquet", "csv", "ndjson" };

struct exporting {
    struct asked_records *q;
    enum form form;
    struct bh_column columns[BH_COLUMNS_MAX_ROWS];
    size_t column_count;
    struct bh_out *out;
    struct bh_rows *rows;
    struct bh_export_pcap *pcap;
    struct bh_export_parquet *parquet;
    uint64_t flows;
    int written; /* what writing said */
    bool lean;
};

/* ---- what to write ------------------------------------------------------------------------------------------ */

static bool
ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static enum form
form_of_name(const char *path)
{
    static const struct {
        const char *end;
        enum form form;
    } endings[] = { { ".pcapng", FORM_PCAP },     { ".pcap", FORM_PCAP },
                    { ".parquet", FORM_PARQUET }, { ".csv", FORM_CSV },
                    { ".ndjson", FORM_NDJSON },   { ".jsonl", FORM_NDJSON } };
    for (size_t i = 0; path != NULL && i < BH_COUNT(endings); i++) {
        if (ends_with(path, endings[i].end)) {
            return endings[i].form;
        }
    }
    return FORM_NONE;
}

static int
choose_form(struct exporting *x, struct bh_error *err)
{
    const char *word = bh_arg(x->q->args, "format"), *path = bh_arg(x->q->args, "write");
    x->form = word == NULL ? form_of_name(path) : FORM_NONE;
    for (unsigned i = 0; word != NULL && i < BH_COUNT(forms); i++) {
        x->form = strcmp(word, forms[i]) == 0 ? (enum form)i : x->form;
    }
    if (x->form == FORM_NONE) {
        return bh_error_set(err, BH_EUSAGE, "beholder export",
                            "say what to write: --format pcap, parquet, csv or ndjson%s",
                            "--format で pcap、parquet、csv、ndjson のどれかを指定してください%s",
                            "");
    }
    if ((path == NULL || strcmp(path, "-") == 0) && x->form <= FORM_PARQUET &&
        isatty(STDOUT_FILENO) == 1) {
        return bh_error_set(err, BH_EUSAGE, "beholder export",
                            "no terminal can show this: give --write FILE%s",
                            "端末には表示できません。--write ファイル を指定してください%s", "");
    }
    return x->form == FORM_PCAP
               ? 0
               : bh_columns_parse("--columns", bh_arg(x->q->args, "columns"), x->columns,
                                  BH_COUNT(x->columns), &x->column_count, err);
}

static uint32_t
needs_of(const struct exporting *x)
{
    uint32_t needs = x->form == FORM_PCAP ? BH_NEEDS_ALL : 0U;
    for (size_t i = 0; i < x->column_count; i++) {
        needs |= x->columns[i].needs;
    }
    return needs;
}

/* ---- records ------------------------------------------------------------------------------------------------- */

static int
begin_pcap(struct exporting *x, const struct bh_records *r, struct bh_error *err)
{
    struct bh_buf home = { 0 };
    const char *networks = r->home->networks.data;
    if (x->q->anonymize != NULL && networks != NULL) {
        networks = bh_anonymize_networks(x->q->anonymize, networks, &home) ? home.data : NULL;
    }
    int code = bh_export_pcap_new(x->out, networks, x->q->anonymize, &x->pcap, err);
    bh_buf_done(&home);
    return code;
}

static int
export_begin(void *arg, const struct bh_records *r)
{
    struct exporting *x = arg;
    struct bh_error err = { 0 };
    x->lean = r->lean;
    if (x->form == FORM_PCAP) {
        return begin_pcap(x, r, &err);
    }
    if (x->form == FORM_PARQUET) {
        return bh_export_parquet_new(x->out, x->columns, x->column_count, r->countries, x->q->lang,
                                     x->q->anonymize, &x->parquet, &err);
    }
    const struct bh_rows_config cfg = { .form = x->form == FORM_CSV ? BH_ROWS_CSV : BH_ROWS_NDJSON,
                                        .lang = x->q->lang,
                                        .columns = x->columns,
                                        .column_count = x->column_count,
                                        .countries = r->countries,
                                        .anonymize = x->q->anonymize,
                                        .out = x->out };
    return bh_rows_new(&cfg, &x->rows, &err);
}

static int
export_batch(void *arg, struct bh_batch *b)
{
    struct exporting *x = arg;
    x->written = x->form == FORM_PCAP      ? bh_export_pcap_put(x->pcap, b)
                 : x->form == FORM_PARQUET ? bh_export_parquet_put(x->parquet, b)
                                           : bh_rows_put(x->rows, b);
    return x->written != 0 || program_is_interrupted() ? 1 : 0;
}

/* The input is still open, whose country data columns use. */
static int
export_end(void *arg, const struct bh_records *r)
{
    struct exporting *x = arg;
    (void)r;
    if (x->written == 0 && !program_is_interrupted() && x->form == FORM_PARQUET) {
        x->written = bh_export_parquet_end(x->parquet);
    }
    x->flows = x->pcap != NULL ? bh_export_pcap_flows(x->pcap) : 0;
    bh_rows_free(x->rows);
    bh_export_parquet_free(x->parquet);
    x->rows = NULL;
    x->parquet = NULL;
    return 0;
}

/* ---- the verb --------------------------------------------------------------------------------------------------- */

static void
say(const struct exporting *x, const char *en, const char *ja, unsigned long long n)
{
    struct bh_error text = { 0 };
    char line[1200];
    bh_error_set(&text, 0, "", en, ja, n);
    fprintf(stderr, "beholder: %s\n", bh_error_line(&text, x->q->lang, line, sizeof line));
}

static void
say_losses(const struct exporting *x)
{
    if (x->form != FORM_PCAP || bh_arg_given(x->q->args, "quiet")) {
        return;
    }
    if (x->flows > 0) {
        say(x, "%llu records stand for several packets, and are one frame each",
            "%llu 件の記録は複数のパケットを表しますが、1 フレームずつ書きました",
            (unsigned long long)x->flows);
    }
    if (x->lean) {
        say(x,
            "the log is lean: sequence numbers, IP IDs and windows are zeros in the frames%.0llu",
            "ログが lean なので、フレームのシーケンス番号、IP ID、ウィンドウは 0 です%.0llu", 0ULL);
    }
}

static int export(struct asked_records *q)
{
    struct exporting x = { .q = q };
    struct bh_error err = { 0 };
    struct bh_records records = { 0 };
    struct bh_records_config cfg = {
        .begin = export_begin, .batch = export_batch, .end = export_end, .arg = &x
    };
    int code = 0;
    int r = choose_form(&x, &err);
    r = r != 0 ? r : bh_out_open(bh_arg(q->args, "write"), &x.out, &err);
    if (r != 0) {
        return program_fail(&err, q->lang);
    }
    r = program_read_records(q, &cfg, needs_of(&x), &records, &code, &err);
    bh_rows_free(x.rows);
    bh_export_parquet_free(x.parquet);
    bh_export_pcap_free(x.pcap);
    if (r == 0 && x.written != 0) {
        const char *path = bh_arg(q->args, "write");
        r = bh_error_errno(&err, -x.written, path != NULL ? path : "stdout", "cannot write",
                           "書けません");
    }
    struct bh_error close_err = { 0 };
    const int closed = bh_out_close(x.out, r == 0 && !program_is_interrupted(), &close_err);
    if (r == 0 && closed != 0) {
        r = closed;
        err = close_err;
    }
    if (r == 0 && !program_is_interrupted()) {
        say_losses(&x);
    }
    bh_records_done(&records);
    return r == -EPIPE ? 1 : r != 0 ? program_fail(&err, q->lang) : code;
}

int
verb_export(int argc, char **argv)
{
    return program_records(argc, argv, &beholder_export_command, export);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files in, rows in order out. Each file has one row ahead; the oldest of these goes into the
 * window, the oldest of the window into the batch.
 */
#include "import_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room for the parts of flows that wait for an answer, and for a record of several rows. */
#define WINDOW_SPARE 4096U

struct bh_import {
    struct mapping mapping;
    struct import_file **files;
    size_t count;
    size_t current;     /* the file whose row is the oldest ...             */
    int64_t current_ns; /* ... as long as it is not newer than this         */
    bool has_current;
    struct window *window;
    uint64_t order;
    int64_t newest_ns; /* handed out */
    struct pairs *pairs; /* of flows; NULL: none are read */
    struct item ready[2 * MADE_MAX]; /* to go out before the window's next */
    uint32_t ready_at, ready_count;
    bool all_inbound, has_cold, has_weight, has_seq;
    const char *format;
    bool is_guess;
    int year;
    int64_t now_ns;
    uint64_t reasons[REASON_COUNT];
    struct bh_import_stats stats;
    int failed;
    struct bh_error error;
};

/* ---- rows of a file ---------------------------------------------------------------------------- */

/* Of a table the cells, without quotes. */
static void
put_cells(const struct csv *c, struct bh_buf *row)
{
    size_t n = c->count < CSV_CELLS_MAX ? c->count : CSV_CELLS_MAX;
    for (size_t i = 0; i < n && row->len < 160; i++) {
        if (i > 0) {
            bh_buf_puts(row, c->delimiter == '\t' ? " " : c->delimiter == ';' ? ";" : ",");
        }
        bh_buf_put_safe(row, c->cells[i].at, c->cells[i].len < 160 ? c->cells[i].len : 160);
    }
}

static void
keep_example(struct bh_import *im, const struct import_file *f)
{
    struct bh_buf row = { 0 };
    if (f->example.at == NULL) {
        put_cells(&f->csv, &row);
    } else {
        bh_buf_put_safe(&row, f->example.at, f->example.len < 160 ? f->example.len : 160);
    }
    /* Cut between characters. */
    size_t keep = row.len < 100 ? row.len : 100;
    while (keep > 0 && keep < row.len && ((uint8_t)row.data[keep] & 0xc0) == 0x80) {
        keep--;
    }
    const char *text = row.failed || row.data == NULL ? "" : row.data;
    const char *more = keep < row.len ? "..." : "";
    struct bh_import_stats *s = &im->stats;
    snprintf(s->bad_example, sizeof s->bad_example, "%s: %.*s%s", reason_texts[f->why][BH_EN],
             (int)keep, text, more);
    snprintf(s->bad_example_ja, sizeof s->bad_example_ja, "%s: %.*s%s", reason_texts[f->why][BH_JA],
             (int)keep, text, more);
    s->bad_file = f->text.name;
    s->bad_line = f->text.line;
    bh_buf_done(&row);
}

static void
count_bad(struct bh_import *im, const struct import_file *f)
{
    im->reasons[f->why]++;
    if (im->stats.bad_rows++ == 0) {
        keep_example(im, f);
    }
}

static void
keep_failure(struct bh_import *im, const struct import_file *f, int code)
{
    if (im->failed == 0) {
        if (f->text.error.code == code) {
            im->error = f->text.error;
            im->failed = code;
        } else {
            im->failed = bh_error_errno(&im->error, -code, f->text.name, "cannot read", "読めません");
        }
    }
}

/* The next good record of a file, or none. */
static void
advance(struct bh_import *im, struct import_file *f)
{
    f->has_next = false;
    for (;;) {
        int r = f->reader->next(f);
        if (r < 0) {
            keep_failure(im, f, r);
            return;
        }
        if (r == READ_END) {
            return;
        }
        if (r == READ_OTHER) {
            im->stats.other_lines++;
            continue;
        }
        im->stats.rows++;
        if (r == READ_MADE) {
            break;
        }
        count_bad(im, f);
    }
    const struct row *row = &f->next.item[0].row;
    im->stats.zoneless_rows += (row->bits & ROW_ZONELESS) != 0;
    im->stats.yearless_rows += (row->bits & ROW_NO_YEAR) != 0;
    im->stats.steps_back += f->has_last && row->ts_ns < f->last_ns;
    f->last_ns = row->ts_ns;
    f->has_last = true;
    f->has_next = true;
}

static inline int64_t
next_ns(const struct import_file *f)
{
    return f->next.item[0].row.ts_ns;
}

/* The file whose next row is the oldest; the first of equals. */
static bool
choose_file(struct bh_import *im)
{
    struct import_file *f = im->files[im->current];
    if (im->has_current && f->has_next && next_ns(f) <= im->current_ns) {
        return true;
    }
    im->has_current = false;
    im->current_ns = INT64_MAX; /* the oldest of the others */
    for (size_t i = 0; i < im->count; i++) {
        f = im->files[i];
        if (!f->has_next) {
            continue;
        }
        if (!im->has_current) {
            im->current = i;
            im->has_current = true;
        } else if (next_ns(f) < next_ns(im->files[im->current])) {
            im->current_ns = next_ns(im->files[im->current]);
            im->current = i;
        } else if (next_ns(f) < im->current_ns) {
            im->current_ns = next_ns(f);
        }
    }
    return im->has_current;
}

/* Above the place of a row, which has fewer bits. */
#define RANK_SHIFT 60

static void
put_next(struct bh_import *im, struct import_file *f)
{
    for (uint32_t i = 0; i < f->next.count; i++) {
        struct item *x = &f->next.item[i];
        x->row.order = im->order++;
        if ((x->row.bits & ROW_FLOW) != 0) {
            x->row.order |= (uint64_t)pairs_rank(&x->row) << RANK_SHIFT;
            pairs_note(im->pairs, x);
        }
        im->has_seq |= x->row.tcp_seq != 0;
        if (f->reader->has_weight) {
            /* Flows on the same ports are connections of their own. */
            x->row.tcp_seq = (uint32_t)im->stats.rows;
        }
        window_put(im->window, x);
    }
}

static void
fill_window(struct bh_import *im)
{
    while (window_room(im->window) > WINDOW_SPARE && choose_file(im)) {
        struct import_file *f = im->files[im->current];
        put_next(im, f);
        advance(im, f);
    }
}

/* ---- batches ------------------------------------------------------------------------------------- */

static uint16_t
layers_of(const struct row *r)
{
    if (r->kind == BH_KIND_ARP) {
        return BH_LAYER_ARP;
    }
    unsigned layers = r->kind == BH_KIND_IP4 ? BH_LAYER_IPV4 : BH_LAYER_IPV6;
    if ((r->marks & BH_MARK_FRAGMENT) != 0) {
        return (uint16_t)layers;
    }
    switch (r->proto) {
    case BH_PROTO_TCP:
        layers |= BH_LAYER_TCP;
        if ((r->marks & BH_MARK_NO_FLAGS) == 0 && (r->marks & BH_MARK_NO_PORTS) == 0 &&
            (r->tcp_flags & (BH_TCP_SYN | BH_TCP_ACK | BH_TCP_RST | BH_TCP_FIN)) == BH_TCP_SYN) {
            layers |= BH_LAYER_SYN_ONLY;
        }
        break;
    case BH_PROTO_UDP:
        layers |= BH_LAYER_UDP;
        break;
    case BH_PROTO_ICMP:
        layers |= BH_LAYER_ICMP;
        break;
    case BH_PROTO_ICMP6:
        layers |= BH_LAYER_ICMP6;
        break;
    default:
        break;
    }
    return (uint16_t)layers;
}

static uint8_t
direction_of(const struct row *r)
{
    static const uint8_t directions[] = { BH_DIR_UNKNOWN, BH_DIR_IN, BH_DIR_OUT, BH_DIR_LOCAL };
    return directions[((r->bits & ROW_IN) != 0) | ((r->bits & ROW_OUT) != 0) << 1];
}

static void
put_cold(struct bh_batch *b, uint32_t i, const struct taken *t)
{
    bool has = (t->row->bits & ROW_COLD) != 0;
    b->df[i] = has ? t->side->cold.df : 0;
    b->ip_id[i] = has ? t->side->cold.ip_id : 0;
    b->tcp_window[i] = has ? t->side->cold.window : 0;
    b->src_mac[i] = has ? t->side->cold.src_mac : 0;
}

static void
put_row(struct bh_batch *b, const struct taken *t)
{
    const struct row *r = t->row;
    uint32_t i = b->rows++;
    b->ts_ns[i] = r->ts_ns;
    b->src[i] = r->src;
    b->dst[i] = r->dst;
    if (r->kind == BH_KIND_IP6) {
        b->ip6[b->v6_rows] = *t->pair;
        b->src[i] = b->dst[i] = b->v6_rows++;
    }
    b->ports[i] = r->ports;
    b->tcp_seq[i] = r->tcp_seq;
    b->ip_len[i] = r->ip_len;
    b->payload_len[i] = r->payload_len;
    b->layers[i] = layers_of(r);
    b->kind[i] = r->kind;
    b->proto[i] = r->proto;
    b->tcp_flags[i] = r->tcp_flags;
    b->marks[i] = r->marks;
    b->reason[i] = BH_REASON_NONE;
    b->ttl[i] = r->ttl;
    b->weight[i] = r->weight;
    b->direction[i] = direction_of(r);
    if ((b->want & BH_WANT_COLD) != 0) {
        put_cold(b, i, t);
    }
    if ((r->bits & ROW_QUOTE) != 0) {
        b->quotes[b->quote_rows] = *t->quote;
        b->quotes[b->quote_rows++].row = (uint16_t)i;
    }
}

/* With BH_WANT_COLD all cold columns are read: those a log does not have are nothing. */
static void
clear_cold(struct bh_batch *b)
{
#define CLEAR(column) memset(b->column, 0, sizeof b->column)
    CLEAR(df);
    CLEAR(ip_id);
    CLEAR(tcp_window);
    CLEAR(tcp_options);
    CLEAR(vlan);
    CLEAR(ethertype);
    CLEAR(interface);
    CLEAR(src_mac);
    CLEAR(wire_len);
    CLEAR(tunnel_sender);
    CLEAR(tunnel_vni);
#undef CLEAR
}

/* Back among the rows that wait, or at once when there is no room. */
static void
put_back(struct bh_import *im, struct item *x, uint64_t rank)
{
    if (window_room(im->window) > 0) {
        x->row.order = rank << RANK_SHIFT | im->order++;
        window_put(im->window, x);
    } else {
        im->ready[im->ready_count++] = *x;
    }
}

static struct item
item_of(const struct taken *t)
{
    struct item x = { .row = *t->row };
    if (x.row.kind == BH_KIND_IP6) {
        x.pair = *t->pair;
    }
    if ((x.row.bits & (ROW_COLD | ROW_FLOW)) != 0) {
        x.side = *t->side;
    }
    return x;
}

/* A flow becomes rows: those of now are ready, the others wait. */
static void
unroll(struct bh_import *im, const struct taken *t)
{
    struct item x = item_of(t);
    struct made now, rest;
    im->ready_at = im->ready_count = 0;
    if (!pairs_unroll(im->pairs, &x, &now, &rest)) {
        x.row.bits |= ROW_LATE_ANSWER;
        if (window_room(im->window) > 0) {
            put_back(im, &x, 2);
            return;
        }
        bh_ignore(pairs_unroll(im->pairs, &x, &now, &rest) ? 0 : 1); /* marked: it succeeds */
    }
    for (uint32_t i = 0; i < now.count; i++) {
        im->ready[im->ready_count++] = now.item[i];
    }
    for (uint32_t i = 0; i < rest.count; i++) {
        put_back(im, &rest.item[i], 3);
    }
}

static void
put_taken(struct bh_import *im, struct bh_batch *b, const struct taken *t)
{
    const struct row *r = t->row;
    if (r->ts_ns < im->newest_ns) {
        im->stats.late_rows++;
    } else {
        im->newest_ns = r->ts_ns;
    }
    im->stats.records++;
    put_row(b, t);
}

static bool
has_room(const struct bh_batch *b)
{
    return b->rows < BH_BATCH_ROWS && b->quote_rows < BH_BATCH_QUOTES;
}

int
bh_import_read(struct bh_import *im, struct bh_batch *b, struct bh_error *err)
{
    bh_batch_reset(b);
    b->all_inbound = im->all_inbound;
    b->has_weight = im->has_weight;
    b->has_direction = true;
    b->want = im->has_cold ? BH_WANT_COLD : 0;
    if (im->has_cold) {
        clear_cold(b);
    }
    while (has_room(b)) {
        if (im->ready_at < im->ready_count) {
            const struct item *x = &im->ready[im->ready_at++];
            put_taken(im, b, &(struct taken){ &x->row, &x->side, &x->pair, &x->quote });
            continue;
        }
        fill_window(im);
        if (window_is_empty(im->window)) {
            break;
        }
        struct taken t = window_take(im->window);
        if ((t.row->bits & ROW_FLOW) != 0) {
            unroll(im, &t);
        } else {
            put_taken(im, b, &t);
        }
    }
    b->no_tcp_seq = !im->has_seq;
    if (b->rows > 0) {
        return 1;
    }
    if (im->failed == 0 || (im->failed != -ENOMEM && im->stats.rows > 0)) {
        im->stats.damage = im->error;
        return 0;
    }
    if (err != NULL) {
        *err = im->error;
    }
    return im->failed;
}

void
bh_import_get_stats(const struct bh_import *im, struct bh_import_stats *ret_stats)
{
    *ret_stats = im->stats;
    ret_stats->bytes = 0;
    for (size_t i = 0; i < im->count; i++) {
        const struct import_file *f = im->files[i];
        ret_stats->bytes += f->text.bytes;
        if (ret_stats->year == 0 && f->years.first != 0) {
            ret_stats->year = f->years.first;
            ret_stats->year_is_guess = f->years.asked == 0;
        }
    }
    for (int lang = 0; im->count > 0 && lang < BH_LANGS; lang++) {
        ret_stats->form[lang] = im->files[0]->reader->text[lang];
    }
    ret_stats->is_table = im->count > 0 && im->files[0]->reader == &reader_csv;
    size_t n = 0;
    for (size_t why = 1; why < REASON_COUNT && n < BH_IMPORT_REASONS_MAX; why++) {
        if (im->reasons[why] > 0) {
            snprintf(ret_stats->reasons[n].reason, sizeof ret_stats->reasons[n].reason, "%s",
                     reason_texts[why][BH_EN]);
            snprintf(ret_stats->reasons[n].reason_ja, sizeof ret_stats->reasons[n].reason_ja, "%s",
                     reason_texts[why][BH_JA]);
            ret_stats->reasons[n++].count = im->reasons[why];
        }
    }
    ret_stats->reason_count = n;
}

/* ---- beginning --------------------------------------------------------------------------------------- */

/* Times without a year are of the last one before the file was last written. */
static void
begin_years(struct bh_import *im, struct import_file *f)
{
    f->years.asked = im->year;
    if (!bh_octets_modified(f->text.octets, &f->years.ref_ns)) {
        f->years.ref_ns = im->now_ns;
    }
}

/* A text that is no log, and no table whose columns can be guessed. */
static int
no_log(const struct import_file *f, struct bh_error *err)
{
    if (err != NULL) {
        err->line = 0;
        err->has_offset = false;
    }
    return import_error(err, BH_EFORMAT, f->text.name,
                        "it looks like a text file, but neither a capture nor a log we know; give a pcap or pcapng file, a "
                        "log of netfilter, Zeek or nfdump, or a table with beholder report --input-format csv",
                        "テキストファイルのようですが、キャプチャでも既知のログでもありません。pcap、pcapng、netfilter・Zeek・"
                        "nfdump のログ、または表 (beholder report --input-format csv) を指定してください");
}

static int
begin_file(struct bh_import *im, struct import_file *f, struct bh_error *err)
{
    int r = look_choose(&f->text, im->format, &f->reader, err);
    r = r < 0 ? r : look_check_text(&f->text, f->reader != &reader_csv, err);
    if (r < 0) {
        return r;
    }
    begin_years(im, f);
    bool is_first = im->count == 1;
    char text[sizeof im->stats.columns];
    f->mapping = &im->mapping;
    f->columns_text = is_first ? im->stats.columns : text;
    f->columns_text_size = sizeof text;
    r = f->reader->begin == NULL ? 0 : f->reader->begin(f, err);
    f->columns_text = NULL;
    bool is_table = f->reader == &reader_csv;
    if (r < 0) {
        return im->is_guess && is_table && r != -ENOMEM ? no_log(f, err) : r;
    }
    im->has_cold |= f->reader->has_cold || (is_table && f->columns.is_mapped[KEY_TTL]);
    im->has_weight |= f->reader->has_weight || (is_table && f->columns.is_mapped[KEY_WEIGHT]);
    if (f->reader->has_weight && im->pairs == NULL && (im->pairs = pairs_new()) == NULL) {
        return bh_error_errno(err, ENOMEM, f->text.name, "cannot read", "読めません");
    }
    bool is_inbound = is_table && !f->columns.is_mapped[KEY_DST];
    if (is_first) {
        im->all_inbound = is_inbound;
    } else if (im->all_inbound != is_inbound) {
        /* Guessed by name only: one says where packets went, another does not. */
        return import_error(err, BH_EUSAGE, f->text.name,
                            "has a destination column and the first file does not, or the other "
                            "way round: report them apart, or name the columns",
                            "宛先の列の有無が最初のファイルと違います。別々に集計するか、列を指定"
                            "してください");
    }
    return 0;
}

static int
open_file(struct bh_import *im, const char *path, struct bh_octets *opened, const void *data, size_t size,
          struct bh_error *err)
{
    struct import_file *f = calloc(1, sizeof *f);
    if (f == NULL) {
        bh_octets_close(opened);
        return bh_error_errno(err, ENOMEM, path, "cannot read", "読めません");
    }
    im->files[im->count++] = f;
    int r = text_open(&f->text, path, opened, data, size, err);
    return r < 0 ? r : begin_file(im, f, err);
}

/* ---- tables --------------------------------------------------------------------------------------- */

static int
table_begin(struct import_file *f, struct bh_error *err)
{
    int r = csv_begin(&f->csv, &f->text, err);
    return r < 0 ? r : columns_find(&f->columns, f->mapping, &f->csv, f->columns_text, f->columns_text_size, err);
}

static int
table_next(struct import_file *f)
{
    int r = csv_next(&f->csv);
    if (r < 0 || r == CSV_END) {
        return r;
    }
    struct item *x = &f->next.item[0];
    f->next.count = 1;
    f->example = (struct cell){ NULL, 0 };
    f->why = r == CSV_ROW ? row_parse(&f->columns, &f->csv, &x->row, &x->pair) : REASON_QUOTES;
    return f->why == REASON_NONE ? READ_MADE : READ_BAD;
}

const struct reader reader_csv = {
    .name = "csv",
    .text = { "a CSV table", "CSV の表" },
    .begin = table_begin,
    .next = table_next,
};

/* ---- open and close -------------------------------------------------------------------------------- */

/* The same rows twice would be counted twice, and a pipe cannot be read twice at all. */
static int
check_twice(const char *const *paths, size_t count, struct bh_error *err)
{
    struct stat *seen = calloc(count, sizeof *seen);
    int r = 0;
    if (seen == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot read", "読めません");
    }
    for (size_t i = 0; i < count && r == 0; i++) {
        bool is_stdin = strcmp(paths[i], "-") == 0;
        if ((is_stdin ? fstat(STDIN_FILENO, &seen[i]) : stat(paths[i], &seen[i])) != 0) {
            memset(&seen[i], 0, sizeof seen[i]); /* opening it says why */
            continue;
        }
        for (size_t k = 0; k < i && r == 0; k++) {
            if (seen[k].st_ino == seen[i].st_ino && seen[k].st_dev == seen[i].st_dev) {
                r = bh_error_set(err, BH_EUSAGE, is_stdin ? "stdin" : paths[i],
                                 "this file is given twice (first as %s)",
                                 "同じファイルが二度指定されています (最初は %s)",
                                 strcmp(paths[k], "-") == 0 ? "stdin" : paths[k]);
            }
        }
    }
    free(seen);
    return r;
}

static int
new_import(const struct bh_import_options *o, size_t count, struct bh_import **ret_import, struct bh_error *err)
{
    struct bh_import *im = calloc(1, sizeof *im);
    if (im == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot read", "読めません");
    }
    im->newest_ns = INT64_MIN;
    im->format = o->columns != NULL && o->columns[0] != '\0' && strcmp(o->columns, "auto") != 0 ? "csv" : o->format;
    im->is_guess = o->is_guess;
    im->year = o->year;
    im->now_ns = o->now_ns;
    im->files = calloc(count, sizeof(struct import_file *));
    im->window = window_new(BH_IMPORT_WINDOW + WINDOW_SPARE);
    int r = im->files == NULL || im->window == NULL
                ? bh_error_errno(err, ENOMEM, "", "cannot read", "読めません")
                : mapping_parse(&im->mapping, o->columns, err);
    if (r == 0 && o->year != 0 && (o->year < 1970 || o->year > 2261)) {
        r = bh_error_set(err, BH_EUSAGE, "", "%d is no year between 1970 and 2261", "%d は 1970 から 2261 までの年ではありません", o->year);
    }
    if (r < 0) {
        bh_import_close(im);
        return r;
    }
    *ret_import = im;
    return 0;
}

static int
start(struct bh_import *im, int r, struct bh_import **ret_import)
{
    if (r < 0) {
        bh_import_close(im);
        return r;
    }
    for (size_t i = 0; i < im->count; i++) {
        advance(im, im->files[i]);
    }
    *ret_import = im;
    return 0;
}

static int
open_all(const struct bh_import_options *o, struct bh_import **ret_import, struct bh_error *err)
{
    struct bh_import *im;
    if (o->count == 0) {
        return import_error(err, BH_EUSAGE, "", "no file to read", "読むファイルがありません");
    }
    int r = check_twice(o->paths, o->count, err);
    r = r < 0 ? r : new_import(o, o->count, &im, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < o->count && r == 0; i++) {
        struct bh_octets *opened = o->opened == NULL ? NULL : o->opened[i];
        if (opened != NULL) {
            o->opened[i] = NULL;
        }
        r = open_file(im, o->paths[i], opened, NULL, 0, err);
    }
    return start(im, r, ret_import);
}

int
bh_import_open_with(const struct bh_import_options *o, struct bh_import **ret_import, struct bh_error *err)
{
    int r = open_all(o, ret_import, err);
    for (size_t i = 0; o->opened != NULL && i < o->count; i++) {
        bh_octets_close(o->opened[i]);
        o->opened[i] = NULL;
    }
    return r;
}

int
bh_import_open(const char *const *paths, size_t count, const char *columns,
               struct bh_import **ret_import, struct bh_error *err)
{
    return bh_import_open_with(&(struct bh_import_options){ .paths = paths, .count = count, .columns = columns },
                               ret_import, err);
}

int
bh_import_open_memory(const void *data, size_t size, const char *columns,
                      struct bh_import **ret_import, struct bh_error *err)
{
    return bh_import_open_memory_with(data, size, &(struct bh_import_options){ .columns = columns }, ret_import, err);
}

int
bh_import_open_memory_with(const void *data, size_t size, const struct bh_import_options *o,
                           struct bh_import **ret_import, struct bh_error *err)
{
    struct bh_import *im;
    int r = new_import(o, 1, &im, err);
    return r < 0 ? r : start(im, open_file(im, NULL, NULL, data, size, err), ret_import);
}

void
bh_import_progress(const struct bh_import *im, uint64_t *ret_total, uint64_t *ret_done)
{
    uint64_t total = 0, done = 0;
    bool is_known = true;
    for (size_t i = 0; i < im->count; i++) {
        uint64_t of_file, done_of_file;
        bh_octets_progress(im->files[i]->text.octets, &of_file, &done_of_file);
        is_known &= of_file > 0;
        total += of_file;
        done += done_of_file;
    }
    *ret_total = is_known ? total : 0;
    *ret_done = done;
}

void
bh_import_close(struct bh_import *im)
{
    if (im == NULL) {
        return;
    }
    for (size_t i = 0; i < im->count; i++) {
        text_close(&im->files[i]->text);
        free(im->files[i]);
    }
    free(im->files);
    window_free(im->window);
    pairs_free(im->pairs);
    mapping_done(&im->mapping);
    free(im);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files in, rows in order out. Each file has one row ahead; the oldest of these goes into the
 * window, the oldest of the window into the batch.
 */
#include "import_priv.h"

#include <errno.h>

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

/* Of a log the line, with blanks for tabs. */
static void
put_line(struct cell line, struct bh_buf *row)
{
    const char *p = line.at;
    const char *const end = line.at + (line.len < 160 ? line.len : 160);
    while (p < end) {
        const char *tab = memchr(p, '\t', (size_t)(end - p));
        const char *q = tab == NULL ? end : tab;
        bh_buf_put_safe(row, p, (size_t)(q - p));
        bh_buf_puts(row, tab == NULL ? "" : " ");
        p = q + (tab != NULL);
    }
}

static void
keep_example(struct bh_import *im, const struct import_file *f)
{
    struct bh_buf row = { 0 };
    if (f->example.at == NULL) {
        put_cells(&f->csv, &row);
    } else {
        put_line(f->example, &row);
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
            im->failed =
                bh_error_errno(&im->error, -code, f->text.name, "cannot read", "読めません");
        }
    }
}

/* The next good record of a file, or none. */
void
import_advance(struct bh_import *im, struct import_file *f)
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
        import_advance(im, f);
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

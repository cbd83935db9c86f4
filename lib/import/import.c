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

struct import_file {
    struct csv csv;
    struct columns columns;
    struct row next;
    struct bh_ip6_pair next_pair;
    bool has_next;
    bool has_last;
    int64_t last_ns; /* of the row before `next` */
};

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
    bool all_inbound, has_ttl, has_weight;
    uint64_t reasons[REASON_COUNT];
    struct bh_import_stats stats;
    int failed;
    struct bh_error error;
};

/* ---- rows of a file ---------------------------------------------------------------------------- */

static void
keep_example(struct bh_import *im, const struct csv *c, enum reason why)
{
    struct bh_buf row = { 0 };
    size_t n = c->count < CSV_CELLS_MAX ? c->count : CSV_CELLS_MAX;
    for (size_t i = 0; i < n && row.len < 160; i++) {
        if (i > 0) {
            bh_buf_puts(&row, c->delimiter == '\t' ? " " : c->delimiter == ';' ? ";" : ",");
        }
        bh_buf_put_safe(&row, c->cells[i].at, c->cells[i].len < 160 ? c->cells[i].len : 160);
    }
    /* Cut between characters. */
    size_t keep = row.len < 100 ? row.len : 100;
    while (keep > 0 && keep < row.len && ((uint8_t)row.data[keep] & 0xc0) == 0x80) {
        keep--;
    }
    const char *text = row.failed || row.data == NULL ? "" : row.data;
    const char *more = keep < row.len ? "..." : "";
    struct bh_import_stats *s = &im->stats;
    snprintf(s->bad_example, sizeof s->bad_example, "%s: %.*s%s", reason_texts[why][BH_EN],
             (int)keep, text, more);
    snprintf(s->bad_example_ja, sizeof s->bad_example_ja, "%s: %.*s%s", reason_texts[why][BH_JA],
             (int)keep, text, more);
    s->bad_file = c->name;
    s->bad_line = c->line;
    bh_buf_done(&row);
}

static void
count_bad(struct bh_import *im, const struct csv *c, enum reason why)
{
    im->reasons[why]++;
    if (im->stats.bad_rows++ == 0) {
        keep_example(im, c, why);
    }
}

static void
keep_failure(struct bh_import *im, const struct import_file *f, int code)
{
    if (im->failed == 0) {
        im->failed = bh_error_errno(&im->error, -code, f->csv.name, "cannot read", "読めません");
    }
}

/* The next good row of a file, or none. */
static void
advance(struct bh_import *im, struct import_file *f)
{
    f->has_next = false;
    for (;;) {
        int r = csv_next(&f->csv);
        if (r < 0) {
            keep_failure(im, f, r);
            return;
        }
        if (r == CSV_END) {
            return;
        }
        im->stats.rows++;
        enum reason why = REASON_QUOTES;
        if (r == CSV_ROW) {
            why = row_parse(&f->columns, &f->csv, &f->next, &f->next_pair);
        }
        if (why == REASON_NONE) {
            break;
        }
        count_bad(im, &f->csv, why);
    }
    im->stats.zoneless_rows += f->next.is_zoneless;
    im->stats.steps_back += f->has_last && f->next.ts_ns < f->last_ns;
    f->last_ns = f->next.ts_ns;
    f->has_last = true;
    f->has_next = true;
}

/* The file whose next row is the oldest; the first of equals. */
static bool
choose_file(struct bh_import *im)
{
    struct import_file *f = im->files[im->current];
    if (im->has_current && f->has_next && f->next.ts_ns <= im->current_ns) {
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
        } else if (f->next.ts_ns < im->files[im->current]->next.ts_ns) {
            im->current_ns = im->files[im->current]->next.ts_ns;
            im->current = i;
        } else if (f->next.ts_ns < im->current_ns) {
            im->current_ns = f->next.ts_ns;
        }
    }
    return im->has_current;
}

static void
fill_window(struct bh_import *im)
{
    while (!window_is_full(im->window) && choose_file(im)) {
        struct import_file *f = im->files[im->current];
        f->next.order = im->order++;
        window_put(im->window, &f->next, &f->next_pair);
        advance(im, f);
    }
}

/* ---- batches ------------------------------------------------------------------------------------- */

static uint16_t
layers_of(const struct row *r)
{
    unsigned layers = r->kind == BH_KIND_IP4 ? BH_LAYER_IPV4 : BH_LAYER_IPV6;
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

static void
put_row(struct bh_batch *b, const struct row *r, const struct bh_ip6_pair *pair)
{
    uint32_t i = b->rows++;
    b->ts_ns[i] = r->ts_ns;
    b->src[i] = r->src;
    b->dst[i] = r->dst;
    if (r->kind == BH_KIND_IP6) {
        b->ip6[b->v6_rows] = *pair;
        b->src[i] = b->dst[i] = b->v6_rows++;
    }
    b->ports[i] = r->ports;
    b->tcp_seq[i] = 0;
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

int
bh_import_read(struct bh_import *im, struct bh_batch *b, struct bh_error *err)
{
    bh_batch_reset(b);
    b->all_inbound = im->all_inbound;
    b->has_weight = im->has_weight;
    b->want = im->has_ttl ? BH_WANT_COLD : 0;
    if (im->has_ttl) {
        clear_cold(b);
    }
    while (b->rows < BH_BATCH_ROWS) {
        fill_window(im);
        if (window_is_empty(im->window)) {
            break;
        }
        const struct bh_ip6_pair *pair;
        const struct row *r = window_take(im->window, &pair);
        if (r->ts_ns < im->newest_ns) {
            im->stats.late_rows++;
        } else {
            im->newest_ns = r->ts_ns;
        }
        put_row(b, r, pair);
    }
    if (b->rows > 0) {
        return 1;
    }
    if (im->failed < 0 && err != NULL) {
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
        ret_stats->bytes += im->files[i]->csv.bytes;
    }
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

/* ---- open and close -------------------------------------------------------------------------------- */

static int
open_file(struct bh_import *im, const char *path, const void *data, size_t size,
          struct bh_error *err)
{
    struct import_file *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return bh_error_errno(err, ENOMEM, path, "cannot read", "読めません");
    }
    im->files[im->count++] = f;
    int r = csv_open(&f->csv, path, data, size, err);
    if (r < 0) {
        return r;
    }
    bool is_first = im->count == 1;
    char text[sizeof im->stats.columns];
    r = columns_find(&f->columns, &im->mapping, &f->csv, is_first ? im->stats.columns : text,
                     sizeof text, err);
    if (r < 0) {
        return r;
    }
    bool is_inbound = !f->columns.is_mapped[KEY_DST];
    if (is_first) {
        im->all_inbound = is_inbound;
        im->has_ttl = f->columns.is_mapped[KEY_TTL];
        im->has_weight = f->columns.is_mapped[KEY_WEIGHT];
    } else if (im->all_inbound != is_inbound) {
        /* Guessed by name only: one says where packets went, another does not. */
        return import_error(err, BH_EUSAGE, path,
                            "has a destination column and the first file does not, or the other "
                            "way round: report them apart, or name the columns",
                            "宛先の列の有無が最初のファイルと違います。別々に集計するか、列を指定"
                            "してください");
    }
    return 0;
}

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
new_import(const char *columns, size_t count, struct bh_import **ret_import, struct bh_error *err)
{
    struct bh_import *im = calloc(1, sizeof *im);
    if (im == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot read", "読めません");
    }
    im->newest_ns = INT64_MIN;
    im->files = calloc(count, sizeof(struct import_file *));
    im->window = window_new(BH_IMPORT_WINDOW);
    int r = im->files == NULL || im->window == NULL
                ? bh_error_errno(err, ENOMEM, "", "cannot read", "読めません")
                : mapping_parse(&im->mapping, columns, err);
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

int
bh_import_open(const char *const *paths, size_t count, const char *columns,
               struct bh_import **ret_import, struct bh_error *err)
{
    struct bh_import *im;
    if (count == 0) {
        return import_error(err, BH_EUSAGE, "", "no file to read", "読むファイルがありません");
    }
    int r = check_twice(paths, count, err);
    r = r < 0 ? r : new_import(columns, count, &im, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < count && r == 0; i++) {
        r = open_file(im, paths[i], NULL, 0, err);
    }
    return start(im, r, ret_import);
}

int
bh_import_open_memory(const void *data, size_t size, const char *columns,
                      struct bh_import **ret_import, struct bh_error *err)
{
    struct bh_import *im;
    int r = new_import(columns, 1, &im, err);
    return r < 0 ? r : start(im, open_file(im, NULL, data, size, err), ret_import);
}

void
bh_import_close(struct bh_import *im)
{
    if (im == NULL) {
        return;
    }
    for (size_t i = 0; i < im->count; i++) {
        csv_close(&im->files[i]->csv);
        free(im->files[i]);
    }
    free(im->files);
    window_free(im->window);
    mapping_done(&im->mapping);
    free(im);
}

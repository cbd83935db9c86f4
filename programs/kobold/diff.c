/* SPDX-License-Identifier: BSD-2-Clause */
/* kobold diff: the address space that moved between two databases. */
#include "kobold_export.h"
#include "verbs.h"

#include <stdlib.h>

struct comparison {
    const struct cc_program *p;
    struct kobold_meta meta[2];
    const char *path[2];
    struct kobold_diff *d;
    bool is_common;
    size_t top; /* 0: all */
    struct bh_buf out;
};

enum word {
    W_TITLE,
    W_COMMON,
    W_SUMMARY,
    W_MOVED,
    W_NEW,
    W_GONE,
    W_MOVES_V4,
    W_MOVES_V6,
    W_CHANGES_V4,
    W_CHANGES_V6,
    W_FROM,
    W_TO,
    W_ADDRESSES,
    W_48,
    W_PREFIXES,
    W_BEFORE,
    W_AFTER,
    W_GAINED,
    W_LOST,
    W_CHANGE,
    W_COUNTRY,
    W_NONE,
    W_NOTHING,
    W_COUNT
};

static const char *const words[W_COUNT][BH_LANGS] = {
    [W_TITLE] = { "Address space by registered country", "登録国別のアドレス空間の移動" },
    [W_COMMON] = { "Compared: only addresses that the country data of both list.",
                   "比較の範囲: 両方の国データに記載のあるアドレスだけ。" },
    [W_SUMMARY] = { "Summary", "概要" },
    [W_MOVED] = { "between countries", "国から国へ" },
    [W_NEW] = { "newly listed", "新たに記載" },
    [W_GONE] = { "no longer listed", "記載がなくなった" },
    [W_MOVES_V4] = { "IPv4: moves between countries", "IPv4: 国から国への移動" },
    [W_MOVES_V6] = { "IPv6: moves between countries", "IPv6: 国から国への移動" },
    [W_CHANGES_V4] = { "IPv4 addresses: countries that changed most",
                       "IPv4 アドレス: 変化の大きい国" },
    [W_CHANGES_V6] = { "IPv6 in /48: countries that changed most",
                       "IPv6 (/48 の数): 変化の大きい国" },
    [W_FROM] = { "from", "移動元" },
    [W_TO] = { "to", "移動先" },
    [W_ADDRESSES] = { "addresses", "アドレス" },
    [W_48] = { "/48", "/48" },
    [W_PREFIXES] = { "prefixes", "プレフィックス" },
    [W_BEFORE] = { "before", "前" },
    [W_AFTER] = { "after", "後" },
    [W_GAINED] = { "gained", "増" },
    [W_LOST] = { "lost", "減" },
    [W_CHANGE] = { "change", "差引" },
    [W_COUNTRY] = { "country", "国" },
    [W_NONE] = { "none", "なし" },
    [W_NOTHING] = { "unallocated", "未割り当て" },
};

static const char *
say(const struct comparison *c, enum word w)
{
    return words[w][c->p->lang];
}

static bool
is_nowhere(const char *label)
{
    return strcmp(label, "unallocated") == 0;
}

static const char *
name_of(const struct comparison *c, const char *label)
{
    const char *name = kobold_country_name(label, (int)c->p->lang);
    return is_nowhere(label) ? say(c, W_NOTHING) : name != NULL ? name : label;
}

/* ---- text ------------------------------------------------------------------------------------------ */

/* "-12,345" in `width` columns. */
static void
put_number(struct bh_buf *out, int width, bool is_minus, uint64_t v)
{
    char digits[32];
    char text[48];
    size_t n = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)v);
    size_t at = 0;
    if (is_minus && v != 0) {
        text[at++] = '-';
    }
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0) {
            text[at++] = ',';
        }
        text[at++] = digits[i];
    }
    text[at] = '\0';
    bh_buf_printf(out, "%*s", width, text);
}

/* A text in `width` columns of a terminal, to the left or (negative) to the right; cut when it is longer. */
static void
put_cell(struct bh_buf *out, int width, const char *text)
{
    char cut[200];
    size_t room = (size_t)(width < 0 ? -width : width);
    snprintf(cut, sizeof cut, "%s", text);
    while (bh_text_width(cut) > room) {
        cut[strlen(cut) - 1] = '\0';
        bh_text_trim(cut);
    }
    int blanks = (int)(room - bh_text_width(cut));
    bh_buf_printf(out, "%*s%s%*s", width < 0 ? blanks : 0, "", cut, width < 0 ? 0 : blanks, "");
}

static void
put_place(struct comparison *c, int width, const char *label)
{
    char text[200];
    snprintf(text, sizeof text, is_nowhere(label) ? "%s%.0s" : "%s %s",
             is_nowhere(label) ? say(c, W_NOTHING) : label, name_of(c, label));
    put_cell(&c->out, width, text);
}

static void
put_title(struct comparison *c)
{
    bh_buf_printf(&c->out, "%s\n", say(c, W_TITLE));
    for (int s = 0; s < 2; s++) {
        const struct kobold_meta *m = &c->meta[s];
        put_cell(&c->out, 8, say(c, s == 0 ? W_BEFORE : W_AFTER));
        bh_buf_put_safe(&c->out, m->date, strlen(m->date));
        bh_buf_puts(&c->out, "  ");
        bh_buf_put_safe(&c->out, m->name, strlen(m->name));
        bh_buf_puts(&c->out, "  ");
        bh_buf_put_safe(&c->out, c->path[s], strlen(c->path[s]));
        bh_buf_putc(&c->out, '\n');
    }
    if (c->is_common) {
        bh_buf_printf(&c->out, "%s\n", say(c, W_COMMON));
    }
}

static void
put_summary_line(struct comparison *c, enum word w, const struct kobold_move *m)
{
    put_cell(&c->out, 20, say(c, w));
    put_number(&c->out, 14, false, m->v4_addresses);
    put_number(&c->out, 15, false, m->v4_networks);
    put_number(&c->out, 16, false, m->v6_48s);
    put_number(&c->out, 15, false, m->v6_networks);
    bh_buf_putc(&c->out, '\n');
}

static void
add_move(struct kobold_move *to, const struct kobold_move *m)
{
    to->v4_addresses += m->v4_addresses;
    to->v4_networks += m->v4_networks;
    to->v6_48s += m->v6_48s;
    to->v6_networks += m->v6_networks;
}

static void
sum_moves(const struct kobold_diff *d, struct kobold_move ret[3])
{
    memset(ret, 0, 3 * sizeof *ret);
    for (size_t i = 0; i < d->move_count; i++) {
        const struct kobold_move *m = &d->moves[i];
        add_move(&ret[is_nowhere(m->from) ? 1 : is_nowhere(m->to) ? 2 : 0], m);
    }
}

static void
put_summary(struct comparison *c)
{
    struct kobold_move sum[3];
    sum_moves(c->d, sum);
    bh_buf_putc(&c->out, '\n');
    put_cell(&c->out, 20, say(c, W_SUMMARY));
    put_cell(&c->out, -14, "IPv4");
    put_cell(&c->out, -15, say(c, W_PREFIXES));
    put_cell(&c->out, -16, "IPv6 /48");
    put_cell(&c->out, -15, say(c, W_PREFIXES));
    bh_buf_putc(&c->out, '\n');
    put_summary_line(c, W_MOVED, &sum[0]);
    if (!c->is_common) {
        put_summary_line(c, W_NEW, &sum[1]);
        put_summary_line(c, W_GONE, &sum[2]);
    }
}

/* ---- moves */

static int
compare_v6(const void *pa, const void *pb)
{
    const struct kobold_move *a = pa;
    const struct kobold_move *b = pb;
    if (a->v6_48s != b->v6_48s) {
        return a->v6_48s > b->v6_48s ? -1 : 1;
    }
    int r = strcmp(a->from, b->from);
    return r != 0 ? r : strcmp(a->to, b->to);
}

static void
put_moves(struct comparison *c, int family)
{
    size_t shown = 0;
    bh_buf_printf(&c->out, "\n%s\n", say(c, family == 4 ? W_MOVES_V4 : W_MOVES_V6));
    for (size_t i = 0; i < c->d->move_count && (c->top == 0 || shown < c->top); i++) {
        const struct kobold_move *m = &c->d->moves[i];
        uint64_t n = family == 4 ? m->v4_addresses : m->v6_48s;
        uint64_t networks = family == 4 ? m->v4_networks : m->v6_networks;
        if (networks == 0 || is_nowhere(m->from) || is_nowhere(m->to)) {
            continue;
        }
        if (shown++ == 0) {
            put_cell(&c->out, 25, say(c, W_FROM));
            put_cell(&c->out, 24, say(c, W_TO));
            put_cell(&c->out, -15, say(c, family == 4 ? W_ADDRESSES : W_48));
            put_cell(&c->out, -15, say(c, W_PREFIXES));
            bh_buf_putc(&c->out, '\n');
        }
        put_place(c, 24, m->from);
        bh_buf_putc(&c->out, ' ');
        put_place(c, 24, m->to);
        put_number(&c->out, 15, false, n);
        put_number(&c->out, 15, false, networks);
        bh_buf_putc(&c->out, '\n');
    }
    if (shown == 0) {
        bh_buf_printf(&c->out, "%s\n", say(c, W_NONE));
    }
}

/* ---- countries */

struct change {
    const char *label;
    uint64_t before, after, gained, lost;
};

static uint64_t
size_of(const struct change *c)
{
    return c->after > c->before ? c->after - c->before : c->before - c->after;
}

static int
compare_changes(const void *pa, const void *pb)
{
    const struct change *a = pa;
    const struct change *b = pb;
    uint64_t x = size_of(a);
    uint64_t y = size_of(b);
    return x != y ? (x > y ? -1 : 1) : strcmp(a->label, b->label);
}

static void
put_change(struct comparison *c, const struct change *x)
{
    put_place(c, 20, x->label);
    put_number(&c->out, 15, false, x->gained);
    put_number(&c->out, 15, true, x->lost);
    put_number(&c->out, 15, x->after < x->before, size_of(x));
    put_number(&c->out, 15, false, x->after);
    bh_buf_putc(&c->out, '\n');
}

static int
put_changes(struct comparison *c, int family)
{
    const struct kobold_diff *d = c->d;
    struct change *all = calloc(d->balance_count + 1, sizeof *all);
    size_t n = 0;
    if (all == NULL) {
        return cc_complain_text(c->p, CC_FAILED, "out of memory", "メモリーが足りません");
    }
    for (size_t i = 0; i < d->balance_count; i++) {
        const struct kobold_balance *b = &d->balances[i];
        struct change x = { b->label, b->v4_before, b->v4_after, b->v4_gained, b->v4_lost };
        if (family == 6) {
            x = (struct change){ b->label, b->v6_before, b->v6_after, b->v6_gained, b->v6_lost };
        }
        if (!is_nowhere(b->label) && (x.gained != 0 || x.lost != 0)) {
            all[n++] = x;
        }
    }
    qsort(all, n, sizeof *all, compare_changes);
    bh_buf_printf(&c->out, "\n%s\n", say(c, family == 4 ? W_CHANGES_V4 : W_CHANGES_V6));
    if (n > 0) {
        static const struct {
            enum word w;
            int width;
        } heads[] = { { W_COUNTRY, 20 },
                      { W_GAINED, -15 },
                      { W_LOST, -15 },
                      { W_CHANGE, -15 },
                      { W_AFTER, -15 } };
        for (size_t i = 0; i < BH_COUNT(heads); i++) {
            put_cell(&c->out, heads[i].width, say(c, heads[i].w));
        }
        bh_buf_putc(&c->out, '\n');
    } else {
        bh_buf_printf(&c->out, "%s\n", say(c, W_NONE));
    }
    for (size_t i = 0; i < n && (c->top == 0 || i < c->top); i++) {
        put_change(c, &all[i]);
    }
    free(all);
    return CC_OK;
}

static int
write_text(struct comparison *c)
{
    put_title(c);
    put_summary(c);
    put_moves(c, 4);
    int status = put_changes(c, 4);
    if (status == CC_OK) {
        qsort(c->d->moves, c->d->move_count, sizeof *c->d->moves, compare_v6);
        put_moves(c, 6);
        status = put_changes(c, 6);
    }
    return status;
}

/* ---- tables for programs --------------------------------------------------------------------------- */

static void
put_json_numbers(struct bh_buf *out, const struct kobold_move *m)
{
    bh_buf_printf(out,
                  "\"ipv4_addresses\":%llu,\"ipv4_prefixes\":%llu,\"ipv6_48s\":%llu,"
                  "\"ipv6_prefixes\":%llu}",
                  (unsigned long long)m->v4_addresses, (unsigned long long)m->v4_networks,
                  (unsigned long long)m->v6_48s, (unsigned long long)m->v6_networks);
}

static void
put_json_text(struct bh_buf *out, const char *key, const char *text)
{
    bh_buf_printf(out, "\"%s\":", key);
    bh_buf_put_json(out, text, strlen(text));
    bh_buf_putc(out, ',');
}

static void
put_json_sums(struct comparison *c)
{
    static const char *const keys[] = { "moved", "newly_listed", "no_longer_listed" };
    struct kobold_move sum[3];
    sum_moves(c->d, sum);
    for (int i = 0; i < 3; i++) {
        bh_buf_printf(&c->out, "\"%s\":{", keys[i]);
        put_json_numbers(&c->out, &sum[i]);
        bh_buf_putc(&c->out, ',');
    }
}

static void
write_json(struct comparison *c)
{
    struct bh_buf *out = &c->out;
    bh_buf_putc(out, '{');
    for (int s = 0; s < 2; s++) {
        const struct kobold_meta *m = &c->meta[s];
        bh_buf_printf(out, "\"%s\":{", s == 0 ? "before" : "after");
        put_json_text(out, "file", c->path[s]);
        put_json_text(out, "name", m->name);
        put_json_text(out, "date", m->date);
        bh_buf_printf(out, "\"id\":\"%016llx\"},", (unsigned long long)m->id);
    }
    bh_buf_printf(out, "\"common\":%s,", c->is_common ? "true" : "false");
    put_json_sums(c);
    bh_buf_puts(out, "\"moves\":[");
    for (size_t i = 0; i < c->d->move_count; i++) {
        const struct kobold_move *m = &c->d->moves[i];
        bh_buf_puts(out, i == 0 ? "{" : ",{");
        put_json_text(out, "from", m->from);
        put_json_text(out, "to", m->to);
        put_json_numbers(out, m);
    }
    bh_buf_puts(out, "],\"countries\":[");
    for (size_t i = 0; i < c->d->balance_count; i++) {
        const struct kobold_balance *b = &c->d->balances[i];
        bh_buf_puts(out, i == 0 ? "{" : ",{");
        put_json_text(out, "code", b->label);
        put_json_text(out, "name", name_of(c, b->label));
        bh_buf_printf(
            out,
            "\"ipv4\":{\"before\":%llu,\"gained\":%llu,\"lost\":%llu,\"after\":%llu},"
            "\"ipv6_48s\":{\"before\":%llu,\"gained\":%llu,\"lost\":%llu,\"after\":%llu}}",
            (unsigned long long)b->v4_before, (unsigned long long)b->v4_gained,
            (unsigned long long)b->v4_lost, (unsigned long long)b->v4_after,
            (unsigned long long)b->v6_before, (unsigned long long)b->v6_gained,
            (unsigned long long)b->v6_lost, (unsigned long long)b->v6_after);
    }
    bh_buf_puts(out, "]}\n");
}

/* The matrix, a cell a line. Labels are codes and keys of ours: nothing to quote. */
static void
write_csv(struct comparison *c)
{
    bh_buf_puts(&c->out, "from,to,ipv4_addresses,ipv4_prefixes,ipv6_48s,ipv6_prefixes\n");
    for (size_t i = 0; i < c->d->move_count; i++) {
        const struct kobold_move *m = &c->d->moves[i];
        bh_buf_printf(&c->out, "%s,%s,%llu,%llu,%llu,%llu\n", m->from, m->to,
                      (unsigned long long)m->v4_addresses, (unsigned long long)m->v4_networks,
                      (unsigned long long)m->v6_48s, (unsigned long long)m->v6_networks);
    }
}

/* ---- the verb -------------------------------------------------------------------------------------------- */

static int
compare(const struct cc_program *p, char *const *operands, kobold *const k[2])
{
    struct comparison c = {
        .p = p,
        .path = { operands[0], operands[1] },
        .is_common = bh_arg_given(p->args, "common"),
        .top = (size_t)bh_arg_uint(p->args, "top"),
    };
    struct bh_error err;
    kobold_get_meta(k[0], &c.meta[0]);
    kobold_get_meta(k[1], &c.meta[1]);
    if (kobold_diff_new(k[0], k[1], c.is_common, &c.d, &err) < 0) {
        return cc_complain(p, CC_FAILED, &err);
    }
    int status = CC_OK;
    if (bh_arg_given(p->args, "json")) {
        write_json(&c);
    } else if (bh_arg_given(p->args, "csv")) {
        write_csv(&c);
    } else {
        status = write_text(&c);
    }
    status = status == CC_OK ? cc_flush(p, &c.out) : status;
    bh_buf_done(&c.out);
    kobold_diff_free(c.d);
    return status;
}

int
verb_diff(struct cc_program *p)
{
    char *const *operands;
    kobold *k[2] = { NULL, NULL };
    if (bh_arg_operands(p->args, &operands) != 2) {
        return cc_complain_text(
            p, CC_USAGE, "name two databases, the older first: kobold diff OLD NEW",
            "データベースを古い順に2つ指定してください: kobold diff 古い 新しい");
    }
    int status = CC_FAILED;
    const char *directory = bh_arg(p->args, "db-dir");
    for (int s = 0; s < 2; s++) {
        k[s] = directory != NULL && cc_is_day(operands[s]) ? cc_open_day(p, directory, operands[s])
                                                           : cc_open(p, operands[s]);
        if (k[s] == NULL) {
            goto out;
        }
    }
    status = compare(p, operands, k);
out:
    kobold_close(k[0]);
    kobold_close(k[1]);
    return status;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ccstatistics - how many addresses of a text each country has: the first of each line, or all.
 */
#include "cc_common.h"
#include "ccstatistics_command.h"

#include <errno.h>
#include <stdlib.h>

/* The addresses seen, for --unique: open addressing, at most half full. An all-zero slot is free;
 * the family in it tells ::/128 from nothing. */
struct seen {
    struct bh_ip *slots;
    size_t room, count;
    uint64_t key;
};

struct row {
    uint64_t count;
    struct kobold_value value;
    const char *name;
    char label[48];
};

struct counter {
    const struct cc_program *p;
    const kobold *k;
    uint64_t counts[KOBOLD_VALUES_MAX];
    bool is_all, is_unique;
    struct seen seen;
};

static size_t
seen_slot(const struct seen *s, const struct bh_ip *slots, size_t room, const struct bh_ip *ip)
{
    uint64_t a = bh_get_be64(ip->octets) ^ s->key;
    uint64_t b = bh_get_be64(ip->octets + 8) ^ ip->family;
    size_t at = (size_t)bh_mix64(bh_mix64(a, b), s->key) & (room - 1);
    while (slots[at].family != 0 && bh_ip_cmp(&slots[at], ip) != 0) {
        at = (at + 1) & (room - 1);
    }
    return at;
}

/* 1: new, 0: seen before, negative: out of memory. */
static int
seen_add(struct seen *s, const struct bh_ip *ip)
{
    if (s->count * 2 >= s->room) {
        size_t room = s->room == 0 ? 4096 : s->room * 2;
        struct bh_ip *slots = calloc(room, sizeof *slots);
        if (slots == NULL) {
            return -ENOMEM;
        }
        for (size_t i = 0; i < s->room; i++) {
            if (s->slots[i].family != 0) {
                slots[seen_slot(s, slots, room, &s->slots[i])] = s->slots[i];
            }
        }
        free(s->slots);
        s->slots = slots;
        s->room = room;
    }
    size_t at = seen_slot(s, s->slots, s->room, ip);
    if (s->slots[at].family != 0) {
        return 0;
    }
    s->slots[at] = *ip;
    s->count++;
    return 1;
}

static int
count_lines(void *arg, const char *text, size_t len)
{
    struct counter *c = arg;
    size_t done = 0;
    struct bh_scan scan;
    struct bh_ip ip;
    size_t at;
    size_t n;
    bh_scan_begin(&scan, text, len);
    while (bh_scan_next(&scan, done, &ip, &at, &n)) {
        done = at + n;
        int is_new = c->is_unique ? seen_add(&c->seen, &ip) : 1;
        if (is_new < 0) {
            return cc_complain_text(c->p, CC_FAILED, "out of memory", "メモリーが足りません");
        }
        if (is_new > 0) {
            c->counts[kobold_lookup(c->k, ip.octets, ip.family).value]++;
        }
        if (!c->is_all) {
            const char *end = memchr(text + done, '\n', len - done);
            done = end == NULL ? len : (size_t)(end - text) + 1;
        }
    }
    return CC_OK;
}

static int
compare_rows(const void *pa, const void *pb)
{
    const struct row *a = pa;
    const struct row *b = pb;
    return a->count != b->count ? (a->count > b->count ? -1 : 1) : strcmp(a->label, b->label);
}

/* A row for each label: the documentation blocks of IPv4 and IPv6 are one class of several RFCs. */
static size_t
make_rows(const struct counter *c, struct row *rows)
{
    size_t count = 0;
    for (unsigned v = 0; v < kobold_value_count(c->k); v++) {
        struct row r = { .count = c->counts[v] };
        if (r.count == 0 || !kobold_value_info(c->k, (uint16_t)v, &r.value)) {
            continue;
        }
        bool is_special = r.value.kind == KOBOLD_SPECIAL;
        bool is_free = r.value.kind == KOBOLD_UNALLOCATED;
        snprintf(r.label, sizeof r.label, "%s",
                 is_special ? r.value.class_name
                 : is_free  ? "unallocated"
                            : r.value.code);
        r.name = is_special ? kobold_class_name(r.label, (int)c->p->lang)
                 : is_free  ? (c->p->lang == BH_JA ? "未割り当て" : "unallocated")
                            : kobold_country_name(r.value.code, (int)c->p->lang);
        size_t i = 0;
        while (i < count && strcmp(rows[i].label, r.label) != 0) {
            i++;
        }
        if (i < count) {
            rows[i].count += r.count;
        } else {
            rows[count++] = r;
        }
    }
    qsort(rows, count, sizeof *rows, compare_rows);
    return count;
}

static double
share(uint64_t part, uint64_t total)
{
    return total == 0 ? 0 : 100.0 * (double)part / (double)total;
}

static void
put_row(struct bh_buf *out, uint64_t count, uint64_t total, size_t width, const char *label,
        const char *name)
{
    bh_buf_printf(out, "%12llu  %7.2f%%  %s%*s  %s\n", (unsigned long long)count,
                  share(count, total), label, (int)(width - bh_text_width(label)), "", name);
}

/* The rows shown, what --top left out, and the sum. */
static void
put_text(struct bh_buf *out, const struct cc_program *p, const struct row *rows, size_t shown,
         size_t count, uint64_t total)
{
    bool is_ja = p->lang == BH_JA;
    const char *others = is_ja ? "その他" : "others";
    const char *sum = is_ja ? "合計" : "total";
    size_t width = bh_text_width(others);
    uint64_t rest = total;
    char left_out[80] = "";
    for (size_t i = 0; i < shown; i++) {
        size_t n = strlen(rows[i].label);
        width = n > width ? n : width;
        rest -= rows[i].count;
    }
    bh_buf_printf(out,
                  is_ja ? "        件数      割合  コード%*s  名前\n"
                        : "       count     share  code%*s  name\n",
                  (int)(width - (is_ja ? 6 : 4)), "");
    for (size_t i = 0; i < shown; i++) {
        put_row(out, rows[i].count, total, width, rows[i].label,
                rows[i].name != NULL ? rows[i].name : rows[i].label);
    }
    if (shown < count) {
        snprintf(left_out, sizeof left_out, is_ja ? "ほか %zu 行" : "%zu more", count - shown);
        put_row(out, rest, total, width, others, left_out);
    }
    bh_buf_printf(out, "%12llu  %8s  %s\n", (unsigned long long)total, "", sum);
}

/* A code or a class is of a file that somebody else may have made. */
static void
put_csv_text(struct bh_buf *out, const char *text, bool is_quoted)
{
    is_quoted |= strpbrk(text, ",\"") != NULL;
    bh_buf_puts(out, is_quoted ? "\"" : "");
    bh_buf_puts(out, text[0] != '\0' && strchr("=+-@", text[0]) != NULL ? "'" : "");
    for (const char *s = text; *s != '\0'; s++) {
        bh_buf_puts(out, *s == '"' ? "\"" : "");
        bh_buf_putc(out, *s);
    }
    bh_buf_puts(out, is_quoted ? "\"" : "");
}

static void
put_csv(struct bh_buf *out, const struct row *rows, size_t count, uint64_t total)
{
    bh_buf_puts(out, "count,share,code,name\n");
    for (size_t i = 0; i < count; i++) {
        bh_buf_printf(out, "%llu,%.4f,", (unsigned long long)rows[i].count,
                      share(rows[i].count, total) / 100);
        put_csv_text(out, rows[i].label, false);
        bh_buf_putc(out, ',');
        put_csv_text(out, rows[i].name != NULL ? rows[i].name : rows[i].label, true);
        bh_buf_putc(out, '\n');
    }
}

static void
put_json(struct bh_buf *out, const struct row *rows, size_t count, uint64_t total,
         const struct kobold_meta *meta)
{
    bh_buf_printf(out, "{\"total\":%llu,\"country_data\":{\"name\":", (unsigned long long)total);
    bh_buf_put_json(out, meta->name, strlen(meta->name));
    bh_buf_puts(out, ",\"date\":");
    bh_buf_put_json(out, meta->date, strlen(meta->date));
    bh_buf_puts(out, "},\"rows\":[");
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        bh_buf_printf(out, "%s{\"count\":%llu,\"share\":%.6f,\"code\":", i > 0 ? "," : "",
                      (unsigned long long)r->count, share(r->count, total) / 100);
        if (r->value.code[0] != '\0') {
            bh_buf_put_json(out, r->value.code, strlen(r->value.code));
        } else {
            bh_buf_puts(out, "null");
        }
        bh_buf_printf(out, ",\"kind\":\"%s\",\"class\":", cc_kind_name(r->value.kind));
        if (r->value.class_name[0] != '\0') {
            bh_buf_put_json(out, r->value.class_name, strlen(r->value.class_name));
        } else {
            bh_buf_puts(out, "null");
        }
        const char *name = r->name != NULL ? r->name : r->label;
        bh_buf_puts(out, ",\"name\":");
        bh_buf_put_json(out, name, strlen(name));
        bh_buf_putc(out, '}');
    }
    bh_buf_puts(out, "]}\n");
}

static int
report(const struct counter *c)
{
    const struct cc_program *p = c->p;
    struct row *rows = calloc(KOBOLD_VALUES_MAX, sizeof *rows);
    if (rows == NULL) {
        return cc_complain_text(p, CC_FAILED, "out of memory", "メモリーが足りません");
    }
    size_t count = make_rows(c, rows);
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += rows[i].count;
    }
    uint64_t top = bh_arg_uint(p->args, "top");
    size_t shown = top > 0 && top < count ? (size_t)top : count;
    struct bh_buf out = { 0 };
    if (bh_arg_given(p->args, "json")) {
        struct kobold_meta meta;
        kobold_get_meta(c->k, &meta);
        put_json(&out, rows, shown, total, &meta);
    } else if (bh_arg_given(p->args, "csv")) {
        put_csv(&out, rows, shown, total);
    } else {
        put_text(&out, p, rows, shown, count, total);
    }
    int status = cc_flush(p, &out);
    bh_buf_done(&out);
    free(rows);
    return status;
}

int
main(int argc, char **argv)
{
    static struct counter c; /* 8 KB */
    struct cc_program p;
    int status = cc_start(&p, &ccstatistics_command, argc, argv);
    if (status >= 0) {
        goto out;
    }
    const char *db = bh_arg(p.args, "country-db");
    kobold *k = cc_open(&p, db != NULL ? db : bh_arg(p.args, "db"));
    if (k == NULL) {
        status = CC_FAILED;
        goto out;
    }
    c.p = &p;
    c.k = k;
    c.is_all = bh_arg_given(p.args, "all");
    c.is_unique = bh_arg_given(p.args, "unique");
    c.seen.key = bh_random_key();
    char *const *operands;
    size_t count = bh_arg_operands(p.args, &operands);
    status = count == 0 ? cc_read_lines(&p, "-", count_lines, &c) : CC_OK;
    for (size_t i = 0; i < count && status == CC_OK; i++) {
        status = cc_read_lines(&p, operands[i], count_lines, &c);
    }
    if (status == CC_OK) {
        status = report(&c);
    }
    free(c.seen.slots);
    kobold_close(k);
out:
    cc_done(&p);
    return status;
}

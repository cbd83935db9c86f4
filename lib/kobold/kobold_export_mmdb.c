/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_export_mmdb.c - a database in MaxMind's DB format 2.0, for programs that read no other
 * (https://maxmind.github.io/MaxMind-DB/).
 *
 * The tree has a node for each prefix inside which the value changes. Its spans are walked in order of
 * addresses, so one pass makes the nodes in the order of a walk from the root, and the tree of IPv4, which
 * lies at ::/96, is there before the blocks that point to it: ::ffff:0:0/96, 64:ff9b::/96 and 2002::/16,
 * which carry an IPv4 address behind their prefix, as MaxMind's own databases have it. Teredo (2001::/32)
 * carries the client's address inverted in its last 32 bits, which a tree of prefixes cannot follow: it is
 * one record of its special use. Of ::/96 itself IPv4 takes the place (so ::1 is not "loopback" here).
 *
 * A record of data, one per value:
 *
 *     { "country": { "iso_code": "JP", "names": { "en": "Japan", "ja": ... } },
 *       "registered_country": the same }
 *     { "special_use": { "class": "private-use", "rfc": "RFC 1918", "globally_reachable": false,
 *                        "names": {...} } }
 *
 * Regions (EU, AP) and "unknown" (ZZ) stand where a country's code does. What is unallocated has no record.
 * Texts and maps that were written before are pointed to.
 */
#include "kobold_export.h"
#include "kobold_priv.h"

#include <errno.h>
#include <stdlib.h>

enum {
    TYPE_POINTER = 1,
    TYPE_TEXT = 2,
    TYPE_UINT16 = 5,
    TYPE_UINT32 = 6,
    TYPE_MAP = 7,
    TYPE_UINT64 = 9,
    TYPE_ARRAY = 11,
    TYPE_BOOL = 14,
};

enum { SEPARATOR = 16 };

/* A record of the tree while it is made: a node's number, or one of these. */
#define RECORD_NONE 0xffffffffU
#define RECORD_VALUE 0x80000000U /* | value */

#define NODES_MAX 0x7fffffffU

/* Where the values change, in the address space of the tree. */
struct border {
    bh_u128 first;
    uint32_t record; /* RECORD_IPV4 too */
};

#define RECORD_IPV4 0xfffffffeU /* the tree of IPv4 once more */

struct data {
    struct bh_buf out;
    uint32_t *texts; /* offsets of the texts written */
    size_t text_count, text_room;
};

struct tree {
    const struct kobold_export *x;
    const struct kobold_group *wanted;
    struct border *border;
    size_t border_count, border_room, at;
    uint32_t (*node)[2];
    size_t node_count, node_room;
    unsigned width; /* bits of an address: 32 or 128 */
    uint32_t ipv4;  /* the record of ::/96 */
    bool failed;
};

static bool
make_room(void **at, size_t count, size_t *room, size_t size)
{
    if (count < *room) {
        return true;
    }
    size_t more = *room == 0 ? 1024 : *room * 2;
    void *p = realloc(*at, bh_size_mul(more, size));
    if (p == NULL) {
        return false;
    }
    *at = p;
    *room = more;
    return true;
}

/* ---- data ------------------------------------------------------------------------------------------- */

/* A type and a size below 285: of maps their pairs, of numbers their octets. */
static void
put_control(struct bh_buf *out, unsigned type, size_t size)
{
    size_t small = size < 29 ? size : 29;
    bh_buf_putc(out, (char)(uint8_t)((type < 8 ? type << 5 : 0) | small));
    if (type >= 8) {
        bh_buf_putc(out, (char)(uint8_t)(type - 7));
    }
    if (size >= 29) {
        bh_buf_putc(out, (char)(uint8_t)(size - 29));
    }
}

static void
put_number(struct bh_buf *out, unsigned type, uint64_t v)
{
    unsigned octets = 0;
    while (octets < 8 && v >> (8 * octets) != 0) {
        octets++;
    }
    put_control(out, type, octets);
    while (octets-- > 0) {
        bh_buf_putc(out, (char)(uint8_t)(v >> (8 * octets)));
    }
}

/* To an offset of the data, in the shortest of the three forms that reach 128 MiB. */
static void
put_pointer(struct bh_buf *out, uint32_t to)
{
    uint8_t p[4] = { 0 };
    size_t n;
    if (to < 2048) {
        bh_put_be16(p, (uint16_t)(TYPE_POINTER << 13 | to));
        n = 2;
    } else if (to < 526336) {
        bh_put_be32(p, (uint32_t)(TYPE_POINTER << 5 | 1 << 3) << 24 | (to - 2048) << 8);
        n = 3;
    } else {
        bh_put_be32(p, (uint32_t)(TYPE_POINTER << 5 | 2 << 3) << 24 | (to - 526336));
        n = 4;
    }
    bh_buf_add(out, p, n);
}

static size_t
text_at(const struct bh_buf *out, uint32_t offset, const char **ret)
{
    const uint8_t *p = (const uint8_t *)out->data + offset;
    size_t n = p[0] & 31;
    p++;
    if (n == 29) {
        n += *p++;
    }
    *ret = (const char *)p;
    return n;
}

/* A text, or a pointer to where it stands already. */
static void
put_text(struct data *d, const char *text)
{
    size_t n = strlen(text);
    n = n < 284 ? n : 284;
    for (size_t i = 0; n > 2 && !d->out.failed && i < d->text_count; i++) {
        const char *there;
        if (text_at(&d->out, d->texts[i], &there) == n && memcmp(there, text, n) == 0) {
            put_pointer(&d->out, d->texts[i]);
            return;
        }
    }
    void *texts = d->texts;
    if (!make_room(&texts, d->text_count, &d->text_room, sizeof *d->texts)) {
        d->out.failed = true;
        return;
    }
    d->texts = texts;
    d->texts[d->text_count++] = (uint32_t)d->out.len;
    put_control(&d->out, TYPE_TEXT, n);
    bh_buf_add(&d->out, text, n);
}

static void
put_names(struct data *d, const char *en, const char *ja)
{
    put_text(d, "names");
    put_control(&d->out, TYPE_MAP, 2);
    put_text(d, "en");
    put_text(d, en);
    put_text(d, "ja");
    put_text(d, ja);
}

static const char *
or_else(const char *text, const char *other)
{
    return text != NULL ? text : other;
}

static void
put_special(struct data *d, const struct kobold_value *v)
{
    put_control(&d->out, TYPE_MAP, 1);
    put_text(d, "special_use");
    put_control(&d->out, TYPE_MAP, 4);
    put_text(d, "class");
    put_text(d, v->class_name);
    put_text(d, "rfc");
    put_text(d, v->rfc);
    put_text(d, "globally_reachable");
    put_control(&d->out, TYPE_BOOL, v->globally_reachable);
    put_names(d, or_else(kobold_class_name(v->class_name, 0), v->class_name),
              or_else(kobold_class_name(v->class_name, 1), v->class_name));
}

static void
put_country(struct data *d, const char *code)
{
    put_control(&d->out, TYPE_MAP, 2);
    put_text(d, "country");
    uint32_t map = (uint32_t)d->out.len;
    put_control(&d->out, TYPE_MAP, 2);
    put_text(d, "iso_code");
    put_text(d, code);
    put_names(d, or_else(kobold_country_name(code, 0), code),
              or_else(kobold_country_name(code, 1), code));
    put_text(d, "registered_country");
    put_pointer(&d->out, map);
}

/* The data of all values that the tree uses; where each begins. */
static void
put_values(struct tree *t, struct data *d, uint32_t *ret_offset)
{
    static const uint32_t unused = UINT32_MAX;
    for (unsigned i = 0; i < KOBOLD_VALUES_MAX; i++) {
        ret_offset[i] = unused;
    }
    for (size_t i = 0; i < t->border_count; i++) {
        uint32_t record = t->border[i].record;
        uint32_t value = record & ~RECORD_VALUE;
        struct kobold_value v;
        char label[48];
        if (record >= RECORD_IPV4 || ret_offset[value] != unused ||
            !kobold_value_info(t->x->k, (uint16_t)value, &v)) {
            continue;
        }
        ret_offset[value] = (uint32_t)d->out.len;
        if (v.kind == KOBOLD_SPECIAL) {
            put_special(d, &v);
        } else {
            kobold_value_label(t->x->k, (uint16_t)value, label);
            put_country(d, label);
        }
    }
}

/* ---- borders --------------------------------------------------------------------------------------------- */

static void
add_border(struct tree *t, bh_u128 first, uint32_t record)
{
    void *p = t->border;
    if (!make_room(&p, t->border_count, &t->border_room, sizeof *t->border)) {
        t->failed = true;
        return;
    }
    t->border = p;
    if (t->border_count > 0 && t->border[t->border_count - 1].record == record) {
        return;
    }
    t->border[t->border_count++] = (struct border){ first, record };
}

static int
take_v4(void *arg, int family, const struct kobold_stretch *s)
{
    struct tree *t = arg;
    (void)family;
    bool is_wanted = kobold_group_has(t->wanted, s->value);
    add_border(t, s->first_lo, is_wanted ? RECORD_VALUE | s->value : RECORD_NONE);
    return t->failed;
}

static bool
is_carrier_of_ipv4(const struct kobold_stretch *s)
{
    uint32_t v4;
    uint8_t carrier = kobold_carrier(s->first_hi, s->first_lo, &v4);
    return carrier == KOBOLD_CARRIER_MAPPED || carrier == KOBOLD_CARRIER_NAT64 ||
           carrier == KOBOLD_CARRIER_6TO4;
}

static int
take_v6(void *arg, int family, const struct kobold_stretch *s)
{
    struct tree *t = arg;
    (void)family;
    bh_u128 first = (bh_u128)s->first_hi << 64 | s->first_lo;
    bh_u128 last = (bh_u128)s->last_hi << 64 | s->last_lo;
    if (last <= UINT32_MAX) {
        return 0; /* ::/96 is IPv4's */
    }
    first = first <= UINT32_MAX ? (bh_u128)UINT32_MAX + 1 : first;
    uint32_t record = is_carrier_of_ipv4(s) && t->x->v4       ? RECORD_IPV4
                      : kobold_group_has(t->wanted, s->value) ? RECORD_VALUE | s->value
                                                              : RECORD_NONE;
    add_border(t, first, record);
    return t->failed;
}

static void
find_borders(struct tree *t)
{
    if (t->x->v4) {
        kobold_each_stretch(t->x->k, 4, NULL, take_v4, t);
    } else {
        add_border(t, 0, RECORD_NONE);
    }
    if (t->x->v6) {
        kobold_each_stretch(t->x->k, 6, NULL, take_v6, t);
    }
}

/* ---- nodes -------------------------------------------------------------------------------------------------- */

static uint32_t
new_node(struct tree *t)
{
    void *p = t->node;
    if (t->node_count == NODES_MAX ||
        !make_room(&p, t->node_count, &t->node_room, sizeof *t->node)) {
        t->failed = true;
        return 0;
    }
    t->node = p;
    return (uint32_t)t->node_count++;
}

/* The record of a block: what it has, when it has one value; else a node. As deep as an address is long. */
static uint32_t
build(struct tree *t, bh_u128 first, unsigned len)
{
    bh_u128 size_less_1 =
        len == 0 ? ~(bh_u128)0 >> (128 - t->width) : ((bh_u128)1 << (t->width - len)) - 1;
    while (t->at + 1 < t->border_count && t->border[t->at + 1].first <= first) {
        t->at++;
    }
    bool is_one = t->at + 1 == t->border_count || t->border[t->at + 1].first > first + size_less_1;
    uint32_t record;
    if (is_one && len > 0) {
        record = t->border[t->at].record == RECORD_IPV4 ? t->ipv4 : t->border[t->at].record;
    } else {
        record = new_node(t);
        if (t->failed) {
            return RECORD_NONE;
        }
        uint32_t left = build(t, first, len + 1);
        uint32_t right = build(t, first + (size_less_1 >> 1) + 1, len + 1);
        t->node[record][0] = left; /* only now: the nodes may have moved */
        t->node[record][1] = right;
    }
    if (t->width == 128 && len == 96 && first == 0) {
        t->ipv4 = record;
    }
    return record;
}

static void
put_record(uint8_t *to, unsigned size, int side, uint32_t v)
{
    if (size == 28) { /* the middle octet holds the upper four bits of both */
        uint8_t *three = to + (side == 0 ? 0 : 4);
        three[0] = (uint8_t)(v >> 16);
        three[1] = (uint8_t)(v >> 8);
        three[2] = (uint8_t)v;
        to[3] |= (uint8_t)(side == 0 ? v >> 24 << 4 : v >> 24);
        return;
    }
    to += side == 0 ? 0 : size / 8;
    for (unsigned i = 0; i < size / 8; i++) {
        to[i] = (uint8_t)(v >> (size - 8 * (i + 1)));
    }
}

static void
put_tree(const struct tree *t, const uint32_t *offset, unsigned record_size, struct bh_buf *out)
{
    for (size_t i = 0; i < t->node_count; i++) {
        uint8_t node[8] = { 0 };
        for (int side = 0; side < 2; side++) {
            uint32_t r = t->node[i][side];
            uint32_t none = (uint32_t)t->node_count;
            uint32_t v = r == RECORD_NONE          ? none
                         : (r & RECORD_VALUE) == 0 ? r
                                                   : none + SEPARATOR + offset[r & ~RECORD_VALUE];
            put_record(node, record_size, side, v);
        }
        bh_buf_add(out, node, record_size / 4);
    }
}

/* ---- the file -------------------------------------------------------------------------------------------------- */

/* Seconds since 1970 of "2026-06-25": the data's day, so that the same database gives the same file. Without
 * a date 1, as libmaxminddb takes 0 for damage. */
static uint64_t
epoch_of(const char *date)
{
    unsigned y;
    unsigned m;
    unsigned d;
    if (sscanf(date, "%4u-%2u-%2u", &y, &m, &d) != 3 || y < 1970 || m < 1 || m > 12 || d < 1) {
        return 1;
    }
    y -= m <= 2;
    unsigned era = y / 400;
    unsigned yoe = y - era * 400;
    unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    uint64_t days = (uint64_t)era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return days <= 719468 ? 1 : (days - 719468) * 86400;
}

static void
put_metadata(const struct tree *t, unsigned record_size, struct data *d)
{
    struct kobold_meta m;
    char text[200];
    kobold_get_meta(t->x->k, &m);
    put_control(&d->out, TYPE_MAP, 9);
    put_text(d, "binary_format_major_version");
    put_number(&d->out, TYPE_UINT16, 2);
    put_text(d, "binary_format_minor_version");
    put_number(&d->out, TYPE_UINT16, 0);
    put_text(d, "build_epoch");
    put_number(&d->out, TYPE_UINT64, epoch_of(m.date));
    put_text(d, "database_type");
    put_text(d, "Kobold-Country");
    put_text(d, "description");
    put_control(&d->out, TYPE_MAP, 2);
    put_text(d, "en");
    snprintf(text, sizeof text, "Registered countries: %s, %s", m.name, m.date);
    put_text(d, text);
    put_text(d, "ja");
    snprintf(text, sizeof text, "登録国: %s, %s", m.name, m.date);
    put_text(d, text);
    put_text(d, "ip_version");
    put_number(&d->out, TYPE_UINT16, t->width == 32 ? 4 : 6);
    put_text(d, "languages");
    put_control(&d->out, TYPE_ARRAY, 2);
    put_text(d, "en");
    put_text(d, "ja");
    put_text(d, "node_count");
    put_number(&d->out, TYPE_UINT32, t->node_count);
    put_text(d, "record_size");
    put_number(&d->out, TYPE_UINT16, record_size);
}

static int
assemble(struct tree *t, struct bh_buf *out)
{
    static const char marker[] = "\xab\xcd\xefMaxMind.com";
    struct data values = { 0 };
    struct data metadata = { 0 };
    uint32_t *offset = calloc(KOBOLD_VALUES_MAX, sizeof *offset);
    int r = -ENOMEM;
    if (offset != NULL) {
        put_values(t, &values, offset);
        uint64_t highest = (uint64_t)t->node_count + SEPARATOR + values.out.len;
        unsigned record_size = highest < 1U << 24 ? 24 : highest < 1U << 28 ? 28 : 32;
        put_metadata(t, record_size, &metadata);
        put_tree(t, offset, record_size, out);
        static const char zeros[SEPARATOR] = { 0 };
        bh_buf_add(out, zeros, sizeof zeros);
        bh_buf_add(out, values.out.data == NULL ? "" : values.out.data, values.out.len);
        bh_buf_add(out, marker, sizeof marker - 1);
        bh_buf_add(out, metadata.out.data, metadata.out.len);
        r = values.out.failed || metadata.out.failed || out->failed ? -ENOMEM : 0;
    }
    free(offset);
    free(values.texts);
    free(metadata.texts);
    bh_buf_done(&values.out);
    bh_buf_done(&metadata.out);
    return r;
}

static int
write_mmdb(const struct kobold_export *x, struct bh_buf *out, struct bh_error *err)
{
    struct kobold_group wanted;
    struct kobold_group nobody;
    struct tree t = { .x = x, .wanted = &wanted, .width = x->v6 ? 128 : 32, .ipv4 = RECORD_NONE };
    kobold_export_union(x, &wanted);
    if (x->is_everything) {
        memset(wanted.values, 0xff, sizeof wanted.values);
    }
    if (kobold_group_of_word(x->k, "unallocated", &nobody, NULL) == 0) {
        for (size_t i = 0; i < sizeof wanted.values; i++) {
            wanted.values[i] &= (uint8_t)~nobody.values[i];
        }
    }
    find_borders(&t);
    if (!t.failed) {
        build(&t, 0, 0);
    }
    int r = t.failed ? -ENOMEM : assemble(&t, out);
    free(t.border);
    free(t.node);
    return r < 0 ? bh_error_errno(err, ENOMEM, "", "cannot export", "書き出せません") : 0;
}

const struct kobold_exporter kobold_export_mmdb = { "mmdb", write_mmdb };

/* SPDX-License-Identifier: BSD-2-Clause */
/* Records by the names of their fields: members of JSON objects, or columns a header line names. */
#include "import_priv.h"

void
keyed_clear(struct keyed *k)
{
    memset(k->value, 0, sizeof k->value);
}

struct cell
keyed_value(const struct keyed *k, unsigned key)
{
    struct cell c = k->value[key];
    return c.at == NULL ? (struct cell){ "", 0 } : c;
}

int
keyed_find(const struct keyed *k, struct cell name)
{
    for (size_t i = 0; i < k->name_count; i++) {
        const char *word = k->names[i].name;
        if (word[0] == (name.len > 0 ? name.at[0] : '\0') && strlen(word) == name.len &&
            memcmp(word, name.at, name.len) == 0) {
            return k->names[i].key;
        }
    }
    return -1;
}

void
keyed_member(void *keyed, struct cell key, struct cell value, bool is_string)
{
    struct keyed *k = keyed;
    int found = keyed_find(k, key);
    bool is_null = !is_string && value.len == 4 && memcmp(value.at, "null", 4) == 0;
    if (found >= 0 && !is_null) {
        k->value[found] = value;
    }
}

void
keyed_columns(struct keyed *k, const struct cell *names, size_t count)
{
    k->columns = count < CSV_CELLS_MAX ? count : CSV_CELLS_MAX;
    for (size_t i = 0; i < k->columns; i++) {
        int key = keyed_find(k, cell_trim(names[i]));
        k->column[i] = (uint8_t)(key + 1);
    }
}

bool
keyed_has(const struct keyed *k, unsigned key)
{
    for (size_t i = 0; i < k->columns; i++) {
        if (k->column[i] == key + 1) {
            return true;
        }
    }
    return false;
}

void
keyed_row(struct keyed *k, const struct cell *cells, size_t count)
{
    keyed_clear(k);
    size_t n = count < k->columns ? count : k->columns;
    for (size_t i = 0; i < n; i++) {
        if (k->column[i] != 0) {
            k->value[k->column[i] - 1] = cell_trim(cells[i]);
        }
    }
}

/* ---- values that many records have ----------------------------------------------------------------- */

enum reason
keyed_time(struct cell c, bool any_day, struct row *r)
{
    bool is_zoneless;
    switch (cell_time(c, &r->ts_ns, &is_zoneless)) {
    case TIME_OK:
        r->bits |= is_zoneless ? ROW_ZONELESS : 0;
        return !any_day && r->ts_ns < INT64_C(86400000000000) ? REASON_TIME_UNSET : REASON_NONE;
    case TIME_NONE:
        return REASON_NO_TIME;
    case TIME_UNSET:
        return REASON_TIME_UNSET;
    default:
        return REASON_TIME_BAD;
    }
}

enum reason
keyed_addresses(struct cell src_cell, struct cell dst_cell, struct item *x)
{
    struct bh_ip src, dst;
    if (src_cell.len == 0) {
        return REASON_NO_SRC;
    }
    if (dst_cell.len == 0) {
        return REASON_NO_DST;
    }
    if (!cell_address(src_cell, &src)) {
        return REASON_SRC_BAD;
    }
    if (!cell_address(dst_cell, &dst)) {
        return REASON_DST_BAD;
    }
    if (src.family != dst.family) {
        return REASON_FAMILIES;
    }
    if (src.family == 4) {
        x->row.kind = BH_KIND_IP4;
        x->row.src = bh_get_be32(src.octets);
        x->row.dst = bh_get_be32(dst.octets);
    } else {
        x->row.kind = BH_KIND_IP6;
        x->pair = (struct bh_ip6_pair){ bh_get_be64(src.octets), bh_get_be64(src.octets + 8),
                                        bh_get_be64(dst.octets), bh_get_be64(dst.octets + 8) };
    }
    return REASON_NONE;
}

enum reason
keyed_proto(struct cell c, struct row *r)
{
    if (c.len == 0) {
        return REASON_NO_PROTO;
    }
    int proto = cell_same(c, "icmp6") ? BH_PROTO_ICMP6 : cell_proto(c);
    if (proto < 0) {
        return REASON_PROTO_BAD;
    }
    r->proto = proto == BH_PROTO_ICMP && r->kind == BH_KIND_IP6 ? BH_PROTO_ICMP6 : (uint8_t)proto;
    return REASON_NONE;
}

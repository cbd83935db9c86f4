/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_export.c - address space as lists and packet filters' sets. Each form is one writer; the
 * list of them is at the end. The MaxMind format has a file of its own (kobold_export_mmdb.c).
 */
#include "kobold_export.h"

const struct kobold_exporter *const kobold_exporters[] = {
    &kobold_export_nft, &kobold_export_ipset, &kobold_export_pf,      &kobold_export_cidr,
    &kobold_export_csv, &kobold_export_mmdb,  &kobold_export_geofeed,
};
const size_t kobold_exporters_count = BH_COUNT(kobold_exporters);

/* ---- shared -------------------------------------------------------------------------------------------- */

void
kobold_export_set_name(const struct kobold_group *g, int family, char ret[32])
{
    size_t n = (size_t)snprintf(ret, 32, "%s", g->is_named ? "" : "cc_");
    for (const char *c = g->name; *c != '\0' && n < 26; c++) {
        bool is_capital = *c >= 'A' && *c <= 'Z';
        bool is_word = is_capital || (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9');
        char low = is_capital && !g->is_named ? (char)(*c | 0x20) : *c;
        ret[n++] = is_word ? low : '_';
    }
    snprintf(ret + n, 32 - n, "_v%d", family);
}

void
kobold_export_heading(const struct kobold_export *x, const char *comment, struct bh_buf *out)
{
    struct kobold_meta m;
    kobold_get_meta(x->k, &m);
    bh_buf_printf(out, "%s kobold %s: registered countries, ", comment, BH_VERSION);
    bh_buf_put_safe(out, m.name, strlen(m.name));
    bh_buf_printf(out, ", %s", m.date);
    if (m.licence[0] != '\0') {
        bh_buf_puts(out, ", ");
        bh_buf_put_safe(out, m.licence, strlen(m.licence));
    }
    bh_buf_putc(out, '\n');
}

void
kobold_export_union(const struct kobold_export *x, struct kobold_group *ret)
{
    *ret = (struct kobold_group){ .name = "" };
    for (size_t i = 0; i < x->group_count; i++) {
        kobold_group_join(ret, &x->groups[i]);
    }
}

static bool
is_wanted(const struct kobold_export *x, int family)
{
    return family == 4 ? x->v4 : x->v6;
}

static int
result(const struct bh_buf *out, struct bh_error *err)
{
    return out->failed ? bh_error_errno(err, 12 /* ENOMEM */, "", "cannot export", "書き出せません")
                       : 0;
}

struct line_style {
    struct bh_buf *out;
    const char *before, *after;
    bool is_zero_split; /* hash:net of ipset takes no /0 */
    uint64_t count;
};

static void
put_network(struct line_style *s, int family, const struct kobold_network *n)
{
    char text[KOBOLD_NETWORK_TEXT_MAX];
    kobold_network_format(family, n, text);
    bh_buf_puts(s->out, s->before);
    bh_buf_puts(s->out, text);
    bh_buf_puts(s->out, s->after);
    s->count++;
}

static int
put_line(void *arg, int family, const struct kobold_network *n, uint16_t value)
{
    struct line_style *s = arg;
    (void)value;
    if (n->len == 0 && s->is_zero_split) {
        struct kobold_network half = { 0, 0, 1 };
        put_network(s, family, &half);
        half.hi = family == 6 ? 1ULL << 63 : 0;
        half.lo = family == 4 ? 1ULL << 31 : 0;
        put_network(s, family, &half);
    } else {
        put_network(s, family, n);
    }
    return 0;
}

/* ---- a list of prefixes ---------------------------------------------------------------------------------- */

static int
write_cidr(const struct kobold_export *x, struct bh_buf *out, struct bh_error *err)
{
    struct kobold_group all;
    struct line_style s = { out, "", "\n", false, 0 };
    kobold_export_union(x, &all);
    for (int family = 4; family <= 6; family += 2) {
        if (is_wanted(x, family)) {
            kobold_each_network(x->k, family, &all, put_line, &s);
        }
    }
    return result(out, err);
}

/* ---- nftables ------------------------------------------------------------------------------------------------ */

/* Each set is made if it is not there, emptied and filled: nft loads a file as one transaction, so rules
 * that use the sets see the old or the new addresses, and loading twice is no error. */
static int
write_nft(const struct kobold_export *x, struct bh_buf *out, struct bh_error *err)
{
    kobold_export_heading(x, "#", out);
    bh_buf_printf(out, "add table inet %s\n", x->table);
    for (size_t i = 0; i < x->group_count; i++) {
        for (int family = 4; family <= 6; family += 2) {
            char name[32];
            if (!is_wanted(x, family)) {
                continue;
            }
            kobold_export_set_name(&x->groups[i], family, name);
            bh_buf_printf(out, "add set inet %s %s { type ipv%d_addr; flags interval; }\n",
                          x->table, name, family);
            bh_buf_printf(out, "flush set inet %s %s\n", x->table, name);
            struct bh_buf elements = { 0 };
            struct line_style s = { &elements, "\t", ",\n", false, 0 };
            kobold_each_network(x->k, family, &x->groups[i], put_line, &s);
            if (s.count > 0) {
                bh_buf_printf(out, "add element inet %s %s {\n", x->table, name);
                bh_buf_add(out, elements.data, elements.len);
                bh_buf_puts(out, "}\n");
            }
            out->failed |= elements.failed;
            bh_buf_done(&elements);
        }
    }
    return result(out, err);
}

/* ---- ipset --------------------------------------------------------------------------------------------------- */

/* The new addresses go into a set beside the old one, then the two change places at once; so the set may
 * also have become larger than its maxelem once allowed. */
static int
write_ipset(const struct kobold_export *x, struct bh_buf *out, struct bh_error *err)
{
    kobold_export_heading(x, "#", out);
    for (size_t i = 0; i < x->group_count; i++) {
        for (int family = 4; family <= 6; family += 2) {
            char name[32];
            char prefix[48];
            if (!is_wanted(x, family)) {
                continue;
            }
            kobold_export_set_name(&x->groups[i], family, name);
            snprintf(prefix, sizeof prefix, "add %s_n ", name);
            struct bh_buf elements = { 0 };
            struct line_style s = { &elements, prefix, "\n", true, 0 };
            kobold_each_network(x->k, family, &x->groups[i], put_line, &s);
            const char *inet = family == 4 ? "inet" : "inet6";
            uint64_t most = s.count < 65536 ? 65536 : s.count;
            bh_buf_printf(out, "create %s hash:net family %s maxelem %llu -exist\n", name, inet,
                          (unsigned long long)most);
            bh_buf_printf(out, "create %s_n hash:net family %s maxelem %llu -exist\n", name, inet,
                          (unsigned long long)most);
            bh_buf_printf(out, "flush %s_n\n", name);
            bh_buf_add(out, elements.data == NULL ? "" : elements.data, elements.len);
            bh_buf_printf(out, "swap %s_n %s\ndestroy %s_n\n", name, name, name);
            out->failed |= elements.failed;
            bh_buf_done(&elements);
        }
    }
    return result(out, err);
}

/* ---- pf ------------------------------------------------------------------------------------------------------- */

/* A table holds both families. No commas: pf.conf takes a list without, and then line ends are free. */
static int
write_pf(const struct kobold_export *x, struct bh_buf *out, struct bh_error *err)
{
    kobold_export_heading(x, "#", out);
    for (size_t i = 0; i < x->group_count; i++) {
        char name[32];
        struct line_style s = { out, "\t", "\n", false, 0 };
        kobold_export_set_name(&x->groups[i], 4, name);
        name[strlen(name) - 3] = '\0';
        bh_buf_printf(out, "table <%s> persist {\n", name);
        for (int family = 4; family <= 6; family += 2) {
            if (is_wanted(x, family)) {
                kobold_each_network(x->k, family, &x->groups[i], put_line, &s);
            }
        }
        bh_buf_puts(out, "}\n");
    }
    return result(out, err);
}

/* ---- tables --------------------------------------------------------------------------------------------------- */

struct table {
    const kobold *k;
    const struct kobold_group *wanted;
    struct bh_buf *out;
};

static int
put_range(void *arg, int family, const struct kobold_stretch *s)
{
    const struct table *t = arg;
    char text[BH_IP_TEXT_MAX];
    char label[48];
    if (!kobold_group_has(t->wanted, s->value)) {
        return 0;
    }
    kobold_value_label(t->k, s->value, label);
    kobold_half_format(family, s->first_hi, s->first_lo, text);
    bh_buf_puts(t->out, text);
    kobold_half_format(family, s->last_hi, s->last_lo, text);
    bh_buf_printf(t->out, ",%s,%s\n", text, label);
    return 0;
}

static int
write_csv(const struct kobold_export *x, struct bh_buf *out, struct bh_error *err)
{
    struct kobold_group all;
    struct table t = { x->k, &all, out };
    kobold_export_union(x, &all);
    bh_buf_puts(out, "start,end,country\n");
    for (int family = 4; family <= 6; family += 2) {
        if (is_wanted(x, family)) {
            kobold_each_stretch(x->k, family, NULL, put_range, &t);
        }
    }
    return result(out, err);
}

static int
put_feed_line(void *arg, int family, const struct kobold_network *n, uint16_t value)
{
    const struct table *t = arg;
    char text[KOBOLD_NETWORK_TEXT_MAX];
    char label[48];
    kobold_value_label(t->k, value, label);
    kobold_network_format(family, n, text);
    bh_buf_printf(t->out, "%s,%s,,,\n", text, label);
    return 0;
}

static int
put_feed(void *arg, int family, const struct kobold_stretch *s)
{
    const struct table *t = arg;
    struct kobold_value v;
    /* RFC 8805 2.1.1.2 wants a code of ISO 3166-1; a region is none, and an empty one would ask others not
     * to locate the network. */
    bool is_country = kobold_value_info(t->k, s->value, &v) && v.kind == KOBOLD_COUNTRY;
    if (is_country && kobold_group_has(t->wanted, s->value)) {
        return kobold_networks_of(family, s, put_feed_line, arg);
    }
    return 0;
}

static int
write_geofeed(const struct kobold_export *x, struct bh_buf *out, struct bh_error *err)
{
    struct kobold_group all;
    struct table t = { x->k, &all, out };
    kobold_export_union(x, &all);
    kobold_export_heading(x, "#", out);
    bh_buf_puts(out, "# prefix,alpha2code,region,city,postal (RFC 8805); countries only\n");
    for (int family = 4; family <= 6; family += 2) {
        if (is_wanted(x, family)) {
            kobold_each_stretch(x->k, family, NULL, put_feed, &t);
        }
    }
    return result(out, err);
}

const struct kobold_exporter kobold_export_nft = { "nft", write_nft };
const struct kobold_exporter kobold_export_ipset = { "ipset", write_ipset };
const struct kobold_exporter kobold_export_pf = { "pf", write_pf };
const struct kobold_exporter kobold_export_cidr = { "cidr", write_cidr };
const struct kobold_exporter kobold_export_csv = { "csv", write_csv };
const struct kobold_exporter kobold_export_geofeed = { "geofeed", write_geofeed };

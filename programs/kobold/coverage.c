/* SPDX-License-Identifier: BSD-2-Clause */
#include "coverage.h"

#define PLACES_SHOWN 20U
#define COUNTRIES_SHOWN 10U

/* ---- text ------------------------------------------------------------------------------------- */

/* 1,234,567 */
static const char *
number(char *buf, size_t size, uint64_t n)
{
    char digits[24];
    size_t len = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    size_t at = 0;
    for (size_t i = 0; i < len && at + 2 < size; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            buf[at++] = ',';
        }
        buf[at++] = digits[i];
    }
    buf[at] = '\0';
    return buf;
}

/* Right-justified in `width` columns, two blanks before. */
static void
put_number(struct bh_buf *out, uint64_t n, int width)
{
    char buf[40];
    bh_buf_printf(out, "  %*s", width, number(buf, sizeof buf, n));
}

static void
put_label(struct bh_buf *out, const char *text, size_t width)
{
    size_t n = bh_text_width(text);
    bh_buf_puts(out, "  ");
    bh_buf_put_safe(out, text, strlen(text));
    bh_buf_printf(out, "%*s", n < width ? (int)(width - n) : 0, "");
}

/* A heading over columns that are `widths` wide. */
static void
put_heads(struct bh_buf *out, size_t first, const char *const *heads, const int *widths, size_t n)
{
    bh_buf_printf(out, "  %*s", (int)first, "");
    for (size_t i = 0; i < n; i++) {
        int pad = widths[i] - (int)bh_text_width(heads[i]);
        bh_buf_printf(out, "  %*s%s", pad > 0 ? pad : 0, "", heads[i]);
    }
    bh_buf_putc(out, '\n');
}

static const int share_widths[] = { 14, 14, 26, 14 };

static void
put_share(struct bh_buf *out, const char *label, size_t width, const struct kobold_share *s)
{
    put_label(out, label, width);
    put_number(out, s->v4, share_widths[0]);
    put_number(out, s->v4_prefixes, share_widths[1]);
    put_number(out, s->v6, share_widths[2]);
    put_number(out, s->v6_prefixes, share_widths[3]);
    bh_buf_putc(out, '\n');
}

static const char *
short_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* As wide as the widest name, within reason. */
static size_t
name_width(const struct kobold_report *r)
{
    size_t width = 24;
    for (size_t i = 0; i < r->input_count; i++) {
        size_t n = bh_text_width(short_name(r->inputs[i].name));
        width = n > width && n <= 48 ? n : width;
    }
    return width;
}

static void
put_coverage(const struct cc_program *p, const struct kobold_report *r, struct bh_buf *out)
{
    static const char *const heads[BH_LANGS][4] = {
        { "IPv4 addresses", "prefixes", "IPv6 /64s", "prefixes" },
        { "IPv4アドレス", "プレフィックス", "IPv6の/64", "プレフィックス" },
    };
    static const char *const kinds[BH_LANGS][5] = {
        { "countries", "special use", "unallocated", "regions (EU, AP)", "unknown (ZZ)" },
        { "国", "特殊用途", "未割り当て", "地域 (EU, AP)", "不明 (ZZ)" },
    };
    static const unsigned order[] = { KOBOLD_COUNTRY, KOBOLD_REGION, KOBOLD_UNKNOWN,
                                      KOBOLD_UNALLOCATED, KOBOLD_SPECIAL };
    bool is_ja = p->lang == BH_JA;
    size_t width = name_width(r);
    bh_buf_puts(out, is_ja ? "結果の範囲\n" : "Coverage of the result\n");
    put_heads(out, width, heads[p->lang], share_widths, 4);
    for (size_t i = 0; i < BH_COUNT(order); i++) {
        put_share(out, kinds[p->lang][order[i]], width, &r->kinds[order[i]]);
    }
    for (size_t i = 0; i < r->place_count && i < PLACES_SHOWN; i++) {
        char label[96];
        const char *name = kobold_country_name(r->places[i].code, (int)p->lang);
        snprintf(label, sizeof label, "  %s %.40s", r->places[i].code, name == NULL ? "" : name);
        bh_text_trim(label);
        put_share(out, label, width, &r->places[i].share);
    }
    if (r->place_count > PLACES_SHOWN) {
        bh_buf_printf(out, is_ja ? "    ほか %zu\n" : "    and %zu more\n",
                      r->place_count - PLACES_SHOWN);
    }
    bh_buf_puts(out, is_ja ? "\n入力の範囲\n" : "\nCoverage of the inputs\n");
    put_heads(out, width, heads[p->lang], share_widths, 4);
    for (size_t i = 0; i < r->input_count; i++) {
        put_share(out, short_name(r->inputs[i].name), width, &r->inputs[i].listed);
    }
}

static void
put_conflicts(const struct cc_program *p, const kobold_build *b, struct bh_buf *out)
{
    struct kobold_conflict x;
    char v4[40];
    char v6[40];
    bool is_ja = p->lang == BH_JA;
    bh_buf_puts(out, is_ja ? "\n食い違い\n" : "\nConflicts\n");
    for (size_t i = 0; kobold_build_conflict(b, i, &x); i++) {
        struct bh_buf line = { 0 };
        bh_buf_printf(&line,
                      is_ja ? "%s を %s より優先: IPv4アドレス %s、IPv6の/64 %s"
                            : "%s wins over %s: %s IPv4 addresses, %s /64s of IPv6",
                      short_name(x.winner), short_name(x.loser),
                      number(v4, sizeof v4, x.v4_addresses), number(v6, sizeof v6, x.v6_subnets));
        put_label(out, line.data == NULL ? "" : line.data, 0);
        bh_buf_putc(out, '\n');
        bh_buf_done(&line);
    }
    if (!kobold_build_conflict(b, 0, &x)) {
        bh_buf_puts(out, is_ja ? "  なし\n" : "  none\n");
    }
}

static const int cell_widths[2][4] = { { 13, 13, 13, 13 }, { 26, 26, 26, 26 } };

static void
put_cells(struct bh_buf *out, const char *label, const struct kobold_agreement *a, bool is_v6)
{
    const struct kobold_share *shares[] = { &a->agree, &a->differ_a, &a->only_a, &a->only_b };
    put_label(out, label, 8);
    for (size_t i = 0; i < BH_COUNT(shares); i++) {
        uint64_t n = is_v6 ? shares[i]->v6 : shares[i]->v4;
        if (i == 1) {
            n += is_v6 ? a->differ_b.v6 : a->differ_b.v4;
        }
        put_number(out, n, cell_widths[is_v6][i]);
    }
    bh_buf_putc(out, '\n');
}

static void
put_pair(const struct cc_program *p, const struct kobold_report *r,
         const struct kobold_report_pair *x, struct bh_buf *out)
{
    static const char *const heads[BH_LANGS][4] = {
        { "agree", "differ", "only the 1st", "only the 2nd" },
        { "一致", "相違", "前者のみ", "後者のみ" },
    };
    bool is_ja = p->lang == BH_JA;
    struct bh_buf title = { 0 };
    bh_buf_printf(&title, is_ja ? "%s と %s" : "%s and %s", short_name(r->inputs[x->a].name),
                  short_name(r->inputs[x->b].name));
    bh_buf_putc(out, '\n');
    bh_buf_put_safe(out, title.data, title.len);
    bh_buf_putc(out, '\n');
    bh_buf_done(&title);
    for (int is_v6 = 0; is_v6 < 2; is_v6++) {
        const struct kobold_agreement *a = &x->all;
        uint64_t both = is_v6 ? a->agree.v6 + a->differ_a.v6 : a->agree.v4 + a->differ_a.v4;
        if (both == 0) {
            continue; /* nothing that both are about */
        }
        bh_buf_puts(out, is_v6 ? (is_ja ? "  IPv6の/64\n" : "  /64s of IPv6\n")
                               : (is_ja ? "  IPv4アドレス\n" : "  IPv4 addresses\n"));
        put_heads(out, 8, heads[p->lang], cell_widths[is_v6], 4);
        put_cells(out, is_ja ? "全体" : "all", a, is_v6 == 1);
        size_t shown = 0;
        for (size_t i = 0; i < x->country_count && shown < COUNTRIES_SHOWN; i++) {
            const struct kobold_agreement *c = &x->countries[i];
            uint64_t differ =
                is_v6 ? c->differ_a.v6 + c->differ_b.v6 : c->differ_a.v4 + c->differ_b.v4;
            if (differ > 0) {
                put_cells(out, c->code, c, is_v6 == 1);
                shown++;
            }
        }
        bh_buf_printf(
            out, is_ja ? "  共通の部分のうち一致 %.2f %%\n" : "  %.2f %% of what both list agree\n",
            100.0 * (double)(is_v6 ? a->agree.v6 : a->agree.v4) / (double)both);
    }
}

void
coverage_text(const struct cc_program *p, const kobold_build *b, const struct kobold_report *r,
              struct bh_buf *out)
{
    put_coverage(p, r, out);
    put_conflicts(p, b, out);
    bh_buf_puts(out, p->lang == BH_JA
                         ? "\n入力同士の一致 (特殊用途のアドレスを除く。国は相違の多い順)\n"
                         : "\nAgreement of the inputs (special use left out; countries "
                           "by how much differs)\n");
    size_t told = 0;
    for (size_t i = 0; i < r->pair_count; i++) {
        const struct kobold_agreement *a = &r->pairs[i].all;
        if (a->agree.v4 + a->differ_a.v4 + a->agree.v6 + a->differ_a.v6 > 0) {
            put_pair(p, r, &r->pairs[i], out);
            told++;
        }
    }
    if (told == 0) {
        bh_buf_puts(out, p->lang == BH_JA ? "  同じアドレスについての入力は2つ以上ない\n"
                                          : "  no two inputs are about the same addresses\n");
    }
}

/* ---- JSON --------------------------------------------------------------------------------------- */

static void
put_share_json(struct bh_buf *out, const struct kobold_share *s, bool has_prefixes)
{
    bh_buf_printf(out, "{\"ipv4\":%llu,\"ipv6_64s\":%llu", (unsigned long long)s->v4,
                  (unsigned long long)s->v6);
    if (has_prefixes) {
        bh_buf_printf(out, ",\"ipv4_prefixes\":%llu,\"ipv6_prefixes\":%llu",
                      (unsigned long long)s->v4_prefixes, (unsigned long long)s->v6_prefixes);
    }
    bh_buf_putc(out, '}');
}

static void
put_agreement_json(struct bh_buf *out, const struct kobold_agreement *a, bool is_all)
{
    const struct {
        const char *key;
        const struct kobold_share *share;
    } parts[] = { { "agree", &a->agree },
                  { is_all ? "differ" : "differ_first", &a->differ_a },
                  { "differ_second", &a->differ_b },
                  { "only_first", &a->only_a },
                  { "only_second", &a->only_b } };
    for (size_t i = 0; i < BH_COUNT(parts); i++) {
        if (is_all && i == 2) {
            continue;
        }
        bh_buf_printf(out, "%s\"%s\":", i > 0 ? "," : "", parts[i].key);
        put_share_json(out, parts[i].share, false);
    }
}

static void
put_inputs_json(const struct kobold_report *r, struct bh_buf *out)
{
    bh_buf_puts(out, ",\"inputs\":[");
    for (size_t i = 0; i < r->input_count; i++) {
        const struct kobold_report_input *in = &r->inputs[i];
        bh_buf_puts(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        bh_buf_put_json(out, in->name, strlen(in->name));
        bh_buf_printf(
            out,
            ",\"layer\":\"%s\",\"format\":\"%s\",\"broken\":%llu,\"without_country\":%llu,"
            "\"unknown_codes\":%llu,\"twice\":%llu,\"listed\":",
            kobold_layer_name((int)in->layer), kobold_format_name(in->format),
            (unsigned long long)in->broken, (unsigned long long)in->unused,
            (unsigned long long)in->unknown_codes, (unsigned long long)in->twice);
        put_share_json(out, &in->listed, true);
        bh_buf_putc(out, '}');
    }
    bh_buf_putc(out, ']');
}

static void
put_conflicts_json(const kobold_build *b, struct bh_buf *out)
{
    struct kobold_conflict x;
    bh_buf_puts(out, ",\"conflicts\":[");
    for (size_t i = 0; kobold_build_conflict(b, i, &x); i++) {
        bh_buf_puts(out, i > 0 ? ",{\"winner\":" : "{\"winner\":");
        bh_buf_put_json(out, x.winner, strlen(x.winner));
        bh_buf_puts(out, ",\"loser\":");
        bh_buf_put_json(out, x.loser, strlen(x.loser));
        bh_buf_printf(out, ",\"ipv4\":%llu,\"ipv6_64s\":%llu}", (unsigned long long)x.v4_addresses,
                      (unsigned long long)x.v6_subnets);
    }
    bh_buf_putc(out, ']');
}

static void
put_pairs_json(const struct kobold_report *r, struct bh_buf *out)
{
    bh_buf_puts(out, ",\"agreement\":[");
    for (size_t i = 0; i < r->pair_count; i++) {
        const struct kobold_report_pair *x = &r->pairs[i];
        bh_buf_printf(out, "%s{\"first\":%zu,\"second\":%zu,", i > 0 ? "," : "", x->a, x->b);
        put_agreement_json(out, &x->all, true);
        bh_buf_puts(out, ",\"countries\":[");
        for (size_t c = 0; c < x->country_count; c++) {
            bh_buf_printf(out, "%s{\"code\":\"%s\",", c > 0 ? "," : "", x->countries[c].code);
            put_agreement_json(out, &x->countries[c], false);
            bh_buf_putc(out, '}');
        }
        bh_buf_puts(out, "]}");
    }
    bh_buf_putc(out, ']');
}

void
coverage_json(const kobold_build *b, const struct kobold_report *r, struct bh_buf *out)
{
    static const char *const keys[] = { "country", "special", "unallocated", "region", "unknown" };
    bh_buf_puts(out, "{\"schema\":\"kobold.coverage/1\",\"result\":{");
    for (size_t i = 0; i < BH_COUNT(keys); i++) {
        bh_buf_printf(out, "%s\"%s\":", i > 0 ? "," : "", keys[i]);
        put_share_json(out, &r->kinds[i], true);
    }
    bh_buf_puts(out, "},\"countries\":[");
    for (size_t i = 0; i < r->place_count; i++) {
        bh_buf_printf(out, "%s{\"code\":\"%s\",\"listed\":", i > 0 ? "," : "", r->places[i].code);
        put_share_json(out, &r->places[i].share, true);
        bh_buf_putc(out, '}');
    }
    bh_buf_putc(out, ']');
    put_inputs_json(r, out);
    put_conflicts_json(b, out);
    put_pairs_json(r, out);
    bh_buf_puts(out, "}\n");
}

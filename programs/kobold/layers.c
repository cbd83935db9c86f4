/* SPDX-License-Identifier: BSD-2-Clause */
#include "layers.h"

/* "name:" and blanks up to the column of values, as "kobold info" has them. */
static void
put_key(struct bh_buf *out, const char *word)
{
    bh_buf_printf(out, "%s:%*s", word, (int)(12 - bh_text_width(word)), "");
}

static void
put_as(const struct cc_program *p, const struct kobold_as_meta *as, struct bh_buf *out)
{
    const char *parts[] = { as->name[0] != '\0' ? as->name : as->source, as->date, as->licence };
    bool is_ja = p->lang == BH_JA;
    put_key(out, "AS");
    for (size_t i = 0; i < BH_COUNT(parts); i++) {
        if (parts[i][0] != '\0') {
            bh_buf_put_safe(out, parts[i], strlen(parts[i]));
            bh_buf_puts(out, is_ja ? "、" : ", ");
        }
    }
    bh_buf_printf(out,
                  is_ja ? "自律システム %u、範囲 IPv4 %u、IPv6 %u\n"
                        : "%u systems, ranges IPv4 %u, IPv6 %u\n",
                  as->systems, as->v4_runs, as->v6_runs);
}

void
layers_text(const struct cc_program *p, const kobold *k, struct bh_buf *out)
{
    static const char *const layers[BH_LANGS][4] = {
        { "data", "geofeed", "override", "second opinion" },
        { "国データ", "geofeed", "利用者の訂正", "第二の意見" },
    };
    struct kobold_as_meta as;
    struct kobold_input_info in;
    bool is_ja = p->lang == BH_JA;
    if (kobold_as_meta(k, &as)) {
        put_as(p, &as, out);
    }
    for (unsigned i = 0; kobold_input_info(k, i, &in); i++) {
        put_key(out, is_ja ? "入力" : "input");
        bh_buf_put_safe(out, in.name, strlen(in.name));
        bh_buf_printf(out,
                      is_ja ? " (%s、%s%s%s、区間 IPv4 %u、IPv6 %u)\n"
                            : " (%s, %s%s%s, runs IPv4 %u, IPv6 %u)\n",
                      in.layer < 4 ? layers[p->lang][in.layer] : "?", in.format,
                      in.date[0] == '\0' ? ""
                      : is_ja            ? "、"
                                         : ", ",
                      in.date, in.v4_runs, in.v6_runs);
    }
}

void
layers_json(const kobold *k, struct bh_buf *out)
{
    struct kobold_as_meta as;
    struct kobold_input_info in;
    bh_buf_puts(out, ",\"as\":");
    if (kobold_as_meta(k, &as)) {
        bh_buf_printf(out, "{\"systems\":%u,\"v4_runs\":%u,\"v6_runs\":%u", as.systems, as.v4_runs,
                      as.v6_runs);
        cc_put_json_text(out, "name", as.name);
        cc_put_json_text(out, "date", as.date);
        cc_put_json_text(out, "licence", as.licence);
        cc_put_json_text(out, "source", as.source);
        bh_buf_putc(out, '}');
    } else {
        bh_buf_puts(out, "null");
    }
    bh_buf_puts(out, ",\"inputs\":[");
    for (unsigned i = 0; kobold_input_info(k, i, &in); i++) {
        bh_buf_puts(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        bh_buf_put_json(out, in.name, strlen(in.name));
        cc_put_json_text(out, "layer", kobold_layer_name(in.layer));
        cc_put_json_text(out, "format", in.format);
        cc_put_json_text(out, "date", in.date);
        cc_put_json_text(out, "licence", in.licence);
        bh_buf_printf(out, ",\"v4_runs\":%u,\"v6_runs\":%u}", in.v4_runs, in.v6_runs);
    }
    bh_buf_putc(out, ']');
}

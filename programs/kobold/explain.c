/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.c - kobold explain: why an address has its country. Which rule applies, which line of
 * which input decided, what that line overrode, and what a second opinion says.
 */
#include "cc_common.h"
#include "verbs.h"

#include <stdlib.h>

struct explain {
    const struct cc_program *p;
    const kobold *k;
    struct kobold_meta meta;
    struct kobold_opinion *opinions; /* room for one of each input */
    struct bh_buf out;
    bool is_outside; /* IPv6 that is not of 2000::/3 */
};

/* ---- words ------------------------------------------------------------------------------------- */

static const char *
layer_word(const struct explain *x, int layer)
{
    static const char *const words[BH_LANGS][4] = {
        { "data", "geofeed", "override", "second opinion" },
        { "国データ", "geofeed", "利用者の訂正", "第二の意見" },
    };
    return layer >= 0 && layer < 4 ? words[x->p->lang][layer] : "";
}

static const char *
status_word(const struct explain *x, int status)
{
    static const char *const words[] = { "",     "割り振り済み", "割り当て済み", "未割り振り",
                                         "予約", "IANAから委任", "レガシー" };
    return x->p->lang == BH_JA && status >= 0 && status < (int)BH_COUNT(words)
               ? words[status]
               : kobold_status_name(status);
}

/* "US (United States)", "unallocated", "unknown". */
static void
put_meaning(struct explain *x, uint16_t value)
{
    struct cc_answer a;
    cc_describe(x->p, x->k, (struct kobold_result){ .value = value }, &a);
    if (a.value.code[0] == '\0') {
        bh_buf_puts(&x->out, a.name);
    } else {
        bh_buf_printf(&x->out, "%s (%s)", a.value.code, a.name);
    }
}

static void
put_date(struct bh_buf *out, uint32_t date)
{
    bh_buf_printf(out, "%04u-%02u-%02u", date / 10000, date / 100 % 100, date % 100);
}

/* ---- text ---------------------------------------------------------------------------------------- */

/* What the answer is, by which rule. */
static void
put_answer(struct explain *x, const struct cc_answer *a)
{
    const struct kobold_value *v = &a->value;
    struct bh_buf *out = &x->out;
    bool is_ja = x->p->lang == BH_JA;
    if (a->embedded[0] != '\0') {
        bh_buf_printf(out,
                      is_ja ? "  IPv4アドレス %s を含む（%s）ので、それについて答える\n"
                            : "  carries the IPv4 address %s (%s), which is looked up instead\n",
                      a->embedded, kobold_carrier_name(a->result.carrier));
    }
    if (v->kind == KOBOLD_SPECIAL) {
        bh_buf_printf(out,
                      is_ja ? "  特殊用途: %s (%s, %s)。国はない。インターネットから%s\n"
                            : "  special use: %s (%s, %s); no country; %s\n",
                      a->name, v->class_name, v->rfc,
                      v->globally_reachable ? (is_ja ? "到達できる" : "globally reachable")
                                            : (is_ja ? "到達できない" : "not globally reachable"));
        return;
    }
    if (x->is_outside && v->kind == KOBOLD_UNALLOCATED) {
        bh_buf_puts(out, is_ja
                             ? "  2000::/3 の外。IANA はまだ割り当てに使っていない（未割り当て）\n"
                             : "  outside of 2000::/3: IANA has given nothing out of it "
                               "(unallocated)\n");
        return;
    }
    bh_buf_printf(out, is_ja ? "  国データ「" : "  country data \"");
    bh_buf_put_safe(out, x->meta.name, strlen(x->meta.name));
    bh_buf_printf(out, is_ja ? "」(%s): " : "\" of %s: ", x->meta.date);
    switch (v->kind) {
    case KOBOLD_UNALLOCATED:
        bh_buf_puts(out, is_ja ? "記載がない（未割り当て）\n" : "no entry (unallocated)\n");
        break;
    case KOBOLD_UNKNOWN:
        bh_buf_puts(out, is_ja ? "国は不明 (ZZ)\n" : "country unknown (ZZ)\n");
        break;
    case KOBOLD_REGION:
        bh_buf_printf(out, is_ja ? "国ではなく地域 %s (%s)\n" : "a region, no country: %s (%s)\n",
                      v->code, a->name);
        break;
    default:
        bh_buf_printf(out, is_ja ? "登録国は %s (%s)\n" : "registered in %s (%s)\n", v->code,
                      a->name);
        break;
    }
}

/* "decided by: geoip line 1234 (data): US (United States); arin, allocated, 2001-02-03" */
static void
put_opinion(struct explain *x, const struct kobold_opinion *o, bool is_special)
{
    static const char *const heads[BH_LANGS][4] = {
        { "decided by", "overridden", "also listed in", "second opinion" },
        { "決め手", "採らなかったもの", "記載あり", "第二の意見" },
    };
    struct bh_buf *out = &x->out;
    struct kobold_input_info input;
    bool is_ja = x->p->lang == BH_JA;
    bool is_listed_only = o->value == KOBOLD_VALUE_UNALLOCATED && !is_special;
    int head = o->layer == KOBOLD_LAYER_SECOND ? 3 : o->has_decided ? 0 : is_listed_only ? 2 : 1;
    bh_buf_printf(out, "  %s: ", heads[x->p->lang][head]);
    if (kobold_input_info(x->k, o->input, &input)) {
        bh_buf_put_safe(out, input.name, strlen(input.name));
    }
    if (o->line > 0) {
        bh_buf_printf(out, is_ja ? " %u行目" : " line %u", o->line);
    }
    if (head != 3) {
        bh_buf_printf(out, is_ja ? "（%s）" : " (%s)", layer_word(x, o->layer));
    }
    bh_buf_puts(out, ": ");
    if (head == 2) {
        bh_buf_puts(out, is_ja ? "国なし" : "no country");
    } else {
        put_meaning(x, o->value);
    }
    if (o->registry != 0) {
        bh_buf_printf(out, is_ja ? "、%s" : ", %s", kobold_registry_name(o->registry));
    }
    if (o->status != 0) {
        bh_buf_printf(out, is_ja ? "、%s" : ", %s", status_word(x, o->status));
    }
    if (o->date != 0) {
        bh_buf_puts(out, is_ja ? "、" : ", ");
        put_date(out, o->date);
    }
    bh_buf_putc(out, '\n');
}

static void
put_as(struct explain *x, uint32_t number)
{
    char name[256];
    if (number == 0) {
        return;
    }
    bh_buf_printf(&x->out,
                  x->p->lang == BH_JA ? "  経路を広告する AS: AS%u" : "  announced by: AS%u",
                  number);
    if (kobold_as_name(x->k, number, name, sizeof name)) {
        bh_buf_putc(&x->out, ' ');
        bh_buf_put_safe(&x->out, name, strlen(name));
    }
    bh_buf_putc(&x->out, '\n');
}

static void
explain_text(struct explain *x, const char *address, const struct cc_answer *a, size_t count)
{
    bh_buf_printf(&x->out, "%s\n", address);
    put_answer(x, a);
    for (size_t i = 0; i < count; i++) {
        put_opinion(x, &x->opinions[i], a->value.kind == KOBOLD_SPECIAL);
    }
    put_as(x, a->asn);
}

/* ---- JSON ------------------------------------------------------------------------------------------ */

static void
put_opinion_json(struct explain *x, const struct kobold_opinion *o)
{
    struct bh_buf *out = &x->out;
    struct kobold_input_info input;
    struct cc_answer a;
    cc_describe(x->p, x->k, (struct kobold_result){ .value = o->value }, &a);
    bh_buf_puts(out, "{\"input\":");
    if (kobold_input_info(x->k, o->input, &input)) {
        bh_buf_put_json(out, input.name, strlen(input.name));
    } else {
        bh_buf_puts(out, "null");
    }
    bh_buf_printf(out, o->line > 0 ? ",\"line\":%u" : ",\"line\":null", o->line);
    cc_put_json_text(out, "layer", kobold_layer_name(o->layer));
    cc_put_json_text(out, "code", a.value.code);
    cc_put_json_text(out, "name", a.name);
    cc_put_json_text(out, "kind", cc_kind_name(a.value.kind));
    cc_put_json_text(out, "registry", kobold_registry_name(o->registry));
    cc_put_json_text(out, "status", kobold_status_name(o->status));
    bh_buf_puts(out, ",\"date\":");
    if (o->date != 0) {
        bh_buf_putc(out, '"');
        put_date(out, o->date);
        bh_buf_putc(out, '"');
    } else {
        bh_buf_puts(out, "null");
    }
    bh_buf_printf(out, ",\"decided\":%s}", o->has_decided ? "true" : "false");
}

static void
explain_json(struct explain *x, const char *address, const struct cc_answer *a, size_t count)
{
    cc_put_json(&x->out, address, a);
    cc_put_json_as(&x->out, a);
    cc_put_json_text(&x->out, "data_name", x->meta.name);
    cc_put_json_text(&x->out, "data_date", x->meta.date);
    bh_buf_puts(&x->out, ",\"opinions\":[");
    for (size_t i = 0; i < count; i++) {
        bh_buf_puts(&x->out, i > 0 ? "," : "");
        put_opinion_json(x, &x->opinions[i]);
    }
    bh_buf_puts(&x->out, "]}\n");
}

/* ---- the verb ---------------------------------------------------------------------------------------- */

static int
explain_address(struct explain *x, const char *address, bool is_json)
{
    struct bh_ip ip;
    struct cc_answer a;
    struct bh_error err;
    if (!bh_ip_parse(address, strlen(address), &ip)) {
        bh_error_set(&err, BH_EUSAGE, address,
                     "not an address; write it alone, like 192.0.2.1 or 2001:db8::1%s",
                     "アドレスではありません。192.0.2.1 や 2001:db8::1 のように、それだけを書いて"
                     "ください%s",
                     "");
        return cc_complain(x->p, CC_FAILED, &err);
    }
    cc_ask(x->p, x->k, &ip, &a);
    x->is_outside = ip.family == 6 && ip.octets[0] >> 5 != 1 && a.embedded[0] == '\0';
    size_t count =
        kobold_opinions(x->k, ip.octets, ip.family, x->opinions, kobold_input_count(x->k));
    if (is_json) {
        explain_json(x, address, &a, count);
    } else {
        explain_text(x, address, &a, count);
    }
    return CC_OK;
}

int
verb_explain(struct cc_program *p)
{
    char *const *operands;
    size_t count = bh_arg_operands(p->args, &operands);
    int status = CC_OK;
    if (count == 0) {
        return cc_complain_text(p, CC_USAGE, "name an address", "アドレスを指定してください");
    }
    const char *db = bh_arg(p->args, "country-db");
    kobold *k = cc_open(p, db != NULL ? db : bh_arg(p->args, "db"));
    if (k == NULL) {
        return CC_FAILED;
    }
    p->wants_as = true;
    struct explain x = { .p = p, .k = k };
    kobold_get_meta(k, &x.meta);
    x.opinions = calloc((size_t)kobold_input_count(k) + 1, sizeof *x.opinions);
    if (x.opinions == NULL) {
        status = cc_complain_text(p, CC_FAILED, "out of memory", "メモリーが足りません");
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        if (explain_address(&x, operands[i], bh_arg_given(p->args, "json")) != CC_OK) {
            status = CC_FAILED;
        }
    }
    int flushed = cc_flush(p, &x.out);
    status = flushed != CC_OK ? flushed : status;
    if (status == CC_OK && kobold_input_count(k) == 0 && !bh_arg_given(p->args, "json")) {
        cc_complain_text(p, CC_OK,
                         "which line of which input says so was not kept in this database; "
                         "kobold compile --details yes keeps it",
                         "どの入力のどの行によるかは、このデータベースに記録されていません。"
                         "kobold compile --details yes で記録します");
    }
out:
    bh_buf_done(&x.out);
    free(x.opinions);
    kobold_close(k);
    return status;
}

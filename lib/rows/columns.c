/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Columns: the schema, and what look-ups say. A country is its code in capitals; an address without
 * one has the class of its space, in small letters ("private-use", "unallocated").
 */
#include "rows_priv.h"

#include <stdlib.h>

#include "bh_option.h"

static void
get_of_place(const struct bh_sight *s, uint16_t value, bool present, bool is_name,
             struct bh_value *ret)
{
    const struct place *p = &s->places[value < s->place_count ? value : 0];
    present = present && s->place_count > 0;
    *ret = (struct bh_value){ .absent = !present };
    if (present) {
        ret->number = is_name ? p->name_number : p->code_number;
        ret->name = is_name ? p->name : p->code;
    }
}

static void
get_src_country(const struct bh_sight *s, uint32_t row, struct bh_value *ret)
{
    get_of_place(s, s->src_value[row], s->batch->kind[row] >= BH_KIND_IP4, false, ret);
}

static void
get_dst_country(const struct bh_sight *s, uint32_t row, struct bh_value *ret)
{
    get_of_place(s, s->dst_value[row], s->batch->kind[row] >= BH_KIND_IP4, false, ret);
}

static void
get_country(const struct bh_sight *s, uint32_t row, struct bh_value *ret)
{
    get_of_place(s, s->far_value[row], s->batch->kind[row] >= BH_KIND_IP4, false, ret);
}

static void
get_country_name(const struct bh_sight *s, uint32_t row, struct bh_value *ret)
{
    get_of_place(s, s->far_value[row], s->batch->kind[row] >= BH_KIND_IP4, true, ret);
}

static void
get_region_text(const struct bh_sight *s, uint32_t row, bool is_name, struct bh_value *ret)
{
    const uint16_t value = s->far_value[row];
    const struct place *p = &s->places[value < s->place_count ? value : 0];
    const bool present =
        s->batch->kind[row] >= BH_KIND_IP4 && s->place_count > 0 && p->region != NULL;
    *ret = (struct bh_value){ .absent = !present };
    if (present) {
        ret->number = p->region_number;
        ret->name = is_name ? p->region_name : p->region;
    }
}

static void
get_region(const struct bh_sight *s, uint32_t row, struct bh_value *ret)
{
    get_region_text(s, row, false, ret);
}

static void
get_region_name(const struct bh_sight *s, uint32_t row, struct bh_value *ret)
{
    get_region_text(s, row, true, ret);
}

static void
get_visit(const struct bh_sight *s, uint32_t row, struct bh_value *ret)
{
    *ret = (struct bh_value){ .absent = s->batch->cls[row] != BH_CLASS_ACCESS,
                              .number = s->batch->counted[row] == BH_COUNTED_VISIT };
}

static void
get_asn(const struct bh_sight *s, uint32_t row, struct bh_value *ret)
{
    *ret = (struct bh_value){ .absent = s->system[row] == 0, .number = s->system[row] };
}

static void
get_as_name(const struct bh_sight *s, uint32_t row, struct bh_value *ret)
{
    const char *name = s->system[row] == 0 ? NULL : sight_system_name(s, s->system[row]);
    *ret = (struct bh_value){ .absent = name == NULL, .number = s->system[row], .name = name };
}

#define FAR BH_NEEDS_FAR_COUNTRY
static const struct bh_column looked_up[] = {
    { .id = 27,
      .name = "src_country",
      .type = BH_TYPE_NAME,
      .unit = "",
      .text = { "registered country of the source, or the class of its address",
                "送信元の登録国、またはアドレスの種類" },
      .needs = BH_NEEDS_SRC_COUNTRY | BH_NEEDS_NEAR,
      .get = get_src_country },
    { .id = 28,
      .name = "dst_country",
      .type = BH_TYPE_NAME,
      .unit = "",
      .text = { "registered country of the destination, or the class of its address",
                "宛先の登録国、またはアドレスの種類" },
      .needs = BH_NEEDS_DST_COUNTRY | BH_NEEDS_NEAR,
      .get = get_dst_country },
    { .id = 41,
      .name = "country",
      .type = BH_TYPE_NAME,
      .unit = "",
      .text = { "registered country of the far end, as in the report",
                "相手側の登録国 (レポートと同じ)" },
      .needs = FAR,
      .get = get_country },
    { .id = 42,
      .name = "country_name",
      .type = BH_TYPE_NAME,
      .unit = "",
      .text = { "name of that country, in the language of texts", "その国の名前 (表示言語による)" },
      .needs = FAR,
      .get = get_country_name },
    { .id = 43,
      .name = "region",
      .type = BH_TYPE_NAME,
      .unit = "",
      .text = { "region of that country, number of UN M49", "その国の地域 (国連 M49 の番号)" },
      .needs = FAR,
      .get = get_region },
    { .id = 44,
      .name = "region_name",
      .type = BH_TYPE_NAME,
      .unit = "",
      .text = { "name of that region, in the language of texts",
                "その地域の名前 (表示言語による)" },
      .needs = FAR,
      .get = get_region_name },
    { .id = 45,
      .name = "asn",
      .type = BH_TYPE_UINT,
      .unit = "",
      .text = { "autonomous system that announces the far end",
                "相手側のアドレスを広告する AS の番号" },
      .needs = BH_NEEDS_SYSTEM,
      .get = get_asn },
    { .id = 46,
      .name = "as_name",
      .type = BH_TYPE_NAME,
      .unit = "",
      .text = { "name of that autonomous system", "その AS の名前" },
      .needs = BH_NEEDS_SYSTEM,
      .get = get_as_name },
    { .id = 47,
      .name = "visit",
      .type = BH_TYPE_BOOL,
      .unit = "",
      .text = { "an access that --served offers to its source; without --served none is",
                "--served で送信元に提供しているアクセス (--served がなければ該当なし)" },
      .needs = 0,
      .get = get_visit },
};
#undef FAR

enum { ID_SRC = 6, ID_DST = 7, ID_SRC_PORT = 10, ID_TCP_SEQ = 20 };

static struct bh_column
column_of_field(const struct bh_field *f)
{
    const struct bh_column c = {
        .id = f->id,
        .name = f->name,
        .type = f->type,
        .unit = f->unit,
        .text = { f->text[BH_EN], f->text[BH_JA] },
        .needs = (f->cold ? (unsigned)BH_NEEDS_COLD : 0U) |
                 (f->id == ID_TCP_SEQ ? (unsigned)BH_NEEDS_SEQ : 0U) |
                 (f->id == ID_DST ? (unsigned)BH_NEEDS_NEAR : 0U) |
                 (f->id == ID_SRC_PORT ? (unsigned)BH_NEEDS_SRC_PORT : 0U),
        .field = f,
    };
    return c;
}

size_t
bh_column_count(void)
{
    return bh_fields_count + BH_COUNT(looked_up);
}

struct bh_column
bh_column_at(size_t index)
{
    return index < bh_fields_count ? column_of_field(&bh_fields[index])
                                   : looked_up[index - bh_fields_count];
}

bool
bh_column_find(const char *name, size_t len, struct bh_column *ret)
{
    for (size_t i = 0; i < bh_column_count(); i++) {
        struct bh_column c = bh_column_at(i);
        if (strlen(c.name) == len && memcmp(c.name, name, len) == 0) {
            *ret = c;
            return true;
        }
    }
    return false;
}

static int
no_such(const char *option, const char *word, size_t len, struct bh_error *err)
{
    const char *names[128];
    size_t n = 0;
    char where[96], text[64];
    for (size_t i = 0; i < bh_column_count() && n < BH_COUNT(names); i++) {
        names[n++] = bh_column_at(i).name;
    }
    snprintf(text, sizeof text, "%.*s", (int)(len < 60 ? len : 60), word);
    snprintf(where, sizeof where, "%s %s", option, text);
    const char *near = bh_nearest(text, names, n);
    return bh_error_set(err, BH_EUSAGE, where,
                        near != NULL ? "no such column; did you mean %s?"
                                     : "no such column; see beholder fields%.0s",
                        near != NULL ? "その列はありません。%s のことですか?"
                                     : "その列はありません。beholder fields で一覧できます%.0s",
                        near != NULL ? near : "");
}

int
bh_columns_parse(const char *option, const char *text, struct bh_column *ret, size_t max,
                 size_t *ret_count, struct bh_error *err)
{
    size_t n = 0;
    for (const char *at = text;; at++) {
        const size_t len = strcspn(at, ",");
        const bool all = len == 3 && memcmp(at, "all", 3) == 0;
        for (size_t i = 0; all && i < bh_column_count() && n < max; i++) {
            ret[n++] = bh_column_at(i);
        }
        if (!all && n == max) {
            return bh_error_set(err, BH_ELIMIT, option, "takes no more than %zu columns",
                                "の列は %zu 個までです", max);
        }
        if (!all && !bh_column_find(at, len, &ret[n])) {
            return no_such(option, at, len, err);
        }
        n += !all;
        at += len;
        if (*at == '\0') {
            break;
        }
    }
    *ret_count = n;
    return 0;
}

const char *
bh_type_name(enum bh_type type)
{
    static const char *const names[] = {
        "time", "address", "uint", "bool", "name", "flags", "mac"
    };
    return (unsigned)type < BH_COUNT(names) ? names[type] : "";
}

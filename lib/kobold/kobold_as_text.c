/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_as_text.c - tables of autonomous systems: start,end,number,name (addresses or decimal
 * numbers; the name in quotes where it has commas); prefix,number,name; or start TAB end TAB
 * number TAB country TAB name, as iptoasn.com has it. A number may be written AS64496; 0 means
 * that nobody announces the range.
 */
#include "kobold_text_priv.h"

#include <errno.h>
#include <stdlib.h>

#define NAME_MAX_LEN 255U

/* ---- names ----------------------------------------------------------------------------------------- */

static size_t
slot_of(const struct kobold_as_table *as, uint32_t number)
{
    size_t at = (size_t)(number * 0x9e3779b1U) & (as->slot_count - 1);
    while (as->slots[at] != 0 && as->at[as->slots[at] - 1].number != number) {
        at = (at + 1) & (as->slot_count - 1);
    }
    return at;
}

static bool
grow_table(struct kobold_as_table *as)
{
    size_t room = as->room == 0 ? 1024 : bh_size_mul(as->room, 2);
    struct kobold_as_text *at = realloc(as->at, bh_size_mul(room, sizeof *at));
    if (at == NULL) {
        return false;
    }
    as->at = at;
    uint32_t *slots = calloc(bh_size_mul(room, 2), sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    free(as->slots);
    as->room = room;
    as->slots = slots;
    as->slot_count = room * 2;
    for (size_t i = 0; i < as->count; i++) {
        as->slots[slot_of(as, as->at[i].number)] = (uint32_t)i + 1;
    }
    return true;
}

/* Doubled quotes inside a quoted field stand for one; what no UTF-8 text has is left out. */
static uint32_t
add_name(struct bh_buf *texts, struct field name)
{
    size_t from = texts->len;
    for (size_t i = 0; i < name.len && texts->len - from < NAME_MAX_LEN; i++) {
        char c = name.at[i];
        if (c == '"' && i + 1 < name.len && name.at[i + 1] == '"') {
            i++;
        }
        if ((unsigned char)c >= ' ' && c != 0x7f) {
            bh_buf_putc(texts, c);
        }
    }
    /* A character that the bound has cut. */
    if (texts->len - from == NAME_MAX_LEN && texts->data != NULL) {
        bh_text_trim(texts->data + from);
        texts->len = from + strlen(texts->data + from);
    }
    return (uint32_t)(texts->len - from);
}

int
as_add(struct kobold_as_table *as, int family, struct kobold_addr start, struct kobold_addr end,
       uint32_t number, const char *name, size_t name_len)
{
    struct kobold_range range = { .start = start, .end = end, .line = number, .code = 1 };
    if (as->count * 2 >= as->room && !grow_table(as)) {
        return -ENOMEM;
    }
    size_t slot = slot_of(as, number);
    if (as->slots[slot] == 0) {
        if (as->texts.len > UINT32_MAX - NAME_MAX_LEN) {
            return BH_ELIMIT;
        }
        uint32_t at = (uint32_t)as->texts.len;
        uint32_t len = add_name(&as->texts, (struct field){ name, name_len });
        as->at[as->count++] = (struct kobold_as_text){ number, at, len };
        as->slots[slot] = (uint32_t)as->count;
    }
    ranges_add(&as->ranges[family == 6], &range);
    return as->texts.failed || as->ranges[family == 6].failed ? -ENOMEM : 0;
}

void
as_done(struct kobold_as_table *as)
{
    ranges_done(&as->ranges[0]);
    ranges_done(&as->ranges[1]);
    bh_buf_done(&as->texts);
    free(as->at);
    free(as->slots);
}

/* ---- lines ------------------------------------------------------------------------------------------ */

static bool
parse_number(struct field f, uint32_t *ret)
{
    uint64_t v;
    if (f.len > 2 && (f.at[0] | 0x20) == 'a' && (f.at[1] | 0x20) == 's') {
        f.at += 2;
        f.len -= 2;
    }
    if (!parse_uint(f, &v) || v > UINT32_MAX) {
        return false;
    }
    *ret = (uint32_t)v;
    return true;
}

uint32_t
as_number(struct field f)
{
    uint32_t number;
    return parse_number(f, &number) ? number : 0;
}

/* Where start, end, number and name are; false: in none of the forms. */
static struct trouble
parse_as_line(struct line *l, int *ret_family, struct kobold_range *ret, struct field *ret_name)
{
    bool has_tabs = memchr(l->whole.at, '\t', l->whole.len) != NULL;
    int end_family;
    split(l, has_tabs ? '\t' : ',');
    bool is_prefix = l->count > 0 && memchr(l->fields[0].at, '/', l->fields[0].len) != NULL;
    size_t number = is_prefix ? 1 : 2;
    size_t name = has_tabs && !is_prefix ? number + 2 : number + 1;
    if (l->count <= number) {
        return TROUBLE("fewer than 3 fields; write start,end,number,name",
                       "欄が3個より少ないです。開始,終了,番号,名前 と書いてください");
    }
    if (is_prefix) {
        struct trouble t = parse_prefix(l->fields[0], ret_family, &ret->start, &ret->end);
        if (t.text[BH_EN] != NULL) {
            return t;
        }
    } else {
        *ret_family = parse_address_or_number(l->fields[0], &ret->start);
        end_family = parse_address_or_number(l->fields[1], &ret->end);
        if (*ret_family == 0 || *ret_family != end_family || addr_cmp(ret->start, ret->end) > 0) {
            return TROUBLE("start and end are no range of addresses; correct or delete the line",
                           "開始と終了がアドレスの範囲になっていません。行を直すか消してください");
        }
    }
    if (!parse_number(l->fields[number], &ret->line)) {
        return TROUBLE("no AS number where one should be; write 64496 or AS64496",
                       "AS番号があるべき所にありません。64496 か AS64496 と書いてください");
    }
    *ret_name = name < l->count ? l->fields[name] : (struct field){ "", 0 };
    return FINE;
}

static bool
is_heading(const struct line *l)
{
    for (size_t i = 0; i < l->whole.len; i++) {
        if (is_digit(l->whole.at[i])) {
            return false;
        }
    }
    return true;
}

int
as_parse(struct kobold_build *b, const char *name, const char *text, size_t size,
         struct kobold_input *input, struct bh_error *err)
{
    struct line l = { .number = 0 };
    bool is_first = true;
    if (is_mmdb(text, size)) {
        return mmdb_parse_as(b, name, text, size, input, err);
    }
    int r = check_text(name, text, size, err);
    skip_mark(&text, &size);
    while (r == 0 && next_line(&text, &size, &l)) {
        struct kobold_range range;
        struct field as_name;
        int family;
        if (l.whole.len == 0 || l.whole.at[0] == '#') {
            continue;
        }
        bool is_skipped = is_first && is_heading(&l);
        is_first = false;
        if (is_skipped) {
            continue;
        }
        struct trouble t = parse_as_line(&l, &family, &range, &as_name);
        if (t.text[BH_EN] != NULL) {
            input->broken++;
            say_trouble(b, name, input, l.number, &t);
        } else if (range.line == 0) {
            input->unused++;
        } else {
            r = as_add(&b->as, family, range.start, range.end, range.line, as_name.at, as_name.len);
            input->ranges++;
        }
    }
    if (r == -ENOMEM) {
        return out_of_memory(err);
    }
    if (r < 0) {
        return r;
    }
    if (input->ranges == 0) {
        return bh_error_set(
            err, BH_EFORMAT, name,
            "no line gives an AS number (%llu broken); is this a table "
            "start,end,number,name?",
            "AS番号の分かる行がありません（壊れた行 %llu）。開始,終了,番号,名前 の表"
            "ですか",
            (unsigned long long)input->broken);
    }
    return 0;
}

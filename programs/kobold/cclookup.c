/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cclookup - the registered country of addresses: of its arguments, or of every address in a
 * text on standard input, written in brackets behind it.
 */
#include "cc_common.h"
#include "cclookup_command.h"

#include <stdlib.h>
#include <unistd.h>

/* " [US]" of a value: what a log gets a million times is made once. */
struct note {
    uint8_t len;
    char text[63];
};

struct annotate {
    const struct cc_program *p;
    const kobold *k;
    struct bh_buf out;
    bool is_json, is_terminal;
    struct note notes[KOBOLD_VALUES_MAX];
};

/* "8.8.8.8  US  United States" */
static void
put_line(const struct cc_program *p, struct bh_buf *out, const char *address,
         const struct cc_answer *a)
{
    const struct kobold_value *v = &a->value;
    bh_buf_printf(out, "%s  ", address);
    if (v->kind == KOBOLD_SPECIAL) {
        bh_buf_printf(out, "%s %s (%s)", p->lang == BH_JA ? "特殊用途" : "special-use", a->name,
                      v->rfc);
    } else if (v->kind == KOBOLD_UNALLOCATED) {
        bh_buf_puts(out, a->name);
    } else {
        bh_buf_printf(out, "%s  %s", v->code, a->name);
    }
    if (a->embedded[0] != '\0') {
        bh_buf_printf(out, "  (%s %s)", kobold_carrier_name(a->result.carrier), a->embedded);
    }
    if (a->asn != 0) {
        bh_buf_printf(out, "  AS%u ", a->asn);
        bh_buf_put_safe(out, a->as_name, strlen(a->as_name));
    }
    bh_buf_putc(out, '\n');
}

static int
answer_operands(const struct cc_program *p, const kobold *k, char *const *operands, size_t count,
                bool is_json)
{
    struct bh_buf out = { 0 };
    int status = CC_OK;
    for (size_t i = 0; i < count; i++) {
        struct bh_ip ip;
        struct cc_answer a;
        if (!bh_ip_parse(operands[i], strlen(operands[i]), &ip)) {
            struct bh_error err;
            bh_error_set(
                &err, BH_EUSAGE, operands[i],
                "not an address; write it alone, like 192.0.2.1 or 2001:db8::1%s",
                "アドレスではありません。192.0.2.1 や 2001:db8::1 のように、それだけを書いて"
                "ください%s",
                "");
            status = cc_complain(p, CC_FAILED, &err);
            continue;
        }
        cc_ask(p, k, &ip, &a);
        if (is_json) {
            cc_put_json(&out, operands[i], &a);
            if (p->wants_as) {
                cc_put_json_as(&out, &a);
            }
            bh_buf_puts(&out, "}\n");
        } else {
            put_line(p, &out, operands[i], &a);
        }
    }
    int flushed = cc_flush(p, &out);
    bh_buf_done(&out);
    return flushed != CC_OK ? flushed : status;
}

/* The text itself: as it is, but for a terminal, which would obey what a stranger wrote into a
 * log. */
static void
put_text(struct annotate *t, const char *text, size_t len)
{
    if (!t->is_terminal) {
        bh_buf_add(&t->out, text, len);
        return;
    }
    for (size_t at = 0; at < len;) {
        /* Line ends and tabs are the text's own layout. */
        size_t n = 0;
        while (at + n < len && text[at + n] != '\n' && text[at + n] != '\t') {
            n++;
        }
        bh_buf_put_safe(&t->out, text + at, n);
        at += n;
        if (at < len) {
            bh_buf_putc(&t->out, text[at++]);
        }
    }
}

/* ---- what belongs to an address ---------------------------------------------------------------- */

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_word(char c)
{
    return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* `sign` and up to `max` digits at text[at], when no more of it follows; returns their length. */
static size_t
number_behind(const char *text, size_t len, size_t at, char sign, size_t max)
{
    size_t n = 1;
    if (at >= len || text[at] != sign) {
        return 0;
    }
    while (at + n < len && is_digit(text[at + n])) {
        n++;
    }
    if (n == 1 || n - 1 > max) {
        return 0;
    }
    size_t next = at + n;
    bool goes_on =
        next < len &&
        (is_word(text[next]) || (text[next] == sign && next + 1 < len && is_word(text[next + 1])));
    return goes_on ? 0 : n;
}

/* "[2001:db8::1]:443", "192.0.2.1:443", tcpdump's "192.0.2.1.443", "192.0.2.0/24", "fe80::1%eth0":
 * a note in the middle of these would tear them apart. Returns where the whole ends. */
static size_t
whole_end(const char *text, size_t len, size_t at, size_t end, const struct bh_ip *ip)
{
    if (at > 0 && text[at - 1] == '[' && end < len && text[end] == ']') {
        return end + 1 + number_behind(text, len, end + 1, ':', 5);
    }
    if (ip->family == 6 && end + 1 < len && text[end] == '%' && is_word(text[end + 1])) {
        end++;
        while (end < len && (is_word(text[end]) || text[end] == '-')) {
            end++;
        }
    }
    size_t n = number_behind(text, len, end, '/', 3);
    n = n > 0 ? n : number_behind(text, len, end, '.', 5);
    n = n > 0 || ip->family == 6 ? n : number_behind(text, len, end, ':', 5);
    return end + n;
}

static void
make_notes(struct annotate *t)
{
    for (unsigned value = 0; value < kobold_value_count(t->k); value++) {
        struct cc_answer a;
        struct note *note = &t->notes[value];
        cc_describe(t->p, t->k, (struct kobold_result){ .value = (uint16_t)value }, &a);
        int n = snprintf(note->text, sizeof note->text, " [%s]", a.label);
        note->len = (uint8_t)n; /* a label has 47 octets at most */
    }
}

static void
put_note(struct annotate *t, const struct bh_ip *ip)
{
    struct kobold_result r = kobold_lookup(t->k, ip->octets, ip->family);
    const struct note *note = &t->notes[r.value];
    if (BH_LIKELY(r.carrier == KOBOLD_CARRIER_NONE && !t->p->wants_as)) {
        bh_buf_add(&t->out, note->text, note->len);
        return;
    }
    bh_buf_add(&t->out, note->text, note->len - 1U);
    uint32_t as = t->p->wants_as ? kobold_as(t->k, ip->octets, ip->family) : 0;
    if (as != 0) {
        bh_buf_printf(&t->out, " AS%u", as);
    }
    if (r.carrier != KOBOLD_CARRIER_NONE) {
        char embedded[BH_IP_TEXT_MAX];
        struct bh_ip inner = bh_ip_from_v4(r.embedded_v4);
        bh_ip_format(&inner, embedded);
        bh_buf_printf(&t->out, ", %s %s", kobold_carrier_name(r.carrier), embedded);
    }
    bh_buf_putc(&t->out, ']');
}

static void
put_object(struct annotate *t, const struct bh_ip *ip)
{
    struct cc_answer a;
    char text[BH_IP_TEXT_MAX];
    cc_ask(t->p, t->k, ip, &a);
    bh_ip_format(ip, text);
    cc_put_json(&t->out, text, &a);
    if (t->p->wants_as) {
        cc_put_json_as(&t->out, &a);
    }
    bh_buf_puts(&t->out, "}\n");
}

static int
annotate(void *arg, const char *text, size_t len)
{
    struct annotate *t = arg;
    struct bh_scan scan;
    struct bh_ip ip;
    size_t done = 0;
    size_t at;
    size_t n;
    bh_scan_begin(&scan, text, len);
    while (bh_scan_next(&scan, done, &ip, &at, &n)) {
        if (t->is_json) {
            put_object(t, &ip);
            done = at + n;
            continue;
        }
        size_t end = whole_end(text, len, at, at + n, &ip);
        put_text(t, text + done, end - done);
        put_note(t, &ip);
        done = end;
    }
    if (!t->is_json) {
        put_text(t, text + done, len - done);
    }
    return cc_flush(t->p, &t->out);
}

static int
annotate_stdin(const struct cc_program *p, const kobold *k, bool is_json)
{
    struct annotate *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return cc_complain_text(p, CC_FAILED, "out of memory", "メモリーが足りません");
    }
    t->p = p;
    t->k = k;
    t->is_json = is_json;
    t->is_terminal = isatty(STDOUT_FILENO) == 1;
    make_notes(t);
    int status = cc_read_lines(p, "-", annotate, t);
    bh_buf_done(&t->out);
    free(t);
    return status;
}

int
main(int argc, char **argv)
{
    struct cc_program p;
    int status = cc_start(&p, &cclookup_command, argc, argv);
    if (status >= 0) {
        goto out;
    }
    kobold *k;
    status = cc_open_asked(&p, &k);
    if (status != CC_OK) {
        goto out;
    }
    p.wants_as = bh_arg_given(p.args, "asn");
    struct kobold_as_meta as;
    if (p.wants_as && !kobold_as_meta(k, &as)) {
        cc_complain_text(
            &p, CC_OK, "this database has no AS data; kobold compile --asn FILE puts them in",
            "このデータベースには AS のデータがありません。kobold compile --asn ファイル "
            "で入れられます");
    }
    char *const *operands;
    size_t count = bh_arg_operands(p.args, &operands);
    bool is_json = bh_arg_given(p.args, "json");
    status = count > 0 ? answer_operands(&p, k, operands, count, is_json)
                       : annotate_stdin(&p, k, is_json);
    if (status == CC_OK && !bh_arg_given(p.args, "quiet") && !bh_arg_given(p.args, "as-of")) {
        const char *path = bh_arg(p.args, "country-db");
        cc_say_age(&p, k, path != NULL ? path : bh_arg(p.args, "db"));
    }
    kobold_close(k);
out:
    cc_done(&p);
    return status;
}

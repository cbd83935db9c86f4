/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cclookup - the registered country of addresses: of its arguments, or of every address in a
 * text on standard input, written in brackets behind it.
 */
#include "cc_common.h"
#include "cclookup_command.h"

#include <stdlib.h>
#include <unistd.h>

struct annotate {
    const struct cc_program *p;
    const kobold *k;
    struct bh_buf out;
    bool is_json, is_terminal;
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

/* Text between the addresses: as it is, but for a terminal, which would obey what a stranger
 * wrote into a log. */
static void
put_between(struct annotate *t, const char *text, size_t len)
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
put_note(struct annotate *t, const char *address, size_t len, const struct bh_ip *ip)
{
    struct cc_answer a;
    cc_ask(t->p, t->k, ip, &a);
    if (t->is_json) {
        char text[BH_IP_TEXT_MAX];
        bh_ip_format(ip, text);
        cc_put_json(&t->out, text, &a);
        if (t->p->wants_as) {
            cc_put_json_as(&t->out, &a);
        }
        bh_buf_puts(&t->out, "}\n");
        return;
    }
    bh_buf_add(&t->out, address, len);
    bh_buf_puts(&t->out, " [");
    bh_buf_puts(&t->out, a.label);
    if (a.asn != 0) {
        bh_buf_printf(&t->out, " AS%u", a.asn);
    }
    if (a.embedded[0] != '\0') {
        bh_buf_puts(&t->out, ", ");
        bh_buf_puts(&t->out, kobold_carrier_name(a.result.carrier));
        bh_buf_putc(&t->out, ' ');
        bh_buf_puts(&t->out, a.embedded);
    }
    bh_buf_putc(&t->out, ']');
}

static int
annotate(void *arg, const char *text, size_t len)
{
    struct annotate *t = arg;
    struct bh_ip ip;
    size_t done = 0;
    size_t at;
    size_t n;
    while (cc_find_address(text, len, done, &ip, &at, &n)) {
        if (!t->is_json) {
            put_between(t, text + done, at - done);
        }
        n = t->is_json ? n : whole_end(text, len, at, at + n, &ip) - at;
        put_note(t, text + at, n, &ip);
        done = at + n;
    }
    if (!t->is_json) {
        put_between(t, text + done, len - done);
    }
    return cc_flush(t->p, &t->out);
}

int
main(int argc, char **argv)
{
    struct cc_program p;
    int status = cc_start(&p, &cclookup_command, argc, argv);
    if (status >= 0) {
        goto out;
    }
    const char *db = bh_arg(p.args, "country-db");
    kobold *k = cc_open(&p, db != NULL ? db : bh_arg(p.args, "db"));
    if (k == NULL) {
        status = CC_FAILED;
        goto out;
    }
    p.wants_as = bh_arg_given(p.args, "asn");
    struct kobold_as_meta as;
    if (p.wants_as && !kobold_as_meta(k, &as)) {
        cc_complain_text(&p, CC_OK,
                         "this database has no AS data; kobold compile --asn FILE puts them in",
                         "このデータベースには AS のデータがありません。kobold compile --asn ファイル "
                         "で入れられます");
    }
    char *const *operands;
    size_t count = bh_arg_operands(p.args, &operands);
    bool is_json = bh_arg_given(p.args, "json");
    if (count > 0) {
        status = answer_operands(&p, k, operands, count, is_json);
    } else {
        struct annotate t = { .p = &p, .k = k, .is_json = is_json };
        t.is_terminal = isatty(STDOUT_FILENO) == 1;
        status = cc_read_lines(&p, "-", annotate, &t);
        bh_buf_done(&t.out);
    }
    kobold_close(k);
out:
    cc_done(&p);
    return status;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's packet log in syslog files, and in the journal's JSON (journalctl -o json; its export: journal_export.c). What
 * else stands in such a file is passed over and counted.
 */
#include "import_priv.h"

static int
bad(struct import_file *f, enum reason why, struct cell example)
{
    f->why = why;
    f->example = example;
    return READ_BAD;
}

/* Frames that are no IP are logged with their link addresses alone. */
static bool
is_no_ip(struct cell text)
{
    return memmem(text.at, text.len, " MACPROTO=", 10) != NULL &&
           memmem(text.at, text.len, " SRC=", 5) == NULL &&
           memmem(text.at, text.len, " IPSRC=", 7) == NULL;
}

static int
made(struct import_file *f, struct cell text, const struct stamp *stamp)
{
    f->next.count = 1;
    enum reason why = netfilter_packet(text, &f->next.item[0]);
    if (why != REASON_NONE) {
        return why == REASON_CUT && is_no_ip(text) ? READ_OTHER : bad(f, why, text);
    }
    f->next.item[0].row.ts_ns = stamp->ns;
    f->next.item[0].row.bits |=
        (uint8_t)((stamp->is_zoneless ? ROW_ZONELESS : 0) | (stamp->has_no_year ? ROW_NO_YEAR : 0));
    return READ_MADE;
}

/* ---- lines ------------------------------------------------------------------------------------------- */

/* A crash leaves blocks of NULs in front of the next line. */
static struct cell
without_nuls(struct cell line)
{
    while (line.len > 0 && line.at[0] == '\0') {
        line.at++;
        line.len--;
    }
    return line;
}

static int
next_line(struct import_file *f)
{
    struct cell line;
    struct stamp stamp = { 0 };
    int r = text_line(&f->text, &line);
    if (r != TEXT_LINE) {
        return r == TEXT_LONG ? READ_OTHER : r;
    }
    line = without_nuls(line);
    struct cell rest = line;
    enum reason why = stamp_take(&f->years, &rest, &stamp);
    struct cell text = netfilter_find(rest, stamp.is_5424);
    if (text.len == 0) {
        return READ_OTHER;
    }
    return why != REASON_NONE ? bad(f, why, line) : made(f, text, &stamp);
}

static bool
is_syslog(const struct text *t)
{
    const char *p = t->buf + t->at;
    const char *const end = t->buf + t->len;
    bool has_time = false;
    bool has_kernel = false;
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        struct cell line =
            without_nuls((struct cell){ p, (size_t)((newline == NULL ? end : newline) - p) });
        struct years years = { .asked = 2000 };
        struct stamp stamp = { 0 };
        bool has = stamp_take(&years, &line, &stamp) == REASON_NONE;
        has_time |= has;
        has_kernel |= has && memmem(line.at, line.len, "kernel:", 7) != NULL;
        if (netfilter_find(line, stamp.is_5424).len > 0) {
            return true;
        }
        p = newline == NULL ? end : newline + 1;
    }
    return has_time && has_kernel;
}

const struct reader reader_netfilter = {
    .name = "netfilter",
    .text = { "a packet log of the kernel (netfilter)", "カーネルのパケットログ (netfilter)" },
    .has_cold = true,
    .is = is_syslog,
    .next = next_line,
};

/* ---- the journal -------------------------------------------------------------------------------------- */

enum { J_MESSAGE, J_TIME, J_TRANSPORT, J_IDENTIFIER };

static const struct keyed_name journal_names[] = {
    { "MESSAGE", J_MESSAGE },
    { "__REALTIME_TIMESTAMP", J_TIME },
    { "_TRANSPORT", J_TRANSPORT },
    { "SYSLOG_IDENTIFIER", J_IDENTIFIER },
};

static int
journal_begin(struct import_file *f, struct bh_error *err)
{
    (void)err;
    f->keyed.names = journal_names;
    f->keyed.name_count = BH_COUNT(journal_names);
    return 0;
}

/* Any process may call itself "kernel"; only the journal says how it came. */
static bool
is_kernels(const struct keyed *k)
{
    struct cell how = keyed_value(k, J_TRANSPORT);
    return how.len > 0 ? cell_same(how, "kernel")
                       : cell_same(keyed_value(k, J_IDENTIFIER), "kernel");
}

int
journal_packet(struct import_file *f, struct cell message, struct cell time)
{
    struct stamp stamp = { 0 };
    struct cell text = netfilter_find_words(message);
    if (text.len == 0) {
        return READ_OTHER;
    }
    switch (cell_time(time, &stamp.ns, &stamp.is_zoneless)) {
    case TIME_OK:
        return made(f, text, &stamp);
    case TIME_NONE:
        return bad(f, REASON_NO_TIME, message);
    case TIME_UNSET:
        return bad(f, REASON_TIME_UNSET, message);
    default:
        return bad(f, REASON_TIME_BAD, message);
    }
}

static int
journal_next(struct import_file *f)
{
    keyed_clear(&f->keyed);
    int r = json_next(&f->text, keyed_member, &f->keyed);
    if (r != JSON_OBJECT) {
        return r == JSON_BROKEN ? bad(f, REASON_JSON, f->text.broken) : r;
    }
    struct cell message = keyed_value(&f->keyed, J_MESSAGE);
    if (!is_kernels(&f->keyed) || message.len == 0) {
        return READ_OTHER;
    }
    return journal_packet(f, json_unescape(message), keyed_value(&f->keyed, J_TIME));
}

static bool
is_journal(const struct text *t)
{
    return look_json_has(t, "\"__REALTIME_TIMESTAMP\"");
}

const struct reader reader_journal = {
    .name = "netfilter",
    .text = { "packets the journal holds (netfilter)", "ジャーナル内のパケットログ (netfilter)" },
    .has_cold = true,
    .is = is_journal,
    .begin = journal_begin,
    .next = journal_next,
};

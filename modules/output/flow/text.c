/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows as lines: NDJSON and CSV from one table of fields, Zeek's conn.log by its own columns.
 *
 * Nothing here comes from the network but numbers and addresses; the sensor's name is the user's.
 */
#include <inttypes.h>
#include <time.h>

#include "flow_priv.h"

/* Cells of a record: NULL or "" in CSV and null in NDJSON when there is none. */
struct cell_out {
    struct bh_buf *out;
    const struct flow_writer_context *c;
    const struct flow *f;
    enum flow_end end;
    bool json;
};

static void
put_number(const struct cell_out *o, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    bh_buf_add(o->out, digits + at, sizeof digits - at);
}

static void
put_text(const struct cell_out *o, const char *text, size_t len)
{
    if (o->json) {
        bh_buf_putc(o->out, '"');
        bh_buf_add(o->out, text, len);
        bh_buf_putc(o->out, '"');
    } else {
        bh_buf_add(o->out, text, len);
    }
}

static void
put_none(const struct cell_out *o)
{
    if (o->json) {
        bh_buf_puts(o->out, "null");
    }
}

/* With zeros in front, and a letter behind. */
static size_t
put_digits(char *to, unsigned n, size_t digits, char behind)
{
    for (size_t k = digits; k-- > 0; n /= 10) {
        to[k] = (char)('0' + n % 10);
    }
    to[digits] = behind;
    return digits + 1;
}

static void
put_time(const struct cell_out *o, int64_t ns)
{
    char text[48];
    int64_t s = ns / 1000000000, rest = ns % 1000000000;
    s -= rest < 0;
    rest += rest < 0 ? 1000000000 : 0;
    const time_t t = (time_t)s;
    struct tm tm = { 0 };
    gmtime_r(&t, &tm);
    size_t n = put_digits(text, (unsigned)tm.tm_year + 1900, 4, '-');
    n += put_digits(text + n, (unsigned)tm.tm_mon + 1, 2, '-');
    n += put_digits(text + n, (unsigned)tm.tm_mday, 2, 'T');
    n += put_digits(text + n, (unsigned)tm.tm_hour, 2, ':');
    n += put_digits(text + n, (unsigned)tm.tm_min, 2, ':');
    n += put_digits(text + n, (unsigned)tm.tm_sec, 2, '.');
    n += put_digits(text + n, (unsigned)rest, 9, 'Z');
    put_text(o, text, n);
}

static void
put_start(const struct cell_out *o, unsigned side)
{
    (void)side;
    put_time(o, o->f->start_ns);
}

static void
put_end(const struct cell_out *o, unsigned side)
{
    (void)side;
    put_time(o, o->f->last_ns);
}

static void
put_sensor(const struct cell_out *o, unsigned side)
{
    (void)side;
    const char *name = o->c->sensor;
    if (o->json) {
        bh_buf_put_json(o->out, name, strlen(name));
        return;
    }
    bh_buf_putc(o->out, '"'); /* RFC 4180 */
    for (; *name != '\0'; name++) {
        bh_buf_add(o->out, "\"\"", *name == '"');
        bh_buf_putc(o->out, *name);
    }
    bh_buf_putc(o->out, '"');
}

static void
put_address(const struct cell_out *o, unsigned side)
{
    char text[BH_IP_TEXT_MAX];
    const struct bh_ip ip = flow_ip(o->f, side);
    put_text(o, text, bh_ip_format(&ip, text));
}

static void
put_port(const struct cell_out *o, unsigned side)
{
    if (o->f->ports == PORTS_PORTS) {
        put_number(o, o->f->port[side]);
    } else {
        put_none(o);
    }
}

static void
put_country(const struct cell_out *o, unsigned side)
{
    struct kobold_value v;
    if (o->c->countries != NULL) {
        const struct bh_ip ip = flow_ip(o->f, side);
        const struct kobold_result found = kobold_lookup(o->c->countries, ip.octets, ip.family);
        if (kobold_value_info(o->c->countries, found.value, &v) &&
            (v.kind == KOBOLD_COUNTRY || v.kind == KOBOLD_REGION)) {
            put_text(o, v.code, strlen(v.code));
            return;
        }
    }
    put_none(o);
}

static void
put_proto(const struct cell_out *o, unsigned side)
{
    char buf[8];
    (void)side;
    const char *name = bh_proto_name(o->f->proto, buf);
    put_text(o, name, strlen(name));
}

/* ICMP: the originator's type; its code when there is no answer to it. */
static void
put_icmp(const struct cell_out *o, unsigned side)
{
    if (o->f->ports == PORTS_CODE || (o->f->ports == PORTS_PAIR && side == ORIG)) {
        put_number(o, o->f->port[side]);
    } else {
        put_none(o);
    }
}

static void
put_state(const struct cell_out *o, unsigned side)
{
    (void)side;
    const char *s = flow_state(o->f);
    put_text(o, s, strlen(s));
}

static void
put_history(const struct cell_out *o, unsigned side)
{
    (void)side;
    put_text(o, o->f->history, o->f->history_len);
}

static void
put_why(const struct cell_out *o, unsigned side)
{
    (void)side;
    const char *s = flow_end_name(o->end);
    put_text(o, s, strlen(s));
}

static void
put_part(const struct cell_out *o, unsigned side)
{
    (void)side;
    put_number(o, o->f->part);
}

static void
put_packets(const struct cell_out *o, unsigned side)
{
    put_number(o, o->f->packets[side]);
}

static void
put_bytes(const struct cell_out *o, unsigned side)
{
    put_number(o, o->f->bytes[side]);
}

static void
put_payload(const struct cell_out *o, unsigned side)
{
    put_number(o, o->f->payload[side]);
}

static void
put_flags(const struct cell_out *o, unsigned side)
{
    if (o->f->proto == BH_PROTO_TCP && o->f->ports == PORTS_PORTS) {
        put_number(o, o->f->flags[side]);
    } else {
        put_none(o);
    }
}

static void
put_vlan(const struct cell_out *o, unsigned side)
{
    (void)side;
    if (o->f->vlan != 0) {
        put_number(o, o->f->vlan - 1U);
    } else {
        put_none(o);
    }
}

static void
put_interface(const struct cell_out *o, unsigned side)
{
    (void)side;
    put_number(o, o->f->interface);
}

static void
put_id(const struct cell_out *o, unsigned side)
{
    char text[16];
    (void)side;
    for (unsigned k = 0; k < 16; k++) {
        text[k] = "0123456789abcdef"[o->f->id >> (60 - 4 * k) & 15];
    }
    put_text(o, text, 16);
}

static void
put_community(const struct cell_out *o, unsigned side)
{
    char id[COMMUNITY_ID_MAX];
    (void)side;
    flow_community_id(o->f, o->c->seed, id);
    put_text(o, id, strlen(id));
}

/* Names are permanent; new ones come at the end. Described in beholder-output-flow(7). */
static const struct {
    const char *name;
    unsigned side;
    void (*put)(const struct cell_out *o, unsigned side);
} fields[] = {
    { "start", 0, put_start },
    { "end", 0, put_end },
    { "sensor", 0, put_sensor },
    { "orig", ORIG, put_address },
    { "orig_port", ORIG, put_port },
    { "orig_country", ORIG, put_country },
    { "resp", RESP, put_address },
    { "resp_port", RESP, put_port },
    { "resp_country", RESP, put_country },
    { "proto", 0, put_proto },
    { "icmp_type", ORIG, put_icmp },
    { "icmp_code", RESP, put_icmp },
    { "state", 0, put_state },
    { "history", 0, put_history },
    { "ended", 0, put_why },
    { "part", 0, put_part },
    { "orig_packets", ORIG, put_packets },
    { "orig_bytes", ORIG, put_bytes },
    { "orig_payload", ORIG, put_payload },
    { "orig_flags", ORIG, put_flags },
    { "resp_packets", RESP, put_packets },
    { "resp_bytes", RESP, put_bytes },
    { "resp_payload", RESP, put_payload },
    { "resp_flags", RESP, put_flags },
    { "vlan", 0, put_vlan },
    { "interface", 0, put_interface },
    { "id", 0, put_id },
    { "community_id", 0, put_community },
};

/* ---- conn.log ------------------------------------------------------------------------------------------ */

static void
zeek_head(int64_t now_ns, struct bh_buf *out)
{
    char open[40];
    const time_t t = (time_t)(now_ns / 1000000000);
    struct tm tm = { 0 };
    gmtime_r(&t, &tm);
    strftime(open, sizeof open, "%Y-%m-%d-%H-%M-%S", &tm);
    bh_buf_printf(out,
                  "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
                  "#path\tconn\n#open\t%s\n",
                  open);
    bh_buf_puts(
        out,
        "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration"
        "\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory"
        "\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents\tcommunity_id\n");
    bh_buf_puts(out, "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval"
                     "\tcount\tcount\tstring\tbool\tbool\tcount\tstring"
                     "\tcount\tcount\tcount\tcount\tset[string]\tstring\n");
}

static void
zeek_uid(uint64_t id, char ret_uid[18])
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char *p = ret_uid;
    for (*p++ = 'C'; p < ret_uid + 12; id /= 62) {
        *p++ = letters[id % 62];
    }
    *p = '\0';
}

static const char *
zeek_proto(const struct flow *f, char buf[8])
{
    return f->proto == BH_PROTO_ICMP6 ? "icmp" : bh_proto_name(f->proto, buf);
}

/* A record that goes on with a connection has no SYN: its readers would count another connection. */
static const char *
zeek_state(const struct flow *f)
{
    return f->part > 0 && f->proto == BH_PROTO_TCP ? "OTH" : flow_state(f);
}

static void
zeek_line(const struct cell_out *o)
{
    const struct flow *f = o->f;
    struct bh_buf *out = o->out;
    char uid[18], proto[8], from[BH_IP_TEXT_MAX], to[BH_IP_TEXT_MAX], community[COMMUNITY_ID_MAX];
    const struct bh_ip orig = flow_ip(f, ORIG), resp = flow_ip(f, RESP);
    const int64_t us = f->start_ns / 1000, took = f->last_ns / 1000 - us;
    zeek_uid(f->id, uid);
    bh_ip_format(&orig, from);
    bh_ip_format(&resp, to);
    flow_community_id(f, o->c->seed, community);
    bh_buf_printf(out, "%" PRId64 ".%06d\t%s\t%s\t%u\t%s\t%u\t%s\t-\t", us / 1000000,
                  (int)(us % 1000000), uid, from, f->port[ORIG], to, f->port[RESP],
                  zeek_proto(f, proto));
    if (f->packets[ORIG] + f->packets[RESP] > 1) {
        bh_buf_printf(out, "%" PRId64 ".%06d\t", took / 1000000, (int)(took % 1000000));
    } else {
        bh_buf_puts(out, "-\t");
    }
    bh_buf_printf(out, "%" PRIu64 "\t%" PRIu64 "\t%s\t%c\t%c\t0\t%.*s", f->payload[ORIG],
                  f->payload[RESP], zeek_state(f), (f->local & 1U << ORIG) != 0 ? 'T' : 'F',
                  (f->local & 1U << RESP) != 0 ? 'T' : 'F',
                  f->history_len == 0 ? 1 : f->history_len, f->history_len == 0 ? "-" : f->history);
    bh_buf_printf(out, "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t-\t%s\n",
                  f->packets[ORIG], f->bytes[ORIG], f->packets[RESP], f->bytes[RESP], community);
}

/* ---- both ---------------------------------------------------------------------------------------------- */

void
flow_text_head(enum flow_form form, int64_t now_ns, struct bh_buf *out)
{
    if (form == FORM_ZEEK) {
        zeek_head(now_ns, out);
    } else if (form == FORM_CSV) {
        for (size_t k = 0; k < BH_COUNT(fields); k++) {
            bh_buf_puts(out, fields[k].name);
            bh_buf_puts(out, k + 1 < BH_COUNT(fields) ? "," : "\r\n");
        }
    }
}

void
flow_text_line(enum flow_form form, const struct flow_writer_context *c, const struct flow *f,
               enum flow_end end, struct bh_buf *out)
{
    const struct cell_out o = { out, c, f, end, form == FORM_NDJSON };
    if (form == FORM_ZEEK) {
        zeek_line(&o);
        return;
    }
    for (size_t k = 0; k < BH_COUNT(fields); k++) {
        if (o.json) {
            bh_buf_puts(out, k == 0 ? "{\"" : ",\"");
            bh_buf_puts(out, fields[k].name);
            bh_buf_puts(out, "\":");
        } else if (k > 0) {
            bh_buf_putc(out, ',');
        }
        fields[k].put(&o, fields[k].side);
    }
    bh_buf_puts(out, o.json ? "}\n" : "\r\n");
}

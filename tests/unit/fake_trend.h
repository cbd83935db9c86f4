/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_trend.h - reports made by hand, for tests of what is told about them.
 *
 * fake_memo() has the numbers of the memo of 2007 (tests/memo-2007); fake_empty() has none.
 * Everything lies inside struct fake: tests may change it before they write or remark.
 */
#ifndef FAKE_TREND_H
#define FAKE_TREND_H

#include "bh_report.h"

#include <stdlib.h>

#define FAKE_PLACES 24
#define FAKE_PORTS 8
#define FAKE_BINS 122
#define FAKE_TREND_BINS 24

struct fake_port {
    uint16_t port;
    uint8_t proto;
    uint64_t count, sources;
    uint64_t outcomes[BH_OUTCOME_COUNT];
};
struct fake_country {
    const char *code;
    uint64_t count, sources, ports_distinct;
    struct fake_port ports[5];
};

/* The ten countries of the memo, then the home country. */
static const struct fake_country fake_memo_countries[] = {
    { "US",
      10900,
      2294,
      39,
      { { 25, BH_PROTO_TCP, 4885, 977, { 0, 3416, 746, 723, 0, 0, 0 } },
        { 139, BH_PROTO_TCP, 347, 69, { 0, 0, 0, 0, 0, 347, 0 } },
        { 1026, BH_PROTO_UDP, 304, 60, { 0, 0, 0, 0, 0, 0, 0 } },
        { 445, BH_PROTO_TCP, 303, 60, { 0, 0, 0, 0, 0, 303, 0 } },
        { 5900, BH_PROTO_TCP, 214, 42, { 0, 0, 0, 0, 123, 91, 0 } } } },
    { "CN",
      10400,
      2139,
      7,
      { { 25, BH_PROTO_TCP, 7130, 1426, { 0, 5014, 1029, 1087, 0, 0, 0 } },
        { 8080, BH_PROTO_TCP, 792, 158, { 0, 0, 0, 0, 531, 261, 0 } },
        { 22, BH_PROTO_TCP, 677, 135, { 0, 571, 62, 44, 0, 0, 0 } },
        { 1434, BH_PROTO_UDP, 604, 120, { 0, 0, 0, 0, 0, 0, 0 } },
        { 135, BH_PROTO_TCP, 574, 114, { 0, 0, 0, 0, 0, 574, 0 } } } },
    { "TW",
      4200,
      1036,
      7,
      { { 135, BH_PROTO_TCP, 1539, 307, { 0, 0, 0, 0, 0, 1539, 0 } },
        { 25, BH_PROTO_TCP, 943, 188, { 0, 682, 135, 126, 0, 0, 0 } },
        { 445, BH_PROTO_TCP, 568, 113, { 0, 0, 0, 0, 0, 568, 0 } },
        { 139, BH_PROTO_TCP, 500, 100, { 0, 0, 0, 0, 0, 500, 0 } },
        { 1080, BH_PROTO_TCP, 333, 66, { 0, 0, 0, 0, 230, 103, 0 } } } },
    { "KR",
      3000,
      861,
      16,
      { { 25, BH_PROTO_TCP, 1464, 292, { 0, 1011, 201, 252, 0, 0, 0 } },
        { 139, BH_PROTO_TCP, 542, 108, { 0, 0, 0, 0, 0, 542, 0 } },
        { 5900, BH_PROTO_TCP, 197, 39, { 0, 0, 0, 0, 147, 50, 0 } },
        { 4899, BH_PROTO_TCP, 122, 24, { 0, 0, 0, 0, 77, 45, 0 } },
        { 1433, BH_PROTO_TCP, 83, 16, { 0, 0, 0, 0, 64, 19, 0 } } } },
    { "AR",
      2930,
      838,
      174,
      { { 25, BH_PROTO_TCP, 1603, 320, { 0, 1130, 237, 236, 0, 0, 0 } },
        { 445, BH_PROTO_TCP, 27, 5, { 0, 0, 0, 0, 0, 27, 0 } },
        { 139, BH_PROTO_TCP, 21, 4, { 0, 0, 0, 0, 0, 21, 0 } },
        { 22, BH_PROTO_TCP, 20, 4, { 0, 18, 1, 1, 0, 0, 0 } },
        { 4899, BH_PROTO_TCP, 12, 2, { 0, 0, 0, 0, 7, 5, 0 } } } },
    { "DE",
      2860,
      751,
      105,
      { { 25, BH_PROTO_TCP, 661, 132, { 0, 448, 108, 105, 0, 0, 0 } },
        { 445, BH_PROTO_TCP, 82, 16, { 0, 0, 0, 0, 0, 82, 0 } },
        { 139, BH_PROTO_TCP, 75, 15, { 0, 0, 0, 0, 0, 75, 0 } },
        { 5900, BH_PROTO_TCP, 69, 13, { 0, 0, 0, 0, 47, 22, 0 } },
        { 22, BH_PROTO_TCP, 30, 6, { 0, 25, 2, 3, 0, 0, 0 } } } },
    { "IN",
      2800,
      679,
      6,
      { { 135, BH_PROTO_TCP, 1457, 291, { 0, 0, 0, 0, 0, 1457, 0 } },
        { 25, BH_PROTO_TCP, 784, 156, { 0, 556, 107, 121, 0, 0, 0 } },
        { 5900, BH_PROTO_TCP, 211, 42, { 0, 0, 0, 0, 143, 68, 0 } },
        { 2967, BH_PROTO_TCP, 162, 32, { 0, 0, 0, 0, 111, 51, 0 } },
        { 445, BH_PROTO_TCP, 152, 30, { 0, 0, 0, 0, 0, 152, 0 } } } },
    { "FR",
      1700,
      524,
      30,
      { { 25, BH_PROTO_TCP, 880, 176, { 0, 653, 119, 108, 0, 0, 0 } },
        { 139, BH_PROTO_TCP, 122, 24, { 0, 0, 0, 0, 0, 122, 0 } },
        { 445, BH_PROTO_TCP, 69, 13, { 0, 0, 0, 0, 0, 69, 0 } },
        { 22, BH_PROTO_TCP, 38, 7, { 0, 30, 6, 2, 0, 0, 0 } },
        { 5900, BH_PROTO_TCP, 35, 7, { 0, 0, 0, 0, 29, 6, 0 } } } },
    { "GB",
      1580,
      480,
      91,
      { { 25, BH_PROTO_TCP, 831, 166, { 0, 593, 130, 108, 0, 0, 0 } },
        { 139, BH_PROTO_TCP, 41, 8, { 0, 0, 0, 0, 0, 41, 0 } },
        { 445, BH_PROTO_TCP, 36, 7, { 0, 0, 0, 0, 0, 36, 0 } },
        { 5900, BH_PROTO_TCP, 34, 6, { 0, 0, 0, 0, 20, 14, 0 } },
        { 4899, BH_PROTO_TCP, 12, 2, { 0, 0, 0, 0, 10, 2, 0 } } } },
    { "BR",
      1500,
      401,
      7,
      { { 25, BH_PROTO_TCP, 1300, 260, { 0, 939, 184, 177, 0, 0, 0 } },
        { 22, BH_PROTO_TCP, 42, 8, { 0, 35, 5, 2, 0, 0, 0 } },
        { 445, BH_PROTO_TCP, 40, 8, { 0, 0, 0, 0, 0, 40, 0 } },
        { 139, BH_PROTO_TCP, 38, 7, { 0, 0, 0, 0, 0, 38, 0 } },
        { 5900, BH_PROTO_TCP, 36, 7, { 0, 0, 0, 0, 20, 16, 0 } } } },
    { "JP",
      28400,
      1235,
      18,
      { { 138, BH_PROTO_UDP, 23040, 2, { 0, 0, 0, 0, 0, 0, 0 } },
        { 25, BH_PROTO_TCP, 3476, 695, { 0, 3369, 80, 27, 0, 0, 0 } },
        { 22, BH_PROTO_TCP, 339, 67, { 0, 292, 26, 21, 0, 0, 0 } },
        { 2967, BH_PROTO_TCP, 194, 38, { 0, 0, 0, 0, 149, 45, 0 } },
        { 445, BH_PROTO_TCP, 147, 29, { 0, 0, 0, 0, 0, 147, 0 } } } },
};
static const struct {
    const char *code;
    uint64_t count, sources;
} fake_memo_others[] = { { "CA", 1210, 302 }, { "PL", 1100, 275 }, { "ES", 1030, 257 },
                         { "IT", 960, 240 },  { "RU", 900, 225 },  { "NL", 820, 205 },
                         { "TR", 700, 175 },  { "TH", 610, 152 },  { "MY", 540, 135 },
                         { "VN", 480, 120 } };

struct fake {
    struct bh_report report;
    struct bh_trend trend;
    struct bh_trend_place places[FAKE_PLACES];
    struct bh_trend_port ports[FAKE_PLACES][FAKE_PORTS];
    uint32_t spark[FAKE_PLACES][FAKE_TREND_BINS];
    struct bh_trend_place classes[4];
    struct bh_trend_row rows[64];
    struct bh_trend_cell cells[64][FAKE_PLACES];
    struct bh_trend_bin bins[FAKE_BINS];
    struct bh_trend_gap gaps[2];
    struct bh_trend_source listed[4], neighbours[4];
    struct bh_trend_burst bursts[2];
    struct bh_trend_visit visits[2];
    struct bh_home4 home4;
};

#define FAKE_NS INT64_C(1000000000)
#define FAKE_START (INT64_C(1175353200) * FAKE_NS) /* 2007-04-01T00:00+09:00 */
#define FAKE_DAY (INT64_C(86400) * FAKE_NS)

static inline void
fake_place(struct fake *f, struct bh_trend_place *p, size_t at, const char *code, uint64_t count,
           uint64_t sources)
{
    *p = (struct bh_trend_place){ .count = count, .accesses = count, .sources = sources };
    snprintf(p->place.code, sizeof p->place.code, "%s", code);
    p->place.kind = KOBOLD_COUNTRY;
    p->first_ns = FAKE_START + FAKE_NS;
    p->last_ns = FAKE_START + 121 * FAKE_DAY;
    p->top_source_count = count / 50;
    p->top_source = bh_ip_from_v4(0x0c010203U + (uint32_t)at);
    p->ports = f->ports[at];
    p->trend = f->spark[at];
    for (size_t i = 0; i < FAKE_TREND_BINS; i++) {
        p->trend[i] = (uint32_t)(count / 24 + (i * 37 + at * 11) % 17 * (count / 200 + 1));
    }
}

static inline void
fake_country(struct fake *f, struct bh_trend_place *p, size_t at, const struct fake_country *c)
{
    fake_place(f, p, at, c->code, c->count, c->sources);
    p->ports_distinct = c->ports_distinct;
    p->port_count = 5;
    for (size_t i = 0; i < 5; i++) {
        struct bh_trend_port *port = &f->ports[at][i];
        *port = (struct bh_trend_port){ .port = c->ports[i].port, .proto = c->ports[i].proto };
        port->count = c->ports[i].count;
        port->sources = c->ports[i].sources;
        memcpy(port->outcomes, c->ports[i].outcomes, sizeof port->outcomes);
    }
}

static inline int
fake_row_cmp(const void *a, const void *b)
{
    const struct bh_trend_row *x = a;
    const struct bh_trend_row *y = b;
    return x->port != y->port ? (x->port > y->port) - (x->port < y->port)
                              : (x->proto > y->proto) - (x->proto < y->proto);
}

/* The cross table from the places' ports; call again after changing them. */
static inline void
fake_crosstab(struct fake *f)
{
    struct bh_trend *t = &f->trend;
    t->crosstab = f->rows;
    t->crosstab_count = 0;
    for (size_t c = 0; c < t->shown; c++) {
        for (size_t i = 0; i < t->countries[c].port_count; i++) {
            const struct bh_trend_port *port = &t->countries[c].ports[i];
            size_t at = 0;
            while (at < t->crosstab_count &&
                   (f->rows[at].port != port->port || f->rows[at].proto != port->proto)) {
                at++;
            }
            struct bh_trend_row *row = &f->rows[at];
            if (at == t->crosstab_count) {
                *row = (struct bh_trend_row){ port->port, port->proto, f->cells[at], 0 };
                t->crosstab_count++;
            }
            row->cells[row->cell_count++] =
                (struct bh_trend_cell){ (uint16_t)c, port->count, true };
        }
    }
    qsort(f->rows, t->crosstab_count, sizeof *f->rows, fake_row_cmp);
}

static inline void
fake_time(struct fake *f)
{
    struct bh_trend *t = &f->trend;
    t->bin = BH_BIN_DAY;
    t->bins = f->bins;
    t->bin_count = FAKE_BINS;
    for (size_t i = 0; i < FAKE_BINS; i++) {
        bool off = i == 69 || i == 70; /* 2007-06-09 and -10 */
        f->bins[i] = (struct bh_trend_bin){ FAKE_START + (int64_t)i * FAKE_DAY, 0, 0, off };
        f->bins[i].count = off ? 0 : 500 + i * 97 % 311 + (i == 30 ? 600 : 0);
        f->bins[i].sources = f->bins[i].count / 5;
    }
    t->gaps = f->gaps;
    t->gap_count = 1;
    f->gaps[0] = (struct bh_trend_gap){ FAKE_START + 69 * FAKE_DAY - 12 * FAKE_NS,
                                        FAKE_START + 71 * FAKE_DAY + 40 * FAKE_NS, 2 };
}

static inline void
fake_base(struct fake *f, const char *const *files)
{
    memset(f, 0, sizeof *f);
    struct bh_report *r = &f->report;
    r->trend = &f->trend;
    r->options.files = files;
    r->options.file_count = 1;
    r->options.top = 10;
    r->options.ports = 5;
    snprintf(r->zone, sizeof r->zone, "Asia/Tokyo");
    snprintf(r->country_data.name, sizeof r->country_data.name, "test data");
    snprintf(r->country_data.date, sizeof r->country_data.date, "2026-06-17");
    snprintf(r->country_data.licence, sizeof r->country_data.licence, "CC0");
    f->home4 = (struct bh_home4){ 0x3b6a153cU, 0x3b6a153cU };
    r->home.v4 = &f->home4;
    r->home.v4_count = 1;
    bh_buf_puts(&r->home.networks, "59.106.21.60/24");
    bh_buf_puts(&r->home.text[BH_EN], "59.106.21.60, in the network 59.106.21.0/24");
    bh_buf_puts(&r->home.text[BH_JA], "59.106.21.60 (ネットワーク 59.106.21.0/24)");
    f->trend.start_ns = FAKE_START;
    f->trend.end_ns = FAKE_START + 122 * FAKE_DAY;
    f->trend.trend_bins = FAKE_TREND_BINS;
    f->trend.countries = f->places;
    f->trend.classes = f->classes;
    f->trend.listed = f->listed;
    f->trend.neighbours = f->neighbours;
    f->trend.bursts = f->bursts;
    f->trend.visits = f->visits;
}

static inline void
fake_memo_sources(struct fake *f)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct bh_trend_source *s = &f->neighbours[i];
        *s = (struct bh_trend_source){ .ip = bh_ip_from_v4(i == 0 ? 0x3b6a1551U : 0x3b6a1539U) };
        memcpy(s->code, "JP", 3);
        s->count = i == 0 ? 11521 : 11519;
        s->ports = 1;
        s->first_ns = FAKE_START;
        s->last_ns = FAKE_START + 122 * FAKE_DAY - FAKE_NS;
        s->same_network = true;
        s->mac = UINT64_C(0x000c29000051) + i;
    }
    f->trend.neighbour_count = 2;
    f->trend.home.top_source = f->neighbours[0].ip;
    f->trend.home.top_source_count = f->neighbours[0].count;
}

static inline void
fake_memo_totals(struct fake *f)
{
    struct bh_trend *t = &f->trend;
    t->outcomes_known = true;
    t->frames = 267273;
    t->packets = t->frames - 480;
    t->accesses = t->count_total = 78657;
    t->tcp_accesses = 52606;
    t->udp_accesses = 26051;
    t->sources = 13327;
    t->source_networks = 9000;
    t->countries_total = 21;
    t->pings = 390;
    t->ping_sources = 390;
    t->ping_then_accessed = 150;
    t->inbound_packets = 200000;
    t->outgoing_packets = 60000;
    t->cut_frames = 2000;
    t->layers[0] = t->packets;
    t->not_accesses[BH_CLASS_ARP] = 480;
    t->not_accesses[BH_CLASS_ICMP_ECHO_REPLY_SENT] = 390;
    t->not_accesses[BH_CLASS_ICMP_ECHO_REQUEST] = 390;
    t->not_accesses[BH_CLASS_ICMP_UNREACHABLE_SENT] = 744;
    t->not_accesses[BH_CLASS_TCP_ACK_SCAN] = 20;
    t->not_accesses[BH_CLASS_TCP_BACKSCATTER] = 648;
    t->not_accesses[BH_CLASS_TCP_FIN_SCAN] = 20;
    t->not_accesses[BH_CLASS_TCP_NULL_SCAN] = 20;
    t->not_accesses[BH_CLASS_TCP_XMAS_SCAN] = 20;
}

static inline void
fake_memo(struct fake *f)
{
    static const char *const files[] = { "memo-2007.pcap" };
    fake_base(f, files);
    struct bh_trend *t = &f->trend;
    size_t n = 0;
    for (; n < 10; n++) {
        fake_country(f, &f->places[n], n, &fake_memo_countries[n]);
    }
    for (size_t i = 0; i < BH_COUNT(fake_memo_others); i++, n++) {
        fake_place(f, &f->places[n], n, fake_memo_others[i].code, fake_memo_others[i].count,
                   fake_memo_others[i].sources);
        t->others_count += fake_memo_others[i].count;
        t->others_countries++;
    }
    t->country_count = n;
    t->shown = 10;
    fake_country(f, &t->home, n, &fake_memo_countries[10]);
    memcpy(f->report.home_country, "JP", 3);
    f->report.home_country_from = BH_FROM_HOME_ADDRESS;
    t->class_count = 2;
    fake_place(f, &f->classes[0], n + 1, "", 30, 2);
    fake_place(f, &f->classes[1], n + 2, "", 7, 1);
    for (size_t i = 0; i < 2; i++) {
        struct bh_place *p = &f->classes[i].place;
        p->kind = KOBOLD_SPECIAL;
        snprintf(p->class_name, sizeof p->class_name, "%s", i == 0 ? "private-use" : "link-local");
        snprintf(p->rfc, sizeof p->rfc, "%s", i == 0 ? "RFC 1918" : "RFC 3927");
    }
    t->no_country_count = 37;
    fake_memo_totals(f);
    fake_memo_sources(f);
    fake_crosstab(f);
    fake_time(f);
}

/* A capture that holds only answers to connections of its own host. */
static inline void
fake_empty(struct fake *f)
{
    static const char *const files[] = { "mine.pcap" };
    fake_base(f, files);
    f->trend.frames = f->trend.packets = f->trend.inbound_packets = 41200;
    f->trend.not_accesses[BH_CLASS_TCP_IN_FLOW] = 41000;
    f->trend.not_accesses[BH_CLASS_UDP_ANSWER] = 200;
    f->home4 = (struct bh_home4){ 0xc0a80105U, 0xc0a80105U };
}

static inline void
fake_done(struct fake *f)
{
    struct bh_report *r = &f->report;
    for (size_t i = 0; i < r->remark_count; i++) {
        free(r->remarks[i].text[BH_EN]);
        free(r->remarks[i].text[BH_JA]);
    }
    free(r->remarks);
    bh_buf_done(&r->home.networks);
    bh_buf_done(&r->home.text[BH_EN]);
    bh_buf_done(&r->home.text[BH_JA]);
}

#endif

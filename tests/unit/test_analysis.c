/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From batches to a trend, by the rules of counting: what carries, ranks, adds up and stays apart. The
 * country database is a small pretended one, as in test_filter.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "batch_rows.h"
#include "bh_analysis.h"

#define HOME "203.0.113.60"
#define START (1000 * SEC)
#define HOUR (3600 * SEC)

/* ---- a country database: the first octet tells -------------------------------------------------- */

struct kobold {
    int unused;
};
static const kobold pretended = { 0 };

static const struct kobold_value values[] = {
    { .code = "ZZ", .kind = KOBOLD_UNKNOWN },
    { .kind = KOBOLD_UNALLOCATED },
    { .code = "US", .kind = KOBOLD_COUNTRY },
    { .code = "JP", .kind = KOBOLD_COUNTRY },
    { .code = "CN", .kind = KOBOLD_COUNTRY },
    { .code = "DE", .kind = KOBOLD_COUNTRY },
    { .code = "FR", .kind = KOBOLD_COUNTRY },
    { .kind = KOBOLD_SPECIAL, .class_name = "private-use" },
};

/* 2.x is the US, 3.x Japan, ... 10.x private. */
uint16_t
kobold_v4(const kobold *k, uint32_t host_order)
{
    (void)k;
    unsigned first = host_order >> 24;
    return first == 10 ? 7 : first >= 2 && first <= 6 ? (uint16_t)first : 1;
}

uint16_t
kobold_v6(const kobold *k, uint64_t hi, uint64_t lo)
{
    (void)k;
    (void)hi;
    (void)lo;
    return 1;
}

void
kobold_v4_many(const kobold *k, const uint32_t *addr, uint16_t *ret_values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ret_values[i] = kobold_v4(k, addr[i]);
    }
}

void
kobold_v6_many(const kobold *k, const uint64_t (*addr)[2], uint16_t *ret_values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ret_values[i] = kobold_v6(k, addr[i][0], addr[i][1]);
    }
}

bool
kobold_value_info(const kobold *k, uint16_t value, struct kobold_value *ret)
{
    (void)k;
    if (value >= BH_COUNT(values)) {
        return false;
    }
    *ret = values[value];
    return true;
}

unsigned
kobold_value_count(const kobold *k)
{
    (void)k;
    return BH_COUNT(values);
}

/* ---- a tally with the least a caller has to do around it ---------------------------------------- */

struct desk {
    struct bh_places places;
    struct bh_home home;
    struct bh_served served[4];
    struct bh_tally_config cfg;
    struct bh_trend_options options;
    struct bh_tally *tally[2];
    struct bh_batch *batch;
    struct bh_trend *trend;
};

static void
desk_open(struct desk *d, unsigned shards, const char *served, struct bh_period period)
{
    memset(d, 0, sizeof *d);
    bh_places_init(&d->places, &pretended, false, "JP");
    assert_int_equal(bh_home_parse(HOME, &d->home, NULL), 0);
    d->cfg = (struct bh_tally_config){ .countries = &pretended,
                                       .places = &d->places,
                                       .home = &d->home,
                                       .period = period,
                                       .served = d->served,
                                       .home_country = "JP",
                                       .list_port = -1,
                                       .list_proto = -1,
                                       .outcomes = true,
                                       .two_sided = true,
                                       .shards = shards,
                                       .key = 7 };
    d->options = (struct bh_trend_options){
        .top = 3, .ports = 20, .crosstab_all = true, .period = period, .home_country = "JP"
    };
    if (served != NULL) {
        assert_int_equal(
            bh_served_parse(served, d->served, BH_COUNT(d->served), &d->cfg.served_count, NULL), 0);
    }
    for (unsigned k = 0; k < shards; k++) {
        assert_int_equal(bh_tally_new(&d->cfg, &d->tally[k]), 0);
    }
    d->batch = bh_batch_new();
    assert_non_null(d->batch);
}

static void
desk_close(struct desk *d)
{
    bh_trend_free(d->trend);
    bh_tally_free(d->tally[0]);
    bh_home_done(&d->home);
    bh_batch_free(d->batch);
}

static void
desk_flush(struct desk *d, unsigned shard)
{
    bh_tally_sources(d->tally[shard], d->batch);
    bh_tally_counts(d->tally[shard], d->batch, NULL, 0);
    bh_batch_reset(d->batch);
}

/* `n` accesses, as lib/track would have judged them. */
static void
knock(struct desk *d, unsigned shard, int64_t ts_ns, const char *src, unsigned proto, unsigned port,
      unsigned n)
{
    struct row r = proto == BH_PROTO_TCP ? tcp_row(ts_ns, src, 40000, HOME, port, BH_TCP_SYN)
                                         : udp_row(ts_ns, src, 40000, HOME, port);
    for (unsigned k = 0; k < n; k++) {
        if (d->batch->rows == BH_BATCH_ROWS) {
            desk_flush(d, shard);
        }
        uint32_t i = row_add(d->batch, &r);
        d->batch->direction[i] = BH_DIR_IN;
        d->batch->cls[i] = BH_CLASS_ACCESS;
    }
    desk_flush(d, shard);
}

#define TCP BH_PROTO_TCP
#define UDP BH_PROTO_UDP

static const struct bh_trend *
desk_trend(struct desk *d)
{
    static const struct bh_track_bounds bounds = { 0 };
    if (d->tally[1] != NULL) {
        assert_int_equal(bh_tally_merge(d->tally[0], d->tally[1]), 0);
        d->tally[1] = NULL;
    }
    assert_int_equal(bh_trend_new(d->tally[0], &d->options, &bounds, &d->trend), 0);
    return d->trend;
}

static const struct bh_period always = { .start_ns = INT64_MIN, .end_ns = INT64_MAX };

static const struct bh_trend_port *
port_of(const struct bh_trend_place *p, unsigned proto, unsigned port)
{
    for (size_t i = 0; i < p->port_count; i++) {
        if (p->ports[i].port == port && p->ports[i].proto == proto) {
            return &p->ports[i];
        }
    }
    fail_msg("no port %u", port);
    return NULL;
}

/* ---- counting ----------------------------------------------------------------------------------- */

static void
counters_carry(void **state)
{
    (void)state;
    static const unsigned counts[] = { 1, 15, 16, 17, 31, 32, 33, 255, 256, 257, 1000 };
    struct desk d;
    desk_open(&d, 1, NULL, always);
    for (size_t i = 0; i < BH_COUNT(counts); i++) {
        knock(&d, 0, START, "2.0.0.1", TCP, 1000 + (unsigned)i, counts[i]);
    }
    const struct bh_trend *t = desk_trend(&d);
    assert_int_equal(t->country_count, 1);
    assert_int_equal(t->crosstab_count, BH_COUNT(counts));
    for (size_t i = 0; i < BH_COUNT(counts); i++) {
        const struct bh_trend_port *p = port_of(&t->countries[0], TCP, 1000 + (unsigned)i);
        assert_int_equal(p->count, counts[i]);
        assert_int_equal(p->outcomes[BH_OUTCOME_SILENT], counts[i]);
        assert_int_equal(t->crosstab[i].cells[0].count, counts[i]);
        assert_int_equal(p->sources, 1);
    }
    desk_close(&d);
}

/* Every way two counters of 0 to 33 meet. */
static void
threads_add_up(void **state)
{
    (void)state;
    static const unsigned counts[] = { 0, 1, 7, 8, 15, 16, 17, 33 };
    struct desk d;
    uint64_t sum = 0;
    desk_open(&d, 2, NULL, always);
    d.options.ports = BH_COUNT(counts) * BH_COUNT(counts);
    for (unsigned a = 0; a < BH_COUNT(counts); a++) {
        for (unsigned b = 0; b < BH_COUNT(counts); b++) {
            knock(&d, 0, START, "2.0.0.1", TCP, 100 + a * 10 + b, counts[a]);
            knock(&d, 1, START + HOUR, "2.0.0.2", TCP, 100 + a * 10 + b, counts[b]);
            sum += counts[a] + counts[b];
        }
    }
    const struct bh_trend *t = desk_trend(&d);
    assert_int_equal(t->accesses, sum);
    assert_int_equal(t->sources, 2);
    assert_int_equal(t->countries[0].sources, 2);
    for (unsigned a = 0; a < BH_COUNT(counts); a++) {
        for (unsigned b = a == 0; b < BH_COUNT(counts); b++) {
            const struct bh_trend_port *p = port_of(&t->countries[0], TCP, 100 + a * 10 + b);
            assert_int_equal(p->count, counts[a] + counts[b]);
            assert_int_equal(p->sources, (a > 0) + (b > 0));
        }
    }
    desk_close(&d);
}

static void
sources_are_distinct(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d, 1, NULL, always);
    for (int hour = 0; hour < 3; hour++) {
        knock(&d, 0, START + hour * HOUR, "2.0.0.1", TCP, 53, 5);
        knock(&d, 0, START + hour * HOUR, "2.0.0.1", UDP, 53, 5);
        knock(&d, 0, START + hour * HOUR, "2.0.0.2", UDP, 53, 1);
    }
    const struct bh_trend *t = desk_trend(&d);
    assert_int_equal(t->sources, 2);
    assert_int_equal(t->source_networks, 1);
    assert_int_equal(t->countries[0].sources, 2);
    assert_int_equal(port_of(&t->countries[0], TCP, 53)->sources, 1);
    assert_int_equal(port_of(&t->countries[0], UDP, 53)->sources, 2);
    assert_int_equal(t->bin_count, 3);
    for (size_t i = 0; i < t->bin_count; i++) {
        assert_int_equal(t->bins[i].count, 11);
        assert_int_equal(t->bins[i].sources, 2);
    }
    desk_close(&d);
}

static void
a_period_is_half_open(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d, 1, NULL, (struct bh_period){ .start_ns = START, .end_ns = START + SEC });
    knock(&d, 0, START - 1, "2.0.0.1", TCP, 1, 1);
    knock(&d, 0, START, "2.0.0.1", TCP, 2, 1);
    knock(&d, 0, START + SEC - 1, "2.0.0.1", TCP, 3, 1);
    knock(&d, 0, START + SEC, "2.0.0.1", TCP, 4, 1);
    const struct bh_trend *t = desk_trend(&d);
    assert_int_equal(t->accesses, 2);
    assert_int_equal(t->frames, 2);
    assert_int_equal(t->countries[0].port_count, 2);
    assert_int_equal(t->countries[0].ports[0].port, 2);
    assert_int_equal(t->countries[0].ports[1].port, 3);
    desk_close(&d);
}

/* ---- ranking ------------------------------------------------------------------------------------- */

/* Count, then country code; port, then protocol. */
static void
ranking_and_ties(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d, 1, NULL, always);
    knock(&d, 0, START, "5.0.0.1", TCP, 22, 20);
    knock(&d, 0, START, "6.0.0.1", TCP, 22, 21);
    knock(&d, 0, START, "4.0.0.1", UDP, 23, 4);
    knock(&d, 0, START, "4.0.0.1", TCP, 23, 4);
    knock(&d, 0, START, "4.0.0.1", TCP, 8080, 4);
    knock(&d, 0, START, "4.0.0.1", TCP, 80, 3);
    knock(&d, 0, START, "4.0.0.1", TCP, 22, 4);
    knock(&d, 0, START, "4.0.0.1", TCP, 443, 1);
    const struct bh_trend *t = desk_trend(&d);
    static const char *const codes[] = { "FR", "CN", "DE" };
    static const struct {
        uint16_t port;
        uint8_t proto;
    } ports[] = { { 22, TCP }, { 23, TCP }, { 23, UDP }, { 8080, TCP }, { 80, TCP }, { 443, TCP } };
    assert_int_equal(t->shown, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(t->countries[i].place.code, codes[i]);
    }
    const struct bh_trend_place *cn = &t->countries[1];
    assert_int_equal(cn->port_count, BH_COUNT(ports));
    for (size_t i = 0; i < BH_COUNT(ports); i++) {
        assert_int_equal(cn->ports[i].port, ports[i].port);
        assert_int_equal(cn->ports[i].proto, ports[i].proto);
    }
    desk_close(&d);
}

static void
others_hold_the_rest(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d, 1, NULL, always);
    d.options.top = 2;
    knock(&d, 0, START, "2.0.0.1", TCP, 22, 5);
    knock(&d, 0, START, "4.0.0.1", TCP, 22, 4);
    knock(&d, 0, START, "5.0.0.1", TCP, 22, 3);
    knock(&d, 0, START, "6.0.0.1", TCP, 22, 2);
    knock(&d, 0, START, "10.0.0.1", TCP, 22, 1);
    const struct bh_trend *t = desk_trend(&d);
    assert_int_equal(t->shown, 2);
    assert_int_equal(t->country_count, 4);
    assert_int_equal(t->others_countries, 2);
    assert_int_equal(t->others_count, 5);
    assert_int_equal(t->class_count, 1);
    assert_string_equal(t->classes[0].place.class_name, "private-use");
    assert_int_equal(t->no_country_count, 1);
    assert_int_equal(t->count_total, 15);
    desk_close(&d);
}

static void
home_country_is_apart(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d, 1, NULL, always);
    knock(&d, 0, START, "3.0.0.1", UDP, 138, 50);
    knock(&d, 0, START, "2.0.0.1", TCP, 22, 2);
    const struct bh_trend *t = desk_trend(&d);
    assert_int_equal(t->country_count, 1);
    assert_string_equal(t->countries[0].place.code, "US");
    assert_string_equal(t->home.place.code, "JP");
    assert_int_equal(t->home.count, 50);
    assert_int_equal(port_of(&t->home, UDP, 138)->count, 50);
    assert_int_equal(t->crosstab_count, 1);
    assert_int_equal(t->crosstab[0].port, 22);
    assert_int_equal(t->count_total, 52);
    assert_int_equal(t->countries_total, 2);
    desk_close(&d);
}

static void
visits_are_not_ranked(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d, 1, "25/tcp@home,22/tcp@4.16.0.0/12+fr", always);
    knock(&d, 0, START, "3.0.0.1", TCP, 25, 3);
    knock(&d, 0, START, "3.0.0.2", TCP, 25, 1);
    knock(&d, 0, START, "3.0.0.1", UDP, 25, 1); /* not served */
    knock(&d, 0, START, "2.0.0.1", TCP, 25, 5); /* not offered to them */
    knock(&d, 0, START, "4.31.255.255", TCP, 22, 7);
    knock(&d, 0, START, "4.32.0.0", TCP, 22, 11); /* just outside */
    knock(&d, 0, START, "6.0.0.1", TCP, 22, 13);
    const struct bh_trend *t = desk_trend(&d);
    assert_int_equal(t->accesses, 41);
    assert_int_equal(t->visits_total, 24);
    assert_int_equal(t->visit_count, 2);
    assert_int_equal(t->visits[0].count, 4);
    assert_int_equal(t->visits[0].sources, 2);
    assert_int_equal(t->visits[1].count, 20);
    assert_int_equal(t->visits[1].sources, 2);
    assert_int_equal(t->home.count, 1);
    assert_int_equal(t->country_count, 2);
    assert_string_equal(t->countries[0].place.code, "CN");
    assert_int_equal(t->countries[0].count, 11);
    assert_int_equal(t->countries[0].sources, 1);
    assert_int_equal(t->countries[1].count, 5);
    assert_int_equal(t->count_total, 17);
    desk_close(&d);
}

static int
set_zone(void **state)
{
    (void)state;
    return bh_zone_set("UTC", NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_carry),        cmocka_unit_test(threads_add_up),
        cmocka_unit_test(sources_are_distinct),  cmocka_unit_test(a_period_is_half_open),
        cmocka_unit_test(ranking_and_ties),      cmocka_unit_test(others_hold_the_rest),
        cmocka_unit_test(home_country_is_apart), cmocka_unit_test(visits_are_not_ranked),
    };
    return cmocka_run_group_tests(tests, set_zone, NULL);
}

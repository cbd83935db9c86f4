/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tally_lab.h - a tally with the least a caller has to do around it, for test_tally.c and
 * test_trend.c: a small country database, a home, rows that lib/track need not have judged.
 */
#ifndef TALLY_LAB_H
#define TALLY_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "batch_rows.h"
#include "bh_analysis.h"
#include "kobold_compile.h"

#define HOUR (3600 * SEC)
#define DAY (24 * HOUR)
#define START (INT64_C(1175353200) * SEC) /* 2007-03-31T15:00Z, a Saturday; midnight in Tokyo */
#define HOME "203.0.113.60/24,2001:db8::5/64"
#define US "203.0.113.60"
#define US6 "2001:db8::5"

/* One /8 or /32 for each country, so that a test sees the country in the address. */
static const char lab_ranges[] = "20.0.0.0/8,US\n21.0.0.0/8,CN\n22.0.0.0/8,TW\n23.0.0.0/8,DE\n"
                                 "24.0.0.0/8,BR\n25.0.0.0/8,JP\n26.0.0.0/8,EU\n27.0.0.0/8,AP\n"
                                 "28.0.0.0/8,ZZ\n29.0.0.0/8,GB\n30.0.0.0/8,FR\n31.0.0.0/8,KR\n"
                                 "2a00:14::/32,US\n2a00:15::/32,CN\n2a00:16::/32,JP\n";

static struct lab_world {
    uint8_t *data;
    kobold *countries;
    struct bh_home home;
} world;

static int
world_open(void **state)
{
    (void)state;
    struct bh_error err = { 0 };
    size_t size = 0;
    kobold_build *b = kobold_build_new();
    int r = b == NULL ? -1
                      : kobold_build_add(b, "lab", lab_ranges, strlen(lab_ranges),
                                         KOBOLD_FORMAT_AUTO, KOBOLD_LAYER_DATA, NULL, &err);
    r = r != 0 ? r : kobold_build_finish(b, &world.data, &size, &err);
    r = r != 0 ? r : kobold_open_memory(world.data, size, &world.countries);
    r = r != 0 ? r : bh_home_parse(HOME, &world.home, &err);
    kobold_build_free(b);
    return r != 0 ? r : bh_zone_set("UTC", NULL);
}

static int
world_close(void **state)
{
    (void)state;
    kobold_close(world.countries);
    free(world.data);
    bh_home_done(&world.home);
    return 0;
}

struct lab {
    struct bh_places places;
    struct bh_tally_config cfg;
    struct bh_tally *tally;
    struct bh_batch *batch;
    struct bh_move moves[BH_BATCH_ROWS];
    size_t move_count; /* with the next flush */
};

/* What a test does not say. */
static struct bh_tally_config
lab_config(void)
{
    return (struct bh_tally_config){ .period = { INT64_MIN, INT64_MAX, 0 },
                                     .home_country = "JP",
                                     .list_port = -1,
                                     .list_proto = -1,
                                     .outcomes = true,
                                     .start_ns = START,
                                     .shards = 1,
                                     .key = 42 };
}

static void
lab_open(struct lab *l, const struct bh_tally_config *cfg, bool by_region)
{
    memset(l, 0, sizeof *l);
    l->cfg = *cfg;
    l->cfg.countries = world.countries;
    l->cfg.home = &world.home;
    l->cfg.places = &l->places;
    bh_places_init(&l->places, world.countries, by_region, cfg->home_country);
    l->batch = bh_batch_new();
    assert_non_null(l->batch);
    assert_int_equal(bh_tally_new(&l->cfg, &l->tally), 0);
}

static void
lab_close(struct lab *l)
{
    bh_tally_free(l->tally);
    bh_batch_free(l->batch);
}

static void
lab_flush(struct lab *l)
{
    bh_tally_sources(l->tally, l->batch);
    bh_tally_counts(l->tally, l->batch, l->moves, l->move_count);
    l->move_count = 0;
    bh_batch_reset(l->batch);
}

/* The place of an address; moves are named by it. */
static uint16_t
lab_place(const struct lab *l, const struct bh_ip *ip)
{
    uint16_t value = kobold_lookup(world.countries, ip->octets, ip->family).value;
    return l->places.of_value[value];
}

/* A row that lib/track has judged; returns its number in the batch. */
static uint32_t
lab_put(struct lab *l, const struct row *r, unsigned direction, unsigned cls)
{
    if (l->batch->rows == BH_BATCH_ROWS) {
        lab_flush(l);
    }
    uint32_t i = row_add(l->batch, r);
    l->batch->direction[i] = (uint8_t)direction;
    l->batch->cls[i] = (uint8_t)cls;
    return i;
}

BH_UNUSED static void
lab_tcp(struct lab *l, int64_t ts_ns, const char *src, unsigned port)
{
    const char *home = strchr(src, ':') != NULL ? US6 : US;
    struct row r = tcp_row(ts_ns, src, 40000, home, port, BH_TCP_SYN);
    lab_put(l, &r, BH_DIR_IN, BH_CLASS_ACCESS);
}

BH_UNUSED static void
lab_udp(struct lab *l, int64_t ts_ns, const char *src, unsigned port)
{
    const char *home = strchr(src, ':') != NULL ? US6 : US;
    struct row r = udp_row(ts_ns, src, 40000, home, port);
    lab_put(l, &r, BH_DIR_IN, BH_CLASS_ACCESS);
}

BH_UNUSED static void
lab_ping(struct lab *l, int64_t ts_ns, const char *src)
{
    struct row r = icmp_row(ts_ns, src, strchr(src, ':') != NULL ? US6 : US, 8, 0);
    lab_put(l, &r, BH_DIR_IN, BH_CLASS_ICMP_ECHO_REQUEST);
}

/* The trend of what was put; bh_trend_free() it. */
static struct bh_trend *
lab_trend(struct lab *l, const struct bh_trend_options *o)
{
    struct bh_track_bounds bounds = { 0 };
    struct bh_trend *t = NULL;
    lab_flush(l);
    assert_int_equal(bh_trend_new(l->tally, o, &bounds, &t), 0);
    return t;
}

static struct bh_trend_options
lab_options(const struct lab *l)
{
    struct bh_trend_options o = { .top = 10, .ports = 5, .period = l->cfg.period };
    memcpy(o.home_country, l->cfg.home_country, sizeof o.home_country);
    return o;
}

BH_UNUSED static const struct bh_trend_place *
trend_place(const struct bh_trend *t, const char *code)
{
    for (size_t i = 0; i < t->country_count; i++) {
        if (strcmp(t->countries[i].place.code, code) == 0) {
            return &t->countries[i];
        }
    }
    return strcmp(t->home.place.code, code) == 0 ? &t->home : NULL;
}

BH_UNUSED static const struct bh_trend_place *
trend_class(const struct bh_trend *t, const char *name)
{
    for (size_t i = 0; i < t->class_count; i++) {
        if (strcmp(t->classes[i].place.class_name, name) == 0) {
            return &t->classes[i];
        }
    }
    return NULL;
}

BH_UNUSED static const struct bh_trend_port *
trend_port(const struct bh_trend_place *p, unsigned port, unsigned proto)
{
    for (size_t i = 0; p != NULL && i < p->port_count; i++) {
        if (p->ports[i].port == port && p->ports[i].proto == proto) {
            return &p->ports[i];
        }
    }
    return NULL;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each of several sensors saw, when a report is of more than one: counts by port, distinct
 * sources, first and last record.
 *
 * The tables of the report itself are not asked: a source is one there, whoever saw it. Here it counts
 * once for each sensor, out of a set of pairs of its own, so that the countries of a report do not
 * become estimates because there are fifty sensors.
 *
 * Memory: 48 octets a sensor, up to 1 MiB for each digit of its ports (few: 4 octets each), pairs as in
 * pairs.c, 1 KiB a sketch beyond them.
 */
#include "trend_priv.h"

#include <errno.h>
#include <stdlib.h>

/* Keys of sketches: a sensor's sources, and those of a port of it. */
#define KEY_OF_SENSOR(sensor) PAIR_KEY_PLACE(sensor)

_Static_assert(BH_TALLY_SENSORS_MAX <= BH_PLACES_MAX,
               "a sensor has a row of digits and a sketch, as places do");

int
sensors_init(struct sensors *s, const struct bh_tally_config *cfg)
{
    if (cfg->sensor_count == 0) {
        return 0;
    }
    s->count = cfg->sensor_count < BH_TALLY_SENSORS_MAX ? cfg->sensor_count : BH_TALLY_SENSORS_MAX;
    s->sum = calloc(s->count + 1, sizeof *s->sum);
    for (size_t k = 0; s->sum != NULL && k < s->count; k++) {
        s->sum[k].first_ns = INT64_MAX;
        s->sum[k].last_ns = INT64_MIN;
    }
    bool ok = s->sum != NULL && digits_init(&s->ports, &s->slabs, cfg->key) == 0 &&
              sketches_init(&s->sketches) == 0 &&
              pairs_init(&s->pairs, cfg->expected_frames * (cfg->count == BH_COUNT_SOURCES ? 2 : 1),
                         cfg->shards, NULL) == 0;
    return ok ? 0 : -ENOMEM;
}

void
sensors_done(struct sensors *s)
{
    digits_done(&s->ports);
    slabs_done(&s->slabs);
    sketches_done(&s->sketches);
    pairs_done(&s->pairs);
    free(s->sum);
    *s = (struct sensors){ 0 };
}

/* ---- counting ------------------------------------------------------------------------------------ */

static uint64_t
hash_of_source(const struct bh_tally *t, const struct bh_batch *b, uint32_t i)
{
    if (b->kind[i] == BH_KIND_IP4) {
        return source4_hash(&t->sources, b->src[i]);
    }
    const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
    return source6_hash(&t->sources, p->src_hi, p->src_lo);
}

/* Estimates should be the same from run to run: their key is. */
static uint64_t
estimate_hash(const struct bh_tally *t, const struct bh_batch *b, uint32_t i)
{
    const uint64_t key = t->cfg.sketch_key;
    if (b->kind[i] == BH_KIND_IP4) {
        return bh_mix64(b->src[i] ^ key, 0x9e3779b97f4a7c15ULL);
    }
    const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
    return bh_mix64(bh_mix64(p->src_hi ^ key, p->src_lo), key);
}

/* Is the source new to this key, and counted exactly? */
static bool
is_new(struct bh_tally *t, const struct bh_batch *b, uint32_t i, uint64_t hash, uint32_t key)
{
    struct sensors *s = &t->sensors;
    const enum pair p = pairs_add(&s->pairs, bh_mix64(hash, key));
    if (p == PAIR_OVER) {
        s->pairs_over++;
        sketches_add(&s->sketches, estimate_hash(t, b, i), key);
    }
    return p == PAIR_NEW;
}

static bool
has_port(const struct bh_batch *b, uint32_t i)
{
    return (b->proto[i] == BH_PROTO_TCP || b->proto[i] == BH_PROTO_UDP) &&
           (b->marks[i] & BH_MARK_NO_PORTS) == 0;
}

static void
count_access(struct bh_tally *t, const struct bh_batch *b, uint32_t i, uint32_t sensor)
{
    struct sensors *s = &t->sensors;
    const uint64_t hash = hash_of_source(t, b, i), weight = b->has_weight ? b->weight[i] : 1;
    const uint32_t cell = cell_of(sensor, b->proto[i], b->ports[i] & 0xffff);
    s->sum[sensor].accesses += weight;
    s->sum[sensor].sources += is_new(t, b, i, hash, KEY_OF_SENSOR(sensor));
    if (t->cfg.count == BH_COUNT_ACCESSES) {
        digits_add_wide(&s->ports, cell, weight);
    } else if (t->cfg.count == BH_COUNT_SOURCES) {
        digits_add_wide(&s->ports, cell, is_new(t, b, i, hash, cell));
    }
}

void
sensors_count(struct bh_tally *t, const struct bh_batch *b)
{
    struct sensors *s = &t->sensors;
    if (b->sensor_names == NULL) {
        return;
    }
    for (uint32_t i = 0; i < b->rows; i++) {
        const uint32_t sensor = b->sensor[i];
        if (b->counted[i] == 0 || sensor >= s->count) {
            continue;
        }
        struct sensor_sum *sum = &s->sum[sensor];
        sum->records++;
        if ((b->marks[i] & BH_MARK_BAD_TIME) == 0) {
            sum->first_ns = b->ts_ns[i] < sum->first_ns ? b->ts_ns[i] : sum->first_ns;
            sum->last_ns = b->ts_ns[i] > sum->last_ns ? b->ts_ns[i] : sum->last_ns;
        }
        if (b->cls[i] == BH_CLASS_ACCESS && b->counted[i] == 1) {
            count_access(t, b, i, sensor);
        }
        if (t->is_wide && tally_is_wide_row(b, i)) {
            const uint64_t n = tally_wide_unit(t, b, i);
            sum->count += n;
            if (has_port(b, i)) {
                digits_add_wide(&s->ports, cell_of(sensor, b->proto[i], b->ports[i] & 0xffff), n);
            }
        }
    }
}

/* Shards have other sources each: all adds up but the sketches, which logs with one shard alone have. */
void
sensors_merge(struct bh_tally *into, const struct bh_tally *from)
{
    struct sensors *s = &into->sensors;
    const struct sensors *f = &from->sensors;
    for (size_t k = 0; f->sum != NULL && k < s->count; k++) {
        s->sum[k].records += f->sum[k].records;
        s->sum[k].accesses += f->sum[k].accesses;
        s->sum[k].count += f->sum[k].count;
        s->sum[k].sources += f->sum[k].sources;
        s->sum[k].first_ns =
            f->sum[k].first_ns < s->sum[k].first_ns ? f->sum[k].first_ns : s->sum[k].first_ns;
        s->sum[k].last_ns =
            f->sum[k].last_ns > s->sum[k].last_ns ? f->sum[k].last_ns : s->sum[k].last_ns;
        for (unsigned level = 0; level < DIGIT_LEVELS / 2; level++) {
            struct digit it = { 0 };
            while (digit_next(&f->ports, level, (uint32_t)k, &it)) {
                digits_add_wide(&s->ports, it.cell, (uint64_t)it.octet << 8 * level);
            }
        }
    }
    s->pairs_over += f->pairs_over;
    s->ports.lost += f->ports.lost;
}

/* ---- the result ------------------------------------------------------------------------------------- */

static uint64_t
sources_of(const struct sensors *s, size_t k)
{
    const uint64_t exact = s->sum[k].sources, accesses = s->sum[k].accesses;
    return exact + sketches_get(&s->sketches, KEY_OF_SENSOR((uint32_t)k),
                                accesses > exact ? accesses - exact : 0);
}

static uint64_t
unit_of(const struct build *b, const struct bh_trend_sensor *x, size_t k)
{
    return b->t->cfg.count == BH_COUNT_ACCESSES  ? x->accesses
           : b->t->cfg.count == BH_COUNT_SOURCES ? x->sources
                                                 : b->t->sensors.sum[k].count;
}

static int
by_count(const void *a, const void *b)
{
    const struct bh_trend_sensor *x = a;
    const struct bh_trend_sensor *y = b;
    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

static int
by_port(const void *a, const void *b)
{
    const struct bh_trend_row *x = a;
    const struct bh_trend_row *y = b;
    return x->port != y->port ? (int)x->port - (int)y->port : (int)x->proto - (int)y->proto;
}

static bool
is_among(const struct bh_trend_sensor *x, const struct bh_trend_row *row)
{
    for (size_t k = 0; k < x->port_count; k++) {
        if (x->ports[k].port == row->port && x->ports[k].proto == row->proto) {
            return true;
        }
    }
    return false;
}

/* Ports of all sensors' tops, each once. */
static int
list_ports(struct bh_trend *o, size_t ports)
{
    struct bh_trend_row *rows = calloc(o->sensor_count * ports + 1, sizeof *rows);
    size_t n = 0, kept = 0;
    if (rows == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < o->sensor_count; i++) {
        for (size_t k = 0; k < o->sensors[i].port_count; k++) {
            rows[n++] = (struct bh_trend_row){ .port = o->sensors[i].ports[k].port,
                                               .proto = o->sensors[i].ports[k].proto };
        }
    }
    qsort(rows, n, sizeof *rows, by_port);
    for (size_t k = 0; k < n; k++) {
        if (kept == 0 || by_port(&rows[kept - 1], &rows[k]) != 0) {
            rows[kept++] = rows[k];
        }
    }
    o->sensor_ports = rows;
    o->sensor_port_count = kept;
    return 0;
}

static int
fill_cells(const struct build *b)
{
    struct bh_trend *o = b->out;
    for (size_t r = 0; r < o->sensor_port_count; r++) {
        struct bh_trend_row *row = &o->sensor_ports[r];
        row->cells = calloc(o->sensor_count + 1, sizeof *row->cells);
        if (row->cells == NULL) {
            return -ENOMEM;
        }
        for (size_t i = 0; i < o->sensor_count; i++) {
            const uint32_t cell = cell_of((uint32_t)o->sensors[i].number, row->proto, row->port);
            const uint64_t n = digits_get_wide(&b->t->sensors.ports, cell);
            if (n > 0) {
                row->cells[row->cell_count++] =
                    (struct bh_trend_cell){ (uint16_t)i, n, is_among(&o->sensors[i], row) };
            }
        }
    }
    return 0;
}

int
build_sensors(struct build *b)
{
    const struct sensors *s = &b->t->sensors;
    struct bh_trend *o = b->out;
    if (s->sum == NULL) {
        return 0;
    }
    o->sensors = calloc(s->count + 1, sizeof *o->sensors);
    int r = o->sensors == NULL ? -ENOMEM : 0;
    for (size_t k = 0; r == 0 && k < s->count; k++) {
        if (b->o->sensors_with_records && s->sum[k].records == 0) {
            continue;
        }
        struct bh_trend_sensor *x = &o->sensors[o->sensor_count++];
        *x = (struct bh_trend_sensor){ .number = k,
                                       .accesses = s->sum[k].accesses,
                                       .sources = sources_of(s, k),
                                       .records = s->sum[k].records,
                                       .first_ns = s->sum[k].first_ns,
                                       .last_ns = s->sum[k].last_ns };
        x->count = unit_of(b, x, k);
        r = sensor_ports(b, (uint32_t)k, b->o->ports, x);
    }
    if (r == 0) {
        qsort(o->sensors, o->sensor_count, sizeof *o->sensors, by_count);
        r = list_ports(o, b->o->ports);
    }
    return r != 0 ? r : fill_cells(b);
}

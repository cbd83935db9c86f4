/* SPDX-License-Identifier: BSD-2-Clause */
/* The ranked result, out of a merged tally. */
#include "trend_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- places -------------------------------------------------------------------------------------- */

/* Nobody has knocked who has made no access: an estimate is no more than that either. */
static uint64_t
place_sources(const struct bh_tally *t, uint32_t p)
{
    const uint64_t exact = t->place[p].sources, accesses = t->place[p].accesses;
    return exact + sketches_get(&t->cells->sketches, PAIR_KEY_PLACE(p),
                                accesses > exact ? accesses - exact : 0);
}

static uint64_t
place_unit(const struct build *b, uint32_t p)
{
    const struct bh_tally *t = b->t;
    switch (t->cfg.count) {
    case BH_COUNT_ACCESSES:
        return t->place[p].accesses;
    case BH_COUNT_SOURCES:
        return place_sources(t, p);
    default:
        return t->place_count[p];
    }
}

static struct bh_trend_place
place_plain(const struct build *b, uint32_t p)
{
    const struct bh_tally *t = b->t;
    return (struct bh_trend_place){
        .place = t->cfg.places->place[p],
        .count = place_unit(b, p),
        .sources = place_sources(t, p),
        .accesses = t->place[p].accesses,
        .top_source_count = b->top_count[p],
        .top_source = b->top_ip[p],
        .first_ns = t->place[p].first_ns,
        .last_ns = t->place[p].last_ns,
    };
}

/* A sparkline's bins, from the first that holds anything to the last. */
static int
place_trend(struct build *b, uint32_t p, struct bh_trend_place *x)
{
    x->trend = calloc(b->out->trend_bins + 1, sizeof *x->trend);
    if (x->trend == NULL) {
        return -ENOMEM;
    }
    for (size_t k = 0; k < b->out->trend_bins; k++) {
        x->trend[k] = b->t->bins.trend[k][p];
    }
    return 0;
}

static int
place_full(struct build *b, uint32_t p, size_t ports, struct bh_trend_place *x)
{
    if (place_ports(b, p, ports, x) != 0) {
        return -ENOMEM;
    }
    return place_trend(b, p, x);
}

struct ranked {
    uint32_t place;
    uint64_t count;
    const struct bh_place *what;
};

static int
cmp_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    int c = strcmp(x->what->code, y->what->code);
    c = c != 0 ? c : strcmp(x->what->class_name, y->what->class_name);
    return c != 0 ? c : strcmp(x->what->rfc, y->what->rfc); /* documentation: IPv4 and IPv6 */
}

static bool
is_country(const struct bh_place *p)
{
    return p->code[0] != '\0';
}

static int
build_places(struct build *b)
{
    struct bh_trend *o = b->out;
    const struct bh_places *places = b->t->cfg.places;
    struct ranked foreign[BH_PLACES_MAX], classes[BH_PLACES_MAX];
    size_t nf = 0, nc = 0;
    int r = 0;
    for (uint32_t p = 0; p < places->count; p++) {
        struct ranked x = { p, place_unit(b, p), &places->place[p] };
        if (is_country(x.what) && strcmp(x.what->code, b->o->home_country) == 0) {
            o->home = place_plain(b, p);
            r = place_full(b, p, b->o->ports, &o->home);
            if (r != 0) {
                return r;
            }
        } else if (x.count > 0 || b->t->place[p].accesses > 0) {
            if (is_country(x.what)) {
                foreign[nf++] = x;
            } else {
                classes[nc++] = x;
            }
        }
    }
    if (o->home.place.code[0] == '\0') {
        snprintf(o->home.place.code, sizeof o->home.place.code, "%s", b->o->home_country);
    }
    qsort(foreign, nf, sizeof *foreign, cmp_ranked);
    qsort(classes, nc, sizeof *classes, cmp_ranked);
    o->countries = calloc(nf + 1, sizeof *o->countries);
    o->classes = calloc(nc + 1, sizeof *o->classes);
    if (o->countries == NULL || o->classes == NULL) {
        return -ENOMEM;
    }
    o->shown = nf < b->o->top ? nf : b->o->top;
    for (size_t i = 0; i < nf && r == 0; i++) {
        o->countries[i] = place_plain(b, foreign[i].place);
        o->country_count = i + 1;
        if (i < o->shown) {
            r = place_full(b, foreign[i].place, b->o->ports, &o->countries[i]);
        } else {
            o->others_countries++;
            o->others_count += foreign[i].count;
        }
    }
    for (size_t i = 0; i < nc && r == 0; i++) {
        o->classes[i] = place_plain(b, classes[i].place);
        o->class_count = i + 1;
        o->no_country_count += classes[i].count;
        r = place_full(b, classes[i].place, b->o->ports, &o->classes[i]);
    }
    return r;
}

/* ---- cross table --------------------------------------------------------------------------------- */

static int
cmp_row(const void *a, const void *b)
{
    const struct bh_trend_row *x = a, *y = b;
    return x->port != y->port ? (int)x->port - (int)y->port : (int)x->proto - (int)y->proto;
}

static bool
in_top(const struct bh_trend_place *c, uint16_t port, uint8_t proto)
{
    for (size_t k = 0; k < c->port_count; k++) {
        if (c->ports[k].port == port && c->ports[k].proto == proto) {
            return true;
        }
    }
    return false;
}

static uint32_t
place_index(const struct build *b, const struct bh_place *what)
{
    for (uint32_t p = 0; p < b->t->cfg.places->count; p++) {
        if (strcmp(b->t->cfg.places->place[p].code, what->code) == 0) {
            return p;
        }
    }
    return 0;
}

static int
build_crosstab(struct build *b)
{
    struct bh_trend *o = b->out;
    o->crosstab = calloc(o->shown * b->o->ports + 1, sizeof *o->crosstab);
    if (o->crosstab == NULL) {
        return -ENOMEM;
    }
    for (size_t c = 0; c < o->shown; c++) {
        for (size_t k = 0; k < o->countries[c].port_count; k++) {
            const struct bh_trend_port *p = &o->countries[c].ports[k];
            size_t at = 0;
            while (at < o->crosstab_count &&
                   (o->crosstab[at].port != p->port || o->crosstab[at].proto != p->proto)) {
                at++;
            }
            if (at == o->crosstab_count) {
                o->crosstab[o->crosstab_count++] =
                    (struct bh_trend_row){ .port = p->port, .proto = p->proto };
            }
        }
    }
    qsort(o->crosstab, o->crosstab_count, sizeof *o->crosstab, cmp_row);
    for (size_t i = 0; i < o->crosstab_count; i++) {
        struct bh_trend_row *row = &o->crosstab[i];
        row->cells = calloc(o->shown + 1, sizeof *row->cells);
        if (row->cells == NULL) {
            return -ENOMEM;
        }
        for (size_t c = 0; c < o->shown; c++) {
            bool top = in_top(&o->countries[c], row->port, row->proto);
            uint32_t place = place_index(b, &o->countries[c].place);
            uint64_t n =
                top || b->o->crosstab_all ? cell_unit(b, cell_of(place, row->proto, row->port)) : 0;
            if (top || n > 0) {
                row->cells[row->cell_count++] = (struct bh_trend_cell){ (uint16_t)c, n, top };
            }
        }
    }
    return 0;
}

/* ---- the rest --------------------------------------------------------------------------------------- */

static int
build_regions(struct build *b)
{
    struct bh_trend *o = b->out;
    o->regions = calloc(16, sizeof *o->regions);
    if (o->regions == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i <= o->country_count; i++) {
        const struct bh_trend_place *c = i < o->country_count ? &o->countries[i] : &o->home;
        const char *code = b->o->by_region && i < o->country_count
                               ? c->place.code
                               : kobold_country_region(c->place.code);
        if (code == NULL || c->count == 0) {
            continue;
        }
        size_t at = 0;
        while (at < o->region_count && strcmp(o->regions[at].place.code, code) != 0) {
            at++;
        }
        if (at == 16) {
            continue;
        }
        if (at == o->region_count) {
            snprintf(o->regions[o->region_count++].place.code, sizeof o->regions[at].place.code,
                     "%s", code);
        }
        o->regions[at].count += c->count;
        o->regions[at].sources += c->sources;
    }
    for (size_t i = 1; i < o->region_count; i++) { /* a handful: insertion sort */
        for (size_t k = i; k > 0; k--) {
            struct bh_trend_place *x = &o->regions[k - 1], *y = &o->regions[k];
            if (x->count > y->count ||
                (x->count == y->count && strcmp(x->place.code, y->place.code) < 0)) {
                break;
            }
            struct bh_trend_place swap = *x;
            *x = *y;
            *y = swap;
        }
    }
    return 0;
}

static int
build_visits(struct build *b)
{
    struct bh_trend *o = b->out;
    o->visits = calloc(b->t->cfg.served_count + 1, sizeof *o->visits);
    if (o->visits == NULL) {
        return -ENOMEM;
    }
    for (size_t k = 0; k < b->t->cfg.served_count; k++) {
        const struct bh_served *s = &b->t->cfg.served[k];
        const uint64_t exact = b->t->visit_sources[k], count = b->t->visit_count[k];
        const uint64_t sources = exact + sketches_get(&b->t->cells->sketches, PAIR_KEY_VISIT(k),
                                                      count > exact ? count - exact : 0);
        o->visits[o->visit_count++] = (struct bh_trend_visit){ s->port, s->proto, s->offered_to,
                                                               b->t->visit_count[k], sources };
    }
    return 0;
}

static int
build_bursts(struct build *b)
{
    struct bh_trend *o = b->out;
    struct bh_tally *t = b->t;
    o->bursts = calloc(t->burst_count + 1, sizeof *o->bursts);
    if (o->bursts == NULL) {
        return -ENOMEM;
    }
    qsort(t->bursts, t->burst_count, sizeof *t->bursts, burst_cmp);
    o->burst_count = t->burst_count < 16 ? t->burst_count : 16;
    memcpy(o->bursts, t->bursts, o->burst_count * sizeof *o->bursts);
    return 0;
}

static unsigned
bits_in(const uint8_t *p, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (unsigned)__builtin_popcount(p[i]);
    }
    return sum;
}

static void
build_totals(struct build *b)
{
    struct bh_trend *o = b->out;
    const struct bh_tally *t = b->t;
    o->count = t->cfg.count;
    o->by_region = b->o->by_region;
    o->outcomes_known = t->cfg.outcomes;
    o->frames = t->frames;
    o->packets = t->packets;
    o->accesses = t->accesses;
    o->visits_total = t->visits;
    o->tcp_accesses = t->tcp_accesses;
    o->udp_accesses = t->udp_accesses;
    o->pings = t->pings;
    o->ping_sources = t->ping_sources;
    o->ping_then_accessed = t->ping_first;
    o->sources = b->visited_only;
    for (uint32_t p = 0; p < t->cfg.places->count; p++) {
        o->sources += place_sources(t, p);
        o->count_total += place_unit(b, p);
        o->countries_total += is_country(&t->cfg.places->place[p]) && t->place[p].accesses > 0;
    }
    o->sources -= t->sources_again < o->sources ? t->sources_again : o->sources;
    o->approximate = t->pairs_over + t->sensors.pairs_over > 0;
    o->approximate_error = o->approximate ? 0.0325 : 0; /* 1.04 / sqrt(1024), of what is beyond */
    o->inbound_packets = t->inbound;
    o->outgoing_packets = t->outbound;
    for (unsigned k = 0; k < BH_CLASS_COUNT; k++) {
        o->not_accesses[k] = k == BH_CLASS_ACCESS ? 0 : t->classes[k];
    }
}

static void
build_health(struct build *b)
{
    struct bh_trend *o = b->out;
    const struct bh_tally *t = b->t;
    memcpy(o->layers, t->layers, sizeof o->layers);
    memcpy(o->malformed, t->malformed, sizeof o->malformed);
    o->layer_sources = t->own_used + b->outside_sources;
    o->layer_dst_ports = bits_in(t->dst_ports + PORTS_SIZE, sizeof t->dst_ports - PORTS_SIZE);
    o->cut_frames = t->cut_frames;
    o->cut_headers = t->cut_headers;
    o->bad_time = t->bad_time;
    o->duplicates = t->duplicates;
    o->filter_unknown = t->filter_unknown;
    o->sources_over = t->sources_over;
    o->pairs_over = t->pairs_over + t->sensors.pairs_over;
    o->bins_over = t->bins.lost;
    o->memory_over = cells_lost(t->cells) + t->networks.lost + t->sensors.ports.lost;
    o->places_over = 0;
}

static void
count_trend_bins(struct build *b)
{
    const struct bins *bins = &b->t->bins;
    for (uint32_t i = 0; i < bins->used; i++) {
        int32_t at = (int32_t)(bins->hour[i].id - bins->trend_first) / (int32_t)HOUR_STEP;
        size_t k = at < 0 ? 0 : (uint32_t)at / bins->trend_width;
        b->out->trend_bins = k >= b->out->trend_bins ? k + 1 : b->out->trend_bins;
    }
}

int
bh_trend_new(struct bh_tally *t, const struct bh_trend_options *o,
             const struct bh_track_bounds *bounds, struct bh_trend **ret_trend)
{
    struct build b = { .t = t, .o = o, .out = calloc(1, sizeof *b.out) };
    b.frequent = calloc(BH_PLACES_MAX, sizeof *b.frequent);
    b.top_count = calloc(BH_PLACES_MAX, sizeof *b.top_count);
    b.top_ip = calloc(BH_PLACES_MAX, sizeof *b.top_ip);
    int r = b.out == NULL || b.frequent == NULL || b.top_count == NULL || b.top_ip == NULL ? -ENOMEM
                                                                                           : 0;
    tally_settle(t);
    if (r == 0) {
        b.out->bounds = *bounds;
        b.out->start_ns = o->period.start_ns != INT64_MIN ? o->period.start_ns
                          : t->first_ns == INT64_MAX      ? 0
                                                          : t->first_ns;
        b.out->end_ns = o->period.end_ns != INT64_MAX ? o->period.end_ns
                        : t->last_ns == INT64_MIN     ? 0
                                                      : t->last_ns;
        count_trend_bins(&b);
    }
    r = r != 0 ? r : build_sources(&b);
    r = r != 0 ? r : build_places(&b);
    r = r != 0 ? r : build_crosstab(&b);
    r = r != 0 ? r : build_regions(&b);
    r = r != 0 ? r : build_networks(&b);
    r = r != 0 ? r : build_sensors(&b);
    r = r != 0 ? r : build_visits(&b);
    r = r != 0 ? r : build_timeline(&b);
    r = r != 0 ? r : build_listed(&b);
    r = r != 0 ? r : build_bursts(&b);
    if (r == 0) {
        build_totals(&b);
        build_health(&b);
        *ret_trend = b.out;
    } else {
        bh_trend_free(b.out);
    }
    free(b.frequent);
    free(b.top_count);
    free(b.top_ip);
    return r;
}

static void
place_done(struct bh_trend_place *p)
{
    free(p->ports);
    free(p->trend);
}

void
bh_trend_free(struct bh_trend *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->country_count; i++) {
        place_done(&t->countries[i]);
    }
    for (size_t i = 0; i < t->class_count; i++) {
        place_done(&t->classes[i]);
    }
    for (size_t i = 0; i < t->crosstab_count; i++) {
        free(t->crosstab[i].cells);
    }
    place_done(&t->home);
    free(t->countries);
    free(t->classes);
    free(t->crosstab);
    free(t->regions);
    free(t->networks);
    for (size_t i = 0; i < t->sensor_count; i++) {
        free(t->sensors[i].ports);
    }
    for (size_t i = 0; i < t->sensor_port_count; i++) {
        free(t->sensor_ports[i].cells);
    }
    free(t->sensors);
    free(t->sensor_ports);
    free(t->bins);
    free(t->gaps);
    free(t->visits);
    free(t->listed);
    free(t->bursts);
    free(t->neighbours);
    free(t->offered);
    free(t);
}

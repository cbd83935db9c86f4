/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows of what roll-ups say: each stands for as many records as its weight, and has those columns that the question
 * looks at. What it does not look at is added up before: a question by country gets a row for each country, and
 * not one for each country of each hour.
 */
#include "summed_priv.h"

#include <errno.h>
#include <stdlib.h>

struct maker {
    struct summed *s;
    const struct summed_part *p;
    summed_take_fn *take;
    void *arg;
    struct bh_batch *b;
    const char **sensor_names;
    uint64_t *sum;        /* by country and protocol; by service and outcome; or by source */
    uint64_t *of_country; /* by source: countries and families, where these are asked for */
    uint32_t *used;       /* services: of these not zero */
    size_t used_count;
};

#define KEY_UDP (1U << 16)

/* ---- rows ---------------------------------------------------------------------------------------------- */

void
summed_batch_reset(const struct summed *s, const char *const *sensor_names, struct bh_batch *b)
{
    const struct bh_home *h = &s->x->r->home;
    bh_batch_reset(b);
    b->want = b->lacks = 0;
    b->has_weight = b->has_country = b->no_tcp_seq = true;
    b->all_inbound = false;
    b->sensor_names = sensor_names;
    /* one of ours: bh_filter_asks() */
    const uint32_t near = h->v4_count > 0 ? h->v4[0].first : 0xE0000001U;
    for (uint32_t i = 0; i < BH_BATCH_ROWS; i++) {
        b->dst[i] = near;
    }
}

uint32_t
summed_row(struct bh_batch *b, const struct summed_part *p, uint32_t country, uint32_t key,
           int64_t ts_ns, uint32_t weight)
{
    const uint32_t i = b->rows++;
    b->ts_ns[i] = ts_ns;
    b->cls[i] = BH_CLASS_ACCESS;
    b->direction[i] = BH_DIR_IN;
    b->kind[i] = BH_KIND_IP4;
    b->proto[i] = (key & KEY_UDP) != 0 ? BH_PROTO_UDP : BH_PROTO_TCP;
    b->ports[i] = key & 0xffff;
    b->country[i] = p->value[country];
    b->weight[i] = weight;
    b->sensor[i] = p->sensor;
    b->outcome[i] = BH_OUTCOME_NONE;
    b->src[i] = b->ip_len[i] = b->tcp_seq[i] = 0;
    b->payload_len[i] = b->layers[i] = 0;
    b->tcp_flags[i] = b->marks[i] = b->reason[i] = 0;
    return i;
}

static int
flush(struct maker *m)
{
    int r = m->b->rows > 0 ? m->take(m->arg, m->b) : 0;
    summed_batch_reset(m->s, m->sensor_names, m->b);
    return r;
}

/* A row, or more where the number is beyond a weight. Its place in the batch, until the next. */
static int
put(struct maker *m, uint32_t country, uint32_t key, unsigned outcome, int64_t ts_ns,
    uint64_t count, uint32_t *ret_row)
{
    int r = 0;
    while (count > 0 && r == 0) {
        const uint32_t weight = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
        r = m->b->rows == BH_BATCH_ROWS ? flush(m) : 0;
        *ret_row = summed_row(m->b, m->p, country, key, ts_ns, weight);
        m->b->outcome[*ret_row] = (uint8_t)outcome;
        count -= weight;
    }
    return r;
}

static void
add(struct maker *m, uint32_t at, uint64_t count)
{
    if (m->sum[at] == 0 && count > 0) {
        m->used[m->used_count++] = at;
    }
    m->sum[at] += count;
}

static bool
asks(const struct maker *m, uint32_t parts)
{
    return (m->s->q.parts & parts) != 0;
}

/* ---- by country, and protocol or family -------------------------------------------------------------------- */

/* Sums of countries, twice each: TCP and UDP, or IPv4 and IPv6. */
static int
flush_countries(struct maker *m, int64_t ts_ns, bool by_family)
{
    int r = 0;
    for (uint32_t at = 0; at < 2 * m->p->u->countries && r == 0; at++) {
        const bool second = (at & 1) != 0;
        uint32_t row;
        if (m->sum[at] == 0) {
            continue;
        }
        r = put(m, at >> 1, second && !by_family ? KEY_UDP : 0, BH_OUTCOME_NONE, ts_ns, m->sum[at],
                &row);
        if (r == 0 && by_family && second) {
            m->b->kind[row] = BH_KIND_IP6;
        }
        m->sum[at] = 0;
    }
    return r;
}

static void
add_hour(struct maker *m, const struct bh_rollup_day *d, const struct bh_rollup_hour *h)
{
    const bool by_country = asks(m, BH_PART_COUNTRY);
    const bool *may = m->p->may;
    uint64_t *sum = m->sum;
    if (m->p->u->countries == 0) {
        return;
    }
    for (uint32_t c = h->cell_at; c < h->cell_at + h->cells; c++) {
        const struct bh_rollup_cell *x = &d->cell[c];
        const uint32_t at = by_country ? x->country * 2U : 0;
        if (!by_country || may[x->country]) {
            sum[at] += x->tcp;
            sum[at + 1] += x->udp;
        }
    }
}

static int
hours_rows(struct maker *m)
{
    const struct summed *s = m->s;
    int64_t cut = INT64_MIN, ts = 0;
    int r = 0;
    for (size_t k = 0; k < s->units && r == 0; k++) {
        const struct summed_unit *u = &s->unit[k];
        if (&s->part[u->part] != m->p) {
            continue;
        }
        const struct bh_rollup_day *d = &m->p->day[u->day];
        const struct bh_rollup_hour *h = &d->hour[u->hour];
        const int64_t now = summed_cut(s->q.parts, h->first_ns);
        if (now != cut) {
            r = flush_countries(m, ts, false);
            cut = now;
            ts = h->first_ns;
        }
        add_hour(m, d, h);
    }
    return r != 0 ? r : flush_countries(m, ts, false);
}

/* Records, or inbound packets, of whatever they are. */
static int
plain_row(struct maker *m, int64_t ts_ns, uint64_t count)
{
    uint32_t row = 0;
    int r = put(m, 0, 0, BH_OUTCOME_NONE, ts_ns, count, &row);
    for (uint32_t i = 0; i < m->b->rows; i++) {
        m->b->cls[i] = BH_CLASS_NONE;
    }
    return r;
}

static int
frames_rows(struct maker *m)
{
    const struct summed *s = m->s;
    int r = 0;
    for (size_t k = 0; k < s->units && r == 0; k++) {
        const struct summed_unit *u = &s->unit[k];
        r = &s->part[u->part] == m->p ? plain_row(m, u->first_ns, u->rows) : 0;
    }
    return r;
}

static int
days_rows(struct maker *m)
{
    const struct summed *s = m->s;
    int r = 0;
    for (size_t k = 0; k < s->units && r == 0; k++) {
        const struct summed_unit *u = &s->unit[k];
        struct bh_rollup_day d;
        if (&s->part[u->part] != m->p) {
            continue;
        }
        r = bh_rollup_get_hours(m->p->u, u->day, &d);
        if (r == 0) {
            r = plain_row(m, u->first_ns, d.sums.inbound);
            bh_rollup_day_done(&d);
        }
    }
    return r;
}

/* ---- by service -------------------------------------------------------------------------------------------- */

static bool
is_wanted(const struct maker *m, uint32_t key)
{
    return m->s->keys == NULL || (m->s->keys[key >> 3] >> (key & 7) & 1) != 0;
}

/* Of a service as much as the question looks at, and of an outcome. */
static uint32_t
place_of(const struct maker *m, uint32_t key, unsigned outcome)
{
    return (asks(m, BH_PART_PORT) ? key : key & KEY_UDP) << 3 |
           (asks(m, BH_PART_OUTCOME) ? outcome : 0);
}

static int
flush_services(struct maker *m, uint32_t country, int64_t ts_ns)
{
    int r = 0;
    uint32_t row;
    for (size_t k = 0; k < m->used_count && r == 0; k++) {
        const uint32_t at = m->used[k];
        r = put(m, country, at >> 3, at & 7, ts_ns, m->sum[at], &row);
        m->sum[at] = 0;
    }
    m->used_count = 0;
    return r;
}

/* Frequent services of a unit. */
static int
frequent_rows(struct maker *m, const struct summed_unit *u)
{
    struct bh_rollup_services v;
    int r = bh_rollup_get_services(m->p->u, u->day, &v);
    if (r != 0) {
        return r;
    }
    for (uint32_t k = 0; k < v.services && r == 0; k++) {
        const struct bh_rollup_service *x = &v.service[k];
        for (uint32_t n = x->number_at;
             is_wanted(m, x->key) && n < x->number_at + x->numbers && r == 0; n++) {
            const struct bh_rollup_number *y = &v.number[n];
            uint32_t row;
            if (!asks(m, BH_PART_COUNTRY)) {
                add(m, place_of(m, x->key, y->outcome), y->accesses);
            } else if (m->p->may[y->country]) {
                const uint32_t at = place_of(m, x->key, y->outcome);
                r = put(m, y->country, at >> 3, at & 7, u->first_ns, y->accesses, &row);
            }
        }
    }
    bh_rollup_services_done(&v);
    return r;
}

/* Is there a service that the filter may select and that is rare here? */
static bool
wants_rare(const struct maker *m)
{
    uint8_t frequent[BH_ROLLUP_KEYS / 8] = { 0 };
    bool any = m->s->keys == NULL;
    for (uint32_t k = 0; k < m->p->u->frequent_count; k++) {
        frequent[m->p->u->frequent[k] >> 3] |= (uint8_t)(1U << (m->p->u->frequent[k] & 7));
    }
    for (size_t k = 0; k < sizeof frequent && !any; k++) {
        any = (m->s->keys[k] & ~frequent[k]) != 0;
    }
    return any;
}

/* Rare ones of a country; `start_ns` is of the days that are known, INT64_MIN for others. */
static int
rare_rows(struct maker *m, uint32_t country, const int64_t *start_ns)
{
    struct bh_rollup_rares *rares;
    const struct bh_rollup_rare *list;
    const bool by_time = asks(m, BH_PART_TIME);
    int n = 0, r = bh_rollup_rares_new(m->p->u, country, &rares);
    if (r != 0) {
        return r;
    }
    while (r == 0 && (n = bh_rollup_rares_next(rares, &list)) > 0) {
        for (int i = 0; i < n && r == 0; i++) {
            const struct bh_rollup_rare *x = &list[i];
            const int64_t ts = start_ns[x->day];
            if (ts == INT64_MIN || !is_wanted(m, x->key)) {
                continue;
            }
            const uint32_t at = place_of(m, x->key, x->outcome);
            uint32_t row;
            if (by_time) {
                r = put(m, country, at >> 3, at & 7, ts, x->accesses, &row);
            } else {
                add(m, at, x->accesses);
            }
        }
    }
    bh_rollup_rares_free(rares);
    return r != 0 ? r : n;
}

static int
all_rare_rows(struct maker *m, int64_t *start_ns, int64_t ts_ns)
{
    const struct bh_rollup *u = m->p->u;
    int r = 0;
    for (uint32_t c = 0; c < u->countries && r == 0; c++) {
        if (bh_rollup_rare_most(u, c) == 0 || !m->p->may[c]) {
            continue;
        }
        r = rare_rows(m, c, start_ns);
        r = r == 0 && asks(m, BH_PART_COUNTRY) ? flush_services(m, c, ts_ns) : r;
    }
    return r;
}

static int
services_rows(struct maker *m)
{
    const struct summed *s = m->s;
    int64_t *start_ns = malloc((m->p->days + 1UL) * sizeof *start_ns), ts = INT64_MIN;
    int r = start_ns == NULL ? -ENOMEM : 0;
    for (uint32_t d = 0; r == 0 && d < m->p->days; d++) {
        start_ns[d] = INT64_MIN;
    }
    for (size_t k = 0; k < s->units && r == 0; k++) {
        const struct summed_unit *u = &s->unit[k];
        if (&s->part[u->part] != m->p) {
            continue;
        }
        ts = ts == INT64_MIN ? u->first_ns : ts;
        start_ns[u->day == BH_ROLLUP_ALL ? 0 : u->day] = u->first_ns;
        r = frequent_rows(m, u);
        r = r == 0 && asks(m, BH_PART_TIME) ? flush_services(m, 0, u->first_ns) : r;
    }
    if (r == 0 && ts != INT64_MIN) {
        r = wants_rare(m) ? all_rare_rows(m, start_ns, ts) : 0;
        r = r != 0 ? r : flush_services(m, 0, ts);
    }
    free(start_ns);
    return r;
}

/* ---- by source ----------------------------------------------------------------------------------------------- */

/* A row of a source's own. */
static int
source_row(struct maker *m, uint32_t id, int64_t ts_ns, uint64_t accesses)
{
    uint64_t hi, lo;
    uint16_t country;
    uint8_t family;
    uint32_t i = 0;
    bh_rollup_source(m->p->u, id, &family, &hi, &lo, &country);
    int r = put(m, country, 0, BH_OUTCOME_NONE, ts_ns, accesses, &i);
    if (r != 0 || family == 4) {
        m->b->src[i] = (uint32_t)lo;
        return r;
    }
    struct bh_batch *b = m->b;
    const struct bh_home *h = &m->s->x->r->home;
    b->kind[i] = BH_KIND_IP6;
    b->src[i] = b->dst[i] = b->v6_rows++;
    b->ip6[b->src[i]] =
        (struct bh_ip6_pair){ hi, lo, h->v6_count > 0 ? h->v6[0].first_hi : 0xff02ULL << 48,
                              h->v6_count > 0 ? h->v6[0].first_lo : 1 };
    return 0;
}

/* Sums of sources, in the order of their numbers: or of countries and families of these. */
static int
flush_sources(struct maker *m, int64_t ts_ns)
{
    const bool alone = m->s->q.what == BH_ASKED_SOURCES || asks(m, BH_PART_ADDRESS);
    uint64_t *of_source = m->sum;
    int r = 0;
    for (uint32_t id = 0; id < m->p->u->sources && r == 0; id++) {
        const uint64_t accesses = of_source[id];
        uint64_t hi, lo;
        uint16_t country;
        uint8_t family;
        of_source[id] = 0;
        if (accesses == 0) {
            continue;
        }
        if (alone) {
            r = source_row(m, id, ts_ns, accesses);
            continue;
        }
        bh_rollup_source(m->p->u, id, &family, &hi, &lo, &country);
        m->of_country[country * 2U + (family == 6)] += accesses;
    }
    m->sum = m->of_country;
    r = r == 0 && !alone ? flush_countries(m, ts_ns, true) : r;
    m->sum = of_source;
    return r;
}

static int
add_who(struct maker *m, uint32_t day)
{
    struct bh_rollup_who who;
    int r = bh_rollup_get_who(m->p->u, day, &who);
    for (uint32_t i = 0; r == 0 && i < who.count; i++) {
        uint64_t hi, lo;
        uint16_t country;
        uint8_t family;
        bh_rollup_source(m->p->u, who.id[i], &family, &hi, &lo, &country);
        m->sum[who.id[i]] += m->p->may[country] ? who.accesses[i] : 0;
    }
    if (r == 0) {
        bh_rollup_who_done(&who);
    }
    return r;
}

static int
sources_rows(struct maker *m)
{
    const struct summed *s = m->s;
    int64_t cut = INT64_MIN, ts = 0;
    m->of_country = calloc(2UL * m->p->u->countries + 2, sizeof *m->of_country);
    int r = m->of_country == NULL ? -ENOMEM : 0;
    for (size_t k = 0; k < s->units && r == 0; k++) {
        const struct summed_unit *u = &s->unit[k];
        if (&s->part[u->part] != m->p) {
            continue;
        }
        const int64_t now = summed_cut(s->q.parts, u->first_ns);
        if (now != cut) {
            r = flush_sources(m, ts);
            cut = now;
            ts = u->first_ns;
        }
        r = r != 0 ? r : add_who(m, u->day);
    }
    r = r != 0 ? r : flush_sources(m, ts);
    free(m->of_country);
    return r;
}

/* ---- what the filter cannot select ---------------------------------------------------------------------------- */

/* May it select, or not know, an access of these classes of countries and ports? */
static bool
may_select(const struct bh_judge *j, const char *sensor, uint64_t countries, uint64_t ports,
           unsigned proto)
{
    static const uint8_t kinds[] = { BH_KIND_IP4, BH_KIND_IP6 };
    unsigned truths = 0;
    for (size_t k = 0; k < BH_COUNT(kinds); k++) {
        const struct bh_facts f = { .cls = BH_CLASS_ACCESS,
                                    .direction = BH_DIR_IN,
                                    .kind = kinds[k],
                                    .proto = (uint8_t)proto,
                                    .outcomes = UINT8_MAX,
                                    .service_ports = ports,
                                    .other_ports = BH_CLASSES_ALL,
                                    .far_countries = countries,
                                    .near_countries = BH_CLASSES_ALL,
                                    .far4 = { 0, UINT32_MAX },
                                    .far6 = { 0, UINT32_MAX },
                                    .sensor = sensor };
        truths |= j->truths(j->arg, &f);
    }
    return (truths & ~(unsigned)BH_MAY_NO) != 0;
}

static void
judge_countries(const struct summed *s, struct summed_part *p)
{
    const struct bh_judge *j = s->x->judge;
    const char *sensor = bh_store_sensor(s->x->feed.store, p->sensor);
    for (uint32_t c = 0; c < p->u->countries; c++) {
        const uint64_t class = j == NULL ? 0 : 1ULL << j->country_class[p->value[c]];
        p->may[c] = j == NULL || may_select(j, sensor, class, BH_CLASSES_ALL, BH_PROTO_TCP) ||
                    may_select(j, sensor, class, BH_CLASSES_ALL, BH_PROTO_UDP);
    }
}

static int
judge_services(struct summed *s)
{
    const struct bh_judge *j = s->x->judge;
    bool may[2][BH_CLASSES_MAX];
    if (j == NULL || s->grain != GRAIN_SERVICES || s->keys != NULL) {
        return 0;
    }
    s->keys = calloc(1, BH_ROLLUP_KEYS / 8);
    if (s->keys == NULL) {
        return -ENOMEM;
    }
    for (unsigned c = 0; c < j->port_classes && c < BH_CLASSES_MAX; c++) {
        may[0][c] = may_select(j, NULL, BH_CLASSES_ALL, 1ULL << c, BH_PROTO_TCP);
        may[1][c] = may_select(j, NULL, BH_CLASSES_ALL, 1ULL << c, BH_PROTO_UDP);
    }
    for (uint32_t key = 0; key < BH_ROLLUP_KEYS; key++) {
        s->keys[key >> 3] |=
            (uint8_t)((unsigned)may[key >> 16][j->port_class[key & 0xffff]] << (key & 7));
    }
    return 0;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static int
part_rows(struct maker *m, struct summed_part *p)
{
    static int (*const makers[GRAIN_COUNT])(struct maker *) = {
        [GRAIN_HOURS] = hours_rows,     [GRAIN_SERVICES] = services_rows,
        [GRAIN_SOURCES] = sources_rows, [GRAIN_FRAMES] = frames_rows,
        [GRAIN_DAYS] = days_rows,
    };
    const size_t countries = 2UL * p->u->countries + 2;
    const size_t room = m->s->grain == GRAIN_SERVICES  ? 8UL * BH_ROLLUP_KEYS
                        : m->s->grain == GRAIN_SOURCES ? p->u->sources + countries
                                                       : countries;
    judge_countries(m->s, p);
    m->p = p;
    m->sum = calloc(room, sizeof *m->sum);
    m->used = malloc(room * sizeof *m->used);
    m->used_count = 0;
    int r = m->sum == NULL || m->used == NULL ? -ENOMEM : makers[m->s->grain](m);
    free(m->sum);
    free(m->used);
    return r;
}

int
summed_rows(struct summed *s, summed_take_fn *take, void *arg)
{
    const struct bh_store *store = s->x->feed.store;
    const size_t sensors = bh_store_sensor_count(store);
    struct maker m = { .s = s, .take = take, .arg = arg };
    m.b = bh_batch_new();
    m.sensor_names = calloc(sensors + 1, sizeof *m.sensor_names);
    int r = m.b == NULL || m.sensor_names == NULL ? -ENOMEM : judge_services(s);
    for (size_t k = 0; k < sensors && r == 0; k++) {
        m.sensor_names[k] = bh_store_sensor(store, k);
    }
    if (r == 0) {
        summed_batch_reset(s, m.sensor_names, m.b);
    }
    for (size_t k = 0; k < s->parts && r == 0; k++) {
        r = part_rows(&m, &s->part[k]);
    }
    r = r != 0 ? r : flush(&m);
    bh_batch_free(m.b);
    free(m.sensor_names);
    return r;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When the first and the last of the records was that were added up, for a question whose period leaves it open.
 *
 * Roll-ups say it of each day and country. Where a filter asks for more, records are read from that end until one is
 * selected: an hour, then twice as much, so that nothing is read twice and a service that is asked for often
 * costs a few blocks.
 */
#include "summed_priv.h"

#include <errno.h>
#include <stdlib.h>

#define STEP_NS (3600LL * 1000000000)

struct ends {
    bool want_first, want_last;
    int64_t first_ns, last_ns; /* INT64_MAX, INT64_MIN: none yet */
};

static void
note(struct ends *e, int64_t first_ns, int64_t last_ns)
{
    e->first_ns = first_ns < e->first_ns ? first_ns : e->first_ns;
    e->last_ns = last_ns > e->last_ns ? last_ns : e->last_ns;
}

/* ---- by day and country ------------------------------------------------------------------------------- */

/* Of a country of a part: does the filter select its accesses? It asks for countries and sensors only. */
static bool *
selected_countries(const struct summed *s, const struct summed_part *p)
{
    const char *names[BH_STORE_SENSORS_MAX];
    struct bh_batch *b = bh_batch_new();
    bool *selected = calloc(p->u->countries + 1UL, sizeof *selected);
    for (size_t k = 0; k < bh_store_sensor_count(s->x->feed.store) && k < BH_COUNT(names); k++) {
        names[k] = bh_store_sensor(s->x->feed.store, k);
    }
    for (uint32_t c = 0; b != NULL && selected != NULL && c < p->u->countries; c++) {
        summed_batch_reset(s, names, b);
        summed_row(b, p, c, 0, 0, 1);
        b->counted[0] = 1;
        bh_filter_narrow(countries_words(&s->x->countries), b); /* unknown: not selected */
        selected[c] = b->counted[0] != 0;
    }
    if (b == NULL) {
        free(selected);
        selected = NULL;
    }
    bh_batch_free(b);
    return selected;
}

/* The first (or last) access of a day, of countries that are selected. True: there is one, known by sums or read. */
static bool
take_places(const struct summed *s, const bool *selected, const struct bh_rollup_day *d, bool first,
            struct ends *e)
{
    bool any = false;
    for (uint32_t k = 0; k < d->places; k++) {
        const struct bh_rollup_place *x = &d->place[k];
        const int64_t ts = first ? x->first_ns : x->last_ns;
        if (!selected[x->country]) {
            continue;
        }
        any = true;
        if (summed_knows(s, ts)) { /* else who reads it will see it */
            note(e, ts, ts);
        }
    }
    return any;
}

static int
ends_of_part(const struct summed *s, const struct summed_part *p, const bool *selected, bool first,
             struct ends *e)
{
    bool found = false;
    int r = 0;
    for (uint32_t k = 0; k < p->days && !found && r == 0; k++) {
        const uint32_t d = first ? k : p->days - 1 - k;
        struct bh_rollup_day day;
        if (p->day != NULL) {
            found = take_places(s, selected, &p->day[d], first, e);
            continue;
        }
        r = bh_rollup_get_hours(p->u, d, &day);
        if (r == 0) {
            found = take_places(s, selected, &day, first, e);
            bh_rollup_day_done(&day);
        }
    }
    return r;
}

static int
ends_by_day(const struct summed *s, struct ends *e)
{
    int r = 0;
    for (size_t k = 0; k < s->parts && r == 0; k++) {
        bool *selected = selected_countries(s, &s->part[k]);
        r = selected == NULL ? -ENOMEM : 0;
        r = r == 0 && e->want_first ? ends_of_part(s, &s->part[k], selected, true, e) : r;
        r = r == 0 && e->want_last ? ends_of_part(s, &s->part[k], selected, false, e) : r;
        free(selected);
    }
    return r;
}

/* ---- by reading ------------------------------------------------------------------------------------------- */

static bool
is_counted(const struct bh_question *q, const struct bh_batch *b, uint32_t i)
{
    return b->counted[i] != 0 && (bh_question_is_of_accesses(q) ? b->cls[i] == BH_CLASS_ACCESS
                                  : q->what == BH_ASKED_PACKETS
                                      ? b->kind[i] >= BH_KIND_IP4 && b->direction[i] == BH_DIR_IN
                                      : true);
}

/* All that is selected between two times. */
static int
read_between(const struct summed *s, const struct summed_reader *reader, struct bh_batch *b,
             int64_t start_ns, int64_t end_ns, struct ends *e)
{
    struct bh_store_health health;
    int got = 1, r = reader->begin(reader->arg, start_ns, end_ns);
    while (r == 0 && (got = bh_store_read(s->x->feed.store, b, s->x->err)) > 0) {
        reader->select(reader->arg, b);
        for (uint32_t i = 0; i < b->rows; i++) {
            if (is_counted(&s->q, b, i) && (b->marks[i] & BH_MARK_BAD_TIME) == 0) {
                note(e, b->ts_ns[i], b->ts_ns[i]);
            }
        }
    }
    bh_store_get_health(s->x->feed.store, &health);
    return r != 0 ? r : got < 0 ? got : health.damaged_blocks > 0 ? BH_EDAMAGED : 0;
}

/* From one end of what is known to the other, in steps that double. */
static int
ends_by_reading(const struct summed *s, const struct summed_reader *reader, bool first,
                struct ends *e)
{
    const int64_t start = s->without[0].start_ns, end = s->without[s->withouts - 1].end_ns;
    struct bh_batch *b = bh_batch_new();
    struct ends found = { .first_ns = INT64_MAX, .last_ns = INT64_MIN };
    int64_t left = end - start, step = STEP_NS;
    int r = b == NULL ? -ENOMEM : 0;
    while (r == 0 && left > 0 && found.first_ns > found.last_ns) {
        const int64_t now = step < left ? step : left;
        r = first ? read_between(s, reader, b, end - left, end - left + now, &found)
                  : read_between(s, reader, b, start + left - now, start + left, &found);
        left -= now;
        step *= left > step ? 2 : 1;
    }
    bh_batch_free(b);
    if (r == 0 && found.first_ns <= found.last_ns) {
        note(e, first ? found.first_ns : found.last_ns, first ? found.first_ns : found.last_ns);
    }
    return r;
}

/* Of records the hours say it. */
static void
ends_of_frames(const struct summed *s, struct ends *e)
{
    for (size_t k = 0; k < s->units; k++) {
        note(e, s->unit[k].first_ns, s->unit[k].last_ns);
    }
}

int
summed_ends(struct summed *s, const struct summed_reader *reader, int64_t *ret_first_ns,
            int64_t *ret_last_ns)
{
    const struct bh_period *period = &s->x->period;
    struct ends e = { period->start_ns == INT64_MIN, period->end_ns == INT64_MAX, INT64_MAX,
                      INT64_MIN };
    const uint32_t by_day = BH_PART_COUNTRY | BH_PART_SENSOR;
    int r = 0;
    if (s->grain == GRAIN_FRAMES) {
        ends_of_frames(s, &e);
    } else if (bh_question_is_of_accesses(&s->q) && (s->filter_parts & ~by_day) == 0) {
        r = ends_by_day(s, &e);
    } else {
        r = e.want_first ? ends_by_reading(s, reader, true, &e) : 0;
        r = r == 0 && e.want_last ? ends_by_reading(s, reader, false, &e) : r;
    }
    if (r == 0) {
        *ret_first_ns = e.first_ns;
        *ret_last_ns = e.last_ns;
    }
    return r;
}

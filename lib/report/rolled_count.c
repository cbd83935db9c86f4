/* SPDX-License-Identifier: BSD-2-Clause */
/* Records and roll-ups become one tally, as the plan says. */
#include "rolled_priv.h"

#include <errno.h>
#include <stdlib.h>

#define WEEKS_FROM_NS (188 * 24 * HOUR_NS)

/* ---- records of the other days ---------------------------------------------------------------------- */

static int
read_stretch(struct run *x, struct bh_batch *b, int64_t start_ns, int64_t end_ns)
{
    const struct bh_period all = x->period;
    struct bh_store_health health;
    x->period.start_ns = start_ns > all.start_ns ? start_ns : all.start_ns;
    x->period.end_ns = end_ns < all.end_ns ? end_ns : all.end_ns;
    bh_tally_set_period(x->shard[0].tally, x->period);
    int r = log_begin(x);
    x->period = all;
    x->feed.ended = false;
    while (r == 0) {
        const int got = bh_store_read(x->feed.store, b, x->err);
        if (got <= 0) {
            r = got;
            break;
        }
        bh_tally_sources(x->shard[0].tally, b);
        bh_tally_counts(x->shard[0].tally, b, NULL, 0);
        x->r->plan.read_rows += b->rows;
    }
    bh_store_get_health(x->feed.store, &health);
    rolled_say_read(x);
    return r == 0 && health.damaged_blocks > 0 ? BH_EDAMAGED : r;
}

static int
read_rows(struct run *x, const struct rolled_plan *p)
{
    struct bh_batch *b = bh_batch_new();
    int r = b == NULL ? -ENOMEM : 0;
    for (uint32_t k = 0; k < p->days && r == 0;) {
        uint32_t end = k;
        while (end < p->days && p->day[end].rows) {
            end++;
        }
        if (end > k) {
            r = read_stretch(x, b, p->day[k].start_ns, p->day[end - 1].end_ns);
        }
        k = end > k ? end : k + 1;
    }
    bh_batch_free(b);
    return r;
}

/* ---- sources ------------------------------------------------------------------------------------------ */

/* What the countries of a roll-up are in this report. */
static int
map_places(struct run *x, struct part *part)
{
    const struct bh_rollup *u = part->rollup;
    part->place = calloc(u->countries + 1UL, sizeof *part->place);
    if (part->place == NULL) {
        return -ENOMEM;
    }
    for (uint32_t c = 0; c < u->countries; c++) {
        const uint16_t value = bh_store_country_value(x->feed.store, &u->country[c]);
        part->place[c] = x->places->of_value[value & 1023];
    }
    return 0;
}

static void
use_ids(bool *used, const struct bh_rollup_ids *ids)
{
    for (uint32_t k = 0; k < ids->count; k++) {
        used[ids->id[k]] = true;
    }
}

/* Who sent something on the days that are taken. */
static int
find_used(const struct part *part, bool *used)
{
    const struct bh_rollup *u = part->rollup;
    if (part->whole) {
        memset(used, 1, u->sources);
        for (uint32_t k = 0; k < u->silent.count; k++) {
            used[u->silent.id[k]] = false;
        }
        return 0;
    }
    for (uint32_t d = 0; d < part->days; d++) {
        struct bh_rollup_day day;
        struct bh_rollup_who who;
        if (part->day[d] == UINT32_MAX) {
            continue;
        }
        int r = bh_rollup_get_who(u, d, &who);
        if (r != 0) {
            return r;
        }
        for (uint32_t k = 0; k < who.count; k++) {
            used[who.id[k]] = true;
        }
        bh_rollup_who_done(&who);
        r = bh_rollup_get_day(u, d, &day);
        if (r != 0) {
            return r;
        }
        use_ids(used, &day.pinged);
        use_ids(used, &day.other);
        bh_rollup_day_done(&day);
    }
    return 0;
}

static int
take_sources(struct rolled_plan *p, struct part *part)
{
    const struct bh_rollup *u = part->rollup;
    bool *used = calloc(u->sources + 1UL, sizeof *used);
    struct bh_rolled_source *list = calloc(u->sources + 1UL, sizeof *list);
    int r = used == NULL || list == NULL ? -ENOMEM : find_used(part, used);
    for (uint32_t k = 0; r == 0 && k < u->sources; k++) {
        uint16_t country;
        if (used[k]) {
            bh_rollup_source(u, k, &list[k].family, &list[k].hi, &list[k].lo, &country);
            list[k].place = part->place[country];
        }
    }
    r = r != 0 ? r : bh_rolled_part_new(p->r, list, u->sources, &part->sources);
    free(used);
    free(list);
    return r;
}

/* ---- days ------------------------------------------------------------------------------------------------- */

static bool
note_hour(struct rolled_plan *p, const struct bh_rollup_hour *h)
{
    if (p->hours == p->hour_cap) {
        const size_t cap = p->hour_cap == 0 ? 1024 : p->hour_cap * 2;
        struct hour *list = realloc(p->hour, cap * sizeof *list);
        if (list == NULL) {
            return false;
        }
        p->hour = list;
        p->hour_cap = cap;
    }
    p->hour[p->hours++] = (struct hour){ h->start_ns, h->busiest, false };
    return true;
}

static int
take_day(struct rolled_plan *p, const struct part *part, uint32_t d, uint32_t index)
{
    struct bh_rollup_day day;
    int r = bh_rollup_get_day(part->rollup, d, &day);
    if (r != 0) {
        return r;
    }
    const struct bh_rollup_sums *s = &day.sums;
    const struct bh_rolled_sums sums = {
        s->rows, s->packets, s->inbound, s->outbound, s->cut_frames, s->cut_headers, s->duplicates,
        s->tcp,  s->udp,     s->pings,   s->cls,      s->layer,      s->reason,
    };
    bh_rolled_add_sums(p->r, &sums);
    bh_rolled_add_ports(p->r, day.dst_ports);
    for (uint32_t k = 0; k < day.own.count; k++) {
        bh_rolled_add_own(p->r, &part->rollup->own[day.own.id[k]]);
    }
    for (uint32_t k = 0; k < day.places; k++) {
        bh_rolled_add_place(p->r, part->place[day.place[k].country], day.place[k].first_ns,
                            day.place[k].last_ns);
    }
    for (uint32_t h = 0; h < day.hours && r == 0; h++) {
        const struct bh_rollup_hour *hour = &day.hour[h];
        r = !bh_rolled_hour(p->r, hour->start_ns, hour->first_ns, hour->last_ns, hour->frames)
                ? BH_ELIMIT
            : !note_hour(p, hour) ? -ENOMEM
                                  : 0;
        for (uint32_t c = 0; c < hour->cells; c++) {
            const struct bh_rollup_cell *cell = &day.cell[hour->cell_at + c];
            bh_rolled_hour_place(p->r, part->place[cell->country], (uint64_t)cell->tcp + cell->udp);
        }
        p->day[index].some_ns = hour->first_ns;
    }
    p->day[index].sources += day.knocked;
    bh_rollup_day_forget(&day);
    part->kept[d] = day;
    return r;
}

/* ---- distinct sources by day and week ---------------------------------------------------------------------- */

/* Who knocked on a day, whatever file it is in. */
static int
unite_day(struct rolled_plan *p, uint32_t index)
{
    int r = 0;
    for (size_t k = 0; k < p->parts && r == 0; k++) {
        const struct part *part = &p->part[k];
        for (uint32_t d = 0; part->used && d < part->days && r == 0; d++) {
            struct bh_rollup_who who;
            if (part->day[d] != index) {
                continue;
            }
            r = bh_rollup_get_who(part->rollup, d, &who);
            if (r == 0) {
                bh_rolled_union_add(p->r, part->sources, who.id, who.count);
                bh_rollup_who_done(&who);
            }
        }
    }
    return r;
}

static int
take_day_sources(struct rolled_plan *p)
{
    int r = 0;
    for (uint32_t k = 0; k < p->days && r == 0; k++) {
        struct plan_day *d = &p->day[k];
        if (d->rows || d->some_ns == 0) {
            continue;
        }
        if (d->parts > 1) {
            r = unite_day(p, k);
            d->sources = bh_rolled_union_end(p->r);
        }
        bh_rolled_day_sources(p->r, d->some_ns, d->sources);
    }
    return r;
}

/* Weeks begin on Mondays; 1970-01-01 was a Thursday. */
static int
take_weeks(struct rolled_plan *p)
{
    int r = 0;
    for (uint32_t k = 0, end; k < p->days && r == 0; k = end) {
        const int64_t number = p->first_day + k;
        const int64_t left = 7 - ((number + 3) % 7 + 7) % 7;
        end = p->days - k < left ? p->days : k + (uint32_t)left;
        int64_t some_ns = 0;
        for (uint32_t d = k; d < end && r == 0; d++) {
            if (!p->day[d].rows && p->day[d].some_ns != 0) {
                some_ns = p->day[d].some_ns;
                r = unite_day(p, d);
            }
        }
        if (some_ns == 0) {
            continue; /* all of it came as records */
        }
        for (uint32_t d = k; d < end; d++) {
            if (p->day[d].rows) {
                bh_rolled_union_rows(p->r, p->first_day + d, p->first_day + d);
            }
        }
        bh_rolled_week_sources(p->r, some_ns, bh_rolled_union_end(p->r));
    }
    return r;
}

/* ---- all of it ---------------------------------------------------------------------------------------------------- */

/* Who knocked that day, and how often. */
static int
take_who(const struct part *part, uint32_t d)
{
    struct bh_rollup_who who;
    int r = bh_rollup_get_who(part->rollup, d, &who);
    if (r == 0) {
        bh_rolled_who(part->sources, who.id, who.accesses, who.count);
        bh_rollup_who_done(&who);
    }
    return r;
}

static int
take_parts(struct run *x, struct rolled_plan *p)
{
    int r = 0;
    for (size_t k = 0; k < p->parts && r == 0; k++) {
        struct part *part = &p->part[k];
        if (!part->used) {
            continue;
        }
        r = bh_rollup_open(x->feed.store, part->file, &part->rollup);
        r = r != 0 ? r : map_places(x, part);
        part->kept = calloc(part->days + 1UL, sizeof *part->kept);
        r = r == 0 && part->kept == NULL ? -ENOMEM : r;
        r = r != 0 ? r : take_sources(p, part);
        for (uint32_t d = 0; d < part->days && r == 0; d++) {
            r = part->day[d] == UINT32_MAX ? 0 : take_day(p, part, d, part->day[d]);
            r = r != 0 || part->day[d] == UINT32_MAX || part->rollup->is_joined ? r
                                                                                : take_who(part, d);
        }
        r = r == 0 && part->rollup->is_joined ? take_who(part, BH_ROLLUP_ALL) : r;
    }
    return r;
}

int
rolled_count(struct run *x)
{
    struct rolled_plan *p = x->rolled;
    struct bh_tally *t = x->shard[0].tally;
    int r = read_rows(x, p);
    bh_tally_set_period(t, x->period);
    r = r != 0 ? r : bh_rolled_new(t, x->o->ports, &p->r);
    r = r != 0 ? r : take_parts(x, p);
    if (r == 0) {
        bh_rolled_sources_end(p->r);
    }
    r = r != 0 ? r : rolled_take_services(x, p);
    r = r != 0 ? r : take_day_sources(p);
    if (r == 0 && p->day[p->days - 1].end_ns - p->day[0].start_ns > WEEKS_FROM_NS) {
        r = take_weeks(p);
    }
    r = r != 0 ? r : rolled_take_pings(x, p);
    return r != 0 ? r : rolled_take_bursts(x, p);
}

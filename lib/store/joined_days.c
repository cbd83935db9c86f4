/* SPDX-License-Identifier: BSD-2-Clause */
/* Days, hours, pings and bursts of several roll-ups together. */
#include "joined_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- days -------------------------------------------------------------------------------------------------- */

/* The day of a part here: the last one, or a new one behind it. */
static int
day_of(struct join *j, const struct rollup_day_ref *ref, struct rollup_day **ret)
{
    struct rollup_day *last = j->days == 0 ? NULL : &j->day[j->days - 1];
    if (last != NULL && last->start_ns == ref->start_ns && last->end_ns == ref->end_ns) {
        *ret = last;
        return 0;
    }
    if (last != NULL && ref->start_ns < last->end_ns) {
        return BH_ELIMIT; /* steps back, or days of another zone */
    }
    struct rollup_day *d = &j->day[j->days];
    *d = (struct rollup_day){ .start_ns = ref->start_ns, .end_ns = ref->end_ns };
    d->place = malloc((j->dict.country_count + 1UL) * 2 * sizeof *d->place);
    d->dst_ports = calloc(1, BH_ROLLUP_PORTS);
    j->days++;
    if (d->place == NULL || d->dst_ports == NULL) {
        return -ENOMEM;
    }
    for (uint32_t c = 0; c < j->dict.country_count; c++) {
        d->place[2 * c] = INT64_MAX;
        d->place[2 * c + 1] = INT64_MIN;
    }
    *ret = d;
    return 0;
}

static void
add_sums(struct bh_rollup_sums *to, const struct bh_rollup_sums *from)
{
    uint64_t a[sizeof *to / sizeof(uint64_t)], b[BH_COUNT(a)];
    memcpy(a, to, sizeof a);
    memcpy(b, from, sizeof b);
    for (size_t k = 0; k < BH_COUNT(a); k++) {
        a[k] += b[k];
    }
    memcpy(to, a, sizeof a);
}

static uint32_t
busiest_of(uint32_t n)
{
    /* up to here it is not noted */
    return n >= BH_ROLLUP_BURST_LEAST ? n : BH_ROLLUP_BURST_LEAST - 1;
}

/* Hours of a part come in order; its first one may be the last one of the part before. */
static int
add_hour(struct join *j, const struct join_part *part, const struct bh_rollup_day *d,
         const struct bh_rollup_hour *h, size_t first_of_part)
{
    struct rollup_hour *to = j->hours == 0 ? NULL : &j->hour[j->hours - 1];
    if (to != NULL && h->start_ns < to->start_ns) {
        return BH_ELIMIT;
    }
    if (to == NULL || h->start_ns != to->start_ns) {
        to = &j->hour[j->hours++];
        *to = (struct rollup_hour){ .start_ns = h->start_ns,
                                    .end_ns = h->start_ns + 3600 * 1000000000LL,
                                    .first_ns = h->first_ns,
                                    .last_ns = h->last_ns,
                                    .busiest = h->busiest,
                                    .cell =
                                        calloc(2UL * j->dict.country_count + 1, sizeof *to->cell) };
        if (to->cell == NULL) {
            return -ENOMEM;
        }
    } else {
        if (j->hours - 1 >= first_of_part) {
            return BH_ELIMIT; /* twice in one part */
        }
        const uint64_t most = (uint64_t)busiest_of(to->busiest) + busiest_of(h->busiest);
        to->busiest = most > UINT32_MAX ? UINT32_MAX : (uint32_t)most;
        to->is_shared = true;
        to->first_ns = h->first_ns < to->first_ns ? h->first_ns : to->first_ns;
        to->last_ns = h->last_ns > to->last_ns ? h->last_ns : to->last_ns;
    }
    to->frames += h->frames;
    for (uint32_t c = 0; c < h->cells; c++) {
        const struct bh_rollup_cell *cell = &d->cell[h->cell_at + c];
        to->cell[2 * part->country[cell->country]] += cell->tcp;
        to->cell[2 * part->country[cell->country] + 1] += cell->udp;
    }
    return 0;
}

struct pings {
    uint16_t *first_ping, *last_knock; /* [source]: part + 1; 0: none */
    bool *then;
};

static int
add_part_day(struct join *j, const struct join_part *part, const struct bh_rollup_day *d,
             struct rollup_day *to, struct pings *p, size_t first_hour)
{
    const uint16_t number = (uint16_t)(part - j->part + 1);
    int r = 0;
    add_sums(&to->sums, &d->sums);
    for (size_t k = 0; k < BH_ROLLUP_PORTS; k++) {
        to->dst_ports[k] |= d->dst_ports[k];
    }
    for (uint32_t k = 0; k < d->places; k++) {
        int64_t *place = &to->place[2 * part->country[d->place[k].country]];
        place[0] = d->place[k].first_ns < place[0] ? d->place[k].first_ns : place[0];
        place[1] = d->place[k].last_ns > place[1] ? d->place[k].last_ns : place[1];
    }
    for (uint32_t k = 0; k < d->pinged.count; k++) {
        const uint32_t id = part->id[d->pinged.id[k]];
        if (id != UINT32_MAX && p->first_ping[id] == 0) {
            p->first_ping[id] = number;
        }
    }
    for (uint32_t h = 0; h < d->hours && r == 0; h++) {
        r = add_hour(j, part, d, &d->hour[h], first_hour);
    }
    for (uint32_t k = 0; k < d->bursts && r == 0; k++) { /* those of shared hours go later */
        const uint32_t id = part->id[d->burst[k].source];
        void *list = to->burst;
        if (!rollup_room(&list, &to->burst_cap, to->bursts, sizeof *to->burst)) {
            return -ENOMEM;
        }
        to->burst = list;
        to->burst[to->bursts++] =
            (struct bh_rollup_burst){ d->burst[k].hour_ns, id, d->burst[k].key, d->burst[k].count };
        r = id == UINT32_MAX ? BH_ELIMIT : 0;
    }
    return r;
}

static int
add_part(struct join *j, const struct join_part *part, struct pings *p)
{
    const struct rollup_head *h = &part->file->rollup;
    const size_t first_hour = j->hours;
    int r = 0;
    for (uint32_t d = 0; d < h->days && r == 0; d++) {
        struct bh_rollup_day day;
        struct bh_rollup_who who;
        struct rollup_day *to;
        r = day_of(j, &h->day[d], &to);
        r = r != 0 ? r : bh_rollup_get_day(part->u, d, &day);
        if (r != 0) {
            return r;
        }
        r = add_part_day(j, part, &day, to, p, first_hour);
        bh_rollup_day_done(&day);
        r = r != 0 ? r : bh_rollup_get_who(part->u, d, &who);
        if (r != 0) {
            return r;
        }
        for (uint32_t k = 0; k < who.count; k++) {
            const uint32_t id = part->id[who.id[k]];
            if (id != UINT32_MAX) {
                p->last_knock[id] = (uint16_t)(part - j->part + 1);
            }
        }
        bh_rollup_who_done(&who);
    }
    for (uint32_t k = 0; k < part->u->then.count; k++) {
        const uint32_t id = part->id[part->u->then.id[k]];
        if (id != UINT32_MAX) {
            p->then[id] = true;
        }
    }
    return r;
}

/* ---- own addresses ------------------------------------------------------------------------------------------ */

static int
compare_ip(const void *a, const void *b)
{
    return bh_ip_cmp(a, b);
}

static int
join_own(struct join *j)
{
    size_t n = 0, kept = 0;
    for (size_t k = 0; k < j->parts; k++) {
        n += j->part[k].u->own_count;
    }
    j->own = malloc((n + 1) * sizeof *j->own);
    if (j->own == NULL) {
        return -ENOMEM;
    }
    n = 0;
    for (size_t k = 0; k < j->parts; k++) {
        memcpy(&j->own[n], j->part[k].u->own, j->part[k].u->own_count * sizeof *j->own);
        n += j->part[k].u->own_count;
    }
    qsort(j->own, n, sizeof *j->own, compare_ip);
    for (size_t k = 0; k < n; k++) {
        if (kept == 0 || bh_ip_cmp(&j->own[kept - 1], &j->own[k]) != 0) {
            j->own[kept++] = j->own[k];
        }
    }
    j->own_count = (uint32_t)kept;
    /* all of them on the first day: only whole ones are asked for */
    for (uint32_t k = 0; k < kept; k++) {
        if (!rollup_push(&j->day[0].own, k)) {
            return -ENOMEM;
        }
    }
    return kept > 65536 ? BH_ELIMIT : 0;
}

static int
settle_pings(struct join *j, const struct pings *p)
{
    for (uint32_t k = 0; k < j->sources; k++) {
        const bool pinged = p->first_ping[k] != 0;
        if ((pinged && !rollup_push(&j->day[0].pinged, k)) ||
            ((p->then[k] || (pinged && p->last_knock[k] > p->first_ping[k])) &&
             !rollup_push(&j->then, k))) {
            return -ENOMEM;
        }
    }
    return 0;
}

int
join_days(struct join *j)
{
    size_t days = 1, hours = 1;
    for (size_t k = 0; k < j->parts; k++) {
        days += j->part[k].u->days;
    }
    hours += days * 200; /* no roll-up has more of them a day */
    struct pings p = { calloc(j->sources + 1UL, sizeof *p.first_ping),
                       calloc(j->sources + 1UL, sizeof *p.last_knock),
                       calloc(j->sources + 1UL, sizeof *p.then) };
    j->day = calloc(days, sizeof *j->day);
    j->hour = calloc(hours, sizeof *j->hour);
    int r = p.first_ping == NULL || p.last_knock == NULL || p.then == NULL || j->day == NULL ||
                    j->hour == NULL
                ? -ENOMEM
                : 0;
    for (size_t k = 0; k < j->parts && r == 0; k++) {
        r = add_part(j, &j->part[k], &p);
        j->rows += j->part[k].file->rows;
    }
    r = r != 0 ? r : j->days == 0 ? BH_ELIMIT : join_own(j);
    r = r != 0 ? r : settle_pings(j, &p);
    free(p.first_ping);
    free(p.last_knock);
    free(p.then);
    return r;
}

/* ---- bursts --------------------------------------------------------------------------------------------------- */

static int
keep_busy(struct join *j, struct rollup_day *d, struct bh_busy *b, int64_t hour_ns)
{
    struct bh_busy_source x;
    for (uint32_t at = 0; bh_busy_next(b, &at, &x);) {
        if (x.count < BH_ROLLUP_BURST_LEAST) {
            continue;
        }
        const uint32_t id = join_find(j, &x.ip);
        void *list = d->burst;
        if (id == UINT32_MAX) {
            return BH_EDAMAGED;
        }
        if (!rollup_room(&list, &d->burst_cap, d->bursts, sizeof *d->burst)) {
            return -ENOMEM;
        }
        d->burst = list;
        d->burst[d->bursts++] = (struct bh_rollup_burst){ hour_ns, id, x.key, x.count };
    }
    return 0;
}

static int
read_blocks(const struct log_file *f, const struct rollup_hour *h, struct bh_batch *batch,
            struct bh_busy *b)
{
    struct block_rows *rows = block_rows_new();
    struct dict d = { 0 };
    int r = rows == NULL ? -ENOMEM : 0;
    bool have = false;
    uint16_t *values = NULL;
    for (size_t k = 0; k < f->block_count && r == 0; k++) {
        const struct block_head *head = &f->block[k].head;
        if (head->max_ns < h->start_ns || head->min_ns >= h->end_ns) {
            continue;
        }
        r = have ? 0 : log_file_dict(f, f->block[k].dict, &d);
        if (r == 0 && !have) {
            values = calloc(d.country_count + 1UL, sizeof *values);
            r = values == NULL ? -ENOMEM : 0;
            have = true;
        }
        r = r != 0 ? r : block_open(rows, &d, head, f->data + f->block[k].body_at, 0);
        while (r == 0) {
            bh_batch_reset(batch);
            if (!block_next(rows, values, batch)) {
                break;
            }
            r = bh_busy_add(b, batch) ? 0 : -ENOMEM;
        }
    }
    if (have) {
        dict_done(&d);
    }
    free(values);
    block_rows_free(rows);
    return r;
}

/* Bursts of hours that were read take the place of what their parts said. */
static void
drop_shared(struct join *j)
{
    size_t h = 0;
    for (size_t k = 0; k < j->days; k++) {
        struct rollup_day *d = &j->day[k];
        size_t kept = 0;
        for (size_t i = 0; i < d->bursts; i++) {
            for (h = 0; h < j->hours && j->hour[h].start_ns != d->burst[i].hour_ns; h++) {
            }
            if (h < j->hours && !j->hour[h].is_shared) {
                d->burst[kept++] = d->burst[i];
            }
        }
        d->bursts = kept;
    }
}

int
join_bursts(struct join *j)
{
    struct bh_batch *batch = bh_batch_new();
    int r = batch == NULL ? -ENOMEM : 0;
    drop_shared(j);
    for (size_t h = 0, day = 0; h < j->hours && r == 0; h++) {
        const struct rollup_hour *x = &j->hour[h];
        if (!x->is_shared || x->busiest < 2 * BH_ROLLUP_BURST_LEAST) {
            continue;
        }
        while (day + 1 < j->days && j->day[day + 1].start_ns <= x->start_ns) {
            day++;
        }
        struct bh_busy *b = bh_busy_new(x->start_ns, x->end_ns);
        r = b == NULL ? -ENOMEM : 0;
        for (size_t k = 0; k < j->parts && r == 0; k++) {
            r = read_blocks(j->part[k].file, x, batch, b);
        }
        r = r != 0 ? r : keep_busy(j, &j->day[day], b, x->start_ns);
        bh_busy_free(b);
    }
    bh_batch_free(batch);
    return r;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * days.c - several country databases, each for the records of its days (--country-db-dir).
 *
 * A source may be of one country in a record and of another in a later one. So each record is looked up by
 * itself, which costs what the table of sources saves with one database; nothing here is on that way.
 * A source that comes to another place counts there with its next knock, and once per place.
 */
#include "tally_priv.h"

static size_t
day_of(const struct bh_tally *t, int64_t ts_ns)
{
    return bh_country_day_at(t->cfg.days, t->cfg.day_count, ts_ns);
}

static uint16_t
value_of(const kobold *countries, const struct bh_batch *b, uint32_t row)
{
    if (b->kind[row] != BH_KIND_IP6) {
        return kobold_v4(countries, b->src[row]);
    }
    const struct bh_ip6_pair *p = &b->ip6[b->src[row]];
    return kobold_v6(countries, p->src_hi, p->src_lo);
}

unsigned
tally_days_place(const struct bh_tally *t, const struct bh_batch *b, uint32_t row, size_t *ret_day)
{
    *ret_day = day_of(t, b->ts_ns[row]);
    const struct bh_country_day *d = &t->cfg.days[*ret_day];
    return d->of_value[value_of(d->countries, b, row) & 1023];
}

const char *
tally_days_country(const struct bh_tally *t, const struct bh_batch *b, uint32_t row)
{
    const struct bh_country_day *d = &t->cfg.days[day_of(t, b->ts_ns[row])];
    return d->code_of_value[value_of(d->countries, b, row) & 1023];
}

/* Each filter over the rows of its own database; mostly a batch lies in one. */
void
tally_days_filter(struct bh_tally *t, struct bh_batch *b)
{
    if (t->cfg.days[0].filter == NULL) {
        return; /* no words: all are selected */
    }
    size_t day[BH_BATCH_ROWS];
    uint8_t kept[BH_BATCH_ROWS];
    uint8_t selected[BH_BATCH_ROWS];
    size_t first = SIZE_MAX;
    size_t last = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        day[i] = day_of(t, b->ts_ns[i]);
        first = day[i] < first ? day[i] : first;
        last = day[i] > last ? day[i] : last;
        kept[i] = b->counted[i];
        selected[i] = 0;
    }
    for (size_t d = first; b->rows > 0 && d <= last; d++) {
        bool is_any = false;
        for (uint32_t i = 0; i < b->rows; i++) {
            b->counted[i] = day[i] == d ? kept[i] : 0;
            is_any |= day[i] == d;
        }
        if (is_any) {
            t->filter_unknown += bh_filter_narrow(t->cfg.days[d].filter, b);
            for (uint32_t i = 0; i < b->rows; i++) {
                selected[i] |= b->counted[i];
            }
        }
    }
    memcpy(b->counted, selected, b->rows);
}

uint64_t
bh_tally_day_accesses(const struct bh_tally *t, size_t day)
{
    return t->day_accesses == NULL ? 0 : t->day_accesses[day];
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as the roll-up of a segment. Sums stop a fuzzer at once, so they are put right over whatever
 * it made: a dictionary, then the parts of a roll-up over it, each with its length before it.
 */
#include <stdlib.h>

#include "../../lib/store/file_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what))                                                                               \
            abort();                                                                               \
    } while (0)

#define DAY_NS 86400000000000LL

static void
put_part(struct bh_cur *c, struct bh_buf *head, struct bh_buf *body)
{
    struct bh_cur part = bh_cur_sub(c, code_get32(c));
    const size_t n = bh_cur_left(&part);
    code_put64(head, body->len);
    code_put64(head, n);
    code_put64(head, code_sum(part.at, n));
    bh_buf_add(body, part.at, n);
}

static void
check_ids(const struct bh_rollup_ids *ids, uint32_t below)
{
    for (uint32_t k = 0; k < ids->count; k++) {
        CHECK(ids->id[k] < below && (k == 0 || ids->id[k] > ids->id[k - 1]));
    }
}

static void
check_day(const struct bh_rollup *r, const struct bh_rollup_day *d)
{
    for (uint32_t h = 0; h < d->hours; h++) {
        const struct bh_rollup_hour *x = &d->hour[h];
        CHECK(x->start_ns <= x->first_ns && x->first_ns <= x->last_ns && x->last_ns < d->end_ns);
        CHECK(x->cell_at <= d->cells && x->cells <= d->cells - x->cell_at);
    }
    for (uint32_t k = 0; k < d->cells; k++) {
        CHECK(d->cell[k].country < r->countries);
    }
    for (uint32_t k = 0; k < d->places; k++) {
        CHECK(d->place[k].country < r->countries && d->place[k].first_ns <= d->place[k].last_ns);
    }
    for (uint32_t k = 0; k < d->bursts; k++) {
        CHECK(d->burst[k].source < r->sources && d->burst[k].key < 1U << 17);
    }
    check_ids(&d->pinged, r->sources);
    check_ids(&d->then, r->sources);
    check_ids(&d->other, r->sources);
    check_ids(&d->own, r->own_count);
}

static void
read_who(const struct bh_rollup *r, uint32_t day)
{
    struct bh_rollup_who who;
    if (bh_rollup_get_who(r, day, &who) == 0) {
        for (uint32_t k = 0; k < who.count; k++) {
            CHECK(who.id[k] < r->sources && who.accesses[k] > 0 &&
                  (k == 0 || who.id[k] > who.id[k - 1]));
        }
        bh_rollup_who_done(&who);
    }
}

static void
read_services(const struct bh_rollup *r, uint32_t day)
{
    struct bh_rollup_services s;
    if (bh_rollup_get_services(r, day, &s) != 0) {
        return;
    }
    uint32_t *id = malloc((r->sources + 1UL) * sizeof *id);
    CHECK(id != NULL);
    for (uint32_t k = 0; k < s.services; k++) {
        const struct bh_rollup_service *x = &s.service[k];
        CHECK(x->key < BH_ROLLUP_KEYS && (k == 0 || x->key > s.service[k - 1].key) &&
              x->sources <= r->sources);
        CHECK(x->number_at <= s.numbers && x->numbers <= s.numbers - x->number_at);
        for (uint32_t i = x->number_at; i < x->number_at + x->numbers; i++) {
            CHECK(s.number[i].country < r->countries && s.number[i].outcome < BH_OUTCOME_COUNT &&
                  s.number[i].accesses > 0);
        }
        if (bh_rollup_get_sources(&s, k, id) == 0) {
            for (uint32_t i = 0; i < x->sources; i++) {
                CHECK(id[i] < r->sources && (i == 0 || id[i] > id[i - 1]));
            }
        }
    }
    free(id);
    bh_rollup_services_done(&s);
}

static void
read_rares(const struct bh_rollup *r, uint32_t country)
{
    struct bh_rollup_rares *rares;
    const struct bh_rollup_rare *list;
    uint32_t last = 0;
    if (bh_rollup_rares_new(r, country, &rares) != 0) {
        return;
    }
    for (int n; (n = bh_rollup_rares_next(rares, &list)) > 0;) {
        for (int i = 0; i < n; i++) {
            CHECK(list[i].key >= last && list[i].key < BH_ROLLUP_KEYS && list[i].day < r->days &&
                  list[i].accesses > 0);
            CHECK((list[i].source == UINT32_MAX || list[i].source < r->sources) &&
                  list[i].outcome < BH_OUTCOME_COUNT);
            last = list[i].key;
        }
    }
    bh_rollup_rares_free(rares);
}

/* Who needs no sources opens less of it. */
static void
read_numbers(const struct log_file *f, enum bh_rollup_parts parts)
{
    struct bh_rollup *r;
    if (rollup_open(f, parts, &r) != 0) {
        return;
    }
    for (uint32_t k = 0; k < r->days; k++) {
        struct bh_rollup_day d;
        if (bh_rollup_get_hours(r, k, &d) == 0) {
            bh_rollup_day_done(&d);
        }
        if (parts == BH_ROLLUP_SERVICES) {
            read_services(r, k);
        }
    }
    for (uint32_t c = 0; c < r->countries && parts == BH_ROLLUP_SERVICES; c++) {
        read_rares(r, c);
    }
    bh_rollup_close(r);
}

static void
read_rollup(const struct log_file *f)
{
    struct bh_rollup *r;
    read_numbers(f, BH_ROLLUP_HOURS);
    read_numbers(f, BH_ROLLUP_SERVICES);
    if (rollup_open(f, BH_ROLLUP_SOURCES, &r) != 0) {
        return;
    }
    check_ids(&r->silent, r->sources);
    check_ids(&r->then, r->sources);
    for (uint32_t k = 0; k < r->sources; k++) {
        uint64_t hi, lo;
        uint16_t country;
        uint8_t family;
        bh_rollup_source(r, k, &family, &hi, &lo, &country);
        CHECK((family == 4 || family == 6) && country < r->countries);
    }
    for (uint32_t k = 0; k < r->days; k++) {
        struct bh_rollup_day d;
        if (bh_rollup_get_day(r, k, &d) == 0) {
            check_day(r, &d);
            bh_rollup_day_done(&d);
        }
        read_who(r, k);
        read_services(r, k);
    }
    if (r->is_joined) {
        read_who(r, BH_ROLLUP_ALL);
        read_services(r, BH_ROLLUP_ALL);
    }
    for (uint32_t c = 0; c < r->countries; c++) {
        read_rares(r, c);
    }
    bh_rollup_close(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_cur c = bh_cur_over(data, size);
    struct bh_cur octets = bh_cur_sub(&c, code_get32(&c));
    struct bh_buf dict = { 0 }, dict_head = { 0 }, body = { 0 }, head = { 0 };
    struct dict d;
    bh_buf_add(&dict, octets.at, bh_cur_left(&octets));
    if (c.bad || dict.failed || dict_get(&d, octets.at, bh_cur_left(&octets)) != 0) {
        bh_buf_done(&dict);
        return 0;
    }
    dict_frame_put(&dict, false, &dict_head, &body);
    const uint64_t rollup_at = body.len;
    const uint32_t rows = code_get32(&c), flags = bh_cur_u8(&c);
    code_put32(&head, flags | ROLLUP_SECOND_FORM);
    code_put32(&head, 0);
    code_put64(&head, rows);
    code_put32(&head, d.entry_count);
    for (unsigned k = 0; k < 3; k++) { /* sources that stand here, and addresses of ours */
        code_put32(&head, code_get16(&c));
    }
    dict_done(&d);
    const unsigned days = bh_cur_u8(&c) & 63U;
    struct bh_buf parts = { 0 };
    code_put32(&head, days);
    const bool joined = (flags & ROLLUP_JOINED) != 0; /* who, and what, of all days too */
    /* what is common; rare accesses, and where they stand */
    for (unsigned k = 0; k < (joined ? 5 : 3); k++) {
        put_part(&c, &head, &parts);
    }
    for (unsigned k = 0; k < days; k++) {
        code_put64(&head, (uint64_t)((20000 + k) * DAY_NS));
        code_put64(&head, (uint64_t)((20001 + k) * DAY_NS));
        code_put64(&head, k == 0 ? rows : 0);
        for (unsigned n = 0; n < 3; n++) {
            put_part(&c, &head, &parts);
        }
    }
    bh_buf_add(&body, parts.data == NULL ? "" : parts.data, parts.len);
    struct dict_ref ref = { .body_at = 0,
                            .body_size = rollup_at,
                            .head_size = (uint32_t)dict_head.len,
                            .size = (uint32_t)dict.len,
                            .pieces = bh_get_le32((const uint8_t *)dict_head.data + 4),
                            .head = (const uint8_t *)dict_head.data };
    struct log_file f = { .type = FILE_SEGMENT,
                          .data = (const uint8_t *)body.data,
                          .size = body.len,
                          .rows = rows,
                          .dict = &ref,
                          .dict_count = 1,
                          .rollup_at = rollup_at };
    if (!body.failed && !parts.failed && !head.failed &&
        rollup_head_get((const uint8_t *)head.data, head.len, parts.len, rows, &f.rollup) == 0) {
        CHECK(rollup_is_sound(&f.rollup, f.data + rollup_at));
        read_rollup(&f);
        rollup_head_done(&f.rollup);
    }
    bh_buf_done(&dict);
    bh_buf_done(&dict_head);
    bh_buf_done(&body);
    bh_buf_done(&parts);
    bh_buf_done(&head);
    return 0;
}

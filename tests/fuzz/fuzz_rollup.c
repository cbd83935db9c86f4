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
    check_ids(&d->knocked, r->sources);
    check_ids(&d->pinged, r->sources);
    check_ids(&d->then, r->sources);
    check_ids(&d->other, r->sources);
    check_ids(&d->own, r->own_count);
}

static void
read_sets(const struct bh_rollup *r, uint32_t day)
{
    struct bh_rollup_sets *s;
    uint32_t last = 0;
    if (bh_rollup_sets_new(r, day, &s) != 0) {
        return;
    }
    int more = 0;
    for (uint32_t n = 0; more == 0 && bh_rollup_sets_peek(s).list != UINT32_MAX; n++) {
        struct bh_rollup_set set;
        const uint32_t list = bh_rollup_sets_peek(s).list;
        CHECK(n == 0 || list > last);
        last = list;
        more = bh_rollup_sets_next(s, &set);
        CHECK(set.list == list && set.key == list >> 3 && set.outcome < BH_OUTCOME_COUNT && set.count > 0);
        for (uint32_t k = 0; k < set.count; k++) {
            CHECK(set.id[k] < r->sources && set.accesses[k] > 0 && (k == 0 || set.id[k] > set.id[k - 1]));
        }
    }
    bh_rollup_sets_free(s);
}

static void
read_rollup(const struct log_file *f)
{
    struct bh_rollup *r;
    if (rollup_open(f, &r) != 0) {
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
        if (bh_rollup_get_day(r, k, k % 2 == 0, &d) == 0) {
            if (k % 2 != 0) {
                d.knocked.count = 0; /* only their number was told */
            }
            check_day(r, &d);
            bh_rollup_day_done(&d);
        }
        read_sets(r, k);
    }
    read_sets(r, BH_ROLLUP_ALL_DAYS);
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
    code_put32(&head, flags);
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
    put_part(&c, &head, &parts);
    for (unsigned k = 0; k < days; k++) {
        code_put64(&head, (uint64_t)((20000 + k) * DAY_NS));
        code_put64(&head, (uint64_t)((20001 + k) * DAY_NS));
        code_put64(&head, k == 0 ? rows : 0);
        put_part(&c, &head, &parts);
        put_part(&c, &head, &parts);
    }
    put_part(&c, &head, &parts);
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

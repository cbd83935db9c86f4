/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key of a record is the text it will have in its line, so adding a key needs no code here and writing a
 * line is copying. One open-addressing table of (minute, text); texts lie one behind the other in a buffer. 64
 * octets a key and its text: some 8 MiB at the bound.
 */
#include "counts.h"

#include <inttypes.h>
#include <stdlib.h>

#include "bh_put.h"

#define MINUTE_NS 60000000000LL
#define LATE_NS 5000000000LL /* records of an ended minute come that late; more only cost a line */
#define NO_MINUTE INT64_MIN  /* of records without a time */

struct entry {
    uint64_t hash;
    int64_t minute;
    size_t at; /* in the texts */
    uint32_t len;
    bool used;
    uint64_t records, accesses, packets, bytes;
};

struct counts {
    struct lines_fields by;
    struct bh_sight *sight;
    struct bh_buf sensor;
    struct entry *entry;
    uint32_t mask, count;
    struct bh_buf texts, key;
    uint64_t seed, others;
    int64_t first_minute, newest_ns;
};

int
counts_new(struct bh_output *o, const char *by, struct counts **ret)
{
    struct counts *c = calloc(1, sizeof *c);
    int r = c == NULL ? -ENOMEM : lines_fields_parse(o, "by", by, &c->by);
    if (r == 0) {
        c->mask = 1023;
        c->seed = bh_random_key();
        c->entry = calloc(c->mask + 1, sizeof *c->entry);
        r = c->entry == NULL ? -ENOMEM : 0;
    }
    if (r != 0) {
        counts_free(c);
        return r;
    }
    counts_reset(c);
    *ret = c;
    return 0;
}

void
counts_free(struct counts *c)
{
    if (c != NULL) {
        bh_sight_free(c->sight);
        bh_buf_done(&c->sensor);
        bh_buf_done(&c->texts);
        bh_buf_done(&c->key);
        free(c->entry);
        free(c);
    }
}

int
counts_run(struct counts *c, const struct bh_output_run *run)
{
    bh_sight_free(c->sight);
    c->sight = NULL;
    c->sensor.len = 0;
    bh_buf_put_json(&c->sensor, run->sensor, strlen(run->sensor));
    return bh_sight_new(run->countries, BH_EN, c->by.needs, NULL, &c->sight, NULL);
}

void
counts_reset(struct counts *c)
{
    memset(c->entry, 0, ((size_t)c->mask + 1) * sizeof *c->entry);
    c->count = 0;
    c->texts.len = 0;
    c->first_minute = INT64_MAX;
    c->newest_ns = INT64_MIN;
}

static uint64_t
hash_of(const struct counts *c, int64_t minute, const char *text, size_t len)
{
    uint64_t h = bh_mix64(c->seed, (uint64_t)minute);
    for (; len >= 8; text += 8, len -= 8) {
        h = bh_mix64(h, bh_get_le64((const uint8_t *)text));
    }
    uint8_t rest[8] = { 0 };
    memcpy(rest, text, len);
    return bh_mix64(h ^ len, bh_get_le64(rest));
}

static bool
grow(struct counts *c)
{
    const uint32_t mask = c->mask * 2 + 1;
    struct entry *entry = calloc((size_t)mask + 1, sizeof *entry);
    if (entry == NULL) {
        return false;
    }
    for (uint32_t k = 0; k <= c->mask; k++) {
        if (c->entry[k].used) {
            uint32_t at = (uint32_t)c->entry[k].hash & mask;
            while (entry[at].used) {
                at = (at + 1) & mask;
            }
            entry[at] = c->entry[k];
        }
    }
    free(c->entry);
    c->entry = entry;
    c->mask = mask;
    return true;
}

/* NULL: no memory. */
static struct entry *
find(struct counts *c, int64_t minute, const char *text, size_t len, bool is_others)
{
    const uint64_t hash = hash_of(c, minute, text, len);
    uint32_t at = (uint32_t)hash & c->mask;
    for (; c->entry[at].used; at = (at + 1) & c->mask) {
        const struct entry *e = &c->entry[at];
        if (e->hash == hash && e->minute == minute && e->len == len &&
            memcmp(c->texts.data + e->at, text, len) == 0) {
            return &c->entry[at];
        }
    }
    if (c->count >= COUNTS_KEYS && !is_others) {
        static const char others[] = ",\"others\":true";
        c->others++;
        return find(c, minute, others, sizeof others - 1, true);
    }
    if ((c->count + 1) * 4 > c->mask * 3) {
        return grow(c) ? find(c, minute, text, len, is_others) : NULL;
    }
    c->entry[at] = (struct entry){
        .hash = hash, .minute = minute, .at = c->texts.len, .len = (uint32_t)len, .used = true
    };
    bh_buf_add(&c->texts, text, len);
    c->count++;
    return c->texts.failed ? NULL : &c->entry[at];
}

static void
make_key(struct counts *c, uint32_t row)
{
    struct bh_value v;
    c->key.len = 0;
    for (size_t i = 0; i < c->by.count; i++) {
        bh_sight_get(c->sight, &c->by.column[i], row, &v);
        if (!v.absent) {
            bh_buf_puts(&c->key, ",\"");
            bh_buf_puts(&c->key, c->by.column[i].name);
            bh_buf_puts(&c->key, "\":");
            lines_put_value(&c->key, c->by.column[i].type, &v);
        }
    }
}

int
counts_add(struct counts *c, const struct bh_output_batch *batch)
{
    const struct bh_batch *b = batch->records;
    bh_sight_set(c->sight,
                 (struct bh_batch *)(uintptr_t)b); /* without an anonymizer it stays as it is */
    for (uint32_t row = 0; row < batch->rows; row++) {
        const bool timed = (b->marks[row] & BH_MARK_BAD_TIME) == 0;
        const int64_t ts = b->ts_ns[row];
        const int64_t minute = timed ? ts / MINUTE_NS - (ts % MINUTE_NS < 0) : NO_MINUTE;
        make_key(c, row);
        struct entry *e = c->key.failed ? NULL
                                        : find(c, minute, c->key.data == NULL ? "" : c->key.data,
                                               c->key.len, false);
        if (e == NULL) {
            return -ENOMEM;
        }
        const uint64_t weight = b->has_weight ? b->weight[row] : 1;
        const bool is_ip = b->kind[row] >= BH_KIND_IP4;
        e->records++;
        e->accesses += b->cls[row] == BH_CLASS_ACCESS ? weight : 0;
        e->packets += is_ip ? weight : 0;
        e->bytes += is_ip ? weight * b->ip_len[row] : 0;
        if (timed) {
            c->first_minute = minute < c->first_minute ? minute : c->first_minute;
            c->newest_ns = ts > c->newest_ns ? ts : c->newest_ns;
        }
    }
    return 0;
}

bool
counts_is_due(const struct counts *c)
{
    return c->count > 0 && c->first_minute != INT64_MAX &&
           c->newest_ns - LATE_NS >= (c->first_minute + 1) * MINUTE_NS;
}

bool
counts_is_large(const struct counts *c)
{
    return c->count >= COUNTS_KEYS / 2;
}

bool
counts_is_empty(const struct counts *c)
{
    return c->count == 0;
}

uint64_t
counts_others(const struct counts *c)
{
    return c->others;
}

static int
by_minute(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
    return x->minute != y->minute ? (x->minute > y->minute) - (x->minute < y->minute)
                                  : (x->at > y->at) - (x->at < y->at);
}

void
counts_put(const struct counts *c, struct bh_buf *to)
{
    const struct entry **order = calloc((size_t)c->count + 1, sizeof(struct entry *));
    size_t n = 0;
    if (order == NULL) {
        to->failed = true;
        return;
    }
    for (uint32_t k = 0; k <= c->mask; k++) {
        if (c->entry[k].used) {
            order[n++] = &c->entry[k];
        }
    }
    qsort(order, n, sizeof *order, by_minute);
    for (size_t k = 0; k < n; k++) {
        const struct entry *e = order[k];
        char time[40];
        bh_buf_putc(to, '{');
        if (e->minute != NO_MINUTE) {
            *lines_put_time(time, e->minute * MINUTE_NS) = '\0';
            bh_buf_printf(to, "\"time\":\"%s\",", time);
        }
        bh_buf_puts(to, "\"sensor\":");
        bh_buf_add(to, c->sensor.data, c->sensor.len);
        bh_buf_add(to, c->texts.data + e->at, e->len);
        bh_buf_printf(to,
                      ",\"records\":%" PRIu64 ",\"accesses\":%" PRIu64 ",\"packets\":%" PRIu64
                      ",\"bytes\":%" PRIu64 "}\n",
                      e->records, e->accesses, e->packets, e->bytes);
    }
    free(order);
}

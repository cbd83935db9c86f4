/* SPDX-License-Identifier: BSD-2-Clause */
/* A run with texts of its own, and as octets for the spool: six texts with their NULs behind a head of 16 octets. */
#include "host_priv.h"

#include <stdlib.h>

enum { HEAD = 16, TEXTS = 6, GUESSED = 1, ALL_ACCESSES = 2, OUTCOMES = 4 };

static void
texts_of(const struct bh_output_run *r, const char *text[TEXTS])
{
    const char *all[TEXTS] = { r->sensor,           r->source,           r->home,
                               r->home_text[BH_EN], r->home_text[BH_JA], r->filter };
    for (size_t k = 0; k < TEXTS; k++) {
        text[k] = all[k] != NULL ? all[k] : "";
    }
}

void
run_pack(const struct bh_output_run *run, struct bh_buf *to)
{
    const char *text[TEXTS];
    uint8_t head[HEAD] = { 0 };
    texts_of(run, text);
    bh_put_le32(head, 1);
    bh_put_le32(head + 4, (run->home_guessed ? GUESSED : 0U) |
                              (run->all_accesses ? ALL_ACCESSES : 0U) |
                              (run->outcomes ? OUTCOMES : 0U));
    bh_put_le64(head + 8, (uint64_t)run->start_ns);
    bh_buf_add(to, head, sizeof head);
    for (size_t k = 0; k < TEXTS; k++) {
        bh_buf_add(to, text[k], strlen(text[k]) + 1);
    }
}

struct bh_output_run *
run_unpack(const uint8_t *data, size_t size, int64_t start_ns)
{
    const char *text[TEXTS];
    if (size < HEAD || bh_get_le32(data) != 1 || (int64_t)bh_get_le64(data + 8) != start_ns) {
        return NULL;
    }
    struct bh_output_run *r = calloc(1, sizeof *r + size - HEAD + 1);
    if (r == NULL) {
        return NULL;
    }
    char *at = (char *)(r + 1), *end = at + size - HEAD;
    memcpy(at, data + HEAD, size - HEAD); /* and a NUL behind it */
    for (size_t k = 0; k < TEXTS; k++) {
        text[k] = at;
        at += strlen(at) + 1;
        if (at > end) {
            free(r);
            return NULL;
        }
    }
    const uint32_t flags = bh_get_le32(data + 4);
    *r = (struct bh_output_run){
        .size = sizeof *r,
        .sensor = text[0],
        .start_ns = start_ns,
        .source = text[1],
        .home = text[2],
        .home_text = { text[3], text[4] },
        .home_guessed = (flags & GUESSED) != 0,
        .all_accesses = (flags & ALL_ACCESSES) != 0,
        .outcomes = (flags & OUTCOMES) != 0,
        .filter = text[5],
    };
    return r;
}

struct bh_output_run *
run_copy(const struct bh_output_run *from)
{
    struct bh_buf octets = { 0 };
    run_pack(from, &octets);
    struct bh_output_run *r =
        octets.failed ? NULL : run_unpack((const uint8_t *)octets.data, octets.len, from->start_ns);
    bh_buf_done(&octets);
    if (r != NULL) {
        r->countries = from->countries;
    }
    return r;
}

bool
spooling_same_run(const struct bh_output_run *a, const struct bh_output_run *b)
{
    return a->start_ns == b->start_ns && strcmp(a->sensor, b->sensor) == 0;
}

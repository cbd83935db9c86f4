/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands in a file of a log beside its blocks: summaries and dictionaries, with parity to repair these. */
#include "file_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- summaries ------------------------------------------------------------------------------------------- */

static bool
summary_sum_is_right(const struct log_file *f)
{
    return f->summary.blocks == 0 ||
           code_sum(f->data + f->summary_at, f->summary.size) == f->summary.sum;
}

/* What blocks it tells of must be those that are there: not where one could not be found. */
int
log_file_summary(const struct log_file *f, struct summary *ret)
{
    if (f->summary.blocks == 0 || f->summary.blocks != f->block_count || f->damaged > 0 ||
        !summary_sum_is_right(f)) {
        return BH_EDAMAGED;
    }
    return segsum_get(f->data + f->summary_at, f->summary.size, f->summary.blocks, ret);
}

bool
log_file_is_summed_up(const struct log_file *f)
{
    return f->block_count < 2 || f->summary_size > 0;
}

/* ---- dictionaries ---------------------------------------------------------------------------------------- */

static uint32_t
piece_len(const struct dict_ref *d, uint32_t piece)
{
    return piece + 1 < d->pieces ? PIECE_SIZE : d->size - piece * PIECE_SIZE;
}

/* As long as the longest piece of its group; all before it are whole. */
static uint32_t
parity_len(const struct dict_ref *d, uint32_t group)
{
    const uint64_t first = (uint64_t)group * PARITY_OF * PIECE_SIZE;
    return d->size - first < PIECE_SIZE ? (uint32_t)(d->size - first) : PIECE_SIZE;
}

/* Are the sums and the octets of the parity there? */
static bool
has_parity(const struct dict_ref *d)
{
    const uint32_t groups = (d->pieces + PARITY_OF - 1) / PARITY_OF;
    return d->size > 0 && d->head_size >= 8 + 8ULL * d->pieces + 8ULL * groups &&
           d->body_size >=
               d->size + (uint64_t)(groups - 1) * PIECE_SIZE + parity_len(d, groups - 1);
}

/* One piece of a group that is damaged is what the others of it and their parity make. */
static bool
repair(const struct dict_ref *d, const uint8_t *body, uint8_t *octets, uint32_t piece)
{
    const uint64_t sums = 8 + 8ULL * d->pieces;
    const uint32_t group = piece / PARITY_OF;
    if (!has_parity(d)) {
        return false;
    }
    const uint8_t *parity = body + d->size + (uint64_t)group * PIECE_SIZE;
    const uint32_t length = parity_len(d, group);
    if (code_sum(parity, length) != bh_get_le64(d->head + sums + 8ULL * group)) {
        return false;
    }
    uint8_t made[PIECE_SIZE];
    memcpy(made, parity, length);
    for (uint32_t k = group * PARITY_OF; k < (group + 1) * PARITY_OF && k < d->pieces; k++) {
        for (uint32_t i = 0; k != piece && i < piece_len(d, k); i++) {
            made[i] ^= body[(uint64_t)k * PIECE_SIZE + i];
        }
    }
    if (code_sum(made, piece_len(d, piece)) != bh_get_le64(d->head + 8 + 8ULL * piece)) {
        return false;
    }
    memcpy(octets + (uint64_t)piece * PIECE_SIZE, made, piece_len(d, piece));
    return true;
}

static bool
piece_is_sound(const struct dict_ref *d, const uint8_t *body, uint32_t piece)
{
    return code_sum(body + (uint64_t)piece * PIECE_SIZE, piece_len(d, piece)) ==
           bh_get_le64(d->head + 8 + 8ULL * piece);
}

int
log_file_dict(const struct log_file *f, size_t index, struct dict *ret)
{
    const struct dict_ref *d = &f->dict[index];
    const uint8_t *body = f->data + d->body_at, *octets = body;
    uint8_t *repaired = NULL;
    int r = 0;
    if (d->size == 0 || d->head_size < 8 + 8ULL * d->pieces) {
        return BH_EDAMAGED;
    }
    for (uint32_t k = 0; k < d->pieces && r == 0; k++) {
        if (piece_is_sound(d, body, k)) {
            continue;
        }
        if (repaired == NULL) {
            repaired = malloc(d->size);
            if (repaired == NULL) {
                return -ENOMEM;
            }
            memcpy(repaired, body, d->size);
            octets = repaired;
        }
        r = repair(d, body, repaired, k) ? 0 : BH_EDAMAGED;
    }
    r = r != 0 ? r : dict_get(ret, octets, d->size);
    free(repaired);
    return r;
}

int
log_file_countries(const struct log_file *f, size_t index, struct dict *ret)
{
    const struct dict_ref *d = &f->dict[index];
    const uint8_t *body = f->data + d->body_at;
    bool sound = d->size > 0 && d->head_size >= 8 + 8ULL * d->pieces;
    uint64_t known = 0; /* octets whose sums are right */
    for (uint32_t k = 0; k < d->pieces && sound; k++) {
        struct dict some = { 0 };
        sound = piece_is_sound(d, body, k);
        known += piece_len(d, k);
        struct bh_cur c = bh_cur_over(body, (size_t)known);
        int r = sound ? dict_get_countries(&c, &some.country, &some.country_count) : 0;
        if (sound && r != BH_EDAMAGED) {
            *ret = some;
            return r;
        }
    }
    return log_file_dict(f, index, ret); /* which repairs it */
}

static bool
parity_is_sound(const struct log_file *f, size_t index)
{
    const struct dict_ref *d = &f->dict[index];
    const uint8_t *body = f->data + d->body_at;
    const uint32_t groups = (d->pieces + PARITY_OF - 1) / PARITY_OF;
    const uint64_t sums = 8 + 8ULL * d->pieces;
    if (!has_parity(d)) {
        return false;
    }
    bool ok = true;
    for (uint32_t k = 0; k < d->pieces && ok; k++) {
        ok = piece_is_sound(d, body, k);
    }
    for (uint32_t k = 0; k < groups && ok; k++) {
        ok = code_sum(body + d->size + (uint64_t)k * PIECE_SIZE, parity_len(d, k)) ==
             bh_get_le64(d->head + sums + 8ULL * k);
    }
    return ok;
}

bool
log_file_frames_are_sound(const struct log_file *f)
{
    struct frame frame;
    uint64_t at = FILE_HEADER_SIZE;
    while (at + TRAILER_SIZE < f->size) {
        if (!frame_get(f->data, f->size, at, &frame)) {
            return false;
        }
        at += FRAME_SIZE + frame.head_size + frame.body_size;
    }
    for (size_t k = 0; k < f->dict_count; k++) {
        if (!parity_is_sound(f, k)) {
            return false;
        }
    }
    if (f->rollup_damaged || !rollup_is_sound(&f->rollup, f->data + f->rollup_at) ||
        f->summary_damaged || !summary_sum_is_right(f)) {
        return false;
    }
    return at + TRAILER_SIZE == f->size;
}

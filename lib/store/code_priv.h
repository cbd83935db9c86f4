/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of octets and of numbers in few octets: what columns and dictionaries are made of
 * (docs/format/log.md, "Lists"). A list does not say how long it is; who reads it knows.
 *
 * Readers take any octets: they return false, and never read or write beyond what they were given.
 */
#ifndef STORE_CODE_PRIV_H
#define STORE_CODE_PRIV_H

#include "bh_base.h"

/* 64 bits over n octets: finds damage, proves nothing against a forger. */
uint64_t code_sum(const void *data, size_t n);

/* Room for n octets and a NUL behind what is there. */
bool code_reserve(struct bh_buf *out, size_t n);
void code_put8(struct bh_buf *out, uint8_t v);
void code_put16(struct bh_buf *out, uint16_t v);
void code_put32(struct bh_buf *out, uint32_t v);
void code_put64(struct bh_buf *out, uint64_t v);

/* To be filled again. */
static inline void
code_empty(struct bh_buf *b)
{
    b->len = 0;
    b->failed = false;
}

static inline uint16_t
code_get16(struct bh_cur *c)
{
    const uint8_t *p = bh_cur_take(c, 2);
    return p == NULL ? 0 : bh_get_le16(p);
}

static inline uint32_t
code_get32(struct bh_cur *c)
{
    const uint8_t *p = bh_cur_take(c, 4);
    return p == NULL ? 0 : bh_get_le32(p);
}

static inline uint64_t
code_get64(struct bh_cur *c)
{
    const uint8_t *p = bh_cur_take(c, 8);
    return p == NULL ? 0 : bh_get_le64(p);
}

#define CODE_COLUMN_LISTS 16U /* of a block, that are told apart */
#define CODE_LISTS (32U * CODE_COLUMN_LISTS)
enum { CODE_WAY_UNKNOWN = 0, CODE_WAY_REPEATS, CODE_WAY_SINGLE };
/* Work space of the writer: lists of up to CODE_LIST_MAX numbers. */
struct code_work {
    bool plain; /* lists take the form that is the fastest to write */
    /* Which way of pressing was better for each list of a block, by its column and place. */
    uint8_t way[CODE_LISTS];
    unsigned block, list;
    bool is_block;
    struct code_slot { /* how often a value comes; then its code */
        uint32_t value, count;
    } * slot; /* twice as many as numbers */
    uint32_t *place, *used, *rest, used_count;
    uint64_t *chosen;
    uint8_t *plane;
    void *zstd, *zstd_single; /* ZSTD_CCtx; single: for octets without order */
    uint8_t *pressed;
    size_t pressed_cap;
};
#define CODE_LIST_MAX 65536U
/* Blocks of one segment look alike: what was the better way of pressing is remembered, by column. */
void code_segment_begin(struct code_work *w);
void code_block_begin(struct code_work *w);
void code_block_end(struct code_work *w);
void code_column_begin(struct code_work *w, unsigned column);
BH_NODISCARD int code_work_init(struct code_work *w);
void code_work_done(struct code_work *w);

void code_put_octets(struct code_work *w, struct bh_buf *out, const uint8_t *v, size_t n);
void code_put_numbers(struct code_work *w, struct bh_buf *out, const uint32_t *v, uint32_t n);
/* Longer lists, in pieces of CODE_LIST_MAX. */
void code_put_long(struct code_work *w, struct bh_buf *out, const uint32_t *v, size_t n);

/* `v` has room for n and 16 more, which may be written. */
bool code_get_octets(struct bh_cur *c, uint8_t *v, size_t n);
bool code_get_numbers(struct bh_cur *c, uint32_t *v, uint32_t n);
bool code_get_long(struct bh_cur *c, uint32_t *v, size_t n);

/* The forms of a list of numbers. */
enum { NUMBERS_SAME = 0, NUMBERS_PACKED = 1, NUMBERS_COMMON = 2, NUMBERS_PLANES = 3 };
#define CODE_NUMBER_OTHER 255U /* in a list of common ones: another */

/* n numbers of `width` bits (up to 32), each more by `least`; the first by what the processor has, the
 * second everywhere the same. v[i] = table[code[i]], of 256 places. */
void
code_unpack(const uint8_t *p, size_t size, unsigned width, uint32_t least, uint32_t *v, uint32_t n);
void code_unpack_base(const uint8_t *p, size_t size, unsigned width, uint32_t least, uint32_t *v,
                      uint32_t n);
void code_look_up(const uint32_t *table, const uint8_t *code, uint32_t *v, uint32_t n);
void code_look_up_base(const uint32_t *table, const uint8_t *code, uint32_t *v, uint32_t n);

/* ---- bits, the lowest first -------------------------------------------------------------------- */

struct code_bits {
    struct bh_buf *out;
    uint8_t *at; /* NULL: no memory, as `out` says */
    uint64_t word;
    unsigned have;
};

/* Room for that many behind what `out` has; it must not be touched before the end. */
struct code_bits code_bits_begin(struct bh_buf *out, uint64_t most_bits);
void code_bits_end(struct code_bits *b); /* whole octets */

/* n <= 32 */
static inline void
code_bits_put(struct code_bits *b, uint64_t v, unsigned n)
{
    b->word |= v << b->have;
    b->have += n;
    if (b->have >= 32) {
        if (BH_LIKELY(b->at != NULL)) {
            bh_put_le32(b->at, (uint32_t)b->word);
            b->at += 4;
        }
        b->word >>= 32;
        b->have -= 32;
    }
}

struct code_bits_in {
    const uint8_t *data;
    size_t size; /* octets */
    uint64_t at; /* bit    */
};

uint64_t code_bits_edge(const struct code_bits_in *b); /* near the end */

/* The next 57 bits or more; beyond the end: zeros. */
static inline uint64_t
code_bits_peek(const struct code_bits_in *b)
{
    size_t o = (size_t)(b->at >> 3);
    if (BH_LIKELY(o + 8 <= b->size)) {
        return bh_get_le64(b->data + o) >> (b->at & 7);
    }
    return code_bits_edge(b);
}

/* n <= 32 */
static inline uint32_t
code_bits_get(struct code_bits_in *b, unsigned n)
{
    uint64_t v = code_bits_peek(b) & ((1ULL << n) - 1);
    b->at += n;
    return (uint32_t)v;
}

static inline bool
code_bits_over(const struct code_bits_in *b)
{
    return b->at > (uint64_t)b->size * 8;
}

/* ---- steps: numbers of any size that are mostly small --------------------------------------------- */

/* A step is an octet that says its octave and three bits more, and the bits below. 254: 32 bits of
 * a negative one; 255: 64 bits. */
enum { CODE_STEP_BACK = 254, CODE_STEP_WIDE = 255 };

#define STEP_SMALL 16U /* these say all in their octet                   */
#define STEP_LAST_OCTAVE                                                                           \
    32 /* 16 + 8 * (32 - 4) + 7 = 247 is the last symbol; 248 to 253 mean nothing */

static inline uint8_t
code_step_symbol(int64_t d, unsigned *ret_bits, uint64_t *ret_low)
{
    if (d >= 0 && d < (int64_t)STEP_SMALL) {
        *ret_bits = 0;
        *ret_low = 0;
        return (uint8_t)d;
    }
    if (d > 0 && d >> (STEP_LAST_OCTAVE + 1) == 0) {
        unsigned octave = 63U - (unsigned)__builtin_clzll((unsigned long long)d);
        unsigned high = (unsigned)(d >> (octave - 3)) & 7;
        *ret_bits = octave - 3;
        *ret_low = (uint64_t)d & ((1ULL << (octave - 3)) - 1);
        return (uint8_t)(STEP_SMALL + (octave - 4) * 8 + high);
    }
    if (d < 0 && d > -(int64_t)UINT32_MAX) {
        *ret_bits = 32;
        *ret_low = (uint64_t)-d;
        return CODE_STEP_BACK;
    }
    *ret_bits = 64;
    *ret_low = (uint64_t)d;
    return CODE_STEP_WIDE;
}

extern const struct code_step {
    uint64_t base;
    uint8_t bits;
} code_steps[256];

#endif

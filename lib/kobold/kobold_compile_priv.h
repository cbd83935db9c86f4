/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_compile_priv.h - ranges, runs and sources, between the files that build a database:
 * kobold_text.c (text to ranges), kobold_runs.c (ranges to runs, runs over runs),
 * kobold_write*.c (runs to the file), kobold_compile.c (the builder).
 */
#ifndef KOBOLD_COMPILE_PRIV_H
#define KOBOLD_COMPILE_PRIV_H

#include "kobold_compile.h"
#include "kobold_priv.h"

/* IPv4 uses lo only, so that one code serves both families. No 128-bit type: 32-bit machines
 * have none. */
struct kobold_addr {
    uint64_t hi, lo;
};

static inline int
addr_cmp(struct kobold_addr a, struct kobold_addr b)
{
    if (a.hi != b.hi) {
        return a.hi < b.hi ? -1 : 1;
    }
    return a.lo == b.lo ? 0 : a.lo < b.lo ? -1 : 1;
}

static inline struct kobold_addr
addr_next(struct kobold_addr a)
{
    return (struct kobold_addr){ a.hi + (a.lo == UINT64_MAX), a.lo + 1 };
}

/* The last address of a family. */
static inline struct kobold_addr
addr_last(int family)
{
    return family == 4 ? (struct kobold_addr){ 0, UINT32_MAX }
                       : (struct kobold_addr){ UINT64_MAX, UINT64_MAX };
}

/* What a range says, before values are numbered: nothing, a row of the special-use table
 * (index + 1), explicitly unallocated, or two letters. */
enum {
    CODE_NONE = 0,
    CODE_SPECIAL = 1,
    CODE_UNALLOCATED = 0x4000,
    CODE_UNKNOWN = 'Z' << 8 | 'Z',
};

struct kobold_range {
    struct kobold_addr start, end; /* both inside */
    uint32_t order;                /* of two equal ranges the later wins */
    uint16_t code;
};

/* A run goes up to the next one's start; the first starts at 0. */
struct kobold_run {
    struct kobold_addr start;
    uint16_t code, source;
};

struct kobold_runs {
    struct kobold_run *at;
    size_t count, room;
    bool failed; /* out of memory: sticky */
};

struct kobold_ranges {
    struct kobold_range *at;
    size_t count, room;
    bool failed;
};

struct kobold_source {
    char name[256];
    enum kobold_layer layer;
    struct kobold_input input;
    uint32_t day; /* yyyymmdd of the data, 0: unknown */
    char vendor[64], licence[64];
    struct kobold_ranges ranges[2]; /* IPv4, IPv6 */
};

struct kobold_pair {
    uint16_t winner, loser;
    uint64_t v4_addresses, v6_subnets;
};

#define KOBOLD_SOURCES_MAX 4096

struct kobold_build {
    struct kobold_source **sources;
    size_t source_count;
    struct kobold_pair *pairs;
    size_t pair_count, pair_room;
    char name[64], date[16], licence[64], source[128], newest[16];
    void (*notice)(void *arg, const struct bh_error *e);
    void *notice_arg;
};

/* kobold_runs.c */
void ranges_add(struct kobold_ranges *r, struct kobold_addr start, struct kobold_addr end,
                uint16_t code);
void ranges_done(struct kobold_ranges *r);
/* Sorts `r`. Equal ranges with different codes are counted in `ret_twice`. */
int runs_from_ranges(struct kobold_ranges *r, int family, uint16_t source, struct kobold_runs *ret,
                     uint64_t *ret_twice);
/* `over` wins where it says something. `b` (may be NULL) notes who disagreed with whom. */
int runs_overlay(const struct kobold_runs *under, const struct kobold_runs *over, int family,
                 struct kobold_build *b, struct kobold_runs *ret);
void runs_done(struct kobold_runs *r);
/* The special-use table, and for IPv6 "unallocated" around 2000::/3. */
int runs_special(int family, struct kobold_runs *ret);

/* kobold_text.c */
int text_parse(struct kobold_build *b, struct kobold_source *s, const char *text, size_t size,
               enum kobold_format format, struct bh_error *err);

/* kobold_write_v4.c, kobold_write_v6.c: add to `sections` by kind. `code` of a run is its value; in IPv6
 * those of `must_escape` take the way behind an escape. */
int write_v4(const struct kobold_run *runs, size_t count, struct bh_buf *sections);
int write_v6(const struct kobold_run *runs, size_t count, const uint8_t *must_escape,
             struct bh_buf *sections);

static inline void
buf_put16(struct bh_buf *b, uint16_t v)
{
    uint8_t p[2];
    bh_put_le16(p, v);
    bh_buf_add(b, p, sizeof p);
}

static inline void
buf_put32(struct bh_buf *b, uint32_t v)
{
    uint8_t p[4];
    bh_put_le32(p, v);
    bh_buf_add(b, p, sizeof p);
}

static inline void
buf_put64(struct bh_buf *b, uint64_t v)
{
    uint8_t p[8];
    bh_put_le64(p, v);
    bh_buf_add(b, p, sizeof p);
}

static inline void
buf_put_zeros(struct bh_buf *b, size_t n)
{
    static const uint8_t zeros[256];
    for (; n > sizeof zeros; n -= sizeof zeros) {
        bh_buf_add(b, zeros, sizeof zeros);
    }
    bh_buf_add(b, zeros, n);
}

/* kobold_write.c */
struct kobold_texts {
    const char *name, *date, *licence, *source;
};
int write_database(const struct kobold_runs runs[2], const struct kobold_texts *texts,
                   uint8_t **ret_data, size_t *ret_size, struct bh_error *err);

static inline int
out_of_memory(struct bh_error *err)
{
    return bh_error_set(err, -12 /* ENOMEM */, "", "out of memory%s", "メモリーが足りません%s", "");
}

#endif

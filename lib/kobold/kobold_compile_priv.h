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

/* What one line of an input says about a range; both ends are inside. Ranges stand in the order of
 * their lines, and of two equal ones the later wins. */
struct kobold_range {
    struct kobold_addr start, end;
    uint32_t line;
    uint16_t code;
    uint16_t day;             /* of the allocation, days since 1970; 0: not said */
    uint8_t registry, status; /* KOBOLD_REGISTRY_..., KOBOLD_STATUS_...          */
};

/* A run goes up to the next one's start; the first starts at 0. */
struct kobold_run {
    struct kobold_addr start;
    uint16_t code, source;
    uint32_t range; /* the one that says so: index in its source, plus one; 0: none */
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
    struct kobold_ranges ranges[2]; /* IPv4, IPv6                                        */
    struct kobold_ranges notes[2];  /* blocks listed without a country: reserved, available */
    bool has_details;               /* some range has a registry, a status or a day      */
};

struct kobold_pair {
    uint16_t winner, loser;
    uint64_t v4_addresses, v6_subnets;
};

/* A system and where its name is among the texts. */
struct kobold_as_text {
    uint32_t number, at, len;
};

/* AS tables. The number of a range stands in `line`. */
struct kobold_as_table {
    struct kobold_ranges ranges[2];
    struct kobold_as_text *at; /* each system once; `slots`: a hash table of index + 1 */
    size_t count, room;
    uint32_t *slots;
    size_t slot_count;
    struct bh_buf texts;
    char name[64], date[16], licence[64], source[128];
};

#define KOBOLD_SOURCES_MAX 4096
#define KOBOLD_SPECIALS_MAX 256 /* special-use blocks */

struct kobold_build {
    struct kobold_source **sources;
    size_t source_count;
    struct kobold_pair *pairs;
    size_t pair_count, pair_room;
    char name[64], date[16], licence[64], source[128], newest[16];
    enum kobold_details details;
    struct kobold_as_table as;
    struct kobold_special_row *specials; /* changed by IANA's registries; NULL: as compiled in */
    unsigned special_count;
    char **kept; /* texts of these rows */
    size_t kept_count;
    void (*notice)(void *arg, const struct bh_error *e);
    void *notice_arg;
};

/* kobold_runs.c */
bool ranges_grow(struct kobold_ranges *r); /* room for one more; else `failed` is set */
void ranges_reserve(struct kobold_ranges *r, size_t room); /* a hint, before the first */
void ranges_done(struct kobold_ranges *r);
/* How finely runs are cut: where the code changes, or where another line says so. */
enum runs_by { RUNS_BY_CODE, RUNS_BY_LINE };
/* Sorts `r`. Equal ranges with different codes are counted in `ret_twice`. */
int runs_from_ranges(struct kobold_ranges *r, int family, uint16_t source, enum runs_by by,
                     struct kobold_runs *ret, uint64_t *ret_twice);
/* `over` wins where it says something. `b` (may be NULL) notes who disagreed with whom. */
int runs_overlay(const struct kobold_runs *under, const struct kobold_runs *over, int family,
                 enum runs_by by, struct kobold_build *b, struct kobold_runs *ret);
void runs_done(struct kobold_runs *r);
/* The special-use table, and for IPv6 "unallocated" around 2000::/3. */
int runs_special(const struct kobold_build *b, int family, struct kobold_runs *ret);

static inline void
ranges_add(struct kobold_ranges *r, const struct kobold_range *range)
{
    if (r->count < r->room || ranges_grow(r)) {
        r->at[r->count++] = *range;
    }
}

static inline const struct kobold_special_row *
build_specials(const struct kobold_build *b, unsigned *ret_count)
{
    *ret_count = b->specials != NULL ? b->special_count : kobold_specials_count;
    return b->specials != NULL ? b->specials : kobold_specials;
}

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
/* Uses up the runs. `b`: whose inputs and layers are kept beside the countries. */
int
write_database(struct kobold_build *b, struct kobold_runs runs[2], const struct kobold_texts *texts,
               uint8_t **ret_data, size_t *ret_size, struct bh_error *err);

static inline const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* kobold_write_inputs.c */
bool is_input_kept(const struct kobold_build *b, const struct kobold_source *s);
int write_inputs(struct kobold_build *b, const uint16_t *value_of, struct bh_buf *ret);

/* kobold_as_text.c, kobold_write_as.c */
int as_add(struct kobold_as_table *as, int family, struct kobold_addr start, struct kobold_addr end,
           uint32_t number, const char *name, size_t name_len);
int as_parse(struct kobold_build *b, const char *name, const char *text, size_t size,
             struct kobold_input *input, struct bh_error *err);
void as_done(struct kobold_as_table *as);
int write_as(struct kobold_build *b, struct bh_buf *ret); /* nothing without AS tables */

static inline int
out_of_memory(struct bh_error *err)
{
    return bh_error_set(err, -12 /* ENOMEM */, "", "out of memory%s", "メモリーが足りません%s", "");
}

#endif

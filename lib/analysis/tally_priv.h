/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of lib/analysis share: the tables of a tally. */
#ifndef TALLY_PRIV_H
#define TALLY_PRIV_H

#include "bh_analysis.h"

#include <pthread.h>

/* Flows of an import may stand for more than 32 bits hold. */
static inline uint32_t
add_up_to_max(uint32_t a, uint64_t b)
{
    uint64_t sum = a + b;
    return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

/* ---- map.c: a small number -> a sum ---------------------------------------------------------- */

struct map_entry {
    uint32_t key1; /* key + 1; 0: empty */
    uint32_t spare;
    uint64_t value;
};
struct map {
    struct map_entry *entry;
    uint32_t mask, used;
    uint64_t lost; /* added while no memory was to be had */
};
BH_NODISCARD int map_init(struct map *m, uint32_t slots);
void map_done(struct map *m);
void map_add(struct map *m, uint32_t key, uint64_t value);
uint64_t map_get(const struct map *m, uint32_t key);

/* ---- digits.c: very many small numbers ---------------------------------------------------------- */

#define DIGIT_KEYS (1U << 17) /* of a place */
#define DIGIT_LEVELS 16U      /* of four bits: 64 */

struct slabs {
    uint8_t *first; /* arrays of DIGIT_KEYS octets, one behind the other */
    unsigned used;
};

/* The digits of one place on one level: `many` or `few`, or none yet. */
struct digit_row {
    uint8_t *many;
    uint32_t *few; /* key + 1 << 8 | octet; 0: empty */
    uint32_t mask, used;
    unsigned shift;
};

/* A cell is place << 17 | key. */
struct digits {
    struct digit_row *level[DIGIT_LEVELS]; /* [level][place]; the first is always there */
    struct slabs *slabs;
    uint32_t factor;
    uint64_t lost; /* added while no memory was to be had */
};
BH_NODISCARD int digits_init(struct digits *d, struct slabs *slabs, uint64_t key);
void digits_done(struct digits *d);
void slabs_done(struct slabs *s);
/* Two numbers to a cell, half 0 and 1; n may be negative, their sums may not. */
void digits_add(struct digits *d, uint32_t cell, unsigned half, int64_t n);
uint64_t digits_get(const struct digits *d, uint32_t cell, unsigned half);
/* Or one number, in octets; do not mix. */
void digits_add_wide(struct digits *d, uint32_t cell, uint64_t n);
uint64_t digits_get_wide(const struct digits *d, uint32_t cell);
/* Where a digit is, made when it is not there; NULL without memory. */
uint8_t *digit_make(struct digits *d, unsigned level, uint32_t cell);
/* 0 also for what is not there */
uint8_t digit_get(const struct digits *d, unsigned level, uint32_t cell);

/* All octets of a place and level that are not 0; begins with { 0 }. */
struct digit {
    uint32_t at, cell;
    uint8_t octet;
};
bool digit_next(const struct digits *d, unsigned level, uint32_t place, struct digit *it);

static inline uint32_t
digit_slot(const struct digits *d, const struct digit_row *r, uint32_t key)
{
    return (key * d->factor) >> r->shift;
}

/* ---- sketches.c: distinct sources beyond the pairs --------------------------------------------------- */

/* What is counted: a cell, or one of these. */
#define PAIR_KEY_PLACE(place) (0x80000000U | (place)) /* distinct sources of a place */
#define PAIR_KEY_SYSTEM(asn) (0xa0000000U | (asn))    /* of an autonomous system, 28 bits of it */
#define PAIR_KEY_VISIT(entry) (0xc0000000U | (uint32_t)(entry)) /* of an entry of --served */

#define SKETCH_BITS 10
#define SKETCH_SIZE (1U << SKETCH_BITS)
#define SKETCHED_CELLS_MAX 4096U
struct sketches {
    uint8_t (*registers)[SKETCH_SIZE]; /* pages come when they are written */
    struct map of_cell;
    uint32_t cells;
    uint64_t lost; /* additions that found no sketch */
};
BH_NODISCARD int sketches_init(struct sketches *s);
void sketches_done(struct sketches *s);
bool sketches_has(const struct sketches *s, uint32_t key);
void sketches_add(struct sketches *s, uint64_t hash, uint32_t key);
/* What a key has beyond its exact count; no more than there can be. */
uint64_t sketches_get(const struct sketches *s, uint32_t key, uint64_t most);

/* ---- cells.c: counts by (place, protocol, port) -------------------------------------------------- */

/* A cell is place << 17 | udp << 16 | port. */
#define CELLS (BH_PLACES_MAX * DIGIT_KEYS)
enum cell_kind {
    CELL_COUNT,
    CELL_SOURCES,
    CELL_COMPLETE,
    CELL_RESET,
    CELL_HALF,
    CELL_REFUSED,
    CELL_UNKNOWN
};

struct cells { /* of all shards */
    pthread_mutex_t lock;
    struct slabs slabs;
    struct digits both;       /* accesses; their distinct sources                     */
    struct digits outcomes;   /* complete and reset; behind the bit of UDP half open and refused */
    struct digits unknown;    /* accesses known to be "unknown"                       */
    struct digits wide;       /* --count packets or bytes: sums of octets             */
    struct sketches sketches; /* distinct sources beyond the exact ones             */
    _Atomic uint64_t *net_bits; /* of IPv4 sources beyond the tables: a bit for each /24; no lock */
};
#define NET_BITS_SIZE ((size_t)1 << 21)

BH_NODISCARD int cells_new(uint64_t key, struct cells **ret_cells);
void cells_free(struct cells *c);

static inline uint32_t
cell_of(uint32_t place, unsigned proto, unsigned port)
{
    return place << 17 | (uint32_t)(proto != BH_PROTO_TCP) << 16 | port;
}

static BH_ALWAYS_INLINE void /* by force: see ask_for() of rolled.c */
cell_prefetch(const struct cells *c, uint32_t cell)
{
    const struct digit_row *r = &c->both.level[0][cell / DIGIT_KEYS];
    const uint32_t key = cell % DIGIT_KEYS;
    if (BH_LIKELY(r->many != NULL)) {
        BH_PREFETCH_WRITE(&r->many[key]);
    } else if (r->few != NULL) {
        BH_PREFETCH_WRITE(&r->few[digit_slot(&c->both, r, key)]);
    }
}

void cell_add(struct cells *c, uint32_t cell, uint64_t count, uint64_t sources);

/* One access, of a source that is new there or not. */
static inline void
cell_count(struct cells *c, uint32_t cell, bool is_new)
{
    struct digit_row *r = &c->both.level[0][cell / DIGIT_KEYS];
    uint8_t *octet =
        BH_LIKELY(r->many != NULL) ? &r->many[cell % DIGIT_KEYS] : digit_make(&c->both, 0, cell);
    if (BH_UNLIKELY(octet == NULL || (*octet & 15) == 15 || (is_new && *octet >= 0xf0))) {
        cell_add(c, cell, 1, is_new);
        return;
    }
    *octet = (uint8_t)(*octet + (is_new ? 17 : 1));
}

void cell_outcome(struct cells *c, uint32_t cell, unsigned outcome, int64_t n);
uint64_t cell_get(const struct cells *c, uint32_t cell, enum cell_kind kind);
/* Every cell of a TCP port that was counted so far becomes "unknown". */
void cells_all_unknown(struct cells *c);
uint64_t cells_lost(const struct cells *c);

/* ---- sources.c: one slot per source of the network's packets ---------------------------------- */

enum {
    SRC_KNOCKED = 1,
    SRC_VISITED = 2,
    SRC_PINGED = 4,
    SRC_USED = 8,
    SRC_PING_FIRST = 16, /* pinged, and knocked later: counted      */
    SRC_SETTLED = 32,    /* its next knock says nothing new of it */
    SRC_MOVED = 64,      /* to another place, and has not knocked since: several databases */
};

/* What both families share; 24 octets. */
struct source {
    uint16_t place, flags;
    uint32_t count;      /* accesses that are no visits; stops at its maximum */
    uint32_t hour;       /* of the last access (bins.c numbering) */
    uint32_t hour_count; /* accesses in it to hour_key            */
    uint64_t ports;      /* bit k: knocked at frequent port k     */
};
struct source4 { /* 32 octets: never crosses a line */
    uint32_t addr;
    uint32_t hour_key; /* udp << 16 | port: what it asked for first in its hour */
    struct source s;
};
struct source6 { /* 64 octets: a line of its own */
    uint64_t hi, lo;
    uint32_t hour_key, spare;
    struct source s;
    uint64_t spare2[2];
};
#define SOURCES4_MAX (1U << 20) /* slots, of all shards together */
#define SOURCES6_MAX (1U << 18)

struct sources {
    struct source4 *v4;
    struct source6 *v6;
    uint32_t mask4, mask6, used4, used6, limit4, limit6;
    uint32_t most4, most6; /* slots they may grow to */
    size_t size4, size6;   /* octets of the tables, with what they may grow into */
    uint64_t key;
};
#define SOURCES6_MAX_ROLLED (1U << 19) /* roll-ups are exact or nothing: room is made for more */
BH_NODISCARD int
sources_init(struct sources *s, uint64_t expected, unsigned shards, uint64_t key, uint32_t slots6);
void sources_done(struct sources *s);
/* The slot, made when there is room; NULL when the table is full. A slot just made has no place
 * yet (PLACE_NONE). */
#define PLACE_NONE UINT16_MAX
struct source4 *source4_search(struct sources *s, uint32_t addr, uint64_t hash);
struct source6 *source6_search(struct sources *s, uint64_t hi, uint64_t lo, uint64_t hash);
/* Room for `more` sources of each family, growing up to the bound. */
void sources_reserve(struct sources *s, uint32_t more4, uint32_t more6);

static inline uint64_t
source4_hash(const struct sources *s, uint32_t addr)
{
    return bh_mix64(addr ^ s->key, 0x9e3779b97f4a7c15ULL);
}

static inline uint64_t
source6_hash(const struct sources *s, uint64_t hi, uint64_t lo)
{
    return bh_mix64(hi ^ s->key, lo);
}

/* In the set of all other addresses (tally_own_add); never 0. */
static inline uint64_t
own_hash4(const struct sources *s, uint32_t addr)
{
    return source4_hash(s, addr) | 1;
}

static inline uint64_t
own_hash6(const struct sources *s, uint64_t hi, uint64_t lo)
{
    return (source6_hash(s, hi, lo) ^ 0x5555) | 1;
}

/* Mostly the first slot is the one: that much is inlined. */
static BH_ALWAYS_INLINE struct source4 *
source4_get(struct sources *s, uint32_t addr, uint64_t hash)
{
    struct source4 *v = &s->v4[(uint32_t)hash & s->mask4];
    return BH_LIKELY(v->addr == addr && (v->s.flags & SRC_USED) != 0)
               ? v
               : source4_search(s, addr, hash);
}

static BH_ALWAYS_INLINE struct source6 *
source6_get(struct sources *s, uint64_t hi, uint64_t lo, uint64_t hash)
{
    struct source6 *v = &s->v6[(uint32_t)hash & s->mask6];
    return BH_LIKELY(v->hi == hi && v->lo == lo && (v->s.flags & SRC_USED) != 0)
               ? v
               : source6_search(s, hi, lo, hash);
}

/* ---- pairs.c: distinct (source, cell) ------------------------------------------------------------ */

#define PAIRS_MAX (1U << 22)

struct pairs {
    uint32_t *tag;
    uint32_t slots, used;
    uint32_t over_at; /* where the pair would stand for which there was no room */
    size_t size;
    bool full;
    _Atomic uint64_t *total; /* of all shards; may be NULL */
};
BH_NODISCARD int
pairs_init(struct pairs *p, uint64_t expected, unsigned shards, _Atomic uint64_t *total);
void pairs_done(struct pairs *p);
enum pair { PAIR_KNOWN, PAIR_NEW, PAIR_OVER };
enum pair pairs_add(struct pairs *p, uint64_t hash);
/* After PAIR_OVER, of the same pair: takes it beyond the bound, as long as there is room. */
enum pair pairs_add_more(struct pairs *p, uint64_t hash);

static inline uint32_t
pair_place(const struct pairs *p, uint64_t hash)
{
    return (uint32_t)((hash >> 32) * p->slots >> 32); /* any number of slots */
}

static BH_ALWAYS_INLINE void
pairs_prefetch(const struct pairs *p, uint64_t hash)
{
    BH_PREFETCH_WRITE(&p->tag[pair_place(p, hash)]);
}
/* The pair of a source beyond the table and its place. */
static inline uint64_t
pair_hash_over(uint64_t hash)
{
    return bh_mix64(hash, 0x1000000000ULL);
}
/* Of a source and a place, when sources move. */
static inline uint64_t
pair_hash_place(uint64_t hash, unsigned place)
{
    return bh_mix64(hash, 0x3000000000ULL + place);
}

/* ---- networks.c: autonomous systems -------------------------------------------------------------------- */

struct network {
    uint64_t key; /* system << 16 | place; 0: empty */
    uint64_t count, sources;
};
struct network_cache {
    uint32_t addr, asn;
};
struct networks {
    struct network_cache *cache; /* NULL: there is no AS data, and nothing to do */
    struct network *at;
    uint32_t mask, used;
    uint64_t lost; /* counts there was no memory for */
};
struct bh_tally;
BH_NODISCARD int networks_init(struct networks *n, const kobold *systems);
void networks_done(struct networks *n);
/* Of a batch, with --count packets or bytes. */
void networks_count(struct bh_tally *t, const struct bh_batch *b);
/* A source beyond the table, and one of the table (at the end). */
void networks_overflow(struct bh_tally *t, const struct bh_batch *b, uint32_t row, uint64_t hash,
                       unsigned place, uint64_t weight);
void networks_source(struct bh_tally *t, const struct bh_ip *ip, const struct source *s);
void networks_merge(struct networks *into, const struct networks *from);

/* ---- sensors.c: who saw it ------------------------------------------------------------------------- */

struct sensor_sum {
    uint64_t records, accesses, count; /* count: packets or octets */
    uint64_t sources;
    int64_t first_ns, last_ns;
};
struct sensors {
    struct sensor_sum *sum; /* of each; NULL: nobody asks */
    size_t count;
    struct slabs slabs;
    struct digits ports; /* [sensor][port]: in the chosen unit */
    struct pairs pairs;  /* (sensor, source); with --count sources (sensor, port, source) too */
    struct sketches sketches; /* beyond them                                                     */
    uint64_t pairs_over;
};
BH_NODISCARD int sensors_init(struct sensors *s, const struct bh_tally_config *cfg);
void sensors_done(struct sensors *s);
/* Of a batch that was counted. */
void sensors_count(struct bh_tally *t, const struct bh_batch *b);
void sensors_merge(struct bh_tally *into, const struct bh_tally *from);

/* ---- bins.c: hours --------------------------------------------------------------------------------- */

#define HOUR_STEP 4U /* from the id of an hour to that of the next: ids are quarters of an hour */
struct hour {
    uint32_t id; /* quarters of an hour since 1970 at its begin, on the zone's full hours */
    uint32_t day_first, day_next, week_first, week_next; /* ids of the hours that begin them */
    uint64_t frames, count, sources, day_sources, week_sources;
    int64_t first_frame_ns, last_frame_ns;
};
#define HOURS_MAX 262144U
#define TREND_BINS 256U
struct bins {
    struct hour *hour; /* sorted by id only at the end */
    uint32_t used, cap;
    struct map index; /* id -> index + 1 */
    uint32_t current; /* index, UINT32_MAX: none */
    int64_t current_start_ns, current_end_ns;
    uint32_t trend_first, trend_width; /* hours */
    uint32_t (*trend)[BH_PLACES_MAX];
    uint32_t *trend_row;
    uint64_t lost;
};
BH_NODISCARD int bins_init(struct bins *b);
void bins_done(struct bins *b);
void bins_go(struct bins *b, int64_t ts_ns); /* makes the hour of ts_ns the current one */
static inline struct hour *
bins_at(struct bins *b, int64_t ts_ns)
{
    if (BH_UNLIKELY(ts_ns < b->current_start_ns || ts_ns >= b->current_end_ns)) {
        bins_go(b, ts_ns);
    }
    return &b->hour[b->current];
}
BH_NODISCARD int bins_merge(struct bins *into, const struct bins *from);
uint32_t bins_hour_id(int64_t ts_ns);
int64_t bins_hour_start_ns(uint32_t id);

/* ---- the tally ---------------------------------------------------------------------------------------- */

/* Most accesses go to few ports. Those get a bit in each source, for distinct sources, and a
 * counter of their own for each place: 64 KB that stay near, where cells would be a cold line
 * each. Found in one load: the factor is chosen so that no two ports meet. */
#define FREQUENT_MAX 63U
#define FREQUENT_SLOTS 1024U
struct frequent {
    uint32_t factor;
    uint32_t slot[FREQUENT_SLOTS];   /* udp << 16 | port, shifted up by 6, and the bit below */
    uint32_t port[FREQUENT_MAX + 1]; /* [bit]: udp << 16 | port */
    unsigned count;                  /* bits 1 .. count are in use */
};

static inline unsigned
frequent_bit(const struct frequent *f, uint32_t key)
{
    const uint32_t v = f->slot[(key * f->factor) >> 22];
    return v >> 6 == key ? v & 63 : 0;
}

/* A row may be new to an entry of --served, a cell, a system and, when sources move, three times to a place. */
#define OVER_MAX (6 * BH_BATCH_ROWS)

struct listed { /* a source of --country/--port */
    struct bh_ip ip;
    uint16_t place;
    char code[4]; /* its country's, also where places are regions */
    uint64_t count;
    int64_t first_ns, last_ns;
    uint64_t mac;
    uint32_t ports;
    bool used;
};

/* What every access adds to its place: together, as they are touched together. */
struct place_sum {
    uint64_t accesses, sources;
    int64_t first_ns, last_ns;
};

/* Parts of dst_ports, each a bit a port; of the first nobody asks. */
enum { PORTS_NONE, PORTS_TCP, PORTS_UDP, PORTS_PARTS };
#define PORTS_SIZE 8192U

struct histograms {
    uint64_t classes[256];
    uint64_t layers[1U << (BH_LAYER_COUNT + 1)]; /* by layers_index() */
};

/* The layer bits, and BH_LAYER_CUT above them. */
static inline unsigned
layers_index(unsigned layers)
{
    _Static_assert(BH_LAYER_CUT == 1U << BH_LAYER_COUNT, "above the layers");
    return layers & ((1U << (BH_LAYER_COUNT + 1)) - 1);
}

struct bh_tally {
    struct bh_tally_config cfg;
    struct histograms histograms[2];
    struct cells *cells; /* the first tally's, and its shards' */
    struct sources sources;
    struct pairs pairs;
    struct bins bins;
    struct networks networks;
    struct sensors sensors;
    struct frequent frequent;
    /* [place][bit]; [..][0]: all other ports */
    uint32_t at_frequent[BH_PLACES_MAX][FREQUENT_MAX + 1];
    uint32_t at_frequent_rows; /* since they were added to the cells                   */
    uint8_t served[1U << 14];  /* bit per udp << 16 | port                             */
    bool has_served;
    bool two_sided;
    bool is_wide; /* --count packets or bytes */

    uint64_t place_count[BH_PLACES_MAX]; /* in the chosen unit, visits left out        */
    struct place_sum place[BH_PLACES_MAX];
    uint32_t trend_unused[BH_PLACES_MAX]; /* where accesses go when the sparkline is of packets */
    uint64_t classes[BH_CLASS_COUNT];
    uint64_t layers[BH_LAYER_COUNT];
    uint64_t malformed[BH_REASON_COUNT];
    uint64_t frames, packets, accesses, visits, tcp_accesses, udp_accesses, cut_frames, cut_headers;
    uint64_t bad_time, duplicates, filter_unknown, inbound, outbound, pings, sources_over;
    uint64_t ping_sources, ping_first; /* sources; those of them that knocked later */
    uint64_t visit_count[BH_SERVED_MAX], visit_sources[BH_SERVED_MAX];
    int64_t first_ns, last_ns;
    uint8_t dst_ports[PORTS_PARTS * PORTS_SIZE];
    uint64_t *own_set; /* hashes of the addresses of all other directions */
    uint32_t own_mask, own_used;
    uint64_t own_last_hash;

    struct listed *listed;
    uint32_t listed_mask, listed_used;
    uint64_t *listed_pairs;
    uint32_t listed_pairs_mask, listed_pairs_used;

    struct bh_trend_burst bursts[64];
    size_t burst_count;
    uint64_t gap_regular[BH_GAPS_MAX]; /* sources there in the day before and the day after */

    /* of the batch between the two steps */
    uint8_t batch_odd;     /* marks and reasons, put together                       */
    bool batch_is_counted; /* every row                                             */
    bool batch_is_ordered; /* times do not step back, and none is before 1970       */
    uint32_t access_count;
    uint16_t *access_row;
    uint64_t *rare_hash; /* accesses to ports that are not frequent: the pair, and its cell */
    uint32_t *rare_cell;
    uint16_t *rare_row;
    bool *rare_new; /* the pair was */
    uint32_t rare_count;
    struct {
        uint32_t key;
        uint16_t row;
    } * over; /* pairs to be estimated */
    uint32_t over_count;
    uint64_t pairs_over;

    uint64_t sources_again; /* counted in one more place, when there are several */
    uint64_t *day_accesses; /* by database, when there are several */

    struct bh_tally *more; /* merged: the next tally with sources of its own */

    /* with roll-ups: accesses and pings one by one, see rolled.c */
    uint64_t *log;
    size_t log_count, log_cap;
    bool log_failed;
    int64_t log_day, log_day_start_s, log_day_end_s; /* of the last entry */
};

/* An entry of the log: service and outcome, slot, local day. */
#define LOG_SLOT_BITS 21U
#define LOG_DAY_BITS 21U
#define LOG_PING 7U /* an outcome there is not */
static inline uint32_t
log_service(uint64_t x)
{
    return (uint32_t)(x >> (LOG_SLOT_BITS + LOG_DAY_BITS));
}
static inline uint32_t
log_slot(uint64_t x)
{
    return (uint32_t)(x >> LOG_DAY_BITS) & ((1U << LOG_SLOT_BITS) - 1);
}
static inline uint32_t
log_day(uint64_t x)
{
    return (uint32_t)x & ((1U << LOG_DAY_BITS) - 1);
}
void tally_log(struct bh_tally *t, const struct source *s, uint32_t service, int64_t ts_ns);

/* --count packets or bytes: an inbound IP packet that is no visit, with or without a port. */
static inline bool
tally_is_wide_row(const struct bh_batch *b, uint32_t i)
{
    return b->direction[i] == BH_DIR_IN && b->counted[i] == 1 && b->kind[i] >= BH_KIND_IP4;
}

static inline uint64_t
tally_wide_unit(const struct bh_tally *t, const struct bh_batch *b, uint32_t i)
{
    const uint64_t weight = b->has_weight ? b->weight[i] : 1;
    return weight * (t->cfg.count == BH_COUNT_BYTES ? b->ip_len[i] : 1);
}

void tally_settle(struct bh_tally *t);
/* days.c: several country databases, each for its days. */
void tally_days_filter(struct bh_tally *t, struct bh_batch *b);
unsigned
tally_days_place(const struct bh_tally *t, const struct bh_batch *b, uint32_t row, size_t *ret_day);
const char *tally_days_country(const struct bh_tally *t, const struct bh_batch *b, uint32_t row);
void tally_pour_frequent(struct bh_tally *t); /* counters of frequent ports into the cells */
#define OWN_MAX (1U << 22)                    /* slots, of all shards together */
void tally_own_add(struct bh_tally *t, uint64_t hash, uint32_t slots_most);
bool tally_own_has(const struct bh_tally *t, uint64_t hash);
/* Is this pair new, and exactly counted? If not, its row may be sketched at the end of the batch. */
enum pair tally_over(struct bh_tally *t, uint32_t row, uint64_t hash, uint32_t key);
static BH_ALWAYS_INLINE bool
tally_pair(struct bh_tally *t, uint32_t row, uint64_t hash, uint32_t key)
{
    enum pair p = pairs_add(&t->pairs, hash);
    return BH_UNLIKELY(p == PAIR_OVER) ? tally_over(t, row, hash, key) == PAIR_NEW : p == PAIR_NEW;
}
void tally_sketch(struct bh_tally *t, const struct bh_batch *b); /* with the cells' lock */

void tally_overflow(struct bh_tally *t, const struct bh_batch *b, uint32_t row, uint64_t hash,
                    uint32_t cell, struct hour *h, uint64_t weight);
#define BURST_LEAST BH_BURST_LEAST
void tally_list(struct bh_tally *t, const struct bh_batch *b, uint32_t row, uint16_t place,
                uint64_t weight);
/* Code of the country (not of the region) of a row's source; "" when it has none. */
const char *
tally_country(const struct bh_tally *t, const struct bh_batch *b, uint32_t row, unsigned place);
void tally_burst(struct bh_tally *t, struct bh_ip ip, const struct source *s, uint32_t key);
int burst_cmp(const void *a, const void *b);
void tally_burst_keep(struct bh_tally *t, const struct bh_trend_burst *x);

#endif

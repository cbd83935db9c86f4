/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_analysis.h - numbers out of records: the tally, and the trend made from it.
 *
 * A tally adds up batches (one tally per thread; each gets the records of its share of the
 * remote addresses, so tallies are disjoint and merging is adding). bh_trend_new() turns the
 * merged tally into the ranked result of MEANING.md 8; no report ever counts a packet.
 *
 * Memory of all tallies of a report together (docs/design/tally.md): counters up to 128 KiB for each
 * place that occurs and each digit that they need, sources 32 octets a slot (IPv6: 64) for up to
 * 655,360 (163,840) of them, pairs 4 octets a slot for up to 2^22; beyond these, HyperLogLog, and
 * `approximate` says so.
 *
 * Threads:   one thread per tally; what they share is locked inside, the country database read-only.
 * Ownership: the caller's. A trend owns all it points to.
 */
#ifndef BH_ANALYSIS_H
#define BH_ANALYSIS_H

#include "bh_event.h"
#include "bh_filter.h"
#include "bh_track.h"
#include "bh_zone.h"
#include "kobold.h"

enum bh_count_unit { BH_COUNT_ACCESSES, BH_COUNT_SOURCES, BH_COUNT_PACKETS, BH_COUNT_BYTES };

#define BH_PLACES_MAX 512U /* countries, regions and address classes of one report */
#define BH_PLACE_UNKNOWN 0U

/* One line of --served: a port and to whom it is offered. */
struct bh_served {
    uint16_t port;
    uint8_t proto;
    bool to_all;
    bool to_home_country;
    char codes[32][3]; /* country codes */
    size_t code_count;
    struct {
        struct bh_ip ip;
        unsigned prefix_len;
    } nets[16];
    size_t net_count;
    char offered_to[256]; /* as the user wrote it after '@'; "" = everyone */
};
#define BH_SERVED_MAX 64U
BH_NODISCARD int bh_served_parse(const char *text, struct bh_served *ret_served, size_t max,
                                 size_t *ret_count, struct bh_error *err);

/* Is it offered to an address of this country ("": none)? `home_country` is that of "@home". */
bool bh_served_offers(const struct bh_served *s, const char *code, const char *home_country,
                      const struct bh_ip *ip);

/* Places: what a remote address belongs to, numbered as they are met. Shared by all tallies. */
struct bh_place {
    char code[4];        /* "US"; region: M49 code; "" for a class                      */
    uint8_t kind;        /* KOBOLD_COUNTRY, _SPECIAL, _UNALLOCATED, _REGION, _UNKNOWN   */
    char class_name[48]; /* "private-use", "unallocated"; "" for a country              */
    char rfc[24];
};
struct bh_places {
    struct bh_place place[BH_PLACES_MAX];
    size_t count;
    uint16_t of_value[1024]; /* Kobold value -> place */
    bool by_region;
    char code_of_value[1024][4]; /* Kobold value -> country code, "" */
};
/* by_region: countries are joined to M49 regions, but for `home_country`. */
void bh_places_init(struct bh_places *p, const kobold *countries, bool by_region,
                    const char home_country[3]);

/* A country database of a history: it answers for records from `from_ns` up to that of the next one, the
 * first one also for all before. */
struct bh_country_day {
    int64_t from_ns;
    const kobold *countries;
    const struct bh_filter *filter; /* the words, read with this database */
    uint16_t of_value[1024];
    char code_of_value[1024][4];
};
/* The places of one more database, joined to those that are there. */
void bh_places_add(struct bh_places *p, struct bh_country_day *day, const char home_country[3]);
size_t bh_country_day_at(const struct bh_country_day *days, size_t count, int64_t ts_ns);

/* Long silences in the stream, found while it is read: whoever reads adds one before any record
 * behind it is handed on. */
#define BH_GAPS_MAX 64U
#define BH_GAP_LEAST_NS (2 * 3600000000000LL)
struct bh_silences {
    _Atomic uint32_t count;
    struct {
        int64_t start_ns, end_ns; /* last record before, first record after */
    } silence[BH_GAPS_MAX];
};

#define BH_TALLY_SENSORS_MAX 512U

struct bh_tally_config {
    size_t sensor_count; /* batches have sensor[] below it, and it is counted; 0: nobody asks */
    const kobold *countries;
    const struct bh_places *places;
    const struct bh_country_day *days; /* with several databases: instead of countries and filter */
    size_t day_count;                  /* 0: one database                                         */
    const kobold *systems; /* whose AS data networks come from; NULL: no networks      */
    const struct bh_home *home;
    const struct bh_filter *filter; /* NULL: all */
    struct bh_period period;        /* half-open  */
    enum bh_count_unit count;
    const struct bh_served *served;
    size_t served_count;
    char home_country[3];
    bool list_sources; /* --country or --port: keep what sources[] needs */
    char list_country[4];
    int list_port;  /* -1: any */
    int list_proto; /* -1: any */
    bool outcomes;
    bool hold;                /* outcomes come with the records (bh_track hold) */
    uint64_t expected_frames; /* for table sizes; 0: unknown */
    int64_t start_ns;         /* time of the first record: where sparklines begin              */
    bool two_sided;           /* as bh_track_config                                            */
    const uint32_t *frequent; /* udp << 16 | port of up to 63 ports worth a bit in each source */
    size_t frequent_count;
    const struct bh_silences *silences; /* may be NULL                                         */
    unsigned shards;
    /* the tally of the first shard, whose cells all of them count into; NULL: this is it */
    struct bh_tally *first;
    _Atomic uint64_t *pairs_total; /* shared by the tallies of all shards; NULL with one       */
    uint64_t key;        /* the same for all shards                                       */
    uint64_t sketch_key; /* of estimates: the same for the same records                   */
    bool rolled; /* the rest comes from roll-ups (bh_rolled_new): one shard, verdicts with the
                               * records, no visits, accesses or sources, no frequent ports             */
};

struct bh_tally; /* opaque */
BH_NODISCARD int bh_tally_new(const struct bh_tally_config *cfg, struct bh_tally **ret_tally);
void bh_tally_free(struct bh_tally *t);
/* Rows from `from` on will soon be given to bh_tally_sources(): ask the memory for their sources. Changes
 * nothing but time. */
void bh_tally_ask(const struct bh_tally *t, const struct bh_batch *b, uint32_t from);
/* Accesses, visits too, of the days a database answered for; after the last merge. */
uint64_t bh_tally_day_accesses(const struct bh_tally *t, size_t day);
/* Between bh_track_classify() and bh_track_flows(): sources, countries, what is counted. */
void bh_tally_sources(struct bh_tally *t, struct bh_batch *b);
/* After bh_track_flows(). */
void bh_tally_counts(struct bh_tally *t, const struct bh_batch *b, const struct bh_move *moves,
                     size_t moves_count);
/* The view has become two-sided (before bh_tally_counts() of that batch): what was not
 * answered until now is unknown, but for what the moves take back. For all shards at once, and
 * while none of them is at work. */
void bh_tally_two_sided(struct bh_tally *const *tallies, unsigned count);
/* Add `from` to `into`, which is the first; `from` belongs to it afterwards. */
BH_NODISCARD int bh_tally_merge(struct bh_tally *into, struct bh_tally *from);

/* ---- from roll-ups ------------------------------------------------------------------------ */

/*
 * Days whose numbers were added up already (docs/design/rollups.md). A local day comes either from
 * records, before anything else, or from here. BH_ELIMIT: these numbers do not fit to each
 * other or not into the tables, and the report has to be made of records alone.
 *
 * A part is what has one numbering of sources: the roll-up of a segment. A unit is what is ordered
 * in time: a whole part, a day of one, or a day of records; numbers of units rise with time.
 */
struct bh_rolled;
struct bh_rolled_part;
struct bh_rolled_source {
    uint64_t hi, lo;
    uint16_t place;
    uint8_t family; /* 0: not asked for */
};
/* Only records inside this period are counted from now on. */
void bh_tally_set_period(struct bh_tally *t, struct bh_period period);
BH_NODISCARD int bh_rolled_new(struct bh_tally *t, unsigned ports, struct bh_rolled **ret);
void bh_rolled_free(struct bh_rolled *r);
/* The sources that will be named: their places are looked for once. Belongs to `r`. */
BH_NODISCARD int bh_rolled_part_new(struct bh_rolled *r, const struct bh_rolled_source *source,
                                    uint32_t count, struct bh_rolled_part **ret);
/* Who knocked, and how often; after all of them: */
void bh_rolled_who(struct bh_rolled_part *p, const uint32_t *id, const uint32_t *accesses,
                   uint32_t count);
void bh_rolled_sources_end(struct bh_rolled *r);

/* Who asked for what. When sources and hours are there, it is chosen which places will be shown; then come accesses by
 * service, those of records too. */
BH_NODISCARD int bh_rolled_choose(struct bh_rolled *r, unsigned top, const char home_country[3]);
bool bh_rolled_is_shown(const struct bh_rolled *r, unsigned place);
bool bh_rolled_in_crosstab(const struct bh_rolled *r, unsigned place);
void bh_rolled_number(struct bh_rolled *r, unsigned place, uint32_t key, unsigned outcome,
                      uint64_t accesses);
void bh_rolled_rows_numbers(struct bh_rolled *r);
/* May services that are not in there yet stand in the list of a place? None of them has more than `most` accesses; all
 * accesses are known to those that `everywhere` has (a bit for each service). */
bool
bh_rolled_needs_rare(struct bh_rolled *r, unsigned place, uint64_t most, const uint8_t *everywhere);
void bh_rolled_make_lists(struct bh_rolled *r);
/* Adds the services of the lists, of one place or (-1) of all, perhaps only of those in the cross table. */
void bh_rolled_wanted(const struct bh_rolled *r, int place, bool in_crosstab, uint8_t *keys);
/* --count sources: those that may stand in a list, but whose sources are not counted. */
void bh_rolled_candidates(const struct bh_rolled *r, uint8_t *keys);
/* Sources of rare services, before bh_rolled_service() of any; UINT32_MAX: it is not told who. */
BH_NODISCARD int bh_rolled_rare_source(struct bh_rolled *r, const struct bh_rolled_part *p,
                                       uint32_t key, unsigned place, uint32_t source);
/* Distinct sources of a service: begin, its sets, end; keys rise. */
BH_NODISCARD int bh_rolled_service(struct bh_rolled *r, uint32_t key);
void bh_rolled_set(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id,
                   uint32_t count);
void bh_rolled_service_end(struct bh_rolled *r);
void bh_rolled_services_end(struct bh_rolled *r); /* of this round of services: makes the lists */
/* BH_ELIMIT: sources are needed that are not told. `most`: by place, as above. */
BH_NODISCARD int bh_rolled_check(const struct bh_rolled *r, const uint64_t *most);

struct bh_rolled_sums { /* what adds up */
    uint64_t frames, packets, inbound, outbound, cut_frames, cut_headers, duplicates, tcp, udp,
        pings;
    const uint64_t *cls, *layer, *reason; /* BH_CLASS_COUNT ... */
};
void bh_rolled_add_sums(struct bh_rolled *r, const struct bh_rolled_sums *s);
/* a bit for each TCP, then for each UDP port */
void bh_rolled_add_ports(struct bh_rolled *r, const uint8_t *bits);
void bh_rolled_add_own(struct bh_rolled *r, const struct bh_ip *ip);
void bh_rolled_add_place(struct bh_rolled *r, unsigned place, int64_t first_ns, int64_t last_ns);
void bh_rolled_add_burst(struct bh_rolled *r, const struct bh_ip *ip, unsigned place, uint32_t key,
                         uint64_t count, int64_t hour_ns);
#define BH_BURST_LEAST 256U /* accesses of one source to one port in one hour */
/* False: hours of this zone begin at other times. */
bool bh_rolled_hour(struct bh_rolled *r, int64_t start_ns, int64_t first_ns, int64_t last_ns,
                    uint64_t frames);
/* of that hour */
void bh_rolled_hour_place(struct bh_rolled *r, unsigned place, uint64_t accesses);
/* How many sources knocked in the day, or the week, of the record at ts_ns. */
void bh_rolled_day_sources(struct bh_rolled *r, int64_t ts_ns, uint64_t count);
void bh_rolled_week_sources(struct bh_rolled *r, int64_t ts_ns, uint64_t count);
/* Distinct sources of several lists, and of the records of local days first to last. */
void bh_rolled_union_add(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id,
                         uint32_t count);
void bh_rolled_union_rows(struct bh_rolled *r, int64_t first_day, int64_t last_day);
uint64_t bh_rolled_union_end(struct bh_rolled *r);
/* Who pinged, who knocked, in a unit; `then`: a ping, and a knock later in the same unit. */
void bh_rolled_knocked(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id,
                       uint32_t count, uint32_t unit);
/* all with accesses */
void bh_rolled_knocked_all(struct bh_rolled *r, const struct bh_rolled_part *p, uint32_t unit);
void bh_rolled_pinged(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id,
                      uint32_t count, uint32_t unit);
void bh_rolled_then(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id,
                    uint32_t count);
/* `unit_of`: which unit a day of records is; `day_of`: which day a unit begins with. */
BH_NODISCARD int bh_rolled_end(struct bh_rolled *r, uint32_t (*unit_of)(void *arg, int64_t day),
                               void *arg, const int64_t *day_of_unit);

/* ---- the result ------------------------------------------------------------------------ */

struct bh_trend_port {
    uint16_t port;
    uint8_t proto;
    uint64_t count, sources;
    uint64_t outcomes[BH_OUTCOME_COUNT]; /* TCP only */
};

struct bh_trend_place {
    struct bh_place place;
    uint64_t count, sources;
    uint64_t accesses; /* whatever the chosen count */
    uint64_t ports_distinct;
    uint64_t top_source_count; /* accesses of its busiest source */
    struct bh_ip top_source;
    int64_t first_ns, last_ns;
    struct bh_trend_port *ports; /* the top ports, ranked */
    size_t port_count;
    uint32_t *trend; /* trend_bins counts over the period, for a sparkline */
};

struct bh_trend_cell {
    uint16_t country; /* index into countries[], or sensors[] */
    uint64_t count;
    bool top;
};
struct bh_trend_row {
    uint16_t port;
    uint8_t proto;
    struct bh_trend_cell *cells;
    size_t cell_count;
};

/* An autonomous system; of countries the one most of its count came from. */
struct bh_trend_network {
    uint32_t asn;
    char code[4];
    char name[128]; /* "" when it has none */
    uint64_t count, sources;
};

enum bh_bin { BH_BIN_HOUR, BH_BIN_DAY, BH_BIN_WEEK };
struct bh_trend_bin {
    int64_t start_ns;
    uint64_t count, sources;
    bool gap; /* the sensor saw nothing at all */
};
struct bh_trend_gap {
    int64_t start_ns, end_ns; /* last frame before, first frame after */
    /* independent senders seen regularly before and after, but not inside */
    uint64_t regular_sources;
};

/* A sensor, of all it counted: the home country and what has no country too, but no visits. */
struct bh_trend_sensor {
    size_t number; /* in the names that the tally was given */
    uint64_t count, accesses, sources, records;
    int64_t first_ns, last_ns;   /* of its records; INT64_MAX, INT64_MIN: none */
    struct bh_trend_port *ports; /* the top ports, ranked: count only           */
    size_t port_count;
};

struct bh_trend_visit {
    uint16_t port;
    uint8_t proto;
    const char *offered_to;
    uint64_t count, sources;
};

struct bh_trend_source {
    struct bh_ip ip;
    char code[4];
    char class_name[48];
    uint64_t count, ports;
    uint32_t asn; /* 0: none, or no AS data */
    int64_t first_ns, last_ns;
    uint16_t port; /* neighbours: what they last asked for */
    uint8_t proto;
    bool same_network;
    uint64_t mac; /* of a neighbour on the link; 0: none */
};

struct bh_trend_burst { /* many accesses of one source to one port inside one hour */
    struct bh_ip ip;
    char code[4];
    uint16_t port;
    uint8_t proto;
    uint64_t count; /* in that hour */
    int64_t hour_ns;
};

struct bh_trend {
    enum bh_count_unit count;
    bool by_region;
    bool outcomes_known; /* --outcomes yes */
    int64_t start_ns, end_ns;
    uint64_t frames, packets, accesses, sources, source_networks, countries_total, pings,
        visits_total;
    uint64_t count_total; /* in the chosen count: shares are of this */
    bool approximate;     /* distinct counts went beyond exact */
    double approximate_error;

    /* every foreign country, ranked; the first `shown` are the list */
    struct bh_trend_place *countries;
    size_t country_count, shown;
    struct bh_trend_place home;     /* home country; count 0 when none came */
    struct bh_trend_place *classes; /* no_country: special, unallocated, unknown; ranked */
    size_t class_count;
    uint64_t no_country_count;
    uint64_t others_countries, others_count;
    struct bh_trend_row *crosstab;
    size_t crosstab_count;
    struct bh_trend_place *regions; /* code, count, sources only */
    size_t region_count;
    struct bh_trend_network *networks;   /* ranked; with AS data only */
    size_t network_count, network_total; /* listed, and all there are */
    bool has_networks;
    struct bh_trend_sensor *sensors; /* ranked; when they were asked for */
    size_t sensor_count;
    /* ports that are in some sensor's top, by number; every cell */
    struct bh_trend_row *sensor_ports;
    size_t sensor_port_count;
    enum bh_bin bin;
    struct bh_trend_bin *bins;
    size_t bin_count;
    size_t trend_bins;
    struct bh_trend_gap *gaps;
    size_t gap_count;
    struct bh_trend_visit *visits;
    size_t visit_count;
    struct bh_trend_source *listed; /* sources[], with --country/--port */
    size_t listed_count;
    struct bh_trend_burst *bursts;
    size_t burst_count;
    struct bh_trend_source *neighbours; /* senders of our own networks, most accesses first */
    size_t neighbour_count;
    uint64_t ping_sources, ping_then_accessed;
    uint64_t not_accesses[BH_CLASS_COUNT];
    uint64_t tcp_accesses, udp_accesses;
    /* home ports that completed with payload: to be suggested as served */
    struct bh_trend_port *offered;
    size_t offered_count;

    /* health */
    uint64_t layers[BH_LAYER_COUNT];
    uint64_t layer_sources, layer_dst_ports;
    uint64_t cut_frames;  /* stored shorter than sent */
    uint64_t cut_headers; /* BH_MARK_TRUNCATED        */
    uint64_t malformed[BH_REASON_COUNT];
    uint64_t bad_time, duplicates, out_of_order, filter_unknown, outgoing_packets, inbound_packets;
    struct bh_track_bounds bounds;
    uint64_t sources_over, pairs_over, places_over, bins_over; /* bounds reached: how much */
    uint64_t memory_over; /* counts lost because there was no memory left */
};

struct bh_trend_options {
    unsigned top, ports;
    bool crosstab_all;
    struct bh_period period; /* as asked for; open bounds become first and last record */
    char home_country[3];
    bool by_region;
    bool sensors_with_records; /* leave those out that have none: the filter chose among them */
};
BH_NODISCARD int bh_trend_new(struct bh_tally *t, const struct bh_trend_options *o,
                              const struct bh_track_bounds *bounds, struct bh_trend **ret_trend);
void bh_trend_free(struct bh_trend *t);

#endif

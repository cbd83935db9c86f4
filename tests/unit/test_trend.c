/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ranked trend. First small tables by hand; then random records, of which every number is
 * found a second time by a slow model (tally_model.h): one tally, and the same records dealt to
 * two, three and four, must give the model's trend; and what lib/track makes of real exchanges
 * must not depend on how many share them, nor on whether verdicts come as moves or with records.
 */
#include "tally_lab.h"
#include "tally_model.h"

/* ---- ranking -------------------------------------------------------------------------------------- */

static void
put_many(struct lab *l, const char *src, unsigned port, unsigned proto, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        (proto == BH_PROTO_UDP ? lab_udp : lab_tcp)(l, START + k, src, port);
    }
}

static void
assert_ports(const struct bh_trend_place *p, const char *want)
{
    char got[256] = "";
    for (size_t i = 0; i < p->port_count; i++) {
        size_t len = strlen(got);
        snprintf(got + len, sizeof got - len, "%s%u/%s:%u", i == 0 ? "" : " ", p->ports[i].port,
                 p->ports[i].proto == BH_PROTO_TCP ? "tcp" : "udp", (unsigned)p->ports[i].count);
    }
    assert_string_equal(got, want);
}

static void
assert_countries(const struct bh_trend *t, const char *want)
{
    char got[256] = "";
    for (size_t i = 0; i < t->country_count; i++) {
        size_t len = strlen(got);
        snprintf(got + len, sizeof got - len, "%s%s:%u%s", i == 0 ? "" : " ",
                 t->countries[i].place.code, (unsigned)t->countries[i].count,
                 i + 1 == t->shown ? " |" : "");
    }
    assert_string_equal(got, want);
}

/* Equal counts: by country code; ports by number, then tcp before udp. */
static void
test_ranking(void **state)
{
    (void)state;
    struct bh_tally_config cfg = lab_config();
    struct lab l;
    lab_open(&l, &cfg, false);
    put_many(&l, "22.0.0.1", 25, BH_PROTO_TCP, 20); /* TW */
    put_many(&l, "21.0.0.1", 25, BH_PROTO_TCP, 20); /* CN */
    put_many(&l, "20.0.0.1", 53, BH_PROTO_UDP, 4);  /* US */
    put_many(&l, "20.0.0.1", 53, BH_PROTO_TCP, 4);
    put_many(&l, "20.0.0.1", 65535, BH_PROTO_TCP, 4);
    put_many(&l, "20.0.0.1", 7, BH_PROTO_UDP, 4);
    put_many(&l, "20.0.0.1", 0, BH_PROTO_UDP, 16); /* carried: the nibble is 0 */
    put_many(&l, "20.0.0.1", 9, BH_PROTO_TCP, 17);
    put_many(&l, "20.0.0.1", 8, BH_PROTO_TCP, 17);
    put_many(&l, "23.0.0.1", 80, BH_PROTO_TCP, 3);  /* DE */
    put_many(&l, "24.0.0.1", 80, BH_PROTO_TCP, 1);  /* BR */
    put_many(&l, "25.0.0.1", 80, BH_PROTO_TCP, 99); /* JP: home */
    struct bh_trend_options o = lab_options(&l);
    o.top = 3;
    o.ports = 6;
    struct bh_trend *t = lab_trend(&l, &o);
    assert_countries(t, "US:66 CN:20 TW:20 | DE:3 BR:1");
    assert_ports(&t->countries[0], "8/tcp:17 9/tcp:17 0/udp:16 7/udp:4 53/tcp:4 53/udp:4");
    assert_int_equal(t->countries[0].ports_distinct, 7);
    assert_int_equal(t->others_countries, 2);
    assert_int_equal(t->others_count, 4);
    assert_string_equal(t->home.place.code, "JP");
    assert_int_equal(t->home.count, 99);
    assert_ports(&t->home, "80/tcp:99");
    assert_int_equal(t->count_total, 66 + 20 + 20 + 3 + 1 + 99); /* the home country as well */
    assert_int_equal(t->countries_total, 6);
    bh_trend_free(t);

    o.top = o.ports = 1000; /* more than there are */
    t = lab_trend(&l, &o);
    assert_countries(t, "US:66 CN:20 TW:20 DE:3 BR:1 |");
    assert_ports(&t->countries[0],
                 "8/tcp:17 9/tcp:17 0/udp:16 7/udp:4 53/tcp:4 53/udp:4 65535/tcp:4");
    assert_int_equal(t->others_countries, 0);
    assert_int_equal(t->others_count, 0);
    bh_trend_free(t);

    o.top = o.ports = 0;
    t = lab_trend(&l, &o);
    assert_int_equal(t->shown, 0);
    assert_int_equal(t->country_count, 5);
    assert_int_equal(t->others_countries, 5);
    assert_int_equal(t->others_count, 110);
    assert_int_equal(t->crosstab_count, 0);
    bh_trend_free(t);
    lab_close(&l);
}

/* No home country known, and nothing from it. */
static void
test_home_country(void **state)
{
    (void)state;
    static const char *const codes[] = { "", "FR" };
    for (size_t i = 0; i < BH_COUNT(codes); i++) {
        struct bh_tally_config cfg = lab_config();
        snprintf(cfg.home_country, sizeof cfg.home_country, "%s", codes[i]);
        struct lab l;
        lab_open(&l, &cfg, false);
        put_many(&l, "25.0.0.1", 80, BH_PROTO_TCP, 5);
        struct bh_trend_options o = lab_options(&l);
        struct bh_trend *t = lab_trend(&l, &o);
        assert_countries(t, "JP:5 |");
        assert_string_equal(t->home.place.code, codes[i]);
        assert_int_equal(t->home.count, 0);
        assert_int_equal(t->home.port_count, 0);
        bh_trend_free(t);
        lab_close(&l);
    }
}

/* Special-use space has a class; EU and AP rank as regions; ZZ and what nobody holds have no
 * country (MEANING.md 6). */
static void
test_no_country(void **state)
{
    (void)state;
    struct bh_tally_config cfg = lab_config();
    struct lab l;
    lab_open(&l, &cfg, false);
    put_many(&l, "10.0.0.1", 80, BH_PROTO_TCP, 5);
    put_many(&l, "192.168.0.1", 81, BH_PROTO_TCP, 1);
    put_many(&l, "169.254.0.1", 80, BH_PROTO_TCP, 2);
    put_many(&l, "28.0.0.1", 80, BH_PROTO_TCP, 2); /* ZZ */
    put_many(&l, "99.0.0.1", 80, BH_PROTO_TCP, 2);
    put_many(&l, "26.0.0.1", 80, BH_PROTO_TCP, 3);
    put_many(&l, "27.0.0.1", 80, BH_PROTO_TCP, 4);
    put_many(&l, "2002:1400:1::1", 80, BH_PROTO_TCP, 7); /* 6to4 of an address of US */
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    assert_countries(t, "US:7 AP:4 EU:3 |");
    assert_int_equal(t->no_country_count, 12);
    assert_int_equal(t->class_count, 4);
    static const char *const names[] = { "private-use", "link-local", "unallocated", "unknown" };
    for (size_t i = 0; i < BH_COUNT(names); i++) { /* equal counts by name */
        assert_string_equal(t->classes[i].place.class_name, names[i]);
        assert_int_equal(t->classes[i].count, i == 0 ? 6 : 2);
    }
    assert_string_equal(t->classes[0].place.rfc, "RFC 1918");
    assert_int_equal(t->classes[0].sources, 2);
    assert_ports(&t->classes[0], "80/tcp:5 81/tcp:1");
    assert_int_equal(t->count_total, 26);
    bh_trend_free(t);
    lab_close(&l);
}

/* ---- cross table ------------------------------------------------------------------------------------- */

static void
assert_crosstab(const struct bh_trend *t, const char *want)
{
    char got[512] = "";
    for (size_t i = 0; i < t->crosstab_count; i++) {
        const struct bh_trend_row *row = &t->crosstab[i];
        size_t len = strlen(got);
        snprintf(got + len, sizeof got - len, "%s%u/%s", i == 0 ? "" : "; ", row->port,
                 row->proto == BH_PROTO_TCP ? "tcp" : "udp");
        for (size_t c = 0; c < row->cell_count; c++) {
            len = strlen(got);
            snprintf(got + len, sizeof got - len, " %s:%u%s",
                     t->countries[row->cells[c].country].place.code, (unsigned)row->cells[c].count,
                     row->cells[c].top ? "" : "-");
        }
    }
    assert_string_equal(got, want);
}

static void
test_crosstab(void **state)
{
    (void)state;
    struct bh_tally_config cfg = lab_config();
    struct lab l;
    lab_open(&l, &cfg, false);
    put_many(&l, "20.0.0.1", 80, BH_PROTO_TCP, 40);
    put_many(&l, "20.0.0.1", 53, BH_PROTO_UDP, 30);
    put_many(&l, "20.0.0.1", 25, BH_PROTO_TCP, 5); /* not among the top 2 */
    put_many(&l, "21.0.0.1", 25, BH_PROTO_TCP, 50);
    put_many(&l, "21.0.0.1", 53, BH_PROTO_TCP, 2);
    put_many(&l, "21.0.0.1", 53, BH_PROTO_UDP, 1);
    put_many(&l, "22.0.0.1", 7, BH_PROTO_TCP, 9);  /* not listed: makes no row */
    put_many(&l, "25.0.0.1", 9, BH_PROTO_TCP, 99); /* nor does home */
    struct bh_trend_options o = lab_options(&l);
    o.top = o.ports = 2;
    struct bh_trend *t = lab_trend(&l, &o);
    assert_crosstab(t, "25/tcp CN:50; 53/tcp CN:2; 53/udp US:30; 80/tcp US:40");
    bh_trend_free(t);
    o.crosstab_all = true;
    t = lab_trend(&l, &o);
    assert_crosstab(t, "25/tcp US:5- CN:50; 53/tcp CN:2; 53/udp US:30 CN:1-; 80/tcp US:40");
    bh_trend_free(t);
    lab_close(&l);
}

/* ---- regions ------------------------------------------------------------------------------------------- */

static void
put_regions(struct lab *l)
{
    put_many(l, "20.0.0.1", 80, BH_PROTO_TCP, 10); /* US: Northern America */
    put_many(l, "24.0.0.1", 80, BH_PROTO_TCP, 5);  /* BR: Latin America */
    put_many(l, "23.0.0.1", 80, BH_PROTO_TCP, 4);  /* DE: Europe    */
    put_many(l, "26.0.0.1", 80, BH_PROTO_TCP, 3);  /* EU            */
    put_many(l, "21.0.0.1", 80, BH_PROTO_TCP, 6);  /* CN: Asia      */
    put_many(l, "25.0.0.1", 80, BH_PROTO_TCP, 1);  /* JP: home      */
    put_many(l, "10.0.0.1", 80, BH_PROTO_TCP, 70); /* nowhere       */
}

static void
test_regions(void **state)
{
    (void)state;
    for (int by_region = 0; by_region < 2; by_region++) {
        struct bh_tally_config cfg = lab_config();
        struct lab l;
        lab_open(&l, &cfg, by_region == 1);
        put_regions(&l);
        struct bh_trend_options o = lab_options(&l);
        o.by_region = by_region == 1;
        struct bh_trend *t = lab_trend(&l, &o);
        assert_int_equal(t->region_count, 4);
        static const struct {
            const char *code;
            unsigned count, sources;
        } want[] = { { "021", 10, 1 }, { "142", 7, 2 }, { "150", 7, 2 }, { "419", 5, 1 } };
        for (size_t i = 0; i < BH_COUNT(want); i++) { /* equal counts by code */
            assert_string_equal(t->regions[i].place.code, want[i].code);
            assert_int_equal(t->regions[i].count, want[i].count);
            assert_int_equal(t->regions[i].sources, want[i].sources);
        }
        /* Joined, but for the home country. */
        assert_countries(t,
                         by_region ? "021:10 150:7 142:6 419:5 |" : "US:10 CN:6 BR:5 DE:4 EU:3 |");
        assert_string_equal(t->home.place.code, "JP");
        assert_int_equal(t->home.count, 1);
        assert_int_equal(t->no_country_count, 70);
        bh_trend_free(t);
        lab_close(&l);
    }
}

/* ---- the time line ----------------------------------------------------------------------------------------- */

static struct bh_trend *
timeline_of(struct lab *l, const char *zone, int64_t first_ns, const int64_t *after_ns,
            size_t count)
{
    struct bh_tally_config cfg = lab_config();
    assert_int_equal(bh_zone_set(zone, NULL), 0);
    cfg.start_ns = first_ns;
    lab_open(l, &cfg, false);
    for (size_t i = 0; i < count; i++) {
        lab_tcp(l, first_ns + after_ns[i], "20.0.0.1", 80);
    }
    struct bh_trend_options o = lab_options(l);
    return lab_trend(l, &o);
}

/* 72 hours in hours, 190 days in days, more in weeks. */
static void
test_timeline_choice(void **state)
{
    (void)state;
    static const struct {
        const char *zone;
        int64_t last;
        enum bh_bin bin;
        size_t bins;
    } cases[] = {
        { "UTC", 0, BH_BIN_HOUR, 1 },
        { "UTC", HOUR - 1, BH_BIN_HOUR, 1 },
        { "UTC", HOUR, BH_BIN_HOUR, 2 },
        { "UTC", 73 * HOUR - 1, BH_BIN_HOUR, 73 },
        { "UTC", 73 * HOUR, BH_BIN_DAY, 4 }, /* from a day's 15:00 on */
        { "UTC", 190 * DAY + HOUR - 1, BH_BIN_DAY, 191 },
        { "UTC", 190 * DAY + HOUR, BH_BIN_WEEK, 28 },
        { "Asia/Tokyo", 73 * HOUR, BH_BIN_DAY, 4 }, /* from midnight on */
        { "Asia/Tokyo", 72 * HOUR + HOUR, BH_BIN_DAY, 4 },
        { "Asia/Tokyo", 95 * HOUR + 59 * 60 * SEC, BH_BIN_DAY, 4 },
        { "Asia/Tokyo", 96 * HOUR, BH_BIN_DAY, 5 },
        { "Asia/Kolkata", 24 * HOUR, BH_BIN_HOUR, 25 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct lab l;
        const int64_t at[2] = { 0, cases[i].last };
        struct bh_trend *t = timeline_of(&l, cases[i].zone, START, at, 2);
        if (t->bin != cases[i].bin || t->bin_count != cases[i].bins) {
            fail_msg("%s %lld h: kind %d, %zu bins", cases[i].zone,
                     (long long)(cases[i].last / HOUR), (int)t->bin, t->bin_count);
        }
        for (size_t k = 0; k < t->bin_count; k++) {
            struct bh_civil c = bh_zone_civil(t->bins[k].start_ns / SEC);
            assert_true(c.minute == 0 && c.second == 0);
            assert_true(t->bin == BH_BIN_HOUR || c.hour == 0);
            assert_true(t->bin != BH_BIN_WEEK || c.weekday == 0);
            assert_true(k == 0 || t->bins[k].start_ns > t->bins[k - 1].start_ns);
            assert_int_equal(t->bins[k].count,
                             t->bin_count == 1 ? 2 : k == 0 || k + 1 == t->bin_count);
            assert_int_equal(t->bins[k].sources, t->bins[k].count != 0);
            assert_false(t->bins[k].gap); /* two records prove no regularity */
        }
        bh_trend_free(t);
        lab_close(&l);
    }
    assert_int_equal(bh_zone_set("UTC", NULL), 0);
}

/* Over changes of clocks no day is missing and none comes twice. */
static void
test_timeline_clocks(void **state)
{
    (void)state;
    static const struct {
        const char *zone;
        int64_t around;
    } changes[] = {
        { "America/New_York", 1173596400 },    { "America/New_York", 1194156000 },
        { "Australia/Lord_Howe", 1174748400 }, { "Australia/Lord_Howe", 1193499000 },
        { "America/Caracas", 1197183600 },     { "Asia/Pyongyang", 1439564400 },
        { "Asia/Pyongyang", 1525446000 },      { "Asia/Kolkata", 1173596400 },
    };
    for (size_t i = 0; i < BH_COUNT(changes); i++) {
        for (int sparse = 0; sparse < 2; sparse++) {
            struct lab l;
            static int64_t at[20 * 96];
            size_t n = 0;
            /* Four in an hour; or only before and after the change. */
            for (int64_t k = 0; k < 20 * 96; k++) {
                if (!sparse || k < 200 || k > 20 * 96 - 200) {
                    at[n++] = k * 900 * SEC;
                }
            }
            int64_t first = (changes[i].around - 10 * 86400) * SEC;
            struct bh_trend *t = timeline_of(&l, changes[i].zone, first, at, n);
            int64_t day = bh_zone_day(first / SEC), last = bh_zone_day((first + at[n - 1]) / SEC);
            uint64_t sum = 0;
            assert_int_equal(t->bin, BH_BIN_DAY);
            assert_int_equal(t->bin_count, last - day + 1);
            for (size_t k = 0; k < t->bin_count; k++) {
                int64_t start = bh_zone_day_start(day + (int64_t)k);
                int64_t end = bh_zone_day_start(day + (int64_t)k + 1);
                assert_true(t->bins[k].start_ns == start * SEC);
                if (!sparse && k > 0 && k + 1 < t->bin_count) {
                    assert_int_equal(t->bins[k].count, (end - start) / 900);
                }
                sum += t->bins[k].count;
            }
            assert_int_equal(sum, n);
            bh_trend_free(t);
            lab_close(&l);
        }
    }
    assert_int_equal(bh_zone_set("UTC", NULL), 0);
}

/* A gap is a silence that does not happen by chance: two hours of a busy sensor, no night of a
 * quiet one. */
static void
test_gaps(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int step_min, hours; /* one record each so many minutes, for so long */
        int from, to;        /* hours of silence */
        bool gap;
    } cases[] = {
        { "busy, one hour off", 10, 60, 20, 21, false },
        { "busy, two hours off", 10, 60, 20, 22, true },
        { "busy, two days off", 10, 1000, 200, 248, true },
        { "one an hour, two hours off", 60, 60, 20, 22, true },
        { "one in four hours, four more off", 240, 400, 200, 208, false },
        { "one in four hours, a night off", 240, 400, 200, 216, false },
        { "one in four hours, three days off", 240, 400, 200, 272, true },
        { "nothing off", 10, 60, 20, 20, false },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        static int64_t at[6001];
        size_t n = 0;
        int64_t before = 0, after = 0;
        for (int64_t k = 0; k <= cases[i].hours * 60 / cases[i].step_min; k++) {
            int64_t ns = k * cases[i].step_min * 60 * SEC;
            if (ns < cases[i].from * HOUR || ns >= cases[i].to * HOUR) {
                after = after == 0 && ns >= cases[i].to * HOUR ? ns : after;
                before = ns < cases[i].from * HOUR ? ns : before;
                at[n++] = ns;
            }
        }
        struct lab l;
        struct bh_trend *t = timeline_of(&l, "UTC", START, at, n);
        if ((t->gap_count == 1) != cases[i].gap || t->gap_count > 1) {
            fail_msg("%s: %zu gaps", cases[i].name, t->gap_count);
        }
        size_t marked = 0;
        for (size_t k = 0; k < t->bin_count; k++) {
            marked += t->bins[k].gap;
            assert_true(!t->bins[k].gap || t->bins[k].count == 0);
        }
        if (cases[i].gap) {
            assert_true(t->gaps[0].start_ns == START + before &&
                        t->gaps[0].end_ns == START + after);
            int64_t length = (cases[i].to - cases[i].from) / (t->bin == BH_BIN_DAY ? 24 : 1);
            assert_in_range(marked, t->bin == BH_BIN_DAY ? length - 1 : length, length);
        } else {
            assert_int_equal(marked, 0);
        }
        bh_trend_free(t);
        lab_close(&l);
    }
}

/* Senders that were there in the day before a silence and are back within a day. */
static void
test_gap_regular(void **state)
{
    (void)state;
    struct bh_silences silences = { 0 };
    silences.silence[0].start_ns = START + 99 * HOUR + 30 * 60 * SEC;
    silences.silence[0].end_ns = START + 150 * HOUR;
    silences.count = 1;
    struct bh_tally_config cfg = lab_config();
    cfg.silences = &silences;
    struct lab l;
    lab_open(&l, &cfg, false);
    for (int64_t h = 0; h < 300; h++) {
        int64_t ts = START + h * HOUR;
        if (h >= 100 && h < 150) {
            continue;
        }
        lab_tcp(&l, ts, "20.0.0.1", 80); /* all the time */
        if (h <= 99) {
            lab_tcp(&l, ts, "20.0.0.2", 80); /* does not come back */
        }
        if (h == 75 || h == 173) {
            lab_tcp(&l, ts, "20.0.0.3", 80); /* a day before, a day after */
        }
        if (h == 74 || h == 160) {
            lab_tcp(&l, ts, "20.0.0.4", 80); /* longer ago */
        }
        if (h == 90 || h == 175) {
            lab_tcp(&l, ts, "20.0.0.5", 80); /* back after more than a day */
        }
        if (h >= 150) {
            lab_tcp(&l, ts, "20.0.0.6", 80); /* new */
        }
    }
    for (int64_t m = 1; m < 30; m++) { /* the silence begins within an hour */
        lab_tcp(&l, START + 99 * HOUR + m * 60 * SEC, "20.0.0.2", 80);
    }
    lab_tcp(&l, START + 99 * HOUR + 30 * 60 * SEC, "20.0.0.2", 80);
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    assert_int_equal(t->gap_count, 1);
    assert_true(t->gaps[0].start_ns == silences.silence[0].start_ns);
    assert_true(t->gaps[0].end_ns == silences.silence[0].end_ns);
    assert_int_equal(t->gaps[0].regular_sources, 2);
    bh_trend_free(t);
    lab_close(&l);
}

/* A tally that got nothing at all. */
static void
test_nothing(void **state)
{
    (void)state;
    struct bh_tally_config cfg = lab_config();
    cfg.start_ns = 0;
    struct lab l, other;
    lab_open(&l, &cfg, false);
    cfg.first = l.tally;
    lab_open(&other, &cfg, false);
    lab_flush(&l);
    lab_flush(&other);
    assert_int_equal(bh_tally_merge(l.tally, other.tally), 0);
    other.tally = NULL;
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    assert_int_equal(t->frames + t->accesses + t->sources + t->country_count + t->class_count, 0);
    assert_int_equal(t->bin_count + t->gap_count + t->crosstab_count + t->region_count, 0);
    assert_true(t->start_ns == 0 && t->end_ns == 0);
    bh_trend_free(t);
    lab_close(&l);
    lab_close(&other);
}

/* ---- random records against the model --------------------------------------------------------------------- */

static uint64_t scene_seed;
static unsigned scene_shards;

#define SAME(what, got, want)                                                                      \
    do {                                                                                           \
        long long got_ = (long long)(got), want_ = (long long)(want);                              \
        if (got_ != want_) {                                                                       \
            fail_msg("scene %llu, %u shards, %s: %lld, not %lld", (unsigned long long)scene_seed,  \
                     scene_shards, what, got_, want_);                                             \
        }                                                                                          \
    } while (0)

#define SCENE_ROWS 2000U
static struct model_row scene_rows[SCENE_ROWS];
static struct bh_served scene_served[BH_SERVED_MAX];

struct scene {
    struct bh_tally_config cfg;
    struct bh_trend_options o;
    struct model model;
    struct bh_filter *filter;
    bool by_region, moves;
};

static struct bh_ip
random_source(uint64_t *seed, unsigned pool)
{
    static const uint32_t nets[] = { 0x14000000, 0x15000000, 0x16000000, 0x17000000, 0x19000000,
                                     0x1a000000, 0x1c000000, 0x0a000000, 0x63000000, 0xcb007100 };
    static const uint64_t nets6[] = { 0x2a00001400000000, 0x2a00001500000000, 0x2a00001600000000,
                                      0x20010db800000000, 0xfe80000000000000 };
    uint32_t who = random_below(seed, pool), at = random_below(seed, 3);
    who = at == 0 ? who / 4 : who; /* some come more often */
    if (at == 1 && who % 2 == 0) { /* neighbours of ours */
        return bh_ip_from_v4(0xcb007101 + who / 12);
    }
    if (random_below(seed, 4) == 0) {
        return bh_ip_from_v6(nets6[who % BH_COUNT(nets6)] + who / 16, 1000 + who);
    }
    /* Some share their network. */
    return bh_ip_from_v4(nets[who % BH_COUNT(nets)] + (who / 10) % 3 * 0x100U * (who % 10 != 9) +
                         100 + who / 10);
}

static unsigned
random_class(uint64_t *seed, struct row *r)
{
    static const uint8_t others[] = { BH_CLASS_TCP_IN_FLOW, BH_CLASS_TCP_BACKSCATTER,
                                      BH_CLASS_TCP_ACK_SCAN, BH_CLASS_UDP_ANSWER, BH_CLASS_NONE };
    unsigned k = random_below(seed, 100);
    if (k < 70) {
        return BH_CLASS_ACCESS;
    }
    if (k < 80) {
        *r = (struct row){ .ts_ns = r->ts_ns,
                           .src = r->src,
                           .dst = r->dst,
                           .sport = 8,
                           .proto = r->src.family == 4 ? BH_PROTO_ICMP : BH_PROTO_ICMP6 };
        return BH_CLASS_ICMP_ECHO_REQUEST;
    }
    if (k < 84) {
        r->marks = BH_MARK_NO_PORTS | BH_MARK_TRUNCATED;
        return BH_CLASS_CUT;
    }
    return others[random_below(seed, BH_COUNT(others))];
}

static void
random_row(uint64_t *seed, struct model_row *m, unsigned pool, unsigned ports, int64_t ts_ns)
{
    static const uint16_t known[] = { 22,  80,  443, 53,   0,  65535, 25,   8080,
                                      137, 138, 445, 1434, 23, 3389,  5900, 7 };
    *m = (struct model_row){ .weight = 1 + random_below(seed, 40), .direction = BH_DIR_IN };
    struct row *r = &m->r;
    r->ts_ns = ts_ns;
    r->src = random_source(seed, pool);
    r->dst = ip_of(r->src.family == 4 ? US : US6);
    r->proto = random_below(seed, 3) == 0 ? BH_PROTO_UDP : BH_PROTO_TCP;
    r->dport = known[random_below(seed, 1 + random_below(seed, ports))];
    r->sport = (uint16_t)random_below(seed, 65536);
    r->flags = r->proto == BH_PROTO_TCP ? BH_TCP_SYN : 0;
    r->payload = (uint16_t)random_below(seed, 1400);
    m->cls = (uint8_t)random_class(seed, r);
    if (m->cls == BH_CLASS_ACCESS && r->proto == BH_PROTO_TCP) {
        m->outcome = (uint8_t)(1 + random_below(seed, BH_OUTCOME_COUNT - 1));
        m->outcome_first =
            (uint8_t)(random_below(seed, 2) == 0 ? BH_OUTCOME_HALF_OPEN : BH_OUTCOME_NONE);
    }
    unsigned k = random_below(seed, 30);
    if (k < 3) { /* what is not inbound */
        struct bh_ip swap = r->src;
        r->src = r->dst;
        r->dst = swap;
        m->direction = BH_DIR_OUT;
        m->cls = BH_CLASS_NONE;
    } else if (k == 3) {
        r->dst = random_source(seed, pool);
        r->dst = r->dst.family == r->src.family ? r->dst : r->src;
        m->direction = BH_DIR_TRANSIT;
        m->cls = BH_CLASS_NONE;
    } else if (k == 4) {
        m->frame = (uint8_t)(1 + random_below(seed, 2));
        m->direction = BH_DIR_UNKNOWN;
        m->cls = m->frame == 1 ? BH_CLASS_ARP : BH_CLASS_NONE;
    }
}

static void
random_config(uint64_t *seed, struct scene *s, int64_t span_ns)
{
    static const char *const zones[] = { "UTC", "Asia/Tokyo", "Asia/Kolkata", "America/New_York",
                                         "Australia/Lord_Howe" };
    static const char *const homes[] = { "JP", "US", "", "FR" };
    static const char *const served[] = { "443/tcp,53/udp@home",
                                          "22@us+cn,80@20.0.0.0/8+2a00:14::/32", "25",
                                          "0/tcp,65535/udp@CN" };
    static uint32_t frequent[8];
    struct bh_tally_config *c = &s->cfg;
    assert_int_equal(bh_zone_set(zones[random_below(seed, BH_COUNT(zones))], NULL), 0);
    *c = lab_config();
    snprintf(c->home_country, sizeof c->home_country, "%s",
             homes[random_below(seed, BH_COUNT(homes))]);
    c->count = (enum bh_count_unit)random_below(seed, 4);
    c->outcomes = random_below(seed, 5) != 0;
    if (random_below(seed, 3) == 0) {
        c->period.start_ns = START + span_ns / 10 + random_below(seed, 1000);
    }
    if (random_below(seed, 3) == 0) {
        c->period.end_ns = START + span_ns / 10 * 8;
    }
    if (random_below(seed, 2) == 0) {
        assert_int_equal(bh_served_parse(served[random_below(seed, BH_COUNT(served))], scene_served,
                                         BH_SERVED_MAX, &c->served_count, NULL),
                         0);
        c->served = scene_served;
    }
    if (random_below(seed, 2) == 0) { /* must change nothing */
        for (size_t k = 0; k < BH_COUNT(frequent); k++) {
            static const uint32_t some[] = {
                22, 80, 65536 + 53, 443, 65536, 65535, 25, 65536 + 138
            };
            frequent[k] = some[k];
        }
        c->frequent = frequent;
        c->frequent_count = 1 + random_below(seed, BH_COUNT(frequent));
    }
    if (random_below(seed, 4) == 0) {
        const char *word = "tcp";
        assert_int_equal(bh_filter_parse(&word, 1, world.countries, &s->filter, NULL), 0);
        c->filter = s->filter;
    }
    c->list_sources = random_below(seed, 3) == 0;
    c->list_port = c->list_sources && random_below(seed, 2) == 0 ? 22 : -1;
    c->key = random_below(seed, 1000);
    s->model.weighted = random_below(seed, 4) == 0;
    c->hold = s->model.weighted || random_below(seed, 3) == 0;
    s->moves = c->outcomes && !c->hold;
    s->model.two_sided = random_below(seed, 2) == 0;
    c->two_sided = s->model.two_sided && random_below(seed, 2) == 0;
    s->by_region = random_below(seed, 6) == 0;
    s->o = (struct bh_trend_options){ .top = random_below(seed, 12),
                                      .ports = random_below(seed, 9),
                                      .by_region = s->by_region,
                                      .crosstab_all = random_below(seed, 2) == 0,
                                      .period = c->period };
    memcpy(s->o.home_country, c->home_country, sizeof s->o.home_country);
}

static void
random_scene(struct scene *s)
{
    static const int64_t spans[] = { HOUR / 2, 30 * HOUR, 5 * DAY, 100 * DAY, 400 * DAY };
    uint64_t seed = scene_seed * 0x9e3779b97f4a7c15ULL + 1;
    *s = (struct scene){ .model = { .rows = scene_rows } };
    struct model *x = &s->model;
    x->count = 1 + random_below(&seed, random_below(&seed, 3) == 0 ? 200 : SCENE_ROWS);
    bool flood = random_below(&seed, 5) == 0; /* one source, for half an hour */
    int64_t span = spans[flood ? 0 : random_below(&seed, BH_COUNT(spans))];
    unsigned pool = random_below(&seed, 4) == 0 ? 4 : 240, ports = 1 + random_below(&seed, 16);
    for (size_t i = 0; i < x->count; i++) {
        int64_t ts = START + (int64_t)i * (span / (int64_t)x->count) + random_below(&seed, 1000);
        random_row(&seed, &x->rows[i], pool, ports, ts);
        if (flood && i % 2 == 0 && x->rows[i].cls == BH_CLASS_ACCESS) {
            x->rows[i].r.src = bh_ip_from_v4(0x140000ff);
            x->rows[i].r.dst = ip_of(US);
            x->rows[i].r.dport = 22;
        }
    }
    random_config(&seed, s, span);
    x->two_sided_at = s->cfg.two_sided ? 0
                      : x->two_sided   ? random_below(&seed, (uint32_t)x->count)
                                       : x->count;
}

/* The tally knows that the view has become two-sided. */
static bool view_is_told;

/* What became of row i, told with the batch that ends before row `now`. */
static void
tell_moves(const struct scene *s, struct lab *l, size_t i, bool last)
{
    const struct model_row *m = &s->model.rows[i];
    bool answered = m->outcome >= BH_OUTCOME_COMPLETE && m->outcome <= BH_OUTCOME_REFUSED;
    if (!s->moves || !m->knock || m->r.proto != BH_PROTO_TCP || !answered) {
        return;
    }
    struct bh_move v = { m->place, m->r.dport, BH_OUTCOME_NONE, m->outcome, 1 };
    /* Answers that were known before are no longer "unknown" then; later ones are taken back. */
    if (s->model.two_sided && i < s->model.two_sided_at) {
        v.from = view_is_told ? BH_OUTCOME_UNKNOWN : BH_OUTCOME_NONE;
        if (last) {
            l->moves[l->move_count++] = v;
        }
        return;
    }
    if (m->outcome_first == BH_OUTCOME_NONE) {
        if (last) {
            l->moves[l->move_count++] = v;
        }
        return;
    }
    v.to = last ? m->outcome : m->outcome_first;
    v.from = last ? m->outcome_first : BH_OUTCOME_NONE;
    l->moves[l->move_count++] = v;
}

static void
scene_put(const struct scene *s, struct lab *l, size_t i)
{
    const struct model_row *m = &s->model.rows[i];
    uint32_t at;
    if (m->frame != 0) {
        at = row_add_frame(l->batch, m->r.ts_ns, m->frame == 1);
    } else {
        at = row_add(l->batch, &m->r);
    }
    l->batch->direction[at] = m->direction;
    l->batch->cls[at] = m->cls;
    l->batch->weight[at] = m->weight;
    l->batch->outcome[at] = s->cfg.hold ? m->outcome : (uint8_t)BH_OUTCOME_NONE;
    l->batch->has_weight = s->model.weighted;
}

/* All rows through tallies of 1 to 4 shards, as lib/report deals them. */
static struct bh_trend *
scene_trend(const struct scene *s, struct lab *labs, unsigned shards)
{
    static uint8_t shard_of[SCENE_ROWS];
    _Atomic uint64_t pairs = 0;
    struct bh_tally_config cfg = s->cfg;
    cfg.shards = shards;
    cfg.pairs_total = shards > 1 ? &pairs : NULL;
    struct bh_batch *one = bh_batch_new();
    assert_non_null(one);
    for (unsigned k = 0; k < shards; k++) {
        lab_open(&labs[k], &cfg, s->by_region);
        cfg.first = labs[0].tally;
    }
    size_t last_of[4] = { 0 }, pending_of[4] = { 0 };
    view_is_told = false;
    const size_t n = s->model.count;
    for (size_t i = 0; i < n; i++) {
        bh_batch_reset(one);
        const struct model_row *m = &s->model.rows[i];
        if (m->frame != 0) {
            row_add_frame(one, m->r.ts_ns, m->frame == 1);
        } else {
            row_add(one, &m->r);
        }
        bh_track_shard(&world.home, one, shards, &shard_of[i]);
        shard_of[i] = shard_of[i] == BH_SHARD_ALL ? 0 : shard_of[i];
    }
    bh_batch_free(one);
    for (size_t i = 0; i <= n; i++) {
        if (i == s->model.two_sided_at && s->model.two_sided && !s->cfg.two_sided && !s->cfg.hold) {
            struct bh_tally *tallies[4];
            for (unsigned k = 0; k < shards; k++) {
                lab_flush(&labs[k]);
                tallies[k] = labs[k].tally;
            }
            bh_tally_two_sided(tallies, shards);
            view_is_told = true;
        }
        for (unsigned k = 0; k < shards; k++) {
            struct lab *l = &labs[k];
            if (i < n && l->batch->rows < BH_BATCH_ROWS / 4 && l->move_count < BH_BATCH_ROWS / 2) {
                continue;
            }
            /* First verdicts of this batch come with it, final ones with the next. */
            for (; last_of[k] < pending_of[k]; last_of[k]++) {
                if (shard_of[last_of[k]] == k) {
                    tell_moves(s, l, last_of[k], true);
                }
            }
            for (; pending_of[k] < i; pending_of[k]++) {
                const struct model_row *m = &s->model.rows[pending_of[k]];
                bool early = s->model.two_sided && pending_of[k] < s->model.two_sided_at;
                if (shard_of[pending_of[k]] == k && m->outcome_first != BH_OUTCOME_NONE && !early) {
                    tell_moves(s, l, pending_of[k], false);
                }
            }
            lab_flush(l);
        }
        if (i < n) {
            scene_put(s, &labs[shard_of[i]], i);
        }
    }
    for (unsigned k = 0; k < shards; k++) {
        lab_flush(&labs[k]);
        for (; last_of[k] < n; last_of[k]++) {
            if (shard_of[last_of[k]] == k) {
                if (labs[k].move_count == BH_BATCH_ROWS) {
                    lab_flush(&labs[k]);
                }
                tell_moves(s, &labs[k], last_of[k], true);
            }
        }
        lab_flush(&labs[k]);
    }
    for (unsigned k = 1; k < shards; k++) {
        assert_int_equal(bh_tally_merge(labs[0].tally, labs[k].tally), 0);
        labs[k].tally = NULL;
    }
    return lab_trend(&labs[0], &s->o);
}

/* ---- comparing ---------------------------------------------------------------------------------------------- */

static void
same_place(const struct scene *s, const struct bh_trend *t, const struct bh_trend_place *p,
           uint32_t place)
{
    const struct model *x = &s->model;
    struct model_entry ports[MODEL_PORTS];
    size_t n = model_ports(x, place, ports);
    int64_t first, last;
    SAME("count", p->count, model_count(x, place, ANY_KEY));
    SAME("sources", p->sources, model_sources(x, place, ANY_KEY));
    SAME("accesses", p->accesses, model_accesses(x, place, ANY_KEY));
    SAME("distinct ports", p->ports_distinct, n);
    SAME("ports", p->port_count, n < s->o.ports ? n : s->o.ports);
    for (size_t i = 0; i < p->port_count; i++) {
        const struct bh_trend_port *port = &p->ports[i];
        const uint32_t key = ports[i].what;
        SAME("port", (uint32_t)(port->proto != BH_PROTO_TCP) << 16 | port->port, key);
        SAME("port count", port->count, ports[i].count);
        SAME("port sources", port->sources, model_sources(x, place, key));
        for (unsigned o = 1; o < BH_OUTCOME_COUNT; o++) {
            SAME(bh_outcome_name(o), port->outcomes[o], model_outcomes(x, place, key, o));
        }
    }
    if (p->count > 0) {
        model_span(x, place, &first, &last);
        SAME("first", p->first_ns, first);
        SAME("last", p->last_ns, last);
    }
    uint64_t busiest = 0;
    const struct bh_ip *who = NULL;
    for (size_t i = 0; i < x->source_count; i++) {
        uint64_t c = lab_place(x->lab, &x->sources[i]) == place ? model_of_source(x, i) : 0;
        if (c > busiest || (c == busiest && c > 0 && bh_ip_cmp(&x->sources[i], who) < 0)) {
            busiest = c;
            who = &x->sources[i];
        }
    }
    SAME("busiest source", p->top_source_count, busiest);
    if (who != NULL) {
        SAME("busiest address", bh_ip_cmp(&p->top_source, who), 0);
    }
    uint64_t sum = 0;
    for (size_t k = 0; k < t->trend_bins; k++) {
        sum += p->trend[k];
    }
    SAME("sparkline", sum, s->cfg.count == BH_COUNT_SOURCES ? p->accesses : p->count);
}

static void
same_places(const struct scene *s, const struct bh_trend *t)
{
    const struct model *x = &s->model;
    const struct bh_places *places = &x->lab->places;
    struct model_entry e[BH_PLACES_MAX];
    uint64_t others = 0, total = 0;
    size_t n = model_places(x, true, e);
    SAME("countries", t->country_count, n);
    SAME("shown", t->shown, n < s->o.top ? n : s->o.top);
    for (size_t i = 0; i < n; i++) {
        const struct bh_trend_place *p = &t->countries[i];
        if (strcmp(p->place.code, places->place[e[i].what].code) != 0) {
            fail_msg("scene %llu, %u shards: %s at rank %zu, not %s",
                     (unsigned long long)scene_seed, scene_shards, p->place.code, i + 1,
                     places->place[e[i].what].code);
        }
        SAME("country count", p->count, e[i].count);
        SAME("country sources", p->sources, model_sources(x, e[i].what, ANY_KEY));
        total += e[i].count;
        if (i < t->shown) {
            same_place(s, t, p, e[i].what);
        } else {
            others += e[i].count;
        }
    }
    SAME("others", t->others_countries, n - t->shown);
    SAME("others' count", t->others_count, others);
    for (uint32_t i = 0; i < places->count; i++) {
        if (places->place[i].code[0] != '\0' &&
            strcmp(places->place[i].code, s->cfg.home_country) == 0) {
            same_place(s, t, &t->home, i);
            total += t->home.count;
        }
    }
    n = model_places(x, false, e);
    SAME("classes", t->class_count, n);
    uint64_t nowhere = 0;
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(t->classes[i].place.class_name, places->place[e[i].what].class_name);
        same_place(s, t, &t->classes[i], e[i].what);
        nowhere += e[i].count;
    }
    SAME("no country", t->no_country_count, nowhere);
    SAME("total of the unit", t->count_total, total + nowhere);
}

/* The countries whose list of ports holds this one have the cell, `all` gives the rest. */
static void
same_crosstab(const struct scene *s, const struct bh_trend *t)
{
    const struct model *x = &s->model;
    struct model_entry places[BH_PLACES_MAX];
    size_t n = model_places(x, true, places), row = 0;
    n = n < s->o.top ? n : s->o.top;
    for (uint32_t number = 0; number < 2 * 65536U; number++) { /* by port, then tcp, udp */
        const uint32_t key = (number & 1) << 16 | number >> 1;
        bool top[BH_PLACES_MAX] = { false }, any = false, known = false;
        for (size_t k = 0; k < x->key_count; k++) {
            known |= x->keys[k] == key;
        }
        for (size_t c = 0; c < n && known; c++) {
            struct model_entry ports[MODEL_PORTS];
            size_t m = model_ports(x, places[c].what, ports);
            for (size_t k = 0; k < m && k < s->o.ports; k++) {
                top[c] |= ports[k].what == key;
            }
            any |= top[c];
        }
        if (!any) {
            continue;
        }
        SAME("a row of the cross table", row < t->crosstab_count, true);
        const struct bh_trend_row *r = &t->crosstab[row++];
        SAME("its port", (uint32_t)(r->proto != BH_PROTO_TCP) << 16 | r->port, key);
        size_t cell = 0;
        for (size_t c = 0; c < n; c++) {
            uint64_t count = model_count(x, places[c].what, key);
            if (top[c] || (s->o.crosstab_all && count > 0)) {
                SAME("a cell", cell < r->cell_count, true);
                SAME("its country", r->cells[cell].country, c);
                SAME("its count", r->cells[cell].count, count);
                SAME("its mark", r->cells[cell].top, top[c]);
                cell++;
            }
        }
        SAME("cells", r->cell_count, cell);
    }
    SAME("rows of the cross table", t->crosstab_count, row);
}

static void
same_regions(const struct scene *s, const struct bh_trend *t)
{
    const struct model *x = &s->model;
    const struct bh_places *places = &x->lab->places;
    uint64_t sum = 0, want = 0;
    for (size_t i = 0; i < t->region_count; i++) {
        uint64_t count = 0, sources = 0;
        const char *code = t->regions[i].place.code;
        for (uint32_t p = 0; p < places->count; p++) {
            const char *c = places->place[p].code, *region = NULL;
            if (c[0] != '\0') {
                region = c[0] >= '0' && c[0] <= '9' ? c : kobold_country_region(c);
            }
            if (region != NULL && strcmp(region, code) == 0) {
                count += model_count(x, p, ANY_KEY);
                sources += model_sources(x, p, ANY_KEY);
            }
        }
        SAME("region count", t->regions[i].count, count);
        SAME("region sources", t->regions[i].sources, sources);
        assert_true(
            i == 0 || t->regions[i - 1].count > count ||
            (t->regions[i - 1].count == count && strcmp(t->regions[i - 1].place.code, code) < 0));
        sum += count;
    }
    for (uint32_t p = 0; p < places->count; p++) {
        want += places->place[p].code[0] != '\0' ? model_count(x, p, ANY_KEY) : 0;
    }
    SAME("sum of regions", sum, want);
}

static void
same_timeline(const struct scene *s, const struct bh_trend *t)
{
    const struct model *x = &s->model;
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (size_t i = 0; i < x->count; i++) {
        if (x->rows[i].counted) {
            first = x->rows[i].r.ts_ns < first ? x->rows[i].r.ts_ns : first;
            last = x->rows[i].r.ts_ns > last ? x->rows[i].r.ts_ns : last;
        }
    }
    SAME("start", t->start_ns,
         s->o.period.start_ns != INT64_MIN ? s->o.period.start_ns
         : first == INT64_MAX              ? 0
                                           : first);
    SAME("end", t->end_ns,
         s->o.period.end_ns != INT64_MAX ? s->o.period.end_ns
         : last == INT64_MIN             ? 0
                                         : last);
    if (first > last) {
        SAME("bins", t->bin_count, 0);
        return;
    }
    int64_t hours = last / HOUR - first / HOUR;
    enum bh_bin bin = hours <= 72 ? BH_BIN_HOUR : hours <= 190 * 24 ? BH_BIN_DAY : BH_BIN_WEEK;
    SAME("kind of bin", t->bin, bin);
    uint64_t count = 0;
    for (size_t i = 0; i < t->bin_count; i++) {
        const int64_t start = t->bins[i].start_ns, s_s = start / SEC;
        int64_t end = start + HOUR;
        struct bh_civil c = bh_zone_civil(s_s);
        if (bin != BH_BIN_HOUR) {
            int64_t day = bh_zone_day(s_s);
            SAME("start of a day", s_s, bh_zone_day_start(day));
            assert_true(bin == BH_BIN_DAY || c.weekday == 0);
            end = bh_zone_day_start(day + (bin == BH_BIN_DAY ? 1 : 7)) * SEC;
        } else if (i + 1 < t->bin_count) { /* clocks may change by half an hour */
            end = t->bins[i + 1].start_ns < end ? t->bins[i + 1].start_ns : end;
        }
        assert_true(bin != BH_BIN_HOUR || c.minute == 0);
        if (i + 1 < t->bin_count && bin != BH_BIN_HOUR) {
            SAME("the next bin", t->bins[i + 1].start_ns, end);
        }
        SAME("count of a bin", t->bins[i].count, model_count_in(x, ANY_PLACE, ANY_KEY, start, end));
        SAME("sources of a bin", t->bins[i].sources,
             model_sources_in(x, ANY_PLACE, ANY_KEY, start, end));
        count += t->bins[i].count;
    }
    assert_true(t->bins[0].start_ns <= first && t->bins[t->bin_count - 1].start_ns <= last);
    if (s->cfg.count != BH_COUNT_SOURCES) {
        SAME("sum of the time line", count, model_count(x, ANY_PLACE, ANY_KEY));
    }
}

static void
same_visits(const struct scene *s, const struct bh_trend *t)
{
    const struct model *x = &s->model;
    uint64_t all = 0;
    SAME("visits' entries", t->visit_count, s->cfg.served_count);
    for (size_t k = 0; k < t->visit_count; k++) {
        bool seen[MODEL_SOURCES] = { false };
        uint64_t count = 0, sources = 0;
        for (size_t i = 0; i < x->count; i++) {
            const struct model_row *m = &x->rows[i];
            if (m->visit && m->served == (int)k) {
                count += model_weight(x, m);
                sources += !seen[m->source];
                seen[m->source] = true;
            }
        }
        SAME("visits", t->visits[k].count, count);
        SAME("visitors", t->visits[k].sources, sources);
        all += count;
    }
    SAME("all visits", t->visits_total, all);
}

static uint64_t
net_of(const struct bh_ip *ip)
{
    return ip->family == 4 ? 1ULL << 63 | bh_get_be32(ip->octets) >> 8 : bh_get_be64(ip->octets);
}

/* Sources of accesses, visits included; their networks; pings. */
static void
same_sources(const struct scene *s, const struct bh_trend *t)
{
    const struct model *x = &s->model;
    uint64_t sources = 0, networks = 0, pinged = 0, then = 0, pings = 0, countries = 0;
    uint64_t nets[MODEL_SOURCES];
    for (size_t k = 0; k < x->source_count; k++) {
        bool came = false, ping = false, knocked_then = false;
        for (size_t i = 0; i < x->count; i++) {
            const struct model_row *m = &x->rows[i];
            if (!model_is_ip(m) || m->source != k || !m->counted || m->direction != BH_DIR_IN) {
                continue;
            }
            came |= m->knock || m->visit;
            knocked_then |= ping && m->knock;
            ping |= m->cls == BH_CLASS_ICMP_ECHO_REQUEST;
            pings += m->cls == BH_CLASS_ICMP_ECHO_REQUEST ? model_weight(x, m) : 0;
        }
        pinged += ping;
        then += knocked_then;
        if (came) {
            size_t at = 0;
            while (at < networks && nets[at] != net_of(&x->sources[k])) {
                at++;
            }
            nets[at] = net_of(&x->sources[k]);
            networks = at == networks ? at + 1 : networks;
            sources++;
        }
    }
    for (uint32_t p = 0; p < x->lab->places.count; p++) {
        countries += x->lab->places.place[p].code[0] != '\0' && model_accesses(x, p, ANY_KEY) > 0;
    }
    SAME("sources of all", t->sources, sources);
    SAME("networks", t->source_networks, networks);
    SAME("countries of all", t->countries_total, countries);
    SAME("pings", t->pings, pings);
    SAME("sources of pings", t->ping_sources, pinged);
    SAME("pinged, then knocked", t->ping_then_accessed, then);
}

static void
same_totals(const struct scene *s, const struct bh_trend *t)
{
    const struct model *x = &s->model;
    uint64_t frames = 0, packets = 0, in = 0, out = 0, accesses = 0, tcp = 0, cut = 0;
    uint64_t classes[BH_CLASS_COUNT] = { 0 }, layers[BH_LAYER_COUNT] = { 0 };
    for (size_t i = 0; i < x->count; i++) {
        const struct model_row *m = &x->rows[i];
        const uint64_t w = m->counted ? model_weight(x, m) : 0;
        frames += m->counted;
        packets += model_is_ip(m) ? w : 0;
        in += model_is_ip(m) && m->direction == BH_DIR_IN ? w : 0;
        out += model_is_ip(m) && m->direction == BH_DIR_OUT ? w : 0;
        accesses += m->knock || m->visit ? w : 0;
        tcp += m->knock && m->r.proto == BH_PROTO_TCP ? w : 0;
        cut += m->counted && model_is_ip(m) && (m->r.marks & BH_MARK_TRUNCATED) != 0;
        classes[m->cls] += m->cls == BH_CLASS_ACCESS ? 0 : w;
        unsigned bits = m->frame == 1 ? BH_LAYER_ARP : m->frame == 2 ? 0 : row_layers(&m->r);
        for (unsigned l = 0; l < BH_LAYER_COUNT; l++) {
            layers[l] += m->counted && (bits >> l & 1) != 0;
        }
    }
    SAME("frames", t->frames, frames);
    SAME("packets", t->packets, packets);
    SAME("inbound", t->inbound_packets, in);
    SAME("outgoing", t->outgoing_packets, out);
    SAME("accesses", t->accesses, accesses);
    SAME("tcp", t->tcp_accesses, tcp);
    SAME("udp", t->udp_accesses, accesses - t->visits_total - tcp);
    SAME("cut headers", t->cut_headers, cut);
    SAME("approximate", t->approximate, false);
    SAME("bounds", t->sources_over + t->pairs_over + t->places_over + t->bins_over, 0);
    for (unsigned k = 0; k < BH_CLASS_COUNT; k++) {
        SAME(bh_class_name(k), t->not_accesses[k], classes[k]);
    }
    for (unsigned k = 0; k < BH_LAYER_COUNT; k++) {
        SAME("layer", t->layers[k], layers[k]);
    }
}

/* health.layers: distinct addresses of all directions, and distinct ports. */
static void
same_health(const struct scene *s, const struct bh_trend *t)
{
    const struct model *x = &s->model;
    static bool ports[1U << 17];
    uint64_t sources = 0, dst_ports = 0;
    memset(ports, 0, sizeof ports);
    for (size_t k = 0; k < x->source_count; k++) {
        bool any = false;
        for (size_t i = 0; i < x->count; i++) {
            any |= model_is_ip(&x->rows[i]) && x->rows[i].counted && x->rows[i].source == k;
        }
        sources += any;
    }
    for (size_t i = 0; i < x->count; i++) {
        if (x->rows[i].counted && model_has_port(&x->rows[i])) {
            dst_ports += !ports[model_key(&x->rows[i])];
            ports[model_key(&x->rows[i])] = true;
        }
    }
    SAME("sources of layers", t->layer_sources, sources);
    SAME("ports of layers", t->layer_dst_ports, dst_ports);
}

static void
same_listed(const struct scene *s, const struct bh_trend *t)
{
    const struct model *x = &s->model;
    size_t n = 0;
    for (size_t k = 0; k < x->source_count && s->cfg.list_sources; k++) {
        uint64_t count = 0, ports = 0;
        int64_t first = INT64_MAX, last = INT64_MIN;
        uint32_t keys[MODEL_PORTS];
        for (size_t i = 0; i < x->count; i++) {
            const struct model_row *m = &x->rows[i];
            if (!m->knock || m->source != k ||
                (s->cfg.list_port >= 0 && m->r.dport != s->cfg.list_port)) {
                continue;
            }
            count += model_weight(x, m);
            first = m->r.ts_ns < first ? m->r.ts_ns : first;
            last = m->r.ts_ns > last ? m->r.ts_ns : last;
            size_t at = 0;
            while (at < ports && keys[at] != model_key(m)) {
                at++;
            }
            keys[at] = model_key(m);
            ports = at == ports ? at + 1 : ports;
        }
        const struct bh_trend_source *l = NULL;
        for (size_t i = 0; i < t->listed_count; i++) {
            l = bh_ip_cmp(&t->listed[i].ip, &x->sources[k]) == 0 ? &t->listed[i] : l;
        }
        SAME("in the list", l != NULL, count > 0);
        if (l != NULL) {
            n++;
            SAME("listed count", l->count, count);
            SAME("listed ports", l->ports, ports);
            SAME("listed first", l->first_ns, first);
            SAME("listed last", l->last_ns, last);
            SAME("same network", l->same_network, bh_home_is_near(&world.home, &l->ip));
            assert_string_equal(l->code, model_country(&l->ip).code);
        }
    }
    SAME("listed", t->listed_count, n);
    for (size_t i = 1; i < t->listed_count; i++) {
        const struct bh_trend_source *a = &t->listed[i - 1], *b = &t->listed[i];
        assert_true(a->count > b->count || (a->count == b->count && bh_ip_cmp(&a->ip, &b->ip) < 0));
    }
}

static void
same_neighbours(const struct scene *s, const struct bh_trend *t)
{
    const struct model *x = &s->model;
    size_t n = 0;
    for (size_t k = 0; k < x->source_count; k++) {
        uint64_t count = bh_home_is_near(&world.home, &x->sources[k]) ? model_of_source(x, k) : 0;
        if (count < 10) {
            continue;
        }
        n++;
        size_t rank = 0; /* how many stand before it */
        for (size_t i = 0; i < x->source_count; i++) {
            uint64_t c = bh_home_is_near(&world.home, &x->sources[i]) ? model_of_source(x, i) : 0;
            rank += c > count || (c == count && bh_ip_cmp(&x->sources[i], &x->sources[k]) < 0);
        }
        if (rank < 16) {
            SAME("neighbour", bh_ip_cmp(&t->neighbours[rank].ip, &x->sources[k]), 0);
            SAME("neighbour's count", t->neighbours[rank].count, count);
        }
    }
    SAME("neighbours", t->neighbour_count, n < 16 ? n : 16);
}

/* Many accesses of one source in one hour to the port it asked for first. */
static void
same_bursts(const struct scene *s, const struct bh_trend *t)
{
    const struct model *x = &s->model;
    size_t n = 0;
    for (size_t i = 0; i < x->count; i++) {
        const struct model_row *m = &x->rows[i];
        if (!m->knock) {
            continue;
        }
        /* Rows stand in order of time: is it the first of its source in this hour? */
        struct bh_civil c = bh_zone_civil(m->r.ts_ns / SEC);
        int64_t hour = m->r.ts_ns / SEC - c.minute * 60 - c.second, end = hour + 3600;
        bool first = true;
        uint64_t count = 0;
        for (size_t k = 0; k < x->count; k++) {
            const struct model_row *o = &x->rows[k];
            int64_t at = o->r.ts_ns / SEC;
            if (o->knock && o->source == m->source && at >= hour && at < end) {
                first &= k >= i;
                count += model_key(o) == model_key(m) ? model_weight(x, o) : 0;
            }
        }
        if (!first || count < 256) {
            continue;
        }
        n++;
        bool found = t->burst_count == 16; /* may have been left out */
        for (size_t k = 0; k < t->burst_count && !found; k++) {
            const struct bh_trend_burst *b = &t->bursts[k];
            found = b->count == count && b->hour_ns == hour * SEC && b->port == m->r.dport &&
                    b->proto == m->r.proto && bh_ip_cmp(&b->ip, &m->r.src) == 0;
        }
        SAME("burst", found, true);
    }
    SAME("bursts", t->burst_count, n < 16 ? n : 16);
}

static void
same_trend(const struct scene *s, const struct bh_trend *t)
{
    same_totals(s, t);
    same_places(s, t);
    same_visits(s, t);
    same_sources(s, t);
    same_health(s, t);
    same_timeline(s, t);
    same_regions(s, t);
    same_listed(s, t);
    same_neighbours(s, t);
    same_crosstab(s, t);
    same_bursts(s, t);
}

#define SCENES 40U

/* The scenes are worth something: everything happens in them. */
static struct {
    unsigned visits, bursts, neighbours, listed, weights, moves, held, two_sided, others, filled,
        regions, then, weeks;
} seen;

static void
see(const struct scene *s, const struct bh_trend *t)
{
    seen.visits += t->visits_total > 0;
    seen.bursts += t->burst_count > 0;
    seen.neighbours += t->neighbour_count == 16;
    seen.listed += t->listed_count > 0;
    seen.weights += s->model.weighted;
    seen.moves += s->moves;
    seen.held += s->cfg.hold;
    seen.two_sided += s->moves && s->model.two_sided && !s->cfg.two_sided;
    seen.others += t->others_countries > 0;
    seen.filled += s->o.crosstab_all && t->crosstab_count > 0;
    seen.regions += s->by_region;
    seen.then += t->ping_then_accessed > 0;
    seen.weeks += t->bin == BH_BIN_WEEK;
}

static void
test_model(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    const char *first = getenv("BH_SCENE"); /* begin there */
    scene_seed = first != NULL ? strtoull(first, NULL, 10) : 0;
    for (uint64_t end = scene_seed + SCENES; scene_seed < end; scene_seed++) {
        struct scene s;
        random_scene(&s);
        for (scene_shards = 1; scene_shards <= 4; scene_shards++) {
            static struct lab labs[4];
            if (scene_shards == 1) { /* the model needs the places */
                memset(&labs[0], 0, sizeof labs[0]);
                labs[0].cfg = s.cfg;
                bh_places_init(&labs[0].places, world.countries, s.by_region, s.cfg.home_country);
                s.model.lab = &labs[0];
                model_judge(&s.model, s.filter != NULL);
            }
            struct bh_trend *t = scene_trend(&s, labs, scene_shards);
            same_trend(&s, t);
            see(&s, t);
            bh_trend_free(t);
            for (unsigned k = 0; k < scene_shards; k++) {
                lab_close(&labs[k]);
            }
        }
        bh_filter_free(s.filter);
    }
    assert_true(seen.visits > 0 && seen.bursts > 0 && seen.neighbours > 0 && seen.listed > 0 &&
                seen.weights > 0);
    assert_true(seen.moves > 0 && seen.held > 0 && seen.two_sided > 0 && seen.others > 0 &&
                seen.filled > 0);
    assert_true(seen.regions > 0 && seen.then > 0 && seen.weeks > 0);
    assert_int_equal(bh_zone_set("UTC", NULL), 0);
}

/* ---- what lib/track makes of real exchanges -------------------------------------------------------------------- */

#define EXCHANGE_ROWS 6000U
struct exchange {
    struct row row[EXCHANGE_ROWS];
    size_t count;
};

static int
row_cmp(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->ts_ns != y->ts_ns) {
        return x->ts_ns < y->ts_ns ? -1 : 1;
    }
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void
exchange_add(struct exchange *e, struct row r, int64_t ts_ns, unsigned flags, bool ours)
{
    if (ours) {
        struct bh_ip ip = r.src;
        uint16_t port = r.sport;
        r.src = r.dst;
        r.dst = ip;
        r.sport = r.dport;
        r.dport = port;
    }
    r.ts_ns = ts_ns;
    r.flags = (uint8_t)flags;
    if (e->count < EXCHANGE_ROWS) {
        e->row[e->count++] = r;
    }
}

/* Connections of all kinds, datagrams and pings over ten minutes; ours are not seen before `ours_s`. */
static void
exchange_make(struct exchange *e, uint64_t *seed, unsigned ours_s)
{
    static const uint16_t ports[] = { 22, 80, 443, 25 };
    e->count = 0;
    for (unsigned k = 0; k < 1200; k++) {
        struct row r =
            tcp_row(0, "20.0.0.1", 1024 + k, US, ports[random_below(seed, 4)], BH_TCP_SYN);
        r.src = bh_ip_from_v4(0x14000000 + (random_below(seed, 5) << 24) + random_below(seed, 60));
        r.seq = k;
        int64_t ts = START + random_below(seed, 600) * SEC + random_below(seed, 1000) * MS;
        bool answers = ts >= START + ours_s * SEC;
        unsigned kind = random_below(seed, 8);
        if (kind == 7) {
            r.proto = BH_PROTO_UDP;
            exchange_add(e, r, ts, 0, false);
            exchange_add(e, r, ts + MS, 0, false);
            continue;
        }
        exchange_add(e, r, ts, BH_TCP_SYN, false);
        if (kind == 6) {
            exchange_add(e, r, ts + 3 * SEC, BH_TCP_SYN, false); /* repeated */
            ts += 3 * SEC;
            answers = ts >= START + ours_s * SEC;
        }
        if (!answers || kind == 0) {
            continue;
        }
        if (kind == 1) {
            exchange_add(e, r, ts + MS, BH_TCP_RST | BH_TCP_ACK, true);
            continue;
        }
        exchange_add(e, r, ts + MS, BH_TCP_SYN | BH_TCP_ACK, true);
        if (kind == 3) {
            exchange_add(e, r, ts + 20 * MS, BH_TCP_RST, false);
        } else if (kind > 3) {
            exchange_add(e, r, ts + 20 * MS, BH_TCP_ACK, false);
            r.payload = 100;
            exchange_add(e, r, ts + 30 * MS, BH_TCP_ACK | BH_TCP_PSH, false);
        }
    }
    qsort(e->row, e->count, sizeof *e->row, row_cmp);
}

/* Of `shards` trackers and tallies, each with its remote addresses, a few rows at a time. */
static struct bh_trend *
exchange_moves(const struct exchange *e, const struct bh_tally_config *cfg, struct lab *labs,
               unsigned shards)
{
    struct bh_track *track[4];
    struct bh_tally *tallies[4];
    struct bh_batch *all = bh_batch_new();
    uint8_t shard[BH_BATCH_STRIDE];
    assert_non_null(all);
    for (unsigned k = 0; k < shards; k++) {
        struct bh_track_config tc = { .home = &world.home,
                                      .outcomes = true,
                                      .flow_slots = 1U << 14,
                                      .start_ns = START,
                                      .key = 42 };
        assert_int_equal(bh_track_new(&tc, &track[k]), 0);
        struct bh_tally_config with_first = *cfg;
        with_first.first = k == 0 ? NULL : labs[0].tally;
        lab_open(&labs[k], &with_first, false);
        tallies[k] = labs[k].tally;
    }
    for (size_t i = 0; i < e->count;) {
        bh_batch_reset(all);
        while (i < e->count && all->rows < 100) {
            row_add(all, &e->row[i++]);
        }
        int64_t ours = bh_track_first_ours(&world.home, all);
        bh_track_shard(&world.home, all, shards, shard);
        for (uint32_t n = 0; n < all->rows; n++) {
            assert_true(shard[n] < shards);
            bh_batch_copy_row(labs[shard[n]].batch, all, n);
        }
        for (unsigned k = 0; k < shards && ours != INT64_MAX; k++) {
            bh_track_two_sided(track[k], ours);
        }
        if (ours != INT64_MAX) {
            bh_tally_two_sided(tallies, shards);
        }
        for (unsigned k = 0; k < shards; k++) {
            const struct bh_move *moves;
            struct bh_batch *b = labs[k].batch;
            view_is_told = true;
            bh_track_classify(track[k], b);
            bh_tally_sources(labs[k].tally, b);
            size_t n = bh_track_flows(track[k], b, &moves);
            bh_tally_counts(labs[k].tally, b, moves, n);
            bh_batch_reset(b);
        }
    }
    for (unsigned k = 0; k < shards; k++) {
        bh_track_free(track[k]);
        if (k > 0) {
            assert_int_equal(bh_tally_merge(labs[0].tally, labs[k].tally), 0);
            labs[k].tally = NULL;
        }
    }
    bh_batch_free(all);
    struct bh_trend_options o = lab_options(&labs[0]);
    o.top = o.ports = 100;
    return lab_trend(&labs[0], &o);
}

/* Verdicts with the records, each record held for a minute. */
static struct bh_trend *
exchange_held(const struct exchange *e, const struct bh_tally_config *cfg, struct lab *l)
{
    enum { HELD = 8 };
    struct bh_batch *held[HELD] = { NULL };
    struct bh_track_config tc = { .home = &world.home,
                                  .outcomes = true,
                                  .hold = true,
                                  .flow_slots = 1U << 14,
                                  .start_ns = START,
                                  .key = 42 };
    struct bh_tally_config hold = *cfg;
    struct bh_track *track;
    size_t first = 0, next = 0;
    hold.hold = true;
    assert_int_equal(bh_track_new(&tc, &track), 0);
    lab_open(l, &hold, false);
    for (size_t i = 0; i < e->count || first < next;) {
        const struct bh_move *moves;
        if (next - first == HELD || i == e->count) { /* the oldest is final now */
            struct bh_batch *b = held[first++ % HELD];
            for (uint32_t n = 0; n < b->rows; n++) {
                bool decided = b->cls[n] == BH_CLASS_ACCESS && b->proto[n] == BH_PROTO_TCP;
                b->outcome[n] =
                    decided ? (uint8_t)bh_track_verdict(track, b->connection[n], b->ts_ns[n]) : 0;
            }
            bh_tally_sources(l->tally, b);
            bh_tally_counts(l->tally, b, NULL, 0);
            bh_batch_free(b);
            continue;
        }
        struct bh_batch *b = held[next++ % HELD] = bh_batch_new();
        int64_t end = e->row[i].ts_ns + 10 * SEC;
        while (i < e->count && b->rows < BH_BATCH_ROWS && e->row[i].ts_ns < end) {
            row_add(b, &e->row[i++]);
        }
        bh_track_classify(track, b);
        assert_int_equal(bh_track_flows(track, b, &moves), 0);
    }
    bh_track_free(track);
    struct bh_trend_options o = lab_options(l);
    o.top = o.ports = 100;
    return lab_trend(l, &o);
}

static void
same_outcomes(const struct bh_trend *a, const struct bh_trend *b)
{
    SAME("accesses", a->accesses, b->accesses);
    SAME("sources", a->sources, b->sources);
    SAME("frames", a->frames, b->frames);
    SAME("countries", a->country_count, b->country_count);
    for (unsigned k = 0; k < BH_CLASS_COUNT; k++) {
        SAME(bh_class_name(k), a->not_accesses[k], b->not_accesses[k]);
    }
    for (size_t i = 0; i < a->country_count; i++) {
        const struct bh_trend_place *x = &a->countries[i], *y = &b->countries[i];
        assert_string_equal(x->place.code, y->place.code);
        SAME("ports", x->port_count, y->port_count);
        for (size_t k = 0; k < x->port_count; k++) {
            uint64_t sum = 0;
            SAME("port", x->ports[k].port, y->ports[k].port);
            SAME("count", x->ports[k].count, y->ports[k].count);
            SAME("sources", x->ports[k].sources, y->ports[k].sources);
            for (unsigned o = 1; o < BH_OUTCOME_COUNT; o++) {
                SAME(bh_outcome_name(o), x->ports[k].outcomes[o], y->ports[k].outcomes[o]);
                sum += x->ports[k].outcomes[o];
            }
            SAME("sum of outcomes", sum, x->ports[k].proto == BH_PROTO_TCP ? x->ports[k].count : 0);
        }
    }
}

static void
test_tracked(void **state)
{
    (void)state;
    static struct exchange e;
    static const unsigned ours_s[] = { 0, 5, 200, 590, 1000 };
    static const char *const words[] = { "", "dst port 22 or dst port 80" };
    for (scene_seed = 0; scene_seed < BH_COUNT(ours_s) * BH_COUNT(words); scene_seed++) {
        struct bh_tally_config cfg = lab_config();
        struct bh_filter *f = NULL;
        static struct lab held, labs[4];
        uint64_t seed = scene_seed + 77;
        const char *word = words[scene_seed % BH_COUNT(words)];
        exchange_make(&e, &seed, ours_s[scene_seed / BH_COUNT(words)]);
        if (word[0] != '\0') {
            assert_int_equal(bh_filter_parse(&word, 1, world.countries, &f, NULL), 0);
            cfg.filter = f;
        }
        struct bh_trend *want = exchange_held(&e, &cfg, &held);
        assert_true(want->accesses > 100);
        for (scene_shards = 1; scene_shards <= 4; scene_shards++) {
            struct bh_trend *t = exchange_moves(&e, &cfg, labs, scene_shards);
            same_outcomes(t, want);
            bh_trend_free(t);
            for (unsigned k = 0; k < scene_shards; k++) {
                lab_close(&labs[k]);
            }
        }
        bh_trend_free(want);
        lab_close(&held);
        bh_filter_free(f);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranking),         cmocka_unit_test(test_home_country),
        cmocka_unit_test(test_no_country),      cmocka_unit_test(test_crosstab),
        cmocka_unit_test(test_regions),         cmocka_unit_test(test_timeline_choice),
        cmocka_unit_test(test_timeline_clocks), cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_gap_regular),     cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_model),           cmocka_unit_test(test_tracked),
    };
    return cmocka_run_group_tests(tests, world_open, world_close);
}

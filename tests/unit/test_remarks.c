/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Remarks on the memo of 2007: each of its claims on countries, ports and the home country
 * (tests/memo-2007/claims.md, B, C, D) is a remark, or a cell of a table. Nothing of it may be
 * built in: with the traffic of two countries exchanged, the remarks exchange too.
 */
#include "fake_trend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct fake fake;

static const struct bh_remark *
find(const char *id)
{
    for (size_t i = 0; i < fake.report.remark_count; i++) {
        if (strcmp(fake.report.remarks[i].id, id) == 0) {
            return &fake.report.remarks[i];
        }
    }
    return NULL;
}

static const struct bh_remark *
must(const char *id)
{
    const struct bh_remark *m = find(id);
    if (m == NULL) {
        fail_msg("no remark %s", id);
    }
    return m;
}

static double
number(const struct bh_remark *m, const char *name)
{
    for (size_t i = 0; i < m->number_count; i++) {
        if (strcmp(m->numbers[i].name, name) == 0) {
            return m->numbers[i].value;
        }
    }
    fail_msg("%s has no number %s", m->id, name);
    return 0;
}

/* The same to the third decimal. */
static bool
near(double a, double b)
{
    return a - b < 0.0006 && b - a < 0.0006;
}

static bool
has_country(const struct bh_remark *m, const char *code)
{
    for (size_t i = 0; i < m->country_count; i++) {
        if (strcmp(m->countries[i], code) == 0) {
            return true;
        }
    }
    return false;
}

static bool
has_port(const struct bh_remark *m, unsigned port)
{
    for (size_t i = 0; i < m->port_count; i++) {
        if (m->ports[i].port == port) {
            return true;
        }
    }
    return false;
}

/* Count of a port among a listed country's top ports: a cell of its table; 0: not there. */
static uint64_t
cell(const char *code, unsigned port)
{
    for (size_t i = 0; i < fake.trend.shown; i++) {
        const struct bh_trend_place *p = &fake.trend.countries[i];
        for (size_t k = 0; k < p->port_count && strcmp(p->place.code, code) == 0; k++) {
            if (p->ports[k].port == port) {
                return p->ports[k].count;
            }
        }
    }
    return 0;
}

/* Countries that have a port: a row of the cross table. */
static size_t
row(unsigned port)
{
    for (size_t i = 0; i < fake.trend.crosstab_count; i++) {
        if (fake.trend.crosstab[i].port == port) {
            return fake.trend.crosstab[i].cell_count;
        }
    }
    return 0;
}

static int
memo(void **state)
{
    (void)state;
    fake_memo(&fake);
    return bh_report_remark(&fake.report);
}

static int
done(void **state)
{
    (void)state;
    fake_done(&fake);
    return 0;
}

/* ---- B: single countries ------------------------------------------------------------------- */

static void
test_claims_b(void **state)
{
    (void)state;
    const struct bh_remark *m;
    /* B1, B2: tables */
    assert_int_equal(cell("US", 25), 4885);
    assert_int_equal(cell("CN", 25), 7130);
    assert_null(find("first-port-differs:CN"));
    /* B3 */
    m = must("first-port-differs:TW");
    assert_int_equal(m->ports[0].port, 135);
    assert_int_equal(m->ports[1].port, 25);
    assert_true(near(number(m, "count"), 1539) && near(number(m, "usual_rank"), 2));
    assert_true(near(number(m, "usual_count"), 943));
    /* B4: 1080 is a cell, and its meaning says what is sought */
    assert_true(has_port(must("only-country:TW"), 1080));
    /* B5 */
    assert_null(find("first-port-differs:KR"));
    assert_true(has_port(must("new-port:KR"), 4899));
    /* B6: tables; B7 */
    m = must("dominance:AR");
    assert_true(near(number(m, "share_of_top"), 0.952) && near(number(m, "top_sum"), 1683));
    /* B8 */
    must("nothing-new:DE");
    /* B9 */
    m = must("first-port-differs:IN");
    assert_true(has_country(m, "TW") && near(number(m, "usual_count"), 784));
    assert_true(has_port(must("new-port:IN"), 2967));
    /* B10 */
    m = must("same-ports:FR");
    assert_true(has_country(m, "DE") && near(number(m, "same_order"), 0));
    assert_int_equal(m->port_count, 5);
    /* B11 */
    m = must("same-ports-but-one:GB:FR");
    assert_int_equal(m->ports[0].port, 4899);
    assert_int_equal(m->ports[1].port, 22);
    assert_null(find("same-ports-but-one:KR:US")); /* two differ */
    /* B12 */
    m = must("same-ports:BR");
    assert_true(has_country(m, "DE") && has_country(m, "FR"));
    /* B13 */
    m = must("dominance:BR");
    assert_true(near(number(m, "share_of_top"), 0.893) && near(number(m, "top_sum"), 1456));
    /* B14 */
    m = must("highest-shares:25/tcp");
    assert_string_equal(m->countries[0], "AR");
    assert_string_equal(m->countries[1], "BR");
    assert_string_equal(m->countries[2], "GB");
    assert_true(near(number(m, "share_third"), 0.871));
}

/* ---- C: ports ------------------------------------------------------------------------------ */

static void
test_claims_c(void **state)
{
    (void)state;
    /* C1, C2 */
    const struct bh_remark *m = must("port-wanted-by-half:25/tcp");
    assert_true(near(number(m, "countries"), 10) && near(number(m, "count"), 20481));
    assert_true(near(number(m, "share_of_top"), 0.660) && near(number(m, "first_in"), 8));
    /* C3: 135 and 139 alone reach all ten; 445 is the next most widespread */
    m = must("everybodys-targets");
    assert_int_equal(m->port_count, 3);
    assert_true(has_port(m, 135) && has_port(m, 139) && has_port(m, 445));
    assert_true(near(number(m, "ports_needed"), 2));
    /* C4 */
    m = must("port-wanted-by-half:22/tcp");
    assert_true(near(number(m, "countries"), 5) && near(number(m, "count"), 807));
    assert_true(near(number(m, "largest"), 677) && has_country(m, "CN"));
    /* C5 */
    m = must("port-wanted-by-half:5900/tcp");
    assert_true(near(number(m, "countries"), 7) && near(number(m, "count"), 796));
    /* C6, C9 */
    assert_true(has_port(must("only-country:US"), 1026));
    m = must("only-country:CN");
    assert_true(has_port(m, 8080) && has_port(m, 1434));
    assert_true(has_port(must("only-country:KR"), 1433));
    assert_true(has_port(must("only-country:IN"), 2967));
    /* C7: a row of the cross table */
    assert_int_equal(row(4899), 3);
    assert_true(cell("KR", 4899) > 0 && cell("AR", 4899) > 0 && cell("GB", 4899) > 0);
    /* C8 fails for the US: there is no such cell */
    assert_int_equal(cell("US", 1080), 0);
}

/* ---- D: the home country ------------------------------------------------------------------- */

static void
test_claims_d(void **state)
{
    (void)state;
    /* D1 */
    const struct bh_remark *m = must("home-dominance:JP");
    assert_true(near(number(m, "count"), 23040) && near(number(m, "share_of_top"), 0.847));
    assert_true(near(number(m, "times_largest"), 23040.0 / 7130) && has_country(m, "CN"));
    assert_true(near(number(m, "times_second"), 23040.0 / 4885) && has_country(m, "US"));
    /* D2 */
    m = must("home-and-one-foreign:2967/tcp");
    assert_true(has_country(m, "JP") && has_country(m, "IN"));
    /* D3 */
    m = must("few-sources:JP:138/udp");
    assert_true(near(number(m, "sources"), 2) && near(number(m, "count"), 23040));
    /* D4, D5 */
    m = must("nearly-equal-neighbours:59.106.21.81:59.106.21.57");
    assert_true(near(number(m, "difference"), 2) && near(number(m, "count_first"), 11521));
    assert_non_null(strstr(m->text[BH_EN], "same network"));
    /* D6 */
    must("home-only:138/udp");
    /* its own reading: the sensor was off */
    m = must("gap:2007-06-08T23:59:48+09:00");
    assert_true(near(number(m, "regular_sources"), 2));
    assert_non_null(strstr(m->text[BH_JA], "観測点"));
}

static void
test_remarks_whole(void **state)
{
    (void)state;
    char kinds[40][48];
    size_t kind_count = 0;
    for (size_t i = 0; i < fake.report.remark_count; i++) {
        const struct bh_remark *m = &fake.report.remarks[i];
        size_t k = 0;
        while (k < kind_count && strcmp(kinds[k], m->kind) != 0) {
            k++;
        }
        if (k == kind_count) {
            snprintf(kinds[kind_count++], sizeof kinds[0], "%s", m->kind);
        }
        for (size_t other = 0; other < i; other++) {
            assert_string_not_equal(fake.report.remarks[other].id, m->id);
        }
        assert_true(strncmp(m->id, m->kind, strlen(m->kind)) == 0);
        assert_true(m->number_count > 0);
        for (int lang = 0; lang < BH_LANGS; lang++) {
            assert_non_null(m->text[lang]);
            assert_null(strchr(m->text[lang], '{'));
            assert_null(strchr(m->text[lang], '}'));
            assert_null(strchr(m->text[lang], '['));
        }
    }
    assert_true(kind_count >= 8);
    /* at least one for each listed country, about itself */
    for (size_t c = 0; c < fake.trend.shown; c++) {
        bool any = false;
        for (size_t i = 0; i < fake.report.remark_count; i++) {
            const struct bh_remark *m = &fake.report.remarks[i];
            any |= !m->general && strcmp(m->countries[0], fake.trend.countries[c].place.code) == 0;
        }
        assert_true(any);
    }
}

/* ---- nothing is built in ------------------------------------------------------------------- */

static void
test_exchanged(void **state)
{
    (void)state;
    struct bh_place tw = fake.places[2].place;
    fake.places[2].place = fake.places[3].place; /* TW's traffic comes from KR, and KR's from TW */
    fake.places[3].place = tw;
    assert_int_equal(bh_report_remark(&fake.report), 0);
    assert_int_equal(must("first-port-differs:KR")->ports[0].port, 135);
    assert_null(find("first-port-differs:TW"));
    assert_true(has_port(must("only-country:TW"), 1433));
    assert_true(has_port(must("only-country:KR"), 1080));
    assert_true(has_port(must("new-port:TW"), 4899));
    assert_true(has_country(must("first-port-differs:IN"), "KR"));
}

static void
test_other_ports(void **state)
{
    (void)state;
    /* Every port is another one: the remarks are the same, on the other ports. */
    for (size_t i = 0; i < FAKE_PLACES; i++) {
        for (size_t k = 0; k < FAKE_PORTS; k++) {
            fake.ports[i][k].port = (uint16_t)(fake.ports[i][k].port + 20000);
        }
    }
    fake_crosstab(&fake);
    size_t before = fake.report.remark_count;
    assert_int_equal(bh_report_remark(&fake.report), 0);
    assert_int_equal(fake.report.remark_count, before);
    must("home-and-one-foreign:22967/tcp");
    assert_true(has_port(must("everybodys-targets"), 20139));
}

static void
test_thresholds(void **state)
{
    (void)state;
    /* nearly equal: 0.1 % of the larger */
    fake.neighbours[0].count = 10000;
    fake.neighbours[1].count = 9990;
    assert_int_equal(bh_report_remark(&fake.report), 0);
    must("nearly-equal-neighbours:59.106.21.81:59.106.21.57");
    fake.neighbours[1].count = 9989;
    fake.gaps[0].regular_sources = 1;
    fake.ports[20][0].sources = 4;
    fake.bursts[0] = (struct bh_trend_burst){
        bh_ip_from_v4(0xac100001U), "", 1469, BH_PROTO_UDP, 2605, FAKE_START
    };
    fake.trend.burst_count = 1;
    assert_int_equal(bh_report_remark(&fake.report), 0);
    assert_null(find("nearly-equal-neighbours:59.106.21.81:59.106.21.57"));
    assert_null(find("few-sources:JP:138/udp"));
    assert_null(strstr(must("gap:2007-06-08T23:59:48+09:00")->text[BH_EN], "sensor"));
    assert_true(
        near(number(must("burst:1469/udp:2007-04-01T00:00:00+09:00:172.16.0.1"), "count"), 2605));
}

/* "The two highest" needs a third that is lower. */
static void
test_equal_shares(void **state)
{
    (void)state;
    assert_non_null(find("highest-shares:25/tcp"));
    for (size_t i = 0; i < 10; i++) {
        fake.places[i].port_count = 1;
        fake.ports[i][0].port = 25;
    }
    fake_crosstab(&fake);
    assert_int_equal(bh_report_remark(&fake.report), 0);
    assert_null(find("highest-shares:25/tcp"));
    assert_non_null(
        strstr(must("port-wanted-by-half:25/tcp")->text[BH_EN], "is the first port of all 10"));
}

static void
test_little(void **state)
{
    (void)state;
    fake.trend.shown = 1;
    fake_crosstab(&fake);
    assert_int_equal(bh_report_remark(&fake.report), 0);
    must("first-in-list:US");
    fake.trend.shown = 0;
    fake.trend.crosstab_count = 0;
    fake.trend.home.port_count = 0;
    assert_int_equal(bh_report_remark(&fake.report), 0);
    fake.places[1].port_count = 0; /* a country without ports: only pings of weight, say */
    fake.trend.shown = 3;
    fake_crosstab(&fake);
    assert_int_equal(bh_report_remark(&fake.report), 0);
}

static int
set_zone(void **state)
{
    (void)state;
    return bh_zone_set("Asia/Tokyo", NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_claims_b, memo, done),
        cmocka_unit_test_setup_teardown(test_claims_c, memo, done),
        cmocka_unit_test_setup_teardown(test_claims_d, memo, done),
        cmocka_unit_test_setup_teardown(test_remarks_whole, memo, done),
        cmocka_unit_test_setup_teardown(test_exchanged, memo, done),
        cmocka_unit_test_setup_teardown(test_other_ports, memo, done),
        cmocka_unit_test_setup_teardown(test_thresholds, memo, done),
        cmocka_unit_test_setup_teardown(test_equal_shares, memo, done),
        cmocka_unit_test_setup_teardown(test_little, memo, done),
    };
    return cmocka_run_group_tests(tests, set_zone, NULL);
}

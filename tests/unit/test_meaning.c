/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ports mean. data/ports.tsv is read once more, line by line; every row must be well
 * formed, and what bh_port_meaning() answers for any port and any years must be what the rules of
 * docs/format/report.md find in these lines.
 */
#include "fake_trend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bh_report_priv.h"

/* ---- the table, read again ------------------------------------------------------------------------- */

enum {
    PORT,
    PROTO,
    SERVICE,
    FROM,
    UNTIL,
    EN,
    JA,
    FOR_EN,
    FOR_JA,
    CVE,
    KEV,
    CERTAINTY,
    SOURCE,
    DATE,
    FIELDS
};
#define ROWS_MAX 2000U

struct tsv_row {
    const char *field[FIELDS];
    unsigned first, last; /* ports */
    uint8_t proto;
    int from, until;
    bool is_range;
};
static struct fake fake_report;
static char *table;
static struct tsv_row rows[ROWS_MAX];
static size_t row_count;

static int
read_table(void)
{
    char path[1024];
    const char *root = getenv("BH_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/data/ports.tsv", root == NULL ? "." : root);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        print_error("%s cannot be read\n", path);
        return -1;
    }
    const size_t max = 1U << 20;
    table = calloc(max, 1);
    size_t len = table == NULL ? 0 : fread(table, 1, max - 1, f);
    fclose(f);
    return len > 0 && len < max - 1 ? 0 : -1;
}

/* The whole field is a number. */
static bool
number_of(const char *s, unsigned max, unsigned *ret)
{
    size_t n = strspn(s, "0123456789");
    *ret = (unsigned)strtoul(s, NULL, 10);
    return n > 0 && n < 6 && s[n] == '\0' && *ret <= max;
}

static void
take_row(char *line)
{
    struct tsv_row *r = &rows[row_count++];
    size_t n = 0;
    assert_true(row_count <= ROWS_MAX);
    for (char *s = line; s != NULL; n++) {
        char *tab = strchr(s, '\t');
        if (tab != NULL) {
            *tab = '\0';
        }
        assert_true(n < FIELDS);
        r->field[n] = s;
        s = tab == NULL ? NULL : tab + 1;
    }
    assert_int_equal(n, FIELDS);
    char first[8] = "";
    const char *dash = strchr(r->field[PORT], '-');
    r->is_range = dash != NULL;
    snprintf(first, sizeof first, "%.*s", (int)strcspn(r->field[PORT], "-"), r->field[PORT]);
    unsigned from = 0, until = 9999;
    if (!number_of(first, 65535, &r->first) ||
        !number_of(r->is_range ? dash + 1 : first, 65535, &r->last) ||
        !number_of(r->field[FROM], 2100, &from) ||
        (r->field[UNTIL][0] != '\0' && !number_of(r->field[UNTIL], 2100, &until))) {
        fail_msg("row %zu: port %s, years %s to %s", row_count, r->field[PORT], r->field[FROM],
                 r->field[UNTIL]);
    }
    r->from = (int)from;
    r->until = (int)until;
    r->proto = strcmp(r->field[PROTO], "tcp") == 0 ? BH_PROTO_TCP : BH_PROTO_UDP;
}

static int
setup(void **state)
{
    (void)state;
    if (read_table() != 0 || bh_zone_set("Asia/Tokyo", NULL) != 0) {
        return -1;
    }
    bool header = false;
    for (char *s = table; *s != '\0';) {
        char *end = s + strcspn(s, "\n");
        bool more = *end == '\n';
        *end = '\0';
        if (*s != '#' && *s != '\0') {
            if (header) {
                take_row(s);
            }
            header = true;
        }
        s = end + more;
    }
    return row_count > 100 ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    free(table);
    return 0;
}

/* ---- rows -------------------------------------------------------------------------------------------- */

#define ROW_FAIL(r, why)                                                                           \
    fail_msg("%s/%s from %s: %s", (r)->field[PORT], (r)->field[PROTO], (r)->field[FROM], why)

static int
cve_year(const char *cve)
{
    return atoi(cve + 4);
}

/* Calls back for each name of a list joined by commas. */
static void
each_name(const char *list, void (*take)(void *arg, const char *name), void *arg)
{
    while (*list != '\0') {
        char name[32];
        size_t len = strcspn(list, ",");
        assert_true(len > 0 && len < sizeof name);
        memcpy(name, list, len);
        name[len] = '\0';
        take(arg, name);
        list += len + (list[len] == ',');
        assert_true(list[-1] != ',' || *list != '\0'); /* none hangs over */
    }
}

static void
check_cve(void *arg, const char *name)
{
    const struct tsv_row *r = arg;
    size_t digits = strlen(name) > 9 ? strspn(name + 9, "0123456789") : 0;
    if (strncmp(name, "CVE-", 4) != 0 || strspn(name + 4, "0123456789") != 4 || name[8] != '-' ||
        digits < 4 || digits > 7 || name[9 + digits] != '\0' || cve_year(name) < 1999) {
        ROW_FAIL(r, name);
    }
    if (cve_year(name) > r->until) {
        ROW_FAIL(r, "names a CVE of a later year than its last");
    }
}

static void
check_kev(void *arg, const char *name)
{
    const struct tsv_row *r = arg;
    const char *at = strstr(r->field[CVE], name);
    if (at == NULL || strchr(",", at[strlen(name)]) == NULL) {
        ROW_FAIL(r, "has a kev that is no cve of it");
    }
}

static void
test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < row_count; i++) {
        const struct tsv_row *r = &rows[i];
        if (strcmp(r->field[PROTO], "tcp") != 0 && strcmp(r->field[PROTO], "udp") != 0) {
            ROW_FAIL(r, "is neither tcp nor udp");
        }
        if (r->field[SERVICE][strspn(r->field[SERVICE],
                                     "abcdefghijklmnopqrstuvwxyz0123456789._+-")] != '\0' ||
            r->field[SERVICE][0] == '\0') {
            ROW_FAIL(r, "has an odd service");
        }
        if (r->from < 1970 || r->from > r->until) {
            ROW_FAIL(r, "has odd years");
        }
        for (unsigned k = EN; k <= FOR_JA; k++) {
            if (r->field[k][0] == '\0' || r->field[k][0] == ' ' ||
                r->field[k][strlen(r->field[k]) - 1] == ' ') {
                ROW_FAIL(r, "lacks a text, or has a blank around it");
            }
        }
        if (strlen(r->field[EN]) > 46 || bh_text_width(r->field[JA]) > 40) {
            ROW_FAIL(r, "has a purpose too long for its column");
        }
        if (strcmp(r->field[CERTAINTY], "high") != 0 &&
            strcmp(r->field[CERTAINTY], "medium") != 0 && strcmp(r->field[CERTAINTY], "low") != 0) {
            ROW_FAIL(r, r->field[CERTAINTY]);
        }
        if (r->field[SOURCE][0] == '\0' || strlen(r->field[DATE]) != 10 ||
            r->field[DATE][4] != '-' || r->field[DATE][7] != '-') {
            ROW_FAIL(r, "lacks its source or date");
        }
        each_name(r->field[CVE], check_cve, &rows[i]);
        each_name(r->field[KEV], check_kev, &rows[i]);
        if (r->is_range && (r->first >= r->last || r->field[CVE][0] != '\0' ||
                            strcmp(r->field[CERTAINTY], "low") != 0)) {
            ROW_FAIL(r, "claims too much for a range");
        }
    }
}

/* By port, protocol, year; for one of each there is one row; ranges stand last and hold all ports. */
static void
test_order(void **state)
{
    (void)state;
    for (size_t i = 1; i < row_count; i++) {
        const struct tsv_row *a = &rows[i - 1], *b = &rows[i];
        bool same = a->first == b->first && a->proto == b->proto && a->is_range == b->is_range;
        bool after = a->is_range != b->is_range ? b->is_range
                     : a->first != b->first     ? a->first < b->first
                     : a->proto != b->proto     ? a->proto < b->proto
                                                : a->until < b->from;
        if (!after) {
            ROW_FAIL(b, same ? "overlaps the row before" : "is out of order");
        }
    }
    for (unsigned port = 0; port < 65536; port++) {
        for (unsigned k = 0; k < 2; k++) {
            unsigned hits = 0;
            for (size_t i = 0; i < row_count; i++) {
                hits += rows[i].is_range &&
                        rows[i].proto == (k == 0 ? BH_PROTO_TCP : BH_PROTO_UDP) &&
                        rows[i].first <= port && port <= rows[i].last;
            }
            assert_int_equal(hits, 1);
        }
    }
}

/* The table that was compiled in is this one. */
static void
test_compiled(void **state)
{
    (void)state;
    assert_int_equal(bh_port_rows_count + bh_port_ranges_count, row_count);
    for (size_t i = 0; i < row_count; i++) {
        const struct tsv_row *r = &rows[i];
        const struct bh_port_row *c = &bh_port_rows[i];
        assert_true(c->port == r->first && c->port_last == r->last && c->proto == r->proto);
        assert_true(c->from == r->from && c->until == r->until);
        assert_int_equal(r->is_range, i >= bh_port_rows_count);
        assert_string_equal(c->service, r->field[SERVICE]);
        assert_string_equal(c->purpose[BH_EN], r->field[EN]);
        assert_string_equal(c->purpose[BH_JA], r->field[JA]);
        assert_string_equal(c->concerns[BH_EN], r->field[FOR_EN]);
        assert_string_equal(c->concerns[BH_JA], r->field[FOR_JA]);
        assert_string_equal(c->cve, r->field[CVE]);
        assert_string_equal(c->kev, r->field[KEV]);
        assert_string_equal(c->certainty, r->field[CERTAINTY]);
        assert_string_equal(c->source, r->field[SOURCE]);
        assert_string_equal(c->date, r->field[DATE]);
    }
}

/* ---- the choice --------------------------------------------------------------------------------------- */

/* The row valid in the last year, else the latest that overlaps the years; a port's own rows
 * first. NULL: nothing is known. */
static const struct tsv_row *
choice(unsigned port, unsigned proto, int first, int last)
{
    for (int ranges = 0; ranges < 2; ranges++) {
        const struct tsv_row *best = NULL;
        for (size_t i = 0; i < row_count; i++) {
            const struct tsv_row *r = &rows[i];
            if (r->is_range != (ranges == 1) || r->proto != proto || port < r->first ||
                port > r->last) {
                continue;
            }
            if (r->from <= last && last <= r->until) {
                return r;
            }
            if (r->from <= last && r->until >= first && (best == NULL || r->from > best->from)) {
                best = r;
            }
        }
        if (best != NULL) {
            return best;
        }
    }
    return NULL;
}

struct names {
    char text[512];
    int last;
};

static void
add_until(void *arg, const char *name)
{
    struct names *n = arg;
    if (cve_year(name) <= n->last) {
        size_t len = strlen(n->text);
        snprintf(n->text + len, sizeof n->text - len, "%s%s", len > 0 ? "," : "", name);
    }
}

static void
same_meaning(unsigned port, unsigned proto, int first, int last)
{
    struct bh_meaning m;
    const struct tsv_row *want = choice(port, proto, first, last);
    bool known = bh_port_meaning((uint16_t)port, (uint8_t)proto, first, last, &m);
    if (known != (want != NULL)) {
        fail_msg("%u/%u in %d to %d: %s", port, proto, first, last, known ? "known" : "not known");
    }
    if (want == NULL) {
        return;
    }
    bool no_service = strcmp(want->field[SERVICE], "unassigned") == 0 ||
                      strcmp(want->field[SERVICE], "dynamic") == 0;
    struct names cve = { .last = last }, kev = { .last = last };
    each_name(want->field[CVE], add_until, &cve);
    each_name(want->field[KEV], add_until, &kev);
    if (strcmp(m.purpose[BH_EN], want->field[EN]) != 0 ||
        strcmp(m.service, no_service ? "" : want->field[SERVICE]) != 0 ||
        strcmp(m.cve, cve.text) != 0 || strcmp(m.kev, kev.text) != 0 ||
        strcmp(m.purpose[BH_JA], want->field[JA]) != 0 ||
        strcmp(m.certainty, want->field[CERTAINTY]) != 0 ||
        strcmp(m.source, want->field[SOURCE]) != 0 || strcmp(m.date, want->field[DATE]) != 0) {
        fail_msg("%u/%u in %d to %d: %s (%s), not %s (%s)", port, proto, first, last,
                 m.purpose[BH_EN], m.cve, want->field[EN], cve.text);
    }
}

/* At every border of every row: a year before, on it, after it, and periods over it. */
static void
test_choice(void **state)
{
    (void)state;
    for (size_t i = 0; i < row_count; i++) {
        const struct tsv_row *r = &rows[i];
        const int years[] = { r->from - 1,  r->from, r->from + 1, r->until - 1, r->until,
                              r->until + 1, 2007,    2013,        2026 };
        const unsigned ports[] = { r->first, r->last, r->first == 0 ? 0 : r->first - 1,
                                   r->last == 65535 ? 65535 : r->last + 1 };
        for (size_t p = 0; p < BH_COUNT(ports); p++) {
            for (size_t a = 0; a < BH_COUNT(years); a++) {
                for (size_t b = 0; b < BH_COUNT(years); b++) {
                    if (years[a] <= years[b]) {
                        same_meaning(ports[p], r->proto, years[a], years[b]);
                    }
                }
            }
        }
    }
}

static void
test_any_port(void **state)
{
    (void)state;
    for (unsigned port = 0; port < 65536; port += port < 1100 ? 1 : 131) {
        same_meaning(port, BH_PROTO_TCP, 2007, 2007);
        same_meaning(port, BH_PROTO_UDP, 2025, 2026);
    }
    struct bh_meaning m;
    assert_false(bh_port_meaning(80, BH_PROTO_ICMP, 2007, 2007, &m));
    assert_false(bh_port_meaning(80, 132, 2007, 2007, &m));
    assert_false(bh_port_meaning(80, BH_PROTO_TCP, 1960, 1969, &m)); /* before all of it */
    assert_false(bh_port_meaning(4444, BH_PROTO_UDP, -5, 0, &m));
}

static void
check_until_2007(void *arg, const char *name)
{
    (void)arg;
    assert_true(cve_year(name) <= 2007);
}

/* A report of 2007 speaks of 2007. */
static void
test_2007(void **state)
{
    (void)state;
    unsigned named = 0;
    for (unsigned port = 0; port < 65536; port++) {
        for (unsigned k = 0; k < 2; k++) {
            struct bh_meaning m;
            if (bh_port_meaning((uint16_t)port, k == 0 ? BH_PROTO_TCP : BH_PROTO_UDP, 2000, 2007,
                                &m)) {
                each_name(m.cve, check_until_2007, NULL);
                each_name(m.kev, check_until_2007, NULL);
                assert_null(strstr(m.purpose[BH_EN], "Mirai"));
                named += m.cve[0] != '\0';
            }
        }
    }
    assert_true(named > 20);
}

/* What people know by heart. */
static void
test_known(void **state)
{
    (void)state;
    static const struct {
        unsigned port, proto;
        int year;
        const char *service, *purpose;
    } cases[] = {
        { 25, BH_PROTO_TCP, 2007, "smtp", "mail" },
        { 22, BH_PROTO_TCP, 2007, "ssh", "guessing" },
        { 23, BH_PROTO_TCP, 2017, "telnet", "Mirai" },
        { 445, BH_PROTO_TCP, 2017, "microsoft-ds", "" },
        { 1433, BH_PROTO_TCP, 2007, "ms-sql-s", "guessing" },
        { 1434, BH_PROTO_UDP, 2007, "ms-sql-m", "Slammer" },
        { 1026, BH_PROTO_UDP, 2007, "", "popup" },
        { 2967, BH_PROTO_TCP, 2007, "", "Symantec" },
        { 40000, BH_PROTO_TCP, 2007, "", "" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_meaning m;
        assert_true(bh_port_meaning((uint16_t)cases[i].port, (uint8_t)cases[i].proto, cases[i].year,
                                    cases[i].year, &m));
        if (strstr(m.service, cases[i].service) == NULL ||
            (strstr(m.purpose[BH_EN], cases[i].purpose) == NULL &&
             strstr(m.concerns[BH_EN], cases[i].purpose) == NULL)) {
            fail_msg("%u in %d: %s, %s", cases[i].port, cases[i].year, m.service, m.purpose[BH_EN]);
        }
    }
}

/* ---- the years of a report -------------------------------------------------------------------------------- */

#define NS(seconds) (INT64_C(seconds) * FAKE_NS)

/* The end is not in the period; years are those of the zone. */
static void
test_years(void **state)
{
    (void)state;
    static const struct {
        int64_t start, end;
        int first, last;
    } cases[] = {
        { NS(1167577200), NS(1199113200), 2007, 2007 }, /* 2007-01-01 to 2008-01-01, Tokyo */
        { NS(1167577200), NS(1199113200) + 1, 2007, 2008 },
        { NS(1167577200) - 1, NS(1199113200), 2006, 2007 },
        { NS(1167577200), NS(1167577200), 2007, 2007 }, /* one record */
        { NS(1167577199), NS(1167577199), 2006, 2006 },
        { NS(1167600000), NS(1167500000), 2007, 2007 }, /* turned round: its start */
        { 0, 0, 1970, 1970 },
    };
    fake_memo(&fake_report);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        fake_report.trend.start_ns = cases[i].start;
        fake_report.trend.end_ns = cases[i].end;
        struct bh_years y = bh_report_years(&fake_report.report);
        if (y.first != cases[i].first || y.last != cases[i].last) {
            fail_msg("case %zu: %d to %d", i, y.first, y.last);
        }
    }
    fake_done(&fake_report);
}

/* In JSON: null when nothing is known in the years of the report, else what is. */
static void
test_in_report(void **state)
{
    (void)state;
    static const struct {
        int64_t start, end; /* seconds */
        const char *want;
    } cases[] = {
        { 1175353200, 1185894000, "\"purpose\": \"unsolicited mail, open relays\"" },
        { 1700000000, 1700000100, "\"purpose\": \"unsolicited mail, relays, mail server holes\"" },
        { -300000000, -299999000, "\"meaning\": null" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_buf out = { 0 };
        struct bh_write_options o = { .lang = BH_EN, .columns = 80 };
        fake_memo(&fake_report);
        fake_report.trend.start_ns = cases[i].start * FAKE_NS;
        fake_report.trend.end_ns = cases[i].end * FAKE_NS;
        bh_writer_find("json")->write(&fake_report.report, &o, &out);
        assert_non_null(strstr(out.data, cases[i].want));
        for (const char *s = strstr(out.data, "\"CVE-"); s != NULL; s = strstr(s + 1, "\"CVE-")) {
            assert_true(i != 2 && cve_year(s + 1) <= (i == 0 ? 2007 : 2023));
        }
        bh_buf_done(&out);
        fake_done(&fake_report);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_order),
        cmocka_unit_test(test_compiled),  cmocka_unit_test(test_choice),
        cmocka_unit_test(test_any_port),  cmocka_unit_test(test_2007),
        cmocka_unit_test(test_known),     cmocka_unit_test(test_years),
        cmocka_unit_test(test_in_report),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

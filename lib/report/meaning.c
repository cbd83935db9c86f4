/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What knocking at a port means, in the years of the report: 445/tcp is Sasser in a report of
 * 2005 and WannaCry in one of 2017, and a report of 2007 names no CVE of later years.
 */
#include "bh_report_priv.h"

#include <stdlib.h>

struct wanted {
    uint16_t port;
    uint8_t proto;
};

static int
row_cmp(const void *key, const void *element)
{
    const struct wanted *w = key;
    const struct bh_port_row *row = element;
    if (w->port != row->port) {
        return w->port < row->port ? -1 : 1;
    }
    return w->proto == row->proto ? 0 : w->proto < row->proto ? -1 : 1;
}

/* Of the rows of a port: the one valid in `last`, else the latest that touches the period. */
static const struct bh_port_row *
choose(uint16_t port, uint8_t proto, int first, int last)
{
    struct wanted w = { port, proto };
    const struct bh_port_row *hit =
        bsearch(&w, bh_port_rows, bh_port_rows_count, sizeof *bh_port_rows, row_cmp);
    if (hit == NULL) {
        return NULL;
    }
    while (hit > bh_port_rows && row_cmp(&w, hit - 1) == 0) {
        hit--;
    }
    const struct bh_port_row *end = bh_port_rows + bh_port_rows_count;
    const struct bh_port_row *best = NULL;
    for (; hit < end && row_cmp(&w, hit) == 0; hit++) {
        if (hit->from <= last && hit->until >= first) {
            best = hit; /* sorted by `from`: the last that overlaps reaches furthest */
        }
    }
    return best;
}

static const struct bh_port_row *
choose_range(uint16_t port, uint8_t proto, int first, int last)
{
    const struct bh_port_row *row = bh_port_rows + bh_port_rows_count;
    for (size_t i = 0; i < bh_port_ranges_count; i++, row++) {
        if (row->port <= port && port <= row->port_last && row->proto == proto &&
            row->from <= last && row->until >= first) {
            return row;
        }
    }
    return NULL;
}

/* "CVE-2003-0352": 2003; 0 when it is not one. */
static int
cve_year(const char *cve, size_t len)
{
    int year = 0;
    if (len < 8 || strncmp(cve, "CVE-", 4) != 0) {
        return 0;
    }
    for (size_t i = 4; i < 8; i++) {
        if (cve[i] < '0' || cve[i] > '9') {
            return 0;
        }
        year = year * 10 + (cve[i] - '0');
    }
    return year;
}

static void
copy_until_year(char *out, size_t size, const char *list, int last)
{
    size_t used = 0;
    out[0] = '\0';
    while (list != NULL && *list != '\0') {
        size_t len = strcspn(list, ",");
        int year = cve_year(list, len);
        if (year != 0 && year <= last && used + len + 2 <= size) {
            if (used > 0) {
                out[used++] = ',';
            }
            memcpy(out + used, list, len);
            used += len;
            out[used] = '\0';
        }
        list += len;
        list += *list == ',';
    }
}

bool
bh_port_meaning(uint16_t port, uint8_t proto, int first_year, int last_year,
                struct bh_meaning *ret_meaning)
{
    const struct bh_port_row *row = choose(port, proto, first_year, last_year);
    if (row == NULL) {
        row = choose_range(port, proto, first_year, last_year);
    }
    if (row == NULL) {
        return false;
    }
    *ret_meaning = (struct bh_meaning){
        .service = row->service == NULL ? "" : row->service,
        .purpose = { row->purpose[BH_EN], row->purpose[BH_JA] },
        .concerns = { row->concerns[BH_EN], row->concerns[BH_JA] },
        .certainty = row->certainty,
        .source = row->source,
        .date = row->date,
    };
    /* Not services, but words of the table for "none is known". */
    if (strcmp(ret_meaning->service, "unassigned") == 0 ||
        strcmp(ret_meaning->service, "dynamic") == 0) {
        ret_meaning->service = "";
    }
    copy_until_year(ret_meaning->cve, sizeof ret_meaning->cve, row->cve, last_year);
    copy_until_year(ret_meaning->kev, sizeof ret_meaning->kev, row->kev, last_year);
    return true;
}

struct bh_years
bh_report_years(const struct bh_report *r)
{
    const int64_t ns_per_s = INT64_C(1000000000);
    const struct bh_trend *t = r->trend;
    int64_t last_ns = t->end_ns > t->start_ns ? t->end_ns - 1 : t->start_ns;
    struct bh_years y = { bh_zone_civil(t->start_ns / ns_per_s).year,
                          bh_zone_civil(last_ns / ns_per_s).year };
    return y;
}

bool
bh_report_meaning(const struct bh_report *r, uint16_t port, uint8_t proto,
                  struct bh_meaning *ret_meaning)
{
    struct bh_years y = bh_report_years(r);
    return bh_port_meaning(port, proto, y.first, y.last, ret_meaning);
}

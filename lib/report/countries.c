/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The country data of a run: one database, or with --country-db-dir one for each record's day.
 *
 * A database answers from the first second (UTC) of the day it bears to the day of the next one; the oldest
 * also for all that was before.
 */
#include "run_priv.h"

#include <errno.h>
#include <stdlib.h>

static int
database_error(const char *where, int r, struct bh_error *err)
{
    return bh_error_set(err, r, where, "%s%.0s", "%.0s%s", kobold_strerror(r, BH_EN),
                        kobold_strerror(r, BH_JA));
}

static int
open_one(struct countries *c, const struct bh_report_options *o, struct bh_report *rep,
         struct bh_error *err)
{
    char path[sizeof rep->country_data_path];
    const char *where = o->country_db;
    if (where == NULL) {
        where = kobold_default_path(path, sizeof path);
    }
    int r = kobold_open(where, &c->one);
    if (r != 0) {
        return database_error(where, r, err);
    }
    snprintf(rep->country_data_path, sizeof rep->country_data_path, "%s", where);
    /* Opening proves that no look-up can crash; reading all of it, some milliseconds, that none is
     * wrong. The installed one is looked at by who installs it. */
    const char *named = o->country_db != NULL ? o->country_db : getenv("KOBOLD_DB");
    if (named != NULL && named[0] != '\0' && kobold_verify(c->one) != 0) {
        return database_error(where, KOBOLD_EDAMAGED, err);
    }
    kobold_get_meta(c->one, &rep->country_data);
    return 0;
}

/* ---- a history -------------------------------------------------------------------------------------- */

/* The first second of "2026-06-25", in ns. */
static int64_t
start_of(const char *date)
{
    unsigned y;
    unsigned m;
    unsigned d;
    if (sscanf(date, "%4u-%2u-%2u", &y, &m, &d) != 3 || m < 1 || m > 12 || y < 1700 || y > 2200) {
        return INT64_MIN; /* beyond what int64 nanoseconds can say */
    }
    /* Days since 0000-03-01, when months are counted from March. */
    y -= m <= 2;
    unsigned from_march = m > 2 ? m - 3 : m + 9;
    int64_t days =
        (int64_t)y * 365 + y / 4 - y / 100 + y / 400 + (153 * from_march + 2) / 5 + d - 1;
    return (days - 719468) * 86400 * 1000000000;
}

static int
add_day(void *arg, const char *date, const char *path)
{
    struct countries *c = arg;
    kobold *k;
    if (c->count == c->room) {
        size_t room = c->room == 0 ? 8 : c->room * 2;
        void *days = realloc(c->days, bh_size_mul(room, sizeof *c->days));
        c->days = days != NULL ? days : c->days;
        void *data = days == NULL ? NULL : realloc(c->data, bh_size_mul(room, sizeof *c->data));
        if (data == NULL) {
            return -ENOMEM;
        }
        c->data = data;
        c->room = room;
    }
    int r = kobold_open(path, &k);
    if (r < 0) {
        return r;
    }
    c->days[c->count] = (struct bh_country_day){ .from_ns = start_of(date), .countries = k };
    struct bh_report_data *data = &c->data[c->count++];
    *data = (struct bh_report_data){ .accesses = 0 };
    snprintf(data->path, sizeof data->path, "%s", path);
    kobold_get_meta(k, &data->meta);
    return 0;
}

static int
open_history(struct countries *c, const char *directory, struct bh_error *err)
{
    int r = kobold_asof_list(directory, add_day, c);
    if (r < 0 && (r != -ENOENT || c->count > 0)) {
        return database_error(directory, r, err);
    }
    if (r < 0) {
        return bh_error_errno(err, ENOENT, directory, "cannot open", "開けません");
    }
    if (c->count == 0) {
        return bh_error_set(err, -ENOENT, directory,
                            "no country databases (*.kdb) with a date are there%s",
                            "日付のある国データベース (*.kdb) がありません%s", "");
    }
    return 0;
}

int
countries_open(struct countries *c, const struct bh_report_options *o, struct bh_report *rep,
               struct bh_error *err)
{
    if (o->country_db_dir == NULL) {
        return open_one(c, o, rep, err);
    }
    if (o->country_db != NULL) {
        return bh_error_set(err, BH_EUSAGE, "--country-db-dir",
                            "give either this or --country-db%s",
                            "--country-db とはどちらか一方だけを指定してください%s", "");
    }
    return open_history(c, o->country_db_dir, err);
}

void
countries_done(struct countries *c)
{
    for (size_t i = 0; i < c->count; i++) {
        /* What we opened is ours to close; those who look up may not. */
        kobold_close((kobold *)(uintptr_t)c->days[i].countries);
        bh_filter_free((struct bh_filter *)(uintptr_t)c->days[i].filter);
    }
    bh_filter_free(c->filter);
    kobold_close(c->one);
    free(c->days);
    free(c->data);
}

/* ---- what the run asks -------------------------------------------------------------------------------- */

int
countries_filter(struct countries *c, const struct bh_report_options *o, struct bh_error *err)
{
    if (c->count == 0) {
        return bh_filter_parse(o->filter_words, o->filter_count, c->one, &c->filter, err);
    }
    int r = 0;
    for (size_t i = 0; i < c->count && r == 0; i++) {
        struct bh_filter *f = NULL;
        r = bh_filter_parse(o->filter_words, o->filter_count, c->days[i].countries, &f, err);
        c->days[i].filter = f;
    }
    return r;
}

/* The words; which fields they ask for is the same with every database. */
const struct bh_filter *
countries_words(const struct countries *c)
{
    return c->count == 0 ? c->filter : c->days[0].filter;
}

const kobold *
countries_at(const struct countries *c, int64_t ts_ns)
{
    return c->count == 0 ? c->one : c->days[bh_country_day_at(c->days, c->count, ts_ns)].countries;
}

/* Of a history the newest that has any: which system announces an address is a matter of months. */
const kobold *
countries_systems(const struct countries *c, struct kobold_as_meta *ret)
{
    for (size_t i = c->count; i > 0; i--) {
        if (kobold_as_meta(c->days[i - 1].countries, ret)) {
            return c->days[i - 1].countries;
        }
    }
    return c->count == 0 && kobold_as_meta(c->one, ret) ? c->one : NULL;
}

void
countries_places(struct countries *c, struct bh_places *p, bool by_region,
                 const char home_country[3])
{
    bh_places_init(p, countries_at(c, INT64_MAX), by_region, home_country);
    for (size_t i = 0; i < c->count; i++) {
        bh_places_add(p, &c->days[i], home_country);
    }
}

/* ---- what answered ------------------------------------------------------------------------------------- */

/* Without an access the one of the day the records begin. */
static void
keep_answered(struct countries *c, int64_t first_ns)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < c->count; i++) {
        sum += c->data[i].accesses;
    }
    size_t only = bh_country_day_at(c->days, c->count, first_ns);
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct bh_report_data *d = &c->data[i];
        if (sum == 0 ? i == only : d->accesses > 0) {
            bh_u128 twice = (bh_u128)d->accesses * 2000000;
            d->share_micro = sum == 0 ? 1000000 : (uint32_t)((twice / sum + 1) / 2);
            c->data[kept++] = *d;
        }
    }
    c->data_kept = kept;
}

void
countries_tell(struct countries *c, const struct bh_tally *t, int64_t first_ns,
               struct bh_report *rep)
{
    if (c->count == 0) {
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        c->data[i].accesses = bh_tally_day_accesses(t, i);
    }
    keep_answered(c, first_ns);
    size_t most = 0;
    for (size_t i = 1; i < c->data_kept; i++) {
        most = c->data[i].accesses > c->data[most].accesses ? i : most;
    }
    rep->country_data = c->data[most].meta;
    snprintf(rep->country_data_path, sizeof rep->country_data_path, "%s", c->data[most].path);
    rep->data = c->data;
    rep->data_count = c->data_kept;
    c->data = NULL; /* the report's now */
}

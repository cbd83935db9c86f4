/* SPDX-License-Identifier: BSD-2-Clause */
/* kobold_update.c - the checks that stand between files that were fetched and the database in use. */
#include "kobold_update.h"
#include "kobold_export.h"

#include <time.h>

/* ---- a registry's file ------------------------------------------------------------------------------- */

struct piece {
    const char *at;
    size_t len;
};

static bool
is_text(struct piece p, const char *text)
{
    return p.len == strlen(text) && memcmp(p.at, text, p.len) == 0;
}

/* Field `n` of a line, the first being 0; empty behind the last. */
static struct piece
field(struct piece line, unsigned n)
{
    struct piece rest = line;
    for (;;) {
        const char *bar = memchr(rest.at, '|', rest.len);
        size_t len = bar == NULL ? rest.len : (size_t)(bar - rest.at);
        if (n == 0) {
            return (struct piece){ rest.at, len };
        }
        if (bar == NULL) {
            return (struct piece){ rest.at + rest.len, 0 };
        }
        rest = (struct piece){ bar + 1, rest.len - len - 1 };
        n--;
    }
}

static bool
number_of(struct piece p, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < p.len; i++) {
        if (p.at[i] < '0' || p.at[i] > '9') {
            return false;
        }
        v = v * 10 + (uint64_t)(p.at[i] - '0');
    }
    *ret = v;
    return p.len > 0 && p.len < 19;
}

static int
check_header(const char *name, struct piece line, struct kobold_statistics *s, struct bh_error *err)
{
    static const char *const versions[] = { "2", "2.0", "2.1", "2.2", "2.3" };
    static const char *const registries[] = { "afrinic", "apnic", "arin", "lacnic", "ripencc" };
    struct piece version = field(line, 0);
    struct piece registry = field(line, 1);
    *s = (struct kobold_statistics){ .records = 0 };
    for (size_t i = 0; i < BH_COUNT(versions); i++) {
        if (is_text(version, versions[i])) {
            snprintf(s->version, sizeof s->version, "%s", versions[i]);
        }
    }
    for (size_t i = 0; i < BH_COUNT(registries); i++) {
        if (is_text(registry, registries[i])) {
            snprintf(s->registry, sizeof s->registry, "%s", registries[i]);
        }
    }
    bool is_header = version.len > 0 && version.at[0] >= '0' && version.at[0] <= '9' &&
                     number_of(field(line, 3), &s->records);
    if (!is_header || s->registry[0] == '\0') {
        return bh_error_set(
            err, BH_EFORMAT, name,
            "not a registry's statistics: no header like 2.3|apnic|20260625|...%s",
            "レジストリの統計ではありません: 2.3|apnic|20260625|... のようなヘッダーが"
            "ありません%s",
            "");
    }
    if (s->version[0] == '\0') {
        return bh_error_set(
            err, BH_EVERSION, name,
            "format version %.*s, and we read 2 to 2.3; a newer kobold may read it",
            "形式の版が %.*s です。読めるのは 2 から 2.3 までです。新しい kobold なら"
            "読めるかもしれません",
            (int)(version.len < 12 ? version.len : 12), version.at);
    }
    return 0;
}

static int
cut_file(const char *name, uint64_t got, uint64_t said, struct bh_error *err)
{
    return bh_error_set(err, BH_EDAMAGED, name,
                        "the file is cut: %llu records, and its header says %llu",
                        "ファイルが途中で切れています: レコード %llu 件、ヘッダーでは %llu 件",
                        (unsigned long long)got, (unsigned long long)said);
}

int
kobold_statistics_check(const char *name, const char *text, size_t size,
                        struct kobold_statistics *ret, struct bh_error *err)
{
    struct kobold_statistics s = { .records = 0 };
    uint64_t records = 0;
    bool has_header = false;
    size_t at = 0;
    while (at < size) {
        const char *end = memchr(text + at, '\n', size - at);
        struct piece line = { text + at, end == NULL ? size - at : (size_t)(end - text) - at };
        at += line.len + 1;
        if (line.len > 0 && line.at[line.len - 1] == '\r') {
            line.len--;
        }
        if (line.len == 0 || line.at[0] == '#') {
            continue;
        }
        if (!has_header) {
            int r = check_header(name, line, &s, err);
            if (r < 0) {
                return r;
            }
            has_header = true;
            continue;
        }
        records += !is_text(field(line, 5), "summary");
    }
    if (!has_header) {
        return bh_error_set(err, BH_EFORMAT, name, "empty; fetch it again%s",
                            "空です。取り直してください%s", "");
    }
    /* All copies at hand have exactly as many; ARIN's was not among them, so one in a hundred may miss. */
    if (text[size - 1] != '\n' || records < s.records - s.records / 100) {
        return cut_file(name, records, s.records, err);
    }
    *ret = s;
    return 0;
}

/* ---- a new database --------------------------------------------------------------------------------- */

struct sum {
    uint64_t v4;
    bh_u128 v6;
};

static int
add_stretch(void *arg, int family, const struct kobold_stretch *s)
{
    struct sum *sum = arg;
    if (family == 4) {
        sum->v4 += s->last_lo - s->first_lo + 1;
    } else {
        bh_u128 first = (bh_u128)s->first_hi << 64 | s->first_lo;
        sum->v6 += ((bh_u128)s->last_hi << 64 | s->last_lo) - first + 1;
    }
    return 0;
}

void
kobold_coverage_of(const kobold *k, struct kobold_coverage *ret)
{
    struct kobold_group listed;
    struct sum sum = { 0, 0 };
    kobold_group_listed(k, &listed);
    kobold_each_stretch(k, 4, &listed, add_stretch, &sum);
    kobold_each_stretch(k, 6, &listed, add_stretch, &sum);
    *ret = (struct kobold_coverage){ sum.v4, (uint64_t)(sum.v6 >> 80) };
}

static bool
is_much_less(uint64_t fresh, uint64_t old)
{
    return fresh < old - old / 10;
}

int
kobold_update_check(const kobold *old, const kobold *fresh, const char *today, struct bh_error *err)
{
    struct kobold_meta m;
    struct kobold_coverage now;
    kobold_get_meta(fresh, &m);
    kobold_coverage_of(fresh, &now);
    if (strcmp(m.date, today) > 0) {
        return bh_error_set(err, BH_EDAMAGED, "", "the new data bear the date %s, and today is %s",
                            "新しいデータの日付が %s で、今日 (%s) より後です", m.date, today);
    }
    if (old == NULL) {
        return 0;
    }
    struct kobold_meta old_m;
    struct kobold_coverage before;
    kobold_get_meta(old, &old_m);
    kobold_coverage_of(old, &before);
    if (strcmp(m.date, old_m.date) < 0) {
        return bh_error_set(
            err, BH_EDAMAGED, "", "the new data, of %s, are older than those in use, of %s",
            "新しいデータ (%s) が使用中のもの (%s) より古いです", m.date, old_m.date);
    }
    if (is_much_less(now.v4_addresses, before.v4_addresses)) {
        return bh_error_set(
            err, BH_EDAMAGED, "",
            "the new data list %llu IPv4 addresses, less than 90 %% of the %llu in use; a file may be missing",
            "新しいデータの IPv4 アドレスは %llu で、使用中の %llu の 90 %% に足りません。"
            "ファイルが欠けているかもしれません",
            (unsigned long long)now.v4_addresses, (unsigned long long)before.v4_addresses);
    }
    if (is_much_less(now.v6_48s, before.v6_48s)) {
        return bh_error_set(
            err, BH_EDAMAGED, "",
            "the new data list %llu /48 of IPv6, less than 90 %% of the %llu in use; a file may be missing",
            "新しいデータの IPv6 の /48 は %llu で、使用中の %llu の 90 %% に足りません。"
            "ファイルが欠けているかもしれません",
            (unsigned long long)now.v6_48s, (unsigned long long)before.v6_48s);
    }
    return 0;
}

/* ---- age ------------------------------------------------------------------------------------------------- */

#define OLD_DAYS 90

void
kobold_day_of(int64_t seconds, char ret[16])
{
    struct tm tm;
    time_t t = (time_t)seconds;
    if (gmtime_r(&t, &tm) == NULL || strftime(ret, 16, "%Y-%m-%d", &tm) == 0) {
        snprintf(ret, 16, "1970-01-01");
    }
}

/* Days since 0000-03-01 in the calendar of today, for differences; negative when it is no day. */
static int64_t
day_number(const char *day)
{
    unsigned y;
    unsigned m;
    unsigned d;
    if (sscanf(day, "%4u-%2u-%2u", &y, &m, &d) != 3 || m < 1 || m > 12 || d < 1 || d > 31) {
        return -1;
    }
    y -= m <= 2;
    unsigned from_march = m > 2 ? m - 3 : m + 9;
    return (int64_t)y * 365 + y / 4 - y / 100 + y / 400 + (153 * from_march + 2) / 5 + d;
}

bool
kobold_is_old(const struct kobold_meta *m, const char *path, int64_t now_seconds,
              struct bh_error *ret)
{
    char today[16];
    kobold_day_of(now_seconds, today);
    int64_t then = day_number(m->date);
    int64_t age = day_number(today) - then;
    if (then < 0 || age <= OLD_DAYS) {
        return false;
    }
    bool is_named = path != NULL;
    bh_error_set(
        ret, BH_EUNKNOWN, "",
        "the country data are of %s, %d days old; to renew them: kobold update --fetch%s%s",
        "国データは %s のもので、%d 日前です。更新するには: kobold update --fetch%s%s", m->date,
        (int)age, is_named ? " -o " : "", is_named ? path : "");
    return true;
}

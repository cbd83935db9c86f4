/* SPDX-License-Identifier: BSD-2-Clause */
/* Words for keys, and the calendar. */
#include "count_priv.h"

#include <stdlib.h>

#include "bh_option.h"

void
calendar_set(struct calendar *c, int64_t quarter)
{
    const int64_t utc_s = quarter * 900;
    const struct bh_civil civil = bh_zone_civil(utc_s);
    c->quarter = quarter;
    c->hour_s = utc_s - civil.minute * 60 - civil.second;
    c->day = bh_zone_day(utc_s);
    c->month = civil.year * 12 + civil.month - 1;
    c->weekday = civil.weekday;
}

static const struct word {
    const char *word, *column;
    enum bh_cut cut;
} words[] = {
    { "port", "dst_port", BH_CUT_NONE },   { "source", "src", BH_CUT_NONE },
    { "destination", "dst", BH_CUT_NONE }, { "flags", "tcp_flags", BH_CUT_NONE },
    { "hour", "time", BH_CUT_HOUR },       { "day", "time", BH_CUT_DAY },
    { "month", "time", BH_CUT_MONTH },     { "weekday", "time", BH_CUT_WEEKDAY },
};

/* Keys whose values sums of records may have. */
static const struct {
    const char *column;
    uint32_t part;
    /* clang-format off: a table */
} parts_of_columns[] = {
    { "country", BH_PART_COUNTRY },
    { "country_name", BH_PART_COUNTRY },
    { "region", BH_PART_COUNTRY },
    { "region_name", BH_PART_COUNTRY },
    { "proto", BH_PART_PROTO },
    { "dst_port", BH_PART_PORT | BH_PART_PROTO },
    { "class", BH_PART_CLASS },
    { "access", BH_PART_CLASS },
    { "direction", BH_PART_CLASS },
    { "kind", BH_PART_FAMILY },
    { "ip_version", BH_PART_FAMILY },
    { "outcome", BH_PART_OUTCOME | BH_PART_PROTO },
    { "sensor", BH_PART_SENSOR },
    { "src", BH_PART_ADDRESS | BH_PART_FAMILY },
    { "asn", BH_PART_ADDRESS | BH_PART_FAMILY },
    { "as_name", BH_PART_ADDRESS | BH_PART_FAMILY },
};
/* clang-format on */

static uint32_t
parts_of_key(const struct bh_count_key *key)
{
    static const uint32_t cuts[] = { [BH_CUT_HOUR] = BH_PART_HOUR,
                                     [BH_CUT_DAY] = BH_PART_DAY,
                                     [BH_CUT_WEEKDAY] = BH_PART_DAY,
                                     [BH_CUT_MONTH] = BH_PART_MONTH };
    if (key->column.type == BH_TYPE_TIME) {
        return key->cut < BH_COUNT(cuts) && cuts[key->cut] != 0 ? cuts[key->cut]
                                                                : (uint32_t)BH_PART_MORE;
    }
    for (size_t k = 0; k < BH_COUNT(parts_of_columns); k++) {
        if (strcmp(key->column.name, parts_of_columns[k].column) == 0) {
            return parts_of_columns[k].part;
        }
    }
    return BH_PART_MORE;
}

void
bh_count_question(const struct bh_count_config *cfg, struct bh_question *ret)
{
    static const enum bh_asked asked[] = { [BH_COUNTED_ACCESSES] = BH_ASKED_ACCESSES,
                                           [BH_COUNTED_SOURCES] = BH_ASKED_SOURCES,
                                           [BH_COUNTED_PACKETS] = BH_ASKED_PACKETS,
                                           [BH_COUNTED_RECORDS] = BH_ASKED_RECORDS };
    *ret = (struct bh_question){ .what = cfg->what < BH_COUNT(asked) ? asked[cfg->what]
                                                                     : BH_ASKED_EACH };
    for (size_t k = 0; k < cfg->key_count; k++) {
        ret->parts |= parts_of_key(&cfg->keys[k]);
    }
}

static int
no_such(const char *option, const char *word, struct bh_error *err)
{
    const char *names[160];
    size_t n = 0;
    char where[96];
    for (size_t i = 0; i < BH_COUNT(words); i++) {
        names[n++] = words[i].word;
    }
    for (size_t i = 0; i < bh_column_count() && n < BH_COUNT(names); i++) {
        names[n++] = bh_column_at(i).name;
    }
    snprintf(where, sizeof where, "%s %s", option, word);
    const char *near = bh_nearest(word, names, n);
    return bh_error_set(err, BH_EUSAGE, where,
                        near != NULL ? "no such key; did you mean %s?"
                                     : "no such key; see beholder count --help%.0s",
                        near != NULL
                            ? "そのキーはありません。%s のことですか?"
                            : "そのキーはありません。beholder count --help をご覧ください%.0s",
                        near != NULL ? near : "");
}

/* "/24" behind an address. */
static int
parse_bits(const char *option, const char *word, const char *bits, struct bh_count_key *key,
           struct bh_error *err)
{
    char where[96], *end = NULL;
    snprintf(where, sizeof where, "%s %s", option, word);
    if (key->column.type != BH_TYPE_ADDRESS) {
        return bh_error_set(err, BH_EUSAGE, where, "only addresses have networks: source/24%s",
                            "ネットワークにまとめられるのはアドレスだけです: source/24%s", "");
    }
    const unsigned long n = strtoul(bits, &end, 10);
    if (bits[0] < '0' || bits[0] > '9' || *end != '\0' || n < 1 || n > 128) {
        return bh_error_set(err, BH_EUSAGE, where, "a network is 1 to 128 bits long%s",
                            "ネットワークの長さは 1 から 128 ビットです%s", "");
    }
    key->cut = BH_CUT_PREFIX;
    key->bits = (unsigned)n;
    return 0;
}

static int
parse_key(const char *option, const char *word, struct bh_count_key *ret, struct bh_error *err)
{
    const size_t stem = strcspn(word, "/");
    *ret = (struct bh_count_key){ .cut = BH_CUT_NONE };
    snprintf(ret->name, sizeof ret->name, "%s", word);
    for (size_t i = 0; i < BH_COUNT(words); i++) {
        if (strlen(words[i].word) == stem && memcmp(words[i].word, word, stem) == 0) {
            ret->cut = words[i].cut;
            if (!bh_column_find(words[i].column, strlen(words[i].column), &ret->column)) {
                return no_such(option, word, err);
            }
            return word[stem] == '\0' ? 0 : parse_bits(option, word, word + stem + 1, ret, err);
        }
    }
    if (!bh_column_find(word, stem, &ret->column)) {
        return no_such(option, word, err);
    }
    return word[stem] == '\0' ? 0 : parse_bits(option, word, word + stem + 1, ret, err);
}

static int
add_key(const char *option, const char *word, struct bh_count_key ret[BH_COUNT_KEYS], size_t *count,
        struct bh_error *err)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(ret[i].name, word) == 0) {
            return 0; /* said twice, or a port that brings its protocol */
        }
    }
    if (*count == BH_COUNT_KEYS) {
        return bh_error_set(err, BH_ELIMIT, option, "takes no more than %u keys",
                            "のキーは %u 個までです", BH_COUNT_KEYS);
    }
    int r = parse_key(option, word, &ret[*count], err);
    *count += r == 0;
    return r;
}

int
bh_count_keys(const char *option, const char *text, struct bh_count_key ret[BH_COUNT_KEYS],
              size_t *ret_count, struct bh_error *err)
{
    size_t n = 0;
    int r = 0;
    for (const char *at = text; r == 0; at++) {
        char word[32];
        const size_t len = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)(len < 31 ? len : 31), at);
        r = add_key(option, word, ret, &n, err);
        if (r == 0 && strcmp(word, "port") == 0) {
            r = add_key(option, "proto", ret, &n, err); /* 53/udp is another than 53/tcp */
        }
        at += len;
        if (*at == '\0') {
            break;
        }
    }
    *ret_count = n;
    return r;
}

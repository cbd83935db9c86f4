/* SPDX-License-Identifier: BSD-2-Clause */
/* What remote addresses belong to, and what is offered to whom. */
#include "bh_analysis.h"

#include <stdlib.h>

static uint16_t
place_find(struct bh_places *p, const struct bh_place *x)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct bh_place *y = &p->place[i];
        if (strcmp(y->code, x->code) == 0 && strcmp(y->class_name, x->class_name) == 0 &&
            strcmp(y->rfc, x->rfc) == 0) {
            return (uint16_t)i;
        }
    }
    if (p->count == BH_PLACES_MAX) {
        return BH_PLACE_UNKNOWN;
    }
    p->place[p->count] = *x;
    return (uint16_t)p->count++;
}

static struct bh_place
place_of_value(const struct kobold_value *v, bool by_region, const char home_country[3])
{
    struct bh_place x = { .kind = v->kind };
    if (v->kind == KOBOLD_COUNTRY || v->kind == KOBOLD_REGION) {
        snprintf(x.code, sizeof x.code, "%s", v->code);
        const char *region =
            by_region && strcmp(v->code, home_country) != 0 ? kobold_country_region(v->code) : NULL;
        if (region != NULL) {
            snprintf(x.code, sizeof x.code, "%s", region);
        }
    } else if (v->kind == KOBOLD_SPECIAL) {
        snprintf(x.class_name, sizeof x.class_name, "%s", v->class_name);
        snprintf(x.rfc, sizeof x.rfc, "%s", v->rfc);
    } else {
        snprintf(x.class_name, sizeof x.class_name, "%s",
                 v->kind == KOBOLD_UNALLOCATED ? "unallocated" : "unknown");
    }
    return x;
}

/* Countries first: their counters then lie together. */
static void
add_values(struct bh_places *p, const kobold *countries, const char home_country[3],
           uint16_t *of_value, char (*code_of_value)[4])
{
    unsigned n = kobold_value_count(countries);
    for (int countries_only = 1; countries_only >= 0; countries_only--) {
        for (unsigned value = 0; value < n && value < BH_COUNT(p->of_value); value++) {
            struct kobold_value v;
            if (!kobold_value_info(countries, (uint16_t)value, &v)) {
                continue;
            }
            bool is_country = v.kind == KOBOLD_COUNTRY || v.kind == KOBOLD_REGION;
            if (is_country == (countries_only == 1)) {
                struct bh_place x = place_of_value(&v, p->by_region, home_country);
                of_value[value] = place_find(p, &x);
                if (is_country) {
                    memcpy(code_of_value[value], v.code, sizeof code_of_value[value]);
                }
            }
        }
    }
}

void
bh_places_init(struct bh_places *p, const kobold *countries, bool by_region,
               const char home_country[3])
{
    memset(p, 0, sizeof *p);
    p->by_region = by_region;
    struct bh_place unknown = { .kind = KOBOLD_UNKNOWN, .class_name = "unknown" };
    place_find(p, &unknown);
    add_values(p, countries, home_country, p->of_value, p->code_of_value);
}

void
bh_places_add(struct bh_places *p, struct bh_country_day *day, const char home_country[3])
{
    add_values(p, day->countries, home_country, day->of_value, day->code_of_value);
}

size_t
bh_country_day_at(const struct bh_country_day *days, size_t count, int64_t ts_ns)
{
    size_t first = 0;
    while (count > 1) {
        size_t half = count / 2;
        first += days[first + half].from_ns <= ts_ns ? half : 0;
        count -= half;
    }
    return first;
}

/* ---- --served ---------------------------------------------------------------------------------- */

static int
served_word(struct bh_served *s, const char *w, size_t n, const char *where, struct bh_error *err)
{
    if (n == 4 && strncmp(w, "home", 4) == 0) {
        s->to_home_country = true;
        return 0;
    }
    const char *slash = memchr(w, '/', n);
    struct bh_ip ip;
    if (bh_ip_parse(w, slash == NULL ? n : (size_t)(slash - w), &ip)) {
        unsigned max = ip.family == 6 ? 128 : 32, len = max;
        if (slash != NULL) {
            char *end = NULL;
            unsigned long v = strtoul(slash + 1, &end, 10);
            if (slash[1] < '0' || slash[1] > '9' || end != w + n || v > max) {
                return bh_error_set(err, BH_EUSAGE, where,
                                    "the prefix length is a number from 0 to %u",
                                    "プレフィックス長は 0 から %u までの数です", max);
            }
            len = (unsigned)v;
        }
        if (s->net_count == BH_COUNT(s->nets)) {
            return bh_error_set(err, BH_ELIMIT, where, "at most %zu networks for one port",
                                "1 つのポートに指定できるネットワークは %zu 個までです",
                                BH_COUNT(s->nets));
        }
        s->nets[s->net_count].ip = ip;
        s->nets[s->net_count++].prefix_len = len;
        return 0;
    }
    if (n == 0) {
        return bh_error_set(err, BH_EUSAGE, where,
                            "after '@' stand country codes, networks or the word home, joined by +",
                            "'@' の後には国コード、ネットワーク、home を + でつないで書きます");
    }
    if (s->code_count == BH_COUNT(s->codes)) {
        return bh_error_set(err, BH_ELIMIT, where, "at most %zu countries", "国は %zu か国までです",
                            BH_COUNT(s->codes));
    }
    char code[3];
    int r = bh_filter_country(where, w, n, code, err);
    if (r == 0) {
        memcpy(s->codes[s->code_count++], code, 3);
    }
    return r;
}

static int
served_one(struct bh_served *s, const char *w, size_t n, struct bh_error *err)
{
    char where[100];
    snprintf(where, sizeof where, "--served %.*s", (int)(n < 80 ? n : 80), w);
    const char *at = memchr(w, '@', n);
    size_t head = at == NULL ? n : (size_t)(at - w);
    char *end = NULL;
    char text[16];
    snprintf(text, sizeof text, "%.*s", (int)(head < 15 ? head : 15), w);
    unsigned long port = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || port > 65535 || (*end != '\0' && *end != '/')) {
        return bh_error_set(
            err, BH_EUSAGE, where, "write it as 443/tcp or 25/tcp@home; ports go from 0 to 65535",
            "443/tcp や 25/tcp@home のように書きます。ポートは 0 から 65535 までです");
    }
    *s = (struct bh_served){ .port = (uint16_t)port, .proto = BH_PROTO_TCP };
    if (*end == '/') {
        int proto = bh_proto_number(end + 1, strlen(end + 1));
        if (proto != BH_PROTO_TCP && proto != BH_PROTO_UDP) {
            return bh_error_set(err, BH_EUSAGE, where, "the protocol is tcp or udp",
                                "プロトコルは tcp か udp です");
        }
        s->proto = (uint8_t)proto;
    }
    if (at == NULL) {
        s->to_all = true;
        return 0;
    }
    const char *p = at + 1, *stop = w + n;
    snprintf(s->offered_to, sizeof s->offered_to, "%.*s", (int)(stop - p), p);
    for (;;) {
        const char *plus = memchr(p, '+', (size_t)(stop - p));
        const char *word_end = plus == NULL ? stop : plus;
        int r = served_word(s, p, (size_t)(word_end - p), where, err);
        if (r != 0 || plus == NULL) {
            return r;
        }
        p = plus + 1;
    }
}

int
bh_served_parse(const char *text, struct bh_served *ret_served, size_t max, size_t *ret_count,
                struct bh_error *err)
{
    size_t count = 0;
    for (const char *s = text;;) {
        size_t n = strcspn(s, ",");
        if (count == max) {
            return bh_error_set(err, BH_ELIMIT, "--served", "at most %zu ports",
                                "ポートは %zu 個までです", max);
        }
        int r = served_one(&ret_served[count], s, n, err);
        if (r != 0) {
            return r;
        }
        count++;
        if (s[n] == '\0') {
            break;
        }
        s += n + 1;
    }
    *ret_count = count;
    return 0;
}

bool
bh_served_offers(const struct bh_served *s, const char *code, const char *home_country,
                 const struct bh_ip *ip)
{
    bool hit = s->to_all || (s->to_home_country && strcmp(code, home_country) == 0);
    for (size_t c = 0; c < s->code_count && !hit; c++) {
        hit = strcmp(code, s->codes[c]) == 0;
    }
    for (size_t c = 0; c < s->net_count && !hit; c++) {
        const unsigned len = s->nets[c].prefix_len, whole = len / 8;
        const uint8_t *net = s->nets[c].ip.octets;
        hit = s->nets[c].ip.family == ip->family && memcmp(net, ip->octets, whole) == 0 &&
              (len % 8 == 0 || ((net[whole] ^ ip->octets[whole]) >> (8 - len % 8)) == 0);
    }
    return hit;
}

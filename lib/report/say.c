/* SPDX-License-Identifier: BSD-2-Clause */
#include "words_priv.h"

static const char *const table[BH_WORDS][BH_LANGS] = {
#define BH_WORD(id, en, ja) { en, ja },
#include "words_table_priv.h"
#undef BH_WORD
};

const char *
bh_word(enum bh_word_id id, enum bh_lang lang)
{
    return table[id][lang];
}

/* "{0}" or "{0?one|many}" at `at`, up to its "}" at `end`. */
static void
say_slot(struct bh_buf *out, const char *at, const char *end, const char *const *args, size_t count)
{
    size_t index = (size_t)(at[1] - '0');
    const char *arg = index < count ? args[index] : "";
    if (at[2] != '?') {
        bh_buf_puts(out, arg);
        return;
    }
    const char *one = at + 3;
    const char *bar = memchr(one, '|', (size_t)(end - one));
    if (bar == NULL) {
        return;
    }
    if (strcmp(arg, "1") == 0) {
        bh_buf_add(out, one, (size_t)(bar - one));
    } else {
        bh_buf_add(out, bar + 1, (size_t)(end - bar - 1));
    }
}

void
bh_say_args(struct bh_buf *out, const char *template, const char *const *args, size_t count)
{
    for (const char *at = template; *at != '\0';) {
        const char *end = at[0] == '{' && at[1] >= '0' && at[1] <= '9' ? strchr(at, '}') : NULL;
        if (end != NULL) {
            say_slot(out, at, end, args, count);
            at = end + 1;
        } else {
            bh_buf_putc(out, *at++);
        }
    }
}

void
bh_say_rows(struct bh_buf *out, const struct bh_trend *t, const char *template,
            const char *const *args, size_t count)
{
    struct bh_buf chosen = { 0 };
    for (const char *at = template; *at != '\0';) {
        const char *bar = *at == '[' ? strchr(at, '|') : NULL;
        const char *end = bar == NULL ? NULL : strchr(bar, ']');
        if (end == NULL) {
            bh_buf_putc(&chosen, *at++);
            continue;
        }
        const char *from = t->by_region ? bar + 1 : at + 1;
        bh_buf_add(&chosen, from, (size_t)((t->by_region ? end : bar) - from));
        at = end + 1;
    }
    out->failed |= chosen.failed;
    bh_say_args(out, chosen.data == NULL ? "" : chosen.data, args, count);
    bh_buf_done(&chosen);
}

/* ---- numbers ------------------------------------------------------------------------------- */

struct bh_short
bh_num(uint64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    struct bh_short t = { "" };
    size_t at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            t.s[at++] = ',';
        }
        t.s[at++] = digits[i];
    }
    return t;
}

uint64_t
bh_micro_share(uint64_t part, uint64_t whole)
{
    if (whole == 0) {
        return 0;
    }
    return (uint64_t)(((bh_u128)part * 2000000U + whole) / ((bh_u128)whole * 2U));
}

/* n * scale / whole, half up, with one decimal. */
static struct bh_short
one_decimal(uint64_t part, uint64_t whole, unsigned scale, const char *unit)
{
    uint64_t tenths = 0;
    if (whole != 0) {
        tenths = (uint64_t)(((bh_u128)part * 20U * scale + whole) / ((bh_u128)whole * 2U));
    }
    struct bh_short t = bh_num(tenths / 10);
    size_t len = strlen(t.s);
    snprintf(t.s + len, sizeof t.s - len, ".%u%s", (unsigned)(tenths % 10), unit);
    return t;
}

struct bh_short
bh_percent(uint64_t part, uint64_t whole)
{
    return one_decimal(part, whole, 100, "%");
}

struct bh_short
bh_times(uint64_t part, uint64_t whole)
{
    return one_decimal(part, whole, 1, "");
}

/* ---- ports, addresses, places -------------------------------------------------------------- */

struct bh_short
bh_port_text(uint16_t port, uint8_t proto)
{
    char name[8];
    struct bh_short t;
    snprintf(t.s, sizeof t.s, "%u/%s", (unsigned)port, bh_proto_name(proto, name));
    return t;
}

struct bh_short
bh_port_words(const struct bh_report *r, uint16_t port, uint8_t proto)
{
    struct bh_meaning m;
    struct bh_short t = bh_port_text(port, proto);
    if (bh_report_meaning(r, port, proto, &m) && m.service[0] != '\0') {
        size_t len = strlen(t.s);
        snprintf(t.s + len, sizeof t.s - len, " (%s)", m.service);
    }
    return t;
}

struct bh_short
bh_ip_words(const struct bh_ip *ip)
{
    struct bh_short t;
    char text[BH_IP_TEXT_MAX];
    bh_ip_format(ip, text);
    snprintf(t.s, sizeof t.s, "%s", text);
    return t;
}

struct bh_short
bh_mac_words(uint64_t mac)
{
    struct bh_short t;
    snprintf(t.s, sizeof t.s, "%02x:%02x:%02x:%02x:%02x:%02x", (unsigned)(mac >> 40 & 0xff),
             (unsigned)(mac >> 32 & 0xff), (unsigned)(mac >> 24 & 0xff),
             (unsigned)(mac >> 16 & 0xff), (unsigned)(mac >> 8 & 0xff), (unsigned)(mac & 0xff));
    return t;
}

static struct bh_short
short_text(const char *s)
{
    struct bh_short t;
    size_t len = strlen(s);
    if (len > sizeof t.s - 1) {
        len = sizeof t.s - 1;
        while (len > 0 && ((uint8_t)s[len] & 0xc0) == 0x80) {
            len--; /* not in the middle of a character */
        }
    }
    memcpy(t.s, s, len);
    t.s[len] = '\0';
    return t;
}

struct bh_short
bh_code_words(const char *code, enum bh_lang lang)
{
    const char *name = NULL;
    if (code[0] >= '0' && code[0] <= '9') {
        name = kobold_region_name(code, (int)lang);
    } else if (code[0] != '\0') {
        name = kobold_country_name(code, (int)lang);
    }
    return short_text(name == NULL ? code : name);
}

struct bh_short
bh_place_words(const struct bh_place *p, enum bh_lang lang)
{
    switch (p->kind) {
    case KOBOLD_UNALLOCATED:
        return short_text(bh_word(BH_W_UNALLOCATED, lang));
    case KOBOLD_UNKNOWN:
        return short_text(bh_word(BH_W_UNKNOWN_COUNTRY, lang));
    case KOBOLD_SPECIAL: {
        const char *name = kobold_class_name(p->class_name, (int)lang);
        return short_text(name == NULL ? p->class_name : name);
    }
    default:
        return bh_code_words(p->code, lang);
    }
}

/* English puts an article before some names. */
static bool
wants_article(const char *name)
{
    static const char *const begins[] = { "United ", "Isle " };
    static const char *const ends[] = { "Islands", "Republic",    "Union",
                                        "region",  "Territories", "Territory" };
    static const char *const whole[] = { "Bahamas",     "Comoros",     "Gambia",    "Maldives",
                                         "Netherlands", "Philippines", "Seychelles" };
    size_t len = strlen(name);
    for (size_t i = 0; i < BH_COUNT(begins); i++) {
        if (strncmp(name, begins[i], strlen(begins[i])) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < BH_COUNT(ends); i++) {
        size_t n = strlen(ends[i]);
        if (len > n && strcmp(name + len - n, ends[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < BH_COUNT(whole); i++) {
        if (strcmp(name, whole[i]) == 0) {
            return true;
        }
    }
    return false;
}

struct bh_short
bh_place_in_text(const struct bh_place *p, enum bh_lang lang)
{
    struct bh_short name = bh_place_words(p, lang);
    if (lang != BH_EN || !wants_article(name.s)) {
        return name;
    }
    struct bh_short t = short_text("the ");
    snprintf(t.s + 4, sizeof t.s - 4, "%.*s", (int)sizeof t.s - 5, name.s);
    return t;
}

#define SENSORS_NAMED 4U

/* "3 sensors (kyoto, osaka, tokyo1)" */
static void
sensor_words(const struct bh_report *r, enum bh_lang lang, struct bh_buf *out)
{
    const struct bh_trend *t = r->trend;
    bh_say(out, lang, OPEN_SENSORS, bh_num(t->sensor_count).s);
    for (size_t i = 0; t->sensor_count <= SENSORS_NAMED && i < t->sensor_count; i++) {
        bh_buf_puts(out, i == 0 ? " (" : bh_word(BH_W_JOIN, lang));
        bh_buf_puts(out, r->sensors[t->sensors[i].number].name);
    }
    bh_buf_puts(out, t->sensor_count <= SENSORS_NAMED ? ")" : "");
}

void
bh_home_words(const struct bh_report *r, enum bh_lang lang, struct bh_buf *out)
{
    const struct bh_home *h = &r->home;
    if (r->trend != NULL && r->trend->sensor_count > 1) {
        sensor_words(r, lang, out);
        return;
    }
    if (h->networks.len == 0) { /* a log without destination addresses */
        bh_buf_puts(out, bh_word(BH_W_HOME_OF_LOG, lang));
        return;
    }
    if (h->v4_count == 1 && h->v6_count == 0 && h->v4[0].first == h->v4[0].last) {
        struct bh_ip ip = bh_ip_from_v4(h->v4[0].first);
        bh_buf_puts(out, bh_ip_words(&ip).s);
        return;
    }
    for (size_t i = 0; i < h->networks.len; i++) {
        bh_buf_putc(out, h->networks.data[i]);
        if (h->networks.data[i] == ',') {
            bh_buf_putc(out, ' ');
        }
    }
}

/* ---- time ---------------------------------------------------------------------------------- */

#define NS_PER_S INT64_C(1000000000)

struct bh_short
bh_time_words(int64_t ts_ns)
{
    char text[40];
    return short_text(bh_zone_format_short(ts_ns, text));
}

struct bh_short
bh_date_words(int64_t ts_ns)
{
    struct bh_short t = bh_time_words(ts_ns);
    char *blank = strchr(t.s, ' ');
    if (blank != NULL) {
        *blank = '\0';
    }
    return t;
}

static int64_t
floor_seconds(int64_t ts_ns)
{
    return ts_ns / NS_PER_S - (ts_ns % NS_PER_S < 0 ? 1 : 0);
}

static bool
is_midnight(int64_t ts_ns)
{
    if (ts_ns % NS_PER_S != 0) {
        return false;
    }
    int64_t s = floor_seconds(ts_ns);
    return bh_zone_day_start(bh_zone_day(s)) == s;
}

bool
bh_period_is_days(const struct bh_trend *t)
{
    return t->end_ns > t->start_ns && is_midnight(t->start_ns) && is_midnight(t->end_ns);
}

struct bh_short
bh_duration_words(int64_t ns, enum bh_lang lang)
{
    static const struct {
        int64_t seconds;
        enum bh_word_id id;
    } units[] = {
        { 86400, BH_W_DAYS }, { 3600, BH_W_HOURS }, { 60, BH_W_MINUTES }, { 1, BH_W_SECONDS }
    };
    int64_t s = ns / NS_PER_S;
    size_t u = 0;
    /* Two of a unit at least, but for the smallest: "36 hours" tells more than "1 day". */
    while (u + 1 < BH_COUNT(units) && s < 2 * units[u].seconds) {
        u++;
    }
    int64_t n = (s + units[u].seconds / 2) / units[u].seconds;
    struct bh_buf b = { 0 };
    bh_say_args(&b, bh_word(units[u].id, lang), (const char *const[]){ bh_num((uint64_t)n).s }, 1);
    struct bh_short t = short_text(b.data == NULL ? "" : b.data);
    bh_buf_done(&b);
    return t;
}

/* ---- words for things of the trend --------------------------------------------------------- */

const char *
bh_unit_word(const struct bh_trend *t, enum bh_lang lang)
{
    static const enum bh_word_id ids[] = { BH_W_UNIT_ACCESSES, BH_W_UNIT_SOURCES, BH_W_UNIT_PACKETS,
                                           BH_W_UNIT_BYTES };
    return bh_word(ids[(unsigned)t->count % BH_COUNT(ids)], lang);
}

static struct bh_short
count_words(enum bh_word_id id, uint64_t n, enum bh_lang lang)
{
    struct bh_short t = { "" };
    struct bh_buf b = { 0 };
    bh_say_args(&b, bh_word(id, lang), (const char *const[]){ bh_num(n).s }, 1);
    snprintf(t.s, sizeof t.s, "%s", b.data == NULL ? "" : b.data);
    bh_buf_done(&b);
    return t;
}

struct bh_short
bh_count_words(const struct bh_trend *t, uint64_t n, enum bh_lang lang)
{
    static const enum bh_word_id ids[] = { BH_W_COUNT_ACCESSES, BH_W_COUNT_SOURCES,
                                           BH_W_COUNT_PACKETS, BH_W_COUNT_BYTES };
    return count_words(ids[(unsigned)t->count % BH_COUNT(ids)], n, lang);
}

struct bh_short
bh_access_words(uint64_t n, enum bh_lang lang)
{
    return count_words(BH_W_COUNT_ACCESSES, n, lang);
}

const char *
bh_join_word(size_t at, size_t count, enum bh_lang lang)
{
    if (at == 0) {
        return "";
    }
    return bh_word(at + 1 == count ? BH_W_JOIN_LAST : BH_W_JOIN, lang);
}

const char *
bh_class_words(unsigned cls, enum bh_lang lang)
{
    static const enum bh_word_id ids[BH_CLASS_COUNT] = {
        [BH_CLASS_ICMP_ECHO_REQUEST] = BH_W_CLASS_ECHO,
        [BH_CLASS_ICMP_ECHO_REPLY_SENT] = BH_W_CLASS_ECHO_REPLY,
        [BH_CLASS_ICMP_UNREACHABLE_SENT] = BH_W_CLASS_UNREACHABLE,
        [BH_CLASS_TCP_BACKSCATTER] = BH_W_CLASS_TCP_BACKSCATTER,
        [BH_CLASS_UDP_BACKSCATTER] = BH_W_CLASS_UDP_BACKSCATTER,
        [BH_CLASS_ICMP_BACKSCATTER] = BH_W_CLASS_ICMP_BACKSCATTER,
        [BH_CLASS_TCP_NULL_SCAN] = BH_W_CLASS_NULL,
        [BH_CLASS_TCP_FIN_SCAN] = BH_W_CLASS_FIN,
        [BH_CLASS_TCP_XMAS_SCAN] = BH_W_CLASS_XMAS,
        [BH_CLASS_TCP_ACK_SCAN] = BH_W_CLASS_ACK,
        [BH_CLASS_TCP_ODD_FLAGS] = BH_W_CLASS_ODD,
        [BH_CLASS_TCP_STRAY] = BH_W_CLASS_STRAY,
        [BH_CLASS_UDP_ANSWER] = BH_W_CLASS_UDP_ANSWER,
        [BH_CLASS_FRAGMENT] = BH_W_CLASS_FRAGMENT,
        [BH_CLASS_CUT] = BH_W_CLASS_CUT,
        [BH_CLASS_ARP] = BH_W_CLASS_ARP,
        [BH_CLASS_NEIGHBOUR_DISCOVERY] = BH_W_CLASS_ND,
        [BH_CLASS_OTHER_PROTOCOL] = BH_W_CLASS_OTHER,
        [BH_CLASS_LOCAL] = BH_W_CLASS_LOCAL,
        [BH_CLASS_TCP_IN_FLOW] = BH_W_CLASS_IN_FLOW,
        [BH_CLASS_ICMP_OTHER] = BH_W_CLASS_ICMP_OTHER,
    };
    if (cls >= BH_CLASS_COUNT || ids[cls] == 0) {
        return cls < BH_CLASS_COUNT ? bh_class_name(cls) : "";
    }
    return bh_word(ids[cls], lang);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_iana.c - IANA's registries, as IANA publishes them.
 *
 * The special-purpose address registries (iana-ipv4-special-registry, iana-ipv6-...; XML or CSV)
 * change the table of special-use addresses: a block of the same prefix takes RFC and
 * "globally reachable" from them, a block that is new becomes a class of its own. What differs
 * from the table that is compiled in is said.
 *
 * The address space registries (ipv4-address-space, ipv6-address-space,
 * ipv6-unicast-address-assignments; XML) say which registry a block was given to and when: for
 * "kobold explain", without a country.
 *
 * The XML is IANA's own and plain; what is read of it are the texts of a few elements inside
 * each <record>.
 */
#include "kobold_text_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

/* One block of a special registry. */
struct block {
    int family;
    struct kobold_addr start, end;
    unsigned prefix_len;
    bool is_reachable;
    char name[48], rfc[24];
    uint32_t line;
};

/* ---- pieces of text --------------------------------------------------------------------------- */

static const char *
find(const char *at, const char *end, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(end - at) < n ? NULL : memmem(at, (size_t)(end - at), word, n);
}

/* What stands between <tag> and </tag>, with markup; empty when there is no such element. */
static struct field
element(struct field record, const char *tag)
{
    char open[32];
    char close[32];
    const char *end = record.at + record.len;
    snprintf(open, sizeof open, "<%s>", tag);
    snprintf(close, sizeof close, "</%s>", tag);
    const char *from = find(record.at, end, open);
    const char *to = from == NULL ? NULL : find(from, end, close);
    if (to == NULL) {
        return (struct field){ record.at, 0 };
    }
    from += strlen(open);
    return (struct field){ from, (size_t)(to - from) };
}

/* The RFCs that a text names, "RFC 6890, RFC 8190", as many as fit. */
static void
take_rfcs(struct field f, char *to, size_t size)
{
    size_t n = 0;
    to[0] = '\0';
    for (size_t i = 0; i + 4 < f.len; i++) {
        if (strncasecmp(f.at + i, "rfc", 3) != 0) {
            continue;
        }
        size_t digits = i + 3 + (f.at[i + 3] == ' ');
        size_t end = digits;
        while (end < f.len && is_digit(f.at[end])) {
            end++;
        }
        char one[16];
        int len = snprintf(one, sizeof one, "RFC %.*s", (int)(end - digits), f.at + digits);
        bool is_new = end > digits && end - digits <= 5 && strstr(to, one) == NULL;
        if (is_new && n + (size_t)len + 2 < size) {
            n += (size_t)snprintf(to + n, size - n, "%s%s", n > 0 ? ", " : "", one);
        }
        i = end - 1;
    }
}

/* "Private-Use", ""This network"" -> "private-use", "this-network": a class. */
static void
take_class(struct field f, char *to, size_t size)
{
    size_t n = 0;
    bool is_tag = false;
    for (size_t i = 0; i < f.len && n + 1 < size; i++) {
        char c = f.at[i];
        char low = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        is_tag = c == '<' || (is_tag && c != '>');
        if ((low >= 'a' && low <= 'z') || is_digit(c)) {
            if (!is_tag) {
                to[n++] = low;
            }
        } else if (n > 0 && to[n - 1] != '-') {
            to[n++] = '-';
        }
    }
    while (n > 0 && to[n - 1] == '-') {
        n--;
    }
    to[n] = '\0';
}

/* "1999-07-01", "2010-01" as days since 1970. */
static uint16_t
take_date(struct field f)
{
    uint64_t d = 0;
    unsigned digits = 0;
    for (size_t i = 0; i < f.len && (is_digit(f.at[i]) || f.at[i] == '-'); i++) {
        if (is_digit(f.at[i]) && digits < 8) {
            d = d * 10 + (uint64_t)(f.at[i] - '0');
            digits++;
        }
    }
    return digits == 8 ? days_of_day(d) : digits == 6 ? days_of_day(d * 100 + 1) : 0;
}

/* ---- special-purpose registries ----------------------------------------------------------------- */

/* The table is the build's own from the first change on. */
static int
own_specials(struct kobold_build *b)
{
    if (b->specials != NULL) {
        return 0;
    }
    b->specials = malloc((size_t)KOBOLD_SPECIALS_MAX * sizeof *b->specials);
    if (b->specials == NULL) {
        return -ENOMEM;
    }
    memcpy(b->specials, kobold_specials, kobold_specials_count * sizeof *b->specials);
    b->special_count = kobold_specials_count;
    return 0;
}

static const char *
keep_text(struct kobold_build *b, const char *text)
{
    char *copy = strdup(text);
    char **list = realloc(b->kept, (b->kept_count + 1) * sizeof *list);
    if (list != NULL) {
        b->kept = list;
    }
    if (copy == NULL || list == NULL) {
        free(copy);
        return NULL;
    }
    b->kept[b->kept_count++] = copy;
    return copy;
}

/* The row with just this prefix, or else the longest around it. */
static struct kobold_special_row *
row_around(struct kobold_build *b, const struct block *x)
{
    struct kobold_special_row *best = NULL;
    for (unsigned i = 0; i < b->special_count; i++) {
        struct kobold_special_row *s = &b->specials[i];
        struct kobold_addr end;
        struct kobold_addr start = { s->hi, s->lo };
        if (s->family == x->family && s->prefix_len <= x->prefix_len &&
            block_end(s->family, start, s->prefix_len, &end) && addr_cmp(start, x->start) <= 0 &&
            addr_cmp(x->end, end) <= 0 && (best == NULL || s->prefix_len > best->prefix_len)) {
            best = s;
        }
    }
    return best;
}

static void
say_special(struct kobold_build *b, const char *name, const struct block *x, const char *en,
            const char *ja, const char *was)
{
    struct bh_error e;
    char text[BH_IP_TEXT_MAX];
    struct bh_ip ip = x->family == 4 ? bh_ip_from_v4((uint32_t)x->start.lo)
                                     : bh_ip_from_v6(x->start.hi, x->start.lo);
    if (b->notice == NULL) {
        return;
    }
    bh_ip_format(&ip, text);
    bh_error_set(&e, BH_EFORMAT, name, en, ja, text, x->prefix_len, x->name, x->rfc,
                 x->is_reachable ? "yes" : "no", was);
    e.line = x->line;
    b->notice(b->notice_arg, &e);
}

static int
change_special(struct kobold_build *b, const char *name, const struct block *x)
{
    int r = own_specials(b);
    if (r < 0) {
        return r;
    }
    struct kobold_special_row *s = row_around(b, x);
    bool is_same = s != NULL && s->prefix_len == x->prefix_len;
    bool is_alike =
        s != NULL && s->is_reachable == x->is_reachable &&
        (x->rfc[0] == '\0' || strstr(s->rfc, x->rfc) != NULL || strstr(x->rfc, s->rfc) != NULL);
    if (is_alike) {
        return 0; /* IANA names an RFC more or less: nothing that would mean anything else */
    }
    const char *rfc = keep_text(b, x->rfc);
    const char *class_name = is_same ? s->class_name : keep_text(b, x->name);
    if (rfc == NULL || class_name == NULL) {
        return -ENOMEM;
    }
    if (is_same) {
        char was[48];
        snprintf(was, sizeof was, "%s, %s", s->rfc, s->is_reachable ? "yes" : "no");
        say_special(b, name, x, "special use %s/%u (%s): now %s, globally reachable %s; was %s",
                    "特殊用途 %s/%u (%s): %s、インターネットから到達可能 %s とした。元は %s", was);
        s->rfc = rfc;
        s->is_reachable = x->is_reachable;
        return 0;
    }
    if (b->special_count == KOBOLD_SPECIALS_MAX) {
        return BH_ELIMIT;
    }
    say_special(b, name, x, "special use %s/%u is new: %s, %s, globally reachable %s%.0s",
                "特殊用途 %s/%u は新しい: %s、%s、インターネットから到達可能 %s%.0s", "");
    b->specials[b->special_count++] = (struct kobold_special_row){
        .hi = x->start.hi,
        .lo = x->start.lo,
        .family = (uint8_t)x->family,
        .prefix_len = (uint8_t)x->prefix_len,
        .is_reachable = x->is_reachable,
        .class_name = class_name,
        .rfc = rfc,
        .names = { class_name, class_name },
    };
    return 0;
}

/* "192.0.0.170/32, 192.0.0.171/32 [1]": one block each. */
static int
take_special(struct kobold_build *b, struct kobold_source *s, struct field addresses,
             struct block *x)
{
    size_t at = 0;
    int r = 0;
    while (at < addresses.len && r == 0) {
        size_t n = at;
        while (n < addresses.len && (is_digit(addresses.at[n]) || (addresses.at[n] | 32) == 'x' ||
                                     strchr("abcdefABCDEF:./", addresses.at[n]) != NULL)) {
            n++;
        }
        struct field one = { addresses.at + at, n - at };
        const char *slash = memchr(one.at, '/', one.len);
        uint64_t len;
        if (slash != NULL) {
            struct trouble t = parse_prefix(one, &x->family, &x->start, &x->end);
            struct field digits = { slash + 1, one.len - (size_t)(slash + 1 - one.at) };
            if (t.text[BH_EN] != NULL || !parse_uint(digits, &len)) {
                s->input.broken++;
                say_trouble(b, s->name, &s->input, x->line, &t);
            } else {
                x->prefix_len = (unsigned)len;
                r = change_special(b, s->name, x);
                s->input.unused++;
            }
        }
        at = n > at ? n : at + 1;
    }
    return r;
}

static int
take_special_record(struct kobold_build *b, struct kobold_source *s, struct field record,
                    struct field address, uint32_t line)
{
    struct block x = { .line = line };
    take_rfcs(element(record, "spec"), x.rfc, sizeof x.rfc);
    take_class(element(record, "name"), x.name, sizeof x.name);
    struct field reach = element(record, "global");
    x.is_reachable = reach.len >= 4 && strncasecmp(reach.at, "true", 4) == 0;
    return take_special(b, s, address, &x);
}

/* Address Block,Name,RFC,Allocation Date,Termination Date,Source,Destination,Forwardable,
 * Globally Reachable,Reserved-by-Protocol */
static int
parse_special_csv(struct kobold_build *b, struct kobold_source *s, const char *text, size_t size)
{
    struct line l = { .number = 0 };
    int r = 0;
    while (r == 0 && next_line(&text, &size, &l)) {
        struct block x = { .line = l.number };
        split(&l, ',');
        if (l.count < 9 || is_word(l.fields[0], "Address Block")) {
            continue;
        }
        take_rfcs(l.fields[2], x.rfc, sizeof x.rfc);
        take_class(l.fields[1], x.name, sizeof x.name);
        x.is_reachable = l.fields[8].len >= 4 && strncasecmp(l.fields[8].at, "true", 4) == 0;
        r = take_special(b, s, l.fields[0], &x);
    }
    return r;
}

/* ---- address space registries --------------------------------------------------------------------- */

static uint8_t
registry_of(struct field f)
{
    static const struct {
        const char *word;
        uint8_t registry;
    } words[] = {
        { "AFRINIC", KOBOLD_REGISTRY_AFRINIC }, { "APNIC", KOBOLD_REGISTRY_APNIC },
        { "ARIN", KOBOLD_REGISTRY_ARIN },       { "LACNIC", KOBOLD_REGISTRY_LACNIC },
        { "RIPE", KOBOLD_REGISTRY_RIPENCC },    { "IETF", KOBOLD_REGISTRY_IETF },
    };
    for (size_t i = 0; i < BH_COUNT(words); i++) {
        if (find(f.at, f.at + f.len, words[i].word) != NULL) {
            return words[i].registry;
        }
    }
    return KOBOLD_REGISTRY_IANA;
}

static uint8_t
status_of(struct field status, uint8_t registry)
{
    bool is_regional = registry <= KOBOLD_REGISTRY_RIPENCC;
    return is_word(status, "LEGACY") ? KOBOLD_STATUS_LEGACY
           : is_word(status, "RESERVED") || registry == KOBOLD_REGISTRY_IETF
               ? KOBOLD_STATUS_RESERVED
           : is_regional ? KOBOLD_STATUS_DELEGATED
                         : KOBOLD_STATUS_ALLOCATED;
}

/* "001/8": the first octet only. */
static bool
parse_slash8(struct field f, struct kobold_range *ret)
{
    uint64_t v = 0;
    if (f.len < 3 || f.len > 5 || memcmp(f.at + f.len - 2, "/8", 2) != 0 ||
        !parse_uint((struct field){ f.at, f.len - 2 }, &v) || v > 255) {
        return false;
    }
    ret->start = (struct kobold_addr){ 0, v << 24 };
    ret->end = (struct kobold_addr){ 0, v << 24 | 0xffffff };
    return true;
}

static void
take_space_record(struct kobold_build *b, struct kobold_source *s, struct field record,
                  struct field prefix, uint32_t line)
{
    struct kobold_range range = { .line = line };
    int family = 4;
    struct field holder = element(record, "designation");
    struct field date = element(record, "date");
    holder = holder.len > 0 ? holder : element(record, "description");
    if (date.len == 0) {
        const char *quote = find(record.at, record.at + record.len, "date=\"");
        date = quote == NULL ? date : (struct field){ quote + 6, 10 };
        date.len = quote != NULL && quote + 16 > record.at + record.len ? 0 : date.len;
    }
    if (!parse_slash8(prefix, &range)) {
        struct trouble t = parse_prefix(prefix, &family, &range.start, &range.end);
        if (t.text[BH_EN] != NULL) {
            s->input.broken++;
            say_trouble(b, s->name, &s->input, line, &t);
            return;
        }
    }
    range.registry = registry_of(holder);
    range.status = status_of(element(record, "status"), range.registry);
    range.day = take_date(date);
    ranges_add(&s->notes[family == 6], &range);
    s->has_details = true;
    s->input.unused++;
}

/* ---- whole registries ---------------------------------------------------------------------------- */

bool
is_iana(const char *text, size_t size)
{
    size_t n = size < 4096 ? size : 4096;
    return find(text, text + n, "xmlns=\"http://www.iana.org/assignments\"") != NULL ||
           (n > 20 && strncmp(text, "Address Block,Name,RFC", 22) == 0);
}

static uint32_t
lines_in(const char *at, const char *end)
{
    uint32_t n = 0;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        n++;
        at++;
    }
    return n;
}

static int
parse_xml(struct kobold_build *b, struct kobold_source *s, const char *text, size_t size)
{
    const char *end = text + size;
    const char *at = text;
    uint32_t line = 1;
    int r = 0;
    struct field updated = element((struct field){ text, size < 4096 ? size : 4096 }, "updated");
    for (size_t i = 0; i < updated.len && updated.len == 10; i++) {
        s->day = is_digit(updated.at[i]) ? s->day * 10 + (uint32_t)(updated.at[i] - '0') : s->day;
    }
    s->day = is_day(s->day) ? s->day : 0;
    while (r == 0) {
        const char *from = find(at, end, "<record");
        const char *to = from == NULL ? NULL : find(from, end, "</record>");
        if (to == NULL) {
            break;
        }
        line += lines_in(at, from);
        struct field record = { from, (size_t)(to - from) };
        struct field address = element(record, "address");
        struct field prefix = element(record, "prefix");
        if (address.len > 0) {
            r = take_special_record(b, s, record, address, line);
        } else if (prefix.len > 0) {
            take_space_record(b, s, record, trim(prefix), line);
        }
        line += lines_in(from, to);
        at = to;
    }
    return r;
}

int
iana_parse(struct kobold_build *b, struct kobold_source *s, const char *text, size_t size,
           struct bh_error *err)
{
    s->input.format = KOBOLD_FORMAT_IANA;
    int r = text[0] == 'A' ? parse_special_csv(b, s, text, size) : parse_xml(b, s, text, size);
    if (r == -ENOMEM || s->notes[0].failed || s->notes[1].failed) {
        return out_of_memory(err);
    }
    if (r == BH_ELIMIT) {
        return bh_error_set(err, r, s->name, "more than %d special-use blocks",
                            "特殊用途のブロックは%d個までです", KOBOLD_SPECIALS_MAX);
    }
    if (s->input.unused == 0) {
        return bh_error_set(
            err, BH_EFORMAT, s->name,
            "a registry of IANA without a block that we can read (%llu broken)",
            "IANA のレジストリですが、読めるブロックがありません（壊れたもの %llu）",
            (unsigned long long)s->input.broken);
    }
    return 0;
}

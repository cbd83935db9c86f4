/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every border of every range of real data - first, last, one before, one after - against an
 * interval map made here, in another way than the compiler's: all borders sorted, and the stretches
 * between them painted by the ranges, the strongest first. Reads npm's tables
 * (BH_TEST_NPM_TABLE), tor's geoip and geoip6 (.cache/country) and registry files
 * (BH_SHARED_DATA), and skips what is not there.
 */
#include "test_kobold_util.h"

#include <arpa/inet.h>
#include <stdio.h>

struct range {
    bh_u128 start, end;
    uint32_t order;
    char code[12]; /* of a country; or a number of an AS */
};

struct list { /* of one family */
    struct range *at;
    size_t count, room;
};

struct map {
    bh_u128 *points; /* where stretches begin; the first is 0 */
    char (*codes)[12];
    size_t count;
};

/* ---- reading, line by line and slowly ----------------------------------------------------------- */

static struct range *
new_range(struct list lists[2], int family, bh_u128 start, bh_u128 end)
{
    struct list *l = &lists[family == 6];
    if (l->count == l->room) {
        l->room = l->room == 0 ? 1024 : l->room * 2;
        l->at = realloc(l->at, l->room * sizeof *l->at);
        assert_non_null(l->at);
    }
    struct range *r = &l->at[l->count];
    *r = (struct range){ .start = start, .end = end, .order = (uint32_t)l->count };
    l->count++;
    return r;
}

static void
add_range(struct list lists[2], int family, bh_u128 start, bh_u128 end, const char *code)
{
    struct range *r = new_range(lists, family, start, end);
    memcpy(r->code, code, 2);
    if (memcmp(r->code, "UK", 2) == 0) {
        memcpy(r->code, "GB", 2); /* an exceptional reservation of the same country */
    }
    /* "??", and letters that are no country's, are "unknown". */
    bool is_user =
        (code[0] == 'A' && code[1] == 'A') || (code[0] == 'Q' && code[1] >= 'M') || code[0] == 'X';
    if (kobold_country_name(r->code, 0) == NULL && !is_user) {
        memcpy(r->code, "ZZ", 2);
    }
}

static int
read_address(const char *text, bh_u128 *ret)
{
    uint8_t octets[16];
    if (strchr(text, ':') != NULL) {
        assert_int_equal(inet_pton(AF_INET6, text, octets), 1);
        *ret = (bh_u128)bh_get_be64(octets) << 64 | bh_get_be64(octets + 8);
        return 6;
    }
    if (strchr(text, '.') != NULL) {
        assert_int_equal(inet_pton(AF_INET, text, octets), 1);
        *ret = bh_get_be32(octets);
        return 4;
    }
    *ret = 0;
    for (const char *c = text; *c != '\0'; c++) {
        *ret = *ret * 10 + (unsigned)(*c - '0');
    }
    return *ret > UINT32_MAX ? 6 : 4;
}

/* sscanf() measures all that is behind: a line at a time, then. */
static bool
copy_line(const char **text, const char *end, char line[256])
{
    if (*text == end) {
        return false;
    }
    const char *newline = memchr(*text, '\n', (size_t)(end - *text));
    size_t n = (size_t)((newline == NULL ? end : newline) - *text);
    size_t kept = n < 255 ? n : 255;
    memcpy(line, *text, kept);
    line[kept] = '\0';
    *text += n + (newline != NULL);
    return true;
}

static void
read_range_table(const char *text, size_t size, struct list lists[2])
{
    char start[64];
    char end[64];
    char code[8];
    char line[256];
    const char *stop = text + size;
    while (copy_line(&text, stop, line)) {
        if (line[0] != '#' && sscanf(line, "%63[^,],%63[^,],%7[^\r\n]", start, end, code) == 3) {
            bh_u128 a;
            bh_u128 b;
            int family = read_address(start, &a);
            assert_int_equal(read_address(end, &b), family);
            add_range(lists, family, a, b, code);
        }
    }
}

static void
read_registry(const char *text, size_t size, struct list lists[2])
{
    char code[8];
    char type[8];
    char start[64];
    char status[32];
    unsigned long long value;
    char line[256];
    const char *stop = text + size;
    while (copy_line(&text, stop, line)) {
        if (sscanf(line, "%*[a-z]|%7[A-Z]|%7[a-z0-9]|%63[^|]|%llu|%*[0-9]|%31[a-z]", code, type,
                   start, &value, status) == 5 &&
            (strcmp(status, "allocated") == 0 || strcmp(status, "assigned") == 0) &&
            type[0] == 'i') {
            bh_u128 a;
            int family = read_address(start, &a);
            bh_u128 span = family == 4 ? value : value == 0 ? 0 : (bh_u128)1 << (128 - value);
            add_range(lists, family, a, a + span - 1, code);
        }
    }
}

/* ---- the map -------------------------------------------------------------------------------------- */

static int
by_value(const void *pa, const void *pb)
{
    bh_u128 a;
    bh_u128 b;
    memcpy(&a, pa, sizeof a);
    memcpy(&b, pb, sizeof b);
    return a < b ? -1 : a > b;
}

/* The weaker first: of two ranges around an address the one that begins later wins, then the
 * shorter, then the later line. */
static int
by_strength(const void *pa, const void *pb)
{
    const struct range *a = pa;
    const struct range *b = pb;
    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }
    if (a->end != b->end) {
        return a->end > b->end ? -1 : 1;
    }
    return a->order < b->order ? -1 : 1;
}

static size_t
stretch_of(const struct map *m, bh_u128 address)
{
    size_t low = 0;
    size_t high = m->count;
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        *(m->points[mid] <= address ? &low : &high) = mid;
    }
    return low;
}

/* The next stretch that nothing has painted, from k on; paths are shortened on the way. */
static size_t
next_bare(size_t *next, size_t k)
{
    size_t end = k;
    while (next[end] != end) {
        end = next[end];
    }
    while (next[k] != end) {
        size_t after = next[k];
        next[k] = end;
        k = after;
    }
    return end;
}

/* The strongest first; what is painted stays as it is. */
static void
paint(struct map *m, const struct list *l, size_t *next)
{
    struct range *sorted = malloc((l->count + 1) * sizeof *sorted);
    assert_non_null(sorted);
    if (l->count > 0) { /* of none there is no list */
        memcpy(sorted, l->at, l->count * sizeof *sorted);
    }
    qsort(sorted, l->count, sizeof *sorted, by_strength);
    for (size_t i = l->count; i > 0; i--) {
        const struct range *r = &sorted[i - 1];
        for (size_t k = next_bare(next, stretch_of(m, r->start));
             k < m->count && m->points[k] <= r->end; k = next_bare(next, k)) {
            memcpy(m->codes[k], r->code, sizeof r->code);
            next[k] = k + 1;
        }
    }
    free(sorted);
}

/* Of several inputs, the later one on top. */
static struct map
make_map(const struct list *lists, size_t inputs)
{
    struct map m = { 0 };
    size_t n = 1;
    for (size_t i = 0; i < inputs; i++) {
        n += lists[2 * i].count * 2;
    }
    m.points = malloc(n * sizeof *m.points);
    m.codes = calloc(n, sizeof *m.codes);
    assert_non_null(m.points);
    assert_non_null(m.codes);
    m.points[m.count++] = 0;
    for (size_t i = 0; i < inputs; i++) {
        for (size_t k = 0; k < lists[2 * i].count; k++) {
            m.points[m.count++] = lists[2 * i].at[k].start;
            m.points[m.count++] = lists[2 * i].at[k].end + 1;
        }
    }
    qsort(m.points, m.count, sizeof *m.points, by_value);
    size_t distinct = 1;
    for (size_t i = 1; i < m.count; i++) {
        if (m.points[i] != m.points[distinct - 1]) {
            m.points[distinct++] = m.points[i];
        }
    }
    m.count = distinct;
    size_t *next = malloc((m.count + 1) * sizeof *next);
    assert_non_null(next);
    for (size_t i = 0; i <= m.count; i++) {
        next[i] = i;
    }
    for (size_t i = inputs; i > 0; i--) {
        paint(&m, &lists[2 * (i - 1)], next);
    }
    free(next);
    return m;
}

/* ---- asking ----------------------------------------------------------------------------------------- */

/* The class of special use, by the longest prefix; NULL: none. "" stands for "not given out". */
static const char *
special_of(int family, bh_u128 address)
{
    const struct kobold_special_row *best = NULL;
    const unsigned bits = family == 4 ? 32 : 128;
    for (unsigned i = 0; i < kobold_specials_count; i++) {
        const struct kobold_special_row *s = &kobold_specials[i];
        unsigned rest = bits - s->prefix_len;
        bh_u128 prefix = (bh_u128)s->hi << 64 | s->lo;
        if (s->family == family && (rest == 128 || address >> rest == prefix >> rest) &&
            (best == NULL || s->prefix_len > best->prefix_len)) {
            best = s;
        }
    }
    return best != NULL ? best->class_name : family == 6 && (address >> 125) != 1 ? "" : NULL;
}

static bool
is_embedded(int family, bh_u128 address)
{
    uint32_t v4;
    return family == 6 &&
           kobold_carrier((uint64_t)(address >> 64), (uint64_t)address, &v4) != KOBOLD_CARRIER_NONE;
}

/* Sanitizers make a tenth of the speed; the plain build asks for every border. */
#if defined(__SANITIZE_ADDRESS__)
#define EVERY 11
#else
#define EVERY 1
#endif

static size_t
ask(const kobold *k, const struct map *m, int family, bh_u128 address)
{
    if ((family == 4 && address > UINT32_MAX) || is_embedded(family, address)) {
        return 0;
    }
    struct kobold_value v;
    uint16_t value = family == 4 ? kobold_v4(k, (uint32_t)address)
                                 : kobold_v6(k, (uint64_t)(address >> 64), (uint64_t)address);
    assert_true(kobold_value_info(k, value, &v));
    const char *special = special_of(family, address);
    const char *code = special != NULL ? "" : m->codes[stretch_of(m, address)];
    const char *class_name = special != NULL ? special : "";
    bool is_right = strcmp(v.code, code) == 0 && strcmp(v.class_name, class_name) == 0 &&
                    (code[0] != '\0' || class_name[0] != '\0') == (v.kind != KOBOLD_UNALLOCATED);
    if (!is_right) {
        struct bh_ip ip = family == 4 ? bh_ip_from_v4((uint32_t)address)
                                      : bh_ip_from_v6((uint64_t)(address >> 64), (uint64_t)address);
        char text[BH_IP_TEXT_MAX];
        bh_ip_format(&ip, text);
        fail_msg("%s: \"%s%s\", not \"%s%s\"", text, v.code, v.class_name, code, class_name);
    }
    return 1;
}

struct source {
    char *text;
    size_t size;
    bool is_registry;
};

/* The inputs in the order in which they were given, the later on top. */
static void
compare(struct source *sources, size_t count)
{
    struct list *lists = calloc(count * 2, sizeof *lists);
    struct bh_error err;
    kobold_build *b = kobold_build_new();
    assert_non_null(b);
    assert_non_null(lists);
    for (size_t i = 0; i < count; i++) {
        struct source *s = &sources[i];
        assert_int_equal(kobold_build_add(b, "data", s->text, s->size, KOBOLD_FORMAT_AUTO,
                                          KOBOLD_LAYER_DATA, NULL, &err),
                         0);
        if (s->is_registry) {
            read_registry(s->text, s->size, &lists[2 * i]);
        } else {
            read_range_table(s->text, s->size, &lists[2 * i]);
        }
        free(s->text);
    }
    struct made m = finish(b);
    kobold_build_free(b);
    size_t asked = 0;
    for (int f = 0; f < 2; f++) {
        struct map map = make_map(lists + f, count);
        for (size_t i = 0; i < count; i++) {
            const struct list *l = &lists[2 * i + (size_t)f];
            for (size_t k = 0; k < l->count; k += EVERY) {
                asked += ask(m.k, &map, f == 0 ? 4 : 6, l->at[k].start);
                asked += ask(m.k, &map, f == 0 ? 4 : 6, l->at[k].start - 1);
                asked += ask(m.k, &map, f == 0 ? 4 : 6, l->at[k].end);
                asked += ask(m.k, &map, f == 0 ? 4 : 6, l->at[k].end + 1);
            }
        }
        free(map.points);
        free(map.codes);
    }
    print_message("# %zu addresses asked for, none differs\n", asked);
    for (size_t i = 0; i < count * 2; i++) {
        free(lists[i].at);
    }
    free(lists);
    unmake(&m);
}

/* ---- the data ------------------------------------------------------------------------------------------ */

static struct source
take(struct bh_buf *b, bool is_registry)
{
    assert_false(b->failed);
    return (struct source){ b->data, b->len, is_registry };
}

/* A file, or what a command prints. False: there is none. */
static bool
slurp(FILE *f, struct bh_buf *ret)
{
    char piece[65536];
    size_t n;
    while (f != NULL && (n = fread(piece, 1, sizeof piece, f)) > 0) {
        bh_buf_add(ret, piece, n);
    }
    return ret->len > 0;
}

static bool
read_file(const char *path, struct source *ret)
{
    struct bh_buf b = { 0 };
    FILE *f = fopen(path, "rb");
    bool ok = slurp(f, &b);
    if (f != NULL) {
        fclose(f);
    }
    if (ok) {
        *ret = take(&b, false);
    }
    return ok;
}

static void
tables_of_npm(void **state)
{
    (void)state;
    const char *v4 = getenv("BH_TEST_NPM_TABLE");
    char v6[4096];
    struct source s[2];
    const char *four = v4 == NULL ? NULL : strstr(v4, "-ipv4-num.csv");
    if (four == NULL) {
        skip();
    }
    snprintf(v6, sizeof v6, "%.*s-ipv6-num.csv", (int)(four - v4), v4);
    assert_true(read_file(v4, &s[0]));
    assert_true(read_file(v6, &s[1]));
    compare(s, 2);
}

static void
geoip_files_of_tor(void **state)
{
    (void)state;
    const char *root = getenv("BH_SOURCE_ROOT");
    char path[4096];
    struct source s[2];
    snprintf(path, sizeof path, "%s/.cache/country/geoip", root == NULL ? "." : root);
    if (!read_file(path, &s[0])) {
        skip();
    }
    snprintf(path, sizeof path, "%s/.cache/country/geoip6", root == NULL ? "." : root);
    assert_true(read_file(path, &s[1]));
    compare(s, 2);
}

static void
registry_files(void **state)
{
    (void)state;
    /* In the order of their dates, as the compiler takes them. */
    static const char *const sets[][4] = {
        { "2014-06/delegated-lacnic", "2014-06/delegated-afrinic", "2014-06/delegated-apnic",
          "2014-06/delegated-ripencc" },
        { "2019-09/delegated-lacnic-extended", "2019-09/delegated-afrinic-extended",
          "2019-09/delegated-apnic", NULL },
    };
    const char *shared = getenv("BH_SHARED_DATA");
    size_t done = 0;
    for (size_t i = 0; i < BH_COUNT(sets) && shared != NULL; i++) {
        struct source s[4];
        size_t n = 0;
        for (; n < 4 && sets[i][n] != NULL; n++) {
            char command[4096];
            struct bh_buf b = { 0 };
            snprintf(command, sizeof command, "xz -dc '%s/rir/%s.xz' 2>/dev/null", shared,
                     sets[i][n]);
            FILE *f = popen(command, "r");
            bool ok = slurp(f, &b);
            if (f != NULL) {
                pclose(f);
            }
            if (!ok) {
                break;
            }
            s[n] = take(&b, true);
        }
        if (n == 0 || (n < 4 && sets[i][n] != NULL)) {
            while (n > 0) {
                free(s[--n].text);
            }
            continue;
        }
        compare(s, n);
        done++;
    }
    if (done == 0) {
        skip();
    }
}

/* npm's @ip-location-db/asn: the number of every border. */
static void
tables_of_systems(void **state)
{
    (void)state;
    const char *v4 = getenv("BH_TEST_ASN_TABLE");
    const char *four = v4 == NULL ? NULL : strstr(v4, "-ipv4-num.csv");
    struct list lists[2] = { { 0 } };
    struct bh_error err;
    if (four == NULL) {
        skip();
    }
    kobold_build *b = kobold_build_new();
    assert_non_null(b);
    static const char country[] = "1.0.0.0/8,US\n";
    assert_int_equal(kobold_build_add(b, "c", country, sizeof country - 1, KOBOLD_FORMAT_AUTO,
                                      KOBOLD_LAYER_DATA, NULL, &err),
                     0);
    for (int family = 4; family <= 6; family += 2) {
        char path[4096];
        struct source s = { 0 };
        char line[256];
        char ends[2][64];
        unsigned number;
        snprintf(path, sizeof path, "%.*s-ipv%d-num.csv", (int)(four - v4), v4, family);
        assert_true(read_file(path, &s));
        assert_int_equal(kobold_build_add_as(b, "as", s.text, s.size, NULL, &err), 0);
        for (const char *at = s.text; copy_line(&at, s.text + s.size, line);) {
            bh_u128 a;
            bh_u128 z;
            assert_int_equal(sscanf(line, "%63[^,],%63[^,],%u", ends[0], ends[1], &number), 3);
            read_address(ends[0], &a);
            read_address(ends[1], &z);
            struct range *r = new_range(lists, family, a, z);
            snprintf(r->code, sizeof r->code, "%u", number);
        }
        free(s.text);
    }
    struct made m = finish(b);
    kobold_build_free(b);
    size_t asked = 0;
    for (int f = 0; f < 2; f++) {
        struct map map = make_map(&lists[f], 1);
        for (size_t i = 0; i < lists[f].count * 4; i += EVERY) {
            const struct range *r = &lists[f].at[i / 4];
            bh_u128 address = i % 4 == 0   ? r->start
                              : i % 4 == 1 ? r->start - 1
                              : i % 4 == 2 ? r->end
                                           : r->end + 1;
            if ((f == 0 && address > UINT32_MAX) || is_embedded(f == 0 ? 4 : 6, address)) {
                continue;
            }
            uint32_t got = f == 0 ? kobold_as_v4(m.k, (uint32_t)address)
                                  : kobold_as_v6(m.k, (uint64_t)(address >> 64), (uint64_t)address);
            if (got != strtoul(map.codes[stretch_of(&map, address)], NULL, 10)) {
                fail_msg("range %zu of IPv%d: AS%u, not %s", i / 4, f == 0 ? 4 : 6, got,
                         map.codes[stretch_of(&map, address)]);
            }
            asked++;
        }
        free(map.points);
        free(map.codes);
        free(lists[f].at);
    }
    print_message("# %zu addresses asked for, none differs\n", asked);
    unmake(&m);
}

/* That the comparison can fail: nested, overlapping and equal ranges of its own. */
static void
a_small_table(void **state)
{
    (void)state;
    static const char table[] = "1.0.0.0,1.0.0.255,US\n1.0.0.16,1.0.0.31,JP\n1.0.0.24,1.0.1.7,FR\n"
                                "1.0.0.24,1.0.1.7,DE\n9.0.0.0,11.0.0.0,GB\n"
                                "2400::,2400:0:0:1::5,CN\n2400::8,2400::9,KR\n"
                                "1fff::,2000::1,NL\n";
    struct source s = { strdup(table), sizeof table - 1, false };
    assert_non_null(s.text);
    compare(&s, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_table),      cmocka_unit_test(tables_of_npm),
        cmocka_unit_test(geoip_files_of_tor), cmocka_unit_test(registry_files),
        cmocka_unit_test(tables_of_systems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

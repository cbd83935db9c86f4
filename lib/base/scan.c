/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan.c - addresses in any text, at the speed of reading it.
 *
 * What is an address in a text is decided by careful code (find_in_run) that looks at a run of
 * hexadecimal digits, dots and colons from its start. Nearly all of a log is no such run, or one like
 * "2026:00:00:01" that cannot hold an address. So 64 octets at a time become bit masks (which are
 * digits, dots, colons), and a few shifts find the anchors, without a jump on data:
 *
 *     the third of three dots, 2 to 4 octets apart, each between digits     192.0.2.1
 *     the second of two colons side by side                                 2001:db8::1
 *     the sixth of six colons, 2 to 5 octets apart                          2001:db8:0:0:0:0:0:1
 *
 * Every address holds such an anchor: a dotted quad the first; IPv6 text without "::" has 7 colons,
 * or 6 and a dotted quad. What else has anchors (version numbers, "std::string") costs a careful
 * look and is none. That look never leaves the run, and a run is looked at once, so the whole is linear.
 *
 * A fuzz target and a unit test hold this against the careful code alone.
 */
#include "bh_base.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define BLOCK 64
/* The longest address is 45 octets; a run of its characters twice that is something else. */
#define RUN_MAX 90

/* ---- the careful look -------------------------------------------------------------------------- */

enum { C_OTHER = 0, C_WORD = 1, C_HEX = 2, C_DIGIT = 3, C_DOT = 4, C_COLON = 5 };

/* Octets of UTF-8 letters do not glue to an address: Japanese text has no blanks. */
/* clang-format off */
#define W C_WORD
#define H C_HEX
#define D C_DIGIT
static const uint8_t classes[256] = {
    ['.'] = C_DOT, [':'] = C_COLON, ['_'] = W,
    ['0'] = D, D, D, D, D, D, D, D, D, D,
    ['A'] = H, H, H, H, H, H, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    ['a'] = H, H, H, H, H, H, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
};
#undef W
#undef H
#undef D
/* clang-format on */

static inline unsigned
class_of(char c)
{
    return classes[(uint8_t)c];
}

static inline bool
is_word(unsigned class)
{
    return class - 1 < C_DIGIT;
}

/* A number of 0 to 255 in front of at least 4 octets, without leading zeros; its length, or 0. */
static inline size_t
match_octet(const char *s, uint32_t *address)
{
    unsigned v = (unsigned)(uint8_t)s[0] - '0';
    unsigned second = (unsigned)(uint8_t)s[1] - '0';
    unsigned third = (unsigned)(uint8_t)s[2] - '0';
    size_t n = 1;
    if (v > 9) {
        return 0;
    }
    if (second <= 9) {
        n = third <= 9 ? 3 : 2;
        unsigned two = v * 10 + second;
        two = third <= 9 ? two * 10 + third : two;
        if (v == 0 || two > 255) {
            return 0;
        }
        v = two;
    }
    *address = *address << 8 | v;
    return n;
}

/* A dotted quad in front; a port may follow after '.' or ':', a letter may not. */
static size_t
match_v4(const char *s, size_t len, struct bh_ip *ret_ip)
{
    enum { QUAD_MAX = 15 };
    char end[QUAD_MAX + 4];
    if (len < sizeof end) { /* what is read below may lie behind the text's end */
        memset(end, 0, sizeof end);
        memcpy(end, s, len);
        s = end;
    }
    uint32_t address = 0;
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        if (part > 0 && s[at++] != '.') {
            return 0;
        }
        size_t n = match_octet(s + at, &address);
        if (n == 0) {
            return 0;
        }
        at += n;
    }
    if (is_word(class_of(s[at]))) {
        return 0;
    }
    *ret_ip = bh_ip_from_v4(address);
    return at;
}

/* The longest address in front of a run of hexadecimal digits, colons and dots: behind it may
 * stand the ':' of a log line or tcpdump's ".port". */
static size_t
match_v6(const char *s, size_t len, struct bh_ip *ret_ip)
{
    for (size_t n = len; n > 2;) {
        if (bh_ip_parse(s, n, ret_ip) && ret_ip->family == 6) {
            return n;
        }
        if (s[n - 1] == ':' || s[n - 1] == '.') {
            n--;
            continue;
        }
        size_t cut = n;
        while (cut > 0 && s[cut - 1] != '.') {
            cut--;
        }
        if (cut == 0) {
            break;
        }
        n = cut - 1;
    }
    return 0;
}

static size_t
match(const char *s, size_t len, bool may_be_v6, struct bh_ip *ret_ip, size_t *ret_skip)
{
    size_t n = 0;
    unsigned colons = 0;
    unsigned dots = 0;
    unsigned digits = 0;
    unsigned class = C_OTHER;
    while (n < len && n <= RUN_MAX && (class = class_of(s[n])) >= C_HEX) {
        colons += class == C_COLON;
        dots += class == C_DOT;
        digits += class <= C_DIGIT;
        n++;
    }
    bool is_glued = n < len && class == C_WORD;
    *ret_skip = n > 0 ? n : 1;
    if (n > RUN_MAX || digits == 0) {
        return 0;
    }
    size_t found = 0;
    if (may_be_v6 && colons >= 2 && !is_glued) {
        found = match_v6(s, n, ret_ip);
    }
    if (found == 0 && dots >= 3) {
        found = match_v4(s, len, ret_ip);
    }
    if (found == 0 && colons > 0) {
        /* "from:192.0.2.1" or "1:192.0.2.1": try again behind the colon. */
        const char *colon = memchr(s, ':', n);
        *ret_skip = (size_t)(colon - s) + 1;
    }
    return found;
}

/* From text[at] to the end of the run it lies in, which is left in `ret_at` when there is nothing. */
static bool
find_in_run(const struct bh_scan *s, size_t at, struct bh_ip *ret_ip, size_t *ret_at,
            size_t *ret_len)
{
    const char *text = s->text;
    unsigned class;
    while (at < s->len && (class = class_of(text[at])) >= C_HEX) {
        unsigned before = at == 0 ? C_OTHER : class_of(text[at - 1]);
        bool is_start = class == C_COLON ? !is_word(before) && before != C_COLON
                                         : class >= C_HEX && class != C_DOT && !is_word(before) &&
                                               before != C_DOT;
        if (!is_start) {
            at++;
            continue;
        }
        /* Behind "::" stands the rest of what was none: the "b::c" of "a::b::c". */
        bool may_be_v6 = at < 2 || text[at - 1] != ':' || text[at - 2] != ':';
        size_t skip;
        size_t n = match(text + at, s->len - at, may_be_v6, ret_ip, &skip);
        if (n > 0) {
            *ret_at = at;
            *ret_len = n;
            return true;
        }
        at += skip;
    }
    *ret_at = at;
    return false;
}

/* ---- anchors -------------------------------------------------------------------------------------- */

struct masks {
    uint64_t digits, dots, colons;
};

#if defined(__SSE2__)

static inline struct masks
masks_of(const char *p)
{
    struct masks m = { 0, 0, 0 };
    for (unsigned i = 0; i < BLOCK; i += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        __m128i digit = _mm_sub_epi8(x, _mm_set1_epi8('0'));
        __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
        m.digits |= (uint64_t)(uint32_t)_mm_movemask_epi8(is_digit) << i;
        m.dots |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8('.'))) << i;
        m.colons |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8(':')))
                    << i;
    }
    return m;
}

#else

/* Eight octets at a time: a mask of the octets in which each equals c. Exact, as a zero octet's borrow cannot
 * reach its neighbour here. */
static inline uint64_t
equal_octets(uint64_t x, uint8_t c)
{
    const uint64_t low7 = 0x7f7f7f7f7f7f7f7fU;
    x ^= 0x0101010101010101U * c;
    return ~(((x & low7) + low7) | x | low7);
}

/* Bit 7 of each octet, gathered; the first octet of the text is the lowest bit. */
static inline uint64_t
gather(uint64_t x)
{
    return (x >> 7) * 0x0102040810204080U >> 56;
}

static inline struct masks
masks_of(const char *p)
{
    struct masks m = { 0, 0, 0 };
    for (unsigned i = 0; i < BLOCK; i += 8) {
        uint64_t x = 0;
        for (unsigned j = 0; j < 8; j++) {
            x |= (uint64_t)(uint8_t)p[i + j] << (8 * j);
        }
        /* 0x30 .. 0x39: an upper half of 3, and a lower half that 6 does not carry over. */
        uint64_t is_3 = equal_octets(x & 0xf0f0f0f0f0f0f0f0U, 0x30);
        uint64_t over = (x & 0x0f0f0f0f0f0f0f0fU) + 0x0606060606060606U;
        m.digits |= gather(is_3 & ~(over << 3)) << i;
        m.dots |= gather(equal_octets(x, '.')) << i;
        m.colons |= gather(equal_octets(x, ':')) << i;
    }
    return m;
}

#endif

/* The places `n` behind those of a mask, whose block follows that of `before`. */
static inline uint64_t
behind(uint64_t mask, uint64_t before, unsigned n)
{
    return mask << n | before >> (BLOCK - n);
}

static inline uint64_t
behind_2_to_4(uint64_t mask, uint64_t before)
{
    uint64_t near = before >> (BLOCK - 4);
    return (mask | mask << 1 | mask << 2) << 2 | near | near >> 1 | near >> 2;
}

static inline uint64_t
behind_2_to_5(uint64_t mask, uint64_t before)
{
    uint64_t near = before >> (BLOCK - 5);
    near |= near >> 1;
    mask |= mask << 1;
    return (mask | mask << 2) << 2 | near | near >> 2;
}

/* The second to fourth of such colons; a time of day after a year has three. */
static inline bool
fourth_colons(struct bh_scan *s, uint64_t colons, uint64_t before[4])
{
    uint64_t chain = colons;
    for (int i = 0; i < 3; i++) {
        before[i] = s->colons[i];
        s->colons[i] = chain;
        chain = colons & behind_2_to_5(chain, before[i]);
    }
    before[3] = s->colons[3];
    s->colons[3] = chain;
    return (chain | before[3]) != 0;
}

/* Called only for blocks with a fourth colon, or behind one. What is left here of an earlier block does no harm:
 * it could only reach the block behind that. */
static BH_NOINLINE uint64_t
sixth_colons(struct bh_scan *s, uint64_t colons, uint64_t before_fourth)
{
    uint64_t fifth = colons & behind_2_to_5(s->colons[3], before_fourth);
    uint64_t sixth = colons & behind_2_to_5(fifth, s->colons[4]);
    s->colons[4] = fifth;
    return sixth;
}

static inline uint64_t
third_dots(struct bh_scan *s, const struct masks *m)
{
    /* The octet behind the last one is not known here: it may be a digit. */
    uint64_t inside = m->dots & behind(m->digits, s->digits, 1) & (m->digits >> 1 | 1ULL << 63);
    uint64_t second = inside & behind_2_to_4(inside, s->dots[0]);
    uint64_t third = inside & behind_2_to_4(second, s->dots[1]);
    s->digits = m->digits;
    s->dots[0] = inside;
    s->dots[1] = second;
    return third;
}

static inline uint64_t
anchors_of(struct bh_scan *s, const char *block)
{
    struct masks m = masks_of(block);
    uint64_t before[4];
    uint64_t pairs = m.colons & behind(m.colons, s->colons[0], 1);
    uint64_t anchors = third_dots(s, &m) | pairs;
    return BH_UNLIKELY(fourth_colons(s, m.colons, before))
               ? anchors | sixth_colons(s, m.colons, before[3])
               : anchors;
}

/* The anchors of the next block. */
static void
next_block(struct bh_scan *s)
{
    s->block = s->next;
    s->next += BLOCK;
    if (s->len - s->block >= BLOCK) {
        s->anchors = anchors_of(s, s->text + s->block);
    } else {
        char rest[BLOCK] = { 0 };
        memcpy(rest, s->text + s->block, s->len - s->block);
        s->anchors = anchors_of(s, rest);
    }
}

void
bh_scan_begin(struct bh_scan *s, const char *text, size_t len)
{
    *s = (struct bh_scan){ .text = text, .len = len };
}

/* What lies before `from` is of no interest, but for the chains that end behind it. */
static void
jump(struct bh_scan *s, size_t from)
{
    size_t to = from / BLOCK * BLOCK;
    if (to > s->next + BLOCK) {
        const char *text = s->text;
        size_t len = s->len;
        bh_scan_begin(s, text, len);
        s->next = to - BLOCK;
    }
}

bool
bh_scan_next(struct bh_scan *s, size_t from, struct bh_ip *ret_ip, size_t *ret_at, size_t *ret_len)
{
    jump(s, from);
    for (;;) {
        while (s->anchors == 0) {
            if (s->next >= s->len) {
                return false;
            }
            next_block(s);
        }
        size_t anchor = s->block + (unsigned)__builtin_ctzll(s->anchors);
        if (anchor < from) {
            s->anchors &= s->anchors - 1;
            continue;
        }
        size_t start = anchor;
        while (start > from && class_of(s->text[start - 1]) >= C_HEX) {
            start--;
        }
        /* The usual case: a dotted quad that is a run of its own. */
        if (start == 0 || class_of(s->text[start - 1]) == C_OTHER) {
            size_t n = match_v4(s->text + start, s->len - start, ret_ip);
            if (n > 0 && (start + n == s->len || class_of(s->text[start + n]) == C_OTHER)) {
                *ret_at = start;
                *ret_len = n;
                return true;
            }
        }
        if (find_in_run(s, start, ret_ip, &start, ret_len)) {
            *ret_at = start;
            return true;
        }
        from = start;
        jump(s, from);
    }
}

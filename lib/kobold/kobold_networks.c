/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_networks.c - stretches of addresses, and the fewest prefixes that hold them.
 *
 * A stretch that cannot be longer, cut from its start into the largest aligned blocks that fit, gives
 * the fewest prefixes there can be: two of the blocks that could be one would have been taken as one,
 * and no block reaches over the gap between two stretches.
 */
#include "kobold_export.h"
#include "kobold_priv.h"

/* ---- stretches ----------------------------------------------------------------------------------- */

/* Also cut where another system begins; returns that of the span. */
static uint32_t
cut_by_system(const kobold *k, int family, struct kobold_stretch *s)
{
    uint32_t number;
    if (family == 4) {
        uint32_t last;
        number = kobold_as_v4_span(k, (uint32_t)s->first_lo, &last);
        s->last_lo = last < s->last_lo ? last : s->last_lo;
        return number;
    }
    uint64_t hi;
    uint64_t lo;
    number = kobold_as_v6_span(k, s->first_hi, s->first_lo, &hi, &lo);
    if (hi < s->last_hi || (hi == s->last_hi && lo < s->last_lo)) {
        s->last_hi = hi;
        s->last_lo = lo;
    }
    return number;
}

static bool
has_system(const struct kobold_group *g, uint32_t number)
{
    for (unsigned i = 0; i < g->system_count; i++) {
        if (g->systems[i] == number) {
            return true;
        }
    }
    return false;
}

static void
next_span(const kobold *k, int family, uint64_t hi, uint64_t lo, struct kobold_stretch *ret)
{
    ret->first_hi = hi;
    ret->first_lo = lo;
    if (family == 4) {
        uint32_t last;
        ret->value = kobold_v4_span(k, (uint32_t)lo, &last);
        ret->last_hi = 0;
        ret->last_lo = last;
    } else {
        ret->value = kobold_v6_span(k, hi, lo, &ret->last_hi, &ret->last_lo);
    }
}

static bool
is_end(int family, const struct kobold_stretch *s)
{
    return family == 4 ? s->last_lo == UINT32_MAX
                       : s->last_hi == UINT64_MAX && s->last_lo == UINT64_MAX;
}

int
kobold_each_stretch(const kobold *k, int family, const struct kobold_group *g,
                    kobold_stretch_fn *fn, void *arg)
{
    struct kobold_stretch span = { .last_hi = UINT64_MAX, .last_lo = UINT64_MAX };
    struct kobold_stretch open = { 0 };
    bool is_open = false;
    int r = 0;
    do {
        uint64_t lo = span.last_lo + 1;
        uint64_t hi = family == 4 ? 0 : span.last_hi + (span.last_lo == UINT64_MAX);
        next_span(k, family, hi, lo, &span);
        bool is_wanted = g == NULL || kobold_group_has(g, span.value);
        if (g != NULL && g->system_count > 0) {
            uint32_t number = cut_by_system(k, family, &span);
            is_wanted |= has_system(g, number);
        }
        if (is_open && (!is_wanted || g == NULL)) {
            r = fn(arg, family, &open);
            is_open = false;
        }
        if (is_wanted && !is_open) {
            open = span;
        }
        if (is_wanted) {
            open.last_hi = span.last_hi;
            open.last_lo = span.last_lo;
            is_open = true;
        }
    } while (r == 0 && !is_end(family, &span));
    return r == 0 && is_open ? fn(arg, family, &open) : r;
}

/* ---- prefixes ---------------------------------------------------------------------------------------- */

struct half {
    uint64_t hi, lo;
};

/* The last address of the block of 2^bits that begins at `a`. */
static struct half
block_last(struct half a, unsigned bits)
{
    uint64_t hi = bits <= 64 ? 0 : bits == 128 ? UINT64_MAX : (1ULL << (bits - 64)) - 1;
    uint64_t lo = bits >= 64 ? UINT64_MAX : (1ULL << bits) - 1;
    return (struct half){ a.hi | hi, a.lo | lo };
}

static unsigned
zeros_below(struct half a, unsigned width)
{
    unsigned n = a.lo != 0   ? (unsigned)__builtin_ctzll(a.lo)
                 : a.hi != 0 ? 64 + (unsigned)__builtin_ctzll(a.hi)
                             : 128;
    return n < width ? n : width;
}

int
kobold_networks_of(int family, const struct kobold_stretch *s, kobold_network_fn *fn, void *arg)
{
    unsigned width = family == 4 ? 32 : 128;
    struct half at = { s->first_hi, s->first_lo };
    for (;;) {
        unsigned bits = zeros_below(at, width);
        struct half last = block_last(at, bits);
        while (last.hi > s->last_hi || (last.hi == s->last_hi && last.lo > s->last_lo)) {
            last = block_last(at, --bits);
        }
        struct kobold_network n = { at.hi, at.lo, (uint8_t)(width - bits) };
        int r = fn(arg, family, &n, s->value);
        if (r != 0 || (last.hi == s->last_hi && last.lo == s->last_lo)) {
            return r;
        }
        at = (struct half){ last.hi + (last.lo == UINT64_MAX), last.lo + 1 };
    }
}

struct to_networks {
    kobold_network_fn *fn;
    void *arg;
};

static int
cut_stretch(void *arg, int family, const struct kobold_stretch *s)
{
    const struct to_networks *t = arg;
    return kobold_networks_of(family, s, t->fn, t->arg);
}

int
kobold_each_network(const kobold *k, int family, const struct kobold_group *g,
                    kobold_network_fn *fn, void *arg)
{
    struct to_networks t = { fn, arg };
    return kobold_each_stretch(k, family, g, cut_stretch, &t);
}

/* ---- text ------------------------------------------------------------------------------------------------ */

size_t
kobold_half_format(int family, uint64_t hi, uint64_t lo, char buf[BH_IP_TEXT_MAX])
{
    struct bh_ip ip = family == 4 ? bh_ip_from_v4((uint32_t)lo) : bh_ip_from_v6(hi, lo);
    return bh_ip_format(&ip, buf);
}

size_t
kobold_network_format(int family, const struct kobold_network *n, char buf[KOBOLD_NETWORK_TEXT_MAX])
{
    char address[BH_IP_TEXT_MAX];
    kobold_half_format(family, n->hi, n->lo, address);
    return (size_t)snprintf(buf, KOBOLD_NETWORK_TEXT_MAX, "%s/%u", address, n->len);
}

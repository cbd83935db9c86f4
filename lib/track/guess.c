/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guess of home, from the first 65,536 IP packets of a file (MEANING.md 2): what an imported log
 * calls its own (a firewall knows what came in to it); else addresses that
 * received SYNs from at least three sources, or answered one; else those that answered anything
 * else (a ping, a datagram with "unreachable", a bare ACK with RST: sweeps and UDP or ACK scans
 * hold no SYN); else the destination of most packets.
 */
#include "track_priv.h"

#include <errno.h>
#include <stdlib.h>

struct seen {
    uint64_t hi, lo;     /* IPv4: hi = 0, lo = address | 1 << 32 */
    uint32_t packets;    /* as destination */
    uint32_t sources[3]; /* hashes of up to three SYN sources */
    uint8_t source_count;
    bool used, is_v6;
    bool answered; /* a SYN           */
    bool replied;  /* to anything else */
    bool told;     /* to be ours, by the log */
    bool group;    /* broadcast or multicast */
};

struct bh_home_guess {
    struct seen *slot;
    uint32_t mask, count;
    uint64_t packets;
    uint64_t *asked; /* hashes of what an answer answers: see conversation() */
    uint32_t asked_mask;
};

struct bh_home_guess *
bh_home_guess_new(uint32_t packets)
{
    struct bh_home_guess *g = calloc(1, sizeof *g);
    if (g == NULL) {
        return NULL;
    }
    uint32_t slots = 256; /* two addresses a packet at most: load never above a half */
    while (slots < 4 * BH_HOME_GUESS_PACKETS && slots < 4ULL * packets) {
        slots *= 2;
    }
    g->mask = slots - 1;
    g->asked_mask = slots / 2 - 1;
    g->slot = bh_pages_new(sizeof *g->slot * (g->mask + 1UL), true);
    g->asked = bh_pages_new(sizeof *g->asked * (g->asked_mask + 1UL), true);
    if (g->slot == NULL || g->asked == NULL) {
        bh_home_guess_free(g);
        return NULL;
    }
    return g;
}

void
bh_home_guess_free(struct bh_home_guess *g)
{
    if (g != NULL) {
        bh_pages_free(g->slot, sizeof *g->slot * (g->mask + 1UL));
        bh_pages_free(g->asked, sizeof *g->asked * (g->asked_mask + 1UL));
        free(g);
    }
}

static struct seen *
look(struct bh_home_guess *g, uint64_t hi, uint64_t lo, bool is_v6)
{
    uint32_t at = (uint32_t)bh_mix64(hi, lo) & g->mask;
    while (g->slot[at].used) {
        struct seen *s = &g->slot[at];
        if (s->hi == hi && s->lo == lo && s->is_v6 == is_v6) {
            return s;
        }
        at = (at + 1) & g->mask;
    }
    struct seen *s = &g->slot[at];
    s->hi = hi;
    s->lo = lo;
    s->is_v6 = is_v6;
    s->used = true;
    s->group = is_v6 ? hi >> 56 == 0xff : (lo >> 28 & 0xf) == 0xe || (uint32_t)lo == UINT32_MAX;
    g->count++;
    return s;
}

static bool
asked_known(const struct bh_home_guess *g, uint64_t hash)
{
    for (uint32_t at = (uint32_t)(hash >> 32) & g->asked_mask; g->asked[at] != 0;
         at = (at + 1) & g->asked_mask) {
        if (g->asked[at] == hash) {
            return true;
        }
    }
    return false;
}

static void
asked_add(struct bh_home_guess *g, uint64_t hash)
{
    uint32_t at = (uint32_t)(hash >> 32) & g->asked_mask;
    while (g->asked[at] != 0 && g->asked[at] != hash) {
        at = (at + 1) & g->asked_mask;
    }
    g->asked[at] = hash;
}

static void
note_source(struct seen *d, uint32_t hash)
{
    for (unsigned i = 0; i < d->source_count; i++) {
        if (d->sources[i] == hash) {
            return;
        }
    }
    if (d->source_count < 3) {
        d->sources[d->source_count++] = hash;
    }
}

/* Who asked whom, and by what: `ports` as the asker has them; 0 with ICMP. */
static uint64_t
conversation(uint64_t from, uint64_t to, uint32_t ports, unsigned proto)
{
    return bh_mix64(bh_mix64(from, to), (uint64_t)ports << 8 | proto) | 1;
}

static inline uint64_t
address_hash(uint64_t hi, uint64_t lo)
{
    return bh_mix64(hi ^ 1, lo);
}

/* An error about what the receiver sent to the sender itself: routers speak of others. */
static bool
quotes_asker(const struct bh_home_guess *g, const struct bh_batch *b, uint32_t i, uint64_t from,
             uint64_t to)
{
    for (uint32_t k = 0; k < b->quote_rows && b->quotes[k].row <= i; k++) {
        const struct bh_quote *q = &b->quotes[k];
        if (q->row != i) {
            continue;
        }
        bool v6 = q->kind == BH_KIND_IP6;
        uint64_t asker = v6 ? address_hash(q->ip6.src_hi, q->ip6.src_lo) : address_hash(0, q->src);
        uint64_t asked = v6 ? address_hash(q->ip6.dst_hi, q->ip6.dst_lo) : address_hash(0, q->dst);
        bool by_port = q->has_ports && (q->proto == BH_PROTO_TCP || q->proto == BH_PROTO_UDP);
        return asker == to && asked == from &&
               asked_known(g, conversation(to, from, by_port ? q->ports : 0, q->proto));
    }
    return false;
}

/* Notes what a packet asks for, or whom it answers: a SYN, or anything else. */
static void
guess_answers(struct bh_home_guess *g, const struct bh_batch *b, uint32_t i, uint64_t from,
              uint64_t to, struct seen *s, struct seen *d)
{
    const unsigned proto = b->proto[i], type = b->ports[i] >> 16;
    const uint32_t back = b->ports[i] << 16 | b->ports[i] >> 16;
    if (proto == BH_PROTO_TCP && (b->marks[i] & BH_MARK_NO_FLAGS) == 0) {
        unsigned flags = b->tcp_flags[i] & (BH_TCP_SYN | BH_TCP_ACK | BH_TCP_RST | BH_TCP_FIN);
        if (flags == BH_TCP_SYN) {
            note_source(d, (uint32_t)from);
            asked_add(g, conversation(from, to, b->ports[i], proto));
        } else if ((flags & BH_TCP_RST) != 0 || flags == (BH_TCP_SYN | BH_TCP_ACK)) {
            s->answered |= asked_known(g, conversation(to, from, back, proto));
            s->replied |=
                (flags & BH_TCP_RST) != 0 && asked_known(g, conversation(to, from, back, 0));
        } else if (flags == BH_TCP_ACK || flags == 0 || flags == BH_TCP_FIN) {
            asked_add(g, conversation(from, to, b->ports[i], 0));
        }
    } else if (proto == BH_PROTO_UDP) {
        asked_add(g, conversation(from, to, b->ports[i], proto));
    } else if (proto == BH_PROTO_ICMP || proto == BH_PROTO_ICMP6) {
        bool v6 = proto == BH_PROTO_ICMP6;
        if (type == (v6 ? 128 : 8)) {
            asked_add(g, conversation(from, to, 0, proto));
        } else if (type == (v6 ? 129 : 0)) {
            s->replied |= asked_known(g, conversation(to, from, 0, proto));
        } else if (type == (v6 ? 1 : 3)) {
            s->replied |= quotes_asker(g, b, i, from, to);
        }
    }
}

static void
guess_row(struct bh_home_guess *g, const struct bh_batch *b, uint32_t i)
{
    uint64_t shi, slo, dhi, dlo;
    bool is_v6 = b->kind[i] == BH_KIND_IP6;
    if (is_v6) {
        const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
        shi = p->src_hi, slo = p->src_lo, dhi = p->dst_hi, dlo = p->dst_lo;
    } else {
        shi = dhi = 0;
        slo = b->src[i];
        dlo = b->dst[i];
    }
    struct seen *d = look(g, dhi, dlo, is_v6);
    d->packets++;
    if (b->has_direction) {
        d->told |= b->direction[i] == BH_DIR_IN || b->direction[i] == BH_DIR_LOCAL;
        look(g, shi, slo, is_v6)->told |=
            b->direction[i] == BH_DIR_OUT || b->direction[i] == BH_DIR_LOCAL;
    }
    if ((b->marks[i] & BH_MARK_NO_PORTS) == 0) {
        struct seen *s = look(g, shi, slo, is_v6); /* never moves d: the table does not grow */
        guess_answers(g, b, i, address_hash(shi, slo), address_hash(dhi, dlo), s, d);
    }
}

bool
bh_home_guess_batch(struct bh_home_guess *g, const struct bh_batch *b)
{
    for (uint32_t i = 0; i < b->rows && g->packets < BH_HOME_GUESS_PACKETS; i++) {
        if (b->kind[i] == BH_KIND_IP4 || b->kind[i] == BH_KIND_IP6) {
            g->packets++;
            guess_row(g, b, i);
        }
    }
    return g->packets < BH_HOME_GUESS_PACKETS;
}

/* A range as prefixes that --home would read: take again and again the largest that fits. */
static void
put_prefixes(struct bh_buf *out, uint32_t first, uint32_t last)
{
    char text[BH_IP_TEXT_MAX];
    for (uint64_t at = first; at <= last;) {
        unsigned bits = at == 0 ? 32 : (unsigned)__builtin_ctzll(at);
        while (bits > 0 && (bits > 31 || at + (1ULL << bits) - 1 > last)) {
            bits--;
        }
        struct bh_ip ip = bh_ip_from_v4((uint32_t)at);
        bh_ip_format(&ip, text);
        bh_buf_printf(out, bits == 0 ? "%s%s" : "%s%s/%u", out->len > 0 ? "," : "", text,
                      32 - bits);
        at += 1ULL << bits;
    }
}

/* "203.0.113.1-203.0.113.254, 203.0.114.9": at most a few ranges in words. */
static void
describe(struct bh_home *h)
{
    size_t total = h->v4_count + h->v6_count, shown = 0;
    char a[BH_IP_TEXT_MAX], z[BH_IP_TEXT_MAX];
    for (size_t i = 0; i < total; i++) {
        struct bh_ip first, last;
        if (i < h->v4_count) {
            first = bh_ip_from_v4(h->v4[i].first);
            last = bh_ip_from_v4(h->v4[i].last);
        } else {
            const struct bh_home6 *r = &h->v6[i - h->v4_count];
            first = bh_ip_from_v6(r->first_hi, r->first_lo);
            last = bh_ip_from_v6(r->last_hi, r->last_lo);
        }
        bh_ip_format(&first, a);
        bh_ip_format(&last, z);
        bool single = strcmp(a, z) == 0;
        if (i < h->v4_count) {
            put_prefixes(&h->networks, h->v4[i].first, h->v4[i].last);
        } else {
            bh_buf_printf(&h->networks, "%s%s", i > 0 ? "," : "", a);
        }
        if (shown == 4) {
            continue;
        }
        shown++;
        for (int lang = 0; lang < BH_LANGS; lang++) {
            bh_buf_printf(&h->text[lang], "%s%s%s%s",
                          i == 0          ? ""
                          : lang == BH_JA ? "、"
                                          : ", ",
                          a, single ? "" : "-", single ? "" : z);
        }
    }
    if (total > shown) {
        bh_buf_printf(&h->text[BH_EN], " and %zu more", total - shown);
        bh_buf_printf(&h->text[BH_JA], " ほか %zu 件", total - shown);
    }
}

static int
take(struct bh_home *h, const struct seen *s)
{
    return s->is_v6 ? home_add_host6(h, s->hi, s->lo)
                    : home_add_range4(h, (uint32_t)s->lo, (uint32_t)s->lo);
}

/* The order of addresses: IPv4 first. What is as good as another must not depend on hashes. */
static bool
is_before(const struct seen *a, const struct seen *b)
{
    return a->is_v6 != b->is_v6 ? b->is_v6 : a->hi != b->hi ? a->hi < b->hi : a->lo < b->lo;
}

int
bh_home_guess_end(struct bh_home_guess *g, struct bh_home *ret_home, struct bh_error *err)
{
    struct bh_home h = { .guessed = true };
    const struct seen *most = NULL, *group = NULL;
    int r = 0;
    for (uint32_t i = 0; i <= g->mask && r == 0; i++) {
        const struct seen *s = &g->slot[i];
        if (s->used && s->told && s->group) {
            group = group == NULL || is_before(s, group) ? s : group;
        } else if (s->used && s->told) {
            r = take(&h, s);
        }
    }
    const bool by_log = h.v4_count + h.v6_count > 0;
    for (uint32_t i = 0; i <= g->mask && r == 0 && !by_log; i++) {
        const struct seen *s = &g->slot[i];
        if (s->used && !s->group && (s->source_count >= 3 || s->answered)) {
            r = take(&h, s);
        }
    }
    const bool by_syn = h.v4_count + h.v6_count > 0;
    for (uint32_t i = 0; i <= g->mask && r == 0 && !by_syn; i++) {
        const struct seen *s = &g->slot[i];
        if (!s->used || s->group) {
            continue;
        }
        if (s->replied) {
            r = take(&h, s);
        }
        if (s->packets > 0 && (most == NULL || s->packets > most->packets ||
                               (s->packets == most->packets && is_before(s, most)))) {
            most = s;
        }
    }
    if (r == 0 && h.v4_count + h.v6_count == 0) {
        most = most == NULL ? group : most; /* a log of nothing but calls to all */
        if (most == NULL) {
            return bh_error_set(err, BH_EUSAGE, "",
                                "there is no IP packet to guess home from; say what you watch "
                                "for with --home ADDRESS/LEN",
                                "IP パケットがないため自分側を推定できません。--home "
                                "アドレス/長さ で指定してください");
        }
        r = take(&h, most);
    }
    if (r != 0) {
        bh_home_done(&h);
        return bh_error_errno(err, -r, "", "out of memory", "メモリが足りません");
    }
    home_finish(&h);
    describe(&h);
    *ret_home = h;
    return 0;
}

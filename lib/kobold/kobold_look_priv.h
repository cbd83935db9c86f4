/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_look_priv.h - what the look-ups of all instruction sets share: numbers of the file, and the IPv4
 * tables.
 */
#ifndef KOBOLD_LOOK_PRIV_H
#define KOBOLD_LOOK_PRIV_H

#include "kobold_priv.h"

#define BATCH 512 /* IPv4 keys between two turns to those that need a second step */
#define GROUP 32  /* IPv6 keys whose blocks are asked for together */

static BH_ALWAYS_INLINE uint16_t
le16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap16(v);
#endif
    return v;
}

static BH_ALWAYS_INLINE uint32_t
le32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

static BH_ALWAYS_INLINE uint64_t
le64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

uint16_t
kobold_v6_deep(const kobold *k, uint64_t hi, uint64_t lo, const uint8_t *block, size_t slot);

/* The three steps of an IPv4 look-up: the middle node, the low node, the octet. */
static BH_ALWAYS_INLINE unsigned
v4_top(const kobold *k, uint32_t a)
{
    return le16(k->head.v4_top + (size_t)(a >> 16) * 2);
}

static BH_ALWAYS_INLINE unsigned
v4_middle(const kobold *k, uint32_t a, unsigned node)
{
    return le16(k->head.v4_middle + (size_t)node * (KDB_V4_CELLS * 2) + (a >> 11 & 30));
}

static BH_ALWAYS_INLINE uint8_t
v4_below_top(const kobold *k, uint32_t a, unsigned node)
{
    return k->head.v4_low[(size_t)v4_middle(k, a, node) * KDB_V4_CELLS + (a >> 8 & 15)];
}

#endif

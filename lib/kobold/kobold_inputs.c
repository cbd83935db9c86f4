/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_inputs.c - what the inputs of a database said about an address: the cold section
 * KDB_INPUTS (docs/format/kdb.md), which only `explain` and its like ever touch.
 *
 * Nothing of it is checked when the file is opened. Every number is compared with what is there
 * before it is used, and the octets of runs are read through a cursor: whatever a file holds, a
 * question costs at most a binary search and 64 runs, inside the section.
 */
#include "kobold_priv.h"

void
kobold_find_cold(kobold *k)
{
    uint32_t count = bh_get_le32(k->data + KDB_AT_SECTIONS);
    for (uint32_t i = 0; i < count; i++) { /* bounds: find_sections() */
        const uint8_t *s = k->data + KDB_AT_TABLE + (size_t)i * KDB_SECTION_SIZE;
        struct kobold_cold part = { k->data + bh_get_le64(s + 8), (size_t)bh_get_le64(s + 16) };
        if (bh_get_le32(s) == KDB_INPUTS && part.size >= KDB_INPUTS_HEADER) {
            k->inputs = part;
        } else if (bh_get_le32(s) == KDB_AS) {
            kobold_find_as(k, part.data, part.size);
        }
    }
}

/* ---- the section ------------------------------------------------------------------------------ */

struct inputs {
    const uint8_t *rows, *index, *runs;
    size_t count, index_count, runs_size;
};

static bool
find_inputs(const kobold *k, struct inputs *ret)
{
    const struct kobold_cold *s = &k->inputs;
    if (s->data == NULL) {
        return false;
    }
    size_t left = s->size - KDB_INPUTS_HEADER;
    size_t count = bh_get_le32(s->data);
    uint64_t index = bh_get_le64(s->data + 8);
    if (count > UINT16_MAX || count > left / KDB_INPUT_SIZE) {
        return false;
    }
    left -= count * KDB_INPUT_SIZE;
    if (index > left / KDB_INDEX_SIZE) {
        return false;
    }
    left -= (size_t)index * KDB_INDEX_SIZE;
    ret->rows = s->data + KDB_INPUTS_HEADER;
    ret->index = ret->rows + count * KDB_INPUT_SIZE;
    ret->runs = ret->index + (size_t)index * KDB_INDEX_SIZE;
    ret->count = count;
    ret->index_count = (size_t)index;
    ret->runs_size = left;
    return true;
}

static bh_u128
take_leb(struct bh_cur *c)
{
    bh_u128 v = 0;
    for (unsigned shift = 0; shift < 128; shift += 7) {
        unsigned octet = bh_cur_u8(c);
        v |= (bh_u128)(octet & 127) << shift;
        if (octet < 128) {
            return v;
        }
    }
    c->bad = true;
    return 0;
}

static bh_u128
index_address(const uint8_t *entry)
{
    return (bh_u128)bh_get_le64(entry) << 64 | bh_get_le64(entry + 8);
}

/* Days since 1970 as yyyymmdd (Hinnant, "chrono-compatible low-level date algorithms"). */
static uint32_t
date_of_days(unsigned days)
{
    if (days == 0) {
        return 0;
    }
    unsigned z = days + 719468;
    unsigned era = z / 146097;
    unsigned doe = z - era * 146097;
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;
    return (yoe + era * 400 + (month <= 2)) * 10000 + month * 100 + doy - (153 * mp + 2) / 5 + 1;
}

/* One run's own words; false: the input says nothing there. */
static bool
take_what(struct bh_cur *c, const kobold *k, bool has_details, uint32_t *line,
          struct kobold_opinion *ret)
{
    bh_u128 what = take_leb(c);
    if (what == 0) {
        return false;
    }
    uint64_t step = (uint64_t)take_leb(c);
    *line += 1 + (uint32_t)(step >> 1 ^ (0 - (step & 1)));
    ret->line = *line;
    ret->value = what == 1                   ? KOBOLD_VALUE_UNALLOCATED
                 : what - 2 < k->value_count ? (uint16_t)(what - 2)
                                             : KOBOLD_VALUE_UNKNOWN;
    ret->registry = 0;
    ret->status = 0;
    ret->date = 0;
    if (has_details) {
        unsigned both = bh_cur_u8(c);
        unsigned low = bh_cur_u8(c);
        ret->registry = (uint8_t)(both >> 4);
        ret->status = (uint8_t)(both & 15);
        ret->date = date_of_days(low | (unsigned)bh_cur_u8(c) << 8);
    }
    return !c->bad;
}

/* What an input says about an address; false: nothing. */
static bool
ask_input(const kobold *k, const struct inputs *in, size_t input, int family, bh_u128 address,
          struct kobold_opinion *ret)
{
    const uint8_t *row = in->rows + input * KDB_INPUT_SIZE;
    const uint8_t *numbers = row + KDB_INPUT_AT_FAMILY + (family == 6 ? 8 : 0);
    size_t first = bh_get_le32(numbers);
    size_t runs = bh_get_le32(numbers + 4);
    size_t blocks = (runs + KDB_INDEX_RUNS - 1) / KDB_INDEX_RUNS;
    if (blocks == 0 || first > in->index_count || blocks > in->index_count - first) {
        return false;
    }
    const uint8_t *index = in->index + first * KDB_INDEX_SIZE;
    size_t block = 0; /* the last that begins at or before the address */
    for (size_t n = blocks; n > 1;) {
        size_t half = n / 2;
        block += index_address(index + (block + half) * KDB_INDEX_SIZE) <= address ? half : 0;
        n -= half;
    }
    const uint8_t *entry = index + block * KDB_INDEX_SIZE;
    uint64_t offset = bh_get_le64(entry + 16);
    if (offset > in->runs_size) {
        return false;
    }
    struct bh_cur c = bh_cur_over(in->runs + offset, in->runs_size - (size_t)offset);
    bool has_details = (row[KDB_INPUT_AT_FLAGS] & KDB_INPUT_HAS_DETAILS) != 0;
    size_t left = runs - block * KDB_INDEX_RUNS;
    bh_u128 start = index_address(entry);
    uint32_t line = 0;
    bool is_listed = false;
    struct kobold_opinion opinion = { .input = (uint16_t)input, .layer = row[KDB_INPUT_AT_LAYER] };
    if (start > address) {
        return false;
    }
    for (size_t i = 0;;) {
        bool is_said = take_what(&c, k, has_details, &line, &opinion);
        if (c.bad) {
            return false;
        }
        is_listed = is_said;
        *ret = opinion;
        if (++i == left || i == KDB_INDEX_RUNS) {
            break;
        }
        unsigned zeros = bh_cur_u8(&c) & 127;
        start += take_leb(&c) << zeros;
        if (c.bad || start > address) {
            break;
        }
    }
    return is_listed;
}

/* ---- questions ---------------------------------------------------------------------------------- */

/* An address as the lists have it, embedded IPv4 unwrapped. False: of no family we know. */
static bool
key_of(const uint8_t *octets, int *family, bh_u128 *ret)
{
    uint32_t v4 = 0;
    if (*family == 4) {
        *ret = bh_get_be32(octets);
        return true;
    }
    if (*family != 6) {
        return false;
    }
    uint64_t hi = bh_get_be64(octets);
    uint64_t lo = bh_get_be64(octets + 8);
    if (kobold_carrier(hi, lo, &v4) != KOBOLD_CARRIER_NONE) {
        *family = 4;
        *ret = v4;
        return true;
    }
    *ret = (bh_u128)hi << 64 | lo;
    return true;
}

size_t
kobold_opinions(const kobold *k, const uint8_t *octets, int family, struct kobold_opinion *ret,
                size_t max)
{
    struct inputs in;
    struct kobold_value v;
    bh_u128 address;
    size_t n = 0;
    uint16_t value = kobold_lookup(k, octets, family).value;
    if (!find_inputs(k, &in) || !key_of(octets, &family, &address)) {
        return 0;
    }
    /* Special use, or space that nobody has given out (IPv6 outside of 2000::/3): no input decided. */
    bool is_decided = kobold_value_info(k, value, &v) &&
                      (v.kind == KOBOLD_SPECIAL || v.kind == KOBOLD_UNALLOCATED);
    /* The last one wins; second opinions stand behind all others, and are told last. */
    for (int is_second = 0; is_second < 2; is_second++) {
        for (size_t i = in.count; i > 0; i--) {
            struct kobold_opinion o;
            bool is_mine = (in.rows[(i - 1) * KDB_INPUT_SIZE + KDB_INPUT_AT_LAYER] ==
                            KOBOLD_LAYER_SECOND) == (is_second == 1);
            if (!is_mine || !ask_input(k, &in, i - 1, family, address, &o)) {
                continue;
            }
            o.has_decided = !is_decided && is_second == 0 && o.value != KOBOLD_VALUE_UNALLOCATED;
            is_decided |= o.has_decided;
            if (n < max) {
                ret[n] = o;
            }
            n++;
        }
    }
    return n;
}

uint16_t
kobold_second(const kobold *k, const uint8_t *octets, int family)
{
    struct inputs in;
    struct kobold_opinion o;
    bh_u128 address;
    if (!find_inputs(k, &in) || !key_of(octets, &family, &address)) {
        return KOBOLD_VALUE_UNKNOWN;
    }
    for (size_t i = in.count; i > 0; i--) {
        if (in.rows[(i - 1) * KDB_INPUT_SIZE + KDB_INPUT_AT_LAYER] == KOBOLD_LAYER_SECOND &&
            ask_input(k, &in, i - 1, family, address, &o)) {
            return o.value;
        }
    }
    return KOBOLD_VALUE_UNKNOWN;
}

unsigned
kobold_input_count(const kobold *k)
{
    struct inputs in;
    return find_inputs(k, &in) ? (unsigned)in.count : 0;
}

bool
kobold_input_info(const kobold *k, unsigned input, struct kobold_input_info *ret)
{
    struct inputs in;
    if (!find_inputs(k, &in) || input >= in.count) {
        return false;
    }
    const uint8_t *row = in.rows + input * KDB_INPUT_SIZE;
    kobold_take_text(ret->name, sizeof ret->name, row, 256);
    kobold_take_key(ret->date, sizeof ret->date, row + KDB_INPUT_AT_DATE, 16);
    kobold_take_text(ret->licence, sizeof ret->licence, row + KDB_INPUT_AT_LICENCE, 64);
    kobold_take_key(ret->format, sizeof ret->format, row + KDB_INPUT_AT_FORMAT, 16);
    ret->layer = row[KDB_INPUT_AT_LAYER];
    ret->v4_runs = bh_get_le32(row + KDB_INPUT_AT_FAMILY + 4);
    ret->v6_runs = bh_get_le32(row + KDB_INPUT_AT_FAMILY + 12);
    return true;
}

/* ---- words ---------------------------------------------------------------------------------------- */

const char *
kobold_registry_name(int registry)
{
    static const char *const names[] = { "",       "afrinic", "apnic", "arin",
                                         "lacnic", "ripencc", "iana",  "ietf" };
    return registry >= 0 && registry < (int)BH_COUNT(names) ? names[registry] : "";
}

const char *
kobold_status_name(int status)
{
    static const char *const names[] = { "",         "allocated", "assigned", "available",
                                         "reserved", "delegated", "legacy" };
    return status >= 0 && status < (int)BH_COUNT(names) ? names[status] : "";
}

const char *
kobold_layer_name(int layer)
{
    static const char *const names[] = { "data", "geofeed", "override", "second" };
    return layer >= 0 && layer < (int)BH_COUNT(names) ? names[layer] : "";
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_priv.h - what the files of this folder share: the layout of the database file
 * (docs/format/kdb.md), the open handle, and the generated tables of names.
 */
#ifndef KOBOLD_PRIV_H
#define KOBOLD_PRIV_H

#include "kobold.h"

#include "bh_base.h"

/* ---- the file -------------------------------------------------------------------------------- */

/* Not ASCII at the front, both line ends inside: a transfer in text mode shows at once. */
#define KDB_MAGIC "\x89KDB\r\n\x1a\n"
#define KDB_MAGIC_SIZE 8

enum {
    KDB_VERSION = 1,
    KDB_HEADER_SIZE = 1024,
    KDB_VALUE_SIZE = 80,
    KDB_SECTIONS_MAX = 20,
    KDB_SECTION_SIZE = 24,

    /* Octets of the header. */
    KDB_AT_VERSION = 8,
    KDB_AT_HEADER_SIZE = 12,
    KDB_AT_COMPATIBLE = 16,
    KDB_AT_INCOMPATIBLE = 20,
    KDB_AT_FILE_SIZE = 24,
    KDB_AT_BODY_SUM = 32,
    KDB_AT_V4_RANGES = 40,
    KDB_AT_V6_RANGES = 44,
    KDB_AT_VALUES = 48,
    KDB_AT_SECTIONS = 52,
    KDB_AT_NAME = 64,
    KDB_AT_DATE = 128,
    KDB_AT_LICENCE = 144,
    KDB_AT_SOURCE = 208,
    KDB_AT_TABLE = 336,
    KDB_AT_HEADER_SUM = 1016,
};

enum {
    KDB_VALUES = 1,
    KDB_V4_TOP = 2,
    KDB_V4_MIDDLE = 3,
    KDB_V4_LOW = 4,
    KDB_V4_GROUP = 5,
    KDB_V4_RECORD = 6,
    KDB_V4_SIDE = 7,
    KDB_V6_INNER = 8,
    KDB_V6_BLOCK = 9,
    KDB_V6_GROUP = 10,
    KDB_V6_ENTRY = 11,
    KDB_SECTION_KINDS = 12,

    /* Cold: found when the file is opened, looked at when somebody asks. */
    KDB_INPUTS = 32, /* what the inputs said */
    KDB_AS = 33,     /* autonomous systems   */
};

enum { /* KDB_AS */
       KDB_AS_HEADER = 320,
       KDB_AS_AT_NAME = 48,
       KDB_AS_AT_DATE = 112,
       KDB_AS_AT_LICENCE = 128,
       KDB_AS_AT_SOURCE = 192,
       KDB_AS_SAMPLE = 64, /* every how many IPv6 runs there is a sample */
};

enum {                         /* KDB_INPUTS */
       KDB_INPUTS_HEADER = 64, /* before the rows                               */
       KDB_INPUT_SIZE = 384,
       KDB_INPUT_AT_DATE = 256,
       KDB_INPUT_AT_LICENCE = 272,
       KDB_INPUT_AT_FORMAT = 336,
       KDB_INPUT_AT_LAYER = 352,
       KDB_INPUT_AT_FLAGS = 353,
       KDB_INPUT_AT_FAMILY = 356, /* twice: first index entry, number of runs      */
       KDB_INPUT_HAS_DETAILS = 1,
       KDB_INDEX_SIZE = 24, /* first address, offset of the block's octets   */
       KDB_INDEX_RUNS = 64, /* runs of a block; the last one may have fewer  */
};

enum {
    KDB_ESCAPE = 255,        /* an octet: look one step deeper                            */
    KDB_V4_CELLS = 16,       /* of a middle node (2 octets each) and of a low one (one)    */
    KDB_V4_UNIFORM = 256,    /* first nodes of both kinds: number i says i in every cell   */
    KDB_RECORD_COUNT = 0x1f, /* first octet of a record: borders listed, or the map's shift */
    KDB_RECORD_SHIFT = 7,
    KDB_RECORD_MAP = 0x20,
    KDB_RECORD_ALTERNATING = 0x40,
    KDB_RECORD_WIDE = 0x80, /* values of two octets                                         */
    KDB_RECORD_SLACK = 512, /* octets after the last record, more than the longest          */
    KDB_V4_SIDE_SIZE = 6,   /* an address and a value                                       */
    KDB_FANOUT = 16,
    KDB_BLOCK_SIZE = 64,
    KDB_BLOCK_KEYS = 20,   /* the first is not stored                                       */
    KDB_BLOCK_PAD = 65535, /* a border that no key reaches                                  */
    KDB_BLOCK_VALUES = 38, /* octet of the block where values begin                         */
    KDB_BLOCK_SHIFT = 58,
    KDB_BLOCK_GROUP = 60,   /* number of the first escape's group                            */
    KDB_V6_ENTRY_SIZE = 10, /* lower half, value                                             */
    KDB_LEVELS_MAX = 8,
    KDB_VALUES_MIN = 256, /* every octet is then a good value, whatever the file holds  */
};

/* Octets of a record's map of 256 >> shift bits. */
#define KDB_RECORD_MAP_SIZE(shift) ((shift) < 6 ? 32U >> (shift) : 1U)

/* FNV-1a, 64 bits: three lines for whoever writes another reader, and verify is no hot path. */
static inline uint64_t
kdb_sum(const uint8_t *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325U;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ p[i]) * 0x100000001b3U;
    }
    return h;
}

/* ---- the open handle --------------------------------------------------------------------------- */

/* A section whose every use checks for itself. NULL: not there. */
struct kobold_cold {
    const uint8_t *data;
    size_t size;
};

/* KDB_AS, in parts; zero without it. */
struct kobold_as {
    const uint8_t *v4_top, *v4_low, *v4_value;
    const uint8_t *v6_sample, *v6_hi, *v6_lo, *v6_value;
    const uint8_t *numbers, *name_at, *text, *header;
    size_t text_size;
    uint32_t v4_runs, v6_runs, samples, names;
};

struct kobold {
    struct kobold_head head; /* the IPv4 tables: first, as kobold.h promises */

    /* Read by every look-up of IPv6. */
    const uint8_t *v6_level[KDB_LEVELS_MAX], *v6_lowest, *v6_block;
    uint32_t v6_levels;
    const struct kobold_look *look;

    /* Read by the few that go deeper. */
    const uint8_t *v4_group, *v4_record, *v4_side;
    const uint8_t *v6_group, *v6_entry;
    size_t v4_record_last;
    uint32_t v4_groups, v4_sides, v6_groups, v6_entries, v6_blocks;
    uint32_t value_count;

    const uint8_t *values;
    const uint8_t *data;
    size_t size;
    bool is_mapped;
    struct kobold_pins *pins; /* in a kobold_live (kobold_pin.c); else NULL */

    struct kobold_cold inputs; /* KDB_INPUTS */
    struct kobold_as as;
};

/* Points `inputs` and the like at what the section table names; touches none of it. */
void kobold_find_cold(kobold *k);
void kobold_find_as(kobold *k, const uint8_t *data, size_t size);
/* The system of an address, and the last address from there on that has the same; not below it. Here
 * an address that carries an IPv4 address is one like any other. */
uint32_t kobold_as_v4_span(const kobold *k, uint32_t a, uint32_t *ret_last);
uint32_t
kobold_as_v6_span(const kobold *k, uint64_t hi, uint64_t lo, uint64_t *ret_hi, uint64_t *ret_lo);

/* The last address of the IPv4 piece `a` lies in, from there on of one value; not below `a`. */
uint32_t kobold_v4_piece_end(const kobold *k, uint32_t a);

/* The entries of the escape at `slot` of a block: their numbers, first and behind the last. False: it has
 * none (a damaged file). Then that of them which answers for the lower half `lo`. */
bool kobold_v6_group(const kobold *k, const uint8_t *block, size_t slot, size_t *ret_first,
                     size_t *ret_end);
size_t kobold_v6_entry_at(const kobold *k, size_t first, size_t end, uint64_t lo);

/* The look-ups that gain by newer instructions, once per instruction set; the best that runs here is
 * chosen at open. A test may choose any number up to kobold_cpu(). */
struct kobold_look {
    const char *name;
    void (*v4_many)(const kobold *k, const uint32_t *addr, uint16_t *ret, size_t n);
    uint16_t (*v6)(const kobold *k, uint64_t hi, uint64_t lo);
    void (*v6_many)(const kobold *k, const uint64_t (*addr)[2], uint16_t *ret, size_t n);
};

extern const struct kobold_look kobold_look_avx512;

enum { KOBOLD_CPU_GENERIC = 0, KOBOLD_CPU_AVX2 = 1, KOBOLD_CPU_AVX512 = 2 };
int kobold_cpu(void);
const struct kobold_look *kobold_look_of(int cpu);
void kobold_set_cpu(kobold *k, int cpu);

/* A text field of the file: cut at its size, whether or not the file ends it. */
void kobold_take_text(char *to, size_t to_size, const uint8_t *from, size_t from_size);
/* Keys and codes are printed as they are by those who use us: of a file that a stranger made, only
 * visible ASCII comes through. */
void kobold_take_key(char *to, size_t to_size, const uint8_t *from, size_t from_size);

enum { KOBOLD_OPEN_ANY_SUM = 1 }; /* for fuzzing: damaged checksums are no obstacle */
int kobold_open_memory_flags(const void *data, size_t size, unsigned flags, kobold **ret);

/* ---- embedded IPv4 -------------------------------------------------------------------------------- */

static inline uint8_t
kobold_carrier(uint64_t hi, uint64_t lo, uint32_t *ret_v4)
{
    if (hi >> 48 == 0x2002) {
        *ret_v4 = (uint32_t)(hi >> 16);
        return KOBOLD_CARRIER_6TO4;
    }
    if (hi >> 32 == 0x20010000) {
        *ret_v4 = (uint32_t)~lo;
        return KOBOLD_CARRIER_TEREDO;
    }
    if (hi == 0 && lo >> 32 == 0xffff) {
        *ret_v4 = (uint32_t)lo;
        return KOBOLD_CARRIER_MAPPED;
    }
    if (hi == 0x0064ff9b00000000U && lo >> 32 == 0) {
        *ret_v4 = (uint32_t)lo;
        return KOBOLD_CARRIER_NAT64;
    }
    return KOBOLD_CARRIER_NONE;
}

/* ---- generated tables (tools/gen_countries.py) ------------------------------------------------------ */

enum { /* kind of a row of countries.tsv */
       KOBOLD_ROW_ISO = 0,
       KOBOLD_ROW_USER = 1,
       KOBOLD_ROW_REGION = 2,
       KOBOLD_ROW_UNKNOWN = 3,
       KOBOLD_ROW_FORMER = 4,
};

struct kobold_country_row {
    char code[3], m49[4];
    uint8_t kind;
    const char *names[2];
};

struct kobold_region_row {
    char m49[4];
    const char *names[2];
};

struct kobold_special_row {
    uint64_t hi, lo; /* IPv4: lo */
    uint8_t family, prefix_len;
    bool is_reachable;
    const char *class_name, *rfc;
    const char *names[2];
};

extern const struct kobold_country_row kobold_countries[]; /* ISO and XK first, in order */
extern const unsigned kobold_countries_count, kobold_countries_listed;
extern const uint16_t kobold_country_at[26 * 26]; /* row + 1; aliases too */
extern const struct kobold_region_row kobold_regions[];
extern const unsigned kobold_regions_count;
extern const struct kobold_special_row kobold_specials[];
extern const unsigned kobold_specials_count;

/* The row of a code in capitals or not; NULL. */
const struct kobold_country_row *kobold_country_row(const char code[2]);

#endif

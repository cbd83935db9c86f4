/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_kobold_db.c - any octets as a country database: opened as they are, and once more with
 * wrong checksums forgiven, so that the fuzzer reaches what lies behind them. No look-up may
 * leave the memory, on any instruction set.
 *
 * The smallest database has 160 KB, too much for a fuzzer to find its way in. So what does not
 * begin with the magic is a list of changes to a sound one, 8 octets each, made where the format
 * has its numbers:
 *
 *     0     which part: 0 the header, else an entry of the section table
 *     1     how (enum below)
 *     2-5   where: which element of the part, modulo their number
 *     6-7   what: a value, its meaning as in 1
 *
 * A sound database can be cut anywhere, too, and sections may be moved and made longer or shorter.
 */
#include "kobold_compile.h"
#include "kobold_priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t
mix(uint64_t x)
{
    x = (x ^ x >> 31) * 0x7fb5d329728ea185U;
    return x ^ x >> 29;
}

static void
check(const kobold *k, uint16_t value)
{
    struct kobold_value v;
    if (value >= kobold_value_count(k) || !kobold_value_info(k, value, &v)) {
        abort();
    }
}

static void
look_up(kobold *k, uint64_t seed)
{
    static const uint64_t corners[][2] = {
        { 0, 0 },
        { 0, 0xffff08080808U },
        { 0x0064ff9b00000000U, 1 },
        { 0x2002080808080000U, 0 },
        { 0x2001000000000000U, UINT64_MAX },
        { UINT64_MAX, UINT64_MAX },
        { UINT64_MAX - 1, 0 },
        { 1ULL << 63, 0 },
        { (1ULL << 63) - 1, UINT64_MAX },
    };
    uint32_t v4[64];
    uint64_t v6[64][2];
    uint16_t got[64];
    for (unsigned i = 0; i < 64; i++) {
        seed = mix(seed + i);
        v4[i] = i < 2 ? (i == 0 ? 0 : UINT32_MAX) : (uint32_t)seed;
        v6[i][0] = i < BH_COUNT(corners) ? corners[i][0] : seed;
        seed = mix(seed);
        v6[i][1] = i < BH_COUNT(corners) ? corners[i][1] : seed;
        /* Keys of the file itself lead to its boundaries: 24xx::d:... as sound_database() divides it. */
        if (i >= 32 && k->v6_entries > 0) {
            const uint8_t *p = k->v6_entry + (size_t)(seed % k->v6_entries) * KDB_V6_ENTRY_SIZE;
            v6[i][0] = 0x2400000000000000U | (seed >> 32 & 0xff) << 48 | (seed & 3);
            v6[i][1] = bh_get_le64(p) + i % 3 - 1;
        }
    }
    for (int cpu = 0; cpu <= kobold_cpu(); cpu++) {
        kobold_set_cpu(k, cpu);
        kobold_v4_many(k, v4, got, 64);
        for (unsigned i = 0; i < 64; i++) {
            check(k, got[i]);
            check(k, kobold_v4(k, v4[i]));
        }
        kobold_v6_many(k, (const uint64_t(*)[2])v6, got, 64);
        for (unsigned i = 0; i < 64; i++) {
            check(k, got[i]);
            check(k, kobold_v6(k, v6[i][0], v6[i][1]));
        }
    }
}

/* What is only found when somebody asks. */
static void
ask(kobold *k, uint64_t seed)
{
    struct kobold_opinion opinions[4];
    struct kobold_input_info info;
    struct bh_ip ip;
    for (unsigned i = 0; i < kobold_input_count(k) && i < 16; i++) {
        if (!kobold_input_info(k, i, &info) || strlen(info.name) >= sizeof info.name) {
            abort();
        }
    }
    for (unsigned i = 0; i < 64; i++) {
        seed = mix(seed + i);
        ip = i % 2 == 0 ? bh_ip_from_v4((uint32_t)seed) : bh_ip_from_v6(seed, mix(seed));
        if (i >= 32) { /* the addresses that the sound database divides */
            ip = i % 2 == 0 ? bh_ip_from_v4(0x01000200U | (uint32_t)(seed & 0x00ff00ff))
                            : bh_ip_from_v6(0x2400000000000000U | (seed & 0x00ff000300000000U),
                                            seed & 255);
        }
        size_t n = kobold_opinions(k, ip.octets, ip.family, opinions, BH_COUNT(opinions));
        for (size_t j = 0; j < n && j < BH_COUNT(opinions); j++) {
            check(k, opinions[j].value);
        }
        check(k, kobold_second(k, ip.octets, ip.family));
        char name[64];
        uint32_t number = kobold_as(k, ip.octets, ip.family);
        if (kobold_as_name(k, number, name, sizeof name) && strlen(name) >= sizeof name) {
            abort();
        }
    }
}

/* Spans end behind their start, however the file was changed, and begin with the value of a look-up. */
static void
walk(const kobold *k, uint64_t seed)
{
    uint32_t at = (uint32_t)mix(seed);
    uint32_t last = 0;
    uint64_t hi = mix(seed + 1);
    uint64_t lo = mix(seed + 2);
    uint64_t last_hi = 0;
    uint64_t last_lo = 0;
    for (int i = 0; i < 4; i++) {
        check(k, kobold_v4_span(k, at, &last));
        check(k, kobold_v6_span(k, hi, lo, &last_hi, &last_lo));
        if (last < at || last_hi < hi || (last_hi == hi && last_lo < lo)) {
            abort();
        }
        at = last + 1;
        lo = last_lo + 1;
        hi = last_hi + (lo == 0);
        if (i == 1) { /* where the sound database is divided */
            at = 0x01000000U | (uint32_t)(seed & 0xfff0ff);
            hi = 0x2400000000000000U | (seed & 0x00ff000300000000U);
        }
    }
}

static void
use(kobold *k, uint64_t seed)
{
    ask(k, seed);
    struct kobold_meta meta;
    struct kobold_value v;
    kobold_get_meta(k, &meta);
    for (unsigned i = 0; i < kobold_value_count(k); i++) {
        if (!kobold_value_info(k, (uint16_t)i, &v) || strlen(v.code) > 2 ||
            strlen(v.class_name) >= sizeof v.class_name || strlen(v.rfc) >= sizeof v.rfc) {
            abort();
        }
    }
    if (seed % 16 == 0) {            /* most of the time otherwise */
        bh_ignore(kobold_verify(k)); /* damaged, mostly */
    }
    look_up(k, seed);
    walk(k, seed);
}

static void
try_database(const uint8_t *data, size_t size)
{
    kobold *k;
    uint64_t seed = kdb_sum(data, size < 4096 ? size : 4096);
    int r = kobold_open_memory(data, size, &k);
    if (r == KOBOLD_EDAMAGED) { /* by its checksum only, perhaps */
        r = kobold_open_memory_flags(data, size, KOBOLD_OPEN_ANY_SUM, &k);
    }
    if (r == 0) {
        use(k, seed);
        kobold_close(k);
    }
}

/* With divided /24s and /64s, and more values than fit an octet. */
static const uint8_t *
sound_database(size_t *ret_size)
{
    static uint8_t *sound;
    static size_t sound_size;
    if (sound == NULL) {
        struct bh_buf text = { 0 };
        struct bh_error err;
        char code[3];
        for (int i = 0, n = 0; (n = kobold_country_next(i, code)) >= 0; i = n) {
            bh_buf_printf(&text, "1.%d.2.%d/%d,%s\n24%02x::%d:0:0:0:%d/128,%s\n", i, i & 0xf0, 28,
                          code, i, i % 3, i, code);
            bh_buf_printf(&text, "2.%d.0.0/%d,%s\n2a00:%x::/%d,%s\n", i, 16 + i % 9 / 8 * 8, code,
                          i, 32 + i % 2 * 96, code);
        }
        static const char second[] = "apnic|JP|ipv4|1.0.0.0|65536|20110811|allocated\n"
                                     "apnic|JP|ipv6|2400::|12|20110811|allocated\n";
        static const char as[] = "1.0.2.0,1.200.2.255,64500,One\n2400::,2400::ffff,64501,Two\n"
                                 "2401::,2402::,64500,\n";
        kobold_build *b = kobold_build_new();
        if (b == NULL || kobold_build_add_as(b, "as", as, sizeof as - 1, NULL, &err) < 0 ||
            kobold_build_add(b, "sound", text.data, text.len, KOBOLD_FORMAT_AUTO, KOBOLD_LAYER_DATA,
                             NULL, &err) < 0 ||
            kobold_build_add(b, "second", second, sizeof second - 1, KOBOLD_FORMAT_AUTO,
                             KOBOLD_LAYER_SECOND, NULL, &err) < 0 ||
            (kobold_build_set_details(b, KOBOLD_DETAILS_YES), 0) ||
            kobold_build_finish(b, &sound, &sound_size, &err) < 0) {
            abort();
        }
        kobold_build_free(b);
        bh_buf_done(&text);
    }
    *ret_size = sound_size;
    return sound;
}

enum how {
    PUT_8 = 0,   /* an octet                                                          */
    PUT_16 = 1,  /* an aligned number of 16 bits                                      */
    PUT_32 = 2,  /* of 32 bits: the value, sign-extended                              */
    PUT_END = 3, /* of 32 bits: as many octets as some part has, and the value: off by a few */
    PUT_64 = 4,  /* of 64 bits, the value in its upper half                           */
    FILL = 5,    /* up to 255 octets with one                                         */
    COPY = 6,    /* 16 octets from another place of the file                          */
    MOVE = 7,    /* the part itself: its offset in the table plus the value           */
    RESIZE = 8,  /* its size plus the value                                           */
    CUT = 9,     /* the file ends `value` octets before the part's end                */
    HOWS = 10,
};

struct file {
    uint8_t *data;
    size_t size;
};

/* The table entry of a part, or NULL for the header. */
static uint8_t *
entry_of(const struct file *f, unsigned part)
{
    uint32_t count = bh_get_le32(f->data + KDB_AT_SECTIONS);
    count = count < KDB_SECTIONS_MAX ? count : KDB_SECTIONS_MAX;
    unsigned i = part % (count + 1);
    return i == 0 ? NULL : f->data + KDB_AT_TABLE + (size_t)(i - 1) * KDB_SECTION_SIZE;
}

/* What is inside the file of a part, however its entry was changed before. */
static size_t
extent(const struct file *f, const uint8_t *entry, size_t *ret_size)
{
    uint64_t offset = entry == NULL ? 0 : bh_get_le64(entry + 8);
    uint64_t size = entry == NULL ? KDB_HEADER_SIZE : bh_get_le64(entry + 16);
    offset = offset < f->size ? offset : f->size;
    *ret_size = (size_t)(size < f->size - offset ? size : f->size - offset);
    return (size_t)offset;
}

static void
put_number(const struct file *f, size_t at, unsigned octets, uint64_t x)
{
    for (unsigned i = 0; i < octets && at + i < f->size; i++) {
        f->data[at + i] = (uint8_t)(x >> (8 * i));
    }
}

static void
change(struct file *f, const uint8_t *c)
{
    uint8_t *entry = entry_of(f, c[0]);
    size_t size;
    size_t part = extent(f, entry, &size);
    uint32_t where = bh_get_le32(c + 2);
    uint16_t value = bh_get_le16(c + 6);
    uint64_t extended = (uint64_t)(int64_t)(int16_t)value;
    unsigned how = c[1] % HOWS;
    static const unsigned widths[] = { 1, 2, 4, 4, 8, 1, 16 };
    unsigned width = how < BH_COUNT(widths) ? widths[how] : 1;
    size_t elements = size / width;
    if (how < BH_COUNT(widths) && elements == 0) {
        return;
    }
    size_t at = part + (elements == 0 ? 0 : where % elements) * width;
    size_t other_size;
    size_t other = extent(f, entry_of(f, where >> 24), &other_size);
    switch (how) {
    case PUT_8:
    case PUT_16:
        put_number(f, at, width, value);
        break;
    case PUT_32:
        put_number(f, at, width, extended);
        break;
    case PUT_END:
        put_number(f, at, width, other_size / (1U << c[0] % 5) + extended);
        break;
    case PUT_64:
        put_number(f, at, width, (uint64_t)value << 48 | where);
        break;
    case FILL:
        for (unsigned i = 0; i < value >> 8; i++) {
            put_number(f, at + i, 1, value & 255);
        }
        break;
    case COPY:
        if (other_size >= 16 && f->size - at >= 16) {
            memmove(f->data + at, f->data + other + (size_t)value * 16 % (other_size - 15), 16);
        }
        break;
    case MOVE:
    case RESIZE:
        if (entry != NULL) {
            size_t field = (size_t)(entry - f->data) + (how == MOVE ? 8 : 16);
            put_number(f, field, 8, bh_get_le64(f->data + field) + extended);
        }
        break;
    case CUT:
        size = value < size ? size - value : 0;
        f->size = part + size < f->size ? part + size : f->size;
        break;
    default:
        break;
    }
}

/* A file that knows how long it is gets further. */
static void
tidy(struct file *f, unsigned how)
{
    if (f->size >= KDB_HEADER_SIZE && (how & 1) == 0) {
        put_number(f, KDB_AT_FILE_SIZE, 8, f->size);
    }
    if (f->size >= KDB_HEADER_SIZE && (how & 2) == 0) {
        put_number(f, KDB_AT_HEADER_SUM, 8, kdb_sum(f->data, KDB_AT_HEADER_SUM));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= KDB_MAGIC_SIZE && memcmp(data, KDB_MAGIC, KDB_MAGIC_SIZE) == 0) {
        try_database(data, size);
        return 0;
    }
    size_t sound_size;
    const uint8_t *sound = sound_database(&sound_size);
    struct file f = { malloc(sound_size), sound_size };
    if (f.data == NULL) {
        return 0;
    }
    memcpy(f.data, sound, sound_size);
    for (size_t i = 0; i + 8 <= size && i < 800 && f.size >= KDB_HEADER_SIZE; i += 8) {
        change(&f, data + i);
    }
    tidy(&f, size == 0 ? 0 : data[size - 1]);
    /* Of just its size, so that a sanitizer sees its end. */
    uint8_t *exact = malloc(f.size);
    if (exact != NULL) {
        memcpy(exact, f.data, f.size);
        try_database(exact, f.size);
    }
    free(exact);
    free(f.data);
    return 0;
}

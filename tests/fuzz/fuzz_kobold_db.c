/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_kobold_db.c - any octets as a country database: opened as they are, and once more with
 * wrong checksums forgiven, so that the fuzzer reaches what lies behind them. No look-up may
 * leave the memory, on any instruction set.
 *
 * The smallest database has 160 KB, too much for a fuzzer to find its way in. So what does not
 * begin with the magic is a list of changes to a sound one, 6 octets each: which section (0: the
 * header), 32 bits of offset (taken modulo its size), and the octet to put there.
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
        /* Keys of the file itself lead to its boundaries. */
        if (i >= 32 && k->v6_sides > 0) {
            const uint8_t *p = k->v6_side + (size_t)(seed % k->v6_sides) * 16;
            v6[i][0] = bh_get_le64(p);
            v6[i][1] = bh_get_le64(p + 8) + i % 3 - 1;
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
    bh_ignore(kobold_verify(k)); /* damaged, mostly */
    look_up(k, seed);
}

static void
try_database(const uint8_t *data, size_t size)
{
    kobold *k;
    uint64_t seed = kdb_sum(data, size < 4096 ? size : 4096);
    if (kobold_open_memory(data, size, &k) == 0) {
        use(k, seed);
        kobold_close(k);
    }
    if (kobold_open_memory_flags(data, size, KOBOLD_OPEN_ANY_SUM, &k) == 0) {
        use(k, seed);
        kobold_close(k);
    }
}

/* With divided /24s and /64s, and more values than fit an octet. */
static uint8_t *
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
        if (b == NULL ||
            kobold_build_add_as(b, "as", as, sizeof as - 1, NULL, &err) < 0 ||
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

/* 0: the header; else which row of the section table. */
static unsigned
place_of(const uint8_t *file, const uint8_t *c)
{
    return c[0] % (bh_get_le32(file + KDB_AT_SECTIONS) + 1);
}

static void
change(uint8_t *file, unsigned place, const uint8_t *c)
{
    size_t offset = 0;
    size_t size = KDB_HEADER_SIZE;
    if (place != 0) {
        const uint8_t *entry = file + KDB_AT_TABLE + (size_t)(place - 1) * KDB_SECTION_SIZE;
        offset = (size_t)bh_get_le64(entry + 8);
        size = (size_t)bh_get_le64(entry + 16);
    }
    if (size > 0) {
        file[offset + bh_get_le32(c + 1) % size] = c[5];
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
    uint8_t *file = malloc(sound_size); /* of just its size, so that a sanitizer sees its end */
    if (file == NULL) {
        return 0;
    }
    memcpy(file, sound, sound_size);
    /* Changes of the header last: they would move the sections of the others. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i + 6 <= size && i < 600; i += 6) {
            unsigned place = place_of(sound, data + i);
            if ((place == 0) == (pass == 1)) {
                change(file, place, data + i);
            }
        }
    }
    try_database(file, sound_size);
    free(file);
    return 0;
}

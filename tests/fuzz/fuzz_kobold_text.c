/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_kobold_text.c - any octets as inputs of a country database: registry files, tables, geofeeds,
 * IANA's registries, MaxMind's format, tables of autonomous systems, in every layer. What comes out
 * must be a sound database that answers, and its report must add up.
 *
 * The first octet says what is tried; 0x01 ends one input and begins the next.
 */
#include "kobold_compile.h"
#include "kobold_report.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
notice(void *arg, const struct bh_error *e)
{
    char line[512];
    (void)arg;
    bh_error_line(e, BH_EN, line, sizeof line);
    bh_error_line(e, BH_JA, line, sizeof line);
}

static void
ask(const kobold *k, const struct bh_ip *ip)
{
    struct kobold_opinion o[4];
    struct kobold_input_info in;
    char name[64];
    size_t n = kobold_opinions(k, ip->octets, ip->family, o, BH_COUNT(o));
    for (size_t i = 0; i < n && i < BH_COUNT(o); i++) {
        if (o[i].value >= kobold_value_count(k) || !kobold_input_info(k, o[i].input, &in) ||
            (o[i].has_decided && o[i].value != kobold_lookup(k, ip->octets, ip->family).value)) {
            abort();
        }
    }
    kobold_as_name(k, kobold_as(k, ip->octets, ip->family), name, sizeof name);
}

static void
try_report(kobold_build *b)
{
    struct kobold_report *r;
    struct bh_error err;
    uint64_t sum = 0;
    if (kobold_build_report(b, &r, &err) < 0) {
        return;
    }
    for (size_t i = 0; i < BH_COUNT(r->kinds); i++) {
        sum += r->kinds[i].v4;
    }
    if (sum != (uint64_t)1 << 32) {
        abort();
    }
    kobold_report_free(r);
}

static void
try_build(kobold_build *b)
{
    uint8_t *data;
    size_t size;
    kobold *k;
    struct bh_error err;
    if (kobold_build_finish(b, &data, &size, &err) < 0) {
        return;
    }
    if (kobold_open_memory(data, size, &k) < 0 || kobold_verify(k) < 0) {
        abort();
    }
    for (uint32_t i = 0; i < 256; i++) {
        uint64_t x = (uint64_t)(i * 2654435761U) << 32;
        if (kobold_v4(k, i << 24) >= kobold_value_count(k) ||
            kobold_v6(k, x, x) >= kobold_value_count(k)) {
            abort();
        }
        struct bh_ip ip = i % 2 == 0 ? bh_ip_from_v4(i << 24 | 1) : bh_ip_from_v6(x, 1);
        ask(k, &ip);
    }
    kobold_close(k);
    free(data);
    try_report(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum kobold_format formats[8] = {
        KOBOLD_FORMAT_AUTO, KOBOLD_FORMAT_RIR,  KOBOLD_FORMAT_RANGE, KOBOLD_FORMAT_PREFIX,
        KOBOLD_FORMAT_LIST, KOBOLD_FORMAT_IANA, KOBOLD_FORMAT_MMDB,  KOBOLD_FORMAT_AUTO,
    };
    struct bh_error err;
    struct kobold_input in;
    kobold_build *b = size == 0 ? NULL : kobold_build_new();
    if (b == NULL) {
        return 0;
    }
    kobold_build_on_notice(b, notice, NULL);
    kobold_build_set_details(b, KOBOLD_DETAILS_YES);
    const char *text = (const char *)data + 1;
    size_t left = size - 1;
    enum kobold_format format = formats[data[0] % 8];
    unsigned layer = data[0] / 8 % 4;
    int good = 0;
    for (int i = 0; i < 3 && left > 0; i++) {
        /* MaxMind's format is not text: one input, then. */
        const char *part = data[0] % 8 >= 6 ? NULL : memchr(text, 1, left);
        size_t n = part == NULL ? left : (size_t)(part - text);
        bool is_as = i == 2 || data[0] % 8 == 7;
        good += is_as ? kobold_build_add_as(b, "as", text, n, &in, &err) == 0
                      : kobold_build_add(b, i == 0 ? "a" : "b", text, n, format,
                                         (enum kobold_layer)layer, &in, &err) == 0;
        layer = (layer + data[0] / 64) % 4;
        text += n;
        left -= n;
        if (left > 0) {
            text++;
            left--;
        }
    }
    /* A whole database for each input costs a millisecond; small texts show as much. */
    if (good > 0 && size < 4096) {
        try_build(b);
    }
    kobold_build_free(b);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any text as a filter: read, evaluated on a fixed batch, printed, read again. What was printed
 * must be a filter that says the same.
 */
#include <stdlib.h>

#include "bh_filter.h"

/* A country database that needs no file: the value is the address's first octet modulo 8. */
struct kobold {
    int unused;
};
static const kobold pretended = { 0 };

uint16_t
kobold_v4(const kobold *k, uint32_t host_order)
{
    (void)k;
    return (uint16_t)(host_order >> 24 & 7);
}

uint16_t
kobold_v6(const kobold *k, uint64_t hi, uint64_t lo)
{
    (void)k;
    (void)lo;
    return (uint16_t)(hi >> 56 & 7);
}

void
kobold_v4_many(const kobold *k, const uint32_t *addr, uint16_t *ret_values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ret_values[i] = kobold_v4(k, addr[i]);
    }
}

bool
kobold_value_info(const kobold *k, uint16_t value, struct kobold_value *ret)
{
    static const struct kobold_value values[8] = {
        { .code = "ZZ", .kind = KOBOLD_UNKNOWN },
        { .kind = KOBOLD_UNALLOCATED },
        { .code = "CN", .kind = KOBOLD_COUNTRY },
        { .code = "JP", .kind = KOBOLD_COUNTRY },
        { .code = "US", .kind = KOBOLD_COUNTRY },
        { .code = "EU", .kind = KOBOLD_REGION },
        { .kind = KOBOLD_SPECIAL, .class_name = "private-use" },
        { .kind = KOBOLD_SPECIAL, .class_name = "multicast" },
    };
    (void)k;
    *ret = values[value & 7];
    return value < 8;
}

unsigned
kobold_value_count(const kobold *k)
{
    (void)k;
    return 8;
}

bool
kobold_as_meta(const kobold *k, struct kobold_as_meta *ret)
{
    (void)k;
    (void)ret;
    return true;
}

uint32_t
kobold_as_v4(const kobold *k, uint32_t host_order)
{
    (void)k;
    return host_order >> 24;
}

uint32_t
kobold_as_v6(const kobold *k, uint64_t hi, uint64_t lo)
{
    (void)k;
    return (uint32_t)(hi >> 56 ^ lo);
}

static struct bh_batch *
new_batch(void)
{
    static const uint8_t kinds[] = { BH_KIND_IP4, BH_KIND_IP6, BH_KIND_IP4, BH_KIND_NONE,
                                     BH_KIND_ARP };
    static const uint8_t protos[] = { 6, 17, 1, 58, 6, 47, 6 };
    struct bh_batch *b = bh_batch_new();
    if (b == NULL) {
        abort();
    }
    b->want = BH_WANT_COLD;
    uint64_t x = 1;
    for (b->rows = 0; b->rows < 100; b->rows++) {
        uint32_t i = b->rows;
        x = x * 6364136223846793005ULL + 1442695040888963407ULL;
        b->kind[i] = kinds[i % BH_COUNT(kinds)];
        b->proto[i] = protos[i % BH_COUNT(protos)];
        b->src[i] = (uint32_t)(x >> 32);
        b->dst[i] = (uint32_t)(x >> 16);
        if (b->kind[i] == BH_KIND_IP6) {
            b->src[i] = b->dst[i] = b->v6_rows;
            b->ip6[b->v6_rows++] = (struct bh_ip6_pair){ x, x << 1, x >> 1, x };
        }
        b->ports[i] = (uint32_t)(x >> 40) & 0x7f007f;
        b->tcp_flags[i] = i % 3 ? BH_TCP_SYN : (uint8_t)(x >> 20);
        b->marks[i] = (uint8_t)(i % 11 == 0   ? BH_MARK_NO_PORTS
                                : i % 13 == 0 ? BH_MARK_NO_FLAGS
                                              : 0);
        b->reason[i] = (uint8_t)(i % 3);
        b->ip_len[i] = 40 + i;
        b->ttl[i] = (uint8_t)i;
        b->ip_id[i] = (uint16_t)i;
        b->vlan[i] = (uint16_t)(i % 5);
        b->direction[i] = (uint8_t)(i % 5);
        b->cls[i] = (uint8_t)(i % 4);
        b->outcome[i] = (uint8_t)(i % 7);
    }
    return b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bh_batch *batch;
    struct bh_filter *f = NULL, *again = NULL;
    struct bh_error err = { 0 };
    struct bh_buf text = { 0 }, twice = { 0 };
    uint8_t one[BH_BATCH_ROWS], two[BH_BATCH_ROWS];
    char line[1024];
    if (batch == NULL) {
        batch = new_batch();
    }
    if (size > 100000) {
        return 0;
    }
    char *copy = malloc(size + 1);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    copy[size] = '\0';
    const char *word = copy;
    int r = bh_filter_parse(&word, 1, &pretended, &f, &err);
    if (r < 0) {
        bh_error_line(&err, BH_EN, line, sizeof line);
        if (err.code != r || err.text[BH_EN][0] == '\0' || err.text[BH_JA][0] == '\0') {
            abort();
        }
    } else if (f != NULL) {
        uint32_t unknown = bh_filter_batch(f, batch, one);
        bh_filter_text(f, &text);
        word = text.data;
        if (bh_filter_parse(&word, 1, &pretended, &again, &err) < 0 ||
            bh_filter_batch(again, batch, two) != unknown || memcmp(one, two, batch->rows) != 0 ||
            bh_filter_needs(f) != bh_filter_needs(again)) {
            abort();
        }
        bh_filter_text(again, &twice);
        if (text.len != twice.len || memcmp(text.data, twice.data, text.len) != 0) {
            abort();
        }
    }
    bh_filter_free(f);
    bh_filter_free(again);
    bh_buf_done(&text);
    bh_buf_done(&twice);
    free(copy);
    return 0;
}

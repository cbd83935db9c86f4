/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as the summary of a segment, as if their sum were right; and the facts that are made of it. The
 * first octet says how many blocks there are, the next two how ports and countries fall into classes.
 */
#include <stdlib.h>

#include "../../lib/store/summary_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what))                                                                               \
            abort();                                                                               \
    } while (0)

static uint8_t port_class[65536], country_class[65536];

static void
check_facts(const struct summary *s, uint32_t block, const struct bh_judge *judge,
            const uint8_t *classes)
{
    struct bh_facts x;
    uint64_t listed;
    segsum_facts(s, block, judge, classes, 1, &x, &listed);
    CHECK(x.far_countries >> judge->country_classes == 0);
    CHECK(listed == BH_CLASSES_ALL || listed >> judge->port_classes == 0);
    for (size_t k = 0; k < x.near4_count; k++) {
        CHECK(x.near4[k].first <= x.near4[k].last);
    }
    for (size_t k = 0; k < x.near6_count; k++) {
        CHECK(x.near6[k].first <= x.near6[k].last);
    }
}

static void
check_summary(const struct summary *s, const struct bh_judge *judge)
{
    uint8_t classes[SUMMARY_COUNTRIES_MAX];
    CHECK(s->term_count <= SUMMARY_TERMS_MAX && s->service_count <= s->term_count);
    CHECK(s->country_count <= SUMMARY_COUNTRIES_MAX);
    for (uint32_t k = 0; k < s->country_count; k++) {
        classes[k] = country_class[k];
    }
    for (uint32_t k = 0; k < s->term_count; k++) {
        CHECK(s->group[k] >> GROUP_BITS == 0 && s->port[k] <= PORT_ANY);
    }
    for (uint32_t b = 0; b < s->block_count; b++) {
        const struct summary_block *x = &s->block[b];
        for (uint32_t k = 1; x->ports != SUMMARY_ANY && k < x->ports; k++) {
            CHECK(s->listed[x->port_at + k] >= s->listed[x->port_at + k - 1]);
        }
        check_facts(s, b, judge, classes);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    struct bh_judge judge = { .country_class = country_class,
                              .port_class = port_class,
                              .country_classes = 1 + data[1] % 60U,
                              .port_classes = 1 + data[2] % 60U };
    for (uint32_t k = 0; k < 65536; k++) {
        port_class[k] = (uint8_t)(k * 7 % judge.port_classes);
        country_class[k] = (uint8_t)(k * 5 % judge.country_classes);
    }
    struct summary s;
    if (segsum_get(data + 3, size - 3, data[0] + 1U, &s) == 0) {
        check_summary(&s, &judge);
        segsum_done(&s);
    }
    struct summary_head head;
    if (segsum_head_get(data, size, size, &head) == 0) {
        CHECK(head.size <= size);
    }
    return 0;
}

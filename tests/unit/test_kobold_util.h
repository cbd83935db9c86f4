/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_kobold_util.h - small databases made of texts, and what they answer, for test_kobold*.c.
 */
#ifndef TEST_KOBOLD_UTIL_H
#define TEST_KOBOLD_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kobold_compile.h"
#include "kobold_priv.h"

struct made {
    uint8_t *data;
    size_t size;
    kobold *k;
};

static inline struct made
finish(kobold_build *b)
{
    struct made m;
    struct bh_error err;
    assert_int_equal(kobold_build_finish(b, &m.data, &m.size, &err), 0);
    assert_int_equal(kobold_open_memory(m.data, m.size, &m.k), 0);
    assert_int_equal(kobold_verify(m.k), 0);
    return m;
}

static inline struct made
make(const char *text)
{
    struct bh_error err;
    kobold_build *b = kobold_build_new();
    assert_non_null(b);
    assert_int_equal(kobold_build_add(b, "test", text, strlen(text), KOBOLD_FORMAT_AUTO,
                                      KOBOLD_LAYER_DATA, NULL, &err),
                     0);
    struct made m = finish(b);
    kobold_build_free(b);
    return m;
}

static inline void
unmake(struct made *m)
{
    kobold_close(m->k);
    free(m->data);
}

static inline struct bh_ip
ip_of(const char *text)
{
    struct bh_ip ip = { .family = 0 };
    assert_true(bh_ip_parse(text, strlen(text), &ip));
    return ip;
}

/* "US", a class, "unallocated". All ways to ask must agree. */
static inline const char *
label_of(const kobold *k, const struct bh_ip *ip)
{
    static char label[48];
    struct kobold_value v;
    struct kobold_result r = kobold_lookup(k, ip->octets, ip->family);
    uint16_t single;
    uint16_t many;
    if (ip->family == 4) {
        uint32_t a = bh_get_be32(ip->octets);
        single = kobold_v4(k, a);
        kobold_v4_many(k, &a, &many, 1);
    } else {
        uint64_t a[1][2] = { { bh_get_be64(ip->octets), bh_get_be64(ip->octets + 8) } };
        single = kobold_v6(k, a[0][0], a[0][1]);
        kobold_v6_many(k, (const uint64_t(*)[2])a, &many, 1);
    }
    assert_int_equal(r.value, single);
    assert_int_equal(r.value, many);
    assert_true(r.value < kobold_value_count(k));
    assert_true(kobold_value_info(k, r.value, &v));
    if (v.kind == KOBOLD_SPECIAL) {
        assert_string_equal(v.code, "");
        assert_string_not_equal(v.rfc, "");
        memcpy(label, v.class_name, sizeof label);
    } else {
        assert_string_equal(v.class_name, "");
        assert_string_equal(v.rfc, "");
        memcpy(label, v.code, sizeof v.code);
        if (v.kind == KOBOLD_UNALLOCATED) {
            assert_string_equal(v.code, "");
            memcpy(label, "unallocated", 12);
        }
    }
    return label;
}

static inline void
expect(const kobold *k, const char *address, const char *label)
{
    struct bh_ip ip = ip_of(address);
    const char *got = label_of(k, &ip);
    if (strcmp(got, label) != 0) {
        fail_msg("%s: %s, not %s", address, got, label);
    }
}

#endif

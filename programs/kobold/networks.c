/* SPDX-License-Identifier: BSD-2-Clause */
/* kobold networks: the fewest prefixes of countries, regions and special uses. */
#include "kobold_export.h"
#include "verbs.h"

struct listing {
    struct bh_buf out;
    bool is_json, is_first;
};

static void
put(struct listing *l, const char *text)
{
    if (l->is_json) {
        bh_buf_printf(&l->out, "%s\"%s\"", l->is_first ? "" : ",", text);
    } else {
        bh_buf_printf(&l->out, "%s\n", text);
    }
    l->is_first = false;
}

static int
put_network(void *arg, int family, const struct kobold_network *n, uint16_t value)
{
    struct listing *l = arg;
    char text[KOBOLD_NETWORK_TEXT_MAX];
    (void)value;
    kobold_network_format(family, n, text);
    put(l, text);
    return 0;
}

static int
put_range(void *arg, int family, const struct kobold_stretch *s)
{
    struct listing *l = arg;
    char text[2 * BH_IP_TEXT_MAX + 1];
    size_t n = kobold_half_format(family, s->first_hi, s->first_lo, text);
    text[n++] = '-';
    kobold_half_format(family, s->last_hi, s->last_lo, text + n);
    put(l, text);
    return 0;
}

static void
list_family(const kobold *k, int family, const struct kobold_group *g, bool is_ranges,
            struct listing *l)
{
    if (l->is_json) {
        bh_buf_printf(&l->out, "%s\"ipv%d\":[", family == 4 ? "{" : ",", family);
        l->is_first = true;
    }
    if (is_ranges) {
        kobold_each_stretch(k, family, g, put_range, l);
    } else {
        kobold_each_network(k, family, g, put_network, l);
    }
    if (l->is_json) {
        bh_buf_putc(&l->out, ']');
    }
}

/* All words as one group. */
static int
group_of_operands(const struct cc_program *p, const kobold *k, struct kobold_group *ret)
{
    char *const *words;
    size_t count = bh_arg_operands(p->args, &words);
    *ret = (struct kobold_group){ .name = "" };
    for (size_t i = 0; i < count; i++) {
        struct kobold_group one;
        struct bh_error err;
        if (kobold_group_of_word(k, words[i], &one, &err) < 0) {
            return cc_complain(p, CC_USAGE, &err);
        }
        kobold_group_join(ret, &one);
    }
    return CC_OK;
}

int
verb_networks(struct cc_program *p)
{
    char *const *words;
    struct kobold_group all;
    if (bh_arg_operands(p->args, &words) == 0) {
        return cc_complain_text(p, CC_USAGE,
                                "name a country, a region or a special use: kobold networks JP",
                                "国、地域または特殊用途を指定してください: kobold networks JP");
    }
    kobold *k;
    int status = cc_open_asked(p, &k);
    if (status != CC_OK) {
        return status;
    }
    status = group_of_operands(p, k, &all);
    if (status == CC_OK) {
        bool is_v6_only = bh_arg_given(p->args, "ipv6") && !bh_arg_given(p->args, "ipv4");
        bool is_v4_only = bh_arg_given(p->args, "ipv4") && !bh_arg_given(p->args, "ipv6");
        bool is_ranges = bh_arg_given(p->args, "ranges");
        struct listing l = { .is_json = bh_arg_given(p->args, "json") };
        if (!is_v6_only) {
            list_family(k, 4, &all, is_ranges, &l);
        } else if (l.is_json) {
            bh_buf_puts(&l.out, "{\"ipv4\":[]");
        }
        if (!is_v4_only) {
            list_family(k, 6, &all, is_ranges, &l);
        } else if (l.is_json) {
            bh_buf_puts(&l.out, ",\"ipv6\":[]");
        }
        if (l.is_json) {
            bh_buf_puts(&l.out, "}\n");
        }
        status = cc_flush(p, &l.out);
        bh_buf_done(&l.out);
    }
    kobold_close(k);
    return status;
}

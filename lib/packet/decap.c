/* SPDX-License-Identifier: BSD-2-Clause */
/* --decap KIND[@SENDER[/LEN]]. */
#include "walk_priv.h"

static const struct {
    const char *name;
    enum bh_decap kind;
} kinds[] = {
    { "vxlan", BH_DECAP_VXLAN },   { "geneve", BH_DECAP_GENEVE }, { "gre", BH_DECAP_GRE },
    { "erspan", BH_DECAP_ERSPAN }, { "ipip", BH_DECAP_IPIP },
};

static bool
parse_kind(const char *text, size_t len, unsigned *ret_kind)
{
    for (size_t i = 0; i < BH_COUNT(kinds); i++) {
        if (strlen(kinds[i].name) == len && memcmp(kinds[i].name, text, len) == 0) {
            *ret_kind = (unsigned)kinds[i].kind;
            return true;
        }
    }
    return false;
}

static bool
parse_length(const char *text, unsigned max, unsigned *ret_length)
{
    size_t len = strlen(text);
    unsigned value = 0;
    if (len == 0 || len > 3) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *ret_length = value;
    return value <= max;
}

/* ADDRESS or ADDRESS/LEN; host bits are let be: they are masked when compared. */
static bool
parse_sender(const char *text, struct bh_decap_rule *rule)
{
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    if (!bh_ip_parse(text, len, &rule->sender)) {
        return false;
    }
    unsigned max = rule->sender.family == 4 ? 32 : 128;
    rule->prefix_len = max;
    return slash == NULL || parse_length(slash + 1, max, &rule->prefix_len);
}

int
bh_decap_parse(struct bh_decoder *d, const char *text, struct bh_error *err)
{
    struct bh_decap_rule rule = { .kinds = 0 };
    char where[80];
    snprintf(where, sizeof where, "--decap %.60s", text);
    const char *at = strchr(text, '@');
    size_t len = at != NULL ? (size_t)(at - text) : strlen(text);
    if (d->decap_count == BH_DECAP_RULES_MAX) {
        return bh_error_set(err, BH_ELIMIT, where, "at most %d --decap rules",
                            "--decap は %d 個までです", BH_DECAP_RULES_MAX);
    }
    if (!parse_kind(text, len, &rule.kinds)) {
        return bh_error_set(err, BH_EUNKNOWN, where,
                            "unknown kind of tunnel; there are vxlan, geneve, gre, erspan, ipip",
                            "未知のトンネルです。vxlan、geneve、gre、erspan、ipip があります");
    }
    if (at != NULL && !parse_sender(at + 1, &rule)) {
        return bh_error_set(err, BH_EUSAGE, where,
                            "the sender behind @ must be an address or a network like 192.0.2.0/24",
                            "@ の後はアドレスか 192.0.2.0/24 のようなネットワークです");
    }
    d->decap[d->decap_count++] = rule;
    d->decap_kinds |= rule.kinds;
    return 0;
}

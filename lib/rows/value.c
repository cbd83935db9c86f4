/* SPDX-License-Identifier: BSD-2-Clause */
/* Values as text. */
#include "bh_put.h"
#include "rows_priv.h"

static char *
put_flags(char *at, unsigned flags)
{
    static const char letters[] = "FSRPAUEC"; /* the filter's words */
    if (flags == 0) {
        return BH_PUT(at, "none");
    }
    for (unsigned bit = 0; bit < 8; bit++) {
        if ((flags >> bit & 1) != 0) {
            *at++ = letters[bit];
        }
    }
    return at;
}

static char *
put_mac(char *at, uint64_t mac)
{
    static const char hex[] = "0123456789abcdef";
    for (unsigned i = 0; i < 6; i++) {
        const unsigned octet = (unsigned)(mac >> (40 - 8 * i)) & 255;
        if (i > 0) {
            *at++ = ':';
        }
        *at++ = hex[octet >> 4];
        *at++ = hex[octet & 15];
    }
    return at;
}

char *
bh_value_put(char *at, enum bh_type type, const struct bh_value *v, struct bh_clock *clock)
{
    if (v->absent) {
        return at;
    }
    switch (type) {
    case BH_TYPE_TIME:
        return bh_clock_put(clock, at, (int64_t)v->number, bh_clock_digits((int64_t)v->number));
    case BH_TYPE_ADDRESS:
        return v->ip.family == 4 ? bh_put_v4(at, bh_get_be32(v->ip.octets))
                                 : at + bh_ip_format(&v->ip, at);
    case BH_TYPE_BOOL:
        return v->number != 0 ? BH_PUT(at, "true") : BH_PUT(at, "false");
    case BH_TYPE_FLAGS:
        return put_flags(at, (unsigned)v->number & 255);
    case BH_TYPE_MAC:
        return put_mac(at, v->number);
    case BH_TYPE_NAME: /* its text is the caller's */
    case BH_TYPE_UINT:
        break;
    }
    return bh_put_uint(at, v->number);
}

void
bh_csv_put(struct bh_buf *out, const char *text, size_t len)
{
    bool is_quoted = false;
    const bool is_formula = len > 0 && strchr("=+-@\t\r", text[0]) != NULL;
    for (size_t i = 0; i < len && !is_quoted; i++) {
        is_quoted = text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
    }
    bh_buf_puts(out, is_quoted ? "\"" : "");
    bh_buf_puts(out, is_formula ? "'" : "");
    for (size_t i = 0; i < len; i++) {
        bh_buf_puts(out, text[i] == '"' ? "\"" : "");
        bh_buf_putc(out, text[i]);
    }
    bh_buf_puts(out, is_quoted ? "\"" : "");
}

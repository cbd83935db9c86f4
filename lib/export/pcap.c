/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rebuilt frames as pcapng (draft-ietf-opsawg-pcapng): one section, whose comment says what it is; one
 * interface of Ethernet with nanoseconds, and where it is needed one of a link type that nobody
 * reads, for frames that could not be read before.
 */
#include "bh_export.h"

#include <errno.h>
#include <stdlib.h>

enum { SECTION = 0x0a0d0d0a, INTERFACE = 1, PACKET = 6 };
enum { OPT_END = 0, OPT_COMMENT = 1, OPT_IF_DESCRIPTION = 3, OPT_USERAPPL = 4, OPT_IF_TSRESOL = 9 };
enum { LINK_ETHERNET = 1, LINK_USER0 = 147 };

struct bh_export_pcap {
    struct bh_out *out;
    struct bh_anonymize *anonymize;
    bool has_unknown_link;
    uint64_t flows;
    struct bh_frame_maker *maker;
};

/* ---- blocks --------------------------------------------------------------------------------------------- */

static void
put32(struct bh_buf *b, uint32_t v)
{
    uint8_t octets[4];
    bh_put_le32(octets, v);
    bh_buf_add(b, octets, 4);
}

static void
put16(struct bh_buf *b, uint16_t v)
{
    uint8_t octets[2];
    bh_put_le16(octets, v);
    bh_buf_add(b, octets, 2);
}

static void
put_option(struct bh_buf *b, uint16_t code, const void *value, size_t len)
{
    len = len < UINT16_MAX ? len : UINT16_MAX;
    put16(b, code);
    put16(b, (uint16_t)len);
    bh_buf_add(b, value, len);
    bh_buf_add(b, "\0\0\0", (4 - len % 4) % 4);
}

static void
put_text(struct bh_buf *b, uint16_t code, const char *text)
{
    put_option(b, code, text, strlen(text));
}

static int
write_block(struct bh_out *out, uint32_t type, struct bh_buf *body)
{
    struct bh_buf b = { 0 };
    put32(&b, type);
    put32(&b, (uint32_t)body->len + 12);
    bh_buf_add(&b, body->data, body->len);
    put32(&b, (uint32_t)body->len + 12);
    int r = b.failed || body->failed ? -ENOMEM : bh_out_write(out, b.data, b.len);
    bh_buf_done(&b);
    bh_buf_done(body);
    return r;
}

static int
write_section(struct bh_out *out, const char *home, bool anonymized)
{
    struct bh_buf b = { 0 }, text = { 0 };
    put32(&b, 0x1a2b3c4d);
    put16(&b, 1);
    put16(&b, 0);
    put32(&b, UINT32_MAX); /* how long it is nobody knows yet */
    put32(&b, UINT32_MAX);
    bh_buf_puts(
        &text,
        "Rebuilt by beholder export from records: this is no recording. Headers say what the records say, "
        "checksums were computed, payload and what records do not keep are zeros.");
    if (anonymized) {
        bh_buf_puts(
            &text,
            " Addresses are replaced by others that keep their prefixes in common (Crypto-PAn).");
    }
    if (home != NULL && home[0] != '\0') {
        bh_buf_printf(&text, " Home: %s", home);
    }
    put_text(&b, OPT_COMMENT, text.data == NULL ? "" : text.data);
    put_text(&b, OPT_USERAPPL, "beholder " BH_VERSION);
    put_text(&b, OPT_END, "");
    bh_buf_done(&text);
    return write_block(out, SECTION, &b);
}

static int
write_interface(struct bh_out *out, uint16_t link, const char *text)
{
    static const uint8_t nanoseconds = 9;
    struct bh_buf b = { 0 };
    put16(&b, link);
    put16(&b, 0);
    put32(&b, 0);
    put_text(&b, OPT_IF_DESCRIPTION, text);
    put_option(&b, OPT_IF_TSRESOL, &nanoseconds, 1);
    put_text(&b, OPT_END, "");
    return write_block(out, INTERFACE, &b);
}

static int
write_frame(struct bh_export_pcap *x, uint64_t ts, uint32_t interface,
            const struct bh_made_frame *f)
{
    uint8_t head[28], tail[8] = { 0 };
    const uint32_t padding = (4 - f->cap_len % 4) % 4, size = 32 + f->cap_len + padding;
    bh_put_le32(head, PACKET);
    bh_put_le32(head + 4, size);
    bh_put_le32(head + 8, interface);
    bh_put_le32(head + 12, (uint32_t)(ts >> 32));
    bh_put_le32(head + 16, (uint32_t)ts);
    bh_put_le32(head + 20, f->cap_len);
    bh_put_le32(head + 24, f->wire_len);
    bh_put_le32(tail + padding, size);
    int r = bh_out_write(x->out, head, sizeof head);
    r = r != 0 ? r : bh_out_write(x->out, f->data, f->cap_len);
    return r != 0 ? r : bh_out_write(x->out, tail, padding + 4);
}

/* ---- records ------------------------------------------------------------------------------------------------ */

static int
put_row(struct bh_export_pcap *x, const struct bh_batch *b, uint32_t row)
{
    struct bh_made_frame f;
    bh_frame_make(x->maker, b, row, &f);
    if (f.is_unknown_link && !x->has_unknown_link) {
        int r =
            write_interface(x->out, LINK_USER0, "rebuilt: frames of link types that were not read");
        if (r != 0) {
            return r;
        }
        x->has_unknown_link = true;
    }
    /* A time that was beyond what 64 bits of nanoseconds can say is so again. */
    const bool no_time = (b->marks[row] & BH_MARK_BAD_TIME) != 0;
    const uint64_t ts = no_time ? UINT64_MAX : b->ts_ns[row] < 0 ? 0 : (uint64_t)b->ts_ns[row];
    x->flows += b->has_weight && b->weight[row] > 1;
    return write_frame(x, ts, f.is_unknown_link ? 1 : 0, &f);
}

int
bh_export_pcap_put(struct bh_export_pcap *x, struct bh_batch *b)
{
    int r = 0;
    bh_frame_begin(x->maker);
    if (x->anonymize != NULL) {
        bh_anonymize_batch(x->anonymize, b);
    }
    for (uint32_t row = 0; row < b->rows && r == 0; row++) {
        r = b->counted[row] == 0 ? 0 : put_row(x, b, row);
    }
    return r;
}

uint64_t
bh_export_pcap_flows(const struct bh_export_pcap *x)
{
    return x->flows;
}

int
bh_export_pcap_new(struct bh_out *out, const char *home, struct bh_anonymize *anonymize,
                   struct bh_export_pcap **ret, struct bh_error *err)
{
    struct bh_export_pcap *x = calloc(1, sizeof *x);
    if (x == NULL || (x->maker = bh_frame_maker_new()) == NULL) {
        free(x);
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    x->out = out;
    x->anonymize = anonymize;
    int r = write_section(out, home, anonymize != NULL);
    r = r != 0 ? r
               : write_interface(out, LINK_ETHERNET, "rebuilt: Ethernet frames made of records");
    if (r != 0) {
        bh_export_pcap_free(x);
        return r == -ENOMEM ? bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません") : r;
    }
    *ret = x;
    return 0;
}

void
bh_export_pcap_free(struct bh_export_pcap *x)
{
    if (x != NULL) {
        bh_frame_maker_free(x->maker);
        free(x);
    }
}

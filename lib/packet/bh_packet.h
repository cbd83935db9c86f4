/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_packet.h - frames in, rows of a batch out.
 *
 * Every frame becomes exactly one row. The outer addresses are the record; tunnels inside are
 * walked for the layer counts only, unless --decap makes the inner packet the record (then
 * only from listed senders: a stranger must not forge knocks by encapsulating them).
 *
 * Sources: RFC 791, 8200, 9293, 768, 792, 4443, 826, 4861; IEEE 802.1Q; RFC 2516 (PPPoE), 3032
 * (MPLS), 2784 and 2890 (GRE), 7348 (VXLAN), 8926 (Geneve), 4380 (Teredo); 3GPP TS 29.281
 * (GTP-U); the list of link types of tcpdump.org.
 *
 * Threads:   a decoder is read-only while decoding; any number of threads may share it.
 * Ownership: the caller's.
 * Errors:    none: whatever the octets are, the row says what became of them.
 */
#ifndef BH_PACKET_H
#define BH_PACKET_H

#include "bh_capture.h"
#include "bh_event.h"

enum bh_decap {
    BH_DECAP_VXLAN = 1,
    BH_DECAP_GENEVE = 2,
    BH_DECAP_GRE = 4,
    BH_DECAP_ERSPAN = 8,
    BH_DECAP_IPIP = 16
};

struct bh_decap_rule {
    unsigned kinds;      /* BH_DECAP_... bits                        */
    struct bh_ip sender; /* family 0: any sender (must be asked for) */
    unsigned prefix_len;
};
#define BH_DECAP_RULES_MAX 32

struct bh_decoder {
    uint32_t want;        /* BH_WANT_... */
    unsigned decap_kinds; /* all kinds of the rules, or'ed */
    size_t decap_count;
    struct bh_decap_rule decap[BH_DECAP_RULES_MAX];
};

/* "vxlan@192.0.2.0/24", "gre@192.0.2.1", "ipip" */
BH_NODISCARD int bh_decap_parse(struct bh_decoder *d, const char *text, struct bh_error *err);

/* Decode frames from *at on into `b` until it is full or the frames end; *at is advanced.
 * Returns the rows added. */
uint32_t bh_packet_decode(const struct bh_decoder *d, const struct bh_frames *f, uint32_t *at,
                          struct bh_batch *b);
/* The same, but only who sends to whom: kind, time, marks, addresses, and what ICMP errors quote. Whether
 * a record behind an IP header is whole is not looked at. */
uint32_t bh_packet_peek(const struct bh_decoder *d, const struct bh_frames *f, uint32_t *at,
                        struct bh_batch *b);
/* As bh_packet_decode(), but no more than `most` rows. */
uint32_t bh_packet_decode_some(const struct bh_decoder *d, const struct bh_frames *f, uint32_t *at,
                               uint32_t most, struct bh_batch *b);

/*
 * Fragmented datagrams that completed. The decoder counts the transport layer of a fragmented
 * datagram in its first fragment, whatever became of the rest. apply(), called for the batches
 * of one capture in their order, moves it to the fragment that completes the datagram, and
 * takes it away where none does: `layers` and `seen` then say what tshark says. Nothing else of
 * a row changes. Bound: BH_FRAGMENTS_MAX datagrams on their way, the oldest gives way.
 */
#define BH_FRAGMENTS_MAX 4096U
struct bh_fragments;                         /* opaque */
struct bh_fragments *bh_fragments_new(void); /* NULL without memory; some 800 KB */
void bh_fragments_free(struct bh_fragments *t);
void bh_fragments_apply(struct bh_fragments *t, struct bh_batch *b);

/* True when a link type of this number can be read. */
bool bh_link_known(uint16_t link_type);

/*
 * TCP options signature (tcp_options column): 32 bits.
 *   bits 0-15  hash of the option kinds in order (0 only when there are no options)
 *   bits 16-19 window scale + 1, 0: absent
 *   bits 20-31 MSS / 16, 0: absent
 */
uint32_t bh_tcp_options_signature(const uint8_t *options, size_t len);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk_priv.h - the general way through a frame: every header that decode.c's short way does
 * not know by heart.
 *
 * A walk is one struct on the stack that the headers hand on, outermost first. Each header is
 * one function: it takes its octets from the cursor, notes what belongs to the record, and
 * calls the next. Recursion ends at BH_WALK_DEPTH headers whatever the octets say. The stack
 * needed is that many frames of some 200 octets.
 */
#ifndef BH_WALK_PRIV_H
#define BH_WALK_PRIV_H

#include "bh_packet.h"

/* Tags, labels, tunnels and IP headers together. Real stacks have six or seven. */
#define BH_WALK_DEPTH 16U

/* One record on its way into the columns. */
struct bh_row {
    uint8_t kind, proto, tcp_flags, marks, reason;
    uint32_t src, dst;
    uint32_t ports, tcp_seq, ip_len;
    uint16_t payload_len;
    struct bh_ip6_pair ip6;
    uint8_t ttl, df;
    uint16_t ip_id, tcp_window;
    uint32_t tcp_options;
};

struct bh_walk {
    const struct bh_decoder *d;
    const struct bh_frame *f;
    uint16_t layers;
    uint8_t depth;    /* headers walked, of BH_WALK_DEPTH                    */
    uint8_t ip_depth; /* IP headers walked                                   */
    bool has_record;  /* row is the record (else it holds marks and reason)  */
    bool want_inner;  /* --decap: the next IP or ARP header is the record    */
    bool has_quote;
    bool has_fragment;

    struct bh_row row;
    uint16_t vlan, ethertype;
    uint64_t src_mac;
    uint32_t tunnel_sender, tunnel_vni;
    struct bh_seen seen;
    struct bh_quote quote;
    struct bh_fragment fragment;
};

/* What a transport header needs to know of the IP header around it. */
struct bh_inner {
    struct bh_row *row; /* the record in the making of this IP header               */
    uint32_t wire_len;  /* octets behind the IP header, as the header says          */
    bool fragment;      /* a first fragment: the datagram is longer than this packet */
    bool no_length;     /* the IPv6 header says 0: `wire_len` is what the frame has  */
};

/* ---- walk.c: what all headers share ---------------------------------------------------- */

/* One header more; false when there are too many. */
bool bh_walk_deeper(struct bh_walk *w);
/* The frame ends before this header does. */
void bh_walk_cut(struct bh_walk *w);
/* The record, if there is none yet, is not decoded for this reason. */
void bh_walk_fail(struct bh_walk *w, enum bh_reason reason);
/* `row` is the outermost IP or ARP header, or the one --decap waited for: make it the record. */
void bh_walk_record(struct bh_walk *w, const struct bh_row *row);
void bh_walk_saw_src4(struct bh_walk *w, uint32_t src);
void bh_walk_saw_src6(struct bh_walk *w, uint64_t hi, uint64_t lo);
void bh_walk_saw_port(struct bh_walk *w, uint8_t proto, uint16_t port);
/* A transport header below `in`. */
void bh_walk_saw_transport(struct bh_walk *w, const struct bh_inner *in, unsigned layer);
/* A fragment at `offset`, all of whose octets were captured: they are in `c`. What is walked until the
 * end belongs to it; end only what began. */
bool bh_walk_fragment_begin(struct bh_walk *w, const struct bh_row *row, uint32_t id,
                            uint32_t offset, const struct bh_cur *c, bool more);
void bh_walk_fragment_end(struct bh_walk *w);
/* A tunnel header of this kind: is its sender listed, so that what it holds is the record? */
void bh_walk_tunnel(struct bh_walk *w, enum bh_decap kind, uint32_t vni);

/* What an EtherType announces. */
void bh_walk_ethertype(struct bh_walk *w, uint16_t type, struct bh_cur c);
/* What an IP protocol number announces, tunnels included. */
void bh_walk_ip_payload(struct bh_walk *w, unsigned proto, struct bh_cur c, struct bh_inner *in);

/* ---- proto/: one file each --------------------------------------------------------------- */

void bh_proto_ip(struct bh_walk *w, struct bh_cur c); /* version by its nibble */
void bh_proto_ip4(struct bh_walk *w, struct bh_cur c);
void bh_proto_ip6(struct bh_walk *w, struct bh_cur c);
void bh_proto_arp(struct bh_walk *w, struct bh_cur c);
void bh_proto_tcp(struct bh_walk *w, struct bh_cur c, struct bh_inner *in);
void bh_proto_udp(struct bh_walk *w, struct bh_cur c, struct bh_inner *in);
void bh_proto_icmp(struct bh_walk *w, struct bh_cur c, struct bh_inner *in);
void bh_proto_icmp6(struct bh_walk *w, struct bh_cur c, struct bh_inner *in);
void bh_proto_quote(struct bh_walk *w, struct bh_cur c);
void bh_proto_gre(struct bh_walk *w, struct bh_cur c);
void bh_proto_erspan(struct bh_walk *w, uint16_t type, bool has_sequence, struct bh_cur c);
void bh_proto_vlan(struct bh_walk *w, struct bh_cur c);
void bh_proto_mpls(struct bh_walk *w, struct bh_cur c);
void bh_proto_pppoe(struct bh_walk *w, struct bh_cur c);
void bh_proto_ppp(struct bh_walk *w, struct bh_cur c); /* from the protocol field on */
void bh_proto_llc(struct bh_walk *w, struct bh_cur c);
void bh_proto_snap(struct bh_walk *w, struct bh_cur c); /* from the organisation on */
void bh_proto_vntag(struct bh_walk *w, struct bh_cur c);
void bh_proto_etag(struct bh_walk *w, struct bh_cur c);
void bh_proto_macsec(struct bh_walk *w, struct bh_cur c);
void bh_proto_fabricpath(struct bh_walk *w, struct bh_cur c);
void bh_proto_avsp(struct bh_walk *w, struct bh_cur c);
void bh_proto_nsh(struct bh_walk *w, struct bh_cur c);
void bh_proto_nhrp(struct bh_walk *w, struct bh_cur c);
void bh_proto_pim(struct bh_walk *w, struct bh_cur c);
void bh_proto_vxlan(struct bh_walk *w, struct bh_cur c);
void bh_proto_vxlan_gpe(struct bh_walk *w, struct bh_cur c);
void bh_proto_geneve(struct bh_walk *w, struct bh_cur c);
void bh_proto_gtp(struct bh_walk *w, struct bh_cur c);
void bh_proto_teredo(struct bh_walk *w, struct bh_cur c);
void bh_proto_l2tp(struct bh_walk *w, struct bh_cur c);
void bh_proto_capwap(struct bh_walk *w, struct bh_cur c);

/* The UDP ports behind which another packet may lie; NULL for all others. */
typedef void bh_tunnel_fn(struct bh_walk *w, struct bh_cur c);
bh_tunnel_fn *bh_udp_tunnel(uint16_t port);

/* ---- link/: one file each, listed in table.c ----------------------------------------------- */

typedef void bh_link_fn(struct bh_walk *w, struct bh_cur c);
bh_link_fn *bh_link_find(uint16_t link_type); /* NULL: not known */

bh_link_fn bh_link_ethernet, bh_link_null, bh_link_loop, bh_link_ppp, bh_link_ppp_hdlc, bh_link_raw,
    bh_link_ip4, bh_link_ip6, bh_link_sll, bh_link_sll2, bh_link_ieee80211, bh_link_radiotap,
    bh_link_prism, bh_link_avs, bh_link_ppi, bh_link_chdlc, bh_link_frelay, bh_link_arcnet,
    bh_link_arcnet_linux, bh_link_nflog, bh_link_pflog, bh_link_pktap, bh_link_ipnet;

/* 802.11 after its radio header; also inside CAPWAP and GRE. */
enum { BH_80211_SWAPPED = 1, BH_80211_PADDED = 2 };
void bh_link_80211(struct bh_walk *w, struct bh_cur c, unsigned quirks);

#endif

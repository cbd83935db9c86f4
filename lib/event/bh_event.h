/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_event.h - the record, and the batch it travels in.
 *
 * One frame read is one record (docs/design/packet-path.md). A batch holds up to
 * BH_BATCH_ROWS records as columns: what the counting needs of a packet then fits in 40
 * octets, and stages are loops over small arrays that stay in L1 and L2.
 *
 * The schema (bh_fields) says every field once: name, type, unit, texts, and how to get its
 * value. What shows records uses its names. Field ids are permanent.
 *
 * Threads:   a batch has one owner at a time.
 * Ownership: bh_batch_new/free; columns lie inside the batch.
 */
#ifndef BH_EVENT_H
#define BH_EVENT_H

#include "bh_base.h"

/* So few that what a batch makes the tables touch (some four lines a row, each in a page of its own) is
 * still in the second-level cache, and in the processor's list of pages, when its turn comes. */
#define BH_BATCH_ROWS 256U
/* Columns one cache set apart, so that the same row of many columns does not fight for it. */
#define BH_BATCH_STRIDE (BH_BATCH_ROWS + 16U)

/* What a record is. The addresses of kinds IP4 and IP6 are valid; of ARP: sender and target
 * protocol address in src and dst. */
enum bh_kind { BH_KIND_NONE = 0, BH_KIND_IP4 = 4, BH_KIND_IP6 = 6, BH_KIND_ARP = 1 };

/* Why a record is less than whole. `marks` column, bits. */
enum {
    BH_MARK_NO_PORTS = 1 << 0,  /* ports, type/code and flags are absent (cut, or no such header) */
    BH_MARK_FRAGMENT = 1 << 1,  /* a fragment after the first                              */
    BH_MARK_TRUNCATED = 1 << 2, /* a header is cut by the snap length                      */
    BH_MARK_MALFORMED = 1 << 3, /* a header contradicts itself: `reason`                   */
    BH_MARK_DUPLICATE = 1 << 4,
    BH_MARK_BAD_TIME = 1 << 5, /* time does not fit int64 ns; ts_ns is 0                  */
    BH_MARK_DECAP = 1 << 6,    /* the inner packet of --decap; tunnel fields hold          */
    BH_MARK_NO_FLAGS = 1 << 7, /* an import without TCP flags                              */
};

/* Layers of a frame at any depth up to the first ICMP header (MEANING: health.layers). */
enum {
    BH_LAYER_IPV4 = 1 << 0,
    BH_LAYER_IPV6 = 1 << 1,
    BH_LAYER_TCP = 1 << 2,
    BH_LAYER_UDP = 1 << 3,
    BH_LAYER_ICMP = 1 << 4,
    BH_LAYER_ICMP6 = 1 << 5,
    BH_LAYER_ARP = 1 << 6,
    BH_LAYER_VLAN = 1 << 7,
    BH_LAYER_SYN_ONLY = 1 << 8,
    BH_LAYER_COUNT = 9,
    BH_LAYER_CUT = 1 << 9, /* not a layer: the frame is stored shorter than it was sent */
    /* Not a layer: what health.layers counts of this row (outermost addresses, destination
     * port) is not what its columns say; an entry of `seen` says it (bh_batch_seen). */
    BH_LAYER_SEEN = 1 << 15,
};

/* Reasons of malformed or not decoded records; counters in the report go by these names. */
enum bh_reason {
    BH_REASON_NONE = 0,
    BH_REASON_NOT_IP,        /* a link payload that is neither IP nor ARP: `ethertype`  */
    BH_REASON_LINK_UNKNOWN,  /* a link type we cannot read                              */
    BH_REASON_IP_VERSION,    /* version nibble is neither 4 nor 6                       */
    BH_REASON_IP_HEADER_LEN, /* IHL below 5, or beyond the packet                       */
    BH_REASON_IP_TOTAL_LEN,  /* total length shorter than the header                    */
    BH_REASON_IP6_EXTENSION, /* an extension header longer than the packet, or too many */
    BH_REASON_TCP_OFFSET,    /* data offset below 5, or beyond the segment              */
    BH_REASON_UDP_LEN,       /* UDP length below 8, or beyond the datagram              */
    BH_REASON_ICMP_SHORT,
    BH_REASON_ARP_SHAPE,
    BH_REASON_LINK_SHORT,
    BH_REASON_DEPTH, /* too many tags, labels or tunnels  */
    BH_REASON_COUNT,
};
/* Not so for frames that are whole, but of no protocol we read. */
bool bh_reason_is_damage(unsigned reason);
const char *bh_reason_name(unsigned reason); /* "ip_header_len"; never NULL */

enum bh_direction {
    BH_DIR_UNKNOWN = 0,
    BH_DIR_IN = 1,
    BH_DIR_OUT = 2,
    BH_DIR_LOCAL = 3,
    BH_DIR_TRANSIT = 4
};

/* What lib/track made of the record; the names of the report's `not_accesses`. */
enum bh_class {
    BH_CLASS_NONE = 0,          /* not decoded, not ours, or part of a known flow */
    BH_CLASS_ACCESS,            /* the only class that counts as an access         */
    BH_CLASS_ICMP_ECHO_REQUEST, /* ping from outside                               */
    BH_CLASS_ICMP_ECHO_REPLY_SENT,
    BH_CLASS_ICMP_UNREACHABLE_SENT,
    BH_CLASS_TCP_BACKSCATTER,
    BH_CLASS_UDP_BACKSCATTER, /* from port 53 without a query of ours */
    BH_CLASS_ICMP_BACKSCATTER,
    BH_CLASS_TCP_NULL_SCAN,
    BH_CLASS_TCP_FIN_SCAN,
    BH_CLASS_TCP_XMAS_SCAN,
    BH_CLASS_TCP_ACK_SCAN,
    BH_CLASS_TCP_ODD_FLAGS, /* other combinations no stack sends     */
    BH_CLASS_TCP_STRAY,     /* inbound TCP of no flow, nothing above */
    BH_CLASS_UDP_ANSWER,    /* inbound UDP of a conversation of ours */
    BH_CLASS_FRAGMENT,
    BH_CLASS_CUT, /* header cut before ports and flags */
    BH_CLASS_ARP,
    BH_CLASS_NEIGHBOUR_DISCOVERY, /* ICMPv6 133-137 */
    BH_CLASS_OTHER_PROTOCOL,      /* inbound, neither TCP, UDP nor ICMP */
    BH_CLASS_LOCAL,
    BH_CLASS_TCP_IN_FLOW, /* inbound segment of a known connection */
    BH_CLASS_ICMP_OTHER,
    BH_CLASS_COUNT,
};
const char *bh_class_name(unsigned cls); /* "tcp_null_scan"; never NULL */

enum bh_outcome {
    BH_OUTCOME_NONE = 0, /* not a TCP access, or not decided yet */
    BH_OUTCOME_COMPLETE,
    BH_OUTCOME_RESET_BY_CLIENT,
    BH_OUTCOME_HALF_OPEN,
    BH_OUTCOME_REFUSED,
    BH_OUTCOME_SILENT,
    BH_OUTCOME_UNKNOWN,
    BH_OUTCOME_COUNT,
};
const char *bh_outcome_name(unsigned outcome);

enum {
    BH_TCP_FIN = 1,
    BH_TCP_SYN = 2,
    BH_TCP_RST = 4,
    BH_TCP_PSH = 8,
    BH_TCP_ACK = 16,
    BH_TCP_URG = 32,
    BH_TCP_ECE = 64,
    BH_TCP_CWR = 128
};
enum { BH_PROTO_ICMP = 1, BH_PROTO_TCP = 6, BH_PROTO_UDP = 17, BH_PROTO_ICMP6 = 58 };

struct bh_ip6_pair {
    uint64_t src_hi, src_lo, dst_hi, dst_lo; /* host order of the octets read big-endian */
};

/* The packet an ICMP error quotes. */
struct bh_quote {
    uint16_t row;
    uint8_t kind; /* BH_KIND_IP4 or IP6 */
    uint8_t proto;
    bool has_ports;
    uint32_t ports; /* source << 16 | destination          */
    uint32_t src, dst;
    struct bh_ip6_pair ip6;
};
#define BH_BATCH_QUOTES 64U

/*
 * What health.layers counts of a frame beside its layers: the outermost IPv4 and the outermost
 * IPv6 source (a tunnel of one in the other has both), and one pair of protocol and destination
 * port: of the first TCP header at any depth, else of the first UDP header. dst_ports counts
 * distinct pairs: 53/tcp and 53/udp are two. Nearly always the columns of the row say the same;
 * where they do not (tunnels), BH_LAYER_SEEN is set and an entry stands in `seen`.
 */
struct bh_seen {
    uint16_t row;
    uint16_t port;
    uint8_t port_proto; /* BH_PROTO_TCP or BH_PROTO_UDP; 0: no port */
    bool has_src4, has_src6;
    uint32_t src4; /* host order */
    uint64_t src6_hi, src6_lo;
};

/*
 * A fragment that was captured whole. What a first fragment carries is counted in its row; who
 * wants it counted only where the datagram completes, as tshark does, lets bh_fragments_apply()
 * (bh_packet.h) move it there.
 */
struct bh_fragment {
    uint16_t row;
    uint16_t layers; /* first fragment: what its row holds below the fragmented header */
    uint16_t port;   /* first fragment: the port its row was seen with, if below, too  */
    uint8_t port_proto;
    uint8_t tcp_flags; /* of a TCP datagram whose 14th octet lies in this fragment       */
    bool has_flags;
    bool more;            /* not the last one                                               */
    uint32_t offset, len; /* octets of the datagram                                         */
    uint64_t key;         /* hash of addresses, protocol and identification                 */
};

enum { BH_COUNTED_VISIT = 2 };

/* Columns the decoder fills only when asked (bit set in `bh_batch.fields`). */
enum {
    BH_WANT_COLD = 1 << 0, /* ttl, df, ip_id, tcp_window, options, vlan, macs, tunnel, interface */
};
/* Fields that whoever made the records left out (`bh_batch.lacks`). */
enum {
    BH_LACK_SEQ = 1 << 0,
    BH_LACK_IP_ID = 1 << 1,
    BH_LACK_WINDOW = 1 << 2,
    BH_LACK_OPTIONS = 1 << 3
};

struct bh_batch {
    uint32_t rows;
    uint32_t v6_rows;       /* used entries of ip6      */
    uint32_t quote_rows;    /* used entries of quotes   */
    uint32_t seen_rows;     /* used entries of seen     */
    uint32_t fragment_rows; /* used entries of fragments */
    uint32_t want;          /* BH_WANT_... that are filled in */
    uint32_t lacks;         /* BH_LACK_... */
    uint64_t sequence;      /* place in the stream      */

    /* filled by lib/packet */
    int64_t ts_ns[BH_BATCH_STRIDE];
    uint32_t src[BH_BATCH_STRIDE];   /* IPv4 in host order; IPv6: index into ip6 */
    uint32_t dst[BH_BATCH_STRIDE];   /* IPv4 in host order; IPv6: the same index */
    uint32_t ports[BH_BATCH_STRIDE]; /* source << 16 | destination; ICMP: type << 16 | code */
    uint32_t tcp_seq[BH_BATCH_STRIDE];
    uint32_t ip_len[BH_BATCH_STRIDE]; /* of the whole IP packet, as the header says; 0: not IP */
    uint16_t
        payload_len[BH_BATCH_STRIDE]; /* behind the TCP/UDP/ICMP header, as the header says     */
    uint16_t layers[BH_BATCH_STRIDE];
    uint8_t kind[BH_BATCH_STRIDE];
    uint8_t proto[BH_BATCH_STRIDE];
    uint8_t tcp_flags[BH_BATCH_STRIDE];
    uint8_t marks[BH_BATCH_STRIDE];
    uint8_t reason[BH_BATCH_STRIDE];

    /* filled by lib/packet with BH_WANT_COLD */
    uint8_t ttl[BH_BATCH_STRIDE];
    uint8_t df[BH_BATCH_STRIDE];
    uint16_t ip_id[BH_BATCH_STRIDE];
    uint16_t tcp_window[BH_BATCH_STRIDE];
    uint32_t tcp_options[BH_BATCH_STRIDE]; /* signature, bh_packet.h; 0: none */
    uint16_t vlan[BH_BATCH_STRIDE];        /* outermost tag's id + 1; 0: untagged */
    uint16_t ethertype[BH_BATCH_STRIDE];
    uint16_t interface[BH_BATCH_STRIDE];
    uint64_t src_mac[BH_BATCH_STRIDE]; /* 48 bits; 0: none */
    uint32_t wire_len[BH_BATCH_STRIDE];
    uint32_t tunnel_sender[BH_BATCH_STRIDE]; /* --decap: outer IPv4 source; of IPv6 a hash with
                                              * the upper four bits set (240.0.0.0/4)      */
    uint32_t tunnel_vni[BH_BATCH_STRIDE];

    /* filled by lib/track */
    uint8_t direction[BH_BATCH_STRIDE];
    uint8_t cls[BH_BATCH_STRIDE];
    uint8_t outcome[BH_BATCH_STRIDE];
    /* filled by the caller between the two steps of lib/track */
    /* of the remote end: index of lib/analysis, or a Kobold value */
    uint16_t country[BH_BATCH_STRIDE];
    /* 1: inside period and filter; BH_COUNTED_VISIT: and offered to it */
    uint8_t counted[BH_BATCH_STRIDE];
    uint32_t connection[BH_BATCH_STRIDE]; /* with bh_track's hold: of a TCP access         */
    uint32_t
        weight[BH_BATCH_STRIDE]; /* packets this record stands for; valid when has_weight         */
    bool has_weight;
    const char *const
        *sensor_names; /* of several logs: sensor[] are indexes of it; NULL: who saw the
                                      * records is not known. Belongs to who filled the batch */
    uint16_t sensor[BH_BATCH_STRIDE];
    bool all_inbound; /* an imported log without destinations: every record came to us */
    bool has_country; /* out of a packet log: country[] is a Kobold value of the remote end, as it
                       * was when the record was written                                     */
    /* an imported log: direction[] holds what it says, until lib/track judges */
    bool has_direction;
    bool no_tcp_seq; /* an imported log: tcp_seq[] only tells connections apart */

    struct bh_ip6_pair ip6[BH_BATCH_STRIDE];
    struct bh_quote quotes[BH_BATCH_QUOTES];
    struct bh_seen seen[BH_BATCH_ROWS];          /* in order of rows */
    struct bh_fragment fragments[BH_BATCH_ROWS]; /* in order of rows */
};

struct bh_batch *bh_batch_new(void); /* zeroed; NULL without memory */
void bh_batch_free(struct bh_batch *b);
void bh_batch_reset(struct bh_batch *b); /* rows to none; columns are left as they are */
/* Append row `row` of `from` to `to` (which must have room). */
void bh_batch_copy_row(struct bh_batch *to, const struct bh_batch *from, uint32_t row);

/* Append the first of the `n` rows listed, as many as `to` has room for; what lib/track fills is
 * not copied. Returns how many were taken. */
uint32_t bh_batch_take_rows(struct bh_batch *to, const struct bh_batch *from, const uint16_t *rows,
                            uint32_t n);

/*
 * A judged batch as octets, for another process of this machine (lib/output): the used rows of the columns
 * that lib/packet (cold ones too) and lib/track fill, quotes and `seen`; not country, counted, connection,
 * weight and fragments.
 */
size_t bh_batch_packed_size(const struct bh_batch *b);
void bh_batch_pack(const struct bh_batch *b, uint8_t *to); /* that many octets */
/* Which columns, how wide, in which byte order: octets of another layout are no batch of this program. */
uint32_t bh_batch_layout(void);
/* Checked: whatever the octets are, indices and names are in range, or it is false and `b` empty. */
bool bh_batch_unpack(struct bh_batch *b, const uint8_t *data, size_t size);

/* Address of a row; family 0 when the record has none. */
struct bh_ip bh_batch_src(const struct bh_batch *b, uint32_t row);
struct bh_ip bh_batch_dst(const struct bh_batch *b, uint32_t row);

/* What health.layers counts of a row. Rows are asked for in rising order; *cursor starts at 0. */
struct bh_seen bh_batch_seen(const struct bh_batch *b, uint32_t row, uint32_t *cursor);
/* Change it. */
void bh_batch_set_seen(struct bh_batch *b, uint32_t row, const struct bh_seen *seen);

static inline uint16_t
bh_batch_src_port(const struct bh_batch *b, uint32_t row)
{
    return (uint16_t)(b->ports[row] >> 16);
}

static inline uint16_t
bh_batch_dst_port(const struct bh_batch *b, uint32_t row)
{
    return (uint16_t)b->ports[row];
}

/* ---- the schema ---------------------------------------------------------------------------- */

enum bh_type {
    BH_TYPE_TIME,
    BH_TYPE_ADDRESS,
    BH_TYPE_UINT,
    BH_TYPE_BOOL,
    BH_TYPE_NAME,
    BH_TYPE_FLAGS,
    BH_TYPE_MAC
};

/* A value of one field of one record, for writers; `absent` is not zero. */
struct bh_value {
    bool absent;
    uint64_t number; /* time: ns as int64_t bits; bool: 0 or 1; MAC: 48 bits */
    struct bh_ip ip;
    const char *name; /* BH_TYPE_NAME: static text, or the batch's (sensors) */
};

struct bh_field {
    uint16_t id; /* permanent */
    const char *name;
    enum bh_type type;
    const char *unit; /* "" when none */
    const char *text[BH_LANGS];
    bool cold; /* needs BH_WANT_COLD */
    void (*get)(const struct bh_batch *b, uint32_t row, struct bh_value *ret_value);
};
extern const struct bh_field bh_fields[];
extern const size_t bh_fields_count;
const struct bh_field *bh_field_find(const char *name, size_t len);
const struct bh_field *bh_field_by_id(uint16_t id); /* NULL: there is none */

/* IANA keyword in lower case ("tcp"), or the number as text. Returns `buf` or a static text. */
const char *bh_proto_name(unsigned proto, char buf[8]);
/* -1 when unknown. Keywords and numbers. */
int bh_proto_number(const char *text, size_t len);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow_priv.h - the flow module's own parts: the table, states, Community ID, and the writers.
 *
 *     rows of a batch ──► table.c ──► ended flows ──► text.c (NDJSON, CSV, conn.log) ──► file
 *                         state.c                └──► ipfix.c ───────────────────────► file, UDP
 *
 * The rules are in docs/design/flow.md. No part asks the clock: time is that of packets, and goes on by
 * what tick() says when there are none.
 */
#ifndef FLOW_PRIV_H
#define FLOW_PRIV_H

#include "bh_output.h"

enum { ORIG = 0, RESP = 1 };

/* Why a record ends: the numbers are those of IPFIX's flowEndReason. */
enum flow_end {
    FLOW_IDLE = 1,   /* nothing came any more                                  */
    FLOW_ACTIVE = 2, /* it goes on: `part` counts                              */
    FLOW_CLOSED = 3, /* RST, both FINs, or a new connection of the same ports  */
    FLOW_FORCED = 4, /* we end                                                 */
    FLOW_FULL = 5,   /* the table was full                                     */
};

/* What TCP flags told of a connection. Only the first RST is noted, and none after both FINs. */
enum {
    SAW_SYN = 1 << 0,    /* of the originator                                 */
    SAW_ANSWER = 1 << 1, /* SYN-ACK (or, opened from both ends, SYN) of the responder */
    SAW_FIN_ORIG = 1 << 2,
    SAW_FIN_RESP = 1 << 3,
    SAW_RST_ORIG = 1 << 4,
    SAW_RST_RESP = 1 << 5,
    SAW_OTHER = 1 << 6, /* of the responder without SYN and RST, before an answer */
};
#define SAW_ANY_RST (SAW_RST_ORIG | SAW_RST_RESP)
#define SAW_BOTH_FINS (SAW_FIN_ORIG | SAW_FIN_RESP)

/* What the numbers in port[] are. */
enum {
    PORTS_NONE =
        0, /* there are none: another protocol, a later fragment, a cut header            */
    PORTS_PORTS = 1, /* TCP, UDP                                                                 */
    PORTS_PAIR = 2, /* ICMP: type, and the type that answers it                                   */
    PORTS_CODE =
        3, /* ICMP without an answer: type and code; the other way is another flow        */
};

/* In which order they give way, and when they are idle. */
enum flow_list {
    LIST_CLOSED,
    LIST_DATAGRAM_ONE,
    LIST_TCP_ONE,
    LIST_DATAGRAM,
    LIST_TCP,
    LIST_COUNT
};

#define HISTORY_MAX 16U
struct flow {
    uint64_t addr[2][2]; /* upper and lower half; IPv4: in the lower */
    uint16_t port[2];
    uint8_t family, proto, ports, saw;
    uint64_t packets[2], bytes[2], payload[2]; /* bytes: of IP packets */
    int64_t begin_ns;                          /* of the flow          */
    int64_t start_ns, last_ns;                 /* of this record       */
    int64_t touched;                           /* table's time of the last packet */
    uint64_t id;
    uint32_t isn[2];              /* of the SYN                        */
    uint32_t next, before, after; /* of its hash chain, of its list    */
    uint32_t hash, part;
    char history[HISTORY_MAX]; /* letters of Zeek, not terminated    */
    uint16_t vlan, interface;
    uint8_t flags[2], list, history_len;
    uint8_t local; /* bits 1 << ORIG, 1 << RESP */
    uint8_t sent;  /* the same: who has sent anything in any part */
    uint8_t syns;  /* the same: isn[] holds                       */
};

/* ---- states (state.c) ----------------------------------------------------------------------------- */

/* A TCP segment of `side`: notes what it tells. */
void flow_saw_tcp(struct flow *f, unsigned side, unsigned flags, uint32_t seq, bool has_payload);
void flow_saw_other(struct flow *f, unsigned side, bool has_payload);
bool flow_is_closed(const struct flow *f);
/* A SYN that cannot be of this flow: another connection that uses its ports again. */
bool flow_is_reused(const struct flow *f, unsigned side, unsigned flags, uint32_t seq);
/* Zeek's name: "SF"; DETECTION: S0 REJ S1 SF S2 S3 RSTO RSTR RSTOS0 RSTRH SH SHR OTH. */
const char *flow_state(const struct flow *f);
const char *flow_end_name(enum flow_end end);
struct bh_ip flow_ip(const struct flow *f, unsigned side);
/* The type that answers an ICMP type, or is answered by it. */
bool flow_icmp_counterpart(bool is_v6, unsigned type, unsigned *ret_type);

/* ---- Community ID (community.c) ---------------------------------------------------------------------- */

#define COMMUNITY_ID_MAX 31U /* "1:", 28 letters, NUL */
void flow_community_id(const struct flow *f, uint16_t seed, char ret_id[COMMUNITY_ID_MAX]);
void flow_sha1(const uint8_t *data, size_t len, uint8_t ret_sum[20]); /* up to 119 octets */

/* ---- table (table.c) ---------------------------------------------------------------------------------- */

struct flow_config {
    uint32_t flows_max;
    int64_t idle_tcp_ns, idle_other_ns, idle_closed_ns, active_ns; /* active 0: never */
    uint64_t key;
    void (*ended)(void *arg, const struct flow *f, enum flow_end end);
    void *arg;
};
struct flow_table;                                                /* opaque */
struct flow_table *flow_table_new(const struct flow_config *cfg); /* NULL without memory */
void flow_table_free(struct flow_table *t);                       /* without ending any */
void flow_table_add(struct flow_table *t, const struct bh_batch *b);
/* End what was idle long enough, `most` at once. */
void flow_table_expire(struct flow_table *t, uint32_t most);
/* So much time passed without packets. */
void flow_table_pass(struct flow_table *t, int64_t ns);
/* All end. True: none is left; `most` at once. */
bool flow_table_end_all(struct flow_table *t, enum flow_end end, uint32_t most);
uint32_t flow_table_count(const struct flow_table *t);
uint64_t flow_table_begun(const struct flow_table *t);       /* so far */
uint64_t flow_table_ended_early(const struct flow_table *t); /* by a full table, so far */
int64_t flow_table_now(const struct flow_table *t);          /* time of the newest packet */
size_t flow_table_bytes(const struct flow_config *cfg);

/* ---- writers -------------------------------------------------------------------------------------------- */

struct flow_writer_context {
    const char *sensor;
    const kobold *countries; /* may be NULL */
    uint16_t seed;
};

/* Text: a header for a new file (may be nothing), and a line. */
enum flow_form { FORM_NDJSON, FORM_CSV, FORM_ZEEK, FORM_IPFIX };
void flow_text_head(enum flow_form form, int64_t now_ns, struct bh_buf *out);
void flow_text_line(enum flow_form form, const struct flow_writer_context *c, const struct flow *f,
                    enum flow_end end, struct bh_buf *out);

/* IPFIX: messages of at most `message_max` octets come out of `put`. */
struct flow_ipfix;
struct flow_ipfix_config {
    uint32_t domain;
    size_t message_max;
    bool biflow;
    void (*put)(void *arg, const uint8_t *message, size_t size);
    void *arg;
};
BH_NODISCARD int
flow_ipfix_new(const struct flow_ipfix_config *cfg, struct flow_ipfix **ret, struct bh_error *err);
void flow_ipfix_free(struct flow_ipfix *x);
/* A message of templates: for a new file, and again and again over UDP. */
BH_NODISCARD int flow_ipfix_templates(struct flow_ipfix *x, int64_t now_ns, struct bh_error *err);
BH_NODISCARD int flow_ipfix_add(struct flow_ipfix *x, const struct flow *f, enum flow_end end,
                                int64_t now_ns, struct bh_error *err);
/* The message that is not full. */
BH_NODISCARD int flow_ipfix_emit(struct flow_ipfix *x, int64_t now_ns, struct bh_error *err);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a connection is worth, from its flags alone: the states of Zeek's conn_state, by the table of
 * docs/design/flow.md. A segment with SYN and FIN or RST opens nothing: no stack sends it.
 */
#include "flow_priv.h"

/* Each letter once for each side and record: "ShADadFf". Capitals are the originator's. */
static void
note(struct flow *f, unsigned side, char letter)
{
    const char c = side == ORIG ? (char)(letter - 'a' + 'A') : letter;
    if (f->history_len < HISTORY_MAX && memchr(f->history, c, f->history_len) == NULL) {
        f->history[f->history_len++] = c;
    }
}

static void
saw(struct flow *f, unsigned side, unsigned flags)
{
    if ((f->saw & SAW_ANY_RST) != 0 || (f->saw & SAW_BOTH_FINS) == SAW_BOTH_FINS) {
        return; /* it is over; what comes late changes nothing */
    }
    unsigned more = 0;
    if ((flags & BH_TCP_SYN) != 0) {
        if ((flags & (BH_TCP_FIN | BH_TCP_RST)) != 0) {
            return;
        }
        if (side == ORIG) {
            more = (flags & BH_TCP_ACK) == 0 ? SAW_SYN : 0;
        } else {
            more = SAW_ANSWER;
        }
    } else {
        if (side == RESP && (flags & BH_TCP_RST) == 0 && (f->saw & SAW_ANSWER) == 0) {
            more |= SAW_OTHER;
        }
        if ((flags & BH_TCP_RST) != 0) {
            more |= side == ORIG ? SAW_RST_ORIG : SAW_RST_RESP;
        } else if ((flags & BH_TCP_FIN) != 0) {
            more |= side == ORIG ? SAW_FIN_ORIG : SAW_FIN_RESP;
        }
    }
    f->saw = (uint8_t)(f->saw | more);
}

void
flow_saw_tcp(struct flow *f, unsigned side, unsigned flags, uint32_t seq, bool has_payload)
{
    const bool syn = (flags & BH_TCP_SYN) != 0;
    if (syn && (flags & (BH_TCP_FIN | BH_TCP_RST)) != 0) {
        note(f, side, 'q');
    } else if (syn) {
        note(f, side, (flags & BH_TCP_ACK) != 0 ? 'h' : 's');
        if ((f->syns & 1U << side) == 0) {
            f->syns = (uint8_t)(f->syns | 1U << side);
            f->isn[side] = seq;
        }
    } else if ((flags & 0x3f) == BH_TCP_ACK && !has_payload) {
        note(f, side, 'a');
    }
    if (has_payload) {
        note(f, side, 'd');
    }
    if (!syn && (flags & BH_TCP_FIN) != 0) {
        note(f, side, 'f');
    }
    if (!syn && (flags & BH_TCP_RST) != 0) {
        note(f, side, 'r');
    }
    saw(f, side, flags);
    f->flags[side] = (uint8_t)(f->flags[side] | flags);
}

void
flow_saw_other(struct flow *f, unsigned side, bool has_payload)
{
    if (has_payload || f->proto == BH_PROTO_UDP) {
        note(f, side, 'd');
    }
}

bool
flow_is_closed(const struct flow *f)
{
    return (f->saw & SAW_ANY_RST) != 0 || (f->saw & SAW_BOTH_FINS) == SAW_BOTH_FINS;
}

/* The same number: sent again, the same contact. Who has sent nothing yet may still open from his side. */
bool
flow_is_reused(const struct flow *f, unsigned side, unsigned flags, uint32_t seq)
{
    if ((flags & (BH_TCP_SYN | BH_TCP_ACK | BH_TCP_FIN | BH_TCP_RST)) != BH_TCP_SYN ||
        (f->sent & 1U << side) == 0) {
        return false;
    }
    return (f->syns & 1U << side) == 0 || f->isn[side] != seq;
}

static const char *
tcp_state(unsigned s)
{
    switch (s & (SAW_SYN | SAW_ANSWER)) {
    case SAW_SYN | SAW_ANSWER:
        if ((s & SAW_ANY_RST) != 0) {
            return (s & SAW_RST_ORIG) != 0 ? "RSTO" : "RSTR";
        }
        return (s & SAW_BOTH_FINS) == SAW_BOTH_FINS ? "SF"
               : (s & SAW_FIN_ORIG) != 0            ? "S2"
               : (s & SAW_FIN_RESP) != 0            ? "S3"
                                                    : "S1";
    case SAW_SYN:
        if ((s & (SAW_OTHER | SAW_FIN_RESP)) != 0) {
            return "OTH"; /* it answered, but we missed with what */
        }
        return (s & SAW_RST_RESP) != 0   ? "REJ"
               : (s & SAW_RST_ORIG) != 0 ? "RSTOS0"
               : (s & SAW_FIN_ORIG) != 0 ? "SH"
                                         : "S0";
    case SAW_ANSWER:
        return (s & SAW_RST_RESP) != 0                               ? "RSTRH"
               : (s & (SAW_FIN_RESP | SAW_RST_ORIG)) == SAW_FIN_RESP ? "SHR"
                                                                     : "OTH";
    default:
        return "OTH";
    }
}

const char *
flow_state(const struct flow *f)
{
    if (f->proto == BH_PROTO_TCP && f->ports == PORTS_PORTS) {
        return tcp_state(f->saw);
    }
    if (f->proto == BH_PROTO_UDP && f->ports == PORTS_PORTS) {
        return f->sent == 3 ? "SF" : (f->sent & 1U << ORIG) != 0 ? "S0" : "SHR";
    }
    return "OTH";
}

const char *
flow_end_name(enum flow_end end)
{
    static const char *const names[] = { "", "idle", "active", "closed", "forced", "full" };
    return names[end];
}

struct bh_ip
flow_ip(const struct flow *f, unsigned side)
{
    return f->family == 6 ? bh_ip_from_v6(f->addr[side][0], f->addr[side][1])
                          : bh_ip_from_v4((uint32_t)f->addr[side][1]);
}

/* Questions and their answers: RFC 792, 950, 1256; 4443, 4861, 2710, 4620, 6275. */
bool
flow_icmp_counterpart(bool is_v6, unsigned type, unsigned *ret_type)
{
    static const uint8_t pairs[][2] = { { 8, 0 }, { 13, 14 }, { 15, 16 }, { 17, 18 }, { 10, 9 } };
    static const uint8_t pairs6[][2] = { { 128, 129 }, { 133, 134 }, { 135, 136 },
                                         { 130, 131 }, { 139, 140 }, { 144, 145 } };
    const uint8_t(*p)[2] = is_v6 ? pairs6 : pairs;
    for (size_t k = 0; k < (is_v6 ? BH_COUNT(pairs6) : BH_COUNT(pairs)); k++) {
        if (p[k][0] == type || p[k][1] == type) {
            *ret_type = p[k][0] == type ? p[k][1] : p[k][0];
            return true;
        }
    }
    return false;
}

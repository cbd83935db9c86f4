/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows as IPFIX messages (RFC 7011) by libfixbuf: it keeps templates and sequence numbers and encodes; what
 * becomes of a message (a datagram, a piece of a file, RFC 5655) is the caller's.
 *
 * One record holds both directions (RFC 5103), or two hold one each for collectors that know no reverse
 * elements. Elements are IANA's; names of libfixbuf's model of them.
 */
#include <stdlib.h>

#include <fixbuf/public.h>

#include "flow_priv.h"

/* As the internal templates lay a record out: no holes. */
struct record {
    uint64_t start_ms, end_ms;
    uint64_t octets, packets, reverse_octets, reverse_packets;
    uint8_t addr[2][16]; /* IPv4: the first 8 octets hold both */
    uint32_t interface;
    uint16_t port[2];
    uint16_t flags, reverse_flags;
    uint16_t icmp, vlan;
    uint8_t proto, end, padding[6];
};
_Static_assert(sizeof(struct record) == 104, "no holes");

enum { EXPORT = 1 << 0, REVERSE = 1 << 1, V4 = 1 << 2, V6 = 1 << 3, INTERNAL = 1 << 4 };
enum { TID_V4 = 256, TID_V6 = 257 };

/* libfixbuf takes names it does not change as char *. */
#define NAME(n) ((char[]){ n })
static fbInfoElementSpec_t spec[] = {
    { NAME("flowStartMilliseconds"), 8, 0 },
    { NAME("flowEndMilliseconds"), 8, 0 },
    { NAME("octetDeltaCount"), 8, 0 },
    { NAME("packetDeltaCount"), 8, 0 },
    { NAME("reverseOctetDeltaCount"), 8, REVERSE },
    { NAME("reversePacketDeltaCount"), 8, REVERSE },
    { NAME("sourceIPv4Address"), 4, V4 },
    { NAME("destinationIPv4Address"), 4, V4 },
    { NAME("paddingOctets"), 24, V4 | INTERNAL },
    { NAME("sourceIPv6Address"), 16, V6 },
    { NAME("destinationIPv6Address"), 16, V6 },
    { NAME("ingressInterface"), 4, 0 },
    { NAME("sourceTransportPort"), 2, 0 },
    { NAME("destinationTransportPort"), 2, 0 },
    { NAME("tcpControlBits"), 2, 0 },
    { NAME("reverseTcpControlBits"), 2, REVERSE },
    { NAME("icmpTypeCodeIPv4"), 2, V4 },
    { NAME("icmpTypeCodeIPv6"), 2, V6 },
    { NAME("vlanId"), 2, 0 },
    { NAME("protocolIdentifier"), 1, 0 },
    { NAME("flowEndReason"), 1, 0 },
    { NAME("paddingOctets"), 6, INTERNAL },
    FB_IESPEC_NULL,
};

struct flow_ipfix {
    struct flow_ipfix_config cfg;
    fbInfoModel_t *model;
    fbSession_t *session; /* the buffer's, once there is one */
    fbExporter_t *exporter;
    fBuf_t *buf;
    uint16_t internal[2]; /* template ids: IPv4, IPv6 */
    bool any;             /* something waits in the buffer */
    uint8_t *message;
};

static int
failed(GError *g, struct bh_error *err)
{
    const char *text = g != NULL ? g->message : "out of memory";
    const int r =
        bh_error_set(err, BH_EFORMAT, "ipfix", "cannot encode: %s", "符号化できません: %s", text);
    g_clear_error(&g);
    return r;
}

static fbTemplate_t *
make_template(struct flow_ipfix *x, unsigned flags, GError **g)
{
    fbTemplate_t *t = fbTemplateAlloc(x->model);
    if (!fbTemplateAppendSpecArray(t, spec, flags, g)) {
        fbTemplateFreeUnused(t);
        return NULL;
    }
    return t;
}

/* The record in memory always has room for the reverse; what goes out has it when it is asked for. */
static bool
add_templates(struct flow_ipfix *x, unsigned v, GError **g)
{
    const unsigned family = v == 0 ? V4 : V6;
    fbTemplate_t *in = make_template(x, family | INTERNAL | REVERSE, g);
    if (in == NULL) {
        return false;
    }
    x->internal[v] = fbSessionAddTemplate(x->session, TRUE, FB_TID_AUTO, in, g);
    if (x->internal[v] == 0) {
        return false;
    }
    fbTemplate_t *out = make_template(x, family | (x->cfg.biflow ? REVERSE : 0U), g);
    return out != NULL &&
           fbSessionAddTemplate(x->session, FALSE, (uint16_t)(TID_V4 + v), out, g) != 0;
}

int
flow_ipfix_new(const struct flow_ipfix_config *cfg, struct flow_ipfix **ret, struct bh_error *err)
{
    GError *g = NULL;
    struct flow_ipfix *x = calloc(1, sizeof *x);
    if (x == NULL || (x->message = malloc(cfg->message_max)) == NULL) {
        free(x);
        return failed(NULL, err);
    }
    x->cfg = *cfg;
    x->model = fbInfoModelAlloc();
    x->session = fbSessionAlloc(x->model);
    fbSessionSetDomain(x->session, cfg->domain);
    if (!add_templates(x, 0, &g) ||
        !add_templates(x, 1, &g)) { /* before there is a buffer they would go into */
        fbSessionFree(x->session);
        flow_ipfix_free(x);
        return failed(g, err);
    }
    x->exporter = fbExporterAllocBuffer(x->message, (uint16_t)cfg->message_max);
    x->buf = fBufAllocForExport(x->session, x->exporter);
    fBufSetAutomaticMode(x->buf, FALSE);
    *ret = x;
    return 0;
}

void
flow_ipfix_free(struct flow_ipfix *x)
{
    if (x == NULL) {
        return;
    }
    if (x->buf != NULL) {
        fBufFree(x->buf); /* session and exporter are its own */
    }
    if (x->model != NULL) {
        fbInfoModelFree(x->model);
    }
    free(x->message);
    free(x);
}

int
flow_ipfix_emit(struct flow_ipfix *x, int64_t now_ns, struct bh_error *err)
{
    GError *g = NULL;
    if (!x->any) {
        return 0;
    }
    x->any = false;
    if (!fBufEmit(x->buf, &g)) {
        return failed(g, err);
    }
    const size_t size = fbExporterGetMsgLen(x->exporter);
    if (size >= 16) {
        bh_put_be32(x->message + 4,
                    (uint32_t)(now_ns / 1000000000)); /* when it leaves, not when it began */
        x->cfg.put(x->cfg.arg, x->message, size);
    }
    return 0;
}

/* The library asks for another message, because this one is full, or of another kind (templates, records; then it asks
 * though it is empty). Any other error is one. */
static int
next_message(struct flow_ipfix *x, unsigned tries, GError *g, int64_t now_ns, struct bh_error *err)
{
    if (tries > 0 || !g_error_matches(g, FB_ERROR_DOMAIN, FB_ERROR_EOM)) {
        return failed(g, err);
    }
    g_clear_error(&g);
    if (x->any) {
        return flow_ipfix_emit(x, now_ns, err);
    }
    return fBufEmit(x->buf, &g) ? 0 : failed(g, err);
}

int
flow_ipfix_templates(struct flow_ipfix *x, int64_t now_ns, struct bh_error *err)
{
    GError *g = NULL;
    int r = flow_ipfix_emit(x, now_ns, err);
    if (r != 0) {
        return r;
    }
    for (unsigned tries = 0; tries < 2; tries++) {
        fBufSetExportTime(x->buf, (uint32_t)(now_ns / 1000000000));
        if (fbSessionExportTemplates(x->session, &g)) {
            x->any = true; /* a message of their own: the next record emits it */
            return 0;
        }
        r = next_message(x, tries, g, now_ns, err);
        if (r != 0) {
            return r;
        }
        g = NULL;
    }
    return failed(NULL, err);
}

/* The side that `first` is, and its reverse. */
static void
fill(const struct flow *f, enum flow_end end, unsigned first, struct record *r)
{
    const unsigned other = first ^ 1;
    const bool icmp = f->ports == PORTS_PAIR || f->ports == PORTS_CODE;
    memset(r, 0, sizeof *r);
    r->start_ms = (uint64_t)(f->start_ns / 1000000);
    r->end_ms = (uint64_t)(f->last_ns / 1000000);
    r->octets = f->bytes[first];
    r->packets = f->packets[first];
    r->reverse_octets = f->bytes[other];
    r->reverse_packets = f->packets[other];
    const struct bh_ip from = flow_ip(f, first), to = flow_ip(f, other);
    if (f->family == 6) {
        memcpy(r->addr[0], from.octets, 16);
        memcpy(r->addr[1], to.octets, 16);
    } else {
        const uint32_t a = bh_get_be32(from.octets),
                       b = bh_get_be32(to.octets); /* host order, as numbers */
        memcpy(r->addr[0], &a, 4);
        memcpy(r->addr[0] + 4, &b, 4);
    }
    r->interface = f->interface;
    if (icmp) {
        r->icmp =
            (uint16_t)(f->port[first] << 8 | (f->ports == PORTS_CODE ? f->port[other] & 0xff : 0));
        r->port[1] = r->icmp; /* where exporters of NetFlow had it, and collectors still look */
    } else {
        r->port[0] = f->port[first];
        r->port[1] = f->port[other];
    }
    r->flags = f->flags[first];
    r->reverse_flags = f->flags[other];
    r->vlan = f->vlan != 0 ? (uint16_t)(f->vlan - 1) : 0;
    r->proto = f->proto;
    r->end = (uint8_t)end;
}

static int
append(struct flow_ipfix *x, const struct flow *f, struct record *r, int64_t now_ns,
       struct bh_error *err)
{
    const unsigned v = f->family == 6;
    for (unsigned tries = 0; tries < 2; tries++) {
        GError *g = NULL;
        if (!fBufSetInternalTemplate(x->buf, x->internal[v], &g) ||
            !fBufSetExportTemplate(x->buf, (uint16_t)(TID_V4 + v), &g)) {
            return failed(g, err);
        }
        fBufSetExportTime(x->buf, (uint32_t)(now_ns / 1000000000));
        if (fBufAppend(x->buf, (uint8_t *)r, sizeof *r, &g)) {
            x->any = true;
            return 0;
        }
        const int e = next_message(x, tries, g, now_ns, err);
        if (e != 0) {
            return e;
        }
    }
    return failed(NULL, err);
}

int
flow_ipfix_add(struct flow_ipfix *x, const struct flow *f, enum flow_end end, int64_t now_ns,
               struct bh_error *err)
{
    struct record r;
    int e = 0;
    for (unsigned side = 0; e == 0 && side < 2; side++) {
        /* Both in one, the originator first, though he may have been silent (an answer that we saw alone). */
        if (x->cfg.biflow ? side == ORIG : f->packets[side] > 0) {
            fill(f, end, side, &r);
            e = append(x, f, &r, now_ns, err);
        }
    }
    return e;
}

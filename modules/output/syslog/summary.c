/* SPDX-License-Identifier: BSD-2-Clause */
#include "summary.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lines.h"

#define HOUR_NS 3600000000000LL
#define SOURCES_MOST (1U << 18)

struct summary {
    const kobold *countries;
    unsigned value_count;
    uint64_t *by_value;   /* accesses by value of the country data  */
    uint32_t *by_port[2]; /* TCP, UDP                               */
    uint64_t *source;     /* hashes, open addressing; 0: free       */
    uint32_t source_mask, sources;
    bool sources_full;
    uint64_t seed, records, accesses, pings, packets, bytes, complete, refused;
    int64_t first_ns, last_ns;
};

struct summary *
summary_new(void)
{
    struct summary *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->seed = bh_random_key();
    s->source_mask = 1023;
    s->source = calloc(s->source_mask + 1, sizeof *s->source);
    s->by_port[0] = calloc(65536, sizeof(uint32_t));
    s->by_port[1] = calloc(65536, sizeof(uint32_t));
    if (s->source == NULL || s->by_port[0] == NULL || s->by_port[1] == NULL) {
        summary_free(s);
        return NULL;
    }
    summary_reset(s);
    return s;
}

void
summary_free(struct summary *s)
{
    if (s != NULL) {
        free(s->by_value);
        free(s->by_port[0]);
        free(s->by_port[1]);
        free(s->source);
        free(s);
    }
}

void
summary_reset(struct summary *s)
{
    if (s->by_value != NULL) {
        memset(s->by_value, 0, s->value_count * sizeof *s->by_value);
    }
    memset(s->by_port[0], 0, 65536 * sizeof(uint32_t));
    memset(s->by_port[1], 0, 65536 * sizeof(uint32_t));
    memset(s->source, 0, ((size_t)s->source_mask + 1) * sizeof *s->source);
    s->sources = 0;
    s->sources_full = false;
    s->records = s->accesses = s->pings = s->packets = s->bytes = s->complete = s->refused = 0;
    s->first_ns = INT64_MAX;
    s->last_ns = INT64_MIN;
}

int
summary_run(struct summary *s, const struct bh_output_run *run)
{
    uint64_t *by_value = NULL;
    const unsigned count = run->countries != NULL ? kobold_value_count(run->countries) : 0;
    if (count > 0 && (by_value = calloc(count, sizeof *by_value)) == NULL) {
        return -ENOMEM;
    }
    free(s->by_value); /* values of another database mean something else: countries begin anew */
    s->by_value = by_value;
    s->value_count = count;
    s->countries = run->countries;
    return 0;
}

/* ---- counting --------------------------------------------------------------------------------------------------- */

static void
grow_sources(struct summary *s)
{
    const uint32_t mask = s->source_mask * 2 + 1;
    uint64_t *more = calloc((size_t)mask + 1, sizeof *more);
    if (more == NULL) {
        s->sources_full = true;
        return;
    }
    for (uint32_t k = 0; k <= s->source_mask; k++) {
        if (s->source[k] != 0) {
            uint32_t at = (uint32_t)s->source[k] & mask;
            while (more[at] != 0) {
                at = (at + 1) & mask;
            }
            more[at] = s->source[k];
        }
    }
    free(s->source);
    s->source = more;
    s->source_mask = mask;
}

static void
add_source(struct summary *s, const struct bh_ip *ip)
{
    const uint64_t h = bh_mix64(bh_mix64(s->seed ^ ip->family, bh_get_le64(ip->octets)),
                                bh_get_le64(ip->octets + 8)) |
                       1;
    if ((s->sources + 1) * 4 > s->source_mask * 3 && !s->sources_full) {
        grow_sources(s);
    }
    uint32_t at = (uint32_t)h & s->source_mask;
    for (; s->source[at] != 0; at = (at + 1) & s->source_mask) {
        if (s->source[at] == h) {
            return;
        }
    }
    if (s->sources >= SOURCES_MOST || (s->sources + 1) * 4 > s->source_mask * 3) {
        s->sources_full = true;
        return;
    }
    s->source[at] = h;
    s->sources++;
}

static void
add_access(struct summary *s, const struct bh_batch *b, uint32_t row, uint64_t weight)
{
    const struct bh_ip ip = bh_batch_src(b, row);
    s->accesses += weight;
    s->complete += b->outcome[row] == BH_OUTCOME_COMPLETE ? weight : 0;
    s->refused += b->outcome[row] == BH_OUTCOME_REFUSED ? weight : 0;
    if (b->proto[row] == BH_PROTO_TCP || b->proto[row] == BH_PROTO_UDP) {
        uint32_t *n = &s->by_port[b->proto[row] == BH_PROTO_UDP][bh_batch_dst_port(b, row)];
        *n = *n + weight > UINT32_MAX ? UINT32_MAX : *n + (uint32_t)weight;
    }
    if (ip.family != 0) {
        add_source(s, &ip);
        if (s->countries != NULL) {
            const uint16_t v = kobold_lookup(s->countries, ip.octets, ip.family).value;
            if (v < s->value_count) {
                s->by_value[v] += weight;
            }
        }
    }
}

void
summary_add(struct summary *s, const struct bh_output_batch *batch)
{
    const struct bh_batch *b = batch->records;
    for (uint32_t row = 0; row < batch->rows; row++) {
        const uint64_t weight = b->has_weight ? b->weight[row] : 1;
        s->records++;
        if (b->kind[row] >= BH_KIND_IP4) {
            s->packets += weight;
            s->bytes += weight * b->ip_len[row];
        }
        if (b->cls[row] == BH_CLASS_ACCESS) {
            add_access(s, b, row, weight);
        }
        s->pings += b->cls[row] == BH_CLASS_ICMP_ECHO_REQUEST ? weight : 0;
        if ((b->marks[row] & BH_MARK_BAD_TIME) == 0) {
            s->first_ns = b->ts_ns[row] < s->first_ns ? b->ts_ns[row] : s->first_ns;
            s->last_ns = b->ts_ns[row] > s->last_ns ? b->ts_ns[row] : s->last_ns;
        }
    }
}

bool
summary_is_empty(const struct summary *s)
{
    return s->records == 0;
}

static int64_t
end_of_hour(int64_t ts_ns)
{
    return (ts_ns / HOUR_NS - (ts_ns % HOUR_NS < 0) + 1) * HOUR_NS;
}

bool
summary_ended_before(const struct summary *s, int64_t now_ns)
{
    return s->records > 0 && s->first_ns != INT64_MAX && end_of_hour(s->first_ns) <= now_ns;
}

bool
summary_is_over(const struct summary *s, const struct bh_output_batch *batch, int64_t late_ns)
{
    int64_t newest = INT64_MIN;
    for (uint32_t row = 0; row < batch->rows; row++) {
        newest = batch->records->ts_ns[row] > newest ? batch->records->ts_ns[row] : newest;
    }
    return newest != INT64_MIN && summary_ended_before(s, newest - late_ns);
}

/* ---- words ---------------------------------------------------------------------------------------------------------- */

struct place {
    uint64_t count;
    uint32_t key;
};

static void
put_into(struct place *best, unsigned top, uint64_t count, uint32_t key)
{
    if (count == 0 || count <= best[top - 1].count) {
        return;
    }
    unsigned at = top - 1;
    for (; at > 0 && best[at - 1].count < count; at--) {
        best[at] = best[at - 1];
    }
    best[at] = (struct place){ count, key };
}

static void
put_countries(const struct summary *s, unsigned top, struct bh_buf *to)
{
    struct place best[20] = { 0 };
    bool any = false;
    for (uint32_t v = 0; v < s->value_count; v++) {
        put_into(best, top, s->by_value[v], v);
    }
    for (unsigned k = 0; k < top && best[k].count > 0; k++) {
        struct kobold_value info;
        if (kobold_value_info(s->countries, (uint16_t)best[k].key, &info)) {
            const bool is_place = info.kind == KOBOLD_COUNTRY || info.kind == KOBOLD_REGION;
            bh_buf_printf(to, "%s%s:%" PRIu64, any ? "," : "", is_place ? info.code : "none",
                          best[k].count);
            any = true;
        }
    }
}

static void
put_ports(const struct summary *s, unsigned top, struct bh_buf *to)
{
    struct place best[20] = { 0 };
    for (uint32_t port = 0; port < 65536; port++) {
        put_into(best, top, s->by_port[0][port], port);
        put_into(best, top, s->by_port[1][port], port | 65536);
    }
    for (unsigned k = 0; k < top && best[k].count > 0; k++) {
        bh_buf_printf(to, "%s%u/%s:%" PRIu64, k > 0 ? "," : "", best[k].key & 65535,
                      best[k].key > 65535 ? "udp" : "tcp", best[k].count);
    }
}

void
summary_put(const struct summary *s, unsigned top, struct bh_buf *to)
{
    char from[40] = "-", until[40] = "-";
    if (s->first_ns != INT64_MAX) {
        *lines_put_time(from, s->first_ns - s->first_ns % 1000) = '\0';
        *lines_put_time(until, s->last_ns - s->last_ns % 1000) = '\0';
    }
    bh_buf_printf(to,
                  "[summary@32473 from=\"%s\" to=\"%s\" records=\"%" PRIu64 "\" packets=\"%" PRIu64
                  "\" bytes=\"%" PRIu64 "\" accesses=\"%" PRIu64 "\" sources=\"%" PRIu32
                  "\" complete=\"%" PRIu64 "\" refused=\"%" PRIu64 "\" pings=\"%" PRIu64
                  "\" countries=\"",
                  from, until, s->records, s->packets, s->bytes, s->accesses, s->sources,
                  s->complete, s->refused, s->pings);
    put_countries(s, top, to);
    bh_buf_puts(to, "\" ports=\"");
    put_ports(s, top, to);
    bh_buf_printf(to, "\"] %" PRIu64 " accesses of %s%" PRIu32 " sources", s->accesses,
                  s->sources_full ? "at least " : "", s->sources);
    if (s->accesses > 0) {
        bh_buf_puts(to, s->value_count > 0 ? "; countries " : "");
        put_countries(s, top, to);
        bh_buf_puts(to, "; ports ");
        put_ports(s, top, to);
    }
}

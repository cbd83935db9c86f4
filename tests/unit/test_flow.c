/* SPDX-License-Identifier: BSD-2-Clause */
/* The flow module: states, timeouts, the bound of its table, Community IDs, and what it does with batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../modules/output/flow/flow_priv.h"
#include "batch_rows.h"
#include "bh_modules.h"
#include "bh_output_host.h"

/* ---- flows that ended --------------------------------------------------------------------------------- */

#define ENDED_MAX 4096U
struct ended {
    struct flow flow[ENDED_MAX];
    enum flow_end end[ENDED_MAX];
    uint32_t n;
};
static struct ended ended;

static void
note_ended(void *arg, const struct flow *f, enum flow_end end)
{
    struct ended *e = arg;
    assert_true(e->n < ENDED_MAX);
    e->flow[e->n] = *f;
    e->end[e->n++] = end;
}

static struct flow_table *
table_new(uint32_t most)
{
    const struct flow_config cfg = { .flows_max = most,
                                     .idle_tcp_ns = 300 * SEC,
                                     .idle_other_ns = 60 * SEC,
                                     .idle_closed_ns = 5 * SEC,
                                     .active_ns = 1800 * SEC,
                                     .key = 7,
                                     .ended = note_ended,
                                     .arg = &ended };
    ended.n = 0;
    struct flow_table *t = flow_table_new(&cfg);
    assert_non_null(t);
    return t;
}

static struct bh_batch *batch;

static void
add(struct flow_table *t, const struct row *r)
{
    bh_batch_reset(batch);
    row_add(batch, r);
    flow_table_add(t, batch);
    flow_table_expire(t, UINT32_MAX);
}

static void
end_all(struct flow_table *t)
{
    assert_true(flow_table_end_all(t, FLOW_FORCED, UINT32_MAX));
    flow_table_free(t);
}

/* ---- states ------------------------------------------------------------------------------------------------ */

/*
 * A conversation as words: '>' of who comes first in the table below, '<' of the other; flags by their
 * letters, '+' with payload. Each SYN of a side has that side's sequence number.
 */
static void
play(struct flow_table *t, const char *words)
{
    static const char letters[] = "FSRPAU";
    int64_t ts = 1000 * SEC;
    for (const char *p = words; *p != '\0';) {
        const bool back = *p++ == '<';
        struct row r = tcp_row(ts += MS, back ? "10.0.0.2" : "198.51.100.1", back ? 25 : 4000,
                               back ? "198.51.100.1" : "10.0.0.2", back ? 4000 : 25, 0);
        r.seq = back ? 700 : 900;
        for (; *p != '\0' && *p != ' '; p++) {
            const char *at = strchr(letters, *p);
            r.flags = (uint8_t)(r.flags | (at != NULL ? 1U << (at - letters) : 0));
            r.payload = *p == '+' ? 10 : r.payload;
        }
        add(t, &r);
        p += *p == ' ';
    }
}

static void
test_states(void **state)
{
    (void)state;
    static const struct {
        const char *words, *state, *history;
        bool swapped; /* the one who comes first is the responder */
    } cases[] = {
        { ">S", "S0", "S", false },
        { ">S >S >S", "S0", "S", false },
        { ">S >A", "S0", "SA", false },
        { ">S <RA", "REJ", "Sr", false },
        { ">S <R >S <R", "REJ", "Sr", false },
        { ">S <SA", "S1", "Sh", false },
        { ">S <SA >A", "S1", "ShA", false },
        { ">S <SA >A >PA+ <A <PA+", "S1", "ShADad", false },
        { ">S <SA >A >PA+ <FA >A", "S3", "ShADf", false },
        { ">S <SA >A >FA", "S2", "ShAF", false },
        { ">S <SA >A >FA <FA >A", "SF", "ShAFf", false },
        { ">S <SA >A <FA >FA", "SF", "ShAfF", false },
        { ">S <SA >A >FA <FA >R", "SF", "ShAFfR", false }, /* closed before it was reset */
        { ">S <SA >A >FA <R", "RSTR", "ShAFr", false },
        { ">S <SA >R", "RSTO", "ShR", false },
        { ">S <SA >A >RA <RA", "RSTO", "ShARr", false }, /* the first counts */
        { ">S <SA >A <RA >R", "RSTR", "ShArR", false },
        { ">S >R", "RSTOS0", "SR", false },
        { ">S >FA", "SH", "SF", false },
        { ">S <A", "OTH", "Sa", false }, /* answered, but with what? */
        { ">S <A >FA <FA", "OTH", "SaFf", false },
        { ">S <S <SA", "S1", "Ssh", false }, /* opened from both ends */
        { "<SA", "OTH", "h", false },
        { "<SA >S >A", "S1", "hSA", false }, /* came out of order */
        { ">SA", "OTH", "h", true },
        { "<SA <R", "RSTRH", "hr", false },
        { "<SA >R", "OTH", "hR", false },
        { "<SA <FA", "SHR", "hf", false },
        { ">A", "OTH", "A", false },
        { ">PA+ <A", "OTH", "Da", false },
        { ">R", "OTH", "R", false },
        { ">F <RA", "OTH", "Fr", false },
        { ">FPU", "OTH", "F", false },
        { ">SF", "OTH", "Q", false },
        { ">SR <RA", "OTH", "Qr", false },
        { ">", "OTH", "", false },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        struct flow_table *t = table_new(64);
        print_message("# %s\n", cases[k].words);
        play(t, cases[k].words);
        assert_int_equal(flow_table_count(t), 1);
        end_all(t);
        assert_int_equal(ended.n, 1);
        const struct flow *f = &ended.flow[0];
        char history[HISTORY_MAX + 1] = "";
        memcpy(history, f->history, f->history_len);
        assert_string_equal(flow_state(f), cases[k].state);
        assert_string_equal(history, cases[k].history);
        assert_int_equal(f->port[ORIG], cases[k].swapped ? 25 : 4000);
        assert_int_equal(f->port[RESP], cases[k].swapped ? 4000 : 25);
    }
}

/* UDP by who sent; what lib/track calls an answer is one. Others have no state. */
static void
test_datagrams(void **state)
{
    (void)state;
    static const struct {
        uint8_t cls;
        bool answered;
        const char *state;
        uint16_t orig;
    } cases[] = {
        { BH_CLASS_ACCESS, false, "S0", 5000 },
        { BH_CLASS_ACCESS, true, "SF", 5000 },
        { BH_CLASS_UDP_BACKSCATTER, false, "SHR", 53 },
        { BH_CLASS_UDP_ANSWER, true, "SF", 53 },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        struct flow_table *t = table_new(64);
        struct row r = udp_row(SEC, "198.51.100.1", 5000, "10.0.0.2", 53);
        bh_batch_reset(batch);
        row_add(batch, &r);
        batch->cls[0] = cases[k].cls;
        if (cases[k].answered) {
            r = udp_row(2 * SEC, "10.0.0.2", 53, "198.51.100.1", 5000);
            row_add(batch, &r);
        }
        flow_table_add(t, batch);
        end_all(t);
        assert_int_equal(ended.n, 1);
        assert_string_equal(flow_state(&ended.flow[0]), cases[k].state);
        assert_int_equal(ended.flow[0].port[ORIG], cases[k].orig);
    }
    /* Echo and its answer are one flow; an error is one of its own, each way. Fragments have no ports. */
    struct flow_table *t = table_new(64);
    const struct row rows[] = {
        icmp_row(SEC, "198.51.100.1", "10.0.0.2", 8, 0),
        icmp_row(SEC, "10.0.0.2", "198.51.100.1", 0, 0),
        icmp_row(SEC, "198.51.100.1", "10.0.0.2", 3, 3),
        icmp_row(SEC, "10.0.0.2", "198.51.100.1", 3, 3),
        icmp_row(SEC, "2001:db8::1", "2001:db8::2", 128, 0),
        icmp_row(SEC, "2001:db8::2", "2001:db8::1", 129, 0),
        { .ts_ns = SEC,
          .src = ip_of("198.51.100.1"),
          .dst = ip_of("10.0.0.2"),
          .proto = BH_PROTO_UDP,
          .marks = BH_MARK_NO_PORTS | BH_MARK_FRAGMENT },
        { .ts_ns = SEC,
          .src = ip_of("198.51.100.1"),
          .dst = ip_of("10.0.0.2"),
          .proto = 47,
          .marks = BH_MARK_NO_PORTS },
        { .ts_ns = SEC,
          .src = ip_of("198.51.100.1"),
          .dst = ip_of("10.0.0.2"),
          .proto = 47,
          .marks = BH_MARK_DUPLICATE },
    };
    for (size_t k = 0; k < BH_COUNT(rows); k++) {
        add(t, &rows[k]);
    }
    bh_batch_reset(batch);
    row_add_frame(batch, SEC, true);
    flow_table_add(t, batch);
    end_all(t);
    assert_int_equal(ended.n, 6);
    unsigned pairs = 0;
    for (uint32_t k = 0; k < ended.n; k++) {
        pairs += ended.flow[k].ports == PORTS_PAIR && ended.flow[k].packets[ORIG] == 1 &&
                 ended.flow[k].packets[RESP] == 1;
        assert_string_equal(flow_state(&ended.flow[k]), "OTH");
    }
    assert_int_equal(pairs, 2);
}

/* ---- time ------------------------------------------------------------------------------------------------------ */

static void
test_idle(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *before; /* "": UDP */
        int64_t after_ns;
        uint32_t flows;
        enum flow_end end;
    } cases[] = {
        { "tcp, still", ">S <SA >A", 300 * SEC, 1, FLOW_FORCED },
        { "tcp, over", ">S <SA >A", 300 * SEC + 1, 2, FLOW_IDLE },
        { "one-sided, still", ">S", 300 * SEC, 1, FLOW_FORCED },
        { "one-sided, over", ">S", 300 * SEC + 1, 2, FLOW_IDLE },
        { "closed, still", ">S <SA >A >FA <FA", 5 * SEC, 1, FLOW_CLOSED },
        { "closed, over", ">S <SA >A >FA <FA", 5 * SEC + 1, 2, FLOW_CLOSED },
        { "reset, over", ">S <RA", 5 * SEC + 1, 2, FLOW_CLOSED },
        { "one FIN is not closed", ">S <SA >A >FA", 300 * SEC, 1, FLOW_FORCED },
        { "udp, still", "", 60 * SEC, 1, FLOW_FORCED },
        { "udp, over", "", 60 * SEC + 1, 2, FLOW_IDLE },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        print_message("# %s\n", cases[k].name);
        struct flow_table *t = table_new(64);
        struct row r = udp_row(1000 * SEC, "198.51.100.1", 4000, "10.0.0.2", 25);
        if (*cases[k].before == '\0') {
            add(t, &r);
        } else {
            play(t, cases[k].before);
            r = tcp_row(flow_table_now(t), "198.51.100.1", 4000, "10.0.0.2", 25, BH_TCP_ACK);
        }
        r.ts_ns += cases[k].after_ns;
        bh_batch_reset(batch); /* as when nothing expired in between */
        row_add(batch, &r);
        flow_table_add(t, batch);
        end_all(t);
        assert_int_equal(ended.n, cases[k].flows);
        assert_int_equal(ended.end[0], cases[k].end);
    }
    /* Time that packets do not bring. */
    struct flow_table *t = table_new(64);
    play(t, ">S <SA >A");
    flow_table_pass(t, 300 * SEC);
    flow_table_expire(t, UINT32_MAX);
    assert_int_equal(ended.n, 0);
    flow_table_pass(t, 1);
    flow_table_expire(t, UINT32_MAX);
    assert_int_equal(ended.n, 1);
    assert_int_equal(ended.end[0], FLOW_IDLE);
    end_all(t);
}

/* A long flow is written in parts that add up. */
static void
test_active(void **state)
{
    (void)state;
    struct flow_table *t = table_new(64);
    play(t, ">S <SA >A"); /* begins at 1000 s + 1 ms */
    struct row r = tcp_row(0, "10.0.0.2", 25, "198.51.100.1", 4000, BH_TCP_ACK | BH_TCP_PSH);
    r.payload = 100;
    for (int64_t s = 1200; s <= 4700; s += 100) {
        r.ts_ns = s * SEC;
        add(t, &r);
    }
    end_all(t);
    assert_int_equal(ended.n, 3);
    static const enum flow_end ends[] = { FLOW_ACTIVE, FLOW_ACTIVE, FLOW_FORCED };
    uint64_t packets = 0, payload = 0;
    for (uint32_t k = 0; k < 3; k++) {
        const struct flow *f = &ended.flow[k];
        assert_int_equal(ended.end[k], ends[k]);
        assert_int_equal(f->part, k);
        assert_string_equal(flow_state(f), "S1");
        assert_int_equal(f->begin_ns, 1000 * SEC + MS);
        assert_true(f->last_ns - f->start_ns < 1800 * SEC);
        assert_int_equal(f->id, ended.flow[0].id);
        packets += f->packets[ORIG] + f->packets[RESP];
        payload += f->payload[RESP];
    }
    assert_int_equal(ended.flow[1].start_ns,
                     2900 * SEC); /* 1800 s after 1000.001 s is passed at 2900 s */
    assert_int_equal(packets, 3 + 36);
    assert_int_equal(payload, 3600);
}

/* A clock that goes back ends nothing early, and keeps nothing for hours. */
static void
test_clock(void **state)
{
    (void)state;
    struct flow_table *t = table_new(64);
    struct row r = udp_row(100000 * SEC, "198.51.100.1", 1, "10.0.0.2", 2);
    add(t, &r);
    r.ts_ns -= SEC; /* out of order */
    add(t, &r);
    r.ts_ns -= 90000 * SEC; /* set back */
    add(t, &r);
    assert_int_equal(ended.n, 0);
    r = udp_row(r.ts_ns + 61 * SEC, "198.51.100.1", 3, "10.0.0.2", 4);
    add(t, &r);
    assert_int_equal(ended.n, 1);
    assert_int_equal(ended.flow[0].packets[ORIG], 3);
    const struct row still = udp_row(r.ts_ns, "198.51.100.1", 5, "10.0.0.2", 6);
    add(t, &still);
    for (int k = 0; k < 1000; k++) { /* jitter is no time */
        r.ts_ns += k % 2 == 0 ? SEC : -SEC;
        add(t, &r);
    }
    assert_int_equal(ended.n, 1);
    end_all(t);
    assert_int_equal(ended.n, 3);
}

/* The same ports again: a SYN with another number is another connection. */
static void
test_reuse(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t seq;
        const char *before;
        uint32_t flows;
    } cases[] = {
        { "sent again", 900, ">S", 1 },
        { "sent again after an answer", 900, ">S <RA", 1 },
        { "another", 901, ">S", 2 },
        { "another, established", 901, ">S <SA >A >PA+", 2 },
        { "another, closed", 901, ">S <SA >A >FA <FA", 2 },
        { "after a middle", 901, ">A", 2 },
        { "the other side has only answered", 901, "<SA", 1 },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        print_message("# %s\n", cases[k].name);
        struct flow_table *t = table_new(64);
        play(t, cases[k].before);
        struct row r = tcp_row(1001 * SEC, "198.51.100.1", 4000, "10.0.0.2", 25, BH_TCP_SYN);
        r.seq = cases[k].seq;
        add(t, &r);
        end_all(t);
        assert_int_equal(ended.n, cases[k].flows);
        assert_int_equal(ended.n == 2 ? ended.end[0] : FLOW_CLOSED, FLOW_CLOSED);
    }
}

/* ---- the bound --------------------------------------------------------------------------------------------------- */

/* A flood of SYNs pushes itself out, then closed ones first, and never what answers while others are there. */
static void
test_full(void **state)
{
    (void)state;
    struct flow_table *t = table_new(100);
    play(t, ">S <SA >A");
    struct row r = tcp_row(1001 * SEC, "198.51.100.9", 1, "10.0.0.2", 80, BH_TCP_SYN);
    add(t, &r);
    r = tcp_row(1001 * SEC, "10.0.0.2", 80, "198.51.100.9", 1, BH_TCP_RST | BH_TCP_ACK);
    add(t, &r);
    for (uint32_t k = 0; k < 1098; k++) {
        r = tcp_row(1002 * SEC + k, "203.0.113.1", 1000 + k, "10.0.0.2", 80, BH_TCP_SYN);
        add(t, &r);
        assert_true(flow_table_count(t) <= 100);
        assert_int_equal(ended.n, k < 98 ? 0 : k - 97);
    }
    assert_int_equal(ended.end[0], FLOW_CLOSED);
    assert_int_equal(flow_table_ended_early(t), 999);
    for (uint32_t k = 1; k < ended.n; k++) {
        assert_int_equal(ended.end[k], FLOW_FULL);
        assert_int_equal(ended.flow[k].port[ORIG], 999 + k); /* the oldest first */
    }
    const uint32_t before = ended.n;
    end_all(t);
    assert_int_equal(ended.n, before + 100);
    unsigned both = 0;
    for (uint32_t k = before; k < ended.n; k++) {
        both += ended.flow[k].sent == 3;
    }
    assert_int_equal(both, 1);
    /* Nothing but conversations: the longest untouched. */
    t = table_new(64);
    for (uint32_t k = 0; k < 70; k++) {
        r = udp_row(1000 * SEC + 2 * k, "198.51.100.1", 1000 + k, "10.0.0.2", 53);
        add(t, &r);
        r = udp_row(1000 * SEC + 2 * k + 1, "10.0.0.2", 53, "198.51.100.1", 1000 + k);
        add(t, &r);
    }
    assert_int_equal(ended.n, 6);
    assert_int_equal(ended.flow[5].port[ORIG], 1005);
    end_all(t);
}

/* Whatever packets come: every one is in exactly one record. */
static void
test_sums(void **state)
{
    (void)state;
    uint64_t dice = 5, sent = 0, bytes = 0;
    struct flow_table *t = table_new(64);
    uint64_t got = 0, got_bytes = 0;
    int64_t ts = 1000 * SEC;
    for (uint32_t k = 0; k < 40000; k++) {
        char a[32], b[32];
        snprintf(a, sizeof a, "198.51.100.%u", 1 + random_below(&dice, 12));
        snprintf(b, sizeof b, "10.0.0.%u", 1 + random_below(&dice, 3));
        const bool back = random_below(&dice, 3) == 0;
        struct row r =
            tcp_row(ts += random_below(&dice, 1000) * MS, back ? b : a, 1 + random_below(&dice, 4),
                    back ? a : b, 1 + random_below(&dice, 4), random_below(&dice, 64));
        r.seq = random_below(&dice, 3);
        r.payload = (uint16_t)random_below(&dice, 3);
        sent++;
        bytes += 40U + r.payload;
        add(t, &r);
        for (uint32_t e = 0; e < ended.n; e++) {
            got += ended.flow[e].packets[0] + ended.flow[e].packets[1];
            got_bytes += ended.flow[e].bytes[0] + ended.flow[e].bytes[1];
        }
        ended.n = 0;
    }
    end_all(t);
    for (uint32_t e = 0; e < ended.n; e++) {
        got += ended.flow[e].packets[0] + ended.flow[e].packets[1];
        got_bytes += ended.flow[e].bytes[0] + ended.flow[e].bytes[1];
    }
    assert_int_equal(got, sent);
    assert_int_equal(got_bytes, bytes);
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

static void
test_sha1(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *sum; /* of octets i * 7; of "abc" */
    } cases[] = {
        { 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
        { 3, "a9993e364706816aba3e25717850c26c9cd0d89d" },
        { 55, "aecd1643c9903b9bae8cb94f53c50f8a4e18605b" },
        { 56, "f5d65c621c02cc8e785159feff8088e3072da1bc" },
        { 63, "4952f0fe097e4d6410ae9eab4855aa836caf3bff" },
        { 64, "1e17ae1fc093e5daca033553c97a5192ca164486" },
        { 119, "b4a4e69060d0b1e7e8ebbf7041a4211c63438b57" },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        uint8_t data[128], sum[20];
        char text[41];
        for (size_t i = 0; i < cases[k].len; i++) {
            data[i] = cases[k].len == 3 ? (uint8_t)("abc"[i]) : (uint8_t)(i * 7);
        }
        flow_sha1(data, cases[k].len, sum);
        for (size_t i = 0; i < 20; i++) {
            snprintf(text + 2 * i, 3, "%02x", sum[i]);
        }
        assert_string_equal(text, cases[k].sum);
    }
}

/* The vectors of the specification; both directions have one name. */
static void
test_community_id(void **state)
{
    (void)state;
    const struct {
        struct row row;
        const char *id;
    } cases[] = {
        { tcp_row(SEC, "128.232.110.120", 34855, "66.35.250.204", 80, BH_TCP_SYN),
          "1:LQU9qZlK+B5F3KDmev6m5PMibrg=" },
        { tcp_row(SEC, "66.35.250.204", 80, "128.232.110.120", 34855, BH_TCP_ACK),
          "1:LQU9qZlK+B5F3KDmev6m5PMibrg=" },
        { udp_row(SEC, "192.168.1.52", 54585, "8.8.8.8", 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ=" },
        { udp_row(SEC, "8.8.8.8", 53, "192.168.1.52", 54585), "1:d/FP5EW3wiY1vCndhwleRRKHowQ=" },
        { icmp_row(SEC, "192.168.0.89", "192.168.0.1", 8, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=" },
        { icmp_row(SEC, "192.168.0.1", "192.168.0.89", 0, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=" },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        char id[COMMUNITY_ID_MAX];
        struct flow_table *t = table_new(64);
        add(t, &cases[k].row);
        end_all(t);
        flow_community_id(&ended.flow[0], 0, id);
        assert_string_equal(id, cases[k].id);
        flow_community_id(&ended.flow[0], 1, id);
        assert_string_not_equal(id, cases[k].id);
    }
}

/* ---- the module ------------------------------------------------------------------------------------------------------ */

static struct bh_error said;

static void
hear(void *arg, const char *instance, enum bh_say level, const struct bh_error *err)
{
    (void)arg;
    (void)instance;
    (void)level;
    said = *err;
}

static void
test_settings(void **state)
{
    (void)state;
    static const struct {
        struct bh_host_setting set[3];
        size_t count;
        int code;
        const char *where;
    } cases[] = {
        { { { "format", "csv" } }, 1, BH_EUSAGE, "path" },
        { { { "path", "/tmp/x" }, { "collector", "localhost:1" } }, 2, BH_EUSAGE, "path" },
        { { { "format", "zeek" }, { "collector", "127.0.0.1:1" } }, 2, BH_EUSAGE, "collector" },
        { { { "format", "ipfix" }, { "collector", "127.0.0.1" } }, 2, BH_EUSAGE, "collector" },
        { { { "format", "ipfix" }, { "collector", "::1:4739" } }, 2, BH_EUSAGE, "collector" },
        { { { "format", "ipfix" }, { "collector", "[]:4739" } }, 2, BH_EUSAGE, "collector" },
        { { { "format", "ipfix" }, { "collector", ":4739" } }, 2, BH_EUSAGE, "collector" },
        { { { "path", "/nowhere/at/all.csv" } }, 1, -ENOENT, "/nowhere/at/all.csv" },
        { { { "path", "/tmp/" } }, 1, -EISDIR, "/tmp/" },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        struct bh_host_config cfg = { .module = bh_module_find("flow"),
                                      .instance = "f",
                                      .settings = cases[k].set,
                                      .setting_count = cases[k].count,
                                      .say = hear };
        struct bh_host *h = NULL;
        said = (struct bh_error){ 0 };
        assert_int_equal(bh_host_new(&cfg, &h, NULL), cases[k].code);
        assert_string_equal(said.where, cases[k].where);
        assert_true(said.text[BH_EN][0] != '\0' && said.text[BH_JA][0] != '\0');
    }
}

static size_t
read_whole(const char *path, char *to, size_t size)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    const size_t n = fread(to, 1, size - 1, f);
    to[n] = '\0';
    fclose(f);
    return n;
}

/* A batch that comes twice counts once; flows that are open at the end are written. */
static void
test_repeat(void **state)
{
    (void)state;
    char dir[] = "/tmp/bh-test-flow-XXXXXX", path[64], text[4096];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/f.csv", dir);
    const struct bh_host_setting set[] = { { "format", "csv" },
                                           { "path", path },
                                           { "idle-other", "1s" } };
    struct bh_host_config cfg = { .module = bh_module_find("flow"),
                                  .instance = "f",
                                  .settings = set,
                                  .setting_count = 3,
                                  .say = hear };
    const struct bh_output_run run = {
        .size = sizeof run, .sensor = "a \"b\"", .start_ns = 1, .outcomes = true
    };
    struct bh_host *h;
    uint64_t number;
    assert_int_equal(bh_host_new(&cfg, &h, NULL), 0);
    assert_int_equal(bh_host_run(h, &run, NULL), 0);
    for (uint64_t k = 0; k < 4; k++) {
        const struct row r =
            udp_row((int64_t)(10 + k / 2) * SEC, "198.51.100.1", 4000, "10.0.0.2", 53);
        bh_batch_reset(batch);
        row_add(batch, &r);
        assert_int_equal(bh_host_offer(h, batch, k / 2, 0), 0);
    }
    assert_int_equal(bh_host_flush(h, &number), 0);
    assert_int_equal(number, 2);
    assert_int_not_equal(access(path, F_OK), 0); /* nothing has ended */
    assert_int_equal(bh_host_tick(h, 100 * SEC), 0);
    assert_int_equal(bh_host_tick(h, 101 * SEC), 0);
    assert_int_equal(bh_host_flush(h, &number), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(bh_host_tick(h, 102 * SEC), 0); /* more than 1 s without packets */
    assert_int_equal(bh_host_flush(h, &number), 0);
    read_whole(path, text, sizeof text);
    const char *line = strchr(text, '\n');
    assert_non_null(line);
    assert_string_equal(strchr(line + 1, '\n') + 1, "");
    assert_non_null(strstr(
        line, "1970-01-01T00:00:10.000000000Z,1970-01-01T00:00:11.000000000Z,\"a \"\"b\"\"\","
              "198.51.100.1,4000,,10.0.0.2,53,,udp,,,S0,D,idle,0,2,120,40,"));
    bh_host_free(h);
    snprintf(text, sizeof text, "rm -r %s", dir);
    assert_int_equal(system(text), 0);
}

/* A process that is killed: what it had open is counted by the next one, what it had written is not. */
static uint64_t
own(const struct bh_host_counters *c, const char *name)
{
    for (unsigned k = 0; k < BH_OUTPUT_OWN; k++) {
        if (strcmp(c->own_name[k], name) == 0) {
            return atomic_load(&c->own[k]);
        }
    }
    return UINT64_MAX;
}

static struct bh_host *
flow_process(const char *path, struct bh_host_counters *counters)
{
    static const struct bh_output_run run = {
        .size = sizeof run, .sensor = "a", .start_ns = 1, .outcomes = true
    };
    const struct bh_host_setting set[] = { { "format", "csv" },
                                           { "path", path },
                                           { "idle-other", "1s" } };
    const struct bh_host_config cfg = { .module = bh_module_find("flow"),
                                        .instance = "f",
                                        .settings = set,
                                        .setting_count = 3,
                                        .say = hear };
    struct bh_host *h;
    assert_int_equal(bh_host_new(&cfg, &h, NULL), 0);
    bh_host_count_in(h, counters);
    assert_int_equal(bh_host_run(h, &run, NULL), 0);
    return h;
}

static void
test_killed(void **state)
{
    (void)state;
    char dir[] = "/tmp/bh-test-flow-XXXXXX", path[64];
    uint64_t number;
    int status;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/f.csv", dir);
    struct bh_host_counters *c =
        mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(c, MAP_FAILED);
    const pid_t pid = fork();
    if (pid == 0) {
        struct bh_host *h = flow_process(path, c);
        for (uint64_t k = 0; k < 7; k++) { /* three end when the fourth comes, four stay open */
            const struct row r = udp_row((int64_t)(k < 3 ? 10 : 100) * SEC, "198.51.100.1",
                                         (uint16_t)(4000 + k), "10.0.0.2", 53);
            bh_batch_reset(batch);
            row_add(batch, &r);
            bh_ignore(bh_host_offer(h, batch, k, 0));
        }
        bh_ignore(bh_host_flush(h, &number));
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(own(c, "flows_begun"), 7);
    assert_int_equal(own(c, "flows_closed"), 3);
    for (unsigned turn = 0; turn < 2; turn++) { /* counted once */
        struct bh_host *h = flow_process(path, c);
        assert_int_equal(own(c, "flows_lost"), 4);
        bh_host_free(h);
    }
    assert_int_equal(munmap(c, sizeof *c), 0);
    char command[128]; /* also files that were put aside */
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    assert_int_equal(system(command), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),   cmocka_unit_test(test_datagrams),
        cmocka_unit_test(test_idle),     cmocka_unit_test(test_active),
        cmocka_unit_test(test_clock),    cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_full),     cmocka_unit_test(test_sums),
        cmocka_unit_test(test_sha1),     cmocka_unit_test(test_community_id),
        cmocka_unit_test(test_settings), cmocka_unit_test(test_repeat),
        cmocka_unit_test(test_killed),
    };
    batch = bh_batch_new();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    bh_batch_free(batch);
    return failed;
}

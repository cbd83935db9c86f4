/* SPDX-License-Identifier: BSD-2-Clause */
/* The packet log: what goes in comes out, whatever the rows are and wherever the writer stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/store/crew_priv.h"
#include "../../lib/store/file_priv.h"
#include "../../lib/store/rows_priv.h"
#include "../../lib/store/table_priv.h"

/* ---- dice ------------------------------------------------------------------------------------------ */

static uint64_t dice_state;

static uint64_t
dice(void)
{
    dice_state += 0x9e3779b97f4a7c15ULL;
    return bh_mix64(dice_state, 0x5851f42d4c957f2dULL);
}

static uint32_t
below(uint32_t n)
{
    return (uint32_t)(dice() >> 33) % n;
}

/* ---- lists ------------------------------------------------------------------------------------------- */

static void
check_numbers(struct code_work *w, const uint32_t *v, uint32_t n)
{
    struct bh_buf out = { 0 };
    uint32_t *got = malloc((n + 16) * sizeof *got);
    code_put_numbers(w, &out, v, n);
    assert_false(out.failed);
    struct bh_cur c = bh_cur_over((const uint8_t *)out.data, out.len);
    assert_true(code_get_numbers(&c, got, n));
    assert_int_equal(bh_cur_left(&c), 0);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(got[i], v[i]);
    }
    if (n > 0 && n < 4096) { /* cut short it is refused, not read beyond */
        for (size_t cut = 0; cut < out.len; cut += 1 + out.len / 16) {
            uint8_t *copy = malloc(cut + 1);
            memcpy(copy, out.data, cut);
            c = bh_cur_over(copy, cut);
            assert_false(code_get_numbers(&c, got, n));
            free(copy);
        }
    }
    free(got);
    bh_buf_done(&out);
}

static uint32_t
number_of_kind(unsigned kind, uint32_t i)
{
    switch (kind) {
    case 0:
        return 7;
    case 1:
        return i;
    case 2:
        return (uint32_t)dice();
    case 3:
        return below(4) == 0 ? (uint32_t)dice() : below(20);
    case 4:
        return below(300);
    case 5:
        return UINT32_MAX - below(2);
    case 6:
        return i % 1000 * 65537;
    default:
        return below(70000) & 0xffff;
    }
}

static void
numbers_come_back(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 0,   1,    2,    3,    23,   24,    25,   255,
                                      256, 2048, 4095, 4096, 4097, 65535, 65536 };
    struct code_work w;
    uint32_t *v = malloc(65536 * sizeof *v);
    assert_int_equal(code_work_init(&w), 0);
    for (unsigned kind = 0; kind < 8; kind++) {
        for (size_t s = 0; s < BH_COUNT(sizes); s++) {
            for (uint32_t i = 0; i < sizes[s]; i++) {
                v[i] = number_of_kind(kind, i);
            }
            check_numbers(&w, v, sizes[s]);
        }
    }
    free(v);
    code_work_done(&w);
}

static void
steps_are_exact(void **state)
{
    (void)state;
    for (unsigned e = 0; e < 64; e++) {
        for (int64_t off = -2; off <= 2; off++) {
            for (int sign = -1; sign <= 1; sign += 2) {
                const uint64_t u = (1ULL << e) + (uint64_t)off;
                const int64_t d = (int64_t)(sign < 0 ? 0 - u : u);
                unsigned bits;
                uint64_t low;
                const uint8_t s = code_step_symbol(d, &bits, &low);
                if (s < CODE_STEP_BACK) {
                    assert_true(d >= 0 && code_steps[s].bits == bits && low < 1ULL << bits);
                    assert_int_equal(code_steps[s].base + low, d);
                } else if (s == CODE_STEP_BACK) {
                    assert_true(d < 0 && bits == 32 && -(int64_t)low == d);
                } else {
                    assert_int_equal(low, d);
                }
            }
        }
    }
}

/* What the processor has against what every one has: all widths, lengths around its eight at a time,
 * octets at the very end of their memory (the sanitizers see who reads beyond). */
static void
unpacking_is_the_same(void **state)
{
    (void)state;
    static const uint32_t lengths[] = { 0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 64, 255, 1000, 4099 };
    for (unsigned width = 0; width <= 32; width++) {
        for (size_t k = 0; k < BH_COUNT(lengths); k++) {
            const uint32_t n = lengths[k];
            const size_t size = ((size_t)n * width + 7) / 8;
            uint8_t *p = malloc(size == 0 ? 1 : size);
            uint32_t *v = malloc((n + 1) * sizeof *v), *w = malloc((n + 1) * sizeof *w);
            assert_true(p != NULL && v != NULL && w != NULL);
            for (unsigned round = 0; round < 4; round++) { /* zeros, ones, random */
                for (size_t i = 0; i < size; i++) {
                    p[i] = (uint8_t)(round == 0 ? 0 : round == 1 ? 255U : dice());
                }
                const uint32_t least = round == 3 ? UINT32_MAX - 5 : (uint32_t)dice();
                code_unpack(p, size, width, least, v, n);
                code_unpack_base(p, size, width, least, w, n);
                assert_memory_equal(v, w, n * sizeof *v);
                for (uint32_t i = 0; i < n; i++) { /* and against the definition */
                    uint64_t x = 0;
                    for (unsigned b = 0; b < width; b++) {
                        const uint64_t bit = (uint64_t)i * width + b;
                        x |= (uint64_t)(p[bit / 8] >> bit % 8 & 1) << b;
                    }
                    assert_int_equal(v[i], (uint32_t)(least + x));
                }
            }
            free(p);
            free(v);
            free(w);
        }
    }
}

static void
looking_up_is_the_same(void **state)
{
    (void)state;
    uint32_t table[256];
    for (unsigned i = 0; i < 256; i++) {
        table[i] = (uint32_t)dice();
    }
    for (uint32_t n = 0; n < 70; n++) {
        uint8_t *code = malloc(n + 1UL);
        uint32_t v[70], w[70];
        assert_non_null(code);
        for (uint32_t i = 0; i < n; i++) {
            code[i] = (uint8_t)dice();
        }
        code_look_up(table, code, v, n);
        code_look_up_base(table, code, w, n);
        assert_memory_equal(v, w, n * sizeof *v);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(v[i], table[code[i]]);
        }
        free(code);
    }
}

static void
sums_see_every_octet(void **state)
{
    (void)state;
    uint8_t data[100] = { 0 };
    for (size_t n = 0; n <= sizeof data; n++) {
        for (size_t i = 0; i < n; i++) {
            data[i] = (uint8_t)dice();
        }
        const uint64_t sum = code_sum(data, n);
        for (size_t i = 0; i < n; i++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                data[i] ^= (uint8_t)(1U << bit);
                assert_int_not_equal(code_sum(data, n), sum);
                data[i] ^= (uint8_t)(1U << bit);
            }
        }
        assert_true(n == 0 || code_sum(data, n - 1) != sum);
    }
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

/* All records of a test, as batches. */
struct rows {
    struct bh_batch **batch;
    size_t count;
    uint64_t rows;
};

enum mood { MOOD_PLAIN, MOOD_ODD, MOOD_FLOOD };

static void
odd_fields(struct bh_batch *b, uint32_t i)
{
    b->marks[i] = below(3) == 0 ? (uint8_t)dice() : 0;
    b->reason[i] = (uint8_t)below(BH_REASON_COUNT);
    b->layers[i] = (uint16_t)(dice() & ((1U << BH_LAYER_COUNT) - 1 + BH_LAYER_CUT));
    b->ip_len[i] = (uint32_t)dice() >> below(32);
    b->payload_len[i] = (uint16_t)dice();
    b->tcp_flags[i] = (uint8_t)dice();
    b->tcp_options[i] = (uint32_t)dice();
    b->vlan[i] = (uint16_t)below(4097);
    b->ethertype[i] = (uint16_t)dice();
    b->interface[i] = (uint16_t)below(3);
    b->src_mac[i] = dice() >> 16;
    b->wire_len[i] = (uint32_t)dice();
    b->tunnel_sender[i] = (uint32_t)dice();
    b->tunnel_vni[i] = (uint32_t)dice();
    b->df[i] = (uint8_t)below(2);
    b->direction[i] = (uint8_t)below(5);
    b->cls[i] = (uint8_t)below(BH_CLASS_COUNT);
    b->outcome[i] = (uint8_t)below(BH_OUTCOME_COUNT);
}

static void
add_address(struct bh_batch *b, uint32_t i, enum mood mood)
{
    const uint32_t far = mood == MOOD_FLOOD ? (uint32_t)dice() : 0x3d000000 + below(3000) * 251,
                   near = 0xcb007100 + below(256);
    const bool out = b->direction[i] == BH_DIR_OUT;
    if (b->kind[i] == BH_KIND_IP6) {
        const struct bh_ip6_pair p = { 0x20010db8ULL << 32 | below(40), dice() & 7,
                                       0x20010db8005eULL << 16, below(4) };
        b->ip6[b->v6_rows] =
            out ? (struct bh_ip6_pair){ p.dst_hi, p.dst_lo, p.src_hi, p.src_lo } : p;
        b->src[i] = b->dst[i] = b->v6_rows++;
    } else {
        b->src[i] = b->kind[i] == BH_KIND_NONE ? 0 : out ? near : far;
        b->dst[i] = b->kind[i] == BH_KIND_NONE ? 0 : out ? far : near;
    }
}

static void
add_sides(struct bh_batch *b, uint32_t i)
{
    if (below(5) == 0) {
        struct bh_seen s = { .port = (uint16_t)dice(),
                             .port_proto = below(2) ? BH_PROTO_TCP : BH_PROTO_UDP,
                             .has_src4 = true,
                             .src4 = (uint32_t)dice() };
        bh_batch_set_seen(b, i, &s);
    }
    if (below(3) == 0 && b->quote_rows < BH_BATCH_QUOTES) {
        struct bh_quote *q = &b->quotes[b->quote_rows++];
        *q = (struct bh_quote){ .row = (uint16_t)i,
                                .kind = below(2) ? BH_KIND_IP4 : BH_KIND_IP6,
                                .proto = (uint8_t)dice(),
                                .has_ports = below(2) != 0,
                                .ports = (uint32_t)dice() };
        if (q->kind == BH_KIND_IP4) {
            q->src = (uint32_t)dice();
            q->dst = (uint32_t)dice();
        } else {
            q->ip6 = (struct bh_ip6_pair){ dice(), dice(), dice(), dice() };
        }
    }
}

static int64_t
next_time(int64_t ts, enum mood mood)
{
    if (mood != MOOD_ODD) {
        return ts + (int64_t)below(2000000) * 1000;
    }
    switch (below(40)) {
    case 0:
        return (int64_t)((uint64_t)ts - below(1000000000)); /* beyond the ends it comes round */
    case 1:
        return INT64_MIN + (int64_t)below(1000);
    case 2:
        return INT64_MAX - (int64_t)below(1000);
    case 3:
        return (int64_t)dice();
    default:
        return (int64_t)((uint64_t)ts + below(1000000));
    }
}

static void
fill_batch(struct bh_batch *b, uint32_t rows, enum mood mood, int64_t *ts)
{
    static const uint8_t kinds[] = { BH_KIND_IP4, BH_KIND_IP4, BH_KIND_IP4,
                                     BH_KIND_IP6, BH_KIND_ARP, BH_KIND_NONE };
    static const uint8_t protos[] = { BH_PROTO_TCP,  BH_PROTO_TCP,   BH_PROTO_UDP,
                                      BH_PROTO_ICMP, BH_PROTO_ICMP6, 47 };
    bh_batch_reset(b);
    b->want = BH_WANT_COLD;
    for (uint32_t i = 0; i < rows; i++) {
        *ts = next_time(*ts, mood);
        b->ts_ns[i] = *ts;
        b->kind[i] = mood == MOOD_ODD ? kinds[below(BH_COUNT(kinds))] : BH_KIND_IP4;
        b->proto[i] = mood == MOOD_FLOOD ? BH_PROTO_TCP : protos[below(mood == MOOD_ODD ? 6 : 4)];
        b->direction[i] = below(6) == 0 ? BH_DIR_OUT : BH_DIR_IN;
        b->cls[i] = b->direction[i] == BH_DIR_IN && b->proto[i] <= BH_PROTO_UDP &&
                            b->proto[i] != BH_PROTO_ICMP
                        ? BH_CLASS_ACCESS
                        : BH_CLASS_NONE;
        b->outcome[i] = b->cls[i] == BH_CLASS_ACCESS && b->proto[i] == BH_PROTO_TCP
                            ? (uint8_t)(1 + below(6))
                            : 0;
        b->connection[i] = 0;
        b->marks[i] = b->reason[i] = 0;
        b->tcp_flags[i] = BH_TCP_SYN;
        b->layers[i] = BH_LAYER_IPV4 | BH_LAYER_TCP;
        b->ip_len[i] = 40 + 4 * below(6);
        b->payload_len[i] = 0;
        b->wire_len[i] = 60;
        b->src_mac[i] = 0x020000000001;
        b->tcp_options[i] = below(3);
        b->df[i] = 1;
        b->ttl[i] = (uint8_t)(40 + below(3));
        b->ip_id[i] = (uint16_t)dice();
        b->tcp_seq[i] = (uint32_t)dice();
        b->tcp_window[i] = (uint16_t)(below(2) ? 1024 : 29200);
        b->ports[i] = (uint32_t)dice() << 16 | (below(4) == 0 ? below(65536) : 22);
        b->vlan[i] = b->ethertype[i] = b->interface[i] = 0;
        b->tunnel_sender[i] = b->tunnel_vni[i] = 0;
        b->weight[i] = below(100);
        if (mood == MOOD_ODD) {
            odd_fields(b, i);
        }
        add_address(b, i, mood);
        b->rows++;
        if (mood == MOOD_ODD) {
            add_sides(b, i);
        }
    }
}

static struct rows
make_rows(uint64_t seed, size_t batches, enum mood mood)
{
    struct rows r = { .batch = calloc(batches, sizeof(void *)), .count = batches };
    int64_t ts = 1185807600000000000LL;
    dice_state = seed;
    for (size_t k = 0; k < batches; k++) {
        r.batch[k] = bh_batch_new();
        fill_batch(r.batch[k], below(5) == 0 ? 1 + below(BH_BATCH_ROWS) : BH_BATCH_ROWS, mood, &ts);
        if (mood == MOOD_ODD) {
            r.batch[k]->has_weight = k % 7 == 3;
            r.batch[k]->all_inbound = k % 5 == 4;
            r.batch[k]->want = k % 6 == 5 ? 0 : BH_WANT_COLD;
        }
        r.rows += r.batch[k]->rows;
    }
    return r;
}

static void
rows_free(struct rows *r)
{
    for (size_t k = 0; k < r->count; k++) {
        bh_batch_free(r->batch[k]);
    }
    free(r->batch);
}

/* ---- comparing ------------------------------------------------------------------------------------------- */

static void
same_value(const struct bh_field *f, const struct bh_batch *a, uint32_t i, const struct bh_batch *b,
           uint32_t j)
{
    struct bh_value x, y;
    f->get(a, i, &x);
    f->get(b, j, &y);
    if (x.absent != y.absent || x.number != y.number || bh_ip_cmp(&x.ip, &y.ip) != 0) {
        fail_msg("%s: %d %llu, got %d %llu", f->name, x.absent, (unsigned long long)x.number,
                 y.absent, (unsigned long long)y.number);
    }
}

static const struct bh_quote *
quote_of(const struct bh_batch *b, uint32_t row)
{
    for (uint32_t k = 0; k < b->quote_rows; k++) {
        if (b->quotes[k].row == row) {
            return &b->quotes[k];
        }
    }
    return NULL;
}

static void
same_row(const struct bh_batch *a, uint32_t i, const struct bh_batch *b, uint32_t j, uint32_t lacks)
{
    for (size_t k = 0; k < bh_fields_count; k++) {
        const char *n = bh_fields[k].name;
        const bool left_out = ((lacks & BH_LACK_SEQ) != 0 && strcmp(n, "tcp_seq") == 0) ||
                              ((lacks & BH_LACK_IP_ID) != 0 && strcmp(n, "ip_id") == 0) ||
                              ((lacks & BH_LACK_WINDOW) != 0 && strcmp(n, "tcp_window") == 0) ||
                              ((lacks & BH_LACK_OPTIONS) != 0 && strcmp(n, "tcp_options") == 0);
        struct bh_value v;
        if (left_out) {
            bh_fields[k].get(b, j, &v);
            assert_true(v.absent);
        } else if (strcmp(n, "outcome") != 0 &&
                   strcmp(n, "sensor") != 0) { /* the reader names it */
            same_value(&bh_fields[k], a, i, b, j);
        }
    }
    const bool knock = a->cls[i] == BH_CLASS_ACCESS && a->proto[i] == BH_PROTO_TCP &&
                       a->kind[i] >= BH_KIND_IP4 && (a->marks[i] & BH_MARK_NO_PORTS) == 0;
    assert_int_equal(knock ? a->outcome[i] : 0, b->outcome[j]);
    assert_int_equal(a->layers[i], b->layers[j]);
    assert_int_equal(a->marks[i], b->marks[j]);
    assert_int_equal(a->all_inbound, b->all_inbound);
    const struct bh_quote *x = quote_of(a, i), *y = quote_of(b, j);
    assert_int_equal(x == NULL, y == NULL);
    if (x != NULL) {
        assert_true(x->kind == y->kind && x->proto == y->proto && x->has_ports == y->has_ports &&
                    x->ports == y->ports);
        assert_true(x->kind == BH_KIND_IP6 ? memcmp(&x->ip6, &y->ip6, sizeof x->ip6) == 0
                                           : x->src == y->src && x->dst == y->dst);
    }
    if ((a->layers[i] & BH_LAYER_SEEN) != 0) {
        uint32_t at = 0, at2 = 0;
        struct bh_seen s = bh_batch_seen(a, i, &at), t = bh_batch_seen(b, j, &at2);
        assert_true(s.port == t.port && s.port_proto == t.port_proto && s.src4 == t.src4 &&
                    s.has_src4 == t.has_src4);
    }
}

static void
same_rows(const struct rows *r, uint64_t first, struct bh_store *s, uint32_t lacks,
          uint64_t expected)
{
    struct bh_store_query q = { .start_ns = INT64_MIN, .end_ns = INT64_MAX, .want = BH_STORE_ALL };
    struct bh_batch *b = bh_batch_new();
    struct bh_error err = { 0 };
    size_t k = 0;
    uint32_t i = 0;
    uint64_t n = 0;
    for (uint64_t skip = first; skip > 0; skip--) {
        if (++i == r->batch[k]->rows) {
            i = 0;
            k++;
        }
    }
    assert_int_equal(bh_store_read_begin(s, &q, &err), 0);
    while (bh_store_read(s, b, &err) == 1) {
        for (uint32_t j = 0; j < b->rows; j++, n++) {
            assert_true(k < r->count);
            same_row(r->batch[k], i, b, j, lacks);
            if (++i == r->batch[k]->rows) {
                i = 0;
                k++;
            }
        }
    }
    assert_int_equal(n, expected);
    bh_batch_free(b);
}

/* ---- directories ------------------------------------------------------------------------------------------- */

static char dir[256];

static void
remove_dir(const char *path)
{
    DIR *d = opendir(path);
    if (d == NULL) {
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char name[800];
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        unlink(name);
    }
    closedir(d);
    rmdir(path);
}

static int
new_dir(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/bh-store-XXXXXX", base == NULL ? "/tmp" : base);
    return mkdtemp(dir) == NULL;
}

static int
drop_dir(void **state)
{
    (void)state;
    remove_dir(dir);
    return 0;
}

static bool seal_beside; /* by a thread of its own */

static struct bh_store_writer *
open_writer(uint32_t blocks, bool lean)
{
    struct bh_store_writer_config cfg = { .dir = dir,
                                          .segment_blocks = blocks,
                                          .seal_beside = seal_beside,
                                          .run = { .lean = lean, .outcomes = true } };
    struct bh_store_writer *w;
    struct bh_error err = { 0 };
    snprintf(cfg.run.home, sizeof cfg.run.home, "203.0.113.0/24");
    if (bh_store_writer_open(&cfg, &w, &err) != 0) {
        fail_msg("%s", err.text[0]);
    }
    return w;
}

static struct bh_store *
open_store(void)
{
    struct bh_store *s;
    struct bh_error err = { 0 };
    const char *dirs[] = { dir };
    if (bh_store_open(dirs, 1, &s, &err) != 0) {
        fail_msg("%s: %s", err.where, err.text[0]);
    }
    return s;
}

static void
check_log(const struct rows *r, uint32_t lacks, uint64_t expected)
{
    struct bh_store *s = open_store();
    struct bh_error err = { 0 };
    struct bh_store_health h;
    same_rows(r, 0, s, lacks, expected);
    assert_int_equal(bh_store_verify(s, NULL, NULL, &err), 0);
    bh_store_get_health(s, &h);
    assert_true(h.damaged_blocks == 0 && h.damaged_files == 0 && h.lost_records == 0);
    bh_store_close(s);
}

static void
write_batches(struct bh_store_writer *w, const struct rows *r, size_t from, size_t to)
{
    struct bh_error err = { 0 };
    for (size_t k = from; k < to; k++) {
        assert_int_equal(bh_store_write(w, r->batch[k], &err), 0);
        bh_store_settle(w, UINT64_MAX, NULL, NULL);
    }
}

static const struct bh_store_sums no_sums;

static void
all_come_back(enum mood mood, size_t batches, uint32_t blocks, bool lean)
{
    struct rows r = make_rows(mood * 100 + batches, batches, mood);
    struct bh_store_writer *w = open_writer(blocks, lean);
    struct bh_error err = { 0 };
    write_batches(w, &r, 0, r.count);
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
    check_log(&r, lean ? BH_LACK_SEQ | BH_LACK_IP_ID | BH_LACK_WINDOW | BH_LACK_OPTIONS : 0,
              r.rows);
    rows_free(&r);
}

static void
plain_rows(void **state)
{
    (void)state;
    all_come_back(MOOD_PLAIN, 150, 1, false);
}

static void
odd_rows(void **state)
{
    (void)state;
    all_come_back(MOOD_ODD, 100, 2, false);
}

static void
lean_rows(void **state)
{
    (void)state;
    all_come_back(MOOD_PLAIN, 70, 16, true);
}

static void
flood_rows(void **state)
{
    (void)state;
    all_come_back(MOOD_FLOOD, 140, 2, false);
}

/* Dictionary and blocks of a segment; what else is in it tells one writing from another (own addresses of
 * roll-ups stand in the order of a random key). */
static bool
read_segment(uint64_t sequence, struct bh_buf *ret)
{
    char path[400], name[NAME_SIZE];
    struct log_file f;
    struct bh_error err = { 0 };
    name_put(name, sequence, FILE_SEGMENT);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int r = log_file_open(path, FILE_SEGMENT, sequence, &f, &err);
    if (r != 0) {
        assert_int_equal(r, -ENOENT);
        return false;
    }
    for (size_t k = 0; k < f.dict_count; k++) {
        bh_buf_add(ret, f.data + f.dict[k].body_at, f.dict[k].body_size);
    }
    for (size_t k = 0; k < f.block_count; k++) {
        bh_buf_add(ret, f.data + f.block[k].body_at, f.block[k].head.body_size);
    }
    log_file_close(&f);
    return true;
}

/* With a thread that seals beside, segments are the same octet for octet, also where tables are made anew
 * between them (a flood). */
static void
sealed_beside(void **state)
{
    (void)state;
    static const enum mood moods[] = { MOOD_PLAIN, MOOD_ODD, MOOD_FLOOD };
    for (size_t m = 0; m < BH_COUNT(moods); m++) {
        struct rows r = make_rows(500 + m, 400, moods[m]);
        struct bh_buf found[2] = { { 0 }, { 0 } };
        struct bh_error err = { 0 };
        for (unsigned beside = 0; beside < 2; beside++) {
            remove_dir(dir);
            assert_int_equal(mkdir(dir, 0777), 0);
            seal_beside = beside != 0;
            struct bh_store_writer *w = open_writer(1, false);
            for (size_t k = 0; k < r.count; k++) {
                write_batches(w, &r, k, k + 1);
                if (k % 7 == 0) {
                    assert_int_equal(
                        bh_store_tick(w, (int64_t)k * 300000000, &no_sums, NULL, NULL, &err), 0);
                }
            }
            assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
            check_log(&r, 0, r.rows);
            uint64_t segments = 0;
            while (read_segment(segments + 1, &found[beside])) {
                segments++;
            }
            assert_true(segments > 1);
        }
        assert_int_equal(found[0].len, found[1].len);
        assert_memory_equal(found[0].data, found[1].data, found[1].len);
        bh_buf_done(&found[0]);
        bh_buf_done(&found[1]);
        rows_free(&r);
    }
    seal_beside = false;
}

/* What a row says in numbers of tables, spelled out. */
struct said {
    struct far far;
    struct near near;
    struct form form;
    uint64_t service;
    uint32_t stream, len;
};

static struct said
said_by(const struct terms *t, const struct chunk *c, uint32_t i)
{
    const uint64_t shape = t->shape.key[c->shape[i]];
    return (struct said){ t->far[c->far[i]],          t->near[c->near[i]],
                          t->form[shape_form(shape)], t->service.key[c->service[i]],
                          shape_stream(shape),        shape_len(shape) };
}

static bool
is_same(const struct said *a, const struct said *b)
{
    return a->far.hi == b->far.hi && a->far.lo == b->far.lo && a->far.family == b->far.family &&
           a->far.country == b->far.country && a->near.hi == b->near.hi &&
           a->near.lo == b->near.lo && a->near.family == b->near.family &&
           form_same(&a->form, &b->form) && a->service == b->service && a->stream == b->stream &&
           a->len == b->len;
}

/* What the row says has the numbers it has, and no others are given. */
static bool
is_found(struct terms *t, const struct chunk *c, uint32_t i)
{
    const struct said s = said_by(t, c, i);
    const uint32_t group = (uint32_t)(s.service >> 16);
    uint32_t far, near, form, service, shape;
    return far_id(t, (struct address){ s.far.hi, s.far.lo, s.far.family },
                  address_hash(t->key, s.far.family, s.far.hi, s.far.lo), COUNTRY_ASK, &far) == 0 &&
           near_id(t, (struct address){ s.near.hi, s.near.lo, s.near.family },
                   address_hash(t->key, s.near.family, s.near.hi, s.near.lo), &near) == 0 &&
           form_id(t, &s.form, form_hash(t->key, &s.form), &form) == 0 &&
           service_id(t, port_table(t, group), group, s.service & 0xffff, &service) == 0 &&
           key_id(t, &t->shape, shape_key(s.stream, form, s.len), &shape) == 0 &&
           far == c->far[i] && near == c->near[i] && service == c->service[i] &&
           shape == c->shape[i];
}

/* Tables that forget the rows of some chunks: those of the others say what they said, and are found again. */
static void
tables_forget(void **state)
{
    (void)state;
    static const enum mood moods[] = { MOOD_PLAIN, MOOD_ODD, MOOD_FLOOD };
    for (size_t m = 0; m < BH_COUNT(moods); m++) {
        struct rows r = make_rows(900 + m, 1200, moods[m]);
        struct open_rows o;
        assert_int_equal(rows_init(&o, NULL, 7), 0);
        for (size_t k = 0; k < r.count; k++) {
            assert_int_equal(rows_add(&o, r.batch[k], 0, NULL), 0);
        }
        assert_true(o.count > 2);
        while (o.count > 1) {
            const size_t gone = (o.count + 1) / 2;
            struct chunk *const *kept = o.chunk + gone;
            const size_t chunks = o.count - gone;
            struct said *said = malloc(chunks * BLOCK_ROWS * sizeof *said);
            const uint32_t before = o.terms.far_count;
            size_t n = 0;
            assert_non_null(said);
            for (size_t k = 0; k < chunks; k++) {
                for (uint32_t i = 0; i < kept[k]->rows; i++) {
                    said[n++] = said_by(&o.terms, kept[k], i);
                }
            }
            assert_int_equal(terms_keep(&o.terms, kept, chunks, n / 2), 0);
            const struct terms t = o.terms;
            n = 0;
            for (size_t k = 0; k < chunks; k++) {
                for (uint32_t i = 0; i < kept[k]->rows; i++) {
                    const struct said now = said_by(&o.terms, kept[k], i);
                    assert_true(is_same(&now, &said[n++]));
                    assert_true(is_found(&o.terms, kept[k], i));
                }
            }
            assert_int_equal(o.terms.far_count, t.far_count);
            assert_int_equal(o.terms.near_count, t.near_count);
            assert_int_equal(o.terms.form_count, t.form_count);
            assert_int_equal(o.terms.service.count, t.service.count);
            assert_int_equal(o.terms.shape.count, t.shape.count);
            assert_true(moods[m] != MOOD_FLOOD || o.terms.far_count < before);
            rows_forget(&o, gone);
            free(said);
        }
        assert_int_equal(terms_keep(&o.terms, NULL, 0, 0), 0); /* nothing is left */
        assert_int_equal(o.terms.far_count | o.terms.near_count | o.terms.form_count |
                             o.terms.service.count | o.terms.shape.count,
                         0);
        rows_done(&o);
        rows_free(&r);
    }
}

/* Flushed every few batches and never sealed; then by the next writer. Journals have dictionaries of their
 * own kind: what comes back is the same. */
static void
journalled_rows(void **state)
{
    (void)state;
    static const struct {
        enum mood mood;
        size_t batches, flush_every;
        bool lean;
    } cases[] = { { MOOD_PLAIN, 20, 1, false },
                  { MOOD_ODD, 70, 3, false },
                  { MOOD_ODD, 70, 70, true },
                  { MOOD_FLOOD, 70, 7, false },
                  { MOOD_PLAIN, 150, 150, true } };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        struct rows r = make_rows(1000 + k, cases[k].batches, cases[k].mood);
        struct bh_error err = { 0 };
        const uint32_t lacks =
            cases[k].lean ? BH_LACK_SEQ | BH_LACK_IP_ID | BH_LACK_WINDOW | BH_LACK_OPTIONS : 0;
        remove_dir(dir);
        assert_int_equal(mkdir(dir, 0777), 0);
        struct bh_store_writer *w = open_writer(64, cases[k].lean);
        assert_int_equal(bh_store_tick(w, 0, &no_sums, NULL, NULL, &err), 0);
        for (size_t b = 0; b < r.count; b++) {
            write_batches(w, &r, b, b + 1);
            if ((b + 1) % cases[k].flush_every == 0 || b + 1 == r.count) {
                assert_int_equal(
                    bh_store_tick(w, (int64_t)(b + 1) * 1000000000, &no_sums, NULL, NULL, &err), 0);
            }
        }
        assert_int_equal(bh_store_flushed(w), r.rows);
        assert_int_equal(bh_store_writer_close(w, NULL, &err), 0);
        check_log(&r, lacks, r.rows);
        assert_int_equal(bh_store_writer_close(open_writer(64, cases[k].lean), &no_sums, &err), 0);
        check_log(&r, lacks, r.rows);
        rows_free(&r);
    }
}

static void
no_rows(void **state)
{
    (void)state;
    struct bh_store_writer *w = open_writer(0, false);
    struct bh_error err = { 0 };
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
    struct rows none = { 0 };
    check_log(&none, 0, 0);
}

/* ---- where the writer stops ------------------------------------------------------------------------------------ */

static unsigned
say_refused(void *arg, uint32_t connection, int64_t ts_ns)
{
    (void)connection;
    (void)ts_ns;
    return *(unsigned *)arg;
}

/* Undecided outcomes become what the verdict says. */
static void
decide(struct rows *r, unsigned outcome)
{
    for (size_t k = 0; k < r->count; k++) {
        for (uint32_t i = 0; i < r->batch[k]->rows; i++) {
            struct bh_batch *b = r->batch[k];
            if (b->cls[i] == BH_CLASS_ACCESS && b->proto[i] == BH_PROTO_TCP) {
                b->outcome[i] = (uint8_t)outcome;
            }
        }
    }
}

/* Ends without closing after so many batches and flushes; then the next writer goes on. */
static void
killed_after(size_t batches, uint64_t settled, uint32_t blocks)
{
    struct rows r = make_rows(7, 150, MOOD_PLAIN);
    struct bh_error err = { 0 };
    unsigned refused = BH_OUTCOME_REFUSED;
    decide(&r, BH_OUTCOME_NONE);
    struct bh_store_writer *w = open_writer(blocks, false);
    int64_t now = 0;
    uint64_t written = 0;
    for (size_t k = 0; k < batches; k++) {
        assert_int_equal(bh_store_write(w, r.batch[k], &err), 0);
        written += r.batch[k]->rows;
        bh_store_settle(w, written > settled ? written - settled : 0, say_refused, &refused);
        assert_int_equal(bh_store_tick(w, now += 400000000, &no_sums, say_refused, &refused, &err),
                         0);
    }
    const uint64_t flushed = bh_store_flushed(w);
    assert_true(flushed <= written && (batches < 4 || flushed > 0));
    assert_int_equal(bh_store_writer_close(w, NULL, &err), 0);
    decide(&r, BH_OUTCOME_REFUSED);
    if (flushed > 0) {
        check_log(&r, 0, flushed); /* as a reader sees it */
    }
    w = open_writer(blocks, false); /* seals what was left */
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
    check_log(&r, 0, flushed);
    rows_free(&r);
}

static void
killed_writers(void **state)
{
    seal_beside = *state != NULL;
    static const struct {
        size_t batches;
        uint64_t settled;
        uint32_t blocks;
    } cases[] = { { 1, 0, 1 },       { 3, 0, 1 },       { 5, 2000, 1 },     { 70, 30000, 1 },
                  { 140, 70000, 1 }, { 150, 1000, 16 }, { 140, 1000000, 1 } };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        remove_dir(dir);
        assert_int_equal(mkdir(dir, 0777), 0);
        killed_after(cases[k].batches, cases[k].settled, cases[k].blocks);
    }
    seal_beside = false;
}

/* A journal that stops at any octet gives what was complete. */
static void
torn_journal(void **state)
{
    (void)state;
    struct rows r = make_rows(11, 12, MOOD_PLAIN);
    struct bh_error err = { 0 };
    struct bh_store_writer *w = open_writer(16, false);
    uint64_t sizes[13] = { 0 }, rows[13] = { 0 };
    char path[400];
    struct stat st;
    snprintf(path, sizeof path, "%s/0000000001.jnl", dir);
    for (size_t k = 0; k < r.count; k++) {
        write_batches(w, &r, k, k + 1);
        assert_int_equal(bh_store_tick(w, (int64_t)k * 2000000000, &no_sums, NULL, NULL, &err), 0);
        sizes[k + 1] = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
        rows[k + 1] = bh_store_flushed(w);
    }
    assert_int_equal(bh_store_writer_close(w, NULL, &err), 0);
    for (uint64_t cut = sizes[12]; cut > 64;
         cut -= cut > sizes[1] + 3000 ? 1 + below(2500) : 1 + below(40)) {
        assert_int_equal(truncate(path, (off_t)cut), 0);
        uint64_t least = 0;
        for (size_t k = 0; k <= 12; k++) {
            least = sizes[k] != 0 && sizes[k] <= cut ? rows[k] : least;
        }
        struct bh_store *s = open_store();
        struct bh_store_totals t;
        bh_store_get_totals(s, &t);
        assert_true(t.records >= least);
        same_rows(&r, 0, s, 0, t.records);
        bh_store_close(s);
    }
    rows_free(&r);
}

static void
second_writer(void **state)
{
    (void)state;
    struct bh_store_writer *w = open_writer(0, false), *other;
    struct bh_store_writer_config cfg = { .dir = dir };
    struct bh_error err = { 0 };
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_int_equal(bh_store_writer_open(&cfg, &other, &err), BH_ELIMIT);
    assert_non_null(strstr(err.text[BH_EN], pid));
    assert_non_null(strstr(err.text[BH_JA], pid));
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
    w = open_writer(0, false);
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
}

/* A sensor's process that begins again says the sums of its whole run again. */
static void
sums_of_a_sensor(void **state)
{
    static const struct {
        const char *what;
        uint64_t key[3];
        int64_t first_ns[3];
        uint64_t frames[3], lost[3];
        uint64_t expected;
        size_t runs;
    } cases[] = {
        { "one run, begun again", { 7, 7, 7 }, { 5, 5, 5 }, { 10, 20, 30 }, { 1, 2, 3 }, 3, 1 },
        { "written in another way", { 7, 8, 8 }, { 5, 5, 5 }, { 10, 20, 30 }, { 1, 2, 3 }, 3, 2 },
        { "and back again", { 7, 8, 7 }, { 5, 5, 5 }, { 10, 20, 30 }, { 1, 2, 3 }, 3, 2 },
        { "three runs of the sensor", { 7, 7, 7 }, { 5, 6, 7 }, { 10, 20, 30 }, { 1, 2, 3 }, 6, 3 },
        { "imports have no frames", { 0, 0, 0 }, { 5, 5, 5 }, { 0, 0, 0 }, { 1, 2, 3 }, 6, 3 },
    };
    (void)state;
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        char folder[420];
        struct bh_error err = { 0 };
        struct bh_store *s;
        snprintf(folder, sizeof folder, "%s/%zu", dir, k);
        const char *dirs[] = { folder };
        for (size_t n = 0; n < 3; n++) {
            struct rows r = make_rows(90 + n, 2, MOOD_PLAIN);
            struct bh_store_writer_config cfg = {
                .dir = folder,
                .run_key = cases[k].key[n],
                .run = { .sensor = "s", .source = "eth0", .first_ns = cases[k].first_ns[n] }
            };
            const struct bh_store_sums sums = { .frames = cases[k].frames[n],
                                                .lost = { cases[k].lost[n] } };
            struct bh_store_writer *w;
            assert_int_equal(bh_store_writer_open(&cfg, &w, &err), 0);
            write_batches(w, &r, 0, r.count);
            assert_int_equal(bh_store_writer_close(w, &sums, &err), 0);
            rows_free(&r);
        }
        assert_int_equal(bh_store_open(dirs, 1, &s, &err), 0);
        print_message("# %s\n", cases[k].what);
        assert_int_equal(bh_store_get_sums(s)->lost[0], cases[k].expected);
        assert_int_equal(bh_store_run_count(s), cases[k].runs);
        bh_store_close(s);
        remove_dir(folder);
    }
}

/* ---- damage ----------------------------------------------------------------------------------------------------- */

static uint64_t
count_rows(struct bh_store *s)
{
    struct bh_store_query q = { .start_ns = INT64_MIN, .end_ns = INT64_MAX, .want = BH_STORE_ALL };
    struct bh_batch *b = bh_batch_new();
    struct bh_error err = { 0 };
    uint64_t n = 0;
    assert_int_equal(bh_store_read_begin(s, &q, &err), 0);
    while (bh_store_read(s, b, &err) == 1) {
        n += b->rows;
    }
    bh_batch_free(b);
    return n;
}

static void
flipped_octets(void **state)
{
    (void)state;
    struct rows r = make_rows(13, 100, MOOD_PLAIN);
    struct bh_store_writer *w = open_writer(16, false);
    struct bh_error err = { 0 };
    write_batches(w, &r, 0, r.count);
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
    char path[400];
    snprintf(path, sizeof path, "%s/0000000001.seg", dir);
    int fd = open(path, O_RDWR);
    struct stat st;
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    for (off_t at = 0; at < st.st_size; at += 997 * 17) { /* every 997th: tests/acceptance/log */
        uint8_t octet, other;
        assert_int_equal(pread(fd, &octet, 1, at), 1);
        other = (uint8_t)(octet ^ (1U << below(8)));
        assert_int_equal(pwrite(fd, &other, 1, at), 1);
        struct bh_store *s = open_store();
        struct bh_store_health h;
        const uint64_t n = count_rows(s);
        bh_store_get_health(s, &h);
        const uint64_t lost = h.lost_records;
        assert_true(n + lost == r.rows && lost <= BLOCK_ROWS);
        assert_int_equal(bh_store_verify(s, NULL, NULL, &err), 0);
        bh_store_get_health(s, &h);
        assert_true(h.damaged_files + h.damaged_blocks > 0);
        bh_store_close(s);
        assert_int_equal(pwrite(fd, &octet, 1, at), 1);
    }
    close(fd);
    check_log(&r, 0, r.rows);
    rows_free(&r);
}

/* ---- runs ---------------------------------------------------------------------------------------------------------- */

/* Two writings that overlap in time come out merged, each in its order. */
static void
runs_are_merged(void **state)
{
    (void)state;
    struct rows a = make_rows(21, 40, MOOD_PLAIN), b = make_rows(22, 40, MOOD_PLAIN);
    struct bh_error err = { 0 };
    for (size_t k = 0; k < b.count; k++) { /* tell them apart; begin in the middle of the first */
        for (uint32_t i = 0; i < b.batch[k]->rows; i++) {
            b.batch[k]->ts_ns[i] += a.batch[20]->ts_ns[0] - a.batch[0]->ts_ns[0] + 1;
            b.batch[k]->interface[i] = 1;
        }
    }
    struct bh_store_writer *w = open_writer(0, false);
    write_batches(w, &b, 0, b.count);
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
    w = open_writer(0, false);
    write_batches(w, &a, 0, a.count);
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
    struct bh_store *s = open_store();
    assert_int_equal(bh_store_run_count(s), 2);
    struct bh_store_query q = { .start_ns = INT64_MIN, .end_ns = INT64_MAX, .want = BH_STORE_ALL };
    struct bh_batch *x = bh_batch_new();
    size_t batch[2] = { 0, 0 };
    uint32_t row[2] = { 0, 0 };
    uint64_t n = 0;
    int64_t last = INT64_MIN;
    assert_int_equal(bh_store_read_begin(s, &q, &err), 0);
    while (bh_store_read(s, x, &err) == 1) {
        for (uint32_t j = 0; j < x->rows; j++, n++) {
            const unsigned of = x->interface[j];
            const struct rows *r = of == 0 ? &a : &b;
            assert_true(x->ts_ns[j] >= last);
            last = x->ts_ns[j];
            same_row(r->batch[batch[of]], row[of], x, j, 0);
            if (++row[of] == r->batch[batch[of]]->rows) {
                row[of] = 0;
                batch[of]++;
            }
        }
    }
    assert_int_equal(n, a.rows + b.rows);
    bh_batch_free(x);
    bh_store_close(s);
    rows_free(&a);
    rows_free(&b);
}

/* A query for a time reads the blocks of that time and no others. */
static void
blocks_are_skipped(void **state)
{
    (void)state;
    struct rows r = make_rows(31, 300, MOOD_PLAIN);
    struct bh_error err = { 0 };
    struct bh_store_writer *w = open_writer(0, false);
    write_batches(w, &r, 0, r.count);
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
    struct bh_store *s = open_store();
    struct bh_store_query q = { .start_ns = r.batch[200]->ts_ns[0],
                                .end_ns = r.batch[201]->ts_ns[0] };
    struct bh_batch *b = bh_batch_new();
    uint64_t inside = 0, all = 0, total, done;
    assert_int_equal(bh_store_read_begin(s, &q, &err), 0);
    while (bh_store_read(s, b, &err) == 1) {
        all += b->rows;
        for (uint32_t i = 0; i < b->rows; i++) {
            inside += b->ts_ns[i] >= q.start_ns && b->ts_ns[i] < q.end_ns;
        }
    }
    bh_store_progress(s, &total, &done);
    assert_int_equal(inside, r.batch[200]->rows);
    assert_true(all <= 2 * BLOCK_ROWS && total == done && total <= 2);
    bh_batch_free(b);
    bh_store_close(s);
    rows_free(&r);
}

/* ---- what a log says of itself --------------------------------------------------------------------------------------- */

#define PIECES 1000U
struct job {
    uint32_t done[PIECES], by[CREW_MOST];
    bool is_beyond;
};

static void
do_piece(void *arg, uint32_t piece, unsigned worker)
{
    struct job *j = arg;
    j->done[piece]++; /* nobody else has it, nor the number of the thread: a race here is a fault */
    j->is_beyond |= worker >= CREW_MOST;
    j->by[worker % CREW_MOST]++;
}

/* Every piece of every job once, whatever the number of threads. */
static void
crews_share_work(void **state)
{
    (void)state;
    static const uint32_t pieces[] = { 0, 1, 2, 3, PIECES - 1, PIECES };
    for (unsigned threads = 0; threads <= CREW_MOST + 1; threads++) {
        struct crew *c;
        assert_int_equal(crew_new(threads, &c), 0);
        assert_in_range(crew_size(c), 1, CREW_MOST);
        assert_true(threads == 0 || crew_size(c) == (threads < CREW_MOST ? threads : CREW_MOST));
        for (unsigned k = 0; k < 20 * BH_COUNT(pieces); k++) {
            struct job j = { .is_beyond = false };
            const uint32_t n = pieces[k % BH_COUNT(pieces)];
            uint32_t sum = 0;
            crew_run(c, do_piece, &j, n);
            for (uint32_t i = 0; i < PIECES; i++) {
                assert_int_equal(j.done[i], i < n);
            }
            for (unsigned w = 0; w < CREW_MOST; w++) {
                sum += j.by[w];
                assert_true(w < crew_size(c) || j.by[w] == 0);
            }
            assert_int_equal(sum, n);
            assert_false(j.is_beyond);
        }
        crew_free(c);
    }
    struct job j = { .is_beyond = false };
    crew_run(NULL, do_piece, &j, 3);
    assert_int_equal(j.by[0], 3);
    assert_int_equal(crew_size(NULL), 1);
    crew_free(NULL);
}

static void
words_come_back(void **state)
{
    (void)state;
    struct bh_store_run run = { .id = 17,
                                .home_guessed = true,
                                .lean = true,
                                .first_ns = -5,
                                .country_id = UINT64_MAX },
                        got;
    struct bh_store_sums sums = { .steps_back = 3,
                                  .bad_rows = UINT64_MAX,
                                  .silence_count = 1,
                                  .note_count = 1 },
                         sums_got = { 0 };
    struct bh_buf out = { 0 };
    snprintf(run.home, sizeof run.home, "192.0.2.1,2001:db8::/64");
    snprintf(run.source, sizeof run.source, "a\\b\nc");
    snprintf(run.home_text[BH_JA], sizeof run.home_text[BH_JA], "ネットワーク");
    sums.silence[0] = (struct bh_store_silence){ INT64_MIN, INT64_MAX };
    sums.note[0] =
        (struct bh_store_note){ .damaged = true, .code = -2002, .has_offset = true, .offset = 24 };
    snprintf(sums.note[0].text[BH_EN], sizeof sums.note[0].text[BH_EN], "cut short");
    sums.served = calloc(65536, sizeof *sums.served);
    sums.served[443] = 12;
    run_put(&run, &out);
    run_get(&got, (const uint8_t *)out.data, out.len);
    assert_memory_equal(&run, &got, sizeof run);
    out.len = 0;
    sums_put(&sums, &out);
    assert_int_equal(sums_get(&sums_got, (const uint8_t *)out.data, out.len), 0);
    assert_int_equal(sums_got.served[443], 12);
    assert_true(sums_got.bad_rows == UINT64_MAX && sums_got.silence[0].start_ns == INT64_MIN &&
                sums_got.silence[0].end_ns == INT64_MAX);
    assert_memory_equal(&sums.note[0], &sums_got.note[0], sizeof sums.note[0]);
    assert_int_equal(bh_store_sums_add(&sums_got, &sums), 0);
    assert_true(sums_got.served[443] == 24 && sums_got.note_count == 2 && sums_got.steps_back == 6);
    bh_buf_done(&out);
    bh_store_sums_done(&sums);
    bh_store_sums_done(&sums_got);
}

static void
names_of_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum file_type type;
        uint64_t sequence;
    } cases[] = { { "0000000001.seg", FILE_SEGMENT, 1 },
                  { "9999999999.jnl", FILE_JOURNAL, 9999999999 },
                  { "0000000012.new", FILE_UNFINISHED, 12 },
                  { "0000000000.seg", FILE_NONE, 0 },
                  { "000000001.seg", FILE_NONE, 0 },
                  { "00000000001.seg", FILE_NONE, 0 },
                  { "0000000001.sega", FILE_NONE, 0 },
                  { "lock", FILE_NONE, 0 },
                  { "", FILE_NONE, 0 } };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        uint64_t n;
        char name[NAME_SIZE];
        assert_int_equal(name_get(cases[k].name, &n), cases[k].type);
        if (cases[k].type != FILE_NONE) {
            assert_int_equal(n, cases[k].sequence);
            name_put(name, n, cases[k].type);
            assert_string_equal(name, cases[k].name);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(steps_are_exact),
        cmocka_unit_test(sums_see_every_octet),
        cmocka_unit_test(unpacking_is_the_same),
        cmocka_unit_test(looking_up_is_the_same),
        cmocka_unit_test(crews_share_work),
        cmocka_unit_test(words_come_back),
        cmocka_unit_test(names_of_files),
        cmocka_unit_test_setup_teardown(plain_rows, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(odd_rows, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(lean_rows, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(flood_rows, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(journalled_rows, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(no_rows, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(killed_writers, new_dir, drop_dir),
        cmocka_unit_test_prestate_setup_teardown(killed_writers, new_dir, drop_dir, &seal_beside),
        cmocka_unit_test_setup_teardown(sealed_beside, new_dir, drop_dir),
        cmocka_unit_test(tables_forget),
        cmocka_unit_test_setup_teardown(torn_journal, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(second_writer, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(sums_of_a_sensor, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(flipped_octets, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(runs_are_merged, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(blocks_are_skipped, new_dir, drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

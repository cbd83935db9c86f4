/* SPDX-License-Identifier: BSD-2-Clause */
/* The module host: settings, the order of calls, verdicts that come later, and batches that cross as octets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "bh_modules.h"
#include "bh_output_host.h"

/* ---- a module that notes what it is told ------------------------------------------------------------------- */

struct noted {
    unsigned opens, runs, writes, rows, flushes, ticks, closes, busy;
    uint64_t settled, last_number;
    uint8_t outcome[1024];
    unsigned outcomes;
    uint32_t connection[1024];
};

static int
note_open(struct bh_output *o)
{
    struct noted *n = calloc(1, sizeof *n);
    bh_output_set_state(o, n);
    n->opens++;
    return n == NULL ? -ENOMEM : (int)bh_output_uint(o, "fail") * -EIO;
}

static int
note_run(struct bh_output *o, const struct bh_output_run *run)
{
    struct noted *n = bh_output_state(o);
    assert_ptr_equal(bh_output_run(o), run);
    n->runs++;
    n->settled = n->last_number = n->writes = 0; /* numbers count anew */
    return 0;
}

static int
note_write(struct bh_output *o, const struct bh_output_batch *batch)
{
    struct noted *n = bh_output_state(o);
    if (n->busy > 0) {
        n->busy--;
        return BH_EAGAIN;
    }
    assert_true(n->writes == 0 || batch->number > n->last_number);
    n->writes++;
    n->rows += batch->rows;
    n->last_number = batch->number;
    for (uint32_t i = 0; i < batch->rows; i++) {
        n->connection[n->outcomes] = batch->records->connection[i];
        n->outcome[n->outcomes++] = batch->records->outcome[i];
    }
    return 0;
}

static int
note_settle(struct bh_output *o, uint64_t number)
{
    struct noted *n = bh_output_state(o);
    assert_true(number >= n->settled);
    n->settled = number;
    return 0;
}

static int
note_flush(struct bh_output *o, uint64_t *ret_number)
{
    struct noted *n = bh_output_state(o);
    n->flushes++;
    *ret_number = n->last_number + 1;
    return 0;
}

static int
note_tick(struct bh_output *o, int64_t now_ns)
{
    (void)now_ns;
    ((struct noted *)bh_output_state(o))->ticks++;
    return 0;
}

static struct noted at_close;

static void
note_close(struct bh_output *o)
{
    struct noted *n = bh_output_state(o);
    n->closes++;
    at_close = *n;
    free(n);
}

static const struct bh_setting note_settings[] = {
    { .name = "fail",
      .type = BH_SETTING_UINT,
      .default_text = "0",
      .most = 1,
      .text = { "fail", "fail" } },
    { .name = "size",
      .type = BH_SETTING_SIZE,
      .default_text = "64k",
      .least = 1024,
      .text = { "size", "size" } },
    { .name = "keep", .type = BH_SETTING_DURATION, .text = { "keep", "keep" } },
    { .name = "form",
      .type = BH_SETTING_CHOICE,
      .choices = "csv|json",
      .default_text = "csv",
      .text = { "form", "form" } },
    { .name = "fast", .type = BH_SETTING_BOOL, .default_text = "yes", .text = { "fast", "fast" } },
    { .name = "to", .type = BH_SETTING_FILE_OUT, .default_text = "x", .text = { "to", "to" } },
};
static struct bh_output_module note_module = {
    .abi_major = BH_OUTPUT_ABI,
    .size = sizeof(struct bh_output_module),
    .name = "note",
    .summary = { "notes", "notes" },
    .settings = note_settings,
    .setting_count = BH_COUNT(note_settings),
    .open = note_open,
    .run = note_run,
    .write = note_write,
    .settle = note_settle,
    .flush = note_flush,
    .tick = note_tick,
    .close = note_close,
};

static struct bh_board board;

static struct bh_host *
host_new(uint32_t when, size_t hold)
{
    struct bh_host_config cfg = {
        .module = &note_module, .instance = "n", .board = &board, .hold_bytes = hold
    };
    struct bh_host *h;
    struct bh_error err = { 0 };
    note_module.when = when;
    memset(&board, 0, sizeof board);
    assert_int_equal(bh_host_new(&cfg, &h, &err), 0);
    return h;
}

static const struct bh_output_run a_run = {
    .size = sizeof a_run, .sensor = "s", .start_ns = 1, .outcomes = true
};

/* `rows` SYNs; as capture does, their accesses get the next numbers on the board. */
static uint64_t
make_batch(struct bh_batch *b, uint32_t rows)
{
    bh_batch_reset(b);
    for (uint32_t i = 0; i < rows; i++) {
        b->ts_ns[i] = 1000 + i;
        b->kind[i] = BH_KIND_IP4;
        b->src[i] = 0xcb007100 + i;
        b->dst[i] = 0xc0000201;
        b->proto[i] = BH_PROTO_TCP;
        b->tcp_flags[i] = BH_TCP_SYN;
        b->cls[i] = BH_CLASS_ACCESS;
        b->direction[i] = BH_DIR_IN;
        b->ports[i] = 40000U << 16 | 23;
    }
    b->rows = rows;
    const uint64_t first = atomic_load(&board.written);
    for (uint64_t k = first; k < first + rows; k++) {
        atomic_store(&board.outcome[k % BH_BOARD_ACCESSES], BH_OUTCOME_NONE);
    }
    atomic_store(&board.written, first + rows);
    return first;
}

static void
decide(uint64_t upto, uint8_t outcome)
{
    for (uint64_t k = atomic_load(&board.final); k < upto; k++) {
        atomic_store(&board.outcome[k % BH_BOARD_ACCESSES], outcome);
    }
    atomic_store(&board.final, upto);
}

/* ---- settings ------------------------------------------------------------------------------------------------- */

static void
test_settings(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        int code;
        uint64_t number;
    } cases[] = {
        { "size", "64k", 0, 65536 },
        { "size", "1024", 0, 1024 },
        { "size", "1023", BH_EUSAGE, 0 },
        { "size", "2G", 0, 2ULL << 30 },
        { "size", "16777216T", BH_EUSAGE, 0 },
        { "size", "16777215T", 0, 16777215ULL << 40 },
        { "size", "18446744073709551616", BH_EUSAGE, 0 },
        { "size", "1 k", BH_EUSAGE, 0 },
        { "size", "", BH_EUSAGE, 0 },
        { "size", "-1", BH_EUSAGE, 0 },
        { "keep", "90s", 0, 90000000000ULL },
        { "keep", "7d", 0, 604800000000000ULL },
        { "keep", "7", BH_EUSAGE, 0 },
        { "keep", "30500w", 0, 30500 * 604800000000000ULL },
        { "keep", "30501w", BH_EUSAGE, 0 },
        { "fail", "0", 0, 0 },
        { "fail", "2", BH_EUSAGE, 0 },
        { "fail", "0x", BH_EUSAGE, 0 },
        { "fast", "no", 0, 0 },
        { "fast", "yes", 0, 1 },
        { "fast", "true", BH_EUSAGE, 0 },
        { "form", "json", 0, 0 },
        { "form", "csv|json", BH_EUSAGE, 0 },
        { "form", "", BH_EUSAGE, 0 },
        { "to", "", BH_EUSAGE, 0 },
        { "siez", "1M", BH_EUNKNOWN, 0 },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        const struct bh_host_setting set = { cases[k].name, cases[k].value };
        struct bh_host_config cfg = {
            .module = &note_module, .instance = "n", .settings = &set, .setting_count = 1
        };
        struct bh_host *h = NULL;
        struct bh_error err = { 0 };
        print_message("# %s = %s\n", cases[k].name, cases[k].value);
        assert_int_equal(bh_host_check(&cfg, NULL), cases[k].code);
        assert_int_equal(bh_host_new(&cfg, &h, &err), cases[k].code);
        if (cases[k].code == 0) {
            assert_int_equal(bh_output_uint(bh_host_output(h), cases[k].name), cases[k].number);
            assert_string_equal(bh_output_text(bh_host_output(h), cases[k].name), cases[k].value);
            bh_host_free(h);
        } else if (cases[k].code == BH_EUNKNOWN) {
            assert_non_null(strstr(err.text[BH_EN], "did you mean size"));
        } else {
            assert_string_equal(err.where, cases[k].name);
        }
    }
}

static void
test_bad_modules(void **state)
{
    (void)state;
    struct bh_output_module m = note_module;
    m.abi_major++;
    assert_int_equal(bh_output_module_check(&m, NULL), BH_EVERSION);
    m = note_module;
    m.size--;
    assert_int_equal(bh_output_module_check(&m, NULL), BH_EVERSION);
    m = note_module;
    m.write = NULL;
    assert_int_equal(bh_output_module_check(&m, NULL), BH_EFORMAT);
    const struct bh_host_setting set = { "fail", "1" };
    struct bh_host_config cfg = {
        .module = &note_module, .instance = "n", .settings = &set, .setting_count = 1
    };
    struct bh_host *h = NULL;
    at_close = (struct noted){ 0 };
    assert_int_equal(bh_host_new(&cfg, &h, NULL), -EIO);
    assert_int_equal(at_close.closes, 1); /* also after an open() that failed */
}

/* ---- the order of calls --------------------------------------------------------------------------------------- */

static void
test_decided(void **state)
{
    (void)state;
    struct bh_host *h = host_new(BH_OUTPUT_DECIDED, 0);
    struct noted *n = bh_output_state(bh_host_output(h));
    struct bh_batch *b = bh_batch_new();
    assert_int_equal(bh_host_offer(h, b, 0, 0), BH_EDAMAGED); /* no run yet */
    assert_int_equal(bh_host_run(h, &a_run, NULL), 0);
    uint64_t first = make_batch(b, 10);
    assert_int_equal(bh_host_offer(h, b, 0, first), 0);
    first = make_batch(b, 5);
    assert_int_equal(bh_host_offer(h, b, 1, first), 0);
    assert_int_equal(bh_host_tick(h, 1), 0);
    assert_int_equal(n->writes, 0);
    decide(9, BH_OUTCOME_REFUSED);
    assert_int_equal(bh_host_tick(h, 2), 0);
    assert_int_equal(n->writes, 0); /* one of the ten is open */
    decide(10, BH_OUTCOME_SILENT);
    n->busy = 1;
    assert_int_equal(bh_host_tick(h, 3), BH_EAGAIN);
    assert_int_equal(bh_host_tick(h, 4), 0);
    assert_int_equal(n->rows, 10);
    assert_int_equal(n->outcome[8], BH_OUTCOME_REFUSED);
    assert_int_equal(n->outcome[9], BH_OUTCOME_SILENT);
    assert_int_equal(atomic_load(&bh_host_counters(h)->held_rows), 5);
    assert_int_equal(atomic_load(&bh_host_counters(h)->retried), 1);
    bh_host_free(h); /* the rest goes out with what is known */
    assert_int_equal(at_close.rows, 15);
    assert_int_equal(at_close.outcome[14], BH_OUTCOME_NONE);
    assert_true(at_close.flushes > 0 && at_close.closes == 1);
    bh_batch_free(b);
}

/* A bound that is reached: the oldest go out early, counted. */
static void
test_hold_bound(void **state)
{
    (void)state;
    struct bh_host *h = host_new(BH_OUTPUT_DECIDED, 40000);
    struct noted *n = bh_output_state(bh_host_output(h));
    struct bh_batch *b = bh_batch_new();
    assert_int_equal(bh_host_run(h, &a_run, NULL), 0);
    for (uint64_t k = 0; k < 4; k++) {
        const uint64_t first = make_batch(b, 200);
        assert_int_equal(bh_host_offer(h, b, k, first), 0);
    }
    assert_true(n->rows > 0 && n->rows < 800);
    assert_int_equal(atomic_load(&bh_host_counters(h)->early_rows), n->rows);
    assert_int_equal(atomic_load(&bh_host_counters(h)->held_rows), 800 - n->rows);
    bh_host_free(h);
    assert_int_equal(at_close.rows, 800);
    bh_batch_free(b);
}

static void
test_at_once(void **state)
{
    (void)state;
    struct bh_host *h = host_new(BH_OUTPUT_AT_ONCE, 0);
    struct noted *n = bh_output_state(bh_host_output(h));
    struct bh_batch *b = bh_batch_new();
    assert_int_equal(bh_host_run(h, &a_run, NULL), 0);
    uint64_t first = make_batch(b, 3);
    n->busy = 2;
    assert_int_equal(bh_host_offer(h, b, 7, first), BH_EAGAIN);
    assert_int_equal(bh_host_offer(h, b, 7, first), BH_EAGAIN);
    assert_int_equal(bh_host_offer(h, b, 7, first), 0);
    first = make_batch(b, 2);
    assert_int_equal(bh_host_offer(h, b, 9, first), 0);
    assert_int_equal(n->rows, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(n->connection[i], i);
    }
    decide(4, BH_OUTCOME_COMPLETE);
    assert_int_equal(bh_host_tick(h, 5), 0);
    assert_int_equal(n->settled, 8); /* batch 7 is, 9 is not */
    assert_int_equal(bh_output_verdict(bh_host_output(h), 3), BH_OUTCOME_COMPLETE);
    assert_int_equal(bh_output_verdict(bh_host_output(h), 4), BH_OUTCOME_NONE);
    assert_int_equal(bh_output_verdict(bh_host_output(h), 5),
                     BH_OUTCOME_UNKNOWN); /* there is none */
    uint64_t number;
    assert_int_equal(bh_host_flush(h, &number), 0);
    assert_int_equal(number, 10);
    assert_int_equal(atomic_load(&bh_host_counters(h)->durable_number), 10);
    assert_int_equal(bh_host_run(h, &a_run, NULL), 0); /* batches count anew */
    assert_int_equal(atomic_load(&bh_host_counters(h)->durable_number), 0);
    assert_int_equal(n->runs, 2);
    bh_host_free(h);
    bh_batch_free(b);
}

/* Numbers on the board come round; what was overwritten is unknown, never another's. */
static void
test_board(void **state)
{
    (void)state;
    struct bh_host *h = host_new(BH_OUTPUT_AT_ONCE, 0);
    struct bh_output *o = bh_host_output(h);
    const uint64_t base = (1ULL << 32) - 2;
    static const struct {
        int64_t back;
        unsigned outcome;
    } cases[] = { { 1, BH_OUTCOME_REFUSED },
                  { 4, BH_OUTCOME_REFUSED },
                  { BH_BOARD_ACCESSES - 1, BH_OUTCOME_REFUSED },
                  { BH_BOARD_ACCESSES, BH_OUTCOME_REFUSED },
                  { BH_BOARD_ACCESSES + 1, BH_OUTCOME_UNKNOWN },
                  { 0, BH_OUTCOME_UNKNOWN } };
    for (size_t k = 0; k < BH_BOARD_ACCESSES; k++) {
        atomic_store_explicit(&board.outcome[k], BH_OUTCOME_REFUSED, memory_order_relaxed);
    }
    atomic_store(&board.written, base + 3);
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        print_message("# %d back\n", (int)cases[k].back);
        assert_int_equal(bh_output_verdict(o, (uint32_t)(base + 3 - (uint64_t)cases[k].back)),
                         cases[k].outcome);
    }
    atomic_store(&board.outcome[0], 77); /* nobody wrote that */
    atomic_store(&board.written, 1);
    assert_int_equal(bh_output_verdict(o, 0), BH_OUTCOME_UNKNOWN);
    bh_host_free(h);
}

static void
test_filter(void **state)
{
    (void)state;
    struct bh_host *h = host_new(BH_OUTPUT_AT_ONCE, 0);
    struct noted *n = bh_output_state(bh_host_output(h));
    struct bh_batch *b = bh_batch_new();
    struct bh_filter *f;
    const char *const words[] = { "src", "host", "203.0.113.3" };
    assert_int_equal(bh_filter_parse(words, 3, NULL, &f, NULL), 0);
    assert_int_equal(bh_host_run(h, &a_run, f), 0);
    const uint64_t first = make_batch(b, 10);
    assert_int_equal(bh_host_offer(h, b, 0, first), 0);
    assert_int_equal(n->rows, 1);
    assert_int_equal(n->connection[0], 3); /* still its own number */
    bh_host_free(h);
    bh_filter_free(f);
    bh_batch_free(b);
}

/* ---- the template ---------------------------------------------------------------------------------------------- */

static char said[512];

static void
hear(void *arg, const char *instance, enum bh_say level, const struct bh_error *err)
{
    (void)arg;
    (void)level;
    assert_string_equal(instance, "t");
    snprintf(said, sizeof said, "%s", err->text[BH_EN]);
}

static void
test_template(void **state)
{
    (void)state;
    const struct bh_output_module *m = bh_module_find("template");
    assert_non_null(m);
    assert_null(bh_module_find("templat"));
    const struct bh_host_setting set = { "report", "yes" };
    struct bh_host_config cfg = { .module = m,
                                  .instance = "t",
                                  .settings = &set,
                                  .setting_count = 1,
                                  .board = &board,
                                  .say = hear };
    struct bh_host *h;
    struct bh_batch *b = bh_batch_new();
    memset(&board, 0, sizeof board);
    assert_int_equal(bh_host_new(&cfg, &h, NULL), 0);
    assert_int_equal(bh_host_run(h, &a_run, NULL), 0);
    const uint64_t first = make_batch(b, 12);
    b->cls[3] = BH_CLASS_TCP_IN_FLOW;
    assert_int_equal(bh_host_offer(h, b, 0, first), 0);
    bh_host_free(h);
    assert_string_equal(said, "12 records came, 11 of them accesses");
    bh_batch_free(b);
    size_t count;
    const struct bh_output_module *const *all = bh_modules(&count);
    for (size_t k = 0; k < count; k++) {
        struct bh_error err = { 0 };
        assert_int_equal(bh_output_module_check(all[k], &err), 0);
    }
}

/* ---- octets ---------------------------------------------------------------------------------------------------- */

static void
test_pack(void **state)
{
    (void)state;
    struct bh_batch *b = bh_batch_new(), *c = bh_batch_new();
    for (uint32_t rows = 0; rows <= BH_BATCH_ROWS; rows += rows < 3 ? 1 : 84) {
        make_batch(b, rows);
        for (uint32_t i = 0; i < rows; i += 3) {
            b->kind[i] = BH_KIND_IP6;
            b->ip6[b->v6_rows] = (struct bh_ip6_pair){ 1, i, 2, i };
            b->src[i] = b->dst[i] = b->v6_rows++;
        }
        const size_t size = bh_batch_packed_size(b);
        uint8_t *octets = malloc(size + 1);
        bh_batch_pack(b, octets);
        assert_true(bh_batch_unpack(c, octets, size));
        assert_int_equal(c->rows, rows);
        for (uint32_t i = 0; i < rows; i++) {
            const struct bh_ip x = bh_batch_src(b, i), y = bh_batch_src(c, i);
            assert_int_equal(bh_ip_cmp(&x, &y), 0);
            assert_int_equal(c->ts_ns[i], b->ts_ns[i]);
            assert_int_equal(c->cls[i], BH_CLASS_ACCESS);
        }
        assert_false(bh_batch_unpack(c, octets, size + 1));
        for (size_t cut = 0; cut < size; cut += 1 + size / 64) {
            assert_false(bh_batch_unpack(c, octets, cut));
            assert_int_equal(c->rows, 0);
        }
        free(octets);
    }
    bh_batch_free(b);
    bh_batch_free(c);
}

/* One value out of range at a time. */
static void
test_unpack_refuses(void **state)
{
    (void)state;
    struct bh_batch *b = bh_batch_new(), *c = bh_batch_new();
    uint8_t *octets = malloc(1 << 16);
    for (unsigned k = 0; k < 14; k++) {
        make_batch(b, 4);
        b->kind[1] = BH_KIND_IP6;
        b->v6_rows = 1;
        b->src[1] = b->dst[1] = 0;
        b->quotes[0] = (struct bh_quote){ .row = 3, .kind = BH_KIND_IP4 };
        b->quote_rows = 1;
        b->seen[0] = (struct bh_seen){ .row = 2 };
        b->seen_rows = 1;
        b->layers[2] |= BH_LAYER_SEEN;
        switch (k) {
        case 0:
            break;
        case 1:
            b->kind[0] = 5;
            break;
        case 2:
            b->src[1] = b->dst[1] = 1;
            break;
        case 3:
            b->dst[1] = 77;
            break;
        case 4:
            b->reason[0] = BH_REASON_COUNT;
            break;
        case 5:
            b->cls[0] = BH_CLASS_COUNT;
            break;
        case 6:
            b->outcome[0] = BH_OUTCOME_COUNT;
            break;
        case 7:
            b->direction[0] = 5;
            break;
        case 8:
            b->quotes[0].row = 4;
            break;
        case 9:
            b->quotes[0].kind = 1;
            break;
        case 10:
            b->seen[0].row = 3;
            break; /* its row does not say so */
        case 11:
            b->layers[0] |= BH_LAYER_SEEN;
            break;
        case 12:
            b->src_mac[0] = 1ULL << 48;
            break;
        case 13:
            b->df[0] = 2;
            break;
        }
        const size_t size = bh_batch_packed_size(b);
        bh_batch_pack(b, octets);
        print_message("# %u\n", k);
        assert_int_equal(bh_batch_unpack(c, octets, size), k == 0);
    }
    free(octets);
    bh_batch_free(b);
    bh_batch_free(c);
}

/* Names are the module's; they stand in JSON and in metrics. */
static void
test_own_counters(void **state)
{
    const struct bh_output_module *m = bh_module_find("template");
    const struct bh_host_config cfg = { .module = m, .instance = "t", .say = hear };
    static const struct {
        const char *said, *kept;
        uint64_t sum;
    } wanted[BH_OUTPUT_OWN] = { { "flows", "flows", 3 },
                                { "a\"b\\c\n\x1b\xe3\x81\x82", "a_b_c_____", 7 },
                                { "9lives", "_lives", 1 },
                                { "as_long_as_it_may_be_and_longer_than_that",
                                  "as_long_as_it_may_be_and_longer", 5 },
                                { "e", "e", 2 },
                                { "f", "f", 2 },
                                { "g", "g", 2 },
                                { "h", "h", 4 } };
    struct bh_host *h;
    struct bh_host_counters shared;
    char buffer[64];
    (void)state;
    assert_non_null(m);
    memset(&shared, 0, sizeof shared);
    snprintf(shared.own_name[0], sizeof shared.own_name[0], "flows"); /* of the process before */
    atomic_store(&shared.own[0], 10);
    assert_int_equal(bh_host_new(&cfg, &h, NULL), 0);
    struct bh_output *o = bh_host_output(h);
    bh_output_count(o, NULL, 1);
    bh_output_count(o, "", 1);
    for (unsigned k = 0; k < BH_OUTPUT_OWN; k++) {
        /* it is not there any more afterwards */
        snprintf(buffer, sizeof buffer, "%s", wanted[k].said);
        bh_output_count(o, buffer, wanted[k].sum - 1);
        bh_output_count(o, buffer, 1);
        memset(buffer, 'x', sizeof buffer);
        assert_string_equal(bh_host_counters(h)->own_name[k], wanted[k].kept);
        assert_int_equal(atomic_load(&bh_host_counters(h)->own[k]), wanted[k].sum);
    }
    bh_output_count(o, "one_too_many", 1);
    bh_host_count_in(h, &shared);
    bh_output_count(o, "flows", 1);
    bh_output_count(o, "one_too_many", 1);
    for (unsigned k = 0; k < BH_OUTPUT_OWN; k++) {
        assert_string_equal(shared.own_name[k], wanted[k].kept);
        assert_int_equal(atomic_load(&shared.own[k]), wanted[k].sum + (k == 0 ? 11 : 0));
    }
    bh_host_free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),     cmocka_unit_test(test_bad_modules),
        cmocka_unit_test(test_decided),      cmocka_unit_test(test_hold_bound),
        cmocka_unit_test(test_at_once),      cmocka_unit_test(test_board),
        cmocka_unit_test(test_filter),       cmocka_unit_test(test_template),
        cmocka_unit_test(test_pack),         cmocka_unit_test(test_unpack_refuses),
        cmocka_unit_test(test_own_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host with a spool: lives of processes one after another, each ended in good order or killed, with a peer that
 * comes and goes, runs that change and a module that keeps back what it has not made durable. What the peer has at the
 * end is every batch of every run, in order, once, with its outcomes. The peer, the board and the counters are in
 * shared memory; each life is a process, so that a kill takes what a kill takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bh_output_host.h"

enum { ENTRIES = 20000, BACK = 6, LAG = 9 };

struct entry {
    int64_t run;
    uint64_t number;
    uint32_t rows;
    uint8_t wrong; /* outcomes that are not what was decided */
};

static struct world {
    struct bh_host_counters counters;
    bool is_up;
    unsigned count;
    struct entry entry[ENTRIES];
    /* capture */
    int64_t run;
    uint64_t next, first_access[4096];
    uint64_t total[256]; /* batches of each run */
    uint64_t gap_packets;
} * world;
static struct bh_board *board;
static char folder[64];

/* ---- the module -------------------------------------------------------------------------------------------- */

struct sink {
    struct entry back[BACK];
    unsigned count;
    uint64_t next;
};

static int
sink_open(struct bh_output *o)
{
    struct sink *s = calloc(1, sizeof *s);
    bh_output_set_state(o, s);
    return s == NULL ? -ENOMEM : 0;
}

static int
sink_run(struct bh_output *o, const struct bh_output_run *run)
{
    struct sink *s = bh_output_state(o);
    assert_int_equal(s->count, 0); /* all of the last run was durable */
    assert_string_equal(run->sensor, "s");
    assert_string_equal(run->home, "192.0.2.1/32");
    assert_true(run->outcomes);
    s->next = 0;
    return 0;
}

static uint8_t
outcome_of(int64_t run, uint64_t number)
{
    return (uint8_t)(BH_OUTCOME_NONE + 1 + (uint64_t)(run + (int64_t)number) % 4);
}

static int
sink_write(struct bh_output *o, const struct bh_output_batch *batch)
{
    struct sink *s = bh_output_state(o);
    const struct bh_batch *b = batch->records;
    struct entry e = { .run = batch->run->start_ns, .number = batch->number, .rows = batch->rows };
    if (s->count == BACK) {
        return BH_EAGAIN;
    }
    assert_true(batch->number >= s->next);
    for (uint32_t i = 0; i < batch->rows; i++) {
        const unsigned outcome = b->outcome[i] == BH_OUTCOME_NONE
                                     ? bh_output_verdict(o, b->connection[i])
                                     : b->outcome[i];
        e.wrong |= outcome != outcome_of(e.run, e.number);
        assert_int_equal(b->src[i], batch->number);
    }
    s->back[s->count++] = e;
    s->next = batch->number + 1;
    return 0;
}

static int
sink_flush(struct bh_output *o, uint64_t *ret_number)
{
    struct sink *s = bh_output_state(o);
    if (world->is_up) {
        for (unsigned k = 0; k < s->count; k++) {
            assert_true(world->count < ENTRIES);
            world->entry[world->count++] = s->back[k];
        }
        s->count = 0;
    }
    *ret_number = s->count > 0 ? s->back[0].number : s->next;
    for (uint32_t k = 0; k < bh_output_health(o)->gap_count; k++) {
        world->gap_packets = bh_output_health(o)->gap[k].packets;
    }
    return 0;
}

static void
sink_close(struct bh_output *o)
{
    free(bh_output_state(o));
}

static struct bh_output_module module = {
    .abi_major = BH_OUTPUT_ABI,
    .size = sizeof(struct bh_output_module),
    .name = "sink",
    .summary = { "sink", "sink" },
    .open = sink_open,
    .run = sink_run,
    .write = sink_write,
    .flush = sink_flush,
    .close = sink_close,
};

/* ---- capture ------------------------------------------------------------------------------------------------ */

static uint64_t seed;

static unsigned
some(unsigned n)
{
    seed = bh_mix64(seed, 0x9e3779b97f4a7c15ULL);
    return (unsigned)(seed >> 20) % n;
}

static uint32_t
rows_of(uint64_t number)
{
    return 1 + (uint32_t)(number % 6);
}

static void
make(struct bh_batch *b, uint64_t number)
{
    bh_batch_reset(b);
    b->rows = rows_of(number);
    for (uint32_t i = 0; i < b->rows; i++) {
        b->ts_ns[i] = 1000 * (int64_t)number + i;
        b->kind[i] = BH_KIND_IP4;
        b->src[i] = (uint32_t)number;
        b->dst[i] = 0xc0000201;
        b->proto[i] = BH_PROTO_TCP;
        b->tcp_flags[i] = BH_TCP_SYN;
        b->cls[i] = BH_CLASS_ACCESS;
        b->outcome[i] = BH_OUTCOME_NONE;
        b->direction[i] = BH_DIR_IN;
        b->ports[i] = 40000U << 16 | 23;
    }
}

/* All of batches before `upto` of the run are final. */
static void
decide(uint64_t upto)
{
    const uint64_t end =
        upto < world->next ? world->first_access[upto] : atomic_load(&board->written);
    if (end > atomic_load(&board->final)) {
        atomic_store(&board->final, end);
    }
}

static void
offer(struct bh_host *h, struct bh_batch *b, uint64_t number)
{
    if (number == world->next) { /* new: it gets numbers; one that comes again has them */
        const uint64_t first = atomic_load(&board->written);
        world->first_access[number] = first;
        for (uint32_t i = 0; i < rows_of(number); i++) {
            atomic_store(&board->outcome[(first + i) % BH_BOARD_ACCESSES],
                         outcome_of(world->run, number));
        }
        atomic_store(&board->written, first + rows_of(number));
        world->next++;
        world->total[world->run] = world->next;
    }
    make(b, number);
    assert_int_equal(bh_host_offer(h, b, number, world->first_access[number]), 0);
    decide(world->next > LAG ? world->next - LAG : 0);
}

static void
hear(void *arg, const char *instance, enum bh_say level, const struct bh_error *err)
{
    (void)arg;
    (void)instance;
    (void)level;
    assert_true(err->text[BH_JA][0] != '\0');
}

static struct bh_host *
begin(uint64_t octets)
{
    struct bh_host *h = NULL;
    struct bh_error err = { 0 };
    const struct bh_host_config cfg = { .module = &module,
                                        .instance = "out",
                                        .board = board,
                                        .say = hear,
                                        .spool_dir = folder,
                                        .spool_octets = octets };
    assert_int_equal(bh_host_new(&cfg, &h, &err), 0);
    bh_host_count_in(h, &world->counters);
    return h;
}

static void
run(struct bh_host *h)
{
    const struct bh_output_run r = { .size = sizeof r,
                                     .sensor = "s",
                                     .start_ns = world->run,
                                     .home = "192.0.2.1/32",
                                     .filter = "",
                                     .outcomes = true };
    assert_int_equal(bh_host_run(h, &r, NULL), 0); /* with room on disk it never waits */
}

/* One process: what its predecessor left unsafe comes first, as it does out of a queue. */
static void
live(unsigned steps, bool ends_well, bool all)
{
    struct bh_host *h = begin(64 << 20);
    struct bh_batch *b = bh_batch_new();
    int64_t now = 1;
    uint64_t from = atomic_load(&world->counters.durable_number);
    if (from == world->next && some(3) == 0) { /* nothing comes for a while */
        for (unsigned k = 0; k < 5; k++) {
            bh_ignore(bh_host_tick(h, now += 300000000));
        }
    }
    run(h);
    for (; from < world->next; from++) {
        offer(h, b, from);
    }
    for (unsigned k = 0; k < steps; k++) {
        switch (some(12)) {
        case 0:
            world->is_up = !world->is_up;
            break;
        case 1:
            bh_host_make_way(h);
            break;
        case 2:
            bh_ignore(bh_host_catch_up(h));
            break;
        case 3:
        case 4:
        case 5:
            bh_ignore(bh_host_tick(h, now += 300000000));
            break;
        case 6:
            if (some(6) == 0 && world->next > 0) {
                decide(world->next); /* as capture does at the end of a run */
                world->run++;
                world->next = 0;
                run(h);
            }
            break;
        default:
            offer(h, b, world->next);
            break;
        }
    }
    for (unsigned k = 0; all && k < 2000 && (world->counters.spool_rows > 0 || k < 40); k++) {
        world->is_up = true;
        decide(world->next);
        bh_ignore(bh_host_tick(h, now += 300000000));
    }
    if (ends_well) {
        bh_host_free(h);
        bh_batch_free(b);
    }
}

static void
in_process(unsigned steps, bool ends_well, bool all)
{
    const pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        setenv("CMOCKA_TEST_ABORT", "1", 1); /* not back into the parent's cases */
        live(steps, ends_well, all);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    some(2); /* the child's numbers were its own */
}

/* What the peer has is what was sent, in order, once. */
static void
compare(bool exact_outcomes)
{
    unsigned at = 0, wrong = 0;
    for (int64_t r = 0; r <= world->run; r++) {
        for (uint64_t n = 0; n < world->total[r]; n++, at++) {
            if (at >= world->count || world->entry[at].run != r || world->entry[at].number != n ||
                world->entry[at].rows != rows_of(n)) {
                print_message("# entry %u of %u: wanted run %d batch %u, got run %d batch %u\n", at,
                              world->count, (int)r, (unsigned)n, (int)world->entry[at].run,
                              (unsigned)world->entry[at].number);
                fail();
            }
            wrong += world->entry[at].wrong;
        }
    }
    assert_int_equal(at, world->count);
    if (exact_outcomes) {
        assert_int_equal(wrong, 0);
    }
}

static int
new_world(void **state)
{
    (void)state;
    world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(folder, sizeof folder, "/tmp/beholder-spooling-XXXXXX");
    return world == MAP_FAILED || board == MAP_FAILED || mkdtemp(folder) == NULL ? -1 : 0;
}

static int
end_world(void **state)
{
    char command[128];
    (void)state;
    munmap(world, sizeof *world);
    munmap(board, sizeof *board);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void
many_lives(uint32_t when, bool kills)
{
    for (unsigned k = 0; k < 40; k++) {
        assert_int_equal(new_world(NULL), 0);
        module.when = when;
        seed = k * 2 + when;
        world->is_up = some(2) != 0;
        print_message("# %u\n", k);
        for (unsigned l = 0; l < 6; l++) {
            const bool ends_well = !kills || some(2) == 0;
            in_process(some(120), ends_well, false);
            if (ends_well && some(2) == 0) { /* the sensor starts anew, with another board */
                memset(board, 0, sizeof *board);
                atomic_store(&world->counters.durable_number, 0);
                world->run++;
                world->next = 0;
            }
        }
        in_process(0, true, true);
        /* AT_ONCE: what was handed out and came again after a kill may have gone to disk with its verdict open. */
        compare(when == BH_OUTPUT_DECIDED);
        assert_int_equal(atomic_load(&world->counters.failed_rows), 0);
        assert_int_equal(atomic_load(&world->counters.spool_lost_rows), 0);
        assert_int_equal(end_world(NULL), 0);
    }
}

static void
decided(void **state)
{
    (void)state;
    many_lives(BH_OUTPUT_DECIDED, false);
}

static void
decided_killed(void **state)
{
    (void)state;
    many_lives(BH_OUTPUT_DECIDED, true);
}

static void
at_once(void **state)
{
    (void)state;
    many_lives(BH_OUTPUT_AT_ONCE, false);
}

static void
at_once_killed(void **state)
{
    (void)state;
    many_lives(BH_OUTPUT_AT_ONCE, true);
}

/* Beyond the bound: what is lost is counted, the module is told the gap, and the rest comes in order. */
static void
beyond_the_bound(void **state)
{
    (void)state;
    struct bh_batch *b = bh_batch_new();
    module.when = BH_OUTPUT_DECIDED;
    world->is_up = false;
    struct bh_host *h = begin(1 << 20);
    run(h);
    uint64_t rows = 0, got = 0;
    for (uint64_t k = 0; k < 4000; k++) {
        offer(h, b, k);
        rows += rows_of(k);
    }
    decide(world->next);
    for (int64_t k = 1; k < 5000 && (k < 20 || atomic_load(&world->counters.spool_rows) > 0); k++) {
        world->is_up = k > 10;
        bh_ignore(bh_host_tick(h, k * 1100000000));
    }
    bh_ignore(bh_host_tick(h, 6000 * 1100000000LL));
    const uint64_t lost = atomic_load(&world->counters.spool_lost_rows);
    assert_true(lost > 0);
    for (unsigned k = 0; k < world->count; k++) {
        got += world->entry[k].rows;
        assert_true(k == 0 || world->entry[k].number > world->entry[k - 1].number);
    }
    assert_int_equal(got + lost, rows);
    assert_int_equal(world->gap_packets, lost);
    assert_int_equal(atomic_load(&world->counters.spool_rows), 0);
    bh_host_free(h);
    bh_batch_free(b);
}

/* A disk without room: the module is offered its batch again, as without a spool, and nothing is lost or twice. */
static void
full_disk(void **state)
{
    (void)state;
    struct rlimit old, tight;
    struct bh_batch *b = bh_batch_new();
    module.when = BH_OUTPUT_AT_ONCE;
    world->is_up = false;
    struct bh_host *h = begin(64 << 20);
    run(h);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 9000; /* more than its state takes */
    setrlimit(RLIMIT_FSIZE, &tight);
    int r = 0;
    uint64_t k = 0;
    for (int64_t turn = 1; turn < 600 && k < 100; turn++) {
        make(b, k);
        if (k == world->next) {
            offer(h, b, k);
            k++;
        }
        decide(world->next);
        r = bh_host_tick(h, turn * 300000000);
        if (r == BH_EAGAIN) {
            setrlimit(RLIMIT_FSIZE, &old);
            world->is_up = true;
        }
    }
    assert_int_equal(k, 100);
    assert_true(world->is_up);
    for (int64_t turn = 600; turn < 640; turn++) {
        bh_ignore(bh_host_tick(h, turn * 300000000));
    }
    bh_host_free(h);
    bh_batch_free(b);
    setrlimit(RLIMIT_FSIZE, &old);
    compare(true);
}

/* A module that is given frames, and a second host in the same directory, are refused. */
static void
refused(void **state)
{
    (void)state;
    struct bh_host *h = begin(1 << 20), *second = NULL;
    struct bh_error err = { 0 };
    struct bh_output_module frames = module;
    struct bh_host_config cfg = {
        .module = &module, .instance = "two", .spool_dir = folder, .spool_octets = 1 << 20
    };
    assert_int_equal(bh_host_new(&cfg, &second, &err), -EBUSY);
    bh_host_free(h);
    frames.when = BH_OUTPUT_AT_ONCE;
    frames.needs = BH_OUTPUT_NEEDS_FRAMES;
    cfg.module = &frames;
    assert_int_equal(bh_host_new(&cfg, &second, &err), BH_EUSAGE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decided),
        cmocka_unit_test(decided_killed),
        cmocka_unit_test(at_once),
        cmocka_unit_test(at_once_killed),
        cmocka_unit_test_setup_teardown(beyond_the_bound, new_world, end_world),
        cmocka_unit_test_setup_teardown(full_disk, new_world, end_world),
        cmocka_unit_test_setup_teardown(refused, new_world, end_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

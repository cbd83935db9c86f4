/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records with their verdicts, batch by batch, of whatever a report is made of: what show, count and
 * export begin with.
 *
 * Records of a log bring their verdicts. Those of captures are held until the verdicts on them are
 * final, as a report does when its filter asks for outcomes (work.c).
 */
#include "summed_priv.h"

#include <errno.h>
#include <stdlib.h>

struct records {
    struct run run;
    struct choose *choose;
    const struct bh_records_config *cfg;
    struct bh_records *told;
    struct bh_store_query query; /* of a log            */
    struct summed *summed;       /* NULL: all is read   */
    struct bh_judge accesses;    /* the filter's, of who asks for accesses only */
    bool enough;
};

/* ---- which rows ------------------------------------------------------------------------------------- */

static void
select_rows(struct records *g, struct bh_batch *b)
{
    g->told->unknown += choose_rows(g->choose, b, g->cfg->asked, g->summed);
    const bool weighs = g->told->plan.added_up && b->has_weight;
    for (uint32_t i = 0; i < b->rows; i++) {
        const uint64_t n = weighs ? b->weight[i] : 1;
        g->told->selected += b->counted[i] != 0 ? n : 0;
        g->told->read += n;
    }
}

static int
hand_over(struct records *g, struct bh_batch *b)
{
    select_rows(g, b);
    int r = g->cfg->batch(g->cfg->arg, b);
    g->enough = r > 0;
    return r < 0 ? r : 0;
}

/* ---- held until they are decided ----------------------------------------------------------------------- */

static int
release_one(struct records *g)
{
    const struct run *x = &g->run;
    struct hold *h = x->hold;
    struct bh_batch *b = h->batch[h->first];
    for (uint32_t i = 0; i < b->rows; i++) {
        const bool is_open =
            x->o->outcomes && b->cls[i] == BH_CLASS_ACCESS && b->proto[i] == BH_PROTO_TCP;
        b->outcome[i] =
            is_open ? (uint8_t)bh_track_verdict(x->shard[0].track, b->connection[i], b->ts_ns[i])
                    : (uint8_t)BH_OUTCOME_NONE;
    }
    h->first = (h->first + 1) % HELD_MAX;
    h->count--;
    return hand_over(g, b);
}

static bool
is_open(const struct bh_batch *b, int64_t now)
{
    const int64_t newest = b->rows == 0 ? INT64_MIN : b->ts_ns[b->rows - 1];
    return now <= newest || (uint64_t)now - (uint64_t)newest <= 30000000000ULL;
}

static int
judge(struct records *g, struct bh_batch **b)
{
    struct run *x = &g->run;
    struct hold *h = x->hold;
    const struct bh_move *moves;
    work_join_fragments(&x->shard[0], *b);
    bh_track_classify(x->shard[0].track, *b);
    memset((*b)->counted, 1, (*b)->rows);
    memset((*b)->country, 0, (*b)->rows * sizeof *(*b)->country);
    bh_track_flows(x->shard[0].track, *b, &moves);
    const int64_t now = (*b)->rows == 0 ? INT64_MIN : (*b)->ts_ns[(*b)->rows - 1];
    int r = 0;
    while (r == 0 && !g->enough && h->count > 0 &&
           (h->count == HELD_MAX || !is_open(h->batch[h->first], now))) {
        r = release_one(g);
    }
    if (h->count == HELD_MAX) {
        return r; /* not released: nobody wants more */
    }
    const size_t at = (h->first + h->count++) % HELD_MAX;
    struct bh_batch *free_one = h->batch[at] != NULL ? h->batch[at] : bh_batch_new();
    h->batch[at] = *b;
    *b = free_one;
    return r != 0 ? r : free_one == NULL ? -ENOMEM : 0;
}

static int
read_all(struct records *g)
{
    struct run *x = &g->run;
    struct bh_batch *b = bh_batch_new();
    int r = b == NULL ? -ENOMEM : 0;
    while (r == 0 && !g->enough && feed_next(&x->feed, &b)) {
        r = x->feed.decided ? hand_over(g, b) : judge(g, &b);
    }
    while (r == 0 && !g->enough && !x->feed.decided && x->hold->count > 0) {
        r = release_one(g);
    }
    bh_batch_free(b);
    return r != 0 || g->enough ? r : x->feed.failed;
}

/* ---- the beginning --------------------------------------------------------------------------------------- */

static int
newest_of_input(struct run *x)
{
    int64_t newest;
    if (x->period.last_ns <= 0) {
        return 0;
    }
    int r = feed_newest(x->o, &newest, x->err);
    if (r == 0) {
        x->period.start_ns = newest == INT64_MIN ? 0 : newest - x->period.last_ns;
    }
    return r;
}

/* Hours and days begin where those of UTC do, in zones of whole hours. */
static bool
is_of_whole_hours(const struct bh_store *s)
{
    struct bh_store_totals t;
    bh_store_get_totals(s, &t);
    const int64_t year_s = 366 * 86400;
    bool whole = true;
    for (int64_t at = t.first_ns / 1000000000;
         t.first_ns <= t.last_ns && at <= t.last_ns / 1000000000 && whole; at += year_s / 4) {
        whole = bh_zone_offset_s(at) % 3600 == 0;
    }
    return whole &&
           (t.first_ns > t.last_ns || bh_zone_offset_s(t.last_ns / 1000000000) % 3600 == 0);
}

#define QUARTER_NS (900LL * 1000000000)

/* What block_cells.c tells of accesses. */
#define PARTS_OF_CELLS                                                                             \
    (BH_PART_TIME | BH_PART_COUNTRY | BH_PART_PROTO | BH_PART_PORT | BH_PART_FAMILY |              \
     BH_PART_SENSOR | BH_PART_CLASS)

static void
add_up(const struct records *g, struct bh_store_query *q)
{
    const struct run *x = &g->run;
    const struct bh_question *asked = g->cfg->asked;
    if (asked == NULL || asked->what != BH_ASKED_ACCESSES ||
        (asked->parts & ~(uint32_t)PARTS_OF_CELLS) != 0 || countries_words(&x->countries) != NULL ||
        x->served_count > 0 || x->feed.by_days || x->o->plan == BH_PLAN_ALL) {
        return;
    }
    q->accesses =
        (asked->parts & BH_PART_PORT) != 0 ? BH_STORE_ADDED_UP_BY_PORT : BH_STORE_ADDED_UP;
    q->stretch_ns = (asked->parts & BH_PART_TIME) == 0     ? BH_STORE_NO_STRETCH
                    : is_of_whole_hours(g->run.feed.store) ? 4 * QUARTER_NS
                                                           : QUARTER_NS;
    g->told->plan.added_up = true;
}

/* Nobody asks when: not the answer, nor who merges several runs or picks a database by the day. */
static bool
may_leave_times(const struct records *g)
{
    const struct run *x = &g->run;
    return g->cfg->without_times && x->period.start_ns != INT64_MIN &&
           x->period.end_ns != INT64_MAX && !x->feed.by_days &&
           bh_store_run_count(x->feed.store) == 1;
}

static unsigned
truths_of_accesses(void *arg, const struct bh_facts *f)
{
    const struct bh_judge *of_filter = arg;
    return f->cls != BH_CLASS_ACCESS ? (unsigned)BH_MAY_NO : of_filter->truths(of_filter->arg, f);
}

/* Who asks for accesses needs no others, and where the answer on others is unknown, that does not matter. */
static const struct bh_judge *
judge_of(struct records *g)
{
    struct run *x = &g->run;
    if (x->judge == NULL || g->cfg->asked == NULL || !bh_question_is_of_accesses(g->cfg->asked)) {
        return x->judge;
    }
    g->accesses = *x->judge;
    g->accesses.arg = x->judge;
    g->accesses.truths = truths_of_accesses;
    return &g->accesses;
}

static struct bh_store_query
query_of(struct records *g)
{
    struct run *x = &g->run;
    const uint32_t needs = bh_filter_needs(countries_words(&x->countries));
    struct bh_store_query q = { .countries = countries_at(&x->countries, INT64_MAX),
                                .start_ns = INT64_MIN,
                                .end_ns = INT64_MAX,
                                .threads = x->o->threads };
    if (!x->feed.decided) {
        q.want = BH_STORE_ALL;
        return q;
    }
    add_up(g, &q);
    q.judge = judge_of(g);
    q.explain = x->o->explain;
    q.start_ns = x->period.start_ns;
    q.end_ns = x->period.end_ns;
    q.want = g->cfg->want | (may_leave_times(g) ? 0U : (unsigned)BH_STORE_TIME) |
             ((needs & BH_FILTER_NEEDS_NEAR) != 0 ? (unsigned)BH_STORE_NEAR : 0U) |
             ((needs & BH_FILTER_NEEDS_SRC_PORT) != 0 ? (unsigned)BH_STORE_KNOCK_PORT : 0U) |
             ((needs & BH_FILTER_NEEDS_COLD) != 0 ? (unsigned)BH_STORE_COLD : 0U);
    return q;
}

static int
begin_log(struct records *g)
{
    struct run *x = &g->run;
    int r = log_find_home(x);
    r = r != 0 ? r : log_find_judge(x);
    if (r != 0) {
        return r;
    }
    g->query = query_of(g);
    g->told->plan.columns = g->query.want;
    return bh_store_read_begin(x->feed.store, &g->query, x->err);
}

/* ---- what roll-ups know ---------------------------------------------------------------------------------- */

static int
take_sums(void *arg, struct bh_batch *b)
{
    struct records *g = arg;
    g->told->unknown += choose_sums(g->choose, b);
    for (uint32_t i = 0; i < b->rows; i++) {
        g->told->selected += b->counted[i] != 0 ? b->weight[i] : 0;
        g->told->read += b->weight[i];
    }
    return g->cfg->sums(g->cfg->arg, b);
}

static int
read_some(void *arg, int64_t start_ns, int64_t end_ns)
{
    struct records *g = arg;
    const struct bh_period *p = &g->run.period;
    struct bh_store_query q = g->query;
    q.start_ns = start_ns > p->start_ns ? start_ns : p->start_ns;
    q.end_ns = end_ns < p->end_ns ? end_ns : p->end_ns;
    q.accesses = BH_STORE_EACH;
    return bh_store_read_begin(g->run.feed.store, &q, g->run.err);
}

static void
select_some(void *arg, struct bh_batch *b)
{
    const struct records *g = arg;
    /* what is unknown was counted where it was added up */
    choose_rows(g->choose, b, g->cfg->asked, NULL);
}

static int
sum_up(struct records *g)
{
    struct bh_records *t = g->told;
    const struct summed_reader reader = { read_some, select_some, g };
    int r = summed_rows(g->summed, take_sums, g);
    if (r == 0 && t->selected > 0) {
        r = summed_ends(g->summed, &reader, &t->sums_first_ns, &t->sums_last_ns);
    }
    return r;
}

/* All that roll-ups tell; then what is left is to be read. */
static int
begin_sums(struct records *g)
{
    struct run *x = &g->run;
    struct bh_records *t = g->told;
    t->plan.why = "";
    t->sums_first_ns = INT64_MAX;
    t->sums_last_ns = INT64_MIN;
    if (x->feed.store == NULL || g->cfg->asked == NULL || g->cfg->sums == NULL) {
        return 0;
    }
    int r = summed_choose(x, g->cfg->asked, false, &g->summed, &t->plan.why);
    if (r != 0 || g->summed == NULL) {
        return r;
    }
    r = sum_up(g);
    if (r == BH_EDAMAGED) { /* all of it is read, and nothing counts that came */
        summed_free(g->summed);
        g->summed = NULL;
        t->unknown = t->selected = t->read = 0;
        t->sums_first_ns = INT64_MAX;
        t->sums_last_ns = INT64_MIN;
        t->plan.why = "damaged";
        r = g->cfg->begin != NULL ? g->cfg->begin(g->cfg->arg, t) : 0;
    } else if (r == 0) {
        t->plan.why = "";
        t->plan.rolled_rows = g->summed->rows;
        t->plan.joined_rows = g->summed->joined_rows;
        g->query.without = g->summed->without;
        g->query.withouts = g->summed->withouts;
    }
    return r != 0 ? r : bh_store_read_begin(x->feed.store, &g->query, x->err);
}

static int
begin_files(struct records *g)
{
    struct run *x = &g->run;
    x->feed.decoder.want = BH_WANT_COLD;
    int r = feed_read_ahead(&x->feed);
    r = r != 0 ? r : run_check_any(x);
    r = r != 0 ? r : run_find_home(x);
    x->two_sided = r == 0 && run_find_two_sided(x);
    return r;
}

static int
begin_track(struct records *g)
{
    struct run *x = &g->run;
    if (x->feed.decided) {
        return 0;
    }
    if (x->feed.store !=
        NULL) { /* judged again: the log says when it begins, but nothing is read ahead yet */
        int r = feed_read_ahead(&x->feed);
        if (r != 0) {
            return r;
        }
    }
    struct bh_track_config track = {
        .home = &x->r->home,
        .two_sided = x->two_sided,
        .all_accesses = x->o->all_accesses,
        .outcomes = x->o->outcomes,
        .hold = x->o->outcomes,
        .flow_slots = FLOW_SLOTS,
        .start_ns = x->feed.first_ns,
        .key = bh_random_key(),
    };
    x->hold = calloc(1, sizeof *x->hold);
    return x->hold == NULL ? -ENOMEM : bh_track_new(&track, &x->shard[0].track);
}

/* What accesses are offered to, and the country that stands for "home" there. */
static int
parse_served(struct run *x)
{
    if (x->o->served == NULL) {
        return 0;
    }
    x->served = calloc(BH_SERVED_MAX, sizeof *x->served);
    return x->served == NULL
               ? -ENOMEM
               : bh_served_parse(x->o->served, x->served, BH_SERVED_MAX, &x->served_count, x->err);
}

static int
prepare(struct records *g)
{
    struct run *x = &g->run;
    int r = bh_zone_set(x->o->tz, x->err);
    r = r != 0 ? r
               : bh_period_parse(x->o->since, x->o->until, x->o->last, x->o->now_ns, &x->period,
                                 x->err);
    r = r != 0 ? r : parse_served(x);
    r = r != 0 ? r : countries_open(&x->countries, x->o, x->r, x->err);
    if (r == 0 && x->countries.count > 0) {
        kobold_get_meta(countries_at(&x->countries, INT64_MAX), &x->r->country_data);
    }
    r = r != 0 ? r : run_parse_filter(x);
    r = r != 0 ? r : newest_of_input(x);
    r = r != 0 ? r : feed_open(&x->feed, x->o, x->err);
    if (r != 0) {
        return r;
    }
    r = x->feed.store != NULL ? begin_log(g) : begin_files(g);
    x->shards = 1;
    r = r != 0 ? r : begin_track(g);
    if (r == 0) {
        run_find_home_country(x);
        r = choose_new(x, &g->choose);
    }
    return r;
}

static void
tell(struct records *g)
{
    const struct run *x = &g->run;
    struct bh_records *t = g->told;
    t->countries = countries_at(&x->countries, INT64_MAX);
    t->home = &x->r->home;
    t->country_data = &x->r->country_data;
    t->filter_text = x->r->filter_text;
    t->zone = bh_zone_name();
    t->period = x->period;
    t->is_log = x->feed.store != NULL;
    t->judged_again = x->r->storage.judged_again;
    t->lean = x->r->storage.lean;
    t->first_ns = x->feed.first_ns;
}

/* ---- the end ----------------------------------------------------------------------------------------------- */

/* Damage was found in what was read. */
static int
take_notes(struct records *g)
{
    struct run *x = &g->run;
    if (x->feed.store == NULL) {
        return run_take_notes(x);
    }
    return log_take_notes(x);
}

static void
records_end(struct records *g)
{
    struct run *x = &g->run;
    bh_track_free(x->shard[0].track);
    bh_fragments_free(x->shard[0].fragments);
    for (size_t i = 0; x->hold != NULL && i < HELD_MAX; i++) {
        bh_batch_free(x->hold->batch[i]);
    }
    free(x->hold);
    choose_free(g->choose);
    summed_free(g->summed);
    free(x->served);
    feed_close(&x->feed);
    bh_filter_judge_free(x->judge);
    countries_done(&x->countries);
    free(g);
}

static void
explain_log(struct records *g)
{
    const struct bh_store *s = g->run.feed.store;
    struct bh_records_plan *p = &g->told->plan;
    struct bh_store_totals t;
    bh_store_get_totals(s, &t);
    p->segments = t.segments;
    p->journals = t.journals;
    p->blocks = t.blocks;
    p->records = t.records;
    bh_store_progress(s, &p->blocks_wanted, &p->blocks_read);
    bh_store_get_skipped(s, &p->skipped);
    if (g->told->read > 0 && p->blocks_read < p->blocks_wanted) {
        p->blocks_read++; /* the one that was left in the middle */
    }
}

int
bh_records_run(const struct bh_records_config *cfg, struct bh_records *ret, struct bh_error *err)
{
    struct bh_error local = { 0 };
    struct records *g = calloc(1, sizeof *g);
    struct bh_report *rep = calloc(1, sizeof *rep);
    *ret = (struct bh_records){ 0 };
    if (g == NULL || rep == NULL) {
        free(g);
        free(rep);
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    struct run *x = &g->run;
    g->cfg = cfg;
    g->told = ret;
    x->o = cfg->input;
    x->r = rep;
    x->err = err != NULL ? err : &local;
    x->err->code = 0;
    rep->options = *cfg->input;
    int r = prepare(g);
    if (r == 0) {
        tell(g);
        r = cfg->begin != NULL ? cfg->begin(cfg->arg, ret) : 0;
        r = r != 0 ? r : begin_sums(g);
        r = r != 0 ? r : read_all(g);
    }
    if (r == 0) {
        r = take_notes(g);
        if (x->feed.store != NULL) {
            explain_log(g);
            ret->unknown += ret->plan.skipped.unknown;
        }
        ret->notes = rep->notes;
        ret->note_count = rep->note_count;
        rep->notes = NULL;
        rep->note_count = 0;
        r = r == 0 && cfg->end != NULL ? cfg->end(cfg->arg, ret) : r;
    }
    if (r != 0 && x->err->code == 0) {
        if (x->feed.error.code != 0) {
            *x->err = x->feed.error;
        } else {
            bh_error_errno(x->err, r < 0 && r > -2000 ? -r : EIO, "", "cannot read on",
                           "読み続けられません");
        }
    }
    records_end(g);
    bh_report_free(rep);
    /* What was borrowed for begin and end is gone. */
    ret->countries = NULL;
    ret->home = NULL;
    ret->country_data = NULL;
    ret->filter_text = NULL;
    return r;
}

void
bh_records_done(struct bh_records *r)
{
    free(r->notes);
    *r = (struct bh_records){ 0 };
}

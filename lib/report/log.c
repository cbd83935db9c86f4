/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A packet log as the input of a report. Its records bring their verdicts; what the log knows
 * beside them (silences, bounds, notes of whoever wrote it) comes from its sums, so that the report
 * is that of the capture it was made of.
 *
 * Asked for another home than the log's, or for other rules of what an access is, the records are
 * judged again: then they go through lib/track like those of a capture.
 */
#include "run_priv.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

int
log_is_input(const struct bh_report_options *o, bool *ret_is_log, struct bh_error *err)
{
    size_t dirs = 0;
    const char *file = "";
    for (size_t i = 0; i < o->file_count; i++) {
        if (bh_store_is_log(o->files[i])) {
            dirs++;
        } else {
            file = o->files[i];
        }
    }
    if (dirs > 0 && dirs < o->file_count) {
        return bh_error_set(
            err, BH_EUSAGE, file,
            "a report is of packet logs or of files, not of both; import the file into a log first",
            "ログとファイルを 1 つのレポートに混ぜることはできません。先に import でログに取り込んでください");
    }
    if (dirs > 0 && (o->decap_count > 0 || o->input_columns != NULL)) {
        return bh_error_set(
            err, BH_EUSAGE, o->decap_count > 0 ? "--decap" : "--input-columns",
            "is for files; a packet log holds records that were read already (see beholder import)",
            "はファイルに使います。ログの記録はすでに読み取り済みです (beholder import をご覧ください)");
    }
    *ret_is_log = dirs > 0;
    return 0;
}

/* ---- home ------------------------------------------------------------------------------------------ */

static int
no_memory(struct run *x)
{
    return bh_error_errno(x->err, ENOMEM, "", "cannot start", "開始できません");
}

/* Each network of all runs once, in the order they come. */
static bool
add_networks(struct bh_buf *all, const char *networks)
{
    const char *at = networks;
    while (*at != '\0') {
        const size_t n = strcspn(at, ",");
        bool known = false;
        for (const char *p = all->data; p != NULL && *p != '\0' && !known;
             p += strcspn(p, ","), p += *p == ',') {
            known = strcspn(p, ",") == n && memcmp(p, at, n) == 0;
        }
        if (!known) {
            bh_buf_puts(all, all->len > 0 ? "," : "");
            bh_buf_add(all, at, n);
        }
        at += n + (at[n] == ',');
    }
    return !all->failed;
}

/* Runs whose verdicts are those the report asks for. */
static bool
is_judged_so(const struct run *x, const struct bh_store_run *r, const char *home)
{
    const struct bh_report_options *o = x->o;
    return (home == NULL || strcmp(home, r->home) == 0) && r->all_accesses == o->all_accesses &&
           r->outcomes == o->outcomes;
}

/* The home that was asked for, as the log would write it. */
static int
home_of_option(struct run *x, char *ret, size_t size)
{
    struct bh_home h = { 0 };
    int r = bh_home_parse(x->o->home, &h, x->err);
    if (r == 0) {
        snprintf(ret, size, "%s", h.networks.data == NULL ? "" : h.networks.data);
        bh_home_done(&h);
    }
    return r;
}

static void
replace_text(struct bh_buf *to, const char *text)
{
    to->len = 0;
    bh_buf_puts(to, text);
}

static void
describe_log(struct run *x)
{
    struct bh_report_storage *g = &x->r->storage;
    struct bh_store_totals t;
    bh_store_get_totals(x->feed.store, &t);
    g->is_log = true;
    g->records = t.records;
    g->bytes = t.bytes;
    g->segments = t.segments;
    g->runs = bh_store_run_count(x->feed.store);
    x->r->input_bytes = t.bytes;
    x->feed.any = t.records > 0;
    x->feed.first_ns = INT64_MAX;
    for (size_t k = 0; k < g->runs; k++) {
        const struct bh_store_run *run = bh_store_run(x->feed.store, k);
        g->lean |= run->lean;
        if (run->filter[0] != '\0') {
            memcpy(g->filter, run->filter, sizeof g->filter);
        }
        x->two_sided |= run->two_sided;
        x->feed.first_ns = run->first_ns < x->feed.first_ns ? run->first_ns : x->feed.first_ns;
    }
    x->expected = t.records;
}

int
log_find_home(struct run *x)
{
    const size_t runs = bh_store_run_count(x->feed.store);
    char asked[1024] = "";
    struct bh_buf all = { 0 };
    int r = x->o->home == NULL ? 0 : home_of_option(x, asked, sizeof asked);
    if (r != 0) {
        return r;
    }
    describe_log(x);
    x->feed.decided = true;
    x->feed.by_days = x->countries.count > 0;
    for (size_t k = 0; k < runs; k++) {
        const struct bh_store_run *run = bh_store_run(x->feed.store, k);
        x->feed.decided &= is_judged_so(x, run, x->o->home == NULL ? NULL : asked);
        if (!add_networks(&all, run->home)) {
            r = no_memory(x);
        }
    }
    x->r->storage.judged_again = !x->feed.decided;
    const struct bh_store_run *first = bh_store_run(x->feed.store, 0);
    if (x->feed.decided && !x->feed.by_days && first->country_id != x->r->country_data.id) {
        /* Records keep the countries of the data they were written with. */
        struct kobold_meta *m = &x->r->country_data;
        memcpy(m->name, first->country_name, sizeof m->name);
        memcpy(m->date, first->country_date, sizeof m->date);
        memcpy(m->licence, first->country_licence, sizeof m->licence);
    }
    struct bh_home *h = &x->r->home;
    const char *home = x->o->home != NULL ? x->o->home : all.data;
    if (r == 0 && home != NULL) {
        r = bh_home_parse(home, h, x->err);
    }
    if (r == 0 && x->o->home == NULL &&
        (all.data == NULL || strcmp(all.data, first->home) == 0)) { /* in the words of then */
        h->guessed = first->home_guessed;
        for (int lang = 0; lang < BH_LANGS; lang++) {
            replace_text(&h->text[lang], first->home_text[lang]);
        }
    }
    bh_buf_done(&all);
    return r;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

int
log_begin(struct run *x)
{
    const uint32_t needs = bh_filter_needs(countries_words(&x->countries));
    struct bh_store_query q = { .countries = countries_at(&x->countries, INT64_MAX),
                                .start_ns = INT64_MIN,
                                .end_ns = INT64_MAX };
    if (!x->feed.decided) {
        q.want = BH_STORE_ALL;
    } else {
        q.start_ns = x->period.start_ns;
        q.end_ns = x->period.end_ns;
        q.want =
            (countries_words(&x->countries) != NULL
                 ? BH_STORE_ALL & ~(unsigned)(BH_STORE_COLD | BH_STORE_QUOTES)
                 : 0U) |
            ((needs & BH_FILTER_NEEDS_COLD) != 0 || x->tally.list_sources ? (unsigned)BH_STORE_COLD
                                                                          : 0U);
    }
    const struct bh_store_sums *s = bh_store_get_sums(x->feed.store);
    for (uint32_t k = 0; k < s->silence_count && k < BH_GAPS_MAX; k++) {
        x->feed.silences.silence[k].start_ns = s->silence[k].start_ns;
        x->feed.silences.silence[k].end_ns = s->silence[k].end_ns;
        atomic_store_explicit(&x->feed.silences.count, k + 1, memory_order_release);
    }
    return bh_store_read_begin(x->feed.store, &q, x->err);
}

static int
take_notes_of_log(struct run *x, const struct bh_store_sums *s,
                  const struct bh_store_health *health)
{
    struct bh_report *r = x->r;
    r->notes = calloc(s->note_count + 2UL, sizeof *r->notes);
    if (r->notes == NULL) {
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < s->note_count; k++) {
        const struct bh_store_note *n = &s->note[k];
        struct bh_capture_note *to = &r->notes[r->note_count++];
        to->file = UINT16_MAX; /* the error says where */
        to->damaged = n->damaged;
        to->error = (struct bh_error){ .code = n->code,
                                       .offset = n->offset,
                                       .line = (uint32_t)n->line,
                                       .has_offset = n->has_offset };
        snprintf(to->error.where, sizeof to->error.where, "%s", n->file);
        for (int lang = 0; lang < BH_LANGS; lang++) {
            memcpy(to->error.text[lang], n->text[lang], sizeof to->error.text[lang]);
        }
    }
    if (health->damaged_blocks > 0 || health->damaged_files > 0) {
        struct bh_capture_note *to = &r->notes[r->note_count++];
        to->file = UINT16_MAX;
        to->damaged = true;
        bh_error_set(
            &to->error, BH_EDAMAGED, health->first,
            "the log is damaged: %llu records in %llu blocks were left out (see beholder log verify)",
            "ログが壊れています。%llu 件の記録 (%llu ブロック) を除外しました (beholder log verify をご覧ください)",
            (unsigned long long)health->lost_records, (unsigned long long)health->damaged_blocks);
    }
    return 0;
}

int
log_finish(struct run *x)
{
    const struct bh_store_sums *s = bh_store_get_sums(x->feed.store);
    struct bh_store_health health;
    struct bh_report_storage *g = &x->r->storage;
    struct bh_trend *t = x->r->trend;
    bh_store_get_health(x->feed.store, &health);
    g->damaged_blocks = health.damaged_blocks;
    g->lost_records = health.lost_records;
    g->torn_bytes = health.torn_bytes;
    memcpy(g->first_damage, health.first, sizeof g->first_damage);
    t->out_of_order = s->steps_back;
    x->r->import_rows = s->rows;
    x->r->import_bad_rows = s->bad_rows;
    x->r->import_other_lines = s->other_lines;
    if (x->feed.decided) {
        t->bounds.flows_lost = s->flows_lost;
        t->bounds.conversations_lost = s->conversations_lost;
        t->bounds.repeats_lost = s->repeats_lost;
        t->bounds.held_early = s->held_early;
    }
    return take_notes_of_log(x, s, &health);
}

int
log_take_notes(struct run *x)
{
    struct bh_store_health health;
    bh_store_get_health(x->feed.store, &health);
    return take_notes_of_log(x, bh_store_get_sums(x->feed.store), &health);
}

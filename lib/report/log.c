/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A packet log as the input of a report. Its records bring their verdicts; what the log knows
 * beside them (silences, bounds, notes of whoever wrote it) comes from its sums, so that the report
 * is that of the capture it was made of.
 *
 * Asked for another home than the log's, or for other rules of what an access is, the records are
 * judged again: then they go through lib/track like those of a capture.
 */
#include "bh_option.h"
#include "run_priv.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

int
log_is_input(const struct bh_report_options *o, struct bh_store_paths *ret_logs,
             struct bh_error *err)
{
    const char *file = "";
    size_t dirs = 0;
    for (size_t i = 0; i < o->file_count; i++) {
        const size_t before = ret_logs->count;
        if (bh_store_find_logs(o->files[i], ret_logs) != 0) {
            return bh_error_errno(err, ENOMEM, o->files[i], "cannot read", "読めません");
        }
        if (ret_logs->count > before) {
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
    return (home == NULL || strcmp(home, r->home) == 0) && (r->all_accesses || !o->all_accesses) &&
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

/* Each once. One that does not fit is told by the dots. */
static void
add_filter(struct bh_report_storage *g, const char *filter)
{
    const size_t used = strlen(g->filter), len = strlen(filter);
    g->filter_of_all &= filter[0] != '\0';
    if (filter[0] == '\0' || strstr(g->filter, filter) != NULL) {
        return;
    }
    const bool fits = used + len + 6 < sizeof g->filter;
    if (fits || used + 6 < sizeof g->filter) {
        snprintf(g->filter + used, sizeof g->filter - used, "%s%s", used > 0 ? "; " : "",
                 fits ? filter : "...");
    }
}

static void
describe_log(struct run *x)
{
    struct bh_report_storage *g = &x->r->storage;
    struct bh_store_totals t;
    bh_store_get_totals(x->feed.store, &t);
    g->is_log = true;
    g->filter_of_all = true;
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
        add_filter(g, run->filter);
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
    snprintf(x->r->storage.home, sizeof x->r->storage.home, "%s", all.data == NULL ? "" : all.data);
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

/* ---- sensors ------------------------------------------------------------------------------------------ */

static size_t
find_sensor(const struct bh_store *s, const char *name)
{
    size_t k = 0;
    while (k < bh_store_sensor_count(s) && strcmp(bh_store_sensor(s, k), name) != 0) {
        k++;
    }
    return k;
}

/* A name that nobody has is a slip, not a report of nothing. */
static int
check_filter_sensors(struct run *x)
{
    const struct bh_store *s = x->feed.store;
    const size_t count = bh_store_sensor_count(s);
    const char *names[BH_STORE_SENSORS_MAX], *name;
    for (size_t k = 0; (name = bh_filter_sensor(countries_words(&x->countries), k)) != NULL; k++) {
        if (find_sensor(s, name) < count) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            names[i] = bh_store_sensor(s, i);
        }
        const char *near = bh_nearest(name, names, count);
        char where[80];
        snprintf(where, sizeof where, "sensor %.64s", name);
        return bh_error_set(x->err, BH_EUSAGE, where,
                            near != NULL ? "no such sensor in these logs; did you mean %s?"
                                         : "no such sensor in these logs; %s is one",
                            near != NULL ? "そのセンサーの記録はありません。%s のことですか?"
                                         : "そのセンサーの記録はありません (例: %s)",
                            near != NULL ? near : names[0]);
    }
    return 0;
}

/* The silences of a sensor that lie in the period, and one at the end when others went on. */
static void
take_silences(const struct run *x, size_t k, int64_t newest_ns, struct bh_report_sensor *to)
{
    struct bh_store_silence all[BH_STORE_SILENCES_MAX];
    const struct bh_store *s = x->feed.store;
    const uint32_t n = bh_store_silences(s, k, (uint64_t)BH_GAP_LEAST_NS, all, BH_COUNT(all));
    int64_t first_ns, last_ns;
    for (uint32_t i = 0; i < n; i++) {
        if (all[i].end_ns > x->period.start_ns && all[i].start_ns < x->period.end_ns) {
            to->silence[to->silence_count++] =
                (struct bh_report_silence){ all[i].start_ns, all[i].end_ns };
        }
    }
    bh_store_sensor_times(s, k, &first_ns, &last_ns);
    newest_ns = newest_ns < x->period.end_ns ? newest_ns : x->period.end_ns;
    if (last_ns < newest_ns && first_ns <= last_ns &&
        (uint64_t)newest_ns - (uint64_t)last_ns >= (uint64_t)BH_GAP_LEAST_NS &&
        to->silence_count < BH_REPORT_SILENCES_MAX) {
        to->silence[to->silence_count++] = (struct bh_report_silence){ last_ns, INT64_MAX };
    }
}

static int
home_of_sensor(struct run *x, size_t k, struct bh_report_sensor *to)
{
    struct bh_buf all = { 0 };
    bool ok = true;
    for (size_t i = 0; i < bh_store_run_count(x->feed.store); i++) {
        if (bh_store_sensor_of_run(x->feed.store, i) == k) {
            ok &= add_networks(&all, bh_store_run(x->feed.store, i)->home);
        }
    }
    snprintf(to->home, sizeof to->home, "%s", all.data == NULL ? "" : all.data);
    bh_buf_done(&all);
    return ok ? 0 : no_memory(x);
}

int
log_find_sensors(struct run *x)
{
    const struct bh_store *s = x->feed.store;
    const size_t count = bh_store_sensor_count(s);
    struct bh_store_totals t;
    int r = check_filter_sensors(x);
    if (r != 0 || (count < 2 && !x->o->by_sensor)) {
        return r;
    }
    x->r->sensors = calloc(count + 1, sizeof *x->r->sensors);
    if (x->r->sensors == NULL) {
        return no_memory(x);
    }
    x->r->sensor_count = count;
    bh_store_get_totals(s, &t);
    for (size_t k = 0; k < count && r == 0; k++) {
        struct bh_report_sensor *to = &x->r->sensors[k];
        snprintf(to->name, sizeof to->name, "%s", bh_store_sensor(s, k));
        take_silences(x, k, t.last_ns, to);
        r = home_of_sensor(x, k, to);
    }
    return r;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

int
log_find_judge(struct run *x)
{
    const struct bh_filter *f = countries_words(&x->countries);
    if (f == NULL || !x->feed.decided || x->o->plan == BH_PLAN_ALL || x->judge != NULL) {
        return 0;
    }
    /* With databases of different days countries are asked for anew, record by record. */
    return bh_filter_judge_new(f, !x->feed.by_days, &x->judge) == 0 ? 0 : no_memory(x);
}

int
log_begin(struct run *x)
{
    int r = log_find_judge(x);
    if (r != 0) {
        return r;
    }
    const uint32_t needs = bh_filter_needs(countries_words(&x->countries));
    struct bh_store_query q = { .countries = countries_at(&x->countries, INT64_MAX),
                                .start_ns = INT64_MIN,
                                .end_ns = INT64_MAX,
                                .threads = x->o->threads };
    if (!x->feed.decided) {
        q.want = BH_STORE_ALL;
    } else {
        q.judge = x->judge;
        q.explain = x->o->explain;
        q.start_ns = x->period.start_ns;
        q.end_ns = x->period.end_ns;
        q.want =
            (unsigned)BH_STORE_TIME |
            ((needs & BH_FILTER_NEEDS_NEAR) != 0 ? (unsigned)BH_STORE_NEAR : 0U) |
            ((needs & BH_FILTER_NEEDS_SRC_PORT) != 0 ? (unsigned)BH_STORE_KNOCK_PORT : 0U) |
            ((needs & BH_FILTER_NEEDS_COLD) != 0 || x->tally.list_sources ? (unsigned)BH_STORE_COLD
                                                                          : 0U);
    }
    /* Silent is what nobody saw anything in. */
    struct bh_store_silence silence[BH_GAPS_MAX];
    const uint32_t n = bh_store_silences(x->feed.store, BH_STORE_SENSORS_MAX,
                                         (uint64_t)BH_GAP_LEAST_NS, silence, BH_COUNT(silence));
    for (uint32_t k = 0; k < n; k++) {
        x->feed.silences.silence[k].start_ns = silence[k].start_ns;
        x->feed.silences.silence[k].end_ns = silence[k].end_ns;
        atomic_store_explicit(&x->feed.silences.count, k + 1, memory_order_release);
    }
    return bh_store_read_begin(x->feed.store, &q, x->err);
}

static bool
has_first_of(const struct bh_home *h, const struct bh_home *other)
{
    for (size_t i = 0; i < other->v4_count + other->v6_count; i++) {
        const struct bh_ip ip = i < other->v4_count
                                    ? bh_ip_from_v4(other->v4[i].first)
                                    : bh_ip_from_v6(other->v6[i - other->v4_count].first_hi,
                                                    other->v6[i - other->v4_count].first_lo);
        if (bh_home_has(h, &ip)) {
            return true;
        }
    }
    return false;
}

/* Sensors that watch the same addresses see the same packets: each counts, and who reads should know. */
static void
note_overlap(struct run *x)
{
    struct bh_report *r = x->r;
    struct bh_home *home = calloc(r->sensor_count + 1, sizeof *home);
    bool *known = calloc(r->sensor_count + 1, sizeof *known);
    struct bh_error unused;
    bool found = false;
    for (size_t k = 0; home != NULL && known != NULL && k < r->sensor_count && !found; k++) {
        known[k] = bh_home_parse(r->sensors[k].home, &home[k], &unused) == 0;
        for (size_t j = 0; j < k && known[k] && !found; j++) {
            found =
                known[j] && (has_first_of(&home[j], &home[k]) || has_first_of(&home[k], &home[j]));
            if (found) {
                struct bh_capture_note *to = &r->notes[r->note_count++];
                to->file = UINT16_MAX;
                char both[160];
                snprintf(both, sizeof both, "%s, %s", r->sensors[j].name, r->sensors[k].name);
                bh_error_set(
                    &to->error, 0, both,
                    "watch the same addresses; what both recorded counts twice (the filter \"sensor %s\" counts one)",
                    "同じアドレスを監視しているため、両方に記録されたものは 2 度数えています "
                    "(フィルター「sensor %s」で片方だけを数えます)",
                    r->sensors[j].name);
            }
        }
    }
    for (size_t k = 0; home != NULL && k < r->sensor_count; k++) {
        bh_home_done(&home[k]);
    }
    free(home);
    free(known);
}

static int
take_notes_of_log(struct run *x, const struct bh_store_sums *s,
                  const struct bh_store_health *health)
{
    struct bh_report *r = x->r;
    r->notes = calloc(s->note_count + 3UL, sizeof *r->notes);
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
    if (r->sensor_count > 1) {
        note_overlap(x);
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
    g->own = s->own;
    memcpy(g->lost, s->lost, sizeof g->lost);
    for (uint32_t k = 0; k < s->gap_count; k++) { /* of the period asked for */
        if (s->gap[k].end_ns >= x->period.start_ns && s->gap[k].start_ns < x->period.end_ns) {
            g->gap[g->gap_count++] = s->gap[k];
        }
    }
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

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIGHUP: the configuration is read again, while capture goes on. All that is new is checked and prepared first; when
 * something of it is not good, that is said and nothing changes. Outputs are compared by name and mark:
 *
 *   the same                nobody touches it
 *   other settings          its process ends as always, another one goes on with what is in the queue
 *   other module, queue,    another output in its place: capture changes over between two batches; the new process
 *   frames or program       begins when the old one has taken all that was its
 *   new                     a new output, from the next batch on
 *   not there any more      capture sends it no more; it takes what is in its queue, and ends
 *
 * Then home, the sensor's name and the country database. One change at a time: a signal that comes meanwhile waits.
 */
#include "sensor_priv.h"

#include <sys/wait.h>
#include <unistd.h>

#define SECOND_NS 1000000000LL
#define ENDS_NS (10 * SECOND_NS)

/* ---- what is under way -------------------------------------------------------------------------------------- */

static bool
is_told(const struct sensor *s)
{
    return atomic_load_explicit(&s->capture->changes_done, memory_order_acquire) ==
           atomic_load(&s->plan->changes);
}

/* What a process that was killed, or was not there, did not take. */
static void
count_left(const struct sensor *s, size_t k, struct outlet *to)
{
    const struct outlet *o = s->output[k].outlet;
    const struct sent *sent = &s->capture->sent[k];
    const uint64_t durable = o->run == s->capture->run ? atomic_load(&o->rows_durable) : 0;
    const int64_t last_ns = (int64_t)atomic_load(&o->counters.last_ns), now_ns = sensor_time_ns();
    if (sent->row > durable) {
        to->dead_rows += sent->row - durable;
        to->dead = (struct bh_gap){ .start_ns = last_ns != 0 && last_ns < now_ns ? last_ns : now_ns,
                                    .end_ns = now_ns,
                                    .packets = to->dead_rows,
                                    .kind = BH_GAP_DEAD };
    }
}

/* It goes, and nobody takes its place: what it had not taken is lost with it. */
static void
say_left(struct sensor *s, size_t k)
{
    const struct output *o = &s->output[k];
    const struct bh_host_counters *h = &o->outlet->counters;
    const uint64_t before = o->outlet->dead_rows, waits = atomic_load(&h->spool_rows);
    struct bh_error e = { 0 };
    count_left(s, k, o->outlet);
    const uint64_t left = o->outlet->dead_rows - before;
    s->gone_lost += o->outlet->dead_rows;
    if (left > 0) {
        bh_error_set(&e, 0, "", "has ended; %llu records that it had not taken are lost",
                     "は終了しました。受け取っていない記録 %llu 件は失われました",
                     (unsigned long long)left);
        sensor_say(s, o->name, BH_SAY_ERROR, &e);
    }
    if (waits > 0) {
        bh_error_set(&e, 0, o->spool, "keeps %llu records for an output of the same name",
                     "に記録 %llu 件が残っています。同じ名前の出力が引き継ぎます",
                     (unsigned long long)waits);
        sensor_say(s, o->name, BH_SAY_WARNING, &e);
    }
}

/* The process of `k` has ended: its place is free, and who waits for it may begin. */
static void
free_place(struct sensor *s, size_t k)
{
    const struct bh_host_counters *h = &s->output[k].outlet->counters;
    bool is_taken = false;
    s->gone_lost += atomic_load(&s->capture->sent[k].lost_rows) + atomic_load(&h->spool_lost_rows) +
                    atomic_load(&h->failed_rows);
    for (size_t n = 0; n < s->output_count; n++) {
        struct output *o = &s->output[n];
        if (o->state == OUTPUT_RUNS && o->from == (int)k) {
            o->outlet->dead = s->output[k].outlet->dead;
            o->outlet->dead_rows = s->output[k].outlet->dead_rows;
            o->from = -1;
            count_left(s, k, o->outlet);
            is_taken = true;
        }
    }
    if (!is_taken) {
        say_left(s, k);
    }
    atomic_store(&s->plan->ends[k], 0);
    output_close(&s->output[k]);
}

/* True: something is under way still. */
static bool
go_on(struct sensor *s, int64_t now_ns)
{
    const bool told = is_told(s);
    bool any = !told;
    for (size_t k = 0; k < s->output_count; k++) {
        struct output *o = &s->output[k];
        const uint64_t one = 1;
        if (o->state == OUTPUT_LEAVES && told) {
            o->state = OUTPUT_ENDS;
            o->kill_ns = now_ns + ENDS_NS;
            atomic_store_explicit(&s->plan->ends[k], 1, memory_order_release);
            bh_ignore((int)write(o->wake_fd, &one, sizeof one)); /* full: it is awake */
        }
        if (o->state == OUTPUT_ENDS && o->pid <= 0) {
            free_place(s, k);
        } else if (o->pid > 0 && (o->state == OUTPUT_ENDS || o->restarts_now) &&
                   now_ns > o->kill_ns) {
            sensor_say_plain(s, o->name, BH_SAY_ERROR, "did not end in time and was killed",
                             "時間内に終了しなかったため強制終了しました");
            kill(o->pid, SIGKILL);
            o->kill_ns = INT64_MAX;
        }
        any |= o->state == OUTPUT_LEAVES || o->state == OUTPUT_ENDS;
    }
    return any;
}

/* ---- what is to be done about an output ------------------------------------------------------------------------ */

enum turn { STAYS, RESTARTS, REPLACES, COMES };

struct plan_of_outputs {
    enum turn turn[BH_SENSOR_OUTPUTS]; /* of those of the new configuration */
    size_t old[BH_SENSOR_OUTPUTS];     /* where it is; COMES: nowhere       */
    struct output prepared[BH_SENSOR_OUTPUTS];
    bool is_kept[BH_SENSOR_OUTPUTS]; /* of those that run */
    size_t counts[COMES + 1], leaves;
};

static bool
find_output(const struct sensor *s, const char *name, size_t *ret)
{
    for (size_t k = 0; k < s->output_count; k++) {
        if (s->output[k].state == OUTPUT_RUNS && strcmp(s->output[k].name, name) == 0) {
            *ret = k;
            return true;
        }
    }
    return false;
}

static enum turn
turn_of(const struct sensor *s, const struct bh_sensor_output *c, size_t *ret_old)
{
    const uint32_t apart = BH_OUTPUT_NEEDS_FRAMES | BH_OUTPUT_NEEDS_CHILD;
    if (!find_output(s, c->name, ret_old)) {
        return COMES;
    }
    const struct output *o = &s->output[*ret_old];
    if (o->mark == c->mark) {
        return STAYS;
    }
    return o->module == c->module && o->config->queue_bytes == c->queue_bytes &&
                   (o->needs & apart) == 0
               ? RESTARTS
               : REPLACES;
}

/* The frames it is to get, as capture reads it from a message. */
static int
frames_filter(const struct bh_sensor_output *c, char *to, size_t size, struct bh_error *err)
{
    size_t n = 0;
    to[0] = '\0';
    for (size_t k = 0; k < c->filter_count && n < size; k++) {
        n += (size_t)snprintf(to + n, size - n, "%s%s", k > 0 ? " " : "", c->filter_words[k]);
    }
    return n < size ? 0
                    : bh_error_set(err, BH_ELIMIT, c->name,
                                   "such a long filter needs a restart of the sensor%s",
                                   "このように長いフィルターにはセンサーの再起動が必要です%s", "");
}

static int
prepare_one(struct sensor *s, const struct bh_sensor_output *c, enum turn turn, struct output *o,
            struct bh_error *err)
{
    char filter[sizeof((struct change *)0)->filter];
    if (turn == STAYS) {
        return 0;
    }
    if ((c->module->needs & BH_OUTPUT_NEEDS_FRAMES) != 0 && !s->whole_frames) {
        return bh_error_set(
            err, BH_EUSAGE, c->name,
            "whole frames were not captured so far: this needs a restart of the sensor%s",
            "これまでフレーム全体を取り込んでいないため、センサーの再起動が必要です%s", "");
    }
    int r = frames_filter(c, filter, sizeof filter, err);
    if ((c->module->needs & BH_OUTPUT_NEEDS_FRAMES) == 0) {
        r = 0;
    }
    r = r != 0 ? r : output_prepare(s, c, o, err);
    return r == 0 && turn != RESTARTS ? output_share(o, true, err) : r;
}

static int
prepare(struct sensor *s, const struct bh_sensor_config *new, struct plan_of_outputs *p,
        struct bh_error *err)
{
    size_t taken = 0;
    int r = 0;
    for (size_t k = 0; k < s->output_count; k++) {
        taken += s->output[k].state != OUTPUT_NONE;
    }
    for (size_t k = 0; r == 0 && k < new->output_count; k++) {
        const struct bh_sensor_output *c = &new->outputs[k];
        p->turn[k] = turn_of(s, c, &p->old[k]);
        if (p->turn[k] == STAYS || p->turn[k] == RESTARTS) {
            p->is_kept[p->old[k]] = true;
        } else if (++taken > BH_SENSOR_OUTPUTS) {
            return bh_error_set(err, BH_ELIMIT, c->name,
                                "more than %u outputs, those that are to end among them",
                                "出力は終了するものも含めて %u 個までです", BH_SENSOR_OUTPUTS);
        }
        r = prepare_one(s, c, p->turn[k], &p->prepared[k], err);
        p->counts[p->turn[k]]++;
    }
    for (size_t k = 0; k < s->output_count; k++) {
        p->leaves += s->output[k].state == OUTPUT_RUNS && !p->is_kept[k];
    }
    p->leaves -= p->counts[REPLACES];
    return r;
}

/* ---- doing it ------------------------------------------------------------------------------------------------------ */

/* Capture does not take it: then the one that comes after it has it by the fork. */
static void
tell(struct sensor *s, const struct change *c, const int fd[2])
{
    if (s->capture_pid > 0 && change_send(s->change_fd[0], c, fd) != 0) {
        kill(s->capture_pid, SIGKILL);
    }
}

static void
let_go(struct sensor *s, size_t k)
{
    struct output *o = &s->output[k];
    o->state = OUTPUT_LEAVES;
    o->config = NULL;
    tell(s, &(struct change){ .slot = (uint32_t)k, .ends = true, .from = -1 }, NULL);
}

static void
restart(struct sensor *s, size_t k, struct output *prepared)
{
    struct output *o = &s->output[k];
    bh_filter_free(o->filter);
    o->filter = prepared->filter;
    o->mark = prepared->mark;
    prepared->filter = NULL;
    output_close(prepared);
    if (o->pid > 0) {
        children_end_output(o);
    }
    o->restart_ns = 0; /* what it failed by may be what has changed */
}

static void
begin(struct sensor *s, struct output *prepared, int from)
{
    struct bh_error err = { 0 };
    size_t k = 0;
    while (s->output[k].state != OUTPUT_NONE) { /* there is room: prepare() counted */
        k++;
    }
    struct output *o = &s->output[k];
    *o = *prepared;
    o->state = OUTPUT_RUNS;
    o->generation = ++s->generations;
    o->from = from;
    s->output_count = s->output_count > k ? s->output_count : k + 1;
    struct change c = { .slot = (uint32_t)k,
                        .generation = o->generation,
                        .from = from,
                        .frames = (o->needs & BH_OUTPUT_NEEDS_FRAMES) != 0,
                        .queue_size = o->queue_size };
    if (c.frames) {
        bh_ignore(
            frames_filter(o->config, c.filter, sizeof c.filter, &err)); /* it was asked before */
    }
    tell(s, &c, (const int[2]){ o->queue_fd, o->wake_fd });
}

static void
apply(struct sensor *s, const struct bh_sensor_config *new, struct plan_of_outputs *p)
{
    uint32_t messages = 0;
    for (size_t k = 0; k < s->output_count; k++) {
        if (s->output[k].state == OUTPUT_RUNS && !p->is_kept[k]) {
            let_go(s, k);
            messages++;
        }
    }
    for (size_t k = 0; k < new->output_count; k++) {
        if (p->turn[k] == COMES || p->turn[k] == REPLACES) {
            begin(s, &p->prepared[k], p->turn[k] == REPLACES ? (int)p->old[k] : -1);
            messages++;
        } else {
            s->output[p->old[k]].config = &new->outputs[k];
        }
        if (p->turn[k] == RESTARTS) {
            restart(s, p->old[k], &p->prepared[k]);
        }
    }
    atomic_fetch_add_explicit(&s->plan->changes, messages, memory_order_release);
    s->own.outputs = new->outputs;
    s->own.output_count = new->output_count;
}

/* ---- the country database, home, the name ----------------------------------------------------------------------- */

/* Filters ask the database that records are of. */
static void
renew_filters(struct sensor *s)
{
    for (size_t k = 0; k < s->output_count; k++) {
        struct output *o = &s->output[k];
        struct bh_filter *f = NULL;
        struct bh_error err = { 0 };
        if (o->state == OUTPUT_RUNS && output_parse_filter(s, o->config, &f, &err) == 0) {
            bh_filter_free(o->filter);
            o->filter = f;
        }
    }
}

static void
restart_all(struct sensor *s)
{
    for (size_t k = 0; k < s->output_count; k++) {
        if (s->output[k].state == OUTPUT_RUNS && s->output[k].pid > 0) {
            children_end_output(&s->output[k]);
        }
    }
}

/* False: the one in use is as good, or the only one. */
static bool
open_countries(struct sensor *s, const kobold *in_use, struct countries *ret, char ret_date[16])
{
    struct kobold_meta old = { 0 }, new = { 0 };
    struct bh_error err = { 0 };
    struct countries c;
    const int r = sensor_countries_open(s->config->country_db, &c);
    if (r != 0) {
        bh_error_set(&err, r, s->config->country_db != NULL ? s->config->country_db : "country.kdb",
                     "%s%.0s; the one in use stays", "%.0s%s。今のものを使い続けます",
                     kobold_strerror(r, BH_EN), kobold_strerror(r, BH_JA));
        sensor_say(s, "beholder",
                   in_use == NULL && s->config->country_db == NULL ? BH_SAY_NOTE : BH_SAY_ERROR,
                   &err);
        return false;
    }
    kobold_get_meta(c.k, &new);
    if (in_use != NULL) {
        kobold_get_meta(in_use, &old);
    }
    if (in_use != NULL && old.id == new.id) {
        sensor_countries_close(&c);
        return false;
    }
    snprintf(ret_date, 16, "%s", new.date);
    *ret = c;
    return true;
}

/* What records mean: another run, when any of it has changed. True: one began. */
static bool
reload_meaning(struct sensor *s, bool meaning_changed)
{
    const struct plan_run *run = &s->plan->runs[atomic_load(&s->plan->run) % RUNS];
    const uint32_t now = run->countries;
    char date[16] = "", home[sizeof s->home];
    struct bh_error err = { 0 };
    struct countries c;
    const bool renewed = open_countries(s, s->countries[now % RUNS].k, &c, date);
    if (!renewed && !meaning_changed) {
        return false;
    }
    if (renewed) {
        sensor_countries_close(&s->countries[(now + 1) % RUNS]);
        s->countries[(now + 1) % RUNS] = c;
        s->countries_newest = now + 1;
    }
    snprintf(home, sizeof home, "%s", s->config->home != NULL ? s->config->home : s->home);
    if (runs_plan(s, home, false, renewed ? now + 1 : now, &err) != 0) {
        sensor_say(s, "beholder", BH_SAY_ERROR, &err);
        return false;
    }
    if (renewed) {
        /* Outputs have the old one mapped: those that come after them have both. */
        renew_filters(s);
        restart_all(s);
        bh_error_set(&err, 0, "", "country data of %s", "国データの日付: %s", date);
        sensor_say(s, "beholder", BH_SAY_NOTE, &err);
    }
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------ */

static bool
differ(const char *a, const char *b)
{
    return (a == NULL) != (b == NULL) || (a != NULL && strcmp(a, b) != 0);
}

/* Keys of lines KEY=VALUE that are not the same in both, which have the same keys. */
static void
name_waits(const char *now, const char *new, char *to, size_t size)
{
    size_t n = 0;
    to[0] = '\0';
    while (now != NULL && new != NULL &&*now != '\0' && *new != '\0') {
        const size_t a = strcspn(now, "\n"), b = strcspn(new, "\n");
        if (a != b || memcmp(now, new, a) != 0) {
            const int put = snprintf(to + n, size - n, "%s%.*s", n > 0 ? ", " : "",
                                     (int)strcspn(new, "="), new);
            n = put > 0 && (size_t)put < size - n ? n + (size_t)put : n;
        }
        now += a + (now[a] != '\0');
        new += b + (new[b] != '\0');
    }
    to[n] = '\0';
}

static void
say_waits(struct sensor *s, const struct bh_sensor_config *new)
{
    struct bh_error e = { 0 };
    name_waits(s->fixed, new->fixed, s->waits, sizeof s->waits);
    if (s->waits[0] != '\0') {
        bh_error_set(&e, 0, "", "these wait for a restart of the sensor: %s",
                     "次の設定はセンサーの再起動後に有効になります: %s", s->waits);
        sensor_say(s, "beholder", BH_SAY_WARNING, &e);
    }
}

static void
say_done(struct sensor *s, const struct plan_of_outputs *p, bool any)
{
    struct bh_error text = { 0 };
    if (!any) {
        sensor_say_plain(s, "beholder", BH_SAY_NOTE, "nothing has changed", "変更はありません");
        return;
    }
    bh_error_set(
        &text, 0, "",
        "the configuration was read again; outputs: %zu new, %zu changed, %zu ended, %zu as they were",
        "設定を読み直しました。出力: 新規 %zu、変更 %zu、終了 %zu、そのまま %zu", p->counts[COMES],
        p->counts[RESTARTS] + p->counts[REPLACES], p->leaves, p->counts[STAYS]);
    sensor_say(s, "beholder", BH_SAY_NOTE, &text);
}

/* *ret_changed: something did. False: it is refused. */
static bool
reload_outputs(struct sensor *s, const struct bh_sensor_config *new, struct plan_of_outputs *p)
{
    struct bh_error err = { 0 };
    if (prepare(s, new, p, &err) == 0) {
        apply(s, new, p);
        prefilter_choose(s);
        return true;
    }
    sensor_say(s, "beholder", BH_SAY_ERROR, &err);
    for (size_t k = 0; k < new->output_count; k++) {
        if (p->prepared[k].config != NULL) {
            output_close(&p->prepared[k]);
        }
    }
    return false;
}

static void
refuse(struct sensor *s)
{
    sensor_say_plain(s, "beholder", BH_SAY_ERROR,
                     "the new configuration is refused; all goes on as before",
                     "新しい設定は使えないため、これまでの設定で動作を続けます");
}

static void
reload(struct sensor *s)
{
    static struct plan_of_outputs p; /* large; one at a time */
    const struct bh_sensor_config *new = NULL;
    p = (struct plan_of_outputs){ 0 };
    if (s->config->reload == NULL) {
        say_done(s, &p, reload_meaning(s, false));
        return;
    }
    if (s->config->reload(s->config->reload_arg, &new) != 0) {
        refuse(s);
        return;
    }
    if (!reload_outputs(s, new, &p)) {
        refuse(s);
        s->config->forget(s->config->reload_arg, new);
        return;
    }
    say_waits(s, new);
    const bool meaning =
        differ(s->config->home, new->home) || differ(s->config->sensor, new->sensor);
    const struct bh_sensor_config *old = s->in_force;
    s->own.home = new->home;
    s->own.sensor = new->sensor;
    s->own.country_db = new->country_db;
    s->own.metrics_file = new->metrics_file;
    s->own.status_socket = s->own.metrics_listen = s->own.user = s->own.fixed =
        NULL; /* of the old one, and done */
    s->own.interfaces = NULL;
    s->own.interface_count = 0;
    s->in_force = new;
    const bool began = reload_meaning(s, meaning);
    say_done(s, &p, began || p.counts[STAYS] < new->output_count || p.leaves > 0);
    s->config->forget(s->config->reload_arg, old);
}

void
reload_turn(struct sensor *s, int64_t now_ns)
{
    if (go_on(s, now_ns) || sensor_reload == 0) {
        return;
    }
    sensor_reload = 0;
    notify_reloading(s);
    reload(s);
    notify_ready(s);
}

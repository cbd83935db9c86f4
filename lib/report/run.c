/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A report from files: everything is set up, the first 65,536 IP packets are read ahead (for
 * the guess of home, for whether both sides are seen, for the ports worth a bit per source),
 * then all batches are worked on, and the tally becomes a trend.
 */
#include "run_priv.h"
#include "bh_report_priv.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define WORTH_THREADS 3000000U /* frames from which a second thread pays for its tables */

/* ---- options ------------------------------------------------------------------------------------- */

static int
check_code(const char *option, const char *text, char ret_code[4], struct bh_error *err)
{
    char where[64];
    char code[3];
    snprintf(where, sizeof where, "%s %.32s", option, text);
    int r = bh_filter_country(where, text, strlen(text), code, err);
    if (r == 0) {
        snprintf(ret_code, 4, "%s", code);
    }
    return r;
}

static int
parse_port(struct run *x)
{
    struct bh_tally_config *c = &x->tally;
    c->list_port = c->list_proto = -1;
    if (x->o->port == NULL) {
        return 0;
    }
    char where[64], *end = NULL;
    snprintf(where, sizeof where, "--port %.40s", x->o->port);
    unsigned long port = strtoul(x->o->port, &end, 10);
    if (x->o->port[0] < '0' || x->o->port[0] > '9' || port > 65535 ||
        (*end != '\0' && *end != '/')) {
        return bh_error_set(x->err, BH_EUSAGE, where,
                            "write it as 138 or 138/udp; ports go from 0 to 65535",
                            "138 や 138/udp のように書きます。ポートは 0 から 65535 までです");
    }
    c->list_port = (int)port;
    if (*end == '/') {
        c->list_proto = bh_proto_number(end + 1, strlen(end + 1));
        if (c->list_proto != BH_PROTO_TCP && c->list_proto != BH_PROTO_UDP) {
            return bh_error_set(x->err, BH_EUSAGE, where, "the protocol is tcp or udp",
                                "プロトコルは tcp か udp です");
        }
    }
    return 0;
}

static int
parse_options(struct run *x)
{
    const struct bh_report_options *o = x->o;
    int r = bh_zone_set(o->tz, x->err);
    if (r == 0) {
        snprintf(x->r->zone, sizeof x->r->zone, "%s", bh_zone_name());
        r = bh_period_parse(o->since, o->until, o->last, o->now_ns, &x->period, x->err);
    }
    if (r == 0 && o->served != NULL) {
        r = bh_served_parse(o->served, x->served, BH_SERVED_MAX, &x->served_count, x->err);
    }
    if (r == 0 && o->country != NULL) {
        r = check_code("--country", o->country, x->tally.list_country, x->err);
    }
    if (r == 0 && o->home_country != NULL) {
        char code[4];
        r = check_code("--home-country", o->home_country, code, x->err);
        if (r == 0) {
            memcpy(x->r->home_country, code, 3);
            x->r->home_country_from = BH_FROM_OPTION;
        }
    }
    r = r != 0 ? r : parse_port(x);
    x->tally.list_sources = o->country != NULL || o->port != NULL;
    return r;
}

int
run_parse_filter(struct run *x)
{
    int r = countries_filter(&x->countries, x->o, x->err);
    if (r != 0 || countries_words(&x->countries) == NULL) {
        return r;
    }
    struct bh_buf text = { 0 };
    bh_filter_text(countries_words(&x->countries), &text);
    snprintf(x->r->filter_text, sizeof x->r->filter_text, "%s", text.data == NULL ? "" : text.data);
    bh_buf_done(&text);
    return 0;
}

/* ---- what reading ahead tells ----------------------------------------------------------------------- */

int
run_find_home(struct run *x)
{
    struct bh_home *h = &x->r->home;
    if (x->o->home != NULL) {
        return bh_home_parse(x->o->home, h, x->err);
    }
    if (x->feed.ahead_count > 0 && x->feed.ahead[0]->all_inbound) {
        bh_buf_puts(&h->text[BH_EN], "whoever wrote the log (it has no destination addresses)");
        bh_buf_puts(&h->text[BH_JA], "ログを書いた側 (宛先アドレスの列がないため)");
        h->guessed = true;
        return 0;
    }
    uint64_t packets = x->feed.ahead_packets < BH_HOME_GUESS_PACKETS ? x->feed.ahead_packets
                                                                     : BH_HOME_GUESS_PACKETS;
    struct bh_home_guess *g = bh_home_guess_new((uint32_t)packets);
    if (g == NULL) {
        return bh_error_errno(x->err, ENOMEM, "", "cannot guess home", "自分側を推定できません");
    }
    for (size_t i = 0; i < x->feed.ahead_count && bh_home_guess_batch(g, x->feed.ahead[i]); i++) {
    }
    int r = bh_home_guess_end(g, h, x->err);
    bh_home_guess_free(g);
    if (r != 0 && x->err->where[0] == '\0' && x->o->file_count == 1) {
        snprintf(x->err->where, sizeof x->err->where, "%s", x->o->files[0]);
    }
    return r;
}

static bool
country_of_home(const struct run *x, char ret_code[3])
{
    const struct bh_home *h = &x->r->home;
    const kobold *countries = countries_at(&x->countries, x->feed.first_ns);
    for (size_t i = 0; i < h->v4_count + h->v6_count; i++) {
        uint16_t value = i < h->v4_count ? kobold_v4(countries, h->v4[i].first)
                                         : kobold_v6(countries, h->v6[i - h->v4_count].first_hi,
                                                     h->v6[i - h->v4_count].first_lo);
        struct kobold_value v;
        if (kobold_value_info(countries, value, &v) && v.kind == KOBOLD_COUNTRY) {
            memcpy(ret_code, v.code, 3);
            return true;
        }
    }
    return false;
}

void
run_find_home_country(struct run *x)
{
    struct bh_report *r = x->r;
    if (r->home_country[0] != '\0') {
        return;
    }
    if (country_of_home(x, r->home_country)) {
        r->home_country_from = BH_FROM_HOME_ADDRESS;
    } else if (bh_zone_country(r->home_country)) {
        r->home_country_from = BH_FROM_TIME_ZONE;
    } else {
        r->home_country[0] = '\0';
        r->home_country_from = BH_FROM_NOTHING;
    }
}

/* An IP packet of ours among the first: then no answer means silence. */
bool
run_find_two_sided(const struct run *x)
{
    for (size_t i = 0; i < x->feed.ahead_count; i++) {
        if (bh_track_first_ours(&x->r->home, x->feed.ahead[i]) != INT64_MAX) {
            return true;
        }
    }
    return false;
}

/* The ports asked for most: they get a bit in each source. Any choice is right; a good one is
 * fast. */
static int
find_frequent(struct run *x)
{
    if (x->feed.ahead_packets < 8192 || x->countries.count > 0) {
        return 0; /* not worth its own tables; and with several databases sources move */
    }
    uint32_t *count = calloc(1U << 17, sizeof *count);
    if (count == NULL) {
        return -ENOMEM;
    }
    for (size_t k = 0; k < x->feed.ahead_count; k++) {
        const struct bh_batch *b = x->feed.ahead[k];
        for (uint32_t i = 0; i < b->rows; i++) {
            bool syn =
                b->proto[i] == BH_PROTO_TCP &&
                ((b->tcp_flags[i] & (BH_TCP_SYN | BH_TCP_ACK)) == BH_TCP_SYN || x->o->all_accesses);
            if ((syn || b->proto[i] == BH_PROTO_UDP) && (b->marks[i] & BH_MARK_NO_PORTS) == 0) {
                count[(uint32_t)(b->proto[i] != BH_PROTO_TCP) << 16 | (b->ports[i] & 0xffff)]++;
            }
        }
    }
    uint32_t least = 0; /* the count of the last one in the list */
    for (uint32_t k = 0; k < 1U << 17; k++) {
        if (count[k] < 2 || (x->frequent_count == BH_COUNT(x->frequent) && count[k] <= least)) {
            continue;
        }
        size_t at =
            x->frequent_count < BH_COUNT(x->frequent) ? x->frequent_count++ : x->frequent_count - 1;
        while (at > 0 && count[x->frequent[at - 1]] < count[k]) {
            x->frequent[at] = x->frequent[at - 1];
            at--;
        }
        x->frequent[at] = k;
        least = count[x->frequent[x->frequent_count - 1]];
    }
    free(count);
    return 0;
}

/* ---- the run --------------------------------------------------------------------------------------------- */

/* Records are held until their outcomes are known when the filter asks for them, or when each
 * counts with a weight: moves count connections. */
static int
choose_hold(struct run *x)
{
    const struct feed *f = &x->feed;
    bool weighted = x->o->outcomes && f->ahead_count > 0 && f->ahead[0]->has_weight;
    if (f->decided) {
        return 0;
    }
    bool asked = (bh_filter_needs(countries_words(&x->countries)) &
                  (BH_FILTER_NEEDS_CLASS | BH_FILTER_NEEDS_OUTCOME)) != 0;
    if (!weighted && !asked) {
        return 0;
    }
    x->hold = calloc(1, sizeof *x->hold);
    return x->hold == NULL ? bh_error_errno(x->err, ENOMEM, "", "cannot start", "開始できません")
                           : 0;
}

static unsigned
choose_threads(const struct run *x)
{
    if (x->hold != NULL || x->feed.capture == NULL) {
        return 1;
    }
    if (x->o->threads != 0) {
        return x->o->threads < SHARDS_MAX ? x->o->threads : SHARDS_MAX;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores < 2 || x->expected < WORTH_THREADS) {
        return 1;
    }
    return cores < (long)SHARDS_MAX ? (unsigned)cores : SHARDS_MAX;
}

#define KEYED_BATCHES 16U

/* Estimates should not change from run to run, nor be foreseen by who sends: their key is made of what came
 * first. (Tables have a random one: a file that was made to fill one bucket must not succeed.) */
static uint64_t
content_key(const struct run *x)
{
    uint64_t key = 0x9e3779b97f4a7c15ULL;
    for (size_t k = 0; k < x->feed.ahead_count && k < KEYED_BATCHES; k++) {
        const struct bh_batch *b = x->feed.ahead[k];
        for (uint32_t i = 0; i < b->rows; i++) {
            key =
                bh_mix64(key ^ (uint64_t)b->ts_ns[i], (uint64_t)b->ports[i] << 32 | b->tcp_seq[i]);
        }
    }
    return key;
}

static int
make_shards(struct run *x)
{
    uint64_t key = bh_random_key();
    x->shards = choose_threads(x);
    x->r->threads_used = x->shards;
    x->tally.countries = x->countries.one;
    x->tally.days = x->countries.days;
    x->tally.day_count = x->countries.count;
    x->tally.systems = countries_systems(&x->countries, &x->r->as_data);
    x->tally.places = x->places;
    x->tally.home = &x->r->home;
    x->tally.sensor_count = x->r->sensor_count;
    x->tally.filter = x->countries.filter;
    x->tally.period = x->period;
    x->tally.count = x->o->count;
    x->tally.served = x->served;
    x->tally.served_count = x->served_count;
    memcpy(x->tally.home_country, x->r->home_country, 3);
    x->tally.outcomes = x->o->outcomes;
    x->tally.hold = x->hold != NULL || x->feed.decided;
    x->tally.expected_frames = x->expected;
    x->tally.start_ns = x->feed.first_ns;
    x->tally.two_sided = x->two_sided;
    x->tally.frequent = x->frequent;
    x->tally.frequent_count = x->frequent_count;
    x->tally.rolled = x->rolled != NULL;
    x->tally.silences = &x->feed.silences;
    x->tally.shards = x->shards;
    x->tally.pairs_total = x->shards > 1 ? &x->pairs_total : NULL;
    x->tally.key = key;
    x->tally.sketch_key = content_key(x);
    struct bh_track_config track = {
        .home = &x->r->home,
        .two_sided = x->two_sided,
        .all_accesses = x->o->all_accesses,
        .outcomes = x->o->outcomes,
        .hold = x->hold != NULL,
        .flow_slots = x->feed.decided ? 64 : FLOW_SLOTS / x->shards,
        .start_ns = x->feed.first_ns,
        .key = key,
    };
    for (unsigned s = 0; s < x->shards; s++) {
        int r = bh_track_new(&track, &x->shard[s].track);
        r = r != 0 ? r : bh_tally_new(&x->tally, &x->shard[s].tally);
        if (r != 0) {
            return r;
        }
        x->tally.first = x->shard[0].tally;
    }
    return 0;
}

#define OFFERED_MAX 4U

static bool
is_served(const struct run *x, uint32_t port)
{
    for (size_t k = 0; k < x->served_count; k++) {
        if (x->served[k].port == port && x->served[k].proto == BH_PROTO_TCP) {
            return true;
        }
    }
    return false;
}

/* Ports that completed with payload and are not said to be served: one line to add. */
static void
suggest_served(struct run *x, struct bh_trend *t)
{
    const uint32_t *served[SHARDS_MAX];
    for (unsigned s = 0; s < x->shards; s++) {
        served[s] = bh_track_served_ports(x->shard[s].track);
    }
    t->offered = calloc(OFFERED_MAX, sizeof *t->offered);
    for (uint32_t port = 0; t->offered != NULL && port < 65536; port++) {
        const uint32_t *of_log = x->feed.decided ? bh_store_get_sums(x->feed.store)->served : NULL;
        uint64_t sum = of_log != NULL ? of_log[port] : 0;
        for (unsigned s = 0; s < x->shards; s++) {
            sum += served[s][port];
        }
        if (sum == 0 || is_served(x, port) ||
            (t->offered_count == OFFERED_MAX && sum <= t->offered[OFFERED_MAX - 1].count)) {
            continue;
        }
        size_t at = t->offered_count < OFFERED_MAX ? t->offered_count++ : OFFERED_MAX - 1;
        while (at > 0 && t->offered[at - 1].count < sum) {
            t->offered[at] = t->offered[at - 1];
            at--;
        }
        t->offered[at] =
            (struct bh_trend_port){ .port = (uint16_t)port, .proto = BH_PROTO_TCP, .count = sum };
    }
}

static int
finish(struct run *x, uint64_t calls_lost)
{
    struct bh_track_bounds bounds = { .conversations_lost = calls_lost };
    for (unsigned s = 0; s < x->shards; s++) {
        struct bh_track_bounds one;
        bh_track_get_bounds(x->shard[s].track, &one);
        bounds.flows_lost += one.flows_lost;
        bounds.conversations_lost += one.conversations_lost;
        bounds.repeats_lost += one.repeats_lost;
        bounds.held_early += one.held_early;
    }
    bounds.held_early += x->hold != NULL ? x->hold->early : 0;
    for (unsigned s = 1; s < x->shards; s++) {
        int r = bh_tally_merge(x->shard[0].tally, x->shard[s].tally);
        if (r != 0) {
            return r;
        }
        x->shard[s].tally = NULL; /* belongs to the first now */
    }
    struct bh_trend_options to = {
        .top = x->o->top,
        .ports = x->o->ports,
        .crosstab_all = x->o->crosstab_all,
        .period = x->period,
        .by_region = x->o->by_region,
        .sensors_with_records = bh_filter_sensor(countries_words(&x->countries), 0) != NULL
    };
    memcpy(to.home_country, x->r->home_country, 3);
    int r = bh_trend_new(x->shard[0].tally, &to, &bounds, &x->r->trend);
    if (r != 0) {
        return r;
    }
    countries_tell(&x->countries, x->shard[0].tally, x->feed.first_ns, x->r);
    x->r->trend->out_of_order = x->feed.steps_back;
    suggest_served(x, x->r->trend);
    return 0;
}

static void
add_note(struct bh_report *r, const struct bh_error *e)
{
    uint16_t file = UINT16_MAX; /* then the error says where */
    for (size_t i = 0; i < r->options.file_count && i < UINT16_MAX; i++) {
        if (strcmp(r->options.files[i], e->where) == 0) {
            file = (uint16_t)i;
        }
    }
    r->notes[r->note_count++] = (struct bh_capture_note){ .file = file, .error = *e };
}

/* Which form a log was taken to have, and what had to be assumed. A guess is said; it is no trouble,
 * and so not on standard error. */
static void
say_form(struct bh_report *r, const struct bh_import_stats *s)
{
    static const char *const zoneless[BH_LANGS] = { "; times without a zone are UTC",
                                                    "。時間帯のない時刻は UTC とみなしました" };
    struct bh_buf text[BH_LANGS] = { { 0 } };
    struct bh_error e;
    for (int lang = 0; lang < BH_LANGS; lang++) {
        struct bh_buf *out = &text[lang];
        bool ja = lang == BH_JA;
        if (s->is_table) {
            bh_buf_printf(
                out, ja ? "列名から次の列を使いました: %s" : "columns taken by their names: %s",
                s->columns);
        } else {
            bh_buf_printf(out, ja ? "%s として読みました (%llu 行" : "read as %s: %llu rows",
                          s->form[lang], (unsigned long long)s->rows);
            if (s->records + s->bad_rows != s->rows) {
                bh_buf_printf(out, ja ? "、パケットの記録 %llu 件" : ", %llu records of packets",
                              (unsigned long long)s->records);
            }
            bh_buf_puts(out, ja ? ")" : "");
        }
        if (s->other_lines > 0) {
            bh_buf_printf(out,
                          ja                    ? "。ほかの %llu 行は対象外です"
                          : s->other_lines == 1 ? "; %llu other line passed over"
                                                : "; %llu other lines passed over",
                          (unsigned long long)s->other_lines);
        }
        if (s->yearless_rows > 0) {
            bh_buf_printf(out,
                          ja ? "。年のない時刻は %d 年からとみなしました"
                             : "; times without a year begin in %d",
                          s->year);
            if (s->year_is_guess) {
                bh_buf_puts(out, ja ? " (ファイルの日付による。--input-year で指定)"
                                    : " (by the file's date; --input-year says another)");
            }
        }
        if (s->zoneless_rows > 0) {
            bh_buf_puts(out, zoneless[lang]);
        }
    }
    bh_error_set(&e, 0, r->options.files[0], "%s%.0s", "%.0s%s",
                 text[BH_EN].data == NULL ? "" : text[BH_EN].data,
                 text[BH_JA].data == NULL ? "" : text[BH_JA].data);
    add_note(r, &e);
    bh_buf_done(&text[BH_EN]);
    bh_buf_done(&text[BH_JA]);
}

/* What became of the rows: which columns were taken, which could not be used. */
static int
take_import_notes(struct run *x)
{
    struct bh_report *r = x->r;
    struct bh_import_stats s;
    struct bh_error e;
    bh_import_get_stats(x->feed.import, &s);
    r->import_rows = s.rows;
    r->import_bad_rows = s.bad_rows;
    r->import_other_lines = s.other_lines;
    if (r->trend != NULL) {
        r->trend->out_of_order = s.steps_back;
    }
    r->input_bytes = s.bytes;
    r->notes = calloc(4, sizeof *r->notes);
    if (r->notes == NULL) {
        return -ENOMEM;
    }
    if (!s.is_table || r->options.input_columns == NULL ||
        strstr(r->options.input_columns, "auto") != NULL) {
        say_form(r, &s);
    }
    if (s.bad_rows > 0) {
        bh_error_set(&e, BH_EFORMAT, s.bad_file, "%llu %s could not be used; the first: %s%.0s",
                     "%llu 行を取り込めませんでした%.0s。最初の行: %.0s%s",
                     (unsigned long long)s.bad_rows, s.bad_rows == 1 ? "row" : "rows",
                     s.bad_example, s.bad_example_ja);
        e.line = s.bad_line < UINT32_MAX ? (uint32_t)s.bad_line : 0;
        add_note(r, &e);
    }
    if (s.late_rows > 0) {
        bh_error_set(
            &e, BH_ELIMIT, r->options.files[0],
            "%llu rows stand more than %u rows behind their time; outcomes and gaps near them may be wrong",
            "%llu 行が本来の時刻の位置から %u 行以上遅れています。その前後の判定は誤っているかもしれません",
            (unsigned long long)s.late_rows, BH_IMPORT_WINDOW);
        add_note(r, &e);
    }
    if (s.damage.code != 0) {
        add_note(r, &s.damage);
        r->notes[r->note_count - 1].damaged = true;
    }
    return 0;
}

int
run_take_notes(struct run *x)
{
    struct bh_report *r = x->r;
    if (x->feed.import != NULL) {
        return take_import_notes(x);
    }
    if (x->feed.store != NULL) {
        return log_finish(x);
    }
    const struct bh_capture_note *notes;
    size_t n = bh_capture_notes(x->feed.capture, &notes);
    uint64_t done;
    bh_capture_progress(x->feed.capture, &r->input_bytes, &done);
    r->notes = calloc(n + 1, sizeof *r->notes);
    if (r->notes == NULL) {
        return -ENOMEM;
    }
    if (n > 0) { /* of none there is no list */
        memcpy(r->notes, notes, n * sizeof *notes);
    }
    r->note_count = n;
    return 0;
}

/* Nothing to make a report of, and a reason for it: that is what the user must hear. */
int
run_check_any(struct run *x)
{
    if (x->feed.any || x->feed.store != NULL) {
        return 0;
    }
    if (x->feed.import != NULL) {
        struct bh_import_stats s;
        bh_import_get_stats(x->feed.import, &s);
        if (s.bad_rows == 0 && s.other_lines == 0) {
            return 0;
        }
        if (s.bad_rows == 0) {
            return bh_error_set(x->err, BH_EFORMAT, x->o->files[0],
                                "none of the %llu lines is about a packet (read as %s%.0s)",
                                "パケットについての行が 1 つもありません (%llu 行、形式: %.0s%s)",
                                (unsigned long long)s.other_lines, s.form[BH_EN], s.form[BH_JA]);
        }
        bh_error_set(
            x->err, BH_EFORMAT, s.bad_file,
            s.is_table ? "none of the %llu rows can be used; the first: %s%.0s; see --input-columns"
                       : "none of the %llu rows can be used; the first: %s%.0s",
            s.is_table
                ? "使える行が 1 つもありません (%llu 行)。最初の行: %.0s%s。--input-columns を"
                  "ご確認ください"
                : "使える行が 1 つもありません (%llu 行)。最初の行: %.0s%s",
            (unsigned long long)s.bad_rows, s.bad_example, s.bad_example_ja);
        x->err->line = s.bad_line < UINT32_MAX ? (uint32_t)s.bad_line : 0;
        return BH_EFORMAT;
    }
    const struct bh_capture_note *notes;
    size_t n = bh_capture_notes(x->feed.capture, &notes);
    for (size_t i = 0; i < n; i++) {
        if (notes[i].damaged) {
            *x->err = notes[i].error;
            return x->err->code;
        }
    }
    return 0;
}

static int
prepare(struct run *x)
{
    int r = parse_options(x);
    r = r != 0 ? r : countries_open(&x->countries, x->o, x->r, x->err);
    r = r != 0 ? r : run_parse_filter(x);
    if (r != 0) {
        return r;
    }
    if (x->period.last_ns > 0) {
        int64_t newest;
        r = feed_newest(x->o, &newest, x->err);
        if (r != 0) {
            return r;
        }
        x->period.start_ns = newest == INT64_MIN ? 0 : newest - x->period.last_ns;
    }
    r = feed_open(&x->feed, x->o, x->err);
    if (r != 0) {
        return r;
    }
    if (x->feed.store != NULL) {
        r = log_find_home(x);
        r = r != 0 ? r : log_find_sensors(x);
        return r != 0 ? r : log_begin(x);
    }
    if (x->o->by_sensor) {
        return bh_error_set(
            x->err, BH_EUSAGE, "--by sensor",
            "is for packet logs, which say who wrote them; see beholder import --sensor",
            "はパケットログ用です (beholder import --sensor で記録元を付けられます)");
    }
    x->feed.decoder.want =
        (bh_filter_needs(countries_words(&x->countries)) & BH_FILTER_NEEDS_COLD) != 0 ||
                x->tally.list_sources
            ? BH_WANT_COLD
            : 0;
    return 0;
}

/* Of whole days out of roll-ups. */
static int
calculate_rolled(struct run *x)
{
    run_find_home_country(x);
    countries_places(&x->countries, x->places, x->o->by_region, x->r->home_country);
    int r = make_shards(x);
    r = r != 0 ? r : rolled_count(x);
    if (r == BH_ELIMIT || r == BH_EDAMAGED) {
        bh_track_free(x->shard[0].track);
        bh_tally_free(x->shard[0].tally);
        x->shard[0] = (struct shard){ 0 };
        x->tally.first = NULL;
        const bool again = x->r->plan.joined_rows > 0;
        rolled_done(x, r == BH_ELIMIT ? "differs" : "damaged");
        if (again) {
            x->avoid_joined = true;
            r = rolled_choose(x);
            if (r != 0 || x->rolled != NULL) {
                return r != 0 ? r : calculate_rolled(x);
            }
        }
        r = log_begin(x);
        return r != 0 ? r : 1;
    }
    r = r != 0 ? r : finish(x, 0);
    r = r != 0 ? r : run_take_notes(x);
    rolled_done(x, NULL);
    return r;
}

static int
calculate(struct run *x)
{
    int r = x->feed.store == NULL ? 0 : rolled_choose(x);
    if (r == 0 && x->rolled != NULL) {
        r = calculate_rolled(x);
        if (r <= 0) {
            return r;
        }
        r = 0;
    }
    r = r != 0 ? r : feed_read_ahead(&x->feed);
    if (r != 0) {
        return r;
    }
    r = run_check_any(x);
    if (r == 0 && x->feed.store == NULL) {
        r = run_find_home(x);
    }
    if (r != 0) {
        return r;
    }
    run_find_home_country(x);
    if (x->feed.store == NULL) { /* else it was said when the log was written */
        x->two_sided = run_find_two_sided(x);
    }
    if (x->feed.store == NULL) {
        x->expected = x->feed.capture != NULL ? bh_capture_expected_frames(x->feed.capture) : 0;
    }
    if (x->feed.ended) { /* all of it was read ahead */
        x->expected = x->feed.ahead_count * BH_BATCH_ROWS;
    }
    countries_places(&x->countries, x->places, x->o->by_region, x->r->home_country);
    r = choose_hold(x);
    r = r != 0 ? r : find_frequent(x);
    r = r != 0 ? r : make_shards(x);
    if (r != 0) {
        return r;
    }
    struct work w = { .feed = &x->feed,
                      .home = &x->r->home,
                      .shard = x->shard,
                      .shards = x->shards,
                      .hold = x->hold,
                      .decided = x->feed.decided };
    r = x->shards > 1 ? work_together(&w) : work_alone(&w);
    r = r != 0 ? r : work_settle(&w);
    r = r != 0 ? r : finish(x, w.calls_lost);
    if (x->feed.store != NULL) {
        rolled_say_read(x);
    }
    if (r == 0) { /* the store counted some of them instead of handing them out */
        x->r->trend->filter_unknown += x->r->plan.skipped.unknown;
    }
    return r != 0 ? r : run_take_notes(x);
}

static void
run_done(struct run *x)
{
    for (unsigned s = 0; s < SHARDS_MAX; s++) {
        bh_track_free(x->shard[s].track);
        bh_tally_free(x->shard[s].tally);
        bh_fragments_free(x->shard[s].fragments);
    }
    for (size_t i = 0; x->hold != NULL && i < HELD_MAX; i++) {
        bh_batch_free(x->hold->batch[i]);
    }
    free(x->hold);
    rolled_done(x, NULL);
    feed_close(&x->feed);
    bh_filter_judge_free(x->judge);
    countries_done(&x->countries);
    free(x->places);
}

static double
seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int
bh_report_run(const struct bh_report_options *o, struct bh_report **ret_report,
              struct bh_error *err)
{
    struct bh_error local = { 0 };
    struct run *x = calloc(1, sizeof *x);
    struct bh_report *rep = calloc(1, sizeof *rep);
    int r = -ENOMEM;
    if (x == NULL || rep == NULL) {
        bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
        free(x);
        free(rep);
        return r;
    }
    double start = seconds_now();
    x->o = o;
    x->r = rep;
    x->err = err != NULL ? err : &local;
    x->err->code = 0;
    rep->options = *o;
    x->served = rep->served = calloc(BH_SERVED_MAX, sizeof *rep->served);
    x->places = calloc(1, sizeof *x->places);
    if (x->served != NULL && x->places != NULL) {
        r = prepare(x);
        r = r != 0 ? r : calculate(x);
        r = r == 0 && o->anonymize != NULL ? report_hide(rep, o->anonymize, x->err) : r;
        r = r != 0 ? r : bh_report_remark(rep);
    }
    if (r != 0 && x->err->code == 0) {
        if (x->feed.error.code != 0) {
            *x->err = x->feed.error;
        } else {
            bh_error_errno(x->err, r < 0 && r > -2000 ? -r : EIO, "", "cannot finish the report",
                           "レポートを作成できません");
        }
    }
    run_done(x);
    free(x);
    rep->seconds = seconds_now() - start;
    if (r != 0) {
        bh_report_free(rep);
        return r;
    }
    *ret_report = rep;
    return 0;
}

void
bh_report_free(struct bh_report *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->remark_count; i++) {
        for (int lang = 0; lang < BH_LANGS; lang++) {
            free(r->remarks[i].text[lang]);
        }
    }
    free(r->remarks);
    free(r->notes);
    free(r->data);
    free(r->sensors);
    free(r->served);
    bh_trend_free(r->trend);
    free(r->plan.file);
    bh_home_done(&r->home);
    free(r);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses of a finished report replaced by anonymized ones (--anonymize). Countries, networks and
 * classes were found for the true addresses; here every place that holds one is visited, before
 * remarks are made of them and anything is written.
 */
#include "bh_report_priv.h"
#include "run_priv.h"

#include <errno.h>
#include <stdlib.h>

#define HIDDEN "***" /* words of a user, or rows of a log: they may name addresses */

static void
hide_ip(struct bh_anonymize *a, struct bh_ip *ip)
{
    *ip = bh_anonymize_ip(a, ip);
}

static void
hide_places(struct bh_anonymize *a, struct bh_trend_place *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hide_ip(a, &places[i].top_source);
    }
}

/* As lib/analysis orders them: by count, then by address. */
static int
compare_sources(const void *x, const void *y)
{
    const struct bh_trend_source *a = x, *b = y;
    return a->count != b->count ? (a->count > b->count ? -1 : 1) : bh_ip_cmp(&a->ip, &b->ip);
}

static void
hide_sources(struct bh_anonymize *a, struct bh_trend_source *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hide_ip(a, &sources[i].ip);
        sources[i].mac = 0;
    }
    if (count > 0) {
        qsort(sources, count, sizeof *sources, compare_sources);
    }
}

static void
hide_trend(struct bh_anonymize *a, struct bh_trend *t)
{
    hide_places(a, t->countries, t->country_count);
    hide_places(a, t->classes, t->class_count);
    hide_places(a, t->regions, t->region_count);
    hide_places(a, &t->home, 1);
    hide_sources(a, t->listed, t->listed_count);
    hide_sources(a, t->neighbours, t->neighbour_count);
    for (size_t i = 0; i < t->burst_count; i++) {
        hide_ip(a, &t->bursts[i].ip);
    }
}

/* "JP+198.51.100.0/24", "10.0.0.0/8,fd77::/64": words that are networks. */
static void
hide_words(struct bh_anonymize *a, char *text, size_t size)
{
    struct bh_buf out = { 0 };
    for (const char *at = text; *at != '\0';) {
        const size_t n = strcspn(at, ",+");
        const size_t before = out.len;
        char *word = strndup(at, n);
        if (word == NULL || !bh_anonymize_networks(a, word, &out)) {
            out.len = before;
            bh_buf_add(&out, at, n);
        }
        free(word);
        at += n;
        if (*at != '\0') {
            bh_buf_putc(&out, *at++);
        }
    }
    snprintf(text, size, "%s", out.failed ? HIDDEN : out.data == NULL ? "" : out.data);
    bh_buf_done(&out);
}

static int
hide_home(struct bh_anonymize *a, struct bh_home *h, struct bh_error *err)
{
    struct bh_buf networks = { 0 };
    struct bh_home other = { 0 };
    if (h->networks.len == 0) {
        return 0; /* a log without destinations */
    }
    int r =
        bh_anonymize_networks(a, h->networks.data, &networks) && !networks.failed ? 0 : BH_EFORMAT;
    r = r != 0 ? bh_error_set(err, r, "--anonymize", "cannot replace the addresses of home%s",
                              "自分側のアドレスを置き換えられません%s", "")
               : bh_home_parse(networks.data, &other, err);
    bh_buf_done(&networks);
    if (r == 0) {
        other.guessed = h->guessed;
        bh_home_done(h);
        *h = other;
    }
    return r;
}

int
report_hide(struct bh_report *r, struct bh_anonymize *a, struct bh_error *err)
{
    hide_trend(a, r->trend);
    for (size_t i = 0; i < r->sensor_count; i++) {
        hide_words(a, r->sensors[i].home, sizeof r->sensors[i].home);
    }
    for (size_t i = 0; i < r->trend->visit_count; i++) {
        /* it lies in r->served, which is the report's */
        struct bh_served *s = r->served;
        for (size_t k = 0; k < BH_SERVED_MAX; k++) {
            if (r->trend->visits[i].offered_to == s[k].offered_to) {
                hide_words(a, s[k].offered_to, sizeof s[k].offered_to);
            }
        }
    }
    hide_words(a, r->storage.home, sizeof r->storage.home);
    if (r->storage.filter[0] != '\0') {
        snprintf(r->storage.filter, sizeof r->storage.filter, HIDDEN);
    }
    if (r->filter_text[0] != '\0') {
        snprintf(r->filter_text, sizeof r->filter_text, HIDDEN);
    }
    for (size_t i = 0; i < r->note_count; i++) {
        struct bh_error *e = &r->notes[i].error;
        if (e->code == BH_EFORMAT && r->import_rows > 0) { /* it shows a row */
            bh_error_set(e, e->code, e->where, "%llu rows could not be used",
                         "%llu 行を取り込めませんでした", (unsigned long long)r->import_bad_rows);
        }
    }
    return hide_home(a, &r->home, err);
}

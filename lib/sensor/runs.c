/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs: what records mean from a moment on (struct plan_run). The parent plans one when it starts, and another when home,
 * the sensor's name or the country database has changed; capture and outputs see the number change.
 */
#include "sensor_priv.h"

#include <net/if.h>

static void
join_names(const struct sensor *s, char *to, size_t size)
{
    size_t n = 0;
    to[0] = '\0';
    for (size_t k = 0; k < bh_live_count(s->live) && n < size; k++) {
        n += (size_t)snprintf(to + n, size - n, "%s%s", k > 0 ? "," : "", bh_live_name(s->live, k));
    }
}

/* What records mean from now on. Capture sees the number change. */
int
runs_plan(struct sensor *s, const char *home, bool guessed, uint32_t countries,
          struct bh_error *err)
{
    const uint32_t number = atomic_load(&s->plan->run) + (s->home[0] != '\0');
    struct plan_run *p = &s->plan->runs[number % RUNS];
    struct bh_home h = { 0 };
    int r = bh_home_parse(home, &h, err);
    if (r == 0 && h.networks.len >= sizeof p->home) {
        r = bh_error_set(err, BH_ELIMIT, "--home",
                         "names too many networks for a log (%u octets of text)",
                         "のネットワークが多すぎてログに書けません (%u オクテットまで)",
                         (unsigned)sizeof p->home - 1);
    }
    if (r != 0) {
        bh_home_done(&h);
        return r;
    }
    *p = (struct plan_run){ .start_ns = sensor_time_ns(),
                            .home_guessed = guessed,
                            .countries = countries };
    snprintf(p->sensor, sizeof p->sensor, "%s", s->config->sensor != NULL ? s->config->sensor : "");
    snprintf(p->home, sizeof p->home, "%s", h.networks.data);
    join_names(s, p->source, sizeof p->source);
    for (int lang = 0; lang < BH_LANGS; lang++) {
        snprintf(p->home_text[lang], sizeof p->home_text[lang], "%s",
                 h.text[lang].data != NULL ? h.text[lang].data : "");
        bh_text_trim(p->home_text[lang]);
    }
    bh_home_done(&h);
    snprintf(s->home, sizeof s->home, "%s", home);
    atomic_store_explicit(&s->plan->run, number, memory_order_release);
    return 0;
}

int
runs_first(struct sensor *s, struct bh_error *err)
{
    char home[1024];
    bool any_there = false;
    if (s->config->home != NULL) {
        return runs_plan(s, s->config->home, false, 0, err);
    }
    home_of_interfaces(s, home, sizeof home);
    for (size_t k = 0; k < bh_live_count(s->live); k++) {
        any_there |= bh_live_is_up(s->live, k);
    }
    if (home[0] == '\0' && any_there) {
        return bh_error_set(
            err, BH_EUSAGE, bh_live_name(s->live, 0),
            "has no address: say what is watched with --home ADDR[/LEN],...",
            "にアドレスがありません。監視対象を --home アドレス[/長さ],... で指定してください");
    }
    return runs_plan(s, home[0] != '\0' ? home : NO_HOME, false, 0, err);
}

static void
say_state(const struct sensor *s, const char *name, bool up)
{
    if (!up && if_nametoindex(name) == 0) {
        sensor_say_plain(s, name, BH_SAY_WARNING,
                         "is not there; waiting for it (beholder interfaces lists those that are)",
                         "がありません。現れるまで待ちます (一覧は beholder interfaces)");
        return;
    }
    sensor_say_plain(s, name, BH_SAY_WARNING, up ? "is up" : "is down; waiting for it",
                     up ? "が使えるようになりました"
                        : "が停止しています。使えるようになるまで待ちます");
}

void
runs_look_at_interfaces(struct sensor *s, bool changed)
{
    if (changed) {
        bh_live_rebind(s->live);
        atomic_store_explicit(&s->plan->rings, bh_live_renewed(s->live), memory_order_release);
    }
    for (size_t k = 0; k < bh_live_count(s->live); k++) {
        const uint32_t up = bh_live_is_up(s->live, k);
        if (atomic_exchange(&s->plan->up[k], up) != up ? changed : !changed && up == 0) {
            say_state(s, bh_live_name(s->live, k), up != 0);
        }
    }
    char home[1024];
    struct bh_error err = { 0 };
    if (!changed || s->config->home != NULL) {
        return;
    }
    home_of_interfaces(s, home, sizeof home);
    if (home[0] != '\0' && strcmp(home, s->home) != 0) {
        const uint32_t countries = s->plan->runs[atomic_load(&s->plan->run) % RUNS].countries;
        if (runs_plan(s, home, false, countries, &err) != 0) {
            sensor_say(s, "beholder", BH_SAY_ERROR, &err);
        } else {
            bh_error_set(&err, 0, "", "home is now %s", "自分側が変わりました: %s", home);
            sensor_say(s, "beholder", BH_SAY_NOTE, &err);
        }
    }
}

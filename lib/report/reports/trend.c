/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The access-trend report by keys: every number once, in the order of MEANING.md 8
 * (docs/format/report.md). Keys are never left out; what is unknown is null, what is not there
 * is an empty list.
 */
#include "words_priv.h"

static void
walk_period(const struct bh_report *r, struct bh_walk *w)
{
    bh_walk_object(w, "period");
    bh_walk_time(w, "start", r->trend->start_ns);
    bh_walk_time(w, "end", r->trend->end_ns);
    bh_walk_text(w, "timezone", r->zone);
    bh_walk_object_end(w);
}

static void
walk_home(const struct bh_report *r, struct bh_walk *w)
{
    struct bh_buf from = { 0 };
    switch (r->home_country_from) {
    case BH_FROM_OPTION:
        bh_buf_puts(&from, "option");
        break;
    case BH_FROM_HOME_ADDRESS:
        bh_buf_puts(&from, "address");
        break;
    case BH_FROM_TIME_ZONE:
        bh_buf_printf(&from, "time zone %s: assumed", r->zone);
        break;
    case BH_FROM_NOTHING:
        break;
    }
    const struct bh_buf *text = &r->home.text[w->lang];
    bh_walk_object(w, "home");
    bh_walk_words(w, "networks", r->home.networks.data == NULL ? "" : r->home.networks.data);
    bh_walk_text_n(w, "text", text->data == NULL ? "" : text->data, text->len);
    bh_walk_bool(w, "guessed", r->home.guessed);
    bh_walk_text(w, "country", bh_has_home_country(r) ? r->home_country : NULL);
    bh_walk_text(w, "country_from", from.data);
    bh_walk_object_end(w);
    bh_buf_done(&from);
}

static void
walk_totals(const struct bh_trend *t, struct bh_walk *w)
{
    bh_walk_object(w, "totals");
    bh_walk_uint(w, "frames", t->frames);
    bh_walk_uint(w, "packets", t->packets);
    bh_walk_uint(w, "accesses", t->accesses);
    bh_walk_uint(w, "sources", t->sources);
    bh_walk_uint(w, "source_networks", t->source_networks);
    bh_walk_uint(w, "countries", t->countries_total);
    bh_walk_uint(w, "pings", t->pings);
    bh_walk_uint(w, "visits", t->visits_total);
    bh_walk_object_end(w);
}

/* ---- countries ----------------------------------------------------------------------------- */

static void
walk_meaning(struct bh_walk *w, const struct bh_meaning *m)
{
    bh_walk_object(w, "meaning");
    bh_walk_text(w, "purpose", m->purpose[w->lang]);
    bh_walk_words(w, "cve", m->cve);
    bh_walk_words(w, "kev", m->kev);
    bh_walk_text(w, "certainty", m->certainty);
    bh_walk_text(w, "source", m->source);
    bh_walk_text(w, "date", m->date);
    bh_walk_object_end(w);
}

void
bh_walk_port_keys(const struct bh_report *r, struct bh_walk *w, uint16_t port, uint8_t proto)
{
    struct bh_meaning m = { .service = "" };
    char name[8];
    bool known = bh_report_meaning(r, port, proto, &m);
    bh_walk_uint(w, "port", port);
    bh_walk_text(w, "proto", bh_proto_name(proto, name));
    bh_walk_text(w, "service", known ? m.service : "");
}

static void
walk_ports(const struct bh_report *r, struct bh_walk *w, const struct bh_trend_place *p)
{
    bh_walk_list(w, "ports");
    for (size_t i = 0; i < p->port_count; i++) {
        const struct bh_trend_port *port = &p->ports[i];
        struct bh_meaning m;
        bh_walk_object(w, NULL);
        bh_walk_port_keys(r, w, port->port, port->proto);
        bh_walk_uint(w, "count", port->count);
        bh_walk_micro(w, "share", bh_micro_share(port->count, p->count));
        bh_walk_uint(w, "sources", port->sources);
        if (bh_report_meaning(r, port->port, port->proto, &m)) {
            walk_meaning(w, &m);
        } else {
            bh_walk_null(w, "meaning");
        }
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
}

/* `rank` 0: none. */
static void
walk_country(const struct bh_report *r, struct bh_walk *w, const char *key, size_t rank,
             const struct bh_trend_place *p)
{
    bh_walk_object(w, key);
    if (rank > 0) {
        bh_walk_uint(w, "rank", rank);
    } else {
        bh_walk_null(w, "rank");
    }
    bh_walk_text(w, "code", p->place.code);
    bh_walk_text(w, "name", bh_place_words(&p->place, w->lang).s);
    bh_walk_uint(w, "count", p->count);
    bh_walk_micro(w, "share", bh_micro_share(p->count, r->trend->count_total));
    bh_walk_uint(w, "sources", p->sources);
    if (p->count > 0) {
        bh_walk_time(w, "first", p->first_ns);
        bh_walk_time(w, "last", p->last_ns);
    } else {
        bh_walk_null(w, "first");
        bh_walk_null(w, "last");
    }
    walk_ports(r, w, p);
    bh_walk_object_end(w);
}

static void
walk_countries(const struct bh_report *r, struct bh_walk *w)
{
    const struct bh_trend *t = r->trend;
    bh_walk_list(w, "countries");
    for (size_t i = 0; i < bh_listed_places(t); i++) {
        walk_country(r, w, NULL, i + 1, &t->countries[i]);
    }
    bh_walk_list_end(w);

    bh_walk_object(w, "others");
    bh_walk_uint(w, "countries", t->others_countries);
    bh_walk_uint(w, "count", t->others_count);
    bh_walk_object_end(w);

    if (bh_has_home_country(r)) {
        struct bh_trend_place home = t->home;
        if (home.place.code[0] == '\0') { /* nothing came from there */
            memcpy(home.place.code, r->home_country, sizeof r->home_country);
            home.place.kind = KOBOLD_COUNTRY;
        }
        walk_country(r, w, "home_country", 0, &home);
    } else {
        bh_walk_null(w, "home_country");
    }
}

static void
walk_no_country(const struct bh_trend *t, struct bh_walk *w)
{
    bh_walk_object(w, "no_country");
    bh_walk_uint(w, "count", t->no_country_count);
    bh_walk_list(w, "classes");
    for (size_t i = 0; i < t->class_count; i++) {
        const struct bh_trend_place *p = &t->classes[i];
        const char *name = p->place.class_name;
        if (name[0] == '\0') {
            name = p->place.kind == KOBOLD_UNALLOCATED ? "unallocated" : "unknown";
        }
        bh_walk_object(w, NULL);
        bh_walk_text(w, "class", name);
        bh_walk_text(w, "rfc", p->place.rfc);
        bh_walk_uint(w, "count", p->count);
        bh_walk_uint(w, "sources", p->sources);
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
    bh_walk_object_end(w);
}

static void
walk_crosstab(const struct bh_report *r, struct bh_walk *w)
{
    const struct bh_trend *t = r->trend;
    bh_walk_list(w, "crosstab");
    for (size_t i = 0; i < t->crosstab_count; i++) {
        const struct bh_trend_row *row = &t->crosstab[i];
        bh_walk_object(w, NULL);
        bh_walk_port_keys(r, w, row->port, row->proto);
        bh_walk_list(w, "countries");
        for (size_t c = 0; c < row->cell_count; c++) {
            bh_walk_object(w, NULL);
            bh_walk_text(w, "code", t->countries[row->cells[c].country].place.code);
            bh_walk_uint(w, "count", row->cells[c].count);
            bh_walk_bool(w, "top", row->cells[c].top);
            bh_walk_object_end(w);
        }
        bh_walk_list_end(w);
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
}

/* ---- time and places ----------------------------------------------------------------------- */

static void
walk_timeline(const struct bh_trend *t, struct bh_walk *w)
{
    bh_walk_list(w, "timeline");
    for (size_t i = 0; i < t->bin_count; i++) {
        bh_walk_object(w, NULL);
        bh_walk_time(w, "start", t->bins[i].start_ns);
        bh_walk_uint(w, "count", t->bins[i].count);
        bh_walk_uint(w, "sources", t->bins[i].sources);
        bh_walk_bool(w, "gap", t->bins[i].gap);
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
}

static void
walk_regions(const struct bh_trend *t, struct bh_walk *w)
{
    bh_walk_list(w, "regions");
    for (size_t i = 0; i < t->region_count; i++) {
        const struct bh_trend_place *p = &t->regions[i];
        bh_walk_object(w, NULL);
        bh_walk_text(w, "code", p->place.code);
        bh_walk_text(w, "name", bh_place_words(&p->place, w->lang).s);
        bh_walk_uint(w, "count", p->count);
        bh_walk_uint(w, "sources", p->sources);
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
}

static void
walk_networks(const struct bh_trend *t, struct bh_walk *w)
{
    bh_walk_list(w, "networks");
    for (size_t i = 0; i < t->network_count; i++) {
        const struct bh_trend_network *n = &t->networks[i];
        bh_walk_object(w, NULL);
        bh_walk_uint(w, "asn", n->asn);
        bh_walk_text(w, "name", n->name[0] == '\0' ? NULL : n->name);
        bh_walk_text(w, "country", n->code[0] == '\0' ? NULL : n->code);
        bh_walk_uint(w, "count", n->count);
        bh_walk_uint(w, "sources", n->sources);
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
}

static void
walk_outcomes_of(struct bh_walk *w, const struct bh_trend_place *p)
{
    for (size_t i = 0; i < p->port_count; i++) {
        const struct bh_trend_port *port = &p->ports[i];
        char name[8];
        if (port->proto != BH_PROTO_TCP) {
            continue;
        }
        bh_walk_object(w, NULL);
        bh_walk_text(w, "code", p->place.code);
        bh_walk_uint(w, "port", port->port);
        bh_walk_text(w, "proto", bh_proto_name(port->proto, name));
        for (unsigned o = BH_OUTCOME_COMPLETE; o < BH_OUTCOME_COUNT; o++) {
            bh_walk_uint(w, bh_outcome_name(o), port->outcomes[o]);
        }
        bh_walk_object_end(w);
    }
}

static void
walk_outcomes(const struct bh_trend *t, struct bh_walk *w)
{
    bh_walk_list(w, "outcomes");
    if (t->outcomes_known) {
        for (size_t i = 0; i < bh_listed_places(t); i++) {
            walk_outcomes_of(w, &t->countries[i]);
        }
        walk_outcomes_of(w, &t->home);
    }
    bh_walk_list_end(w);
}

/* ---- sensors ------------------------------------------------------------------------------- */

static void
walk_silences(const struct bh_report_sensor *s, struct bh_walk *w)
{
    bh_walk_list(w, "gaps");
    for (uint32_t i = 0; i < s->silence_count; i++) {
        bh_walk_object(w, NULL);
        bh_walk_time(w, "start", s->silence[i].start_ns);
        if (s->silence[i].end_ns == INT64_MAX) {
            bh_walk_null(w, "end");
        } else {
            bh_walk_time(w, "end", s->silence[i].end_ns);
        }
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
}

static void
walk_sensor(const struct bh_report *r, struct bh_walk *w, size_t rank)
{
    const struct bh_trend_sensor *x = &r->trend->sensors[rank];
    const struct bh_report_sensor *s = &r->sensors[x->number];
    bh_walk_object(w, NULL);
    bh_walk_uint(w, "rank", rank + 1);
    bh_walk_text(w, "sensor", s->name);
    bh_walk_words(w, "home", s->home);
    bh_walk_uint(w, "count", x->count);
    bh_walk_micro(w, "share", bh_micro_share(x->count, r->trend->count_total));
    bh_walk_uint(w, "accesses", x->accesses);
    bh_walk_uint(w, "sources", x->sources);
    bh_walk_uint(w, "records", x->records);
    if (x->first_ns <= x->last_ns) {
        bh_walk_time(w, "first", x->first_ns);
        bh_walk_time(w, "last", x->last_ns);
    } else {
        bh_walk_null(w, "first");
        bh_walk_null(w, "last");
    }
    bh_walk_list(w, "ports");
    for (size_t i = 0; i < x->port_count; i++) {
        bh_walk_object(w, NULL);
        bh_walk_port_keys(r, w, x->ports[i].port, x->ports[i].proto);
        bh_walk_uint(w, "count", x->ports[i].count);
        bh_walk_micro(w, "share", bh_micro_share(x->ports[i].count, x->count));
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
    walk_silences(s, w);
    bh_walk_object_end(w);
}

static void
walk_sensors(const struct bh_report *r, struct bh_walk *w)
{
    const struct bh_trend *t = r->trend;
    bh_walk_list(w, "sensors");
    for (size_t i = 0; i < t->sensor_count; i++) {
        walk_sensor(r, w, i);
    }
    bh_walk_list_end(w);
    bh_walk_list(w, "sensor_ports");
    for (size_t i = 0; i < t->sensor_port_count; i++) {
        const struct bh_trend_row *row = &t->sensor_ports[i];
        bh_walk_object(w, NULL);
        bh_walk_port_keys(r, w, row->port, row->proto);
        bh_walk_list(w, "sensors");
        for (size_t c = 0; c < row->cell_count; c++) {
            bh_walk_object(w, NULL);
            bh_walk_text(w, "sensor", r->sensors[t->sensors[row->cells[c].country].number].name);
            bh_walk_uint(w, "count", row->cells[c].count);
            bh_walk_bool(w, "top", row->cells[c].top);
            bh_walk_object_end(w);
        }
        bh_walk_list_end(w);
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
}

/* ---- visits and sources -------------------------------------------------------------------- */

static void
walk_visits(const struct bh_trend *t, struct bh_walk *w)
{
    bh_walk_list(w, "visits");
    for (size_t i = 0; i < t->visit_count; i++) {
        const struct bh_trend_visit *v = &t->visits[i];
        char name[8];
        bh_walk_object(w, NULL);
        bh_walk_uint(w, "port", v->port);
        bh_walk_text(w, "proto", bh_proto_name(v->proto, name));
        bh_walk_text(w, "offered_to", v->offered_to == NULL ? "" : v->offered_to);
        bh_walk_uint(w, "count", v->count);
        bh_walk_uint(w, "sources", v->sources);
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
}

static void
walk_sources(const struct bh_trend *t, struct bh_walk *w)
{
    bh_walk_list(w, "sources");
    for (size_t i = 0; i < t->listed_count; i++) {
        const struct bh_trend_source *s = &t->listed[i];
        bh_walk_object(w, NULL);
        bh_walk_text(w, "address", bh_ip_words(&s->ip).s);
        bh_walk_text(w, "country", s->code[0] == '\0' ? NULL : s->code);
        bh_walk_uint(w, "count", s->count);
        bh_walk_time(w, "first", s->first_ns);
        bh_walk_time(w, "last", s->last_ns);
        bh_walk_bool(w, "same_network", s->same_network);
        bh_walk_null(w, "local_mac_vendor"); /* no vendor data yet */
        bh_walk_text(w, "local_mac", s->mac == 0 ? NULL : bh_mac_words(s->mac).s);
        bh_walk_text(w, "class", s->class_name[0] == '\0' ? NULL : s->class_name);
        bh_walk_uint(w, "ports", s->ports);
        if (s->asn != 0) {
            bh_walk_uint(w, "asn", s->asn);
        } else if (t->has_networks) {
            bh_walk_null(w, "asn");
        }
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
}

void
bh_walk_trend(const struct bh_report *r, struct bh_walk *w)
{
    static const char *const counts[] = { "accesses", "sources", "packets", "bytes" };
    const struct bh_trend *t = r->trend;
    bh_walk_object(w, NULL);
    bh_walk_text(w, "schema", "beholder.report/1");
    walk_period(r, w);
    walk_home(r, w);
    bh_walk_text(w, "count", counts[(unsigned)t->count % BH_COUNT(counts)]);
    walk_totals(t, w);
    walk_countries(r, w);
    walk_no_country(t, w);
    walk_crosstab(r, w);
    walk_timeline(t, w);
    walk_regions(t, w);
    walk_networks(t, w);
    walk_sensors(r, w);
    walk_outcomes(t, w);
    bh_walk_object(w, "pings");
    bh_walk_uint(w, "count", t->pings);
    bh_walk_uint(w, "sources", t->ping_sources);
    bh_walk_uint(w, "then_accessed", t->ping_then_accessed);
    bh_walk_object_end(w);
    bh_walk_not_accesses(t, w);
    walk_visits(t, w);
    walk_sources(t, w);
    bh_walk_remarks(r, w);
    bh_walk_health(r, w);
    bh_walk_object_end(w);
}

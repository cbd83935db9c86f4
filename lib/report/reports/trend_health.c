/* SPDX-License-Identifier: BSD-2-Clause */
/* The tail of the walk by keys: what was no access, remarks, health, the country data. */
#include "words_priv.h"

#include <math.h>

/* The classes of `not_accesses`: the first nine always, the rest when there were any. */
static const struct {
    enum bh_class cls;
    bool always;
} not_accesses[] = {
    { BH_CLASS_ARP, true },
    { BH_CLASS_ICMP_ECHO_REQUEST, true },
    { BH_CLASS_ICMP_ECHO_REPLY_SENT, true },
    { BH_CLASS_ICMP_UNREACHABLE_SENT, true },
    { BH_CLASS_TCP_BACKSCATTER, true },
    { BH_CLASS_TCP_NULL_SCAN, true },
    { BH_CLASS_TCP_FIN_SCAN, true },
    { BH_CLASS_TCP_XMAS_SCAN, true },
    { BH_CLASS_TCP_ACK_SCAN, true },
    { BH_CLASS_UDP_BACKSCATTER, false },
    { BH_CLASS_ICMP_BACKSCATTER, false },
    { BH_CLASS_TCP_ODD_FLAGS, false },
    { BH_CLASS_TCP_STRAY, false },
    { BH_CLASS_UDP_ANSWER, false },
    { BH_CLASS_FRAGMENT, false },
    { BH_CLASS_CUT, false },
    { BH_CLASS_NEIGHBOUR_DISCOVERY, false },
    { BH_CLASS_OTHER_PROTOCOL, false },
    { BH_CLASS_ICMP_OTHER, false },
};

void
bh_walk_not_accesses(const struct bh_trend *t, struct bh_walk *w)
{
    bh_walk_object(w, "not_accesses");
    for (size_t i = 0; i < BH_COUNT(not_accesses); i++) {
        enum bh_class cls = not_accesses[i].cls;
        if (not_accesses[i].always || t->not_accesses[cls] > 0) {
            bh_walk_uint(w, bh_class_name(cls), t->not_accesses[cls]);
        }
    }
    bh_walk_object_end(w);
}

size_t
bh_not_access_classes(enum bh_class *ret_classes, size_t max)
{
    size_t n = 0;
    for (; n < BH_COUNT(not_accesses) && n < max; n++) {
        ret_classes[n] = not_accesses[n].cls;
    }
    return n;
}

static void
walk_number(struct bh_walk *w, const char *key, double value)
{
    if (!isfinite(value)) {
        bh_walk_null(w, key);
        return;
    }
    w->item(w, key, &(struct bh_item){ .type = BH_ITEM_REAL, .real = value });
}

void
bh_walk_remarks(const struct bh_report *r, struct bh_walk *w)
{
    bh_walk_list(w, "remarks");
    for (size_t i = 0; i < r->remark_count; i++) {
        const struct bh_remark *m = &r->remarks[i];
        bh_walk_object(w, NULL);
        bh_walk_text(w, "id", m->id);
        bh_walk_text(w, "kind", m->kind);
        bh_walk_list(w, "countries");
        for (size_t c = 0; c < m->country_count; c++) {
            bh_walk_text(w, NULL, m->countries[c]);
        }
        bh_walk_list_end(w);
        bh_walk_list(w, "ports");
        for (size_t p = 0; p < m->port_count; p++) {
            bh_walk_text(w, NULL, bh_port_text(m->ports[p].port, m->ports[p].proto).s);
        }
        bh_walk_list_end(w);
        bh_walk_object(w, "numbers");
        for (size_t n = 0; n < m->number_count; n++) {
            walk_number(w, m->numbers[n].name, m->numbers[n].value);
        }
        bh_walk_object_end(w);
        bh_walk_text(w, "text", m->text[w->lang]);
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
}

/* ---- health -------------------------------------------------------------------------------- */

static void
walk_layers(const struct bh_trend *t, struct bh_walk *w)
{
    static const char *const names[BH_LAYER_COUNT] = { "ipv4",  "ipv6", "tcp",  "udp",     "icmp",
                                                       "icmp6", "arp",  "vlan", "syn_only" };
    bh_walk_object(w, "layers");
    for (size_t i = 0; i < BH_LAYER_COUNT; i++) {
        bh_walk_uint(w, names[i], t->layers[i]);
    }
    bh_walk_uint(w, "sources", t->layer_sources);
    bh_walk_uint(w, "dst_ports", t->layer_dst_ports);
    bh_walk_object_end(w);
}

static void
walk_damage(const struct bh_trend *t, struct bh_walk *w)
{
    bh_walk_object(w, "truncated");
    bh_walk_uint(w, "frames", t->cut_frames);
    bh_walk_uint(w, "headers", t->cut_headers);
    bh_walk_object_end(w);
    for (int decoded = 1; decoded >= 0; decoded--) {
        bh_walk_object(w, decoded == 1 ? "malformed" : "not_decoded");
        for (unsigned i = BH_REASON_NONE + 1; i < BH_REASON_COUNT; i++) {
            if (t->malformed[i] > 0 && bh_reason_is_damage(i) == (decoded == 1)) {
                bh_walk_uint(w, bh_reason_name(i), t->malformed[i]);
            }
        }
        bh_walk_object_end(w);
    }
}

static void
walk_gaps(const struct bh_trend *t, struct bh_walk *w)
{
    bh_walk_list(w, "gaps");
    for (size_t i = 0; i < t->gap_count; i++) {
        bh_walk_object(w, NULL);
        bh_walk_time(w, "start", t->gaps[i].start_ns);
        bh_walk_time(w, "end", t->gaps[i].end_ns);
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
}

static void
walk_bound(struct bh_walk *w, const char *bound, uint64_t count)
{
    if (count > 0) {
        bh_walk_object(w, NULL);
        bh_walk_text(w, "bound", bound);
        bh_walk_uint(w, "count", count);
        bh_walk_object_end(w);
    }
}

static void
walk_bounds(const struct bh_trend *t, struct bh_walk *w)
{
    bh_walk_list(w, "bounds_reached");
    walk_bound(w, "connections", t->bounds.flows_lost);
    walk_bound(w, "conversations", t->bounds.conversations_lost);
    walk_bound(w, "repeats", t->bounds.repeats_lost);
    walk_bound(w, "held_records", t->bounds.held_early);
    walk_bound(w, "sources", t->sources_over);
    walk_bound(w, "pairs", t->pairs_over);
    walk_bound(w, "places", t->places_over);
    walk_bound(w, "time_bins", t->bins_over);
    walk_bound(w, "memory", t->memory_over);
    bh_walk_list_end(w);
}

static const char *
note_file(const struct bh_report *r, const struct bh_capture_note *n)
{
    return n->file < r->options.file_count ? r->options.files[n->file] : n->error.where;
}

static void
walk_notes(const struct bh_report *r, struct bh_walk *w)
{
    bh_walk_list(w, "notes");
    for (size_t i = 0; i < r->note_count; i++) {
        const struct bh_capture_note *n = &r->notes[i];
        bh_walk_object(w, NULL);
        bh_walk_text(w, "file", note_file(r, n));
        bh_walk_bool(w, "damaged", n->damaged);
        if (n->error.has_offset) {
            bh_walk_uint(w, "offset", n->error.offset);
        } else {
            bh_walk_null(w, "offset");
        }
        if (n->error.line > 0) {
            bh_walk_uint(w, "line", n->error.line);
        } else {
            bh_walk_null(w, "line");
        }
        bh_walk_text(w, "text", n->error.text[w->lang]);
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
}

static void
walk_one_data(const struct kobold_meta *m, uint32_t share_micro, struct bh_walk *w)
{
    bh_walk_object(w, NULL);
    bh_walk_text(w, "name", m->name);
    bh_walk_text(w, "date", m->date);
    bh_walk_text(w, "licence", m->licence);
    bh_walk_micro(w, "share", share_micro);
    bh_walk_object_end(w);
}

static void
walk_country_data(const struct bh_report *r, struct bh_walk *w)
{
    bh_walk_list(w, "country_data");
    if (r->data_count == 0 && r->country_data.name[0] != '\0') {
        walk_one_data(&r->country_data, 1000000, w);
    }
    for (size_t i = 0; i < r->data_count; i++) {
        walk_one_data(&r->data[i].meta, r->data[i].share_micro, w);
    }
    bh_walk_list_end(w);
}

/* Of a packet log; of files an empty object. */
/* What a sensor lost on the way to its log; the sums are of all of the log. */
static void
walk_losses(const struct bh_report_storage *g, struct bh_walk *w)
{
    bh_walk_uint(w, "own", g->own);
    bh_walk_object(w, "lost");
    for (unsigned k = 0; k < BH_STORE_LOST_DOWN; k++) {
        bh_walk_uint(w, bh_store_cause_name(k), g->lost[k]);
    }
    bh_walk_object_end(w);
    bh_walk_list(w, "gaps");
    for (size_t k = 0; k < g->gap_count; k++) {
        bh_walk_object(w, NULL);
        bh_walk_time(w, "start", g->gap[k].start_ns);
        bh_walk_time(w, "end", g->gap[k].end_ns);
        bh_walk_uint(w, "packets", g->gap[k].packets);
        bh_walk_text(w, "cause", bh_store_cause_name(g->gap[k].cause));
        bh_walk_object_end(w);
    }
    bh_walk_list_end(w);
}

static void
walk_storage(const struct bh_report *r, struct bh_walk *w)
{
    const struct bh_report_storage *g = &r->storage;
    bh_walk_object(w, "storage");
    if (g->is_log) {
        bh_walk_uint(w, "records", g->records);
        bh_walk_uint(w, "bytes", g->bytes);
        bh_walk_uint(w, "segments", g->segments);
        bh_walk_uint(w, "runs", g->runs);
        bh_walk_text(w, "profile", g->lean ? "lean" : "full");
        bh_walk_text(w, "filter", g->filter);
        bh_walk_bool(w, "filter_of_all", g->filter[0] != '\0' && g->filter_of_all);
        bh_walk_words(w, "home", g->home);
        bh_walk_bool(w, "judged_again", g->judged_again);
        bh_walk_uint(w, "damaged_blocks", g->damaged_blocks);
        bh_walk_uint(w, "lost_records", g->lost_records);
        bh_walk_uint(w, "torn_bytes", g->torn_bytes);
        walk_losses(g, w);
    }
    bh_walk_object_end(w);
}

void
bh_walk_health(const struct bh_report *r, struct bh_walk *w)
{
    const struct bh_trend *t = r->trend;
    bh_walk_object(w, "health");
    walk_layers(t, w);
    walk_damage(t, w);
    walk_gaps(t, w);
    bh_walk_uint(w, "duplicates", t->duplicates);
    walk_bounds(t, w);
    walk_storage(r, w);
    bh_walk_uint(w, "frames_bad_time", t->bad_time);
    bh_walk_uint(w, "out_of_order", t->out_of_order);
    bh_walk_uint(w, "filter_unknown", t->filter_unknown);
    bh_walk_uint(w, "import_rows", r->import_rows);
    bh_walk_uint(w, "import_bad_rows", r->import_bad_rows);
    bh_walk_uint(w, "import_other_lines", r->import_other_lines);
    walk_notes(r, w);
    bh_walk_object_end(w);
    walk_country_data(r, w);
    bh_walk_bool(w, "approximate", t->approximate);
    if (t->approximate) {
        walk_number(w, "approximate_error", t->approximate_error);
    } else {
        bh_walk_null(w, "approximate_error");
    }
    bh_walk_text(w, "filter", r->filter_text);
    bh_walk_text(w, "language", w->lang == BH_JA ? "ja" : "en");
}

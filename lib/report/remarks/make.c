/* SPDX-License-Identifier: BSD-2-Clause */
/* Making remarks, and what several kinds look at. */
#include "remarks_priv.h"

#include <stdlib.h>

struct bh_remark *
bh_remark_new(struct bh_remark_set *s, const char *kind, const char *subject, double weight,
              bool general)
{
    if (s->count == s->cap) {
        size_t cap = s->cap == 0 ? 32 : s->cap * 2;
        struct bh_weighed *items = realloc(s->items, bh_size_mul(cap, sizeof *items));
        if (items == NULL) {
            s->failed = true;
            return NULL;
        }
        s->items = items;
        s->cap = cap;
    }
    struct bh_weighed *w = &s->items[s->count];
    *w = (struct bh_weighed){ .weight = weight, .order = s->count };
    s->count++;
    struct bh_remark *m = &w->remark;
    m->general = general;
    snprintf(m->kind, sizeof m->kind, "%s", kind);
    struct bh_buf id = { 0 };
    bh_buf_printf(&id, "%s%s%s", kind, subject[0] == '\0' ? "" : ":", subject);
    snprintf(m->id, sizeof m->id, "%s", id.data == NULL ? kind : id.data);
    bh_buf_done(&id);
    return m;
}

void
bh_remark_country(struct bh_remark *m, const char *code)
{
    if (m != NULL && m->country_count < BH_COUNT(m->countries)) {
        snprintf(m->countries[m->country_count++], sizeof m->countries[0], "%.3s", code);
    }
}

void
bh_remark_port(struct bh_remark *m, const struct bh_trend_port *port)
{
    if (m != NULL && m->port_count < BH_COUNT(m->ports)) {
        m->ports[m->port_count].port = port->port;
        m->ports[m->port_count].proto = port->proto;
        m->port_count++;
    }
}

void
bh_remark_number(struct bh_remark *m, const char *name, double value)
{
    if (m != NULL && m->number_count < BH_COUNT(m->numbers)) {
        snprintf(m->numbers[m->number_count].name, sizeof m->numbers[0].name, "%s", name);
        m->numbers[m->number_count++].value = value;
    }
}

void
bh_remark_share(struct bh_remark *m, const char *name, uint64_t part, uint64_t whole)
{
    bh_remark_number(m, name, (double)bh_micro_share(part, whole) / 1e6);
}

void
bh_remark_text(struct bh_remark_set *s, struct bh_remark *m, enum bh_lang lang, enum bh_word_id id,
               const char *const *args, size_t count)
{
    struct bh_buf text = { 0 };
    if (m == NULL) {
        return;
    }
    bh_say_rows(&text, s->trend, bh_word(id, lang), args, count);
    if (text.failed) {
        s->failed = true;
        bh_buf_done(&text);
        return;
    }
    if (text.len > 4 && strncmp(text.data, "the ", 4) == 0) {
        text.data[0] = 'T';
    }
    m->text[lang] = text.data;
}

/* ---- looking at places --------------------------------------------------------------------- */

bool
bh_same_port(const struct bh_trend_port *a, const struct bh_trend_port *b)
{
    return a->port == b->port && a->proto == b->proto;
}

int
bh_port_rank(const struct bh_trend_place *p, const struct bh_trend_port *port)
{
    for (size_t i = 0; i < p->port_count; i++) {
        if (bh_same_port(&p->ports[i], port)) {
            return (int)i;
        }
    }
    return -1;
}

uint64_t
bh_top_sum(const struct bh_trend_place *p)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < p->port_count; i++) {
        sum += p->ports[i].count;
    }
    return sum;
}

size_t
bh_all_ports(const struct bh_remark_set *s, struct bh_trend_port *ret_ports, size_t max)
{
    size_t count = 0;
    for (size_t c = 0; c < s->listed; c++) {
        const struct bh_trend_place *p = bh_listed_place(s, c);
        for (size_t i = 0; i < p->port_count; i++) {
            size_t at = 0;
            while (at < count && !bh_same_port(&ret_ports[at], &p->ports[i])) {
                at++;
            }
            if (at == max) {
                continue;
            }
            if (at == count) {
                ret_ports[count++] =
                    (struct bh_trend_port){ .port = p->ports[i].port, .proto = p->ports[i].proto };
            }
            ret_ports[at].count += p->ports[i].count;
            ret_ports[at].sources++;
        }
    }
    return count;
}

/* ---- words --------------------------------------------------------------------------------- */

struct bh_short
bh_trend_port_words(const struct bh_remark_set *s, const struct bh_trend_port *p)
{
    return bh_port_words(s->report, p->port, p->proto);
}

/* Whole entries only: what no longer fits is left out. */
static void
add_to(struct bh_listing *l, const char *join, const char *text)
{
    size_t used = strlen(l->s);
    size_t join_len = strlen(join);
    size_t len = strlen(text);
    if (used + join_len + len < sizeof l->s) {
        memcpy(l->s + used, join, join_len);
        memcpy(l->s + used + join_len, text, len + 1);
    }
}

struct bh_listing
bh_list_ports(const struct bh_remark_set *s, const struct bh_trend_port *ports, size_t count,
              enum bh_lang lang)
{
    struct bh_listing l = { "" };
    for (size_t i = 0; i < count; i++) {
        add_to(&l, bh_join_word(i, count, lang), bh_trend_port_words(s, &ports[i]).s);
    }
    return l;
}

struct bh_listing
bh_list_places(const struct bh_trend_place *const *places, size_t count, enum bh_lang lang)
{
    struct bh_listing l = { "" };
    for (size_t i = 0; i < count; i++) {
        add_to(&l, bh_join_word(i, count, lang), bh_place_in_text(&places[i]->place, lang).s);
    }
    return l;
}

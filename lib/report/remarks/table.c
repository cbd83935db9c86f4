/* SPDX-License-Identifier: BSD-2-Clause */
/* The kinds of remarks there are, and how a report gets its own. */
#include "remarks_priv.h"

#include <errno.h>
#include <stdlib.h>

static bh_remark_fn *const kinds[] = {
    bh_remark_first_in_list,  bh_remark_first_port_differs,
    bh_remark_new_port,       bh_remark_same_ports,
    bh_remark_only_country,   bh_remark_dominance,
    bh_remark_highest_shares, bh_remark_wanted_by_half,
    bh_remark_targets,        bh_remark_home_dominance,
    bh_remark_home_ports,     bh_remark_few_sources,
    bh_remark_nearly_equal,   bh_remark_gaps,
    bh_remark_bursts,
};

static int
heaviest_first(const void *a, const void *b)
{
    const struct bh_weighed *x = a;
    const struct bh_weighed *y = b;
    if (x->weight > y->weight || x->weight < y->weight) {
        return x->weight > y->weight ? -1 : 1;
    }
    return (x->order > y->order) - (x->order < y->order);
}

static void
drop_texts(struct bh_remark *m)
{
    for (int lang = 0; lang < BH_LANGS; lang++) {
        free(m->text[lang]);
        m->text[lang] = NULL;
    }
}

static int
keep(struct bh_report *r, const struct bh_remark_set *s)
{
    struct bh_remark *kept = NULL;
    if (s->count > 0) {
        kept = calloc(s->count, sizeof *kept);
        if (kept == NULL) {
            return -ENOMEM;
        }
    }
    for (size_t i = 0; i < s->count; i++) {
        kept[i] = s->items[i].remark;
    }
    for (size_t i = 0; i < r->remark_count; i++) {
        drop_texts(&r->remarks[i]);
    }
    free(r->remarks);
    r->remarks = kept;
    r->remark_count = s->count;
    return 0;
}

int
bh_report_remark(struct bh_report *r)
{
    struct bh_remark_set s = { .report = r,
                               .trend = r->trend,
                               .listed = bh_listed_places(r->trend) };
    for (size_t i = 0; i < BH_COUNT(kinds) && !s.failed; i++) {
        kinds[i](&s);
    }
    int result = s.failed ? -ENOMEM : 0;
    if (result == 0) {
        if (s.count > 0) {
            qsort(s.items, s.count, sizeof *s.items, heaviest_first);
        }
        result = keep(r, &s);
    }
    for (size_t i = 0; i < s.count && result < 0; i++) {
        drop_texts(&s.items[i].remark);
    }
    free(s.items);
    return result;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder count: how many, by anything. */
#include "beholder.h"

#include <errno.h>

#include "bh_count.h"
#include "beholder_count_command.h"

struct counting {
    struct asked_records *q;
    struct bh_count_key keys[BH_COUNT_KEYS];
    struct bh_count_config cfg;
    struct bh_question asked;
    struct bh_count *count;
    struct bh_buf out;
};

static int
count_begin(void *arg, const struct bh_records *r)
{
    struct counting *x = arg;
    struct bh_error err = { 0 };
    x->cfg.countries = r->countries;
    bh_count_free(x->count); /* of a first try */
    x->count = NULL;
    return bh_count_new(&x->cfg, &x->count, &err);
}

static int
count_batch(void *arg, struct bh_batch *b)
{
    struct counting *x = arg;
    int r = bh_count_batch(x->count, b);
    return r != 0 ? r : program_is_interrupted() ? 1 : 0;
}

static int
count_sums(void *arg, struct bh_batch *b)
{
    struct counting *x = arg;
    return bh_count_sums(x->count, b);
}

static unsigned
place_in(const char *word, const char *const *words, size_t count)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0) {
            return i;
        }
    }
    return 0;
}

static bool
is_by_key(const struct counting *x)
{
    const char *sort = bh_arg(x->q->args, "sort");
    return strcmp(sort, "key") == 0 ||
           (strcmp(sort, "auto") == 0 && x->keys[0].column.type == BH_TYPE_TIME);
}

/* The input is still open: names come from its country data. */
static int
count_end(void *arg, const struct bh_records *r)
{
    struct counting *x = arg;
    static const char *const forms[] = { "text", "json", "ndjson", "csv", "md", "html" };
    struct bh_buf home = { 0 };
    const char *networks = r->home->networks.data;
    if (program_is_interrupted()) {
        return 0;
    }
    if (x->q->anonymize != NULL && networks != NULL) {
        networks = bh_anonymize_networks(x->q->anonymize, networks, &home) ? home.data : NULL;
    }
    struct bh_count_answer a = {
        .form = (enum bh_count_form)place_in(bh_arg(x->q->args, "output"), forms, BH_COUNT(forms)),
        .top = bh_arg_uint(x->q->args, "top"),
        .by_key = is_by_key(x),
        .home = networks,
        .filter = x->q->anonymize == NULL ? r->filter_text : "", /* its words may be addresses */
        .zone = r->zone,
        .data_name = r->country_data->name,
        .data_date = r->country_data->date,
        .start_ns = r->period.start_ns,
        .end_ns = r->period.end_ns,
    };
    bh_count_span(x->count, r->sums_first_ns, r->sums_last_ns);
    bh_count_write(x->count, &a, &x->out);
    bh_buf_done(&home);
    bh_count_free(x->count);
    x->count = NULL;
    return 0;
}

static int
count(struct asked_records *q)
{
    static const char *const whats[] = { "accesses", "sources", "packets", "bytes", "records" };
    struct counting x = { .q = q };
    struct bh_error err = { 0 };
    struct bh_records records = { 0 };
    struct bh_records_config cfg = { .begin = count_begin,
                                     .sums = count_sums,
                                     .batch = count_batch,
                                     .end = count_end,
                                     .asked = &x.asked,
                                     .arg = &x };
    int code = 0;
    x.cfg = (struct bh_count_config){ .keys = x.keys,
                                      .what = (enum bh_counted)place_in(bh_arg(q->args, "count"),
                                                                        whats, BH_COUNT(whats)),
                                      .lang = q->lang,
                                      .anonymize = q->anonymize };
    int r = bh_count_keys("--by", bh_arg(q->args, "by"), x.keys, &x.cfg.key_count, &err);
    cfg.without_times = true;
    for (size_t k = 0; k < x.cfg.key_count; k++) {
        cfg.without_times &= x.keys[k].column.type != BH_TYPE_TIME;
    }
    if (r == 0) {
        bh_count_question(&x.cfg, &x.asked);
    }
    r = r != 0 ? r : program_read_records(q, &cfg, bh_count_needs(&x.cfg), &records, &code, &err);
    bh_count_free(x.count);
    if (r == 0 && !program_is_interrupted()) {
        r = program_write(&x.out, &err);
    }
    bh_buf_done(&x.out);
    bh_records_done(&records);
    return r == -EPIPE ? 1 : r != 0 ? program_fail(&err, q->lang) : code;
}

int
verb_count(int argc, char **argv)
{
    return program_records(argc, argv, &beholder_count_command, count);
}

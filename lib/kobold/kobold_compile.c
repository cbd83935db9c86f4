/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_compile.c - the builder: inputs in, layers over one another, the database out.
 */
#include "kobold_compile_priv.h"

#include <errno.h>
#include <stdlib.h>

static const char *const format_names[] = {
    [KOBOLD_FORMAT_AUTO] = "auto",   [KOBOLD_FORMAT_RIR] = "rir",
    [KOBOLD_FORMAT_RANGE] = "range", [KOBOLD_FORMAT_PREFIX] = "prefix",
    [KOBOLD_FORMAT_LIST] = "list",   [KOBOLD_FORMAT_IANA] = "iana",
    [KOBOLD_FORMAT_MMDB] = "mmdb",
};

const char *
kobold_format_name(enum kobold_format format)
{
    return (unsigned)format < BH_COUNT(format_names) ? format_names[format] : NULL;
}

int
kobold_format_of_name(const char *name)
{
    for (size_t i = 0; i < BH_COUNT(format_names); i++) {
        if (strcmp(format_names[i], name) == 0) {
            return (int)i;
        }
    }
    return BH_EUNKNOWN;
}

kobold_build *
kobold_build_new(void)
{
    return calloc(1, sizeof(kobold_build));
}

static void
source_free(struct kobold_source *s)
{
    if (s != NULL) {
        for (int f = 0; f < 2; f++) {
            ranges_done(&s->ranges[f]);
            ranges_done(&s->notes[f]);
        }
        free(s);
    }
}

void
kobold_build_free(kobold_build *b)
{
    if (b == NULL) {
        return;
    }
    for (size_t i = 0; i < b->source_count; i++) {
        source_free(b->sources[i]);
    }
    as_done(&b->as);
    for (size_t i = 0; i < b->kept_count; i++) {
        free(b->kept[i]);
    }
    free((void *)b->kept);
    free(b->specials);
    free((void *)b->sources);
    free(b->pairs);
    free(b);
}

void
kobold_build_on_notice(kobold_build *b, void (*notice)(void *arg, const struct bh_error *e),
                       void *arg)
{
    b->notice = notice;
    b->notice_arg = arg;
}

int
kobold_build_add(kobold_build *b, const char *name, const char *text, size_t size,
                 enum kobold_format format, enum kobold_layer layer, struct kobold_input *ret_input,
                 struct bh_error *err)
{
    if (b->source_count == KOBOLD_SOURCES_MAX) {
        return bh_error_set(err, BH_ELIMIT, name, "more than %d inputs", "入力は%d個までです",
                            KOBOLD_SOURCES_MAX);
    }
    void *list = realloc((void *)b->sources, (b->source_count + 1) * sizeof *b->sources);
    if (list == NULL) {
        return out_of_memory(err);
    }
    b->sources = list;
    struct kobold_source *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return out_of_memory(err);
    }
    snprintf(s->name, sizeof s->name, "%s", name);
    s->layer = layer;
    int r = text_parse(b, s, text, size, format, err);
    if (r < 0) {
        if (ret_input != NULL) {
            *ret_input = s->input;
        }
        source_free(s);
        return r;
    }
    if (s->day != 0) {
        snprintf(s->input.date, sizeof s->input.date, "%04u-%02u-%02u", s->day / 10000 % 10000,
                 s->day / 100 % 100, s->day % 100);
    }
    if (layer == KOBOLD_LAYER_DATA && strcmp(s->input.date, b->newest) > 0) {
        memcpy(b->newest, s->input.date, sizeof b->newest);
    }
    b->sources[b->source_count++] = s;
    if (ret_input != NULL) {
        *ret_input = s->input;
    }
    return 0;
}

static void
set_text(char *to, size_t size, const char *from)
{
    if (from != NULL) {
        snprintf(to, size, "%s", from);
        bh_text_trim(to);
    }
}

void
kobold_build_set_meta(kobold_build *b, const char *name, const char *date, const char *licence,
                      const char *source)
{
    set_text(b->name, sizeof b->name, name);
    set_text(b->date, sizeof b->date, date);
    set_text(b->licence, sizeof b->licence, licence);
    set_text(b->source, sizeof b->source, source);
}

void
kobold_build_set_as_meta(kobold_build *b, const char *name, const char *date, const char *licence,
                         const char *source)
{
    set_text(b->as.name, sizeof b->as.name, name);
    set_text(b->as.date, sizeof b->as.date, date);
    set_text(b->as.licence, sizeof b->as.licence, licence);
    set_text(b->as.source, sizeof b->as.source, source);
}

int
kobold_build_add_as(kobold_build *b, const char *name, const char *text, size_t size,
                    struct kobold_input *ret_input, struct bh_error *err)
{
    struct kobold_input input = { .format = KOBOLD_FORMAT_AUTO };
    int r = as_parse(b, name, text, size, &input, err);
    if (ret_input != NULL) {
        *ret_input = input;
    }
    if (r < 0) {
        return r;
    }
    /* The names of the files, unless somebody says better. */
    size_t n = strlen(b->as.source);
    snprintf(b->as.source + n, sizeof b->as.source - n, "%s%s", n > 0 ? " " : "", base_name(name));
    bh_text_trim(b->as.source);
    return 0;
}

void
kobold_build_set_details(kobold_build *b, enum kobold_details details)
{
    b->details = details;
}

const char *
kobold_build_date(const kobold_build *b)
{
    return b->newest;
}

/* ---- the order of inputs ------------------------------------------------------------------------ */

/* Registry files keep their places among the inputs, but take them in order of date, so that
 * the newest of the five has the last word about a block that moved between registries. */
static void
order_registry_files(struct kobold_build *b)
{
    size_t *places = malloc((b->source_count + 1) * sizeof *places);
    size_t count = 0;
    if (places == NULL) {
        return; /* the order given is good too */
    }
    for (size_t i = 0; i < b->source_count; i++) {
        if (b->sources[i]->layer == KOBOLD_LAYER_DATA &&
            b->sources[i]->input.format == KOBOLD_FORMAT_RIR) {
            places[count++] = i;
        }
    }
    for (size_t i = 1; i < count; i++) { /* insertion: stable, and there are five of them */
        for (size_t j = i; j > 0; j--) {
            struct kobold_source **a = &b->sources[places[j - 1]];
            struct kobold_source **c = &b->sources[places[j]];
            if ((*a)->day <= (*c)->day) {
                break;
            }
            struct kobold_source *s = *a;
            *a = *c;
            *c = s;
        }
    }
    free(places);
}

static void
order_sources(struct kobold_build *b)
{
    order_registry_files(b);
    for (size_t i = 1; i < b->source_count; i++) { /* by layer, stable */
        struct kobold_source *s = b->sources[i];
        size_t j = i;
        for (; j > 0 && b->sources[j - 1]->layer > s->layer; j--) {
            b->sources[j] = b->sources[j - 1];
        }
        b->sources[j] = s;
    }
}

/* ---- finish --------------------------------------------------------------------------------------- */

/* One input over those before it; the first is taken as it is. */
static int
add_layer(struct kobold_build *b, struct kobold_source *s, size_t index, int family,
          struct kobold_runs *under)
{
    struct kobold_runs over;
    struct kobold_runs both;
    uint64_t twice;
    int r = runs_from_ranges(&s->ranges[family == 6], family, (uint16_t)index, RUNS_BY_CODE, &over,
                             &twice);
    if (r < 0) {
        return r;
    }
    s->input.twice += twice;
    if (under->count == 1 && under->at[0].code == CODE_NONE) {
        runs_done(under);
        *under = over;
        return 0;
    }
    r = runs_overlay(under, &over, family, RUNS_BY_CODE, b, &both);
    runs_done(&over);
    if (r == 0) {
        runs_done(under);
        *under = both;
    }
    return r;
}

static int
layer_runs(struct kobold_build *b, int family, struct kobold_runs *ret)
{
    struct kobold_ranges none = { 0 };
    struct kobold_runs under;
    struct kobold_runs special;
    uint64_t twice;
    int r = runs_from_ranges(&none, family, 0, RUNS_BY_CODE, &under, &twice);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; r == 0 && i < b->source_count; i++) {
        struct kobold_source *s = b->sources[i];
        if (s->layer != KOBOLD_LAYER_SECOND && s->ranges[family == 6].count > 0) {
            r = add_layer(b, s, i, family, &under);
        }
    }
    if (r == 0) {
        r = runs_special(b, family, &special);
    }
    if (r == 0) {
        r = runs_overlay(&under, &special, family, RUNS_BY_CODE, NULL, ret);
        runs_done(&special);
    }
    runs_done(&under);
    return r;
}

/* What nobody said comes from the inputs: the vendor or the kind of file, the licence when all
 * that name one agree, the names of the files. */
static void
fill_texts(struct kobold_build *b)
{
    bool is_all_rir = b->source_count > 0;
    bool is_one_licence = true;
    const char *vendor = "";
    const char *licence = "";
    char source[sizeof b->source] = "";
    size_t n = 0;
    for (size_t i = 0; i < b->source_count; i++) {
        const struct kobold_source *s = b->sources[i];
        if (s->layer == KOBOLD_LAYER_SECOND) {
            continue; /* it is no part of the answers */
        }
        is_all_rir &= s->layer != KOBOLD_LAYER_DATA || s->input.format == KOBOLD_FORMAT_RIR;
        vendor = vendor[0] == '\0' ? s->vendor : vendor;
        licence = licence[0] == '\0' ? s->licence : licence;
        is_one_licence &= s->licence[0] == '\0' || strcmp(licence, s->licence) == 0;
        if (n < sizeof source) {
            n += (size_t)snprintf(source + n, sizeof source - n, "%s%s", i > 0 ? " " : "",
                                  base_name(s->name));
        }
    }
    if (b->name[0] == '\0') {
        set_text(b->name, sizeof b->name,
                 vendor[0] != '\0' ? vendor
                 : is_all_rir      ? "registry statistics"
                                   : "country data");
    }
    if (b->date[0] == '\0') {
        set_text(b->date, sizeof b->date, b->newest);
    }
    if (b->licence[0] == '\0' && is_one_licence) {
        set_text(b->licence, sizeof b->licence, licence);
    }
    if (b->source[0] == '\0') {
        set_text(b->source, sizeof b->source, source);
    }
}

static void
say_twice(const kobold_build *b)
{
    for (size_t i = 0; b->notice != NULL && i < b->source_count; i++) {
        const struct kobold_source *s = b->sources[i];
        struct bh_error e;
        if (s->input.twice > 0) {
            bh_error_set(&e, BH_EFORMAT, s->name,
                         "ranges that are there twice with different countries: %llu; the last "
                         "line won",
                         "同じ範囲が違う国で2度ある箇所 %llu。後の行を採った",
                         (unsigned long long)s->input.twice);
            b->notice(b->notice_arg, &e);
        }
    }
}

int
kobold_build_finish(kobold_build *b, uint8_t **ret_data, size_t *ret_size, struct bh_error *err)
{
    struct kobold_runs runs[2] = { { 0 } };
    order_sources(b);
    fill_texts(b);
    int r = layer_runs(b, 4, &runs[0]);
    if (r == 0) {
        r = layer_runs(b, 6, &runs[1]);
    }
    say_twice(b);
    if (r < 0) {
        r = out_of_memory(err);
    } else {
        struct kobold_texts texts = { b->name, b->date, b->licence, b->source };
        r = write_database(b, runs, &texts, ret_data, ret_size, err);
    }
    runs_done(&runs[0]);
    runs_done(&runs[1]);
    return r;
}

bool
kobold_build_conflict(const kobold_build *b, size_t index, struct kobold_conflict *ret)
{
    if (index >= b->pair_count) {
        return false;
    }
    const struct kobold_pair *p = &b->pairs[index];
    *ret = (struct kobold_conflict){ b->sources[p->winner]->name, b->sources[p->loser]->name,
                                     p->v4_addresses, p->v6_subnets };
    return true;
}

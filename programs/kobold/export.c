/* SPDX-License-Identifier: BSD-2-Clause */
/* kobold export: sets of packet filters, lists, tables and databases of other programs. */
#include "kobold_export.h"
#include "verbs.h"

#include <stdlib.h>

static const struct kobold_exporter *
find_exporter(const char *name)
{
    for (size_t i = 0; i < kobold_exporters_count; i++) {
        if (strcmp(kobold_exporters[i]->name, name) == 0) {
            return kobold_exporters[i];
        }
    }
    return NULL;
}

/* What all packet filters take as a name. */
static bool
is_name(const char *s)
{
    size_t n = 0;
    for (; s[n] != '\0'; n++) {
        bool is_letter =
            (s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z') || s[n] == '_';
        if (!is_letter && (n == 0 || s[n] < '0' || s[n] > '9')) {
            return false;
        }
    }
    return n > 0 && n <= 26;
}

static int
check_names(const struct cc_program *p)
{
    static const char *const options[] = { "set", "table" };
    for (size_t i = 0; i < BH_COUNT(options); i++) {
        const char *name = bh_arg(p->args, options[i]);
        if (name != NULL && !is_name(name)) {
            struct bh_error err;
            bh_error_set(&err, BH_EUSAGE, name,
                         "a name is up to 26 letters, digits and _, and no digit first%s",
                         "名前は英字・数字・_ で 26 文字まで、最初は数字以外です%s", "");
            return cc_complain(p, CC_USAGE, &err);
        }
    }
    return CC_OK;
}

/* Without words: each country, region and "unknown" the database has, in order of codes. */
static size_t
all_groups(const kobold *k, struct kobold_group *ret)
{
    struct kobold_group listed;
    size_t n = 0;
    kobold_group_listed(k, &listed);
    for (unsigned v = 0; v < kobold_value_count(k); v++) {
        struct kobold_group g;
        if (!kobold_group_has(&listed, (uint16_t)v)) {
            continue;
        }
        kobold_group_of_value(k, (uint16_t)v, &g);
        size_t at = n;
        while (at > 0 && strcmp(ret[at - 1].name, g.name) > 0) {
            at--;
        }
        if (at > 0 && strcmp(ret[at - 1].name, g.name) == 0) { /* spare values are "unknown" too */
            kobold_group_join(&ret[at - 1], &g);
            continue;
        }
        memmove(&ret[at + 1], &ret[at], (n - at) * sizeof *ret);
        ret[at] = g;
        n++;
    }
    return n;
}

static int
word_groups(const struct cc_program *p, const kobold *k, struct kobold_group *ret,
            size_t *ret_count)
{
    char *const *words;
    size_t count = bh_arg_operands(p->args, &words);
    for (size_t i = 0; i < count; i++) {
        struct bh_error err;
        if (kobold_group_of_word(k, words[i], &ret[i], &err) < 0) {
            return cc_complain(p, CC_USAGE, &err);
        }
    }
    *ret_count = count;
    return CC_OK;
}

/* --set NAME: all words as one set of that name. */
static void
join_groups(const char *name, struct kobold_group *groups, size_t *count)
{
    for (size_t i = 1; i < *count; i++) {
        kobold_group_join(&groups[0], &groups[i]);
    }
    snprintf(groups[0].name, sizeof groups[0].name, "%s", name);
    groups[0].is_named = true;
    *count = 1;
}

static int
write_out(const struct cc_program *p, struct bh_buf *out)
{
    const char *path = bh_arg(p->args, "output");
    struct bh_error err;
    if (path == NULL || strcmp(path, "-") == 0) {
        return cc_flush(p, out);
    }
    if (bh_file_replace(path, out->data == NULL ? "" : out->data, out->len, &err) < 0) {
        return cc_complain(p, CC_FAILED, &err);
    }
    return CC_OK;
}

static bool
is_of_countries(const struct kobold_exporter *x)
{
    return x == &kobold_export_csv || x == &kobold_export_geofeed || x == &kobold_export_mmdb;
}

static int
export_from(const struct cc_program *p, const kobold *k, const struct kobold_exporter *exporter)
{
    char *const *words;
    size_t count = bh_arg_operands(p->args, &words);
    bool is_everything = count == 0;
    struct kobold_group *groups = calloc(count + KOBOLD_VALUES_MAX + 1, sizeof *groups);
    if (groups == NULL) {
        return cc_complain_text(p, CC_FAILED, "out of memory", "メモリーが足りません");
    }
    int status = CC_OK;
    if (is_everything) {
        count = all_groups(k, groups);
    } else {
        status = word_groups(p, k, groups, &count);
    }
    const char *set = bh_arg(p->args, "set");
    if (status == CC_OK && set != NULL && count > 0) {
        join_groups(set, groups, &count);
    }
    struct bh_buf out = { 0 };
    for (size_t i = 0; i < count && status == CC_OK; i++) {
        if (groups[i].system_count > 0 && is_of_countries(exporter)) {
            status = cc_complain_text(
                p, CC_USAGE,
                "this form holds countries; autonomous systems go with nft, ipset, pf and cidr",
                "この形式は国のためのものです。自律システムは nft、ipset、pf、cidr で書き出せます");
        }
    }
    if (status == CC_OK) {
        bool is_v4 = bh_arg_given(p->args, "ipv4");
        bool is_v6 = bh_arg_given(p->args, "ipv6");
        struct bh_error err;
        struct kobold_export x = {
            .k = k,
            .groups = groups,
            .group_count = count,
            .is_everything = is_everything,
            .v4 = is_v4 || !is_v6,
            .v6 = is_v6 || !is_v4,
            .table = bh_arg(p->args, "table"),
        };
        if (exporter->write(&x, &out, &err) < 0) {
            status = cc_complain(p, CC_FAILED, &err);
        }
    }
    status = status == CC_OK ? write_out(p, &out) : status;
    bh_buf_done(&out);
    free(groups);
    return status;
}

int
verb_export(struct cc_program *p)
{
    const char *format = bh_arg(p->args, "format");
    if (format == NULL) {
        return cc_complain_text(
            p, CC_USAGE, "name a form with --format: nft, ipset, pf, cidr, csv, mmdb or geofeed",
            "形式を --format で指定してください: nft, ipset, pf, cidr, csv, mmdb, geofeed");
    }
    int status = check_names(p);
    if (status != CC_OK) {
        return status;
    }
    kobold *k;
    status = cc_open_asked(p, &k);
    if (status != CC_OK) {
        return status;
    }
    status = export_from(p, k, find_exporter(format));
    kobold_close(k);
    return status;
}

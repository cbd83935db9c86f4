/* SPDX-License-Identifier: BSD-2-Clause */
#include "cc_common.h"
#include "kobold_update.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int
cc_start(struct cc_program *p, const struct bh_command *command, int argc, char **argv)
{
    struct bh_error err;
    *p = (struct cc_program){ .command = command, .lang = bh_lang_of_args(argc, argv) };
    bh_standard_files();
    /* A reader that has seen enough closes the pipe: write() then says so. */
    signal(SIGPIPE, SIG_IGN);
    if (bh_args_parse(command, argc, argv, &p->args, &err) < 0) {
        return cc_complain(p, CC_USAGE, &err);
    }
    if (bh_arg_given(p->args, "help")) {
        bh_command_help(command, p->lang, stdout);
        return cc_end_stdout(p);
    }
    if (bh_arg_given(p->args, "version")) {
        printf("%s %s\n", command->name, BH_VERSION);
        return cc_end_stdout(p);
    }
    return -1;
}

int
cc_end_stdout(const struct cc_program *p)
{
    struct bh_error err;
    int r = bh_stdout_flush(&err);
    if (r == 0) {
        return CC_OK;
    }
    return r == -EPIPE ? CC_FAILED : cc_complain(p, CC_FAILED, &err);
}

void
cc_done(struct cc_program *p)
{
    bh_args_free(p->args);
    p->args = NULL;
}

int
cc_complain(const struct cc_program *p, int status, const struct bh_error *e)
{
    char line[1024];
    fprintf(stderr, "%s: %s\n", p->command->name, bh_error_line(e, p->lang, line, sizeof line));
    return status;
}

int
cc_complain_text(const struct cc_program *p, int status, const char *en, const char *ja)
{
    fprintf(stderr, "%s: %s\n", p->command->name, p->lang == BH_JA ? ja : en);
    return status;
}

int
cc_complain_database(const struct cc_program *p, const char *path, int code)
{
    struct bh_error err;
    bh_error_set(&err, code, path, "%s%.0s", "%.0s%s", kobold_strerror(code, BH_EN),
                 kobold_strerror(code, BH_JA));
    return cc_complain(p, CC_FAILED, &err);
}

kobold *
cc_open(const struct cc_program *p, const char *path)
{
    char buf[4096];
    kobold *k;
    if (path == NULL) {
        path = kobold_default_path(buf, sizeof buf);
    }
    int r = kobold_open(path, &k);
    if (r < 0) {
        cc_complain_database(p, path, r);
        return NULL;
    }
    return k;
}

bool
cc_is_day(const char *text)
{
    for (int i = 0; i < 10; i++) {
        bool is_dash = i == 4 || i == 7;
        if (is_dash ? text[i] != '-' : text[i] < '0' || text[i] > '9') {
            return false;
        }
    }
    return text[10] == '\0';
}

kobold *
cc_open_day(const struct cc_program *p, const char *directory, const char *day)
{
    kobold *k;
    int r = kobold_open_asof(directory, day, &k);
    if (r == -ENOENT) {
        struct bh_error err;
        bh_error_set(&err, r, directory, "no country databases (*.kdb) with a date are there%s",
                     "日付のある国データベース (*.kdb) がありません%s", "");
        cc_complain(p, CC_FAILED, &err);
        return NULL;
    }
    if (r < 0) {
        cc_complain_database(p, directory, r);
        return NULL;
    }
    return k;
}

int
cc_open_asked(const struct cc_program *p, kobold **ret)
{
    const char *path = bh_arg(p->args, "country-db");
    const char *directory = bh_arg(p->args, "db-dir");
    const char *day = bh_arg(p->args, "as-of");
    path = path != NULL ? path : bh_arg(p->args, "db");
    if (directory == NULL && day == NULL) {
        *ret = cc_open(p, path);
        return *ret == NULL ? CC_FAILED : CC_OK;
    }
    if (directory == NULL || day == NULL || path != NULL) {
        return cc_complain_text(p, CC_USAGE,
                                "--as-of DATE and --db-dir DIR go together, without --country-db",
                                "--as-of と --db-dir は一緒に、--country-db なしで指定して"
                                "ください");
    }
    if (!cc_is_day(day)) {
        return cc_complain_text(p, CC_USAGE, "--as-of is written like 2014-06-30",
                                "--as-of は 2014-06-30 の形で書いてください");
    }
    *ret = cc_open_day(p, directory, day);
    return *ret == NULL ? CC_FAILED : CC_OK;
}

void
cc_say_age(const struct cc_program *p, const kobold *k, const char *path)
{
    struct kobold_meta m;
    struct bh_error e;
    kobold_get_meta(k, &m);
    if (kobold_is_old(&m, path, (int64_t)time(NULL), &e)) {
        cc_complain(p, 0, &e);
    }
}

/* ---- answers -------------------------------------------------------------------------------------- */

const char *
cc_kind_name(unsigned kind)
{
    static const char *const names[] = { "country", "special", "unallocated", "region", "unknown" };
    return kind < BH_COUNT(names) ? names[kind] : "unknown";
}

static const char *
name_of(const struct cc_program *p, const struct kobold_value *v)
{
    const char *name = NULL;
    if (v->kind == KOBOLD_SPECIAL) {
        name = kobold_class_name(v->class_name, (int)p->lang);
        return name != NULL ? name : v->class_name;
    }
    if (v->kind == KOBOLD_UNALLOCATED) {
        return p->lang == BH_JA ? "未割り当て" : "unallocated";
    }
    name = kobold_country_name(v->code, (int)p->lang);
    return name != NULL ? name : v->code;
}

void
cc_ask(const struct cc_program *p, const kobold *k, const struct bh_ip *ip, struct cc_answer *ret)
{
    cc_describe(p, k, kobold_lookup(k, ip->octets, ip->family), ret);
    if (p->wants_as) {
        ret->asn = kobold_as(k, ip->octets, ip->family);
        if (ret->asn != 0 && !kobold_as_name(k, ret->asn, ret->as_name, sizeof ret->as_name)) {
            ret->as_name[0] = '\0';
        }
    }
}

void
cc_describe(const struct cc_program *p, const kobold *k, struct kobold_result result,
            struct cc_answer *ret)
{
    ret->result = result;
    ret->asn = 0;
    ret->as_name[0] = '\0';
    if (!kobold_value_info(k, ret->result.value, &ret->value)) {
        memset(&ret->value, 0, sizeof ret->value);
        ret->value.kind = KOBOLD_UNKNOWN;
    }
    const struct kobold_value *v = &ret->value;
    snprintf(ret->label, sizeof ret->label, "%s",
             v->kind == KOBOLD_SPECIAL       ? v->class_name
             : v->kind == KOBOLD_UNALLOCATED ? "unallocated"
                                             : v->code);
    ret->name = name_of(p, v);
    ret->embedded[0] = '\0';
    if (ret->result.carrier != KOBOLD_CARRIER_NONE) {
        struct bh_ip inner = bh_ip_from_v4(ret->result.embedded_v4);
        bh_ip_format(&inner, ret->embedded);
    }
}

void
cc_put_json_text(struct bh_buf *out, const char *key, const char *text)
{
    bh_buf_printf(out, ",\"%s\":", key);
    if (text[0] == '\0') {
        bh_buf_puts(out, "null");
    } else {
        bh_buf_put_json(out, text, strlen(text));
    }
}

void
cc_put_json_as(struct bh_buf *out, const struct cc_answer *a)
{
    bh_buf_printf(out, a->asn == 0 ? ",\"asn\":null" : ",\"asn\":%u", a->asn);
    cc_put_json_text(out, "as_name", a->as_name);
}

void
cc_put_json(struct bh_buf *out, const char *address, const struct cc_answer *a)
{
    bh_buf_puts(out, "{\"address\":");
    bh_buf_put_json(out, address, strlen(address));
    cc_put_json_text(out, "code", a->value.code);
    cc_put_json_text(out, "name", a->name);
    cc_put_json_text(out, "kind", cc_kind_name(a->value.kind));
    cc_put_json_text(out, "class", a->value.class_name);
    cc_put_json_text(out, "rfc", a->value.rfc);
    bh_buf_printf(out, ",\"globally_reachable\":%s",
                  a->value.globally_reachable ? "true" : "false");
    cc_put_json_text(out, "carrier", kobold_carrier_name(a->result.carrier));
    cc_put_json_text(out, "embedded", a->embedded);
}

/* ---- output ----------------------------------------------------------------------------------------- */

int
cc_flush(const struct cc_program *p, struct bh_buf *out)
{
    if (out->failed) {
        return cc_complain_text(p, CC_FAILED, "out of memory", "メモリーが足りません");
    }
    size_t at = 0;
    while (at < out->len) {
        ssize_t n = write(STDOUT_FILENO, out->data + at, out->len - at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            struct bh_error err;
            if (errno != EPIPE) {
                bh_error_errno(&err, errno, "stdout", "cannot write the output", "出力できません");
                cc_complain(p, CC_FAILED, &err);
            }
            return CC_FAILED;
        }
        at += (size_t)n;
    }
    out->len = 0;
    return CC_OK;
}

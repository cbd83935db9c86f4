/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold - make and examine country databases: compile, verify, info, explain.
 */
#include "cc_common.h"
#include "kobold_command.h"
#include "kobold_compile.h"
#include "kobold_compile_command.h"
#include "kobold_explain_command.h"
#include "kobold_diff_command.h"
#include "kobold_export_command.h"
#include "kobold_info_command.h"
#include "kobold_networks_command.h"
#include "kobold_update_command.h"
#include "kobold_verify_command.h"
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifdef KOBOLD_WITH_ZLIB
#include <zlib.h>
#endif

/* A small .gz can grow without end; the largest registry file is 30 MB. */
#define INPUT_MAX ((size_t)1 << 30)

/* ---- compile ------------------------------------------------------------------------------------ */

struct compile {
    struct cc_program *p;
    kobold_build *build;
    enum kobold_format format;
    bool is_quiet;
};

/* The whole of a file or standard input; gzip is unpacked when we can. */
#ifdef KOBOLD_WITH_ZLIB
typedef gzFile input_file;

static input_file
input_open(int fd)
{
    gzFile f = gzdopen(fd, "rb");
    if (f != NULL) {
        gzbuffer(f, 1U << 17);
    }
    return f;
}

static int
input_read(input_file f, char *buf, unsigned size)
{
    return gzread(f, buf, size);
}

static bool
input_close(input_file f)
{
    return gzclose(f) == Z_OK; /* says when a compressed file was cut */
}
#else
typedef FILE *input_file;

static input_file
input_open(int fd)
{
    return fdopen(fd, "rb");
}

static int
input_read(input_file f, char *buf, unsigned size)
{
    size_t n = fread(buf, 1, size, f);
    return n == 0 && ferror(f) ? -1 : (int)n;
}

static bool
input_close(input_file f)
{
    return fclose(f) == 0;
}
#endif

static int
damaged_input(const char *name, size_t unpacked, struct bh_error *err)
{
    return bh_error_set(
        err, BH_EDAMAGED, name,
        "the gzip data are cut or damaged (%zu octets unpacked before); get the file again",
        "gzip のデータが途中で切れているか壊れています (それまでに展開 %zu バイト)。"
        "取り直してください",
        unpacked);
}

static int
read_all(input_file f, const char *name, struct bh_buf *ret, struct bh_error *err)
{
    const unsigned step = 1U << 20;
    char *piece = malloc(step);
    int r = 0;
    if (piece == NULL) {
        return bh_error_errno(err, ENOMEM, name, "cannot read", "読めません");
    }
    for (;;) {
        errno = 0;
        int n = input_read(f, piece, step);
        if (n < 0 && errno != 0) {
            r = bh_error_errno(err, errno, name, "cannot read", "読めません");
            break;
        }
        if (n < 0) {
            r = damaged_input(name, ret->len, err);
            break;
        }
        if (n == 0) {
            break;
        }
        bh_buf_add(ret, piece, (size_t)n);
        if (ret->failed) {
            r = bh_error_errno(err, ENOMEM, name, "cannot read", "読めません");
            break;
        }
        if (ret->len > INPUT_MAX) {
            r = bh_error_set(err, BH_ELIMIT, name, "larger than 1 GiB%s", "1 GiBを超えています%s",
                             "");
            break;
        }
    }
    free(piece);
    return r;
}

static int
read_input(const char *path, struct bh_buf *ret, struct bh_error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    const char *name = is_stdin ? "stdin" : path;
    int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return bh_error_errno(err, errno, name, "cannot open", "開けません");
    }
    input_file f = input_open(fd);
    if (f == NULL) {
        close(fd);
        return bh_error_errno(err, ENOMEM, name, "cannot open", "開けません");
    }
    int r = read_all(f, name, ret, err);
    if (!input_close(f) && r == 0) {
        r = damaged_input(name, ret->len, err);
    }
    return r;
}

static void
say_notice(void *arg, const struct bh_error *e)
{
    const struct compile *c = arg;
    if (!c->is_quiet) {
        cc_complain(c->p, 0, e);
    }
}

/* A line of ours that holds names of files, and so anything. */
static void
say_line(struct bh_buf *line)
{
    struct bh_buf safe = { 0 };
    bh_buf_put_safe(&safe, line->data == NULL ? "" : line->data, line->len);
    fprintf(stderr, "%s\n", safe.data == NULL ? "" : safe.data);
    bh_buf_done(&safe);
    bh_buf_done(line);
}

static void
say_count(struct bh_buf *line, uint64_t n, const char *one, const char *many)
{
    if (n > 0) {
        bh_buf_printf(line, ", %llu %s", (unsigned long long)n, n == 1 ? one : many);
    }
}

static void
say_count_ja(struct bh_buf *line, uint64_t n, const char *what)
{
    if (n > 0) {
        bh_buf_printf(line, "、%s %llu", what, (unsigned long long)n);
    }
}

static void
say_input(const struct compile *c, const char *path, const struct kobold_input *in)
{
    struct bh_buf line = { 0 };
    if (c->is_quiet) {
        return;
    }
    if (c->p->lang == BH_JA) {
        bh_buf_printf(&line, "%s: 形式 %s、範囲 %llu", path, kobold_format_name(in->format),
                      (unsigned long long)in->ranges);
        bh_buf_puts(&line, in->date[0] != '\0' ? "、日付 " : "");
        bh_buf_puts(&line, in->date);
        say_count_ja(&line, in->unused, "国のない行");
        say_count_ja(&line, in->unknown_codes, "未知の国コード (不明とした)");
        say_count_ja(&line, in->broken, "読めずに飛ばした行");
    } else {
        bh_buf_printf(&line, "%s: format %s", path, kobold_format_name(in->format));
        bh_buf_printf(&line, ", %llu range%s", (unsigned long long)in->ranges,
                      in->ranges == 1 ? "" : "s");
        bh_buf_puts(&line, in->date[0] != '\0' ? ", of " : "");
        bh_buf_puts(&line, in->date);
        say_count(&line, in->unused, "line without a country", "lines without a country");
        say_count(&line, in->unknown_codes, "unknown code (now ZZ)", "unknown codes (now ZZ)");
        say_count(&line, in->broken, "broken line skipped", "broken lines skipped");
    }
    say_line(&line);
}

static int
add_input(struct compile *c, const char *path, enum kobold_format format, enum kobold_layer layer)
{
    struct bh_buf text = { 0 };
    struct bh_error err;
    struct kobold_input input;
    const char *name = strcmp(path, "-") == 0 ? "stdin" : path;
    int r = read_input(path, &text, &err);
    if (r == 0) {
        r = kobold_build_add(c->build, name, text.data != NULL ? text.data : "", text.len, format,
                             layer, &input, &err);
    }
    bh_buf_done(&text);
    if (r < 0) {
        return cc_complain(c->p, CC_FAILED, &err);
    }
    say_input(c, name, &input);
    return CC_OK;
}

static int
add_option_inputs(struct compile *c, const char *option, enum kobold_format format,
                  enum kobold_layer layer)
{
    const char *const *paths;
    size_t count = bh_arg_all(c->p->args, option, &paths);
    int status = CC_OK;
    for (size_t i = 0; i < count && status == CC_OK; i++) {
        status = add_input(c, paths[i], format, layer);
    }
    return status;
}

/* Of what no input dates: the day a reproducible build names, else today. */
static void
date_of_last_resort(char *buf, size_t size)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    time_t t = epoch != NULL ? (time_t)strtoll(epoch, NULL, 10) : time(NULL);
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || strftime(buf, size, "%Y-%m-%d", &tm) == 0) {
        buf[0] = '\0';
    }
}

static bool
is_date(const char *s)
{
    for (int i = 0; i < 10; i++) {
        bool is_dash = i == 4 || i == 7;
        if (is_dash ? s[i] != '-' : s[i] < '0' || s[i] > '9') {
            return false;
        }
    }
    return s[10] == '\0';
}

static void
say_conflicts(const struct compile *c)
{
    struct kobold_conflict x;
    bool is_ja = c->p->lang == BH_JA;
    for (size_t i = 0; !c->is_quiet && kobold_build_conflict(c->build, i, &x); i++) {
        struct bh_buf line = { 0 };
        bh_buf_printf(&line,
                      is_ja
                          ? "%s を %s より優先: 国の違うIPv4アドレス %llu、IPv6の/64 %llu"
                          : "%s wins over %s: they differ in %llu IPv4 addresses, %llu /64 of IPv6",
                      x.winner, x.loser, (unsigned long long)x.v4_addresses,
                      (unsigned long long)x.v6_subnets);
        say_line(&line);
    }
}

static int
write_output(struct compile *c, const char *path)
{
    uint8_t *data;
    size_t size;
    struct bh_error err;
    if (kobold_build_finish(c->build, &data, &size, &err) < 0) {
        return cc_complain(c->p, CC_FAILED, &err);
    }
    say_conflicts(c);
    int status = CC_OK;
    kobold *k;
    int r = kobold_open_memory(data, size, &k);
    if (r < 0) { /* a bug of ours must not reach a disk */
        status =
            cc_complain_text(c->p, CC_FAILED, kobold_strerror(r, BH_EN), kobold_strerror(r, BH_JA));
        goto out;
    }
    struct kobold_meta meta;
    kobold_get_meta(k, &meta);
    kobold_close(k);
    if (bh_file_replace(path, data, size, &err) < 0) {
        status = cc_complain(c->p, CC_FAILED, &err);
    } else if (!c->is_quiet) {
        struct bh_buf line = { 0 };
        if (c->p->lang == BH_JA) {
            bh_buf_printf(&line, "%s: %zu バイト、IPv4の範囲 %u、IPv6の範囲 %u、データの日付 %s",
                          path, size, meta.v4_ranges, meta.v6_ranges, meta.date);
        } else {
            bh_buf_printf(&line, "%s: %zu octets, ranges: %u of IPv4, %u of IPv6, data of %s", path,
                          size, meta.v4_ranges, meta.v6_ranges, meta.date);
        }
        say_line(&line);
    }
out:
    free(data);
    return status;
}

static int
compile_inputs(struct compile *c, const char *output)
{
    const struct bh_args *args = c->p->args;
    char *const *operands;
    size_t count = bh_arg_operands(args, &operands);
    int status = CC_OK;
    for (size_t i = 0; i < count && status == CC_OK; i++) {
        status = add_input(c, operands[i], c->format, KOBOLD_LAYER_DATA);
    }
    if (status == CC_OK) {
        status = add_option_inputs(c, "geofeed", KOBOLD_FORMAT_PREFIX, KOBOLD_LAYER_GEOFEED);
    }
    if (status == CC_OK) {
        status = add_option_inputs(c, "override", KOBOLD_FORMAT_AUTO, KOBOLD_LAYER_OVERRIDE);
    }
    if (status != CC_OK) {
        return status;
    }
    const char *date = bh_arg(args, "date");
    char today[16];
    if (date == NULL && kobold_build_date(c->build)[0] == '\0') {
        date_of_last_resort(today, sizeof today);
        date = today;
    }
    kobold_build_set_meta(c->build, bh_arg(args, "name"), date, bh_arg(args, "licence"),
                          bh_arg(args, "source"));
    return write_output(c, output);
}

static int
run_compile(struct cc_program *p)
{
    char *const *operands;
    const char *output = bh_arg(p->args, "output");
    const char *date = bh_arg(p->args, "date");
    if (output == NULL) {
        return cc_complain_text(p, CC_USAGE, "name the database to write with -o FILE",
                                "書き出すデータベースを -o ファイル で指定してください");
    }
    if (bh_arg_operands(p->args, &operands) == 0) {
        return cc_complain_text(p, CC_USAGE, "name at least one input file (- for standard input)",
                                "入力ファイルを1つ以上指定してください（- は標準入力）");
    }
    if (date != NULL && !is_date(date)) {
        return cc_complain_text(p, CC_USAGE, "--date is written like 2026-06-25",
                                "--date は 2026-06-25 の形で書いてください");
    }
    struct compile c = { .p = p, .is_quiet = bh_arg_given(p->args, "quiet") };
    c.format = (enum kobold_format)kobold_format_of_name(bh_arg(p->args, "format"));
    c.build = kobold_build_new();
    if (c.build == NULL) {
        return cc_complain_text(p, CC_FAILED, "out of memory", "メモリーが足りません");
    }
    kobold_build_on_notice(c.build, say_notice, &c);
    int status = compile_inputs(&c, output);
    kobold_build_free(c.build);
    return status;
}

/* ---- verify, info, explain ------------------------------------------------------------------------ */

/* The only operand, or NULL for the default database; false and a complaint for more. */
static bool
one_operand(const struct cc_program *p, const char **ret)
{
    char *const *operands;
    size_t count = bh_arg_operands(p->args, &operands);
    if (count > 1) {
        cc_complain_text(p, CC_USAGE, "one FILE at most", "ファイルは1つまでです");
        return false;
    }
    *ret = count == 1 ? operands[0] : NULL;
    return true;
}

static int
run_verify(struct cc_program *p)
{
    const char *path;
    char buf[4096];
    if (!one_operand(p, &path)) {
        return CC_USAGE;
    }
    if (path == NULL) {
        path = kobold_default_path(buf, sizeof buf);
    }
    kobold *k = cc_open(p, path);
    if (k == NULL) {
        return CC_FAILED;
    }
    int r = kobold_verify(k);
    kobold_close(k);
    if (r < 0) {
        return cc_complain_database(p, path, r);
    }
    puts(p->lang == BH_JA ? "壊れていません" : "undamaged");
    return cc_end_stdout(p);
}

static void
put_field(struct bh_buf *out, const char *key, const char *text)
{
    bh_buf_printf(out, ",\"%s\":", key);
    bh_buf_put_json(out, text, strlen(text));
}

static int
run_info(struct cc_program *p)
{
    static const char *const words[BH_LANGS][8] = {
        { "file", "name", "date", "licence", "source", "id", "ranges", "values" },
        { "ファイル", "名前", "日付", "ライセンス", "出所", "識別番号", "範囲", "値" },
    };
    const char *path;
    char buf[4096];
    if (!one_operand(p, &path)) {
        return CC_USAGE;
    }
    if (path == NULL) {
        path = kobold_default_path(buf, sizeof buf);
    }
    kobold *k = cc_open(p, path);
    if (k == NULL) {
        return CC_FAILED;
    }
    struct kobold_meta m;
    struct bh_buf out = { 0 };
    kobold_get_meta(k, &m);
    if (bh_arg_given(p->args, "json")) {
        bh_buf_puts(&out, "{\"file\":");
        bh_buf_put_json(&out, path, strlen(path));
        put_field(&out, "name", m.name);
        put_field(&out, "date", m.date);
        put_field(&out, "licence", m.licence);
        put_field(&out, "source", m.source);
        bh_buf_printf(&out,
                      ",\"id\":\"%016llx\",\"v4_ranges\":%u,\"v6_ranges\":%u,\"values\":%u}\n",
                      (unsigned long long)m.id, m.v4_ranges, m.v6_ranges, m.values);
    } else {
        const char *texts[] = { path, m.name, m.date, m.licence, m.source };
        for (size_t i = 0; i < BH_COUNT(texts); i++) {
            const char *word = words[p->lang][i];
            bh_buf_printf(&out, "%s:%*s", word, (int)(12 - bh_text_width(word)), "");
            bh_buf_put_safe(&out, texts[i], strlen(texts[i]));
            bh_buf_putc(&out, '\n');
        }
        bh_buf_printf(&out, "%s:%*s%016llx\n", words[p->lang][5],
                      (int)(12 - bh_text_width(words[p->lang][5])), "", (unsigned long long)m.id);
        bh_buf_printf(&out, "%s:%*sIPv4 %u, IPv6 %u\n", words[p->lang][6],
                      (int)(12 - bh_text_width(words[p->lang][6])), "", m.v4_ranges, m.v6_ranges);
        bh_buf_printf(&out, "%s:%*s%u\n", words[p->lang][7],
                      (int)(12 - bh_text_width(words[p->lang][7])), "", m.values);
    }
    kobold_close(k);
    int status = cc_flush(p, &out);
    bh_buf_done(&out);
    return status;
}

static void
explain_text(const struct cc_program *p, struct bh_buf *out, const char *address,
             const struct cc_answer *a, const struct kobold_meta *m)
{
    const struct kobold_value *v = &a->value;
    bool is_ja = p->lang == BH_JA;
    bh_buf_printf(out, "%s\n", address);
    if (a->embedded[0] != '\0') {
        bh_buf_printf(out,
                      is_ja ? "  IPv4アドレス %s を含む（%s）ので、それについて答える\n"
                            : "  carries the IPv4 address %s (%s), which is looked up instead\n",
                      a->embedded, kobold_carrier_name(a->result.carrier));
    }
    if (v->kind == KOBOLD_SPECIAL) {
        bh_buf_printf(out,
                      is_ja ? "  特殊用途: %s (%s, %s)。国はない。インターネットから%s\n"
                            : "  special use: %s (%s, %s); no country; %s\n",
                      a->name, v->class_name, v->rfc,
                      v->globally_reachable ? (is_ja ? "到達できる" : "globally reachable")
                                            : (is_ja ? "到達できない" : "not globally reachable"));
        return;
    }
    bh_buf_printf(out, is_ja ? "  国データ「" : "  country data \"");
    bh_buf_put_safe(out, m->name, strlen(m->name));
    bh_buf_printf(out, is_ja ? "」(%s): " : "\" of %s: ", m->date);
    switch (v->kind) {
    case KOBOLD_UNALLOCATED:
        bh_buf_puts(out, is_ja ? "記載がない（未割り当て）\n" : "no entry (unallocated)\n");
        break;
    case KOBOLD_UNKNOWN:
        bh_buf_puts(out, is_ja ? "国は不明 (ZZ)\n" : "country unknown (ZZ)\n");
        break;
    case KOBOLD_REGION:
        bh_buf_printf(out, is_ja ? "国ではなく地域 %s (%s)\n" : "a region, no country: %s (%s)\n",
                      v->code, a->name);
        break;
    default:
        bh_buf_printf(out, is_ja ? "登録国は %s (%s)\n" : "registered in %s (%s)\n", v->code,
                      a->name);
        break;
    }
}

static int
run_explain(struct cc_program *p)
{
    char *const *operands;
    size_t count = bh_arg_operands(p->args, &operands);
    int status = CC_OK;
    if (count == 0) {
        return cc_complain_text(p, CC_USAGE, "name an address", "アドレスを指定してください");
    }
    const char *db = bh_arg(p->args, "country-db");
    kobold *k = cc_open(p, db != NULL ? db : bh_arg(p->args, "db"));
    if (k == NULL) {
        return CC_FAILED;
    }
    struct kobold_meta m;
    struct bh_buf out = { 0 };
    kobold_get_meta(k, &m);
    for (size_t i = 0; i < count; i++) {
        struct bh_ip ip;
        struct cc_answer a;
        if (!bh_ip_parse(operands[i], strlen(operands[i]), &ip)) {
            struct bh_error err;
            bh_error_set(
                &err, BH_EUSAGE, operands[i],
                "not an address; write it alone, like 192.0.2.1 or 2001:db8::1%s",
                "アドレスではありません。192.0.2.1 や 2001:db8::1 のように、それだけを書いて"
                "ください%s",
                "");
            status = cc_complain(p, CC_FAILED, &err);
            continue;
        }
        cc_ask(p, k, &ip, &a);
        if (bh_arg_given(p->args, "json")) {
            cc_put_json(&out, operands[i], &a);
            put_field(&out, "data_name", m.name);
            put_field(&out, "data_date", m.date);
            bh_buf_puts(&out, "}\n");
        } else {
            explain_text(p, &out, operands[i], &a, &m);
        }
    }
    int flushed = cc_flush(p, &out);
    bh_buf_done(&out);
    kobold_close(k);
    return flushed != CC_OK ? flushed : status;
}

/* ---- verbs ------------------------------------------------------------------------------------------ */

static const struct verb {
    const char *name;
    const struct bh_command *command;
    int (*run)(struct cc_program *p);
} verbs[] = {
    { "compile", &kobold_compile_command, run_compile },
    { "verify", &kobold_verify_command, run_verify },
    { "info", &kobold_info_command, run_info },
    { "explain", &kobold_explain_command, run_explain },
    { "networks", &kobold_networks_command, verb_networks },
    { "export", &kobold_export_command, verb_export },
    { "diff", &kobold_diff_command, verb_diff },
    { "update", &kobold_update_command, verb_update },
};

static int
unknown_verb(const struct cc_program *p, const char *word)
{
    const char *names[BH_COUNT(verbs)];
    for (size_t i = 0; i < BH_COUNT(verbs); i++) {
        names[i] = verbs[i].name;
    }
    struct bh_error err;
    const char *near = bh_nearest(word, names, BH_COUNT(names));
    if (near != NULL) {
        bh_error_set(&err, BH_EUSAGE, word, "no such verb; did you mean %s?",
                     "そのような動詞はありません。%s のことですか", near);
    } else {
        bh_error_set(&err, BH_EUSAGE, word, "no such verb; see kobold --help%s",
                     "そのような動詞はありません。kobold --help を見てください%s", "");
    }
    return cc_complain(p, CC_USAGE, &err);
}

int
kobold_run_verb(int argc, char **argv)
{
    struct cc_program p = { .args = NULL };
    int status = -1;
    for (size_t i = 0; argc > 0 && i < BH_COUNT(verbs); i++) {
        if (strcmp(argv[0], verbs[i].name) == 0) {
            status = cc_start(&p, verbs[i].command, argc, argv);
            if (status < 0) {
                status = verbs[i].run(&p);
            }
            break;
        }
    }
    cc_done(&p);
    return status;
}

int
main(int argc, char **argv)
{
    struct cc_program p;
    int status = argc > 1 ? kobold_run_verb(argc - 1, argv + 1) : -1;
    if (status >= 0) {
        return status;
    }
    p = (struct cc_program){ .command = &kobold_command, .lang = bh_lang_of_args(argc, argv) };
    if (argc > 1 && argv[1][0] != '-') {
        status = unknown_verb(&p, argv[1]);
        goto out;
    }
    status = cc_start(&p, &kobold_command, argc, argv);
    char *const *operands;
    if (status < 0 && bh_arg_operands(p.args, &operands) > 0) {
        status = cc_complain_text(&p, CC_USAGE, "write the verb first: kobold VERB [OPTION]...",
                                  "動詞を先に書いてください: kobold 動詞 [オプション]...");
    } else if (status < 0) {
        bh_command_help(&kobold_command, p.lang, stderr);
        status = CC_USAGE;
    }
out:
    cc_done(&p);
    return status;
}

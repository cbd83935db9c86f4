/* SPDX-License-Identifier: BSD-2-Clause */
#include "cc_common.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_SIZE ((size_t)1 << 20)
/* The longest address is 45 octets; a run of its characters twice that is something else. */
#define TOKEN_MAX 90

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

/* ---- addresses in text ------------------------------------------------------------------------- */

enum { C_OTHER = 0, C_WORD = 1, C_HEX = 2, C_DIGIT = 3, C_DOT = 4, C_COLON = 5 };

static int
class_of(char c)
{
    if (c >= '0' && c <= '9') {
        return C_DIGIT;
    }
    if (c == '.') {
        return C_DOT;
    }
    if (c == ':') {
        return C_COLON;
    }
    char low = (char)(c | 0x20);
    if (low >= 'a' && low <= 'z') {
        return low <= 'f' ? C_HEX : C_WORD;
    }
    /* Octets of UTF-8 letters do not glue to an address: Japanese text has no blanks. */
    return c == '_' ? C_WORD : C_OTHER;
}

static bool
is_word(int class)
{
    return class == C_WORD || class == C_HEX || class == C_DIGIT;
}

/* A dotted quad in front; a port may follow after '.' or ':', a letter may not. */
static size_t
match_v4(const char *s, size_t len, struct bh_ip *ret_ip)
{
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        unsigned v = 0;
        size_t digits = 0;
        while (at < len && digits < 4 && class_of(s[at]) == C_DIGIT) {
            v = v * 10 + (unsigned)(s[at] - '0');
            at++;
            digits++;
        }
        if (digits == 0 || digits > 3 || v > 255 || (digits > 1 && s[at - digits] == '0')) {
            return 0;
        }
        ret_ip->octets[part] = (uint8_t)v;
        if (part < 3 && (at == len || s[at++] != '.')) {
            return 0;
        }
    }
    memset(ret_ip->octets + 4, 0, 12);
    ret_ip->family = 4;
    return at < len && is_word(class_of(s[at])) ? 0 : at;
}

/* The longest address in front of a run of hexadecimal digits, colons and dots: behind it may
 * stand the ':' of a log line or tcpdump's ".port". */
static size_t
match_v6(const char *s, size_t len, struct bh_ip *ret_ip)
{
    for (size_t n = len; n > 2;) {
        if (bh_ip_parse(s, n, ret_ip) && ret_ip->family == 6) {
            return n;
        }
        if (s[n - 1] == ':' || s[n - 1] == '.') {
            n--;
            continue;
        }
        size_t cut = n;
        while (cut > 0 && s[cut - 1] != '.') {
            cut--;
        }
        if (cut == 0) {
            break;
        }
        n = cut - 1;
    }
    return 0;
}

static size_t
match(const char *s, size_t len, bool may_be_v6, struct bh_ip *ret_ip, size_t *ret_skip)
{
    size_t n = 0;
    unsigned colons = 0;
    unsigned dots = 0;
    unsigned digits = 0;
    int class = C_OTHER;
    while (n < len && n <= TOKEN_MAX && (class = class_of(s[n])) >= C_HEX) {
        colons += class == C_COLON;
        dots += class == C_DOT;
        digits += class <= C_DIGIT;
        n++;
    }
    bool is_glued = n < len && class == C_WORD;
    *ret_skip = n > 0 ? n : 1;
    if (n > TOKEN_MAX || digits == 0) {
        return 0;
    }
    size_t found = 0;
    if (may_be_v6 && colons >= 2 && !is_glued) {
        found = match_v6(s, n, ret_ip);
    }
    if (found == 0 && dots >= 3) {
        found = match_v4(s, len, ret_ip);
    }
    if (found == 0 && colons > 0) {
        /* "from:192.0.2.1" or "1:192.0.2.1": try again behind the colon. */
        const char *colon = memchr(s, ':', n);
        *ret_skip = (size_t)(colon - s) + 1;
    }
    return found;
}

bool
cc_find_address(const char *text, size_t len, size_t from, struct bh_ip *ret_ip, size_t *ret_at,
                size_t *ret_len)
{
    size_t at = from;
    while (at < len) {
        int class = class_of(text[at]);
        int before = at == 0 ? C_OTHER : class_of(text[at - 1]);
        bool is_start = class == C_COLON ? !is_word(before) && before != C_COLON
                                         : class >= C_HEX && class != C_DOT && !is_word(before) &&
                                               before != C_DOT;
        if (!is_start) {
            at++;
            continue;
        }
        /* Behind "::" stands the rest of what was none: the "b::c" of "a::b::c". */
        bool may_be_v6 = at < 2 || text[at - 1] != ':' || text[at - 2] != ':';
        size_t skip;
        size_t n = match(text + at, len - at, may_be_v6, ret_ip, &skip);
        if (n > 0) {
            *ret_at = at;
            *ret_len = n;
            return true;
        }
        at += skip;
    }
    return false;
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

/* ---- input and output ------------------------------------------------------------------------------- */

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

int
cc_read_lines(const struct cc_program *p, const char *path,
              int (*take)(void *arg, const char *text, size_t len), void *arg)
{
    bool is_stdin = strcmp(path, "-") == 0;
    struct bh_error err;
    int status = CC_OK;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        bh_error_errno(&err, errno, path, "cannot open", "開けません");
        return cc_complain(p, CC_FAILED, &err);
    }
    char *buf = malloc(READ_SIZE);
    size_t kept = 0;
    if (buf == NULL) {
        status = cc_complain_text(p, CC_FAILED, "out of memory", "メモリーが足りません");
    }
    while (status == CC_OK) {
        ssize_t n = read(fd, buf + kept, READ_SIZE - kept);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            bh_error_errno(&err, errno, is_stdin ? "stdin" : path, "cannot read", "読めません");
            status = cc_complain(p, CC_FAILED, &err);
            break;
        }
        if (n == 0) {
            status = kept > 0 ? take(arg, buf, kept) : CC_OK;
            break;
        }
        kept += (size_t)n;
        const char *end = memrchr(buf, '\n', kept);
        /* A line longer than the buffer is taken in pieces. */
        size_t whole = end != NULL ? (size_t)(end - buf) + 1 : kept == READ_SIZE ? kept : 0;
        if (whole > 0) {
            status = take(arg, buf, whole);
            kept -= whole;
            memmove(buf, buf + whole, kept);
        }
    }
    free(buf);
    if (!is_stdin) {
        close(fd);
    }
    return status;
}

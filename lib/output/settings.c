/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings of an instance, checked against the module's table before the module sees them. */
#include "host_priv.h"

#include "bh_option.h"

#include <errno.h>
#include <stdlib.h>

static const struct {
    const char *name;
    uint64_t factor;
} durations[] = { { "ns", 1 },
                  { "us", 1000 },
                  { "ms", 1000000 },
                  { "s", 1000000000 },
                  { "m", 60000000000 },
                  { "h", 3600000000000 },
                  { "d", 86400000000000 },
                  { "w", 604800000000000 } },
  sizes[] = {
      { "", 1 }, { "k", 1ULL << 10 }, { "M", 1ULL << 20 }, { "G", 1ULL << 30 }, { "T", 1ULL << 40 }
  };

/* Digits, and what is behind them. */
static bool
parse_digits(const char *text, uint64_t *ret, const char **ret_rest)
{
    uint64_t n = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        const uint64_t digit = (uint64_t)(*p - '0');
        if (n > (UINT64_MAX - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    *ret = n;
    *ret_rest = p;
    return p != text;
}

static bool
parse_scaled(const char *text, enum bh_setting_type type, uint64_t *ret)
{
    const char *rest;
    uint64_t n;
    if (!parse_digits(text, &n, &rest)) {
        return false;
    }
    const size_t count = type == BH_SETTING_SIZE ? BH_COUNT(sizes) : BH_COUNT(durations);
    for (size_t k = 0; k < count; k++) {
        const char *name = type == BH_SETTING_SIZE ? sizes[k].name : durations[k].name;
        const uint64_t factor = type == BH_SETTING_SIZE ? sizes[k].factor : durations[k].factor;
        if (strcmp(rest, name) == 0) {
            *ret = n * factor;
            return n <= UINT64_MAX / factor;
        }
    }
    return false;
}

static bool
is_choice(const char *choices, const char *text)
{
    const size_t len = strlen(text);
    for (const char *p = choices; len > 0 && p != NULL;) {
        const char *end = strchr(p, '|');
        const size_t n = end != NULL ? (size_t)(end - p) : strlen(p);
        if (n == len && memcmp(p, text, n) == 0) {
            return true;
        }
        p = end != NULL ? end + 1 : NULL;
    }
    return false;
}

/* "credential:NAME" is what systemd handed over as NAME (LoadCredential=, systemd.exec(5)). */
static const char *
secret_path(const char *text, char buf[4096])
{
    static const char word[] = "credential:";
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (strncmp(text, word, sizeof word - 1) != 0 || folder == NULL) {
        return text;
    }
    snprintf(buf, 4096, "%s/%s", folder, text + sizeof word - 1);
    return buf;
}

uint64_t
bh_setting_secret_mark(uint64_t mark, const char *text)
{
    char buf[4096];
    FILE *f = fopen(secret_path(text, buf), "re");
    size_t n = f != NULL ? fread(buf, 1, sizeof buf, f) : 0;
    for (size_t k = 0; k < n; k++) {
        mark = bh_mix64(mark, (uint8_t)buf[k]);
    }
    memset(buf, 0, sizeof buf);
    if (f != NULL) {
        fclose(f);
    }
    return mark;
}

static int
read_secret(const char *text, struct setting_value *v, struct bh_error *err)
{
    char line[1024], buf[4096];
    const char *path = secret_path(text, buf);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return bh_error_errno(err, errno, path, "cannot read", "読めません");
    }
    const bool got = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    if (!got || strchr(line, '\n') == NULL) {
        /* Without an end of line, as `printf` writes it, is good too, when it is all there. */
        if (!got || strlen(line) == sizeof line - 1) {
            return bh_error_set(err, BH_EFORMAT, path, "has no first line of at most %u octets",
                                "の 1 行目がありません (最大 %u オクテット)",
                                (unsigned)sizeof line - 2);
        }
    }
    line[strcspn(line, "\r\n")] = '\0';
    v->own = strdup(line);
    memset(line, 0, sizeof line);
    v->text = v->own;
    return v->own == NULL ? bh_error_errno(err, ENOMEM, path, "cannot read", "読めません") : 0;
}

static int
bad_value(const struct bh_setting *s, const char *text, struct bh_error *err)
{
    static const char *const want_en[] = { "text",
                                           "a number",
                                           "yes or no",
                                           "",
                                           "a duration like 90s, 15m, 7d",
                                           "a size like 64k, 10M, 2G" };
    static const char *const want_ja[] = {
        "文字列", "数", "yes か no", "", "90s、15m、7d のような時間", "64k、10M、2G のような大きさ"
    };
    const bool choice = s->type == BH_SETTING_CHOICE;
    return bh_error_set(
        err, BH_EUSAGE, s->name, "%s: must be %s%.0s", "%s: %.0s%s を指定してください", text,
        choice ? s->choices : want_en[s->type], choice ? s->choices : want_ja[s->type]);
}

/* As somebody would write it. */
static const char *
number_text(enum bh_setting_type type, uint64_t n, char buf[32])
{
    const bool is_size = type == BH_SETTING_SIZE;
    const char *name = type == BH_SETTING_DURATION ? (n > 0 ? "ns" : "s") : "";
    uint64_t factor = 1;
    for (size_t k = 0;
         type != BH_SETTING_UINT && k < (is_size ? BH_COUNT(sizes) : BH_COUNT(durations)); k++) {
        const uint64_t f = is_size ? sizes[k].factor : durations[k].factor;
        if (n > 0 && f > factor && n % f == 0) {
            factor = f;
            name = is_size ? sizes[k].name : durations[k].name;
        }
    }
    snprintf(buf, 32, "%llu%s", (unsigned long long)(n / factor), name);
    return buf;
}

static int
out_of_range(const struct bh_setting *s, const char *text, struct bh_error *err)
{
    char least[32], most[32];
    number_text(s->type, s->least, least);
    number_text(s->type, s->most, most);
    return s->most != 0 ? bh_error_set(err, BH_EUSAGE, s->name, "%s: must be from %s to %s",
                                       "%s: %s から %s までを指定してください", text, least, most)
                        : bh_error_set(err, BH_EUSAGE, s->name, "%s: must be at least %s",
                                       "%s: %s 以上を指定してください", text, least);
}

int
bh_setting_loopback(const char *text, struct bh_ip *ret_ip, uint16_t *ret_port,
                    struct bh_error *err)
{
    const char *colon = strrchr(text, ':'), *at = text;
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;
    unsigned long port = 0;
    char *end = NULL;
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        at++;
        len -= 2;
    }
    if (colon != NULL && colon[1] >= '0' && colon[1] <= '9') {
        port = strtoul(colon + 1, &end, 10);
    }
    if (end == NULL || *end != '\0' || port == 0 || port > 65535 || !bh_ip_parse(at, len, ret_ip) ||
        (ret_ip->family == 6) != (at != text)) {
        return bh_error_set(
            err, BH_EUSAGE, text, "give ADDRESS:PORT, as 127.0.0.1:9477 or [::1]:9477",
            "アドレス:ポート の形で指定してください (例: 127.0.0.1:9477、[::1]:9477)");
    }
    static const uint8_t one[16] = { [15] = 1 };
    const bool loopback =
        ret_ip->family == 4 ? ret_ip->octets[0] == 127 : memcmp(ret_ip->octets, one, 16) == 0;
    if (!loopback) {
        return bh_error_set(
            err, BH_EUSAGE, text,
            "metrics are for this machine only: listen on 127.0.0.1 or [::1], and let a program that "
            "asks for passwords carry them further",
            "メトリクスはこのマシン専用です。127.0.0.1 か [::1] を指定し、外へは認証のあるプログラムを"
            "通してください");
    }
    *ret_port = (uint16_t)port;
    return 0;
}

static int
parse_value(const struct bh_setting *s, const char *text, bool read_secrets,
            struct setting_value *v, struct bh_error *err)
{
    bool good = true, ranged = false;
    const char *rest = "";
    v->text = text;
    switch (s->type) {
    case BH_SETTING_UINT:
        good = parse_digits(text, &v->number, &rest) && *rest == '\0';
        ranged = true;
        break;
    case BH_SETTING_DURATION:
    case BH_SETTING_SIZE:
        good = parse_scaled(text, s->type, &v->number);
        ranged = true;
        break;
    case BH_SETTING_BOOL:
        good = is_choice("yes|no", text);
        v->number = strcmp(text, "yes") == 0;
        break;
    case BH_SETTING_CHOICE:
        good = is_choice(s->choices, text);
        break;
    case BH_SETTING_LOOPBACK: {
        struct bh_ip ip;
        uint16_t port;
        return bh_setting_loopback(text, &ip, &port, err);
    }
    case BH_SETTING_SECRET:
        v->text = NULL;
        return read_secrets ? read_secret(text, v, err) : 0;
    default:
        if (*text == '\0' && s->type != BH_SETTING_TEXT) {
            return bh_error_set(err, BH_EUSAGE, s->name, "must not be empty", "空にはできません");
        }
        break;
    }
    if (!good) {
        return bad_value(s, text, err);
    }
    if (ranged && (v->number < s->least || (s->most != 0 && v->number > s->most))) {
        return out_of_range(s, text, err);
    }
    return 0;
}

int
bh_setting_check(const struct bh_setting *s, const char *text, uint64_t *ret_number,
                 struct bh_error *err)
{
    struct setting_value v = { 0 };
    const int r = parse_value(s, text, false, &v, err);
    if (r == 0) {
        *ret_number = v.number;
    }
    return r;
}

static int
unknown_setting(const struct bh_host_config *cfg, const char *name, struct bh_error *err)
{
    const struct bh_output_module *m = cfg->module;
    const char **names = calloc(m->setting_count + 1, sizeof *names);
    const char *near = NULL;
    for (uint32_t k = 0; names != NULL && k < m->setting_count; k++) {
        names[k] = m->settings[k].name;
    }
    near = names != NULL ? bh_nearest(name, names, m->setting_count) : NULL;
    free(names);
    return near != NULL
               ? bh_error_set(err, BH_EUNKNOWN, name, "%s has no such setting; did you mean %s?",
                              "%s にその設定はありません。%s のことですか?", m->name, near)
               : bh_error_set(err, BH_EUNKNOWN, name, "%s has no such setting",
                              "%s にその設定はありません", m->name);
}

int
settings_parse(const struct bh_host_config *cfg, bool read_secrets, struct setting_value **ret,
               struct bh_error *err)
{
    const struct bh_output_module *m = cfg->module;
    struct setting_value *v = calloc((size_t)m->setting_count + 1, sizeof *v);
    int r = v == NULL ? bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません") : 0;
    for (size_t g = 0; r == 0 && g < cfg->setting_count; g++) {
        bool known = false;
        for (uint32_t k = 0; k < m->setting_count && !known; k++) {
            known = strcmp(m->settings[k].name, cfg->settings[g].name) == 0;
        }
        r = known ? 0 : unknown_setting(cfg, cfg->settings[g].name, err);
    }
    for (uint32_t k = 0; r == 0 && k < m->setting_count; k++) {
        const struct bh_setting *s = &m->settings[k];
        const char *text = s->default_text;
        v[k].setting = s;
        for (size_t g = 0; g < cfg->setting_count; g++) { /* the last one counts */
            text = strcmp(s->name, cfg->settings[g].name) == 0 ? cfg->settings[g].value : text;
        }
        if (text != NULL) {
            r = parse_value(s, text, read_secrets, &v[k], err);
        } else if (s->required) {
            r = bh_error_set(err, BH_EUSAGE, s->name, "must be given", "指定してください");
        }
    }
    if (r != 0) {
        settings_free(v, m->setting_count);
        return r;
    }
    *ret = v;
    return 0;
}

void
settings_free(struct setting_value *v, size_t count)
{
    for (size_t k = 0; v != NULL && k < count; k++) {
        free(v[k].own);
    }
    free(v);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files into sections. inih cuts lines of 200 octets and names of 50 without a word, and knows no line numbers while
 * it calls back; so it gets its lines from here, where they are counted and looked at first.
 */
#include "config_priv.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>

#define NAME_OCTETS 48U /* inih keeps 49 of a section and of a key */
#define INI_LINE 512U   /* more than it keeps of a line: 198 octets */
#define FILE_OCTETS (1U << 20)

struct reading {
    struct bh_config *c;
    const char *name; /* of the file */
    const char *at, *end;
    uint32_t line, value_line;
    bool continues, failed;
    char last_key[NAME_OCTETS + 2];
    struct section *section; /* NULL: none, or one that is wrong */
};

static void
fault(struct reading *r, struct bh_error *err, uint32_t line)
{
    r->failed = true;
    err->line = line;
    /* The word that is wrong is in the text; where is the file. */
    if (err->where[0] != '\0' && strcmp(err->where, r->name) != 0) {
        for (int lang = 0; lang < BH_LANGS; lang++) {
            char text[sizeof err->text[0]];
            snprintf(text, sizeof text, "%.100s: %.200s", err->where, err->text[lang]);
            bh_text_trim(text);
            memcpy(err->text[lang], text, sizeof text);
        }
    }
    snprintf(err->where, sizeof err->where, "%s", r->name);
    config_fault(r->c, err);
}

/* Also of sections without a key, which inih never mentions. */
static void
begin_section(struct reading *r, const char *text, size_t len)
{
    struct bh_error err = { 0 };
    const char *close = memchr(text, ']', len);
    r->section = NULL;
    r->last_key[0] = '\0';
    if (close == NULL) {
        return; /* inih says so */
    }
    if ((size_t)(close - text) > NAME_OCTETS) {
        bh_error_set(&err, BH_EFORMAT, "", "a name is longer than %u octets",
                     "名前が %u オクテットを超えています", NAME_OCTETS);
    } else {
        char title[NAME_OCTETS + 1];
        memcpy(title, text, (size_t)(close - text));
        title[close - text] = '\0';
        r->section = config_section(r->c, title, &err);
    }
    if (r->section == NULL) {
        fault(r, &err, r->line);
    } else if (r->section->from == NULL) {
        r->section->from = strdup(r->name);
        r->section->line = r->line;
    }
}

/* inih's fgets(). A line it could not keep whole is said, and left out. */
static char *
next_line(char *to, int room, void *arg)
{
    struct reading *r = arg;
    if (r->at < r->end) {
        const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
        const char *stop = newline != NULL ? newline : r->end;
        const size_t len = (size_t)(stop - r->at);
        const char *line = r->at;
        struct bh_error err = { 0 };
        r->at = newline != NULL ? newline + 1 : r->end;
        r->line++;
        if (memchr(line, '\0', len) != NULL) {
            bh_error_set(&err, BH_EFORMAT, "", "is not text: it has a NUL octet",
                         "テキストではありません (NUL があります)");
            fault(r, &err, r->line);
        } else if (len + 2 > (size_t)room) {
            bh_error_set(&err, BH_EFORMAT, "",
                         "is longer than %d octets; go on in the next line, after a blank",
                         "%d オクテットより長い行です。次の行を空白で始めて続けてください",
                         room - 2);
            fault(r, &err, r->line);
        } else {
            memcpy(to, line, len);
            to[len] = '\n';
            to[len + 1] = '\0';
            r->continues = len > 0 && (line[0] == ' ' || line[0] == '\t');
            if (len > 0 && line[0] == '[') {
                begin_section(r, line + 1, len - 1);
            }
            return to;
        }
        return memcpy(to, "\n", 2); /* inih counts lines too */
    }
    return NULL;
}

static void
cut_comment(char *value)
{
    char *end = NULL;
    for (char *p = value; *p != '\0' && end == NULL; p++) {
        end = *p == ';' && (p == value || p[-1] == ' ' || p[-1] == '\t') ? p : NULL;
    }
    while (end != NULL && end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    if (end != NULL) {
        *end = '\0';
    }
}

static int
take_value(void *arg, const char *title, const char *key, const char *value)
{
    struct reading *r = arg;
    struct bh_error err = { 0 };
    if (strlen(key) > NAME_OCTETS || *title == '\0') {
        const bool early = *title == '\0';
        bh_error_set(
            &err, BH_EFORMAT, early ? key : "",
            early ? "stands before the first [section]%.0u" : "a name is longer than %u octets",
            early ? "最初の [節] より前にあります%.0u" : "名前が %u オクテットを超えています",
            NAME_OCTETS);
        fault(r, &err, r->line);
        return 1;
    }
    if (r->section == NULL) {
        return 1; /* said when it began */
    }
    const bool append = r->continues && strcmp(key, r->last_key) == 0;
    const struct entry *old = section_find(r->section, key);
    if (!append && old != NULL && old->line != 0 && strcmp(old->from, r->name) == 0) {
        bh_error_set(&err, BH_EFORMAT, key, "stands twice, also in line %u",
                     "2 回あります (%u 行目にも)", old->line);
        fault(r, &err, r->line);
        return 1;
    }
    char whole[INI_LINE];
    snprintf(whole, sizeof whole, "%s", value);
    if (append) { /* inih leaves comments in lines that go on */
        cut_comment(whole);
    }
    snprintf(r->last_key, sizeof r->last_key, "%s", key);
    r->value_line = append ? r->value_line : r->line;
    struct entry e = { .key = (char *)(uintptr_t)key,
                       .value = whole,
                       .from = (char *)(uintptr_t)r->name,
                       .line = r->value_line };
    if (section_set(r->c, r->section, &e, append, &err) != 0) {
        fault(r, &err, r->line);
    }
    return 1;
}

int
bh_config_read_memory(struct bh_config *c, const char *name, const char *text, size_t len)
{
    struct reading r = { .c = c, .name = name, .at = text, .end = text + len };
    struct bh_error err = { 0 };
    const int bad = ini_parse_stream(next_line, &r, take_value, &r);
    if (bad != 0) { /* the first line that is neither; it goes on behind it */
        bh_error_set(&err, BH_EFORMAT, "",
                     bad < 0 ? "cannot be read" : "is neither [section] nor key = value",
                     bad < 0 ? "読めません" : "[節] でも キー = 値 でもありません");
        fault(&r, &err, bad < 0 ? 0 : (uint32_t)bad);
    }
    return r.failed || c->no_memory ? BH_EFORMAT : 0;
}

static int
read_file(struct bh_config *c, const char *path)
{
    struct bh_error err = { 0 };
    FILE *f = fopen(path, "re");
    char *text = f != NULL ? malloc(FILE_OCTETS + 1) : NULL;
    int r = 0;
    if (f == NULL || text == NULL) {
        r = bh_error_errno(&err, f == NULL ? errno : ENOMEM, path, "cannot open", "開けません");
    } else {
        const size_t len = fread(text, 1, FILE_OCTETS + 1, f);
        if (ferror(f)) {
            r = bh_error_errno(&err, errno, path, "cannot read", "読めません");
        } else if (len > FILE_OCTETS) {
            r = bh_error_set(&err, BH_ELIMIT, path, "is larger than %u octets: no configuration",
                             "%u オクテットより大きく、設定ファイルではありません", FILE_OCTETS);
        } else {
            r = bh_config_read_memory(c, path, text, len);
        }
    }
    if (err.code != 0) {
        config_fault(c, &err);
    }
    if (f != NULL) {
        fclose(f);
    }
    free(text);
    return r;
}

static int
is_conf(const struct dirent *d)
{
    const char *dot = strrchr(d->d_name, '.');
    return d->d_name[0] != '.' && dot != NULL && strcmp(dot, ".conf") == 0;
}

int
bh_config_read(struct bh_config *c, const char *path)
{
    struct dirent **list = NULL;
    const char *slash = strrchr(path, '/');
    const int folder_len = slash != NULL ? (int)(slash + 1 - path) : 0;
    char folder[4096], file[4096 + 256];
    int r = read_file(c, path);
    if ((size_t)snprintf(folder, sizeof folder, "%.*sconf.d", folder_len, path) >= sizeof folder) {
        return r; /* the file's own error was said */
    }
    const int count = scandir(folder, &list, is_conf, alphasort);
    if (count < 0 && errno != ENOENT) {
        struct bh_error err = { 0 };
        r = bh_error_errno(&err, errno, folder, "cannot read", "読めません");
        config_fault(c, &err);
    }
    for (int k = 0; k < count; k++) {
        snprintf(file, sizeof file, "%s/%s", folder, list[k]->d_name);
        const int one = read_file(c, file);
        r = r != 0 ? r : one;
        free(list[k]);
    }
    free(list);
    return r;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections and values: found, set, checked. */
#include "config_priv.h"

#include "bh_option.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct bh_config *
bh_config_new(bh_config_modules_fn *modules)
{
    struct bh_config *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    c->modules = modules;
    c->sections = calloc(2, sizeof *c->sections);
    if (c->sections == NULL) {
        free(c);
        return NULL;
    }
    c->count = 2;
    for (size_t k = 0; k < 2; k++) {
        c->sections[k].kind = (enum bh_config_section)k;
        c->sections[k].name = strdup("");
        c->no_memory = c->no_memory || c->sections[k].name == NULL;
    }
    return c;
}

void
bh_config_free(struct bh_config *c)
{
    for (size_t k = 0; c != NULL && k < c->count; k++) {
        struct section *s = &c->sections[k];
        for (size_t e = 0; e < s->count; e++) {
            free(s->entries[e].key);
            free(s->entries[e].value);
            free(s->entries[e].from);
        }
        free(s->entries);
        free(s->settings);
        free(s->name);
        free(s->from);
    }
    if (c != NULL) {
        free(c->sections);
    }
    free(c);
}

void
config_fault(struct bh_config *c, const struct bh_error *err)
{
    if (c->error_count < CONFIG_ERRORS) {
        c->errors[c->error_count++] = *err;
    }
}

size_t
bh_config_error_count(const struct bh_config *c)
{
    return c->error_count;
}

const struct bh_error *
bh_config_error(const struct bh_config *c, size_t index)
{
    assert(index < c->error_count);
    return &c->errors[index];
}

/* ---- names --------------------------------------------------------------------------------------- */

static const struct bh_setting *
in_table(const struct bh_setting *table, size_t count, const char *key)
{
    for (size_t k = 0; k < count; k++) {
        if (strcmp(table[k].name, key) == 0) {
            return &table[k];
        }
    }
    return NULL;
}

const struct bh_setting *
find_key(const struct section *s, const char *key)
{
    size_t count;
    const struct bh_setting *table = bh_config_keys(s->kind, &count);
    const struct bh_setting *found = in_table(table, count, key);
    return found != NULL || s->module == NULL
               ? found
               : in_table(s->module->settings, s->module->setting_count, key);
}

static int
unknown_key(const struct section *s, const char *key, struct bh_error *err)
{
    size_t count, n = 0;
    const struct bh_setting *table = bh_config_keys(s->kind, &count);
    const uint32_t more = s->module != NULL ? s->module->setting_count : 0;
    const char **names = calloc(count + more + 1, sizeof *names);
    for (size_t k = 0; names != NULL && k < count; k++) {
        names[n++] = table[k].name;
    }
    for (uint32_t k = 0; names != NULL && k < more; k++) {
        names[n++] = s->module->settings[k].name;
    }
    const char *near = names != NULL ? bh_nearest(key, names, n) : NULL;
    free(names);
    const char *title = s->module != NULL ? s->module->name : section_names[s->kind];
    return near != NULL
               ? bh_error_set(err, BH_EUNKNOWN, key, "%s has no such key; did you mean %s?",
                              "%s にそのキーはありません。%s のことですか?", title, near)
               : bh_error_set(err, BH_EUNKNOWN, key, "%s has no such key",
                              "%s にそのキーはありません", title);
}

static const struct bh_output_module *
find_module(const struct bh_config *c, const char *name, const char **ret_near)
{
    size_t count;
    const struct bh_output_module *const *all = c->modules(&count);
    const char **names = calloc(count + 1, sizeof *names);
    *ret_near = NULL;
    for (size_t k = 0; k < count; k++) {
        if (strcmp(all[k]->name, name) == 0) {
            free(names);
            return all[k];
        }
        if (names != NULL) {
            names[k] = all[k]->name;
        }
    }
    *ret_near = names != NULL ? bh_nearest(name, names, count) : NULL;
    free(names);
    return NULL;
}

struct section *
config_section(struct bh_config *c, const char *title, struct bh_error *err)
{
    char kind[64] = "", name[64] = "", rest[2] = "";
    const int words = sscanf(title, "%63s %63s %1s", kind, name, rest);
    enum bh_config_section k = BH_CONFIG_SITE;
    while (k < BH_CONFIG_SECTIONS && strcmp(kind, section_names[k]) != 0) {
        k++;
    }
    if (k == BH_CONFIG_SECTIONS) {
        const char *near = bh_nearest(kind, section_names, BH_CONFIG_SECTIONS);
        bh_error_set(err, BH_EUNKNOWN, title,
                     near != NULL ? "no such section; did you mean [%s]?"
                                  : "no such section: [site], [capture] and [output NAME] are%.0s",
                     near != NULL
                         ? "その節はありません。[%s] のことですか?"
                         : "その節はありません ([site]、[capture]、[output 名前] があります)%.0s",
                     near);
        return NULL;
    }
    if ((words == 1) != (k != BH_CONFIG_OUTPUT) || words > 2) {
        bh_error_set(err, BH_EFORMAT, title,
                     k == BH_CONFIG_OUTPUT ? "must be [output NAME], NAME one word"
                                           : "is one word in brackets",
                     k == BH_CONFIG_OUTPUT ? "[output 名前] の形で書いてください (名前は 1 語)"
                                           : "[ ] の中は 1 語です");
        return NULL;
    }
    for (const char *p = name; *p != '\0'; p++) {
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", *p) ==
                NULL ||
            name[0] == '.') {
            bh_error_set(err, BH_EFORMAT, title,
                         "the name may have letters, digits, - _ and . only, not first",
                         "名前に使えるのは英数字と - _ . だけです (. は先頭以外)");
            return NULL;
        }
    }
    if (k != BH_CONFIG_OUTPUT) {
        return &c->sections[k];
    }
    for (size_t i = 2; i < c->count; i++) {
        if (strcmp(c->sections[i].name, name) == 0) {
            return &c->sections[i];
        }
    }
    struct section *grown = realloc(c->sections, (c->count + 1) * sizeof *grown);
    char *own = strdup(name);
    if (grown != NULL) {
        c->sections = grown;
    }
    if (grown == NULL || own == NULL) {
        free(own);
        c->no_memory = true;
        bh_error_errno(err, ENOMEM, title, "cannot keep", "保持できません");
        return NULL;
    }
    grown[c->count] = (struct section){ .kind = k, .name = own };
    return &grown[c->count++];
}

/* ---- values ----------------------------------------------------------------------------------------- */

struct entry *
section_find(const struct section *s, const char *key)
{
    for (size_t k = 0; k < s->count; k++) {
        if (strcmp(s->entries[k].key, key) == 0) {
            return &s->entries[k];
        }
    }
    return NULL;
}

static int
replace_text(char **to, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) {
        return -ENOMEM;
    }
    free(*to);
    *to = copy;
    return 0;
}

int
section_set(struct bh_config *c, struct section *s, const struct entry *e, bool append,
            struct bh_error *err)
{
    struct entry *mine = section_find(s, e->key);
    char *joined = NULL;
    int r = 0;
    if (mine == NULL) {
        struct entry *grown = realloc(s->entries, (s->count + 1) * sizeof *grown);
        if (grown != NULL) {
            s->entries = grown;
            mine = &grown[s->count++];
            *mine = (struct entry){ .key = strdup(e->key) };
        }
    }
    if (mine != NULL && append && mine->value != NULL && *mine->value != '\0' &&
        asprintf(&joined, "%s %s", mine->value, e->value) < 0) {
        joined = NULL;
        r = -ENOMEM;
    }
    if (mine == NULL || mine->key == NULL || r != 0 ||
        replace_text(&mine->value, joined != NULL ? joined : e->value) != 0 ||
        replace_text(&mine->from, e->from) != 0) {
        c->no_memory = true;
        r = bh_error_errno(err, ENOMEM, e->key, "cannot keep", "保持できません");
    } else {
        mine->line = e->line;
        /* Keys of an output are looked at when its module is known: bh_config_finish(). */
        if (s->kind != BH_CONFIG_OUTPUT) {
            const struct bh_setting *setting = find_key(s, e->key);
            r = setting == NULL ? unknown_key(s, e->key, err)
                                : bh_setting_check(setting, mine->value, &mine->number, err);
        }
    }
    free(joined);
    return r;
}

int
bh_config_set(struct bh_config *c, const char *section, const char *key, const char *value,
              const char *from, struct bh_error *err)
{
    const struct entry e = { .key = (char *)(uintptr_t)key,
                             .value = (char *)(uintptr_t)value,
                             .from = (char *)(uintptr_t)from };
    struct section *s = config_section(c, section, err);
    if (s == NULL) {
        return err->code;
    }
    if (s->from == NULL && s->kind == BH_CONFIG_OUTPUT) {
        s->from = strdup(from);
    }
    return section_set(c, s, &e, false, err);
}

static const struct entry *
given(const struct bh_config *c, enum bh_config_section section, const char *key,
      const struct bh_setting **ret_setting)
{
    assert(section < BH_CONFIG_OUTPUT);
    *ret_setting = find_key(&c->sections[section], key);
    assert(*ret_setting != NULL);
    return section_find(&c->sections[section], key);
}

bool
bh_config_given(const struct bh_config *c, enum bh_config_section section, const char *key)
{
    const struct bh_setting *s;
    return given(c, section, key, &s) != NULL;
}

const char *
bh_config_text(const struct bh_config *c, enum bh_config_section section, const char *key)
{
    const struct bh_setting *s;
    const struct entry *e = given(c, section, key, &s);
    return e != NULL ? e->value : s->default_text;
}

uint64_t
bh_config_uint(const struct bh_config *c, enum bh_config_section section, const char *key)
{
    const struct bh_setting *s;
    const struct entry *e = given(c, section, key, &s);
    uint64_t n = 0;
    if (e != NULL) {
        return e->number;
    }
    if (s->default_text != NULL) {
        bh_ignore(bh_setting_check(s, s->default_text, &n, NULL)); /* a test checks defaults */
    }
    return n;
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

/* Where an error is: of the key when it was written, else of its section. */
static void
section_fault(struct bh_config *c, const struct section *s, const struct entry *e,
              struct bh_error *err)
{
    const char *from = e != NULL ? e->from : s->from;
    struct bh_error said = *err;
    for (int lang = 0; lang < BH_LANGS; lang++) {
        snprintf(said.text[lang], sizeof said.text[lang], "[%s%.50s] %.60s%s%.180s",
                 s->kind == BH_CONFIG_OUTPUT ? "output " : "capture", s->name, err->where,
                 err->where[0] != '\0' ? ": " : "", err->text[lang]);
        bh_text_trim(said.text[lang]);
    }
    snprintf(said.where, sizeof said.where, "%s", from != NULL ? from : "");
    said.line = e != NULL ? e->line : s->line;
    config_fault(c, &said);
}

static const struct entry *
name_module(struct bh_config *c, struct section *s)
{
    struct bh_error err = { 0 };
    const struct entry *e = section_find(s, "module");
    const char *near = NULL;
    if (e == NULL) {
        bh_error_set(&err, BH_EUSAGE, "", "says no module", "module がありません");
        section_fault(c, s, NULL, &err);
        return NULL;
    }
    s->module = find_module(c, e->value, &near);
    if (s->module == NULL) {
        bh_error_set(&err, BH_EUNKNOWN, e->value,
                     near != NULL ? "no such module; did you mean %s?"
                                  : "no such module; beholder outputs lists them%.0s",
                     near != NULL
                         ? "そのモジュールはありません。%s のことですか?"
                         : "そのモジュールはありません。beholder outputs で一覧できます%.0s",
                     near);
        section_fault(c, s, e, &err);
    }
    return e;
}

static int
check_filter(const struct entry *e, struct bh_error *err)
{
    struct bh_filter *f = NULL;
    const char *words[] = { e->value };
    const int r = e->value[0] == '\0' ? 0 : bh_filter_parse(words, 1, NULL, &f, err);
    bh_filter_free(f);
    return r;
}

static bool
check_spool(struct bh_config *c, struct section *s, const struct entry *e)
{
    struct bh_error err = { 0 };
    if ((s->module->needs & BH_OUTPUT_NEEDS_FRAMES) != 0) {
        bh_error_set(&err, BH_EUSAGE, "spool",
                     "%s is given frames, which do not go to disk on their way",
                     "%s はフレームを受け取るため、途中でディスクには置けません", s->module->name);
    } else if (s->name[0] == '.') {
        bh_error_set(&err, BH_EUSAGE, s->name, "with a spool a name does not begin with a dot",
                     "spool を使う出力の名前は . で始められません");
    } else {
        return true;
    }
    section_fault(c, s, e, &err);
    return false;
}

/* Sorts entries into the section's own and the module's, and has the host check these. */
static void
finish_output(struct bh_config *c, struct section *s)
{
    size_t own_count;
    struct bh_error err = { 0 };
    const struct bh_setting *own = bh_config_keys(BH_CONFIG_OUTPUT, &own_count);
    if (name_module(c, s) == NULL || s->module == NULL) {
        return;
    }
    bh_ignore(bh_setting_check(in_table(own, own_count, "queue"),
                               in_table(own, own_count, "queue")->default_text, &s->queue, NULL));
    bh_ignore(bh_setting_check(in_table(own, own_count, "spool-size"),
                               in_table(own, own_count, "spool-size")->default_text,
                               &s->spool_octets, NULL));
    s->spool = NULL;
    free(s->settings);
    s->settings = calloc(s->count + 2, sizeof *s->settings);
    s->setting_count = 0;
    bool good = s->settings != NULL;
    c->no_memory = c->no_memory || !good;
    for (size_t k = 0; good && k < s->count; k++) {
        struct entry *e = &s->entries[k];
        const struct bh_setting *setting = find_key(s, e->key);
        int r = setting == NULL ? unknown_key(s, e->key, &err)
                                : bh_setting_check(setting, e->value, &e->number, &err);
        r = r == 0 && strcmp(e->key, "filter") == 0 ? check_filter(e, &err) : r;
        if (r != 0) {
            section_fault(c, s, e, &err);
            continue;
        }
        if (in_table(own, own_count, e->key) == NULL) {
            s->settings[s->setting_count++] =
                (struct bh_host_setting){ .name = e->key, .value = e->value };
        } else if (strcmp(e->key, "queue") == 0) {
            s->queue = e->number;
        } else if (strcmp(e->key, "spool-size") == 0) {
            s->spool_octets = e->number;
        } else if (strcmp(e->key, "spool") == 0 && check_spool(c, s, e)) {
            s->spool = e->value;
        }
    }
    /* The packet log knows where it goes. */
    if (good && strcmp(s->module->name, "iplog") == 0 && section_find(s, "directory") == NULL) {
        s->settings[s->setting_count++] =
            (struct bh_host_setting){ .name = "directory",
                                      .value = bh_config_text(c, BH_CONFIG_SITE, "log-dir") };
    }
    for (uint32_t k = 0; good && k < s->module->setting_count; k++) {
        const struct bh_setting *want = &s->module->settings[k];
        bool have = !want->required || want->default_text != NULL;
        for (size_t h = 0; h < s->setting_count; h++) {
            have = have || strcmp(s->settings[h].name, want->name) == 0;
        }
        if (!have && section_find(s, want->name) == NULL) {
            bh_error_set(&err, BH_EUSAGE, want->name, "must be given", "指定してください");
            section_fault(c, s, NULL, &err);
        }
    }
}

int
bh_config_finish(struct bh_config *c)
{
    struct bh_error err = { 0 };
    const size_t before = c->error_count;
    const struct entry *all = section_find(&c->sections[BH_CONFIG_CAPTURE], "filter");
    if (all != NULL && all->line > 0 &&
        check_filter(all, &err) != 0) { /* that of a command line is said by who starts */
        section_fault(c, &c->sections[BH_CONFIG_CAPTURE], all, &err);
    }
    if (c->count == 2 && bh_config_set(c, "output log", "module", "iplog", "default", &err) != 0) {
        config_fault(c, &err);
    }
    for (size_t k = 2; k < c->count; k++) {
        finish_output(c, &c->sections[k]);
    }
    if (c->no_memory && c->error_count == 0) {
        bh_error_errno(&err, ENOMEM, "", "cannot start", "開始できません");
        config_fault(c, &err);
    }
    return c->error_count == before ? 0 : BH_EFORMAT;
}

size_t
bh_config_output_count(const struct bh_config *c)
{
    return c->count - 2;
}

void
bh_config_output(const struct bh_config *c, size_t index, struct bh_config_output *ret)
{
    assert(index < c->count - 2);
    const struct section *s = &c->sections[index + 2];
    const struct entry *filter = section_find(s, "filter");
    *ret = (struct bh_config_output){
        .name = s->name,
        .module = s->module,
        .filter = filter != NULL ? filter->value : "",
        .queue_octets = s->queue,
        .spool = s->spool,
        .spool_octets = s->spool_octets,
        .settings = s->settings,
        .setting_count = s->setting_count,
    };
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo): of everything that was written. */
static uint64_t
mark_text(uint64_t mark, const char *text)
{
    do {
        mark = (mark ^ (uint8_t)*text) * 0x100000001b3ULL;
    } while (*text++ != '\0');
    return mark;
}

uint64_t
bh_config_output_mark(const struct bh_config *c, size_t index)
{
    assert(index < c->count - 2);
    const struct section *s = &c->sections[index + 2];
    uint64_t mark = mark_text(0xcbf29ce484222325ULL, s->name);
    for (size_t k = 0; k < s->count; k++) {
        mark = mark_text(mark_text(mark, s->entries[k].key), s->entries[k].value);
    }
    for (size_t k = 0; k < s->setting_count; k++) {
        mark = mark_text(mark_text(mark, s->settings[k].name), s->settings[k].value);
        /* another secret in a file of the same name */
        for (uint32_t m = 0; m < s->module->setting_count; m++) {
            const struct bh_setting *setting = &s->module->settings[m];
            if (setting->type == BH_SETTING_SECRET &&
                strcmp(setting->name, s->settings[k].name) == 0) {
                mark = bh_setting_secret_mark(mark, s->settings[k].value);
            }
        }
    }
    return mark;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* kobold_group.c - words of a command line to sets of values. */
#include "kobold_export.h"
#include "bh_option.h"
#include "kobold_priv.h"

static void
add(struct kobold_group *g, uint16_t value)
{
    g->values[value / 8] |= (uint8_t)(1U << value % 8);
}

static bool
is_same(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        if ((*a >= 'A' && *a <= 'Z' ? *a | 0x20 : *a) !=
            (*b >= 'A' && *b <= 'Z' ? *b | 0x20 : *b)) {
            return false;
        }
    }
    return *a == *b;
}

/* Spare values of the file repeat "unknown"; value 0 is the one look-ups give. All of them belong. */
static bool
is_meant(const struct kobold_value *v, const char *word)
{
    static const struct {
        const char *word;
        uint8_t kind;
    } kinds[] = {
        { "special", KOBOLD_SPECIAL },
        { "unallocated", KOBOLD_UNALLOCATED },
        { "unknown", KOBOLD_UNKNOWN },
    };
    for (size_t i = 0; i < BH_COUNT(kinds); i++) {
        if (is_same(word, kinds[i].word)) {
            return v->kind == kinds[i].kind;
        }
    }
    if (v->kind == KOBOLD_SPECIAL) {
        return is_same(word, v->class_name);
    }
    if (v->code[0] == '\0') {
        return false;
    }
    const char *region = kobold_country_region(v->code);
    return is_same(word, v->code) || (region != NULL && strcmp(region, word) == 0);
}

/* Words that mean something, though this database may have nothing of it. */
static bool
is_known(const char *word, char ret_name[64])
{
    if (strlen(word) == 2) {
        const struct kobold_country_row *row = kobold_country_row(word);
        snprintf(ret_name, 64, "%s", row == NULL ? word : row->code);
        return row != NULL;
    }
    snprintf(ret_name, 64, "%s", word);
    for (char *c = ret_name; *c != '\0'; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
    }
    return kobold_region_name(word, 0) != NULL || kobold_class_name(ret_name, 0) != NULL ||
           strcmp(ret_name, "special") == 0 || strcmp(ret_name, "unallocated") == 0 ||
           strcmp(ret_name, "unknown") == 0;
}

static const char *
near_word(const char *word)
{
    const char *list[400];
    size_t n = 0;
    list[n++] = "special";
    list[n++] = "unallocated";
    list[n++] = "unknown";
    for (unsigned i = 0; i < kobold_specials_count && n < BH_COUNT(list); i++) {
        list[n++] = kobold_specials[i].class_name;
    }
    return strlen(word) < 4 ? NULL : bh_nearest(word, list, n);
}

/* A country's name instead of its code: the most likely mistake of all. */
static const char *
code_of_name(const char *word)
{
    for (unsigned i = 0; i < kobold_countries_listed; i++) {
        if (is_same(word, kobold_countries[i].names[0]) ||
            is_same(word, kobold_countries[i].names[1])) {
            return kobold_countries[i].code;
        }
    }
    return NULL;
}

/* "AS13335". */
static bool
is_system(const char *word, uint32_t *ret)
{
    uint64_t n = 0;
    if ((word[0] | 0x20) != 'a' || (word[1] | 0x20) != 's' || word[2] == '\0') {
        return false;
    }
    for (const char *c = word + 2; *c != '\0'; c++) {
        if (*c < '0' || *c > '9' || n > UINT32_MAX) {
            return false;
        }
        n = n * 10 + (uint64_t)(*c - '0');
    }
    *ret = (uint32_t)n;
    return n > 0 && n <= UINT32_MAX;
}

static int
group_of_system(const kobold *k, const char *word, uint32_t number, struct kobold_group *ret,
                struct bh_error *err)
{
    struct kobold_as_meta meta;
    if (!kobold_as_meta(k, &meta)) {
        return bh_error_set(err, BH_EUSAGE, word,
                            "this database has no AS data; kobold compile --asn FILE puts them "
                            "in%s",
                            "このデータベースには AS のデータがありません。kobold compile --asn "
                            "ファイル で入れられます%s",
                            "");
    }
    *ret = (struct kobold_group){ .systems = { number }, .system_count = 1 };
    snprintf(ret->name, sizeof ret->name, "AS%u", number);
    return 0;
}

int
kobold_group_of_word(const kobold *k, const char *word, struct kobold_group *ret,
                     struct bh_error *err)
{
    uint32_t number;
    if (is_system(word, &number)) {
        return group_of_system(k, word, number, ret, err);
    }
    struct kobold_group g = { .name = "" };
    bool is_found = false;
    bool is_word = is_known(word, g.name);
    for (unsigned i = 0; i < kobold_value_count(k); i++) {
        struct kobold_value v;
        if (kobold_value_info(k, (uint16_t)i, &v) && is_meant(&v, is_word ? g.name : word)) {
            add(&g, (uint16_t)i);
            is_found = true;
            if (!is_word) { /* a code only this database knows: of ISO's user-assigned ones */
                snprintf(g.name, sizeof g.name, "%s",
                         v.kind == KOBOLD_SPECIAL ? v.class_name : v.code);
            }
        }
    }
    if (!is_found && !is_word) {
        const char *near = code_of_name(word);
        near = near != NULL ? near : near_word(word);
        if (near != NULL) {
            return bh_error_set(err, BH_EUSAGE, word,
                                "neither a country code nor a special use; did you mean %s?",
                                "国コードでも特殊用途でもありません。%s のことですか", near);
        }
        return bh_error_set(
            err, BH_EUSAGE, word,
            "neither a country code of ISO 3166-1, a region of UN M49 nor a special use%s",
            "ISO 3166-1 の国コードでも、国連 M49 の地域でも、特殊用途でもありません%s", "");
    }
    *ret = g;
    return 0;
}

void
kobold_group_listed(const kobold *k, struct kobold_group *ret)
{
    *ret = (struct kobold_group){ .name = "all" };
    for (unsigned i = 0; i < kobold_value_count(k); i++) {
        struct kobold_value v;
        if (kobold_value_info(k, (uint16_t)i, &v) &&
            (v.kind == KOBOLD_COUNTRY || v.kind == KOBOLD_REGION || v.kind == KOBOLD_UNKNOWN)) {
            add(ret, (uint16_t)i);
        }
    }
}

void
kobold_group_of_value(const kobold *k, uint16_t value, struct kobold_group *ret)
{
    *ret = (struct kobold_group){ .name = "" };
    kobold_value_label(k, value, ret->name);
    add(ret, value);
}

void
kobold_group_join(struct kobold_group *to, const struct kobold_group *from)
{
    for (size_t i = 0; i < sizeof to->values; i++) {
        to->values[i] |= from->values[i];
    }
    for (unsigned i = 0; i < from->system_count && to->system_count < BH_COUNT(to->systems); i++) {
        to->systems[to->system_count++] = from->systems[i];
    }
}

void
kobold_value_label(const kobold *k, uint16_t value, char ret[48])
{
    struct kobold_value v;
    if (!kobold_value_info(k, value, &v)) {
        v = (struct kobold_value){ .code = "ZZ", .kind = KOBOLD_UNKNOWN };
    }
    snprintf(ret, 48, "%s",
             v.kind == KOBOLD_SPECIAL       ? v.class_name
             : v.kind == KOBOLD_UNALLOCATED ? "unallocated"
             : v.code[0] == '\0'            ? "ZZ"
                                            : v.code);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "kobold_priv.h"

static int
letter(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    return c >= 'a' && c <= 'z' ? c - 'a' : -1;
}

const struct kobold_country_row *
kobold_country_row(const char code[2])
{
    int a = letter(code[0]);
    int b = a < 0 ? -1 : letter(code[1]);
    unsigned at = b < 0 ? 0 : kobold_country_at[a * 26 + b];
    return at == 0 ? NULL : &kobold_countries[at - 1];
}

const char *
kobold_country_name(const char code[2], int lang)
{
    const struct kobold_country_row *row = code == NULL ? NULL : kobold_country_row(code);
    return row == NULL ? NULL : row->names[lang == 1];
}

const char *
kobold_country_region(const char code[2])
{
    const struct kobold_country_row *row = code == NULL ? NULL : kobold_country_row(code);
    return row == NULL || row->m49[0] == '\0' ? NULL : row->m49;
}

const char *
kobold_region_name(const char *m49, int lang)
{
    for (unsigned i = 0; m49 != NULL && i < kobold_regions_count; i++) {
        if (strcmp(kobold_regions[i].m49, m49) == 0) {
            return kobold_regions[i].names[lang == 1];
        }
    }
    return NULL;
}

const char *
kobold_class_name(const char *class_key, int lang)
{
    for (unsigned i = 0; class_key != NULL && i < kobold_specials_count; i++) {
        if (strcmp(kobold_specials[i].class_name, class_key) == 0) {
            return kobold_specials[i].names[lang == 1];
        }
    }
    return NULL;
}

const char *
kobold_carrier_name(int carrier)
{
    static const char *const names[] = { "", "mapped", "nat64", "6to4", "teredo" };
    return carrier >= 0 && carrier < (int)BH_COUNT(names) ? names[carrier] : "";
}

int
kobold_country_next(int index, char ret_code[3])
{
    if (index < 0 || (unsigned)index >= kobold_countries_listed) {
        return -1;
    }
    memcpy(ret_code, kobold_countries[index].code, 3);
    return index + 1;
}

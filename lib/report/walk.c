/* SPDX-License-Identifier: BSD-2-Clause */
#include "bh_report_priv.h"

#include <inttypes.h>

void
bh_walk_uint(struct bh_walk *w, const char *key, uint64_t value)
{
    w->item(w, key, &(struct bh_item){ .type = BH_ITEM_UINT, .number = value });
}

void
bh_walk_micro(struct bh_walk *w, const char *key, uint64_t millionths)
{
    w->item(w, key, &(struct bh_item){ .type = BH_ITEM_MICRO, .number = millionths });
}

void
bh_walk_bool(struct bh_walk *w, const char *key, bool value)
{
    w->item(w, key, &(struct bh_item){ .type = BH_ITEM_BOOL, .number = value });
}

void
bh_walk_null(struct bh_walk *w, const char *key)
{
    w->item(w, key, &(struct bh_item){ .type = BH_ITEM_NULL });
}

void
bh_walk_text_n(struct bh_walk *w, const char *key, const char *text, size_t len)
{
    w->item(w, key, &(struct bh_item){ .type = BH_ITEM_TEXT, .text = text, .text_len = len });
}

void
bh_walk_text(struct bh_walk *w, const char *key, const char *text)
{
    if (text == NULL) {
        bh_walk_null(w, key);
    } else {
        bh_walk_text_n(w, key, text, strlen(text));
    }
}

void
bh_walk_time(struct bh_walk *w, const char *key, int64_t ts_ns)
{
    char text[40];
    bh_walk_text(w, key, bh_zone_format(ts_ns, text));
}

void
bh_walk_list(struct bh_walk *w, const char *key)
{
    w->begin(w, key, BH_SHAPE_LIST);
}

void
bh_walk_list_end(struct bh_walk *w)
{
    w->end(w, BH_SHAPE_LIST);
}

void
bh_walk_object(struct bh_walk *w, const char *key)
{
    w->begin(w, key, BH_SHAPE_OBJECT);
}

void
bh_walk_object_end(struct bh_walk *w)
{
    w->end(w, BH_SHAPE_OBJECT);
}

void
bh_walk_words(struct bh_walk *w, const char *key, const char *words)
{
    bh_walk_list(w, key);
    while (*words != '\0') {
        size_t len = strcspn(words, ",");
        if (len > 0) {
            bh_walk_text_n(w, NULL, words, len);
        }
        words += len;
        words += *words == ',';
    }
    bh_walk_list_end(w);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any text as a period. The first octet chooses the zone and the options the text is given to,
 * the rest is the text; a line break parts --since from --until.
 */
#include <stdlib.h>

#include "bh_zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct bh_period *p)
{
    char a[40];
    if ((p->start_ns >= p->end_ns && p->end_ns != INT64_MAX) || p->last_ns < 0) {
        abort();
    }
    bh_zone_format_short(p->start_ns, a);
    bh_zone_format_short(p->end_ns, a);
    /* What we print we can read: the same instant. */
    struct bh_period again;
    if (p->start_ns == INT64_MIN) {
        return;
    }
    bh_zone_format(p->start_ns, a);
    if (bh_period_parse(a, NULL, NULL, 0, &again, NULL) < 0 || again.start_ns != p->start_ns) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const zones[] = { "UTC",           "Asia/Tokyo",
                                         "Europe/Berlin", "America/New_York",
                                         "Pacific/Apia",  "Australia/Lord_Howe",
                                         "JST-9",         "America/Sao_Paulo" };
    static const int64_t nows[] = { 1185883200123456789, 1774746000000000000, INT64_MAX,
                                    INT64_MIN };
    static unsigned zone = 99;
    if (size < 1 || size > 4096) {
        return 0;
    }
    unsigned choice = data[0];
    if (zone != (choice & 7)) {
        zone = choice & 7;
        if (bh_zone_set(zones[zone], NULL) < 0) {
            return 0; /* no tz database here */
        }
    }
    char *text = malloc(size);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    char *second = strchr(text, '\n');
    if (second != NULL) {
        *second++ = '\0';
    }
    int64_t now = nows[choice >> 3 & 3];
    bool last = (choice & 0x20) != 0;
    struct bh_period p;
    struct bh_error err = { 0 };
    char line[1024];
    int r = bh_period_parse(last ? NULL : text, last ? NULL : second, last ? text : NULL, now, &p,
                            &err);
    if (r == 0) {
        check(&p);
    } else if (err.code != r || err.text[BH_EN][0] == '\0' || err.text[BH_JA][0] == '\0') {
        abort();
    } else {
        bh_error_line(&err, BH_JA, line, sizeof line);
    }
    if (!last && second == NULL) {
        r = bh_period_parse(NULL, text, NULL, now, &p, &err);
        if (r == 0) {
            check(&p);
        }
    }
    if (choice == 0x7f && strlen(text) < 64) {
        /* A zone in POSIX's notation; without files, because the search for the nearest of their
         * names takes longer than a thousand inputs. */
        char code[3];
        setenv("TZDIR", "/nonexistent", 1);
        if (bh_zone_set(text, &err) == 0) {
            zone = 99;
            check(&(struct bh_period){ .start_ns = 1185883200, .end_ns = INT64_MAX });
            bh_ignore(bh_zone_country(code) ? 1 : 0); /* must not crash */
        }
        unsetenv("TZDIR");
    }
    free(text);
    return 0;
}

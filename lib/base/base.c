/* SPDX-License-Identifier: BSD-2-Clause */
#include "bh_base.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int
bh_error_set(struct bh_error *e, int code, const char *where, const char *en, const char *ja, ...)
{
    if (e == NULL) {
        return code;
    }
    e->code = code;
    e->offset = 0;
    e->has_offset = false;
    e->line = 0;
    snprintf(e->where, sizeof e->where, "%s", where == NULL ? "" : where);
    const char *formats[BH_LANGS] = { en, ja };
    for (int lang = 0; lang < BH_LANGS; lang++) {
        va_list ap;
        va_start(ap, ja);
        vsnprintf(e->text[lang], sizeof e->text[lang], formats[lang], ap);
        va_end(ap);
    }
    return code;
}

int
bh_error_errno(struct bh_error *e, int saved_errno, const char *where, const char *en,
               const char *ja)
{
    bh_error_set(e, -saved_errno, where, "%s", "%s", "");
    if (e != NULL) {
        snprintf(e->text[BH_EN], sizeof e->text[BH_EN], "%s: %s", en, strerror(saved_errno));
        snprintf(e->text[BH_JA], sizeof e->text[BH_JA], "%s: %s", ja, strerror(saved_errno));
    }
    return -saved_errno;
}

const char *
bh_error_line(const struct bh_error *e, enum bh_lang lang, char *buf, size_t size)
{
    static const char *const byte_word[BH_LANGS] = { "byte", "バイト" };
    static const char *const line_word[BH_LANGS] = { "line", "行" };
    size_t n = 0;

    /* The place comes from a path or a word the user typed: it may hold anything. */
    struct bh_buf place = { 0 };
    bh_buf_put_safe(&place, e->where, strlen(e->where));
    buf[0] = '\0';
    if (place.len > 0) {
        n += (size_t)snprintf(buf, size, "%s: ", place.data);
    }
    bh_buf_done(&place);
    if (n < size && e->has_offset) {
        n += (size_t)snprintf(buf + n, size - n, "%s %llu: ", byte_word[lang],
                              (unsigned long long)e->offset);
    }
    if (n < size && e->line > 0) {
        n += (size_t)snprintf(buf + n, size - n, "%s %u: ", line_word[lang], (unsigned)e->line);
    }
    if (n < size) {
        snprintf(buf + n, size - n, "%s", e->text[lang]);
    }
    return buf;
}

enum bh_lang
bh_lang_from_env(void)
{
    static const char *const names[] = { "LC_ALL", "LC_MESSAGES", "LANG" };
    for (size_t i = 0; i < BH_COUNT(names); i++) {
        const char *v = getenv(names[i]);
        if (v != NULL && v[0] != '\0') {
            return strncmp(v, "ja", 2) == 0 ? BH_JA : BH_EN;
        }
    }
    return BH_EN;
}

uint64_t
bh_random_key(void)
{
    const char *seed = getenv("BH_SEED");
    if (seed != NULL) {
        return strtoull(seed, NULL, 0) * 0x9e3779b97f4a7c15ULL;
    }
    uint64_t key;
    if (getrandom(&key, sizeof key, 0) != (ssize_t)sizeof key) {
        /* Only an old kernel in early boot gets here; the key then resists less, no more. */
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        key = bh_mix64((uint64_t)t.tv_nsec, (uint64_t)getpid());
    }
    return key;
}

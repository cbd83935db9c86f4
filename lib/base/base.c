/* SPDX-License-Identifier: BSD-2-Clause */
#include "bh_base.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* The reasons people meet, in Japanese: our programs do not set the C library's locale, so that
 * numbers stay numbers. */
static const char *
reason_ja(int saved_errno)
{
    switch (saved_errno) {
    case ENOENT:
        return "ファイルまたはディレクトリがありません";
    case EACCES:
    case EPERM:
        return "権限がありません";
    case EISDIR:
        return "ディレクトリです";
    case ENOTDIR:
        return "途中の名前がディレクトリではありません";
    case EEXIST:
        return "すでにあります";
    case ENOSPC:
    case EDQUOT:
        return "空き容量がありません";
    case EFBIG:
        return "ファイルが大きすぎます";
    case EROFS:
        return "読み出し専用です";
    case EIO:
        return "入出力エラーです";
    case EBADF:
        return "開いていません";
    case EMFILE:
    case ENFILE:
        return "開いているファイルが多すぎます";
    case ENAMETOOLONG:
        return "名前が長すぎます";
    case ELOOP:
        return "シンボリックリンクがたどりきれません";
    case ENOMEM:
        return "メモリが足りません";
    default:
        return strerror(saved_errno);
    }
}

const char *
bh_errno_text(int saved_errno, enum bh_lang lang)
{
    if (lang == BH_JA) {
        return reason_ja(saved_errno);
    }
    /* "Bad file descriptor" tells a user nothing. */
    return saved_errno == EBADF ? "it is not open" : strerror(saved_errno);
}

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
    bh_text_trim(e->where); /* callers cut long words, too */
    const char *formats[BH_LANGS] = { en, ja };
    for (int lang = 0; lang < BH_LANGS; lang++) {
        va_list ap;
        va_start(ap, ja);
        int n = vsnprintf(e->text[lang], sizeof e->text[lang], formats[lang], ap);
        if (n >= (int)sizeof e->text[lang]) {
            bh_text_trim(e->text[lang]);
        }
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
        snprintf(e->text[BH_EN], sizeof e->text[BH_EN], "%s: %s", en,
                 bh_errno_text(saved_errno, BH_EN));
        snprintf(e->text[BH_JA], sizeof e->text[BH_JA], "%s: %s", ja,
                 bh_errno_text(saved_errno, BH_JA));
    }
    return -saved_errno;
}

const char *
bh_error_line(const struct bh_error *e, enum bh_lang lang, char *buf, size_t size)
{
    static const char *const byte_word[BH_LANGS] = { "byte", "バイト" };
    struct bh_buf place = { 0 };
    struct bh_buf rest = { 0 };

    /* Both hold paths and words that the user typed, or a stranger wrote into a file: they may
     * be anything. */
    bh_buf_put_safe(&place, e->where, strlen(e->where));
    bh_buf_puts(&rest, place.len > 0 ? ": " : "");
    if (e->has_offset) {
        bh_buf_printf(&rest, "%s %llu: ", byte_word[lang], (unsigned long long)e->offset);
    }
    if (e->line > 0) {
        bh_buf_printf(&rest, lang == BH_JA ? "%u 行目: " : "line %u: ", (unsigned)e->line);
    }
    bh_buf_put_safe(&rest, e->text[lang], strlen(e->text[lang]));
    /* What does not fit is cut from the place: what is wrong with it says more. */
    if (place.len + rest.len >= size && rest.len + 4 < size && place.len > 0) {
        place.len = size - 4 - rest.len;
        place.data[place.len] = '\0';
        bh_text_trim(place.data);
        place.len = strlen(place.data);
        bh_buf_puts(&place, "...");
    }
    int n = snprintf(buf, size, "%s%s", place.data == NULL ? "" : place.data,
                     rest.data == NULL ? "" : rest.data);
    if (n >= (int)size) {
        bh_text_trim(buf);
    }
    bh_buf_done(&place);
    bh_buf_done(&rest);
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

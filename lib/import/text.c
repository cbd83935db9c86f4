/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One buffer of a file's text. A record is looked at where it lies; only when it is not yet whole is
 * its beginning moved to the front and the buffer filled up (or doubled, up to TEXT_RECORD_MAX).
 */
#include "import_priv.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_CAP ((size_t)64 << 10)

int
text_fill(struct text *t)
{
    if (t->at > 0) {
        memmove(t->buf, t->buf + t->at, t->len - t->at);
        t->len -= t->at;
        t->at = 0;
    }
    if (t->len == t->cap) {
        if (t->cap >= TEXT_RECORD_MAX) {
            return -EMSGSIZE;
        }
        char *bigger = realloc(t->buf, t->cap * 2);
        if (bigger == NULL) {
            return -ENOMEM;
        }
        t->buf = bigger;
        t->cap *= 2;
    }
    /* Until it is full: a record is looked at again only when much has come. */
    while (t->len < t->cap && !t->ended) {
        size_t n;
        int r = bh_octets_read(t->octets, t->buf + t->len, t->cap - t->len, &n, &t->error);
        if (r < 0) {
            /* What came before is read first; then text_end() tells. */
            t->ended = true;
            t->failed = r;
            return 0;
        }
        t->ended = n == 0;
        t->len += n;
        t->bytes += (uint64_t)n;
    }
    return 0;
}

int
text_open(struct text *t, const char *path, struct bh_octets *opened, const void *data, size_t size,
          struct bh_error *err)
{
    *t = (struct text){ .next_line = 1, .octets = opened };
    int r = 0;
    if (opened == NULL) {
        r = path == NULL ? bh_octets_open_memory(data, size, &t->octets, err)
                         : bh_octets_open(path, &t->octets, err);
    }
    if (r < 0) {
        return r;
    }
    t->name = path == NULL ? "" : bh_octets_name(t->octets);
    t->cap = FIRST_CAP;
    t->buf = malloc(t->cap);
    r = t->buf == NULL ? -ENOMEM : text_fill(t);
    if (r < 0) {
        return bh_error_errno(err, -r, t->name, "cannot read", "読めません");
    }
    if (t->failed < 0 && t->len == 0) {
        if (err != NULL) {
            *err = t->error;
        }
        return t->failed;
    }
    if (text_begins_with(t, "\xef\xbb\xbf")) {
        t->at = 3;
    }
    return 0;
}

void
text_close(struct text *t)
{
    bh_octets_close(t->octets);
    free(t->buf);
    *t = (struct text){ 0 };
}

bool
text_begins_with(const struct text *t, const char *word)
{
    size_t n = strlen(word);
    return t->len - t->at >= n && memcmp(t->buf + t->at, word, n) == 0;
}

int
text_end(struct text *t)
{
    int r = t->failed;
    t->failed = 0;
    return r;
}

/* The rest of a line that was given up before its end was seen. */
int
text_pass_long_line(struct text *t)
{
    while (t->in_long_line && !(t->at == t->len && t->ended)) {
        char *newline = memchr(t->buf + t->at, '\n', t->len - t->at);
        if (newline != NULL) {
            t->at = (size_t)(newline - t->buf) + 1;
            t->next_line++;
            t->in_long_line = false;
            return 0;
        }
        t->at = t->len;
        int r = text_fill(t);
        if (r < 0) {
            t->ended = true;
            return r;
        }
    }
    return 0;
}

/* Take what is left of the line, or of the buffer when the line is longer. */
static void
take_line(struct text *t, const char *newline, struct cell *ret_line)
{
    const char *from = t->buf + t->at;
    size_t n = newline != NULL ? (size_t)(newline - from) : t->len - t->at;
    *ret_line = (struct cell){ from, n };
    t->at += n + (newline != NULL);
    t->line = t->next_line;
    t->next_line += newline != NULL;
    if (n > 0 && from[n - 1] == '\r') {
        ret_line->len--;
    }
}

int
text_line(struct text *t, struct cell *ret_line)
{
    int passed = BH_UNLIKELY(t->in_long_line) ? text_pass_long_line(t) : 0;
    if (passed < 0) {
        return passed;
    }
    for (;;) {
        const char *newline = memchr(t->buf + t->at, '\n', t->len - t->at);
        if (BH_LIKELY(newline != NULL)) {
            take_line(t, newline, ret_line);
            return TEXT_LINE;
        }
        if (t->ended) {
            if (t->at == t->len) {
                int r = text_end(t);
                return r < 0 ? r : TEXT_END;
            }
            take_line(t, NULL, ret_line);
            return TEXT_LINE;
        }
        int r = text_fill(t);
        if (r == -EMSGSIZE) {
            take_line(t, NULL, ret_line);
            t->in_long_line = true;
            return TEXT_LONG;
        }
        if (r < 0) {
            t->ended = true;
            t->at = t->len;
            return r;
        }
    }
}

int
text_octets(struct text *t, size_t n, struct cell *ret_octets)
{
    while (t->len - t->at < n && !t->ended) {
        int r = text_fill(t);
        if (r < 0) {
            t->ended = true;
            t->at = t->len;
            return r;
        }
    }
    if (t->len - t->at < n) {
        t->at = t->len;
        int r = text_end(t);
        return r < 0 ? r : TEXT_END;
    }
    *ret_octets = (struct cell){ t->buf + t->at, n };
    t->at += n;
    return TEXT_LINE;
}

int
text_skip(struct text *t, uint64_t n)
{
    int r = TEXT_LINE;
    while (n > 0 && r == TEXT_LINE) {
        struct cell some;
        const size_t part = n < FIRST_CAP / 2 ? (size_t)n : FIRST_CAP / 2;
        r = text_octets(t, part, &some);
        n -= part;
    }
    return r;
}

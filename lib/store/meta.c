/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a log says of itself, as lines "key value": few octets, readable by eye, and a later version
 * may add keys. Values are UTF-8; a line break is "\n", a backslash "\\".
 */
#include "file_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static void
put_text(struct bh_buf *out, const char *key, const char *value)
{
    if (value[0] == '\0') {
        return;
    }
    bh_buf_puts(out, key);
    bh_buf_putc(out, ' ');
    for (const char *p = value; *p != '\0'; p++) {
        if (*p == '\n' || *p == '\\') {
            bh_buf_putc(out, '\\');
            bh_buf_putc(out, *p == '\n' ? 'n' : '\\');
        } else {
            bh_buf_putc(out, *p);
        }
    }
    bh_buf_putc(out, '\n');
}

static void
put_number(struct bh_buf *out, const char *key, uint64_t value)
{
    if (value != 0) {
        bh_buf_printf(out, "%s %" PRIu64 "\n", key, value);
    }
}

/* The next line; what is not one is skipped. */
struct line {
    const char *key;
    size_t key_len;
    char value[1100];
    uint64_t number; /* 0 when the value is none */
    const char *rest;
};

static bool
next_line(const uint8_t **at, const uint8_t *end, struct line *ret)
{
    while (*at < end) {
        const uint8_t *start = *at, *stop = memchr(start, '\n', (size_t)(end - start));
        stop = stop == NULL ? end : stop;
        *at = stop == end ? end : stop + 1;
        const uint8_t *blank = memchr(start, ' ', (size_t)(stop - start));
        if (blank == NULL) {
            continue;
        }
        ret->key = (const char *)start;
        ret->key_len = (size_t)(blank - start);
        size_t n = 0;
        for (const uint8_t *p = blank + 1; p < stop && n + 1 < sizeof ret->value; p++) {
            if (*p == '\\' && p + 1 < stop) {
                p++;
                ret->value[n++] = *p == 'n' ? '\n' : (char)*p;
            } else if (*p != '\0') {
                ret->value[n++] = (char)*p;
            }
        }
        ret->value[n] = '\0';
        ret->number = strtoull(ret->value, NULL, 10);
        return true;
    }
    return false;
}

static bool
is_key(const struct line *l, const char *key)
{
    return strlen(key) == l->key_len && memcmp(key, l->key, l->key_len) == 0;
}

/* ---- the run ----------------------------------------------------------------------------------------- */

/* Texts and numbers, each once for both directions. */
/* clang-format off: a table */
#define RUN_TEXTS(X)                                                                               \
    X("sensor", sensor)                                                                            \
    X("source", source)                                                                            \
    X("home", home)                                                                                \
    X("home_en", home_text[BH_EN])                                                                 \
    X("home_ja", home_text[BH_JA])                                                                 \
    X("filter", filter)                                                                            \
    X("decap", decap)                                                                              \
    X("zone", zone)                                                                                \
    X("country_name", country_name)                                                                \
    X("country_date", country_date)                                                                \
    X("country_licence", country_licence)
/* clang-format on */
/* clang-format off: a table */
#define RUN_FLAGS(X)                                                                               \
    X("home_guessed", home_guessed)                                                                \
    X("lean", lean)                                                                                \
    X("two_sided", two_sided)                                                                      \
    X("all_accesses", all_accesses)                                                                \
    X("outcomes", outcomes)                                                                        \
    X("import", is_import)
/* clang-format on */

void
run_put(const struct bh_store_run *r, struct bh_buf *out)
{
    bh_buf_printf(out, "run %" PRIu64 "\n", r->id);
#define X(key, member) put_text(out, key, r->member);
    RUN_TEXTS(X)
#undef X
#define X(key, member) put_number(out, key, r->member);
    RUN_FLAGS(X)
#undef X
    put_number(out, "country_id", r->country_id);
    bh_buf_printf(out, "first_ns %" PRIu64 "\n", (uint64_t)r->first_ns);
}

static void
copy_text(char *to, size_t size, const char *from)
{
    const size_t n = strlen(from) < size ? strlen(from) : size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
    bh_text_trim(to);
}

void
run_get(struct bh_store_run *r, const uint8_t *data, size_t size)
{
    const uint8_t *at = data, *end = data + size;
    struct line l;
    *r = (struct bh_store_run){ 0 };
    while (next_line(&at, end, &l)) {
        if (is_key(&l, "run")) {
            r->id = l.number;
        } else if (is_key(&l, "country_id")) {
            r->country_id = l.number;
        } else if (is_key(&l, "first_ns")) {
            r->first_ns = (int64_t)l.number;
        }
#define X(key_text, member)                                                                        \
    if (is_key(&l, key_text)) {                                                                    \
        copy_text(r->member, sizeof r->member, l.value);                                           \
    }
        RUN_TEXTS(X)
#undef X
#define X(key_text, member)                                                                        \
    if (is_key(&l, key_text)) {                                                                    \
        r->member = l.number != 0;                                                                 \
    }
        RUN_FLAGS(X)
#undef X
    }
}

/* ---- sums --------------------------------------------------------------------------------------------- */

/* clang-format off: a table */
#define SUMS(X)                                                                                    \
    X("steps_back", steps_back)                                                                    \
    X("connections_lost", flows_lost)                                                              \
    X("conversations_lost", conversations_lost)                                                    \
    X("repeats_lost", repeats_lost)                                                                \
    X("held_early", held_early)                                                                    \
    X("rows", rows)                                                                                \
    X("bad_rows", bad_rows)                                                                        \
    X("other_lines", other_lines)                                                                  \
    X("late_rows", late_rows)                                                                      \
    X("input_bytes", input_bytes)                                                                  \
    X("frames", frames)                                                                            \
    X("own", own)                                                                                  \
    X("lost_kernel", lost[BH_STORE_LOST_KERNEL])                                                   \
    X("lost_queue", lost[BH_STORE_LOST_QUEUE])                                                     \
    X("lost_dead", lost[BH_STORE_LOST_DEAD])
/* clang-format on */

const char *
bh_store_cause_name(unsigned cause)
{
    static const char *const names[] = { "kernel", "queue", "dead", "down" };
    return cause < BH_STORE_CAUSES ? names[cause] : "";
}

/* A report suggests four that are not among the 64 it was told to be served: the first of many do. */
#define SERVED_KEPT 128U

static void
put_served(const struct bh_store_sums *s, struct bh_buf *out)
{
    uint32_t best[SERVED_KEPT], n = 0;
    for (uint32_t port = 0; s->served != NULL && port < 65536; port++) {
        const uint32_t count = s->served[port];
        if (count == 0 || (n == SERVED_KEPT && count <= s->served[best[n - 1]])) {
            continue;
        }
        uint32_t at = n < SERVED_KEPT ? n++ : n - 1;
        for (; at > 0 && s->served[best[at - 1]] < count; at--) {
            best[at] = best[at - 1];
        }
        best[at] = port;
    }
    for (uint32_t k = 0; k < n; k++) {
        bh_buf_printf(out, "served %" PRIu32 " %" PRIu32 "\n", best[k], s->served[best[k]]);
    }
}

void
sums_put(const struct bh_store_sums *s, struct bh_buf *out)
{
#define X(key, member) put_number(out, key, s->member);
    SUMS(X)
#undef X
    for (uint32_t k = 0; k < s->silence_count; k++) {
        bh_buf_printf(out, "silence %" PRId64 " %" PRId64 "\n", s->silence[k].start_ns,
                      s->silence[k].end_ns);
    }
    for (uint32_t k = 0; k < s->note_count; k++) {
        const struct bh_store_note *n = &s->note[k];
        bh_buf_printf(out, "note %d %d %d %" PRIu64 " %" PRIu64 "\n", n->damaged, n->code,
                      n->has_offset, n->offset, n->line);
        put_text(out, "note_file", n->file);
        put_text(out, "note_en", n->text[BH_EN]);
        put_text(out, "note_ja", n->text[BH_JA]);
    }
    for (uint32_t k = 0; k < s->gap_count; k++) {
        const struct bh_store_gap *g = &s->gap[k];
        bh_buf_printf(out, "gap %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu32 "\n", g->start_ns,
                      g->end_ns, g->packets, g->cause);
    }
    put_served(s, out);
}

static int
get_served(struct bh_store_sums *s, const char *value)
{
    char *rest;
    const unsigned long port = strtoul(value, &rest, 10);
    if (port > 65535) {
        return 0;
    }
    if (s->served == NULL && (s->served = calloc(65536, sizeof *s->served)) == NULL) {
        return -ENOMEM;
    }
    s->served[port] = (uint32_t)strtoul(rest, NULL, 10);
    return 0;
}

int
sums_get(struct bh_store_sums *s, const uint8_t *data, size_t size)
{
    const uint8_t *at = data, *end = data + size;
    struct line l;
    int r = 0;
    *s = (struct bh_store_sums){ 0 };
    while (r == 0 && next_line(&at, end, &l)) {
        struct bh_store_note *note = s->note_count > 0 ? &s->note[s->note_count - 1] : NULL;
        char *rest;
#define X(key_text, member)                                                                        \
    if (is_key(&l, key_text)) {                                                                    \
        s->member = l.number;                                                                      \
    }
        SUMS(X)
#undef X
        if (is_key(&l, "silence") && s->silence_count < BH_STORE_SILENCES_MAX) {
            struct bh_store_silence *x = &s->silence[s->silence_count++];
            x->start_ns = strtoll(l.value, &rest, 10);
            x->end_ns = strtoll(rest, NULL, 10);
        } else if (is_key(&l, "note") && s->note_count < BH_STORE_NOTES_MAX) {
            struct bh_store_note *n = &s->note[s->note_count++];
            n->damaged = strtol(l.value, &rest, 10) != 0;
            n->code = (int)strtol(rest, &rest, 10);
            n->has_offset = strtol(rest, &rest, 10) != 0;
            n->offset = strtoull(rest, &rest, 10);
            n->line = strtoull(rest, &rest, 10);
        } else if (is_key(&l, "note_file") && note != NULL) {
            copy_text(note->file, sizeof note->file, l.value);
        } else if (is_key(&l, "note_en") && note != NULL) {
            copy_text(note->text[BH_EN], sizeof note->text[BH_EN], l.value);
        } else if (is_key(&l, "note_ja") && note != NULL) {
            copy_text(note->text[BH_JA], sizeof note->text[BH_JA], l.value);
        } else if (is_key(&l, "gap") && s->gap_count < BH_STORE_GAPS_MAX) {
            struct bh_store_gap *g = &s->gap[s->gap_count];
            g->start_ns = strtoll(l.value, &rest, 10);
            g->end_ns = strtoll(rest, &rest, 10);
            g->packets = strtoull(rest, &rest, 10);
            g->cause = (uint32_t)strtoul(rest, NULL, 10);
            s->gap_count += g->cause < BH_STORE_CAUSES;
        } else if (is_key(&l, "served")) {
            r = get_served(s, l.value);
        }
    }
    return r;
}

void
bh_store_sums_done(struct bh_store_sums *s)
{
    free(s->served);
    *s = (struct bh_store_sums){ 0 };
}

int
bh_store_sums_add(struct bh_store_sums *into, const struct bh_store_sums *from)
{
    if (from->served != NULL && into->served == NULL &&
        (into->served = calloc(65536, sizeof *into->served)) == NULL) {
        return -ENOMEM;
    }
#define X(key, member) into->member += from->member;
    SUMS(X)
#undef X
    for (uint32_t k = 0; k < from->silence_count && into->silence_count < BH_STORE_SILENCES_MAX;
         k++) {
        into->silence[into->silence_count++] = from->silence[k];
    }
    for (uint32_t k = 0; k < from->note_count && into->note_count < BH_STORE_NOTES_MAX; k++) {
        into->note[into->note_count++] = from->note[k];
    }
    for (uint32_t k = 0; k < from->gap_count && into->gap_count < BH_STORE_GAPS_MAX; k++) {
        into->gap[into->gap_count++] = from->gap[k];
    }
    for (uint32_t port = 0; from->served != NULL && port < 65536; port++) {
        into->served[port] += from->served[port];
    }
    return 0;
}

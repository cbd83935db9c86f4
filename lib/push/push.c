/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is to be sent, and in which steps.
 *
 * The copy has a ledger: every segment that ever arrived, by its numbers, its run and its identity. So
 * retention may remove segments from the copy, or compaction join them where they come from, and nothing
 * is sent twice. A segment grows under a name with its identity (so octets of another one are never gone
 * on with), then the ledger names it, then it gets the name that readers know. Whoever is stopped between
 * the last two left a part that the ledger names: the next one only has to rename it.
 *
 * Nobody else writes segments into a copy (lock_dir() refuses), so the ranges of numbers in the ledger are
 * those that the sender had at some time. Compaction only joins them: of two ranges that meet, one holds
 * the other.
 */
#include "push_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

struct entry {
    uint64_t first, last, run, identity;
};

struct push {
    const struct bh_push_options *o;
    struct bh_push_result *result;
    struct push_target target;
    struct bh_store_segment *segment;
    size_t segments;
    struct push_list list;
    struct entry *entry;
    size_t entries, cap;
    struct bh_buf ledger;
    uint64_t total, done; /* octets */
    struct bh_error *err;
};

int
push_list_add(struct push_list *l, const char *name, size_t length, uint64_t size)
{
    if (length >= PUSH_NAME) {
        return 0; /* none of ours */
    }
    if (l->count == l->cap) {
        const size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        struct push_file *p = realloc(l->file, cap * sizeof *p);
        if (p == NULL) {
            return -ENOMEM;
        }
        l->file = p;
        l->cap = cap;
    }
    struct push_file *f = &l->file[l->count++];
    memcpy(f->name, name, length);
    f->name[length] = '\0';
    f->size = size;
    return 0;
}

static const struct push_file *
find_file(const struct push *x, const char *name)
{
    for (size_t k = 0; k < x->list.count; k++) {
        if (strcmp(x->list.file[k].name, name) == 0) {
            return &x->list.file[k];
        }
    }
    return NULL;
}

static void
part_name(char ret[PUSH_NAME], uint64_t first, uint64_t identity)
{
    snprintf(ret, PUSH_NAME, "%010" PRIu64 "-%016" PRIx64 ".part", first % 10000000000U, identity);
}

static void
segment_name(char ret[PUSH_NAME], uint64_t first)
{
    snprintf(ret, PUSH_NAME, "%010" PRIu64 ".seg", first % 10000000000U);
}

/* ---- the ledger ------------------------------------------------------------------------------------ */

static const char ledger_title[] = "beholder pushed 1\n";

static int
add_entry(struct push *x, struct entry e)
{
    if (x->entries == x->cap) {
        const size_t cap = x->cap == 0 ? 64 : x->cap * 2;
        struct entry *p = realloc(x->entry, cap * sizeof *p);
        if (p == NULL) {
            return bh_error_errno(x->err, ENOMEM, x->o->target, "cannot push", "送れません");
        }
        x->entry = p;
        x->cap = cap;
    }
    x->entry[x->entries++] = e;
    return 0;
}

static int
bad_ledger(struct push *x)
{
    return bh_error_set(x->err, BH_EFORMAT, x->o->target,
                        "its list of what arrived (%s) is not one; nothing was sent",
                        "到着済みの一覧 (%s) が読めません。何も送っていません", PUSH_LEDGER);
}

static int
read_ledger(struct push *x)
{
    char *at = x->ledger.data;
    if (x->ledger.len == 0) {
        bh_buf_puts(&x->ledger, ledger_title);
        return x->ledger.failed ? -ENOMEM : 0;
    }
    bh_buf_putc(&x->ledger, '\0');
    x->ledger.len--;
    if (x->ledger.failed ||
        strncmp(at = x->ledger.data, ledger_title, sizeof ledger_title - 1) != 0) {
        return bad_ledger(x);
    }
    at += sizeof ledger_title - 1;
    while (*at != '\0') {
        struct entry e;
        char *end = strchr(at, '\n'), *p = at;
        e.first = strtoull(p, &p, 10);
        e.last = strtoull(p, &p, 10);
        e.run = strtoull(p, &p, 16);
        e.identity = strtoull(p, &p, 16);
        if (end == NULL || p != end || e.first == 0 || e.last < e.first) {
            return bad_ledger(x);
        }
        int r = add_entry(x, e);
        if (r != 0) {
            return r;
        }
        at = end + 1;
    }
    return 0;
}

/* Is every number of the segment in the ledger? */
static bool
is_covered(const struct push *x, const struct bh_store_segment *s)
{
    uint64_t next = s->first_sequence;
    for (bool more = true; more && next <= s->last_sequence;) {
        more = false;
        for (size_t k = 0; k < x->entries; k++) {
            const struct entry *e = &x->entry[k];
            if (e->first <= next && next <= e->last) {
                next = e->last + 1;
                more = true;
            }
        }
    }
    return next > s->last_sequence;
}

static bool
is_listed(const struct push *x, uint64_t identity)
{
    for (size_t k = 0; k < x->entries; k++) {
        if (x->entry[k].identity == identity) {
            return true;
        }
    }
    return false;
}

static bool
is_to_send(const struct push *x, const struct bh_store_segment *s)
{
    return s->identity != 0 && (x->o->again ? !is_listed(x, s->identity) : !is_covered(x, s));
}

/* ---- is it ours? ------------------------------------------------------------------------------------- */

static int
check_target(struct push *x)
{
    for (size_t k = 0; k < x->list.count; k++) {
        const char *dot = strrchr(x->list.file[k].name, '.');
        const bool log = dot != NULL && (strcmp(dot, ".seg") == 0 || strcmp(dot, ".jnl") == 0);
        if (log && (x->entries == 0 || strcmp(dot, ".jnl") == 0)) {
            return bh_error_set(
                x->err, BH_EUSAGE, x->o->target,
                "is a log of its own; give a directory that is new, or was pushed to before",
                "は独立したログです。新しいディレクトリか、前回の送り先を指定してください");
        }
    }
    for (size_t k = 0; k < x->segments; k++) {
        const struct bh_store_segment *s = &x->segment[k];
        for (size_t e = 0; e < x->entries; e++) {
            const struct entry *t = &x->entry[e];
            if (t->first <= s->last_sequence && s->first_sequence <= t->last && t->run != s->run) {
                return bh_error_set(
                    x->err, BH_EUSAGE, x->o->target,
                    "holds segments of another log than %s; nothing was sent",
                    "には %s とは別のログのセグメントがあります。何も送っていません", x->o->log);
            }
        }
    }
    return 0;
}

/* Parts that the ledger names only want their name; others that are of no segment any more go. */
static int
finish_parts(struct push *x)
{
    int r = 0;
    for (size_t k = 0; k < x->list.count && r == 0; k++) {
        char part[PUSH_NAME], name[PUSH_NAME];
        const char *have = x->list.file[k].name, *dot = strrchr(have, '.');
        bool known = false, renamed = false;
        if (dot == NULL || strcmp(dot, ".part") != 0) {
            continue;
        }
        for (size_t e = 0; e < x->entries && r == 0 && !renamed; e++) {
            part_name(part, x->entry[e].first, x->entry[e].identity);
            if (strcmp(part, have) == 0) {
                segment_name(name, x->entry[e].first);
                r = x->target.kind->rename(&x->target, have, name, x->err);
                renamed = true;
            }
        }
        for (size_t s = 0; s < x->segments; s++) {
            part_name(part, x->segment[s].first_sequence, x->segment[s].identity);
            known |= strcmp(part, have) == 0;
        }
        if (r == 0 && !known && !renamed) {
            r = x->target.kind->remove(&x->target, have, x->err);
        }
    }
    return r;
}

/* What a segment has joined, and whoever put it there had no time to remove. */
static int
remove_joined(struct push *x)
{
    int r = 0;
    for (size_t k = 0; k < x->list.count && r == 0; k++) {
        const char *name = x->list.file[k].name;
        const uint64_t n = strtoull(name, NULL, 10);
        bool joined = false;
        for (size_t e = 0;
             e < x->entries && !joined && strlen(name) == 14 && strcmp(name + 10, ".seg") == 0;
             e++) {
            char larger[PUSH_NAME], part[PUSH_NAME];
            segment_name(larger, x->entry[e].first);
            part_name(part, x->entry[e].first, x->entry[e].identity);
            joined = x->entry[e].first < n && n <= x->entry[e].last &&
                     find_file(x, larger) != NULL && find_file(x, part) == NULL;
        }
        r = joined ? x->target.kind->remove(&x->target, name, x->err) : 0;
    }
    return r;
}

/* ---- sending ------------------------------------------------------------------------------------------ */

static bool
step(void *arg, uint64_t octets)
{
    struct push *x = arg;
    return x->o->progress == NULL || x->o->progress(x->o->progress_arg, x->done + octets, x->total);
}

/* What the copy has of what the segment joins. */
static int
find_joined(const struct push *x, const struct bh_store_segment *s, char (**ret)[PUSH_NAME],
            size_t *ret_count)
{
    *ret_count = 0;
    *ret = calloc(x->list.count + 1, sizeof **ret);
    for (size_t k = 0; *ret != NULL && k < x->list.count; k++) {
        const char *name = x->list.file[k].name;
        const uint64_t n = strtoull(name, NULL, 10);
        if (strlen(name) == 14 && strcmp(name + 10, ".seg") == 0 && n > s->first_sequence &&
            n <= s->last_sequence) {
            memcpy((*ret)[(*ret_count)++], name, PUSH_NAME);
        }
    }
    return *ret == NULL ? -ENOMEM : 0;
}

static int
send_segment(struct push *x, const struct bh_store_segment *s)
{
    char path[4096], (*joined)[PUSH_NAME] = NULL;
    struct push_item item = { .ledger = &x->ledger, .step = step, .arg = x, .size = s->bytes };
    segment_name(item.name, s->first_sequence);
    part_name(item.part, s->first_sequence, s->identity);
    snprintf(path, sizeof path, "%s/%s", x->o->log, item.name);
    item.path = path;
    /* From the descriptor that its identity was read from: compaction may put another file in its place. */
    item.fd = bh_store_segment_open(x->o->log, s);
    if (item.fd < 0) {
        return item.fd == -ESTALE ||
                       item.fd == -ENOENT /* joined or removed meanwhile: the next push */
                   ? 0
                   : bh_error_errno(x->err, -item.fd, path, "cannot read", "読めません");
    }
    const struct push_file *part = find_file(x, item.part);
    item.have = part == NULL ? 0 : part->size;
    int r = find_joined(x, s, &joined, &item.joined_count);
    item.joined = (const char(*)[PUSH_NAME])joined;
    const struct entry e = { s->first_sequence, s->last_sequence, s->run, s->identity };
    r = r != 0 ? bh_error_errno(x->err, ENOMEM, path, "cannot push", "送れません")
               : add_entry(x, e);
    bh_buf_printf(&x->ledger, "%" PRIu64 " %" PRIu64 " %016" PRIx64 " %016" PRIx64 "\n", e.first,
                  e.last, e.run, e.identity);
    if (r == 0 && x->ledger.failed) {
        r = bh_error_errno(x->err, ENOMEM, path, "cannot push", "送れません");
    }
    r = r != 0 ? r : x->target.kind->send(&x->target, &item, x->err);
    if (r == 0) {
        x->result->segments++;
        x->result->records += s->records;
        x->result->bytes += s->bytes;
        x->result->resumed_bytes += item.have <= item.size ? item.have : 0;
        x->done += s->bytes;
    }
    close(item.fd);
    free(joined);
    return r;
}

static int
push_all(struct push *x)
{
    int r = bh_store_segments(x->o->log, &x->segment, &x->segments, x->err);
    r = r != 0 ? r : x->target.kind->begin(&x->target, &x->list, &x->ledger, x->err);
    r = r != 0 ? r : read_ledger(x);
    r = r != 0 ? r : check_target(x);
    r = r != 0 ? r : finish_parts(x);
    r = r != 0 ? r : remove_joined(x);
    for (size_t k = 0; k < x->segments && r == 0; k++) {
        x->total += is_to_send(x, &x->segment[k]) ? x->segment[k].bytes : 0;
        x->result->damaged += x->segment[k].identity == 0;
    }
    for (size_t k = 0; k < x->segments && r == 0; k++) {
        if (is_to_send(x, &x->segment[k])) {
            r = send_segment(x, &x->segment[k]);
        } else {
            x->result->there += x->segment[k].identity != 0;
        }
    }
    return r;
}

/* One push of a log at a time: two that send the same segment would write the same part. The directory
 * itself is locked, which takes no right to write it and does not keep its writer out. */
static int
lock_source(const char *dir, int *ret_fd, struct bh_error *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return bh_error_errno(err, errno, dir, "cannot open", "開けません");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return bh_error_set(err, BH_ELIMIT, dir, "another push of this log is under way",
                            "このログは別のプロセスが送信中です");
    }
    *ret_fd = fd;
    return 0;
}

/* "host:dir", "user@host:dir": a colon before any slash. */
static int
parse_target(struct push_target *t, const struct bh_push_options *o, struct bh_error *err)
{
    const size_t n = strcspn(o->target, ":/");
    *t = (struct push_target){
        .kind = &push_directory, .options = o, .text = o->target, .dir = o->target, .lock_fd = -1
    };
    if (o->target[n] != ':') {
        return 0;
    }
    if (n == 0 || n >= sizeof t->host || o->target[0] == '-' || o->target[n + 1] == '\0') {
        return bh_error_set(err, BH_EUSAGE, o->target, "give a directory, or HOST:DIRECTORY",
                            "ディレクトリか、ホスト:ディレクトリを指定してください");
    }
    memcpy(t->host, o->target, n);
    t->dir = o->target + n + 1;
    t->kind = &push_host;
    return 0;
}

int
bh_push_run(const struct bh_push_options *o, struct bh_push_result *ret_result,
            struct bh_error *err)
{
    struct bh_error local = { 0 };
    struct push x = { .o = o, .result = ret_result, .err = err != NULL ? err : &local };
    int fd = -1;
    *ret_result = (struct bh_push_result){ 0 };
    int r = parse_target(&x.target, o, x.err);
    r = r != 0 ? r : lock_source(o->log, &fd, x.err);
    if (r == 0) {
        r = push_all(&x);
        x.target.kind->end(&x.target);
        close(fd);
    }
    free(x.segment);
    free(x.list.file);
    free(x.entry);
    bh_buf_done(&x.ledger);
    return r;
}

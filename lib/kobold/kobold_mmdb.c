/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_mmdb.c - databases in MaxMind's format, read through libmaxminddb: the registered country
 * (else the country) or the autonomous system of every network in them.
 *
 * The file is a stranger's. libmaxminddb checks what it reads; here the walk through the search
 * tree is bounded: it looks at no more nodes than a tree can have, so that one whose branches
 * meet again, or lead back, ends as an error instead of never. The places where an IPv6
 * database shows its IPv4 part once more (::ffff:0:0/96, 2002::/16 ...) are left out: Kobold
 * unwraps these addresses itself.
 */
#include "kobold_text_priv.h"

#define MARK "\xab\xcd\xefMaxMind.com"

bool
is_mmdb(const char *data, size_t size)
{
    size_t tail = size < 131072 ? size : 131072;
    return memmem(data + size - tail, tail, MARK, sizeof MARK - 1) != NULL;
}

#ifndef KOBOLD_WITH_MAXMINDDB

static int
refuse(const char *name, struct bh_error *err)
{
    return bh_error_set(err, BH_EFORMAT, name,
                        "a database in MaxMind's format, which this program was built without "
                        "libmaxminddb to read%s",
                        "MaxMind 形式のデータベースですが、このプログラムは libmaxminddb なしで"
                        "作られているので読めません%s",
                        "");
}

int
mmdb_parse(struct kobold_source *s, const char *data, size_t size, struct bh_error *err)
{
    (void)data;
    (void)size;
    return refuse(s->name, err);
}

int
mmdb_parse_as(struct kobold_build *b, const char *name, const char *data, size_t size,
              struct kobold_input *input, struct bh_error *err)
{
    (void)b;
    (void)data;
    (void)size;
    (void)input;
    return refuse(name, err);
}

#else

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <maxminddb.h>

/* What a data record says; each is decoded once however many networks share it. */
struct record {
    uint32_t offset1; /* in the data section, plus one; 0: empty */
    bool is_good;
    int code;        /* as parse_country() has it                 */
    uint32_t number; /* of an AS                                  */
};

struct walk {
    MMDB_s *db;
    const char *name;
    struct bh_error *err;
    struct kobold_source *source; /* countries; else: */
    struct kobold_build *build;   /* AS tables        */
    struct kobold_input *input;
    struct record *records;
    uint32_t record_mask, record_count;
    uint64_t nodes_left;
    struct bh_buf as_name; /* of the record asked for last */
};

/* ---- records ------------------------------------------------------------------------------------- */

static struct field
text_at(MMDB_entry_s *entry, const char *const *path)
{
    MMDB_entry_data_s d;
    if (MMDB_aget_value(entry, &d, path) != MMDB_SUCCESS || !d.has_data ||
        d.type != MMDB_DATA_TYPE_UTF8_STRING) {
        return (struct field){ "", 0 };
    }
    return (struct field){ d.utf8_string, d.data_size };
}

/* The registered country first: that is what Kobold answers. Then the places where others put a
 * code. */
static void
decode_country(struct walk *w, MMDB_entry_s *entry, struct record *ret)
{
    static const char *const paths[][3] = {
        { "registered_country", "iso_code", NULL },
        { "country", "iso_code", NULL },
        { "country_code", NULL, NULL },
        { "country", NULL, NULL },
        { "iso_code", NULL, NULL },
    };
    struct field f = { "", 0 };
    for (size_t i = 0; i < BH_COUNT(paths) && f.len == 0; i++) {
        f = text_at(entry, paths[i]);
    }
    ret->code = parse_country(w->input, f);
    ret->is_good = ret->code >= 0;
}

static void
decode_as(struct walk *w, MMDB_entry_s *entry, struct record *ret)
{
    static const char *const number_paths[][2] = { { "autonomous_system_number", NULL },
                                                   { "asn", NULL } };
    static const char *const name_paths[][2] = { { "autonomous_system_organization", NULL },
                                                 { "as_name", NULL },
                                                 { "name", NULL } };
    struct field f = { "", 0 };
    ret->is_good = false;
    for (size_t i = 0; i < BH_COUNT(number_paths) && !ret->is_good; i++) {
        MMDB_entry_data_s d;
        if (MMDB_aget_value(entry, &d, number_paths[i]) != MMDB_SUCCESS || !d.has_data) {
            continue;
        }
        ret->number = d.type == MMDB_DATA_TYPE_UINT32   ? d.uint32
                      : d.type == MMDB_DATA_TYPE_UINT16 ? d.uint16
                                                        : 0;
        if (d.type == MMDB_DATA_TYPE_UTF8_STRING) {
            ret->number = as_number((struct field){ d.utf8_string, d.data_size });
        }
        ret->is_good = ret->number != 0;
    }
    for (size_t i = 0; i < BH_COUNT(name_paths) && f.len == 0; i++) {
        f = text_at(entry, name_paths[i]);
    }
    w->as_name.len = 0;
    bh_buf_add(&w->as_name, f.at, f.len);
}

static bool
grow_records(struct walk *w)
{
    uint32_t slots = w->records == NULL ? 1024 : (w->record_mask + 1) * 2;
    struct record *table = calloc(slots, sizeof *table);
    if (table == NULL) {
        return false;
    }
    for (uint32_t i = 0; w->records != NULL && i <= w->record_mask; i++) {
        const struct record *r = &w->records[i];
        if (r->offset1 != 0) {
            uint32_t at = (r->offset1 * 0x9e3779b1U) & (slots - 1);
            while (table[at].offset1 != 0) {
                at = (at + 1) & (slots - 1);
            }
            table[at] = *r;
        }
    }
    free(w->records);
    w->records = table;
    w->record_mask = slots - 1;
    return true;
}

static const struct record *
record_at(struct walk *w, MMDB_entry_s *entry)
{
    if (w->record_count * 2 >= (w->records == NULL ? 0 : w->record_mask) && !grow_records(w)) {
        return NULL;
    }
    uint32_t offset1 = entry->offset + 1;
    uint32_t at = (offset1 * 0x9e3779b1U) & w->record_mask;
    while (w->records[at].offset1 != 0 && w->records[at].offset1 != offset1) {
        at = (at + 1) & w->record_mask;
    }
    struct record *r = &w->records[at];
    if (r->offset1 == 0) {
        r->offset1 = offset1;
        w->record_count++;
        if (w->source != NULL) {
            decode_country(w, entry, r);
        } else {
            decode_as(w, entry, r);
        }
    }
    return r;
}

/* ---- the tree ---------------------------------------------------------------------------------------- */

static int
take_network(struct walk *w, int family, struct kobold_addr start, unsigned len,
             MMDB_entry_s *entry)
{
    struct kobold_range range = { .start = start };
    const struct record *r = record_at(w, entry);
    if (r == NULL) {
        return -ENOMEM;
    }
    if (!r->is_good || !block_end(family, start, len, &range.end)) {
        w->input->unused++;
        return 0;
    }
    w->input->ranges++;
    if (w->source == NULL) {
        return as_add(&w->build->as, family, range.start, range.end, r->number, w->as_name.data,
                      w->as_name.len);
    }
    range.code = (uint16_t)r->code;
    ranges_add(&w->source->ranges[family == 6], &range);
    return w->source->ranges[family == 6].failed ? -ENOMEM : 0;
}

/* Does the IPv4 part show once more here? */
static bool
is_alias(struct kobold_addr a, unsigned len)
{
    return (len == 16 && a.hi >> 48 == 0x2002) || (len == 32 && a.hi >> 32 == 0x20010000) ||
           (len == 96 && a.hi == 0 && a.lo >> 32 == 0xffff) ||
           (len == 96 && a.hi == 0x0064ff9b00000000U && a.lo >> 32 == 0);
}

struct branch {
    uint64_t record;
    uint8_t type;
    struct kobold_addr start;
    unsigned len;
    MMDB_entry_s entry;
};

/* One end of a node: a network, a deeper node, or nothing. */
static int
take_branch(struct walk *w, const struct branch *x, bool is_v6)
{
    struct branch at = *x;
    bool is_v4 = !is_v6 || (at.start.hi == 0 && at.start.lo <= UINT32_MAX && at.len >= 96);
    unsigned len = is_v4 && is_v6 ? at.len - 96 : at.len;
    if (at.type != MMDB_RECORD_TYPE_DATA ||
        (!is_v4 && is_v6 && at.len < 96 && at.start.hi == 0 && at.start.lo == 0)) {
        return 0; /* nothing; or one record for ::/95 and above, which says nothing of IPv4 */
    }
    return take_network(w, is_v4 ? 4 : 6, at.start, len, &at.entry);
}

static int
walk_tree(struct walk *w)
{
    struct branch stack[130];
    size_t depth = 0;
    const bool is_v6 = w->db->metadata.ip_version == 6;
    const unsigned bits = is_v6 ? 128 : 32;
    stack[depth++] = (struct branch){ .type = MMDB_RECORD_TYPE_SEARCH_NODE };
    while (depth > 0) {
        struct branch at = stack[--depth];
        MMDB_search_node_s node;
        if (w->nodes_left-- == 0 || at.len >= bits) {
            return BH_EDAMAGED;
        }
        int status = MMDB_read_node(w->db, (uint32_t)at.record, &node);
        if (status != MMDB_SUCCESS) {
            return BH_EDAMAGED;
        }
        const struct branch ends[2] = {
            { node.left_record, node.left_record_type, at.start, at.len + 1,
              node.left_record_entry },
            { node.right_record, node.right_record_type, at.start, at.len + 1,
              node.right_record_entry },
        };
        for (int side = 1; side >= 0; side--) { /* the lower one is on top of the stack then */
            struct branch x = ends[side];
            unsigned bit = bits - x.len; /* of the address, from the lowest */
            if (side == 1) {
                x.start.hi |= bit >= 64 ? 1ULL << (bit - 64) : 0;
                x.start.lo |= bit >= 64 ? 0 : 1ULL << bit;
            }
            if (x.type == MMDB_RECORD_TYPE_INVALID) {
                return BH_EDAMAGED;
            }
            if (is_v6 && is_alias(x.start, x.len)) {
                continue;
            }
            int r = 0;
            if (x.type == MMDB_RECORD_TYPE_SEARCH_NODE) {
                stack[depth++] = x;
            } else {
                r = take_branch(w, &x, is_v6);
            }
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

/* libmaxminddb opens names only; this one is a file in memory. */
static int
open_memory(const char *data, size_t size, MMDB_s *ret)
{
    char path[64];
    int fd = memfd_create("kobold-mmdb", MFD_CLOEXEC);
    if (fd < 0) {
        return MMDB_FILE_OPEN_ERROR;
    }
    int r = MMDB_IO_ERROR;
    size_t done = 0;
    while (done < size) {
        ssize_t n = write(fd, data + done, size - done);
        if (n <= 0) {
            goto out;
        }
        done += (size_t)n;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    r = MMDB_open(path, MMDB_MODE_MMAP, ret);
out:
    close(fd);
    return r;
}

static int
walk_database(struct walk *w, const char *data, size_t size)
{
    MMDB_s db;
    int status = open_memory(data, size, &db);
    if (status != MMDB_SUCCESS) {
        return bh_error_set(w->err, BH_EDAMAGED, w->name,
                            "a database in MaxMind's format that cannot be opened: %s",
                            "MaxMind 形式のデータベースですが、開けません: %s",
                            MMDB_strerror(status));
    }
    w->db = &db;
    /* Aliases apart, a tree shows each node once; some writers let a few branches share one. */
    w->nodes_left = (uint64_t)db.metadata.node_count * 4 + 1024;
    int r = walk_tree(w);
    if (r == BH_EDAMAGED) {
        bh_error_set(w->err, r, w->name,
                     "the search tree of this database in MaxMind's format is damaged%s",
                     "MaxMind 形式のデータベースの探索木が壊れています%s", "");
    } else if (r < 0) {
        out_of_memory(w->err);
    } else if (w->input->ranges == 0) {
        r = bh_error_set(
            w->err, BH_EFORMAT, w->name,
            w->source != NULL ? "a database in MaxMind's format (%s) without countries"
                              : "a database in MaxMind's format (%s) without AS numbers",
            w->source != NULL ? "MaxMind 形式のデータベース (%s) ですが、国がありません"
                              : "MaxMind 形式のデータベース (%s) ですが、AS "
                                "番号がありません",
            db.metadata.database_type);
    }
    if (r == 0 && w->source != NULL) {
        w->source->day = day_of_seconds(db.metadata.build_epoch);
        w->source->day = is_day(w->source->day) ? w->source->day : 0;
        snprintf(w->source->vendor, sizeof w->source->vendor, "%s", db.metadata.database_type);
    }
    MMDB_close(&db);
    free(w->records);
    bh_buf_done(&w->as_name);
    return r;
}

int
mmdb_parse(struct kobold_source *s, const char *data, size_t size, struct bh_error *err)
{
    struct walk w = { .name = s->name, .err = err, .source = s, .input = &s->input };
    s->input.format = KOBOLD_FORMAT_MMDB;
    return walk_database(&w, data, size);
}

int
mmdb_parse_as(struct kobold_build *b, const char *name, const char *data, size_t size,
              struct kobold_input *input, struct bh_error *err)
{
    struct walk w = { .name = name, .err = err, .build = b, .input = input };
    input->format = KOBOLD_FORMAT_MMDB;
    return walk_database(&w, data, size);
}

#endif

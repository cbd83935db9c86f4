/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's packet log in the journal's export format (journalctl -o export): an entry is lines NAME=value, and an empty
 * line ends it. A value that is no plain text stands as a line NAME, its size (64 bits, little-endian), its octets and a line
 * end (systemd.io/JOURNAL_EXPORT_FORMATS).
 *
 * A line is good until the next one is read, so what is needed of an entry is copied.
 */
#include "import_priv.h"

#include <errno.h>

enum { FIELD_NONE, FIELD_MESSAGE, FIELD_TIME, FIELD_TRANSPORT, FIELD_IDENTIFIER };

static unsigned
field_of(struct cell name)
{
    static const struct {
        const char *name;
        unsigned field;
    } fields[] = {
        { "MESSAGE", FIELD_MESSAGE },
        { "__REALTIME_TIMESTAMP", FIELD_TIME },
        { "_TRANSPORT", FIELD_TRANSPORT },
        { "SYSLOG_IDENTIFIER", FIELD_IDENTIFIER },
    };
    for (size_t k = 0; k < BH_COUNT(fields); k++) {
        if (strlen(fields[k].name) == name.len && memcmp(fields[k].name, name.at, name.len) == 0) {
            return fields[k].field;
        }
    }
    return FIELD_NONE;
}

/* The first of a name counts. What does not fit is no packet's. */
static void
keep(struct journal_entry *e, unsigned field, struct cell value)
{
    switch (field) {
    case FIELD_MESSAGE:
        if (e->message_len == 0 && value.len <= sizeof e->message) {
            memcpy(e->message, value.at, value.len);
            e->message_len = value.len;
        }
        break;
    case FIELD_TIME:
        if (e->time_len == 0 && value.len <= sizeof e->time) {
            memcpy(e->time, value.at, value.len);
            e->time_len = value.len;
        }
        break;
    case FIELD_TRANSPORT:
        e->is_kernel = e->has_transport ? e->is_kernel : cell_same(value, "kernel");
        e->has_transport = true;
        break;
    case FIELD_IDENTIFIER:
        e->calls_itself_kernel |= cell_same(value, "kernel");
        break;
    default:
        break;
    }
}

/* Behind the name of a value of octets. TEXT_LINE, TEXT_END when the file ends inside, or negative. */
static int
take_octets(struct text *t, struct journal_entry *e, unsigned field)
{
    struct cell octets;
    int r = text_octets(t, 8, &octets);
    if (r != TEXT_LINE) {
        return r;
    }
    uint64_t size = bh_get_le64((const uint8_t *)octets.at);
    if (size <= sizeof e->message) {
        r = text_octets(t, (size_t)size, &octets);
        if (r == TEXT_LINE) {
            keep(e, field, octets);
        }
    } else {
        r = text_skip(t, size);
    }
    return r != TEXT_LINE ? r : text_octets(t, 1, &octets);
}

/* TEXT_LINE: an entry; TEXT_END: there is none; negative. */
static int
take_entry(struct import_file *f)
{
    struct journal_entry *e = &f->entry;
    bool any = false;
    e->message_len = e->time_len = 0;
    e->is_kernel = e->has_transport = e->calls_itself_kernel = false;
    for (;;) {
        struct cell line;
        int r = text_line(&f->text, &line);
        if (r < 0 || (r == TEXT_END && !any)) {
            return r;
        }
        if (r == TEXT_END || (r == TEXT_LINE && line.len == 0)) {
            if (any) {
                return TEXT_LINE;
            }
            continue; /* empty lines between entries */
        }
        any = true;
        const char *equals = memchr(line.at, '=', line.len);
        const struct cell name = { line.at,
                                   equals == NULL ? line.len : (size_t)(equals - line.at) };
        if (equals != NULL) {
            keep(e, field_of(name), (struct cell){ equals + 1, line.len - name.len - 1 });
        } else if (r == TEXT_LINE) {
            r = take_octets(&f->text, e, field_of(name));
            if (r < 0) {
                return r;
            }
        }
    }
}

static int
export_next(struct import_file *f)
{
    const struct journal_entry *e = &f->entry;
    int r = take_entry(f);
    if (r != TEXT_LINE) {
        return r < 0 ? r : READ_END;
    }
    const bool is_kernels = e->has_transport ? e->is_kernel : e->calls_itself_kernel;
    return is_kernels ? journal_packet(f, (struct cell){ e->message, e->message_len },
                                       (struct cell){ e->time, e->time_len })
                      : READ_OTHER;
}

static bool
is_export(const struct text *t)
{
    return text_begins_with(t, "__CURSOR=") || text_begins_with(t, "__REALTIME_TIMESTAMP=");
}

const struct reader reader_journal_export = {
    .name = "netfilter",
    .text = { "packets of a journal's export (netfilter)",
              "ジャーナルの書き出しにあるパケットログ (netfilter)" },
    .has_cold = true,
    .is = is_export,
    .next = export_next,
};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "ecs.h"

#include <stdlib.h>

/* How a value changes on its way. */
enum form {
    AS_IS,
    CONSTANT,  /* `fixed`                                  */
    TEXT,      /* a number that ECS has as a keyword       */
    DIRECTION, /* in: inbound, as firewalls see it         */
    IP_TYPE,   /* 4: ipv4                                  */
    MAC,       /* 00-00-5E-00-53-23 (RFC 7042)             */
    COUNTRY,   /* two letters or nothing                   */
    OUTCOME,   /* complete: success                        */
    SENSOR,
    ID,
};

/* In the order of the line: what shares an object stands together. A column may stand twice. */
static const struct place {
    const char *column; /* NULL: always there */
    const char *path;
    enum form form;
    const char *fixed;
} places[] = {
    { "time", "@timestamp", AS_IS, NULL },
    { NULL, "ecs.version", CONSTANT, "\"8.11.0\"" },
    { NULL, "event.kind", CONSTANT, "\"event\"" },
    { NULL, "event.category", CONSTANT, "[\"network\"]" },
    { NULL, "event.module", CONSTANT, "\"beholder\"" },
    { "id", "event.id", ID, NULL },
    { "class", "event.action", AS_IS, NULL },
    { "outcome", "event.outcome", OUTCOME, NULL },
    { "direction", "network.direction", DIRECTION, NULL },
    { "ip_version", "network.type", IP_TYPE, NULL },
    { "proto", "network.transport", AS_IS, NULL },
    { "ip_len", "network.bytes", AS_IS, NULL },
    { "weight", "network.packets", AS_IS, NULL },
    { "vlan", "network.vlan.id", TEXT, NULL },
    { "sensor", "observer.name", SENSOR, NULL },
    { "interface", "observer.ingress.interface.id", TEXT, NULL },
    { "src", "source.ip", AS_IS, NULL },
    { "src_port", "source.port", AS_IS, NULL },
    { "src_mac", "source.mac", MAC, NULL },
    { "src_country", "source.geo.country_iso_code", COUNTRY, NULL },
    { "dst", "destination.ip", AS_IS, NULL },
    { "dst_port", "destination.port", AS_IS, NULL },
    { "dst_country", "destination.geo.country_iso_code", COUNTRY, NULL },
};

#define DEPTH 4
struct item {
    const struct bh_column *column; /* NULL: CONSTANT, SENSOR, ID */
    enum form form;
    const char *fixed;
    char part[DEPTH][32];
    unsigned depth;
    /* What is written when so many of its objects are open already: "b":{"c": */
    char open[DEPTH][DEPTH * 36];
    size_t open_len[DEPTH];
};

struct ecs {
    size_t count;
    struct item item[BH_COLUMNS_MAX_ROWS + BH_COUNT(places)];
};

static void
add(struct ecs *e, const char *path, const struct bh_column *c, enum form form, const char *fixed)
{
    struct item *i = &e->item[e->count++];
    *i = (struct item){ .column = c, .form = form, .fixed = fixed };
    while (*path != '\0' && i->depth < DEPTH) {
        const size_t n = strcspn(path, ".");
        snprintf(i->part[i->depth++], sizeof i->part[0], "%.*s", (int)n, path);
        path += n + (path[n] == '.');
    }
    for (unsigned shared = 0; shared < i->depth; shared++) {
        char text[DEPTH * (sizeof i->part[0] + 4)];
        size_t n = 0;
        for (unsigned d = shared; d < i->depth; d++) {
            n += (size_t)snprintf(text + n, sizeof text - n, "\"%s\":%s", i->part[d],
                                  d + 1 < i->depth ? "{" : "");
        }
        memcpy(i->open[shared], text, n);
        i->open_len[shared] = n;
    }
}

static const struct bh_column *
find(const struct lines_fields *f, const char *name)
{
    for (size_t k = 0; k < f->count; k++) {
        if (strcmp(f->column[k].name, name) == 0) {
            return &f->column[k];
        }
    }
    return NULL;
}

struct ecs *
ecs_new(const struct lines_fields *fields)
{
    struct ecs *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return NULL;
    }
    for (size_t k = 0; k < BH_COUNT(places); k++) {
        const struct place *p = &places[k];
        const struct bh_column *c = p->column != NULL ? find(fields, p->column) : NULL;
        if (p->form == CONSTANT || (p->form == SENSOR && fields->sensor) ||
            (p->form == ID && fields->id) || c != NULL) {
            add(e, p->path, c, p->form, p->fixed);
        }
    }
    for (size_t k = 0; k < fields->count; k++) {
        const struct bh_column *c = &fields->column[k];
        bool exact = false; /* nothing of it is lost where it went */
        for (size_t q = 0; q < BH_COUNT(places); q++) {
            exact = exact || (places[q].column != NULL && strcmp(places[q].column, c->name) == 0 &&
                              places[q].form != OUTCOME && places[q].form != COUNTRY);
        }
        if (!exact) {
            char path[96];
            snprintf(path, sizeof path, "beholder.%s", c->name);
            add(e, path, c, AS_IS, NULL);
        }
    }
    return e;
}

void
ecs_free(struct ecs *e)
{
    free(e);
}

/* ---- values ------------------------------------------------------------------------------------------------ */

static const char *
direction(uint64_t d)
{
    return d == BH_DIR_IN      ? "\"inbound\""
           : d == BH_DIR_OUT   ? "\"outbound\""
           : d == BH_DIR_LOCAL ? "\"internal\""
                               : "\"external\"";
}

static const char *
outcome(uint64_t o)
{
    return o == BH_OUTCOME_COMPLETE  ? "\"success\""
           : o == BH_OUTCOME_UNKNOWN ? "\"unknown\""
                                     : "\"failure\"";
}

static void
put_mac(uint64_t mac, struct bh_buf *to)
{
    static const char digits[] = "0123456789ABCDEF";
    char text[] = "\"00-00-00-00-00-00\"";
    for (unsigned k = 0; k < 6; k++) {
        const unsigned octet = (unsigned)(mac >> (40 - 8 * k)) & 255;
        text[1 + 3 * k] = digits[octet >> 4];
        text[2 + 3 * k] = digits[octet & 15];
    }
    bh_buf_add(to, text, sizeof text - 1);
}

static bool
is_country(const char *name)
{
    return name[0] >= 'A' && name[0] <= 'Z' && name[1] >= 'A' && name[1] <= 'Z' && name[2] == '\0';
}

/* False: not there. */
static bool
make_value(const struct item *i, const struct bh_value *v, struct bh_buf *to)
{
    switch (i->form) {
    case COUNTRY:
        if (!is_country(v->name)) {
            return false;
        }
        lines_put_value(to, BH_TYPE_NAME, v);
        break;
    case TEXT:
        bh_buf_putc(to, '"');
        lines_put_value(to, BH_TYPE_UINT, v);
        bh_buf_putc(to, '"');
        break;
    case DIRECTION:
        bh_buf_puts(to, direction(v->number));
        break;
    case OUTCOME:
        bh_buf_puts(to, outcome(v->number));
        break;
    case IP_TYPE:
        bh_buf_puts(to, v->number == 4 ? "\"ipv4\"" : "\"ipv6\"");
        break;
    case MAC:
        put_mac(v->number, to);
        break;
    default:
        lines_put_value(to, i->column->type, v);
        break;
    }
    return true;
}

/* ---- objects -------------------------------------------------------------------------------------------------- */

/* From the place of the item before (depth 0: none) to that of this one: what is not shared is closed, what
 * is new opened, and the key is written. */
static void
put_place(const struct item *before, const struct item *i, struct bh_buf *to)
{
    unsigned shared = 0;
    while (before != NULL && shared + 1 < before->depth && shared + 1 < i->depth &&
           strcmp(before->part[shared], i->part[shared]) == 0) {
        shared++;
    }
    if (before != NULL) {
        bh_buf_add(to, "}}}}", before->depth - 1 - shared);
    }
    bh_buf_putc(to, before != NULL ? ',' : '{');
    bh_buf_add(to, i->open[shared], i->open_len[shared]);
}

void
ecs_put(const struct ecs *e, const struct bh_sight *sight, uint32_t row,
        const struct bh_buf *sensor, const struct bh_buf *id, struct bh_buf *to)
{
    const struct item *before = NULL;
    struct bh_buf value = { 0 };
    for (size_t k = 0; k < e->count; k++) {
        const struct item *i = &e->item[k];
        struct bh_value v;
        value.len = 0;
        if (i->form == CONSTANT) {
            bh_buf_puts(&value, i->fixed);
        } else if (i->form == SENSOR || i->form == ID) {
            const struct bh_buf *text = i->form == SENSOR ? sensor : id;
            bh_buf_add(&value, text->data, text->len);
        } else {
            bh_sight_get(sight, i->column, row, &v);
            if (v.absent || !make_value(i, &v, &value)) {
                continue;
            }
        }
        put_place(before, i, to);
        bh_buf_add(to, value.data, value.len);
        before = i;
    }
    for (unsigned d = before != NULL ? before->depth : 0; d > 0; d--) {
        bh_buf_putc(to, '}');
    }
    bh_buf_putc(to, '\n');
    to->failed = to->failed || value.failed;
    bh_buf_done(&value);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "lines.h"

#include <inttypes.h>
#include <stdlib.h>

#include "bh_put.h"
#include "ecs.h"

struct lines {
    struct lines_fields fields;
    struct ecs *ecs;                      /* NULL: plain */
    char before[BH_COLUMNS_MAX_ROWS][64]; /* ,"src_port": */
    size_t before_len[BH_COLUMNS_MAX_ROWS];
    struct bh_sight *sight;
    struct bh_buf sensor; /* as JSON, with its quotes */
    struct bh_buf id;     /* "SENSOR/START/, without an end */
};

/* ---- values ---------------------------------------------------------------------------------------------- */

char *
lines_put_time(char *at, int64_t ts_ns)
{
    const int64_t day_ns = 86400000000000;
    int64_t day = ts_ns / day_ns, rest = ts_ns % day_ns;
    if (rest < 0) {
        rest += day_ns;
        day--;
    }
    /* Days to a date: years begin in March, so that the odd day is the last one (Howard Hinnant's
     * description of the proleptic Gregorian calendar). */
    const int64_t z = day + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    const uint32_t doe = (uint32_t)(z - era * 146097);
    const uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    const uint32_t month = mp < 10 ? mp + 3 : mp - 9;
    const uint32_t year = (uint32_t)((int64_t)yoe + era * 400) + (month <= 2);
    const uint32_t ns = (uint32_t)(rest % 1000000000), second = (uint32_t)(rest / 1000000000);
    at = bh_put_digits(at, year, 4);
    *at++ = '-';
    at = bh_put_digits(at, month, 2);
    *at++ = '-';
    at = bh_put_digits(at, doy - (153 * mp + 2) / 5 + 1, 2);
    *at++ = 'T';
    at = bh_put_digits(at, second / 3600, 2);
    *at++ = ':';
    at = bh_put_digits(at, second / 60 % 60, 2);
    *at++ = ':';
    at = bh_put_digits(at, second % 60, 2);
    if (ns != 0) {
        *at++ = '.';
        at = ns % 1000000 == 0 ? bh_put_digits(at, ns / 1000000, 3)
             : ns % 1000 == 0  ? bh_put_digits(at, ns / 1000, 6)
                               : bh_put_digits(at, ns, 9);
    }
    *at++ = 'Z';
    return at;
}

/* Nothing that JSON escapes: nearly all names. */
static bool
is_plain(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const uint8_t c = (uint8_t)name[i];
        if (c < ' ' || c > '~' || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}

void
lines_put_value(struct bh_buf *to, enum bh_type type, const struct bh_value *v)
{
    char text[BH_VALUE_MAX + 2], *at = text;
    if (type == BH_TYPE_NAME) {
        const size_t len = strlen(v->name);
        if (len < sizeof text - 2 && is_plain(v->name, len)) {
            *at++ = '"';
            at = bh_put_text(at, v->name, len);
            *at++ = '"';
            bh_buf_add(to, text, len + 2);
        } else {
            bh_buf_put_json(to, v->name, len);
        }
        return;
    }
    const bool quoted = type != BH_TYPE_UINT && type != BH_TYPE_BOOL;
    if (quoted) {
        *at++ = '"';
    }
    at = type == BH_TYPE_TIME ? lines_put_time(at, (int64_t)v->number)
                              : bh_value_put(at, type, v, NULL);
    if (quoted) {
        *at++ = '"';
    }
    bh_buf_add(to, text, (size_t)(at - text));
}

/* ---- fields ------------------------------------------------------------------------------------------------ */

static bool
is_word(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

int
lines_fields_parse(struct bh_output *o, const char *setting, const char *text,
                   struct lines_fields *ret)
{
    struct bh_error err = { 0 };
    struct bh_buf rest = { 0 };
    int r = 0;
    *ret = (struct lines_fields){ .sensor = strcmp(text, "all") == 0 };
    for (const char *at = text; *at != '\0';) {
        const size_t len = strcspn(at, ",");
        if (is_word(at, len, "sensor")) {
            ret->sensor = true;
        } else if (is_word(at, len, "id")) {
            ret->id = true;
        } else {
            bh_buf_puts(&rest, rest.len > 0 ? "," : "");
            bh_buf_add(&rest, at, len);
        }
        at += len + (at[len] == ',');
    }
    if (rest.failed) {
        r = bh_error_errno(&err, ENOMEM, setting, "cannot start", "開始できません");
    } else if (rest.len > 0) {
        r = bh_columns_parse(setting, rest.data, ret->column, BH_COLUMNS_MAX_ROWS, &ret->count,
                             &err);
    } else if (!ret->sensor && !ret->id) {
        r = bh_error_set(&err, BH_EUSAGE, setting, "names no field", "項目の指定がありません");
    }
    bh_buf_done(&rest);
    if (r != 0) {
        bh_output_say(o, BH_SAY_ERROR, &err);
    }
    for (size_t i = 0; i < ret->count; i++) {
        if (strcmp(ret->column[i].name, "sensor") == 0) { /* of logs of several; here it is one */
            memmove(&ret->column[i], &ret->column[i + 1],
                    (ret->count - i - 1) * sizeof ret->column[0]);
            ret->count--;
        }
    }
    for (size_t i = 0; i < ret->count; i++) {
        ret->needs |= ret->column[i].needs;
    }
    return r;
}

int
lines_new(struct bh_output *o, struct lines **ret)
{
    struct lines *l = calloc(1, sizeof *l);
    int r = l == NULL ? -ENOMEM
                      : lines_fields_parse(o, "fields", bh_output_text(o, "fields"), &l->fields);
    for (size_t i = 0; r == 0 && i < l->fields.count; i++) {
        const int n =
            snprintf(l->before[i], sizeof l->before[i], ",\"%s\":", l->fields.column[i].name);
        l->before_len[i] = (size_t)n;
    }
    if (r == 0 && strcmp(bh_output_text(o, "form"), "ecs") == 0) {
        l->ecs = ecs_new(&l->fields);
        r = l->ecs == NULL ? -ENOMEM : 0;
    }
    if (r != 0) {
        lines_free(l);
        return r;
    }
    *ret = l;
    return 0;
}

void
lines_free(struct lines *l)
{
    if (l != NULL) {
        bh_sight_free(l->sight);
        ecs_free(l->ecs);
        bh_buf_done(&l->sensor);
        bh_buf_done(&l->id);
        free(l);
    }
}

int
lines_run(struct lines *l, const struct bh_output_run *run)
{
    bh_sight_free(l->sight);
    l->sight = NULL;
    l->sensor.len = l->id.len = 0;
    bh_buf_put_json(&l->sensor, run->sensor, strlen(run->sensor));
    bh_buf_add(&l->id, l->sensor.data, l->sensor.len > 0 ? l->sensor.len - 1 : 0);
    bh_buf_printf(&l->id, "/%" PRId64 "/", run->start_ns);
    return bh_sight_new(run->countries, BH_EN, l->fields.needs, NULL, &l->sight, NULL);
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

static void
put_id(const struct lines *l, uint64_t number, uint32_t row, struct bh_buf *to)
{
    bh_buf_add(to, l->id.data, l->id.len);
    bh_buf_printf(to, "%" PRIu64 "/%" PRIu32 "\"", number, row);
}

static void
put_plain(const struct lines *l, uint64_t number, uint32_t row, struct bh_buf *to)
{
    struct bh_value v;
    bool any = false;
    bh_buf_putc(to, '{');
    if (l->fields.id) {
        bh_buf_puts(to, "\"id\":");
        put_id(l, number, row, to);
        any = true;
    }
    if (l->fields.sensor) {
        bh_buf_puts(to, any ? ",\"sensor\":" : "\"sensor\":");
        bh_buf_add(to, l->sensor.data, l->sensor.len);
        any = true;
    }
    for (size_t i = 0; i < l->fields.count; i++) {
        bh_sight_get(l->sight, &l->fields.column[i], row, &v);
        if (!v.absent) {
            bh_buf_add(to, l->before[i] + !any, l->before_len[i] - !any);
            lines_put_value(to, l->fields.column[i].type, &v);
            any = true;
        }
    }
    bh_buf_puts(to, "}\n");
}

void
lines_add(struct lines *l, const struct bh_output_batch *batch, struct bh_buf *to)
{
    struct bh_buf id = { 0 };
    /* Only an anonymizer would change the batch, and there is none here. */
    bh_sight_set(l->sight, (struct bh_batch *)(uintptr_t)batch->records);
    for (uint32_t row = 0; row < batch->rows; row++) {
        if (l->ecs == NULL) {
            put_plain(l, batch->number, row, to);
            continue;
        }
        if (l->fields.id) {
            id.len = 0;
            put_id(l, batch->number, row, &id);
        }
        ecs_put(l->ecs, l->sight, row, &l->sensor, &id, to);
    }
    to->failed = to->failed || id.failed;
    bh_buf_done(&id);
}

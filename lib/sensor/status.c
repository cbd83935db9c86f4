/* SPDX-License-Identifier: BSD-2-Clause */
/* The status for people and, as JSON, for programs. docs/man/beholder-status.1.scd tells its fields. */
#include "status_priv.h"

#include <inttypes.h>

/* ---- tables -------------------------------------------------------------------------------------------- */

#define ROWS 20U
#define COLUMNS 11U
#define CELL 72U
struct table {
    size_t rows, columns;
    bool left[COLUMNS]; /* else numbers: to the right */
    char cell[ROWS][COLUMNS][CELL];
};

static void BH_PRINTF(3, 4) put(struct table *t, size_t column, const char *format, ...)
{
    va_list ap;
    char *to = t->cell[t->rows][column];
    va_start(ap, format);
    vsnprintf(to, CELL, format, ap);
    va_end(ap);
    bh_text_trim(to);
}

static void
put_heads(struct table *t, const char *const heads[][BH_LANGS], size_t count, size_t left,
          enum bh_lang lang)
{
    t->rows = 0;
    t->columns = count;
    for (size_t k = 0; k < count; k++) {
        t->left[k] = k < left;
        put(t, k, "%s", heads[k][lang]);
    }
    t->rows = 1;
}

static void
put_table(const struct table *t, struct bh_buf *out)
{
    size_t width[COLUMNS] = { 0 };
    for (size_t row = 0; row < t->rows; row++) {
        for (size_t k = 0; k < t->columns; k++) {
            const size_t w = bh_text_width(t->cell[row][k]);
            width[k] = w > width[k] ? w : width[k];
        }
    }
    for (size_t row = 0; row < t->rows; row++) {
        for (size_t k = 0; k < t->columns; k++) {
            const char *cell = t->cell[row][k];
            const int pad = (int)(width[k] - bh_text_width(cell));
            bh_buf_printf(out, "%*s", (k > 0 ? 2 : 0) + (t->left[k] ? 0 : pad), "");
            bh_buf_put_safe(out, cell, strlen(cell));
            if (t->left[k] && k + 1 < t->columns) {
                bh_buf_printf(out, "%*s", pad, "");
            }
        }
        bh_buf_putc(out, '\n');
    }
}

/* ---- pieces ---------------------------------------------------------------------------------------------- */

static const char *
span(int64_t ns, enum bh_lang lang, char buf[48])
{
    const int64_t s = ns < 0 ? 0 : ns / 1000000000;
    const long long d = s / 86400, h = s / 3600 % 24, m = s / 60 % 60;
    const bool ja = lang == BH_JA;
    if (d > 0) {
        snprintf(buf, 48, ja ? "%lld日%lld時間" : "%lld d %lld h", d, h);
    } else if (h > 0) {
        snprintf(buf, 48, ja ? "%lld時間%lld分" : "%lld h %lld min", h, m);
    } else if (m > 0) {
        snprintf(buf, 48, ja ? "%lld分%lld秒" : "%lld min %lld s", m, (long long)(s % 60));
    } else {
        snprintf(buf, 48, ja ? "%lld秒" : "%lld s", (long long)s);
    }
    return buf;
}

static const char *
octets(uint64_t n, char buf[24])
{
    static const char units[] = "KMGT";
    unsigned u = 0;
    for (n = n / 1024 + (n % 1024 != 0); u < 3 && (n >= 10240 || (n >= 1024 && n % 1024 == 0));
         u++) {
        n = n / 1024 + (n % 1024 >= 512);
    }
    snprintf(buf, 24, "%" PRIu64 " %ciB", n, units[u]);
    return buf;
}

static const char *
state_word(const char *state, enum bh_lang lang)
{
    static const char *const words[][2] = { { "runs", "動作中" },
                                            { "waits", "再起動待ち" },
                                            { "spools", "退避のみ" },
                                            { "ends", "終了中" } };
    for (size_t k = 0; lang == BH_JA && k < BH_COUNT(words); k++) {
        if (strcmp(words[k][0], state) == 0) {
            return words[k][1];
        }
    }
    return state;
}

static void
sandbox_words(const struct status *t, const struct status_process *p, enum bh_lang lang, char *to)
{
    const bool is_parent = strcmp(p->name, "parent") == 0;
    if (p->pid == 0) {
        snprintf(to, CELL, "-");
    } else if (is_parent) {
        snprintf(to, CELL, lang == BH_JA ? "パケットを見ない" : "sees no packet");
    } else if (!t->sandbox) {
        snprintf(to, CELL, lang == BH_JA ? "なし (--no-sandbox)" : "NONE (--no-sandbox)");
    } else {
        size_t n = (size_t)snprintf(to, CELL, "%s",
                                    p->seccomp == 2 ? "seccomp"
                                    : lang == BH_JA ? "seccomp なし"
                                                    : "no seccomp");
        if ((p->confined & CONFINED_LANDLOCK) != 0) {
            n += (size_t)snprintf(to + n, CELL - n, ", Landlock %u", t->landlock_abi);
        } else {
            n += (size_t)snprintf(to + n, CELL - n, "%s",
                                  lang == BH_JA ? ", Landlock なし" : ", no Landlock");
        }
        snprintf(to + n, CELL - n, "%s",
                 (p->confined & CONFINED_CAPABILITIES) == 0 ? ""
                 : lang == BH_JA                            ? ", 権限なし"
                                                            : ", no capabilities");
    }
}

/* ---- text -------------------------------------------------------------------------------------------------- */

static void
put_line(struct bh_buf *out, const char *line)
{
    bh_buf_put_safe(out, line, strlen(line));
    bh_buf_putc(out, '\n');
}

static void
text_head(const struct status *t, enum bh_lang lang, struct bh_buf *out)
{
    char line[1600], up[48], since[32];
    const bool ja = lang == BH_JA;
    snprintf(line, sizeof line, ja ? "センサー %s: 稼働 %s" : "sensor %s, up %s", t->sensor,
             span(t->up_ns, lang, up));
    if (t->user[0] != '\0') {
        const size_t n = strlen(line);
        snprintf(line + n, sizeof line - n, ja ? "、ユーザー %s" : ", as the user %s", t->user);
    }
    put_line(out, line);
    snprintf(line, sizeof line, ja ? "監視対象 %s (%s から)" : "watching %s, since %s", t->home,
             status_time(t->run_start_ns, since));
    put_line(out, line);
    if (t->country_name[0] != '\0') {
        snprintf(line, sizeof line, ja ? "国データ %s (%s)" : "country data %s of %s",
                 t->country_name, t->country_date);
    } else {
        snprintf(line, sizeof line, "%s", ja ? "国データなし" : "no country data");
    }
    put_line(out, line);
}

/* What is not as it looks. */
static void
text_warnings(const struct status *t, enum bh_lang lang, struct bh_buf *out)
{
    const bool ja = lang == BH_JA;
    if (t->waits[0] != '\0') {
        bh_buf_puts(out,
                    ja ? "再起動後に有効になる設定: " : "waiting for a restart of the sensor: ");
        put_line(out, t->waits);
    }
    if (t->gone_lost > 0) {
        bh_buf_printf(out,
                      ja ? "削除した出力での欠落 %" PRIu64 " 件\n"
                         : "lost by outputs that are gone: %" PRIu64 "\n",
                      t->gone_lost);
    }
}

static void
text_interfaces(const struct status *t, struct table *table, enum bh_lang lang, struct bh_buf *out)
{
    static const char *const heads[][BH_LANGS] = { { "interface", "インターフェース" },
                                                   { "state", "状態" },
                                                   { "ring", "リング" },
                                                   { "frames", "フレーム" },
                                                   { "lost in the kernel", "カーネルで欠落" } };
    put_heads(table, heads, BH_COUNT(heads), 2, lang);
    for (size_t k = 0; k < t->interfaces; k++) {
        const struct status_interface *i = &t->interface[k];
        char ring[24];
        put(table, 0, "%s", i->name);
        put(table, 1, "%s",
            i->up           ? (lang == BH_JA ? "稼働" : "up")
            : lang == BH_JA ? "停止"
                            : "DOWN");
        if (i->rings > 1) {
            put(table, 2, "%u x %s", i->rings, octets(i->ring_bytes / i->rings, ring));
        } else {
            put(table, 2, "%s", octets(i->ring_bytes, ring));
        }
        put(table, 3, "%" PRIu64, i->frames);
        put(table, 4, "%" PRIu64, i->lost);
        table->rows++;
    }
    put_table(table, out);
}

static void
text_decoding(const struct status *t, enum bh_lang lang, struct bh_buf *out)
{
    const bool ja = lang == BH_JA;
    bool any = false;
    bh_buf_printf(out,
                  ja ? "記録 %" PRIu64 " 件、うちアクセス %" PRIu64 " 件。解読できないもの %" PRIu64
                       " 件"
                     : "%" PRIu64 " records, %" PRIu64 " of them accesses; not decoded %" PRIu64,
                  t->records, t->accesses, t->undecoded);
    for (unsigned k = 1; k < BH_REASON_COUNT; k++) {
        if (t->reason[k] > 0) {
            bh_buf_printf(out, "%s%s %" PRIu64, any ? ", " : " (", bh_reason_name(k), t->reason[k]);
            any = true;
        }
    }
    bh_buf_puts(out, any ? ")" : "");
    if (t->cut > 0) {
        bh_buf_printf(out, ja ? "、切れたもの %" PRIu64 " 件" : ", cut %" PRIu64, t->cut);
    }
    if (t->own > 0) {
        bh_buf_printf(out, ja ? "、自身の送信 %" PRIu64 " 件" : ", our own exports %" PRIu64,
                      t->own);
    }
    if (t->duplicates > 0) {
        bh_buf_printf(out, ja ? "、重複 %" PRIu64 " 件" : ", copies %" PRIu64, t->duplicates);
    }
    if (t->kernel_filter) {
        bh_buf_puts(out, ja ? "。フレーム数はカーネルでフィルターを通ったもの"
                            : "; frames are what the filter in the kernel passed on");
    }
    bh_buf_putc(out, '\n');
}

static void
text_outputs(const struct status *t, struct table *table, enum bh_lang lang, struct bh_buf *out)
{
    static const char *const heads[][BH_LANGS] = {
        { "output", "出力" },    { "module", "モジュール" }, { "state", "状態" },
        { "written", "書込み" }, { "waiting", "待ち" },      { "held", "判定待ち" },
        { "retried", "再試行" }, { "spooled", "退避" },      { "failed", "失敗" },
        { "lost", "欠落" },      { "queue", "キュー" },
    };
    put_heads(table, heads, BH_COUNT(heads), 3, lang);
    for (size_t k = 0; k < t->outputs; k++) {
        const struct status_output *o = &t->output[k];
        const uint64_t numbers[] = { o->written, o->waiting, o->held, o->retried,
                                     o->spooled, o->failed,  o->lost };
        put(table, 0, "%s", o->name);
        put(table, 1, "%s", o->module);
        put(table, 2, "%s", state_word(o->state, lang));
        for (size_t n = 0; n < BH_COUNT(numbers); n++) {
            put(table, 3 + n, "%" PRIu64, numbers[n]);
        }
        put(table, 10, "%u %%",
            o->queue_size == 0 ? 0U : (unsigned)(o->queue_used * 100 / o->queue_size));
        table->rows++;
    }
    put_table(table, out);
    for (size_t k = 0; k < t->outputs; k++) {
        const struct status_output *o = &t->output[k];
        for (unsigned n = 0; n < BH_OUTPUT_OWN && o->own_name[n][0] != '\0'; n++) {
            if (n == 0) {
                bh_buf_put_safe(out, o->name, strlen(o->name));
            }
            bh_buf_printf(out, "%s%s %" PRIu64, n == 0 ? ": " : ", ", o->own_name[n], o->own[n]);
        }
        bh_buf_puts(out, o->own_name[0][0] != '\0' ? "\n" : "");
    }
}

static void
text_processes(const struct status *t, struct table *table, enum bh_lang lang, struct bh_buf *out)
{
    static const char *const heads[][BH_LANGS] = {
        { "process", "プロセス" }, { "confined by", "制限" }, { "pid", "PID" },
        { "threads", "スレッド" }, { "up", "稼働時間" },      { "restarts", "再起動" }
    };
    put_heads(table, heads, BH_COUNT(heads), 2, lang);
    for (size_t k = 0; k < t->processes; k++) {
        const struct status_process *p = &t->process[k];
        char up[48];
        put(table, 0, "%s", p->name);
        sandbox_words(t, p, lang, table->cell[table->rows][1]);
        put(table, 2, p->pid != 0 ? "%d" : "-", (int)p->pid);
        put(table, 3, p->pid != 0 ? "%u" : "-", p->threads);
        put(table, 4, "%s", p->pid != 0 ? span(p->up_ns, lang, up) : "-");
        put(table, 5, "%" PRIu64, p->restarts);
        table->rows++;
    }
    put_table(table, out);
}

static const char *
gap_word(unsigned kind, enum bh_lang lang)
{
    static const char *const words[BH_GAP_KINDS][BH_LANGS] = {
        { "no room in the kernel's ring", "カーネルのリングに空きなし" },
        { "the output did not keep up", "出力が追いつかず" },
        { "a process died", "プロセスの異常終了" },
        { "the interface was down", "インターフェース停止" },
    };
    return words[kind][lang];
}

static void
text_gaps(const struct status *t, enum bh_lang lang, struct bh_buf *out)
{
    const bool ja = lang == BH_JA;
    if (t->clock_steps > 0) {
        bh_buf_printf(out,
                      ja ? "時計の変更 %" PRIu64 " 回\n" : "the clock was set %" PRIu64 " times\n",
                      t->clock_steps);
    }
    for (size_t k = 0; k < t->outputs; k++) {
        const struct status_output *o = &t->output[k];
        const uint32_t shown = o->gap_count < STATUS_GAPS ? o->gap_count : STATUS_GAPS;
        if (shown > 0) {
            bh_buf_puts(out, ja ? "\n出力 " : "\ngaps of ");
            bh_buf_put_safe(out, o->name, strlen(o->name));
            bh_buf_puts(out, ja ? " の欠落" : "");
            if (o->gap_count > shown) {
                bh_buf_printf(out, ja ? " (%u 箇所のうち新しい %u 箇所)" : ", of %u the newest %u",
                              o->gap_count, shown);
            }
            bh_buf_puts(out, ":\n");
        }
        for (uint32_t g = 0; g < shown; g++) {
            char from[32], to[32];
            const struct bh_gap *gap = &o->gap[g];
            bh_buf_printf(out,
                          ja ? "  %s から %s: %" PRIu64 " パケット、%s\n"
                             : "  %s to %s: %" PRIu64 " packets, %s\n",
                          status_time(gap->start_ns, from), status_time(gap->end_ns, to),
                          gap->packets, gap_word(gap->kind, lang));
        }
    }
}

void
status_text(const struct status *t, enum bh_lang lang, struct bh_buf *out)
{
    static struct table table; /* the parent's only thread; too large for its stack */
    text_head(t, lang, out);
    text_warnings(t, lang, out);
    bh_buf_putc(out, '\n');
    text_interfaces(t, &table, lang, out);
    text_decoding(t, lang, out);
    bh_buf_putc(out, '\n');
    text_outputs(t, &table, lang, out);
    bh_buf_putc(out, '\n');
    text_processes(t, &table, lang, out);
    text_gaps(t, lang, out);
}

/* ---- JSON ---------------------------------------------------------------------------------------------------- */

static void
json_text(struct bh_buf *out, const char *key, const char *value)
{
    bh_buf_printf(out, "\"%s\":", key);
    bh_buf_put_json(out, value, strlen(value));
}

struct number {
    const char *key;
    uint64_t value;
};

static void
json_numbers(struct bh_buf *out, const struct number *n, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        bh_buf_printf(out, "%s\"%s\":%" PRIu64, k > 0 ? "," : "", n[k].key, n[k].value);
    }
}

static void
json_sums(const struct status *t, struct bh_buf *out)
{
    const struct number n[] = {
        { "frames", t->frames },         { "kernel_lost", t->kernel_lost },
        { "records", t->records },       { "accesses", t->accesses },
        { "own_exports", t->own },       { "clock_steps", t->clock_steps },
        { "steps_back", t->steps_back }, { "duplicates", t->duplicates },
        { "gone_lost", t->gone_lost },
    };
    const struct number bounds[] = { { "flows_lost", t->flows_lost },
                                     { "conversations_lost", t->conversations_lost },
                                     { "repeats_lost", t->repeats_lost },
                                     { "held_early", t->held_early } };
    json_numbers(out, n, BH_COUNT(n));
    bh_buf_printf(out, ",\"kernel_filter\":%s", t->kernel_filter ? "true" : "false");
    bh_buf_printf(out,
                  ",\"decoding\":{\"not_decoded\":%" PRIu64 ",\"cut\":%" PRIu64 ",\"reasons\":{",
                  t->undecoded, t->cut);
    for (unsigned k = 1; k < BH_REASON_COUNT; k++) {
        bh_buf_printf(out, "%s\"%s\":%" PRIu64, k > 1 ? "," : "", bh_reason_name(k), t->reason[k]);
    }
    bh_buf_puts(out, "}},\"bounds_reached\":{");
    json_numbers(out, bounds, BH_COUNT(bounds));
    bh_buf_putc(out, '}');
}

static void
json_output(const struct status_output *o, struct bh_buf *out)
{
    char text[32];
    const struct number n[] = {
        { "queued", o->queued },         { "written", o->written },
        { "waiting", o->waiting },       { "held", o->held },
        { "retried", o->retried },       { "spooled", o->spooled },
        { "failed", o->failed },         { "lost", o->lost },
        { "early", o->early },           { "missed_verdicts", o->missed_verdicts },
        { "queue_used", o->queue_used }, { "queue_size", o->queue_size },
    };
    bh_buf_putc(out, '{');
    json_text(out, "name", o->name);
    bh_buf_putc(out, ',');
    json_text(out, "module", o->module);
    bh_buf_putc(out, ',');
    json_text(out, "state", o->state);
    bh_buf_putc(out, ',');
    json_numbers(out, n, BH_COUNT(n));
    bh_buf_puts(out, ",\"newest\":");
    if (o->last_ns > 0) {
        bh_buf_printf(out, "\"%s\"", status_time(o->last_ns, text));
    } else {
        bh_buf_puts(out, "null");
    }
    bh_buf_puts(out, ",\"own\":{");
    for (unsigned k = 0; k < BH_OUTPUT_OWN && o->own_name[k][0] != '\0'; k++) {
        bh_buf_printf(out, "%s\"%s\":%" PRIu64, k > 0 ? "," : "", o->own_name[k], o->own[k]);
    }
    bh_buf_puts(out, "},\"gaps_lost\":{");
    for (unsigned k = 0; k < BH_GAP_KINDS; k++) {
        bh_buf_printf(out, "%s\"%s\":%" PRIu64, k > 0 ? "," : "", bh_gap_name(k), o->lost_by[k]);
    }
    bh_buf_printf(out, "},\"gap_count\":%u,\"gaps\":[", o->gap_count);
    for (uint32_t g = 0; g < o->gap_count && g < STATUS_GAPS; g++) {
        char to[32];
        bh_buf_printf(
            out, "%s{\"cause\":\"%s\",\"start\":\"%s\",\"end\":\"%s\",\"packets\":%" PRIu64 "}",
            g > 0 ? "," : "", bh_gap_name(o->gap[g].kind), status_time(o->gap[g].start_ns, text),
            status_time(o->gap[g].end_ns, to), o->gap[g].packets);
    }
    bh_buf_puts(out, "]}");
}

static void
json_process(const struct status *t, const struct status_process *p, struct bh_buf *out)
{
    bh_buf_putc(out, '{');
    json_text(out, "name", p->name);
    bh_buf_printf(out, ",\"pid\":");
    bh_buf_printf(out, p->pid != 0 ? "%d" : "null", (int)p->pid);
    bh_buf_printf(out, ",\"threads\":%u,\"uptime_s\":%.1f,\"restarts\":%" PRIu64, p->threads,
                  (double)p->up_ns * 1e-9, p->restarts);
    bh_buf_printf(out, ",\"sandbox\":{\"seccomp\":%s,\"landlock\":%u,\"no_capabilities\":%s}}",
                  p->seccomp == 2 ? "true" : "false",
                  (p->confined & CONFINED_LANDLOCK) != 0 ? t->landlock_abi : 0U,
                  (p->confined & CONFINED_CAPABILITIES) != 0 ? "true" : "false");
}

void
status_json(const struct status *t, struct bh_buf *out)
{
    char text[32];
    bh_buf_puts(out, "{\"schema\":\"beholder.status/1\",");
    json_text(out, "version", BH_VERSION);
    bh_buf_putc(out, ',');
    json_text(out, "sensor", t->sensor);
    bh_buf_putc(out, ',');
    json_text(out, "user", t->user);
    bh_buf_putc(out, ',');
    json_text(out, "home", t->home);
    bh_buf_putc(out, ',');
    json_text(out, "restart_needed", t->waits);
    bh_buf_printf(out, ",\"time\":\"%s\",\"uptime_s\":%.1f", status_time(t->now_ns, text),
                  (double)t->up_ns * 1e-9);
    bh_buf_printf(out,
                  ",\"run_start\":\"%s\",\"country_data\":", status_time(t->run_start_ns, text));
    if (t->country_name[0] != '\0') {
        bh_buf_putc(out, '{');
        json_text(out, "name", t->country_name);
        bh_buf_putc(out, ',');
        json_text(out, "date", t->country_date);
        bh_buf_puts(out, "},");
    } else {
        bh_buf_puts(out, "null,");
    }
    json_sums(t, out);
    bh_buf_puts(out, ",\"interfaces\":[");
    for (size_t k = 0; k < t->interfaces; k++) {
        const struct status_interface *i = &t->interface[k];
        bh_buf_puts(out, k > 0 ? ",{" : "{");
        json_text(out, "name", i->name);
        bh_buf_printf(out,
                      ",\"up\":%s,\"rings\":%u,\"ring_bytes\":%" PRIu64 ",\"frames\":%" PRIu64
                      ",\"lost\":%" PRIu64 "}",
                      i->up ? "true" : "false", i->rings, i->ring_bytes, i->frames, i->lost);
    }
    bh_buf_puts(out, "],\"outputs\":[");
    for (size_t k = 0; k < t->outputs; k++) {
        bh_buf_puts(out, k > 0 ? "," : "");
        json_output(&t->output[k], out);
    }
    bh_buf_puts(out, "],\"processes\":[");
    for (size_t k = 0; k < t->processes; k++) {
        bh_buf_puts(out, k > 0 ? "," : "");
        json_process(t, &t->process[k], out);
    }
    bh_buf_puts(out, "]}\n");
}

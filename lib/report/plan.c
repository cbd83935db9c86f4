/* SPDX-License-Identifier: BSD-2-Clause */
/* How a packet log was read, in words. */
#include "bh_report.h"

#include <inttypes.h>

static const struct {
    const char *word, *text[BH_LANGS];
} words[] = {
    { "asked", { "it was asked to", "指定によります" } },
    { "judged",
      { "its records are judged again, as for another home",
        "自分側などの条件が異なるため、記録を判定し直しました" } },
    { "databases", { "countries come from several databases", "国データベースを複数使います" } },
    { "filter", { "there is a filter", "フィルターがあります" } },
    { "list", { "sources are listed", "送信元を一覧します" } },
    { "served", { "visits are told apart", "訪問を区別します" } },
    { "sensors", { "several sensors are told apart", "複数のセンサーを区別します" } },
    { "unit", { "packets or octets are counted", "パケット数またはバイト数を数えます" } },
    { "nothing",
      { "there are none for whole days of the period", "期間内にまる 1 日分の集計がありません" } },
    { "short", { "a time line by hours needs records", "1 時間ごとの推移には記録が必要です" } },
    { "gain", { "reading the records is as fast", "記録を読んでも同じくらい速いためです" } },
    { "differs",
      { "a source changed its country, there are too many, or some are shown that roll-ups do not tell",
        "国の変わった送信元があるか、送信元が多すぎるか、集計にない送信元を表示します" } },
    { "damaged", { "damaged", "壊れています" } },
    { "days",
      { "days at an end of the period, near a silence or shared with others",
        "期間の端、途切れの前後、またはほかのファイルと重なる日" } },
    { "outside", { "outside of the period", "期間外" } },
    { "zone", { "its days are those of another time zone", "別の時間帯の日で集計されています" } },
    { "journal", { "not sealed yet", "まだ封じられていません" } },
    { "none",
      { "has none (beholder log compact makes it)",
        "集計がありません (beholder log compact で作れます)" } },
    { "weights", { "records stand for several packets", "1 件が複数のパケットを表します" } },
    { "times", { "times are not known", "時刻が不明です" } },
    { "order",
      { "records stand far from their order in time", "記録が時刻の順から大きく外れています" } },
    { "many",
      { "too many days or hours for its records", "記録の数に対して日や時間が多すぎます" } },
    { "small", { "it would be large beside its records", "記録に比べて集計が大きくなります" } },
    { "more", { "it asks for what roll-ups do not have", "集計にない項目を問うています" } },
    { "ends",
      { "the filter asks for either end of records; of accesses, src country and dst port are known",
        "フィルターが両端を問うています。アクセスについて分かるのは src country と dst port です" } },
    { "together", { "roll-ups do not have these together", "集計にはこの組み合わせがありません" } },
    { "newer", { "of a newer version", "より新しい版のものです" } },
};

const char *
bh_plan_why(const char *word, enum bh_lang lang)
{
    for (size_t k = 0; word != NULL && k < BH_COUNT(words); k++) {
        if (strcmp(words[k].word, word) == 0) {
            return words[k].text[lang];
        }
    }
    return "";
}

static void
say_file(const struct bh_plan_file *f, enum bh_lang lang, struct bh_buf *out)
{
    const bool ja = lang == BH_JA;
    const char *why = bh_plan_why(f->why, lang);
    bh_buf_printf(out, "  %s: ", f->path);
    if (f->rolled_days > 0) {
        bh_buf_printf(out,
                      ja ? "集計から %" PRIu32 " / %" PRIu32 " 日 (記録 %" PRIu64 " 件)"
                         : "%" PRIu32 " of %" PRIu32 " days from its roll-up (%" PRIu64 " records)",
                      f->rolled_days, f->days, f->rolled_rows);
    } else {
        bh_buf_puts(out, strcmp(f->why, "outside") == 0 ? (ja ? "読みません" : "not read")
                         : ja                           ? "ブロックから"
                                                        : "from its blocks");
    }
    if (why[0] != '\0') {
        bh_buf_printf(out, ja ? "。%s" : "; %s", why);
    }
    bh_buf_puts(out, "\n");
}

static void
say_whys(const uint64_t *n, enum bh_lang lang, struct bh_buf *out)
{
    static const struct {
        enum bh_store_why why;
        const char *text[BH_LANGS];
    } whys[] = {
        { BH_STORE_BY_COUNTRY, { "country", "国" } },
        { BH_STORE_BY_PORT, { "port", "ポート" } },
        { BH_STORE_BY_ADDRESS, { "address", "アドレス" } },
        { BH_STORE_BY_OUTCOME, { "outcome", "結末" } },
        { BH_STORE_BY_SENSOR, { "sensor", "センサー" } },
        { BH_STORE_BY_SERVICE, { "protocol or class", "プロトコルや分類" } },
        { BH_STORE_BY_FILTER, { "these together", "条件の組み合わせ" } },
    };
    bool any = false;
    for (size_t k = 0; k < BH_COUNT(whys); k++) {
        if (n[whys[k].why] > 0) {
            bh_buf_printf(out, "%s%s %" PRIu64, any ? (lang == BH_JA ? "、" : ", ") : "",
                          whys[k].text[lang], n[whys[k].why]);
            any = true;
        }
    }
    bh_buf_puts(out, any ? "\n" : lang == BH_JA ? "なし\n" : "none\n");
}

void
bh_plan_say_skipped(const struct bh_store_skipped *s, enum bh_lang lang, struct bh_buf *out)
{
    const bool ja = lang == BH_JA;
    if (!s->judged) {
        return;
    }
    bh_buf_puts(out,
                ja ? "フィルターにより省略したセグメント: " : "segments skipped by the filter: ");
    say_whys(s->files, lang, out);
    bh_buf_puts(out, ja ? "フィルターにより省略したブロック: " : "blocks skipped by the filter: ");
    say_whys(s->blocks, lang, out);
    if (s->blocks_of_codes > 0) {
        bh_buf_printf(out,
                      ja ? "サービスと国の列だけで済んだブロック: %" PRIu64 "\n"
                         : "blocks of which the columns service and country said enough: %" PRIu64
                           "\n",
                      s->blocks_of_codes);
    }
    if (s->no_summary > 0) {
        bh_buf_printf(out,
                      ja ? "要約のないファイル: %" PRIu64
                           " 個 (読み飛ばせません。beholder log compact で作れます)\n"
                         : "files without a summary, which cannot be skipped: %" PRIu64
                           " (beholder log compact makes them)\n",
                      s->no_summary);
    }
}

void
bh_plan_say(const struct bh_plan *p, enum bh_lang lang, struct bh_buf *out)
{
    const bool ja = lang == BH_JA;
    if (p->rolled) {
        bh_buf_printf(out,
                      ja ? "集計を使用: 記録 %" PRIu64 " 件分\n"
                         : "roll-ups: used, for %" PRIu64 " records\n",
                      p->rolled_rows);
        if (p->joined_rows > 0) {
            bh_buf_printf(out,
                          ja ? "  うち %" PRIu64 " 件はログ全体の集計から\n"
                             : "  %" PRIu64 " of them from the roll-up of the whole log\n",
                          p->joined_rows);
        }
    } else {
        bh_buf_printf(out, ja ? "集計は不使用: %s\n" : "roll-ups: not used: %s\n",
                      bh_plan_why(p->why, lang));
    }
    bh_buf_printf(out,
                  ja ? "ブロック: 読み取り %" PRIu64 "、省略 %" PRIu64 "\n"
                     : "blocks: %" PRIu64 " read, %" PRIu64 " skipped\n",
                  p->blocks_read, p->blocks_skipped);
    bh_plan_say_skipped(&p->skipped, lang, out);
    for (size_t k = 0; k < p->files; k++) {
        say_file(&p->file[k], lang, out);
    }
}

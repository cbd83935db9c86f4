/* SPDX-License-Identifier: BSD-2-Clause */
/* What show, count and export have in common: their input, the way through it, Ctrl-C. */
#include "beholder.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

#include "bh_store.h"

/* ---- Ctrl-C ------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int number)
{
    interrupted = number;
}

/* The second one is not caught: whoever presses twice does not want to wait. */
static void
catch_interrupts(void)
{
    struct sigaction a = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND };
    struct sigaction before;
    sigemptyset(&a.sa_mask);
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    for (size_t i = 0; i < BH_COUNT(numbers); i++) {
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
            sigaction(numbers[i], &a, NULL);
        }
    }
}

bool
program_is_interrupted(void)
{
    return interrupted != 0;
}

void
program_end_interrupted(void)
{
    if (interrupted != 0) { /* so that a shell sees what ended us */
        const int number = interrupted;
        signal(number, SIG_DFL);
        raise(number);
    }
}

/* ---- the command line ------------------------------------------------------------------------------------ */

static enum bh_plan_choice
plan_of(const char *word)
{
    return strcmp(word, "all") == 0      ? BH_PLAN_ALL
           : strcmp(word, "blocks") == 0 ? BH_PLAN_BLOCKS
                                         : BH_PLAN_AUTO;
}

static void
fill_input(struct asked_records *q)
{
    const struct bh_args *a = q->args;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    q->input = (struct bh_report_options){
        .files = q->words.files,
        .file_count = q->words.file_count,
        .home = bh_arg(a, "home"),
        .since = bh_arg(a, "since"),
        .until = bh_arg(a, "until"),
        .last = bh_arg(a, "last"),
        .tz = bh_arg(a, "tz"),
        .outcomes = true,
        .all_accesses = bh_arg_given(a, "all-accesses"),
        .country_db = bh_arg(a, "country-db"),
        .country_db_dir = bh_arg(a, "country-db-dir"),
        .served = bh_arg(a, "served"),
        .threads = (unsigned)bh_arg_uint(a, "threads"),
        .explain = bh_arg_given(a, "explain"),
        .plan = plan_of(bh_arg(a, "plan")),
        .input_format = bh_arg(a, "input-format"),
        .input_columns = bh_arg(a, "input-columns"),
        .input_year = (unsigned)bh_arg_uint(a, "input-year"),
        .filter_words = q->words.words,
        .filter_count = q->words.word_count,
        .now_ns = (int64_t)now.tv_sec * 1000000000LL + now.tv_nsec,
    };
    q->input.decap_count = bh_arg_all(a, "decap", &q->input.decap);
}

int
program_records(int argc, char **argv, const struct bh_command *command,
                int (*run)(struct asked_records *q))
{
    struct asked_records q = { .lang = bh_lang_of_args(argc, argv) };
    struct bh_error err = { 0 };
    struct bh_args *a = NULL;
    if (bh_args_parse(command, argc, argv, &a, &err) != 0) {
        return program_fail(&err, q.lang);
    }
    int code = 0;
    q.args = a;
    if (bh_arg_given(a, "help")) {
        bh_command_help(command, q.lang, stdout);
        code = program_end_stdout(q.lang);
    } else if (bh_arg_given(a, "version")) {
        puts("beholder " BH_VERSION);
        code = program_end_stdout(q.lang);
    } else if (program_operands_or_log(a, command->name, &q.words, &err) != 0 ||
               (bh_arg_given(a, "anonymize") &&
                bh_anonymize_open(bh_arg(a, "anonymize"), &q.anonymize, &err) != 0)) {
        code = program_fail(&err, q.lang);
    } else {
        fill_input(&q);
        code = run(&q);
    }
    bh_anonymize_free(q.anonymize);
    free(q.words.files);
    bh_args_free(a);
    program_end_interrupted();
    return code;
}

/* ---- --explain ------------------------------------------------------------------------------------------ */

static void
explain_columns(const struct bh_records_plan *p, bool read, bool ja)
{
    static const struct {
        uint32_t column;
        const char *text;
    } parts[] = { { BH_STORE_NEAR, "near end" },
                  { BH_STORE_KNOCK_PORT, "source port of accesses" },
                  { BH_STORE_COLD, "ttl, ip_id, tcp_window" },
                  { BH_STORE_SEQ, "tcp_seq" },
                  { BH_STORE_QUOTES, "quotes of ICMP errors" } };
    const bool time = (p->columns & BH_STORE_TIME) != 0;
    bool any = read || !time;
    fprintf(stderr, "%s%s%s",
            read ? (ja ? "読んだ列: " : "columns read: ")
                 : (ja ? "読まなかった列: " : "columns skipped: "),
            time == read ? "time" : "",
            !read  ? ""
            : time ? ", country, far end, service, shape, outcome"
                   : "country, far end, service, shape, outcome");
    for (size_t i = 0; i < BH_COUNT(parts); i++) {
        if (((p->columns & parts[i].column) != 0) == read) {
            fprintf(stderr, "%s%s", any ? ", " : "", parts[i].text);
            any = true;
        }
    }
    fprintf(stderr, any ? "\n" : ja ? "なし\n" : "none\n");
}

/* Nothing where records themselves are wanted. */
static void
explain_rolled(const struct bh_records_plan *p, enum bh_lang lang)
{
    const bool ja = lang == BH_JA;
    if (p->rolled_rows == 0) {
        if (p->why[0] != '\0') {
            fprintf(stderr, ja ? "集計は不使用: %s\n" : "roll-ups: not used: %s\n",
                    bh_plan_why(p->why, lang));
        }
        return;
    }
    fprintf(stderr,
            ja ? "集計を使用: 記録 %" PRIu64 " 件分\n"
               : "roll-ups: used, for %" PRIu64 " records\n",
            p->rolled_rows);
    if (p->joined_rows > 0) {
        fprintf(stderr,
                ja ? "  うち %" PRIu64 " 件はログ全体の集計から\n"
                   : "  %" PRIu64 " of them from the roll-up of the whole log\n",
                p->joined_rows);
    }
}

static void
explain(enum bh_lang lang, const struct bh_records *r)
{
    const bool ja = lang == BH_JA;
    const struct bh_records_plan *p = &r->plan;
    if (!r->is_log) {
        fprintf(stderr, ja ? "ファイル: ログではないので先頭から読みました\n"
                           : "files: no packet log, read from the beginning\n");
    } else {
        struct bh_buf skipped = { 0 };
        explain_rolled(p, lang);
        if (p->rolled_rows > 0 && p->blocks_wanted == 0) {
            fputs(ja ? "ブロックは読みませんでした\n" : "blocks: none read\n", stderr);
            return;
        }
        fprintf(stderr,
                p->rolled_rows > 0
                    ? (ja ? "セグメント: %" PRIu64 " 個 (ほかにジャーナル %" PRIu64
                            " 個) のうち %" PRIu64 " 個は期間外か集計にあるので読みませんでした\n"
                          : "segments: %" PRIu64 " (and %" PRIu64 " journals), %" PRIu64
                            " skipped as outside the period, or known from roll-ups\n")
                : ja ? "セグメント: %" PRIu64 " 個 (ほかにジャーナル %" PRIu64
                       " 個) のうち %" PRIu64 " 個は期間外なので読みませんでした\n"
                     : "segments: %" PRIu64 " (and %" PRIu64 " journals), %" PRIu64
                       " skipped as outside the period\n",
                p->segments, p->journals, p->skipped.files[BH_STORE_BY_PERIOD]);
        fprintf(stderr,
                ja ? "ブロック: %" PRIu64 " 個のうち %" PRIu64 " 個を読み、期間外の %" PRIu64
                     " 個と、足りたあとの %" PRIu64 " 個は読みませんでした\n"
                   : "blocks: %" PRIu64 ", of them %" PRIu64 " read, %" PRIu64
                     " skipped as outside the period, %" PRIu64 " left when there was enough\n",
                p->blocks, p->blocks_read, p->skipped.blocks[BH_STORE_BY_PERIOD],
                p->blocks_wanted - p->blocks_read);
        bh_plan_say_skipped(&p->skipped, lang, &skipped);
        fputs(skipped.data == NULL ? "" : skipped.data, stderr);
        bh_buf_done(&skipped);
        if (p->added_up) {
            fputs(ja ? "アクセスは時刻・国・サービスの列だけから合計しました\n"
                     : "accesses were added up out of the columns time, country and service\n",
                  stderr);
            return;
        }
        explain_columns(p, true, ja);
        explain_columns(p, false, ja);
        if (r->judged_again) {
            fprintf(stderr, ja ? "判定: 自分側や規則がログと違うため、もう一度判定しました\n"
                               : "verdicts: made again, as home or rules are not the log's\n");
        }
    }
    fprintf(stderr,
            ja ? "記録: %" PRIu64 " 件を調べ、%" PRIu64 " 件を選びました\n"
               : "records: %" PRIu64 " looked at, %" PRIu64 " selected\n",
            r->read, r->selected);
}

/* ---- the way through ---------------------------------------------------------------------------------------- */

static uint32_t
want_of(uint32_t needs)
{
    return ((needs & BH_NEEDS_COLD) != 0 ? (unsigned)BH_STORE_COLD : 0U) |
           ((needs & BH_NEEDS_SEQ) != 0 ? (unsigned)BH_STORE_SEQ : 0U) |
           ((needs & BH_NEEDS_NEAR) != 0 ? (unsigned)BH_STORE_NEAR : 0U) |
           ((needs & BH_NEEDS_SRC_PORT) != 0 ? (unsigned)BH_STORE_KNOCK_PORT : 0U) |
           ((needs & BH_NEEDS_ALL) == BH_NEEDS_ALL ? (unsigned)BH_STORE_ALL : 0U);
}

int
program_read_records(struct asked_records *q, struct bh_records_config *cfg, uint32_t needs,
                     struct bh_records *ret, int *ret_code, struct bh_error *err)
{
    struct bar bar;
    const bool quiet = bh_arg_given(q->args, "quiet");
    cfg->input = &q->input;
    cfg->want = want_of(needs);
    if (bar_begin(&bar, quiet)) {
        q->input.progress = bar_draw;
        q->input.progress_arg = &bar;
    }
    catch_interrupts();
    int r = bh_records_run(cfg, ret, err);
    bar_end(&bar);
    if (r != 0) {
        return r;
    }
    if (q->input.explain && (ret->read > 0 || ret->is_log)) { /* not every command has the option */
        explain(q->lang, ret);
    }
    *ret_code = program_notes(ret->notes, ret->note_count, q->lang, quiet);
    if (!quiet && ret->unknown > 0) {
        char line[1200];
        struct bh_error text = { 0 };
        bh_error_set(&text, 0, "",
                     "%llu records do not have what the filter asks for, and were left out",
                     "フィルターが問う項目を持たない記録 %llu 件を除外しました",
                     (unsigned long long)ret->unknown);
        fprintf(stderr, "beholder: %s\n", bh_error_line(&text, q->lang, line, sizeof line));
    }
    return 0;
}

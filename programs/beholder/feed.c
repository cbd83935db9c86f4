/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * beholder feed: records of files into an output module, in this process.
 *
 * The run that a module sees is (sensor, time of the first record), and batches count from 0, so feeding the
 * same input twice is a repeat, which modules that know repeats leave out.
 */
#include "beholder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "beholder_feed_command.h"
#include "bh_modules.h"
#include "bh_output_host.h"

#define PATIENCE_NS 30000000000LL /* how long a module may say "later" */
#define TICK_NS 250000000LL
#define SETTINGS_MOST 64U

struct feed {
    struct asked_records q;
    const struct bh_output_module *module;
    struct bh_host_setting setting[SETTINGS_MOST];
    char *text[SETTINGS_MOST]; /* of them */
    size_t settings;
    struct bh_child *child;
    struct bh_host *host;
    struct bh_output_run run;
    struct bh_batch *kept;
    uint64_t number, offered, written, failed; /* offered: the last number + 1 */
    int64_t tick_ns;
    struct bh_error err; /* what ended it */
    bool gave_up;
};

static int64_t
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void
nap(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

static void
hear(void *arg, const char *instance, enum bh_say level, const struct bh_error *err)
{
    const struct feed *f = arg;
    char line[1200];
    if (level != BH_SAY_NOTE || !bh_arg_given(f->q.args, "quiet")) {
        fprintf(stderr, "beholder: %s: %s\n", instance,
                bh_error_line(err, f->q.lang, line, sizeof line));
    }
}

/* ---- the way through --------------------------------------------------------------------------------------- */

static int
tick(struct feed *f)
{
    f->tick_ns = now_ns();
    if (f->child != NULL) {
        bh_child_tick(f->child, f->tick_ns);
    }
    return bh_host_tick(f->host, f->tick_ns);
}

static int
on_begin(void *arg, const struct bh_records *r)
{
    struct feed *f = arg;
    const char *sensor = bh_arg(f->q.args, "sensor");
    f->run = (struct bh_output_run){
        .size = sizeof f->run,
        .sensor = sensor != NULL ? sensor : "feed",
        .start_ns = r->first_ns,
        .source = f->q.words.files[0],
        .home = r->home != NULL && r->home->networks.data != NULL ? r->home->networks.data : "",
        .outcomes = true,
        .all_accesses = f->q.input.all_accesses,
        .filter = r->filter_text != NULL ? r->filter_text : "",
        .countries = r->countries,
    };
    for (int lang = 0; lang < BH_LANGS; lang++) {
        f->run.home_text[lang] =
            r->home != NULL && r->home->text[lang].data != NULL ? r->home->text[lang].data : "";
    }
    return bh_host_run(f->host, &f->run, NULL);
}

/* A module that is slow is waited for; one that stays so is given up. */
static int
offer(struct feed *f, uint64_t number)
{
    const int64_t until = now_ns() + PATIENCE_NS;
    int r = bh_host_offer(f->host, f->kept, number, 0);
    r = r == 0 && now_ns() - f->tick_ns >= TICK_NS ? tick(f) : r;
    bool taken = r == 0;
    while (r == BH_EAGAIN && now_ns() < until && !program_is_interrupted()) {
        nap();
        r = tick(f);
        r = r != BH_EAGAIN && !taken ? bh_host_offer(f->host, f->kept, number, 0) : r;
        taken = taken || r == 0;
    }
    return r;
}

static int
on_batch(void *arg, struct bh_batch *b)
{
    struct feed *f = arg;
    const uint64_t number = f->number++;
    bh_batch_reset(f->kept);
    f->kept->want = b->want;
    f->kept->lacks = b->lacks;
    f->kept->no_tcp_seq = b->no_tcp_seq;
    for (uint32_t row = 0; row < b->rows; row++) {
        if (b->counted[row] != 0) {
            bh_batch_copy_row(f->kept, b, row);
        }
    }
    if (f->kept->rows == 0) {
        return 0;
    }
    f->gave_up = offer(f, number) == BH_EAGAIN;
    f->offered = number + 1;
    return f->gave_up || program_is_interrupted() ? 1 : 0;
}

/* The country data go now: all of it must be the module's, and as far as it can tell, its reader's. */
static int
on_end(void *arg, const struct bh_records *r)
{
    struct feed *f = arg;
    const int64_t until = now_ns() + PATIENCE_NS;
    uint64_t number = 0, held;
    (void)r;
    do {
        bh_ignore(tick(f)); /* what fails is counted */
        held = atomic_load(&bh_host_counters(f->host)->held_rows);
        /* Batches without a selected record were not offered, so the last number may be one of those before. */
        if (held == 0 && bh_host_flush(f->host, &number) == 0 && number >= f->offered) {
            break;
        }
        nap();
    } while (!f->gave_up && !program_is_interrupted() && now_ns() < until);
    f->written = atomic_load(&bh_host_counters(f->host)->written_rows);
    f->failed = atomic_load(&bh_host_counters(f->host)->failed_rows) + held;
    bh_host_free(f->host);
    f->host = NULL;
    return 0;
}

/* ---- options ------------------------------------------------------------------------------------------------- */

static int
take_settings(struct feed *f, struct bh_error *err)
{
    const char *const *words;
    const size_t count = bh_arg_all(f->q.args, "set", &words);
    for (size_t k = 0; k < count; k++) {
        const char *equals = strchr(words[k], '=');
        if (equals == NULL || equals == words[k] || k == SETTINGS_MOST) {
            return bh_error_set(err, BH_EUSAGE, words[k], "must be KEY=VALUE",
                                "キー=値 の形で指定してください");
        }
        f->text[k] = strdup(words[k]);
        if (f->text[k] == NULL) {
            return bh_error_errno(err, ENOMEM, "--set", "cannot start", "開始できません");
        }
        f->text[k][equals - words[k]] = '\0';
        f->setting[k] =
            (struct bh_host_setting){ f->text[k], f->text[k] + (equals - words[k]) + 1 };
        f->settings++;
    }
    return 0;
}

static int
open_child(struct feed *f, struct bh_error *err)
{
    const char *command = NULL;
    for (uint32_t k = 0; k < f->module->setting_count; k++) {
        for (size_t g = 0; f->module->settings[k].type == BH_SETTING_COMMAND && g < f->settings;
             g++) {
            command = strcmp(f->setting[g].name, f->module->settings[k].name) == 0
                          ? f->setting[g].value
                          : command;
        }
    }
    if ((f->module->needs & BH_OUTPUT_NEEDS_CHILD) == 0 || command == NULL) {
        return 0;
    }
    const struct bh_child_config cfg = { .command = command,
                                         .instance = f->module->name,
                                         .sensor = bh_arg(f->q.args, "sensor"),
                                         .hand_to = -1,
                                         .say = hear,
                                         .say_arg = f };
    return bh_child_new(&cfg, &f->child, err); /* with the rights of who calls: it is his command */
}

static int
child_fd(void *child, bool broken)
{
    return bh_child_fd(child, broken);
}

static int
open_module(struct feed *f, struct bh_error *err)
{
    const char *name = bh_arg(f->q.args, "module");
    if (name == NULL) {
        return bh_error_set(err, BH_EUSAGE, "--module", "say which: beholder outputs lists them",
                            "モジュールを指定してください。beholder outputs で一覧できます");
    }
    int r = bh_module_load(name, &f->module, err);
    if (r == 0 && (f->module->needs & BH_OUTPUT_NEEDS_FRAMES) != 0) {
        r = bh_error_set(err, BH_EUSAGE, name, "wants whole frames, which only a sensor has",
                         "はフレーム全体を必要とします (センサーでだけ使えます)");
    }
    r = r != 0 ? r : take_settings(f, err);
    r = r != 0 ? r : open_child(f, err);
    if (r != 0) {
        return r;
    }
    const struct bh_host_config cfg = { .module = f->module,
                                        .instance = f->module->name,
                                        .settings = f->setting,
                                        .setting_count = f->settings,
                                        .say = hear,
                                        .say_arg = f,
                                        .child_fd = f->child != NULL ? child_fd : NULL,
                                        .child_arg = f->child };
    f->kept = bh_batch_new();
    return f->kept == NULL ? bh_error_errno(err, ENOMEM, name, "cannot start", "開始できません")
                           : bh_host_new(&cfg, &f->host, err);
}

static void
fill_input(struct feed *f)
{
    const struct bh_args *a = f->q.args;
    f->q.input = (struct bh_report_options){
        .files = f->q.words.files,
        .file_count = f->q.words.file_count,
        .home = bh_arg(a, "home"),
        .since = bh_arg(a, "since"),
        .until = bh_arg(a, "until"),
        .last = bh_arg(a, "last"),
        .tz = bh_arg(a, "tz"),
        .outcomes = true,
        .all_accesses = bh_arg_given(a, "all-accesses"),
        .country_db = bh_arg(a, "country-db"),
        .input_format = bh_arg(a, "input-format"),
        .input_columns = bh_arg(a, "input-columns"),
        .input_year = (unsigned)bh_arg_uint(a, "input-year"),
        .filter_words = f->q.words.words,
        .filter_count = f->q.words.word_count,
        .now_ns = now_ns(),
    };
    f->q.input.decap_count = bh_arg_all(a, "decap", &f->q.input.decap);
}

static int
feed(struct feed *f)
{
    struct bh_error err = { 0 };
    struct bh_records records = { 0 };
    int code = 0;
    int r = open_module(f, &err);
    if (r == 0) {
        struct bh_records_config cfg = {
            .begin = on_begin, .batch = on_batch, .end = on_end, .arg = f
        };
        r = program_read_records(&f->q, &cfg, BH_NEEDS_ALL, &records, &code, &err);
        bh_records_done(&records);
    }
    if (r != 0) {
        code = program_fail(&err, f->q.lang);
    } else if (f->gave_up || f->failed > 0) {
        bh_error_set(&err, -EIO, f->module->name,
                     "%" PRIu64 " records written; not all of them could be",
                     "%" PRIu64 " 件を書きました。書けなかった記録があります", f->written);
        code = program_fail(&err, f->q.lang);
    } else if (!bh_arg_given(f->q.args, "quiet")) {
        char line[1200];
        bh_error_set(&err, 0, f->module->name, "%" PRIu64 " records", "記録 %" PRIu64 " 件",
                     f->written);
        fprintf(stderr, "%s\n", bh_error_line(&err, f->q.lang, line, sizeof line));
    }
    return code;
}

int
verb_feed(int argc, char **argv)
{
    struct feed *f = calloc(1, sizeof *f);
    const enum bh_lang lang = bh_lang_of_args(argc, argv);
    struct bh_error err = { 0 };
    struct bh_args *a = NULL;
    int code = 0;
    if (f == NULL || bh_args_parse(&beholder_feed_command, argc, argv, &a, &err) != 0) {
        free(f);
        return program_fail(&err, lang);
    }
    f->q.args = a;
    f->q.lang = lang;
    if (bh_arg_given(a, "help")) {
        bh_command_help(&beholder_feed_command, lang, stdout);
        code = program_end_stdout(lang);
    } else if (bh_arg_given(a, "version")) {
        puts("beholder " BH_VERSION);
        code = program_end_stdout(lang);
    } else if (program_operands(a, "beholder feed", &f->q.words, &err) != 0) {
        code = program_fail(&err, lang);
    } else {
        fill_input(f);
        code = feed(f);
    }
    bh_host_free(f->host);
    bh_child_free(f->child);
    bh_batch_free(f->kept);
    for (size_t k = 0; k < f->settings; k++) {
        free(f->text[k]);
    }
    free(f->q.words.files);
    bh_args_free(a);
    free(f);
    program_end_interrupted();
    return code;
}

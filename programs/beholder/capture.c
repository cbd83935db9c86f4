/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder capture: interfaces into the packet log, live. */
#include "beholder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bh_modules.h"
#include "bh_sensor.h"
#include "beholder_capture_command.h"

struct face {
    enum bh_lang lang;
    bool quiet, draws, drawn;
    const char *log;
    uint64_t frames;
};

static void
clear_line(struct face *f)
{
    if (f->drawn) {
        fputs("\r\033[K", stderr);
        f->drawn = false;
    }
}

static void
say(void *arg, const char *who, enum bh_say level, const struct bh_error *err)
{
    struct face *f = arg;
    char line[1200];
    if (level == BH_SAY_NOTE && f->quiet) {
        return;
    }
    clear_line(f);
    fprintf(stderr, "beholder: %s: %s\n", who, bh_error_line(err, f->lang, line, sizeof line));
}

static void
say_plain(struct face *f, const struct bh_error *text)
{
    char line[1200];
    clear_line(f);
    fprintf(stderr, "%s\n", bh_error_line(text, f->lang, line, sizeof line));
}

static uint64_t
lost_of(const struct bh_sensor_counters *c)
{
    uint64_t lost = c->kernel_lost;
    for (size_t k = 0; k < c->outputs; k++) {
        lost += c->output[k].lost + c->output[k].failed;
    }
    return lost;
}

static void
progress(void *arg, const struct bh_sensor_counters *c)
{
    struct face *f = arg;
    struct bh_error text = { 0 };
    char line[1200];
    if (!f->draws) {
        return;
    }
    bh_error_set(&text, 0, "",
                 "%" PRIu64 " packets/s, %" PRIu64 " records, %" PRIu64 " accesses, %" PRIu64
                 " lost",
                 "毎秒 %" PRIu64 " パケット、記録 %" PRIu64 " 件、アクセス %" PRIu64
                 " 件、欠落 %" PRIu64 " 件",
                 c->records - f->frames, c->records, c->accesses, lost_of(c));
    f->frames = c->records;
    fprintf(stderr, "\r%s\033[K", bh_error_line(&text, f->lang, line, sizeof line));
    f->drawn = true;
}

static void
started(void *arg, const char *user, const char *home)
{
    struct face *f = arg;
    struct bh_error text = { 0 };
    if (f->quiet) {
        return;
    }
    if (user[0] != '\0') {
        bh_error_set(&text, 0, f->log,
                     "belongs to the user %s from here on, and so does this process",
                     "は以後ユーザー %s のものです。このプロセスも同じユーザーで動きます", user);
        say_plain(f, &text);
    }
    bh_error_set(&text, 0, "", "watching %s; see it: beholder report%s%s",
                 "%s を監視しています。見るには: beholder report%s%s", home,
                 strcmp(f->log, "/var/log/beholder") == 0 ? "" : " ",
                 strcmp(f->log, "/var/log/beholder") == 0 ? "" : f->log);
    say_plain(f, &text);
}

static void
say_summary(struct face *f, const struct bh_sensor_counters *c)
{
    struct bh_error text = { 0 };
    bh_error_set(&text, 0, f->log,
                 "%" PRIu64 " records, %" PRIu64 " accesses; lost: %" PRIu64
                 " in the kernel, %" PRIu64 " on the way",
                 "記録 %" PRIu64 " 件、アクセス %" PRIu64 " 件。欠落: カーネル内 %" PRIu64
                 " 件、途中 %" PRIu64 " 件",
                 c->output[0].written, c->accesses, c->kernel_lost, lost_of(c) - c->kernel_lost);
    say_plain(f, &text);
}

/* A capture file is something else. */
static int
check_log(const char *dir, struct bh_error *err)
{
    static const char *const endings[] = { ".pcap", ".pcapng", ".cap" };
    struct stat st;
    const size_t n = strlen(dir);
    bool file = stat(dir, &st) == 0 && !S_ISDIR(st.st_mode);
    for (size_t k = 0; k < BH_COUNT(endings); k++) {
        const size_t e = strlen(endings[k]);
        file |= n > e && strcmp(dir + n - e, endings[k]) == 0;
    }
    return file
               ? bh_error_set(
                     err, BH_EUSAGE, dir,
                     "is no packet log: -w names a directory of records; whole frames are for the output module "
                     "payload (beholder outputs payload), or tcpdump",
                     "はパケットログではありません。-w は記録のディレクトリーです。フレーム全体は出力モジュール "
                     "payload (beholder outputs payload) か tcpdump で保存してください")
               : 0;
}

static int
capture(const struct bh_args *a, struct face *f, struct bh_error *err)
{
    char host[65] = "", sync[32];
    const char *const *interfaces;
    char *const *words;
    const size_t interface_count = bh_arg_all(a, "interface", &interfaces);
    const size_t word_count = bh_arg_operands(a, &words);
    if (interface_count == 0) {
        return bh_error_set(err, BH_EUSAGE, "beholder capture",
                            "say what to watch: -i IF (see: ip link)",
                            "監視するインターフェースを -i で指定してください (一覧は ip link)");
    }
    gethostname(host, sizeof host - 1);
    snprintf(sync, sizeof sync, "%" PRIu64 "s", bh_arg_uint(a, "sync"));
    const struct bh_host_setting settings[] = { { "directory", f->log },
                                                { "profile", bh_arg(a, "profile") },
                                                { "sync", sync } };
    const struct bh_sensor_output log = {
        .name = "log",
        .module = bh_module_find("iplog"),
        .settings = settings,
        .setting_count = BH_COUNT(settings),
        .filter_words = (const char *const *)words,
        .filter_count = word_count,
        .queue_bytes = bh_arg_uint(a, "queue") << 20,
    };
    const bool kills = getenv("BH_SANDBOX_KILLS") != NULL; /* of the tests */
    const struct bh_sensor_config cfg = {
        .interfaces = interfaces,
        .interface_count = interface_count,
        .promiscuous = !bh_arg_given(a, "no-promiscuous"),
        .ring_bytes = bh_arg_uint(a, "ring") << 20,
        .sensor = bh_arg(a, "sensor") != NULL ? bh_arg(a, "sensor") : host,
        .home = bh_arg(a, "home"),
        .country_db = bh_arg(a, "country-db"),
        .outcomes = strcmp(bh_arg(a, "outcomes"), "yes") == 0,
        .user = bh_arg(a, "user"),
        .sandbox = bh_arg_given(a, "no-sandbox") ? BH_SANDBOX_OFF
                   : kills                       ? BH_SANDBOX_KILL
                                                 : BH_SANDBOX_ON,
        .outputs = &log,
        .output_count = 1,
        .say = say,
        .say_arg = f,
        .progress = progress,
        .progress_arg = f,
        .started = started,
    };
    if (cfg.sandbox == BH_SANDBOX_OFF) {
        struct bh_error text = { 0 };
        bh_error_set(&text, 0, "--no-sandbox",
                     "the processes are NOT confined: a fault in them is a way into this machine",
                     "プロセスは制限されません。不具合があれば、このマシンへの侵入口になります");
        say(f, "beholder", BH_SAY_WARNING, &text);
    }
    struct bh_sensor_counters counters;
    int r = check_log(f->log, err);
    r = r != 0 ? r : bh_sensor_run(&cfg, &counters, err);
    clear_line(f);
    if (r == 0 && !f->quiet) {
        say_summary(f, &counters);
    }
    return r;
}

int
verb_capture(int argc, char **argv)
{
    struct face f = { .lang = bh_lang_of_args(argc, argv) };
    struct bh_error err = { 0 };
    struct bh_args *a = NULL;
    if (bh_args_parse(&beholder_capture_command, argc, argv, &a, &err) != 0) {
        return program_fail(&err, f.lang);
    }
    int code = 0;
    if (bh_arg_given(a, "help")) {
        bh_command_help(&beholder_capture_command, f.lang, stdout);
        code = program_end_stdout(f.lang);
    } else if (bh_arg_given(a, "version")) {
        puts("beholder " BH_VERSION);
        code = program_end_stdout(f.lang);
    } else {
        f.log = bh_arg(a, "write");
        f.quiet = bh_arg_given(a, "quiet");
        f.draws = !f.quiet && isatty(STDERR_FILENO) == 1;
        code = capture(a, &f, &err) != 0 ? program_fail(&err, f.lang) : 0;
    }
    bh_args_free(a);
    return code;
}

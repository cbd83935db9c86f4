/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder capture: interfaces into the packet log, live. */
#include "beholder.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bh_config.h"
#include "bh_modules.h"
#include "bh_sensor.h"
#include "bh_store.h"
#include "beholder_capture_command.h"

struct face {
    enum bh_lang lang;
    bool quiet, draws, drawn;
    bool runs; /* the sensor: what is read now is read again */
    bool
        log_default; /* it is where reports look when nobody says, as whoever started us; later we are another */
    char log[4096], log_output[64]; /* "": no output is a packet log */
    uint64_t frames;
    const struct bh_args *args;
    bool said; /* what is wrong with the configuration, line by line */
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
    uint64_t lost = c->kernel_lost + c->gone_lost;
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
    f->runs = true;
    if (f->quiet) {
        return;
    }
    if (f->log[0] != '\0' && user[0] != '\0') {
        bh_error_set(&text, 0, f->log,
                     "belongs to the user %s from here on, and so does this process",
                     "は以後ユーザー %s のものです。このプロセスも同じユーザーで動きます", user);
        say_plain(f, &text);
    }
    const bool waits = home[0] == '\0'; /* for an interface, which was said */
    if (f->log[0] == '\0') {
        bh_error_set(&text, 0, "", waits ? "waiting%s" : "watching %s",
                     waits ? "待機しています%s" : "%s を監視しています", home);
    } else {
        bh_error_set(&text, 0, "",
                     waits ? "waiting%s; see it then: beholder report%s%s"
                           : "watching %s; see it: beholder report%s%s",
                     waits ? "待機しています%s。記録を見るには: beholder report%s%s"
                           : "%s を監視しています。見るには: beholder report%s%s",
                     home, f->log_default ? "" : " ", f->log_default ? "" : f->log);
    }
    say_plain(f, &text);
}

static void
say_summary(struct face *f, const struct bh_sensor_counters *c)
{
    struct bh_error text = { 0 };
    uint64_t records = c->records;
    for (size_t k = 0; k < c->outputs; k++) {
        records = strcmp(c->output[k].name, f->log_output) == 0 ? c->output[k].written : records;
    }
    bh_error_set(&text, 0, f->log,
                 "%" PRIu64 " records, %" PRIu64 " accesses; lost: %" PRIu64
                 " in the kernel, %" PRIu64 " on the way",
                 "記録 %" PRIu64 " 件、アクセス %" PRIu64 " 件。欠落: カーネル内 %" PRIu64
                 " 件、途中 %" PRIu64 " 件",
                 records, c->accesses, c->kernel_lost, lost_of(c) - c->kernel_lost);
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

/* Nobody else writes there. Processes of a sensor that was killed a moment ago are about to end. */
static int
check_writer(const char *dir, struct bh_error *err)
{
    int r = bh_store_check_writer(dir, err);
    for (int tries = 0; r != 0 && tries < 20; tries++) {
        bh_ignore(poll(NULL, 0, 100));
        r = bh_store_check_writer(dir, err);
    }
    return r;
}

/* ---- configuration ----------------------------------------------------------------------------------- */

#define DEFAULT_CONFIG "/etc/beholder/beholder.conf"

static int
set(struct bh_config *c, const struct bh_args *a, const char *option, const char *section,
    const char *key, const char *value, struct bh_error *err)
{
    char from[64];
    snprintf(from, sizeof from, "--%s", option);
    return bh_arg_given(a, option) ? bh_config_set(c, section, key, value, from, err) : 0;
}

/* Words joined by `between`; NULL: no memory. */
static char *
join(const char *const *words, size_t count, char between)
{
    struct bh_buf b = { 0 };
    for (size_t k = 0; k < count; k++) {
        if (k > 0) {
            bh_buf_putc(&b, between);
        }
        bh_buf_puts(&b, words[k]);
    }
    bh_buf_putc(&b, '\0');
    if (b.failed) {
        bh_buf_done(&b);
    }
    return b.data;
}

/* The command line over the files. What is about the log is about the output of that name. */
static int
set_all(struct bh_config *c, const struct bh_args *a, struct bh_error *err)
{
    static const struct {
        const char *option, *section, *key, *unit;
    } plain[] = {
        { "sensor", "site", "sensor", "" },
        { "home", "site", "home", "" },
        { "country-db", "site", "country-db", "" },
        { "user", "site", "user", "" },
        { "ring", "capture", "ring", "M" },
        { "threads", "capture", "threads", "" },
        { "outcomes", "capture", "outcomes", "" },
        { "status-socket", "site", "status-socket", "" },
        { "metrics-file", "site", "metrics-file", "" },
        { "metrics-listen", "site", "metrics-listen", "" },
        { "capture", "capture", "capture", "" },
        { "write", "site", "log-dir", "" },
        { "queue", "output log", "queue", "M" },
        { "profile", "output log", "profile", "" },
        { "sync", "output log", "sync", "s" },
    };
    int r = 0;
    for (size_t k = 0; r == 0 && k < BH_COUNT(plain); k++) {
        char value[4096];
        const char *text = bh_arg(a, plain[k].option);
        snprintf(value, sizeof value, "%s%s", text != NULL ? text : "", plain[k].unit);
        r = set(c, a, plain[k].option, plain[k].section, plain[k].key, value, err);
        if (r == 0 && strcmp(plain[k].section, "output log") == 0 &&
            bh_arg_given(a, plain[k].option)) {
            r = set(c, a, plain[k].option, "output log", "module", "iplog", err);
        }
    }
    r = r != 0 ? r : set(c, a, "no-promiscuous", "capture", "promiscuous", "no", err);
    const char *const *interfaces;
    char *const *words;
    const size_t watched = bh_arg_all(a, "interface", &interfaces);
    char *joined = join(interfaces, watched, ',');
    r = r != 0 || joined == NULL ? r : set(c, a, "interface", "capture", "interface", joined, err);
    free(joined);
    const size_t count = bh_arg_operands(a, &words);
    joined = join((const char *const *)words, count, ' ');
    if (r == 0 && count > 0 && joined != NULL) {
        r = bh_config_set(c, "capture", "filter", joined, "command line", err);
    }
    free(joined);
    return r;
}

static int
read_config(struct bh_config *c, const struct bh_args *a, struct face *f, struct bh_error *err)
{
    const char *path = bh_arg(a, "config");
    int r = 0;
    if (path != NULL || access(DEFAULT_CONFIG, F_OK) == 0) {
        r = bh_config_read(c, path != NULL ? path : DEFAULT_CONFIG);
    }
    int set = set_all(c, a, err);
    if (set == 0 && !bh_config_given(c, BH_CONFIG_SITE, "log-dir")) {
        char dir[4096]; /* where reports look, too */
        set = bh_config_set(c, "site", "log-dir", bh_store_default_dir(dir, sizeof dir), "default",
                            err);
    }
    r = r != 0 ? r : set;
    const int whole = set != 0 ? 0 : bh_config_finish(c);
    r = r != 0 ? r : whole;
    f->said = bh_config_error_count(c) > 0;
    for (size_t k = 0; k < bh_config_error_count(c); k++) {
        char line[1200];
        fprintf(stderr, "beholder: %s\n",
                bh_error_line(bh_config_error(c, k), f->lang, line, sizeof line));
    }
    if (set != 0) {
        return set;
    }
    return r == 0 ? 0
                  : bh_error_set(err, BH_EUSAGE, path != NULL ? path : DEFAULT_CONFIG,
                                 "nothing was started; beholder check-config tells the same",
                                 "何も起動していません。beholder check-config でも確認できます");
}

/* ---- the sensor ------------------------------------------------------------------------------------------ */

/* A configuration as the sensor takes it, with all that it points to. */
struct loaded {
    struct bh_config *config;
    struct bh_sensor_output output[BH_SENSOR_OUTPUTS];
    char *filter[BH_SENSOR_OUTPUTS];
    size_t count;
    char host[65], *names;
    const char *interfaces[BH_LIVE_INTERFACES + 1];
    struct bh_buf fixed;
    struct bh_sensor_config sensor;
};

static void
unload(struct loaded *l)
{
    for (size_t k = 0; l != NULL && k < l->count; k++) {
        free(l->filter[k]);
    }
    if (l != NULL) {
        bh_buf_done(&l->fixed);
        free(l->names);
        bh_config_free(l->config);
    }
    free(l);
}

/* What is recorded at all, and what of that an output is given. */
static char *
both_filters(const char *all, const char *one)
{
    struct bh_buf b = { 0 };
    if (*all != '\0' && *one != '\0') {
        bh_buf_printf(&b, "(%s) and (%s)", all, one);
    } else {
        bh_buf_puts(&b, *all != '\0' ? all : one);
    }
    bh_buf_putc(&b, '\0');
    return b.data;
}

/* Of the output and of what is recorded at all. */
static uint64_t
mark_of(const struct bh_config *c, size_t index, const char *filter)
{
    uint64_t mark = bh_config_output_mark(c, index);
    for (; *filter != '\0'; filter++) {
        mark = bh_mix64(mark, (uint8_t)*filter);
    }
    return mark;
}

static int
take_outputs(struct loaded *l, struct face *f, struct bh_error *err)
{
    const struct bh_config *c = l->config;
    const size_t count = bh_config_output_count(c);
    if (count > BH_SENSOR_OUTPUTS) {
        return bh_error_set(err, BH_ELIMIT, "", "more than %u outputs", "出力は %u 個までです",
                            BH_SENSOR_OUTPUTS);
    }
    for (size_t k = 0; k < count; k++) {
        struct bh_config_output from;
        bh_config_output(c, k, &from);
        l->filter[k] = both_filters(bh_config_text(c, BH_CONFIG_CAPTURE, "filter"), from.filter);
        l->count = k + 1;
        if (l->filter[k] == NULL) {
            return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
        }
        l->output[k] = (struct bh_sensor_output){
            .name = from.name,
            .module = from.module,
            .settings = from.settings,
            .setting_count = from.setting_count,
            .filter_words = (const char *const *)&l->filter[k],
            .filter_count = l->filter[k][0] != '\0',
            .queue_bytes = from.queue_octets,
            .spool = from.spool,
            .spool_bytes = from.spool_octets,
            .mark = mark_of(c, k, l->filter[k]),
        };
        for (size_t s = 0; s < from.setting_count; s++) {
            if (strcmp(from.module->name, "iplog") == 0 &&
                strcmp(from.settings[s].name, "directory") == 0) {
                snprintf(f->log, sizeof f->log, "%s", from.settings[s].value);
                snprintf(f->log_output, sizeof f->log_output, "%s", from.name);
                int r = check_log(f->log, err);
                r = r != 0 || f->runs ? r : check_writer(f->log, err);
                if (r != 0) {
                    return r;
                }
                char dir[4096];
                f->log_default = f->runs
                                     ? f->log_default
                                     : strcmp(f->log, bh_store_default_dir(dir, sizeof dir)) == 0;
            }
        }
    }
    return 0;
}

/* "eth0, eth1" in place. */
static size_t
split_interfaces(char *text, const char *ret[BH_LIVE_INTERFACES + 1])
{
    size_t n = 0;
    char *state = NULL;
    for (char *w = strtok_r(text, ", ", &state); w != NULL && n <= BH_LIVE_INTERFACES;
         w = strtok_r(NULL, ", ", &state)) {
        ret[n++] = w;
    }
    return n;
}

/* What cannot change while the sensor runs. */
static void
put_fixed(const struct bh_config *c, struct bh_buf *out)
{
    static const struct {
        enum bh_config_section section;
        const char *key;
    } keys[] = { { BH_CONFIG_CAPTURE, "interface" },   { BH_CONFIG_CAPTURE, "ring" },
                 { BH_CONFIG_CAPTURE, "promiscuous" }, { BH_CONFIG_CAPTURE, "threads" },
                 { BH_CONFIG_CAPTURE, "capture" },     { BH_CONFIG_CAPTURE, "kernel-filter" },
                 { BH_CONFIG_CAPTURE, "outcomes" },    { BH_CONFIG_SITE, "user" },
                 { BH_CONFIG_SITE, "status-socket" },  { BH_CONFIG_SITE, "metrics-listen" } };
    for (size_t k = 0; k < BH_COUNT(keys); k++) {
        const char *value = bh_config_text(c, keys[k].section, keys[k].key);
        bh_buf_printf(out, "%s=%s\n", keys[k].key, value != NULL ? value : "");
    }
    bh_buf_putc(out, '\0');
}

static int reload(void *arg, const struct bh_sensor_config **ret_config);

static void
forget(void *arg, const struct bh_sensor_config *config)
{
    (void)arg;
    unload((struct loaded *)(uintptr_t)((const char *)config - offsetof(struct loaded, sensor)));
}

static void
fill_sensor(struct loaded *l, struct face *f)
{
    const struct bh_config *c = l->config;
    const char *sensor = bh_config_text(c, BH_CONFIG_SITE, "sensor");
    const bool kills = getenv("BH_SANDBOX_KILLS") != NULL; /* of the tests */
    l->sensor = (struct bh_sensor_config){
        .interfaces = l->interfaces,
        .interface_count = split_interfaces(l->names, l->interfaces),
        .promiscuous = bh_config_uint(c, BH_CONFIG_CAPTURE, "promiscuous") != 0,
        .ring_bytes = bh_config_uint(c, BH_CONFIG_CAPTURE, "ring"),
        .threads = (unsigned)bh_config_uint(c, BH_CONFIG_CAPTURE, "threads"),
        .sensor = sensor != NULL ? sensor : l->host,
        .home = bh_config_text(c, BH_CONFIG_SITE, "home"),
        .country_db = bh_config_text(c, BH_CONFIG_SITE, "country-db"),
        .with_pcap = strcmp(bh_config_text(c, BH_CONFIG_CAPTURE, "capture"), "libpcap") == 0,
        .no_kernel_filter = bh_config_uint(c, BH_CONFIG_CAPTURE, "kernel-filter") == 0,
        .outcomes = bh_config_uint(c, BH_CONFIG_CAPTURE, "outcomes") != 0,
        .user = bh_config_text(c, BH_CONFIG_SITE, "user"),
        .status_socket = bh_config_text(c, BH_CONFIG_SITE, "status-socket"),
        .metrics_file = bh_config_text(c, BH_CONFIG_SITE, "metrics-file"),
        .metrics_listen = bh_config_text(c, BH_CONFIG_SITE, "metrics-listen"),
        .sandbox = bh_arg_given(f->args, "no-sandbox") ? BH_SANDBOX_OFF
                   : kills                             ? BH_SANDBOX_KILL
                                                       : BH_SANDBOX_ON,
        .outputs = l->output,
        .output_count = l->count,
        .say = say,
        .say_arg = f,
        .progress = progress,
        .progress_arg = f,
        .reload = reload,
        .forget = forget,
        .reload_arg = f,
        .fixed = l->fixed.data,
        .started = started,
    };
}

/* Files and command line, checked. */
static int
load(struct face *f, struct loaded **ret, struct bh_error *err)
{
    struct loaded *l = calloc(1, sizeof *l);
    if (l == NULL || (l->config = bh_config_new(bh_modules)) == NULL) {
        unload(l);
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    int r = read_config(l->config, f->args, f, err);
    if (r == 0 && !bh_config_given(l->config, BH_CONFIG_CAPTURE, "interface")) {
        r = bh_error_set(
            err, BH_EUSAGE, "beholder capture",
            "say what to watch: -i IF (beholder interfaces lists them)",
            "監視するインターフェースを -i で指定してください (一覧は beholder interfaces)");
    }
    r = r != 0 ? r : take_outputs(l, f, err);
    if (r == 0 && bh_arg_given(f->args, "write") && f->log[0] == '\0') {
        r = bh_error_set(
            err, BH_EUSAGE, "-w",
            "no output of the configuration is a packet log: add one with module = iplog%s",
            "設定にパケットログの出力がありません。module = iplog の出力を加えてください%s", "");
    }
    if (r == 0) {
        gethostname(l->host, sizeof l->host - 1);
        put_fixed(l->config, &l->fixed);
        l->names = strdup(bh_config_text(l->config, BH_CONFIG_CAPTURE, "interface"));
        if (l->names == NULL || l->fixed.failed) {
            r = bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
        }
    }
    if (r != 0) {
        unload(l);
        return r;
    }
    fill_sensor(l, f);
    *ret = l;
    return 0;
}

/* SIGHUP: what is wrong is said with its place. */
static int
reload(void *arg, const struct bh_sensor_config **ret_config)
{
    struct face *f = arg;
    struct loaded *l;
    struct bh_error err = { 0 };
    const int r = load(f, &l, &err);
    if (r != 0 && !f->said) {
        say(f, "beholder", BH_SAY_ERROR, &err);
    }
    if (r != 0) {
        return r;
    }
    *ret_config = &l->sensor;
    return 0;
}

static int
capture(struct face *f, struct bh_error *err)
{
    struct bh_sensor_counters counters;
    struct loaded *l;
    int r = load(f, &l, err);
    if (r != 0) {
        return r;
    }
    if (l->sensor.sandbox == BH_SANDBOX_OFF) {
        struct bh_error text = { 0 };
        bh_error_set(&text, 0, "--no-sandbox",
                     "the processes are NOT confined: a fault in them is a way into this machine",
                     "プロセスは制限されません。不具合があれば、このマシンへの侵入口になります");
        say(f, "beholder", BH_SAY_WARNING, &text);
    }
    const struct bh_sensor_config *in_force = &l->sensor;
    r = bh_sensor_run(&in_force, &counters, err);
    clear_line(f);
    if (r == 0 && !f->quiet) {
        say_summary(f, &counters);
    }
    forget(f, in_force);
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
        f.quiet = bh_arg_given(a, "quiet");
        f.draws = !f.quiet && isatty(STDERR_FILENO) == 1;
        f.args = a;
        code = capture(&f, &err) != 0 ? program_fail(&err, f.lang) : 0;
    }
    bh_args_free(a);
    return code;
}

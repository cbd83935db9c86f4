/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder doctor: would a sensor work here, and what to do where not. It looks; it changes nothing. */
#include "beholder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

#include "beholder_doctor_command.h"
#include "bh_store.h"
#include "kobold.h"
#ifdef BH_WITH_SENSOR
#include "bh_sensor.h"
#endif

#define LANDLOCK_CREATE_RULESET                                                                    \
    444 /* the same on all architectures; LANDLOCK_CREATE_RULESET_VERSION is 1 */

enum verdict { GOOD, WARNING, BAD, VERDICTS };
struct finding {
    enum verdict verdict;
    const char *subject[BH_LANGS];
    char found[BH_LANGS][200], advice[BH_LANGS][240]; /* advice: "" when there is nothing to do */
};

static void
    BH_PRINTF(3, 5) found(struct finding *f, enum verdict v, const char *en, const char *ja, ...)
{
    va_list ap;
    f->verdict = v;
    for (int lang = 0; lang < BH_LANGS; lang++) {
        va_start(ap, ja);
        vsnprintf(f->found[lang], sizeof f->found[lang], lang == BH_JA ? ja : en, ap);
        va_end(ap);
        bh_text_trim(f->found[lang]);
    }
}

static void
advise(struct finding *f, const char *en, const char *ja)
{
    snprintf(f->advice[BH_EN], sizeof f->advice[BH_EN], "%s", en);
    snprintf(f->advice[BH_JA], sizeof f->advice[BH_JA], "%s", ja);
}

/* ---- what it looks at -------------------------------------------------------------------------------- */

struct looking {
    const char *log_dir, *country_db;
    int64_t now_s;
};

/* A socket, and a ring behind it: what CAP_NET_RAW is for. */
static void
look_capture(const struct looking *l, struct finding *f)
{
    (void)l;
    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    const int version = TPACKET_V3;
    /* 32 MiB, as a sensor takes for an interface when nobody says. */
    struct tpacket_req3 ring = { .tp_block_size = 1U << 18,
                                 .tp_block_nr = 128,
                                 .tp_frame_size = 2048,
                                 .tp_frame_nr = 128 * 128,
                                 .tp_retire_blk_tov = 10 };
    if (fd < 0) {
        const bool refused = errno == EPERM || errno == EACCES;
        found(f, BAD, "no packet socket: %s%.0s", "パケットソケットを開けません: %.0s%s",
              bh_errno_text(errno, BH_EN), bh_errno_text(errno, BH_JA));
        advise(f,
               refused ? "run it as root, or: setcap cap_net_raw=ep $(command -v beholder)"
                       : "the kernel must have CONFIG_PACKET",
               refused ? "root で実行するか: setcap cap_net_raw=ep $(command -v beholder)"
                       : "カーネルに CONFIG_PACKET が必要です");
        return;
    }
    const bool speaks = setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) == 0;
    if (speaks && setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) == 0) {
        found(f, GOOD, "packet socket and TPACKET_V3 ring of 32 MiB",
              "パケットソケットと TPACKET_V3 リング (32 MiB)");
        close(fd);
        return;
    }
    ring.tp_block_nr = 4;
    ring.tp_frame_nr = 512;
    if (!speaks || setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) != 0) {
        found(f, BAD, "packet socket, but no TPACKET_V3 ring: %s%.0s",
              "パケットソケットはありますが TPACKET_V3 リングを作れません: %.0s%s",
              bh_errno_text(errno, BH_EN), bh_errno_text(errno, BH_JA));
        advise(f, "use --capture libpcap", "--capture libpcap を使ってください");
    } else {
        found(f, WARNING, "packet socket, but only a small TPACKET_V3 ring",
              "パケットソケットはありますが TPACKET_V3 リングは小さなものだけです");
        advise(
            f,
            "there is too little memory in large pieces: fewer interfaces, or ring = 8M in [capture]",
            "大きな連続メモリが不足しています。インターフェースを減らすか、[capture] で ring = 8M としてください");
    }
    close(fd);
}

static void
look_seccomp(const struct looking *l, struct finding *f)
{
    char actions[256] = "";
    FILE *file = fopen("/proc/sys/kernel/seccomp/actions_avail", "re");
    (void)l;
    if (file != NULL) {
        if (fgets(actions, sizeof actions, file) == NULL) {
            actions[0] = '\0';
        }
        fclose(file);
    }
    if (strstr(actions, "errno") != NULL && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0) {
        found(f, GOOD, "seccomp filters", "seccomp フィルター");
    } else {
        found(f, WARNING, "this kernel has no seccomp filters",
              "このカーネルに seccomp フィルターはありません");
        advise(
            f, "a kernel with CONFIG_SECCOMP_FILTER; without it the sensor needs --no-sandbox",
            "CONFIG_SECCOMP_FILTER のあるカーネルを使ってください。なければ --no-sandbox が必要です");
    }
}

static void
look_landlock(const struct looking *l, struct finding *f)
{
    const long abi = syscall(LANDLOCK_CREATE_RULESET, NULL, 0, 1U);
    (void)l;
    if (abi >= 1) {
        found(f, GOOD, "Landlock, ABI %ld", "Landlock (ABI %ld)", abi);
    } else {
        found(f, WARNING, "no Landlock: %s%.0s", "Landlock はありません: %.0s%s",
              bh_errno_text(errno, BH_EN), bh_errno_text(errno, BH_JA));
        advise(
            f,
            "Linux 5.13 with lsm=landlock,...; files are then guarded by ownership and seccomp alone",
            "Linux 5.13 以降で lsm=landlock,... とします。なければファイルは所有権と seccomp だけで守られます");
    }
}

static void
look_clock(const struct looking *l, struct finding *f)
{
    struct timex t = { 0 };
    const int state = adjtimex(&t);
    (void)l;
    if (state >= 0 && state != TIME_ERROR && (t.status & STA_UNSYNC) == 0) {
        found(f, GOOD, "synchronised, error at most %ld ms", "同期しています (誤差 %ld ミリ秒以内)",
              t.maxerror / 1000);
    } else {
        found(f, WARNING, "not synchronised", "同期していません");
        advise(
            f, "run chrony or systemd-timesyncd: records of sensors are compared by their times",
            "chrony か systemd-timesyncd を動かしてください。センサーどうしの記録は時刻で突き合わされます");
    }
}

static void
look_disk(const struct looking *l, struct finding *f)
{
    struct statvfs v;
    char path[4096];
    snprintf(path, sizeof path, "%s", l->log_dir);
    while (statvfs(path, &v) != 0) { /* of the nearest folder that is there */
        char *slash = strrchr(path, '/');
        if (slash == NULL || slash == path) {
            snprintf(path, sizeof path, "/");
            if (statvfs(path, &v) != 0) {
                found(f, BAD, "%s: %s%.0s", "%s: %.0s%s", l->log_dir, bh_errno_text(errno, BH_EN),
                      bh_errno_text(errno, BH_JA));
                return;
            }
            break;
        }
        *slash = '\0';
    }
    const uint64_t free_mib = (uint64_t)v.f_bavail * v.f_frsize >> 20;
    const bool readonly = (v.f_flag & ST_RDONLY) != 0;
    if (readonly) {
        found(f, BAD, "%s is on a file system that is read-only",
              "%s は読み取り専用のファイルシステムにあります", l->log_dir);
        advise(f, "name another place with -w", "-w で別の場所を指定してください");
    } else if (free_mib < 1024) {
        found(f, WARNING, "%" PRIu64 " MiB free for %s", "空き %" PRIu64 " MiB (%s)", free_mib,
              l->log_dir);
        advise(f, "some 70 million records take a gibibyte; --keep-size bounds the log",
               "約 7000 万件で 1 GiB です。--keep-size でログの大きさを制限できます");
    } else {
        found(f, GOOD, "%" PRIu64 " GiB free for %s", "空き %" PRIu64 " GiB (%s)", free_mib >> 10,
              l->log_dir);
    }
}

/* Days of a date YYYY-MM-DD since 1970 (civil calendar); -1: none. */
static int64_t
days_of(const char *date)
{
    int y, m, d;
    if (sscanf(date, "%4d-%2d-%2d", &y, &m, &d) != 3 || m < 1 || m > 12) {
        return -1;
    }
    struct tm t = { .tm_year = y - 1900, .tm_mon = m - 1, .tm_mday = d };
    return (int64_t)timegm(&t) / 86400;
}

static void
look_countries(const struct looking *l, struct finding *f)
{
    kobold *k = NULL;
    struct kobold_meta m;
    char buf[4096];
    const char *path = l->country_db != NULL ? l->country_db : kobold_default_path(buf, sizeof buf);
    const int r = kobold_open(path, &k);
    if (r != 0) {
        found(f, BAD, "%s: %s%.0s", "%s: %.0s%s", path, kobold_strerror(r, BH_EN),
              kobold_strerror(r, BH_JA));
        advise(
            f, "kobold compile makes one, kobold update renews it, --country-db names another",
            "kobold compile で作り、kobold update で更新し、--country-db で別のものを指定できます");
        return;
    }
    kobold_get_meta(k, &m);
    const int64_t made = days_of(m.date), age = made < 0 ? -1 : l->now_s / 86400 - made;
    if (age < 0) {
        found(f, GOOD, "%s, of %s", "%s (%s 時点)", m.name, m.date[0] != '\0' ? m.date : "?");
    } else {
        found(f, age > 365 ? WARNING : GOOD, "%s, of %s: %" PRId64 " days old",
              "%s (%s 時点、%" PRId64 " 日前)", m.name, m.date, age);
    }
    if (age > 365) {
        advise(
            f, "kobold update --fetch renews it from the five registries; addresses move every day",
            "kobold update --fetch で 5 つのレジストリのデータから更新できます。アドレスの割り振りは毎日変わります");
    }
    kobold_close(k);
}

#ifdef BH_WITH_SENSOR
/* ---- sensors that run here: what they say themselves ---------------------------------------------------- */

/* Metrics of all that answer, one after the other. Returns how many. */
static size_t
ask_sensors(struct bh_buf *out)
{
    char *path[BH_SENSOR_SOCKETS];
    const size_t count = bh_sensor_sockets(path);
    size_t answered = 0;
    for (size_t k = 0; k < count; k++) {
        struct bh_error err;
        answered += bh_sensor_ask(path[k], "metrics\n", out, &err) == 0;
        free(path[k]);
    }
    bh_buf_putc(out, '\0');
    return answered;
}

/* The samples of a metric added up, or (least) the least of them. */
static double
add_up(const char *text, const char *metric, bool least)
{
    const size_t n = strlen(metric);
    double sum = least ? 1 : 0;
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        const char *value = end;
        if (strncmp(line, metric, n) == 0 && (line[n] == '{' || line[n] == ' ')) {
            while (value != NULL && value > line && value[-1] != ' ') {
                value--;
            }
            const double v = value != NULL ? strtod(value, NULL) : 0;
            sum = least ? (v < sum ? v : sum) : sum + v;
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return sum;
}

static void
look_drops(const struct looking *l, struct finding *f)
{
    struct bh_buf text = { 0 };
    (void)l;
    if (ask_sensors(&text) == 0 || text.failed) {
        found(f, GOOD, "no sensor runs here, or it does not answer this user",
              "動作中のセンサーはないか、このユーザーには応答しません");
        bh_buf_done(&text);
        return;
    }
    const double kernel = add_up(text.data, "beholder_interface_lost_total", false);
    const double way = add_up(text.data, "beholder_output_lost_total", false) +
                       add_up(text.data, "beholder_output_failed_total", false);
    const double frames = add_up(text.data, "beholder_interface_frames_total", false);
    found(f, kernel + way > 0 ? WARNING : GOOD,
          "of %.0f frames %.0f lost in the kernel, %.0f records on the way",
          "%.0f フレームのうち、カーネルでの欠落 %.0f、途中での欠落 %.0f 件", frames, kernel, way);
    if (kernel > 0) {
        advise(
            f, "a larger ring, or fewer interfaces: ring = 128M in [capture]",
            "リングを大きくするか、インターフェースを減らしてください: [capture] で ring = 128M");
    } else if (way > 0) {
        advise(
            f,
            "beholder status says which output; a larger queue, or a narrower filter, in its [output NAME]",
            "どの出力かは beholder status で分かります。その [output 名前] で queue を大きくするか filter を狭めてください");
    }
    bh_buf_done(&text);
}

static void
look_sandbox(const struct looking *l, struct finding *f)
{
    struct bh_buf text = { 0 };
    (void)l;
    if (ask_sensors(&text) == 0 || text.failed) {
        found(f, GOOD, "no sensor runs here, or it does not answer this user",
              "動作中のセンサーはないか、このユーザーには応答しません");
    } else if (add_up(text.data, "beholder_process_confined", true) >= 1) {
        found(f, GOOD, "every process that sees packets or records is confined",
              "パケットや記録を扱うプロセスはすべて制限されています");
    } else {
        found(f, WARNING, "a process that sees packets or records is not wholly confined",
              "パケットや記録を扱うプロセスに、十分に制限されていないものがあります");
        advise(
            f,
            "beholder status says which and by what; run it without --no-sandbox, on a kernel with seccomp and Landlock",
            "詳細は beholder status で分かります。--no-sandbox を付けず、seccomp と Landlock のあるカーネルで動かしてください");
    }
    bh_buf_done(&text);
}
#endif

static const struct {
    const char *key;
    const char *subject[BH_LANGS];
    void (*look)(const struct looking *l, struct finding *f);
} subjects[] = {
    { "capture", { "capture", "キャプチャ" }, look_capture },
    { "seccomp", { "system calls", "システムコール" }, look_seccomp },
    { "landlock", { "files", "ファイル" }, look_landlock },
    { "clock", { "clock", "時計" }, look_clock },
    { "disk", { "disk", "ディスク" }, look_disk },
    { "country-db", { "countries", "国データ" }, look_countries },
#ifdef BH_WITH_SENSOR
    { "drops", { "losses", "欠落" }, look_drops },
    { "sandbox", { "confinement", "プロセスの制限" }, look_sandbox },
#endif
};

/* ---- what it says --------------------------------------------------------------------------------------- */

static void
put_text(const struct finding *all, enum bh_lang lang, struct bh_buf *out)
{
    static const char *const words[VERDICTS][BH_LANGS] = { { "good", "良好" },
                                                           { "look", "注意" },
                                                           { "BAD", "不可" } };
    for (size_t k = 0; k < BH_COUNT(subjects); k++) {
        const struct finding *f = &all[k];
        const char *subject = subjects[k].subject[lang];
        const int pad = 16 - (int)bh_text_width(subject);
        bh_buf_printf(out, "%-4s  %s%*s", words[f->verdict][lang], subject, pad > 0 ? pad : 1, "");
        bh_buf_put_safe(out, f->found[lang], strlen(f->found[lang]));
        bh_buf_putc(out, '\n');
        if (f->advice[lang][0] != '\0') {
            bh_buf_printf(out, "%22s%s\n", "", f->advice[lang]);
        }
    }
}

static void
put_json(const struct finding *all, enum bh_lang lang, struct bh_buf *out)
{
    static const char *const words[VERDICTS] = { "good", "warning", "bad" };
    bh_buf_putc(out, '[');
    for (size_t k = 0; k < BH_COUNT(subjects); k++) {
        bh_buf_printf(out,
                      "%s{\"subject\":\"%s\",\"verdict\":\"%s\",\"found\":", k > 0 ? ",\n " : "",
                      subjects[k].key, words[all[k].verdict]);
        bh_buf_put_json(out, all[k].found[lang], strlen(all[k].found[lang]));
        if (all[k].advice[lang][0] != '\0') {
            bh_buf_puts(out, ",\"advice\":");
            bh_buf_put_json(out, all[k].advice[lang], strlen(all[k].advice[lang]));
        }
        bh_buf_putc(out, '}');
    }
    bh_buf_puts(out, "]\n");
}

int
verb_doctor(int argc, char **argv)
{
    enum bh_lang lang = bh_lang_of_args(argc, argv);
    struct bh_error err = { 0 };
    struct bh_args *a = NULL;
    if (bh_args_parse(&beholder_doctor_command, argc, argv, &a, &err) != 0) {
        return program_fail(&err, lang);
    }
    if (bh_arg_given(a, "help")) {
        bh_command_help(&beholder_doctor_command, lang, stdout);
        bh_args_free(a);
        return program_end_stdout(lang);
    }
    struct finding all[BH_COUNT(subjects)] = { 0 };
    char dir[4096];
    const char *said = bh_arg(a, "write");
    const struct looking l = { .log_dir =
                                   said != NULL ? said : bh_store_default_dir(dir, sizeof dir),
                               .country_db = bh_arg(a, "country-db"),
                               .now_s = (int64_t)time(NULL) };
    struct bh_buf out = { 0 };
    enum verdict worst = GOOD;
    for (size_t k = 0; k < BH_COUNT(subjects); k++) {
        subjects[k].look(&l, &all[k]);
        worst = all[k].verdict > worst ? all[k].verdict : worst;
    }
    (bh_arg_given(a, "json") ? put_json : put_text)(all, lang, &out);
    const int r = program_write(&out, &err);
    bh_buf_done(&out);
    bh_args_free(a);
    if (r != 0) {
        return program_fail(&err, lang);
    }
    const int code = program_end_stdout(lang);
    return code != 0 ? code : worst == BAD;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What beholder.conf knows beside the settings of modules. The manual's tables are made of these. */
#include "config_priv.h"

const char *const section_names[BH_CONFIG_SECTIONS] = { "site", "capture", "output" };

/* clang-format off: a table */
static const struct bh_setting site[] = {
    { "sensor", BH_SETTING_TEXT, "", NULL, NULL, 0, 0, false,
      { "name of this sensor in records and reports; else the host's name",
        "記録とレポートでのこのセンサーの名前。指定がなければホスト名" } },
    { "home", BH_SETTING_TEXT, "", NULL, NULL, 0, 0, false,
      { "what is watched: ADDR[/LEN],...; else the addresses of the interfaces",
        "監視対象: ADDR[/LEN],...。指定がなければインターフェースのアドレス" } },
    { "country-db", BH_SETTING_FILE_IN, "", NULL, NULL, 0, 0, false,
      { "country database to use instead of the installed one",
        "インストール済みのものの代わりに使う国データベース" } },
    { "log-dir", BH_SETTING_DIR, "", "/var/log/beholder", NULL, 0, 0, false,
      { "the packet log, for an output without a directory of its own; else where `beholder report` looks",
        "パケットログのディレクトリ (出力に指定がないとき)。指定がなければ `beholder report` が見る場所" } },
    { "user", BH_SETTING_TEXT, "", NULL, NULL, 0, 0, false,
      { "who the sensor becomes after it was started by root; else beholder, who called sudo, or nobody",
        "root で起動したあとのユーザー。指定がなければ beholder、sudo を実行したユーザー、nobody の順" } },
    { "status-socket", BH_SETTING_TEXT, "", NULL, NULL, 0, 0, false,
      { "where `beholder status` asks this sensor, or none; else status in the run directory",
        "`beholder status` が問い合わせるソケット、または none。指定がなければ実行時ディレクトリの status" } },
    { "metrics-file", BH_SETTING_FILE_OUT, "", NULL, NULL, 0, 0, false,
      { "file of the sensor's counters as OpenMetrics, replaced every 15 s",
        "センサーのカウンターを OpenMetrics で書くファイル (15 秒ごとに置き換え)" } },
    { "metrics-listen", BH_SETTING_LOOPBACK, "", NULL, NULL, 0, 0, false,
      { "loopback address and port to serve them on, as http://127.0.0.1:PORT/metrics",
        "同じ内容を http://127.0.0.1:ポート/metrics で返すループバックアドレスとポート" } },
};
/* clang-format on */

/* clang-format off: a table */
static const struct bh_setting capture[] = {
    { "interface", BH_SETTING_TEXT, "", "any", NULL, 0, 0, false,
      { "interfaces, with commas in between; any: all of them",
        "インターフェース (コンマ区切り)。any はすべて" } },
    { "ring", BH_SETTING_SIZE, "octets", "32M", NULL, 1U << 20, 1ULL << 34, false,
      { "memory for packets that wait in the kernel, for each interface", "カーネル内で待つパケット用のメモリ (インターフェースごと)" } },
    { "threads", BH_SETTING_UINT, "", "1", NULL, 1, 16, false,
      { "threads that decode, and rings of each interface; the records do not depend on it",
        "解読するスレッド数、各インターフェースのリング数。記録は変わらない" } },
    { "promiscuous", BH_SETTING_BOOL, "", "yes", NULL, 0, 0, false,
      { "see what is for others on the link too", "リンク上の他者宛てのものも見る" } },
    { "filter", BH_SETTING_TEXT, "", "", NULL, 0, 0, false,
      { "what is recorded at all, in filter words", "記録するもの (フィルター語)" } },
    { "capture", BH_SETTING_CHOICE, "", "ring", "ring|libpcap", 0, 0, false,
      { "how frames are had: rings of the kernel, or libpcap, where payload leaves the kernel and is cleared then",
        "フレームの取り込み方: カーネルのリング、または libpcap (ペイロードはカーネルを出てから消去)" } },
    { "kernel-filter", BH_SETTING_BOOL, "", "yes", NULL, 0, 0, false,
      { "let the kernel leave out what no output's filter can select; it decides no verdict",
        "どの出力のフィルターも選ばないものをカーネルで除く (判定には影響しない)" } },
    { "outcomes", BH_SETTING_BOOL, "", "yes", NULL, 0, 0, false,
      { "decide what became of TCP accesses", "TCP アクセスの結末を判定する" } },
};
/* clang-format on */

/* clang-format off: a table */
static const struct bh_setting output[] = {
    { "module", BH_SETTING_TEXT, "", NULL, NULL, 0, 0, true,
      { "which module: `beholder outputs` lists them", "モジュール名 (`beholder outputs` で一覧)" } },
    { "filter", BH_SETTING_TEXT, "", "", NULL, 0, 0, false,
      { "what of the records it is given, in filter words", "渡す記録 (フィルター語)" } },
    { "queue", BH_SETTING_SIZE, "octets", "16M", NULL, 1U << 16, 1ULL << 32, false,
      { "memory for what it has not taken yet", "まだ受け取られていない記録のためのメモリ" } },
    { "spool", BH_SETTING_DIR, "", NULL, NULL, 0, 0, false,
      { "directory where records wait on disk, below its name, while it does not take them",
        "受け取れない間の記録を置くディレクトリ。その下に出力名のディレクトリを作る" } },
    { "spool-size", BH_SETTING_SIZE, "octets", "1G", NULL, 1U << 20, 1ULL << 44, false,
      { "most of it on disk; beyond, the oldest records are lost", "ディスク上の上限。超えると古い記録から失う" } },
};
/* clang-format on */

const struct bh_setting *
bh_config_keys(enum bh_config_section section, size_t *ret_count)
{
    static const struct {
        const struct bh_setting *keys;
        size_t count;
    } tables[BH_CONFIG_SECTIONS] = {
        { site, BH_COUNT(site) },
        { capture, BH_COUNT(capture) },
        { output, BH_COUNT(output) },
    };
    *ret_count = tables[section].count;
    return tables[section].keys;
}

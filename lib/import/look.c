/* SPDX-License-Identifier: BSD-2-Clause */
/* What a file is, by its first octets and never by its name. */
#include "import_priv.h"

struct look {
    const char *magic;
    size_t len;
    const char *en, *ja;
};

static const struct look looks[] = {
    { "\x1f\x8b", 2, "this is gzip: zcat FILE | ... -", "gzip です: zcat ファイル | ... -" },
    { "\xfd"
      "7zXZ",
      5, "this is xz: xzcat FILE | ... -", "xz です: xzcat ファイル | ... -" },
    { "\x28\xb5\x2f\xfd", 4, "this is zstd: zstdcat FILE | ... -",
      "zstd です: zstdcat ファイル | ... -" },
    { "\x04\x22\x4d\x18", 4, "this is lz4: lz4cat FILE | ... -",
      "lz4 です: lz4cat ファイル | ... -" },
    { "BZh", 3, "this is bzip2: bzcat FILE | ... -", "bzip2 です: bzcat ファイル | ... -" },
    { "PK\x03\x04", 4, "this is a zip archive or a spreadsheet; save it as CSV",
      "zip か表計算のファイルです。CSV で保存してください" },
    { "\xff\xfe", 2, "this is UTF-16: iconv -f UTF-16 -t UTF-8 FILE",
      "UTF-16 です: iconv -f UTF-16 -t UTF-8 ファイル" },
    { "\xfe\xff", 2, "this is UTF-16: iconv -f UTF-16 -t UTF-8 FILE",
      "UTF-16 です: iconv -f UTF-16 -t UTF-8 ファイル" },
    { "\xd4\xc3\xb2\xa1", 4, "this is a pcap capture; leave out --input-format",
      "pcap です。--input-format なしで読めます" },
    { "\xa1\xb2\xc3\xd4", 4, "this is a pcap capture; leave out --input-format",
      "pcap です。--input-format なしで読めます" },
    { "\x4d\x3c\xb2\xa1", 4, "this is a pcap capture; leave out --input-format",
      "pcap です。--input-format なしで読めます" },
    { "\xa1\xb2\x3c\x4d", 4, "this is a pcap capture; leave out --input-format",
      "pcap です。--input-format なしで読めます" },
    { "\x0a\x0d\x0d\x0a", 4, "this is a pcapng capture; leave out --input-format",
      "pcapng です。--input-format なしで読めます" },
    { "\xff\xd8\xff", 3, "this is a JPEG picture; give a CSV table",
      "JPEG 画像です。CSV の表を指定してください" },
};

int
import_error(struct bh_error *err, int code, const char *where, const char *en, const char *ja)
{
    bh_error_set(err, code, where, "%s", "%s", "");
    if (err != NULL) {
        snprintf(err->text[BH_EN], sizeof err->text[BH_EN], "%s", en);
        snprintf(err->text[BH_JA], sizeof err->text[BH_JA], "%s", ja);
    }
    return code;
}

int
look_check_text(const struct text *t, bool is_log, struct bh_error *err)
{
    const char *where = t->name;
    if (t->len == 0) {
        return import_error(err, BH_EFORMAT, where,
                            "the file is empty; a table has at least a header line",
                            "ファイルが空です。表には少なくとも見出し行があります");
    }
    for (size_t i = 0; i < BH_COUNT(looks); i++) {
        if (t->len >= looks[i].len && memcmp(t->buf, looks[i].magic, looks[i].len) == 0) {
            return import_error(err, BH_EFORMAT, where, looks[i].en, looks[i].ja);
        }
    }
    const char *nul = is_log ? NULL : memchr(t->buf, '\0', t->len < 4096 ? t->len : 4096);
    if (nul != NULL) {
        import_error(err, BH_EFORMAT, where, "this is not text (a NUL octet); give a CSV table",
                     "テキストではありません (NUL があります)。CSV の表を指定してください");
        if (err != NULL) {
            err->offset = (uint64_t)(nul - t->buf);
            err->has_offset = true;
        }
        return BH_EFORMAT;
    }
    return 0;
}

/* ---- which reader -------------------------------------------------------------------------------- */

/* The order in which they are asked; a table is what none of them knows. */
static const struct reader *const readers[] = {
    &reader_zeek,        &reader_zeek_json, &reader_journal,   &reader_journal_export,
    &reader_nfdump_json, &reader_nfdump,    &reader_netfilter,
};

bool
look_json_has(const struct text *t, const char *word)
{
    const char *p = t->buf + t->at;
    const char *end = t->buf + t->len;
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n' || *p == '[')) {
        p++;
    }
    /* The first object, or a bit of it: it may be longer than what was read. */
    size_t n = (size_t)(end - p) < 16384 ? (size_t)(end - p) : 16384;
    return p < end && *p == '{' && memmem(p, n, word, strlen(word)) != NULL;
}

static bool
is_json(const struct text *t)
{
    return look_json_has(t, "{");
}

static int
no_such_form(const struct text *t, const char *format, struct bh_error *err)
{
    return bh_error_set(err, BH_EFORMAT, t->name,
                        "this does not look like what --input-format %s reads",
                        "--input-format %s で読める形式ではないようです", format);
}

int
look_choose(const struct text *t, const char *format, const struct reader **ret_reader,
            struct bh_error *err)
{
    bool is_auto = format == NULL || strcmp(format, "auto") == 0;
    if (!is_auto && strcmp(format, "csv") == 0) {
        *ret_reader = &reader_csv;
        return is_json(t) ? import_error(err, BH_EFORMAT, t->name, "this is JSON, not CSV",
                                         "CSV ではなく JSON です")
                          : 0;
    }
    bool is_known = is_auto;
    for (size_t i = 0; i < BH_COUNT(readers); i++) {
        bool is_meant = is_auto || strcmp(readers[i]->name, format) == 0;
        is_known |= is_meant;
        if (is_meant && readers[i]->is(t)) {
            *ret_reader = readers[i];
            return 0;
        }
    }
    if (!is_known) {
        return bh_error_set(
            err, BH_EUSAGE, format,
            "no such format; there are: auto, csv, netfilter, zeek, nfdump%s",
            "そのような形式はありません。auto、csv、netfilter、zeek、nfdump があります%s", "");
    }
    if (!is_auto && strcmp(format, "netfilter") == 0 && !is_json(t)) {
        *ret_reader = &reader_netfilter; /* it may say nothing of packets yet */
        return 0;
    }
    if (!is_auto) {
        return no_such_form(t, format, err);
    }
    *ret_reader = &reader_csv;
    return is_json(t)
               ? import_error(
                     err, BH_EFORMAT, t->name,
                     "this JSON is none we know: the journal's, Zeek's conn.log and nfdump's are read",
                     "未知の JSON です。読めるのは journalctl、Zeek の conn.log、nfdump の JSON です")
               : 0;
}

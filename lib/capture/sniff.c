/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sniff.c - what a file is, by its first octets and never by its name; and what to tell someone
 * who gave us something else. Magic numbers: the formats' own specifications, and file(1).
 */
#include "capture_priv.h"

#include <inttypes.h>

struct magic {
    uint16_t at;
    uint8_t size;
    const char *octets;
    const char *en, *ja;
};

#define MAGIC(at, s) (at), sizeof(s) - 1, (s)

/* Captures of other programs, which others can turn into pcap. */
static const struct magic captures[] = {
    { MAGIC(0, "snoop\0\0\0"), "a snoop capture", "snoop のキャプチャ" },
    { MAGIC(0, "btsnoop\0"), "a Bluetooth (btsnoop) capture", "Bluetooth (btsnoop) のキャプチャ" },
    { MAGIC(0, "RTSS"), "a Microsoft Network Monitor capture",
      "Microsoft ネットワークモニターのキャプチャ" },
    { MAGIC(0, "GMBU"), "a Microsoft Network Monitor capture",
      "Microsoft ネットワークモニターのキャプチャ" },
    { MAGIC(0, "TRSNIFF data"), "a Sniffer capture", "Sniffer のキャプチャ" },
    { MAGIC(0, "XCP\0"), "a NetXRay or Windows Sniffer capture",
      "NetXRay または Windows Sniffer のキャプチャ" },
    { MAGIC(0, "iptrace "), "an AIX iptrace capture", "AIX iptrace のキャプチャ" },
    { MAGIC(0, "\x7fver"), "an EtherPeek capture", "EtherPeek のキャプチャ" },
    { MAGIC(0, "\x1c\x00\x01\xac"), "an IXIA capture", "IXIA のキャプチャ" },
    { MAGIC(0, "\xac\x01\x00\x1c"), "an IXIA capture", "IXIA のキャプチャ" },
};

/* Packed in a way we do not unpack. */
static const struct magic packed[] = {
    { MAGIC(0, "BZh"), "packed with bzip2", "bzip2 で圧縮されている" },
    { MAGIC(0, "PK\x03\x04"), "a zip archive", "zip アーカイブ" },
    { MAGIC(0, "7z\xbc\xaf\x27\x1c"), "a 7z archive", "7z アーカイブ" },
    { MAGIC(0, "Rar!\x1a\x07"), "a rar archive", "rar アーカイブ" },
    { MAGIC(257, "ustar"), "a tar archive", "tar アーカイブ" },
    { MAGIC(0, "LZIP"), "packed with lzip", "lzip で圧縮されている" },
    { MAGIC(0, "\x1f\x9d"), "packed with compress", "compress で圧縮されている" },
    { MAGIC(0, "\x02\x21\x4c\x18"), "packed with lz4 in its old format",
      "lz4 の旧形式で圧縮されている" },
    { MAGIC(0, "MSCF"), "a cabinet archive", "cab アーカイブ" },
};

static const struct magic others[] = {
    { MAGIC(0, "\xff\xd8\xff"), "a JPEG picture", "JPEG 画像" },
    { MAGIC(0, "\x89PNG\r\n"), "a PNG picture", "PNG 画像" },
    { MAGIC(0, "GIF8"), "a GIF picture", "GIF 画像" },
    { MAGIC(8, "WEBP"), "a WebP picture", "WebP 画像" },
    { MAGIC(0, "%PDF-"), "a PDF document", "PDF 文書" },
    { MAGIC(0, "\x7f"
               "ELF"),
      "a program (ELF)", "実行ファイル (ELF)" },
    { MAGIC(0, "MZ"), "a Windows program", "Windows の実行ファイル" },
    { MAGIC(0, "SQLite format 3"), "an SQLite database", "SQLite データベース" },
    { MAGIC(0, "LPKSHHRH"), "a systemd journal", "systemd のジャーナル" },
    { MAGIC(0, "ElfFile\0"), "a Windows event log", "Windows のイベントログ" },
    { MAGIC(0, "\x0c\xa5"), "an nfdump flow file", "nfdump のフローファイル" },
    { MAGIC(0, "<!DOCTYPE"), "a web page", "Web ページ" },
    { MAGIC(0, "<html"), "a web page", "Web ページ" },
    { MAGIC(0, "OggS"), "an Ogg sound or video file", "Ogg の音声または動画" },
    { MAGIC(0, "ID3"), "an MP3 sound file", "MP3 の音声" },
    { MAGIC(4, "ftyp"), "an MP4 video file", "MP4 の動画" },
};

static const struct magic *
find(const struct magic *table, size_t count, const uint8_t *head, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        const struct magic *m = &table[i];
        if (size >= (size_t)m->at + m->size && memcmp(head + m->at, m->octets, m->size) == 0) {
            return m;
        }
    }
    return NULL;
}

const struct cap_unpacker *
bh_cap_sniff_packed(const uint8_t *head, size_t size)
{
    /* Frames to be skipped are the same in zstd and lz4; pzstd writes one in front of all. */
    while (size >= 8 && (bh_get_le32(head) & 0xfffffff0U) == 0x184d2a50U) {
        uint64_t skip = 8 + (uint64_t)bh_get_le32(head + 4);
        if (skip + 4 > size) {
            return &bh_cap_zstd;
        }
        head += skip;
        size -= (size_t)skip;
    }
    if (size >= 2 && head[0] == 0x1f && head[1] == 0x8b) {
        return &bh_cap_gzip;
    }
    if (size >= 4 && bh_get_le32(head) == 0xfd2fb528U) {
        return &bh_cap_zstd;
    }
    if (size >= 4 && bh_get_le32(head) == 0x184d2204U) {
        return &bh_cap_lz4;
    }
    if (size >= 6 && memcmp(head,
                            "\xfd"
                            "7zXZ\0",
                            6) == 0) {
        return &bh_cap_xz;
    }
    return NULL;
}

/* Octets of the UTF-8 character at `p`; 0: none that belongs into a text. */
static size_t
text_char(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80) {
        bool is_blank = p[0] == '\t' || p[0] == '\n' || p[0] == '\r';
        return (p[0] >= 0x20 && p[0] != 0x7f) || is_blank;
    }
    size_t size = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || size > left) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return size;
}

static bool
is_text(const uint8_t *head, size_t size)
{
    /* Not to the last octet, where we may have cut a character. */
    size_t end = size < 512 ? size : 508;
    for (size_t at = 0; at < end;) {
        size_t n = text_char(head + at, size - at);
        if (n == 0) {
            return false;
        }
        at += n;
    }
    return size > 0;
}

bool
bh_cap_sniff_text(const uint8_t *head, size_t size)
{
    size_t odd = 0;
    for (size_t i = 0; i < size; i++) {
        if (head[i] == 0) {
            return false; /* every header of a capture has one */
        }
        odd += text_char(head + i, 1) == 0 && head[i] < 0x80;
    }
    return is_text(head, size) || (size > 0 && odd < size / 16);
}

static int
empty_error(struct bh_error *err, const char *name, bool unpacked)
{
    if (unpacked) {
        return bh_error_set(err, BH_EFORMAT, name,
                            "nothing is packed in it; a capture has at least a header of 24 bytes",
                            "展開すると空です。"
                            "キャプチャには少なくとも 24 バイトのヘッダーがあります");
    }
    return bh_error_set(err, BH_EFORMAT, name,
                        "the file is empty; a capture has at least a header of 24 bytes",
                        "ファイルが空です。キャプチャには少なくとも 24 バイトのヘッダーがあります");
}

/* `%.0s` passes over the name in the other language: both texts take the same arguments. */
static int
other_error(struct bh_error *err, const char *name, const char *en, const char *ja)
{
    return bh_error_set(err, BH_EFORMAT, name,
                        "it looks like %s, not a capture file; give a pcap or pcapng file%.0s",
                        "%.0sキャプチャファイルではなく、%sのようです。"
                        "pcap または pcapng のファイルを指定してください",
                        en, ja);
}

static int
unknown_error(struct bh_error *err, const char *name, const uint8_t *head, size_t size)
{
    char hex[3 * 8 + 1] = "";
    size_t shown = size < 8 ? size : 8;
    for (size_t i = 0; i < shown; i++) {
        snprintf(hex + 3 * i, 4, i + 1 < shown ? "%02x " : "%02x", (unsigned)head[i]);
    }
    return bh_error_set(err, BH_EFORMAT, name,
                        "this is no format we know (it begins with %s); give a pcap or pcapng file",
                        "知らない形式です (先頭: %s)。pcap または pcapng のファイルを指定して"
                        "ください",
                        hex);
}

int
bh_cap_sniff_error(struct bh_error *err, const char *name, const uint8_t *head, size_t size,
                   bool unpacked)
{
    const struct cap_unpacker *inner = bh_cap_sniff_packed(head, size);
    const struct magic *m;

    if (size == 0) {
        return empty_error(err, name, unpacked);
    }
    if (inner != NULL) {
        return bh_error_set(
            err, BH_EFORMAT, name, "it is packed twice (%s inside); unpack it once first",
            "二重に圧縮されています (中身は %s)。先に一度展開してください", inner->name);
    }
    if ((m = find(packed, BH_COUNT(packed), head, size)) != NULL) {
        return bh_error_set(err, BH_EFORMAT, name,
                            "the file is %s; unpack it first%.0s"
                            " (gzip, zstd, lz4 and xz are read as they are)",
                            "%.0s%sファイルです。先に展開してください"
                            " (gzip, zstd, lz4, xz はそのまま読めます)",
                            m->en, m->ja);
    }
    if ((m = find(captures, BH_COUNT(captures), head, size)) != NULL) {
        return bh_error_set(err, BH_EFORMAT, name,
                            "it looks like %s, which is not read; make a pcap file of it:"
                            " editcap -F pcap IN OUT%.0s",
                            "%.0s%sのようで、この形式は読めません。"
                            "editcap -F pcap 入力 出力 で pcap にしてください",
                            m->en, m->ja);
    }
    if ((m = find(others, BH_COUNT(others), head, size)) != NULL) {
        return other_error(err, name, m->en, m->ja);
    }
    if (is_text(head, size)) {
        return bh_error_set(err, BH_EFORMAT, name,
                            "it looks like a text file, not a capture file; give a pcap or pcapng "
                            "file, or a table with beholder report --input-format csv%s",
                            "キャプチャファイルではなく、テキストファイルのようです。pcap または "
                            "pcapng のファイルを指定してください (表なら beholder report "
                            "--input-format csv)%s",
                            "");
    }
    return unknown_error(err, name, head, size);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFC 4180, and what is found beside it: LF or CRLF, commas, semicolons or tabs, a byte order mark,
 * quoted cells with line breaks inside, rows of uneven length.
 *
 * One buffer: a record is cut into cells where it lies. Only when a record is not yet whole is its
 * beginning moved to the front and the buffer filled up (or doubled, up to CSV_RECORD_MAX). A
 * quote that never ends must not swallow the rest of the file: the line is given up alone.
 */
#include "import_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_CAP ((size_t)64 << 10)

/* ---- octets ------------------------------------------------------------------------------------ */

static ssize_t
read_some(struct csv *c, char *to, size_t size)
{
    if (c->fd < 0) {
        size_t n = c->memory_left < size ? c->memory_left : size;
        if (n > 0) {
            memcpy(to, c->memory, n);
            c->memory += n;
            c->memory_left -= n;
        }
        return (ssize_t)n;
    }
    ssize_t n;
    do {
        n = read(c->fd, to, size);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* Fill up behind what is not yet taken. 0, or negative; -EMSGSIZE when there is no room left. */
static int
fill(struct csv *c)
{
    if (c->at > 0) {
        memmove(c->buf, c->buf + c->at, c->len - c->at);
        c->len -= c->at;
        c->at = 0;
    }
    if (c->len == c->cap) {
        if (c->cap >= CSV_RECORD_MAX) {
            return -EMSGSIZE;
        }
        char *bigger = realloc(c->buf, c->cap * 2);
        if (bigger == NULL) {
            return -ENOMEM;
        }
        c->buf = bigger;
        c->cap *= 2;
    }
    /* Until it is full: a record is looked at again only when much has come. */
    while (c->len < c->cap && !c->ended) {
        ssize_t n = read_some(c, c->buf + c->len, c->cap - c->len);
        if (n < 0) {
            return (int)n;
        }
        c->ended = n == 0;
        c->len += (size_t)n;
        c->bytes += (uint64_t)n;
    }
    return 0;
}

/* ---- cells -------------------------------------------------------------------------------------- */

enum scan { SCAN_WHOLE, SCAN_SHORT };

/* Past the closing quote; NULL when it is not there (yet). */
static char *
quoted_end(const struct csv *c, char *from, char *end, bool *ret_escaped)
{
    for (char *p = from;;) {
        char *q = memchr(p, '"', (size_t)(end - p));
        if (q == NULL || (q + 1 == end && !c->ended)) {
            return NULL;
        }
        if (q + 1 == end || q[1] != '"') {
            return q + 1;
        }
        *ret_escaped = true;
        p = q + 2;
    }
}

static uint64_t
count_lines(const char *p, size_t n)
{
    uint64_t lines = 0;
    const char *end = p + n;
    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        lines++;
        p++;
    }
    return lines;
}

/* One record from c->at on: its cells, and where the next begins. */
static enum scan
scan_record(struct csv *c, size_t *ret_next, uint64_t *ret_lines)
{
    char *p = c->buf + c->at;
    char *const end = c->buf + c->len;
    const char delimiter = c->delimiter;
    c->count = 0;
    *ret_lines = 0;
    for (;;) {
        struct cell cell = { p, 0 };
        bool is_escaped = false;
        if (p < end && *p == '"') {
            char *behind = quoted_end(c, p + 1, end, &is_escaped);
            if (behind == NULL) {
                return SCAN_SHORT;
            }
            cell = (struct cell){ p + 1, (size_t)(behind - p) - 2 };
            *ret_lines += count_lines(cell.at, cell.len);
            p = behind;
        }
        char *bare = p;
        while (p < end && *p != delimiter && *p != '\n') {
            p++;
        }
        if (p == end && !c->ended) {
            return SCAN_SHORT;
        }
        if (cell.at == bare) {
            cell.len = (size_t)(p - bare);
            if (cell.len > 0 && p[-1] == '\r' && (p == end || *p == '\n')) {
                cell.len--;
            }
        }
        if (c->count < CSV_CELLS_MAX) {
            c->cells[c->count] = cell;
            c->escaped[c->count] = is_escaped;
        }
        c->count++;
        if (p == end || *p == '\n') {
            *ret_lines += 1;
            *ret_next = (size_t)(p - c->buf) + (p < end);
            return SCAN_WHOLE;
        }
        p++;
    }
}

/* "" means ". In place: the record is whole, nobody reads it again. */
static void
unescape(struct csv *c)
{
    size_t n = c->count < CSV_CELLS_MAX ? c->count : CSV_CELLS_MAX;
    for (size_t i = 0; i < n; i++) {
        if (c->escaped[i] == 0) {
            continue;
        }
        char *to = c->buf + (c->cells[i].at - c->buf);
        size_t len = 0;
        for (size_t j = 0; j < c->cells[i].len; j++) {
            to[len++] = to[j];
            j += to[j] == '"';
        }
        c->cells[i].len = len;
    }
}

/* A quote without an end: the line alone is given up. */
static int
give_up_line(struct csv *c)
{
    char *from = c->buf + c->at;
    char *newline = memchr(from, '\n', c->len - c->at);
    size_t size = newline != NULL ? (size_t)(newline - from) + 1 : c->len - c->at;
    c->line = c->next_line;
    c->cells[0] = (struct cell){ from, size - (newline != NULL) };
    c->escaped[0] = 0;
    c->count = 1;
    c->next_line += newline != NULL;
    c->in_long_line = newline == NULL;
    c->at += size;
    return CSV_BROKEN;
}

/* The rest of a line that was given up before its end was seen. */
static int
pass_long_line(struct csv *c)
{
    while (c->in_long_line && !(c->at == c->len && c->ended)) {
        char *newline = memchr(c->buf + c->at, '\n', c->len - c->at);
        if (newline != NULL) {
            c->at = (size_t)(newline - c->buf) + 1;
            c->next_line++;
            c->in_long_line = false;
            return 0;
        }
        c->at = c->len;
        int r = fill(c);
        if (r < 0) {
            c->ended = true;
            return r;
        }
    }
    return 0;
}

int
csv_next(struct csv *c)
{
    int passed = pass_long_line(c);
    if (passed < 0) {
        return passed;
    }
    if (c->is_again) {
        c->is_again = false;
        return CSV_ROW;
    }
    for (;;) {
        if (c->at == c->len && c->ended) {
            return CSV_END;
        }
        size_t next;
        uint64_t lines;
        if (scan_record(c, &next, &lines) == SCAN_WHOLE) {
            bool is_empty = c->count == 1 && c->cells[0].len == 0;
            bool is_comment = c->is_zeek && c->buf[c->at] == '#';
            c->line = c->next_line;
            c->next_line += lines;
            c->at = next;
            if (is_empty || is_comment) {
                continue;
            }
            unescape(c);
            return CSV_ROW;
        }
        if (c->ended) {
            return give_up_line(c);
        }
        int r = fill(c);
        if (r == -EMSGSIZE) {
            return give_up_line(c);
        }
        if (r < 0) {
            /* What came before is lost with its row; reading again would not end. */
            c->ended = true;
            c->at = c->len;
            return r;
        }
    }
}

/* ---- the beginning -------------------------------------------------------------------------------- */

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
    { "\xd4\xc3\xb2\xa1", 4, "this is a pcap capture; leave out --input-format csv",
      "pcap です。--input-format csv なしで読めます" },
    { "\xa1\xb2\xc3\xd4", 4, "this is a pcap capture; leave out --input-format csv",
      "pcap です。--input-format csv なしで読めます" },
    { "\x4d\x3c\xb2\xa1", 4, "this is a pcap capture; leave out --input-format csv",
      "pcap です。--input-format csv なしで読めます" },
    { "\xa1\xb2\x3c\x4d", 4, "this is a pcap capture; leave out --input-format csv",
      "pcap です。--input-format csv なしで読めます" },
    { "\x0a\x0d\x0d\x0a", 4, "this is a pcapng capture; leave out --input-format csv",
      "pcapng です。--input-format csv なしで読めます" },
    { "\xff\xd8\xff", 3, "this is a JPEG picture; give a CSV table",
      "JPEG 画像です。CSV の表を指定してください" },
    { "{", 1, "this is JSON, not CSV", "CSV ではなく JSON です" },
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

static int
check_text(const struct csv *c, const char *where, struct bh_error *err)
{
    if (c->len == 0) {
        return import_error(err, BH_EFORMAT, where,
                            "the file is empty; a table has at least a header line",
                            "ファイルが空です。表には少なくとも見出し行があります");
    }
    for (size_t i = 0; i < BH_COUNT(looks); i++) {
        if (c->len >= looks[i].len && memcmp(c->buf, looks[i].magic, looks[i].len) == 0) {
            return import_error(err, BH_EFORMAT, where, looks[i].en, looks[i].ja);
        }
    }
    const char *nul = memchr(c->buf, '\0', c->len < 4096 ? c->len : 4096);
    if (nul != NULL) {
        import_error(err, BH_EFORMAT, where, "this is not text (a NUL octet); give a CSV table",
                     "テキストではありません (NUL があります)。CSV の表を指定してください");
        if (err != NULL) {
            err->offset = (uint64_t)(nul - c->buf);
            err->has_offset = true;
        }
        return BH_EFORMAT;
    }
    return 0;
}

/* The most frequent of the three in the first line, outside of quotes; a comma when none is. */
static char
find_delimiter(const char *p, size_t n)
{
    size_t commas = 0;
    size_t semicolons = 0;
    size_t tabs = 0;
    bool quoted = false;
    for (size_t i = 0; i < n && (quoted || p[i] != '\n'); i++) {
        quoted ^= p[i] == '"';
        if (!quoted) {
            commas += p[i] == ',';
            semicolons += p[i] == ';';
            tabs += p[i] == '\t';
        }
    }
    return tabs > commas && tabs >= semicolons ? '\t' : semicolons > commas ? ';' : ',';
}

static bool
begins_with(const struct csv *c, const char *word)
{
    size_t n = strlen(word);
    return c->len - c->at >= n && memcmp(c->buf + c->at, word, n) == 0;
}

/* Pass over comment lines before the header. Zeek's "#fields" line is the header: it is left to
 * be read, without its word. */
static void
pass_comments(struct csv *c)
{
    while (c->at < c->len && c->buf[c->at] == '#') {
        if (begins_with(c, "#fields\t")) {
            c->at += 8;
            c->is_zeek = true;
            return;
        }
        char *newline = memchr(c->buf + c->at, '\n', c->len - c->at);
        if (newline == NULL) {
            return;
        }
        c->at = (size_t)(newline - c->buf) + 1;
        c->next_line++;
    }
}

static int
open_descriptor(struct csv *c, const char *path, struct bh_error *err)
{
    struct stat st;
    bool is_stdin = strcmp(path, "-") == 0;
    c->name = is_stdin ? "stdin" : path;
    c->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (c->fd < 0) {
        return bh_error_errno(err, errno, c->name, "cannot open", "開けません");
    }
    if (fstat(c->fd, &st) < 0) {
        return bh_error_errno(err, errno, c->name, "cannot read", "読めません");
    }
    if (S_ISDIR(st.st_mode)) {
        return import_error(err, -EISDIR, c->name, "this is a directory; give the tables in it",
                            "これはディレクトリです。中の表を指定してください");
    }
    return 0;
}

int
csv_open(struct csv *c, const char *path, const void *data, size_t size, struct bh_error *err)
{
    *c = (struct csv){ .name = path == NULL ? "" : path, .fd = -1, .next_line = 1 };
    if (path == NULL) {
        c->memory = data;
        c->memory_left = size;
    } else {
        int r = open_descriptor(c, path, err);
        if (r < 0) {
            return r;
        }
    }
    c->cap = FIRST_CAP;
    c->buf = malloc(c->cap);
    int r = c->buf == NULL ? -ENOMEM : fill(c);
    if (r < 0) {
        return bh_error_errno(err, -r, c->name, "cannot read", "読めません");
    }
    if (begins_with(c, "\xef\xbb\xbf")) {
        c->at = 3;
    }
    r = check_text(c, c->name, err);
    if (r < 0) {
        return r;
    }
    pass_comments(c);
    c->delimiter = c->is_zeek ? '\t' : find_delimiter(c->buf + c->at, c->len - c->at);
    return 0;
}

void
csv_close(struct csv *c)
{
    if (c->fd > STDIN_FILENO) {
        close(c->fd);
    }
    c->fd = -1;
    free(c->buf);
    c->buf = NULL;
}

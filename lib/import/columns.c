/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which column is what: the mapping language of docs/format/input-csv.md, and names that logs are
 * known to use. A file has a header line when a column is asked for by name; with numbers alone
 * its first line is one when neither its time nor its source can be read.
 */
#include "import_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "bh_option.h"

static const struct {
    const char *name; /* the first of a key is its own, the others are the event schema's */
    enum key key;
} key_names[] = {
    { "time", KEY_TIME },       { "src", KEY_SRC },
    { "dst", KEY_DST },         { "proto", KEY_PROTO },
    { "sport", KEY_SPORT },     { "dport", KEY_DPORT },
    { "type", KEY_TYPE },       { "code", KEY_CODE },
    { "flags", KEY_FLAGS },     { "len", KEY_LEN },
    { "payload", KEY_PAYLOAD }, { "ttl", KEY_TTL },
    { "weight", KEY_WEIGHT },   { "src_port", KEY_SPORT },
    { "dst_port", KEY_DPORT },  { "icmp_type", KEY_TYPE },
    { "icmp_code", KEY_CODE },  { "tcp_flags", KEY_FLAGS },
    { "ip_len", KEY_LEN },      { "payload_len", KEY_PAYLOAD },
    { "packets", KEY_WEIGHT },
};

/* Names of columns, likelier ones first; lower case, and '_' for what is no letter or digit.
 * Weight is not guessed: a connection of 50 packets is one knock. */
#define GUESSES_MAX 24
static const char *const guesses[KEY_COUNT][GUESSES_MAX] = {
    [KEY_TIME] = { "timestamp", "time", "datetime", "date_time", "start_time", "starttime", "ts",
                   "event_time", "eventtime", "first_seen", "firstseen", "time_start", "date",
                   "frame_time_epoch", "frame_time", "epoch", "received", "start" },
    [KEY_SRC] = { "src",
                  "src_ip",
                  "srcip",
                  "source_ip",
                  "sourceip",
                  "source",
                  "source_address",
                  "src_addr",
                  "srcaddr",
                  "saddr",
                  "sa",
                  "ip_src",
                  "id_orig_h",
                  "remote_host",
                  "remote_ip",
                  "remote_addr",
                  "client_ip",
                  "c_ip",
                  "attacker_ip",
                  "peer_ip",
                  "ip_address",
                  "ip" },
    [KEY_DST] = { "dst", "dst_ip", "dstip", "dest_ip", "destip", "destination_ip", "destination",
                  "destination_address", "dst_addr", "dstaddr", "daddr", "da", "ip_dst",
                  "id_resp_h", "local_host", "local_ip", "server_ip", "s_ip" },
    [KEY_PROTO] = { "proto", "protocol", "transport", "ip_proto", "prot", "pr", "l4_proto",
                    "transport_protocol", "network_transport" },
    [KEY_SPORT] = { "sport", "spt", "src_port", "srcport", "source_port", "sourceport", "sp",
                    "id_orig_p", "remote_port", "client_port" },
    [KEY_DPORT] = { "dport", "dpt", "dst_port", "dstport", "dest_port", "destport",
                    "destination_port", "destinationport", "dp", "id_resp_p", "local_port",
                    "server_port", "port" },
    [KEY_TYPE] = { "icmp_type", "icmptype", "type" },
    [KEY_CODE] = { "icmp_code", "icmpcode", "code" },
    [KEY_FLAGS] = { "tcp_flags", "tcpflags", "flags", "flg" },
    [KEY_LEN] = { "ip_len", "total_length", "total_len", "len", "length" },
    [KEY_PAYLOAD] = { "payload_len", "payload_length", "payload_bytes" },
    [KEY_TTL] = { "ttl", "ip_ttl" },
};

/* ---- the mapping ---------------------------------------------------------------------------------- */

static int
find_key(struct cell word)
{
    for (size_t i = 0; i < BH_COUNT(key_names); i++) {
        if (cell_same(word, key_names[i].name)) {
            return (int)key_names[i].key;
        }
    }
    return -1;
}

static int
unknown_key(struct cell word, struct bh_error *err)
{
    char text[48];
    const char *names[BH_COUNT(key_names)];
    for (size_t i = 0; i < BH_COUNT(key_names); i++) {
        names[i] = key_names[i].name;
    }
    snprintf(text, sizeof text, "%.*s", word.len < 40 ? (int)word.len : 40, word.at);
    const char *near = bh_nearest(text, names, BH_COUNT(names));
    return bh_error_set(
        err, BH_EUSAGE, text,
        "no such field%s%s; there are: time, src, dst, proto, sport, dport, type, "
        "code, flags, len, payload, ttl, weight",
        "そのような項目はありません%s%s。項目: time、src、dst、proto、sport、dport、"
        "type、code、flags、len、payload、ttl、weight",
        near != NULL ? ": " : "", near != NULL ? near : "");
}

static bool
good_constant(enum key key, struct cell c)
{
    uint64_t v;
    struct bh_ip ip;
    uint8_t flags;
    switch (key) {
    case KEY_PROTO:
        return cell_proto(c) >= 0;
    case KEY_DST:
        return cell_address(c, &ip);
    case KEY_DPORT:
        return cell_number(c, 65535, &v) && v > 0;
    case KEY_SPORT:
        return cell_number(c, 65535, &v);
    case KEY_FLAGS:
        return cell_flags(c, &flags);
    case KEY_TYPE:
    case KEY_CODE:
    case KEY_TTL:
        return cell_number(c, 255, &v);
    case KEY_LEN:
    case KEY_PAYLOAD:
    case KEY_WEIGHT:
        return cell_number(c, UINT32_MAX, &v);
    default:
        return false; /* time and source are not the same in all rows */
    }
}

/* The value behind '=': up to the next comma, or quoted. NULL: not well formed. */
static char *
take_value(const char **at)
{
    const char *p = *at;
    size_t n = strlen(p);
    char *value = malloc(n + 1);
    size_t len = 0;
    if (value == NULL) {
        return NULL;
    }
    if (*p == '"') {
        for (p++; *p != '\0' && (*p != '"' || p[1] == '"'); p++) {
            value[len++] = *p;
            p += *p == '"';
        }
        if (*p == '\0' || (p[1] != ',' && p[1] != '\0')) {
            free(value);
            return NULL;
        }
        p++;
    } else {
        size_t size = strcspn(p, ",");
        struct cell c = cell_trim((struct cell){ p, size });
        memcpy(value, c.at, c.len);
        len = c.len;
        p += size;
    }
    value[len] = '\0';
    *at = p;
    return value;
}

/* One "key=column" or "key:=constant"; *at is moved behind it. */
static int
take_item(struct mapping *m, const char **at, struct bh_error *err)
{
    const char *item = *at;
    size_t n = strcspn(item, "=:,");
    struct cell word = cell_trim((struct cell){ item, n });
    if (cell_same(word, "auto") && (item[n] == ',' || item[n] == '\0')) {
        m->is_auto = true;
        *at = item + n;
        return 0;
    }
    bool is_constant = item[n] == ':' && item[n + 1] == '=';
    if (!is_constant && item[n] != '=') {
        return import_error(err, BH_EUSAGE, item, "should be FIELD=COLUMN, FIELD:=VALUE or auto",
                            "「項目=列」「項目:=値」または auto と書きます");
    }
    int key = find_key(word);
    if (key < 0) {
        return unknown_key(word, err);
    }
    if (m->text[key] != NULL) {
        return import_error(err, BH_EUSAGE, item, "this field is mapped twice",
                            "同じ項目が 2 度指定されています");
    }
    *at = item + n + 1 + is_constant;
    m->text[key] = take_value(at);
    m->is_constant[key] = is_constant;
    if (m->text[key] == NULL || m->text[key][0] == '\0') {
        return import_error(err, BH_EUSAGE, item,
                            "no column is named here (or its quote does not end)",
                            "列の名前がありません (または引用符が閉じていません)");
    }
    struct cell value = { m->text[key], strlen(m->text[key]) };
    if (is_constant && !good_constant((enum key)key, value)) {
        return import_error(err, BH_EUSAGE, item, "this cannot be the value in all rows",
                            "すべての行の値としては使えません");
    }
    return 0;
}

int
mapping_parse(struct mapping *m, const char *text, struct bh_error *err)
{
    *m = (struct mapping){ .is_auto = text == NULL || text[0] == '\0' };
    int r = 0;
    for (const char *at = m->is_auto ? "" : text; r == 0 && *at != '\0';) {
        r = take_item(m, &at, err);
        if (r == 0 && *at == ',') {
            at++;
        }
    }
    if (r == 0 && !m->is_auto && (m->text[KEY_TIME] == NULL || m->text[KEY_SRC] == NULL)) {
        r = import_error(err, BH_EUSAGE, text,
                         "time= and src= are needed (or auto, which finds them by name)",
                         "time= と src= が必要です (auto なら列名から探します)");
    }
    if (r == 0 && !m->is_auto && m->text[KEY_PROTO] == NULL) {
        r = import_error(err, BH_EUSAGE, text,
                         "the protocol is needed: proto=COLUMN, or proto:=tcp for all rows",
                         "プロトコルが必要です: proto=列、または全行なら proto:=tcp");
    }
    if (r < 0) {
        mapping_done(m);
    }
    return r;
}

void
mapping_done(struct mapping *m)
{
    for (int key = 0; key < KEY_COUNT; key++) {
        free(m->text[key]);
        m->text[key] = NULL;
    }
}

/* ---- the header line ---------------------------------------------------------------------------------- */

#define NAME_SIZE 80

struct header {
    size_t count;
    char (*names)[NAME_SIZE]; /* trimmed, cut to what can be shown */
};

static int
header_take(struct header *h, const struct csv *c)
{
    h->count = c->count < CSV_CELLS_MAX ? c->count : CSV_CELLS_MAX;
    h->names = calloc(h->count + 1, NAME_SIZE);
    if (h->names == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < h->count; i++) {
        struct cell cell = cell_trim(c->cells[i]);
        if (i == 0 && cell.len > 3 && memcmp(cell.at, "\xef\xbb\xbf", 3) == 0) {
            cell = (struct cell){ cell.at + 3, cell.len - 3 }; /* a second mark, of a joined file */
        }
        size_t n = cell.len < NAME_SIZE - 1 ? cell.len : NAME_SIZE - 1;
        memcpy(h->names[i], cell.at, n);
    }
    return 0;
}

/* "a, b, c": what the header has, short enough for a message. */
static void
list_names(const struct header *h, char *buf, size_t size)
{
    struct bh_buf out = { 0 };
    buf[0] = '\0';
    for (size_t i = 0; i < h->count && out.len + 4 < size; i++) {
        size_t before = out.len;
        bh_buf_puts(&out, i > 0 ? ", " : "");
        bh_buf_put_safe(&out, h->names[i], strlen(h->names[i]));
        if (out.failed || out.len + 5 >= size) {
            snprintf(buf + before, size - before, "%s", i > 0 ? ", ..." : "...");
            break;
        }
        if (out.len > 0) {
            memcpy(buf, out.data, out.len + 1);
        }
    }
    bh_buf_done(&out);
}

static int
header_error(const struct csv *c, struct bh_error *err)
{
    if (err != NULL) {
        err->line = c->text->line > UINT32_MAX ? 0 : (uint32_t)c->text->line;
    }
    return BH_EUSAGE;
}

/* A name for a message, in at most `size` octets. */
static const char *
safe_name(const char *name, char *buf, size_t size)
{
    struct bh_buf out = { 0 };
    bh_buf_put_safe(&out, name, strlen(name));
    size_t n = out.failed ? 0 : out.len < size ? out.len : size - 1;
    while (n > 0 && n < out.len && ((uint8_t)out.data[n] & 0xc0) == 0x80) {
        n--; /* not amid a character */
    }
    if (n > 0) {
        memcpy(buf, out.data, n);
    }
    buf[n] = '\0';
    bh_buf_done(&out);
    return buf;
}

static int
no_such_column(const struct header *h, const struct csv *c, const char *name, struct bh_error *err)
{
    char safe[60], near_safe[60], list[110];
    char en[320], ja[320];
    char near_en[100] = "", near_ja[100] = "";
    const char *names[CSV_CELLS_MAX];
    for (size_t i = 0; i < h->count; i++) {
        names[i] = h->names[i];
    }
    const char *near = bh_nearest(name, names, h->count);
    if (near != NULL) {
        safe_name(near, near_safe, sizeof near_safe);
        snprintf(near_en, sizeof near_en, " (did you mean %s?)", near_safe);
        snprintf(near_ja, sizeof near_ja, " (%s のことですか?)", near_safe);
    }
    list_names(h, list, sizeof list);
    safe_name(name, safe, sizeof safe);
    snprintf(en, sizeof en, "no column \"%s\"%s; the columns are: %s", safe, near_en, list);
    snprintf(ja, sizeof ja, "列「%s」はありません%s。列: %s", safe, near_ja, list);
    import_error(err, BH_EUSAGE, c->text->name, en, ja);
    return header_error(c, err);
}

static int
no_column_for(const struct header *h, const struct csv *c, enum key key, struct bh_error *err)
{
    char list[110], en[320], ja[320];
    list_names(h, list, sizeof list);
    if (key == KEY_PROTO) {
        snprintf(en, sizeof en,
                 "no column says the protocol: add proto=COLUMN, or proto:=tcp for all rows; the "
                 "columns are: %s",
                 list);
        snprintf(ja, sizeof ja,
                 "プロトコルの列が見つかりません。proto=列、全行同じなら proto:=tcp を加えて"
                 "ください。列: %s",
                 list);
    } else {
        const char *word = key == KEY_TIME ? "time" : "src";
        snprintf(en, sizeof en, "no column looks like %s: add %s=COLUMN; the columns are: %s", word,
                 word, list);
        snprintf(ja, sizeof ja, "%s らしい列が見つかりません。%s=列 を加えてください。列: %s", word,
                 word, list);
    }
    import_error(err, BH_EUSAGE, c->text->name, en, ja);
    return header_error(c, err);
}

/* ---- finding the columns ---------------------------------------------------------------------------------- */

static bool
is_number(const char *text, uint64_t *ret)
{
    return cell_number((struct cell){ text, strlen(text) }, 100000, ret) &&
           strchr(text, '.') == NULL && *ret > 0;
}

static int
column_by_name(const struct header *h, const char *name)
{
    struct cell word = { name, strlen(name) < NAME_SIZE - 1 ? strlen(name) : NAME_SIZE - 1 };
    for (size_t i = 0; i < h->count; i++) {
        if (strncmp(h->names[i], name, NAME_SIZE - 1) == 0) {
            return (int)i;
        }
    }
    for (size_t i = 0; i < h->count; i++) {
        if (cell_same(word, h->names[i])) {
            return (int)i;
        }
    }
    return -1;
}

static int
column_by_number(const struct header *h, const struct csv *c, uint64_t number, int *ret_index,
                 struct bh_error *err)
{
    if (number > h->count) {
        bh_error_set(err, BH_EUSAGE, c->text->name, "no column %u: there are %u",
                     "%u 番目の列はありません (列は %u)", (unsigned)number, (unsigned)h->count);
        return header_error(c, err);
    }
    *ret_index = (int)number - 1;
    return 0;
}

/* As in `guesses`: "Source IP" is "source_ip", "@timestamp" is "timestamp". */
static void
plain_name(const char *name, char plain[NAME_SIZE])
{
    size_t n = 0;
    for (const char *p = name; *p != '\0' && n < NAME_SIZE - 1; p++) {
        char low = *p >= 'A' && *p <= 'Z' ? (char)(*p + ('a' - 'A')) : *p;
        bool is_word = (low >= 'a' && low <= 'z') || (low >= '0' && low <= '9');
        if (is_word || n > 0) {
            plain[n++] = is_word ? low : '_';
        }
    }
    while (n > 0 && plain[n - 1] == '_') {
        n--;
    }
    plain[n] = '\0';
}

static int
guess_column(const struct header *h, enum key key)
{
    for (size_t g = 0; g < GUESSES_MAX && guesses[key][g] != NULL; g++) {
        for (size_t i = 0; i < h->count; i++) {
            char plain[NAME_SIZE];
            plain_name(h->names[i], plain);
            if (strcmp(plain, guesses[key][g]) == 0) {
                return (int)i;
            }
        }
    }
    return -1;
}

static bool
needs_header(const struct mapping *m)
{
    uint64_t number;
    for (int key = 0; key < KEY_COUNT; key++) {
        if (m->text[key] != NULL && !m->is_constant[key] && !is_number(m->text[key], &number)) {
            return true;
        }
    }
    return m->is_auto;
}

static bool
reads_as_time(struct cell c)
{
    int64_t ns;
    bool zoneless;
    return cell_time(cell_trim(c), &ns, &zoneless) == TIME_OK;
}

static bool
reads_as_address(struct cell c)
{
    struct bh_ip ip;
    return cell_address(cell_trim(c), &ip);
}

/* A line of names has no time in it; 9 digits: a small number is none, though it could be. */
static bool
looks_like_data(const struct csv *c)
{
    for (size_t i = 0; i < c->count && i < CSV_CELLS_MAX; i++) {
        if (c->cells[i].len >= 9 && reads_as_time(c->cells[i])) {
            return true;
        }
    }
    return false;
}

static struct cell
cell_at(const struct csv *c, int index)
{
    return index >= 0 && (size_t)index < c->count && (size_t)index < CSV_CELLS_MAX
               ? c->cells[index]
               : (struct cell){ "", 0 };
}

static int
find_each(struct columns *cols, const struct mapping *m, const struct header *h,
          const struct csv *c, bool by_name, struct bh_error *err)
{
    for (int key = 0; key < KEY_COUNT; key++) {
        const char *text = m->text[key];
        uint64_t number;
        cols->index[key] = -1;
        cols->constant[key] = (struct cell){ "", 0 };
        if (text == NULL) {
            cols->index[key] = m->is_auto ? guess_column(h, (enum key)key) : -1;
        } else if (m->is_constant[key]) {
            cols->constant[key] = (struct cell){ text, strlen(text) };
        } else {
            cols->index[key] = by_name ? column_by_name(h, text) : -1;
            if (cols->index[key] < 0 && !is_number(text, &number)) {
                return no_such_column(h, c, text, err);
            }
            if (cols->index[key] < 0) {
                int r = column_by_number(h, c, number, &cols->index[key], err);
                if (r < 0) {
                    return r;
                }
            }
        }
        cols->is_mapped[key] = cols->index[key] >= 0 || cols->constant[key].len > 0;
    }
    static const enum key needed[] = { KEY_TIME, KEY_SRC, KEY_PROTO };
    for (size_t i = 0; i < BH_COUNT(needed); i++) {
        if (!cols->is_mapped[needed[i]]) {
            return no_column_for(h, c, needed[i], err);
        }
    }
    return 0;
}

static void
tell_columns(const struct columns *cols, const struct header *h, bool by_name, char *buf,
             size_t size)
{
    struct bh_buf out = { 0 };
    for (int key = 0; key < KEY_COUNT; key++) {
        if (!cols->is_mapped[key]) {
            continue;
        }
        bh_buf_printf(&out, "%s%s", out.len > 0 ? ", " : "", key_names[key].name);
        int index = cols->index[key];
        if (index < 0) {
            bh_buf_puts(&out, ":=");
            bh_buf_put_safe(&out, cols->constant[key].at, cols->constant[key].len);
        } else if (by_name) {
            bh_buf_putc(&out, '=');
            bh_buf_put_safe(&out, h->names[index], strlen(h->names[index]));
        } else {
            bh_buf_printf(&out, "=%d", index + 1);
        }
    }
    snprintf(buf, size, "%s", out.len > 0 && !out.failed ? out.data : "");
    bh_buf_done(&out);
}

int
columns_find(struct columns *cols, const struct mapping *m, struct csv *c, char *ret_text,
             size_t text_size, struct bh_error *err)
{
    int r = csv_next(c);
    if (r < 0) {
        return bh_error_errno(err, -r, c->text->name, "cannot read", "読めません");
    }
    if (r == CSV_END) {
        return import_error(err, BH_EFORMAT, c->text->name, "has no header line",
                            "見出し行がありません");
    }
    if (r == CSV_BROKEN) {
        import_error(err, BH_EFORMAT, c->text->name, "a quote in the header line does not end",
                     "見出し行の引用符が閉じていません");
        header_error(c, err);
        return BH_EFORMAT;
    }
    struct header h = { 0 };
    r = header_take(&h, c);
    if (r < 0) {
        return bh_error_errno(err, -r, c->text->name, "cannot read", "読めません");
    }
    bool by_name = needs_header(m);
    if (by_name && looks_like_data(c)) {
        import_error(err, BH_EFORMAT, c->text->name,
                     "no header line: this one is data; give columns by number: time=1,src=3",
                     "見出し行がなくデータで始まっています。列を番号で指定してください: "
                     "time=1,src=3");
        header_error(c, err);
        r = BH_EFORMAT;
        goto out;
    }
    r = find_each(cols, m, &h, c, by_name, err);
    if (r < 0) {
        goto out;
    }
    cols->header_cells = c->count;
    if (!by_name && (reads_as_time(cell_at(c, cols->index[KEY_TIME])) ||
                     reads_as_address(cell_at(c, cols->index[KEY_SRC])))) {
        cols->header_cells = 0;
        c->is_again = true;
    }
    tell_columns(cols, &h, by_name, ret_text, text_size);
out:
    free(h.names);
    return r;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold.c - opening a database: map it, check it, point into it.
 *
 * A look-up checks nothing, so opening must prove that none can leave the map, even in a file
 * made by an enemy with good checksums. The argument, per structure:
 *
 *   v4 top     65536 numbers, all below the number of middle nodes: looked at one by one.
 *   v4 middle  16 numbers a node, all below the number of low nodes: looked at one by one.
 *   v4 low     16 octets a node by construction.
 *   v4 record  offsets are clamped in the look-up (kobold_v4_deep), with 512 octets of slack.
 *   v4 side    binary search over its length.
 *   v6 levels  level i has as many nodes as level i - 1 has entries. A search in a node ends at the entry before
 *              as many as there are keys below a bound: never behind its real entries, since the rest of the last
 *              node is padded with the highest key (looked at), which is below no bound; and at the last entry of the
 *              node before when there are none, which cannot be in the first node of a level, since that begins
 *              with the lowest key (looked at), which is below every bound.
 *   v6 block   slot 0 .. 19 by construction, shift masked.
 *   v6 group   clamped in the look-up (kobold_v6_deep), as are the entries it names.
 *   values     an octet is below 256 <= number of values; wide ones are clamped.
 *
 * That reads the IPv4 top and middle once (0.4 MB) and little else.
 */
#include "kobold_priv.h"
#include "kobold_update.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct section {
    const uint8_t *data;
    size_t size;
};

static int
check_header(const uint8_t *h, size_t size, unsigned flags)
{
    if (size < KDB_MAGIC_SIZE || memcmp(h, KDB_MAGIC, KDB_MAGIC_SIZE) != 0) {
        return KOBOLD_EFORMAT;
    }
    if (size < KDB_HEADER_SIZE) {
        return KOBOLD_EDAMAGED;
    }
    if (bh_get_le16(h + KDB_AT_VERSION) != KDB_VERSION ||
        bh_get_le32(h + KDB_AT_INCOMPATIBLE) != 0) {
        return KOBOLD_EVERSION;
    }
    uint64_t sum = kdb_sum(h, KDB_AT_HEADER_SUM);
    bool is_sum_good = sum == bh_get_le64(h + KDB_AT_HEADER_SUM);
    if (!is_sum_good && (flags & KOBOLD_OPEN_ANY_SUM) == 0) {
        return KOBOLD_EDAMAGED;
    }
    uint32_t header_size = bh_get_le32(h + KDB_AT_HEADER_SIZE);
    if (header_size < KDB_HEADER_SIZE || header_size > size ||
        bh_get_le64(h + KDB_AT_FILE_SIZE) != size) {
        return KOBOLD_EDAMAGED;
    }
    return 0;
}

static int
find_sections(const uint8_t *h, size_t size, struct section ret[KDB_SECTION_KINDS])
{
    uint32_t count = bh_get_le32(h + KDB_AT_SECTIONS);
    uint32_t header_size = bh_get_le32(h + KDB_AT_HEADER_SIZE);
    if (count > KDB_SECTIONS_MAX) {
        return KOBOLD_EDAMAGED;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *s = h + KDB_AT_TABLE + (size_t)i * KDB_SECTION_SIZE;
        uint32_t kind = bh_get_le32(s);
        uint64_t offset = bh_get_le64(s + 8);
        uint64_t length = bh_get_le64(s + 16);
        if (offset < header_size || offset > size || length > size - offset) {
            return KOBOLD_EDAMAGED;
        }
        if (kind < KDB_SECTION_KINDS) { /* others: a later version's compatible addition */
            ret[kind] = (struct section){ h + offset, (size_t)length };
        }
    }
    return 0;
}

static int
check_values(kobold *k, const struct section *s)
{
    uint32_t count = bh_get_le32(k->data + KDB_AT_VALUES);
    if (count < KDB_VALUES_MIN || count > KOBOLD_VALUES_MAX ||
        s[KDB_VALUES].size != (size_t)count * KDB_VALUE_SIZE) {
        return KOBOLD_EDAMAGED;
    }
    k->values = s[KDB_VALUES].data;
    k->value_count = count;
    return 0;
}

/* The highest of many 16-bit numbers. */
static unsigned
highest_of(const uint8_t *p, size_t count)
{
    uint16_t highest = 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t v = bh_get_le16(p + i * 2);
        highest = v > highest ? v : highest;
    }
    return highest;
}

static int
check_v4(kobold *k, const struct section *s)
{
    size_t middles = s[KDB_V4_MIDDLE].size / ((size_t)KDB_V4_CELLS * 2);
    size_t lows = s[KDB_V4_LOW].size / KDB_V4_CELLS;
    size_t groups = s[KDB_V4_GROUP].size / 4;
    size_t sides = s[KDB_V4_SIDE].size / KDB_V4_SIDE_SIZE;
    if (s[KDB_V4_TOP].size != 65536 * 2 || middles == 0 || middles > 65536 ||
        s[KDB_V4_MIDDLE].size % ((size_t)KDB_V4_CELLS * 2) != 0 || lows == 0 || lows > 65536 ||
        s[KDB_V4_LOW].size % KDB_V4_CELLS != 0 || s[KDB_V4_GROUP].size % 4 != 0 || groups > 65536 ||
        s[KDB_V4_RECORD].size < KDB_RECORD_SLACK || s[KDB_V4_SIDE].size % KDB_V4_SIDE_SIZE != 0 ||
        sides > UINT32_MAX || highest_of(s[KDB_V4_TOP].data, 65536) >= middles ||
        highest_of(s[KDB_V4_MIDDLE].data, middles * KDB_V4_CELLS) >= lows) {
        return KOBOLD_EDAMAGED;
    }
    k->head.v4_top = s[KDB_V4_TOP].data;
    k->head.v4_middle = s[KDB_V4_MIDDLE].data;
    k->head.v4_low = s[KDB_V4_LOW].data;
    k->v4_group = s[KDB_V4_GROUP].data;
    k->v4_groups = (uint32_t)groups;
    k->v4_record = s[KDB_V4_RECORD].data;
    k->v4_record_last = s[KDB_V4_RECORD].size - KDB_RECORD_SLACK;
    k->v4_side = s[KDB_V4_SIDE].data;
    k->v4_sides = (uint32_t)sides;
    return 0;
}

static int
check_v6(kobold *k, const struct section *s)
{
    size_t blocks = s[KDB_V6_BLOCK].size / KDB_BLOCK_SIZE;
    size_t groups = s[KDB_V6_GROUP].size / 4;
    size_t entries = s[KDB_V6_ENTRY].size / KDB_V6_ENTRY_SIZE;
    if (blocks == 0 || blocks > UINT32_MAX || s[KDB_V6_BLOCK].size % KDB_BLOCK_SIZE != 0 ||
        groups == 0 || groups > UINT32_MAX || s[KDB_V6_GROUP].size % 4 != 0 ||
        entries > UINT32_MAX || s[KDB_V6_ENTRY].size % KDB_V6_ENTRY_SIZE != 0) {
        return KOBOLD_EDAMAGED;
    }
    size_t keys[KDB_LEVELS_MAX]; /* of a level, the lowest first */
    uint32_t levels = 0;
    size_t nodes = 0;
    for (size_t n = blocks; levels < KDB_LEVELS_MAX;) {
        keys[levels++] = n;
        n = (n + KDB_FANOUT - 1) / KDB_FANOUT;
        nodes += n;
        if (n == 1) {
            break;
        }
    }
    /* 16^8 = 2^32 blocks are the most, so the root is always reached. */
    if (s[KDB_V6_INNER].size != nodes * KDB_FANOUT * 8) {
        return KOBOLD_EDAMAGED;
    }
    const uint8_t *at = s[KDB_V6_INNER].data;
    for (uint32_t i = 0; i < levels; i++) {
        size_t n = keys[levels - 1 - i];
        size_t room = (n + KDB_FANOUT - 1) / KDB_FANOUT * KDB_FANOUT;
        if ((int64_t)bh_get_le64(at) != INT64_MIN) {
            return KOBOLD_EDAMAGED;
        }
        for (size_t pad = n; pad < room; pad++) {
            if (bh_get_le64(at + pad * 8) != INT64_MAX) {
                return KOBOLD_EDAMAGED;
            }
        }
        k->v6_level[i] = at;
        at += room * 8;
    }
    k->v6_levels = levels;
    k->v6_lowest = k->v6_level[levels - 1];
    k->v6_block = s[KDB_V6_BLOCK].data;
    k->v6_blocks = (uint32_t)blocks;
    k->v6_group = s[KDB_V6_GROUP].data;
    k->v6_groups = (uint32_t)groups - 1; /* the last number is where they end */
    k->v6_entry = s[KDB_V6_ENTRY].data;
    k->v6_entries = (uint32_t)entries;
    return 0;
}

int
kobold_open_memory_flags(const void *data, size_t size, unsigned flags, kobold **ret)
{
    struct section sections[KDB_SECTION_KINDS] = { { NULL, 0 } };
    const uint8_t *h = data;
    int r = check_header(h, size, flags);
    if (r == 0) {
        r = find_sections(h, size, sections);
    }
    if (r < 0) {
        return r;
    }
    kobold *k = calloc(1, sizeof *k);
    if (k == NULL) {
        return -ENOMEM;
    }
    k->data = data;
    k->size = size;
    k->look = kobold_look_of(kobold_cpu());
    if ((r = check_values(k, sections)) < 0 || (r = check_v4(k, sections)) < 0 ||
        (r = check_v6(k, sections)) < 0) {
        free(k);
        return r;
    }
    kobold_find_cold(k);
    *ret = k;
    return 0;
}

int
kobold_open_memory(const void *data, size_t size, kobold **ret)
{
    return kobold_open_memory_flags(data, size, 0, ret);
}

int
kobold_open(const char *path, kobold **ret)
{
    char buf[4096];
    int fd = open(path != NULL ? path : kobold_default_path(buf, sizeof buf), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int r;
    struct stat st;
    if (fstat(fd, &st) < 0) {
        r = -errno;
        goto out;
    }
    if (S_ISDIR(st.st_mode)) {
        r = -EISDIR;
        goto out;
    }
    if (!S_ISREG(st.st_mode) || st.st_size < KDB_MAGIC_SIZE) {
        r = KOBOLD_EFORMAT;
        goto out;
    }
    if ((uint64_t)st.st_size > SIZE_MAX) {
        r = -EFBIG;
        goto out;
    }
    size_t size = (size_t)st.st_size;
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        r = -errno;
        goto out;
    }
    r = kobold_open_memory(map, size, ret);
    if (r < 0) {
        munmap(map, size);
    } else {
        (*ret)->is_mapped = true;
    }
out:
    close(fd);
    return r;
}

void
kobold_close(kobold *k)
{
    if (k == NULL) {
        return;
    }
    if (k->is_mapped) {
        /* The handle promises not to write; unmapping takes what mmap gave. */
        munmap((void *)(uintptr_t)k->data, k->size);
    }
    free(k);
}

void
kobold_set_cpu(kobold *k, int cpu)
{
    k->look = kobold_look_of(cpu);
}

int
kobold_verify(const kobold *k)
{
    uint32_t header_size = bh_get_le32(k->data + KDB_AT_HEADER_SIZE);
    uint64_t sum = kdb_sum(k->data + header_size, k->size - header_size);
    uint64_t head = kdb_sum(k->data, KDB_AT_HEADER_SUM);
    return sum == bh_get_le64(k->data + KDB_AT_BODY_SUM) &&
                   head == bh_get_le64(k->data + KDB_AT_HEADER_SUM)
               ? 0
               : KOBOLD_EDAMAGED;
}

void
kobold_take_text(char *to, size_t to_size, const uint8_t *from, size_t from_size)
{
    size_t n = 0;
    while (n < from_size && n + 1 < to_size && from[n] != 0) {
        n++;
    }
    memset(to, 0, to_size);
    memcpy(to, from, n);
    bh_text_trim(to); /* a character may have been cut when it was written */
}

void
kobold_take_key(char *to, size_t to_size, const uint8_t *from, size_t from_size)
{
    kobold_take_text(to, to_size, from, from_size);
    for (char *c = to; *c != '\0'; c++) {
        *c = *c < ' ' || *c > '~' ? '?' : *c;
    }
}

bool
kobold_value_info(const kobold *k, uint16_t value, struct kobold_value *ret)
{
    if (value >= k->value_count) {
        return false;
    }
    const uint8_t *p = k->values + (size_t)value * KDB_VALUE_SIZE;
    kobold_take_key(ret->code, 3, p, 2); /* two letters, and the rest of the field zero */
    ret->code[3] = '\0';
    ret->kind = p[4] <= KOBOLD_UNKNOWN ? p[4] : KOBOLD_UNKNOWN;
    ret->globally_reachable = p[5] != 0;
    kobold_take_key(ret->class_name, sizeof ret->class_name, p + 8, 48);
    kobold_take_key(ret->rfc, sizeof ret->rfc, p + 56, 24);
    return true;
}

unsigned
kobold_value_count(const kobold *k)
{
    return k->value_count;
}

void
kobold_get_meta(const kobold *k, struct kobold_meta *ret)
{
    kobold_take_text(ret->name, sizeof ret->name, k->data + KDB_AT_NAME, 64);
    kobold_take_key(ret->date, sizeof ret->date, k->data + KDB_AT_DATE, 16);
    kobold_take_text(ret->licence, sizeof ret->licence, k->data + KDB_AT_LICENCE, 64);
    kobold_take_text(ret->source, sizeof ret->source, k->data + KDB_AT_SOURCE, 128);
    /* The header's checksum covers the body's, so it stands for every octet of the file. */
    ret->id = bh_get_le64(k->data + KDB_AT_HEADER_SUM);
    ret->v4_ranges = bh_get_le32(k->data + KDB_AT_V4_RANGES);
    ret->v6_ranges = bh_get_le32(k->data + KDB_AT_V6_RANGES);
    ret->values = k->value_count;
}

const char *
kobold_strerror(int code, int lang)
{
    static const char *const texts[][2] = {
        { "no error", "エラーなし" },
        { "not a Kobold country database; make one with \"kobold compile\"",
          "Kobold の国データベースではありません。「kobold compile」で作ってください" },
        { "the country database is cut or damaged; build it again with \"kobold compile\"",
          "国データベースが途中で切れているか壊れています。「kobold compile」で作り直してください" },
        { "the country database was made by a newer version; update this program",
          "国データベースは新しい版で作られています。このプログラムを更新してください" },
        { "no such country database; build one with \"kobold compile\", or name one with "
          "--country-db or KOBOLD_DB",
          "国データベースがありません。「kobold compile」で作るか、--country-db または KOBOLD_DB で"
          "指定してください" },
        { "this is a directory; give a country database, a .kdb file",
          "これはディレクトリです。国データベース (.kdb ファイル) を指定してください" },
    };
    int j = lang == 1;
    switch (code) {
    case 0:
        return texts[0][j];
    case KOBOLD_EFORMAT:
        return texts[1][j];
    case KOBOLD_EDAMAGED:
        return texts[2][j];
    case KOBOLD_EVERSION:
        return texts[3][j];
    case -ENOENT:
        return texts[4][j];
    case -EISDIR:
        return texts[5][j];
    default:
        break;
    }
    return code < 0 && code > -2000 ? bh_errno_text(-code, j ? BH_JA : BH_EN)
                                    : (j ? "不明なエラー" : "unknown error");
}

/* ---- where the database is -------------------------------------------------------------------- */

/* Is DIR/rest there? Leaves its name in `buf`. */
static bool
is_there(char *buf, size_t size, const char *dir, size_t dir_len, const char *rest)
{
    int n = snprintf(buf, size, "%.*s%s", (int)dir_len, dir, rest);
    return n > 0 && (size_t)n < size && access(buf, R_OK) == 0;
}

static bool
is_beside(char *buf, size_t size, const char *file)
{
    static const char *const places[] = {
        "/../share/beholder/country.kdb",    /* installed: PREFIX/bin                 */
        "/../../share/beholder/country.kdb", /* PREFIX/lib/TRIPLET, PREFIX/libexec/... */
        "/data/country.kdb",                 /* build trees                           */
        "/../data/country.kdb",
        "/../../data/country.kdb",
        "/../../../data/country.kdb",
        "/../../country.kdb",
    };
    const char *slash = strrchr(file, '/');
    if (slash == NULL) {
        return false;
    }
    for (size_t i = 0; i < BH_COUNT(places); i++) {
        if (is_there(buf, size, file, (size_t)(slash - file), places[i])) {
            return true;
        }
    }
    return false;
}

const char *
kobold_default_path(char *buf, size_t size)
{
    const char *chosen = getenv("KOBOLD_DB");
    if (chosen != NULL && chosen[0] != '\0') {
        snprintf(buf, size, "%s", chosen);
        return buf;
    }
    /* What kobold update has made on this machine: newer than what a package brought. */
    if (access(KOBOLD_LOCAL_DATABASE, R_OK) == 0) {
        snprintf(buf, size, "%s", KOBOLD_LOCAL_DATABASE);
        return buf;
    }
    Dl_info info;
    if (dladdr((const void *)(uintptr_t)kobold_default_path, &info) != 0 &&
        info.dli_fname != NULL && is_beside(buf, size, info.dli_fname)) {
        return buf;
    }
    /* Linked statically the above is argv[0], which need not name a place. */
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = '\0';
        if (is_beside(buf, size, self)) {
            return buf;
        }
    }
    snprintf(buf, size, "%s", "/usr/share/beholder/country.kdb");
    return buf;
}

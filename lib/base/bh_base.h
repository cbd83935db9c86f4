/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_base.h - what every other library stands on: errors, octets, addresses, text buffers, files.
 *
 * Threads:   nothing here has hidden state; a value may be used by one thread at a time.
 * Ownership: what a function returns is the caller's; arguments are borrowed for the call.
 * Errors:    0, or a negative code: -errno, or one of BH_E... below. `ret_` arguments are
 *            written on success only.
 */
#ifndef BH_BASE_H
#define BH_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BH_NODISCARD __attribute__((warn_unused_result))
#define BH_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define BH_ALWAYS_INLINE inline __attribute__((always_inline))
#define BH_NOINLINE __attribute__((noinline))
#define BH_LIKELY(x) __builtin_expect(!!(x), 1)
#define BH_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define BH_PREFETCH_WRITE(p) __builtin_prefetch((p), 1)
#define BH_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BH_UNUSED __attribute__((unused))

/* A result that is dropped on purpose; say why beside it. */
static inline void
bh_ignore(int result)
{
    (void)result;
}

/* ---- errors ---------------------------------------------------------------------------- */

enum {
    BH_EFORMAT = -2001,  /* not the format it should be                     */
    BH_EDAMAGED = -2002, /* the right format, but cut or damaged            */
    BH_EUNKNOWN = -2003, /* a name or word that does not exist              */
    BH_EUSAGE = -2004,   /* the user asked for something that makes no sense */
    BH_ELIMIT = -2005,   /* a documented bound was reached                  */
    BH_EVERSION = -2006, /* a newer version of a format than we read        */
};

enum bh_lang { BH_EN = 0, BH_JA = 1, BH_LANGS = 2 };

/* Where the user will ask "where?": a short text in both languages, and the place. */
struct bh_error {
    int code;        /* as returned                                       */
    uint64_t offset; /* octet in the file, when has_offset                */
    uint32_t line;   /* line of a text file, 1-based; 0: none             */
    bool has_offset;
    char where[512]; /* file, option or word the error is about; may be "" */
    char text[BH_LANGS][320];
};

/* Fill `e` (may be NULL) and return `code`. Both formats take the same arguments in the
 * same order; use %1$s and the like where the order differs. */
int bh_error_set(struct bh_error *e, int code, const char *where, const char *en, const char *ja,
                 ...) BH_PRINTF(4, 6);
/* The same with errno's text as the reason: "WHERE: doing: reason". */
int bh_error_errno(struct bh_error *e, int saved_errno, const char *where, const char *en,
                   const char *ja);
/* What strerror() says, in both languages. */
const char *bh_errno_text(int saved_errno, enum bh_lang lang);
/* One line: "where: byte 24: text", escaped as bh_buf_put_safe() does. Returns `buf`. */
const char *bh_error_line(const struct bh_error *e, enum bh_lang lang, char *buf, size_t size);

/* LC_ALL, LC_MESSAGES, LANG: Japanese when it begins with "ja", else English. */
enum bh_lang bh_lang_from_env(void);

/* ---- octets ------------------------------------------------------------------------------ */

static inline uint16_t
bh_get_be16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t
bh_get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t
bh_get_be64(const uint8_t *p)
{
    return (uint64_t)bh_get_be32(p) << 32 | bh_get_be32(p + 4);
}

static inline uint16_t
bh_get_le16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[1] << 8 | p[0]);
}

static inline uint32_t
bh_get_le32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static inline uint64_t
bh_get_le64(const uint8_t *p)
{
    return (uint64_t)bh_get_le32(p + 4) << 32 | bh_get_le32(p);
}

static inline void
bh_put_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void
bh_put_le32(uint8_t *p, uint32_t v)
{
    bh_put_le16(p, (uint16_t)v);
    bh_put_le16(p + 2, (uint16_t)(v >> 16));
}

static inline void
bh_put_le64(uint8_t *p, uint64_t v)
{
    bh_put_le32(p, (uint32_t)v);
    bh_put_le32(p + 4, (uint32_t)(v >> 32));
}

static inline void
bh_put_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void
bh_put_be32(uint8_t *p, uint32_t v)
{
    bh_put_be16(p, (uint16_t)(v >> 16));
    bh_put_be16(p + 2, (uint16_t)v);
}

static inline void
bh_put_be64(uint8_t *p, uint64_t v)
{
    bh_put_be32(p, (uint32_t)(v >> 32));
    bh_put_be32(p + 4, (uint32_t)v);
}

/* Packet octets are touched through a cursor only. Lengths are compared, never pointers. */
struct bh_cur {
    const uint8_t *at;  /* next octet                               */
    const uint8_t *end; /* one past the last octet that may be read */
    bool bad;           /* sticky: set by the first read that fails */
};

static inline struct bh_cur
bh_cur_over(const uint8_t *data, size_t size)
{
    return (struct bh_cur){ data, data + size, false };
}

static inline size_t
bh_cur_left(const struct bh_cur *c)
{
    return c->bad ? 0 : (size_t)(c->end - c->at);
}

/* The one place that checks. NULL, and the cursor turns bad, when n is too many. */
static inline const uint8_t *
bh_cur_take(struct bh_cur *c, size_t n)
{
    if (c->bad || n > (size_t)(c->end - c->at)) {
        c->bad = true;
        return NULL;
    }
    const uint8_t *p = c->at;
    c->at += n;
    return p;
}

static inline uint8_t
bh_cur_u8(struct bh_cur *c)
{
    const uint8_t *p = bh_cur_take(c, 1);
    return p == NULL ? 0 : p[0];
}

static inline uint16_t
bh_cur_be16(struct bh_cur *c)
{
    const uint8_t *p = bh_cur_take(c, 2);
    return p == NULL ? 0 : bh_get_be16(p);
}

static inline uint32_t
bh_cur_be32(struct bh_cur *c)
{
    const uint8_t *p = bh_cur_take(c, 4);
    return p == NULL ? 0 : bh_get_be32(p);
}

/* A child that cannot read past n octets: the first n of what is left, or all of it when the
 * capture was cut (a snap length is normal; the caller marks the record as truncated). */
static inline struct bh_cur
bh_cur_sub(struct bh_cur *c, size_t n)
{
    size_t left = bh_cur_left(c);
    struct bh_cur child = { c->at, c->at + (n < left ? n : left), c->bad };
    if (!c->bad) {
        c->at = child.end;
    }
    return child;
}

/* ---- addresses ----------------------------------------------------------------------------- */

/* An address in network order. IPv4 uses the first four octets; the rest is zero. */
struct bh_ip {
    uint8_t octets[16];
    uint8_t family; /* 4 or 6 */
};

#define BH_IP_TEXT_MAX 46 /* with the terminating NUL */

/* Strict: dotted quad, or RFC 4291 text; no zone, no port. */
bool bh_ip_parse(const char *text, size_t len, struct bh_ip *ret_ip);
/* RFC 5952 text. Returns its length. */
size_t bh_ip_format(const struct bh_ip *ip, char buf[BH_IP_TEXT_MAX]);
int bh_ip_cmp(const struct bh_ip *a, const struct bh_ip *b); /* IPv4 before IPv6, octet order */

static inline struct bh_ip
bh_ip_from_v4(uint32_t host_order)
{
    struct bh_ip ip = { .family = 4 };
    bh_put_be32(ip.octets, host_order);
    return ip;
}

static inline struct bh_ip
bh_ip_from_v6(uint64_t hi, uint64_t lo)
{
    struct bh_ip ip = { .family = 6 };
    bh_put_be64(ip.octets, hi);
    bh_put_be64(ip.octets + 8, lo);
    return ip;
}

/* ---- addresses in text -------------------------------------------------------------------- */

/*
 * Finds the addresses in any text, such as the lines of a log:
 *
 *     bh_scan_begin(&s, text, len);
 *     for (size_t done = 0; bh_scan_next(&s, done, &ip, &at, &n); done = at + n)
 *         ...                                          // text[at .. at + n) is `ip`
 *
 * An address does not begin or end inside a word or number; a port, prefix length or zone behind
 * it is not part of it. The text is borrowed while the scan is used. Fields are private.
 */
struct bh_scan {
    const char *text;
    size_t len;
    size_t block, next; /* the block whose anchors are here, the next one to read */
    uint64_t anchors;
    uint64_t digits, dots[2], colons[5]; /* of the block before `next` */
};

void bh_scan_begin(struct bh_scan *s, const char *text, size_t len);
/* The next address that begins at `from` or later; `from` does not go back. */
bool
bh_scan_next(struct bh_scan *s, size_t from, struct bh_ip *ret_ip, size_t *ret_at, size_t *ret_len);

/* ---- text buffers ---------------------------------------------------------------------------- */

/* A growing text. After a failed allocation `failed` stays set and nothing more is added. */
struct bh_buf {
    char *data; /* NUL-terminated when len > 0; may be NULL when empty */
    size_t len, cap;
    bool failed;
};

void bh_buf_done(struct bh_buf *b);
void bh_buf_add(struct bh_buf *b, const void *data, size_t n);
void bh_buf_puts(struct bh_buf *b, const char *s);
void bh_buf_putc(struct bh_buf *b, char c);
void bh_buf_printf(struct bh_buf *b, const char *fmt, ...) BH_PRINTF(2, 3);
/* Text of the network or of a file on its way to a terminal: C0, C1 and DEL, bidirectional
 * controls and broken UTF-8 become \xNN. */
void bh_buf_put_safe(struct bh_buf *b, const char *s, size_t n);
/* A JSON string with its quotes; broken UTF-8 becomes U+FFFD. */
void bh_buf_put_json(struct bh_buf *b, const char *s, size_t n);
/* Drops the part of a UTF-8 character that snprintf() left at the end when it cut a text. */
void bh_text_trim(char *s);
/* Columns a UTF-8 text takes on a terminal (East Asian wide characters take two). */
size_t bh_text_width(const char *s);

/* ---- memory and files ------------------------------------------------------------------------- */

/* Zeroed memory for a table, on a cache line: of 2 MiB and more in pages of its own, lazily
 * touched, and `huge` asks for huge ones (a hint). NULL on failure. */
void *bh_pages_new(size_t size, bool huge);
void bh_pages_free(void *p, size_t size); /* with the size it was made with */
/* malloc() in huge pages, where the system has them: first thing in a program, if at all. */
void bh_heap_in_huge_pages(void);
/* a * b, or SIZE_MAX when it does not fit (malloc then fails). */
size_t bh_size_mul(size_t a, size_t b);

/* Rising by the bits `first` up to before `end`; equal ones keep their order. -ENOMEM: as they were. */
BH_NODISCARD int bh_sort64(uint64_t *v, size_t n, unsigned first, unsigned end);

/* A whole file, mapped read-only. */
struct bh_map {
    const uint8_t *data;
    size_t size;
};
BH_NODISCARD int bh_map_open(const char *path, struct bh_map *ret_map, struct bh_error *err);
void bh_map_done(struct bh_map *m);

/* Write `size` octets as `path`: complete or not at all (temporary name, fsync, rename). */
BH_NODISCARD int
bh_file_replace(const char *path, const void *data, size_t size, struct bh_error *err);

/* Output piece by piece: NULL or "-" is standard output, else a file that appears complete or not at
 * all. After an error (-errno) nothing more is written, and every call says it again. */
struct bh_out; /* opaque */
BH_NODISCARD int bh_out_open(const char *path, struct bh_out **ret_out, struct bh_error *err);
BH_NODISCARD int bh_out_write(struct bh_out *o, const void *data, size_t size);
BH_NODISCARD int bh_out_flush(struct bh_out *o);
uint64_t bh_out_size(const struct bh_out *o); /* octets so far */
/* `keep` false: what was written to a file goes. NULL is allowed. */
BH_NODISCARD int bh_out_close(struct bh_out *o, bool keep, struct bh_error *err);

/* At the start of a program: descriptors 0 to 2 that are closed are taken, so that no file that
 * is opened later becomes standard output and gets what was meant for it. */
void bh_standard_files(void);
/* At its end, when stdout was used: 0, or the error of a full disk (-EPIPE: a reader left). */
BH_NODISCARD int bh_stdout_flush(struct bh_error *err);

/* The directory the running program lies in, resolved; "" when unknown. */
const char *bh_program_dir(char *buf, size_t size);

/* ---- hashing ----------------------------------------------------------------------------------- */

__extension__ typedef unsigned __int128 bh_u128;

/* 64 good bits from 128; keyed, so that a stranger cannot choose what collides. */
static inline uint64_t
bh_mix64(uint64_t a, uint64_t b)
{
    bh_u128 x = (bh_u128)(a ^ 0x2d358dccaa6c78a5ULL) * (b ^ 0x8bb84b93962eacc9ULL);
    return (uint64_t)x ^ (uint64_t)(x >> 64);
}

/* From the system's random numbers; from BH_SEED in the environment when tests set it. */
uint64_t bh_random_key(void);

#endif

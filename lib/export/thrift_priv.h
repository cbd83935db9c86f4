/* SPDX-License-Identifier: BSD-2-Clause */
/* Thrift's compact protocol, as much of it as Parquet's metadata takes (THRIFT doc/specs). */
#ifndef THRIFT_PRIV_H
#define THRIFT_PRIV_H

#include "bh_base.h"

enum {
    THRIFT_TRUE = 1,
    THRIFT_FALSE = 2,
    THRIFT_I8 = 3,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_STRUCT = 12
};

struct thrift {
    struct bh_buf *out;
    int16_t last[8]; /* field written last, of each open struct */
    unsigned depth;
};

static inline void
thrift_varint(struct thrift *t, uint64_t v)
{
    while (v >= 0x80) {
        bh_buf_putc(t->out, (char)(v | 0x80));
        v >>= 7;
    }
    bh_buf_putc(t->out, (char)v);
}

/* Fields of a struct come with rising numbers. */
static inline void
thrift_field(struct thrift *t, int16_t id, unsigned type)
{
    const int16_t step = (int16_t)(id - t->last[t->depth]); /* below 16 in all that we write */
    bh_buf_putc(t->out, (char)((unsigned)step << 4 | type));
    t->last[t->depth] = id;
}

static inline void
thrift_int(struct thrift *t, int16_t id, unsigned type, int64_t v)
{
    thrift_field(t, id, type);
    thrift_varint(t, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

static inline void
thrift_bool(struct thrift *t, int16_t id, bool v)
{
    thrift_field(t, id, v ? THRIFT_TRUE : THRIFT_FALSE);
}

static inline void
thrift_text_value(struct thrift *t, const char *text, size_t len)
{
    thrift_varint(t, len);
    bh_buf_add(t->out, text, len);
}

static inline void
thrift_text(struct thrift *t, int16_t id, const char *text)
{
    thrift_field(t, id, THRIFT_BINARY);
    thrift_text_value(t, text, strlen(text));
}

static inline void
thrift_list(struct thrift *t, int16_t id, unsigned type, size_t count)
{
    thrift_field(t, id, THRIFT_LIST);
    if (count < 15) {
        bh_buf_putc(t->out, (char)(count << 4 | type));
    } else {
        bh_buf_putc(t->out, (char)(0xf0 | type));
        thrift_varint(t, count);
    }
}

static inline void
thrift_list_i32(struct thrift *t, int32_t v)
{
    thrift_varint(t, (uint64_t)(int64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

/* A struct that stands in a list; thrift_begin() one that is a field. */
static inline void
thrift_begin_item(struct thrift *t)
{
    t->last[++t->depth] = 0;
}

static inline void
thrift_begin(struct thrift *t, int16_t id)
{
    thrift_field(t, id, THRIFT_STRUCT);
    thrift_begin_item(t);
}

static inline void
thrift_end(struct thrift *t)
{
    bh_buf_putc(t->out, '\0');
    t->depth--;
}

#endif

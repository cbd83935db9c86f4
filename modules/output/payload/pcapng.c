/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload_priv.h"

#include <inttypes.h>
#include <unistd.h>

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_STATISTICS = 5, BLOCK_PACKET = 6 };
enum { OPTION_END = 0, OPTION_COMMENT = 1, SECTION_APPLICATION = 4 };
enum { INTERFACE_NAME = 2, INTERFACE_RESOLUTION = 9, INTERFACE_FILTER = 11 };
enum { PACKET_FLAGS = 2 };
enum {
    STATISTICS_START = 2,
    STATISTICS_END,
    STATISTICS_RECEIVED,
    STATISTICS_DROPPED,
    STATISTICS_ACCEPTED,
    STATISTICS_OS_DROPPED,
    STATISTICS_DELIVERED
};
#define MAGIC 0x1a2b3c4dU
#define MARK "beholder "

static void
put16(struct bh_buf *out, uint16_t n)
{
    uint8_t b[2];
    bh_put_le16(b, n);
    bh_buf_add(out, b, sizeof b);
}

static void
put32(struct bh_buf *out, uint32_t n)
{
    uint8_t b[4];
    bh_put_le32(b, n);
    bh_buf_add(out, b, sizeof b);
}

/* The upper half first, whatever the order of octets. */
static void
put_time(struct bh_buf *out, int64_t ns)
{
    const uint64_t t = ns > 0 ? (uint64_t)ns : 0;
    put32(out, (uint32_t)(t >> 32));
    put32(out, (uint32_t)t);
}

static void
pad(struct bh_buf *out, size_t len)
{
    bh_buf_add(out, "\0\0\0", (4 - len % 4) % 4);
}

static void
option(struct bh_buf *out, uint16_t code, const void *data, size_t len)
{
    put16(out, code);
    put16(out, (uint16_t)len);
    bh_buf_add(out, data, len);
    pad(out, len);
}

static void
option64(struct bh_buf *out, uint16_t code, uint64_t n)
{
    uint8_t b[8];
    bh_put_le64(b, n);
    option(out, code, b, sizeof b);
}

static void
option_time(struct bh_buf *out, uint16_t code, int64_t ns)
{
    put16(out, code);
    put16(out, 8);
    put_time(out, ns);
}

static size_t
begin(struct bh_buf *out, uint32_t type)
{
    const size_t at = out->len;
    put32(out, type);
    put32(out, 0);
    return at;
}

static void
end(struct bh_buf *out, size_t at)
{
    const uint32_t len = (uint32_t)(out->len - at) + 4;
    put32(out, len);
    if (!out->failed) {
        bh_put_le32((uint8_t *)out->data + at + 4, len);
    }
}

static size_t
shortened(const char *text, size_t most)
{
    const size_t n = strlen(text);
    return n < most ? n : most;
}

void
pcapng_section(struct bh_buf *out, const char *sensor)
{
    const size_t at = begin(out, BLOCK_SECTION);
    put32(out, MAGIC);
    put16(out, 1);
    put16(out, 0);
    put32(out, UINT32_MAX); /* length of the section: not known yet */
    put32(out, UINT32_MAX);
    option(out, SECTION_APPLICATION, "beholder " BH_VERSION, strlen("beholder " BH_VERSION));
    if (*sensor != '\0') {
        option(out, OPTION_COMMENT, sensor, shortened(sensor, 255));
    }
    option(out, OPTION_END, "", 0);
    end(out, at);
}

void
pcapng_description(struct bh_buf *out, const struct pcapng_interface *i, uint32_t snap,
                   const char *filter)
{
    const size_t at = begin(out, BLOCK_INTERFACE);
    put16(out, i->link_type);
    put16(out, 0);
    put32(out, snap);
    if (i->name[0] != '\0') {
        option(out, INTERFACE_NAME, i->name, strlen(i->name));
    }
    option(out, INTERFACE_RESOLUTION, "\x09", 1);
    if (*filter != '\0') { /* code 0: a text */
        const size_t n = shortened(filter, 4000);
        put16(out, INTERFACE_FILTER);
        put16(out, (uint16_t)(n + 1));
        bh_buf_putc(out, '\0');
        bh_buf_add(out, filter, n);
        pad(out, n + 1);
    }
    option(out, OPTION_END, "", 0);
    end(out, at);
}

void
pcapng_frame(struct bh_buf *out, uint32_t index, int64_t ts_ns, const struct bh_output_frame *f,
             uint32_t snap, unsigned direction)
{
    const size_t at = begin(out, BLOCK_PACKET);
    const uint32_t len = f->cap_len < snap ? f->cap_len : snap;
    put32(out, index);
    put_time(out, ts_ns);
    put32(out, len);
    put32(out, f->wire_len);
    bh_buf_add(out, f->data, len);
    pad(out, len);
    if (direction == BH_DIR_IN || direction == BH_DIR_OUT) {
        uint8_t flags[4];
        bh_put_le32(flags, direction == BH_DIR_IN ? 1 : 2);
        option(out, PACKET_FLAGS, flags, sizeof flags);
        option(out, OPTION_END, "", 0);
    }
    end(out, at);
}

void
pcapng_interface_statistics(struct bh_buf *out, uint32_t index, const struct pcapng_interface *i,
                            const struct pcapng_statistics *s, const struct pcapng_mark *mark)
{
    const size_t at = begin(out, BLOCK_STATISTICS);
    put32(out, index);
    put_time(out, s->now_ns);
    option_time(out, STATISTICS_START, s->start_ns);
    option_time(out, STATISTICS_END, s->now_ns);
    option64(out, STATISTICS_RECEIVED, s->received);
    option64(out, STATISTICS_DROPPED, s->dropped_kernel);
    option64(out, STATISTICS_ACCEPTED, i->selected);
    option64(out, STATISTICS_OS_DROPPED, s->dropped_os);
    option64(out, STATISTICS_DELIVERED, i->written);
    if (mark != NULL) {
        char text[100];
        const int n = snprintf(text, sizeof text, MARK "%" PRId64 " %" PRIu64 " %" PRIu32,
                               mark->run_ns, mark->number, mark->row);
        option(out, OPTION_COMMENT, text, (size_t)n);
    }
    option(out, OPTION_END, "", 0);
    end(out, at);
}

/* ---- what a kill left ------------------------------------------------------------------------------ */

static bool
read_mark(const uint8_t *comment, uint16_t size, struct pcapng_mark *ret)
{
    char text[100];
    int end = 0;
    if (size >= sizeof text || size < strlen(MARK) || memcmp(comment, MARK, strlen(MARK)) != 0) {
        return false;
    }
    memcpy(text, comment, size);
    text[size] = '\0';
    return sscanf(text + strlen(MARK), "%20" SCNd64 " %20" SCNu64 " %10" SCNu32 "%n", &ret->run_ns,
                  &ret->number, &ret->row, &end) == 3 &&
           text[strlen(MARK) + (size_t)end] == '\0';
}

/* The comment of a mark is the last option but one of its block: look for it behind the fixed ones. */
static bool
find_mark(int fd, uint64_t at, uint32_t len, struct pcapng_mark *ret)
{
    uint8_t block[512];
    const size_t n = len < sizeof block ? len : sizeof block;
    if (pread(fd, block, n, (off_t)at) != (ssize_t)n) {
        return false;
    }
    struct bh_cur c = bh_cur_over(block + 20, n > 24 ? n - 24 : 0);
    while (bh_cur_left(&c) >= 4) {
        const uint8_t *head = bh_cur_take(&c, 4);
        const uint16_t code = bh_get_le16(head), size = bh_get_le16(head + 2);
        const uint8_t *value = bh_cur_take(&c, ((size_t)size + 3) / 4 * 4);
        if (value == NULL || code == OPTION_END) {
            return false;
        }
        if (code == OPTION_COMMENT) {
            return read_mark(value, size, ret);
        }
    }
    return false;
}

uint64_t
pcapng_mend(void *mark, int fd, uint64_t size)
{
    uint64_t good = 0;
    uint8_t head[12];
    for (uint64_t at = 0;
         size - at >= 12 && pread(fd, head, sizeof head, (off_t)at) == (ssize_t)sizeof head;) {
        const uint32_t type = bh_get_le32(head), len = bh_get_le32(head + 4);
        if (at == 0 && (type != BLOCK_SECTION || bh_get_le32(head + 8) != MAGIC)) {
            return size; /* nothing of ours: it is set aside as it is */
        }
        if (len < 12 || len % 4 != 0 || len > size - at) {
            break;
        }
        struct pcapng_mark found;
        at += len;
        if (type == BLOCK_STATISTICS && find_mark(fd, at - len, len, &found)) {
            good = at;
            *(struct pcapng_mark *)mark = found;
        }
    }
    return size < 12 ? size : good;
}

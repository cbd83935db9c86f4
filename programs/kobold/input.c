/* SPDX-License-Identifier: BSD-2-Clause */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef KOBOLD_WITH_ZLIB
#include <zlib.h>
#endif
#ifdef KOBOLD_WITH_LZMA
#include <lzma.h>
#endif
#ifdef KOBOLD_WITH_ZSTD
#include <zstd.h>
#endif

#define STEP ((size_t)1 << 20)

void
input_done(struct input *in)
{
    bh_pages_free(in->own, in->room);
    bh_map_done(&in->map);
    *in = (struct input){ 0 };
}

/* Room for at least STEP more octets. */
static bool
make_room(struct input *in)
{
    if (in->own != NULL && in->room - in->size >= STEP) {
        return true;
    }
    size_t more = in->size + in->size / 2 + 2 * STEP;
    char *p = bh_pages_new(more, true);
    if (p == NULL) {
        return false;
    }
    if (in->size > 0) {
        memcpy(p, in->own, in->size);
    }
    bh_pages_free(in->own, in->room);
    in->text = in->own = p;
    in->room = more;
    return true;
}

static int
no_memory(const char *name, struct bh_error *err)
{
    return bh_error_errno(err, ENOMEM, name, "cannot read", "読めません");
}

static int
too_large(const char *name, struct bh_error *err)
{
    return bh_error_set(err, BH_ELIMIT, name, "larger than 1 GiB%s", "1 GiBを超えています%s", "");
}

static int
read_descriptor(int fd, const char *name, struct input *ret, struct bh_error *err)
{
    for (;;) {
        if (!make_room(ret)) {
            return no_memory(name, err);
        }
        ssize_t n = read(fd, ret->own + ret->size, ret->room - ret->size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return bh_error_errno(err, errno, name, "cannot read", "読めません");
        }
        if (n == 0) {
            return 0;
        }
        ret->size += (size_t)n;
        if (ret->size > INPUT_MAX) {
            return too_large(name, err);
        }
    }
}

/* A regular file as it lies in the page cache; false: something else, which has to be read. */
static int
map_file(int fd, const char *path, struct input *ret, bool *ret_done, struct bh_error *err)
{
    struct stat st;
    *ret_done = false;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0) {
        return 0;
    }
    if ((uint64_t)st.st_size > INPUT_MAX) {
        return too_large(path, err);
    }
    int r = bh_map_open(path, &ret->map, err);
    if (r == 0) {
        ret->text = (const char *)ret->map.data;
        ret->size = ret->map.size;
        *ret_done = true;
#ifdef MADV_POPULATE_READ
        /* All at once costs less than a fault for every few pages; old kernels do not know it. */
        madvise((void *)(uintptr_t)ret->map.data, ret->map.size, MADV_POPULATE_READ);
#endif
    }
    return r;
}

/* ---- compressed --------------------------------------------------------------------------------- */

/* One call of a library: takes from `in`, adds to `out`. */
enum step { STEP_MORE, STEP_END, STEP_BROKEN, STEP_MEMORY };

struct unpacker {
    const uint8_t *in;
    size_t in_left;
    uint8_t *out;
    size_t out_left;
    void *state;
};

#ifdef KOBOLD_WITH_ZLIB
static enum step
gzip_step(struct unpacker *u)
{
    z_stream *z = u->state;
    z->next_in = (Bytef *)(uintptr_t)u->in;
    z->avail_in = (uInt)u->in_left;
    z->next_out = u->out;
    z->avail_out = (uInt)u->out_left;
    int r = inflate(z, Z_NO_FLUSH);
    u->in = z->next_in;
    u->in_left = z->avail_in;
    u->out = z->next_out;
    u->out_left = z->avail_out;
    if (r == Z_STREAM_END) {
        if (u->in_left == 0) {
            return STEP_END;
        }
        /* Members one after the other are one file. */
        return inflateReset(z) == Z_OK ? STEP_MORE : STEP_BROKEN;
    }
    return r == Z_MEM_ERROR                                      ? STEP_MEMORY
           : r == Z_OK || (r == Z_BUF_ERROR && u->out_left == 0) ? STEP_MORE
                                                                 : STEP_BROKEN;
}

static bool
gzip_open(struct unpacker *u)
{
    z_stream *z = calloc(1, sizeof *z);
    if (z == NULL || inflateInit2(z, 15 + 16) != Z_OK) {
        free(z);
        return false;
    }
    u->state = z;
    return true;
}

static void
gzip_close(struct unpacker *u)
{
    inflateEnd(u->state);
    free(u->state);
}
#endif

#ifdef KOBOLD_WITH_LZMA
static enum step
xz_step(struct unpacker *u)
{
    lzma_stream *z = u->state;
    z->next_in = u->in;
    z->avail_in = u->in_left;
    z->next_out = u->out;
    z->avail_out = u->out_left;
    lzma_ret r = lzma_code(z, LZMA_FINISH); /* all input is there */
    u->in = z->next_in;
    u->in_left = z->avail_in;
    u->out = z->next_out;
    u->out_left = z->avail_out;
    return r == LZMA_STREAM_END                              ? STEP_END
           : r == LZMA_MEM_ERROR || r == LZMA_MEMLIMIT_ERROR ? STEP_MEMORY
           : r == LZMA_OK                                    ? STEP_MORE
                                                             : STEP_BROKEN;
}

static bool
xz_open(struct unpacker *u)
{
    lzma_stream *z = calloc(1, sizeof *z);
    if (z == NULL) {
        return false;
    }
    *z = (lzma_stream)LZMA_STREAM_INIT;
    /* A stranger's file must not choose how much memory we take: xz -9 wants 65 MiB. */
    if (lzma_stream_decoder(z, (uint64_t)128 << 20, LZMA_CONCATENATED) != LZMA_OK) {
        free(z);
        return false;
    }
    u->state = z;
    return true;
}

static void
xz_close(struct unpacker *u)
{
    lzma_end(u->state);
    free(u->state);
}
#endif

#ifdef KOBOLD_WITH_ZSTD
static enum step
zstd_step(struct unpacker *u)
{
    ZSTD_inBuffer in = { u->in, u->in_left, 0 };
    ZSTD_outBuffer out = { u->out, u->out_left, 0 };
    size_t r = ZSTD_decompressStream(u->state, &out, &in);
    u->in += in.pos;
    u->in_left -= in.pos;
    u->out += out.pos;
    u->out_left -= out.pos;
    if (ZSTD_isError(r)) {
        return STEP_BROKEN;
    }
    if (u->in_left > 0 || u->out_left == 0) {
        return STEP_MORE;
    }
    return r == 0 ? STEP_END : STEP_BROKEN; /* else cut */
}

static bool
zstd_open(struct unpacker *u)
{
    u->state = ZSTD_createDStream();
    return u->state != NULL;
}

static void
zstd_close(struct unpacker *u)
{
    ZSTD_freeDStream(u->state);
}
#endif

static const struct packing {
    const char *name;
    uint8_t magic[6];
    size_t magic_size;
    bool (*open)(struct unpacker *u);
    enum step (*step)(struct unpacker *u);
    void (*close)(struct unpacker *u);
} packings[] = {
#ifdef KOBOLD_WITH_ZLIB
    { "gzip", { 0x1f, 0x8b }, 2, gzip_open, gzip_step, gzip_close },
#else
    { "gzip", { 0x1f, 0x8b }, 2, NULL, NULL, NULL },
#endif
#ifdef KOBOLD_WITH_LZMA
    { "xz", { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, xz_open, xz_step, xz_close },
#else
    { "xz", { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, NULL, NULL, NULL },
#endif
#ifdef KOBOLD_WITH_ZSTD
    { "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4, zstd_open, zstd_step, zstd_close },
#else
    { "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4, NULL, NULL, NULL },
#endif
};

static int
damaged(const char *name, const char *packing, size_t unpacked, struct bh_error *err)
{
    return bh_error_set(err, BH_EDAMAGED, name,
                        "the %s data are cut or damaged (%zu octets unpacked before); get the file "
                        "again",
                        "%s のデータが途中で切れているか壊れています (それまでに展開 %zu バイト)。"
                        "取り直してください",
                        packing, unpacked);
}

static int
run(const struct packing *p, struct unpacker *u, const char *name, struct input *ret,
    struct bh_error *err)
{
    for (;;) {
        if (!make_room(ret)) {
            return no_memory(name, err);
        }
        u->out = (uint8_t *)ret->own + ret->size;
        u->out_left = ret->room - ret->size;
        enum step s = p->step(u);
        ret->size = ret->room - u->out_left;
        if (s == STEP_END) {
            return 0;
        }
        if (s == STEP_MEMORY) {
            return no_memory(name, err);
        }
        if (s == STEP_BROKEN) {
            return damaged(name, p->name, ret->size, err);
        }
        if (ret->size > INPUT_MAX) {
            return too_large(name, err);
        }
    }
}

static int
unpack(const struct packing *p, const char *name, struct input *in, struct bh_error *err)
{
    struct unpacker u = { (const uint8_t *)in->text, in->size, NULL, 0, NULL };
    struct input plain = { 0 };
    if (p->open == NULL) {
        return bh_error_set(err, BH_EFORMAT, name,
                            "compressed with %s, which this program was built without; unpack it "
                            "first",
                            "%1$s で圧縮されていますが、このプログラムは %1$s "
                            "なしで作られています。先に展開してください",
                            p->name);
    }
    if (!p->open(&u)) {
        return no_memory(name, err);
    }
    int r = run(p, &u, name, &plain, err);
    p->close(&u);
    input_done(in);
    *in = plain;
    return r;
}

int
input_read(const char *path, struct input *ret, struct bh_error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    const char *name = is_stdin ? "stdin" : path;
    *ret = (struct input){ 0 };
    int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return bh_error_errno(err, errno, name, "cannot open", "開けません");
    }
    bool is_mapped = false;
    int r = is_stdin ? 0 : map_file(fd, path, ret, &is_mapped, err);
    if (r == 0 && !is_mapped) {
        r = read_descriptor(fd, name, ret, err);
    }
    close(fd);
    for (size_t i = 0; r == 0 && i < BH_COUNT(packings); i++) {
        const struct packing *p = &packings[i];
        if (ret->size >= p->magic_size && memcmp(ret->text, p->magic, p->magic_size) == 0) {
            r = unpack(p, name, ret, err);
            break;
        }
    }
    if (r < 0) {
        input_done(ret);
    }
    return r;
}

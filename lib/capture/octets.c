/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * octets.c - a file's octets for readers of text: the same opening, unpacking and error texts as
 * captures have. What was opened to be looked at may still become either: nothing is consumed
 * before the first read.
 */
#include "capture_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Unpacked octets that tell a text from a capture. */
#define LOOK_SIZE 512U

struct bh_octets {
    struct cap_source source;
    bool is_begun; /* the unpacker is chosen */
    bool is_text;
    bool is_memory;
};

static struct bh_octets *
new_octets(struct bh_error *err, const char *name)
{
    struct bh_octets *o = calloc(1, sizeof *o);
    if (o == NULL) {
        bh_error_errno(err, ENOMEM, name, "the file cannot be read", "ファイルを読み込めません");
        return NULL;
    }
    o->source.fd = -1;
    return o;
}

int
bh_octets_open(const char *path, struct bh_octets **ret_octets, struct bh_error *err)
{
    struct bh_octets *o = new_octets(err, path);
    if (o == NULL) {
        return -ENOMEM;
    }
    int r = bh_cap_source_open(&o->source, path, err);
    r = r != 0 ? r : bh_cap_source_start(&o->source, false, true, err);
    if (r != 0) {
        bh_octets_close(o);
        return r;
    }
    uint8_t head[LOOK_SIZE];
    size_t size = bh_cap_source_look(&o->source, head, sizeof head);
    o->is_text = bh_cap_sniff_text(head, size);
    *ret_octets = o;
    return 0;
}

int
bh_octets_open_memory(const void *data, size_t size, struct bh_octets **ret_octets,
                      struct bh_error *err)
{
    struct bh_octets *o = new_octets(err, "memory");
    if (o == NULL) {
        return -ENOMEM;
    }
    bh_cap_source_memory(&o->source, data, size);
    o->source.input_end = true;
    o->is_memory = true;
    o->is_text = true;
    *ret_octets = o;
    return 0;
}

void
bh_octets_close(struct bh_octets *o)
{
    if (o != NULL) {
        bh_cap_source_done(&o->source);
        free(o);
    }
}

bool
bh_octets_is_text(const struct bh_octets *o)
{
    return o->is_text;
}

bool
bh_octets_is_regular(const struct bh_octets *o)
{
    return o->source.is_regular;
}

const char *
bh_octets_name(const struct bh_octets *o)
{
    return o->source.name;
}

bool
bh_octets_modified(const struct bh_octets *o, int64_t *ret_ns)
{
    struct stat st;
    if (o->source.fd < 0 || fstat(o->source.fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    *ret_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return true;
}

void
bh_octets_progress(const struct bh_octets *o, uint64_t *ret_total, uint64_t *ret_done)
{
    *ret_total = o->source.size;
    *ret_done = bh_cap_source_stored(&o->source);
}

static int
begin(struct bh_octets *o, struct bh_error *err)
{
    struct cap_source *s = &o->source;
    const struct cap_unpacker *u = o->is_memory ? NULL : bh_cap_sniff_packed(s->in, s->in_left);
    o->is_begun = true;
    return u == NULL ? 0 : bh_cap_source_unpack(s, u, err);
}

int
bh_octets_read(struct bh_octets *o, void *to, size_t size, size_t *ret_size, struct bh_error *err)
{
    struct cap_source *s = &o->source;
    size_t n = 0;
    int r = o->is_begun ? 0 : begin(o, err);
    if (r != 0) {
        return r;
    }
    while (n == 0 && !s->at_end && size > 0) {
        r = bh_cap_source_read(s, to, size, &n);
        if (r != 0) {
            return bh_error_errno(err, ENOMEM, s->name, "the file cannot be read",
                                  "ファイルを読み込めません");
        }
    }
    if (n == 0 && s->error.code != 0) {
        r = s->error.code;
        if (err != NULL) {
            *err = s->error;
        }
        s->error.code = 0; /* said once; then it is the end */
        return r;
    }
    *ret_size = n;
    return 0;
}

void
bh_cap_source_adopt(struct cap_source *s, struct bh_octets *o)
{
    *s = o->source;
    free(o);
}

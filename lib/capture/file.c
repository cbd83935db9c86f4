/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file.c - one file: what it is, the window that is walked, and how it ends.
 *
 * Files are read into storages: octets are appended while there is room, so that a slow pipe
 * hands out what it has; then the record that is not complete yet moves to the front of the
 * next storage, and reading goes on behind it. Frames never point across storages. The window
 * of memory, and of a plain file among many (source.c), is all of it.
 */
#include "capture_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* A storage with less room than this is full: tiny reads would cost more than the memory. */
#define ROOM_MIN ((size_t)32 << 10)
/* A map is checked this often: reading what was cut off a mapped file is a signal, SIGBUS. */
#define CHECK_EVERY ((size_t)64 << 20)
/* Records the estimate is made from. */
#define ESTIMATE_RECORDS 1000U
#define USUAL_RATIO 2.0

/* Do octets come through storages? */
static bool
is_fed(const struct cap_file *f)
{
    return f->source.is_read || f->source.unpacker != NULL;
}

static size_t
window_size(const struct cap_file *f)
{
    return (size_t)(f->end - f->at);
}

/* ---- the window ---------------------------------------------------------------------------- */

/* Make room behind what is left. A record larger than a storage doubles it, but only once it
 * is full: a length that is a lie takes no memory. */
static int
window_move(struct cap_file *f)
{
    struct cap_storage *old = f->storage;
    size_t left = window_size(f);
    size_t cap = CAP_STORAGE_SIZE;

    if (left + ROOM_MIN > cap) {
        cap = 2 * left < f->need + ROOM_MIN ? 2 * left : f->need + ROOM_MIN;
    }
    if (old != NULL && old->cap == cap && bh_cap_storage_is_sole(old)) {
        memmove(old->octets, f->at, left);
    } else {
        struct cap_storage *s = bh_cap_storage_take(f->pool, cap);
        if (s == NULL) {
            return -ENOMEM;
        }
        if (left > 0) {
            memcpy(s->octets, f->at, left);
        }
        f->storage = s;
        bh_cap_storage_give(old);
    }
    f->at = f->storage->octets;
    f->end = f->at + left;
    return 0;
}

static int
window_fill(struct cap_file *f)
{
    struct cap_storage *s = f->storage;
    size_t got;

    if (s == NULL || (size_t)(s->octets + s->cap - f->end) < ROOM_MIN) {
        int r = window_move(f);
        if (r != 0) {
            return r;
        }
        s = f->storage;
    }
    uint8_t *to = s->octets + (f->end - s->octets);
    size_t room = s->cap - (size_t)(to - s->octets);
    int r = bh_cap_source_read(&f->source, to, room, &got);
    if (r != 0) {
        return r;
    }
    f->end += got;
    f->end_offset += got;
    return 0;
}

int
bh_cap_file_ensure(struct cap_file *f, size_t size)
{
    f->need = size; /* how far the window may have to grow */
    while (window_size(f) < size && is_fed(f) && !f->source.at_end) {
        int r = window_fill(f);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static void
window_drop(struct cap_file *f)
{
    bh_cap_storage_give(f->storage);
    f->storage = NULL;
    f->at = f->end = NULL;
    f->end_offset = 0;
    f->need = 0;
}

/* ---- the beginning ------------------------------------------------------------------------- */

/* Those without a magic come last. */
static const struct cap_format *const formats[] = {
    &bh_cap_pcap,
    &bh_cap_pcapng,
    &bh_cap_erf,
};

static int
no_memory(struct cap_file *f, struct bh_error *err)
{
    return bh_error_errno(err, ENOMEM, f->source.name, "the file cannot be read",
                          "ファイルを読み込めません");
}

static int
header(struct cap_file *f, struct bh_error *err)
{
    if (bh_cap_file_ensure(f, CAP_HEAD_SIZE) != 0) {
        return no_memory(f, err);
    }
    for (size_t i = 0; i < BH_COUNT(formats) && window_size(f) > 0; i++) {
        int r = formats[i]->is(f);
        if (r > 0) {
            f->format = formats[i];
            r = f->format->begin(f, err);
            return r == -ENOMEM ? no_memory(f, err) : r;
        }
        if (r < 0) {
            return no_memory(f, err);
        }
    }
    size_t size = window_size(f);
    if (size == 0 && f->source.error.code != 0) {
        if (err != NULL) {
            *err = f->source.error;
        }
        return f->source.error.code;
    }
    return bh_cap_sniff_error(err, f->source.name, f->at, size, f->source.unpacker != NULL);
}

/* How many frames, if all were like the first ones. */
static uint64_t
estimate(const struct cap_file *f)
{
    const struct cap_source *s = &f->source;
    uint64_t octets;
    uint32_t n = f->format->count(f, ESTIMATE_RECORDS, &octets);
    double all = (double)window_size(f);

    if (s->size == 0 || n == 0 || octets == 0) {
        return 0;
    }
    if (s->unpacker == NULL) {
        all = (double)s->size - (double)cap_file_offset(f);
    } else if (!s->at_end) {
        /* A block of lz4 has up to 4 MiB, all of which was taken for the little we looked at:
         * then the ratio says nothing, and captures pack to a half. */
        double stored = (double)bh_cap_source_stored(s);
        all = (double)s->size * (all < stored / 2 ? USUAL_RATIO : all / stored);
    }
    return (uint64_t)((double)n * all / (double)octets);
}

int
bh_cap_file_begin(struct cap_file *f, struct bh_error *err)
{
    struct cap_source *s = &f->source;
    const struct cap_unpacker *u = bh_cap_sniff_packed(s->in, s->in_left);
    int r;

    if (u != NULL) {
        r = bh_cap_source_unpack(s, u, err);
        if (r != 0) {
            return r;
        }
    } else if (!s->is_read) {
        f->at = s->map;
        f->end = s->map + s->map_size;
        f->end_offset = s->map_size;
    }
    r = header(f, err);
    if (r != 0) {
        return r;
    }
    f->expected_frames = estimate(f);
    return 0;
}

bool
bh_cap_file_is_cut(const struct cap_file *f, int code)
{
    return code == BH_EDAMAGED || (code == BH_EFORMAT && window_size(f) == 0);
}

int
bh_cap_file_give_up(struct bh_capture *c, struct cap_file *f, const struct bh_error *error)
{
    f->is_finished = true;
    window_drop(f);
    bh_cap_source_unpack_end(&f->source);
    return bh_cap_note(c, f, true, error);
}

void
bh_cap_file_park(struct cap_file *f)
{
    if (f->source.unpacker == NULL || f->is_finished || !bh_cap_source_can_restart(&f->source)) {
        return;
    }
    window_drop(f);
    bh_cap_source_unpack_end(&f->source);
    f->damage.code = 0;
    f->has_head = false;
    f->is_parked = true;
}

static int
unpark(struct cap_file *f)
{
    f->is_parked = false;
    int r = bh_cap_source_unpack(&f->source, f->source.unpacker, &f->damage);
    /* It was good before; when somebody wrote into it meanwhile, f->damage says so. */
    return r == 0 ? header(f, &f->damage) : r;
}

/* ---- the end ------------------------------------------------------------------------------- */

static int
unknown_block_note(struct bh_capture *c, struct cap_file *f)
{
    struct bh_error e;
    bh_error_set(&e, BH_EUNKNOWN, f->source.name,
                 "blocks of a kind we do not know (%#" PRIx32 ") were passed over",
                 "知らない種類のブロック (%#" PRIx32 ") を読み飛ばしました", f->ng.unknown_type);
    e.offset = f->ng.unknown_offset;
    e.has_offset = true;
    return bh_cap_note(c, f, false, &e);
}

static int
new_version_note(struct bh_capture *c, struct cap_file *f)
{
    struct bh_error e;
    bh_error_set(&e, BH_EVERSION, f->source.name,
                 "this is version 2.%u of the pcap format, which we do not know; it was read like"
                 " version 2.4",
                 "pcap 形式のバージョン 2.%u は知らないバージョンです。2.4 として読みました",
                 (unsigned)f->pcap.minor_new);
    return bh_cap_note(c, f, false, &e);
}

static void
set_cut(struct cap_file *f)
{
    bh_error_set(&f->damage, BH_EDAMAGED, f->source.name,
                 "the file ends inside a packet: %zu of its %zu bytes are there (was it cut, or"
                 " is it still being written?)",
                 "パケットの途中で終わっています (%2$zu バイト中 %1$zu バイト)。切れているか、"
                 "まだ書き込み中かもしれません",
                 window_size(f), f->need);
}

static void
add_unpacked_remark(struct bh_error *e)
{
    static const char *const remark[BH_LANGS] = { " (counted in the unpacked data)",
                                                  " (位置は展開後のデータで数えたもの)" };
    for (int lang = 0; lang < BH_LANGS; lang++) {
        size_t n = strlen(e->text[lang]);
        snprintf(e->text[lang] + n, sizeof e->text[lang] - n, "%s", remark[lang]);
    }
}

static int
finish(struct bh_capture *c, struct cap_file *f)
{
    int r = 0;

    f->is_finished = true;
    if (f->ng.unknown_seen) {
        r = unknown_block_note(c, f);
    }
    if (r == 0 && f->pcap.minor_new != 0) {
        r = new_version_note(c, f);
    }
    if (f->damage.code == 0 && f->source.error.code != 0) {
        f->damage = f->source.error;
    } else {
        if (f->damage.code == 0 && window_size(f) > 0) {
            set_cut(f);
        }
        f->damage.offset = cap_file_offset(f);
        f->damage.has_offset = true;
        if (f->source.unpacker != NULL) {
            add_unpacked_remark(&f->damage);
        }
    }
    if (r == 0 && f->damage.code != 0) {
        r = bh_cap_note(c, f, true, &f->damage);
    }
    window_drop(f);
    bh_cap_source_unpack_end(&f->source);
    free(f->ahead);
    f->ahead = NULL;
    return r;
}

/* ---- reading ------------------------------------------------------------------------------- */

/* When the file shrank, its octets end where it ends now. */
static void
check_size(struct cap_file *f)
{
    const struct cap_source *s = &f->source;
    size_t at = (size_t)(f->at - s->map);

    if (at < f->size_checked) {
        return;
    }
    f->size_checked = at + CHECK_EVERY;
    size_t size = bh_cap_source_size_now(s);
    if (size >= (size_t)(f->end - s->map)) {
        return;
    }
    f->end = size < at ? f->at : s->map + size;
    f->end_offset = (uint64_t)(f->end - s->map);
    bh_error_set(&f->source.error, BH_EDAMAGED, s->name,
                 "the file became shorter while it was read",
                 "読み込み中にファイルが短くなりました");
    f->source.error.offset = size;
    f->source.error.has_offset = true;
}

int
bh_cap_file_read(struct bh_capture *c, struct cap_file *f, struct bh_frame *out, uint32_t max,
                 uint32_t *ret_count)
{
    if (f->is_parked && unpark(f) == -ENOMEM) {
        return -ENOMEM;
    }
    while (!f->is_finished) {
        bool fed = is_fed(f);
        if (!fed) {
            check_size(f);
        }
        uint32_t n = f->damage.code != 0 ? 0 : f->walk(f, out, max);
        if (n > 0) {
            *ret_count = n;
            return 0;
        }
        if (f->no_memory) {
            return -ENOMEM;
        }
        bool is_over = f->damage.code != 0 || !fed || f->source.at_end;
        int r = is_over ? finish(c, f) : window_fill(f);
        if (r != 0) {
            return r;
        }
    }
    *ret_count = 0;
    return 0;
}

void
bh_cap_file_done(struct cap_file *f)
{
    window_drop(f);
    bh_cap_source_done(&f->source);
    free(f->ahead);
    free(f->ng.interface);
    f->ahead = NULL;
    f->ng.interface = NULL;
}

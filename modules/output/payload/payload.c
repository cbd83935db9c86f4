/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * payload: whole frames of what the instance's filter selects, as pcapng.
 *
 * The only module that sees payload, and only when an administrator asks for it: files are 0600, and
 * bounded in every way: octets of a frame, of a file, of all files; frames and octets a second.
 *
 * Rate limits are buckets of one second that fill with packet time, so the same packets always give the same
 * file. A frame beyond them is not written, but counted.
 */
#include "payload_priv.h"

#include <stdlib.h>

#include "files.h"

#define OUT_WRITE (256U << 10)
#define OUT_MAX (8U << 20)
#define INTERFACES_MAX 64U
#define SNAP_MAX 262144U

struct bucket {
    uint64_t per_second; /* 0: no limit */
    uint64_t left;       /* now; in units times 2^30, so that small rates fill evenly */
};

struct payload {
    struct bh_output *o;
    struct bh_series *series;
    struct bh_buf out;
    uint32_t snap;
    struct bucket frames, octets;
    int64_t bucket_ns, now_ns,
        file_ns; /* packet time: of the buckets, the newest, the file's first */
    bool any_frame;
    const struct bh_output_run *run;
    uint64_t next;           /* batch to come, or at hand */
    uint32_t row;            /* of it: rows below are done */
    struct pcapng_mark left; /* the last mark of the file that was there at open */
    struct pcapng_interface interface[INTERFACES_MAX];
    uint32_t interface_count; /* described in this file */
    bool has_head, is_marked; /* the file's section stands; nothing came after the last mark */
};

static void
say(struct payload *m, enum bh_say level, const struct bh_error *err)
{
    bh_output_say(m->o, level, err);
}

/* ---- limits ------------------------------------------------------------------------------------------- */

#define UNIT (1ULL << 30)

static void
fill(struct bucket *b, int64_t ns)
{
    const uint64_t most = b->per_second * UNIT;
    if (ns >= 1000000000) {
        b->left = most;
    } else if (ns > 0) {
        const bh_u128 more = (bh_u128)most * (uint64_t)ns / 1000000000U;
        b->left = b->left + more > most ? most : b->left + (uint64_t)more;
    }
}

static bool
has(const struct bucket *b, uint64_t n)
{
    return b->per_second == 0 || b->left >= n * UNIT;
}

static void
spend(struct bucket *b, uint64_t n)
{
    b->left -= b->per_second == 0 ? 0 : n * UNIT;
}

/* May it be written? */
static bool
is_allowed(struct payload *m, int64_t ts, uint32_t len)
{
    if (ts > m->bucket_ns ||
        ts < m->bucket_ns - 1000000000) { /* a clock that was set back starts anew */
        fill(&m->frames, ts > m->bucket_ns ? ts - m->bucket_ns : 0);
        fill(&m->octets, ts > m->bucket_ns ? ts - m->bucket_ns : 0);
        m->bucket_ns = ts;
    }
    /* More than a second's worth in one frame can never be had: a full bucket lets it pass. */
    const uint64_t octets =
        m->octets.per_second != 0 && len > m->octets.per_second ? m->octets.per_second : len;
    if (!has(&m->frames, 1) || !has(&m->octets, octets)) {
        return false;
    }
    spend(&m->frames, 1);
    spend(&m->octets, octets);
    return true;
}

/* ---- the file ------------------------------------------------------------------------------------------- */

static void
name_of(const struct payload *m, uint16_t interface, char *to, size_t size)
{
    const char *p = m->run != NULL && m->run->source != NULL ? m->run->source : "";
    for (; interface > 0 && p != NULL; interface--) {
        p = strchr(p, ',');
        p = p != NULL ? p + 1 : NULL;
    }
    const size_t n = p != NULL ? strcspn(p, ",") : 0;
    snprintf(to, size, "%.*s", (int)(n < size ? n : size - 1), p != NULL ? p : "");
    bh_text_trim(to);
}

/* The number of the frame's interface in this file; described when it is new. */
static bool
interface_of(struct payload *m, const struct bh_output_frame *f, uint32_t *ret_index)
{
    for (uint32_t k = 0; k < m->interface_count; k++) {
        if (m->interface[k].link_type == f->link_type &&
            m->interface[k].interface == f->interface) {
            *ret_index = k;
            return true;
        }
    }
    if (m->interface_count == INTERFACES_MAX) {
        return false;
    }
    struct pcapng_interface *i = &m->interface[m->interface_count];
    *i = (struct pcapng_interface){ .link_type = f->link_type, .interface = f->interface };
    name_of(m, f->interface, i->name, sizeof i->name);
    pcapng_description(&m->out, i, m->snap,
                       m->run != NULL && m->run->filter != NULL ? m->run->filter : "");
    *ret_index = m->interface_count++;
    return true;
}

static void
add_statistics(struct payload *m)
{
    const struct bh_output_health *h = bh_output_health(m->o);
    const struct pcapng_statistics s = {
        .start_ns = m->file_ns,
        .now_ns = m->now_ns,
        .received = h->frames,
        .dropped_kernel = h->lost[BH_GAP_KERNEL],
        .dropped_os = h->lost[BH_GAP_QUEUE] + h->lost[BH_GAP_DEAD],
    };
    const struct pcapng_mark mark = { m->run != NULL ? m->run->start_ns : 0, m->next, m->row };
    for (uint32_t k = 0; k < m->interface_count; k++) { /* the last is the mark: then all stand */
        pcapng_interface_statistics(&m->out, k, &m->interface[k], &s,
                                    k + 1 == m->interface_count ? &mark : NULL);
    }
    m->is_marked = true;
}

static int
write_out(struct payload *m)
{
    struct bh_error err = { 0 };
    if (m->out.failed) {
        bh_buf_done(&m->out);
        bh_error_errno(&err, ENOMEM, bh_output_instance(m->o), "frames were lost",
                       "フレームが失われました");
        say(m, BH_SAY_ERROR, &err);
        return 0;
    }
    const int r =
        m->out.len == 0 ? 0 : bh_series_write(m->series, m->file_ns, m->out.data, m->out.len, &err);
    if (r != 0) {
        say(m, BH_SAY_ERROR, &err);
        return BH_EAGAIN;
    }
    m->out.len = 0;
    return 0;
}

/* Ends with its statistics; the next frame begins another. */
static int
finish(struct payload *m)
{
    struct bh_error err = { 0 };
    if (m->has_head && !m->is_marked) {
        add_statistics(m);
    }
    if (write_out(m) != 0) {
        return BH_EAGAIN;
    }
    if (bh_series_finish(m->series, &err) != 0) {
        say(m, BH_SAY_ERROR, &err);
        return BH_EAGAIN;
    }
    m->has_head = false;
    m->interface_count = 0;
    return 0;
}

static void
add_frame(struct payload *m, int64_t ts, const struct bh_output_frame *f, unsigned direction)
{
    uint32_t index;
    const bool begins = !m->has_head;
    if (begins) {
        pcapng_section(&m->out, m->run != NULL && m->run->sensor != NULL ? m->run->sensor : "");
        m->has_head = true;
        m->file_ns = ts;
    }
    m->is_marked = false;
    const uint32_t len = f->cap_len < m->snap ? f->cap_len : m->snap;
    if (!interface_of(m, f, &index)) {
        bh_output_count(m->o, "frames_without_interface", 1);
        return;
    }
    if (begins) {
        add_statistics(m); /* whose file this is, and what was written before it */
        m->is_marked = false;
    }
    m->interface[index].selected++;
    if (!is_allowed(m, ts, len)) {
        bh_output_count(m->o, "frames_over_rate", 1);
        return;
    }
    pcapng_frame(&m->out, index, ts, f, m->snap, direction);
    m->interface[index].written++;
    bh_output_count(m->o, "frames", 1);
    bh_output_count(m->o, "octets", len);
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static int
payload_open(struct bh_output *o)
{
    struct bh_error err = { 0 };
    struct payload *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return -ENOMEM;
    }
    bh_output_set_state(o, m);
    m->o = o;
    m->snap = (uint32_t)bh_output_uint(o, "snap");
    m->snap = m->snap == 0 ? SNAP_MAX : m->snap;
    m->frames.per_second = bh_output_uint(o, "frame-rate");
    m->octets.per_second = bh_output_uint(o, "rate");
    m->frames.left = m->frames.per_second * UNIT;
    m->octets.left = m->octets.per_second * UNIT;
    struct bh_series_config cfg = files_config(o);
    cfg.mode = 0600;
    cfg.mend = pcapng_mend;
    cfg.arg = &m->left;
    static const char *const counters[] = { "frames", "octets", "frames_over_rate",
                                            "frames_without_interface" };
    for (size_t k = 0; k < BH_COUNT(counters); k++) {
        bh_output_count(o, counters[k], 0); /* also those that stay 0 have a name */
    }
    const int r = bh_series_open(&cfg, &m->series, &err);
    if (r != 0) {
        say(m, BH_SAY_ERROR, &err);
    }
    return r;
}

/* A file is of one run: its interfaces and its filter mean the same from beginning to end. */
static int
payload_run(struct bh_output *o, const struct bh_output_run *run)
{
    struct payload *m = bh_output_state(o);
    const int r = m->has_head ? finish(m) : 0;
    if (r == 0) {
        const bool goes_on = run->start_ns == m->left.run_ns;
        m->run = run;
        m->next = goes_on ? m->left.number : 0;
        m->row = goes_on ? m->left.row : 0;
        m->left = (struct pcapng_mark){ 0 };
    }
    return r;
}

static int
payload_write(struct bh_output *o, const struct bh_output_batch *batch)
{
    struct payload *m = bh_output_state(o);
    if (batch->number < m->next) {
        return 0; /* once more: we have it */
    }
    if (m->out.len >= OUT_WRITE && write_out(m) != 0 && m->out.len >= OUT_MAX) {
        return BH_EAGAIN;
    }
    if (batch->number > m->next) {
        m->next = batch->number;
        m->row = 0;
    }
    for (uint32_t i = m->row; batch->frames != NULL && i < batch->rows; i++) {
        const struct bh_output_frame *f = &batch->frames[i];
        if (f->data == NULL) {
            continue;
        }
        m->row = i;
        const int64_t ts = batch->records->ts_ns[i];
        /* Files change between frames, so that none is larger than it may be by more than its statistics. */
        if (m->has_head && bh_series_is_due(m->series, ts, m->out.len + f->cap_len + 64) &&
            write_out(m) == 0) {
            bh_ignore(finish(
                m)); /* a full disk: it goes on in this file, and the next frame tries again */
        }
        m->now_ns = ts > m->now_ns || !m->any_frame ? ts : m->now_ns;
        m->any_frame = true;
        add_frame(m, ts, f, batch->records->direction[i]);
        if (!bh_series_is_begun(m->series)) {
            bh_ignore(write_out(m)); /* now it has an age and a size; what fails stays in `out` */
        }
    }
    m->next = batch->number + 1;
    m->row = 0;
    return 0;
}

static int
payload_flush(struct bh_output *o, uint64_t *ret_number)
{
    struct payload *m = bh_output_state(o);
    struct bh_error err = { 0 };
    if (m->has_head && !m->is_marked) {
        add_statistics(m);
    }
    int r = write_out(m);
    if (r == 0 && bh_series_sync(m->series, &err) != 0) {
        say(m, BH_SAY_ERROR, &err);
        r = BH_EAGAIN;
    }
    *ret_number = m->next;
    return r;
}

static void
payload_close(struct bh_output *o)
{
    struct payload *m = bh_output_state(o);
    if (m == NULL) {
        return;
    }
    if (m->series != NULL) {
        bh_ignore(finish(m)); /* said already */
        bh_series_close(m->series);
    }
    bh_buf_done(&m->out);
    free(m);
}

/* ---- table --------------------------------------------------------------------------------------------- */

static const struct bh_setting settings[] = {
    { .name = "path",
      .type = BH_SETTING_FILE_OUT,
      .unit = "",
      .required = true,
      .text = { "the pcapng file to write; finished ones get a time into their names",
                "書き込む pcapng ファイル。書き終えたものは名前に時刻が付く" } },
    { .name = "snap",
      .type = BH_SETTING_UINT,
      .unit = "octets",
      .default_text = "0",
      .most = SNAP_MAX,
      .text = { "keep so many octets of a frame; 0: all", "1 フレームから残す長さ。0: 全部" } },
    FILES_SETTINGS("64M", "1h", "1G"),
    { .name = "rate",
      .type = BH_SETTING_SIZE,
      .unit = "octets",
      .default_text = "0",
      .most = 1ULL << 33,
      .text = { "write at most so many octets of frames a second; 0: no limit",
                "1 秒に書き込むフレームの最大オクテット数。0: 無制限" } },
    { .name = "frame-rate",
      .type = BH_SETTING_UINT,
      .unit = "frames",
      .default_text = "0",
      .most = 1ULL << 33,
      .text = { "write at most so many frames a second; 0: no limit",
                "1 秒に書き込む最大フレーム数。0: 無制限" } },
};

extern const struct bh_output_module bh_output_module_payload;
const struct bh_output_module bh_output_module_payload = {
    .abi_major = BH_OUTPUT_ABI,
    .size = sizeof(struct bh_output_module),
    .name = "payload",
    .summary = { "whole frames of what its filter selects, as pcapng",
                 "フィルターに合うフレームを丸ごと pcapng に" },
    .settings = settings,
    .setting_count = BH_COUNT(settings),
    .when = BH_OUTPUT_AT_ONCE,
    .needs = BH_OUTPUT_NEEDS_FRAMES,
    .open = payload_open,
    .run = payload_run,
    .write = payload_write,
    .flush = payload_flush,
    .close = payload_close,
};

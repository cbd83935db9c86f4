/* SPDX-License-Identifier: BSD-2-Clause */
/* cciplog - the packets of a capture, one line each, with the countries of their addresses. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "bh_capture.h"
#include "bh_filter.h"
#include "bh_packet.h"
#include "bh_track.h"
#include "bh_zone.h"
#include "cciplog_command.h"
#include "line.h"

enum { DONE = 0, FAILED = 1, USAGE = 2 };

struct program {
    struct bh_args *args;
    enum bh_lang lang;
    const char **files;
    size_t file_count;
    const char *const *words;
    size_t word_count;
    kobold *countries;
    struct bh_filter *filter;
    struct bh_home home;
    bool has_home;
    struct bh_track *track;
    struct bh_capture *capture;
    struct bh_frames *frames;
    struct bh_batch *batch;
    struct lines *lines;
};

static int
complain(const struct program *p, int status, const struct bh_error *e)
{
    char line[1024];
    fprintf(stderr, "cciplog: %s\n", bh_error_line(e, p->lang, line, sizeof line));
    return status;
}

static int
complain_text(const struct program *p, int status, const char *en, const char *ja)
{
    fprintf(stderr, "cciplog: %s\n", p->lang == BH_JA ? ja : en);
    return status;
}

static int
complain_memory(const struct program *p)
{
    return complain_text(p, FAILED, "out of memory", "メモリーが足りません");
}

/* ---- the command line --------------------------------------------------------------------------- */

static int
end_stdout(const struct program *p)
{
    struct bh_error err;
    int r = bh_stdout_flush(&err);
    return r == 0 ? DONE : r == -EPIPE ? FAILED : complain(p, FAILED, &err);
}

/* -1: go on. */
static int
take_options(struct program *p, int argc, char **argv)
{
    struct bh_error err;
    p->lang = bh_lang_of_args(argc, argv);
    if (bh_args_parse(&cciplog_command, argc, argv, &p->args, &err) < 0) {
        return complain(p, USAGE, &err);
    }
    if (bh_arg_given(p->args, "help")) {
        bh_command_help(&cciplog_command, p->lang, stdout);
        return end_stdout(p);
    }
    if (bh_arg_given(p->args, "version")) {
        printf("cciplog %s\n", BH_VERSION);
        return end_stdout(p);
    }
    return -1;
}

static int
take_files(struct program *p)
{
    const char *const *read;
    char *const *operands;
    size_t read_count = bh_arg_all(p->args, "read", &read);
    size_t count = bh_arg_operands(p->args, &operands);
    size_t files = bh_operand_files(operands, count, read_count > 0);
    p->files = calloc(read_count + count + 1, sizeof *p->files);
    if (p->files == NULL) {
        return complain_memory(p);
    }
    for (size_t i = 0; i < read_count; i++) {
        p->files[p->file_count++] = read[i];
    }
    for (size_t i = 0; i < files; i++) {
        p->files[p->file_count++] = operands[i];
    }
    if (p->file_count == 0) {
        return complain_text(
            p, USAGE, "give a capture file, or - for standard input; try cciplog --help",
            "キャプチャファイルを指定してください (- は標準入力)。cciplog --help を"
            "ご覧ください");
    }
    p->words = (const char *const *)operands + files;
    p->word_count = count - files;
    return -1;
}

static int
open_countries(struct program *p)
{
    char buf[4096];
    const char *path = bh_arg(p->args, "country-db");
    if (path == NULL) {
        path = kobold_default_path(buf, sizeof buf);
    }
    int r = kobold_open(path, &p->countries);
    if (r < 0) {
        struct bh_error err;
        bh_error_set(&err, r, path, "%s%.0s", "%.0s%s", kobold_strerror(r, BH_EN),
                     kobold_strerror(r, BH_JA));
        return complain(p, FAILED, &err);
    }
    return -1;
}

static int
take_filter(struct program *p)
{
    struct bh_error err;
    if (bh_filter_parse(p->words, p->word_count, p->countries, &p->filter, &err) < 0) {
        return complain(p, USAGE, &err);
    }
    uint32_t needs = p->filter != NULL ? bh_filter_needs(p->filter) : 0;
    if ((needs & BH_FILTER_NEEDS_OUTCOME) != 0) {
        return complain_text(
            p, USAGE, "outcome is decided up to 30 s after the packet; beholder report knows it",
            "outcome はパケットの最大 30 秒後に決まります。beholder report を使ってください");
    }
    if ((needs & (BH_FILTER_NEEDS_CLASS | BH_FILTER_NEEDS_DIRECTION)) != 0 && !p->has_home) {
        return complain_text(p, USAGE, "in, out, local, access and ping need --home ADDRESS[/LEN]",
                             "in、out、local、access、ping には --home アドレス[/長さ] が必要です");
    }
    return -1;
}

static int
take_home(struct program *p)
{
    struct bh_error err;
    const char *text = bh_arg(p->args, "home");
    if (text == NULL) {
        return -1;
    }
    if (bh_home_parse(text, &p->home, &err) < 0) {
        return complain(p, USAGE, &err);
    }
    p->has_home = true;
    struct bh_track_config cfg = { .home = &p->home, .key = bh_random_key() };
    return bh_track_new(&cfg, &p->track) < 0 ? complain_memory(p) : -1;
}

static int
take_zone(struct program *p)
{
    struct bh_error err;
    return bh_zone_set(bh_arg(p->args, "tz"), &err) < 0 ? complain(p, USAGE, &err) : -1;
}

static int
open_all(struct program *p)
{
    struct bh_error err;
    const char *form = bh_arg_given(p->args, "json") ? "json" : bh_arg(p->args, "output");
    p->frames = bh_frames_new();
    p->batch = bh_batch_new();
    p->lines = lines_new(STDOUT_FILENO,
                         strcmp(form, "json") == 0  ? LINE_JSON
                         : strcmp(form, "csv") == 0 ? LINE_CSV
                                                    : LINE_TEXT,
                         p->lang, p->has_home, p->countries);
    if (p->frames == NULL || p->batch == NULL || p->lines == NULL) {
        return complain_memory(p);
    }
    if (bh_capture_open(p->files, p->file_count, &p->capture, &err) < 0) {
        return complain(p, err.code == BH_EUSAGE ? USAGE : FAILED, &err);
    }
    return -1;
}

/* ---- reading and writing --------------------------------------------------------------------------- */

static void
judge(struct program *p)
{
    const struct bh_move *moves;
    if (p->track != NULL) {
        memset(p->batch->country, 0, sizeof p->batch->country);
        memset(p->batch->counted, 0, sizeof p->batch->counted);
        bh_track_classify(p->track, p->batch);
        bh_track_flows(p->track, p->batch, &moves); /* for the classes; outcomes are not shown */
    }
}

/* Whoever types at a terminal, or pipes packets in as they come, wants lines as they come. */
static bool
is_live(const struct program *p)
{
    for (size_t i = 0; i < p->file_count; i++) {
        if (strcmp(p->files[i], "-") == 0) {
            return true;
        }
    }
    return isatty(STDOUT_FILENO) == 1;
}

/* 0, or what writing said; reading failed when *ret_memory. */
static int
copy_all(struct program *p, bool *ret_memory)
{
    static uint8_t selected[BH_BATCH_STRIDE];
    struct bh_decoder decoder = { 0 };
    bool live = is_live(p);
    int r = 0;
    if (p->filter != NULL && (bh_filter_needs(p->filter) & BH_FILTER_NEEDS_COLD) != 0) {
        decoder.want = BH_WANT_COLD;
    }
    while (r == 0) {
        int more = bh_capture_read(p->capture, p->frames);
        *ret_memory = more < 0;
        if (more <= 0) {
            break;
        }
        for (uint32_t at = 0; r == 0 && at < p->frames->count;) {
            bh_batch_reset(p->batch);
            p->batch->want = decoder.want;
            bh_packet_decode(&decoder, p->frames, &at, p->batch);
            judge(p);
            if (p->filter != NULL) {
                bh_filter_batch(p->filter, p->batch, selected);
            }
            r = lines_put(p->lines, p->batch, p->filter != NULL ? selected : NULL);
        }
        r = r == 0 && live ? lines_flush(p->lines) : r;
    }
    int flushed = lines_flush(p->lines);
    return r != 0 ? r : flushed;
}

static int
tell_notes(const struct program *p)
{
    const struct bh_capture_note *notes;
    size_t n = bh_capture_notes(p->capture, &notes);
    int status = DONE;
    for (size_t i = 0; i < n; i++) {
        complain(p, DONE, &notes[i].error);
        status = notes[i].damaged ? FAILED : status;
    }
    return status;
}

static int
run(struct program *p)
{
    bool no_memory = false;
    int r = copy_all(p, &no_memory);
    if (r < 0) {
        struct bh_error err;
        /* A reader that has seen enough needs no message. */
        if (r != -EPIPE) {
            bh_error_errno(&err, -r, "stdout", "cannot write the output", "出力できません");
            complain(p, FAILED, &err);
        }
        return FAILED;
    }
    int status = tell_notes(p);
    return no_memory ? complain_memory(p) : status;
}

static void
done(struct program *p)
{
    lines_free(p->lines);
    bh_batch_free(p->batch);
    bh_frames_free(p->frames);
    bh_capture_close(p->capture);
    bh_track_free(p->track);
    bh_home_done(&p->home);
    bh_filter_free(p->filter);
    kobold_close(p->countries);
    free(p->files);
    bh_args_free(p->args);
}

int
main(int argc, char **argv)
{
    struct program p = { 0 };
    bh_standard_files();
    signal(SIGPIPE, SIG_IGN); /* write() says it */
    int status = take_options(&p, argc, argv);
    status = status < 0 ? take_files(&p) : status;
    status = status < 0 ? take_zone(&p) : status;
    status = status < 0 ? take_home(&p) : status;
    status = status < 0 ? open_countries(&p) : status;
    status = status < 0 ? take_filter(&p) : status;
    status = status < 0 ? open_all(&p) : status;
    status = status < 0 ? run(&p) : status;
    done(&p);
    return status;
}

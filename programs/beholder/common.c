/* SPDX-License-Identifier: BSD-2-Clause */
/* What verbs that read files have in common: operands, notes, the bar. */
#include "beholder.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int
program_operands(const struct bh_args *a, const char *command, struct operands *ret,
                 struct bh_error *err)
{
    char *const *all;
    const char *const *named;
    size_t n = bh_arg_operands(a, &all), r = bh_arg_all(a, "read", &named);
    size_t files = bh_operand_files(all, n, r > 0);
    ret->files = calloc(n + r + 1, sizeof *ret->files);
    if (ret->files == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    for (size_t k = 0; k < r; k++) {
        ret->files[ret->file_count++] = named[k];
    }
    for (size_t k = 0; k < files; k++) {
        ret->files[ret->file_count++] = all[k];
    }
    ret->words = (const char *const *)(all + files);
    ret->word_count = n - files;
    if (ret->file_count == 0) {
        return bh_error_set(
            err, BH_EUSAGE, command, "give a capture file, or - for standard input; try %s --help",
            "キャプチャファイルを指定してください (- は標準入力)。%s --help をご覧ください",
            command);
    }
    return 0;
}

/* Damage and the like: on stderr too, as the output may go to a file. */
int
program_notes(const struct bh_capture_note *notes, size_t count, enum bh_lang lang, bool quiet)
{
    int code = 0;
    char line[1200];
    for (size_t i = 0; i < count; i++) {
        if (notes[i].damaged) {
            code = 1;
        }
        if (notes[i].damaged || (!quiet && notes[i].error.code != 0)) {
            fprintf(stderr, "beholder: %s\n",
                    bh_error_line(&notes[i].error, lang, line, sizeof line));
        }
    }
    return code;
}

/* ---- how much to keep ---------------------------------------------------------------------------- */

/* "400d", "56w", "12h"; "500M", "20G": a number and the letter of its unit. */
static int
parse_amount(const char *option, const char *text, const char *letters, const uint64_t *units,
             uint64_t *ret, struct bh_error *err)
{
    char where[64], *end = NULL;
    snprintf(where, sizeof where, "--%s %.32s", option, text);
    errno = 0;
    const unsigned long long n = strtoull(text, &end, 10);
    const char *letter = end[0] != '\0' ? strchr(letters, end[0]) : NULL;
    if (text[0] < '0' || text[0] > '9' || errno != 0 || letter == NULL || end[1] != '\0' ||
        n == 0 || n > UINT64_MAX / units[letter - letters]) {
        return bh_error_set(err, BH_EUSAGE, where, "give a number with one of the units %s",
                            "数に単位 (%s のどれか) を付けて指定してください", letters);
    }
    *ret = n * units[letter - letters];
    return 0;
}

int
program_keep(const struct bh_args *a, uint64_t *ret_ns, uint64_t *ret_bytes, struct bh_error *err)
{
    static const uint64_t spans[] = { 3600000000000ULL, 86400000000000ULL, 604800000000000ULL };
    static const uint64_t sizes[] = { 1ULL << 10, 1ULL << 20, 1ULL << 30, 1ULL << 40 };
    const char *keep = bh_arg(a, "keep"), *size = bh_arg(a, "keep-size");
    int r = keep == NULL ? 0 : parse_amount("keep", keep, "hdw", spans, ret_ns, err);
    return r != 0 || size == NULL ? r
                                  : parse_amount("keep-size", size, "KMGT", sizes, ret_bytes, err);
}

/* ---- Ctrl-C ------------------------------------------------------------------------------------- */

volatile sig_atomic_t program_stopped;

static void
stop(int signal)
{
    program_stopped = signal;
}

void
program_catch_stop(void)
{
    /* The second one ends the program at once: a read from a pipe may wait for ever. */
    struct sigaction a = { .sa_handler = stop, .sa_flags = (int)SA_RESETHAND };
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

/* ---- the bar ---------------------------------------------------------------------------------- */

bool
bar_begin(struct bar *bar, bool quiet)
{
    *bar = (struct bar){ 0 };
    clock_gettime(CLOCK_MONOTONIC, &bar->start);
    bar->is_wanted = !quiet && isatty(STDERR_FILENO) == 1;
    return bar->is_wanted;
}

static double
since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) * 1e-9;
}

/* On a terminal, and only when it takes longer than half a second. */
void
bar_draw(void *arg, uint64_t done, uint64_t total)
{
    struct bar *bar = arg;
    if (total == 0 || since(&bar->start) < 0.5) {
        return;
    }
    char cells[31];
    unsigned full = (unsigned)(done * 30 / total);
    full = full > 30 ? 30 : full;
    memset(cells, '.', 30);
    memset(cells, '#', full);
    cells[30] = '\0';
    fprintf(stderr, "\r[%s] %3u %%", cells, (unsigned)(done * 100 / total));
    bar->drawn = true;
}

void
bar_end(struct bar *bar)
{
    if (bar->drawn) {
        fputs("\r\033[K", stderr);
    }
}

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

/* ---- the bar ---------------------------------------------------------------------------------- */

bool
bar_begin(struct bar *bar, bool quiet)
{
    *bar = (struct bar){ 0 };
    clock_gettime(CLOCK_MONOTONIC, &bar->start);
    return !quiet && isatty(STDERR_FILENO) == 1;
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

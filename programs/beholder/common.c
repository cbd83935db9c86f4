/* SPDX-License-Identifier: BSD-2-Clause */
/* What verbs that read files have in common: operands, notes, the bar. */
#include "beholder.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bh_filter.h"
#include "bh_store.h"

static int
take_operands(const struct bh_args *a, size_t files, struct operands *ret, struct bh_error *err)
{
    char *const *all;
    const char *const *named;
    size_t n = bh_arg_operands(a, &all), r = bh_arg_all(a, "read", &named);
    ret->files = calloc(n + r + 2, sizeof *ret->files);
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
    return 0;
}

int
program_operands(const struct bh_args *a, const char *command, struct operands *ret,
                 struct bh_error *err)
{
    char *const *all;
    const char *const *named;
    size_t n = bh_arg_operands(a, &all), r = bh_arg_all(a, "read", &named);
    if (take_operands(a, bh_operand_files(all, n, r > 0), ret, err) != 0) {
        return err->code;
    }
    if (ret->file_count == 0) {
        return bh_error_set(
            err, BH_EUSAGE, command, "give a capture file, or - for standard input; try %s --help",
            "キャプチャファイルを指定してください (- は標準入力)。%s --help をご覧ください",
            command);
    }
    return 0;
}

/* Is there something to read? Else: what to do about it. */
static int
check_log(const char *dir, const char *command, struct bh_error *err)
{
    struct bh_store_paths p = { 0 };
    struct stat st;
    int r = bh_store_find_logs(dir, &p) != 0 ? ENOMEM : 0;
    const bool found = p.count > 0;
    bh_store_paths_done(&p);
    if (r == 0 && found) {
        return 0;
    }
    if (r == 0 && stat(dir, &st) == 0 && access(dir, R_OK | X_OK) != 0) {
        r = errno;
    } else if (r == 0 && stat(dir, &st) != 0 && errno != ENOENT && errno != ENOTDIR) {
        r = errno;
    }
    if (r != 0) {
        return bh_error_errno(err, r, dir, "cannot read the packet log",
                              "パケットログを読めません");
    }
    return bh_error_set(
        err, BH_EUSAGE, dir[0] == '\0' ? "--log-dir" : dir,
        "there is no packet log yet; beholder capture or import -w makes one, or name a capture file; try %s --help",
        "パケットログがまだありません。beholder capture か import -w で作るか、"
        "キャプチャファイルを指定してください。%s --help をご覧ください",
        command);
}

int
program_operands_or_log(const struct bh_args *a, const char *command, struct operands *ret,
                        struct bh_error *err)
{
    char *const *all;
    const char *const *named;
    struct stat st;
    const size_t n = bh_arg_operands(a, &all), r = bh_arg_all(a, "read", &named);
    const bool said = bh_arg_given(a, "log-dir");
    /* A first word that is a word of the filter and no file asks the log. */
    const bool begins = n > 0 && stat(all[0], &st) != 0 && bh_filter_is_word(all[0]);
    const size_t files = !said && r == 0 && begins ? 0 : bh_operand_files(all, n, said || r > 0);
    if (take_operands(a, files, ret, err) != 0) {
        return err->code;
    }
    if (said) {
        snprintf(ret->log_dir, sizeof ret->log_dir, "%s", bh_arg(a, "log-dir"));
    } else if (ret->file_count == 0) {
        bh_store_default_log(ret->log_dir, sizeof ret->log_dir);
    }
    if (ret->log_dir[0] != '\0' || said) {
        ret->files[ret->file_count++] = ret->log_dir;
        return check_log(ret->log_dir, command, err);
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

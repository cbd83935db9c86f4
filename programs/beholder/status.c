/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder status: asks the sensors that run here, over their sockets. */
#include "beholder.h"

#include <errno.h>
#include <stdlib.h>

#include "bh_sensor.h"
#include "beholder_status_command.h"

/* Lines of a socket that anybody may have made: nothing in them may do anything to a terminal. */
static void
put_lines(const struct bh_buf *answer, struct bh_buf *out)
{
    for (size_t at = 0; at < answer->len;) {
        const char *line = answer->data + at, *end = memchr(line, '\n', answer->len - at);
        const size_t n = end != NULL ? (size_t)(end - line) : answer->len - at;
        bh_buf_put_safe(out, line, n);
        bh_buf_putc(out, '\n');
        at += n + 1;
    }
}

static const char *
request_of(const struct bh_args *a, enum bh_lang lang)
{
    const char *format = bh_arg_given(a, "json") ? "json" : bh_arg(a, "format");
    return strcmp(format, "json") == 0          ? "json\n"
           : strcmp(format, "openmetrics") == 0 ? "metrics\n"
           : lang == BH_JA                      ? "text ja\n"
                                                : "text en\n";
}

/* All that answer go to standard output; what does not is said. Returns the exit code. */
static int
ask_all(const char *const *paths, size_t count, const char *request, enum bh_lang lang)
{
    struct bh_error err = { 0 };
    struct bh_buf out = { 0 };
    int code = 0;
    for (size_t k = 0; k < count; k++) {
        struct bh_buf answer = { 0 };
        if (bh_sensor_ask(paths[k], request, &answer, &err) != 0) {
            code = program_fail(&err, lang);
        } else {
            bh_buf_puts(&out, out.len > 0 && request[0] == 't' ? "\n" : "");
            put_lines(&answer, &out);
        }
        bh_buf_done(&answer);
    }
    const int r = program_write(&out, &err);
    bh_buf_done(&out);
    if (r != 0) {
        return program_fail(&err, lang);
    }
    const int ended = program_end_stdout(lang);
    return ended != 0 ? ended : code;
}

static int
status(const struct bh_args *a, enum bh_lang lang)
{
    const char *const *named;
    const char *request = request_of(a, lang);
    const size_t count = bh_arg_all(a, "socket", &named);
    if (count > 0) {
        return ask_all(named, count, request, lang);
    }
    char *found[BH_SENSOR_SOCKETS], own[BH_SENSOR_PATH_MAX];
    const size_t here = bh_sensor_sockets(found);
    if (here == 0) {
        struct bh_error err = { 0 };
        bh_error_set(
            &err, -ENOENT, bh_sensor_run_dir(own, sizeof own) ? own : "/run/beholder",
            "no sensor runs here; beholder capture starts one (--socket asks one elsewhere)",
            "動作中のセンサーがありません。beholder capture で起動できます (別の場所は --socket)");
        return program_fail(&err, lang);
    }
    const int code = ask_all((const char *const *)found, here, request, lang);
    for (size_t k = 0; k < here; k++) {
        free(found[k]);
    }
    return code;
}

int
verb_status(int argc, char **argv)
{
    const enum bh_lang lang = bh_lang_of_args(argc, argv);
    struct bh_error err = { 0 };
    struct bh_args *a = NULL;
    char *const *words;
    int code;
    if (bh_args_parse(&beholder_status_command, argc, argv, &a, &err) != 0) {
        return program_fail(&err, lang);
    }
    if (bh_arg_given(a, "help")) {
        bh_command_help(&beholder_status_command, lang, stdout);
        code = program_end_stdout(lang);
    } else if (bh_arg_operands(a, &words) > 0) {
        bh_error_set(&err, BH_EUSAGE, words[0], "status takes no words; --socket names a sensor%s",
                     "status は語を取りません。センサーは --socket で指定します%s", "");
        code = program_fail(&err, lang);
    } else {
        code = status(a, lang);
    }
    bh_args_free(a);
    return code;
}

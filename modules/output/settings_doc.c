/* SPDX-License-Identifier: BSD-2-Clause */
/* settings_doc MODULE: its settings for the manual. A tool of the build. */
#include "bh_modules.h"
#include "bh_output_host.h"

int
main(int argc, char **argv)
{
    const struct bh_output_module *m = NULL;
    struct bh_error err = { 0 };
    struct bh_buf text = { 0 };
    char line[1200];
    if (argc != 2 || bh_module_load(argv[1], &m, &err) != 0) {
        fprintf(stderr, "%s\n", bh_error_line(&err, BH_EN, line, sizeof line));
        return 1;
    }
    bh_output_describe(m, BH_DESCRIBE_MAN, BH_EN, &text);
    const bool good =
        !text.failed && fwrite(text.data, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
    bh_buf_done(&text);
    return good ? 0 : 1;
}

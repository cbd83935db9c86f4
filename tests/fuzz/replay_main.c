/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzz target without a fuzzer: replays files and the files of folders, in order of name. Each
 * file is one input, given as an allocation of just its size so that AddressSanitizer sees the
 * first octet too many. With no file at all the empty input and a few tiny ones are tried.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static unsigned inputs;

static void
replay(const void *data, size_t size)
{
    uint8_t *copy = malloc(size);
    if (copy == NULL && size > 0) {
        abort();
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    inputs++;
}

static int
replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    size_t cap = (size_t)16 << 20;
    char *data = malloc(cap);
    size_t size = data == NULL ? 0 : fread(data, 1, cap, f);
    fclose(f);
    if (data == NULL || size == cap) {
        fprintf(stderr, "%s: too large for a seed\n", path);
        free(data);
        return 1;
    }
    replay(data, size);
    free(data);
    return 0;
}

static int
is_file_name(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int
replay_path(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return errno == ENOENT ? 0 : 1; /* a target may have no seeds yet */
    }
    if (!S_ISDIR(st.st_mode)) {
        return replay_file(path);
    }
    struct dirent **list = NULL;
    int n = scandir(path, &list, is_file_name, alphasort);
    int bad = n < 0;
    for (int i = 0; i < n; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, list[i]->d_name);
        bad |= replay_path(name);
        free(list[i]);
    }
    free(list);
    return bad;
}

int
main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize != NULL) {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    static const uint8_t tiny[64] = { 0 };
    for (size_t size = 0; size <= sizeof tiny; size += size < 4 ? 1 : 15) {
        replay(tiny, size);
    }
    int bad = 0;
    for (int i = 1; i < argc; i++) {
        bad |= replay_path(argv[i]);
    }
    printf("# %u inputs replayed\n", inputs);
    return bad;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source.c - stored octets: a descriptor that is read, a mapped file, or memory; unpacked on the
 * way when the file is packed.
 *
 * Files are read, not mapped: with the page cache in large folios both cost nearly the same, with
 * the cache in small pages (as a file that was just written may be) a map is twice to seven times
 * slower, and a map that is truncated kills the process. docs/design/capture-files.md has figures. Only
 * many files at once are mapped, so that each needs neither a descriptor nor a storage.
 */
#include "capture_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Octets of a packed pipe that wait for the unpacker. */
#define IN_SIZE ((size_t)256 << 10)

static int
open_error(struct bh_error *err, int saved_errno, const char *name)
{
    if (saved_errno == ENOENT && name[0] == '\0') {
        return bh_error_set(err, -ENOENT, name, "a file name is empty", "ファイル名が空です");
    }
    if (saved_errno == ENOENT) {
        return bh_error_set(err, -ENOENT, name, "there is no such file; check the name and folder",
                            "そのようなファイルはありません。名前とフォルダーを確認してください");
    }
    if (saved_errno == EACCES || saved_errno == EPERM) {
        return bh_error_set(err, -saved_errno, name,
                            "no permission to read this file; see its owner and mode with ls -l",
                            "このファイルを読む権限がありません。"
                            "ls -l で所有者とモードを確認してください");
    }
    return bh_error_errno(err, saved_errno, name, "the file cannot be opened",
                          "ファイルを開けません");
}

static int
directory_error(struct bh_error *err, const char *name)
{
    size_t len = strlen(name);
    return bh_error_set(err, -EISDIR, name,
                        "this is a directory; give the capture files in it, e.g. %s%s*.pcap",
                        "これはディレクトリです。中のキャプチャファイルを指定してください"
                        " (例: %s%s*.pcap)",
                        name, len > 0 && name[len - 1] == '/' ? "" : "/");
}

/* Map a regular file. False: read it instead (not every file system maps). */
static bool
map_file(struct cap_source *s)
{
    if (!s->is_regular || s->size == 0 || s->size > SIZE_MAX || s->start != 0) {
        return false;
    }
    size_t size = (size_t)s->size;
    void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, s->fd, 0);
    if (p == MAP_FAILED) {
        return false;
    }
    madvise(p, size, MADV_SEQUENTIAL);
    s->map = p;
    s->map_size = size;
    s->map_is_ours = true;
    s->in = p;
    s->in_left = size;
    return true;
}

/* Read until there are enough octets to tell what it is, and no further: behind a pipe sits a
 * live capture perhaps, whose next octet comes in an hour. */
static int
read_head(struct cap_source *s, struct bh_error *err)
{
    s->is_read = true;
    s->in_buf = malloc(IN_SIZE);
    if (s->in_buf == NULL) {
        return bh_error_errno(err, ENOMEM, s->name, "the file cannot be read",
                              "ファイルを読み込めません");
    }
    s->in = s->in_buf;
    while (s->in_left < CAP_HEAD_SIZE) {
        ssize_t n = read(s->fd, s->in_buf + s->in_left, IN_SIZE - s->in_left);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            struct pollfd wait = { .fd = s->fd, .events = POLLIN };
            poll(&wait, 1, -1); /* the next read tells */
            continue;
        }
        if (n < 0 && errno == EISDIR) {
            return directory_error(err, s->name);
        }
        if (n < 0) {
            return bh_error_errno(err, errno, s->name, "the file cannot be read",
                                  "ファイルを読み込めません");
        }
        if (n == 0) {
            s->input_end = true;
            break;
        }
        s->in_left += (size_t)n;
        s->stored_read += (uint64_t)n;
    }
    return 0;
}

int
bh_cap_source_open(struct cap_source *s, const char *path, struct bh_error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    struct stat st;

    memset(s, 0, sizeof *s);
    s->name = is_stdin ? "stdin" : path;
    s->fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (s->fd < 0 || fstat(s->fd, &st) != 0) {
        return open_error(err, errno, s->name);
    }
    if (S_ISDIR(st.st_mode)) {
        return directory_error(err, s->name);
    }
    if (is_stdin && isatty(s->fd)) {
        return bh_error_set(err, BH_EUSAGE, s->name,
                            "standard input is a terminal; send a capture into it, e.g. with"
                            " tcpdump -w - |",
                            "標準入力が端末です。tcpdump -w - | などでキャプチャを渡してください");
    }
    s->dev = (uint64_t)st.st_dev;
    s->ino = (uint64_t)st.st_ino;
    s->start = S_ISREG(st.st_mode) ? lseek(s->fd, 0, SEEK_CUR) : -1;
    /* Files of /proc say that they are empty: read to see. */
    s->is_regular = s->start >= 0 && st.st_size > s->start;
    s->size = s->is_regular ? (uint64_t)(st.st_size - s->start) : 0;
    return 0;
}

int
bh_cap_source_start(struct cap_source *s, bool map, bool keep_fd, struct bh_error *err)
{
    if (!map || !map_file(s)) {
        bh_ignore(posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL)); /* a hint; pipes refuse */
        return read_head(s, err);
    }
    if (!keep_fd) {
        close(s->fd);
        s->fd = -1;
    }
    return 0;
}

static size_t read_some(struct cap_source *s, uint8_t *buf, size_t size);

/* More of a packed pipe, for a look. */
static bool
look_further(struct cap_source *s)
{
    size_t used = (size_t)(s->in - s->in_buf) + s->in_left;
    if (!s->is_read || s->input_end || used >= IN_SIZE) {
        return false;
    }
    size_t n = read_some(s, s->in_buf + used, IN_SIZE - used);
    s->in_left += n;
    return n > 0;
}

size_t
bh_cap_source_look(struct cap_source *s, uint8_t *out, size_t size)
{
    const struct cap_unpacker *u = bh_cap_sniff_packed(s->in, s->in_left);
    if (u == NULL) {
        size_t n = s->in_left < size ? s->in_left : size;
        memcpy(out, s->in, n);
        return n;
    }
    void *state = u->open == NULL ? NULL : u->open();
    struct cap_unpack_io io = { .in = s->in, .out = out, .out_left = size };
    while (state != NULL && io.out_left > 0) {
        size_t left = (size_t)(s->in + s->in_left - io.in);
        size_t before = io.out_left;
        io.in_left = left;
        enum cap_unpack_result r = u->run(state, &io);
        if (r == CAP_UNPACK_BAD || r == CAP_UNPACK_NOMEM) {
            break;
        }
        bool moved = io.in_left < left || io.out_left < before;
        if (!moved && (io.out_left < size || !look_further(s))) {
            break;
        }
    }
    if (state != NULL) {
        u->close(state);
    }
    return size - io.out_left;
}

void
bh_cap_source_memory(struct cap_source *s, const void *data, size_t size)
{
    memset(s, 0, sizeof *s);
    s->name = "memory";
    s->fd = -1;
    s->map = data;
    s->map_size = size;
    s->size = size;
    s->in = data;
    s->in_left = size;
}

bool
bh_cap_source_can_restart(const struct cap_source *s)
{
    return !s->is_read || s->is_regular;
}

void
bh_cap_source_unpack_end(struct cap_source *s)
{
    if (s->unpack_state != NULL) {
        s->unpacker->close(s->unpack_state);
        s->unpack_state = NULL;
        free(s->in_buf);
        s->in_buf = NULL;
    }
}

/* To the first stored octet. */
static int
restart(struct cap_source *s, struct bh_error *err)
{
    if (!s->is_read) {
        s->in = s->map;
        s->in_left = s->map_size;
        return 0;
    }
    if (lseek(s->fd, s->start, SEEK_SET) < 0) {
        return bh_error_errno(err, errno, s->name, "the file cannot be read again",
                              "ファイルを読み直せません");
    }
    s->stored_read = 0;
    s->in_left = 0;
    s->input_end = false;
    return read_head(s, err);
}

int
bh_cap_source_unpack(struct cap_source *s, const struct cap_unpacker *u, struct bh_error *err)
{
    if (u->open == NULL) {
        return bh_error_set(err, BH_EFORMAT, s->name,
                            "the file is packed with %s, and this program was built without"
                            " %s; unpack the file first",
                            "ファイルは %s で圧縮されていますが、このプログラムは %s なしで"
                            "作られています。先に展開してください",
                            u->name, u->library);
    }
    if (s->unpacker != NULL) {
        bh_cap_source_unpack_end(s);
        int r = restart(s, err);
        if (r != 0) {
            return r;
        }
    }
    s->unpacker = u;
    s->unpack_state = u->open();
    if (s->unpack_state == NULL) {
        return bh_error_errno(err, ENOMEM, s->name, "the file cannot be unpacked",
                              "ファイルを展開できません");
    }
    s->members = s->member_out = s->total_out = 0;
    s->member_done = s->out_was_full = s->at_end = false;
    s->error.code = 0;
    return 0;
}

uint64_t
bh_cap_source_stored(const struct cap_source *s)
{
    return (s->is_read ? s->stored_read : s->map_size) - s->in_left;
}

size_t
bh_cap_source_size_now(const struct cap_source *s)
{
    struct stat st;
    if (s->fd < 0 || !s->map_is_ours || fstat(s->fd, &st) != 0 || st.st_size < 0 ||
        (uint64_t)st.st_size > s->map_size) {
        return s->map_size;
    }
    return (size_t)st.st_size;
}

void
bh_cap_source_done(struct cap_source *s)
{
    bh_cap_source_unpack_end(s);
    if (s->map_is_ours) {
        munmap((void *)(uintptr_t)s->map, s->map_size);
    }
    if (s->fd >= 0) {
        close(s->fd);
    }
    free(s->in_buf);
    s->map = NULL;
    s->map_is_ours = false;
    s->fd = -1;
    s->in_buf = NULL;
}

/* One read(), waiting for it. A failure is the end of the input, with its reason. */
static size_t
read_some(struct cap_source *s, uint8_t *buf, size_t size)
{
    for (;;) {
        ssize_t n = read(s->fd, buf, size);
        if (n > 0) {
            s->stored_read += (uint64_t)n;
            return (size_t)n;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            struct pollfd wait = { .fd = s->fd, .events = POLLIN };
            poll(&wait, 1, -1); /* the next read tells */
            continue;
        }
        if (n < 0) {
            bh_error_errno(&s->error, errno, s->name, "reading failed", "読み込みに失敗しました");
            s->error.offset = s->stored_read;
            s->error.has_offset = true;
        }
        s->input_end = true;
        return 0;
    }
}

static size_t
read_plain(struct cap_source *s, uint8_t *out, size_t size)
{
    if (s->in_left > 0) {
        size_t n = s->in_left < size ? s->in_left : size;
        memcpy(out, s->in, n);
        s->in += n;
        s->in_left -= n;
        return n;
    }
    free(s->in_buf);
    s->in_buf = NULL;
    return s->input_end ? 0 : read_some(s, out, size);
}

/* Why data cannot be unpacked. What the libraries say is English, and kept in the Japanese text: it
 * can be searched for. */
struct unpack_trouble {
    const char *en, *ja;
};
static const struct unpack_trouble ends_early = { "it ends early", "途中で終わっています" };
static const struct unpack_trouble no_sense = { "it makes no sense", "意味をなしません" };

static void
unpack_failed(struct cap_source *s, struct unpack_trouble why)
{
    if (s->members > 0 && s->member_out == 0) {
        /* gzip and others pass over such octets with a warning; here a member may be lost. */
        bh_error_set(&s->error, BH_EDAMAGED, s->name,
                     "what follows the packed data is not %s and was passed over",
                     "圧縮データの後に %s でないデータがあり、読み飛ばしました", s->unpacker->name);
    } else if (s->total_out == 0) {
        bh_error_set(&s->error, BH_EDAMAGED, s->name,
                     "the %s data are damaged here (%s%.0s), and nothing before could be unpacked; "
                     "get the file again",
                     "ここで %s のデータが壊れていて (%.0s%s)、それまでの分も展開できません。"
                     "ファイルを取り直してください",
                     s->unpacker->name, why.en, why.ja);
    } else {
        bh_error_set(&s->error, BH_EDAMAGED, s->name,
                     "the %s data are damaged here (%s%.0s); the %" PRIu64
                     " unpacked bytes before were read",
                     "ここで %s のデータが壊れています (%.0s%s)。"
                     "それまでに展開した %" PRIu64 " バイトは読みました",
                     s->unpacker->name, why.en, why.ja, s->total_out);
    }
    s->error.offset = bh_cap_source_stored(s);
    s->error.has_offset = true;
    s->at_end = true;
}

/* More input for the unpacker. False: there is none. */
static bool
unpack_input(struct cap_source *s)
{
    for (;;) {
        if (s->member_done && s->unpacker->zero_padding) {
            while (s->in_left > 0 && s->in[0] == 0) {
                s->in++;
                s->in_left--;
            }
        }
        if (s->in_left > 0) {
            return true;
        }
        if (!s->is_read || s->input_end) {
            return false;
        }
        s->in = s->in_buf;
        s->in_left = read_some(s, s->in_buf, IN_SIZE);
    }
}

static int
read_packed(struct cap_source *s, uint8_t *out, size_t size, size_t *ret_size)
{
    struct cap_unpack_io io = { .out = out, .out_left = size };

    while (io.out_left > 0 && !s->at_end) {
        if (!s->out_was_full && s->in_left == 0) {
            /* A pipe may be slow: hand out what there is before waiting for more. */
            if (s->is_read && io.out_left < size) {
                break;
            }
        }
        if (!s->out_was_full && !unpack_input(s)) {
            if (!s->member_done && s->error.code == 0) {
                unpack_failed(s, ends_early);
            }
            s->at_end = true;
            break;
        }
        io.in = s->in;
        io.in_left = s->in_left;
        size_t out_before = io.out_left;
        enum cap_unpack_result result = s->unpacker->run(s->unpack_state, &io);
        bool moved = io.in_left < s->in_left || io.out_left < out_before;
        s->in = io.in;
        s->in_left = io.in_left;
        if (s->member_done) {
            s->member_out = 0;
        }
        s->member_out += out_before - io.out_left;
        s->total_out += out_before - io.out_left;
        s->member_done = result == CAP_UNPACK_MEMBER_END;
        s->members += s->member_done;
        if (result == CAP_UNPACK_NOMEM) {
            return -ENOMEM;
        }
        if (result == CAP_UNPACK_BAD || (!moved && !s->out_was_full)) {
            struct unpack_trouble of_library = { io.reason, io.reason };
            unpack_failed(s, result == CAP_UNPACK_BAD ? of_library : no_sense);
        }
        s->out_was_full = io.out_left == 0 && !s->member_done;
        if (!moved) {
            s->out_was_full = false;
        }
    }
    *ret_size = size - io.out_left;
    return 0;
}

int
bh_cap_source_read(struct cap_source *s, uint8_t *out, size_t size, size_t *ret_size)
{
    size_t n = 0;
    int r = 0;

    if (s->unpacker != NULL) {
        r = read_packed(s, out, size, &n);
    } else if (!s->at_end) {
        n = read_plain(s, out, size);
        s->at_end = n == 0;
    }
    if (r == 0) {
        *ret_size = n;
    }
    return r;
}

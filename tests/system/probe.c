/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder of the test program `beholder-probe`, as somebody who got into it would have it: with the first frame of
 * each process that is told to capture it tries what it must not be able to, and says what became of it; then it decodes
 * as the real one does. The linker puts it between (--wrap): nothing of it is in the program that is shipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bh_packet.h"

uint32_t __real_bh_packet_decode(const struct bh_decoder *d, const struct bh_frames *f,
                                 uint32_t *at, struct bh_batch *b);
uint32_t __wrap_bh_packet_decode(const struct bh_decoder *d, const struct bh_frames *f,
                                 uint32_t *at, struct bh_batch *b);

static void
say(const char *what, long result)
{
    char line[128];
    const int saved = errno;
    const int n = snprintf(line, sizeof line, "probe: %s: %s\n", what,
                           result >= 0                         ? "ALLOWED"
                           : saved == EPERM || saved == EACCES ? "refused"
                                                               : strerror(saved));
    bh_ignore((int)write(STDERR_FILENO, line, (size_t)n));
}

static void
try_all(void)
{
    say("a file to read", open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    say("a file to write", open("/tmp/beholder-probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    say("an Internet socket", socket(AF_INET, SOCK_STREAM, 0));
    say("a packet socket", socket(AF_PACKET, SOCK_RAW, 0));
    say("a Unix socket", socket(AF_UNIX, SOCK_STREAM, 0));
    char *const words[] = { NULL };
    say("another program", execve("/bin/true", words, words));
    say("another process", syscall(SYS_kill, getppid(), 0));
    say("its parent's memory", syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */, getppid(), 0, 0));
    say("code in memory",
        syscall(SYS_mprotect, (long)try_all & ~4095L, 4096L, 7L /* read, write, execute */));
}

uint32_t
__wrap_bh_packet_decode(const struct bh_decoder *d, const struct bh_frames *f, uint32_t *at,
                        struct bh_batch *b)
{
    static _Thread_local bool tried; /* each thread is confined by itself */
    if (!tried) {
        tried = true;
        try_all();
    }
    return __real_bh_packet_decode(d, f, at, b);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who a process is, and what it may do.
 *
 * Root is given up by the parent before any child is started. What stays is CAP_NET_RAW, in the parent alone:
 * with it a ring is opened for an interface that comes later. A child gives up everything, then takes on its
 * role: Landlock says which paths it reaches, seccomp which system calls there are for it. Both are for good
 * and hold for whatever code runs in it.
 *
 * Landlock by number, as C libraries have no names for it: kernel 5.13 and later; an older kernel, or a build
 * without libseccomp, leaves that part out, and the sensor says so.
 */
#include "sensor_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef BH_WITH_SECCOMP
#include <seccomp.h>
#endif

/* Sanitizers call whatever they need. */
#if defined(__SANITIZE_ADDRESS__)
#define CONFINES false
#else
#define CONFINES true
#endif

/* ---- who ------------------------------------------------------------------------------------------------ */

int
confine_find_user(struct sensor *s, struct bh_error *err)
{
    const char *asked = s->config->user, *sudo = getenv("SUDO_USER");
    const struct passwd *p;
    s->uid = getuid();
    s->gid = getgid();
    s->drops = geteuid() == 0;
    if (!s->drops) {
        return asked == NULL
                   ? 0
                   : bh_error_set(err, BH_EUSAGE, "--user", "only root can become somebody else",
                                  "ほかのユーザーになれるのは root だけです");
    }
    p = asked != NULL ? getpwnam(asked) : getpwnam("beholder");
    if (p == NULL && asked == NULL && sudo != NULL && strcmp(sudo, "root") != 0) {
        p = getpwnam(sudo);
    }
    if (p == NULL && asked == NULL) {
        p = getpwnam("nobody");
    }
    if (p == NULL || p->pw_uid == 0) {
        return bh_error_set(
            err, BH_EUSAGE, asked != NULL ? asked : "nobody",
            p == NULL ? "there is no such user%s" : "the sensor does not run as root%s",
            p == NULL ? "というユーザーはいません%s" : "センサーは root では動きません%s", "");
    }
    s->uid = p->pw_uid;
    s->gid = p->pw_gid;
    snprintf(s->user, sizeof s->user, "%s", p->pw_name);
    return 0;
}

/* Of this directory and the plain files in it, without following anything. */
static int
hand_over_dir(const struct sensor *s, const char *path, struct bh_error *err)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int r = fd < 0 || fchown(fd, s->uid, s->gid) != 0 ? -errno : 0;
    DIR *d = r == 0 ? fdopendir(fd) : NULL;
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        const int file = openat(fd, e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;
        if (file >= 0 && fstat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
            fchown(file, s->uid, s->gid) != 0) {
            r = -errno;
        }
        if (file >= 0) {
            close(file);
        }
    }
    if (d != NULL) {
        closedir(d);
    } else if (fd >= 0) {
        close(fd);
    }
    return r == 0 ? 0 : bh_error_errno(err, -r, path, "cannot hand over", "所有者を変更できません");
}

/* The directory and those above it. */
static int
make_dirs(const char *path, struct bh_error *err)
{
    char at[4096];
    if (strlen(path) >= sizeof at) {
        return bh_error_errno(err, ENAMETOOLONG, path, "cannot make", "作れません");
    }
    memcpy(at, path, strlen(path) + 1);
    for (char *p = at + 1;; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        const char c = *p;
        *p = '\0';
        if (mkdir(at, 0755) != 0 && errno != EEXIST) {
            return bh_error_errno(err, errno, at, "cannot make", "作れません");
        }
        *p = c;
        if (c == '\0') {
            return 0;
        }
    }
}

static const char *
value_of(const struct bh_sensor_output *o, const struct bh_setting *setting)
{
    const char *value = setting->default_text;
    for (size_t k = 0; k < o->setting_count; k++) {
        value = strcmp(o->settings[k].name, setting->name) == 0 ? o->settings[k].value : value;
    }
    return value;
}

/* The folder of a file that is to be written belongs to us only when it was made for it: a file is often told to be in a
 * folder of somebody else (/tmp, /var/log). There the file itself is handed over, when it is there already. */
static int
hand_over_file(const struct sensor *s, const char *path, struct bh_error *err)
{
    char dir[4096];
    struct stat st;
    const char *slash = strrchr(path, '/');
    const size_t n = slash == NULL || slash == path ? 0 : (size_t)(slash - path);
    if (n >= sizeof dir) {
        return bh_error_errno(err, ENAMETOOLONG, path, "cannot make", "作れません");
    }
    memcpy(dir, path, n);
    dir[n] = '\0';
    if (n > 0 && lstat(dir, &st) != 0) {
        const int r = make_dirs(dir, err);
        return r == 0 && s->drops ? hand_over_dir(s, dir, err) : r;
    }
    const int file = s->drops ? open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    int r = 0;
    /* Of root, and under one name only: not what somebody has put there for us to give away. */
    if (file >= 0 && fstat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
        st.st_uid == 0 && fchown(file, s->uid, s->gid) != 0) {
        r = bh_error_errno(err, errno, path, "cannot hand over", "所有者を変更できません");
    }
    if (file >= 0) {
        close(file);
    }
    return r;
}

int
confine_hand_over(struct sensor *s, const struct bh_sensor_output *output, struct bh_error *err)
{
    int r = 0;
    for (uint32_t k = 0; r == 0 && k < output->module->setting_count; k++) {
        const struct bh_setting *setting = &output->module->settings[k];
        const char *path = value_of(output, setting);
        if (path == NULL || path[0] == '\0') {
            continue;
        }
        if (setting->type == BH_SETTING_DIR) {
            r = make_dirs(path, err);
            r = r == 0 && s->drops ? hand_over_dir(s, path, err) : r;
        } else if (setting->type == BH_SETTING_FILE_OUT && strcmp(path, "-") != 0) {
            r = hand_over_file(s, path, err);
        }
    }
    return r;
}

int
confine_hand_over_own(struct sensor *s, const char *dir, struct bh_error *err)
{
    const int r = make_dirs(dir, err);
    if (r == 0 && chmod(dir, 0700) != 0) {
        return bh_error_errno(err, errno, dir, "cannot hand over", "所有者を変更できません");
    }
    return r == 0 && s->drops ? hand_over_dir(s, dir, err) : r;
}

/* ---- capabilities ------------------------------------------------------------------------------------------- */

static int
set_capabilities(uint32_t bits)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { .effective = bits, .permitted = bits } };
    return syscall(SYS_capset, &head, data) != 0 ? -errno : 0;
}

static uint32_t
permitted(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { 0 } };
    return syscall(SYS_capget, &head, data) != 0 ? 0 : data[0].permitted;
}

int
confine_drop(struct sensor *s, struct bh_error *err)
{
    const uint32_t raw = permitted() & (1U << CAP_NET_RAW);
    int r = 0;
    if (s->drops) {
        prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
        if (setgroups(0, NULL) != 0 || setresgid(s->gid, s->gid, s->gid) != 0 ||
            setresuid(s->uid, s->uid, s->uid) != 0) {
            r = -errno;
        }
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    r = r != 0 ? r : set_capabilities(raw);
    if (r == 0 && s->drops && (setuid(0) == 0 || getuid() == 0)) {
        r = -EPERM; /* it must not come back */
    }
    return r == 0 ? 0
                  : bh_error_errno(err, -r, "", "cannot give up root", "root 権限を手放せません");
}

/* May we write this file, whether it is there or not? */
static bool
may_write(const char *path)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    const size_t n = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (access(path, F_OK) == 0 && access(path, W_OK) != 0) {
        return false;
    }
    snprintf(dir, sizeof dir, "%.*s", n > 0 ? (int)n : 1, n > 0 ? path : ".");
    return access(dir, W_OK | X_OK) == 0;
}

int
confine_check_files(const struct sensor *s, const struct bh_sensor_output *output,
                    struct bh_error *err)
{
    for (uint32_t k = 0; k < output->module->setting_count; k++) {
        const struct bh_setting *setting = &output->module->settings[k];
        const char *path = value_of(output, setting);
        if (setting->type == BH_SETTING_FILE_OUT && path != NULL && path[0] != '\0' &&
            strcmp(path, "-") != 0 && !may_write(path)) {
            char where[4200];
            snprintf(where, sizeof where, "%s: %s", output->name, path);
            return bh_error_set(
                err, -EACCES, where,
                "the user %s may not write there, nor replace it: give them its folder, or "
                "name one that does not exist yet",
                "にユーザー %s は書き込めません。フォルダーの所有者を変えるか、まだない"
                "フォルダーを指定してください",
                s->user[0] != '\0' ? s->user : "who started it");
        }
    }
    return 0;
}

/* ---- Landlock -------------------------------------------------------------------------------------------------- */

/* linux/landlock.h, of which Debian's is older than what kernels know. */
#define CREATE_RULESET 444
#define ADD_RULE 445
#define RESTRICT_SELF 446
#define RULESET_VERSION 1U
#define RULE_PATH 1
#define RULE_PORT 2
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_REG = 1 << 8,
    FS_ALL_1 = (1 << 13) - 1,
    FS_REFER = 1 << 13,    /* ABI 2 */
    FS_TRUNCATE = 1 << 14, /* ABI 3 */
    NET_BIND = 1,
    NET_CONNECT = 2, /* ABI 4 */
};
struct ruleset {
    uint64_t fs, net;
};
struct port_rule {
    uint64_t allowed, port;
};
struct path_rule {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

#define READS (FS_READ_FILE | FS_READ_DIR)
#define WRITES (READS | FS_WRITE_FILE | FS_REMOVE_FILE | FS_MAKE_REG | FS_TRUNCATE)

static int
allow_path(int ruleset, const char *path, uint64_t rights, bool is_dir)
{
    const int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    const uint64_t of_files = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE;
    const struct path_rule rule = { .allowed = is_dir ? rights : rights & of_files,
                                    .parent_fd = fd };
    const int r = syscall(ADD_RULE, ruleset, RULE_PATH, &rule, 0) != 0 ? -errno : 0;
    close(fd);
    return r;
}

/* The directory a file lies in. */
static int
allow_parent(int ruleset, const char *path, uint64_t rights)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return allow_path(ruleset, ".", rights, true);
    }
    const size_t n = slash == path ? 1 : (size_t)(slash - path);
    if (n >= sizeof dir) {
        return -ENAMETOOLONG;
    }
    memcpy(dir, path, n);
    dir[n] = '\0';
    return allow_path(ruleset, dir, rights, true);
}

static int
allow_settings(int ruleset, uint64_t known, const struct output *output)
{
    const struct bh_sensor_output *o = output->config;
    int r = output->spool[0] == '\0' ? 0 : allow_path(ruleset, output->spool, WRITES & known, true);
    for (uint32_t k = 0; r == 0 && k < o->module->setting_count; k++) {
        const struct bh_setting *setting = &o->module->settings[k];
        const char *path = value_of(o, setting);
        if (path == NULL || path[0] == '\0') {
            continue;
        }
        switch (setting->type) {
        case BH_SETTING_DIR:
            r = allow_path(ruleset, path, WRITES & known, true);
            break;
        case BH_SETTING_FILE_OUT:
            r = strcmp(path, "-") == 0 ? 0 : allow_parent(ruleset, path, WRITES & known);
            break;
        case BH_SETTING_FILE_IN:
            r = allow_path(ruleset, path, READS & known, false);
            break;
        case BH_SETTING_PEER:
            r = path[0] == '/' ? allow_path(ruleset, path, (READS | FS_WRITE_FILE) & known, false)
                               : 0;
            break;
        default:
            break;
        }
    }
    if (r == 0 && (o->module->needs & BH_OUTPUT_NEEDS_RESOLVE) != 0) {
        r = allow_path(ruleset, "/etc", READS & known, true);
        r = r != 0 ? r : allow_path(ruleset, "/run/systemd/resolve", READS & known, true);
    }
    return r;
}

unsigned
confine_landlock_abi(void)
{
    const long abi = syscall(CREATE_RULESET, NULL, 0, RULESET_VERSION);
    return abi < 0 ? 0 : (unsigned)abi;
}

/* -ENOSYS, -EOPNOTSUPP: this kernel has none. */
static int
landlock(enum role role, const struct output *output)
{
    const long abi = syscall(CREATE_RULESET, NULL, 0, RULESET_VERSION);
    if (abi < 0) {
        return -errno;
    }
    const uint64_t known = FS_ALL_1 | (abi >= 2 ? FS_REFER : 0U) | (abi >= 3 ? FS_TRUNCATE : 0U);
    const bool connects =
        role == ROLE_OUTPUT && (output->config->module->needs & BH_OUTPUT_NEEDS_CONNECT) != 0;
    const struct ruleset set = { .fs = known,
                                 .net = abi >= 4 ? NET_BIND | (connects ? 0 : NET_CONNECT) : 0 };
    const int fd = (int)syscall(CREATE_RULESET, &set, abi >= 4 ? sizeof set : sizeof set.fs, 0);
    int r = fd < 0 ? -errno : role == ROLE_OUTPUT ? allow_settings(fd, known, output) : 0;
    if (r == 0 && abi >= 4 && connects) { /* a port that the kernel chooses: bh_output_connect() */
        const struct port_rule any = { .allowed = NET_BIND, .port = 0 };
        r = syscall(ADD_RULE, fd, RULE_PORT, &any, 0) != 0 ? -errno : 0;
    }
    if (r == 0 && syscall(RESTRICT_SELF, fd, 0) != 0) {
        r = -errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    return r;
}

/* ---- seccomp ---------------------------------------------------------------------------------------------------- */

#ifdef BH_WITH_SECCOMP
#define CALL(name) SCMP_SYS(name)

/* Memory, time, waiting, the end. */
static const int calls_all[] = {
    CALL(read),
    CALL(write),
    CALL(close),
    CALL(poll),
    CALL(ppoll),
    CALL(mmap),
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL(brk),
    CALL(futex),
    CALL(clock_gettime),
    CALL(clock_nanosleep),
    CALL(nanosleep),
    CALL(gettimeofday),
    CALL(restart_syscall),
    CALL(setitimer),
    CALL(rt_sigreturn),
    CALL(rt_sigprocmask),
    CALL(rt_sigaction),
    CALL(exit),
    CALL(exit_group),
    CALL(getpid),
    CALL(gettid),
    CALL(tgkill),
    CALL(getrandom),
    CALL(sched_yield),
    CALL(sendto),
    CALL(fstat),
    CALL(newfstatat),
    CALL(sysinfo) /* qsort() */,
};
static const int calls_capture[] = { CALL(getsockopt) };
/* Landlock says which files. */
static const int calls_output[] = {
    CALL(openat),    CALL(open),   CALL(lseek),     CALL(pread64),         CALL(pwrite64),
    CALL(writev),    CALL(readv),  CALL(fsync),     CALL(fdatasync),       CALL(ftruncate),
    CALL(fallocate), CALL(rename), CALL(renameat),  CALL(renameat2),       CALL(unlink),
    CALL(unlinkat),  CALL(mkdir),  CALL(mkdirat),   CALL(getdents64),      CALL(fcntl),
    CALL(flock),     CALL(stat),   CALL(lstat),     CALL(statx),           CALL(statfs),
    CALL(fstatfs),   CALL(access), CALL(faccessat), CALL(faccessat2),      CALL(readlink),
    CALL(getcwd),    CALL(umask),  CALL(fadvise64), CALL(sync_file_range), CALL(dup),
    CALL(dup3),      CALL(fchmod), CALL(link),      CALL(linkat),          CALL(geteuid),
    CALL(getuid),    CALL(ioctl),
};
static const int calls_connect[] = {
    CALL(socket),      CALL(connect),     CALL(sendmsg),    CALL(sendmmsg),      CALL(recvfrom),
    CALL(recvmsg),     CALL(shutdown),    CALL(setsockopt), CALL(getsockopt),    CALL(getsockname),
    CALL(getpeername), CALL(select),      CALL(pselect6),   CALL(epoll_create1), CALL(epoll_ctl),
    CALL(epoll_wait),  CALL(epoll_pwait), CALL(bind),       CALL(uname),
};
static const int calls_child[] = { CALL(recvmsg) }; /* descriptors of its program */
static const int calls_threads[] = {
    CALL(clone), CALL(clone3),   CALL(set_robust_list),
    CALL(rseq),  CALL(mprotect), CALL(sched_getaffinity),
    CALL(prctl),
};

static int
allow(scmp_filter_ctx c, const int *calls, size_t n)
{
    int r = 0;
    for (size_t k = 0; r == 0 && k < n; k++) {
        r = seccomp_rule_add(c, SCMP_ACT_ALLOW, calls[k], 0);
    }
    return r;
}

/* Of changes it is told over one socket, and over no other. */
static int
allow_changes(scmp_filter_ctx c, int fd)
{
    return seccomp_rule_add(c, SCMP_ACT_ALLOW, CALL(recvmsg), 1,
                            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)(unsigned)fd, 0));
}

static int
seccomp(const struct sensor *s, enum role role, const struct output *output)
{
    const uint32_t needs = role == ROLE_OUTPUT ? output->config->module->needs : 0;
    const uint32_t otherwise =
        s->config->sandbox == BH_SANDBOX_KILL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM);
    scmp_filter_ctx c = seccomp_init(otherwise);
    int r = c == NULL ? -ENOMEM : allow(c, calls_all, BH_COUNT(calls_all));
    /* New memory is never code. */
    r = r != 0 ? r
               : seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, 4 /* PROT_EXEC */, 0));
    r = r == 0 && role == ROLE_CAPTURE ? allow(c, calls_capture, BH_COUNT(calls_capture)) : r;
    /* is the interface still there? */
    if (r == 0 && role == ROLE_CAPTURE && s->config->with_pcap) {
        r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(getsockname), 0);
        r = r != 0 ? r
                   : seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                      SCMP_A1(SCMP_CMP_EQ, SIOCGIFINDEX, 0));
        r = r != 0 ? r
                   : seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                      SCMP_A1(SCMP_CMP_EQ, SIOCGIFFLAGS, 0));
    }
    r = r == 0 && role == ROLE_CAPTURE ? allow_changes(c, s->change_fd[1]) : r;
    r = r == 0 && role == ROLE_OUTPUT ? allow(c, calls_output, BH_COUNT(calls_output)) : r;
    r = r == 0 && (needs & BH_OUTPUT_NEEDS_CONNECT) != 0
            ? allow(c, calls_connect, BH_COUNT(calls_connect))
            : r;
    r = r == 0 && (needs & BH_OUTPUT_NEEDS_CHILD) != 0
            ? allow(c, calls_child, BH_COUNT(calls_child))
            : r;
    r = r == 0 && (needs & BH_OUTPUT_NEEDS_THREADS) != 0
            ? allow(c, calls_threads, BH_COUNT(calls_threads))
            : r;
    r = r != 0 ? r : seccomp_load(c);
    if (c != NULL) {
        seccomp_release(c);
    }
    return r;
}
#else
static int
seccomp(const struct sensor *s, enum role role, const struct output *output)
{
    (void)s;
    (void)role;
    (void)output;
    return -ENOSYS;
}
#endif

int
confine_role(const struct sensor *s, enum role role, const struct output *output,
             _Atomic uint32_t *ret_confined, struct bh_error *err)
{
    const char *who = role == ROLE_CAPTURE ? "capture" : output->config->name;
    struct bh_error said = { 0 };
    uint32_t confined = CONFINED_CAPABILITIES;
    atomic_store(ret_confined, 0);
    int r = set_capabilities(0);
    if (r != 0) {
        return bh_error_errno(err, -r, who, "cannot give up its capabilities",
                              "権限を手放せません");
    }
    if (s->config->sandbox == BH_SANDBOX_OFF || !CONFINES) {
        atomic_store(ret_confined, confined);
        return 0; /* the parent has said so, loudly */
    }
    r = landlock(role, output);
    confined |= r == 0 ? CONFINED_LANDLOCK : 0U;
    if (r == -ENOSYS || r == -EOPNOTSUPP) {
        bh_error_set(&said, 0, "", "this kernel has no Landlock: paths are not confined",
                     "このカーネルに Landlock がないため、ファイルは制限されません");
        sensor_say(s, who, BH_SAY_WARNING, &said);
    } else if (r != 0) {
        return bh_error_errno(err, -r, who, "cannot be confined (Landlock)",
                              "制限できません (Landlock)");
    }
    r = seccomp(s, role, output);
    if (r == -ENOSYS) {
        bh_error_set(&said, 0, "", "built without libseccomp: system calls are not confined",
                     "libseccomp なしのビルドのため、システムコールは制限されません");
        sensor_say(s, who, BH_SAY_WARNING, &said);
        atomic_store(ret_confined, confined);
        return 0;
    }
    atomic_store(ret_confined, confined | (r == 0 ? CONFINED_SECCOMP : 0U));
    return r == 0 ? 0
                  : bh_error_errno(err, -r, who, "cannot be confined (seccomp)",
                                   "制限できません (seccomp)");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Where segments go: a directory or a host. */
#ifndef PUSH_PRIV_H
#define PUSH_PRIV_H

#include "bh_push.h"

#define PUSH_NAME 48U

/* A file of the copy. */
struct push_file {
    char name[PUSH_NAME];
    uint64_t size;
};

struct push_list {
    struct push_file *file;
    size_t count, cap;
};
BH_NODISCARD int push_list_add(struct push_list *l, const char *name, size_t length, uint64_t size);

/* One segment on its way. Steps, in this order: all octets into `part`, which may have some; the ledger;
 * `part` becomes `name`; those it joins go. */
struct push_item {
    int fd; /* of the segment */
    uint64_t size, have;
    char part[PUSH_NAME], name[PUSH_NAME];
    const struct bh_buf *ledger;
    const char (*joined)[PUSH_NAME];
    size_t joined_count;
    const char *path;                                    /* for errors               */
    bool (*step)(void *arg, uint64_t octets_of_segment); /* false: stop, -ECANCELED */
    void *arg;
};

struct push_target;
struct push_target_kind {
    /* Make it when it is not there, lock it where that can be, list it, read its ledger. */
    int (*begin)(struct push_target *t, struct push_list *ret_list, struct bh_buf *ret_ledger,
                 struct bh_error *err);
    int (*send)(struct push_target *t, const struct push_item *item, struct bh_error *err);
    int (*rename)(struct push_target *t, const char *from, const char *to, struct bh_error *err);
    int (*remove)(struct push_target *t, const char *name, struct bh_error *err);
    void (*end)(struct push_target *t);
};
extern const struct push_target_kind push_directory, push_host;

struct push_target {
    const struct push_target_kind *kind;
    const struct bh_push_options *options;
    const char *text; /* as it was given                */
    char host[256];   /* "": a directory                */
    const char *dir;
    int lock_fd;
};

#define PUSH_LEDGER BH_STORE_LEDGER
#define PUSH_LEDGER_MAX (16U << 20)

#endif

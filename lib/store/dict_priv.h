/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files that make a dictionary share. */
#ifndef STORE_DICT_PRIV_H
#define STORE_DICT_PRIV_H

#include "store_priv.h"

/* A number of the tables, to be sorted. */
struct item {
    uint64_t key;
    uint32_t id;
};

/* The entries of a dictionary that has its countries, and how each far end is told (dict_far.c). -ENOMEM. */
BH_NODISCARD int dict_build_far(struct dict *d, const struct terms *t, const struct census *c);

#endif

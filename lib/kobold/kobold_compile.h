/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_compile.h - from texts of address ranges to a database in memory. For our tools and
 * tests; not installed.
 *
 *     kobold_build *b = kobold_build_new();
 *     kobold_build_add(b, "geoip", text, size, KOBOLD_FORMAT_AUTO, KOBOLD_LAYER_DATA, NULL, &err);
 *     kobold_build_finish(b, &data, &data_size, &err);
 *     kobold_build_free(b);
 *
 * Order of attribution (the later wins): data in the order given, but registry files among
 * themselves by their date; then geofeeds, then overrides, each in the order given; then the
 * special-use table. A second opinion never wins; it is kept beside. Inside one input the innermost range wins, and of two equal ranges the
 * later line. The same inputs in the same order give the same octets.
 *
 * Threads:   one thread at a time uses a builder.
 * Ownership: texts are borrowed for the call; the finished database is the caller's (free()).
 * Errors:    0 or a negative code with `err` filled; after one the builder can only be freed.
 */
#ifndef KOBOLD_COMPILE_H
#define KOBOLD_COMPILE_H

#include "bh_base.h"
#include "kobold.h"

typedef struct kobold_build kobold_build;

enum kobold_format {
    KOBOLD_FORMAT_AUTO = 0,
    KOBOLD_FORMAT_RIR,    /* registry|cc|type|start|value|date|status[|id]           */
    KOBOLD_FORMAT_RANGE,  /* start,end,cc  (addresses or decimal numbers; tor's too) */
    KOBOLD_FORMAT_PREFIX, /* prefix,cc,... (RFC 8805 too)                            */
    KOBOLD_FORMAT_LIST,   /* cc TAB prefix, or prefix TAB cc                         */
    KOBOLD_FORMAT_IANA,   /* IANA's registries: special-use table, who has which block */
    KOBOLD_FORMAT_MMDB,   /* MaxMind's format, when libmaxminddb was there at build time */
};

/* Whether the database keeps who said what (kobold_opinions()). AUTO: when there is more to tell
 * than the country: registry files, or several inputs about the same addresses. */
enum kobold_details {
    KOBOLD_DETAILS_AUTO = 0,
    KOBOLD_DETAILS_NO = 1,
    KOBOLD_DETAILS_YES = 2,
};

struct kobold_input {
    enum kobold_format format; /* as found                                          */
    uint64_t ranges;           /* taken                                             */
    uint64_t broken;           /* lines that could not be read, and were skipped    */
    uint64_t unused;           /* lines that name no country: ASNs, reserved blocks */
    uint64_t unknown_codes;    /* ranges whose code is none of ISO 3166-1: now "ZZ" */
    uint64_t twice;            /* equal ranges with different codes: counted by finish */
    char date[16];             /* "2026-06-25" or ""                                */
};

/* Two inputs that answered differently for the same addresses. */
struct kobold_conflict {
    const char *winner, *loser;
    uint64_t v4_addresses;
    uint64_t v6_subnets; /* /64s */
};

kobold_build *kobold_build_new(void);
void kobold_build_free(kobold_build *b);
/* Called for broken lines (the first few of an input), and by finish for ranges given twice. */
void kobold_build_on_notice(kobold_build *b, void (*notice)(void *arg, const struct bh_error *e),
                            void *arg);
/* An input without one good line is an error. `ret_input` may be NULL. */
BH_NODISCARD int kobold_build_add(kobold_build *b, const char *name, const char *text, size_t size,
                                  enum kobold_format format, enum kobold_layer layer,
                                  struct kobold_input *ret_input, struct bh_error *err);
/* A table of autonomous systems: a layer of its own, later lines and tables win inside it. Of names
 * the first given is kept. */
BH_NODISCARD int
kobold_build_add_as(kobold_build *b, const char *name, const char *text, size_t size,
                    struct kobold_input *ret_input, struct bh_error *err);
/* As kobold_build_set_meta(), about the AS tables. */
void kobold_build_set_as_meta(kobold_build *b, const char *name, const char *date,
                              const char *licence, const char *source);
/* What is not set comes from the inputs. NULL: leave as it is. */
void kobold_build_set_meta(kobold_build *b, const char *name, const char *date, const char *licence,
                           const char *source);
void kobold_build_set_details(kobold_build *b, enum kobold_details details);
/* The newest date of the data inputs, or "". */
const char *kobold_build_date(const kobold_build *b);
BH_NODISCARD int
kobold_build_finish(kobold_build *b, uint8_t **ret_data, size_t *ret_size, struct bh_error *err);
/* After finish. False after the last. */
bool kobold_build_conflict(const kobold_build *b, size_t index, struct kobold_conflict *ret);

/* "rir" ...; KOBOLD_FORMAT_AUTO's is "auto". NULL / negative when there is none such. */
const char *kobold_format_name(enum kobold_format format);
int kobold_format_of_name(const char *name);

#endif

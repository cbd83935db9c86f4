/* SPDX-License-Identifier: BSD-2-Clause */
/* What a module may ask of its host, and what the host asks of a module before it calls it. */
#include "host_priv.h"

#include <assert.h>
#include <stdlib.h>

int
bh_output_module_check(const struct bh_output_module *m, struct bh_error *err)
{
    const char *name = m->name != NULL ? m->name : "module";
    if (m->abi_major != BH_OUTPUT_ABI || m->size != sizeof *m) {
        return bh_error_set(
            err, BH_EVERSION, name, "was built for version %u of the interface, this is %u",
            "はインターフェースの版 %u 用です (こちらは %u)", m->abi_major, BH_OUTPUT_ABI);
    }
    bool good = m->name != NULL && m->open != NULL && m->write != NULL && m->close != NULL &&
                m->when <= BH_OUTPUT_AT_ONCE && (m->settings != NULL || m->setting_count == 0);
    good = good && ((m->needs & BH_OUTPUT_NEEDS_FRAMES) == 0 || m->when == BH_OUTPUT_AT_ONCE);
    for (int lang = 0; lang < BH_LANGS; lang++) {
        good = good && m->summary[lang] != NULL;
    }
    for (uint32_t k = 0; good && k < m->setting_count; k++) {
        good = m->settings[k].name != NULL && m->settings[k].text[BH_EN] != NULL &&
               m->settings[k].text[BH_JA] != NULL &&
               (m->settings[k].type != BH_SETTING_CHOICE || m->settings[k].choices != NULL);
    }
    return good ? 0
                : bh_error_set(err, BH_EFORMAT, name, "its table is not complete",
                               "の表が不完全です");
}

/* ---- for modules ------------------------------------------------------------------------------------- */

static const struct setting_value *
find_value(const struct bh_output *o, const char *name)
{
    for (uint32_t k = 0; k < o->module->setting_count; k++) {
        if (strcmp(o->module->settings[k].name, name) == 0) {
            return &o->values[k];
        }
    }
    assert(false && "a setting that is not in the module's table");
    return NULL;
}

const char *
bh_output_text(const struct bh_output *o, const char *name)
{
    return find_value(o, name)->text;
}

uint64_t
bh_output_uint(const struct bh_output *o, const char *name)
{
    return find_value(o, name)->number;
}

void
bh_output_set_state(struct bh_output *o, void *state)
{
    o->state = state;
}

void *
bh_output_state(const struct bh_output *o)
{
    return o->state;
}

const char *
bh_output_instance(const struct bh_output *o)
{
    return o->instance;
}

const struct bh_output_run *
bh_output_run(const struct bh_output *o)
{
    return o->run;
}

void
bh_output_say(struct bh_output *o, enum bh_say level, const struct bh_error *err)
{
    if (o->say != NULL) {
        o->say(o->say_arg, o->instance, level, err);
    }
}

int
bh_output_child_fd(struct bh_output *o, bool broken)
{
    return o->child_fd != NULL ? o->child_fd(o->child_arg, broken) : -1;
}

/* A copy, of harmless letters: the module's text may go, and these names stand in JSON and metrics. */
static void
copy_name(char to[BH_OUTPUT_OWN_NAME], const char *name)
{
    size_t n = 0;
    for (; name[n] != '\0' && n + 1 < BH_OUTPUT_OWN_NAME; n++) {
        const char c = name[n];
        const bool good =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (n > 0 && c >= '0' && c <= '9');
        to[n] = good ? c : '_';
    }
    to[n] = '\0';
}

_Atomic uint64_t *
own_counter(struct bh_host_counters *c, const char *name)
{
    char copy[BH_OUTPUT_OWN_NAME] = "";
    if (name == NULL || name[0] == '\0') {
        return NULL;
    }
    copy_name(copy, name);
    for (unsigned k = 0; k < BH_OUTPUT_OWN; k++) {
        if (c->own_name[k][0] == '\0') {
            memcpy(c->own_name[k], copy, sizeof copy);
        }
        if (strncmp(c->own_name[k], copy, sizeof copy) == 0) {
            return &c->own[k];
        }
    }
    return NULL;
}

void
bh_output_count(struct bh_output *o, const char *name, uint64_t more)
{
    _Atomic uint64_t *counter = own_counter(o->counters, name);
    if (counter != NULL) {
        atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
    }
}

uint64_t
bh_output_counted(struct bh_output *o, const char *name)
{
    const _Atomic uint64_t *counter = own_counter(o->counters, name);
    return counter != NULL ? atomic_load_explicit(counter, memory_order_relaxed) : 0;
}

const struct bh_output_health *
bh_output_health(const struct bh_output *o)
{
    return &o->health;
}

const uint32_t *
bh_output_served(const struct bh_output *o)
{
    return o->board != NULL && !o->run_is_over &&
                   atomic_load_explicit(&o->board->has_served, memory_order_acquire) != 0
               ? o->board->served
               : NULL;
}

const char *
bh_gap_name(unsigned kind)
{
    static const char *const names[] = { "kernel", "queue", "dead", "down" };
    return kind < BH_GAP_KINDS ? names[kind] : "";
}

void
bh_output_value(const struct bh_output_batch *b, uint32_t row, uint16_t field,
                struct bh_value *ret_value)
{
    const struct bh_field *f = bh_field_by_id(field);
    *ret_value = (struct bh_value){ .absent = true };
    if (f != NULL && row < b->rows) {
        f->get(b->records, row, ret_value);
    }
}

void
bh_output_country(const struct bh_output_batch *b, uint32_t row, bool source, char ret_code[4])
{
    struct kobold_value v;
    memset(ret_code, 0, 4);
    if (b->run == NULL || b->run->countries == NULL || row >= b->rows) {
        return;
    }
    const struct bh_ip ip = source ? bh_batch_src(b->records, row) : bh_batch_dst(b->records, row);
    if (ip.family == 0) {
        return;
    }
    const struct kobold_result found = kobold_lookup(b->run->countries, ip.octets, ip.family);
    if (kobold_value_info(b->run->countries, found.value, &v) &&
        (v.kind == KOBOLD_COUNTRY || v.kind == KOBOLD_REGION)) {
        memcpy(ret_code, v.code, 3);
    }
}

unsigned
bh_output_verdict(const struct bh_output *o, uint32_t number)
{
    const struct bh_board *b = o->board;
    if (b == NULL) {
        return BH_OUTCOME_NONE;
    }
    if (o->run_is_over) {
        return BH_OUTCOME_UNKNOWN; /* the board numbers other accesses by now */
    }
    /* The number is of the last 2^32. The board may be written while we look: what counts is whether the
     * octet was still this access's afterwards. */
    const uint64_t before = atomic_load_explicit(&b->written, memory_order_acquire);
    const uint64_t full = before - (uint32_t)((uint32_t)before - number);
    const unsigned outcome =
        atomic_load_explicit(&b->outcome[full % BH_BOARD_ACCESSES], memory_order_acquire);
    const uint64_t after = atomic_load_explicit(&b->written, memory_order_acquire);
    if (full >= before || after - full > BH_BOARD_ACCESSES || outcome >= BH_OUTCOME_COUNT) {
        atomic_fetch_add_explicit(&o->counters->missed_verdicts, 1, memory_order_relaxed);
        return BH_OUTCOME_UNKNOWN;
    }
    return outcome;
}

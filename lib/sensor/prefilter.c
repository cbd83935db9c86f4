/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel need not pass on: packets that no output's filter can select, and payload that none can ask for. The
 * filters are asked once more, exactly, by each output.
 */
#include "sensor_priv.h"

#define PARTS BH_FILTER_PARTS

static struct bh_live_test
translate(const struct bh_filter_part *p)
{
    static const enum bh_live_test_type types[] = {
        [BH_FILTER_PART_ANY] = BH_LIVE_TEST_ANY,     [BH_FILTER_PART_KIND] = BH_LIVE_TEST_KIND,
        [BH_FILTER_PART_PROTO] = BH_LIVE_TEST_PROTO, [BH_FILTER_PART_NET4] = BH_LIVE_TEST_NET4,
        [BH_FILTER_PART_NET6] = BH_LIVE_TEST_NET6,   [BH_FILTER_PART_PORT] = BH_LIVE_TEST_PORT,
        [BH_FILTER_PART_AND] = BH_LIVE_TEST_AND,     [BH_FILTER_PART_OR] = BH_LIVE_TEST_OR,
    };
    return (struct bh_live_test){
        .type = types[p->type],
        .end = p->both           ? BH_LIVE_END_BOTH
               : !p->destination ? BH_LIVE_END_SOURCE
               : !p->source      ? BH_LIVE_END_DESTINATION
                                 : BH_LIVE_END_EITHER,
        .negated = p->negated,
        .a = p->a,
        .b = p->b,
        .hi = p->hi,
        .lo = p->lo,
        .mask_hi = p->mask_hi,
        .mask_lo = p->mask_lo,
    };
}

unsigned
prefilter_add(struct bh_live_test to[PARTS], unsigned count, const struct bh_filter *f)
{
    struct bh_filter_part part[PARTS];
    const unsigned n = (unsigned)bh_filter_outline(f, part);
    if (n == 0 || count + n + (count > 0) > PARTS) {
        return 0;
    }
    for (unsigned k = 0; k < n; k++) {
        to[count + k] = translate(&part[k]);
    }
    if (count > 0) {
        to[count + n] = (struct bh_live_test){ .type = BH_LIVE_TEST_OR };
    }
    return count + n + (count > 0);
}

/* Of all outputs, or of those that take frames. False: one of them may ask for anything. */
static bool
gather(const struct sensor *s, bool of_frames, struct bh_live_test to[PARTS],
       struct bh_live_tests *ret)
{
    unsigned count = 0;
    for (size_t k = 0; k < s->output_count; k++) {
        const struct output *o = &s->output[k];
        if (o->state != OUTPUT_RUNS || (of_frames && (o->needs & BH_OUTPUT_NEEDS_FRAMES) == 0)) {
            continue;
        }
        count = prefilter_add(to, count, o->filter);
        if (count == 0) {
            return false;
        }
    }
    *ret = (struct bh_live_tests){ to, count };
    return true;
}

void
prefilter_choose(struct sensor *s)
{
    struct bh_live_test keep[PARTS], whole[PARTS];
    struct bh_live_choice choice = { .whole_all = false };
    struct bh_error said = { 0 };
    if (!s->config->no_kernel_filter) {
        bh_ignore(gather(s, false, keep, &choice.keep)); /* else: all */
    }
    choice.whole_all = !gather(s, true, whole, &choice.whole);
    const enum bh_live_chosen chosen = bh_live_choose(s->live, &choice);
    const bool said_so = s->kernel_filter;
    s->kernel_filter = chosen == BH_LIVE_CHOSE_ALL;
    if (said_so && s->kernel_filter) {
        return;
    }
    if (s->kernel_filter) {
        bh_error_set(
            &said, 0, "",
            "the kernel passes on only what the filter can select, and what its verdicts hang on (ICMP, fragments, "
            "broadcasts): frames are counted behind that",
            "フィルターが選びうるものと、判定に必要なもの (ICMP、フラグメント、ブロードキャスト) だけをカーネルから受け取ります。"
            "フレーム数はその後の数です");
        sensor_say(s, "beholder", BH_SAY_NOTE, &said);
    } else if (chosen == BH_LIVE_CHOSE_SOME) {
        bh_error_set(&said, 0, "", "the filter is too long for the kernel: it is applied behind it",
                     "フィルターが長すぎてカーネルに渡せません。受け取った後に適用します");
        sensor_say(s, "beholder", BH_SAY_NOTE, &said);
    }
}

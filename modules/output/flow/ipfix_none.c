/* SPDX-License-Identifier: BSD-2-Clause */
/* A build without libfixbuf: the module is there, format = ipfix is not, and opening says so. */
#include "flow_priv.h"

int
flow_ipfix_new(const struct flow_ipfix_config *cfg, struct flow_ipfix **ret, struct bh_error *err)
{
    (void)cfg;
    (void)ret;
    return bh_error_set(err, BH_EUNKNOWN, "format", "ipfix: this build has no libfixbuf",
                        "ipfix: libfixbuf なしでビルドされています");
}

void
flow_ipfix_free(struct flow_ipfix *x)
{
    (void)x;
}

int
flow_ipfix_templates(struct flow_ipfix *x, int64_t now_ns, struct bh_error *err)
{
    (void)x;
    (void)now_ns;
    (void)err;
    return BH_EUNKNOWN;
}

int
flow_ipfix_add(struct flow_ipfix *x, const struct flow *f, enum flow_end end, int64_t now_ns,
               struct bh_error *err)
{
    (void)f;
    (void)end;
    return flow_ipfix_templates(x, now_ns, err);
}

int
flow_ipfix_emit(struct flow_ipfix *x, int64_t now_ns, struct bh_error *err)
{
    return flow_ipfix_templates(x, now_ns, err);
}

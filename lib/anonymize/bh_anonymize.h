/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_anonymize.h - addresses that keep their prefixes in common, and nothing else.
 *
 * Crypto-PAn: J. Xu, J. Fan, M. Ammar, S. Moon, "Prefix-Preserving IP Address Anonymization", 2002.
 * With one key an address always becomes the same other one, and two addresses share as many
 * leading bits after as before. IPv6 the same way over 128 bits.
 *
 * Threads:   one thread per object (it remembers what it answered).
 * Ownership: the caller's.
 * Errors:    BH_EFORMAT for a file that is no key; BH_EUNKNOWN in a build without AES (nettle).
 */
#ifndef BH_ANONYMIZE_H
#define BH_ANONYMIZE_H

#include "bh_event.h"

#define BH_ANONYMIZE_KEY 32U /* octets: 16 of AES's key, 16 of which it makes the padding */

struct bh_anonymize; /* opaque */

/* The key is in the file as 32 octets, or as 64 hexadecimal digits. */
BH_NODISCARD int
bh_anonymize_open(const char *path, struct bh_anonymize **ret, struct bh_error *err);
BH_NODISCARD int bh_anonymize_new(const uint8_t key[BH_ANONYMIZE_KEY], struct bh_anonymize **ret,
                                  struct bh_error *err);
void bh_anonymize_free(struct bh_anonymize *a);

uint32_t bh_anonymize_v4(struct bh_anonymize *a, uint32_t host_order);
void bh_anonymize_v6(struct bh_anonymize *a, uint64_t *hi, uint64_t *lo);
struct bh_ip bh_anonymize_ip(struct bh_anonymize *a, const struct bh_ip *ip);
/* All addresses of a batch; hardware addresses and senders of tunnels go. */
void bh_anonymize_batch(struct bh_anonymize *a, struct bh_batch *b);
/* Networks and addresses as a user writes them ("203.0.113.0/24,2001:db8::1"): each becomes what its addresses
 * become, a network with the length it has. False when a word is none; words before it were added. */
bool bh_anonymize_networks(struct bh_anonymize *a, const char *text, struct bh_buf *out);

#endif

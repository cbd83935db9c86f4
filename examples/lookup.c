/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lookup ADDRESS... - the registered country of addresses.
 *
 *     cc -o lookup lookup.c $(pkg-config --cflags --libs kobold)
 */
#include <arpa/inet.h>
#include <stdio.h>

#include <kobold.h>

static void
print_answer(const kobold *k, const char *text, const uint8_t *octets, int family)
{
    struct kobold_result r = kobold_lookup(k, octets, family);
    struct kobold_value v;
    if (!kobold_value_info(k, r.value, &v)) {
        return; /* not for a value that came from this database */
    }
    if (v.kind == KOBOLD_SPECIAL) {
        printf("%s: %s (%s)\n", text, kobold_class_name(v.class_name, 0), v.rfc);
    } else if (v.kind == KOBOLD_UNALLOCATED) {
        printf("%s: unallocated\n", text);
    } else {
        const char *name = kobold_country_name(v.code, 0);
        printf("%s: %s %s\n", text, v.code, name != NULL ? name : "");
    }
    if (r.carrier != KOBOLD_CARRIER_NONE) {
        printf("    by the IPv4 address in it (%s)\n", kobold_carrier_name(r.carrier));
    }
}

int
main(int argc, char **argv)
{
    kobold *k;
    int code = kobold_open(NULL, &k); /* the installed database, or that of KOBOLD_DB */
    if (code < 0) {
        fprintf(stderr, "lookup: %s\n", kobold_strerror(code, 0));
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        uint8_t octets[16];
        if (inet_pton(AF_INET, argv[i], octets) == 1) {
            print_answer(k, argv[i], octets, 4);
        } else if (inet_pton(AF_INET6, argv[i], octets) == 1) {
            print_answer(k, argv[i], octets, 6);
        } else {
            fprintf(stderr, "lookup: %s is not an address\n", argv[i]);
        }
    }
    kobold_close(k);
    return 0;
}

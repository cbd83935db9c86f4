#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""gen_countries.py COUNTRIES.tsv SPECIAL-USE.tsv OUT.c

Turns the two tables of data/ into one C file with constant arrays (lib/kobold/kobold_priv.h
declares them). Run by the build; every mistake in a table stops it with file and line.
"""

import ipaddress
import sys

KINDS = {"iso": 0, "user": 1, "region": 2, "unknown": 3, "former": 4}


def rows(path, columns):
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            cells = line.split("\t")
            if len(cells) != columns:
                raise SystemExit(f"{path}:{number}: {len(cells)} columns, not {columns}")
            yield number, cells


def c_string(text):
    out = []
    for octet in text.encode("utf-8"):
        char = chr(octet)
        if char in '"\\':
            out.append("\\" + char)
        elif 32 <= octet < 127:
            out.append(char)
        else:
            out.append(f"\\{octet:03o}")
    return '"' + "".join(out) + '"'


def countries(path, out):
    listed, aliases, areas, seen = [], [], [], set()
    for number, (code, kind, m49, english, japanese) in rows(path, 5):
        if code in seen:
            raise SystemExit(f"{path}:{number}: {code} is there twice")
        seen.add(code)
        if kind == "m49":
            areas.append((code, english, japanese))
        elif kind == "alias":
            aliases.append((number, code, m49))
        elif kind in KINDS and len(code) == 2 and code.isalpha() and code.isupper():
            listed.append((code, KINDS[kind], "" if m49 == "-" else m49, english, japanese))
        else:
            raise SystemExit(f"{path}:{number}: no such kind or code: {kind} {code}")
    known_areas = {a[0] for a in areas}
    for row in listed:
        if row[2] and row[2] not in known_areas:
            raise SystemExit(f"{path}: {row[0]}: no m49 row for {row[2]}")
    # ISO codes and XK first, in order: kobold_country_next() walks the front of the array.
    listed.sort(key=lambda r: (r[1] > 1, r[0]))
    places = {row[0]: i for i, row in enumerate(listed)}
    for number, code, target in aliases:
        if target not in places:
            raise SystemExit(f"{path}:{number}: {target} is no code of the table")
        places[code] = places[target]

    out.append("const struct kobold_country_row kobold_countries[] = {")
    for code, kind, m49, english, japanese in listed:
        out.append(f'    {{ "{code}", "{m49}", {kind}, '
                   f"{{ {c_string(english)}, {c_string(japanese)} }} }},")
    out.append("};")
    out.append(f"const unsigned kobold_countries_count = {len(listed)};")
    out.append(f"const unsigned kobold_countries_listed = {sum(r[1] <= 1 for r in listed)};")
    out.append("const uint16_t kobold_country_at[26 * 26] = {")
    index = [0] * 676
    for code, place in places.items():
        index[(ord(code[0]) - 65) * 26 + ord(code[1]) - 65] = place + 1
    for first in range(0, 676, 26):
        out.append("    " + " ".join(f"{v}," for v in index[first:first + 26]))
    out.append("};")
    out.append("const struct kobold_region_row kobold_regions[] = {")
    for code, english, japanese in areas:
        out.append(f'    {{ "{code}", {{ {c_string(english)}, {c_string(japanese)} }} }},')
    out.append("};")
    out.append(f"const unsigned kobold_regions_count = {len(areas)};")


def special(path, out):
    names = {}
    out.append("const struct kobold_special_row kobold_specials[] = {")
    count = 0
    for number, (prefix, key, rfc, reachable, english, japanese) in rows(path, 6):
        try:
            net = ipaddress.ip_network(prefix)
        except ValueError as error:
            raise SystemExit(f"{path}:{number}: {error}") from None
        if reachable not in ("yes", "no") or len(key) > 47 or len(rfc) > 23:
            raise SystemExit(f"{path}:{number}: reachable is yes or no; class or rfc too long")
        if names.setdefault(key, (english, japanese)) != (english, japanese):
            raise SystemExit(f"{path}:{number}: {key} has two names")
        first = int(net.network_address)
        hi, lo = first >> 64, first & (2**64 - 1)
        out.append(f'    {{ 0x{hi:016x}U, 0x{lo:016x}U, {net.version}, {net.prefixlen}, '
                   f'{"true" if reachable == "yes" else "false"}, "{key}", "{rfc}",')
        out.append(f"      {{ {c_string(english)}, {c_string(japanese)} }} }},")
        count += 1
    out.append("};")
    out.append(f"const unsigned kobold_specials_count = {count};")


def main():
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    out = ["/* SPDX-License-Identifier: BSD-2-Clause */",
           "/* Made by gen_countries.py from countries.tsv and special-use.tsv: do not edit. */",
           '#include "kobold_priv.h"', ""]
    countries(sys.argv[1], out)
    special(sys.argv[2], out)
    with open(sys.argv[3], "w", encoding="ascii") as f:
        f.write("\n".join(out) + "\n")


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kdb_reader.py FILE ADDRESS...: a second reader of Kobold databases, written from docs/format/kdb.md alone.

It shows that the text is enough, and shares no line with the library: tests/reader/agree asks both.
"""
import array
import bisect
import ipaddress
import struct
import sys

MAGIC = b"\x89KDB\r\n\x1a\n"
KINDS = ("country", "special", "unallocated", "region", "unknown")


def fnv1a(data):
    h = 0xcbf29ce484222325
    for octet in data:
        h = (h ^ octet) * 0x100000001b3 & 0xffffffffffffffff
    return h


def text(field):
    return field.split(b"\0")[0].decode()


class Kdb:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = data = f.read()
        if len(data) < 1024 or data[:8] != MAGIC:
            raise ValueError("no Kobold database")
        version, _, header, _, incompatible, size = struct.unpack_from("<HHIIIQ", data, 8)
        if version != 1 or incompatible != 0:
            raise ValueError("made by a newer version")
        if size != len(data) or fnv1a(data[:1016]) != struct.unpack_from("<Q", data, 1016)[0]:
            raise ValueError("damaged")
        self.header_size = header
        self.v4_ranges, self.v6_ranges, self.values, count = struct.unpack_from("<IIII", data, 40)
        self.name, self.date = text(data[64:128]), text(data[128:144])
        self.licence, self.source = text(data[144:208]), text(data[208:336])
        self.section = {}
        for i in range(count):
            kind, _, offset, length = struct.unpack_from("<IIQQ", data, 336 + 24 * i)
            self.section[kind] = data[offset:offset + length]
        self.top = self.numbers("H", 2)
        self.middle, self.low = self.numbers("H", 3), self.section[4]
        self.groups, self.records = self.numbers("I", 5), self.section[6]
        listed = list(struct.iter_unpack("<IH", self.section[7]))
        self.list, self.list_values = [a for a, _ in listed], [v for _, v in listed]
        keys = self.numbers("q", 8)
        self.blocks = self.section[9]
        self.v6_groups = self.numbers("I", 10)
        entry = list(struct.iter_unpack("<QH", self.section[11]))
        self.entry_lo, self.entry_values = [lo for lo, _ in entry], [v for _, v in entry]
        entries, n = [], len(self.blocks) // 64
        while True:
            entries.append(n)
            if n <= 16:
                break
            n = (n + 15) // 16
        self.levels, at = [], 0
        for n in reversed(entries):  # the root is stored first
            room = (n + 15) // 16 * 16
            self.levels.append(keys[at:at + room])
            at += room

    def numbers(self, type_code, kind):
        a = array.array(type_code, self.section[kind])
        if sys.byteorder == "big":
            a.byteswap()
        return a

    def is_sound(self):
        return fnv1a(self.data[self.header_size:]) == struct.unpack_from("<Q", self.data, 32)[0]

    def good(self, value):
        return value if value < self.values else 0

    def v4(self, a):
        node = self.middle[self.top[a >> 16] * 16 + (a >> 12 & 15)]
        octets = self.low[node * 16:node * 16 + 16]
        value = octets[a >> 8 & 15]
        if value != 255:
            return value
        if not 256 <= node < 256 + len(self.groups):
            return self.good(self.list_values[bisect.bisect_right(self.list, a) - 1])
        at = self.groups[node - 256]
        for _ in range(octets[:a >> 8 & 15].count(255)):
            at = self.record(at, 0)[1]
        return self.good(self.record(at, a & 255)[0])

    def record(self, at, octet):
        """(the value of an address that ends in `octet`, where the next record is)"""
        head, at = self.records[at], at + 1
        if head & 32:
            cells = 256 >> (head & 7)
            size = max(cells, 8) // 8
            bits = int.from_bytes(self.records[at:at + size], "little")
            borders = bin(bits).count("1")
            j = bin(bits & (2 << (octet >> (head & 7))) - 1).count("1")
        else:
            borders = size = head & 31
            j = sum(b <= octet for b in self.records[at:at + size])
        at += size
        width = 2 if head & 128 else 1
        i = at + width * (j & 1 if head & 64 else j)
        return int.from_bytes(self.records[i:i + width], "little"), at + width * (2 if head & 64 else borders + 1)

    def v6(self, hi, lo):
        x = min((hi ^ 1 << 63) - (1 << 64 if hi < 1 << 63 else 0), (1 << 63) - 2)
        at = 0
        for keys in self.levels:
            at = bisect.bisect_right(keys, x, at * 16 + 1, at * 16 + 16) - 1
            key = keys[at]
        block = self.blocks[at * 64:at * 64 + 64]
        r = min((x - key) >> block[58], 65534)
        slot = bisect.bisect_right(struct.unpack_from("<19H", block), r)
        value = block[38 + slot]
        if value != 255:
            return value
        if hi >> 48 == 0x2002:
            return self.v4(hi >> 16 & 0xffffffff)
        if hi >> 32 == 0x20010000:
            return self.v4(~lo & 0xffffffff)
        if (hi, lo >> 32) in ((0, 0xffff), (0x0064ff9b00000000, 0)):
            return self.v4(lo & 0xffffffff)
        group = struct.unpack_from("<I", block, 60)[0] + block[38:38 + slot].count(255)
        first, end = self.v6_groups[group:group + 2]
        return self.good(self.entry_values[bisect.bisect_right(self.entry_lo, lo, first, end) - 1])

    def lookup(self, address):
        n = int(address)
        return self.v4(n) if address.version == 4 else self.v6(n >> 64, n & 0xffffffffffffffff)

    def meaning(self, value):
        """(code, kind, class, RFC, globally reachable)"""
        row = self.section[1][80 * value:80 * value + 80]
        return text(row[:4]), KINDS[row[4]], text(row[8:56]), text(row[56:80]), row[5] != 0


if __name__ == "__main__":
    kdb = Kdb(sys.argv[1])
    for word in sys.argv[2:]:
        print(word, *kdb.meaning(kdb.lookup(ipaddress.ip_address(word))))

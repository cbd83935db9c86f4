# SPDX-License-Identifier: BSD-2-Clause
"""A database in MaxMind's format out of {network: value}, for tests: the shortest writer that makes sound files.

Values are str, int or dict. Of an IPv6 tree, IPv4 networks lie under ::/96. `alias` shows the IPv4 part at
::ffff:0:0/96 and 2002::/16 once more, as MaxMind's files do.
"""
import ipaddress

MARK = b"\xab\xcd\xefMaxMind.com"


def encoded(value):
    def control(kind, size):
        first = kind << 5 if kind < 8 else 0
        more = b"" if kind < 8 else bytes([kind - 7])
        if size < 29:
            return bytes([first | size]) + more
        return bytes([first | 29]) + more + bytes([size - 29])

    if isinstance(value, str):
        octets = value.encode()
        return control(2, len(octets)) + octets
    if isinstance(value, dict):
        return control(7, len(value)) + b"".join(encoded(k) + encoded(v) for k, v in value.items())
    if isinstance(value, list):
        return control(11, len(value)) + b"".join(map(encoded, value))
    octets = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return control(9 if len(octets) > 4 else 6, len(octets)) + octets


def make(networks, version=6, kind="Test", bits=24, alias=False):
    nodes = [[None, None]]  # children: a number of a node, a value in a list, or None
    for network, value in networks.items():
        n = ipaddress.ip_network(network)
        number, length = int(n.network_address), n.prefixlen
        if version == 6 and n.version == 4:
            length += 96
        width = 32 if version == 4 else 128
        at = 0
        for i in range(length):
            side = number >> (width - 1 - i) & 1
            if i == length - 1:
                nodes[at][side] = [value]
            else:
                if not isinstance(nodes[at][side], int):
                    nodes.append([nodes[at][side]] * 2)
                    nodes[at][side] = len(nodes) - 1
                at = nodes[at][side]
    if alias:
        v4 = 0
        for i in range(96):
            v4 = nodes[v4][0]
        for text, length in (("::ffff:0:0", 96), ("2002::", 16)):
            at, number = 0, int(ipaddress.ip_address(text))
            for i in range(length):
                side = number >> (127 - i) & 1
                if i == length - 1:
                    nodes[at][side] = v4
                else:
                    if not isinstance(nodes[at][side], int):
                        nodes.append([None, None])
                        nodes[at][side] = len(nodes) - 1
                    at = nodes[at][side]
    data, places = b"", {}

    def record(x):
        nonlocal data
        if x is None:
            return len(nodes)
        if isinstance(x, int):
            return x
        octets = encoded(x[0])
        if octets not in places:
            places[octets] = len(data)
            data += octets
        return len(nodes) + 16 + places[octets]

    tree = b""
    for left, right in nodes:
        a, b = record(left), record(right)
        tree += {24: lambda: a.to_bytes(3, "big") + b.to_bytes(3, "big"),
                 28: lambda: (a & 0xffffff).to_bytes(3, "big") + bytes([a >> 24 << 4 | b >> 24]) +
                 (b & 0xffffff).to_bytes(3, "big"),
                 32: lambda: a.to_bytes(4, "big") + b.to_bytes(4, "big")}[bits]()
    meta = {"node_count": len(nodes), "record_size": bits, "ip_version": version, "database_type": kind,
            "languages": ["en"], "binary_format_major_version": 2, "binary_format_minor_version": 0,
            "build_epoch": 1782345600, "description": {"en": "made for a test"}}
    return tree + b"\0" * 16 + data + MARK + encoded_meta(meta)


def encoded_meta(meta):
    """uint16 and uint64 where the format wants them."""
    out = bytes([7 << 5 | len(meta)])
    for k, v in meta.items():
        out += encoded(k)
        if k in ("record_size", "ip_version", "binary_format_major_version", "binary_format_minor_version"):
            out += bytes([5 << 5 | 2]) + v.to_bytes(2, "big")
        elif k == "build_epoch":
            out += bytes([8, 2]) + v.to_bytes(8, "big")
        else:
            out += encoded(v)
    return out

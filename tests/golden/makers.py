# SPDX-License-Identifier: BSD-2-Clause
"""Small captures made by hand for golden and acceptance tests: what no sensor of ours has met yet, but will."""
import ipaddress
import struct

SYN, RST, ACK, FIN = 2, 4, 16, 1
HOME4, HOME6 = "59.106.21.60", "2001:200::60"
START = 1185807600  # 2007-07-31 00:00 in Tokyo
ROUTER, SENSOR, BROADCAST = (bytes.fromhex(h) for h in ("020000000001", "02000000003c", "ffffffffffff"))


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def packed(address):
    return ipaddress.ip_address(address).packed


def ip(src, dst, proto, body, ttl=52, offset=0):
    s, d = packed(src), packed(dst)
    if len(s) == 16:
        return struct.pack("!IHBB", 0x60000000, len(body), proto, ttl) + s + d + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 4711, offset, ttl, proto, 0) + s + d
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def with_checksum(src, dst, proto, body, at):
    s, d = packed(src), packed(dst)
    pseudo = s + d + (struct.pack("!BBH", 0, proto, len(body)) if len(s) == 4 else struct.pack("!II", len(body), proto))
    return body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2:]


def tcp(src, dst, sport, dport, flags=SYN, seq=1, ack=0, data=b""):
    body = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 65535, 0, 0) + data
    return ip(src, dst, 6, with_checksum(src, dst, 6, body, 16))


def udp(src, dst, sport, dport, data=b"\0" * 8):
    body = struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data
    return ip(src, dst, 17, with_checksum(src, dst, 17, body, 6))


def ping(src, dst, kind=None):
    six = ":" in src
    body = struct.pack("!BBHHH", (128 if six else 8) if kind is None else kind, 0, 0, 7, 1) + b"\0" * 8
    if six:
        return ip(src, dst, 58, with_checksum(src, dst, 58, body, 2))
    return ip(src, dst, 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:])


def ether(packet, src=ROUTER, dst=SENSOR, kind=None):
    if kind is None:
        kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    return dst + src + struct.pack("!H", kind) + packet


def arp(sender, target):
    return ether(struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, ROUTER, packed(sender), b"\0" * 6, packed(target)),
                 dst=BROADCAST, kind=0x0806)


def handshake(src, dst, sport, dport, seq, data=20):
    """A whole session, as frames."""
    def there(flags, s, a, n=0):
        return ether(tcp(src, dst, sport, dport, flags, s, a, b"." * n))

    def back(flags, s, a, n=0):
        return ether(tcp(dst, src, dport, sport, flags, s, a, b"." * n), SENSOR, ROUTER)

    return [there(SYN, seq, 0), back(SYN | ACK, 900, seq + 1), there(ACK, seq + 1, 901),
            there(ACK | 8, seq + 1, 901, data), back(ACK, 901, seq + 1 + data), there(FIN | ACK, seq + 1 + data, 901),
            back(FIN | ACK, 901, seq + 2 + data), there(ACK, seq + 2 + data, 902)]


def pcap(frames, start=START, step=60, link=1):
    """frames: bytes, (bytes, wire length) or (bytes, wire length, time)."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)]
    for i, f in enumerate(frames):
        data, wire, when = (f, len(f), start + i * step) if isinstance(f, bytes) else \
            f if len(f) == 3 else (f[0], f[1], start + i * step)
        out.append(struct.pack("<IIII", int(when) & 0xFFFFFFFF, i % 1000000, len(data), wire) + data)
    return b"".join(out)


def no_access():
    """A quiet link: neighbours, our own traffic and its answers, one ping. Nobody knocks."""
    frames = [arp("59.106.21.1", HOME4) for _ in range(5)]
    frames += [ether(tcp(HOME4, "24.0.0.9", 40000, 443, SYN), SENSOR, ROUTER),
               ether(tcp("24.0.0.9", HOME4, 443, 40000, SYN | ACK, 5, 2)),
               ether(udp(HOME4, "24.0.0.53", 5353, 53), SENSOR, ROUTER),
               ether(udp("24.0.0.53", HOME4, 53, 5353)),
               ether(ping("24.0.0.7", HOME4)),
               ether(ping(HOME4, "24.0.0.7", 0), SENSOR, ROUTER)]
    return pcap(frames, step=1)


def ipv6():
    """Both families at one home, sources of several countries, some embedded and special ones."""
    us, cn, de, kr = "2600::%x", "240e:0:0:1::%x", "2a01:4f8::%x", "2001:e60::%x"
    frames = []
    for i in range(1, 13):
        frames.append(ether(tcp(us % i, HOME6, 40000 + i, (22, 443, 8443)[i % 3], SYN, i)))
    for i in range(1, 8):
        frames.append(ether(tcp(cn % i, HOME6, 41000 + i, (22, 2323)[i % 2], SYN, i)))
        frames.append(ether(tcp(HOME6, cn % i, (22, 2323)[i % 2], 41000 + i, RST | ACK, 0, i + 1), SENSOR, ROUTER))
    frames += [f for i in range(1, 4) for f in handshake(de % i, HOME6, 42000 + i, 25, 100 * i)]
    frames += [ether(udp(kr % i, HOME6, 5000 + i, 53413)) for i in range(1, 6)]
    frames += [ether(ping(us % i, HOME6)) for i in (1, 2, 77)]
    frames.append(ether(tcp("2002:1800:0005::1", HOME6, 43000, 22, SYN, 9)))      # 6to4 of 24.0.0.5
    frames.append(ether(tcp("64:ff9b::1800:6", HOME6, 43001, 22, SYN, 9)))        # NAT64 of 24.0.0.6
    frames.append(ether(tcp("fe80::1", HOME6, 43002, 22, SYN, 9)))                # link-local
    frames.append(ether(tcp("2001:db8::1", HOME6, 43003, 22, SYN, 9)))            # documentation
    frames += [ether(tcp("24.0.0.%d" % i, HOME4, 44000 + i, 23, SYN, i)) for i in range(1, 5)]
    return pcap(frames, step=1)


def hostile():
    """Frames that lie, are cut, or come from addresses that cannot be. Everything sound is still counted."""
    ok = [ether(tcp("24.0.0.%d" % i, HOME4, 40000 + i, 22, SYN, i)) for i in range(1, 11)]
    syn = ok[0]
    frames = list(ok)
    frames += [syn[:n] for n in (0, 1, 13, 14, 20, 33, 34, 37, 46)]                    # cut everywhere
    frames += [(syn[:40], 54), (syn[:14], 1514)]                                       # stored shorter than sent
    broken = [
        (14, 0x05),                     # IP version 0
        (14, 0x41),                     # header of 4 octets
        (14, 0x4F),                     # header of 60 octets in a packet of 40
        (16, 0xFF),                     # total length far behind the end
        (17, 0x05),                     # total length inside the header
        (46, 0x00),                     # TCP header of 0 octets
        (46, 0xF0),                     # TCP header behind the end
        (47, 0x03), (47, 0x06), (47, 0x29), (47, 0x00), (47, 0xFF),  # odd flags
    ]
    for at, value in broken:
        frames.append(syn[:at] + bytes([value]) + syn[at + 1:])
    for src in ("127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", HOME4, "10.0.0.1", "169.254.1.1", "240.0.0.1"):
        frames.append(ether(tcp(src, HOME4, 50000, 445, SYN, 3)))
    frames.append(ether(tcp("24.0.0.99", HOME4, 0, 0, SYN, 3)))                         # port 0
    frames.append(ether(ip("24.0.0.98", HOME4, 6, b"\0" * 16, offset=0x2000)))          # a first fragment cut by the sender
    frames.append(ether(ip("24.0.0.98", HOME4, 6, b"\0" * 32, offset=3)))               # a later one, never first
    frames.append(ether(ip("24.0.0.98", HOME4, 17, b"\xff" * 64, offset=0x1FFF)))       # ends behind 65535
    frames.append(ether(ip("24.0.0.97", HOME4, 255, b"\xff" * 9)))                      # no such protocol
    frames.append(ether(b"\xff" * 40, kind=0x9999))                                    # no such ethertype
    tags = b"".join(struct.pack("!HH", 0x8100, i) for i in range(40))                   # forty VLAN tags
    frames.append(syn[:12] + tags + syn[12:])
    nested = tcp("24.0.0.96", HOME4, 1, 22, SYN, 1)
    for _ in range(40):                                                                # a packet in forty packets
        nested = ip("24.0.0.96", HOME4, 4, nested)
    frames.append(ether(nested))
    chain = struct.pack("!IHBB", 0x60000000, 8 * 200, 0, 64) + packed("2600::bad") + packed(HOME6) + \
        b"".join(bytes([0, 0]) + b"\1\4\0\0\0\0" for _ in range(200))                   # two hundred options headers
    frames.append(ether(chain))
    frames.append((syn, len(syn), START + 10))                                         # a step back
    frames += [(f, len(f), START + 7200 + i) for i, f in enumerate(ok)]
    return pcap(frames, step=1)


def times():
    """A clock that was not set, and one that will not be: 1970 and 2106 among frames of 2007."""
    ok = [ether(tcp("24.0.0.%d" % i, HOME4, 40000 + i, 22, SYN, i)) for i in range(1, 11)]
    frames = [(f, len(f), START + 60 * i) for i, f in enumerate(ok)]
    return pcap(frames + [(ok[0], len(ok[0]), 0), (ok[1], len(ok[1]), 4294967295)] + frames[:2])


MAKERS = {"no-access": no_access, "ipv6": ipv6, "hostile": hostile, "times": times}

#!/usr/bin/env python3
"""Check data/ports.tsv: its format, its KEV column, and how much it names.

usage: check_ports.py [--kev KEV.csv[.xz]] [--min PERCENT] PORTS.tsv [LOG.csv[.xz] ...]

A LOG is one of the honeypot logs, known by its header line:
  datetime,host,src,proto,type,spt,dpt   (AWS 2013; TCP and UDP records count)
  start_time,...,dst_port,...            (T-Pot Cowrie; all TCP)
  timestamp,...,dst_port,transport,...   (T-Pot Honeytrap)
Records without a port, with port 0 or of the year 1970 are left out.  Rows are
chosen for the last year of the log.  For each log are printed
  rows      the share of accesses for which a row applies (at least --min, 95)
  purpose   the share for which the row says more than "port sweep"
and the most frequent ports that lack one.  A file that is absent is skipped, and
the word "skipped" is printed.  Exit status 1 on any violation.
"""

import argparse
import collections
import csv
import io
import lzma
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "tools"))
sys.dont_write_bytecode = True
import gen_ports  # noqa: E402

SWEEP = "port sweep"
SHOWN = 15


def open_csv(path):
    stream = lzma.open(path) if path.endswith(".xz") else open(path, "rb")
    return csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8",
                                           errors="replace", newline=""))


def read_log(path):
    """Counter of (port, proto), last year, number of records left out."""
    counts, years, dirty = collections.Counter(), set(), 0
    with_header = open_csv(path)
    names = with_header.fieldnames or []
    for row in with_header:
        if "dpt" in names:
            proto, port, time = row["proto"].lower(), row["dpt"], row["datetime"]
            if proto not in gen_ports.PROTO_NUMBER:
                continue
        elif "transport" in names:
            proto, port, time = row["transport"], row["dst_port"], row["timestamp"]
        elif "dst_port" in names:
            proto, port, time = "tcp", row["dst_port"], row["start_time"]
        else:
            raise ValueError("unknown header line")
        try:
            number = int(float(port))
        except ValueError:
            number = 0
        if (number == 0 or time.startswith("1970")
                or proto not in gen_ports.PROTO_NUMBER):
            dirty += 1
            continue
        counts[(number, proto)] += 1
        if time[:4].isdigit():
            years.add(int(time[:4]))
    if not counts or not years:
        raise ValueError("no usable record")
    return counts, max(years), dirty


def share(counts, keys):
    return 100.0 * sum(counts[k] for k in keys) / sum(counts.values())


def frequent(counts, keys):
    keys = sorted(keys, key=lambda k: (-counts[k], k))[:SHOWN]
    return " ".join("%d/%s:%d" % (p, q, counts[(p, q)]) for p, q in keys) or "none"


def check_log(path, rows, minimum):
    counts, year, dirty = read_log(path)
    chosen = {(r["port"], r["proto"]): r for r in rows
              if r["from"] <= year <= r["until"] and r["port"] == r["port_last"]}
    own = [k for k in counts if k in chosen]
    for r in rows:  # ranges speak for what has no row of its own
        if r["from"] <= year <= r["until"] and r["port"] != r["port_last"]:
            for k in counts:
                if k not in chosen and k[1] == r["proto"] and r["port"] <= k[0] <= r["port_last"]:
                    chosen[k] = r
    named = [k for k in counts if k in chosen]
    told = [k for k in named if not chosen[k]["purpose_en"].startswith(SWEEP)]
    by_rows = share(counts, named)
    print("%s: year %d, %d accesses, %d left out, %d ports"
          % (os.path.basename(path), year, sum(counts.values()), dirty, len(counts)))
    print("  rows %.2f %%, missing most: %s"
          % (by_rows, frequent(counts, set(counts) - set(named))))
    print("  rows of their own %.2f %%" % share(counts, own))
    print("  purpose %.2f %%, sweep or missing most: %s"
          % (share(counts, told), frequent(counts, set(counts) - set(told))))
    for level in ("high", "medium", "low"):
        keys = [k for k in named if chosen[k]["certainty"] == level]
        print("  certainty %s %.2f %%" % (level, share(counts, keys)))
    if by_rows < minimum:
        print("  violation: rows cover less than %g %%" % minimum)
        return 1
    return 0


def check_kev(path, rows, table):
    catalog = {row["cveID"] for row in open_csv(path)}
    bad = 0
    for row in rows:
        have = set(gen_ports.split_list(row["kev"]))
        want = set(gen_ports.split_list(row["cve"])) & catalog
        for name in sorted(have - want):
            print("%s:%d: kev: %s is not in the catalog" % (table, row["line"], name))
            bad = 1
        for name in sorted(want - have):
            print("%s:%d: kev: %s is in the catalog, add it" % (table, row["line"], name))
            bad = 1
    print("kev: %d entries of the catalog used"
          % len({n for r in rows for n in gen_ports.split_list(r["kev"])}))
    return bad


def main():
    parser = argparse.ArgumentParser(description="check data/ports.tsv")
    parser.add_argument("--kev", help="CISA KEV catalog as CSV, may be .xz")
    parser.add_argument("--min", type=float, default=95.0, help="percent (95)")
    parser.add_argument("ports")
    parser.add_argument("logs", nargs="*")
    args = parser.parse_args()
    try:
        rows = gen_ports.read_rows(args.ports)
    except gen_ports.Faults as faults:
        print(faults)
        return 1
    except OSError as error:
        print(error)
        return 1
    swept = sum(r["purpose_en"].startswith(SWEEP) for r in rows)
    print("%s: %d rows, %d of them name a purpose, %d say port sweep"
          % (os.path.basename(args.ports), len(rows), len(rows) - swept, swept))
    bad = 0
    if args.kev and os.path.exists(args.kev):
        bad |= check_kev(args.kev, rows, args.ports)
    else:
        print("kev: skipped, catalog absent")
    for path in args.logs:
        if not os.path.exists(path):
            print("%s: skipped, absent" % os.path.basename(path))
            continue
        try:
            bad |= check_log(path, rows, args.min)
        except (ValueError, OSError, EOFError, lzma.LZMAError) as error:
            print("%s: %s" % (path, error))
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())

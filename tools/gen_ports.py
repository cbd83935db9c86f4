#!/usr/bin/env python3
"""Turn data/ports.tsv into the C table of what ports mean.

usage: gen_ports.py IN.tsv OUT.c

Checks every row on the way; a fault is printed as FILE:LINE: reason, nothing is
written and the exit status is 1.  Python 3, standard library only.
"""

import os
import re
import sys
import unicodedata

COLUMNS = ["port", "proto", "service", "from", "until", "purpose_en",
           "purpose_ja", "concerns_en", "concerns_ja", "cve", "kev",
           "certainty", "source", "date"]
PROTO_NUMBER = {"tcp": 6, "udp": 17}
OPEN_END = 9999
MAX_EN = 46          # characters
MAX_JA = 40          # columns: 20 full-width characters
SERVICE = re.compile(r"[a-z0-9][a-z0-9._+-]*")
CVE = re.compile(r"CVE-(\d{4})-\d{4,7}")
YEAR = re.compile(r"[12]\d{3}")
DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


class Faults(Exception):
    """Every fault found in one table, as FILE:LINE: reason."""


def width(text):
    """Terminal columns of a text: full-width characters count two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in text)


def split_list(text):
    return text.split(",") if text else []


def ports_of(text):
    """(first, last) of "25" or "0-1023"; None when it is neither."""
    match = re.fullmatch(r"(0|[1-9]\d{0,4})(?:-([1-9]\d{0,4}))?", text)
    if not match:
        return None
    first, last = int(match.group(1)), int(match.group(2) or match.group(1))
    if last > 65535 or (match.group(2) and last <= first):
        return None
    return first, last


def check_row(row, fault):
    """Check the fields of one row; row is a dict of strings."""
    for key, value in row.items():
        if value != value.strip():
            fault("%s: blanks at an end" % key)
        if any(unicodedata.category(c) == "Cc" for c in value):
            fault("%s: control character" % key)
    if ports_of(row["port"]) is None:
        fault("port: '%s' is neither 0..65535 nor FIRST-LAST" % row["port"])
    if row["proto"] not in PROTO_NUMBER:
        fault("proto: '%s' is neither tcp nor udp" % row["proto"])
    if not SERVICE.fullmatch(row["service"]):
        fault("service: '%s' is not a short lower-case name" % row["service"])
    if not YEAR.fullmatch(row["from"]):
        fault("from: '%s' is not a year" % row["from"])
    if row["until"] and not YEAR.fullmatch(row["until"]):
        fault("until: '%s' is not a year" % row["until"])
    for key in ("purpose_en", "purpose_ja", "concerns_en", "concerns_ja",
                "source"):
        if not row[key]:
            fault("%s: empty" % key)
    for key in ("purpose_en", "concerns_en", "source"):
        if not row[key].isascii():
            fault("%s: not ASCII" % key)
    if len(row["purpose_en"]) > MAX_EN:
        fault("purpose_en: %d characters, at most %d"
              % (len(row["purpose_en"]), MAX_EN))
    if width(row["purpose_ja"]) > MAX_JA:
        fault("purpose_ja: %d columns, at most %d"
              % (width(row["purpose_ja"]), MAX_JA))
    if row["certainty"] not in ("high", "medium", "low"):
        fault("certainty: '%s' is not high, medium or low" % row["certainty"])
    if not DATE.fullmatch(row["date"]):
        fault("date: '%s' is not YYYY-MM-DD" % row["date"])
    cves = split_list(row["cve"])
    for key in ("cve", "kev"):
        names = split_list(row[key])
        if len(set(names)) != len(names):
            fault("%s: an entry stands twice" % key)
        for name in names:
            if not CVE.fullmatch(name):
                fault("%s: '%s' is not a CVE name" % (key, name))
    for name in split_list(row["kev"]):
        if name not in cves:
            fault("kev: %s is not in cve" % name)
    if YEAR.fullmatch(row["from"]) and (not row["until"] or YEAR.fullmatch(row["until"])):
        until = int(row["until"]) if row["until"] else OPEN_END
        if until < int(row["from"]):
            fault("until: earlier than from")
        for name in cves:
            match = CVE.fullmatch(name)
            if match and int(match.group(1)) > until:
                fault("cve: %s is later than until %d" % (name, until))


def read_rows(path):
    """Rows of the table as dicts with port, from, until as numbers.

    Raises Faults with every fault of the file."""
    faults, rows, seen_header = [], [], False
    last = None
    with open(path, "rb") as stream:
        raw = stream.read()
    if raw and not raw.endswith(b"\n"):
        faults.append("%s:%d: no newline at the end" % (path, raw.count(b"\n") + 1))
    for number, line in enumerate(raw.split(b"\n"), 1):
        def fault(reason, number=number):
            faults.append("%s:%d: %s" % (path, number, reason))
        try:
            line = line.decode("utf-8")
        except UnicodeDecodeError:
            fault("not UTF-8")
            continue
        if not line or line.startswith("#"):
            continue
        fields = line.split("\t")
        if not seen_header:
            seen_header = True
            if fields != COLUMNS:
                fault("header is not: " + " ".join(COLUMNS))
            continue
        if len(fields) != len(COLUMNS):
            fault("%d fields, need %d" % (len(fields), len(COLUMNS)))
            continue
        row = dict(zip(COLUMNS, fields))
        before = len(faults)
        check_row(row, fault)
        if len(faults) > before:
            continue
        row["port"], row["port_last"] = ports_of(row["port"])
        row["from"] = int(row["from"])
        row["until"] = int(row["until"]) if row["until"] else OPEN_END
        row["line"] = number
        # Ranges stand last: what to say of ports without a row of their own.
        is_range = row["port_last"] != row["port"]
        key = (is_range, row["port"], PROTO_NUMBER[row["proto"]])
        if last is not None:
            last_key = (last["port_last"] != last["port"], last["port"],
                        PROTO_NUMBER[last["proto"]])
            if (key, row["from"]) < (last_key, last["from"]):
                fault("not sorted by port, proto, from")
            elif key == last_key and row["from"] <= last["until"]:
                fault("overlaps line %d in the year %d"
                      % (last["line"], row["from"]))
        last = row
        rows.append(row)
    if not seen_header:
        faults.append("%s:1: no header line" % path)
    elif not rows and not faults:
        faults.append("%s:1: no rows" % path)
    if faults:
        raise Faults("\n".join(faults))
    return rows


def c_string(text):
    """A C string literal; UTF-8 is kept, no trigraph can arise."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?")
    return '"' + text + '"'


def c_row(row):
    pair = lambda name: "{ %s, %s }" % (c_string(row[name + "_en"]),
                                        c_string(row[name + "_ja"]))
    return ("    { %d, %d, %d, %d, %d, %s,\n      %s,\n      %s,\n"
            "      %s, %s, %s,\n      %s, %s },\n"
            % (row["port"], row["port_last"], PROTO_NUMBER[row["proto"]], row["from"],
               row["until"], c_string(row["service"]), pair("purpose"),
               pair("concerns"), c_string(row["cve"]), c_string(row["kev"]),
               c_string(row["certainty"]), c_string(row["source"]),
               c_string(row["date"])))


def main(argv):
    if len(argv) != 3:
        sys.stderr.write("usage: gen_ports.py IN.tsv OUT.c\n")
        return 2
    try:
        rows = read_rows(argv[1])
    except Faults as faults:
        sys.stderr.write("%s\n" % faults)
        return 1
    except OSError as error:
        sys.stderr.write("gen_ports.py: %s\n" % error)
        return 1
    text = ["/* Made by tools/gen_ports.py from data/ports.tsv. Do not edit. */\n",
            '#include "bh_report_priv.h"\n\n',
            "const struct bh_port_row bh_port_rows[] = {\n"]
    single = [row for row in rows if row["port_last"] == row["port"]]
    text += [c_row(row) for row in rows]
    text += ["};\n\n", "const size_t bh_port_rows_count = %d;\n" % len(single),
             "const size_t bh_port_ranges_count = %d; /* behind them */\n"
             % (len(rows) - len(single))]
    try:
        part = argv[2] + ".part"
        with open(part, "w", encoding="utf-8", newline="\n") as stream:
            stream.write("".join(text))
        os.replace(part, argv[2])
    except OSError as error:
        sys.stderr.write("gen_ports.py: %s\n" % error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

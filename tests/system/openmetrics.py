# SPDX-License-Identifier: BSD-2-Clause
"""A strict reader of OpenMetrics text (specification 1.0.0), and that of Debian's python3-prometheus-client beside it."""
import re
import subprocess

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"'
SAMPLE = re.compile(r"(%s)(?:\{((?:%s)(?:,%s)*)?\})? (\S+)" % (NAME, LABEL.replace("(", "(?:", 1).replace('="(', '="(?:'),
                                                                LABEL.replace("(", "(?:", 1).replace('="(', '="(?:')))
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]Inf|NaN")
SUFFIXES = {"counter": ("_total", "_created"), "gauge": ("",), "info": ("_info",), "unknown": ("",)}
ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:]*:[0-9a-f:]*")


class Wrong(Exception):
    pass


def need(condition, why, line):
    if not condition:
        raise Wrong("%s: %r" % (why, line))


def read(text):
    """{family: (type, {(labels): value})}; Wrong when it is not valid."""
    need(text.endswith("# EOF\n"), "no # EOF at the end", text[-80:])
    lines = text[:-1].split("\n")
    need(lines[-1] == "# EOF" and "# EOF" not in lines[:-1], "# EOF more than once", "")
    families, family, meta = {}, None, set()
    for line in lines[:-1]:
        need(line == line.strip(" \t") and line, "blank, or blanks around", line)
        if line.startswith("#"):
            m = re.fullmatch(r"# (TYPE|UNIT|HELP) (%s) (.*)" % NAME, line)
            need(m, "no TYPE, UNIT or HELP", line)
            word, name, rest = m.groups()
            if name != family:
                need(name not in families, "a family stands in two places", line)
                family, meta = name, set()
                families[name] = ["unknown", {}]
            need(word not in meta and not families[name][1], "said twice, or after samples", line)
            meta.add(word)
            if word == "TYPE":
                need(rest in SUFFIXES, "type", line)
                families[name][0] = rest
            elif word == "UNIT":
                need(name.endswith("_" + rest) and families[name][0] != "info", "the name does not end in its unit", line)
            else:
                need(re.fullmatch(r'(?:[^\\\n]|\\[\\n"])*', rest), "escapes of HELP", line)
            continue
        m = SAMPLE.fullmatch(line)
        need(m and family, "sample", line)
        name, labels, value = m.group(1), m.group(2) or "", m.groups()[-1]
        kind = families[family][0]
        need(name in [family + s for s in SUFFIXES[kind]], "not a sample of %s, a %s" % (family, kind), line)
        need(NUMBER.fullmatch(value), "number", line)
        need(kind != "counter" or float(value) >= 0, "a negative counter", line)
        need(kind != "info" or float(value) == 1, "info is 1", line)
        pairs = re.findall(LABEL, labels)
        need(len(dict(pairs)) == len(pairs), "a label twice", line)
        key = tuple(sorted(pairs))
        need(key not in families[family][1], "a sample twice", line)
        families[family][1][key] = float(value)
    for name, (kind, samples) in families.items():
        for suffix in SUFFIXES[kind]:
            need(suffix == "" or name + suffix not in families, "names clash", name)
        for labels in samples:
            for label, value in labels:
                need(not ADDRESS.search(value) or label == "version", "an address in a label", labels)
    return families


PEER = """
import sys
try:
    from prometheus_client.openmetrics import parser
except ImportError:
    sys.exit(77)
print(len(list(parser.text_string_to_metric_families(sys.stdin.read()))))
"""


def peer(text):
    """How many families Debian's reader finds; None: it is not there."""
    done = subprocess.run(["/usr/bin/python3", "-c", PEER], input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode == 77:
        return None
    if done.returncode != 0:
        raise Wrong("the other reader: %s" % done.stderr.decode()[-400:])
    return int(done.stdout)

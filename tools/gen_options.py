#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Make C tables, manual pages and completions of option tables (programs/*/options*.tsv).

    gen_options.py c TABLE OUT.c OUT.h          the table for lib/base/bh_option.h
    gen_options.py man PAGE.scd OUT.scd VERSION TABLE...  fill @OPTIONS name@, @DETAILS name@ and @VERSION@;
                                                           NAME.settings among them: @SETTINGS name@
    gen_options.py complete SHELL OUT TABLE...  bash, zsh or fish, for one program

A table is lines of tab-separated cells; "-" is an empty cell, "\\n" a line break, "#" a comment.
Lines that begin with "@" describe the command, the others are one option each:

    @name      beholder report
    @operands  ENGLISH  JAPANESE
    @summary   ENGLISH  JAPANESE
    @details   ENGLISH  JAPANESE        (a paragraph; repeats)
    name  letter  type  argument  default  repeats  ENGLISH  JAPANESE

Type is flag, text, uint, file, or choice (its argument lists them: a|b|c).
"""
import os
import re
import sys

TYPES = ("flag", "text", "uint", "choice", "file")


class Table:
    def __init__(self, path):
        self.path = path
        self.name = ""
        self.operands = self.summary = ("", "")
        self.details = []
        self.options = []
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                line = line.rstrip("\n")
                if line.strip() and not line.startswith("#"):
                    try:
                        self.row([cell(c) for c in line.split("\t") if c != ""])
                    except ValueError as e:
                        sys.exit("%s:%d: %s" % (path, number, e))
        if not self.name:
            sys.exit("%s: no @name" % path)

    def row(self, c):
        if c[0] == "@name":
            self.name = c[1]
        elif c[0] in ("@operands", "@summary"):
            setattr(self, c[0][1:], (c[1], c[2]))
        elif c[0] == "@details":
            self.details.append((c[1], c[2]))
        elif c[0].startswith("@"):
            raise ValueError("unknown line " + c[0])
        elif len(c) != 8:
            raise ValueError("%d cells, not 8" % len(c))
        else:
            self.option(c)

    def option(self, c):
        o = dict(zip(("name", "letter", "type", "arg", "default", "repeats", "en", "ja"), c))
        if o["type"] not in TYPES:
            raise ValueError("unknown type " + o["type"])
        if not re.fullmatch("[a-z][a-z0-9-]*", o["name"]) or len(o["letter"]) > 1:
            raise ValueError("bad name or letter")
        if (o["type"] == "flag") != (o["arg"] == ""):
            raise ValueError("a flag has no argument, all others have one")
        for other in self.options:
            if o["name"] == other["name"] or (o["letter"] and o["letter"] == other["letter"]):
                raise ValueError("--%s, -%s: twice" % (o["name"], o["letter"]))
        self.options.append(o)

    @property
    def symbol(self):
        return self.name.replace(" ", "_").replace("-", "_") + "_command"


def cell(text):
    text = text.strip(" ") if not text.startswith("  ") else text.rstrip(" ")
    return "" if text == "-" else text.replace("\\n", "\n")


# ---- C ---------------------------------------------------------------------------------------

def c_text(s):
    if s == "":
        return '""'
    out = s.replace("\\", "\\\\").replace('"', '\\"').replace("\n", '\\n')
    return '"%s"' % out


def c_or_null(s):
    return "NULL" if s == "" else c_text(s)


def write_c(table, c_path, h_path):
    guard = os.path.basename(h_path).upper().replace(".", "_")
    h = ["/* Made by tools/gen_options.py from %s. */" % os.path.basename(table.path),
         "#ifndef " + guard, "#define " + guard, "", '#include "bh_option.h"', "",
         "extern const struct bh_command %s;" % table.symbol, "", "#endif"]
    c = [h[0], '#include "%s"' % os.path.basename(h_path), "",
         "static const struct bh_opt options[] = {"]
    for o in table.options:
        choice = o["type"] == "choice"
        c.append("    { %s, %s, BH_OPT_%s, %s, %s, %s, %s,\n      { %s,\n        %s } }," % (
            c_text(o["name"]), "'%s'" % o["letter"] if o["letter"] else "0", o["type"].upper(),
            "NULL" if choice else c_or_null(o["arg"]), c_or_null(o["arg"] if choice else ""),
            c_or_null(o["default"]), "true" if o["repeats"] else "false",
            c_text(o["en"]), c_text(o["ja"])))
    details = ["\n\n".join(d[lang] for d in table.details) for lang in (0, 1)]
    details = [d + "\n" if d else "" for d in details]
    c += ["};", "", "const struct bh_command %s = {" % table.symbol,
          "    .name = %s," % c_text(table.name)]
    for field, (en, ja) in (("operands", table.operands), ("summary", table.summary),
                            ("details", details)):
        c.append("    .%s = { %s,\n      %s }," % (field, c_text(en), c_text(ja)))
    c += ["    .options = options,", "    .option_count = BH_COUNT(options),", "};"]
    save(c_path, "\n".join(c) + "\n")
    save(h_path, "\n".join(h) + "\n")


# ---- manual pages ------------------------------------------------------------------------------

def scd(s):
    return re.sub(r"([\\_*`\[\]|#~])", r"\\\1", s)


def man_options(table):
    out = []
    for o in table.options:
        head = "*-%s*, " % o["letter"] if o["letter"] else ""
        head += "*--%s*" % scd(o["name"])
        if o["arg"]:
            head += " " + ("|".join("*%s*" % scd(a) for a in o["arg"].split("|"))
                           if o["type"] == "choice" else "_%s_" % o["arg"].replace("_", r"\_"))
        text = scd(o["en"])
        notes = ["may be repeated"] if o["repeats"] else []
        notes += ["default: %s" % scd(o["default"])] if o["default"] else []
        if notes:
            text += " (%s)" % "; ".join(notes)
        out.append("%s\n\t%s" % (head, text))
    return "\n\n".join(out)


def man_details(table):
    """Paragraphs; lines that begin with blanks become literal blocks."""
    out = []
    for english, _ in table.details:
        literal = False
        for line in english.split("\n"):
            if line.startswith("  ") != literal:
                out.append("```")
                literal = not literal
            out.append(line[2:] if literal else scd(line))
        if literal:
            out.append("```")
        out.append("")
    return "\n".join(out).rstrip("\n")


def write_man(page, out, tables, version, settings=()):
    with open(page, encoding="utf-8") as f:
        text = f.read()
    for path in settings:  # made by modules/output/settings_doc
        with open(path, encoding="utf-8") as f:
            text = text.replace("@SETTINGS %s@" % os.path.basename(path).split(".")[0], f.read().rstrip("\n"))
    by_name = {t.name: t for t in tables}

    def fill(m):
        if m.group(1) not in by_name:
            sys.exit("%s: no option table for %s" % (page, m.group(1)))
        return what(by_name[m.group(1)])
    for word, what in (("OPTIONS", man_options), ("DETAILS", man_details)):
        text = re.sub("@%s ([a-z -]+)@" % word, fill, text)
    save(out, text.replace("@VERSION@", version))


# ---- completions -------------------------------------------------------------------------------

def split(tables):
    """The program's name, its own table, and {verb: table}."""
    program = tables[0].name.split(" ")[0]
    verbs = {}
    for t in tables:
        words = t.name.split(" ")
        if words[0] != program:
            sys.exit("%s is not of %s" % (t.path, program))
        verbs[" ".join(words[1:])] = t
    return program, verbs.pop("", None), verbs


def words_of(table):
    words = ["--" + o["name"] for o in table.options]
    return words + ["-" + o["letter"] for o in table.options if o["letter"]]


def bash(tables):
    program, own, verbs = split(tables)
    fn = "_" + program.replace("-", "_")
    out = ["# bash completion for %s; made from its option tables" % program, "",
           fn + "() {", "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}",
           "    local verb=", "    COMPREPLY=()"]
    if verbs:
        out += ["    [ \"$COMP_CWORD\" -gt 1 ] && verb=${COMP_WORDS[1]}"]
    out += ["    case $verb,$prev in"]
    for verb, t in ([("", own)] if own else []) + sorted(verbs.items()):
        for o in t.options:
            names = ["%s,--%s" % (verb, o["name"])]
            names += ["%s,-%s" % (verb, o["letter"])] if o["letter"] else []
            if o["type"] == "choice":
                act = "mapfile -t COMPREPLY < <(compgen -W %s -- \"$cur\")" % (
                    "'%s'" % o["arg"].replace("|", " "))
            elif o["type"] == "file":
                act = "mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")"
            elif o["type"] == "flag":
                continue
            else:
                act = ":"
            out.append("    %s) %s; return ;;" % ("|".join(names), act))
    out += ["    esac", "    case $cur in", "    -*)", "        case $verb in"]
    for verb, t in sorted(verbs.items()):
        out.append("        %s) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\") ;;"
                   % (verb, " ".join(words_of(t))))
    if own:
        out.append("        *) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\") ;;"
                   % " ".join(words_of(own)))
    out += ["        esac", "        return ;;", "    esac"]
    if verbs:
        out += ["    if [ \"$COMP_CWORD\" -eq 1 ]; then",
                "        mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")"
                % " ".join(sorted(verbs)), "        return", "    fi"]
    out += ["    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")", "}", "",
            "complete -o filenames -F %s %s" % (fn, program)]
    return "\n".join(out) + "\n"


def zsh_quote(s):
    return s.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh_specs(table):
    out = []
    for o in table.options:
        text = zsh_quote(o["en"])
        value = ""
        if o["type"] == "choice":
            value = ":%s:(%s)" % (o["name"], o["arg"].replace("|", " "))
        elif o["type"] == "file":
            value = ":%s:_files" % zsh_quote(o["arg"])
        elif o["type"] != "flag":
            value = ":%s: " % zsh_quote(o["arg"])
        names = ["--" + o["name"]] + (["-" + o["letter"]] if o["letter"] else [])
        for name in names:
            prefix = "*" if o["repeats"] else "(%s)" % " ".join(names)
            mark = "=" if value and name.startswith("--") else "+" if value else ""
            out.append("'%s%s%s[%s]%s'" % (prefix, name, mark, text, value))
    return out


def zsh(tables):
    program, own, verbs = split(tables)
    out = ["#compdef " + program, "# made from its option tables", ""]
    for verb, t in sorted(verbs.items()):
        out += ["_%s_%s() {" % (program, verb), "    _arguments -s \\"]
        out += ["        %s \\" % s for s in zsh_specs(t)] + ["        '*:file:_files'", "}", ""]
    out += ["_%s() {" % program]
    if verbs:
        out += ["    if (( CURRENT > 2 )); then", "        case $words[2] in"]
        for verb in sorted(verbs):
            out.append("        %s) shift words; (( CURRENT-- )); _%s_%s; return ;;"
                       % (verb, program, verb))
        out += ["        esac", "    fi", "    local -a verbs", "    verbs=("]
        out += ["        '%s:%s'" % (v, zsh_quote(t.summary[0])) for v, t in sorted(verbs.items())]
        out += ["    )", "    _describe verb verbs"]
    if own:
        out += ["    _arguments -s \\"]
        out += ["        %s \\" % s for s in zsh_specs(own)]
        out += ["        '*:file:_files'"]
    out += ["}", "", "_%s \"$@\"" % program]
    return "\n".join(out) + "\n"


def fish(tables):
    program, own, verbs = split(tables)

    def q(s):
        return "'%s'" % s.replace("\\", "\\\\").replace("'", "\\'")
    out = ["# fish completion for %s; made from its option tables" % program]
    for verb, t in sorted(verbs.items()):
        out.append("complete -c %s -f -n __fish_use_subcommand -a %s -d %s"
                   % (program, verb, q(t.summary[0])))
    for verb, t in ([("", own)] if own else []) + sorted(verbs.items()):
        when = " -n '__fish_seen_subcommand_from %s'" % verb if verb else (
            " -n __fish_use_subcommand" if verbs else "")
        for o in t.options:
            line = "complete -c %s%s -l %s" % (program, when, o["name"])
            line += " -s %s" % o["letter"] if o["letter"] else ""
            if o["type"] == "choice":
                line += " -x -a %s" % q(o["arg"].replace("|", " "))
            elif o["type"] == "file":
                line += " -r -F"
            elif o["type"] != "flag":
                line += " -x"
            out.append(line + " -d " + q(o["en"]))
    return "\n".join(out) + "\n"


def save(path, text):
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        f.write(text)


def main(a):
    if len(a) == 4 and a[0] == "c":
        write_c(Table(a[1]), a[2], a[3])
    elif len(a) > 4 and a[0] == "man":
        settings = [t for t in a[4:] if t.endswith(".settings")]
        write_man(a[1], a[2], [Table(t) for t in a[4:] if t not in settings], a[3], settings)
    elif len(a) > 3 and a[0] == "complete":
        save(a[2], {"bash": bash, "zsh": zsh, "fish": fish}[a[1]]([Table(t) for t in a[3:]]))
    else:
        sys.exit(__doc__)


main(sys.argv[1:])

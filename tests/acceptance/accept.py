# SPDX-License-Identifier: BSD-2-Clause
"""What the acceptance and golden tests share: TAP lines, running programs, captures made once.

In the environment: BEHOLDER and KOBOLD (paths of the programs), BH_BUILD_ROOT (made captures are kept in
tests/made/ of it), BH_SOURCE_ROOT, KOBOLD_DB (the default country database), BH_SHARED_DATA (real captures and logs,
which not everybody has), BH_TEST_NPM_TABLE. By hand: BEHOLDER=build/programs/beholder/beholder tests/acceptance/memo
"""
import difflib
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback

TESTS = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
TOP = os.environ.get("BH_SOURCE_ROOT") or os.path.dirname(TESTS)
BUILD = os.environ.get("BH_BUILD_ROOT") or os.path.join(TOP, "build")
MEMO = os.path.join(TESTS, "memo-2007")
SHARED = os.environ.get("BH_SHARED_DATA") or ""
TIMEOUT_S = 540
THOROUGH = "BH_THOROUGH" in os.environ


SLOW = os.environ.get("BH_SANITIZE", "none") != "none"


def fewer(count, least=1):
    """How often a test run tries what BH_THOROUGH=1 tries `count` times: half as often again with sanitizers."""
    return count if THOROUGH else max(least, count // (8 if SLOW else 4))


def some(cases, step=2):
    """All of them, but every `step`-th with sanitizers: numbers are compared by the plain build, and memory is the same for most."""
    return cases[::step] if SLOW and not THOROUGH else cases


def program(variable, path):
    found = os.environ.get(variable) or os.path.join(BUILD, path)
    if not os.path.exists(found):
        print("Bail out! no program %s: set %s" % (found, variable))
        sys.exit(99)
    # A cross build: meson says what runs its programs.
    return shlex.split(os.environ.get("MESON_EXE_WRAPPER", "")) + [os.path.abspath(found)]


class Skip(Exception):
    """This case cannot be tried here; the text says why."""


class Failure(AssertionError):
    pass


class Tap:
    """Cases, each a function; its docstring or name is not used, the given name is."""

    def __init__(self, wanted=()):
        self.count = self.failed = self.skipped = 0
        self.wanted = set(wanted)

    def case(self, name, run, *args, **named):
        if self.wanted and name not in self.wanted:
            return
        self.count += 1
        before = os.times()
        try:
            run(*args, **named)
        except Skip as why:
            self.skipped += 1
            print("ok %d - %s # SKIP %s" % (self.count, name, why), flush=True)
            return
        except Failure as why:
            self.fail(name, str(why))
            return
        except Exception:  # a report without the expected keys is a failure, not the end of all cases
            self.fail(name, traceback.format_exc())
            return
        now = os.times()
        print("ok %d - %s" % (self.count, name))
        print("# %.1f s, %.1f s of processors" % (now.elapsed - before.elapsed, sum(now[:4]) - sum(before[:4])), flush=True)

    def fail(self, name, why):
        self.failed += 1
        print("not ok %d - %s" % (self.count, name))
        print("\n".join("# " + line for line in why.splitlines()[:60]), flush=True)

    def end(self):
        print("1..%d" % self.count)
        sys.exit(1 if self.failed else 77 if self.count and self.skipped == self.count else 0)


def check(condition, text, *args):
    if not condition:
        raise Failure(text % args if args else text)


def same(got, wanted, what):
    if got != wanted:
        where, got, wanted = narrow(got, wanted, what)
        raise Failure("%s:\n  got      %s\n  expected %s" % (where, brief(got), brief(wanted)))


def narrow(got, wanted, where):
    """To the first place where they differ."""
    if isinstance(got, dict) and isinstance(wanted, dict) and got.keys() == wanted.keys():
        for k in got:
            if got[k] != wanted[k]:
                return narrow(got[k], wanted[k], "%s: %s" % (where, k))
    if isinstance(got, list) and isinstance(wanted, list) and len(got) == len(wanted) > 1 \
            and isinstance(got[0], (dict, list, tuple)):
        for i, pair in enumerate(zip(got, wanted)):
            if pair[0] != pair[1]:
                return narrow(pair[0], pair[1], "%s[%d]" % (where, i))
    return where, got, wanted


def brief(value):
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) < 1500 else text[:1500] + " ..."


def same_text(got, wanted, what, lines=40):
    if got == wanted:
        return
    diff = difflib.unified_diff(wanted.splitlines(), got.splitlines(), "expected", "got", lineterm="")
    raise Failure("%s differs:\n%s" % (what, "\n".join(list(diff)[:lines])))


def need_tool(name):
    if shutil.which(name) is None:
        raise Skip("no " + name)


def shared(path):
    if not SHARED or not os.path.exists(os.path.join(SHARED, path)):
        raise Skip("BH_SHARED_DATA has no %s" % path)
    return os.path.join(SHARED, path)


# ---- programs ---------------------------------------------------------------------------------

BASE_ENV = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "NO_COLOR": "1", "COLUMNS": "80"}


def environment(**more):
    env = dict(os.environ, **BASE_ENV)
    env.pop("LANG", None)
    env.update(more)
    return env


AGE = b"kobold update --fetch"  # behind it stands a name at most


class Result:
    """`err` is without the line that says how old the country data are by now, for that depends on the day the tests
    are run; it is in `age`."""

    def __init__(self, done):
        self.code, self.out = done.returncode, done.stdout
        lines = done.stderr.splitlines(keepends=True)
        self.age = b"".join(x for x in lines if AGE in x and re.search(rb"\d\d\d\d-\d\d-\d\d", x))
        self.err = b"".join(x for x in lines if x not in self.age.splitlines(keepends=True))

    def text(self):
        return self.out.decode("utf-8", "surrogateescape")

    def error_text(self):
        return self.err.decode("utf-8", "surrogateescape")


def in_namespace(name):
    """What begins a command inside a named network namespace. "ip netns exec" and "ip -n" mount /sys anew, which a chroot refuses."""
    return ("nsenter", "--net=/run/netns/" + name)


def run(command, **more):
    more.setdefault("env", environment())
    more.setdefault("stdin", subprocess.DEVNULL)
    if more.get("input") is not None:
        more.pop("stdin")
    return Result(subprocess.run(command, stdout=more.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE,
                                 timeout=TIMEOUT_S, **more))


def beholder(*args, **more):
    return run(program("BEHOLDER", "programs/beholder/beholder") + [str(a) for a in args], **more)


def report(*args, **more):
    """The report on stdout as JSON; anything but success is a failure of the case."""
    done = beholder("report", *args, "-o", "json", **more)
    check(done.code == 0, "beholder report %s: exit %d\n%s", " ".join(map(str, args)), done.code, done.error_text())
    return json.loads(done.text())


def kobold(*args):
    done = run(program("KOBOLD", "programs/kobold/kobold") + [str(a) for a in args])
    check(done.code == 0, "kobold %s: exit %d\n%s", " ".join(map(str, args)), done.code, done.error_text())
    return done


def default_database():
    path = os.environ.get("KOBOLD_DB") or os.path.join(BUILD, "data", "country.kdb")
    if not os.path.exists(path):
        raise Skip("no country database was built")
    return path


# ---- things made once --------------------------------------------------------------------------

def made_folder():
    folder = os.path.join(BUILD, "tests", "made")
    try:
        os.makedirs(folder, exist_ok=True)
        return folder
    except OSError:
        return tempfile.mkdtemp(prefix="beholder-made-")


def made(name, sources, make):
    """The path of `name`, made by make(path) unless it was already, from the same sources."""
    h = hashlib.sha256()
    for s in sources:
        with open(s, "rb") as f:
            h.update(f.read())
    stem, dot, ending = name.partition(".")
    path = os.path.join(made_folder(), "%s-%s%s%s" % (stem, h.hexdigest()[:12], dot, ending))
    if not os.path.exists(path):
        temporary = "%s.%d" % (path, os.getpid())
        make(temporary)
        os.replace(temporary, path)
    return path


def memo_capture(*options, prefixes=None):
    """(capture, expected) of the memo's generator with these options; `prefixes`: instead of its prefixes.csv."""
    folder = MEMO
    sources = [os.path.join(MEMO, f) for f in ("make_memo_pcap.py", "tables.csv", "ports.csv", "crosstab.csv",
                                               "drilldown.csv")]
    sources.append(prefixes or os.path.join(MEMO, "prefixes.csv"))
    name = "memo" + "".join("_" + o.strip("-").replace(".", "_") for o in options)
    temporary = None
    if prefixes:
        temporary = folder = tempfile.mkdtemp(prefix="beholder-memo-")
        for s in sources[:-1]:
            shutil.copy(s, folder)
        shutil.copy(prefixes, os.path.join(folder, "prefixes.csv"))
        name += "_prefixes"

    def make(path):
        done = run([sys.executable, os.path.join(folder, "make_memo_pcap.py"), "-o", path,
                    "-e", path + ".json"] + list(options))
        check(done.code == 0, "make_memo_pcap.py: %s", done.error_text())
        os.replace(path + ".json", wanted)

    # Its file of expected numbers stands beside, under the same name: it is there before the capture is.
    h = hashlib.sha256()
    for s in sources:
        with open(s, "rb") as f:
            h.update(f.read())
    wanted = os.path.join(made_folder(), "%s-%s.json" % (name, h.hexdigest()[:12]))
    try:
        capture = made(name + ".pcap", sources, make)
    finally:
        if temporary:
            shutil.rmtree(temporary)
    with open(wanted, encoding="utf-8") as f:
        return capture, json.load(f)


def compiled(name, sources, *options):
    """A country database of these files, made anew when the compiler of databases is another one."""
    return made(name + ".kdb", list(sources) + program("KOBOLD", "programs/kobold/kobold")[-1:],
                lambda path: kobold("compile", "-q", "-o", path, *options, *sources))

# SPDX-License-Identifier: ISC
"""The suite: every clause of conform on every back end, every unit test, and
the programs around them.

Tests that boot the host share boots. Which clauses are wanted is known after
collection; they are put in batches, the batches run two at a time in the
background, and each test waits for its own line.
"""
import fnmatch
import os
import pathlib
import re
import secrets
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools"))
import emu  # noqa: E402  (found by the line above)

from left_out import left_out  # noqa: E402

BUILD = TOP / os.environ.get("VMM_BUILD", "build")
BACKENDS = list(emu.BACKENDS.values())
# Clauses of one boot, at most: metal takes 64 words, and boots in no time.
BATCH = {"metal": 30, "linux": 1000}
JOBS = min(2, os.cpu_count() or 1)
# Clauses that need seconds: not in make quick, and each a boot of its own that
# starts first, so that the others run beside it.
SLOW = {"qemu": ["F17.db-loop", "F17.ac-loop"],
        "bochs": ["F5.many"]}
BOOTS = 3               # of one batch, when a clause ends the boot
# Of QEMU's Linux the clock counts instructions, and it has one CPU: a run is
# the same each time. With more CPUs, that take turns, TCG (7.2) delivers an
# injected event twice if it is another CPU's turn before the guest exits. So
# only clauses that are about CPUs have several, and none of them injects.
CPUS = 4
ON_CPUS = ["B1.migrate", "B1.swap*", "B1.all", "B1.dies", "B1.term",
           "B1.vcpus*", "3.0.*", "3.2.contend", "3.4.once", "3.1.many",
           "F26.*", "L1.*", "F23.against*", "F20.running"]
# Seconds for a boot; a hang, not a slow machine.
BOOT_LIMIT = {"metal-svm": 100, "metal-vmx": 100, "metal-svm-bochs": 100,
              "linux-svm": 600, "linux-vmx": 1500}
# Seconds of the host's clock for a clause, where they are not conform's own
# choice: Bochs does a million instructions in one, for Linux 20 million.
CLAUSE_LIMIT = {"metal-vmx": 1000, "metal-svm-bochs": 1000,
                "linux-svm": 120, "linux-vmx": 400}

# nohup(1), or a shell's background job, ignores signals, and what it starts
# does. What tests start does not: a handler is not handed down.
for ignored in signal.SIGHUP, signal.SIGINT, signal.SIGQUIT:
    if signal.getsignal(ignored) == signal.SIG_IGN:
        signal.signal(ignored, lambda *_: None)


def pytest_addoption(parser):
    group = parser.getgroup("vmm")
    group.addoption("--only", metavar="GLOB",
                    help="tests whose clause id or name matches")
    group.addoption("--quick", action="store_true",
                    help="leave out the tests marked slow")
    group.addoption("--no-unit", action="store_true",
                    help="leave out the unit tests")


def terminated(*_):
    """SIGTERM: the emulators end now, without waiting for their batches."""
    emu.abandon()
    os._exit(128 + signal.SIGTERM)


def pytest_configure(config):
    signal.signal(signal.SIGTERM, terminated)
    config.addinivalue_line("markers", "slow: not part of make quick")
    config.addinivalue_line("markers", "clause(id): a line of conform's TAP")


def names(item):
    """What --only is matched against."""
    yield item.path.stem.removeprefix("test_")
    yield item.name
    yield item.name.split("[")[0].removeprefix("test_")
    if hasattr(item, "callspec"):
        for part in item.callspec.id.split("--"):
            yield part
    for mark in item.iter_markers("clause"):
        yield mark.args[0]


def pytest_collection_modifyitems(config, items):
    only = config.getoption("--only")
    drop = []
    for item in items:
        if only and not any(fnmatch.fnmatchcase(n, only) or n == only
                            for n in names(item)):
            drop.append(item)
        elif config.getoption("--quick") and item.get_closest_marker("slow"):
            drop.append(item)
        elif config.getoption("--no-unit") and item.path.stem == "test_unit":
            drop.append(item)
    if only and len(drop) == len(items):
        raise pytest.UsageError(f"no test is named {only}: name a clause, a "
                                "test or a file of tests, or use a glob")
    if drop:
        config.hook.pytest_deselected(items=drop)
        items[:] = [i for i in items if i not in drop]
    # The boots go on in the background; the unit tests need none of them.
    items.sort(key=lambda i: i.path.stem != "test_unit")


# --- conform ---------------------------------------------------------------

@dataclass
class Line:
    """One result line of TAP."""
    ok: bool
    skip: str               # why, or None
    notes: list = field(default_factory=list)


TAP = re.compile(r"(?P<not>not )?ok (?P<n>\d+) - (?P<id>\S+)"
                 r"(?: (?P<title>.*?))?(?: # SKIP ?(?P<why>.*))?$")


def parse_tap(log, nonce):
    """TAP in a serial log: ({clause: Line}, what is wrong with the whole).

    Lines before the header are the host's own boot messages.
    """
    lines = log.splitlines()
    if "TAP version 13" not in lines:
        return {}, "no TAP header"
    lines = lines[lines.index("TAP version 13") + 1:]
    if f"# nonce {nonce}" not in lines[:3]:
        return {}, f"the nonce {nonce} did not come back"
    results, last, plan, wrong = {}, None, None, ""
    for line in lines:
        m = TAP.match(line)
        if m:
            if m["id"] in results:
                wrong = f"{m['id']} reported twice"
            last = results[m["id"]] = Line(not m["not"], m["why"])
        elif line.startswith("1.."):
            plan = int(line[3:])
        elif line.startswith("#") and last:
            last.notes.append(line[1:].strip())
        elif line.startswith("Bail out!"):
            wrong = line
    if not wrong and plan != len(results):
        wrong = f"planned {plan} clauses, reported {len(results)}"
    return results, wrong


def list_clauses():
    """[(id, title)] from the program itself; it needs no /dev/vmm for it."""
    conform = BUILD / "bin/conform"
    try:
        out = subprocess.run([conform, "--list"], capture_output=True,
                             text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError) as e:
        raise pytest.UsageError(f"conform --list: {e}; run make all") from e
    clauses = [tuple(line.split("\t", 1)) for line in out.splitlines()]
    if not clauses:
        raise pytest.UsageError("conform lists no clause")
    return clauses


class Batch:
    """Clauses that share a boot, and what became of them."""

    def __init__(self, backend, clauses):
        self.backend = backend
        self.clauses = clauses
        self.nonce = secrets.randbits(63) | 1
        self.future = None

    def args(self, clauses):
        args = ["conform", "--nonce", str(self.nonce)]
        if self.backend.name in CLAUSE_LIMIT:
            args += ["--limit", str(CLAUSE_LIMIT[self.backend.name])]
        for clause in clauses:
            args += ["--only", clause]
        return args

    def takes(self, clause):
        """Is there room for one more?"""
        more = len(f" --only {clause}")
        return len(self.clauses) < BATCH[self.backend.host] and \
            len(" ".join(self.args(self.clauses))) + more <= self.backend.line

    def run(self):
        """{clause: (its line or None, its boot, what is wrong with that)}.

        When a clause ends the boot, those behind it get another one.
        """
        done, left = {}, self.clauses
        for _ in range(BOOTS):
            job = emu.Job(BUILD, self.args(left))
            result = emu.run(self.backend, job, BOOT_LIMIT[self.backend.name])
            lines, wrong = parse_tap(result.log, self.nonce)
            for clause in left:
                done[clause] = lines.get(clause), result, wrong
            left = [c for c in left if c not in lines]
            if left and not wrong.startswith("Bail out!"):
                left.pop(0)         # it ended the boot, without a line
            if not left:
                break
        return done

    def line(self, clause):
        """The clause's own line, or a failure that says why there is none."""
        line, result, wrong = self.future.result()[clause]
        if line and not result.why.startswith("the host"):
            return line, result
        pytest.fail(
            f"{clause}: no result: {wrong}; {result.why}\n"
            f"--- serial line, last lines:\n{result.tail()}", pytrace=False)


def on_cpus(clause):
    return any(fnmatch.fnmatchcase(clause, glob) for glob in ON_CPUS)


def batches(backend, clauses):
    """The clauses, in order, in pieces that fit one boot; the slow first."""
    if backend.name == "linux-svm" and not backend.count:
        many = replace(backend, cpus=CPUS)
        few = replace(backend, cpus=1, count=True)
        return [Batch(b, some) for b, some in (
            (many, [c for c in clauses if on_cpus(c)]),
            (few, [c for c in clauses if not on_cpus(c)])) if some]
    slow = [c for c in SLOW[backend.emulator] if c in clauses
            and backend.host == "metal"]
    made = [Batch(backend, [c]) for c in slow]
    batch = Batch(backend, [])
    for clause in clauses:
        if clause in slow:
            continue
        if not batch.takes(clause):
            made.append(batch)
            batch = Batch(backend, [])
        batch.clauses.append(clause)
    return made + [batch] if batch.clauses else made


class Boots:
    """All batches of a session, run in the background: what is slow first,
    the rest in test order."""

    def __init__(self, wanted):
        self.pool = ThreadPoolExecutor(JOBS)
        self.batch_of = {}
        made = [batch for name, clauses in wanted.items()
                for batch in batches(emu.BACKENDS[name], clauses)]
        for batch in sorted(made, key=lambda b: (
                b.backend.name != "linux-vmx", b.backend.host != "linux",
                b.clauses[0] not in SLOW[b.backend.emulator])):
            batch.future = self.pool.submit(batch.run)
            for clause in batch.clauses:
                self.batch_of[batch.backend.name, clause] = batch

    def line(self, backend, clause):
        return self.batch_of[backend, clause].line(clause)

    def close(self):
        self.pool.shutdown(cancel_futures=True)


def pytest_collection_finish(session):
    wanted = {}
    for item in session.items:
        for mark in item.iter_markers("clause"):
            backend = item.callspec.params["backend"]
            wanted.setdefault(backend, []).append(mark.args[0])
    if not session.config.getoption("collectonly"):
        session.config.boots = Boots(wanted)


def pytest_terminal_summary(terminalreporter, config):
    """What was not run, every time; left_out.py has the reasons."""
    ran = config.boots.batch_of if hasattr(config, "boots") else []
    for backend in BACKENDS:
        out = left_out(backend.name)
        if out and any(name == backend.name for name, clause in ran):
            terminalreporter.write_line(
                f"{backend.name} never runs {len(out)} clauses: "
                "tests/integration/left_out.py says why")


def pytest_unconfigure(config):
    if hasattr(config, "boots"):
        config.boots.close()


@pytest.fixture
def boots(request):
    return request.config.boots


# --- single boots ----------------------------------------------------------

@pytest.fixture(scope="session")
def debug_build():
    """Where the build is that judges every entry by the manual's rules."""
    build = BUILD / "debug"
    build.mkdir(parents=True, exist_ok=True)
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    subprocess.run(
        ["flock", build / ".lock", "make", "-s", f"-j{JOBS}", "DEBUG=1",
         f"BUILD={os.path.relpath(build, TOP)}", "all"],
        cwd=TOP, env=env, check=True)
    return build


@pytest.fixture
def boot():
    """boot(args, ...): one run, on metal-svm unless it says where else; fails
    if the client did."""
    def go(args, expect=0, limit=60, backend="metal-svm", build=BUILD, **job):
        if isinstance(backend, str):
            backend = emu.BACKENDS[backend]
        result = emu.run(backend, emu.Job(build, args, **job), limit)
        if expect is not None and result.status != expect:
            pytest.fail(f"{' '.join(args)}: {result.why}\n"
                        f"--- serial line, last lines:\n{result.tail()}",
                        pytrace=False)
        return result
    return go

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Plants the bugs of tests/mutants one by one; each must be found.

A patch begins with a header: what the bug is, then

    Killed-by: unit:SUITE/TEST          a Check test (SUITE: dev/check_NAME)
    Killed-by: unit:SUITE@intel/TEST    the same, on the fake Intel CPUs
    Killed-by: conform:CLAUSE           a clause, on metal-svm
    Killed-by: conform@BACKEND:CLAUSE   a clause, on another back end
    Killed-by: guest:TEST               a test of test_guest.py
    Dies-by: hang | fault               if the bug ends the host itself

In a copy of the tree the patch is applied, what changed is built (for a back
end of Linux: the module, and a RAM disk with it), and that one test runs. The
mutant is killed if the test ran and went red. A patch that does not apply, a
build that fails, a test that never ran: none of these is a kill, and each
fails the run. The same tests must be green without the patches; that is asked
of the tree itself, first.
"""
import argparse
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import emu

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/integration"))
import conftest  # noqa: E402  (found by the line above)

# Seconds: for one boot, or one suite; for a boot that is expected to hang.
LIMIT = {"unit": 120, "metal": 120, "linux": 600, "guest": 900}
HANG = {"metal": 20, "linux": 90}
# Of Linux's clock, for a clause that may hang.
CLAUSE_LIMIT = {"linux": 30}


@dataclass
class Mutant:
    name: str
    patch: pathlib.Path
    where: str          # "unit", "guest", or the back end
    test: str
    dies: str           # "", "hang" or "fault"

    @property
    def host(self):
        """What runs the test: "unit", "guest", "metal" or "linux"."""
        return self.where if self.where in ("unit", "guest") else \
            emu.BACKENDS[self.where].host

    @property
    def suite(self):
        """Of a Check test; dev/SUITE for one of vmctl's devices."""
        return self.test.rpartition("/")[0]

    def __str__(self):
        return f"{self.where}:{self.test}"


@dataclass
class Verdict:
    red: bool
    why: str
    ran: bool = True    # the test itself gave a verdict
    log: str = ""


def load(patch):
    header, _, diff = patch.read_text().partition("\n--- ")
    killed = re.search(r"^Killed-by: (unit|guest|conform(?:@(\S+?))?):(\S+)$",
                       header, re.M)
    dies = re.search(r"^Dies-by: (hang|fault)$", header, re.M)
    if not killed:
        raise SystemExit(f"{patch.name}: no Killed-by line")
    where = killed[1] if killed[1] in ("unit", "guest") else \
        killed[2] or "metal-svm"
    if where not in ("unit", "guest", *emu.BACKENDS):
        raise SystemExit(f"{patch.name}: no back end {where}")
    m = Mutant(patch.stem, patch, where, killed[3], dies[1] if dies else "")
    if "/src/host/linux/" in diff and m.host != "linux":
        raise SystemExit(f"{patch.name}: a bug of the Linux host, and "
                         f"{where} never runs that")
    return m


# What each kind of test is built from, beside the sources. The module is made
# anew: Kbuild has names of the tree it worked in.
CACHE = {
    "unit": ("unit",),
    "metal": ("bin", "conform", "guests", "metal", "obj"),
    "linux": ("bench", "bin", "conform", "guests", "obj", "stress"),
    "guest": ("bench", "bin", "conform", "guests", "obj", "stress"),
}


def copy_tree(to, build, host):
    """The files of the tree and its build cache, times kept."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, text=True,
        capture_output=True, check=True).stdout.splitlines()
    for name in names:
        if (TOP / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, to / name)
    for part in CACHE[host]:
        if (build / part).is_dir():
            shutil.copytree(build / part, to / "build" / part, symlinks=True)
    if host in ("linux", "guest"):
        (to / "build/kernel").symlink_to(build / "kernel")


def run_suite(tree, suite):
    """What the suite's tests said, as TAP, and its output."""
    program, _, cpu = suite.partition("@")
    with tempfile.NamedTemporaryFile(prefix="vmm.") as tap:
        try:
            done = subprocess.run(
                [tree / "build/unit" / program], cwd=tree, text=True,
                errors="replace", stdin=subprocess.DEVNULL, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=emu.time_limit(LIMIT["unit"]),
                env={"CK_TAP_LOG_FILE_NAME": tap.name, "PATH": "/usr/bin",
                     "UNIT_CPU": cpu or "amd"})
        except subprocess.TimeoutExpired:
            return "", "the suite hung"
        return (pathlib.Path(tap.name).read_text(errors="replace"),
                done.stdout)


def unit_verdict(ran, test):
    suite, _, name = test.rpartition("/")
    tap, log = ran
    found = re.findall(rf"^(not )?ok \d+ - [^:]*:[^:]*:{name}: ?(.*)$", tap,
                       re.M)
    if not found:
        return Verdict(False, f"{suite} never ran {name}", False, log)
    bad = [why for no, why in found if no]
    return Verdict(bool(bad), bad[0] if bad else "passed", True, log)


def run_conform(tree, backend, clauses, dies=""):
    """{clause: Verdict} of one boot."""
    nonce = secrets.randbits(63) | 1
    host = emu.BACKENDS[backend].host
    limit = (HANG if dies == "hang" else LIMIT)[host]
    # On Linux a client that hangs in the kernel outlives its last word.
    job = emu.Job(tree / "build", ["conform", "--nonce", str(nonce)],
                  until=b"Bail out!" if host == "linux" else b"")
    if host in CLAUSE_LIMIT:
        job.args += ["--limit", str(CLAUSE_LIMIT[host])]
    for clause in clauses:
        job.args += ["--only", clause]
    result = emu.run(emu.BACKENDS[backend], job, limit)
    lines, wrong = conftest.parse_tap(result.log, nonce)
    log = result.tail()
    verdicts = {}
    for clause in clauses:
        line = lines.get(clause)
        if line is None:
            v = Verdict(False, f"{wrong}; {result.why}", False, log)
        elif line.skip is not None:
            v = Verdict(False, f"skipped: {line.skip}", False, log)
        elif line.ok and "kernel complained" in result.why:
            v = Verdict(True, result.why, True, log)
        else:
            v = Verdict(not line.ok, "; ".join(line.notes[:2]) or "passed",
                        True, log)
        verdicts[clause] = v
    return verdicts


def run_guest(tree, test):
    """One test of test_guest.py, in that tree."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-c",
             "tests/integration/pytest.ini",
             f"tests/integration/test_guest.py::{test}"], cwd=tree,
            text=True, errors="replace", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            timeout=emu.time_limit(LIMIT["guest"]))
    except subprocess.TimeoutExpired:
        return Verdict(False, "the test hung", False)
    ran = re.search(r"^1 (passed|failed) in", done.stdout, re.M)
    said = re.search(r"^E +(.*)$", done.stdout, re.M)
    return Verdict(bool(ran) and ran[1] == "failed",
                   said[1] if said else "passed", bool(ran), done.stdout)


def verdict(tree, m):
    if m.where == "guest":
        return run_guest(tree, m.test)
    if m.where == "unit":
        return unit_verdict(run_suite(tree, m.suite), m.test)
    return run_conform(tree, m.where, [m.test], m.dies)[m.test]


def base_suite(suite, tests):
    ran = run_suite(TOP, suite)
    return [(f"unit:{test}", unit_verdict(ran, test)) for test in tests]


def base_boot(backend, clauses):
    verdicts = run_conform(TOP, backend, clauses)
    return [(f"{backend}:{clause}", v) for clause, v in verdicts.items()]


def base(mutants, pool):
    """(test, Verdict) of each test, in the tree itself."""
    groups = {}
    for m in mutants:
        suite = m.suite if m.where == "unit" else ""
        groups.setdefault((m.where, suite), set()).add(m.test)
    jobs = []
    for (where, suite), tests in groups.items():
        tests = sorted(tests)
        if where == "guest":
            jobs += [pool.submit(lambda t: [(f"guest:{t}", run_guest(TOP, t))],
                                 test) for test in tests]
            continue
        if where == "unit":
            jobs.append(pool.submit(base_suite, suite, tests))
            continue
        for batch in conftest.batches(emu.BACKENDS[where], tests):
            jobs.append(pool.submit(base_boot, where, batch.clauses))
    for job in jobs:
        yield from job.result()


def goal(m):
    if m.where == "unit":
        return ["build/unit/" + m.suite.split("@")[0]]
    if m.host == "guest":
        return ["linux-all", "guest-all"]
    if m.host == "linux":
        return ["linux-all"]
    if emu.BACKENDS[m.where].emulator == "qemu":
        return ["build/metal/vmm.elf32", "build/metal/boot.cpio"]
    return ["build/metal/vmm.img"]


# A host that ended by itself: metal's word for it, and Linux's.
FAULT = re.compile(r"fault in the host|the host stopped")


def kill(m, build):
    """(killed, one line about it, log)."""
    tree = pathlib.Path(tempfile.mkdtemp(prefix="vmm-mutant."))
    try:
        copy_tree(tree, build, m.host)
        done = subprocess.run(
            ["git", "apply", str(m.patch)], cwd=tree,
            text=True, capture_output=True, check=False,
            env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)})
        if done.returncode:
            return False, "the patch does not apply", done.stderr
        done = subprocess.run(
            ["make", "-s", "BUILD=build", "CI=", *goal(m)], cwd=tree,
            text=True, capture_output=True, check=False)
        if done.returncode:
            return False, "does not build", done.stderr[-2000:]
        v = verdict(tree, m)
        if v.red:
            return True, v.why, ""
        if not v.ran and m.dies == "hang" and "no end within" in v.why \
                or not v.ran and m.dies and FAULT.search(v.why) \
                or not v.ran and m.dies == "hang" and "Bail out" in v.why:
            return True, f"the host died, as said: {v.why}", ""
        return False, v.why, v.log
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(prog="mutants.py")
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--only", default="*", metavar="GLOB")
    opt = parser.parse_args()
    build = (TOP / opt.build).resolve()
    patches = sorted((TOP / "tests/mutants").glob(opt.only + ".patch"))
    if not patches:
        raise SystemExit(f"mutants: no patch named {opt.only}")
    mutants = [load(p) for p in patches]
    if build != TOP / "build":
        raise SystemExit("mutants: BUILD must be build")
    bad = 0
    with ThreadPoolExecutor(2) as pool:
        for test, v in base(mutants, pool):
            if v.red or not v.ran:
                bad += 1
                print(f"RED WITHOUT A BUG  {test}: {v.why}\n{v.log}")
        if bad:
            return 1
        killed = 0
        for m, (dead, why, log) in zip(
                mutants, pool.map(lambda m: kill(m, build), mutants)):
            print(f"{'killed  ' if dead else 'SURVIVED'} {m.name:28} "
                  f"{m}: {why}", flush=True)
            killed += dead
            if not dead:
                print(log)
    print(f"mutants: {killed} killed, {len(mutants) - killed} survived")
    return 0 if killed == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())

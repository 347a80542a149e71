#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Plants the bugs of tests/mutants one by one; each must be found.

A patch begins with a header: what the bug is, then

    Killed-by: unit:SUITE/TEST      a Check test
    Killed-by: conform:CLAUSE       a clause, on metal-svm
    Dies-by: hang | fault           only if the bug ends the host itself

In a copy of the tree the patch is applied, what changed is built, and that
one test runs. The mutant is killed if the test ran and went red. A patch
that does not apply, a build that fails, a test that never ran: none of these
is a kill, and each fails the run. The same tests must be green without the
patches; that is asked of the tree itself, first.
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
LIMIT = 120         # seconds; for one boot, or one suite
HANG = 40           # for a boot that is expected to hang


@dataclass
class Mutant:
    name: str
    patch: pathlib.Path
    kind: str           # "unit" or "conform"
    test: str
    dies: str           # "", "hang" or "fault"


@dataclass
class Verdict:
    red: bool
    why: str
    ran: bool = True    # the test itself gave a verdict
    log: str = ""


def load(patch):
    header = patch.read_text().split("\n--- ", 1)[0]
    killed = re.search(r"^Killed-by: (unit|conform):(\S+)$", header, re.M)
    dies = re.search(r"^Dies-by: (hang|fault)$", header, re.M)
    if not killed:
        raise SystemExit(f"{patch.name}: no Killed-by line")
    return Mutant(patch.stem, patch, killed[1], killed[2],
                  dies[1] if dies else "")


def copy_tree(to, build):
    """The files of the tree and its build cache, times kept."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, text=True,
        capture_output=True, check=True).stdout.splitlines()
    for name in names:
        if (TOP / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, to / name)
    for part in ("bin", "guests", "metal", "unit", "vmctl", "conform", "src",
                 "driver"):
        if (build / part).is_dir():
            shutil.copytree(build / part, to / "build" / part, symlinks=True)


def run_unit(tree, test):
    suite, name = test.split("/")
    with tempfile.NamedTemporaryFile(prefix="vmm.") as tap:
        try:
            done = subprocess.run(
                [tree / "build/unit" / suite], cwd=tree, text=True,
                errors="replace", stdin=subprocess.DEVNULL, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=emu.time_limit(LIMIT),
                env={"CK_TAP_LOG_FILE_NAME": tap.name, "PATH": "/usr/bin"})
            log = done.stdout
        except subprocess.TimeoutExpired:
            return Verdict(False, f"{suite} hung", False)
        lines = pathlib.Path(tap.name).read_text(errors="replace")
    found = re.findall(rf"^(not )?ok \d+ - [^:]*:[^:]*:{name}: ?(.*)$", lines,
                       re.M)
    if not found:
        return Verdict(False, f"{suite} never ran {name}", False, log)
    bad = [why for no, why in found if no]
    return Verdict(bool(bad), bad[0] if bad else "passed", True, log)


def run_conform(tree, clause, limit=LIMIT):
    from conftest import parse_tap
    nonce = secrets.randbits(63) | 1
    job = emu.Job(tree / "build",
                  ["conform", "--nonce", str(nonce), "--only", clause])
    result = emu.run(emu.BACKENDS["metal-svm"], job, limit)
    lines, wrong = parse_tap(result.log, nonce)
    log = result.tail()
    if clause in lines:
        line = lines[clause]
        if line.skip is not None:
            return Verdict(False, f"skipped: {line.skip}", False, log)
        return Verdict(not line.ok, "; ".join(line.notes[:2]) or "passed",
                       True, log)
    return Verdict(False, f"{wrong}; {result.why}", False, log)


def verdict(tree, m, limit=LIMIT):
    if m.kind == "unit":
        return run_unit(tree, m.test)
    return run_conform(tree, m.test, limit)


def goal(m):
    if m.kind == "unit":
        return ["build/unit/" + m.test.split("/")[0]]
    return ["build/metal/vmm.elf32", "build/metal/boot.cpio"]


def kill(m, build):
    """(killed, one line about it, log)."""
    tree = pathlib.Path(tempfile.mkdtemp(prefix="vmm-mutant."))
    try:
        copy_tree(tree, build)
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
        v = verdict(tree, m, HANG if m.dies == "hang" else LIMIT)
        if v.red:
            return True, v.why, ""
        if not v.ran and m.dies == "hang" and "no end within" in v.why \
                or not v.ran and m.dies and "fault in the host" in v.why \
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
    bad = 0
    with ThreadPoolExecutor(2) as pool:
        tests = {(m.kind, m.test): m for m in mutants}.values()
        base = TOP if build == TOP / "build" else None
        if base is None:
            raise SystemExit("mutants: BUILD must be build")
        for m, v in zip(tests, pool.map(lambda m: verdict(base, m), tests)):
            if v.red or not v.ran:
                bad += 1
                print(f"RED WITHOUT A BUG  {m.kind}:{m.test}: {v.why}\n"
                      f"{v.log}")
        if bad:
            return 1
        killed = 0
        for m, (dead, why, log) in zip(
                mutants, pool.map(lambda m: kill(m, build), mutants)):
            print(f"{'killed  ' if dead else 'SURVIVED'} {m.name:28} "
                  f"{m.kind}:{m.test}: {why}", flush=True)
            killed += dead
            if not dead:
                print(log)
    print(f"mutants: {killed} killed, {len(mutants) - killed} survived")
    return 0 if killed == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())

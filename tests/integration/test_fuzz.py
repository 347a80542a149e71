# SPDX-License-Identifier: ISC
"""Every target of tests/fuzz for some seconds, and what its corpus reaches.

`make fuzz FUZZ_RUNS=10000000` is the real thing; this is to notice on the same
day that a device can be broken, or that its corpus does not reach it any more.
"""
import os
import shutil
import subprocess

import pytest

import emu
from conftest import BUILD, TOP

TARGETS = sorted(p.stem.removeprefix("fuzz_")
                 for p in (TOP / "tests/fuzz").glob("fuzz_*.c"))
RUNS = 60000
LENGTH = 256
FILES = 200             # of all corpora


def run(*argv):
    done = subprocess.run(argv, cwd=TOP, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False,
                          env={**os.environ, "FUZZ_SEED": "1"},
                          timeout=emu.time_limit(300))
    if done.returncode:
        pytest.fail(done.stdout[-6000:], pytrace=False)
    return done.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_fuzz(target):
    """From the corpus on, the same inputs each time."""
    shutil.rmtree(BUILD / "fuzz/new" / target, ignore_errors=True)
    out = run("tests/fuzz/run.sh", BUILD / "fuzz", target, str(RUNS),
              str(LENGTH))
    assert f"{RUNS} executions" in out


@pytest.mark.parametrize("target", TARGETS)
def test_fuzz_coverage(target):
    """The corpus reaches 90 % of the lines of each file it is about."""
    out = run("tests/fuzz/coverage.sh", BUILD / "fuzz-cov", target)
    source = (TOP / f"tests/fuzz/fuzz_{target}.c").read_text()
    files = source.split(" * Fuzzes: ")[1].split("\n")[0].split()
    assert out.count(" lines ") == len(files) > 0


def test_fuzz_corpus():
    files = [p for p in (TOP / "tests/fuzz/corpus").rglob("*") if p.is_file()]
    assert {p.parent.name for p in files} == set(TARGETS)
    assert len(files) < FILES

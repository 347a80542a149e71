# SPDX-License-Identifier: ISC
"""Every Check test of tests/unit, one test id each.

A suite is one program and runs once, when the first of its tests is asked
for. Its tests are the START_TESTs of its source: one that the program never
runs is a failure.
"""
import os
import re
import subprocess
import tempfile

import pytest

import emu
from conftest import BUILD, TOP

UNIT = TOP / "tests/unit"
TAP = re.compile(r"(not )?ok \d+ - ([^:]*):([^:]*):([^:]*): ?(.*)")


def started_in(source):
    return re.findall(r"^START_TEST\((\w+)\)", source.read_text(), re.M)


def sources():
    """Of the driver, and of vmctl's devices."""
    return sorted([*UNIT.glob("check_*.c"), *UNIT.glob("dev/check_*.c")])


def program(source):
    return str(source.relative_to(UNIT).with_suffix(""))


def pytest_generate_tests(metafunc):
    if "name" not in metafunc.fixturenames:
        return
    params = [pytest.param(program(source), name, id=f"{source.stem}--{name}")
              for source in sources() for name in started_in(source)]
    metafunc.parametrize("suite,name", params)


class Suite:
    """What one program reported, by test."""

    def __init__(self, name):
        self.tests = {}
        fd, path = tempfile.mkstemp(prefix="vmm.")
        os.close(fd)
        try:
            done = subprocess.run(
                [BUILD / "unit" / name], cwd=TOP, text=True, errors="replace",
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=emu.time_limit(300),
                env={**os.environ, "CK_TAP_LOG_FILE_NAME": path,
                     "CK_DEFAULT_TIMEOUT": "60",
                     "UBSAN_OPTIONS": "print_stacktrace=1"}, check=False)
            self.output = done.stdout
            self.status = done.returncode
        except (OSError, subprocess.TimeoutExpired) as e:
            self.output, self.status = str(e), None
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                m = TAP.match(line)
                if m:
                    self.tests.setdefault(m[4], []).append(
                        (not m[1], m[5].strip()))
        os.unlink(path)


@pytest.fixture(scope="session")
def suites():
    done = {}

    def get(name):
        if name not in done:
            done[name] = Suite(name)
        return done[name]
    return get


def test_unit(suites, suite, name):
    ran = suites(suite)
    tail = "\n".join(ran.output.splitlines()[-40:])
    if name not in ran.tests:
        pytest.fail(f"{suite} never ran {name} (status {ran.status})\n{tail}",
                    pytrace=False)
    bad = [why for ok, why in ran.tests[name] if not ok]
    if bad:
        pytest.fail("\n".join(bad) + f"\n--- {suite}:\n{tail}", pytrace=False)


def test_unit_status(suites):
    """A suite that passes every test but fails as a program is a failure:
    so a sanitizer reports a leak."""
    for source in sources():
        ran = suites(program(source))
        failed = [n for n, r in ran.tests.items() if not all(o for o, _ in r)]
        assert ran.status == 0 or failed, \
            f"{source.stem} exited {ran.status}\n{ran.output[-3000:]}"

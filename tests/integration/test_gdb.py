# SPDX-License-Identifier: ISC
"""`make gdb`: across VMRUN into the guest by stepi, and out again."""
import re

import pytest

import emu
from conftest import BUILD, TOP


@pytest.fixture(scope="module")
def session():
    scripts = TOP / "tools/gdb"
    status, out = emu.gdb_session(
        emu.Job(BUILD, ["vmctl", "tour"]),
        ["-batch", "-x", str(scripts / "batch.gdb")], limit=120)
    if status != 0:
        pytest.fail(f"gdb exited {status}\n{out[-3000:]}", pytrace=False)
    return out


def test_gdb_stops_before_vmrun(session):
    assert re.search(r"Breakpoint \d+, .*svm_", session), session
    assert "Type next:" in session


def test_gdb_steps_into_the_guest(session):
    """The registers that GDB shows are the guest's, at its entry point."""
    m = re.search(r"^IN GUEST rip (\S+) cs (\S+)$", session, re.M)
    assert m, session
    assert int(m[1], 0) == 0x8010, session


def test_gdb_comes_back_behind_vmrun(session):
    m = re.search(r"^LEFT GUEST after (\d+) steps at (\S+)$", session, re.M)
    assert m, session
    assert m[2] == "svm_after_vmrun", session


def test_gdb_names_the_callers_behind_vmrun(session):
    callers = re.findall(r"^#\d+ .*? in (\w+) \(", session, re.M)
    assert callers[:2] == ["svm_run", "vcpu_enter"], session

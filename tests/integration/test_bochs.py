# SPDX-License-Identifier: ISC
"""`make bochs`: across VMLAUNCH into the guest, and out again, in the debugger
of Bochs."""
import re
import subprocess

import pytest

import emu
import front
import vmm
from conftest import BUILD, TOP

BATCH = "\n".join(front.commands(TOP / "tools/bochs/batch.rc"))
EPT_VIOLATION = 48
ENTRY = 0x8010


def play(script):
    status, out = emu.bochs_session(emu.Job(BUILD, ["vmctl", "tour"]),
                                    script.splitlines(), limit=60)
    if status != 0:
        pytest.fail(f"Bochs exited {status}\n{out[-3000:]}", pytrace=False)
    return out


@pytest.fixture(scope="module")
def session():
    return play(BATCH)


@pytest.fixture(scope="module")
def exit_point():
    names = emu.symbols(BUILD / "metal/vmm.elf")
    return int(re.search(r"^(\w+) vmx_exit_point$", names, re.M)[1], 16)


def registers(session, nr):
    """The `nr`th list of registers in a transcript."""
    parts = session.split("CPU0:\n")
    return {name: int(value.replace("_", ""), 16) for name, value in
            re.findall(r"^(\w+) *: (\w{8}_\w{8})$", parts[1 + nr], re.M)}


def test_bochs_stops_before_vmlaunch(session):
    m = re.search(r"\(0\) Breakpoint 1, .*\n.*\n.* \((\S+)\+0\): (\w+)",
                  session, re.M)
    assert m, session
    assert m[1] == "vmx_before_vmlaunch" and m[2] == "vmlaunch", m[0]


def test_bochs_steps_into_the_guest(session):
    """The registers are the guest's, at its entry point."""
    assert registers(session, 0)["rip"] == ENTRY, session
    assert "cs:0x0008, dh=0x00af9b00" in session


def test_bochs_catches_the_exit(session, exit_point):
    """Twice: no page is mapped at first, then an OUT of the guest."""
    for nr in 1, 3:
        assert registers(session, nr)["rip"] == exit_point, session
    assert session.count("Caught VMEXIT") == 2
    assert "(vmx_exit_point+0)" in session


def test_bochs_shows_the_vmcs(session, exit_point):
    """`show` has the host's RIP and the EPT pointer that `page` walks."""
    assert f"RIP = {exit_point:#x}" in session
    eptp = int(re.search(r"eptptr = (0x\w+)", session)[1], 16)
    assert eptp & 0x3f == 0x1e, "write-back, four levels"


def test_bochs_shows_guest_memory(session):
    """Through the guest's page tables, and at each level through EPT: the
    first instruction is a move from CR0, and has been done."""
    assert registers(session, 2)["rip"] == ENTRY + 3
    assert registers(session, 2)["rax"] & 0x80000001 == 0x80000001
    m = re.search(rf"^0x{ENTRY:016x} <.*?>:((?:\t0x\w\w)+)$", session, re.M)
    assert m, session
    assert bytes.fromhex(re.sub(r"\t0x", "", m[1]))[:3] == b"\x0f\x20\xc0"
    assert len(re.findall(r"^EPT +PTE: ", session, re.M)) == 4, session
    assert "linear page 0x0000000000008000 maps to physical" in session


def test_bochs_shows_the_exit_in_memory(session):
    """The VMCS in memory is where the text of `make bochs` says."""
    vmcs = int(re.search(r"vmcsptr = (0x\w+)", session)[1], 16)
    fields = [0x918, 0xe88]
    out = play("c\n" + "".join(f"xp /1wx {vmcs + f:#x}\n" for f in fields)
               + "q\n")
    found = [int(v, 16) for v in re.findall(r">:\t(0x\w+)$", out, re.M)]
    assert found == [EPT_VIOLATION, ENTRY], out


def test_bochs_says_what_to_type():
    """Every command that `make bochs` proposes is one that Bochs has."""
    listed = re.findall(r"^  (\w+)(?=[ ,])", vmm.NEXT, re.M)
    assert {"s", "r", "c", "show", "xp", "page", "q"} <= set(listed)
    help_text = play("help\nq\n")
    known = set(re.findall(r"[\w?-]+", help_text.split("Debugger control")[1]))
    assert set(listed) <= known, set(listed) - known


def test_bochs_target():
    """`make bochs BATCH=1` is that session."""
    done = subprocess.run(
        ["make", "-n", "bochs", "BATCH=1"], cwd=TOP, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    assert re.search(r"emu.py .*bochs --batch +-- vmctl tour", done.stdout)

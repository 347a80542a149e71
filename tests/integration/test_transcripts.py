# SPDX-License-Identifier: ISC
"""Each debugger session that the book shows, played again: it prints what it
printed when it was recorded. What is compared: tools/transcripts.py."""
import re
import subprocess

import pytest

import transcripts
from conftest import BUILD, TOP

SESSIONS = transcripts.sessions()
# What only a debugger prints at the start of a line.
PRINTED = re.compile(r"^\s*(\(gdb\)|<bochs|Next at t=|\(0\)[ .]*\[|"
                     r"Breakpoint \d+[,:]|Caught VMEXIT)", re.M)


@pytest.fixture(scope="module")
def debug_build():
    """Only if a session asks for it."""
    if any(s.said("debug", "no") == "yes" for s in SESSIONS):
        subprocess.run(["make", "-s", "DEBUG=1", f"BUILD={BUILD / 'debug'}",
                        "all"], cwd=TOP, check=True, timeout=600,
                       stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("session", SESSIONS, ids=lambda s: s.script.stem)
def test_session_prints_what_was_recorded(session, debug_build):
    assert session.commands(), "a script without a command"
    if not session.output.exists():
        pytest.fail(f"no {session.output.name}: make transcripts",
                    pytrace=False)
    have = session.play(BUILD)
    differs = transcripts.difference(session.output.read_text(), have)
    if differs:
        pytest.fail(f"{session.script.name} prints something else:\n{differs}"
                    "\nIf it should: make transcripts", pytrace=False)


def test_every_recording_has_a_script():
    """And no file lies there that is neither."""
    known = {p for s in SESSIONS for p in (s.script, s.output)}
    there = set(transcripts.PLACE.glob("*"))
    assert there <= known, sorted(p.name for p in there - known)
    assert SESSIONS


def test_every_recording_repeats_its_script():
    """It was made by the script beside it, and by all of it."""
    for session in SESSIONS:
        if session.output.exists():
            typed = re.findall(r"^(?:\(gdb\)|<bochs>) (.*)$",
                               session.output.read_text(), re.M)
            assert typed == session.commands(), session.script.name


# README.md cannot include: test_tour.py holds its session to a recorded one.
@pytest.mark.parametrize("page", sorted(
    f"docs/book/{p.name}" for p in (TOP / "docs/book").glob("*.md")))
def test_page_shows_no_other_session(page):
    """A session on a page is a literalinclude of one that is played here."""
    text = (TOP / page).read_text()
    m = PRINTED.search(text)
    assert not m, f"{page} has a session typed in: {m[0].strip()}"
    for path in re.findall(r"\{literalinclude\} (\S*transcripts/\S+)", text):
        file = (TOP / page).parent / path
        assert file.resolve() in {s.output for s in SESSIONS}, path


# Two lines of a session, and whether they count as the same.
SAME = [
    ("Next at t=7564858", "Next at t=8", True),
    ("(0).[7564857] [0x0000001025c3] 0008:ffffffff801125c3 (vmx_run+1f): nop",
     "(0).[1] [0x000000112571] 0008:ffffffff80112571 (vmx_run+2): nop", True),
    ("rip: 00000000_00008010", "rip: 00000000_00008013", False),
    ("rip: ffffffff_80112571", "rip: ffffffff_80112572", True),
    ("0x0000000000008010 in ?? ()", "0x0000000000008012 in ?? ()", False),
    ("rsp 0xffffffffffffffff", "rsp 0xfffffffffffffffe", False),
    ("rcx 0xffffff8000000000", "rcx 0xffffff8000001000", False),
    ("svm_enter () at src/vmm/svm_entry.S:88",
     "svm_enter () at src/vmm/svm_entry.S:90", True),
    ("88\t\tvmrun", "90\t\tvmrun", True),
    ("88\t\tvmrun", "88\t\tvmload", False),
    ("(vmx_exit_point+0)", "(vmx_exit_point+1)", False),
    ("EPTP 0x3fd201e", "EPTP 0x3fd301e", True),
    ("EPT PML4: 0x0000000003fd3007", "EPT PML4: 0x0000000003fd4007", True),
    ("EPT PML4: 0x0000000003fd3007", "EPT PML4: 0x0000000003fd3003", False),
    ("at HPA 0x3c08010", "at HPA 0x3d08010", True),
    ("at HPA 0x3c08010", "at HPA 0x3c08013", False),
    ("GUEST_CR3 0x1000", "GUEST_CR3 0x2000", False),
    ("HOST_CR4 0x1426e0", "HOST_CR4 0x1406e0", False),
]


@pytest.mark.parametrize("one,other,same", SAME)
def test_what_is_compared(one, other, same):
    assert (not transcripts.difference(one, other)) == same

# SPDX-License-Identifier: ISC
"""`make run`: what the README promises of it."""
import re

import pytest

import emu
from conftest import BUILD, TOP

IOCTLS = ["CREATE", "RUN", "INFO", "TERM", "RESETCPU", "INTR", "READREGS",
          "WRITEREGS", "READVMPARAMS", "WRITEVMPARAMS", "MPROTECT_EPT"]
NONCE = 0x5ca1ab1e
ROW = re.compile(r"^ ?(\d+) +([A-Z_]+) .* ([\d,]+) +([0-9a-f]{8}|-)$", re.M)
# Rows whose ioctl has no guest that could hand back a nonce.
SILENT = {"CREATE", "INFO", "TERM"}


@pytest.fixture(scope="module")
def tours():
    """The tour on each vendor's CPU."""
    done = {}
    for name in ("metal-svm", "metal-vmx"):
        job = emu.Job(BUILD, ["vmctl", "tour", "-n", f"{NONCE:x}"])
        done[name] = emu.run(emu.BACKENDS[name], job)
        if done[name].status != 0:
            pytest.fail(f"{name}: {done[name].why}\n{done[name].tail()}",
                        pytrace=False)
    return done


@pytest.fixture(scope="module", params=["metal-svm", "metal-vmx"])
def tour(request, tours):
    return tours[request.param]


def test_tour_shows_every_ioctl(tour):
    rows = {m[2]: m for m in ROW.finditer(tour.log)}
    assert set(rows) == set(IOCTLS), tour.log
    assert "11 ioctls, 11 ok" in tour.log


def test_tour_returns_nonces(tour):
    for m in ROW.finditer(tour.log):
        if m[4] == "-":
            assert m[2] in SILENT, m[0]
        else:
            assert int(m[4], 16) == NONCE + int(m[1]), m[0]


def test_tour_counts_instructions(tour):
    """The figures are instructions, and these are the ones aimed at."""
    assert "here one is one instruction" in tour.log
    for what, aim in [("CPUID, handled in the driver", 300),
                      ("OUT, to the client and back", 900)]:
        m = re.search(rf"{what} +([\d,]+)$", tour.log, re.M)
        assert m, tour.log
        print(f"{what}: {m[1]}, {aim} aimed at")


def same_on_both(log):
    """A tour without the vendor's words, the exits' numbers and the costs."""
    lines = [re.sub(r" +", " ", li) for li in log.splitlines()
             if not li.startswith(("vmm0 at", "CPU "))]
    text = "\n".join(lines)
    for what in (r"\b[0-9a-f]+(?= [A-Z]+ x\d)",         # an exit's number
                 r"[\d,]+(?= ([0-9a-f]{8}|-)$)",        # an ioctl's cost
                 r"(?<=turn )[\d,]+", r"[\d,]+(?= ns;)",
                 r"(?<=then vmctl: )[\d,]+",
                 r"(?<=[a-zA-Z] )[\d,]+$"):                # figures at the end
        text = re.sub(what, "#", text, flags=re.M)
    return text.splitlines()


def test_tour_is_the_same_on_both(tours):
    svm, vmx = (same_on_both(tours[n].log) for n in ("metal-svm", "metal-vmx"))
    assert svm == vmx
    assert len(svm) > 30 and sum("#" in li for li in svm) > 20


@pytest.mark.parametrize("backend", ["metal-svm", "metal-vmx"])
def test_tour_is_deterministic(boot, backend):
    """The same instructions each time, so the same output to the byte."""
    args = ["vmctl", "tour", "-n", f"{NONCE:x}"]
    assert boot(args, backend=backend).log == boot(args, backend=backend).log


def test_tour_fits_a_terminal(tour):
    assert max(map(len, tour.log.splitlines())) <= 80


def test_readme_shows_the_tours(tours):
    """README.md has real output: its rows are rows of today's tour, but for
    the figures and nonces."""
    def rows(text):
        return [re.sub(r"\b[0-9a-f,.]*\d[0-9a-f,.]*\b", "#",
                       re.sub(r"\s+", " ", m[0]))
                for m in re.finditer(r"^ ?\d+ +[A-Z_]{3,} .*\n.*$", text,
                                     re.M)]
    shown = rows((TOP / "README.md").read_text())
    assert len(shown) > 1
    assert set(shown) <= set(rows(tours["metal-svm"].log))


def test_readme_shows_a_session():
    """The lines of GDB's session in README.md are recorded ones."""
    session = (TOP / "README.md").read_text().split("(gdb)", 1)[1]
    recorded = (TOP / "tests/integration/transcripts/gdb-first.txt"
                ).read_text().splitlines()
    shown = ("(gdb)" + session.split("```")[0]).splitlines()
    assert len(shown) > 10
    for line in shown:
        assert line == " ..." or line in recorded, line

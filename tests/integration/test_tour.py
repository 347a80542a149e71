# SPDX-License-Identifier: ISC
"""`make run`: what the README promises of it."""
import re

import pytest

from conftest import TOP

IOCTLS = ["CREATE", "RUN", "INFO", "TERM", "RESETCPU", "INTR", "READREGS",
          "WRITEREGS", "READVMPARAMS", "WRITEVMPARAMS", "MPROTECT_EPT"]
NONCE = 0x5ca1ab1e
ROW = re.compile(r"^ ?(\d+) +([A-Z_]+) .* ([\d,]+) +([0-9a-f]{8}|-)$", re.M)
# Rows whose ioctl has no guest that could hand back a nonce.
SILENT = {"CREATE", "INFO", "TERM"}


@pytest.fixture(scope="module")
def tour(request):
    import emu
    from conftest import BUILD
    job = emu.Job(BUILD, ["vmctl", "tour", "-n", f"{NONCE:x}"])
    result = emu.run(emu.BACKENDS["metal-svm"], job)
    if result.status != 0:
        pytest.fail(f"{result.why}\n{result.tail()}", pytrace=False)
    return result


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


def test_tour_is_deterministic(boot):
    """The same instructions each time, so the same output to the byte."""
    args = ["vmctl", "tour", "-n", f"{NONCE:x}"]
    assert boot(args).log == boot(args).log


def test_tour_fits_a_terminal(tour):
    assert max(map(len, tour.log.splitlines())) <= 80


def test_readme_shows_the_tour(tour):
    """README.md has real output: its rows are the rows of today, but for
    the figures and nonces."""
    def rows(text):
        return [re.sub(r"\b[0-9a-f,.]*\d[0-9a-f,.]*\b", "#",
                       re.sub(r"\s+", " ", m[0]))
                for m in re.finditer(r"^ ?\d+ +[A-Z_]{3,} .*$", text, re.M)]
    readme = rows((TOP / "README.md").read_text())
    assert readme == rows(tour.log)

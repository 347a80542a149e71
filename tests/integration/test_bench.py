# SPDX-License-Identifier: ISC
"""The figures of a guest: what reads them, and what takes them."""
import subprocess

import bench
import pytest
from conftest import BUILD

TICKS = {"seq-read": (50_000_000, 512, 65536),
         "seq-write": (50_000_000, 512, 65536),
         "rnd-read": (100_000_000, 2000, 4096),
         "rnd-write": (100_000_000, 2000, 4096),
         "net-ping": (20_000_000, 200, 1),
         "net-read": (50_000_000, 1, 4194304),
         "net-write": (100_000_000, 1, 4194304)}


def run_lines(side, init, slower=1, without=()):
    """What a run prints, each operation `slower` than in TICKS."""
    yield f"guest: {side} said {init} init"
    yield f"guest: {side} exits init IO 46102"
    yield f"guest: {side} said {init + 1} run"
    for name, (ticks, ops, size) in TICKS.items():
        if name not in without:
            yield (f"guest: {side} said {init + 2} {name} "
                   f"{int(ticks * slower)} {ops} {size}")
    yield f"guest: {side} ended 0"


def log(tmp_path, *runs):
    """A log with those runs."""
    path = tmp_path / "log"
    path.write_text("".join(f"{line}\n" for run in runs for line in run))
    return path


def test_ratios(tmp_path):
    """Less boot and more throughput than the other side meet the aim."""
    result = bench.read_guest(log(
        tmp_path, run_lines("vmm", 1_500_000_000),
        run_lines("kvm", 2_000_000_000, slower=0.5),
        run_lines("vmm", 1_700_000_000)))
    init, read = result["rows"]["init"], result["rows"]["rnd-read"]
    assert (init["vmm"], init["kvm"]) == (1600, 2000)
    assert (init["ratio"], read["ratio"]) == (0.8, 0.5)
    assert (read["vmm"], read["kvm"]) == (20_000, 40_000)
    lines = "\n".join(bench.guest_table(result))
    assert lines.count("NOT MET") == len(TICKS)
    assert lines.count(" met") == 1
    assert "runs: vmm 2 of 2, kvm 1 of 1" in lines
    assert "exits until init, vmm: IO 46,102" in lines


def test_run_that_broke_off_does_not_count(tmp_path):
    """Its figures are nobody's, and the table says how many there were."""
    result = bench.read_guest(log(
        tmp_path, run_lines("vmm", 1_500_000_000),
        run_lines("vmm", 9_000_000_000, without=("net-write",)),
        run_lines("kvm", 2_000_000_000)))
    assert result["rows"]["init"]["vmm"] == 1500
    assert result["whole"] == {"vmm": [1, 2], "kvm": [1, 1]}


def test_no_whole_run(tmp_path):
    """Without figures of vmm there is no table."""
    path = log(tmp_path, run_lines("vmm", 1, without=("net-read",)),
               run_lines("kvm", 1))
    with pytest.raises(ValueError, match="no whole run"):
        bench.read_guest(path)


def test_stamps():
    """guestbench hears what a monitor's guest says, in order, and when."""
    said = subprocess.run(
        [BUILD / "bin/guestbench", "run", "x", "sh", "-c",
         "echo '[ 1.0] Run /init as init process'; echo nothing;"
         "echo 'bench: rnd-read 7 8 9'; exit 3"],
        stdout=subprocess.PIPE, text=True, check=False)
    lines = [line.split() for line in said.stdout.splitlines()
             if " exits " not in line]
    assert [line[4:] for line in lines[:2]] == [["init"],
                                                ["rnd-read", "7", "8", "9"]]
    assert 0 < int(lines[0][3]) < int(lines[1][3])
    assert lines[2] == ["guest:", "x", "ended", "768"]
    assert said.returncode == 1

# SPDX-License-Identifier: ISC
"""CPU models: the driver attaches, and a guest runs behind every ioctl; or it
says in one line why not, and the client says what to do."""
import dataclasses
import os
import re
import subprocess

import pytest

import emu
from conftest import BUILD, TOP

VMX, SVM = "VMX/EPT", "SVM/RVI"
NEITHER = "the CPU has neither SVM nor VMX"
NO_RVI = "SVM without nested paging (RVI): not supported"

# Model, and what the driver says: the mode of a machine it attaches to, or
# the reason why it does not.
BOCHS = [
    ("corei7_haswell_4770", VMX),
    ("corei7_skylake_x", VMX),
    ("corei7_icelake_u", VMX),          # another VMCS revision
    ("corei7_sandy_bridge_2600k", VMX),     # no 1 GiB pages, no A/D bits
    ("corei5_lynnfield_750", "the CPU's VMX lacks unrestricted guest"),
    ("core2_penryn_t9600", "the CPU's VMX lacks EPT"),
    ("p4_prescott_celeron_336", NEITHER),
    ("ryzen", SVM),
]
QEMU = [
    (emu.BACKENDS["metal-svm"].model, SVM),     # EPYC
    ("qemu64", NO_RVI),
    ("qemu64,+npt", SVM),               # no XSAVE, no 1 GiB pages
    ("EPYC-Milan", SVM),
    ("max", SVM),
    ("Haswell", NEITHER),               # TCG has no VMX
]
MODELS = [pytest.param(emu.Backend(name, "", kind, model), said,
                       id=f"{kind}-{model.partition(',-')[0]}")
          for name, kind, models in (("metal-vmx", "bochs", BOCHS),
                                     ("metal-svm", "qemu", QEMU))
          for model, said in models]
# A few of conform's clauses, where the tour does not come to its end: Bochs
# interrupts no SVM guest that was entered with IF=0.
SMOKE = ["3.2.1.out", "4.3.zero", "6.write", "4.4.unknown"]


def said_once(result):
    """What the driver said, which must be one line and the only one."""
    lines = re.findall(r"^vmm0(?: at mainbus0)?: (.*)$", result.log, re.M)
    assert len(lines) == 1, f"{result.why}\n{result.tail()}"
    return lines[0]


@pytest.mark.parametrize("backend,said", MODELS)
def test_cpu(boot, backend, said):
    if said == SVM and backend.emulator == "bochs":
        args = ["conform"]
        for clause in SMOKE:
            args += ["--only", clause]
        result = boot(args, backend=backend)
        assert len(re.findall(r"^ok ", result.log, re.M)) == len(SMOKE)
        assert said_once(result) == said
    elif said in (VMX, SVM):
        result = boot(["vmctl", "tour"], backend=backend)
        assert "11 ioctls, 11 ok" in result.log, result.tail()
        assert said_once(result) == said
    else:
        result = boot(["vmctl", "tour"], expect=1, backend=backend)
        assert said_once(result) == f"not attached: {said}"
        client = [li for li in result.log.splitlines() if "vmctl:" in li]
        assert len(client) == 1, result.tail()
        assert "No such device" in client[0] and "CPU" in client[0]


def feature_control(bios, tmp_path):
    """FEATURE_CONTROL when the kernel starts, and when a guest does."""
    backend = dataclasses.replace(emu.BACKENDS["metal-vmx"], bios=bios)
    show = 'show "cpu0.MSR.ia32_feature_ctrl"'
    script = tmp_path / "begin"
    script.write_text('lb "kmain"\nc\n')
    with emu.bochs_debugger(emu.Job(BUILD, ["vmctl", "tour"]), limit=60,
                            backend=backend, begin=script) as there:
        there.begin()
        out = there.ask(show)
        there.ask('lb "vmx_before_vmlaunch"')
        there.ask("c")
        out += there.ask(show)
    return [int(v, 16) for v in
            re.findall(r"ia32_feature_ctrl = (0x\w+)", out)]


@pytest.mark.parametrize("bios,found", [
    (emu.BACKENDS["metal-vmx"].bios, 5), (emu.SEABIOS, 0)],
    ids=["locked-on", "unlocked"])
def test_feature_control(bios, found, tmp_path):
    """SeaBIOS leaves FEATURE_CONTROL at 0: the driver sets it, and locks."""
    assert feature_control(bios, tmp_path) == [found, 5]


def test_runs_where_feature_control_was_unlocked(boot):
    backend = dataclasses.replace(emu.BACKENDS["metal-vmx"], bios=emu.SEABIOS)
    result = boot(["vmctl", "tour"], backend=backend)
    assert said_once(result) == VMX


def make(*args):
    """make, as somebody types it: not as a part of `make check`."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", "BUILD=build", *args], cwd=TOP, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          check=False, env=env)


@pytest.mark.parametrize("target", ["run", "shell"])
@pytest.mark.parametrize("cpu,backend", [
    ([], "metal-svm"), (["CPU=amd"], "metal-svm"), (["CPU=intel"], "metal-vmx")
], ids=["default", "amd", "intel"])
def test_make_takes_the_cpu(target, cpu, backend):
    done = make("-n", target, *cpu)
    assert done.returncode == 0, done.stderr
    assert f"emu.py --build build {target} --backend {backend} " in done.stdout
    assert ("install bochs" in done.stdout) == (backend == "metal-vmx")


@pytest.mark.parametrize("target", ["run", "shell"])
def test_make_names_the_cpus(target):
    """Another CPU= is an error of one line, before anything is built."""
    done = make(target, "CPU=vax")
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert re.search(r"CPU=vax\b.*\bamd\b.*\bintel\b", done.stderr)

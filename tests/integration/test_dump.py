# SPDX-License-Identifier: ISC
"""`vmctl dump`: what the driver says that the CPU keeps of a guest, against
what the emulator itself says."""
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import emu
from conftest import BUILD, TOP

KERNBASE = 0xffffffff80000000
GUEST_CODE = range(0x8000, 0x18000)     # guest.h: GUEST_LOAD, GUEST_MAX
PROMPT = re.compile(rb"<bochs:\d+> $")
# Written down here once more, as the SDM has them (Appendix B), since the
# driver and encodings() both have theirs from vmcs.def.
SDM = {"GUEST_RIP": 0x681e, "EXIT_REASON": 0x4402, "EPTP": 0x201a,
       "QUALIFICATION": 0x6400, "EXIT_INSN_LEN": 0x440c,
       "GUEST_RFLAGS": 0x6820, "GUEST_CS_SEL": 0x0802,
       "GUEST_RSP": 0x681c, "GUEST_CR0": 0x6800, "HOST_RIP": 0x6c16}
# What the debugger shows of the VMCS that the CPU has cached.
SHOWN = {"vmcsptr": "VMCS", "eptptr": "EPTP", "msr_bitmap_addr": "MSR_BITMAP",
         "vmexec_ctrls1": "PIN_CTLS", "vmexec_ctrls2": "PROC_CTLS",
         "vmexec_ctrls3": "PROC2_CTLS", "vmexit_ctrls": "EXIT_CTLS",
         "vmentry_ctrls": "ENTRY_CTLS", "vpid": "VPID",
         "vm_exceptions_bitmap": "EXCEPTION_BITMAP",
         "vm_cr0_read_shadow": "CR0_SHADOW", "RIP": "HOST_RIP",
         "vmexit_msr_load_addr": "EXIT_MSR_LOAD", "CR3": "HOST_CR3",
         "FS_BASE": "HOST_FS_BASE", "TR_BASE": "HOST_TR_BASE",
         "pat_msr": "HOST_PAT", "efer_msr": "HOST_EFER"}


def script(guest, steps, *more):
    """A guest, and its dump between the RUNs `steps` and `steps` + 1."""
    words = f"create ; load {guest} ; reset ; step {steps} ; dump"
    return ["vmctl", "exec", *words.split(), *more]


def dumps(log):
    """The VCPUs of a dump on the serial line, each {field: value}."""
    found = []
    for name, value in re.findall(r"^(\w+) (0x[0-9a-f]+)$", log, re.M):
        if name == "vm":
            found.append({})
        assert name not in found[-1], f"{name} twice\n{log}"
        found[-1][name] = int(value, 16)
    return found


def last_exit(log):
    """(reason, RIP) as the client was told them, of the last RUN."""
    line = re.findall(r"^ +\d+ +([0-9a-f]+) \w.* rip ([0-9a-f]+) cpl \d", log,
                      re.M)[-1]
    return int(line[0], 16), int(line[1], 16)


# --- Intel, in Bochs, against its debugger ---------------------------------

def encodings():
    """{field: (its encoding, bytes)} of vmcs.def."""
    kinds = ["CTRL", "INFO", "GUEST", "HOST"]
    widths = {"16": (0, "h"), "64": (1, "g"), "32": (2, "w"), "NAT": (3, "g")}
    table = re.findall(r"^VMCS\((\w+),\s*(\w+),\s*(\w+),\s*(\d+),",
                       (TOP / "src/vmm/vmcs.def").read_text(), re.M)
    return {name: (widths[width][0] << 13 | kinds.index(kind) << 10
                   | int(index) << 1, widths[width][1])
            for name, width, kind, index in table}


def place(encoding):
    """Where Bochs 2.7 has a field in the VMCS: 64 slots of four bytes for
    each width and type."""
    row = (encoding >> 13 & 3) << 2 | encoding >> 10 & 3
    return 0x10 + (row * 64 + (encoding & 0x3ff)) * 4


class Debugger:
    """Bochs with its debugger on pipes, until the time limit."""

    def __init__(self, args, stop, limit=60):
        self.tmp = Path(tempfile.mkdtemp(prefix="vmm."))
        self.log = self.tmp / "serial"
        job = emu.Job(BUILD, args, tmp=self.tmp)
        argv = emu.bochs_argv(
            emu.BACKENDS["metal-vmx"], job, f"mode=file, dev={self.log}",
            f"pb {stop:#x}\nc\n")
        self.deadline = time.monotonic() + emu.time_limit(limit)
        self.process = subprocess.Popen(
            emu.dies_with_parent(argv), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True, env={**os.environ, "TERM": "xterm"})
        self.started = self.read()

    def read(self):
        """What it prints up to its prompt, or to its end."""
        out = b""
        while not PROMPT.search(out):
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(out.decode(errors="replace"))
            if not select.select([self.process.stdout], [], [], left)[0]:
                continue
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                break
            out += data
        return out.decode(errors="replace")

    def ask(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        return self.read()

    def serial(self):
        return self.log.read_text(errors="replace").replace("\r", "")

    def close(self):
        emu.end(self.process)
        shutil.rmtree(self.tmp, ignore_errors=True)


def symbol(name):
    """Physical address of a function of the host."""
    out = subprocess.run(["nm", BUILD / "metal/vmm.elf"], text=True,
                         capture_output=True, check=True).stdout
    m = re.search(rf"^([0-9a-f]+) [tT] {name}$", out, re.M)
    assert m, f"no function {name} in the host: choose another to stop at"
    return int(m[1], 16) - KERNBASE


def memory(debugger, address, size):
    """One number in physical memory."""
    out = debugger.ask(f"xp /1{size}x {address:#x}")
    m = re.search(r"^0x[0-9a-f]+ <.*>:\s+0x([0-9a-f]+)$", out, re.M)
    assert m, out
    return int(m[1], 16)


@pytest.fixture(scope="module", params=[("io-real", 3), ("long", 1)],
                ids=lambda p: p[0])
def stopped(request):
    """A guest between two RUNs, as the driver and as Bochs see it: (the dump,
    the last exit as the client saw it, the debugger's view of the VMCS, the
    VMCS in memory). The VM ends after the dump; Bochs stops where the driver
    is about to take its VMCS from the CPU."""
    debugger = Debugger(script(*request.param), symbol("vmx_vcpu_detach"))
    try:
        shown = debugger.ask('show "cpu0.VMX"')
        pa = int(re.search(r"vmcsptr = (0x[0-9a-f]+)", shown)[1], 16)
        in_memory = {name: memory(debugger, pa + place(encoding), size)
                     for name, (encoding, size) in encodings().items()}
        debugger.ask("c")       # the serial line gets its last characters
        log = debugger.serial()
    except (AssertionError, TypeError, BrokenPipeError, TimeoutError) as e:
        pytest.fail(f"{e}\n--- debugger:\n{debugger.started}\n"
                    f"--- serial line:\n{debugger.serial()}", pytrace=False)
    finally:
        debugger.close()
    assert "metal: exit 0" in log, log
    [dump] = dumps(log)
    return dump, last_exit(log), shown, in_memory


def test_dump_agrees_with_the_debugger(stopped):
    """Guest RIP, exit reason and EPTP, and what else the debugger names."""
    dump, (reason, _), shown, in_memory = stopped
    for theirs, ours in SHOWN.items():
        m = re.search(rf"\b{theirs} = (0x[0-9a-f]+)", shown)
        assert m, f"{theirs}\n{shown}"
        assert dump[ours] == int(m[1], 16), ours
    for name, encoding in SDM.items():
        assert encodings()[name][0] == encoding, name
        assert dump[name] == in_memory[name], name
    assert dump["EXIT_REASON"] == reason
    assert dump["GUEST_RIP"] in GUEST_CODE


# What vmcs.def names and Haswell does not have.
ABSENT = ["ENCLS_BITMAP"]


def test_dump_agrees_with_the_vmcs_in_memory(stopped):
    """Every field that vmcs.def names, where Bochs keeps it. Access rights it
    keeps eight bits further left."""
    dump, _, _, in_memory = stopped
    wrong = {}
    for name in ABSENT:
        assert name not in dump and not in_memory.pop(name), name
    for name, value in in_memory.items():
        want = dump[name] << 8 if name.endswith("_AR") else dump[name]
        if value != want:
            wrong[name] = f"dump {want:#x}, memory {value:#x}"
    assert not wrong
    assert set(dump) - set(in_memory) == {"vm", "vcpu", "VMCS"}


def test_dump_shows_the_instruction_that_exited(stopped):
    """RIP in the VMCS is that of the exit; the client sees the next one."""
    dump, (_, rip), _, _ = stopped
    assert dump["GUEST_RIP"] + dump["EXIT_INSN_LEN"] == rip


# --- AMD, in QEMU, against its own trace -----------------------------------

def test_dump_agrees_with_the_trace(boot, tmp_path):
    """QEMU logs each exit: code, EXITINFO1, EXITINFO2, RIP. The last one
    logged is the one that the dump follows."""
    trace = tmp_path / "trace"
    log = boot(script("io-real", 3), extra=[
        "-d", "in_asm", "-dfilter", "0xfffffffffffff000+1",
        "-D", str(trace)]).log
    exits = re.findall(r"^vmexit\(([^)]*)\)", trace.read_text(), re.M)
    code, info1, info2, rip = (int(n, 16) for n in exits[-1].split(", ")[:4])
    [dump] = dumps(log)
    assert dump["EXITCODE"] == code
    assert dump["EXITINFO1"] == info1
    assert dump["EXITINFO2"] == info2
    assert dump["RIP"] == rip
    assert rip in GUEST_CODE
    assert (code, info2) == last_exit(log)      # of I/O, the next RIP


# --- The command ------------------------------------------------------------

@pytest.mark.parametrize("backend", ["metal-svm", "metal-vmx"])
def test_dump_lists_every_vcpu(boot, backend):
    """Also those that were never reset, and more text than one read."""
    log = boot("vmctl exec create 4 64 ; create 4 2 ; dump vcpu".split(),
               backend=backend).log
    ids = sorted((d["vm"], d["vcpu"]) for d in dumps(log))
    assert ids == [(1, n) for n in range(64)] + [(2, 0), (2, 1)]


def test_dump_takes_names(boot):
    args = script("io-real", 1, *"; dump rip exitcode ; dump bogus".split())
    log = boot(args, expect=2).log
    [_, named, none] = dumps(log)
    assert set(named) == {"vm", "vcpu", "RIP", "EXITCODE"}
    assert set(none) == {"vm", "vcpu"}
    assert "bogus" in log


def test_dump_without_a_vm(boot):
    assert "no VM" in boot(["vmctl", "dump"]).log


def test_dump_without_the_file_names_the_remedy():
    """This machine has no vmm, or lets only root see what it has."""
    done = subprocess.run([BUILD / "bin/vmctl", "dump"], text=True,
                          capture_output=True, check=False, timeout=20)
    assert done.returncode == 1
    assert re.fullmatch(r"vmctl: /sys/kernel/debug/vmm/vcpus: [^;]+; "
                        r"(load the driver|run vmctl as root).*\n",
                        done.stderr)

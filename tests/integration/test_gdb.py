# SPDX-License-Identifier: ISC
"""The commands of tools/gdb, each in a real session, beside what is known of
it otherwise: the guest's image and what objdump makes of it, QEMU's monitor
and its trace of exits, GDB's own print, what the client prints.

One session does much: a class below asks what it printed.
"""
import pathlib
import re
import subprocess
import sys

import pytest

import emu
from conftest import BUILD, TOP

sys.path.append(str(TOP / "tools/gdb/vmm"))
import walk  # noqa: E402  (found by the line above; knows nothing of GDB)

LOAD = 0x8000           # where a guest's image is, guest.h
S = "((struct svm_vcpu *)vmm_vms->vcpu[0]->hv)"
VMCB = S + "->vmcb"
LINUX = "(echo create; echo load long; echo reset; echo step 4; " \
    "echo regs all; echo mem 0x8010 16; echo info; sleep 1000) | vmctl shell"
# QEMU's trace of exits: code, EXITINFO1, EXITINFO2, RIP.
TRACED = re.compile(r"^vmexit\((\w+), (\w+), (\w+), (\w+)\)!", re.M)


class Played:
    """A session: what each of its commands printed."""

    def __init__(self, commands, client="vmctl tour", start=emu.gdb_session,
                 **more):
        self.commands = [c for c in commands.splitlines() if c]
        self.job = emu.Job(BUILD, client if isinstance(client, list)
                           else client.split(), **more)
        args = ["-batch"]
        for n, command in enumerate(self.commands):
            args += ["-ex", f"echo \\n<{n}>\\n", "-ex", command]
        status, out = start(self.job, args, 60)
        assert status != emu.TIMEOUT, out[-3000:]
        out = re.sub(r"\[Inferior .* detached\]\n\Z", "", out)
        parts = re.split(r"^<\d+>\n", out, flags=re.M)
        self.out = [p.strip("\n") for p in parts[1:]]
        assert len(self.out) == len(self.commands), out[-3000:]
        for text in self.out:
            assert "Python Exception" not in text, out

    def said(self, command, nth=0):
        """By the nth of these commands."""
        at = [i for i, c in enumerate(self.commands) if c == command][nth]
        return self.out[at]


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """The guest `long`, to its first report and what READREGS says then."""
    trace = tmp_path_factory.mktemp("gdb") / "trace"
    return Played(f"""
help vmm
p *vmm_vms
vmm walk 0x8010
vmm step-into
p $rip
p $vmm_guest()
vmm dis
vmm finish
vmm regs
vmm vmcb rip rsp rax
p $vmm_guest()
p $rip == (unsigned long)&svm_after_vmrun
backtrace 3
eval "monitor xp /4096xb %lu", {S}->vmcb_pa
vmm finish
eval "monitor xp /4096xb %lu", {S}->vmcb_pa
vmm vmcb diff
vmm until npf
p x->kind == VMEXIT_NPF
p x->u.npf
vmm until io
p x->kind == VMEXIT_IO
p *x
p x->u.io
p/x {VMCB}->exitcode
p/x {VMCB}->save.rip
p/x {VMCB}->n_cr3
p *{VMCB}
vmm vmcb
vmm vmcb asid lstar
vmm vmcb diff
vmm vmcs
vmm explain
vmm exits 3
vmm step-into
x/8xb 0x8010
vmm x/16xb 0x8010
vmm x/2i 0x8010
vmm x/3dw 0x8010
vmm x/s 0x8000
vmm x/2xg 0x10
vmm dis
vmm step-into
vmm dis $rip 3
vmm walk 0x8010
vmm walk gpa 0x8010
vmm walk gpa 0x300000
vmm walk 0x7f0000000000
vmm walk 0x800000000000
hbreak vmm_ioc_readregs
continue
vmm regs
vmm ioctls
vmm exits 100
p *vmm_vms->vcpu[0]
p/d vmm_vms->vcpu[0]->traced
continue
vmm regs
""", "vmctl exec create ; load long ; reset ; step 2 ; regs all",
                  extra=["-d", "in_asm", "-dfilter", "0xfffffffffffff000+1",
                         "-D", str(trace)]), trace


def test_of_two_vms_it_is_the_one_that_did_something_last():
    played = Played("""
hbreak vmm_ioc_readregs
continue
p/d vmm_vms->id
vmm regs
vmm exits
""", "vmctl exec create ; load long ; reset ; create ; use 1 ; step ; regs")
    assert played.said("p/d vmm_vms->id").endswith("= 2")
    assert played.said("vmm regs").startswith("VM 1 VCPU 0:")
    assert " IO " in played.said("vmm exits")


def image(name):
    return (BUILD / f"guests/{name}.bin").read_bytes()


def objdump(name, machine):
    """{address: instruction} of a guest."""
    text = subprocess.run(
        ["objdump", "-d", "-m", machine, BUILD / f"guests/{name}.elf"],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    return {int(a, 16): " ".join(i.split()) for a, i in re.findall(
        r"^ *(\w+):\t[^\t]*\t([^<\n]*)", text, re.M)}


def instructions(text):
    return {int(a, 16): " ".join(i.split()) for a, i in re.findall(
        r"0x(\w+):\t(.*)", text)}


def numbers(text):
    return [int(n, 16) for n in re.findall(r"\b0x[0-9a-f]+\b", text)]


def memory(text):
    """The values of a dump, without the addresses at the start."""
    return [n for line in text.splitlines() if ":" in line
            for n in numbers(line.split(":", 1)[1])]


def hpa_of(text):
    """Where vmm walk arrived."""
    return int(re.search(r"^HPA (\w+), in a page", text, re.M)[1], 16)


class TestStepping:
    def test_step_into_lands_on_the_first_instruction(self, long):
        assert long[0].said("p $rip").endswith("0x8010")

    def test_the_guest_and_the_host_are_told_apart(self, long):
        assert long[0].said("p $vmm_guest()", 0).endswith("= 1")
        assert long[0].said("p $vmm_guest()", 1).endswith("= 0")

    def test_finish_lands_behind_vmrun(self, long):
        assert long[0].said(
            "p $rip == (unsigned long)&svm_after_vmrun").endswith("= 1")

    def test_the_callers_are_there_behind_vmrun(self, long):
        callers = re.findall(r"^#\d+ .*? in (\w+) \(",
                             long[0].said("backtrace 3"), re.M)
        assert callers == ["svm_run", "vcpu_enter"]

    def test_until_stops_at_that_kind(self, long):
        for kind in "NPF", "IO":
            assert long[0].said(
                f"p x->kind == VMEXIT_{kind}").endswith("= 1")

    def test_step_into_goes_one_instruction_on(self, long):
        code = sorted(objdump("long", "i386:x86-64"))
        at = [numbers(long[0].said("vmm step-into", n))[-1:] and int(
            re.search(r"=> 0x(\w+)", long[0].said("vmm step-into", n))[1], 16)
            for n in (1, 2)]
        assert code.index(at[1]) == code.index(at[0]) + 1


class TestExits:
    def test_they_are_those_of_qemus_trace(self, long):
        played, trace = long
        lines = played.said("vmm exits 100").splitlines()[1:]
        want = TRACED.findall(trace.read_text())
        # QEMU ran on to the end of the client; the ring, to READREGS.
        assert len(lines) >= 4
        for line, exit_ in zip(lines, want):
            code, info1, info2, rip = (int(x, 16) for x in exit_)
            words = line.split()
            assert words[1] == {0x400: "NPF", 0x7b: "IO", 0x7c: "RDMSR"}[code]
            assert int(words[3], 16) == rip, line
            if code == 0x400:
                assert f"GPA {info2:#x}," in line
                assert ("page walk" in line) == bool(info1 >> 33 & 1)
            if code == 0x7b:
                assert f"port {info1 >> 16:#x}, {info1 >> 4 & 7} b" in line

    def test_the_last_is_the_one_that_qemu_saw_last(self, long):
        """At the IO exit, three lines: IO is the newest."""
        lines = long[0].said("vmm exits 3").splitlines()
        assert len(lines) == 4 and " IO " in lines[-1]

    def test_finish_tells_what_the_driver_decoded(self, long):
        told = long[0].said("vmm until npf")
        gpa = re.search(r"gpa = (\d+)", long[0].said("p x->u.npf"))[1]
        assert f"GPA {int(gpa):#x}," in told

    def test_an_exit_is_printed_in_words(self, long):
        m = re.search(r"port = (\d+), size = (\d+)", long[0].said("p x->u.io"))
        assert f"IO 0x7b: out, port {int(m[1]):#x}, {m[2]} bytes" \
            in long[0].said("p *x")

    def test_ioctls_are_the_clients(self, long):
        lines = long[0].said("vmm ioctls").splitlines()[1:]
        assert [line.split()[1:] for line in lines] == [
            ["RESETCPU", "0"], ["RUN", "0"], ["RUN", "0"]]

    def test_explain_tells_an_exit(self, long):
        assert "IOIO: out, port 0x500, 4 bytes" in long[0].said(
            "vmm explain")


class TestRegs:
    def test_they_are_what_readregs_gives_the_client(self, long):
        """Of the client's groups, those that vmm regs has."""
        have = long[0].said("vmm regs", 1)
        client = dict(re.findall(r"\b([a-z]+\d*) +([0-9a-f]{16})\b",
                                 long[0].job.log))
        names = [*"rax rbx rcx rdx rsi rdi rsp rbp rip rflags cr0 cr2 cr3 cr4 "
                 "cr8 efer".split(), *(f"r{n}" for n in range(8, 16))]
        shown = dict(re.findall(r"\b([a-z]+\d*) +([0-9a-f]{16})\b", have))
        assert {n: shown[n] for n in names} == {n: client[n] for n in names}
        assert int(shown["rip"], 16) > LOAD

    def test_segments_too(self, long):
        want = re.findall(r"^(\w+) +base (\w+) limit (\w+)(?: sel (\w+))?",
                          long[0].job.log, re.M)
        have = re.findall(r"^(\w+) +(\w{16}) limit (\w+)(?: sel (\w+))?",
                          long[0].said("vmm regs", 1), re.M)
        assert sorted(have) == sorted(want) and len(have) == 10

    def test_the_mode(self, long):
        assert "64-bit mode, 4-level paging" in long[0].said("vmm regs")

    def test_behind_vmrun_they_are_in_the_vmcb(self, long):
        """Those that #VMEXIT switches: the CPU's are the host's again."""
        text = long[0].said("vmm regs", 0)
        for name, value in fields(
                long[0].said("vmm vmcb rip rsp rax")).items():
            assert f"{name:<6} {value:016x}" in text
        assert f"rip    {LOAD + 0x10:016x}" in text

    def test_no_machine_no_registers(self, long):
        assert long[0].said("vmm regs", 2) == "The machine is gone."


class TestMemory:
    def test_x_is_the_image(self, long):
        assert bytes(memory(long[0].said("vmm x/16xb 0x8010"))) \
            == image("long")[0x10:0x20]

    def test_gdbs_own_x_is_not(self, long):
        """Why there is a vmm x."""
        assert "Cannot access memory" in long[0].said("x/8xb 0x8010")

    def test_x_in_other_formats(self, long):
        code = image("long")
        words = re.findall(r"\t(-?\d+)", long[0].said("vmm x/3dw 0x8010"))
        assert [int(w) for w in words] == [int.from_bytes(
            code[i:i + 4], "little", signed=True) for i in (16, 20, 24)]
        assert long[0].said("vmm x/s 0x8000").startswith('0x8000:\t"VMMG')

    def test_what_the_guest_has_not_touched(self, long):
        assert long[0].said("vmm x/2xg 0x10") == "GPA 0x10 is not mapped yet."

    def test_dis_is_what_objdump_says_of_the_elf(self, long):
        want = objdump("long", "i386:x86-64")
        for command, count in (("vmm x/2i 0x8010", 2), ("vmm dis $rip 3", 3)):
            have = instructions(long[0].said(command))
            assert len(have) == count
            for at, text in have.items():
                assert text == want[at]
        here = instructions(long[0].said("vmm dis", 1))
        assert len(here) == 5 and here.items() <= want.items()

    def test_walk_ends_where_the_code_is(self, long):
        """QEMU's monitor reads there, by physical address."""
        text = long[0].said("vmm walk 0x8010", 1)
        assert hpa_of(text) == hpa_of(long[0].said("vmm walk gpa 0x8010"))
        again = Played(f"""
vmm until io
vmm walk 0x8010
monitor xp /16xb {hpa_of(text):#x}
""", "vmctl exec create ; load long ; reset ; step")
        assert hpa_of(again.out[1]) == hpa_of(text)
        assert bytes(memory(again.out[2])) == image("long")[0x10:0x20]

    def test_walk_shows_each_level(self, long):
        """The guest's tables are those of guest.h."""
        text = long[0].said("vmm walk 0x8010", 1)
        assert re.findall(r"(\w+) +\[ *(\d+)\] at GPA (\w+)", text) == [
            ("PML4", "0", "0x1000"), ("PDPT", "0", "0x2000"),
            ("PD", "0", "0x3000")]
        n_cr3 = numbers(long[0].said(f"p/x {VMCB}->n_cr3"))[0]
        assert re.findall(r"(\w+) +\[ *(\d+)\] at HPA", text) == [
            ("PML4", "0"), ("PDPT", "0"), ("PD", "0"), ("PT", "8")]
        assert f"PML4 [  0] at HPA {n_cr3:#x} " in text

    @pytest.mark.parametrize("what,told", [
        ("gpa 0x300000", "No page: the guest exits with NPF."),
        ("0x7f0000000000", "No page: the guest gets #PF."),
        ("0x800000000000", "0x800000000000 is not canonical."),
    ])
    def test_walks_that_lead_nowhere(self, long, what, told):
        assert long[0].said(f"vmm walk {what}").endswith(told)

    def test_walk_before_any_page_is_mapped(self, long):
        assert "GPA 0x1000 is not mapped yet." in long[0].said(
            "vmm walk 0x8010", 0)


def fields(text):
    return {name: int(value, 16) for name, value in re.findall(
        r"^(\S+) +(?:HPA )?(0x\w+)", text, re.M)}


class TestVmcb:
    def test_fields_are_what_print_says(self, long):
        have = fields(long[0].said("vmm vmcb"))
        for name, c in (("exitcode", "exitcode"), ("rip", "save.rip"),
                        ("n_cr3", "n_cr3")):
            assert have[name] == numbers(
                long[0].said(f"p/x {VMCB}->{c}"))[0], name

    def test_fields_that_are_named_also_when_0(self, long):
        have = fields(long[0].said("vmm vmcb asid lstar"))
        assert have["asid"] > 0 and have["lstar"] == 0
        assert "lstar" not in fields(long[0].said("vmm vmcb"))

    def test_names_of_bits(self, long):
        text = long[0].said("vmm vmcb")
        for line in ("efer            0x1500  LME LMA SVME",
                     "int_ctl         0x1000000  V_INTR_MASKING",
                     "cs.attr         0xa9b  64-bit code, DPL 0",
                     "exitcode        0x7b  IOIO"):
            assert line in text.splitlines()
        assert all(len(line) < 80 for line in text.splitlines())

    def test_a_code_is_the_number_of_its_intercept(self, long):
        """IOIO is 0x7b: bit 27 of word 3."""
        assert fields(long[0].said("vmm vmcb"))["intercept[3]"] >> 27 & 1
        assert "IOIO" in re.search(r"^intercept\[3\](.*\n +.*)",
                                   long[0].said("vmm vmcb"), re.M)[1]

    def test_diff_has_what_changed_from_exit_to_exit(self, long):
        """The first two exits are page walks, of the next table each."""
        text = long[0].said("vmm vmcb diff")
        changed = re.findall(r"^  (\S+) +- (\w+).*\n +\+ (\w+)", text, re.M)
        assert ("exitinfo2", "0x1000", "0x2000") in changed
        then, now = (memory(long[0].said(
            f'eval "monitor xp /4096xb %lu", {S}->vmcb_pa', n))
            for n in (0, 1))
        assert len(now) == 4096
        # Where a field begins, from the assertions of svm.h.
        begins = sorted((int(at, 16), name) for name, at in re.findall(
            r"VMCB_AT\(([\w.\[\]]+), (0x\w+)\)",
            (TOP / "src/vmm/svm.h").read_text()))
        want = {[n for at, n in begins if at <= i][-1]
                for i in range(4096) if then[i] != now[i]}
        assert {c[0] for c in changed} == want

    def test_no_colour_in_a_file(self, long):
        assert not any("\033" in text for text in long[0].out)

    def test_vmcs_is_elsewhere(self, long):
        assert "make bochs" in long[0].said("vmm vmcs")

    def test_printers(self, long):
        n = re.search(r"= (\d+)$", long[0].said(
            "p/d vmm_vms->vcpu[0]->traced"))[1]
        assert f"{n} traced" in long[0].said("p *vmm_vms->vcpu[0]")
        assert 'VM 1 "vmctl": 4 MiB, VCPUs 1, 0 pages mapped' \
            in long[0].said("p *vmm_vms")
        assert "last exit IOIO" in long[0].said(f"p *{VMCB}")


@pytest.fixture(scope="module")
def broken():
    """VMCBs broken by hand, and VMRUN's answer."""
    return Played("""
info registers
vmm explain
info registers
vmm set asid 0
vmm explain
info registers
p/x vmm_vms->vcpu[0]->broken
vmm set asid 1
vmm set cr0 0xa0000031
vmm explain
vmm set cr0 0x80000031
vmm explain
vmm set asid 0
vmm set efer 0x500
vmm explain
vmm set cs_attr 0xe9b
vmm explain
vmm vmcb cs.attr
vmm finish
vmm explain
vmm until entry_failed
vmm explain
thbreak trace_ioctl if error != 0
continue
vmm explain
finish
vmm ioctls 1
vmm exits 1
""")


class TestExplain:
    def test_nothing_is_broken(self, broken):
        for nth in 0, 3:
            assert broken.said("vmm explain", nth) == "No rule that the " \
                "driver knows is broken: VMRUN will enter."

    def test_a_control(self, broken):
        assert "rule asid-0: ASID is 0x0" in broken.said("vmm explain", 1)

    def test_a_register_of_the_guest(self, broken):
        assert "rule cr0-nw: CR0 is 0xa0000031" in broken.said(
            "vmm explain", 2)

    def test_two_are_named_before_and_behind_the_entry(self, broken):
        for nth in (4, 6, 7):
            text = broken.said("vmm explain", nth)
            found = re.findall(r"^rule (\S+):", text, re.M)
            assert found[0] == "efer-svme" and "asid-0" in found, nth
            assert '15.5.1 "Basic Operation"' in text

    def test_a_segment_of_the_guest(self, broken):
        """CS with L and D set, if the driver has that rule."""
        assert "cs.attr         0xe9b  code, L and D set, DPL 0" \
            == broken.said("vmm vmcb cs.attr")
        rules = (TOP / "src/vmm/svm_rules.def").read_text()
        want = re.findall(r'"([\w-]+)", "CS_ATTR"', rules)
        found = re.findall(r"^rule (\S+): CS_ATTR is 0xe9b",
                           broken.said("vmm explain", 5), re.M)
        assert found == want

    def test_vmrun_agrees(self, broken):
        assert "INVALID: VMRUN refused the VMCB" in broken.said("vmm finish")

    def test_the_driver_agrees(self, broken):
        """It names one of them, and RUN fails with EINVAL."""
        rule = re.search(r"^rule \S+", broken.said("vmm explain", 8), re.M)
        assert rule[0] in broken.said("vmm explain", 7)
        assert broken.said("vmm ioctls 1").split()[-2:] == ["RUN", "EINVAL"]
        assert "ENTRY_FAILED" in broken.said("vmm exits 1")

    def test_registers_are_as_before(self, broken):
        """The call of the driver's function leaves no trace."""
        for nth in 1, 2:
            assert broken.said("info registers", 0) \
                == broken.said("info registers", nth)
        assert "{rule = 0x0, value = 0x0}" in broken.said(
            "p/x vmm_vms->vcpu[0]->broken")


@pytest.fixture(scope="module")
def real():
    """16-bit code, with CS at 0 and, behind a far return, at 0x8000."""
    return Played("""
vmm break &svm_run
vmm break 0x8013
continue
vmm dis
vmm regs
delete
vmm break 0x8075
continue
p $rip
vmm dis 0x8075 3
continue
vmm exits 1
""", "vmctl exec run real")


class TestTraps:
    """Of a guest under QEMU's stub."""

    def test_a_breakpoint_in_the_guest(self, real):
        assert "=> 0x8013:" in real.said("vmm dis")

    def test_it_is_none_in_the_host(self, real):
        """Which goes through svm_run() before it."""
        m = re.search(r"breakpoint (\d+) at", real.said("vmm break 0x8013"))
        assert f"Breakpoint {m[1]}," in real.said("continue", 0)

    def test_16_bit_code(self, real):
        want = objdump("real", "i8086")
        for command in "vmm dis", "vmm dis 0x8075 3":
            have = instructions(real.said(command))
            assert have and have.items() <= want.items()
        assert "real mode, no paging" in real.said("vmm regs")

    def test_a_breakpoint_is_at_a_linear_address(self, real):
        """CS:RIP is 0800:0075."""
        assert real.said("p $rip").endswith("0x75")

    def test_continue_does_not_stay_there(self, real):
        """It goes on to the guest's end, and the client's."""
        assert real.said("continue", 1).count("SIGTRAP") == 1
        assert real.said("continue", 2).endswith("Remote connection closed")
        assert "DONE" in real.job.log

    def test_an_access_is_seen(self):
        """The guest reads its nonce for DONE; the stop is behind that."""
        played = Played("""
vmm watch 0x600
continue
vmm dis
""", "vmctl exec run pae")
        code = objdump("pae", "i386")
        here = min(instructions(played.said("vmm dis")))
        before = max(a for a in code if a < here)
        assert "0x600" in code[before] or "0x200600" in code[before]

    def test_paging_of_32_bits(self):
        """Behind its changes of the tables the guest reads its nonce through
        other addresses: 2 MiB and 1 GiB are 0, too."""
        played = Played("""
vmm until io
vmm until io
vmm until io
vmm until io
vmm x/2xw 0x600
vmm x/2xw 0x200600
vmm regs
vmm walk 0x200600
""", "vmctl exec run pae")
        assert memory(played.said("vmm x/2xw 0x600"))
        assert memory(played.said("vmm x/2xw 0x600")) \
            == memory(played.said("vmm x/2xw 0x200600"))
        assert "protected mode, 32-bit, PAE paging" in played.said("vmm regs")
        assert "PD   [  1] at GPA 0x3008" in played.said("vmm walk 0x200600")


def test_back_from_an_exit_into_the_guest():
    """make gdb-rr: in a replay, reverse-stepi from behind VMRUN goes back to
    the instruction that exited, and on to VMRUN."""
    def start(job, args, limit):
        return emu.gdb_session(job, args, limit, reverse=True)
    played = Played("""
vmm finish
vmm finish
vmm finish
vmm finish
vmm finish
reverse-stepi
p $vmm_guest()
p $rip
vmm dis
reverse-stepi
reverse-stepi
p $vmm_guest()
p $rip == (unsigned long)&svm_before_vmrun
vmm finish
""", "vmctl exec run hlt", start)
    code = sorted(objdump("hlt", "i386:x86-64"))
    assert played.said("p $vmm_guest()", 0).endswith("= 1")
    at = numbers(played.said("p $rip"))[0]
    assert at in code
    assert played.said("p $vmm_guest()", 1).endswith("= 0")
    assert played.said(
        "p $rip == (unsigned long)&svm_before_vmrun").endswith("= 1")
    assert played.said("vmm finish", 4) == played.said("vmm finish", 5)
    assert "HLT" in played.said("vmm finish", 5)


@pytest.fixture(scope="module")
def linux():
    """A VM of the Linux host's, looked at while its client sleeps."""
    return Played("""
vmm regs
vmm exits
vmm ioctls
vmm vmcb rip
vmm walk 0x8010
vmm x/16xb 0x8010
vmm explain
vmm vmcs
p *vmm_vms
""", ["sh", "-c", LINUX], emu.gdb_linux, until=b"MiB ")


class TestLinux:
    def test_regs_are_the_clients(self, linux):
        client = dict(re.findall(r"\b([a-z]+\d*) +([0-9a-f]{16})\b",
                                 linux.job.log))
        shown = dict(re.findall(r"\b([a-z]+\d*) +([0-9a-f]{16})\b",
                                linux.said("vmm regs")))
        for name in ("rax", "rcx", "rip", "rflags", "cr0", "cr3", "efer"):
            assert shown[name] == client[name], name

    def test_exits_are_the_clients(self, linux):
        """Four OUTs of a value."""
        lines = linux.said("vmm exits").splitlines()
        assert sum(" IO " in line for line in lines) == 4
        assert linux.said("vmm ioctls").count(" RUN ") == 4

    def test_memory_is_the_image(self, linux):
        assert bytes(memory(linux.said("vmm x/16xb 0x8010"))) \
            == image("long")[0x10:0x20]
        assert hpa_of(linux.said("vmm walk 0x8010")) % 4096 == 0x10

    def test_the_vmcb(self, linux):
        """The exit's RIP; the client has the one behind the instruction."""
        line = linux.said("vmm exits").splitlines()[-1]
        assert fields(linux.said("vmm vmcb rip"))["rip"] \
            == int(line.split()[3], 16)
        assert "IOIO: out, port 0x500" in linux.said("vmm explain")

    def test_printers(self, linux):
        assert 'VM 1 "vmctl": 4 MiB' in linux.said("p *vmm_vms")


def test_every_command_was_given(long, broken, real, linux):
    """That `help vmm` lists."""
    listed = set(re.findall(r"^vmm ([\w-]+) -- ", long[0].said("help vmm"),
                            re.M))
    given = set(re.findall(r"\bvmm ([a-z-]+)",
                           pathlib.Path(__file__).read_text()))
    assert listed and listed <= given
    for played in long[0], broken, real, linux:
        assert not any(re.search("Undefined|Traceback", t)
                       for t in played.out)


# --- walk.py, on memory made by hand ---------------------------------------

def made(entries):
    """read() of a memory that has these {address: entry}."""
    return lambda at, size: entries.get(at, 0).to_bytes(size, "little")


P, PS = 0x7, 0x87


@pytest.mark.parametrize("regs,entries,gva,gpa", [
    # cr0, cr3, cr4, efer
    ((0x1, 0x1000, 0, 0), {}, 0x12345678, 0x12345678),
    ((0x80000001, 0x1018, 0, 0), {0x1004: 0x2000 | P, 0x2008: 0x7000 | P},
     0x402345, 0x7345),
    ((0x80000001, 0x1000, 0, 0), {0x1004: 0x2000 | PS, 0x2008: 0x7000 | P},
     0x402345, 0x7345),         # no PSE: bit 7 means nothing
    ((0x80000001, 0x1000, 0x10, 0), {0x1004: 0x800000 | PS},
     0x402345, 0x802345),
    ((0x80000001, 0x1000, 0x10, 0), {0x1004: 0x802000 | PS},
     0x402345, 0x100802345),    # bit 13 is bit 32 of the page's address
    ((0x80000001, 0x1020, 0x20, 0), {0x1028: 0x2001, 0x2008: 0x3000 | P,
                                     0x3010: 0x9000 | P},
     0x40202345, 0x9345),
    ((0x80000001, 0x1020, 0x20, 0), {0x1028: 0x2001, 0x2008: 0x600000 | PS},
     0x40202345, 0x602345),
    ((0x80000001, 0x1000, 0x20, 0x500), {
        0x1ff8: 0x2000 | P, 0x2ff0: 0x40000000 | PS},
     0xffffffff92345678, 0x52345678),
    ((0x80000001, 0x1000, 0x1020, 0x500), {
        0x1008: 0x2000 | P, 0x2000: 0x3000 | P, 0x3000: 0x4000 | P,
        0x4000: 0x5000 | P, 0x5008: 0x8000000000006000 | P},
     0x1000000001234, 0x6234),
    ((0x80000001, 0x1000, 0x20, 0x500), {0x1000: 0x2000 | P}, 0x1234, None),
])
def test_walk_in_every_mode(regs, entries, gva, gpa):
    tables = walk.guest_tables(*regs)
    assert walk.translate(tables, gva, made(entries)).address == gpa

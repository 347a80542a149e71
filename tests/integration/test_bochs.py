# SPDX-License-Identifier: ISC
"""`make bochs`: Bochs's debugger with the vmm commands before it. What they
say is held against Bochs's own commands, and against the guest's image."""
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

import emu
import front
import test_dump
import vmmcmd
import vmxfields
from conftest import BUILD, TOP

ENTRY = 0x8010
IMAGE = 0x8000                      # guest.h: GUEST_LOAD


@contextmanager
def debugger(*client, limit=60):
    """The front end, stopped before the first VMLAUNCH."""
    job = emu.Job(BUILD, list(client) or ["vmctl", "tour"])
    with emu.bochs_debugger(job, limit) as there:
        try:
            there.begin()
            yield there
        except (front.Gone, TimeoutError) as e:
            pytest.fail(f"{type(e).__name__}: {e}", pytrace=False)


@contextmanager
def inside(guest):
    """In a guest, behind its first exit that is no EPT violation."""
    with debugger(*f"vmctl exec run {guest}".split()) as there:
        out = "EPT_VIOLATION"
        while "EPT_VIOLATION" in out:
            out = there.do("vmm step-into") + there.do("vmm finish")
        out = there.do("vmm step-into")
        assert "In the guest" in out, out
        yield there


def registers(out):
    """Bochs's list of registers."""
    return {name: int(value.replace("_", ""), 16) for name, value in
            re.findall(r"^(\w+) *: (\w{8}_\w{8})$", out, re.M)}


def ours(out):
    """What `vmm regs` lists."""
    return {name: int(value, 16) for name, value in
            re.findall(r"\b([a-z]\w+) +(?:0x)?([0-9a-f]+)\b", out)}


def fields(out):
    """What `vmm vmcs` and `vmm exit` list."""
    return {name: int(value, 16) for name, value in
            re.findall(r"^([A-Z]\w+) +(0x[0-9a-f]+)\b", out, re.M)}


@pytest.fixture(scope="module")
def exit_point():
    names = emu.symbols(BUILD / "metal/vmm.elf")
    return int(re.search(r"^(\w+) vmx_exit_point$", names, re.M)[1], 16)


# --- Into the guest and out -------------------------------------------------

def test_bochs_goes_in_and_out(exit_point):
    with debugger() as there:
        assert there.vmm.where() == "entry"
        assert f"In the guest, at {ENTRY:#x}." in there.do("vmm step-into")
        assert "in_vmx_guest = true" in there.ask('show "cpu0.VMX"')
        assert registers(there.ask("r"))["rip"] == ENTRY
        out = there.do("vmm finish")
        assert "Exit 0x30, EPT_VIOLATION, at 0x8010." in out
        assert "in_vmx_guest = false" in there.ask('show "cpu0.VMX"')
        assert registers(there.ask("r"))["rip"] == exit_point


def test_bochs_finishes_at_an_exit_without_vmexitbp(exit_point):
    """And leaves none of its breakpoints behind."""
    with debugger() as there:
        before = there.ask("blist")
        there.ask("vmexitbp")
        there.do("vmm step-into")
        there.do("vmm finish")
        assert registers(there.ask("r"))["rip"] == exit_point
        there.do("vmm step-into")
        assert there.ask("blist") == before


def test_bochs_says_when_something_else_stops_it():
    with debugger() as there:
        there.do("vmm step-into")
        there.do("vmm finish")
        there.ask(f"lb {there.vmm.names['vcpu_enter']:#x}"
                  if "vcpu_enter" in there.vmm.names else 'lb "vmx_enter"')
        assert "Stopped before an entry." in there.do("vmm step-into")


@pytest.mark.parametrize("guest", ["io-real", "prot", "long"])
def test_bochs_shows_registers(guest):
    """In the guest and at its exit, as r, creg and sreg have them."""
    with inside(guest) as there:
        have, native = ours(there.do("vmm regs")), there.ask("r")
        own = registers(native)
        assert {n: have[n] for n in own} == own
        assert have["rflags"] == int(
            re.search(r"^eflags (\w+):", native, re.M)[1], 16)
        for name, value in re.findall(r"^(CR[034]|EFER)=(0x\w+)",
                                      there.ask("creg"), re.M):
            assert have[name.lower()] == int(value, 16), name
        for name, value in re.findall(r"^([cs]s):(0x\w+)", there.ask("sreg"),
                                      re.M):
            assert have[name] == int(value, 16), name
        # At the exit the CPU still has the general registers.
        there.do("vmm finish")
        out = ours(there.do("vmm regs"))
        host = registers(there.ask("r"))
        for name in set(host) - {"rip", "rsp"}:
            assert out[name] == host[name], name
        assert IMAGE < out["rip"] < IMAGE + 0x10000


def test_bochs_shows_no_registers_of_the_host():
    with debugger() as there:
        there.do("vmm step-into")
        there.do("vmm finish")
        there.ask("s")
        assert there.do("vmm regs").startswith("vmm: these are the host's")


# --- The exit, against the instruction that made it -------------------------

def instructions(guest):
    """{address: (bytes, text)} of a 64-bit guest."""
    out = subprocess.run(
        ["objdump", "-D", "-b", "binary", "-m", "i386:x86-64",
         f"--adjust-vma={IMAGE:#x}", "--start-address=0x8010",
         BUILD / f"guests/{guest}.bin"],
        capture_output=True, text=True, check=True).stdout
    return {int(at, 16): (bytes.fromhex(raw), " ".join(text.split()))
            for at, raw, text in re.findall(
                r"^ +(\w+):\t((?:\w\w )+)\s*\t(.*)$", out, re.M)}


def expected(text):
    """The reason, and of the qualification what the disassembly has."""
    m = re.match(r"mov %(\w+),%(cr\d)$", text)
    if m:
        return "CR_ACCESS", f"MOV {m[1]} to {m[2]}".upper()
    m = re.match(r"mov %(cr\d),%(\w+)$", text)
    if m:
        return "CR_ACCESS", f"MOV {m[1]} to {m[2]}".upper()
    m = re.match(r"out %(al|ax|eax),(?:\$(0x\w+)|\(%dx\))", text)
    if m:
        size = {"al": 1, "ax": 2, "eax": 4}[m[1]]
        return "IO", f"OUT, {size} BYTES, PORT {m[2] or ''}".upper()
    return {"cpuid": "CPUID", "rdmsr": "RDMSR", "wrmsr": "WRMSR",
            "hlt": "HLT"}[text], ""


@pytest.mark.parametrize("guest,exits,want", [
    ("cr-forms", 12, {"CR_ACCESS"}), ("cpuid", 6, {"CPUID", "IO"}),
    ("efer", 6, {"RDMSR", "WRMSR", "IO"})])
def test_bochs_decodes_exits(guest, exits, want):
    """Reason, operands and length, as a disassembler has them."""
    code, met = instructions(guest), set()
    with inside(guest) as there:
        while exits > 0:
            there.do("vmm finish")
            out = there.do("vmm exit")
            value = fields(out)
            if "EPT_VIOLATION" not in out:
                raw, text = code[value["GUEST_RIP"]]
                name, operands = expected(text)
                assert re.search(rf"^EXIT_REASON +0x\w+ +{name}$", out, re.M)
                assert operands in re.sub(" to ", " TO ", out).upper(), text
                assert value["EXIT_INSN_LEN"] == len(raw), text
                met.add(name)
                exits -= 1
            assert "In the guest" in there.do("vmm step-into")
    assert want <= met


# Typed in from SDM Vol. 3C 27.2.1 "Basic VM-Exit Information", tables of exit
# qualifications, and 24.8.3 "VM-Entry Controls for Event Injection".
@pytest.mark.parametrize("values,field,text", [
    ((48, 0x184), "QUALIFICATION", "fetch, no page is mapped"),
    ((48, 0x1aa), "QUALIFICATION", "write, the page is RX"),
    ((48, 0x081), "QUALIFICATION", "read, no page is mapped, in a walk of the "
     "guest's page tables"),
    ((30, 0x00700048), "QUALIFICATION", "IN, 1 bytes, port 0x70, in the "
     "instruction"),
    ((30, 0x03f80038), "QUALIFICATION", "REP INS, 1 bytes, port 0x3f8"),
    ((30, 0x03f80011), "QUALIFICATION", "OUTS, 2 bytes, port 0x3f8"),
    ((28, 0xb04), "QUALIFICATION", "MOV R11 to CR4"),
    ((28, 0x013), "QUALIFICATION", "MOV CR3 to RAX"),
    ((28, 0x020), "QUALIFICATION", "CLTS"),
    ((28, 0x00090030), "QUALIFICATION", "LMSW of 0x9"),
    ((29, 0x217), "QUALIFICATION", "MOV DR7 to RDX"),
    ((29, 0x306), "QUALIFICATION", "MOV RBX to DR6"),
    ((9, 0xc0000040), "QUALIFICATION", "to TSS 0x40, by a task gate in the "
     "IDT"),
    ((0x80000021, 4), "QUALIFICATION", "LINK_POINTER"),
    ((0x80000021, 4), "EXIT_REASON", "ENTRY_FAILED_GUEST_STATE: the entry "
     "failed"),
    ((0, 0x4000, 0x80000301), "QUALIFICATION", "BS"),
    ((0, 0, 0x80000b0e), "EXIT_EVENT", "#PF with an error code"),
    ((0, 0, 0x80000030), "EXIT_EVENT", "interrupt 48"),
    ((0, 0, 0x00000030), "EXIT_EVENT", "none"),
])
def test_fields_are_decoded(values, field, text):
    reason, qualification, event = (*values, 0)[:3]
    assert vmxfields.decode(field, {
        "EXIT_REASON": reason, "QUALIFICATION": qualification,
        "EXIT_EVENT": event}) == text


@pytest.mark.parametrize("value,text", [
    (0xa09b, "code, readable, accessed, DPL 0, 64-bit, 4 KiB units"),
    (0xc0f3, "data, writable, accessed, DPL 3, 32-bit, 4 KiB units"),
    (0x8b, "busy TSS, DPL 0"), (0x82, "LDT, DPL 0"), (0x10000, "unusable"),
    (0x0012, "data, writable, DPL 0, not present, 16-bit")])
def test_access_rights_are_decoded(value, text):
    assert vmxfields.access_rights(value) == text


def test_bits_have_the_names_of_the_driver():
    """Where the driver names a bit of a control, so do we."""
    text = (TOP / "src/vmm/vmx.h").read_text()
    named = re.findall(r"^#define (PIN|PROC2?|EXIT|ENTRY)_(\w+)\s+"
                       r"\(1U << (\d+)\)", text, re.M)
    assert len(named) > 25
    for word, name, bit in named:
        assert vmxfields.BITS[f"{word}_CTLS"][int(bit)] == name


def test_tables_of_the_driver_were_read():
    assert {n: f.encoding for n, f in vmxfields.fields().items()
            if n in test_dump.SDM} == test_dump.SDM
    assert vmxfields.reasons()[48] == "EPT_VIOLATION"
    assert vmxfields.insn_errors()[7] == "a control field is not valid"


# --- The VMCS ---------------------------------------------------------------

def test_bochs_shows_the_vmcs():
    """Each field of vmcs.def, as Bochs has it in memory; and what the CPU has
    loaded of it, as `show` has it."""
    with inside("long") as there:
        there.do("vmm finish")
        have = fields(there.do("vmm vmcs"))
        shown = there.ask('show "cpu0.VMX"')
        address = int(re.search(r"vmcsptr = (0x\w+)", shown)[1], 16)
        encodings = test_dump.encodings()
        assert list(have) == list(encodings)
        for name, (encoding, size) in encodings.items():
            value = test_dump.memory(
                there, address + test_dump.place(encoding), size)
            want = have[name] << (8 if name.endswith("_AR") else 0)
            assert want == value, name
        for theirs, name in test_dump.SHOWN.items():
            if name != "VMCS":
                value = re.search(rf"\b{theirs} = (0x\w+)", shown)[1]
                assert have[name] == int(value, 16), name
        assert set(fields(there.do("vmm vmcs gdtr vpid"))) == {
            "VPID", "GUEST_GDTR_LIMIT", "GUEST_GDTR_BASE", "HOST_GDTR_BASE"}


def test_bochs_shows_what_changed():
    """From one exit to the next, whoever asked in between, and how often; all
    of it, and the old value with the new."""
    with inside("long") as there:
        there.do("vmm finish")
        before = fields(there.do("vmm vmcs"))
        there.do("vmm explain")
        there.do("vmm step-into")
        there.do("c")
        for _ in range(2):
            after = fields(there.do("vmm vmcs"))
            found = {m[1]: (int(m[2], 16), int(m[3], 16)) for m in re.finditer(
                r"^(\w+) +(0x\w+) -> (0x\w+)", there.do("vmm vmcs diff"),
                re.M)}
            assert found == {n: (before[n], after[n]) for n in after
                             if before[n] != after[n]}
            assert "GUEST_RIP" in found
            there.do("vmm explain")


def test_bochs_compares_with_the_guest_of_before():
    """Not with the VM that was here earlier."""
    with debugger(*"vmctl exec create ; load long ; reset ; step ; term ; "
                  "create ; load io-real ; reset ; step".split()) as there:
        refused = "vmm: this guest has not been entered\n"
        assert there.do("vmm vmcs diff") == there.do("vmm exit") == refused
        for _ in range(9):
            there.do("vmm step-into")
            there.do("vmm finish")
            if there.vmm.values()["GUEST_CR0"] == 0x30:
                break
        found = set(re.findall(r"^(\w+) +0x\w+ ->", there.do("vmm vmcs diff"),
                               re.M))
        assert "EXIT_REASON" in found and "GUEST_CR0" not in found


def test_bochs_sets_fields():
    """Each of them, wherever Bochs has it; and says what is no value."""
    with debugger() as there:
        encodings = test_dump.encodings()
        address = there.vmm.vmcs()
        for name, (encoding, size) in encodings.items():
            value = 0xfedcba9876543210 >> {"g": 0, "w": 32, "h": 48}[size]
            if name.endswith("_AR"):
                value &= 0x1f0ff        # the others are not kept
            there.do(f"vmm set {name} {value:#x}")
            found = test_dump.memory(
                there, address + test_dump.place(encoding), size)
            assert found == value << (8 if name.endswith("_AR") else 0), name
            assert fields(there.do(f"vmm vmcs {name}"))[name] == value
        assert there.do("vmm set VPID 0x10000") == "vmm: VPID has 2 bytes\n"
        assert "no field FOO" in there.do("vmm set FOO 1")
        assert "neither a number" in there.do("vmm set VPID FOO")
        assert there.do("vmm set VPID") == "vmm: set: see vmm help\n"


# --- Page tables ------------------------------------------------------------

@pytest.mark.parametrize("guest,levels", [
    ("io-real", 0), ("prot", 0), ("pae", 3), ("long", 4)])
def test_bochs_walks(guest, levels):
    """To where `page` comes, and where the guest's image is."""
    image = (BUILD / f"guests/{guest}.bin").read_bytes()
    with inside(guest) as there:
        rip = registers(there.ask("r"))["rip"]
        out = there.do("vmm walk")
        m = re.search(r"^host-physical HPA (0x\w+)$", out, re.M)
        assert m, out
        page = int(re.search(r"physical page (0x\w+)",
                             there.ask(f"page {rip:#x}"))[1], 16)
        assert int(m[1], 16) == page | rip & 0xfff
        found = there.vmm.memory(int(m[1], 16), 8, "b")
        assert bytes(found) == image[rip - IMAGE:][:8]
        assert out.startswith(f"guest-virtual {rip:#x}\n")
        assert (f", {levels} levels\n" in out) if levels else \
            "The guest has no paging" in out
        native = there.ask(f"page {rip:#x}")
        ept = [int(v, 16) for v in re.findall(r"EPT +\w+: (0x\w+)", native)]
        frames = [int(v, 16) for v in
                  re.findall(r"^  EPT .*: HPA (0x\w+)", out, re.M)]
        assert frames == [v & 0xffffffffff000 for v in ept[-4:]]
        # The same from outside, and of a guest-physical address.
        there.do("vmm finish")
        assert there.do(f"vmm walk {rip:#x}") == out
        assert f"HPA {page | rip & 0xfff:#x}\n" in \
            there.do(f"vmm walk gpa {rip:#x}")


def test_bochs_walks_to_where_nothing_is():
    with inside("long") as there:
        out = there.do("vmm walk 0x123456789abc")
        assert out.endswith("not present: #PF\n"), out
        out = there.do("vmm walk gpa 0x7fff000")
        assert out.endswith(vmmcmd.NO_PAGE + "\n"), out
        assert there.ask("page 0x123456789abc").endswith(
            "not available for linear 0x0000123456789000\n")
        assert "neither a number" in there.do("vmm walk somewhere")
        assert there.do("vmm walk 1 2") == "vmm: walk: see vmm help\n"


def test_bochs_sees_a_large_page_of_ept():
    """One made by hand, in the place of a table of small ones."""
    with inside("long") as there:
        small = there.do("vmm walk 0x8010")
        at = re.search(r"EPT PD  \[ *\d+\]  at HPA (0x\w+)", small)[1]
        hpa = int(re.search(r"^host-physical HPA (\w+)$", small, re.M)[1], 16)
        assert (hpa - 0x8010) % (2 << 20) == 0, "where the client has memory"
        there.ask(f"setpmem {at} 4 {hpa - 0x8010 + 0xb7:#x}")
        large = there.do("vmm walk 0x8010")
        assert "RWX WB page of 2 MiB\n" in large
        assert large.endswith(f"host-physical HPA {hpa:#x}\n")
        assert f"maps to physical page {hpa & ~0xfff:#014x}" in \
            there.ask("page 0x8010")


# --- Which rule is broken ---------------------------------------------------

def rows():
    """{field: the names of its rules}, macros expanded."""
    out = subprocess.run(
        ["gcc", "-E", "-P", "-x", "c", "-D", "RULE(s,p,id,field,ok,a)="
         "@ id field @", TOP / "src/vmm/vmx_rules.def"],
        capture_output=True, text=True, check=True).stdout
    found = {}
    for name, field in re.findall(r'@ ("[^@]*") (\w+) @', out):
        found.setdefault(field, []).append(re.sub('"( ")?', "", name))
    return found


VMFAIL = "Refused, VMfail: error {}, "
BY_EXIT = "Refused, by an exit: ENTRY_FAILED_GUEST_STATE: the entry failed"


@pytest.mark.parametrize("field,value,refusal", [
    ("HOST_CR4", 0x1406e0, VMFAIL.format(8)),       # no VMXE
    ("GUEST_RFLAGS", 0, BY_EXIT),
    ("PIN_CTLS", 0x69, VMFAIL.format(7)),           # no bits 1, 2 and 4
    ("GUEST_CS_AR", 0xa01b, BY_EXIT),               # not present
])
@pytest.mark.parametrize("when", ["before", "after"])
def test_bochs_explains(field, value, refusal, when):
    """Before the entry and after it; and disturbs nothing: the driver says
    the same to its console when it goes on."""
    with debugger() as there:
        there.do("vmm step-into")
        there.do("vmm finish")
        there.ask("vmexitbp")
        there.ask(f"lb {there.vmm.names['vmx_before_vmresume']:#x}")
        there.ask("c")
        assert there.vmm.where() == "entry"
        assert there.do("vmm explain") == \
            "No rule that the driver knows is broken.\n"
        there.do(f"vmm set {field} {value:#x}")
        if when == "after":
            out = there.do("vmm step-into")
            assert refusal in out, out
        own = registers(there.ask("r"))
        out = there.do("vmm explain")
        assert registers(there.ask("r")) == own
        m = re.fullmatch(r"rule (\S+): (\w+) is (\w+)\n  allowed: (.+)\n"
                         r'  (SDM Vol. 3C \S+ ".+")\n', out)
        if field in rows():
            assert m and m[1] in rows()[field], out
            assert m[2] == field and int(m[3], 16) == value
        else:
            assert not m
        if when == "before":
            assert refusal in there.do("vmm step-into")
        there.ask("c")              # to the next VM's first entry
        said = re.sub(r"^vmm0: ", "", there.console.read_text(), flags=re.M)
        assert (f"entry refused by rule {m[1]}: {m[2]} is {m[3]}\n"
                f"  allowed: {m[4]}\n  {m[5]}\n" in said.replace("\r", "")) \
            if m else "no rule that the driver knows is broken" in said, said


def test_bochs_explains_an_entry_repaired_after_its_refusal():
    """And CF stays clear, by which the driver sees what has failed."""
    with debugger() as there:
        good = there.vmm.values()["HOST_CR4"]
        there.do("vmm set HOST_CR4 0")
        there.do("vmm step-into")
        assert "No exit: the entry was refused.\nINSN_ERROR             0x8" \
            in there.do("vmm exit")
        there.do("vmm explain")
        assert " cf\n" in there.ask("r")
        there.do(f"vmm set HOST_CR4 {good}")
        assert there.do("vmm explain").startswith("No rule")
        there.ask("c")
        assert "error 8: a host-state field" in there.console.read_text()


def test_bochs_explains_only_an_entry():
    with debugger() as there:
        there.do("vmm step-into")
        assert there.do("vmm explain").startswith("vmm: this is the guest")
        there.do("vmm finish")
        there.ask("s")
        assert there.do("vmm explain").startswith("vmm: not here")


# --- The front end ----------------------------------------------------------

def test_bochs_passes_native_commands():
    """All that `make bochs` and `vmm help` propose are there."""
    with debugger() as there:
        known = set(re.findall(r"[\w?-]+", there.do("help").split(
            "Debugger control")[1]))
        native = re.search(r"goes to Bochs: (.*)\.$", vmmcmd.HELP, re.M)[1]
        assert set(native.split(", ")) <= known | {"q", "help"}
        assert there.do("bogus") == "syntax error at 'bogus'\n"
        assert there.do("vmm") == there.do("vmm help") == vmmcmd.HELP
        listed = set(re.findall(r"^ *vmm ([\w-]+)",
                                vmmcmd.NEXT + vmmcmd.HELP, re.M))
        for name in listed:
            assert "no command" not in there.do(f"vmm {name} no such thing")
        assert listed == {"step-into", "finish", "regs", "exit", "vmcs",
                          "walk", "explain", "set", "help"}
        assert there.do("vmm bogus").startswith("vmm: no command bogus")


def test_bochs_script_ends(tmp_path):
    """SCRIPT=file, from the command line; the end of Bochs is no success, nor
    is a guest that never ends."""
    script = tmp_path / "s"
    emu_bochs = [sys.executable, TOP / "tools/emu.py", "--build", BUILD,
                 "bochs", "--script", script, "--", "vmctl"]

    def play(text, *client):
        script.write_text(text)
        done = subprocess.run([*emu_bochs, *client], text=True, timeout=100,
                              capture_output=True, check=False)
        return done.returncode, done.stdout

    assert play("# a comment\nvmm step-into\nq\nvmm exit\n", "tour")[1] \
        .endswith("In the guest, at 0x8010.\n<bochs> q\n")
    status, out = play("d 1\nvmexitbp\nc\nr\n", *"exec create".split())
    assert status == front.GONE and out.endswith("Bochs has ended.\n")
    status, out = emu.bochs_session(
        emu.Job(BUILD, "vmctl exec run spin".split()),
        ["d 1", "vmexitbp", "c"], limit=3)
    assert status == front.TIMEOUT and "No end within" in out


def test_bochs_targets():
    for words, want in ([["BATCH=1"], "--batch"],
                        [["SCRIPT=a/b.rc"], "--script a/b.rc"], [[], ""]):
        done = subprocess.run(
            ["make", "-n", "bochs", *words], cwd=TOP, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
        assert re.search(rf"emu.py --build \S+ bochs +{want} *-- vmctl tour$",
                         done.stdout, re.M), done.stdout


class Person:
    """Types on a terminal, and reads what stands there."""

    def __init__(self, tmp, *client):
        self.fd, far = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, TOP / "tools/emu.py", "--build", BUILD, "bochs",
             "--", *client], stdin=far, stdout=far, stderr=far,
            start_new_session=True, env={
                **os.environ, "TERM": "dumb", "TMPDIR": str(tmp)})
        os.close(far)
        self.out = ""
        self.deadline = time.monotonic() + emu.time_limit(60)

    def read(self, until, every=None):
        """What stands there up to that text. Meanwhile `every` so often."""
        while until not in self.out:
            assert time.monotonic() < self.deadline, self.out
            if select.select([self.fd], [], [], 0.2)[0]:
                self.out += os.read(self.fd, 65536).decode()
            elif every:
                every()
        found, self.out = self.out.split(until, 1)
        return found

    def type(self, text, until="<bochs> ", **more):
        os.write(self.fd, text.encode())
        self.read(text.strip())
        return self.read(until, **more)

    def bochs(self):
        """The process of Bochs, this one's child."""
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                name, rest = path.read_text().rsplit(")", 1)
            except OSError:
                continue
            if int(rest.split()[1]) == self.process.pid \
                    and "bochs" in name:
                return path.parent
        return None


@pytest.fixture
def person(tmp_path):
    """At the prompt of a guest that spins."""
    there = Person(tmp_path, "vmctl", "exec", "run", "spin")
    try:
        assert "Type next:" in there.read("<bochs> ")
        yield there
    finally:
        emu.end(there.process)
        os.close(there.fd)
        (BUILD / f"bochs-{there.process.pid}.log").unlink(missing_ok=True)


def test_bochs_talks_with_a_person(person):
    """A guest that never ends stops at ^C; an empty line is the last again;
    and what is a mistake is no end."""
    assert "In the guest" in person.type("vmm step-into\n")
    assert "no command" in person.type("vmm bogus\n")
    person.type("vmm finish\n")
    person.type("d 1\n")
    assert "disabled" in person.type("vmexitbp\n")
    bochs = person.bochs()
    assert bochs
    run_on(person, bochs)       # before that, ^C only ends a line
    person.read("Next at t=", every=lambda:
                person.process.send_signal(signal.SIGINT))
    person.read("<bochs> ")
    assert "the guest" in person.type("vmm step-into\n")
    os.write(person.fd, b"q\n")
    assert person.process.wait(timeout=emu.time_limit(20)) == 0
    assert not bochs.exists()


def ticks(process):
    """Time a process has used, in the kernel's ticks; 0: it has ended."""
    try:
        rest = (process / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return 0 if rest[0] == "Z" else int(rest[11]) + int(rest[12])


def run_on(person, bochs):
    """Type "c", and wait until the guest surely runs."""
    waiting = ticks(bochs)
    os.write(person.fd, b"c\n")
    while ticks(bochs) < waiting + 20:
        assert time.monotonic() < person.deadline
        time.sleep(0.05)


def test_bochs_dies_with_its_front_end(person):
    """Even in the middle of a guest, when nobody reads what it says."""
    person.type("d 1\n")
    person.type("vmexitbp\n")
    bochs = person.bochs()
    run_on(person, bochs)
    person.process.kill()
    person.process.wait()
    while ticks(bochs):
        assert time.monotonic() < person.deadline
        time.sleep(0.05)

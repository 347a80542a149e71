# SPDX-License-Identifier: ISC
"""The guest of a VCPU: its registers, wherever they are now, and its memory.

While the guest runs its registers are the CPU's. Behind #VMEXIT those that
the CPU switches are in the VMCB, and the other general registers still in the
CPU, until svm_entry.S stores them in struct vcpu.
"""
import re
import subprocess
import tempfile

import gdb

from . import fields, session, walk

GPRS = "rax rbx rcx rdx rsi rdi r8 r9 r10 r11 r12 r13 r14 r15 rsp rbp rip " \
    "rflags".split()
SWITCHED = ("rax", "rsp", "rip", "rflags")      # by VMRUN and #VMEXIT
SEGMENTS = "cs ds es fs gs ss ldtr tr gdtr idtr".split()
L, D = 0x200, 0x400                             # attributes of a segment


MACHINES = {16: "i8086", 32: "i386", 64: "i386:x86-64"}


class Guest:
    """Registers as the guest would read them."""

    def __init__(self):
        self.vm, self.v, _ = session.current()
        self.live = session.in_guest()
        self.before_touch = False
        page = session.vmcb_bytes(self.v)
        self.vmcb = fields.values(page)
        switching = session.at("svm_before_vmrun") or session.fresh_exit()
        self.reg = {n: int(self.v["gpr"][i]) for i, n in enumerate(GPRS)}
        if self.live or switching:
            for n in GPRS:
                self.reg[n] = cpu(n)
        if switching:
            self.reg |= {n: self.vmcb[n] for n in SWITCHED}
        # Every write of these exits, so the driver knows them, but for TS.
        for n in ("cr0", "cr4", "cr8", "efer", "dr6", "dr7"):
            self.reg[n] = int(self.v[n])
        for i in range(4):
            self.reg[f"dr{i}"] = int(self.v["dr"][i])
        for n in ("cr2", "cr3"):
            self.reg[n] = cpu(n) if self.live else self.vmcb[n]
        self.segment = segments_of_cpu() if self.live else {
            n: tuple(self.vmcb[f"{n}.{f}"]
                     for f in ("sel", "base", "limit", "attr"))
            for n in SEGMENTS}

    @property
    def bits(self):
        """Size of operands and addresses: 16, 32 or 64."""
        attr = self.segment["cs"][3]
        if self.reg["efer"] & 0x400 and attr & L:
            return 64
        return 32 if attr & D and self.protected else 16

    @property
    def protected(self):
        return self.reg["cr0"] & 1

    @property
    def mode(self):
        if not self.protected:
            return "real mode"
        if self.reg["efer"] & 0x400:
            return "64-bit mode" if self.bits == 64 else \
                f"compatibility mode, {self.bits}-bit"
        if self.reg["rflags"] & 0x20000:
            return "virtual-8086 mode"
        return f"protected mode, {self.bits}-bit"

    @property
    def tables(self):
        r = self.reg
        return walk.guest_tables(r["cr0"], r["cr3"], r["cr4"], r["efer"])

    @property
    def nested(self):
        """The tree that N_CR3 points to, in the format of the host's."""
        five = int(session.svm(self.v)["pml5"]) != 0
        return walk.long_mode(self.vmcb["n_cr3"], five)

    @property
    def rip(self):
        """The linear address of the next instruction."""
        rip = self.reg["rip"]
        return rip if self.bits == 64 else \
            self.segment["cs"][1] + rip & 0xffffffff

    def to_hpa(self, gpa):
        found = walk.translate(self.nested, gpa, session.physical)
        if found.address is None:
            raise gdb.GdbError(f"GPA {gpa:#x} is not mapped yet.")
        return found.address

    def physical(self, gpa, size):
        """Bytes at a guest-physical address, within a page."""
        if self.before_touch:
            return session.host(self.of_client(gpa), size)
        return session.physical(self.to_hpa(gpa), size)

    def of_client(self, gpa):
        """Where the client has the memory that a guest has not touched."""
        for i in range(int(self.vm["nranges"])):
            r = self.vm["range"][i]
            at = gpa - int(r["vmr_gpa"])
            if 0 <= at < int(r["vmr_size"]):
                return int(r["vmr_va"]) + at
        raise gdb.GdbError(f"GPA {gpa:#x} is no memory.")

    def to_gpa(self, gva):
        try:
            found = walk.translate(self.tables, gva, self.physical)
        except ValueError as e:
            raise gdb.GdbError(f"{e}.") from None
        if found.address is None:
            raise gdb.GdbError(f"GVA {gva:#x}: the guest's page tables map "
                               "nothing there.")
        return found.address

    def read(self, gva, size, short=False):
        """Bytes at a linear address, through both walks. `short`: fewer, if
        there are not so many."""
        out = b""
        while len(out) < size:
            n = min(size - len(out), 4096 - (gva + len(out)) % 4096)
            try:
                out += self.physical(self.to_gpa(gva + len(out)), n)
            except gdb.GdbError:
                if short and out:
                    break
                raise
        return out


    def disassemble(self, gva, count):
        """Lines. GDB cannot be told another mode than x86-64; objdump can."""
        with tempfile.NamedTemporaryFile(suffix=".bin") as f:
            f.write(self.read(gva, 15 * count, short=True))
            f.flush()
            text = subprocess.run(
                ["objdump", "-D", "-b", "binary", "-m", MACHINES[self.bits],
                 "--no-show-raw", f"--adjust-vma={gva:#x}", f.name], text=True,
                check=True, stdout=subprocess.PIPE).stdout
        found = re.findall(r"^ *([0-9a-f]+):\t(.*)$", text, re.M)[:count]
        return [f"{'=>' if int(at, 16) == self.rip else '  '} 0x{at}:\t"
                + insn.strip() for at, insn in found]

    def next_line(self):
        try:
            return self.disassemble(self.rip, 1)[0]
        except gdb.GdbError as e:
            why = e
        # The CPU finds no page; what is there the client knows, on metal.
        self.before_touch = True
        try:
            return self.disassemble(self.rip, 1)[0] + \
                "\n(It is not mapped yet: to fetch it will be an exit.)"
        except (gdb.error, TypeError):
            return f"=> {self.rip:#x}:\t{why}"
        finally:
            self.before_touch = False


def cpu(name):
    name = {"rflags": "eflags"}.get(name, name)
    return session.register(name)


def segments_of_cpu():
    """As the VMCB would have them: QEMU shows the descriptor's bits."""
    found = {}
    for name, w in session.cpu_segments().items():
        attr = w[3] >> 8 & 0xff | w[3] >> 12 & 0xf00
        name = {"gdt": "gdtr", "idt": "idtr", "ldt": "ldtr"}.get(name, name)
        found[name] = (*w[:3], attr)
    return found

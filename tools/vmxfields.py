# SPDX-License-Identifier: ISC
"""What the numbers in a VMCS mean: its fields, from vmcs.def; exits, from
vmmvar.h; and the bits of registers and controls, which AMD's have too.

The bits that the driver names too have its names (vmx.h), which a test holds
them to. Of the manual: SDM Vol. 3C 24 "Virtual Machine Control Structures",
27.2 "Recording VM-Exit Information and Updating VM-entry Control Fields".
"""
import functools
import pathlib
import re
from dataclasses import dataclass

TOP = pathlib.Path(__file__).resolve().parents[1]
WIDTHS = {"16": (0, 2), "64": (1, 8), "32": (2, 4), "NAT": (3, 8)}
KINDS = ["CTRL", "INFO", "GUEST", "HOST"]
FAILED = 1 << 31                # in EXIT_REASON: the entry failed


@dataclass(frozen=True)
class Field:
    """A line of vmcs.def."""
    name: str
    kind: str
    size: int                   # bytes
    encoding: int
    text: str


@functools.cache
def fields():
    """{name: Field} in the order of vmcs.def."""
    table = re.findall(r'^VMCS\((\w+),\s*(\w+),\s*(\w+),\s*(\d+), "(.*)"\)$',
                       (TOP / "src/vmm/vmcs.def").read_text(), re.M)
    return {name: Field(name, kind, WIDTHS[width][1], WIDTHS[width][0] << 13
                        | KINDS.index(kind) << 10 | int(index) << 1, text)
            for name, width, kind, index, text in table}


@functools.cache
def reasons():
    """{basic exit reason: name}"""
    text = (TOP / "include/vmmvar.h").read_text()
    return {int(n): name for name, n in
            re.findall(r"^#define VMX_EXIT_(\w+)\s+(\d+)$", text, re.M)}


@functools.cache
def insn_errors():
    """{VM-instruction error: what it means}"""
    text = (TOP / "src/vmm/vmx_ctl.c").read_text()
    body = text[text.index("vmx_ctl_error_text("):]
    return {int(n): said for n, said in
            re.findall(r'^\t\t\[(\d+)\] = "(.*)",$', body, re.M)}


def table(text):
    """{bit: name} of lines of `bit name`."""
    words = text.split()
    return {int(n): name for n, name in
            zip(words[::2], words[1::2], strict=True)}


CR0 = table("0 PE 1 MP 2 EM 3 TS 4 ET 5 NE 16 WP 18 AM 29 NW 30 CD 31 PG")
CR4 = table("0 VME 1 PVI 2 TSD 3 DE 4 PSE 5 PAE 6 MCE 7 PGE 8 PCE 9 OSFXSR "
            "10 OSXMMEXCPT 11 UMIP 12 LA57 13 VMXE 14 SMXE 16 FSGSBASE "
            "17 PCIDE 18 OSXSAVE 20 SMEP 21 SMAP 22 PKE 23 CET 24 PKS")
EFER = table("0 SCE 8 LME 10 LMA 11 NXE 12 SVME 13 LMSLE 14 FFXSR 15 TCE")
RFLAGS = table("0 CF 2 PF 4 AF 6 ZF 7 SF 8 TF 9 IF 10 DF 11 OF 14 NT 16 RF "
               "17 VM 18 AC 19 VIF 20 VIP 21 ID")
DR6 = table("0 B0 1 B1 2 B2 3 B3 12 ENABLED 13 BD 14 BS 16 RTM")
EXCEPTIONS = table("0 #DE 1 #DB 2 NMI 3 #BP 4 #OF 5 #BR 6 #UD 7 #NM 8 #DF "
                   "10 #TS 11 #NP 12 #SS 13 #GP 14 #PF 16 #MF 17 #AC 18 #MC "
                   "19 #XM 20 #VE 21 #CP")
BITS = {
    "PIN_CTLS": table("0 EXTINT 3 NMI 5 VIRTUAL_NMI 6 TIMER 7 POSTED"),
    "PROC_CTLS": table(
        "2 WINDOW 3 TSC_OFFSET 7 HLT 9 INVLPG 10 MWAIT 11 RDPMC 12 RDTSC "
        "15 CR3_LOAD 16 CR3_STORE 17 PROC3 19 CR8_LOAD 20 CR8_STORE "
        "21 TPR_SHADOW 22 NMI_WINDOW 23 MOV_DR 24 IO 25 IO_BITMAP 27 MTF "
        "28 MSR_BITMAP 29 MONITOR 30 PAUSE 31 PROC2"),
    "PROC2_CTLS": table(
        "0 APIC_ACCESS 1 EPT 2 DESCRIPTORS 3 RDTSCP 4 X2APIC 5 VPID 6 WBINVD "
        "7 UNRESTRICTED 8 APIC_REGISTERS 9 INTERRUPT_DELIVERY 10 PAUSE_LOOP "
        "11 RDRAND 12 INVPCID 13 VMFUNC 14 VMCS_SHADOW 15 ENCLS 16 RDSEED "
        "17 PML 18 VE 19 CONCEAL 20 XSAVES 22 MODE_EXECUTE 23 SUB_PAGE "
        "24 PT_GPA 25 TSC_SCALING 26 USER_WAIT 27 PCONFIG 28 ENCLV"),
    "EXIT_CTLS": table(
        "2 SAVE_DEBUG 9 HOST_64 12 LOAD_PERF 15 ACK_INTERRUPT 18 SAVE_PAT "
        "19 LOAD_PAT 20 SAVE_EFER 21 LOAD_EFER 22 SAVE_TIMER "
        "23 CLEAR_BNDCFGS 24 CONCEAL 25 CLEAR_RTIT 28 LOAD_CET 29 LOAD_PKRS"),
    "ENTRY_CTLS": table(
        "2 LOAD_DEBUG 9 IA32E 10 SMM 11 DUAL_MONITOR 13 LOAD_PERF "
        "14 LOAD_PAT 15 LOAD_EFER 16 LOAD_BNDCFGS 17 CONCEAL 18 LOAD_RTIT "
        "20 LOAD_CET 22 LOAD_PKRS"),
    "EXCEPTION_BITMAP": EXCEPTIONS,
    "GUEST_INTERRUPTIBILITY": table("0 STI 1 MOV_SS 2 SMI 3 NMI 4 ENCLAVE"),
    "PENDING_DEBUG": DR6,
    "GUEST_EFER": EFER, "HOST_EFER": EFER, "GUEST_RFLAGS": RFLAGS,
    **{f: CR0 for f in ("GUEST_CR0", "HOST_CR0", "CR0_SHADOW")},
    **{f: CR4 for f in ("GUEST_CR4", "HOST_CR4", "CR4_SHADOW")},
}
ACTIVITY = ["active", "HLT", "shutdown", "wait for SIPI"]
MEMORY = {0: "UC", 1: "WC", 4: "WT", 5: "WP", 6: "WB"}
EVENTS = ["interrupt", "type 1", "NMI", "exception", "software interrupt",
          "INT1", "software exception", "other event"]
REGISTERS = ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
             *(f"R{n}" for n in range(8, 16))]
# Exits of an instruction, whose length the CPU tells then.
BY_INSN = {*range(9, 33), 36, 39, 40, 46, 47, 50, 51, *range(53, 56),
           *range(57, 60), 60, 61, 63, 64}


def bits(names, value):
    """The names of the bits that are set; those without a name as +1,2."""
    out = [names[n] for n in sorted(names) if value >> n & 1]
    rest = [str(n) for n in range(64) if value >> n & 1 and n not in names]
    return " ".join(out + (["+" + ",".join(rest)] if rest else []))


def reason(value):
    name = reasons().get(value & 0xffff, "unknown")
    return name + (": the entry failed" if value & FAILED else "")


def event(value):
    """An interruption information field."""
    if not value & 1 << 31:
        return "none"
    vector, kind = value & 0xff, value >> 8 & 7
    what = f"{EVENTS[kind]} {vector}"
    if kind in (2, 3, 5, 6) and vector in EXCEPTIONS:
        what = EXCEPTIONS[vector]
    return what + (" with an error code" if value & 1 << 11 else "")


def access_rights(value):
    """Of a segment, as a descriptor has them."""
    if value & 1 << 16:
        return "unusable"
    kind = value & 15
    if not value & 1 << 4:
        what = {2: "LDT", 3: "busy 16-bit TSS", 11: "busy TSS"}.get(
            kind, f"system type {kind}")
    elif kind & 8:
        what = "code" + (", readable" if kind & 2 else "") \
            + (", conforming" if kind & 4 else "")
    else:
        what = "data" + (", writable" if kind & 2 else "") \
            + (", expand-down" if kind & 4 else "")
    if value & 1 << 4 and kind & 1:
        what += ", accessed"
    what += f", DPL {value >> 5 & 3}"
    what += "" if value & 1 << 7 else ", not present"
    if value & 1 << 4:
        what += ", 64-bit" if kind & 8 and value & 1 << 13 else \
            ", 32-bit" if value & 1 << 14 else ", 16-bit"
    return what + (", 4 KiB units" if value & 1 << 15 else "")


def eptp(value):
    return f"HPA {value & ~0xfff:#x}, {(value >> 3 & 7) + 1} levels, " \
        f"{MEMORY.get(value & 7, '?')}" \
        + (", accessed and dirty bits" if value >> 6 & 1 else "")


def rwx(value, letters="RWX"):
    return "".join(c for n, c in enumerate(letters) if value >> n & 1)


def ept_violation(q):
    did = [w for n, w in enumerate(("read", "write", "fetch")) if q >> n & 1]
    may = rwx(q >> 3)
    out = " and ".join(did) + ", " + (
        f"the page is {may}" if may else "no page is mapped")
    if q >> 7 & 1:
        out += "" if q >> 8 & 1 else ", in a walk of the guest's page tables"
    return out


def io(q):
    what = "IN" if q >> 3 & 1 else "OUT"
    if q >> 4 & 1:
        what = ("REP " if q >> 5 & 1 else "") + what[:3].replace("IN", "INS") \
            .replace("OUT", "OUTS")
    return f"{what}, {(q & 7) + 1} bytes, port {q >> 16 & 0xffff:#x}" \
        + (", in the instruction" if q >> 6 & 1 else "")


def cr_access(q):
    cr, register = f"CR{q & 15}", REGISTERS[q >> 8 & 15]
    return [f"MOV {register} to {cr}", f"MOV {cr} to {register}", "CLTS",
            f"LMSW of {q >> 16 & 0xffff:#x}"][q >> 4 & 3]


def mov_dr(q):
    dr, register = f"DR{q & 7}", REGISTERS[q >> 8 & 15]
    return f"MOV {dr} to {register}" if q >> 4 & 1 \
        else f"MOV {register} to {dr}"


def task_switch(q):
    by = ["CALL", "IRET", "JMP", "a task gate in the IDT"][q >> 30 & 3]
    return f"to TSS {q & 0xffff:#x}, by {by}"


def refused(q):
    return {0: "", 2: "PDPTEs", 3: "NMI with MOV_SS", 4: "LINK_POINTER"}.get(
        q, "?")


QUALIFICATIONS = {"EPT_VIOLATION": ept_violation, "IO": io,
                  "CR_ACCESS": cr_access, "MOV_DR": mov_dr,
                  "TASK_SWITCH": task_switch,
                  "ENTRY_FAILED_GUEST_STATE": refused,
                  "ENTRY_FAILED_MSR_LOAD": lambda q: f"entry {q} of the list"}


def qualification(exit_reason, q, exit_event=0):
    """What it says of an exit for that reason."""
    name = reasons().get(exit_reason & 0xffff)
    if name == "NMI" and exit_event & 0x7ff == 0x301:
        return bits(DR6, q)
    if name == "NMI" and exit_event & 0x7ff == 0x30e:
        return "the linear address"
    return QUALIFICATIONS[name](q) if name in QUALIFICATIONS else ""


def decode(name, values):
    """What a field's value means; empty if it is but a number.

    values: all the fields, since the qualification depends on the reason.
    """
    value = values[name]
    if name in BITS:
        return bits(BITS[name], value)
    if name.endswith("_AR"):
        return access_rights(value)
    if name in ("ENTRY_EVENT", "EXIT_EVENT", "LOST_EVENT"):
        return event(value)
    if name == "QUALIFICATION":
        return qualification(values["EXIT_REASON"], value,
                             values["EXIT_EVENT"])
    if name == "INSN_ERROR":
        return insn_errors().get(value, "") if value else ""
    if name == "GUEST_ACTIVITY":
        return ACTIVITY[value] if value < len(ACTIVITY) else "?"
    if name == "EXIT_REASON":
        return reason(value)
    return eptp(value) if name == "EPTP" else ""

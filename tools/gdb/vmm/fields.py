# SPDX-License-Identifier: ISC
"""The fields of the VMCB, and what their bits mean.

Names, places and sizes are those of struct vmcb, from the debug information;
only the names of bits are here.

    APM Vol. 2 Appendix B "Layout of VMCB", Appendix C "SVM Intercept Exit
    Codes"
"""
import re

import gdb

SEGMENTS = "es cs ss ds fs gs gdtr ldtr idtr tr".split()
EXCEPTIONS = "DE DB NMI BP OF BR UD NM DF CP TS NP SS GP PF 15 MF AC MC XM " \
    "VE".split()
# Bit n of word w of the intercepts lets the guest exit with code 32 * w + n.
INTERCEPTS = [
    *(f"CR{i}_READ" for i in range(16)), *(f"CR{i}_WRITE" for i in range(16)),
    *(f"DR{i}_READ" for i in range(16)), *(f"DR{i}_WRITE" for i in range(16)),
    *("#" + e for e in EXCEPTIONS), *(f"#{i}" for i in range(21, 32)),
    *"INTR NMI SMI INIT VINTR CR0_SEL_WRITE IDTR_READ GDTR_READ LDTR_READ "
    "TR_READ IDTR_WRITE GDTR_WRITE LDTR_WRITE TR_WRITE RDTSC RDPMC PUSHF POPF "
    "CPUID RSM IRET SWINT INVD PAUSE HLT INVLPG INVLPGA IOIO MSR TASK_SWITCH "
    "FERR_FREEZE SHUTDOWN VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT RDTSCP "
    "ICEBP WBINVD MONITOR MWAIT MWAIT_CONDITIONAL XSETBV RDPRU "
    "EFER_WRITE_TRAP".split(),
    *(f"CR{i}_WRITE_TRAP" for i in range(16))]
NPF, INVALID = 0x400, 0xffffffff
# A name for each bit from 0, "-" for none.
BITS = {name: names.split() for name, names in {
    "cr0": "PE MP EM TS ET NE" + " -" * 10 + " WP - AM" + " -" * 10
           + " NW CD PG",
    "cr4": "VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT UMIP LA57 - "
           "- - FSGSBASE PCIDE OSXSAVE - SMEP SMAP PKE",
    "efer": "SCE" + " -" * 7 + " LME - LMA NXE SVME - FFXSR",
    "rflags": "CF - PF - AF - ZF SF TF IF DF OF - - NT - RF VM AC VIF VIP ID",
    "dr6": "B0 B1 B2 B3" + " -" * 9 + " BD BS BT",
    "dr7": "L0 G0 L1 G1 L2 G2 L3 G3 LE GE - - - GD",
    "int_ctl": " -" * 8 + " V_IRQ V_GIF" + " -" * 10 + " V_IGN_TPR - - - "
               "V_INTR_MASKING V_GIF_ENABLE",
    "int_shadow": "SHADOW",
    "np_enable": "NP_ENABLE SEV SEV_ES",
    "clean": "I IOPM ASID TPR NP CR DR DT SEG CR2 LBR AVIC",
}.items()}
WORDS = {"tlb_control": {0: "nothing", 1: "flush all", 3: "flush this ASID's",
                         7: "flush its non-global"}}
HOSTS = {"iopm_pa", "msrpm_pa", "n_cr3"}        # host-physical addresses
EVENTS = {0: "INTR", 2: "NMI", 3: "exception", 4: "INT n"}


def spell(path):
    """save seg 1 base: cs.base."""
    if path[:2] == ["save", "seg"]:
        return f"{SEGMENTS[path[2]]}.{path[3]}"
    if path[0] == "intercept":
        return f"intercept[{path[1]}]"
    return path[-1]


def flatten(kind, path, offset, out):
    kind = kind.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_STRUCT:
        for f in kind.fields():
            if not f.name.startswith("reserved"):
                flatten(f.type, path + [f.name], offset + f.bitpos // 8, out)
    elif kind.code == gdb.TYPE_CODE_ARRAY:
        item = kind.target()
        for i in range(kind.range()[1] + 1):
            flatten(item, path + [i], offset + i * item.sizeof, out)
    else:
        out[spell(path)] = (offset, kind.sizeof)


def layout():
    """{name: (offset, size)} of every field."""
    out = {}
    flatten(gdb.lookup_type("struct vmcb"), [], 0, out)
    return out


def find(name):
    """A field as vmm vmcb spells it, or as the rules of the driver do."""
    found = re.sub(r"^(\w\w)_(sel|attr|limit|base)$", r"\1.\2", name.lower())
    found = re.sub(r"^intercept_(\d)$", r"intercept[\1]", found)
    found = found.replace("_base_pa", "_pa")
    if found not in layout():
        raise gdb.GdbError(f"No field {name}: vmm vmcb has them.")
    return found


def values(page):
    """{name: value} of a VMCB."""
    return {name: int.from_bytes(page[at:at + size], "little")
            for name, (at, size) in layout().items()}


def bit_names(value, names):
    return " ".join(n for i, n in enumerate(names)
                    if value >> i & 1 and n != "-")


def event(value):
    """EVENTINJ or EXITINTINFO."""
    if not value >> 31 & 1:
        return ""
    error = f", error {value >> 32:#x}" if value >> 11 & 1 else ""
    return f"{EVENTS.get(value >> 8 & 7, '?')} {value & 0xff:#x}{error}"


def segment(attr):
    """Attributes as the VMCB has them: bits 8 to 11 are AVL, L, D, G."""
    if not attr & 0x10:
        kind = f"system type {attr & 0xf:#x}"
    elif attr & 8:
        kind = {0: "16-bit code", 0x200: "64-bit code", 0x400: "32-bit code",
                0x600: "code, L and D set"}[attr & 0x600]
    else:
        kind = "data" + (", read-only" if not attr & 2 else "")
    return f"{kind}, DPL {attr >> 5 & 3}" if attr & 0x80 else "not present"


def exit_name(code):
    """What the manual calls VMEXIT_..."""
    code &= INVALID
    if code < len(INTERCEPTS):
        return INTERCEPTS[code]
    return {NPF: "NPF", INVALID: "INVALID"}.get(code, f"{code:#x}")


def exit_text(code, info1, info2):
    """What EXITINFO1 and EXITINFO2 say, for this code."""
    name = exit_name(code)
    if name == "NPF":
        what = "page walk" if info1 >> 33 & 1 else "fetch" if info1 & 0x10 \
            else "write" if info1 & 2 else "read"
        why = "no right" if info1 & 1 else "not mapped"
        return f"{what}: GPA {info2:#x}, {why}"
    if name == "IOIO":
        way = "in" if info1 & 1 else "out"
        way = ("rep " if info1 & 8 else "") + way + ("s" if info1 & 4 else "")
        return f"{way}, port {info1 >> 16 & 0xffff:#x}, " \
            f"{info1 >> 4 & 7} bytes"
    if name == "MSR":
        return "wrmsr" if info1 & 1 else "rdmsr"
    if name == "INVALID":
        return "VMRUN refused the VMCB"
    return ""


def meaning(name, value):
    """A value in words, or nothing."""
    if name.startswith("intercept"):
        first = 32 * int(name[-2])
        return bit_names(value, INTERCEPTS[first:first + 32])
    if name in ("eventinj", "exitintinfo"):
        return event(value)
    if name == "exitcode":
        return exit_name(value)
    if name.endswith(".attr"):
        return segment(value) if name[:2] not in ("gd", "id") else ""
    if name in WORDS:
        return WORDS[name].get(value, "?")
    return bit_names(value, BITS.get(name, []))


def show(name, value):
    """A value, and what it means."""
    number = f"HPA {value:#x}" if name in HOSTS else f"{value:#x}"
    return f"{number}  {meaning(name, value)}".rstrip()

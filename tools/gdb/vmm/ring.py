# SPDX-License-Identifier: ISC
"""The trace of a VCPU, struct trace_record: exits and requests."""
import errno

import gdb

from . import fields, session

RECORDS = 128                   # TRACE_RECORDS
EXIT, IOCTL = 0, 1              # enum trace_type
REQUESTS = "- CREATE RUN INFO TERM RESETCPU INTR READREGS WRITEREGS " \
    "READVMPARAMS WRITEVMPARAMS MPROTECT_EPT".split()


def kinds():
    """The names of enum vmexit_kind, in order."""
    return [f.name.removeprefix("VMEXIT_")
            for f in gdb.lookup_type("enum vmexit_kind").fields()][:-1]


def records(v, kind, count):
    """The last records of one kind, the oldest first; whole ones only."""
    last, found = int(v["traced"]), []
    for nr in range(last, max(last - RECORDS, 0), -1):
        r = session.load(v["trace"] + (nr - 1) % RECORDS)
        if int(r["nr"]) == nr and int(r["type"]) == kind:
            found.insert(0, r)
            if len(found) == count:
                break
    return found


def line(nr, name, rip, end, text):
    return f"{nr:>5} {name:<12} {rip:#10x} {end:#10x}  {text}".rstrip()


def exits(v, vmcb, count):
    """Lines that tell the last exits."""
    names, out = kinds(), ["   nr kind             entry       exit  what"]
    for r in records(v, EXIT, count):
        out.append(line(int(r["nr"]), names[int(r["kind"])],
                        int(r["rip"][0]), int(r["rip"][1]), fields.exit_text(
                            int(r["code"]), int(r["info"][0]),
                            int(r["info"][1]))))
    if session.fresh_exit():
        out.append(line(int(v["traced"]) + 1,
                        fields.exit_name(vmcb["exitcode"]),
                        int(v["gpr"][16]), vmcb["rip"], exit_now(vmcb)))
    return out


def exit_now(vmcb):
    return fields.exit_text(vmcb["exitcode"], vmcb["exitinfo1"],
                            vmcb["exitinfo2"])


def ioctls(v, count):
    """Lines that tell the last requests that have ended."""
    out = ["   nr request        result"]
    for r in records(v, IOCTL, count):
        error = int(r["error"])
        out.append(f"{int(r['nr']):>5} {REQUESTS[int(r['code'])]:<14} "
                   + (errno.errorcode.get(error, str(error)) if error
                      else "0"))
    return out

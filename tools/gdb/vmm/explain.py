# SPDX-License-Identifier: ISC
"""Why an entry failed, or would: the driver's own rules judge the VMCB."""
import gdb

from . import fields, ring, run, session


def told(rule, value):
    """A broken rule: which, by what, and what would keep it."""
    r = {n: session.load(rule)[n].string()
         for n in ("id", "section", "field", "allowed")}
    return f"rule {r['id']}: {r['field']} is {value:#x}\n" \
        f"  has to be: {r['allowed']}\n  {r['section']}"


def judge(v, where):
    """The first rule that the VMCB breaks, as it is in memory now, or None.
    Calls svm_rules() in the host. It reads the VMCB and writes what it found;
    GDB gives the registers back, we that."""
    broken = f"((struct vcpu *){where:#x})->broken"
    at = session.evaluate(f"(unsigned long)&{broken}")
    was = session.host(at, gdb.lookup_type("struct entry_broken").sizeof)
    text = None
    if gdb.parse_and_eval(f"svm_rules({int(session.svm(v)['vmcb']):#x}, 0, "
                          f"&{broken})"):
        b = gdb.parse_and_eval(broken)
        text = told(b["rule"], int(b["value"]))
    gdb.selected_inferior().write_memory(at, was)
    return text


def rules(v, where):
    """The rules that the VMCB breaks. svm_rules() names the first; so each
    field that was changed by hand is also judged alone, in the VMCB as it was
    when we came to VMRUN."""
    found = [judge(v, where)]
    good = run.entered(v, where)
    page = int(session.svm(v)["vmcb"]) & session.MASK
    now, write = session.host(page, 4096), gdb.selected_inferior().write_memory
    for at, size in fields.layout().values():
        field = now[at:at + size]
        if found[0] and good and field != good[at:at + size]:
            write(page, good[:at] + field + good[at + size:])
            found.append(judge(v, where))
    write(page, now)
    return [f for f in dict.fromkeys(found) if f]


def bring_back(v):
    """TCG leaves the host's state in a VMCB that it refuses; the driver then
    takes its copy, as here."""
    s = session.svm(v)
    size = gdb.lookup_type("struct vmcb_save").sizeof
    gdb.selected_inferior().write_memory(
        (int(s["vmcb"]) & session.MASK) + 0x400,
        session.host(int(s["refused"]) & session.MASK, size))


def explain():
    """What there is to say, as lines."""
    if session.in_guest():
        return ["The guest runs: VMRUN took its VMCB. vmm finish"]
    _, v, where = session.current()
    vmcb = fields.values(session.vmcb_bytes(v))
    before = session.at("svm_before_vmrun")
    refused = fields.exit_name(vmcb["exitcode"]) == "INVALID"
    if before or refused and (session.fresh_exit()
                              or session.at("exit_handle")):
        if session.fresh_exit() and int(session.svm(v)["copied"]):
            bring_back(v)
        found = rules(v, where)
        if found:
            return [f"VMRUN {'will refuse' if before else 'refused'} this:"] \
                + found
        return ["No rule that the driver knows is broken" + (
            ": VMRUN will enter." if before else ".")]
    if int(v["broken"]["rule"]):
        return ["Refused was:", told(v["broken"]["rule"],
                                     int(v["broken"]["value"]))]
    if not ring.records(v, ring.EXIT, 1) and not session.fresh_exit():
        return ["There was no exit yet."]
    return [f"The last exit, {fields.exit_name(vmcb['exitcode'])}: "
            + (ring.exit_now(vmcb) or "no more is said.")]

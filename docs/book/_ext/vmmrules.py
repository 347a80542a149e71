# SPDX-License-Identifier: ISC
"""The rules of VM entry, as the driver has them.

Directive `entry-rules VENDOR`: a table of svm_rules.def or vmx_rules.def for
each section of the manual, and which rules an emulator does not enforce. A
rule without a section or a remedy, and two of the same name, fail the build.
"""
import collections

from docutils import nodes

from vmmtwins import Broken, Table, code, table

import rules

EMULATORS = {"svm": [("TCG", "QEMU"), ("Bochs", "Bochs")],
             "vmx": [("Bochs", "Bochs")]}
MANUAL = {"svm": "APM Vol. ", "vmx": "SDM Vol. "}


def checked(vendor):
    found = rules.rules(vendor)
    for name, n in collections.Counter(r.id for r in found).items():
        if n > 1:
            raise Broken(f"{vendor}_rules.def: {name} is there {n} times")
    for r in found:
        if not r.section.startswith(MANUAL[vendor]) or not r.allowed:
            raise Broken(f"{vendor}_rules.def: {r.id} has no section or "
                         "no remedy")
    if not found:
        raise Broken(f"{vendor}_rules.def has no rule")
    return found


def summary(vendor, found):
    """How many there are, and who looks away."""
    p = nodes.paragraph("", f"{len(found)} rules.")
    for mark, name in EMULATORS[vendor]:
        ids = [r.id for r in found if mark in r.emulators]
        p += nodes.Text(f" {name} enforces "
                        + ("all but " if ids else "all of them."))
        if ids:
            p += [*code(*ids).children, nodes.Text(".")]
    return p


class EntryRules(Table):
    required_arguments = 1
    sources = ["svm_rules.def", "vmx_rules.def"]

    def make(self):
        vendor = self.arguments[0]
        found = checked(vendor)
        out, sections = [summary(vendor, found)], {}
        for r in found:
            remark = f"{', '.join(r.emulators)}: {r.remark}" \
                if r.remark else ""
            sections.setdefault(r.section, []).append(
                (code(r.id), code(r.field), r.part.lower(), r.allowed, remark))
        for section, rows in sections.items():
            out += [nodes.rubric("", section),
                    table((20, 18, 8, 34, 20), ("rule", "field", "part",
                          "allowed", "emulator"), rows)]
        return out


def setup(app):
    app.add_directive("entry-rules", EntryRules)
    return {"parallel_read_safe": False}

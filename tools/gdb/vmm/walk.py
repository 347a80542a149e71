# SPDX-License-Identifier: ISC
"""Page tables, level by level: the guest's own and the nested ones.

Knows nothing of GDB: whoever walks brings read(address, size).

    APM Vol. 2 5.2 "Legacy-Mode Page Translation", 5.3 "Long-Mode Page
    Translation", 15.25.5 "Nested Table Walk"
"""
from dataclasses import dataclass

ADDRESS = 0x000ffffffffff000
FLAGS = {0: "P", 1: "W", 2: "U", 5: "A", 6: "D", 7: "PS", 8: "G", 63: "NX"}
# Level: its name, the lowest bit of its index, the bits of its index.
PT = ("PT", 12, 9)
PD = ("PD", 21, 9)
PDPT = ("PDPT", 30, 9)
PML4 = ("PML4", 39, 9)
PML5 = ("PML5", 48, 9)


@dataclass
class Tables:
    """A tree of tables: where it is, and its shape."""
    name: str
    root: int
    levels: tuple = ()          # (): what goes in comes out
    size: int = 8               # bytes of an entry
    large: tuple = ()           # levels whose entry may map a page

    @property
    def width(self):
        """Bits of an address that count; those above have to be copies."""
        return self.levels[0][1] + self.levels[0][2]


@dataclass
class Step:
    """One entry on the way."""
    level: str
    table: int
    index: int
    entry: int
    leaf: bool
    to: int             # the next table, or the page

    @property
    def flags(self):
        names = [n for bit, n in FLAGS.items() if self.entry >> bit & 1
                 and (bit != 7 or self.leaf and self.level != "PT")]
        return " ".join(names) or "not present"


@dataclass
class Walk:
    """All of them, and where they led."""
    steps: list
    address: int        # None: an entry is not present
    span: int           # bytes that the last entry maps


def long_mode(root, five=False):
    return Tables("5-level paging" if five else "4-level paging",
                  root & ADDRESS,
                  ((PML5,) if five else ()) + (PML4, PDPT, PD, PT),
                  large=("PDPT", "PD"))


def guest_tables(cr0, cr3, cr4, efer):
    """What a CPU with these registers walks."""
    if not cr0 & 1 or not cr0 >> 31 & 1:
        return Tables("no paging", 0)
    if efer & 0x400:
        return long_mode(cr3, bool(cr4 & 0x1000))
    if cr4 & 0x20:
        return Tables("PAE paging", cr3 & 0xffffffe0,
                      (("PDPT", 30, 2), PD, PT), large=("PD",))
    return Tables("32-bit paging", cr3 & 0xfffff000,
                  (("PD", 22, 10), ("PT", 12, 10)), 4,
                  ("PD",) if cr4 & 0x10 else ())


def page_of(entry, shift, size):
    """Where the page of a leaf begins. A 4 MiB page has its bits 32 to 39 in
    bits 13 to 20."""
    page = entry & ADDRESS & ~((1 << shift) - 1)
    return page | (entry >> 13 & 0xff) << 32 if size == 4 and shift == 22 \
        else page


def translate(tables, address, read):
    """Walks the tables for an address."""
    steps, table, span = [], tables.root, 1 << 64
    if not tables.levels:
        return Walk([], address, span)
    above = address >> (tables.width - 1)
    if tables.width >= 48 and above not in (0, (1 << 65 - tables.width) - 1):
        raise ValueError(f"{address:#x} is not canonical")
    for name, shift, bits in tables.levels:
        index = address >> shift & (1 << bits) - 1
        entry = int.from_bytes(
            read(table + index * tables.size, tables.size), "little")
        leaf = name == "PT" or name in tables.large and bool(entry & 0x80)
        to = page_of(entry, shift, tables.size) if leaf else entry & ADDRESS
        steps.append(Step(name, table, index, entry, leaf, to))
        span = 1 << shift
        if not entry & 1:
            return Walk(steps, None, span)
        table = to
        if leaf:
            break
    return Walk(steps, table + address % span, span)

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes a disk image that a BIOS boots: boot sector, kernel, boot archive.

Sectors 0-7 are mbr.S, sector 1 of them the configuration; the kernel's
memory image, with its bss, and the archive follow at sector 8.
"""
import argparse
import pathlib
import struct

SECTOR, PAGE, LOAD = 512, 4096, 0x100000
CYLINDER = 16 * 63 * SECTOR     # Bochs wants whole ones
CMDLINE_MAX = SECTOR - 24 - 1


def pad(data, to):
    return data + bytes(-len(data) % to)


def memory_image(elf):
    """(what lies in memory from LOAD on, entry point) of an ELF64 file."""
    entry, phoff = struct.unpack_from("<QQ", elf, 24)
    phentsize, phnum = struct.unpack_from("<HH", elf, 54)
    image = bytearray()
    for i in range(phnum):
        kind, _, offset, _, paddr, filesz, memsz = struct.unpack_from(
            "<IIQQQQQ", elf, phoff + i * phentsize)
        if kind != 1 or memsz == 0:
            continue
        at = paddr - LOAD
        if at < len(image):
            raise SystemExit("segments overlap, or lie below 1 MiB")
        image += bytes(at - len(image))
        image += elf[offset:offset + filesz] + bytes(memsz - filesz)
    return pad(bytes(image), PAGE), entry


def set_cmdline(image, args):
    """Writes the client and its arguments into an image's configuration."""
    # A multiboot command line begins with the kernel's own name.
    cmdline = b"metal " + args.encode()
    if len(cmdline) > CMDLINE_MAX:
        raise ValueError(f"no room for a command line of {len(cmdline)} bytes")
    at = SECTOR + 24
    image[at:at + CMDLINE_MAX + 1] = cmdline.ljust(CMDLINE_MAX + 1, b"\0")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--kernel", required=True, type=pathlib.Path)
    p.add_argument("--mbr", required=True, type=pathlib.Path)
    p.add_argument("--archive", required=True, type=pathlib.Path)
    p.add_argument("--cmdline", default="", help="client and its arguments")
    p.add_argument("-o", required=True, type=pathlib.Path, dest="out")
    opt = p.parse_args()

    kernel, entry = memory_image(opt.kernel.read_bytes())
    archive = opt.archive.read_bytes()
    blob = pad(kernel + archive, SECTOR)
    module = LOAD + len(kernel)
    boot = bytearray(opt.mbr.read_bytes())
    struct.pack_into("<IIIIII", boot, SECTOR, len(blob) // SECTOR, entry,
                     module, module + len(archive), 0, 0)
    set_cmdline(boot, opt.cmdline)
    opt.out.write_bytes(pad(bytes(boot) + blob, CYLINDER))


if __name__ == "__main__":
    main()

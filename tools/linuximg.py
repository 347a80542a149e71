# SPDX-License-Identifier: ISC
"""What boots the Linux host: a RAM disk with the job of one run, a command
line, and for Bochs a CD with both."""
import re
import shlex
import shutil
import subprocess

FLAVOR = "cloud-amd64"
# Nobody reads what the display of Bochs writes, so nothing may blink there.
# Warnings and worse come to the serial line; a kernel that failed reboots,
# which ends the emulator.
CMDLINE = "console=ttyS0 loglevel=4 panic=-1 oops=panic " \
    "vt.global_cursor_default=0"
# VMRUN with a virtual interrupt changes the set of requested interrupts in
# TCG (7.2) without its lock: what another thread of QEMU's adds meanwhile, the
# local APIC's timer, is not seen before the APIC's next interrupt. A timer
# that has to be set again each time would never be; this one ticks on.
TICKS = "highres=off nohz=off"
STOPPED = re.compile(r"Kernel panic - not syncing: (.*)")

GRUB = """\
set timeout=0
linux /vmlinuz {cmdline}
initrd /initrd
boot
"""


def kernel(job):
    """The kernel's image, which tools/kernel.sh has fetched."""
    top = job.build / "kernel" / job.flavor
    return top / "boot" / f"vmlinuz-{(top / 'kver').read_text().strip()}"


def cpio(name, data):
    """A file as an entry of a "newc" archive."""
    def entry(name, data, mode, links=1):
        head = "070701" + "".join(f"{n:08X}" for n in (
            0, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0))
        out = head.encode() + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + data
        return out + bytes(-len(out) % 4)
    return entry(name, data, 0o100644) + entry("TRAILER!!!", b"", 0)


def initrd(job):
    """The RAM disk with this run's files behind it; later entries win."""
    data = (job.build / "linux" / job.flavor / "root.cpio").read_bytes()
    guest = [job.build / "guest" / job.flavor / "guest.cpio"]
    for more in (guest if job.guest else []) + job.ram:
        data += bytes(-len(data) % 4) + more.read_bytes()
    files = dict(job.files)
    if job.args:
        files["etc/job"] = shlex.join(job.args) + "\n"
    for name, text in files.items():
        data += bytes(-len(data) % 4) + cpio(name, text.encode())
    path = job.tmp / "initrd"
    path.write_bytes(data)
    return path


def cmdline(job, more=""):
    return " ".join(filter(None, (CMDLINE, more, job.append)))


def cd(job):
    """A CD that GRUB boots."""
    top = job.tmp / "cd"
    (top / "boot/grub").mkdir(parents=True)
    (top / "boot/grub/grub.cfg").write_text(GRUB.format(cmdline=cmdline(job)))
    shutil.copy(kernel(job), top / "vmlinuz")
    initrd(job).rename(top / "initrd")
    path = job.tmp / "cd.iso"
    subprocess.run(["grub-mkrescue", "-o", path, top], capture_output=True,
                   check=True)
    return path


def decode(result):
    """How the run ended: init says it on the serial line."""
    ended = re.findall(r"^linux: exit (\d+)$", result.log, re.M)
    complaints = re.findall(r"^linux: kernel: (.*)$", result.log, re.M)
    panic = STOPPED.search(result.log)
    if panic:
        result.why = f"the host stopped: {panic[1]}"
    elif complaints:
        result.why = f"the host's kernel complained: {complaints[0]}"
    elif ended:
        result.status = int(ended[-1])
        result.why = f"the client exited {result.status}"
    else:
        result.why = "the host ended without a word"

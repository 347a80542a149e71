#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Starts the host in an emulator, and always ends it.

    emu.py run   [--backend B] [--limit S] [--log FILE] -- CLIENT [ARG]...
    emu.py shell -- CLIENT [ARG]...     the serial line is this terminal
    emu.py gdb   [--batch] -- CLIENT [ARG]...

As a module: run() gives a Result for the tests and for the mutants.

The emulator runs in a process group of its own with a time limit, and dies
with this process. Nothing is written outside the build directory and the
temporary directory that one run makes for itself.
"""
import argparse
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

# Exit statuses of this program where the client's own is not known.
TIMEOUT, FAULT, EMULATOR = 124, 125, 126

# EPYC has SVM and nested paging under TCG. The features switched off are
# those TCG lacks: QEMU would print a warning for each.
QEMU_CPU = ("EPYC,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,"
            "-osvw,-topoext,-nrip-save,-xsavec")
ISA_DEBUG_EXIT = "isa-debug-exit,iobase=0xf4,iosize=4"

BOCHSRC = """\
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, \
serial=1, iodebug=1
config_interface: textconfig
display_library: term
memory: guest={memory}, host={memory}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model={model}, count=1, ips=1000000, reset_on_triple_fault=0
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path={image}, mode=flat, cylinders={cylinders}, \
heads=16, spt=63
boot: disk
com1: enabled=1, mode=file, dev={serial}
clock: sync=none, time0=1
log: {log}
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
magic_break: enabled=1
"""


@dataclass
class Result:
    """What one run did."""
    argv: list
    status: int = None          # the client's, None: it never came to that
    why: str = ""               # how it ended, in words
    log: str = ""               # the serial line
    errors: str = ""            # what the emulator itself said
    seconds: float = 0.0
    timed_out: bool = False

    def tail(self, lines=40):
        """The end of the serial line, for a failure report."""
        out = self.log.splitlines()[-lines:]
        if self.errors.strip():
            out += ["--- the emulator said:"]
            out += self.errors.strip().splitlines()[-10:]
        return "\n".join(out)


@dataclass
class Job:
    """What to run: a client with its arguments, in a back end."""
    build: pathlib.Path
    args: list = field(default_factory=list)
    memory: int = 64            # MiB
    disk: bool = False          # boot the disk image, as a PC does
    stdin: bytes = b""          # typed on the serial line,
    prompt: bytes = b""         # once this has been printed
    until: bytes = b""          # enough seen once this has been printed
    extra: list = field(default_factory=list)
    tmp: pathlib.Path = None


def qemu_argv(job, serial="stdio"):
    """QEMU, silent, and the same instruction for instruction each time."""
    argv = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", QEMU_CPU,
            "-m", str(job.memory), "-nodefaults", "-vga", "none",
            "-display", "none", "-no-reboot", "-monitor", "none",
            "-icount", "shift=0,sleep=off", "-device", ISA_DEBUG_EXIT]
    argv += ["-serial", serial]
    metal = job.build / "metal"
    if job.disk:
        argv += ["-drive", f"file={metal / 'vmm.img'},format=raw,if=ide,"
                 "snapshot=on"]
    else:
        argv += ["-kernel", str(metal / "vmm.elf32"),
                 "-initrd", str(metal / "boot.cpio"),
                 "-append", " ".join(job.args)]
    return argv + job.extra


def qemu_decode(result, code):
    """isa-debug-exit turns value v into status 2v+1; v is 0x10 + client's."""
    value = code >> 1
    if code == 0:
        result.why = "the host reset (a triple fault in the host)"
    elif code == 1 or not code & 1:
        result.why = f"QEMU failed (status {code})"
    elif value == 0x7f:
        result.why = "a fault in the host"
    elif value < 0x10:
        result.why = f"an exit value nobody writes ({value:#x})"
    else:
        result.status = value - 0x10
        result.why = f"the client exited {result.status}"


def bochs_argv(job, model):
    """Bochs from the disk image, serial line to a file, no window."""
    image = job.tmp / "disk.img"
    shutil.copy(job.build / "metal" / "vmm.img", image)
    cylinder = 16 * 63 * 512
    cylinders = -(-image.stat().st_size // cylinder)
    os.truncate(image, cylinders * cylinder)
    rc = job.tmp / "bochsrc"
    rc.write_text(BOCHSRC.format(
        memory=job.memory, model=model, image=image, cylinders=cylinders,
        serial=job.tmp / "serial", log=job.tmp / "bochs.log"))
    (job.tmp / "debug").write_text("c\nq\n")
    return ["bochs", "-q", "-unlock", "-f", str(rc),
            "-rc", str(job.tmp / "debug")]


def bochs_decode(result, code):
    """Bochs has one way to end from inside, the same for every status; the
    host says on the serial line which it was."""
    m = re.search(r"^metal: exit (\d+)$", result.log, re.M)
    if m:
        result.status = int(m[1])
        result.why = f"the client exited {result.status}"
    else:
        result.why = f"Bochs exited {code}"


@dataclass
class Backend:
    """One way to run the suite. `model` is for emulators that need one."""
    name: str
    vendor: str                 # "svm" or "vmx"
    emulator: str               # "qemu" or "bochs"
    model: str = ""
    suite: bool = True          # conform runs here


BACKENDS = {b.name: b for b in [
    Backend("metal-svm", "svm", "qemu"),
    Backend("metal-svm-bochs", "svm", "bochs", "ryzen", suite=False),
]}


def time_limit(seconds):
    """A slow machine sets VMM_TIME_SCALE rather than see tests time out."""
    return seconds * float(os.environ.get("VMM_TIME_SCALE", "1"))


def dies_with_parent(argv):
    """Prefix that makes the kernel kill the emulator if we die first."""
    if shutil.which("setpriv"):
        return ["setpriv", "--pdeathsig", "KILL", *argv]
    return argv


def end(process):
    """Kills a process group that we started, and reaps its leader."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def communicate(process, job, deadline, echo):
    """Types what there is to type, and reads to the end or to the deadline.

    Returns (bytes, late). A PC drops what is typed before it listens, so
    typing waits for the prompt. Bochs has its serial line in a file.
    """
    out = b""
    serial = job.tmp / "serial"
    fd, to_type = process.stdout.fileno(), job.stdin
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return out, True
        if to_type and job.prompt in out:
            process.stdin.write(to_type)
            process.stdin.flush()
            to_type = b""
        if job.until and (job.until in out or serial.exists()
                          and job.until in serial.read_bytes()):
            end(process)
            return out, False
        if not select.select([fd], [], [], min(left, 0.5))[0]:
            continue
        data = os.read(fd, 65536)
        if not data:
            return out, False
        out += data
        if echo:
            sys.stdout.write(data.decode(errors="replace").replace("\r", ""))
            sys.stdout.flush()


def run(backend, job, limit=60, echo=False):
    """Runs a job to its end or its time limit. Never leaves a process."""
    job.tmp = pathlib.Path(tempfile.mkdtemp(prefix="vmm."))
    process = None
    started = time.monotonic()
    try:
        if backend.emulator == "qemu":
            argv = qemu_argv(job)
        else:
            argv = bochs_argv(job, backend.model)
        result = Result(argv)
        with open(job.tmp / "stderr", "wb") as stderr:
            try:
                process = subprocess.Popen(
                    dies_with_parent(argv), stderr=stderr,
                    stdin=subprocess.PIPE if job.stdin
                    else subprocess.DEVNULL,
                    stdout=subprocess.PIPE, start_new_session=True,
                    env={**os.environ, "TERM": "xterm"})
            except OSError as e:
                result.why = f"cannot start {argv[0]}: {e.strerror}"
                return result
        out, result.timed_out = communicate(
            process, job, started + time_limit(limit),
            echo and backend.emulator == "qemu")
        if result.timed_out:
            end(process)
        code = process.wait()
        result.errors = (job.tmp / "stderr").read_text(errors="replace")
        if backend.emulator == "bochs":
            serial = job.tmp / "serial"
            out = serial.read_bytes() if serial.exists() else b""
        result.log = out.decode(errors="replace").replace("\r", "")
        if result.timed_out:
            result.why = f"no end within {time_limit(limit):g} s"
        elif job.until and job.until.decode() in result.log:
            result.why = "stopped, having printed what was waited for"
        elif code < 0:
            result.why = f"the emulator got signal {-code}"
        elif backend.emulator == "qemu":
            qemu_decode(result, code)
        else:
            bochs_decode(result, code)
        return result
    finally:
        if process is not None:
            end(process)
        shutil.rmtree(job.tmp, ignore_errors=True)
        if process is not None:
            result.seconds = time.monotonic() - started


def free_port():
    """A loopback port: the uid's own, or the next one nobody holds."""
    first = 20000 + os.getuid() % 20000
    for port in range(first, first + 1000):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit("emu.py: no free loopback port")


def gdb_session(job, gdb_args, limit=None):
    """QEMU stopped at its first instruction, and GDB attached to it.

    Returns GDB's exit status; with a limit, its output too.
    """
    scripts = pathlib.Path(__file__).parent / "gdb"
    job.tmp = pathlib.Path(tempfile.mkdtemp(prefix="vmm."))
    port = free_port()
    job.extra += ["-S", "-gdb", f"tcp:127.0.0.1:{port}"]
    serial = job.build / f"gdb-{os.getpid()}.log"
    argv = qemu_argv(job, f"file:{serial}")
    process = subprocess.Popen(
        dies_with_parent(argv), stdin=subprocess.DEVNULL,
        start_new_session=True)
    gdb = ["gdb", "-q", "-nx", "-iex", "set confirm off",
           "-iex", "set pagination off", str(job.build / "metal/vmm.elf"),
           "-ex", "set tcp connect-timeout 20",
           "-ex", f"target remote 127.0.0.1:{port}",
           "-x", str(scripts / "vmm.gdb"), *gdb_args]
    try:
        if limit is None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            return subprocess.call(gdb), ""
        done = subprocess.run(
            gdb, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=time_limit(limit), text=True,
            errors="replace", check=False)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as e:
        return TIMEOUT, (e.stdout or b"").decode(errors="replace")
    finally:
        end(process)
        shutil.rmtree(job.tmp, ignore_errors=True)
        serial.unlink(missing_ok=True)


def shell(job):
    """The serial line on this terminal. QEMU stays in our process group:
    only the foreground group may read from the terminal."""
    if sys.stdin.isatty():
        print("Ctrl-A X ends the emulator.")
    result = Result(qemu_argv(job, "mon:stdio"))
    process = subprocess.Popen(dies_with_parent(result.argv))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = process.wait()
    if code < 0:
        result.why = f"the emulator got signal {-code}"
    elif code == 0:             # Ctrl-A X
        result.status = 0
    else:
        qemu_decode(result, code)
    return result


def main():
    parser = argparse.ArgumentParser(prog="emu.py")
    parser.add_argument("--build", default="build", type=pathlib.Path)
    sub = parser.add_subparsers(dest="verb", required=True)
    for verb in ("run", "shell", "gdb"):
        p = sub.add_parser(verb)
        p.add_argument("args", nargs="*")
        p.add_argument("--memory", default=64, type=int)
        if verb == "run":
            p.add_argument("--backend", default="metal-svm",
                           choices=sorted(BACKENDS))
            p.add_argument("--limit", default=60, type=float)
            p.add_argument("--disk", action="store_true")
            p.add_argument("--log", type=pathlib.Path)
        if verb == "gdb":
            p.add_argument("--batch", action="store_true")
    opt = parser.parse_args()
    # So that `finally` runs when somebody ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    job = Job(opt.build, opt.args, opt.memory)
    if opt.verb == "gdb":
        scripts = pathlib.Path(__file__).parent / "gdb"
        if not opt.batch:
            return gdb_session(job, [])[0]
        code, out = gdb_session(
            job, ["-batch", "-x", str(scripts / "batch.gdb")], limit=60)
        print(out, end="")
        return code
    if opt.verb == "shell":
        result = shell(job)
    else:
        backend = BACKENDS[opt.backend]
        job.disk = opt.disk or backend.emulator == "bochs"
        result = run(backend, job, opt.limit, echo=True)
        if backend.emulator == "bochs":
            print(result.log, end="")
        if opt.log:
            opt.log.write_text(result.log)
    if result.status is not None:
        return result.status
    print(f"emu.py: {result.why}", file=sys.stderr)
    if result.errors:
        print(result.errors, end="", file=sys.stderr)
    if result.timed_out:
        return TIMEOUT
    return FAULT if result.why.startswith(("a fault", "the host")) \
        else EMULATOR


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Starts the host in an emulator, and always ends it.

    emu.py run   [--backend B] [--limit S] [--log FILE] -- CLIENT [ARG]...
    emu.py shell [--backend B] -- CLIENT [ARG]...    the serial line is here
    emu.py gdb   [--batch] [--reverse] -- CLIENT [ARG]...    QEMU and GDB
    emu.py bochs [--batch] -- CLIENT [ARG]...        Bochs's own debugger

As a module: run() gives a Result for the tests and for the mutants.

The emulator runs in a process group of its own with a time limit, and dies
with this process. Nothing is written outside the build directory and the
temporary directory that one run makes for itself.
"""
import argparse
import contextlib
import os
import pathlib
import re
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import tty
from dataclasses import dataclass, field, replace

TOOLS = pathlib.Path(__file__).resolve().parent
sys.path += [str(TOOLS), str(TOOLS.parent / "src/host/metal"),
             str(TOOLS / "bochs")]
import front  # noqa: E402  (found by the line above)
import linuximg  # noqa: E402
import mkimage  # noqa: E402

# Exit statuses of this program where the client's own is not known.
TIMEOUT, FAULT, EMULATOR = 124, 125, 126

ISA_DEBUG_EXIT = "isa-debug-exit,iobase=0xf4,iosize=4"
# What BATCH=1 plays.
PLAYED = TOOLS.parent / "tests/integration/transcripts"
SESSIONS = {"gdb": PLAYED / "gdb-first.gdb",
            "bochs": PLAYED / "bochs-session.rc"}
SEABIOS = "/usr/share/seabios/bios.bin"


@dataclass
class Backend:
    """One way to run the suite: an emulator, and the CPU it shows."""
    name: str
    vendor: str                 # "svm" or "vmx"
    emulator: str               # "qemu" or "bochs"
    model: str                  # as that emulator names it
    bios: str = "/usr/share/bochs/BIOS-bochs-latest"    # Bochs's
    line: int = 1000            # bytes of client and arguments, at most
    host: str = "metal"         # or "linux"
    cpus: int = 1
    ips: int = 1000000          # Bochs's instructions a second
    count: bool = True          # QEMU's clock counts instructions


# EPYC has SVM and nested paging under TCG. The features switched off are
# those TCG lacks: QEMU would print a warning for each.
EPYC = "EPYC,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch," \
    "-osvw,-topoext,-nrip-save,-xsavec"
BACKENDS = {b.name: b for b in [
    Backend("metal-svm", "svm", "qemu", EPYC),
    Backend("metal-vmx", "vmx", "bochs", "corei7_haswell_4770",
            line=mkimage.CMDLINE_MAX - len("metal ")),
    Backend("metal-svm-bochs", "svm", "bochs", "ryzen",
            line=mkimage.CMDLINE_MAX - len("metal ")),
    Backend("linux-svm", "svm", "qemu", EPYC, line=1 << 20, host="linux",
            cpus=4, count=False),
    # Linux wants a timer tick not to take longer than the time between two.
    Backend("linux-vmx", "vmx", "bochs", "corei7_haswell_4770", line=1 << 20,
            host="linux", cpus=2, ips=20000000),
]}


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
    """What to run: a client with its arguments."""
    build: pathlib.Path
    args: list = field(default_factory=list)
    memory: int = 0             # MiB; 0: what the host needs
    disk: bool = False          # boot the disk image, as a PC does
    stdin: bytes = b""          # typed on the serial line,
    prompt: bytes = b""         # once this has been printed
    until: bytes = b""          # enough seen once this has been printed
    extra: list = field(default_factory=list)
    tmp: pathlib.Path = None
    log: str = ""               # with GDB: what the serial line said
    # Of the Linux host: its kernel, more of its command line, files that its
    # RAM disk has beside /etc/job.
    flavor: str = linuximg.FLAVOR
    append: str = ""
    files: dict = field(default_factory=dict)
    guest: bool = False         # it has a Linux to run as a guest, in /guest
    ram: list = field(default_factory=list)     # more archives for it


def disk_image(job):
    """A disk of this run's own, with its client and arguments."""
    image = bytearray((job.build / "metal/vmm.img").read_bytes())
    if job.args:
        mkimage.set_cmdline(image, " ".join(job.args))
    path = job.tmp / "disk.img"
    path.write_bytes(image)
    return path


def memory(backend, job):
    """MiB of RAM."""
    return job.memory or {
        "metal": 512 if job.guest else 64,
        "linux": 1536 if job.guest else 768}[backend.host]


def qemu_argv(job, backend, serial="stdio"):
    """QEMU, silent, and the same instruction for instruction each time.

    More CPUs take turns in one thread: with a thread each, TCG (7.2) has
    nested paging still on, now and then, for the first instruction after
    #VMEXIT, and stores the host's state in the VMCB.
    """
    argv = ["qemu-system-x86_64", "-accel", "tcg,thread=single",
            "-cpu", backend.model, "-smp", str(backend.cpus),
            "-m", str(memory(backend, job)), "-nodefaults", "-vga", "none",
            "-display", "none", "-no-reboot", "-monitor", "none",
            "-device", ISA_DEBUG_EXIT, "-serial", serial]
    if backend.count:
        argv += ["-icount", "shift=0,sleep=off"]
    metal = job.build / "metal"
    archive = job.build / "guest" / job.flavor / "metal.cpio" if job.guest \
        else metal / "boot.cpio"
    if backend.host == "linux":
        argv += ["-kernel", str(linuximg.kernel(job)),
                 "-initrd", str(linuximg.initrd(job)),
                 "-append", linuximg.cmdline(
                     job, "" if backend.count else linuximg.TICKS)]
    elif job.disk:
        argv += ["-drive", f"file={disk_image(job)},format=raw,if=ide"]
    else:
        argv += ["-kernel", str(metal / "vmm.elf32"),
                 "-initrd", str(archive),
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


class Serial:
    """The serial line of Bochs: a pipe, or where somebody types a pseudo
    terminal, on which Bochs does not wait when it is full. A chroot may have
    none: then a loopback connection, which Bochs makes."""

    def __init__(self, typed):
        self.server = None
        if not typed:
            self.fd, self.far = os.pipe()
            self.option = f"mode=file, dev=/dev/fd/{self.far}"
            return
        try:
            self.fd, self.far = os.openpty()
            tty.setraw(self.far)
            self.option = f"mode=term, dev={os.ttyname(self.far)}"
        except OSError:
            self.server = socket.create_server(("127.0.0.1", 0))
            self.server.settimeout(20)
            self.fd, self.far = None, os.dup(self.server.fileno())
            port = self.server.getsockname()[1]
            self.option = f"mode=socket-client, dev=127.0.0.1:{port}"

    def connect(self):
        """Bochs has started."""
        if self.server:
            self.fd = self.server.accept()[0].detach()

    def close(self):
        if self.server:
            self.server.close()
        if self.fd is not None:
            os.close(self.fd)
        os.close(self.far)


def bochs_drive(backend, job):
    """What Bochs boots from, in the words of its configuration."""
    if backend.host == "linux":
        return "cdrom", f"type=cdrom, path={linuximg.cd(job)}, status=inserted"
    disk = disk_image(job)
    cylinders = disk.stat().st_size // mkimage.CYLINDER
    return "disk", f"type=disk, path={disk}, mode=flat, heads=16, spt=63, " \
        f"cylinders={cylinders}"


def bochs_argv(backend, job, serial, script="c\nq\n"):
    """Bochs with what to boot, its debugger told to continue."""
    boot, drive = bochs_drive(backend, job)
    rc = job.tmp / "bochsrc"
    # A tick of a guest's takes longer than one of the host's.
    ips = backend.ips * (5 if job.guest else 1)
    template = (TOOLS / "bochs/bochsrc").read_text().replace("\\\n", "")
    rc.write_text(template.format(
        memory=memory(backend, job), model=backend.model, bios=backend.bios,
        cpus=backend.cpus, ips=ips, boot=boot, drive=drive,
        serial=serial, log=job.tmp / "bochs.log"))
    (job.tmp / "script").write_text(script)
    return ["bochs", "-q", "-unlock", "-f", str(rc),
            "-rc", str(job.tmp / "script")]


def bochs_decode(result):
    """Bochs has one way to end from inside, the same for every status; the
    host says on the serial line which it was."""
    m = re.search(r"^metal: exit (\S+)$", result.log, re.M)
    said = re.search(r"following message:\n(.*)", result.errors)
    if m and m[1] == "fault":
        result.why = "a fault in the host"
    elif m:
        result.status = int(m[1])
        result.why = f"the client exited {result.status}"
    else:
        result.why = f"Bochs ended: {said[1] if said else 'no reason given'}"


def bochs_said(text):
    """What Bochs printed, without its chatter about plugins and files."""
    return "".join(line + "\n" for line in text.splitlines() if line
                   and not re.match(r"\d{11}i\[|Bochs connected to", line))


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


# What runs now, with its temporary directory.
running = {}


def abandon():
    """Ends every run of this program: for a signal that ends it at once."""
    for process, tmp in list(running.items()):
        end(process)
        shutil.rmtree(tmp, ignore_errors=True)


def start(argv, errors, serial=None, stdin=subprocess.DEVNULL):
    """An emulator in a process group of its own. What it prints goes to a
    pipe, or if there is a serial line apart, to `errors` with the rest."""
    return subprocess.Popen(
        dies_with_parent(argv), stdin=stdin, stderr=errors,
        stdout=errors if serial else subprocess.PIPE, start_new_session=True,
        pass_fds=(serial.far,) if serial else (),
        env={**os.environ, "TERM": "xterm"})


def communicate(process, fds, job, deadline, echo):
    """Types what there is to type, and reads to the end or to the deadline.

    `fds` is where to read and where to write. Returns (bytes, late). A PC
    drops what is typed before it listens, so typing waits for the prompt.
    """
    out, to_type = b"", job.stdin
    gone = os.pidfd_open(process.pid)
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return out, True
            if to_type and job.prompt in out:
                os.write(fds[1], to_type)
                to_type = b""
            if job.until and job.until in out:
                end(process)
                return out, False
            ready = select.select([fds[0], gone], [], [], left)[0]
            data = os.read(fds[0], 65536) if fds[0] in ready else b""
            if ready and not data:
                return out, False
            out += data
            if echo and data:
                text = data.decode(errors="replace").replace("\r", "")
                sys.stdout.write(text)
                sys.stdout.flush()
    finally:
        os.close(gone)


def run(backend, job, limit=60, echo=False):
    """Runs a job to its end or its time limit. Never leaves a process."""
    job.tmp = pathlib.Path(tempfile.mkdtemp(prefix="vmm."))
    process = serial = None
    started = time.monotonic()
    try:
        if backend.emulator == "qemu":
            result = Result(qemu_argv(job, backend))
        else:
            serial = Serial(bool(job.stdin))
            result = Result(bochs_argv(backend, job, serial.option))
        with open(job.tmp / "errors", "wb") as errors:
            try:
                process = start(result.argv, errors, serial, subprocess.PIPE
                                if job.stdin and not serial
                                else subprocess.DEVNULL)
            except OSError as e:
                result.why = f"cannot start {result.argv[0]}: {e.strerror}"
                return result
        running[process] = job.tmp
        if serial:
            serial.connect()
        fds = [serial.fd] * 2 if serial else \
            [f and f.fileno() for f in (process.stdout, process.stdin)]
        out, result.timed_out = communicate(
            process, fds, job, started + time_limit(limit), echo)
        if result.timed_out:
            end(process)
        code = process.wait()
        result.errors = bochs_said(
            (job.tmp / "errors").read_text(errors="replace"))
        result.log = out.decode(errors="replace").replace("\r", "")
        if result.timed_out:
            result.why = f"no end within {time_limit(limit):g} s"
        elif job.until and job.until.decode() in result.log:
            result.why = "stopped, having printed what was waited for"
        elif code < 0:
            result.why = f"the emulator got signal {-code}"
        elif backend.host == "linux":
            linuximg.decode(result)
        elif serial:
            bochs_decode(result)
        else:
            qemu_decode(result, code)
        return result
    finally:
        if process is not None:
            end(process)
            running.pop(process, None)
            result.seconds = time.monotonic() - started
        if serial:
            serial.close()
        shutil.rmtree(job.tmp, ignore_errors=True)


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


def gdb_session(job, gdb_args, limit=None, reverse=False):
    """QEMU stopped at its first instruction, and GDB attached to it. With
    `reverse` it is a replay, in which GDB can go back.

    Returns GDB's exit status; with a limit, its output too.
    """
    job.tmp = pathlib.Path(tempfile.mkdtemp(prefix="vmm."))
    serial = job.build / f"gdb-{os.getpid()}.log"
    try:
        if reverse:
            record(job, serial)
        job.extra += ["-S"]
        gdb = [str(job.build / "metal/vmm.elf"), TARGET,
               "-x", str(TOOLS / "gdb/load.py"),
               "-x", str(TOOLS / "gdb/start.gdb"), *gdb_args]
        return gdb_attached(job, BACKENDS["metal-svm"], serial, gdb, limit)
    finally:
        shutil.rmtree(job.tmp, ignore_errors=True)
        serial.unlink(missing_ok=True)


def gdb_linux(job, gdb_args, limit=None):
    """GDB attached to the Linux host, once it has printed job.until: what the
    driver holds can be looked at.

    Returns what gdb_session returns.
    """
    job.tmp = pathlib.Path(tempfile.mkdtemp(prefix="vmm."))
    serial = job.build / f"gdb-{os.getpid()}.log"
    serial.touch()
    where = "cd /sys/module/vmm/sections; echo vmm.ko $(cat .text .data .bss " \
        ".rodata); cd /; exec "
    job.args = ["sh", "-c", where + shlex.join(job.args)]
    backend = replace(BACKENDS["linux-svm"], cpus=1, count=True)
    kver = (job.build / "kernel" / job.flavor / "kver").read_text().strip()

    def symbols_of_module():
        deadline = time.monotonic() + time_limit(limit or 300)
        while True:
            log = serial.read_bytes().decode(errors="replace")
            m = re.search(r"^vmm\.ko (\S+) (\S+) (\S+) (\S+)", log, re.M)
            if m and job.until.decode() in log:
                break
            if time.monotonic() > deadline:
                raise SystemExit(f"emu.py: Linux did not come up:\n{log}")
            time.sleep(0.2)
        return ["-ex", f"add-symbol-file {job.build}/module/{kver}/vmm.ko "
                f"{m[1]} -s .data {m[2]} -s .bss {m[3]} -s .rodata {m[4]}"]
    try:
        return gdb_attached(
            job, backend, serial, [symbols_of_module, TARGET, "-x",
                                   str(TOOLS / "gdb/load.py"), *gdb_args],
            limit)
    finally:
        shutil.rmtree(job.tmp, ignore_errors=True)
        serial.unlink(missing_ok=True)


TARGET = object()       # where GDB's arguments name the machine


def gdb_attached(job, backend, serial, gdb_args, limit):
    """QEMU, and GDB: its arguments, or functions that give some once QEMU has
    started."""
    port = free_port()
    job.extra += ["-gdb", f"tcp:127.0.0.1:{port}"]
    target = ["-ex", "set tcp connect-timeout 20",
              "-ex", f"target remote 127.0.0.1:{port}"]
    errors = job.tmp / "errors"
    with open(errors, "wb") as stderr:
        process = subprocess.Popen(
            dies_with_parent(qemu_argv(job, backend, f"file:{serial}")),
            stdin=subprocess.DEVNULL, stderr=stderr, start_new_session=True)
    try:
        gdb = ["gdb", "-q", "-nx", "-iex", "set confirm off",
               "-iex", "set pagination off"]
        for arg in gdb_args:
            gdb += target if arg is TARGET else arg() if callable(arg) \
                else [arg]
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
        # It warns that no timer is active when GDB steps.
        print(re.sub(r".*(no active timers|terminating on signal).*\n", "",
                     errors.read_text(errors="replace")), end="",
              file=sys.stderr)
        job.log = serial.read_bytes().decode(errors="replace") \
            .replace("\r", "")


def record(job, serial):
    """Runs a job to its end and keeps what came from outside, for a replay;
    then says so in the job. QEMU keeps snapshots of the machine in a disk."""
    cluster = 1 << 16
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, 1 << 20, 0,
                       1, 3 * cluster, cluster, 1, 0, 0)
    disk = job.tmp / "snapshots"    # header, where the counts are, counts, L1
    disk.write_bytes(
        head.ljust(cluster, b"\0")
        + struct.pack(">Q", 2 * cluster).ljust(cluster, b"\0")
        + struct.pack(">4H", 1, 1, 1, 1).ljust(cluster, b"\0")
        + bytes(cluster))
    extra = job.extra + ["-drive", f"file={disk},if=none,id=snapshots,"
                         "format=qcow2", "-icount"]
    rr = f",rrfile={job.tmp}/events,rrsnapshot=init"
    job.extra = extra + ["rr=record" + rr]
    subprocess.run(
        dies_with_parent(qemu_argv(job, BACKENDS["metal-svm"],
                                   f"file:{serial}")),
        stdin=subprocess.DEVNULL, timeout=time_limit(300), check=False)
    job.extra = extra + ["rr=replay" + rr]


def symbols(elf):
    """Addresses and names of the kernel, as Bochs reads them: the data too,
    since it does not name what is behind the last symbol it knows. None of
    low addresses: those would be the guest's."""
    out = subprocess.run(["nm", "-n", elf], stdout=subprocess.PIPE,
                         text=True, check=True).stdout
    return "".join(f"{address} {name}\n" for address, name in
                   re.findall(r"^(f\w+) \w (\S+)$", out, re.M))


@contextlib.contextmanager
def bochs_debugger(job, limit=None, backend=BACKENDS["metal-vmx"],
                   begin=TOOLS / "bochs/vmm.rc"):
    """Bochs's debugger behind tools/bochs/front.py, told to do `begin`."""
    job.tmp = pathlib.Path(tempfile.mkdtemp(prefix="vmm."))
    console = job.build / f"bochs-{os.getpid()}.log"
    names = symbols(job.build / "metal/vmm.elf")
    (job.tmp / "symbols").write_text(names)
    argv = bochs_argv(backend, job, f"mode=file, dev={console}",
                      f'ldsym global "{job.tmp}/symbols"\n'
                      + begin.read_text())
    process = None
    try:
        with open(job.tmp / "errors", "wb") as errors:
            process = start(argv, errors, stdin=subprocess.PIPE)
        there = front.Front(process, names, console, limit
                            and time.monotonic() + time_limit(limit))
        yield there
        if there.status != 0:
            print(bochs_said((job.tmp / "errors").read_text(
                errors="replace")), end="", file=sys.stderr)
    finally:
        if process is not None:
            end(process)
        shutil.rmtree(job.tmp, ignore_errors=True)
        console.unlink(missing_ok=True)


def bochs_session(job, commands, limit):
    """(exit status, what was typed and printed) of a script."""
    with bochs_debugger(job, limit) as there:
        out = there.play(commands)
    return there.status, out


def pump(process, fd):
    """Joins this terminal and the serial line `fd` until Ctrl-A X, or until
    the emulator ends. Returns what the line said."""
    here, out, held = sys.stdin.fileno(), b"", b""
    saved = termios.tcgetattr(here) if os.isatty(here) else None
    gone = os.pidfd_open(process.pid)
    watched = [fd, gone, here]
    try:
        if saved:
            tty.setraw(here)
        while True:
            ready = select.select(watched, [], [])[0]
            if here in ready:
                typed = os.read(here, 1024)
                if not typed:
                    watched.remove(here)
                if saved and b"\x01x" in held + typed.lower():
                    end(process)
                    return out
                held = typed[-1:]
                os.write(fd, typed)
            if fd in ready:
                data = os.read(fd, 65536)
                out += data
                os.write(sys.stdout.fileno(), data)
            elif gone in ready:
                return out
    finally:
        os.close(gone)
        if saved:
            termios.tcsetattr(here, termios.TCSADRAIN, saved)


def bochs_shell(backend, job):
    """The serial line of Bochs on this terminal."""
    job.tmp = pathlib.Path(tempfile.mkdtemp(prefix="vmm."))
    serial, process = Serial(True), None
    try:
        result = Result(bochs_argv(backend, job, serial.option))
        with open(job.tmp / "errors", "wb") as errors:
            process = start(result.argv, errors, serial)
        serial.connect()
        out = pump(process, serial.fd)
        result.log = out.decode(errors="replace").replace("\r", "")
        if process.wait() == -signal.SIGKILL:   # Ctrl-A X
            result.status = 0
        else:
            result.errors = bochs_said(
                (job.tmp / "errors").read_text(errors="replace"))
            bochs_decode(result)
        return result
    finally:
        if process is not None:
            end(process)
        serial.close()
        shutil.rmtree(job.tmp, ignore_errors=True)


def shell(backend, job):
    """The serial line on this terminal. QEMU stays in our process group:
    only the foreground group may read from the terminal."""
    if sys.stdin.isatty():
        print("Ctrl-A X ends the emulator.", flush=True)
    if backend.emulator == "bochs":
        return bochs_shell(backend, job)
    job.tmp = pathlib.Path(tempfile.mkdtemp(prefix="vmm."))
    try:
        result = Result(qemu_argv(job, backend, "mon:stdio"))
        process = subprocess.Popen(dies_with_parent(result.argv))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = process.wait()
    finally:
        shutil.rmtree(job.tmp, ignore_errors=True)
    if code < 0:
        result.why = f"the emulator got signal {-code}"
    elif code == 0:             # Ctrl-A X
        result.status = 0
    else:
        qemu_decode(result, code)
    return result


def debug(opt, job):
    """The verbs gdb and bochs, with a person or with a script."""
    script = opt.script or opt.batch and SESSIONS[opt.verb]
    if opt.verb == "gdb":
        args = ["-batch"] if script else []
        for line in front.commands(script) if script else []:
            args += ["-ex", f"echo (gdb) {line}\\n", "-ex", line]
        code, out = gdb_session(job, args, 60 if script else None,
                                opt.reverse)
        print(out, end="")
        return code
    if not script:
        with bochs_debugger(job) as there:
            there.talk()
        return there.status
    code, out = bochs_session(job, front.commands(script), limit=60)
    print(out, end="")
    return code


def main():
    parser = argparse.ArgumentParser(prog="emu.py")
    parser.add_argument("--build", default="build", type=pathlib.Path)
    sub = parser.add_subparsers(dest="verb", required=True)
    for verb in ("run", "shell", "gdb", "bochs"):
        p = sub.add_parser(verb)
        p.add_argument("args", nargs="*")
        p.add_argument("--memory", default=0, type=int)
        if verb in ("run", "shell"):
            p.add_argument("--backend", default="metal-svm",
                           choices=sorted(BACKENDS))
            p.add_argument("--flavor", default=linuximg.FLAVOR)
            p.add_argument("--append", default="")
            p.add_argument("--guest", action="store_true",
                           help="it has a Linux to run as a guest in /guest")
            p.add_argument("--ram", action="append", type=pathlib.Path,
                           default=[], help="an archive for the RAM disk")
            p.add_argument("--cpus", type=int)
            p.add_argument("--count", action="store_true",
                           help="QEMU's clock counts instructions")
        if verb == "run":
            p.add_argument("--limit", default=60, type=float)
            p.add_argument("--disk", action="store_true")
            p.add_argument("--log", type=pathlib.Path)
        if verb in ("gdb", "bochs"):
            p.add_argument("--batch", action="store_true")
            p.add_argument("--script", type=pathlib.Path)
        if verb == "gdb":
            p.add_argument("--reverse", action="store_true")
    opt = parser.parse_args()
    # So that `finally` runs when somebody ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    job = Job(opt.build, opt.args, opt.memory)
    if opt.verb in ("gdb", "bochs"):
        return debug(opt, job)
    backend = BACKENDS[opt.backend]
    backend = replace(backend, cpus=opt.cpus or backend.cpus,
                      count=opt.count or backend.count)
    job.flavor, job.append = opt.flavor, opt.append
    job.guest, job.ram = opt.guest, opt.ram
    if opt.verb == "shell":
        result = shell(backend, job)
    else:
        job.disk = opt.disk
        result = run(backend, job, opt.limit, echo=True)
        if opt.log:
            opt.log.write_text(result.log)
    if result.status is not None:
        return result.status
    print(f"emu.py: {result.why}", file=sys.stderr)
    print(result.errors, end="", file=sys.stderr)
    if result.timed_out:
        return TIMEOUT
    return FAULT if result.why.startswith(("a fault", "the host")) \
        else EMULATOR


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: ISC
"""vmctl's monitor: its commands, and the VMs that they are about.

What a terminal sees is tried here, on a pseudo terminal, against a server
that the test is. The rest runs on the Linux host, in one boot, a section of
shell each. Its guests are those of guests/, and some that are made here.
"""
import contextlib
import dataclasses
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import termios
import time

import pytest

import emu
from conftest import BUILD, TOP

VMCTL = BUILD / "bin/vmctl"


# --- On this machine: the command line and the terminal ---------------------

def vmctl(*args, run=None):
    """(status, stdout, stderr) of a vmctl that needs no /dev/vmm."""
    done = subprocess.run([VMCTL, *args], capture_output=True, text=True,
                          env={**os.environ, "VMM_RUN": str(run or "/none")},
                          stdin=subprocess.DEVNULL, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("args,said", [
    ("start", "usage: vmctl start"),
    ("start -b k a b", "usage: vmctl start"),
    ("start -q a", "start: no option -q"),
    ("start -b", "start: -b wants an argument"),
    ("start a", "start: a has no kernel: -b file"),
    ("start -b k 12", "`12' is no name"),
    ("start -b k a/b", "`a/b' is no name"),
    ("start -b k .a", "`.a' is no name"),
    ("start -b k a.log", "`a.log' is no name"),
    ("start -b k -- -a", "`-a' is no name"),
    ("start -b k a\nb", "`a\nb' is no name"),
    ("start -b k a\x1b[1m", "is no name"),
    ("start -b k a*", "`a*' is no name"),
    ("start -b k " + 33 * "n", "1 to 32 letters, digits"),
    ("start -m 0 -b k a", "start: -m 0: whole MiB, up to 32512M"),
    ("start -m 32513 -b k a", "start: -m 32513: whole MiB"),
    ("start -m 32G -b k a", "start: -m 32G: whole MiB"),
    ("start -m 1k -b k a", "start: -m 1k: whole MiB"),
    ("start -m 1x -b k a", "start: -m 1x: whole MiB"),
    ("start -m 1Mx -b k a", "start: -m 1Mx: whole MiB"),
    ("start -m 20000000000000000000 -b k a", "whole MiB"),
    ("start -s 0 -b k a", "start: -s 0: 1 to 64 VCPUs"),
    ("start -s 65 -b k a", "start: -s 65: 1 to 64 VCPUs"),
    ("start -s two -b k a", "start: -s two: 1 to 64 VCPUs"),
    ("start -t 0 -b k a", "start: -t 0: a number of seconds"),
    ("start -n bridge -b k a", "start: -n bridge: say user, or tap=IF"),
    ("start -n tap= -b k a", "start: -n tap=: say user, or tap=IF"),
    ("start -d 1 -d 2 -d 3 -d 4 -d 5 -b k a", "start: more than 4 disks"),
    ("start" + 5 * " -n user" + " -b k a", "more than 4 network interfaces"),
    ("status a b", "usage: vmctl status [name|id]"),
    ("stop", "usage: vmctl stop [-f] name|id, or vmctl stop [-f] -a"),
    ("stop a b", "usage: vmctl stop"),
    ("stop -a b", "usage: vmctl stop"),
    ("stop -x b", "stop: no option -x"),
    ("status -x", "usage: vmctl status [name|id]"),
    ("pause", "usage: vmctl pause name|id"),
    ("pause -x", "usage: vmctl pause name|id"),
    ("unpause a b", "usage: vmctl unpause name|id"),
    ("console", "usage: vmctl console name|id"),
    ("console -x", "usage: vmctl console name|id"),
    ("create a", "usage: vmctl create disk size"),
    ("create a 0", "create: size `0'"),
    ("create a 1T", "create: size `1T'"),
    ("create a 1k1", "create: size `1k1'"),
])
def test_wrong_use(args, said):
    """Status 2, and a line that names the thing and the remedy."""
    status, out, err = vmctl(*args.split(" "))
    assert (status, out) == (2, "")
    assert err.startswith("vmctl: ") and said in err, err


def test_help():
    """Of each command that the list has, whichever list."""
    names = set(re.findall(r"^  (\w+) ", vmctl("help")[1], re.M))
    assert len(names) > 25
    for name in names:
        status, out, err = vmctl("help", name)
        assert (status, err) == (0, "") and out.startswith(f"  {name} ")
        assert ("[-t seconds] name\n" in out) == (name == "start")
        # A disk's and a VM's.
        assert ("DISK" in out and "NCPUS" in out) == (name == "create")


@pytest.mark.parametrize("args", ["stop a", "stop -f a", "pause 3", "unpause a",
                                  "console a", "status a", "status ../a"])
def test_no_such_vm(tmp_path, args):
    name = args.rsplit(" ", maxsplit=1)[-1]
    assert vmctl(*args.split(" "), run=tmp_path) == (
        1, "", f"vmctl: {name}: no such VM runs; `vmctl status' lists those "
        "that do\n")


def test_nothing_runs(tmp_path):
    head = "   ID     PID VCPUS   MEMORY STATE     NAME\n"
    (tmp_path / "old.log").write_text("vmctl: old: done\n")
    with socket.socket(socket.AF_UNIX) as s:    # of one that was killed
        s.bind(str(tmp_path / "old"))
    assert vmctl("status", run=tmp_path) == (0, head, "")
    assert vmctl("stop", "-a", run=tmp_path) == (0, "", "")
    assert vmctl("status", run=tmp_path / "none") == (0, head, "")


@pytest.mark.parametrize("kind", ["file", "link", "stale", "other"])
def test_name_of_a_file(tmp_path, kind):
    """A socket that nobody listens at is taken over, and nothing else."""
    it = tmp_path / "it"
    text = tmp_path / "text"
    text.write_text("of mine\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "other"
                       else socket.SOCK_STREAM) as s:
        if kind == "file":
            text.rename(it)
        elif kind == "link":
            it.symlink_to(text)
        else:
            s.bind(str(it))
        status, _, err = vmctl("start", "-b", "/none", "it", run=tmp_path)
        assert status == 1
    if kind == "stale":
        assert "/dev/vmm" in err or "/none" in err
        assert not it.exists()
        return
    assert err == f"vmctl: {it}: Address in use; remove it, or take another " \
        "name\n"
    assert kind == "other" or it.read_text() == "of mine\n"
    assert it.is_symlink() == (kind == "link")
    assert it.is_socket() == (kind == "other")


def test_output_that_cannot_be_written(tmp_path):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([VMCTL, "status"], stdout=full, text=True,
                              stderr=subprocess.PIPE, check=False, timeout=60,
                              env={**os.environ, "VMM_RUN": str(tmp_path)})
    assert done.returncode == 1 and "cannot write" in done.stderr


def test_create(tmp_path):
    disk = tmp_path / "disk"
    assert vmctl("create", str(disk), "3G") == (0, "", "")
    assert disk.stat().st_size == 3 << 30 and disk.stat().st_blocks == 0
    assert disk.stat().st_mode & 0o777 == 0o600
    status, _, err = vmctl("create", str(disk), "1")
    assert status == 1 and err.endswith("exists; remove it first\n")
    assert disk.stat().st_size == 3 << 30
    assert vmctl("create", str(tmp_path / "small"), "1")[0] == 0
    assert (tmp_path / "small").stat().st_size == 1 << 20
    status, _, err = vmctl("create", str(tmp_path / "no/disk"), "1")
    assert status == 1 and f"{tmp_path}/no/disk: No such file" in err


class Server:
    """The socket of a VM that the test is."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(8)
        self.socket.settimeout(20)

    def accept(self, request):
        """The next client, whose request this must be."""
        s = self.socket.accept()[0]
        s.settimeout(20)
        line = b""
        while not line.endswith(b"\n"):
            line += s.recv(1)
        assert line == request.encode() + b"\n"
        return s


@pytest.fixture(name="server")
def _server(tmp_path):
    server = Server(tmp_path / "vm")
    yield server
    server.socket.close()


@pytest.fixture(name="silent")
def _silent(tmp_path):
    """A VM that hangs: (its name, its process)."""
    process = subprocess.Popen(
        ["python3", "-c", "import socket, sys, time\n"
         "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])\n"
         "s.listen(8); print(flush=True); time.sleep(100)",
         str(tmp_path / "hung")], stdout=subprocess.PIPE)
    process.stdout.readline()
    yield "hung", process
    process.kill()
    process.wait()


def test_vm_that_hangs(tmp_path, silent):
    """It is shown, does not hang the command, and can be ended."""
    name, process = silent
    status, out, err = vmctl("status", run=tmp_path)
    assert status == 1
    assert re.search(rf"^ +- +{process.pid} +- +- silent +hung$", out, re.M)
    said = "vmctl: hung does not answer; `vmctl stop -f hung' ends it\n"
    assert err == said
    assert vmctl("pause", name, run=tmp_path) == (1, "", said)
    # By id: it is asked for its own, and passed over.
    assert "9: no such VM" in vmctl("pause", "9", run=tmp_path)[2]
    assert vmctl("stop", "-f", name, run=tmp_path) == (0, "", "")
    assert process.wait(20) == -signal.SIGKILL


def test_stop_says_that_it_waits(tmp_path, server):
    with subprocess.Popen([VMCTL, "stop", "vm"], stderr=subprocess.PIPE,
                          env={**os.environ, "VMM_RUN": str(tmp_path)}) as p:
        with server.accept("stop"):
            assert p.stderr.readline() == b"vmctl: vm has not ended yet; " \
                b"`vmctl stop -f' does not wait for its disks\n"
            assert p.poll() is None
        assert p.wait(20) == 0


class Terminal:
    """`vmctl console vm' on a pseudo terminal."""

    def __init__(self, server, run, more=()):
        self.fd, self.far = pty.openpty()
        self.before = termios.tcgetattr(self.far)
        self.process = subprocess.Popen(
            [VMCTL, "console", "vm"], stdin=self.far, stderr=self.far,
            stdout=self.far, env={**os.environ, "VMM_RUN": str(run)}, **dict(
                more))
        self.vm = server.accept("console")
        deadline = time.monotonic() + 20
        while self.cooked() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not self.cooked()

    def cooked(self):
        return bool(termios.tcgetattr(self.far)[3] & termios.ICANON)

    def type(self, text):
        os.write(self.fd, text)

    def ended(self):
        """Its status, with the terminal as it was."""
        status = self.process.wait(20)
        assert termios.tcgetattr(self.far) == self.before
        return status

    def close(self):
        self.process.kill()
        self.process.wait()
        self.vm.close()
        os.close(self.fd)
        os.close(self.far)


@pytest.fixture(name="terminal")
def _terminal(server, tmp_path):
    t = Terminal(server, tmp_path)
    yield t
    t.close()


def test_terminal_passes_everything_on(terminal):
    modes = termios.tcgetattr(terminal.far)
    assert not modes[3] & (termios.ECHO | termios.ISIG | termios.IEXTEN)
    assert not modes[0] & (termios.ICRNL | termios.IXON)
    terminal.type(b"\x03\x1a\x11\x13\x04\x1c\r\x7f")
    assert terminal.vm.recv(8, socket.MSG_WAITALL) == \
        b"\x03\x1a\x11\x13\x04\x1c\r\x7f"
    terminal.vm.sendall(b"a\nb\r\n")
    assert os.read(terminal.fd, 5) == b"a\nb\r\n"


def test_leave(terminal):
    terminal.type(b"ls\r~.")
    assert terminal.ended() == 0
    assert terminal.vm.recv(100) == b"ls\r"
    assert terminal.vm.recv(100) == b""


@pytest.mark.parametrize("typed,seen", [
    (b"~~.", b"~."), (b"~x", b"~x"), (b"a~.", b"a~."), (b"\r~\r~~~.",
                                                        b"\r~\r~~."),
    (b"~", b""),
])
def test_tilde(terminal, typed, seen):
    """One at the start of a line waits for what is next."""
    for i in range(len(typed)):
        terminal.type(typed[i:i + 1])
        time.sleep(0.01)
    assert seen == b"" or terminal.vm.recv(len(seen), socket.MSG_WAITALL) == \
        seen
    assert select.select([terminal.vm], [], [], 0.2)[0] == []
    assert terminal.process.poll() is None
    terminal.type(b"." if seen == b"" else b"\r~.")
    assert terminal.ended() == 0


def test_leave_a_vm_that_takes_nothing(terminal):
    for _ in range(200):
        os.write(terminal.fd, 4000 * b"x")
        if not select.select([], [terminal.fd], [], 2)[1]:
            break
    terminal.type(b"\r~.")
    assert terminal.ended() == 0


def test_vm_hangs_up(terminal):
    terminal.vm.sendall(b"bye")
    terminal.vm.close()
    assert os.read(terminal.fd, 3) == b"bye"
    assert terminal.ended() == 0


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP,
                                 signal.SIGQUIT])
def test_signal_restores_the_terminal(terminal, sig):
    terminal.process.send_signal(sig)
    assert terminal.ended() == -sig


def test_broken_pipe_restores_the_terminal(server, tmp_path):
    far, near = os.pipe()
    t = Terminal(server, tmp_path, {"preexec_fn": lambda: os.dup2(near, 1)})
    os.close(far)
    os.close(near)
    t.vm.sendall(b"x")
    assert t.ended() == -signal.SIGPIPE
    t.close()


def test_ignored_signal_stays_ignored(server, tmp_path):
    """As nohup(1) has it."""
    t = Terminal(server, tmp_path, {"preexec_fn": lambda: signal.signal(
        signal.SIGHUP, signal.SIG_IGN)})
    t.process.send_signal(signal.SIGHUP)
    t.type(b"~.")
    assert t.ended() == 0
    t.close()


def test_console_that_cannot_be_written(server, tmp_path):
    with open("/dev/full", "w", encoding="ascii") as full, subprocess.Popen(
            [VMCTL, "console", "vm"], stdin=subprocess.DEVNULL, stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "VMM_RUN": str(tmp_path)}) as p:
        with server.accept("console") as vm:
            vm.sendall(b"x")
            assert p.stderr.read() == \
                b"vmctl: standard output: No space left on device\n"
            assert p.wait(20) == 1


@pytest.mark.parametrize("closed", [(0,), (1,), (0, 1)])
def test_console_without_a_descriptor(server, tmp_path, closed):
    """The socket does not take its place: nothing comes back from there."""
    with subprocess.Popen(
            [VMCTL, "console", "vm"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            preexec_fn=lambda: [os.close(fd) for fd in closed],
            env={**os.environ, "VMM_RUN": str(tmp_path)}) as p:
        with server.accept("console") as vm:
            vm.sendall(b"x")
            if 1 not in closed:
                assert p.stdout.read(1) == b"x"
                assert select.select([vm], [], [], 0.2)[0] == []
            else:
                assert vm.recv(10) == b""
        assert p.wait(20) == (1 in closed)


@contextlib.contextmanager
def user_network():
    """(the helper, the VM's end of its link), when it works."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with subprocess.Popen([BUILD / "bin/vmctl-slirp"], stdin=far,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as p, near:
        far.close()
        near.settimeout(20)
        assert near.recv(10) == b"\0"
        yield p, near
        near.close()
        assert p.wait(20) == 0


def test_user_network_lets_go_of_its_output():
    """Who started the VM may wait for the end of it."""
    with user_network() as (p, _):
        assert select.select([p.stdout], [], [], 20)[0] != []
        assert p.stdout.read() == b"" and p.poll() is None


def test_user_network_is_nobody():
    """What a guest could win there: no root, no process, no file."""
    with user_network() as (p, _):
        status = pathlib.Path(f"/proc/{p.pid}/status").read_text()
        limits = pathlib.Path(f"/proc/{p.pid}/limits").read_text()
    ids = 4 * ["65534" if os.geteuid() == 0 else str(os.geteuid())]
    found = dict(line.split(":", 1) for line in status.splitlines())
    assert found["Uid"].split() == ids
    assert os.geteuid() != 0 or found["Gid"].split() == ids
    assert os.geteuid() != 0 or found["Groups"].split() == []
    assert found["NoNewPrivs"].strip() == "1"
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 0
    for what in "file size", "processes":
        assert re.search(rf"^Max {what} +0 +0 ", limits, re.M)


def test_input_of_a_file_has_no_escape(server, tmp_path):
    """All of it arrives, whatever the VM sends meanwhile."""
    text = b"~.\n" + bytes(range(256)) * 4096
    with subprocess.Popen([VMCTL, "console", "vm"], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, env={
                              **os.environ, "VMM_RUN": str(tmp_path)}) as p:
        vm = server.accept("console")
        pid = os.fork()
        if pid == 0:
            p.stdin.write(text)
            p.stdin.close()
            os._exit(0)
        p.stdin.close()
        vm.sendall(bytes(1 << 20))      # before any is read
        got = b""
        while len(got) < len(text):
            got += vm.recv(65536)
        vm.close()
        os.waitpid(pid, 0)
    assert got == text and p.returncode == 0


# --- Completion -------------------------------------------------------------

def complete(line, cwd=TOP, run="/none", before=""):
    """What bash would offer for the last word of the line."""
    words = ["vmctl", *line.split(" ")]
    script = f"""source {TOP}/src/vmctl/vmctl.bash; {before}
COMP_WORDS=({' '.join(repr(w) for w in words)})
COMP_CWORD={len(words) - 1}
_vmctl
printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", script], capture_output=True,
                          text=True, cwd=cwd, check=True, timeout=20,
                          env={**os.environ, "VMM_RUN": str(run)})
    assert done.stderr == ""
    return sorted(done.stdout.split("\n")[:-1]) if done.stdout.strip() \
        else []


@pytest.mark.parametrize("line,offered", [
    ("pa", ["params", "pause"]), ("st", ["start", "status", "step", "stop"]),
    ("stop ", ["-a", "-f", "one", "two"]), ("console o", ["one"]),
    ("unpause t", ["two"]), ("status x", []),
    ("start -", [f"-{c}" for c in "abcdmnrst"]),
    ("start -b vm", ["vm linux"]), ("start -r ./vm", ["./vm linux"]),
    ("start -c -d /no/wh", []), ("start -n t", ["tap="]),
    ("create vm", ["vm linux"]), ("create disk ", []),
    ("trace ", ["--json"]),
])
def test_completion(tmp_path, line, offered):
    for name in "one", "two":
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(tmp_path / name))
    (tmp_path / "old.log").touch()
    (tmp_path / "vm linux").touch()
    assert complete(line, tmp_path, tmp_path) == sorted(offered)


@pytest.mark.parametrize("line,offered", [
    ("start -n t", ["-o nospace", "tap="]), ("start -n u", ["user"])])
def test_completion_goes_on(line, offered):
    """The interface's name is behind tap=, and of the same word."""
    assert complete(line, before="compopt() { echo $*; }") == offered


def test_completion_knows_every_command():
    text = vmctl("help")[1]
    names = re.findall(r"^  (\w+) ", text, re.M)
    assert len(names) > 25
    # Those of the shell alone are not offered.
    assert set(complete("")) == set(names) - {"history", "quit"}


# --- With guests, on the Linux host -----------------------------------------

# Kernels of the Multiboot kind, 32 bits, without paging.
MULTIBOOT = """\
	.code32
	.globl	_start
head:	.long	0x1badb002, 0x10000, -0x1baeb002, head, head, 0, 0, _start
_start:	mov	$0x3f8, %dx
"""
KERNELS = {
    # Says hello, and is off.
    "hello": """
        mov $text, %esi
    1:  lodsb
        out %al, %dx
        cmp $'\\n', %al
        jne 1b
        cli
        hlt
    text: .ascii "hello\\n" """,
    # Says what it hears, one more; q ends it.
    "echo": """
    1:  mov $0x3fd, %dx
        in %dx, %al
        test $1, %al
        jz 1b
        mov $0x3f8, %dx
        in %dx, %al
        cmp $'q', %al
        je 2f
        inc %al
        out %al, %dx
        jmp 1b
    2:  cli
        hlt""",
    # Nothing but exits.
    "exits": """
    1:  out %al, $0x80
        jmp 1b""",
    # Talks without end: lines of 16 bytes, as many as the FIFO takes.
    "chatty": """
        mov $0x3fa, %dx
        mov $1, %al
        out %al, %dx
    1:  mov $0x3fd, %dx
        in %dx, %al
        test $0x20, %al
        jz 1b
        mov $0x3f8, %dx
        mov $text, %esi
        mov $16, %ecx
    2:  lodsb
        out %al, %dx
        loop 2b
        jmp 1b
    text: .ascii "0123456789abcde\\n" """,
    # The fastest timer, and its interrupt on and off again.
    "storm": """
        mov $0x11, %al
        out %al, $0x20
        mov $0x20, %al
        out %al, $0x21
        mov $4, %al
        out %al, $0x21
        mov $1, %al
        out %al, $0x21
        mov $0x34, %al
        out %al, $0x43
        mov $2, %al
        out %al, $0x40
        mov $0, %al
        out %al, $0x40
    1:  mov $0xff, %al
        out %al, $0x21
        mov $0xfe, %al
        out %al, $0x21
        mov $0x0c, %al
        out %al, $0x20
        jmp 1b""",
    # Entropy for ever: a ring that is never empty, since what the device has
    # used stands in it again at once.
    "thirst": """
        mov $0xcf8, %dx
        mov $0x80000804, %eax
        out %eax, %dx
        mov $0xcfc, %dx
        mov $7, %ax
        out %ax, %dx
        mov $0xc052, %dx
        mov $7, %al
        out %al, %dx
        mov $0xc048, %dx
        mov $0x300, %eax
        out %eax, %dx
        movl $0x310000, 0x300000
        movl $64, 0x300008
        movl $2, 0x30000c
        mov $0xc050, %dx
        xor %ecx, %ecx
    1:  mov 0x301002, %ax
        add $8, %ax
        mov %ax, 0x300082
        inc %cl
        jnz 1b
        xor %eax, %eax
        out %ax, %dx
        jmp 1b""",
    # Starts over as soon as it runs, by a triple fault.
    "again": """
        lidt none
        int3
    none: .long 0, 0""",
    # Says that it is there, and stays.
    "here": """
        mov $'@', %al
        out %al, %dx
    1:  jmp 1b""",
}

# A guest of guest.h that has something to complain about.
GUEST = """\
	.code32
	.globl	_start
	.ascii	"VMMG"
	.byte	1, 1
	.word	16
	.long	0, 0
_start:	mov	$0x508, %dx
	mov	$77, %eax
	out	%eax, %dx
	hlt
"""


# Runs a command on a terminal of its own, and leaves by `~.' after a text.
TYPIST = """
#include <sys/wait.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	char said[4096] = "";
	size_t n = 0;
	int fd, status, typed = 0;
	pid_t pid = forkpty(&fd, NULL, NULL, NULL);

	if (pid == 0) {
		signal(SIGCHLD, SIG_IGN);	/* some do that to theirs */
		execvp(argv[2], argv + 2);
	}
	while (n < sizeof(said) - 1 && read(fd, said + n, 1) == 1)
		if (said[n++] != 0 && !typed && strstr(said, argv[1]))
			typed = write(fd, "\\r~.", 3);
	waitpid(pid, &status, 0);
	printf("%s= %d\\n", said, WEXITSTATUS(status));
	return (0);
}
"""


class Raw(bytes):
    """A file of a RAM disk that is not text."""
    def encode(self):
        return self


def assemble(tmp, source, base):
    subprocess.run(["as", "--32", "-o", tmp / "o", "-"], check=True,
                   input=source, text=True)
    subprocess.run(["ld", "-m", "elf_i386", f"-Ttext={base}", "--oformat",
                    "binary", "-o", tmp / "bin", tmp / "o"], check=True)
    return Raw((tmp / "bin").read_bytes())


def kernels(tmp):
    """{path in the RAM disk: file}"""
    made = {f"etc/{name}": assemble(tmp, MULTIBOOT + text + "\n", "0x100000")
            for name, text in KERNELS.items()}
    # The same as boot sectors, in 16 bits; one has a BIOS start it again.
    sector, bios = [assemble(tmp, f"""
        .code16
        .globl _start
        _start: mov $0x3f8, %dx
        mov $'f', %al
        out %al, %dx
        {end}
        .org 510
        .byte 0x55, 0xaa
        """, "0x7c00") for end in ("cli; hlt", "ljmp $0xf000, $0xfff0")]
    subprocess.run(["musl-gcc", "-static", "-o", tmp / "typist", "-xc", "-"],
                   check=True, input=TYPIST, text=True)
    # An ELF file that wants memory at 64 MiB.
    high = bytearray(made["etc/hello"])
    return {**made, "etc/sector": sector, "etc/bios": bios, "etc/empty": Raw(),
            "etc/fails": assemble(tmp, GUEST, "0x8000"),
            "etc/high": Raw(moved(high, 64 << 20)),
            "etc/typist": Raw((tmp / "typist").read_bytes())}


def moved(image, to):
    """A kernel that wants to be loaded at another address."""
    by = to - 0x100000
    for at in (12, 16, 28):
        address = int.from_bytes(image[at:at + 4], "little") + by
        image[at:at + 4] = address.to_bytes(4, "little")
    return image


PRELUDE = """\
t() { echo "\\$ $*"; "$@" 2>&1; echo "= $?"; }
g() { echo /guests/$1.bin; }
exits() {
	awk -v vm=$1 '/^[a-z_]+ / && $1 == "vm" { on = $2 == vm }
	    on && $1 ~ /^[A-Z]/ { n += $2 } END { print n + 0 }' \\
	    /sys/kernel/debug/vmm/vms
}
id() { vmctl status $1 | awk 'END { print $1 }'; }
pid() { vmctl status $1 | awk 'END { print $2 }'; }
now() { cut -d' ' -f1 /proc/uptime; }
# 10 seconds for what should be so soon.
soon() {
	i=0; until "$@"; do
		i=$((i + 1)); [ $i -lt 500 ] || { echo "never: $*"; return; }
		usleep 20000
	done
}
gone() { soon [ ! -d /proc/$1 ]; }
more() { [ $(exits $1) -gt $2 ]; }
resets() { grep -q SHUTDOWN /sys/kernel/debug/vmm/vms; }
export M="-m 8"
"""

SECTIONS = {
    # Before the first VM there is not even a directory.
    "none": """
        ls -d /run/vmm
        t vmctl status
        t vmctl stop -a
        t vmctl stop it
        ls -d /run/vmm
        echo >/run/file
        VMM_RUN=/run/file t vmctl start $M -b $(g spin) it
        VMM_RUN=/no/where t vmctl start $M -b $(g spin) it
        VMM_RUN=/run/$(printf %0110d 0 | sed s/0/a/g) t vmctl start $M \\
            -b $(g spin) it
        chmod 666 /dev/vmm
        su one -c "vmctl start $M -b $(g spin) it" 2>&1
        su one -c "VMM_RUN=/tmp/one vmctl start $M -b $(g spin) it" 2>&1
        su one -c "VMM_RUN=/tmp/one vmctl status" 2>&1 | wc -l
        su one -c "VMM_RUN=/tmp/one vmctl stop it" 2>&1
        su one -c 'vmctl stop it' 2>&1; chmod 600 /dev/vmm""",
    "images": """
        t vmctl start $M -b /etc/nothing it
        t vmctl start $M -b /guests it
        t vmctl start $M -b /etc/empty it
        t vmctl start $M -b /etc/passwd it
        t vmctl start $M -b /dev/zero it
        t vmctl start $M -b /etc/high it
        t vmctl start $M -b $(g out) -r /etc/passwd it
        t vmctl start $M -b $(g out) -a quiet it
        t vmctl start $M -b /etc/sector -a quiet it
        t vmctl start $M -b /etc/hello -r /etc/nothing it
        head -c 9000000 /dev/zero >/tmp/large
        t vmctl start $M -b /etc/hello -r /tmp/large it
        t vmctl start $M -b /etc/hello -d /etc/nothing it
        t vmctl start $M -b /etc/hello -d /etc/empty it
        t vmctl start $M -b /etc/hello -n tap=a0123456789abcdef it
        t vmctl start $M -b /etc/hello -n tap=tap0 it
        t vmctl start $M -b /etc/hello -d ram:0 it
        t vmctl start $M -b /etc/hello -d ram:/etc it
        t vmctl start $M -b /etc/hello -d ram:/etc/empty it
        vmctl create /tmp/disk 64K
        t vmctl start $M -b /etc/hello -d /tmp/disk -d /tmp/disk it
        t vmctl status
        ls -A /run/vmm; rm /tmp/large
        mv /dev/vmm /dev/away
        t vmctl start $M -b /etc/hello it
        mv /dev/away /dev/vmm
        ulimit -l 4096
        su one -c "VMM_RUN=/tmp/one vmctl start $M -b $(g spin) it" 2>&1""",
    "ends": """
        t vmctl start -c $M -b $(g out) it </dev/null
        t vmctl start -c $M -b $(g hlt-if0) it </dev/null
        t vmctl start -c $M -b /etc/fails it </dev/null
        t vmctl start -c -m 32512 -d ram:64K -b /etc/hello it </dev/null
        t vmctl start -c $M -b /etc/hello -r /etc/passwd it </dev/null
        t vmctl start -c $M -b /etc/sector it </dev/null
        t vmctl start -c $M -t 2 -b /etc/bios it </dev/null
        t vmctl start -c $M -b $(g smp) -s 4 it </dev/null
        before=$(now)
        t vmctl start -c $M -t 2 -b $(g spin) it </dev/null
        echo "from $before to $(now)"
        t vmctl start $M -b $(g out) it; soon [ ! -e /run/vmm/it ]
        cat /run/vmm/it.log""",
    "two": """
        t vmctl start $M -b $(g spin) one
        t vmctl start -m 9 -s 3 -b $(g hlt) two
        t vmctl start $M -b $(g spin) one
        t vmctl status
        t vmctl status $(id two)
        ps -o pid,args | grep 'vmctl [s]tart' | awk '{ print $1, $NF }'
        a=$(exits $(id one)); b=$(exits $(id two)); sleep 1
        [ $(exits $(id one)) -gt $a ] && echo "one runs"
        t vmctl trace 2
        t vmctl explain
        t vmctl stop $(id two)
        t vmctl status two
        t vmctl start $M -b $(g spin) three
        t vmctl stop -a
        t vmctl status
        cat /run/vmm/one.log /run/vmm/two.log /run/vmm/three.log""",
    "pause": """
        t vmctl start $M -s 2 -b /etc/exits it
        n=$(id it)
        t vmctl pause it
        t vmctl pause $n
        t vmctl status it
        a=$(exits $n); sleep 1; echo "paused $(($(exits $n) - a))"
        t vmctl unpause it
        t vmctl unpause it
        a=$(exits $n); usleep 50000; echo "runs $(($(exits $n) - a))"
        t vmctl pause it
        t vmctl stop it
        for guest in $(g triple) /etc/again; do
            vmctl start $M -s 4 -b $guest it; n=$(id it)
            for j in 1 2 3 4 5 6; do
                timeout 9 vmctl pause it || echo "no pause"
                vmctl status it | tail -n 1
                a=$(exits $n); usleep 50000
                echo "paused $(($(exits $n) - a))"
                vmctl unpause it || echo "no unpause"
                soon more $n $a
            done
            t vmctl stop it
        done""",
    "console": """
        t vmctl start $M -b /etc/echo it
        (echo abc; sleep 1) | timeout 2 vmctl console it
        vmctl console it >/tmp/1 </dev/null & a=$!
        sleep 1
        vmctl console it >/tmp/2 </dev/null & b=$!
        sleep 1
        wait $a; echo "first = $?"; cat /tmp/1
        (echo xyzq; sleep 1) | vmctl console it; echo "= $?"
        wait $b; echo "second = $?"; cat /tmp/2
        t vmctl status
        echo "- kept"
        vmctl start $M -b /etc/chatty it
        usleep 500000
        vmctl console it </dev/null | head -c 65536 >/tmp/kept
        wc -c </tmp/kept; head -c 20 /tmp/kept; echo
        echo "- blocked"
        n=$(id it)
        vmctl console it </dev/null >/dev/null & c=$!
        kill -STOP $c; sleep 2
        a=$(exits $n); usleep 50000; echo "goes on $(($(exits $n) - a))"
        timeout 2 vmctl console it </dev/null | head -c 200000 | wc -c
        vmctl console it </dev/null >/dev/null & d=$!
        kill -STOP $d; sleep 2
        t timeout 9 vmctl stop it
        kill -CONT $c $d; wait""",
    "signals": """
        for s in TERM INT HUP; do
            vmctl start $M -s 3 -b $(g spin) it; p=$(pid it)
            kill -$s $p; gone $p; cat /run/vmm/it.log; ls /run/vmm/it
            (setsid vmctl start -c $M -b $(g spin) it </dev/null
                echo "-c = $?") & sleep 1
            kill -$s $(ps -o pid,ppid,args | awk -v p=$(pid it) \\
                '$1 == p { print $2 }'); wait
        done 2>&1
        cat /sys/kernel/debug/vmm/vms""",
    "killed": """
        pins() { awk '/foll_pin/ { print $2 }' /proc/vmstat | xargs; }
        pins
        vmctl start $M -s 3 -b $(g spin) it; p=$(pid it); sleep 1
        kill -9 $p; gone $p
        ls /run/vmm/it; cat /sys/kernel/debug/vmm/vms
        t vmctl status
        t vmctl start $M -b $(g spin) it
        t vmctl stop -f it
        cat /sys/kernel/debug/vmm/vms
        echo "- the console"
        vmctl start -c $M -b $(g spin) it </dev/null & c=$!
        sleep 1; p=$(pid it); kill -9 $c; gone $p
        cat /sys/kernel/debug/vmm/vms
        echo "- the VM, and its console is here"
        (vmctl start -c $M -b $(g spin) it </dev/null; echo "-c = $?") 2>&1 &
        sleep 1; kill -9 $(pid it); wait %
        echo "- by force"
        (vmctl start -c $M -b $(g spin) it </dev/null; echo "-c = $?") 2>&1 &
        sleep 1; vmctl stop -f it; wait %
        echo "- by TERM"
        vmctl start $M -s 2 -b $(g spin) it; p=$(pid it)
        vmctl term $(id it); gone $p; cat /run/vmm/it.log
        echo "- by TERM, while it stands still"
        vmctl start $M -b $(g spin) it; p=$(pid it); vmctl pause it
        vmctl term $(id it); gone $p; cat /run/vmm/it.log
        echo "- by TERM, while it starts over"
        for i in 1 2 3 4 5; do
            vmctl start $M -b /etc/again it; p=$(pid it); soon resets
            vmctl term $(id it); gone $p; cat /run/vmm/it.log
        done
        pins""",
    "hangs": """
        vmctl start $M -b $(g spin) it; p=$(pid it)
        kill -STOP $p
        t vmctl status
        t vmctl unpause it
        kill -CONT $p
        t vmctl unpause it
        t vmctl stop it""",
    "floods": """
        for guest in exits chatty storm thirst again; do
            echo "- $guest"
            vmctl start $M -b /etc/$guest it; n=$(id it)
            a=$(exits $n); before=$(now)
            [ $guest = again ] && soon resets
            vmctl status it | tail -n 1
            vmctl pause it; vmctl unpause it
            usleep 20000
            [ $(exits $n) -gt $a ] && echo busy
            vmctl stop it
            echo "from $before to $(now)"
        done
        for guest in exits thirst; do
            echo "- $guest -t"
            before=$(now)
            t vmctl start -c -t 1 $M -b /etc/$guest it </dev/null
            echo "from $before to $(now)"
        done
        echo "- many"
        vmctl start $M -s 16 -b $(g triple) a; before=$(now)
        vmctl status a | tail -n 1
        vmctl stop a
        echo "from $before to $(now)" """,
    "odd": """
        echo "- closed"
        timeout 20 vmctl start $M -b $(g spin) it <&- >&-
        echo "= $?"; t vmctl stop it
        echo "- ignored"
        mkdir -p /dev/pts; mount -t devpts devpts /dev/pts
        chmod 755 /etc/typist
        /etc/typist never vmctl start -c $M -b /etc/hello it
        echo "- full"
        (timeout 20 vmctl start -c $M -b /etc/chatty it </dev/null >/dev/full
            echo "= $?" >&2) 2>&1
        vmctl stop -a
        echo "- open"
        (exec 8>/tmp/eight 9>/tmp/nine; vmctl start $M -b $(g spin) it)
        ls -l /proc/$(pid it)/fd | grep /tmp; vmctl stop it
        (exec 8>/tmp/eight 9>/tmp/nine
            setsid vmctl start -c $M -b $(g spin) it </dev/null) 2>&1 &
        soon [ -S /run/vmm/it ]; sleep 1
        ls -l /proc/$(pid it)/fd | grep /tmp; vmctl stop it; wait
        t vmctl start -c $M -b /proc/self/fd/8 it 8</etc/hello </dev/null
        echo "- not a byte"
        (ulimit -f 0; vmctl start $M -b $(g spin) it)
        t vmctl stop it; ls /run/vmm/it 2>&1; wc -c </run/vmm/it.log
        echo "- never starts"
        mkdir /tmp/bin; cp $(which vmctl) /tmp/bin
        printf '#!/bin/sh\nexec sleep 1000\n' >/tmp/bin/vmctl-slirp
        chmod 755 /tmp/bin/vmctl-slirp
        for s in TERM INT HUP; do
            (/tmp/bin/vmctl start $M -n user -b $(g spin) it 8>/tmp/eight
                echo "= $?") 2>&1 &
            soon [ -S /run/vmm/it ]; p=$(pid it 2>/dev/null)
            soon pidof sleep >/dev/null
            ls -l /proc/$(pidof sleep)/fd | grep /tmp
            kill -$s $p; soon [ ! -d /proc/$p ]; kill -9 $p 2>/dev/null
            kill $(pidof sleep); wait; ls /run/vmm/it 2>&1
        done
        echo "- left"
        /etc/typist @ vmctl start -c $M -b /etc/here it
        sleep 1; vmctl status it | tail -n 1
        t vmctl stop it; cat /run/vmm/it.log""",
    "idle": """
        ticks() { cut -d' ' -f14,15 /proc/$1/stat | tr ' ' +; }
        vmctl start $M -s 2 -b $(g hlt) it; p=$(pid it); sleep 1
        a=$(($(ticks $p))); sleep 10
        echo "ticks $(($(ticks $p) - a))"
        vmctl stop it""",
}


@pytest.fixture(scope="module", name="sections")
def _sections(tmp_path_factory):
    """{name: what its commands printed}, of one boot."""
    job = PRELUDE + "".join(f"echo '== {name}'\n{text}\n"
                            for name, text in SECTIONS.items()) + "echo '=='"
    backend = dataclasses.replace(emu.BACKENDS["linux-svm"], cpus=1)
    result = emu.run(backend, emu.Job(
        BUILD, ["sh", "-c", job],
        files=kernels(tmp_path_factory.mktemp("kernels"))), 600)
    log = result.log.split("\n==\n")[0]
    parts = re.split(r"^== (\w+)\n", log, flags=re.M)
    found = dict(zip(parts[1::2], parts[2::2]))
    assert result.status == 0, f"{result.why}\n{result.tail(60)}"
    assert list(found) == list(SECTIONS)
    return found


def answers(text):
    """[(command, what it said, its status)] of a section."""
    return [(m[1], m[2], int(m[3])) for m in re.finditer(
        r"^\$ vmctl (.*)\n((?:(?!\$ ).*\n)*?)= (\d+)$", text, re.M)]


def seconds(text):
    """How long a part of a section took."""
    a, b = re.search(r"from ([\d.]+) to ([\d.]+)", text).groups()
    return float(b) - float(a)


HEAD = "   ID     PID VCPUS   MEMORY STATE     NAME\n"


def test_before_the_first_vm(sections):
    text = sections["none"]
    assert text.count("ls: /run/vmm: No such file") == 2
    said = [(out.replace(110 * "a", "LONG"), status)
            for _, out, status in answers(text)]
    remedy = "be root, or set VMM_RUN\n"
    assert said == [
        (HEAD, 0), ("", 0),
        ("vmctl: it: no such VM runs; `vmctl status' lists those that do\n",
         1),
        (f"vmctl: /run/file: Not a directory; {remedy}", 1),
        (f"vmctl: /no/where: No such file or directory; {remedy}", 1),
        ("vmctl: /run/LONG/it: longer than a socket's path may be\n", 1)]
    # Who is not root has a directory of their own.
    assert text.endswith(
        f"vmctl: /run/vmm: Permission denied; {remedy}2\n"
        "vmctl: it: no such VM runs; `vmctl status' lists those that do\n")


def test_bad_images(sections):
    """One line each, status 1, and nothing is left."""
    text = sections["images"]
    found = answers(text)
    said = [out for _, out, _ in found]
    ours = "/guests/out.bin: a guest of guests/ takes no -r and no -a: leave " \
        "them out"
    assert said[:19] == ["vmctl: " + line + "\n" for line in (
        "/etc/nothing: No such file or directory",
        "/guests: Is a directory",
        "/etc/empty: the image is no bzImage, has no multiboot header in its "
        "first 8 KiB and no 55 AA at 510: give one that has",
        "/etc/passwd: the image is no bzImage, has no multiboot header in its "
        "first 8 KiB and no 55 AA at 510: give one that has",
        "/dev/zero: larger than the memory of the VM; -m more",
        "/etc/high: the kernel wants 1 KiB at 0x4000000: give the VM more "
        "memory, or link it at 1 MiB", ours, ours,
        "/etc/sector: a boot sector takes no command line: leave it out",
        "/etc/nothing: No such file or directory",
        "/tmp/large: larger than the memory of the VM; -m more",
        "/etc/nothing: No such file or directory; `vmctl create' makes a disk",
        "/etc/empty: 0 bytes, which are no whole sectors of 512",
        "-n tap=a0123456789abcdef: the name is too long",
        "-n tap=tap0: /dev/net/tun: No such file or directory; be root, and "
        "`modprobe tun'",
        "ram:0: No such file or directory; say a file, or a size like 64M",
        "ram:/etc: Is a directory; say a file, or a size like 64M",
        "ram:/etc/empty: empty, or larger than memory",
        "/tmp/disk: in use, by another VM or twice in this one")]
    assert [status for *_, status in found] == 19 * [1] + [0, 1]
    assert said[19:] == [HEAD, "vmctl: /dev/vmm: No such file or directory; "
                         "load the driver, or be root\n"]


def test_how_a_vm_ends(sections):
    text = sections["ends"]
    found = [(out, status) for _, out, status in answers(text)]
    assert found[:6] == [
        ("vmctl: it: done\n", 0), ("vmctl: it: halted\n", 0),
        ("vmctl: it: vcpu 0: the guest failed at its line 77\n"
         "vmctl: it: failed\n", 1),
        ("hello\nvmctl: it: halted\n", 0),
        ("hello\nvmctl: it: halted\n", 0),
        ("fvmctl: it: halted\n", 0)]
    bios, smp, time_over, background = found[6:]
    assert re.fullmatch("ff+vmctl: it: its time is over\n", bios[0])
    # Each VCPU has its own number, and its own turn; all are waited for.
    values = re.findall(r"^vcpu (\d): value (\w+)$", smp[0], re.M)
    for cpu in range(4):
        assert [v for c, v in values if c == str(cpu)][0] == \
            (hex(cpu) if cpu else "0")
    assert len(values) == 8 and smp[0].endswith("vmctl: it: done\n")
    assert time_over == ("vmctl: it: its time is over\n", 0)
    assert seconds(text) >= 2
    assert background == ("", 0) and text.endswith("vmctl: it: done\n")


def test_two_vms(sections):
    text = sections["two"]
    found = answers(text)
    one, two = [re.search(rf"^ +(\d+) +(\d+) +{cpus} +{m}m running +{name}$",
                          found[3][1], re.M)
                for cpus, m, name in ((1, 8, "one"), (3, 9, "two"))]
    assert found[2][1:] == ("vmctl: one runs already; `vmctl stop one', or "
                            "take another name\n", 1)
    assert found[4] == (f"status {two[1]}", HEAD + two[0] + "\n", 0)
    for vm in one, two:     # the ids of processes, as ps has them
        assert re.search(rf"^{vm[2]} \w+$", text, re.M)
    assert "\none runs\n" in text
    trace, explain = found[5][1], found[6][1]
    for head in [f"VM {one[1]} VCPU 0"] + [f"VM {two[1]} VCPU {i}"
                                           for i in range(3)]:
        assert head + "\n" in trace
    assert explain == "no entry was refused\n"
    assert found[7] == (f"stop {two[1]}", "", 0)
    assert found[8][1].startswith("vmctl: two: no such VM runs")
    assert found[-2:] == [("stop -a", "", 0), ("status", HEAD, 0)]
    assert text.endswith("vmctl: one: stopped\nvmctl: two: stopped\n"
                         "vmctl: three: stopped\n")


def test_pause(sections):
    """No exit while it lasts, whatever the guest was about."""
    text = sections["pause"]
    assert [status for *_, status in answers(text)] == 10 * [0]
    assert re.findall(r"^paused (.*)$", text, re.M) == 13 * ["0"]
    assert len(re.findall(r"^ .* paused +it$", text, re.M)) == 13
    assert int(re.search(r"^runs (\d+)$", text, re.M)[1]) > 0
    for bad in "no pause", "no unpause", "never":
        assert bad not in text


def test_console(sections):
    text, rest = sections["console"].split("- kept\n")
    assert "\nbcd\v" in text
    note = "\n[another console took over]\n"
    assert "first = 0\n" + note in text
    assert "yz{= 0\nsecond = 0\n" + note in text      # q was its end
    assert answers(text)[-1] == ("status", HEAD, 0)
    kept, rest = rest.split("- blocked\n")
    assert kept == "65536\n" + ("0123456789abcde\n" * 2)[:20] + "\n"
    goes_on, sent = re.findall(r"^(?:goes on )?(\d+)$", rest, re.M)[:2]
    assert int(goes_on) > 0 and int(sent) > 1000
    # With a console that takes nothing it ends all the same.
    assert answers(rest) == [("stop it", "", 0)] or \
        "$ timeout 9 vmctl stop it\n= 0\n" in rest


def test_signals(sections):
    """SIGTERM, SIGINT, SIGHUP: to the VM, and to its console."""
    gone = "ls: /run/vmm/it: No such file or directory\n"
    assert sections["signals"] == 3 * (
        "vmctl: it: stopped\n" + gone + "vmctl: it: stopped\n-c = 0\n")


def test_kill(sections):
    """L1: no VM, no pinned page, and nothing in the way of the next."""
    text = sections["killed"]
    pins = re.findall(r"^(\d+) (\d+)$", text, re.M)
    assert len(pins) == 2 and all(a == b for a, b in pins), pins
    assert int(pins[1][0]) > int(pins[0][0])
    assert not re.search(r"^vm ", text, re.M), text
    assert [a[1:] for a in answers(text)][:3] == [(HEAD, 0), ("", 0), ("", 0)]
    assert text.count("vmctl: it: ended by signal 9 (Killed)\n-c = 1\n") == 2
    assert "- by TERM\nvmctl: it: stopped\n" in text
    assert "- by TERM, while it stands still\nvmctl: it: stopped\n" in text
    assert "- by TERM, while it starts over\n" + 5 * \
        "vmctl: it: stopped\n" in text


def test_stopped_process(sections):
    said = "vmctl: it does not answer; `vmctl stop -f it' ends it\n"
    status, unpause, after, stop = answers(sections["hangs"])
    assert re.fullmatch(rf"{HEAD} +- +\d+ +- +- silent +it\n{said}",
                        status[1])
    assert unpause[1:] == (said, 1)
    assert after[1:] == stop[1:] == ("", 0)


@pytest.mark.parametrize("guest", ["exits", "chatty", "storm", "thirst",
                                   "again"])
def test_flood(sections, guest):
    """Whatever a guest does without end, it is shown, paused and ended."""
    text = sections["floods"].split(f"- {guest}\n")[1].split("\n- ")[0]
    assert re.search(r"^ +\d+ .* (running|resetting) +it\nbusy\nfrom ", text,
                     re.M), text
    assert "never" not in text
    assert seconds(text) < 20


@pytest.mark.parametrize("guest", ["exits", "thirst"])
def test_flood_has_its_time(sections, guest):
    text = sections["floods"].split(f"- {guest} -t\n")[1].split("\n- ")[0]
    assert answers(text)[0][1:] == ("vmctl: it: its time is over\n", 0)
    assert 1 <= seconds(text) < 20


def test_flood_of_many(sections):
    text = sections["floods"].split("- many\n")[1]
    assert re.search(r"^ +\d+ +\d+ +16 .* a$", text, re.M)
    assert seconds(text) < 20


def test_odd_starts(sections):
    _, closed, ignored, full, opened, limited, never, left = re.split(
        "^- .*\n", sections["odd"], flags=re.M)
    assert closed == "= 0\n$ vmctl stop it\n= 0\n"
    assert re.fullmatch(r"hello\s*vmctl: it: halted\s*= 0\n", ignored)
    assert full == "vmctl: standard output: No space left on device\n" \
        "vmctl: it: stopped\n= 1\n"
    # What the starter had open is for reading images, and no longer.
    assert opened == "vmctl: it: stopped\n" \
        "$ vmctl start -c -m 8 -b /proc/self/fd/8 it\n" \
        "hello\nvmctl: it: halted\n= 0\n"
    assert limited == "$ vmctl stop it\n= 0\n" \
        "ls: /run/vmm/it: No such file or directory\n0\n"
    assert never == "".join(
        f"vmctl: it: ended by signal {nr} ({name})\n= 1\n"
        "ls: /run/vmm/it: No such file or directory\n"
        for nr, name in ((15, "Terminated"), (2, "Interrupt"),
                         (1, "Hangup")))
    on, stopped = left.split("$ vmctl stop it\n")
    assert re.fullmatch(r"@\s*vmctl: it runs on; `vmctl console it' comes "
                        r"back to it\s*= 0\n +\d+ .* running +it\n", on), on
    assert stopped == "= 0\nvmctl: it: stopped\n"


def test_idle(sections):
    """Less than 2 % of a core: 10 s have 1000 ticks."""
    assert int(re.search(r"^ticks (\d+)$", sections["idle"], re.M)[1]) < 20


# --- On the other hosts ------------------------------------------------------

@pytest.mark.parametrize("backend", ["metal-svm", "metal-vmx"])
@pytest.mark.parametrize("guest,said", [
    ("out", "vmctl: it: done"), ("hlt-if0", "vmctl: it: halted"),
    ("smp -s 3", "vmctl: it: done")])
def test_metal(boot, backend, guest, said):
    name, *more = guest.split(" ")
    result = boot(["vmctl", "start", "-c", "-m", "8", "-b",
                   f"/guests/{name}.bin", *more, "it"], backend=backend)
    assert f"\n{said}\n" in result.log
    if more:
        assert len(re.findall(r"^vcpu \d: value", result.log, re.M)) == 6


def test_linux_on_vmx(boot):
    job = "t() { echo \"$ $*\"; \"$@\" 2>&1; echo \"= $?\"; }\n" \
        "M='-m 8'\n" + SECTIONS["hangs"].split("kill -STOP")[0] + """
        t vmctl pause it; t vmctl unpause it; t vmctl stop it
        t vmctl start -c $M -b /guests/smp.bin -s 3 it </dev/null"""
    job = job.replace("$(g spin)", "/guests/spin.bin") \
        .replace("; p=$(pid it)", "")
    result = boot(["sh", "-c", job], backend="linux-vmx", limit=600)
    found = answers(result.log)
    assert [status for *_, status in found] == 4 * [0], result.tail()
    assert found[-1][1].endswith("vmctl: it: done\n"), result.tail()

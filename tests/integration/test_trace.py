# SPDX-License-Identifier: ISC
"""`vmctl trace` and `vmctl explain`: what the driver's ring says of a guest,
against the client's own view and the emulator's; and what the ring costs."""
import collections
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

import emu
from conftest import BUILD, TOP

BOTH = ["metal-svm", "metal-vmx"]
GUESTS = ["out", "dr", "efer", "io-string"]
COST = 42               # instructions of a record, at most; 40 are aimed at
ROW = re.compile(r"^ *(?P<nr>\d+) +(?P<since>\d+) (?P<where>guest|driver) +"
                 r"(?P<ticks>\d+) (?P<rest>\S.*)$", re.M)
EXIT = re.compile(r"(?P<kind>\S+) +(?P<entry>[0-9a-f]+) +(?P<out>[0-9a-f]+)  "
                  r"(?P<code>[0-9a-f]+) ?(?P<what>.*)")
# A RUN as the client shows it.
CLIENT = re.compile(r"^ +\d+ +(?P<code>[0-9a-f]+) (?P<kind>[A-Z]+) +"
                    r"(?P<what>.*?) +rip (?P<rip>[0-9a-f]+) cpl \d", re.M)

Row = collections.namedtuple("Row", "nr since ticks what exit")


def script(guest, *more):
    """A guest to its end, and then these words."""
    return ["vmctl", "exec", *f"run {guest} ;".split(), *more]


def table(log):
    """[Row] of the first ring of a table; exit is a match, or None."""
    text = re.split(r"^VM \d+ VCPU \d+$", log, flags=re.M)[1]
    return [Row(int(m["nr"]), int(m["since"]), int(m["ticks"]), m["rest"],
                EXIT.fullmatch(m["rest"]) if m["where"] == "guest" else None)
            for m in ROW.finditer(text)]


def trace_json(log):
    """What --json printed, as Python has it."""
    text = re.search(r"^\{\"displayTimeUnit.*?^\]\}$", log, re.M | re.S)
    assert text, log
    return json.loads(text[0])


# --- Against the client ----------------------------------------------------

def check_client(log):
    """The last exit of each RUN is the one that the client was given, and
    the guest goes on where that said."""
    rows, seen = table(log), list(CLIENT.finditer(log))
    assert len(seen) >= 3 and len(rows) < 128
    assert [r.nr for r in rows] == list(range(1, len(rows) + 1))
    assert rows[0].what == "RESETCPU"
    runs, exits = [], []
    for row in rows[1:]:
        if row.exit:
            exits.append(row)
        else:
            assert row.what == "RUN"
            runs.append(exits)
            exits = []
    assert not exits and len(runs) == len(seen)
    at = 0x8010
    for run, told in zip(runs, seen):
        last = run[-1].exit
        assert [r.exit["kind"] for r in run].count("IO") == 1
        assert last["kind"] == "IO" and told["kind"] == "IO"
        assert last["code"] == told["code"]
        op, port = re.search(r"(\S+) port (\S+)", told["what"]).groups()
        assert last["what"].endswith(f"{op} {port}")
        assert int(run[0].exit["entry"], 16) == at
        at = int(told["rip"], 16)
        assert 1 <= at - int(last["out"], 16) <= 15


@pytest.mark.parametrize("backend", BOTH)
@pytest.mark.parametrize("guest", GUESTS)
def test_trace_agrees_with_the_client(boot, backend, guest):
    """B3: exit by exit."""
    check_client(boot(script(guest, "trace"), backend=backend).log)


@pytest.mark.slow
def test_trace_on_linux(boot):
    """B3: the same binary says the same there, and only to root."""
    log = boot(["sh", "-c", "vmctl exec 'run out; trace; trace --json; "
                "explain'; su one -c 'vmctl trace'"], backend=replace(
                    emu.BACKENDS["linux-svm"], cpus=1, count=True),
               limit=200, expect=1).log
    check_client(log)
    guest, driver, _ = check_nesting(trace_json(log), 1, 0)
    assert len(guest) >= 7 and len(driver) == 8
    assert "no entry was refused" in log
    assert re.search(r"trace: Permission denied; run vmctl as root", log)


@pytest.mark.parametrize("backend", BOTH)
def test_times_add_up(boot, backend):
    """B3: in a RUN, what passes between two exits is the driver's, and the
    RUN is longer than its exits together, by little more than that."""
    log = boot(script("out", "trace"), backend=backend).log
    inside = between = 0
    for row in table(log)[1:]:
        if row.exit:
            inside += row.ticks
            between += row.since - row.ticks if inside > row.ticks else 0
            continue
        assert inside + between < row.ticks < inside + between + 2500
        inside = between = 0


# --- Against the emulator --------------------------------------------------

@pytest.mark.parametrize("guest", GUESTS)
def test_trace_agrees_with_qemu(boot, tmp_path, guest):
    """B3: code, EXITINFO1, EXITINFO2 and RIP of every exit, one by one."""
    trace = tmp_path / "trace"
    log = boot(script(guest, "trace", "--json"), extra=[
        "-d", "in_asm", "-dfilter", "0xfffffffffffff000+1",
        "-D", str(trace)]).log
    emulated = [tuple(int(n, 16) for n in m.split(", ")[:4]) for m in
                re.findall(r"vmexit\(([^)]*)\)", trace.read_text())]
    recorded = [tuple(int(e["args"][k], 16) for k in
                      ("code", "info1", "info2", "exit_rip"))
                for e in guest_slices(log)]
    assert recorded == emulated
    assert len(emulated) >= 7


def test_trace_agrees_with_bochs(boot, tmp_path, monkeypatch):
    """B3: reason and qualification of every exit, one by one."""
    bochs_argv, bochs_log = emu.bochs_argv, tmp_path / "log"

    def with_log(backend, job, *more):
        argv = bochs_argv(backend, job, *more)
        rc = job.tmp / "bochsrc"
        text = rc.read_text().replace("debug: action=ignore",
                                      "debug: action=ignore, cpu0=report")
        rc.write_text(re.sub(r"^log: .*", f"log: {bochs_log}", text,
                             flags=re.M))
        return argv

    monkeypatch.setattr(emu, "bochs_argv", with_log)
    log = boot(script("dr", "trace", "--json"), backend="metal-vmx").log
    emulated = [(int(m[1]), int(m[2], 16)) for m in
                re.finditer(r"VMEXIT reason = (\d+) .*qualification=0x(\w+)",
                            bochs_log.read_text(errors="replace"))]
    recorded = [(int(e["args"]["code"], 16), int(e["args"]["info1"], 16))
                for e in guest_slices(log)]
    assert recorded == emulated
    assert len(emulated) >= 20


# --- JSON --------------------------------------------------------------------

def slices(trace, vm, vcpu, track):
    """[(begin, end, event)] of a track in nanoseconds, in order."""
    tid = {e["tid"] for e in trace["traceEvents"] if e["ph"] == "M"
           and e["name"] == "thread_name" and e["pid"] == vm
           and e["args"]["name"] == f"vcpu {vcpu}: {track}"}
    assert len(tid) == 1, f"tracks {track} of VM {vm} VCPU {vcpu}: {tid}"
    found = [(round(e["ts"] * 1000), round((e["ts"] + e["dur"]) * 1000), e)
             for e in trace["traceEvents"] if e["ph"] == "X"
             and (e["pid"], e["tid"]) == (vm, *tid)]
    for begin, end, event in found:
        assert 0 <= begin <= end, event
    for a, b in zip(found, found[1:]):
        assert a[1] <= b[0], f"{a} and {b} overlap, or are out of order"
    return found


def guest_slices(log):
    return [e for *_, e in slices(trace_json(log), 1, 0, "guest")]


def check_nesting(trace, vm, vcpu):
    """Guest inside driver; host where no driver is. Returns the three."""
    guest, driver, host = (slices(trace, vm, vcpu, t)
                           for t in ("guest", "driver", "host"))
    for begin, end, event in guest:
        assert any(b <= begin and end <= e for b, e, _ in driver), event
    for begin, end, event in host:
        assert not any(b < end and begin < e for b, e, _ in driver), event
    assert len(host) == max(len(driver) - 1, 0)
    return guest, driver, host


@pytest.mark.parametrize("backend", BOTH)
def test_json_nests(boot, backend):
    log = boot(script("dr", "trace", ";", "trace", "--json"),
               backend=backend).log
    trace, rows = trace_json(log), table(log)
    guest, driver, _ = check_nesting(trace, 1, 0)
    first = min(b for b, *_ in driver)
    assert first == 0 and trace["displayTimeUnit"] == "ns"
    assert [(e["args"]["nr"], e["name"], e["args"]["ticks"], e["args"]["code"])
            for *_, e in guest] == \
        [(r.nr, r.exit["kind"], r.ticks, f"0x{r.exit['code']}")
         for r in rows if r.exit]
    assert [(e["args"]["nr"], e["name"], e["args"]["ticks"])
            for *_, e in driver] == \
        [(r.nr, r.what, r.ticks) for r in rows if not r.exit]


def test_json_of_any_name(boot):
    """Quotes, a backslash, and bytes that are not ASCII."""
    words = 'create 4 2 a"b\\c</x>\u00e9 ; load out ; reset ; step ; ' \
        "create 4 1 plain ; trace --json 2"
    trace = trace_json(boot(["vmctl", "exec", *words.split()]).log)
    names = [e["args"]["name"] for e in trace["traceEvents"]
             if e["name"] == "process_name"]
    name = 'a"b\\c</x>\u00e9'.encode().decode("latin-1")
    assert names == ["VM 2 plain", f"VM 1 {name}", f"VM 1 {name}"]
    guest, driver, _ = check_nesting(trace, 1, 0)
    assert [e["name"] for *_, e in guest + driver] == ["IO", "RUN"]
    assert not any(check_nesting(trace, 1, 1))


# A view of what no single client makes: requests of other threads beside a
# RUN, a RUN that is not over, one that was refused, an unknown kind.
VIEW = """\
vm 0x1
vcpu 0x0
exit 0x7 IO 0x7b 100 200
ioctl 0x8 0x6 0x0 150 160
exit 0x9 CPUID 0x72 210 220
ioctl 0xa 0x2 0x10 90 230
ioctl 0xb 0x2 0x0 80 240
ioctl 0xc 0x7 0x0 250 300
ioctl 0xd 0x8 0x16 260 280
ioctl 0xe 0x6 0x0 310 420
exit 0xf WARP 0xffffffff 400 410
ioctl 0x10 0x2 0x0 350 430
ioctl 0x11 0x63 0x0 440 450
exit 0x12 HLT 0x78 500 510
vm 0x1
vcpu 0x1
"""


def long_view(text):
    """The lines that the driver writes for these."""
    out = []
    for line in text.splitlines():
        words = line.split()
        if words[0] == "exit":
            _, nr, kind, code, begin, end = words
            out += [f"exit {nr}", f"kind {kind}", f"code {code}",
                    "info1 0x0", "info2 0x0", "entry_rip 0x1000",
                    "exit_rip 0x2000"]
        elif words[0] == "ioctl":
            _, nr, number, error, begin, end = words
            out += [f"ioctl {nr}", f"nr {number}", f"errno {error}"]
        else:
            out.append(line)
            continue
        out += [f"begin {int(begin):#x}", f"end {int(end):#x}"]
    return "\n".join(out) + "\n"


@pytest.fixture(scope="module")
def told():
    """told(view, text, words...): what vmctl makes of such a view."""
    tmp = Path(tempfile.mkdtemp(prefix="vmm."))
    subprocess.run(
        ["musl-gcc", "-static", "-no-pie", "-std=c11", "-O1", "-D_GNU_SOURCE",
         f'-DVIEWS="{tmp}/"', "-Iinclude", "-Iguests", "-o", tmp / "vmctl",
         *sorted((TOP / "src/vmctl").glob("*.[cS]")),
         *sorted((TOP / "src/vmctl/dev").glob("*.c"))], cwd=TOP, check=True)

    def go(view, text, *words, expect=0):
        (tmp / view).write_text(text)
        done = subprocess.run([tmp / "vmctl", *words], text=True, timeout=60,
                              capture_output=True, check=False)
        assert done.returncode == expect, done
        return done.stdout if expect == 0 else done.stderr
    yield go
    shutil.rmtree(tmp)


def test_json_of_other_threads(told):
    """What overlaps a RUN is a mark; nothing of it breaks the nesting."""
    trace = json.loads(told("trace", long_view(VIEW), "trace", "--json"))
    guest, driver, _ = check_nesting(trace, 1, 0)
    assert [e["name"] for *_, e in driver] == [
        "RUN", "READREGS", "RUN", "?", "RUN, not over"]
    assert [e["name"] for *_, e in guest] == ["IO", "CPUID", "WARP", "HLT"]
    assert sorted((e["name"], e["s"]) for e in trace["traceEvents"]
                  if e["ph"] == "i") == [
        ("INTR", "t"), ("INTR", "t"), ("RUN", "t"), ("WRITEREGS", "t")]
    assert not any(check_nesting(trace, 1, 1))


def test_table_of_other_threads(told):
    text = told("trace", long_view(VIEW), "trace")
    assert "RUN: Resource busy" in text and "WRITEREGS: Invalid" in text
    assert [r.nr for r in table(text)] == list(range(7, 0x13))
    assert text.endswith("VM 1 VCPU 1\n  nothing has happened to it\n")


def test_view_of_any_length(told):
    """More than vmctl reads at first, and its last line cut."""
    vm = "vm 0x1\nvcpu 0x0\n" + "".join(
        long_view(f"exit {n:#x} IO 0x7b {n * 9} {n * 9 + 5}\n")
        for n in range(1, 9000))
    assert len(vm) > 3 * 256 * 1024
    rows = table(told("trace", vm, "trace"))
    assert [r.nr for r in rows] == list(range(1, 9000))
    for length in (256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1):
        rows = table(told("trace", vm[:length], "trace"))
        assert len(rows) == vm[:length].count("exit 0x")
    assert [r.nr for r in table(told("trace", vm, "trace", "3"))] == \
        [8997, 8998, 8999]


@pytest.mark.parametrize("text", [
    "", "\n", "vm", "vm \nvcpu \n", "exit 0x1\n", "begin 0x1\n",
    "vm 0x1\nvcpu 0x0\nexit\nkind " + "x" * 999 + "\nbegin zzz\n",
    "vm 0xffffffffffffffffffff\nvcpu 0x0\nioctl 1\nnr 0xffffffffffff\n"])
def test_damaged_view(told, text):
    """No view makes vmctl fail, or its JSON no JSON."""
    told("trace", text, "trace")
    json.loads(told("trace", text, "trace", "--json"))
    told("explain", text, "explain")
    told("vcpus", text, "dump")


@pytest.mark.parametrize("words,complaint", [
    (["x"], r"trace: `x' is no number; .*"),
    (["0"], r"trace: 0 records .*; 1 or more"),
    (["--jsn"], r"trace: no option `--jsn'; .*"),
    (["99999999999"], r"trace: 99999999999 is too large; .*"),
    (["1", "2", "3"], r"trace: `3' is too much; .*")])
def test_bad_words(told, words, complaint):
    said = told("trace", "", "trace", *words, expect=2)
    assert re.fullmatch(f"vmctl: {complaint}\n", said), said


@pytest.mark.parametrize("view", ["trace", "explain"])
def test_without_the_file(view):
    """This machine has no vmm, or lets only root see what it has."""
    done = subprocess.run([BUILD / "bin/vmctl", view], text=True,
                          capture_output=True, check=False, timeout=20)
    assert done.returncode == 1
    assert re.fullmatch(rf"vmctl: /sys/kernel/debug/vmm/{view}: [^;]+; "
                        r"(load the driver|run vmctl as root).*\n",
                        done.stderr)


# --- The commands ----------------------------------------------------------

@pytest.mark.parametrize("backend", BOTH)
def test_trace_of_many(boot, backend):
    """More text than one read() of a small buffer; the current VM first."""
    words = "create 4 64 ; create 4 2 ; load out ; reset ; step 3 ; use 1 ;" \
        " trace"
    log = boot(["vmctl", "exec", *words.split()], backend=backend).log
    ids = re.findall(r"^VM (\d+) VCPU (\d+)$", log, re.M)
    assert ids == [("1", str(n)) for n in range(64)] + [("2", "0"), ("2", "1")]
    assert log.count("nothing has happened to it") == 65


def test_trace_is_of_the_last(boot):
    """RUN 99 times: the ring has the last 128 records, and N of them."""
    log = boot(["vmctl", "exec", *"create ; load mix ; reset ; step 99 ; "
                "trace ; trace 3".split()]).log
    first, second = log.split("VM 1 VCPU 0\n")[1:]
    numbers = [int(m["nr"]) for m in ROW.finditer(first)]
    assert len(numbers) == 128
    assert numbers == list(range(numbers[0], numbers[0] + 128))
    assert [int(m["nr"]) for m in ROW.finditer(second)] == numbers[-3:]


# --- explain ---------------------------------------------------------------

EXPLAIN = """\
vm 0x2
vcpu 0x1
rule efer-lme
field EFER
value 0x500
allowed clear, or CR4.PAE set
section APM Vol. 2 15.5.1 "Basic Operation"
"""


def test_explain_prints_the_view(told):
    assert told("explain", EXPLAIN, "explain") == """\
VM 2 VCPU 1 is refused by rule efer-lme
  field    EFER
  value    0x500
  allowed  clear, or CR4.PAE set
  section  APM Vol. 2 15.5.1 "Basic Operation"
"""
    assert told("explain", "", "explain") == "no entry was refused\n"


# A long-mode guest that loses CR4.PAE, which no CPU enters.
REFUSED = "create ; load long ; reset ; setreg cr4 0 ; step"


@pytest.mark.parametrize("backend", BOTH)
def test_refused_run_is_explained(boot, backend):
    """B2: at once, and with the words of the driver's log: the rule, the
    field, its value, what it may be, the section."""
    def go(*words):
        return boot(["vmctl", "exec", *words], backend=backend, expect=1).log

    log = go(*REFUSED.split())
    assert "entry refused" in log and "RUN: Invalid argument" in log
    said = re.search(r"refused by rule (\S+): (\S+) is (\S+)\n"
                     r"vmm0:   allowed: (.*)\nvmm0:   (.*)\n", log)
    told_ = re.search(r"^VM 1 VCPU 0 is refused by rule (.*)\n"
                      r"  field    (.*)\n"
                      r"  value    (.*)\n  allowed  (.*)\n  section  (.*)\n",
                      log, re.M)
    assert said and told_ and told_.groups() == said.groups(), log


@pytest.mark.parametrize("backend", BOTH)
def test_failed_run_that_was_entered_is_not_explained(boot, backend):
    """EIO of a HLT with interrupts off has nothing to do with rules."""
    log = boot(["vmctl", "exec", "create", ";", "run", "hlt-if0"],
               backend=backend, expect=1).log
    assert "RUN: I/O error" in log and "refused" not in log
    assert "no entry was refused" in boot(["vmctl", "explain"],
                                          backend=backend).log


# --- The book --------------------------------------------------------------

BOOK = TOP / "docs/book"
# How far a figure of the book may be from today's: the code does change.
FAR = 1.5


def near(book, today):
    return book == today or (min(book, today) + 100) * FAR > max(book, today)


@pytest.mark.parametrize("backend", BOTH)
def test_book_shows_the_table(boot, backend):
    """The tables of "Reading a trace" are those of today, or begin them, but
    for the ticks, which are about the same."""
    name = backend.replace("metal", "trace")
    block = re.search(rf"^:name: {name}\n\n(.*?)\n```$",
                      (BOOK / "trace.md").read_text(), re.M | re.S)[1]
    log = boot(script("out", "trace"), backend=backend).log
    today = log[log.index("VM 1 VCPU 0"):]
    for line, new in zip(block.splitlines(), today.splitlines()):
        a, b = ROW.fullmatch(line), ROW.fullmatch(new)
        if not b:
            assert line == new, today
            continue
        assert a and (a["nr"], a["where"], a["rest"]) == \
            (b["nr"], b["where"], b["rest"]), today
        for column in ("since", "ticks"):
            assert near(int(a[column]), int(b[column])), f"{line}\n{today}"
    assert len(block.splitlines()) > 8


def test_book_has_the_picture_of_today(boot):
    """trace.json is what this prints, indented, but for the ticks."""
    words = "create ; load out ; reset ; step 2 ; trace --json 8"
    today = trace_json(boot(["vmctl", "exec", *words.split()]).log)
    sample = json.loads((BOOK / "trace.json").read_text())
    for a, b in zip(sample["traceEvents"], today["traceEvents"],
                    strict=True):
        for event in (a, b):
            event.get("args", {}).pop("ticks", None)
        times = [(e.pop(k, 0) * 1000) for e in (a, b) for k in ("ts", "dur")]
        assert a == b, json.dumps(today, indent=1)
        assert near(times[0], times[2]) and near(times[1], times[3]), a


@pytest.mark.slow
def test_book_has_the_costs_of_today(without):
    """The figures of the table, and those of a CPUID, which are round."""
    text = (BOOK / "trace.md").read_text()
    for kind, column in (("an exit's", 0), ("a request's", 1)):
        row = re.search(rf"instructions of {kind} record \| (\d+) \| (\d+) ",
                        text).groups()
        for backend, told_ in zip(BOTH, row):
            assert abs(costs(without, backend)[column] - int(told_)) <= 2
    cpuid = re.search(r"some (\d+) instructions on AMD, and some (\d+)\s+on "
                      r"Intel", text).groups()
    for backend, told_ in zip(BOTH, cpuid):
        assert abs(figures(BUILD, backend)[0] - int(told_)) < 50


# --- What it costs ---------------------------------------------------------

def figures(build, backend):
    """Instructions of an exit in the driver, and of one to the client, as
    the tour measures them."""
    result = emu.run(emu.BACKENDS[backend],
                     emu.Job(build, ["vmctl", "tour", "-n", "1"]), 100)
    assert result.status == 0, result.tail()
    assert "here one is one instruction" in result.log
    return [int(re.search(rf"{what} +([\d,]+)$", result.log,
                          re.M)[1].replace(",", ""))
            for what in ("CPUID, handled in the driver",
                         "OUT, to the client and back")]


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """The build directory of this tree without the ring's calls."""
    tree = tmp_path_factory.mktemp("without")
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, text=True,
        capture_output=True, check=True).stdout.splitlines()
    for name in names:
        if (TOP / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, tree / name)
    for part in ("bin", "conform", "guests", "metal", "obj"):
        shutil.copytree(BUILD / part, tree / "build" / part, symlinks=True)
    for path, pattern in [
            ("src/vmm/vcpu.c", r"begin = insn_rdtsc\(\);"),
            ("src/vmm/vcpu.c", r"trace_exit\(v, x, begin, rip\);"),
            ("src/vmm/vmm.c", r"uint64_t begin = insn_rdtsc\(\);"),
            ("src/vmm/vmm.c", r"if \(t\.vcpu != NULL\)\s+trace_ioctl.*?;")]:
        text, n = re.subn(pattern, "", (tree / path).read_text(),
                          flags=re.S)
        assert n == 1, f"{path}: {pattern}"
        (tree / path).write_text(text)
    subprocess.run(["make", "-s", "BUILD=build", "CI=",
                    "build/metal/vmm.elf32", "build/metal/vmm.img"], cwd=tree,
                   check=True, capture_output=True,
                   env={k: v for k, v in os.environ.items()
                        if not k.startswith("MAKE")})
    return tree / "build"


def costs(without, backend):
    """Instructions of an exit's record and of a request's: a CPUID in the
    driver writes one, an OUT to the client one of each kind."""
    with_, none = figures(BUILD, backend), figures(without, backend)
    of_exit = with_[0] - none[0]
    return of_exit, with_[1] - none[1] - of_exit


@pytest.mark.slow
@pytest.mark.parametrize("backend", BOTH)
def test_record_costs_little(without, backend):
    """Measured, with the ring's calls and without."""
    of_exit, of_ioctl = costs(without, backend)
    print(f"{backend}: exit {of_exit}, ioctl {of_ioctl} instructions")
    assert 20 < of_exit <= COST
    assert 20 < of_ioctl <= COST


def test_record_is_straight(tmp_path):
    """No call, no branch, and few instructions: as compiled."""
    out = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", "--disassemble=trace_exit",
         BUILD / "metal/vmm.elf"], text=True, capture_output=True,
        check=True).stdout
    body = re.findall(r"^[0-9a-f]+:\t(.*)$", out, re.M)
    assert body and body[-1].startswith("ret")
    assert len(body) <= COST - 10, "\n".join(body)
    assert not [i for i in body if re.match(r"call|j", i)]

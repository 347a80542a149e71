# SPDX-License-Identifier: ISC
"""What the Linux host adds to the driver: the module and its device, users,
tracepoints, CPUs that come and go, sleep, and processes beside a guest.

One boot runs most of it, a section of shell each; a test reads its section.
"""
import dataclasses
import hashlib
import re
import subprocess
from collections import Counter

import pytest

import emu
from conftest import BUILD, TOP

pytestmark = pytest.mark.slow
LINUX = emu.BACKENDS["linux-svm"]

# vmctl's shell behind a pipe: `say` types a line and waits for its prompt.
SHELL = """\
mkfifo /tmp/in
shell() {
	rm -f /tmp/out
	vmctl shell </tmp/in >>/tmp/out 2>&1 &
	exec 3>/tmp/in
}
say() {
	echo "$*" >&3; echo "help $$" >&3
	until grep -q "no command .$$'" /tmp/out; do usleep 20000; done
	sed "/no command .$$'/d" /tmp/out; : >/tmp/out
}
leave() { echo quit >&3; exec 3>&-; wait; }
"""

SECTIONS = {
    "file": "sha256sum /bin/conform",
    "device": """
        ls -l /dev/vmm
        su one -c 'vmctl info'; echo "closed $?"
        chmod 666 /dev/vmm
        shell
        say create 4 2 lent
        rmmod vmm; echo "rmmod $?"
        su one -c 'vmctl info'; echo "info $?"
        su one -c 'vmctl term 1'; echo "term $?"
        su one -c 'vmctl term 999'; echo "term $?"
        cat /sys/kernel/debug/vmm/vms
        leave
        chmod 600 /dev/vmm""",
    "user": """
        chmod 666 /dev/vmm
        su one -c 'vmctl tour' | tail -n 1
        chmod 600 /dev/vmm""",
    "reload": """
        rmmod vmm; echo "rmmod $?"
        ls /dev/vmm /sys/kernel/debug/vmm /sys/kernel/tracing/events/vmm
        insmod /modules/vmm.ko; echo "insmod $?"
        vmctl tour | tail -n 1""",
    "trace": """
        shell
        echo 1 >/sys/kernel/tracing/events/vmm/enable
        say create 4 1 traced
        say run smp 1
        say run hlt
        say run touch 40000 1000 8 0
        echo 0 >/sys/kernel/tracing/events/vmm/enable
        cat /sys/kernel/debug/vmm/vms
        grep -v '^#' /sys/kernel/tracing/trace
        leave""",
    "hotplug": """
        stress --seed 11 --ops 20000 --threads 16 --vms 6 >/tmp/stress 2>&1 &
        n=0
        while [ -d /proc/$! ]; do
            for cpu in 1 2 3; do
                echo 0 >/sys/devices/system/cpu/cpu$cpu/online && n=$((n + 1))
                usleep 50000
                echo 1 >/sys/devices/system/cpu/cpu$cpu/online
            done
        done
        wait; tail -n 1 /tmp/stress
        echo "offline $n times"
        cat /sys/devices/system/cpu/online
        vmctl tour | tail -n 1""",
    "sleep": """
        for i in 1 2 3 4; do conform --only 4.5.cr3 >/dev/null; done
        shell
        say create 4 1 tired
        say run hlt
        echo 0 >/sys/class/rtc/rtc0/wakealarm
        echo +3 >/sys/class/rtc/rtc0/wakealarm
        echo mem >/sys/power/state; echo "slept $?"
        say run hlt
        say info
        leave
        dmesg | grep vmm0 | tail -n 3
        vmctl tour | tail -n 1""",
    "stress": "stress --seed 5 --ops 50000 --threads 32 --vms 8 --limit 400",
    "kill": "stress --seed 6 --kill 60 --limit 200",
}


@pytest.fixture(scope="module")
def sections():
    """{name: what its commands printed}, of one boot."""
    job = SHELL + "".join(f"echo '== {name}'\n{text}\n"
                          for name, text in SECTIONS.items()) + "echo '=='"
    result = emu.run(LINUX, emu.Job(BUILD, ["sh", "-c", job]), 900)
    log = result.log.split("\n==\n")[0]
    parts = re.split(r"^== (\w+)\n", log, flags=re.M)
    found = dict(zip(parts[1::2], parts[2::2]))
    assert result.status == 0, f"{result.why}\n{result.tail(60)}"
    assert list(found) == list(SECTIONS)
    return found


def last(text):
    return text.splitlines()[-1]


TOUR_OK = "11 ioctls, 11 ok"


def test_same_file_as_on_metal(sections):
    """One conform for both hosts, byte for byte."""
    metal = (BUILD / "metal/root/bin/conform").read_bytes()
    assert sections["file"].split()[0] == hashlib.sha256(metal).hexdigest()


def numbers(text):
    """[(name, number)] of a view in debugfs."""
    return [(m[1], int(m[2])) for m in
            re.finditer(r"^([A-Za-z_]+) (\d+)$", text, re.M)]


def test_device_is_closed_to_others(sections):
    text = sections["device"]
    assert re.search(r"^crw------- +1 root +0 .* /dev/vmm$", text, re.M)
    assert re.search(r"/dev/vmm: Permission denied;.*\nclosed 1\n", text)


def test_module_stays_while_a_vm_exists(sections):
    assert re.search(r"can't unload.*\nrmmod 1\n", sections["device"])


def test_vm_belongs_to_its_user(sections):
    """L2: another user's INFO is empty, TERM is EPERM, but ENOENT first."""
    text = sections["device"]
    assert re.search(r"Operation not permitted;.*\nterm 1\n", text), text
    assert re.search(r"No such file or directory;.*\nterm 1\n", text), text
    assert not re.search(r"lent.*\ninfo 0", text), text
    assert TOUR_OK in sections["user"]


def test_view_of_vms(sections):
    seen = numbers(sections["device"])
    assert seen[seen.index(("vm", 1)):][:9] == [
        ("vm", 1), seen[seen.index(("vm", 1)) + 1], ("uid", 0),
        ("pages", 1024), ("pinned", 0), ("tables", 1), ("vcpu", 0),
        ("state", 0), ("vcpu", 1)]


def test_module_unloads_and_loads(sections):
    text = sections["reload"]
    assert text.startswith("rmmod 0\n") and "insmod 0\n" in text
    assert text.count("No such file or directory") == 3, text
    assert last(text) == TOUR_OK


TRACE = re.compile(r"\[\d+\].*?: (vmm_\w+): (.*)$", re.M)


def test_traces_agree_with_counts(sections):
    """Each entry has its exit; kinds are as often as debugfs counts them."""
    text = sections["trace"]
    events = TRACE.findall(text)
    kinds, inside = Counter(), None
    for name, words in events:
        if name == "vmm_entry":
            assert inside is None
            inside = re.match(r"vm \d+ vcpu \d+", words)[0]
        elif name == "vmm_exit":
            m = re.match(r"(vm \d+ vcpu \d+) rip 0x\w+ (\w+) code 0x\w+ "
                         r"info 0x\w+ 0x\w+$", words)
            assert m[1] == inside
            inside = None
            kinds[m[2]] += 1
    counted = dict(numbers(text))
    assert kinds["CPUID"] > 0 and kinds["NPF"] > 0 and kinds["IO"] > 0
    assert kinds == {k: n for k, n in counted.items() if k.isupper()}
    ioctls = [words for name, words in events if name == "vmm_ioctl"]
    vm = counted["vm"]
    assert f"CREATE vm {vm} error 0" in ioctls
    assert ioctls.count(f"RUN vm {vm} error 0") == kinds["IO"] + \
        kinds["HLT"], ioctls


def test_cpus_go_offline_under_stress(sections):
    text = sections["hotplug"]
    assert "\nstress: ok\n" in "\n" + text, text
    assert int(re.search(r"offline (\d+) times", text)[1]) >= 6
    assert "\n0-3\n" in text and last(text) == TOUR_OK


def test_sleep_ends_vms(sections):
    text = sections["sleep"]
    assert "slept 0\n" in text, text
    after = text.split("slept 0\n")[1]
    assert "No such file or directory" in after, text
    # Not lost among what four VMs had to say of their ends.
    assert "suspend: all VMs have ended" in after
    assert last(text) == TOUR_OK


def test_stress(sections):
    assert last(sections["stress"]) == "stress: ok", sections["stress"]


def test_kill(sections):
    assert last(sections["kill"]) == "stress: ok", sections["kill"]


def test_stress_on_vmx():
    """A VMCS is a CPU's own, and Bochs has two CPUs to get that wrong."""
    job = emu.Job(BUILD, ["sh", "-c", "stress --seed 7 --ops 3000 --threads 12"
                          " --vms 4 --slow 4 --limit 3000 && "
                          "stress --seed 8 --kill 8 --limit 3000 && "
                          "rmmod vmm && echo gone"])
    result = emu.run(emu.BACKENDS["linux-vmx"], job, 900)
    assert result.status == 0, f"{result.why}\n{result.tail()}"
    assert result.log.count("\nstress: ok\n") == 2 and "\ngone\n" in \
        result.log, result.tail()


@pytest.mark.parametrize("model,said", [
    ("qemu64", "SVM without nested paging (RVI): not supported"),
    ("Haswell", "the CPU has neither SVM nor VMX"),
])
def test_module_refuses(model, said):
    backend = dataclasses.replace(LINUX, model=model, cpus=1)
    job = emu.Job(BUILD, ["sh", "-c", "insmod /modules/vmm.ko; echo $?; "
                          "ls /dev/vmm; dmesg | grep vmm0"],
                  files={"etc/no-module": "\n"})
    result = emu.run(backend, job, 100)
    assert result.status == 0, result.tail()
    assert "No such device\n19\n" in result.log, result.tail()
    assert f"vmm0: not attached: {said}" in result.log
    assert "ls: /dev/vmm: No such file" in result.log


def test_host_with_five_levels_of_paging():
    """SVM walks nested tables with as many levels as the host's own."""
    backend = dataclasses.replace(LINUX, model=LINUX.model + ",+la57",
                                  cpus=1, count=True)
    job = emu.Job(BUILD, ["sh", "-c", "grep -c la57 /proc/cpuinfo; "
                          "vmctl tour | tail -n 1; conform --limit 60 "
                          "--only '6.*' --only 'F20*' --only 'F23*'"])
    result = emu.run(backend, job, 200)
    assert result.status == 0, f"{result.why}\n{result.tail()}"
    assert re.search(rf"^1\n{TOUR_OK}$", result.log, re.M), result.tail()


# A process counts beside nothing, another process, and a guest that neither
# halts nor lets interrupts in; all on the one CPU.
SHARE = """\
count() {
	start=$(cut -d' ' -f1 /proc/uptime)
	i=0; while [ $i -lt 60000 ]; do i=$((i + 1)); done
	end=$(cut -d' ' -f1 /proc/uptime)
	echo "$1 $start $end"
}
count alone
(while :; do :; done) & count process; kill $!; wait $! 2>/dev/null
vmctl exec 'create 4 1; run spin' >/dev/null & sleep 1
count guest
grep -A20 '^vm ' /sys/kernel/debug/vmm/vms
kill $!
"""


def test_guest_takes_no_more_than_its_share():
    backend = dataclasses.replace(LINUX, cpus=1, count=True)
    result = emu.run(backend, emu.Job(BUILD, ["sh", "-c", SHARE]), 300)
    took = {m[1]: float(m[3]) - float(m[2]) for m in re.finditer(
        r"^(\w+) ([\d.]+) ([\d.]+)$", result.log, re.M)}
    assert set(took) == {"alone", "process", "guest"}, result.tail()
    assert re.search(r"^state 1$", result.log, re.M), result.tail()
    assert took["process"] > 1.5 * took["alone"], took
    assert took["guest"] < 1.25 * took["process"], took


def test_module_installs(tmp_path):
    """`make install-module`, for the kernel that the tests boot."""
    kver = (BUILD / "kernel/cloud-amd64/kver").read_text().strip()
    def make(version):
        return subprocess.run(
            ["make", "install-module", f"KVER={version}", f"BUILD={BUILD}",
             f"DESTDIR={tmp_path}"], cwd=TOP, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    done = make(kver)
    assert done.returncode == 0, done.stdout
    built = (BUILD / f"module/{kver}/vmm.ko").read_bytes()
    assert (tmp_path / f"lib/modules/{kver}/updates/vmm.ko").read_bytes() == \
        built
    done = make("0.0-none")
    assert done.returncode != 0
    assert "no headers of Linux 0.0-none" in done.stdout

# SPDX-License-Identifier: ISC
"""The manual pages: mandoc has nothing to say about them, and they have all
that the driver and vmctl have, no more."""
import errno
import html
import os
import re
import subprocess

import pytest

from conftest import TOP
from test_meta import ioctls

MAN = TOP / "docs/man"
PAGES = ["vmctl.8", "vmm.4"]
# What our pages may refer to beside each other. mandoc looks for these pages
# as well, and they need not be installed.
SYSTEM = ["ioctl.2", "mmap.2", "open.2", "read.2", "setrlimit.2",
          "capabilities.7", "cu.1"]


def mandoc(*args, **env):
    """(exit status, standard output) of mandoc."""
    done = subprocess.run(["mandoc", *args], capture_output=True, text=True,
                          env={**os.environ, **env}, timeout=20, check=False)
    return done.returncode, done.stdout


def sections(page):
    """{title: mdoc source} of a page, subsections apart."""
    parts = re.split(r"^\.S[hs] (.*)\n", (MAN / page).read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def returned(ioctl):
    """The errnos in the block above that ioctl's function."""
    text = (TOP / "src/vmm/vmm.c").read_text()
    block = re.search(rf"/\*\n \* VMM_IOC_{ioctl}:(.*?)\*/\nstatic int\n"
                      r"vmm_ioc_", text, re.S)[1]
    words = re.findall(r"\bE[A-Z]+\b", block.split("Returns:", 1)[1])
    return set(words) & set(errno.errorcode.values())


def documented(ioctl):
    """The errnos in that ioctl's section of the page."""
    text = sections("vmm.4")[f"VMM_IOC_{ioctl}"]
    return set(re.findall(r"^\.It Bq Er (\w+)$", text, re.M))


def squeeze(text):
    return re.sub(r"\s", "", text).lower()


def commands():
    """[(name, its arguments)] of vmctl, from its table and its usage."""
    table = (TOP / "src/vmctl/cmd.c").read_text()
    usage = (TOP / "src/vmctl/main.c").read_text()
    found = re.findall(r'^\t\{ "(\w+)", "([^"]*)", "', table, re.M)
    found += re.findall(r'^    "  (\w+) {2,}(?:(\S+(?: \S+)*) {2,})?\S',
                        usage, re.M)
    return found


def page_commands():
    """{(name, name and arguments)} of vmctl.8, as a reader sees them."""
    text = mandoc("-Thtml", MAN / "vmctl.8")[1]
    found = set()
    for dt in re.findall(r"<dt\b[^>]*>(.*?)</dt>", text, re.S):
        name = re.search(r'<code class="Cm">(\w+)</code>', dt)
        if name:
            found.add((name[1], squeeze(html.unescape(
                re.sub(r"<[^>]*>", "", dt)))))
    return found


@pytest.fixture(scope="module")
def manpath(tmp_path_factory):
    """A tree in which mandoc finds our pages and those of the system."""
    top = tmp_path_factory.mktemp("man")
    for name in PAGES + SYSTEM:
        page = top / f"man{name[-1]}" / name
        page.parent.mkdir(exist_ok=True)
        page.write_text("")
    return str(top)


def test_every_page_is_known():
    assert sorted(p.name for p in MAN.iterdir()) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_mandoc_is_content(manpath, page):
    status, said = mandoc("-Tlint", "-W", "style", MAN / page,
                          MANPATH=manpath)
    assert (status, said) == (0, "")


@pytest.mark.parametrize("page", PAGES)
def test_page_fits_80_columns(page):
    status, text = mandoc("-Tascii", "-O", "width=78", MAN / page)
    assert status == 0
    lines = re.sub(".\b", "", text).splitlines()
    assert len(lines) > 100
    assert not [li for li in lines if len(li) > 80]


@pytest.mark.parametrize("ioctl", ioctls())
def test_ioctl_has_a_section(ioctl):
    assert f"VMM_IOC_{ioctl}" in sections("vmm.4")


def test_no_other_ioctl_has_a_section():
    assert [t[8:] for t in sections("vmm.4") if t.startswith("VMM_IOC_")] \
        == ioctls()


@pytest.mark.parametrize("ioctl", ioctls())
def test_errnos_are_the_ones_returned(ioctl):
    assert len(returned(ioctl)) >= 2
    assert documented(ioctl) == returned(ioctl)


def test_every_field_is_documented():
    header = (TOP / "include/vmmvar.h").read_text()
    structs = "\n".join(re.findall(r"^struct \w+ \{\n(.*?)^\};", header,
                                   re.M | re.S))
    structs = re.sub(r"/\*.*?\*/", "", structs, flags=re.S)
    fields = set(re.findall(r"\b(\w+)(?:\s*\[[^\]]*\])*;", structs))
    assert len(fields) > 60
    words = set(re.findall(r"\w+", (MAN / "vmm.4").read_text()))
    assert sorted(fields - words) == []


def test_every_command_was_read():
    assert {"tour", "shell", "exec", "create", "quit"} <= set(dict(commands()))
    assert len(commands()) >= 22


@pytest.mark.parametrize("name,args", commands())
def test_command_is_documented(name, args):
    assert (name, squeeze(name + args)) in page_commands()


def test_no_command_is_invented():
    assert sorted(set(dict(page_commands())) - set(dict(commands()))) == []


@pytest.mark.parametrize("ioctl", ioctls())
def test_ioctl_has_a_command(ioctl):
    assert f"VMM_IOC_{ioctl}" in (MAN / "vmctl.8").read_text()

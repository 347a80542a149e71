# SPDX-License-Identifier: ISC
#
# vmm: `make` alone prints the targets.
#
# Each component has a fragment of its own, with full paths from here; this
# file holds what they share and the targets a person types. A target that
# needs packages installs them first and then calls make once more, so that
# the fragments see the machine as it is then.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# DEBUG=1: the driver judges every entry by the manual's rules (src/vmm/vmm.h).
BUILD	?= build$(if $(DEBUG),/debug)
ifeq ($(origin CC),default)
CC	:= gcc
endif
MUSL_CC	?= musl-gcc
OBJCOPY	?= objcopy
# Debian's interpreter: its modules are the ones that tools/deps.sh installs.
PYTHON	?= $(firstword $(wildcard /usr/bin/python3) python3)
export PYTHONDONTWRITEBYTECODE := 1

# Warnings fail the build only where nobody waits for it: a new compiler must
# not stop a student.
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	    -Wvla $(if $(filter true 1,$(CI)),-Werror) \
	    $(if $(findstring clang,$(CC)),-Wno-unused-command-line-argument)
CFLAGS_COMMON ?= -O2 -g $(WARNINGS) $(if $(DEBUG),-DCHECK_ENTRIES=1)

-include src/host/metal/metal.mk
-include guests/guests.mk
-include src/vmctl/vmctl.mk
-include src/vmctl/slirp/slirp.mk
-include tests/integration/conform/conform.mk
-include tests/integration/stress/stress.mk
-include tests/integration/bench/bench.mk
-include src/host/linux/linux.mk
-include guests/linux/linux.mk
-include tests/integration/bench/guest/guest.mk
-include tests/unit/unit.mk
-include tests/fuzz/fuzz.mk

METAL	:= $(addprefix $(BUILD)/metal/,vmm.elf vmm.elf32 vmm.img boot.cpio)
CLIENTS	:= $(addprefix $(BUILD)/bin/,vmctl conform stress bench guestbench)
LINUX	:= $(LINUX_ROOT)/root.cpio

# One build at a time in this tree; as many jobs as the machine has CPUs,
# unless the caller said how many.
JOBS	= $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
LOCKED	= mkdir -p $(BUILD) && flock $(BUILD)/.lock $(MAKE) -s \
	  --no-print-directory $(JOBS)
DEPS	= mkdir -p $(BUILD) && flock $(BUILD)/.deps tools/deps.sh install
LINUX_STRICT := LINUX_FLAGS='W=1 C=2 CF=-Wsparse-error KCFLAGS=-Werror'
# The kernel that the Linux host is tested with. After it make is called anew,
# and so knows its version.
KERNEL	= mkdir -p $(BUILD) && flock $(BUILD)/.deps tools/kernel.sh fetch
EMU	= $(PYTHON) tools/emu.py --build $(BUILD)

# CPU=amd or CPU=intel: the back end, and what it needs installed.
CPU	?= amd
BACKEND	= $(or $(BACKEND_$(CPU)),$(error CPU=$(CPU): say CPU=amd or CPU=intel))
BACKEND_amd   := metal-svm
BACKEND_intel := metal-vmx
NEEDS_metal-svm := run
NEEDS_metal-vmx := bochs
PYTEST	= VMM_BUILD=$(BUILD) $(PYTHON) -m pytest \
	  -c tests/integration/pytest.ini tests/integration

.PHONY: help
help: ## this list
	@awk -F ' *## *' '/^[a-z][a-z-]*:.*##/ { split($$1, t, ":"); \
	    printf "  make %-12s %s\n", t[1], $$2 }' Makefile
	@echo "make run and make check install what is missing (apt-get)."

.PHONY: all linux-all
all: $(METAL) $(CLIENTS) $(guests_BIN)
linux-all: $(LINUX)

.PHONY: run
run: ## boots the metal host; one guest per ioctl; CPU=intel: in Bochs
	@$(DEPS) $(NEEDS_$(BACKEND))
	+@$(LOCKED) all
	@$(EMU) run --backend $(BACKEND) -- vmctl tour

.PHONY: shell
shell: ## a prompt with one command per ioctl, on the serial line
	@$(DEPS) $(NEEDS_$(BACKEND))
	+@$(LOCKED) all
	@$(EMU) shell --backend $(BACKEND) -- vmctl shell

SESSION	= $(if $(BATCH),--batch) $(addprefix --script ,$(SCRIPT))

.PHONY: gdb gdb-rr
gdb: ## GDB, stopped before the first VMRUN; BATCH=1, SCRIPT=file
	@$(DEPS) gdb
	+@$(LOCKED) all
	@$(EMU) gdb $(SESSION) -- vmctl tour
gdb-rr: ## the same in a replay, in which GDB goes back: reverse-stepi
	@$(DEPS) gdb
	+@$(LOCKED) all
	@$(EMU) gdb --reverse $(SESSION) -- vmctl tour

.PHONY: bochs
bochs: ## Bochs's debugger before the first VMLAUNCH; BATCH=1, SCRIPT=file
	@$(DEPS) bochs
	+@$(LOCKED) all
	@$(EMU) bochs $(SESSION) -- vmctl tour

.PHONY: transcripts
transcripts: ## records the debugger sessions of the book that differ
	@$(DEPS) check
	+@$(LOCKED) all
	+@$(LOCKED) DEBUG=1 BUILD=$(BUILD)/debug all
	@$(PYTHON) tools/transcripts.py --build $(BUILD) $(T)

.PHONY: linux
linux: ## boots Linux with the module and a shell; CPU=intel: in Bochs
	@$(DEPS) linux
	@$(KERNEL) $(FLAVOR) $(LINUX_KERNEL)
	+@$(LOCKED) linux-all
	@$(EMU) shell --backend $(BACKEND:metal-%=linux-%) --flavor $(FLAVOR)

# The clock of an emulated CPU, which no guest can measure well: told to it.
# QEMU's follows the time of day, so there is nothing to tell.
GUEST_CLOCK_intel := tsc_early_khz=100000 tsc=reliable lpj=200000
GUEST_CMDLINE = console=ttyS0 reboot=t panic=-1 mitigations=off \
		$(GUEST_CLOCK_$(CPU))
GUEST_ON = --backend $(BACKEND:metal-%=linux-%) --flavor $(FLAVOR) --guest \
	   --cpus 1 --append mitigations=off

.PHONY: linux-guest
linux-guest: ## Linux boots in a VM of ours, to a login; CPU=intel: in Bochs
	@$(DEPS) guest
	@$(KERNEL) $(FLAVOR) $(LINUX_KERNEL)
	+@$(LOCKED) linux-all guest-all
	@$(EMU) shell $(GUEST_ON) -- sh -c "vmctl start -c -n user -d ram:64 \
	    -b /guest/vmlinuz -r /guest/initrd -a '$(GUEST_CMDLINE)' linux; \
	    r=\$$?; ! vmctl status linux 2>/dev/null || setsid cttyhack sh; \
	    exit \$$r"

BOOTS	?= 100

.PHONY: guest-soak
guest-soak: ## Linux boots BOOTS=100 times in one VM; 20 VMs are killed
	@$(DEPS) guest
	@$(KERNEL) $(FLAVOR) $(LINUX_KERNEL)
	+@$(LOCKED) linux-all guest-all
	@$(EMU) run $(GUEST_ON) --limit 7200 -- sh -c \
	    "BOOTS=$(BOOTS); $$(cat guests/linux/soak)"

.PHONY: compile
compile: ## the module for newer kernels and other configurations too
	@$(DEPS) lint
	@for f in rt-amd64 backports; do \
	    $(KERNEL) $$f $(BUILD)/kernel/$$f || { \
	    echo "compile: no $$f to be had here"; continue; }; \
	    $(LOCKED) BUILD=$(BUILD)/lint/$$f CI=true module \
	    KVER=$$(cat $(BUILD)/kernel/$$f/kver) $(LINUX_STRICT) && \
	    echo "compile: Linux $$(cat $(BUILD)/kernel/$$f/kver)" || exit; done

# The kernel that runs here, unless KVER=version was said.
RUNNING	= $(if $(filter command%,$(origin KVER)),$(KVER),$(shell uname -r))

.PHONY: install-module
install-module: ## vmm.ko for the kernel that runs here (needs its headers)
	+@$(LOCKED) KVER=$(RUNNING) LINUX_FLAGS= module
	install -D -m 644 $(BUILD)/module/$(RUNNING)/vmm.ko \
	    $(DESTDIR)/lib/modules/$(RUNNING)/updates/vmm.ko
	$(if $(DESTDIR),,/sbin/depmod $(RUNNING))

.PHONY: check
check: ## every test, unit and integration; T=name: only these
	@$(DEPS) check
	@$(KERNEL) $(FLAVOR) $(LINUX_KERNEL)
	+@$(LOCKED) all unit-build fuzz-build linux-all guest-all
	@$(PYTEST) --junitxml=$(BUILD)/check.xml $(if $(T),--only '$(T)')

# On equal terms: this driver has none of KVM's mitigations but one.
BENCH_ON = $(EMU) run --cpus 1 --count --append mitigations=off --limit 900

.PHONY: bench
bench: ## what exits cost beside KVM, in instructions, on both vendors' CPUs
	@$(DEPS) linux
	@$(KERNEL) $(FLAVOR) $(LINUX_KERNEL)
	+@$(LOCKED) linux-all
	@$(BENCH_ON) --backend linux-svm --log $(BUILD)/bench-svm.log -- bench \
	    >/dev/null
	@$(BENCH_ON) --backend linux-vmx --log $(BUILD)/bench-vmx.log -- bench \
	    >/dev/null
	@$(PYTHON) tools/bench.py --svm $(BUILD)/bench-svm.log \
	    --vmx $(BUILD)/bench-vmx.log --json $(BUILD)/bench.json

# Runs of a guest under vmctl, and in QEMU with KVM, in turns.
TURNS	?= vmm kvm vmm kvm kvm

.PHONY: bench-guest
bench-guest: ## a Linux guest beside QEMU and KVM: boot, disk, network
	@$(DEPS) linux
	@$(KERNEL) $(FLAVOR) $(LINUX_KERNEL)
	+@$(LOCKED) linux-all $(GUEST_OUT)/guest.cpio $(GB_OUT)/bench.cpio
	@$(BENCH_ON) --backend linux-svm --guest --ram $(GB_OUT)/bench.cpio \
	    --limit 3000 --log $(BUILD)/bench-guest.log -- \
	    sh /bench/host $(TURNS) >/dev/null
	@$(PYTHON) tools/bench.py --guest $(BUILD)/bench-guest.log \
	    --json $(BUILD)/bench-guest.json

# FLAVOR=rt-amd64 wants STRESS='--slow 10': under RT the guard is not late, and
# takes threads out of RUN before others have met them there.
KILLS	?= 1000

.PHONY: stress
stress: ## a million ioctls from 64 threads, then 1,000 kills; FLAVOR=, APPEND=
	@$(DEPS) linux
	@$(KERNEL) $(FLAVOR) $(LINUX_KERNEL)
	+@$(LOCKED) linux-all
	@$(EMU) run --backend linux-svm --flavor $(FLAVOR) --limit 2400 \
	    --append '$(APPEND)' -- sh -c 'uname -rv; \
	    stress $(STRESS) --limit 2000 && \
	    stress --kill $(KILLS) --limit 2000 && \
	    cat /sys/kernel/debug/vmm/vms && rmmod vmm'

.PHONY: quick
quick: ## the tests that take well under a minute
	@$(DEPS) check
	@$(KERNEL) $(FLAVOR) $(LINUX_KERNEL)
	+@$(LOCKED) all unit-build fuzz-build linux-all guest-all
	@$(PYTEST) --junitxml=$(BUILD)/quick.xml --quick

.PHONY: integration
integration: ## the tests that boot a host
	@$(DEPS) check
	@$(KERNEL) $(FLAVOR) $(LINUX_KERNEL)
	+@$(LOCKED) all unit-build fuzz-build linux-all guest-all
	@$(PYTEST) --junitxml=$(BUILD)/integration.xml --no-unit \
	    $(if $(T),--only '$(T)')

.PHONY: unit
unit: ## the unit tests alone, on a fake CPU, with sanitizers
	@$(DEPS) check
	+@$(LOCKED) unit-run

.PHONY: fuzz
fuzz: ## vmctl's devices against random guests; FUZZ_RUNS=10000000: for long
	@$(DEPS) fuzz
	+@$(LOCKED) fuzz-run

.PHONY: coverage
coverage: ## line coverage of src/vmm by the unit tests
	@$(DEPS) cover
	+@$(LOCKED) unit-coverage

.PHONY: lint
lint: ## layout, warnings of gcc and clang, shellcheck, the project's rules
	@$(DEPS) lint
	@$(KERNEL) $(FLAVOR) $(LINUX_KERNEL)
	@$(PYTHON) tools/lint.py
	+@$(LOCKED) BUILD=$(BUILD)/lint/gcc CI=true all slirp unit-build
	+@$(LOCKED) BUILD=$(BUILD)/lint/clang CI=true CC=clang \
	    unit_SANITIZE=-O1 metal slirp unit-build
	+@$(LOCKED) BUILD=$(BUILD)/lint/linux CI=true module \
	    KVER=$$(cat $(LINUX_KERNEL)/kver) $(LINUX_STRICT)
	@echo "lint: gcc and clang have nothing to say"

.PHONY: size
size: ## lines of code against the budgets
	@$(PYTHON) tools/size.py

.PHONY: book
book: ## the book, in build/book/index.html
	@$(DEPS) book
	@$(PYTHON) -m sphinx -W --keep-going -q -b html \
	    -d $(BUILD)/doctrees docs/book $(BUILD)/book
	@echo "$(BUILD)/book/index.html"

.PHONY: mutants
mutants: ## plants bugs one by one; each must make its test go red
	@$(DEPS) check
	@$(KERNEL) $(FLAVOR) $(LINUX_KERNEL)
	+@$(LOCKED) all unit-build linux-all guest-all
	@$(PYTHON) tools/mutants.py --build $(BUILD) $(if $(T),--only '$(T)')

.PHONY: doctor
doctor: ## what this machine lacks, and the command that installs it
	@tools/deps.sh doctor

.PHONY: clean
clean: ## removes build/
	rm -rf $(BUILD)

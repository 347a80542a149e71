# SPDX-License-Identifier: ISC
#
# The unit tests: every tests/unit/check_*.c is a program of its own, linked
# with the whole driver, the fake host and the fake CPUs, under the address
# and undefined-behaviour sanitizers. `unit-coverage` builds all of it again
# with gcov. tests/unit/dev/check_*.c are the same for vmctl's devices.

BUILD		?= build
CC		?= gcc
MUSL_CC		?= musl-gcc
CFLAGS_COMMON	?= -O2 -g -Wall -Wextra -Wshadow -Wstrict-prototypes \
		   -Wmissing-prototypes -Wvla

unit_DRIVER	:= $(patsubst src/vmm/%.c,%,$(wildcard src/vmm/*.c))
unit_FAKE	:= $(patsubst tests/unit/fake/%.c,%,\
		   $(wildcard tests/unit/fake/*.c))
unit_SUITES	:= $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/check_*.c))
# Those that ask for no vendor run once more on the fake Intel CPUs.
unit_BOTH	:= check_exit check_fail check_pvclock check_ring check_run \
		   check_tlb check_trace check_vcpu check_vm check_vmm
unit_RUNS	:= $(unit_SUITES) $(addsuffix @intel,$(unit_BOTH))
unit_DEV	:= $(patsubst tests/unit/%.c,%,\
		   $(wildcard tests/unit/dev/check_*.c))
unit_DEVOBJ	:= $(patsubst src/vmctl/%.c,$(BUILD)/unit/obj/%.o,\
		   $(wildcard src/vmctl/dev/*.c)) \
		   $(BUILD)/unit/obj/dev/dev_unit.o
unit_DEVFLAGS	:= -std=gnu11 -Itests/unit/dev -Isrc/vmctl/dev -Iinclude
unit_HEADERS	:= $(wildcard src/vmm/*.h src/vmm/*.def include/*.h \
		   tests/unit/*.h tests/unit/fake/*.h)
# The fake <insn.h> and <hostdep.h> come before the driver's own.
unit_CFLAGS	:= -std=gnu11 -Itests/unit/fake -Itests/unit -Isrc/vmm \
		   -Iinclude -pthread
unit_SANITIZE	:= -O1 -fno-omit-frame-pointer \
		   -fsanitize=address,undefined -fno-sanitize-recover=all
unit_LIBS	= $(shell pkg-config --libs check) -pthread
unit_RUN	:= CK_FORK=yes CK_DEFAULT_TIMEOUT=60 \
		   UBSAN_OPTIONS=print_stacktrace=1

unit_OBJ	:= $(addprefix $(BUILD)/unit/obj/,$(addsuffix .o,\
		   $(unit_DRIVER) $(unit_FAKE) unit))
unit_BIN	:= $(addprefix $(BUILD)/unit/,$(unit_SUITES) $(unit_DEV))
unit_COV	:= $(BUILD)/unit-cov
unit_COVOBJ	:= $(addprefix $(unit_COV)/obj/,$(addsuffix .o,\
		   $(unit_DRIVER) $(unit_FAKE) unit))
unit_COVBIN	:= $(addprefix $(unit_COV)/,$(unit_SUITES))

.PHONY: unit-run unit-build unit-coverage
.SECONDARY: $(unit_OBJ) $(unit_COVOBJ) $(unit_DEVOBJ)

unit-build: $(unit_BIN) $(BUILD)/unit/abi.ok

unit-run: unit-build
	@tests/unit/run.sh $(BUILD)/unit $(unit_RUNS) $(unit_DEV)

$(BUILD)/unit/obj/dev/%.o: src/vmctl/dev/%.c \
    $(wildcard src/vmctl/dev/*.h)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_COMMON) $(unit_DEVFLAGS) $(unit_SANITIZE) -c -o $@ $<

$(BUILD)/unit/obj/dev/%.o: tests/unit/dev/%.c \
    $(wildcard src/vmctl/dev/*.h tests/unit/dev/*.h)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_COMMON) $(unit_DEVFLAGS) $(unit_SANITIZE) -c -o $@ $<

# They have inside what they test.
$(BUILD)/unit/obj/dev/check_console.o: $(addprefix src/vmctl/,console.c \
    console.h cond.h)
$(BUILD)/unit/obj/dev/check_disk.o: $(addprefix src/vmctl/,disk.c machine.h \
    mon.h vmctl.h)
$(BUILD)/unit/obj/dev/check_link.o: src/vmctl/slirp/link.h
$(BUILD)/unit/obj/dev/check_log.o: src/vmctl/log.c
$(BUILD)/unit/obj/dev/check_net.o: $(addprefix src/vmctl/,net.c machine.h \
    mon.h slirp/link.h)
$(BUILD)/unit/obj/dev/check_mon.o: $(addprefix src/vmctl/,mon.c mon.h client.h \
    vmctl.h cond.h)

$(BUILD)/unit/dev/check_%: $(BUILD)/unit/obj/dev/check_%.o $(unit_DEVOBJ)
	@mkdir -p $(@D)
	$(CC) $(unit_SANITIZE) -o $@ $^ $(unit_LIBS)

$(BUILD)/unit/obj/%.o: src/vmm/%.c $(unit_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_COMMON) $(unit_CFLAGS) $(unit_SANITIZE) -c -o $@ $<

$(BUILD)/unit/obj/%.o: tests/unit/fake/%.c $(unit_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_COMMON) $(unit_CFLAGS) $(unit_SANITIZE) -c -o $@ $<

$(BUILD)/unit/obj/%.o: tests/unit/%.c $(unit_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_COMMON) $(unit_CFLAGS) $(unit_SANITIZE) -c -o $@ $<

$(BUILD)/unit/check_%: $(BUILD)/unit/obj/check_%.o $(unit_OBJ)
	$(CC) $(unit_SANITIZE) -o $@ $^ $(unit_LIBS)

# The ABI header as a client meets it: every compiler, strict C11, also as
# <machine/vmmvar.h>. The assertions of abi.h hold at compile time.
$(BUILD)/unit/abi.ok: tests/unit/abi.c tests/unit/abi.h include/vmmvar.h
	@rm -rf $(@D)/abi && mkdir -p $(@D)/abi/include/machine
	@ln -s $(abspath include/vmmvar.h) $(@D)/abi/include/machine/vmmvar.h
	gcc -std=c11 -pedantic -Wall -Wextra -Werror -Iinclude \
	    -c -o $(@D)/abi/gcc.o $<
	gcc -std=c11 -pedantic -Wall -Wextra -Werror -I$(@D)/abi/include \
	    -DMACHINE_VMMVAR -c -o $(@D)/abi/machine.o $<
	$(MUSL_CC) -std=c11 -pedantic -Wall -Wextra -Werror -Iinclude \
	    -c -o $(@D)/abi/musl.o $<
	if command -v clang >/dev/null; then \
	    clang -std=c11 -pedantic -Wall -Wextra -Werror -Iinclude \
	    -c -o $(@D)/abi/clang.o $<; fi
	@touch $@

# The same programs once more for gcov, without sanitizers: their own
# branches and calls would count as the driver's.
unit_COVFLAGS	:= -O0 -g --coverage

$(unit_COV)/obj/%.o: src/vmm/%.c $(unit_HEADERS)
	@mkdir -p $(@D)
	gcc $(unit_CFLAGS) $(unit_COVFLAGS) -c -o $@ $<

$(unit_COV)/obj/%.o: tests/unit/fake/%.c $(unit_HEADERS)
	@mkdir -p $(@D)
	gcc $(unit_CFLAGS) -O1 -g -c -o $@ $<

$(unit_COV)/obj/%.o: tests/unit/%.c $(unit_HEADERS)
	@mkdir -p $(@D)
	gcc $(unit_CFLAGS) -O1 -g -c -o $@ $<

$(unit_COV)/check_%: $(unit_COV)/obj/check_%.o $(unit_COVOBJ)
	gcc --coverage -o $@ $^ $(unit_LIBS)

unit-coverage: $(unit_COVBIN)
	@find $(unit_COV) -name '*.gcda' -delete
	@tests/unit/run.sh $(unit_COV) $(unit_RUNS)
	@tests/unit/coverage.sh $(unit_COV)/obj $(BUILD)/coverage

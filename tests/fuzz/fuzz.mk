# SPDX-License-Identifier: ISC
#
# Fuzzing of vmctl's devices: every tests/fuzz/fuzz_NAME.c is a program for
# libFuzzer, with the devices under the address and undefined-behaviour
# sanitizers. Its corpus is tests/fuzz/corpus/NAME; what a run adds to it stays
# in build/fuzz/new/NAME.

BUILD		?= build
# Executions of each target. 10,000,000 take some minutes each.
FUZZ_RUNS	?= 100000
FUZZ_LEN	:= 256

fuzz_NAMES	:= $(sort $(patsubst tests/fuzz/fuzz_%.c,%,\
		   $(wildcard tests/fuzz/fuzz_*.c)))
fuzz_DEV	:= $(patsubst src/vmctl/dev/%.c,%.o,$(wildcard \
		   src/vmctl/dev/*.c)) fuzz.o
fuzz_HDR	:= $(wildcard src/vmctl/dev/*.h tests/fuzz/*.h) \
		   tests/fuzz/fuzz.mk
fuzz_CFLAGS	:= -std=gnu11 -g -Isrc/vmctl/dev -Iinclude -Itests/fuzz \
		   -Wall -Wextra -Wshadow -Wstrict-prototypes \
		   -Wmissing-prototypes -Wvla $(if $(CI),-Werror)
# What is compared with what is not traced: the steps know the values that
# matter, and it is twice as fast without.
fuzz_SANITIZE	:= -O2 -fno-omit-frame-pointer \
		   -fsanitize=fuzzer,address,undefined \
		   -fno-sanitize-coverage=trace-cmp \
		   -fno-sanitize-recover=all
fuzz_COVER	:= -O0 -fsanitize=fuzzer -fprofile-instr-generate \
		   -fcoverage-mapping
fuzz_DIR	:= $(BUILD)/fuzz
fuzz_COVDIR	:= $(BUILD)/fuzz-cov
fuzz_BIN	:= $(addprefix $(fuzz_DIR)/,$(fuzz_NAMES))
fuzz_COVBIN	:= $(addprefix $(fuzz_COVDIR)/,$(fuzz_NAMES))

.PHONY: fuzz-build fuzz-run fuzz-coverage fuzz-merge
fuzz-build: $(fuzz_BIN) $(fuzz_COVBIN)

.SECONDARY: $(foreach d,$(fuzz_DIR) $(fuzz_COVDIR),$(addprefix $(d)/obj/,\
	$(fuzz_DEV) $(patsubst %,fuzz_%.o,$(fuzz_NAMES))))

$(fuzz_DIR)/obj/%.o: src/vmctl/dev/%.c $(fuzz_HDR)
	@mkdir -p $(@D)
	clang $(fuzz_CFLAGS) $(fuzz_SANITIZE) -c -o $@ $<

$(fuzz_DIR)/obj/%.o: tests/fuzz/%.c $(fuzz_HDR)
	@mkdir -p $(@D)
	clang $(fuzz_CFLAGS) $(fuzz_SANITIZE) -c -o $@ $<

$(fuzz_BIN): $(fuzz_DIR)/%: $(fuzz_DIR)/obj/fuzz_%.o \
    $(addprefix $(fuzz_DIR)/obj/,$(fuzz_DEV))
	clang $(fuzz_SANITIZE) -o $@ $^

$(fuzz_COVDIR)/obj/%.o: src/vmctl/dev/%.c $(fuzz_HDR)
	@mkdir -p $(@D)
	clang $(fuzz_CFLAGS) $(fuzz_COVER) -c -o $@ $<

$(fuzz_COVDIR)/obj/%.o: tests/fuzz/%.c $(fuzz_HDR)
	@mkdir -p $(@D)
	clang $(fuzz_CFLAGS) $(fuzz_COVER) -c -o $@ $<

$(fuzz_COVBIN): $(fuzz_COVDIR)/%: $(fuzz_COVDIR)/obj/fuzz_%.o \
    $(addprefix $(fuzz_COVDIR)/obj/,$(fuzz_DEV))
	clang $(fuzz_COVER) -o $@ $^

fuzz-run: $(fuzz_BIN)
	@for t in $(fuzz_NAMES); do \
	    tests/fuzz/run.sh $(BUILD)/fuzz $$t $(FUZZ_RUNS) $(FUZZ_LEN) || \
	    exit; done

fuzz-coverage: $(fuzz_COVBIN)
	@for t in $(fuzz_NAMES); do \
	    tests/fuzz/coverage.sh $(BUILD)/fuzz-cov $$t || exit; done

# The corpus of the tree once more, with what was found and as few as will do.
fuzz-merge: $(fuzz_BIN)
	@for t in $(fuzz_NAMES); do \
	    tests/fuzz/merge.sh $(BUILD)/fuzz $$t || exit; done

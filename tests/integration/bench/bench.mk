# SPDX-License-Identifier: ISC
# bench: what exits cost, beside KVM; static, the same file on every host.

BUILD		?= build
MUSL_CC		?= musl-gcc
CFLAGS_COMMON	?= -O2 -g -Wall -Wextra -Wshadow -Wstrict-prototypes \
		   -Wmissing-prototypes -Wvla

bench_SRC	:= $(sort $(wildcard tests/integration/bench/*.[cS])) \
		   src/vmctl/client.c
bench_OBJ	:= $(patsubst %,$(BUILD)/bench/%.o,$(bench_SRC))
bench_CFLAGS	= -std=c11 -D_GNU_SOURCE $(CFLAGS_COMMON) -MMD -MP \
		  -Iinclude -Isrc/vmctl -Iguests -Itests/integration/bench

# <linux/kvm.h>, behind musl's own headers.
bench_KERNEL	:= -idirafter /usr/include \
		   -idirafter /usr/include/x86_64-linux-gnu
$(BUILD)/bench/tests/integration/bench/bench_kvm.c.o: \
    bench_CFLAGS += $(bench_KERNEL)

$(BUILD)/bin/bench: $(bench_OBJ)
	@mkdir -p $(@D)
	$(MUSL_CC) -static -o $@ $(bench_OBJ)

$(BUILD)/bench/%.o: %
	@mkdir -p $(@D)
	$(MUSL_CC) $(bench_CFLAGS) -c -o $@ $<

-include $(bench_OBJ:.o=.d)

# SPDX-License-Identifier: ISC
# vmctl: one static program for every host.

BUILD		?= build
MUSL_CC		?= musl-gcc
CFLAGS_COMMON	?= -O2 -g -Wall -Wextra -Wshadow -Wstrict-prototypes \
		   -Wmissing-prototypes -Wvla

vmctl_CFLAGS	:= -std=c11 -D_GNU_SOURCE -Iinclude
vmctl_HDR	:= $(wildcard $(addprefix src/vmctl/,*.h dev/*.h slirp/*.h)) \
		   include/vmmvar.h guests/guest.h
vmctl_SRC	:= $(sort $(wildcard src/vmctl/*.c src/vmctl/*.S \
		   src/vmctl/dev/*.c))
vmctl_OBJ	:= $(patsubst src/%,$(BUILD)/obj/%.o,$(vmctl_SRC))

$(BUILD)/obj/vmctl/%.o: src/vmctl/% $(vmctl_HDR) src/vmctl/vmctl.mk
	@mkdir -p $(@D)
	$(MUSL_CC) $(CFLAGS_COMMON) $(vmctl_CFLAGS) -Iguests -c -o $@ $<

$(BUILD)/bin/vmctl: $(vmctl_OBJ)
	@mkdir -p $(@D)
	$(MUSL_CC) -static -no-pie -o $@ $(vmctl_OBJ)

.PHONY: vmctl
vmctl: $(BUILD)/bin/vmctl

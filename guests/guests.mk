# SPDX-License-Identifier: ISC
# Guests: one flat image each; the ELF beside it is for the debugger.

BUILD		?= build
CC		?= gcc
OBJCOPY		?= objcopy

guests_SRC	:= $(sort $(wildcard guests/*.S))
guests_BIN	:= $(patsubst guests/%.S,$(BUILD)/guests/%.bin,$(guests_SRC))
guests_HDR	:= guests/guest.h guests/trap.h guests/guest.ld

$(BUILD)/guests/%.bin: guests/%.S $(guests_HDR)
	@mkdir -p $(@D)
	$(CC) -m64 -g -Iguests -nostdlib -static -Wl,--build-id=none \
	    -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments \
	    -Wl,-T,guests/guest.ld -no-pie -o $(@:.bin=.elf) $<
	$(OBJCOPY) -O binary $(@:.bin=.elf) $@

.PHONY: guests
guests: $(guests_BIN)

# SPDX-License-Identifier: ISC
#
# The metal host: build/metal/vmm.elf (64-bit, for GDB), vmm.elf32 (for QEMU
# -kernel) and vmm.img (a disk with the boot archive, for Bochs and PCs).

BUILD	?= build
CC	?= gcc
OBJCOPY	?= objcopy
NM	?= nm
ifeq ($(origin LD),default)
LD	:= ld
endif
PYTHON	?= /usr/bin/python3
CFLAGS_COMMON ?= -O2 -g -Wall -Wextra -Wshadow -Wstrict-prototypes \
		 -Wmissing-prototypes -Wvla

METAL_DIR := src/host/metal
METAL_OUT := $(BUILD)/metal
METAL_ELF := $(METAL_OUT)/vmm.elf
METAL_CMDLINE ?= vmctl tour
# Another directory with vmm.c and so on, for experiments.
METAL_VMM ?= src/vmm

METAL_CPPFLAGS := -nostdinc -isystem $(shell $(CC) -print-file-name=include) \
		  -I$(METAL_DIR)/include -I$(METAL_DIR) -Isrc/vmm -Iinclude
METAL_CFLAGS := $(CFLAGS_COMMON) -std=gnu11 -ffreestanding -fno-pic \
		-mgeneral-regs-only -mno-red-zone -mcmodel=kernel \
		-fno-stack-protector -fcf-protection=none \
		-fno-omit-frame-pointer -fno-optimize-sibling-calls \
		-fno-asynchronous-unwind-tables -fno-common \
		$(if $(findstring clang,$(CC)),-fno-builtin,\
		-fno-tree-loop-distribute-patterns) -Wframe-larger-than=2048
METAL_LDFLAGS := -nostdlib -static -no-pie -Wl,-T,$(METAL_DIR)/metal.ld \
		 -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		 -Wl,--no-warn-rwx-segments

METAL_SRC := $(filter-out $(METAL_DIR)/mbr.S,$(wildcard $(METAL_DIR)/*.[cS])) \
	     $(wildcard $(METAL_VMM)/*.[cS])
METAL_OBJ := $(patsubst %,$(METAL_OUT)/%.o,$(METAL_SRC))

.PHONY: metal
metal: $(METAL_ELF) $(METAL_OUT)/vmm.elf32

$(METAL_OUT)/%.c.o: %.c $(METAL_DIR)/metal.mk
	@mkdir -p $(@D)
	$(CC) $(METAL_CPPFLAGS) $(METAL_CFLAGS) -MMD -MP -c -o $@ $<

$(METAL_OUT)/%.S.o: %.S $(METAL_DIR)/metal.mk
	@mkdir -p $(@D)
	$(CC) $(METAL_CPPFLAGS) $(METAL_CFLAGS) -MMD -MP -c -o $@ $<

# Two links: the second has the names of the first for backtraces. The table
# lies behind all code, so it moves none of it.
$(METAL_OUT)/ksyms-empty.c:
	@mkdir -p $(@D)
	printf '' | awk -f $(METAL_DIR)/ksyms.awk > $@

$(METAL_OUT)/vmm.pass1: $(METAL_OBJ) $(METAL_OUT)/ksyms-empty.c \
    $(METAL_DIR)/metal.ld
	$(CC) $(METAL_CPPFLAGS) $(METAL_CFLAGS) $(METAL_LDFLAGS) -o $@ \
	    $(METAL_OBJ) $(METAL_OUT)/ksyms-empty.c

$(METAL_OUT)/ksyms.c: $(METAL_OUT)/vmm.pass1 $(METAL_DIR)/ksyms.awk
	$(NM) -n $< | awk -f $(METAL_DIR)/ksyms.awk > $@

$(METAL_ELF): $(METAL_OUT)/ksyms.c
	$(CC) $(METAL_CPPFLAGS) $(METAL_CFLAGS) $(METAL_LDFLAGS) -o $@ \
	    $(METAL_OBJ) $<

$(METAL_OUT)/vmm.elf32: $(METAL_ELF)
	$(OBJCOPY) --strip-debug -O elf32-i386 $< $@

# Clients without their symbols, and guests. Secondary expansion, since the
# guests' list comes with a later fragment.
.SECONDEXPANSION:
$(METAL_OUT)/boot.cpio: $(BUILD)/bin/vmctl $(BUILD)/bin/conform $$(guests_BIN)
	@rm -rf $(METAL_OUT)/root
	@mkdir -p $(METAL_OUT)/root/bin $(METAL_OUT)/root/guests
	for f in $(filter $(BUILD)/bin/%,$^); do \
	    $(OBJCOPY) -S $$f $(METAL_OUT)/root/bin/$${f##*/} || exit; done
	cp $(filter %.bin,$^) $(METAL_OUT)/root/guests
	cd $(METAL_OUT)/root && find . -type f -exec touch -d @0 {} + && \
	    find . -type f | LC_ALL=C sort | \
	    cpio -o -H newc --reproducible --quiet -R 0:0 > ../boot.cpio

$(METAL_OUT)/mbr.bin: $(METAL_DIR)/mbr.S
	@mkdir -p $(@D)
	$(CC) -c -o $@.o $<
	$(LD) -Ttext=0x7c00 --oformat=binary -o $@ $@.o

$(METAL_OUT)/vmm.img: $(METAL_ELF) $(METAL_OUT)/mbr.bin $(METAL_OUT)/boot.cpio \
    $(METAL_DIR)/mkimage.py
	$(PYTHON) $(METAL_DIR)/mkimage.py --kernel $(METAL_ELF) \
	    --mbr $(METAL_OUT)/mbr.bin --archive $(METAL_OUT)/boot.cpio \
	    --cmdline "$(METAL_CMDLINE)" -o $@

-include $(METAL_OBJ:.o=.d)

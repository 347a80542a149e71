# SPDX-License-Identifier: ISC
#
# The Linux host: build/module/VERSION/vmm.ko for the kernel VERSION whose
# headers are installed, and build/linux/root.cpio, which boots Debian's kernel
# with it. tools/kernel.sh puts that kernel in build/kernel/FLAVOR.

BUILD		?= build
OBJCOPY		?= objcopy
LINUX_DIR	:= src/host/linux
FLAVOR		?= cloud-amd64
LINUX_KERNEL	:= $(BUILD)/kernel/$(FLAVOR)
LINUX_BOOT	:= $(shell cat $(LINUX_KERNEL)/kver 2>/dev/null)
KVER		?= $(or $(LINUX_BOOT),$(shell uname -r))
KDIR		?= /lib/modules/$(KVER)/build
LINUX_OUT	:= $(BUILD)/module/$(KVER)
LINUX_ROOT	:= $(BUILD)/linux/$(FLAVOR)
LINUX_CLIENTS	?= vmctl conform stress bench

# Kbuild writes beside its sources, so they are linked into the build tree:
# this host's at the top, the driver's in core/.
LINUX_HOST	:= $(wildcard $(LINUX_DIR)/*.[ch]) $(LINUX_DIR)/Kbuild
LINUX_INCLUDE	:= $(wildcard $(LINUX_DIR)/include/*.h) \
		   $(LINUX_DIR)/include/sys/ioctl.h
LINUX_CORE	:= $(wildcard src/vmm/*.[chS] src/vmm/*.def) include/vmmvar.h
LINUX_FLAGS	?= W=1 $(if $(filter true 1,$(CI)),KCFLAGS=-Werror)

$(LINUX_OUT)/vmm.ko: $(LINUX_HOST) $(LINUX_INCLUDE) $(LINUX_CORE)
	@[ -d $(KDIR)/. ] || { echo "vmm: no headers of Linux $(KVER) in" \
	    "$(KDIR): install linux-headers-$(KVER)" >&2; exit 1; }
	@rm -rf $(@D) && mkdir -p $(@D)/core $(@D)/include/sys
	@ln -s $(abspath $(LINUX_HOST)) $(@D)
	@ln -s $(abspath $(LINUX_CORE)) $(@D)/core
	@ln -s $(abspath $(filter-out %/sys/ioctl.h,$(LINUX_INCLUDE))) \
	    $(@D)/include
	@ln -s $(abspath $(LINUX_DIR)/include/sys/ioctl.h) $(@D)/include/sys
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u CC $(MAKE) -s -j$$(nproc) \
	    -C $(KDIR) M=$(abspath $(@D)) $(LINUX_FLAGS) modules \
	    >$(@D).log 2>&1 || { cat $(@D).log; exit 1; }
	@sed '/^Skipping BTF/d' $(@D).log
	@$(if $(filter true 1,$(CI)),! grep -q warning $(@D).log)

.PHONY: module
module: $(LINUX_OUT)/vmm.ko

# The initial RAM disk. Not compressed: unpacking takes more instructions.
LINUX_KO	:= arch/x86/kvm/*.ko* virt/lib/irqbypass.ko* \
		   drivers/crypto/ccp/ccp.ko*
LINUX_MODULES	= $(wildcard $(addprefix \
		  $(LINUX_KERNEL)/lib/modules/$(KVER)/kernel/,$(LINUX_KO)))

.SECONDEXPANSION:
$(LINUX_ROOT)/root.cpio: $(LINUX_OUT)/vmm.ko $(LINUX_DIR)/init \
    $$(addprefix $(BUILD)/bin/,$$(LINUX_CLIENTS)) $$(guests_BIN)
	@rm -rf $(@D)/root && mkdir -p $(addprefix $(@D)/root/,bin dev proc \
	    sys tmp etc modules guests)
	cp /bin/busybox $(@D)/root/bin
	for f in $(filter $(BUILD)/bin/%,$^); do \
	    $(OBJCOPY) -S $$f $(@D)/root/bin/$${f##*/} || exit; done
	cp $(LINUX_DIR)/init $(@D)/root
	cp $(filter %.bin,$^) $(@D)/root/guests
	cp $(LINUX_MODULES) $(@D)/root/modules
	find $(@D)/root/modules -name '*.xz' -exec xz -d {} +
	$(OBJCOPY) -g $< $(@D)/root/modules/vmm.ko
	printf '%s::/:/bin/sh\n' root:x:0:0 one:x:1001:1001 two:x:1002:1002 \
	    >$(@D)/root/etc/passwd
	cd $(@D)/root && find . | LC_ALL=C sort | \
	    cpio -o -H newc --quiet -R 0:0 >../root.cpio.new
	mv $@.new $@

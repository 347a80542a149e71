# SPDX-License-Identifier: ISC
#
# Linux as a guest: build/guest/FLAVOR has Debian's kernel, a RAM disk of
# busybox, the modules of virtio and what makes and checks ext4; guest.cpio
# with both for the RAM disk of the Linux host, with the user network's helper
# and modules for a tap and for a disk of the host's own; and metal.cpio, the
# boot archive of metal with both.

GUEST_OUT	:= $(BUILD)/guest/$(FLAVOR)
VIRTIO_KO	:= $(addprefix drivers/,virtio/virtio virtio/virtio_ring \
		   virtio/virtio_pci_legacy_dev virtio/virtio_pci_modern_dev \
		   virtio/virtio_pci block/virtio_blk)
GUEST_KO	:= $(VIRTIO_KO) net/core/failover $(addprefix drivers/,\
		   net/net_failover net/virtio_net char/hw_random/virtio-rng)
GUEST_HOST_KO	:= $(VIRTIO_KO) drivers/net/tun
GUEST_PROGRAMS	:= $(wildcard /sbin/mke2fs /sbin/e2fsck)

# $(call guest_modules,NAMES,DIR): copies modules, unpacked and without what
# only a debugger reads.
define guest_modules
	mkdir -p $(2)
	cp $(wildcard $(patsubst %,\
	    $(LINUX_KERNEL)/lib/modules/$(KVER)/kernel/%.ko*,$(1))) $(2)
	find $(2) -name '*.xz' -exec xz -d {} +
	find $(2) -name '*.ko' -exec $(OBJCOPY) -g {} \;
endef

# $(call guest_programs,PROGRAMS,DIR,ROOT): copies programs, and the shared
# libraries and the loader that they want.
define guest_programs
	mkdir -p $(2)
	for f in $(1); do \
	    $(OBJCOPY) -S $$f $(2)/$${f##*/} || exit; \
	    for lib in $$(ldd $$f | grep -o '/[^ ]*'); do \
	    mkdir -p $(3)$${lib%/*} && cp -L $$lib $(3)$$lib || exit; \
	    done; done
endef

# $(call guest_archive,ROOT)
guest_archive = cd $(1) && find . | LC_ALL=C sort | \
	    cpio -o -H newc --quiet -R 0:0

$(GUEST_OUT)/initrd: guests/linux/init guests/linux/linux.mk
	@rm -rf $(@D)/root && mkdir -p $(addprefix $(@D)/root/,bin etc run)
	cp /bin/busybox $(@D)/root/bin
	install -m 755 guests/linux/init $(@D)/root/init
	$(call guest_modules,$(GUEST_KO),$(@D)/root/modules)
	$(call guest_programs,$(GUEST_PROGRAMS),$(@D)/root/sbin,$(@D)/root)
	echo root::0:0::/root:/bin/sh >$(@D)/root/etc/passwd
	$(call guest_archive,$(@D)/root) >$(abspath $@).new
	mv $@.new $@

$(GUEST_OUT)/vmlinuz: $(LINUX_KERNEL)/kver
	@mkdir -p $(@D)
	cp $(LINUX_KERNEL)/boot/vmlinuz-$(KVER) $@

$(GUEST_OUT)/guest.cpio: $(GUEST_OUT)/initrd $(GUEST_OUT)/vmlinuz \
    $(BUILD)/bin/vmctl-slirp
	@rm -rf $(@D)/top && mkdir -p $(@D)/top/guest/run $(@D)/top/bin
	cp $(GUEST_OUT)/initrd $(GUEST_OUT)/vmlinuz $(@D)/top/guest
	$(call guest_modules,$(GUEST_HOST_KO),$(@D)/top/modules)
	$(call guest_programs,$(GUEST_PROGRAMS),$(@D)/top/sbin,$(@D)/top)
	$(call guest_programs,$(BUILD)/bin/vmctl-slirp,$(@D)/top/bin,$(@D)/top)
	$(call guest_archive,$(@D)/top) >$(abspath $@).new
	mv $@.new $@

$(GUEST_OUT)/metal.cpio: $(GUEST_OUT)/initrd $(GUEST_OUT)/vmlinuz \
    $(BUILD)/metal/boot.cpio
	@rm -rf $(@D)/metal && mkdir -p $(@D)/metal/guest
	cp -r $(BUILD)/metal/root/. $(@D)/metal
	cp $(GUEST_OUT)/initrd $(GUEST_OUT)/vmlinuz $(@D)/metal/guest
	cd $(@D)/metal && find . -type f | LC_ALL=C sort | \
	    cpio -o -H newc --quiet -R 0:0 >$(abspath $@).new
	mv $@.new $@

.PHONY: guest-all
guest-all: $(GUEST_OUT)/guest.cpio $(GUEST_OUT)/metal.cpio

# SPDX-License-Identifier: ISC
#
# Linux as a guest: build/guest/FLAVOR has Debian's kernel, a RAM disk of
# busybox and the modules of virtio, and guest.cpio with both, and with what
# a user network needs, for the RAM disk of the host.

GUEST_OUT	:= $(BUILD)/guest/$(FLAVOR)
GUEST_KO	:= net/core/failover $(addprefix drivers/,virtio/virtio \
		   virtio/virtio_ring virtio/virtio_pci_legacy_dev \
		   virtio/virtio_pci_modern_dev virtio/virtio_pci \
		   block/virtio_blk net/net_failover net/virtio_net \
		   char/hw_random/virtio-rng)
GUEST_MODULES	= $(wildcard $(patsubst %,\
		  $(LINUX_KERNEL)/lib/modules/$(KVER)/kernel/%.ko*,$(GUEST_KO)))

$(GUEST_OUT)/initrd: guests/linux/init guests/linux/linux.mk
	@rm -rf $(@D)/root && mkdir -p $(addprefix $(@D)/root/,bin etc run \
	    modules)
	cp /bin/busybox $(@D)/root/bin
	install -m 755 guests/linux/init $(@D)/root/init
	cp $(GUEST_MODULES) $(@D)/root/modules
	find $(@D)/root/modules -name '*.xz' -exec xz -d {} +
	find $(@D)/root/modules -name '*.ko' -exec $(OBJCOPY) -g {} \;
	echo root::0:0::/root:/bin/sh >$(@D)/root/etc/passwd
	cd $(@D)/root && find . | LC_ALL=C sort | \
	    cpio -o -H newc --quiet -R 0:0 >../initrd.new
	mv $@.new $@

$(GUEST_OUT)/vmlinuz: $(LINUX_KERNEL)/kver
	@mkdir -p $(@D)
	cp $(LINUX_KERNEL)/boot/vmlinuz-$(KVER) $@

$(GUEST_OUT)/guest.cpio: $(GUEST_OUT)/initrd $(GUEST_OUT)/vmlinuz
	@rm -rf $(@D)/top && mkdir -p $(@D)/top/guest
	cp $^ $(@D)/top/guest
	cd $(@D)/top && find . | LC_ALL=C sort | \
	    cpio -o -H newc --quiet -R 0:0 >../guest.cpio.new
	mv $@.new $@

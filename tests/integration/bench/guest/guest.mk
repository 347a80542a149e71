# SPDX-License-Identifier: ISC
#
# A guest beside QEMU and KVM: build/guest/FLAVOR/bench.cpio has, for the RAM
# disk of the host, this machine's QEMU with what it loads, and the RAM disk of
# the guest with what it measures.

GB_DIR		:= tests/integration/bench/guest
GB_OUT		:= $(GUEST_OUT)/bench
GB_QEMU		= $(shell command -v qemu-system-x86_64)
GB_FIRMWARE	:= $(addprefix /usr/share/,seabios/bios-256k.bin \
		   $(addprefix qemu/,linuxboot_dma.bin kvmvapic.bin))

$(BUILD)/bin/guestbench: $(GB_DIR)/guestbench.c
	@mkdir -p $(@D)
	$(MUSL_CC) -std=c11 -D_GNU_SOURCE $(CFLAGS_COMMON) -static -s -o $@ $<

$(GB_OUT)/bench.cpio: $(GUEST_OUT)/initrd $(BUILD)/bin/guestbench \
    $(BUILD)/bin/vmctl-slirp $(wildcard $(GB_DIR)/*)
	@rm -rf $(@D) && mkdir -p $(addprefix $(@D)/,top/bench top/bin \
	    more/bin more/run)
	install -m 755 $(GB_DIR)/guest $(@D)/more/run/bench
	cp $(BUILD)/bin/guestbench $(@D)/more/bin
	(cat $(GUEST_OUT)/initrd; cd $(@D)/more && find . | \
	    cpio -o -H newc --quiet -R 0:0) >$(@D)/top/bench/initrd
	install -m 755 $(GB_DIR)/host $(@D)/top/bench/host
	cp $(BUILD)/bin/guestbench $(BUILD)/bin/vmctl-slirp $(GB_QEMU) \
	    $(@D)/top/bin
	ldd $(GB_QEMU) $(BUILD)/bin/vmctl-slirp | grep -o '/lib[^ :]*' | \
	    sort -u | xargs cp -L --parents -t $(@D)/top
	cp -L --parents $(GB_FIRMWARE) $(@D)/top
	cd $(@D)/top && find . | LC_ALL=C sort | \
	    cpio -o -H newc --quiet -R 0:0 >../bench.cpio.new
	mv $@.new $@

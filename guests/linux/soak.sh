#!/bin/busybox sh
# SPDX-License-Identifier: ISC
#
# soak.sh - done by the Linux host: a guest boots, counts on its disk and
# resets, BOOTS times in one VM; then KILLS VMs are killed, each at a random
# time of its boot. Nothing may be left after either.
BOOTS=${BOOTS:-100} KILLS=${KILLS:-20}
clock="tsc_early_khz=1000000 tsc=reliable lpj=4000000"

mkdir -p /tmp/more/run
cat >/tmp/more/run/soak <<'END'
#!/bin/sh
n=$(head -c 8 /dev/vda | tr -cd 0-9)
n=$((n + 1))
printf %-512d $n | dd of=/dev/vda conv=fsync,notrunc status=none
echo "boot $n"
[ $((n % 2)) -eq 0 ] && echo kbd >/sys/kernel/reboot/type
grep -q "boots=$n " /proc/cmdline && poweroff -f
reboot -f
END
chmod 755 /tmp/more/run/soak
(cd /tmp/more && find run | cpio -o -H newc 2>/dev/null) >/tmp/more.cpio
cat /guest/initrd /tmp/more.cpio >/tmp/initrd
vmctl create /tmp/disk 1M

start() {
	vmctl start -m 128 -b /guest/vmlinuz -r /tmp/initrd -d /tmp/disk \
	    -n user -a "console=ttyS0 quiet panic=-1 mitigations=off $clock \
	    run=soak boots=$BOOTS reboot=t" "$@" soak
}
seconds() { cut -d. -f1 /proc/uptime; }
# What a VM that has ended left: VMs, pinned pages, helpers.
clean() {
	sleep 1
	left="$(grep -c ^vm /sys/kernel/debug/vmm/vms) $(awk '
	    /^nr_foll_pin_acquired/ { n += $2 }
	    /^nr_foll_pin_released/ { n -= $2 }
	    END { print n + 0 }' /proc/vmstat) $(pidof vmctl-slirp | wc -w)"
	[ "$left" = "0 0 0" ] && return
	echo "soak: left after $1: VMs, pages, helpers: $left"
	exit 1
}

begin=$(seconds)
start -c </dev/null | tee /tmp/out | grep -E '^boot [0-9]*0|panic|BUG|Oops'
n=$(grep -c '^boot ' /tmp/out)
echo "soak: $n boots in $(($(seconds) - begin)) s"
[ "$n" -eq "$BOOTS" ] || { tail -n 40 /tmp/out; exit 1; }
clean "$n boots"
n=0
while [ $n -lt "$KILLS" ]; do
	start || exit 1
	ms=$(((RANDOM * 32768 + RANDOM) % 5000))
	usleep $((ms * 1000))
	kill -9 $(pidof vmctl) || { echo "soak: it had ended"; exit 1; }
	n=$((n + 1))
	clean "kill $n, at $ms ms"
	printf 'killed at %s ms\n' $ms
done
echo "soak: $n kills"

#!/bin/sh
# SPDX-License-Identifier: ISC
#
# kernel.sh - fetches a kernel of Debian's for the tests of the Linux host,
# and installs the headers that the module is built with.
#
#	kernel.sh fetch FLAVOR DIR	cloud-amd64, rt-amd64, ...
#
# The kernel and its modules are unpacked in DIR, not installed; DIR/kver
# names the version. Once there, nothing is asked of the network again.
set -eu

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# The version that the flavor's meta-package depends on now.
newest() {
	apt-cache depends "linux-image-$1" 2>/dev/null |
	    sed -n 's/^ *Depends: linux-image-//p' | head -n 1
}

fail() {
	echo "kernel.sh: $*" >&2
	exit 1
}

fetch() {
	flavor=$1 dir=$2
	if [ -e "$dir/kver" ]; then
		kver=$(cat "$dir/kver")
		[ -e "/usr/src/linux-headers-$kver" ] && return 0
	fi
	command -v apt-cache >/dev/null 2>&1 ||
	    fail "there is no apt here to fetch a Debian kernel with"
	kver=$(newest "$flavor")
	if [ -z "$kver" ]; then
		as_root apt-get -qq update
		kver=$(newest "$flavor")
	fi
	[ -n "$kver" ] || fail "no package linux-image-$flavor here: the" \
	    "tests of the Linux host want Debian's kernels"
	echo "vmm: fetching linux $kver"
	rm -rf "$dir" && mkdir -p "$dir/deb"
	chmod 755 "$dir/deb"
	(cd "$dir/deb" && apt-get -qq download "linux-image-$kver" 2>&1 |
	    grep -v unsandboxed) || true
	set -- "$dir"/deb/*.deb
	[ -e "$1" ] || fail "apt-get could not download linux-image-$kver"
	dpkg-deb -x "$1" "$dir"
	rm -rf "$dir/deb"
	if [ ! -e "/usr/src/linux-headers-$kver" ]; then
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
		    -o DPkg::Lock::Timeout=300 install \
		    --no-install-recommends "linux-headers-$kver" >/dev/null ||
		    fail "apt-get could not install linux-headers-$kver"
	fi
	echo "$kver" >"$dir/kver"
}

[ $# -eq 3 ] && [ "$1" = fetch ] || {
	echo "usage: kernel.sh fetch FLAVOR DIR" >&2
	exit 2
}
fetch "$2" "$3"

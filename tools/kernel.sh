#!/bin/sh
# SPDX-License-Identifier: ISC
#
# kernel.sh - fetches a kernel of Debian's for the tests of the Linux host,
# and installs the headers that the module is built with.
#
#	kernel.sh fetch FLAVOR DIR
#
# FLAVOR is cloud-amd64, rt-amd64, ..., or backports: the cloud-amd64 of
# bookworm-backports.
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

# What apt-get and apt-cache are told, too.
opts=

# Adds the newer distribution, with package lists of its own: the machine's
# stay as they are.
backports() {
	mkdir -p "$1/apt/lists/partial" "$1/apt/cache/archives/partial"
	here=$(cd "$1/apt" && pwd)
	key=/usr/share/keyrings/debian-archive-keyring.gpg
	echo "deb [signed-by=$key] http://deb.debian.org/debian" \
	    "bookworm-backports main" >"$here/sources.list"
	opts="-o Dir::Etc::sourcelist=$here/sources.list
	    -o Dir::State::lists=$here/lists -o Dir::Cache=$here/cache
	    -t bookworm-backports"
	# shellcheck disable=SC2086
	as_root apt-get -qq $opts update
}

# The version that the flavor's meta-package depends on now.
newest() {
	# shellcheck disable=SC2086
	apt-cache $opts depends "linux-image-$1" 2>/dev/null |
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
	rm -rf "$dir" && mkdir -p "$dir/deb"
	if [ "$flavor" = backports ]; then
		backports "$dir"
		flavor=cloud-amd64
	fi
	kver=$(newest "$flavor")
	if [ -z "$kver" ]; then
		as_root apt-get -qq update
		kver=$(newest "$flavor")
	fi
	[ -n "$kver" ] || fail "no package linux-image-$flavor here: the" \
	    "tests of the Linux host want Debian's kernels"
	echo "vmm: fetching linux $kver"
	chmod 755 "$dir/deb"
	# shellcheck disable=SC2086
	(cd "$dir/deb" && apt-get -qq $opts download "linux-image-$kver" 2>&1 |
	    grep -v unsandboxed) || true
	set -- "$dir"/deb/*.deb
	[ -e "$1" ] || fail "apt-get could not download linux-image-$kver"
	dpkg-deb -x "$1" "$dir"
	rm -rf "$dir/deb"
	if [ ! -e "/usr/src/linux-headers-$kver" ]; then
		# shellcheck disable=SC2086
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
		    $opts -o DPkg::Lock::Timeout=300 install \
		    --no-install-recommends "linux-headers-$kver" >/dev/null ||
		    fail "apt-get could not install linux-headers-$kver"
	fi
	rm -rf "$dir/apt"
	echo "$kver" >"$dir/kver"
}

if [ $# -ne 3 ] || [ "$1" != fetch ]; then
	echo "usage: kernel.sh fetch FLAVOR DIR" >&2
	exit 2
fi
fetch "$2" "$3"

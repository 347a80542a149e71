#!/bin/sh
# SPDX-License-Identifier: ISC
#
# deps.sh - installs what a target needs, or says what is missing.
#
#	deps.sh install GROUP...	install whatever of it is missing
#	deps.sh doctor			report; fails if something is missing
#
# A line of the table is: group, Debian package, how to see that it is there
# (cmd NAME, file PATH, py MODULE), and what it is for. A group includes the
# groups that stand in its name's line of needs().
set -eu

table() {
	cat <<-'EOF'
	run make cmd make builds everything
	run gcc cmd gcc driver, metal
	run libc6-dev file /usr/include/stdlib.h unit tests, lists of clauses
	run musl-tools cmd musl-gcc static clients
	run cpio cmd cpio boot archive
	run python3 cmd /usr/bin/python3 starts and ends emulators
	run qemu-system-x86 cmd qemu-system-x86_64 emulates AMD SVM
	bochs bochs cmd bochs emulates Intel VMX
	bochs bochsbios file /usr/share/bochs/BIOS-bochs-latest Bochs's BIOS
	bochs vgabios file /usr/share/vgabios/vgabios.bin Bochs's VGA BIOS
	bochs bochs-term glob /usr/lib/*/bochs/*/libbx_term_gui.so Bochs, no X
	check check file /usr/include/check.h unit tests
	check pkg-config cmd pkg-config unit tests
	check python3-pytest py pytest integration tests
	check seabios file /usr/share/seabios/bios.bin another BIOS for Bochs
	linux busybox-static file /usr/share/doc/busybox-static first programs
	linux grub-common cmd grub-mkrescue boots Linux in Bochs
	linux grub-pc-bin file /usr/lib/grub/i386-pc/boot.img the same
	linux xorriso cmd xorriso the same
	linux mtools cmd mformat the same
	linux xz-utils cmd xz modules of newer kernels
	guest libslirp-dev file /usr/include/slirp/libslirp.h user network
	guest e2fsprogs file /sbin/mke2fs makes and checks ext4 for guests
	check mandoc cmd mandoc manual pages
	gdb gdb cmd gdb make gdb, and its test
	lint clang cmd clang second compiler
	lint clang-format cmd clang-format layout of new code
	lint shellcheck cmd shellcheck shell scripts
	lint codespell cmd codespell spelling
	lint sparse cmd sparse checks of the module
	fuzz clang cmd clang make fuzz
	fuzz libclang-rt-dev glob /usr/lib/llvm-*/lib/clang/*/*/*/*fuzzer* fuzz
	fuzz llvm cmd llvm-cov coverage by the corpus
	book python3-sphinx py sphinx the book
	book python3-myst-parser py myst_parser the book
	book furo py furo the book
	cover lcov cmd lcov line coverage
	EOF
}

needs() {
	case $1 in
	run)	echo run ;;
	bochs)	echo run bochs ;;
	linux)	echo run bochs linux ;;
	guest)	echo run bochs linux guest ;;
	check)	echo run bochs gdb linux guest fuzz check ;;
	gdb)	echo run gdb ;;
	lint)	echo run bochs gdb linux guest check lint ;;
	fuzz)	echo fuzz ;;
	book)	echo book ;;
	cover)	echo run bochs gdb linux check cover ;;
	all)	echo run bochs gdb linux guest fuzz check lint book cover ;;
	*)	echo "deps.sh: no group '$1'" >&2; exit 2 ;;
	esac
}

# present KIND WHAT: is it there?
present() {
	case $1 in
	cmd)	command -v "$2" >/dev/null 2>&1 ;;
	file)	[ -e "$2" ] ;;
	glob)	for f in $2; do [ -e "$f" ] && return 0; done; return 1 ;;
	py)	/usr/bin/python3 -c "import $2" >/dev/null 2>&1 ;;
	esac
}

# missing GROUP...: the packages of these groups that are not there.
missing() {
	wanted=" $* "
	table | while read -r group package kind what _; do
		case $wanted in *" $group "*) ;; *) continue ;; esac
		present "$kind" "$what" || echo "$package"
	done
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$@"
	else
		echo "vmm: needs root to install packages, and there is no" \
		    "sudo. As root:" >&2
		echo "    $*" >&2
		exit 1
	fi
}

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
	    -o DPkg::Lock::Timeout=300 "$@"
}

install_missing() {
	list=$(missing "$@" | tr '\n' ' ')
	[ -n "$list" ] || return 0
	if ! command -v apt-get >/dev/null 2>&1; then
		echo "vmm: this machine lacks (Debian's names): $list" >&2
		echo "vmm: there is no apt-get here; install them with your" \
		    "own package manager, then run make again." >&2
		exit 1
	fi
	echo "vmm: installing $list"
	# The lists may be absent or old; another clone may hold their lock.
	# shellcheck disable=SC2086
	apt install --no-install-recommends $list >/dev/null 2>&1 && return 0
	for pause in 5 15 30 0; do
		apt update && break
		[ "$pause" -ne 0 ] || exit 1
		sleep "$pause"
	done
	# shellcheck disable=SC2086
	apt install --no-install-recommends $list >/dev/null || {
		echo "vmm: apt-get could not install: $list" >&2
		exit 1
	}
	left=$(missing "$@" | tr '\n' ' ')
	[ -z "$left" ] || {
		echo "vmm: installed, but still not found: $left" >&2
		exit 1
	}
}

doctor() {
	table | while read -r group package kind what why; do
		if present "$kind" "$what"; then mark=ok; else mark=MISSING; fi
		printf '%-8s %-6s %-20s %s\n' "$mark" "$group" "$package" "$why"
	done
	# shellcheck disable=SC2046
	list=$(missing $(needs all) | tr '\n' ' ')
	if [ -z "$list" ]; then
		echo "doctor: nothing is missing"
		return 0
	fi
	echo "doctor: to install what is missing:"
	echo "    sudo apt-get install --no-install-recommends $list"
	return 1
}

case ${1-} in
install)
	shift
	# shellcheck disable=SC2046
	install_missing $(for g in "$@"; do needs "$g"; done)
	;;
doctor)
	doctor
	;;
*)
	echo "usage: deps.sh install GROUP... | doctor" >&2
	exit 2
	;;
esac

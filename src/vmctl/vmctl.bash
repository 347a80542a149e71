# SPDX-License-Identifier: ISC
#
# Completion of vmctl for bash: commands, options, VMs that run, files. To
# have it at once: . src/vmctl/vmctl.bash. Installed, it is
# /usr/share/bash-completion/completions/vmctl.

# The names of VMs: sockets in the directory that vmctl has for them.
_vmctl_vms()
{
	local s

	for s in "${VMM_RUN:-/run/vmm}"/*; do
		[ -S "$s" ] && printf '%s\n' "${s##*/}"
	done
}

# Words that begin with what is there already.
_vmctl_words()
{
	local w

	while read -r w; do
		[[ $w == "$cur"* ]] && COMPREPLY+=("$w")
	done < <(printf '%s\n' "$@")
}

_vmctl_start()
{
	case $prev in
	-b|-r|-d)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	-n)
		_vmctl_words user tap=
		[ "${COMPREPLY[*]}" = tap= ] &&
		    compopt -o nospace 2>/dev/null ;;
	-m)	_vmctl_words 256M 512M 1G 2G 4G ;;
	-a|-s|-t) ;;
	*)	_vmctl_words -a -b -c -d -m -n -r -s -t ;;
	esac
}

_vmctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local vms

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		_vmctl_words tour shell exec start status stop pause unpause \
		    console create reset run step info term intr regs setreg \
		    params protect use load answer mem dump trace explain help
		return
	fi
	mapfile -t vms < <(_vmctl_vms)
	case ${COMP_WORDS[1]} in
	start)	_vmctl_start ;;
	stop)	_vmctl_words -a -f "${vms[@]}" ;;
	status|pause|unpause|console)
		_vmctl_words "${vms[@]}" ;;
	create)	[ "$COMP_CWORD" -eq 2 ] &&
		    mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	trace)	_vmctl_words --json ;;
	esac
}

complete -F _vmctl vmctl

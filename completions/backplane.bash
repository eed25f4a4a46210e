# SPDX-License-Identifier: Apache-2.0
# bash completion for backplane; names come from `backplane ps --json`.

# _backplane_names KEY: names of machines, labs or ports of what is up
_backplane_names()
{
	backplane ps --json 2>/dev/null | python3 -c '
import json, sys
for lab in json.load(sys.stdin):
    if sys.argv[1] == "labs":
        print(lab["name"])
    for m in lab["machines"]:
        if sys.argv[1] == "machines":
            print(m["name"])
        if sys.argv[1] == "ports":
            print(*(n["port"] for n in m["nics"]), sep="\n")
' "$1" 2>/dev/null
}

# _backplane_spec WORD KIND KEYS: a word such as vfio-user:PATH,KEY=VALUE
_backplane_spec()
{
	local word=$1 kinds=$2 keys=$3 before key words=""

	case $word in
	*,*)
		before=${word%,*}
		for key in $keys; do
			words+=" $before,$key"
		done ;;
	*) words=$kinds ;;
	esac
	# Only what is after the last of readline's own word breaks is replaced.
	before=${word%"${word##*[:=]}"}
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	COMPREPLY=("${COMPREPLY[@]#"$before"}")
	compopt -o nospace 2>/dev/null
}

_backplane()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local words="" command=${COMP_WORDS[1]}
	local -a before
	local word="" option=""

	# Words as the shell has them, not cut at ':' and '='.
	read -ra before <<< "${COMP_LINE:0:COMP_POINT}"
	case ${COMP_LINE:0:COMP_POINT} in
	*[[:space:]]) before+=("") ;;
	esac
	if [ "${#before[@]}" -gt 2 ]; then
		word=${before[-1]}
		option=${before[-2]}
	fi

	case $command,$option in
	serve,--port | serve,-p)
		_backplane_spec "$word" \
			"vfio-user: tap: stream: dgram: vhost-user:" \
			"model=e1000 model=virtio-net mac= crc=exact crc=any
			caps=qemu caps=full peer= server client queues= mtu=
			vnet_hdr=on vnet_hdr=off name= link=up link=down"
		return ;;
	vm,--nic)
		_backplane_spec "$word" vfio-user: "id= bridge= slot="
		return ;;
	vm,--disk)
		case $word in
		*,*)
			_backplane_spec "$word" "" \
				"format=raw format=qcow2 ro=yes slot="
			return ;;
		esac ;;
	esac
	if [ "$COMP_CWORD" = 1 ]; then
		words="up down ps exec console show link attach detach serve
			vm host lab --help
			--version"
	elif [ "$prev" = --lab ]; then
		words=$(_backplane_names labs)
	elif [ "$command $prev" = "vm --board" ]; then
		words="pc pcie"
	else
		case $command in
		up) words="--no-wait --timeout --foreground --help" ;;
		down) words="--keep-logs --lab --help $(_backplane_names labs)" ;;
		ps) words="--lab --json --help" ;;
		exec) words="-i -n --interactive --no-stdin --lab --help
			$(_backplane_names machines)" ;;
		console) words="--lab --help $(_backplane_names machines)" ;;
		attach) words="--lab --help $(_backplane_names machines)
			$(_backplane_names ports)" ;;
		detach) words="--pull --no-wait --lab --help
			$(_backplane_names machines) $(_backplane_names ports)" ;;
		show) words="ports devices networks macs verdicts stats nics worker --lab
			--json --help" ;;
		link) words="--lab --help up down $(_backplane_names ports)" ;;
		host) words="--json --help" ;;
		lab) words="validate schema api --help" ;;
		serve) words="--port --run-dir --api --workers --cpus --poll-us --no-sandbox
			--help" ;;
		vm) words="--kernel --initrd --append --cmdline --cpus --memory
			--board --spare-ports --nic --disk --console --agent --api --name --no-reboot
			--stats --help" ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	case $command,$option in
	vm,--board) ;;
	up,* | down,* | lab,* | serve,* | vm,*)
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(
			compgen -f -- "$cur") ;;
	esac
}

complete -o filenames -F _backplane backplane

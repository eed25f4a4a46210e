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

_backplane()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local words="" command=${COMP_WORDS[1]}

	if [ "$COMP_CWORD" = 1 ]; then
		words="up down ps exec console show link attach detach serve
			vm host lab --help
			--version"
	elif [ "$prev" = --lab ]; then
		words=$(_backplane_names labs)
	else
		case $command in
		up) words="--no-wait --timeout --foreground --help" ;;
		down) words="--keep-logs --help $(_backplane_names labs)" ;;
		ps) words="--lab --json --help" ;;
		exec) words="-i -n --lab --help $(_backplane_names machines)" ;;
		console) words="--lab --help $(_backplane_names machines)" ;;
		attach) words="--lab --help $(_backplane_names machines)
			$(_backplane_names ports)" ;;
		detach) words="--pull --no-wait --lab --help
			$(_backplane_names machines) $(_backplane_names ports)" ;;
		show) words="ports devices networks macs verdicts stats nics worker --lab
			--json --help" ;;
		link) words="--lab --help up down $(_backplane_names ports)" ;;
		host) words="--json --help" ;;
		lab) words="validate schema api" ;;
		serve) words="--port --run-dir --api --workers --cpus --poll-us --no-sandbox
			--help" ;;
		vm) words="--kernel --initrd --append --cmdline --cpus --memory
			--board --spare-ports --nic --disk --console --agent --api --name --no-reboot
			--stats --help" ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	case $command in
	up | down | lab | serve | vm)
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(
			compgen -f -- "$cur") ;;
	esac
}

complete -o filenames -F _backplane backplane

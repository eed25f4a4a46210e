# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What tools/guest/mk-guest-image and tools/kvm-host.d/mk-host-image share:
# from Debian packages to an initramfs, without root and without installing
# anything. To be sourced; the caller runs under `set -euo pipefail`.
#
# Packages are downloaded once into build/cache/debs; the kernel package, the
# only big one, is kept unpacked in build/cache/<package>_<version>. Several
# callers may run at a time: a lock admits one.

shopt -s inherit_errexit
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=$top/build/cache
prog=${0##*/}

say() { echo "$prog: $*"; }

die()
{
	echo "$prog: $*" >&2
	exit 1
}

need_tools()
{
	local t missing=()

	for t in "$@"; do
		command -v "$t" >/dev/null || missing+=("$t")
	done
	[ ${#missing[@]} = 0 ] ||
		die "not installed: ${missing[*]} (\`make deps\` installs them)"
}

# take_lock: wait until no other caller works in build/cache; until we exit
take_lock()
{
	mkdir -p "$cache"
	exec {lock_fd}>"$cache/lock"
	flock -n "$lock_fd" || {
		say "waiting for another $prog to finish"
		flock "$lock_fd"
	}
}

# kernel_package: the package linux-image-amd64 stands for; empty: not known
kernel_package()
{
	LC_ALL=C apt-cache depends linux-image-amd64 2>/dev/null |
		sed -n 's/^ *Depends: *\(linux-image-[^ ]*\).*/\1/p' | head -n 1
}

# package_versions PACKAGE...: a line "package version" for each one known
package_versions()
{
	LC_ALL=C apt-cache policy "$@" 2>/dev/null | awk '
		/^[^ ].*:$/ { package = substr($1, 1, length($1) - 1) }
		$1 == "Candidate:" && $2 != "(none)" { print package, $2 }'
}

# apt_unchanged_since FILE: whether what apt knows is as old as FILE; much
# faster than to ask apt
apt_unchanged_since()
{
	[ -z "$(find /var/lib/apt/lists /etc/apt -newer "$1" -print -quit)" ]
}

# up_to_date OUT "INPUT-PATH..." PACKAGE...: whether OUT is as these files, the
# kernel and these packages would have it. If not, stamp_done is to be called
# once it is. Sets $kernel (a package) and $versions (lines "package version")
# for whoever makes it. Without apt's package lists (no `apt-get update` yet)
# what was made last is as good as it gets, and is kept.
up_to_date()
{
	local out=$1 inputs made_from known name unknown=()
	local -a paths

	read -r -a paths <<<"$2"
	shift 2
	inputs=$(find "${paths[@]}" -type f -exec sha256sum {} + |
		sed "s|$top/||" | LC_ALL=C sort -k 2 | sha256sum |
		cut -d ' ' -f 1)
	made_from=$(head -n 1 "$out/stamp" 2>/dev/null || true)
	if [ "$inputs" = "$made_from" ] && apt_unchanged_since "$out/stamp"; then
		return 0
	fi
	kernel=$(kernel_package)
	versions=$(package_versions "${kernel:-linux-image-amd64}" "$@")
	known=" $(cut -d ' ' -f 1 <<<"$versions" | tr '\n' ' ') "
	for name in "${kernel:-linux-image-amd64}" "$@"; do
		[[ $known = *" $name "* ]] || unknown+=("$name")
	done
	if [ -z "$kernel" ] || [ ${#unknown[@]} != 0 ]; then
		[ "$inputs" != "$made_from" ] || return 0
		die "apt does not know ${unknown[*]} (run \`apt-get update\`)"
	fi
	stamp=$(printf '%s\n%s' "$inputs" "$versions")
	if [ -n "$made_from" ] && [ "$(cat "$out/stamp")" = "$stamp" ]; then
		touch "$out/stamp"
		return 0
	fi
	rm -f "$out/stamp"
	return 1
}

# stamp_done OUT: OUT is made; what up_to_date looks at from now on
stamp_done() { echo "$stamp" >"$1/stamp"; }

# deb_path PACKAGE VERSION: where package_debs puts it
deb_path() { echo "$cache/debs/$1_${2//:/%3a}.deb"; }

# package_debs: download those of the packages that are not here; takes lines
# "package version"
package_debs()
{
	local name version wanted=() part=$cache/debs/part

	while read -r name version; do
		[ -e "$(deb_path "$name" "$version")" ] ||
			wanted+=("$name=$version")
	done
	[ ${#wanted[@]} != 0 ] || return 0
	say "downloading ${wanted[*]%%=*}"
	rm -rf "$part"
	mkdir -p "$part"
	# apt run by root downloads as another user, who has no access here.
	(cd "$part" && apt-get download -qq \
		-o APT::Sandbox::User="$(id -un)" "${wanted[@]}" >&2) ||
		die "cannot download packages (does \`apt-get update\` help?)"
	for name in "${wanted[@]}"; do
		mv "$part/${name%%=*}"_*.deb \
			"$(deb_path "${name%%=*}" "${name#*=}")"
	done
	rmdir "$part"
}

# kernel_tree: unpack the $kernel of $versions, with the modules that can be of
# use in a virtual machine; prints the directory, which holds boot/vmlinuz-*,
# boot/vmlinux (the same as an ELF file) and lib/modules/*, indexed for modprobe
kernel_tree()
{
	local version tree part=$cache/linux-image-part old

	version=$(awk -v k="$kernel" '$1 == k { print $2 }' <<<"$versions")
	tree=$cache/${kernel}_${version//:/%3a}
	if ! [ -d "$tree" ]; then
		package_debs <<<"$kernel $version" >&2
		say "unpacking $kernel $version" >&2
		for old in "$cache"/linux-image-*; do
			rm -rf "$old"
		done
		mkdir -p "$part"
		dpkg-deb --fsys-tarfile "$(deb_path "$kernel" "$version")" |
			tar -x -C "$part" \
			--exclude='*/kernel/sound' \
			--exclude='*/kernel/drivers/gpu' \
			--exclude='*/kernel/drivers/media' \
			--exclude='*/kernel/drivers/staging' \
			--exclude='*/kernel/drivers/net/wireless' \
			./boot ./lib/modules
		depmod -b "$part" "$(ls "$part/lib/modules")"
		"$top/tools/guest/extract-vmlinux" "$part"/boot/vmlinuz-* \
			"$part/boot/vmlinux"
		readelf -n "$part/boot/vmlinux" 2>/dev/null |
			grep 'Xen.*0x00000012' >/dev/null ||
			die "the kernel of $kernel has no PVH entry"
		mv "$part" "$tree"
	fi
	echo "$tree"
}

# add_modules KERNEL-TREE TREE MODULE...: copy modules with what they depend
# on, and index them for modprobe
add_modules()
{
	local kernel=$1 tree=$2 version files f

	shift 2
	version=$(ls "$kernel/lib/modules")
	files=$(modprobe -C /dev/null -d "$kernel" -S "$version" -a \
		--show-depends "$@" | awk '$1 == "insmod" { print $2 }' |
		sort -u)
	for f in $files; do
		f=${f#"$kernel"/}
		install -D -m 644 "$kernel/$f" "$tree/$f"
	done
	cp "$kernel/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} \
		"$tree/lib/modules/$version/"
	depmod -b "$tree" "$version"
}

# add_libraries TREE PACKAGES-TREE: copy the shared libraries that the programs
# in TREE need, out of PACKAGES-TREE, where all packages are unpacked
add_libraries()
{
	local tree=$1 from=$2 lib found=yes

	while [ -n "$found" ]; do
		found=
		for lib in $(find "$tree/usr/bin" "$tree/usr/sbin" "$tree/usr/lib" \
			-type f ! -name '*.ko' -exec readelf -dl {} + 2>/dev/null |
			sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' | sort -u); do
			[ -z "$(find "$tree/usr/lib" -name "$lib")" ] || continue
			found=$(find "$from" -name "$lib" | head -n 1)
			[ -n "$found" ] ||
				die "no package listed in this script has $lib"
			install -D -m 755 "$(realpath "$found")" \
				"$tree/usr/lib/x86_64-linux-gnu/$lib"
		done
	done
}

# add_program TREE SOURCE: compile one of our own programs
add_program()
{
	gcc -std=c17 -Wall -Wextra -Werror -Os -static -s -I "$top/src/ctl" \
		"$2" -o "$1/usr/sbin/$(basename "$2" .c)"
}

# pack TREE FILE: the initramfs. Not compressed: a guest under nested emulation
# takes longer to decompress it than its VMM does to read it from a file.
pack()
{
	(cd "$1" && find . -mindepth 1 | LC_ALL=C sort |
		cpio -o -H newc -R 0:0 --reproducible --quiet) >"$2"
}

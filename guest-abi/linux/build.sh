#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the guest kernel: Debian's Linux source + our architecture port as new files, no patches.
#
#   build.sh OUT_DIR     OUT_DIR/vmlinux         the image the VMM loads, with symbols
#                        OUT_DIR/vmlinux.debug   its DWARF; gdb finds it by itself
#                        OUT_DIR/vmlinux-gdb.py, scripts/gdb   Linux's own commands for gdb (lx-ps, lx-dmesg, ...)
#                        OUT_DIR/src             unpacked source with the overlay (made once per tarball)
#                        OUT_DIR/obj             object files (incremental)
# Environment:
#   PANDO_LINUX_TARBALL       default /usr/src/linux-source-6.12.tar.xz
#   PANDO_KERNEL_JOBS         default: number of CPUs and one
#   PANDO_KERNEL_DEBUG_INFO   0: no DWARF; 1 (default): lines and types; 2: also where local variables are (half as
#                             slow again to build)
#   PANDO_KERNEL_CONFIG       one more fragment of options, e.g. for a debug kernel
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath -m "${1:?usage: build.sh OUT_DIR}")
tarball=${PANDO_LINUX_TARBALL:-/usr/src/linux-source-6.12.tar.xz}
jobs=${PANDO_KERNEL_JOBS:-$(($(nproc) + 1))}
debug_info=${PANDO_KERNEL_DEBUG_INFO:-1}

fail() {
	echo "guest-kernel: $*" >&2
	exit 2
}

# Other architectures and the C files of drivers that no guest has; Kconfig needs all Kconfig files.
unpack() {
	local stamp="$out/src/.unpacked-from" id
	id=$(stat -c '%n %s %Y' "$tarball")
	[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$id" ] && return
	rm -rf "$out/src" "$out/src.new"
	mkdir -p "$out/src.new"
	local skip=() d
	for d in tools/testing tools/perf; do
		skip+=(--exclude="linux-source-*/$d/*")
	done
	for d in gpu media staging infiniband scsi usb iio hwmon clk pinctrl sound crypto ata mtd \
		 video soc thermal regulator platform phy power input i2c spi rtc leds mfd isdn; do
		skip+=(--exclude="linux-source-*/drivers/$d/*.[chS]")
	done
	skip+=(--exclude='linux-source-*/drivers/net/*/*.[chS]')	# loopback.c is needed
	for d in alpha arc arm arm64 csky hexagon loongarch m68k microblaze mips nios2 openrisc parisc \
		 powerpc riscv s390 sh sparc xtensa; do
		skip+=(--exclude="linux-source-*/arch/$d/*.[chS]")
	done
	XZ_DEFAULTS=-T0 tar xf "$tarball" -C "$out/src.new" --strip-components=1 "${skip[@]}" \
		--exclude='linux-source-*/sound/*.[ch]' --exclude='linux-source-*/Documentation/*.rst' \
		--exclude='linux-source-*/Documentation/devicetree/*' --exclude='linux-source-*/Documentation/ABI/*' \
		--exclude='*/dts/*'
	# make would visit the 150 folders below these as well, and archive nothing in each of them
	for d in media gpu clk soc; do
		echo '# not unpacked' >"$out/src.new/drivers/$d/Makefile"
	done
	echo "$id" >"$out/src.new/.unpacked-from"
	mv "$out/src.new" "$out/src"
}

# Unchanged files keep their time stamps, so make rebuilds what changed and nothing else.
overlay() {
	rsync -rc --delete --exclude=/include/guest_abi "$here/arch/pando/" "$out/src/arch/pando/"
	rsync -rc --delete "$here/../include/guest_abi/" "$out/src/arch/pando/include/guest_abi/"
}

kmake() {
	local cc=${CC:-gcc}
	command -v ccache >/dev/null && cc="ccache $cc"
	# fixed strings: an unchanged kernel is bit for bit the same, on every node, in every folder and for ccache
	local flags="-fdebug-prefix-map=$out=/pando"
	# where in a macro a diagnostic comes from, and columns: a tenth of the build's time
	local cflags="$flags -ftrack-macro-expansion=0 -gno-column-info"
	cflags+=" -Wno-attribute-alias -Wno-tautological-compare"	# pragmas in macros no longer do it
	[ "$debug_info" = 2 ] || cflags+=" -fno-var-tracking"
	# what make needs for its dependencies serves ccache as well: no file is preprocessed a second time
	export CCACHE_DEPEND=1
	make -s -C "$out/src" O="$out/obj" ARCH=pando CC="$cc" HOSTCC="$cc" -j"$jobs" KCFLAGS="$cflags" KAFLAGS="$flags" \
		KBUILD_BUILD_TIMESTAMP='2026-01-01' KBUILD_BUILD_USER=pando KBUILD_BUILD_HOST=pando "$@"
}

configure() {
	local wanted="$out/wanted.config"
	{
		if [ "$debug_info" != 0 ]; then
			sed /CONFIG_DEBUG_INFO_NONE=y/d "$here/kernel.config"
			echo CONFIG_DEBUG_INFO_DWARF5=y
			echo CONFIG_GDB_SCRIPTS=y
		else
			cat "$here/kernel.config"
		fi
		if [ -n "${PANDO_KERNEL_CONFIG:-}" ]; then
			cat "$PANDO_KERNEL_CONFIG"
		fi
	} >"$wanted.new"
	if [ -f "$out/obj/.config" ] && cmp -s "$wanted.new" "$wanted" &&
	   [ -z "$(find "$here/arch/pando" -name 'Kconfig*' -newer "$out/obj/.config")" ]; then
		rm "$wanted.new"
		return
	fi
	mkdir -p "$out/obj"
	kmake KCONFIG_ALLCONFIG="$wanted.new" allnoconfig
	check_config "$wanted.new"
	mv "$wanted.new" "$wanted"
}

# An option that Kconfig dropped without a word would be missed much later.
check_config() {
	local line missing=
	while read -r line; do
		case $line in
		CONFIG_*=*) grep -qxF "$line" "$out/obj/.config" || missing+=" ${line%%=*}" ;;
		esac
	done <"$1"
	[ -z "$missing" ] || fail "not in the resulting configuration:$missing"
}

# The image without DWARF is what is loaded, hashed and shipped at every boot.
split_debug_info() {
	local image=$out/obj/vmlinux
	if [ "$debug_info" = 0 ]; then
		rm -rf "$out/vmlinux.debug" "$out/vmlinux-gdb.py" "$out/scripts"
		cmp -s "$image" "$out/vmlinux" || cp "$image" "$out/vmlinux"
		return
	fi
	[ -f "$out/vmlinux.debug" ] && [ "$out/vmlinux.debug" -nt "$image" ] && [ "$out/vmlinux" -nt "$image" ] && return
	objcopy --only-keep-debug "$image" "$out/vmlinux.debug.new"
	mv "$out/vmlinux.debug.new" "$out/vmlinux.debug"	# by this name: it is written into the image
	objcopy --strip-debug --add-gnu-debuglink="$out/vmlinux.debug" "$image" "$out/vmlinux.new"
	mv "$out/vmlinux.new" "$out/vmlinux"
}

gdb_scripts() {
	[ "$debug_info" = 0 ] && return
	mkdir -p "$out/scripts/gdb/linux"
	rsync -rcL --delete --include='*.py' --exclude='*' "$out/obj/scripts/gdb/linux/" "$out/scripts/gdb/linux/"
	cat "$out/src/scripts/gdb/vmlinux-gdb.py" "$here/gdb-additions.py" >"$out/vmlinux-gdb.py"
}

[ -f "$tarball" ] || fail "no $tarball: install the package linux-source-6.12"
command -v rsync >/dev/null || fail "rsync is missing: install the package rsync"
mkdir -p "$out"
exec 9>"$out/.lock"
flock 9
unpack
overlay
configure
targets=(vmlinux)
[ "$debug_info" = 0 ] || targets+=(scripts_gdb)
kmake "${targets[@]}"
split_debug_info
gdb_scripts

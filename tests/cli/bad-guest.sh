# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Mistakes that only the node's VMM can see: still one sentence that names the file or key and the remedy, status 2, and
# nothing is left.
kernel=$BUILD/guest/vmlinux
remedy='give the vmlinux that tools/build makes in build/guest'
node='[[node]]
name = "a"
memory = "256MiB"
vcpus = 1'
echo "$node" >good.toml

# broken NAME PYTHON: a copy of the kernel, changed by a statement about `image`, a bytearray
broken() {
  python3 -c 'import sys
image = bytearray(open(sys.argv[1], "rb").read())
exec(sys.argv[2])
open(sys.argv[3], "wb").write(image)' "$kernel" "$2" "$1"
}
note='b"Pando\0\0\0"'
broken half 'del image[len(image) // 2:]'
broken version-99 "at = image.index($note) + 8; image[at:at + 4] = b'\\x63\\0\\0\\0'"
broken no-note "at = image.index($note); image[at:at + 5] = b'Other'"
broken low 'image[24:32] = b"\0" * 8'

mistake "node a: half: is truncated or corrupt; $remedy" run good.toml --kernel half -- true
layout_h="$(dirname "${BASH_SOURCE[0]}")/../../guest-abi/include/guest_abi/layout.h"
version=$(awk '$2 == "PANDO_ABI_VERSION" { print $3 }' "$layout_h")
mistake "node a: version-99: speaks guest ABI version 99, this VMM version $version; $remedy" \
  run good.toml --kernel version-99 -- true
mistake "node a: no-note: is not a Pando guest kernel (no ABI note); $remedy" run good.toml --kernel no-note -- true
mistake "node a: low: has no valid entry point; $remedy" run good.toml --kernel low -- true

# An archive that is larger than the node's memory.
python3 -c 'import sys
sys.stdout.buffer.write(b"070701" + b"0" * 104)
sys.stdout.buffer.truncate(300 << 20)' >large.cpio
mistake "node a: initrd: has 300 MiB and does not fit into the first node's memory of 256 MiB: raise \`memory\` of the first node" \
  run good.toml --initrd large.cpio -- true

# A host, or a container, that refuses userfaultfd.
printf '%s\nlaunch = ["%s"]\n' "$node" "$PWD/without-userfaultfd" >refused.toml
cp "$(dirname "${BASH_SOURCE[0]}")/without-userfaultfd" .
run_pando 30 run refused.toml -- true </dev/null
expect_status 2 "userfaultfd refused"
[[ $(wc -l <err) == 1 && ! -s out ]] || { show; fail "one sentence was expected"; }
expect_err_has "pando: node a: a stub process may not use userfaultfd (Operation not permitted): the host kernel needs CONFIG_USERFAULTFD and no filter against userfaultfd(2)"

# The least memory that the cluster file accepts is enough.
run_pando 60 run good.toml --memory 64MiB -- true </dev/null
expect_status 0 "64 MiB"

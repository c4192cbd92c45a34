# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Mistakes of the user that need no guest: one sentence that names the place and the remedy, status 2.
kernel=$BUILD/guest/vmlinux
node='[[node]]
name = "a"
memory = "256MiB"
vcpus = 1'
remedy='name another one, or make it with tools/build'

echo "$node" >good.toml
printf '%s\n%s\n' "$node" 'vcpu = 2' >unknown.toml
printf 'kernel = "nothing"\n%s\n' "$node" >missing-kernel.toml
printf 'kernel = "good.toml"\n%s\n' "$node" >bad-kernel.toml
printf 'initrd = "nothing"\n%s\n' "$node" >missing-initrd.toml
printf 'initrd = "good.toml"\n%s\n' "$node" >bad-initrd.toml
printf '[[node]]\nname = "a"\nmemory = "1MiB"\nvcpus = 1\n' >small.toml
printf '%s\nprogram = "/nowhere/pando-dsm"\n' "$node" >no-agent.toml
printf '%s\nlaunch = ["nowhere-to-be-found"]\n' "$node" >no-launch.toml
printf '[security]\ndirectory = "certs"\n%s\n' "$node" >no-certs.toml

mistake "nothing.toml: cannot be read (No such file or directory); name a cluster file" run nothing.toml -- true
mistake "unknown.toml:5:1: unknown key 'vcpu' in [node]; did you mean 'vcpus'?" run unknown.toml -- true
mistake "small.toml:3:10: memory: is out of range; use 64MiB to 4TiB" run small.toml -- true
mistake "nothing: kernel cannot be read (No such file or directory); $remedy" run missing-kernel.toml -- true
mistake "good.toml: kernel is no x86-64 ELF kernel image; $remedy" run bad-kernel.toml -- true
[[ -e $kernel ]] || fail "$kernel is missing; build the target guest-kernel"
mistake "nothing: initrd cannot be read (No such file or directory); $remedy" run missing-initrd.toml -- true
mistake "good.toml: initrd is no cpio archive (newc, plain or compressed); make one with pando pack" \
  run bad-initrd.toml -- true
mistake "certs/ca.pem: cannot be read (No such file or directory); make it with: pando init FILE.toml" \
  run no-certs.toml -- true
mistake "node a: cannot start '/nowhere/pando-dsm serve': No such file or directory; correct launch or program, or build it with tools/build" \
  run no-agent.toml -- true
mistake "node a: cannot start 'nowhere-to-be-found $BUILD/bin/pando-dsm serve': No such file or directory; correct launch or program, or build it with tools/build" \
  run no-launch.toml -- true
mistake "--vcpus: is out of range; docs/config.md has the limits of 'vcpus'" run good.toml --vcpus 65 -- true
mistake "--memory: 'much' is no size; write it as in 512MiB" run good.toml --memory much -- true
mistake "--timeout: 'soon' is no time; write it as in 90s" run good.toml --timeout soon -- true
mistake "--env: 'X' is no variable; write NAME=value" run good.toml -e X -- true
mistake "cluster good is not running; none is" down good
mistake "no cluster is running; start one with: pando up FILE.toml --detach" console
mistake "no cluster is running; start one with: pando up FILE.toml --detach" top
mistake "--time: 'soon' is no time from 100ms to 1h; write it as in 10s" trace --time soon
mistake "nothing: cannot be read (No such file or directory); make it with: pando trace --recording -o FILE" report --from nothing
mistake "good.toml: is no recording; make one with: pando trace --recording -o FILE" report --from good.toml
mistake "'../x' is no cluster name; pando status lists the running ones" logs ../x
mistake "completion: 'fish' is not known; use bash or zsh" completion fish
mistake "good.toml: has no security.directory; add it, or name the folder with -o FOLDER" init good.toml
mistake "nothing: is not a folder; name the folder that becomes the guest's root" pack nothing -o x.cpio

# Mistakes in the command line itself.
for arguments in "" "frobnicate" "run" "run good.toml" "up --frobnicate good.toml" "down a b"; do
  # shellcheck disable=SC2086
  run_pando 20 $arguments </dev/null
  expect_status 2 "pando $arguments"
  [[ $(wc -l <err) == 1 && ! -s out ]] || { show; fail "pando $arguments: one sentence was expected"; }
  expect_err_has "see pando --help"
done

run_pando 20 --help
expect_status 0 "pando --help"
for command in check up run console status top trace report gdb logs down init pack completion; do
  grep -q "^  $command " out || { show; fail "--help lacks $command"; }
done
run_pando 20 status
expect_status 0 "pando status"
expect_out "no cluster is running"

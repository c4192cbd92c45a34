# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Subcommands that need no guest: init, pack, completion, check.
printf '[security]\ndirectory = "certs"\n[[node]]\nname = "a"\nmemory = "256MiB"\nvcpus = 1\n' >certs.toml
run_pando 20 init certs.toml
expect_status 0 init
for name in ca operator a; do
  [[ $(stat -c %a "certs/$name.key") == 600 ]] || fail "certs/$name.key may be read by others"
done
for name in operator a; do
  openssl verify -CAfile certs/ca.pem "certs/$name.pem" >/dev/null || fail "certs/$name.pem is not signed by the authority"
done
before=$(sha256sum certs/ca.pem)
run_pando 20 init certs.toml
[[ $(sha256sum certs/ca.pem) == "$before" ]] || fail "a second init replaced the authority"

mkdir -p tree/sub
echo content >tree/sub/file
run_pando 20 pack tree -o tree.cpio.gz
expect_status 0 pack
mkdir back
(cd back && zcat ../tree.cpio.gz | cpio -idm --quiet)
diff -r tree back || fail "the packed folder came back different"

run_pando 20 completion bash
expect_status 0 completion
mapfile -t COMPREPLY < <(
  # shellcheck source=/dev/null
  source out
  COMP_WORDS=(pando st) COMP_CWORD=1
  _pando
  printf '%s\n' "${COMPREPLY[@]}"
)
[[ ${COMPREPLY[*]} == status ]] || fail "completion of 'st' is '${COMPREPLY[*]}'"
run_pando 20 completion zsh
grep -q '^#compdef pando' out || fail "no zsh completion"

run_pando 60 check certs.toml
expect_status 0 check
grep -q '^ok .*a: can listen on' out || { show; fail "check says nothing of the port"; }
printf '[[node]]\nname = "a"\nmemory = "256MiB"\nvcpus = 1\nlisten = "192.0.2.1:7711"\n' >foreign.toml
run_pando 60 check foreign.toml
expect_status 2 "check with a foreign address"
grep -q '^error .*cannot listen on 192.0.2.1:7711: Cannot assign requested address; correct listen' out ||
  { show; fail "check does not name the address"; }
run_pando 60 check --json foreign.toml
expect_status 2 "check --json"
grep -q '"severity": "error"' out || { show; fail "no JSON"; }

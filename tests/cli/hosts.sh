# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Nodes on hosts of their own (network namespaces), TLS with lasting certificates, unequal nodes, plain processes.
tools=$CONFIGS/../tools
mount -t tmpfs none /run 2>/dev/null || fail "cannot mount a private /run"
mkdir -p /run/netns
export PANDO_NETNS_PREFIX=pando
status=0
timeout -k 5 100 "$tools/namespaces" run 2 -- "$PANDO" run "$CONFIGS/namespaces.toml" -- nproc >out 2>err </dev/null ||
  status=$?
expect_status 0 "two namespaces"
expect_out 4
[[ -z $(ip netns list) ]] || fail "namespaces are left: $(ip netns list)"

for nodes in one:2 two:4 three:3 four:4; do
  run_pando 60 run "$CONFIGS/${nodes%:*}-node$([[ ${nodes%:*} == one ]] || echo s).toml" -- nproc </dev/null
  expect_status 0 "${nodes%:*} nodes"
  expect_out "${nodes#*:}"
done

run_pando 60 run "$CONFIGS/unequal.toml" -- sh -c 'cat /sys/devices/system/node/node*/cpulist' </dev/null
expect_status 0 "unequal nodes"
expect_out $'0\n1-3'

sed 's/^name = "two"/&\n[security]\ndirectory = "certs"/' "$CONFIGS/two-nodes.toml" >tls.toml
run_pando 20 init tls.toml
run_pando 60 run tls.toml -- nproc </dev/null
expect_status 0 "lasting certificates"
expect_out 4
# A node with the certificate of another cluster is refused.
mv certs/b.pem good.pem && mv certs/b.key good.key
sed 's/"certs"/"foreign"/' tls.toml >foreign.toml
run_pando 20 init foreign.toml
cp foreign/b.pem foreign/b.key certs/
run_pando 60 run tls.toml -- nproc </dev/null
[[ $status != 0 ]] || fail "a foreign certificate was accepted"

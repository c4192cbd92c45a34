# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# pando run on one node: status, outputs, input, environment, folder, limits.
one=$CONFIGS/one-node.toml

status_of() {
  local expected=$1
  shift
  run_pando 60 run "$one" -- "$@" </dev/null
  expect_status "$expected" "run $*"
}
status_of 0 true
status_of 1 false
status_of 42 sh -c 'exit 42'
status_of 255 sh -c 'exit 255'
status_of 137 sh -c 'kill -9 $$'
status_of 127 no-such-program
expect_err_has "cannot run no-such-program"

run_pando 60 run "$one" -- sh -c 'echo to stdout; echo to stderr >&2' </dev/null
expect_status 0 "two outputs"
expect_out "to stdout"
[[ $(<err) == "to stderr" ]] || { show; fail "stderr is not alone"; }

printf 'first\nsecond' >input
run_pando 60 run "$one" -- cat <input
expect_status 0 "input"
expect_out $'first\nsecond'

run_pando 60 run "$one" -e GREETING='a b' --cwd /tmp -- sh -c 'echo "$GREETING"; pwd' </dev/null
expect_status 0 "environment and folder"
expect_out $'a b\n/tmp'

for vcpus in 1 2 4; do
  run_pando 60 run "$one" --vcpus "$vcpus" -- nproc </dev/null
  expect_status 0 "nproc with $vcpus"
  expect_out "$vcpus"
done

# 3 MB through the console, byte by byte the same.
run_pando 100 run "$one" -- sh -c 'yes "a line of 32 bytes, more or less" | head -n 100000' </dev/null
expect_status 0 "much output"
[[ $(sha256sum <out) == $(yes "a line of 32 bytes, more or less" | head -n 100000 | sha256sum) ]] ||
  fail "output of $(wc -c <out) bytes differs"

run_pando 60 run "$one" --timeout 2s -- sleep 1000 </dev/null
expect_status 124 "time limit"
expect_err_has "the time limit was reached"

# A reader that goes away ends the guest.
status=0
timeout -k 5 60 "$PANDO" run "$one" -- yes 2>err </dev/null | head -n 1 >out || status=$?
expect_out y

# Of a run that ended by itself not even logs stay.
remains=("$XDG_RUNTIME_DIR"/pando/*)
[[ ! -e ${remains[0]} ]] || fail "left in the runtime folder: ${remains[*]}"

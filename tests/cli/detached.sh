# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A cluster in the background: up --detach, status, console, logs, down; and its keeper killed.
two=$CONFIGS/two-nodes.toml
run_pando 60 up "$two" --detach </dev/null
expect_status 0 "up --detach"
mistake "cluster two is running already; end it with: pando down two" up "$two" --detach

run_pando 20 status
expect_status 0 status
grep -qE '^  a +127.0.0.1:[0-9]+ +running' out && grep -qE '^  b +127.0.0.1:[0-9]+ +running' out ||
  { show; fail "status does not show both nodes"; }
run_pando 20 status --json two
expect_status 0 "status --json"
grep -q '"phase": "PHASE_RUNNING"' out || { show; fail "no JSON"; }

# The shell of the guest's console answers.
mkfifo keys
"$PANDO" console two <keys >console.out 2>console.err &
console_pid=$!
exec 7>keys
echo 'echo $((40 + 2))-nproc-$(nproc)' >&7
wait_until 30 grep -q '42-nproc-4' console.out || { cat console.out console.err >&2; fail "the console does not answer"; }
kill -TERM "$console_pid"
wait "$console_pid" || :
exec 7>&-
run_pando 20 status two
expect_status 0 "status after the console has left"

run_pando 20 logs two --node b
expect_status 0 logs
run_pando 60 down two
expect_status 0 down
expect_nothing_left
run_pando 20 logs two
expect_status 0 "logs after the end"

# Without its keeper the cluster ends.
run_pando 60 up "$two" --detach </dev/null
expect_status 0 "up --detach again"
keeper=$(pgrep --full 'pando hold')
[[ $keeper =~ ^[0-9]+$ ]] || fail "there is no keeper"
kill -9 "$keeper"
wait_until 10 nothing_left || fail "kill -9 of the keeper leaves processes: ${left[*]}"
run_pando 20 status
expect_out "no cluster is running"
look_for_state

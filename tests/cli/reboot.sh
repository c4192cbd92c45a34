# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A guest that reboots starts again, attached and in the background; with --no-reboot, and under pando run, it ends.
one=$CONFIGS/one-node.toml
mkfifo keys

# The console of a first command: a fresh guest has no /tmp/mark.
fresh='[ -e /tmp/mark ] && echo old-$((40 + 2)) || echo fresh-$((40 + 2)); touch /tmp/mark'

"$PANDO" up "$one" <keys >console.out 2>console.err &
up_pid=$!
exec 7>keys
say_console() { cat console.out console.err >&2; }
fresh_boots() { [[ $(grep -c 'fresh-42' console.out) == "$1" ]]; }
started_again() { grep -q 'it is started again' console.err; }
echo "$fresh" >&7
wait_until 60 fresh_boots 1 || { say_console; fail "the guest did not come up"; }
echo "$fresh" >&7
wait_until 30 grep -q 'old-42' console.out || { say_console; fail "the mark is not seen"; }
echo reboot >&7
wait_until 30 started_again || { say_console; fail "the reboot is not noticed"; }
echo "$fresh" >&7
wait_until 60 fresh_boots 2 || { say_console; fail "the guest did not start again"; }
echo poweroff >&7
status=0
wait "$up_pid" || status=$?
exec 7>&-
[[ $status == 0 ]] || { say_console; fail "status $status after the power-off of the second life"; }
expect_nothing_left

# Started again by its keeper, from another folder than the cluster file's.
ask() {
  mkfifo "keys-$1"
  "$PANDO" console one <"keys-$1" >"out-$1" 2>"err-$1" &
  console_pid=$!
  exec 7>"keys-$1"
  echo "$2" >&7
  wait_until 30 grep -q "$3" "out-$1" || { cat "out-$1" "err-$1" >&2; fail "the console does not say $3"; }
  kill -TERM "$console_pid"
  wait "$console_pid" || :
  exec 7>&-
}
run_pando 60 up "$one" --detach </dev/null
expect_status 0 "up --detach"
first=$(pgrep --full 'pando-dsm serve')
ask first "$fresh" fresh-42
ask reboot 'echo now-$((40 + 2)); reboot' now-42
another_agent() {
  local now
  now=$(pgrep --full 'pando-dsm serve') && [[ $now != "$first" ]] && "$PANDO" status one >out 2>err
}
wait_until 60 another_agent || fail "the keeper does not start the cluster again"
ask second "$fresh" fresh-42
run_pando 60 down one
expect_status 0 down
expect_nothing_left

# Scripts want an end.
run_pando 60 up "$one" --no-reboot < <(echo reboot)
expect_status 0 "up --no-reboot"
expect_err_has "pando: the guest asked for a reboot"
run_pando 60 run "$one" -- sh -c 'reboot -f'
expect_status 0 "run with a reboot"
expect_err_has "pando: the guest asked for a reboot"

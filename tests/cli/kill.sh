# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# kill -9 of each kind of process, under load, on two nodes: everything ends within 3 s, the message names the node, and
# nothing is left.
two=$CONFIGS/two-nodes.toml
load='echo up; while :; do /bin/true; done & while :; do /bin/true; done & wait'

start() {
  : >out
  "$PANDO" run "$two" -- sh -c "$load" >out 2>err </dev/null &
  pando_pid=$!
  wait_until 60 grep -q up out || { status=none; show; fail "the guest did not come up"; }
}

# children PID NAME: processes of that name below PID, by age
children() { pgrep --parent "$1" --full "$2" || true; }

# pid_of KIND NODE-INDEX
pid_of() {
  local agent
  agent=$(children "$pando_pid" 'pando-dsm serve' | sed -n "$(($2 + 1))p")
  case $1 in
    pando) echo "$pando_pid" ;;
    agent) echo "$agent" ;;
    vmm) children "$agent" pando-vmm | head -n 1 ;;
    nursery) pgrep --parent "$(children "$agent" pando-vmm | head -n 1)" | head -n 1 ;;
  esac
}

# In sessions of their own the host's scheduler would starve some (docs/design/0007).
expect_one_session() {
  local agents
  mapfile -t agents < <(children "$pando_pid" 'pando-dsm serve')
  ((${#agents[@]} == 2)) || fail "there are ${#agents[@]} agents, not 2"
  [[ $(ps -o sid= "${agents[@]}" | sort -u | wc -l) == 1 ]] || fail "the nodes have sessions of their own"
}

ended() { ! kill -0 "$pando_pid" 2>/dev/null; }

for kind in agent vmm nursery; do
  for index in 0 1; do
    start
    expect_one_session
    victim=$(pid_of "$kind" "$index")
    [[ $victim =~ ^[0-9]+$ ]] || fail "there is no $kind number $index"
    kill -9 "$victim"
    wait_until 3 ended || fail "kill -9 of $kind $index: pando still runs after 3 s"
    status=0
    wait "$pando_pid" || status=$?
    expect_status 120 "kill -9 of $kind $index"
    expect_err_has "node $([[ $index == 0 ]] && echo a || echo b)"
    ended_name=$(sed -n 's/^pando: what the nodes have logged: pando logs //p' err)
    run_pando 20 logs "$ended_name"
    expect_status 0 "logs of $ended_name"
    expect_nothing_left
  done
done

start
kill -9 "$pando_pid"
wait "$pando_pid" || :
wait_until 3 nothing_left || fail "kill -9 of pando leaves processes: ${left[*]}"
# What it could not remove any more goes with the next look.
run_pando 20 status
expect_out "no cluster is running"
look_for_state

start
kill -INT "$pando_pid"
wait_until 5 ended || fail "Ctrl-C: pando still runs"
status=0
wait "$pando_pid" || status=$?
expect_status 130 "Ctrl-C"

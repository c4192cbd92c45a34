# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Waiting that ends: a node that never listens, a launch command that fails.
node='[[node]]
name = "slow"
memory = "256MiB"
vcpus = 1'
printf '[timeouts]\nlaunch = "500ms"\n%s\nlaunch = ["sh", "-c", "sleep 1000"]\n' "$node" >silent.toml
run_pando 20 run silent.toml -- true </dev/null
expect_status 121 "a node that never listens"
expect_err_has "node slow: the agent did not listen within 0.50 s; try the node's launch command by hand, or raise timeouts.launch"
expect_nothing_left

printf '%s\nlaunch = ["sh", "-c", "echo no route to host >&2; exit 255"]\n' "$node" >refused.toml
run_pando 20 run refused.toml -- true </dev/null
expect_status 2 "a launch command that fails"
expect_err_has "ended with status 255 before the agent listened: no route to host"

printf '%s\nlisten = "192.0.2.1:7711"\n' "$node" >foreign.toml
run_pando 20 run foreign.toml -- true </dev/null
expect_status 2 "an address of another host"
expect_err_has "node slow: "
expect_err_has "192.0.2.1:7711"

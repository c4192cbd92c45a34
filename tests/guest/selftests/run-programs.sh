#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the guest: runs every program of the list with a time limit; one line "@@ NAME STATUS FAILED-SUBTESTS" each.
# Usage: run-programs.sh SECONDS [NAME...]
limit=$1
shift
cd /tmp || exit 1
grep -v '^#' /pando/selftests/programs | while read -r name arguments; do
  [ -x "/pando/selftests/$name" ] || continue
  if [ $# -gt 0 ]; then
    case " $* " in *" $name "*) ;; *) continue ;; esac
  fi
  # shellcheck disable=SC2086 # the arguments are words
  timeout -s KILL "$limit" "/pando/selftests/$name" $arguments > /tmp/selftest.out 2>&1 < /dev/null
  status=$?
  [ "$status" = 0 ] || tail -n 12 /tmp/selftest.out
  echo "@@ $name $status $(grep -c '^[[:space:]]*not ok\|^\[FAIL\]' /tmp/selftest.out)"
done

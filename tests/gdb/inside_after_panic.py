# SPDX-License-Identifier: Apache-2.0
"""A debugger that comes to a guest that has panicked already."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from inside import expect, go, run, steps, stopped_on  # noqa: E402


def sees_the_panic():
    expect(stopped_on() == (3, "b"), run("info threads"))
    expect("panic" in run("backtrace"), run("backtrace"))
    how = go("continue")
    expect(how == "SIGABRT", f"stopped by {how}")
    run("detach")


steps(sees_the_panic)

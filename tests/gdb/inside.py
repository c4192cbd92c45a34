# SPDX-License-Identifier: Apache-2.0
"""For the scripts that gdb runs."""
import os
import re
import time
import traceback

import gdb


def run(command):
    return gdb.execute(command, to_string=True)


def go(command):
    """Lets the guest run until it stops; the signal's name if it was one, else what stopped it."""
    events = []
    gdb.events.stop.connect(events.append)
    try:
        print(run(command), flush=True)
    finally:
        gdb.events.stop.disconnect(events.append)
    if not events:
        return "no stop"
    return getattr(events[-1], "stop_signal", type(events[-1]).__name__)


def value(expression):
    return int(gdb.parse_and_eval(expression))


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def expect_error(command, *texts):
    try:
        said = run(command)
    except gdb.error as error:
        said = str(error)
    else:
        raise AssertionError(f"'{command}' was not refused: {said}")
    expect(all(text in said for text in texts), f"'{command}' says '{said}', not {texts}")


def guest(line):
    """A command for the guest's shell, carried out as soon as the guest runs."""
    with open(os.environ["PANDO_TEST_INPUT"], "w", encoding="utf-8") as file:
        file.write(line + "\n")


def guest_output():
    with open(os.environ["PANDO_TEST_OUTPUT"], encoding="utf-8", errors="replace") as file:
        return file.read()


def threads():
    return sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num)


def stopped_on():
    """The virtual CPU that stopped, and its node."""
    name = gdb.selected_thread().name
    match = re.fullmatch(r"cpu(\d+) \(node (\w+)\)", name)
    expect(match, f"a thread is called '{name}'")
    expect(gdb.selected_thread().num == int(match[1]) + 1, f"thread {gdb.selected_thread().num} is '{name}'")
    return int(match[1]), match[2]


def function():
    return gdb.newest_frame().name()


def steps(*functions):
    """Runs them in this order and says how long each took."""
    gdb.execute("set pagination off")
    gdb.execute("set confirm off")
    gdb.execute("set width 0")
    try:
        for one in functions:
            begin = time.monotonic()
            one()
            print(f"ok {one.__name__} {time.monotonic() - begin:.1f} s", flush=True)
        print("@@all good", flush=True)
    except BaseException:  # KeyboardInterrupt too: everything but the last line means failure
        traceback.print_exc()
        print(run("info threads"))

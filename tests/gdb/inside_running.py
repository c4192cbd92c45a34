# SPDX-License-Identifier: Apache-2.0
"""What a kernel hacker does to a running guest of two nodes, a and b, with the CPUs 0, 1 and 2, 3."""
import os
import re
import subprocess
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from inside import (expect, expect_error, function, go, guest, guest_output, run, steps, stopped_on, threads,  # noqa: E402
                    value)

CPUS = 4
TIMES_PER_CPU = 25


def threads_are_cpus():
    names = [thread.name for thread in threads()]
    expect(names == ["cpu0 (node a)", "cpu1 (node a)", "cpu2 (node b)", "cpu3 (node b)"], f"threads are {names}")
    said = run("info threads")
    expect("kernel code, pid" in said, said)


def second_debugger_is_refused():
    second = subprocess.run([os.environ["PANDO_TEST_PANDO"], "gdb", "--arguments=-batch"],
                            capture_output=True, text=True, timeout=30, check=False)
    expect(second.returncode == 2 and "another debugger is attached" in second.stderr,
           f"second debugger: {second.returncode} {second.stderr} {second.stdout}")
    expect("kernel code" in run("info threads"), "the first debugger is disturbed")


def monitor_commands():
    expect("monitor commands" in run("monitor help"), "help")
    nodes = run("monitor nodes")
    expect(re.search(r"node 0 a: memory 0x0 .* cpus 0 \.\. 1, runs", nodes), nodes)
    expect(re.search(r"node 1 b: memory 0x10000000 .* cpus 2 \.\. 3, runs", nodes), nodes)
    expect(run("monitor vcpus").count("(node b)") == 2, "vcpus")
    hot = run("monitor hot 5")
    expect(re.search(r"^ +\d+ +\d+\.\d\d +[ab] .*[ab] \d+[rw]", hot, re.MULTILINE), hot)
    expect("usage" in run("monitor hot x"), "hot without a number")
    expect("unknown command" in run("monitor nonsense"), "nonsense")


def breakpoint_is_hit_on_node_b():
    # The shell itself waits in the kernel on some CPU; the child does it on CPU 3.
    point = gdb.Breakpoint("ksys_sync")
    guest("taskset -c 3 sync")
    run("continue")
    expect(stopped_on() == (3, "b"), f"stopped on {stopped_on()}")
    expect(function() == "ksys_sync", f"stopped in {function()}")
    point.delete()


def backtrace_has_names_and_lines():
    said = run("backtrace")
    expect(re.search(r"#0 +ksys_sync \(.*\) at .*/fs/sync\.c:\d+", said), said)
    expect(re.search(r"#\d+ .* at .*/arch/pando/kernel/", said), said)
    expect("ksys_sync" in run("list"), "no source text")


def per_cpu_variables():
    for cpu in range(CPUS):
        expect(value(f'$lx_per_cpu(runqueues, {cpu}).cpu') == cpu, f"runqueues of {cpu}")
        run(f"thread {cpu + 1}")
        expect(value("((struct rq *)((unsigned long)&runqueues + $gs_base))->cpu") == cpu, f"gs_base of {cpu}")
    run("thread 4")


def memory_of_both_nodes():
    for thread in (1, 4):
        run(f"thread {thread}")
        for cpu, node in ((0, "a"), (3, "b")):
            address = value(f'&$lx_per_cpu(process_counts, {cpu})')
            page = run(f"monitor page {address:#x}")
            home = re.search(r"node (\w+): [^\n]*; home:", page)
            expect(home and home[1] == node, page)
            expect("version" in page and "faults" in page, page)
            before = value(f"*(long *){address:#x}")
            for wanted in (0x1234567890abcdef, before):
                run(f"set *(long *){address:#x} = {wanted:#x}")
                run("maintenance flush dcache")
                run(f"thread {5 - thread}")
                expect(value(f"*(long *){address:#x}") == wanted, f"{address:#x} was not written")
                run(f"thread {thread}")
    address = value("&init_uts_ns.name.sysname")
    expect("Linux" in run(f"monitor phys {address - 0x60000000:#x} 10"), "monitor phys")
    expect_error("print *(int *)0x5fffffff0000", "Cannot access memory")


def guest_sees_what_is_written():
    run("set var init_uts_ns.name.nodename[0] = 'X'")
    run("set var init_uts_ns.name.nodename[1] = 0")
    point = gdb.Breakpoint("ksys_sync", temporary=True)
    guest("uname -n; sync")
    run("continue")
    expect(not point.is_valid() and "\nX\n" in guest_output(), f"the guest said {guest_output()}")


class Counter(gdb.Breakpoint):
    """Lets everything go on, and counts."""

    def __init__(self, where):
        super().__init__(where)
        self.by_cpu = {}

    def stop(self):
        cpu = gdb.selected_thread().num - 1
        self.by_cpu[cpu] = self.by_cpu.get(cpu, 0) + 1
        return False


def none_slips_past_a_breakpoint():
    counter = Counter("__se_sys_times")
    end = gdb.Breakpoint("ksys_sync", temporary=True)
    loop = f"i=0; while [ $i -lt {TIMES_PER_CPU} ]; do times >/dev/null; i=$((i+1)); done"
    guest(f"for c in 0 1 2 3; do taskset -c $c sh -c '{loop}' & done; wait; sync")
    run("continue")
    expect(not end.is_valid(), f"stopped elsewhere: {run('backtrace')}")
    expect(counter.by_cpu == {cpu: TIMES_PER_CPU for cpu in range(CPUS)}, f"counted {counter.by_cpu}")
    counter.delete()


def hardware_breakpoint():
    point = gdb.Breakpoint("ksys_sync", type=gdb.BP_HARDWARE_BREAKPOINT)
    guest("taskset -c 2 sync")
    run("continue")
    expect(stopped_on() == (2, "b") and function() == "ksys_sync", f"stopped on {stopped_on()} in {function()}")
    point.delete()


def watchpoint():
    """Without debug registers: gdb steps and compares."""
    gdb.Breakpoint("__se_sys_times", temporary=True)
    guest("taskset -c 2 sh -c times >/dev/null")
    run("continue")
    stack = value("$rsp")
    point = gdb.Breakpoint("$rsp", type=gdb.BP_WATCHPOINT)
    run("continue")
    expect(point.hit_count == 1 and value("$rsp") == stack - 8, run("info breakpoints"))
    run("delete")


def steps_and_finish():
    gdb.Breakpoint("ksys_sync", temporary=True)
    guest("taskset -c 1 sync")
    run("continue")
    expect(stopped_on() == (1, "a"), f"stopped on {stopped_on()}")
    before = value("$pc")
    run("stepi")
    expect(value("$pc") != before and stopped_on() == (1, "a"), "stepi")
    run("next")
    expect(function() == "ksys_sync" and stopped_on() == (1, "a"), f"next led to {function()}")
    run("finish")
    expect(stopped_on() == (1, "a") and function() != "ksys_sync", run("backtrace"))


def interrupt():
    """Stops an endless loop in user code of CPU 3; the test sends the Ctrl-C."""
    guest("taskset -c 3 sh -c 'echo in the loop; while :; do :; done' &")
    for _ in range(5):  # a timer's interrupt may have been first
        print("@@interrupt", flush=True)
        how = go("continue")
        expect(how == "SIGINT", f"stopped by {how}")
        run("thread 4")
        if in_user_code(4):
            break
    expect(in_user_code(4), run("info threads"))


def in_user_code(thread):
    return "user code of pid" in run("info threads").splitlines()[thread]


def registers_of_user_code():
    for name in ("rbx", "r15"):
        before = value(f"${name}")
        run(f"set ${name} = 0x1122334455667788")
        run("maintenance flush register-cache")
        expect(value(f"${name}") == 0x1122334455667788, name)
        run(f"set ${name} = {before}")
    halves = ("$xmm3.v2_int64[0]", "$xmm3.v2_int64[1]")
    before = [value(half) for half in halves]
    for wanted in ([0x42, 0x1234567890abcdef], before):
        for half, number in zip(halves, wanted):
            run(f"set {half} = {number}")
        run("maintenance flush register-cache")
        expect([value(half) for half in halves] == wanted, "xmm3 was not written")
    expect(value("$mxcsr") & 0x1f80 == 0x1f80, f"mxcsr is {value('$mxcsr'):#x}")
    expect(value("$fctrl") == 0x37f, f"fctrl is {value('$fctrl'):#x}")
    run("print $ymm0")
    expect(value("$fs_base") != 0, "no thread pointer")
    # User memory by the task's own page tables.
    run("x/8i $pc")
    run("x/4gx $sp")


def go_to_loop(address):
    """To the breakpoint in the loop of CPU 3; other shells, which are the same program, may come by there."""
    for _ in range(50):
        run("continue")
        expect(value("$pc") == address, run("info threads"))
        if stopped_on() == (3, "b"):
            return
    raise AssertionError(run("info threads"))


def breakpoint_in_a_user_program():
    run("thread 4")
    address = value("$pc")
    point = gdb.Breakpoint(f"*{address:#x}")
    for _ in range(3):
        go_to_loop(address)
    run("stepi")
    expect(value("$pc") != address and stopped_on() == (3, "b"), "stepi in user code")
    # Taken out and put in again while other tasks are current.
    run("set breakpoint always-inserted off")
    gdb.Breakpoint("__se_sys_times", temporary=True)
    point.enabled = False
    guest("taskset -c 0 sh -c times >/dev/null")
    run("continue")
    expect(stopped_on() == (0, "a"), run("info threads"))
    point.enabled = True
    go_to_loop(address)
    point.delete()
    run("set breakpoint always-inserted on")


def linux_scripts():
    for thread in range(1, CPUS + 1):
        run(f"thread {thread}")
        pid = int(re.search(r"pid (\d+)", run("info threads").splitlines()[thread])[1])
        expect(value("$lx_current().pid") == pid, f"$lx_current() of thread {thread} is not {pid}")
    expect(re.search(r"^0x[0-9a-f]+ +1 +init", run("lx-ps"), re.MULTILINE), run("lx-ps"))
    expect("kthreadd" in run("lx-ps"), "lx-ps has no kthreadd")
    expect("Linux version 6.12" in run("lx-dmesg"), "lx-dmesg")
    expect("Linux version 6.12" in run("lx-version"), "lx-version")
    expect("Online CPUs   : [0, 1, 2, 3]" in run("lx-cpus"), run("lx-cpus"))


def leave():
    guest("kill $!; echo left behind")
    run("delete")
    run("detach")


steps(threads_are_cpus, second_debugger_is_refused, monitor_commands, breakpoint_is_hit_on_node_b,
      backtrace_has_names_and_lines, per_cpu_variables, memory_of_both_nodes, guest_sees_what_is_written,
      none_slips_past_a_breakpoint, hardware_breakpoint, watchpoint, steps_and_finish, interrupt, registers_of_user_code,
      breakpoint_in_a_user_program, linux_scripts, leave)

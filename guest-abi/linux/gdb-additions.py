# SPDX-License-Identifier: GPL-2.0
# Appended to Linux's vmlinux-gdb.py, which gdb runs when it loads vmlinux.
import linux.cpus

# File names in the DWARF begin with /pando, wherever the kernel was built.
gdb.execute("set substitute-path /pando " + os.path.dirname(os.path.abspath(__file__)))


# Where other architectures keep their current task, this one has nothing that a debugger sees.
def current_task(cpu):
    return linux.cpus.per_cpu(gdb.parse_and_eval("&runqueues"), cpu)["curr"].dereference()


linux.cpus.get_current_task = current_task

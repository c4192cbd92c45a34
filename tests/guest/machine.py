# SPDX-License-Identifier: Apache-2.0
"""Runs a command on a machine: this host, a Pando guest, or Debian's user-mode-linux for comparison.

All three give a Result; nothing is left behind, time-outs included.
"""
import contextlib
import ctypes
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/guest-fs"))
import cpio  # noqa: E402

UML_KERNEL = "/usr/bin/linux.uml"
STATUS_MARK = "@@pando-status"


@dataclasses.dataclass
class Result:
    """status is None when the time ran out; output is standard output, errors everything else."""
    status: int | None
    output: str
    errors: str
    seconds: float
    left: list = dataclasses.field(default_factory=list)  # processes that outlived the command


PR_SET_CHILD_SUBREAPER = 36
LEFT_GRACE_SECONDS = 3


def _children():
    found = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
            found += [int(pid) for pid in file.read().split()]
    return found


def _leftovers():
    """Names of processes that the command left behind. They are ours because we are their subreaper; whatever ends
    within the grace time is fine, the rest is killed."""
    deadline = time.monotonic() + LEFT_GRACE_SECONDS
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return []
        if pid == 0 and time.monotonic() > deadline:
            break
        if pid == 0:
            time.sleep(0.02)
    names = []
    for pid in _children():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            names.append(f"{file.read().strip()}[{pid}]")
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return names


def _run(command, timeout, stdin=""):
    """Like subprocess.run, but ends the whole process group when the time is over. Without text
    for it, standard input is /dev/null: user-mode-linux takes the end of a pipe for a hang-up."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    begin = time.monotonic()
    source = subprocess.PIPE if stdin else subprocess.DEVNULL
    child = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, start_new_session=True)
    status = None
    try:
        out, err = child.communicate(stdin.encode() if stdin else None, timeout=timeout)
        status = child.returncode
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            out, err = child.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            out, err = child.communicate()
    return Result(status, out.decode(errors="replace"), err.decode(errors="replace"),
                  time.monotonic() - begin, _leftovers())


def seconds_to_output(target, argv, text, limit=120):
    """Time from the start of a machine to `text` in its output; None when it ends or hangs without."""
    command, guard = target.start_command(argv)
    with guard:
        begin = time.monotonic()
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, start_new_session=True) as child:
            watchdog = threading.Timer(limit, os.killpg, (child.pid, signal.SIGKILL))
            watchdog.start()
            seen = None
            for line in child.stdout:
                if seen is None and text.encode() in line:
                    seen = time.monotonic() - begin
            child.wait()
            watchdog.cancel()
    return seen


class Host:
    name = "host"

    def run(self, argv, timeout=60, stdin=""):
        return _run(argv, timeout, stdin)


class Uml:
    """Debian's user-mode-linux with the same initramfs; one CPU, output through its console."""
    name = "uml"

    def __init__(self, initrds, memory_mib=512):
        self.initrds = list(initrds)
        self.memory_mib = memory_mib

    def start_command(self, argv):
        """The command that boots the machine and runs argv, and a context that must outlive it."""
        words = ["/bin/sh", "-c", f'"$@"; echo "{STATUS_MARK} $?"', "sh", *argv]
        guard = tempfile.TemporaryDirectory(prefix="pando-uml.")
        image = os.path.join(guard.name, "initrd")
        self._write_image(image, guard.name, words)
        return [UML_KERNEL, f"mem={self.memory_mib}M", f"initrd={image}", "con=null",
                "con0=fd:0,fd:1", "quiet", f"uml_dir={guard.name}/"], guard

    def run(self, argv, timeout=300, stdin=""):
        command, guard = self.start_command(argv)
        with guard:
            return self._split(_run(command, timeout, stdin))

    def _write_image(self, image, folder, words):
        archive = cpio.Archive()
        archive.file("/pando/run/argv", b"".join(word.encode() + b"\0" for word in words))
        run = os.path.join(folder, "run.cpio")
        archive.write(run)
        with open(image, "wb") as out:
            for path in [*self.initrds, run]:
                with open(path, "rb") as part:
                    data = part.read()
                out.write(data + b"\0" * (-len(data) % 4))

    @staticmethod
    def _split(result):
        lines = result.output.replace("\r\n", "\n").split("\n")
        for at, line in enumerate(lines):
            head, mark, tail = line.partition(STATUS_MARK)
            if mark:
                text = "\n".join(lines[:at] + ([head] if head else []))
                return Result(int(tail), text + "\n", result.errors, result.seconds)
        return Result(None, result.output, result.errors, result.seconds)


class Pando:
    """`nodes` is a list of (vcpus, memory_mib) or (vcpus, memory_mib, cache_mib); more than one node makes a cluster on
    this machine. `pins` gives the host CPUs of each node, None for all; `hosts` the prefix of the network namespaces of
    tools/namespaces that the nodes live in."""
    name = "pando"

    def __init__(self, program, nodes, initrds=None, kernel=None, settings="", pins=None, hosts=None):
        self.hosts = hosts
        self.program = program
        self.nodes = list(nodes)
        self.initrds = initrds
        self.kernel = kernel
        self.settings = settings
        self.pins = pins or [None] * len(self.nodes)

    def config_text(self):
        lines = ['name = "test"']
        if self.kernel:
            lines.append(f'kernel = "{self.kernel}"')
        if self.initrds:
            lines.append("initrd = [" + ", ".join(f'"{path}"' for path in self.initrds) + "]")
        lines.append(self.settings)
        for index, (vcpus, memory_mib, *cache_mib) in enumerate(self.nodes):
            lines += ["", "[[node]]", f'name = "{chr(ord("a") + index)}"',
                      f'memory = "{memory_mib}MiB"', f"vcpus = {vcpus}"]
            if self.hosts:
                lines += [f'listen = "10.77.0.{index + 1}:7711"',
                          f'launch = ["ip", "netns", "exec", "{self.hosts}-h{index + 1}"]']
            lines += [f'cache = "{limit}MiB"' for limit in cache_mib]
            if self.pins[index] is not None:
                lines.append(f'cpus = "{",".join(map(str, self.pins[index]))}"')
        return "\n".join(lines) + "\n"

    def start_command(self, argv):
        """As Uml.start_command."""
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(
                tempfile.NamedTemporaryFile("w", suffix=".toml", prefix="pando-test."))
            file.write(self.config_text())
            file.flush()
            return [self.program, "run", file.name, "--", *argv], stack.pop_all()

    def run(self, argv, timeout=300, stdin=""):
        command, guard = self.start_command(argv)
        with guard:
            return _run(command, timeout, stdin)

    def vcpus(self):
        return sum(node[0] for node in self.nodes)

    def first_cpus(self):
        """One CPU of each node: what tests between nodes are pinned to."""
        firsts, at = [], 0
        for vcpus, *_ in self.nodes:
            firsts.append(at)
            at += vcpus
        return firsts


def parse_nodes(text):
    """"2" -> one node with 2 vCPUs and 512 MiB; "1:256,3:768:64" -> two nodes with vCPUs:MiB[:MiB of others' pages]."""
    nodes = []
    for part in text.split(","):
        vcpus, *sizes = part.split(":")
        nodes.append((int(vcpus), *map(int, sizes or ["512"])))
    return nodes

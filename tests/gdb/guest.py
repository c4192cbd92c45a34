# SPDX-License-Identifier: Apache-2.0
"""A guest of two nodes in the background that does what it is told, and debuggers for it."""
import os
import re
import signal
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NODES = 2
CLUSTER = """name = "debugged"
[[node]]
name = "a"
memory = "256MiB"
vcpus = 2
[[node]]
name = "b"
memory = "256MiB"
vcpus = 2
"""
# Lines of standard input are commands.
SHELL = 'echo up; while read -r line; do eval "$line"; done'
ALL_GOOD = "@@all good"


def wait_until(condition, what, limit=30):
    """The condition's value once it is true; looks 50 times per second."""
    deadline = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {limit} s"
        time.sleep(0.02)


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            found += [int(child) for child in file.read().split()]
    return found


def command_line(pid):
    with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
        return file.read().split("\0")


class Resources:
    """What a process holds: a leak shows by comparison."""

    def __init__(self, pid):
        self.descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            status = file.read()
        self.threads = int(re.search(r"Threads:\s+(\d+)", status)[1])
        # The guest's memory is in memfds.
        self.anonymous_kib = int(re.search(r"RssAnon:\s+(\d+)", status)[1])

    def __str__(self):
        return f"{self.descriptors} descriptors, {self.threads} threads, {self.anonymous_kib} KiB"


class Guest:
    """`pando run` in the background.  Ends with the `with` statement, and everything with it."""

    def __init__(self, build, *options):
        self.build = os.path.abspath(build)
        self.pando = os.path.join(self.build, "bin/pando")
        self.options = options
        self.folder = tempfile.TemporaryDirectory(prefix="pando-gdb-test.")
        self.input = self._path("input")
        self.output = self._path("output")
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": self.folder.name, "PANDO_TEST_INPUT": self.input,
                            "PANDO_TEST_OUTPUT": self.output, "PANDO_TEST_PANDO": self.pando,
                            "PANDO_TEST_BUILD": self.build, "PYTHONDONTWRITEBYTECODE": "1"}

    def _path(self, name):
        return os.path.join(self.folder.name, name)

    def __enter__(self):
        with open(self._path("debugged.toml"), "w", encoding="utf-8") as file:
            file.write(CLUSTER)
        os.mkfifo(self.input)
        self.input_fd = os.open(self.input, os.O_RDWR)  # no end of file as long as it is open
        with open(self.output, "wb") as out, open(self._path("errors"), "wb") as errors:
            self.child = subprocess.Popen(
                [self.pando, "run", "--verbose", *self.options, self._path("debugged.toml"), "--", "/bin/sh", "-c", SHELL],
                stdin=self.input_fd, stdout=out, stderr=errors, env=self.environment, start_new_session=True)
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()
                raise
        os.close(self.input_fd)
        self.folder.cleanup()

    def text(self, name="output"):
        with open(self._path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def say(self, line):
        os.write(self.input_fd, line.encode() + b"\n")

    def wait_for(self, text, limit=60, name="output"):
        def seen():
            assert self.child.poll() is None or text in self.text(name), f"the guest ended:\n{self.text('errors')[-3000:]}"
            return text in self.text(name)
        wait_until(seen, f"'{text}' of the guest", limit)

    def wait_running(self):
        """The agents have started it; with --wait-gdb it stands at its first instruction."""
        def running():
            status = self.run("status", check=False)
            return status.stdout.count("running") >= NODES
        wait_until(running, "the cluster")

    def run(self, *words, check=True, limit=60):
        done = subprocess.run([self.pando, *words], capture_output=True, text=True, timeout=limit, env=self.environment,
                              check=False)
        assert not check or done.returncode == 0, f"pando {' '.join(words)}: status {done.returncode}: {done.stderr}"
        return done

    def agents(self):
        return sorted(pid for pid in children(self.child.pid) if "serve" in command_line(pid))

    def vmms(self):
        return [next(pid for pid in children(agent) if "pando-vmm" in command_line(pid)[0]) for agent in self.agents()]

    def kernel_without_dwarf(self):
        """gdb finds the DWARF beside the image, and takes seconds to read it: tests that do not need it are quicker."""
        copy = self._path("vmlinux")
        if not os.path.exists(copy):
            os.symlink("/dev/null", self._path("vmlinux.debug"))
            subprocess.run(["cp", os.path.join(self.build, "guest/vmlinux"), copy], check=True)
        return copy

    def gdb(self, script, *options, limit=100, on_line=None, **environment):
        """Runs inside_SCRIPT.py in gdb; returns what gdb said.  on_line(line, gdb's process id) sees each line."""
        words = [self.pando, "gdb", *options, "--arguments=-batch", "--arguments=-nx", "--arguments=-x",
                 f"--arguments={HERE}/inside_{script}.py"]
        said = []
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", env={**self.environment, **environment}, start_new_session=True) as child:
            deadline = _Deadline(child.pid, limit)
            for line in child.stdout:
                said.append(line)
                if line.startswith("ok "):
                    print(f"  {line}", end="", flush=True)
                if on_line and line.startswith("@@"):
                    on_line(line.strip(), next(pid for pid in children(child.pid)))
            child.wait()
            late = deadline.over()
        text = "".join(said)
        assert not late, f"gdb did not end within {limit} s:\n{text[-6000:]}\n{self.text('errors')[-2000:]}"
        assert ALL_GOOD in text, f"inside_{script}.py failed (status {child.returncode}):\n{text[-6000:]}"
        return text


class _Deadline:
    """Kills a process group when its time is over."""

    def __init__(self, group, limit):
        self.group, self.late = group, False
        self.previous = signal.signal(signal.SIGALRM, self._kill)
        signal.alarm(limit)

    def _kill(self, *_):
        self.late = True
        os.killpg(self.group, signal.SIGKILL)

    def over(self):
        signal.alarm(0)
        signal.signal(signal.SIGALRM, self.previous)
        return self.late

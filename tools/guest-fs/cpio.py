# SPDX-License-Identifier: Apache-2.0
"""Writes cpio archives (newc) that the guest kernel unpacks as its root file system.

Needs no root: owners, devices and times are written as given (owner 0, time 0), so the same content always gives the
same bytes and therefore the same hash.
"""
import gzip
import io
import os
import shutil
import stat
import subprocess
import sys


# Debian's merged /usr: these are links, so nothing may be unpacked through them (the kernel would replace the link).
MERGED = ("bin/", "sbin/", "lib/", "lib64/")


class Archive:
    """An archive under construction. Parents of an entry are created as needed; the first entry of a path wins."""

    def __init__(self):
        self._out = io.BytesIO()
        self._seen = {"": 0}
        self._inode = 0

    def _member(self, path, mode, data=b"", device=(0, 0)):
        path = path.strip("/")
        if path.startswith(MERGED):
            path = "usr/" + path
        if path in self._seen:
            return
        parent = os.path.dirname(path)
        if parent not in self._seen:
            self.folder(parent)
        self._inode += 1
        self._seen[path] = self._inode
        name = path.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(data), 0, 0,
                  device[0], device[1], len(name), 0)
        self._out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
        self._pad()
        self._out.write(data)
        self._pad()

    def _pad(self):
        self._out.write(b"\0" * (-self._out.tell() % 4))

    def folder(self, path, mode=0o755):
        self._member(path, stat.S_IFDIR | mode)

    def file(self, path, data, mode=0o644):
        self._member(path, stat.S_IFREG | mode, data)

    def copy(self, path, source, mode=None):
        with open(source, "rb") as file:
            data = file.read()
        self.file(path, data, stat.S_IMODE(os.stat(source).st_mode) if mode is None else mode)

    def link(self, path, target):
        self._member(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path, mode, major, minor):
        self._member(path, stat.S_IFCHR | mode, device=(major, minor))

    def tree(self, root, skip=(), prefix=""):
        """Adds everything below the host folder `root`, except paths that start with one of `skip`, below `prefix`."""
        for folder, folders, files in os.walk(root):
            folders.sort()
            for name in sorted(folders + files):
                source = os.path.join(folder, name)
                path = os.path.relpath(source, root)
                if f"{path}/".startswith(tuple(skip)):
                    continue
                path = os.path.join(prefix, path)
                status = os.lstat(source)
                if stat.S_ISLNK(status.st_mode):
                    self.link(path, os.readlink(source))
                elif stat.S_ISDIR(status.st_mode):
                    self.folder(path, stat.S_IMODE(status.st_mode))
                elif stat.S_ISREG(status.st_mode):
                    self.copy(path, source, stat.S_IMODE(status.st_mode))

    def write(self, target):
        """Writes the archive, compressed by the suffix of `target` (.gz, .zst or none), in one atomic step."""
        self._member("TRAILER!!!", 0)
        data = self._out.getvalue()
        temporary = f"{target}.new"
        if target.endswith(".zst"):
            subprocess.run(["zstd", "-q", "-3", "-f", "-o", temporary], input=data, check=True)
        elif target.endswith(".gz"):
            with open(temporary, "wb") as file:
                file.write(gzip.compress(data, 6, mtime=0))
        else:
            with open(temporary, "wb") as file:
                file.write(data)
        os.replace(temporary, target)


def need(program, package):
    """Returns the path of a program; ends the script in plain words when it is missing."""
    path = shutil.which(program)
    if path is None:
        sys.exit(f"{sys.argv[0]}: {program} is missing: apt-get install {package}")
    return path

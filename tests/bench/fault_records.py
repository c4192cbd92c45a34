# SPDX-License-Identifier: Apache-2.0
"""Which pages nodes fetch from each other, by kernel symbol: reads the fault records of agents on this machine from
the control memory that they share with their VMMs (dsm/shm/layout.h), without disturbing the guest."""
import bisect
import collections
import contextlib
import os
import struct
import subprocess

RAM_BASE = 0x60000000
MAGIC = b"pndoctrl"
VERSION = 5
HEADER = struct.Struct("<8sIIQQQQ16s16s16sQI")  # up to fault_records_count
RECORD = struct.Struct("<QqQQQQIHBBQ")


class Symbols:
    """The kernel image's symbols, by address."""

    def __init__(self, image):
        lines = subprocess.run(["nm", "--numeric-sort", image], capture_output=True, text=True, check=True).stdout
        self.addresses, self.names = [], []
        for line in lines.splitlines():
            parts = line.split()
            if len(parts) == 3 and parts[1] not in "aA":
                self.addresses.append(int(parts[0], 16))
                self.names.append(parts[2])
        self.end, self.boot_only = self._address("_end"), range(self._address("__init_begin"), self._address("__init_end"))

    def _address(self, name):
        return self.addresses[self.names.index(name)]

    def name(self, address):
        at = bisect.bisect(self.addresses, address) - 1
        return self.names[at] if at >= 0 and address < self.end else None

    def variable(self, address):
        """None as well in what the boot has given back: something else lies there."""
        return None if address in self.boot_only else self.name(address)


class Agent:
    """The fault records of one agent, from its process id."""

    def __init__(self, pid):
        self.seen = 0
        for number in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{number}"
            with contextlib.suppress(OSError):
                if "memfd" in os.readlink(path):
                    file = os.open(path, os.O_RDONLY)
                    if self._take(file):
                        return
                    os.close(file)
        raise RuntimeError(f"process {pid} has no control memory")

    def _take(self, file):
        head = os.pread(file, HEADER.size, 0)
        if len(head) != HEADER.size or not head.startswith(MAGIC):
            return False
        fields = HEADER.unpack(head)
        if fields[1] != VERSION:
            raise RuntimeError(f"control memory of version {fields[1]}, this program knows {VERSION}")
        self.file, self.offset, self.count = file, fields[10], fields[11]
        return True

    def close(self):
        os.close(self.file)

    def new(self):
        """(faults since the last call, those of them that are still kept as (page, address, rip, user))"""
        data = os.pread(self.file, self.count * RECORD.size, self.offset)
        records, last = [], self.seen
        for begin, _, address, rip, _, _, page, _, _, user, end in RECORD.iter_unpack(data):
            if begin and begin == end and begin > self.seen:
                last = max(last, begin)
                records.append((page, address, rip, user))
        total, self.seen = last - self.seen, last
        return total, records


def top_pages(records, symbols, count=10):
    """The pages fetched most often, as "share symbol or page < where from"."""
    by_page = collections.defaultdict(collections.Counter)
    for page, address, rip, user in records:
        variable = symbols.variable(RAM_BASE + page * 4096 + (address & 4095))
        code = "user code" if user else symbols.name(rip) or hex(rip)
        by_page[page][(variable or "-", code)] += 1
    lines = []
    for page, uses in sorted(by_page.items(), key=lambda item: -item[1].total())[:count]:
        what = ", ".join(f"{variable} < {code}" for (variable, code), _ in uses.most_common(3))
        lines.append(f"{100 * uses.total() / len(records):5.1f} %  page {page:#x}: {what}")
    return lines

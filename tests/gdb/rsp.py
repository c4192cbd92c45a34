# SPDX-License-Identifier: Apache-2.0
"""GDB's remote protocol by hand, for what gdb itself would never send."""
import queue
import socket
import threading


def packet(payload):
    """Framed and with its checksum."""
    escaped = bytearray()
    for byte in payload:
        if byte in b"$#}*":
            escaped += bytes((ord("}"), byte ^ 0x20))
        else:
            escaped.append(byte)
    return b"$" + bytes(escaped) + b"#%02x" % (sum(escaped) % 256)


class Connection:
    """Answers are taken off the socket by a thread: a server does not listen to somebody who does not."""

    def __init__(self, address, limit=20):
        host, _, port = address.rpartition(":")
        self.limit = limit
        self.socket = socket.create_connection((host, int(port)), timeout=limit)
        self.pieces = queue.Queue()
        self.buffer = b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.reader.join(self.limit)
        self.socket.close()

    def _read(self):
        while True:
            try:
                piece = self.socket.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                piece = b""
            self.pieces.put(piece)
            if not piece:
                return

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """The next packet's payload. Raises queue.Empty when none comes in time, EOFError at the end."""
        while True:
            start = self.buffer.find(b"$")
            end = self.buffer.find(b"#", start)
            if start >= 0 and 0 <= end < len(self.buffer) - 2:
                payload = self.buffer[start + 1:end]
                self.buffer = self.buffer[end + 3:]
                return payload
            piece = self.pieces.get(timeout=self.limit)
            if not piece:
                raise EOFError("the server closed the connection")
            self.buffer += piece

    def ask(self, payload):
        """The answer to a packet, of a server that answers nothing else."""
        self.send(b"+" + packet(payload))
        return self.receive()

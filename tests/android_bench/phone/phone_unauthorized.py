"""A phone that never lets this computer in: speaks just enough of adb's protocol to be listed as `unauthorized`.

Debian's adbd asks for no key, so that it cannot show this state.
"""

import socket
import struct
import threading
from types import TracebackType

TOKEN, PUBLIC_KEY = 1, 3  # kinds of AUTH packets


class UnauthorizedPhone:
    """Answers every try to sign in with another token to sign, until the block is left."""

    def __enter__(self) -> "UnauthorizedPhone":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._thread.join()
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            connection.settimeout(5)
            try:
                self._refuse(connection)
            except OSError:
                continue

    def _refuse(self, connection: socket.socket) -> None:
        """Reads packets: six little-endian words (command, two arguments, length, checksum, magic), then data."""
        while header := connection.recv(24, socket.MSG_WAITALL):
            command, kind, _, length, _, _ = struct.unpack("<4s4I4s", header)
            connection.recv(length, socket.MSG_WAITALL)
            if (command, kind) == (b"AUTH", PUBLIC_KEY):
                return  # now the real phone asks its owner
            token = b"T" * 20
            word = struct.unpack("<I", b"AUTH")[0]
            connection.sendall(struct.pack("<6I", word, TOKEN, 0, len(token), sum(token), word ^ 0xFFFFFFFF) + token)

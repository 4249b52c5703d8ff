"""A TCP relay on loopback that can hold an SMTP transaction at a chosen point.

With nothing held it is the null filter of the wiring: what goes in comes out. Tests hold it to look at a
filter at the very moment between two bytes.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from postwarden.sandbox.ports import LOOPBACK

END_OF_DATA = b"\r\n.\r\n"


class Tap:
    """Forwards connections to ``target``.

    Arguments:
        target: port on 127.0.0.1.
        port: to listen on; 0 lets the kernel choose.
        hold_end: for which connections, counted from 0, the client's end-of-data is held back while the gate
            is shut. If the client is gone when the gate opens, it is taken as never sent.
        hold_reply: for which connections the server's reply to end-of-data is held back while the gate is
            shut.
    """

    def __init__(
        self,
        target: int,
        port: int = 0,
        hold_end: Callable[[int], bool] = lambda number: False,
        hold_reply: Callable[[int], bool] = lambda number: False,
    ) -> None:
        self.target = target
        self._hold_end = hold_end
        self._hold_reply = hold_reply
        self.gate = threading.Event()
        self.ends_held = 0
        self.replies_held = 0
        self.connections = 0
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server((LOOPBACK, port), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="tap", daemon=True).start()

    def open_gate(self) -> None:
        """Let everything pass from now on."""
        self.gate.set()

    def shut_gate(self) -> None:
        """Hold again, and count anew."""
        with self._lock:
            self.ends_held = self.replies_held = self.connections = 0
        self.gate.clear()

    def close(self) -> None:
        """Stop listening and drop all connections."""
        self.gate.set()
        with self._lock:
            sockets = [self._listener, *self._sockets]
        for sock in sockets:
            _shutdown(sock, socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((LOOPBACK, self.target), 10.0)
            except OSError:
                client.close()
                continue
            with self._lock:
                number = self.connections
                self.connections += 1
            threading.Thread(target=self._serve, args=(client, server, number), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket, number: int) -> None:
        ended = threading.Event()
        with client, server:
            for sock in (client, server):
                sock.settimeout(None)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets |= {client, server}
            up = threading.Thread(target=self._upwards, args=(client, server, number, ended), daemon=True)
            up.start()
            self._downwards(client, server, number, ended)
            # The server is gone, and so are we for the client: or a held transaction would hang for ever.
            _shutdown(client, socket.SHUT_RDWR)
            _shutdown(server, socket.SHUT_RDWR)
            up.join()
            with self._lock:
                self._sockets -= {client, server}

    def _upwards(
        self, client: socket.socket, server: socket.socket, number: int, ended: threading.Event
    ) -> None:
        last = b""
        while data := _receive(client):
            at = (last + data).find(END_OF_DATA)
            if at >= 0 and not ended.is_set():
                split = max(0, at + 2 - len(last))  # the dot, unless it has already gone out
                if self._hold_end(number) and not self.gate.is_set():
                    _send(server, data[:split])
                    data = data[split:]
                    with self._lock:
                        self.ends_held += 1
                    self.gate.wait()
                    if _gone(client):
                        break  # as if it had died before it sent this
                ended.set()
            last = (last + data)[-4:]
            if not _send(server, data):
                break
        _shutdown(server, socket.SHUT_WR)

    def _downwards(
        self, client: socket.socket, server: socket.socket, number: int, ended: threading.Event
    ) -> None:
        held = False
        while data := _receive(server):
            if ended.is_set() and not held and self._hold_reply(number) and not self.gate.is_set():
                held = True
                with self._lock:
                    self.replies_held += 1
                self.gate.wait()
            if not _send(client, data):
                break


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1 << 18)
    except OSError:
        return b""


def _gone(sock: socket.socket) -> bool:
    """Whether the other end has closed the connection, or died."""
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _send(sock: socket.socket, data: bytes) -> bool:
    try:
        sock.sendall(data)
    except OSError:
        return False
    return True


def _shutdown(sock: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(how)

"""Sockets that systemd opened for a daemon (sd_listen_fds(3)).

To be asked for before anything of Twisted is loaded: ``twisted.internet.endpoints`` takes them out of the
environment when it is imported, whoever imports it and why.
"""

from __future__ import annotations

import os
import socket

FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START."""


def inherited_sockets() -> dict[str, socket.socket]:
    """Sockets that systemd handed over, by name.

    The environment is cleared, so that no child takes them for its own.
    """
    sockets: dict[str, socket.socket] = {}
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return sockets
    for index in range(int(count)):
        handed = socket.socket(fileno=FIRST_DESCRIPTOR + index)
        handed.setblocking(False)
        os.set_inheritable(handed.fileno(), False)
        sockets[names[index] if index < len(names) and names[index] else str(index)] = handed
    return sockets

"""clamd with one signature, and clamsmtp in front of it, where they are installed."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from neighbours import installed
from programs import Programs

from postwarden.sandbox.ports import PortReservation
from postwarden.sandbox.waiting import wait_until

EICAR = "44d88612fea8a8f36de82e1278abb02f:68:Bench.Eicar\n"
"""MD5, octets and a name: so small a database takes no time itself, and the ways to clamd are compared."""
START = 60.0
CLAMD = """
DatabaseDirectory {folder}
LocalSocket {folder}/clamd.sock
LocalSocketMode 666
Foreground yes
StreamMaxLength 100M
MaxThreads 10
"""
CLAMSMTP = """
OutAddress: 127.0.0.1:{out}
Listen: 127.0.0.1:{port}
ClamAddress: {clamd}
TempDirectory: {folder}
MaxConnections: 64
"""


def clamd(programs: Programs, stack: ExitStack) -> Path | None:
    """Start clamd; returns its socket, or None where it is not installed."""
    program = installed("clamd")
    if program is None:
        return None
    # A short path: that of a socket has 108 octets.
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-clamd-")))
    folder.chmod(0o755)
    (folder / "bench.hdb").write_text(EICAR)
    config = folder / "clamd.conf"
    config.write_text(CLAMD.format(folder=folder))
    socket = folder / "clamd.sock"
    process = programs.command("clamd", 0, program, "--config-file", config, ready=socket.exists)
    stack.callback(process.stop)
    wait_until(socket.exists, START, "clamd answers", process.tail)
    return socket


def clamsmtp(
    programs: Programs, clamd_socket: Path, ports: PortReservation, out: int, stack: ExitStack
) -> int:
    """Start clamsmtp before ``out``; returns its port, or 0 where it is not installed."""
    program = installed("clamsmtpd")
    if program is None:
        return 0
    folder, port = clamd_socket.parent / "clamsmtp", ports.take()
    folder.mkdir()
    shutil.chown(folder, "clamav" if _exists("clamav") else None)
    config = folder / "clamsmtpd.conf"
    config.write_text(CLAMSMTP.format(out=out, port=port, clamd=clamd_socket, folder=folder))
    stack.callback(programs.command("clamsmtp", port, program, "-d", 1, "-f", config).stop)
    return port


def _exists(user: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True

"""The other policy servers, where they are installed; each as its package sets it up, in a folder of ours."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from programs import Programs

from postwarden.sandbox.ports import PortReservation, answers
from postwarden.sandbox.processes import ProcessDied
from postwarden.sandbox.waiting import DeadlineMissed, wait_until

if TYPE_CHECKING:
    from policy import Server

POSTGREY, POSTFWD, GROSS = "postgrey", "postfwd2", "grossd"
MODES = ("new", "hot", "mix")
SLOW = 0.1
"""Share of the requests that they get: they need ten times as long."""

POSTFWD_RULES = """
&&DYNAMIC { reverse_client_name==unknown; client_name==unknown; };
id=SCORE1; &&DYNAMIC; action=score(2)
id=SCORE2; helo_name!~/\\./; action=score(1.5)
id=LIMIT; action=rate(client_address/100000/3600/450 4.7.1 too many requests)
id=DEFAULT; action=DUNNO
"""
GROSS_CONFIG = """
host = 127.0.0.1
port = {port}
sync_port = {sync}
protocol = postfix
update = grey
grey_delay = 1
pidfile = {folder}/gross.pid
statefile = {folder}/gross.state
stat_type = none
number_buffers = 8
rotate_interval = 3600
filter_bits = 22
"""


class Ports:
    """Free loopback ports.

    Arguments:
        stack: gives them back.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._reservation = PortReservation()
        stack.callback(self._reservation.close)

    def port(self) -> int:
        """One more."""
        return self._reservation.take()


def installed(name: str) -> str | None:
    """Path of a program; system folders count too."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


@contextmanager
def silent_udp(port: int) -> Iterator[None]:
    """A port that takes every packet and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", port))
        yield


def start(programs: Programs, ports: Ports, stack: ExitStack, say: Callable[[str], None]) -> Iterator[Server]:
    """Start all that are installed."""
    from policy import Server

    for name, run in ((POSTGREY, _postgrey), (POSTFWD, _postfwd), (GROSS, _gross)):
        program = installed(name)
        if program is None:
            say(f"Without {name}: not installed.")
            continue
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"postwarden-{name}-")))
        port = ports.port()
        try:
            run(programs, program, port, folder, ports, stack)
        except (ProcessDied, DeadlineMissed, subprocess.SubprocessError) as error:
            say(f"Without {name}: {error}")
            continue
        yield Server(name, port, MODES, share=SLOW)


def _postgrey(
    programs: Programs, program: str, port: int, folder: Path, ports: Ports, stack: ExitStack
) -> None:
    shutil.chown(folder, "postgrey", "postgrey")
    words = (f"--inet=127.0.0.1:{port}", f"--dbdir={folder}", "--delay=1", f"--pidfile={folder}/pid")
    stack.callback(programs.command("postgrey", port, program, *words).stop)


def _postfwd(
    programs: Programs, program: str, port: int, folder: Path, ports: Ports, stack: ExitStack
) -> None:
    rules, pid_file = folder / "rules", folder / "pid"
    rules.write_text(POSTFWD_RULES)
    folder.chmod(0o777)
    words = ["--file", rules, "--interface", "127.0.0.1", "--port", port, "--cache_port", ports.port()]
    words += ["--pidfile", pid_file, "--user", "nobody", "--group", "nogroup", "--perfmon"]
    # It always goes to the background.
    subprocess.run([program, *map(str, words)], check=True, timeout=20.0, capture_output=True)
    wait_until(lambda: pid_file.exists() and answers(port), 20.0, "postfwd2 is ready")
    process = int(pid_file.read_text())
    programs.guard.watch("pid", process)
    stack.callback(os.kill, process, signal.SIGTERM)


def _gross(programs: Programs, program: str, port: int, folder: Path, ports: Ports, stack: ExitStack) -> None:
    config = folder / "grossd.conf"
    config.write_text(GROSS_CONFIG.format(port=port, sync=ports.port(), folder=folder))
    folder.chmod(0o777)
    subprocess.run([program, "-C", "-f", config], check=True, timeout=20.0, capture_output=True)
    stack.callback(programs.command("grossd", port, program, "-d", "-f", config).stop)

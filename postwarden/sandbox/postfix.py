"""A private Postfix: own queue, own data, own configuration, loopback only.

Nothing of the machine's own Postfix is read or touched, beyond its programs. Several run side by side.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from postwarden.sandbox.guard import MARK, Guard, end, master_pid, remove_tree, start_time
from postwarden.sandbox.ports import LOOPBACK, answers
from postwarden.sandbox.waiting import wait_until

PROGRAMS = ("postfix", "postconf", "postqueue")
USERS = ("postfix", "postdrop")
QUEUES = ("maildrop", "incoming", "active", "deferred")

OWN_SERVICES = """\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
"""The part of master.cf that every Postfix needs."""


class PostfixUnavailable(Exception):
    """No private Postfix can be run here; the text says why, in a sentence for the terminal."""


class PostfixFailed(Exception):
    """Postfix did not start or does not do what it is told; the text holds the end of its log."""


def check_available() -> None:
    """Raise :exc:`PostfixUnavailable` unless a private Postfix can be run by this process."""
    missing = [program for program in PROGRAMS if not find_program(program)]
    if missing:
        raise PostfixUnavailable(
            f"Postfix is not installed ({', '.join(missing)} not found; on Debian: apt-get install postfix)"
        )
    if os.geteuid() != 0:
        raise PostfixUnavailable("a private Postfix needs root (its daemons change to the user postfix)")


def find_program(name: str) -> str | None:
    """Path of a program, looked for in PATH and where system programs live."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")


class PrivatePostfix:
    """One Postfix instance.

    Arguments:
        name: short, for its folder and messages.
        main: main.cf parameters, beyond those that make the instance private.
        services: master.cf lines, beyond those that every Postfix needs.
        ports: that accept connections once it is up.
        guard: ends it should we die.
        link: a symbolic link to make that points to its folder; the folder itself is made under the system's
            temporary folder, since the user ``postfix`` must be able to walk to it.
    """

    def __init__(
        self,
        name: str,
        main: Mapping[str, str],
        services: Sequence[str],
        ports: Sequence[int],
        guard: Guard,
        link: Path | None = None,
    ) -> None:
        check_available()
        self.name = name
        self.ports = tuple(ports)
        self._guard = guard
        self._link = link
        self.folder = Path(tempfile.mkdtemp(prefix=f"postwarden-{name}-"))
        (self.folder / MARK).touch()
        guard.watch("tree", self.folder)
        self.config = self.folder / "etc"
        self.spool = self.folder / "spool"
        self.log = self.folder / "mail.log"
        self._pid_file = self.spool / "pid" / "master.pid"
        self._lay_out(main, services)
        if link is not None:
            link.unlink(missing_ok=True)
            link.symlink_to(self.folder)

    def _lay_out(self, main: Mapping[str, str], services: Sequence[str]) -> None:
        data = self.folder / "lib"
        for folder in (self.config, self.spool, data):
            folder.mkdir()
        self.folder.chmod(0o755)
        shutil.chown(data, "postfix")
        programs = Path(find_program("postfix") or "/usr/sbin/postfix").parent
        private = {
            "compatibility_level": "3.6",
            "queue_directory": self.spool,
            "data_directory": data,
            "command_directory": programs,
            "daemon_directory": postconf_default("daemon_directory"),
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "maillog_file": self.log,
            "maillog_file_prefixes": self.folder,
            "inet_interfaces": "all",
            "inet_protocols": "all",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "alias_maps": "",
            "alias_database": "",
            "biff": "no",
            "notify_classes": "",
            # A sandbox may be asked to carry hundreds of mails at once from one address.
            "smtpd_client_connection_count_limit": "0",
            "smtpd_client_connection_rate_limit": "0",
            "default_process_limit": "250",
        }
        lines = [f"{key} = {value}\n" for key, value in {**private, **main}.items()]
        (self.config / "main.cf").write_text("".join(lines))
        (self.config / "master.cf").write_text("\n".join(services) + "\n" + OWN_SERVICES)

    @property
    def running(self) -> bool:
        return (pid := master_pid(self._pid_file)) is not None and start_time(pid) is not None

    def start(self, within: float = 20.0) -> None:
        """Start it and return when its ports accept connections.

        Raises:
            PostfixFailed: it does not start.
            DeadlineMissed: its ports stay closed.
        """
        self._guard.watch("master", self._pid_file)
        done = self._postfix("start")
        if done.returncode != 0:
            raise PostfixFailed(f"postfix start ({self.name}): {done.stdout.strip()} {self.tail()}")

        def open_ports() -> bool:
            if not self.running:
                raise PostfixFailed(f"the private Postfix {self.name} ended at once: {self.tail()}")
            return all(answers(port) for port in self.ports)

        wait_until(open_ports, within, f"Postfix {self.name} listens on {LOOPBACK} {self.ports}", self.tail)

    def stop(self) -> None:
        """End its processes. Its folder, with queue and log, stays until :meth:`remove`."""
        pid = master_pid(self._pid_file)
        if pid is not None and (started := start_time(pid)):
            end(pid, started)
        self._guard.drop("master", self._pid_file)

    def remove(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        remove_tree(self.folder)
        self._guard.drop("tree", self.folder)
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def flush(self) -> None:
        """Try to deliver everything now."""
        self._run("postqueue", "-c", str(self.config), "-f")

    def queued(self) -> list[str]:
        """Queue ids of the mails it holds, finished or not."""
        found = []
        for queue in QUEUES:
            for _, _, files in os.walk(self.spool / queue):
                found.extend(files)
        return found

    def wait_empty(self, within: float) -> None:
        """Wait until the queue is empty, flushing it now and then.

        Raises:
            DeadlineMissed: it is not, within ``within`` seconds.
        """
        flushed = 0.0

        def empty() -> bool:
            nonlocal flushed
            if not self.queued():
                return True
            if time.monotonic() - flushed > 2.0:
                self.flush()
                flushed = time.monotonic()
            return False

        wait_until(empty, within, f"queue of Postfix {self.name} is empty", lambda: len(self.queued()))

    def settings(self, *arguments: str) -> str:
        """Output of postconf on this instance's configuration."""
        return self._run("postconf", "-c", str(self.config), *arguments).stdout

    def log_text(self) -> str:
        """What it has logged so far."""
        try:
            return self.log.read_text("utf-8", "replace")
        except OSError:
            return ""

    def tail(self, lines: int = 8) -> str:
        """The end of its log."""
        return "\n".join(self.log_text().splitlines()[-lines:])

    def when(self, condition: Callable[[str], bool], within: float, what: str) -> str:
        """Wait until ``condition`` holds for its log; return the log."""
        wait_until(lambda: condition(self.log_text()), within, what, self.tail)
        return self.log_text()

    def _postfix(self, action: str) -> subprocess.CompletedProcess[str]:
        return self._run("postfix", "-c", str(self.config), action)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [find_program(program) or program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )


def postconf_default(parameter: str) -> str:
    """Postfix's built-in default of a parameter, whatever the machine's main.cf says."""
    done = subprocess.run(
        [find_program("postconf") or "postconf", "-d", "-h", parameter],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()

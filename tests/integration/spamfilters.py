"""Rspamd and spamd of our own: on loopback and UNIX sockets, with two rules each, without a network."""

from __future__ import annotations

import shutil
import socket
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

import pytest

from postwarden.sandbox.guard import Guard
from postwarden.sandbox.ports import LOOPBACK, PortReservation, answers
from postwarden.sandbox.processes import Process

BAD, GOOD = "buy-cheap-pills", "minutes-of-the-meeting"
"""Words in a subject by which both engines know spam, and mail that is none."""
BAD_SCORE, GOOD_SCORE = 7.5, -2.5

_RSPAMD = """
options {{
    pidfile = "{folder}/pid"; tempdir = "{folder}"; control_socket = "{folder}/control mode=0600";
    cache_file = "{folder}/cache"; hs_cache_dir = "{folder}"; history_file = "{folder}/history";
    stats_file = "{folder}/stats"; dynamic_conf = "{folder}/dynamic"; url_tld = "{folder}/suffixes";
    filters = "regexp"; disable_hyperscan = true; dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.1s; }}
}}
logging {{
    type = "console"; level = "info";
    log_format = "seen qid=<$qid> ip=<$ip> user=<$user> from=<$smtp_from> rcpts=<$smtp_rcpts> len=<$len>";
}}
worker "normal" {{
    bind_socket = "{folder}/socket mode=0666"; bind_socket = "127.0.0.1:{port}"; count = 2; mime = true;
}}
actions {{ reject = 7; add_header = 6; greylist = 4; }}
regexp {{
    BAD_SUBJECT {{ re = "Subject=/{bad}/"; score = {bad_score}; }}
    GOOD_SUBJECT {{ re = "Subject=/{good}/"; score = {good_score}; }}
}}
"""
_SPAMD = """
util_rb_tld example
use_bayes 0
header BAD_SUBJECT Subject =~ /{bad}/
score BAD_SUBJECT {bad_score}
header GOOD_SUBJECT Subject =~ /{good}/
score GOOD_SUBJECT {good_score}
"""


class Filter(ABC):
    """One engine; it answers at ``socket`` and at ``port``."""

    def __init__(self, name: str, program: str, guard: Guard) -> None:
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin")
        if path is None:
            pytest.fail(f"{program} is not installed: apt-get install {name}", pytrace=False)
        self.folder = Path(tempfile.mkdtemp(prefix=f"postwarden-{program}-"))
        self.folder.chmod(0o755)
        self._reservation = PortReservation()
        self.port = self._reservation.take()
        self.socket = self.folder / "socket"
        command = [path, *self.configure()]
        self.process = Process(program, command, self.folder / "log", guard)

    @abstractmethod
    def configure(self) -> list[str]:
        """Write the configuration; returns the program's arguments."""

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.process.start(lambda: answers(self.port) and self._answers(), within=60.0)

    def kill(self) -> None:
        """SIGKILL for it and all its children."""
        self.process.kill()

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def close(self) -> None:
        self.process.stop()
        self._reservation.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def addresses(self) -> list[str]:
        return [f"unix:{self.socket}", f"{LOOPBACK}:{self.port}"]

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.connect(str(self.socket))
            return True
        return False

    def _rules(self, template: str) -> str:
        return template.format(
            folder=self.folder, port=self.port, bad=BAD, good=GOOD, bad_score=BAD_SCORE, good_score=GOOD_SCORE
        )


class Rspamd(Filter):
    """It would refuse what is bad."""

    def __init__(self, guard: Guard) -> None:
        super().__init__("rspamd", "rspamd", guard)

    def configure(self) -> list[str]:
        (self.folder / "suffixes").write_text("example\n")
        (self.folder / "rspamd.conf").write_text(self._rules(_RSPAMD))
        return ["--no-fork", "--insecure", "--config", f"{self.folder}/rspamd.conf"]


class Spamd(Filter):
    """SpamAssassin."""

    def __init__(self, guard: Guard) -> None:
        super().__init__("spamd", "spamd", guard)

    def configure(self) -> list[str]:
        rules = self.folder / "rules"
        rules.mkdir()
        (rules / "check.pre").write_text("loadplugin Mail::SpamAssassin::Plugin::Check\n")
        (rules / "local.cf").write_text(self._rules(_SPAMD))
        return [
            *("--local", "--nouser-config", "--max-children=2", "--syslog=stderr"),
            *(f"--configpath={rules}", f"--siteconfigpath={rules}", f"--pidfile={self.folder}/pid"),
            *(f"--socketpath={self.socket}", "--socketmode=0666", f"--listen={LOOPBACK}:{self.port}"),
        ]

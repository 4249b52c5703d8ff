"""The spam filters that are compared: each learns half of a corpus and judges the rest, without a network."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import teaching
from milters import NETWORK
from neighbours import installed
from spamcorpus import Corpus, Mail

from contentfilter.spamengines import rspamd, spamd
from contentfilter.spamengines.question import Asked, Nonsense, Question
from contentfilter.spool.seal import Seal
from postwarden.sandbox.gateway import Gateway
from postwarden.sandbox.guard import MARK, Guard
from postwarden.sandbox.ports import LOOPBACK, PortReservation, answers
from postwarden.sandbox.processes import Process, ProcessDied
from postwarden.sandbox.waiting import DeadlineMissed, wait_until

AT_ONCE = 2
"""Mails that each judges at once, where it can."""
ONE = 60.0
"""Seconds for one mail."""
START = 600.0
"""Seconds for a start; Rspamd's first compiles its patterns."""
ALL = 3600.0
"""Seconds for a program that learns or judges all."""


class Failed(Exception):
    """A filter could not be measured; the text says why."""


@dataclass(slots=True)
class Scores:
    """What a filter says of the judged half.

    Arguments:
        name: of the filter, and what it had learned.
        threshold: its own, from which on it takes mail for spam.
        scores: by path.
        seconds: that judging took, all mails together.
        missing: mails that it said nothing of; they count as 0.
    """

    name: str
    threshold: float
    scores: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    missing: int = 0


@dataclass(slots=True)
class Bench:
    """What all of them need.

    Arguments:
        corpus: halves.
        folder: with the corpus laid out in ``corpus``; for their state.
        guard: ends them should we die.
        say: for progress.
    """

    corpus: Corpus
    folder: Path
    guard: Guard
    say: Callable[[str], None]

    @property
    def mails(self) -> Path:
        return self.folder / "corpus"

    def fresh(self, name: str) -> Path:
        """An empty folder."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def each(self, what: str, mails: Sequence[Mail], ask: Callable[[Mail], Any]) -> tuple[list[Any], float]:
        """Ask about each mail, some at once; the answers, None where there is none, and seconds taken."""
        began = told = time.monotonic()
        found: list[Any] = []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for answer in pool.map(lambda mail: _or_none(ask, mail), mails):
                found.append(answer)
                if time.monotonic() - told > 10:
                    told = time.monotonic()
                    self.say(f"{what}: {len(found):,} of {len(mails):,}")
        return found, time.monotonic() - began

    def run(self, what: str, command: Sequence[object], **options: Any) -> str:
        """Run a program to its end; returns what it printed."""
        self.say(f"{what} …")
        words = [str(word) for word in command]
        try:
            done = subprocess.run(
                words, capture_output=True, timeout=ALL, text=True, errors="replace", **options
            )
        except (subprocess.TimeoutExpired, OSError) as error:
            raise Failed(f"{words[0]}: {error}") from error
        # bogofilter's 1 and 2 are ham and unsure; contentfilter's 1 is something found.
        if done.returncode not in ((0, 1, 2) if Path(words[0]).name == "bogofilter" else (0, 1)):
            raise Failed(f"{words[0]} {words[1]}: {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout


def _or_none(ask: Callable[[Mail], Any], mail: Mail) -> Any:
    try:
        return ask(mail)
    except (OSError, Nonsense):
        return None


def measure(bench: Bench, wanted: Sequence[str]) -> Iterator[Scores]:
    """Let those that are installed judge; what cannot be measured is said and left out."""
    for name, judge in FILTERS.items():
        if name not in wanted:
            continue
        try:
            yield from judge(bench)
        except (Failed, ProcessDied, DeadlineMissed) as error:
            bench.say(f"Without {name}: {error}")


# Ours


def _ours(bench: Bench) -> Iterator[Scores]:
    folder = bench.fresh("postwarden")
    with Gateway(folder, settings=teaching.model_in(folder)) as gateway:
        gateway.write_config()
        yield _tune(bench, gateway.config, "Postwarden, untrained", folder / "untrained.json")
        try:
            teaching.teach(gateway, bench.mails / "learned", bench.say)
        except teaching.NotTaught as error:
            raise Failed(str(error)) from error
        yield _tune(bench, gateway.config, "Postwarden", folder / "trained.json")


def _tune(bench: Bench, config: Path, name: str, result: Path) -> Scores:
    judged = bench.mails / "judged"
    began = time.monotonic()
    words = [
        *_program("contentfilter"),
        "tune",
        "--config",
        config,
        "--ham",
        judged / "ham",
        "--spam",
        judged / "spam",
    ]
    bench.run(f"{name} judges", [*words, "--jobs", AT_ONCE, "--json", result, "--mails"])
    seconds = time.monotonic() - began
    told = json.loads(result.read_text())
    by_path = {mail["path"]: mail["points"] for mail in told["mails"]}
    scores = Scores(name, told["in_force"]["tag_at"], seconds=seconds)
    for mail in bench.corpus.judged:
        points = by_path.get(str(mail.path))
        scores.missing += points is None
        scores.scores[str(mail.path)] = points or 0.0
    return scores


def _program(name: str) -> list[str]:
    return [str(Path(sys.executable).with_name(name))]


# SpamAssassin


def _spamassassin(bench: Bench) -> Iterator[Scores]:
    program, learn = installed("spamd"), installed("sa-learn")
    if program is None or learn is None or not Path("/etc/spamassassin").is_dir():
        raise Failed("not installed")
    # Its children are nobody's, whoever starts it; nobody must get at what it learned.
    folder = Path(tempfile.mkdtemp(prefix="postwarden-spamassassin-"))
    bench.guard.watch("tree", folder)
    (folder / MARK).touch()
    folder.chmod(0o777)
    site = folder / "site"
    shutil.copytree("/etc/spamassassin", site)
    (site / "zz_bench.cf").write_text(
        f"use_bayes 1\nbayes_path {folder}/bayes\nbayes_file_mode 0777\nbayes_auto_learn 0\n"
        "bayes_expiry_max_db_size 1000000\nuse_auto_welcomelist 0\nskip_rbl_checks 1\ndns_available no\n"
    )
    yield _spamd(bench, program, site, folder, "SpamAssassin, untrained")
    for kind in ("ham", "spam"):
        words = [
            learn,
            "--local",
            f"--siteconfigpath={site}",
            "--no-sync",
            f"--{kind}",
            bench.mails / "learned" / kind,
        ]
        bench.run(f"SpamAssassin learns {kind}", words, env={**os.environ, "HOME": str(folder)})
    bench.run("SpamAssassin", [learn, "--local", f"--siteconfigpath={site}", "--sync"])
    yield _spamd(bench, program, site, folder, "SpamAssassin")


def _spamd(bench: Bench, program: str, site: Path, folder: Path, name: str) -> Scores:
    with PortReservation() as ports, ExitStack() as stack:
        port = ports.take()
        words = [
            program,
            "--local",
            "--nouser-config",
            f"--max-children={AT_ONCE}",
            f"--min-children={AT_ONCE}",
        ]
        words += ["--syslog=stderr", f"--siteconfigpath={site}", f"--listen={LOOPBACK}:{port}"]
        _start(bench, stack, "spamd", [*words, f"--pidfile={folder}/pid"], folder, port)
        return _scores(bench, name, 5.0, port, spamd.symbols, spamd.opinion)


# bogofilter


def _bogofilter(bench: Bench) -> Iterator[Scores]:
    program = installed("bogofilter")
    if program is None:
        raise Failed("not installed")
    folder = bench.fresh("bogofilter")
    for flag, spam in (("-n", False), ("-s", True)):
        listed = "".join(f"{mail.path}\n" for mail in bench.corpus.learned if mail.spam is spam)
        bench.run("bogofilter learns", [program, "-C", "-d", folder, flag, "-b"], input=listed)
    scores = Scores("bogofilter", 0.99)
    listed = "".join(f"{mail.path}\n" for mail in bench.corpus.judged)
    began = time.monotonic()
    said = bench.run("bogofilter judges", [program, "-C", "-d", folder, "-TT", "-b"], input=listed)
    scores.seconds = time.monotonic() - began
    found = dict(line.rsplit(" ", 1) for line in said.splitlines() if " " in line)
    for mail in bench.corpus.judged:
        scores.missing += str(mail.path) not in found
        scores.scores[str(mail.path)] = float(found.get(str(mail.path), 0.0))
    yield scores


# Rspamd

_SETTINGS = {
    "options.inc": 'dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }}\n'
    'pidfile = "{folder}/pid"; filters = "chartable,regexp";',
    "worker-normal.inc": 'bind_socket = "127.0.0.1:{normal}"; count = {count};',
    "worker-proxy.inc": "enabled = false;",
    "worker-controller.inc": 'bind_socket = "127.0.0.1:{controller}"; secure_ip = "127.0.0.1";',
    "classifier-bayes.conf": 'backend = "redis"; servers = "127.0.0.1:{redis}"; autolearn = false;',
    "redis.conf": 'servers = "127.0.0.1:{redis}";',
    "logging.inc": 'type = "console"; level = "warning";',
}


def _rspamd(bench: Bench) -> Iterator[Scores]:
    program, redis = installed("rspamd"), installed("redis-server")
    if program is None or not Path("/etc/rspamd").is_dir():
        raise Failed("not installed")
    if redis is None:
        raise Failed("its Bayes needs redis-server, which is not installed")
    # What it compiled in an earlier run is of use again.
    folder = bench.folder / "rspamd"
    config, data = folder / "conf", folder / "data"
    shutil.rmtree(config, ignore_errors=True)
    shutil.copytree("/etc/rspamd", config)
    data.mkdir(exist_ok=True)
    with PortReservation() as ports, ExitStack() as stack:
        places = {name: ports.take() for name in ("normal", "controller", "redis")}
        words = [
            redis,
            "--port",
            places["redis"],
            "--bind",
            LOOPBACK,
            "--dir",
            data,
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        _start(bench, stack, "redis-server", words, folder, places["redis"])
        for name, text in _SETTINGS.items():
            (config / "override.d" / name).write_text(text.format(folder=data, count=AT_ONCE, **places))
        for module in NETWORK:
            (config / "override.d" / f"{module}.conf").write_text("enabled = false;\n")
        words = [program, "--no-fork", "--insecure", "--config", config / "rspamd.conf"]
        for name, path in {
            "CONFDIR": config,
            "LOCAL_CONFDIR": config,
            "DBDIR": data,
            "RUNDIR": data,
            "LOGDIR": data,
        }.items():
            words.append(f"--var={name}={path}")
        bench.say("Rspamd starts; the first time it takes minutes …")
        _start(bench, stack, "rspamd", words, folder, places["normal"])
        wait_until(lambda: answers(places["controller"]), START, "Rspamd's controller answers")
        yield _scores(bench, "Rspamd, untrained", 6.0, places["normal"], rspamd.check, rspamd.opinion)
        taught, _ = bench.each(
            "Rspamd learns", bench.corpus.learned, lambda mail: _teach(places["controller"], mail)
        )
        if (refused := taught.count(None)) > len(taught) // 20:
            raise Failed(f"it did not learn {refused} of {len(taught)} mails")
        yield _scores(bench, "Rspamd", 6.0, places["normal"], rspamd.check, rspamd.opinion)


def _teach(port: int, mail: Mail) -> bytes:
    asked = Asked(_File(mail.path))
    target = "/learnspam" if mail.spam else "/learnham"
    try:
        return _ask(port, rspamd.HttpQuestion("POST", target, (), asked.size, asked.content()))
    except Nonsense as error:
        # As it is set up, it does not learn what it takes for spam (or ham) already, and says so by these.
        if str(error).startswith(("HTTP 204", "HTTP 208")):
            return b""
        raise


# Common


class _File:
    """A mail file as it would come over SMTP: with CRLF."""

    def __init__(self, path: Path) -> None:
        text = path.read_bytes().replace(b"\r\n", b"\n")
        if text.startswith(b"From "):
            # The line of an mbox is none of the mail.
            text = text.partition(b"\n")[2]
        text = text.replace(b"\n", b"\r\n")
        self._wire = text.replace(b"\r\n.", b"\r\n..")
        self.size = len(text)
        seal = Seal()
        seal.update(self._wire)
        self.digest = seal.digest

    def chunks(self) -> Iterator[bytes]:
        yield self._wire


def _scores(
    bench: Bench,
    name: str,
    threshold: float,
    port: int,
    make: Callable[[Asked], Question],
    read: Callable[[bytes], Any],
) -> Scores:
    found, seconds = bench.each(
        f"{name} judges",
        bench.corpus.judged,
        lambda mail: read(_ask(port, make(Asked(_File(mail.path))))).score,
    )
    missing = sum(score is None for score in found)
    if missing > len(found) // 20:
        raise Failed(f"it said nothing of {missing} of {len(found)} mails")
    scores = {str(mail.path): score or 0.0 for mail, score in zip(bench.corpus.judged, found, strict=True)}
    return Scores(name, threshold, scores, seconds, missing)


def _ask(port: int, question: Question) -> bytes:
    with socket.create_connection((LOOPBACK, port), ONE) as connection:
        for frame in question.frames():
            connection.sendall(frame)
        if question.closing:
            connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(1 << 16):
            if (answer := question.receive(data)) is not None:
                return answer
        return question.ended()


def _start(
    bench: Bench, stack: ExitStack, name: str, command: Sequence[object], folder: Path, port: int
) -> Process:
    process = Process(name, [str(word) for word in command], folder / f"{name}.log", bench.guard)
    process.start(lambda: answers(port), START)
    stack.callback(process.stop)
    return process


FILTERS: dict[str, Callable[[Bench], Iterator[Scores]]] = {
    "postwarden": _ours,
    "spamassassin": _spamassassin,
    "bogofilter": _bogofilter,
    "rspamd": _rspamd,
}

"""``postwarden demo``: brings the whole gateway up, sends the sample mails, shows what came of each."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TextIO

from mailbase.documents.problems import readable
from postwarden import table
from postwarden.demo import scenario, world
from postwarden.demo.front import Front
from postwarden.demo.outcome import Outcome, json_lines, observe
from postwarden.demo.root import give_back
from postwarden.demo.scenario import Step
from postwarden.sandbox import registered
from postwarden.sandbox.client import ConnectionLost, Dialogue, Reply
from postwarden.sandbox.gateway import FIXED, Gateway, Plan, Rewired, metric
from postwarden.sandbox.guard import MARK
from postwarden.sandbox.nameserver import Nameserver
from postwarden.sandbox.ports import LOOPBACK, PortInUse
from postwarden.sandbox.postfix import PostfixFailed, PostfixUnavailable, check_available
from postwarden.sandbox.processes import ProcessDied
from postwarden.sandbox.waiting import DeadlineMissed, wait_until

GREYLIST_DELAY = 2.0
"""Seconds that the demo's greylisting waits; in the field it is minutes."""
TABLE_WIDTH = 160
"""Characters, where the terminal does not say."""


class Ended(BaseException):
    """Somebody asked us to end: Ctrl-C, SIGTERM, or the terminal was closed."""


def demo(folder: Path, keep: bool, as_json: bool = False, out: TextIO | None = None) -> int:
    """Run the demo.

    Arguments:
        folder: for configuration, state and logs; what an earlier run left there is removed.
        keep: go on serving until a signal comes.
        as_json: print one JSON object for each mail in place of the table.
        out: where to print; stdout if None.

    Returns:
        0 if every mail fared as it should, 1 otherwise.
    """
    out = out or sys.stdout
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr if as_json else out, flush=True)  # noqa: E731
    with contextlib.ExitStack() as cleanup:
        try:
            cleanup.enter_context(_signals())
            cleanup.enter_context(_own_folder(folder))
            cleanup.callback(give_back, folder)
            real = _postfix_or_not(say)
            nameserver = Nameserver(world.ZONE, record=False)
            cleanup.callback(nameserver.close)
            dns = f"{nameserver.host}:{nameserver.port}"
            gateway = cleanup.enter_context(_gateway(folder, real, dns))
            cleanup.callback(say, "Stopped; the logs are in " + str(folder) + "/.")
            cleanup.callback(_keep_postfix_log, gateway)
            _start(gateway, real, say)
            outcomes = _send_all(gateway, real, say)
            out.write(json_lines(outcomes) if as_json else _table(outcomes, out))
            out.flush()
            wrong = [outcome for outcome in outcomes if not outcome.expected]
            for outcome in wrong:
                should = outcome.step.expected.value
                say(f"Should have been {should}: {outcome.step.title}, {outcome.step.origin}.")
            if keep:
                say(_serving(gateway, real, folder))
                _serve(gateway)
            return 1 if wrong else 0
        except Ended:
            say("")
            return 0
        except (ProcessDied, DeadlineMissed, PostfixFailed, PortInUse, FolderInUse, ConnectionLost) as error:
            print(f"postwarden demo: {error}", file=sys.stderr)
            return 1


class FolderInUse(Exception):
    """The demo's folder belongs to a running demo or to somebody else, or cannot be written to."""


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Turn the signals that end us into :exc:`Ended`, once: the cleanup itself is not interrupted."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Ended

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _own_folder(folder: Path) -> Iterator[None]:
    """Make ``folder`` ours and empty, and keep a second demo out of it."""
    try:
        lock = _lock(folder)
    except OSError as error:
        name = readable(str(folder), 200)
        raise FolderInUse(
            f"{name} cannot be used: {error.strerror}; please name another with --folder"
        ) from error
    with lock:
        yield


def _lock(folder: Path) -> TextIO:
    """Hold this open for as long as the folder is ours."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise FolderInUse(f"{folder} holds files that no demo made; please name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise FolderInUse(f"a demo is running in {folder} already") from error
    for path in folder.iterdir():
        if path.name in (MARK, "lock"):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return lock


def _postfix_or_not(say: Callable[[str], None]) -> bool:
    try:
        check_available()
    except PostfixUnavailable as reason:
        say(f"Without Postfix: {reason}. A small front end and sink of our own stand in its place.")
        return False
    return True


def _gateway(folder: Path, real: bool, dns: str) -> Gateway:
    link = folder / "postfix" if real else None
    try:
        gateway = Gateway(folder, FIXED, postfix_link=link)
    except PortInUse:
        gateway = Gateway(folder, Plan(), postfix_link=link)
    gateway.sink.on_recipient = world.answer_recipient
    gateway.settings = world.settings(dns, gateway.sink.port, GREYLIST_DELAY)
    return gateway


def _start(gateway: Gateway, real: bool, say: Callable[[str], None]) -> None:
    started = time.monotonic()
    say("Starting policyd, contentfilter" + (" and a private Postfix …" if real else " …"))
    sink = gateway.sink.port
    rewired = Rewired() if real else Rewired(reinject_before=sink, reinject_after=sink)
    gateway.start(
        rewired,
        with_postfix=real,
        progress=lambda name: say(f"  {name} is ready ({time.monotonic() - started:.1f} s)"),
    )
    lists = len(gateway.settings["policyd"]["lists"])
    wait_until(
        lambda: metric(gateway.ports.policyd_metrics, "policyd_list_on{") == lists,
        10.0,
        "the DNS lists are tested",
    )
    wait_until(
        lambda: metric(gateway.ports.filter_metrics, "contentfilter_list_on{") == 1,
        10.0,
        "the list of links is tested",
    )


def _send_all(gateway: Gateway, real: bool, say: Callable[[str], None]) -> list[Outcome]:
    say(f"Sending {len(scenario.STEPS)} sample mails …")
    ports = gateway.ports
    domains = frozenset(registered.served(gateway.registry))
    front = Front(ports.policyd, ports.before, ports.after_lmtp, domains)
    samples = gateway.folder / "samples"
    samples.mkdir()
    outcomes: list[Outcome] = []
    sent: dict[str, tuple[str, bytes, float]] = {}
    for number, step in enumerate(scenario.STEPS, 1):
        mark = f"demo-{os.getpid()}-{number}"
        mail = step.mail(mark)
        if step.retry_of:
            mark, mail, at = sent[step.retry_of]
            say(f"  waiting {GREYLIST_DELAY:g} s for the greylisting delay …")
            wait_until(lambda: time.monotonic() - at > GREYLIST_DELAY + 0.5, 60.0, "the delay is over")  # noqa: B023
        if step.command:
            _command(gateway, step.command)
        reply = _submit(gateway, step, mail) if real else front.send(step, mail)
        sent[step.title] = mark, mail, time.monotonic()
        (samples / f"{number:02d}.eml").write_bytes(mail)
        outcomes.append(observe(step, mark, mail, reply, gateway.sink, gateway.quarantine))
    return outcomes


def _command(gateway: Gateway, arguments: Sequence[str]) -> None:
    """Run ``policyd`` with ``arguments``, as an operator does."""
    done = subprocess.run(
        [sys.executable, "-m", "policyd", *arguments, "--config", str(gateway.config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        raise ProcessDied(f"policyd {' '.join(arguments)}: {done.stderr.strip()}")


def _submit(gateway: Gateway, step: Step, mail: bytes) -> Reply:
    port = gateway.ports.submission if step.user else gateway.ports.mx
    with Dialogue(port, step.helo, timeout=60.0) as dialogue:
        address = f"IPV6:{step.client}" if ":" in step.client else step.client
        identity = {"addr": address, "name": step.name, "reverse_name": step.name}
        if step.user:
            identity["login"] = step.user
        dialogue.xclient(**identity)
        dialogue.hello()
        return dialogue.send(step.sender, [step.recipient], mail).reply


def _table(outcomes: list[Outcome], out: TextIO) -> str:
    width = shutil.get_terminal_size((TABLE_WIDTH, 24)).columns if out.isatty() else TABLE_WIDTH
    head = ("", "sent", "from", "the SMTP dialogue's answer", "what arrived", "decision id")
    rows = [
        (
            str(number),
            outcome.step.title,
            outcome.step.origin,
            _short(outcome),
            outcome.arrived,
            outcome.decision or "-",
        )
        for number, outcome in enumerate(outcomes, 1)
    ]
    return "\n" + table.render(head, rows, width) + "\n"


def _short(outcome: Outcome) -> str:
    """The answer without what stands in other columns: the recipient, and the decision's id."""
    text = re.sub(r"<[^>]*>: Recipient address rejected: ", "… ", str(outcome.reply))
    return text.replace(f" [{outcome.decision}]", "") if outcome.decision else text


def _serving(gateway: Gateway, real: bool, folder: Path) -> str:
    ports = gateway.ports
    programs = (
        Path(sys.argv[0]).parent if Path(sys.argv[0]).name == "postwarden" else Path(sys.executable).parent
    )
    programs = Path(os.path.relpath(programs)) if not os.path.relpath(programs).startswith("..") else programs
    config = folder / "postwarden.yaml"
    lines = ["Serving on 127.0.0.1; Ctrl-C ends it and stops everything."]
    if real:
        lines += [
            f"  Postfix        port {ports.mx} (other mail servers), {ports.submission} (users, filtered over"
            f" LMTP), {ports.submission_smtp} (users, over SMTP)",
            f"                 configuration {folder}/postfix/etc, log {folder}/postfix/mail.log",
        ]
    lines += [
        f"  policyd        port {ports.policyd}, http://{LOOPBACK}:{ports.policyd_metrics}/metrics,"
        f" log {folder}/policyd.log",
        f"  contentfilter  port {ports.before} (SMTP), {ports.after_lmtp} (LMTP),"
        f" http://{LOOPBACK}:{ports.filter_metrics}/metrics, log {folder}/contentfilter.log",
        f"  DNS            {gateway.settings['dns']['servers'][0]}, which knows the samples' senders alone",
        f"  configuration  {config}, registry {folder}/registry.yaml, sample mails {folder}/samples",
        "Try:",
        f"  {programs}/policyd query --config {config} client_address=203.0.113.7 sender=a@b.example"
        f" recipient=bob@inst.example",
        f"  {programs}/policyd explain ID --config {config}        (an id of the table)",
        f"  {programs}/policyd greylist list --config {config}        (also: lists, limits list, exceptions)",
        f"  {programs}/contentfilter scan {folder}/samples",
        f"  {programs}/postwarden registry list --config {config}        (also: dns, contacts)",
        f"  curl -s http://{LOOPBACK}:{ports.policyd_metrics}/metrics | grep ^policyd_",
    ]
    return "\n".join(lines)


def _serve(gateway: Gateway) -> None:
    """Watch over the daemons until a signal comes."""
    while True:
        for process in (gateway.policyd, gateway.contentfilter):
            if not process.running:
                raise ProcessDied(f"{process.name} ended: {process.tail()}")
        time.sleep(0.5)


def _keep_postfix_log(gateway: Gateway) -> None:
    if gateway.postfix is not None:
        (gateway.folder / "postfix.log").write_text(gateway.postfix.log_text())

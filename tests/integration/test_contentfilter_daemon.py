"""The daemon contentfilter itself: reload, stop, kill, overload, backends that hang. It needs no Postfix."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from postwarden.demo import samples
from postwarden.sandbox.client import ConnectionLost, Dialogue
from postwarden.sandbox.gateway import Gateway, Rewired, fetch
from postwarden.sandbox.waiting import wait_until


@pytest.fixture
def start(tmp_path) -> Iterator[object]:
    """Starts a gateway of contentfilter and sink with the given settings of contentfilter."""
    running: list[Gateway] = []

    def begin(flows: object = None, **settings: object) -> Gateway:
        gateway = Gateway(tmp_path, settings={"contentfilter": settings, "flows": flows or {}})
        running.append(gateway)
        sink = gateway.sink.port
        gateway.start(Rewired(reinject_before=sink, reinject_after=sink), with_postfix=False)
        return gateway

    yield begin
    for gateway in running:
        gateway.close()


def send(gateway: Gateway, mail: bytes, lmtp: bool = False) -> tuple[int, str]:
    port = gateway.ports.after_lmtp if lmtp else gateway.ports.before
    with Dialogue(port, timeout=60.0, lmtp=lmtp) as dialogue:
        outcome = dialogue.send("a@outside.example", ["eve@open.example"], mail)
    return outcome.code, str(outcome.reply)


def reload(gateway: Gateway, **settings: object) -> None:
    gateway.settings = {"contentfilter": settings}
    gateway.write_config(Rewired(reinject_before=gateway.sink.port, reinject_after=gateway.sink.port))
    hang_up(gateway)


def hang_up(gateway: Gateway) -> None:
    def reloads() -> list[str]:
        return [line for line in metrics(gateway) if line.startswith("contentfilter_reloads_total")]

    before = reloads()
    gateway.contentfilter.signal(signal.SIGHUP)
    wait_until(lambda: reloads() != before, 5.0, "reloaded", gateway.contentfilter.tail)


def metrics(gateway: Gateway) -> list[str]:
    return fetch(gateway.ports.filter_metrics, "/metrics")[1].splitlines()


def workers(gateway: Gateway) -> list[int]:
    pid = gateway.contentfilter.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def macro(mark: str) -> bytes:
    return samples.mail(mark, attachments=(samples.renamed_macros(),))


def test_a_reload_changes_policy_and_a_bad_file_changes_nothing(start, mark):
    gateway = start()
    assert send(gateway, macro(mark))[0] == 554
    with Dialogue(gateway.ports.before) as waiting:
        gateway.settings = {"flows": {"inbound": {"actions": {"office-macro": "tag"}}}}
        gateway.write_config(Rewired(reinject_before=gateway.sink.port, reinject_after=gateway.sink.port))
        hang_up(gateway)
        # A client that was there before is served on.
        assert waiting.send("a@outside.example", ["eve@open.example"], macro(mark)).code == 250
    (delivery,) = gateway.sink.wait_for(mark.encode())
    assert "office-macro " in delivery.field("X-Postwarden-Findings")
    gateway.config.write_text("contentfilter: {workers: {count: none}}\n")
    hang_up(gateway)
    assert send(gateway, macro(mark))[0] == 250
    assert 'contentfilter_reloads_total{result="refused"} 1.0' in metrics(gateway)
    assert "postwarden.yaml:1" in gateway.contentfilter.tail()
    # What cannot change is named until the restart, or until it is as before.
    for command, named in (("200s", True), ("200s", True), ("300s", False)):
        before = len(gateway.contentfilter.log.read_text())
        reload(gateway, timeouts={"command": command})
        said = gateway.contentfilter.log.read_text()[before:]
        assert ("event=restart-needed changed=contentfilter.timeouts" in said) is named


def test_a_reload_takes_own_rules_and_a_bad_file_changes_nothing(start, mark, tmp_path):
    rules = tmp_path / "rules.yaml"
    gateway = start(workers={"count": 1}, rules={"file": str(rules)})
    count = itertools.count()

    def report() -> str:
        name = f"{mark}-{next(count)}."
        assert send(gateway, samples.mail(name, subject="Room to let"))[0] == 250
        return gateway.sink.wait_for(name.encode())[0].field("X-Postwarden-Report")

    assert "rule.room" not in report()
    rule = "rules: {room: {description: Rooms, points: 7, header: {field: subject, matches: '%s'}}}\n"
    rules.write_text(rule % "room to let")
    hang_up(gateway)
    # The old worker goes on until the new one is ready.
    wait_until(lambda: "rule.room 7" in report(), 15.0, "the rule in force", gateway.contentfilter.tail)
    rules.write_text(rule % "(")
    hang_up(gateway)
    assert "rules.yaml:1: rules.room.header.matches: not an expression" in gateway.contentfilter.tail()
    assert "rule.room 7" in report()


def test_a_reload_replaces_the_workers_without_losing_a_mail(start, mark):
    gateway = start(workers={"count": 2})
    before = workers(gateway)
    stop = threading.Event()
    codes: list[int] = []

    def keep_sending() -> None:
        while not stop.is_set():
            codes.append(send(gateway, samples.mail(mark))[0])

    with ThreadPoolExecutor(4) as senders:
        sending = [senders.submit(keep_sending) for _ in range(4)]
        try:
            time.sleep(0.3)
            reload(gateway, workers={"count": 3})
            wait_until(lambda: len(set(workers(gateway)) - set(before)) == 3, 20.0, "three new workers")
            wait_until(lambda: not set(workers(gateway)) & set(before), 20.0, "the old ones gone")
        finally:
            # Else the senders go on, and what went wrong is never told.
            stop.set()
        for future in sending:
            future.result()
    assert set(codes) == {250}


def test_stopping_lets_a_mail_in_data_arrive(start, mark):
    gateway = start()
    children = workers(gateway)
    with Dialogue(gateway.ports.before) as dialogue:
        dialogue.hello()
        for command in ("MAIL FROM:<a@x.example>", "RCPT TO:<b@open.example>", "DATA"):
            dialogue.command(command)
        gateway.contentfilter.signal(signal.SIGTERM)
        wait_until(lambda: "event=stopping" in gateway.contentfilter.tail(), 5.0, "stopping")
        with pytest.raises(ConnectionLost):
            Dialogue(gateway.ports.before)
        dialogue.write(samples.mail(mark) + b".\r\n")
        assert dialogue.read().code == 250
    wait_until(lambda: not gateway.contentfilter.running, 5.0, "stopped", gateway.contentfilter.tail)
    assert gateway.contentfilter.stop() == 0
    assert gateway.sink.wait_for(mark.encode())
    assert all(gone(pid) for pid in children)


def test_kill_9_leaves_no_worker(start):
    gateway = start()
    children = workers(gateway)
    assert len(children) == 2
    gateway.contentfilter.signal(signal.SIGKILL)
    wait_until(lambda: all(gone(pid) for pid in children), 3.0, "no worker left")


def test_workers_killed_under_load_cost_no_mail(start, mark):
    gateway = start(workers={"count": 2})
    stop = threading.Event()

    def keep_sending(sender: int) -> tuple[set[bytes], int]:
        taken, refused = set(), 0
        while not stop.is_set():
            name = f"{mark}-{sender}-{len(taken)}."
            while (code := send(gateway, samples.mail(name))[0]) == 451:
                refused += 1
                assert refused < 50
            assert code == 250
            taken.add(name.encode())
        return taken, refused

    with ThreadPoolExecutor(4) as senders:
        sending = [senders.submit(keep_sending, sender) for sender in range(4)]
        try:
            gateway.sink.wait_for(mark.encode(), count=4)
            killed = workers(gateway)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: set(workers(gateway)) - set(killed), 20.0, "a new worker")
            seen = len(gateway.sink.deliveries())
            gateway.sink.wait_for(mark.encode(), count=seen + 1)
        finally:
            stop.set()
        results = [future.result() for future in sending]
    assert sum(refused for _, refused in results) <= len(killed)
    for name in set.union(*(taken for taken, _ in results)):
        assert len(gateway.sink.wait_for(name)) == 1


def test_a_hung_worker_holds_up_one_mail_and_overload_is_told_at_once(start, mark):
    gateway = start(workers={"count": 1, "backlog": 0, "deadline": "3s"})
    (worker,) = workers(gateway)
    os.kill(worker, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as other:
        hung = other.submit(send, gateway, samples.mail(mark))
        wait_until(
            lambda: 'contentfilter_workers{state="busy"} 1.0' in metrics(gateway), 3.0, "the worker has it"
        )
        started = time.monotonic()
        code, text = send(gateway, samples.mail(mark))
        assert (code, "4.3.2" in text) == (451, True)
        assert time.monotonic() - started < 1.0
        code, text = hung.result()
        assert (code, "4.3.0" in text) == (451, True)
    wait_until(lambda: gone(worker), 3.0, "the hung one is dead")
    wait_until(lambda: fetch(gateway.ports.filter_metrics, "/readyz")[0] == 200, 5.0, "ready again")
    assert send(gateway, samples.mail(mark))[0] == 250
    failures = 'contentfilter_scanner_failures_total{reason="timed-out",scanner="workers"} 1.0'
    assert failures in metrics(gateway)


def test_a_clamd_that_never_answers_holds_up_nothing_but_its_mail(start, mark, tmp_path):
    path = str(tmp_path / "clamd")
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(path)
        deaf.listen(100)
        # Where one flow does not wait for clamd the daemon is ready without, however long its workers take.
        elsewhere = {"submission": {"unscanned": {"engine-failed": "tag"}}}
        gateway = start(elsewhere, clamd={"addresses": f"unix:{path}", "timeout": "1s"})
        descriptors = Path(f"/proc/{gateway.contentfilter.pid}/fd")
        before = len(list(descriptors.iterdir()))
        with ThreadPoolExecutor(20) as senders:
            # More than the socket's buffer takes.
            big = samples.mail(mark, text="0123456789abcdef" * 100_000 + "\r\n")
            results = list(senders.map(lambda _number: send(gateway, big), range(40)))
        assert {code for code, _text in results} == {451}
        wait_until(lambda: len(list(descriptors.iterdir())) <= before + 2, 5.0, "descriptors are let go")
        # A virus scanner that is silent is no pass for what we know ourselves to be bad.
        assert send(gateway, macro(mark))[0] == 554
        reload(gateway)
        assert send(gateway, samples.mail(mark))[0] == 250


def test_the_control_socket_tells_how_it_stands(start):
    from mailbase.control.client import ask

    gateway = start()

    def status() -> dict[str, object]:
        return ask(str(gateway.folder / "contentfilter.sock"), "status").wait()

    wait_until(
        lambda: status()["workers"] == {"busy": 0, "idle": 2, "waiting": 0}, 5.0, "two workers", status
    )
    assert status()["problem"] == ""


def test_a_quarantine_open_to_others_is_refused_at_start(tmp_path):
    folder = tmp_path / "quarantine"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    config = tmp_path / "postwarden.yaml"
    config.write_text(f"contentfilter: {{spool: {{folder: {tmp_path}}}, quarantine: {{folder: {folder}}}}}\n")
    command = [sys.executable, "-m", "contentfilter", "serve", "--config", str(config)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert "chmod 0700" in ended.stderr


def test_a_macro_is_allowed_and_no_longer_while_mail_goes_on(start, mark, tmp_path):
    allowed = tmp_path / "allowed-macros.json"
    gateway = start(allowed_macros=str(allowed))

    def command(*words: str) -> None:
        line = [sys.executable, "-m", "contentfilter", "macros", *words, "--config", str(gateway.config)]
        subprocess.run(line, check=True, capture_output=True, timeout=30)

    assert send(gateway, macro(mark))[0] == 554
    (digest,) = set(re.findall(r"office-macro:[^#]*#([0-9a-f]{40})", gateway.contentfilter.tail()))
    command("allow", digest, "--to", "elsewhere.example")
    assert send(gateway, macro(mark))[0] == 554
    command("allow", digest, "--to", "open.example", "--for", "1d")
    assert send(gateway, macro(mark))[0] == 250
    hang_up(gateway)
    assert send(gateway, macro(mark))[0] == 250
    assert 'contentfilter_findings_total{name="office-macro-allowed"} 2.0' in metrics(gateway)
    command("remove", digest)
    assert send(gateway, macro(mark))[0] == 554

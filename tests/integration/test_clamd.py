"""Real clamds, with one signature of our own making, behind contentfilter."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from postwarden.demo import documents, samples
from postwarden.sandbox.client import Dialogue
from postwarden.sandbox.gateway import Gateway, Rewired, fetch, metric, ready
from postwarden.sandbox.processes import Process
from postwarden.sandbox.waiting import wait_until

SIGNATURE = "Postwarden-Test-File"
LIMIT = 1 << 20
"""Octets that clamd takes."""


class Clamd:
    """clamd on a UNIX socket, knowing the EICAR test file by its hash."""

    def __init__(self, program: str, guard: object, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="postwarden-clamd-"))
        virus = documents.eicar()
        database = self.folder / "db"
        database.mkdir()
        digest = hashlib.md5(virus).hexdigest()
        (database / "test.hdb").write_text(f"{digest}:{len(virus)}:{SIGNATURE}\n")
        self.socket = self.folder / "clamd.sock"
        config = self.folder / "clamd.conf"
        config.write_text(
            f"LocalSocket {self.socket}\nDatabaseDirectory {database}\nTemporaryDirectory {self.folder}\n"
            f"StreamMaxLength {LIMIT}\nForeground yes\nMaxThreads 4\nExitOnOOM yes\n"
        )
        command = [program, "--config-file", str(config)]
        self.process = Process(f"clamd-{name}", command, self.folder / "clamd.log", guard)

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.process.start(self.socket.exists, within=30.0)

    def kill(self) -> None:
        self.process.kill()

    def close(self) -> None:
        self.process.stop()
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def clamds(clamd_program, guard):
    """Two of them."""
    both = [Clamd(clamd_program, guard, name) for name in "ab"]
    with ThreadPoolExecutor() as pool:
        list(pool.map(Clamd.start, both))
    yield both
    for clamd in both:
        clamd.close()


@pytest.fixture(scope="module")
def filtering(clamds, tmp_path_factory):
    """contentfilter with both; no Postfix is needed to see what it answers."""
    clamd = {
        "addresses": [f"unix:{one.socket}" for one in clamds],
        "timeout": "20s",
        "max_size": "4MiB",
        "at_once": 4,
        "wait": "2s",
    }
    settings = {"contentfilter": {"clamd": clamd}}
    with Gateway(tmp_path_factory.mktemp("clamd"), settings=settings) as gateway:
        gateway.start(
            Rewired(reinject_before=gateway.sink.port, reinject_after=gateway.sink.port), with_postfix=False
        )
        yield gateway


def send(gateway, mail):
    with Dialogue(gateway.ports.before, timeout=60.0) as dialogue:
        return dialogue.send("a@outside.example", ["eve@open.example"], mail)


def test_the_self_test_is_passed_by_each_at_the_start(filtering):
    passed = 'contentfilter_engine_self_tests_total{engine="clamd",result="passed"}'
    wait_until(lambda: metric(filtering.ports.filter_metrics, passed) == 2, 5.0, "both self-tests")
    assert metric(filtering.ports.filter_metrics, "contentfilter_engine_up{") == 2


def test_a_virus_is_refused_with_its_name_in_the_log(filtering, mark):
    outcome = send(filtering, samples.mail(mark, attachments=(samples.virus(),)))
    assert outcome.code == 554, outcome
    assert str(outcome.reply).startswith("554 5.7.1 ")
    assert SIGNATURE in filtering.contentfilter.log.read_text()
    assert not filtering.sink.find(mark.encode())


def test_clean_mail_passes(filtering, mark):
    mail = samples.mail(mark, attachments=(samples.clean_document(),))
    assert send(filtering, mail).code == 250
    (arrived,) = filtering.sink.wait_for(mark.encode())
    assert arrived.data.endswith(mail)


def test_a_virus_in_an_archive_in_a_mail_in_a_mail_is_found(filtering, mark):
    archive = documents.archive({"v.com": documents.eicar()})
    file = samples.Attachment("a.zip", "application/zip", archive)
    inner = samples.mail(f"{mark}-inner", attachments=(file,))
    head = f"Message-ID: <{mark}@x>\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n"
    assert send(filtering, head.encode() + inner).code == 554


def test_what_is_too_large_for_clamd_is_passed_with_a_header_that_says_so(filtering, mark):
    """Its StreamMaxLength is smaller than our max_size."""
    mail = samples.mail(mark, text="0123456789abcdef\r\n" * (LIMIT // 16))
    assert send(filtering, mail).code == 250
    (arrived,) = filtering.sink.wait_for(mark.encode())
    assert b"\r\nX-Postwarden-Unscanned: too-large\r\n" in arrived.data
    assert metric(filtering.ports.filter_metrics, "contentfilter_engine_up{") == 2


class Traffic:
    """Senders that go on until the block ends, every fifth mail infected.

    Attributes:
        codes: what clean and infected mails got.
    """

    def __init__(self, gateway, mark: str, senders: int = 6) -> None:
        self.clean: list[tuple[bytes, int]] = []
        self.infected: list[int] = []
        self._gateway = gateway
        self._mark = mark
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(senders)
        self._running = [self._pool.submit(self._send, number) for number in range(senders)]

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        with self._pool:
            for running in self._running:
                running.result()

    def flows(self, more: int) -> None:
        """Wait until so many more clean mails have passed."""
        wanted = len(self.clean) + more
        wait_until(lambda: len(self.clean) >= wanted, 20.0, "mail flows")

    def _send(self, sender: int) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            name = f"{self._mark}-{sender}-{number}"
            if number % 5 == 0:
                outcome = send(self._gateway, samples.mail(name, attachments=(samples.virus(),)))
                self.infected.append(outcome.code)
            else:
                outcome = send(self._gateway, samples.mail(name))
                self.clean.append((name.encode(), outcome.code))


def verify(filtering, traffic: Traffic, codes: set[int]) -> None:
    """Nothing was lost, nothing passed unseen."""
    assert {code for _, code in traffic.clean} <= codes
    assert set(traffic.infected) <= {554} | (codes - {250})
    assert 554 in traffic.infected
    for name, code in traffic.clean:
        arrived = filtering.sink.find(name + b"@")
        assert len(arrived) == (1 if code == 250 else 0), name
        assert all(b"X-Postwarden-Unscanned" not in one.data for one in arrived)


def test_one_of_two_dies_under_load_and_comes_back_and_nobody_notices(filtering, clamds, mark):
    with Traffic(filtering, mark) as traffic:
        traffic.flows(10)
        clamds[0].kill()
        traffic.flows(20)
        clamds[0].start()
        up = 'contentfilter_engine_up{engine="clamd",seat="1"}'
        wait_until(lambda: metric(filtering.ports.filter_metrics, up) == 1, 10.0, "the first is back")
        traffic.flows(10)
    verify(filtering, traffic, {250})


def test_the_only_one_restarts_under_load_and_no_mail_is_lost_or_passed_unseen(filtering, clamds, mark):
    clamds[1].kill()
    with Traffic(filtering, mark) as traffic:
        traffic.flows(10)
        clamds[0].kill()
        clamds[0].start()
        traffic.flows(20)
    verify(filtering, traffic, {250, 451})
    clamds[1].start()


def test_nothing_passes_while_all_are_dead(filtering, clamds, mark):
    for clamd in clamds:
        clamd.kill()
    try:
        outcome = send(filtering, samples.mail(mark))
        assert outcome.code == 451, outcome
        assert not filtering.sink.find(mark.encode())
        assert "clamd" in fetch(filtering.ports.filter_metrics, "/readyz")[1]
        # What another scanner refuses is refused without clamd too.
        refused = send(filtering, samples.mail(f"{mark}-macro", attachments=(samples.renamed_macros(),)))
        assert refused.code == 554
    finally:
        clamds[0].start()
    wait_until(lambda: ready(filtering.ports.filter_metrics), 10.0, "ready again")
    assert send(filtering, samples.mail(f"{mark}-after")).code == 250

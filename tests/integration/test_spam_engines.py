"""The real Rspamd and spamd behind contentfilter: what they are told, what their scores do, how they die."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from postwarden.demo import samples
from postwarden.sandbox.client import Dialogue
from postwarden.sandbox.gateway import Gateway, Rewired, metric
from postwarden.sandbox.waiting import wait_until

from .spamfilters import BAD, GOOD, Rspamd, Spamd

LARGE = 300_000
"""Octets beyond which spamd is not asked here."""
NAMES = ("rspamd", "spamassassin")


@pytest.fixture(scope="module")
def engines(guard):
    """Both, each at two places."""
    both = {"rspamd": Rspamd(guard), "spamassassin": Spamd(guard)}
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda engine: engine.start(), both.values()))
    yield both
    for engine in both.values():
        engine.close()


@pytest.fixture(scope="module")
def filtering(engines, tmp_path_factory):
    """contentfilter with both; each alone is worth less than a tag, both together are worth one."""
    common = {"timeout": "10s", "wait": "1s", "factor": 0.4, "at_once": 1}
    settings = {
        "contentfilter": {
            name: {"addresses": engine.addresses, **common} for name, engine in engines.items()
        },
        "flows": {"inbound": {"tag_at": 5, "checks": {"helo": True}}},
    }
    settings["contentfilter"]["spamassassin"]["max_size"] = LARGE
    with Gateway(tmp_path_factory.mktemp("spam-engines"), settings=settings) as gateway:
        gateway.start(
            Rewired(reinject_before=gateway.sink.port, reinject_after=gateway.sink.port), with_postfix=False
        )
        yield gateway


def send(gateway, mail, recipients=("eve@open.example",), xforward=()):
    with Dialogue(gateway.ports.before, timeout=60.0) as dialogue:
        dialogue.hello()
        for line in xforward:
            assert dialogue.command(line).code == 250
        return dialogue.send("a@outside.example", list(recipients), mail)


def verdict(gateway, mark):
    """The log line of a mail that was passed."""
    (arrived,) = gateway.sink.wait_for(mark.encode())
    found = re.search(rb"X-Postwarden-Decision: (\S+) (\S+)", arrived.data)
    assert found is not None
    lines = gateway.contentfilter.log.read_text().splitlines()
    (line,) = (one for one in lines if f"id={found[1].decode()} " in one and "event=verdict" in one)
    return found[2].decode(), line


def test_what_both_hold_for_spam_is_tagged_and_not_refused(filtering, mark):
    """Rspamd alone would refuse it: its own action counts for nothing."""
    assert send(filtering, samples.mail(mark, subject=BAD)).code == 250
    action, line = verdict(filtering, mark)
    assert action == "tag"
    assert "rspamd.score" in line
    assert "spamassassin.score" in line


def test_what_they_think_well_of_passes(filtering, mark):
    assert send(filtering, samples.mail(mark, subject=GOOD)).code == 250
    action, _ = verdict(filtering, mark)
    assert action == "accept"


def test_rspamd_is_told_of_the_envelope(filtering, engines, mark):
    client = "XFORWARD NAME=client.example ADDR=203.0.113.77 HELO=helo.example"
    recipients = ["eve@open.example", "adam@open.example"]
    assert send(filtering, samples.mail(mark, subject=mark), recipients, [client]).code == 250
    _, line = verdict(filtering, mark)
    decision = re.search(r" id=(\S+)", line)[1]
    wait_until(lambda: f"qid=<{decision}>" in engines["rspamd"].log(), 5.0, "Rspamd has logged it")
    (seen,) = re.findall(rf"qid=<{decision}>.*", engines["rspamd"].log())
    for told in (
        "ip=<203.0.113.77>",
        "from=<a@outside.example>",
        "rcpts=<eve@open.example,adam@open.example>",
    ):
        assert told in seen


def test_a_mail_with_dots_octets_and_no_end_of_line_arrives_at_both_whole(filtering, engines, mark):
    text = "..two dots\r\n.\r\n" + "x" * 900 + "\r\n" + "\xe4\r\n" * 3 + "bare\rCR and the last line"
    mail = samples.mail(mark, text=text, subject=BAD)
    assert send(filtering, mail).code == 250
    assert verdict(filtering, mark)[0] == "tag"
    sizes = {int(size) for size in re.findall(r"len=<(\d+)>", engines["rspamd"].log())}
    assert sizes & set(range(len(mail), len(mail) + 3))


def test_a_mail_that_is_too_large_for_spamd_is_asked_about_at_rspamd_alone(filtering, mark):
    mail = samples.mail(mark, text="0123456789abcdef\r\n" * (LARGE // 16), subject=BAD)
    assert send(filtering, mail).code == 250
    # Both would have had it tagged.
    assert verdict(filtering, mark)[0] == "accept"
    failed = 'contentfilter_panel_total{name="spamassassin",result="failed"}'
    assert metric(filtering.ports.filter_metrics, failed) == 0


class Traffic:
    """Senders that go on until the block ends; all that they send is spam to both engines.

    Attributes:
        sent: marks and reply codes.
    """

    def __init__(self, gateway, mark: str, senders: int = 4) -> None:
        self.sent: list[tuple[str, int]] = []
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
        """Wait until so many more mails have passed."""
        wanted = len(self.sent) + more
        wait_until(lambda: len(self.sent) >= wanted, 30.0, "mail flows")

    def _send(self, sender: int) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            name = f"{self._mark}-{sender}-{number}"
            self.sent.append((name, send(self._gateway, samples.mail(name, subject=BAD)).code))


@pytest.mark.parametrize("name", NAMES)
def test_one_dies_under_load_and_comes_back_and_no_mail_waits_for_it(filtering, engines, mark, name):
    def up(seat):
        return metric(
            filtering.ports.filter_metrics, f'contentfilter_engine_up{{engine="{name}",seat="{seat}"}}'
        )

    with Traffic(filtering, mark) as traffic:
        traffic.flows(10)
        engines[name].kill()
        traffic.flows(20)
        assert up(1) == up(2) == 0
        engines[name].start()
        wait_until(lambda: up(1) == up(2) == 1, 30.0, "it is back")
        traffic.flows(8)
    assert {code for _, code in traffic.sent} == {250}
    for sent, _ in traffic.sent:
        assert len(filtering.sink.find(f"{sent}@".encode())) == 1
    assert send(filtering, samples.mail(f"{mark}-after", subject=BAD)).code == 250
    assert verdict(filtering, f"{mark}-after")[0] == "tag"
    failed = f'contentfilter_panel_total{{name="{name}",result="failed"}}'
    assert metric(filtering.ports.filter_metrics, failed) > 0

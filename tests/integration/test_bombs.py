"""Mails made to stall, exhaust or kill the filter: each is answered, and other mail goes on meanwhile.

The daemon and its workers are the real ones, with their usual bounds; only the time for a message is shorter.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postwarden.demo import samples
from postwarden.sandbox.client import Dialogue
from postwarden.sandbox.gateway import Gateway, Rewired, fetch
from tests.samples import bombs, office
from tests.samples.messages import attachment, message, multipart, text
from tests.samples.pdf import raw_pdf, stream

MIB = 1 << 20
DEADLINE = 15.0
"""Seconds for one message."""
PROMPT = 5.0
"""Seconds in which an ordinary mail is answered meanwhile, on a machine that is busy with the bomb."""
WORKER_MEMORY = 1 << 30
DAEMON_MEMORY = 300 * MIB
"""Octets that the daemon may have at its worst, with a mail of 50 MiB in hand."""

ENDLESS = int(os.environ.get("BOMB_MIB", "200"))
"""MiB of a header line without end; more of it takes only more time."""

LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
ENTITIES = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY l0 "ha">' + LAUGHS + b"]><w:document>&l9;</w:document>"
)


def mail_with(data: bytes, name: str = "file.bin") -> bytes:
    return message(multipart(text(), attachment(data, name)))


def levels_of_mime(count: int) -> bytes:
    head = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(count)
    )
    return head + b"\r\ntext\r\n"


EXPANDING = stream(b"\x78\x9c" + bombs.deflated_zeros(2_000 * MIB), b"/Type/EmbeddedFile/Filter/FlateDecode")

BOMBS: dict[str, Callable[[], bytes]] = {
    "nested like 42.zip": lambda: mail_with(bombs.nested_zips(5, 10, 64 * MIB), "42.zip"),
    "10 GB of zeros": lambda: mail_with(bombs.zip_of_zeros(10_000 * MIB), "zeros.zip"),
    "10 GB in gzip": lambda: mail_with(bombs.compressed_zeros("gzip", 10_000 * MIB), "zeros.gz"),
    "a million members": lambda: mail_with(bombs.tar_of_many(1_000_000), "many.tar.gz"),
    "members that overlap": lambda: mail_with(bombs.overlapping_zip(2_000, 20 * MIB), "overlap.zip"),
    "a ZIP that holds itself": lambda: mail_with(bombs.zip_quine(), "quine.zip"),
    "a gzip that holds itself": lambda: mail_with(bombs.gzip_quine(), "quine.gz"),
    "a dictionary of 1.5 GB": lambda: mail_with(bombs.seven_zip_of_memory(1536 * MIB), "memory.7z"),
    "a hundred containers": lambda: mail_with(bombs.nested(100), "deep.zip"),
    "10,000 levels of MIME": lambda: levels_of_mime(10_000),
    "a header line of 50 MB": lambda: b"X-Long: " + b"y" * 50_000_000 + b"\r\n\r\nHello\r\n",
    "a million header lines": lambda: b"X: y\r\n" * 1_000_000 + b"\r\nHello\r\n",
    "a million delimiters": lambda: (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 1_000_000 + b"--b--\r\n"
    ),
    "encoded words": lambda: b"Subject: " + b"=?utf-8?q?" * 300_000 + b"\r\n\r\nHello\r\n",
    "entities in a document": lambda: mail_with(office.docx(ENTITIES), "laughs.docx"),
    "entities in a PDF": lambda: mail_with(
        raw_pdf(b"/AcroForm<</XFA 4 0 R>>", {4: stream(ENTITIES)}), "laughs.pdf"
    ),
    "a PDF that expands": lambda: mail_with(raw_pdf(objects={4: EXPANDING}), "bomb.pdf"),
    "groups in RTF": lambda: mail_with(b"{\\rtf1" + b"{\\*{\\object\\objdata " * 300_000, "groups.rtf"),
    "a macro to stall patterns": lambda: mail_with(
        office.docm("Sub AutoOpen()\r\n" + "Open Declare " * 100_000 + "\r\nEnd Sub\r\n"), "stall.docm"
    ),
    "a page of tags": lambda: mail_with(b"<html>" + b"<script " * 500_000, "tags.html"),
    "bars and formulas": lambda: mail_with(b"=cmd|'" * 700_000, "table.csv"),
}
HARMLESS = {"entities in a document", "entities in a PDF", "a page of tags", "bars and formulas"}
"""What need not be refused: there is nothing in it, and it was looked through."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory) -> Iterator[Gateway]:
    workers = {
        "count": 2,
        "memory": WORKER_MEMORY,
        "deadline": f"{DEADLINE:g}s",
        "cpu_time": f"{DEADLINE:g}s",
    }
    with Gateway(
        tmp_path_factory.mktemp("bombs"), settings={"contentfilter": {"workers": workers}}
    ) as gateway:
        sink = gateway.sink.port
        gateway.start(Rewired(reinject_before=sink, reinject_after=sink), with_postfix=False)
        yield gateway


def send(gateway: Gateway, mail: bytes) -> int:
    with Dialogue(gateway.ports.before, timeout=60.0) as dialogue:
        return dialogue.send("a@outside.example", ["eve@open.example"], mail).code


class Trickle:
    """Ordinary mail, one after another, as long as a bomb is being judged."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._stop = threading.Event()
        self.answers: list[int] = []
        self.slowest = 0.0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Trickle:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            self.answers.append(send(self._gateway, samples.mail(f"trickle-{len(self.answers)}")))
            self.slowest = max(self.slowest, time.monotonic() - began)
            self._stop.wait(0.1)


def peak(pid: int) -> int:
    """Octets of memory that a process had at its worst."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) << 10


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_answered_and_hurts_nobody(gateway: Gateway, name: str) -> None:
    mail = BOMBS[name]()
    with Trickle(gateway) as trickle:
        began = time.monotonic()
        code = send(gateway, mail)
        seconds = time.monotonic() - began
    assert seconds < DEADLINE + 5
    assert code == 250 if name in HARMLESS else code in (451, 554)
    assert set(trickle.answers) <= {250}
    assert trickle.slowest < PROMPT
    assert send(gateway, samples.mail("after")) == 250
    assert peak(gateway.contentfilter.pid) < DAEMON_MEMORY
    assert all(peak(worker) < WORKER_MEMORY for worker in children(gateway.contentfilter.pid))


def test_a_header_line_without_end_is_cut_off(gateway: Gateway) -> None:
    """A client that sends far more than the limit, in one line: read to its end, and kept nowhere."""
    block = b"y" * MIB
    with socket.create_connection(("127.0.0.1", gateway.ports.before), timeout=60.0) as client:
        replies = client.makefile("rb")
        replies.readline()
        for command in (b"HELO x", b"MAIL FROM:<a@outside.example>", b"RCPT TO:<eve@open.example>", b"DATA"):
            client.sendall(command + b"\r\n")
            assert replies.readline()[:1] in b"23"
        client.sendall(b"X-Long: ")
        for _ in range(ENDLESS):
            client.sendall(block)
        client.sendall(b"\r\n\r\n.\r\n")
        assert replies.readline().startswith(b"552 5.3.4")
    assert peak(gateway.contentfilter.pid) < DAEMON_MEMORY


def test_the_workers_are_well_after_it_all(gateway: Gateway) -> None:
    metrics = fetch(gateway.ports.filter_metrics, "/metrics")[1].splitlines()
    fates = {
        line.split('"')[1]: float(line.split()[-1]) for line in metrics if "workers_ended_total{" in line
    }
    assert fates["crashed"] == 0
    assert fates["killed"] + fates["failed"] <= 3

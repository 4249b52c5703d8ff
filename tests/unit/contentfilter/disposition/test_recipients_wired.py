"""Recipients that differ, and the quarantine, through the daemon as it is wired."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contentfilter.content.results import ScanResult
from contentfilter.quarantine.entry import entries
from mailbase.vocabulary import Finding

from ..wired import UPSTREAM, Wired

DDE = ScanResult((Finding("office-dde", "2/a.docx"),))
MACRO = ScanResult((Finding("office-macro", "2/a.docm"),))
STRICT, FREE, ABUSE = "r@strict.example", "r@free.example", "abuse@inst.example"
SMTP, LMTP = 0, 1


@pytest.fixture
def wired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wired]:
    made = Wired(tmp_path, monkeypatch)
    yield made
    made.end()


def kept(wired: Wired) -> list[list[str]]:
    """Whom the quarantine has mail for, by file."""
    return [entry.metadata["recipients"] for entry in entries(wired.folder / "quarantine")]


def offered(wired: Wired, *recipients: str) -> list[int]:
    """The replies to RCPT."""
    line = wired.connect()
    for command in (b"EHLO x", b"XFORWARD ADDR=203.0.113.9", b"MAIL FROM:<s@x.example>"):
        line.protocol.dataReceived(command + b"\r\n")
    codes = []
    for recipient in recipients:
        line.clear()
        line.protocol.dataReceived(f"RCPT TO:<{recipient}>\r\n".encode())
        codes.append(int(line.value()[:3]))
    return codes


def test_over_smtp_they_come_one_after_another(wired: Wired) -> None:
    wired.result = DDE
    assert wired.mail(STRICT, FREE).startswith("451 4.5.3 ")
    assert offered(wired, STRICT, FREE) == [250, 452]
    assert offered(wired, FREE, STRICT) == [250, 452]
    assert wired.mail(FREE).startswith("250 2.0.0 Ok: queued")
    assert wired.mail(STRICT).startswith("554 5.7.1 ")
    assert offered(wired, STRICT, FREE) == [250, 250]


def test_what_postfix_does_not_take_is_not_kept_for_some(wired: Wired) -> None:
    wired.result = MACRO
    wired.postfix = b"451 4.3.0 no"
    assert wired.mail("r@inst.example", FREE, client=UPSTREAM).startswith("451 4.3.0 ")
    assert kept(wired) == []
    wired.postfix = b"250 2.0.0 Ok: queued as 4XYZ"
    assert wired.mail("r@inst.example", FREE, client=UPSTREAM).startswith("250 ")
    assert kept(wired) == [["r@inst.example"]]


def test_over_lmtp_each_hears_its_own(wired: Wired) -> None:
    wired.result = MACRO
    wired.pass_time(0.2)
    line = wired.connect(LMTP)
    commands = [
        "LHLO x",
        "MAIL FROM:<s@x.example>",
        *(f"RCPT TO:<{one}>" for one in (STRICT, FREE, ABUSE)),
        "DATA",
    ]
    for command in commands:
        line.protocol.dataReceived(command.encode() + b"\r\n")
    line.clear()
    line.protocol.dataReceived(b"Subject: hi\r\n\r\nbody\r\n.\r\n")
    wired.pass_time(1)
    # Of our own users' mail no domain wants less protection than they have anyway.
    assert [int(said[:3]) for said in line.value().splitlines()] == [554, 554, 250]
    assert kept(wired) == [[ABUSE]]


def reload(wired: Wired, **changes: object) -> None:
    """Put other settings of the quarantine in force."""
    settings = wired.daemon.settings
    quarantine = settings.contentfilter.quarantine.model_copy(update=changes)
    content = settings.contentfilter.model_copy(update={"quarantine": quarantine})
    changed = settings.model_copy(update={"contentfilter": content}).with_registry(settings.registry)
    wired.patch.setattr("contentfilter.app.load", lambda *_: changed)
    wired.daemon.reload()
    wired.pass_time(0.1)


def test_a_reload_changes_bounds_and_folder(wired: Wired) -> None:
    wired.result = MACRO
    assert wired.mail(client=UPSTREAM).startswith("250 ")
    reload(wired, max_messages=1)
    assert wired.mail(client=UPSTREAM).startswith("451 4.3.0 ")
    assert "the quarantine is full: 1 messages of at most 1" in wired.stream.getvalue()
    reload(wired, folder=wired.folder / "elsewhere")
    assert wired.mail(client=UPSTREAM).startswith("250 ")
    assert len(list(entries(wired.folder / "elsewhere"))) == wired.daemon.quarantine.usage.messages == 1
    assert len(kept(wired)) == 1

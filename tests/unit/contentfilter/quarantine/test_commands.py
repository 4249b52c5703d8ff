"""The quarantine's commands."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, succeed

from contentfilter.disposition.verdict import Verdict
from contentfilter.quarantine import commands
from contentfilter.quarantine.entry import MAGIC, Entry, locked
from contentfilter.quarantine.keeper import Quarantine
from contentfilter.quarantine.release import Released
from contentfilter.session.envelope import Envelope
from contentfilter.session.envelope import Path as MailPath
from contentfilter.spool.spool import Spool
from mailbase.config import QuarantineSettings
from mailbase.vocabulary import Action, Flow

from ..called import MACRO, run

ID = "0123456789abc"


@pytest.fixture
def quarantined(tmp_path, config):
    """One message in the quarantine; returns the file."""
    folder = tmp_path / "q"
    folder.mkdir(mode=0o700)
    spool = Spool(tmp_path, 1 << 20)
    spool.write(b"Subject: \x1b[31m\xff\r\n\r\n..dot\r\n")
    verdict = Verdict(ID, Flow.UPSTREAM, Action.QUARANTINE, MACRO, (MACRO,))
    envelope = Envelope(MailPath("s@x.example", b"<s@x.example>"), recipients=[MailPath("r@y.example", b"")])
    kept: list[Path] = []
    box = Quarantine(QuarantineSettings(folder=folder), lambda job: succeed(job()))
    Deferred.fromCoroutine(box.keep(verdict, envelope, spool, 1795312800.0)).addCallback(kept.append)
    return kept[0]


def test_listing_the_quarantine(config, quarantined, capsys):
    assert run("quarantine", "list", "--config", config) == 0
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert row == {
        "time": "2026-11-22T02:00:00Z",
        "id": ID,
        "flow": "upstream",
        "sender": "s@x.example",
        "recipients": ["r@y.example"],
        "size": 25,
        "findings": ["office-macro"],
        "expires": 1795312800 + 30 * 86400,
        "reason": row["reason"],
        "file": quarantined.name,
    }


def test_showing_what_is_known_and_the_message(config, quarantined, capsysbinary):
    assert run("quarantine", "show", ID, "--config", config) == 0
    assert json.loads(capsysbinary.readouterr().out)["file"] == str(quarantined)
    assert run("quarantine", "show", ID, "--message", "--config", config) == 0
    assert capsysbinary.readouterr().out == b"Subject: \x1b[31m\xff\r\n\r\n.dot\r\n"


def test_deleting(config, quarantined, capsys):
    assert run("quarantine", "delete", ID, "--config", config) == 0
    assert not quarantined.exists()
    assert run("quarantine", "delete", ID, "--config", config) == 1
    assert "nothing in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        (("--to", "r@y.example"), 1),
        (("--to", "R@Y.example"), 1),
        (("--to", "y.example"), 1),
        (("--to", "example"), 0),
        (("--from", "x.example"), 1),
        (("--from", "s@x.example", "--to", "other@y.example"), 0),
    ],
)
def test_listing_what_is_for_somebody(config, quarantined, capsys, arguments, rows):
    assert run("quarantine", "list", "--config", config, *arguments) == 0
    assert len(capsys.readouterr().out.splitlines()) == rows


def test_a_person_gets_a_table(config, quarantined, capsys, monkeypatch):
    monkeypatch.setattr(commands, "wants_json", lambda *_args: False)
    assert run("quarantine", "list", "--config", config) == 0
    head, row = capsys.readouterr().out.splitlines()
    # Both times are local.
    assert row.startswith(time.strftime("%Y-%m-%d %H:%M:%S  ", time.localtime(1795312800)))
    assert head.split() == ["TIME", "ID", "FLOW", "SENDER", "RECIPIENTS", "SIZE", "FINDINGS", "EXPIRES"]
    assert "r@y.example" in row
    assert "[" not in row


def test_a_file_that_is_none_is_complained_of(config, quarantined, capsys):
    (quarantined.parent / f"20260101T000000Z-{ID}.mail").write_bytes(b"garbage")
    assert run("quarantine", "list", "--config", config) == 0
    written = capsys.readouterr()
    assert len(written.out.splitlines()) == 1
    assert "is no quarantined message" in written.err


def test_what_is_in_use_is_neither_deleted_nor_released(config, quarantined, capsys):
    with locked(quarantined):
        for command in ("delete", "release"):
            assert run("quarantine", command, ID, "--config", config) == 1
            assert "by somebody else" in capsys.readouterr().err
    assert quarantined.exists()


def test_releasing_tells_where_it_would_have_gone(config, quarantined, capsys, monkeypatch):
    """… and goes there, if that is still configured."""
    asked: list[tuple[object, ...]] = []

    def release(entry: Entry, *about: object) -> Released:
        asked.append((entry.path, *about))
        return Released(("r@y.example",), "250 2.0.0 Ok: queued as 1", False)

    monkeypatch.setattr(commands, "release", release)
    assert run("quarantine", "release", ID, "--config", config) == 0
    assert asked == [(quarantined, "127.0.0.1:10025", "filter.mx.example.org", [], False)]
    assert capsys.readouterr().out == f"{ID} released to r@y.example: 250 2.0.0 Ok: queued as 1\n"
    quarantined.write_bytes(
        quarantined.read_bytes().replace(b'"reinject": ""', b'"reinject": "127.0.0.1:10028"')
    )
    data = quarantined.read_bytes()
    head = data[data.index(b"\n") + 1 :].partition(b"Subject:")[0]
    quarantined.write_bytes(MAGIC + b"%d\n" % len(head) + head + b"Subject:")
    assert run("quarantine", "release", ID, "--config", config, "--to", "b@z.example", "--force") == 0
    assert asked[1][1:] == ("127.0.0.1:10028", "filter.mx.example.org", ["b@z.example"], True)


@pytest.mark.parametrize(
    "address", ["nobody", "<a@b.example>", "a@b.example\r\nRCPT TO:<c>", "ä@b.example", ""]
)
def test_an_address_that_is_none_is_a_mistake(config, quarantined, address, capsys):
    assert run("quarantine", "release", ID, "--to", address, "--config", config) == 2


def test_of_several_ids_none_is_touched_if_one_is_unknown(config, quarantined, capsys):
    assert run("quarantine", "delete", ID, "1" * 13, "--config", config) == 1
    assert quarantined.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "nothing is in the quarantine"), (("--to", "inst.example"), "nothing of it is in the quarantine")],
)
def test_an_empty_quarantine_says_so_on_standard_error(config, tmp_path, capsys, arguments, said):
    (tmp_path / "q").mkdir()
    assert run("quarantine", "list", "--config", config, *arguments) == 0
    told = capsys.readouterr()
    assert (told.out, told.err.strip()) == ("", said)

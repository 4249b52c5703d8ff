"""Several files: rotated, of several hosts, of several kinds."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from policyd.replay.past import Recorded
from policyd.replay.recording import header
from policyd.replay.report import remarks
from policyd.replay.sources import MAX_LINE, SourceError, Sources

REFUSED = (
    "2026-11-26T20:{minute:02d}:00+00:00 {host} postfix/smtpd[1]: NOQUEUE: reject: RCPT from"
    " m.x.example[198.51.100.7]: 450 4.2.0 <b@inst.example>: greylisted; from=<{sender}>"
    " to=<b@inst.example> proto=ESMTP helo=<h>\n"
)
DECIDED = (
    "2026-11-26T20:{minute:02d}:00.000Z policyd info event=decision id=0000000000000 flow=inbound stage=RCPT"
    " client=198.51.100.7 client_name=m.x.example sender={sender} recipient=b@inst.example action=defer"
    " reason=greylist-new seconds=0.001\n"
)


def senders(*paths: Path) -> list[str]:
    return [line.request.sender for line in Sources(paths) if isinstance(line, Recorded)]


def test_rotated_files_are_read_in_the_order_of_their_time(tmp_path: Path) -> None:
    names = ("mail.log", "mail.log.1", "mail.log.2.gz")
    paths = [tmp_path / name for name in names]
    paths[0].write_text(REFUSED.format(minute=30, host="mx", sender="last@x"))
    paths[1].write_text(REFUSED.format(minute=20, host="mx", sender="second@x"))
    paths[2].write_bytes(gzip.compress(REFUSED.format(minute=10, host="mx", sender="first@x").encode()))
    assert senders(*paths) == ["first@x", "second@x", "last@x"]


@pytest.mark.parametrize("damage", [lambda data: data[:-40], lambda data: data[:-60] + b"x" * 60])
def test_a_compressed_file_that_is_cut_off_or_damaged_is_told(tmp_path: Path, damage: Any) -> None:
    # Numbers that cannot be compressed much: what stands before the damage is whole. The same in each run:
    # in one of eight, what is read into the damage would repeat some lines.
    numbers = random.Random(7)
    text = "".join(
        REFUSED.format(minute=minute, host="mx", sender=f"{numbers.randbytes(20).hex()}@x")
        for minute in range(10, 60)
    )
    (tmp_path / "whole.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "cut.gz").write_bytes(damage(gzip.compress(text.encode())))
    sources = Sources([tmp_path / "whole.gz"])
    assert len(list(sources)) == 50
    assert remarks(sources.counts) == []
    sources = Sources([tmp_path / "cut.gz"])
    assert 0 < len(list(sources)) <= 50
    assert remarks(sources.counts)[0].startswith("1 compressed files end too early or are damaged")


def test_a_mail_goes_on_in_the_next_file(tmp_path: Path) -> None:
    lines = [
        "2026-11-26T20:{}:00Z mx postfix/smtpd[7]: 725F8210A11: client=m.x.example[198.51.100.25]\n",
        "2026-11-26T20:{}:01Z mx postfix/qmgr[9]: 725F8210A11: from=<a@x>, size=7, nrcpt=1 (queue active)\n"
        "2026-11-26T20:{}:02Z mx postfix/smtp[1]: 725F8210A11: to=<b@inst.example>, status=sent (ok)\n",
    ]
    for name, text in zip(("old", "new"), lines, strict=True):
        (tmp_path / name).write_text(text.replace("{}", "10"))
    assert senders(tmp_path / "new", tmp_path / "old") == ["a@x"] * 3


def test_two_hosts_are_read_side_by_side(tmp_path: Path) -> None:
    for host in ("mx1", "mx2"):
        (tmp_path / host).write_text(
            "".join(
                REFUSED.format(minute=minute, host=host, sender=f"{minute}@{host}")
                for minute in range(int(host[-1]), 10, 2)
            )
        )
    assert senders(tmp_path / "mx1", tmp_path / "mx2") == [f"{n}@mx{1 + (n + 1) % 2}" for n in range(1, 10)]


def test_two_daemons_logs_are_read_side_by_side(tmp_path: Path) -> None:
    for name, minutes in (("a/policyd.log", (1, 3)), ("a/policyd.log.1", (0,)), ("b/policyd.log", (2, 4))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(
            "".join(DECIDED.format(minute=minute, sender=f"{minute}@x") for minute in minutes)
        )
    found = senders(*(tmp_path / name for name in ("b/policyd.log", "a/policyd.log", "a/policyd.log.1")))
    assert found == [f"{minute}@x" for minute in range(5)]


def test_where_our_own_lines_are_postfixs_are_not_needed(tmp_path: Path) -> None:
    postfix, own, mixed = (tmp_path / name for name in ("postfix", "own", "mixed"))
    postfix.write_text(REFUSED.format(minute=1, host="mx", sender="postfix@x"))
    own.write_text(DECIDED.format(minute=1, sender="own@x"))
    assert senders(postfix) == ["postfix@x"]
    assert senders(postfix, own) == ["own@x"]
    mixed.write_text(
        REFUSED.format(minute=1, host="mx", sender="postfix@x")
        + "2026-11-26T20:01:00+00:00 mx policyd[5]: "
        + DECIDED.format(minute=1, sender="own@x")
    )
    assert senders(mixed) == ["own@x"]


def test_recordings_of_two_nodes_are_one_traffic(tmp_path: Path) -> None:
    for host, times in (("mx1", (10, 30)), ("mx2", (20, 40))):
        rows = [
            header(times[0], host),
            {"dropped": 2},
            *({"time": time, "request": {"sender": f"{time}@x"}} for time in times),
        ]
        (tmp_path / host).write_text("".join(json.dumps(row) + "\n" for row in rows))
    sources = Sources([tmp_path / "mx2", tmp_path / "mx1"])
    assert [line.request.sender for line in sources if isinstance(line, Recorded)] == [
        "10@x",
        "20@x",
        "30@x",
        "40@x",
    ]
    assert sources.counts.dropped == 4


def test_it_can_be_read_twice(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(REFUSED.format(minute=1, host="mx", sender="a@x"))
    sources = Sources([tmp_path / "log"])
    assert [len(list(sources)), len(list(sources))] == [1, 1]
    assert sources.counts.lines == 1


def test_pseudonymised_decisions_are_told(tmp_path: Path) -> None:
    line = DECIDED.format(minute=1, sender="0123456789abcdef").replace("198.51.100.7", "0123456789abcdef")
    (tmp_path / "log").write_text(line)
    sources = Sources([tmp_path / "log"])
    assert not list(sources)
    assert sources.counts.pseudonymised == 1


def test_lines_without_end_fill_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(
        b"x" * (3 * MAX_LINE) + b"\n" + REFUSED.format(minute=1, host="mx", sender="a@x").encode()
    )
    sources = Sources([path])
    assert len(list(sources)) == 1
    assert (sources.counts.lines, sources.counts.unreadable) == (2, 1)


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[int] = []
    path = tmp_path / "log"
    path.write_text("x\n" * 45_000)
    list(Sources([path], progress=told.append))
    assert told == [20_000, 40_000]


def test_a_year_that_was_given_counts(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(
        REFUSED.format(minute=1, host="mx", sender="a@x").replace(
            "2026-11-26T20:01:00+00:00", "Nov 26 20:01:00"
        )
    )
    (line,) = Sources([path], 2019)
    assert isinstance(line, Recorded)
    assert 1_574_000_000 < line.time < 1_575_000_000
    os.utime(path, (1_700_000_000, 1_700_000_000))
    (line,) = Sources([path])
    assert isinstance(line, Recorded)
    # The last November before the file was written.
    assert 1_669_000_000 < line.time < 1_670_000_000


def test_what_cannot_be_read_is_told_with_its_name(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(SourceError, match=str(path)):
            list(Sources([path]))

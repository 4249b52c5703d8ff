"""Logs that journalctl has written, in its forms for programs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.replay.journald import LONGEST, syslog_lines
from policyd.replay.past import Recorded
from policyd.replay.sources import MAX_LINE, Sources

REFUSED = (
    "NOQUEUE: reject: RCPT from m.x.example[198.51.100.7]: 450 4.2.0 <b@inst.example>: greylisted;"
    " from=<a@x.example> to=<b@inst.example> proto=ESMTP helo=<h>"
)
DECIDED = (
    "2026-11-26T20:53:17.000Z policyd info event=decision id=0000000000000 flow=inbound stage=RCPT"
    " client=198.51.100.7 client_name=m.x.example sender=a@x.example recipient=b@inst.example action=defer"
    " reason=greylist-new seconds=0.001"
)
ENTRY = {
    "__CURSOR": "s=ab;i=1",
    "__REALTIME_TIMESTAMP": "1764190397012345",
    "_HOSTNAME": "mx",
    "SYSLOG_IDENTIFIER": "postfix/smtpd",
    "SYSLOG_PID": "17",
    "_PID": "18",
    "MESSAGE": "connect",
}
LINE = b"2025-11-26T20:53:17.012345+00:00 mx postfix/smtpd[17]: connect\n"


def exported(entry: Mapping[str, str | bytes]) -> bytes:
    fields = b""
    for name, value in entry.items():
        if isinstance(value, bytes):
            fields += name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
        else:
            fields += f"{name}={value}\n".encode()
    return fields + b"\n"


def read(data: bytes) -> list[bytes]:
    return list(syslog_lines(iter(data.splitlines(keepends=True))))


def test_an_entry_is_a_line() -> None:
    assert read(exported(ENTRY) * 2) == [LINE] * 2
    assert read(json.dumps(ENTRY).encode() + b"\n") == [LINE]


def test_what_an_entry_may_lack() -> None:
    bare = {name: ENTRY[name] for name in ("__CURSOR", "__REALTIME_TIMESTAMP", "MESSAGE")}
    assert read(exported(bare)) == [b"2025-11-26T20:53:17.012345+00:00 - -: connect\n"]
    assert read(exported({**bare, "MESSAGE": ""})) == [b"\n"], "nothing was said"
    assert read(exported({**bare, "__REALTIME_TIMESTAMP": "soon"})) == [b""]


@pytest.mark.parametrize("size", [10, 13, 256])
def test_fields_of_octets_may_have_line_ends(size: int) -> None:
    """Also in the octets of their size: 10 is one."""
    message = (b"con\nnect=\xff" + b"x" * size)[:size]
    wanted = LINE.replace(b"connect", message.replace(b"\n", b" ").replace(b"\xff", "\ufffd".encode()))
    assert read(exported({**ENTRY, "MESSAGE": message}) + exported(ENTRY)) == [wanted, LINE]
    numbers = json.dumps({**ENTRY, "MESSAGE": list(b"con\nnect")}).encode() + b"\n"
    assert read(numbers) == [LINE]


def test_a_field_too_long_spoils_its_entry_alone() -> None:
    size = (LONGEST + 1).to_bytes(8, "little")
    long = b"__CURSOR=x\nCOREDUMP\n" + size + b"x" * 10 + b"\n\n"
    assert read(long + exported(ENTRY)) == [b"", LINE]
    assert read(exported(ENTRY) + exported({"__CURSOR": "x", "MESSAGE": b"x" * 100})[:-50]) == [LINE, b""]


def test_a_line_too_long_to_be_read_takes_no_other_entry_with_it(tmp_path: Path) -> None:
    decided = {**ENTRY, "MESSAGE": DECIDED}
    long = {"__CURSOR": "x", "__REALTIME_TIMESTAMP": "1", "COREDUMP": b"x" * 2 * MAX_LINE}
    path = tmp_path / "journal"
    path.write_bytes(exported(decided) + exported(long) + exported(decided) * 3)
    sources = Sources([path])
    assert sum(isinstance(line, Recorded) for line in sources) == 4


def test_other_files_stay_as_they_are() -> None:
    for lines in ([], [b"Nov 26 20:53:17 mx x: y\n", b"", b"{}\n"], [b'{"component":"policyd"}\n']):
        assert list(syslog_lines(iter(lines))) == lines


@pytest.mark.parametrize("form", ["export", "json"])
@pytest.mark.parametrize("message", [REFUSED, DECIDED])
def test_requests_are_found_in_a_journal(tmp_path: Path, form: str, message: str) -> None:
    entry = {**ENTRY, "MESSAGE": message}
    data = exported(entry) if form == "export" else json.dumps(entry).encode() + b"\n"
    path = tmp_path / "journal.gz"
    path.write_bytes(gzip.compress(data))
    (line,) = (line for line in Sources([path]) if isinstance(line, Recorded))
    assert (line.request.sender, line.request.client_address) == ("a@x.example", "198.51.100.7")


@given(st.binary(max_size=200))
def test_nothing_raises(noise: bytes) -> None:
    read(b"__CURSOR=x\n" + noise)
    read(b'{"__REALTIME_TIMESTAMP":"1"}\n' + noise)


@given(
    st.dictionaries(
        st.sampled_from(sorted(ENTRY)), st.none() | st.text() | st.integers() | st.lists(st.integers())
    )
)
def test_nothing_raises_on_odd_fields(entry: dict[str, object]) -> None:
    for line in read(json.dumps({"__REALTIME_TIMESTAMP": "1", **entry}).encode()):
        assert line.count(b"\n") <= 1

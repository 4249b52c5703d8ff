"""The way back: in time or not at all, whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import StringTransport

from contentfilter.reinjection import reinjection
from contentfilter.smtp.client import TROUBLE, Result

from ..proxied import Line
from .reinjecting import HEADER, Rig, spooled


class Tight(Line):
    """One with a socket that takes so many octets before the rest has to wait."""

    room = 0

    def getHandle(self) -> Any:
        return self

    def send(self, data: bytes) -> int:
        if not self.room:
            raise BlockingIOError(errno.EAGAIN, "full")
        taken = data[: self.room]
        self.room -= len(taken)
        self.write(taken)
        return len(taken)


def test_delivery_sends_header_and_spool_unchanged(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n..dot\r\n")).to_content()
    assert rig.line.no_delay
    assert rig.content == HEADER + b"Hi\r\n..dot\r\n.\r\n"
    rig.line.flush()
    assert rig.outcomes == []
    rig.say(b"250 2.0.0 queued\r\n")
    assert rig.outcome.result is Result.DELIVERED
    assert (rig.meter.compared_bodies, rig.meter.mismatches) == (1, 0)
    assert rig.sent.endswith(b"\r\n.\r\n"), "the connection waits for the next mail: test_idle"


@pytest.mark.parametrize("memory", [0, 1 << 24])
@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 262144, 262145, 1000003])
def test_delivery_of_any_size(tmp_path: Path, size: int, memory: int) -> None:
    data = (b"0123456789" * (size // 10 + 1))[: max(0, size - 2)] + b"\r\n" if size else b""
    rig = Rig().deliver(spooled(tmp_path, data, memory)).to_content()
    rig.line.flush()
    assert rig.content == HEADER + data + b".\r\n"
    rig.say(b"250 ok\r\n")
    assert rig.outcome.result is Result.DELIVERED


def test_delivery_of_a_small_mail_goes_out_at_once_and_needs_nobody_to_ask_for_more(tmp_path: Path) -> None:
    line = Tight()
    line.room = 1 << 20
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content(line)
    assert rig.content == HEADER + b"Hi\r\n.\r\n"
    assert line.producer is None
    rig.reactor.advance(76)
    assert rig.outcomes == [], "its end is out, so it may be delivered: the answer is waited for"
    assert rig.say(b"250 ok\r\n").outcome.result is Result.DELIVERED


def test_delivery_of_a_small_mail_that_does_not_fit_is_whole_and_taken_back_in_time(tmp_path: Path) -> None:
    commands = len(b"EHLO filter.example\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n")
    content = HEADER + b"Hi\r\n.\r\n"
    for room in range(len(content)):
        line = Tight()
        line.room = commands + room
        rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content(line)
        assert rig.content == content, "some by the socket, the rest in the transport's buffer"
        rig.reactor.advance(75)
        assert rig.outcome.result is Result.LATE
        assert line.disconnected
        line = Tight()
        line.room = commands + room
        rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content(line)
        line.flush()
        assert rig.content == content
        assert rig.say(b"250 ok\r\n").outcome.result is Result.DELIVERED


def test_delivery_takes_from_the_spool_only_what_the_line_takes(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"a" * 998 + b"\r\n", 0)).to_content()
    data = b"0123456\r\n" * 200_000
    rig = Rig().deliver(spooled(tmp_path, data, 0)).to_content()
    assert len(rig.content) <= 256 * 1024 + len(HEADER)
    rig.line.stalled = True
    rig.line.flush()
    assert len(rig.content) <= 256 * 1024 + len(HEADER)


def test_delivery_end_of_data_goes_out_in_time_or_not_at_all(tmp_path: Path) -> None:
    data = b"0123456\r\n" * 100_000
    rig = Rig().deliver(spooled(tmp_path, data, 0)).to_content()
    rig.line.stalled = True
    rig.reactor.advance(75)
    assert rig.outcome.result is Result.LATE
    assert rig.outcome.replies == (TROUBLE,)
    assert rig.line.disconnected
    assert not rig.content.endswith(b".\r\n")


def test_delivery_clock_is_looked_at_right_before_the_end_of_data(tmp_path: Path) -> None:
    """The timer has not run yet: the reactor was busy."""
    data = b"0123456\r\n" * 100_000
    rig = Rig().deliver(spooled(tmp_path, data, 0)).to_content()
    rig.reactor.rightNow += 75
    rig.line.flush()
    assert rig.outcome.result is Result.LATE
    assert rig.line.disconnected
    assert len(rig.content) == len(HEADER) + len(data)


@pytest.mark.parametrize(("taken", "late"), [(100_000, True), (200_000, False)])
def test_delivery_clock_is_looked_at_again_where_the_kernel_has_not_taken_most(
    tmp_path: Path, taken: int, late: bool
) -> None:
    line = Tight()
    line.room = taken
    data = b"0123456\r\n" * 25_000
    rig = Rig().deliver(spooled(tmp_path, data)).to_content(line)
    rig.reactor.rightNow += 75
    line.flush()
    if late:
        assert rig.outcome.result is Result.LATE
        assert line.disconnected
        assert rig.content == HEADER + data
    else:
        assert rig.content == HEADER + data + b".\r\n", "no more than a small mail's worth waited"


def test_delivery_end_of_data_stuck_in_our_buffer_is_taken_back(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content()
    assert rig.content.endswith(b".\r\n")
    rig.line.stalled = True
    rig.reactor.advance(75)
    assert rig.outcome.result is Result.LATE
    assert rig.line.disconnected


def test_delivery_after_the_end_of_data_waits_longer_than_the_client(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content()
    rig.line.flush()
    rig.reactor.advance(76)
    assert rig.outcomes == []
    rig.say(b"250 ok\r\n")
    assert rig.outcome.result is Result.DELIVERED
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n")).to_content()
    rig.line.flush()
    rig.reactor.advance(reinjection.FINAL_REPLY)
    assert rig.outcome.result is Result.UNKNOWN
    assert rig.line.disconnected


def test_delivery_already_late(tmp_path: Path) -> None:
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n"), within=-1)
    rig.reactor.advance(0)
    assert rig.outcome.replies == (TROUBLE,)


def test_delivery_altered_bytes_never_get_their_end(tmp_path: Path) -> None:
    for memory in (0, 1 << 20):
        spool = spooled(tmp_path, b"Hello\r\n" * 20_000, memory)
        spool._seal.update(b"!")
        rig = Rig().deliver(spool).to_content()
        rig.line.flush()
        assert rig.outcome.result is Result.MISMATCH
        assert rig.outcome.replies == (TROUBLE,)
        assert not rig.content.endswith(b".\r\n")
        assert rig.line.disconnected
        assert (rig.meter.compared_bodies, rig.meter.mismatches) == (1, 1)


def test_delivery_unreadable_spool(tmp_path: Path) -> None:
    spool = spooled(tmp_path, b"Hello\r\n" * 100_000, 0)
    rig = Rig().deliver(spool).to_content()
    spool.close()
    rig.line.flush()
    assert rig.outcome.result is Result.FAILED
    assert rig.line.disconnected


def test_delivery_over_a_unix_socket(tmp_path: Path) -> None:
    rig = Rig("unix:/run/back.sock").deliver(spooled(tmp_path, b"Hi\r\n"))
    assert rig.reactor.unixClients[0][0] == "/run/back.sock"
    plain = StringTransport()
    rig.reactor.unixClients[0][1].buildProtocol(None).makeConnection(plain)
    assert plain.value() == b""


def test_delivery_over_a_unix_socket_without_a_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twisted reports that for TCP later, for a UNIX socket it raises."""
    rig = Rig("unix:/run/back.sock")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(rig.reactor, "connectUNIX", full)
    rig.deliver(spooled(tmp_path, b"x\r\n"))
    assert rig.outcome.result is Result.FAILED
    assert rig.outcome.replies == (TROUBLE,)
    assert "Too many open files" in rig.outcome.detail
    assert rig.idle()
    # The question for extensions is asked again all the same.
    rig.port.start()
    assert rig.meter.probes == [False]
    assert not rig.idle()


def test_delivery_to_an_ipv6_address(tmp_path: Path) -> None:
    rig = Rig("[::1]:10025").deliver(spooled(tmp_path, b"Hi\r\n"))
    assert rig.reactor.tcpClients[0][:2] == ("::1", 10025)


@pytest.mark.parametrize(
    "header",
    [
        b"X-Ours: y",
        b"X-Ours: y\n",
        b"X: y\r\n.\r\n",
        b".\r\n",
        b"X: y\r\n\r\n",
        b"X: \xff\r\n",
        b"X: a\nb\r\n",
        b"\r\n",
        b" x\r\n",
    ],
)
def test_port_takes_only_whole_header_lines(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(ValueError, match="header lines"):
        Rig().deliver(spooled(tmp_path, b"Hi\r\n"), header)


def test_port_takes_folded_header_lines(tmp_path: Path) -> None:
    header = b"X-Ours: a\r\n\tb .\r\nX-Other:\r\n"
    rig = Rig().deliver(spooled(tmp_path, b"Hi\r\n"), header).to_content()
    assert rig.content == header + b"Hi\r\n.\r\n"

"""The end of a worker in the daemon: what it says, and what it writes."""

from __future__ import annotations

import io
import struct
from functools import partial
from typing import Any

from twisted.internet.task import Clock

from contentfilter.content.results import ScanResult
from contentfilter.pool import messages
from contentfilter.pool.frames import Done
from contentfilter.pool.messages import decode, encode
from contentfilter.pool.process import MAX_LOG_LINES, WorkerProcess
from mailbase.config import FINDING_NAMES
from mailbase.logs import Log


class Heard:
    def __init__(self) -> None:
        self.said: list[Any] = []

    def answered(self, answer: messages.Answer) -> None:
        self.said.append(answer)

    def misbehaved(self, why: str) -> None:
        self.said.append(why)

    def ended(self, how: str) -> None:
        self.said.append(("ended", how))


def edge() -> tuple[WorkerProcess, Heard, io.StringIO]:
    heard, output = Heard(), io.StringIO()
    log = Log("test", stream=output)
    read = partial(decode, names=FINDING_NAMES)
    return WorkerProcess(Clock(), None, heard, read, log), heard, output  # type: ignore[arg-type]


def test_after_garbage_nothing_more_is_heard():
    process, heard, _output = edge()
    process.childDataReceived(1, struct.pack(">I", 5) + b"hello")
    process.childDataReceived(1, encode(Done(ScanResult(parts=1))))
    assert heard.said == ["not JSON: JSONDecodeError"]


def test_what_workers_write_is_logged_in_bounded_lines():
    process, _heard, output = edge()
    process.childDataReceived(2, b"one\ntw")
    process.childDataReceived(2, b"o\r\nbell\x07\xff\n" + b"x" * 100_000)
    process.childDataReceived(2, b"\n" + b"line\n" * 1000)
    process.childDataReceived(2, b"line\n" * 1000)
    lines = output.getvalue().splitlines()
    assert "text=one" in lines[0]
    assert 'text="two?"' in lines[1] or "text=two?" in lines[1]
    assert "bell??" in lines[2]
    assert len(lines) == MAX_LOG_LINES + 1
    assert len(output.getvalue()) < 10_000

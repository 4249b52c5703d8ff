"""What daemon and signer say to each other; a signer that was broken into can say little."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contentfilter.pool.frames import Done, Failed, Frames, Garbage, Ready
from contentfilter.signing.messages import (
    MAX_LINES,
    Answer,
    Signed,
    SignTask,
    Unsigned,
    decode,
    encode,
    signed_for,
    split_fields,
)
from contentfilter.signing.reasons import REASONS
from contentfilter.signing.signature import Transmission, digest, sign
from tests.samples.dkim_keys import key

_, RSA = key()
_, EDWARDS = key("ed001", "ed25519-sha256")
MAIL = b"From: a@inst.example\r\n\r\nx\r\n"
LONG = "x" * 60 + ".example"
LINES = sign(digest([MAIL], Transmission()), "inst.example", [RSA, EDWARDS], 1_790_000_000)


def through(answer: Answer) -> Answer:
    frame = Frames().feed(encode(answer))
    assert frame is not None
    return decode(frame)


@pytest.mark.parametrize(
    "answer",
    [
        Ready(()),
        Ready(("Landlock",)),
        Done(Signed(LINES)),
        Failed("crashed", "KeyError in x"),
        Failed("out-of-memory"),
    ],
)
def test_answers_pass(answer: Answer) -> None:
    assert through(answer) == answer


@pytest.mark.parametrize("reason", REASONS)
def test_reasons_pass(reason: str) -> None:
    assert through(Done(Unsigned(reason))) == Done(Unsigned(reason))  # type: ignore[arg-type]


def test_signatures_of_long_names_pass() -> None:
    domain = ".".join([LONG] * 3)[:240].strip(".")
    lines = sign(digest([MAIL], Transmission()), domain, [RSA], 1_790_000_000)
    assert through(Done(Signed(lines))) == Done(Signed(lines))
    assert signed_for(lines) == [domain]


def test_whose_signatures_they_are() -> None:
    assert signed_for(LINES) == ["inst.example"] * 2
    assert len(split_fields(LINES.decode())) == 2


def test_tasks_pass() -> None:
    task = SignTask(4096, "inst.example", ("dkim001", "ed001"), 1_790_000_000)
    assert SignTask.decode(task.encode()) == task


@pytest.mark.parametrize(
    "packet", [b"", b"{}", b"[]", b"[1, 2]", b'[1, "d", 3, 4]', b'["x", "d", [], 4]', b"\xff"]
)
def test_what_is_no_task(packet: bytes) -> None:
    with pytest.raises(Garbage):
        SignTask.decode(packet)


HOSTILE = {
    "another field": "X-Spam: no\r\n",
    "another field too": LINES.decode() + "X-Spam: no\r\n",
    "another field before": "X-Spam: no\r\n" + LINES.decode(),
    "the end of the header": LINES.decode() + "\r\nbody",
    "a bare line feed": LINES.decode().replace("\r\n", "\n"),
    "no line end": LINES.decode()[:-2],
    "control characters": LINES.decode().replace("v=1", "v=\0"),
    "8 bits": LINES.decode().replace("v=1", "v=ü"),
    "nothing": "",
    "too much": "DKIM-Signature: " + "x" * MAX_LINES + "\r\n",
    "slow to look at": "DKIM-Signature: x\r\n  " + "x " * 8000,
    "a lone surrogate": "DKIM-Signature: \ud800\r\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_but_signatures_gets_on_top_of_a_mail(name: str) -> None:
    began = time.process_time()
    with pytest.raises(Garbage):
        decode(json.dumps({"signed": HOSTILE[name]}).encode())
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize(
    "frame",
    [b"", b"x", b"[]", b"{}", b'{"unsigned": "because"}', b'{"failed": "x", "detail": ""}', b'{"ready": [1]}',
     b'{"signed": 1}', b'{"failed": "crashed"}', b"[" * 100_000],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_answer(frame: bytes) -> None:
    with pytest.raises(Garbage):
        decode(frame)


@given(st.binary(max_size=60))
def test_whatever_is_answered(frame: bytes) -> None:
    try:
        decode(frame)
    except Garbage:
        return
    raise AssertionError(frame)

"""What daemon and worker say to each other: all of it arrives, and no lie does."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.content.clues import MAX_CLUES, Clue
from contentfilter.content.results import ScanResult
from contentfilter.content.traits import MAX_HOST, MAX_HOSTS, Traits
from contentfilter.pool import messages
from contentfilter.pool.frames import MAX_ANSWER, Done, Frames, Garbage
from contentfilter.pool.messages import MAX_FACTS, MAX_TEXT, Task, decode, encode
from contentfilter.spool.spool import SMALL
from mailbase.config import FINDING_NAMES
from mailbase.vocabulary import Finding, Unscanned

CLEAN = Done(ScanResult(parts=1))

texts = st.text(max_size=700)
digests = st.sampled_from(["", "0123456789abcdef" * 2 + "01234567"])
found_facts = st.tuples(st.sampled_from(sorted(FINDING_NAMES)), texts, texts)


@given(
    st.lists(st.tuples(st.sampled_from(sorted(FINDING_NAMES)), texts, texts, digests), max_size=5),
    st.integers(0, 10**6),
)
@settings(max_examples=100, deadline=None)
def test_what_a_worker_finds_arrives(found, parts):
    result = ScanResult(tuple(Finding(*item) for item in found), (), parts, 1.5)
    frame = encode(Done(result, True))
    answer = decode(frame[4:], FINDING_NAMES)
    assert isinstance(answer, Done)
    assert answer.retire
    assert [f.name for f in answer.result.findings] == [item[0] for item in found]
    assert (answer.result.parts, answer.result.seconds) == (parts, 1.5)
    for mine, (_name, part, detail, digest) in zip(answer.result.findings, found, strict=True):
        assert mine.digest == digest
        if part.isprintable():
            assert mine.part == part[:MAX_TEXT]
        if detail.isprintable():
            assert mine.detail == detail[: messages.MAX_DETAIL]


@pytest.mark.parametrize("letter", ["\U0001f600", "\x00", '"', "\\", "\udcff", "ä"])
def test_no_answer_is_larger_than_the_bound_and_the_first_of_each_kind_stays(letter):
    flood = [Finding("ole-object", letter * 2000, letter * 2000)] * 5000
    rare = Finding("virus", "the last", "")
    gaps = [Unscanned(letter * 2000, "too-deep", letter * 2000)] * 5000 + [Unscanned("x", "encrypted", "")]
    frame = encode(Done(ScanResult((*flood, rare), tuple(gaps))))
    assert len(frame) <= MAX_ANSWER + 4
    answer = decode(frame[4:], FINDING_NAMES)
    assert isinstance(answer, Done)
    assert len(answer.result.findings) == len(answer.result.unscanned) == MAX_FACTS
    assert answer.result.findings[-1] == rare
    assert answer.result.unscanned[-1].reason == "encrypted"


def test_clues_and_traits_arrive():
    clues = (Clue("rule.a", "seen"), Clue("statistics.spam", "0.99", 4.5), Clue("rule.b", shadow=True))
    result = ScanResult(clues=clues, traits=Traits(hosts=("example.org", "192.0.2.1")))
    answer = decode(encode(Done(result))[4:], FINDING_NAMES)
    assert isinstance(answer, Done)
    assert (answer.result.clues, answer.result.traits) == (clues, result.traits)


def test_what_is_given_with_a_task_arrives_unless_it_is_too_much():
    task = Task("wire", 5, given={"keys": {"a._domainkey.example.org": "v=DKIM1; p=ü"}})
    assert Task.decode(task.encode()) == task
    task = Task("wire", 5, dotted=False)
    assert Task.decode(task.encode()) == task
    packet = Task("wire", 5, given={"keys": "x" * messages.MAX_TASK}).encode()
    assert len(packet) <= messages.MAX_TASK
    assert Task.decode(packet) == Task("wire", 5)


@pytest.mark.parametrize("content", [b"hello", b"\n\r\n\n", b'{"size":1}\n', bytes(range(256)), b"x" * SMALL])
def test_a_small_message_arrives_with_its_task(content: bytes):
    for keys in ({}, {"keys": "a\nb"}):
        task = Task("wire", len(content), "n\nm", keys, content=content)
        assert Task.decode(task.encode()) == task
    much = Task("wire", len(content), given={"keys": "x" * (messages.MAX_TASK - len(content))})
    packet = replace(much, content=content).encode()
    assert len(packet) <= messages.MAX_TASK
    assert Task.decode(packet) == Task("wire", len(content), content=content)


def test_a_message_that_is_cut_off_is_garbage():
    with pytest.raises(Garbage):
        Task.decode(Task("wire", 5, content=b"hello").encode()[:-1])


GOOD: dict[str, Any] = {"findings": [], "unscanned": [], "parts": 1, "seconds": 0.1, "retire": False}


@pytest.mark.parametrize(
    "change",
    [
        {"findings": [["no-such-finding", "", "", ""]]},
        {"findings": [["virus", "", ""]]},
        {"findings": [["virus", "", 1, ""]]},
        {"findings": [["virus", "", "", "0"]]},
        {"findings": [["virus", "", "", None]]},
        {"findings": [["virus", "", "x" * (MAX_TEXT + 1), ""]]},
        {"findings": [["virus", "", "", ""]] * (MAX_FACTS + 1)},
        {"findings": {"virus": 1}},
        {"findings": None},
        {"unscanned": [["because", "", ""]]},
        {"unscanned": [["encrypted", "\ud800", ""]]},
        {"unscanned": ["encrypted"]},
        {"parts": -1},
        {"parts": 2**48},
        {"parts": True},
        {"parts": 1.0},
        {"parts": None},
        {"seconds": -1},
        {"seconds": "1"},
        {"seconds": True},
        {"seconds": 1e9},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"retire": 1},
        {"failed": "for fun", "detail": ""},
        {"failed": "crashed"},
        {"ready": "yes"},
        {"ready": [1]},
        {"clues": {}},
        {"clues": [["rule.a", "", 1.0]]},
        {"clues": [["rule", "", 1.0, False]]},
        {"clues": [["rule.a", "", "1", False]]},
        {"clues": [["rule.a", "", True, False]]},
        {"clues": [["rule.a", "", 1e9, False]]},
        {"clues": [["rule.a", "", None, 0]]},
        {"clues": [["rule.a", 1, None, False]]},
        {"clues": [["rule.a", "", None, False]] * (MAX_CLUES + 1)},
        {"traits": []},
        {"traits": {"hosts": "a"}},
        {"traits": {"hosts": [1]}},
        {"traits": {"hosts": ["a\nb"]}},
        {"traits": {"hosts": ["a"] * (MAX_HOSTS + 1)}},
        {"traits": {"hosts": ["a" * (MAX_HOST + 1)]}},
    ],
)
def test_a_lie_is_garbage(change):
    assert isinstance(decode(json.dumps(GOOD).encode(), FINDING_NAMES), Done)
    with pytest.raises(Garbage):
        decode(json.dumps({**GOOD, **change}).encode(), FINDING_NAMES)


@pytest.mark.parametrize(
    "frame", [b"", b"null", b"[]", b"{", b"\xff", b"{}", b"[" * 100_000, b"9" * 100_000, b'{"parts":NaN}']
)
def test_noise_is_garbage(frame):
    with pytest.raises(Garbage):
        decode(frame, FINDING_NAMES)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_whatever_comes_is_an_answer_or_garbage(frame):
    try:
        decode(frame, FINDING_NAMES)
    except Garbage:
        return


def test_a_frame_arrives_whole_wherever_it_is_split():
    frame = encode(CLEAN)
    for cut in range(len(frame)):
        frames = Frames()
        assert frames.feed(frame[:cut]) is None
        assert frames.feed(frame[cut:]) == frame[4:]


def test_a_frame_beyond_the_bound_or_with_a_tail_is_garbage():
    assert Frames().feed(struct.pack(">I", MAX_ANSWER)) is None
    with pytest.raises(Garbage):
        Frames().feed(struct.pack(">I", MAX_ANSWER + 1))
    with pytest.raises(Garbage):
        Frames().feed(encode(CLEAN) + b"x")


@pytest.mark.parametrize("name", ["x" * 5000, "ä\udcff\n", '"'])
def test_a_task_fits_its_packet(name):
    packet = Task("document", 5, name).encode()
    assert len(packet) <= messages.MAX_TASK
    assert Task.decode(packet).size == 5
    for broken in (b"{}", b'{"kind":"other","size":1,"name":""}', b"x"):
        with pytest.raises(Garbage):
            Task.decode(broken)


# The Twisted edge, without a process

"""Recordings and logs that are damaged, cut off, interleaved or hostile: nothing raises."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from mailbase.config import loads
from mailbase.logs import Log
from policyd.replay.decisions import decision_of
from policyd.replay.past import Recorded
from policyd.replay.postfix import PostfixLog
from policyd.replay.recording import header, line_of
from policyd.replay.sources import SourceError, Sources
from policyd.replay.stamps import Stamps
from policyd.replay.world import World

QUEUE_IDS = st.sampled_from(["4F1B2C3D4E", "4bZkTq3XyYz1qMz", "NOQUEUE", "X"])
TEXT = st.text(max_size=12)
ADDRESSES = st.one_of(st.sampled_from(["a@x.example", "", "b@inst.example", '"a b"@c', "<>"]), TEXT)
CLIENTS = st.sampled_from(["unknown[192.0.2.1]", "m.x[2001:db8::1]:25", "localhost[127.0.0.1]", "x[y]", "["])
MESSAGES = st.one_of(
    st.builds("{}: client={}".format, QUEUE_IDS, CLIENTS),
    st.builds("{}: client={}, sasl_username={}".format, QUEUE_IDS, CLIENTS, TEXT),
    st.builds("{}: client=localhost[127.0.0.1], orig_client={}".format, QUEUE_IDS, CLIENTS),
    st.builds("{}: from=<{}>, size={}, nrcpt={} (queue active)".format, QUEUE_IDS, ADDRESSES, TEXT, TEXT),
    st.builds("{}: from=<{}>, size=9, nrcpt=2 (queue active)".format, QUEUE_IDS, ADDRESSES),
    st.builds("{}: to=<{}>, orig_to=<{}>, status=sent (ok)".format, QUEUE_IDS, ADDRESSES, ADDRESSES),
    st.builds("{}: to=<{}>, relay=none, status=deferred (x)".format, QUEUE_IDS, ADDRESSES),
    st.builds("{}: removed".format, QUEUE_IDS),
    st.builds(
        "{}: reject: RCPT from {}: 450 4.2.0 {} greylisted; from=<{}> to=<{}> proto=ESMTP helo=<{}>".format,
        *(QUEUE_IDS, CLIENTS, TEXT, ADDRESSES, ADDRESSES, TEXT),
    ),
    st.builds(
        "proxy-reject: END-OF-MESSAGE: 554 {}; from=<{}> to=<{}> proto=ESMTP helo=<{}>".format,
        *(TEXT, ADDRESSES, ADDRESSES, TEXT),
    ),
    st.builds("proxy-accept: END-OF-MESSAGE: 250 queued as {}; from=<>".format, QUEUE_IDS),
    TEXT,
)
STAMPS = st.one_of(
    st.sampled_from(["Nov 26 20:53:17", "Dec 31 23:59:59", "Jan  1 00:00:00", "2026-11-26T20:53:17.5+01:00"]),
    TEXT,
)
PROGRAMS = st.sampled_from(["postfix/smtpd[1]", "postfix/qmgr[2]", "postfix/smtp[3]", "postfix/smtpd", "x"])
# A line of a file has no line end in its midst.
LINES = st.builds("{} mx {}: {}".format, STAMPS, PROGRAMS, MESSAGES).map(lambda line: line.replace("\n", " "))
DECISIONS = st.builds(
    "2026-11-26T20:53:17.123Z policyd info event=decision stage=RCPT action=accept {}={} facts={}".format,
    st.sampled_from(["seconds", "client", "reason", "id", "facts"]),
    TEXT,
    TEXT,
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        *("time", "request", "action", "reason", "id", "evidence", "callout", "fate", "wait", "repeated"),
        *("report", "client", "sender", "recipients", "allowed", "until", "rule", "dropped", "x"),
    ]
)
ROWS = st.dictionaries(KEYS, VALUES, max_size=6)


@given(st.lists(LINES, max_size=40))
def test_any_order_of_postfix_lines(lines: list[str]) -> None:
    log, stamps, last = PostfixLog(), Stamps(1_795_737_600.0), 0.0
    found: list[Recorded] = []
    for line in lines:
        stamp = stamps.read(line)
        if stamp is not None:
            log.feed(stamp, line[stamp.text :])
            last = max(last, stamp.time)
            found += log.ready(last)
    found += log.rest()
    assert log.held <= len(lines)
    for recorded in found:
        # What comes of it fits the policy protocol.
        assert all("\n" not in value for value in recorded.request.attributes.values())


@given(st.one_of(DECISIONS, st.text().map("2026-11-26T20:53:17.123Z policyd info event=decision ".__add__)))
def test_any_decision_line(line: str) -> None:
    recorded = decision_of(line)
    assert recorded is None or recorded.answer is not None


@given(ROWS)
def test_any_row_of_a_recording(row: dict[str, object]) -> None:
    try:
        line = line_of(json.loads(json.dumps(row)))
    except ValueError:
        return
    if isinstance(line, Recorded):
        assert 0 <= line.time < 1e12
        text = "".join(line.request.attributes.values())
        assert text.encode("utf-8").decode("utf-8") == text


ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        ["protocol_state", "client_address", "client_name", "sender", "recipient", "helo_name", "instance"]
    ),
    st.one_of(
        st.sampled_from(["RCPT", "DATA", "192.0.2.1", "2001:db8::1", "unknown", "a@inst.example"]), TEXT
    ),
)
REASONS = st.sampled_from(
    ["greylist-known", "greylist-client-earned", "greylist-passed", "greylist-early", "ticket"]
)
FACTS = st.lists(
    st.tuples(st.sampled_from(["helo", "spf", "dnsbl", "x"]), st.one_of(st.just("pass"), TEXT), TEXT).map(
        list
    )
)
REQUESTS = st.fixed_dictionaries(
    {"time": st.floats(0, 1e10), "request": ATTRIBUTES, "action": st.just("accept"), "reason": REASONS},
    optional={
        "id": st.sampled_from(["1", "2"]),
        "wait": st.integers(),
        "evidence": FACTS,
        "asked": st.lists(st.sampled_from(["helo", "spf"])),
        "callout": st.sampled_from(["known", "unknown", "busy"]),
    },
)
OTHERS = st.one_of(
    st.fixed_dictionaries({"allowed": st.sampled_from(["192.0.2.0/24", "::/0"]), "until": st.floats()}),
    st.fixed_dictionaries(
        {
            "report": st.sampled_from(["1", "2"]),
            "client": TEXT,
            "sender": TEXT,
            "recipients": st.lists(TEXT, max_size=2),
            "action": st.sampled_from(["reject", "defer", "accept"]),
        }
    ),
)
EVERYTHING = """
identity: {hostname: mx.gate.example}
spamtraps: {addresses: [trap@inst.example]}
flows:
  inbound:
    checks: true
    callout: true
    reject_at: 3
    limits: {few: {per: client, of: messages, limit: 1, within: 1h}}
"""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(REQUESTS, REQUESTS, OTHERS, ROWS), max_size=20))
def test_any_recording_is_decided(rows: list[dict[str, object]]) -> None:
    with TemporaryDirectory() as folder:
        world = World(loads(EVERYTHING), Path(folder), Log("policyd", stream=io.StringIO()))
        for row in rows:
            try:
                line = line_of(json.loads(json.dumps(row)))
            except ValueError:
                continue
            if isinstance(line, Recorded):
                assert world.decide(line).reply or line.request.instance
            else:
                world.take(line)
        world.close()
    assert not world.watch.failures


@settings(max_examples=60)
@given(
    st.booleans(),
    st.booleans(),
    st.lists(st.one_of(ROWS.map(json.dumps), LINES, DECISIONS, TEXT).map(str.encode), max_size=12),
    st.binary(max_size=30),
    st.integers(min_value=0, max_value=40),
)
def test_any_file(recording: bool, packed: bool, lines: list[bytes], junk: bytes, cut: int) -> None:
    first = [json.dumps(header(1.0, "mx")).encode()] if recording else []
    content = b"\n".join([*first, *lines, junk])
    if packed:
        content = gzip.compress(content)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content[: len(content) - cut] if cut else content)
        try:
            found = list(Sources([path]))
        except SourceError:
            return
    assert len(found) <= 5 * (len(lines) + 10)

"""Readers of signatures, seals, keys, policies and results: whatever strangers write, they tell or refuse."""

from __future__ import annotations

import contextlib
import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from contentfilter.authentication.authors import author_domains
from contentfilter.authentication.body import Canonical, Digest, Form, pieces
from contentfilter.authentication.dmarc import Dmarc, Spf, tree
from contentfilter.authentication.dmarc_record import find_record
from contentfilter.authentication.fields import Field
from contentfilter.authentication.judged import Judged, clues_of
from contentfilter.authentication.keys import Unusable, read_key
from contentfilter.authentication.names import MAX_KEYS, key_names
from contentfilter.authentication.outcome import MAX_AUTHORS, MAX_CLAIMS, Authentication, Chain, Signature
from contentfilter.authentication.reported import claims, reported
from contentfilter.authentication.results_line import results_line
from contentfilter.authentication.verify import authenticate
from contentfilter.content.clues import MAX_DETAIL
from contentfilter.message.wire import BytesWire
from tests.samples.signed import PLAIN, body_in, public, record, rsa_key, seal, sign

NOW = 1_800_000_000.0
KEYS = {
    "s._domainkey.example.org": [record(rsa_key())],
    "s._domainkey.sealer.example": [record(rsa_key())],
}
ALL = (b"from", b"to", b"subject", b"date", b"message-id")
SIGNED = sign(PLAIN, rsa_key(), forms=b"simple/simple", covered=ALL)
SEALED = seal(sign(PLAIN, rsa_key()), rsa_key(), 1)

TAGS = st.lists(
    st.sampled_from(
        [
            b"v=1",
            b"a=rsa-sha256",
            b"a=ed25519-sha256",
            b"c=relaxed/relaxed",
            b"d=example.org",
            b"d=sealer.example",
            b"s=s",
            b"s=\xff",
            b"h=from",
            b"h=",
            b"h=from:" + b":" * 40,
            b"bh=AAAA",
            b"b=AAAA",
            b"b=",
            b"i=1",
            b"i=@example.org",
            b"i=0",
            b"cv=none",
            b"l=1",
            b"l=" + b"9" * 80,
            b"t=1",
            b"x=0",
            b"q=dns/txt",
            b"",
            b" ",
            b"=",
            b"\r\n\t",
        ]
    ),
    max_size=16,
).map(b";".join)
NAMES = st.sampled_from(
    [
        b"DKIM-Signature",
        b"dkim-signature ",
        b"ARC-Seal",
        b"ARC-Message-Signature",
        b"ARC-Authentication-Results",
        b"Authentication-Results",
        b"From",
        b"X",
        b"",
    ]
)
LINES = st.tuples(NAMES, st.one_of(TAGS, st.binary(max_size=60))).map(lambda pair: pair[0] + b":" + pair[1])
MAILS = st.tuples(
    st.lists(LINES, max_size=12), st.sampled_from([b"\r\n", b"\n", b"\r"]), st.binary(max_size=80)
).map(lambda parts: parts[1].join(parts[0]) + parts[1] * 2 + parts[2])


def looked_at(message: bytes) -> Authentication:
    found = authenticate(BytesWire(message), KEYS, NOW)
    # Whatever was found can be handed over, within its bounds.
    assert Authentication.from_json(json.loads(json.dumps(found.to_json()))) == found
    return found


@given(st.one_of(MAILS, st.binary(max_size=400)))
@example(b"DKIM-Signature: v=1; d=example.org; i=example.org\r\n\r\n")
@settings(max_examples=300, deadline=None)
def test_any_mail_is_looked_at(message: bytes) -> None:
    found = looked_at(message)
    assert all(one.result != "pass" for one in found.signatures)
    assert found.chain.result != "pass"


@given(MAILS)
@settings(max_examples=300, deadline=None)
def test_the_daemon_finds_the_names_that_the_worker_needs(message: bytes) -> None:
    names = key_names(message)
    assert len(names) <= MAX_KEYS
    found = authenticate(BytesWire(message), dict.fromkeys(names, ()), NOW)
    assert "too many keys to look up" not in {one.reason for one in found.signatures}
    assert found.chain.result != "temperror"


@given(st.integers(0, len(SIGNED) - 3), st.integers(1, 255))
@example(SIGNED.index(b"\r\nFrom:"), 1)
@settings(max_examples=300, deadline=None)
def test_no_octet_of_what_is_signed_can_be_changed(at: int, difference: int) -> None:
    changed = bytearray(SIGNED)
    changed[at] ^= difference
    found = looked_at(bytes(changed))
    passed = [one for one in found.signatures if one.result == "pass"]
    if passed:
        # But for what means the same: within the signature's own base64, or blanks around tags. The end of
        # its line is not signed (RFC 6376 3.7), and reads the same without its CR.
        assert at <= SIGNED.index(b"\r\nFrom:")


@given(st.integers(0, len(SEALED)), st.binary(max_size=3))
@settings(max_examples=200, deadline=None)
def test_mail_that_is_cut_off_or_broken_up(at: int, noise: bytes) -> None:
    looked_at(SEALED[:at])
    looked_at(SEALED[:at] + noise + SEALED[at:])


@given(
    st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\r", b".", b"\r\n."]), max_size=40).map(b"".join),
    st.integers(2, 9),
    st.sampled_from(["simple", "relaxed"]),
)
@settings(max_examples=300, deadline=None)
def test_a_body_is_the_same_in_pieces_of_any_size(body: bytes, size: int, form: Form) -> None:
    body += b"\r\n"
    digest, expected = Digest(), Digest()
    expected.update(body_in(form.encode(), body))
    reader = Canonical(form, [digest])
    for piece in pieces(BytesWire(body), 0, size):
        reader.feed(piece)
    reader.finish()
    assert (digest.length, digest.digest()) == (expected.length, expected.digest())


@given(
    st.one_of(
        st.binary(max_size=200),
        TAGS,
        st.binary(max_size=40).map(lambda junk: b"p=" + public(rsa_key()) + junk),
    )
)
def test_any_record_is_a_key_or_is_refused(text: bytes) -> None:
    with contextlib.suppress(Unusable):
        read_key(text)


@given(
    st.lists(
        st.one_of(st.binary(max_size=80), st.binary(max_size=40).map(lambda more: b"v=DMARC1;" + more)),
        max_size=3,
    )
)
def test_any_policy_is_read(texts: list[bytes]) -> None:
    record = find_record(texts)
    assert record is None or record.policy in ("none", "quarantine", "reject", None)


@given(st.text(alphabet="ab.", min_size=1, max_size=60))
def test_a_walk_is_bounded(domain: str) -> None:
    assert len(tree(domain)) <= 8


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"i=1; mx; dkim=pass header.d=", b"i=1; mx; spf=pass smtp.mailfrom="]),
)
@settings(deadline=None)
def test_any_results_and_authors_are_read(value: bytes, before: bytes) -> None:
    field = Field(b"X", b"", value.replace(b"\n", b"") + b"\r\n")
    reported(before + value)
    assert len(claims([field] * 3)) <= MAX_CLAIMS
    assert len(author_domains([field] * 3)) <= MAX_AUTHORS


TEXT = st.text(max_size=40)


@given(TEXT, TEXT, TEXT, TEXT, TEXT, st.booleans())
@settings(deadline=None)
def test_a_line_is_a_line_whatever_stands_in_it(
    domain: str, selector: str, identity: str, reason: str, tag: str, testing: bool
) -> None:
    one = Signature("fail", domain, selector, identity, "rsa-sha256", 1024, reason, testing, tag)
    found = Authentication((one,), chain=Chain("fail", reason), authors=(domain, selector))
    judged = Judged(found, Spf("pass", domain), Dmarc("fail", domain, "reject", "reject", selector), identity)
    lines = results_line("mx.example", judged).split(b"\r\n")
    assert lines.pop() == b""
    assert lines[0].startswith(b"Authentication-Results: mx.example;")
    assert all(line[:1] == b"\t" and line.isascii() and len(line) < 998 for line in lines[1:])
    assert all(len(clue.detail) <= MAX_DETAIL for clue in clues_of(judged))

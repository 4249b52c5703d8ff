"""S/MIME, TNEF and compressed RTF from invented octets: the readers do not stumble, and keep their bounds."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.containers import cms, lzfu, openpgp, tnef
from contentfilter.containers.ber import BerError
from contentfilter.content.scan import scan_document
from tests.samples import cms as made_cms
from tests.samples import openpgp as made_openpgp
from tests.samples import tnef as made_tnef

EXAMPLES = settings(max_examples=200, deadline=None)
OPENPGP = made_openpgp.armour(
    made_openpgp.MARKER
    + made_openpgp.old(8, made_openpgp.compressed(made_openpgp.new(11, made_openpgp.literal(b"hello"))), 3)
)
SIGNED = made_cms.signed(
    made_cms.pieces(b"Content-Type: text/plain\r\n\r\nhello" * 5, 20, 2), made_cms.endless
)
WINMAIL = made_tnef.tnef(
    made_tnef.file(b"x" * 40, b"A.DOC", "a long name.doc"),
    made_tnef.embedded(b"y" * 40, made_tnef.MESSAGE_ID),
    made_tnef.attribute(0x9003, made_tnef.properties(made_tnef.binary(0x1009, made_tnef.RTF)), 1),
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """``whole``, with octets replaced, cut out and put in."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        data[at : at + draw(st.integers(0, 6))] = draw(st.binary(max_size=6))
    return bytes(data)


@EXAMPLES
@given(damaged(SIGNED))
def test_damaged_smime(data: bytes):
    try:
        found = cms.read(data)
    except (BerError, StopIteration):
        return
    assert len(found.content or b"") <= len(data)


@EXAMPLES
@given(damaged(OPENPGP))
def test_damaged_openpgp(data: bytes):
    for octets in (data, *openpgp.armoured(data)):
        message = openpgp.read(octets, 1000)
        assert message.expanded <= 1000


@EXAMPLES
@given(damaged(WINMAIL))
def test_damaged_winmail(data: bytes):
    result = scan_document("winmail.dat", data)
    assert "failed" not in {item.reason for item in result.unscanned}


@EXAMPLES
@given(st.sampled_from([SIGNED, made_cms.compressed(b"z" * 99)]).flatmap(damaged))
def test_damaged_documents_are_scanned_without_a_failure(data: bytes):
    result = scan_document("x", data)
    assert "failed" not in {item.reason for item in result.unscanned}


@EXAMPLES
@given(st.binary(max_size=400))
def test_invented_winmail_and_rtf(data: bytes):
    try:
        for _number, value in tnef.attributes(tnef.SIGNATURE + b"\0\0" + data):
            list(tnef.properties(value))
    except tnef.TnefError:
        pass
    text, problem = lzfu.expand(struct.pack("<II4sI", len(data) + 12, 0, b"LZFu", 0) + data)
    assert len(text) <= lzfu.MAX_SIZE + 200
    assert problem in ("", "malformed", "too-large")

"""PDF, locks and passwords on invented octets: no crash, no endless work, and no lock passes unseen."""

from __future__ import annotations

import io
import re

import pikepdf
from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.containers.access import lock_of
from contentfilter.containers.noise import is_noise
from contentfilter.containers.ziparchive import ZipArchive
from contentfilter.containers.ziplock import fits, open_member
from contentfilter.content.limits import ScanOptions
from contentfilter.content.scan import scan_document
from contentfilter.message import BytesWire
from contentfilter.passwords.telling import as_text, told_by_mail
from contentfilter.passwords.words import MAX_LENGTH, candidates
from contentfilter.pdf import syntax
from contentfilter.pdf.streams import lzw
from tests.samples.archives import archive
from tests.samples.pdf import pdf, raw_pdf, stream
from tests.samples.ziplocks import aes, traditional

EXAMPLES = settings(max_examples=150, deadline=None)
OPTIONS = ScanOptions(parts=200, members=100, password_cost=200_000)

TOKENS = st.sampled_from(
    (
        b"<<|>>|[|]|(|)|<|>|%|/|#|\n|null|true|1 0 obj|4 0 obj|endobj|4 0 R|1 0 R|stream\n|endstream|trailer|"
        b"startxref|xref\n0 1\n|%%EOF|%PDF-1.7|/Root 1 0 R|/Encrypt 4 0 R|/Encryp#74<<|/S/JavaScript|/JS(x)|"
        b"/S/Launch|/EF|/F 4 0 R|/XFA 4 0 R|/Type/EmbeddedFile|/Filter/Standard|/V 4|/R 9|/O(x)|/Length 5|"
        b"/Filter/FlateDecode|/Kids[1 0 R]"
    ).split(b"|")
)
SOUP = st.lists(st.one_of(TOKENS, st.binary(max_size=6)), max_size=60).map(b" ".join)
PLAIN = raw_pdf(b"/OpenAction<</S/JavaScript/JS(x)>>", {4: stream(b"x" * 40, b"/Type/EmbeddedFile")})
LOCKED = pdf(lock=pikepdf.Encryption(user="secret", owner="owner", R=4))


def judged(data: bytes) -> set[str]:
    result = scan_document("x", data, OPTIONS)
    reasons = {item.reason for item in result.unscanned}
    assert "failed" not in reasons, result.unscanned
    return reasons | {finding.name for finding in result.findings}


@EXAMPLES
@given(SOUP)
def test_soup_of_pdf(soup: bytes):
    judged(b"%PDF-1.7\n" + soup)
    judged(raw_pdf(soup))
    judged(raw_pdf(objects={4: soup}, trailer=soup))


@EXAMPLES
@given(st.sampled_from([PLAIN, LOCKED]), st.data())
def test_document_with_a_piece_changed_is_no_silent_pass(document: bytes, data: st.DataObject):
    at = data.draw(st.integers(16, len(document)))
    piece = data.draw(st.one_of(st.binary(max_size=20), TOKENS))
    size = data.draw(st.integers(0, 30))
    found = judged(document[:at] + piece + document[at + size :])
    if document is LOCKED and re.search(rb"/Encrypt \d", document[:at] + piece + document[at + size :]):
        assert found


@EXAMPLES
@given(SOUP)
def test_syntax_of_pdf(soup: bytes):
    for start, end in syntax.documents(soup)[0]:
        assert 0 <= start < end <= len(soup)
    assert all(0 < end <= len(soup) for end in syntax.encrypted_revisions(soup))
    assert set(syntax.telling_names(soup)) <= {"JS", "Launch", "EmbeddedFile", "EF", "ObjStm"}
    syntax.with_trailer(soup)


@EXAMPLES
@given(st.binary(max_size=400), st.integers(0, 1000))
def test_lzw_keeps_its_bound(packed: bytes, limit: int):
    data, problem = lzw(packed, limit)
    assert len(data) <= limit
    assert problem in ("", "malformed", "too-large")


@EXAMPLES
@given(st.text(max_size=500), st.text(max_size=50))
def test_candidates_of_any_text(text: str, name: str):
    words = list(candidates([text, "Password: " + text], [name]))
    assert len(words) == len(set(words))
    assert all(0 < len(word) <= MAX_LENGTH for word in words)


@EXAMPLES
@given(st.binary(max_size=600))
def test_words_of_any_octets(octets: bytes):
    as_text(octets)
    as_text(b"<html>" + octets)
    list(told_by_mail(BytesWire(b"Subject: " + octets), OPTIONS))


@EXAMPLES
@given(st.binary(max_size=200), st.binary(max_size=20), st.binary(max_size=20), st.data())
def test_zip_locks(content: bytes, password: bytes, other: bytes, data: st.DataObject):
    items = [
        traditional("a", content, content, password, 0),
        aes("b", content, len(content), password, 256, 0),
    ]
    whole = archive(items)
    found = ZipArchive.find(whole, 10)
    assert found is not None
    for member in found.members:
        opened = open_member(whole, member, password, 1000, lambda: False)
        # libarchive takes NUL for the end; noise is not believed to be what the empty password opens.
        if b"\0" not in password and (password or not is_noise(content)):
            assert opened is not None
            assert bytes(opened.data) == content
        fits(whole, member, other)
    at = data.draw(st.integers(0, len(whole)))
    judged(whole[:at] + other + whole[at:])


@EXAMPLES
@given(st.binary(max_size=300))
def test_databases(octets: bytes):
    for engine in (b"Jet", b"ACE"):
        lock_of(b"\0\1\0\0Standard " + engine + b" DB\0" + octets)


def test_what_qpdf_makes_of_the_samples():
    with pikepdf.open(io.BytesIO(PLAIN)) as document:
        assert len(document.pages) == 1

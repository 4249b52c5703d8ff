"""PDF: locked, restricted, in disguise, and what only speaks of it."""

from __future__ import annotations

import io
import itertools
import re

import pikepdf
import pytest

from contentfilter.content.scan import scan_message
from tests.samples.messages import attachment, message, multipart, text
from tests.samples.noise import noise
from tests.samples.pdf import pdf, raw_pdf, stream

from ..scanned import scanned
from .pdfs import LOCKED, LOCKED_OLD, MACROS, PROGRAM, attach, locked

LOCKS = {
    "R2": {"R": 2, "aes": False, "metadata": False},
    "R3": {"R": 3, "aes": False, "metadata": False},
    "R4": {"R": 4, "aes": True},
    "R4, RC4": {"R": 4, "aes": False, "metadata": False},
    "R5": {"R": 5},
    "R6": {"R": 6},
    "R6, metadata open": {"R": 6, "metadata": False},
}


@pytest.mark.parametrize("how", LOCKS.values(), ids=LOCKS.keys())
def test_locked_and_restricted_are_told_apart(how: dict[str, object]):
    assert scanned(locked("secret", **how)) == ({"pdf-encrypted"}, {"encrypted"})
    assert scanned(locked("", **how)) == ({"pdf-owner-restricted"}, set())
    assert scanned(locked("", "", **how)) == ({"pdf-owner-restricted"}, set())


@pytest.mark.parametrize("how", LOCKS.values(), ids=LOCKS.keys())
def test_what_is_restricted_is_scanned_like_any_other(how: dict[str, object]):
    def change(document: pikepdf.Pdf) -> None:
        document.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")
        attach(document, "a.docm", PROGRAM)

    names, reasons = scanned(locked("", change=change, **how))
    assert names == {"pdf-owner-restricted", "pdf-javascript", *MACROS}
    assert reasons == set()


FILE_LOCKS = {
    "another filter": (b"/StrF /StdCF", b"/EFF /Other1"),
    "none but for files": (b"/StmF /StdCF", b"/EFF  /StdCF"),
    "a handler's own": (b"/CFM /AESV2", b"/CFM /None "),
    "filter that is nowhere": (b"/StmF /StdCF", b"/StmF /Nobody"[:12]),
    "its own": (b"/Type /EmbeddedFile", b"/Filter /Crypt     "),
    "no lock for tables": (b"/Type /EmbeddedFile", b"/Type /XRef        "),
    "no lock for metadata": (b"/Type /EmbeddedFile", b"/Type /Metadata    "),
}


@pytest.mark.parametrize(("old", "new"), FILE_LOCKS.values(), ids=FILE_LOCKS.keys())
def test_embedded_file_that_is_locked_otherwise_than_the_document(old: bytes, new: bytes):
    lock = pikepdf.Encryption(user="", owner="owner", R=4)
    whole = pdf(lambda d: attach(d, "a.bin", b"x" * 50), lock, compress_streams=False)
    assert scanned(whole) == ({"pdf-owner-restricted"}, set())
    assert whole.count(old) == 1
    names, reasons = scanned(whole.replace(old, new))
    # Where the filter of strings is gone, the name is any.
    assert names - {"name-mismatch"} == {"pdf-owner-restricted", "pdf-encrypted"}
    assert reasons == {"encrypted"}
    # Without embedded files there is nothing that it could lock.
    assert "pdf-encrypted" not in scanned(locked("", R=4).replace(old, new))[0]


TORSOS = {
    "table": {"linearize": True},
    "stream": {"linearize": True, "object_stream_mode": pikepdf.ObjectStreamMode.generate},
}


def linearized(user: str, **how: object) -> bytes:
    def change(document: pikepdf.Pdf) -> None:
        document.pages[0].Contents = document.make_stream(noise(3000))
        attach(document, "a.bin", noise(3000))

    return pdf(change, pikepdf.Encryption(user=user, owner="o", R=4), **how)


@pytest.mark.parametrize("how", TORSOS.values(), ids=TORSOS.keys())
def test_torso_of_what_everybody_can_open_is_no_locked_document(how: dict[str, object]):
    # As bounces have it: the trailer stands in front, the pages may be lost.
    whole = linearized("", **how)
    for size in range(whole.index(b"/CFM") + 2000, len(whole) - 40, 97):
        names, reasons = scanned(whole[:size])
        assert names == {"pdf-owner-restricted"}, size
        assert reasons == {"malformed"}, size


@pytest.mark.parametrize("how", TORSOS.values(), ids=TORSOS.keys())
def test_torso_of_a_locked_document_is_locked(how: dict[str, object]):
    whole = linearized("secret", **how)
    for size in range(whole.index(b"/CFM") + 2000, len(whole) - 40, 97):
        assert "pdf-encrypted" in scanned(whole[:size])[0], size


@pytest.mark.parametrize(
    "more",
    [
        b"trailer<</Encrypt 99 0 R>>",
        b"trailer<</#45ncrypt%a\n99 0 R>>",
        b"\n%d%%a\n0 obj<</Filter/Standard>>endobj\n",
        b"\n0%d 0 obj<</Filter/Standard>>endobj\n",
    ],
)
def test_torso_with_a_doubt_about_its_lock_is_locked(more: bytes):
    whole = linearized("", **TORSOS["table"])
    number = re.search(rb"/Encrypt (\d+)", whole)
    assert number is not None
    decoy = more.replace(b"%d", number[1]).replace(b"%%", b"%")
    torso = whole[: whole.index(b"/Kids")]
    assert "pdf-encrypted" not in scanned(torso)[0]
    assert "pdf-encrypted" in scanned(torso[:-2000] + decoy + torso[-2000:])[0]


PACKED = pdf(
    lock=pikepdf.Encryption(user="secret", owner="o"),
    object_stream_mode=pikepdf.ObjectStreamMode.generate,
)


@pytest.mark.parametrize(
    "data",
    [
        b"junk " * 100 + LOCKED,
        b"%PDF-1.7\n" + b"\0" * 900 + LOCKED,
        LOCKED_OLD.replace(b"/Encrypt", b"/E#6ecrypt"),
        LOCKED_OLD.replace(b"/Encrypt", b"/#45#6E#63#72#79#70#74"),
        LOCKED_OLD.replace(b"/Encrypt ", b"/Encrypt%comment\n\t "),
        LOCKED + b"\r\n" * 200,
        # Behind so much, qpdf finds no end, repairs, and no longer says that a password is wanted.
        LOCKED + b"\r\n" * 1000,
        LOCKED + b"x" * 5000,
        LOCKED_OLD + bytes(20_000),
        PACKED + b"x" * 2000,
        b"x" * 1100 + PACKED,
        LOCKED + b"xref\n0 0\ntrailer<<>>\nstartxref\n%d\n%%%%EOF\n" % len(LOCKED),
        pdf(
            lock=pikepdf.Encryption(user="secret", owner="o"),
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
        ),
        pdf(lock=pikepdf.Encryption(user="secret", owner="o"), linearize=True),
        LOCKED_OLD.replace(b"startxref", b"startxxxx"),
        LOCKED_OLD[: LOCKED_OLD.rindex(b"startxref")],
        LOCKED_OLD.replace(b"%PDF-1", b"no header"),
        # Handlers that nobody here knows: certificates, rights management.
        LOCKED_OLD.replace(b"/Filter /Standard", b"/Filter /Adobe.PubSec /SubFilter /adbe.pkcs7.s5"),
        LOCKED_OLD.replace(b"/Filter /Standard", b"/Filter /MicrosoftIRMServices"),
        LOCKED_OLD.replace(b"/V 4", b"/V 9"),
        LOCKED_OLD.replace(b"/R 4", b"/R 9"),
    ],
)
def test_locks_in_disguise(data: bytes):
    assert scanned(data) == ({"pdf-encrypted"}, {"encrypted"})


@pytest.mark.parametrize("how", LOCKS.values(), ids=LOCKS.keys())
def test_lock_behind_which_much_stands(how: dict[str, object]):
    for user, name in (("secret", "pdf-encrypted"), ("", "pdf-owner-restricted")):
        assert name in scanned(locked(user, **how) + b"x" * 2000)[0]
    result = scan_message(
        message(multipart(text(b"Password: secret\r\n"), attachment(locked("secret", **how) + b"x" * 2000)))
    )
    assert [item.detail for item in result.findings] == ["needs a password, which the mail tells"]


@pytest.mark.parametrize("rest", [b"\r\n" * 1500, bytes(5000), b"<b>Warning</b>: x on line 3<br />\n" * 60])
def test_what_stands_behind_a_document_whose_table_is_a_stream(rest: bytes):
    for user, name in (("secret", "pdf-encrypted"), ("", "pdf-owner-restricted")):
        out = io.BytesIO()
        lock = pikepdf.Encryption(user=user, owner="owner", R=4)
        with pikepdf.open(io.BytesIO(pdf())) as document:
            document.save(out, encryption=lock, object_stream_mode=pikepdf.ObjectStreamMode.generate)
        assert scanned(out.getvalue() + rest)[0] == {name}
    with pikepdf.open(io.BytesIO(pdf())) as document:
        document.save(out := io.BytesIO(), object_stream_mode=pikepdf.ObjectStreamMode.generate)
    if not rest.strip(b"\0\r\n"):
        assert scanned(out.getvalue() + rest) == (set(), set())


def test_revision_that_takes_the_lock_away():
    end = LOCKED_OLD.rindex(b"startxref")
    start = int(LOCKED_OLD[end + 10 :].split()[0])
    assert LOCKED_OLD[start : start + 4] == b"xref"
    plain = LOCKED_OLD[:start].replace(b"/Encrypt", b"/Nothing") + LOCKED_OLD[start:]
    assert scanned(plain)[0] == {"pdf-encrypted"}
    for name in (b"/Encrypt", b"/Encryp#74"):
        base = LOCKED_OLD.replace(b"/Encrypt", name) + b"%xref\n0 1\n"  # where /Prev would lead
        names, reasons = scanned(raw_pdf(base=base))
        assert "pdf-encrypted" in names
        assert "encrypted" in reasons


def test_lock_that_cannot_be_read_is_told():
    at = LOCKED_OLD.index(b"/Filter /Standard")
    data = LOCKED_OLD[:at] + b"%" + LOCKED_OLD[at + 1 :]
    names, reasons = scanned(data)
    assert names | reasons
    data = LOCKED_OLD[:at] + b"%" + LOCKED_OLD[at:]
    names, reasons = scanned(data)
    assert names | reasons


def test_attachments_alone_are_encrypted():
    base = locked(
        "secret", R=4, change=lambda d: d.attachments.__setitem__("a", pikepdf.AttachedFileSpec(d, b"x"))
    )
    names = (b"/StmF /StdCF", b"/StrF /StdCF")
    assert all(name in base for name in names)
    data = base.replace(names[0], b"/StmF /Identity /EFF /StdCF").replace(names[1], b"/StrF /Identity")
    data = data.replace(b"/AuthEvent /DocOpen", b"/AuthEvent /EFOpen")
    assert scanned(data)[0] == {"pdf-encrypted"}


@pytest.mark.parametrize(
    "about",
    [
        b"/EP<</Type/EncryptedPayload/Subtype/Acme>>",
        b"/AFRelationship/EncryptedPayload",
        b"/AFRelationship/Encrypted#50ayload",
    ],
)
def test_wrapper_around_an_encrypted_document(about: bytes):
    spec = b"<</Type/Filespec/F(a.pdf)/EF<</F 5 0 R>>%s>>" % about
    data = raw_pdf(
        b"/Collection<</View/H>>/Names<</EmbeddedFiles<</Names[(a)4 0 R]>>>>",
        {4: spec, 5: stream(b"\x93\x12cipher text", b"/Type/EmbeddedFile")},
    )
    assert scanned(data) == ({"pdf-encrypted"}, {"encrypted"})


def test_password_that_the_mail_tells():
    def change(document: pikepdf.Pdf) -> None:
        attach(document, "a.docm", PROGRAM)

    for how in LOCKS.values():
        data = locked("Pa55-wort", change=change, **how)
        for parts in itertools.permutations((text(b"Password: Pa55-wort\r\n"), attachment(data, "a.pdf"))):
            result = scan_message(message(multipart(*parts)))
            assert {finding.name for finding in result.findings} == {"pdf-encrypted", *MACROS}
            assert result.unscanned == ()
    result = scan_message(message(multipart(text(b"no word of it\r\n"), attachment(data, "a.pdf"))))
    assert [finding.name for finding in result.findings] == ["pdf-encrypted"]
    assert [item.reason for item in result.unscanned] == ["encrypted"]


@pytest.mark.parametrize(
    "data",
    [
        raw_pdf(objects={4: b"(trailer of /Encrypt)"}),
        raw_pdf(objects={4: stream(b"BT (about /Encrypt and /Encrypted things) Tj ET")}),
        raw_pdf(base=raw_pdf()),
        raw_pdf(b"/Encrypted true"),
        raw_pdf(objects={4: b"<</Encrypt/Me>>"}),
        raw_pdf(trailer=b"/EncryptMetadata true"),
    ],
)
def test_what_only_speaks_of_encryption(data: bytes):
    assert scanned(data) == (set(), set())


def test_a_lock_with_a_name_that_is_no_text():
    locked = pdf(lock=pikepdf.Encryption(user="", owner="owner", R=4))
    assert locked.count(b"/StmF /StdCF") == 1
    names, reasons = scanned(locked.replace(b"/StmF /StdCF", b"/StmF /St\xbeCF"))
    assert "pdf-owner-restricted" in names
    assert reasons == {"malformed"}

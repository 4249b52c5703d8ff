"""Archives, PDF, programs and the rest."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import time

import pikepdf
import pytest

from contentfilter.content.scan import ScanOptions, scan_document
from mailbase.vocabulary import Unscanned
from tests.samples.archives import DEFLATED, STORED, Item, archive, deflated, item, plain_zip
from tests.samples.messages import attachment, message, multipart, text
from tests.samples.noise import noise
from tests.samples.office import MACRO, docm, docx

from ..scanned import scanned

PROGRAM = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(100)


# ZIP.


def test_encrypted_member_among_plain_ones():
    data = archive([item(b"plain.docm", docm()), item(b"secret.doc", b"x" * 50, flags=1)])
    result = scan_document("a.zip", data)
    assert {finding.name for finding in result.findings} >= {"archive-encrypted", "office-macro"}
    assert Unscanned("a.zip/secret.doc", "encrypted", "ZIP member") in result.unscanned
    assert {finding.part for finding in result.findings if finding.name == "office-macro"} == {
        "a.zip/plain.docm"
    }


def test_archive_encrypted_by_aes():
    names, reasons = scanned(archive([item(b"a", b"x" * 50, flags=1, method=99)]))
    assert (names, reasons) == ({"archive-encrypted"}, {"encrypted"})


def test_hidden_member_is_scanned_and_told():
    honest = item(b"a.docm", docm())
    data = archive([item(b"seen.txt", b"x"), Item(honest.local, None, honest.data)])
    names, _reasons = scanned(data)
    assert names >= {"archive-malformed", "office-macro"}


def test_archive_behind_something_else():
    assert "office-macro" in scanned(b"GIF89a" + noise(5000) + plain_zip({"a.docm": docm()}))[0]
    assert "office-macro" in scanned(PROGRAM + plain_zip({"a.docm": docm()}))[0]


def zeros(size: int) -> bytes:
    return deflated(bytes(size))


def test_bomb_of_one_member():
    packed = zeros(200 << 20)
    entry = item(b"a", b"", packed=len(packed), size=200 << 20).local
    names, reasons = scanned(archive([Item(entry, entry, packed)]))
    assert "archive-bomb" in names
    assert reasons == {"too-large"}


def test_bomb_among_much_else():
    packed = zeros(80 << 20)
    entry = item(b"a", b"", packed=len(packed), size=80 << 20).local
    other = noise(1 << 20)
    names, _reasons = scanned(archive([item(b"noise", other, STORED), Item(entry, entry, packed)]))
    assert "archive-bomb" in names


def test_bomb_of_members_that_share_their_data():
    packed = zeros(20 << 20)
    entry = item(b"a", b"", packed=len(packed), size=20 << 20).local
    assert entry is not None
    body, directory = entry.local() + packed, entry.central(0) * 50
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 50, 50, len(directory), len(body), 0)
    names, reasons = scanned(body + directory + end)
    assert names == {"archive-bomb", "archive-malformed", "too-large"}
    assert reasons == {"too-large"}


def test_nested_bomb_is_answered_soon():
    packed = zeros(64 << 20)
    entry = item(b"z", b"", packed=len(packed), size=64 << 20).local
    data = archive([Item(entry, entry, packed)] * 4)
    for level in range(5):
        data = plain_zip({f"{level}-{n}.zip": data for n in range(16)})
    started = time.process_time()
    names, reasons = scanned(data)
    assert time.process_time() - started < 20
    assert "archive-bomb" in names
    assert "too-large" in reasons


def test_archive_of_itself_is_too_deep():
    data = b"x"
    for level in range(40):
        data = plain_zip({f"{level}.zip": data})
    assert scanned(data) == ({"too-deep"}, {"too-deep"})


def test_honest_compression_is_no_bomb():
    data = docx(
        b"<w:document>" + b"<w:p><w:r><w:t>the same again</w:t></w:r></w:p>" * 100_000 + b"</w:document>"
    )
    assert scanned(data) == (set(), set())


def test_more_members_than_are_looked_at():
    data = archive([item(b"%d" % n, b"x") for n in range(100)])
    assert scanned(data, ScanOptions(members=99)) == ({"too-large"}, {"too-large"})
    assert scanned(data, ScanOptions(members=100)) == (set(), set())


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04" * 2_000_000,
        b"PK\x05\x06" * 2_000_000,
        b"PK\x03\x04"
        + b"PK\x01\x02" * 2_000_000
        + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, 4, 4, 0),
        (b"x" + item(b"n", b"", flags=8).local.local()) * 100_000,  # type: ignore[union-attr]
        b"{\\rtf1" + b"{\\object\\objdata " * 500_000,
        b"{\\rtf1{\\object\\objdata " + b"\\'11" * 2_000_000,
        b"{\\rtf1{\\object\\objdata " + b"\\bin1 a" * 1_000_000,
        b"=cmd|'" * 1_000_000,
        docx(b"<w:instrText" * 2_000_000),
        docx(b"<w:fldSimple instr=" * 2_000_000),
        docx(b"<Relationship External " * 1_000_000),
        docx(b"<w:instrText>" + b"QUOTE 68 " * 1_000_000 + b"</w:instrText>"),
        docx(b"<binData>AAAA" * 1_000_000),
        docx(b"<!DOCTYPE x [" + b'<!ENTITY a "&b;&b;">' * 100_000 + b"]><x>&a;</x>"),
    ],
)
def test_what_is_built_to_stall_a_reader(data: bytes):
    started = time.process_time()
    scanned(data)
    assert time.process_time() - started < 10


# Compressed files and TAR.


@pytest.mark.parametrize("flags", [0, 2, 4, 8, 16, 30])
def test_gzip_whose_checksum_is_wrong_is_looked_into(flags: int):
    fields = (4, b"\5\0extra"), (8, b"a.doc\0"), (16, b"a comment\0"), (2, b"\x12\x34")
    head = (
        b"\x1f\x8b\x08"
        + bytes([flags])
        + bytes(6)
        + b"".join(field for flag, field in fields if flags & flag)
    )
    names, reasons = scanned(head + gzip.compress(docm(MACRO))[10:-8] + bytes(8))
    assert "office-macro" in names
    assert "malformed" in reasons
    for size in range(3, 12):
        assert scanned(head[:size])[1] == {"malformed"}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files(pack):
    assert "office-macro" in scanned(pack(docm()))[0]
    assert (
        "office-macro" in scanned(pack(b"first") + pack(docm())[:0] + pack(b""))[0] | scanned(pack(docm()))[0]
    )
    assert scanned(pack(docx())) == (set(), set())
    assert "malformed" in scanned(pack(docx())[:-20])[1]
    assert "malformed" in scanned(pack(docx()) + b"something else")[1]
    names, reasons = scanned(pack(bytes(100 << 20)))
    assert {"archive-bomb", "too-large"} <= names
    assert reasons == {"too-large"}


def test_streams_one_after_another_are_one_file():
    whole = docm()
    assert "office-macro" in scanned(gzip.compress(whole[:300]) + gzip.compress(whole[300:]) + bytes(20))[0]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar(form: int):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as writer:
        for name, content in (("plain.txt", b"x" * 700), ("n" * 90 + ".docm", docm())):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            writer.addfile(info, io.BytesIO(content))
    assert "office-macro" in scanned(out.getvalue())[0]
    assert "office-macro" in scanned(gzip.compress(out.getvalue()))[0]
    cut = scanned(out.getvalue()[:1400])
    assert "malformed" in cut[1]


def test_a_disk_image_that_nothing_opens_is_told():
    assert scanned(b"vhdxfile" + bytes(50)) == ({"disk-image"}, {"unsupported"})


# Messages in other things.


def test_message_in_an_archive():
    mail = message(multipart(text(), attachment(docm(), "a.doc")))
    result = scan_document("a.zip", plain_zip({"mail.eml": mail}))
    assert {finding.part for finding in result.findings} == {"a.zip/mail.eml/2/a.doc"}


@pytest.mark.parametrize(
    "first", [b"\xef\xbb\xbf", b"\r\n \r\n", b"\xef\xbb\xbf\r\n", b"4711      \n", b"1\r\n"]
)
def test_message_behind_what_does_not_belong_to_it(first: bytes):
    mail = first + message(multipart(text(), attachment(PROGRAM, "a.txt")))
    assert len(mail) > 512
    assert {finding.part for finding in scan_document("a.eml", mail).findings} == {"a.eml/2/a.txt"}
    lines = mail.replace(b"\r\n", b"\n")
    assert {finding.part for finding in scan_document("a.eml", lines).findings} == {"a.eml/2/a.txt"}


FROM = b"From a@example.org Thu Jan  1 00:00:00 2026\n"
PLAIN = b"Subject: hello\n\nhello\nFrom now on 1\n\nFrom here to 1999\n\nnothing\n\n"


def test_messages_in_one_file():
    mails = [
        message(multipart(text(), attachment(content, "x"))).replace(b"\r\n", b"\n") + b"\n"
        for content in (PROGRAM, docm())
    ]
    folder = FROM + PLAIN + FROM + mails[0] + FROM + PLAIN + FROM + mails[1]
    for data in (folder, folder.replace(b"\n", b"\r\n")):
        found = {(item.name, item.part) for item in scan_document("mbox", data).findings}
        assert ("executable", "mbox/message 2/2/x") in found
        assert ("office-macro", "mbox/message 4/2/x") in found
    assert not scan_document("mbox", FROM + PLAIN + FROM + PLAIN).findings


def test_messages_in_one_file_are_bounded():
    one = FROM + b"Subject: x\nMIME-Version: 1.0\n\nhello\n\n"
    assert not scan_document("mbox", one * 10, ScanOptions(members=10)).unscanned
    found = scan_document("mbox", one * 11, ScanOptions(members=10))
    assert [item.reason for item in found.unscanned] == ["too-large"]
    assert "timed-out" not in str(scan_document("mbox", one * 9000, ScanOptions(seconds=20)).unscanned)


def test_text_that_begins_like_a_header_is_no_message():
    result = scan_document("a", b"Note: this is text\r\n\r\nContent-Type: nothing\r\n")
    assert result.parts == 1


# Programs.


@pytest.mark.parametrize(
    ("data", "program"),
    [
        (PROGRAM, True),
        (b"MZ" + bytes(58) + struct.pack("<I", 64) + b"NE" + bytes(100), True),
        (b"MZ\x50\0\2\0\0\0\4\0\x0f\0\xff\xff" + bytes(50), True),
        (b"\x7fELF\2\1\1" + bytes(50), True),
        (b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(50), True),
        (b"L\0\0\0\1\x14\2\0" + bytes(80), True),
        (b"MZ is how this text begins, and it goes on for a while after that, with words.", False),
        (b"MZ", False),
        (b"Lots of text", False),
        (b"", False),
    ],
)
def test_programs(data: bytes, program: bool):
    assert scanned(data)[0] == ({"executable"} if program else set())


def test_program_in_an_archive_under_another_name():
    result = scan_document("a.zip", plain_zip({"readme.txt": PROGRAM}))
    assert {(finding.name, finding.part) for finding in result.findings} == {
        ("executable", "a.zip/readme.txt"),
        ("name-mismatch", "a.zip/readme.txt"),
    }


def test_picture_that_is_a_script_as_well_is_not_taken_for_a_picture():
    for name, seen in (("word/media/a.gif", 0), ("a.hta", 1)):
        data = plain_zip({"[Content_Types].xml": b"<Types/>", name: b"GIF89a=1;" + bytes(50)})
        assert scan_document("x", data).parts == 2 + seen


# PDF.


def pdf(user: str | None = None, owner: str = "", change=None) -> bytes:
    document = pikepdf.new()
    document.add_blank_page()
    if change:
        change(document)
    out = io.BytesIO()
    document.save(out, encryption=pikepdf.Encryption(user=user, owner=owner) if user is not None else False)
    return out.getvalue()


def launch(document: pikepdf.Pdf) -> None:
    document.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.Launch, F="cmd.exe")


def script(document: pikepdf.Pdf) -> None:
    document.Root.Names = pikepdf.Dictionary(
        JavaScript=pikepdf.Dictionary(
            Names=["a", pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")]
        )
    )


def attach(document: pikepdf.Pdf) -> None:
    document.attachments["a.docm"] = pikepdf.AttachedFileSpec(document, docm(MACRO))


@pytest.mark.parametrize(
    ("data", "names", "reasons"),
    [
        (pdf(), set(), set()),
        (pdf("secret", "owner"), {"pdf-encrypted"}, {"encrypted"}),
        (pdf("", "owner"), {"pdf-owner-restricted"}, set()),
        (b"junk\r\n" * 100 + pdf("secret", "owner"), {"pdf-encrypted"}, {"encrypted"}),
        (pdf(change=launch), {"pdf-launch"}, set()),
        (pdf(change=script), {"pdf-javascript"}, set()),
        (pdf(change=attach), {"office-macro", "office-macro-suspicious"}, set()),
        (b"%PDF-1.7\n" + b"nothing that could be a document" * 10, set(), {"malformed"}),
        (
            b"%PDF-1.7\n5 0 obj <</Filter /Standard /V 9 /O (x)>> endobj trailer <</Encrypt 5 0 R>>",
            {"pdf-encrypted"},
            {"encrypted"},
        ),
    ],
    ids=[
        "plain",
        "locked",
        "owner",
        "late header",
        "launch",
        "script",
        "attachment",
        "broken",
        "unknown lock",
    ],
)
def test_pdf(data: bytes, names: set[str], reasons: set[str]):
    assert scanned(data) == (names, reasons)


def test_attachment_of_a_pdf_is_bounded():
    def bomb(document: pikepdf.Pdf) -> None:
        document.attachments["a"] = pikepdf.AttachedFileSpec(document, bytes(50 << 20))

    names, reasons = scanned(pdf(change=bomb), ScanOptions(member_size=1 << 20))
    assert reasons == {"too-large"}
    assert names == {"too-large"}


def test_pdf_cut_at_every_octet_is_no_crash_and_no_pass():
    data = pdf("secret", "owner")
    for size in range(20, len(data), 7):
        names, reasons = scanned(data[:size])
        assert names or reasons, size


def test_method_of_the_archive_that_is_not_known():
    assert scanned(archive([item(b"a", b"x" * 50, method=6, crc=1)])) == (set(), {"unsupported"})
    assert scanned(archive([item(b"a", b"x" * 50, DEFLATED)])) == (set(), set())

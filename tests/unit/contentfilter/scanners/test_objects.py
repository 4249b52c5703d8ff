"""Outlook messages, OneNote sections, calendars, disk images, and files that are two things at once."""

from __future__ import annotations

import base64
import random
import struct
import time

import pytest

from contentfilter.containers import onestore
from contentfilter.containers.disk_image import disk_image
from contentfilter.content.scan import scan_message
from contentfilter.scanners.appended import program_behind
from tests.samples.archives import plain_zip
from tests.samples.compound import compound_file
from tests.samples.messages import attachment, message, multipart, text
from tests.samples.office import MACRO, doc, docm, docx, vba_project
from tests.samples.outlook import (
    attached,
    invitation,
    length_and_text,
    onenote,
    outlook_message,
    outlook_tree,
    stream,
    within,
)
from tests.samples.programs import jar, pe, shortcut

from ..scanned import found, reasons, scan

PNG = b"\x89PNG\r\n\x1a\n" + random.Random(2).randbytes(3000)
JPEG = b"\xff\xd8\xff\xe0" + bytes(900)
PROGRAM = pe() + bytes(300)
SCRIPT = b"var s = new ActiveXObject('WScript.Shell');"


# Outlook.


def test_attachments_of_an_outlook_message():
    data = outlook_message(
        attached(docm(), "letter.docm"), attached(PROGRAM, "a.pdf"), attached(SCRIPT, "b.js")
    )
    places = {(finding.name, finding.part) for finding in scan(data, name="x.msg").findings}
    assert places >= {
        ("office-macro", "x.msg/letter.docm"),
        ("executable", "x.msg/a.pdf"),
        ("executable", "x.msg/b.js"),
    }


def test_message_in_a_message_in_a_message():
    inner = outlook_tree(attached(plain_zip({"a.docm": docm()}), "a.zip"))
    data = outlook_message(within(outlook_tree(within(inner))))
    assert "office-macro" in found(data)


@pytest.mark.parametrize("inner", [False, True])
def test_sound_of_a_reminder_on_another_machine(inner: bool):
    def message_of(number: int, target: str, listed: int = 0x851F) -> set[str]:
        names = struct.pack("<IHHIHH", 0x8502, 6, 0, listed, 6, 1)
        tree = outlook_tree(**{f"t{number:04X}001F": target.encode("utf-16-le")})
        whole = outlook_tree(within(tree)) if inner else tree
        return found(compound_file(whole | {"__nameid_version1.0": {"__substg1.0_00030102": names}}))

    share = "\\\\192.0.2.1\\a\\b.wav"
    assert message_of(0x8001, share) == {"forced-authentication"}
    assert (
        message_of(0x8001, "reminder.wav")
        == message_of(0x8000, share)
        == message_of(0x8001, share, 0x8520)
        == set()
    )


def test_of_two_names_the_worse_counts():
    assert "executable" in found(outlook_message(attached(SCRIPT, "notes.txt", "NOTES.JS")))
    assert found(outlook_message(attached(SCRIPT, "notes.txt", "NOTES.TXT"))) == set()


@pytest.mark.parametrize(
    "tag",
    ["t10130102", "t1013001E", "t1013001F"],
)
def test_bodies_of_an_outlook_message(tag: str):
    archive = base64.b64encode(plain_zip({"a.exe": PROGRAM})).decode()
    page = f'<html><body><a href="data:x/y;base64,{archive}">open</a></body></html>'
    raw = page.encode("utf-16-le") if tag.endswith("F") else page.encode()
    assert found(outlook_message(**{tag: raw})) >= {"executable", "html-smuggling"}


def test_compressed_text_of_an_outlook_message():
    text_of_rtf = b"{\\rtf1{\\field{\\*\\fldinst DDEAUTO cmd a b}}}"
    raw = struct.pack("<IIII", len(text_of_rtf) + 12, len(text_of_rtf), 0x414C454D, 0) + text_of_rtf
    assert "office-dde" in found(outlook_message(t10090102=raw))
    assert "malformed" in reasons(scan(outlook_message(t10090102=b"\1\2\3\4LZFu" + bytes(30))))


def test_honest_outlook_messages():
    data = outlook_message(
        attached(docx(), "letter.docx"),
        attached(PNG, "image001.png"),
        within(outlook_tree(t1000001F="hello".encode("utf-16-le"))),
        t1000001F="a text about a.js and setup.exe".encode("utf-16-le"),
        t10130102=b"<html><body>hello</body></html>",
    )
    result = scan(data, name="mail.msg")
    assert (result.findings, result.unscanned) == ((), ())
    assert "1.0" not in " ".join(finding.part for finding in result.findings)


def test_the_list_of_named_properties_holds_no_properties():
    listed = {stream("10090102"): b"\x54\x85\0\0\x08\0\5\0", stream("10130102"): b"<script>" * 2}
    tree = outlook_tree(t1000001F="hello".encode("utf-16-le")) | {"__nameid_version1.0": listed}
    result = scan(compound_file(tree), name="mail.msg")
    assert (result.findings, result.unscanned) == ((), ())


def test_a_message_without_its_table_of_properties():
    assert found(compound_file({"a": {stream("37010102"): PROGRAM}})) == {"executable"}


# OneNote.


@pytest.mark.parametrize(
    "content", [PROGRAM, shortcut(), docm(), plain_zip({"a.exe": PROGRAM}), b"ITSF\3\0\0\0" + bytes(90)]
)
def test_files_in_a_onenote_section(content: bytes):
    assert found(onenote([PNG, content], [])) & {"executable", "office-macro"}


@pytest.mark.parametrize("name", ["Open.js", "invoice.HTA", "a.cmd", "ä.wsf", "x y.vbs", "my notes.ps1"])
def test_scripts_in_a_onenote_section(name: str):
    result = scan(onenote([PNG, SCRIPT, PNG], ["a page about nothing", name]), name="a.one")
    assert [(finding.name, finding.part) for finding in result.findings] == [("executable", f"a.one/{name}")]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ([], ["a.js"]),
        ([PNG], ["run a.js"]),
        ([PNG, docx(), b"%PDF-1.4\n"], ["a.js"]),
        ([b"a text"], ["notes.txt", "letter.docx"]),
        ([b"a text"], ["where\\to\\find.js", "see a.js\nand b.txt"]),
    ],
)
def test_honest_onenote_sections(files: list[bytes], names: list[str]):
    result = scan(onenote(files, names), name="a.one")
    assert [finding for finding in result.findings if finding.name != "pdf"] == []


def test_onenote_section_that_is_damaged_or_of_another_kind():
    whole = onenote([PROGRAM], [])
    cut = scan(whole[: whole.index(b"MZ") + 250])
    assert "malformed" in {item.reason for item in cut.unscanned}
    assert "executable" in {finding.name for finding in cut.findings}
    packed = onenote([], [], "2fe98d63d4a6c14b9a36b3fc2511a5b7")
    assert (found(packed), reasons(scan(packed))) == (set(), {"unsupported"})
    assert "executable" in found(packed + PROGRAM)
    lying = bytearray(onenote([b"x" * 50, PROGRAM], []))
    at = lying.index(bytes.fromhex("e716e3bd"))
    lying[at + 16 : at + 24] = b"\xff" * 8
    assert "executable" in found(bytes(lying))


def test_names_are_bounded():
    assert onestore.names(b".\0j\0s\0\0\0" * 100_000, ["js"]) == []
    assert len(onestore.names(b"".join(length_and_text(f"{n}.js") for n in range(500)), ["js"])) <= 100
    assert onestore.names(length_and_text("x" * 300 + ".js"), ["js"]) == []


# Calendars and cards.


@pytest.mark.parametrize(
    "kind", ["ENCODING=BASE64;VALUE=BINARY", "VALUE=BINARY;ENCODING=BASE64", "encoding=b", "BASE64"]
)
def test_file_in_a_calendar(kind: str):
    assert "executable" in found(invitation(PROGRAM, kind=kind))
    result = scan(invitation(SCRIPT, "a.js", kind), name="x.ics")
    assert {(finding.name, finding.part) for finding in result.findings} == {("executable", "x.ics/a.js")}


@pytest.mark.parametrize(
    "line",
    [
        b"ATTACH:data:application/octet-stream;base64,%s",
        b"X-ALT;ENCODING=BASE64:%s",
        b"item1.KEY;ENCODING=b;TYPE=x:%s",
        b"PHOTO;BASE64:%s",
        b'ATTACH;ALTREP="http://x:80/";ENCODING=BASE64:%s',
    ],
)
def test_file_in_a_card(line: bytes):
    for end in (b"\r\n", b"\n"):
        lines = [b"BEGIN:VCARD", b"VERSION:3.0", line % base64.b64encode(PROGRAM), b"END:VCARD", b""]
        assert "executable" in found(end.join(lines))


@pytest.mark.parametrize(
    "line",
    [
        b"ATTACH;FILENAME=a.txt;X-FILENAME=a.js;ENCODING=BASE64;VALUE=BINARY:%s",
        b'ATTACH;ENCODING=BASE64;X-APPLE-FILENAME = "a.js";FILENAME=a.txt:%s',
        b"ATTACH;FILENAME=a.js:data:text/plain;base64,%s",
        b"ATTACH;X-A=" + b"x" * 5000 + b";ENCODING=BASE64;FILENAME=a.js:%s",
        b"ATTACH;FILENAME=a.js;ENCODING = BASE64 :%s",
        b"ATTACH;FILENAME=a.js;VALUE=BINARY:%s",
        b"ATTACH;FILENAME=a.js;ENCODING=BASE64:%s:QUFB",
    ],
)
def test_parameters_as_programs_read_them(line: bytes):
    text = line % base64.b64encode(SCRIPT)
    for end in (b"\r\n", b"\r\r\n", b"\r"):
        folded = end.join(
            [b"BEGIN:VCALENDAR", b"BEGIN:VEVENT", text[:70], b" " + text[70:], b"END:VEVENT", b""]
        )
        assert "executable" in found(folded)


def test_picture_in_a_card_that_is_an_archive_as_well():
    picture = PNG + plain_zip({"a.exe": PROGRAM})
    assert "executable" in found(invitation(picture, "logo.png"))
    uri = b"BEGIN:VCARD\r\nPHOTO:data:image/png;base64,%s\r\nEND:VCARD\r\n" % base64.b64encode(picture)
    assert "executable" in found(uri)


@pytest.mark.parametrize(
    "data",
    [
        invitation(PNG, "logo.png"),
        invitation(b"a text that is attached", "notes.txt"),
        b"BEGIN:VCARD\r\nPHOTO;ENCODING=b;TYPE=JPEG:"
        + base64.b64encode(b"\xff\xd8\xff\xe0" * 100)
        + b"\r\nEND:VCARD\r\n",
        b"BEGIN:VCALENDAR\r\nATTACH:https://www.example.org/a.exe\r\nEND:VCALENDAR\r\n",
        b"BEGIN:VCALENDAR\r\nDESCRIPTION;LANGUAGE=b:base64 a.js\r\nEND:VCALENDAR\r\n",
        b"A text about BEGIN:VCALENDAR ATTACH;ENCODING=BASE64:" + base64.b64encode(PROGRAM),
    ],
)
def test_honest_calendars(data: bytes):
    assert found(data) == set()


# Two things at once.


@pytest.mark.parametrize(
    "front",
    [PNG, b"GIF89a" + bytes(3000), b"\xff\xd8\xff\xe0" + bytes(900), b"RIFF\0\0\0\0WAVE" + bytes(900)],
)
def test_program_behind_a_picture(front: bytes):
    result = scan(front + PROGRAM)
    assert [(finding.name, finding.detail) for finding in result.findings] == [
        ("executable", f"PE at octet {len(front)}")
    ]


def test_archives_and_messages_behind_a_picture():
    assert "executable" in found(PNG + plain_zip({"a.exe": PROGRAM}))
    assert "executable" in found(PNG + jar())
    assert "office-macro" in found(b"GIF89a" + bytes(600) + plain_zip({"a.docm": docm()}))


@pytest.mark.parametrize(
    "data",
    [
        PNG,
        PNG + b"PE\0\0" * 100,
        PNG + b"MZ" + bytes(200) + b"PE\0\0",
        PNG + b"This program cannot be run in DOS mode",
        b"GIF89a" + bytes(2000),
        b"A text about MZ and PE\0\0 " * 100,
        b"%PDF-1.4\n" + b"MZ PE " * 300,
    ],
)
def test_pictures_without_programs(data: bytes):
    assert "executable" not in found(data)


def test_decoys_are_bounded():
    started = time.process_time()
    assert "too-large" in found(PNG + b"MZPE\0\0" * 1_000_000 + PROGRAM)
    assert time.process_time() - started < 10
    assert program_behind(b"MZ" * 100_000 + PROGRAM)[0] == 200_000


# Disk images.


STARTS = {
    "VMDK": b"KDMV",
    "sparse DMG": b"sprs",
    "Apple's partitions": b"ER\2\0",
    "APFS": bytes(32) + b"NXSB",
}


def image(content: bytes, kind: str = "FAT") -> bytes:
    """A disk image of that kind with one file in it."""
    sector = bytearray(512)
    sector[510:512] = b"\x55\xaa"
    if kind == "FAT":
        sector[54:59] = b"FAT16"
    elif kind == "NTFS":
        sector[3:11] = b"NTFS    "
    elif kind == "MBR":
        sector[446:462] = b"\x80\1\1\0\x07\xfe\xff\xff" + struct.pack("<II", 2048, 9999)
    elif kind == "VHDX":
        sector[:8] = b"vhdxfile"
    elif kind in STARTS:
        sector[: len(STARTS[kind])] = STARTS[kind]
    between = bytearray(2048)
    if kind in ("HFS+", "HFSX"):
        between[512:516] = b"H+\0\4" if kind == "HFS+" else b"HX\0\5"
    whole = bytes(sector) + bytes(between) + content + bytes(-len(content) % 512)
    return whole + {"VHD": b"conectix", "DMG": b"koly"}.get(kind, b"").ljust(512, b"\0")


MOUNTED = ["VHDX", "VHD", "DMG", "sparse DMG"]
"""What a double click shows as a drive."""
KINDS = ["FAT", "NTFS", "MBR", "VMDK", "Apple's partitions", "HFS+", "HFSX", "APFS", *MOUNTED]


@pytest.mark.parametrize("kind", KINDS)
def test_disk_image_with_a_program(kind: str):
    alone = {"disk-image"} if kind in MOUNTED else set()
    assert found(image(PROGRAM, kind)) == {"executable"} | alone
    assert found(image(b"x" * 100 + shortcut(), kind)) == {"executable"} | alone
    assert reasons(scan(image(PROGRAM, kind))) == {"unsupported"}


@pytest.mark.parametrize("kind", KINDS)
def test_disk_image_with_a_text(kind: str):
    alone = {"disk-image"} if kind in MOUNTED else set()
    assert (found(image(b"a text", kind)), reasons(scan(image(b"a text", kind)))) == (alone, {"unsupported"})


@pytest.mark.parametrize("name", ["a.dmg", "a.VHD", "a.vhdx", "a.sparseimage"])
def test_disk_image_that_a_double_click_mounts_for_its_name(name: str):
    names = [found(image(b"a text"), name=end) for end in (name, "a.img")]
    assert names == [{"disk-image"}, set()]


def test_disk_image_with_an_office_document():
    from tests.samples.compound import vba_storage
    from tests.samples.office import MACRO

    document = compound_file(
        {"WordDocument": b"\xec\xa5" + bytes(4000), "Macros": {"VBA": vba_storage({"M": MACRO})}}
    )
    assert "office-macro" in found(image(document))


@pytest.mark.parametrize(
    "data",
    [
        PNG,
        docx(),
        PROGRAM,
        b"",
        bytes(5000),
        b"x" * 510 + b"\x55\xaa" + b"x" * 5000,
        b"koly",
        b"a text " * 1000,
    ],
)
def test_what_is_no_disk_image(data: bytes):
    assert disk_image(data) == ""


def test_outlook_message_in_a_mail():
    mail = message(multipart(text(), attachment(outlook_message(attached(PROGRAM, "a.exe")), "mail.msg")))
    assert {finding.part for finding in scan_message(mail).findings} == {"2/mail.msg/a.exe"}


# OLE files behind something else.


@pytest.mark.parametrize("front", [b"\n", b"\r\n", b"\xef\xbb\xbf", bytes(512), b"x" * 4000])
def test_ole_file_behind_something_else(front: bytes):
    assert "office-macro" in found(front + doc(MACRO))
    assert "office-encrypted" in found(front + doc(None, flags=0x0100))
    assert found(front + doc(None)) == set()


def test_ole_files_in_a_drawing_of_autocad():
    project = vba_project(MACRO)
    assert "office-macro" in found(b"AC1015" + bytes(9000) + doc(None) + b"\1\2\3" + project + bytes(99))
    assert found(b"AC1015" + bytes(9000) + doc(None)) == set()
    assert "too-large" in found(b"AC1015" + (doc(None)[:1024] + b"\1") * 51)


def test_an_ole_file_within_another_is_left_to_the_reader_of_that():
    assert scan(doc(None)[:1024] + doc(None)).parts == 1


def test_what_only_resembles_an_ole_file_is_none():
    assert scan(b"a" + doc(MACRO)[:28] + b"\0\0" + doc(MACRO)[30:]).parts == 1

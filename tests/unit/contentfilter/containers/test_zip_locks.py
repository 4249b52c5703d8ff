"""Locked ZIP archives, and the passwords that are tried on them."""

from __future__ import annotations

import itertools
import struct
import time
import zlib

import pytest

from contentfilter.containers.ziparchive import ZipArchive
from contentfilter.containers.ziplock import fits, open_member
from contentfilter.containers.zipmember import Member
from contentfilter.content.scan import ScanOptions, scan_document, scan_message
from mailbase.vocabulary import Unscanned
from tests.samples.archives import Entry, Item, archive, deflated, item
from tests.samples.messages import attachment, message, multipart, text
from tests.samples.office import docm, docx
from tests.samples.written import written
from tests.samples.ziplocks import aes, traditional

from ..scanned import mail

MACROS = {"office-macro", "office-macro-suspicious"}
KINDS = ("traditional", "aes128", "aes192", "aes256")


def locked(kind: str, password: bytes, members: dict[str, bytes], packing: str = "deflate") -> bytes:
    """An archive as libarchive writes it, or, with the empty password, as we do."""
    if password and kind != "aes192":
        options = f"zip:encryption={kind},zip:compression={packing}"
        return written("zip", members, options=options, password=password)
    items, method = [], 8 if packing == "deflate" else 0
    for name, content in members.items():
        data = deflated(content) if packing == "deflate" else content
        if kind == "traditional":
            items.append(traditional(name, content, data, password, method))
        else:
            items.append(aes(name, data, len(content), password, int(kind[3:]), method))
    return archive(items)


def never() -> bool:
    return False


@pytest.mark.parametrize("packing", ["deflate", "store"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_mail_tells_is_looked_into_and_stays_locked(kind: str, packing: str):
    data = locked(kind, b"Kx7-geheim", {"a.doc": docm(), "b.txt": b"harmless"}, packing)
    for parts in itertools.permutations((text(b"Password: Kx7-geheim\r\n"), attachment(data, "a.zip"))):
        assert mail(*parts) == ({"archive-encrypted", *MACROS}, set())
    assert mail(text(b"Password: Kx8\r\n"), attachment(data, "a.zip")) == (
        {"archive-encrypted"},
        {"encrypted"},
    )


@pytest.mark.parametrize("packing", ["deflate", "store"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_empty_password_is_open_to_all(kind: str, packing: str):
    assert mail(attachment(locked(kind, b"", {"a.doc": docm()}, packing))) == (
        {"archive-default-password", *MACROS},
        set(),
    )
    assert mail(attachment(locked(kind, b"", {"a.doc": docx()}, packing))) == (
        {"archive-default-password"},
        set(),
    )


def test_password_in_the_page_the_subject_and_the_name():
    data = locked("traditional", b"4711", {"a.doc": docm()})
    page = b"Content-Type: text/html\r\n\r\n<p>Pass<b>word</b>: <span>47</span>11</p>\r\n"
    assert mail(attachment(data), page)[0] == {"archive-encrypted", *MACROS}
    assert mail(attachment(data, "bill-4711.zip"))[0] == {"archive-encrypted", *MACROS}
    whole = message(multipart(attachment(data))).replace(b"Subject: test", b"Subject: Code 4711")
    assert {found.name for found in scan_message(whole).findings} == {"archive-encrypted", *MACROS}
    assert {found.name for found in scan_document("bill-4711.zip", data).findings} == {
        "archive-encrypted",
        *MACROS,
    }


def test_password_that_is_no_ascii():
    for charset in ("utf-8", "cp1252", "cp850"):
        data = locked("traditional", "Schlüssel".encode(charset), {"a.doc": docm()})
        assert mail(text("Passwort: Schlüssel\r\n".encode()), attachment(data))[0] == {
            "archive-encrypted",
            *MACROS,
        }


def test_members_with_passwords_of_their_own():
    items = [
        traditional("a", docm(), deflated(docm()), b"one", 8),
        traditional("b", b"x" * 50, b"x" * 50, b"", 0),
        traditional("c", docx(), deflated(docx()), b"unknown", 8),
        item(b"d", b"plain"),
    ]
    names, reasons = mail(text(b"password one\r\n"), attachment(archive(items)))
    assert names == {"archive-encrypted", "archive-default-password", *MACROS}
    assert reasons == {"encrypted"}


def test_locked_archive_in_a_locked_archive():
    inner = locked("aes256", b"4711", {"a.doc": docm()})
    data = locked("traditional", b"4711", {"inner.zip": inner})
    assert mail(text(b"code 4711\r\n"), attachment(data)) == ({"archive-encrypted", *MACROS}, set())


def test_attempts_are_bounded():
    # Every member has another password, and none is told.
    items = [traditional(str(n), b"x" * 50, b"x" * 50, b"secret%d" % n, 0) for n in range(3000)]
    words = b" ".join(b"word%d" % n for n in range(3000))
    started = time.process_time()
    names, _reasons = mail(text(words + b"\r\n"), attachment(archive(items)))
    assert names == {"archive-encrypted"}
    assert time.process_time() - started < 10


def test_what_opens_is_bounded():
    data = locked("aes256", b"", {"a": bytes(5000)})
    result = scan_document("a.zip", data, ScanOptions(member_size=4999))
    assert {found.name for found in result.findings} == {"archive-default-password", "too-large"}
    assert Unscanned("a.zip/a", "too-large", "ZIP member") in result.unscanned
    result = scan_document("a.zip", data, ScanOptions(member_size=5000))
    assert {found.name for found in result.findings} == {"archive-default-password"}


def member_of(data: bytes) -> Member:
    found = ZipArchive.find(data, 10)
    assert found is not None
    return found.members[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_password_seldom_fits_and_never_opens(kind: str):
    data = locked(kind, b"secret", {"a": b"content " * 100})
    member = member_of(data)
    assert fits(data, member, b"secret")
    wrong = [b"%d" % n for n in range(60)]
    assert sum(fits(data, member, password) for password in wrong) < 20
    for password in (b"", *wrong):
        assert open_member(data, member, password, 1 << 20, never) is None
    opened = open_member(data, member, b"secret", 1 << 20, never)
    assert opened is not None
    assert bytes(opened.data) == b"content " * 100


@pytest.mark.parametrize("packing", ["deflate", "store"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_empty_password_that_fits_by_chance_opens_nothing(kind: str, packing: str):
    """Whoever locks an archive may choose its salt so that the test of two octets passes."""
    data = bytearray(locked(kind, b"", {"a.txt": b"harmless words"}, packing))
    member = member_of(bytes(data))
    # The first octet of the content; the salt and what a password is tested by stand before it.
    data[member.start + {"traditional": 12, "aes128": 10, "aes192": 14, "aes256": 18}[kind]] ^= 0x40
    assert fits(bytes(data), member, b"")
    assert open_member(bytes(data), member, b"", 1 << 20, never) is None
    assert mail(attachment(bytes(data), "a.zip")) == ({"archive-encrypted"}, {"encrypted"})


@pytest.mark.parametrize("kind", ["traditional", "aes256"])
@pytest.mark.parametrize("password", [b"", b"4711"])
def test_cut_anywhere_is_no_crash_and_no_pass(kind: str, password: bytes):
    data = locked(kind, password, {"a.doc": docx()})
    for size in range(30, len(data), 23):
        result = scan_document("4711", data[:size])
        assert result.findings or result.unscanned, size


def test_strong_encryption_is_not_tried():
    entry = Entry(b"a", 0, 0x0041, 50, 50, zlib.crc32(b"x"))
    data = archive([Item(entry, entry, bytes(50))])
    assert mail(attachment(data)) == ({"archive-encrypted"}, {"encrypted"})
    assert not fits(data, member_of(data), b"")


def test_member_called_locked_that_is_plain():
    data = archive([item(b"a.doc", docm(), flags=1)])
    assert mail(attachment(data))[0] >= {"archive-encrypted", *MACROS}


def test_large_member_with_the_empty_password_is_not_decrypted_by_ourselves():
    content = struct.pack("<I", 7) * (5 << 18)
    data = archive([traditional("a", content, content, b"", 0)])
    result = scan_document("a.zip", data)
    assert {found.name for found in result.findings} == {"archive-default-password", "too-large"}

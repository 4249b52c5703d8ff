"""DKIM signatures, good ones and all the ways in which they are not (RFC 6376, RFC 8301, RFC 8463)."""

from __future__ import annotations

import os
import time

import dkim
import pytest

from contentfilter.authentication.body import Canonical, Digest, Form, pieces
from contentfilter.authentication.fields import read_header
from contentfilter.authentication.names import key_names
from contentfilter.authentication.verify import authenticate
from contentfilter.message.wire import BytesWire, FileWire, Wire
from tests.samples.signed import (
    COVERED,
    PLAIN,
    Private,
    body_in,
    ed25519_key,
    pem,
    record,
    rsa_key,
    sign,
)

from .verified import NAME, NOW, the_only, verified

FORMS = [b"simple/simple", b"simple/relaxed", b"relaxed/simple", b"relaxed/relaxed"]


@pytest.mark.parametrize("forms", [*FORMS, b"simple", b"relaxed"])
@pytest.mark.parametrize("key", [rsa_key(), ed25519_key()], ids=["rsa", "ed25519"])
def test_a_signature_verifies_in_every_form(forms: bytes, key: Private) -> None:
    signature = the_only(sign(PLAIN, key, forms=forms), key=key)
    assert (signature.result, signature.reason) == ("pass", "")
    assert (signature.domain, signature.selector) == ("example.org", "s")
    assert signature.bits == (2048 if key is rsa_key() else 256)
    assert signature.tag


@pytest.mark.parametrize("forms", FORMS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        b" \t\r\n",
        b"a \t b \r\n",
        b"a\r\n \r\n\r\n",
        b".\r\n..\r\n",
        b"a\rb\r\n",
        b"a\r\r\n",
    ],
)
def test_what_dkimpy_signs_verifies(forms: bytes, body: bytes) -> None:
    message = PLAIN.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body
    header_form, _, body_form = forms.partition(b"/")
    signed = dkim.sign(
        message, b"s", b"example.org", pem(rsa_key()), canonicalize=(header_form, body_form), length=True
    )
    assert the_only(signed + message, {NAME: [record(rsa_key())]}).reason in ("", "signed in the future")
    result = authenticate(BytesWire(signed + message), {NAME: [record(rsa_key())]}, time.time())
    assert result.signatures[0].result == "pass"


@pytest.mark.parametrize(
    ("old", "new", "forms"),
    [
        (b"Hello", b"Hallo", b"relaxed/relaxed"),
        (b"two  blanks", b"two blanks", b"relaxed/simple"),
        (b"A  test", b"A test", b"simple/relaxed"),
        (b"ann@example.org", b"eve@example.org", b"relaxed/relaxed"),
        (b"Hello Bob,\r\n", b"Hello Bob,\r\n\r\n", b"relaxed/relaxed"),
    ],
)
def test_what_was_changed_fails(old: bytes, new: bytes, forms: bytes) -> None:
    signed = sign(PLAIN, rsa_key(), forms=forms)
    assert the_only(signed).result == "pass"
    assert the_only(signed.replace(old, new, 1)).result == "fail"


def test_what_a_form_allows_does_no_harm() -> None:
    signed = sign(PLAIN, rsa_key())
    changed = (
        signed.replace(b"A  test\r\n\tof", b"A test \t of")
        .replace(b"two  blanks and one at the end ", b"two blanks and one at the end")
        .replace(b"\r\nTo:", b"\r\nTO :")
    ) + b"\r\n\r\n"
    assert the_only(changed).result == "pass"


def test_a_field_that_is_not_signed_may_be_added_but_no_from() -> None:
    signed = sign(PLAIN, rsa_key())
    assert the_only(b"X-More: yes\r\n" + signed).result == "pass"
    assert the_only(b"From: eve@example.com\r\n" + signed).result == "policy"
    oversigned = sign(PLAIN, rsa_key(), covered=(*COVERED, b"subject"))
    assert the_only(oversigned).result == "pass"
    assert the_only(b"Subject: another\r\n" + oversigned).result == "fail"


def test_fields_are_covered_from_the_bottom() -> None:
    message = b"Received: second\r\nReceived: first\r\n" + PLAIN
    signed = sign(message, rsa_key(), covered=(*COVERED, b"received"))
    assert the_only(b"Received: third\r\n" + signed).result == "pass"
    assert the_only(signed.replace(b"first", b"fourth")).result == "fail"


@pytest.mark.parametrize(
    ("old", "new", "result", "reason"),
    [
        (b"v=1", b"v=2", "permerror", "signature is malformed"),
        (b"v=1; ", b"", "permerror", "signature has no v="),
        (b"a=rsa-sha256", b"a=rsa-sha1", "policy", "SHA-1 is not good enough"),
        (b"a=rsa-sha256", b"a=rsa-md5", "permerror", "unknown algorithm"),
        (b"c=relaxed/relaxed", b"c=nofws", "permerror", "unknown canonicalization"),
        (b"c=relaxed/relaxed", b"c=relaxed/", "permerror", "unknown canonicalization"),
        (b"d=example.org", b"d=[192.0.2.1]", "permerror", "d= is no domain"),
        (b"d=example.org", b"d=org", "permerror", "d= is no domain"),
        (b"d=example.org", b"d=exa mple.org", "permerror", "d= is no domain"),
        (b"h=from:", b"h=sender:", "permerror", "From is not signed"),
        (b"bh=", b"bh=!", "permerror", "bh= is no base64"),
        (b"bh=", b"bh=A", "permerror", "bh= is no base64"),
        (b" s=s;", b" s=s; s=s;", "permerror", "signature is malformed"),
        (b" s=s;", b" s=s; l=-1;", "permerror", "l= is no number"),
        (b" s=s;", b" s=s; l=9999;", "fail", "signature did not verify"),
        (b" s=s;", b" s=s; q=http;", "permerror", "signature is malformed"),
        (b" s=s;", b" s=s; ;", "permerror", "signature is malformed"),
        (b" s=s;", b" s=s; 1x=y;", "permerror", "signature is malformed"),
        (b" s=s;", b" s=; ", "permerror", "signature has no s="),
        (b" s=s;", b" s=s..t;", "permerror", "no key can have this name"),
    ],
)
def test_what_is_no_signature(old: bytes, new: bytes, result: str, reason: str) -> None:
    signed = sign(PLAIN, rsa_key())
    assert old in signed
    signature = the_only(signed.replace(old, new, 1))
    assert (signature.result, signature.reason) == (result, reason)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (b"t=1800000299; ", ""),
        (b"t=1800000301; ", "signed in the future"),
        (b"x=1799999701; ", ""),
        (b"x=1799999699; ", "signature has expired"),
        (b"t=1700000001; x=1700000000; ", "signature has expired"),
        (b"t=1800000001; x=1800000000; ", "signature expires before it was made"),
        (b"t=" + b"9" * 76 + b"; ", "signed in the future"),
        (b"t=" + b"9" * 77 + b"; ", "t= is no number"),
        (b"i=@example.org; ", ""),
        (b"i=ann@mail.example.org; ", ""),
        (b"i=ann@other.example; ", "i= is not of d="),
        (b"i=ann@notexample.org; ", "i= is not of d="),
        (b"i=example.org; ", "i= is not of d="),
        (b"q=dns/txt; ", ""),
        (b"q=dns/txt:http; ", ""),
        (b"z=From:ann; unknown=1; ", ""),
    ],
)
def test_what_a_signature_says_beside(tags: bytes, reason: str) -> None:
    signature = the_only(sign(PLAIN, rsa_key(), more=tags))
    assert (signature.result, signature.reason) == ("permerror" if reason else "pass", reason)


def test_a_signer_of_another_tongue_is_known_by_its_name_in_dns() -> None:
    signed = sign(PLAIN, rsa_key(), domain="bücher.example".encode())
    keys = {"s._domainkey.xn--bcher-kva.example": [record(rsa_key())]}
    assert key_names(signed) == list(keys)
    signature = the_only(signed, keys)
    assert (signature.result, signature.domain) == ("pass", "xn--bcher-kva.example")


def test_a_body_that_is_signed_in_part() -> None:
    """Whoever passes the mail on may add what the author never wrote."""
    body = PLAIN.partition(b"\r\n\r\n")[2]
    length = len(body_in(b"relaxed", body))
    whole = sign(PLAIN, rsa_key(), limit=length)
    assert the_only(whole).result == "pass"
    longer = the_only(whole.rstrip(b"\r\n") + b"\r\nBuy this!\r\n")
    assert longer.result == "policy"
    assert longer.unsigned == len(b"Buy this!\r\n")
    assert longer.reason == f"{longer.unsigned} octets of the body are not signed"
    assert the_only(sign(PLAIN, rsa_key(), limit=0)).result == "policy"
    shorter = the_only(sign(PLAIN, rsa_key(), limit=length + 1))
    assert (shorter.result, shorter.reason) == ("permerror", "l= is more than there is")


def test_several_signatures_each_get_a_result() -> None:
    message = sign(PLAIN, rsa_key(), selector=b"a", forms=b"simple/simple")
    message = sign(message, ed25519_key(), domain=b"lists.example", selector=b"b", limit=5)
    message = sign(message, rsa_key(), selector=b"c", covered=(b"from", *[b"dkim-signature"] * 3))
    keys = {
        "a._domainkey.example.org": [record(rsa_key())],
        "b._domainkey.lists.example": [record(ed25519_key())],
        "c._domainkey.example.org": [record(rsa_key())],
    }
    assert sorted(key_names(message)) == sorted(keys)
    found = verified(message, keys).signatures
    assert [(one.selector, one.result) for one in found] == [("c", "pass"), ("b", "policy"), ("a", "pass")]
    assert verified(message, {}).lasting
    assert not verified(message, dict.fromkeys(keys)).lasting


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\r\n",
        b"body alone, no field\r\n",
        b"DKIM-Signature:\r\n\r\n",
        b"DKIM-Signature: v=1",
        b"DKIM-Signature: \xff\xfe=1; b=\r\n\r\n",
        b"From\r\n\r\n",
    ],
)
def test_what_is_hardly_a_mail(message: bytes) -> None:
    assert all(one.result == "permerror" for one in verified(message).signatures)


def test_lines_that_end_with_lf_alone_are_lines() -> None:
    """Else what Postfix makes a header's end would be the inside of a field to us, and the rest signed."""
    assert the_only(sign(PLAIN, rsa_key()).replace(b"\r\n", b"\n")).result == "pass"
    hidden = b"X: a\nFrom: eve@example.com\n\nBuy!\n" + sign(PLAIN, rsa_key())
    assert verified(hidden).signatures == ()
    assert verified(hidden).authors == ("example.com",)


def test_a_line_that_is_no_field_ends_the_header() -> None:
    header = read_header(BytesWire(b"From: a@b.example\r\nno field\r\nTo: c\r\n\r\nx"))
    assert [field.key for field in header.fields] == [b"from"]
    assert header.body == len(b"From: a@b.example\r\n")
    mbox = read_header(BytesWire(b"From a@b Fri Nov 27\r\nFrom: a@b.example\r\n\r\nx"))
    assert [field.key for field in mbox.fields] == [b"from"]


def stuffed_file(message: bytes) -> FileWire:
    """The message in a file, as the spool has it."""
    data = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
    fd = os.memfd_create("test")
    os.write(fd, data)
    return FileWire(fd, len(data), stuffed=True)


@pytest.mark.parametrize("header", [b"", b".odd: 1\r\n.odder: 2\r\n"])
def test_a_message_in_a_file_is_read_without_its_dots(header: bytes) -> None:
    message = header + sign(PLAIN, rsa_key(), forms=b"simple/simple")
    wire = stuffed_file(message)
    result = authenticate(wire, {NAME: [record(rsa_key())]}, NOW)
    assert [one.result for one in result.signatures] == ["pass"]


BODIES = [
    b"",
    b"a",
    b"\r\n" * 5,
    b"a \t b\r\n" * 3 + b"\r\n\r\n",
    b".a\r\n..b\r\n.\r\n",
    b"a" * 50 + b"\r\n.b\r\n",
    b"a\r" * 20 + b"\r\n",
    b" " * 60 + b"\r\n" + b"\t" * 30 + b"b\r\n",
    b"a\nb\n\n.c\r\n",
    b"a" * 10 + b" " * 20 + b"\r\n" * 20 + b"b",
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("form", ["simple", "relaxed"])
def test_pieces_make_no_difference(body: bytes, form: Form) -> None:
    lines = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    expected = Digest()
    expected.update(body_in(form.encode(), lines))
    wires: list[Wire] = [BytesWire(body), stuffed_file(body)]
    for wire in wires:
        for size in range(2, len(body) + 3):
            digest = Digest()
            reader = Canonical(form, [digest])
            for piece in pieces(wire, 0, size):
                reader.feed(piece)
            reader.finish()
            assert (size, digest.digest()) == (size, expected.digest())

"""S/MIME and PGP: what is only signed is seen through, what is encrypted is told."""

from __future__ import annotations

import base64

import pytest

from contentfilter.containers import cms as reader
from contentfilter.containers.ber import Ber, BerError
from contentfilter.content.limits import ScanOptions
from contentfilter.content.scan import scan_document, scan_message
from tests.samples import cms
from tests.samples.messages import HEAD, attachment, base64_lines, multipart, text
from tests.samples.office import doc

ENTITY = multipart(text(), attachment(doc(), "a.doc"))
STRING = cms.tlv(4, ENTITY)

READABLE = {
    "signed": cms.signed(STRING),
    "signed, indefinite": cms.signed(STRING, cms.endless),
    "signed, in pieces": cms.signed(cms.pieces(ENTITY), cms.endless),
    "signed, in pieces of pieces": cms.signed(cms.pieces(ENTITY, 33, levels=4), cms.endless),
    "signed, not a string": cms.signed(cms.tlv(0x30, ENTITY)),
    "signed, with octets behind": cms.signed(STRING) + b"behind",
    "digested": cms.cms(
        cms.DIGESTED, cms.tlv(0x30, cms.VERSION + cms.tlv(0x30, b"\6\1\1") + cms.inner(STRING))
    ),
    "authenticated": cms.cms(
        cms.AUTHENTICATED,
        cms.tlv(0x30, cms.VERSION + cms.EMPTY_SET + cms.tlv(0x30, b"\6\1\1") + cms.inner(STRING)),
    ),
    "data": cms.cms(cms.DATA, STRING),
    "compressed": cms.compressed(ENTITY),
    "signed twice": cms.signed(cms.tlv(4, cms.signed(STRING))),
    "PEM": b"-----BEGIN PKCS7-----\n" + base64.encodebytes(cms.signed(STRING)) + b"-----END PKCS7-----\n",
    "CMS in PEM": b"\r\n-----BEGIN CMS-----\r\n"
    + base64_lines(cms.signed(STRING))
    + b"-----END CMS-----\r\n",
    "base64": base64.encodebytes(cms.signed(STRING)),
    "cut off": cms.signed(STRING)[:-40],
}


@pytest.mark.parametrize("data", READABLE.values(), ids=READABLE.keys())
def test_what_is_only_signed_is_scanned(data: bytes):
    result = scan_document("smime.p7m", data)
    assert "office-macro" in {finding.name for finding in result.findings}
    assert "mail-encrypted" not in {item.reason for item in result.unscanned}


def test_a_signed_script_keeps_its_name():
    for name in ("invoice.js.p7m", "invoice.JS.P7M"):
        assert {item.name for item in scan_document(name, cms.signed(cms.tlv(4, b"x = 1"))).findings} == {
            "executable"
        }
    assert not scan_document("invoice.txt.p7m", cms.signed(cms.tlv(4, b"x = 1"))).findings


@pytest.mark.parametrize("kind", [b"application/pkcs7-mime", b"application/octet-stream", b"text/plain"])
def test_in_a_mail_whatever_its_type(kind: bytes):
    mail = HEAD + b"Content-Type: " + kind + b'; name="smime.p7m"; smime-type=signed-data\r\n'
    mail += b"Content-Transfer-Encoding: base64\r\n\r\n" + base64_lines(cms.signed(STRING))
    result = scan_message(mail)
    parts = {finding.part for finding in result.findings if finding.name == "office-macro"}
    assert "1/smime.p7m/content/2/a.doc" in parts
    # What is declared as text is looked into as text as well, and the macro stands there in base64.
    assert parts <= {"1/smime.p7m/content/2/a.doc", "1/smime.p7m"}


LOCKED = {
    "enveloped": cms.enveloped(),
    "enveloped, PEM": b"-----BEGIN PKCS7-----\n"
    + base64.encodebytes(cms.enveloped())
    + b"-----END PKCS7-----\n",
    "encrypted": cms.enveloped(cms.ENCRYPTED),
    "enveloped with authentication": cms.enveloped(cms.AUTH_ENVELOPED),
    "PGP": b"-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n-----END PGP MESSAGE-----\r\n",
    "PGP within text": b"Hi,\r\n\r\n-----BEGIN PGP MESSAGE-----\r\nVersion: 1\r\n\r\nhQEMA\r\n",
    "PGP, quoted": b"> -----BEGIN PGP MESSAGE-----\r\n> \r\n> hQEMA\r\n",
    "PGP for a key, binary": bytes.fromhex("85010c0311a4e5660233ee89010700ff"),
    "PGP for a curve, binary": bytes.fromhex("845e03039c3d76df4cede6120107abcd"),
    "PGP for a password, binary": bytes.fromhex("8c0d0409030248a4ce62df22d97eabcd"),
    "PGP in new packets, binary": bytes.fromhex("c1c04c03aabbccddeeff0011010400ff"),
}


@pytest.mark.parametrize("data", LOCKED.values(), ids=LOCKED.keys())
def test_what_is_encrypted_is_told_and_nothing_else(data: bytes):
    result = scan_document("x", data)
    assert result.findings == ()
    assert [item.reason for item in result.unscanned] == ["mail-encrypted"]


def test_certificates_with_their_keys_are_no_mail():
    # PKCS #12: version 3, then a message with what everybody may read of it, and what a password opens.
    store = cms.tlv(0x30, b"\x02\x01\x03" + cms.cms(cms.DATA, cms.tlv(4, bytes(900))))
    result = scan_document("anna.p12", store)
    assert result.findings == ()
    assert result.unscanned == ()


def test_pgp_mime():
    parts = (
        b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n",
        b"Content-Type: application/octet-stream\r\n\r\n",
    )
    result = scan_message(HEAD + multipart(parts[0], parts[1] + LOCKED["PGP"], kind=b"encrypted"))
    assert [(item.part, item.reason) for item in result.unscanned] == [("2", "mail-encrypted")]
    assert result.findings == ()


PLAIN = {
    "detached signature": cms.signed(None),
    "signed PGP": b"-----BEGIN PGP SIGNED MESSAGE-----\r\n\r\nhi\r\n-----BEGIN PGP SIGNATURE-----\r\n",
    "a PGP key": b"-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n\r\nmQENB\r\n",
    "talk of PGP": b"it begins with -----BEGIN PGP MESSAGE----- as a rule",
    "a certificate": cms.tlv(0x30, cms.tlv(0x30, b"\2\1\1" * 50)),
    "text": b"MIND you, this is 0 base64",
    "a digit": b"0",
    "nothing": b"",
}


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN.keys())
def test_what_is_neither_is_left_alone(data: bytes):
    result = scan_document("x", data)
    assert (result.findings, result.unscanned) == ((), ())


@pytest.mark.parametrize(
    "data",
    [
        cms.cms(cms.SIGNED, b""),
        cms.cms(cms.PKCS7 + b"\x77", STRING),
        b"\x30\x80\x06\x09" + cms.SIGNED,
        cms.tlv(0x30, cms.tlv(6, cms.SIGNED)),
        cms.cms(cms.COMPRESSED, cms.tlv(0x30, cms.VERSION + cms.inner(cms.tlv(4, b"no zlib")))),
    ],
)
def test_what_is_broken_is_told(data: bytes):
    assert [item.reason for item in scan_document("x", data).unscanned] == ["malformed"]


def test_every_cut_is_read_without_stumbling():
    for data in (cms.signed(cms.pieces(b"x" * 300), cms.endless), cms.compressed(b"y" * 300)):
        for end in range(len(data)):
            assert "failed" not in {item.reason for item in scan_document("x", data[:end]).unscanned}


def test_a_bomb_is_bounded():
    result = scan_document("x", cms.compressed(bytes(40 << 20)), ScanOptions(member_size=20 << 20))
    assert "archive-bomb" in {finding.name for finding in result.findings}
    assert "too-large" in {item.reason for item in result.unscanned}


def test_work_in_ber_is_bounded():
    deep = b"\x30\x80" * 100_000
    with pytest.raises(BerError, match="indefinite"):
        Ber(deep).element(0, len(deep))
    wide = b"\x30\x80" + b"\x05\x00" * 300_000
    with pytest.raises(BerError, match="elements"):
        Ber(wide).element(0, len(wide))
    with pytest.raises(BerError):
        reader.read(b"\x30\x84\xff\xff\xff\xff" + b"\x06\x01\x01" + b"\xa0\x00")


def test_pieces_of_pieces_are_bounded():
    data = cms.signed(cms.pieces(b"x", levels=30), cms.endless)
    assert [item.reason for item in scan_document("x", data).unscanned] == ["malformed"]

"""Odd mails of honest senders, as programs of thirty years write them. None hides anything."""

from __future__ import annotations

import base64

HEAD = (
    b"From: a@example.org\r\nTo: b@example.net\r\nSubject: honest\r\nDate: Thu, 1 Jan 2026 10:00:00 +0000\r\n"
)
MIME = HEAD + b"MIME-Version: 1.0\r\n"
TEXT = (
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"Gr\xc3\xbc\xc3\x9fe\r\n"
)
HTML = b'Content-Type: text/html; charset=utf-8\r\n\r\n<html><body><a href="x?a=b">hi</a></body></html>\r\n'
QUOTED = (
    b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b'<html><body><a href=3D"https://example.org/?a=3D41&b=3D=\r\n42">hi</a></body></html>\r\n'
)
FILE = (
    b'Content-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
    b'Content-Disposition: attachment; filename="a.pdf"\r\n\r\n'
)
PICTURE = FILE.replace(b"application/pdf", b"image/jpeg").replace(b"a.pdf", b"a.jpg") + (
    base64.encodebytes(b"\xff\xd8\xff\xe0" + bytes(range(256)) * 2).replace(b"\n", b"\r\n")
)


def multi(
    boundary: bytes, *parts: bytes, kind: bytes = b"mixed", rest: bytes = b"", before: bytes = b""
) -> bytes:
    """A multipart with its header."""
    head = b'Content-Type: multipart/%s; boundary="%s"%s\r\n\r\n' % (kind, boundary, rest)
    return (
        head
        + before
        + b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts)
        + b"--%s--\r\n" % boundary
    )


def forwarded(entity: bytes) -> bytes:
    return b"Content-Type: message/rfc822\r\nContent-Disposition: inline\r\n\r\n" + MIME + entity


DSN = (
    b"Content-Type: message/delivery-status\r\n\r\n"
    b"Reporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; b@example.net\r\n"
    b"Action: failed\r\nStatus: 5.1.1\r\n"
)
SIGNATURE = (
    b'Content-Type: application/pgp-signature; name="signature.asc"\r\n\r\n'
    b"-----BEGIN PGP SIGNATURE-----\r\n\r\niQIzBAEBCgAdFiEE\r\n=abcd\r\n-----END PGP SIGNATURE-----\r\n"
)
INVITE = (
    b'Content-Type: text/calendar; charset="UTF-8"; method=REQUEST\r\n\r\n'
    b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
DKIM = (
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=x;\r\n"
    b"\th=from:to:subject:mime-version:\r\n\tcontent-type:content-transfer-encoding;\r\n"
    b"\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=abc/def+\r\n"
)

HONEST: dict[str, bytes] = {
    "plain text without MIME": HEAD + b"\r\nhello\r\n",
    "plain text, 8 bits, without MIME": HEAD + b"\r\nGr\xfc\xdfe\r\n",
    "text and a footer of a list": MIME + TEXT + b"_____________\r\na list: http://list.example/\r\n",
    "a footer of a list after the closing delimiter": MIME
    + multi(b"b1", TEXT, PICTURE)
    + b"\r\n-- \r\nTo unsubscribe go to http://list.example/ or write to Content-Team: list@example.org\r\n",
    "a footer of a list in base64": MIME
    + PICTURE
    + b"\r\n_______________\r\nlist mailing list\r\nhttp://list.example/cgi\r\n",
    "Apple Mail": MIME
    + multi(
        b"Apple-Mail=_01234567-89AB-CDEF-0123-456789ABCDEF",
        TEXT,
        multi(b"Apple-Mail=_FEDCBA98-89AB-CDEF-0123-456789ABCDEF", HTML, PICTURE, kind=b"related"),
        kind=b"alternative",
    ),
    "Outlook": MIME
    + multi(
        b"----=_NextPart_000_0000_01DA3B4C.5D6E7F80",
        multi(b"----=_NextPart_001_0001_01DA3B4C.5D6E7F80", TEXT, HTML, kind=b"alternative"),
        PICTURE,
        before=b"This is a multipart message in MIME format.\r\n\r\n",
    ),
    "Outlook Express, boundary not quoted": MIME
    + multi(b"----=_NextPart_000_0000", TEXT, HTML).replace(b'"', b"", 2),
    "Exchange": MIME
    + multi(
        b"_004_AM0PR0101MB1234AM0PR0101MB1234eurp_",
        multi(b"_000_AM0PR0101MB1234AM0PR0101MB1234eurp_", TEXT, HTML, kind=b"alternative"),
        PICTURE,
    ),
    "JavaMail": MIME
    + multi(b"----=_Part_123_456789.1234567890123", TEXT, PICTURE).replace(
        b'boundary="', b'\r\n\tboundary="'
    ),
    "a boundary that says so": MIME + multi(b"----=_MIME_BOUNDARY_000_123", TEXT, PICTURE),
    "a boundary that is the word, not quoted": MIME + multi(b"boundary", TEXT, PICTURE).replace(b'"', b"", 2),
    "iPlanet": MIME + multi(b"Boundary_(ID_PGS2F2a+z+/jL7hupKgRhA)", TEXT, PICTURE),
    "parts that a program left out": MIME
    + b'Content-Type: multipart/mixed; boundary="b1"\r\n\r\nhello\r\n[picture omitted]\r\n',
    "Gmail": MIME + multi(b"000000000000a1b2c3d4e5f6a7b8", TEXT, HTML, kind=b"alternative"),
    "Lotus Notes": MIME + multi(b"=_alternative 0045ABCDC1258A00_=", TEXT, HTML, kind=b"alternative"),
    "exmh, a comment behind the boundary": MIME.replace(b"1.0", b"1.0 (exmh 2.8)")
    + multi(
        b"==_Exmh_123_0",
        TEXT,
        SIGNATURE,
        kind=b"signed",
        rest=b' ; micalg=pgp-sha1;\r\n\t protocol="application/pgp-signature"',
    ),
    "a comment behind the type": MIME
    + b"Content-Type: text/plain (plain text); charset=us-ascii\r\n\r\nhello\r\n",
    "boundary twice, the same": MIME + multi(b"b1", TEXT, PICTURE, rest=b'; boundary="b1"'),
    "type twice, the same": MIME
    + b'Content-Type: multipart/mixed; boundary="b1"\r\n'
    + multi(b"b1", TEXT, PICTURE),
    "no closing delimiter after text": MIME + multi(b"b1", TEXT, HTML).removesuffix(b"--b1--\r\n"),
    "no closing delimiter after HTML in quoted-printable": MIME
    + multi(b"b1", TEXT, QUOTED).removesuffix(b"--b1--\r\n"),
    "encoding of the parts declared for the whole": MIME
    + b"Content-Transfer-Encoding: quoted-printable\r\n"
    + multi(b"b1", TEXT, QUOTED, kind=b"alternative"),
    "no closing delimiter of the inner one": MIME
    + multi(b"b1", multi(b"b2", TEXT, HTML).removesuffix(b"--b2--\r\n"), PICTURE),
    "no line end after the closing delimiter": MIME + multi(b"b1", TEXT, PICTURE).removesuffix(b"\r\n"),
    "blanks after delimiters": MIME + multi(b"b1", TEXT, PICTURE).replace(b"--b1\r\n", b"--b1 \r\n"),
    "a digest": MIME
    + multi(b"b1", b"\r\n" + HEAD + b"\r\none\r\n", b"\r\n" + HEAD + b"\r\ntwo\r\n", kind=b"digest"),
    "a digest of Mailman": MIME
    + multi(
        b"===============0123456789==",
        TEXT,
        multi(
            b"===============1234567890==",
            b"\r\n" + MIME + TEXT,
            b"Content-Type: message/rfc822\r\nMIME-Version: 1.0\r\n\r\n" + MIME + multi(b"in", TEXT, HTML),
            kind=b"digest",
        ),
        TEXT,
    ),
    "a forwarded mail": MIME + multi(b"b1", TEXT, forwarded(multi(b"b2", TEXT, PICTURE))),
    "mails in mails": MIME + multi(b"b1", forwarded(multi(b"b2", forwarded(multi(b"b3", TEXT, PICTURE))))),
    "a delivery report": MIME
    + multi(
        b"b1",
        TEXT,
        DSN,
        forwarded(multi(b"b2", TEXT, PICTURE)),
        kind=b"report",
        rest=b"; report-type=delivery-status",
    ),
    "a delivery report with headers alone": MIME
    + multi(
        b"b1",
        TEXT,
        DSN,
        b"Content-Type: text/rfc822-headers\r\n\r\n"
        + MIME
        + b'Content-Type: multipart/mixed; boundary="b2"\r\n',
        kind=b"report",
    ),
    "a delivery report with headers alone as a mail": MIME
    + multi(
        b"b1",
        TEXT,
        DSN,
        b"Content-Type: message/rfc822\r\n\r\n"
        + MIME
        + b'Content-Type: multipart/mixed; boundary="b2"\r\n\r\n',
        kind=b"report",
    ),
    "a delivery report whose mail is cut off": MIME
    + multi(b"b1", TEXT, DSN, forwarded(multi(b"b2", TEXT, HTML))[:-20], kind=b"report"),
    "a read receipt": MIME
    + multi(
        b"b1",
        TEXT,
        b"Content-Type: message/disposition-notification\r\n\r\nDisposition: manual-action\r\n",
        kind=b"report",
    ),
    "an abuse report": MIME
    + multi(
        b"b1",
        TEXT,
        b"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n",
        forwarded(TEXT),
        kind=b"report",
    ),
    "a calendar invitation": MIME
    + multi(
        b"b1",
        multi(b"b2", TEXT, HTML, INVITE, kind=b"alternative"),
        INVITE.replace(b"text/calendar", b'application/ics; name="invite.ics"'),
    ),
    "PGP/MIME signed": MIME
    + multi(
        b"b1",
        TEXT,
        SIGNATURE,
        kind=b"signed",
        rest=b'; micalg=pgp-sha256; protocol="application/pgp-signature"',
    ),
    "PGP signed inline": MIME + b"Content-Type: text/plain\r\n\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\n"
    b"Hash: SHA256\r\n\r\n- -- \r\nhi\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\niQ==\r\n"
    b"-----END PGP SIGNATURE-----\r\n",
    "a patch": MIME + b"Content-Type: text/x-patch\r\n\r\n--- a/x.c\r\n+++ b/x.c\r\n@@ -1 +1 @@\r\n"
    b"-Content-Length: 1\r\n+Content-Length: 2\r\n-- \r\n2.40.1\r\n",
    "the source of a mail, quoted": MIME
    + TEXT
    + b"> Content-Type: text/plain\r\n> Content-Transfer-Encoding: base64\r\n> \r\n> aGVsbG8=\r\n",
    "a bounce of qmail with the mail in its text": HEAD
    + b"\r\nHi. This is the qmail-send program.\r\n\r\n--- Below this line is a copy of the message.\r\n\r\n"
    + MIME
    + multi(b"b1", TEXT, PICTURE),
    "a mailbox's From line first": b"From a@example.org Thu Jan  1 10:00:00 2026\r\n"
    + MIME
    + multi(b"b1", TEXT, PICTURE),
    "LF alone": (MIME + multi(b"b1", TEXT, PICTURE)).replace(b"\r\n", b"\n"),
    "old Mac text with bare CR": MIME + TEXT + b"one\rtwo\rthree -- four\r\n",
    "NUL in text": MIME + TEXT + b"printed by a machine: \0\0 end\r\n",
    "encoding 8-bit": MIME + TEXT.replace(b": 8bit", b": 8-bit"),
    "encoding 7 bit": MIME + TEXT.replace(b": 8bit", b": 7 bit"),
    "encoding utf-8": MIME + TEXT.replace(b": 8bit", b": utf-8"),
    "encoding in upper case": MIME + PICTURE.replace(b"base64", b"BASE64"),
    "encoding twice, the same": MIME + b"Content-Transfer-Encoding: base64\r\n" + PICTURE,
    "quoted-printable that escapes nothing": MIME
    + b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b'<a href="x?y=zz&q=1">go</a>\r\n',
    "quoted-printable with a URL in it": MIME
    + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    b"\r\nsee http://x.example/?id=3D1 =C3=A4=\r\n and on\r\n",
    "base64 without padding": MIME + PICTURE.replace(b"=\r\n", b"\r\n"),
    "base64 in one line": MIME
    + FILE.replace(b"pdf", b"bin")
    + base64.b64encode(bytes(range(256)) * 20)
    + b"\r\n",
    "base64 in lines of 78": MIME
    + FILE.replace(b"pdf", b"bin")
    + b"".join(base64.b64encode(bytes(range(256)) * 9)[at : at + 78] + b"\r\n" for at in range(0, 3072, 78)),
    "base64 with empty lines behind": MIME + multi(b"b1", PICTURE + b"\r\n\r\n\r\n"),
    "an empty line before base64": MIME + PICTURE.replace(b"\r\n\r\n", b"\r\n\r\n\r\n"),
    "names in both fields, spelt differently": MIME
    + multi(
        b"b1",
        PICTURE.replace(b'name="a.jpg"\r\nContent-T', b'name="=?utf-8?B?w6QuanBn?="\r\nContent-T').replace(
            b'filename="a.jpg"', b"filename*=utf-8''%C3%A4.jpg; filename=\"a.jpg\""
        ),
    ),
    "a long name in pieces": MIME
    + multi(
        b"b1",
        PICTURE.replace(
            b'filename="a.jpg"', b"filename*0*=utf-8''%C3%A4%20long;\r\n filename*1=\" name.jpg\""
        ),
    ),
    "a raw 8-bit name": MIME + multi(b"b1", PICTURE.replace(b'filename="a.jpg"', b'filename="\xe4.jpg"')),
    "raw 8 bits in the subject": MIME.replace(b"honest", b"Gr\xfc\xdfe") + TEXT,
    "a signature that names Content fields": DKIM + MIME + multi(b"b1", TEXT, PICTURE),
    "Content fields of other kinds": MIME + b"Content-Language: de\r\nContent-ID: <1@x>\r\n"
    b"Content-Description: Content-Type: none\r\nContent-Length: 5\r\n" + TEXT,
    "an empty part": MIME + multi(b"b1", TEXT, b"\r\n"),
    "a part without a header": MIME + multi(b"b1", b"\r\njust text\r\n", PICTURE),
    "text in front of the parts": MIME
    + multi(b"b1", TEXT, PICTURE, before=b"You need a better mail program.\r\nContent follows.\r\n\r\n"),
    "boundaries where one begins like the other": MIME
    + multi(b"foo", multi(b"foo_bar", TEXT, HTML, kind=b"alternative"), PICTURE),
    "hyphens in text": MIME
    + multi(b"b1", TEXT + b"--\r\nme\r\n-----Original Message-----\r\nFrom: x\r\n--------\r\n", PICTURE),
    "voicemail of a switchboard": MIME
    + multi(
        b"b1",
        TEXT,
        PICTURE.replace(b"image/jpeg", b"audio/x-wav").replace(b".jpg", b".wav"),
        kind=b"voice-message",
    ),
    "HTML in UTF-16": MIME
    + b"Content-Type: text/html; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes("<html>hi</html>".encode("utf-16")),
    "Japanese": MIME + b"Content-Type: text/plain; charset=ISO-2022-JP\r\n"
    b"Content-Transfer-Encoding: 7bit\r\n\r\n\x1b$B$3$s\x1b(B\r\n",
}

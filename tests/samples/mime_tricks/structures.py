"""Parts in structures that are not what they seem."""

from __future__ import annotations

from collections.abc import Iterator

from tests.samples.mime_tricks.base64text import mixed_lengths
from tests.samples.mime_tricks.boundaries import T
from tests.samples.mime_tricks.old_encodings import uuencoded
from tests.samples.mime_tricks.pieces import CTE, HEAD, KIND, TEXT, b64, body_of, mail, mixed, part
from tests.samples.mime_tricks.quoted_printable import escaped


def wrapped(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The same part, in structures that are not what they seem."""
    leaf = part(mixed_lengths(data))
    inner = body_of(b"in", leaf)
    plain = T + b"; boundary="
    head = HEAD + b"Content-Type: "

    def delimited(mark: bytes) -> bytes:
        return mail(plain + b"b1", b"b1", TEXT).replace(b"--b1--", mark + b"\r\n" + leaf + b"\r\n--b1--")

    for name, mark in {
        "delimiter with text": b"--b1X",
        "delimiter with a word": b"--b1 X",
        "delimiter with a hyphen": b"--b1-",
        "delimiter with a tab": b"--b1\t",
        "delimiter with a vertical tab": b"--b1\x0b",
        "delimiter with a NUL": b"--b1\0",
        "delimiter with NUL and text": b"--b1\0xyz",
        "delimiter with blank before": b" --b1",
        "delimiter after a blank and CR": b" \r--b1",
        "delimiter after LF and CR": b"\r\n\r--b1",
        "delimiter in upper case": b"--B1",
        "closing delimiter with text": b"--b1--xyz",
    }.items():
        yield name, delimited(mark)
    coded = b64(data)
    yield (
        "delimiter and header in one line",
        mail(plain + b"b1", b"b1", TEXT).replace(
            b"--b1--", b"--b1" + part(coded, b"", CTE + b"base64\r\n") + b"\r\n--b1--"
        ),
    )
    yield "delimiter that ends in a bare CR", delimited(b"--b1").replace(b"--b1\r\n" + KIND, b"--b1\r" + KIND)
    yield "after the closing delimiter", mail(plain + b"b1", b"b1", TEXT) + leaf
    yield (
        "after the closing delimiter, a colon in the next line",
        mail(plain + b"b1", b"b1", TEXT) + part(b64(data), b"", CTE[:-2] + b"\r\n : base64\r\n" + KIND),
    )
    yield (
        "after the closing delimiter, uuencode behind a signature",
        mail(plain + b"b1", b"b1", TEXT) + TEXT + b"-- \r\nme\r\n" + uuencoded(data),
    )
    yield "after the closing delimiter, with one", mail(plain + b"b1", b"b1", TEXT) + body_of(b"b1", leaf)
    yield "after the closing delimiter, with another", mail(plain + b"b1", b"b1", TEXT) + body_of(b"b2", leaf)
    yield "before the first delimiter", head + plain + b"b1\r\n\r\n" + leaf + body_of(b"b1", TEXT)
    yield (
        "before the first, with one of its own",
        head + plain + b"b1\r\n\r\n" + body_of(b"bx", leaf) + body_of(b"b1", TEXT),
    )
    yield "nothing but what is before", head + plain + b"b1\r\n\r\n" + leaf
    yield "no closing delimiter", mixed(leaf).removesuffix(b"--b1--\r\n")
    yield (
        "no inner closing delimiter",
        mail(
            plain + b"b1",
            b"b1",
            b"Content-Type: " + plain + b"in\r\n\r\n" + inner.removesuffix(b"--in--\r\n"),
        ),
    )
    yield (
        "no outer closing delimiter",
        mail(plain + b"b1", b"b1", b"Content-Type: " + plain + b"in\r\n\r\n" + inner).removesuffix(
            b"--b1--\r\n"
        ),
    )
    for name, outer, within in (
        ("outer end is the inner boundary", b"b1", b"b1--"),
        ("inner boundary is the outer", b"b1", b"b1"),
        ("outer extends inner", b"b1_", b"b1"),
        ("inner extends outer", b"b1", b"b1_"),
    ):
        nested = b"Content-Type: " + plain + within + b"\r\n\r\n" + body_of(within, leaf)
        yield name, mail(plain + outer, outer, nested)
    nested = b"Content-Type: " + plain + b"in\r\n\r\n"
    yield (
        "inner goes on behind outer",
        head
        + plain
        + b"b1\r\n\r\n"
        + b"--b1\r\n"
        + nested
        + b"--in\r\n"
        + TEXT
        + b"--b1--\r\n--in\r\n"
        + leaf
        + b"--in--\r\n",
    )
    yield (
        "outer delimiter in inner base64",
        mail(
            plain + b"####", b"####", nested + inner.replace(b"base64\r\n\r\n", b"base64\r\n\r\n--####\r\n")
        ),
    )
    yield (
        "outer end in the header",
        head + plain + b"b:1\r\n--b:1--\r\n\r\n--b:1\r\n" + nested + inner + b"--b:1--\r\n",
    )
    yield (
        "outer end in the inner header",
        mail(plain + b"b:1", b"b:1", b"Content-Type: " + plain + b"in\r\n--b:1--\r\n\r\n" + inner),
    )
    yield (
        "outer delimiter in the inner header",
        mail(plain + b"b:1", b"b:1", b"Content-Type: " + plain + b"in\r\n--b:1\r\n\r\n" + inner),
    )
    whole = nested + inner
    yield "whole in base64", head + plain + b"in\r\n" + CTE + b"base64\r\n\r\n" + b64(inner)
    yield (
        "whole in quoted-printable",
        head + plain + b"in\r\n" + CTE + b"quoted-printable\r\n\r\n" + escaped(inner),
    )
    yield "whole in an unknown encoding", head + plain + b"in\r\n" + CTE + b"xyz\r\n\r\n" + b64(inner)
    yield (
        "multipart that is base64 of the file",
        head + plain + b"b1\r\n" + CTE + b"base64\r\n\r\n" + b64(data),
    )
    for kind in (b"message/rfc822", b"message/global", b"message/news", b"text/plain", b"message/x-unknown"):
        label = kind.decode()
        yield f"in {label}", mixed(b"Content-Type: " + kind + b"\r\n\r\n" + HEAD + whole)
        yield f"in {label}, base64", mixed(part(b64(HEAD + whole), kind=b"Content-Type: " + kind + b"\r\n"))
        yield (
            f"in {label}, quoted-printable",
            mixed(
                part(escaped(HEAD + whole), CTE + b"quoted-printable\r\n", b"Content-Type: " + kind + b"\r\n")
            ),
        )
    for kind in (b"message/x-unknown", b"message/feedback-report", b'application/x; name="a.eml"'):
        yield (
            f"in {kind.decode()}, base64, after a line that is no field",
            mixed(part(b64(b"begin 644 x\r\n" + whole), kind=b"Content-Type: " + kind + b"\r\n")),
        )
    for label, found in (("NUL", b"\0"), ("bare CR", b"\r")):
        hidden = HEAD + whole.replace(b"Content-Transfer-Encoding: ", b"Content-Transfer-Encoding:" + found)
        yield (
            f"{label} in message/rfc822, base64",
            mixed(part(b64(hidden), kind=b"Content-Type: message/rfc822\r\n")),
        )
    yield "in a nameless file", mixed(part(b64(HEAD + whole), kind=KIND))
    yield "in a file without fields of a mail", mixed(part(b64(whole), kind=KIND))
    yield "in a digest", mail(b"multipart/digest; boundary=b1", b"b1", b"\r\n" + HEAD + whole)
    yield "in a digest, header and all", mail(b"multipart/digest; boundary=b1", b"b1", b"From: me\r\n" + leaf)
    yield (
        "in message/partial",
        HEAD + b'Content-Type: message/partial; id="x"; number=1; total=1\r\n\r\n' + HEAD + whole,
    )
    yield (
        "in message/external-body",
        mixed(b"Content-Type: message/external-body; access-type=local-file\r\n\r\n" + leaf),
    )
    yield "a mailbox's From line first", b"From x Thu Jan  1 00:00:00 1970\r\n" + mixed(leaf)
    yield "an empty line first", b"\r\n" + mixed(leaf)
    yield "blank lines first", b" \r\n\t\r\n" + mixed(leaf)
    yield "a byte order mark first", b"\xef\xbb\xbf" + mixed(leaf)
    yield "no header", body_of(b"b1", leaf)
    yield "no MIME-Version", mixed(leaf).replace(b"MIME-Version: 1.0\r\n", b"")
    yield "headers of CR", mixed(leaf).replace(b"\r\n", b"\r")
    yield "headers of LF", mixed(leaf).replace(b"\r\n", b"\n")
    yield "all in upper case", mixed(leaf).replace(CTE, CTE.upper()).replace(b"Content-Type", b"CONTENT-TYPE")
    yield "a header of 100 KiB first", b"X-Long: " + b"x" * 100_000 + b"\r\n" + mixed(leaf)
    yield (
        "15 levels",
        head
        + b"".join(b"%sl%d\r\n\r\n--l%d\r\nContent-Type: " % (plain, n, n) for n in range(15))
        + leaf.removeprefix(b"Content-Type: "),
    )
    yield "the single part", HEAD + leaf
    yield "the single part, as multipart", HEAD + part(b64(data), kind=b"Content-Type: multipart/mixed\r\n")
    yield "base64 in text that nothing announces", mixed(b"Content-Type: text/plain\r\n\r\n" + b64(data))
    yield "an empty type", mixed(part(b64(data), kind=b"Content-Type:\r\n"))
    yield "type of a picture", mixed(part(b64(data), kind=b'Content-Type: image/png; name="a.png"\r\n'))
    yield (
        "type of an attached message, but a document",
        mixed(part(b64(data), kind=b"Content-Type: message/rfc822\r\n")),
    )
    yield (
        "type of a partial message, but a document",
        mixed(part(b64(data), kind=b"Content-Type: message/partial\r\n")),
    )

"""The words of a mail that may be passwords: bounded, each once."""

from __future__ import annotations

from contentfilter.content.limits import ScanOptions
from contentfilter.message import BytesWire
from contentfilter.passwords.telling import as_text, told_by_mail
from contentfilter.passwords.words import MAX_LENGTH, candidates
from tests.samples.messages import attachment, message, multipart, text

SEEDS = [
    message(multipart(text(b"The password is: Kx7-geheim\r\n"), attachment(b"PK", "bill 4711.zip"))),
    b"Subject: =?utf-8?B?UGFzc3dvcmQ6IDQ3MTE=?=\r\n\r\n<p>Pass<b>word</b>:&#32;47<br>11</p>",
    "Passwort: „zwei Wörter“\r\n密码：1234".encode(),
    "Kennwort 12 34 56".encode("utf-16"),
]


def target(data: bytes) -> None:
    words = list(told_by_mail(BytesWire(data), ScanOptions()))
    assert len(words) == len(set(words))
    assert all(0 < len(word) <= MAX_LENGTH for word in words)
    list(candidates([as_text(data)]))

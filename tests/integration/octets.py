"""Messages that are carried unchanged only by who changes nothing at all."""

from __future__ import annotations

BODIES = {
    "empty": b"",
    "one line": b"x\r\n",
    "dots": b".\r\n..\r\n...\r\n.x\r\n\r\n.\r\n",
    "no line end at the end": b"last line",
    "blank lines at the end": b"x\r\n\r\n\r\n\r\n",
    "only blank lines": b"\r\n\r\n\r\n",
    "trailing blanks": b"x  \t\r\n \r\n\t\r\n",
    "eight bits": bytes(range(128, 256)) * 4 + b"\r\n" + "Grüße, 你好\r\n".encode(),
    "control characters": bytes(set(range(1, 32)) - {10, 13}) + b"\x7f\r\n",
    "long lines": b"x" * 998 + b"\r\n" + b"y" * 2000 + b"\r\n",
    "From in column one": b"From here on\r\n>From there\r\n",
    "looks like SMTP": b"QUIT\r\nRSET\r\nMAIL FROM:<x@y>\r\nDATA\r\n",
    "looks like a header": b"X-Postwarden-Id: 0123456789abc\r\nReturn-Path: <x@y>\r\n",
}

HEADERS = {
    "no body at all": b"",
    "Bcc and relatives": b"Bcc: a@b\r\nResent-Bcc: c@d\r\nReturn-Path: <e@f>\r\nContent-Length: 12345\r\n",
    "folded": b"Subject: one\r\n two\r\n\tthree\r\n   \r\n four\r\n",
    # Postfix itself takes away blanks before the colon ("To : x"); that is not tried here.
    "odd spacing": b"Subject:no space\r\nTo:\ta@b  \r\nX:\r\nY:  \r\n",
    "twice": b"Subject: 1\r\nSubject: 2\r\nMessage-ID: <1@x>\r\nMessage-ID: <2@x>\r\n",
    "eight bits": "Subject: Grüße\r\nX-Raw: ".encode() + bytes(range(160, 256)) + b"\r\n",
    "a forged line of ours": b"X-Postwarden-Id: 0123456789abc\r\nX-Postwarden: clean\r\n",
    "a very long line": b"X-Long: " + b"z" * 5000 + b"\r\n",
}

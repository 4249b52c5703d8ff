"""The mail of the self-test: the EICAR test file as an attachment.

Every engine takes that file for a virus and it does nothing. It is put together here, so that no scanner
takes this source for it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

from contentfilter.spool.seal import seal

_EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-" + b"TEST-FILE!$H+H*"
_MAIL = (
    b"From: <>\r\nTo: <>\r\nSubject: Self-test of the virus scanner\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="="\r\n\r\n'
    b"--=\r\nContent-Type: text/plain\r\n\r\nThis mail is never sent.\r\n"
    b"--=\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="eicar.com"\r\n\r\n'
    + base64.encodebytes(_EICAR).replace(b"\n", b"\r\n")
    + b"--=--\r\n"
)


class Specimen:
    """See :class:`contentfilter.engines.engine.Message`."""

    size = len(_MAIL)
    digest = seal(_MAIL)

    def chunks(self) -> Iterator[bytes]:
        """The mail in wire form; no line of it begins with a dot."""
        yield _MAIL

"""Files of programs that do nothing but encrypt, told by how they begin: nothing here opens them.

Documents of Apple's Pages, Numbers and Keynote have a member that tests the password.
"""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.content.part import Context, Found, Part

_BEGINNINGS = (
    (b"AES\1\0", "AES Crypt"),
    (b"AES\2\0", "AES Crypt"),
    (b"\xc0\xb9\x07\x2e\x4f\x93\xf1\x46\xa0\x15\x79\x2c\xa1\xd9\xe8\x21", "AxCrypt"),
    (b"age-encryption.org/v1\n", "age"),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", "age"),
    (b"Salted__", "OpenSSL"),
    (b"encrcdsa", "disk image"),
    (b"LUKS\xba\xbe", "LUKS"),
    (b"\xeb\x58\x90-FVE-FS-", "BitLocker"),
)
_ANY_BEGINNING = tuple(beginning for beginning, _kind in _BEGINNINGS)
_IWORK = (b".iwpv2", b".iwph")


class EncryptedFile:
    """Finds ``archive-encrypted``, and ``office-encrypted`` in documents of Pages, Numbers and Keynote."""

    name = "encrypted-file"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        head = bytes(part.data[:40])
        if head.startswith(_ANY_BEGINNING):
            kind = next(kind for beginning, kind in _BEGINNINGS if head.startswith(beginning))
            yield part.found("archive-encrypted", kind)
            yield part.unscanned("encrypted", kind)
            return
        archive = context.zip
        if archive is not None and any(member.name.endswith(_IWORK) for member in archive.members):
            yield part.found("office-encrypted", "iWork")
            yield part.unscanned("encrypted", "iWork")

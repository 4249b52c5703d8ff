"""PDF documents for tests, and what is found in them."""

from __future__ import annotations

import pikepdf

from tests.samples.office import MACRO, docm
from tests.samples.pdf import pdf

PROGRAM = docm(MACRO)
MACROS = {"office-macro", "office-macro-suspicious"}


def attach(document: pikepdf.Pdf, name: str, content: bytes) -> None:
    document.attachments[name] = pikepdf.AttachedFileSpec(document, content)


def locked(user: str, owner: str = "owner", change=None, **how) -> bytes:
    return pdf(change, pikepdf.Encryption(user=user, owner=owner, **how))


LOCKED = locked("secret")
LOCKED_OLD = locked("secret", R=4)

SCRIPT = b"<</S/JavaScript/JS(app.alert\\(1\\))>>"


def lzw_encoded(data: bytes, early: bool = True) -> bytes:
    # A word is known by the code of all but its last octet, so that long ones cost no more than short ones.
    table: dict[tuple[int, int], int] = {}
    codes, width, word, size = [f"{256:09b}"], 9, -1, 258
    for octet in data:
        if word < 0:
            word = octet
            continue
        if (word, octet) in table:
            word = table[word, octet]
            continue
        codes.append(f"{word:0{width}b}")
        table[word, octet] = size
        size += 1
        word = octet
        if size == 4095:
            codes.append(f"{256:0{width}b}")
            table.clear()
            size, width = 258, 9
            continue
        width = max(width, (size - (not early)).bit_length())
    codes.append(f"{word:0{width}b}{257:0{max(width, (size + early).bit_length())}b}")
    bits = "".join(codes)
    return int(bits + "0" * (-len(bits) % 8), 2).to_bytes((len(bits) + 7) // 8, "big")

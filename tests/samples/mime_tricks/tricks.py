"""Mails that hide one attachment by tricks with MIME, as an attacker would send them.

Each table in the modules beside this one has the name of a trick and the mail, or a piece of one, that is
made with it.
"""

from __future__ import annotations

import random

from tests.samples.mime_tricks.base64text import BASE64, mixed_lengths
from tests.samples.mime_tricks.boundaries import DECLARED
from tests.samples.mime_tricks.encoding_fields import ENCODING_FIELDS
from tests.samples.mime_tricks.header_ends import breaks
from tests.samples.mime_tricks.old_encodings import other_encodings
from tests.samples.mime_tricks.pieces import CTE, HEAD, TEXT, b64, body_of, mail, mixed, part
from tests.samples.mime_tricks.quoted_printable import QUOTED
from tests.samples.mime_tricks.structures import wrapped


def tricks(data: bytes) -> dict[str, bytes]:
    """Every trick by name, with ``data`` hidden in it."""
    found: dict[str, bytes] = {}
    for name, field in ENCODING_FIELDS.items():
        found[f"encoding field: {name}"] = mixed(part(mixed_lengths(data), field))
        found[f"encoding field of the mail: {name}"] = HEAD + part(b64(data), field)
    for name, encode in BASE64.items():
        found[f"base64: {name}"] = mixed(part(encode(data)))
    for name, encode in QUOTED.items():
        found[f"quoted-printable: {name}"] = mixed(part(encode(data), CTE + b"quoted-printable\r\n"))
    for name, entity in other_encodings(data):
        found[f"other encoding: {name}"] = mixed(entity)
    for name, entity in breaks(data):
        found[f"header's end: {name}"] = mixed(entity)
        found[f"mail header's end: {name}"] = entity
    for name, (declared, used) in DECLARED.items():
        found[f"boundary: {name}"] = mail(declared, used, TEXT, part(mixed_lengths(data)))
    for name, message in wrapped(data):
        found[f"structure: {name}"] = message
    return found


def combined(data: bytes, count: int, seed: int) -> dict[str, bytes]:
    """Mails with three tricks and more each, drawn at random but the same each time."""
    draw, found = random.Random(seed), {}
    while len(found) < count:
        field_name, field = draw.choice(list(ENCODING_FIELDS.items()))
        code_name, encode = draw.choice(list(BASE64.items()))
        declared_name, (declared, used) = draw.choice(list(DECLARED.items()))
        name = f"{declared_name} / {field_name} / {code_name}"
        leaf = part(encode(data), field)
        message = mail(declared, used, TEXT, leaf)
        match draw.randrange(5):
            case 0:
                outer_name, (outer, outer_used) = draw.choice(list(DECLARED.items()))
                name += f" / in {outer_name}"
                entity = b"Content-Type: " + declared + b"\r\n\r\n" + body_of(used, leaf)
                message = mail(outer, outer_used, TEXT, entity)
            case 1:
                name += " / forwarded"
                message = mixed(b"Content-Type: message/rfc822\r\n\r\n" + message)
            case 2:
                name += " / NUL in the header"
                at = draw.randrange(len(HEAD))
                message = message[:at] + b"\0" + message[at:]
        found[name] = message
    return found

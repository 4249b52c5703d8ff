"""What daemon and signer say to each other, without a socket (:mod:`contentfilter.pool.frames`).

A signer reads hostile mail like a scan worker, if hardly any of it, so what it answers is looked at as
closely: header fields of one name, printable, in the name of the domain that was asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast, get_args

from contentfilter.pool.frames import Done, Failed, Garbage, Ready, framed
from contentfilter.pool.frames import Reason as FailureReason
from contentfilter.signing.reasons import REASONS, Reason

MAX_TASK = 16 * 1024
"""Octets of one task packet."""
MAX_LINES = 16 * 1024
"""Octets of all header fields in an answer."""
MAX_DETAIL = 300
"""Characters of a detail."""

_FIELD = re.compile(r"DKIM-Signature: [\x20-\x7e]+(?:\r\n {2}[\x20-\x7e]+)*\r\n")
_DOMAIN = re.compile(r" d=([^;\s]+);")


@dataclass(frozen=True, slots=True)
class SignTask:
    """One message to sign.

    Arguments:
        size: octets behind the descriptor, in the dot-stuffed wire form.
        domain: for ``d=``.
        selectors: of the keys, in the order of the signatures.
        now: seconds since the epoch, for ``t=``.
    """

    size: int
    domain: str
    selectors: tuple[str, ...]
    now: int

    def encode(self) -> bytes:
        """The packet."""
        return json.dumps([self.size, self.domain, self.selectors, self.now]).encode("ascii")

    @classmethod
    def decode(cls, packet: bytes) -> SignTask:
        """The reverse; the daemon is trusted.

        Raises:
            Garbage: not a task.
        """
        try:
            size, domain, selectors, now = json.loads(packet)
            return cls(int(size), str(domain), tuple(map(str, selectors)), int(now))
        except (ValueError, TypeError) as error:
            raise Garbage("not a task") from error


@dataclass(frozen=True, slots=True)
class Signed:
    """The signatures.

    Arguments:
        lines: header fields, each with CRLF.
    """

    lines: bytes


@dataclass(frozen=True, slots=True)
class Unsigned:
    """The message must go without."""

    reason: Reason


Result: TypeAlias = Signed | Unsigned
Answer: TypeAlias = Ready | Done[Result] | Failed


def encode(answer: Answer) -> bytes:
    """The answer as a frame."""
    body: dict[str, Any]
    match answer:
        case Ready(missing):
            body = {"ready": [text[:MAX_DETAIL] for text in missing]}
        case Done(Signed(lines)):
            body = {"signed": lines.decode("ascii")}
        case Done(Unsigned(reason)):
            body = {"unsigned": reason}
        case Failed(reason, detail):
            body = {"failed": reason, "detail": detail[:MAX_DETAIL]}
    return framed(json.dumps(body).encode("ascii"))


def decode(frame: bytes) -> Answer:
    """An answer out of a frame without its length.

    Raises:
        Garbage: anything but an answer.
    """
    try:
        body = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise Garbage(f"not JSON: {type(error).__name__}") from error
    match body:
        case {"ready": list(missing)} if all(type(text) is str for text in missing):
            return Ready(tuple(text[:MAX_DETAIL] for text in missing[:20]))
        case {"signed": str(text)}:
            if len(text) > MAX_LINES or not text.isascii():
                raise Garbage("more header than a signature has")
            if not text or not all(_FIELD.fullmatch(field) for field in split_fields(text)):
                raise Garbage("no signature")
            return Done(Signed(text.encode("ascii")))
        case {"unsigned": str(reason)} if reason in REASONS:
            return Done(Unsigned(reason))
        case {"failed": str(reason), "detail": str(detail)} if reason in get_args(FailureReason):
            return Failed(cast(FailureReason, reason), detail[:MAX_DETAIL])
        case _:
            raise Garbage("not an answer")


def split_fields(text: str) -> list[str]:
    """Header fields, each with its CRLF, and what may stand behind the last one."""
    return [field for field in re.split(r"(?<=\r\n)(?! )", text) if field]


def signed_for(lines: bytes) -> Sequence[str]:
    """The domains that signatures are in the name of."""
    return [found[1] for found in _DOMAIN.finditer(lines.decode("ascii"))]

"""Command lines that carry a mailbox: MAIL and RCPT (RFC 5321 4.1.2).

As lenient as Postfix's own smtpd, which hands a client's lines to us as they came: the angle brackets and the
lack of a space after the colon are optional.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from contentfilter.session.envelope import Path

_QUOTED = rb'"(?:[^"\\]|\\.)*"'
_PATH = re.compile(
    rb"[ \t]*(?:<(?:@[^:>]*:)?(?P<inner>(?:"
    + _QUOTED
    + rb'|[^">\\]|\\.)*)>|(?P<bare>(?:'
    + _QUOTED
    + rb'|[^" \t<>])+))'
    rb"(?P<rest>(?:[ \t].*)?)",
    re.DOTALL,
)
_KEYWORD = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^ \t=][^ \t]*))?")


class SyntaxProblem(ValueError):
    """A malformed argument.

    Arguments:
        status: enhanced status code.
        text: public text.
    """

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Mailbox:
    """What ``MAIL FROM:`` or ``RCPT TO:`` was followed by.

    Arguments:
        path: address and the verbatim line.
        parameters: keyword in upper case to value, empty where there is none.
    """

    path: Path
    parameters: dict[str, str]


def parse_mailbox(line: bytes, *, null: bool) -> Mailbox:
    """The mailbox and parameters in ``line``, what followed the colon.

    Arguments:
        line: without CRLF.
        null: whether the null path ``<>`` is allowed: for MAIL, not for RCPT.

    Raises:
        SyntaxProblem: neither path nor parameters of the form of RFC 5321 4.1.2.
    """
    bad = "5.1.7" if null else "5.1.3"
    match = _PATH.fullmatch(line)
    if match is None:
        raise SyntaxProblem(bad, "Bad address syntax")
    inner: bytes | None = match["inner"]
    raw = inner.strip(b" \t") if inner is not None else match["bare"]
    if not raw and not null:
        raise SyntaxProblem(bad, "Bad address syntax")
    parameters: dict[str, str] = {}
    for word in match["rest"].split():
        keyword = _KEYWORD.fullmatch(word)
        if keyword is None:
            raise SyntaxProblem("5.5.4", "Bad parameter syntax")
        name = keyword[1].upper().decode("ascii")
        if name in parameters:
            raise SyntaxProblem("5.5.4", "Parameter given twice")
        parameters[name] = text(keyword[2] or b"")
    return Mailbox(Path(text(raw), line), parameters)


def without(line: bytes, keyword: str) -> bytes:
    """``line``, what followed the colon, without the parameter ``keyword``; the rest verbatim."""
    match = _PATH.fullmatch(line)
    if match is None:
        return line
    kept = [word for word in match["rest"].split() if word.partition(b"=")[0].upper() != keyword.encode()]
    return b" ".join([line[: match.start("rest")], *kept])


def text(raw: bytes) -> str:
    """Wire bytes as text; what is not UTF-8 shows as ``\\xNN``, so that no two byte strings look alike."""
    return raw.decode("utf-8", "backslashreplace")

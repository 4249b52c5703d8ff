"""The small mails that stand with rules: how they are sent, and whether rules do on them as they shall."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from contentfilter.rules.matcher import Matcher
from contentfilter.rules.model import Sample
from contentfilter.rules.reading import Reading
from contentfilter.rules.ruling import RuleSet

if TYPE_CHECKING:
    from contentfilter.letter import Letter

ORDINARY = (
    (
        "Received",
        "from mail.sender.example (mail.sender.example [192.0.2.10]) by mx.recipient.example (Postfix)"
        " with ESMTPS id 4XyZ1A2B3C for <anna.berg@recipient.example>; Mon, 2 Mar 2026 10:00:05 +0100 (CET)",
    ),
    ("From", "Bruno Holm <bruno.holm@sender.example>"),
    ("To", "Anna Berg <anna.berg@recipient.example>"),
    ("Subject", "The minutes of Monday's meeting"),
    ("Date", "Mon, 2 Mar 2026 10:00:00 +0100"),
    ("Message-ID", "<5d0c6a31-8f7e-4f0a-9d5b-2a7c1e9b1f10@sender.example>"),
    ("MIME-Version", "1.0"),
)
"""The fields of a good mail; samples say what is otherwise."""
TEXT = "Dear Anna, here are the minutes that I promised. Best wishes, Bruno"
_BOUNDARY = "=-5d0c6a318f7e4f0a"


@dataclass(frozen=True, slots=True)
class Failure:
    """A sample on which a rule did otherwise.

    Arguments:
        name: of the rule.
        source, line: where it stands.
        text: what it did, and on which sample.
    """

    name: str
    source: str
    line: int
    text: str

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        return f"{place}: {self.name}: {self.text}"


def check(rules: RuleSet, letter_of: Callable[[bytes], Letter]) -> Iterator[Failure]:
    """Try all rules on the mails that stand with them.

    Each is tried as it was written: a rule that names another is not wrong for it that the operator has
    turned that one off, or made an exception to it.

    Arguments:
        letter_of: reads a mail.
    """
    written = {name: replace(ruling, off=False, unless=None) for name, ruling in rules.rulings.items()}
    matcher = Matcher(RuleSet(written))
    for ruling in written.values():
        for shall, samples in ((True, ruling.hits), (False, ruling.misses)):
            for number, sample in enumerate(samples, 1):
                if matcher.fires(ruling.name, Reading(letter_of(mail_of(sample)))) is not shall:
                    text = "does not fire on the mail hits" if shall else "fires on the mail misses"
                    yield Failure(ruling.name, ruling.source, ruling.line, f"{text}[{number - 1}]")


def mail_of(sample: Sample) -> bytes:
    """The mail that a sample stands for, as it is sent."""
    text = sample.mail if sample.mail is not None else _composed(sample)
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode(sample.charset, "replace")


def _composed(sample: Sample) -> str:
    lines = []
    own = dict(sample.fields)
    for name, value in ORDINARY:
        lines += [f"{name}: {text}" for text in _values(own, name.lower(), value)]
    media, body = _body(sample)
    lines += [f"Content-Type: {text}" for text in _values(own, "content-type", media)]
    for name, values in own.items():
        lines += [f"{name.title()}: {text}" for text in values or ()]
    return "\n".join(lines) + "\n\n" + body + "\n"


def _values(own: dict[str, tuple[str, ...] | None], name: str, ordinary: str) -> tuple[str, ...]:
    """What the field shall say; taken out of ``own``."""
    return (own.pop(name) or ()) if name in own else (ordinary,)


def _body(sample: Sample) -> tuple[str, str]:
    """Content-Type and body."""
    parts = []
    if sample.text is not None or sample.html is None:
        parts.append(("text/plain; charset=utf-8", TEXT if sample.text is None else sample.text))
    if sample.html is not None:
        parts.append(("text/html; charset=utf-8", sample.html))
    if len(parts) == 1 and not sample.attachment:
        return parts[0]
    media = "mixed" if sample.attachment else "alternative"
    pieces = [f"--{_BOUNDARY}\nContent-Type: {kind}\n\n{text}\n" for kind, text in parts]
    pieces += [
        f"--{_BOUNDARY}\nContent-Type: application/octet-stream\n"
        f'Content-Disposition: attachment; filename="{name}"\n\nattached\n'
        for name in sample.attachment
    ]
    return f'multipart/{media}; boundary="{_BOUNDARY}"', "".join(pieces) + f"--{_BOUNDARY}--"

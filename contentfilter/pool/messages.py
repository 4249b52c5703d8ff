"""What daemon and worker say to each other, without a socket: tasks one way, answers the other.

A task is one packet of JSON on a SOCK_SEQPACKET socket, with the descriptor of what is to be scanned beside
it; a small message stands behind the JSON and a line feed instead, since a file costs more than it does. An
answer is one JSON object in a frame (:mod:`contentfilter.pool.frames`), on a pipe.

A worker parses hostile mail, so its answers are taken as hostile too: JSON only, bounded, every field of the
expected type, every finding of a known name. Whatever else comes makes :class:`Garbage`, and the worker is
killed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar, cast, get_args

from contentfilter.content.clues import MAX_CLUES, MAX_POINTS, Clue, is_clue
from contentfilter.content.results import ScanResult
from contentfilter.content.traits import Traits
from contentfilter.macros.digest import is_digest
from contentfilter.pool.frames import Done, Failed, Garbage, Ready, Reason, framed
from mailbase.scripts import suffix_of
from mailbase.vocabulary import UNSCANNED_REASONS, Finding, Unscanned

MAX_TASK = 64 * 1024
"""Octets of one task packet."""
MAX_FACTS = 128
"""Findings in one answer, and unscanned parts in one answer; the first of each kind always stays."""
MAX_TEXT = 600
"""Characters of a part's path, or of any other text."""
MAX_DETAIL = 300
"""Characters of a detail."""

Kind: TypeAlias = Literal["wire", "message", "document", "wire-lesson", "lesson"]
_KINDS: frozenset[str] = frozenset(get_args(Kind))
_REASONS: frozenset[str] = frozenset(get_args(Reason))
T = TypeVar("T")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


# json.dumps and json.loads with options make new ones each time, which takes longer than their work.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to scan, or a message of which only the lesson is wanted.

    Arguments:
        kind: ``wire`` (a message, dot-stuffed), ``message`` (as a file holds it), ``document``;
            ``wire-lesson`` and ``lesson`` are the first two, to be learned and not scanned.
        size: octets behind the descriptor.
        name: of a document.
        given: what analysers get with this message, as JSON types: what was looked up for them.
        dotted: lines of a ``wire`` may begin with a dot; false spares a search for them.
        content: all that is to be scanned, at most half a packet; then nothing is behind a descriptor.
    """

    kind: Kind
    size: int
    name: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    dotted: bool = True
    content: bytes = b""

    def encode(self) -> bytes:
        """The packet."""
        name = self.name.encode("utf-8", "replace").decode()[:MAX_TEXT]
        fields: dict[str, Any] = {"kind": self.kind, "size": self.size, "name": name}
        if not self.dotted:
            fields["dotted"] = False
        # JSON has no line feed of its own.
        behind = b"\n" + self.content if self.content else b""
        if self.given:
            packet = _ENCODER.encode({**fields, "given": self.given}).encode("utf-8", "replace")
            if len(packet) + len(behind) <= MAX_TASK:
                return packet + behind
            # Rather without it than not at all.
        return _ENCODER.encode(fields).encode() + behind

    @classmethod
    def decode(cls, packet: bytes) -> Task:
        """The reverse.

        Raises:
            Garbage: not a task.
        """
        about, _, content = packet.partition(b"\n")
        fields = _parse(about)
        kind = _member(fields, "kind", str)
        if kind not in _KINDS:
            raise Garbage(f"unknown kind of task: {kind[:40]!r}")
        given = _member(fields, "given", dict) if "given" in fields else {}
        dotted = _member(fields, "dotted", bool) if "dotted" in fields else True
        size = _number(fields, "size")
        if content and len(content) != size:
            raise Garbage("content of another size")
        return cls(cast(Kind, kind), size, _text(fields, "name"), given, dotted, content)


Answer: TypeAlias = Ready | Done[ScanResult] | Failed


def encode(answer: Answer) -> bytes:
    """The answer as a frame, never larger than the bound."""
    body: dict[str, Any]
    match answer:
        case Ready(missing):
            body = {"ready": [_bounded(text) for text in missing]}
        case Done(result, retire):
            findings = _representative(result.findings, lambda f: (f.name, suffix_of(f.detail)))
            unscanned = _representative(result.unscanned, lambda part: part.reason)
            body = {
                "findings": [
                    [f.name, _bounded(f.part), _bounded(f.detail, MAX_DETAIL), f.digest] for f in findings
                ],
                "unscanned": [
                    [u.reason, _bounded(u.part), _bounded(u.detail, MAX_DETAIL)] for u in unscanned
                ],
                "parts": result.parts,
                "seconds": round(result.seconds, 6),
                "retire": retire,
            }
            if result.clues:
                body["clues"] = [
                    [clue.name, _bounded(clue.detail, MAX_DETAIL), clue.points, clue.shadow]
                    for clue in result.clues[:MAX_CLUES]
                ]
            if traits := result.traits.to_dict():
                body["traits"] = traits
        case Failed(reason, detail):
            body = {"failed": reason, "detail": _bounded(detail, MAX_DETAIL)}
    return framed(_ENCODER.encode(body).encode())


def decode(frame: bytes, names: frozenset[str]) -> Answer:
    """An answer out of a frame without its length.

    Arguments:
        names: of the findings that there are.

    Raises:
        Garbage: anything but an answer.
    """
    fields = _parse(frame)
    if "ready" in fields:
        return Ready(tuple(_string(text) for text in _list(fields, "ready")))
    if "failed" in fields:
        reason = _text(fields, "failed")
        if reason not in _REASONS:
            raise Garbage("unknown reason of a failure")
        return Failed(cast(Reason, reason), _text(fields, "detail"))
    findings = [_finding(item) for item in _list(fields, "findings")]
    if not names.issuperset(finding.name for finding in findings):
        raise Garbage("a finding of unknown name")
    unscanned = []
    for item in _list(fields, "unscanned"):
        reason, part, detail = _triple(item)
        if reason not in UNSCANNED_REASONS:
            raise Garbage("an unscanned part of unknown reason")
        unscanned.append(Unscanned(part, reason, detail))
    seconds = fields.get("seconds")
    if type(seconds) not in (int, float) or not 0 <= cast(float, seconds) < 86400:
        raise Garbage("seconds: expected a time")
    result = ScanResult(
        tuple(findings),
        tuple(unscanned),
        _number(fields, "parts"),
        float(cast(float, seconds)),
        _clues(fields),
        _traits(fields),
    )
    return Done(result, _member(fields, "retire", bool))


def _bounded(text: str, limit: int = MAX_TEXT) -> str:
    """``text`` cut, valid as UTF-8, without the characters that JSON would blow up."""
    clean = text[:limit].encode("utf-8", "replace").decode()
    return clean if clean.isprintable() else "".join(c if c.isprintable() else "?" for c in clean)


def _representative(items: Sequence[T], kind: Callable[[T], Hashable]) -> Sequence[T]:
    """At most MAX_FACTS items in their order, among them the first of each kind: no verdict changes."""
    if len(items) <= MAX_FACTS:
        return items
    first: dict[Hashable, int] = {}
    for index, item in enumerate(items):
        first.setdefault(kind(item), index)
    chosen = set(list(first.values())[:MAX_FACTS])
    for index in range(len(items)):
        if len(chosen) >= MAX_FACTS:
            break
        chosen.add(index)
    return [items[index] for index in sorted(chosen)]


def _parse(data: bytes) -> dict[str, Any]:
    try:
        fields = _DECODER.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise Garbage(f"not JSON: {type(error).__name__}") from error
    if type(fields) is not dict:
        raise Garbage("not a JSON object")
    return fields


def _member(fields: dict[str, Any], name: str, kind: type[T]) -> T:
    value = fields.get(name)
    if type(value) is not kind:  # not isinstance: a bool is no int here
        raise Garbage(f"{name}: expected {kind.__name__}, got {type(value).__name__}")
    return value


def _number(fields: dict[str, Any], name: str) -> int:
    value = _member(fields, name, int)
    if not 0 <= value < 2**48:
        raise Garbage(f"{name}: out of range")
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    return _string(_member(fields, name, str))


def _string(value: object) -> str:
    if type(value) is not str:
        raise Garbage(f"expected a text, got {type(value).__name__}")
    if len(value) > MAX_TEXT:
        raise Garbage(f"a text of {len(value)} characters; at most {MAX_TEXT} are allowed")
    try:
        value.encode()
    except UnicodeEncodeError as error:  # JSON can spell a lone surrogate
        raise Garbage("a text that is no Unicode") from error
    return value


def _list(fields: dict[str, Any], name: str) -> list[Any]:
    value: list[Any] = _member(fields, name, list)
    if len(value) > MAX_FACTS:
        raise Garbage(f"{name}: {len(value)} entries; at most {MAX_FACTS} are allowed")
    return value


def _finding(item: object) -> Finding:
    if type(item) is not list or len(item) != 4:
        raise Garbage("expected four texts")
    digest = _string(item[3])
    if digest and not is_digest(digest):
        raise Garbage("expected a digest")
    return Finding(*_triple(item[:3]), digest)


def _clues(fields: dict[str, Any]) -> tuple[Clue, ...]:
    if "clues" not in fields:
        return ()
    items: list[Any] = _member(fields, "clues", list)
    if len(items) > MAX_CLUES:
        raise Garbage(f"clues: {len(items)} entries; at most {MAX_CLUES} are allowed")
    return tuple(map(_clue, items))


def _clue(item: object) -> Clue:
    if type(item) is not list or len(item) != 4 or type(item[3]) is not bool:
        raise Garbage("expected a clue")
    name, points = _string(item[0]), item[2]
    if not is_clue(name):
        raise Garbage("a clue of no possible name")
    if points is not None and (type(points) not in (int, float) or not -MAX_POINTS <= points <= MAX_POINTS):
        raise Garbage("a clue with impossible points")
    return Clue(name, _string(item[1]), None if points is None else float(points), item[3])


def _traits(fields: dict[str, Any]) -> Traits:
    try:
        return Traits.from_dict(_member(fields, "traits", dict) if "traits" in fields else {})
    except ValueError as error:
        raise Garbage(f"traits: {error}") from error


def _triple(item: object) -> tuple[str, str, str]:
    if type(item) is not list or len(item) != 3:
        raise Garbage("expected three texts")
    return _string(item[0]), _string(item[1]), _string(item[2])

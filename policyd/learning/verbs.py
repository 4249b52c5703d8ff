"""The control socket's verbs for learning."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from mailbase.control import ControlError
from mailbase.control.server import Handler
from mailbase.logs import Log
from mailbase.statistics.lesson import decode_lesson, lesson_id
from mailbase.statistics.verbs import FORGET, LEARN, MAX_MAILS, RUNS, STATUS, UNDO
from mailbase.store import StoreError
from policyd.learning.lessons import SOURCES, Lesson, Lessons
from policyd.learning.school import School

_RUN = re.compile(r"[0-9a-z-]{1,40}")
Count = Callable[[str, bool, int], None]
"""Told of lessons: where from, whether spam, how many."""


class LearningVerbs:
    """Arguments:
    lessons: what was learned; None: statistics are off.
    school: trains the model.
    log: one line for whatever changes what is known.
    count: see :data:`Count`.
    """

    def __init__(self, lessons: Lessons | None, school: School | None, log: Log, count: Count) -> None:
        self._lessons = lessons
        self._school = school
        self._log = log
        self._count = count

    def table(self) -> dict[str, Handler]:
        """Verb → handler."""
        return {
            LEARN: self.learn,
            UNDO: self.undo,
            FORGET: self.forget,
            STATUS: self.status,
            RUNS: self.runs,
        }

    async def learn(self, request: dict[str, Any]) -> dict[str, Any]:
        """``spam``, ``source``, ``run``, ``mails`` (lessons in base64). How many were new, changed, known."""
        spam, source = request.get("spam"), request.get("source")
        if not isinstance(spam, bool) or source not in SOURCES:
            raise ControlError(f"expected spam: true or false, and a source: {', '.join(SOURCES)}")
        run, mails = _run(request), _mails(request)
        lessons = self._open()
        try:
            learned = await lessons.learn(mails, spam, source, run)
        except StoreError as error:
            raise ControlError(f"not learned: {error}") from error
        self._count(source, spam, learned.new + learned.changed)
        self._log.info(
            "learned",
            kind="spam" if spam else "ham",
            source=source,
            run=run,
            new=learned.new,
            changed=learned.changed,
            known=learned.known,
            peer=str(request.get("peer", "")),
        )
        return {"new": learned.new, "changed": learned.changed, "known": learned.known}

    async def undo(self, request: dict[str, Any]) -> dict[str, Any]:
        """``run``, or ``mails`` as for learning. How many are undone."""
        lessons = self._open()
        if "mails" in request:
            keys = [lesson_id(packed) for packed in _mails(request)]
        else:
            run = _run(request)
            keys = [key for key, lesson in lessons.all.items() if lesson.run == run]
        return await self._change("undone", lessons.undo(keys), request)

    async def forget(self, request: dict[str, Any]) -> dict[str, Any]:
        """``source``: all that is from there; without it, everything. How many are forgotten."""
        source = request.get("source")
        if source is not None and source not in SOURCES:
            raise ControlError(f"expected a source: {', '.join(SOURCES)}")
        lessons = self._open()
        keys = [key for key, one in lessons.all.items() if source in (None, one.source)]
        return await self._change("forgotten", lessons.forget(keys), request)

    async def _change(self, what: str, work: Any, request: dict[str, Any]) -> dict[str, Any]:
        try:
            count: int = await work
        except StoreError as error:
            raise ControlError(f"{what} in part, if at all: {error}") from error
        about = {name: str(request[name])[:60] for name in ("run", "source") if request.get(name)}
        self._log.info(f"lessons-{what}", mails=count, peer=str(request.get("peer", "")), **about)
        return {what: count}

    def status(self, request: dict[str, Any]) -> dict[str, Any]:
        """What is known, and the model that there is."""
        lessons = self._open()
        known = list(lessons.all.values())
        return {
            "spam": sum(one.spam for one in known),
            "ham": sum(not one.spam for one in known),
            "automatic": sum(one.source != "command" for one in known),
            "most": lessons.most,
            "oldest": min((one.learned for one in known), default=0),
            "model": dict(self._school.summary) if self._school is not None else {},
            "training": self._school is not None and self._school.busy,
        }

    def runs(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What was learned together, the newest last."""
        rows: dict[tuple[str, bool], dict[str, Any]] = {}
        for one in self._open().all.values():
            row = rows.setdefault((one.run, one.spam), _row(one))
            row["mails"] += 1
            row["learned"] = max(row["learned"], one.learned)
        return iter(sorted(rows.values(), key=lambda row: (row["learned"], row["run"], row["kind"])))

    def _open(self) -> Lessons:
        if self._lessons is None:
            raise ControlError("statistics are off (statistics.enabled)")
        if not self._lessons.loaded:
            raise ControlError("the lessons in the store have not been read yet")
        return self._lessons


def _row(lesson: Lesson) -> dict[str, Any]:
    kind = "spam" if lesson.spam else "ham"
    return {"run": lesson.run, "kind": kind, "source": lesson.source, "mails": 0, "learned": 0}


def _run(request: dict[str, Any]) -> str:
    run = request.get("run")
    if not isinstance(run, str) or not _RUN.fullmatch(run):
        raise ControlError("expected run: small letters, digits and -, at most 40")
    return run


def _mails(request: dict[str, Any]) -> list[bytes]:
    mails = request.get("mails")
    if not isinstance(mails, list) or not mails or len(mails) > MAX_MAILS:
        raise ControlError(f"expected mails: 1 to {MAX_MAILS} lessons")
    try:
        return [decode_lesson(str(text)) for text in mails]
    except ValueError as error:
        raise ControlError(f"{error}; are both daemons of the same version?") from error

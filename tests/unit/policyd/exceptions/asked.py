"""Exceptions, set as commands set them, and requests that they are for."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from policyd.evidence.facts import Effect
from policyd.exceptions.verbs import ExceptionVerbs
from tests.unit.awaited import result_of

ALLOW, DENY = Effect.ALLOW, Effect.DENY


class Asked:
    """Gives the commands as the control socket would."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench

    def ask(self, verb: str, **arguments: Any) -> Any:
        verbs = ExceptionVerbs(self.bench.book, self.bench.clock.seconds, self.bench.log)
        result = verbs.table()[verb]({"verb": verb, "peer": "uid:0,pid:1", **arguments})
        if not isinstance(result, Awaitable):
            return result
        return result_of(result)

    def allow(self, what: str, named: str | None = None, **more: Any) -> Any:
        return self.put("allow", what, named, **more)

    def deny(self, what: str, named: str | None = None, **more: Any) -> Any:
        return self.put("deny", what, named, **more)

    def put(self, effect: str, what: str, named: str | None = None, **more: Any) -> Any:
        return self.ask(
            "exceptions.put", effect=effect, what=what, **({"as": named} if named else {}), **more
        )

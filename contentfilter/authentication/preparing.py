"""Looks up the keys that a mail's signatures need, before the workers get it: they have no network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from contentfilter.assessing import FlowOf, Name
from contentfilter.authentication.names import key_names
from contentfilter.authentication.outcome import MAX_RECORD
from mailbase.dns import Answer, BadName, Found, NoData, NxDomain, Record, RecordType, Resolver
from mailbase.vocabulary import Flow

CONSUMER = "authentication"
PATIENCE = 4.0
"""Seconds for all keys of a mail; those that come later count as a failed look-up."""
MAX_RECORDS = 3
"""Records under one name that may be the key; there should be one."""
MAX_OCTETS = 12 * 1024
"""Of all keys together; a task for a worker has 16 KiB."""


class KeyPreparer:
    """Arguments:
    resolver: shared by everybody.
    seconds: the reactor's clock.
    now: seconds since the epoch.
    off: flows whose mail is not authenticated.
    """

    name: Name = "authentication"

    def __init__(
        self,
        resolver: Resolver,
        seconds: Callable[[], float],
        now: Callable[[], float],
        off: Collection[Flow] = (),
    ) -> None:
        self._resolver = resolver
        self._seconds = seconds
        self._now = now
        self._off = frozenset(off)

    async def prepare(self, head: bytes, flow: FlowOf) -> Mapping[str, Any]:
        """See :class:`contentfilter.assessing.Preparer`; nothing where nobody asks who vouches for the mail.

        The flow is waited for only where there is something to look up, and it may not have to be. Where
        it is known already, the workers are spared the rest as well.
        """
        names = key_names(head)
        if self._off and (names or flow.told) and await flow.get() in self._off:
            return {}
        answers = await self._resolver.together(
            [(name, RecordType.TXT) for name in names],
            consumer=CONSUMER,
            deadline=self._seconds() + PATIENCE,
        )
        keys: dict[str, list[str] | None] = {}
        left = MAX_OCTETS
        for name, answer in zip(names, answers, strict=True):
            records = _records(answer)
            left -= len(name) + sum(map(len, records or ()))
            if left < 0:
                break
            keys[name] = records
        return {"now": self._now(), "keys": keys}


def _records(answer: Answer[Record]) -> list[str] | None:
    match answer:
        case Found(records):
            texts = [one for one in records if isinstance(one, bytes) and len(one) <= MAX_RECORD]
            # A wildcard's SPF record may lie beside the key.
            texts.sort(key=lambda text: b"p=" not in text)
            return [text.decode("latin-1") for text in texts[:MAX_RECORDS]]
        case NxDomain() | NoData() | BadName():
            return []
        case _:
            return None

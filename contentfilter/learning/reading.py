"""Reads mails in scan workers, for what is seen in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from contentfilter.content.results import ScanResult
from contentfilter.learning.mails import Mail, mails
from contentfilter.offline.batch import Batch, Unreadable
from contentfilter.offline.offline import make_pool
from contentfilter.pool.messages import Task
from mailbase.config import Settings


class Reading(Batch[Mail, str]):
    """One run over many mails, each of which becomes a lesson in base64.

    Arguments:
        settings: for the workers.
        reactor, jobs, show, complain: see :class:`contentfilter.offline.batch.Batch`.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        jobs: int,
        show: Callable[[str], None],
        complain: Callable[[str], None],
    ) -> None:
        super().__init__(reactor, make_pool(reactor, settings, jobs), jobs, show, complain)

    def _items(self, paths: Iterable[Path]) -> Iterator[Mail]:
        return mails(paths, self._cannot_read)

    async def _one(self, item: Mail) -> str | None:
        task = Task("lesson", item.size)
        try:
            result = await self._pool.submit(task, os.dup(item.descriptor))
        finally:
            os.close(item.descriptor)
        if isinstance(result, ScanResult):
            if result.traits.lesson:
                return result.traits.lesson
            self._cannot_read(Unreadable(f"{item.name}: nothing to be learned"))
        else:
            self._cannot_read(Unreadable(f"{item.name}: not read: {result.detail or result.reason}"))
        return None

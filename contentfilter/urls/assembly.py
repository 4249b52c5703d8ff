"""From the configuration to the lists of links, their watch, and who asks them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import Metric

from contentfilter.links.common import common_domains
from contentfilter.urls.assessor import UrlLists
from mailbase import organisation
from mailbase.config import Settings
from mailbase.config.url_lists import URL_KIND
from mailbase.dns import CachingResolver
from mailbase.lists.board import Board
from mailbase.lists.metrics import collect
from mailbase.lists.model import make_url_list
from mailbase.lists.roster import Roster
from mailbase.logs import Log


class UrlWatch:
    """The lists, tested as long as the daemon runs.

    Arguments:
        clock: Twisted's IReactorTime.
        resolver: the daemon's.
        log: of lists that are switched off and on.
        date: the time of day, seconds since the epoch.

    Attributes:
        board: for its control verb.
    """

    def __init__(self, clock: Any, resolver: CachingResolver, log: Log, date: Callable[[], float]) -> None:
        self._clock = clock
        self._resolver = resolver
        self._roster = Roster((URL_KIND,))
        self.board = Board(clock, resolver, log, self._roster, date)

    def assessors(self, settings: Settings) -> list[UrlLists]:
        """Who is asked about mails: nobody where there is no list."""
        urls = settings.contentfilter.urls
        if not urls.lists:
            return []
        return [UrlLists(self._clock, self._resolver, self._roster, urls, settings.registry.domains)]

    def configure(self, settings: Settings) -> None:
        """Test these lists from now on, and no others."""
        urls = settings.contentfilter.urls
        if urls.lists:
            # Mails should not have to wait until they are read.
            organisation.prepare()
            common_domains()
        self.board.adopt([make_url_list(name, one) for name, one in urls.lists.items()], urls.list_health)
        self._resolver.looked_up = self.board.heard if urls.lists else None

    def collect(self) -> Iterator[Metric]:
        """How the lists fare."""
        return collect(self.board.watched.values(), "contentfilter")

    def stop(self) -> None:
        """Test no more."""
        self.board.stop()

"""Where Postfix asks us as a milter: the factory of one listener."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress

from contentfilter.milter.connection import MilterConnection
from contentfilter.milter.session import Profile
from contentfilter.session.connection import MAX_DATA_TIME
from contentfilter.session.server import Front, Shared
from mailbase.config import ContentfilterSettings, ListenerSettings


class MilterFactory(Front):
    """A listener for Postfix's ``smtpd_milters``; see :class:`contentfilter.session.server.Front`."""

    def __init__(
        self, reactor: Any, settings: ContentfilterSettings, listener: ListenerSettings, shared: Shared
    ) -> None:
        super().__init__(reactor, settings, listener, shared)
        self.profile = Profile(settings.message_size_limit, shared.max_recipients)
        # Postfix passes a message on only once it has all of it, however slowly that comes.
        self.silence = max(MAX_DATA_TIME, settings.timeouts.command, settings.timeouts.data)

    def buildProtocol(self, addr: IAddress | None) -> MilterConnection:
        return MilterConnection(self)

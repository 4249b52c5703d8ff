"""Where Postfix asks us as a milter: the factory of one listener."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress

from contentfilter.connection import MAX_DATA_TIME
from contentfilter.intake import Intake
from contentfilter.metering import ProxyMeter
from contentfilter.milter.connection import MilterConnection
from contentfilter.milter.session import Profile
from contentfilter.server import MAX_CONNECTIONS, MAX_RECIPIENTS, Front, Inspector
from contentfilter.splits import Splits
from mailbase.config import ContentfilterSettings, ListenerSettings
from mailbase.logs import Log
from mailbase.replies import Reply


class MilterFactory(Front):
    """A listener for Postfix's ``smtpd_milters``.

    Arguments:
        max_recipients: of one mail.
        splits: mails whose recipients need different answers.

    The others as for :class:`contentfilter.server.Front`.
    """

    def __init__(
        self,
        reactor: Any,
        settings: ContentfilterSettings,
        listener: ListenerSettings,
        inspector: Inspector,
        intake: Intake,
        log: Log,
        meter: ProxyMeter | None = None,
        max_connections: int = MAX_CONNECTIONS,
        max_recipients: int = MAX_RECIPIENTS,
        delivered: Callable[[str, Reply], None] | None = None,
        splits: Splits | None = None,
    ) -> None:
        super().__init__(
            reactor, settings, listener, inspector, intake, log, meter, max_connections, delivered
        )
        self.splits = splits
        self.profile = Profile(settings.message_size_limit, max_recipients)
        # Postfix passes a message on only once it has all of it, however slowly that comes.
        self.silence = max(MAX_DATA_TIME, settings.timeouts.command, settings.timeouts.data)

    def buildProtocol(self, addr: IAddress | None) -> MilterConnection:
        return MilterConnection(self)

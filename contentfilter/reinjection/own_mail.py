"""Mail of our own: goes to Postfix behind the filter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from contentfilter.reinjection.reinjection import ReinjectionPort
from contentfilter.session.envelope import Envelope
from contentfilter.smtp.client import Job, Result
from contentfilter.spool.spool import Spool
from contentfilter.spool.unstuffing import stuffed
from mailbase.logs import Log

IN_MEMORY = 16 << 20
"""Octets of a mail that stay in memory; a digest is bounded far below."""
SENDING = 60.0
"""Seconds for Postfix to take a mail."""


class OwnMail:
    """Arguments:
    clock: the reactor.
    port: where Postfix takes it.
    folder: that in force for spooled mail.
    log: for what Postfix refuses.
    """

    def __init__(self, clock: Any, port: ReinjectionPort, folder: Callable[[], Path], log: Log) -> None:
        self._clock = clock
        self._port = port
        self._folder = folder
        self._log = log

    async def send(self, envelope: Envelope, message: bytes) -> bool:
        """Hand a mail over; whether Postfix took it."""
        spool = Spool(self._folder(), IN_MEMORY)
        try:
            spool.write(b"".join(stuffed([message])))
            not_after = self._clock.seconds() + SENDING
            delivered = await self._port.deliver(Job(envelope), b"", spool, not_after).outcome
        finally:
            spool.close()
        refused = [str(reply) for reply in delivered.replies if not reply.positive]
        if refused:
            self._log.warning("own-mail-refused", recipients=len(refused), reply=refused[0])
        return delivered.result is Result.DELIVERED

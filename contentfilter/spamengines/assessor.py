"""A spam engine on the panel: what it is told of a mail, and what its silence means."""

from __future__ import annotations

from collections.abc import Container
from typing import Protocol

from contentfilter.assessing import Assessment, Mail, Name
from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanFailed
from contentfilter.engines.engine import Engine
from contentfilter.spamengines.question import Asked
from mailbase.addresses import unpack
from mailbase.vocabulary import Flow

SLACK = 1.0
"""Seconds after its own time within which it says that it is over."""


class Terms(Protocol):
    """What of an engine's settings is read here.

    Attributes:
        timeout: seconds for a message, waiting included.
        max_size: octets of the largest message.
        flows: whose mail it is asked about.
    """

    @property
    def timeout(self) -> float: ...
    @property
    def max_size(self) -> int: ...
    @property
    def flows(self) -> Container[Flow]: ...


class SpamEngine:
    """See :class:`contentfilter.assessing.Assessor`.

    Arguments:
        engine: Rspamd or SpamAssassin.
        terms: of its settings.
    """

    def __init__(self, engine: Engine, terms: Terms) -> None:
        name = engine.name
        assert name == "rspamd" or name == "spamassassin"
        self.name: Name = name
        self.patience = terms.timeout + SLACK
        self._engine = engine
        self._max_size = terms.max_size
        self._flows = terms.flows

    def wants(self, mail: Mail) -> bool:
        """Whether it is asked about mail of this flow."""
        return mail.flow in self._flows

    async def assess(self, mail: Mail) -> Assessment:
        """See there."""
        size = mail.spool.size
        if size > self._max_size:
            said = f"{size} octets; it is asked about at most {self._max_size}"
            return Assessment((Clue(f"{self.name}.too-large", said, 0.0),))
        result = await self._engine.scan(question(mail))
        if isinstance(result, ScanFailed):
            return Assessment(failed=result.detail or result.reason, reason=result.reason)
        return Assessment(result.clues)


def question(mail: Mail) -> Asked:
    """What an engine is told of ``mail``.

    The client is who handed the mail to us or, behind an upstream relay, to the relay. Where the relay does
    not say, nobody is named: the engine would judge the relay for what others sent.
    """
    envelope, user = mail.envelope, mail.ticket.user if mail.ticket is not None else ""
    address = name = helo = ""
    if mail.client is not None:
        address, name, helo = unpack(mail.client.address), mail.client.name, mail.client.helo
    elif mail.flow is not Flow.UPSTREAM:
        client = envelope.client
        address, name, helo = client.address, client.name, client.helo
    return Asked(
        mail.spool,
        envelope.sender.address,
        tuple(path.address for path in envelope.recipients),
        address,
        name,
        helo,
        user,
        mail.id,
    )

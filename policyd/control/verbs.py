"""The verbs of policyd's control socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeAlias

from twisted.internet.interfaces import IReactorTime

from mailbase.addresses import normal_domain, split_mailbox
from mailbase.control import ControlError
from mailbase.control.server import Handler
from mailbase.networks import parse_network
from mailbase.store import NEVER, Row, StoreError
from policyd.callout.result import folded
from policyd.control.pausing import pause
from policyd.end_of_data.tickets import Tickets
from policyd.engine.account import account, clean, one_line
from policyd.engine.decision import Decision
from policyd.engine.engine import Engine
from policyd.exceptions.rule import is_narrow, refuse_wide
from policyd.exceptions.verbs import LONGEST
from policyd.greylist.ledger import KINDS, Kind, Records
from policyd.greylist.search import matcher
from policyd.protocol.delegation import MAX_REQUEST, REQUEST_TYPE
from policyd.protocol.request import request_of

MAX_FOUND = 10_000
"""Entries that a search gives; it says so when there are more."""
ForgetCallout: TypeAlias = Callable[[str, str | None], Awaitable[bool]]
DEFAULTS = {
    "request": REQUEST_TYPE,
    "protocol_state": "RCPT",
    "protocol_name": "ESMTP",
    "client_name": "unknown",
    "reverse_client_name": "unknown",
}
"""Attributes of a query that names no others."""


class Verbs:
    """Arguments:
    clock: the reactor.
    engine: answers queries.
    ledger: of greylisting.
    tickets: for contentfilter.
    forget_callout: forgets what a server said of a recipient (domain, local part), or of all (None).
    """

    def __init__(
        self,
        clock: IReactorTime,
        engine: Engine,
        ledger: Records,
        tickets: Tickets,
        forget_callout: ForgetCallout,
    ) -> None:
        self._clock = clock
        self._engine = engine
        self._ledger = ledger
        self._tickets = tickets
        self._forget_callout = forget_callout
        self.asked = {"found": 0, "unknown": 0}
        """Questions after tickets, for the metrics."""

    def table(self) -> dict[str, Handler]:
        """Verb → handler."""
        return {
            "query": self.query,
            "ticket": self.ticket,
            "greylist.list": self.listing,
            "greylist.show": self.show,
            "greylist.allow": self.allow,
            "greylist.forget": self.forget,
            "forget": self.forget_recipient,
        }

    async def query(self, request: dict[str, Any]) -> dict[str, Any]:
        """``attributes``: names and values of a policy request. Nothing is remembered or counted."""
        attributes = request.get("attributes")
        if not isinstance(attributes, dict) or not all(
            isinstance(name, str) and isinstance(value, str) for name, value in attributes.items()
        ):
            raise ControlError("expected attributes: names and values, all text")
        tidy = {one_line(name): one_line(value) for name, value in {**DEFAULTS, **attributes}.items()}
        if sum(map(len, tidy.values())) > MAX_REQUEST:
            raise ControlError(f"a request has at most {MAX_REQUEST} octets")
        decision = self._engine.query(request_of(tidy))
        if not isinstance(decision, Decision):
            decision = await decision
        return {
            "reply": decision.reply,
            "action": decision.action.value,
            "flow": decision.flow.value,
            "reason": decision.reason,
            "points": decision.weighed.total if decision.weighed else 0.0,
            "facts": account(decision),
        }

    async def ticket(self, request: dict[str, Any]) -> dict[str, Any]:
        """``id``, ``client``, ``sender``: the ticket, if it was given for these."""
        ticket_id, client, sender = (_text(request, name) for name in ("id", "client", "sender"))
        try:
            ticket = self._tickets.find(ticket_id, client, sender, self._clock.seconds())
            if isinstance(ticket, Awaitable):
                ticket = await ticket
        except (StoreError, ValueError) as error:
            raise ControlError(f"tickets cannot be read: {error}") from error
        self.asked["unknown" if ticket is None else "found"] += 1
        return {"found": False} if ticket is None else {"found": True, **ticket.to_dict()}

    def listing(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """``kind``: triplets, clients or allowed. Every entry of that kind."""
        kind = request.get("kind", "triplets")
        if kind not in KINDS:
            raise ControlError(f"expected a kind of {', '.join(KINDS)}")
        return self._list(kind)

    async def _list(self, kind: Kind) -> AsyncIterator[dict[str, Any]]:
        try:
            async for page in self._ledger.pages(kind, self._clock.seconds()):
                for key, row in page:
                    yield describe(kind, key, row)
        except StoreError as error:
            raise ControlError(str(error)) from error

    async def show(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """``term``: an address, network, mail address or domain. Every entry that has to do with it."""
        return iter((await self._search(_text(request, "term"))).values())

    async def allow(self, request: dict[str, Any]) -> dict[str, Any]:
        """``network``, optionally ``seconds`` and ``comment``: never greylist these clients.

        Greylisting of everybody is turned off in the configuration, not here where nobody sees it.
        """
        network, comment = _network(_text(request, "network")), clean(str(request.get("comment", "")))
        seconds, now = request.get("seconds"), self._clock.seconds()
        if seconds is not None and not (isinstance(seconds, int | float) and 0 < seconds <= LONGEST):
            raise ControlError("expected a time in the future, at most a hundred years away")
        try:
            until = NEVER if seconds is None else now + seconds
            if (done := self._ledger.allow(network, comment, now, until)) is not None:
                await done
        except StoreError as error:
            raise ControlError(str(error)) from error
        return {"allowed": network}

    async def forget_recipient(self, request: dict[str, Any]) -> dict[str, Any]:
        """``term``: a mail address or a domain. Its server is asked again from now on."""
        term = _text(request, "term")
        mailbox = split_mailbox(term)
        domain = mailbox.domain if mailbox is not None and mailbox.domain else normal_domain(term)
        local = folded(mailbox.local) if mailbox is not None and mailbox.domain else None
        if domain is None:
            raise ControlError("expected a mail address or a domain")
        registry = self._engine.policy.registry
        served = registry.domain(domain) is not None or registry.host_system(domain) is not None
        try:
            known = await self._forget_callout(domain, local)
        except StoreError as error:
            raise ControlError(f"not forgotten: {error}") from error
        return {"forgotten": f"{local}@{domain}" if local else domain, "known": known, "served": served}

    async def forget(self, request: dict[str, Any]) -> dict[str, Any]:
        """``term``: as for greylist.show. Deletes what that shows.

        A slip such as ``0.0.0.0/0`` would have every sender wait again: of a network as wide as that only
        what was allowed by its own name is taken back, which earlier versions let pass.
        """
        term = _text(request, "term")
        try:
            network = parse_network(term)
        except ValueError:
            found = await self._search(term)
        else:
            found = await (self._search(term) if is_narrow(*network) else self._allowed_as(network))
            if not found:
                # Else it was taken back.
                _network(term)
        try:
            for kind, key in found:
                while self._ledger.crowded:
                    await pause(self._clock, 0.05)
                if (done := self._ledger.forget(kind, key, self._clock.seconds())) is not None:
                    await done
        except StoreError as error:
            raise ControlError(f"forgotten in part: {error}") from error
        return {"forgotten": len(found), "more": len(found) >= MAX_FOUND}

    async def _allowed_as(self, network: tuple[bytes, int]) -> dict[tuple[Kind, bytes], dict[str, Any]]:
        """The entry by which just this network is allowed."""
        now = self._clock.seconds()
        kind: Kind = "allowed"
        try:
            return {
                (kind, key): describe(kind, key, row)
                async for page in self._ledger.pages(kind, now)
                for key, row in page
                if parse_network(key.decode("ascii", "replace")) == network
            }
        except StoreError as error:
            raise ControlError(str(error)) from error

    async def _search(self, term: str) -> dict[tuple[Kind, bytes], dict[str, Any]]:
        try:
            matches = matcher(term)
        except ValueError as error:
            raise ControlError(str(error)) from error
        found: dict[tuple[Kind, bytes], dict[str, Any]] = {}
        try:
            for kind in KINDS:
                async for page in self._ledger.pages(kind, self._clock.seconds()):
                    for key, row in page:
                        described = describe(kind, key, row)
                        if matches(described):
                            found[kind, key] = described
                            if len(found) >= MAX_FOUND:
                                return found
                    await pause(self._clock)
        except StoreError as error:
            raise ControlError(str(error)) from error
        return found


def describe(kind: Kind, key: bytes, row: Row) -> dict[str, Any]:
    """An entry as JSON types; times are seconds since the epoch."""
    match kind:
        case "triplets":
            first, passed, last, identities, sender, recipient, expires = row
            state = "passed" if passed else "waiting"
            return {
                "kind": "triplet",
                "state": state,
                "identity": str(identities).strip(),
                "sender": sender,
                "recipient": recipient,
                "first": first,
                "last": last,
                "expires": expires,
            }
        case "clients":
            retries, last, expires = row
            return {
                "kind": "client",
                "identity": key.decode("ascii", "replace"),
                "retries": retries,
                "last": last,
                "expires": expires,
            }
        case "allowed":
            added, comment, expires = row
            return {
                "kind": "allowed",
                "network": key.decode("ascii", "replace"),
                "comment": comment,
                "added": added,
                "expires": None if expires == NEVER else expires,
            }


def _text(request: dict[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str):
        raise ControlError(f"expected {name}: text")
    return clean(value)


def _network(text: str) -> str:
    try:
        refuse_wide(*parse_network(text))
    except ValueError as error:
        raise ControlError(str(error)) from error
    return text.strip().lower()

"""Which of many rules applies to a request: dictionaries by kind, nothing that grows with their number.

A rule comes and goes in some microseconds. That is why networks are no
:class:`~mailbase.networks.NetworkTable`, which is quicker to ask and would have to be built anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TypeAlias

from mailbase.addresses import pack, split_mailbox
from mailbase.networks import parse_network
from policyd.evidence.facts import Effect, Named
from policyd.exceptions.rule import Rule
from policyd.protocol.request import MAX_ADDRESS

REMEMBERED = 4_000
"""Addresses of which the forms to look for are remembered."""
MAX_LABELS = 12
"""Labels of a domain that are looked at, from the right; no rule of use has more."""

_DENY = Effect.DENY

_Place: TypeAlias = tuple[int, int, int]
"""Where a network is looked for: bits of an address, length of the prefix, the prefix."""


class Rules:
    """The rules in force.

    Of each kind the most specific rule counts: an address before the networks around it, the longest network,
    a mailbox before its domain, the longest domain. Of those that are left one that names a single address,
    mailbox or user outweighs networks and domains; then deny outweighs allow.
    """

    def __init__(self) -> None:
        self.all: dict[str, Rule] = {}
        """Every rule by its key, the expired included; always the same dictionary, to be read only."""
        self._addresses: dict[bytes, Rule] = {}
        self._networks: dict[_Place, Rule] = {}
        self._lengths: dict[int, tuple[int, ...]] = {32: (), 128: ()}
        """By the bits of an address: the prefix lengths that networks have, the longest first."""
        self._names: dict[str, Rule] = {}
        self._senders: dict[str, Rule] = {}
        self._recipients: dict[str, Rule] = {}
        self._users: dict[str, Rule] = {}

    def reset(self, rules: Iterable[Rule]) -> None:
        """Put these rules in the place of all others."""
        for table in (self.all, self._addresses, self._names, self._senders, self._recipients, self._users):
            table.clear()
        self._networks.clear()
        self._lengths = {32: (), 128: ()}
        for rule in rules:
            self.all[rule.key] = rule
            self._enter(rule)

    def put(self, rule: Rule) -> None:
        """Add a rule, or replace the one with the same key."""
        self.all[rule.key] = rule
        self._enter(rule)

    def remove(self, rule: Rule) -> None:
        """Take a rule out; nothing happens if it is not there."""
        self.all.pop(rule.key, None)
        if _is_network(rule):
            self._networks.pop(_place(rule), None)
        elif rule.named is Named.CLIENT and (packed := pack(rule.what)) is not None:
            self._addresses.pop(packed, None)
        else:
            self._table(rule.named).pop(rule.what, None)

    def match(
        self,
        address: bytes | None,
        name: str,
        sender: str,
        recipient: str,
        user: str,
        now: float,
        *,
        deny: frozenset[Named] = frozenset(Named),
        past: tuple[Rule, ...] = (),
    ) -> Rule | None:
        """The rule that applies, or None.

        Arguments:
            address: the client's, 4 or 16 octets.
            name: the client's verified name, lower case; ``unknown`` without one.
            sender: envelope sender.
            recipient: envelope recipient.
            user: SASL login name; empty without one.
            now: seconds since the epoch.
            deny: kinds of which a deny counts.
            past: rules to look past, as if they were not there.
        """
        best: Rule | None = None
        best_weight = -1
        for rule in self._candidates(address, name, sender, recipient, user, now, past):
            if rule.weight > best_weight and (rule.effect is not _DENY or rule.named in deny):
                best, best_weight = rule, rule.weight
        return best

    def _candidates(
        self,
        address: bytes | None,
        name: str,
        sender: str,
        recipient: str,
        user: str,
        now: float,
        past: tuple[Rule, ...],
    ) -> Iterator[Rule]:
        first = self._first
        if address is not None and (rule := self._client(address, now, past)):
            yield rule
        if self._names and name != "unknown" and (rule := first(self._names, _domains(name), now, past)):
            yield rule
        if self._senders and sender and (rule := first(self._senders, _forms(sender), now, past)):
            yield rule
        if self._recipients and recipient and (rule := first(self._recipients, _forms(recipient), now, past)):
            yield rule
        if self._users and user and (rule := first(self._users, (user.lower(),), now, past)):
            yield rule

    def _first(
        self, table: dict[str, Rule], forms: tuple[str, ...], now: float, past: tuple[Rule, ...]
    ) -> Rule | None:
        for form in forms:
            if (rule := self._live(table.get(form), now)) is not None and rule not in past:
                return rule
        return None

    def _live(self, rule: Rule | None, now: float) -> Rule | None:
        if rule is not None and rule.until <= now:
            self.remove(rule)
            return None
        return rule

    def _client(self, address: bytes, now: float, past: tuple[Rule, ...]) -> Rule | None:
        found = self._live(self._addresses.get(address), now)
        if found is not None and found not in past:
            return found
        if self._networks:
            bits, number = 8 * len(address), int.from_bytes(address)
            for length in self._lengths[bits]:
                rule = self._networks.get((bits, length, number >> (bits - length)))
                if rule is not None and (found := self._live(rule, now)) is not None and found not in past:
                    return found
        return None

    def _enter(self, rule: Rule) -> None:
        """Put a rule where it is looked for."""
        if _is_network(rule):
            place = _place(rule)
            self._networks[place] = rule
            bits, length, _ = place
            if length not in self._lengths[bits]:
                self._lengths[bits] = tuple(sorted((*self._lengths[bits], length), reverse=True))
        elif rule.named is Named.CLIENT and (packed := pack(rule.what)) is not None:
            self._addresses[packed] = rule
        else:
            self._table(rule.named)[rule.what] = rule

    def _table(self, named: Named) -> dict[str, Rule]:
        match named:
            case Named.CLIENT:
                return self._names
            case Named.SENDER:
                return self._senders
            case Named.RECIPIENT:
                return self._recipients
            case Named.USER:
                return self._users


def _is_network(rule: Rule) -> bool:
    return rule.named is Named.CLIENT and "/" in rule.what


def _place(rule: Rule) -> _Place:
    first, length = parse_network(rule.what)
    bits = 8 * len(first)
    return bits, length, int.from_bytes(first) >> (bits - length)


def _forms(address: str) -> tuple[str, ...]:
    return _remembered_forms(address) if len(address) <= MAX_ADDRESS else _find_forms(address)


def _find_forms(address: str) -> tuple[str, ...]:
    """What a rule may name ``address`` by, the most specific first."""
    mailbox = split_mailbox(address)
    if mailbox is None or not mailbox.domain:
        return ()
    local = mailbox.local.lower()
    plain = local.partition("+")[0]
    whole = [f"{local}@{mailbox.domain}"]
    if plain and plain != local:
        whole.append(f"{plain}@{mailbox.domain}")
    return (*whole, *_domains(mailbox.domain))


def _domains(name: str) -> tuple[str, ...]:
    """``name`` and the domains above it."""
    labels = name.split(".")
    return tuple(".".join(labels[i:]) for i in range(max(0, len(labels) - MAX_LABELS), len(labels)))


_remembered_forms = lru_cache(maxsize=REMEMBERED)(_find_forms)
